"""Snapshots appear whole or not at all, prove themselves, and never pull the rug from under a reader."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines import snapshots
from pipelines.snapshots import SnapshotRefusedError, TableSpec, write_zone

CHECKOUT = Path(__file__).resolve().parents[2]
FIRST, SECOND, THIRD, FOURTH = (f"2026040{day}T043000Z-0a1b2c3d" for day in (1, 2, 3, 4))
LOAD = "0a1b2c3d"
MEASURE = TableSpec("measure", ("school", "day"), "Measures, one a school and day", {"rate": "a proportion"})
FACT = TableSpec("snapshot", ())
FACTS: dict[str, Any] = {
    "load_id": LOAD,
    "as_of": "2026-04-01",
    "code_version": "0.1.0",
    "checks": {"expected": ["keys_unique"], "results": {"keys_unique": "pass", "beside": "fail"}},
}


def source(rows: int = 30, version: int = 1) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("CREATE SCHEMA public")
    con.execute(
        "CREATE TABLE public.measure AS SELECT ? AS load_id, 'S' || (i * 7919 % 11) AS school,"
        " DATE '2026-01-01' + (i // 11)::INTEGER AS day, i / 7.0::DOUBLE AS rate, i::BIGINT AS students,"
        " i % 2 = 0 AS ok, TIMESTAMP '2026-01-01' AS at FROM range(?) AS r (i) ORDER BY hash(i)",
        [LOAD, rows],
    )
    con.execute("CREATE TABLE public.snapshot AS SELECT ? AS load_id, ?::BIGINT AS version", [LOAD, version])
    return con


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    published, restricted = tmp_path / "published", tmp_path / "restricted"
    published.mkdir(mode=0o755)
    restricted.mkdir(mode=0o700)
    return published, restricted


def write(root: Path, snapshot_id: str, version: int = 1) -> Path:
    with source(version=version) as con:
        return write_zone(con, "public", root, snapshot_id, [MEASURE, FACT], FACTS)


def publish(roots: tuple[Path, Path], snapshot_id: str, version: int = 1) -> None:
    published, restricted = roots
    write(restricted, snapshot_id, version)
    write(published, snapshot_id, version)
    snapshots.point(published, snapshot_id)


def alter(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


# --- writing -------------------------------------------------------------------------------------------


def test_layout_manifest_and_content(roots: tuple[Path, Path]) -> None:
    folder = write(roots[0], FIRST)
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "equity.duckdb",
        "manifest.json",
        "measure/measure.parquet",
        "snapshot/snapshot.parquet",
    ]
    manifest = snapshots.read_manifest(roots[0], FIRST)
    assert manifest["tables"]["measure"]["rows"] == 30
    assert manifest["tables"]["measure"]["key"] == ["school", "day"]
    assert manifest["tables"]["snapshot"]["columns"] == [
        {"name": "load_id", "type": "VARCHAR"},
        {"name": "version", "type": "BIGINT"},
    ]
    assert {name: manifest[name] for name in FACTS} == FACTS
    with duckdb.connect(str(folder / "equity.duckdb"), read_only=True) as con:
        assert con.execute("SELECT comment FROM duckdb_tables() WHERE table_name = 'measure'").fetchone() == (
            MEASURE.comment,
        )
        assert con.execute("SELECT comment FROM duckdb_columns() WHERE column_name = 'rate'").fetchone() == (
            "a proportion",
        )
        stored = con.execute("SELECT school, day, rate FROM measure").fetchall()
        assert stored == sorted(stored), "tables are stored in the order of their key"
        tags = con.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'equity'").fetchone()
    assert tags is not None
    assert tags[0]["storage_version"].startswith("v1.0.0")
    assert snapshots.verify(roots[0], FIRST) == []


def test_files_cannot_be_written_and_folders_are_as_open_as_their_zone(roots: tuple[Path, Path]) -> None:
    before = os.umask(0o077)
    try:
        for root, mode in zip(roots, (0o755, 0o700), strict=True):
            folder = write(root, FIRST)
            for path in folder.rglob("*"):
                assert path.stat().st_mode & 0o777 == (mode if path.is_dir() else 0o444), path
            assert folder.stat().st_mode & 0o777 == mode
    finally:
        os.umask(before)


def test_equal_rows_give_equal_parquet_bytes(tmp_path: Path) -> None:
    """Whatever the number of threads and the order of rows, over several row groups."""
    sums = set()
    for threads, order in ((1, "hash(i)"), (2, "i DESC"), (4, "i")):
        with duckdb.connect(config={"threads": threads}) as con:
            con.execute("CREATE SCHEMA public")
            con.execute(
                "CREATE TABLE public.measure AS SELECT (i * 7919) % 400009 AS school, 'text ' || (i % 97) AS day,"
                f" i / 7.0::DOUBLE AS rate FROM range(400009) AS r (i) ORDER BY {order}"
            )
            root = tmp_path / str(threads)
            root.mkdir()
            folder = write_zone(con, "public", root, FIRST, [TableSpec("measure", ("school",))], {})
            groups = con.execute(
                f"SELECT count(DISTINCT row_group_id) FROM parquet_metadata('{folder}/measure/measure.parquet')"
            ).fetchone()
            assert groups is not None
            assert groups[0] > 2
        sums.add(snapshots.read_manifest(root, FIRST)["files"]["measure/measure.parquet"]["sha256"])
    assert len(sums) == 1


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("1::INTEGER", "measure.x has type INTEGER"),
        ("1.5::FLOAT", "measure.x has type FLOAT"),
        ("sum(i) OVER ()", "measure.x has type HUGEINT"),
        ("1.5::DECIMAL(9, 2)", "measure.x has type DECIMAL"),
        ("{'a': 1}", "measure.x has type STRUCT"),
        ("TIMESTAMPTZ '2026-01-01'", "measure.x has type TIMESTAMP WITH TIME ZONE"),
        ("if(i = 3, 'nan', '1')::DOUBLE", "measure.x holds NaN or infinity in 1 rows"),
        ("if(i < 2, '-inf', '1')::DOUBLE", "measure.x holds NaN or infinity in 2 rows"),
    ],
)
def test_a_column_that_readers_cannot_take_is_refused(roots: tuple[Path, Path], column: str, message: str) -> None:
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA public")
        con.execute(f"CREATE TABLE public.measure AS SELECT i::BIGINT AS k, {column} AS x FROM range(5) AS r (i)")
        with pytest.raises(SnapshotRefusedError, match=message):
            write_zone(con, "public", roots[0], FIRST, [TableSpec("measure", ("k",))], {})
    assert list(roots[0].iterdir()) == []


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TableSpec("measure", ("school",)), "19 rows repeat the key"),
        (TableSpec("measure", ()), "29 rows repeat"),
        (TableSpec("measure", ("school", "week")), "no column week"),
        (TableSpec("measure", ("school", "day"), "", {"odd": "no such"}), "no column odd"),
        (TableSpec("../measure", ("school", "day")), "not a table name"),
    ],
)
def test_a_table_without_its_key_is_refused(roots: tuple[Path, Path], table: TableSpec, message: str) -> None:
    with source() as con, pytest.raises(SnapshotRefusedError, match=message) as refusal:
        write_zone(con, "public", roots[0], FIRST, [table], {})
    assert "S1" not in str(refusal.value)
    assert list(roots[0].iterdir()) == []


def test_a_repeated_key_is_found_across_row_groups_and_nulls_count_as_equal(roots: tuple[Path, Path]) -> None:
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA public")
        con.execute(
            "CREATE TABLE public.measure AS SELECT i AS a, NULL::BIGINT AS b FROM range(300000) AS r (i)"
            " UNION ALL FROM (VALUES (122879, NULL), (NULL, NULL), (NULL, NULL))"
        )
        with pytest.raises(SnapshotRefusedError, match="2 rows repeat the key"):
            write_zone(con, "public", roots[0], FIRST, [TableSpec("measure", ("a", "b"))], {})
        con.execute("DELETE FROM public.measure WHERE a IS NULL OR a = 122879")
        write_zone(con, "public", roots[0], FIRST, [TableSpec("measure", ("a", "b"))], {})
    assert snapshots.verify(roots[0], FIRST) == []


def test_an_expected_check_that_did_not_run_stops_the_write(roots: tuple[Path, Path]) -> None:
    facts = {"checks": {"expected": ["keys_unique", "arrived"], "results": {"keys_unique": "pass"}}}
    with source() as con, pytest.raises(SnapshotRefusedError, match="did not run: arrived"):
        write_zone(con, "public", roots[0], FIRST, [MEASURE], facts)
    assert list(roots[0].iterdir()) == []


def test_ids_and_facts_are_guarded(roots: tuple[Path, Path]) -> None:
    with source() as con:
        for odd in ("../../etc", "latest", "20260401T043000Z", "", "20260401T043000Z-0a1b/../x"):
            with pytest.raises(SnapshotRefusedError):
                write_zone(con, "public", roots[0], odd, [MEASURE], {})
        with pytest.raises(SnapshotRefusedError, match="files"):
            write_zone(con, "public", roots[0], FIRST, [MEASURE], {"files": {}})
    write(roots[0], FIRST)
    with pytest.raises(SnapshotRefusedError, match="exists already"):
        write(roots[0], FIRST)


def test_a_snapshot_id_is_utc_and_sorts_by_time() -> None:
    moment = datetime(2026, 4, 1, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert snapshots.new_snapshot_id(moment, LOAD) == "20260402T043000Z-0a1b2c3d"
    assert snapshots.new_snapshot_id(datetime(2026, 4, 3, tzinfo=UTC), LOAD) > SECOND
    with pytest.raises(ValueError, match="zone"):
        snapshots.new_snapshot_id(datetime(2026, 4, 1), LOAD)


def test_a_write_that_fails_midway_leaves_nothing(roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(snapshots, "_write_database", fail)
    with pytest.raises(OSError, match="disk full"):
        write(roots[0], FIRST)
    assert list(roots[0].iterdir()) == []


# --- proving -------------------------------------------------------------------------------------------


def truncate(folder: Path) -> None:
    path = folder / "measure" / "measure.parquet"
    alter(path, path.read_bytes()[:-1])


def flip(folder: Path) -> None:
    path = folder / "equity.duckdb"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    alter(path, bytes(content))


def edit_manifest(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    alter(path, json.dumps({**json.loads(path.read_text()), **changes}).encode())


def other_rows(folder: Path, **table: Any) -> None:
    tables = json.loads((folder / "manifest.json").read_text())["tables"]
    edit_manifest(folder, tables={**tables, "measure": {**tables["measure"], **table}})


DAMAGE: dict[str, tuple[Any, str]] = {
    "a file cut short": (truncate, "measure/measure.parquet has changed"),
    "one bit flipped": (flip, "equity.duckdb has changed"),
    "a file gone": (lambda folder: (folder / "snapshot/snapshot.parquet").unlink(), "snapshot.parquet is missing"),
    "a file added": (lambda folder: (folder / "names.csv").write_text("x"), "names.csv is not in the manifest"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "no readable manifest"),
    "half a manifest": (lambda folder: alter(folder / "manifest.json", b'{"snapsh'), "no readable manifest"),
    "an empty manifest": (lambda folder: alter(folder / "manifest.json", b"{}"), "incomplete"),
    "another's manifest": (lambda folder: edit_manifest(folder, snapshot_id=SECOND), "another snapshot"),
    "a later format": (lambda folder: edit_manifest(folder, format=99), "format 99"),
    "other counts": (lambda folder: other_rows(folder, rows=31), "30 rows, the manifest says 31"),
    "other columns": (lambda folder: other_rows(folder, columns=[]), "columns differ"),
    "another load": (lambda folder: edit_manifest(folder, load_id="ffff"), "rows of another load"),
    "a check without result": (
        lambda folder: edit_manifest(folder, checks={"expected": ["arrived"], "results": {}}),
        "check arrived was expected and has no result",
    ),
}


@pytest.mark.parametrize("name", sorted(DAMAGE))
def test_verify_finds(name: str, roots: tuple[Path, Path]) -> None:
    damage, message = DAMAGE[name]
    damage(write(roots[0], FIRST))
    problems = snapshots.verify(roots[0], FIRST)
    assert any(message in problem for problem in problems), problems


def test_verify_recounts_the_database_too(roots: tuple[Path, Path]) -> None:
    """A database that lost rows before its checksum was taken."""
    folder = write(roots[0], FIRST)
    database = folder / "equity.duckdb"
    database.chmod(0o644)
    with duckdb.connect(str(database)) as con:
        con.execute("DELETE FROM measure WHERE students < 5")
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {
        **manifest["files"],
        "equity.duckdb": {"sha256": snapshots._sha256(database), "bytes": database.stat().st_size},
    }
    edit_manifest(folder, files=files)
    assert snapshots.verify(roots[0], FIRST) == ["measure in equity.duckdb: 25 rows, the manifest says 30"]


def test_verify_in_a_fresh_process(roots: tuple[Path, Path]) -> None:
    folder = write(roots[0], FIRST)
    assert snapshots.verify_in_fresh_process(roots[0], FIRST) == []
    truncate(folder)
    assert snapshots.verify_in_fresh_process(roots[0], FIRST) == [
        "measure/measure.parquet has changed since it was written"
    ]


def test_a_verifying_process_that_dies_is_a_problem(roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    write(roots[0], FIRST)
    for interpreter in ("/bin/true", "/bin/false"):
        monkeypatch.setattr(snapshots.sys, "executable", interpreter)
        (problem,) = snapshots.verify_in_fresh_process(roots[0], FIRST)
        assert "no answer" in problem


def test_the_command_line_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert snapshots.main(["publish"]) == 2
    assert "usage" in capsys.readouterr().err


# --- pointing ------------------------------------------------------------------------------------------


def test_pointing_moves_link_and_file(roots: tuple[Path, Path]) -> None:
    published, _ = roots
    assert snapshots.current(published) is None
    for snapshot_id in (FIRST, SECOND):
        publish(roots, snapshot_id)
        assert snapshots.current(published) == snapshot_id
        assert (published / "current").resolve().name == snapshot_id
        pointer = json.loads((published / "current.json").read_text())
        assert pointer == {"snapshot_id": snapshot_id, "path": snapshot_id}
        assert (published / pointer["path"] / "equity.duckdb").is_file()
        assert (published / "current.json").stat().st_mode & 0o777 == 0o644
    assert snapshots.list_snapshots(published) == [FIRST, SECOND]
    assert {path.name for path in published.iterdir()} == {FIRST, SECOND, "current", "current.json"}


def test_pointing_at_nothing_is_refused(roots: tuple[Path, Path]) -> None:
    publish(roots, FIRST)
    with pytest.raises(SnapshotRefusedError):
        snapshots.point(roots[0], SECOND)
    assert snapshots.current(roots[0]) == FIRST


def test_without_links_the_file_alone_points(roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError("links are not supported here")

    monkeypatch.setattr(Path, "symlink_to", no_links)
    publish(roots, FIRST)
    assert snapshots.current(roots[0]) == FIRST
    assert not (roots[0] / "current").exists()


def test_an_unreadable_pointer_is_said_to_be_one(roots: tuple[Path, Path]) -> None:
    for content in ("{", "[]", '{"path": "x"}', '{"snapshot_id": "../etc"}'):
        (roots[0] / "current.json").write_text(content)
        with pytest.raises(SnapshotRefusedError):
            snapshots.current(roots[0])


def test_rollback_goes_one_back_or_to_a_target(roots: tuple[Path, Path]) -> None:
    for snapshot_id in (FIRST, SECOND, THIRD):
        publish(roots, snapshot_id)
    assert snapshots.rollback(*roots) == SECOND == snapshots.current(roots[0])
    assert snapshots.rollback(*roots) == FIRST == snapshots.current(roots[0])
    with pytest.raises(SnapshotRefusedError, match="no snapshot before"):
        snapshots.rollback(*roots)
    assert snapshots.rollback(*roots, target=THIRD) == THIRD == snapshots.current(roots[0])
    with pytest.raises(SnapshotRefusedError):
        snapshots.rollback(*roots, target=FOURTH)
    assert snapshots.current(roots[0]) == THIRD


@pytest.mark.parametrize("zone", [0, 1])
def test_rollback_refuses_an_unsound_target(zone: int, roots: tuple[Path, Path]) -> None:
    for snapshot_id in (FIRST, SECOND):
        publish(roots, snapshot_id)
    truncate(roots[zone] / FIRST)
    with pytest.raises(SnapshotRefusedError, match="not sound"):
        snapshots.rollback(*roots)
    assert snapshots.current(roots[0]) == SECOND


def test_rollback_audits_the_target_again(roots: tuple[Path, Path]) -> None:
    for snapshot_id in (FIRST, SECOND):
        publish(roots, snapshot_id)
    seen: list[Path] = []

    def audit(folder: Path) -> list[str]:
        seen.append(folder)
        return ["a sum gives it back"] if len(seen) == 1 else []

    with pytest.raises(SnapshotRefusedError, match="a sum gives it back"):
        snapshots.rollback(*roots, audit=audit)
    assert snapshots.current(roots[0]) == SECOND
    assert snapshots.rollback(*roots, audit=audit) == FIRST
    assert seen == [roots[0] / FIRST] * 2


# --- removing ------------------------------------------------------------------------------------------


def test_withdraw_removes_both_zones_and_never_leaves_readers_without(roots: tuple[Path, Path]) -> None:
    for snapshot_id in (FIRST, SECOND, THIRD):
        publish(roots, snapshot_id)
    snapshots.withdraw(*roots, THIRD)
    assert snapshots.current(roots[0]) == SECOND
    snapshots.withdraw(*roots, FIRST)
    with pytest.raises(SnapshotRefusedError, match="no snapshot before"):
        snapshots.withdraw(*roots, SECOND)
    with pytest.raises(SnapshotRefusedError, match="there is no snapshot"):
        snapshots.withdraw(*roots, FIRST)
    assert [snapshots.list_snapshots(root) for root in roots] == [[SECOND], [SECOND]]
    assert (roots[0] / "current").resolve().name == SECOND
    assert snapshots.sweep_unfinished(*roots) == []


def test_prune_spares_the_current_snapshot_and_its_predecessor(roots: tuple[Path, Path]) -> None:
    for snapshot_id in (FIRST, SECOND, THIRD, FOURTH):
        publish(roots, snapshot_id)
    snapshots.rollback(*roots, target=SECOND)
    assert snapshots.prune(*roots, keep_newest=1) == [THIRD]
    assert [snapshots.list_snapshots(root) for root in roots] == [[FIRST, SECOND, FOURTH]] * 2
    snapshots.point(roots[0], FOURTH)
    assert snapshots.prune(*roots, keep_newest=3) == []
    assert snapshots.prune(*roots, keep_newest=1) == [FIRST]
    assert snapshots.list_snapshots(roots[0]) == [SECOND, FOURTH]
    with pytest.raises(ValueError, match="at least 1"):
        snapshots.prune(*roots, keep_newest=0)


def test_sweep_removes_only_what_no_reader_can_see(roots: tuple[Path, Path]) -> None:
    published, restricted = roots
    publish(roots, FIRST)
    write(restricted, SECOND)
    (published / f".tmp-{SECOND}").mkdir()
    (published / ".current.json.1.tmp").write_text("{")
    (published / "status.json").write_text("{}")
    assert sorted(snapshots.sweep_unfinished(*roots)) == [".current.json.1.tmp", f".tmp-{SECOND}", SECOND]
    assert {path.name for path in published.iterdir()} == {FIRST, "current", "current.json", "status.json"}
    assert snapshots.list_snapshots(restricted) == [FIRST]


# --- other processes -----------------------------------------------------------------------------------


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_reader_keeps_the_snapshot_that_it_opened(roots: tuple[Path, Path]) -> None:
    published, _ = roots
    publish(roots, FIRST, version=1)
    reader = start(
        """
        import sys, duckdb
        con = duckdb.connect(sys.argv[1] + "/current/equity.duckdb", read_only=True)
        parquet = "read_parquet('" + sys.argv[2] + "/measure/*.parquet')"
        count = lambda: con.execute(f"SELECT max(version), (SELECT count(*) FROM {parquet}) FROM snapshot").fetchone()
        print(count(), flush=True)
        sys.stdin.readline()
        print(count(), flush=True)
        """,
        published,
        published / FIRST,
    )
    try:
        assert line_of(reader) == "(1, 30)"
        publish(roots, SECOND, version=2)
        assert snapshots.prune(*roots, keep_newest=1) == []
        out, _ = reader.communicate("go on\n", timeout=60)
        assert out.strip() == "(1, 30)"
    finally:
        reader.kill()
        reader.wait()
    with duckdb.connect(str(published / "current" / "equity.duckdb"), read_only=True) as con:
        assert con.execute("SELECT version FROM snapshot").fetchone() == (2,)


@pytest.mark.parametrize("stage", ["_write_database", "_sha256", "_sync"])
def test_killed_while_writing_shows_no_half_snapshot(stage: str, roots: tuple[Path, Path]) -> None:
    published, _ = roots
    publish(roots, FIRST)
    writer = start(
        """
        import sys, time
        from pathlib import Path
        from pipelines import snapshots
        sys.path.insert(0, "tests/unit")
        import test_snapshots

        def stop(*_):
            print("reached", flush=True)
            time.sleep(600)

        setattr(snapshots, sys.argv[2], stop)
        test_snapshots.write(Path(sys.argv[1]), sys.argv[3])
        """,
        published,
        stage,
        SECOND,
    )
    assert line_of(writer) == "reached"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert (published / f".tmp-{SECOND}").is_dir()
    assert snapshots.list_snapshots(published) == [FIRST]
    assert snapshots.current(published) == FIRST
    assert snapshots.verify(published, FIRST) == []
    assert snapshots.sweep_unfinished(*roots) == [f".tmp-{SECOND}"]
    publish(roots, SECOND)
    assert snapshots.verify(published, SECOND) == []


def test_killed_at_any_moment_readers_find_a_whole_snapshot(roots: tuple[Path, Path]) -> None:
    """A writer that publishes without end, killed at odd moments: what is pointed at always verifies."""
    published, _ = roots
    publish(roots, FIRST)
    for attempt in range(4):
        writer = start(
            """
            import sys
            from pathlib import Path
            sys.path.insert(0, "tests/unit")
            import test_snapshots
            print("ready", flush=True)
            for second in range(60):
                name = f"2026050{sys.argv[3]}T0430{second:02}Z-0a1b2c3d"
                test_snapshots.publish((Path(sys.argv[1]), Path(sys.argv[2])), name, version=second)
            """,
            *roots,
            attempt + 1,
        )
        assert line_of(writer) == "ready"
        time.sleep(0.15 + 0.07 * attempt)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        now = snapshots.current(published)
        assert now is not None
        assert snapshots.verify(published, now) == []
        assert (published / "current" / "equity.duckdb").is_file()
        snapshots.sweep_unfinished(*roots)
        published_ids, restricted_ids = (snapshots.list_snapshots(root) for root in roots)
        assert published_ids == restricted_ids
        assert all(snapshots.verify(published, snapshot_id) == [] for snapshot_id in published_ids)
