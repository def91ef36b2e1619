"""Incidents, who took part, and what followed; out-of-school suspensions also mark attendance."""

from __future__ import annotations

from pathlib import Path

import duckdb

from pipelines.sample_district import rates
from pipelines.sample_district.plan import sql_path
from pipelines.sample_district.rates import by_value

#: The source's behavior codes. Subjective ones rest on an adult's judgement of conduct.
SUBJECTIVE_BEHAVIORS = ("DEF", "DSR", "DSB", "LNG")
OBJECTIVE_BEHAVIORS = ("FGT", "SKP", "VAP", "THF", "VAN", "DRG", "WPN")
_OBJECTIVE_BELOW_PPM = (300_000, 560_000, 720_000, 820_000, 900_000, 975_000, 1_000_000)
FIGHT = "FGT"

#: Kinds of action as the source codes them; the place in this list ends an action's id.
ACTIONS = ("OSS", "ISS", "DET", "CNF", "EXP", "LEO", "ARR")
_LOCATIONS = ("classroom", "classroom", "hallway", "cafeteria", "playground or field", "bus")
_REPORTERS = ("teacher", "teacher", "administrator", "support staff")


def create_incidents(connection: duckdb.DuckDBPyConnection) -> None:
    """Tables `incident_rate` (a student-year's probabilities, ppm) and `own_incident` (what happened).

    A student-year has 0 to 4 incidents of its own, each after the first with the same chance. An incident
    needs a session day after it within the stay and the data, so that every action begins within both.
    """
    first, more = rates.INCIDENT_MAXIMUM_PPM, rates.NEXT_INCIDENT_PPM
    incidents = str(rates.MAXIMUM_INCIDENTS)
    for slot in range(rates.MAXIMUM_INCIDENTS - 1, 0, -1):
        incidents = f"CASE WHEN draw('incident_{slot}', person_year_no) < {more} THEN {incidents} ELSE {slot} END"
    incidents = f"CASE WHEN draw('incident_0', person_year_no) < incident_ppm THEN {incidents} ELSE 0 END"
    objective = " ".join(
        f"WHEN behavior_draw < {below} THEN '{code}'"
        for code, below in zip(OBJECTIVE_BEHAVIORS, _OBJECTIVE_BELOW_PPM, strict=True)
    )
    connection.execute(f"""
        CREATE TABLE incident_rate AS
        WITH student_year AS (
            SELECT
                person_year_no, student_no, school_year, min(from_date) AS from_date,
                any_value(level_pool) AS level_pool, min(school_type) AS school_type
            FROM spell
            WHERE enrollment_type <> 'concurrent'
            GROUP BY person_year_no, student_no, school_year
        )
        SELECT
            person_year_no, student_year.student_no, school_year, race_ethnicity,
            least({first},
                {by_value("level_pool", rates.INCIDENT_BY_LEVEL_PPM, 0)}
                * {by_value("race_ethnicity", rates.INCIDENT_BY_RACE_PERCENT, 100)} // 100
                * {by_value("sex", rates.INCIDENT_BY_SEX_PERCENT, 100)} // 100
                * {by_value("economic", rates.INCIDENT_BY_ECONOMIC_PERCENT, 100)} // 100
                * {by_value("disability", rates.INCIDENT_BY_DISABILITY_PERCENT, 100)} // 100
                * {by_value("school_type", rates.INCIDENT_BY_SCHOOL_TYPE_PERCENT, 100)} // 100) AS incident_ppm,
            CAST({by_value("race_ethnicity", rates.SUSPENDED_BY_RACE_PPM, rates.SUSPENDED_OTHER_PPM)} AS BIGINT)
                AS suspended_ppm,
            {by_value("race_ethnicity", rates.SUBJECTIVE_BY_RACE_PPM, rates.SUBJECTIVE_OTHER_PPM)} AS subjective_ppm
        FROM student_year
        ASOF JOIN demographic
            ON student_year.student_no = demographic.student_no AND student_year.from_date >= demographic.start_date;

        CREATE TABLE own_incident AS
        WITH slot AS (
            SELECT
                person_year_no, student_no, suspended_ppm, subjective_ppm,
                unnest(range({incidents})) + person_year_no * {rates.MAXIMUM_INCIDENTS} AS slot_no
            FROM incident_rate
        ), dated AS (
            SELECT
                slot.*, spell_no, school_no, spell.school_year, date, day_no,
                draw('subjective', slot_no) AS subjective_draw, draw('behavior', slot_no) AS behavior_draw,
                draw('consequence', slot_no) AS consequence_draw, draw('detail', slot_no) AS detail_draw
            FROM slot
            JOIN spell USING (person_year_no)
            JOIN session_day ON spell.school_year = session_day.school_year AND spell.calendar = session_day.calendar
                AND day_no = 3 + draw('incident_day', slot_no) % 170
            WHERE enrollment_type <> 'concurrent' AND day_no >= first_day AND day_no < last_day
        )
        SELECT
            slot_no AS incident_no, dated.* EXCLUDE (slot_no),
            CASE
                WHEN detail_draw < 8000 THEN ''
                WHEN subjective_draw < subjective_ppm
                    THEN {list(SUBJECTIVE_BEHAVIORS)}[1 + behavior_draw % {len(SUBJECTIVE_BEHAVIORS)}]
                ELSE CASE {objective} END
            END AS behavior,
            CASE
                WHEN consequence_draw < suspended_ppm THEN 'OSS' WHEN consequence_draw < 800000 THEN 'ISS'
                WHEN consequence_draw < 930000 THEN 'DET' ELSE 'CNF'
            END AS action,
            [1, 1, 1, 2, 2, 3, 3, 3, 5, 10][1 + detail_draw % 10] AS days_planned
        FROM dated
    """)


