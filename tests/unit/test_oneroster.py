"""OneRoster sets: what each file feeds, what a delta changes and takes back, and what broken ones may not do."""

from __future__ import annotations

import csv
import io
import json
import random
import zipfile
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.changes import rows_in_use
from pipelines.config import Source
from pipelines.district_file import ConfigurationProblems, load
from pipelines.home import Home
from pipelines.keys import KeyFile, pseudonym
from pipelines.landing import Landing, LiveFile, land
from pipelines.raw_files import Account, RawFiles
from pipelines.sources import Unreadable, oneroster
from pipelines.sources.oneroster_layouts import FEEDS
from pipelines.sources.oneroster_manifest import fault

DAY = date(2025, 9, 1)
CANARY = "Quetzalcoatlus"
HEAD = """\
district: {id: d, name: D, contact: x@example.org, time_zone: America/Chicago}
calendar:
  - {school_year: 2026, first_day: 2025-08-12, last_day: 2026-05-28}
sources:
  roster: {kind: oneroster, files: set, missing_rows: MEANING, whole: {stable_seconds: 0}EXTRA}
"""
COMMON = ["sourcedId", "status", "dateLastModified"]
HEADERS = {
    "orgs": [*COMMON, "name", "type", "identifier", "parentSourcedId"],
    "users": [
        *COMMON,
        *("enabledUser", "orgSourcedIds", "role", "username", "userIds", "givenName", "familyName", "middleName"),
        *("identifier", "email", "sms", "phone", "agentSourcedIds", "grades", "password"),
    ],
    "users_1.2": [
        *COMMON,
        *("enabledUser", "username", "userIds", "givenName", "familyName", "middleName", "identifier", "email", "sms"),
        *("phone", "agentSourcedIds", "grades", "password", "userMasterIdentifier", "primaryOrgSourcedId", "pronouns"),
    ],
    "roles": [*COMMON, "userSourcedId", "roleType", "role", "beginDate", "endDate", "orgSourcedId"],
    "demographics": [
        *COMMON,
        *("birthDate", "sex", "americanIndianOrAlaskaNative", "asian", "blackOrAfricanAmerican"),
        *("nativeHawaiianOrOtherPacificIslander", "white", "demographicRaceTwoOrMoreRaces"),
        *("hispanicOrLatinoEthnicity", "countryOfBirthCode", "cityOfBirth"),
    ],
    "enrollments": [
        *COMMON,
        *("classSourcedId", "schoolSourcedId", "userSourcedId", "role", "primary", "beginDate", "endDate"),
    ],
    "classes": [*COMMON, "title", "grades", "courseSourcedId", "classType", "schoolSourcedId", "termSourcedIds"],
    "academicSessions": [*COMMON, "title", "type", "startDate", "endDate", "parentSourcedId", "schoolYear"],
    "courses": [*COMMON, "schoolYearSourcedId", "title", "courseCode", "grades", "orgSourcedId"],
    "categories": [*COMMON, "title", "metadata.color"],
    "manifest": ["propertyName", "value"],
}


