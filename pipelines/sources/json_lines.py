"""JSON: one object a line, one array of objects, or objects one after the other over several lines.

A nested object's fields become columns with dotted names (`schoolReference.schoolId`). A list of plain values is
joined by bars; any other list stays JSON text. Numbers keep the text that they are written in: an id of twenty
digits is not rounded. Objects need not have the same fields; a field that an object lacks is NULL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn, TextIO

import duckdb

from pipelines.config import Source
from pipelines.contract import ENTITIES
from pipelines.mapping import file_columns
from pipelines.sources import Reading, Unreadable, text
from pipelines.sources.rows import Rows

#: The longest object that stands over several lines, in characters.
_LONGEST_OBJECT = 8 * 1024 * 1024
_PIECE = 256 * 1024
_BLANKS = re.compile(r"[ \t\n\r]*")
#: Levels of objects in objects that become columns.
_DEEPEST = 20
_REMEDIES = {
    "not_json": "Export the line again: it is not JSON, or not all of it.",
    "not_an_object": "Export each record as a JSON object, with a name for every value.",
    "field_twice": "Export the object again: it names a field twice, or two names that differ in case only.",
    "field_without_name": "Export the object again with a name for every field.",
    "nested_too_deep": "Export the object with fewer levels.",
    "nul_character": "Export the object again without NUL characters.",
}


class _Number(str):
    """A number as the file writes it."""

    __slots__ = ()


class _Refused(Exception):
    """A record that cannot be a row; the argument is the reason."""


#: Line, value (or why there is none), and the text that it stands in.
_Found = tuple[int, Any, str]


def read(con: duckdb.DuckDBPyConnection, file: Path, source: Source, scratch: Path) -> Reading:
    """Read a JSON file into a table named under `*`; a row's line is the one on which its object begins.

    A line that is no object is refused, and the others land. In an array, or where objects stand over several
    lines, nothing shows where the next one begins: there a fault refuses the whole file. Raises Unreadable.
    """
    encoding = text.encoding_of(file, source.encoding)
    rows, names = Rows(scratch, _REMEDIES), _Names()
    with text.decoding(file, encoding), text.open_text(file, encoding) as opened:
        by_line = _is_by_line(opened)
        opened.seek(0)
        ending = text.Ending()
        if by_line:
            ending = text.ending(con, file, encoding, source)
        elif source.whole.trailer is not None or source.footer_lines:
            raise Unreadable(
                "trailer_missing",
                "The file holds one array, or objects over several lines, and so has no last line of its own.",
                None,
                "Remove trailer and footer_lines from the source: an array that ends is whole.",
            )
        for line, value, content in _of_lines(opened, ending.last_line) if by_line else _of_stream(opened):
            try:
                if isinstance(value, _Refused):
                    raise value
                rows.add_named(line, names.row(value))
            except _Refused as problem:
                rows.refuse(line, str(problem), content)
    ending.require(rows.count)
    for name in _left_out(source, names, is_empty=not rows.count):
        rows.add_column(name)
    return rows.reading(con)


def _left_out(source: Source, names: _Names, *, is_empty: bool) -> list[str]:
    """Columns of the maps that no object has: senders leave out fields that are null.

    Those that an entity cannot do without are only added to a file of no objects, so that a name that does not
    fit is told.
    """
    wanted: dict[str, str] = {}
    for entity, entity_map in source.entities.items():
        if entity_map.unpivot is None or is_empty:
            optional = {
                name: target
                for name, target in entity_map.columns.items()
                if is_empty or not ENTITIES[entity].by_name[name].required
            }
            for name in file_columns(entity_map.model_copy(update={"columns": optional})):
                wanted.setdefault(" ".join(name.split()).lower(), name)
    return [name for lower, name in wanted.items() if lower not in names.known]


# --- objects -----------------------------------------------------------------------------------------------


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _Refused("field_twice")
    return fields


def _no_constant(_: str) -> NoReturn:
    raise ValueError


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=_Number, parse_int=_Number, parse_constant=_no_constant
)


class _Names:
    """The columns seen so far. known: names in lower case, with the spelling that came first."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self._of_path: dict[str, str] = {}

    def row(self, value: object) -> dict[str, str]:
        """An object as cells by column. Raises _Refused."""
        if not isinstance(value, dict):
            raise _Refused("not_an_object")
        cells: dict[str, str] = {}
        self._flatten(value, "", cells, 1)
        return cells

    def _flatten(self, fields: Mapping[str, Any], above: str, cells: dict[str, str], level: int) -> None:
        if level > _DEEPEST:
            raise _Refused("nested_too_deep")
        for name, value in fields.items():
            path = above + name
            if isinstance(value, dict):
                self._flatten(value, path + ".", cells, level + 1)
            elif value is not None:
                column = self._of_path.get(path) or self._named(path, name)
                if column in cells:
                    raise _Refused("field_twice")
                cells[column] = _checked(value if isinstance(value, str) else _as_text(value))

    def _named(self, path: str, name: str) -> str:
        if not name.split():
            raise _Refused("field_without_name")
        clean = " ".join(_checked(path).split())
        column = self.known.setdefault(clean.lower(), clean)
        self._of_path[path] = column
        return column


