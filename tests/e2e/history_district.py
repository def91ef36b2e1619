"""A district with five years to load, schools that changed, and a next year that is known before this one ends.

Fifty students, twelve session days of June in each of the school years 2022 to 2026. Each year's attendance came from
another system: other columns, dates and codes. What must come of it stands in CHRONIC.

`south` was `S-old` until 2024. `west` became a part of `north` in July 2025, and its own id went on being sent.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

YEARS = range(2022, 2027)
#: After the last session day of 2026 (June 16), before and after the school year turns.
AS_OF = date(2026, 6, 23)
SPRING = date(2026, 6, 25)
SUMMER = date(2026, 7, 2)
CORRECTED = date(2026, 7, 3)
MERGED_ON = date(2025, 7, 1)

#: Students 1 to 20 at north, 21 to 40 at south, 41 to 50 at west.
STUDENTS = range(1, 51)
#: School and year: students absent on two of the twelve days, which is chronic. They are the school's first ones.
CHRONIC = {
    **{("north", year): year - 2020 for year in YEARS},
    **{("south", year): 2 * (year - 2020) for year in YEARS},
    **{("west", year): 1 for year in YEARS},
}
#: A student who was absent on no day, and turns out to have been on two: the third chronic absence at west's.
LATE = 49

_CONTRACT = {"student_id": "student", "school_id": "school", "date": "day", "category": "mark"}
#: Year: column names, date format, code of an absence, code of presence.
_SHAPES = {
    2022: (("pupil", "bldg", "dt", "cd"), "%m/%d/%Y", "U", "P"),
    2023: (("id", "school", "day", "mark"), "%Y-%m-%d", "1", "0"),
    2024: (("id", "school", "day", "mark"), "%Y-%m-%d", "0", "1"),
    2025: (("StudentNumber", "Site", "AttDate", "AttCode"), "%d.%m.%Y", "ABS", "HERE"),
    2026: (("student", "school", "day", "mark"), "%Y-%m-%d", "A", "P"),
}

_HEAD = """\
district:
  id: five
  name: District of Five Years
  contact: data@five.example
  time_zone: America/Chicago
calendar:
"""
_SOURCES = """\
sources:
  schools:
    kind: delimited
    files: schools.csv
    missing_rows: full
    expected: year
    entities: {school: {columns: {school_id: school, school_name: name, opened: opened}}}
  successions:
    kind: delimited
    files: successions.csv
    missing_rows: full
    expected: year
    entities:
      school_succession:
        columns: {school_id: old, successor_school_id: new, kind: kind, effective_date: from}
  enrollment:
    kind: delimited
    files: enrollment.csv
    missing_rows: full
    entities:
      student_school_enrollment:
        columns: {student_id: id, school_id: school, entry_date: from, exit_date: to, grade: grade}
  demographics:
    kind: delimited
    files: demographics.csv
    missing_rows: full
    entities:
      student_demographic:
        columns: {student_id: id, sex: sex, economic: meals}
"""


def session_days(year: int) -> list[date]:
    """The first twelve weekdays of June."""
    june = (date(year, 6, 1) + timedelta(days=n) for n in range(20))
    return [day for day in june if day.weekday() < 5][:12]


def home_of(number: int) -> str:
    return "north" if number <= 20 else "south" if number <= 40 else "west"


def sent_as(number: int, year: int) -> str:
    """The school id under which the year's file names the student."""
    return "S-old" if home_of(number) == "south" and year < 2024 else home_of(number)


def is_absent(number: int, year: int, day: date) -> bool:
    school = home_of(number)
    first = {"north": 1, "south": 21, "west": 41}[school]
    return number - first < CHRONIC[school, year] and day in session_days(year)[:2]


