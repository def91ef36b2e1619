"""What every source reader gives and how it says that it cannot.

A reader turns one file into DuckDB temp tables of text. It never maps, types or judges values: that
is the same for every format and happens in `pipelines.mapping`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import duckdb

from pipelines.config import Source
from pipelines.contract import ENTITIES

#: The table of a format whose layout the district maps, as in `Reading.tables`.
MAPPED_BY_DISTRICT = "*"
#: Reasons for which a file is unreadable because more of it is to come: its source is late.
NOT_WHOLE = frozenset({"trailer_missing", "trailer_differs", "array_not_closed"})


@dataclass(frozen=True)
class Reading:
    """One file, read.

    tables: key -> name of a DuckDB temp table (or view) of VARCHAR columns plus a BIGINT column with the
        row's physical line in the file. The key is `*` where the district maps the columns, else the
        name of the contract entity that the table already holds under contract column names; there a
        NULL means "not asked" and '' means "asked and unanswered".
    refused: name of a temp table (line BIGINT, column_name VARCHAR, reason VARCHAR, remedy VARCHAR,
        text VARCHAR) of rows that could not be read. A reader that feeds several entities adds a column
        `entity VARCHAR`: the entity that lost the row.
    rows_read: all rows of all tables and of `refused`: nothing is ever dropped.
    line_column: what the line is called in `tables`: `line`, unless the file has a column of that name.
    collapse: entities of which equal rows are one, as if the map said `distinct`.
    by_record: the tables also hold `record_id VARCHAR`, the sender's own id of the record behind a row, never blank,
        and `is_deleted BOOLEAN`: the sender takes the record back; of such a row nothing else is asked. A reader of
        one of the kinds in NAME_THEIR_RECORDS always says so.
    left_out: entity -> records of the file that speak of something else; they count as read and filtered.
    """

    tables: dict[str, str]
    refused: str
    rows_read: int
    line_column: str = "line"
    collapse: frozenset[str] = frozenset()
    by_record: bool = False
    left_out: Mapping[str, int] = field(default_factory=dict)


class Unreadable(Exception):
    """A whole file cannot be read: the source did not arrive. The message holds no value from the data.

    reason: a code such as `missing_column`; line: the physical line concerned, where there is one;
    remedy: what to do, as a sentence.
    """

    def __init__(self, reason: str, message: str, line: int | None = None, remedy: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.line = line
        self.remedy = remedy


class RowsLost(Exception):
    """Two counts of the same rows differ: an error of ours, never of the district. The message holds counts only."""


#: `read(con, file, source, scratch)`: `scratch` is a folder for temporary files that the caller empties.
Reader = Callable[[duckdb.DuckDBPyConnection, Path, Source, Path], Reading]

#: The modules that make up a reader, the one with `read` first.
_TEXT, _ROWS = "pipelines.sources.text", "pipelines.sources.rows"
_MODULES = {
    "delimited": ("pipelines.sources.delimited", _TEXT, _ROWS),
    "fixed_width": ("pipelines.sources.fixed_width", _TEXT, _ROWS),
    "excel": ("pipelines.sources.excel", "pipelines.sources.excel_child", "pipelines.sources.excel_xml", _ROWS),
    "parquet": ("pipelines.sources.parquet", _ROWS),
    "json_lines": ("pipelines.sources.json_lines", _TEXT, _ROWS),
    "database": (
        "pipelines.sources.parquet",
        _ROWS,
    ),  # what a query gave is kept as Parquet (pipelines.sources.database)
    "survey_export": (
        "pipelines.sources.survey_export",
        "pipelines.sources.survey_layouts",
        "pipelines.sources.delimited",
        _TEXT,
        _ROWS,
    ),
    "edfi_xml": ("pipelines.sources.edfi_xml", "pipelines.sources.edfi_rules"),
    "oneroster": (
        "pipelines.sources.oneroster",
        "pipelines.sources.oneroster_layouts",
        "pipelines.sources.delimited",
        _TEXT,
        _ROWS,
    ),
    # What an API gave is kept as Parquet, too (pipelines.sources.edfi_api_fetch).
    "edfi_api": ("pipelines.sources.edfi_api", "pipelines.sources.edfi_api_rules", _ROWS),
    "tx_tapr": ("pipelines.sources.tx_tapr", "pipelines.sources.delimited", _TEXT, _ROWS),
    "ct_edsight": ("pipelines.sources.ct_edsight", "pipelines.sources.delimited", _TEXT, _ROWS),
}


KINDS = frozenset(_MODULES)
#: Formats that know the contract's entities by themselves; the others are mapped by the district. Each with the module
#: whose FEEDS_UNASKED names the entities that a source of it feeds where it names none.
_LAYOUTS = {
    "edfi_xml": "pipelines.sources.edfi_rules",
    "edfi_api": "pipelines.sources.edfi_api_rules",
    "oneroster": "pipelines.sources.oneroster_layouts",
    "survey_export": "pipelines.sources.survey_layouts",
    "tx_tapr": "pipelines.sources.tx_tapr",
    "ct_edsight": "pipelines.sources.ct_edsight",
}
KNOW_THEIR_LAYOUT = frozenset(_LAYOUTS)
#: Formats whose rows name their record and may take it back (`Reading.by_record`): a later row of a record replaces
#: what an earlier delivery said of it, whatever its key is now.
NAME_THEIR_RECORDS = frozenset({"oneroster"})
#: Kinds that are asked and not found in a folder.
ASKED = frozenset({"database", "edfi_api"})


def reader_for(kind: str) -> Reader:
    """The reader of one kind of source, as named in `district.yaml`. Raises KeyError for an unknown kind.

    A reader is imported when it is first needed, so that a run does not pay for formats it never meets.
    """
    read: Reader = import_module(_MODULES[kind][0]).read
    return read


def reader_files(kind: str) -> list[Path]:
    """The program files of a reader: what was read before must be read again when they change."""
    return [Path(str(import_module(name).__file__)) for name in _MODULES[kind]]


def entities_of(source: Source) -> list[str]:
    """The contract entities that a source can feed, in the contract's order.

    A format that knows its own layout feeds what its rules declare, unless the source names less.
    """
    if source.entities:
        return [name for name in ENTITIES if name in source.entities]
    unasked = feeds_unasked(source.kind)
    return [name for name in ENTITIES if name in unasked]


def feeds_unasked(kind: str) -> frozenset[str]:
    """The entities that a format that knows its own layout feeds where its source names none."""
    entities: frozenset[str] = import_module(_LAYOUTS[kind]).FEEDS_UNASKED
    return entities
