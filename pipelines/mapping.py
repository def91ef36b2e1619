"""From a district's columns to contract columns, and the judgement of every row.

A map that `district_checks` has passed is turned into one SQL view (`judge`) in which each source row that
the map keeps has its contract columns as text, its ids hashed, and the number of its first problem, 0 for none.
A column that is not mapped is NULL; one that is mapped but blank is '': asked and unanswered. A cell that
holds a mask is blank too, and counted.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from pipelines.config import ColumnMap, EntityMap, Source
from pipelines.contract import Column, Entity
from pipelines.ids import AS_WRITTEN, normal_id, rules_for
from pipelines.keys import add_keys
from pipelines.sources import KNOW_THEIR_LAYOUT, MAPPED_BY_DISTRICT, Reading, Unreadable

#: 1900-01-01 is what databases write for "no date", and what DuckDB 1.5.5 makes of the words epoch and infinity.
FIRST_YEAR, LAST_YEAR = 1901, 2100
ISO_DATE = "%Y-%m-%d"
#: Kinds of source that may hold dates as such, and how their readers write those, whatever texts look like beside them.
_TYPED = frozenset({"excel", "parquet", "json_lines", "database", "survey_export"})
#: OneRoster asks for ISO dates; who writes others may say so.
_TEXT_DATES = frozenset({"oneroster"})
_TYPED_DATES = (ISO_DATE, "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S")
#: Pairs of dates in one row of which the second may not lie before the first.
_SPANS = (("entry_date", "exit_date"), ("start_date", "end_date"), ("opened", "closed"))
_TRUE = ("true", "yes", "y", "1")
_FALSE = ("false", "no", "n", "0")
#: Whole numbers, also as spreadsheets write them (420.0), and plain decimals: the same in Python and in DuckDB.
_INTEGER = "[+-]?[0-9]{1,18}([.]0*)?"
_DECIMAL = "[+-]?([0-9]{1,12}([.][0-9]{0,18})?|[.][0-9]{1,18})"
#: Times of day: by 24 hours in two digits, or by 12 with their mark. 2:30 without one may be night or afternoon.
_TIME_24 = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?"
_TIME_12 = "(0?[1-9]|1[0-2]):[0-5][0-9](:[0-5][0-9])? ?[AaPp][.]?[Mm][.]?"
#: So much of a refused cell's shape is kept.
_SHAPE_LENGTH = 20
#: How a constant of a type reads; dates apart.
CONSTANT_PATTERNS = {
    "integer": _INTEGER,
    "decimal": _DECIMAL,
    "boolean": "|".join((*_TRUE, *_FALSE)),
    "time": _TIME_24,
}
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

    view: a DuckDB temp view with columns `record_key` BIGINT and `is_deleted` BOOLEAN where the reading is by
        record (a deleted one has no problem), line BIGINT, problem INTEGER (0: none, else 1 + index into
        `judgements`), `value_<n>` (contract column n as text, dates ISO), `key_<n>` BIGINT (the pseudonym of
        contract column n, an id; NULL where it is blank), `refused_value` (the shape of the cell at fault; NULL where
        identifying) and `source_row` (the row as JSON).
    rows_read, rows_filtered: rows of the table, and those that `where` and `where_not` leave out.
    cells_masked: cells of the kept rows, in columns that the map reads, by which the sender hid a value.
    """

    view: str
    judgements: tuple[Judgement, ...]
    rows_read: int
    rows_filtered: int
    cells_masked: int = 0