def text(name: str, *records: dict[str, str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, HEADERS[name], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def user(sid: str, role: str = "student", **more: str) -> dict[str, str]:
    return {"sourcedId": sid, "role": role, "username": sid, "givenName": CANARY, "familyName": CANARY, **more}


def enrolled(sid: str, student: str, begin: str = "2025-08-12", end: str = "", **more: str) -> dict[str, str]:
    fixed = {"classSourcedId": "c", "schoolSourcedId": "S", "role": "student"}
    return {"sourcedId": sid, "userSourcedId": student, **fixed, "beginDate": begin, "endDate": end, **more}


def org(sid: str, kind: str = "school") -> dict[str, str]:
    return {"sourcedId": sid, "name": "High", "type": kind}


def gone(sid: str, **more: str) -> dict[str, str]:
    return {"sourcedId": sid, "status": "tobedeleted", "dateLastModified": "2025-09-01T00:00:00Z", **more}


class District:
    """A set of files in `set/`, landed night by night."""

    def __init__(self, folder: Path, meaning: str = "full", extra: str = "") -> None:
        self.folder, self.said, self.night = folder, [], 0  # type: tuple[Path, list[str], int]
        yaml = HEAD.replace("MEANING", meaning).replace("EXTRA", f", {extra}" if extra else "")
        (folder / "district.yaml").write_text(yaml, encoding="utf-8")
        (folder / "set").mkdir(exist_ok=True)

    def put(self, **files: str) -> None:
        for name, content in files.items():
            (self.folder / "set" / f"{name}.csv").write_text(content, encoding="utf-8")

    def land(self) -> Landing:
        self.night += 1
        day = DAY + timedelta(days=self.night)
        home = Home.open(self.folder / "home")
        landing = land(load(self.folder / "district.yaml"), home, as_of=day, say=self.said.append)
        for one in landing.files:
            assert one.rows_read == one.rows_accepted + one.rows_refused + one.rows_filtered + one.rows_collapsed
        return landing

    def key(self, student: str) -> int:
        return pseudonym(KeyFile.load_or_create(Home.open(self.folder / "home")).key, "student", student)


def of(landing: Landing, entity: str) -> list[LiveFile]:
    return [one for one in landing.files if one.entity == entity and one.is_live]


def raw(landing: Landing, entity: str, columns: str) -> list[Any]:
    paths = [str(one.raw_path) for one in of(landing, entity)]
    return duckdb.execute(f"SELECT {columns} FROM read_parquet(?) ORDER BY ALL", [paths]).fetchall()


def refused(landing: Landing) -> list[tuple[str, str, str, int]]:
    paths = [str(one.refused_path) for one in landing.files if one.refused_path]
    query = "SELECT entity, column_name, reason, line FROM read_parquet(?) ORDER BY ALL"
    return duckdb.execute(query, [paths]).fetchall() if paths else []


def counts(file: LiveFile) -> tuple[int, int, int, int]:
    return file.rows_read, file.rows_accepted, file.rows_refused, file.rows_filtered


# --- what each file feeds ------------------------------------------------------------------------------------


def test_each_file_feeds_what_it_alone_can_say(tmp_path: Path) -> None:
    district = District(tmp_path)
    district.put(
        orgs=text("orgs", org("D", "district"), org("S", "School")),
        users=text("users", user("1"), user("2", "Student"), user("3", "teacher")),
        demographics=text("demographics", {"sourcedId": "1", "sex": "female", "asian": "true", "white": "TRUE"}),
        enrollments=text("enrollments", enrolled("e1", "1"), enrolled("e2", "3", role="teacher")),
        classes=text("classes", {"sourcedId": "c", "title": CANARY}),
        academicSessions=text("academicSessions", {"sourcedId": "t", "title": "Fall"}),
        courses=text("courses", {"sourcedId": "k", "title": "Algebra"}),
        categories=text("categories", {"sourcedId": "g", "title": "Quiz"}),
    )  # fmt: skip
    landing = district.land()
    assert [state.message for state in landing.sources] == [""]
    assert raw(landing, "school", "school_id, school_name") == [("S", "High")]
    assert {row[0] for row in raw(landing, "student", "student_key")} == {district.key("1"), district.key("2")}
    (demographic,) = raw(
        landing, "student_demographic", "student_key, sex, races, hispanic_latino, start_date, economic"
    )
    assert demographic == (district.key("1"), "female", "Asian|White", "", None, None)
    (spell,) = raw(landing, "student_school_enrollment", "student_key, school_id, entry_date, exit_date, grade, line")
    assert spell == (district.key("1"), "S", "2025-08-12", "", None, 2)
    found = {one.entity: counts(one) for one in landing.files}
    assert found == {
        "school": (2, 1, 0, 1),
        "student": (3, 2, 0, 1),
        "student_demographic": (1, 1, 0, 0),
        "student_school_enrollment": (2, 1, 0, 1),
    }
    for one in landing.files:
        assert CANARY.encode() not in one.raw_path.read_bytes()


def test_no_race_set_is_unknown_and_every_race_set_is_kept(tmp_path: Path) -> None:
    flags = HEADERS["demographics"][5:11]
    district = District(tmp_path)
    none, every = dict.fromkeys(flags, "false"), dict.fromkeys(flags, "true")
    district.put(
        demographics=text("demographics", {"sourcedId": "1", **none}, {"sourcedId": "2"}, {"sourcedId": "3", **every})
    )
    races = [row[0] for row in raw(district.land(), "student_demographic", "races, line")]
    assert races[:2] == ["", ""]
    assert races[2].split("|") == [
        "American Indian or Alaska Native",
        "Asian",
        "Black or African American",
        "Native Hawaiian or Other Pacific Islander",
        "White",
        "Two or more races",
    ]


def test_in_version_1_2_roles_say_who_is_a_student(tmp_path: Path) -> None:
    district = District(tmp_path)
    roles = [
        {"sourcedId": "r1", "userSourcedId": "1", "role": "student", "roleType": "primary", "orgSourcedId": "S"},
        {"sourcedId": "r2", "userSourcedId": "2", "role": "teacher", "roleType": "primary", "orgSourcedId": "S"},
    ]
    people = [{k: v for k, v in user(sid).items() if k != "role"} for sid in ("1", "2")]
    district.put(users=text("users_1.2", *people), roles=text("roles", *roles))
    landing = district.land()
    assert raw(landing, "student", "student_key") == [(district.key("1"),)]
    found = {one.file_name: counts(one) for one in landing.files}
    assert found == {"set/users.csv": (2, 0, 0, 2), "set/roles.csv": (2, 1, 0, 1)}


def test_identifiers_are_joined_where_that_is_asked_for(tmp_path: Path) -> None:
    district = District(tmp_path, extra="entities: {student: {}, student_identifier: {}}")
    district.put(
        users=text(
            "users",
            user("1", userIds="{Local:863},{State: 12}", identifier="A-7"),
            user("2", userIds="863"),
            user("3"),
            user("4", "teacher", userIds="also not read"),
        )
    )
    landing = district.land()
    ids = raw(landing, "student_identifier", "system, student_key, key")
    wanted = [("Local", "863"), ("State", "12"), ("identifier", "A-7")]
    assert ids == sorted((system, district.key("1"), district.key(value)) for system, value in wanted)
    (account,) = of(landing, "student_identifier")
    assert (account.rows_accepted, account.rows_refused, account.rows_filtered) == (3, 1, 2)
    assert refused(landing) == [("student_identifier", "userIds", "unreadable_ids", 3)]
    assert len(raw(landing, "student", "line")) == 3


def test_a_zip_a_byte_order_mark_other_cases_and_extension_columns(tmp_path: Path) -> None:
    district = District(tmp_path)
    (tmp_path / "district.yaml").write_text(
        (tmp_path / "district.yaml").read_text(encoding="utf-8").replace("files: set", "files: set/all.zip"),
        encoding="utf-8",
    )
    content = text("orgs", {"sourcedId": "S", "name": "High", "type": "school"}).replace("\n", ",\r\n")
    content = content.replace("sourcedId", "SOURCEDID").replace("parentSourcedId,", "parentSourcedId,metadata.x", 1)
    with zipfile.ZipFile(tmp_path / "set" / "all.zip", "w") as archive:
        archive.writestr("orgs.csv", "\ufeff" + content)
        archive.writestr("users.csv", text("users", user("1")))
    landing = district.land()
    assert raw(landing, "school", "school_id") == [("S",)]
    assert len(raw(landing, "student", "line")) == 1


# --- what is refused -----------------------------------------------------------------------------------------


def test_rows_that_do_not_say_enough_are_refused_with_their_line(tmp_path: Path) -> None:
    district = District(tmp_path)
    district.put(
        users=text(
            "users", user("1"), user(""), user("3", ""), user("4", status="inactive"), user("5", status="Active")
        ),
        enrollments=text("enrollments", enrolled("e", "1", ""), enrolled("f", "1", "12/08/2025"), enrolled("g", "1")),
        demographics=text("demographics", {"sourcedId": "1", "asian": CANARY}, {"sourcedId": "5"}),
    )
    landing = district.land()
    assert refused(landing) == [
        ("student", "role", "required_value_missing", 4),
        ("student", "sourcedId", "required_value_missing", 3),
        ("student", "status", "unknown_status", 5),
        ("student_demographic", "asian", "unreadable_boolean", 2),
        ("student_school_enrollment", "entry_date", "required_value_missing", 2),
        ("student_school_enrollment", "entry_date", "unreadable_date", 3),
    ]
    assert len(raw(landing, "student", "line")) == 2
    spoken = json.dumps([district.said, [state.message + state.remedy for state in landing.sources]])
    assert CANARY not in spoken


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "enrollments",
            "sourcedId,classSourcedId,schoolSourcedId,userSourcedId,role\n1,1,1,1,student\n",
            "missing_column",
        ),
        ("notes", "who,what\n1,2\n", "unknown_layout"),
        ("users", "sourcedId,status,dateLastModified,givenName\n1,,,x\n", "unknown_layout"),
        ("orgs", "", "empty_file"),
    ],
)
def test_a_file_that_cannot_speak_is_told(tmp_path: Path, name: str, content: str, reason: str) -> None:
    file = tmp_path / f"{name}.csv"
    file.write_text(content, encoding="utf-8")
    source = Source.model_validate({"kind": "oneroster", "files": "x", "missing_rows": "full"})
    with duckdb.connect() as con, pytest.raises(Unreadable) as found:
        oneroster.read(con, file, source, tmp_path)
    assert found.value.reason == reason
    assert found.value.remedy


