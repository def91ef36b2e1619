"""The night's own warehouse file: prepared for dbt, named by its load when the night is through.

`warehouse/building.duckdb` is made anew every night. Before any model runs it holds

* schema `raw`: one view an entity over the Parquet files of landing whose rows may speak,
* schema `control`: one small table for each thing that the models must know (as-of date, thresholds,
  deliveries, crosswalks, configured session days). Settings are rows, not dbt variables, so that dbt
  need not parse its project again when one changes.

Nobody reads this file but the night. An unfinished one is deleted by the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from pipelines.changes import WATCHED, ChangeFile, content_columns, key_columns
from pipelines.config import WEEKDAYS, CalendarYear, DistrictFile, closure_span
from pipelines.contract import ENTITIES, Entity, raw_name
from pipelines.crosswalks import Crosswalks
from pipelines.home import Home
from pipelines.landing import Landing, LiveFile
from pipelines.sources import NAME_THEIR_RECORDS

BUILDING = "building.duckdb"
#: School years for which `control.school_year` holds first and last day.
_YEARS = range(1990, 2101)
_KEPT_WAREHOUSES = 2


def building_path(home: Home) -> Path:
    return home.warehouse / BUILDING


def connect(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Open a warehouse file with the night's settings: no downloads, UTC, deterministic sums."""
    return duckdb.connect(
        str(path),
        read_only=read_only,
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "threads": "2",
            "memory_limit": "4GB",
        },
    )


def prepare(
    home: Home, district: DistrictFile, landing: Landing, crosswalks: Crosswalks, *, load_id: str, as_of: date
) -> Path:
    """Make `building.duckdb` with its `raw` views and `control` tables; the path comes back."""
    path = building_path(home)
    for leftover in home.warehouse.glob(f"{BUILDING}*"):
        leftover.unlink()
    with connect(path) as con:
        con.execute("create schema raw; create schema control; create schema gate")
        files = _numbered(landing.files)
        _raw_views(con, district, files)
        _run_context(con, district, load_id, as_of)
        _live_files(con, district, files)
        _changes(con, district, landing.changes)
        _accounts(con, landing.files, files)
        _source_states(con, district, landing, as_of)
        _refused_rows(con, landing.files)
        _crosswalk(con, crosswalks)
        _session_days(con, district)
        _school_years(con, district.settings.district.school_year_start)
        _table(
            con,
            "control.intersection",
            {"category_a": "VARCHAR", "category_b": "VARCHAR"},
            [tuple(sorted(pair)) for pair in district.settings.student_groups.intersections],
        )
        _gate_verdict(con)
    return path


def promote(home: Home, load_id: str) -> Path:
    """The night is through: give the warehouse file its load's name and drop the oldest ones."""
    path = home.warehouse / f"{load_id}.duckdb"
    building_path(home).replace(path)
    finished = sorted(
        (file for file in home.warehouse.glob("*.duckdb") if file.name != BUILDING),
        key=lambda file: file.stat().st_mtime_ns,
        reverse=True,
    )
    for old in finished[_KEPT_WAREHOUSES:]:
        old.unlink()
    return path


def _table(con: duckdb.DuckDBPyConnection, name: str, columns: dict[str, str], rows: Iterable[Sequence[Any]]) -> None:
    """Create a small table from Python rows."""
    con.execute(f"create table {name} ({', '.join(f'{column} {kind}' for column, kind in columns.items())})")
    values = list(rows)
    if values:
        con.executemany(f"insert into {name} values ({', '.join('?' for _ in columns)})", values)


@dataclass(frozen=True)
class _NumberedFile:
    number: int
    file: LiveFile


def _numbered(files: Sequence[LiveFile]) -> list[_NumberedFile]:
    """Live files, once each, numbered in a fixed order. Of one file in several deliveries, the newest counts."""
    newest: dict[tuple[str, str, str], LiveFile] = {}
    for file in files:
        key = (file.source_id, file.entity, file.file_id)
        if file.is_live and (key not in newest or newest[key].delivery_no < file.delivery_no):
            newest[key] = file
    ordered = sorted(newest.values(), key=lambda f: (f.source_id, f.entity, f.delivery_no, f.file_name, f.file_id))
    return [_NumberedFile(number, file) for number, file in enumerate(ordered, start=1)]


def _raw_columns(entity: Entity) -> dict[str, str]:
    return {raw_name(column): "BIGINT" if column.type == "key" else "VARCHAR" for column in entity.columns}


