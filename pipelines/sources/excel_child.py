"""The process in which one sheet is read: it may fail in any way, and takes nothing else with it.

A request comes as JSON on standard input (see `excel.read`); the reply goes as JSON to standard output: `written`
(the fields of rows.Written) or `unreadable` (those of Unreadable). No reply: it ran out of memory.
"""

from __future__ import annotations

import datetime
import json
import resource
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import python_calamine

from pipelines.child import die_with_parent
from pipelines.sources import Unreadable
from pipelines.sources.excel_xml import OddCells, odd_cells
from pipelines.sources.rows import Rows, Written, column_names, given_names, header_not_found, without_escape

_PROCESS_BYTES = 3 * 1024**3
#: A header that is found by a column's name stands within so many rows.
_HEADER_ROWS = 1000
#: Spreadsheets keep 15 digits of a number.
_EXACT = 10**15
_REMEDIES = {
    "error_cell": "Correct the formula, or clear the cell: it shows an error in place of a value.",
    "formula_without_value": "Open the file in a spreadsheet program and save it: its formulas were never computed.",
    "number_too_long": "Enter it as text: spreadsheets keep 15 digits of a number, and the others are lost.",
    "too_many_fields": "Give the column a header, or clear the cell: it stands beside the table.",
    "nul_character": "Clear the control characters from the row.",
}


def main() -> None:
    """Answer the one request on standard input."""
    die_with_parent("the reading of a spreadsheet")
    request = json.load(sys.stdin)
    if sys.platform == "linux":  # elsewhere the kernel does not hold a process to it
        resource.setrlimit(resource.RLIMIT_AS, (_PROCESS_BYTES, _PROCESS_BYTES))
    json.dump(answer(request), sys.stdout)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The reply to a request."""
    try:
        return {"written": asdict(_read_sheet(request))}
    except Unreadable as problem:
        return {"unreadable": {name: getattr(problem, name) for name in ("reason", "message", "line", "remedy")}}


def _read_sheet(request: dict[str, Any]) -> Written:
    """The sheet's rows, in the request's scratch folder. Raises Unreadable when it cannot be read."""
    file = Path(request["file"])
    book, name = _sheet_named(file, request["sheet"])
    odd = odd_cells(file, name)
    with _damage_told():
        sheet = book.get_sheet_by_name(name)
    return _Table(sheet, odd, request).written()


def _sheet_named(file: Path, wanted: str | int) -> tuple[python_calamine.CalamineWorkbook, str]:
    """The workbook, and its sheet's name. Raises Unreadable when there is none of that name or number."""
    with _damage_told(), file.open("rb") as opened:
        # By path, the library would believe the name's ending.
        book = python_calamine.CalamineWorkbook.from_filelike(opened)
        names = [one.name for one in book.sheets_metadata if one.typ == python_calamine.SheetTypeEnum.WorkSheet]
    if isinstance(wanted, int):
        name = names[wanted - 1] if 1 <= wanted <= len(names) else None
    else:
        name = next((one for one in names if one.strip().casefold() == wanted.strip().casefold()), None)
    if name is None:
        raise Unreadable(
            "missing_sheet",
            f"There is no sheet {wanted}; there are: {', '.join(names[:20]) or 'none'}.",
            None,
            "Correct sheet in district.yaml, or ask for the sheet in the export.",
        )
    return book, name


@contextmanager
def _damage_told() -> Iterator[None]:
    """Turns what the library says, of whatever kind, into Unreadable: a panic of it is no Exception."""
    try:
        yield
    except python_calamine.PasswordError:
        raise Unreadable(
            "workbook_protected", "The workbook is protected by a password.", None, "Save it without a password."
        ) from None
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException:
        raise Unreadable(
            "not_a_workbook",
            "The file is no workbook, or a damaged or protected one.",
            None,
            "Open it in a spreadsheet program, save it without a password, and send it again.",
        ) from None


