"""Ed-Fi interchange XML, read as a stream: memory does not grow with the file.

What is read stands in `pipelines.sources.edfi_rules`: elements, the entities of the input contract that they
feed, and the path behind each column. A further Data Standard is a row there.

Absent or unanswered. A code column that no element of its kind carries anywhere in the file was not asked
and is NULL in every row; when others carry it and one element does not, or carries it empty, nobody
answered and the cell is ''. Only the end of the file can tell the two apart, so it is decided there.

Several values. Races are joined with `|`. So are the different values of any other code column (two
behaviors of one incident): the combination is a code of its own, unmapped and visible until a crosswalk
says what it means, and none of its parts is dropped. A column named in `each` gives a row for every value.

DTDs are refused, and with them entities of every kind; nothing outside the file is ever opened.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO
from xml.parsers import expat

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.config import EntityMap, Source
from pipelines.contract import ENTITIES, Column
from pipelines.sources import Reading, Unreadable
from pipelines.sources.edfi_rules import RULES, Refer, Rule, Take

#: Rows held in memory before they go to disk.
BATCH_ROWS = 20_000
#: Characters held in those rows before they go to disk: few rows may hold much. 20,000 marks hold about 1,200,000.
BATCH_CHARACTERS = 4_000_000
#: Bytes handed to the parser at a time.
CHUNK_BYTES = 1 << 20
#: Limits that no interchange comes near; they keep a hostile file from filling memory.
MAXIMUM_DEPTH = 64
MAXIMUM_TEXT = 100_000
MAXIMUM_VALUES = 10_000
MAXIMUM_REFUSED_TEXT = 20_000
#: Characters taken from one element, and characters in the rows that it makes. One action of 9,900 students with two
#: ids of 99,000 characters is 1.3 MB of XML and 2 GB of rows.
MAXIMUM_ELEMENT = 8_000_000
MAXIMUM_ROWS_TEXT = 50_000_000
#: Bytes of one tag, comment or instruction. The parser begins such a token anew with every chunk and keeps all of it:
#: 100 MB took 6 s, 400 MB more than a minute (expat 2.5.0).
MAXIMUM_TOKEN = 8 << 20

_serial = itertools.count(1)


def read(con: duckdb.DuckDBPyConnection, file: Path, source: Source, scratch: Path) -> Reading:
    """Read one interchange file into temp views of `con`.

    con: gets one temp view for each entity found (contract columns as text, and `line`), over Parquet files
        in `scratch`, and a temp table of the elements refused, with the entity that lost the row.
    source: `entities` limits what is read, and an entity named there has its view even when the file holds
        none of its elements. A column under `constants` is not asked of the file.
    scratch: its files must stay until the views have been read.

    Raises Unreadable when the file is not a whole, well-formed interchange without a DTD; then nothing of
    it is in `con` or `scratch`.
    """
    try:
        content = file.open("rb")
    except OSError as error:
        raise Unreadable(
            "not_readable",
            f"The file cannot be opened: {error.strerror}.",
            remedy="Check that it is a file, not a folder, and that this account may read it.",
        ) from None
    with content:
        serial = f"edfi_xml_{next(_serial)}"
        refused = scratch / f"{serial}_refused.parquet"
        interchange = _Interchange(_readers(source, scratch, serial), refused, source.encoding)
        try:
            interchange.parse(content)
            interchange.close()
        except BaseException:
            interchange.discard()
            raise
    return _reading(con, serial, interchange, source.entities)


# --- The plan: rules, compiled for one file -------------------------------------------------------------------


class _Node(dict[str, "_Node"]):
    """A place in an interchange: its children by local name, and what is to be done there.

    owns: slots that get this element's text as a new value. opens: slots that get an empty value here, for
    an element further down to fill. fills: slots whose newest value, if still empty, is this element's text.
    refers: slots that get its `ref` attribute. readers: the rules of an element that makes rows.
    """

    __slots__ = ("fills", "gathers", "opens", "owns", "readers", "refers")

    def __init__(self) -> None:
        super().__init__()
        self.gathers = False
        self.owns: list[int] = []
        self.opens: list[int] = []
        self.fills: list[int] = []
        self.refers: list[int] = []
        self.readers: list[_RuleReader] = []

    def descend(self, path: str) -> _Node:
        node = self
        for name in path.split("/"):
            node = node.setdefault(name, _Node())
        return node


#: Every place that no rule asks about.
_NOWHERE = _Node()


class _Rows:
    """Rows on their way to a Parquet file, in batches of bounded rows and text. Every column is text but `line`."""

    def __init__(self, file: Path, columns: Iterable[str]) -> None:
        self.file = file
        self.schema = pa.schema([(name, pa.int64() if name == "line" else pa.string()) for name in columns])
        self.count = 0
        self._rows: list[tuple[Any, ...]] = []
        self._characters = 0
        self._writer: pq.ParquetWriter | None = None

    def append(self, row: tuple[Any, ...], characters: int | None = None) -> None:
        """characters: how much text the row holds, where the caller knows it."""
        self._rows.append(row)
        self._characters += _characters(row) if characters is None else characters
        if len(self._rows) >= BATCH_ROWS or self._characters >= BATCH_CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.file, self.schema)
        columns = zip(*self._rows, strict=True)
        arrays = [pa.array(values, kind.type) for values, kind in zip(columns, self.schema, strict=True)]
        self._writer.write_table(pa.table(arrays, schema=self.schema))
        self.count += len(self._rows)
        self._rows.clear()
        self._characters = 0

    def close(self) -> None:
        if self._rows:
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def discard(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self.file.unlink(missing_ok=True)


def _characters(cells: Iterable[Any]) -> int:
    return sum(len(cell) for cell in cells if isinstance(cell, str))


@dataclass
class _Place:
    """A column of a rule, compiled: the slots that may hold its value, in order of preference."""

    column: Column
    takes: tuple[tuple[int, Take], ...]
    constant: str | None
    each: bool
    paths: str

    def values(self, slots: dict[int, list[str]]) -> list[str] | None:
        """The values of one element, empty ones included; None when the element has no such place."""
        found: list[str] | None = None
        for slot, take in self.takes:
            texts = slots.get(slot)
            if texts is None:
                continue
            if take.only:
                texts = [text for text in texts if text.lower() in take.only]
            if take.value:
                texts = [text and take.value for text in texts]
            if any(texts):
                return texts
            found = found or texts or [""]
        return found

    def value(self, slots: dict[int, list[str]]) -> str | None:
        """One value: text, '' when the place is there and empty, None when it is not there."""
        values = self.values(slots)
        if values is None:
            return self.constant
        if len(values) == 1:
            return values[0]
        different = [value for value in dict.fromkeys(values) if value]
        if self.column.type == "code":
            return "|".join(different)
        return different[0] if different else ""


@dataclass
class _RuleReader:
    """One rule at work: it turns the values of an element into rows."""

    rule: Rule
    places: list[_Place]
    rows: _Rows
    where: tuple[int, Take] | None
    reference: int | None
    is_referred_to: bool
    each: list[int] = field(default_factory=list)
    required: list[int] = field(default_factory=list)
    constants: list[str | None] = field(default_factory=list)
    fed_by: dict[int, list[int]] = field(default_factory=dict)
    as_it_is: dict[int, int] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)

    def settle(self) -> None:
        """Once the slots have their numbers: which positions of a row each slot feeds, and what stands there else.

        Of a hundred alternatives an element fills a few, so the row is made from those that are filled; and most of
        these are one text that is taken as it is.
        """
        self.constants = [place.constant for place in self.places]
        altered = {slot for place in self.places for slot, take in place.takes if take.only or take.value}
        for position, place in enumerate(self.places):
            for slot, _ in place.takes:
                self.fed_by.setdefault(slot, []).append(position)
        self.as_it_is = {
            slot: positions[0]
            for slot, positions in self.fed_by.items()
            if len(positions) == 1 and slot not in altered and not self.places[positions[0]].each
        }

    def take(
        self, slots: dict[int, list[str]], line: int, xml_id: str | None, refuse: Callable[[Rule, _Place], None]
    ) -> None:
        """Append the rows of one element, or refuse it by the first place that must hold something and does not."""
        if self.where is not None and not any(t.lower() in self.where[1].only for t in slots.get(self.where[0], ())):
            return
        row = self._row(slots)
        reference = slots[self.reference][0] if self.reference in slots else None
        by_reference = self.rule.refer.columns if self.rule.refer is not None and reference else ()
        for position in self.required:
            place = self.places[position]
            if not row[position] and place.column.name not in by_reference:
                if self._speaks(row):
                    refuse(self.rule, place)
                return
        for position in self.each:
            row[position] = None
        characters = sum(map(len, filter(None, row))) + len(reference or "") + len(xml_id or "")
        row.append(line)
        if self.is_referred_to:
            row.append(xml_id)
        if self.rule.refer is not None:
            row.append(reference)
        if not self.each:
            self.rows.append(tuple(row), characters)
            return
        for values in itertools.product(*self._each_values(slots, refuse, characters, line)):
            for position, value in zip(self.each, values, strict=True):
                row[position] = value
            self.rows.append(tuple(row), characters + sum(map(len, values)))

    def _row(self, slots: dict[int, list[str]]) -> list[Any]:
        row: list[Any] = self.constants.copy()
        others: list[int] = []
        for slot, texts in slots.items():
            only = self.as_it_is.get(slot)
            if only is None:
                others += self.fed_by.get(slot, ())
            elif len(texts) == 1 and row[only] is None:
                row[only] = texts[0]
                self.asked.add(only)
            else:
                others.append(only)
        for position in others:
            row[position] = self.places[position].value(slots)
            self.asked.add(position)
        return row

    def _speaks(self, row: list[Any]) -> bool:
        needed = self.rule.says_something
        pairs = zip(row, self.places, strict=True)
        return not needed or any(value is not None for value, place in pairs if place.column.name in needed)

    def _each_values(
        self, slots: dict[int, list[str]], refuse: Callable[[Rule, _Place], None], characters: int, line: int
    ) -> Iterator[list[str]]:
        """The values of each column that has several. characters: what stands in every one of the rows beside them."""
        size = 1
        for position in self.each:
            place = self.places[position]
            values = place.values(slots) or [""]
            if not all(values):
                refuse(self.rule, place)
            named = [value for value in values if value]
            size *= len(named)
            characters += max(map(len, named), default=0)
            if size > MAXIMUM_VALUES:
                raise _too_much("values in one element", line)
            if size * characters > MAXIMUM_ROWS_TEXT:
                raise _too_much("text in the rows of one element", line)
            yield named


def _readers(source: Source, scratch: Path, serial: str) -> list[_RuleReader]:
    """The rules that a source wants, with their paths still to be numbered by the interchange."""
    wanted = set(source.entities) or {rule.entity for rule in RULES}
    referred_to = {rule.refer.entity for rule in RULES if rule.refer is not None and rule.entity in wanted}
    readers = []
    for number, rule in enumerate(RULES):
        if rule.entity not in wanted | referred_to:
            continue
        constants = source.entities.get(rule.entity, EntityMap()).constants
        entity = ENTITIES[rule.entity]
        places = [
            _Place(
                column=column,
                takes=() if column.name in constants else _takes(rule, column.name),
                constant=constants.get(column.name),
                each=column.name in rule.each and column.name not in constants,
                paths=" or ".join(dict.fromkeys(take.path for _, take in _takes(rule, column.name))),
            )
            for column in entity.columns
        ]
        is_referred_to = rule.entity in referred_to
        columns = [column.name for column in entity.columns] + ["line"]
        columns += ["xml_id"] * is_referred_to + ["xml_ref"] * (rule.refer is not None)
        readers.append(
            _RuleReader(
                rule=rule,
                places=places,
                rows=_Rows(scratch / f"{serial}_{number:02d}_{rule.entity}.parquet", columns),
                where=None if rule.where is None else (-1, rule.where),
                reference=None,
                is_referred_to=is_referred_to,
                each=[at for at, place in enumerate(places) if place.each],
                required=[
                    at
                    for at, place in enumerate(places)
                    if (place.column.name in rule.lends_by if rule.lends_by else place.column.required)
                    and not place.each
                ],
            )
        )
    return readers


def _takes(rule: Rule, column: str) -> tuple[tuple[int, Take], ...]:
    """The alternatives of a column, not yet numbered. Data Standard 2 writes a code one element deeper."""
    takes = [Take(take) if isinstance(take, str) else take for take in rule.columns.get(column, ())]
    if ENTITIES[rule.entity].by_name[column].type == "code":
        takes += [replace(take, path=f"{take.path}/CodeValue") for take in takes if "{" not in take.path]
    return tuple((-1, take) for take in takes)


# --- The stream -----------------------------------------------------------------------------------------------


class _Interchange:
    """One file on its way through the parser."""

    def __init__(self, readers: list[_RuleReader], refused: Path, encoding: str) -> None:
        self.readers = readers
        self.refused = _Rows(refused, ("line", "column_name", "reason", "remedy", "text", "entity"))
        self._encoding = None if encoding == "auto" else encoding
        self._has_begun = False
        self._slots: dict[str, int] = {}
        self._root = _Node()
        for reader in readers:
            self._place(reader)

    def close(self) -> None:
        for rows in (self.refused, *(reader.rows for reader in self.readers)):
            rows.close()

    def discard(self) -> None:
        for rows in (self.refused, *(reader.rows for reader in self.readers)):
            rows.discard()

    def _place(self, reader: _RuleReader) -> None:
        """Number the paths of a rule and hang them into the tree."""
        top = self._root.descend(reader.rule.element)
        top.readers.append(reader)
        for place in reader.places:
            place.takes = tuple((self._slot(top, take.path), take) for _, take in place.takes)
        if reader.where is not None:
            reader.where = (self._slot(top, reader.where[1].path), reader.where[1])
        if reader.rule.refer is not None:
            reader.reference = self._reference_slot(top, reader.rule.refer.path)
        reader.settle()

    def _slot(self, top: _Node, path: str) -> int:
        """The number under which values of this path are gathered."""
        slot = self._slots.setdefault(path, len(self._slots))
        head, _, choice = path.partition("{")
        parent = top.descend(head.rstrip("/"))
        if not choice:
            _add(parent.owns, slot)
            parent.gathers = True
            return slot
        _add(parent.opens, slot)
        for end in choice.rstrip("}").split("|"):
            leaf = parent.descend(end)
            _add(leaf.fills, slot)
            leaf.gathers = True
        return slot

    def _reference_slot(self, top: _Node, path: str) -> int:
        slot = self._slots.setdefault(f"{path}/@ref", len(self._slots))
        _add(top.descend(path).refers, slot)
        return slot

    def parse(self, content: BinaryIO) -> None:
        """Feed the whole file. Raises Unreadable at the first thing that makes it untrustworthy."""
        parser = self._parser(content)
        size = 0
        try:
            while chunk := content.read(CHUNK_BYTES):
                size += len(chunk)
                parser.Parse(chunk, False)
                if size - parser.CurrentByteIndex > MAXIMUM_TOKEN:
                    raise _too_much("text in one tag or comment", parser.CurrentLineNumber)
            if not size:
                raise Unreadable("empty_file", "The file is empty.", remedy="Ask the sender to deliver it again.")
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise _malformed(error) from None
        except (LookupError, ValueError):
            # So the parser says that it has no such encoding. Once it has found the first element, the
            # encoding was known and the fault is ours.
            if self._has_begun:
                raise
            raise _unknown_encoding() from None

    # One closure, since its variables are reached faster than attributes, some 40 times in every row.
    def _parser(self, content: BinaryIO) -> expat.XMLParserType:  # noqa: PLR0915
        parser = expat.ParserCreate(self._encoding)
        parser.buffer_text = True
        parser.buffer_size = 1 << 16
        declared = [self._encoding or "utf-8"]
        here = _NOWHERE
        above: list[_Node] = []
        slots: dict[int, list[str]] = {}
        parts: list[str] = []
        gathered = 0
        held = 0
        line = 0
        begins = 0
        xml_id: str | None = None

        # The two handlers below run for every element: what most elements need comes first.
        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal here
            above.append(here)
            node = here.get(name)
            if node is None:
                if ":" in name and here:
                    node = here.get(name.rpartition(":")[2])
                if node is None:
                    node = _NOWHERE
                    if len(above) == 1:
                        node = begin_interchange(name)
                    elif len(above) > MAXIMUM_DEPTH:
                        raise _too_much("elements inside one another", parser.CurrentLineNumber)
            here = node
            if node.gathers:
                parts.clear()
                parser.CharacterDataHandler = collect
            elif node.readers:
                begin(attributes)
            if node.opens:
                open_groups(node)
            if attributes and node.refers and "ref" in attributes:
                for slot in node.refers:
                    slots[slot] = [attributes["ref"]]

        def end(name: str) -> None:
            nonlocal here
            node = here
            here = above.pop()
            if node.gathers:
                parser.CharacterDataHandler = None
                finish_text(node)
            elif node.readers:
                finish(node, name)

        def begin_interchange(name: str) -> _Node:
            self._has_begun = True
            if not name.rpartition(":")[2].startswith("Interchange"):
                raise Unreadable(
                    "not_an_interchange",
                    "The outermost element is not an Ed-Fi interchange.",
                    line=parser.CurrentLineNumber,
                    remedy="Send an Ed-Fi interchange file, whose outermost element is named Interchange...",
                )
            return self._root

        def begin(attributes: dict[str, str]) -> None:
            nonlocal line, begins, xml_id
            line, begins = parser.CurrentLineNumber, parser.CurrentByteIndex
            xml_id = attributes.get("id")
            slots.clear()

        def open_groups(node: _Node) -> None:
            for slot in node.opens:
                texts = slots.setdefault(slot, [])
                texts.append("")
                if len(texts) > MAXIMUM_VALUES:
                    raise _too_much("values in one element", line)

        def collect(text: str) -> None:
            nonlocal gathered
            if not here.gathers:  # the text of an unknown element inside one that we gather
                return
            gathered += len(text)
            if gathered > MAXIMUM_TEXT:
                raise _too_much("characters in one value", line)
            parts.append(text)

        def finish_text(node: _Node) -> None:
            nonlocal gathered, held
            held += gathered
            if held > MAXIMUM_ELEMENT:
                raise _too_much("text in one element", line)
            gathered = 0
            text = (parts[0] if len(parts) == 1 else "".join(parts)).strip()
            parts.clear()
            if text.startswith("uri://"):
                text = text.partition("#")[2] or text
            for slot in node.owns:
                texts = slots.get(slot)
                if texts is None:
                    slots[slot] = [text]
                else:
                    texts.append(text)
                    if len(texts) > MAXIMUM_VALUES:
                        raise _too_much("values in one element", line)
            for slot in node.fills:
                texts = slots[slot]
                if not texts[-1]:
                    texts[-1] = text

        def finish(node: _Node, name: str) -> None:
            def refuse(rule: Rule, place: _Place) -> None:
                text = _excerpt(content, begins, parser.CurrentByteIndex, declared[0]) + f"</{name}>"
                remedy = (
                    f"Send {place.paths} in every {rule.element}."
                    if place.paths
                    else f"Say {place.column.name} under constants of {rule.entity}: the standard has none."
                )
                self.refused.append((line, place.column.name, "required_value_missing", remedy, text, rule.entity))

            nonlocal held
            held = 0
            for reader in node.readers:
                reader.take(slots, line, xml_id, refuse)

        def refuse_dtd(*_: object) -> None:
            raise Unreadable(
                "dtd",
                "The file has a document type definition (DTD), which can define entities and name other files.",
                line=parser.CurrentLineNumber,
                remedy="Send the interchange without <!DOCTYPE ...>.",
            )

        def note_encoding(_version: str, encoding: str | None, _standalone: int) -> None:
            declared[0] = self._encoding or encoding or "utf-8"

        parser.StartElementHandler = start
        parser.EndElementHandler = end
        parser.StartDoctypeDeclHandler = refuse_dtd
        parser.XmlDeclHandler = note_encoding
        return parser


def _add(slots: list[int], slot: int) -> None:
    if slot not in slots:
        slots.append(slot)


def _excerpt(content: BinaryIO, begins: int, ends: int, encoding: str) -> str:
    """The element as it was received, for the quarantine of this machine; the reading position is kept."""
    position = content.tell()
    content.seek(begins)
    raw = content.read(min(ends - begins, MAXIMUM_REFUSED_TEXT))
    content.seek(position)
    return raw.decode(encoding, errors="replace")


def _unknown_encoding() -> Unreadable:
    return Unreadable(
        "unknown_encoding",
        "The encoding that the file declares, or that district.yaml names, cannot be read.",
        line=1,
        remedy="Send UTF-8, or name the file's encoding in district.yaml.",
    )


def _malformed(error: expat.ExpatError) -> Unreadable:
    ended_early = (expat.errors.XML_ERROR_NO_ELEMENTS, expat.errors.XML_ERROR_UNCLOSED_TOKEN)
    what = expat.ErrorString(error.code) or "unknown"
    if what == expat.errors.XML_ERROR_UNKNOWN_ENCODING:
        return _unknown_encoding()
    if what in (*ended_early, expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION, expat.errors.XML_ERROR_PARTIAL_CHAR):
        return Unreadable(
            "truncated",
            "The file ends before its last element does.",
            line=error.lineno,
            remedy="The delivery was cut off: ask the sender to deliver it again.",
        )
    return Unreadable(
        "malformed",
        f"The file is not well-formed XML: {what}.",
        line=error.lineno,
        remedy="Ask the sender to correct the file at this line; an encoding other than the declared one is a "
        "common cause.",
    )


def _too_much(what: str, line: int | None = None) -> Unreadable:
    return Unreadable(
        "too_much",
        f"The file has more {what} than any interchange needs.",
        line=line,
        remedy="Ask the sender to check how the file was made.",
    )


# --- The result -----------------------------------------------------------------------------------------------


def _reading(
    con: duckdb.DuckDBPyConnection, serial: str, interchange: _Interchange, named: dict[str, EntityMap]
) -> Reading:
    """Show what was read as temp views; settle absent against unanswered, and references by XML id."""
    refused = f"{serial}_refused"
    con.execute(
        f"CREATE TEMP TABLE {refused} (line BIGINT, column_name VARCHAR, reason VARCHAR, remedy VARCHAR, "
        "text VARCHAR, entity VARCHAR)"
    )
    if interchange.refused.count:
        con.execute(f"INSERT INTO {refused} SELECT * FROM {_parquet(interchange.refused)}")
    if named:  # an entity read only because another refers to it
        con.execute(f"DELETE FROM {refused} WHERE NOT list_contains(?, entity)", [list(named)])
    speaking = [reader for reader in interchange.readers if reader.rows.count and _says_something(reader)]
    lenders = [reader for reader in speaking if reader.rule.lends_by]
    speaking = [reader for reader in speaking if not reader.rule.lends_by]
    tables: dict[str, str] = {}
    for entity in dict.fromkeys(reader.rule.entity for reader in interchange.readers):
        of_entity = [reader for reader in speaking if reader.rule.entity == entity]
        if (named and entity not in named) or (not named and not of_entity):
            continue
        selects = [_nothing(entity)]
        for reader in of_entity:
            select = _select(reader, speaking)
            for lender in lenders:
                if lender.rule.entity == entity:
                    select = _with_what_is_lent(select, lender)
            if reader.rule.refer is not None:
                _refuse_unresolved(con, select, refused, reader.rule.refer, entity)
                select = f'SELECT * FROM ({select}) WHERE "{reader.rule.refer.columns[0]}" IS NOT NULL'
            selects.append(select)
        tables[entity] = f"{serial}_{entity}"
        con.execute(f"CREATE TEMP VIEW {tables[entity]} AS {' UNION ALL '.join(selects)}")
    rows_read = sum(_count(con, table) for table in (*tables.values(), refused))
    # Each section of a school says that attendance was taken that day: the school's day is one row.
    return Reading(tables, refused, rows_read, collapse=frozenset({"attendance_taken"}))


def _says_something(reader: _RuleReader) -> bool:
    needed = reader.rule.says_something
    return not needed or any(reader.places[position].column.name in needed for position in reader.asked)


def _nothing(entity: str) -> str:
    """SELECT of no rows that gives a view its columns and types."""
    columns = ", ".join(f'NULL::VARCHAR AS "{column.name}"' for column in ENTITIES[entity].columns)
    return f"SELECT {columns}, NULL::BIGINT AS line WHERE false"


def _select(reader: _RuleReader, speaking: list[_RuleReader]) -> str:
    """SELECT of a rule's rows in the contract's column order, with `line` last."""
    refer = reader.rule.refer
    targets = [other for other in speaking if refer is not None and other.rule.entity == refer.entity]
    by_id = refer.columns if refer is not None and targets else ()
    cells = []
    for position, place in enumerate(reader.places):
        cell = f'r."{place.column.name}"'
        if place.column.name in by_id:
            cell = f'coalesce({cell}, t."{place.column.name}")'
        elif place.column.type == "code" and position in reader.asked:
            cell = f"coalesce({cell}, '')"
        cells.append(f'{cell} AS "{place.column.name}"')
    join = ""
    if by_id:
        wanted = ", ".join(f'any_value("{name}") AS "{name}"' for name in by_id)
        union = " UNION ALL BY NAME ".join(f"SELECT * FROM {_parquet(target.rows)}" for target in targets)
        join = (
            f" LEFT JOIN (SELECT xml_id, {wanted} FROM ({union}) WHERE xml_id IS NOT NULL "
            "GROUP BY xml_id HAVING count(*) = 1) AS t ON r.xml_ref = t.xml_id"
        )
    return f"SELECT {', '.join(cells)}, r.line FROM {_parquet(reader.rows)} AS r{join}"


def _with_what_is_lent(select: str, lender: _RuleReader) -> str:
    """The rows of `select`, what they lack taken from the lender's element of the same identity, where there is one."""
    by = lender.rule.lends_by
    lent = [place.column.name for place in lender.places if place.takes and place.column.name not in by]
    cells = ", ".join(f'coalesce(r."{name}", t."{name}") AS "{name}"' for name in lent)
    keys = ", ".join(f'"{name}"' for name in by)
    wanted = ", ".join(f'any_value("{name}") AS "{name}"' for name in lent)
    same = " AND ".join(f'r."{name}" = t."{name}"' for name in by)
    return (
        f"SELECT r.* REPLACE ({cells}) FROM ({select}) AS r LEFT JOIN (SELECT {keys}, {wanted} "
        f"FROM {_parquet(lender.rows)} GROUP BY {keys} HAVING count(*) = 1) AS t ON {same}"
    )


def _refuse_unresolved(con: duckdb.DuckDBPyConnection, select: str, refused: str, refer: Refer, entity: str) -> None:
    """Refuse the rows whose XML reference names no element of the file, or several."""
    column = refer.columns[0]
    remedy = (
        f"Send the element that {refer.path} names by id once, in the same file, or its identity instead of the id."
    )
    con.execute(
        f"INSERT INTO {refused} SELECT line, ?, 'reference_not_found', ?, NULL, ? "
        f'FROM ({select}) WHERE "{column}" IS NULL',
        [column, remedy, entity],
    )


def _parquet(rows: _Rows) -> str:
    path = str(rows.file).replace("'", "''")
    return f"read_parquet('{path}')"


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    [(count,)] = con.execute(f"SELECT count(*) FROM {table}").fetchall()
    return int(count)
