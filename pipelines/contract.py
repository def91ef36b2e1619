"""The input contract, as data: what a district may hand over, entity by entity.

Everything after landing knows only these entities. The terms are Ed-Fi's and CEDS's. A column
that is not named here is never carried: names, birth dates, addresses, social security numbers,
citizenship and immigration columns have no place to go, even if a map asks for one.

Readers, maps, checks, the sample district and the data dictionary are all derived from this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ColumnType = Literal["text", "key", "code", "date", "integer", "decimal", "boolean", "time"]

#: Column names (lower case, letters only) that are refused as a map's target or source.
REFUSED_COLUMN_WORDS = (
    "socialsecurity",
    "ssn",
    "citizenship",
    "immigration",
    "immigrant",
    "alienregistration",
    "visastatus",
    "password",
)


@dataclass(frozen=True)
class Column:
    """One column of a canonical entity.

    type: `key` is replaced by a keyed hash before it leaves landing (`domain` says whose id it is);
    `code` is translated by the crosswalk named in `crosswalk`; `date` is ISO after mapping.
    identifying: its value may never be shown outside `landing/`, not even in a quarantine row.
    many: several values in one cell, separated by `|`.
    """

    name: str
    type: ColumnType
    description: str
    required: bool = False
    domain: str | None = None
    crosswalk: str | None = None
    identifying: bool = False
    many: bool = False


@dataclass(frozen=True)
class Entity:
    """One canonical entity: its columns, its key, and the date that places a row in time."""

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    date_column: str | None = None

    @property
    def by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}


def _student(required: bool = True) -> Column:
    return Column(
        "student_id", "key", "the student, as the source knows them", required, domain="student", identifying=True
    )


def _school(required: bool = True) -> Column:
    return Column("school_id", "text", "the school, by the district's own id", required)


def _text(name: str, description: str, required: bool = False) -> Column:
    return Column(name, "text", description, required)


def _date(name: str, description: str, required: bool = False) -> Column:
    return Column(name, "date", description, required)


def _code(name: str, crosswalk: str, description: str, required: bool = False, many: bool = False) -> Column:
    return Column(name, "code", description, required, crosswalk=crosswalk, many=many)


def _key(name: str, domain: str, description: str, required: bool = True) -> Column:
    return Column(name, "key", description, required, domain=domain, identifying=True)


_ALL = (
    Entity(
        "school",
        "A school that the district operates or places students in.",
        (
            _school(),
            _text("school_name", "name as the public knows it", required=True),
            _code("level", "school_level", "elementary, middle, high, combined"),
            _text("school_type", "regular, alternative, special education, career and technical"),
            Column("is_charter", "boolean", "true for a charter school"),
            Column("operated_by_district", "boolean", "false for a private or out-of-district placement"),
            _date("opened", "first day of operation"),
            _date("closed", "last day of operation"),
        ),
        key=("school_id",),
    ),
    Entity(
        "school_succession",
        "A school id for which another one answers: the school got a new id, or became a part of another school.",
        (
            _text("school_id", "the id that is no longer used", required=True),
            _text("successor_school_id", "the school that answers for it", required=True),
            _text("kind", "renumbered: the same school, a new id; merged: a part of the other school", required=True),
            _date("effective_date", "first day of the merger; a new id needs none, it holds for all years"),
        ),
        key=("school_id",),
    ),
    Entity(
        "student",
        "A student known to the district. Names and birth dates are not carried.",
        (_student(),),
        key=("student_id",),
    ),
    Entity(
        "student_identifier",
        "The same student in another system: joins sources that use different ids.",
        (
            _student(),
            _text("system", "the other system, as sources name it in student_system", required=True),
            _key("id", "student", "the student's id in that system"),
        ),
        key=("student_id", "system", "id"),
    ),
    Entity(
        "student_demographic",
        "What the district knows about a student, for a span of dates or as of today.",
        (
            _student(),
            _date("start_date", "first day on which these values held; empty when the source has no dates"),
            _date("end_date", "last day on which these values held"),
            _code("sex", "sex", "sex as recorded"),
            _code("hispanic_latino", "yes_no", "the ethnicity question, asked apart from race"),
            _code("races", "race", "every race reported", many=True),
            _code("economic", "economic", "economic disadvantage or meal eligibility"),
            _code("language", "language", "English learner status"),
            _code("disability", "disability", "IDEA, Section 504 only, or none"),
        ),
        key=("student_id", "start_date"),
        date_column="start_date",
    ),
    Entity(
        "student_school_enrollment",
        "A student's stay at a school.",
        (
            _student(),
            _school(),
            _date("entry_date", "first day of membership", required=True),
            _date("exit_date", "last day of membership; empty while it lasts"),
            _code("grade", "grade", "grade level at entry"),
            _text("calendar_id", "the school's calendar, when it has several"),
            _code("enrollment_type", "enrollment_type", "home, concurrent, or placement out of district"),
            Column("share_of_day", "decimal", "share of the school day spent there, 1 for a full day"),
            _text("responsible_school_id", "the school that answers for a placed student"),
            _text("exit_type", "why the stay ended"),
        ),
        key=("student_id", "school_id", "entry_date"),
        date_column="entry_date",
    ),
    Entity(
        "calendar_date",
        "A day in a school's calendar.",
        (
            _text("school_id", "the school, or all", required=True),
            _text("calendar_id", "the calendar, when the school has several"),
            _code("grade", "grade", "the grade that the row speaks of; empty for all"),
            _date("date", "the day", required=True),
            _code("calendar_event", "calendar_event", "instructional day, holiday and so on", required=True),
            Column("share_of_day", "decimal", "share of a full session day: 0.5 for a half day, empty for a full one"),
            Column("minutes", "integer", "instructional minutes"),
        ),
        key=("school_id", "calendar_id", "grade", "date"),
        date_column="date",
    ),
    Entity(
        "bell_schedule",
        "A period of a school's day. Needed where attendance is sent by period and only exceptions are sent.",
        (
            _text("school_id", "the school, or all", required=True),
            _text("calendar_id", "the calendar, when the school has several"),
            _date("start_date", "first day on which the schedule holds; empty when it always has"),
            _date("end_date", "last day; the same as the first for a schedule of one day"),
            _text("period", "the period, as attendance names it", required=True),
            Column("minutes", "integer", "its length, which is its weight; 0 for a period that does not count"),
        ),
        key=("school_id", "calendar_id", "start_date", "period"),
        date_column="start_date",
    ),
    Entity(
        "attendance_event",
        "A mark for a student on a day, or in a period of it. Positive attendance: a row a day or period; "
        "negative: exceptions only.",
        (
            _student(),
            _school(),
            _date("date", "the school day", required=True),
            _code("category", "attendance_category", "the mark, as the source codes it", required=True),
            _text("calendar_id", "the calendar whose codes the mark uses, when the school has several"),
            _text("period", "the period of the day; empty for the whole day"),
            Column("fraction_absent", "decimal", "share of the day, or period, missed, when the source says so"),
        ),
        key=("student_id", "school_id", "date", "period"),
        date_column="date",
    ),
    Entity(
        "attendance_taken",
        "Evidence that a school took attendance on a day, where only exceptions are sent.",
        (_school(), _date("date", "the school day", required=True)),
        key=("school_id", "date"),
        date_column="date",
    ),
    Entity(
        "discipline_incident",
        "Something that happened.",
        (
            _key("incident_id", "incident", "the incident"),
            _school(),
            _date("date", "when it happened", required=True),
            Column("time", "time", "time of day"),
            _code("behavior", "behavior", "the behavior, as the source codes it"),
            _text("location", "where on or off campus"),
            _text("reporter_role", "role of the reporter, never a name"),
        ),
        key=("incident_id", "school_id"),
        date_column="date",
    ),
    Entity(
        "discipline_incident_student",
        "A student's part in an incident.",
        (
            _key("incident_id", "incident", "the incident"),
            _school(required=False),
            _student(),
            _code("participation", "participation", "perpetrator, victim, witness, reporter"),
            _code("behavior", "behavior", "the student's own behavior"),
        ),
        key=("incident_id", "school_id", "student_id", "behavior"),
    ),
    Entity(
        "discipline_action",
        "A consequence for one student: one row for each student and kind of action.",
        (
            _key("action_id", "action", "the action"),
            _key("incident_id", "incident", "the incident that led to it", required=False),
            _student(),
            _school(),
            _date("date", "first day of the action", required=True),
            _code("action", "discipline_action", "the kind of action, as the source codes it", required=True),
            Column("days_planned", "decimal", "length as decided, in school days"),
            Column("days_actual", "decimal", "length as served, in school days"),
        ),
        key=("action_id", "student_id", "action"),
        date_column="date",
    ),
    Entity(
        "survey",
        "A survey wave.",
        (
            _text("survey_id", "the wave", required=True),
            _text("survey_name", "its title", required=True),
            _code("universe", "survey_universe", "student, family or staff", required=True),
            _date("opened", "first day of the window", required=True),
            _date("closed", "last day of the window", required=True),
            Column("is_anonymous", "boolean", "true when respondents were promised anonymity", required=True),
        ),
        key=("survey_id",),
        date_column="opened",
    ),
    Entity(
        "survey_invitation",
        "Who was asked.",
        (_text("survey_id", "the wave", required=True), _student(), _school()),
        key=("survey_id", "student_id"),
    ),
    Entity(
        "survey_questionnaire",
        "One questionnaire as the tool holds it: started or completed, a person's or a test's, first or repeated.",
        (
            _text("survey_id", "the wave", required=True),
            _key("response_id", "response", "the questionnaire"),
            _student(required=False),
            _school(required=False),
            _date("started", "day on which it was opened"),
            _date("submitted", "day on which it was sent in"),
            Column("submitted_time", "time", "time of day of submission, which orders a day's repeats"),
            Column("seconds", "integer", "time taken, as the tool measured it"),
            _text("language", "language in which it was shown"),
            Column("is_complete", "boolean", "false for one that was started and not finished"),
            Column("is_test", "boolean", "true for a test account or a preview"),
        ),
        key=("survey_id", "response_id"),
        date_column="submitted",
    ),
    Entity(
        "survey_response",
        "One answer to one item.",
        (
            _text("survey_id", "the wave", required=True),
            _key("response_id", "response", "the questionnaire returned"),
            _student(required=False),
            _school(required=False),
            _date("submitted", "day of submission"),
            _text("item_id", "the question", required=True),
            _text("construct", "what the question measures, in lower case: belonging", required=True),
            _code("answer", "survey_answer", "the answer, as the tool codes it"),
            Column("is_reversed", "boolean", "true for an item to which agreement is unfavorable"),
        ),
        key=("survey_id", "response_id", "item_id"),
        date_column="submitted",
    ),
    Entity(
        "program_participation",
        "A student's time in a program or an intervention.",
        (
            _student(),
            _text("program_id", "the program, as the source calls it", required=True),
            _text("program_type", "what kind of program it is, as the source calls that; intervention for one"),
            _text("organization_id", "the school or district that runs it"),
            _date("start_date", "first day; empty where the source has none"),
            _date("end_date", "last day; empty while it goes on"),
        ),
        key=("student_id", "program_id", "organization_id", "start_date"),
    ),
    Entity(
        "intervention",
        "Something that is done to close a gap.",
        (
            _text("intervention_id", "the intervention", required=True),
            _text("organization_id", "the school or district that runs it"),
            _text("intervention_name", "its name"),
            _date("start_date", "first day"),
            _date("end_date", "last day; empty while it goes on"),
            _text("delivery", "how it reaches students: one to one, small group, whole class"),
        ),
        key=("organization_id", "intervention_id"),
    ),
    Entity(
        "state_report",
        "A figure that the state published of a school, the district, a region or the state: no student's data.",
        (
            _text(
                "state_organization_id", "the state's own id, with its zeros; state for the whole state", required=True
            ),
            _text("organization_level", "state, region, district or school", required=True),
            Column("school_year", "integer", "the year in which the school year ends: 2026 for 2025-26", required=True),
            _code("indicator", "state_indicator", "what is measured, as the state codes it", required=True),
            _code("student_group", "state_student_group", "the group, as the state codes it", required=True),
            Column("numerator", "decimal", "the numerator as published; empty where hidden or not published"),
            Column("denominator", "decimal", "the state's denominator; empty where hidden or not published"),
            Column("rate", "decimal", "the rate as published, in rate_unit; empty where hidden"),
            _text("rate_unit", "percent, proportion or per_100"),
            _text("mask", "the mark that the state wrote in place of a number; empty where nothing is hidden"),
        ),
        key=("state_organization_id", "organization_level", "school_year", "indicator", "student_group"),
    ),
)

#: Every canonical entity, in the order in which a reader of the dictionary meets them.
ENTITIES: dict[str, Entity] = {entity.name: entity for entity in _ALL}

#: What each crosswalk may say. A code that no row maps becomes `unmapped`; an empty cell, `unknown`.
CROSSWALK_VALUES: dict[str, tuple[str, ...]] = {
    "school_level": ("elementary", "middle", "high", "combined", "unknown"),
    "yes_no": ("yes", "no", "unknown"),
    "sex": ("female", "male", "nonbinary", "unknown"),
    "race": (
        "american_indian_or_alaska_native",
        "asian",
        "black",
        "native_hawaiian_or_pacific_islander",
        "white",
        "two_or_more",
        "hispanic",
        "unknown",
    ),
    "economic": ("disadvantaged", "not_disadvantaged", "unknown"),
    "language": ("english_learner", "not_english_learner", "unknown"),
    "disability": ("idea", "section_504", "none", "unknown"),
    "grade": (
        *("pk", "kg", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12"),
        *("ungraded", "other", "unknown"),
    ),
    "enrollment_type": ("home", "concurrent", "placement"),
    "calendar_event": ("session", "not_in_session"),
    "attendance_category": (
        "present",
        "tardy",
        "partial",
        "absent_excused",
        "absent_unexcused",
        "absent_suspension",
        "absent",
        "not_taken",
    ),
    "behavior": ("subjective", "objective", "unknown"),
    "participation": ("perpetrator", "victim", "witness", "reporter", "unknown"),
    "discipline_action": (
        "out_of_school_suspension",
        "in_school_suspension",
        "expulsion",
        "disciplinary_transfer",
        "law_enforcement_referral",
        "school_related_arrest",
        "corporal_punishment",
        "other",
        "none",
    ),
    "survey_universe": ("student", "family", "staff"),
    "survey_answer": ("favorable", "neutral", "unfavorable", "not_applicable"),
    # `none`: a figure, or a group, that this project does not have. It is known, and therefore not `unmapped`.
    "state_indicator": (
        *("attendance_rate", "chronic_absence", "chronic_absence_local", "out_of_school_suspension", "enrollment"),
        "none",
    ),
    "state_student_group": (
        "all",
        "race_ethnicity:american_indian_or_alaska_native",
        *("race_ethnicity:asian", "race_ethnicity:black", "race_ethnicity:hispanic"),
        "race_ethnicity:native_hawaiian_or_pacific_islander",
        *("race_ethnicity:two_or_more", "race_ethnicity:white", "race_ethnicity:unknown"),
        *("sex:female", "sex:male", "sex:nonbinary", "sex:unknown"),
        *("economic:disadvantaged", "economic:not_disadvantaged", "economic:unknown"),
        *("language:english_learner", "language:not_english_learner", "language:unknown"),
        *("disability:idea", "disability:section_504", "disability:none", "disability:unknown"),
        "none",
    ),
}


def raw_name(column: Column) -> str:
    """The column's name behind landing: a `key` column carries a keyed hash and says so (student_id: student_key)."""
    return column.name.removesuffix("id") + "key" if column.type == "key" else column.name
