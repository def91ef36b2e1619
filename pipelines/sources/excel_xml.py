"""What python-calamine does not tell about a sheet of an xlsx file, from the sheet's own XML.

It gives a blank for a cell that shows an error and for a formula that was never computed, and the bare number for
one that is shown with leading zeros. All three would be wrong without a sign. Also counted here is how far the
cells reach, before the whole rectangle is asked for in memory.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from pipelines.sources import Unreadable

_MOST_CELLS = 10_000_000
_PIECE = 256 * 1024
_COLUMN_BITS = 16
_PADDED = re.compile(r"(?:\[[^\]]*\])*(0{2,})(?:;.*)?")


@dataclass
class OddCells:
    """Cells that are not what the library says of them. Rows count from 1, columns from 0.

    lines, columns: those in which any stands whose value is missing.
    """

    lines: set[int] = field(default_factory=set)
    columns: set[int] = field(default_factory=set)
    _reasons: dict[int, str] = field(default_factory=dict)
    _padding: dict[int, int] = field(default_factory=dict)

    def reason(self, line: int, column: int) -> str | None:
        """Why the cell has no value, None where it has one or is blank."""
        return self._reasons.get(line << _COLUMN_BITS | column)

    def padding(self, line: int, column: int) -> int:
        """How many digits the cell's number is shown with at least."""
        return self._padding.get(line << _COLUMN_BITS | column, 0)

    def lacks_value(self, line: int, column: int, reason: str) -> None:
        self.lines.add(line)
        self.columns.add(column)
        self._reasons[line << _COLUMN_BITS | column] = reason

    def is_padded(self, line: int, column: int, width: int) -> None:
        self._padding[line << _COLUMN_BITS | column] = width


def odd_cells(file: Path, sheet: str) -> OddCells:
    """The odd cells of a sheet; none for formats other than xlsx and xlsm. Raises Unreadable."""
    if not zipfile.is_zipfile(file):
        return OddCells()
    try:
        with zipfile.ZipFile(file) as archive:
            part = _part_of(archive, sheet)
            return OddCells() if part is None else _of_sheet(archive, part, _paddings(archive))
    except (zipfile.BadZipFile, expat.ExpatError, KeyError, ValueError, EOFError, NotImplementedError, OSError):
        raise Unreadable(
            "not_a_workbook",
            "The workbook is damaged.",
            None,
            "Open it in a spreadsheet program, save it, and send it again.",
        ) from None


def _parse(
    archive: zipfile.ZipFile,
    part: str,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None] | None = None,
    characters: Callable[[str], None] | None = None,
) -> None:
    """Hand the elements of a part to the functions, under their names without a prefix."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = lambda name, attributes: start(name.rpartition(":")[2], attributes)
    if end is not None:
        parser.EndElementHandler = lambda name: end(name.rpartition(":")[2])
    if characters is not None:
        parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = _no_doctype
    with archive.open(part) as stream:
        while piece := stream.read(_PIECE):
            parser.Parse(piece, False)
    parser.Parse(b"", True)


def _no_doctype(*_: object) -> None:
    raise ValueError


def _part_of(archive: zipfile.ZipFile, sheet: str) -> str | None:
    """The part that holds the sheet, None where this is no xlsx file."""
    if "xl/workbook.xml" not in archive.namelist():
        return None
    ids: dict[str, str] = {}
    targets: dict[str, str] = {}

    def of_book(name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            local = {one.rpartition(":")[2]: value for one, value in attributes.items() if ":" in one}
            ids[attributes["name"]] = local.get("id", "")

    def of_links(name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship":
            targets[attributes["Id"]] = attributes["Target"]

    _parse(archive, "xl/workbook.xml", of_book)
    _parse(archive, "xl/_rels/workbook.xml.rels", of_links)
    return posixpath.normpath(posixpath.join("/xl", targets[ids[sheet]])).lstrip("/")


def _paddings(archive: zipfile.ZipFile) -> dict[str, int]:
    """Number of a cell style -> digits, for styles that show leading zeros (format 00000)."""
    if "xl/styles.xml" not in archive.namelist():
        return {}
    widths: dict[str, int] = {}
    styles: list[str] = []
    within: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt" and (shown := _PADDED.fullmatch(attributes.get("formatCode", ""))):
            widths[attributes["numFmtId"]] = len(shown[1])
        elif name == "xf" and "cellXfs" in within:
            styles.append(attributes.get("numFmtId", "0"))
        within.append(name)

    def end(_: str) -> None:
        within.pop()

    _parse(archive, "xl/styles.xml", start, end)
    return {str(number): widths[one] for number, one in enumerate(styles) if one in widths}


class _Sheet:
    """Follows the cells of a sheet."""

    def __init__(self, paddings: dict[str, int]) -> None:
        self.odd = OddCells()
        self._paddings = paddings
        self._line = 0
        self._column = -1
        self._last_line = self._last_column = 0
        self._type = self._style = ""
        self._has_formula = self._has_value = self._is_in_value = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            place = attributes.get("r", "")
            self._column = _column_of(place) if place else self._column + 1
            self._type, self._style = attributes.get("t", "n"), attributes.get("s", "")
            self._has_formula = self._has_value = False
        elif name == "row":
            self._line = int(attributes["r"]) if "r" in attributes else self._line + 1
            self._column = -1
        elif name == "f":
            self._has_formula = True
        elif name in ("v", "t"):
            self._is_in_value = True

    def characters(self, _: str) -> None:
        if self._is_in_value:
            self._has_value = True

    def end(self, name: str) -> None:
        if name in ("v", "t"):
            self._is_in_value = False
        elif name == "c":
            if self._has_value:
                self._reach()
                if self._type == "e":
                    self.odd.lacks_value(self._line, self._column, "error_cell")
                elif self._type == "n" and (width := self._paddings.get(self._style)):
                    self.odd.is_padded(self._line, self._column, width)
            elif self._has_formula and self._type != "str":
                self._reach()
                self.odd.lacks_value(self._line, self._column, "formula_without_value")

    def _reach(self) -> None:
        self._last_line = max(self._last_line, self._line)
        self._last_column = max(self._last_column, self._column)
        if self._last_line * (self._last_column + 1) > _MOST_CELLS:
            raise Unreadable(
                "workbook_too_large",
                f"The sheet reaches over more than {_MOST_CELLS:,} cells.",
                None,
                "Delete stray cells, or save the sheet as CSV and read it as kind: delimited.",
            )


def _of_sheet(archive: zipfile.ZipFile, part: str, paddings: dict[str, int]) -> OddCells:
    sheet = _Sheet(paddings)
    _parse(archive, part, sheet.start, sheet.end, sheet.characters)
    return sheet.odd


def _column_of(place: str) -> int:
    """0 for A7, 27 for AB12."""
    number = 0
    for letter in place.rstrip("0123456789"):
        number = number * 26 + ord(letter) - ord("A") + 1
    if not 1 <= number <= 1 << 14:
        raise ValueError
    return number - 1