@dataclass(frozen=True)
class _Text:
    """The SQL of a contract column as trimmed text. misfit: the condition on which the map cannot read the row.

    column: the one column of the file whose cell is trimmed and no more, as SQL; '' where it takes more than that.
    """

    sql: str
    column: str = ""
    misfit: str | None = None
    reason: str = ""
    remedy: str = ""


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
    secret: bytes,
    *,
    anonymous_surveys: Collection[str] = (),
) -> Judged:
    """Make the view of `entity` over `reading.tables[key]` (see Judged). secret: the key of the pseudonyms.

    Raises Unreadable when the table lacks a column that the map names, and keys.PseudonymCollision.
    """
    table = reading.tables[key]
    entity_map = source.entities.get(entity.name, EntityMap())
    names = [name for name in _column_names(con, table) if name not in (reading.line_column, *_of_record(reading))]
    by_district = key == MAPPED_BY_DISTRICT
    available = {name.lower(): name for name in names}
    require_columns(file_columns(entity_map), names)
    texts = [_text_of(column, entity_map, source, available, by_district=by_district) for column in entity.columns]
    mapped = ",\n".join(
        (f"{text.column or text.sql} AS cell_{n}" if column.type == "key" else f"{text.sql} AS text_{n}")
        + (f", {text.misfit} AS misfit_{n}" if text.misfit else "")
        for n, (column, text) in enumerate(zip(entity.columns, texts, strict=True))
    )
    source_row = ", ".join(f"{_literal(name)}: {_quoted(name)}" for name in names)
    where = _where(entity_map, available)
    names_of_ids, joins = _with_ids(con, f"{table} WHERE {where}", entity, texts, source, secret)
    parsed, values = _parse(entity, entity_map, source)
    conditions, judgements = _conditions(entity, texts, anonymous_surveys)
    cases = " ".join(f"WHEN {condition} THEN {n}" for n, condition in enumerate(conditions, start=1))
    shown = _shown_value(entity, judgements)
    view = f"{table}_{entity.name}"
    record = record_row = ""
    if reading.by_record:
        record, record_row = "record_key, is_deleted, ", f"{', '.join(_of_record(reading))}, "
        cells = f"SELECT record_id AS cell, record_id AS value FROM (SELECT DISTINCT record_id FROM {table})"
        records = add_keys(con, cells, "record", secret)
        names_of_ids += ", of_record.key AS record_key"
        joins += f" LEFT JOIN {records} AS of_record ON of_record.cell = mapped.record_id"
        cases = f"WHEN is_deleted THEN 0 {cases}"
    con.execute(
        f"""
        CREATE OR REPLACE TEMP VIEW {view} AS
        SELECT {record}line, problem, {values}, {shown} AS refused_value, source_row
        FROM (
            SELECT *, CASE {cases} ELSE 0 END AS problem
            FROM (
                SELECT *{parsed}
                FROM (
                    SELECT mapped.*{_with_normal_ids(entity, source)}{names_of_ids}
                    FROM (
                        SELECT {record_row}{_quoted(reading.line_column)} AS line,
                            to_json({{{source_row}}})::VARCHAR AS source_row,
                            {mapped}
                        FROM {table}
                        WHERE {where}
                    ) AS mapped{joins}
                )
            )
        )
        """
    )
    rows_read = _one(con, f"SELECT count(*) FROM {table}")
    kept, masked = rows_read, 0
    if source.masks:
        cells = masked_cells(_read_columns(entity, entity_map, available, by_district=by_district), source)
        kept, masked = _two(con, f"SELECT count(*), coalesce(sum({cells}), 0) FROM {table} WHERE {where}")
    elif entity_map.where or entity_map.where_not:
        kept = _one(con, f"SELECT count(*) FROM {table} WHERE {where}")
    return Judged(view, tuple(judgements), rows_read, rows_read - kept, masked)


def _of_record(reading: Reading) -> tuple[str, ...]:
    return ("record_id", "is_deleted") if reading.by_record else ()


def file_columns(entity_map: EntityMap) -> list[str]:
    """Every column that the map reads, as the map spells it."""
    mapped = [name for target in entity_map.columns.values() for name in _file_columns(target)]
    return [*mapped, *entity_map.where, *entity_map.where_not]


def require_columns(wanted: Iterable[str], names: Sequence[str]) -> None:
    """Raises Unreadable when a wanted column is not among `names`, in any case; the closest ones are told."""
    available = {_normal(name) for name in names}
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
) -> _Text:
    """A contract column's text: NULL where it was never asked, '' where unanswered."""
    if column.name in entity_map.constants:
        return _Text(_literal(entity_map.constants[column.name].strip()))
    target = entity_map.columns.get(column.name)
    if target is None and (by_district or column.name not in available):
        return _Text("NULL::VARCHAR")
    if isinstance(target, ColumnMap):
        names = [available[_normal(name)] for name in _file_columns(target)]
        return _flagged(column, target, names) if target.flags else _combined(column, target, names, source)
    name = available[_normal(target)] if target is not None else column.name
    cell = _cell(name, source)
    # concat() makes '' of NULL and, unlike coalesce(), leaves a repeated value to be judged once (DuckDB 1.5.5).
    return _Text(f"concat({cell})" if by_district else cell, _quoted(name))


def _cell(name: str, source: Source) -> str:
    """The SQL of a file column's trimmed text, '' where it says that nothing was entered or hides a value."""
    text = trimmed(_quoted(name))
    unknown = _listed((*source.empty_values, *source.masks))
    return f"CASE WHEN {text} IN ({unknown}) THEN '' ELSE {text} END" if unknown else text


