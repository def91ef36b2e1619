"""A new key keeps history joined, and a rotation killed anywhere leaves one of the two keys in force."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from datetime import date
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from rich.console import Console
from test_landing import District, many, marks

from pipelines import key_rotation
from pipelines.cli import equity
from pipelines.home import AnotherRunInProgress
from pipelines.key_rotation import rotate, rotate_and_tell
from pipelines.keys import KeyFile, KeyProblem, Rotation, pseudonym
from pipelines.landing import Landing
from pipelines.outcome import ConfigurationError

MONDAY, TUESDAY, WEDNESDAY = date(2025, 9, 1), date(2025, 9, 2), date(2025, 9, 3)
STUDENTS = [f"S{i}" for i in range(30)]


@pytest.fixture(params=[False])
def district(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> District:
    """Two nights of attendance with a refused row, under a key of the home's own or one named by EQUITY_KEY_FILE."""
    monkeypatch.delenv("EQUITY_KEY_FILE", raising=False)
    if request.param:
        monkeypatch.setenv("EQUITY_KEY_FILE", str(tmp_path / "elsewhere.key"))
    made = District(tmp_path / "d", missing_rows="window")
    land_two_nights(made)
    return made


def land_two_nights(district: District) -> Landing:
    district.put("att1.csv", many(30) + "S1,n,10,not a day,A\n")
    district.land(MONDAY)
    district.put("att2.csv", marks(*((student, "2025-09-02", "P") for student in STUDENTS)))
    return district.land(TUESDAY)


def facts(landing: Landing, home_key: bytes) -> list[tuple[object, ...]]:
    """Every accepted row of the files that speak, its key turned back into the id, and every account."""
    ids = {pseudonym(home_key, "student", student): student for student in STUDENTS}
    rows: list[tuple[object, ...]] = []
    for file in landing.files:
        rows.append((file.file_name, file.delivery_no, file.is_live, file.rows_read, file.rows_refused))
        read = duckdb.sql(
            f"SELECT student_key, * EXCLUDE (student_key) FROM read_parquet('{file.raw_path}')"
        ).fetchall()
        rows += sorted((ids[key], *rest) for key, *rest in read)
    return rows


def stale(district: District) -> list[Path]:
    return [*district.home.raw.glob(".*"), *district.home.landing.glob(".retired")]


@pytest.mark.parametrize("district", [False, True], indirect=True, ids=["in the home", "EQUITY_KEY_FILE"])
def test_history_is_joined_under_the_new_key_and_the_old_files_go(district: District) -> None:
    before = district.land(TUESDAY)
    old = KeyFile.load_or_create(district.home)
    expected = facts(before, old.key)
    old_paths = {path for file in before.files for path in (file.raw_path, file.refused_path) if path}
    done = rotate(district.home, ["attendance"])
    new = KeyFile.load_or_create(district.home)
    assert new.key != old.key
    assert (done.retired, done.made, done.stored_files) == (old.fingerprint, new.fingerprint, 2)
    assert done.retired_path.read_text().strip() == old.key.hex()
    assert done.retired_path.name == f"{old.path.name}.{old.fingerprint}.retired"
    assert done.retired_path.stat().st_mode & 0o777 == new.path.stat().st_mode & 0o777 == 0o600
    after = district.land(WEDNESDAY)
    assert facts(after, new.key) == expected
    assert after.input_hash != before.input_hash
    assert not [path for path in old_paths if path.exists()]
    assert stale(district) == []
    assert Rotation.pending(district.home) is None
    assert any("new key" in said for said in district.said)
    assert district.land(WEDNESDAY).input_hash == after.input_hash


def test_a_second_rotation_before_any_landing_still_joins(district: District) -> None:
    expected = facts(district.land(TUESDAY), KeyFile.load_or_create(district.home).key)
    first, second = (rotate(district.home, ["attendance"]) for _ in range(2))
    assert first.made == second.retired
    assert first.retired_path.exists()
    assert second.retired_path.exists()
    new = KeyFile.load_or_create(district.home)
    assert facts(district.land(WEDNESDAY), new.key) == expected
    assert stale(district) == []


