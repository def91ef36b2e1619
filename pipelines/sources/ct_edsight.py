"""Connecticut's EdSight: enrollment, chronic absence and suspension by district or for the state, one report a file.

A report is told by its column names: `% Chronically Absent`, or `Count` and `%` (students suspended), or `Count`, or a
column a group (enrollment, whose last row is a total of all districts and no district). A column between the district
and the figures names the group. The school year stands in the lines above the header; suspension reports have none,
and `constants: {school_year: ...}` of `state_report` says it. Source: the files of 2013-14 to 2015-16.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import duckdb

from pipelines.config import Source
from pipelines.contract import ENTITIES
from pipelines.sources import MAPPED_BY_DISTRICT, Reading, Unreadable, delimited, text

FEEDS_UNASKED = frozenset({"state_report"})
#: What stands in place of a number: hidden, and not applicable.
MASKS = ("*", "N/A")
_ENTITY = "state_report"
_NAMES = ("District", "Organization")
_CODES = ("District Code", "Organization Code")
_ABSENT, _COUNT, _PERCENT = "% Chronically Absent", "Count", "%"
#: The id of the state itself, where a report gives one.
_STATE = "0000000"
_YEAR = re.compile(r"\b(20[0-9]{2})-([0-9]{2})\b")
#: Lines above the header, at most.
_BANNER = 20


def read(con: duckdb.DuckDBPyConnection, file: Path, source: Source, scratch: Path) -> Reading:
    """Read a report into a table of `state_report`; the row of totals is left out, and counted.

    Raises Unreadable when the whole file cannot be read, is no such report, or does not say its school year.
    """
    banner, name = _above(file, source)
    wide = delimited.read(con, file, source.model_copy(update={"header": name}), scratch)
    table = wide.tables[MAPPED_BY_DISTRICT]
    names = [str(row[0]) for row in con.execute(f"DESCRIBE {table}").fetchall()]
    names.remove(wide.line_column)
    code = next((_quoted(one) for one in names if one in _CODES), f"'{_STATE}'")
    figures = _figures([one for one in names if one not in (*_NAMES, *_CODES)], banner)
    hidden = ", ".join(map(_text, MASKS))
    cells = {
        "state_organization_id": f"CASE WHEN code = '{_STATE}' THEN 'state' ELSE code END",
        "organization_level": f"CASE WHEN code = '{_STATE}' THEN 'state' ELSE 'district' END",
        "school_year": _text(_year(banner, source)),
        "indicator": "figure.indicator",
        "student_group": "concat('edsight_', lower(regexp_replace(trim(figure.student_group), '\\s+', ' ', 'g')))",
        "denominator": "''",
        "rate_unit": "'percent'",
        "mask": f"coalesce(CASE WHEN figure.rate IN ({hidden}) THEN figure.rate END, "
        f"CASE WHEN figure.numerator IN ({hidden}) THEN figure.numerator END, '')",
    }
    for part in ("numerator", "rate"):
        cells[part] = f"CASE WHEN figure.{part} IN ({hidden}) THEN '' ELSE figure.{part} END"
    selected = ", ".join(f"{cells[column.name]} AS {column.name}" for column in ENTITIES[_ENTITY].columns)
    is_total = f"coalesce(lower(trim({_quoted(name)})), '') = 'total'"
    con.execute(
        f"CREATE TEMP VIEW {table}_figures AS SELECT {selected}, line FROM (SELECT trim({code}) AS code, "
        f"{_quoted(wide.line_column)} AS line, unnest([{', '.join(figures)}]) AS figure FROM {table} "
        f"WHERE NOT {is_total})"
    )
    [(lines, totals)] = con.execute(f"SELECT count(*), count(*) FILTER (WHERE {is_total}) FROM {table}").fetchall()
    unread = wide.rows_read - int(lines)
    con.execute(f"ALTER TABLE {wide.refused} ADD COLUMN entity VARCHAR")
    con.execute(f"UPDATE {wide.refused} SET entity = '{_ENTITY}'")
    taken = (int(lines) - int(totals)) * len(figures)
    left_out = {_ENTITY: int(totals) * len(figures)}
    return Reading({_ENTITY: f"{table}_figures"}, wide.refused, taken + unread, left_out=left_out)


def _above(file: Path, source: Source) -> tuple[list[str], str]:
    """The lines above the header, and the header's first column."""
    above: list[str] = []
    encoding = text.encoding_of(file, source.encoding)
    with text.decoding(file, encoding), text.open_text(file, encoding) as opened:
        for line in islice(text.lines(opened), _BANNER):
            first = next(csv.reader([line]), [""])[:1]
            if first and first[0].strip() in _NAMES:
                return above, first[0].strip()
            above.append(line)
    raise _not_this_layout("No column is called District or Organization.")


def _figures(columns: Sequence[str], banner: Sequence[str]) -> list[str]:
    """SQL of the figures of one line: indicator, group, numerator and rate of each."""
    values = [one for one in columns if one in (_ABSENT, _COUNT, _PERCENT)]
    groups = [one for one in columns if one not in values]
    is_enrollment = bool(banner) and "Student Counts" in banner[0]
    if is_enrollment and not values:
        dimension = banner[0].strip().strip('"').rpartition(" and ")[2]
        named = [(f"{dimension} {one}" if one.lower() in ("yes", "no") else one, one) for one in groups]
        return [_figure("enrollment", _text(group), _cell(column), "''") for group, column in named]
    if len(groups) > 1:
        raise _not_this_layout("It has columns that no report of enrollment, chronic absence or suspension has.")
    group = _cell(groups[0]) if groups else "'All'"
    if values == [_ABSENT]:
        return [_figure("chronic_absence", group, "''", _cell(_ABSENT))]
    if values == [_COUNT, _PERCENT]:
        return [_figure("suspension", group, _cell(_COUNT), _cell(_PERCENT))]
    if values == [_COUNT] and is_enrollment:
        return [_figure("enrollment", group, _cell(_COUNT), "''")]
    raise _not_this_layout("Its columns are none of enrollment, chronic absence or suspension.")


def _figure(indicator: str, group: str, numerator: str, rate: str) -> str:
    return f"{{'indicator': 'edsight_{indicator}', 'student_group': {group}, 'numerator': {numerator}, 'rate': {rate}}}"


def _year(banner: Sequence[str], source: Source) -> str:
    """The year in which the school year ends, as the report says it, else as the source does."""
    for line in banner:
        if found := _YEAR.search(line):
            return str(int(found[1]) + 1)
    mapped = source.entities.get(_ENTITY)
    if mapped is None or "school_year" not in mapped.constants:
        raise Unreadable(
            "no_school_year",
            "The report does not say of which school year it is.",
            1,
            "Give it as constants: {school_year: ...} of state_report, one source a year.",
        )
    return mapped.constants["school_year"].strip()


def _not_this_layout(message: str) -> Unreadable:
    return Unreadable("not_this_layout", message, 1, "Give a report as EdSight exports it, or land it by a map.")


def _cell(name: str) -> str:
    return f"coalesce(trim({_quoted(name)}), '')"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
