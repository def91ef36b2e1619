"""A bounded look at a file: its column names and a sample of its rows, whatever its format and however it is laid out.

Of a large text file the beginning, parts spread over it and the end are read, never more than _BYTES. What stands
above the column names (banners) and below the records (totals, trailers) is found, so that it can be configured.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import statistics
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from pipelines.code_version import ROOT
from pipelines.proposal.names import known_share
from pipelines.proposal.sheets import as_text

#: Bytes of a text file that are looked at: half from its beginning, half in _PARTS spread over the rest.
_BYTES, _PARTS = 8_000_000, 8
_ROWS, _CELLS = 40_000, 2_000_000
_DELIMITERS = (",", "\t", ";", "|", "~", "^")
#: Lines in which the column names are looked for, and lines at the end that may be no records.
_HEADER_LINES, _FOOTER_LINES = 30, 10
_MOST_COLUMNS = 10_000
#: A spreadsheet above this is not opened, since it is loaded whole; nor one that takes longer to open.
_SPREADSHEET_BYTES, _SPREADSHEET_UNPACKED, _SECONDS = 200_000_000, 1024**3, 120


@dataclass
class Table:
    """What was seen of a file.

    columns: the names; rows: cells as text, '' where empty, in the order of the columns. settings: how a source must
    be configured to be read so (delimiter, header, footer_lines, sheet, column_names, fields), where it differs from
    the default. notes: what was decided and why. entities: what the format itself says that it feeds (Ed-Fi XML).
    whole: whether all rows were seen.
    """

    kind: str
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    entities: list[str] = field(default_factory=list)
    whole: bool = True
    unsure: bool = False


class NotUnderstood(Exception):
    """A file that nothing can be proposed for, and why. The message holds no value from the file."""


def kind_of(file: Path) -> str:
    """The kind of source, by content: the name may lie. Raises NotUnderstood."""
    with file.open("rb") as binary:
        start = binary.read(4096)
    if not start:
        raise NotUnderstood("it is empty")
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return "excel"
    if start.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, OSError):
            raise NotUnderstood("it is a damaged zip file") from None
        return "excel" if any(name.startswith(("xl/", "content.xml")) for name in names) else "zip"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "delimited"
    text = start.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith(b"<"):
        return "edfi_xml"
    if text.startswith((b"{", b"[{", b"[\n", b"[\r", b"[ ")):
        return "json_lines"
    if b"\0" in start:
        raise NotUnderstood("it is neither text nor a format that is known here")
    if not text:
        raise NotUnderstood("it holds no text")
    return "delimited"


def look(file: Path, kind: str) -> list[Table]:
    """The tables of a file: one, or of a spreadsheet one for each sheet that holds rows. Raises NotUnderstood."""
    if kind == "excel":
        return _spreadsheet(file)
    if kind == "parquet":
        return [_parquet(file)]
    if kind == "json_lines":
        return [_json(file)]
    if kind == "edfi_xml":
        return [_edfi(file)]
    return [_text_table(file)]


# --- text ----------------------------------------------------------------------------------------------------


def _text_table(file: Path) -> Table:
    text, tail, whole, encoding = _sampled(file)
    lines = text.split("\n")
    if lines and not lines[-1].strip():
        lines.pop()
    delimiter, header, records, width = _layout(lines)
    if delimiter is None:
        return _fixed_width(lines, whole)
    table = Table("delimited", whole=whole)
    if encoding not in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        table.settings["encoding"] = encoding
    if delimiter not in (",", "\t", ";", "|"):
        table.settings["delimiter"] = delimiter
    records = [[_unescaped(cell.strip()) for cell in record] for record in records]
    columns = [" ".join(name.split()) for name in records[header]]
    body = records[header + 1 :]
    if _is_data(columns, body):
        columns, body = [f"column_{n}" for n in range(1, width + 1)], records[header:]
        table.settings |= {"header": 0, "column_names": columns}
        table.notes.append("the first line looks like data: the columns have no names")
        table.unsure = True
    elif header:
        line = _physical_line(lines, header, delimiter)
        table.settings["header"] = line
        table.notes.append(f"the column names stand in line {line}, below a banner")
    footer = _footer(tail, delimiter, width)
    if footer:
        table.settings["footer_lines"] = footer
        table.notes.append(f"the last {footer} lines are no records")
        body = body[: len(body) - footer] if whole else body
    table.columns = columns
    _check_columns(table)
    table.rows = _bounded([row for row in body if len(row) == len(columns) and any(row)], len(columns))
    return table


def _sampled(file: Path) -> tuple[str, list[str], bool, str]:
    """Text of the sample (whole lines), the file's last lines, whether the sample is all of it, and its encoding."""
    size = file.stat().st_size
    with file.open("rb") as binary:
        if size <= _BYTES:
            content, whole = binary.read(), True
        else:
            whole = False
            first = binary.read(_BYTES // 2)
            wide = 2 if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else 1
            content = first[: first.rfind(b"\n") + 1] if wide == 1 else first
            part = _BYTES // 2 // _PARTS
            for number in range(1, _PARTS + 1):
                # A part of a UTF-16 file begins anywhere; its beginning alone must do.
                if wide == 2:
                    break
                binary.seek(_BYTES // 2 + (size - _BYTES // 2 - part) * number // _PARTS)
                piece = binary.read(part)
                content += piece[piece.find(b"\n") + 1 : piece.rfind(b"\n") + 1]
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif content.startswith(codecs.BOM_UTF8):
        encoding = "utf-8-sig"
    else:
        encoding = "utf-8"
        try:
            content.decode("utf-8")
        except UnicodeDecodeError:
            encoding = "cp1252"
    text = content.decode(encoding, errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    lines = [line for line in text.split("\n") if line.strip()]
    return text, lines[-_FOOTER_LINES:], whole, encoding


def _unescaped(cell: str) -> str:
    """`="001"`, by which exports keep a spreadsheet from eating zeros, is 001: the reader takes it so too."""
    return cell[2:-1] if len(cell) > 2 and cell.startswith('="') and cell.endswith('"') else cell


def _records(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    return [record for record in csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter) if record]


def _layout(lines: Sequence[str]) -> tuple[str | None, int, list[list[str]], int]:
    """Delimiter, index of the record with the column names, all records, and the number of columns.

    The delimiter is the one under which most lines have the same number of fields, and more than one.
    """
    csv.field_size_limit(10_000_000)
    best: tuple[float, int, str] | None = None
    probe = [line for line in lines[:400] if line.strip()]
    for delimiter in _DELIMITERS:
        try:
            widths = Counter(len(record) for record in _records(probe, delimiter))
        except csv.Error:
            continue
        width, count = max(widths.items(), key=lambda item: (item[1] if item[0] > 1 else 0, item[0]))
        if width > 1 and count >= max(1, len(probe) * 0.5):
            key = (count / sum(widths.values()), width, delimiter)
            if best is None or key[:2] > best[:2]:
                best = key
    if best is None:
        return None, 0, [], 1
    delimiter, width = best[2], best[1]
    try:
        records = _records(lines, delimiter)
    except csv.Error:
        raise NotUnderstood("its quotes do not pair") from None
    for index, record in enumerate(records[:_HEADER_LINES]):
        filled = [cell for cell in record if cell.strip()]
        if len(record) == width and len(filled) >= max(2, 0.7 * width) and len(set(filled)) == len(filled):
            return delimiter, index, records, width
    raise NotUnderstood("no line looks like column names")


def _is_data(names: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether a line of names is itself a record: it holds numbers or dates where the rows below do too, and
    hardly any name that is known."""
    if known_share(names) >= 0.25:
        return False
    numbers = sum(bool(re.fullmatch(r"[\d/.:\- ]+", name)) for name in names)
    if numbers == 0:
        below = body[:200]
        # Names repeat in no column; a first record of words often does (school names, grades).
        repeated = sum(any(row[n] == name for row in below if len(row) > n) for n, name in enumerate(names))
        return repeated >= max(2, len(names) // 3)
    dates_of_days = sum(bool(re.fullmatch(r"\d{1,4}[/.\-]\d{1,2}([/.\-]\d{1,4})?", name)) for name in names)
    return numbers >= 0.3 * len(names) and dates_of_days < 0.3 * len(names)


def _physical_line(lines: Sequence[str], header: int, delimiter: str) -> int:
    """The line on which record number `header` begins; blank lines are no records."""
    reader = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter)
    seen, line = -1, 1
    for record in reader:
        if record:
            seen += 1
            if seen == header:
                return line
        line = reader.line_num + 1
    return 1


_NO_RECORD = re.compile(
    r"^\W*(grand |sub|district |state |school )?total|^\W*(end of|eof|records?|rows?|generated|report)\b", re.IGNORECASE
)


def _footer(tail: Sequence[str], delimiter: str, width: int) -> int:
    """How many of the last lines are no records: fewer fields than the rest, or a total."""
    count = 0
    for line in reversed(tail):
        cells = next(csv.reader([line], delimiter=delimiter), [])
        filled = [cell for cell in cells if cell.strip()]
        is_short = len(cells) < width or len(filled) <= width // 2
        if not filled or not is_short or not (len(filled) == 1 or _NO_RECORD.match(line)):
            break
        count += 1
    return count if count < len(tail) else 0


def _is_no_record(filled: Sequence[str], width: int) -> bool:
    """Whether a sheet's row below the records is a remark or a total: few cells, one of them alone or called so."""
    return len(filled) <= width // 2 and (len(filled) == 1 or _NO_RECORD.match(filled[0]) is not None)


def _check_columns(table: Table) -> None:
    if len(table.columns) > _MOST_COLUMNS:
        raise NotUnderstood(f"it has more than {_MOST_COLUMNS:,} columns")
    counts = Counter(name.lower() for name in table.columns)
    if "" in counts or any(count > 1 for count in counts.values()):
        names: list[str] = []
        for number, name in enumerate(table.columns, 1):
            plain = name or f"column_{number}"
            taken = {one.lower() for one in names}
            names.append(plain if plain.lower() not in taken else f"{plain}_{number}")
        table.columns = names
        table.settings["column_names"] = names
        table.notes.append("some columns have no name, or share one: they were given names")
        table.unsure = True


def _bounded(rows: list[list[str]], width: int) -> list[list[str]]:
    most = max(200, min(_ROWS, _CELLS // max(1, width)))
    if len(rows) <= most:
        return rows
    step = len(rows) / most
    return [rows[int(number * step)] for number in range(most)]


def _fixed_width(lines: Sequence[str], whole: bool) -> Table:
    """Fields of a text without delimiters, from the columns of blanks that run through all lines."""
    full = [line for line in lines if line.strip()]
    if len(full) < 3:
        raise NotUnderstood("it holds too few lines to tell how its fields are divided")
    width = max(map(len, full))
    if width > 2000 or statistics.pstdev([len(line) for line in full]) > 40:
        raise NotUnderstood("it has neither a delimiter nor fields of fixed width that could be told")
    filled = [any(len(line) > at and line[at] != " " for line in full) for at in range(width)]
    spans: list[list[int]] = []
    for at, is_filled in enumerate(filled):
        if is_filled and (at == 0 or not filled[at - 1]):
            spans.append([at + 1, at + 1])
        elif is_filled:
            spans[-1][1] = at + 1
    if len(spans) < 2:
        raise NotUnderstood("it has neither a delimiter nor fields of fixed width that could be told")
    names = [full[0][first - 1 : last].strip() for first, last in spans]
    body = [[line[first - 1 : last].strip() for first, last in spans] for line in full[1:]]
    table = Table("fixed_width", whole=whole, unsure=True)
    if known_share(names) < 0.25 or len(set(names)) < len(names) or not all(names):
        names = [f"column_{n}" for n in range(1, len(spans) + 1)]
        body = [[line[first - 1 : last].strip() for first, last in spans] for line in full]
    else:
        table.notes.append("the first line holds the column names: leave it out by where_not")
        table.settings["first_line_is_names"] = full[0][spans[0][0] - 1 : spans[0][1]].strip()
    table.columns, table.rows = names, _bounded(body, len(names))
    table.settings["fields"] = dict(zip(names, spans, strict=True))
    table.notes.append("fields were told by the blanks between them: compare them with the export's description")
    return table


# --- other formats -------------------------------------------------------------------------------------------


def _spreadsheet(file: Path) -> list[Table]:
    command = [sys.executable, "-m", "pipelines.proposal.sheets", str(file.absolute())]
    if file.stat().st_size > _SPREADSHEET_BYTES or _unpacked(file) > _SPREADSHEET_UNPACKED:
        raise NotUnderstood("it is a spreadsheet too large to be looked at: export it as CSV")
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True, cwd=ROOT)
        sheets: list[tuple[str, list[list[str]]]] = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError):
        raise NotUnderstood("it is a spreadsheet that cannot be opened (damaged, or protected by a password)") from None
    tables = []
    for number, (name, rows) in enumerate(sheets, 1):
        table = _sheet(rows)
        if table is None:
            continue
        if number > 1:
            table.settings["sheet"] = name
        tables.append(table)
    if not tables:
        raise NotUnderstood("no sheet holds a table")
    return tables


def _unpacked(file: Path) -> int:
    """Bytes that a workbook says it unpacks to; 0 for one that is no zip."""
    try:
        with zipfile.ZipFile(file) as archive:
            return sum(one.file_size for one in archive.infolist())
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, OverflowError):
        return 0


def _sheet(rows: list[list[str]]) -> Table | None:
    filled = [len([cell for cell in row if cell]) for row in rows]
    if not filled or max(filled) < 2:
        return None
    width = max(len(row) for row in rows)
    wide = statistics.mode([count for count in filled if count > 1] or [0])
    header = next((n for n, count in enumerate(filled[:_HEADER_LINES]) if count >= max(2, 0.7 * wide)), None)
    if header is None:
        return None
    names = rows[header]
    while names and not names[-1]:
        names = names[:-1]
    width = len(names)
    table = Table("excel", columns=[" ".join(name.split()) for name in names])
    if header:
        table.settings["header"] = header + 1
        table.notes.append(f"the column names stand in row {header + 1}, below a banner")
    body = [(row + [""] * width)[:width] for row in rows[header + 1 :]]
    body = [row for row in body if any(row)]  # as the reader does: a blank row is no record
    footer = 0
    while footer < min(_FOOTER_LINES, len(body)) and _is_no_record([cell for cell in body[-1 - footer] if cell], width):
        footer += 1
    if footer:
        table.settings["footer_lines"] = footer
        table.notes.append(f"the last {footer} rows are no records")
        body = body[: len(body) - footer]
    _check_columns(table)
    table.rows = _bounded(body, width)
    return table


def _parquet(file: Path) -> Table:
    with duckdb.connect() as con:
        try:
            relation = con.execute("SELECT * FROM read_parquet($1) LIMIT 40000", [str(file)])
            columns = [str(one[0]) for one in relation.description or []]
            rows = [["" if cell is None else as_text(cell) for cell in row] for row in relation.fetchall()]
        except duckdb.Error:
            raise NotUnderstood("it is a Parquet file that cannot be read") from None
    return Table("parquet", columns=columns, rows=_bounded(rows, len(columns)), whole=len(rows) < 40_000)


def _json(file: Path) -> Table:
    rows: list[dict[str, str]] = []
    names: dict[str, None] = {}
    whole = True
    try:
        for number, record in enumerate(_json_records(file)):
            if number >= 10_000:
                whole = False
                break
            flat = dict(_flat(record, ""))
            names.update(dict.fromkeys(flat))
            rows.append(flat)
    except (ValueError, RecursionError):
        if not rows:
            raise NotUnderstood("it begins like JSON, but holds no objects that can be read") from None
        whole = False
    if not rows:
        raise NotUnderstood("it holds no JSON objects")
    columns = list(names)
    body = [[row.get(name, "") for name in columns] for row in rows]
    return Table("json_lines", columns=columns, rows=_bounded(body, len(columns)), whole=whole)


def _json_records(file: Path) -> Iterator[dict[str, Any]]:
    """Objects one a line, or of one array (or one object) that is not larger than the sample."""
    with file.open("r", encoding="utf-8-sig", errors="replace") as text:
        first = text.readline()
        try:
            opened = json.loads(first)
        except ValueError:
            opened = None
        if isinstance(opened, dict):
            yield opened
            for line in text:
                if line.strip():
                    record = json.loads(line)
                    if isinstance(record, dict):
                        yield record
            return
        text.seek(0)
        content = text.read(_BYTES)
    decoded = json.loads(content.removeprefix("\ufeff"))
    records: Iterable[Any] = decoded if isinstance(decoded, list) else [decoded]
    yield from (record for record in records if isinstance(record, dict))


def _flat(value: dict[str, Any], before: str) -> Iterator[tuple[str, str]]:
    """Nested objects under dotted names, lists of plain values joined by bars, other lists left out."""
    for key, item in value.items():
        name = f"{before}{key}"
        if isinstance(item, dict):
            yield from _flat(item, f"{name}.")
        elif isinstance(item, list):
            if all(not isinstance(one, (dict, list)) for one in item):
                yield name, "|".join("" if one is None else str(one) for one in item)
        else:
            yield name, "" if item is None else str(item).lower() if isinstance(item, bool) else str(item)


def _edfi(file: Path) -> Table:
    """What an Ed-Fi interchange holds, by the names of its elements; the file is read no further than the sample."""
    from pipelines.sources.edfi_rules import RULES

    with file.open("rb") as binary:
        text = binary.read(_BYTES).decode("utf-8", errors="replace")
    root = re.search(r"<(?![?!])(?:\w+:)?(\w+)", text)
    if root is None or not root.group(1).startswith("Interchange"):
        raise NotUnderstood("it is XML, but no Ed-Fi interchange")
    found = set(re.findall(r"<(?:\w+:)?(\w+)[\s>]", text))
    entities = list(dict.fromkeys(rule.entity for rule in RULES if rule.element in found))
    if not entities:
        raise NotUnderstood(f"it is {root.group(1)}, which holds nothing that the contract takes")
    marks = len(re.findall(r"<(?:\w+:)?(?:AttendanceEvent|StudentSchoolAttendanceEvent)[\s>]", text))
    present = len(re.findall(r"(?i)category\w*>[^<]*in attendance|category\w*>[^<]*present", text))
    table = Table("edfi_xml", entities=entities, whole=file.stat().st_size <= _BYTES)
    if marks:
        table.settings["attendance_records"] = "every_day" if present >= 0.5 * marks else "exceptions"
    return table
