"""Delimited text (CSV, TSV) as districts really send it.

Two ways lead to the same rows. A plain file (UTF-8, LF or CRLF throughout, every record on a line of its
own, every record whole) goes straight to DuckDB, and a row's line follows from its place. Any other file
is first copied, in a stream, to UTF-8 with LF, and every record carries its physical line as a first
field, so that lines stay exact whatever is refused. Both ways count the records apart from DuckDB, and
the reader stops when the counts differ: nothing is lost unseen.

A blank line is no record. A line break inside quotes arrives as LF. A quote that is never closed costs
the line it stands on, not the rest of the file.
"""

from __future__ import annotations

import codecs
import csv
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import duckdb
import numpy
import pyarrow

from pipelines.config import Source
from pipelines.sources import MAPPED_BY_DISTRICT, Reading, RowsLost, Unreadable, text
from pipelines.sources.rows import Rows, column_names, given_names, header_not_found, without_escape

_DELIMITERS = (",", "\t", ";", "|")
#: The longest record that may span lines: a real comment is far shorter, a lost quote far longer.
_RECORD_LINES = 1000
#: A header that is found by a column's name stands within so many lines.
_HEADER_LINES = 1000
#: Beyond so many columns the engine runs out of memory while it writes (600 MB, DuckDB 1.5.5): it sets 256 kB aside
#: for each, more than once.
_WIDE = 250
#: Refused records handed to DuckDB in one go.
_BATCH = 10_000
#: A row group of a plain file's rows: DuckDB's own size, less where rows are wide, so that memory stays bounded.
_GROUP_ROWS, _GROUP_CELLS, _LEAST_GROUP = 122_880, 4_000_000, 2_048
#: Wider files wait in a table: Parquet is written with a buffer a column, which 600 MB do not hold for 1,869 columns.
_PLAIN_COLUMNS = 400

csv.field_size_limit(text.LONGEST)  # no record is longer

_REMEDIES = {
    "too_few_fields": "Export the row again: it has fewer fields than the header names.",
    "too_many_fields": "Export the row again with quotes around values that hold the delimiter.",
    "broken_quotes": "Export the row again with every quote inside a quoted value doubled.",
    "unterminated_quote": "Close the quote that opens on this line, or double it, and export the file again.",
    "malformed_row": "Export the row again: it does not follow the file's own layout.",
}

_ENGINE_REASONS = {
    "MISSING COLUMNS": "too_few_fields",
    "TOO MANY COLUMNS": "too_many_fields",
    "UNQUOTED VALUE": "broken_quotes",
}


@dataclass(frozen=True)
class _Layout:
    """How the file is written.

    header: the column names; has_header: whether the file names columns, too; first_line: the header's line, else
        that of the first record. Lines above it are a banner.
    ending: where the records end. escapes: whether a cell may stand as ="001".
    records: counted only where the file is plain, else None.
    """

    encoding: str
    delimiter: str
    header: list[str]
    has_header: bool
    first_line: int
    ending: text.Ending
    line_column: str
    escapes: bool
    records: int | None


def read(con: duckdb.DuckDBPyConnection, file: Path, source: Source, scratch: Path) -> Reading:
    """Read a delimited file into a temp table named under `*`: VARCHAR columns of the header and the line.

    Memory is bounded by DuckDB's limit plus a few chunks, whatever the file's size. Raises Unreadable
    when the whole file cannot be read, RowsLost when rows are missing (never seen; checked every time).
    """
    scan = _scan(file, text.declared_encoding(file, source.encoding))
    with text.decoding(file, scan.encoding):
        ending = text.ending(con, file, scan.encoding, source)
        with text.open_text(file, scan.encoding) as opened:
            layout = _layout(opened, scan, source, ending)
        reading = None
        if len(layout.header) > _WIDE:
            reading = _read_wide(con, file, layout, scratch)
        elif layout.records is not None:
            reading = _read_plain(con, file, layout, layout.records, scratch)
        if reading is None:
            reading = _read_numbered(con, file, layout, scratch)
    ending.require(reading.rows_read)
    return reading


# --- the bytes ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scan:
    """What one pass over the bytes shows. lines: their number where the file is plain, else None."""

    encoding: str
    lines: int | None = None
    escapes: bool = True


