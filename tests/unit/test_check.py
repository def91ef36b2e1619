"""`equity check`: what tonight's input would do, and nothing kept of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from pipelines.check import check
from pipelines.start import configuration

YAML = """\
district: {id: d, name: Example, contact: a@b.example, time_zone: America/Chicago}
home: /nowhere/needed
calendar:
  - {school_year: 2026, first_day: 2025-09-01, last_day: 2026-05-28}
sources:
  marks:
    kind: delimited
    files: marks.csv
    missing_rows: window
    attendance_records: every_day
    entities:
      attendance_event:
        columns: {student_id: id, school_id: school, date: day, category: code}
  gone:
    kind: delimited
    files: nothing_here.csv
    missing_rows: full
    entities:
      student_school_enrollment:
        columns: {student_id: id, school_id: school, entry_date: day}
"""


@pytest.fixture
def said(tmp_path: Path) -> str:
    (tmp_path / "district.yaml").write_text(YAML)
    names = "".join(f"CANARY{n},s1,2025-09-03,Zz name {n}\n" for n in range(3))
    (tmp_path / "marks.csv").write_text(
        "id,school,day,code\nCANARY1,s1,2025-09-02,Present\nCANARY2,s1,2025-09-02,QX\nCANARY3,s1,never,Present\n"
        + names
    )
    district, codes = configuration(tmp_path / "district.yaml")
    console = Console(record=True, width=200, quiet=False, file=(tmp_path / "said.txt").open("w"))
    assert check(district, codes, None, date(2025, 9, 10), console) is False
    assert sorted(path.name for path in tmp_path.iterdir()) == ["district.yaml", "marks.csv", "said.txt"]
    return console.export_text()


def test_it_names_refused_rows_unknown_codes_and_what_indicators_lack(said: str) -> None:
    assert "5 rows of 6, 1 refused" in said
    assert "unreadable_date in date, first in line 4" in said
    assert line_of(said, "qx").split()[:6] == ["qx", "unmapped", "1", "1", "2025-09-02", "2025-09-02"]
    assert "first in line 3, school s1" in line_of(said, "qx")
    assert line_of(said, "present").split() == ["present", "present", "1", "1", "2025-09-02", "2025-09-02"]
    assert "What the unmapped codes mean is to be said in crosswalks/attendance_category.csv" in said
    withheld = "meanings of category in 4 of 5 rows (withheld at a school from 1 %)"
    assert f"attendance_rate              lacks student_demographic (groups will be unknown), {withheld}" in said
    assert "enrollment                   lacks student_school_enrollment" in said
    assert "absent" in said


def test_no_id_is_shown(said: str) -> None:
    assert "CANARY" not in said


# --- codes: where, how often, since when --------------------------------------------------------------------------


def line_of(said: str, code: str) -> str:
    """The one line of the tables that shows this code, from the code on."""
    [line] = [line for line in said.splitlines() if f" {code} " in line]
    return line[line.index(f" {code} ") + 1 :]


SOURCES = """\
district: {id: d, name: Example, contact: a@b.example, time_zone: America/Chicago}
home: /nowhere/needed
calendar:
  - {school_year: 2026, first_day: 2025-09-01, last_day: 2026-05-28}
sources:
  marks:
    kind: delimited
    files: marks.csv
    missing_rows: window
    attendance_records: every_day
    entities:
      attendance_event:
        columns: {student_id: id, school_id: school, date: day, category: code}
