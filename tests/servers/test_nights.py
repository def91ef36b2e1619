"""Nights whose sources are queries of a real server: what lands, what stays in use, and what is asked again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from pipelines.config import DistrictFile, Settings
from pipelines.deliveries import receipts_of
from pipelines.home import Home
from pipelines.keys import pseudonym
from pipelines.landing import Landing, SourceState, land
from pipelines.sources import database

if TYPE_CHECKING:
    from conftest import Server

KEY = bytes(range(32))
PASSWORD = "canary-of-a-password"
MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2025, 9, day) for day in (1, 2, 3, 4))
STUDENTS = {
    "query": "SELECT * FROM students",
    "missing_rows": "full",
    "entities": {
        "student_school_enrollment": {
            "columns": {"student_id": "sid", "school_id": "school", "entry_date": "entered", "grade": "grade"}
        }
    },
}
ATTENDANCE = {
    "query": "sql/attendance.sql",
    "missing_rows": "append",
    "attendance_records": "every_day",
    "high_water_mark": {"column": "modified_at", "start": "2025-07-01"},
    "entities": {
        "attendance_event": {"columns": {"student_id": "sid", "school_id": "school", "date": "day", "category": "code"}}
    },
}


class District:
    """Two queries of one server, and a home."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        self.home = Home.open(folder / "home")
        self.said: list[str] = []
        self.sources: dict[str, dict[str, Any]] = {"students": dict(STUDENTS), "attendance": dict(ATTENDANCE)}
        (folder / "sql").mkdir()
        (folder / "sql" / "attendance.sql").write_text(
            "-- marks that changed\nSELECT * FROM attendance WHERE modified_at >= :high_water_mark\n"
        )
        stamp = {"postgresql": "timestamptz", "mariadb": "datetime(6)"}[server.kind]
        server.run(
            "DROP TABLE IF EXISTS students",
            "DROP TABLE IF EXISTS attendance",
            "CREATE TABLE students "
            "(sid varchar(10), name text, ssn text, school varchar(4), entered date, grade char(4))",
            "CREATE TABLE attendance "
            f"(sid varchar(10), name text, school varchar(4), day date, code text, modified_at {stamp})",
            "INSERT INTO students VALUES ('0000000417', 'Canary Name', '123-45-6789', '0415', '2025-08-12', '01'), "
            "('417', 'Canary Other', '123-45-6780', '415', '2025-08-12', '02')",
            "INSERT INTO attendance VALUES "
            "('0000000417', 'Canary Name', '0415', '2025-09-01', 'A', '2025-09-01 09:00:00'), "
            "('417', 'Canary Other', '415', '2025-09-01', 'P', '2025-09-01 10:00:00')",
        )

    def land(self, as_of: date) -> Landing:
        about = {"id": "d", "name": "D", "contact": "x@example.org", "time_zone": "America/Chicago"}
        sources = {
            name: {"kind": "database", "connection": "SIS_URL", "time_limit_seconds": 60, **source}
            for name, source in self.sources.items()
        }
        file = DistrictFile(
            path=self.folder / "district.yaml",
            settings=Settings.model_validate({"district": about, "sources": sources}),
        )
        landing = land(file, self.home, as_of=as_of, say=self.said.append)
        for one in landing.files:
            assert one.rows_read == one.rows_accepted + one.rows_refused + one.rows_filtered + one.rows_collapsed
        return landing

    def everything_written(self) -> str:
        """All that may be read or shown: what was said, receipts, notes, and the names of files."""
        texts = [path.read_text(errors="replace") for path in self.home.root.rglob("*.json")]
        return " ".join([*self.said, *texts, *map(str, self.home.root.rglob("*"))])


def state_of(landing: Landing, source_id: str) -> SourceState:
    return next(one for one in landing.sources if one.source_id == source_id)


def marks(landing: Landing) -> list[tuple[Any, ...]]:
    """Marks in use: the newest row of each student and day."""
    files = [one for one in landing.files if one.source_id == "attendance" and one.is_live]
    rows = [
        (*row, one.delivery_no)
        for one in files
        for row in duckdb.execute(
            "SELECT student_key, date, category FROM read_parquet(?)", [str(one.raw_path)]
        ).fetchall()
    ]
    newest = {row[:2]: row[:3] for row in sorted(rows, key=lambda row: row[3])}
    return sorted(newest.values())


