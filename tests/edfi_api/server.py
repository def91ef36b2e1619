"""An Ed-Fi ODS/API on loopback: it behaves as the published description says, or as badly as asked.

It serves discovery, tokens, resources by offset or cursor, change versions, deletions and key changes. Every request
is held against the OpenAPI document where that is at hand. A `Fault` makes chosen requests go wrong.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

SPEC = Path(__file__).parents[3] / "shared" / "data" / "edfi_api_spec" / "resources-ds-5.0.yml"
KEY, SECRET = "canary-key", "canary-secret"
#: What stands in every text that no message may repeat.
CANARY = "Zebrowski"
Record = dict[str, Any]


@cache
def described() -> dict[str, Any]:
    """The OpenAPI document; empty where it is not at hand."""
    if not SPEC.exists():
        return {}
    found: dict[str, Any] = yaml.load(SPEC.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return found


@cache
def parameters_of(resource: str) -> frozenset[str]:
    """The names of query parameters that the document gives a resource."""
    path = described()["paths"][f"/ed-fi/{resource}"]["get"]["parameters"]
    shared = described()["components"]["parameters"]
    return frozenset((shared[one["$ref"].rsplit("/", 1)[1]] if "$ref" in one else one)["name"] for one in path)


@dataclass
class Request:
    """What was asked. number: counted over all data requests."""

    number: int
    kind: str
    resource: str
    params: dict[str, str]
    handler: Any


#: Answers the request in its own way and gives True, or gives False to let it be answered as usual.
Fault = Callable[[Request], bool]


@dataclass
class Stored:
    record: Record
    version: int
    order: int


@dataclass
class Ods:
    """The API's state, and how it behaves.

    version: 5.3 has no key changes, 7.3 has cursors. most: the largest page. token_uses: requests after which a token
    is no longer taken. before: is called before each data request, as other clients of the API would come in between.
    """

    version: str = "7.1"
    most: int = 500
    token_uses: int | None = None
    has_changes: bool = True
    oldest: int = 0
    fault: Fault | None = None
    before: Callable[[int], None] | None = None
    resources: dict[str, dict[str, Stored]] = field(default_factory=dict)
    deletes: dict[str, list[Record]] = field(default_factory=dict)
    key_changes: dict[str, list[Record]] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    newest: int = 1000
    order: int = 0
    requests: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    released: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    in_flight: int = 0
    most_in_flight: int = 0

    # --- what its other clients do

    def put(self, resource: str, record: Record) -> None:
        with self.lock:
            self.newest += 1
            known = self.resources.setdefault(resource, {})
            self.order += 1
            order = known[record["id"]].order if record["id"] in known else self.order
            known[record["id"]] = Stored(record, self.newest, order)

    def delete(self, resource: str, id_: str) -> None:
        with self.lock:
            self.newest += 1
            del self.resources[resource][id_]
            self.deletes.setdefault(resource, []).append(
                {"id": id_, "changeVersion": self.newest, "keyValues": {"studentUniqueId": CANARY}}
            )

    def change_key(self, resource: str, record: Record, *, silently: bool = False) -> None:
        """Give a record another key. silently: only the list of key changes tells it."""
        with self.lock:
            self.newest += 1
            old = self.resources[resource][record["id"]]
            version = old.version if silently else self.newest
            self.resources[resource][record["id"]] = Stored(record, version, old.order)
            self.key_changes.setdefault(resource, []).append(
                {
                    "id": record["id"],
                    "changeVersion": self.newest,
                    "oldKeyValues": {"studentUniqueId": CANARY},
                    "newKeyValues": {"studentUniqueId": CANARY},
                }
            )

    def state(self, resource: str) -> list[Record]:
        with self.lock:
            return [one.record for one in self.resources.get(resource, {}).values()]


def serve(ods: Ods) -> ThreadingHTTPServer:
    """Start it on a free port; `shutdown` ends it."""

    class Bound(_Handler):
        api = ods

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    server.daemon_threads = True
    ods.url = f"http://127.0.0.1:{server.server_address[1]}/api"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    api: Ods
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError, ValueError):
            self.close_connection = True

    # --- answers

    def send(
        self, status: int, body: object, headers: dict[str, str] | None = None, kind: str = "application/json"
    ) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(raw)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def problem(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send(status, {"detail": f"{CANARY} in an error", "status": status}, headers, "application/problem+json")

    # --- requests

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        api = self.api
        if api.fault and api.fault(Request(0, "token", "", {}, self)):
            return
        pair = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {pair}" or body != b"grant_type=client_credentials":
            self.problem(401)
            return
        with api.lock:
            token = f"canary-token-{len(api.tokens)}"
            api.tokens[token] = 0
        self.send(200, {"access_token": token, "expires_in": 1800, "token_type": "bearer"})

    def do_GET(self) -> None:
        api = self.api
        parts = urlsplit(self.path)
        params = dict(parse_qsl(parts.query, keep_blank_values=True))
        path = parts.path.removeprefix("/api")
        if path in ("", "/"):
            if not (api.fault and api.fault(Request(0, "discovery", "", {}, self))):
                self.discovery()
            return
        with api.lock:
            api.requests.append(self.path)
            number = len(api.requests)
            api.in_flight += 1
            api.most_in_flight = max(api.in_flight, api.most_in_flight)
        try:
            self.data(path, params, number)
        finally:
            with api.lock:
                api.in_flight -= 1

    def discovery(self) -> None:
        base = self.api.url
        urls = {
            "dependencies": f"{base}/metadata/data/v3/dependencies",
            "oauth": f"{base}/oauth/token",
            "dataManagementApi": f"{base}/data/v3/",
        }
        if self.api.has_changes:
            urls["changeQueries"] = f"{base}/changeQueries/v1/"
        models = [{"name": "Ed-Fi", "version": "5.0.0"}, {"name": "TPDM", "version": "1.1.0"}]
        self.send(200, {"version": self.api.version, "build": "1", "dataModels": models, "urls": urls})

    def data(self, path: str, params: dict[str, str], number: int) -> None:
        api = self.api
        if api.before is not None and not path.startswith("/changeQueries"):
            api.before(number)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        with api.lock:
            uses = api.tokens.get(token)
            if uses is not None:
                api.tokens[token] = uses + 1
        if uses is None or (api.token_uses is not None and uses >= api.token_uses):
            self.problem(401)
            return
        found = re.fullmatch(r"/data/v3/ed-fi/(\w+)(?:/(\w+))?", path)
        if path == "/changeQueries/v1/availableChangeVersions":
            kind, resource = "versions", ""
        elif found:
            kind, resource = found.group(2) or "records", found.group(1)
            self.hold_against_description(resource, kind, params)
        else:
            api.wrong.append(self.path)
            self.problem(404)
            return
        if api.fault and api.fault(Request(number, kind, resource, params, self)):
            return
        with api.lock:
            self.answer(kind, resource, params)

    def hold_against_description(self, resource: str, kind: str, params: dict[str, str]) -> None:
        if not described():
            return
        known = {"pageToken", "pageSize"} if self.api.version >= "7.3" else set()
        if f"/ed-fi/{resource}" not in described()["paths"]:
            if resource in self.api.resources:
                self.api.wrong.append(f"no such path: {resource}")
        elif params.keys() - parameters_of(resource) - known:
            self.api.wrong.append(f"no such parameter: {sorted(params)}")
        if "offset" in params and "pageToken" in params:
            self.api.wrong.append("offset beside a cursor")

    def answer(self, kind: str, resource: str, params: dict[str, str]) -> None:
        api = self.api
        if kind == "versions":
            self.send(200, {"oldestChangeVersion": api.oldest, "newestChangeVersion": api.newest})
        elif resource in api.forbidden or f"{resource}/{kind}" in api.forbidden:
            self.problem(403)
        elif resource not in api.resources or (kind == "keyChanges" and api.version < "6"):
            self.problem(404)
        elif kind in ("deletes", "keyChanges"):
            listed = (api.deletes if kind == "deletes" else api.key_changes).get(resource, [])
            self.page([one for one in listed if within(one["changeVersion"], params)], params)
        elif kind != "records":
            stored = api.resources[resource].get(kind)
            if stored:
                self.send(200, stored.record)
            else:
                self.problem(404)
        else:
            known = sorted(api.resources[resource].values(), key=lambda one: one.order)
            known = [one for one in known if within(one.version, params)]
            if api.version >= "7.3" and "offset" not in params:
                self.cursor(known, params)
            else:
                self.page([one.record for one in known], params)

    def page(self, rows: list[Record], params: dict[str, str]) -> None:
        limit, offset = int(params.get("limit", 25)), int(params.get("offset", 0))
        if not 1 <= limit <= self.api.most or offset < 0:
            self.problem(400)
            return
        total = {"Total-Count": str(len(rows))} if params.get("totalCount") == "true" else {}
        self.send(200, rows[offset : offset + limit], total)

    def cursor(self, known: list[Stored], params: dict[str, str]) -> None:
        size = int(params.get("pageSize", params.get("limit", 25)))
        if not 1 <= size <= self.api.most:
            self.problem(400)
            return
        total = {"Total-Count": str(len(known))} if params.get("totalCount") == "true" else {}
        after = int(base64.urlsafe_b64decode(params["pageToken"])) if "pageToken" in params else 0
        rows = [one for one in known if one.order > after][:size]
        token = {"Next-Page-Token": base64.urlsafe_b64encode(b"%d" % rows[-1].order).decode()} if rows else {}
        self.send(200, [one.record for one in rows], {**total, **token})


def within(version: int, params: dict[str, str]) -> bool:
    return int(params.get("minChangeVersion", 0)) <= version <= int(params.get("maxChangeVersion", 1 << 60))


# --- synthetic records -------------------------------------------------------------------------------------------


def guid(number: int) -> str:
    """The same id for the same number, spread as real ones are."""
    return f"{(number * 0x9E3779B97F4A7C15) % (1 << 64):016x}{number:016x}"


def student(number: int) -> Record:
    return {
        "id": guid(number),
        "studentUniqueId": f"ZQX{number:05d}",
        "firstName": CANARY,
        "lastSurname": f"{CANARY}-Ünïcode",
        "birthDate": "2012-03-04",
        "visas": [],
        "_etag": str(number),
    }


def association(number: int, school: int = 255901001, entry: str = "2025-08-18") -> Record:
    return {
        "id": guid(100_000 + number),
        "schoolReference": {"schoolId": school, "link": {"rel": "School", "href": "/ed-fi/schools/x"}},
        "studentReference": {"studentUniqueId": f"ZQX{number:05d}", "link": {"rel": "Student", "href": CANARY}},
        "entryDate": entry,
        "entryGradeLevelDescriptor": "uri://ed-fi.org/GradeLevelDescriptor#Ninth grade",
        "fullTimeEquivalency": 0.5 if number % 7 == 0 else 1.0,
        "educationPlans": [],
        "_etag": CANARY,
        "_lastModifiedDate": "2025-08-18T00:00:00Z",
    }


def packed(content: bytes) -> bytes:
    return gzip.compress(content, 9)
