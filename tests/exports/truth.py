"""What an export should be understood as, by whoever wrote it, and how a proposal is held to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.proposal.columns import default_codes
from pipelines.proposal.proposal import Proposal
from pipelines.proposal.settings import SourceProposal

#: A target: a column's name; `=value` a constant; `TODO`; flags as a dict; several columns as a tuple. A list holds
#: targets that are all right.
Target = Any
Columns = Mapping[str, Target]


@dataclass
class Truth:
    """The right answer for one export.

    feeds: file (as it is shown) -> entity -> contract column -> target. codes: crosswalk -> code -> value.
    settings: file -> setting -> value.
    """

    feeds: dict[str, dict[str, Columns]]
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Score:
    """Counts of one shape. wrong: what is wrong or lacking, in words; sure_but_wrong: wrong lines marked sure."""

    entities: int = 0
    entities_right: int = 0
    entities_extra: int = 0
    columns: int = 0
    columns_right: int = 0
    columns_extra: int = 0
    codes: int = 0
    codes_right: int = 0
    codes_suggested: int = 0
    codes_wrong: int = 0
    settings: int = 0
    settings_right: int = 0
    sure_but_wrong: int = 0
    wrong: list[str] = field(default_factory=list)

    def __add__(self, other: Score) -> Score:
        names = [name for name in vars(self) if name != "wrong"]
        added = Score(**{name: getattr(self, name) + getattr(other, name) for name in names})
        added.wrong = self.wrong + other.wrong
        return added


def score(proposal: Proposal, truth: Truth) -> Score:
    """Hold a proposal to the truth, line by line."""
    result = Score()
    by_file = {_shown(source): source for source in proposal.sources}
    for file, entities in truth.feeds.items():
        source = by_file.get(file)
        proposed = {one.entity: one for one in source.entities} if source else {}
        for entity, columns in entities.items():
            result.entities += 1
            result.columns += len(columns)
            if entity not in proposed:
                result.wrong.append(f"{file}: {entity} not proposed")
                continue
            result.entities_right += 1
            _score_columns(result, f"{file}: {entity}", proposed[entity], columns)
        for entity in proposed:
            if entity not in entities:
                result.entities_extra += 1
                result.wrong.append(f"{file}: {entity} proposed, but not fed")
    for file, source in by_file.items():
        if file not in truth.feeds:
            result.entities_extra += len(source.entities)
            result.wrong += [f"{file}: {one.entity} proposed, but not fed" for one in source.entities]
    _score_codes(result, proposal, truth)
    for file, settings in truth.settings.items():
        for name, value in settings.items():
            result.settings += 1
            source = by_file.get(file)
            found = source.settings.get(name) if source else None
            if found is not None and _same(found.value, value):
                result.settings_right += 1
            else:
                result.wrong.append(f"{file}: {name} should be {value}, is {found.value if found else 'not proposed'}")
    return result


def _shown(source: SourceProposal) -> str:
    """The first file of a source; for a sheet after the first, with its name."""
    sheet = source.extract.table.settings.get("sheet")
    return source.extract.files[0] + (f"!{sheet}" if sheet else "")


def _score_columns(result: Score, place: str, entity: Any, columns: Columns) -> None:
    found: dict[str, Any] = {name: choice.target for name, choice in entity.choices.items()}
    found |= {name: value if value == "TODO" else f"={value}" for name, value in entity.constants.items()}
    for name, target in columns.items():
        if name in found and _is_target(found[name], target):
            result.columns_right += 1
            continue
        result.wrong.append(f"{place}.{name} should be {target}, is {found.get(name, 'not proposed')}")
        choice = entity.choices.get(name)
        result.sure_but_wrong += choice is not None and choice.confidence == "sure"
    for name in found:
        if name not in columns:
            result.columns_extra += 1
            result.wrong.append(f"{place}.{name} proposed as {found[name]}, but nothing says so")
            choice = entity.choices.get(name)
            result.sure_but_wrong += choice is not None and choice.confidence == "sure"


def _is_target(found: Any, target: Target) -> bool:
    if isinstance(target, list):
        return any(_is_target(found, one) for one in target)
    if isinstance(target, dict):
        return isinstance(found, dict) and found.get("flags") == target
    if isinstance(target, tuple):
        return isinstance(found, dict) and tuple(found.get("columns") or ()) == target
    if isinstance(found, dict) and "column" in found:
        return bool(found["column"] == target)
    return bool(found == target)


def _score_codes(result: Score, proposal: Proposal, truth: Truth) -> None:
    """Codes that a default table knows are right by it, or wrong; the others count by what is proposed for them."""
    proposed = {(code.crosswalk, code.code.lower()): code for code in proposal.codes.codes}
    for crosswalk, codes in truth.codes.items():
        for code, value in codes.items():
            result.codes += 1
            known = default_codes()[crosswalk].get(code.lower())
            found = proposed.get((crosswalk, code.lower()))
            meaning = known or (found.value if found else "")
            if found is not None and meaning == value:
                result.codes_right += 1
            elif meaning and meaning != value:
                result.codes_wrong += 1
                result.wrong.append(f"{crosswalk} {code} should be {value}, is {meaning}")
            elif found is not None and found.guess == value:
                result.codes_suggested += 1
            else:
                state = f"left open (perhaps {found.guess or '?'})" if found else "not found"
                result.wrong.append(f"{crosswalk} {code} should be {value}, is {state}")


def _same(found: Any, value: Any) -> bool:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(found) == list(value)
    return bool(found == value)
