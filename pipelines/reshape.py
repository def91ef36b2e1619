"""Before a file is mapped: columns that should be rows become rows, or the district's own SQL makes the table.

What comes out is an ordinary table for `mapping.judge`, with the physical line of every row, and the number
of rows and cells that were left out on the way, so that nothing goes uncounted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from pipelines import patterns, sandbox
from pipelines.config import ColumnMap, EntityMap, Source, Unpivot
from pipelines.contract import Entity
from pipelines.mapping import ISO_DATE, file_columns, require_columns, trimmed
from pipelines.refused_columns import refused_word
from pipelines.sources import MAPPED_BY_DISTRICT, Reading, Unreadable


@dataclass(frozen=True)
class Shaped:
    """A file as one entity's map sees it.

    reading, source: what is to be judged, the source with the map of the table that was made.
    rows_left_out: cells (or rows) of the file that make no row of the table; they count as filtered.
    cells_masked: masks that were taken out of the file before its SQL saw it.
    """

    reading: Reading
    source: Source
    rows_left_out: int = 0
    cells_masked: int = 0


def shape(
    con: duckdb.DuckDBPyConnection, reading: Reading, entity: Entity, source: Source, sql: str | None, scratch: Path
) -> Shaped:
    """The file in the shape that the map of `entity` asks for: as it is, unpivoted, or through its SQL.

    sql: the text of the map's SQL file, where it names one. Raises Unreadable when the file does not fit.
    """
    entity_map = source.entities.get(entity.name, EntityMap())
    if MAPPED_BY_DISTRICT not in reading.tables:
        return Shaped(reading, source)
    if entity_map.unpivot is not None:
        return _unpivoted(con, reading, entity.name, source, entity_map, entity_map.unpivot)
    if sql is not None:
        return _by_sql(con, reading, entity, source, sql, scratch)
    return Shaped(reading, source)


# --- columns to rows -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Melted:
    """The new columns: of each the name, and for each new row of a file's row its SQL in terms of the file."""

    columns: dict[str, list[str]]
    cells: list[str]  # the new columns that hold cells; the others hold names and parts of names
    taken: list[str]  # the file's columns that became rows

    @property
    def rows_per_row(self) -> int:
        return len(self.columns[self.cells[0]])


def _unpivoted(
    con: duckdb.DuckDBPyConnection,
    reading: Reading,
    name: str,
    source: Source,
    entity_map: EntityMap,
    unpivot: Unpivot,
) -> Shaped:
    table = reading.tables[MAPPED_BY_DISTRICT]
    names = [str(row[0]) for row in con.execute(f"DESCRIBE {table}").fetchall()]
    names.remove(reading.line_column)
    melted = _repeated(unpivot, names) if unpivot.repeat else _melted(con, unpivot, names, entity_map)
    staying = [one for one in names if one not in melted.taken]
    _refuse_taken_names(melted, [*staying, reading.line_column])
    wanted = file_columns(entity_map)
    require_columns(wanted, [*names, *melted.columns])
    # Of 900 columns the map names a few: the others would be repeated with every cell.
    new = {_normal(one) for one in melted.columns}
    kept = [one for one in names if _normal(one) in {_normal(each) for each in wanted} - new]
    line = _quoted(reading.line_column)
    made = ", ".join(f"unnest([{', '.join(rows)}]) AS {_quoted(one)}" for one, rows in melted.columns.items())
    dropped = ", ".join(_literal(value.strip()) for value in unpivot.drop)
    is_dropped = " AND ".join(f"coalesce({trimmed(_quoted(one))}, '') IN ({dropped})" for one in melted.cells)
    result = f"{table}_rows_of_{name}"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {result} AS SELECT * FROM (SELECT "
        f"{', '.join([line, *map(_quoted, kept), made])} FROM {table})"
        + (f" WHERE NOT ({is_dropped})" if dropped else "")
    )
    all_cells = _count(con, table) * melted.rows_per_row
    return Shaped(
        reading=replace(reading, tables={MAPPED_BY_DISTRICT: result}),
        source=source,
        rows_left_out=all_cells - _count(con, result),
    )