def test_a_constant_stands_in_for_begin_dates_that_are_not_exported(tmp_path: Path) -> None:
    extra = "entities: {student_school_enrollment: {constants: {entry_date: 2025-08-12}}}"
    district = District(tmp_path, extra=extra.replace("2025-08-12", "'2025-08-12'"))
    district.put(enrollments="sourcedId,status,classSourcedId,schoolSourcedId,userSourcedId,role\n1,,c,S,1,student\n")
    assert raw(district.land(), "student_school_enrollment", "school_id, entry_date") == [("S", "2025-08-12")]


@pytest.mark.parametrize(
    ("meaning", "extra", "part"),
    [
        ("window", "", "no span of dates"),
        ("full", "entities: {attendance_event: {}}", "says nothing of attendance_event"),
        ("full", "sheet: A", "says nothing to a source of kind oneroster"),
        ("full", "entities: {student: {sql: a.sql}}", "knows its own layout"),
    ],
)
def test_settings_that_say_nothing_to_oneroster(tmp_path: Path, meaning: str, extra: str, part: str) -> None:
    District(tmp_path, meaning, extra)
    with pytest.raises(ConfigurationProblems) as found:
        load(tmp_path / "district.yaml")
    assert any(part in problem.message for problem in found.value.problems)


# --- deltas --------------------------------------------------------------------------------------------------


