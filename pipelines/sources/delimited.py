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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

import duckdb
import numpy
import pyarrow

from pipelines.config import Source
from pipelines.sources import MAPPED_BY_DISTRICT, Reading, RowsLost, Unreadable

_CHUNK = 4 * 1024 * 1024
_DELIMITERS = (",", "\t", ";", "|")
#: The longest record that may span lines: a real comment is far shorter, a lost quote far longer.
_RECORD_LINES = 1000
#: The longest record, in characters: at most 4 bytes each, it stays below DuckDB's limit of 2,000,000 bytes.
_RECORD_CHARACTERS = 490_000
#: Refused records handed to DuckDB in one go.
_BATCH = 10_000

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
    """How the file is written. records: counted only where the file is plain, else None."""

    encoding: str
    delimiter: str
    header: list[str]
    line_column: str
    records: int | None


def read(con: duckdb.DuckDBPyConnection, file: Path, source: Source, scratch: Path) -> Reading:
    """Read a delimited file into a temp table named under `*`: VARCHAR columns of the header and the line.

    Memory is bounded by DuckDB's limit plus a few chunks, whatever the file's size. Raises Unreadable
    when the whole file cannot be read, RowsLost when rows are missing (never seen; checked every time).
    """
    encoding, lines = _scan(file, _declared_encoding(file, source.encoding))
    try:
        with _open(file, encoding) as text:
            layout = _layout(text, encoding, source.delimiter, lines)
        if layout.records is not None:
            reading = _read_plain(con, file, layout, layout.records)
            if reading is not None:
                return reading
        return _read_numbered(con, file, layout, scratch)
    except UnicodeError:
        raise Unreadable(
            "wrong_encoding",
            f"The file holds bytes that {encoding} does not define.",
            _line_of(file, lambda content: _first_undecodable(content, encoding)) if encoding == "cp1252" else None,
            "Export the file as UTF-8, or set the source's encoding.",
        ) from None


# --- the bytes ---------------------------------------------------------------------------------------------


def _declared_encoding(file: Path, declared: str) -> str:
    """What the file's mark says, else the declared encoding; `auto` where only a look at all bytes can tell."""
    try:
        with file.open("rb") as binary:
            start = binary.read(3)
    except OSError as problem:
        raise Unreadable(
            "not_readable", f"The file cannot be opened: {problem.strerror}.", None, "Check its path and permissions."
        ) from None
    if not start:
        raise Unreadable("empty_file", "The file is empty.", 1, "Export it again, with its header line.")
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if declared == "auto":
        return "auto"
    try:
        "".encode(declared)  # refuses what is no text encoding, too
    except LookupError:
        raise Unreadable(
            "unknown_encoding", "The source's encoding is not known.", None, "Name one as utf-8, cp1252 or utf-16."
        ) from None
    return codecs.lookup(declared).name


def _scan(file: Path, encoding: str) -> tuple[str, int | None]:
    """One pass over the bytes: the encoding, and the number of lines where the file is plain, else None.

    Plain: UTF-8, LF or CRLF throughout, no blank lines, quotes that pair within each line.
    """
    if encoding not in ("auto", "utf-8", "utf-8-sig"):
        return encoding, None
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    plain, at_line_start, open_quotes, lines, returns = True, True, 0, 0, 0
    for chunk in _chunks(file):
        try:
            if not chunk.isascii() or decoder.getstate()[0]:
                decoder.decode(chunk)
        except UnicodeDecodeError:
            return _not_utf8(file, encoding), None
        if b"\0" in chunk:
            raise _nul_byte(_line_of(file, lambda content: content.find(b"\0")))
        if plain:
            breaks, pairs = chunk.count(b"\n"), chunk.count(b"\r\n")
            lines += breaks
            returns += pairs
            paired, open_quotes = _quotes_pair(chunk, open_quotes)
            plain = (
                paired
                and chunk.count(b"\r") == pairs
                and returns in (0, lines)
                and not (at_line_start and chunk.startswith((b"\n", b"\r\n")))
                and b"\n\n" not in chunk
                and b"\n\r\n" not in chunk
            )
        at_line_start = chunk.endswith(b"\n")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return _not_utf8(file, encoding), None
    if not plain or open_quotes:
        return "utf-8-sig", None
    return "utf-8-sig", lines + (not at_line_start)


def _chunks(file: Path) -> Iterator[bytes]:
    """The file in pieces that never part a CR from its LF."""
    with file.open("rb") as binary:
        while chunk := binary.read(_CHUNK):
            yield chunk + binary.read(1) if chunk.endswith(b"\r") else chunk


