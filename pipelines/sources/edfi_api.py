"""A resource of an Ed-Fi ODS/API, as `pipelines.sources.edfi_api_fetch` kept it: records become contract columns.

What is taken stands in `pipelines.sources.edfi_api_rules`. Absent and unanswered, and several values, mean what they
mean in Ed-Fi XML (`pipelines.sources.edfi_xml`): a code that no record of the resource carries was not asked and is
NULL in all; where others carry it, '' says that nobody answered. Several values of a code are joined by bars.

A row's line is its record's place in the kept file.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.config import EntityMap, Source
from pipelines.contract import ENTITIES, Column
from pipelines.sources import MAPPED_BY_DISTRICT, Reading, Unreadable
from pipelines.sources.edfi_api_rules import RULES, Rule, Take
from pipelines.sources.edfi_api_spool import RESOURCE
from pipelines.sources.rows import Rows

_BATCH_ROWS = 10_000
#: A record that makes more rows than this is no record.
_MOST_ROWS = 10_000
_REMEDIES = {
    "required_value_missing": "Have the record completed in the system that feeds the API; it then comes by itself.",
    "not_text": "Have the value corrected in the system that feeds the API: it holds a character that is none.",
    "too_many_values": "Have the record corrected in the system that feeds the API: no record has so many values.",
    "not_a_record": "Fetch the source again: the kept record cannot be read.",
}


class _Refused(Exception):
    """A record that cannot be rows; the arguments are the reason and the column."""


def read(con: duckdb.DuckDBPyConnection, file: Path, source: Source, scratch: Path) -> Reading:
    """Read one kept resource into a temp view for each entity that it feeds, and a temp table of refused rows.

    source: `entities` limits what is read. Raises Unreadable where the file is no kept resource, or where no record
    at all has a property that the standard requires.
    """
    try:
        opened = pq.ParquetFile(file)
    except (OSError, pa.ArrowException):
        raise _no_answer() from None
    with opened:
        resource = (opened.schema_arrow.metadata or {}).get(RESOURCE.encode(), b"").decode(errors="replace")
        if opened.schema_arrow.names != ["id", "record"] or not any(rule.resource == resource for rule in RULES):
            raise _no_answer()
        readers = [
            _RuleReader.of(rule, source, scratch)
            for rule in RULES
            if rule.resource == resource and (not source.entities or rule.entity in source.entities)
        ]
        line = 0
        for batch in opened.iter_batches(_BATCH_ROWS, columns=["record"]):
            for text in batch.column(0).to_pylist():
                line += 1
                record = _record(text)
                for reader in readers:
                    reader.take(record, line, text)
    for reader in readers:
        reader.require_shape(resource, line)
    return _reading(con, readers)


@dataclass
class _Place:
    """A column of a rule. asked: some record has a property for it."""

    column: Column
    takes: tuple[tuple[tuple[str, ...], str, Take], ...]
    constant: str | None
    asked: bool = False

    def values(self, record: dict[str, Any]) -> list[str] | None:
        """The values of one record, empty ones included; None where it has no such property."""
        found: list[str] | None = None
        for above, name, take in self.takes:
            texts = _texts(record, above, name, take.until)
            if texts is None:
                continue
            if take.only:
                texts = [text for text in texts if text.lower() in take.only]
            if take.value:
                texts = [text and take.value for text in texts]
            if any(texts):
                return texts
            found = found or texts or [""]
        return found

    def value(self, record: dict[str, Any]) -> str | None:
        if self.constant is not None:
            return self.constant
        values = self.values(record)
        if values is None:
            return None
        self.asked = True
        if len(values) == 1:
            return values[0]
        different = [value for value in dict.fromkeys(values) if value]
        if self.column.type == "code":
            return "|".join(different)
        return different[0] if different else ""


@dataclass
class _RuleReader:
    """One rule at work. missing: in how many records each required column had no property."""

    rule: Rule
    places: list[_Place]
    each: list[int]
    rows: Rows
    missing: dict[str, int]

    @classmethod
    def of(cls, rule: Rule, source: Source, scratch: Path) -> _RuleReader:
        constants = source.entities.get(rule.entity, EntityMap()).constants
        places = [
            _Place(
                column,
                tuple((tuple(take.path.split("/")[:-1]), take.path.split("/")[-1], take) for take in rule.takes(name))
                if name not in constants
                else (),
                constants.get(name),
            )
            for name, column in ENTITIES[rule.entity].by_name.items()
        ]
        each = [n for n, place in enumerate(places) if place.column.name in rule.each and place.constant is None]
        names = [place.column.name for place in places]
        return cls(rule, places, each, Rows(scratch, _REMEDIES, names), {})

    def take(self, record: dict[str, Any] | None, line: int, text: str | None) -> None:
        """Add the rows of one record, or refuse it by the first place that must hold something and does not."""
        shown = (text or "")[:20_000]
        if record is None:
            self.rows.refuse(line, "not_a_record", shown)
            return
        try:
            rows = list(self._rows_of(record))
        except _Refused as problem:
            reason, column = problem.args
            self.rows.refuse(line, reason, shown, column)
            return
        for row in rows:
            self.rows.add(line, row)

    def _rows_of(self, record: dict[str, Any]) -> Iterator[list[str | None]]:
        row: list[str | None] = []
        choices: list[list[str]] = []
        refused: str | None = None
        for n, place in enumerate(self.places):
            name = place.column.name
            if n in self.each:
                values = place.values(record)
                place.asked = place.asked or values is not None
                value = None if values is None else "".join(values) if all(values) else ""
                choices.append(values or [])
            else:
                value = place.value(record)
            if place.column.required and not value:
                self.missing[name] = self.missing.get(name, 0) + (value is None)
                refused = refused or name
            if value and not _is_text(value):
                raise _Refused("not_text", name)
            row.append(value)
        if refused:
            raise _Refused("required_value_missing", refused)
        for number, values_of_row in enumerate(itertools.product(*choices)):
            if number == _MOST_ROWS:
                raise _Refused("too_many_values", self.places[self.each[0]].column.name)
            for at, one in zip(self.each, values_of_row, strict=True):
                row[at] = one
            yield list(row)

    def require_shape(self, resource: str, records: int) -> None:
        """Raises Unreadable where a property that is required is in no record at all: the API changed its shape."""
        for place in self.places:
            if place.takes and not place.asked and records and self.missing.get(place.column.name) == records:
                paths = " or ".join(dict.fromkeys(take.path.replace("/", ".") for _, _, take in place.takes))
                raise Unreadable(
                    "schema_changed",
                    f"{resource}: no record has {paths}.",
                    None,
                    "Ask the API's host which Data Standard it serves; docs/sources/edfi_api.md lists those that can "
                    "be read.",
                )


# --- records -----------------------------------------------------------------------------------------------------


def _record(text: str | None) -> dict[str, Any] | None:
    try:
        value = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _texts(record: dict[str, Any], above: tuple[str, ...], name: str, until: str) -> list[str] | None:
    """The values of a property, through arrays, as text; None where the record does not go so far."""
    items: list[Any] = [record]
    for step in above:
        below: list[Any] = []
        found = False
        for item in items:
            value = item.get(step) if isinstance(item, dict) else None
            if value is None:
                continue
            found = True
            below.extend(value if isinstance(value, list) else [value])
        if not found:
            return None
        items = below
    if items and not any(isinstance(item, dict) and name in item for item in items):
        return None
    return [_text(item.get(name)) for item in items if isinstance(item, dict) and not _is_over(item, until)]


def _is_over(item: dict[str, Any], until: str) -> bool:
    """Whether a value has periods and all of them have ended."""
    periods = item.get(until) if until else None
    return (
        bool(periods) and isinstance(periods, list) and all(isinstance(p, dict) and p.get("endDate") for p in periods)
    )


def _text(value: object) -> str:
    """A value as text; of a descriptor's URI the code behind the mark."""
    if value is None or isinstance(value, (dict, list)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value).strip()
    return (text.partition("#")[2] or text) if text.startswith("uri://") else text


