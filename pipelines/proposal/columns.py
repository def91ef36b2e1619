"""Which of a file's columns could be which contract column: by name, corrected by what the column holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipelines import crosswalks
from pipelines.contract import CROSSWALK_VALUES, ENTITIES, Column
from pipelines.proposal.extracts import Extract
from pipelines.proposal.names import ANY_ENTITY, PERSONAL_ID, meanings, normal, words
from pipelines.proposal.profile import Profile
from pipelines.refused_columns import refused_word

#: Below this a column is not proposed; from the others on it is likely, and sure.
POSSIBLE, LIKELY, SURE = 0.45, 0.65, 0.9
#: What the description of a code counts less than the code.
_DESCRIBES = 0.15
#: What an id that is not the student number counts where no student number is there.
_OTHER_ID = 0.55


@dataclass(frozen=True)
class Choice:
    """A contract column's source: a column's name, or a map as in `ColumnMap`; how surely (0 to 1), and why."""

    target: str | dict[str, Any]
    score: float
    reason: str

    @property
    def confidence(self) -> str:
        return "sure" if self.score >= SURE else "likely" if self.score >= LIKELY else "unsure"

    @property
    def names(self) -> list[str]:
        """The file's columns that are read."""
        if isinstance(self.target, str):
            return [self.target]
        if "flags" in self.target:
            return list(self.target["flags"])
        return list(self.target.get("columns") or [self.target["column"]])


def matches(extract: Extract, entity: str, ids: dict[str, Choice]) -> dict[str, Choice]:
    """The best source of each contract column of `entity` in this extract; no file column serves twice.

    ids: what is settled already (student_id and school_id, by the values that files share).
    """
    columns = ENTITIES[entity].columns
    taken = {name for column in columns if column.name in ids for name in ids[column.name].names}
    chosen = {column.name: ids[column.name] for column in columns if column.name in ids}
    told = [
        (position, profile)
        for position, profile in enumerate(extract.profiles)
        if meanings(profile.name, extract.table_name) or (profile.is_code_list and not profile.is_flag)
    ]
    scored: list[tuple[float, int, int, int, Column, Profile, str]] = []
    for order, column in enumerate(columns):
        if column.name in chosen:
            continue
        several = _several(extract.profiles, column)
        if several is not None and not taken & set(several.names):
            chosen[column.name] = several
            taken |= set(several.names)
            continue
        for position, profile in told:
            score, reason = likeness(profile, column, entity, extract.table_name)
            if score >= POSSIBLE:
                # Of two that fit as well, the one that tells more kinds apart; else the first.
                kinds = -len(profile.values) if column.name == "category" else 0
                scored.append((-score, order, kinds, position, column, profile, reason))
    for negative, _, _, _, column, profile, reason in sorted(scored, key=lambda one: one[:4]):
        if column.name not in chosen and profile.name not in taken:
            chosen[column.name] = Choice(_target(column, profile), -negative, reason)
            taken.add(profile.name)
    return {column.name: chosen[column.name] for column in columns if column.name in chosen}


def id_candidates(extract: Extract, column: str) -> list[tuple[Profile, float, str]]:
    """Columns that may hold student ids (or school ids), with how surely and why, the likeliest first."""
    found = []
    contract = ENTITIES["student_school_enrollment"].by_name[column]
    for profile in extract.profiles:
        score, reason = likeness(profile, contract, ANY_ENTITY, extract.table_name)
        if column == "student_id":
            other = _name_score(profile, PERSONAL_ID, ANY_ENTITY, extract.table_name)
            if other[0] > 0 and _fits(profile, contract) and score < SURE:
                score, reason = max((_OTHER_ID * other[0], other[1]), (score, reason))
        if score >= 0.25:
            found.append((profile, score, reason))
    return sorted(found, key=lambda one: -one[1])


def is_other_id(profile: Profile, table: str) -> bool:
    """Whether the name says an internal or state-wide student id, not the student number."""
    return any(meaning.column == PERSONAL_ID for meaning in meanings(profile.name, table))


def _name_score(profile: Profile, column: str, entity: str, table: str) -> tuple[float, str]:
    for meaning in meanings(profile.name, table):
        if meaning.column == column and (meaning.entity in (entity, ANY_ENTITY) or entity == ANY_ENTITY):
            return meaning.strength, meaning.reason
    return 0.0, ""


