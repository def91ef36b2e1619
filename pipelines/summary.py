"""What a person wants to know when the night is through, from the published snapshot itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
from rich.console import Console

from pipelines import snapshots
from pipelines.home import Home
from pipelines.night import Night
from pipelines.outcome import ExitCode
from pipelines.quarantine import show_causes

_LARGEST_GAPS = 3


@dataclass(frozen=True)
class Gap:
    """A group's rate against that of all other students, in the newest year to date. Rates are 0 to 1."""

    indicator: str
    group: str
    rate: float
    other_rate: float
    students: int


def public(home: Home, snapshot_id: str) -> duckdb.DuckDBPyConnection:
    """A published snapshot, opened read-only."""
    return duckdb.connect(str(home.published / snapshot_id / "equity.duckdb"), read_only=True)


def data_through(home: Home, snapshot_id: str) -> date | None:
    with public(home, snapshot_id) as con:
        row = con.execute("select data_through from snapshot").fetchone()
    return row[0] if row else None


def largest_gaps(con: duckdb.DuckDBPyConnection, most: int = _LARGEST_GAPS) -> list[Gap]:
    """The largest unfavorable gaps of the district between a group and all other students.

    Only published numbers of groups (and their complements) large enough to judge, of head counts and
    days, and only one for each pair of indicator and group. Unknown values are no group to compare.
    """
    rows = con.execute(
        """
        with figure as (
            select f.*, i.name, i.direction, g.label, g.category
            from indicator_by_group as f
            join dim_indicator as i on f.indicator_id = i.indicator_id
            join dim_student_group as g on f.student_group_id = g.student_group_id
            join dim_organization as o on f.organization_id = o.organization_id and o.type = 'district'
            where f.period_type = 'year_to_date'
            and f.school_year = (select max(school_year) from indicator_by_group)
            and i.direction <> 'none'
        ),
        compared as (
            select
                part.indicator_id,
                part.name,
                part.label,
                part.rate,
                part.students,
                (whole.numerator - part.numerator) / nullif(whole.denominator - part.denominator, 0) as other_rate,
                case part.direction when 'lower' then 1 else -1 end as unfavorable
            from figure as part
            join figure as whole on part.indicator_id = whole.indicator_id and whole.student_group_id = 'all'
            where part.status = 'published' and whole.status = 'published' and part.student_group_id <> 'all'
            and part.category not in ('race_reported', 'race_in_combination') and not part.category like '%+%'
            and not (part.student_group_id like '%:unknown' or part.student_group_id like '%:unmapped')
            and whole.students - part.students >= 30
        )
        select name, label, rate, other_rate, students
        from compared
        where unfavorable * (rate - other_rate) > 0
        -- The district's own chronic absence is the headline; the federal count would only repeat it.
        and indicator_id <> 'chronic_absence'
        order by unfavorable * (rate - other_rate) desc, name, label
        limit ?
        """,
        [most],
    ).fetchall()
    return [Gap(*row) for row in rows]


def show(night: Night, console: Console, district_file: Path, named_home: Path | None) -> None:
    """Print how the night ended: what is published, the largest gaps, what is held back, where, and what next.

    named_home: what --home said, to be said again in the commands suggested.
    """
    home = night.home
    console.print()
    if night.failure is not None:
        _show_failure(night, console)
        return
    if night.is_nothing_new:
        console.print("[bold]Nothing new.[/bold] The published snapshot already holds this load.")
        console.print("[dim]`equity run --full` computes it again.[/dim]", highlight=False)
        return
    snapshot_id = str(night.snapshot_id)
    with public(home, snapshot_id) as con:
        _show_published(con, night, console)
        _show_gaps(largest_gaps(con), console)
        _show_held_back(con, console)
    _show_sources(night, console)
    show_causes(home, snapshot_id, console)
    show_unmapped(home, night.load_id, console)
    folder = _shortened(home.published / snapshot_id)
    console.print("\n[bold]Where it is[/bold]")
    console.print(f"  public      {folder}  (Parquet a table, equity.duckdb, manifest.json)", soft_wrap=True)
    console.print(f"  restricted  {_shortened(home.restricted / snapshot_id)}  (not for release)", soft_wrap=True)
    console.print("\n[bold]What to type next[/bold]")
    option = f" --district {_shortened(district_file)}" + (f" --home {_shortened(named_home)}" if named_home else "")
    for command, why in [
        (f"equity status{option}", "what is published, and how fresh it is"),
        (f"equity explain chronic_absence_local --group race_ethnicity:black{option}", "a number, back to its files"),
        (f"equity quarantine{option}", "rows that were refused, by cause"),
    ]:
        console.print(f"  .venv/bin/{command}\n      [dim]{why}[/dim]", highlight=False, soft_wrap=True)


