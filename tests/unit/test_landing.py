"""Landing: files kept, mapped and accounted for; nothing lost, nothing twice, nothing shown."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines import raw_files
from pipelines.config import DistrictFile, Settings
from pipelines.home import AnotherRunInProgress, Home
from pipelines.keys import pseudonym
from pipelines.landing import Landing, LiveFile, land

MONDAY, TUESDAY, WEDNESDAY = date(2025, 9, 1), date(2025, 9, 2), date(2025, 9, 3)
KEY = bytes(range(32))
ATTENDANCE = {"columns": {"student_id": "sid", "school_id": "school", "date": "day", "category": "code"}}
HEADER = "sid,student_name,school,day,code\n"


@pytest.fixture(autouse=True)
def one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    path.write_text(KEY.hex())
    path.chmod(0o600)
    monkeypatch.setenv("EQUITY_KEY_FILE", str(path))


class District:
    """A folder of exports and a home."""

    def __init__(self, folder: Path, home: Path | None = None, **source: Any) -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.home = Home.open(home or folder / "home")
        self.said: list[str] = []
        self.sources: dict[str, Any] = {}
        self.thresholds: dict[str, int] = {}
        self.add("attendance", files=["att*.csv"], entities={"attendance_event": ATTENDANCE}, **source)

    def add(self, name: str, **source: Any) -> None:
        at_once = {"stable_seconds": 0}
        self.sources[name] = {"kind": "delimited", "missing_rows": "full", "whole": at_once, **source}

    def put(self, name: str, content: str | bytes) -> None:
        (self.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    def land(self, as_of: date) -> Landing:
        about = {"id": "d", "name": "D", "contact": "x@example.org", "time_zone": "America/Chicago"}
        settings = {"district": about, "sources": self.sources, "thresholds": self.thresholds}
        file = DistrictFile(path=self.folder / "district.yaml", settings=Settings.model_validate(settings))
        landing = land(file, self.home, as_of=as_of, say=self.said.append)
        for one in landing.files:
            assert one.rows_read == one.rows_accepted + one.rows_refused + one.rows_filtered + one.rows_collapsed
            assert (one.refused_path is not None) == (one.rows_refused > 0)
        return landing


def marks(*rows: tuple[str, str, str], school: str = "10") -> str:
    return HEADER + "".join(f"{sid},Canary Name,{school},{day},{code}\n" for sid, day, code in rows)


def many(count: int, first: int = 0, day: str = "2025-09-01") -> str:
    return marks(*((f"S{i}", day, "A") for i in range(first, first + count)))


def rows_of(file: LiveFile | None, columns: str = "*") -> list[Any]:
    assert file is not None
    return duckdb.sql(f"SELECT {columns} FROM read_parquet('{file.raw_path}') ORDER BY line").fetchall()


def live(landing: Landing) -> list[LiveFile]:
    return [file for file in landing.files if file.is_live]


def test_raw_holds_contract_columns_as_text_with_lineage_and_no_id(tmp_path: Path) -> None:
    district = District(tmp_path / "d", student_system="sis")
    content = marks((" S1 ", "2025-09-01", "A"), ("S2", "2025-09-02", "P"))
    district.put("att.csv", content)
    landing = district.land(WEDNESDAY)
    (file,) = landing.files
    described = duckdb.sql(f"DESCRIBE SELECT * FROM read_parquet('{file.raw_path}')").fetchall()
    assert [(row[0], row[1]) for row in described] == [
        ("student_key", "BIGINT"),
        ("school_id", "VARCHAR"),
        ("date", "VARCHAR"),
        ("category", "VARCHAR"),
        ("calendar_id", "VARCHAR"),
        ("period", "VARCHAR"),
        ("fraction_absent", "VARCHAR"),
        ("source_id", "VARCHAR"),
        ("student_system", "VARCHAR"),
        ("file_id", "VARCHAR"),
        ("line", "BIGINT"),
    ]
    sha = hashlib.sha256(content.encode()).hexdigest()
    assert rows_of(file) == [
        (pseudonym(KEY, "student", "S1"), "10", "2025-09-01", "A", None, None, None, "attendance", "sis", sha, 2),
        (pseudonym(KEY, "student", "S2"), "10", "2025-09-02", "P", None, None, None, "attendance", "sis", sha, 3),
    ]
    assert (file.file_id, file.file_name, file.is_live, file.outcome) == (sha, "att.csv", True, "accepted")
    assert (file.window_lo, file.window_hi, file.delivered_on) == (MONDAY, TUESDAY, WEDNESDAY)
    stored = district.home.landing / "files" / sha[:2] / sha
    assert stored.read_bytes() == content.encode()
    for path in (stored, file.raw_path):
        assert path.stat().st_mode & 0o777 == 0o600
    assert not (district.home.landing / ".scratch").exists()


def test_the_same_files_the_next_night_change_nothing(tmp_path: Path) -> None:
    district = District(tmp_path / "d")
    district.put("att.csv", many(3))
    first = district.land(MONDAY)
    before = {path: path.stat().st_mtime_ns for path in district.home.root.rglob("*") if path.is_file()}
    second = district.land(TUESDAY)
    third = district.land(TUESDAY)
    assert [one.sources[0].status for one in (first, second, third)] == ["new", "unchanged", "unchanged"]
    assert second.sources[0].last_received == MONDAY
    assert second.files == first.files
    assert second == third
    after = {path: path.stat().st_mtime_ns for path in district.home.root.rglob("*") if path.is_file()}
    assert after == before


def test_refused_filtered_and_collapsed_rows_are_all_accounted_for(tmp_path: Path) -> None:
    district = District(tmp_path / "d")
    entity_map = {**ATTENDANCE, "where": {"school": ["10"]}, "distinct": True}
    district.add("attendance", files="att.csv", entities={"attendance_event": entity_map})
    good = ("S1", "2025-09-01", "A")
    content = marks(good, good, ("S2", "9/9/2025", "A"), ("", "2025-09-01", "A")) + "ragged\n"
    district.put("att.csv", content + marks(good, school="99").removeprefix(HEADER))
    (file,) = district.land(MONDAY).files
    assert (file.rows_read, file.rows_accepted, file.rows_collapsed, file.rows_refused, file.rows_filtered) == (
        6,
        1,
        1,
        3,
        1,
    )
    assert [row[0] for row in rows_of(file, "line")] == [2]
    assert file.refused_path is not None
    assert file.refused_path.is_relative_to(district.home.landing)
    refused = duckdb.read_parquet(str(file.refused_path))
    assert refused.columns == [
        *("source_id", "file_id", "entity", "line", "column_name"),
        *("reason", "remedy", "refused_value", "text"),
    ]
    rows = refused.order("line").fetchall()
    assert [(row[3], row[4], row[5], row[7]) for row in rows] == [
        (4, "date", "unreadable_date", "9/9/9999"),
        (5, "student_id", "required_value_missing", None),
        (6, None, "too_few_fields", None),
    ]
    assert json.loads(rows[0][8])["student_name"] == "Canary Name"
    assert rows[2][8] == "ragged"


def test_two_entities_of_one_file_each_have_their_own_account(tmp_path: Path) -> None:
    district = District(tmp_path / "d")
    students = {"columns": {"student_id": "sid"}, "distinct": True}
    district.add("attendance", files="att.csv", entities={"attendance_event": ATTENDANCE, "student": students})
    district.put("att.csv", marks(("S1", "2025-09-01", "A"), ("S1", "2025-09-02", "A"), ("S1", "", "A")))
    found = {file.entity: file for file in district.land(MONDAY).files}
    assert (found["attendance_event"].rows_accepted, found["attendance_event"].rows_refused) == (2, 1)
    assert (found["student"].rows_accepted, found["student"].rows_collapsed) == (1, 2)
    assert found["attendance_event"].file_id == found["student"].file_id


def test_a_corrected_full_file_replaces_the_first(tmp_path: Path) -> None:
    district = District(tmp_path / "d")
    district.put("att.csv", many(30))
    first = district.land(MONDAY)
    district.put("att.csv", many(31))
    second = district.land(TUESDAY)
    assert [(file.rows_accepted, file.is_live, file.delivery_no) for file in second.files] == [
        (30, False, 1),
        (31, True, 2),
    ]
    assert first.input_hash != second.input_hash


def test_a_full_delivery_that_removes_too_much_is_held_until_accepted(tmp_path: Path) -> None:
    district = District(tmp_path / "d")
    district.put("att.csv", many(100))
    district.land(MONDAY)
    district.put("att.csv", many(95))
    assert district.land(MONDAY).sources[0].status == "new"  # 5 of 100 rows are no more than 5 %
    district.put("att.csv", many(90))
    held = district.land(TUESDAY)
    (state,) = held.sources
    assert (state.status, state.last_received) == ("held", MONDAY)
    assert [file.rows_accepted for file in live(held)] == [95]
    assert {(file.rows_accepted, file.outcome) for file in held.files if not file.is_live} == {
        (100, "accepted"),
        (90, "held"),
    }
    assert "5 %" in state.message
    assert district.land(WEDNESDAY).sources[0].status == "held"
    (accept,) = [
        word.strip(".") for word in state.remedy.split() if len(word.strip(".")) == 12 and word[0] in "0123456789abcdef"
    ]
    district.sources["attendance"]["accept_removals"] = [accept]
    taken = district.land(WEDNESDAY)
    assert taken.sources[0].status == "unchanged"
    assert [file.rows_accepted for file in live(taken)] == [90]
    district.sources["attendance"]["accept_removals"] = []
    assert [file.rows_accepted for file in live(district.land(WEDNESDAY))] == [90]  # what was accepted stays so


def test_a_window_that_empties_its_dates_is_held(tmp_path: Path) -> None:
    district = District(tmp_path / "d", missing_rows="window")
    days = ["2025-09-01", "2025-09-02", "2025-09-03"]
    district.put("att.csv", marks(*((f"S{i}", day, "A") for i in range(20) for day in days)))
    district.land(MONDAY)
    district.put("att.csv", marks(*((f"S{i}", days[2], "P") for i in range(19))))
    second = district.land(TUESDAY)
    assert second.sources[0].status == "new"  # 1 of 60 rows goes
    assert [(file.delivery_no, file.window_lo, file.window_hi) for file in live(second)] == [
        (1, MONDAY, WEDNESDAY),
        (2, WEDNESDAY, WEDNESDAY),
    ]
    district.put("att.csv", marks(("S0", days[0], "A"), ("S0", days[1], "A")))
    assert district.land(WEDNESDAY).sources[0].status == "held"
    district.sources["attendance"]["missing_rows"] = "append"
    assert district.land(WEDNESDAY).sources[0].status == "new"  # nothing is removed by appending


def test_a_file_twice_counts_once_and_is_told(tmp_path: Path) -> None:
    district = District(tmp_path / "d", missing_rows="append")
    district.put("att1.csv", many(3))
    first = district.land(MONDAY)
    district.put("att2.csv", many(3))
    second = district.land(TUESDAY)
    assert live(second) == live(first)
    assert "att2.csv" in second.sources[0].message


def spoil(district: District, how: str) -> None:
    path = district.folder / "att.csv"
    if how == "absent":
        path.unlink(missing_ok=True)
    elif how == "directory":
        path.unlink(missing_ok=True)
        path.mkdir()
    elif how == "dangling link":
        path.unlink(missing_ok=True)
        path.symlink_to(district.folder / "nowhere")
    else:
        contents = {
            "empty": b"",
            "missing column": b"sid,student_name,school,code\n1,n,2,3\n",
            "NUL bytes": bytes(1000),
            "wholly refused": marks(("S1", "never", "A")).encode(),
        }
        path.write_bytes(contents[how])


FAULTS = {
    "absent": "absent",
    "directory": "absent",
    "dangling link": "unreadable",
    "empty": "unreadable",
    "missing column": "unreadable",
    "NUL bytes": "unreadable",
    "wholly refused": "unreadable",
}


@pytest.mark.parametrize("how", list(FAULTS))
def test_a_bad_file_is_a_source_that_did_not_arrive(tmp_path: Path, how: str) -> None:
    district = District(tmp_path / "d")
    district.sources["attendance"]["files"] = ["att.csv"]
    spoil(district, how)
    first = district.land(MONDAY)
    assert (first.sources[0].status, first.sources[0].last_received) == (FAULTS[how], None)
    assert first.sources[0].message
    assert first.sources[0].remedy
    assert live(first) == []


@pytest.mark.parametrize("how", list(FAULTS))
def test_after_a_bad_file_the_last_good_one_stays_in_use_and_a_good_one_follows(tmp_path: Path, how: str) -> None:
    district = District(tmp_path / "d")
    district.sources["attendance"]["files"] = ["att.csv"]
    district.put("att.csv", many(30))
    first = district.land(MONDAY)
    spoil(district, how)
    second = district.land(TUESDAY)
    assert (second.sources[0].status, second.sources[0].last_received) == (FAULTS[how], MONDAY)
    assert live(second) == live(first)
    path = district.folder / "att.csv"
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    district.put("att.csv", many(31))
    assert [file.rows_accepted for file in live(district.land(WEDNESDAY))] == [31]


def test_no_part_of_a_full_delivery_may_be_missing(tmp_path: Path) -> None:
    district = District(tmp_path / "d")
    district.sources["attendance"]["files"] = ["a.csv", "b.csv"]
    district.put("a.csv", many(3))
    assert district.land(MONDAY).sources[0].status == "absent"
    district.sources["attendance"]["missing_rows"] = "append"
    (state,) = district.land(MONDAY).sources
    assert (state.status, "b.csv" in state.message) == ("new", True)


def test_a_changed_map_makes_every_file_anew_from_landing(tmp_path: Path) -> None:
    district = District(tmp_path / "d", missing_rows="append")
    district.put("att1.csv", many(2).replace("2025-09-01", "09/01/2025"))
    refused = district.land(MONDAY)
    assert refused.sources[0].status == "unreadable"
    (district.folder / "att1.csv").unlink()
    district.put("att2.csv", many(1, first=5).replace("2025-09-01", "09/02/2025"))
    district.land(TUESDAY)
    district.sources["attendance"]["date_formats"] = ["%m/%d/%Y"]
    mended = district.land(TUESDAY)
    assert [(file.file_name, file.rows_accepted) for file in live(mended)] == [("att1.csv", 2), ("att2.csv", 1)]
    assert mended.sources[0].status == "new"


def test_a_raw_file_that_was_lost_is_made_again(tmp_path: Path) -> None:
    district = District(tmp_path / "d")
    district.put("att.csv", many(3))
    first = district.land(MONDAY)
    content = rows_of(first.files[0])
    first.files[0].raw_path.unlink()
    assert district.land(MONDAY) == first
    assert rows_of(first.files[0]) == content


def test_changed_programs_make_raw_files_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    district = District(tmp_path / "d")
    district.put("att.csv", many(3))
    first = district.land(MONDAY)
    monkeypatch.setattr(raw_files, "_program_hash", lambda _kind: "another program")
    second = district.land(MONDAY)
    assert second.files[0].raw_path != first.files[0].raw_path
    assert rows_of(second.files[0]) == rows_of(first.files[0])


def test_a_past_night_is_repeated_as_it_was(tmp_path: Path) -> None:
    district = District(tmp_path / "d")
    district.put("att.csv", many(30))
    monday = district.land(MONDAY)
    district.put("att.csv", many(31))
    district.land(TUESDAY)
    district.put("att.csv", many(32))
    again = district.land(MONDAY)
    assert (again.input_hash, again.files) == (monday.input_hash, monday.files)
    assert [file.rows_accepted for file in live(district.land(TUESDAY))] == [32]


SURVEY = {
    "columns": {"survey_id": "id"},
    "constants": {
        "survey_name": "Belonging",
        "universe": "student",
        "opened": "2025-09-01",
        "closed": "2025-09-30",
        "is_anonymous": "yes",
    },
}
ANSWERS = {
    "columns": {
        "survey_id": "wave",
        "response_id": "r",
        "student_id": "sid",
        "item_id": "q",
        "construct": "q",
        "answer": "a",
    }
}


def test_answers_to_an_anonymous_survey_carry_no_key_even_from_another_source(tmp_path: Path) -> None:
    district = District(tmp_path / "d")
    district.sources = {}
    district.add("answers", files="answers.csv", entities={"survey_response": ANSWERS})
    district.add("waves", files="waves.csv", entities={"survey": SURVEY})
    district.put("waves.csv", "id\nw1\n")
    district.put("answers.csv", "wave,r,sid,q,a\nw1,1,S1,belonging,4\nw1,2,,belonging,4\nw2,3,S1,belonging,4\n")
    landing = district.land(MONDAY)
    answers = next(file for file in landing.files if file.entity == "survey_response")
    assert (answers.rows_accepted, answers.rows_refused) == (2, 1)
    assert rows_of(answers, "survey_id, student_key") == [("w1", None), ("w2", pseudonym(KEY, "student", "S1"))]
    district.sources["waves"]["entities"]["survey"] = {
        **SURVEY,
        "constants": {**SURVEY["constants"], "is_anonymous": "no"},
    }
    named = next(file for file in district.land(MONDAY).files if file.entity == "survey_response")
    assert named.rows_accepted == 3


def test_no_cell_is_ever_said_or_noted_outside_landing_files(tmp_path: Path) -> None:
    district = District(tmp_path / "d")
    canary = "CANARY7"
    district.put("att.csv", HEADER + f"{canary},{canary},{canary},{canary},{canary}\n" + many(2).removeprefix(HEADER))
    first = district.land(MONDAY)
    district.put("att.csv", HEADER + f'{canary},"{canary},{canary}\n')
    second = district.land(TUESDAY)
    assert second.sources[0].status == "unreadable"
    told = " ".join([*district.said, *(f"{s.message} {s.remedy}" for s in (*first.sources, *second.sources))])
    assert canary not in told
    text_lives_in = (district.home.landing / "files", district.home.landing / "refused")
    for path in district.home.root.rglob("*"):
        if path.is_file() and not any(path.is_relative_to(folder) for folder in text_lives_in):
            assert canary.encode() not in path.read_bytes(), path


def test_raw_files_hold_equal_rows_each_with_its_line(tmp_path: Path) -> None:
    content = HEADER + "".join(f"S{i * 7919 % 50_000},n,{i % 9},2025-09-{i % 28 + 1:02},A\n" for i in range(300_000))
    made = []
    for name in ("one", "two"):
        district = District(tmp_path / name)
        district.put("att.csv", content)
        (file,) = district.land(MONDAY).files
        made.append((file.raw_path.name, rows_of(file)))
    assert made[0] == made[1]
    assert [row[-1] for row in made[0][1]] == list(range(2, 300_002))
    (row,) = {row for row in made[0][1] if row[-1] == 2 + 7}
    assert (row[0], *row[1:4]) == (pseudonym(bytes(range(32)), "student", "S5433"), "7", "2025-09-08", "A")


def _land_and_die(folder: Path, steps: int) -> None:
    """Land, and be killed at the nth time that something takes its final name."""
    district = kill_district(folder)
    renamed = 0
    replace = Path.replace

    def counted(self: Path, target: Path) -> Path:
        nonlocal renamed
        renamed += 1
        if renamed == steps:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)

    Path.replace = counted  # type: ignore[method-assign]
    district.land(MONDAY)


def kill_district(folder: Path) -> District:
    district = District(folder)
    students = {"columns": {"student_id": "sid"}, "distinct": True}
    district.add("attendance", files="att*.csv", entities={"attendance_event": ATTENDANCE, "student": students})
    district.put("att1.csv", many(5) + "ragged\n")
    district.put("att2.csv", many(5, first=100))
    return district


def state_of(home: Home) -> dict[str, bytes]:
    left_out = ("run.lock",)
    return {
        str(path.relative_to(home.root)): path.read_bytes()
        for path in sorted(home.root.rglob("*"))
        if path.is_file() and path.name not in left_out
    }


def test_a_run_killed_anywhere_and_run_again_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    whole = kill_district(tmp_path / "whole")
    expected = whole.land(MONDAY)
    context = multiprocessing.get_context("fork")
    died = 0
    for steps in range(1, 60):
        folder = tmp_path / f"killed{steps}"
        child = context.Process(target=_land_and_die, args=(folder, steps))
        child.start()
        child.join()
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        died += 1
        again = kill_district(folder)
        landing = again.land(MONDAY)
        assert (landing.input_hash, landing.sources) == (expected.input_hash, expected.sources)
        assert state_of(again.home) == state_of(whole.home)
    assert died > 8
    assert child.exitcode == 0


def _hold(root: Path, ready: Any, done: Any) -> None:
    with Home.open(root).lock():
        ready.set()
        done.wait(30)


def test_the_lock_keeps_other_processes_out_and_lets_this_one_in_again(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(home.root, ready, done))
    other.start()
    assert ready.wait(30)
    with pytest.raises(AnotherRunInProgress), home.lock():
        pass
    done.set()
    other.join()
    with home.lock(), home.lock():
        pass
    with home.lock():
        pass


def test_a_home_is_private(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    for folder in (home.root, home.landing, home.raw, home.warehouse, home.restricted, home.keys, home.logs):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert home.published.stat().st_mode & 0o777 == 0o755


def test_a_file_beyond_the_engines_memory_holds_its_source_back_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    district = District(tmp_path)
    district.put("att.csv", HEADER + "1,Name,A,2025-09-01,P\n")

    def too_much(*_: object) -> None:
        raise duckdb.OutOfMemoryException("cell value")

    with monkeypatch.context() as small:
        small.setattr(raw_files, "reader_for", lambda _: too_much)
        (state,) = district.land(MONDAY).sources
        assert (state.status, "too wide" in state.message, "cell value" in state.message) == ("unreadable", True, False)
    (state,) = district.land(MONDAY).sources
    assert (state.status, state.message) == ("new", "")
