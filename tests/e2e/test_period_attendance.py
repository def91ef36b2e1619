"""Calendars by grade, half days and attendance by period, from files to figures that were worked by hand.

p1 misses January 5 and 6 whole, and 100 of 300 minutes on the 7th.
p2 misses 150 of 300 minutes on the 8th: half of the day, so a day absent.
p3 has marks for 100 of 300 minutes on the 9th: less than half, so that day was not taken. On the 16th, a half day of
150 minutes, p3 misses 100.
n1 misses 180 of 360 minutes on the 5th (absent), 90 on the 6th, and 90 of that day's own 180 on the 16th (absent).
n2, grade 12, has ten session days and misses one of them; marks after the last one count nowhere.
n3 is marked absent in every period of the 8th, and tardy for the whole day, which speaks.
n4 spends half of the day at neg: 90 of 180 minutes missed on the 9th is a day absent.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from nights import Ended, assert_ended, failed_checks

pytestmark = pytest.mark.e2e

#: School: student's grade and share of the day (who p or n they are), days recorded and absent, days attended.
DAYS = {
    "pos": [
        (12, 2, Decimal("9.66666667")),
        (12, 1, Decimal("11.5")),
        (11, 1, Decimal("10.33333334")),
    ],
    "neg": [
        (12, 2, Decimal("10.75")),
        (10, 1, Decimal("9")),
        (12, 0, Decimal("12")),
        (12, 1, Decimal("11.5")),  # of a student's day; half of it belongs to neg
    ],
}


@pytest.fixture
def night(bells: Ended) -> Ended:
    assert_ended(bells, 0)
    return bells


@pytest.mark.parametrize("school", DAYS)
def test_days_of_each_student(night: Ended, school: str) -> None:
    with night.restricted() as con:
        found = con.execute(
            "select count(*), count(*) filter (fraction_absent >= 0.5),"
            " sum((1 - fraction_absent)::decimal(18, 8)) from fct_student_daily_attendance"
            " where school_id = ? and is_session and status in ('present', 'tardy', 'absent') group by student_key",
            [school],
        ).fetchall()
    assert sorted(found) == sorted(DAYS[school])


def test_the_states_of_the_days_that_stand_out(night: Ended) -> None:
    with night.restricted() as con:
        found = con.execute(
            "select school_id, day(date), status, fraction_absent, absence_type, session_share, session_minutes,"
            " is_session from fct_student_daily_attendance"
            " where fraction_absent > 0 or status not in ('present', 'absent') order by all"
        ).fetchall()
    whole, half = (1.0, 360, True), (0.5, 180, True)
    assert found == [
        ("neg", 5, "absent", 0.5, "unexcused", *whole),
        ("neg", 6, "present", 0.25, "unexcused", *whole),
        ("neg", 7, "absent", 1.0, "unexcused", 1.0, None, True),  # grade 12, whose calendar gives no minutes
        ("neg", 8, "tardy", 0.0, None, *whole),
        ("neg", 9, "absent", 0.5, "unexcused", *whole),
        ("neg", 16, "absent", 0.5, "unexcused", *half),
        ("neg", 20, "absent", 1.0, "unexcused", None, None, False),
        ("pos", 5, "absent", 1.0, "unexcused", *whole),
        ("pos", 6, "absent", 1.0, "unexcused", *whole),
        ("pos", 7, "present", 0.33333333, "unexcused", *whole),
        ("pos", 8, "absent", 0.5, "unexcused", *whole),
        ("pos", 9, "not_taken", None, None, *whole),
        ("pos", 16, "absent", 0.66666666, "unexcused", *half),
    ]


@pytest.mark.parametrize(
    ("indicator", "organization", "expected"),
    [
        # 9.6667 + 11.5 + 10.3333 of 12 + 12 + 11 days; 10.75 + 9 + 12 + half of 11.5 of 12 + 10 + 12 + 6.
        ("attendance_rate", "pos", (31.5, 35)),
        ("attendance_rate", "neg", (37.5, 40)),
        ("attendance_rate", "bells", (69, 75)),
        # p1: 2 of 12. n1: 2 of 12, n2: 1 of 10, which is 10 % exactly; of 12 days it would not be.
        ("chronic_absence", "pos", (1, 3)),
        ("chronic_absence", "neg", (2, 4)),
        ("chronic_absence_local", "bells", (3, 7)),
    ],
)
def test_figures(night: Ended, indicator: str, organization: str, expected: tuple[float, float]) -> None:
    with night.restricted() as con:
        found = con.execute(
            "select numerator, denominator from indicator_by_group where indicator_id = ? and organization_id = ?"
            " and student_group_id = 'all' and period_type = 'year'",
            [indicator, organization],
        ).fetchall()
    assert found == [expected]


def test_a_mark_after_a_grades_last_day_is_reported(night: Ended) -> None:
    assert failed_checks(night)["attendance_on_session_days"]["organization_ids"] == ["neg"]
