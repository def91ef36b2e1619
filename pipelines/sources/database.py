"""A SQL database as a source: one read-only query, whose answer is kept as a Parquet file like any file received.

`fetch` runs before anything is read: what it writes goes through the Parquet reader, by the same map and into
the same accounts as an exported file. Only the columns that the source's maps name are written. A query with a
high-water mark asks only for what is new; how far the last answer reached stands in that answer's own file, so
the mark moves when a delivery has been accepted, and at no other time.

Drivers' messages never leave `database_drivers`: they may hold values, addresses or passwords.
"""

from __future__ import annotations

import hashlib
import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.config import ColumnMap, EntityMap, Source
from pipelines.deliveries import Receipt
from pipelines.home import Home
from pipelines.raw_files import stored_path
from pipelines.refused_columns import refused_word
from pipelines.sources import Unreadable
from pipelines.sources.database_drivers import MARK, Ask, Item, Mark, connection_url, quoted, too_slow
from pipelines.sources.database_query import fault_of, names_a_file

#: DuckDB types in which marks of a kind are compared.
_COMPARED_AS = {"number": "DECIMAL(38, 9)", "time": "TIMESTAMP", "instant": "TIMESTAMPTZ"}
#: Batches in flight between the driver and the file: enough that neither waits long, a few MB each.
_QUEUED = 2
#: The server is told the same limit and is given so long to say itself that it was reached, in seconds.
_GRACE = 5.0
_ENGINE: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "512MB",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_KEPT_QUERY, _KEPT_KIND, _KEPT_FROM = "equity_query", "equity_mark_kind", "equity_asked_from"


@dataclass(frozen=True)
class Fetched:
    """An answer. path: the Parquet file, in `scratch`; None where an incremental query had nothing new."""

    name: str
    path: Path | None


def fetch(
    source_id: str,
    source: Source,
    *,
    folder: Path,
    time_zone: str,
    receipts: Sequence[Receipt],
    home: Home,
    scratch: Path,
) -> Fetched:
    """Run the source's query and write its answer to a Parquet file of text columns in `scratch`.

    Equal rows give equal bytes, whatever their order: rows are sorted by the mark, then by all columns. folder: that
    of district.yaml. receipts: the source's deliveries so far. Raises Unreadable; nothing half is ever returned.
    """
    query = _query_text(source, folder)
    wanted = _wanted(source, folder)
    mark, is_first = None, True
    fingerprint = _fingerprint(source, query, wanted, time_zone)
    if source.high_water_mark is not None:
        reached = _reached(receipts, fingerprint, home)
        is_first = reached is None
        mark = Mark(source.high_water_mark.column, reached or source.high_water_mark.start)
    url = connection_url(source.connection or "")
    ask = Ask(query, mark, wanted.keeps, source.time_limit_seconds, time_zone)
    path = scratch / "answer.parquet"
    with _Stream(lambda: url.dialect.stream(url, ask), source.time_limit_seconds + _GRACE) as stream:
        schema, kind = stream.schema()
        kept = {_KEPT_QUERY: fingerprint, _KEPT_KIND: kind or "", _KEPT_FROM: mark.value} if mark else {}
        rows = _write(stream, schema, kind, kept, path, scratch)
    if mark is None:
        return Fetched(f"{source_id}.parquet", path)
    name = f"{source_id}/{mark.value.replace(' ', 'T')}.parquet"
    # The first answer is kept even when it is empty: its columns show whether the map fits.
    return Fetched(name, path if rows or is_first else None)


# --- the question ------------------------------------------------------------------------------------------------


def _query_text(source: Source, folder: Path) -> str:
    """The query without a closing semicolon. Raises Unreadable where the .sql file cannot be read or does not fit."""
    query = source.query or ""
    if names_a_file(query):
        try:
            query = (folder / query.strip()).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeError):
            raise Unreadable(
                "query_file_unreadable",
                "The .sql file of the query cannot be read.",
                None,
                "Put it beside district.yaml, as UTF-8 text, under the name that query: gives.",
            ) from None
    query = re.sub(r"[\s;]+\Z", "", query)
    fault = fault_of(query, has_mark=source.high_water_mark is not None)
    if fault is not None:
        reason, message, remedy = fault
        raise Unreadable(reason, message, None, remedy)
    return query


@dataclass(frozen=True)
class _Wanted:
    """The columns that a source's maps name; nothing else of an answer is kept.

    names: in lower case; patterns: regular expressions of columns to unpivot; words: every word of the maps' .sql
    files, since a column that is used there is named there.
    """

    names: frozenset[str]
    patterns: tuple[str, ...]
    words: frozenset[str]

    def keeps(self, column: str) -> bool:
        name = _normal(column)
        if refused_word(column):
            return False
        return name in self.names | self.words or any(re.fullmatch(p, column, re.I) for p in self.patterns)


def _wanted(source: Source, folder: Path) -> _Wanted:
    names: set[str] = set()
    patterns: set[str] = set()
    words: set[str] = set()
    for one in source.entities.values():
        names.update(_named(one))
        if one.unpivot is not None and isinstance(one.unpivot.columns, str):
            patterns.add(one.unpivot.columns)
        if one.sql is not None:
            try:
                text = (folder / one.sql).read_text(encoding="utf-8")
            except (OSError, UnicodeError):
                continue  # told where the file is used
            words.update(word.lower() for word in re.findall(r'"([^"]+)"|(\w+)', text) for word in word if word)
    return _Wanted(frozenset(map(_normal, names)), tuple(sorted(patterns)), frozenset(words))


