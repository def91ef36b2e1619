"""From a district's columns to contract columns, and the judgement of every row.

A map that `district_checks` has passed is turned into one SQL view (`judge`) in which each source
row that the map keeps has its contract columns as text and the number of its first problem, 0 for none.
A column that is not mapped is NULL; one that is mapped but blank is '': asked and unanswered.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from pipelines.config import ColumnMap, EntityMap, Source
from pipelines.contract import Column, Entity
from pipelines.sources import KNOW_THEIR_LAYOUT, MAPPED_BY_DISTRICT, Reading, Unreadable

FIRST_YEAR, LAST_YEAR = 1900, 2100
_ISO = "%Y-%m-%d"
#: Pairs of dates in one row of which the second may not lie before the first.
_SPANS = (("entry_date", "exit_date"), ("start_date", "end_date"), ("opened", "closed"))
_TRUE = ("true", "yes", "y", "1")
_FALSE = ("false", "no", "n", "0")
#: Whole numbers, also as spreadsheets write them (420.0), and plain decimals: the same in Python and in DuckDB.
_INTEGER = "[+-]?[0-9]{1,18}([.]0*)?"
_DECIMAL = "[+-]?([0-9]{1,12}([.][0-9]{0,18})?|[.][0-9]{1,18})"
#: So much of a refused cell's shape is kept.
_SHAPE_LENGTH = 20
#: How a constant of a type reads; dates apart.
CONSTANT_PATTERNS = {"integer": _INTEGER, "decimal": _DECIMAL, "boolean": "|".join((*_TRUE, *_FALSE))}
#: Everything that str.strip removes and that exports hold around values.
_BLANKS = " || ".join(f"chr({code})" for code in (32, 9, 10, 11, 12, 13, 0x85, 0xA0, 0x2007, 0x202F, 0x3000, 0xFEFF))


@dataclass(frozen=True)
class Judgement:
    """A reason to refuse a row: the contract column at fault, a code, and what to do."""

    column: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class Judged:
    """A map at work on one table.

    view: a DuckDB temp view with columns line BIGINT, problem INTEGER (0: none, else 1 + index into
        `judgements`), `value_<n>` (contract column n as text, dates ISO), `refused_value` (what stood in
        the column at fault; NULL where identifying) and `source_row` (the row as JSON).
    rows_read, rows_filtered: rows of the table, and those that `where` leaves out.
    """

    view: str
    judgements: tuple[Judgement, ...]
    rows_read: int
    rows_filtered: int


def closest(name: str, names: Iterable[str]) -> list[str]:
    """Up to three of `names` that read most like `name`, in any case; the likeliest first."""
    by_lower = {one.lower(): one for one in names}
    return [by_lower[one] for one in difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)]


# --- the view ----------------------------------------------------------------------------------------------


def judge(
    con: duckdb.DuckDBPyConnection,
    reading: Reading,
    key: str,
    entity: Entity,
    source: Source,
    *,
    anonymous_surveys: Collection[str] = (),
) -> Judged:
    """Make the view of `entity` over `reading.tables[key]` (see Judged).

    Raises Unreadable when the table lacks a column that the map names.
    """
    table = reading.tables[key]
    entity_map = source.entities.get(entity.name, EntityMap())
    names = [name for name in _column_names(con, table) if name != reading.line_column]
    by_district = key == MAPPED_BY_DISTRICT
    available = {name.lower(): name for name in names}
    _require_columns(entity_map, available, names)
    texts = {
        column.name: _text_of(column, entity_map, source, available, by_district=by_district)
        for column in entity.columns
    }
    mapped = ",\n".join(f"{texts[column.name]} AS text_{n}" for n, column in enumerate(entity.columns))
    source_row = ", ".join(f"{_literal(name)}: {_quoted(name)}" for name in names)
    where = _where(entity_map, available)
    parsed, values = _parse(entity, entity_map, source)
    conditions, judgements = _conditions(entity, anonymous_surveys)
    cases = " ".join(f"WHEN {condition} THEN {n}" for n, condition in enumerate(conditions, start=1))
    shown = _shown_value(entity, judgements)
    view = f"{table}_{entity.name}"
    con.execute(
        f"""
        CREATE OR REPLACE TEMP VIEW {view} AS
        SELECT line, problem, {values}, {shown} AS refused_value, source_row
        FROM (
            SELECT *, CASE {cases} ELSE 0 END AS problem
            FROM (
                SELECT *{parsed}
                FROM (
                    SELECT {_quoted(reading.line_column)} AS line, to_json({{{source_row}}})::VARCHAR AS source_row,
                        {mapped}
                    FROM {table}
                    WHERE {where}
                )
            )
        )
        """
    )
    rows_read = _one(con, f"SELECT count(*) FROM {table}")
    kept = _one(con, f"SELECT count(*) FROM {table} WHERE {where}") if entity_map.where else rows_read
    return Judged(view, tuple(judgements), rows_read, rows_read - kept)


def _require_columns(entity_map: EntityMap, available: Mapping[str, str], names: Sequence[str]) -> None:
    wanted = [_file_column(target) for target in entity_map.columns.values()] + list(entity_map.where)
    missing = sorted({name for name in wanted if _normal(name) not in available})
    if missing:
        hints = [f"{name} (closest in the file: {', '.join(closest(name, names)) or 'none'})" for name in missing]
        raise Unreadable(
            "missing_column",
            f"The file lacks a column that the map names: {'; '.join(hints)}.",
            1,
            "Correct the name in district.yaml, or ask for the column in the export.",
        )


def _text_of(
    column: Column, entity_map: EntityMap, source: Source, available: Mapping[str, str], *, by_district: bool
) -> str:
    """The SQL of a contract column as trimmed text: NULL where it was never asked, '' where unanswered."""
    if column.name in entity_map.constants:
        return _literal(entity_map.constants[column.name].strip())
    target = entity_map.columns.get(column.name)
    if target is None and (by_district or column.name not in available):
        return "NULL::VARCHAR"
    name = available[_normal(_file_column(target))] if target is not None else column.name
    empty = ", ".join(_literal(value.strip()) for value in source.empty_values)
    trimmed = _trimmed(_quoted(name))
    if isinstance(target, ColumnMap) and target.separator is not None:
        separator = _literal(target.separator)
        unwanted = f"('', {empty})" if empty else "('')"
        parts = f"list_transform(string_split({_quoted(name)}, {separator}), lambda part: trim(part, {_BLANKS}))"
        trimmed = f"array_to_string(list_filter({parts}, lambda part: part NOT IN {unwanted}), '|')"
    if empty:
        trimmed = f"CASE WHEN {trimmed} IN ({empty}) THEN '' ELSE {trimmed} END"
    return f"coalesce({trimmed}, '')" if by_district else trimmed


def _trimmed(expression: str) -> str:
    # trim() with a set of characters is four times slower than looking whether there is anything to trim.
    return (
        f"CASE WHEN regexp_full_match({expression}, '[!-~](.*[!-~])?') "
        f"THEN {expression} ELSE trim({expression}, {_BLANKS}) END"
    )


def _where(entity_map: EntityMap, available: Mapping[str, str]) -> str:
    tests = []
    for name, wanted in entity_map.where.items():
        listed = ", ".join(_literal(value.strip()) for value in wanted)
        tests.append(f"coalesce({_trimmed(_quoted(available[_normal(name)]))}, '') IN ({listed})")
    return " AND ".join(tests) or "true"


def _parse(entity: Entity, entity_map: EntityMap, source: Source) -> tuple[str, str]:
    """SQL of the parsed dates (`, day_<n> ...`) and of the contract values (`value_<n> ...`).

    Each date is tried in every format of its list. day_<n> is the date where one lies within the
    years that can be; is_day_<n> says that some format fits; is_ambiguous_<n>, that formats differ.
    """
    parsed, values = [], []
    for n, column in enumerate(entity.columns):
        if column.type == "date":
            tried = [f"try_strptime(text_{n}, {_literal(one)})::DATE" for one in _formats(column, entity_map, source)]
            possible = [f"CASE WHEN year({one}) BETWEEN {FIRST_YEAR} AND {LAST_YEAR} THEN {one} END" for one in tried]
            parsed.append(f", coalesce({', '.join(possible)}) AS day_{n}, coalesce({', '.join(tried)}) AS any_day_{n}")
            differ = f"least({', '.join(possible)}) <> greatest({', '.join(possible)})" if len(tried) > 1 else "false"
            parsed.append(f", {differ} AS is_ambiguous_{n}")
            values.append(f"CASE WHEN text_{n} = '' THEN '' ELSE day_{n}::VARCHAR END AS value_{n}")
        elif column.type == "boolean":
            values.append(
                f"CASE WHEN lower(text_{n}) IN {_TRUE} THEN 'true' WHEN lower(text_{n}) IN {_FALSE} THEN 'false' "
                f"ELSE text_{n} END AS value_{n}"
            )
        elif column.type == "integer":
            values.append(f"regexp_replace(text_{n}, '[.]0*$', '') AS value_{n}")
        else:
            values.append(f"text_{n} AS value_{n}")
    return "".join(parsed), ", ".join(values)


def _formats(column: Column, entity_map: EntityMap, source: Source) -> list[str]:
    if column.name in entity_map.constants or source.kind in KNOW_THEIR_LAYOUT:
        return [_ISO]
    target = entity_map.columns.get(column.name)
    own = target.date_formats if isinstance(target, ColumnMap) else None
    return own or source.date_formats


def _conditions(entity: Entity, anonymous_surveys: Collection[str]) -> tuple[list[str], list[Judgement]]:
    """The reasons to refuse a row, as SQL conditions and judgements side by side; the first that holds counts."""
    conditions: list[str] = []
    judgements: list[Judgement] = []

    def refuse(condition: str, column: str, reason: str, remedy: str) -> None:
        conditions.append(condition)
        judgements.append(Judgement(column, reason, remedy))

    number = {column.name: n for n, column in enumerate(entity.columns)}
    for n, column in enumerate(entity.columns):
        name = column.name
        if column.required:
            remedy = f"Enter {name} at the source: {column.description}."
            refuse(f"coalesce(text_{n}, '') = ''", name, "required_value_missing", remedy)
        if column.type == "date":
            remedy = f"Correct {name}, or add its format to date_formats."
            refuse(f"text_{n} <> '' AND any_day_{n} IS NULL", name, "unreadable_date", remedy)
            remedy = f"Correct {name}: years from {FIRST_YEAR} to {LAST_YEAR} are accepted."
            refuse(f"text_{n} <> '' AND day_{n} IS NULL", name, "date_out_of_range", remedy)
            remedy = f"Leave one format for {name} in date_formats: this value means different days in two of them."
            refuse(f"is_ambiguous_{n}", name, "ambiguous_date", remedy)
        elif column.type == "boolean":
            known = f"lower(text_{n}) IN {(*_TRUE, *_FALSE)}"
            refuse(f"text_{n} <> '' AND NOT {known}", name, "unreadable_boolean", "Enter true, false, yes, no, 1 or 0.")
        elif column.type == "integer":
            whole = f"regexp_full_match(text_{n}, '{_INTEGER}')"
            refuse(f"text_{n} <> '' AND NOT {whole}", name, "unreadable_integer", f"Enter {name} as a whole number.")
        elif column.type == "decimal":
            plain = f"regexp_full_match(text_{n}, '{_DECIMAL}')"
            remedy = f"Enter {name} as a number with a decimal point and no other marks."
            refuse(f"text_{n} <> '' AND NOT {plain}", name, "unreadable_decimal", remedy)
        bounds = _bounds(column)
        if bounds:
            condition = f"try_cast(text_{n} AS DECIMAL(38, 18)) {bounds[0]}"
            refuse(f"text_{n} <> '' AND {condition}", name, "out_of_range", f"Enter {name} {bounds[1]}.")
    for first, last in _SPANS:
        if first in number and last in number:
            ends_early = f"day_{number[last]} < day_{number[first]}"
            refuse(ends_early, last, "end_before_start", f"Correct {first} or {last}: the span ends before it starts.")
    if entity.name == "survey_response" and anonymous_surveys:
        surveys = ", ".join(_literal(survey) for survey in sorted(anonymous_surveys))
        refuse(
            f"text_{number['survey_id']} IN ({surveys}) AND text_{number['student_id']} <> ''",
            "student_id",
            "anonymous_survey_with_key",
            "Export the answers without student ids: respondents were promised anonymity.",
        )
    return conditions, judgements


def _bounds(column: Column) -> tuple[str, str] | None:
    """The SQL test that a value lies outside what its column can be, and the words for what it can be."""
    if column.type == "decimal" and column.name.startswith(("share", "fraction")):
        return "NOT BETWEEN 0 AND 1", "as a share from 0 to 1"
    if column.type in ("decimal", "integer") and column.name.startswith(("days", "minutes")):
        return "< 0", "as 0 or more"
    return None


def _shown_value(entity: Entity, judgements: Sequence[Judgement]) -> str:
    """SQL of the shape of the cell at fault: letters as `a`, digits as `9`; NULL where the column is identifying.

    Never the text: a row shifted by one cell puts a name where a date belongs. The text stays in landing/.
    """
    cases = []
    for n, column in enumerate(entity.columns):
        at_fault = [str(i) for i, one in enumerate(judgements, start=1) if one.column == column.name]
        if at_fault and not column.identifying:
            cases.append(f"WHEN problem IN ({', '.join(at_fault)}) THEN {_shape(f'text_{n}')}")
    return f"CASE {' '.join(cases)} END" if cases else "NULL::VARCHAR"


def _shape(text: str) -> str:
    letters = f"regexp_replace({text}, '\\p{{L}}', 'a', 'g')"
    return f"left(regexp_replace({letters}, '\\p{{N}}', '9', 'g'), {_SHAPE_LENGTH})"


def _column_names(con: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    return [str(row[0]) for row in con.execute(f"DESCRIBE {table}").fetchall()]


def _file_column(target: str | ColumnMap) -> str:
    return (target.column or "") if isinstance(target, ColumnMap) else target


def _normal(name: str) -> str:
    return " ".join(name.split()).lower()


def _one(con: duckdb.DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    return int(row[0]) if row else 0


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
