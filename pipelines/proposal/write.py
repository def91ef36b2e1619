"""The proposed `district.yaml`, with a confidence and a reason beside each line, and the crosswalk files.

Column names are written, values are not, save codes. What only a person can know is left empty, so that `equity
check` names the line instead of running on a guess.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipelines.proposal.codes import CodeList
from pipelines.proposal.columns import Choice
from pipelines.proposal.entities import TODO, EntityProposal
from pipelines.proposal.extracts import LeftOut
from pipelines.proposal.settings import Setting, SourceProposal

_MOST_NAMED = 25
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_ ./\-]*")
_RESERVED = frozenset({"null", "true", "false", "yes", "no", "on", "off", "~", "y", "n"})


def district_yaml(
    sources: Sequence[SourceProposal],
    left: Sequence[LeftOut],
    patterns: Mapping[str, list[str]],
    *,
    strip_zeros: bool,
    needs_calendar: bool,
    periods: Sequence[str] | None,
    year: int | None,
) -> str:
    """The whole file as text.

    patterns: source -> its `files`. periods: those of attendance that comes by period as exceptions only, whose
    expected periods somebody has to say; None where there is no such. year: that of the newest attendance.
    """
    lines = [
        "# Proposed by `equity init` from a sample of the extracts. It is yours now: init never writes over it.",
        "#",
        "# sure, likely, UNSURE: how much the names and the content of the columns say. Look at every UNSURE.",
        "# TO DO: only you can know. `equity check` names each line that is still empty.",
        "",
        "district:",
        "  id:  # TO DO: the district's own id, unlike any school's, as \"0100000\"",
        "  name:  # TO DO: the name that readers know",
        "  contact:  # TO DO: an address for questions about published figures",
        "  time_zone:  # TO DO: as America/Chicago",
    ]
    if strip_zeros:
        lines += [
            "  student_ids:",
            "    leading_zeros: strip  # UNSURE: some files write ids with leading zeros and some without; they agree "
            "once these are gone",
        ]
    lines += ["", "home:  # TO DO: a folder outside any git checkout for the district's data, as /srv/equity/home", ""]
    if needs_calendar or periods is not None:
        lines += _calendar(year, periods, has_file=not needs_calendar)
    lines.append("sources:")
    if not sources:
        lines.append("  # No file feeds an entity of the input contract yet; the reasons are at the end.")
    for source in sources:
        lines += _source(source, patterns[source.name])
    lines += _left_out(left)
    return "\n".join(lines) + "\n"


def _calendar(year: int | None, periods: Sequence[str] | None, *, has_file: bool) -> list[str]:
    ends = f" {year} " if year else " "
    note = "likely: the days in the attendance file" if year else "TO DO: the year in which it ends, 2026 for 2025-26"
    why = "No file holds a calendar, and a calendar is never inferred from attendance."
    if has_file:
        why = "The session days come from a file; what a day's periods are does not."
    by_period = []
    if periods is not None:
        named = f"; the file names {_named(periods)}" if periods else ""
        by_period = [f'    periods:  # TO DO: each period of a day and its minutes, as {{"1": 50, "2": 50}}{named}']
    return [
        f"# {why}",
        "calendar:",
        f"  - school_year:{ends} # {note}",
        "    first_day:  # TO DO: the first session day, as 2025-08-12",
        "    last_day:  # TO DO: the last session day",
        "    closures: []  # TO DO: holidays and breaks, as 2025-11-27 or 2025-12-22..2026-01-02",
        *by_period,
        "",
    ]


def _source(source: SourceProposal, files: list[str]) -> Iterator[str]:
    extract = source.extract
    yield f"  {extract.name}:"
    yield f"    kind: {extract.table.kind}"
    yield f"    files: {_value(files[0] if len(files) == 1 else files)}"
    if extract.members:
        yield f"    members: {_value(list(dict.fromkeys(extract.members)))}"
    for name, setting in source.settings.items():
        yield from _setting(name, setting)
    if source.not_carried:
        yield f"    # Not carried, on purpose: {_named(source.not_carried)}"
    if source.spare:
        yield f"    # Nothing in the contract takes: {_named(source.spare)}"
    yield "    entities:"
    for entity in source.entities:
        yield from _entity(entity)
    yield ""


def _named(names: Iterable[str], most: int | None = _MOST_NAMED) -> str:
    listed = [re.sub(r"[^\x20-\x7e\xa0-\uffff]", "?", name)[:60] for name in names]
    more = f" and {len(listed) - most} more" if most is not None and len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _setting(name: str, setting: Setting) -> Iterator[str]:
    yield f"    {name}: {_value(setting.value)}{_comment(setting.confidence, setting.reason)}"


def _comment(confidence: str, reason: str) -> str:
    word = "UNSURE" if confidence == "unsure" else confidence
    return f"  # {word}: {reason}" if reason else f"  # {word}"


def _entity(entity: EntityProposal) -> Iterator[str]:
    if not entity.choices and not entity.constants:
        yield f"      {entity.entity}: {{}}{_comment(entity.confidence, entity.reason)}"
        return
    yield f"      {entity.entity}:{_comment(entity.confidence, entity.reason)}"
    for note in entity.notes:
        yield f"        # UNSURE: {note}"
    if entity.unpivot is not None:
        yield "        unpivot:"
        for key, value in entity.unpivot.items():
            yield f"          {key}: {_value(value)}"
    if entity.choices:
        yield "        columns:"
        for column, choice in entity.choices.items():
            yield from _choice(column, choice)
    yield from _constants(entity)
    for operator, kept in (("where", _kept(entity, "")), ("where_not", _kept(entity, "not:"))):
        if kept:
            yield f"        {operator}:"
            for column, values in kept.items():
                yield f"          {_value(column)}: {_value(values)}  # likely: the other rows are about something else"
    if entity.distinct:
        yield "        distinct: true  # likely: rows repeat in what is taken here"


def _constants(entity: EntityProposal) -> Iterator[str]:
    if entity.constants:
        yield "        constants:"
    for column, value in entity.constants.items():
        if value == TODO:
            yield f"          {column}:  # TO DO: the same value for every row, or map a column above"
        else:
            yield f"          {column}: {_value(value)}"


def _kept(entity: EntityProposal, prefix: str) -> dict[str, list[str]]:
    """The filters of one kind: a name that begins with not: is left out by its values."""
    if prefix:
        return {name.removeprefix(prefix): values for name, values in entity.where.items() if name.startswith(prefix)}
    return {name: values for name, values in entity.where.items() if not name.startswith("not:")}


def _choice(column: str, choice: Choice) -> Iterator[str]:
    comment = _comment(choice.confidence, choice.reason)
    if isinstance(choice.target, dict) and "flags" in choice.target:
        yield f"          {column}:{comment}"
        yield "            flags:"
        for flag, code in choice.target["flags"].items():
            yield f"              {_value(flag)}: {_value(code)}"
        return
    yield f"          {column}: {_value(choice.target)}{comment}"


def _value(value: Any) -> str:
    """A value as YAML, on one line; text in quotes wherever it could be read as something else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(_value(one) for one in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_value(key)}: {_value(one)}' for key, one in value.items())}}}"
    text = str(value)
    if _PLAIN.fullmatch(text) and text == text.strip() and text.lower() not in _RESERVED:
        return text
    return json.dumps(text, ensure_ascii=False)


