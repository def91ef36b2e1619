"""Two districts' files that nobody here wrote, to the figures that were worked out from them beforehand.

On `restricted`: in `public` many of these small cells are rightly hidden.
"""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
from nights import Ended, assert_ended, failed_checks

pytestmark = pytest.mark.e2e


@pytest.fixture
def at_daybreak(daybreak: Ended | None) -> Ended:
    if daybreak is None:
        pytest.skip("needs ../shared/data/edfi_xml_daybreak")
    assert_ended(daybreak, 0)
    return daybreak


@pytest.fixture
def at_oea(oea: Ended | None) -> Ended:
    if oea is None:
        pytest.skip("needs ../shared/data/oea")
    assert_ended(oea, 0)
    return oea


def counts(con: duckdb.DuckDBPyConnection, relation: str, indicator_id: str) -> dict[tuple[str, str], tuple[Any, Any]]:
    """(organization, group) -> numerator and denominator of the year, from any relation with the table's columns."""
    rows = con.execute(
        f"select organization_id, student_group_id, numerator, denominator from {relation}"
        " where indicator_id = ? and period_type = 'year' and denominator is not null",
        [indicator_id],
    ).fetchall()
    return {(organization, group): (numerator, denominator) for organization, group, numerator, denominator in rows}


def both_forms(night: Ended) -> list[str]:
    """The table in equity.duckdb, and its Parquet file."""
    path = night.home / "restricted" / night.snapshot_id / "indicator_by_group" / "indicator_by_group.parquet"
    return ["indicator_by_group", f"read_parquet('{path}')"]


# --- Daybreak: Ed-Fi XML -------------------------------------------------------------------------------------


def test_daybreak_attendance(at_daybreak: Ended) -> None:
    with at_daybreak.restricted() as con:
        landed = con.execute(
            "select sum(rows_read), sum(rows_accepted), sum(rows_refused) from source_file"
            " where entity = 'attendance_event'"
        ).fetchone()
        assert landed == (5550, 5550, 0)
        for relation in both_forms(at_daybreak):
            rates = counts(con, relation, "attendance_rate")
            assert rates["IL-DAYBREAK", "all"] == (5340, 5550)
            chronic = counts(con, relation, "chronic_absence_local")
            assert chronic["IL-DAYBREAK", "all"] == (6, 75)


def test_daybreak_days_absent_by_school(at_daybreak: Ended) -> None:
    schools = {
        "Daybreak Central High": (89, 1776),
        "East Daybreak Junior High": (94, 1998),
        "South Daybreak Elementary": (27, 1776),
    }
    with at_daybreak.restricted() as con:
        for relation in both_forms(at_daybreak):
            rates = counts(con, relation, "attendance_rate")
            found = {
                school: (days - present, days) for (school, group), (present, days) in rates.items() if group == "all"
            }
            assert {school: found[school] for school in schools} == schools
        from_days = con.execute(
            "select school_id, sum(fraction_absent), count(*) from fct_student_daily_attendance"
            " where status in ('present', 'tardy', 'absent') and is_session group by school_id"
        ).fetchall()
    assert {school: (int(absent), days) for school, absent, days in from_days} == schools


def test_daybreak_days_of_students_enrolled_elsewhere_are_counted_and_reported(at_daybreak: Ended) -> None:
    with at_daybreak.restricted() as con:
        outside = con.execute(
            "select school_id, count(*), count(distinct student_key) from fct_student_daily_attendance"
            " where not is_enrolled and status <> 'not_taken' group by school_id"
        ).fetchall()
        assert outside == [("South Daybreak Elementary", 148, 2)]
        verdict = con.execute(
            "select severity, scope, organization_id, school_year, students, students_rest from gate_verdict"
            " where check_id = 'attendance_inside_enrollment' and outcome = 'fail'"
        ).fetchall()
    assert verdict == [("warning", "school", "South Daybreak Elementary", 2012, 2, 25)]
    check = failed_checks(at_daybreak)["attendance_inside_enrollment"]
    assert check["organization_ids"] == ["South Daybreak Elementary"]
    with at_daybreak.public() as con:
        shown = con.execute(
            "select organization_id, severity, outcome, observed from data_quality_result"
            " where check_id = 'attendance_inside_enrollment' and outcome <> 'pass'"
        ).fetchall()
    assert shown == [("South Daybreak Elementary", "warning", "fail", None)], "the share of two students is no figure"


