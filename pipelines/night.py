"""One attempt at a night: what it works on, how far it came, and how it ended.

The Dagster assets are thin: each opens a stage of the running night and calls the module that does the
work. A stage that fails ends the night with a message that is safe to store: an engine's error text may
quote a cell, so only its kind and the place in our code are kept.
"""

from __future__ import annotations

import json
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pipelines.config import DistrictFile
from pipelines.crosswalks import Crosswalks
from pipelines.gates import CheckResult
from pipelines.home import Home, write_atomically
from pipelines.landing import Landing
from pipelines.outcome import ExitCode, InternalError, NightError
from pipelines.progress import Progress


@dataclass
class Night:
    """A running attempt. `load_id` is known after landing, `snapshot_id` after publishing."""

    district: DistrictFile
    crosswalks: Crosswalks
    home: Home
    as_of: date
    progress: Progress
    full: bool = False
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    load_id: str = ""
    landing: Landing | None = None
    checks: list[CheckResult] = field(default_factory=list)
    is_nothing_new: bool = False
    snapshot_id: str | None = None
    failure: NightError | None = None
    failed_stage: str = ""
    release: dict[str, Any] = field(default_factory=dict)

    @property
    def log_folder(self) -> Path:
        """`logs/runs/<run_id>/`: what this attempt leaves for whoever looks into it."""
        folder = self.home.logs / "runs" / self.run_id
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    @contextmanager
    def stage(self, name: str, doing: str) -> Iterator[None]:
        """Run one stage. Whatever goes wrong inside leaves as a NightError without a value taken from data."""
        try:
            with self.progress.stage(name, doing):
                yield
        except NightError as problem:
            self._fail(name, problem)
            raise
        except Exception as problem:  # every other error is ours; its text may quote a cell
            self._log(name, problem)
            scrubbed = InternalError(
                f"{type(problem).__name__} while {doing[0].lower()}{doing[1:]}",
                f"The place in the code is in {self.log_folder / 'error.txt'}.",
            )
            self._fail(name, scrubbed)
            raise scrubbed from None

    @property
    def exit_code(self) -> ExitCode:
        if self.failure is not None:
            return self.failure.code
        return ExitCode.PUBLISHED if self.snapshot_id or self.is_nothing_new else ExitCode.INTERNAL_ERROR

    def _fail(self, stage: str, problem: NightError) -> None:
        if self.failure is None:
            self.failure, self.failed_stage = problem, stage

    def _log(self, stage: str, problem: BaseException) -> None:
        frames = [
            f"{frame.filename}:{frame.lineno} {frame.name}"
            for error in _chain(problem)
            for frame in [*traceback.extract_tb(error.__traceback__)]
        ]
        kinds = " <- ".join(type(error).__name__ for error in _chain(problem))
        text = f"stage {stage}\n{kinds}\n" + "\n".join(frames) + "\n"
        write_atomically(self.log_folder / "error.txt", text)


def _chain(problem: BaseException | None) -> Iterator[BaseException]:
    while problem is not None:
        yield problem
        problem = problem.__cause__ or problem.__context__


def write_status(night: Night, current_snapshot: str | None, data_through: date | None) -> None:
    """Replace `published/status.json`: the attempt, its outcome, failed checks by id and school, what readers see."""
    outcome = "published"
    if night.failure is not None:
        outcome = "stopped_by_gate" if night.failure.code is ExitCode.STOPPED_BY_GATE else "failed"
    elif night.is_nothing_new:
        outcome = "nothing_new"
    failed = [
        {
            "check_id": result.rule.id,
            "severity": result.rule.severity,
            "outcome": result.outcome,
            "scope": result.scope,
            "source_ids": sorted({str(row["source_id"]) for row in result.failing if "source_id" in row}),
            "organization_ids": sorted(
                {str(row["organization_id"]) for row in result.failing if "organization_id" in row}
            ),
        }
        for result in night.checks
        if result.outcome != "pass"
    ]
    status = {
        "attempt": {
            "run_id": night.run_id,
            "started_at": night.started_at.isoformat(timespec="seconds"),
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "as_of": night.as_of.isoformat(),
        },
        "outcome": outcome,
        "stopped_at": night.failed_stage or None,
        "message": night.failure.headline if night.failure else None,
        "remedy": night.failure.remedy if night.failure else None,
        "failed_checks": failed,
        # Messages here name files and columns, never a value; file names stay in the run's own output.
        "sources": [
            {"source_id": state.source_id, "status": state.status, "last_received": str(state.last_received or "")}
            for state in (night.landing.sources if night.landing else ())
        ],
        "current_snapshot": current_snapshot,
        "data_through": data_through.isoformat() if data_through else None,
    }
    text = json.dumps(status, indent=2, ensure_ascii=False) + "\n"
    write_atomically(night.home.published / "status.json", text, mode=0o644)