def _scan(file: Path, encoding: str) -> _Scan:
    """One pass over the bytes: the encoding, and whether the file is plain.

    Plain: UTF-8, LF or CRLF throughout, no blank lines, quotes that pair within each line.
    """
    if encoding not in ("auto", "utf-8", "utf-8-sig"):
        return _Scan(encoding)
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    plain, at_line_start, open_quotes, lines, returns = True, True, 0, 0, 0
    escapes, after_equals = False, False
    for chunk in text.chunks(file):
        try:
            if not chunk.isascii() or decoder.getstate()[0]:
                decoder.decode(chunk)
        except UnicodeDecodeError:
            return _Scan(text.not_utf8(file, encoding))
        if b"\0" in chunk:
            return _Scan(text.not_plain_text(file, encoding))
        if plain:
            ends = numpy.flatnonzero(numpy.frombuffer(chunk, dtype=numpy.uint8) == ord("\n"))
            lines += len(ends)
            pairs = chunk.count(b"\r\n") if b"\r" in chunk else 0
            returns += pairs
            paired, open_quotes = _quotes_pair(chunk, ends, open_quotes)
            # With one kind of line end throughout, a blank line is two ends with nothing but the second between.
            plain = (
                paired
                and chunk.count(b"\r") == pairs
                and returns in (0, lines)
                and not (at_line_start and chunk.startswith((b"\n", b"\r\n")))
                and not (numpy.diff(ends) == (2 if pairs else 1)).any()
            )
        if b'"' in chunk and not escapes:
            escapes = b'="' in chunk or (after_equals and chunk.startswith(b'"'))
        at_line_start, after_equals = chunk.endswith(b"\n"), chunk.endswith(b"=")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return _Scan(text.not_utf8(file, encoding))
    is_plain = plain and not open_quotes
    return _Scan("utf-8-sig", lines + (not at_line_start) if is_plain else None, escapes)


def _quotes_pair(
    chunk: bytes, ends: numpy.ndarray[Any, numpy.dtype[numpy.int64]], open_quotes: int
) -> tuple[bool, int]:
    """Whether each line that ends in `chunk`, at `ends`, has an even number of quotes; and the open line's parity."""
    if b'"' not in chunk:
        return not (open_quotes and len(ends)), open_quotes
    quotes = numpy.flatnonzero(numpy.frombuffer(chunk, dtype=numpy.uint8) == ord('"'))
    before = numpy.searchsorted(quotes, ends) + open_quotes
    return bool((before % 2 == 0).all()), (len(quotes) + open_quotes) % 2


# --- the records -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Record:
    """One record as it stands in the file, without its last line break; `line` is the one it begins on."""

    line: int
    text: str
    reason: str | None = None


class _Grammar:
    """What a record looks like, given its delimiter.

    A field is quoted (blanks may stand around the quotes) or bare; a quote inside a bare field is a
    plain character (5" pipe), as in DuckDB.
    """

    def __init__(self, delimiter: str) -> None:
        mark = re.escape(delimiter)
        inside = '[^"]*+(?:""[^"]*+)*+'
        field = rf'(?: *+"{inside}" *+|(?! *+")[^{mark}\n]*+)'
        self.is_whole = re.compile(rf"{field}(?:{mark}{field})*+").fullmatch
        self.is_open = re.compile(rf'(?:{field}{mark})*+ *+"{inside}').fullmatch


def _records(lines: Iterable[str], grammar: _Grammar, first_line: int) -> Iterator[_Record]:
    """Group physical lines, the first one numbered `first_line`, into records; blank lines between them are none.

    A line that ends inside quotes is joined with those below, up to a whole record. Where that does
    not come about within a record's limits, or the quotes break on the way, the first line alone is
    refused and reading resumes on the next: a lost quote never swallows what follows.
    """
    source = iter(lines)
    pending: list[str] = []  # lines looked at and given back, the next one last
    line = first_line - 1
    while (content := pending.pop() if pending else next(source, None)) is not None:
        line += 1
        content = content.removesuffix("\n")
        if not content:
            continue
        if '"' not in content or grammar.is_whole(content):
            yield _Record(line, content)
        elif not grammar.is_open(content):
            yield _Record(line, content, "broken_quotes")
        else:
            below, whole = _lines_below(content, pending, source, grammar)
            if whole:
                yield _Record(line, "\n".join([content, *below]))
                line += len(below)
            else:
                pending.extend(f"{one}\n" for one in reversed(below))
                yield _Record(line, content, "unterminated_quote")


