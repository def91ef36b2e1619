"""Faults that real extracts have: each is found where it is, and touches nothing else."""

from __future__ import annotations

import duckdb
import pytest
from nights import (
    AS_OF,
    Corrected,
    Ended,
    assert_ended,
    assert_readers_see,
    differing,
    failed_checks,
    faults_of,
    figures,
)

pytestmark = pytest.mark.e2e

ATTENDANCE = "indicator_id in ('attendance_rate', 'chronic_absence', 'chronic_absence_local')"


# --- a school stops sending attendance -----------------------------------------------------------------------


def test_a_silent_schools_attendance_is_not_reliable(stopped_school: Ended) -> None:
    assert_ended(stopped_school, 0)
    school = faults_of(stopped_school.district)["school_stops_attendance"]["school_id"]
    found = figures(stopped_school, f"organization_id = '{school}' and {ATTENDANCE}")
    assert {row[-1] for key, row in found.items() if key[1] != "chronic_absence_local"} == {"data_not_reliable"}
    assert all(row[:4] == (None, None, None, None) for row in found.values())
    with stopped_school.public() as con:
        shown = con.execute(
            f"select distinct status, numerator, rate from indicator_by_group where organization_id = '{school}'"
            " and indicator_id in ('attendance_rate', 'chronic_absence')"
        ).fetchall()
    assert shown == [("data_not_reliable", None, None)]


def test_nothing_else_is_touched_by_a_silent_school(clean: Ended, stopped_school: Ended) -> None:
    """Other schools in everything, the school itself in everything but attendance, the district but for attendance."""
    school = faults_of(stopped_school.district)["school_stops_attendance"]["school_id"]
    others = f"organization_id not in ('sample', '{school}')"
    elsewhere = f"organization_id in ('sample', '{school}') and not {ATTENDANCE}"
    for condition in (others, elsewhere):
        expected = figures(clean, condition)
        assert len(expected) > 100
        assert differing(expected, figures(stopped_school, condition)) == []


def test_the_district_says_how_much_of_it_is_covered(clean: Ended, stopped_school: Ended) -> None:
    school = faults_of(stopped_school.district)["school_stops_attendance"]["school_id"]
    with stopped_school.restricted() as con:
        reliable, everyone = con.execute(
            "select sum(students) filter (organization_id <> ?), sum(students) from indicator_by_group"
            " where indicator_id = 'enrollment' and period_type = 'year' and student_group_id = 'all'"
            " and organization_id <> 'sample'",
            [school],
        ).fetchall()[0]
        covered = con.execute(
            "select indicator_id, coverage from indicator_by_group where organization_id = 'sample'"
            " and period_type = 'year' and student_group_id = 'all' order by indicator_id"
        ).fetchall()
        # What is left of the district's rate is the other schools' days.
        rates = con.execute(
            "select sum(denominator) filter (organization_id <> 'sample'), sum(denominator) filter"
            " (organization_id = 'sample') from indicator_by_group where indicator_id = 'attendance_rate'"
            " and period_type = 'year' and student_group_id = 'all'"
        ).fetchall()[0]
    for indicator_id, coverage in covered:
        is_attendance = indicator_id in ("attendance_rate", "chronic_absence", "chronic_absence_local")
        assert coverage == pytest.approx(reliable / everyone if is_attendance else 1.0), indicator_id
    assert reliable < everyone
    assert rates[0] == rates[1]
    whole = figures(clean, "organization_id = 'sample' and student_group_id = 'all'")
    assert {row[6] for row in whole.values()} == {1.0}


def test_the_silent_school_is_named_once(stopped_school: Ended) -> None:
    school = faults_of(stopped_school.district)["school_stops_attendance"]["school_id"]
    check = failed_checks(stopped_school)["attendance_not_silent"]
    assert (check["severity"], check["scope"], check["organization_ids"]) == ("critical", "school", [school])
    named = {name for found in failed_checks(stopped_school).values() for name in found["organization_ids"]}
    assert named == {school}


# --- everything late -----------------------------------------------------------------------------------------


