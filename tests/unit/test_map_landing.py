"""Maps at work in landing: what they leave out is counted, what decides the rows makes new raw files, and real
wide files arrive whole."""

from __future__ import annotations

import csv
import re
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.district_file import load
from pipelines.home import Home
from pipelines.keys import KeyFile, pseudonym
from pipelines.landing import Landing, LiveFile, land

DATA = Path(__file__).parents[3] / "shared" / "data"
DAY = date(2025, 9, 1)
HEAD = """\
district:
  {id: d, name: D, contact: x@example.org, time_zone: America/Chicago, student_ids: {leading_zeros: LEADING}}
calendar:
  - {school_year: 2026, first_day: 2025-08-12, last_day: 2026-05-28}
sources:
  marks:
    kind: delimited
    files: marks*.csv
    missing_rows: full
    attendance_records: every_day
    whole: {stable_seconds: 0}
"""
BY_SQL = HEAD + "    masks: ['*']\n    entities: {attendance_event: {sql: marks.sql, distinct: true}}\n"
SELECT = "SELECT sid AS student_id, 'S' AS school_id, DATE '2025-09-01' AS date, code AS category, line FROM source"


class District:
    def __init__(self, folder: Path, text: str, leading_zeros: str = "keep") -> None:
        self.folder = folder
        self.said: list[str] = []
        self.write(text, leading_zeros)

    def write(self, text: str, leading_zeros: str = "keep") -> None:
        (self.folder / "district.yaml").write_text(text.replace("LEADING", leading_zeros), encoding="utf-8")

    def land(self) -> Landing:
        home = Home.open(self.folder / "home")
        landing = land(load(self.folder / "district.yaml"), home, as_of=DAY, say=self.said.append)
        for one in landing.files:
            assert one.rows_read == one.rows_accepted + one.rows_refused + one.rows_filtered + one.rows_collapsed
        return landing

    def one(self, entity: str = "attendance_event") -> LiveFile:
        landing = self.land()
        assert [state.message for state in landing.sources if state.message] == []
        (file,) = [one for one in landing.files if one.entity == entity]
        return file

    def key(self, student: str) -> int:
        return pseudonym(KeyFile.load_or_create(Home.open(self.folder / "home")).key, "student", student)


def rows(file: LiveFile, columns: str) -> list[Any]:
    query = f"SELECT {columns} FROM read_parquet(?) ORDER BY line, {columns}"
    return duckdb.execute(query, [str(file.raw_path)]).fetchall()


def refused(file: LiveFile) -> list[Any]:
    query = "SELECT line, column_name, reason, refused_value FROM read_parquet(?) ORDER BY ALL"
    return duckdb.execute(query, [str(file.refused_path)]).fetchall()


# --- a district's own SQL ---------------------------------------------------------------------------------------


def test_sql_feeds_an_entity_and_every_row_is_accounted_for(tmp_path: Path) -> None:
    (tmp_path / "marks.csv").write_text("sid,code\n1,A\n1,A\n2,*\n,T\n3,P\n")
    (tmp_path / "marks.sql").write_text(f"{SELECT} WHERE code <> 'P'\nUNION ALL {SELECT} WHERE code = 'A'")
    district = District(tmp_path, BY_SQL)
    file = district.one()
    # Read: two A twice, the mask, T; and P, which no row of the answer holds.
    assert (file.rows_read, file.rows_accepted, file.rows_refused, file.rows_filtered, file.rows_collapsed) == (
        7,
        1,
        2,
        1,
        3,
    )
    assert file.cells_masked == 1
    assert [(line, reason) for line, _, reason, _ in refused(file)] == [
        (4, "required_value_missing"),
        (5, "required_value_missing"),
    ]
    assert any("1 cells hidden by the sender" in said for said in district.said)
    assert rows(file, "student_key, category, line") == [(district.key("1"), "A", 2)]


