"""One conversation with an Ed-Fi ODS/API: discovery, token, polite requests, and errors that say what to do.

Nothing that a server says reaches a message or a log: not its words, not an address that it names, not a token. Of
an answer that is no use only its kind is told. Every wait ends: a request by the patience of this module, all of
them together by the source's own limit.
"""

from __future__ import annotations

import base64
import email.utils
import ipaddress
import json
import logging
import queue
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, NoReturn
from urllib.parse import urlencode, urlsplit

import urllib3

from pipelines.sources import Unreadable
from pipelines.sources.environment import from_environment

#: Requests on their way at a time. More would gain little (docs/adr/0028) and crowd out the API's other clients.
IN_FLIGHT = 4
_PIECE = 64 * 1024
#: A token is renewed so long before it ends, in seconds.
_EARLY = 30.0
#: Answers that a later try may better.
_PASSING = frozenset({408, 425, 500, 502, 503, 504})
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]{1,16000}=*")
#: Tokens that may end under one request.
_RENEWALS = 5


@dataclass(frozen=True)
class Patience:
    """How long is waited, and how much is taken.

    attempts: tries of one request; the wait doubles from `first_wait` to `longest_wait` seconds and is drawn from its
    upper half, so that clients that failed together do not come back together. longest_answer: bytes of one page:
    500 records of 100 kB each.
    """

    attempts: int = 6
    first_wait: float = 0.5
    longest_wait: float = 30.0
    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    longest_answer: int = 50_000_000


#: Replaced by tests.
PATIENCE = Patience()


@dataclass(frozen=True)
class Endpoint:
    """Where the API is and who asks. variable: the environment variable that named it."""

    variable: str
    url: str
    key: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Discovery:
    """What the API says of itself. version: as `(7, 3)`; models: names and versions of its data models."""

    version: tuple[int, ...]
    models: tuple[str, ...]
    oauth: str
    data: str
    changes: str | None


@dataclass(frozen=True)
class Answer:
    """status: 200, or one that the caller tolerates; then there is no value."""

    status: int
    value: Any = field(default=None, repr=False)
    total: int | None = None
    next_token: str | None = field(default=None, repr=False)


class _Again(Exception):
    """An answer that a later try may better. wait: seconds that the server asks for."""

    def __init__(self, problem: Unreadable, wait: float = 0.0) -> None:
        super().__init__(problem.reason)
        self.problem = problem
        self.wait = wait


# --- who asks whom -----------------------------------------------------------------------------------------------


def endpoint(variable: str) -> Endpoint:
    """The address, key and secret that the environment holds. Raises Unreadable; no message holds any of them."""
    url = from_environment(variable, "the API's address, as https://ods.example.org/api/2026")
    key = from_environment(f"{variable}_KEY", "the client's key")
    secret = from_environment(f"{variable}_SECRET", "the client's secret")
    malformed = Unreadable(
        "connection_malformed",
        f"{variable} does not hold the address of an API.",
        None,
        "Write it as https://ods.example.org/api, with the school year or tenant where the API has one "
        "(https://ods.example.org/api/2026); the key and secret stand in variables of their own.",
    )
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise malformed from None
    has_more = parts.username or parts.password or parts.query or parts.fragment
    if parts.scheme not in ("http", "https") or not host or has_more or re.search(r"[\s{}\\]", url):
        raise malformed
    if parts.scheme == "http" and not _is_loopback(host):
        raise Unreadable(
            "not_encrypted",
            f"{variable} holds an address that is not encrypted.",
            None,
            "Write https://. Only an API on this same machine may be asked by http.",
        )
    return Endpoint(variable, url.rstrip("/"), key, secret)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


# --- the conversation --------------------------------------------------------------------------------------------


