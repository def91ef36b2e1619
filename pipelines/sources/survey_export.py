"""Exports of survey tools: one row a questionnaire, whatever rows of header stand above.

The delimited reader reads the rows; what is done here is layout. Each questionnaire becomes a row of
`survey_questionnaire` and one of `survey_response` for each of its items, blank ones too; the survey itself is one row.
Only columns that the district names as items are carried: free text, names and addresses have no place to go.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb

from pipelines.config import Source, Survey, SurveyItem
from pipelines.mapping import require_columns, trimmed
from pipelines.sources import MAPPED_BY_DISTRICT, Reading, Unreadable, delimited
from pipelines.sources.survey_layouts import FED, LAYOUTS, Header, Layout, header_of, names_a_person

_SETTINGS = ("response_id", "student_id", "school_id", "started", "submitted", "seconds", "language", "finished")
_TIME = r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?([.][0-9]+)?( ?[AaPp][.]?[Mm][.]?)?"


def read(con: duckdb.DuckDBPyConnection, file: Path, source: Source, scratch: Path) -> Reading:
    """Read an export into tables by entity. Raises Unreadable when the whole file cannot be read."""
    if source.survey is None:  # a checked district.yaml always has it
        raise Unreadable("survey_not_described", "The source has no survey block.", None, "Add survey: to the source.")
    survey, layout = source.survey, LAYOUTS[source.survey.tool]
    header = header_of(file, source, layout)
    columns = _columns(survey, layout, header.names)
    items = _items(survey, layout, header.names, columns)
    as_text = source.model_copy(
        update={"kind": "delimited", "column_names": header.names, "header": 1, "delimiter": header.delimiter}
    )
    rows = delimited.read(con, file, as_text, scratch)
    name = f"survey_{secrets.token_hex(4)}"
    line = _quoted(rows.line_column)
    below = f"(SELECT * FROM {rows.tables[MAPPED_BY_DISTRICT]} WHERE {line} > {header.last_line})"
    con.execute(
        f"CREATE TEMP TABLE {name} AS {_questionnaires(survey, layout, source, header, columns, items, below, line)}"
    )
    con.execute(f"CREATE TEMP VIEW {name}_questionnaire AS SELECT * EXCLUDE (finished, answers) FROM {name}")
    # The answers are read several times: unfolded once, they wait in Parquet, where repeated values are judged once.
    answers = scratch / f"{name}_response.parquet"
    con.execute(f"COPY ({_answers(name)}) TO {_literal(str(answers))} (FORMAT parquet, COMPRESSION lz4)")
    answers.chmod(0o600)
    con.execute(f"CREATE TEMP VIEW {name}_response AS SELECT * FROM read_parquet({_literal(str(answers))})")
    con.execute(f"CREATE TEMP VIEW {name}_wave AS {_wave(survey)}")
    # A row that cannot be read is one questionnaire lost, and its answers with it; a header record is no row.
    con.execute(
        f"CREATE TEMP TABLE {name}_refused AS SELECT *, unnest(['survey_questionnaire', 'survey_response']) AS entity "
        f"FROM {rows.refused} WHERE line > {header.last_line}"
    )
    tables = dict(zip(FED, (f"{name}_wave", f"{name}_questionnaire", f"{name}_response"), strict=True))
    counted = [*tables.values(), f"{name}_refused"]
    return Reading(tables, f"{name}_refused", sum(_count(con, table) for table in counted))


def _columns(survey: Survey, layout: Layout, names: Sequence[str]) -> dict[str, str]:
    """The export's column of each setting: the district's, which must be there, else the tool's, where it is."""
    known = {name.lower(): name for name in names}
    given = {
        setting: " ".join(str(getattr(survey, setting)).split()) for setting in _SETTINGS if getattr(survey, setting)
    }
    require_columns(given.values(), names)
    found = {setting: known[name.lower()] for setting, name in given.items()}
    for setting, name in layout.columns.items():
        if setting not in found and name.lower() in known:
            found[setting] = known[name.lower()]
    # Google Forms numbers nothing; what was submitted when is as good, as long as rows are only added.
    if "response_id" not in found and not (survey.tool == "google_forms" and "submitted" in found):
        require_columns([layout.columns.get("response_id", layout.columns.get("submitted", "response_id"))], names)
    return found


