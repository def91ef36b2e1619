"""`equity quarantine`: refused rows by cause; their text only on this screen, only from landing/."""

from __future__ import annotations

import duckdb
from rich.console import Console

from pipelines import snapshots
from pipelines.home import Home
from pipelines.outcome import ConfigurationError

_MOST_LINES = 200


def show_quarantine(home: Home, text: bool, console: Console) -> None:
    """Causes with counts and first line; with `text`, the rows as they were received."""
    snapshot_id = snapshots.current(home.published)
    if snapshot_id is None:
        raise ConfigurationError("Nothing is published yet.", "`equity check` shows what would be refused.")
    with duckdb.connect(str(home.restricted / snapshot_id / "equity.duckdb"), read_only=True) as con:
        causes = con.execute(
            "select source_id, entity, file_id, reason, column_name, count(*), min(line), max(line), min(remedy)"
            " from quarantine group by source_id, entity, file_id, reason, column_name"
            " order by count(*) desc, source_id, entity, file_id, reason"
        ).fetchall()
    for source_id, entity, file_id, reason, column, count, first, last, remedy in causes:
        where = f" in {column}" if column else ""
        lines = f"line {first}" if first == last else f"lines {first} to {last}"
        console.print(
            f"{count:>9,}  {source_id} {entity}: {reason}{where}, {lines} of file {file_id[:12]}", soft_wrap=True
        )
        console.print(f"           [dim]{remedy}[/dim]", soft_wrap=True)
    if not causes:
        console.print("No row is in quarantine.")
    if text:
        _show_text(home, console)


def _show_text(home: Home, console: Console) -> None:
    files = sorted((home.landing / "refused").glob("*/*.parquet"))
    if not files:
        return
    rows = duckdb.execute(
        "select source_id, entity, line, reason, text from read_parquet(?) order by source_id, entity, line limit ?",
        [[str(path) for path in files], _MOST_LINES],
    ).fetchall()
    console.print("\n[bold red]As received. Identifiable: not for any log, mail or ticket.[/bold red]")
    for source_id, entity, line, reason, content in rows:
        console.print(f"{source_id} {entity} line {line} ({reason}): {content}", soft_wrap=True, markup=False)
    if len(rows) == _MOST_LINES:
        console.print(f"[dim]The first {_MOST_LINES} only; all of them are in {home.landing / 'refused'}[/dim]")