class Client:
    """Asks one API until its time is up. Use it in a `with` block.

    Requests run on threads that are left behind when the time is up: a server that says nothing holds up nobody.
    """

    def __init__(self, at: Endpoint, seconds: float) -> None:
        # urllib3 logs addresses, and at one place headers, of answers that it cannot read.
        logging.getLogger("urllib3").setLevel(logging.CRITICAL)
        self.at = at
        self.requests = 0
        self._patience = PATIENCE
        self._deadline = time.monotonic() + seconds
        timeout = urllib3.Timeout(connect=self._patience.connect_seconds, read=self._patience.read_seconds)
        self._pool = urllib3.PoolManager(maxsize=IN_FLIGHT, block=True, retries=False, timeout=timeout)
        self._stopped = threading.Event()
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._threads = 0
        self._oauth: str | None = None
        self._token: str | None = None
        self._taken: str | None = None
        self._token_ends = 0.0
        self._token_lock = threading.Lock()
        self._not_before = 0.0

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for _thread in range(self._threads):
            self._queue.put(None)
        self._pool.clear()

    # --- what can be asked

    def discover(self) -> Discovery:
        """The API's own account of itself, at its address. Raises Unreadable."""
        found = self.begin("The discovery document", self.at.url + "/", {}, signed=False).result()
        discovery = self._discovery(found.value)
        self._oauth = discovery.oauth
        return discovery

    def get(
        self, what: str, url: str, params: Mapping[str, str | int], tolerated: frozenset[int] = frozenset()
    ) -> Answer:
        """One answer. what: how messages call it; tolerated: statuses that are the caller's to judge."""
        return self.begin(what, url, params, tolerated=tolerated).result()

    def begin(
        self,
        what: str,
        url: str,
        params: Mapping[str, str | int],
        *,
        tolerated: frozenset[int] = frozenset(),
        signed: bool = True,
    ) -> Pending:
        """Ask, and go on while the answer is on its way."""
        address = f"{url}?{urlencode(params)}" if params else url
        future: Future[Answer] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(self._patiently(what, address, tolerated, signed=signed))
            except BaseException as problem:
                future.set_exception(problem)

        if self._threads < IN_FLIGHT:
            self._threads += 1
            threading.Thread(target=self._work, name="edfi_api", daemon=True).start()
        self._queue.put(work)
        return Pending(future, self._deadline)

    def _work(self) -> None:
        while (work := self._queue.get()) is not None and not self._stopped.is_set():
            work()

    def _discovery(self, found: Any) -> Discovery:
        wrong = Unreadable(
            "not_an_api",
            "The address does not lead to an Ed-Fi API: its discovery document is not one.",
            None,
            f"Check the address in {self.at.variable}: opened in a browser it shows a version and a list of urls.",
        )
        if not isinstance(found, dict) or not isinstance(found.get("urls"), dict):
            raise wrong
        urls = {name: found["urls"].get(name) for name in ("oauth", "dataManagementApi", "changeQueries")}
        version = re.match(r"(\d{1,4})((?:\.\d{1,6})*)", str(found.get("version", "")))
        if version is None or not isinstance(urls["oauth"], str) or not isinstance(urls["dataManagementApi"], str):
            raise wrong
        for url in urls.values():
            self._check_named(url)
        models = found.get("dataModels")
        named = [one for one in models if isinstance(one, dict)] if isinstance(models, list) else []
        return Discovery(
            version=tuple(int(part) for part in version.group(0).split(".")),
            models=tuple(sorted(f"{one.get('name')} {one.get('version')}" for one in named)),
            oauth=urls["oauth"],
            data=urls["dataManagementApi"].rstrip("/"),
            changes=urls["changeQueries"].rstrip("/") if urls["changeQueries"] else None,
        )

    def _check_named(self, url: object) -> None:
        """Raises Unreadable unless an address of the discovery document is one to which the secret may go."""
        if url is None:
            return
        if isinstance(url, str) and re.search(r"[{}]", url):
            raise Unreadable(
                "route_missing",
                "The API serves several years or tenants, and the address names none.",
                None,
                f"Add the school year or tenant to the address in {self.at.variable}, as .../api/2026.",
            )
        try:
            is_same = isinstance(url, str) and _origin(url) == _origin(self.at.url) and not re.search(r"[\s?#@]", url)
        except ValueError:
            is_same = False
        if not is_same:
            raise Unreadable(
                "another_host",
                "The API's discovery document names another host, port or protocol than the one asked.",
                None,
                f"Write the address under which the API knows itself into {self.at.variable}, or have the API told of "
                "the proxy before it. The secret is sent to no other host.",
            )

    # --- one request, with patience

    def _patiently(self, what: str, address: str, tolerated: frozenset[int], *, signed: bool) -> Answer:
        renewals = 0
        attempt = 0
        while True:
            self._pause()
            token = self._valid_token() if signed else None
            try:
                headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
                answer = self._once(what, "GET", address, headers, None, tolerated | {401})
            except _Again as problem:
                attempt += 1
                self._wait(problem, attempt)
                continue
            if answer.status != 401:
                self._taken = token or self._taken
                return answer
            # A token that was taken before has ended; one that never was is no matter of time.
            if token is None or renewals >= _RENEWALS or (renewals and token != self._taken):
                raise _token_refused(what)
            renewals += 1
            with self._token_lock:
                if self._token == token:
                    self._token = None

    def _wait(self, problem: _Again, attempt: int) -> None:
        """Wait before the next attempt. Raises Unreadable when there is none, or not enough time for it."""
        if attempt >= self._patience.attempts:
            raise problem.problem
        wait = min(self._patience.first_wait * 2 ** (attempt - 1), self._patience.longest_wait)
        wait *= 0.5 + random.random() / 2  # noqa: S311 (no secret)
        wait = max(wait, problem.wait)
        if wait > self._left():
            raise problem.problem
        if problem.wait:
            self._not_before = max(self._not_before, time.monotonic() + problem.wait)
        self._stopped.wait(wait)

    def _pause(self) -> None:
        """Hold back while the server has asked all of this client's requests to."""
        wait = self._not_before - time.monotonic()
        if wait > 0:
            self._stopped.wait(min(wait, max(self._left(), 0.0)))
        if self._left() <= 0 or self._stopped.is_set():
            raise too_slow()

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _valid_token(self) -> str:
        with self._token_lock:
            if self._token is None or time.monotonic() >= self._token_ends:
                self._token, self._token_ends = self._new_token()
            return self._token

    def _new_token(self) -> tuple[str, float]:
        pair = base64.b64encode(f"{self.at.key}:{self.at.secret}".encode()).decode()
        headers = {
            "Accept": "application/json",
            "Authorization": f"Basic {pair}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        attempt = 0
        begun = time.monotonic()
        while True:
            self._pause()
            try:
                statuses = frozenset({400, 401, 403})
                body = b"grant_type=client_credentials"
                answer = self._once("The token", "POST", self._oauth or "", headers, body, statuses)
                break
            except _Again as problem:
                attempt += 1
                self._wait(problem, attempt)
        if answer.status in statuses:
            raise Unreadable(
                "login_refused",
                "The API does not accept the key and secret.",
                None,
                f"Check {self.at.variable}_KEY and {self.at.variable}_SECRET: they must belong to this API and year.",
            )
        found = answer.value if isinstance(answer.value, dict) else {}
        token, seconds = found.get("access_token"), found.get("expires_in", 1800)
        if (
            not isinstance(token, str)
            or not _TOKEN.fullmatch(token)
            or str(found.get("token_type")).lower() != "bearer"
        ):
            raise Unreadable(
                "not_a_token",
                "The API's token endpoint does not give a token.",
                None,
                "Ask the API's host: the endpoint named under urls.oauth must answer as OAuth 2.0 describes.",
            )
        life = float(seconds) if isinstance(seconds, (int, float)) and 0 < seconds < 1e9 else 60.0
        return token, begun + max(life - _EARLY, life / 2)

    # --- one request, once

    def _once(
        self,
        what: str,
        method: str,
        address: str,
        headers: dict[str, str],
        body: bytes | None,
        tolerated: frozenset[int],
    ) -> Answer:
        """Ask once. Raises _Again where another try may help, else Unreadable."""
        self.requests += 1
        try:
            response = self._pool.request(
                method, address, headers=headers, body=body, redirect=False, preload_content=False
            )
        except urllib3.exceptions.SSLError:
            raise _not_trusted() from None
        except urllib3.exceptions.TimeoutError:
            raise _Again(_silent(what)) from None
        except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError):
            raise _Again(_cannot_connect(self.at.variable)) from None
        try:
            self._check_status(what, response, tolerated)
            if response.status != 200:
                return Answer(response.status)
            value = self._json(what, response, self._body(what, response))
            return Answer(200, value, _whole_number(response.headers.get("Total-Count")), _page_token(response))
        finally:
            # What is left unread would be the beginning of the next answer.
            if response.status != 200:
                response.close()
            response.release_conn()

    def _check_status(self, what: str, response: urllib3.BaseHTTPResponse, tolerated: frozenset[int]) -> None:
        status = response.status
        if status == 200 or status in tolerated:
            return
        if status == 429:
            raise _Again(_too_often(what), _retry_after(response.headers.get("Retry-After")))
        if status in _PASSING:
            raise _Again(_server_error(what, status), _retry_after(response.headers.get("Retry-After")))
        if 300 <= status < 400:
            raise Unreadable(
                "redirected",
                f"{what}: the API sends the request to another address ({status}).",
                None,
                f"Write the address under which the API answers into {self.at.variable}. No redirect is followed.",
            )
        if status == 403:
            raise not_permitted(what)
        if status == 404:
            raise missing_resource(what)
        raise Unreadable(
            "request_refused",
            f"{what}: the API refuses the request ({status}).",
            None,
            "Check that this is an Ed-Fi ODS/API of 5.x to 7.x, and ask its host what its log says.",
        )

    def _body(self, what: str, response: urllib3.BaseHTTPResponse) -> bytes:
        """The whole body. A part is read at a time, so that neither size nor slowness gets past their limits."""
        parts: list[bytes] = []
        size = 0
        ends = min(self._deadline, time.monotonic() + 5 * self._patience.read_seconds)
        try:
            while piece := response.read1(_PIECE, decode_content=True):
                parts.append(piece)
                size += len(piece)
                if size > self._patience.longest_answer:
                    response.close()
                    raise Unreadable(
                        "answer_too_large",
                        f"{what}: a page is larger than {self._patience.longest_answer // 1_000_000} MB.",
                        None,
                        "Ask the API's host: 500 records are a few MB at most.",
                    )
                if time.monotonic() > ends:
                    response.close()
                    raise _Again(_silent(what))
        except urllib3.exceptions.TimeoutError:
            response.close()
            raise _Again(_silent(what)) from None
        except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError):
            response.close()
            raise _Again(_cut_off(what)) from None
        return b"".join(parts)

    def _json(self, what: str, response: urllib3.BaseHTTPResponse, body: bytes) -> Any:
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not re.fullmatch(r"application/[\w.\-]+\+json", kind):
            raise _Again(_not_json(what, "it is not marked as JSON, as a page of a proxy or a login would be"))
        try:
            return json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant)
        except UnicodeDecodeError:
            raise _Again(_not_json(what, "it is not UTF-8")) from None
        except (ValueError, RecursionError):
            raise _Again(_not_json(what, "it cannot be read as JSON")) from None


