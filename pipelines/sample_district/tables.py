"""Small Python lists into DuckDB tables: schools and calendars, a few thousand rows at most."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from pipelines.sample_district import calendars
from pipelines.sample_district.plan import Plan, draw
from pipelines.sample_district.schools import School


def _load(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[tuple[str, str]],
    rows: Sequence[Sequence[object]],
) -> None:
    """Make `table` from rows of Python values, one list for each column."""
    unnested = ", ".join(
        f"unnest(CAST(${number} AS {kind}[])) AS {name}" for number, (name, kind) in enumerate(columns, start=1)
    )
    connection.execute(
        f"CREATE TABLE {table} AS SELECT {unnested}", [[row[i] for row in rows] for i in range(len(columns))]
    )


def load_schools(connection: duckdb.DuckDBPyConnection, schools: Sequence[School]) -> None:
    """Table `school`, one row a school, keyed by school_no."""
    _load(
        connection,
        "school",
        (
            ("school_no", "SMALLINT"),
            ("school_name", "VARCHAR"),
            ("pool", "VARCHAR"),
            ("level", "VARCHAR"),
            ("school_type", "VARCHAR"),
            ("is_charter", "BOOLEAN"),
            ("operated_by_district", "BOOLEAN"),
            ("opened", "DATE"),
            ("calendar", "VARCHAR"),
            ("every_day", "BOOLEAN"),
            ("zone_from", "BIGINT"),
        ),
        [
            (
                school.number,
                school.name,
                school.pool,
                school.level,
                school.school_type,
                school.is_charter,
                school.operated_by_district,
                school.opened,
                school.calendar,
                school.every_day,
                school.zone_from,
            )
            for school in schools
        ],
    )


def load_calendars(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Tables `calendar_day` (every weekday) and `session_day` (day_no, running counts, the day's draw factor).

    `is_edge` marks Mondays and Fridays, on which more students are absent.
    """
    weather = {
        year: sorted({draw(plan.seed, f"weather_{year}", i) % 45 for i in range(2)}) for year in plan.school_years
    }
    _load(
        connection,
        "calendar_day",
        (
            ("school_year", "SMALLINT"),
            ("calendar", "VARCHAR"),
            ("date", "DATE"),
            ("calendar_event", "VARCHAR"),
            ("minutes", "INTEGER"),
            ("day_no", "SMALLINT"),
        ),
        [
            (day.school_year, day.calendar, day.day, day.event, day.minutes, day.day_no)
            for day in calendars.build(plan.school_years, plan.end, weather)
        ],
    )
    connection.execute("""
        CREATE TABLE session_day AS
        SELECT
            school_year, calendar, date, day_no,
            isodow(date) IN (1, 5) AS is_edge,
            CAST(count(*) FILTER (isodow(date) IN (1, 5)) OVER running AS INTEGER) AS edge_days,
            max(day_no) OVER (PARTITION BY school_year, calendar) AS days_in_year,
            long_draw('day', CAST(date AS VARCHAR)) AS factor
        FROM calendar_day
        WHERE day_no IS NOT NULL
        WINDOW running AS (PARTITION BY school_year, calendar ORDER BY day_no)
    """)
