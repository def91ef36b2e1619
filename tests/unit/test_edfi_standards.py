"""Interchanges of every Data Standard land the same rows; section attendance, programs, surveys, interventions."""

from __future__ import annotations

from typing import Any

import pytest
from test_edfi_xml import GRAND_BEND, ODIN, Interchange, Read, needs_grand_bend, needs_odin, read, read_file

from pipelines.sources.edfi_rules import RULES

__all__ = ["read", "read_file"]  # fixtures

#: Namespace, and how a code and the id of a student and of a school are written.
STANDARDS = {
    "sli": ("http://ed-fi.org/0100", "{0}", "StudentUniqueStateId", "EducationalOrgIdentity", "StateOrganizationId"),
    "2.0": ("http://ed-fi.org/0200", "<CodeValue>{0}</CodeValue>", "StudentUniqueId", "SchoolIdentity", "SchoolId"),
    "3.1": (
        "http://ed-fi.org/0310",
        "uri://ed-fi.org/{1}Descriptor#{0}",
        "StudentUniqueId",
        "SchoolIdentity",
        "SchoolId",
    ),
    "4.0": (
        "http://ed-fi.org/0400",
        "uri://ed-fi.org/{1}Descriptor#{0}",
        "StudentUniqueId",
        "SchoolIdentity",
        "SchoolId",
    ),
    "5.2": (
        "http://ed-fi.org/5.2.0",
        "uri://ed-fi.org/{1}Descriptor#{0}",
        "StudentUniqueId",
        "SchoolIdentity",
        "SchoolId",
    ),
}


class Form:
    """How one standard writes references and codes."""

    def __init__(self, standard: str) -> None:
        self.standard = standard
        self.namespace, self._code, self._student, self._identity, self._school = STANDARDS[standard]

    def code(self, value: str, descriptor: str) -> str:
        return self._code.format(value, descriptor)

    def student(self, student_id: str) -> str:
        name = self._student
        return f"<StudentReference><StudentIdentity><{name}>{student_id}</{name}></StudentIdentity></StudentReference>"

    def school(self, school_id: str, reference: str = "SchoolReference") -> str:
        identity = f"<{self._identity}><{self._school}>{school_id}</{self._school}></{self._identity}>"
        return f"<{reference}>{identity}</{reference}>"

    def section(self, school_id: str, name: str) -> str:
        if self.standard == "sli":
            inside = (
                f"<StateOrganizationId>{school_id}</StateOrganizationId><UniqueSectionCode>{name}</UniqueSectionCode>"
            )
        elif self.standard == "2.0":
            offering = f"<CourseOfferingIdentity>{self.school(school_id)}</CourseOfferingIdentity>"
            inside = f"<CourseOfferingReference>{offering}</CourseOfferingReference>"
            period = f"<ClassPeriodIdentity><ClassPeriodName>{name}</ClassPeriodName></ClassPeriodIdentity>"
            inside += f"<ClassPeriodReference>{period}</ClassPeriodReference><UniqueSectionCode>u</UniqueSectionCode>"
        else:
            offering = f"<CourseOfferingIdentity><LocalCourseCode>c</LocalCourseCode>{self.school(school_id)}"
            session = f"<SessionReference><SessionIdentity>{self.school('other')}</SessionIdentity></SessionReference>"
            inside = f"<SectionIdentifier>{name}</SectionIdentifier><CourseOfferingReference>{offering}{session}"
            inside += "</CourseOfferingIdentity></CourseOfferingReference>"
        return f"<SectionReference><SectionIdentity>{inside}</SectionIdentity></SectionReference>"

    def event(self, day: str, category: str) -> str:
        code = self.code(category, "AttendanceEventCategory")
        inside = f"<EventDate>{day}</EventDate><AttendanceEventCategory>{code}</AttendanceEventCategory>"
        return inside if self.standard == "sli" else f"<AttendanceEvent>{inside}</AttendanceEvent>"

    def whole(self, body: str, prefix: str = "") -> str:
        """An interchange; with a prefix, every element carries it."""
        mark = f"{prefix}:" if prefix else ""
        body = body.replace("</", "\0").replace("<", f"<{mark}").replace("\0", f"</{mark}")
        name = f"xmlns:{prefix}" if prefix else "xmlns"
        return f'<{mark}InterchangeTest {name}="{self.namespace}">{body}</{mark}InterchangeTest>'