def _show_failure(night: Night, console: Console) -> None:
    assert night.failure is not None
    stopped = night.failure.code is ExitCode.STOPPED_BY_GATE
    console.print(f"[bold red]{'Stopped by a gate' if stopped else 'Failed'}[/bold red] at {night.failed_stage}:")
    for line in night.failure.headline.splitlines():
        console.print(f"  {line}", markup=False, highlight=False)
    if night.failure.remedy:
        console.print("[bold]What to do[/bold]")
        for line in night.failure.remedy.splitlines():
            console.print(f"  {line}", markup=False, highlight=False)
    _show_sources(night, console)
    still = snapshots.current(night.home.published)
    seen = f"Readers still see {still}." if still else "Nothing has been published yet."
    console.print(f"{seen} Details: {_shortened(night.log_folder)}", soft_wrap=True)


def _show_sources(night: Night, console: Console) -> None:
    """Sources that did not arrive whole, with what to do."""
    troubled = [state for state in (night.landing.sources if night.landing else ()) if state.message]
    if troubled:
        console.print("\n[bold]Sources held back[/bold]")
    for state in troubled:
        console.print(f"  {state.source_id}: {state.status}. {state.message}", soft_wrap=True, markup=False)
        console.print(f"      {state.remedy}", soft_wrap=True, markup=False, style="dim")


def _show_published(con: duckdb.DuckDBPyConnection, night: Night, console: Console) -> None:
    counted = dict(con.execute("select status, count(*) from indicator_by_group group by status").fetchall())
    schools, years = _one(
        con,
        "select count(*), (select count(distinct school_year) from indicator_by_group)"
        " from dim_organization where type = 'school'",
    )
    shown = counted.get("published", 0) + counted.get("below_minimum_n", 0)
    name = night.district.settings.district.name
    through = data_through(night.home, str(night.snapshot_id))
    console.print(
        f"[bold green]Published[/bold green] {name}: {shown:,} figures for {schools} schools "
        f"over {years} school year{'s' if years > 1 else ''}, data through {through}.",
        highlight=False,
        soft_wrap=True,
    )


def _show_gaps(gaps: Sequence[Gap], console: Console) -> None:
    console.print("\n[bold]Largest gaps this year to date[/bold] [dim](against all other students)[/dim]")
    if not gaps:
        console.print("  none: no group is large enough to judge")
    for gap in gaps:
        console.print(
            f"  {100 * (gap.rate - gap.other_rate):+5.1f} points  {gap.indicator}: {gap.group} "
            f"{100 * gap.rate:.1f} %, all others {100 * gap.other_rate:.1f} %  [dim]n {gap.students:,}[/dim]",
            highlight=False,
            soft_wrap=True,
        )


def _show_held_back(con: duckdb.DuckDBPyConnection, console: Console) -> None:
    held = con.execute(
        "select status, min(status_reason), count(*) from indicator_by_group"
        " where status in ('suppressed', 'data_not_reliable', 'not_collected') group by status order by count(*) desc"
    ).fetchall()
    failed = con.execute(
        "select check_id, severity, min(message), count(*),"
        " string_agg(distinct organization_id, ', ' order by organization_id) filter (organization_id <> 'all'),"
        " string_agg(distinct source_id, ', ' order by source_id) filter (source_id <> 'all')"
        " from data_quality_result where outcome in ('fail', 'error')"
        " group by check_id, severity order by severity, check_id"
    ).fetchall()
    console.print("\n[bold]Held back, and why[/bold]")
    for status, reason, count in held:
        console.print(f"  {count:>9,}  {status:<18} {reason}", soft_wrap=True)
    if not held:
        console.print("  nothing")
    if failed:
        console.print("\n[bold]Checks that failed[/bold]")
    for check_id, severity, message, _, organizations, sources in failed:
        where = organizations or sources or "district"
        console.print(f"  {severity:<8}  {check_id} ({where})", highlight=False)
        console.print(f"            [dim]{message}[/dim]", highlight=False, soft_wrap=True)


def show_unmapped(home: Home, load_id: str, console: Console) -> None:
    """Columns with codes that nobody mapped, and since when; never a code. Nothing where the warehouse is gone."""
    path = home.warehouse / f"{load_id}.duckdb"
    if not path.is_file():
        return
    with duckdb.connect(str(path), read_only=True) as con:
        columns = con.execute(
            "select entity || '.' || column_name, unmapped_rows, unmapped_codes, unmapped_schools,"
            " first_seen, last_seen from audit.audit_code where unmapped_rows > 0"
            " order by unmapped_rows desc, entity, column_name"
        ).fetchall()
    if not columns:
        return
    console.print("\n[bold]Codes that nobody mapped[/bold]  [dim]`equity check` lists them[/dim]", highlight=False)
    for column, rows, codes, schools, first, last in columns:
        said = f"{column}: {codes:,} code{'s' if codes != 1 else ''}"
        said += f", {schools:,} school{'s' if schools != 1 else ''}" if schools else ""
        said += f", {first} to {last}" if first is not None else ""
        console.print(f"  {rows:>9,}  {said}", highlight=False, soft_wrap=True)


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, ...]:
    row = con.execute(sql).fetchone()
    assert row is not None
    return tuple(row)


def _shortened(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
