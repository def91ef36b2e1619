"""Numbered columns that say one thing several times: Res1, Days1, Res2, Days2."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipelines.contract import ENTITIES
from pipelines.proposal.columns import POSSIBLE, Choice, known_codes, likeness
from pipelines.proposal.extracts import Extract
from pipelines.proposal.profile import Profile

#: What may be said of each consequence; the first must be.
_OF_AN_ACTION = ("action", "days_planned", "days_actual", "date")
#: Codes of consequences that the default table knows, from which numbered columns are taken for them whatever they
#: are called.
_KNOWN = 0.5
_BY_CONTENT = 0.6


def repeated_actions(extract: Extract) -> tuple[dict[str, Choice], dict[str, Any]] | None:
    """What each consequence of an incident says where a row holds several, and how the columns become rows.

    Contract column -> the new column that holds it, and an `unpivot` with `repeat`; None where nothing is numbered.
    """
    groups = _numbered(extract)
    if not groups:
        return None
    by_name = ENTITIES["discipline_action"].by_name
    chosen: dict[str, tuple[str, float, str]] = {}
    for column in _OF_AN_ACTION:
        scored = []
        for stem, numbered in groups.items():
            if stem in (one[0] for one in chosen.values()):
                continue
            first = numbered[min(numbered)]
            strength, reason = likeness(
                replace(first, name=stem), by_name[column], "discipline_action", extract.table_name
            )
            if column == "action" and strength < POSSIBLE and known_codes(first, by_name[column]) >= _KNOWN:
                strength, reason = _BY_CONTENT, "its values are known codes"
            if strength >= POSSIBLE:
                scored.append((strength, stem, reason))
        if scored:
            strength, stem, reason = max(scored)
            chosen[column] = (stem, strength, reason)
    if "action" not in chosen:
        return None
    numbers = sorted(groups[chosen["action"][0]])
    kept = {column: one for column, one in chosen.items() if sorted(groups[one[0]]) == numbers}
    taken = {name.lower() for name in extract.table.columns}
    names = {column: _free(column, taken) for column in kept}
    repeat = [{names[column]: groups[one[0]][n].name for column, one in kept.items()} for n in numbers]
    choices = {
        column: Choice(names[column], min(strength, 0.8), f"{len(numbers)} numbered columns; {reason}")
        for column, (_, strength, reason) in kept.items()
    }
    return choices, {"repeat": repeat}


def _numbered(extract: Extract) -> dict[str, dict[int, Profile]]:
    """Stem -> number -> column, of stems that carry 1, 2 and so on."""
    found: dict[str, dict[int, Profile]] = {}
    for profile in extract.profiles:
        parted = re.fullmatch(r"(.*?[^0-9\s_\-])[\s_\-]*([0-9]{1,2})", profile.name)
        if parted:
            found.setdefault(parted[1], {})[int(parted[2])] = profile
    return {stem: numbered for stem, numbered in found.items() if sorted(numbered) == _from_one(numbered)}


def _from_one(numbered: dict[int, Profile]) -> Sequence[int]:
    return list(range(1, max(2, len(numbered)) + 1))


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
