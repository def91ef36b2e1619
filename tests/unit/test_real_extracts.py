"""Extracts that nobody here wrote land through configuration only, with the answers worked out beforehand.

Each test copies the files beside a district.yaml of `tests/districts` and lands them; no whole night is needed.
"""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from datetime import date
from pathlib import Path

import duckdb
import pytest

from pipelines.contract import ENTITIES
from pipelines.district_file import ConfigurationProblems, load
from pipelines.home import Home
from pipelines.keys import KeyFile, pseudonym
from pipelines.landing import Landing, LiveFile, land

DISTRICTS = Path(__file__).parents[1] / "districts"
DATA = Path(__file__).parents[3] / "shared" / "data"


def settled(name: str, data: str, folder: Path, days: tuple[str, ...] = ()) -> Path:
    """A folder with the district's file and a copy of the data; the path of its district.yaml."""
    if not (DATA / data).exists():
        pytest.skip(f"needs ../shared/data/{data}")
    shutil.copytree(DATA / data, folder, dirs_exist_ok=True, ignore=lambda _, names: [n for n in names if n in days])
    return Path(shutil.copy(DISTRICTS / name / "district.yaml", folder))


def landed(district_file: Path, home: Path, as_of: date) -> Landing:
    landing = land(load(district_file), Home.open(home), as_of=as_of, say=lambda _: None)
    assert [state.message for state in landing.sources if state.message] == []
    for file in landing.files:
        accounted = file.rows_accepted + file.rows_refused + file.rows_filtered + file.rows_collapsed
        assert file.rows_read == accounted
    return landing


def of(landing: Landing, entity: str) -> list[LiveFile]:
    return [file for file in landing.files if file.entity == entity and file.is_live]


def rows(landing: Landing, entity: str, columns: str) -> list[tuple[object, ...]]:
    paths = [str(file.raw_path) for file in of(landing, entity)]
    return duckdb.execute(f"select {columns} from read_parquet(?) order by all", [paths]).fetchall()


# --- Contoso SIS ---------------------------------------------------------------------------------------------


def test_contoso_an_exact_duplicate_is_collapsed_and_dates_are_day_first(tmp_path: Path) -> None:
    file = settled("contoso", "oea/contoso_sis", tmp_path / "extracts")
    landing = landed(file, tmp_path / "home", date(2020, 6, 1))
    first, second = of(landing, "attendance_event")
    assert (first.rows_read, first.rows_accepted, first.rows_collapsed, first.rows_refused) == (1462, 1461, 1, 0)
    assert (second.rows_read, second.rows_accepted, second.rows_collapsed) == (1467, 1467, 0)
    assert (first.window_lo, first.window_hi) == (date(2019, 9, 1), date(2020, 5, 30))
    assert Counter(rows(landing, "attendance_event", "category")) == {("A",): 600, ("P",): 2328}


def test_contoso_a_second_day_adds_rows_for_a_known_student(tmp_path: Path) -> None:
    extracts = tmp_path / "extracts"
    file = settled("contoso", "oea/contoso_sis", extracts, days=("day2",))
    (extracts / "day2").mkdir()
    day_one = land(load(file), Home.open(tmp_path / "home"), as_of=date(2020, 5, 27), say=lambda _: None)
    assert len(rows(day_one, "attendance_event", "line")) == 1461
    settled("contoso", "oea/contoso_sis", extracts)
    day_two = landed(file, tmp_path / "home", date(2020, 5, 30))
    key = KeyFile.load_or_create(Home.open(tmp_path / "home")).key
    by_student = Counter(student for (student,) in rows(day_two, "attendance_event", "student_key"))
    assert by_student == {pseudonym(key, "student", "st1"): 1461 + 3, pseudonym(key, "student", "st2"): 1464}


def test_contoso_month_first_is_refused_not_guessed(tmp_path: Path) -> None:
    file = settled("contoso", "oea/contoso_sis", tmp_path / "extracts")
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('["%d/%m/%Y"]', '["%d/%m/%Y", "%m/%d/%Y"]'), encoding="utf-8")
    landing = landed(file, tmp_path / "home", date(2020, 6, 1))
    refused = [str(one.refused_path) for one in of(landing, "attendance_event")]
    reasons = duckdb.execute("select reason, count(*) from read_parquet(?) group by 1", [refused]).fetchall()
    # 12 days of each month can be read both ways; 1/1, 2/2 and so on mean the same day in both.
    assert [reason for reason, _ in reasons] == ["ambiguous_date"]
    days = {day for (day,) in rows(landing, "attendance_event", "date::date")}
    assert all(day.day > 12 or day.day == day.month for day in days if isinstance(day, date))


# --- what nobody mapped --------------------------------------------------------------------------------------