def speaking(district: District, landing: Landing, entity: str, columns: str) -> list[Any]:
    """The rows that the deliveries together leave in use, by the rule that staging and history share."""
    files = of(landing, entity)
    accounts = [
        (
            file.delivery_no,
            Account(entity, file.raw_path.stem, *counts(file), 0, None, None),
        )
        for file in files
    ]
    home = Home.open(district.folder / "home")
    with duckdb.connect() as con:
        holder = RawFiles(con, home, KeyFile.load_or_create(home), "local", district.folder)
        select = rows_in_use(holder, entity, accounts, restating=False, by_record=True)
        assert select is not None
        return con.execute(f"SELECT {columns} FROM ({select}) ORDER BY ALL").fetchall()


def test_a_delta_that_overwrites_the_one_before_changes_adds_and_takes_back(tmp_path: Path) -> None:
    district = District(tmp_path, "append")
    first = [enrolled(f"e{n}", str(n)) for n in range(1, 5)]
    district.put(enrollments=text("enrollments", *first), users=text("users", *(user(str(n)) for n in range(1, 5))))
    district.land()
    changed = enrolled("e2", "2", begin="2025-08-20", status="active")
    district.put(
        enrollments=text("enrollments", gone("e1"), changed, enrolled("e5", "5")), users=text("users", gone("4"))
    )
    landing = district.land()
    assert refused(landing) == []
    rows = speaking(district, landing, "student_school_enrollment", "student_key, entry_date")
    wanted = {"2": "2025-08-20", "3": "2025-08-12", "4": "2025-08-12", "5": "2025-08-12"}
    assert dict(rows) == {district.key(student): day for student, day in wanted.items()}
    students = {row[0] for row in speaking(district, landing, "student", "student_key")}
    assert students == {district.key(str(n)) for n in (1, 2, 3)}
    # What was taken back comes again.
    district.put(enrollments=text("enrollments", enrolled("e1", "1")))
    landing = district.land()
    assert district.key("1") in {
        row[0] for row in speaking(district, landing, "student_school_enrollment", "student_key")
    }


