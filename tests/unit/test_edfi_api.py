"""Kept resources of an Ed-Fi API become contract columns: every entity, every refusal, every row accounted for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.config import Source
from pipelines.contract import ENTITIES
from pipelines.sources import Reading, Unreadable, entities_of
from pipelines.sources.edfi_api import read
from pipelines.sources.edfi_api_fetch import _kept
from pipelines.sources.edfi_api_rules import RULES, kept_of, required_of, resources_for
from pipelines.sources.edfi_api_spool import RESOURCE, Spool

SPEC = Path(__file__).parents[3] / "shared" / "data" / "edfi_api_spec" / "resources-ds-5.0.yml"
STUDENT = {"studentReference": {"studentUniqueId": "0417"}}
SCHOOL = {"schoolReference": {"schoolId": 255901001}}
INCIDENT = {"disciplineIncidentReference": {"incidentIdentifier": "I-1", "schoolId": 255901001}}
OFFENSE = {
    "incidentIdentifier": "I-1",
    "schoolId": 255901001,
    "studentUniqueId": "0417",
    "behaviorDescriptor": "uri://x#y",
}

#: A record of each resource with all that the rules take, in Data Standard 5.0, and the rows that it makes.
EXAMPLES: dict[str, tuple[dict[str, Any], list[dict[str, str | None]]]] = {
    "schools": (
        {
            "schoolId": 255901001,
            "nameOfInstitution": "Grand Bend High School",
            "schoolCategories": [{"schoolCategoryDescriptor": "uri://ed-fi.org/SchoolCategoryDescriptor#High School"}],
            "schoolTypeDescriptor": "uri://ed-fi.org/SchoolTypeDescriptor#Regular",
            "charterStatusDescriptor": "uri://ed-fi.org/CharterStatusDescriptor#Open Enrollment",
            "educationOrganizationCategories": [],
            "gradeLevels": [],
        },
        [{"school_id": "255901001", "level": "High School", "school_type": "Regular", "is_charter": "true"}],
    ),
    "students": (
        {"studentUniqueId": "0417", "firstName": "x", "lastSurname": "y", "birthDate": "2012-01-01"},
        [{"student_id": "0417"}],
    ),
    "studentEducationOrganizationAssociations": (
        {
            **STUDENT,
            "educationOrganizationReference": {"educationOrganizationId": 255901},
            "sexDescriptor": "uri://ed-fi.org/SexDescriptor#Female",
            "hispanicLatinoEthnicity": False,
            "races": [
                {"raceDescriptor": "uri://ed-fi.org/RaceDescriptor#Asian"},
                {"raceDescriptor": "uri://ed-fi.org/RaceDescriptor#White"},
            ],
            "limitedEnglishProficiencyDescriptor": "uri://ed-fi.org/LimitedEnglishProficiencyDescriptor#NotLimited",
            "disabilities": [
                {
                    "disabilityDescriptor": "uri://ed-fi.org/DisabilityDescriptor#Autism Spectrum Disorders",
                    "designations": [{"disabilityDesignationDescriptor": "uri://x#Section 504"}],
                }
            ],
            "studentCharacteristics": [
                {"studentCharacteristicDescriptor": "uri://ed-fi.org/StudentCharacteristicDescriptor#Homeless"},
                {
                    "studentCharacteristicDescriptor": "uri://x#Economic Disadvantaged",
                    "periods": [{"beginDate": "2025-08-01"}],
                },
            ],
        },
        [
            {
                "student_id": "0417",
                "start_date": None,
                "sex": "Female",
                "hispanic_latino": "false",
                "races": "Asian|White",
                "economic": "Economic Disadvantaged",
                "language": "NotLimited",
                "disability": "Section 504",
            }
        ],
    ),
    "studentSchoolAssociations": (
        {
            **STUDENT,
            **SCHOOL,
            "entryDate": "2025-08-18",
            "exitWithdrawDate": "2026-01-09",
            "entryGradeLevelDescriptor": "uri://ed-fi.org/GradeLevelDescriptor#Ninth grade",
            "calendarReference": {"calendarCode": "C1", "schoolId": 255901001, "schoolYear": 2026},
            "primarySchool": False,
            "fullTimeEquivalency": 0.5,
            "exitWithdrawTypeDescriptor": "uri://ed-fi.org/ExitWithdrawTypeDescriptor#Transferred",
        },
        [
            {
                "student_id": "0417",
                "school_id": "255901001",
                "entry_date": "2025-08-18",
                "exit_date": "2026-01-09",
                "grade": "Ninth grade",
                "calendar_id": "C1",
                "enrollment_type": "concurrent",
                "share_of_day": "0.5",
                "exit_type": "Transferred",
            }
        ],
    ),
    "calendarDates": (
        {
            "calendarReference": {"calendarCode": "C1", "schoolId": 255901001, "schoolYear": 2026},
            "date": "2025-09-01",
            "calendarEvents": [{"calendarEventDescriptor": "uri://ed-fi.org/CalendarEventDescriptor#Holiday"}],
        },
        [{"school_id": "255901001", "calendar_id": "C1", "date": "2025-09-01", "calendar_event": "Holiday"}],
    ),
    "studentSchoolAttendanceEvents": (
        {
            **STUDENT,
            **SCHOOL,
            "sessionReference": {"schoolId": 255901001, "schoolYear": 2026, "sessionName": "Fall"},
            "eventDate": "2025-09-02",
            "attendanceEventCategoryDescriptor": "uri://ed-fi.org/AttendanceEventCategoryDescriptor#Excused Absence",
        },
        [{"student_id": "0417", "school_id": "255901001", "date": "2025-09-02", "category": "Excused Absence"}],
    ),
    "disciplineIncidents": (
        {
            **SCHOOL,
            "incidentIdentifier": "I-1",
            "incidentDate": "2025-09-03",
            "incidentTime": "09:15:00",
            "behaviors": [{"behaviorDescriptor": "uri://ed-fi.org/BehaviorDescriptor#State Offense"}],
            "incidentLocationDescriptor": "uri://ed-fi.org/IncidentLocationDescriptor#On School",
            "reporterDescriptionDescriptor": "uri://ed-fi.org/ReporterDescriptionDescriptor#Staff",
            "reporterName": "Canary",
        },
        [
            {
                "incident_id": "I-1",
                "school_id": "255901001",
                "date": "2025-09-03",
                "time": "09:15:00",
                "behavior": "State Offense",
                "location": "On School",
                "reporter_role": "Staff",
            }
        ],
    ),
    "studentDisciplineIncidentBehaviorAssociations": (
        {
            **STUDENT,
            **INCIDENT,
            "behaviorDescriptor": "uri://ed-fi.org/BehaviorDescriptor#State Offense",
            "disciplineIncidentParticipationCodes": [
                {"disciplineIncidentParticipationCodeDescriptor": "uri://x#Perpetrator"}
            ],
        },
        [
            {
                "incident_id": "I-1",
                "school_id": "255901001",
                "student_id": "0417",
                "participation": "Perpetrator",
                "behavior": "State Offense",
            }
        ],
    ),
    "studentDisciplineIncidentNonOffenderAssociations": (
        {
            **STUDENT,
            **INCIDENT,
            "disciplineIncidentParticipationCodes": [
                {"disciplineIncidentParticipationCodeDescriptor": "uri://x#Victim"}
            ],
        },
        [{"incident_id": "I-1", "student_id": "0417", "participation": "Victim", "behavior": None}],
    ),
    "studentDisciplineIncidentAssociations": (
        {
            **STUDENT,
            **INCIDENT,
            "behaviors": [{"behaviorDescriptor": "uri://x#State Offense"}],
            "studentParticipationCodeDescriptor": "uri://x#Perpetrator",
        },
        [{"incident_id": "I-1", "student_id": "0417", "participation": "Perpetrator", "behavior": "State Offense"}],
    ),
    "disciplineActions": (
        {
            **STUDENT,
            "disciplineActionIdentifier": "A-1",
            "disciplineDate": "2025-09-04",
            "responsibilitySchoolReference": {"schoolId": 255901001},
            "disciplines": [
                {"disciplineDescriptor": "uri://x#Out of School Suspension"},
                {"disciplineDescriptor": "uri://x#Expulsion"},
            ],
            "disciplineActionLength": 5.0,
            "actualDisciplineActionLength": 3.5,
            "studentDisciplineIncidentBehaviorAssociations": [
                {"studentDisciplineIncidentBehaviorAssociationReference": OFFENSE}
            ],
        },
        [
            {
                "action_id": "A-1",
                "incident_id": "I-1",
                "school_id": "255901001",
                "action": action,
                "days_planned": "5.0",
                "days_actual": "3.5",
            }
            for action in ("Out of School Suspension", "Expulsion")
        ],
    ),
}


def source(*entities: str) -> Source:
    return Source.model_validate(
        {"kind": "edfi_api", "connection": "X", "missing_rows": "full", "entities": {name: {} for name in entities}}
    )


def kept(folder: Path, resource: str, records: list[Any]) -> Path:
    """A kept file of these records, as fetching writes it, in their order."""
    path = folder / f"{resource}.parquet"
    schema = pa.schema([("id", pa.string()), ("record", pa.string())]).with_metadata({RESOURCE: resource})
    texts = [one if isinstance(one, str) else json.dumps(one) for one in records]
    pq.write_table(pa.table([[f"{n:08}" for n in range(len(texts))], texts], schema=schema), path)
    return path


def entity_of(resource: str) -> str:
    return next(rule.entity for rule in RULES if rule.resource == resource)


def rows_of(con: duckdb.DuckDBPyConnection, reading: Reading, entity: str) -> list[dict[str, Any]]:
    found = con.execute(f"SELECT * FROM {reading.tables[entity]} ORDER BY line").fetchall()
    names = [column.name for column in ENTITIES[entity].columns] + ["line"]
    return [dict(zip(names, row, strict=True)) for row in found]


def refused_of(con: duckdb.DuckDBPyConnection, reading: Reading) -> list[tuple[Any, ...]]:
    return con.execute(f"SELECT line, column_name, reason, entity FROM {reading.refused} ORDER BY line").fetchall()


@pytest.mark.parametrize("resource", EXAMPLES)
def test_every_resource_feeds_its_entity(resource: str, tmp_path: Path) -> None:
    record, expected = EXAMPLES[resource]
    con = duckdb.connect()
    of_record = _kept(record, kept_of(resource), "")
    reading = read(con, kept(tmp_path, resource, [of_record]), source(), tmp_path)
    found = rows_of(con, reading, entity_of(resource))
    assert sorted(map(str, ({name: row[name] for name in expected[0]} for row in found))) == sorted(map(str, expected))
    assert (reading.rows_read, refused_of(con, reading), {row["line"] for row in found}) == (len(expected), [], {1})


def test_every_rule_has_an_example_and_every_column_is_taken() -> None:
    assert EXAMPLES.keys() == {rule.resource for rule in RULES}
    for rule in RULES:
        assert rule.columns.keys() <= ENTITIES[rule.entity].by_name.keys()
        assert {column.name for column in ENTITIES[rule.entity].columns if column.required} <= rule.columns.keys()


@pytest.mark.parametrize("resource", [one for one in EXAMPLES if one != "studentDisciplineIncidentAssociations"])
def test_every_path_and_example_is_as_the_published_description_says(resource: str) -> None:
    if not SPEC.exists():
        pytest.skip("needs ../shared/data/edfi_api_spec")
    schemas = _schemas()
    top = f"edFi_{resource[0].lower()}{resource.removesuffix('s')[1:]}"
    assert _unknown(kept_of(resource), top, schemas) <= {"studentDisciplineIncidentAssociations"}
    assert set(schemas[top]["required"]) <= EXAMPLES[resource][0].keys()
    for paths in required_of(resource):
        assert any(path[0] in schemas[top]["required"] for path in paths)


_LOADED: dict[str, Any] = {}


def _schemas() -> dict[str, Any]:
    if not _LOADED:
        _LOADED.update(yaml.load(SPEC.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["components"]["schemas"])
    return _LOADED


def _unknown(tree: dict[str, Any], schema: str, schemas: dict[str, Any]) -> set[str]:
    """The properties of a tree that the schema does not have."""
    unknown = set()
    for name, below in tree.items():
        found = schemas[schema]["properties"].get(name)
        if found is None:
            unknown.add(name)
        elif below:
            unknown |= _unknown(below, (found.get("items") or found)["$ref"].rsplit("/", 1)[1], schemas)
    return unknown


def test_absent_is_not_asked_and_empty_is_not_answered(tmp_path: Path) -> None:
    con = duckdb.connect()
    records = [{**STUDENT, "sexDescriptor": "uri://x#Male", "races": []}, STUDENT]
    reading = read(con, kept(tmp_path, "studentEducationOrganizationAssociations", records), source(), tmp_path)
    rows = rows_of(con, reading, "student_demographic")
    assert [(row["sex"], row["races"], row["language"]) for row in rows] == [("Male", "", None), ("", "", None)]


def test_a_characteristic_that_has_ended_says_nothing(tmp_path: Path) -> None:
    con = duckdb.connect()
    poor = {"studentCharacteristicDescriptor": "uri://x#Economic Disadvantaged"}
    ended, open_ = {"beginDate": "2024-08-01", "endDate": "2025-06-01"}, {"beginDate": "2025-08-01"}
    records = [
        {**STUDENT, "studentCharacteristics": [{**poor, **more}]}
        for more in ({"periods": [ended]}, {"periods": [ended, open_]}, {"periods": []}, {})
    ]
    reading = read(con, kept(tmp_path, "studentEducationOrganizationAssociations", records), source(), tmp_path)
    found = [row["economic"] for row in rows_of(con, reading, "student_demographic")]
    assert found == ["", *["Economic Disadvantaged"] * 3]


def test_records_that_lack_what_is_needed_are_refused_by_their_line(tmp_path: Path) -> None:
    con = duckdb.connect()
    good = EXAMPLES["disciplineActions"][0]
    records = [
        good,
        {**good, "studentReference": {}},
        {**good, "disciplines": []},
        {**good, "disciplines": [{"disciplineDescriptor": "uri://x#a"}, {}]},
        {**good, "disciplineActionIdentifier": "\ud800"},
        {**good, "disciplineActionIdentifier": "a\0b"},
        {name: value for name, value in good.items() if name != "disciplineDate"},
        "not json",
        "[]",
    ]
    reading = read(con, kept(tmp_path, "disciplineActions", records), source(), tmp_path)
    assert refused_of(con, reading) == [
        (2, "student_id", "required_value_missing", "discipline_action"),
        (3, "action", "required_value_missing", "discipline_action"),
        (4, "action", "required_value_missing", "discipline_action"),
        (5, "action_id", "not_text", "discipline_action"),
        (6, "action_id", "not_text", "discipline_action"),
        (7, "date", "required_value_missing", "discipline_action"),
        (8, None, "not_a_record", "discipline_action"),
        (9, None, "not_a_record", "discipline_action"),
    ]
    assert (len(rows_of(con, reading, "discipline_action")), reading.rows_read) == (2, 10)
    (remedies,) = con.execute(f"SELECT count(*) FILTER (remedy = '') FROM {reading.refused}").fetchall()
    assert remedies == (0,)


def test_a_required_property_that_no_record_has_is_a_changed_shape(tmp_path: Path) -> None:
    records = [{"studentReference": {"uniqueId": "0417"}, **SCHOOL, "entryDate": "2025-08-18"}] * 3
    with pytest.raises(Unreadable) as problem:
        read(duckdb.connect(), kept(tmp_path, "studentSchoolAssociations", records), source(), tmp_path)
    assert problem.value.reason == "schema_changed"
    assert "studentSchoolAssociations: no record has studentReference.studentUniqueId" in problem.value.message
    assert "0417" not in problem.value.message


def test_a_resource_without_records_feeds_an_empty_entity(tmp_path: Path) -> None:
    con = duckdb.connect()
    reading = read(con, kept(tmp_path, "students", []), source(), tmp_path)
    assert (rows_of(con, reading, "student"), reading.rows_read) == ([], 0)


def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("Canary")
    pq.write_table(pa.table({"id": ["1"], "record": ["{}"]}), tmp_path / "other")
    for path in (tmp_path / "text", tmp_path / "other", tmp_path, kept(tmp_path, "staffs", [{}])):
        with pytest.raises(Unreadable) as problem:
            read(duckdb.connect(), path, source(), tmp_path)
        assert problem.value.reason == "not_an_answer"


def test_what_the_source_names_is_all_that_is_fetched_and_read(tmp_path: Path) -> None:
    assert entities_of(source("student", "school")) == ["school", "student"]
    assert resources_for(frozenset({"student", "school"})) == ["schools", "students"]
    assert set(entities_of(source())) == {rule.entity for rule in RULES}
    reading = read(duckdb.connect(), kept(tmp_path, "students", [{"studentUniqueId": "1"}]), source("school"), tmp_path)
    assert (reading.tables, reading.rows_read) == ({}, 0)


def test_a_constant_is_not_asked_of_the_records(tmp_path: Path) -> None:
    con = duckdb.connect()
    named = source("attendance_event").model_dump()
    named["entities"]["attendance_event"]["constants"] = {"category": "A"}
    record = {**STUDENT, **SCHOOL, "eventDate": "2025-09-02"}
    path = kept(tmp_path, "studentSchoolAttendanceEvents", [record])
    reading = read(con, path, Source.model_validate(named), tmp_path)
    assert [row["category"] for row in rows_of(con, reading, "attendance_event")] == ["A"]


# --- properties --------------------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=6), below, max_size=3),
    max_leaves=8,
)


@given(resource=st.sampled_from(sorted(EXAMPLES)), data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_record_becomes_rows_or_is_refused(resource: str, data: st.DataObject, tmp_path_factory: Any) -> None:
    """One good record among others in which anything may stand anywhere: none is lost, and nothing is raised."""
    folder = tmp_path_factory.mktemp("any")
    good = EXAMPLES[resource][0]
    broken = data.draw(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(good, _JSON)), max_size=6))
    con = duckdb.connect()
    reading = read(con, kept(folder, resource, [good, *broken]), source(), folder)
    rows = rows_of(con, reading, entity_of(resource))
    refused = refused_of(con, reading)
    assert {row["line"] for row in rows} | {line for line, *_ in refused} == set(range(1, len(broken) + 2))
    assert not {row["line"] for row in rows} & {line for line, *_ in refused}
    assert reading.rows_read == len(rows) + len(refused)
    required = [column.name for column in ENTITIES[entity_of(resource)].columns if column.required]
    assert all(row[name] for row in rows for name in required)


_IDS = st.text("0123456789abcdef", min_size=1, max_size=2)


@given(
    base=st.dictionaries(_IDS, st.text(max_size=3)),
    windows=st.lists(st.tuples(st.lists(st.tuples(_IDS, st.text(max_size=3))), st.sets(_IDS)), max_size=4),
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_state_with_changes_is_what_a_dictionary_would_hold(
    base: dict[str, str], windows: list[tuple[list[tuple[str, str]], set[str]]], tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    before, after = folder / "before.parquet", folder / "after.parquet"
    first = Spool(folder / "first.sqlite", "x")
    first.add_page(first.begin(None, 1), 0, base.items())
    assert first.export(None, "students", before) == len(base)
    first.close()
    expected = dict(base)
    spool = Spool(folder / "spool.sqlite", "x")
    for number, (rows, gone) in enumerate(windows):
        window = spool.begin(number, number)
        spool.add_page(window, 0, rows)
        assert spool.count(window) == len({id_ for id_, _ in rows})
        spool.add_gone(window, gone)
        expected.update(rows)
        for id_ in gone:
            expected.pop(id_, None)
    assert spool.export(before, "students", after) == len(expected)
    spool.close()
    found = pq.read_table(after).to_pydict()
    assert list(zip(found["id"], found["record"], strict=True)) == sorted(expected.items())
