"""Quarantine: by cause, with file, line and remedy; text of files that still speak, and never where it gets out."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path

import duckdb
import pytest
from rich.console import Console
from test_landing import District, many

from pipelines import quarantine, warehouse
from pipelines.keys import new_key
from pipelines.landing import Landing
from pipelines.outcome import ConfigurationError
from pipelines.quarantine import Wanted, export_quarantine, show_causes, show_quarantine

MONDAY, TUESDAY = date(2025, 9, 1), date(2025, 9, 2)
ALL = Wanted()
SNAPSHOT = "20250901T000000Z-0123456789ab"
BAD = "S1,Canary Name,10,not a day,A\nS2,Canary Name,10,also none,A\nragged\n"


@pytest.fixture
def district(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> District:
    key = tmp_path / "key"
    key.write_text(new_key())
    key.chmod(0o600)
    monkeypatch.setenv("EQUITY_KEY_FILE", str(key))
    made = District(tmp_path / "d")
    made.put("att.csv", many(5) + BAD)
    publish(made, made.land(MONDAY))
    return made


def publish(district: District, landing: Landing) -> None:
    """A snapshot that holds nothing but the quarantine of a landing, as the night makes it."""
    folder = district.home.restricted / SNAPSHOT
    folder.mkdir(exist_ok=True)
    (folder / "equity.duckdb").unlink(missing_ok=True)
    with duckdb.connect(str(folder / "equity.duckdb")) as con:
        con.execute("create schema control")
        warehouse._refused_rows(con, landing.files)
        con.execute("create table quarantine as select *, 1 as problem_no from control.refused_row")
    (district.home.published / "current.json").write_text(json.dumps({"snapshot_id": SNAPSHOT}))


def shown(district: District, wanted: Wanted = ALL, *, text: bool = False) -> str:
    console = Console(record=True, width=300)
    show_quarantine(district.home, wanted, text, console)
    return console.export_text()


def exported(district: District, target: Path, wanted: Wanted = ALL, *, text: bool = False) -> list[dict[str, str]]:
    export_quarantine(district.home, wanted, text, target, Console(quiet=True))
    with target.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_causes_name_file_line_and_remedy_and_no_text(district: District) -> None:
    told = shown(district)
    assert "2  attendance attendance_event: unreadable_date in date, first in line 7 of att.csv" in told
    assert "Correct date, or add its format to date_formats." in told
    assert "1  attendance attendance_event: too_few_fields, first in line 9 of att.csv" in told
    assert "Canary" not in told
    assert "not a day" not in told


def test_the_nights_summary_names_ten_causes_and_counts_the_others(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(record=True, width=300)
    monkeypatch.setattr(quarantine, "_MOST_CAUSES", 1)
    show_causes(district.home, SNAPSHOT, console)
    told = console.export_text()
    assert "Rows in quarantine" in told
    assert "unreadable_date in date, first in line 7 of att.csv" in told
    assert "too_few_fields" not in told
    assert "and 1 more causes, 1 rows" in told


def test_a_cause_in_several_files_is_one_cause_of_the_summary(district: District) -> None:
    district.put("att2.csv", many(5, first=50) + BAD)
    publish(district, district.land(TUESDAY))
    console = Console(record=True, width=300)
    show_causes(district.home, SNAPSHOT, console)
    assert "4  attendance attendance_event: unreadable_date in date, first in line 7 of att.csv and 1 more files" in (
        console.export_text()
    )
    assert shown(district).count("unreadable_date") == 2


def test_filters_by_source_and_reason(district: District) -> None:
    assert "unreadable_date" not in shown(district, Wanted(reason="too_few_fields"))
    assert "too_few_fields" in shown(district, Wanted("attendance", "too_few_fields"))
    assert "No such row" in shown(district, Wanted(reason="broken_quotes"))
    with pytest.raises(ConfigurationError, match="No source is called atendance") as raised:
        shown(district, Wanted("atendance"))
    assert "attendance" in raised.value.remedy


def test_text_is_of_files_that_still_speak_only(district: District) -> None:
    assert "att.csv line 7 (unreadable_date)" in shown(district, text=True)
    district.put("att.csv", many(5) + "S9,Other Canary,10,never,A\n")
    publish(district, district.land(TUESDAY))
    told = shown(district, text=True)
    assert "never" in told
    assert "not a day" not in told
    assert len(list((district.home.landing / "refused").rglob("*.parquet"))) == 2


def test_a_fixed_file_empties_its_part(district: District, tmp_path: Path) -> None:
    district.put("att.csv", many(8))
    landing = district.land(TUESDAY)
    assert [file.rows_refused for file in landing.files if file.is_live] == [0]
    publish(district, landing)
    assert "No row is in quarantine." in shown(district, text=True)
    assert exported(district, tmp_path / "rows.csv", text=True) == []


def test_the_screen_says_how_many_lines_it_leaves_out(district: District, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "_MOST_LINES", 2)
    assert "and 1 more rows" in shown(district, text=True)
    monkeypatch.setattr(quarantine, "_MOST_LINES", 1)
    assert "and 1 more causes" in shown(district)


def test_an_export_holds_every_row_and_is_private(district: District, tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    rows = exported(district, target)
    assert target.stat().st_mode & 0o777 == 0o600
    columns = ["source_id", "entity", "file_name", "file_id", "line", "other_line", "column_name", "reason", "remedy"]
    assert list(rows[0]) == [*columns, "shape"]
    assert [(row["line"], row["reason"], row["shape"]) for row in rows] == [
        ("7", "unreadable_date", "aaa a aaa"),
        ("8", "unreadable_date", "aaaa aaaa"),
        ("9", "too_few_fields", ""),
    ]
    assert {(row["file_name"], len(row["file_id"])) for row in rows} == {("att.csv", 64)}
    assert "Canary" not in target.read_text()
    with_text = exported(district, tmp_path / "text.csv", text=True)
    assert [row["text"].count("Canary") for row in with_text] == [1, 1, 0]
    assert with_text[2]["text"] == "ragged"
    assert [row["line"] for row in exported(district, tmp_path / "few.csv", Wanted(reason="too_few_fields"))] == ["9"]
    written = sorted(path.name for path in tmp_path.iterdir() if path.suffix in (".csv", ".tmp"))
    assert written == ["few.csv", "rows.csv", "text.csv"]


def test_an_export_writes_over_nothing(district: District, tmp_path: Path) -> None:
    target = tmp_path / "mine.csv"
    target.write_text("a person's own")
    with pytest.raises(ConfigurationError, match="is there already"):
        exported(district, target)
    assert target.read_text() == "a person's own"


@pytest.mark.parametrize("text", [False, True])
def test_an_export_never_lies_where_it_could_get_out(district: District, tmp_path: Path, text: bool) -> None:
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    (checkout / "deep").mkdir()
    (tmp_path / "link").symlink_to(checkout / "deep")
    places = (checkout / "deep", tmp_path / "link", district.home.published, district.home.published / SNAPSHOT)
    (district.home.published / SNAPSHOT).mkdir()
    for folder in places:
        with pytest.raises(ConfigurationError):
            exported(district, folder / "rows.csv", text=text)
        assert not list(folder.glob("*rows.csv*"))
    with pytest.raises(ConfigurationError, match="cannot be written"):
        exported(district, tmp_path / "not there" / "rows.csv", text=text)


def twice(district: District, content: str | bytes, line: int) -> None:
    """The newest snapshot, as if staging had not taken this line of a file, since its key came twice."""
    district.put("att.csv", content)
    landing = district.land(TUESDAY)
    publish(district, landing)
    (file,) = [one for one in landing.files if one.is_live]
    with duckdb.connect(str(district.home.restricted / SNAPSHOT / "equity.duckdb")) as con:
        con.execute(
            "insert into quarantine by name select 'attendance' as source_id, 'attendance_event' as entity,"
            " ? as file_id, ? as line, 'conflicting_duplicate' as reason, 'Correct it.' as remedy",
            [file.file_id, line],
        )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_row_that_came_twice_is_shown_as_received_and_names_the_other(
    district: District, tmp_path: Path, encoding: str
) -> None:
    content = many(5) + "S2,Canary Nämé,10,2025-09-01,T\n" + "S9,Canary Name,10,2025-09-01,A\n"
    twice(district, content.encode(encoding), 4)
    told = shown(district)
    assert "conflicting_duplicate, first in line 4 of att.csv, beside line 7" in told
    assert "Canary" not in told
    assert "att.csv line 4 (conflicting_duplicate): S2,Canary Name,10,2025-09-01,A" in shown(district, text=True)
    (row,) = exported(district, tmp_path / "rows.csv", text=True)
    assert (row["line"], row["other_line"], row["text"]) == ("4", "7", "S2,Canary Name,10,2025-09-01,A")


def test_text_of_a_row_that_came_twice_is_missing_where_the_file_is(district: District) -> None:
    twice(district, many(5), 4)
    for path in (district.home.landing / "files").rglob("*"):
        if path.is_file():
            path.unlink()
    assert "line 4 (conflicting_duplicate)" not in shown(district, text=True)
    assert "first in line 4 of att.csv" in shown(district)


def test_before_the_first_snapshot_check_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Nothing is published"):
        shown(District(tmp_path / "new"))


def test_a_file_without_a_receipt_goes_by_its_hash(district: District) -> None:
    for path in (district.home.landing / "receipts").rglob("*.json"):
        path.unlink()
    assert "line 7 of " in shown(district)
    assert "att.csv" not in shown(district)