def create_suspension_days(connection: duckdb.DuckDBPyConnection) -> None:
    """Tables `suspension_day` (a student's session days out) and `action` (one row a consequence).

    A suspension begins on the next session day. `days_actual` is what was served before the student left
    or the year ended, and empty while it still runs at the end of the data.
    """
    connection.execute("""
        CREATE TABLE suspension AS
        SELECT
            incident_no, spell_no, student_no, own.school_no, own.school_year, days_planned,
            day.date, own.day_no + 1 AS first_out,
            least(own.day_no + days_planned, last_day) - own.day_no AS served,
            own.day_no + days_planned > last_day AND to_date > last_date AS is_running
        FROM own_incident AS own
        JOIN spell USING (spell_no, student_no)
        JOIN session_day AS day
            ON spell.school_year = day.school_year AND spell.calendar = day.calendar AND day.day_no = own.day_no + 1
        WHERE action = 'OSS';

        CREATE TABLE suspension_day AS
        SELECT DISTINCT spell_no, day.date
        FROM suspension
        JOIN spell USING (spell_no)
        JOIN session_day AS day
            ON spell.school_year = day.school_year AND spell.calendar = day.calendar
            AND day.day_no BETWEEN first_out AND first_out + served - 1;

        CREATE TABLE action AS
        SELECT incident_no, student_no, school_no, date, 'OSS' AS action, days_planned,
            CASE WHEN NOT is_running THEN served END AS days_actual
        FROM suspension
        UNION ALL
        SELECT incident_no, student_no, school_no, date, action,
            CASE WHEN action = 'ISS' THEN 1 END, CASE WHEN action = 'ISS' THEN 1 END
        FROM own_incident
        WHERE action <> 'OSS'
        UNION ALL
        SELECT incident_no, student_no, school_no, date, 'LEO', NULL, NULL
        FROM own_incident
        WHERE behavior IN ('DRG', 'WPN') AND detail_draw % 100 < 22
        UNION ALL
        SELECT incident_no, student_no, school_no, date, 'ARR', NULL, NULL
        FROM own_incident
        WHERE behavior IN ('DRG', 'WPN') AND detail_draw % 100 < 5
        UNION ALL
        SELECT incident_no, student_no, school_no, date, 'EXP', NULL, NULL
        FROM own_incident
        WHERE behavior = 'WPN' AND detail_draw % 100 >= 90;
    """)