def _is_text(value: str) -> bool:
    """Whether it can be kept as text: JSON can write halves of characters and NUL."""
    if value.isascii():
        return "\0" not in value
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


# --- the result --------------------------------------------------------------------------------------------------


def _reading(con: duckdb.DuckDBPyConnection, readers: list[_RuleReader]) -> Reading:
    """Show what was read as temp views; settle absent against unanswered."""
    tables: dict[str, str] = {}
    refusals = []
    rows_read = 0
    for reader in readers:
        part = reader.rows.reading(con)
        rows_read += part.rows_read
        cells = [
            f"coalesce({name}, '') AS {name}" if place.asked and place.column.type == "code" else name
            for place in reader.places
            for name in [f'"{place.column.name}"']
        ]
        table = f"{part.refused}_{reader.rule.entity}"
        con.execute(
            f"CREATE TEMP VIEW {table} AS SELECT {', '.join(cells)}, {part.line_column} AS line "
            f"FROM {part.tables[MAPPED_BY_DISTRICT]}"
        )
        tables[reader.rule.entity] = table
        refusals.append(f"SELECT *, '{reader.rule.entity}' AS entity FROM {part.refused}")
    refused = f"refused_{id(readers)}"
    nothing = (
        "SELECT NULL::BIGINT AS line, NULL::VARCHAR AS column_name, NULL::VARCHAR AS reason, "
        "NULL::VARCHAR AS remedy, NULL::VARCHAR AS text, NULL::VARCHAR AS entity WHERE false"
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE {refused} AS {' UNION ALL '.join([nothing, *refusals])}")
    return Reading(tables=tables, refused=refused, rows_read=rows_read)


def _no_answer() -> Unreadable:
    return Unreadable(
        "not_an_answer",
        "The file is not a resource that was fetched from an Ed-Fi API.",
        None,
        "A source of kind edfi_api fetches its files itself: remove this one and run again.",
    )
