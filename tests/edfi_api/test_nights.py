"""Nights against an API that changes, forgets, forbids, and is cut: what lands, what stays, what is asked again."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipelines.config import Source
from pipelines.home import Home
from pipelines.keys import pseudonym
from pipelines.raw_files import stored_path
from pipelines.sources import Unreadable, edfi_api_client, edfi_api_fetch
from pipelines.sources.edfi_api_spool import Spool
from tests.edfi_api.nights import (
    MONDAY,
    PSEUDONYM_KEY,
    SECRETS,
    TUESDAY,
    WEDNESDAY,
    District,
    rows,
    running,
    state,
    tables,
)
from tests.edfi_api.server import CANARY, Ods, Request, association, guid, student

VERSIONS = ["5.3", "7.1", "7.3"]


def filled(ods: Ods, students: int = 60) -> Ods:
    for number in range(1, students + 1):
        ods.put("students", student(number))
        ods.put("studentSchoolAssociations", association(number))
    return ods


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of ten records, and no change asked for twice."""
    monkeypatch.setattr(edfi_api_fetch, "PAGE_ROWS", 10)
    monkeypatch.setattr(edfi_api_fetch, "OVERLAP", 0)


def landed_afresh(folder: Path, **source: Any) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    return tables(District(folder, **source).land())


