"""Past years, next year, schools that changed, and what was found out late: in a district counted by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from history_district import CHRONIC, CORRECTED, LATE, MERGED_ON, YEARS, session_days
from nights import Ended, assert_ended, differing, failed_checks, figures

pytestmark = pytest.mark.e2e


def chronic(night: Ended) -> dict[tuple[str, int], tuple[float, float]]:
    """Chronic students and all classified ones, by school and year."""
    with night.restricted() as con:
        rows = con.execute(
            "select organization_id, school_year, numerator, denominator from indicator_by_group"
            " where indicator_id = 'chronic_absence' and student_group_id = 'all' and period_type = 'year'"
            " and denominator > 0"
        ).fetchall()
    return {(school, year): (numerator, denominator) for school, year, numerator, denominator in rows}


def expected(late: int = 0) -> dict[tuple[str, int], tuple[float, float]]:
    """By hand: 20 at north, 20 at south, 10 at west; in 2026 those of west are at north."""
    sizes = {"north": 20, "south": 20, "west": 10}
    counted: dict[tuple[str, int], tuple[float, float]] = {}
    for year in YEARS:
        for school, size in sizes.items():
            counted[school, year] = (CHRONIC[school, year], size)
    merged, size = counted.pop(("west", 2026))
    counted["north", 2026] = (counted["north", 2026][0] + merged + late, 20 + size)
    for year in YEARS:
        of_schools = [counts for (_, counted_year), counts in counted.items() if counted_year == year]
        counted["five", year] = (sum(n for n, _ in of_schools), sum(d for _, d in of_schools))
    return counted


def test_five_years_of_five_shapes_in_one_command(five_years: Ended) -> None:
    """Each year by its own columns, dates and codes: 1 is absent in 2023 and present in 2024."""
    assert_ended(five_years, 0)
    assert chronic(five_years) == expected()
    assert not {"unmapped_attendance_codes", "nothing_lost_in_landing", "nothing_lost_in_staging"} & set(
        failed_checks(five_years)
    )


def test_a_renumbered_school_is_one_school(five_years: Ended) -> None:
    with five_years.restricted() as con:
        named = {row[0] for row in con.execute("select organization_id from dim_organization").fetchall()}
        assert named == {"five", "north", "south", "west"}
        for table in ("fct_student_daily_attendance", "fct_student_school_enrollment"):
            schools = {row[0] for row in con.execute(f"select distinct school_id from {table}").fetchall()}
            assert schools == {"north", "south", "west"}, table


def test_a_merged_school_keeps_its_earlier_years(five_years: Ended) -> None:
    with five_years.restricted() as con:
        closed, why = con.execute(
            "select closed, counted_in_district_reason from dim_organization where organization_id = 'west'"
        ).fetchall()[0]
        spells = con.execute(
            "select school_id, entry_date, exit_date, count(*) from fct_student_school_enrollment"
            " where student_key in (select student_key from fct_student_school_enrollment where school_id = 'west')"
            " group by all order by all"
        ).fetchall()
    assert closed == date(2025, 6, 30)
    assert why == "Became a part of North School; its earlier days count here."
    assert spells == [("north", MERGED_ON, None, 10), ("west", date(2021, 8, 20), date(2025, 6, 30), 10)]


def figures_of(night: Ended) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Every figure of every year, without those of the school that opens next year."""
    return figures(night, "organization_id <> 'harbor'")


def test_next_years_enrollments_change_nothing_this_year(five_years: Ended, pre_enrolled: Ended) -> None:
    assert_ended(pre_enrolled, 0)
    with pre_enrolled.restricted() as con:
        assert con.execute(
            "select count(*) from fct_student_school_enrollment where entry_date = date '2026-08-20'"
        ).fetchone() == (55,)
        of_harbor = con.execute(
            "select count(*) from indicator_by_group where organization_id = 'harbor' and denominator > 0"
        ).fetchone()
    assert of_harbor == (0,)
    assert len(figures_of(five_years)) > 100
    assert differing(figures_of(five_years), figures_of(pre_enrolled)) == []
    assert failed_checks(five_years).keys() == failed_checks(pre_enrolled).keys()


def test_nothing_changes_when_the_school_year_turns(pre_enrolled: Ended, rolled_over: Ended) -> None:
    """Until the first session day of the new year, the old one is the newest there is."""
    assert_ended(rolled_over, 0)
    assert differing(figures_of(pre_enrolled), figures_of(rolled_over)) == []
    assert failed_checks(pre_enrolled).keys() == failed_checks(rolled_over).keys()


def test_the_first_load_of_past_years_is_no_change_of_a_published_day(rolled_over: Ended) -> None:
    with rolled_over.restricted() as con:
        assert con.execute("select count(*) from fct_attendance_change").fetchone() == (0,)


def test_an_absence_found_out_late_is_counted_and_kept_with_its_lag(found_out_late: Ended) -> None:
    assert_ended(found_out_late, 0)
    assert chronic(found_out_late) == expected(late=1)
    days = session_days(2026)[:2]
    with found_out_late.restricted() as con:
        changes = con.execute(
            "select school_id, date, changed_on, lag_days, from_status, to_status, to_category, source_id"
            " from fct_attendance_change order by date"
        ).fetchall()
    assert changes == [
        ("north", day, CORRECTED, (CORRECTED - day).days, "present", "absent", "absent_unexcused", "attendance_2026")
        for day in days
    ]
    assert LATE > 40, "the mark came under the id of the merged school"


def test_an_undated_status_changes_from_the_day_it_was_seen(found_out_late: Ended) -> None:
    """Student 25 was disadvantaged in every delivery but the last: all five years count as they were."""
    with found_out_late.restricted() as con:
        spans = con.execute(
            "select valid_from, valid_to, economic, span_kind from dim_student_history"
            " where student_key in (select student_key from dim_student_history where valid_from = ?)"
            " order by valid_from",
            [CORRECTED],
        ).fetchall()
    assert spans == [
        (date(1900, 1, 1), date(2026, 6, 22), "disadvantaged", "assumed_from_first_observation"),
        (date(2026, 6, 23), date(2026, 7, 2), "disadvantaged", "observed"),
        (date(2026, 7, 3), date(9999, 12, 31), "not_disadvantaged", "observed"),
    ]


def test_the_figures_of_a_status_do_not_move_when_it_changes_later(rolled_over: Ended, found_out_late: Ended) -> None:
    condition = "student_group_id like 'economic:%' and school_year < 2026 and organization_id <> 'harbor'"
    assert len(figures(rolled_over, condition)) > 100
    assert differing(figures(rolled_over, condition), figures(found_out_late, condition)) == []