def _items(
    survey: Survey, layout: Layout, names: Sequence[str], columns: dict[str, str]
) -> list[tuple[str, SurveyItem]]:
    """The item columns in the file's order, each with the first setting that names it: exactly, else by a pattern."""
    own = {name.lower() for name in (*columns.values(), *layout.columns.values(), *layout.own, *layout.test_when)}
    exact = {_folded(key): item for key, item in survey.items.items() if "*" not in key}
    patterns = [(re.compile(_as_pattern(key)), item) for key, item in survey.items.items() if "*" in key]
    # A matrix or a question of several choices may be named by its question alone.
    require_columns([key for key in survey.items if "*" not in key and not _is_there(key, names)], names)
    found = []
    for name in names:
        folded = _folded(name)
        if folded in own or names_a_person(name):
            continue
        question = re.sub(r" \[[^\]]*\]$", "", folded)
        item = exact.get(folded) or exact.get(question)
        item = item or next((one for pattern, one in patterns if pattern.fullmatch(folded)), None)
        if item is not None:
            found.append((name, item))
    if not found:
        raise Unreadable(
            "no_item_column", "No column is one of the survey's items.", 1, "Correct survey: items, or survey: tool."
        )
    return found


def _questionnaires(
    survey: Survey,
    layout: Layout,
    source: Source,
    header: Header,
    columns: dict[str, str],
    items: Sequence[tuple[str, SurveyItem]],
    below: str,
    line: str,
) -> str:
    """SQL of the questionnaires under contract names, with `answers`: a list of what each item was answered."""
    blank = _listed(("", *source.empty_values, *source.masks))

    def cell(setting: str) -> str:
        # '' is asked and unanswered, NULL was never asked; the reader of text knows no difference.
        return f"coalesce({_quoted(columns[setting])}, '')" if setting in columns else "NULL::VARCHAR"

    def value(name: str) -> str:
        text = f"coalesce({trimmed(_quoted(name))}, '')"
        return f"CASE WHEN {text} IN ({blank}) THEN '' ELSE {text} END"

    complete = "NULL"
    if layout.always_complete:
        complete = "'true'"
    elif "finished" in columns:
        finished = value(columns["finished"])
        done = f"lower({finished}) IN ({_listed(one.lower() for one in survey.finished_values)})"
        complete = f"CASE WHEN {finished} = '' THEN '' WHEN {done} THEN 'true' ELSE 'false' END"
    elif "submitted" in columns and (layout.submitted_is_complete or survey.submitted is not None):
        complete = f"CASE WHEN {value(columns['submitted'])} = '' THEN 'false' ELSE 'true' END"
    known = {name.lower(): name for name in header.names}
    tests = [
        f"lower({value(known[name.lower()])}) IN ({_listed(values)})"
        for name, values in layout.test_when.items()
        if name.lower() in known
    ]
    if survey.test_accounts:
        accounts = _listed(account.strip() for account in survey.test_accounts)
        tests.append(f"coalesce({trimmed(cell('student_id'))}, '') IN ({accounts})")
    is_test = f"CASE WHEN {' OR '.join(tests)} THEN 'true' ELSE 'false' END" if tests else "NULL"
    response_id = cell("response_id")
    if "response_id" not in columns:
        at = cell("submitted")
        # The hash of the place alone would move with every row that is removed above it.
        number = f"row_number() OVER (PARTITION BY {at} ORDER BY {line})"
        response_id = f"CASE WHEN {value(columns['submitted'])} = '' THEN '' ELSE {at} || '#' || {number} END"
    # An anonymous survey has no repeats to put in order, and a time of day helps to find out who answered.
    time = "NULL::VARCHAR" if survey.anonymous or "submitted" not in columns else _time_of(cell("submitted"))
    answers = ", ".join(one for name, item in items for one in _of_item(name, item, value(name)))
    return f"""
        SELECT {_literal(survey.id)} AS survey_id, {response_id} AS response_id, {cell("student_id")} AS student_id,
            {cell("school_id")} AS school_id, {cell("started")} AS started, {cell("submitted")} AS submitted,
            {time} AS submitted_time, {cell("seconds")} AS seconds, {cell("language")} AS language,
            {complete}::VARCHAR AS is_complete, {is_test}::VARCHAR AS is_test, {cell("finished")} AS finished,
            [{answers}] AS answers, {line} AS line
        FROM {below}
    """


