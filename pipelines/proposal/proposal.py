"""A whole proposal for a folder: what each file feeds, how it is read, and which codes it sends."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipelines.proposal.codes import CodeList, codes
from pipelines.proposal.entities import propose as propose_entities
from pipelines.proposal.extracts import LeftOut, extracts, patterns
from pipelines.proposal.links import Links, links
from pipelines.proposal.settings import SourceProposal, days_of, sources
from pipelines.proposal.write import crosswalk_files, district_yaml

#: Periods of a day, and letters of a period's name, beyond which a column is no list of periods.
_MOST_PERIODS, _LONGEST_PERIOD = 16, 12


@dataclass(frozen=True)
class Proposal:
    """What `equity init` proposes. left_out: files that feed nothing, with the reason."""

    sources: tuple[SourceProposal, ...]
    left_out: tuple[LeftOut, ...]
    codes: CodeList
    joined: Links
    needs_calendar: bool
    newest_day: date | None

    def district_yaml(self, out: Path) -> str:
        """The text of a `district.yaml` that stands in the folder `out`."""
        day = self.newest_day
        return district_yaml(
            self.sources,
            self.left_out,
            {source.name: patterns(source.extract, out) for source in self.sources},
            strip_zeros=self.joined.strip_zeros,
            needs_calendar=self.needs_calendar,
            periods=_periods(self.sources),
            year=None if day is None else day.year + (day.month >= 7),
        )

    def crosswalk_files(self, known_already: frozenset[tuple[str, str]] = frozenset()) -> dict[str, str]:
        """Crosswalk -> the text of its file."""
        return crosswalk_files(self.codes, known_already)


def proposal(folder: Path, say: Callable[[str], None] = lambda _: None) -> Proposal:
    """Look at every file of the folder and propose. Reads a bounded part of each file; writes nothing."""
    with tempfile.TemporaryDirectory(prefix="equity-init-") as scratch:
        say("Looking at the files")
        found, left = extracts(folder, Path(scratch))
        say("Comparing ids")
        joined = links(found)
        say("Telling what each file feeds")
        proposed, nothing = propose_entities(found, joined)
        listed = codes(found, proposed)
        made = sources(found, proposed, listed, joined.systems)
    fed = {entity.entity for source in made for entity in source.entities}
    return Proposal(
        sources=tuple(made),
        left_out=(*left, *nothing),
        codes=listed,
        joined=joined,
        needs_calendar="calendar_date" not in fed,
        newest_day=_newest(made),
    )


def _periods(sources: Iterable[SourceProposal]) -> list[str] | None:
    """Names of the periods of attendance that sends exceptions by period, [] where they are no short list; None
    without such attendance, or with a file of bell schedules."""
    if any(entity.entity == "bell_schedule" for source in sources for entity in source.entities):
        return None
    for source in sources:
        setting = source.settings.get("attendance_records")
        for entity in source.entities:
            chosen = entity.choices.get("period")
            if entity.entity != "attendance_event" or chosen is None or setting is None:
                continue
            if setting.value == "exceptions" and isinstance(chosen.target, str):
                names = source.extract.profile(chosen.target).values
                is_short = len(names) <= _MOST_PERIODS and all(len(name) <= _LONGEST_PERIOD for name in names)
                return sorted(names) if is_short else []
    return None


def _newest(made: list[SourceProposal]) -> date | None:
    days = [days_of(source, "date") for source in made if _attends(source)]
    return max((span[1] for span in days if span is not None), default=None)


def _attends(source: SourceProposal) -> bool:
    return any(entity.entity == "attendance_event" for entity in source.entities)
