"""One file and one entity become one Parquet file of contract columns, with an account of every row.

Everything here is addressed by content: a file's hash together with the hash of all that decides what
becomes of it (map, contract, key, program). What is there already is never made again, and a change of
any of these makes new files beside the old, from the copies in `landing/`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from pipelines import ids, keys, mapping, patterns, refused_columns, reshape, sandbox
from pipelines.config import EntityMap, Source
from pipelines.contract import ENTITIES, Entity, raw_name
from pipelines.home import Home, sync_folder, write_atomically
from pipelines.keys import KeyFile
from pipelines.mapping import Judged
from pipelines.sources import (
    MAPPED_BY_DISTRICT,
    Reading,
    RowsLost,
    Unreadable,
    entities_of,
    reader_files,
    reader_for,
)

#: What a file is told that the engine cannot hold within its limit: rows are streamed, so it is their width.
_TOO_WIDE = {
    "reason": "too_wide",
    "message": "The file's rows are too wide for the memory that landing may use.",
    "line": None,
    "remedy": "Export fewer columns, or have overlong cells shortened.",
}
#: Settings of a source that do not change what one of its files becomes. A trailer does: it is no record.
_NOT_ABOUT_ROWS: dict[str, Any] = {
    **dict.fromkeys(("files", "members", "missing_rows", "required", "expected", "settle_days"), True),
    **dict.fromkeys(("attendance_records", "accept_removals", "entities", "connection", "query"), True),
    **dict.fromkeys(("high_water_mark", "time_limit_seconds"), True),
    "whole": {"stable_seconds", "marker"},
}
#: Entities whose rows may carry no student id where respondents were promised anonymity.
_PERSONAL = frozenset({"survey_questionnaire", "survey_response"})
#: What is noted beside a raw file: its account (None: nothing of this entity), or why the file is unreadable.
_Note = dict[str, Any]
_Notes = dict[str, _Note | None]


@dataclass(frozen=True)
class Account:
    """What became of a file's rows for one entity: read = accepted + refused + filtered + collapsed, always.

    window_lo, window_hi: the first and last ISO date of the entity's date column, where it has one.
    cells_masked: cells by which the sender hid a value; they are blank in the rows that were made of them.
    """

    entity: str
    stem: str
    rows_read: int
    rows_accepted: int
    rows_refused: int
    rows_filtered: int
    rows_collapsed: int
    window_lo: str | None
    window_hi: str | None
    cells_masked: int = 0


@dataclass(frozen=True)
class FileAccount:
    """A file's accounts by entity; where it cannot be read at all, `unreadable` says why and there are none."""

    entities: Mapping[str, Account]
    unreadable: Unreadable | None = None

    @property
    def is_wholly_refused(self) -> bool:
        """Rows were sent and none could be taken: the file did not arrive."""
        accounts = self.entities.values()
        return any(a.rows_refused for a in accounts) and not any(a.rows_accepted for a in accounts)