def _raw_views(con: duckdb.DuckDBPyConnection, district: DistrictFile, files: Sequence[_NumberedFile]) -> None:
    sources = district.settings.sources
    no_record = "null::bigint as record_key, false as is_deleted"
    record = {
        name: "record_key, is_deleted" if source.kind in NAME_THEIR_RECORDS else no_record
        for name, source in sources.items()
    }
    for entity in ENTITIES.values():
        columns = _raw_columns(entity)
        names = ", ".join(columns)
        parts = [
            f"select {names}, student_system, {record[numbered.file.source_id]}, line, "
            f"{numbered.number}::integer as file_no "
            f"from read_parquet({_literal(str(numbered.file.raw_path))})"
            for numbered in files
            if numbered.file.entity == entity.name
        ]
        if not parts:
            typed = ", ".join(f"null::{kind} as {name}" for name, kind in columns.items())
            parts = [
                f"select {typed}, null::varchar as student_system, {no_record}, null::bigint as line, "
                "null::integer as file_no "
                "where false"
            ]
        con.execute(f"create view raw.{entity.name} as {' union all '.join(parts)}")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _run_context(con: duckdb.DuckDBPyConnection, district: DistrictFile, load_id: str, as_of: date) -> None:
    settings = district.settings
    month, day = map(int, settings.district.school_year_start.split("-"))
    start_this_year = date(as_of.year, month, day)
    if start_this_year > as_of:
        start_this_year = date(as_of.year - 1, month, day)
    settle_days = max(
        (source.settle_days for source in settings.sources.values() if source.attendance_records), default=0
    )
    thresholds = settings.thresholds
    values: dict[str, tuple[str, Any]] = {
        "load_id": ("VARCHAR", load_id),
        "as_of": ("DATE", as_of),
        "district_id": ("VARCHAR", settings.district.id),
        "district_name": ("VARCHAR", settings.district.name),
        "state_district_id": ("VARCHAR", settings.district.state_id or settings.district.id),
        "student_system": ("VARCHAR", settings.district.student_system),
        "school_year_start": ("INTEGER", month * 100 + day),
        "school_year_starts_on": ("DATE", start_this_year),
        "attendance_settled_on": ("DATE", as_of - timedelta(days=settle_days)),
        "chronic_absence_percent": ("INTEGER", thresholds.chronic_absence_percent),
        "chronic_absence_minimum_days": ("INTEGER", thresholds.chronic_absence_minimum_days),
        "recorded_days_percent": ("INTEGER", thresholds.recorded_days_percent),
        "school_recorded_percent": ("INTEGER", thresholds.school_recorded_percent),
        "judgement_minimum_students": ("INTEGER", thresholds.judgement_minimum_students),
        "unmapped_discipline_codes_percent": ("INTEGER", thresholds.unmapped_discipline_codes_percent),
        "unmapped_attendance_codes_percent": ("INTEGER", thresholds.unmapped_attendance_codes_percent),
    }
    _table(
        con,
        "control.run_context",
        {name: kind for name, (kind, _) in values.items()},
        [[value for _, value in values.values()]],
    )


def _live_files(con: duckdb.DuckDBPyConnection, district: DistrictFile, files: Sequence[_NumberedFile]) -> None:
    newest: dict[str, int] = {}
    for numbered in files:
        source = numbered.file.source_id
        newest[source] = max(newest.get(source, 0), numbered.file.delivery_no)
    sources = district.settings.sources
    _table(
        con,
        "control.live_file",
        {
            "file_no": "INTEGER",
            "source_id": "VARCHAR",
            "entity": "VARCHAR",
            "file_id": "VARCHAR",
            "file_name": "VARCHAR",
            "delivery_no": "INTEGER",
            "newest_delivery_no": "INTEGER",
            "delivered_on": "DATE",
            "missing_rows": "VARCHAR",
            "window_lo": "DATE",
            "window_hi": "DATE",
            "attendance_records": "VARCHAR",
        },
        [
            (
                numbered.number,
                file.source_id,
                file.entity,
                file.file_id,
                file.file_name,
                file.delivery_no,
                newest[file.source_id],
                file.delivered_on,
                file.missing_rows,
                file.window_lo,
                file.window_hi,
                sources[file.source_id].attendance_records,
            )
            for numbered in files
            for file in [numbered.file]
        ],
    )


