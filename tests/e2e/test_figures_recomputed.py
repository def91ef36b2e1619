"""The sample's figures, worked out a second time in plain SQL over its CSV files, and against its truth.json.

The SQL below shares nothing with the models: no code, no tables, no crosswalk files. It follows METHODS (chronic
absence, attendance, discipline) and DESIGN section 5, rules 1, 5 and 7.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from nights import AS_OF, Ended, assert_ended

pytestmark = pytest.mark.e2e

#: What the sample's codes mean, said again.
_SETTLE_DAYS = 2

_INPUT = """
create table csv_session as
select school_id, cast(date as date) as date from read_csv('{extracts}/calendar.csv', all_varchar = true)
where calendar_event in ('Instructional day', 'Early release') and cast(date as date) <= $as_of;

create table membership as
select distinct e.student_id, e.school_id, s.date, cast(e.share_of_day as decimal(9, 4)) as share
from read_csv('{extracts}/enrollment.csv', all_varchar = true) e
join csv_session s
  on s.school_id = e.school_id and s.date >= cast(e.entry_date as date)
  and s.date <= coalesce(cast(e.exit_date as date), date '9999-12-31');

create table mark as
select student_id, school_id, cast(date as date) as date,
    case when category in ('AE', 'AU', 'SU') then coalesce(cast(fraction_absent as decimal(9, 4)), 1)
         when category in ('P', 'T') then coalesce(cast(fraction_absent as decimal(9, 4)), 0)
         when category in ('PA', 'HD') then cast(fraction_absent as decimal(9, 4)) end as missed
from read_csv(['{extracts}/attendance_daily_2026.csv', '{extracts}/attendance_exceptions_2026.csv'], all_varchar = true)
where cast(date as date) <= $as_of;

create table taken as
select distinct school_id, cast(date as date) as date
from read_csv('{extracts}/attendance_taken_2026.csv', all_varchar = true);

-- A student's day at a school: the share of it that belongs there, and how much of that was missed. missed is null
-- where nothing is known. At schools that send exceptions, who is not named on a day with attendance taken was there.
create table student_day as
select coalesce(m.student_id, k.student_id) as student_id, coalesce(m.school_id, k.school_id) as school_id, s.date,
    coalesce(m.share, 1) as share,
    case when k.student_id is not null then k.missed when t.date is not null then 0 end as missed,
    m.student_id is not null as is_member
from membership m
full join mark k on m.student_id = k.student_id and m.school_id = k.school_id and m.date = k.date
join csv_session s on s.school_id = coalesce(m.school_id, k.school_id) and s.date = coalesce(m.date, k.date)
left join taken t on t.school_id = s.school_id and t.date = s.date
where k.student_id is not null or m.student_id is not null;

create table demographic as
select student_id, cast(start_date as date) as start_date,
    case sex when 'F' then 'female' when 'M' then 'male' when 'X' then 'nonbinary' else 'unknown' end as sex,
    case when hispanic_latino = 'Y' then 'hispanic'
         when races is null then 'unknown'
         when contains(races, '|') then 'two_or_more'
         else case races when 'W' then 'white' when 'B' then 'black' when 'A' then 'asian'
             when 'I' then 'american_indian_or_alaska_native' when 'P' then 'native_hawaiian_or_pacific_islander' end
    end as race
from read_csv('{extracts}/demographics.csv', all_varchar = true);
"""

_UNITS = """
-- Each unit: indicator, organization, student, day whose status counts, numerator, denominator.
create table unit as
with days as (
    select student_id, school_id, count(missed) as recorded,
        count(*) filter (missed is not null and 2 * missed >= 1) as absent,
        count(*) filter (missed is not null or (is_member and date <= $as_of - {settle})) as expected,
        max(date) filter (missed is not null) as last_date
    from student_day group by all
),
one_day as (
    select student_id, date, sum(share) filter (missed is not null) as share, sum(share * missed) as missed,
        bool_or(missed is not null) as is_recorded,
        bool_or(missed is not null or (is_member and date <= $as_of - {settle})) as is_expected
    from student_day group by all
),
days_anywhere as (
    select student_id, count(*) filter (is_recorded) as recorded,
        count(*) filter (is_recorded and 2 * missed >= share) as absent, count(*) filter (is_expected) as expected,
        max(date) filter (is_recorded) as last_date
    from one_day group by all
),
stay as (select student_id, school_id, max(date) as last_date from membership group by all),
out as (
    select student_id, school_id, min(cast(date as date)) as first_date
    from read_csv('{extracts}/discipline_actions.csv', all_varchar = true)
    where action = 'OSS' and cast(date as date) <= $as_of group by all
),
suspended as (
    select coalesce(s.student_id, o.student_id) as student_id, coalesce(s.school_id, o.school_id) as school_id,
        coalesce(first_date, last_date) as day, first_date
    from stay s full join out o on s.student_id = o.student_id and s.school_id = o.school_id
)
select 'attendance_rate' as indicator_id, school_id as organization_id, student_id, date as day,
    share * (1 - missed) as x, share as n
from student_day where missed is not null
union all select 'attendance_rate', 'sample', student_id, date, share * (1 - missed), share
from student_day where missed is not null
union all select 'chronic_absence', unnest([school_id, 'sample']), student_id, last_date,
    case when 10 * absent >= recorded then 1 else 0 end, 1
from days where recorded >= 10 and 10 * recorded >= 9 * expected
union all select 'chronic_absence_local', 'sample', student_id, last_date,
    case when 10 * absent >= recorded then 1 else 0 end, 1
from days_anywhere where recorded >= 10 and 10 * recorded >= 9 * expected
union all select 'enrollment', school_id, student_id, last_date, 1, 1 from stay
union all select 'enrollment', 'sample', student_id, max(last_date), 1, 1 from stay group by student_id
union all select 'out_of_school_suspension', school_id, student_id, day,
    case when first_date is null then 0 else 1 end, 1
