"""What a column's name says: compared with the names that student systems use, then word by word.

`synonyms.csv` holds whole names, with the system that uses them and what is known of where they come from;
`words.csv` the words that such names are made of, for the names that no list knows; `never.csv` the words of columns
that are never carried.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent
#: How much a name of the lists says by itself, from 0 to 1.
_STRENGTH = {"strong": 1.0, "fair": 0.7, "weak": 0.5}
#: A name that is made of the right words says less than one that a system is known to use.
_BY_WORDS = 0.62
#: How databases shorten the words that names are made of.
_ABBREVIATIONS = {
    **{"nm": "name", "nme": "name", "nbr": "number", "numb": "number", "lvl": "level", "stat": "status"},
    **{"attnd": "attend", "attn": "attend", "enrl": "enroll", "enrlmt": "enrollment", "beg": "begin", "strt": "start"},
    **{"ethn": "ethnic", "lang": "language", "susp": "suspension", "dist": "district", "addr": "address"},
    **{"schd": "planned", "sched": "planned", "dur": "duration", "len": "length", "yr": "year", "bldgs": "building"},
    **{"behav": "behavior", "incid": "incident", "resp": "response", "ques": "question", "svc": "service"},
    **{"started": "start", "dropped": "drop", "withdrew": "withdraw", "hisp": "hispanic", "disab": "disability"},
    **{"indicator": "ind", "flg": "flag", "dte": "date", "ident": "id", "lng": "length"},
}
ANY_ENTITY = "*"
#: A student's id that is not what the school office calls the student number: an internal or a state-wide one.
PERSONAL_ID = "personal_id"


@dataclass(frozen=True)
class Meaning:
    """What a name may stand for: a contract column, in one entity or any (`*`), how surely (0 to 1), and why."""

    column: str
    entity: str
    strength: float
    reason: str


def normal(name: str) -> str:
    """A name's letters and digits in lower case; a mark in brackets before it ([1]Student_Number) is left out."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"^\s*\[[^\]]*\]", "", name).lower())


def forms(name: str) -> list[str]:
    """The normal forms under which a name may be known: whole, and without the table that stands before a dot.

    Short names mean something only together with their table: GR alone is anything, STU.GR is a grade.
    """
    found = [normal(name)]
    last = normal(name.rsplit(".", 1)[-1])
    if "." in name and len(last) > 3:
        found.append(last)
    return found


@cache
def meanings(name: str, table: str = "") -> tuple[Meaning, ...]:
    """Everything that a column's name may stand for, the likeliest first.

    table: what the file calls itself (STU of STU.csv), which completes names of two or three letters.
    """
    found: dict[tuple[str, str], Meaning] = {}
    known = forms(name)
    if table and len(normal(name)) <= 3:
        known.append(normal(f"{table}{name}"))
    for form in known:
        for meaning in _synonyms().get(form, ()):
            found.setdefault((meaning.column, meaning.entity), meaning)
    parts = frozenset(words(name))
    for rule in _rules():
        key = (rule.column, rule.entity)
        if key not in found and rule.fits(parts):
            found[key] = Meaning(rule.column, rule.entity, _BY_WORDS, "its name is made of the right words")
    return tuple(sorted(found.values(), key=lambda meaning: -meaning.strength))


@cache
def never_carried(name: str) -> str | None:
    """What a column that is never carried holds (names, birth dates, ...), or None."""
    parts = words(name)
    if len(parts) == 1 and parts[0] in ("name", "first", "last", "middle"):
        return "names"
    joined = f" {' '.join(parts)} "
    return next((what for phrase, what in _never() if f" {phrase} " in joined), None)


@cache
def words(name: str) -> tuple[str, ...]:
    """The words of a name: parted at marks, at digits and where small letters turn large; known words that are
    written together are parted too (STUDENTID, attdate)."""
    text = re.sub(r"^\s*\[[^\]]*\]", "", name)
    text = text.replace("#", " number ")
    text = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text)
    text = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", text)
    text = re.sub(r"([A-Za-z])([0-9])|([0-9])([A-Za-z])", r"\1\3 \2\4", text)
    parts = [word for part in re.split(r"[^A-Za-z0-9]+", text) if part for word in _parted(part.lower())]
    return tuple(_ABBREVIATIONS.get(word, word) for word in parts)


def _parted(word: str) -> list[str]:
    """A run of letters as the fewest known words that make it up, or as it is."""
    known = _vocabulary()
    if word in known or len(word) < 5:
        return [word]
    best: list[list[str] | None] = [[]] + [None] * len(word)
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - 14), end):
            before = best[start]
            if before is not None and word[start:end] in known:
                candidate = [*before, word[start:end]]
                now = best[end]
                if now is None or len(candidate) < len(now):
                    best[end] = candidate
    return best[-1] or [word]


@dataclass(frozen=True)
class _Rule:
    """A name that holds a word of every group and none of `but_not`."""

    column: str
    entity: str
    groups: tuple[frozenset[str], ...]
    but_not: frozenset[str]

    def fits(self, parts: frozenset[str]) -> bool:
        return not parts & self.but_not and all(parts & group for group in self.groups)


def _rows(file: str) -> Iterator[dict[str, str]]:
    with (_FOLDER / file).open(encoding="utf-8", newline="") as text:
        yield from csv.DictReader(text)


@cache
def _synonyms() -> dict[str, tuple[Meaning, ...]]:
    found: dict[str, list[Meaning]] = {}
    for row in _rows("synonyms.csv"):
        by = "" if row["system"] == "common" else f" in {row['system']}"
        for name in row["names"].split("|"):
            for entity in row["entities"].split("|"):
                meaning = Meaning(row["column"], entity, _STRENGTH[row["strength"]], f"a known name{by}")
                found.setdefault(normal(name), []).append(meaning)
    return {name: tuple(sorted(listed, key=lambda one: -one.strength)) for name, listed in found.items()}


@cache
def _rules() -> tuple[_Rule, ...]:
    return tuple(
        _Rule(
            row["column"],
            entity,
            tuple(frozenset(group.split()) for group in row["words"].split("+")),
            frozenset(row["but_not"].split()),
        )
        for row in _rows("words.csv")
        for entity in row["entities"].split("|")
    )


@cache
def _never() -> tuple[tuple[str, str], ...]:
    return tuple((phrase, row["what"]) for row in _rows("never.csv") for phrase in row["words"].split("|"))


@cache
def _vocabulary() -> frozenset[str]:
    """Words by which a run of letters may be parted; two letters are too few to part by, save the commonest."""
    listed: set[str] = {"id", "dt", "cd", "no"}
    for rule in _rules():
        listed.update(word for group in (*rule.groups, rule.but_not) for word in group if len(word) > 2)
    listed.update(word for phrase, _ in _never() for word in phrase.split() if len(word) > 2)
    return frozenset(listed)


def known_share(columns: Sequence[str], table: str = "") -> float:
    """The share of names that mean something, or are known to be of no use: near 0 for names that are data."""
    if not columns:
        return 0.0
    return sum(bool(meanings(name, table)) or never_carried(name) is not None for name in columns) / len(columns)
