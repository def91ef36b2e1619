"""The codes of the columns that are mapped to one: which are known, and what the others may mean.

A code that the default tables do not know is proposed a value only where words say it: the code itself is one
(UNEXCUSED), or a column beside it always describes it (U with "Unexcused absence"). What a letter usually means is
told in the note and left to a person, since a code mapped by guess changes a figure without a trace.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipelines.contract import ENTITIES
from pipelines.proposal.columns import default_codes, separator
from pipelines.proposal.entities import EntityProposal, code_columns
from pipelines.proposal.extracts import Extract
from pipelines.proposal.names import words
from pipelines.proposal.profile import Profile

_RULES = Path(__file__).parent / "code_words.csv"
#: Words of columns that say what a code beside them means.
_DESCRIBING = frozenset({"desc", "description", "name", "title", "label", "status", "meaning", "excuse"})
_WITHOUT = "not_disadvantaged"
#: What a yes stands for in a flag whose name asks the question: (crosswalk, words of the name, yes, no).
_FLAGS = (
    ("disability", frozenset({"sped", "special", "iep", "idea"}), "idea", "none"),
    (
        "economic",
        frozenset({"income", "frl", "econ", "economic", "economically"}),
        "disadvantaged",
        "not_disadvantaged",
    ),
    ("economic", frozenset({"lunch", "meal", "meals", "sed"}), "disadvantaged", "not_disadvantaged"),
    ("calendar_event", frozenset({"session", "instruction", "instructional"}), "session", "not_in_session"),
)
#: Code columns that are made of columns of the file, and their crosswalks; more codes than these are no list.
_MELTED = {
    "attendance_event": ("category", "attendance_category"),
    "discipline_action": ("action", "discipline_action"),
    "survey_response": ("answer", "survey_answer"),
}
_MOST_MELTED = 40
_YES, _NO = frozenset({"y", "yes", "1", "true", "t"}), frozenset({"n", "no", "0", "false", "f"})
#: A cell longer than this, or of more words, is a sentence: it is counted, not written down.
_LONGEST, _MOST_WORDS = 60, 8


@dataclass(frozen=True)
class Code:
    """One code of a crosswalk as the extracts send it.

    value: the proposed meaning, '' where a person has to say it. guess: what it may mean, for the note only. known:
    whether a default table knows it. where: the columns that hold it.
    """

    crosswalk: str
    code: str
    rows: int
    value: str = ""
    guess: str = ""
    reason: str = ""
    known: bool = False
    where: tuple[str, ...] = ()


@dataclass(frozen=True)
class CodeList:
    """All codes of all crosswalks, and the columns that hold too many different values to be codes."""

    codes: tuple[Code, ...]
    no_lists: tuple[str, ...]
    whole: bool

    def of(self, crosswalk: str) -> list[Code]:
        return [code for code in self.codes if code.crosswalk == crosswalk]

    def unknown(self) -> list[Code]:
        return [code for code in self.codes if not code.known]


def codes(found: Sequence[Extract], proposed: Mapping[str, Sequence[EntityProposal]]) -> CodeList:
    """Every code in the sample, by crosswalk, the most frequent first."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    described: dict[tuple[str, str], str] = {}
    flags: dict[str, str] = {}
    no_lists: list[str] = []
    whole = True
    for extract in found:
        for proposal in proposed[extract.name]:
            for column, profile, choice in code_columns(extract, proposal):
                crosswalk = ENTITIES[proposal.entity].by_name[column].crosswalk or ""
                place = f"{extract.name}.{profile.name}"
                if not _is_list(profile):
                    no_lists.append(place)
                    continue
                whole = whole and extract.table.whole
                if profile.is_flag:
                    flags[place] = profile.name
                mark = choice.target.get("separator") if isinstance(choice.target, dict) else None
                for code, rows in _parts(profile, mark).items():
                    counter = counts.setdefault((crosswalk, code), Counter())
                    counter[place] = rows  # a column that feeds two entities is counted once
                if crosswalk in ("attendance_category", "discipline_action", "behavior", "calendar_event"):
                    for code, text in descriptions(extract, profile).items():
                        described.setdefault((crosswalk, code.lower()), text)
            if proposal.unpivot is not None and proposal.entity in _MELTED:
                column, crosswalk = _MELTED[proposal.entity]
                place = f"{extract.name}.{proposal.choices[column].names[0]}"
                for code, rows in _melted_codes(extract, proposal, column).items():
                    counts.setdefault((crosswalk, code), Counter())[place] = rows
    # Codes compare in any case: A and a are one, shown as it is written most often.
    folded: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for crosswalk, code in counts:
        folded.setdefault((crosswalk, code.lower()), []).append((crosswalk, code))
    made = []
    for (crosswalk, low), keys in folded.items():
        shown = max(keys, key=lambda key: counts[key].total())[1]
        rows = sum(counts[key].total() for key in keys)
        where = tuple(dict.fromkeys(place for key in keys for place in counts[key]))
        flag = _by_flag(crosswalk, low, [flags[place] for place in where if place in flags])
        made.append(_judged(crosswalk, shown, rows, where, described.get((crosswalk, low)), flag))
    made.sort(key=lambda code: (code.crosswalk, code.known, -code.rows, code.code))
    return CodeList(tuple(made), tuple(dict.fromkeys(no_lists)), whole)