def said(found: Interchange, entity: str, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in found.rows(entity)]


@pytest.mark.parametrize("prefix", ["", "edfi"])
@pytest.mark.parametrize("standard", STANDARDS)
def test_the_same_district_lands_the_same_rows_in_every_standard(read: Read, standard: str, prefix: str) -> None:
    form = Form(standard)
    grade, left = form.code("Ninth grade", "GradeLevel"), form.code("Transferred", "ExitWithdrawType")
    enrollment = (
        f"<StudentSchoolAssociation>{form.student('s1')}{form.school('n')}<EntryDate>2025-08-18</EntryDate>"
        f"<EntryGradeLevel>{grade}</EntryGradeLevel><ExitWithdrawDate>2025-12-01</ExitWithdrawDate>"
        f"<ExitWithdrawType>{left}</ExitWithdrawType></StudentSchoolAssociation>"
    )
    daily = "AttendanceEvent" if standard == "sli" else "StudentSchoolAttendanceEvent"
    day = f"<{daily}>{form.event('2025-09-02', 'Excused Absence')}{form.student('s1')}{form.school('n')}</{daily}>"
    section = (
        f"<StudentSectionAttendanceEvent>{form.event('2025-09-03', 'Tardy')}{form.student('s1')}"
        f"{form.section('n', '03')}</StudentSectionAttendanceEvent>"
    )
    found = read(form.whole(enrollment + day + section, prefix), whole=True)
    assert said(found, "student_school_enrollment", "student_id", "school_id", "entry_date", "exit_date", "grade") == [
        ("s1", "n", "2025-08-18", "2025-12-01", "Ninth grade")
    ]
    assert said(found, "attendance_event", "student_id", "school_id", "date", "category", "period") == [
        ("s1", "n", "2025-09-02", "Excused Absence", None),
        ("s1", "n", "2025-09-03", "Tardy", "03"),
    ]
    assert found.refused() == []


def test_a_mark_of_a_section_is_one_of_each_of_its_class_periods(read: Read) -> None:
    form = Form("5.2")
    periods = "".join(
        f"<ClassPeriodReference><ClassPeriodIdentity><ClassPeriodName>{name}</ClassPeriodName>{form.school('n')}"
        "</ClassPeriodIdentity></ClassPeriodReference>"
        for name in ("01", "02")
    )
    event = f"{form.event('2025-09-03', 'Absence')}{form.student('s1')}{form.section('n', 'MATH-1')}"
    found = read(f"<StudentSectionAttendanceEvent>{event}{periods}</StudentSectionAttendanceEvent>")
    assert [row[0] for row in said(found, "attendance_event", "period")] == ["01", "02"]


def test_a_section_that_names_nothing_is_refused_and_is_no_mark_of_the_whole_day(read: Read) -> None:
    form = Form("5.2")
    event = f"{form.event('2025-09-03', 'Absence')}{form.student('s1')}{form.section('n', '')}"
    found = read(f"<StudentSectionAttendanceEvent>{event}</StudentSectionAttendanceEvent>")
    assert found.reading.tables == {}
    [refused] = found.refused()
    assert (refused["column_name"], refused["reason"]) == ("period", "required_value_missing")


def test_attendance_taken_by_each_section_is_one_row_a_school_and_day(read: Read) -> None:
    form = Form("5.2")
    taken = "".join(
        f"<SectionAttendanceTakenEvent>{form.section('n', name)}<EventDate>2025-09-0{day}</EventDate>"
        "</SectionAttendanceTakenEvent>"
        for name in ("MATH-1", "ART-2")
        for day in (2, 3)
    )
    found = read(taken)
    assert (
        sorted(said(found, "attendance_taken", "school_id", "date"))
        == [("n", "2025-09-02")] * 2 + [("n", "2025-09-03")] * 2
    )
    assert found.reading.collapse == {"attendance_taken"}