# --- changes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.usefixtures("small_pages")
def test_changes_deletions_and_key_changes_are_put_into_the_last_state(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(filled(Ods(version=version)), monkeypatch, tmp_path) as ods:
        district = District(tmp_path)
        district.land(MONDAY)
        ods.delete("students", guid(7))
        ods.put("students", student(61))
        ods.put("studentSchoolAssociations", association(8, school=255901044))
        changed = association(9, entry="2025-09-02")
        ods.change_key("studentSchoolAssociations", changed, silently=version != "5.3")
        asked = len(ods.requests)
        landing = district.land(TUESDAY)
        assert (state(landing).status, ods.wrong) == ("new", [])
        assert len(rows(landing, "student")) == 60
        kept = rows(landing, "student_school_enrollment", "school_id, entry_date")
        assert (kept.count(("255901044", "2025-08-18")), kept.count(("255901001", "2025-09-02"))) == (1, 1)
        fresh = landed_afresh(tmp_path / "fresh")
    assert tables(landing) == fresh
    # Two changed students would be seven pages, if everything were asked.
    assert not any("offset=10" in one for one in ods.requests[asked : asked + 9])


@pytest.mark.usefixtures("small_pages")
def test_a_night_without_changes_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(filled(Ods()), monkeypatch, tmp_path) as ods:
        district = District(tmp_path)
        first = district.land(MONDAY)
        # Touched, but nothing that is kept has changed.
        ods.put("students", {**student(5), "firstName": "Other", "_etag": "99"})
        second = district.land(TUESDAY)
    assert state(second).status == "unchanged"
    assert second.files == first.files


def test_an_api_that_forgot_the_changes_is_asked_for_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(filled(Ods()), monkeypatch, tmp_path) as ods:
        district = District(tmp_path)
        district.land(MONDAY)
        # A year later: the deletion was forgotten with all changes before.
        ods.delete("students", guid(7))
        ods.deletes.clear()
        ods.newest += 10_000
        ods.oldest = ods.newest - 10
        landing = district.land(TUESDAY)
        assert len(rows(landing, "student")) == 59
        assert any("students: fetched whole" in said for said in district.said)
        # Restored from a backup: the newest version lies below what was reached.
        ods.oldest, ods.newest = 0, 500
        ods.resources["students"].pop(guid(8))
        for one in ods.resources.values():
            for stored in one.values():
                stored.version = 400
        landing = district.land(WEDNESDAY)
        assert len(rows(landing, "student")) == 58


@pytest.mark.parametrize("what", ["deletes", "keyChanges"])
def test_a_client_that_may_not_read_changes_fetches_everything(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(filled(Ods()), monkeypatch, tmp_path) as ods:
        ods.forbidden = {f"students/{what}"}
        district = District(tmp_path)
        district.land(MONDAY)
        ods.delete("students", guid(7))
        landing = district.land(TUESDAY)
    assert (state(landing).status, len(rows(landing, "student"))) == ("new", 59)
    assert any("ReadChanges" in said for said in district.said)


def test_an_api_without_change_queries_is_asked_for_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(filled(Ods(has_changes=False)), monkeypatch, tmp_path) as ods:
        district = District(tmp_path)
        district.land(MONDAY)
        ods.delete("students", guid(7))
        ods.put("students", student(70))
        ods.put("students", student(71))
        landing = district.land(TUESDAY)
        assert len(rows(landing, "student")) == 61
        assert tables(landing) == landed_afresh(tmp_path / "fresh")
    assert json.loads(district.marks()) == {}


def test_a_change_that_was_on_its_way_when_the_last_run_asked_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(filled(Ods()), monkeypatch, tmp_path) as ods:
        ods.newest += 20_000
        late = ods.newest - 3
        district = District(tmp_path)
        district.land(MONDAY)
        ods.put("students", student(61))
        ods.resources["students"][guid(61)].version = late
        landing = district.land(TUESDAY)
    assert len(rows(landing, "student")) == 61


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.usefixtures("small_pages")
def test_records_that_change_while_pages_come_shift_nothing_away(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(filled(Ods(version=version)), monkeypatch, tmp_path) as ods:
        touched = iter(range(1, 13))

        def change(number: int) -> None:
            one = next(touched, None)
            if one is not None:
                if one % 3:
                    ods.put("students", student(one))
                else:
                    ods.delete("students", guid(one))

        ods.before = change
        district = District(tmp_path)
        landing = district.land()
        ods.before = None
        assert (state(landing).status, ods.wrong) == ("new", [])
        # A deletion that came after all was asked may be seen a night later; a record that stood still never may.
        assert 56 <= len(rows(landing, "student")) <= 60
        still = {pseudonym(PSEUDONYM_KEY, "student", f"ZQX{number:05d}") for number in range(13, 61)}
        assert still <= {key for (key,) in rows(landing, "student", "student_key")}
        assert tables(district.land(TUESDAY)) == landed_afresh(tmp_path / "fresh")


# --- tokens, limits, what is forbidden -----------------------------------------------------------------------------


@pytest.mark.usefixtures("small_pages")
def test_a_token_that_ends_between_pages_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(filled(Ods(token_uses=3)), monkeypatch, tmp_path) as ods:
        landing = District(tmp_path).land()
        assert (state(landing).status, len(rows(landing, "student"))) == ("new", 60)
        assert len(ods.tokens) > 3


def test_a_host_that_allows_smaller_pages_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(filled(Ods(most=30), 70), monkeypatch, tmp_path):
        landing = District(tmp_path).land()
    assert len(rows(landing, "student")) == 70


def test_every_resource_that_is_forbidden_or_missing_is_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(filled(Ods()), monkeypatch, tmp_path) as ods:
        district = District(tmp_path, ("student", "student_school_enrollment", "discipline_action"))
        ods.forbidden = {"students"}
        found = state(district.land())
        assert (found.status, found.last_received) == ("unreadable", None)
        assert "students: the API does not let this client read it (403)" in found.message
        assert "disciplineActions: the API has no such resource (404)" in found.message
        assert "claim set" in found.remedy
        # What could be read is kept already, and is not asked for again.
        ods.forbidden = set()
        ods.resources["disciplineActions"] = {}
        landing = district.land()
        assert (state(landing).status, len(rows(landing, "student_school_enrollment"))) == ("new", 60)


def test_a_resource_of_another_data_standard_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ods = Ods()
    ods.put(
        "studentDisciplineIncidentBehaviorAssociations",
        {
            "id": guid(1),
            "disciplineIncidentReference": {"incidentIdentifier": "17", "schoolId": 1},
            "studentReference": {"studentUniqueId": "9"},
            "behaviorDescriptor": "uri://ed-fi.org/BehaviorDescriptor#State Offense",
            "disciplineIncidentParticipationCodes": [
                {"disciplineIncidentParticipationCodeDescriptor": "uri://x/y#Perpetrator"},
                {"disciplineIncidentParticipationCodeDescriptor": "uri://x/y#Witness"},
            ],
        },
    )
    with running(ods, monkeypatch, tmp_path):
        landing = District(tmp_path, ("discipline_incident_student",)).land()
    assert rows(landing, "discipline_incident_student", "school_id, participation, behavior") == [
        ("1", "Perpetrator|Witness", "State Offense")
    ]


def test_nothing_but_what_is_mapped_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(filled(Ods()), monkeypatch, tmp_path):
        landing = District(tmp_path).land()
    for one in landing.files:
        assert CANARY not in str(pq.read_table(stored_path(Home.open(tmp_path / "home"), one.file_id)).to_pydict())


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://ods.example.org/api", "not_encrypted"),
        ("ods.example.org", "connection_malformed"),
        ("https://u:canary-secret@ods.example.org", "connection_malformed"),
        ("https://ods.example.org/api?x=1", "connection_malformed"),
        ("https://ods.example.org/{year}", "connection_malformed"),
        ("https://[::1", "connection_malformed"),
        ("", "connection_not_set"),
    ],
)
def test_addresses_that_no_secret_is_sent_to(url: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"EDFI_ODS": url, "EDFI_ODS_KEY": "k", "EDFI_ODS_SECRET": "s"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Unreadable) as problem:
        edfi_api_client.endpoint("EDFI_ODS")
    assert problem.value.reason == reason
    assert problem.value.remedy
    assert "canary" not in f"{problem.value.message} {problem.value.remedy}"
    assert "s'" not in repr(edfi_api_client.Endpoint("X", "u", "k's'", "s's'"))


def test_a_secret_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("from-file\n")
    monkeypatch.setenv("EDFI_ODS", "https://ods.example.org/api/2026/")
    monkeypatch.setenv("EDFI_ODS_KEY", "k")
    monkeypatch.setenv("EDFI_ODS_SECRET_FILE", str(tmp_path / "secret"))
    found = edfi_api_client.endpoint("EDFI_ODS")
    assert (found.url, found.secret) == ("https://ods.example.org/api/2026", "from-file")
    monkeypatch.setenv("EDFI_ODS_SECRET_FILE", str(tmp_path / "none"))
    with pytest.raises(Unreadable, match="EDFI_ODS_SECRET_FILE cannot be read"):
        edfi_api_client.endpoint("EDFI_ODS")


@pytest.mark.usefixtures("small_pages")
def test_an_api_that_never_stands_still_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(filled(Ods()), monkeypatch, tmp_path) as ods:

        def churn(_: int) -> None:
            for one in range(1, 41):
                ods.put("students", student(one))

        ods.before = churn
        district = District(tmp_path, ("student",))
        found = state(district.land())
        assert (found.status, "change faster" in found.message) == ("unreadable", True)
        ods.before = None
        assert len(rows(district.land(TUESDAY), "student")) == 60


def test_a_server_that_asks_for_time_is_given_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    wait = edfi_api_client.Client._wait

    def noted(self: Any, problem: Any, attempt: int) -> None:
        waits.append(problem.wait)
        wait(self, problem, attempt)

    monkeypatch.setattr(edfi_api_client.Client, "_wait", noted)
    with running(filled(Ods()), monkeypatch, tmp_path) as ods:
        once = iter([True])

        def busy(request: Request) -> bool:
            if request.kind == "records" and next(once, False):
                request.handler.problem(429, {"Retry-After": "1"})
                return True
            return False

        ods.fault = busy
        assert state(District(tmp_path).land()).status == "new"
    assert waits == [1.0]
    assert edfi_api_client._retry_after("Wed, 21 Oct 2099 07:28:00 GMT") > 1e9
    assert [edfi_api_client._retry_after(text) for text in (None, "", "x", "-5", "Wed, 21 Oct 2015 07:28:00 GMT")] == [
        0.0
    ] * 5


# --- cuts --------------------------------------------------------------------------------------------------------


class _Killed(BaseException):
    pass


def _killed_at(monkeypatch: pytest.MonkeyPatch, request: int) -> None:
    """Let the run end, as if killed, when it is about to ask for the so many-th time."""
    begin, asked = edfi_api_client.Client.begin, 0

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked >= request:
            raise _Killed
        return begin(self, *args, **kwargs)

    monkeypatch.setattr(edfi_api_client.Client, "begin", counted)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.usefixtures("small_pages")
def test_a_run_cut_at_any_request_goes_on_and_ends_with_the_same_tables(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(filled(Ods(version=version), 30), monkeypatch, tmp_path) as ods:
        whole = landed_afresh(tmp_path / "whole")
        of_one_night = len(ods.requests)
        (tmp_path / "cut").mkdir()
        district = District(tmp_path / "cut")
        for request in range(1, of_one_night + 3):
            with monkeypatch.context() as patch:
                _killed_at(patch, request)
                try:
                    landing = district.land()
                    break
                except _Killed:
                    continue
        assert request > 4
        assert tables(landing) == whole
        assert list((district.home.landing / "edfi_api" / "ods").iterdir()) == [
            district.home.landing / "edfi_api" / "ods" / "marks.json"
        ]


@pytest.mark.usefixtures("small_pages")
def test_pages_that_were_in_are_not_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edfi_api_fetch, "IN_FLIGHT", 1)
    with running(filled(Ods()), monkeypatch, tmp_path) as ods:
        district = District(tmp_path, ("student",))
        with monkeypatch.context() as patch:
            _killed_at(patch, 7)
            with pytest.raises(_Killed):
                district.land()
        asked = len(ods.requests)
        assert district.marks() == ""
        landing = district.land()
        assert len(rows(landing, "student")) == 60
        again = [one for one in ods.requests[asked:] if "offset=" in one]
        assert 0 < len(again) < 6
        assert not any(one in ods.requests[:asked] for one in again)


@pytest.mark.usefixtures("small_pages")
def test_a_run_killed_between_file_and_mark_asks_for_no_page_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(filled(Ods()), monkeypatch, tmp_path) as ods:
        district = District(tmp_path, ("student",))
        with monkeypatch.context() as patch:
            patch.setattr(edfi_api_fetch._Night, "_write_mark", lambda *_: _raise(_Killed()))
            with pytest.raises(_Killed):
                district.land()
        asked = len(ods.requests)
        landing = district.land()
    assert len(rows(landing, "student")) == 60
    assert not any("offset=10" in one for one in ods.requests[asked:])


def _raise(problem: BaseException) -> None:
    raise problem


@pytest.mark.usefixtures("small_pages")
def test_a_spool_that_is_torn_or_of_another_question_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(filled(Ods()), monkeypatch, tmp_path):
        district = District(tmp_path, ("student",))
        district.land()
        folder = district.home.landing / "edfi_api" / "ods"
        (folder / "students.sqlite").write_bytes(b"SQLite format 3\0" + b"garbage" * 500)
        (folder / "marks.json").write_text('{"students": {"question": 1}}')
        assert len(rows(district.land(TUESDAY), "student")) == 60
        spool = Spool(folder / "students.sqlite", "another question")
        spool.add_page(spool.begin(None, 5), 0, [(guid(1), "{}")])
        spool.close()
        assert len(rows(district.land(WEDNESDAY), "student")) == 60


@pytest.mark.usefixtures("small_pages")
def test_a_kept_state_that_was_purged_is_fetched_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(filled(Ods()), monkeypatch, tmp_path):
        district = District(tmp_path, ("student",))
        (file,) = district.land().files
        stored_path(district.home, file.file_id).unlink()
        assert len(rows(district.land(TUESDAY), "student")) == 60


_CHILD = """
import sys
from pathlib import Path
from tests.edfi_api.nights import District
from pipelines.sources import edfi_api_fetch
edfi_api_fetch.PAGE_ROWS = 10
District(Path(sys.argv[1])).land()
"""


@pytest.mark.parametrize("request_number", [2, 5, 11])
@pytest.mark.usefixtures("small_pages")
def test_a_process_killed_by_the_system_goes_on(
    request_number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(filled(Ods()), monkeypatch, tmp_path) as ods:
        child = subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path)], cwd=Path(__file__).parents[2])

        def kill(number: int) -> None:
            if number == request_number:
                os.kill(child.pid, signal.SIGKILL)

        ods.before = kill
        assert child.wait(60) == -signal.SIGKILL
        ods.before = None
        landing = District(tmp_path).land()
        assert tables(landing) == landed_afresh(tmp_path / "fresh")


