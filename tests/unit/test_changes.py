"""What a delivery changed: kept once, small, and only where readers had seen another value."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from test_landing import KEY, MONDAY, TUESDAY, WEDNESDAY, District, many, marks, one_key

from pipelines.keys import pseudonym
from pipelines.landing import Landing

__all__ = ["one_key"]

PERSON = {"columns": {"student_id": "id", "sex": "sex", "start_date": "from"}}
STUDENT = {f"S{n}": pseudonym(KEY, "student", f"S{n}") for n in range(10)}


def changed(landing: Landing, entity: str, columns: str) -> list[list[Any]]:
    """The rows of an entity's change files, a list for each delivery."""
    paths = [one.path for one in landing.changes if one.entity == entity]
    return [duckdb.sql(f"SELECT {columns} FROM read_parquet('{path}') ORDER BY ALL").fetchall() for path in paths]


def attendance(landing: Landing) -> list[list[Any]]:
    return changed(landing, "attendance_event", "student_key, date, was_category, is_category, change")


def people(landing: Landing) -> list[list[Any]]:
    return changed(landing, "student_demographic", "student_key, was_sex, is_sex, change")


@pytest.mark.parametrize("missing_rows", ["full", "window", "append"])
def test_a_mark_changed_added_or_deleted_on_a_day_already_sent(tmp_path: Path, missing_rows: str) -> None:
    district = District(tmp_path / "d", missing_rows=missing_rows, accept_removals=["0"])
    district.thresholds = {"removed_rows_percent": 100}
    district.put("att.csv", marks(("S1", "2025-09-01", "A"), ("S2", "2025-09-01", "A"), ("S4", "2025-09-01", "P")))
    assert attendance(district.land(MONDAY)) == [[]]
    district.put(
        "att.csv",
        marks(
            *(("S1", "2025-09-01", "P"), ("S3", "2025-09-01", "A"), ("S4", "2025-09-01", "P")),
            *(("S1", "2025-09-02", "A"), ("S2", "2025-09-02", "A")),  # a new day changes nothing
        ),
    )
    assert attendance(district.land(TUESDAY)) == [
        [],
        sorted(
            [
                (STUDENT["S1"], "2025-09-01", "A", "P", "changed"),
                (STUDENT["S2"], "2025-09-01", "A", None, "removed"),
                (STUDENT["S3"], "2025-09-01", None, "A", "added"),
            ]
        ),
    ]


def test_of_two_files_that_speak_of_a_day_the_later_one_does(tmp_path: Path) -> None:
    """As in staging: the later delivery's row, and in one file the later line's."""
    district = District(tmp_path / "d", missing_rows="append")
    district.put("att1.csv", marks(("S1", "2025-09-01", "A"), ("S2", "2025-09-01", "P"), ("S2", "2025-09-01", "A")))
    district.land(MONDAY)
    district.put("att2.csv", marks(("S1", "2025-09-01", "T"), ("S2", "2025-09-01", "A")))
    assert attendance(district.land(TUESDAY))[1] == [(STUDENT["S1"], "2025-09-01", "A", "T", "changed")]


def test_a_window_says_nothing_of_days_outside_it(tmp_path: Path) -> None:
    district = District(tmp_path / "d", missing_rows="window")
    district.put("att1.csv", marks(("S1", "2025-09-01", "A"), ("S1", "2025-09-02", "A")))
    district.land(TUESDAY)
    district.put("att2.csv", marks(("S2", "2025-09-02", "A"), ("S2", "2025-09-03", "A")))
    district.thresholds = {"removed_rows_percent": 100}
    assert attendance(district.land(WEDNESDAY))[1] == sorted(
        [
            (STUDENT["S1"], "2025-09-02", "A", None, "removed"),
            (STUDENT["S2"], "2025-09-02", None, "A", "added"),
        ]
    )


def test_a_day_in_the_future_was_never_published(tmp_path: Path) -> None:
    """One date typed wrong must not make every later day look published."""
    district = District(tmp_path / "d")
    district.put("att.csv", marks(("S1", "2025-09-01", "A"), ("S1", "2035-09-01", "A")))
    district.land(MONDAY)
    district.put("att.csv", marks(("S1", "2025-09-01", "A"), ("S1", "2035-09-01", "A"), ("S2", "2025-09-02", "A")))
    assert attendance(district.land(TUESDAY)) == [[], []]