def _combined(column: Column, target: ColumnMap, names: Sequence[str], source: Source) -> _Text:
    """One column or several: what a pattern takes out of each cell, split, and joined without the empty ones."""
    cells = [f"coalesce({_cell(name, source)}, '')" for name in names]
    misfit = None
    if target.pattern is not None:
        fits = [f"regexp_full_match({cell}, {_literal(target.pattern)})" for cell in cells]
        misfit = " OR ".join(f"({cell} <> '' AND NOT {fit})" for cell, fit in zip(cells, fits, strict=True))
        whole = _literal(f"^(?:{target.pattern})$")
        cells = [
            f"CASE WHEN {fit} THEN trim(regexp_extract({cell}, {whole}, 1), {_BLANKS}) ELSE {cell} END"
            for cell, fit in zip(cells, fits, strict=True)
        ]
    if target.separator is not None:
        unwanted = _listed(("", *source.empty_values, *source.masks))
        split = [f"string_split({cell}, {_literal(target.separator)})" for cell in cells]
        parts = f"list_transform(flatten([{', '.join(split)}]), lambda part: trim(part, {_BLANKS}))"
        text = f"array_to_string(list_filter({parts}, lambda part: part NOT IN ({unwanted})), '|')"
    elif len(cells) > 1:
        between = "|" if column.many else target.join or ""
        text = f"concat_ws({_literal(between)}, {', '.join(_nullif_empty(cell) for cell in cells)})"
    else:
        text = cells[0]
    remedy = f"Correct {column.name} at the source, or let its pattern in district.yaml fit this form too."
    return _Text(text, "", misfit, "pattern_does_not_fit", remedy)


def _flagged(column: Column, target: ColumnMap, names: Sequence[str]) -> _Text:
    """The codes of the flags that are set: all of them joined by bars, or the one that a single value can be."""
    values = _listed(value.upper() for value in target.flag_values)
    is_set: dict[str, list[str]] = {}
    for name, code in zip(names, (target.flags or {}).values(), strict=True):
        is_set.setdefault(code.strip(), []).append(f"coalesce(upper({trimmed(_quoted(name))}), '') IN ({values})")
    tests = {code: f"({' OR '.join(any_of)})" for code, any_of in is_set.items()}
    codes = [f"CASE WHEN {test} THEN {_literal(code)} END" for code, test in tests.items()]
    text = f"concat_ws('|', {', '.join(codes)})"
    if column.many or len(tests) == 1:
        return _Text(text)
    several = " + ".join(f"{test}::INTEGER" for test in tests.values()) + " > 1"
    return _Text(text, "", several, "several_flags_set", f"Leave one of the flags of {column.name} set at the source.")


def _nullif_empty(cell: str) -> str:
    return f"nullif({cell}, '')"


def _with_ids(
    con: duckdb.DuckDBPyConnection, rows: str, entity: Entity, texts: Sequence[_Text], source: Source, secret: bytes
) -> tuple[str, str]:
    """SQL of the entity's ids (`, ... AS text_<n>, ... AS key_<n>`), and of the joins to where they come from.

    Each cell that occurs in `rows` is trimmed, written by the source's rules and hashed once, however often it does:
    of 10,000,000 marks of 60,000 students that takes 0.2 s, where trimming the id of every row took 1.1 (DuckDB 1.5.5).
    """
    named, joins = [], []
    for n, (column, text) in enumerate(zip(entity.columns, texts, strict=True)):
        if column.type == "key":
            value = _cell("cell", source) if text.column else "cell"
            value = normal_id(value, rules_for(column, source.student_ids, source.school_ids))
            cells = (
                f"SELECT cell, {value} AS value FROM (SELECT DISTINCT {text.column or text.sql} AS cell FROM {rows})"
            )
            ids = add_keys(con, cells, column.domain or column.name, secret)
            joins.append(f" LEFT JOIN {ids} AS id_{n} ON id_{n}.cell = mapped.cell_{n}")
            named.append(f", id_{n}.value AS text_{n}, id_{n}.key AS key_{n}")
    return "".join(named), "".join(joins)


def _with_normal_ids(entity: Entity, source: Source) -> str:
    """` REPLACE (...)` that writes school ids by the source's rules; '' where they stay as they are."""
    replaced = []
    for n, column in enumerate(entity.columns):
        rules = rules_for(column, source.student_ids, source.school_ids)
        if column.type != "key" and rules != AS_WRITTEN:
            replaced.append(f"{normal_id(f'text_{n}', rules)} AS text_{n}")
    return f" REPLACE ({', '.join(replaced)})" if replaced else ""