@dataclass(frozen=True)
class Pending:
    """An answer on its way."""

    _future: Future[Answer] = field(repr=False)
    _deadline: float

    def result(self) -> Answer:
        """The answer. Raises Unreadable; at the latest when the source's time is up."""
        try:
            return self._future.result(max(0.0, self._deadline - time.monotonic()))
        except (FutureTimeoutError, CancelledError):
            raise too_slow() from None

    def cancel(self) -> None:
        self._future.cancel()


# --- small things ------------------------------------------------------------------------------------------------


def _no_constant(_: str) -> NoReturn:
    raise ValueError


def _whole_number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,15}", text.strip()) else None


def _page_token(response: urllib3.BaseHTTPResponse) -> str | None:
    token = response.headers.get("Next-Page-Token", "").strip()
    return token if re.fullmatch(r"[\x21-\x7e]{1,2000}", token) else None


def _retry_after(text: str | None) -> float:
    """Seconds that a server asks to wait, as a number or as a time of day; 0 where it does not say."""
    if not text:
        return 0.0
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return float(text)
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    return 0.0


# --- what went wrong ---------------------------------------------------------------------------------------------

_GOES_ON = "What came in so far is kept: the next run goes on from there."


def too_slow() -> Unreadable:
    return Unreadable(
        "api_too_slow",
        f"The API's answers took longer than time_limit_seconds. {_GOES_ON}",
        None,
        "Run again, or raise time_limit_seconds; a first night fetches everything and takes longest.",
    )


