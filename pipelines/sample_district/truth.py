"""`truth.json`: what was planted and what came of it, by group. It holds no id of a student."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence

import duckdb

from pipelines.sample_district import attendance, rates
from pipelines.sample_district.attendance import missed_hundredths
from pipelines.sample_district.faults import FAULTS, Planted
from pipelines.sample_district.plan import Plan
from pipelines.sample_district.schools import School

_CATEGORIES = ("race_ethnicity", "sex", "economic", "language", "disability")
_CHRONIC = "days >= 10 AND 10 * absent >= days"

_RULES = {
    "groups": "Race and ethnicity by the federal roll-up. Status is that of the last enrolled day in the year (of the "
    "stay at the school, for student and school); for a suspended student that of the first day out of school; for "
    "the survey that of the day on which it opened; for a planted rate that of the first day of each stay.",
    "absent": "A day counts as absent when half or more of it was missed, suspension included; tardy is present.",
    "chronic": "10 * days absent >= days enrolled, with at least 10 days enrolled, up to the end of the data.",
    "chronic_student": "One row a student: days at all schools together; two half days at two schools make one day, "
    "absent when half or more of it was missed.",
    "planted_absence": "Mean probability of a day absent over student-days; days of suspension come on top.",
    "planted_suspension": "Mean probability of out-of-school suspension for a student in a full year; year to date and "
    "students who come or go have less.",
    "planted_favorable": "Mean probability that an answer is favorable, over those invited.",
    "faults": "All figures are of what happened, before a planted fault took it from the files.",
}

#: What the checks should find for each fault.
_FINDINGS = {
    "school_stops_attendance": "the school's attendance is data_not_reliable; other schools and its other data are not",
    "race_missing_at_school": "share of unknown race at the school far above the other schools",
    "group_silent_in_survey": "no response from English learners; their answers are not zero but not collected",
    "zero_incidents_school": "no incident at a school that had some in other years or marks suspensions in attendance",
    "file_twice": "the second file changes nothing",
    "corrected_file": "dropped over the first file, it replaces it: the corrected absences are gone, no row is doubled",
    "unknown_code": "share of unmapped codes above the limit at the school: its attendance is data_not_reliable",
    "leavers_dropped": "leavers stay known; stays dropped without an exit end with the first extract, marked inferred",
    "malformed_file": "refused rows in quarantine, or the source held back; the rest of the night goes on",
    "late_source": "a required source is overdue: the night stops",
}


def create_units(connection: duckdb.DuckDBPyConnection) -> None:
    """Tables with one row a unit counted, its groups and its counts: stays, student-schools, students, suspensions."""
    missed = missed_hundredths("mark")
    connection.execute(f"""
        CREATE TABLE spell_missed AS
        SELECT spell_no, count(*) FILTER ({missed} >= 50) AS absent, sum({missed}) AS hundredths
        FROM exception_mark
        GROUP BY spell_no;

        CREATE TABLE student_school AS
        WITH unit AS (
            SELECT
                school_year, student_no, school_no, max(last_date) AS last_date, sum(days) AS days,
                sum(coalesce(absent, 0)) AS absent, sum(coalesce(hundredths, 0)) AS hundredths
            FROM spell LEFT JOIN spell_missed USING (spell_no)
            GROUP BY school_year, student_no, school_no
        )
        SELECT unit.*, demographic.* EXCLUDE (student_no)
        FROM unit ASOF JOIN demographic
            ON unit.student_no = demographic.student_no AND unit.last_date >= demographic.start_date;

        CREATE TABLE student_year AS
        WITH half AS (
            SELECT school_year, student_no, date, sum(share) AS membership, sum(missed * share) AS missed
            FROM (
                SELECT spell.school_year, spell.student_no, day.date, share, coalesce({missed}, 0) AS missed
                FROM spell
                JOIN session_day AS day
                    ON spell.school_year = day.school_year AND spell.calendar = day.calendar
                    AND day.date BETWEEN spell.from_date AND spell.last_date
                LEFT JOIN exception_mark
                    ON exception_mark.spell_no = spell.spell_no AND exception_mark.date = day.date
                WHERE share < 100
            )
            GROUP BY school_year, student_no, date
        ), part AS (
            SELECT school_year, student_no, days, coalesce(absent, 0) AS absent, last_date
            FROM spell LEFT JOIN spell_missed USING (spell_no)
            WHERE share = 100
            UNION ALL
            SELECT
                school_year, student_no, count(*), count(*) FILTER (2 * missed >= 100 * membership), max(date)
            FROM half
            GROUP BY school_year, student_no
        ), unit AS (
            SELECT school_year, student_no, max(last_date) AS last_date, sum(days) AS days, sum(absent) AS absent
            FROM part
            GROUP BY school_year, student_no
        )
        SELECT unit.*, demographic.* EXCLUDE (student_no)
        FROM unit ASOF JOIN demographic
            ON unit.student_no = demographic.student_no AND unit.last_date >= demographic.start_date;

        CREATE TABLE suspended_year AS
        WITH first_out AS (
            SELECT school_year, student_no, min(date) AS date
            FROM suspension
            GROUP BY school_year, student_no
        ), unit AS (
            SELECT school_year, student_no, coalesce(date, last_date) AS counted_on, date IS NOT NULL AS suspended
            FROM student_year LEFT JOIN first_out USING (school_year, student_no)
        )
        SELECT unit.*, demographic.* EXCLUDE (student_no)
        FROM unit ASOF JOIN demographic
            ON unit.student_no = demographic.student_no AND unit.counted_on >= demographic.start_date;
    """)


def _by_group(
    connection: duckdb.DuckDBPyConnection, relation: str, **measures: str
) -> list[tuple[int, str, list[int]]]:
    """School year, group id and integer measures, for `all` and every value of every category."""
    sets = ", ".join(f"(school_year, {category})" for category in _CATEGORIES)
    group = " ".join(f"WHEN grouping({category}) = 0 THEN '{category}:' || {category}" for category in _CATEGORIES)
    rows = connection.execute(f"""
        SELECT school_year, CASE {group} ELSE 'all' END AS student_group, {", ".join(measures.values())}
        FROM {relation}
        GROUP BY GROUPING SETS ((school_year), {sets})
        ORDER BY school_year, student_group
    """).fetchall()
    return [(int(year), str(group_id), [int(value or 0) for value in values]) for year, group_id, *values in rows]


def _full_year_suspension() -> str:
    """SQL for the probability (ppm) that at least one of a student's own incidents leads to suspension."""
    more, none = rates.NEXT_INCIDENT_PPM / 1_000_000, "1.0"
    for _ in range(rates.MAXIMUM_INCIDENTS - 1):
        none = f"({1 - more} + {more} * (1 - suspended_ppm / 1000000) * {none})"
    return f"CAST(incident_ppm * (1 - (1 - suspended_ppm / 1000000) * {none}) AS BIGINT)"


