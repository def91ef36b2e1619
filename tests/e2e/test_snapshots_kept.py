"""Two snapshots in a home: verify, roll back, withdraw, by function and by command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from nights import Corrected, Ended, Nights, assert_readers_see, figures

from pipelines import snapshots

pytestmark = pytest.mark.e2e


@pytest.fixture
def home(corrected: Corrected, tmp_path: Path) -> Path:
    """A copy of the home with two snapshots, to point and to break as a test likes."""
    copy = tmp_path / "home"
    shutil.copytree(
        corrected.ended.home, copy, symlinks=True, ignore=shutil.ignore_patterns("landing", "raw", "warehouse", "runs")
    )
    return copy


def test_both_snapshots_verify(home: Path, corrected: Corrected) -> None:
    assert snapshots.list_snapshots(home / "published") == [corrected.old_snapshot, corrected.ended.snapshot_id]
    for snapshot_id in snapshots.list_snapshots(home / "published"):
        for zone in ("published", "restricted"):
            assert snapshots.verify_in_fresh_process(home / zone, snapshot_id) == []


def test_rollback_shows_the_old_figures(home: Path, clean: Ended, corrected: Corrected) -> None:
    back = snapshots.rollback(home / "published", home / "restricted")
    assert back == corrected.old_snapshot
    assert_readers_see(home, corrected.old_snapshot)
    now = Ended(clean.district, home, 0, "", "")
    assert figures(now) == figures(clean)
    assert (home / "published" / "current").resolve() == (home / "published" / back).resolve()


def test_a_snapshot_that_changed_on_disk_is_not_shown_again(home: Path, corrected: Corrected) -> None:
    folder = home / "published" / corrected.old_snapshot
    file = folder / "indicator_by_group" / "indicator_by_group.parquet"
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(snapshots.SnapshotRefusedError):
        snapshots.rollback(home / "published", home / "restricted")
    assert snapshots.current(home / "published") == corrected.ended.snapshot_id


def test_withdrawing_the_current_snapshot_goes_back_first(home: Path, corrected: Corrected) -> None:
    snapshots.withdraw(home / "published", home / "restricted", corrected.ended.snapshot_id)
    assert_readers_see(home, corrected.old_snapshot)
    for zone in ("published", "restricted"):
        assert snapshots.list_snapshots(home / zone) == [corrected.old_snapshot]


# --- the commands -----------------------------------------------------------------------------------------------


def test_commands_over_two_snapshots(nights: Nights, home: Path, corrected: Corrected) -> None:
    old, new = corrected.old_snapshot, corrected.ended.snapshot_id
    district = corrected.ended.district

    def equity(*arguments: str) -> str:
        done = nights.equity(*arguments, "--home", home, "--district", district)
        assert "Traceback" not in done.stdout + done.stderr
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    status = json.loads(equity("status", "--json"))
    assert status["current_snapshot"] == new
    assert new in equity("status")
    listed = equity("snapshots").splitlines()
    assert [line.split()[0] for line in listed if line.strip()] == [old, new]
    equity("verify")
    equity("verify", old)
    equity("rollback")
    assert_readers_see(home, old)
    equity("rollback", new)
    assert_readers_see(home, new)
    equity("withdraw", old)
    assert snapshots.list_snapshots(home / "published") == [new]


def test_commands_refuse_without_a_traceback(nights: Nights, home: Path, corrected: Corrected) -> None:
    old = corrected.old_snapshot
    manifest = home / "published" / old / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text("{}", encoding="utf-8")
    for arguments in (
        ["verify", old],
        ["rollback", old],
        ["verify", "no-such-snapshot"],
        ["rollback", "20200101T000000Z-0a1b2c3d"],
        ["withdraw", "20200101T000000Z-0a1b2c3d"],
        ["explain", "no_such_indicator"],
        ["explain", "attendance_rate", "--organization", "no such school"],
    ):
        done = nights.equity(*arguments, "--home", home, "--district", corrected.ended.district)
        assert done.returncode not in (0, 1), f"{arguments}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr
    assert snapshots.current(home / "published") == corrected.ended.snapshot_id


def test_explain_leads_back_to_definition_and_files(nights: Nights, clean: Ended) -> None:
    def explain(*more: str) -> str:
        done = nights.equity("explain", *more, "--home", clean.home, "--district", clean.district)
        assert done.returncode == 0, done.stderr
        return done.stdout

    whole = explain("attendance_rate")
    with clean.public() as con:
        shown = con.execute(
            "select display_value from indicator_by_group where organization_id = 'sample' and student_group_id = 'all'"
            " and indicator_id = 'attendance_rate' and period_type = 'year_to_date'"
        ).fetchall()[0][0]
        hidden = con.execute(
            "select student_group_id from indicator_by_group where organization_id = 'sample' and status = 'suppressed'"
            " and indicator_id = 'chronic_absence_local' and period_type = 'year_to_date' order by 1 limit 1"
        ).fetchall()[0][0]
    assert shown in whole
    assert "attendance_daily" in explain("attendance_rate", "--restricted")
    with clean.restricted() as con:
        secret = con.execute(
            "select cast(numerator as bigint) || ' of ' || cast(denominator as bigint) from indicator_by_group"
            " where organization_id = 'sample'"
            " and indicator_id = 'chronic_absence_local' and period_type = 'year_to_date' and student_group_id = ?",
            [hidden],
        ).fetchall()[0][0]
    answer = explain("chronic_absence_local", "--group", hidden)
    assert "suppressed" in answer
    assert secret not in answer
    assert secret in explain("chronic_absence_local", "--group", hidden, "--restricted"), "it would be seen if shown"


def test_quarantine_tells_causes_without_text(nights: Nights, mixed_faults: Ended) -> None:
    done = nights.equity("quarantine", "--home", mixed_faults.home, "--district", mixed_faults.district)
    assert done.returncode == 0
    assert "discipline_incidents" in done.stdout
    assert "cut off he" not in done.stdout
