"""A mark for each student and session day, drawn as it is needed and never kept as a whole.

A day's draw is (a * b + c) mod p, with a and c drawn for the stay and b for the date: any two days, and
any two students, are independent, and 180 million of them take seconds. A student has a factor of their
own, so that few miss many days and most miss few, and keeps it over the years more often than not.
"""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import duckdb

from pipelines.sample_district import rates
from pipelines.sample_district.plan import DAY_MODULUS, DAY_PPM, sql_path
from pipelines.sample_district.rates import by_value

#: The mark's number (its place here), the code as the source writes it, and the hundredths of the day missed.
MARKS = (("P", 0), ("AE", 100), ("AU", 100), ("HD", 50), ("PA", 25), ("T", 0), ("SU", 100))
PRESENT, EXCUSED, UNEXCUSED, HALF_DAY, QUARTER, TARDY, SUSPENDED = range(len(MARKS))

_EDGE_PERCENT = 115
_MIDWEEK_PERCENT = 90
_HALF_DAY_IN_100 = 8
_QUARTER_PPM = 5_000
#: Student-days that are drawn, sorted and written in one go: about half a gigabyte.
_ROWS_AT_ONCE = 10_000_000


def create_rates(connection: duckdb.DuckDBPyConnection) -> None:
    """Table `spell_rate`: for each stay the probabilities of a day (ppm) and the two numbers behind its draws.

    They follow the student's groups on the first day of the stay. `often_absent` marks the fifth with the
    largest factors. Also makes the view `day_mark`: spell columns, date, draw and mark of every session day.
    """
    connection.execute(f"""
        CREATE TABLE spell_rate AS
        WITH factor AS (
            SELECT
                spell_no, student_no, school_no, school_year, from_date, last_date, calendar, level_pool,
                grade, school_type,
                CASE
                    WHEN draw('habit_changes', person_year_no) < 350000 THEN draw('habit', person_year_no)
                    ELSE draw('habit', student_no)
                END / 1000000 AS habit,
                CAST(350 + 1500 * (habit * habit * habit * habit)
                    + 3150 * (habit * habit * habit) * (habit * habit * habit) * (habit * habit * habit) AS BIGINT)
                    AS own_permille,
                habit >= 0.8 AS often_absent
            FROM spell
        ), rated AS (
            SELECT
                factor.*, race_ethnicity, economic, disability,
                least({rates.ABSENCE_MAXIMUM_PPM},
                    {by_value("level_pool", rates.ABSENCE_BY_LEVEL_PPM, 0)}
                    * {by_value("race_ethnicity", rates.ABSENCE_BY_RACE_PERCENT, 100)} // 100
                    * {by_value("economic", rates.ABSENCE_BY_ECONOMIC_PERCENT, 100)} // 100
                    * {by_value("disability", rates.ABSENCE_BY_DISABILITY_PERCENT, 100)} // 100
                    * {by_value("school_type", rates.ABSENCE_BY_SCHOOL_TYPE_PERCENT, 100)} // 100
                    * own_permille // 1000) AS absence_ppm
            FROM factor
            ASOF JOIN demographic
                ON factor.student_no = demographic.student_no AND factor.from_date >= demographic.start_date
        )
        SELECT
            spell_no, student_no, school_no, school_year, from_date, last_date, calendar, often_absent,
            absence_ppm * {_EDGE_PERCENT} // 100 AS edge_ppm,
            absence_ppm * {_MIDWEEK_PERCENT} // 100 AS midweek_ppm,
            CASE WHEN grade >= 9 THEN 42000 WHEN grade >= 6 THEN 30000 ELSE 22000 END AS tardy_ppm,
            CASE WHEN economic = 'disadvantaged' THEN 45 WHEN grade >= 9 THEN 38 ELSE 25 END AS unexcused_in_100,
            long_draw('stay_a', student_no || '|' || school_year || '|' || school_no || '|' || from_date) AS a,
            long_draw('stay_c', student_no || '|' || school_year || '|' || school_no || '|' || from_date) AS c
        FROM rated;

        CREATE VIEW day_mark AS
        WITH drawn AS (
            SELECT
                spell_no, student_no, school_no, rate.school_year, day.date,
                (a * factor + c) % {DAY_MODULUS} AS chance,
                CASE WHEN is_edge THEN edge_ppm ELSE midweek_ppm END * {DAY_PPM} AS absent_below,
                tardy_ppm * {DAY_PPM} AS tardy_width, unexcused_in_100
            FROM spell_rate AS rate
            JOIN session_day AS day
                ON rate.school_year = day.school_year AND rate.calendar = day.calendar
                AND day.date BETWEEN rate.from_date AND rate.last_date
        )
        SELECT
            drawn.* EXCLUDE (absent_below, tardy_width, unexcused_in_100),
            CAST(CASE
                WHEN suspended.date IS NOT NULL THEN {SUSPENDED}
                WHEN chance < absent_below THEN CASE
                    WHEN chance % 100 < {_HALF_DAY_IN_100} THEN {HALF_DAY}
                    WHEN chance % 100 < {_HALF_DAY_IN_100} + unexcused_in_100 THEN {UNEXCUSED}
                    ELSE {EXCUSED}
                END
                WHEN chance < absent_below + tardy_width THEN {TARDY}
                WHEN chance < absent_below + tardy_width + {_QUARTER_PPM * DAY_PPM} THEN {QUARTER}
                ELSE {PRESENT}
            END AS TINYINT) AS mark
        FROM drawn
        LEFT JOIN suspension_day AS suspended
            ON drawn.spell_no = suspended.spell_no AND drawn.date = suspended.date;
    """)