def called_like(extract: Extract, entity: str, column: str) -> list[str]:
    """The file's columns that are called like this contract column, though what they hold speaks against it."""
    wanted = ENTITIES[entity].by_name[column]
    return [
        profile.name
        for profile in extract.profiles
        if _name_score(profile, column, entity, extract.table_name)[0] >= POSSIBLE
        and profile.kept_out is None
        and _fits(profile, wanted) < POSSIBLE
    ]


def likeness(profile: Profile, column: Column, entity: str, table: str) -> tuple[float, str]:
    """How surely a file's column is this contract column, and why; 0 where its content speaks against it."""
    if _is_refused(profile.name):
        return 0.0, ""
    strength, reason = _name_score(profile, column.name, entity, table)
    if column.type == "code" and {"desc", "description"} & set(words(profile.name)):
        strength -= _DESCRIBES if strength else 0  # the code is taken; its description says what it means
    if profile.kept_out is not None and strength < 1 and column.name != "school_name":
        return 0.0, ""
    fit = _fits(profile, column) if strength > 0 or column.type == "code" else 0.0
    if column.type != "code":
        return strength * fit, reason
    if strength == 0 and (profile.is_number or not profile.is_code_list):
        return 0.0, ""
    known = known_codes(profile, column)
    if strength == 0:
        by_content = _by_content(profile, column, known)
        return (by_content, "its values are known codes") if by_content else (0.0, "")
    if fit and known >= 0.5:
        return min(1.0, strength * fit + 0.15), f"{reason}; its codes are known"
    return strength * fit, reason


@cache
def _is_refused(name: str) -> bool:
    return refused_word(name) is not None


def _by_content(profile: Profile, column: Column, known: float) -> float:
    """What the values alone say: only where they are words of their own, not yes, 1 or A."""
    if profile.is_flag or not profile.is_code_list or profile.kept_out or len(profile.values) < 2:
        return 0.0
    if column.name == "sex" and known == 1 and len(profile.values) <= 4:
        return 0.6
    long = sum(len(value) > 3 for value in profile.values) / len(profile.values)
    if column.name in ("races", "calendar_event", "category", "action") and known >= 0.6 and long >= 0.6:
        return 0.5
    return 0.0