def create_participants(connection: duckdb.DuckDBPyConnection) -> None:
    """Table `participant`: the student whose incident it was, and at times another student of the school.

    The other student is drawn from those there on the first day of the year. In a fight they are a perpetrator
    too and get in-school suspension, so that the planted probability of out-of-school suspension stays
    that of a student's own incidents.
    """
    connection.execute(f"""
        CREATE TABLE participant AS
        WITH ranked AS (
            SELECT
                school_no, school_year, student_no, from_date, last_date,
                row_number() OVER school_students AS place,
                count(*) OVER (PARTITION BY school_no, school_year) AS places
            FROM spell
            WHERE enrollment_type <> 'concurrent' AND first_day = 1
            WINDOW school_students AS (PARTITION BY school_no, school_year ORDER BY student_no, from_date)
        ), size AS (
            SELECT DISTINCT school_no, school_year, places FROM ranked
        ), other AS (
            SELECT
                own.*, 1 + draw('other_student', incident_no) % places AS place,
                draw('part', incident_no) AS part_draw
            FROM own_incident AS own JOIN size USING (school_no, school_year)
            WHERE behavior = '{FIGHT}' OR draw('another', incident_no) < 180000
        )
        SELECT incident_no, school_no, student_no, behavior, 'Perpetrator' AS participation
        FROM own_incident
        UNION ALL
        SELECT
            incident_no, school_no, ranked.student_no,
            CASE WHEN other.behavior = '{FIGHT}' THEN other.behavior ELSE '' END,
            CASE
                WHEN other.behavior = '{FIGHT}' THEN 'Perpetrator' WHEN part_draw < 550000 THEN 'Victim'
                WHEN part_draw < 850000 THEN 'Witness' ELSE 'Reporter'
            END
        FROM other
        JOIN ranked USING (school_no, school_year, place)
        WHERE other.date BETWEEN ranked.from_date AND ranked.last_date AND other.student_no <> ranked.student_no;

        INSERT INTO action
        SELECT incident_no, participant.student_no, own.school_no, own.date, 'ISS', 1, 1
        FROM participant JOIN own_incident AS own USING (incident_no)
        WHERE participation = 'Perpetrator' AND participant.student_no <> own.student_no;
    """)


def write(connection: duckdb.DuckDBPyConnection, folder: Path, silent_where: str = "false") -> None:
    """The three discipline extracts. silent_where: SQL over school_no and school_year; such incidents are not sent."""
    connection.execute(f"""
        CREATE VIEW sent_incident AS
        FROM own_incident
        WHERE NOT ({silent_where});

        COPY (
            SELECT
                incident_id(incident_no) AS incident_id, school_id(school_no) AS school_id, date,
                lpad(CAST(8 + detail_draw // 7 % 7 AS VARCHAR), 2, '0') || ':'
                    || lpad(CAST(detail_draw // 53 % 60 AS VARCHAR), 2, '0') AS time,
                nullif(behavior, '') AS behavior,
                {list(_LOCATIONS)}[1 + detail_draw // 11 % {len(_LOCATIONS)}] AS location,
                CASE location
                    WHEN 'bus' THEN 'bus driver' ELSE {list(_REPORTERS)}[1 + detail_draw // 13 % {len(_REPORTERS)}]
                END AS reporter_role
            FROM sent_incident
            ORDER BY date, incident_no
        ) TO {sql_path(folder / "discipline_incidents.csv")} (FORMAT csv, HEADER);

        COPY (
            SELECT
                incident_id(incident_no) AS incident_id, school_id(participant.school_no) AS school_id,
                student_id(participant.student_no) AS student_id, participation,
                nullif(participant.behavior, '') AS behavior
            FROM participant JOIN sent_incident USING (incident_no)
            ORDER BY date, incident_no, participant.student_no
        ) TO {sql_path(folder / "discipline_students.csv")} (FORMAT csv, HEADER);

        COPY (
            SELECT
                'A' || incident_id(incident_no) || '-' || list_position({list(ACTIONS)}, action) AS action_id,
                incident_id(incident_no) AS incident_id,
                student_id(action.student_no) AS student_id, school_id(action.school_no) AS school_id, action.date,
                action, days_planned, days_actual
            FROM action SEMI JOIN sent_incident USING (incident_no)
            ORDER BY date, incident_no, action.student_no, action
        ) TO {sql_path(folder / "discipline_actions.csv")} (FORMAT csv, HEADER);
    """)