def _checked(cell: str) -> str:
    if not cell.isascii():
        try:
            cell.encode()
        except UnicodeEncodeError:  # half of a character, as \ud800
            raise _Refused("not_json") from None
    if "\0" in cell:
        raise _Refused("nul_character")
    return str(cell)


def _as_text(value: object) -> str:
    """A value that is no object, string or number: true, false, or a list."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, list):
        return str(value)
    plain = [one if isinstance(one, str) else str(one).lower() for one in value if isinstance(one, (str, bool))]
    if len(plain) + value.count(None) == len(value) and not any("|" in one for one in plain):
        return "|".join(plain)
    return _as_json(value)


def _as_json(value: object) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_as_json(name)}:{_as_json(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_as_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


# --- the file ----------------------------------------------------------------------------------------------


def _decoded(content: str) -> Any:
    """A line's value, or _Refused."""
    try:
        return _DECODER.decode(content)
    except _Refused as problem:
        return problem
    except RecursionError:
        return _Refused("nested_too_deep")
    except ValueError:
        return _Refused("not_json")


def _is_by_line(opened: TextIO) -> bool:
    """Whether every line is to be a record of its own."""
    first = next((line for line in iter(partial(opened.readline, text.LONGEST), "") if line.strip()), "{}").lstrip()
    if first.startswith("["):
        return False
    if not first.startswith("{") or not isinstance(_decoded(first), _Refused):
        return True
    start = first + opened.read(_LONGEST_OBJECT)
    try:
        _, end = _DECODER.raw_decode(start)
    except (ValueError, RecursionError, _Refused):
        return True
    return "\n" not in start[:end].strip()


def _of_lines(opened: TextIO, last_line: int | None) -> Iterator[_Found]:
    for line, content in enumerate(islice(text.lines(opened), last_line), start=1):
        row = content.strip()
        if row:
            yield line, _decoded(row), row


def _of_stream(opened: TextIO) -> Iterator[_Found]:
    """The values of one array, or those that stand one after the other."""
    stream = _Stream(opened)
    in_array = stream.skip("[")
    while True:
        if in_array and stream.skip("]"):
            if not stream.at_end():
                raise _not_json(stream.line, "Something stands behind the array.")
            return
        if stream.at_end():
            if in_array:
                raise Unreadable(
                    "array_not_closed",
                    "The array is not closed: the file is not complete.",
                    stream.line,
                    "Wait until the export is complete, or export the file again.",
                )
            return
        yield stream.value()
        if in_array and not (stream.skip(",") or stream.next_is("]") or stream.at_end()):
            raise _not_json(stream.line, "The values of the array are not parted by commas.")


class _Stream:
    """A file of JSON values and where in it we are; as much of it in memory as one value needs."""

    def __init__(self, opened: TextIO) -> None:
        self._opened = opened
        self._text = ""
        self._at = 0
        self._is_all = False
        self.line = 1

    def skip(self, mark: str) -> bool:
        """Step over the mark, if it comes next."""
        if not self.next_is(mark):
            return False
        self._go_to(self._at + 1)
        return True

    def next_is(self, mark: str) -> bool:
        """Whether the mark comes next."""
        return not self.at_end() and self._text[self._at] == mark

    def at_end(self) -> bool:
        """Step over blanks: whether nothing else is left."""
        while True:
            blanks = _BLANKS.match(self._text, self._at)
            self._go_to(blanks.end() if blanks else self._at)
            if self._at < len(self._text):
                return False
            if self._is_all:
                return True
            self._more(_PIECE)

    def value(self) -> _Found:
        """The value that comes next. Raises Unreadable when there is none within the longest object's length."""
        size = _PIECE
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except _Refused as problem:
                raise _not_json(self.line, f"An object is refused: {problem}.") from None
            except RecursionError:
                raise _not_json(self.line, "A value is nested too deeply.") from None
            except ValueError:
                if self._is_all or len(self._text) - self._at > _LONGEST_OBJECT:
                    raise _not_json(self.line, "A value is not JSON, or not all of it.") from None
            else:
                # A number that ends where the piece does may go on.
                if self._is_all or end < len(self._text):
                    found = self.line, value, self._text[self._at : end]
                    self._go_to(end)
                    return found
            self._more(size)
            size *= 2

    def _more(self, size: int) -> None:
        piece = self._opened.read(size)
        self._is_all = not piece
        self._text = self._text[self._at :] + piece
        self._at = 0

    def _go_to(self, place: int) -> None:
        self.line += self._text.count("\n", self._at, place)
        self._at = place


def _not_json(line: int, message: str) -> Unreadable:
    return Unreadable(
        "not_json", f"{message} The rest cannot be told apart.", line, "Export it again, best with one object a line."
    )