def test_an_earlier_year_sent_later_is_no_change_of_a_day(tmp_path: Path) -> None:
    district = District(tmp_path / "d", missing_rows="append")
    district.put("att2.csv", marks(("S1", "2025-09-01", "A")))
    district.land(MONDAY)
    district.put("att1.csv", marks(("S1", "2024-09-03", "A")))
    assert attendance(district.land(TUESDAY)) == [[], []]


def test_a_held_delivery_changes_nothing(tmp_path: Path) -> None:
    district = District(tmp_path / "d")
    district.put("att.csv", many(40))
    district.land(MONDAY)
    district.put("att.csv", many(20))
    landing = district.land(TUESDAY)
    assert [state.status for state in landing.sources] == ["held"]
    assert attendance(landing) == [[]]


def test_values_without_a_date_are_told_when_they_change(tmp_path: Path) -> None:
    district = District(tmp_path / "d")
    district.put("att.csv", many(1))
    district.add("people", files="people.csv", entities={"student_demographic": PERSON})
    district.thresholds = {"removed_rows_percent": 100}
    head, dated = "id,sex,from\n", "S3,F,2025-08-01\n"
    district.put("people.csv", f"{head}S1,F,\nS2,F,\n{dated}")
    district.land(MONDAY)
    district.put("people.csv", f"{head}S1,M,\nS2,F,\n{dated}S4,M,\n")
    district.land(TUESDAY)
    district.put("people.csv", f"{head}S1,M,\n{dated}S4,M,\n")
    assert people(district.land(WEDNESDAY)) == [
        sorted([(STUDENT["S1"], None, "F", "added"), (STUDENT["S2"], None, "F", "added")]),
        sorted([(STUDENT["S1"], "F", "M", "changed"), (STUDENT["S4"], None, "M", "added")]),
        [(STUDENT["S2"], "F", None, "removed")],
    ]


def test_every_value_is_told_again_in_a_new_school_year(tmp_path: Path) -> None:
    """The same code may mean something else next year."""
    district = District(tmp_path / "d")
    district.put("att.csv", many(1))
    district.add("people", files="people*.csv", entities={"student_demographic": PERSON})
    district.put("people.csv", "id,sex,from\nS1,F,\n")
    district.land(date(2026, 6, 30))
    district.put("people.csv", "id,sex,from\nS1,F,\nS2,F,\n")
    assert people(district.land(date(2026, 7, 1))) == [
        [(STUDENT["S1"], None, "F", "added")],
        sorted([(STUDENT["S1"], None, "F", "added"), (STUDENT["S2"], None, "F", "added")]),
    ]


def test_made_once_and_made_again_when_lost(tmp_path: Path) -> None:
    district = District(tmp_path / "d")
    district.put("att.csv", many(3))
    district.land(MONDAY)
    district.put("att.csv", many(3).replace(",A\n", ",P\n"))
    first = district.land(TUESDAY)
    content = {one.path: one.path.read_bytes() for one in first.changes}
    times = {path: path.stat().st_mtime_ns for path in content}
    second = district.land(WEDNESDAY)
    assert second.changes == first.changes
    assert {path: path.stat().st_mtime_ns for path in content} == times
    for path in content:
        path.unlink()
    assert {one.path: one.path.read_bytes() for one in district.land(WEDNESDAY).changes} == content
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in content)


def test_a_later_change_moves_the_load(tmp_path: Path) -> None:
    """Two homes with the same rows in use, of which one saw another value before: not the same load."""
    loads = []
    for first in ("A", "P"):
        district = District(tmp_path / first)
        district.put("att.csv", marks(("S1", "2025-09-01", first)))
        district.land(MONDAY)
        district.put("att.csv", marks(("S1", "2025-09-01", "T")))
        loads.append(district.land(TUESDAY).input_hash)
    assert loads[0] != loads[1]