def _lines_below(first: str, pending: list[str], source: Iterator[str], grammar: _Grammar) -> tuple[list[str], bool]:
    """The lines that go on from `first`, which ends inside quotes, and whether they complete its record."""
    record = first
    below: list[str] = []
    while len(below) < _RECORD_LINES and len(record) < text.LONGEST:
        further = pending.pop() if pending else next(source, None)
        if further is None:
            break
        below.append(further.removesuffix("\n"))
        record = f"{record}\n{below[-1]}"
        if '"' in further:
            if grammar.is_whole(record):
                return below, True
            if not grammar.is_open(record):
                break
    return below, False


def _layout(opened: TextIO, scan: _Scan, source: Source, ending: text.Ending) -> _Layout:
    """Where the header stands, and the delimiter and column names that follow from it."""
    first_line, first = _first_line(opened, source)
    delimiter = _delimiter(first, source.delimiter)
    opened.seek(0)
    below = islice(text.lines(opened), first_line - 1, None)
    record = next(_records(below, _Grammar(delimiter), first_line), None)
    names: list[str] | None = None
    if source.header != 0:
        if record is None:
            raise header_not_found(source.header, None)
        if record.reason:
            raise Unreadable(record.reason, "The header's quotes do not pair.", record.line, _REMEDIES[record.reason])
        names = _cells(record, delimiter)
    if source.column_names or names is None:
        header = given_names(source.column_names, names, first_line)
    else:
        header = column_names(names, first_line)
    line_column = "line"
    while line_column in {name.lower() for name in header}:
        line_column = f"_{line_column}"
    records = None
    if scan.lines is not None and ending.last_line is None:
        records = scan.lines - first_line + (names is None)
    has_header = names is not None
    return _Layout(scan.encoding, delimiter, header, has_header, first_line, ending, line_column, scan.escapes, records)


def _first_line(opened: TextIO, source: Source) -> tuple[int, str]:
    """The number and text of the line on which the header begins, or where there is none the first record."""
    wanted = source.header
    name = " ".join(wanted.split()).casefold() if isinstance(wanted, str) else None
    last = _HEADER_LINES if name is not None else None
    is_blank = True
    for line, content in enumerate(islice(text.lines(opened), last), start=1):
        if not content.strip("\n"):
            continue
        is_blank = False
        if name is None:
            if line >= max(int(wanted), 1):
                return line, content
        elif name in " ".join(content.split()).casefold():
            record = _Record(line, content.removesuffix("\n"))
            cells = _cells(record, _delimiter(content, source.delimiter))
            if name in (" ".join(cell.split()).casefold() for cell in cells):
                return line, content
    if is_blank:
        raise Unreadable("empty_file", "The file holds no header.", 1, "Export it again, with its header line.")
    raise header_not_found(wanted, None)


def _delimiter(header: str, declared: str) -> str:
    """The declared delimiter, else the commonest candidate of the header outside quotes."""
    if declared != "auto":
        return declared
    outside = Counter(re.sub(r'"[^"]*"', "", header))
    return max(_DELIMITERS, key=lambda delimiter: outside[delimiter])


def _cells(record: _Record, delimiter: str) -> list[str]:
    """The cells of a record whose quotes pair, trimmed."""
    if "\0" in record.text:
        raise text.nul_byte(record.line)
    rows = csv.reader(record.text.split("\n"), delimiter=delimiter, skipinitialspace=True)
    return [without_escape(cell.strip()) for cell in next(rows)]


# --- the engine --------------------------------------------------------------------------------------------


