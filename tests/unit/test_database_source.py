"""Database sources without a database: settings, URLs and secrets, values as text, and drivers that were never run."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from pipelines.config import Source
from pipelines.district_file import ConfigurationProblems, load
from pipelines.home import Home
from pipelines.sources import Unreadable, database, database_drivers
from pipelines.sources.database import fetch
from pipelines.sources.database_drivers import DIALECTS, Ask, Mark, connection_url
from pipelines.sources.database_query import QUERY_MARK, fault_of, is_mark, names_a_file

# --- district.yaml -----------------------------------------------------------------------------------------------

DISTRICT = """\
district: {{id: "1", name: D, contact: x@example.org, time_zone: America/Chicago}}
sources:
  schools:
    kind: database
    connection: SIS_URL
    missing_rows: append
    entities:
      school: {{columns: {{school_id: id, school_name: name}}}}
      calendar_date: {{columns: {{school_id: id, date: day, calendar_event: event}}}}
{settings}
"""


def problems_of(folder: Path, **settings: str) -> list[str]:
    path = folder / "district.yaml"
    lines = "\n".join(f"    {key}: {value}" for key, value in settings.items())
    text = DISTRICT.format(settings=lines)
    path.write_text(text.replace("    missing_rows: append\n", "") if "missing_rows" in settings else text)
    try:
        load(path)
    except ConfigurationProblems as found:
        return [str(problem) for problem in found.problems]
    return []


def test_a_whole_database_source_loads(tmp_path: Path) -> None:
    mark = "{column: at, start: '2025-07-01'}"
    assert problems_of(tmp_path, query="SELECT * FROM schools") == []
    assert problems_of(tmp_path, query="sql/schools.sql") == []
    assert problems_of(tmp_path, query="SELECT * FROM s WHERE at > :high_water_mark", high_water_mark=mark) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "query"),
        ({"query": "DELETE FROM schools"}, "does not begin with SELECT"),
        ({"query": "SELECT 1 WHERE a > :high_water_mark"}, "high_water_mark is not set"),
        ({"query": "SELECT 1", "high_water_mark": "{column: a, start: '1'}"}, "does not hold :high_water_mark"),
        ({"query": "q.sql", "high_water_mark": "{column: a, start: yesterday}"}, "no number, date or time"),
        ({"query": "q.sql", "high_water_mark": "{column: a, start: '1'}", "missing_rows": "full"}, "count as gone"),
        ({"query": "q.sql", "high_water_mark": "{column: a, start: '1'}", "missing_rows": "active_only"}, "as gone"),
        ({"query": "SELECT 1", "files": "a.csv"}, "files"),
        ({"query": "SELECT 1", "delimiter": "';'"}, "delimiter"),
    ],
)
def test_what_cannot_work_is_said_by_line_before_anything_is_read(
    tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    problems = problems_of(tmp_path, **settings)
    assert len(problems) == 1
    assert said in problems[0]


def test_settings_of_databases_say_nothing_to_files(tmp_path: Path) -> None:
    path = tmp_path / "district.yaml"
    text = DISTRICT.format(settings="    files: a.csv\n    query: SELECT 1").replace(
        "kind: database", "kind: delimited"
    )
    path.write_text(text)
    with pytest.raises(ConfigurationProblems) as caught:
        load(path)
    assert [key for key in ("connection", "query") if f"{key}" in str(caught.value)] == ["connection", "query"]


@pytest.mark.parametrize(
    ("query", "is_fine"),
    [
        ("select 1", True),
        ("  -- a\n/* b\n */ With x AS (SELECT 1) SELECT * FROM x", True),
        ("(SELECT 1)", True),
        ("VALUES (1)", True),
        ("-- select 1\nDELETE FROM a", False),
        ("/* select */ update a set b = 1", False),
        ("selection", False),
        ("EXPLAIN SELECT 1", False),
        ("", False),
        ("-- only a comment", False),
    ],
)
def test_a_query_begins_by_reading(query: str, is_fine: bool) -> None:
    assert (fault_of(query, has_mark=False) is None) == is_fine


def test_comments_without_an_end_are_judged_in_no_time() -> None:
    begun = time.monotonic()
    assert fault_of("/*" * 20_000 + "-" * 20_000, has_mark=False) is not None
    assert time.monotonic() - begun < 5


def test_the_mark_is_no_cast_and_no_longer_name() -> None:
    text = "a > :high_water_mark AND b::high_water_mark AND :high_water_marks AND c=:HIGH_WATER_MARK"
    assert QUERY_MARK.sub("?", text) == "a > ? AND b::high_water_mark AND :high_water_marks AND c=?"


def test_paths_and_marks() -> None:
    assert [names_a_file(text) for text in ("a.sql", "sql/my query.SQL ", "SELECT a.sql", "select 1")] == [
        True,
        True,
        False,
        False,
    ]
    marks = ("7", "-1.5", "2025-07-01", "2025-07-01 10:00:00.5", "2025-07-01T10:00:00Z", "1; DROP", "x", "1e5", "")
    assert [is_mark(text) for text in marks] == [True] * 5 + [False] * 4


# --- connection --------------------------------------------------------------------------------------------------


def problem_of(variable: str = "SIS_URL") -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        connection_url(variable)
    return caught.value


def test_the_url_comes_from_the_environment_or_a_file_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert problem_of().reason == "connection_not_set"
    monkeypatch.setenv("SIS_URL_FILE", str(tmp_path / "url"))
    assert problem_of().reason == "connection_not_set"
    (tmp_path / "url").write_text("mariadb://me:p%40ss%2F@db.example:3307/sis%20x?ssl_ca=/ca.pem\n")
    url = connection_url("SIS_URL")
    assert url.login == {"user": "me", "password": "p@ss/"}
    assert (url.database, url.parts.port, url.options) == ("sis x", 3307, {"ssl_ca": "/ca.pem"})
    assert url.dialect.name == "MariaDB or MySQL"
    assert "p%40ss" not in f"{url!r} {url}"
    monkeypatch.setenv("SIS_URL", "postgres://me:other@db.example/sis")
    assert connection_url("SIS_URL").dialect.name == "PostgreSQL"


@pytest.mark.parametrize(
    "text",
    [
        "canary-secret",
        "ftp://me:canary-secret@h/d",
        "postgresql://me:canary-secret@h:port/d",
        "mysql:///canary-secret",
        "postgresql://[canary-secret/d",
        "postgresql://me:canary-secret@h/d\nmore",
    ],
)
def test_a_malformed_url_is_told_without_showing_it(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIS_URL", text)
    problem = problem_of()
    assert problem.reason == "connection_malformed"
    assert "canary" not in f"{problem} {problem.remedy} {problem.__cause__}"
    assert problem.__suppress_context__ or problem.__context__ is None


def test_a_url_in_district_yaml_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "district.yaml"
    text = DISTRICT.format(settings="    query: SELECT 1")
    path.write_text(text.replace("SIS_URL", "postgresql://me:canary-secret@h/d"))
    with pytest.raises(ConfigurationProblems) as caught:
        load(path)
    assert "connection" in str(caught.value)
    assert "canary" not in str(caught.value)


# --- a server that does not answer -------------------------------------------------------------------------------


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("scheme", ["postgresql", "mariadb"])
def test_a_silent_server_does_not_hold_the_night(
    scheme: str, silent_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIS_URL", f"{scheme}://me:secret@127.0.0.1:{silent_port}/sis")
    monkeypatch.setattr(database, "_GRACE", 0.0)
    source = Source.model_validate(
        {
            "kind": "database",
            "connection": "SIS_URL",
            "query": "SELECT 1 AS id",
            "missing_rows": "full",
            "time_limit_seconds": 1,
            "entities": {"school": {"columns": {"school_id": "id"}}},
        }
    )
    with pytest.raises(Unreadable) as caught:
        fetch(
            "sis",
            source,
            folder=tmp_path,
            time_zone="UTC",
            receipts=[],
            home=Home.open(tmp_path / "home"),
            scratch=tmp_path,
        )
    # MariaDB's driver may notice the silence by itself within the same second.
    assert caught.value.reason in ("query_too_slow", "cannot_connect", "connection_lost")
    assert list(tmp_path.glob("*.parquet")) == []


def test_a_reader_that_stops_early_ends_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = pa.schema([("id", pa.string())])
    ended = threading.Event()

    def endless() -> Iterator[Any]:
        try:
            yield schema
            while True:
                yield pa.RecordBatch.from_arrays([pa.array(["1"])], schema=schema)
        finally:
            ended.set()

    with database._Stream(endless, 60) as stream:
        stream.schema()
        assert next(stream.batches()).num_rows == 1
    assert ended.wait(10)


# --- drivers that give rows --------------------------------------------------------------------------------------


def test_values_of_drivers_become_text() -> None:
    values = [None, "x", "", True, 7, 12345678901234567890, Decimal("1E+3"), Decimal("1.50"), date(2026, 3, 27)]
    texts = [None, "x", "", "true", "7", "12345678901234567890", "1000", "1.50", "2026-03-27"]
    assert [database_drivers._text(value) for value in values] == texts
    assert database_drivers._text(datetime(2026, 3, 27, 14, 11, 0, 5000)) == "2026-03-27 14:11:00.005000"
    assert database_drivers._text(clock(7, 45)) == "07:45:00"
    for value in (b"x", bytearray(b"x"), [1], (1,), {"a": 1}):
        with pytest.raises(TypeError):
            database_drivers._text(value)


class StandIn:
    """A DB-API driver that notes what it is asked and gives what it was told to."""

    def __init__(self, description: list[tuple[Any, ...]], rows: list[tuple[Any, ...]], fails: Any = None) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.description, self.rows, self.fails = description, rows, fails
        self.defaults = SimpleNamespace()
        self.DB_TYPE_NUMBER, self.DB_TYPE_DATE, self.DB_TYPE_TIMESTAMP = "number", "date", "timestamp"
        self.Error = type("Error", (Exception,), {})

    def connect(self, **arguments: Any) -> StandIn:
        self.calls.append(("connect", arguments))
        return self

    def cursor(self) -> StandIn:
        return self

    def execute(self, query: str, parameters: Any = None) -> None:
        self.calls.append((query, parameters))
        if self.fails is not None and not query.startswith("SET"):
            raise self.Error(self.fails, "canary text of the driver")

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        given, self.rows = self.rows[:size], self.rows[size:]
        return given

    def close(self) -> None:
        self.calls.append(("close", None))


def answer(monkeypatch: pytest.MonkeyPatch, scheme: str, driver: StandIn, query: str, mark: Mark | None) -> list[Any]:
    monkeypatch.setitem(sys.modules, DIALECTS[scheme].module, driver)  # type: ignore[arg-type]
    monkeypatch.setenv("SIS_URL", f"{scheme}://me:secret@db.example/sis")
    url = connection_url("SIS_URL")
    ask = Ask(query, mark, lambda name: name.lower() != "name", 60, "America/Chicago")
    schema, *batches = url.dialect.stream(url, ask)
    assert isinstance(schema, pa.Schema)
    return [row for batch in batches for row in batch.to_pylist()]


TYPES = {"mssql": (3, 4), "oracle": ("number", "timestamp")}
WRONG_LOGIN = {"mssql": (18456, b"canary"), "oracle": SimpleNamespace(full_code="ORA-01017")}


@pytest.mark.parametrize("scheme", ["mssql", "oracle"])
def test_the_optional_drivers_are_asked_with_a_parameter_and_left_closed(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, moment = TYPES[scheme]
    when = datetime(2026, 3, 27, 14, 11)
    driver = StandIn([("ID", number), ("NAME", "text"), ("AT", moment)], [(7, "Canary", when), (8, "Canary", None)])
    mark = Mark("at", "2026-01-01 10:00:00")
    query = "SELECT * FROM t WHERE at > :high_water_mark AND x LIKE 'a%'"
    rows = answer(monkeypatch, scheme, driver, query, mark)
    text = "2026-03-27 14:11:00"
    assert rows == [
        {"ID": "7", "AT": text, "_high_water_mark": text},
        {"ID": "8", "AT": None, "_high_water_mark": None},
    ]
    asked = driver.calls[-2]
    assert (
        asked
        == {
            "mssql": (
                "SELECT * FROM t WHERE at > %(high_water_mark)s AND x LIKE 'a%%'",
                {"high_water_mark": "2026-01-01 10:00:00"},
            ),
            "oracle": (query, {"high_water_mark": datetime(2026, 1, 1, 10)}),
        }[scheme]
    )
    assert driver.calls[-1] == ("close", None)
    assert (("SET TRANSACTION READ ONLY", None) in driver.calls) == (scheme == "oracle")


@pytest.mark.parametrize("scheme", ["mssql", "oracle"])
def test_an_optional_drivers_error_is_told_by_its_code(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unreadable) as caught:
        answer(monkeypatch, scheme, StandIn([], [], fails=WRONG_LOGIN[scheme]), "SELECT 1", None)
    assert caught.value.reason == "login_refused"
    assert "canary" not in f"{caught.value} {caught.value.remedy}"


@pytest.mark.parametrize("scheme", ["mssql", "oracle"])
def test_a_driver_that_is_not_installed_is_named_with_its_extra(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, DIALECTS[scheme].module, None)
    monkeypatch.setenv("SIS_URL", f"{scheme}://me:secret@db.example/sis")
    with pytest.raises(Unreadable) as caught:
        connection_url("SIS_URL").dialect.driver()
    assert caught.value.reason == "driver_missing"
    assert {"mssql": ".[sqlserver]", "oracle": ".[oracle]"}[scheme] in caught.value.remedy


# --- which columns are kept --------------------------------------------------------------------------------------


def test_columns_are_kept_when_any_map_names_them(tmp_path: Path) -> None:
    (tmp_path / "m.sql").write_text('SELECT s.in_sql, "With Blank" FROM source AS s')
    source = Source.model_validate(
        {
            "kind": "database",
            "missing_rows": "full",
            "entities": {
                "student": {"sql": "m.sql"},
                "school": {
                    "columns": {
                        "school_id": "Plain",
                        "a": {"column": "in_column"},
                        "b": {"columns": ["joined_1", "joined_2"], "join": " "},
                        "c": {"flags": {"flag_a": "A", "flag_b": "B"}},
                    },
                    "where": {"tested": ["1"]},
                    "where_not": {"left_out": ["1"]},
                    "unpivot": {"columns": "period_(?P<period>[0-9]+)"},
                },
                "survey_response": {"unpivot": {"repeat": [{"x": "action_1"}, {"x": "action_2"}]}},
                "survey": {"unpivot": {"columns": ["q1", "q2"]}},
            },
        }
    )
    wanted = database._wanted(source, tmp_path)
    kept = ["PLAIN", "in_column", "joined_2", "flag_b", "tested", "left_out", "period_12", "action_2", "Q1", "In_Sql"]
    assert [name for name in [*kept, "with blank"] if not wanted.keeps(name)] == []
    dropped = ["student_name", "birth_date", "period_x", "ssn", "password", "x"]
    assert [name for name in dropped if wanted.keeps(name)] == []
