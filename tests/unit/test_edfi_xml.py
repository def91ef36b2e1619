"""The Ed-Fi XML reader: every element that it knows, what it refuses, and the real districts' counts."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.config import EntityMap, Source
from pipelines.contract import ENTITIES
from pipelines.sources import Reading, Unreadable, edfi_xml
from pipelines.sources.edfi_rules import RULES

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
DAYBREAK = DATA / "edfi_xml_daybreak"
GRAND_BEND = DATA / "edfi_xml_grand_bend" / "samples"
ODIN = DATA / "edfi_xml_odin_baseline"

needs_daybreak = pytest.mark.skipif(not DAYBREAK.is_dir(), reason="needs ../shared/data/edfi_xml_daybreak")
needs_grand_bend = pytest.mark.skipif(not GRAND_BEND.is_dir(), reason="needs ../shared/data/edfi_xml_grand_bend")
needs_odin = pytest.mark.skipif(not ODIN.is_dir(), reason="needs ../shared/data/edfi_xml_odin_baseline")

Read = Callable[..., "Interchange"]


class Interchange:
    """One file, read, with its tables as lists of dictionaries."""

    def __init__(self, con: duckdb.DuckDBPyConnection, reading: Reading) -> None:
        self.con = con
        self.reading = reading

    def rows(self, entity: str) -> list[dict[str, Any]]:
        return self._rows(self.reading.tables[entity])

    def refused(self) -> list[dict[str, Any]]:
        return self._rows(self.reading.refused)

    def counts(self) -> dict[str, int]:
        return {entity: len(self.rows(entity)) for entity in self.reading.tables}

    def _rows(self, table: str) -> list[dict[str, Any]]:
        cursor = self.con.execute(f"SELECT * FROM {table} ORDER BY ALL")
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return sorted(rows, key=lambda row: int(row["line"]))


def _source(**settings: Any) -> Source:
    return Source.model_validate({"kind": "edfi_xml", "files": "*.xml", "missing_rows": "full", **settings})


@pytest.fixture
def read_file(tmp_path: Path) -> Read:
    con = duckdb.connect()

    def read(file: Path, **settings: Any) -> Interchange:
        return Interchange(con, edfi_xml.read(con, file, _source(**settings), tmp_path))

    return read


@pytest.fixture
def read(read_file: Read, tmp_path: Path) -> Read:
    def of(body: str | bytes, *, whole: bool = False, **settings: Any) -> Interchange:
        file = tmp_path / "interchange.xml"
        content = body if isinstance(body, bytes) else body.encode()
        file.write_bytes(content if whole else b"<InterchangeTest>\n" + content + b"\n</InterchangeTest>\n")
        return read_file(file, **settings)

    return of


def refusal(read: Read, body: str | bytes, **settings: Any) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        read(body, **settings)
    assert caught.value.remedy
    return caught.value


OLD_STUDENT = (
    "<StudentReference><StudentIdentity><StudentUniqueStateId>{}</StudentUniqueStateId>"
    "</StudentIdentity></StudentReference>"
)
OLD_SCHOOL = (
    "<SchoolReference><EducationalOrgIdentity><StateOrganizationId>{}</StateOrganizationId>"
    "</EducationalOrgIdentity></SchoolReference>"
)
STUDENT = (
    "<StudentReference><StudentIdentity><StudentUniqueId>{}</StudentUniqueId></StudentIdentity></StudentReference>"
)
SCHOOL = "<SchoolReference><SchoolIdentity><SchoolId>{}</SchoolId></SchoolIdentity></SchoolReference>"


def attendance(student: str = "s1", school: str = "North", day: str = "2024-09-03", mark: str = "Tardy") -> str:
    return (
        f"<AttendanceEvent><EventDate>{day}</EventDate><AttendanceEventCategory>{mark}</AttendanceEventCategory>"
        f"{OLD_STUDENT.format(student)}{OLD_SCHOOL.format(school)}</AttendanceEvent>"
    )


# --- every element ---------------------------------------------------------------------------------------------


#: What a survey needs and the standard does not have: constants of the district say it.
SAID_BY_THE_DISTRICT = {"universe", "opened", "closed", "is_anonymous", "construct"}


def test_every_rule_feeds_columns_of_the_contract() -> None:
    for rule in RULES:
        known = ENTITIES[rule.entity].by_name
        assert set(rule.columns) <= set(known), rule.element
        required = {name for name, column in known.items() if column.required}
        assert (set(rule.lends_by) or required - SAID_BY_THE_DISTRICT) <= set(rule.columns), rule.element
        assert set(rule.each) <= set(rule.columns)


def test_attendance_of_the_old_form(read: Read) -> None:
    [row] = read(attendance()).rows("attendance_event")
    assert row == {
        "student_id": "s1",
        "school_id": "North",
        "date": "2024-09-03",
        "category": "Tardy",
        "fraction_absent": None,
        "calendar_id": None,
        "period": None,
        "line": 2,
    }


def test_attendance_of_data_standard_5(read: Read) -> None:
    body = (
        "<StudentSchoolAttendanceEvent><AttendanceEvent><EventDate>2024-09-03</EventDate><AttendanceEventCategory>"
        "uri://ed-fi.org/AttendanceEventCategoryDescriptor#Excused Absence</AttendanceEventCategory>"
        f"<EventDuration>1</EventDuration></AttendanceEvent>{STUDENT.format('s1')}{SCHOOL.format('9')}"
        f"<SessionReference><SessionIdentity>{SCHOOL.format('7')}</SessionIdentity></SessionReference>"
        "</StudentSchoolAttendanceEvent>"
    )
    [row] = read(body).rows("attendance_event")
    assert (row["student_id"], row["school_id"], row["category"]) == ("s1", "9", "Excused Absence")


def test_a_student_gives_a_student_and_their_demographics(read: Read) -> None:
    body = (
        "<Student><StudentUniqueStateId>s1</StudentUniqueStateId><Name><FirstName>Canary</FirstName></Name>"
        "<Sex>Female</Sex><HispanicLatinoEthnicity>true</HispanicLatinoEthnicity>"
        "<Race><RacialCategory>Asian</RacialCategory><RacialCategory>White</RacialCategory></Race>"
        "<EconomicDisadvantaged>false</EconomicDisadvantaged>"
        "<SchoolFoodServicesEligibility>Free</SchoolFoodServicesEligibility>"
        "<LimitedEnglishProficiency>Limited</LimitedEnglishProficiency>"
        "<Section504Disabilities><Section504Disability>Motor Impairment</Section504Disability></Section504Disabilities>"
        "</Student>"
    )
    interchange = read(body)
    assert interchange.rows("student") == [{"student_id": "s1", "line": 2}]
    [row] = interchange.rows("student_demographic")
    assert row == {
        "student_id": "s1",
        "start_date": None,
        "end_date": None,
        "sex": "Female",
        "hispanic_latino": "true",
        "races": "Asian|White",
        "economic": "false",
        "language": "Limited",
        "disability": "Section 504",
        "line": 2,
    }
    assert interchange.reading.rows_read == 2


def test_meal_eligibility_stands_in_where_economic_disadvantage_is_not_given(read: Read) -> None:
    body = (
        "<Student><StudentUniqueStateId>s1</StudentUniqueStateId>"
        "<SchoolFoodServicesEligibility>Reduced price</SchoolFoodServicesEligibility></Student>"
    )
    assert read(body).rows("student_demographic")[0]["economic"] == "Reduced price"


def test_demographics_of_data_standard_5(read: Read) -> None:
    idea = "uri://ed-fi.org/DisabilityDesignationDescriptor#Individuals with Disabilities Education Act"
    body = (
        "<Student><StudentUniqueId>s1</StudentUniqueId></Student>"
        f"<StudentEducationOrganizationAssociation>{STUDENT.format('s1')}"
        "<Sex>uri://ed-fi.org/SexDescriptor#Male</Sex><HispanicLatinoEthnicity>0</HispanicLatinoEthnicity>"
        "<Race>uri://ed-fi.org/RaceDescriptor#White</Race><Race>uri://ed-fi.org/RaceDescriptor#Asian</Race>"
        "<Disability><Disability>uri://ed-fi.org/DisabilityDescriptor#Other</Disability>"
        "<DisabilityDesignation>uri://ed-fi.org/DisabilityDesignationDescriptor#Section 504</DisabilityDesignation>"
        f"<DisabilityDesignation>{idea}</DisabilityDesignation></Disability>"
        "</StudentEducationOrganizationAssociation>"
    )
    interchange = read(body)
    assert interchange.counts() == {"student": 1, "student_demographic": 1}
    [row] = interchange.rows("student_demographic")
    assert (row["sex"], row["hispanic_latino"], row["races"]) == ("Male", "0", "White|Asian")
    assert row["disability"] == "Individuals with Disabilities Education Act"


def test_a_student_element_without_any_demographics_says_nothing_about_them(read: Read) -> None:
    assert read("<Student><StudentUniqueId>s1</StudentUniqueId></Student>").counts() == {"student": 1}


def test_enrollment(read: Read) -> None:
    body = (
        f"<StudentSchoolAssociation>{STUDENT.format('s1')}{SCHOOL.format('9')}<PrimarySchool>false</PrimarySchool>"
        "<EntryDate>2024-09-03</EntryDate><EntryGradeLevel>Ninth grade</EntryGradeLevel>"
        "<ExitWithdrawDate>2025-01-10</ExitWithdrawDate><ExitWithdrawType>Moved</ExitWithdrawType>"
        "<CalendarReference><CalendarIdentity><CalendarCode>C1</CalendarCode></CalendarIdentity></CalendarReference>"
        "<FullTimeEquivalency>0.5</FullTimeEquivalency></StudentSchoolAssociation>"
    )
    [row] = read(body).rows("student_school_enrollment")
    del row["line"]
    assert row == {
        "student_id": "s1",
        "school_id": "9",
        "entry_date": "2024-09-03",
        "exit_date": "2025-01-10",
        "grade": "Ninth grade",
        "calendar_id": "C1",
        "enrollment_type": "concurrent",
        "share_of_day": "0.5",
        "responsible_school_id": None,
        "exit_type": "Moved",
    }


@pytest.mark.parametrize(
    "owner",
    [
        "<EducationOrgReference><EducationalOrgIdentity><StateOrganizationId>9</StateOrganizationId>"
        "</EducationalOrgIdentity></EducationOrgReference>",
        f"<CalendarReference><CalendarIdentity>{SCHOOL.format('9')}</CalendarIdentity></CalendarReference>",
    ],
    ids=["old form", "data standard 5"],
)
def test_calendar_date(read: Read, owner: str) -> None:
    event = "<CalendarEvent>Instructional day</CalendarEvent>"
    [row] = read(f"<CalendarDate><Date>2024-09-03</Date>{event}{owner}</CalendarDate>").rows("calendar_date")
    assert (row["school_id"], row["date"], row["calendar_event"]) == ("9", "2024-09-03", "Instructional day")


def test_schools_are_taken_and_other_organizations_are_not(read: Read) -> None:
    old = (
        "<EducationOrganization><StateOrganizationId>{0}</StateOrganizationId><NameOfInstitution>{0}"
        "</NameOfInstitution><OrganizationCategories><OrganizationCategory>{1}</OrganizationCategory>"
        "</OrganizationCategories><SchoolCategories><SchoolCategory>High School</SchoolCategory></SchoolCategories>"
        "</EducationOrganization>"
    )
    new = (
        "<School><SchoolId>9</SchoolId><NameOfInstitution>North</NameOfInstitution>"
        "<SchoolCategory>uri://ed-fi.org/SchoolCategoryDescriptor#High School</SchoolCategory>"
        "<CharterStatus>uri://ed-fi.org/CharterStatusDescriptor#{}</CharterStatus></School>\n"
    )
    body = old.format("District", "Local Education Agency") + old.format("East", "School") + "\n"
    rows = read(body + new.format("Open Enrollment") + new.format("Not a Charter School")).rows("school")
    assert [(row["school_id"], row["level"], row["is_charter"]) for row in rows] == [
        ("East", "High School", None),
        ("9", "High School", "true"),
        ("9", "High School", "false"),
    ]


def test_an_incident_keeps_the_reporters_role_and_never_the_name(read: Read) -> None:
    body = (
        "<DisciplineIncident><IncidentIdentifier>i1</IncidentIdentifier><IncidentDate>2024-10-01</IncidentDate>"
        "<IncidentTime>09:30:00</IncidentTime><IncidentLocation>Hall</IncidentLocation>"
        "<ReporterDescription>Staff</ReporterDescription><ReporterName>Canary</ReporterName>"
        f"<Behaviors><CodeValue>B1</CodeValue></Behaviors>{OLD_SCHOOL.format('North')}</DisciplineIncident>"
    )
    [row] = read(body).rows("discipline_incident")
    assert row == {
        "incident_id": "i1",
        "school_id": "North",
        "date": "2024-10-01",
        "time": "09:30:00",
        "behavior": "B1",
        "location": "Hall",
        "reporter_role": "Staff",
        "line": 2,
    }


def test_text_beside_a_value_is_not_taken_into_it(read: Read) -> None:
    body = (
        "<DisciplineIncident><IncidentIdentifier>i1</IncidentIdentifier><IncidentDate>2024-10-01</IncidentDate>"
        "<Behavior><Behavior>State Offense</Behavior><BehaviorDetailedDescription>Canary</BehaviorDetailedDescription>"
        f"</Behavior>{SCHOOL.format('9')}</DisciplineIncident>"
    )
    assert read(body).rows("discipline_incident")[0]["behavior"] == "State Offense"


def test_text_of_an_unknown_element_inside_a_value_is_not_the_value(read: Read) -> None:
    body = "<Student><StudentUniqueId>s1</StudentUniqueId><Sex><Note>Canary</Note></Sex></Student>"
    assert read(body).rows("student_demographic")[0]["sex"] == ""


def test_several_different_behaviors_stay_together_as_one_code(read: Read) -> None:
    behaviors = "".join(f"<Behaviors><CodeValue>{code}</CodeValue></Behaviors>" for code in ("B2", "B1", "B2"))
    body = (
        "<DisciplineIncident><IncidentIdentifier>i1</IncidentIdentifier><IncidentDate>2024-10-01</IncidentDate>"
        f"{behaviors}{OLD_SCHOOL.format('North')}</DisciplineIncident>"
    )
    assert read(body).rows("discipline_incident")[0]["behavior"] == "B2|B1"


def test_a_students_part_in_an_incident(read: Read) -> None:
    body = (
        f"<StudentDisciplineIncidentAssociation>{OLD_STUDENT.format('s1')}<DisciplineIncidentReference>"
        "<DisciplineIncidentIdentity><IncidentIdentifier>i1</IncidentIdentifier><EducationalOrgReference>"
        "<EducationalOrgIdentity><StateOrganizationId>North</StateOrganizationId></EducationalOrgIdentity>"
        "</EducationalOrgReference></DisciplineIncidentIdentity></DisciplineIncidentReference>"
        "<StudentParticipationCode>Victim</StudentParticipationCode></StudentDisciplineIncidentAssociation>"
    )
    [row] = read(body).rows("discipline_incident_student")
    assert row == {
        "incident_id": "i1",
        "school_id": "North",
        "student_id": "s1",
        "participation": "Victim",
        "behavior": None,
        "line": 2,
    }


def by_id(reference: str) -> str:
    return (
        f"<StudentDisciplineIncidentNonOffenderAssociation>{STUDENT.format('s1')}<DisciplineIncidentReference "
        f'ref="{reference}"/><DisciplineIncidentParticipationCode>Witness</DisciplineIncidentParticipationCode>'
        "</StudentDisciplineIncidentNonOffenderAssociation>"
    )


INCIDENT_WITH_ID = (
    '<DisciplineIncident id="{0}"><IncidentIdentifier>{1}</IncidentIdentifier><IncidentDate>2024-10-01'
    f"</IncidentDate>{SCHOOL.format('9')}</DisciplineIncident>"
)


@pytest.mark.parametrize("entities", [{}, {"discipline_incident_student": {}}])
def test_an_incident_named_by_xml_id_is_found_before_and_behind(read: Read, entities: dict[str, Any]) -> None:
    body = by_id("A") + INCIDENT_WITH_ID.format("A", "i1") + INCIDENT_WITH_ID.format("B", "i2") + by_id("B")
    interchange = read(body + "<DisciplineIncident/>", entities=entities)
    assert len(interchange.refused()) == (0 if entities else 1)
    rows = interchange.rows("discipline_incident_student")
    assert sorted((row["incident_id"], row["school_id"]) for row in rows) == [("i1", "9"), ("i2", "9")]


@pytest.mark.parametrize(
    "body",
    [by_id("A"), by_id("A") + INCIDENT_WITH_ID.format("A", "i1") + INCIDENT_WITH_ID.format("A", "i2")],
    ids=["none", "two"],
)
def test_an_xml_id_that_names_no_one_element_is_refused(read: Read, body: str) -> None:
    interchange = read(body)
    assert interchange.rows("discipline_incident_student") == []
    [row] = interchange.refused()
    assert (row["line"], row["column_name"], row["reason"]) == (2, "incident_id", "reference_not_found")
    assert row["entity"] == "discipline_incident_student"


def action(students: str, disciplines: str) -> str:
    return (
        "<DisciplineAction><DisciplineActionIdentifier>a1</DisciplineActionIdentifier>"
        f"{disciplines}<DisciplineDate>2024-10-02</DisciplineDate>"
        "<DisciplineActionLength>5</DisciplineActionLength>"
        "<ActualDisciplineActionLength>3</ActualDisciplineActionLength>"
        f"{students}<ResponsibilitySchoolReference><EducationalOrgIdentity><StateOrganizationId>North"
        "</StateOrganizationId></EducationalOrgIdentity></ResponsibilitySchoolReference></DisciplineAction>"
    )


def test_an_action_gives_a_row_for_each_student_and_discipline(read: Read) -> None:
    students = OLD_STUDENT.format("s1") + OLD_STUDENT.format("s2")
    disciplines = "".join(
        f"<Disciplines>{one}</Disciplines>"
        for one in ("<CodeValue>D1</CodeValue>", "<Description>A week</Description>")
    )
    rows = read(action(students, disciplines)).rows("discipline_action")
    assert [(row["student_id"], row["action"]) for row in rows] == [
        ("s1", "A week"),
        ("s1", "D1"),
        ("s2", "A week"),
        ("s2", "D1"),
    ]
    assert {(row["action_id"], row["days_planned"], row["days_actual"], row["line"]) for row in rows} == {
        ("a1", "5", "3", 2)
    }


def test_a_student_of_an_action_without_an_id_is_refused_and_the_others_are_not(read: Read) -> None:
    students = "<StudentReference><StudentIdentity/></StudentReference>" + OLD_STUDENT.format("s2")
    interchange = read(action(students, "<Discipline>D1</Discipline>"))
    assert [row["student_id"] for row in interchange.rows("discipline_action")] == ["s2"]
    assert [row["column_name"] for row in interchange.refused()] == ["student_id"]
    assert interchange.reading.rows_read == 2


# --- absent, unanswered, limited ---------------------------------------------------------------------------------


def test_a_column_that_no_element_carries_was_not_asked(read: Read) -> None:
    body = "\n".join(
        f"<Student><StudentUniqueStateId>{student}</StudentUniqueStateId>{sex}</Student>"
        for student, sex in (("s1", "<Sex>Male</Sex>"), ("s2", ""), ("s3", "<Sex/>"))
    )
    rows = read(body).rows("student_demographic")
    assert [row["sex"] for row in rows] == ["Male", "", ""]
    assert {row["races"] for row in rows} == {None}


def test_a_column_that_every_element_leaves_empty_was_asked(read: Read) -> None:
    body = "<Student><StudentUniqueStateId>s1</StudentUniqueStateId><Section504Disabilities/></Student>"
    assert read(body).rows("student_demographic")[0]["disability"] == ""


def test_entities_limit_what_is_read_and_have_a_table_even_when_empty(read: Read) -> None:
    interchange = read(attendance(), entities={"attendance_event": {}, "school": {}})
    assert interchange.counts() == {"attendance_event": 1, "school": 0}
    described = interchange.con.execute(f"DESCRIBE {interchange.reading.tables['school']}").fetchall()
    assert [row[0] for row in described] == [*ENTITIES["school"].by_name, "line"]
    assert {row[1] for row in described[:-1]} == {"VARCHAR"}
    assert described[-1][1] == "BIGINT"


def test_a_constant_takes_the_place_of_what_the_file_says_or_lacks(read: Read) -> None:
    body = "<CalendarDate><Date>2024-09-03</Date><CalendarEvent>Holiday</CalendarEvent></CalendarDate>"
    assert read(body).refused()
    constants = EntityMap(constants={"school_id": "all"})
    assert read(body, entities={"calendar_date": constants}).rows("calendar_date")[0]["school_id"] == "all"


def test_an_interchange_of_unknown_elements_has_no_tables(read: Read) -> None:
    interchange = read("<Staff><StaffUniqueId>t1</StaffUniqueId></Staff>")
    assert interchange.reading.tables == {}
    assert interchange.reading.rows_read == 0


def test_namespaces_and_prefixes_do_not_matter(read: Read) -> None:
    body = (
        '<e:InterchangeStudent xmlns:e="http://ed-fi.org/0200"><e:Student>'
        "<e:StudentUniqueId>s1</e:StudentUniqueId></e:Student></e:InterchangeStudent>"
    )
    assert read(body, whole=True).rows("student") == [{"student_id": "s1", "line": 1}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252", "iso-8859-1"])
def test_encodings_that_a_file_declares(read: Read, encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    body = f'<?xml version="1.0" encoding="{declared}"?><InterchangeX>{attendance(school="Peña")}</InterchangeX>'
    assert read(body.encode(encoding), whole=True).rows("attendance_event")[0]["school_id"] == "Peña"


def test_an_encoding_in_the_settings_overrules_the_file(read: Read) -> None:
    body = f'<?xml version="1.0" encoding="utf-8"?><InterchangeX>{attendance(school="Peña")}</InterchangeX>'
    content = body.encode("cp1252")
    assert refusal(read, content, whole=True).reason == "malformed"
    assert read(content, whole=True, encoding="cp1252").rows("attendance_event")[0]["school_id"] == "Peña"


def test_an_unknown_encoding_in_the_settings(read: Read) -> None:
    assert refusal(read, attendance(), encoding="canary").reason == "unknown_encoding"


def test_a_fault_of_ours_is_not_blamed_on_the_file(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(edfi_xml.pq, "ParquetWriter", full_disk)
    with pytest.raises(OSError, match="No space left"):
        read(attendance())


def test_character_references_comments_and_cdata(read: Read) -> None:
    rows = read(attendance(school="A &amp; <!-- not this --><![CDATA[B <]]> &#67;")).rows("attendance_event")
    assert rows[0]["school_id"] == "A & B < C"


# --- what is refused ---------------------------------------------------------------------------------------------


def test_an_element_without_a_needed_reference_is_refused_by_line_and_path(read: Read) -> None:
    body = (
        "\n\n<AttendanceEvent><EventDate>2024-09-03</EventDate>" + OLD_STUDENT.format("canary") + "</AttendanceEvent>"
    )
    interchange = read(attendance() + body)
    assert interchange.reading.rows_read == 2
    [row] = interchange.refused()
    assert (row["line"], row["column_name"], row["reason"]) == (4, "school_id", "required_value_missing")
    assert row["entity"] == "attendance_event"
    assert "SchoolReference" in row["remedy"]
    assert "canary" not in row["remedy"]
    assert row["text"] == body.strip()


def test_every_entity_that_loses_a_row_counts_it(read: Read) -> None:
    rows = read("<Student><Sex>Male</Sex></Student>").refused()
    assert sorted(row["entity"] for row in rows) == ["student", "student_demographic"]


BOMB = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>\n'


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE InterchangeX>\n",
        BOMB,
        '<!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/passwd">]>\n',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">\n',
    ],
    ids=["plain", "bomb", "external entity", "external subset"],
)
def test_a_document_type_definition_is_refused(read: Read, doctype: str) -> None:
    error = refusal(read, f"<?xml version='1.0'?>\n{doctype}<InterchangeX>&b;</InterchangeX>", whole=True)
    assert (error.reason, error.line) == ("dtd", 2)


def test_an_undefined_entity_is_malformed(read: Read) -> None:
    assert refusal(read, attendance(school="&canary;")).reason == "malformed"


@pytest.mark.parametrize("missing", [1, 8, 25, 120, 300])
def test_a_truncated_file_leaves_nothing(read: Read, tmp_path: Path, missing: int) -> None:
    whole = "<InterchangeX>\n" + "\n".join(attendance() for _ in range(3)) + "\n</InterchangeX>"
    error = refusal(read, whole[:-missing], whole=True)
    assert error.reason == "truncated"
    assert error.line in (4, 5)
    assert list(tmp_path.glob("*.parquet")) == []


def test_malformed_xml_names_its_line_and_no_value(read: Read, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(edfi_xml, "BATCH_ROWS", 1)
    body = f"{attendance()}\n{attendance(student='canary')}\n<AttendanceEvent><EventDate>canary</Wrong>"
    error = refusal(read, body)
    assert (error.reason, error.line) == ("malformed", 4)
    assert "canary" not in error.message + error.remedy
    assert list(tmp_path.glob("*.parquet")) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty_file"),
        (b"   \n", "truncated"),
        (b"student_id,date\n1,2\n", "malformed"),
        (b"<html><Student/></html>", "not_an_interchange"),
        (b'<?xml version="1.0" encoding="canary"?><InterchangeX/>', "unknown_encoding"),
        (b'<?xml version="1.0" encoding="utf-7"?><InterchangeX/>', "unknown_encoding"),
        (b"<InterchangeX>" + b"<a>" * 100 + b"</a>" * 100 + b"</InterchangeX>", "too_much"),
        (b"<InterchangeX><Student><Sex>" + b"x" * 100_001 + b"</Sex></Student></InterchangeX>", "too_much"),
        (b"<InterchangeX><Student>" + b"<Race>x</Race>" * 10_001 + b"</Student></InterchangeX>", "too_much"),
    ],
)
def test_what_is_not_a_sound_interchange(read: Read, content: bytes, reason: str) -> None:
    error = refusal(read, content, whole=True)
    assert error.reason == reason
    assert "canary" not in error.message


def test_an_action_that_multiplies_is_refused(read: Read) -> None:
    students = "".join(OLD_STUDENT.format(n) for n in range(200))
    assert refusal(read, action(students, "<Discipline>D</Discipline>" * 200)).reason == "too_much"


def test_a_folder_in_place_of_a_file(read_file: Read, tmp_path: Path) -> None:
    with pytest.raises(Unreadable) as caught:
        read_file(tmp_path)
    assert caught.value.reason == "not_readable"
    assert str(tmp_path) not in caught.value.message


# --- size --------------------------------------------------------------------------------------------------------


def test_lines_stay_right_beyond_65535(read: Read) -> None:
    body = "\n" * 70_000 + attendance() + "\n" * 70_000 + attendance(day="2024-09-04") + "\n<AttendanceEvent/>"
    interchange = read(body)
    assert [row["line"] for row in interchange.rows("attendance_event")] == [70_002, 140_002]
    assert {row["line"] for row in interchange.refused()} == {140_003}


def test_batches_lose_nothing_and_memory_does_not_grow(
    read_file: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edfi_xml, "BATCH_ROWS", 500)
    monkeypatch.setattr(edfi_xml, "CHUNK_BYTES", 1 << 14)

    def peak(students: int) -> int:
        file = tmp_path / f"{students}.xml"
        rows = "\n".join(attendance(student=f"s{n:06d}") for n in range(students))
        file.write_text(f"<InterchangeX>{rows}</InterchangeX>")
        del rows
        tracemalloc.start()
        interchange = read_file(file)
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        table = interchange.reading.tables["attendance_event"]
        found = interchange.con.execute(f"SELECT count(*), count(DISTINCT student_id), max(line) FROM {table}")
        assert found.fetchone() == (students, students, students)
        assert interchange.reading.rows_read == students
        return memory

    peak(600)
    assert peak(8_250) < 2 * peak(1_650)


# --- districts that nobody here wrote ------------------------------------------------------------------------------


@needs_daybreak
def test_daybreak_attendance(read_file: Read) -> None:
    interchange = read_file(DAYBREAK / "InterchangeAttendance.xml")
    assert interchange.reading.rows_read == 5_550
    table = interchange.reading.tables["attendance_event"]
    counted = interchange.con.execute(f"SELECT category, count(*) FROM {table} GROUP BY 1 ORDER BY 2 DESC").fetchall()
    assert counted == [("In Attendance", 5_318), ("Excused Absence", 208), ("Tardy", 22), ("Unexcused Absence", 2)]
    absent = interchange.con.execute(
        f"SELECT school_id, count(*) FILTER (category LIKE '%Absence'), count(*) FROM {table} GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert absent == [
        ("Daybreak Central High", 89, 1_776),
        ("East Daybreak Junior High", 94, 1_998),
        ("South Daybreak Elementary", 27, 1_776),
    ]
    assert interchange.con.execute(f"SELECT max(line) > 65535, count(DISTINCT line) FROM {table}").fetchone() == (
        True,
        5_550,
    )


@needs_daybreak
def test_daybreak_students(read_file: Read) -> None:
    rows = read_file(DAYBREAK / "InterchangeStudent.xml").rows("student_demographic")
    assert len(rows) == 78
    assert {row["races"] for row in rows} == {None}
    assert [row["sex"] for row in rows].count("") == 1
    assert [row["hispanic_latino"] for row in rows].count("true") == 14
    assert [row["disability"] for row in rows].count("Section 504") == 1


@needs_daybreak
def test_daybreak_discipline_and_the_rest(read_file: Read) -> None:
    interchange = read_file(DAYBREAK / "InterchangeStudentDiscipline.xml")
    assert interchange.counts() == {"discipline_incident": 2, "discipline_incident_student": 4, "discipline_action": 5}
    assert {row["days_actual"] for row in interchange.rows("discipline_action")} == {"64"}
    assert read_file(DAYBREAK / "InterchangeStudentEnrollment.xml").counts() == {"student_school_enrollment": 167}
    assert read_file(DAYBREAK / "InterchangeEducationOrganization.xml").counts() == {"school": 3}
    calendar = read_file(DAYBREAK / "InterchangeEducationOrgCalendar.xml").rows("calendar_date")
    assert len(calendar) == 556
    assert {row["school_id"] for row in calendar} == {"IL"}


@needs_odin
def test_odin_attendance_records_suspensions_as_marks(read_file: Read) -> None:
    interchange = read_file(ODIN / "InterchangeAttendance.xml")
    table = interchange.reading.tables["attendance_event"]
    counted = dict(interchange.con.execute(f"SELECT category, count(*) FROM {table} GROUP BY 1").fetchall())
    assert counted == {
        "Absence": 275,
        "Excused Absence": 115,
        "Unexcused Absence": 103,
        "In-School Suspension": 42,
        "Out-of-School Suspension": 78,
        "Tardy": 93,
        "Early departure": 25,
    }


@needs_grand_bend
def test_grand_bend_attendance_and_discipline(read_file: Read) -> None:
    interchange = read_file(GRAND_BEND / "StudentSchoolAttendance.xml")
    table = interchange.reading.tables["attendance_event"]
    counted = interchange.con.execute(
        f"SELECT school_id, count(*) FILTER (category = 'Excused Absence'), "
        f"count(*) FILTER (category = 'Unexcused Absence'), count(*) FROM {table} GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert counted == [("255901001", 389, 230, 620), ("255901044", 227, 239, 466), ("255901107", 461, 304, 831)]
    discipline = read_file(GRAND_BEND / "StudentDiscipline.xml")
    assert discipline.counts() == {
        "discipline_incident": 21,
        "discipline_incident_student": 23,
        "discipline_action": 25,
    }
    actions = [row["action"] for row in discipline.rows("discipline_action")]
    assert (actions.count("In School Suspension"), actions.count("Expulsion")) == (24, 1)
    assert discipline.refused() == []
    incidents = {(row["incident_id"], row["school_id"]) for row in discipline.rows("discipline_incident")}
    parts = {(row["incident_id"], row["school_id"]) for row in discipline.rows("discipline_incident_student")}
    assert parts == incidents
