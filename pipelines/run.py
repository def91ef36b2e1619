"""Run one night in this process: the Dagster job, the status file, the log."""

from __future__ import annotations

import logging
import os
import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import snapshots
from pipelines.code_version import ROOT
from pipelines.home import Home
from pipelines.night import Night, write_status
from pipelines.outcome import ExitCode, InternalError
from pipelines.summary import data_through

if TYPE_CHECKING:
    import dagster as dg

_KEPT_RUN_LOGS = 30


def dagster_home(home: Home) -> Path:
    """Dagster's own folder in the district's home, with this project's dagster.yaml."""
    folder = home.logs / "dagster"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copyfile(ROOT / "dagster.yaml", folder / "dagster.yaml")
    return folder


def run_night(night: Night) -> ExitCode:
    """Run the job for a night that holds its home's lock; status.json is replaced whatever happens."""
    os.environ["DAGSTER_HOME"] = str(dagster_home(night.home))
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
    # Dagster's console log would drown the progress; its event log in DAGSTER_HOME keeps everything.
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    night.progress.note(f"data as of {night.as_of}")
    try:
        with night.progress.stage("start", "Loading the job (longer when the dbt project is new and must be parsed)"):
            import dagster as dg  # costs seconds, and only this command needs it

            from pipelines.assets.night_resource import adopt
            from pipelines.definitions import defs

            adopt(night)
        with dg.DagsterInstance.get() as instance:
            result = defs.resolve_job_def("nightly").execute_in_process(
                instance=instance,
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
            _prune(instance)
        if not result.success and night.failure is None:
            night.failure = _failure_of(result, f"See Dagster's log in {dagster_home(night.home)}.")
    finally:
        if night.failure is None and not night.snapshot_id and not night.is_nothing_new:
            night.failure = InternalError("The night ended without a snapshot", f"See {night.log_folder}.")
        conclude(night)
    return night.exit_code


def _failure_of(result: dg.ExecuteInProcessResult, look: str) -> InternalError:
    """What ended the job, where no stage of ours says it: a signal (Ctrl-C, a scheduler's time limit), or a step."""
    failures = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    if any(error is not None and error.cls_name == "DagsterExecutionInterruptedError" for error in failures):
        return InternalError("The run was interrupted", "Start it again: what was landed stays, the rest is made anew.")
    return InternalError("A step of the job failed", look)


def _prune(instance: dg.DagsterInstance) -> None:
    """Dagster keeps the events of every run for ever; nobody reads those of more than the last runs."""
    for run_id in instance.get_run_ids()[_KEPT_RUN_LOGS:]:
        instance.delete_run(run_id)


def conclude(night: Night) -> None:
    """Say in `published/status.json` how the night ended, and drop the oldest logs."""
    current = snapshots.current(night.home.published)
    through: date | None = data_through(night.home, current) if current else None
    write_status(night, current, through)
    logs = sorted((night.home.logs / "runs").glob("*"), key=lambda folder: folder.stat().st_mtime_ns)
    for old in logs[:-_KEPT_RUN_LOGS]:
        shutil.rmtree(old, ignore_errors=True)
