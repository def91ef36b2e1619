"""Parquet: read by DuckDB, every column as text that says the same on every machine.

A row's line is its number in the file, the first being 1.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import duckdb

from pipelines.config import Source
from pipelines.sources import MAPPED_BY_DISTRICT, Reading, Unreadable
from pipelines.sources.rows import column_names

_NESTED = re.compile(r"\]$|^(STRUCT|MAP|UNION|LIST|VARIANT|BLOB|BIT|GEOMETRY)\b")
_MEMORY_LIMIT = "512MB"
#: Whole numbers below this are exact in a double.
_EXACT = 2**53


def read(con: duckdb.DuckDBPyConnection, file: Path, source: Source, scratch: Path) -> Reading:
    """A view of the file, named under `*`: VARCHAR columns and the row's number. NULL stays NULL.

    All of it is read once before, so that damage is found here. Raises Unreadable when the whole file cannot be read.
    """
    name = f"parquet_{secrets.token_hex(4)}"
    select, line, rows = _checked(file, scratch)
    con.execute(f"CREATE TEMP VIEW {name} AS {select}")
    con.execute(
        f"CREATE TEMP TABLE {name}_refused "
        "(line BIGINT, column_name VARCHAR, reason VARCHAR, remedy VARCHAR, text VARCHAR)"
    )
    return Reading({MAPPED_BY_DISTRICT: name}, f"{name}_refused", rows, line)


def _checked(file: Path, scratch: Path) -> tuple[str, str, int]:
    """The SELECT that reads the file, the name of its line column, and the number of rows.

    Found in an engine of its own: what is wrong inside a file can leave an engine unfit for use.
    """
    scan = f"read_parquet({_literal(str(file))}, file_row_number = true, hive_partitioning = false)"
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": _MEMORY_LIMIT,
        "temp_directory": str(scratch / "spill"),
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    try:
        with duckdb.connect(config=config) as con:
            described = con.execute(f"DESCRIBE SELECT * EXCLUDE (file_row_number) FROM {scan}").fetchall()
            texts = [_as_text(str(row[0]), str(row[1])) for row in described]
            # The engine gives a column another name when there are two of one; the file's own names are these.
            leaves = f"SELECT name FROM parquet_schema({_literal(str(file))}) WHERE coalesce(num_children, 0) = 0"
            names = column_names((str(row[0]) for row in con.execute(leaves).fetchall()), None)
            line = "line"
            while line in {one.lower() for one in names}:
                line = f"_{line}"
            texts = [f"{text} AS {_quoted(name)}" for name, text in zip(names, texts, strict=True)]
            select = f"SELECT {', '.join(texts)}, file_row_number + 1 AS {line} FROM {scan}"
            columns = ", ".join(map(_quoted, names))
            row = con.execute(f"SELECT count(*), bit_xor(hash({columns})) FROM ({select})").fetchone()
    except duckdb.OutOfMemoryException:
        raise Unreadable(
            "row_group_too_large",
            "The file's row groups are too large to be read in the memory that there is.",
            None,
            "Export it with smaller row groups (122,880 rows or fewer).",
        ) from None
    except duckdb.Error:
        raise Unreadable(
            "not_parquet",
            "The file is no Parquet file, or it is damaged or not complete.",
            None,
            "Export it again, or set the source's kind to what the file is.",
        ) from None
    return select, line, int(row[0]) if row else 0


def _as_text(column: str, kind: str) -> str:
    """The SQL of a column as text: ISO dates and times, whole numbers without a point, true and false."""
    if _NESTED.search(kind):
        raise Unreadable(
            "nested_column",
            f"The column {column} holds lists, records or bytes, not one value a row.",
            None,
            "Leave it out of the export, or export it as text.",
        )
    cell = _quoted(column)
    if kind in ("DOUBLE", "FLOAT"):
        # Where a value is missing, ids that are numbers arrive as 417.0.
        is_whole = f"{cell} = trunc({cell}) AND abs({cell}) < {_EXACT}"
        return f"CASE WHEN {is_whole} THEN {cell}::BIGINT::VARCHAR ELSE {cell}::VARCHAR END"
    if kind == "TIMESTAMP WITH TIME ZONE":
        # The same whatever zone the machine is in; the mark tells that the day may be another one here.
        return f"make_timestamp(epoch_us({cell}))::VARCHAR || 'Z'"
    return f"{cell}::VARCHAR"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
