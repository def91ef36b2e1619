"""How survey tools lay out their exports: header rows, own columns, and the names of items.

From public descriptions of the formats; no district has confirmed them yet (docs/sources/surveys.md).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.config import Source
from pipelines.sources import Unreadable, text

#: What an export holds.
FED = ("survey", "survey_questionnaire", "survey_response")
FEEDS_UNASKED = frozenset(FED)
_DELIMITERS = (",", "\t", ";", "|")
#: Lines within which all header records stand: a question's text is shorter.
_HEADER_LINES = 1000
#: Second header rows of SurveyMonkey that name no row or choice.
_NO_PART = frozenset({"", "response", "open-ended response"})

#: Columns that tell who answered, or from where, in any tool and spelling. A whole name, as letters only.
_PERSON = re.compile(
    r"(recipient|respondent|student|parent|guardian|your|contact)?"
    r"(ip|ipaddress|e?mail|e?mailaddress|username|firstname|lastname|fullname|name|phone|phonenumber|mobile"
    r"|locationlatitude|locationlongitude|latitude|longitude|externalreference|externaldatareference|customdata[0-9]*)"
)


def names_a_person(column: str) -> bool:
    """Whether a column holds a name, an address or a place by which a respondent is known."""
    return _PERSON.fullmatch(re.sub(r"[^a-z0-9]", "", column.lower())) is not None


@dataclass(frozen=True)
class Layout:
    """A tool's layout.

    header_rows: records above the first questionnaire; columns: the tool's own columns by survey setting;
    always_complete: only completed questionnaires are exported; test_when: column and values of a preview.
    own: further columns of the tool, which are never items.
    """

    header_rows: int = 1
    columns: dict[str, str] = field(default_factory=dict)
    always_complete: bool = False
    submitted_is_complete: bool = True
    test_when: dict[str, tuple[str, ...]] = field(default_factory=dict)
    own: tuple[str, ...] = ()


_WIDE = Layout()
LAYOUTS = {
    "wide": _WIDE,
    "panorama": _WIDE,
    "google_forms": Layout(columns={"submitted": "Timestamp"}, always_complete=True, own=("Score",)),
    "survey_monkey": Layout(
        header_rows=2,
        columns={"response_id": "Respondent ID", "started": "Start Date", "submitted": "End Date"},
        # A questionnaire that was left has an end date too.
        submitted_is_complete=False,
        own=("Collector ID",),
    ),
    "qualtrics": Layout(
        header_rows=3,
        columns={
            "response_id": "ResponseId",
            "started": "StartDate",
            "submitted": "EndDate",
            "seconds": "Duration (in seconds)",
            "language": "UserLanguage",
            "finished": "Finished",
        },
        submitted_is_complete=False,
        test_when={
            "Status": ("1", "2", "9", "17", "survey preview", "survey test", "spam", "offline survey preview"),
            "DistributionChannel": ("preview",),
        },
        own=("Progress", "RecordedDate"),
    ),
}


@dataclass(frozen=True)
class Header:
    """The header records of an export. names: the columns' names; last_line: where the last header record begins."""

    names: list[str]
    last_line: int
    delimiter: str


def header_of(file: Path, source: Source, layout: Layout) -> Header:
    """The names that the header records give. Raises Unreadable when the file lacks what its tool writes."""
    encoding = text.encoding_of(file, source.encoding)
    with text.decoding(file, encoding), text.open_text(file, encoding) as opened:
        limited = (line for number, line in enumerate(text.lines(opened)) if number < _HEADER_LINES)
        first = next(limited, "")
        delimiter = source.delimiter
        if delimiter == "auto":
            delimiter = max(_DELIMITERS, key=first.count)
        reader = csv.reader(_chain(first, limited), delimiter=delimiter)
        records: list[list[str]] = []
        line = begins = 1
        try:
            while len(records) < layout.header_rows and (record := next(reader, None)) is not None:
                if record:
                    records.append(record)
                    begins = line
                line = reader.line_num + 1
        except csv.Error:
            raise _not_as_the_tool(line) from None
    if not any(records):
        raise Unreadable("empty_file", "The file is empty.", 1, "Export the survey again.")
    if len(records) < layout.header_rows or len({len(record) for record in records}) > 1:
        raise _not_as_the_tool(begins)
    if layout.header_rows == 3 and not all('"ImportId"' in cell for cell in records[2]):
        raise _not_as_the_tool(begins)
    names = _joined(records[0], records[1]) if layout.header_rows == 2 else records[0]
    return Header(_once(names), begins, delimiter)


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _joined(questions: Sequence[str], parts: Sequence[str]) -> list[str]:
    """`Question [Row]`, as other tools write it; a question stands over the first of its columns only."""
    names, question = [], ""
    for cell, part in zip(questions, parts, strict=True):
        question = " ".join(cell.split()) or question
        clean = " ".join(part.split())
        names.append(question if clean.lower() in _NO_PART else f"{question} [{clean}]")
    return names


def _once(names: Sequence[str]) -> list[str]:
    """Two questions of one text are two items: the second is `Question (2)`. White space as single blanks."""
    seen: set[str] = set()
    unique = []
    for position, name in enumerate(names, start=1):
        clean = " ".join(name.split()) or f"column {position}"
        copy, one = 1, clean
        while one.lower() in seen:
            copy += 1
            one = f"{clean} ({copy})"
        seen.add(one.lower())
        unique.append(one)
    return unique


def _not_as_the_tool(line: int) -> Unreadable:
    return Unreadable(
        "layout_not_the_tools",
        "The header rows are not those that the survey's tool writes.",
        line,
        "Correct survey: tool, or export again without changing the file; a single header row is tool: wide.",
    )