def test_names_addresses_and_birth_dates_stay_in_landing(tmp_path: Path) -> None:
    file = settled("contoso", "oea/contoso_sis", tmp_path / "extracts")
    landing = landed(file, tmp_path / "home", date(2020, 6, 1))
    carried = {name for entity in ENTITIES.values() for name in entity.by_name} | {"student_key", "line", "file_id"}
    carried |= {"source_id", "student_system", "incident_key", "action_key", "response_key", "key"}
    for one in landing.files:
        names = [row[0] for row in duckdb.execute("describe from read_parquet(?)", [str(one.raw_path)]).fetchall()]
        assert set(names) <= carried
        content = one.raw_path.read_bytes()
        for secret in (b"Ibarra", b"albertibarra1", b"Classrmtest86", b"4/2/2004"):
            assert secret not in content


def test_a_password_column_cannot_be_mapped(tmp_path: Path) -> None:
    file = settled("oneroster", "oneroster/OneRoster_1.1_Sample_Data", tmp_path / "extracts")
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("student: {}", "student: {columns: {student_id: password}}", 1), encoding="utf-8")
    with pytest.raises(ConfigurationProblems) as found:
        load(file)
    assert any("never carries password" in problem.message for problem in found.value.problems)


# --- OneRoster -----------------------------------------------------------------------------------------------


def test_oneroster_references_resolve_and_flags_become_races(tmp_path: Path) -> None:
    file = settled("oneroster", "oneroster/OneRoster_1.1_Sample_Data", tmp_path / "extracts")
    landing = landed(file, tmp_path / "home", date(2021, 1, 15))
    students = {row[0] for row in rows(landing, "student", "student_key")}
    assert len(students) == 8
    assert rows(landing, "school", "school_id, school_name") == [("255901001", "Grand Bend High School")]
    # 20 enrollments of students and 4 of teachers, in two classes: two students are in both of them, in both terms.
    (account,) = of(landing, "student_school_enrollment")
    assert (account.rows_read, account.rows_accepted, account.rows_filtered) == (24, 20, 4)
    enrolled = rows(landing, "student_school_enrollment", "student_key, school_id, entry_date, exit_date")
    assert {row[0] for row in enrolled} == students
    stays = Counter(row[2:] for row in set(enrolled))
    assert stays == {("2020-08-17", "2020-12-18"): 8, ("2021-01-04", "2021-05-28"): 8}
    key = KeyFile.load_or_create(Home.open(tmp_path / "home")).key
    assert len(rows(landing, "student_identifier", "line")) == 8
    local = (pseudonym(key, "student", "604863"), "Local", pseudonym(key, "student", "863"))
    assert local in rows(landing, "student_identifier", "student_key, system, key")
    races = Counter(rows(landing, "student_demographic", "hispanic_latino, races"))
    assert races == {
        ("true", "Asian"): 2,
        ("true", "American Indian or Alaska Native"): 1,
        ("false", "American Indian or Alaska Native"): 1,
        ("false", "Black or African American"): 2,
        ("false", "Asian"): 1,
        ("false", "White"): 1,
    }


def test_oneroster_every_enrollment_has_its_class_and_user() -> None:
    """The known answer itself, worked out on the files without any of this program."""
    folder = DATA / "oneroster" / "OneRoster_1.1_Sample_Data"
    if not folder.exists():
        pytest.skip("needs ../shared/data/oneroster")
    read = {name: list(csv.DictReader((folder / f"{name}.csv").open(encoding="utf-8-sig"))) for name in
            ("users", "classes", "enrollments", "demographics")}  # fmt: skip
    users, classes = ({row["sourcedId"] for row in read[name]} for name in ("users", "classes"))
    assert {row["userSourcedId"] for row in read["enrollments"]} <= users
    assert {row["classSourcedId"] for row in read["enrollments"]} <= classes
    assert {row["sourcedId"] for row in read["demographics"]} <= users


def test_oneroster_1_0_has_no_dates_of_enrollment_and_says_so(tmp_path: Path) -> None:
    file = settled("oneroster", "oneroster/OneRoster_1.0_Sample_Data", tmp_path / "extracts")
    landing = land(load(file), Home.open(tmp_path / "home"), as_of=date(2021, 1, 15), say=lambda _: None)
    (state,) = landing.sources
    assert state.status == "unreadable"
    assert "enrollments without beginDate" in state.message
    text = file.read_text(encoding="utf-8")
    constant = "student_school_enrollment: {constants: {entry_date: '2020-08-17'}}"
    file.write_text(text.replace("student_school_enrollment: {}", constant), encoding="utf-8")
    landing = landed(file, tmp_path / "home", date(2021, 1, 15))
    assert len({row[0] for row in rows(landing, "student_school_enrollment", "student_key")}) == 8
    assert Counter(rows(landing, "student_demographic", "sex")) == {("Female",): 2, ("Male",): 6}


# --- SIF -----------------------------------------------------------------------------------------------------


