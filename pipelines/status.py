"""`equity status`, `snapshots`, `rollback`, `withdraw` and `verify`: what readers see, and how to change that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pipelines import snapshots
from pipelines.disclosure import audit_published
from pipelines.home import Home
from pipelines.outcome import ConfigurationError, ExitCode, StoppedByGateError
from pipelines.snapshots import SnapshotRefusedError

STATUS = "status.json"


def show_status(home: Home, as_json: bool, console: Console) -> None:
    """How the last night ended and what is published."""
    path = home.published / STATUS
    if not path.exists():
        raise ConfigurationError("No night has run here yet.", "Run `equity run`.")
    text = path.read_text(encoding="utf-8")
    if as_json:
        console.out(text, end="", highlight=False)
        return
    status = json.loads(text)
    attempt = status["attempt"]
    console.print(f"last night  {status['outcome']}, as of {attempt['as_of']}, finished {attempt['finished_at']}")
    if status["message"]:
        console.print(f"            at {status['stopped_at']}: {status['message']}", soft_wrap=True)
        console.print(f"            {status['remedy']}", soft_wrap=True)
    console.print(
        f"published   {status['current_snapshot'] or 'nothing'}, data through {status['data_through'] or '-'}"
    )
    for failed in status["failed_checks"]:
        named = ", ".join([*failed["source_ids"], *failed["organization_ids"]][:5])
        console.print(
            f"check       {failed['severity']}: {failed['check_id']}{f' ({named})' if named else ''}", soft_wrap=True
        )


def show_snapshots(home: Home, console: Console) -> None:
    """One line a snapshot."""
    now = snapshots.current(home.published)
    for snapshot_id in snapshots.list_snapshots(home.published):
        manifest = snapshots.read_manifest(home.published, snapshot_id)
        failed = sum(outcome != "pass" for outcome in manifest["checks"]["results"].values())
        mark = "current" if snapshot_id == now else ""
        console.print(f"{snapshot_id}  as of {manifest['as_of']}  {failed} checks failed  {mark}", soft_wrap=True)
    if now is None:
        console.print("nothing is published")


def roll_back(home: Home, snapshot_id: str | None, console: Console) -> None:
    """Re-point readers; the target is verified and attacked again before it is shown."""
    with home.lock():
        try:
            now = snapshots.rollback(home.published, home.restricted, snapshot_id, audit=_audit)
        except SnapshotRefusedError as refused:
            raise StoppedByGateError(str(refused), "Nothing was changed.") from None
    console.print(f"Readers now see {now}.", soft_wrap=True)


def take_away(home: Home, snapshot_id: str, console: Console) -> None:
    """Remove a snapshot from both zones; the current one only when a sound one stands before it."""
    with home.lock():
        try:
            snapshots.withdraw(home.published, home.restricted, snapshot_id, audit=_audit)
        except SnapshotRefusedError as refused:
            raise StoppedByGateError(str(refused), "Nothing was changed.") from None
    console.print(f"{snapshot_id} is gone. Readers see {snapshots.current(home.published)}.", soft_wrap=True)


def show_verification(home: Home, snapshot_id: str | None, console: Console) -> ExitCode:
    """Recompute everything that can be recomputed from the files themselves."""
    wanted = snapshot_id or snapshots.current(home.published)
    if wanted is None:
        raise ConfigurationError("Nothing is published yet.", "Run `equity run` first.")
    found = [
        f"{zone.name}: {problem}"
        for zone in (home.restricted, home.published)
        for problem in snapshots.verify(zone, wanted)
    ]
    found += [f"published: {leak}" for leak in _audit(home.published / wanted)] if not found else []
    for problem in found:
        console.print(problem, soft_wrap=True)
    console.print(f"{wanted}: " + (f"{len(found)} problems" if found else "every checksum, count and line holds"))
    return ExitCode.STOPPED_BY_GATE if found else ExitCode.PUBLISHED


def _audit(folder: Path) -> Sequence[object]:
    """Attack a snapshot's public tables along their lines, as the night did before it published them."""
    return audit_published(folder / "equity.duckdb")