def _changes(con: duckdb.DuckDBPyConnection, district: DistrictFile, changes: Sequence[ChangeFile]) -> None:
    """One view an entity over what deliveries changed of it, and the deliveries. line: the row within its file."""
    numbered = list(enumerate(changes, start=1))
    for entity in WATCHED:
        kinds = _raw_columns(ENTITIES[entity])
        columns = {
            **{name: kinds[name] for name in key_columns(entity)},
            "student_system": "VARCHAR",
            **{f"{side}_{name}": kinds[name] for side in ("was", "is") for name in content_columns(entity)},
            "change": "VARCHAR",
        }
        names = ", ".join(columns)
        parts = [
            f"select {names}, file_row_number + 1 as line, {number}::integer as change_no "
            f"from read_parquet({_literal(str(change.path))}, file_row_number = true)"
            for number, change in numbered
            if change.entity == entity
        ]
        if not parts:
            typed = ", ".join(f"null::{kind} as {name}" for name, kind in columns.items())
            parts = [f"select {typed}, null::bigint as line, null::integer as change_no where false"]
        con.execute(f"create view raw.{entity}_change as {' union all '.join(parts)}")
    _table(
        con,
        "control.change_file",
        {
            "change_no": "INTEGER",
            "source_id": "VARCHAR",
            "entity": "VARCHAR",
            "delivery_order": "INTEGER",
            "delivered_on": "DATE",
            "attendance_records": "VARCHAR",
        },
        [
            (
                number,
                change.source_id,
                change.entity,
                change.order,
                change.delivered_on,
                district.settings.sources[change.source_id].attendance_records,
            )
            for number, change in numbered
        ],
    )


def _accounts(con: duckdb.DuckDBPyConnection, files: Sequence[LiveFile], numbered: Sequence[_NumberedFile]) -> None:
    number_of = {id(item.file): item.number for item in numbered}
    _table(
        con,
        "control.file_account",
        {
            "file_no": "INTEGER",
            "source_id": "VARCHAR",
            "entity": "VARCHAR",
            "file_id": "VARCHAR",
            "file_name": "VARCHAR",
            "delivery_no": "INTEGER",
            "delivered_on": "DATE",
            "is_live": "BOOLEAN",
            "rows_read": "BIGINT",
            "rows_accepted": "BIGINT",
            "rows_refused": "BIGINT",
            "rows_filtered": "BIGINT",
            "rows_collapsed": "BIGINT",
        },
        [
            (
                number_of.get(id(file)),
                file.source_id,
                file.entity,
                file.file_id,
                file.file_name,
                file.delivery_no,
                file.delivered_on,
                id(file) in number_of,
                file.rows_read,
                file.rows_accepted,
                file.rows_refused,
                file.rows_filtered,
                file.rows_collapsed,
            )
            for file in files
        ],
    )


def _source_states(con: duckdb.DuckDBPyConnection, district: DistrictFile, landing: Landing, as_of: date) -> None:
    _table(
        con,
        "control.source_state",
        {
            "source_id": "VARCHAR",
            "is_required": "BOOLEAN",
            "expected": "VARCHAR",
            "settle_days": "INTEGER",
            "arrival": "VARCHAR",
            "is_received": "BOOLEAN",
            "last_received": "DATE",
        },
        [
            (
                state.source_id,
                source.required,
                source.expected,
                source.settle_days,
                state.status,
                state.status in ("new", "unchanged"),
                as_of if state.status in ("new", "unchanged") else state.last_received,
            )
            for state in landing.sources
            for source in [district.settings.sources[state.source_id]]
        ],
    )


def _refused_rows(con: duckdb.DuckDBPyConnection, files: Sequence[LiveFile]) -> None:
    """Refused rows of live files, without their text: that stays in landing/."""
    paths = sorted({str(file.refused_path) for file in files if file.is_live and file.rows_refused})
    columns = "source_id, entity, file_id, line, column_name, reason, remedy, refused_value"
    if paths:
        listed = ", ".join(_literal(path) for path in paths)
        con.execute(f"create table control.refused_row as select {columns} from read_parquet([{listed}])")
    else:
        con.execute(
            "create table control.refused_row (source_id varchar, entity varchar, file_id varchar, line bigint, "
            "column_name varchar, reason varchar, remedy varchar, refused_value varchar)"
        )


def _crosswalk(con: duckdb.DuckDBPyConnection, crosswalks: Crosswalks) -> None:
    arrow = crosswalks.as_arrow()
    con.register("crosswalk_rows", arrow)
    con.execute("create table control.crosswalk as select * from crosswalk_rows")
    con.unregister("crosswalk_rows")


