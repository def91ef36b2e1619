"""`equity explain`: from a published number back to its definition, its checks and its source files."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
from rich.console import Console

from pipelines import snapshots
from pipelines.home import Home
from pipelines.outcome import ConfigurationError
from pipelines.summary import public


@dataclass(frozen=True)
class Question:
    """Which figure is meant. organization_id None is the district; school_year None the newest."""

    indicator_id: str
    organization_id: str | None
    student_group_id: str
    school_year: int | None


def explain(home: Home, question: Question, restricted: bool, console: Console) -> None:
    """Print where a figure comes from. A hidden one answers with its status only, unless restricted is asked for."""
    snapshot_id = snapshots.current(home.published)
    if snapshot_id is None:
        raise ConfigurationError("Nothing is published yet.", "Run `equity run` first.")
    with public(home, snapshot_id) as con:
        asked = _resolved(con, question)
        _show_definition(con, asked, console)
        _show_figures(con, asked, console)
        _show_checks(con, asked, console)
        _show_snapshot(con, console)
    if restricted:
        database = home.restricted / snapshot_id / "equity.duckdb"
        with duckdb.connect(str(database), read_only=True) as con:
            _show_restricted(con, asked, console)


def _resolved(con: duckdb.DuckDBPyConnection, question: Question) -> Question:
    """The question with its defaults; ConfigurationError when it names what no snapshot holds."""
    organization = question.organization_id or str(
        _one(con, "select organization_id from dim_organization where type = 'district'")[0]
    )
    year = question.school_year or int(str(_one(con, "select max(school_year) from indicator_by_group")[0]))
    for table, column, value in [
        ("dim_indicator", "indicator_id", question.indicator_id),
        ("dim_organization", "organization_id", organization),
        ("dim_student_group", "student_group_id", question.student_group_id),
    ]:
        if not con.execute(f"select 1 from {table} where {column} = ?", [value]).fetchone():
            some = con.execute(f"select {column} from {table} order by {column} limit 12").fetchall()
            raise ConfigurationError(
                f"No {column} is called {value}.", f"There are: {', '.join(row[0] for row in some)} and so on."
            )
    return Question(question.indicator_id, organization, question.student_group_id, year)


def _show_definition(con: duckdb.DuckDBPyConnection, asked: Question, console: Console) -> None:
    name, unit, version, definition, authority, citation = _one(
        con,
        "select name, unit, definition_version, definition, authority, citation from dim_indicator"
        " where indicator_id = ?",
        asked.indicator_id,
    )
    organization = _one(con, "select name from dim_organization where organization_id = ?", asked.organization_id)[0]
    group = _one(con, "select label from dim_student_group where student_group_id = ?", asked.student_group_id)[0]
    console.print(f"[bold]{name}[/bold], {group}, {organization}, school year {asked.school_year}")
    console.print(f"\n[bold]Definition[/bold] {version}, counted by {unit}")
    console.print(f"  {definition}", soft_wrap=True)
    console.print(f"  [dim]{authority} ({citation})[/dim]", soft_wrap=True)


def _show_figures(con: duckdb.DuckDBPyConnection, asked: Question, console: Console) -> None:
    console.print("\n[bold]Published[/bold]")
    rows = con.execute(
        "select period_type, period_start, period_end, status, status_reason, display_value, numerator, denominator,"
        " students, rate_low, rate_high, interval_method, coverage from indicator_by_group where indicator_id = ?"
        " and organization_id = ? and student_group_id = ? and school_year = ? order by period_type",
        [asked.indicator_id, asked.organization_id, asked.student_group_id, asked.school_year],
    ).fetchall()
    for period, start, end, status, reason, display, x, n, students, low, high, method, coverage in rows:
        console.print(f"  {period} ({start} to {end}): {display or '-'}, {status}. {reason or ''}", soft_wrap=True)
        if n is not None:
            console.print(f"    {x:,.10g} of {n:,.10g}, {students:,} students", end="")
            console.print(f", 95 % interval {100 * low:.1f} to {100 * high:.1f} % ({method})" if method else "")
        if coverage is not None and coverage < 1:
            console.print(f"    coverage {100 * coverage:.1f} % of the group's students")
    if not rows:
        console.print("  not computed at this level: see the indicator's definition")


def _show_checks(con: duckdb.DuckDBPyConnection, asked: Question, console: Console) -> None:
    console.print("\n[bold]Checks that speak of it[/bold]")
    for check_id, outcome, severity, message in con.execute(
        "select r.check_id, max(r.outcome) filter (here), r.severity, max(r.message) filter (here)"
        " from (select *, outcome = 'pass' or organization_id in ('all', ?) or ? in"
        " (select organization_id from dim_organization where type = 'district') as here from data_quality_result) r"
        " join data_quality_affects a on r.check_id = a.check_id and a.indicator_id = ?"
        " where r.school_year in (0, ?) or r.outcome = 'pass'"
        " group by r.check_id, r.severity order by r.check_id",
        [asked.organization_id, asked.organization_id, asked.indicator_id, asked.school_year],
    ).fetchall():
        failed = outcome in ("fail", "error")
        said = f"[red]{outcome}[/red] ({severity}) {message}" if failed else "pass"
        console.print(f"  {check_id:<40} {said}", soft_wrap=True)


def _show_snapshot(con: duckdb.DuckDBPyConnection, console: Console) -> None:
    snapshot_id, as_of, files, version, load = _one(
        con, "select snapshot_id, as_of, file_count, code_version, load_id from snapshot"
    )
    console.print("\n[bold]Computed from[/bold]")
    console.print(f"  {files} input files as of {as_of}, load {load}, code {version}, snapshot {snapshot_id}")
    console.print("  [dim]--restricted adds counts, verdicts and the files' hashes[/dim]")


def _show_restricted(con: duckdb.DuckDBPyConnection, asked: Question, console: Console) -> None:
    """Counts and files. Never a student."""
    console.print("\n[bold red]Restricted, not for release[/bold red]")
    key = [asked.indicator_id, asked.organization_id, asked.student_group_id, asked.school_year]
    where = "indicator_id = ? and organization_id = ? and student_group_id = ? and school_year = ?"
    for period, status, x, n, students in con.execute(
        f"select period_type, status, numerator, denominator, students from indicator_by_group where {where}"
        " order by period_type",
        key,
    ).fetchall():
        counted = f"{x:,.10g} of {n:,.10g}, {students:,} students" if n is not None else "no numbers"
        console.print(f"  {period}: {counted} ({status})")
    for period, rule, line in con.execute(
        f"select period_type, rule, line from disclosure_cell where {where} order by period_type", key
    ).fetchall():
        console.print(f"  hidden in public, {period}: {rule}{f', along {line}' if line else ''}")
    for rule, count in con.execute(
        "select universe_rule, count(distinct student_key) from fct_student_indicator where indicator_id = ?"
        " and (organization_id = ? or ? in (select organization_id from dim_organization where type = 'district'))"
        " and school_year = ? and period_type = 'year' group by universe_rule order by universe_rule",
        [asked.indicator_id, asked.organization_id, asked.organization_id, asked.school_year],
    ).fetchall():
        console.print(f"  all students here, by universe rule {rule}: {count:,}")
    console.print("  files:")
    for source_id, entity, file_id, accepted, read in con.execute(
        "select source_id, entity, file_id, rows_accepted, rows_read from source_file where is_live"
        " order by source_id, entity, file_id"
    ).fetchall():
        console.print(f"    {source_id} {entity} {file_id[:16]}: {accepted:,} of {read:,} rows", soft_wrap=True)


def _one(con: duckdb.DuckDBPyConnection, sql: str, *values: object) -> tuple[object, ...]:
    row = con.execute(sql, list(values)).fetchone()
    if row is None:
        raise ConfigurationError("The snapshot does not hold what was asked for.")
    return tuple(row)
