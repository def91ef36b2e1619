"""`equity check`: read, map and judge the input, publish nothing, leave nothing behind.

The files are landed in a temporary home with a key of its own, which is deleted at the end. What is
printed are counts, column names and codes. A code that nothing maps is printed only while its column looks
like a code list: a column of names mapped to a code by mistake must not end up on a screen.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb
import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.code_report import UNMAPPED, CodeUse, codes_used
from pipelines.code_version import DBT_PROJECT
from pipelines.config import DistrictFile, Source, Thresholds
from pipelines.contract import ENTITIES
from pipelines.crosswalks import Crosswalks
from pipelines.home import Home
from pipelines.landing import Landing, LiveFile, land
from pipelines.sources import KNOW_THEIR_LAYOUT

_MOST_LISTED = 10
#: Mapped codes of one column that are listed without --codes, the most frequent ones. Unmapped ones all are.
_MOST_MAPPED = 5
#: Schools named beside an unmapped code, while they are as few.
_MOST_SCHOOLS_NAMED = 3
#: The column whose codes decide whether a row counts, by the entity that an indicator is made of, and the threshold
#: from which a school's share of unmapped ones withholds its figures; None: rows so coded are left out, visibly.
_DECIDING = {
    "attendance_event": ("category", "unmapped_attendance_codes_percent"),
    "discipline_action": ("action", "unmapped_discipline_codes_percent"),
    "survey_response": ("answer", None),
}


def check(
    district: DistrictFile,
    codes: Crosswalks,
    only: str | None,
    as_of: date,
    console: Console,
    *,
    all_codes: bool = False,
) -> bool:
    """Print what tonight's input would do; true when every source could be read.

    all_codes: list every code of every column, not only the most frequent of those that are mapped.
    """
    chosen = {name: source for name, source in district.settings.sources.items() if only in (None, name)}
    settings = district.settings.model_copy(update={"sources": chosen})
    with _temporary_home() as home:
        landing = land(district.model_copy(update={"settings": settings}), home, as_of=as_of, say=lambda _: None)
        console.print(f"[bold]{district.settings.district.name}[/bold]: {len(chosen)} sources, as of {as_of}")
        month, day = map(int, district.settings.district.school_year_start.split("-"))
        used: dict[str, list[CodeUse]] = {}
        with duckdb.connect() as con:
            for state in landing.sources:
                files = [file for file in landing.files if file.source_id == state.source_id]
                _show_source(con, state.source_id, chosen[state.source_id], files, console)
                for entity, uses in _codes(con, codes, files, landing.files, as_of, month * 100 + day):
                    _show_codes(entity, uses, console, all_codes)
                    used.setdefault(entity, []).extend(uses)
                if state.message:
                    console.print(f"  [red]{state.status}[/red]: {state.message}", soft_wrap=True)
                    console.print(f"  [dim]{state.remedy}[/dim]", soft_wrap=True)
        if only is None:
            _show_lacks(landing, used, district.settings.thresholds, console)
    return all(state.status in ("new", "unchanged") for state in landing.sources)


@contextmanager
def _temporary_home() -> Iterator[Home]:
    """A home that nothing survives, with a key that nobody else has."""
    named = os.environ.pop("EQUITY_KEY_FILE", None)
    try:
        with tempfile.TemporaryDirectory(prefix="equity-check-") as folder:
            yield Home.open(Path(folder))
    finally:
        if named is not None:
            os.environ["EQUITY_KEY_FILE"] = named


def _show_source(
    con: duckdb.DuckDBPyConnection,
    source_id: str,
    source: Source,
    files: Sequence[LiveFile],
    console: Console,
) -> None:
    console.print(f"\n[bold]{source_id}[/bold]  [dim]{source.kind}, {', '.join(source.files)}[/dim]", soft_wrap=True)
    for file in files:
        parts = [f"{file.rows_accepted:,} rows of {file.rows_read:,}"]
        for count, word in [
            (file.rows_refused, "refused"),
            (file.rows_filtered, "left out by the map"),
            (file.rows_collapsed, "equal to another"),
            (file.cells_masked, "cells hidden by the sender"),
        ]:
            if count:
                parts.append(f"{count:,} {word}")
        console.print(f"  {file.file_name} as {file.entity}: {', '.join(parts)}", soft_wrap=True)
        _show_refused(con, file, console)
    for entity in sorted({file.entity for file in files if file.is_live}):
        _show_columns(source, entity, console)


def _codes(
    con: duckdb.DuckDBPyConnection,
    codes: Crosswalks,
    files: Sequence[LiveFile],
    all_files: Sequence[LiveFile],
    as_of: date,
    school_year_start: int,
) -> Iterator[tuple[str, list[CodeUse]]]:
    """Each entity that the files of one source feed, with its codes; incidents and surveys of all sources lend days."""
    lenders: Mapping[str, Sequence[Path]] = {
        entity: [file.raw_path for file in all_files if file.entity == entity and file.is_live] for entity in ENTITIES
    }
    for entity in sorted({file.entity for file in files if file.is_live}):
        own = [file.raw_path for file in files if file.entity == entity and file.is_live]
        yield entity, codes_used(con, codes, entity, {**lenders, entity: own}, as_of, school_year_start)


def _show_codes(entity: str, uses: Sequence[CodeUse], console: Console, all_codes: bool) -> None:
    """The codes of an entity's columns as a table; where a column's list is cut, a line says what is left out."""
    if not uses:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim", pad_edge=False)
    table.add_column(f"    {entity}", no_wrap=True)
    for heading in ("code", "means"):
        table.add_column(heading, overflow="fold")
    for heading in ("rows", "schools"):
        table.add_column(heading, justify="right")
    for heading in ("first seen", "last seen", ""):
        table.add_column(heading, overflow="fold")
    for column in dict.fromkeys(use.column for use in uses):
        of_column = [use for use in uses if use.column == column]
        mapped = [use for use in of_column if use.meaning != UNMAPPED]
        shown = [use for use in of_column if use.meaning == UNMAPPED]
        shown += mapped if all_codes else mapped[:_MOST_MAPPED]
        for number, use in enumerate(shown):
            table.add_row(f"    {column}" if number == 0 else "", *_code_cells(use))
        if left_out := len(of_column) - len(shown):
            rows = sum(use.rows for use in mapped[_MOST_MAPPED:])
            table.add_row("", f"[dim]{left_out} more[/dim]", "[dim]all mapped[/dim]", f"[dim]{rows:,}[/dim]")
    console.print(table, crop=False)
    unmapped = [use for use in uses if use.meaning == UNMAPPED and use.code is not None]
    if crosswalks := list(dict.fromkeys(use.crosswalk for use in unmapped)):
        files = ", ".join(f"crosswalks/{name}.csv" for name in crosswalks)
        console.print(f"    [dim]What the unmapped codes mean is to be said in {files}[/dim]", soft_wrap=True)


def _code_cells(use: CodeUse) -> list[str]:
    """Code, meaning, rows, schools, first and last day, and for an unmapped code where to look."""
    if use.code is None:
        code = "[dim]too many different values to be codes[/dim]"
    else:
        code = escape(use.code) if use.code else "[dim](empty)[/dim]"
    cells = [
        code,
        f"[yellow]{use.meaning}[/yellow]" if use.meaning == UNMAPPED else use.meaning,
        f"{use.rows:,}",
        f"{use.schools:,}" if use.schools else "",
        use.first_seen.isoformat() if use.first_seen else "",
        use.last_seen.isoformat() if use.last_seen else "",
    ]
    if use.meaning != UNMAPPED:
        return [*cells, ""]
    if use.code is None:
        return [*cells, f"[dim]first in line {use.first_line}: is this the column of the code?[/dim]"]
    at = f", school {escape(', '.join(use.school_ids))}" if 0 < len(use.school_ids) <= _MOST_SCHOOLS_NAMED else ""
    return [*cells, f"[dim]first in line {use.first_line}{at}[/dim]"]


def _show_columns(source: Source, entity: str, console: Console) -> None:
    if source.kind in KNOW_THEIR_LAYOUT:
        return
    mapped = source.entities[entity]
    if mapped.sql is not None:
        console.print(f"    {entity}: by {mapped.sql}", soft_wrap=True)
        return
    given = {**dict.fromkeys(mapped.columns), **dict.fromkeys(mapped.constants)}
    missing = [column.name for column in ENTITIES[entity].columns if column.name not in given]
    console.print(f"    {entity}: {len(given)} columns mapped", end="")
    console.print(f"[dim], not carried: {', '.join(missing)}[/dim]" if missing else "", soft_wrap=True)


def _show_refused(con: duckdb.DuckDBPyConnection, file: LiveFile, console: Console) -> None:
    if file.refused_path is None:
        return
    causes = con.execute(
        "select reason, column_name, count(*), min(line), min(remedy) from read_parquet(?)"
        " group by reason, column_name order by count(*) desc, reason limit ?",
        [str(file.refused_path), _MOST_LISTED],
    ).fetchall()
    for reason, column, count, line, remedy in causes:
        where = f" in {column}" if column else ""
        console.print(
            f"    [yellow]refused[/yellow] {count:,}: {reason}{where}, first in line {line}. [dim]{remedy}[/dim]",
            soft_wrap=True,
        )


def _show_lacks(
    landing: Landing, used: Mapping[str, Sequence[CodeUse]], thresholds: Thresholds, console: Console
) -> None:
    """Which indicators nothing feeds, and which rest on codes that nothing maps."""
    fed = {file.entity for file in landing.files if file.is_live and file.rows_accepted}
    console.print("\n[bold]What each indicator has[/bold]")
    for indicator in indicators():
        lacks = [] if indicator["entity"] in fed else [indicator["entity"]]
        if indicator["unit"] != "count" and "student_demographic" not in fed:
            lacks.append("student_demographic (groups will be unknown)")
        if unread := _unread(indicator["entity"], used.get(indicator["entity"], ()), thresholds):
            lacks.append(unread)
        state = f"[yellow]lacks {', '.join(lacks)}[/yellow]" if lacks else "[green]complete[/green]"
        console.print(f"  {indicator['indicator_id']:<28} {state}", soft_wrap=True)


def _unread(entity: str, uses: Sequence[CodeUse], thresholds: Thresholds) -> str:
    """What the entity's deciding codes lack, in words; '' where all are mapped, or none decides."""
    column, threshold = _DECIDING.get(entity, ("", None))
    rows = sum(use.rows for use in uses if use.column == column)
    unmapped = sum(use.rows for use in uses if use.column == column and use.meaning == UNMAPPED)
    if not unmapped:
        return ""
    so_what = "these answers do not count"
    if threshold is not None:
        so_what = f"withheld at a school from {getattr(thresholds, threshold)} %"
    return f"meanings of {column} in {unmapped:,} of {rows:,} rows ({so_what})"


def indicators() -> list[dict[str, str]]:
    """The registry of dbt_project.yml, row by row."""
    project = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    listed: list[dict[str, str]] = project["vars"]["indicators"]
    return listed
