"""Input that is missing or unreadable is a source that did not arrive; configuration that is wrong reads nothing."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from pathlib import Path

import pytest
from nights import AS_OF, Ended, Nights, assert_ended, assert_readers_see, differing, failed_checks, figures

from pipelines import snapshots

pytestmark = pytest.mark.e2e

SPOILED = {"schools", "students", "demographics", "enrollment"}


def test_required_files_that_cannot_be_read_on_the_first_night_stop_it(required_unreadable: Ended) -> None:
    """A directory, an empty file, a missing column and a binary file: exit 3, each named, nothing published."""
    night = required_unreadable
    assert_ended(night, 3)
    assert snapshots.current(night.home / "published") is None
    assert snapshots.list_snapshots(night.home / "published") == []
    assert night.status["outcome"] == "stopped_by_gate"
    assert night.status["current_snapshot"] is None
    checks = failed_checks(night)
    assert set(checks["required_source_on_time"]["source_ids"]) == SPOILED
    assert set(checks["source_readable"]["source_ids"]) == SPOILED


def test_required_files_that_cannot_be_read_later_leave_the_last_good_ones(
    clean: Ended, unreadable_later: Ended
) -> None:
    night = unreadable_later
    assert_ended(night, 0)
    assert set(failed_checks(night)["source_readable"]["source_ids"]) == SPOILED
    assert differing(figures(clean), figures(night)) == []
    for source in SPOILED:
        assert source in night.out, "the summary names what was held back"


# --- configuration: exit 2, nothing read ------------------------------------------------------------------------

NONSENSE = """\
district:
  id: 7
  time_zone: Mars/Olympus
sources:
  attendance:
    kind: telepathy
    files: a.csv
  enrollment:
    kind: delimited
    files: e.csv
    missing_rows: sometimes
    entities:
      no_such_entity:
        columns: {student_id: id}
thresholds:
  chronic_absence_percent: lots
unheard_of: true
"""


def test_a_configuration_of_nonsense_is_told_line_by_line(nights: Nights, tmp_path: Path) -> None:
    district = tmp_path / "district.yaml"
    district.write_text(NONSENSE, encoding="utf-8")
    night = nights.run(tmp_path / "home", district)
    assert_ended(night, 2)
    lines = [NONSENSE.splitlines().index(line) + 1 for line in NONSENSE.splitlines()]
    for text in ("Mars/Olympus", "kind: telepathy", "sometimes", "no_such_entity", "lots", "unheard_of"):
        number = next(n for n, line in zip(lines, NONSENSE.splitlines(), strict=True) if text in line)
        assert f"{number}" in night.err, f"line {number} ({text}) is not named in:\n{night.err}"
    assert night.out == ""
    assert not (tmp_path / "home").exists() or not any((tmp_path / "home" / "landing").glob("**/*.*"))


@pytest.mark.parametrize(
    "text", ["", "[]\n", "district: [\n", "\x00\x01", "a: &a [*a]\n", "district: {id: x}\ndistrict: {id: y}\n"]
)
def test_a_file_that_is_no_configuration(nights: Nights, tmp_path: Path, text: str) -> None:
    district = tmp_path / "district.yaml"
    district.write_text(text, encoding="utf-8")
    assert_ended(nights.run(tmp_path / "home", district), 2)


def test_a_configuration_that_is_not_there(nights: Nights, tmp_path: Path) -> None:
    assert_ended(nights.run(tmp_path / "home", tmp_path / "absent.yaml"), 2)
    assert_ended(nights.run(tmp_path / "home", tmp_path), 2)


def test_a_home_inside_a_checkout_is_refused(nights: Nights, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    night = nights.run(checkout / "deep" / "home", nights.sample("in_checkout"))
    assert_ended(night, 2)
    assert str(checkout) in night.err
    assert not (checkout / "deep").exists()


def test_a_home_inside_a_checkout_is_refused_behind_a_link(nights: Nights, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    (tmp_path / "link").symlink_to(checkout)
    assert_ended(nights.run(tmp_path / "link" / "home", nights.sample("behind_link")), 2)


def test_no_home_named(nights: Nights) -> None:
    night = nights.equity("run", "--district", nights.sample("homeless"))
    assert night.returncode == 2
    assert "EQUITY_HOME" in night.stderr


def test_a_home_that_cannot_be_written(nights: Nights, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file, where a folder should be")
    assert_ended(nights.run(tmp_path / "home", nights.sample("file_as_home")), 2)


@pytest.mark.parametrize("arguments", [["run", "--as-of", "27.03.2026"], ["run", "--nonsense"], ["no-such-command"]])
def test_a_command_line_of_nonsense(nights: Nights, arguments: list[str]) -> None:
    done = nights.equity(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr


# --- the key ----------------------------------------------------------------------------------------------------


def refused_for_its_key(nights: Nights, home: Path, before: Ended, env: dict[str, str]) -> Ended:
    night = nights.run(home, before.district, AS_OF, "--full", env=env)
    assert_ended(night, 2)
    assert_readers_see(home, before.snapshot_id)
    assert night.out == ""
    return night


def test_a_home_with_data_and_no_key(nights: Nights, clean: Ended, tmp_path: Path) -> None:
    home = _without_bulk(clean, tmp_path)
    refused_for_its_key(nights, home, clean, nights.environment(EQUITY_KEY_FILE=str(tmp_path / "lost.key")))
    assert not (tmp_path / "lost.key").exists(), "never a new key"
    environment = nights.environment()
    del environment["EQUITY_KEY_FILE"]
    refused_for_its_key(nights, home, clean, environment)
    assert not any((home / "keys").iterdir())


def test_a_home_with_data_and_another_key(nights: Nights, clean: Ended, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    other.write_text(secrets.token_hex(32))
    other.chmod(0o600)
    night = refused_for_its_key(
        nights, _without_bulk(clean, tmp_path), clean, nights.environment(EQUITY_KEY_FILE=str(other))
    )
    assert other.read_text() not in night.said


def test_a_key_that_others_may_read(nights: Nights, clean: Ended, tmp_path: Path) -> None:
    shared = tmp_path / "shared.key"
    shutil.copyfile(nights.key_file, shared)
    shared.chmod(0o644)
    refused_for_its_key(nights, _without_bulk(clean, tmp_path), clean, nights.environment(EQUITY_KEY_FILE=str(shared)))


def _without_bulk(night: Ended, tmp_path: Path) -> Path:
    """A copy of the home without what these tests never come to."""
    home = tmp_path / "home"
    shutil.copytree(night.home, home, symlinks=True, ignore=shutil.ignore_patterns("warehouse", "logs"))
    return home


def test_a_broken_pipe_is_no_traceback(nights: Nights, clean: Ended) -> None:
    """`equity snapshots | head -0`, as people type it."""
    import sys

    from nights import ROOT

    command = [sys.executable, "-m", "pipelines.cli", "snapshots", "--home", str(clean.home)]
    process = subprocess.Popen(
        [*command, "--district", str(clean.district)],
        cwd=ROOT,
        env=nights.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.wait()
    assert "Traceback" not in said
