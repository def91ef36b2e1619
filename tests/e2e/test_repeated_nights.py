"""The same input gives the same tables: again, in full, and in another home."""

from __future__ import annotations

import pytest
from nights import Ended, assert_ended, assert_readers_see, parquet_hashes

from pipelines import snapshots

pytestmark = pytest.mark.e2e


def test_a_night_without_anything_new_publishes_nothing(clean: Ended, repeated: Ended) -> None:
    assert_ended(repeated, 0)
    assert snapshots.list_snapshots(repeated.home / "published") == [clean.snapshot_id]
    assert snapshots.list_snapshots(repeated.home / "restricted") == [clean.snapshot_id]
    assert_readers_see(repeated.home, clean.snapshot_id)
    assert "Nothing new" in repeated.out
    assert repeated.status["outcome"] == "nothing_new"
    assert repeated.status["current_snapshot"] == clean.snapshot_id
    assert repeated.status["attempt"]["run_id"] != clean.status["attempt"]["run_id"]
    assert repeated.status["data_through"] == clean.status["data_through"]


def test_a_full_night_gives_the_same_files(clean: Ended, computed_again: Ended) -> None:
    assert_ended(computed_again, 0)
    assert computed_again.snapshot_id > clean.snapshot_id
    assert_readers_see(computed_again.home, computed_again.snapshot_id)
    assert computed_again.manifest("published")["load_id"] == clean.manifest("published")["load_id"]
    assert parquet_hashes(computed_again) == parquet_hashes(clean)


def test_another_home_with_the_same_key_gives_the_same_files(clean: Ended, elsewhere: Ended) -> None:
    assert_ended(elsewhere, 0)
    assert elsewhere.manifest("published")["load_id"] == clean.manifest("published")["load_id"]
    assert parquet_hashes(elsewhere) == parquet_hashes(clean)


def test_hashes_are_compared_over_every_table(clean: Ended) -> None:
    hashes = parquet_hashes(clean)
    tables = {f"published/{name}" for name in clean.manifest("published")["tables"]}
    tables |= {f"restricted/{name}" for name in clean.manifest("restricted")["tables"]}
    assert {name.rsplit("/", 1)[0] for name in hashes} == tables - {"published/snapshot", "restricted/snapshot"}


def test_the_key_stays_where_it_is(clean: Ended, nights: object) -> None:
    """The key of EQUITY_KEY_FILE is used, and no other is made."""
    assert list((clean.home / "keys").iterdir()) == []
