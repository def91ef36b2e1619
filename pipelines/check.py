"""`equity check`: read, map and judge the input, publish nothing, leave nothing behind.

The files are landed in a temporary home with a key of its own, which is deleted at the end. What is
printed are counts, column names and codes. A code is printed only while its column holds few different
ones: a column of names mapped to a code by mistake must not end up on a screen.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import yaml
from rich.console import Console

from pipelines.code_version import DBT_PROJECT
from pipelines.config import DistrictFile, Source
from pipelines.contract import ENTITIES
from pipelines.crosswalks import Crosswalks
from pipelines.home import Home
from pipelines.landing import Landing, LiveFile, land
from pipelines.sources import KNOW_THEIR_LAYOUT

#: More different codes than this in one column are no code list.
_MOST_CODES = 60
_MOST_LISTED = 10


@dataclass(frozen=True)
class UnmappedCode:
    """A code that no crosswalk row knows. code is None where the column holds too many to be a code list."""

    entity: str
    column: str
    crosswalk: str
    code: str | None
    rows: int
    first_line: int


def check(district: DistrictFile, codes: Crosswalks, only: str | None, as_of: date, console: Console) -> bool:
    """Print what tonight's input would do; true when every source could be read."""
    chosen = {name: source for name, source in district.settings.sources.items() if only in (None, name)}
    settings = district.settings.model_copy(update={"sources": chosen})
    with _temporary_home() as home:
        landing = land(district.model_copy(update={"settings": settings}), home, as_of=as_of, say=lambda _: None)
        console.print(f"[bold]{district.settings.district.name}[/bold]: {len(chosen)} sources, as of {as_of}")
        with duckdb.connect() as con:
            for state in landing.sources:
                files = [file for file in landing.files if file.source_id == state.source_id]
                _show_source(con, codes, state.source_id, chosen[state.source_id], files, console)
                if state.message:
                    console.print(f"  [red]{state.status}[/red]: {state.message}", soft_wrap=True)
                    console.print(f"  [dim]{state.remedy}[/dim]", soft_wrap=True)
        if only is None:
            _show_lacks(landing, console)
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
    codes: Crosswalks,
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
            (file.rows_filtered, "left out by where"),
            (file.rows_collapsed, "equal to another"),
        ]:
            if count:
                parts.append(f"{count:,} {word}")
        console.print(f"  {file.file_name} as {file.entity}: {', '.join(parts)}", soft_wrap=True)
        _show_refused(con, file, console)
    for entity in sorted({file.entity for file in files if file.is_live}):
        _show_columns(source, entity, console)
        paths = [file.raw_path for file in files if file.entity == entity and file.is_live]
        for unmapped in unmapped_codes(con, codes, entity, paths):
            said = f"code '{unmapped.code}'" if unmapped.code is not None else "too many different codes to be a list"
            console.print(
                f"    [yellow]unmapped[/yellow] {entity}.{unmapped.column}: {said}, {unmapped.rows:,} rows, first in "
                f"line {unmapped.first_line}. [dim]Add it to crosswalks/{unmapped.crosswalk}.csv[/dim]",
                soft_wrap=True,
            )


def _show_columns(source: Source, entity: str, console: Console) -> None:
    if source.kind in KNOW_THEIR_LAYOUT:
        return
    mapped = source.entities[entity]
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


def unmapped_codes(
    con: duckdb.DuckDBPyConnection, codes: Crosswalks, entity: str, raw_paths: Sequence[Path]
) -> list[UnmappedCode]:
    """Codes of an entity's rows that no crosswalk row knows anywhere, most frequent first."""
    con.register("crosswalk_rows", codes.as_arrow())
    found = []
    for column in ENTITIES[entity].columns:
        if column.type != "code" or not raw_paths:
            continue
        cell = f"unnest(string_split({column.name}, '|'))" if column.many else column.name
        rows = con.execute(
            f"with code as (select lower(trim({cell})) as code, line from read_parquet(?))"
            " select c.code, count(*), min(c.line) from code c anti join crosswalk_rows x"
            f" on x.crosswalk = '{column.crosswalk}' and x.code = c.code"
            " where c.code <> '' group by c.code order by count(*) desc, c.code",
            [[str(path) for path in raw_paths]],
        ).fetchall()
        crosswalk = str(column.crosswalk)
        if len(rows) > _MOST_CODES:
            lines = [line for _, _, line in rows]
            counted = sum(count for _, count, _ in rows)
            found.append(UnmappedCode(entity, column.name, crosswalk, None, counted, min(lines)))
        else:
            found += [UnmappedCode(entity, column.name, crosswalk, code, n, line) for code, n, line in rows]
    con.unregister("crosswalk_rows")
    return found


def _show_lacks(landing: Landing, console: Console) -> None:
    """Which indicators nothing feeds."""
    fed = {file.entity for file in landing.files if file.is_live and file.rows_accepted}
    console.print("\n[bold]What each indicator has[/bold]")
    for indicator in indicators():
        lacks = [] if indicator["entity"] in fed else [indicator["entity"]]
        if indicator["unit"] != "count" and "student_demographic" not in fed:
            lacks.append("student_demographic (groups will be unknown)")
        state = f"[yellow]lacks {', '.join(lacks)}[/yellow]" if lacks else "[green]complete[/green]"
        console.print(f"  {indicator['indicator_id']:<28} {state}", soft_wrap=True)


def indicators() -> list[dict[str, str]]:
    """The registry of dbt_project.yml, row by row."""
    project = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    listed: list[dict[str, str]] = project["vars"]["indicators"]
    return listed
