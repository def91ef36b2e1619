"""Stage 1: files as received, and their rows in contract columns with keyed ids."""

from __future__ import annotations

import os
from collections.abc import Iterator

import dagster as dg

from pipelines import warehouse
from pipelines.assets.night_resource import NightResource
from pipelines.child import WAREHOUSE_FOLDER
from pipelines.landing import land
from pipelines.load import is_published, load_id


@dg.multi_asset(
    name="land",
    specs=[
        dg.AssetSpec("landing", group_name="landing", description="Every received file, kept by its hash."),
        dg.AssetSpec(
            "raw",
            deps=["landing"],
            skippable=True,
            group_name="landing",
            description="Contract columns as text, ids keyed. Not made again when nothing is new.",
        ),
    ],
)
def land_sources(night: NightResource) -> Iterator[dg.MaterializeResult[None]]:
    """Land every source; go on only when tonight's load is not the published one."""
    run = night.current()
    with run.stage("landing", "Landing the district's files"):
        landing = land(run.district, run.home, as_of=run.as_of, say=run.progress.note)
        run.landing = landing
        for state in landing.sources:
            if state.message:
                run.progress.note(f"{state.source_id}: {state.status}: {state.message} {state.remedy}")
        run.load_id = load_id(
            run.district,
            run.crosswalks,
            input_hash=landing.input_hash,
            arrivals=[(state.source_id, str(state.status in ("new", "unchanged"))) for state in landing.sources],
            as_of=run.as_of,
        )
        run.is_nothing_new = not run.full and is_published(run.home, run.load_id)
    yield dg.MaterializeResult(asset_key="landing", metadata={"files": len({f.file_id for f in landing.files})})
    if run.is_nothing_new:
        run.progress.note("nothing new: this load is published already")
        return
    with run.stage("raw", "Preparing tonight's warehouse"):
        warehouse.prepare(run.home, run.district, landing, run.crosswalks, load_id=run.load_id, as_of=run.as_of)
        # dbt's process starts in this folder; see pipelines/child.py.
        os.environ[WAREHOUSE_FOLDER] = str(run.home.warehouse)
    yield dg.MaterializeResult(
        asset_key="raw", metadata={"rows": sum(file.rows_accepted for file in landing.files if file.is_live)}
    )
