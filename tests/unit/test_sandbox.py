"""A district's own SQL: it sees one table, reaches nothing else, ends in time, and loses no line unseen."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pytest

from pipelines import mapping, reshape, sandbox, sandbox_child
from pipelines.config import Source
from pipelines.contract import ENTITIES
from pipelines.sources import Reading, Unreadable

COLUMNS = "sid AS student_id, sch AS school_id, day AS date, code AS category, line"
ROWS = [
    ("1", "10", "2025-09-02", "A"),
    ("2", "10", "9/3/2025", "*"),
    ("3", "20", "soon", " * "),
    ("4", "20", None, "P"),
]


def source(**settings: Any) -> Source:
    entities = {"attendance_event": {"sql": "maps/marks.sql"}}
    return Source(kind="delimited", files=["f"], missing_rows="full", entities=entities, **settings)


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("CREATE TEMP TABLE t (sid VARCHAR, sch VARCHAR, day VARCHAR, code VARCHAR, SSN VARCHAR, line BIGINT)")
    con.executemany(
        "INSERT INTO t VALUES (?, ?, ?, ?, 'canary', ?)", [(*row, n) for n, row in enumerate(ROWS, start=2)]
    )
    return con


def run(
    con: duckdb.DuckDBPyConnection, folder: Path, sql: str, *, seconds: int = 60, **settings: Any
) -> sandbox.Answer:
    entity = ENTITIES["attendance_event"]
    reading = Reading({"*": "t"}, "none", len(ROWS))
    return sandbox.run(con, reading, entity, source(**settings), sql, folder, time_limit_seconds=seconds)


def refusal(con: duckdb.DuckDBPyConnection, folder: Path, sql: str, **settings: Any) -> Unreadable:
    with pytest.raises(Unreadable) as raised:
        run(con, folder, sql, **settings)
    assert raised.value.message.startswith("maps/marks.sql: ")
    assert raised.value.remedy
    for value in ("canary", "soon"):
        assert value not in raised.value.message + raised.value.remedy
    return raised.value


def test_rows_come_out_with_their_lines_and_the_others_are_counted(con: Any, tmp_path: Path) -> None:
    answer = run(
        con, tmp_path, f"SELECT {COLUMNS} FROM source WHERE sch = '10' UNION ALL SELECT {COLUMNS} FROM source\n-- x\n;"
    )
    assert answer.columns == ("student_id", "school_id", "date", "category")
    assert answer.lines_left_out == 0
    assert con.execute(f"SELECT count(*) FROM {answer.table}").fetchone() == (6,)
    answer = run(con, tmp_path, f"SELECT {COLUMNS} FROM source WHERE sch = '10'")
    assert answer.lines_left_out == 2


def test_masks_are_blank_before_the_sql_sees_them_and_counted(con: Any, tmp_path: Path) -> None:
    answer = run(con, tmp_path, f"SELECT {COLUMNS} FROM source WHERE code <> ''", masks=["*"])
    assert (answer.cells_masked, answer.lines_left_out) == (2, 2)


def test_its_rows_are_judged_as_any_other(con: Any, tmp_path: Path) -> None:
    sql = (
        "SELECT sid AS student_id, sch AS school_id, code AS category, line, "
        "coalesce(try_strptime(day, '%m/%d/%Y')::DATE::VARCHAR, day) AS date, '*' AS period FROM source"
    )
    reading, entity = Reading({"*": "t"}, "none", len(ROWS)), ENTITIES["attendance_event"]
    result = reshape.shape(con, reading, entity, source(date_formats=["%m/%d/%Y"], masks=["*"]), sql, tmp_path)
    judged = mapping.judge(con, result.reading, "*", entity, result.source, bytes(32))
    reasons = [
        judged.judgements[problem - 1].reason if problem else None
        for (problem,) in con.execute(f"SELECT problem FROM {judged.view} ORDER BY line").fetchall()
    ]
    assert reasons == [None, "required_value_missing", "unreadable_date", "required_value_missing"]
    assert (judged.rows_read, result.rows_left_out, result.cells_masked, judged.cells_masked) == (4, 0, 2, 0)


def test_dates_numbers_and_booleans_may_have_their_types(con: Any, tmp_path: Path) -> None:
    typed = "DATE '2025-09-02' AS date, 'A' AS category, 0.5 AS fraction_absent, line"
    sql = f"SELECT sid AS student_id, sch AS school_id, {typed} FROM source"
    answer = run(con, tmp_path, sql)
    rows = con.execute(f"SELECT DISTINCT date, fraction_absent FROM {answer.table}").fetchall()
    assert rows == [("2025-09-02", "0.5")]


def test_columns_that_are_never_carried_are_not_there(con: Any, tmp_path: Path) -> None:
    gone = refusal(con, tmp_path, f"SELECT {COLUMNS}, ssn AS period FROM source")
    assert gone.reason == "sql_failed"
    assert "Binder error" in gone.message
    assert "Columns of source: sid, sch, day, code." in gone.remedy


def test_a_column_called_line_is_there_under_another_name(tmp_path: Path) -> None:
    con = duckdb.connect()
    con.execute("CREATE TEMP TABLE t AS SELECT 7::BIGINT AS line_2, 'x' AS \"Line\"")
    sql = "SELECT file_line AS student_id, 'a' AS school_id, 'd' AS date, 'c' AS category, line FROM source"
    reading = Reading({"*": "t"}, "none", 1, "line_2")
    answer = sandbox.run(con, reading, ENTITIES["attendance_event"], source(), sql, tmp_path)
    assert con.execute(f"SELECT student_id, line FROM {answer.table}").fetchall() == [("x", 7)]


def test_a_file_of_thousands_of_columns_fits_within_landings_memory(tmp_path: Path) -> None:
    con = duckdb.connect(config={"memory_limit": "600MB"})
    cells = ", ".join(f"'v{n}' || r.range AS C{n}" for n in range(3000))
    con.execute(f"CREATE TEMP VIEW t AS SELECT {cells}, range AS line FROM range(100) r")
    sql = "SELECT c0 AS student_id, c1 AS school_id, C2999 AS date, c3 AS category, line FROM source"
    answer = sandbox.run(con, Reading({"*": "t"}, "none", 100), ENTITIES["attendance_event"], source(), sql, tmp_path)
    found = con.execute(f"SELECT student_id, date, line FROM {answer.table} WHERE line = 7").fetchall()
    assert found == [("v07", "v29997", 7)]


@pytest.mark.parametrize(
    ("sql", "reason", "named"),
    [
        (f"SELECT {COLUMNS}, sid AS student FROM source", "sql_unknown_column", "student"),
        ("SELECT sid AS student_id, line FROM source", "sql_missing_column", "school_id, date, category"),
        (f"SELECT {COLUMNS.replace(', line', '')} FROM source", "sql_missing_column", "line"),
        (f"SELECT {COLUMNS}, [sid] AS period FROM source", "sql_nested_column", "period"),
        (f"SELECT {COLUMNS.replace(', line', ', line + 1 AS line')} FROM source", "sql_lost_lines", "1 of its rows"),
        (f"SELECT {COLUMNS.replace(', line', ', NULL AS line')} FROM source", "sql_lost_lines", "4 of its rows"),
        (
            f"SELECT {COLUMNS},\n CAST(code AS INTEGER) AS period\nFROM source",
            "sql_failed",
            "the engine stopped (Conversion error)",
        ),
        (f"SELECT {COLUMNS},\n nix AS period FROM source", "sql_failed", "the engine stopped in line 2 (Binder error)"),
        (f"SELECT {COLUMNS}, error(day) AS period FROM source", "sql_failed", "the engine stopped"),
    ],
)
def test_an_answer_that_does_not_fit_holds_the_file_back(
    con: Any, tmp_path: Path, sql: str, reason: str, named: str
) -> None:
    problem = refusal(con, tmp_path, sql)
    assert problem.reason == reason
    assert named in problem.message


# --- what it can reach -----------------------------------------------------------------------------------------

REACHING_OUT = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM read_parquet('http://127.0.0.1/x.parquet')",
    "SELECT (SELECT count(*) FROM read_blob('/etc/passwd')), line FROM source",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM duckdb_secrets()",
]
NOT_ONE_SELECT = [
    "COPY (SELECT 1) TO '/tmp/copied'",
    "COPY source TO '/tmp/copied'",
    "ATTACH '/tmp/attached.db' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET memory_limit = '100GB'",
    "PRAGMA version",
    "CALL pragma_version()",
    "CREATE TABLE x AS SELECT 1",
    "INSERT INTO source VALUES (1)",
    "SUMMARIZE source",
    "DESCRIBE source",
    "SELECT 1; SELECT 2",
    "",
    "-- nothing",
    "SELEC 1",
]
ELSEWHERE = [
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM pg_class",
    "SELECT * FROM main.source",
    "SELECT * FROM enable_logging()",
    "WITH marks AS (SELECT * FROM read_text('x')) SELECT * FROM marks",
    "SELECT now() AS date, line FROM source",
    "SELECT CURRENT_DATE AS date, line FROM source",
    "SELECT random(), line FROM source",
    "SELECT line FROM source USING SAMPLE 1",
    "SELECT sleep_ms(10), line FROM source",
]


@pytest.mark.parametrize("sql", [*REACHING_OUT, *NOT_ONE_SELECT, *ELSEWHERE])
def test_what_it_names_beside_its_table_is_refused_before_it_runs(sql: str) -> None:
    assert sandbox.problem_of(sql)


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT {COLUMNS} FROM Source ORDER BY line",
        "WITH marks AS (SELECT * FROM source) SELECT m.line FROM marks m JOIN source s USING (line)",
        "SELECT line, unnest(string_split(code, ',')) FROM source, range(3)",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT line, i FROM source, n",
        "UNPIVOT source ON sid, sch INTO NAME which VALUE cell",
        "SELECT line, row_number() OVER (PARTITION BY sid ORDER BY line) FROM source; -- one statement",
    ],
)
def test_one_select_over_the_table_is_allowed(sql: str) -> None:
    assert sandbox.problem_of(sql) is None


def test_a_problem_is_told_with_its_line() -> None:
    assert sandbox.problem_of("SELECT line\nFROM source\nJOIN secrets USING (line)") == (
        "it reads the table secrets (line 3): there is only source"
    )
    assert sandbox.problem_of("SELECT line\nFROM FROM") == "it is not SQL that the engine can read (line 2)"


@pytest.mark.parametrize("sql", [*REACHING_OUT, "SELECT getenv('HOME') FROM source", "SELECT * FROM canary"])
def test_the_engine_itself_reaches_nothing_even_unasked(tmp_path: Path, sql: str) -> None:
    """The second wall: what got past the first would still find no file, no network and no Python object."""
    canary = pyarrow.table({"line": [1]})  # a Python object that the engine could take for a table
    duckdb.execute("COPY (SELECT 1::BIGINT AS line) TO $1", [str(tmp_path / "s.parquet")])
    with sandbox_child.locked_engine(tmp_path / "s.parquet", [], tmp_path / "spill") as con:
        assert con.execute("SELECT line FROM source").fetchall() == [(1,)]
        with pytest.raises(duckdb.Error):
            con.execute(sql).fetchall()
    assert canary.num_rows == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET memory_limit = '100GB'",
        "SET allowed_paths = ['/etc/passwd']",
        "LOAD httpfs",
        "INSTALL httpfs",
        "COPY (SELECT 1) TO '/tmp/copied'",
        "ATTACH '/tmp/attached.db' AS other",
        "EXPORT DATABASE '/tmp/exported'",
    ],
)
def test_the_engine_cannot_be_unlocked(tmp_path: Path, statement: str) -> None:
    duckdb.execute("COPY (SELECT 1::BIGINT AS line) TO $1", [str(tmp_path / "s.parquet")])
    with (
        sandbox_child.locked_engine(tmp_path / "s.parquet", [], tmp_path / "spill") as con,
        pytest.raises(duckdb.Error),
    ):
        con.execute(statement)


# --- limits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "without_end",
    [
        f"WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT {COLUMNS} FROM source, n",
        f"SELECT {COLUMNS} FROM source, range(1000000) a, range(1000000) b",
        f"SELECT {COLUMNS}, (SELECT sum(a.range) FROM range(9999999) a, range(9999999) b) AS period FROM source",
    ],
)
def test_what_never_ends_is_stopped(con: Any, tmp_path: Path, without_end: str) -> None:
    begun = time.monotonic()
    problem = refusal(con, tmp_path, without_end, seconds=1)
    assert (problem.reason, "longer than 1 seconds" in problem.message) == ("sql_failed", True)
    assert time.monotonic() - begun < 10


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="the kernel limits a process's memory on Linux only")
@pytest.mark.parametrize("greedy", ["repeat('a', 4000000000)", "list_sort(range(900000000))[1]"])
def test_what_needs_too_much_memory_is_stopped(con: Any, tmp_path: Path, greedy: str) -> None:
    problem = refusal(con, tmp_path, f"SELECT {COLUMNS}, {greedy} AS period FROM source")
    assert (problem.reason, "memory" in problem.message) == ("sql_failed", True)


def test_the_child_has_an_empty_environment(con: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def asked(*arguments: Any, **options: Any) -> Any:
        seen.update(options)
        return real(*arguments, **options)

    real = sandbox.subprocess.run
    monkeypatch.setenv("EQUITY_KEY_FILE", "/somewhere/key")
    monkeypatch.setattr(sandbox.subprocess, "run", asked)
    run(con, tmp_path, f"SELECT {COLUMNS} FROM source")
    assert seen["env"] == {}
