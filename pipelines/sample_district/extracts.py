"""The extracts that stand still: schools, calendar, students, demographics and enrollment."""

from __future__ import annotations

import duckdb

from pipelines.sample_district.plan import Plan, sql_path

ENROLLMENT_COLUMNS = """
    student_id(student_no) AS student_id, school_id(school_no) AS school_id, from_date AS entry_date,
    CASE WHEN exit_type <> '' THEN to_date END AS exit_date,
    CASE grade WHEN 0 THEN 'KG' ELSE lpad(CAST(grade AS VARCHAR), 2, '0') END AS grade,
    CASE enrollment_type WHEN 'home' THEN 'HOME' WHEN 'placement' THEN 'PLACED' ELSE 'HALF' END AS enrollment_type,
    CASE share WHEN 50 THEN '0.5' ELSE '1' END AS share_of_day,
    CASE WHEN responsible_school_no IS NOT NULL THEN school_id(responsible_school_no) END AS responsible_school_id,
    nullif(exit_type, '') AS exit_type
"""


def write(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Write the five files. Students carry a made-up name that no map names, so that it must never go further."""
    folder = plan.extracts
    connection.execute(f"""
        COPY (
            SELECT
                school_id(school_no) AS school_id, school_name, level, school_type, is_charter, operated_by_district,
                opened, NULL AS closed
            FROM school
            ORDER BY school_no
        ) TO {sql_path(folder / "schools.csv")} (FORMAT csv, HEADER);

        COPY (
            SELECT school_id(school_no) AS school_id, date, calendar_event, minutes
            FROM school JOIN calendar_day USING (calendar)
            ORDER BY school_no, date
        ) TO {sql_path(folder / "calendar.csv")} (FORMAT csv, HEADER);

        COPY (
            SELECT
                student_id(student_no) AS student_id,
                'Invented Student ' || upper(substr(md5('name|' || student_id(student_no)), 1, 10)) AS student_name
            FROM (SELECT DISTINCT student_no FROM spell)
            ORDER BY student_no
        ) TO {sql_path(folder / "students.csv")} (FORMAT csv, HEADER);

        COPY (
            SELECT
                student_id(student_no) AS student_id, start_date, end_date,
                CASE sex WHEN 'female' THEN 'F' WHEN 'male' THEN 'M' WHEN 'nonbinary' THEN 'X' END AS sex,
                nullif(hispanic_latino, '') AS hispanic_latino,
                CASE WHEN race_withheld.student_no IS NULL THEN nullif(races, '') END AS races,
                CASE demographic.economic
                    WHEN 'disadvantaged' THEN CASE WHEN student_no % 5 = 0 THEN 'R' ELSE 'F' END
                    WHEN 'not_disadvantaged' THEN 'N'
                END AS economic,
                CASE demographic.language
                    WHEN 'english_learner' THEN 'EL'
                    WHEN 'not_english_learner' THEN CASE WHEN was_english_learner THEN 'RFEP' ELSE 'EO' END
                END AS language,
                CASE demographic.disability WHEN 'idea' THEN 'IEP' WHEN 'section_504' THEN '504' ELSE 'NONE' END
                    AS disability
            FROM demographic
            JOIN (SELECT student_no, races, hispanic_latino FROM person) USING (student_no)
            LEFT JOIN race_withheld USING (student_no)
            ORDER BY student_no, start_date
        ) TO {sql_path(folder / "demographics.csv")} (FORMAT csv, HEADER);

        COPY (
            SELECT {ENROLLMENT_COLUMNS}
            FROM spell
            ORDER BY spell_no
        ) TO {sql_path(folder / "enrollment.csv")} (FORMAT csv, HEADER);
    """)