def _named(entity: EntityMap) -> Iterator[str]:
    for target in entity.columns.values():
        if isinstance(target, ColumnMap):
            yield from (target.column or "", *(target.columns or ()), *(target.flags or ()))
        else:
            yield target
    yield from (*entity.where, *entity.where_not)
    if entity.unpivot is not None:
        if not isinstance(entity.unpivot.columns, str):
            yield from entity.unpivot.columns or ()
        for group in entity.unpivot.repeat or ():
            yield from group.values()


def _normal(name: str) -> str:
    return " ".join(name.split()).lower()


# --- how far the last answer reached -----------------------------------------------------------------------------


def _fingerprint(source: Source, query: str, wanted: _Wanted, time_zone: str) -> str:
    """What an answer depends on beside the data. Another question is asked from the start again.

    So a column that is mapped later comes for all rows, and not for tomorrow's only.
    """
    mark = source.high_water_mark.model_dump() if source.high_water_mark else None
    facts = [query, mark, sorted(wanted.names), wanted.patterns, sorted(wanted.words), time_zone]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _reached(receipts: Sequence[Receipt], fingerprint: str, home: Home) -> str | None:
    """The highest mark of the newest accepted answer to the same question, as the database wrote it; else None."""
    for receipt in reversed(receipts):
        if receipt.outcome == "accepted":
            for file in receipt.delivery.files:
                mark = _mark_in(stored_path(home, file.file_id), fingerprint)
                if mark is not None:
                    return mark
    return None


def _mark_in(path: Path, fingerprint: str) -> str | None:
    """How far a kept answer reached; None for an answer to another question, or no answer at all."""
    with duckdb.connect(config=_ENGINE) as con:
        try:
            pairs = con.execute("SELECT key, value FROM parquet_kv_metadata(?)", [str(path)]).fetchall()
        except duckdb.Error:
            return None  # a file from before the source became a query
        kept = {key.decode(): value.decode() for key, value in pairs}
        if kept.get(_KEPT_QUERY) != fingerprint:
            return None
        compared = _COMPARED_AS[kept[_KEPT_KIND]]
        # The answer may lie below what was asked for, when the query looks back over some days.
        found = con.execute(
            f"SELECT arg_max(mark, try_cast(mark AS {compared})) "
            f"FROM (SELECT {MARK} AS mark FROM read_parquet(?) UNION ALL SELECT ?)",
            [str(path), kept[_KEPT_FROM]],
        ).fetchone()
    return str(found[0]) if found and found[0] is not None else kept[_KEPT_FROM]


# --- the answer --------------------------------------------------------------------------------------------------


@dataclass
class _Stream:
    """A driver at work in a thread of its own, and its batches as they come.

    The thread is what makes the time limit hold: a driver that waits for a dead server is left behind.
    """

    start: Callable[[], Iterator[Item]]
    seconds: float
    problem: BaseException | None = None
    _queue: queue.Queue[Item | BaseException | None] = field(default_factory=lambda: queue.Queue(_QUEUED))
    _stop: threading.Event = field(default_factory=threading.Event)
    _deadline: float = 0.0

    def __enter__(self) -> _Stream:
        self._deadline = time.monotonic() + self.seconds
        threading.Thread(target=self._work, name="database", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def schema(self) -> tuple[pa.Schema, str | None]:
        """The answer's columns, all text, and how its marks compare (None without a mark)."""
        schema = self._next()
        assert isinstance(schema, pa.Schema)
        kind = (schema.metadata or {}).get(b"mark")
        return schema, kind.decode() if kind else None

    def batches(self) -> Iterator[pa.RecordBatch]:
        while (item := self._next()) is not None:
            yield item

    def _next(self) -> Item | None:
        try:
            item = self._queue.get(timeout=max(0.0, self._deadline - time.monotonic()))
        except queue.Empty:
            item = too_slow()
        if isinstance(item, BaseException):
            self.problem = item
            raise item
        return item

    def _work(self) -> None:
        try:
            for item in self.start():
                if not self._put(item):
                    return
            self._put(None)
        except BaseException as problem:
            self._put(problem)

    def _put(self, item: Item | BaseException | None) -> bool:
        """False when nobody listens any more."""
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False


def _write(
    stream: _Stream, schema: pa.Schema, kind: str | None, kept: dict[str, str], path: Path, scratch: Path
) -> int:
    """Write all batches to `path`, sorted: the number of rows. Raises what the stream raised, or Unreadable."""
    columns = [quoted(name) for name in schema.names]
    first = [f"try_cast({MARK} AS {_COMPARED_AS[kind]}) NULLS FIRST"] if kind else []
    order = ", ".join([*first, *(f"{column} NULLS FIRST" for column in columns)])
    pairs = ", ".join(f"{key}: '{value.replace(chr(39), chr(39) * 2)}'" for key, value in kept.items())
    metadata = f", KV_METADATA {{{pairs}}}" if pairs else ""
    answer = pa.RecordBatchReader.from_batches(schema, stream.batches())
    config = {**_ENGINE, "temp_directory": str(scratch / "spill")}
    target = str(path).replace("'", "''")
    try:
        with duckdb.connect(config=config) as con:
            con.execute("SET TimeZone = 'UTC'")
            con.register("answer", answer)
            row = con.execute(
                f"COPY (SELECT * FROM answer ORDER BY {order}) TO '{target}' "
                f"(FORMAT parquet, COMPRESSION zstd{metadata})"
            ).fetchone()
    except duckdb.Error as problem:
        if stream.problem is not None:
            raise stream.problem from None
        raise Unreadable(
            "answer_not_kept",
            f"The answer could not be written ({type(problem).__name__}).",
            None,
            "Check that the home's disk has room, and that the database gives its text as UTF-8.",
        ) from None
    path.chmod(0o600)
    return int(row[0]) if row else 0
