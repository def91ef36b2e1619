"""Stage 6: disclosure control, then one snapshot, verified before readers are pointed at it."""

from __future__ import annotations

import dagster as dg

from pipelines import release
from pipelines.assets.night_resource import NightResource


@dg.asset(name="disclosure_control", group_name="publish", deps=["gate_2"])
def disclosure_control(night: NightResource) -> dg.MaterializeResult[None]:
    """Hide what would tell of 1 to 9 students, and try to get it back."""
    run = night.current()
    with run.stage("disclosure", "Hiding small numbers and attacking the result"):
        summary = release.prepare(run)
        hidden = summary.hidden_primary + summary.hidden_secondary + summary.ranges
        run.progress.note(f"{summary.shown:,} figures shown, {hidden:,} hidden or given as a range, nothing recovered")
    return dg.MaterializeResult(metadata={"shown": summary.shown, "hidden": hidden})


@dg.asset(name="published", group_name="publish", deps=["disclosure_control"])
def published(night: NightResource) -> dg.MaterializeResult[None]:
    """Write restricted and public tables, verify both in a fresh process, move the pointer."""
    run = night.current()
    with run.stage("publish", "Writing, verifying and pointing readers at the snapshot"):
        snapshot_id = release.publish(run)
    return dg.MaterializeResult(metadata={"snapshot_id": snapshot_id})
