"""An Ed-Fi ODS/API as a source: each night its resources as they stand, one kept file for each.

The first night fetches everything. Later nights ask what changed since (records, key changes, deletions) and put it
into the last kept file, so that every file is the resource's whole state: what is read afterwards is a function of
kept files, as for any other source.

How completeness is proved. Pages are asked within a span of change versions whose end lies still. Records can only
leave such a span, by a change or a deletion, and none can enter it. So when the API counts as many records
afterwards as before, and as many different ones came in, none was skipped. When the count fell, pages may have
shifted: they are asked again from the last to the first, where a shift can only repeat a record. What left
the span is asked for in a next one, until all that changed since fits into one answer: that is the state of one moment.

How far a resource has come (`marks.json`) is written when its file is safe in landing, and names that file.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.config import Source
from pipelines.deliveries import DeliveredFile
from pipelines.home import Home, write_atomically
from pipelines.raw_files import stored_path
from pipelines.sources import Unreadable, entities_of
from pipelines.sources.edfi_api_client import (
    IN_FLIGHT,
    Answer,
    Client,
    Discovery,
    endpoint,
)
from pipelines.sources.edfi_api_rules import Kept, is_optional, kept_of, required_of, resources_for
from pipelines.sources.edfi_api_spool import Row, Spool, Window, resource_of

#: Records of a page: the most that an API gives unless its host set less.
PAGE_ROWS = 500
#: What to try where an API refuses pages of that size. 25 is the default of every API.
_SMALLER = (100, 25)
#: Change versions that are asked for again. A change gets its version before it can be seen, so one that was on its
#: way when the last run asked can lie below the mark. A request changes one record and those that name it.
OVERLAP = 5_000
#: Spans asked for in one night, each for what the one before could not catch.
_PASSES = 6
#: Raised by one when what is kept of a record changes: then everything is fetched anew.
_FORM = 1
#: After these nothing that came in can be trusted; after others the pages that are in stay.
_UNPROVEN = frozenset({"totals_differ", "total_missing", "paging_loops", "not_records", "schema_changed"})
_ID = re.compile(r"[A-Za-z0-9_\-]{1,100}")
_FORBIDDEN_OR_MISSING = frozenset({403, 404})


@dataclass(frozen=True)
class Fetched:
    """The files of a night. note: how much came how fast, for the log; it holds counts and names of resources."""

    files: tuple[DeliveredFile, ...]
    note: str


def fetch(source_id: str, source: Source, *, home: Home, scratch: Path, keep: Callable[[Path], str]) -> Fetched:
    """Fetch what the source's entities need, and keep one file for each resource.

    keep: puts a file into landing and gives its SHA-256. Raises Unreadable: then the resources that were whole
    before are kept and marked, pages of the one at work are kept, and the next run goes on from there.
    """
    begun = time.monotonic()
    with Client(endpoint(source.connection or ""), source.time_limit_seconds) as client:
        night = _Night(source_id, client, client.discover(), home, scratch, keep)
        files = night.files(resources_for(frozenset(entities_of(source))))
    seconds = max(time.monotonic() - begun, 0.001)
    note = (
        f"{night.received:,} records of {len(files)} resources in {seconds:.1f} s ({night.received / seconds:,.0f} a "
        f"second), {client.requests:,} requests, up to {IN_FLIGHT} at a time"
    )
    return Fetched(files, ". ".join([note, *night.notes]))


@dataclass(frozen=True)
class _Mark:
    """How far a resource has come. file_id: its state then; reached: the change version of that state."""

    question: str
    file_id: str
    reached: int


class _NoChanges(Exception):
    """The API does not tell what was deleted or renamed. The argument says why, in words for people."""


@dataclass
class _Night:
    source_id: str
    client: Client
    api: Discovery
    home: Home
    scratch: Path
    keep: Callable[[Path], str]
    received: int = 0
    notes: list[str] = field(default_factory=list)

    def files(self, resources: list[str]) -> tuple[DeliveredFile, ...]:
        """All resources, each in a file. What the API forbids or lacks is told for all of them at once."""
        span = self._available()
        files, refused = [], []
        for resource in resources:
            try:
                file_id = self._resource(resource, span)
            except Unreadable as problem:
                if problem.reason not in ("not_permitted", "missing_resource"):
                    raise
                refused.append(problem)
                continue
            if file_id is not None:
                files.append(DeliveredFile(f"{self.source_id}/{resource}.parquet", file_id))
        if refused:
            raise _all_of(refused)
        return tuple(sorted(files))

    # --- one resource

    def _resource(self, resource: str, span: tuple[int, int] | None) -> str | None:
        """Fetch one resource whole and keep it: its file. None where the API may do without it and does."""
        question = self._question(resource)
        mark = self._usable_mark(resource, question, span)
        try:
            return self._fetched(resource, question, mark, span)
        except _NoChanges as why:
            self.notes.append(f"{resource}: fetched whole, since {why}")
            return self._fetched(resource, question, None, span, with_deletions=False)

    def _fetched(
        self,
        resource: str,
        question: str,
        mark: _Mark | None,
        span: tuple[int, int] | None,
        *,
        with_deletions: bool = True,
    ) -> str | None:
        about = json.dumps([question, mark.file_id if mark else None])
        spool = Spool(self._folder() / f"{resource}.sqlite", about)
        try:
            if not _goes_on(spool.reached(), span):
                spool.remove()
                spool = Spool(spool.path, about)
            url = f"{self.api.data}/ed-fi/{resource}"
            one = _Resource(resource, url, self.client, self.api, spool, with_deletions)
            reached = one.run(mark.reached if mark else None, span[1] if span else None, self._newest)
            if reached is _ABSENT:
                spool.remove()
                return None
            self.received += one.received
            path = self.scratch / "resource.parquet"
            spool.export(stored_path(self.home, mark.file_id) if mark else None, resource, path)
            file_id = self.keep(path)
            path.unlink()
            if one.incomplete:
                # Told in quarantine, record by record. Where the fault was the API's, only asking again mends it.
                self.notes.append(
                    f"{resource}: {one.incomplete:,} records lack what the standard requires; the next "
                    "night fetches everything again"
                )
                reached = None
            # Only now, when the file is safe: a run killed before finds the spool and asks for nothing again.
            self._write_mark(resource, None if reached is None else _Mark(question, file_id, reached))
            spool.remove()
            return file_id
        except Unreadable as problem:
            if problem.reason in _UNPROVEN:
                spool.remove()
            raise
        except sqlite3.Error as problem:
            raise _not_kept(type(problem).__name__) from None
        finally:
            with suppress(sqlite3.Error):
                spool.close()

    def _question(self, resource: str) -> str:
        """What a kept state depends on beside the data: another API, data model or rule is asked from the start."""
        facts = [_FORM, self.client.at.url, self.api.models, resource, kept_of(resource)]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    # --- change versions

    def _available(self) -> tuple[int, int] | None:
        """The oldest and newest change version; None where the API has no change queries."""
        if self.api.changes is None:
            return None
        what = "availableChangeVersions"
        answer = self.client.get(what, f"{self.api.changes}/{what}", {}, tolerated=_FORBIDDEN_OR_MISSING)
        if answer.status != 200:
            return None
        found = {str(name).lower(): value for name, value in answer.value.items()} if _is_map(answer.value) else {}
        ends = [_version(found.get(f"{end}changeversion")) for end in ("oldest", "newest")]
        if ends[0] is None or ends[1] is None:
            raise Unreadable(
                "not_change_versions",
                "The API does not say its oldest and newest change version.",
                None,
                "Ask the API's host: availableChangeVersions must name both, as the Ed-Fi API describes.",
            )
        return ends[0], ends[1]

    def _newest(self) -> int | None:
        span = self._available()
        return span[1] if span else None

    def _usable_mark(self, resource: str, question: str, span: tuple[int, int] | None) -> _Mark | None:
        """How far the resource came before; None where everything is to be asked."""
        mark = self._marks().get(resource)
        if mark is None or mark.question != question or resource_of(stored_path(self.home, mark.file_id)) != resource:
            return None
        if span is None:
            return None
        if span[0] > mark.reached or span[1] < mark.reached:
            self.notes.append(f"{resource}: fetched whole, since the API no longer knows what changed since last time")
            return None
        return mark

    # --- marks

    def _folder(self) -> Path:
        return self.home.landing / "edfi_api" / self.source_id

    def _marks(self) -> dict[str, _Mark]:
        try:
            found = json.loads((self._folder() / "marks.json").read_text(encoding="utf-8"))
            return {name: _Mark(**fields) for name, fields in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}  # then everything is fetched anew

    def _write_mark(self, resource: str, mark: _Mark | None) -> None:
        marks = self._marks()
        marks.pop(resource, None)
        if mark is not None:
            marks[resource] = mark
        fields = {name: vars(one) for name, one in sorted(marks.items())}
        write_atomically(self._folder() / "marks.json", json.dumps(fields, indent=1) + "\n")


#: What `_Resource.run` gives for a resource that the API does not have and may lack.
_ABSENT = -1


@dataclass
class _Resource:
    """One resource on its way into its spool."""

    name: str
    url: str
    client: Client
    api: Discovery
    spool: Spool
    with_deletions: bool
    received: int = 0
    incomplete: int = 0

    def run(self, reached: int | None, newest: int | None, ask_newest: Callable[[], int | None]) -> int | None:
        """Bring the spool up to `newest`: the change version that its state has (None: the API has none).

        reached: the change version of the state before, None to fetch everything. Gives _ABSENT where the API may
        lack the resource and does.
        """
        finished = self.spool.finished()
        if finished is not None:
            reached = finished.hi
        window = self.spool.unfinished()
        if window is not None and window.way == "tail":
            self.spool.forget(window)
        overlap = OVERLAP
        for _ in range(_PASSES):
            window = self.spool.unfinished()
            if window is None:
                lo = None if reached is None else max(reached + 1 - overlap, 0)
                if lo is not None and newest is not None:
                    found = self._tail(lo, newest)
                    if found is not False:
                        return newest if found else _ABSENT
                window = self.spool.begin(lo, newest)
            if not self._window(window):
                return _ABSENT
            if window.hi is None:
                return None
            reached, overlap = window.hi, 0
            newest = ask_newest()
        raise Unreadable(
            "changes_too_fast",
            f"{self.name}: records change faster than they can be fetched.",
            None,
            "Run when less is written into the API, best at night. What came in is kept.",
        )

    def _tail(self, lo: int, newest: int) -> bool | None:
        """Everything since a change version, if that is one answer: then the state is that of one moment.

        False where it is more, and a span has to be begun; None where there is no such resource.
        """
        first = self._first(Window(0, lo, None))
        if first is None:
            return None
        answer, size = first
        rows = self._records(answer)
        if answer.total != len(rows) or len(rows) >= size:
            return False
        window = self.spool.begin(lo, newest)
        self.spool.describe(window, total=len(rows), size=size, way="tail")
        self.spool.add_page(window, 0, rows)
        self._changes(window, Window(window.number, lo, None, size=size))
        self.spool.finish(window)
        return True

    def _window(self, window: Window) -> bool:
        """Fetch one span whole. False where there is no such resource."""
        if not self._rows(window):
            return False
        if window.lo is not None:
            self._changes(window, window)
        self.spool.finish(window)
        return True

    def _changes(self, window: Window, asked: Window) -> None:
        """What records alone do not tell of a span. asked: the span as the API is asked for it."""
        if self.with_deletions:
            self._key_changes(asked)
            # After the records, so that what is deleted while they come in is known to be gone.
            self._list(asked, "deletes", self.spool.add_gone)
            self._moved_alone(window)

    # --- records

    def _rows(self, window: Window) -> bool:
        if window.way is not None:
            if window.way != "reverse" and self._count(window) == window.total:
                self._go_on(window)
                return True
            # Of a span that shrank since, pages that are in may overlap others or leave gaps.
            self.spool.forget(window)
        return self._begin(window)

    def _first(self, window: Window) -> tuple[Answer, int] | None:
        """The first page, and how many records were asked for. None where there is no such resource."""
        absent = frozenset({404}) if is_optional(self.name) else frozenset[int]()
        for size in (PAGE_ROWS, *_SMALLER):
            params = self._params(window, limit=size, totalCount="true")
            too_many = frozenset({400}) if size != _SMALLER[-1] else frozenset[int]()
            first = self.client.get(self.name, self.url, params, absent | too_many)
            if first.status == 404:
                return None
            if first.status == 200:
                break
        if first.total is None:
            raise _no_total(self.name)
        return first, size

    def _begin(self, window: Window, *, again: bool = False) -> bool:
        """Ask for the first page, which tells how many there are and how to ask for the others, and for them."""
        found = self._first(window)
        if found is None:
            return False
        first, size = found
        rows, total = self._records(first), first.total or 0
        if total < len(rows) and not again:
            return self._begin(window, again=True)  # counted a moment later than read
        if total < len(rows) or len(rows) > size or (total and not rows):
            raise _totals_differ(self.name)
        if total > len(rows) and first.next_token is None:
            size = len(rows)  # some hosts allow less than is asked, and say nothing
        way = "cursor" if first.next_token else "offset"
        self.spool.describe(window, total=total, size=size, way=way)
        self.spool.add_page(window, 0, rows, first.next_token)
        # Otherwise all came in one answer.
        if not (total == len(rows) < size and self.spool.count(window) == total):
            self._go_on(Window(window.number, window.lo, window.hi, total, size, first.next_token, way))
        return True

    def _go_on(self, window: Window) -> None:
        """Ask for the pages that are not in yet, and prove that none is missing."""
        total = window.total or 0
        if window.way == "cursor":
            self._follow(window)
        else:
            # To the place behind the last record, where a count that is too low would show.
            known = self.spool.pages(window)
            places = range(0, total + 1, window.size or PAGE_ROWS)
            self._pages(window, [place for place in places if place not in known], total)
        after = self._count(window)
        found = self.spool.count(window)
        if after == total == found:
            return
        if window.way == "cursor":
            # A cursor goes by the records' own order and never shifts.
            if found < after:
                raise _totals_differ(self.name)
            return
        self.spool.forget(window)
        # From where the last record was first, whatever the API counts now: behind it pages are empty.
        self._in_reverse(window, max(total, after))

    def _pages(self, window: Window, places: list[int], total: int) -> None:
        """Pages by their offset, some on their way at a time."""
        size = window.size or PAGE_ROWS
        on_their_way: deque[tuple[int, Any]] = deque()
        waiting = deque(places)
        while waiting or on_their_way:
            while waiting and len(on_their_way) < IN_FLIGHT:
                place = waiting.popleft()
                params = self._params(window, offset=place, limit=size)
                on_their_way.append((place, self.client.begin(self.name, self.url, params)))
            place, pending = on_their_way.popleft()
            rows = self._records(pending.result())
            if window.hi is not None and len(rows) > min(size, total - place):
                raise _totals_differ(self.name)
            self.spool.add_page(window, place, rows)

    def _in_reverse(self, window: Window, total: int) -> None:
        """All pages from the last to the first, one at a time."""
        size = window.size or PAGE_ROWS
        self.spool.describe(window, total=total, size=size, way="reverse")
        for place in reversed(range(0, total + 1, size)):
            answer = self.client.get(self.name, self.url, self._params(window, offset=place, limit=size))
            self.spool.add_page(window, place, self._records(answer))
        if self.spool.count(window) < self._count(window):
            raise _totals_differ(self.name)

    def _follow(self, window: Window) -> None:
        """Pages by cursor: each names the next."""
        size, token = window.size or PAGE_ROWS, window.token
        place = len(self.spool.pages(window))
        # A cursor may end a page early, but not for ever.
        most = 2 * (window.total or 0) // size + 20
        while token is not None:
            answer = self.client.get(self.name, self.url, self._params(window, pageToken=token, pageSize=size))
            if place > most or answer.next_token == token:
                raise Unreadable(
                    "paging_loops",
                    f"{self.name}: the API's pages do not come to an end.",
                    None,
                    "Ask the API's host: Next-Page-Token must lead from page to page.",
                )
            token = answer.next_token
            self.spool.add_page(window, place, self._records(answer), token)
            place += 1

    def _count(self, window: Window) -> int:
        """How many records the API counts in the span now."""
        answer = self.client.get(self.name, self.url, self._params(window, limit=1, totalCount="true"))
        if answer.total is None:
            raise _no_total(self.name)
        return answer.total

    def _params(self, window: Window, **params: str | int) -> dict[str, str | int]:
        if window.lo is not None:
            params["minChangeVersion"] = window.lo
        if window.hi is not None:
            params["maxChangeVersion"] = window.hi
        return params

    def _records(self, answer: Answer) -> list[Row]:
        """The records of a page: id, and what is kept of each, as JSON."""
        if not isinstance(answer.value, list):
            raise _not_records(self.name)
        rows = [self._record(value) for value in answer.value]
        self.received += len(rows)
        return rows

    def _record(self, value: object) -> Row:
        id_ = _id_of(value, self.name)
        try:
            kept = _kept(value, kept_of(self.name), "")
            self.incomplete += not all(any(_has(kept, path) for path in paths) for paths in required_of(self.name))
            return id_, json.dumps(kept, separators=(",", ":"), allow_nan=False)
        except _OtherType as place:
            raise schema_changed(self.name, f"{place} is of another type than the Ed-Fi standard gives it") from None
        except (ValueError, RecursionError):
            raise _not_records(self.name) from None

    # --- what is no longer there, and what is called otherwise

    def _key_changes(self, window: Window) -> None:
        try:
            self._list(window, "keyChanges", self.spool.add_moved)
        except _NoChanges:
            # ODS/API 5.x has no key changes: there a changed key comes as a changed record, which it is, too.
            if self.api.version[0] > 5:
                raise

    def _moved_alone(self, window: Window) -> None:
        """Records whose key changed, and that did not come by themselves: each is asked for."""
        while ids := self.spool.moved_alone(window):
            for id_ in ids:
                answer = self.client.get(self.name, f"{self.url}/{id_}", {}, tolerated=frozenset({404}))
                if answer.status == 404:
                    self.spool.add_gone(window, [id_])
                    continue
                row = self._record(answer.value)
                if row[0] != id_:
                    raise _not_records(self.name)
                self.spool.add_rows(window, [row])

    def _list(self, window: Window, what: str, add: Callable[[Window, list[str]], int]) -> None:
        """All ids of a list of changes, by pages. Raises _NoChanges where the API does not give it."""
        name = f"{self.name}/{what}"
        size = self._size_of(window)
        offset, total = 0, None
        while total is None or offset < total:
            params = self._params(window, offset=offset, limit=size, totalCount="true")
            answer = self.client.get(name, f"{self.url}/{what}", params, _FORBIDDEN_OR_MISSING)
            if answer.status == 403:
                raise _NoChanges(f"the client may not read {what} (its claim set lacks the action ReadChanges)")
            if answer.status == 404:
                raise _NoChanges(f"the API does not tell {what}")
            if not isinstance(answer.value, list):
                raise _not_records(name)
            total = answer.total if answer.total is not None else total
            ids = [_id_of(value, name) for value in answer.value]
            fresh = add(window, ids)
            offset += len(ids)
            # Without a total: the end, or an old API that knows no pages here and gives all at once.
            if not ids or (total is None and not fresh):
                break
        if total is not None and offset < total:
            raise _totals_differ(name)

    def _size_of(self, window: Window) -> int:
        """The size of page that the API allowed for this span's records."""
        unfinished = self.spool.unfinished()
        is_same = unfinished is not None and unfinished.number == window.number
        return (unfinished.size if unfinished is not None and is_same else None) or PAGE_ROWS