def planted_rates(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, dict[str, float]]]:
    """The mean of the probabilities that the generator used, by school year and group, to six places."""
    found: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    groups = ", ".join(f"demographic.{category}" for category in _CATEGORIES)
    sources = (
        (
            "absence",
            f"""(
                SELECT spell.school_year, {groups}, days AS weight,
                    edge_ppm * edge_days + midweek_ppm * (days - edge_days) AS ppm
                FROM spell JOIN spell_rate USING (spell_no)
                ASOF JOIN demographic
                    ON spell.student_no = demographic.student_no AND spell.from_date >= demographic.start_date
            )""",
        ),
        (
            "suspension_in_a_full_year",
            f"""(
                SELECT unit.school_year, {groups}, 1 AS weight, {_full_year_suspension()} AS ppm
                FROM incident_rate AS unit
                JOIN suspended_year AS demographic USING (school_year, student_no)
            )""",
        ),
        ("survey_response", "(SELECT *, 1 AS weight, response_ppm AS ppm FROM invited)"),
        ("favorable", "(SELECT *, 1 AS weight, favorable_ppm AS ppm FROM invited)"),
    )
    for name, relation in sources:
        for year, group, (ppm, weight) in _by_group(connection, relation, ppm="sum(ppm)", weight="sum(weight)"):
            if weight:
                found[str(year)][group][name] = round(ppm / weight / 1_000_000, 6)
    return {year: dict(by_group) for year, by_group in found.items()}


