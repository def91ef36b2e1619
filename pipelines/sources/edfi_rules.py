"""What the Ed-Fi XML reader takes from an interchange, as data.

`RULES` names an element of an interchange, the entity of the input contract that it feeds, and the path of
local names behind each contract column. Namespaces are ignored and a path that a file does not use costs
nothing, so Data Standards 2 to 5 and the older SLI form (http://ed-fi.org/0100) are alternatives here, not
code. Checked against files of the SLI form and of Data Standard 5.2.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Take:
    """Where a column's value stands inside an element.

    path: local names from the element down. `A/{B|C/D}` gives one value for every `A`, from whichever of
        the alternatives it holds, and an empty one for an `A` that holds none.
    only: values (lower case) that count; any other is passed over.
    value: what to write instead of the element's own text.
    """

    path: str
    only: frozenset[str] = frozenset()
    value: str = ""


@dataclass(frozen=True)
class Refer:
    """An element named by XML id: `path` carries `ref`, and `columns` come from the `entity` row of that id."""

    path: str
    entity: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Rule:
    """How one element feeds one entity. In a column's alternatives the first that holds a value wins.

    each: columns that may hold several values, each of which is a row.
    where: the element counts only if it holds one of these values.
    says_something: columns of which one at least must occur in the file, else it feeds nothing.
    lends_by: the element makes no rows of its own: rows of the entity that hold the same in these columns, and nothing
        in another of its columns, take that from it.
    """

    element: str
    entity: str
    columns: dict[str, tuple[str | Take, ...]]
    each: tuple[str, ...] = ()
    where: Take | None = None
    says_something: tuple[str, ...] = ()
    refer: Refer | None = None
    lends_by: tuple[str, ...] = ()


def _inside(*parts: str) -> str:
    return "/".join(parts)


# The ids by which one element names another, in every form that we know.
_STUDENT_ID = ("StudentUniqueId", "StudentUniqueStateId")
_STUDENT = "StudentReference/{StudentIdentity/StudentUniqueId|StudentIdentity/StudentUniqueStateId}"
_SCHOOL_ID = "SchoolIdentity/SchoolId|EducationalOrgIdentity/StateOrganizationId"
_SCHOOL = f"SchoolReference/{{{_SCHOOL_ID}}}"
_ANY_ORGANIZATION = f"{_SCHOOL_ID}|EducationOrganizationIdentity/EducationOrganizationId"
_INCIDENT = "DisciplineIncidentReference/DisciplineIncidentIdentity"
_OFFENSE = "StudentDisciplineIncidentBehaviorAssociationReference/StudentDisciplineIncidentBehaviorAssociationIdentity"
_OLD_OFFENSE = "StudentDisciplineIncidentAssociationReference/StudentDisciplineIncidentAssociationIdentity"
_DESCRIPTOR = "{CodeValue|ShortDescription|Description}"
# A section is told by its course offering's school, which stands one level deeper from Data Standard 3 on.
_SECTION = "SectionReference/SectionIdentity"
_SECTION_SCHOOL = (
    f"{_SECTION}/CourseOfferingReference/CourseOfferingIdentity/{_SCHOOL}",
    f"{_SECTION}/CourseOfferingReference/CourseOfferingIdentity/SessionReference/SessionIdentity/{_SCHOOL}",
    f"{_SECTION}/{_SCHOOL}",
    f"{_SECTION}/StateOrganizationId",
)
_CLASS_PERIOD = "ClassPeriodReference/{ClassPeriodIdentity/ClassPeriodName}"
_SECTION_NAME = ("ClassPeriodReference/ClassPeriodIdentity/ClassPeriodName", "SectionIdentifier", "UniqueSectionCode")
_PROGRAM = "ProgramReference/ProgramIdentity"
_ORGANIZATION = f"EducationOrganizationReference/{{{_ANY_ORGANIZATION}}}"
_SURVEY_ID = "SurveyReference/SurveyIdentity/SurveyIdentifier"
_PROGRAM_STAY: dict[str, tuple[str | Take, ...]] = {
    "student_id": (_STUDENT,),
    "program_id": (f"{_PROGRAM}/ProgramName", f"{_PROGRAM}/ProgramId", f"{_PROGRAM}/ProgramType"),
    "program_type": (f"{_PROGRAM}/ProgramType",),
    "organization_id": (_ORGANIZATION, f"{_PROGRAM}/{_ORGANIZATION}", f"{_PROGRAM}/StateOrganizationId"),
    "start_date": ("BeginDate",),
    "end_date": ("EndDate", "SpecialEducationExitDate"),
}
#: What a student's stay in a program is called, by the kind of program, in all standards together.
_PROGRAM_ELEMENTS = tuple(
    f"Student{kind}ProgramAssociation"
    for kind in (
        "",
        "CTE",
        "Homeless",
        "LanguageInstruction",
        "MigrantEducation",
        "NeglectedOrDelinquent",
        "SchoolFoodService",
        "SchoolFoodServices",
        "Section504",
        "SpecialEducation",
        "TitleIPartA",
    )
)

_SECTION_504 = "Section 504"
_IDEA = "Individuals with Disabilities Education Act"
_DESIGNATION = "Disability/DisabilityDesignation"
_DISABILITY: tuple[str | Take, ...] = (
    Take(_DESIGNATION, only=frozenset({_IDEA.lower()}), value=_IDEA),
    Take(_DESIGNATION, only=frozenset({_SECTION_504.lower()}), value=_SECTION_504),
    _DESIGNATION,
    "Disability/Disability",
    "Disabilities/{Disability}",
    # The old form lists a diagnosis ("Motor Impairment"); what counts here is the law under which it is listed.
    Take("Section504Disabilities/{Section504Disability}", value=_SECTION_504),
)
_DEMOGRAPHICS: dict[str, tuple[str | Take, ...]] = {
    "sex": ("Sex",),
    "hispanic_latino": ("HispanicLatinoEthnicity",),
    "races": ("Race", "Race/RacialCategory"),
    "economic": ("EconomicDisadvantaged", "SchoolFoodServicesEligibility"),
    "language": ("LimitedEnglishProficiency",),
    "disability": _DISABILITY,
}
_SCHOOL_COLUMNS: dict[str, tuple[str | Take, ...]] = {
    "school_id": ("SchoolId", "StateOrganizationId"),
    "school_name": ("NameOfInstitution",),
    "level": ("SchoolCategory", "SchoolCategories/SchoolCategory"),
    "school_type": ("SchoolType",),
    "is_charter": (
        Take("CharterStatus", only=frozenset({"not a charter school"}), value="false"),
        Take("CharterStatus", value="true"),
    ),
}
_INCIDENT_STUDENT: dict[str, tuple[str | Take, ...]] = {
    "incident_id": (_inside(_INCIDENT, "IncidentIdentifier"),),
    "school_id": (
        _inside(_INCIDENT, _SCHOOL),
        _inside(_INCIDENT, "EducationalOrgReference/EducationalOrgIdentity/StateOrganizationId"),
    ),
    "student_id": (_STUDENT,),
    "participation": ("DisciplineIncidentParticipationCode", "StudentParticipationCode"),
    "behavior": ("Behavior", "Behavior/Behavior", f"Behaviors/{_DESCRIPTOR}"),
}
_INCIDENT_BY_ID = Refer("DisciplineIncidentReference", "discipline_incident", ("incident_id", "school_id"))

RULES: tuple[Rule, ...] = (
    Rule("School", "school", _SCHOOL_COLUMNS),
    Rule(
        "EducationOrganization",
        "school",
        _SCHOOL_COLUMNS,
        where=Take("OrganizationCategories/OrganizationCategory", only=frozenset({"school"})),
    ),
    Rule("Student", "student", {"student_id": _STUDENT_ID}),
    Rule(
        "Student",
        "student_demographic",
        {"student_id": _STUDENT_ID, **_DEMOGRAPHICS},
        # From Data Standard 3 on, Student has no demographics: the association below has.
        says_something=tuple(_DEMOGRAPHICS),
    ),
    Rule(
        "StudentEducationOrganizationAssociation",
        "student_demographic",
        {"student_id": (_STUDENT,), **_DEMOGRAPHICS},
    ),
    Rule(
        "StudentSchoolAssociation",
        "student_school_enrollment",
        {
            "student_id": (_STUDENT,),
            "school_id": (_SCHOOL,),
            "entry_date": ("EntryDate",),
            "exit_date": ("ExitWithdrawDate",),
            "grade": ("EntryGradeLevel",),
            "calendar_id": ("CalendarReference/CalendarIdentity/CalendarCode",),
            "enrollment_type": (
                Take("PrimarySchool", only=frozenset({"true", "1"}), value="home"),
                Take("PrimarySchool", only=frozenset({"false", "0"}), value="concurrent"),
            ),
            "share_of_day": ("FullTimeEquivalency",),
            "exit_type": ("ExitWithdrawType",),
        },
    ),
    Rule(
        "CalendarDate",
        "calendar_date",
        {
            "school_id": (
                "CalendarReference/CalendarIdentity/SchoolReference/SchoolIdentity/SchoolId",
                _SCHOOL,
                f"EducationOrgReference/{{{_ANY_ORGANIZATION}}}",
                f"EducationOrganizationReference/{{{_ANY_ORGANIZATION}}}",
            ),
            "calendar_id": ("CalendarReference/CalendarIdentity/CalendarCode",),
            "date": ("Date",),
            "calendar_event": ("CalendarEvent",),
        },
    ),
    *(
        Rule(
            element,
            "attendance_event",
            {
                "student_id": (_STUDENT,),
                "school_id": (_SCHOOL,),
                "date": ("EventDate", "AttendanceEvent/EventDate"),
                "category": ("AttendanceEventCategory", "AttendanceEvent/AttendanceEventCategory"),
            },
        )
        for element in ("AttendanceEvent", "StudentSchoolAttendanceEvent")
    ),
    Rule(
        "StudentSectionAttendanceEvent",
        "attendance_event",
        {
            "student_id": (_STUDENT,),
            "school_id": _SECTION_SCHOOL,
            "date": ("EventDate", "AttendanceEvent/EventDate"),
            "category": ("AttendanceEventCategory", "AttendanceEvent/AttendanceEventCategory"),
            # A section that names no class period is its own: its marks must not be taken for the whole day.
            "period": (_CLASS_PERIOD, *(f"{_SECTION}/{name}" for name in _SECTION_NAME)),
        },
        each=("period",),
    ),
    Rule(
        "SectionAttendanceTakenEvent",
        "attendance_taken",
        {
            "school_id": (
                *_SECTION_SCHOOL,
                f"CalendarDateReference/CalendarDateIdentity/CalendarReference/CalendarIdentity/{_SCHOOL}",
                f"CalendarDateReference/CalendarDateIdentity/{_SCHOOL}",
            ),
            "date": ("EventDate", "CalendarDateReference/CalendarDateIdentity/Date"),
        },
    ),
    Rule(
        "DisciplineIncident",
        "discipline_incident",
        {
            "incident_id": ("IncidentIdentifier",),
            "school_id": (_SCHOOL,),
            "date": ("IncidentDate",),
            "time": ("IncidentTime",),
            "behavior": ("Behavior", "Behavior/Behavior", f"Behaviors/{_DESCRIPTOR}"),
            "location": ("IncidentLocation",),
            # ReporterDescription is a role; ReporterName, a person, is never taken.
            "reporter_role": ("ReporterDescription",),
        },
    ),
    *(
        Rule(element, "discipline_incident_student", _INCIDENT_STUDENT, refer=_INCIDENT_BY_ID)
        for element in (
            "StudentDisciplineIncidentAssociation",
            "StudentDisciplineIncidentBehaviorAssociation",
            "StudentDisciplineIncidentNonOffenderAssociation",
        )
    ),
    Rule(
        "DisciplineAction",
        "discipline_action",
        {
            "action_id": ("DisciplineActionIdentifier",),
            "incident_id": (
                _inside(_OFFENSE, _INCIDENT, "IncidentIdentifier"),
                _inside(_OLD_OFFENSE, _INCIDENT, "IncidentIdentifier"),
                _inside(_INCIDENT, "IncidentIdentifier"),
            ),
            "student_id": (_STUDENT,),
            "school_id": (
                f"ResponsibilitySchoolReference/{{{_SCHOOL_ID}}}",
                f"AssignmentSchoolReference/{{{_SCHOOL_ID}}}",
            ),
            "date": ("DisciplineDate",),
            "action": ("Discipline", f"Disciplines/{_DESCRIPTOR}"),
            "days_planned": ("DisciplineActionLength",),
            "days_actual": ("ActualDisciplineActionLength",),
        },
        each=("student_id", "action"),
    ),
    Rule(
        "Survey",
        "survey",
        # Whom it asks, when, and whether it is anonymous are not in the standard: constants say it.
        {"survey_id": ("SurveyIdentifier",), "survey_name": ("SurveyTitle",)},
    ),
    Rule(
        "SurveyQuestionResponse",
        "survey_response",
        {
            "survey_id": (
                f"SurveyResponseReference/SurveyResponseIdentity/{_SURVEY_ID}",
                f"SurveyQuestionReference/SurveyQuestionIdentity/{_SURVEY_ID}",
            ),
            "response_id": ("SurveyResponseReference/SurveyResponseIdentity/SurveyResponseIdentifier",),
            "item_id": ("SurveyQuestionReference/SurveyQuestionIdentity/QuestionCode",),
            "answer": (
                "SurveyQuestionResponseValue/TextResponse",
                "SurveyQuestionResponseValue/NumericResponse",
                "TextResponse",
                "NumericResponse",
            ),
        },
    ),
    # Who answered, and when; name, address and location of the respondent are never taken.
    Rule(
        "SurveyResponse",
        "survey_response",
        {
            "survey_id": (_SURVEY_ID,),
            "response_id": ("SurveyResponseIdentifier",),
            "student_id": (_STUDENT, "SurveyResponderChoice/StudentReference/StudentIdentity/StudentUniqueId"),
            "submitted": ("ResponseDate",),
        },
        lends_by=("survey_id", "response_id"),
    ),
    # A questionnaire without one answer is still there.
    Rule(
        "SurveyResponse",
        "survey_questionnaire",
        {
            "survey_id": (_SURVEY_ID,),
            "response_id": ("SurveyResponseIdentifier",),
            "student_id": (_STUDENT, "SurveyResponderChoice/StudentReference/StudentIdentity/StudentUniqueId"),
            "submitted": ("ResponseDate",),
            "seconds": ("ResponseTime",),
        },
    ),
    *(Rule(element, "program_participation", _PROGRAM_STAY) for element in _PROGRAM_ELEMENTS),
    Rule(
        "StudentInterventionAssociation",
        "program_participation",
        {
            "student_id": (_STUDENT,),
            "program_id": ("InterventionReference/InterventionIdentity/InterventionIdentificationCode",),
            "program_type": (
                Take("InterventionReference/InterventionIdentity/InterventionIdentificationCode", value="intervention"),
            ),
            "organization_id": (f"InterventionReference/InterventionIdentity/{_ORGANIZATION}",),
        },
    ),
    Rule(
        "Intervention",
        "intervention",
        {
            "intervention_id": ("InterventionIdentificationCode",),
            "organization_id": (_ORGANIZATION,),
            "start_date": ("BeginDate",),
            "end_date": ("EndDate",),
            "delivery": ("DeliveryMethod",),
        },
    ),
)

#: What a source feeds that names no entities.
FEEDS_UNASKED = frozenset(rule.entity for rule in RULES)
