"""Everything that Dagster knows of: the stages as assets, one job, one nightly schedule."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from pipelines.assets.gates import gate_1, gate_2
from pipelines.assets.landing import land_sources
from pipelines.assets.models import dbt_resource, mart_models, warehouse_models
from pipelines.assets.night_resource import NightResource
from pipelines.assets.publish import disclosure_control, published
from pipelines.config import Settings
from pipelines.district_file import load


def _settings() -> Settings | None:
    """The district that EQUITY_DISTRICT names, for the schedule's clock; none in tests and tools."""
    named = os.environ.get("EQUITY_DISTRICT")
    return load(Path(named)).settings if named else None


def nightly_schedule(settings: Settings | None) -> dg.ScheduleDefinition:
    """Every night at the district's own time; between 01:00 and 03:00 clocks change, so no schedule stands there."""
    at, zone = (settings.schedule.at, settings.district.time_zone) if settings else ("04:30", "UTC")
    hour, minute = at.split(":")
    return dg.ScheduleDefinition(
        name="nightly",
        job=nightly,
        cron_schedule=f"{int(minute)} {int(hour)} * * *",
        execution_timezone=zone,
        default_status=dg.DefaultScheduleStatus.RUNNING if settings else dg.DefaultScheduleStatus.STOPPED,
    )


nightly = dg.define_asset_job("nightly", selection=dg.AssetSelection.all(), executor_def=dg.in_process_executor)

defs = dg.Definitions(
    assets=[land_sources, warehouse_models, gate_1, mart_models, gate_2, disclosure_control, published],
    jobs=[nightly],
    schedules=[nightly_schedule(_settings())],
    resources={"dbt": dbt_resource(), "night": NightResource()},
    executor=dg.in_process_executor,
)
