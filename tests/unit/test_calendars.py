"""What `calendar:` of district.yaml says: which days, for whom, how long, and in which periods."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import duckdb
import pytest

from pipelines import crosswalks
from pipelines.config import CalendarYear, DistrictFile, Grade, Settings
from pipelines.contract import CROSSWALK_VALUES
from pipelines.district_file import ConfigurationProblems, load
from pipelines.home import Home
from pipelines.landing import Landing
from pipelines.warehouse import connect, prepare

DISTRICT = """\
district:
  id: "4850"
  name: Example Unified
  contact: data@example.org
  time_zone: America/Chicago
calendar:
  - school_year: 2026
    first_day: 2025-08-12
    last_day: 2026-05-28
    closures: [2025-11-27..2025-11-28]
    half_days: [2025-11-26, "2026-05-27..2026-05-28"]
    minutes: 385
    periods: {1: 50, lunch: 0}
sources:
  marks:
    kind: delimited
    files: marks.csv
    missing_rows: window
    attendance_records: exceptions
    entities:
      attendance_event:
        columns: {student_id: id, school_id: school, date: day, category: mark, period: period}
"""


def written(folder: Path, text: str = DISTRICT) -> DistrictFile:
    path = folder / "district.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def told(folder: Path, old: str, new: str) -> dict[str, str]:
    """Places and sentences of the problems in the district's file with one part changed."""
    assert DISTRICT.count(old) == 1
    with pytest.raises(ConfigurationProblems) as caught:
        written(folder, DISTRICT.replace(old, new))
    return {problem.where: f"{problem.message} - {problem.remedy}" for problem in caught.value.problems}


def control(folder: Path, calendars: list[dict[str, Any]]) -> duckdb.DuckDBPyConnection:
    """A warehouse prepared for a district with these calendars and nothing else."""
    settings = {
        "district": {"id": "D", "name": "District", "contact": "a@b.example", "time_zone": "America/Chicago"},
        "calendar": calendars,
        "sources": {"s": {"kind": "delimited", "files": ["s.csv"], "missing_rows": "full", "entities": {"school": {}}}},
    }
    district = DistrictFile(path=folder / "district.yaml", settings=Settings.model_validate(settings))
    home = Home.open(folder / "home")
    nothing = Landing(sources=(), files=(), input_hash="")
    return connect(
        prepare(home, district, nothing, crosswalks.load(folder), load_id="L", as_of=date(2026, 3, 2)), read_only=True
    )


WEEK = {"school_year": 2026, "first_day": date(2025, 9, 1), "last_day": date(2025, 9, 5)}


def test_everything_that_a_calendar_file_says_can_be_said(tmp_path: Path) -> None:
    [year] = written(tmp_path).settings.calendar
    assert year.half_days == [date(2025, 11, 26), "2026-05-27..2026-05-28"]
    assert year.periods == {"1": 50, "lunch": 0}, "a number names a period too"
    assert (year.minutes, year.grades, year.calendar_id) == (385, [], None)


def test_grades_are_those_of_the_contract() -> None:
    assert get_args(Grade) == tuple(grade for grade in CROSSWALK_VALUES["grade"] if grade != "unknown")


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("[2025-11-26,", "[2025-08-11,", "calendar[0].half_days[0]", "outside 2025-08-12"),
        ("[2025-11-26,", "[2025-11-27,", "calendar[0].half_days[0]", "in a closure"),
        ("[2025-11-26,", "[2025-11-25..2025-12-01,", "calendar[0].half_days[0]", "in a closure"),
        ("[2025-11-26,", "[2025-11-29..2025-11-30,", "calendar[0].half_days[0]", "no day of the school week"),
        ("[2025-11-26,", "[soon,", "calendar[0].half_days[0]", "not a date or a range"),
        ("[2025-11-26,", "[2025-11-26..2025-11-25,", "calendar[0].half_days[0]", "ends before"),
        ("minutes: 385", "minutes: 0", "calendar[0].minutes", "1"),
        ("minutes: 385", "grades: [kg]", "calendar[0].periods", "not a grade's"),
        ("minutes: 385", "minutes: 24 h", "calendar[0].minutes", "whole number"),
        ("lunch: 0", "lunch: -1", "calendar[0].periods.lunch", "0"),
        ("    periods: {1: 50, lunch: 0}\n", "", "sources.marks.entities.attendance_event.columns.period", "which"),
    ],
)
def test_one_wrong_part_is_one_problem(tmp_path: Path, old: str, new: str, place: str, words: str) -> None:
    found = told(tmp_path, old, new)
    assert list(found) == [place]
    assert words in found[place]


