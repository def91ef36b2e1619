"""The nights that the tests look at. Each is run once a session, and only when a selected test asks for it."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import hand_district
import history_district
import period_district
import pytest
from nights import (
    AS_OF,
    NEXT_DAY,
    REAL_DISTRICTS,
    ROOT,
    SHARED,
    Corrected,
    Ended,
    Killed,
    Nights,
    assert_readers_see,
    children_of,
    is_linux,
    is_running,
)

RECIPES: dict[str, Callable[[Nights], Any]] = {}


def night(recipe: Callable[[Nights], Any]) -> Any:
    """Make a recipe a session fixture, known by name before the first test asks for it."""
    name = recipe.__name__
    RECIPES[name] = recipe

    @pytest.fixture(scope="session", name=name)
    def made(nights: Nights) -> Any:
        return nights.get(name)

    return made


@pytest.fixture(scope="session")
def nights(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    """All nights that this session's tests will ask for, under way from the first of them on."""
    # Two nights that start at once would both parse the dbt project if it changed since.
    subprocess.run([sys.executable, "-c", "from pipelines.dbt import ensure_manifest as e; e()"], cwd=ROOT, check=True)
    folder = tmp_path_factory.mktemp("nights")
    made = Nights(folder, RECIPES)
    wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    if "clean" in wanted:
        made.sample("clean")  # most nights wait for the clean one: nothing may keep it from starting first
    made.begin(name for name in RECIPES if name in wanted)
    yield made
    made.close()
    if not request.session.testsfailed:
        shutil.rmtree(folder, ignore_errors=True)  # about 50 MB a home


# --- the sample, whole ---------------------------------------------------------------------------------------


@night
def clean(nights: Nights) -> Ended:
    """The sample district without a fault."""
    return nights.run(nights.home("clean"), nights.sample("clean"))


# --- a corrected file, killed and undisturbed ----------------------------------------------------------------


def _corrected_district(nights: Nights, name: str) -> Path:
    """The clean district on the day after, the corrected attendance file dropped over the first."""
    district = nights.sample(name, plant=["corrected_file"])
    for later in (district.parent / "later").iterdir():
        shutil.copyfile(later, district.parent / "extracts" / later.name)
    return district


@night
def killed(nights: Nights) -> Killed:
    """Kill -9 at every stage, one after the other in one home, then a night in peace.

    The readers' view is asserted here, after each kill: nobody can look at it later.
    """
    home = nights.copy_of(nights.get("clean"), "killed")
    district = _corrected_district(nights, "killed")
    old = nights.get("clean").snapshot_id
    result = Killed(nights.get("clean"), old)

    def a_model_is_built() -> bool:
        newest = max((home / "logs" / "runs").iterdir(), key=lambda folder: folder.stat().st_mtime_ns)
        logs = list(newest.glob("dbt_*/output.txt"))
        return any("OK created" in log.read_text(encoding="utf-8", errors="ignore") for log in logs[-1:])

    def is_half_written() -> bool:
        """restricted/ is whole, published/ is not."""
        return any((home / "published").glob(".tmp-*"))

    places: list[tuple[str, Callable[[], bool] | None]] = [
        ("landing", None),
        ("warehouse", a_model_is_built if is_linux() else None),
        ("gate 1", None),
        ("marts", None),
        ("disclosure", None),
        ("publish", is_half_written),
    ]
    for stage, then in places:
        with nights.running(home, district, NEXT_DAY) as process:
            process.until_stage(stage)
            if stage == "marts" and is_linux():
                process.until(lambda: bool(children_of(process.process.pid)), "dbt's process")
            if then:
                process.until(then, f"the middle of {stage}")
            children = children_of(process.process.pid) if is_linux() else []
            process.kill()
        result.stages.append(stage)
        result.orphans += _still_running(children)
        assert_readers_see(home, old)
    result.ended = nights.run(home, district, NEXT_DAY)
    return result


def _still_running(process_ids: list[int]) -> list[int]:
    """Those that still run after more time than the kernel needs to deliver a signal."""
    for _ in range(200):
        if not any(map(is_running, process_ids)):
            return []
        time.sleep(0.05)
    return [process_id for process_id in process_ids if is_running(process_id)]