def realised_counts(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, dict[str, int]]]:
    """What happened, by school year and group: heads, days and answers counted."""
    found: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    answered = "(SELECT invited.*, answer FROM answer JOIN invited USING (school_year, student_no))"
    sources: tuple[tuple[str, dict[str, str]], ...] = (
        (
            "student_school",
            {
                "student_schools": "count(*)",
                "student_schools_10_days": "count(*) FILTER (days >= 10)",
                "chronic_student_school": f"count(*) FILTER ({_CHRONIC})",
                "days_enrolled": "sum(days)",
                "days_absent": "sum(absent)",
                "hundredths_of_days_missed": "sum(hundredths)",
            },
        ),
        (
            "student_year",
            {
                "students": "count(*)",
                "students_10_days": "count(*) FILTER (days >= 10)",
                "chronic_student": f"count(*) FILTER ({_CHRONIC})",
            },
        ),
        (
            "suspended_year",
            {"students_at_suspension": "count(*)", "students_suspended": "count(*) FILTER (suspended)"},
        ),
        ("invited", {"invited": "count(*)", "responded": "count(*) FILTER (responded)"}),
        (
            answered,
            {
                "answers": "count(*) FILTER (answer <> 'NA')",
                "answers_favorable": "count(*) FILTER (answer IN ('4', '5'))",
            },
        ),
    )
    for relation, measures in sources:
        for year, group, values in _by_group(connection, relation, **measures):
            found[str(year)][group].update(zip(measures, values, strict=True))
    return {year: dict(by_group) for year, by_group in found.items()}


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchall()[0]
    return int(row[0])


def totals(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows of each kind over all years, before faults."""
    every_day = "every_day AND enrolled.school_no = school.school_no"
    return {
        "students": _one(connection, "SELECT count(DISTINCT student_no) FROM spell"),
        "schools": _one(connection, "SELECT count(*) FROM school"),
        "enrollments": _one(connection, "SELECT count(*) FROM spell"),
        "demographic_spans": _one(connection, "SELECT count(*) FROM demographic"),
        "attendance_daily_rows": _one(
            connection, f"SELECT coalesce(sum(days), 0) FROM spell AS enrolled, school WHERE {every_day}"
        ),
        "attendance_exception_rows": _one(
            connection, "SELECT count(*) FROM exception_mark JOIN school USING (school_no) WHERE NOT every_day"
        ),
        "incidents": _one(connection, "SELECT count(*) FROM own_incident"),
        "discipline_actions": _one(connection, "SELECT count(*) FROM action"),
        "survey_invitations": _one(connection, "SELECT count(*) FROM invited"),
        "survey_answers": _one(connection, "SELECT count(*) FROM answer"),
        "suspension_days": _one(connection, f"SELECT count(*) FROM exception_mark WHERE mark = {attendance.SUSPENDED}"),
    }


def _by_school(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, dict[str, int]]]:
    rows = connection.execute(f"""
        SELECT school_year, school_id(school_no), count(*), count(*) FILTER ({_CHRONIC}), sum(days), sum(absent)
        FROM student_school
        GROUP BY school_year, school_no
        ORDER BY school_year, school_no
    """).fetchall()
    names = ("students", "chronic", "days_enrolled", "days_absent")
    found: dict[str, dict[str, dict[str, int]]] = defaultdict(dict)
    for year, school_id, *values in rows:
        found[str(year)][school_id] = dict(zip(names, (int(value) for value in values), strict=True))
    return dict(found)


def _faults(planted: Planted, names: Sequence[str]) -> list[dict[str, object]]:
    found = []
    for name in names:
        school: School | None = planted.schools.get(name)
        found.append(
            {
                "fault": name,
                "what": FAULTS[name],
                **({"school_id": school.school_id} if school else {}),
                **({"student_group_id": "language:english_learner"} if name == "group_silent_in_survey" else {}),
                **planted.notes.get(name, {}),
                "checks_should_find": _FINDINGS[name],
            }
        )
    return found


def write(connection: duckdb.DuckDBPyConnection, plan: Plan, planted: Planted) -> dict[str, int]:
    """Write truth.json and give back the totals in it."""
    create_units(connection)
    counted = totals(connection)
    truth = {
        "asked_for": {
            "students": plan.students,
            "years": plan.years,
            "seed": plan.seed,
            "end": plan.end.isoformat(),
            "faults": list(plan.faults),
        },
        "rules": _RULES,
        "totals": counted,
        "planted": planted_rates(connection),
        "realised": realised_counts(connection),
        "realised_by_school": _by_school(connection),
        "faults": _faults(planted, plan.faults),
    }
    (plan.out / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    return counted
