"""Broken behaviors of a server, drawn by a seed: what goes wrong, at which request, and for how long."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from tests.edfi_api.server import CANARY, Ods, Request, guid, packed, student, within

_CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
_Does = Callable[[Request, Ods], bool]


@dataclass(frozen=True)
class Behavior:
    """name; does: answers one request badly; words: a word of the message or remedy each time it stays, one of them.

    at: kinds of requests that it can befall. harmless: records come in even if it stays.
    """

    name: str
    does: _Does
    words: tuple[str, ...] = ()
    at: tuple[str, ...] = ("records",)
    harmless: bool = False


def _raw(text: bytes) -> _Does:
    """Bytes on the wire, and the end of the connection."""

    def does(request: Request, _: Ods) -> bool:
        request.handler.wfile.write(text)
        return _end(request)

    return does


def _end(request: Request) -> bool:
    request.handler.close_connection = True
    return True


def _status(status: int, **headers: str) -> _Does:
    def does(request: Request, _: Ods) -> bool:
        request.handler.problem(status, {name.replace("_", "-"): value for name, value in headers.items()})
        return True

    return does


def _body(body: object, headers: dict[str, str] | None = None, kind: str = "application/json") -> _Does:
    def does(request: Request, _: Ods) -> bool:
        request.handler.send(200, body, {"Total-Count": "60", **(headers or {})}, kind)
        return True

    return does


def _good(request: Request, ods: Ods) -> tuple[list[dict[str, Any]], int]:
    """What a good answer would hold, and its total."""
    params = request.params
    with ods.lock:
        stored = sorted(ods.resources[request.resource].values(), key=lambda one: one.order)
    known = [one.record for one in stored if within(one.version, params)]
    offset, limit = int(params.get("offset", 0)), int(params.get("limit", params.get("pageSize", 25)))
    return known[offset : offset + limit], len(known)


def _changed(change: Callable[[list[dict[str, Any]], int], tuple[list[Any], object]]) -> _Does:
    """A good answer with other records or another total."""

    def does(request: Request, ods: Ods) -> bool:
        rows, total = change(*_good(request, ods))
        headers = {} if total is None else {"Total-Count": str(total)}
        request.handler.send(200, rows, headers)
        return True

    return does


def _hangs(request: Request, ods: Ods) -> bool:
    ods.released.wait(10)
    return _end(request)


def _hangs_in_body(request: Request, ods: Ods) -> bool:
    request.handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n[{" + CANARY.encode()
    )
    ods.released.wait(10)
    return _end(request)


def _drips(request: Request, ods: Ods) -> bool:
    request.handler.wfile.write(_CHUNKED)
    for _ in range(400):
        request.handler.wfile.write(b"1\r\n \r\n")
        if ods.released.wait(0.05):
            break
    return _end(request)


def _drips_headers(request: Request, ods: Ods) -> bool:
    request.handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(400):
        request.handler.wfile.write(b"X-%d: 1\r\n" % number)
        if ods.released.wait(0.05):
            break
    return _end(request)


def _slowly(request: Request, ods: Ods) -> bool:
    rows, total = _good(request, ods)
    raw = json.dumps(rows).encode()
    request.handler.send_response(200)
    request.handler.send_header("Total-Count", str(total))
    request.handler.send_header("Content-Type", "application/json; charset=utf-8")
    request.handler.send_header("Content-Length", str(len(raw)))
    request.handler.end_headers()
    for at in range(0, len(raw), len(raw) // 5 + 1):
        request.handler.wfile.write(raw[at : at + len(raw) // 5 + 1])
        request.handler.wfile.flush()
        time.sleep(0.02)
    return True


def _cut(share: float) -> _Does:
    def does(request: Request, ods: Ods) -> bool:
        rows, total = _good(request, ods)
        raw = json.dumps(rows).encode()
        request.handler.send_response(200)
        for name, value in (("Total-Count", total), ("Content-Type", "application/json"), ("Content-Length", len(raw))):
            request.handler.send_header(name, str(value))
        request.handler.end_headers()
        request.handler.wfile.write(raw[: int(len(raw) * share)])
        return _end(request)

    return does


def _cut_chunks(request: Request, ods: Ods) -> bool:
    raw = json.dumps(_good(request, ods)[0]).encode()
    request.handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTotal-Count: 60\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n" % len(raw)
        + raw[: len(raw) // 2]
    )
    return _end(request)


def _cut_json(request: Request, ods: Ods) -> bool:
    """Whole as HTTP, half as JSON."""
    rows, total = _good(request, ods)
    request.handler.send(200, json.dumps(rows).encode()[:-9], {"Total-Count": str(total)})
    return True


def _gzip(broken: bool) -> _Does:
    def does(request: Request, ods: Ods) -> bool:
        rows, total = _good(request, ods)
        raw = packed(json.dumps(rows).encode())
        headers = {"Content-Encoding": "gzip", "Total-Count": str(total)}
        request.handler.send(200, raw[:20] + b"\xff" * 9 + raw[29:] if broken else raw, headers)
        return True

    return does


def _redirect(where: str, status: int = 302) -> _Does:
    def does(request: Request, _: Ods) -> bool:
        request.handler.send(status, {}, {"Location": where or request.handler.path})
        return True

    return does


def _endless(request: Request, _: Ods) -> bool:
    """A page, and always one more."""
    number = int(request.params.get("pageToken", "0"))
    headers = {"Total-Count": "60", "Next-Page-Token": str(number + 1)}
    request.handler.send(200, [student(number % 7)], headers)
    return True


def _same_token(request: Request, _: Ods) -> bool:
    request.handler.send(200, [student(1)], {"Total-Count": "60", "Next-Page-Token": "same"})
    return True


def _first_page(request: Request, ods: Ods) -> bool:
    known = ods.state(request.resource)
    limit = int(request.params.get("limit", request.params.get("pageSize", 25)))
    request.handler.send(200, known[:limit], {"Total-Count": str(len(known))})
    return True


def _without(*names: str) -> Callable[[list[dict[str, Any]], int], tuple[list[Any], object]]:
    return lambda rows, total: ([{k: v for k, v in one.items() if k not in names} for one in rows], total)


def _with(**values: object) -> Callable[[list[dict[str, Any]], int], tuple[list[Any], object]]:
    return lambda rows, total: ([{**one, **values} for one in rows], total)


def _discovery(**urls: object) -> _Does:
    def does(request: Request, ods: Ods) -> bool:
        good = {"oauth": f"{ods.url}/oauth/token", "dataManagementApi": f"{ods.url}/data/v3"}
        request.handler.send(200, {"version": "7.1", "dataModels": [], "urls": {**good, **urls}})
        return True

    return does


_HTML = f"<html><title>{CANARY}</title></html>".encode()
_TOKEN, _DISCOVERY, _VERSIONS = ("token",), ("discovery",), ("versions",)
_SOON = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
_JSON_PROBLEM = ("not JSON",)

BEHAVIORS = (
    # the wire
    Behavior("closes without a word", lambda request, _: _end(request), ("does not answer",)),
    Behavior("speaks no HTTP", _raw(CANARY.encode() * 9), ("does not answer",)),
    Behavior("half of a header", _raw(b"HTTP/1.1 200 OK\r\nContent-Ty"), ("does not answer", "not JSON", "whole")),
    Behavior("a header without end", _raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000), ("does not answer",)),
    Behavior("hundreds of headers", _raw(b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 900 + b"\r\n"), ("does not answer",)),
    Behavior("a status that is none", _raw(b"HTTP/1.1 abc OK\r\n\r\n"), ("does not answer",)),
    Behavior("a body cut in half", _cut(0.5), ("whole",)),
    Behavior("a body cut at once", _cut(0.0), ("whole",)),
    Behavior("chunks cut", _cut_chunks, ("whole",)),
    Behavior("chunks of no size", _raw(_CHUNKED + b"zz\r\n"), ("whole",)),
    Behavior("hangs", _hangs, ("in time",)),
    Behavior("hangs in a body", _hangs_in_body, ("in time",)),
    Behavior("drips for ever", _drips, ("in time", "time_limit")),
    Behavior("drips headers for ever", _drips_headers, ("in time", "time_limit", "does not answer")),
    Behavior("slow, and marked with a charset", _slowly, harmless=True),
    Behavior("packed", _gzip(broken=False), harmless=True),
    Behavior("packed and broken", _gzip(broken=True), ("whole", "not JSON")),
    Behavior("a bomb", _body(packed(b" " * 40_000_000), {"Content-Encoding": "gzip"}), ("larger",)),
    Behavior("a huge body", _body(b" " * 4_000_000), ("larger",)),
    # statuses
    *(Behavior(f"status {n}", _status(n), ("fails",)) for n in (500, 502, 503, 504)),
    Behavior("overloaded, come back", _status(503, Retry_After="0"), ("fails",)),
    Behavior("too many requests", _status(429, Retry_After="0"), ("fewer requests",)),
    Behavior("too many requests until a time", _status(429, Retry_After=_SOON), ("fewer requests",)),
    Behavior("too many requests for a week", _status(429, Retry_After="604800"), ("fewer requests",)),
    Behavior("too many requests, no number", _status(429, Retry_After=CANARY), ("fewer requests",)),
    Behavior("not logged in", _status(401), ("token",)),
    Behavior("forbidden", _status(403), ("students",)),
    Behavior("not found", _status(404), ("students",)),
    Behavior("a bad request", _status(400), ("refuses the request",)),
    Behavior("a teapot", _status(418), ("refuses the request",)),
    Behavior("elsewhere", _redirect(f"http://{CANARY}.example.org/"), ("another address",)),
    Behavior("round and round", _redirect(""), ("another address",)),
    Behavior("moved for good", _redirect(f"/{CANARY}", 308), ("another address",)),
    # bodies
    Behavior("a page of HTML", _body(_HTML, kind="text/html"), _JSON_PROBLEM),
    Behavior("HTML that calls itself JSON", _body(_HTML), _JSON_PROBLEM),
    Behavior("JSON that calls itself text", _body([], kind="text/plain"), _JSON_PROBLEM),
    Behavior("nothing", _body(b""), _JSON_PROBLEM),
    Behavior("half of the JSON", _cut_json, _JSON_PROBLEM),
    Behavior("a comma too many", _body(b"[{},]"), _JSON_PROBLEM),
    Behavior("latin-1", _body(f'[{{"id": "Z\xfcrich {CANARY}"}}]'.encode("latin-1")), _JSON_PROBLEM),
    Behavior("UTF-16", _body('[{"id": "1"}]'.encode("utf-16")), _JSON_PROBLEM),
    Behavior("too deep", _body(b"[" * 100_000), _JSON_PROBLEM),
    Behavior("not a number", _body(b'[{"id": "1", "studentUniqueId": NaN}]'), _JSON_PROBLEM),
    Behavior(
        "a number of 5,000 digits", _body(b'[{"id": "1", "studentUniqueId": ' + b"9" * 5000 + b"}]"), _JSON_PROBLEM
    ),
    Behavior("an object", _body({"message": CANARY}), ("list of records",)),
    Behavior("null", _body(b"null"), ("list of records",)),
    Behavior("a list of texts", _body([CANARY] * 10), ("list of records",)),
    Behavior("records without ids", _changed(_without("id")), ("list of records",)),
    Behavior("records with numbers as ids", _changed(_with(id=7)), ("list of records",)),
    Behavior("records with a path as id", _changed(_with(id="../../secrets")), ("list of records",)),
    # shape
    Behavior("a value became an object", _changed(_with(studentUniqueId={"value": CANARY})), ("another type",)),
    Behavior("a value became a list", _changed(_with(studentUniqueId=[CANARY])), ("another type",)),
    Behavior("a property is gone", _changed(_without("studentUniqueId")), ("no record has studentUniqueId",)),
    # totals and pages
    Behavior("no total", _changed(lambda rows, _: (rows, None)), ("how many",)),
    Behavior("a total that is no number", _changed(lambda rows, _: (rows, CANARY)), ("how many",)),
    Behavior("a total too high", _changed(lambda rows, total: (rows, total + 7)), ("counts more or fewer",)),
    Behavior("a total too low", _changed(lambda rows, total: (rows, total - 7)), ("counts more or fewer",)),
    Behavior("a total of a page", _changed(lambda rows, _: (rows, len(rows))), ("counts more or fewer",)),
    Behavior(
        "the same record again and again",
        _changed(lambda rows, total: (rows[:1] * len(rows), total)),
        ("counts more or fewer",),
    ),
    Behavior("always the first page", _first_page, ("counts more or fewer",)),
    Behavior("empty pages", _changed(lambda _, total: ([], total)), ("counts more or fewer",)),
    Behavior(
        "more than was asked for",
        _changed(lambda rows, total: ([*rows, *(student(n) for n in range(900, 930))], total)),
        ("counts more or fewer",),
    ),
    Behavior("pages without end", _endless, ("come to an end", "counts more or fewer")),
    Behavior("the same token for ever", _same_token, ("come to an end", "counts more or fewer")),
    # the way in
    Behavior("no token", _body({"error": CANARY}), ("token",), _TOKEN),
    Behavior(
        "a token of two lines", _body({"access_token": f"a\r\nX: {CANARY}", "token_type": "bearer"}), ("token",), _TOKEN
    ),
    Behavior("a token of HTML", _body(_HTML, kind="text/html"), ("not JSON",), _TOKEN),
    Behavior("a list for a token", _body([CANARY]), ("token",), _TOKEN),
    Behavior("no entry", _status(401), ("key and secret",), _TOKEN),
    Behavior("the token is elsewhere", _redirect("http://127.0.0.1:9/"), ("another address",), _TOKEN),
    Behavior("no token today", _status(500), ("fails",), _TOKEN),
    Behavior("a page for discovery", _body(_HTML, kind="text/html"), ("not JSON",), _DISCOVERY),
    Behavior("a list for discovery", _body([1]), ("discovery",), _DISCOVERY),
    Behavior(
        "an API elsewhere",
        _discovery(dataManagementApi=f"http://{CANARY}.example.org/data"),
        ("another host",),
        _DISCOVERY,
    ),
    Behavior("tokens elsewhere", _discovery(oauth="http://127.0.0.1:9/oauth"), ("another host",), _DISCOVERY),
    Behavior(
        "a year to be filled in",
        _discovery(dataManagementApi="http://127.0.0.1/{schoolYearFromRoute}/data"),
        ("school year",),
        _DISCOVERY,
    ),
    Behavior("no urls", _discovery(oauth=None), ("discovery",), _DISCOVERY),
    Behavior(
        "change versions of words",
        _body({"oldestChangeVersion": CANARY, "newestChangeVersion": None}),
        ("change version",),
        _VERSIONS,
    ),
    Behavior("a list of change versions", _body([7]), ("change version",), _VERSIONS),
    Behavior("deletions that are no list", _body({"id": guid(1)}), ("list of records",), ("deletes",)),
    Behavior("deletions without ids", _body([{"changeVersion": 1}]), ("list of records",), ("deletes",)),
    Behavior("key changes cut", _raw(_CHUNKED + b"99\r\n["), ("whole",), ("keyChanges",)),
)


@dataclass
class Drawn:
    """A behavior at work. first: which of the requests that it can befall is the first; times: how many are."""

    behavior: Behavior
    ods: Ods
    first: int
    times: int
    seen: int = 0

    def __call__(self, request: Request) -> bool:
        if request.kind not in self.behavior.at or request.resource not in ("", "students"):
            return False
        self.seen += 1
        if not self.first <= self.seen < self.first + self.times:
            return False
        return self.behavior.does(request, self.ods)


def draw(seed: int, ods: Ods) -> Drawn:
    """A behavior by its number, at a request and for a time that the seed draws: once, twice, or for good."""
    by = random.Random(seed)
    behavior = BEHAVIORS[seed % len(BEHAVIORS)]
    return Drawn(behavior, ods, by.choice([1, 1, 2, 4]), by.choice([1, 2, 10_000]))