def _time_of(text: str) -> str:
    """SQL of the time of day in a text, by 24 hours in two digits or by 12 with their mark; '' without one."""
    time = f"nullif(trim(regexp_extract({text}, '{_TIME}')), '')"
    is_short = f"regexp_matches({time}, '^[0-9]:') AND NOT regexp_matches({time}, '[Mm]')"
    return f"coalesce(CASE WHEN {is_short} THEN '0' || {time} ELSE {time} END, '')"


def _of_item(name: str, item: SurveyItem, cell: str) -> list[str]:
    """SQL of an item's answers, as structs; one for each choice where several may stand in its cell."""

    def struct(item_id: str, answer: str) -> str:
        fields = f"'item_id': {_literal(item_id)}, 'construct': {_literal(item.measures)}"
        return f"{{{fields}, 'answer': {answer}, 'is_reversed': '{str(item.reverse).lower()}'}}"

    if not item.choices:
        return [struct(name, cell)]
    # Longest first, so that a choice that is the beginning of another is not found in it.
    longest = sorted({" ".join(one.split()) for one in item.choices} - {""}, key=lambda one: (-len(one), one))
    rest, found = f"', ' || {cell} || ', '", []
    for choice in longest:
        marked = _literal(f", {choice}, ")
        found.append(
            struct(f"{name} [{choice}]", f"CASE WHEN contains({rest}, {marked}) THEN {_literal(choice)} ELSE '' END")
        )
        rest = f"replace({rest}, {marked}, ', ')"
    other = f"CASE WHEN trim({rest}, ', ') <> '' THEN 'other' ELSE '' END"
    return [*found, struct(f"{name} [other]", other)]


def _answers(table: str) -> str:
    carried = "survey_id, response_id, student_id, school_id, submitted"
    return (
        f"SELECT {carried}, answer.item_id AS item_id, answer.construct AS construct, answer.answer AS answer, "
        f"answer.is_reversed AS is_reversed, line FROM (SELECT {carried}, unnest(answers) AS answer, line FROM {table})"
    )


def _wave(survey: Survey) -> str:
    values = {
        "survey_id": survey.id,
        "survey_name": survey.name,
        "universe": survey.universe,
        "opened": survey.opened.isoformat(),
        "closed": survey.closed.isoformat(),
        "is_anonymous": str(survey.anonymous).lower(),
    }
    return (
        "SELECT " + ", ".join(f"{_literal(value)} AS {name}" for name, value in values.items()) + ", 1::BIGINT AS line"
    )


def _is_there(key: str, names: Sequence[str]) -> bool:
    folded = _folded(key)
    return any(_folded(name) == folded or _folded(name).startswith(f"{folded} [") for name in names)


def _as_pattern(key: str) -> str:
    return ".*".join(re.escape(part) for part in _folded(key).split("*"))


def _folded(name: str) -> str:
    return " ".join(name.split()).lower()


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    row = con.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0


def _listed(values: Iterable[str]) -> str:
    return ", ".join(_literal(value) for value in values)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