def _quotes_pair(chunk: bytes, open_quotes: int) -> tuple[bool, int]:
    """Whether each line that ends in `chunk` has an even number of quotes; and the last, open line's parity."""
    if b'"' not in chunk:
        return not (open_quotes and b"\n" in chunk), open_quotes
    data = numpy.frombuffer(chunk, dtype=numpy.uint8)
    quotes = numpy.flatnonzero(data == ord('"'))
    ends = numpy.flatnonzero(data == ord("\n"))
    before = numpy.searchsorted(quotes, ends) + open_quotes
    return bool((before % 2 == 0).all()), (len(quotes) + open_quotes) % 2


def _not_utf8(file: Path, encoding: str) -> str:
    """The encoding of a file that is not UTF-8: cp1252 where the district left the choice to us."""
    if encoding == "auto":
        return "cp1252"
    raise Unreadable(
        "wrong_encoding",
        "The file or its source says UTF-8, but the file holds bytes that are not.",
        _line_of(file, lambda content: _first_undecodable(content, "utf-8")),
        "Export the file as UTF-8, or set the source's encoding.",
    )


def _line_of(file: Path, find: Callable[[bytes], int]) -> int | None:
    """The physical line (CR, LF and CRLF each end one) of the first byte that `find` points at (-1: none here)."""
    line = 1
    with file.open("rb") as binary:
        for content in binary:
            position = find(content)
            before = content if position < 0 else content[:position]
            line += before.count(b"\n") + len(re.findall(rb"\r(?!\n)", before))
            if position >= 0:
                return line
    return None


def _first_undecodable(content: bytes, encoding: str) -> int:
    try:
        content.decode(encoding)
    except UnicodeDecodeError as problem:
        return problem.start
    return -1


def _nul_byte(line: int | None) -> Unreadable:
    return Unreadable(
        "nul_byte",
        "The file holds NUL bytes: it is not text, or it is UTF-16 without its mark.",
        line,
        "Export the file as text, in UTF-8.",
    )


def _open(file: Path, encoding: str) -> TextIO:
    # newline=None: CR, LF and CRLF all end a line, in any mixture, and arrive as LF.
    return file.open("r", encoding=encoding, errors="strict", newline=None)


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


def _records(lines: Iterable[str], grammar: _Grammar) -> Iterator[_Record]:
    """Group physical lines into records; blank lines between records are none.

    A line that ends inside quotes is joined with those below, up to a whole record. Where that does
    not come about within a record's limits, or the quotes break on the way, the first line alone is
    refused and reading resumes on the next: a lost quote never swallows what follows.
    """
    source = iter(lines)
    pending: list[str] = []  # lines looked at and given back, the next one last
    line = 0
    while (text := pending.pop() if pending else next(source, None)) is not None:
        line += 1
        text = text.removesuffix("\n")
        if not text:
            continue
        if '"' not in text or grammar.is_whole(text):
            yield _Record(line, text)
        elif not grammar.is_open(text):
            yield _Record(line, text, "broken_quotes")
        else:
            below, whole = _lines_below(text, pending, source, grammar)
            if whole:
                yield _Record(line, "\n".join([text, *below]))
                line += len(below)
            else:
                pending.extend(f"{one}\n" for one in reversed(below))
                yield _Record(line, text, "unterminated_quote")


def _lines_below(first: str, pending: list[str], source: Iterator[str], grammar: _Grammar) -> tuple[list[str], bool]:
    """The lines that go on from `first`, which ends inside quotes, and whether they complete its record."""
    text = first
    below: list[str] = []
    while len(below) < _RECORD_LINES and len(text) < _RECORD_CHARACTERS:
        further = pending.pop() if pending else next(source, None)
        if further is None:
            break
        below.append(further.removesuffix("\n"))
        text = f"{text}\n{below[-1]}"
        if '"' in further:
            if grammar.is_whole(text):
                return below, True
            if not grammar.is_open(text):
                break
    return below, False


def _lines(text: TextIO) -> Iterator[str]:
    """The file's lines. A line without end is no text file of rows: Unreadable, before memory runs out."""
    for line, content in enumerate(iter(partial(text.readline, _RECORD_CHARACTERS), ""), start=1):
        if len(content) == _RECORD_CHARACTERS and not content.endswith("\n"):
            raise Unreadable(
                "line_too_long",
                f"A line is longer than {_RECORD_CHARACTERS:,} characters.",
                line,
                "Check the export for missing line breaks.",
            )
        yield content


