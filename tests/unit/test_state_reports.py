"""Figures of states that arrive by map: a made-up state by the fragment of the page, and Connecticut."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import duckdb
import pytest

from pipelines.district_file import load
from pipelines.home import Home
from pipelines.landing import LiveFile, land
from tests.unit.test_map_landing import DATA, DAY

PAGE = Path(__file__).parents[2] / "docs" / "sources" / "state_reports.md"
HEAD = """\
district: {id: d, name: D, contact: x@example.org, time_zone: America/Chicago}
calendar:
  - {school_year: 2026, first_day: 2025-08-12, last_day: 2026-05-28}
"""
EDSIGHT = """\
sources:
  state:
    kind: delimited
    files: state/*.csv
    missing_rows: full
    masks: ["*", "N/A"]
    entities:
      state_report:
        columns:
          state_organization_id: CODE
          student_group: Race/Ethnicity
          numerator: Count
          rate: "%"
        constants: {organization_level: LEVEL, indicator: suspensions, rate_unit: percent, school_year: "2016"}
"""


def landed(folder: Path, sources: str) -> LiveFile:
    (folder / "district.yaml").write_text(HEAD + sources.replace("    kind:", KIND), encoding="utf-8")
    landing = land(load(folder / "district.yaml"), Home.open(folder / "home"), as_of=DAY, say=lambda _: None)
    assert [state.message for state in landing.sources if state.message] == []
    (file,) = landing.files
    assert file.rows_read == file.rows_accepted + file.rows_refused + file.rows_filtered + file.rows_collapsed
    return file


KIND = "    whole: {stable_seconds: 0}\n    kind:"


def figures(file: LiveFile, columns: str) -> list[tuple[str, ...]]:
    query = f"SELECT {columns} FROM read_parquet(?) ORDER BY line"
    return duckdb.execute(query, [str(file.raw_path)]).fetchall()


def fragments() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_fragment_of_the_page_lands_a_made_up_state(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "a.csv").write_text(
        "Code,Year,Total,Black,White\n007,2026,95.0,<10,96.5\nSUM,2026,95,94,96\n"
    )
    file = landed(tmp_path, fragments()[-1])
    found = figures(file, "state_organization_id, school_year, student_group, rate")
    assert sorted(found) == [
        ("007", "2026", "Black", ""),
        ("007", "2026", "Total", "95.0"),
        ("007", "2026", "White", "96.5"),
    ]
    assert (file.rows_filtered, file.cells_masked) == (3, 1)


def test_the_fragment_of_the_page_lands_texas(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    path = tmp_path / "state" / "tapr_2019_attendance.csv"
    path.write_text("DISTRICT,DA0AT18N,DA0AT18D,DA0AT18R,DB0AT18R\n001902,2926,3040,96.3,-1\n001903,x,1,1,1\n")
    file = landed(tmp_path, fragments()[0])
    found = figures(file, "state_organization_id, student_group, rate, mask")
    assert sorted(found) == [
        ("001902", "tapr_A", "96.3", ""),
        ("001902", "tapr_B", "", "-1"),
        ("001903", "tapr_B", "1", ""),
    ]
    assert (file.rows_read, file.rows_refused) == (4, 1)


@pytest.mark.parametrize(
    ("name", "level", "code"), [("", "district", "District Code"), ("_ct", "state", "Organization Code")]
)
def test_connecticut_s_suspensions_of_2015_16(tmp_path: Path, name: str, level: str, code: str) -> None:
    path = DATA / "ct_edsight" / "suspension-rates-district" / f"suspension-rates__2015-16_race{name}.csv"
    if not path.exists():
        pytest.skip("needs ../shared/data/ct_edsight")
    (tmp_path / "state").mkdir()
    shutil.copy(path, tmp_path / "state" / "a.csv")
    file = landed(tmp_path, EDSIGHT.replace("CODE", code).replace("LEVEL", level))
    with path.open(encoding="utf-8-sig", newline="") as opened:
        records = [record for record in csv.reader(opened) if len(record) == 5][1:]
    found = figures(file, "state_organization_id, student_group, numerator, rate")
    hidden = ("*", "N/A")
    assert found == [
        (record[1].strip('="'), record[2], *("" if cell in hidden else cell for cell in record[3:]))
        for record in records
    ]
    if level == "state":
        rates = {group: (count, rate) for _, group, count, rate in found}
        assert rates["Black or African American"] == ("11446", "16.2")
        assert rates["White"] == ("11826", "3.9")
