"""A snapshot that does not verify is shown to nobody and leaves nothing to roll back to."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines import release, snapshots
from pipelines.home import Home
from pipelines.outcome import StoppedByGateError
from pipelines.release import PublishedTable
from pipelines.snapshots import TableSpec
from pipelines.warehouse import building_path, connect


def test_a_snapshot_that_does_not_verify_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home.open(tmp_path / "home")
    with connect(building_path(home)) as con:
        for schema in ("restricted", "public"):
            con.execute(
                f"create schema {schema}; create table {schema}.figure as select 'l' as load_id, 1::bigint as n"
            )
    table = PublishedTable(TableSpec("figure", ("n",)), "public", (("load_id", "VARCHAR"), ("n", "BIGINT")), None)
    facts: dict[str, Any] = {"load_id": "l", "checks": {"expected": [], "results": {}}}
    monkeypatch.setattr(release, "published_tables", lambda: [table])
    monkeypatch.setattr(release, "_facts", lambda _: facts)
    monkeypatch.setattr(snapshots, "verify_in_fresh_process", lambda *_: ["figure has changed since it was written"])
    night: Any = SimpleNamespace(home=home, load_id="l", release={"snapshot_id": "20260327T000000Z-abcd"})
    with pytest.raises(StoppedByGateError, match="did not verify"):
        release.publish(night)
    assert snapshots.current(home.published) is None
    assert snapshots.list_snapshots(home.published) == []
    assert snapshots.list_snapshots(home.restricted) == []