def write(folder: Path) -> Path:
    """Write the district's files into `folder`: its district.yaml."""
    folder.mkdir(parents=True)
    (folder / "crosswalks").mkdir()
    text = _HEAD
    for year in YEARS:
        days = session_days(year)
        text += f"  - {{school_year: {year}, first_day: {days[0]}, last_day: {days[-1]}}}\n"
    # Next year's calendar is known as early as next year's enrollments.
    text += "  - {school_year: 2027, first_day: 2026-08-20, last_day: 2027-06-10}\n" + _SOURCES
    for year, (names, form, _, _) in _SHAPES.items():
        columns = ", ".join(f"{one}: {name}" for one, name in zip(_CONTRACT, names, strict=True))
        text += f"""\
  attendance_{year}:
    kind: delimited
    files: attendance_{year}.csv
    missing_rows: window
    expected: {"once" if year < 2026 else "year"}
    attendance_records: every_day
    date_formats: ["{form}"]
    entities: {{attendance_event: {{columns: {{{columns}}}}}}}
"""
    (folder / "district.yaml").write_text(text, encoding="utf-8")
    codes = [
        ["attendance_category", code, meaning, year]
        for year, (_, _, absent, present) in _SHAPES.items()
        for code, meaning in ((absent, "absent_unexcused"), (present, "present"))
    ]
    _table(folder / "crosswalks" / "codes.csv", ["crosswalk", "code", "value", "school_year"], codes)
    write_schools(folder)
    _table(
        folder / "successions.csv",
        ["old", "new", "kind", "from"],
        [["S-old", "south", "renumbered", "2023-07-01"], ["west", "north", "merged", MERGED_ON.isoformat()]],
    )
    write_enrollment(folder)
    write_demographics(folder)
    for year in YEARS:
        write_attendance(folder, year)
    return folder / "district.yaml"


def write_schools(folder: Path, more: Iterable[list[str]] = ()) -> None:
    rows = [["north", "North School", ""], ["south", "South School", ""], ["west", "West School", ""], *more]
    _table(folder / "schools.csv", ["school", "name", "opened"], rows)


def write_enrollment(folder: Path, more: Iterable[list[str]] = ()) -> None:
    """One spell a student since 2021; those at south's old id were moved to its new one by hand."""
    rows = [
        *([f"s{n}", home_of(n), "2021-08-20", "", "05"] for n in STUDENTS if home_of(n) != "south"),
        *([f"s{n}", "S-old", "2021-08-20", "2023-06-30", "05"] for n in STUDENTS if home_of(n) == "south"),
        *([f"s{n}", "south", "2023-07-01", "", "05"] for n in STUDENTS if home_of(n) == "south"),
        *more,
    ]
    _table(folder / "enrollment.csv", ["id", "school", "from", "to", "grade"], rows)


def write_demographics(folder: Path, disadvantaged: Iterable[int] = range(1, 26), more: Iterable[str] = ()) -> None:
    poor = set(disadvantaged)
    rows = [[f"s{n}", "F" if n % 2 else "M", "Y" if n in poor else "N"] for n in STUDENTS]
    _table(folder / "demographics.csv", ["id", "sex", "meals"], [*rows, *([one, "F", "N"] for one in more)])
    _table(
        folder / "crosswalks" / "meals.csv",
        ["crosswalk", "code", "value"],
        [["economic", "Y", "disadvantaged"], ["economic", "N", "not_disadvantaged"]],
    )


def write_attendance(folder: Path, year: int, absent_too: int | None = None) -> None:
    """Everybody's marks in the year's own shape; `absent_too`: a student who missed the first two days after all."""
    names, form, absent, present = _SHAPES[year]
    rows = [
        [
            f"s{n}",
            sent_as(n, year),
            day.strftime(form),
            absent if is_absent(n, year, day) or (n == absent_too and day in session_days(year)[:2]) else present,
        ]
        for day in session_days(year)
        for n in STUDENTS
    ]
    _table(folder / f"attendance_{year}.csv", list(names), rows)


def write_next_year(folder: Path) -> None:
    """What arrives in spring: next year's school, next year's grades, and children who have never been here."""
    write_schools(folder, [["harbor", "Harbor School", "2026-08-01"]])
    write_enrollment(
        folder,
        [
            *([f"s{n}", home_of(n) if n % 5 else "harbor", "2026-08-20", "", "06"] for n in STUDENTS),
            *([f"new{n}", "north", "2026-08-20", "", "KG"] for n in range(5)),
        ],
    )
    write_demographics(folder, more=[f"new{n}" for n in range(5)])


def _table(path: Path, header: list[str], rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header)
        table.writerows(rows)