def test_a_changed_sql_file_makes_new_rows(tmp_path: Path) -> None:
    (tmp_path / "marks.csv").write_text("sid,code\n1,A\n2,T\n")
    (tmp_path / "marks.sql").write_text(SELECT)
    district = District(tmp_path, BY_SQL)
    first = district.one()
    again = district.one()
    assert again.raw_path == first.raw_path
    (tmp_path / "marks.sql").write_text(f"{SELECT} WHERE code = 'T'")
    changed = district.one()
    assert changed.raw_path != first.raw_path
    assert (first.rows_accepted, changed.rows_accepted, changed.rows_filtered) == (2, 1, 1)


def test_sql_that_fails_holds_the_file_back_and_says_no_value(tmp_path: Path) -> None:
    (tmp_path / "marks.csv").write_text("sid,code\nCanary,A\n")
    (tmp_path / "marks.sql").write_text(f"{SELECT} WHERE CAST(sid AS INTEGER) = 1")
    landing = District(tmp_path, BY_SQL).land()
    (state,) = landing.sources
    assert (state.status, "marks.sql: the engine stopped (Conversion error)" in state.message) == ("unreadable", True)
    assert "Canary" not in str(landing)
    assert [path.name for path in (tmp_path / "home" / "landing").glob(".scratch")] == []


# --- ids ----------------------------------------------------------------------------------------------------------

PLAIN = HEAD + (
    "    entities:\n      attendance_event:\n"
    "        columns: {student_id: sid, school_id: sch, category: code}\n        constants: {date: '2025-09-01'}\n"
)


def test_ids_are_written_alike_before_they_are_hashed(tmp_path: Path) -> None:
    (tmp_path / "marks.csv").write_text("sid,sch,code\n00417,01,A\n 417 ,1,T\n")
    district = District(tmp_path, PLAIN, leading_zeros="strip")
    file = district.one()
    assert rows(file, "student_key, school_id") == [(district.key("417"), "01"), (district.key("417"), "1")]
    # The district's rule is part of what a raw file is known by; a source's own rule replaces it as a whole.
    district.write(PLAIN)
    kept = district.one()
    assert kept.raw_path != file.raw_path
    assert rows(kept, "student_key") == [(district.key("00417"),), (district.key("417"),)]
    district.write(PLAIN + "    student_ids: {pad_to: 6}\n", leading_zeros="strip")
    assert rows(district.one(), "student_key") == [(district.key("000417"),)] * 1 + [(district.key("000417"),)]
    district.write(PLAIN + "    student_ids: {pad_to: 4}\n", leading_zeros="strip")
    assert rows(district.one(), "student_key") == [(district.key("00417"),), (district.key("0417"),)]


# --- one wide file --------------------------------------------------------------------------------------------------


WIDE = (
    HEAD
    + """\
    date_formats: ["%m/%d/%Y", "%d.%m.%Y"]
    entities:
      student_demographic:
        columns:
          student_id: student
          races: {flags: {white: W, black: B}}
          language: {flags: {el: EL}}
        where_not: {school: [Total]}
      student_school_enrollment:
        columns: {student_id: student, school_id: school, entry_date: entered}
        constants: {enrollment_type: home}
        where_not: {school: [Total]}
      attendance_event:
        columns:
          student_id: student
          school_id: school
          date: {column: day, date_formats: ["%Y%m%d"]}
          category: value
        unpivot: {columns: "d_(?P<day>[0-9]{8})"}
        where_not: {school: [Total]}
"""
)


def test_one_wide_file_feeds_several_entities(tmp_path: Path) -> None:
    (tmp_path / "marks.csv").write_text(
        "student,name,school,entered,white,black,el,d_20250902,d_20250903\n"
        "1,Canary,10,8/12/2025,Y,Y,N,A,\n2,Canary,10,13.8.2025,N,N,Y,soon,T\n3,Canary,Total,,,,,1,1\n"
    )
    district = District(tmp_path, WIDE)
    demographic, enrollment, attendance = map(
        district.one, ("student_demographic", "student_school_enrollment", "attendance_event")
    )
    assert rows(demographic, "student_key, races, language, sex") == [
        (district.key("1"), "W|B", "", None),
        (district.key("2"), "", "EL", None),
    ]
    assert rows(enrollment, "entry_date, enrollment_type") == [("2025-08-12", "home"), ("2025-08-13", "home")]
    assert rows(attendance, "line, date, category") == [
        (2, "2025-09-02", "A"),
        (3, "2025-09-02", "soon"),
        (3, "2025-09-03", "T"),
    ]
    assert (demographic.rows_read, demographic.rows_filtered) == (3, 1)
    # Six cells: one is blank, two are of the total row.
    assert (attendance.rows_read, attendance.rows_accepted, attendance.rows_filtered) == (6, 3, 3)