def mark(student: str, day: str, code: str) -> tuple[Any, ...]:
    return pseudonym(KEY, "student", student), day, code


@pytest.fixture
def district(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> District:
    key = tmp_path / "key"
    key.write_text(KEY.hex())
    key.chmod(0o600)
    monkeypatch.setenv("EQUITY_KEY_FILE", str(key))
    monkeypatch.setenv("SIS_URL", server.url)
    return District(tmp_path, server)


def test_students_and_attendance_land_from_one_server(district: District) -> None:
    landing = district.land(MONDAY)
    assert [(one.source_id, one.status, one.message) for one in landing.sources] == [
        ("students", "new", ""),
        ("attendance", "new", ""),
    ]
    (students,) = [one for one in landing.files if one.source_id == "students"]
    assert students.file_name == "students.parquet"
    rows = duckdb.execute(
        "SELECT student_key, school_id, entry_date, grade FROM read_parquet(?) ORDER BY school_id",
        [str(students.raw_path)],
    ).fetchall()
    # Ids are text: 0000000417 and 417 are two students, 0415 and 415 two schools.
    assert rows == [
        (pseudonym(KEY, "student", "0000000417"), "0415", "2025-08-12", "01"),
        (pseudonym(KEY, "student", "417"), "415", "2025-08-12", "02"),
    ]
    assert marks(landing) == sorted([mark("0000000417", "2025-09-01", "A"), mark("417", "2025-09-01", "P")])
    kept = [path for path in (district.home.landing / "files").rglob("*") if path.is_file()]
    names = {
        row[0]
        for path in kept
        for row in duckdb.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
    }
    assert names == {"sid", "school", "entered", "grade", "day", "code", "_high_water_mark"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in kept)


def test_three_nights_with_an_update_and_a_late_row(district: District) -> None:
    district.land(MONDAY)
    run = district.server.run
    run("UPDATE attendance SET code = 'E', modified_at = '2025-09-02 08:00:00' WHERE sid = '417'")
    run("INSERT INTO attendance VALUES ('417', 'n', '415', '2025-09-02', 'P', '2025-09-02 09:00:00')")
    second = district.land(TUESDAY)
    assert state_of(second, "attendance").status == "new"
    assert state_of(second, "students").status == "unchanged"
    # Late: the same time as the highest one already seen.
    run("INSERT INTO attendance VALUES ('0000000417', 'n', '0415', '2025-09-02', 'A', '2025-09-02 09:00:00')")
    third = district.land(WEDNESDAY)
    assert marks(third) == sorted(
        [
            mark("0000000417", "2025-09-01", "A"),
            mark("0000000417", "2025-09-02", "A"),
            mark("417", "2025-09-01", "E"),
            mark("417", "2025-09-02", "P"),
        ]
    )
    last = district.land(THURSDAY)
    assert state_of(last, "attendance").status == "unchanged"
    numbers = [one.delivery.number for one in receipts_of(district.home, "attendance")]
    again = district.land(THURSDAY)
    assert again == last
    assert [one.delivery.number for one in receipts_of(district.home, "attendance")] == numbers
    # The night of Tuesday, repeated: nothing is asked, and all is as it was.
    repeated = district.land(TUESDAY)
    assert marks(repeated) == marks(second)


def test_a_night_with_nothing_new_counts_as_received(district: District) -> None:
    (district.folder / "sql" / "attendance.sql").write_text(
        "SELECT * FROM attendance WHERE modified_at > :high_water_mark"
    )
    first = district.land(MONDAY)
    second = district.land(TUESDAY)
    assert state_of(second, "attendance").status == "unchanged"
    assert state_of(second, "attendance").message == ""
    assert second.files == first.files
    assert len(receipts_of(district.home, "attendance")) == 1


def test_a_column_mapped_later_is_there_for_all_rows(district: District) -> None:
    district.land(MONDAY)
    district.server.run("INSERT INTO attendance VALUES ('9', 'n', '415', '2025-09-02', 'P', '2025-09-02 09:00:00')")
    district.land(TUESDAY)
    columns = ATTENDANCE["entities"]["attendance_event"]["columns"]  # type: ignore[index]
    district.sources["attendance"]["entities"] = {"attendance_event": {"columns": {**columns, "calendar_id": "name"}}}
    landing = district.land(WEDNESDAY)
    assert state_of(landing, "attendance").status == "new"
    assert len(marks(landing)) == 3
    live = [one for one in landing.files if one.source_id == "attendance" and one.is_live]
    newest = max(live, key=lambda one: one.delivery_no)
    assert (newest.rows_accepted, newest.file_name) == (3, "attendance/2025-07-01.parquet")


def test_a_delivery_that_could_not_be_used_is_asked_for_again(district: District) -> None:
    district.land(MONDAY)
    run = district.server.run
    run("INSERT INTO attendance VALUES ('', 'n', '415', '2025-09-02', 'P', '2025-09-02 09:00:00')")
    run("DELETE FROM attendance WHERE sid <> ''")
    landing = district.land(TUESDAY)
    state = state_of(landing, "attendance")
    assert (state.status, "every row was refused" in state.message) == ("unreadable", True)
    run("UPDATE attendance SET sid = '417'")
    landing = district.land(WEDNESDAY)
    assert state_of(landing, "attendance").status == "new"
    assert mark("417", "2025-09-02", "P") in marks(landing)


HUGE = {
    "postgresql": "SELECT i::text AS sid, 'x' AS school, date '2025-08-12' AS entered, repeat('x', 200) AS grade "
    "FROM generate_series(1, 20000000) i",
    "mariadb": "SELECT seq AS sid, 'x' AS school, date '2025-08-12' AS entered, repeat('x', 200) AS grade "
    "FROM seq_1_to_20000000",
}


def test_a_server_that_ends_midway_leaves_yesterday_in_use_and_is_asked_again(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = district.land(MONDAY)
    district.server.run("INSERT INTO attendance VALUES ('9', 'n', '415', '2025-09-02', 'P', '2025-09-02 09:00:00')")
    whole = database._Stream.batches

    def batches(stream: Any) -> Iterator[Any]:
        for number, batch in enumerate(whole(stream)):
            if number == 0:
                district.server.stop(district.server.crash)
            yield batch

    district.sources["students"]["query"] = HUGE[district.server.kind]
    try:
        with monkeypatch.context() as patch:
            patch.setattr(database._Stream, "batches", batches)
            broken = district.land(TUESDAY)
    finally:
        district.server.start()
    assert [one.status for one in broken.sources] == ["unreadable", "unreadable"]
    assert "Nothing of it was kept" in state_of(broken, "students").message
    assert broken.files == first.files
    assert not (district.home.landing / ".scratch").exists()
    district.sources["students"]["query"] = "SELECT * FROM students"
    resumed = district.land(TUESDAY)
    assert [one.status for one in resumed.sources] == ["unchanged", "new"]
    assert mark("9", "2025-09-02", "P") in marks(resumed)


def test_one_database_that_fails_does_not_touch_another_source(
    district: District, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: Any
) -> None:
    monkeypatch.setenv("OTHER_URL", district.server.url.replace(PASSWORD, "wrong-canary"))
    district.sources["attendance"]["connection"] = "OTHER_URL"
    landing = district.land(MONDAY)
    assert state_of(landing, "students").status == "new"
    state = state_of(landing, "attendance")
    assert (state.status, state.last_received) == ("unreadable", None)
    assert state.remedy
    everything = f"{district.everything_written()} {landing} {capfd.readouterr()} {caplog.text}"
    for secret in (PASSWORD, "wrong-canary", "equity_reader", "Canary", "123-45"):
        assert secret not in everything
    monkeypatch.delenv("OTHER_URL")
    landing = district.land(TUESDAY)
    assert "OTHER_URL" in state_of(landing, "attendance").message