def test_within_one_delivery_the_last_row_of_a_record_says_whether_it_is_gone(tmp_path: Path) -> None:
    district = District(tmp_path, "append")
    comes, goes = [gone("e1"), enrolled("e1", "1")], [enrolled("e2", "2"), gone("e2")]
    district.put(enrollments=text("enrollments", *comes, *goes))
    rows = speaking(district, district.land(), "student_school_enrollment", "student_key")
    assert rows == [(district.key("1"),)]


def test_what_a_bulk_file_marks_as_deleted_is_not_there(tmp_path: Path) -> None:
    district = District(tmp_path, "full")
    district.put(enrollments=text("enrollments", enrolled("e1", "1"), enrolled("e2", "2", status="ToBeDeleted")))
    landing = district.land()
    rows = speaking(district, landing, "student_school_enrollment", "student_key")
    assert rows == [(district.key("1"),)]


def test_a_bulk_file_of_mostly_deleted_records_is_held(tmp_path: Path) -> None:
    district = District(tmp_path, "full")
    district.put(users=text("users", *(user(str(n)) for n in range(40))))
    district.land()
    district.put(users=text("users", *(user(str(n), status="tobedeleted" if n < 10 else "") for n in range(40))))
    (state,) = district.land().sources
    assert state.status == "held"


def test_the_set_of_a_delta_is_the_same_in_whatever_order_its_rows_came(tmp_path: Path) -> None:
    """A property over seeds: applying deltas one after another leaves what a plain dictionary says."""
    for seed in range(4):
        chance = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        district, told = District(folder, "append"), dict[str, str]()
        for _ in range(4):
            records = []
            for sid in chance.sample([f"e{n}" for n in range(12)], chance.randint(1, 8)):
                if chance.random() < 0.3:
                    records.append(gone(sid))
                    told.pop(sid, None)
                else:
                    student = f"s{chance.randint(1, 30)}"
                    records.append(enrolled(sid, student))
                    told[sid] = student
            district.put(enrollments=text("enrollments", *records))
            landing = district.land()
        found = Counter(row[0] for row in speaking(district, landing, "student_school_enrollment", "student_key"))
        assert found == Counter(district.key(student) for student in told.values()), f"seed {seed}"


# --- the manifest --------------------------------------------------------------------------------------------


def manifest(version: str = "1.1", **files: str) -> str:
    pairs = {"manifest.version": "1.0", "oneroster.version": version}
    pairs |= {f"file.{name}": how for name, how in files.items()}
    return text("manifest", *({"propertyName": name, "value": value} for name, value in pairs.items()))


def test_a_delta_is_never_taken_as_everything(tmp_path: Path) -> None:
    district = District(tmp_path, "full")
    district.put(users=text("users", user("1")), manifest=manifest(users="bulk"))
    assert [state.status for state in district.land().sources] == ["new"]
    district.put(users=text("users", user("2")), manifest=manifest(users="delta", classes="absent"))
    landing = district.land()
    (state,) = landing.sources
    assert (state.status, state.remedy) == ("unreadable", "Write missing_rows: append, or ask for bulk files.")
    assert "users" in state.message
    assert raw(landing, "student", "student_key") == [(district.key("1"),)]
    # Once district.yaml says what the set is, the same delivery is taken.
    yaml = (tmp_path / "district.yaml").read_text(encoding="utf-8").replace("full", "append")
    (tmp_path / "district.yaml").write_text(yaml, encoding="utf-8")
    landing = district.land()
    assert landing.sources[0].message == ""
    assert len(speaking(district, landing, "student", "line")) == 2