def _days_of(spans: Sequence[date | str]) -> set[date]:
    return {
        first + timedelta(days=n) for first, last in map(closure_span, spans) for n in range((last - first).days + 1)
    }


def session_days(rule: CalendarYear) -> list[date]:
    """The days on which school is in session under one `calendar:` rule, in order."""
    closed = _days_of(rule.closures)
    weekdays = {WEEKDAYS.index(day) for day in rule.weekdays}
    span = (rule.first_day + timedelta(days=n) for n in range((rule.last_day - rule.first_day).days + 1))
    return [day for day in span if day.weekday() in weekdays and day not in closed]


def _calendar_dates(rule: CalendarYear, start: str) -> Iterator[tuple[date, str, Decimal | None, int | None]]:
    """Date, event, share of a full session day and minutes, for the days that one `calendar:` rule speaks of.

    A rule for some grades names every day of its school year: on days that a grade's rows leave out, the grade
    follows its school.
    """
    session, half = set(session_days(rule)), _days_of(rule.half_days)
    first, last = _school_year(rule.school_year, start)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)] if rule.grades else sorted(session)
    for day in days:
        if day not in session:
            yield day, "not_in_session", None, None
        elif day in half:
            yield day, "session", Decimal("0.5"), rule.minutes // 2 if rule.minutes else None
        else:
            yield day, "session", Decimal(1), rule.minutes


def _session_days(con: duckdb.DuckDBPyConnection, district: DistrictFile) -> None:
    rules = list(enumerate(district.settings.calendar))
    start = district.settings.district.school_year_start
    # Whom a rule is for and its days are joined in the engine: there may be hundreds of schools.
    _table(
        con,
        "control.calendar_scope",
        {"rule": "INTEGER", "school_id": "VARCHAR", "calendar_id": "VARCHAR", "grade": "VARCHAR"},
        [
            (number, school, rule.calendar_id or "", grade)
            for number, rule in rules
            for school in rule.schools
            for grade in (*rule.grades,) or ("",)
        ],
    )
    _table(
        con,
        "control.calendar_day",
        {
            "rule": "INTEGER",
            "date": "DATE",
            "calendar_event": "VARCHAR",
            "share_of_day": "DECIMAL(9, 4)",
            "minutes": "INTEGER",
        },
        [(number, *row) for number, rule in rules for row in _calendar_dates(rule, start)],
    )
    con.execute(
        "create table control.configured_calendar_date as "
        "select * exclude (rule) from control.calendar_scope join control.calendar_day using (rule); "
        "drop table control.calendar_scope; drop table control.calendar_day"
    )
    _table(
        con,
        "control.configured_period",
        {
            "school_id": "VARCHAR",
            "calendar_id": "VARCHAR",
            "start_date": "DATE",
            "end_date": "DATE",
            "period": "VARCHAR",
            "minutes": "INTEGER",
        },
        [
            (school, rule.calendar_id or "", rule.first_day, rule.last_day, period, minutes)
            for _, rule in rules
            for school in rule.schools
            for period, minutes in rule.periods.items()
        ],
    )


def _school_year(year: int, start: str) -> tuple[date, date]:
    """First and last day of the school year that ends in `year`; one that begins on January 1 ends with its own."""
    month, day = map(int, start.split("-"))
    first = year if (month, day) == (1, 1) else year - 1
    return date(first, month, day), date(first + 1, month, day) - timedelta(days=1)


def _school_years(con: duckdb.DuckDBPyConnection, start: str) -> None:
    rows = [(year, *_school_year(year, start)) for year in _YEARS]
    _table(con, "control.school_year", {"school_year": "BIGINT", "starts_on": "DATE", "ends_on": "DATE"}, rows)


#: The columns of gate_verdict: one row a passing check, one row for each failing key.
GATE_VERDICT = {
    "load_id": "VARCHAR",
    "gate": "BIGINT",
    "check_id": "VARCHAR",
    "severity": "VARCHAR",
    "scope": "VARCHAR",
    "outcome": "VARCHAR",
    "source_id": "VARCHAR",
    "organization_id": "VARCHAR",
    "school_year": "BIGINT",
    "period_start": "DATE",
    "student_group_id": "VARCHAR",
    "domain": "VARCHAR",
    "observed": "DOUBLE",
    "expected": "DOUBLE",
    "students": "BIGINT",
    "students_rest": "BIGINT",
}


def _gate_verdict(con: duckdb.DuckDBPyConnection) -> None:
    _table(con, "gate.gate_verdict", GATE_VERDICT, [])
