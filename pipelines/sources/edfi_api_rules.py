"""What the Ed-Fi API source takes from the resources of an ODS/API, as data.

`RULES` names a resource, the entity of the input contract that it feeds, and the path of property names behind
each contract column. Paths go through arrays by themselves: `races/raceDescriptor` is a value for every race.
What no path names is never kept: names, birth dates and addresses do not reach the disk. Checked against the
OpenAPI of Data Standard 5.0; Data Standard 3.3 (ODS/API 5.x) differs by alternatives that stand here, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from pipelines import contract


@dataclass(frozen=True)
class Take:
    """Where a column's value stands in a record.

    path: property names from the record down. only: values (lower case) that count; any other is passed over.
    value: what to write in place of the property's own value. until: an array beside the value's own property whose
    items all carry an `endDate` says that the value holds no more; without items it holds.
    """

    path: str
    only: frozenset[str] = frozenset()
    value: str = ""
    until: str = ""


@dataclass(frozen=True)
class Rule:
    """How one resource feeds one entity. In a column's alternatives the first that holds a value wins.

    each: columns that may hold several values, each of which is a row.
    optional: the resource came or went with a Data Standard: an API that has none of it is whole without it.
    """

    resource: str
    entity: str
    columns: dict[str, tuple[str | Take, ...]]
    each: tuple[str, ...] = ()
    optional: bool = False

    def takes(self, column: str) -> tuple[Take, ...]:
        """The alternatives of a column, in order."""
        return tuple(Take(take) if isinstance(take, str) else take for take in self.columns.get(column, ()))


_STUDENT = "studentReference/studentUniqueId"
_SCHOOL = "schoolReference/schoolId"
_INCIDENT = "disciplineIncidentReference/incidentIdentifier"
_INCIDENT_SCHOOL = "disciplineIncidentReference/schoolId"
_PARTICIPATION = "disciplineIncidentParticipationCodes/disciplineIncidentParticipationCodeDescriptor"
_OFFENSE = "studentDisciplineIncidentBehaviorAssociations/studentDisciplineIncidentBehaviorAssociationReference"
_OLD_OFFENSE = "studentDisciplineIncidentAssociations/studentDisciplineIncidentAssociationReference"
_DESIGNATION = "disabilities/designations/disabilityDesignationDescriptor"
_SECTION_504 = "Section 504"
_IDEA = "Individuals with Disabilities Education Act"

RULES: tuple[Rule, ...] = (
    Rule(
        "schools",
        "school",
        {
            "school_id": ("schoolId",),
            "school_name": ("nameOfInstitution",),
            "level": ("schoolCategories/schoolCategoryDescriptor",),
            "school_type": ("schoolTypeDescriptor",),
            "is_charter": (
                Take("charterStatusDescriptor", only=frozenset({"not a charter school"}), value="false"),
                Take("charterStatusDescriptor", value="true"),
            ),
        },
    ),
    Rule("students", "student", {"student_id": ("studentUniqueId",)}),
    Rule(
        "studentEducationOrganizationAssociations",
        "student_demographic",
        {
            "student_id": (_STUDENT,),
            "sex": ("sexDescriptor",),
            "hispanic_latino": ("hispanicLatinoEthnicity",),
            "races": ("races/raceDescriptor",),
            # Other characteristics say nothing of this one, so a student without it is unknown and not "no".
            "economic": (
                Take(
                    "studentCharacteristics/studentCharacteristicDescriptor",
                    only=frozenset({"economic disadvantaged", "economically disadvantaged"}),
                    until="periods",
                ),
            ),
            "language": ("limitedEnglishProficiencyDescriptor",),
            "disability": (
                Take(_DESIGNATION, only=frozenset({_IDEA.lower()}), value=_IDEA),
                Take(_DESIGNATION, only=frozenset({_SECTION_504.lower()}), value=_SECTION_504),
                _DESIGNATION,
                "disabilities/disabilityDescriptor",
            ),
        },
    ),
    Rule(
        "studentSchoolAssociations",
        "student_school_enrollment",
        {
            "student_id": (_STUDENT,),
            "school_id": (_SCHOOL,),
            "entry_date": ("entryDate",),
            "exit_date": ("exitWithdrawDate",),
            "grade": ("entryGradeLevelDescriptor",),
            "calendar_id": ("calendarReference/calendarCode",),
            "enrollment_type": (
                Take("primarySchool", only=frozenset({"true"}), value="home"),
                Take("primarySchool", only=frozenset({"false"}), value="concurrent"),
            ),
            "share_of_day": ("fullTimeEquivalency",),
            "exit_type": ("exitWithdrawTypeDescriptor",),
        },
    ),
    Rule(
        "calendarDates",
        "calendar_date",
        {
            "school_id": ("calendarReference/schoolId",),
            "calendar_id": ("calendarReference/calendarCode",),
            "date": ("date",),
            "calendar_event": ("calendarEvents/calendarEventDescriptor",),
        },
    ),
    Rule(
        "studentSchoolAttendanceEvents",
        "attendance_event",
        {
            "student_id": (_STUDENT,),
            "school_id": (_SCHOOL,),
            "date": ("eventDate",),
            "category": ("attendanceEventCategoryDescriptor",),
        },
    ),
    Rule(
        "disciplineIncidents",
        "discipline_incident",
        {
            "incident_id": ("incidentIdentifier",),
            "school_id": (_SCHOOL,),
            "date": ("incidentDate",),
            "time": ("incidentTime",),
            "behavior": ("behaviors/behaviorDescriptor",),
            "location": ("incidentLocationDescriptor",),
            # reporterDescriptionDescriptor is a role; reporterName, a person, is never taken.
            "reporter_role": ("reporterDescriptionDescriptor",),
        },
    ),
    Rule(
        "studentDisciplineIncidentBehaviorAssociations",
        "discipline_incident_student",
        {
            "incident_id": (_INCIDENT,),
            "school_id": (_INCIDENT_SCHOOL,),
            "student_id": (_STUDENT,),
            "participation": (_PARTICIPATION,),
            "behavior": ("behaviorDescriptor",),
        },
    ),
    Rule(
        "studentDisciplineIncidentNonOffenderAssociations",
        "discipline_incident_student",
        {
            "incident_id": (_INCIDENT,),
            "school_id": (_INCIDENT_SCHOOL,),
            "student_id": (_STUDENT,),
            "participation": (_PARTICIPATION,),
        },
        optional=True,
    ),
    Rule(
        # Data Standard 3; gone in 4.
        "studentDisciplineIncidentAssociations",
        "discipline_incident_student",
        {
            "incident_id": (_INCIDENT,),
            "school_id": (_INCIDENT_SCHOOL,),
            "student_id": (_STUDENT,),
            "participation": ("studentParticipationCodeDescriptor",),
            "behavior": ("behaviors/behaviorDescriptor",),
        },
        optional=True,
    ),
    Rule(
        "disciplineActions",
        "discipline_action",
        {
            "action_id": ("disciplineActionIdentifier",),
            "incident_id": (f"{_OFFENSE}/incidentIdentifier", f"{_OLD_OFFENSE}/incidentIdentifier"),
            "student_id": (_STUDENT,),
            "school_id": ("responsibilitySchoolReference/schoolId", "assignmentSchoolReference/schoolId"),
            "date": ("disciplineDate",),
            "action": ("disciplines/disciplineDescriptor",),
            "days_planned": ("disciplineActionLength",),
            "days_actual": ("actualDisciplineActionLength",),
        },
        each=("action",),
    ),
)

#: What an API can feed.
FEEDS_UNASKED = frozenset(rule.entity for rule in RULES)

#: A tree of property names: what of a record is kept. A leaf is empty.
Kept = dict[str, Any]


@cache
def kept_of(resource: str) -> Kept:
    """The properties of a resource that any rule takes, as a tree of names. Beside them only `id` is kept."""
    tree: Kept = {}
    for rule in RULES:
        if rule.resource == resource:
            for column in rule.columns:
                for take in rule.takes(column):
                    _grow(tree, take.path.split("/"))
                    if take.until:
                        above = take.path.split("/")[:-1]
                        _grow(tree, [*above, take.until, "endDate"])
    return tree


@cache
def required_of(resource: str) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """For each column that the contract requires, the paths of which a record must have one."""
    return tuple(
        tuple(tuple(take.path.split("/")) for take in rule.takes(column.name))
        for rule in RULES
        if rule.resource == resource
        for column in contract.ENTITIES[rule.entity].columns
        if column.required
    )


def _grow(tree: Kept, names: list[str]) -> None:
    for name in names:
        tree = tree.setdefault(name, {})


def resources_for(entities: frozenset[str]) -> list[str]:
    """The resources that feed these entities, in the order of the rules."""
    return list(dict.fromkeys(rule.resource for rule in RULES if rule.entity in entities))


def is_optional(resource: str) -> bool:
    """Whether an API may be whole without the resource."""
    return all(rule.optional for rule in RULES if rule.resource == resource)
