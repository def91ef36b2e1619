"""One survey a year on belonging: grades 3 to 12 are invited, some answer, some skip items."""

from __future__ import annotations

from pathlib import Path

import duckdb

from pipelines.sample_district import calendars, rates
from pipelines.sample_district.plan import Plan, sql_path
from pipelines.sample_district.rates import by_value

ITEMS = 5
_FIRST_GRADE = 3


def survey_years(plan: Plan) -> list[int]:
    """The school years whose survey opened on or before the end."""
    return [year for year in plan.school_years if calendars.survey_window(year)[0] <= plan.end]


def create(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Tables `survey`, `invited` (probabilities in ppm, whether and when the student answered) and `answer`.

    Who is asked is fixed on the day the survey opens. Concurrent enrollments are not asked twice.
    """
    connection.execute(
        "CREATE TABLE survey (school_year SMALLINT, survey_id VARCHAR, survey_name VARCHAR, opened DATE, closed DATE)"
    )
    for year in survey_years(plan):
        opened, closed = calendars.survey_window(year)
        connection.execute(
            "INSERT INTO survey VALUES (?, ?, ?, ?, ?)",
            [year, f"belonging-{year}", f"Student survey {year - 1}-{year % 100:02d}", opened, closed],
        )
    less = " - ".join(
        by_value(column, values, 0)
        for column, values in (
            ("race_ethnicity", rates.RESPONSE_LESS_BY_RACE_PPM),
            ("economic", rates.RESPONSE_LESS_BY_ECONOMIC_PPM),
            ("language", rates.RESPONSE_LESS_BY_LANGUAGE_PPM),
            ("disability", rates.RESPONSE_LESS_BY_DISABILITY_PPM),
        )
    )
    connection.execute(f"""
        CREATE TABLE invited AS
        WITH asked AS (
            SELECT spell.*, survey_id, opened, closed
            FROM spell JOIN survey USING (school_year)
            WHERE opened BETWEEN from_date AND to_date AND grade >= {_FIRST_GRADE} AND enrollment_type <> 'concurrent'
        ), rated AS (
            SELECT
                asked.*, race_ethnicity, sex, economic, language, disability,
                CAST({rates.RESPONSE_PPM} - {less}
                    - CASE WHEN often_absent THEN {rates.RESPONSE_LESS_OFTEN_ABSENT_PPM} ELSE 0 END AS BIGINT)
                    AS response_ppm,
                greatest({rates.FAVORABLE_MINIMUM_PPM}, least({rates.FAVORABLE_MAXIMUM_PPM},
                    {rates.FAVORABLE_PPM} - {rates.FAVORABLE_LESS_PER_GRADE_PPM} * (grade - {_FIRST_GRADE})
                    - {by_value("race_ethnicity", rates.FAVORABLE_LESS_BY_RACE_PPM, 0)}
                    - {by_value("disability", rates.FAVORABLE_LESS_BY_DISABILITY_PPM, 0)}
                    + draw('feels', asked.student_no) * 3 // 10 - 150000)) AS favorable_ppm
            FROM asked
            JOIN spell_rate USING (spell_no)
            ASOF JOIN demographic
                ON asked.student_no = demographic.student_no AND asked.opened >= demographic.start_date
        )
        SELECT
            school_year, survey_id, student_no, school_no, person_year_no, race_ethnicity, sex, economic, language,
            disability, response_ppm, favorable_ppm,
            opened + CAST(draw('submitted', person_year_no) % 5 AS INTEGER)
                + 7 * CAST(draw('submitted', person_year_no) % 2 AS INTEGER) AS submitted,
            draw('responds', person_year_no) < response_ppm AND submitted <= DATE '{plan.end}' AS responded
        FROM rated;

        CREATE TABLE answer AS
        WITH item AS (
            SELECT
                school_year, survey_id, student_no, school_no, person_year_no, submitted, item_no,
                person_year_no * {ITEMS + 1} + item_no AS answer_no, draw('answer', answer_no) AS chance, favorable_ppm
            FROM invited, range(1, {ITEMS + 1}) AS i (item_no)
            WHERE responded AND draw('skipped', answer_no) >= {rates.ITEM_SKIPPED_PPM}
        )
        SELECT
            school_year, survey_id, student_no, school_no, submitted, item_no,
            CASE
                WHEN draw('not_applicable', answer_no) < 8000 THEN 'NA'
                WHEN chance < favorable_ppm THEN CASE WHEN chance % 5 < 2 THEN '5' ELSE '4' END
                WHEN chance % 100 < 50 THEN '3'
                WHEN chance % 100 < 82 THEN '2'
                ELSE '1'
            END AS answer
        FROM item
    """)


def write(connection: duckdb.DuckDBPyConnection, plan: Plan, silent_where: str = "false") -> None:
    """The waves, and for each year who was invited and what was answered.

    silent_where: SQL over school_year and the groups of `invited`; such students' answers are not sent.
    """
    folder: Path = plan.extracts
    connection.execute(f"""
        COPY (
            SELECT survey_id, survey_name, 'student' AS universe, opened, closed, 'false' AS is_anonymous
            FROM survey
            ORDER BY survey_id
        ) TO {sql_path(folder / "survey_waves.csv")} (FORMAT csv, HEADER)
    """)
    for year in survey_years(plan):
        connection.execute(f"""
            COPY (
                SELECT survey_id, student_id(student_no) AS student_id, school_id(school_no) AS school_id
                FROM invited
                WHERE school_year = {year}
                ORDER BY school_no, student_no
            ) TO {sql_path(folder / f"survey_invitations_{year}.csv")} (FORMAT csv, HEADER);
            COPY (
                SELECT
                    survey_id, response_id(school_year, student_no) AS response_id,
                    student_id(student_no) AS student_id, school_id(answer.school_no) AS school_id,
                    answer.submitted, 'belonging_' || item_no AS item_id, 'belonging' AS construct, answer
                FROM answer
                JOIN invited USING (school_year, survey_id, student_no)
                WHERE school_year = {year} AND NOT ({silent_where})
                ORDER BY answer.school_no, student_no, item_no
            ) TO {sql_path(folder / f"survey_responses_{year}.csv")} (FORMAT csv, HEADER);
        """)
