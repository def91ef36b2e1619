"""YAML files written by people: read with the line of every value, and judged in plain sentences.

`read` never raises: what is wrong with the file is in the document's problems. Scalars follow YAML 1.2
where 1.1 surprises: `22:30`, `0123`, `no` and `off` are text, not 1350, 83 and false.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

#: A configuration is written by hand; whatever is larger or deeper is some other file.
MAXIMUM_BYTES = 1_000_000
MAXIMUM_DEPTH = 40
MAXIMUM_VALUES = 50_000

#: Keys and list positions from the top of a document to a value.
Where = tuple[str | int, ...]

_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "timestamp"))
_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to correct. `line` counts from 1; 0 is the file as a whole."""

    line: int
    where: str
    message: str
    remedy: str
    path: Path

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else str(self.path)
        subject = f"{place} {self.where}" if self.where else place
        return f"{subject}: {self.message} - {self.remedy}"


@dataclass
class Document:
    """A file's content as plain values, the line of each, and what is wrong so far.

    data is None when there is nothing to go on with: absent, unreadable, or not a mapping.
    """

    path: Path
    data: dict[str, Any] | None = None
    lines: dict[Where, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    judged: set[Where] = field(default_factory=set)

    def line(self, where: Where) -> int:
        """The line of a value; of the nearest value around it when it is not there."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 0)

    def add(self, where: Where, message: str, remedy: str) -> None:
        """Adds a problem at a place, once: the first finding about a place is its cause."""
        if where not in self.judged:
            self.judged.add(where)
            self.add_line(self.line(where), message, remedy, where)

    def add_line(self, line: int, message: str, remedy: str, where: Where = ()) -> None:
        """Adds a problem at a line of its own (0: the whole file), whatever is known of the place."""
        self.problems.append(Problem(line, place(where), message, remedy, self.path))


def place(where: Where) -> str:
    """`sources.attendance.files[0]` for a path of keys and positions; odd keys are quoted and cut."""
    text = ""
    for part in where:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if part.isprintable() and part.strip() and len(part) <= 60 else shorten(part)
            text += f".{shown}" if text else shown
    return text


def shorten(value: object, limit: int = 60) -> str:
    """A value as a message may show it: on one line, without control characters, not too long."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a map"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    shown = repr(text[:limit]) if isinstance(value, str) else text[:limit]
    return f"{shown} ..." if len(text) > limit else shown


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that a misspelt one was most likely meant to be."""
    candidates, word = list(known), word[:100].lower()
    longer = [candidate for candidate in candidates if len(word) > 2 and candidate.startswith(word)]
    found = longer or difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)
    return found[0] if found else None


class _Loader(yaml.SafeLoader):
    """Composes nodes only. Numbers and booleans are recognised as in YAML 1.2."""


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:timestamp", re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), list("0123456789")
)
_Loader.add_implicit_resolver(_MERGE, re.compile(r"^<<$"), ["<"])


def read(path: Path) -> Document:
    """Reads one YAML file whose top is a mapping with text keys. Never raises for what the file holds."""
    document = Document(path)
    text = _text(document)
    if text is None:
        return document
    root = _compose(document, text)
    if root is None:
        return document
    data = _Converter(document).value(root, ())
    if isinstance(data, dict):
        document.data = data
    elif not document.problems:
        document.add_line(
            root.start_mark.line + 1, "the file is not a map of settings", "write `key: value` lines at its top level"
        )
    return document


def _text(document: Document) -> str | None:
    path = document.path
    try:
        if path.exists() and not path.is_file():
            document.add_line(0, "is not a file", "name a file, not a folder or a device")
            return None
        with path.open("rb") as file:
            raw = file.read(MAXIMUM_BYTES + 1)
    except FileNotFoundError:
        document.add_line(0, "there is no such file", "check the path, or let `equity init` propose one")
        return None
    except (OSError, ValueError) as error:
        document.add_line(0, f"cannot be read ({type(error).__name__})", "check the path and the file's permissions")
        return None
    if len(raw) > MAXIMUM_BYTES:
        document.add_line(
            0, f"is larger than {MAXIMUM_BYTES // 1_000_000} MB", "name the configuration file, not a data file"
        )
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        document.add_line(raw.count(b"\n", 0, error.start) + 1, "the text is not UTF-8", "save the file as UTF-8")
        return None


def _compose(document: Document, text: str) -> yaml.Node | None:
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.add_line(line, "holds a control character that YAML does not allow", "remove it")
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        if "\\t" in (error.problem or "") or _starts_with_tab(text, line):
            document.add_line(line, "a tab is used for indentation", "indent with spaces")
        elif "single document" in (error.context or ""):
            document.add_line(line, "a second document begins here", "remove the line `---`")
        else:
            document.add_line(
                line,
                f"is not valid YAML ({error.problem or error.context})",
                "check indentation, colons and quotes on this line and the one before",
            )
        return None
    except RecursionError:
        document.add_line(0, "is nested too deeply", "keep to the keys of the published schema")
        return None
    except (ValueError, OverflowError):
        # PyYAML lets chr() refuse an escape such as "\UFFFFFFFF" without a position.
        document.add_line(0, "holds an escape that is no character", "write the character itself")
        return None
    if root is None:
        document.add_line(0, "the file is empty", "fill it, or let `equity init` propose one")
    return root


def _starts_with_tab(text: str, line: int) -> bool:
    rows = text.splitlines()
    return 0 < line <= len(rows) and rows[line - 1].lstrip(" ").startswith("\t")


class _TooLargeError(Exception):
    """The document has more values than a person writes (usually anchors that repeat each other)."""


class _Converter:
    """Turns YAML nodes into plain values, noting lines and whatever a configuration may not hold."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.count = 0
        self.scalars = yaml.constructor.SafeConstructor()

    def value(self, root: yaml.Node, where: Where) -> object:
        try:
            return self._value(root, where, ())
        except _TooLargeError:
            self.document.add_line(
                0, "is nested too deeply or has too many values", "remove anchors that repeat each other"
            )
            return None

    def _value(self, node: yaml.Node, where: Where, around: tuple[int, ...]) -> object:
        self.count += 1
        if self.count > MAXIMUM_VALUES or len(around) > MAXIMUM_DEPTH or id(node) in around:
            raise _TooLargeError
        self.document.lines.setdefault(where, node.start_mark.line + 1)
        inside = (*around, id(node))
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self._mapping(node, where, inside)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self._value(item, (*where, number), inside) for number, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _TAGS:
            return self._scalar(node, where)
        self.document.add(
            where, f"the tag {shorten(node.tag)} is not allowed", "write plain text, numbers, lists and maps"
        )
        return None

    def _mapping(self, node: yaml.MappingNode, where: Where, inside: tuple[int, ...]) -> dict[str, object]:
        result: dict[str, object] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag == _MERGE:
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif not isinstance(key, yaml.ScalarNode):
                self.document.add_line(line, "a key is a list or a map", "write keys as text", where)
            elif key.value in result:
                first = self.document.lines[(*where, key.value)]
                message = f"the key is given twice (first on line {first})"
                self.document.add_line(line, message, "keep one of the two", (*where, key.value))
            else:
                # The key's own text: `1:` and `true:` are the file columns "1" and "true".
                self.document.lines[(*where, key.value)] = line
                result[key.value] = self._value(value, (*where, key.value), inside)
        for value in merged:
            # What stands in the map itself wins over what is merged into it, the first merged over the next.
            other = self._value(value, where, inside)
            if isinstance(other, dict):
                result = {**other, **result}
            else:
                self.document.add(where, "`<<` merges something that is not a map", "merge a map")
        return result

    def _scalar(self, node: yaml.ScalarNode, where: Where) -> object:
        try:
            if node.tag == "tag:yaml.org,2002:int":
                return int(node.value)
            return self.scalars.construct_object(node)
        except (ValueError, LookupError, ArithmeticError, AttributeError, TypeError, yaml.YAMLError):
            kind = {"timestamp": "date", "int": "number", "float": "number"}.get(node.tag.rpartition(":")[2], "value")
            self.document.add(
                where, f"{shorten(node.value)} is not a real {kind}", "correct it, or quote it if it is text"
            )
            return None


def validation_problems(
    document: Document, error: ValidationError, schema: Mapping[str, Any], advice: Mapping[str, str]
) -> None:
    """Adds pydantic's findings to a document as sentences.

    schema: the model's JSON Schema, which knows keys, choices, limits and descriptions.
    advice: field name -> remedy, where a field deserves a better one than can be derived.
    """
    for finding in error.errors(include_url=False):
        where, value, branch_not_written = _locate(document.data, finding["loc"], finding["type"])
        if not branch_not_written:
            message, remedy = _sentence(finding["type"], finding["msg"], finding["loc"], where, value, schema)
            if finding["type"] != "extra_forbidden":
                remedy = advice.get(str(where[-1]), remedy) if where else remedy
            document.add(where, message, remedy)


def _locate(data: object, loc: tuple[str | int, ...], kind: str) -> tuple[Where, object, bool]:
    """Where a finding lies in the data, the value there, and whether it judges a branch not written.

    A location names the members of a union too (`str`, a model); they are no part of the data.
    """
    where: Where = ()
    value: Any = data
    branch_not_written = False
    for number, part in enumerate(loc):
        known = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        if part in known:
            value = value[part]
        elif kind == "missing" and number == len(loc) - 1:
            value = None
        else:
            # A map is judged as the model it was meant to be, anything else as the plain value.
            branch_not_written = part == "str" and isinstance(value, dict)
            continue
        where = (*where, part)
    return where, value, branch_not_written


def schemas_at(schema: Mapping[str, Any], where: Where) -> list[Mapping[str, Any]]:
    """The parts of a JSON Schema that describe a place, every alternative of it."""
    found = list(_alternatives(schema, schema))
    for part in where:
        found = [inner for outer in found for inner in _children(schema, outer, part)]
    return found


def _alternatives(root: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].rpartition("/")[2]]
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        yield from _alternatives(root, {**target, **beside})
    elif "anyOf" in schema:
        for choice in schema["anyOf"]:
            yield from _alternatives(root, choice)
    else:
        yield schema