from suspended
union all select 'out_of_school_suspension', 'sample', student_id, coalesce(min(first_date), max(day)),
    case when min(first_date) is null then 0 else 1 end, 1
from suspended group by student_id;

create table placed as
select unit.*, coalesce(sex, 'unknown') as sex, coalesce(race, 'unknown') as race
from unit asof left join demographic d on unit.student_id = d.student_id and unit.day >= d.start_date;

create table expected as
select indicator_id, organization_id, 'all' as student_group_id, sum(x) as x, sum(n) as n from placed group by all
union all select indicator_id, organization_id, 'sex:' || sex, sum(x), sum(n) from placed group by all
union all select indicator_id, organization_id, 'race_ethnicity:' || race, sum(x), sum(n) from placed group by all;
"""

Cells = dict[tuple[str, str, str], tuple[float, float]]
INDICATORS = ("attendance_rate", "chronic_absence", "chronic_absence_local", "enrollment", "out_of_school_suspension")


@pytest.fixture(scope="session")
def recomputed(clean: Ended) -> Cells:
    assert_ended(clean, 0)
    return recompute(clean.district.parent / "extracts")


def recompute(extracts: Path) -> Cells:
    """(indicator, organization, group) -> numerator and denominator, from the CSV files alone."""
    as_of = f"date '{AS_OF}'"
    with duckdb.connect() as con:
        for script in (_INPUT, _UNITS):
            text = script.replace("{extracts}", str(extracts)).replace("{settle}", str(_SETTLE_DAYS))
            con.execute(text.replace("$as_of", as_of))
        rows = con.execute("select * from expected").fetchall()
    return {(indicator, organization, group): (float(x), float(n)) for indicator, organization, group, x, n in rows}


def published(night: Ended, period_type: str, indicator_id: str) -> Cells:
    with night.restricted() as con:
        rows = con.execute(
            "select indicator_id, organization_id, student_group_id, numerator, denominator from indicator_by_group"
            " where period_type = ? and indicator_id = ? and denominator is not null"
            " and regexp_matches(student_group_id, '^(all|sex:[a-z_]+|race_ethnicity:[a-z_]+)$')",
            [period_type, indicator_id],
        ).fetchall()
    return {(indicator, organization, group): (x, n) for indicator, organization, group, x, n in rows}


@pytest.mark.parametrize("period_type", ["year", "year_to_date"])
@pytest.mark.parametrize("indicator_id", INDICATORS)
def test_figures_are_those_of_the_files(clean: Ended, recomputed: Cells, indicator_id: str, period_type: str) -> None:
    """In the sample's only year, under way, the year and the year to date are the same days."""
    expected = {key: value for key, value in recomputed.items() if key[0] == indicator_id}
    found = published(clean, period_type, indicator_id)
    assert found.keys() == expected.keys()
    different = {
        key: (found[key], expected[key]) for key in expected if found[key] != pytest.approx(expected[key], abs=1e-6)
    }
    assert different == {}
    assert len(expected) >= 9, "a comparison of nothing"


def test_rates_are_their_own_counts(clean: Ended) -> None:
    with clean.restricted() as con:
        wrong = con.execute(
            "select count(*) from indicator_by_group where indicator_id <> 'enrollment'"
            " and rate is distinct from numerator / nullif(denominator, 0)"
        ).fetchone()
    assert wrong == (0,)


#: An indicator's numerator and denominator among truth.json's realised counts.
TRUTH = {
    "chronic_absence": ("chronic_student_school", "student_schools_10_days"),
    "chronic_absence_local": ("chronic_student", "students_10_days"),
    "enrollment": ("students", "students"),
    "out_of_school_suspension": ("students_suspended", "students_at_suspension"),
    "survey_belonging_favorable": ("answers_favorable", "answers"),
}


@pytest.mark.parametrize("indicator_id", TRUTH)
def test_figures_are_what_was_planted(clean: Ended, indicator_id: str) -> None:
    """For every group of the five categories of truth.json, in the district."""
    truth: dict[str, Any] = json.loads((clean.district.parent / "truth.json").read_text(encoding="utf-8"))
    numerator, denominator = TRUTH[indicator_id]
    expected = {
        group: (float(counts.get(numerator, 0)), float(counts[denominator]))
        for group, counts in truth["realised"]["2026"].items()
        if counts.get(denominator)
    }
    with clean.restricted() as con:
        rows = con.execute(
            "select student_group_id, numerator, denominator from indicator_by_group where organization_id = 'sample'"
            " and period_type = 'year' and school_year = 2026 and indicator_id = ? and denominator > 0",
            [indicator_id],
        ).fetchall()
    found = {group: (x, n) for group, x, n in rows if group in truth["realised"]["2026"]}
    assert found == expected
    assert len(expected) > 10


def test_schools_are_what_was_planted(clean: Ended) -> None:
    truth: dict[str, Any] = json.loads((clean.district.parent / "truth.json").read_text(encoding="utf-8"))
    with clean.restricted() as con:
        rows = con.execute(
            "select organization_id, indicator_id, numerator from indicator_by_group where student_group_id = 'all'"
            " and period_type = 'year' and indicator_id in ('chronic_absence', 'enrollment')"
            " and organization_id <> 'sample'"
        ).fetchall()
    found = {(school, indicator): value for school, indicator, value in rows}
    schools = truth["realised_by_school"]["2026"]
    assert {school: found[school, "enrollment"] for school in schools} == {
        school: counts["students"] for school, counts in schools.items()
    }
    assert {school: found[school, "chronic_absence"] for school in schools} == {
        school: counts["chronic"] for school, counts in schools.items()
    }