def test_sif_objects_land_by_a_map_alone(tmp_path: Path) -> None:
    file = settled("sif", "oea/sif", tmp_path / "extracts")
    shutil.copytree(DISTRICTS / "sif" / "crosswalks", tmp_path / "extracts" / "crosswalks")
    landing = landed(file, tmp_path / "home", date(2022, 3, 1))
    # Counted by hand in the files: 2 objects, 365 days, 4 students, 4 enrollments, 4 events.
    read = Counter({one.entity: 0 for one in landing.files})
    for one in landing.files:
        read[one.entity] += one.rows_accepted
        assert one.rows_accepted == one.rows_read
    assert read == {
        "school": 2,
        "calendar_date": 365,
        "student": 4,
        "student_demographic": 4,
        "student_school_enrollment": 4,
        "attendance_event": 4,
    }
    names = {name for (name,) in rows(landing, "school", "school_name")}
    assert names == {"Brisbane Secondary College", "Lincoln Secondary College"}
    days = Counter(rows(landing, "calendar_date", "calendar_event, share_of_day"))
    assert days == {("INST", "0.8"): 100, ("INST", "0.9"): 90, ("INST", "1"): 90, ("INST", "0.7"): 85}


def test_sif_one_student_followed_by_hand(tmp_path: Path) -> None:
    file = settled("sif", "oea/sif", tmp_path / "extracts")
    landing = landed(file, tmp_path / "home", date(2022, 3, 1))
    key = KeyFile.load_or_create(Home.open(tmp_path / "home")).key
    student = pseudonym(key, "student", "9897466F-200E-4BC1-B9AE-D1507DA15CEF")
    school = "D3E34B35-9D75-101A-1234-00AA001A1676"
    columns = "student_key, school_id, entry_date, exit_date, grade, share_of_day, enrollment_type, exit_type, line"
    (spell,) = (row for row in rows(landing, "student_school_enrollment", columns) if row[0] == student)
    assert spell == (student, school, "2004-01-29", "", "10", "1.0", "01", "1909", 2)
    marks = rows(landing, "attendance_event", "student_key, school_id, date, category")
    assert [row for row in marks if row[0] == student] == [(student, school, "2002-11-01", "200/01")]
    told = rows(landing, "student_demographic", "student_key, sex, economic, language, disability, races")
    assert (student, "1", "N", "Y", "N", None) in told
    # What is not mapped, as names and medical alerts, is nowhere in raw.
    for one in landing.files:
        content = one.raw_path.read_bytes()
        for secret in (b"Sideshow", b"Rowinski", b"Peanut", b"Orthodontist", b"9897466F"):
            assert secret not in content


# --- a survey tool's export ----------------------------------------------------------------------------------


def test_the_survey_keeps_started_completed_people_and_the_test_account(tmp_path: Path) -> None:
    file = settled("survey_dataedu", "survey_dataedu", tmp_path / "extracts")
    landing = landed(file, tmp_path / "home", date(2016, 6, 1))
    key = KeyFile.load_or_create(Home.open(tmp_path / "home")).key
    answers = rows(landing, "survey_response", "response_key, submitted, student_key, item_id, answer")
    assert len(answers) == 1102 * 10
    assert {row[3] for row in answers} == {f"Q1MaincellgroupRow{number}" for number in range(1, 11)}
    asked = rows(landing, "survey_questionnaire", "response_key, student_key, is_complete, is_test, language, started")
    assert len(asked) == 1102
    assert Counter(row[2] for row in asked) == {"true": 943, "false": 1102 - 943}
    assert Counter(row[3] for row in asked) == {"true": 147, "false": 1102 - 147}
    assert {row[1] for row in asked if row[3] == "true"} == {pseudonym(key, "student", "_49147_1")}
    assert {row[4] for row in asked} == {"en"}
    assert min(str(row[5]) for row in asked) == "2015-08-24"
    times = rows(landing, "survey_questionnaire", "submitted, submitted_time")
    assert all(bool(day) == bool(time) for day, time in times)
    assert rows(landing, "survey", "survey_id, universe, is_anonymous") == [("motivation-2015", "student", "false")]
    started = {row[0]: (row[1], row[2]) for row in answers}
    assert len(started) == 1102
    assert sum(submitted != "" for submitted, _ in started.values()) == 943
    people = Counter(student for _, student in started.values())
    assert people[pseudonym(key, "student", "_49147_1")] == 147
    # 589 different ids stand in the file; two of them are merge fields that the tool did not fill: nobody.
    assert len(people.keys() - {None}) == 589 - 2
    # 1,100 questionnaires carry an id; 20 of them a merge field. What is left repeats a person 493 times.
    named = Counter(row[1] for row in asked if row[1] is not None)
    assert (len(named), named.total(), named.total() - len(named)) == (587, 1080, 493)
    assert Counter(row[4] for row in answers) == {"4": 3142, "5": 2252, "": 1881, "3": 1811, "2": 1172, "1": 762}


def test_the_surveys_repeats_are_of_a_person_in_a_course(tmp_path: Path) -> None:
    """486 as the data's own account counts them: there, blank and merge fields are a person too."""
    file = settled("survey_dataedu", "survey_dataedu", tmp_path / "extracts")
    file.write_text("".join(line for line in file.open(encoding="utf-8") if "empty_values" not in line))
    landing = landed(file, tmp_path / "home", date(2016, 6, 1))
    asked = rows(landing, "survey_questionnaire", "student_key, school_id")
    assert (len({row[0] for row in asked} - {None}), len({row[0] for row in asked})) == (589, 590)
    assert len(asked) - len(set(asked)) == 486
