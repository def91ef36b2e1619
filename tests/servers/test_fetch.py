"""One query's answer from a real server: whole, as text, only what is mapped, within its time, and never a write."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest

from pipelines.config import Source
from pipelines.deliveries import DeliveredFile, Delivery, Receipt
from pipelines.home import Home
from pipelines.raw_files import stored_path
from pipelines.sources import Unreadable, database
from pipelines.sources.database import Fetched, fetch

if TYPE_CHECKING:
    from conftest import Server

PASSWORD = "canary-of-a-password"


class Asking:
    """A source that asks a server, and the deliveries that came of it."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.home = Home.open(folder / "home")
        self.folder = folder
        self.server = server
        self.receipts: list[Receipt] = []

    def ask(self, query: str, *columns: str, **settings: Any) -> Fetched:
        entity = {"columns": {f"c{n}": column for n, column in enumerate(columns)}}
        given = {"missing_rows": "append", "time_limit_seconds": 60, "entities": {"school": entity}, **settings}
        source = Source.model_validate({"kind": "database", "connection": "SIS_URL", "query": query, **given})
        scratch = self.folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        return fetch(
            "sis",
            source,
            folder=self.folder,
            time_zone="America/Chicago",
            receipts=self.receipts,
            home=self.home,
            scratch=scratch,
        )

    def rows(self, query: str, *columns: str, **settings: Any) -> list[tuple[Any, ...]]:
        return rows_of(self.ask(query, *columns, **settings))

    def problem(self, query: str, *columns: str, **settings: Any) -> Unreadable:
        with pytest.raises(Unreadable) as caught:
            self.ask(query, *columns, **settings)
        assert PASSWORD not in f"{caught.value.message} {caught.value.remedy}"
        return caught.value

    def deliver(self, answer: Fetched, outcome: Any = "accepted") -> None:
        """Keep an answer as landing does."""
        assert answer.path is not None
        file_id = hashlib.sha256(answer.path.read_bytes()).hexdigest()
        stored_path(self.home, file_id).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(answer.path, stored_path(self.home, file_id))
        number = len(self.receipts) + 1
        delivery = Delivery("sis", number, date(2025, 9, number), (DeliveredFile(answer.name, file_id),))
        self.receipts.append(Receipt(delivery, outcome=outcome))


def rows_of(answer: Fetched) -> list[tuple[Any, ...]]:
    assert answer.path is not None
    return duckdb.execute(
        "SELECT * EXCLUDE (file_row_number) FROM read_parquet(?, file_row_number = true) ORDER BY file_row_number",
        [str(answer.path)],
    ).fetchall()


def columns_of(answer: Fetched) -> list[str]:
    return [row[0] for row in duckdb.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(answer.path)]).fetchall()]