def _layout(text: TextIO, encoding: str, declared_delimiter: str, lines: int | None) -> _Layout:
    """Delimiter and header from the file's first record."""
    first_line = next((line for line in _lines(text) if line.strip("\n")), None)
    if first_line is None:
        raise Unreadable("empty_file", "The file holds no header.", 1, "Export it again, with its header line.")
    delimiter = _delimiter(first_line, declared_delimiter)
    text.seek(0)
    first = next(_records(_lines(text), _Grammar(delimiter)))
    if first.reason:
        raise Unreadable(first.reason, "The header's quotes do not pair.", first.line, _REMEDIES[first.reason])
    header = _header(first, delimiter)
    line_column = "line"
    while line_column in {name.lower() for name in header}:
        line_column = f"_{line_column}"
    return _Layout(encoding, delimiter, header, line_column, None if lines is None else lines - 1)


def _delimiter(header: str, declared: str) -> str:
    """The declared delimiter, else the commonest candidate of the header outside quotes."""
    if declared != "auto":
        return declared
    outside = Counter(re.sub(r'"[^"]*"', "", header))
    return max(_DELIMITERS, key=lambda delimiter: outside[delimiter])


def _header(record: _Record, delimiter: str) -> list[str]:
    """The column names; each must be there and be the only one of its name, in upper or lower case."""
    if "\0" in record.text:
        raise _nul_byte(record.line)
    rows = csv.reader(record.text.split("\n"), delimiter=delimiter, skipinitialspace=True)
    names = [" ".join(name.split()) for name in next(rows)]
    if "" in names:
        raise Unreadable(
            "empty_column_name",
            f"Column {names.index('') + 1} of the header has no name.",
            record.line,
            "Give every column a name, or remove the delimiter that ends the header line.",
        )
    seen = Counter(name.lower() for name in names)
    twice = sorted(name for name, count in seen.items() if count > 1)
    if twice:
        raise Unreadable(
            "duplicate_column_name",
            f"The header names a column more than once: {', '.join(twice)}.",
            record.line,
            "Rename or remove the second one in the export.",
        )
    return names


# --- the engine --------------------------------------------------------------------------------------------


def _read_plain(con: duckdb.DuckDBPyConnection, file: Path, layout: _Layout, records: int) -> Reading | None:
    """Read in parallel; lines follow from the rows' order. None when a row was refused: they would not."""
    name = _name()
    con.execute(f"CREATE TEMP TABLE {name}_rows AS FROM {_scanner(name, file, layout.header, layout, header=True)}")
    errors = _one(con, f"SELECT count(*) FROM {name}_errors")
    landed = _one(con, f"SELECT count(*) FROM {name}_rows")
    _drop_errors(con, name)
    if errors or landed != records:
        con.execute(f"DROP TABLE {name}_rows")
        return None
    con.execute(f"CREATE TEMP VIEW {name} AS SELECT *, rowid + 2 AS {layout.line_column} FROM {name}_rows")
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
        con.execute(f"CREATE TEMP TABLE {name} AS SELECT * REPLACE ({line}::BIGINT AS {line}) FROM {scanner}")
        _take_engine_errors(con, name, layout.delimiter)
        _drop_errors(con, name)
    finally:
        copy.unlink(missing_ok=True)
    landed = _one(con, f"SELECT count(*) FROM {name}")
    refused = _one(con, f"SELECT count(*) FROM {name}_refused")
    if landed + refused != records:
        raise RowsLost(f"{records} records in the file, {landed} landed and {refused} refused")
    return Reading({MAPPED_BY_DISTRICT: name}, f"{name}_refused", records, line)


def _number(con: duckdb.DuckDBPyConnection, name: str, file: Path, layout: _Layout, copy: Path) -> tuple[int, bool]:
    """Write the numbered copy, broken records to `<name>_refused`: (records in the file, does any span lines)."""
    count, spans_lines = 0, False
    broken: list[_Record] = []
    with _open(file, layout.encoding) as text, copy.open("w", encoding="utf-8", newline="") as out:
        copy.chmod(0o600)
        records = _records(_lines(text), _Grammar(layout.delimiter))
        next(records)
        for record in records:
            count += 1
            if "\0" in record.text:
                raise _nul_byte(record.line)
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


def _scanner(name: str, file: Path, columns: list[str], layout: _Layout, *, header: bool, parallel: bool = True) -> str:
    """The `read_csv` call: text only, nothing sniffed, what it cannot read kept in `<name>_errors`."""
    typed = ", ".join(f"{_literal(column)}: 'VARCHAR'" for column in columns)
    return (
        f"read_csv({_literal(str(file))}, auto_detect = false, header = {header}, columns = {{{typed}}}, "
        f"delim = {_literal(layout.delimiter)}, quote = '\"', escape = '\"', parallel = {parallel}, "
        f"store_rejects = true, rejects_table = '{name}_errors', rejects_scan = '{name}_scans')"
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


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