def _is_list(profile: Profile) -> bool:
    return profile.is_empty or (
        profile.is_code_list
        and all(len(value) <= _LONGEST and len(value.split()) <= _MOST_WORDS for value in profile.values)
    )


def _parts(profile: Profile, mark: str | None) -> Counter[str]:
    mark = mark or (separator(profile) if mark else None)
    if mark is None:
        return profile.values
    found: Counter[str] = Counter()
    for value, count in profile.values.items():
        for part in value.split(mark):
            if part.strip():
                found[part.strip()] += count
    return found


def _melted_codes(extract: Extract, proposal: EntityProposal, column: str) -> Counter[str]:
    """The codes of columns that become rows, nothing where they are no code list together."""
    found: Counter[str] = Counter()
    for name in proposal.melted(extract.table.columns, column):
        profile = extract.profile(name)
        if not profile.is_empty and _is_list(profile):
            found += profile.values
    return found if len(found) <= _MOST_MELTED else Counter()


def descriptions(extract: Extract, profile: Profile) -> dict[str, str]:
    """Code -> text, where another column of the file describes each code in one way."""
    at = extract.table.columns.index(profile.name)
    for other in extract.profiles:
        if other is profile or not (_DESCRIBING & set(words(other.name))):
            continue
        if not other.is_code_list or other.kept_out not in (None, "free text"):
            continue
        place = extract.table.columns.index(other.name)
        found: dict[str, str] = {}
        clash = False
        for row in extract.table.rows:
            if row[at] and row[place]:
                clash = clash or found.setdefault(row[at], row[place]) != row[place]
        if found and not clash and len(found) >= 0.8 * len(profile.values):
            return found
    return {}


def _by_flag(crosswalk: str, code: str, columns: Sequence[str]) -> str:
    """What a yes or a no means in columns whose names ask a question; '' where they do not."""
    for name, asked, yes, no in _FLAGS:
        if name == crosswalk and columns and all(asked & set(words(column)) for column in columns):
            return yes if code in _YES else no if code in _NO else ""
    return ""


def _judged(crosswalk: str, code: str, rows: int, where: tuple[str, ...], description: str | None, flag: str) -> Code:
    known = default_codes()[crosswalk].get(code.lower())
    if known is not None:
        return Code(crosswalk, code, rows, value=known, known=True, where=where, reason="a default code table")
    if flag:
        return Code(crosswalk, code, rows, value=flag, where=where, reason="the name of its column asks the question")
    if description is not None:
        by_default = default_codes()[crosswalk].get(description.lower())
        value = by_default or _by_words(crosswalk, description, sure_only=True)
        if value:
            return Code(crosswalk, code, rows, value=value, where=where, reason="its description in the file says so")
    value = _by_words(crosswalk, code, sure_only=True)
    if value:
        return Code(crosswalk, code, rows, value=value, where=where, reason="the word says so")
    guess = _by_words(crosswalk, code, sure_only=False) or ""
    return Code(crosswalk, code, rows, guess=guess, where=where)


def _by_words(crosswalk: str, text: str, *, sure_only: bool) -> str | None:
    lowered = " ".join(re.sub(r"[^a-z0-9+]+", " ", text.lower()).split())
    ordinal = re.fullmatch(r"(?:grade )?0?([1-9]|1[0-2])(?:st|nd|rd|th)?(?: grade)?", lowered)
    if crosswalk == "grade" and ordinal:
        return f"{int(ordinal.group(1)):02d}"
    for name, pattern, value, strength in _rules():
        if name == crosswalk and (strength == "sure" or not sure_only) and pattern.search(lowered):
            return value
    return None


@cache
def _rules() -> tuple[tuple[str, re.Pattern[str], str, str], ...]:
    with _RULES.open(encoding="utf-8", newline="") as text:
        return tuple(
            (row["crosswalk"], re.compile(row["pattern"]), row["value"], row["strength"])
            for row in csv.DictReader(text)
        )