# --- what is kept of a record ------------------------------------------------------------------------------------


class _OtherType(Exception):
    """A property is an object where a value should be, or the other way round. The argument is its path."""


def _kept(value: Any, tree: Kept, path: str) -> Any:
    """The part of a record that the rules take."""
    if isinstance(value, list) and tree:
        return [_kept(item, tree, path) for item in value]
    if isinstance(value, dict) != bool(tree) or isinstance(value, list):
        raise _OtherType(path.removeprefix("/"))
    if not tree:
        return value
    return {
        name: _kept(value[name], below, f"{path}/{name}") for name, below in tree.items() if value.get(name) is not None
    }


def _has(value: Any, path: tuple[str, ...]) -> bool:
    """Whether a record goes down a path, through arrays that are not empty."""
    if not path:
        return value is not None and value != ""
    if isinstance(value, list):
        return bool(value) and all(_has(one, path) for one in value)
    return isinstance(value, dict) and _has(value.get(path[0]), path[1:])


def _goes_on(reached: int | None, span: tuple[int, int] | None) -> bool:
    """Whether a spool that a killed run left can be gone on with. Without change versions nobody knows."""
    return span is not None and (reached is None or span[0] <= reached <= span[1])


def _is_map(value: object) -> bool:
    return isinstance(value, dict)


