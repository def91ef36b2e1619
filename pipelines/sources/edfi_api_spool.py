"""What has come in of one resource, page by page, until it is whole: a SQLite file in landing.

A page is in it whole or not at all, so a run that is killed between any two requests goes on from its last page.
When the resource is whole it becomes a Parquet file, sorted by id: the state before (the last such file), with
what has changed since. Nothing is sorted in memory: the spool's rows lie in the order of their ids.

Times at which something was asked are told apart by number (`window`): of a record that came in several the last
counts, and a deletion takes away what came in its own window or before.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

#: The key under which a kept file says which resource it holds.
RESOURCE = "equity_edfi_resource"
#: Rows of a row group, and so in memory.
_BATCH_ROWS = 20_000
_SCHEMA = (("id", pa.string()), ("record", pa.string()))
_TABLES = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS window (
    number INTEGER PRIMARY KEY, lo INTEGER, hi INTEGER, total INTEGER, size INTEGER, token TEXT, way TEXT, done INTEGER
);
CREATE TABLE IF NOT EXISTS page (window INTEGER, place INTEGER, PRIMARY KEY (window, place)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS row (id TEXT, window INTEGER, record TEXT, PRIMARY KEY (id, window)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gone (id TEXT PRIMARY KEY, window INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS moved (window INTEGER, id TEXT, PRIMARY KEY (window, id)) WITHOUT ROWID;
"""

#: An id and its record as JSON text.
Row = tuple[str, str]


@dataclass(frozen=True)
class Window:
    """A span of change versions, ends included (None: open), and how far asking for it has come.

    total: records that the API counted in it when it was begun; size: records of a page; way: offset, cursor or
    reverse; token: where a cursor goes on. All are None until the first page is in.
    """

    number: int
    lo: int | None
    hi: int | None
    total: int | None = None
    size: int | None = None
    token: str | None = None
    way: str | None = None


