"""What codes mean: the project's default code tables and a district's own, as one table.

Defaults stand in `pipelines/codes/<crosswalk>.csv` (code, value, authority), a district's rows in
`crosswalks/*.csv` beside its `district.yaml` (crosswalk, code, value, and optionally school_id,
calendar_id, school_year, note). Codes compare trimmed and in lower case; the empty code says what an empty
cell means. The most specific row wins: a district's over the default, one for a school, calendar or year
over one for all, and more of the three over fewer. Two rows that are as specific as each other, apply to
the same cell and disagree are an error, never a choice made here. So is a row that could never apply: a
crosswalk is limited only to what the rows that hold its codes carry (`SCOPES`).

A district's row without a value decides nothing: its code stays what it is without the row. So a list of
codes can stand in the file before anybody knows what each of them means.

Codes are not repeated in messages: whoever reads a log should not learn what stands in a cell.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields, replace
from itertools import combinations
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa

from pipelines.config import IdRules
from pipelines.contract import CROSSWALK_VALUES
from pipelines.ids import AS_WRITTEN, normal_id
from pipelines.yaml_document import Problem

#: The default code tables.
CODES = Path(__file__).parent / "codes"

Scope = Literal["school_id", "calendar_id", "school_year"]

#: What a crosswalk's rows may be limited to: what the rows that hold its codes carry. docs/sources/crosswalks.md
#: says from where each is taken; the staging models follow it, and a test holds them to it.
SCOPES: dict[str, tuple[Scope, ...]] = {
    "school_level": ("school_id",),
    **dict.fromkeys(("yes_no", "sex", "race", "economic", "language", "disability"), ("school_year",)),
    **dict.fromkeys(
        ("grade", "enrollment_type", "calendar_event", "attendance_category"),
        ("school_id", "calendar_id", "school_year"),
    ),
    **dict.fromkeys(("behavior", "participation", "discipline_action"), ("school_id", "school_year")),
    "survey_universe": ("school_year",),
    "survey_answer": ("school_id", "school_year"),
    # A state's codes are the same for all its schools. Its reports have no school of ours and no date.
    **dict.fromkeys(("state_indicator", "state_student_group"), ()),
}

_ALL = "all"
_ALL_YEARS = 0
_DEFAULT_COLUMNS = ("code", "value", "authority")
_REQUIRED_COLUMNS = ("crosswalk", "code", "value")
_OPTIONAL_COLUMNS = ("school_id", "calendar_id", "school_year", "note")


@dataclass(frozen=True, order=True)
class CodeRow:
    """One code and what it means, where.

    code: trimmed, lower case. school_id, calendar_id: `all` or an id. school_year: the year in which it
    ends, 0 for all. specificity: 0 for a default, else 1 and one more for each of the three that is not all.
    origin: `default` or `district`.
    """

    crosswalk: str
    code: str
    value: str
    school_id: str = _ALL
    calendar_id: str = _ALL
    school_year: int = _ALL_YEARS
    specificity: int = 0
    origin: str = "default"

    @property
    def scope(self) -> tuple[str | None, str | None, int | None]:
        """School, calendar and year; None for all."""
        return (
            None if self.school_id == _ALL else self.school_id,
            None if self.calendar_id == _ALL else self.calendar_id,
            self.school_year or None,
        )


@dataclass(frozen=True)
class Crosswalks:
    """All code rows that could be read, sorted, and every problem found (paths in order, then lines)."""

    entries: tuple[CodeRow, ...]
    problems: tuple[Problem, ...]

    def rows(self) -> Iterator[tuple[str | int, ...]]:
        """(crosswalk, code, value, school_id, calendar_id, school_year, specificity, origin) for each entry."""
        return map(astuple, self.entries)

    def as_arrow(self) -> pa.Table:
        """The same rows as an Arrow table, school_year and specificity as 32-bit integers."""
        types = {"school_year": pa.int32(), "specificity": pa.int32()}
        names = [column.name for column in fields(CodeRow)]
        schema = pa.schema([(name, types.get(name, pa.string())) for name in names])
        columns = zip(*self.rows(), strict=True) if self.entries else ([] for _ in names)
        return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)

    @property
    def content_hash(self) -> str:
        """SHA-256 of what the rows say: comments, order and file names do not change it."""
        content = json.dumps(list(self.rows()), ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(content.encode("ascii")).hexdigest()


@dataclass(frozen=True)
class _Read:
    """A row together with where it stands."""

    row: CodeRow
    path: Path
    line: int


def load(district_folder: Path, school_ids: IdRules = AS_WRITTEN) -> Crosswalks:
    """Read the defaults and the crosswalk files of the district whose `district.yaml` is in this folder.

    school_ids: how the district writes school ids, so that a row names a school as its extracts are read.
    A district without a `crosswalks` folder has the defaults. Raises nothing for what the files hold: every
    problem is in the result; where there is one, the entries are not to be used.
    """
    problems: list[Problem] = []
    read = [entry for crosswalk in CROSSWALK_VALUES for entry in _defaults(crosswalk, problems)]
    for path in sorted((district_folder / "crosswalks").glob("*.csv")):
        read.extend(_district_rows(path, problems))
    read = _written_alike(read, school_ids)
    problems.extend(_disagreements(read))
    entries = tuple(sorted({entry.row for entry in read}))
    return Crosswalks(entries, tuple(sorted(problems, key=lambda problem: (str(problem.path), problem.line))))


def _written_alike(read: list[_Read], rules: IdRules) -> list[_Read]:
    """The rows with their school ids written by the rules of landing: one SQL says how, for files and for these."""
    ids = sorted({entry.row.school_id for entry in read} - {_ALL})
    if rules == AS_WRITTEN or not ids:
        return read
    with duckdb.connect() as con:
        all_ids = "(select unnest($ids) as id)"
        written = con.execute(f"select id, {normal_id('id', rules)} from {all_ids}", {"ids": ids}).fetchall()
    to = dict(written)
    return [replace(entry, row=replace(entry.row, school_id=to.get(entry.row.school_id, _ALL))) for entry in read]


def _defaults(crosswalk: str, problems: list[Problem]) -> Iterator[_Read]:
    path = CODES / f"{crosswalk}.csv"
    for line, cells in _cells(path, _DEFAULT_COLUMNS, (), problems):
        if _is_known(crosswalk, cells["value"], path, line, problems):
            yield _Read(CodeRow(crosswalk, _folded(cells["code"]), cells["value"]), path, line)


def _district_rows(path: Path, problems: list[Problem]) -> Iterator[_Read]:
    for line, cells in _cells(path, _REQUIRED_COLUMNS, _OPTIONAL_COLUMNS, problems):
        crosswalk, value = cells["crosswalk"].lower(), cells["value"].lower()
        year = cells.get("school_year", "") or str(_ALL_YEARS)
        if not value and crosswalk in CROSSWALK_VALUES:
            continue
        if not _is_known(crosswalk, value, path, line, problems):
            continue
        if year.lower() == _ALL:
            year = str(_ALL_YEARS)
        if year != str(_ALL_YEARS) and not (year.isascii() and year.isdigit() and len(year) == 4):
            problems.append(
                _problem(
                    path,
                    line,
                    "The school year is not a year.",
                    "Give the year in which it ends, as 2026 for 2025-26, or leave it empty for all years.",
                )
            )
            continue
        school_id, calendar_id = _id(cells.get("school_id", "")), _id(cells.get("calendar_id", ""))
        school_year = int(year)
        limited: dict[Scope, bool] = {
            "school_id": school_id != _ALL,
            "calendar_id": calendar_id != _ALL,
            "school_year": school_year != _ALL_YEARS,
        }
        if never := [scope for scope, is_limited in limited.items() if is_limited and scope not in SCOPES[crosswalk]]:
            allowed = " and ".join(SCOPES[crosswalk])
            message = f"The crosswalk {crosswalk} cannot be limited by {' and '.join(never)}: its rows carry none."
            remedy = f"Leave it empty; rows of this crosswalk can be limited by {allowed}."
            problems.append(_problem(path, line, message, remedy))
            continue
        specificity = 1 + sum(limited.values())
        row = CodeRow(
            crosswalk, _folded(cells["code"]), value, school_id, calendar_id, school_year, specificity, "district"
        )
        yield _Read(row, path, line)


def _problem(path: Path, line: int, message: str, remedy: str) -> Problem:
    return Problem(line, "", message, remedy, path)


def _id(cell: str) -> str:
    """A school or calendar id as it is written; `all` where the row is for every one."""
    return _ALL if cell.lower() in ("", _ALL) else cell


def _folded(code: str) -> str:
    return code.strip().lower()


def _is_known(crosswalk: str, value: str, path: Path, line: int, problems: list[Problem]) -> bool:
    allowed = CROSSWALK_VALUES.get(crosswalk)
    if allowed is None:
        names = ", ".join(CROSSWALK_VALUES)
        problems.append(_problem(path, line, "There is no crosswalk of this name.", f"Use one of: {names}."))
        return False
    if value not in allowed:
        message = f"The crosswalk {crosswalk} has no such value."
        problems.append(_problem(path, line, message, f"Use one of: {', '.join(allowed)}."))
        return False
    return True


def _cells(
    path: Path, required: tuple[str, ...], optional: tuple[str, ...], problems: list[Problem]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and trimmed cells of every row that has as many cells as the header; blank lines are passed over."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError:
        problems.append(_problem(path, 1, "The file cannot be read.", "Check that it is a file and may be read."))
        return
    except UnicodeDecodeError:
        problems.append(_problem(path, 1, "The file is not UTF-8.", "Save it as CSV UTF-8."))
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip().lower() for cell in cells]
                if problem := _header_problem(header, required, optional, path, reader.line_num):
                    problems.append(problem)
                    return
            elif len(cells) != len(header):
                message = f"The row has {len(cells)} cells, the header {len(header)}."
                remedy = "Put a cell that holds a comma in double quotes, and give every row all columns."
                problems.append(_problem(path, reader.line_num, message, remedy))
            else:
                yield reader.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=True))
    except csv.Error:
        problems.append(
            _problem(path, reader.line_num, "The row is not CSV.", "Close the double quotes that it opens.")
        )
        return
    if header is None:
        problems.append(_problem(path, 1, "The file is empty.", f"Give it the columns {', '.join(required)}."))


def _header_problem(
    header: list[str], required: tuple[str, ...], optional: tuple[str, ...], path: Path, line: int
) -> Problem | None:
    missing = [name for name in required if name not in header]
    unknown = [number for number, name in enumerate(header, 1) if name not in required + optional]
    allowed = ", ".join(required) + (f", and if needed {', '.join(optional)}" if optional else "")
    remedy = f"The columns are {allowed}; each once."
    if missing:
        return _problem(path, line, f"The column {missing[0]} is missing.", remedy)
    if unknown:
        return _problem(path, line, f"Column {unknown[0]} has a name that is not known here.", remedy)
    if len(set(header)) < len(header):
        return _problem(path, line, "Two columns have the same name.", remedy)
    return None


def _disagreements(read: Iterable[_Read]) -> Iterator[Problem]:
    """Rows as specific as each other that apply to the same cell and say different things."""
    by_code: dict[tuple[str, str, int], dict[tuple[str | None, str | None, int | None], _Read]] = {}
    scopes: dict[tuple[str, str], set[tuple[str | None, str | None, int | None]]] = {}
    for entry in read:
        row = entry.row
        scopes.setdefault((row.crosswalk, row.code), set()).add(row.scope)
        peers = by_code.setdefault((row.crosswalk, row.code, row.specificity), {})
        first = peers.setdefault(row.scope, entry)
        if first.row.value != row.value:
            yield _disagreement(entry, first)
    for (crosswalk, code, _), peers in by_code.items():
        for earlier, later in combinations(peers.values(), 2):
            if earlier.row.value == later.row.value:
                continue
            both = _overlap(earlier.row.scope, later.row.scope)
            # A row for exactly what both cover settles it: that one is more specific than either.
            if both is not None and both not in scopes[crosswalk, code]:
                yield _disagreement(later, earlier)


def _overlap(
    one: tuple[str | None, str | None, int | None], other: tuple[str | None, str | None, int | None]
) -> tuple[str | None, str | None, int | None] | None:
    """What both scopes cover, or None when they have nothing in common."""
    for a, b in zip(one, other, strict=True):
        if a is not None and b is not None and a != b:
            return None
    return (one[0] or other[0], one[1] or other[1], one[2] or other[2])


def _disagreement(later: _Read, earlier: _Read) -> Problem:
    where = f"line {earlier.line}" if earlier.path == later.path else f"{earlier.path.name}, line {earlier.line}"
    return _problem(
        later.path,
        later.line,
        f"The row gives another value than {where}, and neither is the more specific.",
        "Remove one of them, or add a row for exactly the school, calendar and year that both cover.",
    )
