"""Rows of text on their way from a reader in Python to the engine: in batches, through Parquet in scratch."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow
import pyarrow.parquet

from pipelines.sources import MAPPED_BY_DISTRICT, Reading, Unreadable

#: A batch is full at so many rows, cells or characters, whichever comes first: some tens of megabytes.
_ROWS, _CELLS, _CHARACTERS = 50_000, 2_000_000, 16_000_000
#: The widest export met has 900. Rows of 2,000 columns, put together as one, no longer fit into the engine's 600 MB.
MOST_COLUMNS = 1_200
#: Survey tools name columns by whole questions.
_LONGEST_NAME = 2_000


@dataclass(frozen=True)
class Written:
    """Rows in Parquet files. in_files: so many of the columns stand in them, the others are NULL."""

    columns: list[str]
    in_files: int
    parts: list[str]
    refused_parts: list[str]
    count: int

    def reading(self, con: duckdb.DuckDBPyConnection) -> Reading:
        """The rows as a view under a new name, and those refused as a table."""
        name = f"rows_{secrets.token_hex(4)}"
        line_column = "line"
        while line_column in {column.lower() for column in self.columns}:
            line_column = f"_{line_column}"
        columns = [
            f"{f'c{number}' if number < self.in_files else 'NULL::VARCHAR'} AS {_quoted(column)}"
            for number, column in enumerate(self.columns)
        ]
        line = "line" if self.parts else "NULL::BIGINT"
        selected = ", ".join([*columns, f"{line} AS {line_column}"])
        listed = ", ".join(map(_literal, self.parts))
        rows = f"FROM read_parquet([{listed}], union_by_name = true)" if self.parts else "WHERE false"
        con.execute(f"CREATE TEMP VIEW {name} AS SELECT {selected} {rows}")
        con.execute(
            f"CREATE TEMP TABLE {name}_refused "
            "(line BIGINT, column_name VARCHAR, reason VARCHAR, remedy VARCHAR, text VARCHAR)"
        )
        if self.refused_parts:
            listed = ", ".join(map(_literal, self.refused_parts))
            con.execute(f"INSERT INTO {name}_refused FROM read_parquet([{listed}])")
        return Reading({MAPPED_BY_DISTRICT: name}, f"{name}_refused", self.count, line_column)


class Rows:
    """Takes rows one by one and makes a Reading of them.

    remedies: reason -> what to do, for rows that are refused.
    """

    def __init__(self, scratch: Path, remedies: Mapping[str, str], columns: Iterable[str] = ()) -> None:
        self._scratch = scratch
        self._remedies = remedies
        self._name = f"rows_{secrets.token_hex(4)}"
        self._columns: dict[str, int] = {}
        self._cells: list[list[str | None]] = []
        self._lines: list[int] = []
        self._size = 0
        self._parts: list[str] = []
        self._writer: pyarrow.parquet.ParquetWriter | None = None
        self._refused: list[tuple[int, str | None, str, str]] = []
        self._refused_parts: list[str] = []
        self._count = 0
        for column in columns:
            self.add_column(column)

    def add(self, line: int, cells: Sequence[str | None]) -> None:
        """One row of all columns in order."""
        for column, cell in zip(self._cells, cells, strict=True):
            column.append(cell)
            self._size += len(cell) if cell else 0
        self._next(line)

    def add_named(self, line: int, cells: Mapping[str, str]) -> None:
        """One row of some columns; those not seen before are added to the table. Raises Unreadable when too many."""
        rows = len(self._lines)
        for name, cell in cells.items():
            number = self._columns.get(name)
            column = self._cells[self.add_column(name) if number is None else number]
            if len(column) < rows:
                column.extend([None] * (rows - len(column)))
            column.append(cell)
            self._size += len(cell)
        self._next(line)

    def refuse(self, line: int, reason: str, text: str, column: str | None = None) -> None:
        """One row that cannot be read, with its text as far as it goes."""
        self._refused.append((line, column, reason, text))
        self._count += 1
        self._size += len(text)
        self._flush_when_full()

    @property
    def count(self) -> int:
        """Rows so far, those refused too."""
        return self._count

    def written(self) -> Written:
        """All rows, safe in scratch."""
        self._flush()
        if self._writer is not None:
            self._writer.close()
        # A column that was added after the last batch stands in no file.
        in_files = len(self._writer.schema) - 1 if self._writer is not None else 0
        return Written(list(self._columns), in_files, self._parts, self._refused_parts, self._count)

    def reading(self, con: duckdb.DuckDBPyConnection) -> Reading:
        """All rows as a Reading."""
        return self.written().reading(con)

    def add_column(self, name: str) -> int:
        """A column that earlier rows lack: its number. Raises Unreadable when there are too many."""
        if len(self._columns) == MOST_COLUMNS:
            raise too_many_columns(None)
        number = self._columns[name] = len(self._columns)
        self._cells.append([])
        return number

    def _next(self, line: int) -> None:
        self._lines.append(line)
        self._count += 1
        self._flush_when_full()

    def _flush_when_full(self) -> None:
        rows = max(len(self._lines), len(self._refused))
        if rows >= _ROWS or rows * len(self._cells) >= _CELLS or self._size >= _CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        if self._lines:
            rows = len(self._lines)
            for column in self._cells:
                column.extend([None] * (rows - len(column)))
            arrays = [pyarrow.array(column, pyarrow.string()) for column in self._cells]
            names = [f"c{number}" for number in range(len(arrays))]
            batch = pyarrow.table([*arrays, pyarrow.array(self._lines, pyarrow.int64())], [*names, "line"])
            if self._writer is None or self._writer.schema != batch.schema:
                if self._writer is not None:
                    self._writer.close()
                path = self._scratch / f"{self._name}_{len(self._parts)}.parquet"
                self._writer = pyarrow.parquet.ParquetWriter(path, batch.schema, compression="lz4")
                path.chmod(0o600)
                self._parts.append(str(path))
            self._writer.write_table(batch)
            for column in self._cells:
                column.clear()
            self._lines.clear()
        if self._refused:
            path = self._scratch / f"{self._name}_refused_{len(self._refused_parts)}.parquet"
            batch = pyarrow.table(
                {
                    "line": [line for line, _, _, _ in self._refused],
                    "column_name": pyarrow.array([column for _, column, _, _ in self._refused], pyarrow.string()),
                    "reason": [reason for _, _, reason, _ in self._refused],
                    "remedy": [self._remedies[reason] for _, _, reason, _ in self._refused],
                    "text": [text.encode("utf-8", "replace").decode() for _, _, _, text in self._refused],
                }
            )
            pyarrow.parquet.write_table(batch, path)
            path.chmod(0o600)
            self._refused_parts.append(str(path))
            self._refused.clear()
        self._size = 0


def column_names(names: Iterable[str], line: int | None) -> list[str]:
    """A file's column names, white space as single blanks.

    names: as they stand in the file; line: where they stand. Raises Unreadable unless each is there, once in any case.
    """
    clean = [" ".join(name.split()) for name in names]
    if len(clean) > MOST_COLUMNS:
        raise too_many_columns(line)
    if "" in clean:
        raise Unreadable(
            "empty_column_name",
            f"Column {clean.index('') + 1} has no name.",
            line,
            "Give every column a name in the export, or name all columns in column_names.",
        )
    if any(len(name) > _LONGEST_NAME for name in clean):
        raise Unreadable(
            "column_name_too_long",
            f"A column's name has more than {_LONGEST_NAME} characters.",
            line,
            "Check that this is the header, and that its quotes pair.",
        )
    seen = Counter(name.lower() for name in clean)
    twice = sorted(name for name, count in seen.items() if count > 1)
    if twice:
        raise Unreadable(
            "duplicate_column_name",
            f"A column is named more than once: {', '.join(twice[:5])}.",
            line,
            "Rename or remove the second one in the export, or name all columns in column_names.",
        )
    if any("\0" in name for name in clean):
        raise Unreadable("nul_byte", "A column's name holds a NUL byte.", line, "Export the file again.")
    return clean


def given_names(given: Sequence[str], in_file: Sequence[str] | None, line: int | None) -> list[str]:
    """The names that the source gives in place of the file's own. Raises Unreadable where their numbers differ.

    in_file: the file's own header, None where it has none.
    """
    if in_file is not None and len(in_file) != len(given):
        raise Unreadable(
            "column_names_differ",
            f"The header has {len(in_file)} columns, and column_names names {len(given)}.",
            line,
            "Name every column of the file, in order.",
        )
    return column_names(given, line)


def header_not_found(wanted: str | int, line: int | None) -> Unreadable:
    """What to say where the header is not where the source says."""
    where = f"line {wanted}" if isinstance(wanted, int) else f"a column {wanted} in the first lines"
    return Unreadable(
        "header_not_found",
        f"There is no header: the source says {where}.",
        line,
        "Correct header in district.yaml, or ask for the header in the export.",
    )


def too_many_columns(line: int | None) -> Unreadable:
    """What to say of a file with more columns than any export has."""
    return Unreadable(
        "too_many_columns",
        f"The file has more than {MOST_COLUMNS:,} columns.",
        line,
        "Check the delimiter, or ask for an export of records.",
    )


def without_escape(cell: str) -> str:
    """`001` for `="001"`, by which exports keep spreadsheets from eating zeros; anything else as it is."""
    if cell.startswith('="') and cell.endswith('"') and len(cell) > 2 and '"' not in cell[2:-1]:
        return cell[2:-1]
    return cell


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
