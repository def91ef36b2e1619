"""Which codes stand in landed rows, what each means where it stands, and since when.

What a code means depends on the school, calendar and school year of its row (`crosswalks.SCOPES`); so a code
that is mapped for one school only is reported as mapped there and as unmapped in the others. The rules are those
of the staging models, and a property test holds both to one reference.

Codes that no crosswalk row knows are listed only while they look like a code list: names mapped to a code column
by mistake must not end up on a screen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from pipelines.contract import ENTITIES, Column, raw_name
from pipelines.crosswalks import Crosswalks

#: More different unmapped codes than this in one column are no code list.
MOST_CODES = 60
#: So are more than this that hardly ever repeat: fewer than two rows a code.
MOST_RARE_CODES = 10
UNMAPPED = "unmapped"

#: The day that decides in which year's codes an entity's rows are, where it is not the entity's own date column
#: alone. `delivered_on` is the day of the check.
_CODED_ON = {
    "student_demographic": "coalesce(try_cast(r.start_date as date), delivered_on)",
    "survey_response": "coalesce(try_cast(r.submitted as date), survey.coded_on)",
    "discipline_incident_student": "coalesce(own.coded_on, numbered_once.coded_on)",
}
_CODED_AT = {"discipline_incident_student": "coalesce(nullif(r.school_id, ''), numbered_once.school_id)"}
#: What an entity without a day or a school of its own takes them from.
_ENTITIES_ASKED = {"survey_response": "survey", "discipline_incident_student": "discipline_incident"}
_JOINS = {
    "survey_response": (
        " left join (select survey_id, min(try_cast(opened as date)) as coded_on from {asked} group by survey_id)"
        " as survey on r.survey_id = survey.survey_id"
    ),
    "discipline_incident_student": (
        " left join (select incident_key, school_id, min(try_cast(date as date)) as coded_on from {asked}"
        " group by incident_key, school_id) as own on r.incident_key = own.incident_key and r.school_id = own.school_id"
        " left join (select incident_key, min(school_id) as school_id, min(try_cast(date as date)) as coded_on"
        " from {asked} group by incident_key having count(distinct school_id) = 1) as numbered_once"
        " on r.incident_key = numbered_once.incident_key"
    ),
}


@dataclass(frozen=True)
class CodeUse:
    """One code of a column with one of its meanings.

    code: '' for the empty cell; None for all unmapped codes together, where they are no code list.
    meaning: a value of the crosswalk, `unknown` for an empty cell that nothing maps, or `unmapped`.
    schools: how many schools sent it, 0 where the rows carry none; school_ids names them while they are few.
    first_seen, last_seen: of the entity's date column; None without one, or where no cell of it is a date.
    first_line: the first line of any file in which it stands.
    """

    column: str
    crosswalk: str
    code: str | None
    meaning: str
    rows: int
    schools: int
    school_ids: tuple[str, ...]
    first_seen: date | None
    last_seen: date | None
    first_line: int


def codes_used(
    con: duckdb.DuckDBPyConnection,
    codes: Crosswalks,
    entity: str,
    raw_paths: Mapping[str, Sequence[Path]],
    delivered_on: date,
    school_year_start: int,
) -> list[CodeUse]:
    """Every code of an entity's rows by column; unmapped ones first, then by rows.

    raw_paths: the raw files of each entity; rows of incidents and surveys lend their day to those that have none.
    delivered_on: the day that stands for a value without a date. school_year_start: month * 100 + day.
    """
    if not raw_paths.get(entity):
        return []
    con.register("crosswalk_row", codes.as_arrow())
    try:
        found = []
        for column in ENTITIES[entity].columns:
            if column.type == "code":
                found += _column(con, entity, column, raw_paths, delivered_on, school_year_start)
        return found
    finally:
        con.unregister("crosswalk_row")


def _column(
    con: duckdb.DuckDBPyConnection,
    entity: str,
    column: Column,
    raw_paths: Mapping[str, Sequence[Path]],
    delivered_on: date,
    school_year_start: int,
) -> list[CodeUse]:
    names = {raw_name(one) for one in ENTITIES[entity].columns}
    school = _CODED_AT.get(entity, "r.school_id" if "school_id" in names else "''")
    calendar = "r.calendar_id" if "calendar_id" in names else "''"
    day_column = ENTITIES[entity].date_column
    own_day = f"try_cast(r.{day_column} as date)" if day_column else "null::date"
    coded_on = _CODED_ON.get(entity, own_day)
    cell = f"unnest(string_split(r.{column.name}, '|'))" if column.many else f"r.{column.name}"
    asked = _ENTITIES_ASKED.get(entity)
    join = _JOINS.get(entity, "").format(asked=_rows(asked, raw_paths.get(asked, ()))) if asked else ""
    rows = con.execute(
        f"""
        with cell as (
            select lower(trim({cell})) as code, coalesce({school}, '') as school_id,
                coalesce({calendar}, '') as calendar_id, {coded_on} as coded_on, {own_day} as day, r.line
            from (select *, $delivered_on::date as delivered_on from {_rows(entity, raw_paths[entity])}) as r{join}
            where r.{column.name} is not null
        ),
        used as (
            select code, school_id, calendar_id,
                coalesce(
                    year(coded_on)
                    + case when $start > 101 and month(coded_on) * 100 + day(coded_on) >= $start then 1 else 0 end, 0
                ) as school_year,
                count(*) as rows, min(day) as first_seen, max(day) as last_seen, min(line) as first_line
            from cell
            group by all
        ),
        placed as (
            select u.code, u.school_id, any_value(u.rows) as rows, any_value(u.first_seen) as first_seen,
                any_value(u.last_seen) as last_seen, any_value(u.first_line) as first_line,
                coalesce(
                    arg_max(x.value, x.specificity), case when u.code = '' then 'unknown' else '{UNMAPPED}' end
                ) as meaning
            from used as u
            left join (select * from crosswalk_row where crosswalk = $crosswalk) as x
                on x.code = u.code
                and x.school_id in ('all', u.school_id)
                and x.calendar_id in ('all', u.calendar_id)
                and x.school_year in (0, u.school_year)
            group by u.code, u.school_id, u.calendar_id, u.school_year
        )
        select code, meaning, sum(rows)::bigint, count(distinct nullif(school_id, '')),
            list_sort(list(distinct school_id) filter (where school_id <> ''))[:4],
            min(first_seen), max(last_seen), min(first_line)
        from placed
        group by code, meaning
        order by meaning <> '{UNMAPPED}', sum(rows) desc, code, meaning
        """,
        {"delivered_on": delivered_on, "start": school_year_start, "crosswalk": column.crosswalk},
    ).fetchall()
    uses = [
        CodeUse(column.name, str(column.crosswalk), code, meaning, count, schools, tuple(ids or ()), first, last, line)
        for code, meaning, count, schools, ids, first, last, line in rows
    ]
    unmapped = [use for use in uses if use.meaning == UNMAPPED]
    if not is_code_list(len(unmapped), sum(use.rows for use in unmapped)):
        return [_together(unmapped), *uses[len(unmapped) :]]
    return uses


def is_code_list(different: int, rows: int) -> bool:
    """Whether so many different values in so many rows may be shown as codes."""
    return different <= MOST_RARE_CODES or (different <= MOST_CODES and rows >= 2 * different)


def _together(unmapped: Sequence[CodeUse]) -> CodeUse:
    """One line for values that are no code list: how many, and where, without any of them."""
    firsts = [use.first_seen for use in unmapped if use.first_seen is not None]
    lasts = [use.last_seen for use in unmapped if use.last_seen is not None]
    return CodeUse(
        column=unmapped[0].column,
        crosswalk=unmapped[0].crosswalk,
        code=None,
        meaning=UNMAPPED,
        rows=sum(use.rows for use in unmapped),
        schools=max(use.schools for use in unmapped),
        school_ids=(),
        first_seen=min(firsts, default=None),
        last_seen=max(lasts, default=None),
        first_line=min(use.first_line for use in unmapped),
    )


def _rows(entity: str, raw_paths: Sequence[Path]) -> str:
    """The raw rows of an entity as a table expression; no rows where nothing feeds it."""
    if not raw_paths:
        nothing = ", ".join(
            f"null::{'bigint' if column.type == 'key' else 'varchar'} as {raw_name(column)}"
            for column in ENTITIES[entity].columns
        )
        return f"(select {nothing} where false)"
    listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in raw_paths)
    return f"read_parquet([{listed}])"
