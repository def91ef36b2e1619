"""Faults that real extracts have, planted where asked, each at a named place."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from pipelines.sample_district import attendance
from pipelines.sample_district.plan import Plan, draw, sql_path
from pipelines.sample_district.schools import School

#: What each fault is, in one line. The package's docstring says what the checks should find.
FAULTS = {
    "school_stops_attendance": "one school with daily attendance sends nothing for its last 25 session days",
    "race_missing_at_school": "70 % of the students of one school have no race",
    "group_silent_in_survey": "no English learner's answers arrive for the newest survey",
    "zero_incidents_school": "one school reports no incident in the current year",
    "file_twice": "the current daily attendance arrives under two names",
    "corrected_file": "a corrected daily attendance file waits in later/",
    "unknown_code": "one school marks about 3 % of its days with a code that nothing explains",
    "leavers_dropped": "enrollment holds active students only; the next such extract waits in later/",
    "malformed_file": "the discipline incidents are ragged and end in the middle of a row",
    "late_source": "attendance of every school ends 15 session days before the end",
}

UNKNOWN_CODE = "QZ"
STOPPED_SESSION_DAYS = 25
LATE_SESSION_DAYS = 15
CORRECTED_SESSION_DAYS = 20


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """The faults asked for, once each, in the order of FAULTS. Raises ValueError when one is unknown."""
    unknown = sorted(set(names) - set(FAULTS))
    if unknown:
        raise ValueError(f"unknown fault {', '.join(unknown)}; the faults are: {', '.join(FAULTS)}")
    return tuple(name for name in FAULTS if name in names)


@dataclass
class Planted:
    """Which school each fault strikes, and what became of it, for truth.json."""

    schools: dict[str, School]
    notes: dict[str, dict[str, object]] = field(default_factory=dict)

    def school_no(self, fault: str) -> int:
        """The school's number, or 0, which is no school, where the fault is not planted."""
        school = self.schools.get(fault)
        return school.number if school else 0


def choose_schools(plan: Plan, schools: Sequence[School]) -> Planted:
    """Give each school-level fault a school of its own, as far as there are enough."""

    def daily(school: School) -> bool:
        return school.is_regular and school.every_day

    suitable: dict[str, Callable[[School], bool]] = {
        "school_stops_attendance": daily,
        "unknown_code": daily,
        "corrected_file": daily,
        "zero_incidents_school": lambda school: school.pool in ("middle", "high"),
        "race_missing_at_school": lambda school: school.is_regular,
    }
    shuffled = sorted(schools, key=lambda school: (draw(plan.seed, "fault_school", school.number), school.number))
    planted = Planted({})
    for fault, is_suitable in suitable.items():
        if fault in plan.faults:
            candidates = [school for school in shuffled if is_suitable(school)]
            free = [school for school in candidates if school not in planted.schools.values()]
            planted.schools[fault] = (free or candidates)[0]
    return planted


def create_sent_until(connection: duckdb.DuckDBPyConnection, plan: Plan, planted: Planted) -> None:
    """Table `sent_until`: the last day of attendance that each school sends.

    A fault may keep back all days of the current year, never one of an earlier year.
    """
    late = LATE_SESSION_DAYS if "late_source" in plan.faults else 0
    connection.execute(f"""
        CREATE TABLE sent_until AS
        WITH held AS (
            SELECT
                school_no, date, row_number() OVER (PARTITION BY school_no ORDER BY date DESC) AS days_back,
                CASE school_no
                    WHEN {planted.school_no("school_stops_attendance")} THEN {STOPPED_SESSION_DAYS} ELSE {late}
                END AS days_kept_back
            FROM school
            LEFT JOIN session_day
                ON school.calendar = session_day.calendar
                AND school_year = {plan.last_year} AND date <= DATE '{plan.end}'
        )
        SELECT
            school_no,
            coalesce(max(date) FILTER (days_back > days_kept_back), min(date) - 1, DATE '{plan.end}') AS until
        FROM held
        GROUP BY school_no
    """)
    if "school_stops_attendance" in plan.faults:
        number = planted.school_no("school_stops_attendance")
        planted.notes["school_stops_attendance"] = {"last_day_sent": _until(connection, number)}
    if "late_source" in plan.faults:
        planted.notes["late_source"] = {"session_days_missing": LATE_SESSION_DAYS}


def _until(connection: duckdb.DuckDBPyConnection, school_no: int) -> str:
    row = connection.execute(
        "SELECT CAST(until AS VARCHAR) FROM sent_until WHERE school_no = ?", [school_no]
    ).fetchall()[0]
    return str(row[0])