@pytest.fixture
def asking(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asking:
    return _asking(server, tmp_path, monkeypatch)


@pytest.fixture
def asking_postgresql(postgresql: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asking:
    return _asking(postgresql, tmp_path, monkeypatch)


@pytest.fixture
def asking_mariadb(mariadb: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asking:
    return _asking(mariadb, tmp_path, monkeypatch)


def _asking(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Asking:
    monkeypatch.setenv("SIS_URL", server.url)
    return Asking(folder, server)


# --- values ------------------------------------------------------------------------------------------------------


def test_values_of_every_common_type_arrive_as_text_from_postgresql(asking_postgresql: Asking) -> None:
    values = {
        "lpad('417', 10, '0')": "0000000417",
        "1.50::numeric(5,2)": "1.50",
        "12345678901234567890123::numeric": "12345678901234567890123",
        "true": "true",
        "date '2025-09-01'": "2025-09-01",
        "timestamp '2025-09-01'": "2025-09-01 00:00:00",
        # In the district's own time, where it is still the day before.
        "timestamptz '2025-09-01 03:00Z'": "2025-08-31 22:00:00",
        "time '07:45'": "07:45:00",
        "'x'::char(4)": "x",
        "null::text": None,
        "''": "",
        "'Zoë 日本'": "Zoë 日本",
        """'{"a": 1}'::jsonb""": '{"a": 1}',
        "'00000000-0000-0000-0000-000000000001'::uuid": "00000000-0000-0000-0000-000000000001",
        "'infinity'::date": "infinity",
        "'NaN'::float8": "NaN",
        "'B'::grade_of_test": "B",
        "interval '1 day'": "1 day",
        "18446744073709551615::numeric": "18446744073709551615",
    }
    asking_postgresql.server.run("DROP TYPE IF EXISTS grade_of_test", "CREATE TYPE grade_of_test AS ENUM ('A', 'B')")
    names = [f"v{n}" for n in range(len(values))]
    query = "SELECT " + ", ".join(f"{value} AS {name}" for value, name in zip(values, names, strict=True))
    assert asking_postgresql.rows(query, *names) == [tuple(values.values())]


def test_values_of_every_common_type_arrive_as_text_from_mariadb(asking_mariadb: Asking) -> None:
    columns = {
        "id": ("varchar(10)", "'0000000417'", "0000000417"),
        "points": ("decimal(5,2)", "1.5", "1.50"),
        "flag": ("boolean", "true", "1"),
        "bits": ("bit(1)", "b'1'", "1"),
        "day": ("date", "'2025-09-01'", "2025-09-01"),
        "no_day": ("date", "'0000-00-00'", "0000-00-00"),
        "at": ("datetime(3)", "'2025-09-01 07:45:00.123'", "2025-09-01 07:45:00.123"),
        "hour": ("time", "'07:45:00'", "07:45:00"),
        "padded": ("char(4)", "'x'", "x"),
        "nothing": ("text", "null", None),
        "blank": ("text", "''", ""),
        "name": ("varchar(20) character set utf8mb4", "'Zoë 日本'", "Zoë 日本"),
        "old": ("varchar(20) character set latin1", "'Zoë'", "Zoë"),
        "record": ("json", """'{"a": 1}'""", '{"a": 1}'),
        "choice": ("enum('A','B')", "'B'", "B"),
        "big": ("bigint unsigned", "18446744073709551615", "18446744073709551615"),
        "year": ("year", "2025", "2025"),
    }
    asking_mariadb.server.run(
        "SET sql_mode = '', NAMES utf8mb4",
        f"CREATE OR REPLACE TABLE kinds ({', '.join(f'{name} {one[0]}' for name, one in columns.items())})",
        f"INSERT INTO kinds VALUES ({', '.join(one[1] for one in columns.values())})",
    )
    assert asking_mariadb.rows("SELECT * FROM kinds", *columns) == [tuple(one[2] for one in columns.values())]


BINARY = {"postgresql": "'\\x00'::bytea", "mariadb": "cast('x' AS binary(4))"}


def test_a_binary_column_is_refused_only_where_it_is_mapped(asking: Asking) -> None:
    query = f"SELECT 1 AS id, {BINARY[asking.server.kind]} AS photo"
    problem = asking.problem(query, "id", "photo")
    assert (problem.reason, "photo" in problem.message) == ("column_not_text", True)
    assert asking.rows(query, "id") == [("1",)]


def test_lists_are_refused(asking_postgresql: Asking) -> None:
    assert asking_postgresql.problem("SELECT array[1] AS a", "a").reason == "column_not_text"


def test_only_mapped_columns_are_kept_in_any_case_and_never_refused_ones(asking: Asking) -> None:
    query = "SELECT 'S1' AS Student_Id, 'Canary Name' AS student_name, '123-45-6789' AS ssn"
    answer = asking.ask(query, "STUDENT_ID")
    assert [name.lower() for name in columns_of(answer)] == ["student_id"]
    # Configuration refuses to map such a column; a query cannot bring it in by another way either.
    assert asking.problem(query, "ssn").reason == "missing_column"


def test_two_columns_of_one_name_are_refused_where_they_are_mapped(asking: Asking) -> None:
    quote = {"postgresql": '"', "mariadb": "`"}[asking.server.kind]
    query = f"SELECT 1 AS id, 2 AS {quote}ID{quote}, 3 AS other"
    assert asking.problem(query, "id").reason == "duplicate_column_name"
    assert asking.rows(query, "other") == [("3",)]


def test_a_query_from_a_file_with_comments_and_semicolons(asking: Asking) -> None:
    query = "-- pupils\n/* all of\nthem */ WITH x AS (SELECT 7 AS id)\nSELECT * FROM x -- end\n;\n;\n"
    (asking.folder / "q.sql").write_text(query)
    assert asking.rows("q.sql", "id") == [("7",)]
    assert asking.problem("nowhere.sql", "id").reason == "query_file_unreadable"


# --- the same rows, the same bytes -------------------------------------------------------------------------------

MANY = {
    "postgresql": "SELECT i AS id, 'row ' || i AS name FROM generate_series(1, 30000) i",
    "mariadb": "SELECT seq AS id, concat('row ', seq) AS name FROM seq_1_to_30000",
}


def test_the_order_of_rows_does_not_change_the_file(asking: Asking) -> None:
    query = MANY[asking.server.kind]
    random = {"postgresql": "random()", "mariadb": "rand()"}[asking.server.kind]
    hashes = set()
    for order in ("id", "id DESC", random):
        answer = asking.ask(f"{query} ORDER BY {order}", "id", "name")
        assert answer.name == "sis.parquet"
        assert len(rows_of(answer)) == 30000
        hashes.add(hashlib.sha256((answer.path or Path()).read_bytes()).hexdigest())
    assert len(hashes) == 1


# --- what goes wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELEC 1 AS id", "query_not_read_only"),
        ("SELECT 1 AS id FROM", "query_failed"),
        ("SELECT nothing_there AS id", "query_failed"),
        ("SELECT id FROM nothing_there", "query_failed"),
        ("SELECT 1 AS other", "missing_column"),
        ("SELECT 1 AS id; SELECT 2 AS id", "query_failed"),
    ],
)
def test_a_wrong_query_is_told_by_the_servers_code(asking: Asking, query: str, reason: str) -> None:
    assert asking.problem(query, "id").reason == reason


def test_an_error_in_the_middle_of_an_answer_holds_no_value(asking_postgresql: Asking) -> None:
    query = (
        "SELECT (CASE WHEN i = 150000 THEN 'canary-value' ELSE '1' END)::int AS id FROM generate_series(1, 200000) i"
    )
    problem = asking_postgresql.problem(query, "id")
    assert problem.reason == "query_failed"
    assert "22P02" in problem.message
    assert "canary" not in f"{problem.message} {problem.remedy}"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda url: url.replace(PASSWORD, "wrong-canary"), "login_refused"),
        (lambda url: url.rsplit("/", 1)[0] + "/nowhere", None),
        (lambda url: url.replace("127.0.0.1", "localhost.invalid"), "cannot_connect"),
        (lambda url: url.rsplit(":", 1)[0] + ":1/x", "cannot_connect"),
    ],
)
def test_a_connection_that_fails_says_why_and_shows_nothing_of_the_url(
    asking: Asking,
    change: Callable[[str], str],
    reason: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("SIS_URL", change(asking.server.url))
    problem = asking.problem("SELECT 1 AS id", "id")
    # MariaDB tells a user without rights nothing about which databases there are.
    assert problem.reason in ({reason} if reason else {"unknown_database", "login_refused"})
    shown = f"{problem.message} {problem.remedy} {problem.__cause__} {capfd.readouterr()} {caplog.text}"
    assert [secret for secret in (PASSWORD, "wrong-canary", "equity_reader", "127.0.0.1") if secret in shown] == []


WRITES = {
    "postgresql": [
        "INSERT INTO untouched VALUES (2) RETURNING id",
        "WITH gone AS (DELETE FROM untouched RETURNING id) SELECT id FROM gone",
        "WITH a AS (SELECT 1) INSERT INTO untouched SELECT 3 RETURNING id",
        "WITH a AS (SELECT 1) DELETE FROM untouched",
        "SELECT write_one() AS id",
        "SELECT nextval('numbers') AS id",
        "SELECT 1 AS id; DELETE FROM untouched",
        "SELECT 1 AS id) AS q; COMMIT; DELETE FROM untouched; --",
        "SELECT set_config('transaction_read_only', 'off', false) || write_one() AS id",
        "SELECT id FROM untouched FOR UPDATE",
    ],
    "mariadb": [
        "INSERT INTO untouched VALUES (2)",
        "SELECT write_one() AS id",
        "SELECT nextval(numbers) AS id",
        "SELECT 1 AS id; DELETE FROM untouched",
        "SELECT 1 AS id; COMMIT; DELETE FROM untouched",
        "WITH a AS (SELECT 1) DELETE FROM untouched",
    ],
}
#: Refused before they reach the server, or as several statements in one, or by a rule of their own.
OTHERWISE = {"query_failed"}


def test_a_query_that_writes_is_refused_and_changes_nothing(asking: Asking) -> None:
    asking.server.run(
        *{
            "postgresql": (
                "DROP TABLE IF EXISTS untouched",
                "DROP SEQUENCE IF EXISTS numbers",
                "CREATE TABLE untouched AS SELECT 1 AS id",
                "CREATE SEQUENCE numbers",
                "CREATE OR REPLACE FUNCTION write_one() RETURNS int LANGUAGE sql VOLATILE "
                "AS 'INSERT INTO untouched VALUES (9) RETURNING id'",
            ),
            "mariadb": (
                "CREATE OR REPLACE TABLE untouched AS SELECT 1 AS id",
                "CREATE OR REPLACE SEQUENCE numbers",
                "CREATE OR REPLACE FUNCTION write_one() RETURNS int MODIFIES SQL DATA "
                "BEGIN INSERT INTO untouched VALUES (9); RETURN 9; END",
            ),
        }[asking.server.kind]
    )
    reasons = {query: asking.problem(query, "id").reason for query in WRITES[asking.server.kind]}
    assert asking.server.run("SELECT id FROM untouched") == [(1,)]
    assert set(reasons.values()) <= {"query_not_read_only"} | OTHERWISE
    several = {query for query, reason in reasons.items() if reason != "query_not_read_only"}
    assert all(";" in query or query.startswith(("WITH a", "SELECT set_config")) for query in several), several


def _running(server: Server, marker: str) -> bool:
    query = {
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%" + marker + "%' "
        "AND pid <> pg_backend_pid()",
        "mariadb": "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%" + marker + "%' "
        "AND id <> connection_id()",
    }[server.kind]
    return bool(server.run(query)[0][0])


SLOW = {
    "postgresql": [
        "SELECT pg_sleep(60)::text AS id, 'marker_a' AS m",
        "SELECT i AS id, 'marker_a' AS m FROM generate_series(1, 100000) i WHERE pg_sleep(0.01) IS NOT NULL",
    ],
    "mariadb": [
        "SELECT sleep(60) AS id, 'marker_a' AS m",
        "SELECT seq AS id, 'marker_a' AS m FROM seq_1_to_100000 WHERE sleep(0.01) = 0",
    ],
}


def test_a_query_over_its_time_is_stopped_on_the_server(asking: Asking) -> None:
    for query in SLOW[asking.server.kind]:
        assert asking.problem(query, "id", time_limit_seconds=1).reason == "query_too_slow"
        deadline = time.monotonic() + 10
        while _running(asking.server, "marker_a") and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not _running(asking.server, "marker_a")


HUGE = {
    "postgresql": "SELECT i AS id, repeat('x', 200) AS name FROM generate_series(1, 20000000) i",
    "mariadb": "SELECT seq AS id, repeat('x', 200) AS name FROM seq_1_to_20000000",
}


@pytest.fixture
def crashes_midway(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The server ends when the first batch has been read."""
    whole = database._Stream.batches

    def batches(stream: Any) -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(whole(stream)):
            if number == 0:
                server.stop(server.crash)
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(database._Stream, "batches", batches)
        yield
    server.start()


@pytest.mark.usefixtures("crashes_midway")
def test_a_server_that_ends_midway_leaves_nothing(asking: Asking) -> None:
    assert asking.problem(HUGE[asking.server.kind], "id", "name").reason == "connection_lost"


def test_a_longer_answer_needs_no_more_memory(asking: Asking) -> None:
    rows = {
        "postgresql": "SELECT repeat(md5(i::text), 32) AS id FROM generate_series(1, 300000) i",
        "mariadb": "SELECT repeat(md5(seq), 32) AS id FROM seq_1_to_300000",
    }[asking.server.kind]
    child = f"""
import resource
import threading
import time
from pipelines.sources import database
from pipelines.sources.database_drivers import Ask, connection_url
url = connection_url("SIS_URL")
url.dialect.driver()
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
ask = Ask({rows!r}, None, lambda name: True, 120, "UTC")
with database._Stream(lambda: url.dialect.stream(url, ask), 120) as stream:
    stream.schema()
    before = peak()
    [driver] = [one for one in threading.enumerate() if one.name == "database"]
    while driver.is_alive() and not stream._queue.full():  # held back, or else it has fetched everything
        time.sleep(0.05)
    rows, size = 0, 0
    for batch in stream.batches():
        rows, size = rows + batch.num_rows, size + batch.nbytes
print(rows, size // 1024**2, peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, env=os.environ, check=True)
    count, megabytes, grown = map(int, done.stdout.split())
    assert (count, megabytes >= 290) == (300000, True)
    # Two batches wait at most, beside the one in hand and the one that comes. Measured: 40 MB (PostgreSQL, batches of
    # 16 MB) and 100 MB (MariaDB), and the same for a million rows.
    assert grown < 200


# --- high-water marks --------------------------------------------------------------------------------------------

ABOVE = "SELECT id, name, modified_at FROM marks WHERE modified_at > :high_water_mark AND name NOT LIKE '%%none%%'"
SINCE = "SELECT id, name, modified_at FROM marks WHERE modified_at >= :high_water_mark"
BY_TIME = {"column": "modified_at", "start": "2025-07-01"}
COLUMN_TYPES = {"postgresql": "timestamptz", "mariadb": "datetime(6)"}


def _table(server: Server, kind: str) -> None:
    server.run("DROP TABLE IF EXISTS marks", f"CREATE TABLE marks (id varchar(9), name text, modified_at {kind})")


def test_each_night_asks_for_what_is_new_and_an_update_comes_again(asking: Asking) -> None:
    _table(asking.server, COLUMN_TYPES[asking.server.kind])
    asking.server.run(
        "INSERT INTO marks VALUES ('1', 'a', '2025-08-01 09:00:00.000001'), ('2', 'b', '2025-08-01 10:00:00.5'), "
        "('0', 'too old', '2025-06-30 12:00:00')"
    )

    def night() -> tuple[str, list[tuple[Any, ...]] | None]:
        answer = asking.ask(ABOVE, "id", "name", high_water_mark=BY_TIME)
        if answer.path is None:
            return answer.name, None
        asking.deliver(answer)
        return answer.name, [row[:2] for row in rows_of(answer)]

    assert night() == ("sis/2025-07-01.parquet", [("1", "a"), ("2", "b")])
    asking.server.run("UPDATE marks SET name = 'corrected', modified_at = '2025-08-02 09:00:00' WHERE id = '1'")
    name, rows = night()
    assert name.startswith("sis/2025-08-01T")
    assert rows == [("1", "corrected")]
    third, nothing = night()
    assert third.startswith("sis/2025-08-02T")
    assert nothing is None
    asking.server.run("INSERT INTO marks VALUES ('3', 'late', '2025-08-02 09:00:00.000001')")
    assert night() == (third, [("3", "late")])


def test_a_late_row_with_an_equal_mark_is_seen_where_the_query_says_from(asking: Asking) -> None:
    _table(asking.server, COLUMN_TYPES[asking.server.kind])
    asking.server.run("INSERT INTO marks VALUES ('1', 'a', '2025-08-01 09:00:00')")
    asking.deliver(asking.ask(SINCE, "id", high_water_mark=BY_TIME))
    again = asking.ask(SINCE, "id", high_water_mark=BY_TIME)
    assert [row[0] for row in rows_of(again)] == ["1"]
    asking.deliver(again)
    # The same rows from the same mark: the same bytes, which are no new delivery.
    once_more = asking.ask(SINCE, "id", high_water_mark=BY_TIME)
    assert once_more.name == again.name
    assert once_more.path is not None
    last = asking.receipts[-1].delivery.files[0]
    assert hashlib.sha256(once_more.path.read_bytes()).hexdigest() == last.file_id
    asking.server.run("INSERT INTO marks VALUES ('2', 'late', '2025-08-01 09:00:00')")
    assert [row[0] for row in rows_of(asking.ask(SINCE, "id", high_water_mark=BY_TIME))] == ["1", "2"]


def test_the_mark_moves_with_accepted_deliveries_only(asking: Asking) -> None:
    _table(asking.server, COLUMN_TYPES[asking.server.kind])
    asking.server.run("INSERT INTO marks VALUES ('1', 'a', '2025-08-01 09:00:00')")
    for outcome in ("unreadable", "held", None):
        asking.deliver(asking.ask(ABOVE, "id", high_water_mark=BY_TIME), outcome)
    assert asking.ask(ABOVE, "id", high_water_mark=BY_TIME).name == "sis/2025-07-01.parquet"


def test_deliveries_from_before_the_source_was_a_query_hold_no_mark(asking: Asking) -> None:
    _table(asking.server, "bigint")
    by_number = {"column": "modified_at", "start": "5"}
    export = asking.folder / "export.csv"
    export.write_text("id,modified_at\n1,7\n")
    asking.deliver(Fetched("export.csv", export))
    assert asking.ask(ABOVE, "id", high_water_mark=by_number).name == "sis/5.parquet"


def test_numbers_are_compared_as_numbers(asking: Asking) -> None:
    for kind in ("bigint", "numeric(30, 2)"):
        asking.receipts.clear()
        _table(asking.server, kind)
        asking.server.run("INSERT INTO marks VALUES ('1', 'a', 9), ('2', 'b', 1000000000000000003)")
        by_number = {"column": "Modified_At", "start": "0"}
        answer = asking.ask(ABOVE, "id", high_water_mark=by_number)
        assert [row[0] for row in rows_of(answer)] == ["1", "2"]
        asking.deliver(answer)
        asking.server.run("INSERT INTO marks VALUES ('3', 'c', 1000000000000000004), ('4', 'd', 10)")
        answer = asking.ask(ABOVE, "id", high_water_mark=by_number)
        assert answer.name.startswith("sis/1000000000000000003")
        assert [row[0] for row in rows_of(answer)] == ["3"]


def test_a_day_is_a_mark(asking: Asking) -> None:
    _table(asking.server, "date")
    asking.server.run("INSERT INTO marks VALUES ('1', 'a', '2025-09-30'), ('2', 'b', '2025-10-01')")
    asking.deliver(asking.ask(SINCE, "id", "modified_at", high_water_mark=BY_TIME))
    again = asking.ask(SINCE, "id", "modified_at", high_water_mark=BY_TIME)
    assert (again.name, rows_of(again)) == ("sis/2025-10-01.parquet", [("2", "2025-10-01", "2025-10-01")])


def test_a_query_that_looks_back_does_not_take_the_mark_back(asking: Asking) -> None:
    _table(asking.server, "bigint")
    back = "SELECT id, modified_at FROM marks WHERE modified_at > :high_water_mark - 5"
    by_number = {"column": "modified_at", "start": "0"}
    asking.server.run("INSERT INTO marks VALUES ('1', 'a', 8), ('2', 'b', 10)")
    asking.deliver(asking.ask(back, "id", high_water_mark=by_number))
    asking.server.run("DELETE FROM marks WHERE id = '2'")
    second = asking.ask(back, "id", high_water_mark=by_number)
    assert (second.name, [row[0] for row in rows_of(second)]) == ("sis/10.parquet", ["1"])
    asking.deliver(second)
    assert asking.ask(back, "id", high_water_mark=by_number).name == "sis/10.parquet"


def test_another_question_is_asked_from_the_start(asking: Asking) -> None:
    _table(asking.server, COLUMN_TYPES[asking.server.kind])
    asking.server.run("INSERT INTO marks VALUES ('1', 'a', '2025-08-01 09:00:00')")
    asking.deliver(asking.ask(ABOVE, "id", high_water_mark=BY_TIME))
    assert asking.ask(ABOVE, "id", high_water_mark=BY_TIME).path is None
    wider = asking.ask(ABOVE, "id", "name", high_water_mark=BY_TIME)
    assert wider.name == "sis/2025-07-01.parquet"
    assert [row[:2] for row in rows_of(wider)] == [("1", "a")]


def test_a_first_answer_without_rows_is_kept(asking: Asking) -> None:
    _table(asking.server, "bigint")
    by_number = {"column": "modified_at", "start": "5"}
    answer = asking.ask(ABOVE, "id", high_water_mark=by_number)
    assert rows_of(answer) == []
    asking.deliver(answer)
    assert asking.ask(ABOVE, "id", high_water_mark=by_number).path is None
    asking.server.run("INSERT INTO marks VALUES ('1', 'a', 6), ('2', 'b', 4)")
    assert [row[0] for row in rows_of(asking.ask(ABOVE, "id", high_water_mark=by_number))] == ["1"]


def test_a_mark_that_cannot_be_compared_is_refused(asking: Asking) -> None:
    _table(asking.server, "varchar(20)")
    assert asking.problem(ABOVE, "id", high_water_mark=BY_TIME).reason == "mark_not_comparable"
    _table(asking.server, "bigint")
    absent = {"column": "changed", "start": "0"}
    assert asking.problem(ABOVE, "id", high_water_mark=absent).reason == "missing_column"
