"""What `equity init` shows: counts and names of files and columns, never a value."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.contract import ENTITIES
from pipelines.proposal.entities import EntityProposal, code_columns
from pipelines.proposal.keep import Written
from pipelines.proposal.proposal import Proposal
from pipelines.proposal.settings import SourceProposal

_STYLES = {"sure": "green", "likely": "default", "unsure": "yellow"}
_MOST_NAMED = 6


def show(proposal: Proposal, written: Written, console: Console) -> None:
    """Print the proposal as a table, what is unsure, what was left out, what was written, and what to do next."""
    if proposal.sources:
        console.print(_table(proposal))
    # What a first run advised is settled, or stands in the files that it wrote: a second one says what is new.
    if not any(path.name == "district.yaml" for path in written.kept):
        _show_unsure(proposal, console)
        _show_left_out(proposal, console)
        _show_codes(proposal, console)
    if written.news:
        console.print("\n[bold]New since district.yaml was written[/bold]")
        for line in written.news:
            console.print(f"  {escape(line)}", soft_wrap=True)
    console.print()
    for path in written.kept:
        console.print(f"kept as it is  {_shown(path)}", markup=False, soft_wrap=True)
    for path in written.written:
        console.print(f"wrote          {_shown(path)}", markup=False, soft_wrap=True)
    if not written.written:
        console.print("Nothing is new: nothing was written.")
    _show_next(written, console)


def _table(proposal: Proposal) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("source", overflow="fold")
    table.add_column("feeds", overflow="fold")
    table.add_column("")
    for heading in ("columns", "codes known"):
        table.add_column(heading, justify="right")
    for source in proposal.sources:
        files = len(source.extract.files)
        name = escape(source.name) + (f" [dim]({files} files)[/dim]" if files > 1 else "")
        for number, entity in enumerate(source.entities):
            style = _STYLES[entity.confidence]
            table.add_row(
                name if number == 0 else "",
                entity.entity,
                f"[{style}]{entity.confidence}[/{style}]",
                _columns(source, entity),
                _codes(proposal, source, entity),
            )
    return table


def _columns(source: SourceProposal, entity: EntityProposal) -> str:
    if source.extract.table.kind == "edfi_xml":
        return "by itself"
    return f"{len(entity.choices)} of {len(ENTITIES[entity.entity].columns)}"


def _codes(proposal: Proposal, source: SourceProposal, entity: EntityProposal) -> str:
    places = {f"{source.name}.{profile.name}" for _, profile, _ in code_columns(source.extract, entity)}
    crosswalks = {ENTITIES[entity.entity].by_name[column].crosswalk for column in entity.choices}
    if entity.unpivot is not None:
        places |= {f"{source.name}.{name}" for choice in entity.choices.values() for name in choice.names}
    listed = [code for code in proposal.codes.codes if code.crosswalk in crosswalks and places & set(code.where)]
    if not listed:
        return ""
    known = sum(code.known for code in listed)
    return f"{known} of {len(listed)}" if known == len(listed) else f"[yellow]{known} of {len(listed)}[/yellow]"


def _show_unsure(proposal: Proposal, console: Console) -> None:
    unsure = [(source.name, source.unsure) for source in proposal.sources if source.unsure]
    if unsure:
        console.print("\n[bold]Unsure: look at these lines[/bold]")
    for name, lines in unsure:
        more = f" and {len(lines) - _MOST_NAMED} more" if len(lines) > _MOST_NAMED else ""
        console.print(f"  {name}: {', '.join(lines[:_MOST_NAMED])}{more}", markup=False, soft_wrap=True)


def _show_left_out(proposal: Proposal, console: Console) -> None:
    by_reason: dict[str, list[str]] = {}
    for one in proposal.left_out:
        by_reason.setdefault(one.reason, []).append(one.file)
    if by_reason:
        console.print("\n[bold]Files that feed nothing[/bold]")
    for reason, files in by_reason.items():
        more = f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else ""
        console.print(f"  {', '.join(files[:_MOST_NAMED])}{more}: {reason}", markup=False, soft_wrap=True)


def _show_codes(proposal: Proposal, console: Console) -> None:
    unknown = proposal.codes.unknown()
    if unknown:
        proposed = sum(bool(code.value) for code in unknown)
        console.print(
            f"\n{len(unknown)} codes are in no default table: {proposed} have a proposed value, "
            f"{len(unknown) - proposed} wait for yours in crosswalks/",
            soft_wrap=True,
        )
    for place in proposal.codes.no_lists:
        too_many = "holds too many different values, or sentences, to be codes: none is shown"
        console.print(f"[yellow]{escape(place)}[/yellow] {too_many}", soft_wrap=True)


def _show_next(written: Written, console: Console) -> None:
    district = next((path for path in (*written.kept, *written.written) if path.name == "district.yaml"), None)
    if district is None:
        return
    if district in written.kept:
        console.print("\nCompare the proposal with your district.yaml, and take over what you want.")
    else:
        console.print("\nNext: fill in every TO DO, look at every UNSURE, then")
    console.print(f"  equity check --district {_shown(district)}", markup=False, soft_wrap=True)


def _shown(path: Path) -> str:
    return os.path.relpath(path)