def write_daily(connection: duckdb.DuckDBPyConnection, plan: Plan, planted: Planted) -> None:
    """Daily attendance, a file a year, with the faults that strike it."""
    year = plan.last_year
    other_code = None
    if "unknown_code" in plan.faults:
        other_code = (UNKNOWN_CODE, f"school_no = {planted.school_no('unknown_code')} AND chance % 97 < 3")
    for school_year in plan.school_years:
        path = plan.extracts / f"attendance_daily_{school_year}.csv"
        attendance.write_daily(connection, school_year, path, other_code=other_code if school_year == year else None)
    current = plan.extracts / f"attendance_daily_{year}.csv"
    if "unknown_code" in plan.faults:
        planted.notes["unknown_code"] = {"code": UNKNOWN_CODE, "rows": _rows_with_code(connection, current)}
    if "file_twice" in plan.faults:
        again = current.with_name(f"attendance_daily_{year}_again.csv")
        shutil.copyfile(current, again)
        planted.notes["file_twice"] = {"files": [current.name, again.name]}
    if "corrected_file" in plan.faults:
        school_no = planted.school_no("corrected_file")
        corrected = f"""
            school_no = {school_no} AND mark IN ({attendance.EXCUSED}, {attendance.UNEXCUSED}) AND chance % 2 = 0
            AND date > (
                SELECT min(date) FROM (
                    SELECT date FROM session_day JOIN school USING (calendar) JOIN sent_until USING (school_no)
                    WHERE school_no = {school_no} AND date <= until
                    ORDER BY date DESC LIMIT {CORRECTED_SESSION_DAYS + 1}
                )
            )
        """
        attendance.write_daily(connection, year, plan.later / current.name, corrected, other_code)
        row = connection.execute(f"""
            SELECT count(*)
            FROM day_mark JOIN sent_until USING (school_no)
            WHERE school_year = {year} AND date <= until AND {corrected}
        """).fetchall()[0]
        planted.notes["corrected_file"] = {"file": f"later/{current.name}", "absences_corrected_to_present": row[0]}


def _rows_with_code(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    row = connection.execute(
        "SELECT count(*) FROM read_csv(?, all_varchar = true) WHERE category = ?", [str(path), UNKNOWN_CODE]
    ).fetchall()[0]
    return int(row[0])


def incidents_not_sent(plan: Plan, planted: Planted) -> str:
    """SQL over school_no and school_year for the incidents that a silent school does not report."""
    if "zero_incidents_school" not in plan.faults:
        return "false"
    return f"school_no = {planted.school_no('zero_incidents_school')} AND school_year = {plan.last_year}"


def answers_not_sent(plan: Plan, survey_years: Sequence[int]) -> str:
    """SQL over school_year and language for the answers that are missing."""
    if "group_silent_in_survey" not in plan.faults or not survey_years:
        return "false"
    return f"school_year = {survey_years[-1]} AND language = 'english_learner'"


def note_counts(
    connection: duckdb.DuckDBPyConnection, plan: Plan, planted: Planted, survey_years: Sequence[int]
) -> None:
    """Count what the faults in discipline, race and survey took away."""
    counts = {
        "zero_incidents_school": (
            "incidents_not_sent",
            f"SELECT count(*) FROM own_incident WHERE {incidents_not_sent(plan, planted)}",
        ),
        "group_silent_in_survey": (
            "students_whose_answers_are_missing",
            f"SELECT count(*) FROM invited WHERE responded AND {answers_not_sent(plan, survey_years)}",
        ),
        "race_missing_at_school": ("students_without_race", "SELECT count(*) FROM race_withheld"),
    }
    for fault, (name, query) in counts.items():
        if fault in plan.faults:
            row = connection.execute(query).fetchall()[0]
            planted.notes[fault] = {name: row[0]}


def create_race_withheld(connection: duckdb.DuckDBPyConnection, planted: Planted) -> None:
    """Table `race_withheld`: students whose newest school is the one that does not record race."""
    connection.execute(f"""
        CREATE TABLE race_withheld AS
        SELECT student_no
        FROM spell
        WHERE enrollment_type = 'home'
        GROUP BY student_no
        HAVING arg_max(school_no, from_date) = {planted.school_no("race_missing_at_school")}
            AND draw('race_withheld', student_no) < 700000
    """)


def write_enrollment_without_leavers(
    connection: duckdb.DuckDBPyConnection, plan: Plan, planted: Planted, columns: str
) -> None:
    """The next enrollment extract: no stay that ended, nor those of about 1 % who have left since.

    columns: SQL for the columns of the enrollment extract over `spell`.
    """
    leaves_since = "draw('leaves_since', student_no) < 10000"
    connection.execute(f"""
        COPY (
            SELECT {columns}
            FROM spell
            WHERE to_date > DATE '{plan.end}' AND NOT {leaves_since}
            ORDER BY spell_no
        ) TO {sql_path(plan.later / "enrollment.csv")} (FORMAT csv, HEADER)
    """)
    row = connection.execute(f"""
        SELECT
            count(*) FILTER (to_date <= DATE '{plan.end}'),
            count(*) FILTER (to_date > DATE '{plan.end}' AND {leaves_since})
        FROM spell
    """).fetchall()[0]
    planted.notes["leavers_dropped"] = {
        "file": "later/enrollment.csv",
        "ended_stays_dropped": row[0],
        "stays_dropped_without_exit": row[1],
    }


def malform(plan: Plan, planted: Planted) -> None:
    """Make the incident file ragged, and cut it off inside a quoted cell after three fifths of its bytes."""
    path = plan.extracts / "discipline_incidents.csv"
    whole = path.with_suffix(".whole")
    path.rename(whole)
    kept = whole.stat().st_size * 3 // 5
    written = 0
    with whole.open(encoding="utf-8") as rows, path.open("w", encoding="utf-8", newline="") as ragged:
        for number, row in enumerate(rows):
            if written > kept:
                ragged.write(row[: len(row) // 2] + ',"cut off he')
                break
            cells = row.rstrip("\n").split(",")
            if number and number % 11 == 0:
                cells = cells[:-3]
            elif number and number % 17 == 0:
                cells += ["", "spilled over"]
            written += ragged.write(",".join(cells) + "\n")
    whole.unlink()
    planted.notes["malformed_file"] = {"file": path.name}