def test_a_grade_is_one_of_the_contracts(tmp_path: Path) -> None:
    assert "kg" in told(tmp_path, "minutes: 385", "grades: [kindergarten]")["calendar[0].grades[0]"]


def test_marks_by_period_for_everybody_need_no_schedule(tmp_path: Path) -> None:
    text = DISTRICT.replace("    periods: {1: 50, lunch: 0}\n", "").replace("exceptions", "every_day")
    assert written(tmp_path, text)


def test_a_bell_schedule_may_come_from_a_file(tmp_path: Path) -> None:
    bells = """\
  bells:
    kind: delimited
    files: bells.csv
    missing_rows: full
    entities: {bell_schedule: {columns: {school_id: school, period: period}}}
"""
    assert written(tmp_path, DISTRICT.replace("    periods: {1: 50, lunch: 0}\n", "") + bells)


SECOND = "  - {school_year: 2026, first_day: 2025-08-12, last_day: 2026-05-28%s}\nsources:"


@pytest.mark.parametrize("scope", [", calendar_id: T1", ", grades: [kg]", ", schools: [S1]"])
def test_one_year_may_have_a_calendar_for_each_track_grade_and_school(tmp_path: Path, scope: str) -> None:
    one = DISTRICT.replace("sources:", SECOND % scope)
    assert len(written(tmp_path, one).settings.calendar) == 2
    two = one.replace("sources:", SECOND % scope.replace("kg]", "'12', kg]"))
    with pytest.raises(ConfigurationProblems) as caught:
        written(tmp_path, two)
    assert [problem.where for problem in caught.value.problems] == ["calendar[2].schools"]


def test_days_of_a_calendar(tmp_path: Path) -> None:
    """September 1 to 5 of 2025 is Monday to Friday; the 3rd is closed, the 5th half: half of 385 minutes is 192."""
    year = {
        **WEEK,
        "schools": ["S1", "S2"],
        "calendar_id": "T1",
        "closures": [date(2025, 9, 3)],
        "half_days": [date(2025, 9, 5)],
        "minutes": 385,
    }
    with control(tmp_path, [year]) as con:
        rows = con.execute(
            "select calendar_id, grade, date, calendar_event, share_of_day, minutes "
            "from control.configured_calendar_date where school_id = 'S2' order by date"
        ).fetchall()
        both = con.execute("select count(*) from control.configured_calendar_date").fetchone()
    full, half = (Decimal(1), 385), (Decimal("0.5"), 192)
    lengths = {1: full, 2: full, 4: full, 5: half}
    assert rows == [("T1", "", date(2025, 9, day), "session", *length) for day, length in lengths.items()]
    assert both == (8,)


def test_a_grades_calendar_names_every_day_of_the_year(tmp_path: Path) -> None:
    """Else the days before the grade's own first day would follow its school, and the grade would be expected."""
    with control(tmp_path, [{**WEEK, "grades": ["kg", "01"]}]) as con:
        rows = con.execute(
            "select grade, calendar_event, count(*), min(date), max(date), count(share_of_day) "
            "from control.configured_calendar_date group by all order by all"
        ).fetchall()
    assert rows == [
        (grade, event, *days)
        for grade in ("01", "kg")
        for event, days in {
            "not_in_session": (360, date(2025, 7, 1), date(2026, 6, 30), 0),
            "session": (5, date(2025, 9, 1), date(2025, 9, 5), 5),
        }.items()
    ]


def test_periods_of_a_calendar_hold_from_its_first_day_to_its_last(tmp_path: Path) -> None:
    with control(tmp_path, [{**WEEK, "schools": ["S1"], "periods": {"1": 50, "home": 0}}, WEEK]) as con:
        rows = con.execute("from control.configured_period order by period").fetchall()
    held = (date(2025, 9, 1), date(2025, 9, 5))
    assert rows == [("S1", "", *held, "1", 50), ("S1", "", *held, "home", 0)]


def test_hundreds_of_schools_and_grades_are_no_burden(tmp_path: Path) -> None:
    year = CalendarYear.model_validate({**WEEK, "schools": [str(n) for n in range(300)], "grades": ["kg", "01", "02"]})
    with control(tmp_path, [year.model_dump()]) as con:
        assert con.execute("select count(*) from control.configured_calendar_date").fetchone() == (300 * 3 * 365,)