def create_exceptions(connection: duckdb.DuckDBPyConnection) -> None:
    """Table `exception_mark`: every day that is not simply present, at all schools."""
    connection.execute(f"""
        CREATE TABLE exception_mark AS
        SELECT spell_no, student_no, school_no, school_year, date, mark
        FROM day_mark
        WHERE mark <> {PRESENT}
    """)


def _code(mark: str) -> str:
    """SQL for the code that the source writes for a mark's number."""
    codes = ", ".join(f"'{code}'" for code, _ in MARKS)
    return f"[{codes}][{mark} + 1]"


def _fraction(mark: str) -> str:
    """SQL for the share of the day missed, which the source writes only for part of a day."""
    return f"CASE {mark} WHEN {HALF_DAY} THEN '0.5' WHEN {QUARTER} THEN '0.25' END"


def missed_hundredths(mark: str) -> str:
    """SQL for the hundredths of the day missed under a mark's number."""
    return f"[{', '.join(str(missed) for _, missed in MARKS)}][{mark} + 1]"


def write_daily(
    connection: duckdb.DuckDBPyConnection,
    school_year: int,
    path: Path,
    present_where: str = "false",
    other_code: tuple[str, str] | None = None,
) -> None:
    """One year of positive attendance, a row a student-day, ordered by date, school and student.

    present_where: SQL over school_no, date, chance and mark; such days are sent as present instead.
    other_code: a code, and SQL over school_no and chance that says which days carry it instead of their own.
    """
    code, other_where = other_code or ("", "false")
    part = path.with_suffix(".part")
    for number, (first, last) in enumerate(_spans_of_days(connection, school_year)):
        connection.execute(f"""
            COPY (
                SELECT
                    student_id(student_no) AS student_id, school_id(school_no) AS school_id, date,
                    CASE WHEN is_other THEN '{code}' ELSE {_code("sent")} END AS category,
                    CASE WHEN NOT is_other THEN {_fraction("sent")} END AS fraction_absent
                FROM (
                    SELECT
                        student_no, school_no, date, {other_where} AS is_other,
                        CAST(CASE WHEN {present_where} THEN {PRESENT} ELSE mark END AS TINYINT) AS sent
                    FROM day_mark
                    JOIN school USING (school_no)
                    JOIN sent_until USING (school_no)
                    WHERE school_year = {school_year} AND every_day AND date <= until
                        AND date BETWEEN DATE '{first}' AND DATE '{last}'
                    ORDER BY date, school_no, student_no
                )
            ) TO {sql_path(part)} (FORMAT csv, HEADER {number == 0})
        """)
        with part.open("rb") as rows, path.open("wb" if number == 0 else "ab") as whole:
            shutil.copyfileobj(rows, whole, 1 << 20)
    part.unlink()


def _spans_of_days(connection: duckdb.DuckDBPyConnection, school_year: int) -> list[tuple[date, date]]:
    """First and last dates of consecutive spans of a school year, each with few enough rows to sort in memory."""
    return connection.execute(
        """
        WITH numbered AS (
            SELECT date, row_number() OVER (ORDER BY date) - 1 AS place
            FROM (SELECT DISTINCT date FROM session_day WHERE school_year = $school_year)
        ), size AS (
            SELECT greatest(1, $rows // count(*)) AS days FROM spell WHERE school_year = $school_year
        )
        SELECT min(date), max(date)
        FROM numbered, size
        GROUP BY place // days
        ORDER BY 1
        """,
        {"school_year": school_year, "rows": _ROWS_AT_ONCE},
    ).fetchall()


def write_exceptions(connection: duckdb.DuckDBPyConnection, school_year: int, folder: Path) -> None:
    """One year of negative attendance, exceptions only, and on which days those schools took attendance."""
    connection.execute(f"""
        COPY (
            SELECT
                student_id(student_no) AS student_id, school_id(school_no) AS school_id, date,
                {_code("mark")} AS category, {_fraction("mark")} AS fraction_absent
            FROM (
                SELECT student_no, school_no, date, mark
                FROM exception_mark
                JOIN school USING (school_no)
                JOIN sent_until USING (school_no)
                WHERE school_year = {school_year} AND NOT every_day AND date <= until
                ORDER BY date, school_no, student_no
            )
        ) TO {sql_path(folder / f"attendance_exceptions_{school_year}.csv")} (FORMAT csv, HEADER);
        COPY (
            SELECT school_id(school_no) AS school_id, date
            FROM school
            JOIN sent_until USING (school_no)
            JOIN session_day USING (calendar)
            WHERE school_year = {school_year} AND NOT every_day AND date <= until
            ORDER BY date, school_no
        ) TO {sql_path(folder / f"attendance_taken_{school_year}.csv")} (FORMAT csv, HEADER);
    """)