def test_a_refused_cell_of_a_wide_file_is_found_by_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "marks.csv").write_text("student,school,d_20250902,d_20250931\n1,10,A,A\n2,,T,\n")
    grid = "attendance_event" + WIDE.split("attendance_event")[1]
    district = District(tmp_path, HEAD + "    entities:\n      " + grid)
    file = district.one()
    assert refused(file) == [(2, "date", "unreadable_date", "99999999"), (3, "school_id", "required_value_missing", "")]
    texts = duckdb.execute("SELECT text FROM read_parquet(?) ORDER BY line", [str(file.refused_path)]).fetchall()
    assert '"column_name":"d_20250931"' in texts[0][0]


def test_the_same_wide_file_gives_the_same_rows(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        days = [f"d_202509{day:02}" for day in range(30, 0, -1)]
        lines = [",".join(["student", "school", *days]), *(f"{n},10" + ",A" * 30 for n in range(300))]
        (tmp_path / name / "marks.csv").write_text("\n".join(lines) + "\n")
        grid = "attendance_event" + WIDE.split("attendance_event")[1]
        (tmp_path / name / "key").write_text(bytes(range(32)).hex())
        (tmp_path / name / "key").chmod(0o600)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EQUITY_KEY_FILE", str(tmp_path / name / "key"))
            file = District(tmp_path / name, HEAD + "    entities:\n      " + grid).one()
        assert file.rows_accepted == 9000
        made.append(duckdb.execute("FROM read_parquet(?) ORDER BY ALL", [str(file.raw_path)]).fetchall())
    assert made[0] == made[1]


# --- real wide files ------------------------------------------------------------------------------------------------

FIGURES = (
    HEAD
    + """\
    masks: [MASKS]
    entities:
      discipline_action:
        columns:
          action_id: {columns: [ID, column_name], join: "-"}
          student_id: ID
          school_id: ID
          action: column_name
          days_actual: value
        constants: {date: '2025-09-01'}
        where_not: {ID: [Total, ""]}
        unpivot: {columns: COLUMNS}
"""
)


def needs(path: str) -> Path:
    if not (DATA / path).exists():
        pytest.skip(f"needs ../shared/data/{path.split('/', maxsplit=1)[0]}")
    return DATA / path


def is_number(text: str) -> bool:
    return text.strip().replace(".", "", 1).isdigit()


def figures(path: Path, wanted: str) -> dict[tuple[int, str], str]:
    """Cells of the wide file by line and column, as they stand, read without any of the code under test."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = [record for record in csv.reader(file) if record]
    return {
        (n, name): cell
        for n, record in enumerate(lines[1:], start=2)
        for name, cell in zip(lines[0], record, strict=True)
        if record[0] != "Total" and re.fullmatch(wanted, name)
    }


def test_every_unmasked_cell_of_a_texan_wide_file_lands_as_its_number_and_no_mask_does(tmp_path: Path) -> None:
    path = needs("tx_tapr/2018-2019/district/attendance.csv")
    shutil.copy(path, tmp_path / "marks.csv")
    text = FIGURES.replace("ID", "DISTRICT").replace("COLUMNS", "'D[A-Z0-9]0AT18[NDR]'")
    district = District(tmp_path, text.replace("MASKS", "'-1', '-2', '-3', '.'"))
    file = district.one("discipline_action")
    cells = figures(path, "D[A-Z0-9]0AT18[NDR]")
    numbers = {at: cell.strip() for at, cell in cells.items() if is_number(cell)}
    landed = {(line, action): days for line, action, days in rows(file, "line, action, days_actual")}
    assert {at: days for at, days in landed.items() if days} == numbers
    assert {at for at, days in landed.items() if days == ""} == cells.keys() - numbers.keys()
    assert (len(cells), len(numbers), file.rows_accepted, file.cells_masked) == (50_442, 39_312, 50_442, 11_130)
    # Nobody said that these are masks: they are refused, and still no number.
    district.write(text.replace("[MASKS]", "[]"))
    unmasked = district.one("discipline_action")
    assert (unmasked.rows_accepted, unmasked.rows_refused, unmasked.cells_masked) == (39_312, 11_130, 0)


def test_a_file_of_connecticut_lands_without_its_total_row_and_masks(tmp_path: Path) -> None:
    path = needs("ct_edsight/enrollment-district/enrollment__2015-16_race.csv")
    lines = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    (tmp_path / "marks.csv").write_text("".join(lines[5:]))  # the header setting is the reader's own matter
    races = ["American Indian or Alaska Native", "Asian", "Black or African American", "White"]
    text = FIGURES.replace("ID", "District").replace("COLUMNS", str(races)).replace("MASKS", "'*'")
    text = text.replace("school_id: District", "school_id: {column: District Code, pattern: '(?:=\")?([0-9]*)\"?'}")
    file = District(tmp_path, text).one("discipline_action")
    cells = figures(tmp_path / "marks.csv", "|".join(races))
    numbers = sorted(cell for cell in cells.values() if is_number(cell))
    assert sorted(days for (days,) in rows(file, "days_actual") if days) == numbers
    assert (file.rows_filtered, file.cells_masked) == (4, len(cells) - len(numbers))
    assert all(len(school) == 7 for (school,) in rows(file, "school_id"))


CONTOSO = HEAD.replace("files: marks*.csv", "files: '*.csv'") + '    date_formats: ["%d/%m/%Y"]\n    entities:\n'
BY_MAP = """\
      attendance_event:
        columns:
          {student_id: student_id, school_id: school_id, date: attendance_date, period: section_id,
           category: AttendanceCode}
        distinct: true
"""


def test_contoso_gives_the_same_rows_by_map_and_by_sql(tmp_path: Path) -> None:
    found = []
    (export,) = needs("oea/contoso_sis/day1/studentattendance").glob("*.csv")
    for name, entity in (("map", BY_MAP), ("sql", "      attendance_event: {sql: contoso.sql, distinct: true}\n")):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(export, folder)
        (folder / "contoso.sql").write_text(
            "SELECT student_id, school_id, attendance_date AS date, section_id AS period,\n"
            "       AttendanceCode AS category, line\nFROM source\n"
        )
        file = District(folder, CONTOSO + entity).one()
        assert (file.rows_read, file.rows_accepted, file.rows_collapsed, file.rows_filtered) == (1462, 1461, 1, 0)
        found.append(rows(file, "line, school_id, date, period, category"))
    assert found[0] == found[1]


def test_a_password_column_is_not_there_for_sql(tmp_path: Path) -> None:
    export = needs("oneroster/OneRoster_1.1_Sample_Data/users.csv")
    assert "password" in export.read_text(encoding="utf-8-sig").splitlines()[0]
    shutil.copy(export, tmp_path)
    (tmp_path / "students.sql").write_text("SELECT password AS student_id, line FROM source")
    landing = District(tmp_path, CONTOSO + "      student: {sql: students.sql}\n").land()
    assert "the engine stopped in line 1 (Binder error)" in landing.sources[0].message
    assert "assword" not in landing.sources[0].remedy


def test_a_corrected_map_of_one_entity_makes_the_file_readable_for_all(tmp_path: Path) -> None:
    taken = "attendance_taken: {columns: {school_id: WRONG, date: day}}"
    two = f"    entities: {{student: {{columns: {{student_id: sid}}}}, {taken}}}\n"
    (tmp_path / "marks.csv").write_text("sid,school,day\n7,S,2025-09-01\n", encoding="utf-8")
    district = District(tmp_path, HEAD + two)
    assert [state.status for state in district.land().sources] == ["unreadable"]
    district.write(HEAD + two.replace("WRONG", "school"))
    assert [state.message for state in district.land().sources] == [""]
    assert district.one("student").rows_accepted == district.one("attendance_taken").rows_accepted == 1