def _read_columns(
    entity: Entity, entity_map: EntityMap, available: Mapping[str, str], *, by_district: bool
) -> list[str]:
    """The file's columns that become contract columns, once each."""
    named = {name for target in entity_map.columns.values() for name in _file_columns(target)}
    if not by_district:
        left = set(entity.by_name) - entity_map.columns.keys() - entity_map.constants.keys()
        named |= {name for name in left if name in available}
    return sorted({available[_normal(name)] for name in named})


def without_masks(name: str, source: Source) -> str:
    """The SQL of a file column's text as it stands, '' where it holds a mask."""
    masks = _listed(source.masks)
    text = _quoted(name)
    return f"CASE WHEN {trimmed(text)} IN ({masks}) THEN '' ELSE {text} END" if masks else text


def masked_cells(names: Iterable[str], source: Source) -> str:
    """The SQL of how many of a row's cells hold a mask."""
    masks = _listed(source.masks)
    return " + ".join(f"coalesce({trimmed(_quoted(name))} IN ({masks}), false)::INTEGER" for name in names) or "0"


def trimmed(expression: str) -> str:
    """SQL of a text without the blanks around it, also those that exports hold there."""
    # trim() with a set of characters is eight times slower than looking whether there is anything to trim, and
    # a test of the ends takes twice as long as one for blanks anywhere, of which ids, codes and dates have none.
    return (
        f"CASE WHEN regexp_full_match({expression}, '[!-~]+') THEN {expression} "
        f"WHEN regexp_full_match({expression}, '[!-~].*[!-~]') THEN {expression} "
        f"ELSE trim({expression}, {_BLANKS}) END"
    )


def _where(entity_map: EntityMap, available: Mapping[str, str]) -> str:
    tests = []
    for operator, listed in (("IN", entity_map.where), ("NOT IN", entity_map.where_not)):
        for name, values in listed.items():
            cell = f"coalesce({trimmed(_quoted(available[_normal(name)]))}, '')"
            tests.append(f"{cell} {operator} ({_listed(values)})" if values else str(operator == "NOT IN"))
    return " AND ".join(tests) or "true"


def _parse(entity: Entity, entity_map: EntityMap, source: Source) -> tuple[str, str]:
    """SQL of the parsed dates (`, day_<n> ...`) and of the contract values (`value_<n> ...`).

    Each date is tried in every format of its list. day_<n> is the date where one lies within the
    years that can be; is_day_<n> says that some format fits; is_ambiguous_<n>, that formats differ.
    """
    parsed, values = [], []
    for n, column in enumerate(entity.columns):
        if column.type == "date":
            # Moments, not dates: of these DuckDB judges a repeated text once, of a cast to DATE every row (1.5.5).
            tried = [f"try_strptime(text_{n}, {_literal(one)})" for one in _formats(column, entity_map, source)]
            possible = [f"CASE WHEN year({one}) BETWEEN {FIRST_YEAR} AND {LAST_YEAR} THEN {one} END" for one in tried]
            parsed.append(f", coalesce({', '.join(possible)}) AS day_{n}, coalesce({', '.join(tried)}) AS any_day_{n}")
            days = ", ".join(f"({one})::DATE" for one in possible)
            differ = f"least({days}) <> greatest({days})" if len(tried) > 1 else "false"
            parsed.append(f", {differ} AS is_ambiguous_{n}")
            values.append(f"CASE WHEN text_{n} = '' THEN '' ELSE strftime(day_{n}, '{ISO_DATE}') END AS value_{n}")
        elif column.type == "boolean":
            values.append(
                f"CASE WHEN lower(text_{n}) IN {_TRUE} THEN 'true' WHEN lower(text_{n}) IN {_FALSE} THEN 'false' "
                f"ELSE text_{n} END AS value_{n}"
            )
        elif column.type == "integer":
            values.append(f"regexp_replace(text_{n}, '[.]0*$', '') AS value_{n}")
        elif column.type == "time":
            values.append(f"{_time_of_day(f'text_{n}')} AS value_{n}")
        else:
            values.append(f"text_{n} AS value_{n}" + (f", key_{n}" if column.type == "key" else ""))
    return "".join(parsed), ", ".join(values)


def _time_of_day(text: str) -> str:
    """SQL of a time of day as HH:MM by 24 hours; a text that is none stays as it is."""
    hour = f"(try_cast(regexp_extract({text}, '^[0-9]+') AS INTEGER) % 12 + "
    hour += f"CASE WHEN regexp_matches({text}, '[Pp]') THEN 12 ELSE 0 END)"
    by_twelve = f"lpad({hour}::VARCHAR, 2, '0') || regexp_extract({text}, ':[0-9]{{2}}')"
    return (
        f"CASE WHEN regexp_full_match({text}, '{_TIME_24}') THEN left({text}, 5) "
        f"WHEN regexp_full_match({text}, '{_TIME_12}') THEN {by_twelve} ELSE {text} END"
    )


