"""What Dagster loads: the stages, their order, their blocking checks, the schedule; and the pins it rests on."""

from __future__ import annotations

import os
import re
import signal
import time
from datetime import datetime
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
import yaml

from pipelines import run
from pipelines.config import Settings
from pipelines.definitions import defs, nightly_schedule

REPOSITORY = Path(__file__).resolve().parents[2]

SETTINGS = Settings.model_validate(
    {
        "district": {"id": "d", "name": "D", "contact": "a@b.example", "time_zone": "America/Chicago"},
        "sources": {"a": {"kind": "edfi_xml", "files": ["a.xml"], "missing_rows": "full"}},
        "schedule": {"at": "22:15"},
    }
)


def _upstream(graph: dg.AssetGraph, key: dg.AssetKey) -> set[dg.AssetKey]:
    found: set[dg.AssetKey] = set()
    waiting = [key]
    while waiting:
        for parent in graph.get(waiting.pop()).parent_keys:
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return found


def test_stages_stand_in_the_order_of_the_flow() -> None:
    graph = defs.resolve_asset_graph()
    stages = ["landing", "raw", "gate_1", "gate_2", "disclosure_control", "published"]
    for earlier, later in pairwise(stages):
        assert dg.AssetKey(earlier) in _upstream(graph, dg.AssetKey(later)), f"{later} does not wait for {earlier}"


def test_gate_1_stands_before_every_mart_that_holds_figures() -> None:
    graph = defs.resolve_asset_graph()
    for table in ("attendance_summary", "student_indicator_organization", "indicator_by_group"):
        assert dg.AssetKey("gate_1") in _upstream(graph, dg.AssetKey(["marts", table])), table
    assert dg.AssetKey(["marts", "indicator_by_group"]) in _upstream(graph, dg.AssetKey("gate_2"))


def test_every_rule_is_an_asset_check_and_critical_ones_block() -> None:
    rules = {
        rule["id"]: (suite["gate"], rule["severity"])
        for path in (REPOSITORY / "expectations").glob("*.yml")
        for suite in [yaml.safe_load(path.read_text())]
        for rule in suite["rules"]
    }
    graph = defs.resolve_asset_graph()
    gates = {dg.AssetKey("gate_1"), dg.AssetKey("gate_2")}
    checks = {key.name: key for key in graph.asset_check_keys if key.asset_key in gates}
    assert set(checks) == set(rules)
    for name, (gate, severity) in rules.items():
        assert checks[name].asset_key == dg.AssetKey(f"gate_{gate}")
        assert graph.get(checks[name]).blocking is (severity == "critical")


def test_the_night_runs_at_the_districts_own_time_through_the_clock_change() -> None:
    schedule = nightly_schedule(SETTINGS)
    assert schedule.execution_timezone == "America/Chicago"
    # 2026-03-08 is the night on which clocks go forward in Chicago.
    now = datetime(2026, 3, 8, 22, 15, tzinfo=ZoneInfo("America/Chicago"))
    with dg.build_schedule_context(scheduled_execution_time=now) as context:
        assert len(schedule.evaluate_tick(context).run_requests or []) == 1
    assert schedule.cron_schedule == "15 22 * * *"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    # Without a district there is nothing to run every night.
    assert nightly_schedule(None).default_status is dg.DefaultScheduleStatus.STOPPED


def test_workspace_and_project_name_the_same_module() -> None:
    workspace = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text())
    assert workspace["load_from"][0]["python_module"]["module_name"] == "pipelines.definitions"
    assert 'root_module = "pipelines"' in (REPOSITORY / "pyproject.toml").read_text()


def test_telemetry_is_off_and_one_run_goes_at_a_time() -> None:
    instance = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())
    assert instance["telemetry"] == {"enabled": False}
    assert instance["concurrency"]["runs"]["max_concurrent_runs"] == 1
    project = yaml.safe_load((REPOSITORY / "dbt_project" / "dbt_project.yml").read_text())
    assert project["flags"]["send_anonymous_usage_stats"] is False


@pytest.mark.parametrize("package", ["dagster", "dagster-webserver", "dagster-dbt", "dbt-core", "dbt-duckdb", "duckdb"])
def test_what_is_installed_is_what_is_locked(package: str) -> None:
    lock = (REPOSITORY / "requirements" / "run.txt").read_text()
    pinned = re.search(rf"^{package}==(\S+)", lock, re.MULTILINE)
    assert pinned is not None
    assert version(package) == pinned.group(1)


def test_lock_files_name_no_host_and_every_package_has_a_hash() -> None:
    for name in ("run.txt", "dev.txt"):
        text = (REPOSITORY / "requirements" / name).read_text()
        assert "://" not in text
        packages = re.findall(r"^[a-z0-9][\w.\-\[\],]*==.*$", text, re.MULTILINE)
        assert packages
        assert all(line.rstrip().endswith("\\") for line in packages)


@pytest.mark.parametrize(
    ("is_ended", "headline"), [(True, "The run was interrupted"), (False, "A step of the job failed")]
)
def test_a_run_that_a_signal_ends_says_so(is_ended: bool, headline: str) -> None:
    @dg.op
    def step() -> None:
        if is_ended:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        raise ValueError

    @dg.job
    def night() -> None:
        step()

    assert run._failure_of(night.execute_in_process(raise_on_error=False), "Look.").headline == headline
