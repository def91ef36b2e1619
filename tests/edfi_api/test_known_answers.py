"""What a real ODS/API once returned, served again: associations by school, and what nights of changes leave."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipelines.keys import pseudonym
from pipelines.sources import edfi_api_fetch
from tests.edfi_api.nights import MONDAY, PSEUDONYM_KEY, TUESDAY, WEDNESDAY, District, rows, running, state
from tests.edfi_api.server import Ods, described

DATA = Path(__file__).parents[3] / "shared" / "data" / "oea" / "edfi_api"
ENTITIES = ("school", "student", "student_school_enrollment")
RESOURCES = ("schools", "students", "studentSchoolAssociations")
BY_SCHOOL = {"255901001": 2250, "255901004": 1367, "255901005": 1236, "255901003": 860, "255901002": 790}
#: The day whose files are the first load. It came with the deletion of a school, and later days with another school.
FIRST = "2022-07-14"


def records(resource: str, what: str, day: str) -> list[dict[str, Any]]:
    """Lines of all files of a day. A file without records is a lone byte order mark."""
    found = []
    for path in sorted((DATA / resource / "incremental" / what / f"rundate={day}").glob("*.json")):
        found += [json.loads(line) for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    return found


@pytest.fixture
def ods() -> Ods:
    if not DATA.exists():
        pytest.skip("needs ../shared/data/oea/edfi_api")
    api = Ods()
    for resource in RESOURCES:
        api.resources[resource] = {}
        for record in records(resource, "upserts", FIRST):
            api.put(resource, record)
    return api


@pytest.mark.parametrize("version", ["5.3", "7.1", "7.3"])
def test_6503_associations_by_school(ods: Ods, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ods.version = version
    with running(ods, monkeypatch, tmp_path):
        district = District(tmp_path, ENTITIES)
        landing = district.land()
    assert (state(landing).status, state(landing).message, ods.wrong) == ("new", "", [])
    counts = {one.entity: (one.rows_read, one.rows_accepted) for one in landing.files}
    assert counts == {"school": (5, 5), "student": (6501, 6501), "student_school_enrollment": (6503, 6503)}
    assert Counter(school for (school,) in rows(landing, "student_school_enrollment", "school_id")) == BY_SCHOOL
    by_student = Counter(rows(landing, "student_school_enrollment", "student_key"))
    assert Counter(by_student.values()) == {1: 6499, 2: 2}
    assert set(by_student) == set(rows(landing, "student", "student_key"))
    of_one = "student_key, school_id, entry_date, exit_date, grade, calendar_id, enrollment_type"
    first = (pseudonym(PSEUDONYM_KEY, "student", "002251"), "255901002", "2016-08-22", "2017-05-26", "Seventh grade")
    assert (*first, None, None) in rows(landing, "student_school_enrollment", of_one)
    assert ("255901001", "Riverdale High School", "High School", "Regular", "false") in rows(
        landing, "school", "school_id, school_name, level, school_type, is_charter"
    )


def test_a_later_night_takes_the_deleted_school_away_and_the_new_one_in(
    ods: Ods, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edfi_api_fetch, "OVERLAP", 0)
    with running(ods, monkeypatch, tmp_path):
        district = District(tmp_path, ENTITIES)
        district.land(MONDAY)
        (deletion,) = records("schools", "deletes", FIRST)
        ods.newest = int(deletion["ChangeVersion"])
        del ods.resources["schools"][deletion["Id"]]
        ods.deletes["schools"] = [
            {"Id": deletion["Id"], "ChangeVersion": deletion["ChangeVersion"], "changeVersion": ods.newest}
        ]
        for record in records("schools", "upserts", "2022-08-10"):
            ods.put("schools", record)
        asked = len(ods.requests)
        landing = district.land(TUESDAY)
        assert {school for (school,) in rows(landing, "school", "school_id")} == {
            *(BY_SCHOOL.keys() - {"255901005"}),
            "13894",
        }
        # Of 13,004 records only what changed was asked for.
        assert len(ods.requests) - asked == 1 + 3 * len(RESOURCES)
        before = {one.file_id for one in landing.files if one.is_live}
        again = district.land(WEDNESDAY)
    assert (state(again).status, state(again).last_received) == ("unchanged", TUESDAY)
    assert {one.file_id for one in again.files if one.is_live} == before


def test_the_served_records_are_as_the_description_says(ods: Ods) -> None:
    if not described():
        pytest.skip("needs ../shared/data/edfi_api_spec")
    schemas = described()["components"]["schemas"]
    for resource, schema in zip(RESOURCES, ("school", "student", "studentSchoolAssociation"), strict=True):
        properties = schemas[f"edFi_{schema}"]
        for record in ods.state(resource):
            assert set(properties["required"]) <= record.keys()