@dataclass(frozen=True)
class SourceFile:
    """A stored file as one source reads it. anonymous_surveys: surveys whose answers may carry no student id."""

    source_id: str
    source: Source
    file_id: str
    anonymous_surveys: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RawFiles:
    """Makes and finds the raw files of one home, with one connection and the home's key.

    sql: the text of each SQL file that a map names, by that name (sandbox.sql_texts).
    """

    con: duckdb.DuckDBPyConnection
    home: Home
    key: KeyFile
    district_system: str
    scratch: Path
    sql: Mapping[str, str] = field(default_factory=dict)

    def account(self, file: SourceFile) -> FileAccount:
        """The account of a stored file, made now where it is not there yet.

        Raises RowsLost when counts disagree and keys.PseudonymCollision; both are errors of ours.
        """
        stems = {name: self._stem(file, name) for name in entities_of(file.source)}
        notes = {name: self._noted(name, stem) for name, stem in stems.items()}
        if any(note is None for note in notes.values()):
            # What made the file unreadable may have been the map of one entity, which is another one now.
            notes = {name: None if note and note["unreadable"] else note for name, note in notes.items()}
            notes = self._make(file, stems, notes)
        return _file_account(notes)

    def is_known(self, file: SourceFile) -> bool:
        """Whether the file's account is there already, so that asking for it costs nothing."""
        return all(self._noted(name, self._stem(file, name)) is not None for name in entities_of(file.source))

    def raw_path(self, account: Account) -> Path:
        return self.home.raw / account.entity / f"{account.stem}.parquet"

    def refused_path(self, account: Account) -> Path | None:
        """The refused rows, with their text; None where there are none."""
        if not account.rows_refused:
            return None
        return self.home.landing / "refused" / account.entity / f"{account.stem}.parquet"

    def _stem(self, file: SourceFile, entity: str) -> str:
        source = file.source
        settings = {
            "source": file.source_id,
            "reading": source.model_dump(mode="json", exclude=_NOT_ABOUT_ROWS),
            "student_system": self._system(source),
            "map": source.entities.get(entity, EntityMap()).model_dump(mode="json"),
            "sql": self._sql_of(source, entity),
            "contract": asdict(ENTITIES[entity]),
            "key": self.key.fingerprint,
            "program": _program_hash(source.kind),
            "anonymous_surveys": sorted(file.anonymous_surveys) if entity in _PERSONAL else [],
        }
        text = json.dumps(settings, sort_keys=True)
        return f"{file.file_id[:16]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def _system(self, source: Source) -> str:
        return source.student_system or self.district_system

    def _sql_of(self, source: Source, entity: str) -> str | None:
        name = source.entities.get(entity, EntityMap()).sql
        return None if name is None else self.sql.get(name, "")

    def _noted(self, entity: str, stem: str) -> _Note | None:
        """The note of an earlier run, when all that it speaks of is still there."""
        try:
            note: _Note = json.loads((self.home.raw / entity / f"{stem}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        if note["account"] is not None:
            account = Account(**note["account"])
            paths = (self.raw_path(account), self.refused_path(account))
            if not all(path.exists() for path in paths if path is not None):
                return None
        return note

    def _make(self, file: SourceFile, stems: Mapping[str, str], known: Mapping[str, _Note | None]) -> _Notes:
        """Read the file once and write what is missing; the notes of all entities."""
        notes = dict(known)
        try:
            reading = reader_for(file.source.kind)(
                self.con, stored_path(self.home, file.file_id), file.source, self.scratch
            )
            for name, stem in stems.items():
                if notes[name] is None:
                    account = self._write(file, ENTITIES[name], stem, reading)
                    notes[name] = {"account": asdict(account) if account else None, "unreadable": None}
        except Unreadable as problem:
            unreadable = {name: getattr(problem, name) for name in ("reason", "message", "line", "remedy")}
            notes = {name: {"account": None, "unreadable": unreadable} for name in stems}
        except duckdb.OutOfMemoryException:
            # Not noted: another night, or another machine, may have what this one lacks.
            return {name: {"account": None, "unreadable": _TOO_WIDE} for name in stems}
        finally:
            self._tidy()
        for name, stem in stems.items():
            folder = self.home.raw / name
            folder.mkdir(mode=0o700, exist_ok=True)
            # Last, after the files that it speaks of: a run killed before leaves no note and is made again.
            write_atomically(folder / f"{stem}.json", json.dumps(notes[name], sort_keys=True) + "\n")
        return notes

    def _write(self, file: SourceFile, entity: Entity, stem: str, reading: Reading) -> Account | None:
        """Write one entity's raw and refused files. None where the file holds nothing of this entity."""
        by_district = MAPPED_BY_DISTRICT in reading.tables
        unread, unread_rows = self._unread(reading, entity, by_district=by_district)
        if not by_district and entity.name not in reading.tables:
            if not unread_rows:
                return None
            reading = self._with_no_rows(reading, entity)
        key = MAPPED_BY_DISTRICT if by_district else entity.name
        sql = self._sql_of(file.source, entity.name)
        shaped = reshape.shape(self.con, reading, entity, file.source, sql, self.scratch)
        judged = mapping.judge(
            self.con,
            shaped.reading,
            key,
            entity,
            shaped.source,
            self.key.key,
            anonymous_surveys=file.anonymous_surveys,
        )
        source_id, file_id = f"{_literal(file.source_id)} AS source_id", f"{_literal(file.file_id)} AS file_id"
        system = f"{_literal(self._system(file.source))} AS student_system"
        entity_map = file.source.entities.get(entity.name, EntityMap())
        collapse = entity_map.distinct or entity.name in reading.collapse
        names = ", ".join(
            f"{'key' if column.type == 'key' else 'value'}_{n} AS {raw_name(column)}"
            for n, column in enumerate(entity.columns)
        )
        if reading.by_record:
            names += ", record_key, is_deleted"
        left_out = shaped.rows_left_out + reading.left_out.get(entity.name, 0)
        line, group = ("min(line) AS line", " GROUP BY ALL ORDER BY line") if collapse else ("line", "")
        target = self.home.raw / entity.name / f"{stem}.parquet"
        # As the rows come, which is nearly by line: `line` is their order, and to sort them takes 2 s of 7 (10 M rows).
        accepted = self.copy(
            f"SELECT {names}, {source_id}, {system}, {file_id}, {line} FROM {judged.view} WHERE problem = 0{group}",
            target,
        )
        kept = judged.rows_read - judged.rows_filtered
        refused, collapsed = unread_rows, 0
        if accepted < kept or unread_rows:
            valid = self._count(f"SELECT count(*) FROM {judged.view} WHERE problem = 0") if collapse else accepted
            collapsed = valid - accepted
            refused = self._write_refused(judged, unread, f"{source_id}, {file_id}", entity, stem)
        lo, hi = self._window(entity, target)
        account = Account(
            entity=entity.name,
            stem=stem,
            rows_read=judged.rows_read + left_out + unread_rows,
            rows_accepted=accepted,
            rows_refused=refused,
            rows_filtered=judged.rows_filtered + left_out,
            rows_collapsed=collapsed,
            window_lo=lo,
            window_hi=hi,
            cells_masked=judged.cells_masked + shaped.cells_masked,
        )
        accounted = accepted + refused + account.rows_filtered + collapsed
        if account.rows_read != accounted:
            raise RowsLost(f"{entity.name}: {account.rows_read} rows read, {accounted} accounted for")
        return account

    def _write_refused(self, judged: Judged, unread: str, lineage: str, entity: Entity, stem: str) -> int:
        """Write the refused rows, if there are any, with reason, remedy and text: how many."""
        target = self.home.landing / "refused" / entity.name / f"{stem}.parquet"
        rows = self.copy(
            f"SELECT {lineage}, {_literal(entity.name)} AS entity, * FROM ({_refused(judged, unread)}) ORDER BY ALL",
            target,
        )
        if not rows:
            target.unlink()
        return rows

    def _with_no_rows(self, reading: Reading, entity: Entity) -> Reading:
        """The reading with an empty table of `entity`: all that it sent was refused by the reader."""
        columns = ", ".join(f"{column.name} VARCHAR" for column in entity.columns)
        if reading.by_record:
            columns += ", record_id VARCHAR, is_deleted BOOLEAN"
        table = f"nothing_of_{entity.name}"
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE {table} ({columns}, {reading.line_column} BIGINT)")
        return replace(reading, tables={**reading.tables, entity.name: table})

    def _unread(self, reading: Reading, entity: Entity, *, by_district: bool) -> tuple[str, int]:
        """The rows that the reader refused and this entity lost: as SQL, and how many."""
        # A row that could not be read is lost to every entity that the file feeds, unless the reader knows better.
        mine = "true" if by_district else f"entity = {_literal(entity.name)}"
        select = (
            "SELECT line, column_name, reason, remedy, NULL::VARCHAR AS refused_value, text "
            f"FROM {reading.refused} WHERE {mine}"
        )
        return select, self._count(f"SELECT count(*) FROM ({select})")

    def copy(self, select: str, target: Path) -> int:
        """Write a query's rows to a Parquet file, whole or not at all: the number of rows."""
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.scratch / f"{target.name}.tmp"
        rows = self._count(f"COPY ({select}) TO {_literal(str(temporary))} (FORMAT parquet, COMPRESSION zstd)")
        temporary.chmod(0o600)
        _sync(temporary)
        temporary.replace(target)
        sync_folder(target.parent)
        return rows

    def _window(self, entity: Entity, raw: Path) -> tuple[str | None, str | None]:
        if entity.date_column is None:
            return None, None
        column = f"nullif({entity.date_column}, '')"
        query = f"SELECT min({column}), max({column}) FROM read_parquet({_literal(str(raw))})"
        row = self.con.execute(query).fetchone()
        return (row[0], row[1]) if row else (None, None)

    def _tidy(self) -> None:
        """Free what reading and judging one file left behind, in memory and on disk."""
        left = self.con.execute(
            "SELECT 'VIEW', view_name FROM duckdb_views() WHERE temporary AND NOT internal "
            "UNION ALL SELECT 'TABLE', table_name FROM duckdb_tables() WHERE temporary"
        ).fetchall()
        for kind, name in left:
            self.con.execute(f'DROP {kind} IF EXISTS "{name}"')
        for path in self.scratch.iterdir():
            if path.is_file():
                path.unlink()

    def _count(self, query: str) -> int:
        row = self.con.execute(query).fetchone()
        return int(row[0]) if row else 0


def stored_path(home: Home, file_id: str) -> Path:
    """Where landing keeps the file with this SHA-256, as it was received."""
    return home.landing / "files" / file_id[:2] / file_id


def _file_account(notes: Mapping[str, _Note | None]) -> FileAccount:
    accounts: dict[str, Account] = {}
    for name, note in notes.items():
        if note is not None and note["unreadable"] is not None:
            return FileAccount({}, Unreadable(**note["unreadable"]))
        if note is not None and note["account"] is not None:
            accounts[name] = Account(**note["account"])
    return FileAccount(accounts)


def _refused(judged: Judged, unread: str) -> str:
    """SQL of all refused rows of an entity: those that the reader could not read, and those judged so here."""
    if not judged.judgements:
        return unread
    reasons = ", ".join(
        f"({n}, {_literal(one.column)}, {_literal(one.reason)}, {_literal(one.remedy)})"
        for n, one in enumerate(judged.judgements, start=1)
    )
    return (
        f"{unread} UNION ALL SELECT line, column_name, reason, remedy, refused_value, source_row AS text "
        f"FROM {judged.view} JOIN (VALUES {reasons}) AS reasons (n, column_name, reason, remedy) ON n = problem"
    )


@cache
def _program_hash(kind: str) -> str:
    """A hash of the programs that decide what becomes of a file, so that a changed rule is never served old rows."""
    modules = (mapping, reshape, sandbox, patterns, refused_columns, ids, keys)
    named = [Path(__file__), Path(__file__).with_name("sandbox_child.py")]
    files: Iterable[Path] = [*reader_files(kind), *(Path(str(one.__file__)) for one in modules), *named]
    digest = hashlib.sha256(duckdb.__version__.encode())
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _sync(file: Path) -> None:
    with file.open("rb") as written:
        os.fsync(written.fileno())


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