# --- any schedule ------------------------------------------------------------------------------------------------


def _fetch(folder: Path) -> dict[str, dict[str, str]]:
    """Fetch without landing: what is kept of each resource."""
    home = Home.open(folder / "home")
    source = Source.model_validate(
        {"kind": "edfi_api", "connection": "EDFI_ODS", "missing_rows": "full", "time_limit_seconds": 20}
        | {"entities": {"student": {}, "student_school_enrollment": {}}}
    )

    def keep(path: Path) -> str:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        target = stored_path(home, digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
        return digest

    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    fetched = edfi_api_fetch.fetch("ods", source, home=home, scratch=scratch, keep=keep)
    kept = {}
    for file in fetched.files:
        table = pq.read_table(stored_path(home, file.file_id)).to_pydict()
        assert table["id"] == sorted(set(table["id"]))
        kept[file.name.split("/")[1]] = dict(zip(table["id"], table["record"], strict=True))
    return kept


#: A failing schedule is told by its seed; to shrink one takes minutes.
_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


@given(
    seed=st.integers(0, 2**32),
    version=st.sampled_from(VERSIONS),
    nights=st.lists(st.tuples(st.integers(0, 25), st.booleans(), st.floats(0, 0.9)), min_size=1, max_size=4),
)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=_PHASES)
def test_any_schedule_of_changes_cuts_and_slowness_ends_like_an_undisturbed_fetch(
    seed: int, version: str, nights: list[tuple[int, bool, float]]
) -> None:
    draw = random.Random(seed)
    numbers = iter(range(1000, 9000))

    def change() -> None:
        known = list(ods.resources["students"])
        what = draw.random()
        if what < 0.4 or len(known) < 5:
            ods.put("students", student(next(numbers)))
        elif what < 0.6:
            ods.delete("students", draw.choice(known))
        elif what < 0.8:
            one = draw.choice(known)
            ods.put("students", {**ods.resources["students"][one].record, "studentUniqueId": f"ZQX0{next(numbers)}"})
        else:
            one = draw.choice(list(ods.resources["studentSchoolAssociations"]))
            record = {
                **ods.resources["studentSchoolAssociations"][one].record,
                "entryDate": f"2025-09-{draw.randint(1, 28):02}",
            }
            ods.change_key("studentSchoolAssociations", record, silently=version != "5.3" and draw.random() < 0.5)

    chance = 0.0

    def disturb(request: Request) -> bool:
        if draw.random() < chance:
            request.handler.connection.close()
            request.handler.close_connection = True
            return True
        return False

    ods = filled(Ods(version=version), 35)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as name:
        patch.setattr(edfi_api_fetch, "PAGE_ROWS", 7)
        patch.setattr(edfi_api_fetch, "OVERLAP", 2)
        folder = Path(name)
        with running(ods, patch, folder):
            for cut_at, is_busy, share in nights:
                chance = share / 3
                ods.fault = disturb
                left = [20]

                def meanwhile(_: int, left: list[int] = left, is_busy: bool = is_busy) -> None:
                    if is_busy and left[0] and draw.random() < 0.3:
                        left[0] -= 1
                        with ods.lock:
                            change()

                ods.before = meanwhile
                with patch.context() as once:
                    if cut_at:
                        _killed_at(once, cut_at)
                    before = {resource: dict(found) for resource, found in ods.resources.items()}
                    try:
                        kept = _fetch(folder)
                    except (_Killed, Unreadable):
                        pass
                    else:
                        # What was there all night is kept, however often it changed.
                        for resource, found in ods.resources.items():
                            assert found.keys() & before[resource].keys() <= kept[f"{resource}.parquet"].keys()
                for _ in range(draw.randint(0, 10)):
                    change()
            ods.before = ods.fault = None
            final = _fetch(folder)
            (folder / "fresh").mkdir()
            assert final == _fetch(folder / "fresh")
            assert ods.wrong == []


def test_no_message_or_name_of_all_this_tells_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: Any
) -> None:
    caplog.set_level("DEBUG")
    with running(filled(Ods()), monkeypatch, tmp_path) as ods:
        district = District(tmp_path)
        landing = district.land()
        ods.tokens.clear()
        ods.token_uses = 0
        broken = district.land(TUESDAY)
    assert (state(broken).status, state(broken).last_received) == ("unreadable", MONDAY)
    assert broken.files == landing.files
    everything = f"{district.everything_written()} {landing} {broken} {capfd.readouterr()} {caplog.text}"
    for secret in SECRETS:
        assert secret not in everything