PROGRAMS = sorted(
    {rule.element for rule in RULES if rule.entity == "program_participation"} - {"StudentInterventionAssociation"}
)


@pytest.mark.parametrize("element", PROGRAMS)
def test_every_kind_of_program_association_is_a_stay_in_a_program(read: Read, element: str) -> None:
    form = Form("5.2")
    district = "<EducationOrganizationIdentity><EducationOrganizationId>255901 </EducationOrganizationId>"
    district = (
        f"<EducationOrganizationReference>{district}</EducationOrganizationIdentity></EducationOrganizationReference>"
    )
    program = (
        f"<ProgramReference><ProgramIdentity>{district}<ProgramName>Bilingual</ProgramName>"
        "<ProgramType>uri://ed-fi.org/ProgramTypeDescriptor#Bilingual Ed</ProgramType></ProgramIdentity>"
        "</ProgramReference>"
    )
    body = f"<{element}>{form.student('s1')}{program}<BeginDate>2025-08-30</BeginDate>{district}"
    found = read(f"{body}<EndDate>2026-01-09</EndDate></{element}>")
    assert said(found, "program_participation", "student_id", "program_id", "program_type", "organization_id") == [
        ("s1", "Bilingual", "Bilingual Ed", "255901")
    ]
    assert said(found, "program_participation", "start_date", "end_date") == [("2025-08-30", "2026-01-09")]


SURVEY = (
    "<Survey><SurveyIdentifier>w1</SurveyIdentifier><SurveyTitle>Belonging</SurveyTitle></Survey>"
    "<SurveyQuestionResponse><SurveyQuestionReference><SurveyQuestionIdentity><QuestionCode>q1</QuestionCode>"
    "</SurveyQuestionIdentity></SurveyQuestionReference><SurveyResponseReference><SurveyResponseIdentity>"
    "<SurveyResponseIdentifier>{response}</SurveyResponseIdentifier><SurveyReference><SurveyIdentity><SurveyIdentifier>w1"
    "</SurveyIdentifier></SurveyIdentity></SurveyReference></SurveyResponseIdentity></SurveyResponseReference>"
    "<SurveyQuestionResponseValue><NumericResponse>4</NumericResponse><TextResponse>Agree</TextResponse>"
    "</SurveyQuestionResponseValue></SurveyQuestionResponse>"
)
RESPONSE = (
    "<SurveyResponse><SurveyResponseIdentifier>{response}</SurveyResponseIdentifier><SurveyReference><SurveyIdentity>"
    "<SurveyIdentifier>w1</SurveyIdentifier></SurveyIdentity></SurveyReference><ResponseDate>2025-10-0{day}</ResponseDate>"
    "<ElectronicMailAddress>canary@example.org</ElectronicMailAddress><FullName>Canary Name</FullName>"
    "<StudentReference><StudentIdentity><StudentUniqueId>s{day}</StudentUniqueId></StudentIdentity></StudentReference>"
    "</SurveyResponse>"
)
SAID = {
    "survey": {
        "constants": {"universe": "student", "opened": "2025-10-01", "closed": "2025-10-31", "is_anonymous": "false"}
    },
    "survey_response": {"constants": {"construct": "belonging"}},
}


def test_who_answered_and_when_is_lent_to_the_answers(read: Read) -> None:
    body = SURVEY.format(response="r1") + RESPONSE.format(response="r1", day=2) + RESPONSE.format(response="r9", day=3)
    found = read(body, entities=SAID)
    assert said(found, "survey", "survey_id", "survey_name", "universe") == [("w1", "Belonging", "student")]
    columns = ("survey_id", "response_id", "student_id", "submitted", "item_id", "construct", "answer")
    assert said(found, "survey_response", *columns) == [("w1", "r1", "s2", "2025-10-02", "q1", "belonging", "Agree")]
    assert found.reading.rows_read == 2
    assert "anary" not in str([found.rows(name) for name in found.reading.tables])


