"""Before anything is read: where a district's data may lie, what the load depends on, what dbt is asked."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from pipelines import child, crosswalks
from pipelines.config import CalendarYear, DistrictFile, Settings
from pipelines.load import load_id
from pipelines.outcome import ConfigurationError
from pipelines.start import configuration, home_path
from pipelines.warehouse import session_days


def district(folder: Path, **sections: object) -> DistrictFile:
    settings = {
        "district": {"id": "d", "name": "D", "contact": "a@b.example", "time_zone": "America/Chicago"},
        "sources": {"a": {"kind": "edfi_xml", "files": ["a.xml"], "missing_rows": "full"}},
        **sections,
    }
    return DistrictFile(path=folder / "district.yaml", settings=Settings.model_validate(settings))


@pytest.fixture(autouse=True)
def _no_home_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EQUITY_HOME", raising=False)


def test_a_real_district_must_name_a_home(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no home"):
        home_path(district(tmp_path), None)


def test_the_option_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = district(tmp_path, home="data")
    assert home_path(named, None) == tmp_path / "data"
    monkeypatch.setenv("EQUITY_HOME", str(tmp_path / "environment"))
    assert home_path(named, None) == tmp_path / "environment"
    assert home_path(named, tmp_path / "option") == tmp_path / "option"


def test_no_home_inside_a_git_checkout(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(ConfigurationError, match="inside the git checkout"):
        home_path(district(tmp_path), tmp_path / "deep" / "home")


def test_every_problem_of_settings_and_crosswalks_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "district.yaml").write_text("district: {id: d}\n")
    (tmp_path / "crosswalks").mkdir()
    (tmp_path / "crosswalks" / "own.csv").write_text("crosswalk,code,value\nsexx,F,female\n")
    with pytest.raises(ConfigurationError) as raised:
        configuration(tmp_path / "district.yaml")
    assert "district.yaml:1" in raised.value.headline
    assert "own.csv:2" in raised.value.headline


def test_equal_inputs_give_an_equal_load_and_each_part_counts(tmp_path: Path) -> None:
    codes = crosswalks.load(tmp_path)
    base = {
        "district": district(tmp_path),
        "crosswalks": codes,
        "input_hash": "i",
        "arrivals": [("a", "True")],
        "as_of": date(2026, 3, 27),
    }
    assert load_id(**base) == load_id(**base)
    changes = [
        {"input_hash": "j"},
        {"arrivals": [("a", "False")]},
        {"as_of": date(2026, 3, 28)},
        {"district": district(tmp_path, thresholds={"chronic_absence_percent": 11})},
        {"crosswalks": replace(codes, entries=codes.entries[1:])},
    ]
    assert len({load_id(**{**base, **change}) for change in ({}, *changes)}) == len(changes) + 1
    # Where the data lie and when the night runs change no figure.
    moved = district(tmp_path, home="/elsewhere", schedule={"at": "22:00"}, retention={"snapshots": 3})
    assert load_id(**{**base, "district": moved}) == load_id(**base)


def test_session_days_leave_out_weekends_and_closures() -> None:
    rule = CalendarYear.model_validate(
        {
            "school_year": 2026,
            "first_day": date(2025, 11, 24),
            "last_day": date(2025, 12, 3),
            "closures": ["2025-11-27..2025-11-28", date(2025, 12, 1)],
        }
    )
    assert [day.day for day in session_days(rule)] == [24, 25, 26, 2, 3]


def test_dbts_version_is_told_without_starting_dbt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # `dbt --version` asks a registry for newer versions; nothing here may ask anybody.
    monkeypatch.setattr(child.os, "execv", lambda *_: pytest.fail("dbt was started"))
    monkeypatch.setattr(sys, "argv", ["equity-dbt", "--version"])
    child.main()
    assert "installed: 1.11." in capsys.readouterr().out