def test_a_missing_stored_file_refuses_the_rotation(district: District) -> None:
    key = KeyFile.load_or_create(district.home)
    state = {path: path.read_bytes() for path in district.home.root.rglob("*") if path.is_file()}
    stored = next((district.home.landing / "files").rglob("*/*"))
    stored.unlink()
    with pytest.raises(KeyProblem, match=r"attendance: att\d\.csv, received on 2025-09-0\d") as raised:
        rotate(district.home, ["attendance"])
    assert "backup" in raised.value.remedy
    assert KeyFile.load_or_create(district.home).key == key.key
    assert {p: p.read_bytes() for p in district.home.root.rglob("*") if p.is_file()} == {
        path: content for path, content in state.items() if path != stored
    }


def test_without_a_key_nothing_is_made(district: District) -> None:
    KeyFile.load_or_create(district.home).path.unlink()
    with pytest.raises(KeyProblem, match="no key"):
        rotate(district.home, ["attendance"])
    with pytest.raises(ConfigurationError, match="no key"):
        rotate_and_tell(district.home, ["attendance"], Console(quiet=True))


def test_the_retired_key_is_another_key_from_then_on(district: District) -> None:
    done = rotate(district.home, ["attendance"])
    district.land(WEDNESDAY)
    done.path.write_bytes(done.retired_path.read_bytes())
    with pytest.raises(KeyProblem, match="not the one"):
        KeyFile.load_or_create(district.home)


def _rotate_and_die(district: District, steps: int) -> None:
    """Rotate, and be killed at the nth time that something takes its final name."""
    renamed = 0
    replace = Path.replace

    def counted(self: Path, target: Path) -> Path:
        nonlocal renamed
        renamed += 1
        if renamed == steps:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)

    Path.replace = counted  # type: ignore[method-assign]
    rotate(district.home, ["attendance"])
    district.land(WEDNESDAY)


def test_killed_anywhere_one_of_the_two_keys_works_and_history_is_whole(district: District, tmp_path: Path) -> None:
    old = KeyFile.load_or_create(district.home)
    expected = facts(district.land(TUESDAY), old.key)
    context = multiprocessing.get_context("fork")
    in_force = []
    for steps in range(1, 9):
        shutil.copytree(district.folder, tmp_path / f"killed{steps}")
        killed = District(tmp_path / f"killed{steps}", missing_rows="window")
        child = context.Process(target=_rotate_and_die, args=(killed, steps))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        key = KeyFile.load_or_create(killed.home)
        in_force.append("old" if key.key == old.key else "new")
        assert facts(killed.land(WEDNESDAY), key.key) == expected
        assert stale(killed) == []
        assert Rotation.pending(killed.home) is None
        assert not list(killed.home.keys.glob(".*"))
        rotate(killed.home, ["attendance"])
        assert KeyFile.load_or_create(killed.home).key not in (old.key, key.key)
    # Retired copy, note, key, fingerprint; then the landing. Until the third takes its name the old key stays.
    assert in_force == ["old"] * 3 + ["new"] * 5


def test_another_run_keeps_a_rotation_out(district: District) -> None:
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()

    def hold() -> None:
        with district.home.lock():
            ready.set()
            done.wait(30)

    holder = context.Process(target=hold)
    holder.start()
    assert ready.wait(30)
    try:
        with pytest.raises(AnotherRunInProgress):
            rotate(district.home, ["attendance"])
    finally:
        done.set()
        holder.join()


def test_what_is_told_holds_no_key(district: District) -> None:
    console = Console(record=True, width=200)
    old = KeyFile.load_or_create(district.home)
    rotate_and_tell(district.home, ["attendance"], console)
    new = KeyFile.load_or_create(district.home)
    key_rotation.show_key(district.home, console)
    told = console.export_text()
    assert new.fingerprint in told
    assert old.fingerprint in told
    assert ".retired" in told
    assert old.key.hex() not in told
    assert new.key.hex() not in told


def test_the_commands_are_there() -> None:
    shown = CliRunner().invoke(equity, ["key", "--help"]).output
    assert "rotate" in shown
    assert "show" in shown