def test_a_questionnaire_without_an_answer_is_there(read: Read) -> None:
    body = SURVEY.format(response="r1") + RESPONSE.format(response="r1", day=2) + RESPONSE.format(response="r9", day=3)
    found = read(body, entities={**SAID, "survey_questionnaire": {}})
    assert said(found, "survey_questionnaire", "survey_id", "response_id", "student_id", "submitted") == [
        ("w1", "r1", "s2", "2025-10-02"),
        ("w1", "r9", "s3", "2025-10-03"),
    ]
    assert found.reading.rows_read == 4


def test_two_elements_that_claim_one_response_lend_nothing(read: Read) -> None:
    body = SURVEY.format(response="r1") + RESPONSE.format(response="r1", day=2) + RESPONSE.format(response="r1", day=3)
    assert said(read(body, entities=SAID), "survey_response", "student_id", "submitted") == [(None, None)]


def test_what_the_standard_does_not_say_of_a_survey_is_asked_of_the_district(read: Read) -> None:
    found = read(SURVEY.format(response="r1"), entities={"survey": {}, "survey_response": {}})
    assert {(row["entity"], row["column_name"], row["remedy"]) for row in found.refused()} == {
        ("survey", "universe", "Say universe under constants of survey: the standard has none."),
        ("survey_response", "construct", "Say construct under constants of survey_response: the standard has none."),
    }


# --- real districts ----------------------------------------------------------------------------------------------


@needs_grand_bend
def test_grand_bends_programs_survey_interventions_and_sections(read_file: Read) -> None:
    programs = read_file(GRAND_BEND / "StudentProgram.xml")
    by_name: dict[str, int] = {}
    for row in programs.rows("program_participation"):
        by_name[row["program_id"]] = by_name.get(row["program_id"], 0) + 1
    assert by_name == {
        "Bilingual": 40,
        "Career and Technical Education": 64,
        "English as a Second Language (ESL)": 38,
        "Gifted and Talented": 86,
        "Homeless": 11,
        "Migrant Education": 275,
        "Neglected and Delinquent Program": 8,
        "School Food Service": 82,
        "Section 504 Placement": 3,
        "Special Education": 97,
        "Title I Part A": 2,
    }
    assert programs.refused() == []
    interventions = read_file(GRAND_BEND / "StudentIntervention.xml")
    assert interventions.counts() == {"program_participation": 25, "intervention": 1}
    survey = read_file(GRAND_BEND / "Survey.xml", entities={**SAID, "survey_questionnaire": {}})
    assert survey.counts() == {"survey": 1, "survey_questionnaire": 12, "survey_response": 60}
    answers = survey.rows("survey_response")
    assert len({row["response_id"] for row in answers}) == 12
    assert all(row["submitted"] for row in answers)
    assert sum(row["student_id"] is not None for row in answers) == 20, "four of the twelve named a student"
    sections = read_file(GRAND_BEND / "StudentSectionAttendance-Tardy.xml")
    marks = sections.rows("attendance_event")
    assert len(marks) == 66
    assert {(row["school_id"], row["category"]) for row in marks} == {("255901107", "Tardy")}
    assert all(row["period"] for row in marks)


@needs_odin
def test_odins_suspensions_stand_among_its_attendance(read_file: Read) -> None:
    found: dict[str, int] = {}
    for row in read_file(ODIN / "InterchangeAttendance.xml").rows("attendance_event"):
        found[row["category"]] = found.get(row["category"], 0) + 1
    assert found == {
        "Absence": 275,
        "Excused Absence": 115,
        "Unexcused Absence": 103,
        "Out-of-School Suspension": 78,
        "In-School Suspension": 42,
        "Tardy": 93,
        "Early departure": 25,
    }