def test_a_required_source_that_is_late_stops_the_night(clean: Ended, late: Ended) -> None:
    assert_ended(late, 3)
    assert_readers_see(late.home, clean.snapshot_id)
    status = late.status
    assert status["outcome"] == "stopped_by_gate"
    assert status["stopped_at"] == "gate 1"
    assert status["current_snapshot"] == clean.snapshot_id
    assert status["data_through"] == clean.status["data_through"]
    check = failed_checks(late)["required_source_on_time"]
    assert check["severity"] == "critical"
    assert "attendance_daily" in check["source_ids"]
    assert "attendance_exceptions" in check["source_ids"]
    assert "enrollment" not in check["source_ids"]
    assert "required_source_on_time" in late.out
    assert status["remedy"]


# --- an unknown code, the same file twice and unreadable optional sources in one night --------------------------


def test_an_unknown_code_is_neither_present_nor_absent(mixed_faults: Ended) -> None:
    assert_ended(mixed_faults, 0)
    fault = faults_of(mixed_faults.district)["unknown_code"]
    school, rows = fault["school_id"], fault["rows"]
    with mixed_faults.restricted() as con:
        unknown = con.execute(
            "select school_id, count(*), count(fraction_absent) from fct_student_daily_attendance"
            " where status = 'unknown' group by school_id"
        ).fetchall()
    assert unknown == [(school, rows, 0)]
    statuses = {row[-1] for row in figures(mixed_faults, f"organization_id = '{school}' and {ATTENDANCE}").values()}
    assert statuses == {"data_not_reliable"}
    checks = failed_checks(mixed_faults)
    assert checks["attendance_codes_readable"]["organization_ids"] == [school]
    assert checks["attendance_codes_readable"]["severity"] == "critical"
    assert "codes_mapped" in checks


def test_the_same_file_twice_changes_nothing(clean: Ended, mixed_faults: Ended) -> None:
    """At every school but the one with the unknown code; there, no mark is doubled either."""
    school = faults_of(mixed_faults.district)["unknown_code"]["school_id"]
    condition = f"organization_id not in ('sample', '{school}') and ({ATTENDANCE} or indicator_id = 'enrollment')"
    expected = figures(clean, condition)
    assert len(expected) > 100
    assert differing(expected, figures(mixed_faults, condition)) == []
    with clean.restricted() as one, mixed_faults.restricted() as two:
        days = "select school_id, count(*) from fct_student_daily_attendance group by school_id order by school_id"
        assert one.execute(days).fetchall() == two.execute(days).fetchall()
        accepted = "select sum(rows_accepted) from source_file where source_id = 'attendance_daily' and is_live"
        assert one.execute(accepted).fetchall() == two.execute(accepted).fetchall()


def test_refused_rows_are_told_by_file_line_and_remedy(mixed_faults: Ended) -> None:
    """The ragged incidents: rows in quarantine, or the file as a whole held back; the night goes on either way."""
    with mixed_faults.restricted() as con:
        refused = con.execute(
            "select count(*), count(line), count(distinct line), count(nullif(remedy, '')), count(nullif(reason, ''))"
            " from quarantine where source_id = 'discipline_incidents'"
        ).fetchall()[0]
        read, accepted, kept_back = con.execute(
            "select coalesce(sum(rows_read), 0), coalesce(sum(rows_accepted), 0), coalesce(sum(rows_refused), 0)"
            " from source_file where source_id = 'discipline_incidents'"
        ).fetchall()[0]
    is_held = "discipline_incidents" in failed_checks(mixed_faults).get("source_readable", {}).get("source_ids", [])
    if not is_held:
        assert kept_back > 0
        assert refused[0] == kept_back
        assert read == accepted + kept_back
    assert refused[1:] == (refused[0],) * 4
    assert is_held or "discipline_incidents" in mixed_faults.out