def _fits(profile: Profile, column: Column) -> float:
    """Whether the content can be what the column wants: 1 yes, 0 no, between: odd."""
    if profile.is_empty:
        return 0.0 if column.required and column.type != "date" else 0.6
    if column.type == "date":
        return 1.0 if profile.is_date else 0.0
    # Eight digits are a student number as often as a day; only a name tells.
    if profile.is_date and not profile.is_number:
        return 0.0
    if column.type == "key":
        few = len(profile.values) == 1 and profile.filled > 20
        return 0.0 if profile.is_flag and profile.filled > 20 else 0.3 if few or profile.blank > 0.5 else 1.0
    if column.type == "code":
        return _fits_code(profile, column)
    if column.type in ("decimal", "integer"):
        return 1.0 if profile.is_number else 0.0
    if column.type == "boolean":
        return 1.0 if profile.is_flag else 0.0
    if column.type == "time":
        return 1.0 if profile.is_time else 0.0
    if column.name == "school_id":
        return 0.3 if len(profile.values) > max(400, profile.rows // 2) else 1.0
    return 1.0


def _fits_code(profile: Profile, column: Column) -> float:
    if column.many and not profile.is_code_list:
        return 0.8 if separator(profile) else 0.2
    if profile.is_flag and column.name in ("category", "action", "behavior", "grade"):
        return 0.2
    if profile.is_code_list:
        # Grades are few; incident and action codes a few dozen. A number with decimals is neither.
        return 0.2 if any("." in value and value.replace(".", "").isdigit() for value in profile.values) else 1.0
    return 0.2


def separator(profile: Profile) -> str | None:
    """What stands between several values in one cell, where many cells hold more than one."""
    for mark in (";", "|", ",", "/"):
        with_mark = sum(count for value, count in profile.values.items() if mark in value)
        parts = {part.strip().lower() for value in profile.values for part in value.split(mark)}
        if with_mark and len(parts) < len(profile.values) and len(parts) <= 12:
            return mark
    return None


def _target(column: Column, profile: Profile) -> str | dict[str, Any]:
    if column.many and (mark := separator(profile)) is not None:
        known = {value.lower() for value in profile.values} & known_values(column.crosswalk or "")
        # A mark inside one value (Native Hawaiian/Other Pacific Islander) is no separator.
        if not any(mark in value for value in known):
            return {"column": profile.name, "separator": mark}
    return profile.name


# --- several columns that are one contract column -----------------------------------------------------------

_RACE_WORDS = (
    ("American Indian or Alaska Native", ({"indian"}, {"alaska"}, {"alaskan"}, {"aian"}, {"nativeamerican"})),
    ("Asian", ({"asian"},)),
    ("Black or African American", ({"black"}, {"african"})),
    ("Native Hawaiian or Other Pacific Islander", ({"hawaiian"}, {"pacific"}, {"nhpi"})),
    ("White", ({"white"}, {"caucasian"})),
    ("Two or more races", ({"two", "more"}, {"multiracial"}, {"multi"})),
)


#: Letters for races, as in RaceAI or ETH_BLK. They mean so only where most races have a column.
_RACE_LETTERS = {
    "American Indian or Alaska Native": {"ai", "an", "am", "aian", "aina", "i"},
    "Asian": {"as", "asn", "a"},
    "Black or African American": {"b", "bl", "blk", "aa", "ba"},
    "Native Hawaiian or Other Pacific Islander": {"hp", "nh", "pi", "nhpi", "hpi", "p"},
    "White": {"w", "wh", "wht"},
}
_LEAST_SHORT = 4
#: What such names say besides.
_BESIDES = frozenset(
    {"race", "racial", "ethnic", "ethnicity", "eth", "fed", "federal", "rc", "is", "ind", "flag", "cd"}
)


def _race_of_letters(name: str) -> str | None:
    """The race that a yes-or-no column names by its letters, where it says nothing else."""
    parts = [word for word in words(name) if word not in _BESIDES]
    letters = parts[0] if len(parts) == 1 else ""
    return next((race for race, known in _RACE_LETTERS.items() if letters in known), None)


def race_of(name: str) -> str | None:
    """The race that a yes-or-no column is named after, in the words of the default code table."""
    parts = set(words(name)) | {normal(name)}
    text = normal(name)
    for race, alternatives in _RACE_WORDS:
        if any(all(word in parts or word in text for word in alternative) for alternative in alternatives):
            return race
    return None


def _several(profiles: Sequence[Profile], column: Column) -> Choice | None:
    """Races in yes-or-no columns, or in numbered ones; None where one column holds them."""
    if column.name != "races":
        return None
    flags = {one.name: race for one in profiles if (race := race_of(one.name)) and (one.is_flag or one.is_empty)}
    if len(flags) >= 3:
        reason = f"{len(flags)} yes-or-no columns, each named after a race"
        return Choice({"flags": flags}, SURE, reason)
    short = {one.name: race for one in profiles if one.is_flag and (race := _race_of_letters(one.name))}
    if len(set(short.values())) == len(short) >= _LEAST_SHORT:
        return Choice({"flags": short}, LIKELY, f"{len(short)} yes-or-no columns, called by letters of races")
    numbered: dict[str, list[str]] = {}
    for profile in profiles:
        stem = re.sub(r"[\s_\-]*[0-9]+[\s_\-]*(code|cd)?$", "", profile.name, flags=re.IGNORECASE)
        if stem != profile.name and {"race", "rc", "ethnicity"} & {*words(stem), normal(stem.rsplit(".", 1)[-1])}:
            numbered.setdefault(stem, []).append(profile.name)
    longest = max(numbered.values(), key=len, default=[])
    if len(longest) >= 2:
        return Choice({"columns": longest}, SURE, f"{len(longest)} numbered columns of races")
    return None


# --- codes ---------------------------------------------------------------------------------------------------


@cache
def default_codes() -> dict[str, dict[str, str]]:
    """Crosswalk -> code in lower case -> value, of the project's own code tables."""
    found: dict[str, dict[str, str]] = {name: {} for name in CROSSWALK_VALUES}
    for row in crosswalks.load(Path("/nonexistent")).entries:
        found[row.crosswalk][row.code] = row.value
    return found


@cache
def known_values(crosswalk: str) -> frozenset[str]:
    return frozenset(default_codes().get(crosswalk, {}))


def known_codes(profile: Profile, column: Column) -> float:
    """The share of rows, empty ones aside, whose code the default table knows."""
    known = known_values(column.crosswalk or "")
    mark = separator(profile) if column.many else None
    hits = 0
    for value, count in profile.values.items():
        parts = [value.lower(), *((part.strip().lower() for part in value.split(mark)) if mark else ())]
        hits += count * (any(part in known for part in parts))
    return hits / profile.filled if profile.filled else 0.0