def _children(root: Mapping[str, Any], schema: Mapping[str, Any], part: str | int) -> Iterator[Mapping[str, Any]]:
    if isinstance(part, int):
        inner = [schema["items"]] if "items" in schema else []
    elif part in schema.get("properties", {}):
        inner = [schema["properties"][part]]
    else:
        inner = list(schema.get("patternProperties", {}).values())
        if isinstance(schema.get("additionalProperties"), dict):
            inner.append(schema["additionalProperties"])
    for child in inner:
        yield from _alternatives(root, child)


def _sentence(
    kind: str, text: str, loc: tuple[str | int, ...], where: Where, value: object, schema: Mapping[str, Any]
) -> tuple[str, str]:
    """What is wrong and what to do, for one finding."""
    described = " ".join(part["description"] for part in schemas_at(schema, where)[:1] if "description" in part)
    if loc and loc[-1] == "[key]":
        return f"the name {shorten(where[-1])} is not allowed", "use lower-case letters, digits, _ and -, at most 64"
    if kind == "missing":
        return "is missing", f"add {where[-1]}: {described}" if described else f"add {where[-1]}"
    if kind == "extra_forbidden":
        known = sorted({key for part in schemas_at(schema, where[:-1]) for key in part.get("properties", {})})
        near = closest(str(where[-1]), known)
        if near:
            return "is not a known key", f"did you mean {near}?"
        homes = sorted(
            name for name, part in schema.get("$defs", {}).items() if where[-1] in part.get("properties", {})
        )
        if homes:
            return "is not a known key here", f"it belongs to {' or '.join(homes)}; keys here: {', '.join(known)}"
        return "is not a known key", f"remove it; known here: {', '.join(known)}" if known else "remove it"
    if value is None:
        return "is empty", f"fill it, or remove the key. {described}".rstrip()
    if kind in ("literal_error", "string_pattern_mismatch"):
        choices = [choice for part in schemas_at(schema, where) for choice in _choices(part)]
        if choices:
            near = closest(str(value), choices)
            hint = f"did you mean {near}? " if near else ""
            return f"{shorten(value)} is not one of the choices", f"{hint}write one of: {', '.join(choices)}"
        # A URL may hold a password, also where only the name of one belongs.
        shown = "a URL" if "://" in str(value) else shorten(value)
        return f"{shown} does not have the right form", described or "correct it"
    if kind.startswith(("greater_than", "less_than")):
        limits = next((part for part in schemas_at(schema, where) if "minimum" in part), {})
        if "minimum" in limits and "maximum" in limits:
            return (
                f"{shorten(value)} is out of range",
                f"write a number from {limits['minimum']} to {limits['maximum']}",
            )
    return _wrong_type(kind, text, value, described)


def _choices(schema: Mapping[str, Any]) -> list[str]:
    return [str(choice) for choice in schema.get("enum", [schema["const"]] if "const" in schema else [])]


_SHAPES = {
    "string": ("text", 'put it in quotes, as in "0123"'),
    "int": ("a whole number", "write digits without quotes"),
    "bool": ("true or false", "write true or false"),
    "list": ("a list", "write it as [a, b], or one `- item` a line"),
    "dict": ("a map", "write `key: value` lines under it"),
    "model": ("a map", "write `key: value` lines under it"),
    "date": ("a date", "write it as 2025-08-12"),
}


def _wrong_type(kind: str, text: str, value: object, described: str) -> tuple[str, str]:
    if kind in ("too_short", "string_too_short"):
        return "is empty", f"give at least one. {described}".rstrip()
    shape = _SHAPES.get(kind.partition("_")[0])
    if shape and kind.endswith("_type"):
        name, remedy = shape
        if name == "text" and isinstance(value, (list, dict)):
            remedy = "write one value"
        return f"must be {name}, and is {shorten(value)}", remedy
    return text.removeprefix("Value error, ").rstrip("."), "correct it"