@pytest.mark.parametrize(
    ("content", "meaning", "reason"),
    [
        (manifest(users="bulk"), "full", None),
        (manifest("1.2", users="BULK", roles="absent"), "full", None),
        (manifest(users="delta"), "append", None),
        (manifest(users="delta"), "active_only", "delta_is_not_all"),
        (manifest(users="bulk", enrollments="bulk"), "full", "incomplete_set"),
        (manifest("2.0", users="bulk"), "full", "unknown_version"),
        ("", "full", None),
        ('"', "full", None),
        ("\0\xff", "full", None),
    ],
)
def test_what_the_manifest_says(tmp_path: Path, content: str, meaning: Any, reason: str | None) -> None:
    path = tmp_path / "stored"
    path.write_text(content, encoding="utf-8")
    problem = fault({"set/Manifest.csv": path, "set/users.csv": tmp_path, "other/enrollments.csv": tmp_path}, meaning)
    assert (problem.reason if problem else None) == reason
    assert problem is None or (problem.remedy and "2.0" not in problem.message)


# --- broken sets ---------------------------------------------------------------------------------------------


def whole_set(chance: random.Random) -> dict[str, bytes]:
    people = [user(f"u{n}", chance.choice(["student", "student", "teacher"]), userIds=f"{{L:{n}}}") for n in range(30)]
    return {
        "orgs": text("orgs", org("S"), org("D", "district")).encode(),
        "users": text("users", *people).encode(),
        "demographics": text(
            "demographics", *({"sourcedId": one["sourcedId"], "white": "true", "cityOfBirth": CANARY} for one in people)
        ).encode(),
        "enrollments": text("enrollments", *(enrolled(f"e{n}", f"u{n}") for n in range(30))).encode(),
    }


def hurt(content: bytes, chance: random.Random) -> bytes:
    """One of the things that happen to files: cut, bytes changed, lines lost, doubled or glued, quotes and NULs."""
    at = chance.randrange(len(content))
    lines = content.split(b"\n")
    row = chance.randrange(len(lines))
    return chance.choice(
        [
            lambda: content[:at],
            lambda: content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :],
            lambda: content[:at] + b'"' + content[at:],
            lambda: content[:at] + b"\0" + content[at:],
            lambda: b"\n".join([*lines[:row], *lines[row + 1 :]]),
            lambda: b"\n".join([*lines[:row], lines[row] * 2, *lines[row:]]),
            lambda: content.replace(b",", b";", chance.randrange(1, 40)),
            lambda: content.decode().encode("utf-16"),
            lambda: content.replace(b"\n", b"\r"),
            lambda: content + CANARY.encode() * 50,
            lambda: content.replace(b"student", b"tobedeleted", chance.randrange(1, 5)),
        ]
    )()


@pytest.mark.parametrize("seed", range(12))
def test_a_broken_set_loses_nothing_and_tells_no_cell(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    files = whole_set(chance)
    for name in chance.sample(sorted(files), chance.randint(1, 3)):
        for _ in range(chance.randint(1, 3)):
            files[name] = hurt(files[name], chance) if files[name] else b""
    asked = ", ".join(f"{entity}: {{}}" for entity in sorted(FEEDS))
    district = District(tmp_path, chance.choice(["full", "append"]), f"entities: {{{asked}}}")
    for name, content in files.items():
        (tmp_path / "set" / f"{name}.csv").write_bytes(content)
    landing = district.land()
    (state,) = landing.sources
    if state.message:
        assert state.remedy
    told = json.dumps([district.said, state.message, state.remedy])
    assert CANARY not in told
    assert "Traceback" not in told
    for file in landing.files:
        if file.rows_refused:
            query = "SELECT count(*), count(line), count(reason), count(remedy) FROM read_parquet(?)"
            assert duckdb.execute(query, [str(file.refused_path)]).fetchone() == (file.rows_refused,) * 4
        assert CANARY.encode() not in file.raw_path.read_bytes()