def not_permitted(what: str) -> Unreadable:
    return Unreadable(
        "not_permitted",
        f"{what}: the API does not let this client read it (403).",
        None,
        f"Ask the API's host to add it to the client's claim set with the action Read: {what}.",
    )


def missing_resource(what: str) -> Unreadable:
    return Unreadable(
        "missing_resource",
        f"{what}: the API has no such resource (404).",
        None,
        "Check the address (school year or tenant), and under entities: of the source name only what this API holds.",
    )


def _token_refused(what: str) -> Unreadable:
    return Unreadable(
        "token_refused",
        f"{what}: the API refuses a token that it has just given (401).",
        None,
        "Check that key and secret belong to this API and school year, and that the clocks of its servers agree.",
    )


def _not_trusted() -> Unreadable:
    return Unreadable(
        "certificate_refused",
        "The API's certificate is not valid for its address, has expired, or was issued by nobody known here.",
        None,
        "Have it renewed; for an authority of the district's own, name its file in SSL_CERT_FILE.",
    )


def _cannot_connect(variable: str) -> Unreadable:
    return Unreadable(
        "cannot_connect",
        f"The API does not answer, or breaks the connection. {_GOES_ON}",
        None,
        f"Check the address in {variable}, the network, and that the API runs; then run again.",
    )


