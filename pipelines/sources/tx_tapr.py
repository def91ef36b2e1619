"""Attendance of Texas's TAPR (Texas Academic Performance Reports): one file a level, 900 columns wide.

A column's name is its meaning: level (S, R, D, C), group (A all, B Black, 3 Asian), measure (`0AT`), school year,
and N (numerator), D (denominator) or R (rate in percent), as in `DB0AT18R`. Each organization, group and year becomes
one row of `state_report`. The year is the column's, not the file's: TAPR 2018-19 holds the attendance of 2017-18.
Source: column names and cells of the files of 2017-18 and 2018-19. Other measures are not taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import duckdb

from pipelines.config import Source
from pipelines.contract import ENTITIES
from pipelines.sources import Reading, Unreadable, delimited

FEEDS_UNASKED = frozenset({"state_report"})
#: What stands in place of a number. A rate or a count is never negative.
MASKS = ("-1", "-2", "-3", ".")
_COLUMN = re.compile(r"([SRDC])([A-Z0-9])(0AT)([0-9]{2})([NDR])", re.IGNORECASE)
_LEVELS = {"S": "state", "R": "region", "D": "district", "C": "school"}
#: The column with the organization's id; the file of the whole state has none.
_IDS = {"R": "REGION", "D": "DISTRICT", "C": "CAMPUS"}
_PARTS = {"N": "numerator", "D": "denominator", "R": "rate"}


def read(con: duckdb.DuckDBPyConnection, file: Path, source: Source, scratch: Path) -> Reading:
    """Read a TAPR attendance file into a table of `state_report`. A row's line is that of its organization.

    A line that cannot be read is one refused row. Raises Unreadable when the whole file cannot be read, or is not
    of this layout.
    """
    wide = delimited.read(con, file, source, scratch)
    table = wide.tables["*"]
    names = [str(row[0]) for row in con.execute(f"DESCRIBE {table}").fetchall()]
    level, figures = _figures(names)
    organization = _organization(level, names)
    # One list of structs a line: a single pass over the file, however many columns it has.
    structs = ", ".join(_struct(*what, parts) for what, parts in figures.items())
    masks = ", ".join(map(_text, MASKS))
    cells = {
        "state_organization_id": "organization",
        "organization_level": _text(_LEVELS[level]),
        "school_year": "figure.school_year",
        "indicator": "figure.indicator",
        "student_group": "figure.student_group",
        "rate_unit": "'percent'",
        "mask": "coalesce("
        + ", ".join(f"CASE WHEN figure.{part} IN ({masks}) THEN figure.{part} END" for part in _PARTS.values())
        + ", '')",
    }
    for part in _PARTS.values():
        cells[part] = f"CASE WHEN figure.{part} IN ({masks}) THEN '' ELSE figure.{part} END"
    selected = ", ".join(f"{cells[column.name]} AS {column.name}" for column in ENTITIES["state_report"].columns)
    con.execute(
        f"CREATE TEMP VIEW {table}_figures AS SELECT {selected}, line FROM (SELECT {organization} AS organization, "
        f"{_quoted(wide.line_column)} AS line, unnest([{structs}]) AS figure FROM {table})"
    )
    [(lines,)] = con.execute(f"SELECT count(*) FROM {table}").fetchall()
    unread = wide.rows_read - int(lines)
    con.execute(f"ALTER TABLE {wide.refused} ADD COLUMN entity VARCHAR")
    con.execute(f"UPDATE {wide.refused} SET entity = 'state_report'")
    return Reading({"state_report": f"{table}_figures"}, wide.refused, int(lines) * len(figures) + unread)


def _figures(names: Iterable[str]) -> tuple[str, dict[tuple[str, str, str], dict[str, str]]]:
    """The file's level, and (group, measure, year) -> part (N, D, R) -> column."""
    levels: set[str] = set()
    figures: dict[tuple[str, str, str], dict[str, str]] = {}
    for name in names:
        if found := _COLUMN.fullmatch(name.strip()):
            level, group, measure, year, part = (text.upper() for text in found.groups())
            levels.add(level)
            figures.setdefault((group, measure, year), {})[part] = name
    remedy = "Give the attendance file of one level, as TAPR's data download makes it."
    if not levels:
        raise Unreadable("not_this_layout", "No column is named as TAPR names attendance.", 1, remedy)
    if len(levels) > 1:
        raise Unreadable("not_this_layout", "The columns are of more than one level.", 1, remedy)
    return levels.pop(), figures


def _organization(level: str, names: Iterable[str]) -> str:
    """The SQL of an organization's id, with its zeros. Campus files write an apostrophe before it: it is no part."""
    wanted = _IDS.get(level)
    if wanted is None:
        return "'state'"
    for name in names:
        if name.strip().upper() == wanted:
            return f"ltrim(trim({_quoted(name)}), '''')"
    raise Unreadable("missing_column", f"The file has no column {wanted}.", 1, "Export it again, with the ids.")


def _struct(group: str, measure: str, year: str, parts: dict[str, str]) -> str:
    cells = [f"'{name}': {_cell(parts.get(part))}" for part, name in _PARTS.items()]
    codes = {"school_year": f"20{year}", "indicator": f"tapr_{measure}", "student_group": f"tapr_{group}"}
    return "{" + ", ".join([*(f"'{name}': {_text(code)}" for name, code in codes.items()), *cells]) + "}"


def _cell(name: str | None) -> str:
    return "''" if name is None else f"coalesce(trim({_quoted(name)}), '')"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
