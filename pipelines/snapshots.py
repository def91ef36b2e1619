"""Snapshots: write a zone whole or not at all, prove it, point readers at it, go back.

A zone (`published/` or `restricted/`) holds one folder a snapshot:

    <snapshot_id>/manifest.json             tables, rows, files with SHA-256, facts about the run
    <snapshot_id>/equity.duckdb             every table, storage format v1.0.0
    <snapshot_id>/<table>/<table>.parquet   the same rows, ordered by key, zstd

`published/current.json` {snapshot_id, path} names the snapshot that readers should open, and the symlink
`published/current` leads there where the file system has links. Readers resolve it once; a snapshot's
files never change after its folder appears, so a reader keeps what it opened.

A snapshot is written as `.tmp-<snapshot_id>` and renamed when every byte is on disk: a process killed
at any moment leaves a dot folder that no reader sees and `sweep_unfinished` removes. All functions that
change a zone expect the caller to hold the lock of the run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from pipelines.home import sync_folder, write_atomically
from pipelines.outcome import InternalError

DATABASE = "equity.duckdb"
MANIFEST = "manifest.json"
MANIFEST_FORMAT = 1
#: Read by every reader since DuckDB 1.0: Evidence's driver, ODBC, Power BI connectors.
STORAGE_VERSION = "v1.0.0"
COLUMN_TYPES = ("BIGINT", "DOUBLE", "VARCHAR", "BOOLEAN", "DATE", "TIMESTAMP")

_SNAPSHOT_ID = re.compile(r"^[0-9]{8}T[0-9]{6}Z-[0-9a-z]{4,64}$")
_TABLE_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
_OWN_FACTS = frozenset({"format", "snapshot_id", "tables", "files"})
_UNFINISHED = ".tmp-"


class SnapshotRefusedError(InternalError):
    """A snapshot that must not be written, shown or removed. Names tables and columns, never a value."""


@dataclass(frozen=True)
class TableSpec:
    """A table of a snapshot: its name, its key (empty for a table of at most one row) and its comments."""

    name: str
    key: tuple[str, ...]
    comment: str = ""
    column_comments: Mapping[str, str] = field(default_factory=dict)


def new_snapshot_id(created_at: datetime, load_id: str) -> str:
    """`<UTC time>-<load_id>`: ids sort by time. created_at must know its zone."""
    if created_at.tzinfo is None:
        raise ValueError("created_at needs a time zone")
    return f"{created_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{load_id}"


# --- writing -------------------------------------------------------------------------------------------


def write_zone(
    con: duckdb.DuckDBPyConnection,
    schema: str,
    zone_root: Path,
    snapshot_id: str,
    tables: Sequence[TableSpec],
    manifest_facts: Mapping[str, Any],
) -> Path:
    """Write the tables of `schema` as one zone of a snapshot and return its folder.

    The same rows give the same Parquet bytes, whatever the number of threads. manifest_facts go into
    manifest.json as they are (load_id, as_of, created_at, code_version, ...); `checks` in it, where given,
    is {"expected": [ids], "results": {id: outcome}}.

    Raises SnapshotRefusedError when the id is malformed or exists already, an expected check has no result, a
    column has a type outside COLUMN_TYPES, a DOUBLE column holds NaN or infinity, or a key repeats.
    """
    _require_id(snapshot_id)
    final = zone_root / snapshot_id
    if final.exists():
        raise SnapshotRefusedError(f"snapshot {snapshot_id} exists already")
    clash = sorted(_OWN_FACTS & set(manifest_facts))
    if clash:
        raise SnapshotRefusedError(f"manifest facts may not be named {', '.join(clash)}")
    missing = _checks_without_result(manifest_facts)
    if missing:
        raise SnapshotRefusedError(f"expected checks did not run: {', '.join(missing)}")
    columns = {table.name: _checked_columns(con, schema, table) for table in tables}

    folder = zone_root / f"{_UNFINISHED}{snapshot_id}"
    _remove(folder)
    folder.mkdir(parents=True)
    try:
        for table in tables:
            _write_parquet(con, schema, table, folder)
            _require_unique_key(table, folder)
        rows = _write_database(tables, folder)
        manifest = {
            "format": MANIFEST_FORMAT,
            "snapshot_id": snapshot_id,
            **manifest_facts,
            "tables": {
                table.name: {
                    "key": list(table.key),
                    "rows": rows[table.name],
                    "columns": [{"name": name, "type": kind} for name, kind in columns[table.name]],
                }
                for table in tables
            },
            "files": {
                str(path.relative_to(folder)): {"sha256": _sha256(path), "bytes": path.stat().st_size}
                for path in _files(folder)
            },
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        for path in _files(folder):
            path.chmod(0o444)
            _sync(path)
        for path in [*(folder / table.name for table in tables), folder]:
            path.chmod(stat.S_IMODE(zone_root.stat().st_mode))  # as open or closed as the zone, whatever the umask
            sync_folder(path)
        folder.rename(final)
    except BaseException:
        _remove(folder)
        raise
    sync_folder(zone_root)
    return final


def _checked_columns(con: duckdb.DuckDBPyConnection, schema: str, table: TableSpec) -> list[tuple[str, str]]:
    """(name, type) of each column, after proving that the table may go into a snapshot."""
    if not _TABLE_NAME.match(table.name):
        raise SnapshotRefusedError(f"{table.name!r} is not a table name of the contract")
    source = _qualified(schema, table.name)
    columns = [(str(row[0]), str(row[1])) for row in con.execute(f"DESCRIBE {source}").fetchall()]
    for name, kind in columns:
        if kind not in COLUMN_TYPES:
            raise SnapshotRefusedError(f"{table.name}.{name} has type {kind}; allowed are {', '.join(COLUMN_TYPES)}")
    for name, kind in columns:
        if kind == "DOUBLE":
            odd = _count(con, f"SELECT count(*) FROM {source} WHERE NOT isfinite({_quoted(name)})")
            if odd:
                raise SnapshotRefusedError(f"{table.name}.{name} holds NaN or infinity in {odd} rows")
    unknown = sorted({*table.key, *table.column_comments} - {name for name, _ in columns})
    if unknown:
        raise SnapshotRefusedError(f"{table.name} has no column {', '.join(unknown)}")
    return columns


def _write_parquet(con: duckdb.DuckDBPyConnection, schema: str, table: TableSpec, folder: Path) -> None:
    """One file, one row group for each 122,880 rows. The order is total once the key proves unique."""
    (folder / table.name).mkdir()
    order = f" ORDER BY {', '.join(_quoted(name) for name in table.key)}" if table.key else ""
    con.execute(
        f"COPY (SELECT * FROM {_qualified(schema, table.name)}{order}) TO {_literal(_parquet(folder, table.name))}"
        " (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
    )


def _require_unique_key(table: TableSpec, folder: Path) -> None:
    """Compare each row of the ordered file with the one before: a third of the cost of counting distinct keys."""
    same = " AND ".join(f"{_quoted(name)} IS NOT DISTINCT FROM lag({_quoted(name)}) OVER ()" for name in table.key)
    with duckdb.connect(":memory:") as con:
        repeated = _count(
            con,
            f"SELECT count(*) FROM (SELECT row_number() OVER () > 1 AND {same or 'TRUE'} AS repeats"
            f" FROM read_parquet({_literal(_parquet(folder, table.name))}, hive_partitioning = false)) WHERE repeats",
        )
    if repeated:
        raise SnapshotRefusedError(
            f"{table.name}: {repeated} rows repeat the key ({', '.join(table.key) or 'one row'})"
        )


def _write_database(tables: Sequence[TableSpec], folder: Path) -> dict[str, int]:
    """equity.duckdb from the Parquet files just written; returns rows by table.

    It is made by an engine of its own, so that a source opened read-only will do.
    """
    rows = {}
    with duckdb.connect(":memory:") as con:
        con.execute(f"ATTACH {_literal(folder / DATABASE)} AS zone (STORAGE_VERSION '{STORAGE_VERSION}')")
        for table in tables:
            target = f"zone.main.{_quoted(table.name)}"
            con.execute(
                f"CREATE TABLE {target} AS FROM read_parquet({_literal(_parquet(folder, table.name))},"
                " hive_partitioning = false)"
            )
            if table.comment:
                con.execute(f"COMMENT ON TABLE {target} IS {_literal(table.comment)}")
            for name, comment in table.column_comments.items():
                con.execute(f"COMMENT ON COLUMN {target}.{_quoted(name)} IS {_literal(comment)}")
            rows[table.name] = _count(con, f"SELECT count(*) FROM {target}")
        con.execute("DETACH zone")
    return rows


# --- proving -------------------------------------------------------------------------------------------


def read_manifest(zone_root: Path, snapshot_id: str) -> dict[str, Any]:
    """The manifest of a snapshot in one zone. Raises SnapshotRefusedError when there is none to read."""
    _require_id(snapshot_id)
    try:
        manifest = json.loads((zone_root / snapshot_id / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SnapshotRefusedError(f"snapshot {snapshot_id} has no readable manifest in {zone_root.name}") from error
    if not isinstance(manifest, dict) or not set(manifest) >= _OWN_FACTS:
        raise SnapshotRefusedError(f"the manifest in {zone_root.name}/{snapshot_id} is incomplete")
    if manifest["snapshot_id"] != snapshot_id:
        raise SnapshotRefusedError(f"the manifest in {zone_root.name}/{snapshot_id} belongs to another snapshot")
    return manifest


def verify(zone_root: Path, snapshot_id: str) -> list[str]:
    """Everything about a snapshot in one zone that is not as its manifest says; empty when all is well.

    Re-reads from disk: checksums, rows and columns of each Parquet file and of each table in
    equity.duckdb, one load_id throughout, and a result for each expected check.
    """
    try:
        manifest = read_manifest(zone_root, snapshot_id)
    except SnapshotRefusedError as refusal:
        return [str(refusal)]
    folder = zone_root / snapshot_id
    if manifest.get("format") != MANIFEST_FORMAT:
        return [f"{MANIFEST}: format {manifest.get('format')} is not known to this version"]
    problems = [f"check {check} was expected and has no result" for check in _checks_without_result(manifest)]
    found = {str(path.relative_to(folder)) for path in _files(folder)} - {MANIFEST}
    listed: dict[str, dict[str, Any]] = manifest["files"]
    tables: dict[str, dict[str, Any]] = manifest["tables"]
    needed = {DATABASE, *(f"{name}/{name}.parquet" for name in tables)}
    problems += [f"{name} is missing" for name in sorted((set(listed) | needed) - found)]
    problems += [f"{name} is not in the manifest" for name in sorted((found | needed) - set(listed))]
    for name in sorted(set(listed) & found):
        path = folder / name
        if path.stat().st_size != listed[name]["bytes"] or _sha256(path) != listed[name]["sha256"]:
            problems.append(f"{name} has changed since it was written")
    if problems:
        return problems
    return _verify_tables(folder, tables, manifest.get("load_id"))


def _verify_tables(folder: Path, tables: Mapping[str, Mapping[str, Any]], load_id: object) -> list[str]:
    problems: list[str] = []
    try:
        with duckdb.connect(":memory:") as con:
            con.execute(f"ATTACH {_literal(folder / DATABASE)} AS zone (READ_ONLY)")
            present = {
                str(row[0])
                for row in con.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'zone'").fetchall()
            }
            problems += [f"{DATABASE} lacks {name}" for name in sorted(set(tables) - present)]
            problems += [f"{DATABASE} holds {name} beside the manifest" for name in sorted(present - set(tables))]
            for name in sorted(set(tables) & present):
                parquet = f"read_parquet({_literal(_parquet(folder, name))}, hive_partitioning = false)"
                for place, relation in ((f"{name}.parquet", parquet), (DATABASE, f"zone.main.{_quoted(name)}")):
                    problems += _verify_relation(con, f"{name} in {place}", relation, tables[name], load_id)
    except duckdb.Error as error:
        # The engine's own words could repeat a cell; its kind of error says enough.
        problems.append(f"the tables cannot be read ({type(error).__name__})")
    return problems


def _verify_relation(
    con: duckdb.DuckDBPyConnection, place: str, relation: str, expected: Mapping[str, Any], load_id: object
) -> list[str]:
    columns = [{"name": row[0], "type": row[1]} for row in con.execute(f"DESCRIBE FROM {relation}").fetchall()]
    if columns != expected["columns"]:
        return [f"{place}: columns differ from the manifest"]
    problems = []
    rows = _count(con, f"SELECT count(*) FROM {relation}")
    if rows != expected["rows"]:
        problems.append(f"{place}: {rows} rows, the manifest says {expected['rows']}")
    if load_id is not None and any(column["name"] == "load_id" for column in columns):
        result = con.execute(
            f"SELECT count(*) FROM {relation} WHERE load_id IS DISTINCT FROM $load_id", {"load_id": load_id}
        ).fetchone()
        if result is None or result[0]:
            problems.append(f"{place}: rows of another load")
    return problems


def verify_in_fresh_process(zone_root: Path, snapshot_id: str) -> list[str]:
    """`verify`, in a new interpreter that shares no memory, connection or cache with the writer."""
    command = [sys.executable, "-m", "pipelines.snapshots", "verify", str(zone_root.resolve()), snapshot_id]
    checkout = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, encoding="utf-8", check=False)
    try:
        problems = json.loads(done.stdout)
    except ValueError:
        problems = None
    if not isinstance(problems, list) or done.returncode != (1 if problems else 0):
        return [f"the verifying process ended with status {done.returncode} and no answer"]
    return [str(problem) for problem in problems]


# --- pointing ------------------------------------------------------------------------------------------


def point(published_root: Path, snapshot_id: str) -> None:
    """Make a whole, present snapshot the current one: the link first, `current.json` last, each atomic.

    `current.json` decides where the two differ, which they can only after a crash between the two steps.
    """
    read_manifest(published_root, snapshot_id)
    link = published_root / f"{_UNFINISHED}current"
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(snapshot_id, target_is_directory=True)
        link.replace(published_root / "current")
    except (OSError, NotImplementedError):
        # No links on this file system (some network and Windows shares): the file alone must do.
        link.unlink(missing_ok=True)
    pointer = {"snapshot_id": snapshot_id, "path": snapshot_id}
    write_atomically(published_root / "current.json", json.dumps(pointer) + "\n", mode=0o644)


def current(published_root: Path) -> str | None:
    """The id of the current snapshot, or None before the first. Raises SnapshotRefusedError when unreadable."""
    try:
        pointer = json.loads((published_root / "current.json").read_text(encoding="utf-8"))
        snapshot_id = pointer["snapshot_id"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotRefusedError("current.json cannot be read") from error
    _require_id(snapshot_id)
    return str(snapshot_id)


def list_snapshots(zone_root: Path) -> list[str]:
    """Ids of the whole snapshots in a zone, oldest first."""
    if not zone_root.is_dir():
        return []
    return sorted(path.name for path in zone_root.iterdir() if _SNAPSHOT_ID.match(path.name) and path.is_dir())


def predecessor(published_root: Path, snapshot_id: str) -> str | None:
    """The newest published snapshot older than the given one."""
    older = [other for other in list_snapshots(published_root) if other < snapshot_id]
    return older[-1] if older else None


def rollback(
    published_root: Path,
    restricted_root: Path,
    target: str | None = None,
    audit: Callable[[Path], Sequence[object]] | None = None,
) -> str:
    """Point back at `target`, or at the one before current; returns the id now current.

    audit: what to try once more on the target's public folder before it is shown again; it returns the
    problems found. Raises SnapshotRefusedError when there is no such snapshot, either of its zones fails
    `verify`, or the audit finds something.
    """
    if target is None:
        now = current(published_root)
        target = predecessor(published_root, now) if now else None
        if target is None:
            raise SnapshotRefusedError("there is no snapshot before the current one")
    problems = [
        f"{root.name}: {problem}" for root in (restricted_root, published_root) for problem in verify(root, target)
    ]
    if not problems and audit is not None:
        problems = [str(problem) for problem in audit(published_root / target)]
    if problems:
        raise SnapshotRefusedError(f"snapshot {target} is not sound: {'; '.join(problems)}")
    point(published_root, target)
    return target


# --- removing ------------------------------------------------------------------------------------------


def withdraw(
    published_root: Path,
    restricted_root: Path,
    snapshot_id: str,
    audit: Callable[[Path], Sequence[object]] | None = None,
) -> None:
    """Remove a snapshot from both zones. The current one only after rolling back to its predecessor.

    Raises SnapshotRefusedError when there is no such snapshot, or it is current and nothing sound is before it.
    """
    _require_id(snapshot_id)
    if not any((root / snapshot_id).is_dir() for root in (published_root, restricted_root)):
        raise SnapshotRefusedError(f"there is no snapshot {snapshot_id}")
    if current(published_root) == snapshot_id:
        rollback(published_root, restricted_root, audit=audit)
    _discard(published_root, restricted_root, snapshot_id)


def prune(published_root: Path, restricted_root: Path, keep_newest: int) -> list[str]:
    """Remove all but the newest snapshots; returns the ids removed, oldest first.

    The current snapshot and its predecessor always stay: a reader may have resolved the old one a moment
    before the pointer moved, and a rollback must have somewhere to go.
    """
    if keep_newest < 1:
        raise ValueError("keep_newest must be at least 1")
    snapshots = list_snapshots(published_root)
    now = current(published_root)
    keep = {*snapshots[-keep_newest:], *([now, predecessor(published_root, now)] if now else [])}
    removed = [snapshot_id for snapshot_id in snapshots if snapshot_id not in keep]
    for snapshot_id in removed:
        _discard(published_root, restricted_root, snapshot_id)
    return removed


def sweep_unfinished(published_root: Path, restricted_root: Path) -> list[str]:
    """Remove what a killed run left: unfinished folders, and restricted halves without a public one.

    Returns the names removed. Only for the holder of the run's lock, before it writes.
    """
    left = [
        path
        for root in (published_root, restricted_root)
        for pattern in (f"{_UNFINISHED}*", ".*.tmp")  # folders and links here, files of write_atomically
        for path in sorted(root.glob(pattern))
    ]
    orphans = sorted(set(list_snapshots(restricted_root)) - set(list_snapshots(published_root)))
    left += [restricted_root / snapshot_id for snapshot_id in orphans]
    for path in left:
        _remove(path)
    return [path.name for path in left]


def _discard(published_root: Path, restricted_root: Path, snapshot_id: str) -> None:
    """Remove a snapshot from both zones, public first; each disappears from view in one step."""
    for root in (published_root, restricted_root):
        folder, hidden = root / snapshot_id, root / f"{_UNFINISHED}removed-{snapshot_id}"
        if folder.is_dir():
            _remove(hidden)
            folder.rename(hidden)
            _remove(hidden)


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


# --- small things --------------------------------------------------------------------------------------


def _require_id(snapshot_id: object) -> None:
    if not isinstance(snapshot_id, str) or not _SNAPSHOT_ID.match(snapshot_id):
        raise SnapshotRefusedError("a snapshot id is <UTC time>-<load id>, as 20260401T043000Z-0a1b2c3d")


def _checks_without_result(facts: Mapping[str, Any]) -> list[str]:
    checks = facts.get("checks", {})
    return sorted(set(checks.get("expected", ())) - set(checks.get("results", {})))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Bring a file's content to disk."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _parquet(folder: Path, table: str) -> Path:
    return folder / table / f"{table}.parquet"


def _qualified(schema: str, table: str) -> str:
    return ".".join(_quoted(part) for part in (*schema.split("."), table))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: str | Path) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _count(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = con.execute(sql).fetchone()
    assert row is not None
    return int(row[0])


def main(arguments: Sequence[str]) -> int:
    """`python -m pipelines.snapshots verify ZONE SNAPSHOT_ID`: problems as JSON; 0 none, 1 some, 2 misuse."""
    if len(arguments) != 3 or arguments[0] != "verify":
        sys.stderr.write("usage: python -m pipelines.snapshots verify ZONE SNAPSHOT_ID\n")
        return 2
    problems = verify(Path(arguments[1]), arguments[2])
    sys.stdout.write(json.dumps(problems) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