def _silent(what: str) -> Unreadable:
    return Unreadable(
        "no_answer",
        f"{what}: the API accepts requests and does not answer them in time. {_GOES_ON}",
        None,
        "Run when the API is less busy, and ask its host.",
    )


def _cut_off(what: str) -> Unreadable:
    return Unreadable(
        "answer_cut_off",
        f"{what}: the API's answers end before they are whole. {_GOES_ON}",
        None,
        "Run again; if it stays so, ask the API's host for the limits of the proxy before it.",
    )


def _not_json(what: str, why: str) -> Unreadable:
    return Unreadable(
        "not_json",
        f"{what}: what the API answers is not JSON ({why}). {_GOES_ON}",
        None,
        "Check the address: a proxy or a login page may stand before the API.",
    )


def _too_often(what: str) -> Unreadable:
    return Unreadable(
        "too_many_requests",
        f"{what}: the API asks for fewer requests than it answers (429). {_GOES_ON}",
        None,
        "Run at another hour, raise time_limit_seconds, or ask the API's host for a higher limit.",
    )


def _server_error(what: str, status: int) -> Unreadable:
    return Unreadable(
        "server_error",
        f"{what}: the API fails ({status}), again and again. {_GOES_ON}",
        None,
        "Ask the API's host what its log says at this time; then run again.",
    )
