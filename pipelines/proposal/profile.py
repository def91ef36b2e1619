"""What each column of a sample holds, told by counts: dates and their formats, numbers, flags, codes, ids."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

from pipelines.code_report import MOST_CODES
from pipelines.proposal.names import never_carried
from pipelines.proposal.tables import Table

#: How dates are written, the commonest first. Where two that differ fit, `settings` decides or says so.
DATE_FORMATS = (
    "%Y-%m-%d",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%Y%m%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S.%f",
    "%m/%d/%y",
    "%d/%m/%y",
    "%m-%d-%Y",
    "%d-%m-%Y",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%m.%d.%Y",
    "%Y.%m.%d",
    "%Y.%m.%d %H:%M",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d %b %Y",
    "%m%d%Y",
)
#: Cells that mean that nothing was entered, and cells by which a sender hides a number.
NOTHING = frozenset({"n/a", "na", "null", "none", "#n/a", "--", "-", "nan", "(null)", "\\n", "00/00/0000", "0/0/0000"})
MASKS = frozenset({"*", "**", "***", "<10", "<5", "< 10", "n<10", ".", "-1", "-2", "-3", "s", "supp", "suppressed"})
_YES_NO = frozenset({"y", "n", "yes", "no", "true", "false", "1", "0", "t", "f", "x"})
#: Years that extracts speak of: a column of numbers that parses as days of the year 1234 is no date.
_YEARS = range(1990, 2041)
#: Distinct values of a column that are tried as dates: enough to meet a 13 in the day's place.
_TRIED = 2_000


@dataclass
class Profile:
    """One column of a sample.

    values: each value in the sample and its count, '' left out. blank: the share of empty cells (or cells that say
    that nothing was entered). date_formats: those that fit nearly every value, none for a column that is no date.
    """

    name: str
    rows: int
    values: Counter[str]
    blank: float
    date_formats: tuple[str, ...] = ()
    nothing: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    kept_out: str | None = None
    is_number: bool = False
    is_flag: bool = False
    is_time: bool = False
    _folded: frozenset[str] | None = field(default=None, repr=False)

    @property
    def filled(self) -> int:
        return self.values.total()

    @property
    def is_date(self) -> bool:
        return bool(self.date_formats)

    @property
    def is_empty(self) -> bool:
        return not self.values

    @property
    def is_unique(self) -> bool:
        return self.filled > 1 and len(self.values) == self.filled

    @property
    def is_code_list(self) -> bool:
        """Few values that repeat, none of them long: what a column of codes looks like, and a column of names not."""
        few = len(self.values) <= MOST_CODES and (len(self.values) <= 12 or self.filled >= 3 * len(self.values))
        return bool(self.values) and few and max(map(len, self.values)) <= 80

    def overlap(self, other: Profile) -> float:
        """The share of this column's different values that the other column holds too."""
        return len(self.folded & other.folded) / len(self.folded) if self.folded else 0.0

    @property
    def folded(self) -> frozenset[str]:
        if self._folded is None:
            self._folded = frozenset(value.lower() for value in self.values)
        return self._folded


def profiles(table: Table) -> list[Profile]:
    """A profile of every column, in the table's order."""
    by_column = zip(*table.rows, strict=True) if table.rows else [() for _ in table.columns]
    return [_profile(name, cells) for name, cells in zip(table.columns, by_column, strict=True)]


def _profile(name: str, cells: Sequence[str]) -> Profile:
    values = Counter(cells)
    empty = values.pop("", 0)
    nothing = tuple(value for value in values if value.lower() in NOTHING)
    for value in nothing:
        empty += values.pop(value)
    masks = _masks(values)
    counted = Counter({value: count for value, count in values.items() if value not in masks})
    profile = Profile(
        name,
        len(cells),
        counted,
        empty / len(cells) if cells else 1.0,
        nothing=nothing,
        masks=masks,
        kept_out=never_carried(name),
    )
    if not counted:
        return profile
    tried = list(counted)[:_TRIED]
    profile.is_number = all(re.fullmatch(r"[+-]?\d{1,15}([.]\d+)?%?", value.replace(",", "")) for value in tried)
    profile.is_flag = {value.lower() for value in counted} <= _YES_NO
    profile.is_time = all(re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?( ?[AaPp][Mm])?", value) for value in tried)
    profile.date_formats = () if profile.is_flag else _date_formats({value: counted[value] for value in tried})
    return profile


def _masks(values: Counter[str]) -> tuple[str, ...]:
    """Cells by which a sender hides a number: only in a column that otherwise holds numbers."""
    candidates = [value for value in values if value.lower() in MASKS]
    others = [value for value in values if value.lower() not in MASKS]
    sure = [value for value in candidates if value.lower() not in {".", "s", "-1", "-2", "-3"}]
    if not candidates or not others:
        return ()
    numbers = sum(bool(re.fullmatch(r"[+-]?[\d,]+([.]\d+)?%?", value)) for value in others)
    if numbers < 0.9 * len(others):
        return ()
    negative = any(value.startswith("-") for value in others)
    return tuple(value for value in candidates if value in sure or not negative)


def _date_formats(cells: Mapping[str, int]) -> tuple[str, ...]:
    """The formats that fit at least 98 of 100 cells, or several that together do (two exports in one folder)."""
    values = list(cells)
    nearly_all = 0.98 * sum(cells.values())

    def weight(which: set[str]) -> int:
        return sum(cells[value] for value in which)

    fits = {one: {value for value in values if _parses(value, one)} for one in _plausible(values)}
    whole = [one for one, which in fits.items() if weight(which) >= nearly_all]
    if whole:
        return tuple(whole)
    chosen: list[str] = []
    left = set(values)
    while left and len(chosen) < 3:
        best = max(fits, key=lambda one: weight(fits[one] & left), default=None)
        if best is None or weight(fits[best] & left) < 0.02 * sum(cells.values()):
            break
        chosen.append(best)
        left -= fits[best]
    return tuple(chosen) if weight(set(values) - left) >= nearly_all else ()


def _plausible(values: Sequence[str]) -> Iterable[str]:
    """The formats whose marks occur at all; digits alone only where there are eight of them."""
    marks = {mark for value in values[:50] for mark in re.sub(r"[A-Za-z0-9]", "", value)}
    if not marks & set("/-.,: ") and not all(re.fullmatch(r"\d{8}", value) for value in values[:50]):
        return ()
    return DATE_FORMATS


@cache
def _shape_of(date_format: str) -> re.Pattern[str]:
    """What a day of this format looks like: a tenth of the cost of trying to read it."""
    digits = "2" if date_format in ("%Y%m%d", "%m%d%Y") else "1,2"
    parts = {"Y": r"\d{4}", "y": r"\d{2}", "b": "[A-Za-z]{3}", "B": "[A-Za-z]{3,9}"}
    parts |= {"p": "[AaPp][Mm]", "f": r"\d{1,6}"}
    pattern = re.escape(date_format).replace("\\ ", " ")
    return re.compile(re.sub(r"%([A-Za-z])", lambda part: parts.get(str(part[1]), rf"\d{{{digits}}}"), pattern))


def _parses(value: str, date_format: str) -> bool:
    if not _shape_of(date_format).fullmatch(value):
        return False
    try:
        return datetime.strptime(value, date_format).year in _YEARS
    except ValueError:
        return False


def day_of(value: str, date_format: str) -> datetime:
    """A value that fits the format, as a day."""
    return datetime.strptime(value, date_format)