def _left_out(left: Sequence[LeftOut]) -> Iterator[str]:
    if not left:
        return
    yield "# Files that feed nothing:"
    by_reason: dict[str, list[str]] = {}
    for one in left:
        by_reason.setdefault(one.reason, []).append(one.file)
    for reason, files in by_reason.items():
        # All of them: a second run tells only of files that are not named here.
        yield f"#   {_named(files, None)}: {reason}"


# --- crosswalks ----------------------------------------------------------------------------------------------


def crosswalk_files(listed: CodeList, known_already: frozenset[tuple[str, str]] = frozenset()) -> dict[str, str]:
    """Crosswalk -> the text of its file: every code found that no default table knows, with its count.

    A row without a value decides nothing; the code stays unmapped, visibly, until somebody says what it means.
    known_already: (crosswalk, code in lower case) of the district's own rows, which are left out.
    """
    found: dict[str, str] = {}
    for crosswalk in dict.fromkeys(code.crosswalk for code in listed.unknown()):
        rows = [code for code in listed.unknown() if code.crosswalk == crosswalk]
        rows = [code for code in rows if (crosswalk, code.code.lower()) not in known_already]
        if not rows:
            continue
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["crosswalk", "code", "value", "note"])
        for code in rows:
            counted = f"{code.rows:,} rows{'' if listed.whole else ' of the sample'}"
            if code.value:
                note = f"likely: {code.reason}; {counted}"
            elif code.guess:
                note = f"UNSURE: perhaps {code.guess}; {counted}"
            else:
                note = f"UNSURE: unmapped until a value is given; {counted}"
            writer.writerow([crosswalk, code.code, code.value, note])
        found[crosswalk] = text.getvalue()
    return found