def test_daybreak_discipline_and_enrollment_land(at_daybreak: Ended) -> None:
    with at_daybreak.restricted() as con:
        landed = con.execute(
            "select entity, sum(rows_read), sum(rows_accepted) from source_file group by entity order by entity"
        ).fetchall()
        students = counts(con, "indicator_by_group", "enrollment")
    assert [row for row in landed if row[0] != "attendance_event"] == [
        ("discipline_action", 5, 5),
        ("discipline_incident", 2, 2),
        ("discipline_incident_student", 4, 4),
        ("school", 3, 3),
        ("student", 78, 78),
        ("student_demographic", 78, 78),
        ("student_school_enrollment", 167, 167),
    ]
    assert students["IL-DAYBREAK", "all"] == (78, 78)


def test_daybreak_unknown_codes_stay_visible_and_are_reported(at_daybreak: Ended) -> None:
    with at_daybreak.restricted() as con:
        actions = con.execute(
            "select action, action_code, count(*) from fct_student_discipline_action group by all order by action_code"
        ).fetchall()
        behaviors = con.execute("select behavior, count(*) from fct_discipline_incident group by all").fetchall()
        places = con.execute("select distinct school_id, school_year from fct_student_discipline_action").fetchall()
        statuses = con.execute(
            "select organization_id, school_year, status from indicator_by_group"
            " where indicator_id = 'out_of_school_suspension'"
        ).fetchall()
    assert actions == [
        ("unmapped", "suspension from school for 5 days", 2),
        ("unmapped", "suspension from school for a week", 3),
    ]
    assert behaviors == [("unmapped", 2)]
    at_these = {status for school, year, status in statuses if (school, year) in places}
    assert at_these <= {"data_not_reliable", "not_collected"}, "neither taken for a suspension nor for none"
    assert failed_checks(at_daybreak)["discipline_codes_readable"]["organization_ids"] == sorted({s for s, _ in places})
    assert failed_checks(at_daybreak)["codes_mapped"]["severity"] == "warning"


# --- Open Education Analytics: CSV, two systems joined ---------------------------------------------------------


def test_oea_absences(at_oea: Ended) -> None:
    with at_oea.restricted() as con:
        for relation in both_forms(at_oea):
            present, days = counts(con, relation, "attendance_rate")["oea-contoso", "all"]
            assert (days - present, days) == (1285, 12000)


OEA_CHRONIC = {
    "all": (382, 600),
    "sex:female": (193, 307),
    "sex:male": (189, 293),
    "race_reported:white": (184, 306),
    "race_reported:black": (80, 111),
    "race_reported:asian": (30, 57),
    "race_reported:american_indian_or_alaska_native": (29, 46),
    "race_reported:two_or_more": (23, 33),
    "race_reported:native_hawaiian_or_pacific_islander": (20, 28),
    "race_reported:unknown": (16, 19),
    "race_ethnicity:hispanic": (81, 141),
    "race_ethnicity:white": (145, 233),
    "race_ethnicity:black": (62, 86),
    "race_ethnicity:asian": (21, 42),
    "race_ethnicity:american_indian_or_alaska_native": (25, 38),
    "race_ethnicity:two_or_more": (19, 25),
    "race_ethnicity:native_hawaiian_or_pacific_islander": (19, 24),
    "race_ethnicity:unknown": (10, 11),
}


@pytest.mark.parametrize("group", OEA_CHRONIC)
def test_oea_chronic_absence(at_oea: Ended, group: str) -> None:
    with at_oea.restricted() as con:
        for relation in both_forms(at_oea):
            for indicator_id in ("chronic_absence_local", "chronic_absence"):
                found = counts(con, relation, indicator_id)["oea-contoso", group]
                assert found == OEA_CHRONIC[group], indicator_id


def test_oea_has_no_other_group_of_these_categories(at_oea: Ended) -> None:
    """The listed groups are all there are: what is not listed has nobody."""
    with at_oea.restricted() as con:
        found = counts(con, "indicator_by_group", "chronic_absence_local")
    named = {group for _, group in found if group.split(":")[0] in ("all", "sex", "race_reported", "race_ethnicity")}
    assert named == set(OEA_CHRONIC)


def test_oea_ids_of_the_other_system_all_join(at_oea: Ended) -> None:
    with at_oea.restricted() as con:
        assert con.execute("select count(*) from quarantine").fetchone() == (0,)
    assert failed_checks(at_oea) == {}


# --- Grand Bend: Ed-Fi XML without its enrollment ---------------------------------------------------------------


def test_grand_bend_stops_and_names_the_source_that_is_missing(grand_bend: Ended | None) -> None:
    if grand_bend is None:
        pytest.skip("needs ../shared/data/edfi_xml_grand_bend")
    assert_ended(grand_bend, 3)
    assert failed_checks(grand_bend)["required_source_on_time"]["source_ids"] == ["enrollment"]
    assert "enrollment" in grand_bend.said
    assert "StudentEnrollment.xml" in grand_bend.said