"""


def check_of(folder: Path, marks: list[str], crosswalk: str = "", yaml: str = SOURCES, **options: bool) -> str:
    (folder / "district.yaml").write_text(yaml)
    (folder / "marks.csv").write_text("id,school,day,code\n" + "".join(f"{mark}\n" for mark in marks))
    if crosswalk:
        (folder / "crosswalks").mkdir()
        (folder / "crosswalks" / "own.csv").write_text("crosswalk,code,value,school_id,school_year\n" + crosswalk)
    district, codes = configuration(folder / "district.yaml")
    console = Console(record=True, width=200, file=(folder / "said.txt").open("w"))
    assert check(district, codes, None, date(2025, 9, 10), console, **options)
    return console.export_text()


def test_a_code_of_one_school_and_year_is_unmapped_in_the_others(tmp_path: Path) -> None:
    marks = ["1,s1,2025-07-01,X", "2,s1,2025-09-02,x", "3,s1,2025-06-30,X", "4,s2,2025-09-03,X", "5,s3,2025-09-04,X"]
    said = check_of(tmp_path, marks, "attendance_category,X,tardy,s1,2026\n")
    unmapped, mapped = [line.split() for line in said.splitlines() if " x " in line]
    assert unmapped[1:7] == ["x", "unmapped", "3", "3", "2025-06-30", "2025-09-04"]
    assert unmapped[7:] == ["first", "in", "line", "4,", "school", "s1,", "s2,", "s3"]
    assert mapped == ["x", "tardy", "2", "1", "2025-07-01", "2025-09-02"]


def test_schools_are_named_while_they_are_few(tmp_path: Path) -> None:
    said = check_of(tmp_path, [f"{n},s{n},2025-09-02,Q" for n in range(4)])
    assert "first in line 2" in line_of(said, "q")
    assert "school" not in line_of(said, "q")


MAPPED = ["Present", "Tardy", "Partial", "Absence", "Unexcused", "Excused", "Early departure"]


def test_frequent_codes_are_listed_and_all_of_them_on_demand(tmp_path: Path) -> None:
    marks = [f"{n}{times},s1,2025-09-02,{code}" for n, code in enumerate(MAPPED) for times in range(9 - n)]
    folders = [tmp_path / "some", tmp_path / "all"]
    for folder in folders:
        folder.mkdir()
    some = check_of(folders[0], [*marks, "x,s1,2025-09-02,Q"])
    assert line_of(some, "q").split()[1] == "unmapped"
    assert "excused " not in some.replace("unexcused", "").replace("absent_excused", "")
    assert line_of(some, "2 more").split() == ["2", "more", "all", "mapped", "7"]
    every = check_of(folders[1], [*marks, "x,s1,2025-09-02,Q"], all_codes=True)
    assert line_of(every, "early departure").split()[2:5] == ["partial", "3", "1"]
    assert "more" not in every


@pytest.mark.parametrize(
    ("different", "times", "is_listed"), [(10, 1, True), (11, 1, False), (11, 2, True), (60, 2, True), (61, 2, False)]
)
def test_names_in_a_code_column_are_counted_and_not_shown(
    tmp_path: Path, different: int, times: int, is_listed: bool
) -> None:
    marks = [f"{n}-{time},s1,2025-09-02,Zz name {n}" for n in range(different) for time in range(times)]
    said = check_of(tmp_path, [*marks, "x,s1,2025-09-02,Present"])
    assert ("zz name" in said) == is_listed
    assert ("too many different values to be codes" in said) != is_listed
    if not is_listed:
        line = line_of(said, "codes")
        assert line.split()[:4] == ["codes", "unmapped", str(different * times), "1"]
        assert "first in line 2: is this the column of the code?" in line
        assert "crosswalks/" not in said
    assert line_of(said, "present")


def test_a_code_that_looks_like_markup_is_shown_as_it_is(tmp_path: Path) -> None:
    assert line_of(check_of(tmp_path, ["1,s1,2025-09-02,[red]"]), "[red]").split()[1] == "unmapped"


def test_a_participant_is_read_in_the_codes_of_the_incident(tmp_path: Path) -> None:
    yaml = (
        SOURCES
        + """\
  incidents:
    kind: delimited
    files: incidents.csv
    missing_rows: full
    entities:
      discipline_incident:
        columns: {incident_id: no, school_id: school, date: day, behavior: what}
  participants:
    kind: delimited
    files: participants.csv
    missing_rows: full
    entities:
      discipline_incident_student:
        columns: {incident_id: no, student_id: id, school_id: school, behavior: what, participation: part}
"""
    )
    (tmp_path / "incidents.csv").write_text("no,school,day,what\n7,s1,2025-06-30,\n8,s1,2025-07-01,\n")
    (tmp_path / "participants.csv").write_text("no,id,school,what,part\n7,1,,D,w\n8,2,s1,D,w\n9,3,s1,D,w\n")
    crosswalk = "behavior,D,subjective,,2025\nbehavior,D,objective,,2026\nparticipation,W,witness,s1,\n"
    said = check_of(tmp_path, ["1,s1,2025-09-02,Present"], crosswalk, yaml)
    meanings = {tuple(line.split()[-4:-1]) for line in said.splitlines() if " d " in line and "unmapped" not in line}
    assert meanings == {("d", "subjective", "1"), ("d", "objective", "1")}
    assert [line for line in said.splitlines() if " d " in line and " unmapped " in line]
    assert line_of(said, "w").split() == ["w", "witness", "3", "1"]


def test_an_unknown_code_of_rows_without_a_school_is_told(tmp_path: Path) -> None:
    """Sex has no school: an internal error once stood here."""
    yaml = (
        SOURCES
        + """\
  people:
    kind: delimited
    files: people.csv
    missing_rows: full
    entities:
      student_demographic:
        columns: {student_id: id, sex: sex}
"""
    )
    (tmp_path / "people.csv").write_text("id,sex\n1,Q\n")
    said = check_of(tmp_path, ["1,s1,2025-09-02,Present"], yaml=yaml)
    assert line_of(said, "q").split()[:3] == ["q", "unmapped", "1"]
