"""A night that is killed leaves no trace that matters; readers and a second run beside a night are safe."""

from __future__ import annotations

import pytest
from nights import Corrected, Ended, Killed, assert_ended, assert_readers_see, is_linux, parquet_hashes

from pipelines import snapshots

pytestmark = pytest.mark.e2e


def test_killed_at_every_stage_and_run_again_gives_the_undisturbed_tables(killed: Killed, corrected: Corrected) -> None:
    """That readers saw only the old, whole snapshot after every kill is asserted while the home is being killed."""
    assert killed.stages == ["landing", "warehouse", "gate 1", "marts", "disclosure", "publish"]
    assert_ended(killed.ended, 0)
    assert_ended(corrected.ended, 0)
    assert killed.ended.manifest("published")["load_id"] == corrected.ended.manifest("published")["load_id"]
    assert parquet_hashes(killed.ended) == parquet_hashes(corrected.ended)
    assert parquet_hashes(killed.ended) != {}


def test_nothing_half_made_is_left(killed: Killed) -> None:
    home = killed.ended.home
    assert_readers_see(home, killed.ended.snapshot_id)
    for zone in ("published", "restricted"):
        assert [path.name for path in (home / zone).iterdir() if path.name.startswith(".tmp")] == []
    wholes = {zone: snapshots.list_snapshots(home / zone) for zone in ("published", "restricted")}
    assert wholes["published"] == [killed.old_snapshot, killed.ended.snapshot_id]
    # A snapshot that only restricted/ holds was never published: no rollback can name it, nobody may read it.
    assert wholes["restricted"] == wholes["published"]
    assert not (home / "landing" / ".scratch").exists()
    assert list((home / "warehouse").glob("building*")) == []
    assert list(home.rglob(".*.tmp")) == []


@pytest.mark.skipif(not is_linux(), reason="only Linux kills a process with its parent")
def test_dbt_dies_with_the_night(killed: Killed) -> None:
    assert killed.orphans == []


def test_the_second_of_two_runs_ends_at_once(corrected: Corrected) -> None:
    assert_ended(corrected.second_run, 5)
    assert "in progress" in corrected.second_run.err
    assert_ended(corrected.ended, 0)


def test_a_reader_of_the_old_snapshot_reads_on(clean: Ended, corrected: Corrected) -> None:
    """A DuckDB connection and an open Parquet file, held while the next snapshot was published."""
    reader = corrected.reader
    assert reader["after"] == reader["before"]
    assert reader["before"][-1] == clean.manifest("published")["load_id"]
    listed = clean.manifest("published")["files"]["indicator_by_group/indicator_by_group.parquet"]
    assert reader["parquet"] == listed["sha256"]
    assert corrected.ended.snapshot_id != corrected.old_snapshot
