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
    assert "unmapped attendance_event.category: code 'qx', 1 rows, first in line 3" in said
    assert "attendance_rate              lacks student_demographic" in said
    assert "enrollment                   lacks student_school_enrollment" in said
    assert "absent" in said


def test_no_id_is_shown(said: str) -> None:
    assert "CANARY" not in said