def test_optional_sources_that_cannot_be_read_are_held_back(mixed_faults: Ended) -> None:
    spoiled = {"discipline_students", "discipline_actions", "survey_waves", "survey_responses"}
    held = failed_checks(mixed_faults)["source_readable"]
    assert set(held["source_ids"]) >= spoiled
    assert held["severity"] == "warning"
    statuses = {row[-1] for row in figures(mixed_faults, "indicator_id = 'out_of_school_suspension'").values()}
    assert statuses == {"not_collected"}, "no readable file of consequences is not a year without consequences"
    answers = {row[-1] for row in figures(mixed_faults, "indicator_id = 'survey_belonging_favorable'").values()}
    assert answers == {"not_collected"}


# --- a corrected file ------------------------------------------------------------------------------------------


def test_a_corrected_file_replaces_what_it_corrects(
    clean: Ended, corrected: Corrected, corrected_afresh: Ended
) -> None:
    """The figures are those of a home that knows only the corrected file."""
    assert_ended(corrected.ended, 0)
    assert_ended(corrected_afresh, 0)
    everything = figures(corrected_afresh)
    assert differing(everything, figures(corrected.ended)) == []
    fault = faults_of(corrected.ended.district)["corrected_file"]
    condition = (
        f"organization_id = '{fault['school_id']}' and indicator_id = 'attendance_rate' and student_group_id = 'all'"
    )
    before, after = figures(clean, condition), figures(corrected.ended, condition)
    assert {after[key][1] - before[key][1] for key in before} == {0}, "as many days as before"
    absent = "select count(*) from fct_student_daily_attendance where status = 'absent' and school_id = ?"
    with clean.restricted() as one, corrected.ended.restricted() as two:
        [(first,)], [(second,)] = (con.execute(absent, [fault["school_id"]]).fetchall() for con in (one, two))
    assert first - second == fault["absences_corrected_to_present"]


def test_a_correction_leaves_other_schools_alone(clean: Ended, corrected: Corrected) -> None:
    school = faults_of(corrected.ended.district)["corrected_file"]["school_id"]
    condition = f"organization_id not in ('sample', '{school}')"
    assert differing(figures(clean, condition), figures(corrected.ended, condition)) == []


# --- leavers that an active-only file no longer holds -----------------------------------------------------------


def test_leavers_stay_known_and_their_exit_is_inferred(clean: Ended, leavers: Ended) -> None:
    assert_ended(leavers, 0)
    fault = faults_of(leavers.district)["leavers_dropped"]
    with leavers.restricted() as con:
        inferred = con.execute(
            "select count(*), min(exit_date), max(exit_date) from fct_student_school_enrollment where is_exit_inferred"
        ).fetchone()
        stays = con.execute("select count(*) from fct_student_school_enrollment").fetchone()
    with clean.restricted() as con:
        assert stays == con.execute("select count(*) from fct_student_school_enrollment").fetchone()
    assert inferred == (fault["stays_dropped_without_exit"], AS_OF, AS_OF), "dated by the last file that held them"
    assert fault["ended_stays_dropped"] > 0


def test_dropped_leavers_change_no_count_of_students(clean: Ended, leavers: Ended) -> None:
    """All that happened before they left still happened: only later days would differ."""
    assert differing(figures(clean), figures(leavers)) == []


# --- what all nights have in common -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stopped_school", "mixed_faults", "leavers", "corrected_afresh"])
def test_categories_add_up_with_faults_too(name: str, request: pytest.FixtureRequest) -> None:
    night: Ended = request.getfixturevalue(name)
    with night.restricted() as con:
        unequal = _unequal(con)
    assert unequal == []


def _unequal(con: duckdb.DuckDBPyConnection) -> list[tuple[str, ...]]:
    return con.execute(
        """
        select whole.indicator_id, whole.organization_id, whole.period_type, g.category
        from indicator_by_group part join dim_student_group g using (student_group_id)
        join indicator_by_group whole
          on whole.student_group_id = 'all' and part.indicator_id = whole.indicator_id
          and part.organization_id = whole.organization_id and part.school_year = whole.school_year
          and part.period_type = whole.period_type
        where g.category in ('sex', 'race_ethnicity', 'race_reported', 'economic', 'language', 'disability')
        and whole.denominator is not null
        group by all having abs(coalesce(sum(part.denominator), 0) - any_value(whole.denominator)) > 1e-6
        """
    ).fetchall()
