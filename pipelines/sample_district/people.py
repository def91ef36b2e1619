"""Who goes to which school and when, and what the district knows about them.

A district is a fixed number of seats. A seat belongs to a grade that rises each year, and is held by one
student after another: who leaves, during or after a year, is followed by a newcomer. So the district
neither grows nor shrinks, and no table is larger than students times years.
"""

from __future__ import annotations

from collections.abc import Set

import duckdb

from pipelines.sample_district import rates
from pipelines.sample_district.plan import Plan
from pipelines.sample_district.rates import by_value

#: Holders of one seat over all years: also the stride between the numbers of two seats' students.
_HOLDERS = 32
_GRADES = 13
#: Larger than any day number: until the last day of the year.
_LAST_DAY = 9999


def create_person_years(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Table `person_year`: a student in a school year, session days from and to, and what interrupts it.

    Days are numbers in the calendar of the school attended. `cut_day` is the first day after a move (then
    `resume_day` is the same day, at the new place) or after a pause (then some weeks later, same place).
    `point_a` and `point_b` are places in the district, 0..999,999, before and after the cut.
    """
    cohorts = plan.years + _GRADES - 1
    seats = round(plan.students * cohorts / _GRADES)
    connection.execute(f"""
        CREATE TABLE seat_year AS
        SELECT
            seat, year_no, grade, leaves,
            coalesce(sum(CAST(leaves <> 'stays' AS INTEGER)) OVER (
                PARTITION BY seat ORDER BY year_no ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ), 0) AS holder
        FROM (
            SELECT
                seat, year_no, seat % {cohorts} - {plan.years - 1} + year_no AS grade,
                draw('leaves', seat * {_HOLDERS} + year_no) AS chance,
                CASE
                    WHEN chance < {rates.LEAVES_DURING_YEAR_PPM} THEN 'during'
                    WHEN chance < {rates.LEAVES_DURING_YEAR_PPM + rates.LEAVES_AFTER_YEAR_PPM} THEN 'after'
                    ELSE 'stays'
                END AS leaves
            FROM range({seats}) AS s (seat), range({plan.years}) AS y (year_no)
        )
        WHERE grade BETWEEN 0 AND {_GRADES - 1};

        CREATE TABLE person_year AS
        WITH stay AS (
            SELECT
                seat * {_HOLDERS} + holder AS student_no, year_no, grade,
                CASE
                    WHEN draw('late', seat * {_HOLDERS} + year_no) < {rates.LATE_START_PPM}
                        THEN 2 + draw('late_day', seat * {_HOLDERS} + year_no) % 5
                    ELSE 1
                END AS from_day,
                CASE
                    WHEN leaves = 'during' THEN 10 + draw('leave_day', seat * {_HOLDERS} + year_no) % 160
                    ELSE {_LAST_DAY}
                END AS to_day,
                leaves = 'after' AS leaves_after
            FROM seat_year
            UNION ALL
            SELECT
                seat * {_HOLDERS} + holder + 1, year_no, grade,
                11 + draw('leave_day', seat * {_HOLDERS} + year_no) % 160
                    + draw('arrive_day', seat * {_HOLDERS} + year_no) % 10,
                {_LAST_DAY}, false
            FROM seat_year
            WHERE leaves = 'during'
        ), moved AS (
            SELECT
                *, student_no * {_HOLDERS} + year_no AS person_year_no,
                draw('moves', person_year_no) < {rates.MOVES_PPM} AS moves,
                draw('pauses', person_year_no) < {rates.PAUSES_PPM} AS pauses,
                20 + draw('cut_day', person_year_no) % 140 AS day,
                draw('place', student_no) AS first_point,
                250000 + draw('step', student_no) % 500000 AS step
            FROM stay
        ), counted AS (
            SELECT
                *,
                coalesce(sum(CAST(moves AS INTEGER)) OVER (
                    PARTITION BY student_no ORDER BY year_no ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ), 0) AS moves_before,
                (moves OR pauses) AND day > from_day + 4 AND day < to_day - 30 AS is_cut
            FROM moved
        )
        SELECT
            person_year_no, student_no, year_no, CAST(grade AS INTEGER) AS grade,
            CAST({plan.school_years[0]} + year_no AS SMALLINT) AS school_year,
            from_day, to_day, leaves_after, moves,
            CASE WHEN is_cut THEN day END AS cut_day,
            CASE WHEN is_cut THEN day + CASE WHEN moves THEN 0 ELSE 8 + draw('pause', person_year_no) % 15 END END
                AS resume_day,
            CAST((first_point + moves_before * step) % 1000000 AS BIGINT) AS point_a,
            CAST((first_point + (moves_before + CAST(moves AS INTEGER)) * step) % 1000000 AS BIGINT) AS point_b,
            first_point
        FROM counted;
        DROP TABLE seat_year;
    """)


def create_persons(connection: duckdb.DuckDBPyConnection) -> None:
    """Table `person`: what does not change about a student, and the values on the day of arrival."""
    shares = list(zip(rates.RACES, rates.COMPOSITION_AT_START, rates.COMPOSITION_AT_END, strict=True))
    race_cases, start, end = "", 0, 0
    for race, at_start, at_end in shares[:-1]:
        start, end = start + at_start, end + at_end
        race_cases += f" WHEN race_draw * 1000 < {start} * (1000000 - point) + {end} * point THEN '{race}'"
    reported = " ".join(
        f"WHEN race_ethnicity = '{race}' AND reported_draw < {below} THEN '{cell}'"
        for race, cells in rates.RACES_REPORTED.items()
        for cell, below in cells
    )
    connection.execute(f"""
        CREATE TABLE person AS
        WITH arrival AS (
            SELECT student_no, arg_min(grade, year_no) AS grade, any_value(first_point) AS point
            FROM person_year
            GROUP BY student_no
        ), drawn AS (
            SELECT
                *,
                draw('race', student_no) AS race_draw, draw('reported', student_no) AS reported_draw,
                draw('sex', student_no) AS sex_draw, draw('economic', student_no) AS economic_draw,
                draw('language', student_no) AS language_draw, draw('disability', student_no) AS disability_draw,
                CASE {race_cases} ELSE '{rates.RACES[-1]}' END AS race_ethnicity,
                CASE
                    WHEN sex_draw < 487000 THEN 'female' WHEN sex_draw < 990000 THEN 'male'
                    WHEN sex_draw < 995000 THEN 'nonbinary' ELSE 'unknown'
                END AS sex
            FROM arrival
        )
        SELECT
            student_no, race_ethnicity, sex, CASE {reported} END AS races,
            CASE
                WHEN race_ethnicity = 'hispanic' THEN 'Y'
                WHEN race_ethnicity = 'unknown' AND reported_draw < 400000 THEN ''
                ELSE 'N'
            END AS hispanic_latino,
            CASE
                WHEN economic_draw >= 990000 THEN 'unknown'
                WHEN economic_draw < {rates.ECONOMIC_START_PPM} + {rates.ECONOMIC_SLOPE_PPM} * point // 1000000
                    + {by_value("race_ethnicity", rates.ECONOMIC_BY_RACE_PPM, 0)} THEN 'disadvantaged'
                ELSE 'not_disadvantaged'
            END AS economic,
            CASE
                WHEN language_draw * (CASE WHEN grade <= 5 THEN 1 ELSE 2 END)
                    < {by_value("race_ethnicity", rates.ENGLISH_LEARNER_PPM, rates.ENGLISH_LEARNER_OTHER_PPM)}
                    THEN 'english_learner'
                WHEN language_draw >= 995000 THEN 'unknown'
                ELSE 'not_english_learner'
            END AS language,
            CASE
                WHEN disability_draw < {rates.IDEA_PPM} + CASE WHEN sex = 'male' THEN {rates.IDEA_MALE_PPM} ELSE 0 END
                    THEN 'idea'
                WHEN disability_draw >= {1_000_000 - rates.SECTION_504_PPM} THEN 'section_504'
                ELSE 'none'
            END AS disability
        FROM drawn
    """)


def create_spells(connection: duckdb.DuckDBPyConnection, plan: Plan, pools: Set[str]) -> None:
    """Table `spell`: a student's stay at a school within one school year, begun on or before the end.

    `share` is the percent of the day; `last_date` the last day of the stay with data; `days` and `edge_days`
    the session days (and the Mondays and Fridays among them) up to it. pools: kinds of school that there are.
    """
    charter_ppm = rates.CHARTER_PPM if "charter" in pools else 0
    alternative_ppm = rates.ALTERNATIVE_PPM if "alternative" in pools else 0
    placed_ppm = max(30_000, 3_000_000 * 100 // (14 * plan.students))
    half_day_ppm = max(25_000, 3_000_000 * _GRADES // plan.students)
    connection.execute(f"""
        CREATE TABLE part AS
        WITH person_pool AS (
            SELECT
                person_year.*,
                CASE WHEN grade <= 5 THEN 'elementary' WHEN grade <= 8 THEN 'middle' ELSE 'high' END AS level_pool,
                CASE
                    WHEN disability = 'idea' AND draw('placed', person_year_no) < {placed_ppm} THEN 'placement'
                    WHEN grade <= 8 AND draw('charter', student_no) < {charter_ppm} THEN 'charter'
                    WHEN grade >= 9 AND draw('alternative', person_year_no) < {alternative_ppm}
                        THEN 'alternative'
                    ELSE level_pool
                END AS pool,
                pool = level_pool AND grade = 8 AND cut_day IS NULL
                    AND draw('half_day', person_year_no) < {half_day_ppm} AS is_half_day
            FROM person_year JOIN person USING (student_no)
        ), part AS (
            SELECT
                *, pool AS to_pool, point_a AS point, from_day AS first_day, coalesce(cut_day - 1, to_day) AS final_day,
                CASE WHEN pool = 'placement' THEN 'placement' ELSE 'home' END AS enrollment_type
            FROM person_pool
            UNION ALL BY NAME
            SELECT
                *, pool AS to_pool, point_b AS point, resume_day AS first_day, to_day AS final_day,
                CASE WHEN pool = 'placement' THEN 'placement' ELSE 'home' END AS enrollment_type
            FROM person_pool
            WHERE cut_day IS NOT NULL
            UNION ALL BY NAME
            SELECT
                *, 'high' AS to_pool, point_a AS point, from_day AS first_day, to_day AS final_day,
                'concurrent' AS enrollment_type
            FROM person_pool
            WHERE is_half_day
        ), at_school AS (
            SELECT part.*, school.school_no, school.calendar, school.school_type
            FROM part ASOF JOIN school ON part.to_pool = school.pool AND part.point >= school.zone_from
        )
        SELECT at_school.*, zone.school_no AS zone_school_no
        FROM at_school
        ASOF JOIN school AS zone ON at_school.level_pool = zone.pool AND at_school.point >= zone.zone_from;

        -- A move within the zone, or to where there is only one school, interrupts nothing.
        CREATE TABLE whole_year AS
        SELECT person_year_no
        FROM part
        WHERE cut_day IS NOT NULL AND moves
        GROUP BY person_year_no
        HAVING count(DISTINCT school_no) = 1;

        CREATE TABLE spell AS
        WITH kept AS (
            SELECT
                part.* EXCLUDE (final_day),
                CASE WHEN whole_year.person_year_no IS NOT NULL THEN to_day ELSE final_day END AS final_day,
                cut_day IS NOT NULL AND whole_year.person_year_no IS NULL AND first_day = from_day AS is_before_cut
            FROM part LEFT JOIN whole_year USING (person_year_no)
            WHERE whole_year.person_year_no IS NULL OR first_day = from_day
        ), dated AS (
            SELECT kept.*, opening.date AS from_date, closing.date AS to_date
            FROM kept
            JOIN session_day AS opening
                ON kept.school_year = opening.school_year AND kept.calendar = opening.calendar
                AND kept.first_day = opening.day_no
            JOIN session_day AS closing
                ON kept.school_year = closing.school_year AND kept.calendar = closing.calendar
                AND least(kept.final_day, closing.days_in_year) = closing.day_no
            WHERE opening.date <= DATE '{plan.end}'
        ), counted AS (
            SELECT
                dated.*, least(to_date, DATE '{plan.end}') AS last_date, latest.day_no AS last_day,
                latest.day_no - first_day + 1 AS days,
                latest.edge_days - opening.edge_days + CAST(opening.is_edge AS INTEGER) AS edge_days
            FROM dated
            ASOF JOIN session_day AS latest
                ON dated.school_year = latest.school_year AND dated.calendar = latest.calendar
                AND least(dated.to_date, DATE '{plan.end}') >= latest.date
            JOIN session_day AS opening
                ON dated.school_year = opening.school_year AND dated.calendar = opening.calendar
                AND dated.first_day = opening.day_no
        )
        SELECT
            CAST(row_number() OVER (ORDER BY school_year, student_no, from_date, school_no) AS INTEGER) AS spell_no,
            student_no, school_year, school_no, calendar, school_type, person_year_no, grade, level_pool,
            from_date, to_date, last_date, CAST(days AS INTEGER) AS days, CAST(edge_days AS INTEGER) AS edge_days,
            CAST(first_day AS INTEGER) AS first_day, CAST(last_day AS INTEGER) AS last_day,
            enrollment_type, CASE WHEN is_half_day THEN 50 ELSE 100 END AS share,
            CASE WHEN enrollment_type = 'placement' THEN zone_school_no END AS responsible_school_no,
            CASE
                WHEN to_date > DATE '{plan.end}' THEN ''
                WHEN is_before_cut AND moves THEN 'moved within district'
                WHEN is_before_cut THEN 'withdrew'
                WHEN to_day < {_LAST_DAY} OR leaves_after THEN 'left district'
                WHEN grade = {_GRADES - 1} THEN 'graduated'
                ELSE 'end of year'
            END AS exit_type
        FROM counted;
        DROP TABLE part;
        DROP TABLE whole_year;
    """)


def create_demographics(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Table `demographic`: dated spans of what the district knows, from a student's first day on.

    English learners are reclassified, students get a first IEP, meal status is decided anew: each at most
    once for a student, on a weekday between one and six months into a school year.
    """
    connection.execute(f"""
        CREATE TABLE demographic AS
        WITH first_day AS (
            SELECT student_no, min(from_date) AS first_date
            FROM spell
            GROUP BY student_no
        ), possible AS (
            SELECT
                person_year.student_no, language, disability, economic,
                draw('reclassified', person_year_no) < {rates.RECLASSIFIED_PPM} AS is_reclassified,
                draw('new_iep', person_year_no) < {rates.NEW_IEP_PPM} AS is_new_iep,
                draw('meals', person_year_no) < {rates.ECONOMIC_CHANGE_PPM} AS is_economic_change,
                draw('change_week', person_year_no) AS chance,
                make_date(school_year - 1, 9, 1) + CAST(30 + chance % 150 AS INTEGER) AS changed_on
            FROM person_year JOIN person USING (student_no)
        ), change AS (
            SELECT
                student_no, first_date,
                min(changed_on) FILTER (language = 'english_learner' AND is_reclassified) AS reclassified_on,
                min(changed_on + 9) FILTER (disability = 'none' AND is_new_iep) AS new_iep_on,
                min(changed_on + 5) FILTER (economic <> 'unknown' AND is_economic_change) AS economic_on
            FROM first_day JOIN possible USING (student_no)
            WHERE changed_on > first_date
            GROUP BY student_no, first_date
        ), span AS (
            SELECT student_no, first_date AS start_date FROM first_day
            UNION SELECT student_no, reclassified_on FROM change WHERE reclassified_on <= DATE '{plan.end}'
            UNION SELECT student_no, new_iep_on FROM change WHERE new_iep_on <= DATE '{plan.end}'
            UNION SELECT student_no, economic_on FROM change WHERE economic_on <= DATE '{plan.end}'
        )
        SELECT
            student_no, start_date,
            lead(start_date) OVER (PARTITION BY student_no ORDER BY start_date) - 1 AS end_date,
            race_ethnicity, sex,
            CASE
                WHEN economic_on > start_date OR economic_on IS NULL THEN economic
                WHEN economic = 'disadvantaged' THEN 'not_disadvantaged' ELSE 'disadvantaged'
            END AS economic,
            CASE WHEN reclassified_on <= start_date THEN 'not_english_learner' ELSE language END AS language,
            coalesce(reclassified_on <= start_date, false) AS was_english_learner,
            CASE WHEN new_iep_on <= start_date THEN 'idea' ELSE disability END AS disability
        FROM span
        JOIN person USING (student_no)
        LEFT JOIN change USING (student_no)
    """)