def _melted(con: duckdb.DuckDBPyConnection, unpivot: Unpivot, names: Sequence[str], entity_map: EntityMap) -> _Melted:
    if isinstance(unpivot.columns, str):
        chosen, parts = _fitting(con, unpivot.columns, names, entity_map)
    else:
        require_columns(unpivot.columns or (), names)
        available = {_normal(one): one for one in names}
        chosen, parts = [available[_normal(one)] for one in unpivot.columns or ()], {}
    columns = {unpivot.name: [_literal(one) for one in chosen], unpivot.value: [_quoted(one) for one in chosen]}
    columns |= {group: [_literal(text) for text in texts] for group, texts in parts.items()}
    return _Melted(columns, [unpivot.value], chosen)


def _fitting(
    con: duckdb.DuckDBPyConnection, pattern: str, names: Sequence[str], entity_map: EntityMap
) -> tuple[list[str], dict[str, list[str]]]:
    """The columns whose whole names fit the pattern, in any case, and what its named groups hold in each.

    Columns that are never carried, and those that the map reads as they are, do not become rows.
    """
    named = {_normal(one) for one in file_columns(entity_map)}
    open_names = [one for one in names if refused_word(one) is None and _normal(one) not in named]
    groups = patterns.named_groups(pattern) or {}
    rows = patterns.fitting(con, pattern, open_names, list(groups.values()))
    if not rows:
        raise Unreadable(
            "pattern_fits_no_column",
            f"No column of the file fits {pattern}, which names the columns that become rows.",
            1,
            "Correct the pattern under unpivot in district.yaml, or ask for the columns in the export.",
        )
    return [row[0] for row in rows], {group: [row[at] for row in rows] for at, group in enumerate(groups, start=1)}


def _repeated(unpivot: Unpivot, names: Sequence[str]) -> _Melted:
    groups = unpivot.repeat or []
    require_columns([one for group in groups for one in group.values()], names)
    available = {_normal(one): one for one in names}
    columns = {new: [_quoted(available[_normal(group[new])]) for group in groups] for new in groups[0]}
    numbers = {unpivot.name: [_literal(str(number)) for number in range(1, len(groups) + 1)]}
    taken = [available[_normal(one)] for group in groups for one in group.values()]
    return _Melted(columns | numbers, list(groups[0]), taken)


def _refuse_taken_names(melted: _Melted, staying: Sequence[str]) -> None:
    taken = {_normal(one) for one in staying}
    clashes = [one for one in melted.columns if _normal(one) in taken]
    if clashes:
        raise Unreadable(
            "column_name_taken",
            f"The file has a column of its own that is called like one that unpivot makes: {', '.join(clashes)}.",
            1,
            "Choose another name under unpivot in district.yaml (name, value, a group, or a key of repeat).",
        )


# --- the district's own SQL ----------------------------------------------------------------------------------


def _by_sql(
    con: duckdb.DuckDBPyConnection, reading: Reading, entity: Entity, source: Source, sql: str, scratch: Path
) -> Shaped:
    answer = sandbox.run(con, reading, entity, source, sql, scratch)
    formats = list(dict.fromkeys([ISO_DATE, *source.date_formats]))
    columns: dict[str, str | ColumnMap] = {
        name: ColumnMap(column=name, date_formats=formats) if entity.by_name[name].type == "date" else name
        for name in answer.columns
    }
    entity_map = EntityMap(columns=columns, distinct=source.entities[entity.name].distinct)
    return Shaped(
        reading=replace(reading, tables={MAPPED_BY_DISTRICT: answer.table}, line_column="line"),
        # The masks were taken out before the SQL saw the file.
        source=source.model_copy(update={"entities": {entity.name: entity_map}, "masks": []}),
        rows_left_out=answer.lines_left_out,
        cells_masked=answer.cells_masked,
    )


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    row = con.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0


def _normal(name: str) -> str:
    return " ".join(name.split()).lower()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
