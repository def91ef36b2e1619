"""Servers that misbehave: nothing is lost, nothing hangs, nothing leaks, and the remedy is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.sources import edfi_api_fetch
from tests.edfi_api.faults import BEHAVIORS, Drawn, draw
from tests.edfi_api.nights import MONDAY, SECRETS, TUESDAY, WEDNESDAY, District, rows, running, state, tables
from tests.edfi_api.server import Ods, guid, student

VERSIONS = ("5.3", "7.1", "7.3")


def filled(version: str) -> Ods:
    ods = Ods(version=version)
    for number in range(1, 61):
        ods.put("students", student(number))
    return ods


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edfi_api_fetch, "PAGE_ROWS", 10)


def _leaks(district: District, capfd: pytest.CaptureFixture[str], caplog: Any, *shown: object) -> list[str]:
    everything = f"{district.everything_written()} {shown} {capfd.readouterr()} {caplog.text}"
    return [secret for secret in SECRETS if secret in everything]


@pytest.mark.parametrize("behavior", BEHAVIORS, ids=lambda one: one.name)
def test_a_behavior_that_stays_leaves_yesterday_in_use_and_says_what_to_do(
    behavior: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any, caplog: Any
) -> None:
    caplog.set_level("DEBUG")

    ods = filled("7.3" if "oken" in behavior.name or "without end" in behavior.name else "7.1")
    with running(ods, monkeypatch, tmp_path):
        district = District(tmp_path, ("student",), time_limit_seconds=4)
        first = district.land(MONDAY)
        ods.put("students", student(61))
        ods.delete("students", guid(9))
        ods.fault = Drawn(behavior, ods, 1, 10_000)
        broken = district.land(TUESDAY)
        ods.fault = None
        ods.released.set()
        found = state(broken)
        if behavior.harmless:
            assert (found.status, found.message) == ("new", "")
        else:
            assert (found.status, found.last_received) == ("unreadable", MONDAY)
            assert [one.file_id for one in broken.files if one.is_live] == [one.file_id for one in first.files]
            assert any(word in f"{found.message} {found.remedy}" for word in behavior.words), found.message
            assert found.remedy
        landing = district.land(WEDNESDAY)
        assert state(landing).status == ("unchanged" if behavior.harmless else "new")
        assert (len(rows(landing, "student")), ods.wrong) == (60, [])
        assert _leaks(district, capfd, caplog, first, broken, landing) == []


#: Every other behavior, and two that once lost records: a page without ids of students, and a total that fell.
SEEDS = sorted({*range(0, 2 * len(BEHAVIORS), 4), 55, 145})


@pytest.mark.parametrize("seed", SEEDS)
def test_a_drawn_behavior_ends_like_an_undisturbed_night_or_is_told(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any, caplog: Any
) -> None:
    caplog.set_level("DEBUG")
    ods = filled(VERSIONS[seed % 3])
    with running(ods, monkeypatch, tmp_path):
        (tmp_path / "whole").mkdir()
        whole = tables(District(tmp_path / "whole", ("student",)).land())
        (tmp_path / "broken").mkdir()
        district = District(tmp_path / "broken", ("student",), time_limit_seconds=4)
        ods.fault = draw(seed, ods)
        broken = district.land(MONDAY)
        ods.fault = None
        ods.released.set()
        if state(broken).status == "unreadable":
            assert state(broken).message
            assert state(broken).remedy
            assert not any(one.is_live for one in broken.files)
        elif any(one.rows_refused for one in broken.files):
            # A page without what is required: its records are in quarantine, and are asked for again.
            assert [(one.rows_read, one.rows_accepted) for one in broken.files] == [(60, 50)]
        else:
            assert (state(broken).status, tables(broken)) == ("new", whole)
        landing = district.land(TUESDAY)
        assert tables(landing) == whole
        assert _leaks(district, capfd, caplog, broken, landing) == []


def test_there_are_forty_behaviors_and_more() -> None:
    assert len({one.name for one in BEHAVIORS}) == len(BEHAVIORS) >= 40