class Spool:
    """The spool of one resource. about: what it is to become; a spool of something else is begun anew."""

    def __init__(self, path: Path, about: str) -> None:
        self.path = path
        try:
            self._open(about)
        except sqlite3.DatabaseError:  # not a spool, or one that a full disk or a power failure left torn
            self.remove()
            self._open(about)

    def _open(self, about: str) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.touch(mode=0o600)
        self._con = sqlite3.connect(self.path, isolation_level=None)
        self._con.execute("PRAGMA journal_mode = WAL")
        self._con.execute("PRAGMA synchronous = NORMAL")
        self._con.execute("PRAGMA cache_size = -64000")
        self._con.executescript(_TABLES)
        found = self._one("SELECT value FROM about WHERE name = 'about'")
        if found is not None and found != about:
            self.remove()
            self._open(about)
        elif found is None:
            self._con.execute("INSERT INTO about VALUES ('about', ?)", [about])

    def close(self) -> None:
        self._con.close()

    def remove(self) -> None:
        """Close and delete it."""
        with contextlib.suppress(AttributeError, sqlite3.Error):
            self._con.close()
        for end in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + end).unlink(missing_ok=True)

    # --- windows

    def unfinished(self) -> Window | None:
        """The window that a killed run left."""
        fields = "number, lo, hi, total, size, token, way"
        row = self._con.execute(f"SELECT {fields} FROM window WHERE done = 0 ORDER BY number LIMIT 1").fetchone()
        return Window(*row) if row else None

    def finished(self) -> Window | None:
        """The last window that is whole."""
        row = self._con.execute("SELECT number, lo, hi FROM window WHERE done = 1 ORDER BY number DESC").fetchone()
        return Window(*row) if row else None

    def reached(self) -> int | None:
        """The lowest change version at which a window of it ends."""
        found: int | None = self._one("SELECT min(hi) FROM window")
        return found

    def begin(self, lo: int | None, hi: int | None) -> Window:
        number = 1 + int(self._one("SELECT coalesce(max(number), 0) FROM window") or 0)
        self._con.execute("INSERT INTO window (number, lo, hi, done) VALUES (?, ?, ?, 0)", [number, lo, hi])
        return Window(number, lo, hi)

    def finish(self, window: Window) -> None:
        self._con.execute("UPDATE window SET done = 1 WHERE number = ?", [window.number])

    def forget(self, window: Window) -> None:
        """Forget what came in a window, to ask for it again."""
        with self._at_once():
            for table in ("row", "page", "moved"):
                self._con.execute(f"DELETE FROM {table} WHERE window = ?", [window.number])
            self._con.execute(
                "UPDATE window SET total = NULL, size = NULL, token = NULL, way = NULL WHERE number = ?",
                [window.number],
            )

    # --- pages

    def describe(self, window: Window, *, total: int, size: int, way: str) -> None:
        self._con.execute(
            "UPDATE window SET total = ?, size = ?, way = ? WHERE number = ?", [total, size, way, window.number]
        )

    def add_page(self, window: Window, place: int, rows: Iterable[Row], token: str | None = None) -> None:
        """A page of records; place: its offset, or its number where a cursor leads."""
        with self._at_once():
            self._add_rows(window, rows)
            self._con.execute("INSERT OR REPLACE INTO page VALUES (?, ?)", [window.number, place])
            self._con.execute("UPDATE window SET token = ? WHERE number = ?", [token, window.number])

    def add_rows(self, window: Window, rows: Iterable[Row]) -> None:
        with self._at_once():
            self._add_rows(window, rows)

    def _add_rows(self, window: Window, rows: Iterable[Row]) -> None:
        self._con.executemany(
            "INSERT OR REPLACE INTO row VALUES (?, ?, ?)", ((id_, window.number, record) for id_, record in rows)
        )

    def add_gone(self, window: Window, ids: Iterable[str]) -> int:
        """Records that were deleted: how many of them are news in this window."""
        with self._at_once():
            done = self._con.executemany(
                "INSERT INTO gone VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET window = excluded.window "
                "WHERE window < excluded.window",
                ((one, window.number) for one in ids),
            )
        return done.rowcount

    def add_moved(self, window: Window, ids: Iterable[str]) -> int:
        """Records whose key has changed: how many of them are news in this window."""
        with self._at_once():
            done = self._con.executemany(
                "INSERT OR IGNORE INTO moved VALUES (?, ?)", ((window.number, one) for one in ids)
            )
        return done.rowcount

    def moved_alone(self, window: Window) -> list[str]:
        """Some of those that came neither as records nor as deletions; none when all did."""
        return [
            str(id_)
            for (id_,) in self._con.execute(
                "SELECT m.id FROM moved AS m WHERE m.window = ? "
                "AND NOT EXISTS (SELECT 1 FROM row AS r WHERE r.id = m.id AND r.window = m.window) "
                "AND NOT EXISTS (SELECT 1 FROM gone AS g WHERE g.id = m.id AND g.window = m.window) LIMIT 500",
                [window.number],
            )
        ]

    def pages(self, window: Window) -> set[int]:
        """The places of the pages that are in."""
        return {int(row[0]) for row in self._con.execute("SELECT place FROM page WHERE window = ?", [window.number])}

    def count(self, window: Window) -> int:
        """Different records of a window."""
        return int(self._one("SELECT count(*) FROM row WHERE window = ?", window.number) or 0)

    # --- the whole

    def export(self, base: Path | None, resource: str, target: Path) -> int:
        """Write the state before with all changes to a Parquet file, sorted by id: the number of records.

        The same records give the same bytes. base: the file of the state before, None where everything was asked.
        """
        schema = pa.schema(_SCHEMA).with_metadata({RESOURCE: resource})
        count = 0
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            target.chmod(0o600)
            batch: list[Row] = []
            for row in self._merged(base):
                batch.append(row)
                if len(batch) == _BATCH_ROWS:
                    _write(writer, batch, schema)
                    count += len(batch)
                    batch = []
            if batch:
                _write(writer, batch, schema)
        return count + len(batch)

    def _merged(self, base: Path | None) -> Iterator[Row]:
        changes = self._changes()
        change = next(changes, None)
        for id_, record in _kept_rows(base) if base is not None else ():
            while change is not None and change[0] < id_:
                if change[1] is not None:
                    yield change[0], change[1]
                change = next(changes, None)
            if change is not None and change[0] == id_:
                if change[1] is not None:
                    yield id_, change[1]
                change = next(changes, None)
            else:
                yield id_, record
        while change is not None:
            if change[1] is not None:
                yield change[0], change[1]
            change = next(changes, None)

    def _changes(self) -> Iterator[tuple[str, str | None]]:
        """The newest record of each id, None where it was deleted. In the order of ids, as bytes."""
        rows = self._con.execute(
            "SELECT r.id, r.window, r.record FROM row AS r WHERE r.window = "
            "(SELECT max(window) FROM row AS s WHERE s.id = r.id) ORDER BY r.id"
        )
        gone = self._con.execute("SELECT id, window FROM gone ORDER BY id")
        row, deleted = rows.fetchone(), gone.fetchone()
        while row is not None or deleted is not None:
            if deleted is None or (row is not None and row[0] < deleted[0]):
                yield row[0], row[2]
                row = rows.fetchone()
            elif row is None or deleted[0] < row[0]:
                yield deleted[0], None
                deleted = gone.fetchone()
            else:
                yield row[0], row[2] if row[1] > deleted[1] else None
                row, deleted = rows.fetchone(), gone.fetchone()

    # --- small things

    @contextlib.contextmanager
    def _at_once(self) -> Iterator[None]:
        self._con.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._con.execute("ROLLBACK")
            raise
        self._con.execute("COMMIT")

    def _one(self, query: str, *values: object) -> Any:
        row = self._con.execute(query, values).fetchone()
        return row[0] if row else None


def resource_of(path: Path) -> str | None:
    """The resource that a kept file holds; None where it is no such file."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException):
        return None
    found = metadata.get(RESOURCE.encode())
    return found.decode(errors="replace") if found else None


def _kept_rows(path: Path) -> Iterator[Row]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH_ROWS):
            yield from zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)


def _write(writer: pq.ParquetWriter, rows: list[Row], schema: pa.Schema) -> None:
    ids, records = zip(*rows, strict=True)
    writer.write_table(pa.table([pa.array(ids, pa.string()), pa.array(records, pa.string())], schema=schema))