class _Table:
    """One sheet as a table: where its header stands, which columns it has, and which rows are records."""

    def __init__(self, sheet: python_calamine.CalamineSheet, odd: OddCells, request: dict[str, Any]) -> None:
        self._sheet = sheet
        self._odd = odd
        self._request = request
        # Rows come from the first one on, but columns from the first that is used.
        self._first_column = sheet.start[1] if sheet.start else 0
        # Formulas without a value may stand where the library sees nothing any more.
        self._beyond = [""] * max(max(odd.columns, default=-1) + 1 - self._first_column - sheet.width, 0)

    def written(self) -> Written:
        """All records. Raises Unreadable where the header is not there, or does not name the columns."""
        header_line, header = self._header()
        used, end = self._extent(header_line)
        if not used:
            raise Unreadable("empty_file", f"The sheet {self._sheet.name} is empty.", None, "Export it again.")
        columns = self._columns(header_line, header, used)
        mapped = self._request["mapped"]
        counts = {n: mapped is None or " ".join(name.split()).lower() in mapped for n, name in columns.items()}
        rows = Rows(Path(self._request["scratch"]), _REMEDIES, columns.values())
        for line, cells in self._rows(header_line):
            if line > end:
                break
            problem = self._problem(line, cells, columns, counts)
            if problem is not None:
                reason, name = problem
                rows.refuse(line, reason, json.dumps([_shown(cell) for cell in cells], ensure_ascii=False), name)
            else:
                rows.add(line, [self._text(line, n, cells[n]) for n in columns])
        return rows.written()

    def _rows(self, above: int) -> Iterator[tuple[int, list[Any]]]:
        """Row number and cells of every row below `above` that is not blank; columns count from the first used one."""
        line = 0
        for line, cells in enumerate(self._sheet.iter_rows(), start=1):
            if line > above and (any(not _is_blank(cell) for cell in cells) or line in self._odd.lines):
                yield line, [*cells, *self._beyond]
        for lower in sorted(self._odd.lines):
            if lower > max(line, above):
                yield lower, [""] * self._sheet.width + self._beyond

    def _header(self) -> tuple[int, list[str] | None]:
        """The header's row number and texts; 0 and None where there is none."""
        wanted = self._request["header"]
        if wanted == 0:
            return 0, None
        if isinstance(wanted, int):
            found = next(self._rows(wanted - 1), None)
        else:
            name = " ".join(wanted.split()).casefold()
            found = next((one for one in islice(self._rows(0), _HEADER_ROWS) if name in map(_folded, one[1])), None)
        if found is None:
            if isinstance(wanted, int) and next(self._rows(0), None) is None:
                raise Unreadable("empty_file", f"The sheet {self._sheet.name} is empty.", None, "Export it again.")
            raise header_not_found(wanted, None)
        line, cells = found
        return line, [self._text(line, n, cell) or "" for n, cell in enumerate(cells)]

    def _extent(self, header_line: int) -> tuple[set[int], int]:
        """The columns that hold anything from the header down, and the last row that is a record."""
        used: set[int] = set()
        footer: deque[int] = deque(maxlen=self._request["footer_lines"] + 1)
        last = 0
        for line, cells in self._rows(max(header_line - 1, 0)):
            footer.append(line)
            last = line
            if len(used) < len(cells):
                used.update(n for n, cell in enumerate(cells) if not _is_blank(cell))
        used.update(column - self._first_column for column in self._odd.columns if column >= self._first_column)
        if self._request["footer_lines"]:
            last = footer[0] if len(footer) > self._request["footer_lines"] else 0
        return used, last

    def _columns(self, header_line: int, header: list[str] | None, used: set[int]) -> dict[int, str]:
        """Place and name of the columns. Raises Unreadable where one in use has no name."""
        given = self._request["column_names"]
        places = sorted(used)
        if given or header is None:
            names = given_names(given, None if header is None else [header[n] for n in places], header_line or None)
            if header is None and len(names) != len(places):
                raise Unreadable(
                    "column_names_differ",
                    f"The sheet has {len(places)} columns, and column_names names {len(names)}.",
                    None,
                    "Name every column of the sheet, in order.",
                )
            return dict(zip(places, names, strict=True))
        last = max((n for n in places if header[n].strip()), default=-1)
        # What stands to the right of the header is no column; rows that hold something there are refused.
        named = [n for n in places if n <= last]
        return dict(zip(named, column_names((header[n] for n in named), header_line), strict=True))

    def _problem(
        self, line: int, cells: Sequence[Any], columns: dict[int, str], counts: dict[int, bool]
    ) -> tuple[str, str | None] | None:
        """Why the row cannot be taken, and the column at fault."""
        if line in self._odd.lines:
            for n, name in columns.items():
                reason = self._odd.reason(line, n + self._first_column)
                if reason is not None and counts[n]:
                    return reason, name
        for n, cell in enumerate(cells):
            if n not in columns:
                if not _is_blank(cell):
                    return "too_many_fields", None
            elif isinstance(cell, float) and counts[n] and cell.is_integer() and abs(cell) >= _EXACT:
                return "number_too_long", columns[n]
            elif isinstance(cell, str) and "\0" in cell:
                return "nul_character", columns[n]
        return None

    def _text(self, line: int, n: int, cell: object) -> str | None:
        text = _as_text(cell)
        width = self._odd.padding(line, n + self._first_column) if isinstance(cell, float) else 0
        return text.zfill(width) if text and width and text.isdigit() else text


def _is_blank(cell: object) -> bool:
    return isinstance(cell, str) and not cell.strip()


def _folded(cell: object) -> str:
    return " ".join(without_escape(cell.strip()).split()).casefold() if isinstance(cell, str) else ""


def _shown(cell: object) -> str:
    return _as_text(cell) or ""


def _as_text(cell: object) -> str | None:
    """A cell as text: whole numbers without a point, ISO dates and times; None where it is blank."""
    match cell:
        case str():
            return without_escape(cell) or None
        case bool():
            return "true" if cell else "false"
        case float() | int():
            return str(int(cell)) if float(cell).is_integer() else format(Decimal(repr(cell)), "f")
        case datetime.datetime():
            # Times are fractions of a day, and come out a moment early or late.
            rounded = (cell + datetime.timedelta(microseconds=500_000)).replace(microsecond=0)
            return rounded.date().isoformat() if rounded.time() == datetime.time() else rounded.isoformat(" ")
        case datetime.timedelta():
            seconds = round(cell.total_seconds())
            return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        case datetime.date():
            return cell.isoformat()
        case datetime.time():
            return cell.isoformat("seconds")
    return str(cell)


if __name__ == "__main__":
    main()
