"""The four meanings of a row that is no longer sent, as landing sees them: which files speak, and what is held."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from test_landing import District, live, many, one_key, rows_of

from pipelines.landing import Landing

__all__ = ["one_key"]

FIRST, SECOND, THIRD = date(2025, 10, 1), date(2025, 10, 8), date(2025, 10, 15)
SPELL = {"columns": {"student_id": "id", "school_id": "school", "entry_date": "from", "exit_date": "to"}}


def enrollment(tmp_path: Path, missing_rows: str, files: str = "spells*.csv") -> District:
    district = District(tmp_path / "d")
    district.put("att.csv", many(1))
    district.add(
        "spells", files=files, missing_rows=missing_rows, entities={"student_school_enrollment": SPELL}, required=False
    )
    return district


def spells(first: int, last: int, entry: str = "2025-08-20", exit_date: str = "") -> str:
    return "id,school,from,to\n" + "".join(f"S{n},10,{entry},{exit_date}\n" for n in range(first, last))


def standing(landing: Landing) -> list[tuple[int, int]]:
    """Delivery number and rows of each live enrollment file."""
    return [(one.delivery_no, len(rows_of(one))) for one in live(landing) if one.entity == "student_school_enrollment"]


def status(landing: Landing) -> tuple[str, str]:
    (state,) = [state for state in landing.sources if state.source_id == "spells"]
    return state.status, state.message


@pytest.mark.parametrize(
    ("missing_rows", "expected"),
    [
        ("full", [(2, 98)]),  # the two are deleted
        ("active_only", [(1, 100), (2, 98)]),  # they stay, in a file that is not the newest
        ("window", [(1, 100), (2, 98)]),  # days that the second file does not speak of stay
        ("append", [(2, 98)]),  # a name sent again replaces itself
    ],
)
def test_one_name_written_over(tmp_path: Path, missing_rows: str, expected: list[tuple[int, int]]) -> None:
    district = enrollment(tmp_path, missing_rows)
    district.put("spells.csv", spells(0, 100))
    district.land(FIRST)
    district.put("spells.csv", spells(2, 100))
    landing = district.land(SECOND)
    assert status(landing) == ("new", "")
    assert standing(landing) == expected


@pytest.mark.parametrize(
    ("missing_rows", "expected"),
    [
        ("full", [(2, 100), (2, 3)]),
        ("active_only", [(1, 100), (2, 3)]),
        ("window", [(1, 100), (2, 3)]),
        ("append", [(1, 100), (2, 3)]),
    ],
)
def test_a_second_file_beside_the_first(tmp_path: Path, missing_rows: str, expected: list[tuple[int, int]]) -> None:
    district = enrollment(tmp_path, missing_rows)
    district.thresholds = {"removed_rows_percent": 100}
    district.put("spells1.csv", spells(0, 100))
    district.land(FIRST)
    district.put("spells2.csv", spells(100, 103))
    assert standing(district.land(SECOND)) == expected


def test_who_left_an_active_only_file_is_in_the_last_one_that_held_them(tmp_path: Path) -> None:
    """The day of that file dates the exit: not the first one, and not the one without them."""
    district = enrollment(tmp_path, "active_only")
    for as_of, first in ((FIRST, 0), (SECOND, 1), (THIRD, 2)):
        district.put("spells.csv", spells(first, 100))
        landing = district.land(as_of)
    files = [one for one in live(landing) if one.entity == "student_school_enrollment"]
    assert [(one.delivered_on, len(rows_of(one))) for one in files] == [(FIRST, 100), (SECOND, 99), (THIRD, 98)]


def test_an_active_only_file_without_one_student_in_fifteen_is_held(tmp_path: Path) -> None:
    """A truncated extract must not end enrollments: nothing is removed, but what it leaves out counts as gone."""
    district = enrollment(tmp_path, "active_only")
    district.put("spells.csv", spells(0, 100))
    district.land(FIRST)
    district.put("spells.csv", spells(0, 94))
    landing = district.land(SECOND)
    assert status(landing) == ("held", "The delivery would end the enrollment of more than 5 % of the students.")
    assert standing(landing) == [(1, 100)]
    remedy = next(state.remedy for state in landing.sources if state.source_id == "spells")
    district.sources["spells"]["accept_removals"] = [re.findall(r"[0-9a-f]{12}", remedy)[0]]
    assert standing(district.land(SECOND)) == [(1, 100), (2, 94)]


def test_five_in_a_hundred_may_leave(tmp_path: Path) -> None:
    district = enrollment(tmp_path, "active_only")
    district.put("spells.csv", spells(0, 100))
    district.land(FIRST)
    district.put("spells.csv", spells(0, 95))
    assert status(district.land(SECOND)) == ("new", "")


def test_a_new_school_year_gives_everybody_a_new_row_and_nobody_leaves(tmp_path: Path) -> None:
    district = enrollment(tmp_path, "active_only")
    district.put("spells.csv", spells(0, 100, "2024-08-20"))
    district.land(FIRST)
    district.put("spells.csv", spells(0, 100, "2025-08-20"))
    assert status(district.land(SECOND)) == ("new", "")


def test_who_had_left_already_cannot_leave_again(tmp_path: Path) -> None:
    district = enrollment(tmp_path, "active_only")
    district.put("spells.csv", spells(0, 100) + "".join(f"T{n},10,2025-08-20,2025-09-19\n" for n in range(50)))
    district.land(FIRST)
    district.put("spells.csv", spells(0, 100))
    assert status(district.land(SECOND)) == ("new", "")


def test_who_left_before_the_newest_file_is_not_counted_twice(tmp_path: Path) -> None:
    """Four of a hundred leave each week: each file is judged by those whom the one before it held."""
    district = enrollment(tmp_path, "active_only")
    for as_of, first in ((FIRST, 0), (SECOND, 4), (THIRD, 8)):
        district.put("spells.csv", spells(first, 100))
        assert status(district.land(as_of)) == ("new", "")
