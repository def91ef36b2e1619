"""A district of seven students that takes attendance by period, small enough to work every figure by hand.

Twelve session days, January 5 to 20 of 2026; the 16th is a half day. What is missed stands in POSITIVE and NEGATIVE;
what that comes to, in test_period_attendance.py.
"""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path

AS_OF = date(2026, 1, 26)
HALF_DAY = date(2026, 1, 16)
DAYS = [day for n in range(16) if (day := date(2026, 1, 5) + timedelta(days=n)).weekday() < 5]

DISTRICT = """\
district:
  id: bells
  name: District of Bells
  contact: data@bells.example
  time_zone: America/Chicago
calendar:
  - school_year: 2026
    first_day: 2026-01-05
    last_day: 2026-01-20
    half_days: [2026-01-16]
    minutes: 360
  - school_year: 2026
    schools: [neg]
    grades: ["12"]              # through on the 16th
    first_day: 2026-01-05
    last_day: 2026-01-16
    half_days: [2026-01-16]
sources:
  schools:
    kind: delimited
    files: schools.csv
    missing_rows: full
    entities: {school: {columns: {school_id: school, school_name: name}}}
  enrollment:
    kind: delimited
    files: enrollment.csv
    missing_rows: full
    entities:
      student_school_enrollment:
        columns: {student_id: id, school_id: school, entry_date: from, grade: grade, share_of_day: share}
  bells:
    kind: delimited
    files: bells.csv
    missing_rows: full
    entities:
      bell_schedule:
        columns: {school_id: school, start_date: from, end_date: to, period: period, minutes: minutes}
  everybody:
    kind: delimited
    files: positive.csv
    missing_rows: window
    attendance_records: every_day
    entities:
      attendance_event:
        columns: {student_id: id, school_id: school, date: day, period: period, category: mark}
  exceptions:
    kind: delimited
    files: negative.csv
    missing_rows: window
    attendance_records: exceptions
    entities:
      attendance_event:
        columns: {student_id: id, school_id: school, date: day, period: period, category: mark}
  taken:
    kind: delimited
    files: taken.csv
    missing_rows: window
    entities: {attendance_taken: {columns: {school_id: school, date: day}}}
"""

#: Student, school, grade, share of the day.
STUDENTS = [
    *(("p1", "pos", "09", ""), ("p2", "pos", "09", ""), ("p3", "pos", "09", "")),
    *(("n1", "neg", "11", ""), ("n2", "neg", "12", ""), ("n3", "neg", "11", ""), ("n4", "neg", "11", "0.5")),
]

#: Six periods of 50 minutes for the district; four of 90 at neg, two of them on the half day.
BELLS = [
    *(("all", "", "", str(period), "50") for period in range(1, 7)),
    *(("neg", "2025-08-01", "", str(period), "90") for period in range(1, 5)),
    *(("neg", "2026-01-16", "2026-01-16", str(period), "90") for period in (1, 2)),
]

#: At pos everybody is marked in every period. Student: day of January: periods missed.
POSITIVE = {
    "p1": {5: "123456", 6: "123456", 7: "12"},
    "p2": {8: "123"},
    "p3": {16: "23"},
}
#: Periods in which p3's teachers took attendance on the 9th, and everybody's on the half day.
HELD = {("p3", 9): "12", **{(student, 16): "123" for student in ("p1", "p2", "p3")}}

#: At neg only what is missed is sent. The 20th is no day of n2's any more.
NEGATIVE = {
    "n1": {5: "12", 6: "1", 16: "1"},
    "n2": {7: "1234", 20: "1234"},
    "n3": {8: "1234"},
    "n4": {9: "1"},
}


def write(folder: Path) -> Path:
    """Write the district's files into `folder`: its district.yaml."""
    (folder / "crosswalks").mkdir(parents=True)
    (folder / "district.yaml").write_text(DISTRICT, encoding="utf-8")
    codes = {"P": "present", "A": "absent_unexcused", "T": "tardy"}
    _write(
        folder / "crosswalks" / "attendance.csv",
        ["crosswalk", "code", "value"],
        [["attendance_category", code, value] for code, value in codes.items()],
    )
    _write(folder / "schools.csv", ["school", "name"], [["pos", "Everybody School"], ["neg", "Exceptions School"]])
    _write(
        folder / "enrollment.csv",
        ["id", "school", "from", "grade", "share"],
        [[student, school, "2025-08-01", grade, share] for student, school, grade, share in STUDENTS],
    )
    _write(folder / "bells.csv", ["school", "from", "to", "period", "minutes"], [list(row) for row in BELLS])
    header = ["id", "school", "day", "period", "mark"]
    _write(
        folder / "positive.csv",
        header,
        [
            [student, "pos", day.isoformat(), period, "A" if period in missed.get(day.day, "") else "P"]
            for student, missed in POSITIVE.items()
            for day in DAYS
            for period in HELD.get((student, day.day), "123456")
        ],
    )
    _write(
        folder / "negative.csv",
        header,
        [
            [student, "neg", date(2026, 1, day).isoformat(), period, "A"]
            for student, missed in NEGATIVE.items()
            for day, periods in missed.items()
            for period in periods
        ]
        # The office says of n3's whole day what the teachers did not know.
        + [["n3", "neg", "2026-01-08", "", "T"]],
    )
    _write(folder / "taken.csv", ["school", "day"], [["neg", day.isoformat()] for day in DAYS])
    return folder / "district.yaml"


def _write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header)
        table.writerows(rows)