def _id_of(value: object, what: str) -> str:
    """A record's id; older APIs write `Id` in lists of deletions. Raises Unreadable."""
    found = (value.get("id") or value.get("Id")) if isinstance(value, dict) else None
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise _not_records(what)
    return found.replace("-", "").lower()


def _version(value: object) -> int | None:
    text = str(value)
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


# --- what went wrong ---------------------------------------------------------------------------------------------


def _all_of(problems: list[Unreadable]) -> Unreadable:
    """One problem out of several of the same kind: every resource is named."""
    if len(problems) == 1:
        return problems[0]
    messages = " ".join(one.message for one in problems)
    remedies = " ".join(dict.fromkeys(one.remedy for one in problems))
    return Unreadable(problems[0].reason, messages, None, remedies)


def schema_changed(resource: str, how: str) -> Unreadable:
    """What to say of records that are not as the standard describes them."""
    return Unreadable(
        "schema_changed",
        f"{resource}: {how}.",
        None,
        "Ask the API's host which Data Standard it serves; docs/sources/edfi_api.md lists those that can be read.",
    )


def _not_records(what: str) -> Unreadable:
    return Unreadable(
        "not_records",
        f"{what}: the API's answer is JSON, but not a list of records with ids.",
        None,
        "Check the address, and ask the API's host whether it is an Ed-Fi ODS/API of 5.x to 7.x.",
    )


def _no_total(what: str) -> Unreadable:
    return Unreadable(
        "total_missing",
        f"{what}: the API does not say how many records there are, so nobody can tell when all have come.",
        None,
        "Ask the API's host: a proxy may take away the header Total-Count.",
    )


def _totals_differ(what: str) -> Unreadable:
    return Unreadable(
        "totals_differ",
        f"{what}: the API counts more or fewer records than it gives, also when asked again.",
        None,
        "Ask the API's host; until it is repaired yesterday's records stay in use.",
    )


def _not_kept(kind: str) -> Unreadable:
    return Unreadable(
        "answer_not_kept",
        f"What came in could not be written ({kind}).",
        None,
        "Check that the home's disk has room and may be written.",
    )