_READER = """
import json, sys
from pathlib import Path
import duckdb
folder = Path(sys.argv[1])
database = duckdb.connect(str(folder / "equity.duckdb"), read_only=True)
parquet = (folder / "indicator_by_group" / "indicator_by_group.parquet").open("rb")
start = parquet.read(4)
sql = "select count(*), sum(numerator), sum(denominator), min(load_id) from indicator_by_group"
before = database.execute(sql).fetchone()
print("reading", flush=True)
sys.stdin.readline()
after = database.execute(sql).fetchone()
whole = start + parquet.read()
import io, hashlib
print(json.dumps({"before": before, "after": after, "parquet": hashlib.sha256(whole).hexdigest()}), flush=True)
"""


@night
def corrected(nights: Nights) -> Corrected:
    home = nights.copy_of(nights.get("clean"), "corrected")
    district = _corrected_district(nights, "corrected")
    old = nights.get("clean").snapshot_id
    reader = subprocess.Popen(
        [sys.executable, "-c", _READER, str(home / "published" / old)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    try:
        assert reader.stdout.readline() == "reading\n"
        with nights.running(home, district, NEXT_DAY) as process:
            process.until_stage("landing")
            second = nights.run_beside(home, district, NEXT_DAY)
            ended = process.ended()
        answer, _ = reader.communicate("go on\n", timeout=120)
    finally:
        reader.kill()
        reader.wait()
    return Corrected(ended, old, json.loads(answer), second)


@night
def corrected_afresh(nights: Nights) -> Ended:
    """The corrected file alone, in a home that never saw the first."""
    return nights.run(nights.home("corrected_afresh"), _corrected_district(nights, "corrected_afresh"), NEXT_DAY)


# --- the same night again ------------------------------------------------------------------------------------


@night
def repeated(nights: Nights) -> Ended:
    """The clean night once more, in its own home."""
    before = nights.get("clean")
    return nights.run(nights.copy_of(before, "repeated"), before.district)


@night
def computed_again(nights: Nights) -> Ended:
    """The clean night once more with --full."""
    before = nights.get("clean")
    return nights.run(nights.copy_of(before, "computed_again"), before.district, AS_OF, "--full")


@night
def elsewhere(nights: Nights) -> Ended:
    """The same files under another path, into another home, with the same key."""
    return nights.run(nights.home("elsewhere"), nights.sample("elsewhere"))


# --- planted faults ------------------------------------------------------------------------------------------


@night
def stopped_school(nights: Nights) -> Ended:
    return nights.run(nights.home("stopped_school"), nights.sample("stopped_school", ["school_stops_attendance"]))


@night
def late(nights: Nights) -> Ended:
    """Three weeks after the clean night, in its home: no attendance has come since."""
    end = date(2026, 4, 17)
    home = nights.copy_of(nights.get("clean"), "late")
    return nights.run(home, nights.sample("late", ["late_source"], end), end)


@night
def leavers(nights: Nights) -> Ended:
    """The night after the clean one: enrollment is now declared active-only, and leavers are gone from it."""
    home = nights.copy_of(nights.get("clean"), "leavers")
    district = nights.sample("leavers", ["leavers_dropped"])
    shutil.copyfile(district.parent / "later" / "enrollment.csv", district.parent / "extracts" / "enrollment.csv")
    return nights.run(home, district, NEXT_DAY)


@night
def mixed_faults(nights: Nights) -> Ended:
    """Faults that must not touch each other's figures, in one night.

    Planted: attendance twice, an unknown attendance code at one school, ragged incidents. By hand, in sources
    that are not required: a directory, a binary file, an empty file and a missing column.
    """
    district = nights.sample("mixed_faults", ["file_twice", "unknown_code", "malformed_file"])
    extracts = district.parent / "extracts"
    spoil_with_directory(extracts / "discipline_students.csv")
    spoil_with_bytes(extracts / "discipline_actions.csv")
    (extracts / "survey_waves.csv").write_bytes(b"")
    spoil_by_dropping(extracts / "survey_responses_2026.csv", "item_id")
    return nights.run(nights.home("mixed_faults"), district)


@night
def required_unreadable(nights: Nights) -> Ended:
    """The first night of a district four of whose required files cannot be read."""
    district = nights.sample("required_unreadable")
    extracts = district.parent / "extracts"
    spoil_with_directory(extracts / "schools.csv")
    spoil_with_bytes(extracts / "enrollment.csv")
    (extracts / "students.csv").write_bytes(b"")
    spoil_by_dropping(extracts / "demographics.csv", "student_id")
    return nights.run(nights.home("required_unreadable"), district)


@night
def unreadable_later(nights: Nights) -> Ended:
    """The same four files, the night after a good one: what came then is still used."""
    home = nights.copy_of(nights.get("clean"), "unreadable_later")
    district = nights.sample("unreadable_later")
    extracts = district.parent / "extracts"
    spoil_with_directory(extracts / "schools.csv")
    spoil_with_bytes(extracts / "enrollment.csv")
    (extracts / "students.csv").write_bytes(b"")
    spoil_by_dropping(extracts / "demographics.csv", "student_id")
    return nights.run(home, district, NEXT_DAY)


def spoil_with_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()
    (file / "inside.csv").write_text("a,b\n1,2\n")


def spoil_with_bytes(file: Path) -> None:
    """The beginning of a spreadsheet's container, which somebody renamed to .csv."""
    file.write_bytes(b"PK\x03\x04\x14\x00\x06\x00" + bytes(range(256)) * 40)


def spoil_by_dropping(file: Path, column: str) -> None:
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    kept = [name for name in rows[0] if name != column]
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, kept, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


# --- real input ----------------------------------------------------------------------------------------------


@night
def daybreak(nights: Nights) -> Ended | None:
    if not (SHARED / "data" / "edfi_xml_daybreak").is_dir():
        return None
    return nights.run(nights.home("daybreak"), REAL_DISTRICTS / "daybreak" / "district.yaml", date(2011, 12, 18))


@night
def grand_bend(nights: Nights) -> Ended | None:
    """The sample of Data Standard 5.2, whose enrollment interchange was never sent."""
    if not (SHARED / "data" / "edfi_xml_grand_bend").is_dir():
        return None
    return nights.run(nights.home("grand_bend"), REAL_DISTRICTS / "grand_bend" / "district.yaml", date(2022, 6, 1))


@night
def oea(nights: Nights) -> Ended | None:
    if not (SHARED / "data" / "oea").is_dir():
        return None
    return nights.run(nights.home("oea"), REAL_DISTRICTS / "oea" / "district.yaml", date(2022, 1, 31))


# --- a district full of secrets ------------------------------------------------------------------------------


@night
def hand_counted(nights: Nights) -> Ended:
    """The hand-counted district, in which a name and an id stand wherever an extract can hold them."""
    district = hand_district.write(nights.folder / "districts" / "hand")
    return nights.run(nights.home("hand"), district, hand_district.AS_OF)


# --- attendance by period --------------------------------------------------------------------------------------


@night
def bells(nights: Nights) -> Ended:
    """Seven students, marked by period: in every one at one school, in what they missed at the other."""
    district = period_district.write(nights.folder / "districts" / "bells")
    return nights.run(nights.home("bells"), district, period_district.AS_OF)


# --- five years, and what comes after them ------------------------------------------------------------------------


@night
def five_years(nights: Nights) -> Ended:
    """Five past years of five shapes, in one command."""
    district = history_district.write(nights.folder / "districts" / "five_years")
    return nights.run(nights.home("five_years"), district, history_district.AS_OF)


@night
def pre_enrolled(nights: Nights) -> Ended:
    """Two days later, with all that is known of next year."""
    before = nights.get("five_years")
    home = nights.copy_of(before, "pre_enrolled")
    history_district.write_next_year(before.district.parent)
    return nights.run(home, before.district, history_district.SPRING)


@night
def rolled_over(nights: Nights) -> Ended:
    """The same files when the school year has turned."""
    before = nights.get("pre_enrolled")
    return nights.run(nights.copy_of(before, "rolled_over"), before.district, history_district.SUMMER)


@night
def found_out_late(nights: Nights) -> Ended:
    """Two absences that were not known, and meal statuses that are not what they were."""
    before = nights.get("rolled_over")
    folder = before.district.parent
    history_district.write_attendance(folder, 2026, absent_too=history_district.LATE)
    history_district.write_demographics(folder, range(1, 25), more=[f"new{n}" for n in range(5)])
    return nights.run(nights.copy_of(before, "found_out_late"), before.district, history_district.CORRECTED)