def _formats(column: Column, entity_map: EntityMap, source: Source) -> list[str]:
    # A survey's own days are settings; those of its questionnaires stand as the tool wrote them.
    as_sent = source.kind == "survey_export" and column.name in ("started", "submitted")
    if column.name in entity_map.constants or (source.kind in KNOW_THEIR_LAYOUT - _TEXT_DATES and not as_sent):
        return [ISO_DATE]
    target = entity_map.columns.get(column.name)
    own = target.date_formats if isinstance(target, ColumnMap) else None
    formats = own or source.date_formats
    return [*formats, *(one for one in _TYPED_DATES if one not in formats)] if source.kind in _TYPED else formats


def _conditions(
    entity: Entity, texts: Sequence[_Text], anonymous_surveys: Collection[str]
) -> tuple[list[str], list[Judgement]]:
    """The reasons to refuse a row, as SQL conditions and judgements side by side; the first that holds counts."""
    conditions: list[str] = []
    judgements: list[Judgement] = []

    def refuse(condition: str, column: str, reason: str, remedy: str) -> None:
        conditions.append(condition)
        judgements.append(Judgement(column, reason, remedy))

    number = {column.name: n for n, column in enumerate(entity.columns)}
    for n, column in enumerate(entity.columns):
        name = column.name
        if texts[n].misfit:
            refuse(f"misfit_{n}", name, texts[n].reason, texts[n].remedy)
        if column.required:
            remedy = f"Enter {name} at the source: {column.description}."
            is_missing = f"key_{n} IS NULL" if column.type == "key" else f"coalesce(text_{n}, '') = ''"
            refuse(is_missing, name, "required_value_missing", remedy)
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
        elif column.type == "time":
            clock = f"(regexp_full_match(text_{n}, '{_TIME_24}') OR regexp_full_match(text_{n}, '{_TIME_12}'))"
            remedy = f"Enter {name} as 14:05, or as 2:05 PM."
            refuse(f"text_{n} <> '' AND NOT {clock}", name, "unreadable_time", remedy)
        bounds = _bounds(column)
        if bounds:
            condition = f"try_cast(text_{n} AS DECIMAL(38, 18)) {bounds[0]}"
            refuse(f"text_{n} <> '' AND {condition}", name, "out_of_range", f"Enter {name} {bounds[1]}.")
    for first, last in _SPANS:
        if first in number and last in number:
            ends_early = f"day_{number[last]}::DATE < day_{number[first]}::DATE"
            refuse(ends_early, last, "end_before_start", f"Correct {first} or {last}: the span ends before it starts.")
    if entity.name in ("survey_questionnaire", "survey_response") and anonymous_surveys:
        surveys = ", ".join(_literal(survey) for survey in sorted(anonymous_surveys))
        refuse(
            f"text_{number['survey_id']} IN ({surveys}) AND key_{number['student_id']} IS NOT NULL",
            "student_id",
            "anonymous_survey_with_key",
            "Export the answers without student ids: respondents were promised anonymity.",
        )
    return conditions, judgements


def _bounds(column: Column) -> tuple[str, str] | None:
    """The SQL test that a value lies outside what its column can be, and the words for what it can be."""
    if column.type == "decimal" and column.name.startswith(("share", "fraction")):
        return "NOT BETWEEN 0 AND 1", "as a share from 0 to 1"
    if column.type in ("decimal", "integer") and column.name.startswith("days"):
        return "< 0", "as 0 or more"
    if column.type == "integer" and column.name == "minutes":
        return "NOT BETWEEN 0 AND 1440", "as minutes of one day, from 0 to 1440"
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


def _file_columns(target: str | ColumnMap) -> list[str]:
    if isinstance(target, str):
        return [target]
    return [*([target.column] if target.column is not None else []), *(target.columns or ()), *(target.flags or ())]


def _listed(values: Iterable[str]) -> str:
    """Trimmed values as SQL literals with commas between."""
    return ", ".join(_literal(value) for value in dict.fromkeys(value.strip() for value in values))


def _normal(name: str) -> str:
    return " ".join(name.split()).lower()


def _one(con: duckdb.DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    return int(row[0]) if row else 0


def _two(con: duckdb.DuckDBPyConnection, query: str) -> tuple[int, int]:
    row = con.execute(query).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