def _read_plain(
    con: duckdb.DuckDBPyConnection, file: Path, layout: _Layout, records: int, scratch: Path
) -> Reading | None:
    """Read in parallel; lines follow from the rows' order. None when a row was refused: they would not.

    The rows wait in Parquet on disk. As a temp table, 10,000,000 of attendance fill a gigabyte, and what is asked of
    them takes twice the time: Parquet hands over repeated values once, and they are judged once.
    """
    name = _name()
    rows = scratch / f"{name}.parquet"
    scanner = _scanner(name, file, layout.header, layout, header=layout.has_header, skip=layout.first_line - 1)
    plain_names = ", ".join(f"c{n}" for n in range(len(layout.header)))
    group = max(_LEAST_GROUP, min(_GROUP_ROWS, _GROUP_CELLS // len(layout.header)))
    landed = _one(
        con,
        f"COPY (FROM {scanner} AS rows ({plain_names})) TO {_literal(str(rows))} "
        f"(FORMAT parquet, COMPRESSION lz4_raw, ROW_GROUP_SIZE {group})",
    )
    rows.chmod(0o600)
    errors = _one(con, f"SELECT count(*) FROM {name}_errors")
    _drop_errors(con, name)
    if errors or landed != records:
        rows.unlink()
        return None
    columns = ", ".join(f"{_cell(f'c{n}', layout)} AS {_quoted(column)}" for n, column in enumerate(layout.header))
    first = layout.first_line + layout.has_header
    con.execute(
        f"CREATE TEMP VIEW {name} AS SELECT {columns}, file_row_number + {first} AS {layout.line_column} "
        f"FROM read_parquet({_literal(str(rows))}, file_row_number = true)"
    )
    _create_refused(con, name)
    return Reading({MAPPED_BY_DISTRICT: name}, f"{name}_refused", records, layout.line_column)


def _read_numbered(con: duckdb.DuckDBPyConnection, file: Path, layout: _Layout, scratch: Path) -> Reading:
    """Read a copy in which every record begins with its physical line."""
    name = _name()
    copy = scratch / f"{name}.csv"
    _create_refused(con, name)
    try:
        records, spans_lines = _number(con, name, file, layout, copy)
        columns = [layout.line_column, *layout.header]
        # A quoted line break can mislead a thread that starts in the middle of the file.
        scanner = _scanner(name, copy, columns, layout, header=False, parallel=not spans_lines)
        line = layout.line_column
        cells = ", ".join(f"{_cell(_quoted(one), layout)} AS {_quoted(one)}" for one in layout.header)
        con.execute(f"CREATE TEMP TABLE {name} AS SELECT {line}::BIGINT AS {line}, {cells} FROM {scanner}")
        _take_engine_errors(con, name, layout.delimiter)
        _drop_errors(con, name)
    finally:
        copy.unlink(missing_ok=True)
    landed = _one(con, f"SELECT count(*) FROM {name}")
    refused = _one(con, f"SELECT count(*) FROM {name}_refused")
    if landed + refused != records:
        raise RowsLost(f"{records} records in the file, {landed} landed and {refused} refused")
    return Reading({MAPPED_BY_DISTRICT: name}, f"{name}_refused", records, line)


def _read_wide(con: duckdb.DuckDBPyConnection, file: Path, layout: _Layout, scratch: Path) -> Reading:
    """Read a file of very many columns record by record, without the engine."""
    rows = Rows(scratch, _REMEDIES, layout.header)
    with text.open_text(file, layout.encoding) as opened:
        for record in _records_below_header(opened, layout):
            if record.reason:
                rows.refuse(record.line, record.reason, record.text)
                continue
            (cells,) = csv.reader([record.text], delimiter=layout.delimiter, skipinitialspace=True)
            if len(cells) == len(layout.header) + 1 and record.text.endswith(layout.delimiter):
                cells.pop()  # the engine does not mind a delimiter at the end, either
            if len(cells) != len(layout.header):
                reason = "too_few_fields" if len(cells) < len(layout.header) else "too_many_fields"
                rows.refuse(record.line, reason, record.text)
            else:
                rows.add(record.line, [without_escape(cell) or None for cell in cells])
    return rows.reading(con)


def _records_below_header(opened: TextIO, layout: _Layout) -> Iterator[_Record]:
    """The file's records. Raises Unreadable at a NUL byte."""
    lines = islice(text.lines(opened), layout.first_line - 1, layout.ending.last_line)
    records = _records(lines, _Grammar(layout.delimiter), layout.first_line)
    if layout.has_header:
        next(records, None)
    for record in records:
        if "\0" in record.text:
            raise text.nul_byte(record.line)
        yield record


def _number(con: duckdb.DuckDBPyConnection, name: str, file: Path, layout: _Layout, copy: Path) -> tuple[int, bool]:
    """Write the numbered copy, broken records to `<name>_refused`: (records in the file, does any span lines)."""
    count, spans_lines = 0, False
    broken: list[_Record] = []
    with text.open_text(file, layout.encoding) as opened, copy.open("w", encoding="utf-8", newline="") as out:
        copy.chmod(0o600)
        for record in _records_below_header(opened, layout):
            count += 1
            if record.reason:
                broken.append(record)
                if len(broken) >= _BATCH:
                    _set_aside(con, name, broken)
            else:
                spans_lines = spans_lines or "\n" in record.text
                out.write(f"{record.line}{layout.delimiter}{record.text}\n")
    _set_aside(con, name, broken)
    return count, spans_lines


def _set_aside(con: duckdb.DuckDBPyConnection, name: str, broken: list[_Record]) -> None:
    """Move the records of `broken` to `<name>_refused`, with their reason and what to do."""
    if not broken:
        return
    batch = pyarrow.table(
        {
            "line": [record.line for record in broken],
            "reason": [record.reason for record in broken],
            "remedy": [_REMEDIES[record.reason or "malformed_row"] for record in broken],
            "text": [record.text for record in broken],
        }
    )
    con.register(f"{name}_broken", batch)
    con.execute(f"INSERT INTO {name}_refused SELECT line, NULL, reason, remedy, text FROM {name}_broken")
    con.unregister(f"{name}_broken")
    broken.clear()


def _cell(name: str, layout: _Layout) -> str:
    """The SQL of a column's cells, without the escape by which ="001" keeps its zeros in a spreadsheet."""
    if not layout.escapes:
        return name
    is_escaped = f"starts_with({name}, '=\"') AND regexp_full_match({name}, '=\"[^\"]*\"')"
    return f"CASE WHEN {is_escaped} THEN substr({name}, 3, length({name}) - 3) ELSE {name} END"


def _scanner(
    name: str,
    file: Path,
    columns: list[str],
    layout: _Layout,
    *,
    header: bool,
    skip: int = 0,
    parallel: bool = True,
) -> str:
    """The `read_csv` call: text only, nothing sniffed, what it cannot read kept in `<name>_errors`."""
    typed = ", ".join(f"{_literal(column)}: 'VARCHAR'" for column in columns)
    return (
        f"read_csv({_literal(str(file))}, auto_detect = false, header = {header}, skip = {skip}, "
        f"columns = {{{typed}}}, delim = {_literal(layout.delimiter)}, quote = '\"', escape = '\"', "
        f"parallel = {parallel}, store_rejects = true, rejects_table = '{name}_errors', rejects_scan = '{name}_scans')"
    )


def _take_engine_errors(con: duckdb.DuckDBPyConnection, name: str, delimiter: str) -> None:
    """Turn what the engine refused into rows of `<name>_refused`: one a record, by the line that it carries."""
    mark = _literal(delimiter)
    reasons = " ".join(f"WHEN '{kind}' THEN '{reason}'" for kind, reason in _ENGINE_REASONS.items())
    remedies = " ".join(f"WHEN '{reason}' THEN {_literal(remedy)}" for reason, remedy in _REMEDIES.items())
    con.execute(
        f"""
        INSERT INTO {name}_refused
        SELECT line, NULL, reason, CASE reason {remedies} END, text
        FROM (
            SELECT
                split_part(csv_line, {mark}, 1)::BIGINT AS line,
                CASE min_by(error_type, column_idx)::VARCHAR {reasons} ELSE 'malformed_row' END AS reason,
                rtrim(substr(csv_line, strpos(csv_line, {mark}) + 1), chr(10)) AS text
            FROM {name}_errors
            GROUP BY csv_line
        )
        """
    )


def _create_refused(con: duckdb.DuckDBPyConnection, name: str) -> None:
    con.execute(
        f"CREATE TEMP TABLE {name}_refused "
        "(line BIGINT, column_name VARCHAR, reason VARCHAR, remedy VARCHAR, text VARCHAR)"
    )


def _drop_errors(con: duckdb.DuckDBPyConnection, name: str) -> None:
    con.execute(f"DROP TABLE {name}_errors")
    con.execute(f"DROP TABLE {name}_scans")


def _name() -> str:
    return f"delimited_{secrets.token_hex(4)}"


def _one(con: duckdb.DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    return int(row[0]) if row else 0


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
