"""EdSight's reports: every file of three years by its own kind, with the figures that Connecticut published."""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from pathlib import Path

import duckdb
import pytest

from pipelines import crosswalks
from pipelines.config import Source
from pipelines.contract import ENTITIES
from pipelines.sources import Unreadable, ct_edsight

DATA = Path(__file__).parents[3] / "shared" / "data" / "ct_edsight"
FOLDERS = ("chronic-absenteeism-district", "enrollment-district", "suspension-rates-district")
FILES = [path for folder in FOLDERS for path in sorted((DATA / folder).glob("*.csv"))]
#: Enrollment by race and another group at once: figures of no single group.
CROSSED = [path for path in FILES if "ethnicity-by" in path.name]
needs_edsight = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/ct_edsight")
SUSPENSIONS = '"District","District Code","Race/Ethnicity","Count","%"\n'
Figure = dict[str, str]


def read(file: Path, scratch: Path, year: str | None = None) -> tuple[list[Figure], int, int]:
    """The figures of a file, how many were left out, and how many rows were refused."""
    constants = {} if year is None else {"school_year": year}
    source = Source.model_validate(
        {
            "kind": "ct_edsight",
            "files": file.name,
            "missing_rows": "full",
            "entities": {"state_report": {"constants": constants}},
        }
    )
    with duckdb.connect() as con:
        reading = ct_edsight.read(con, file, source, scratch)
        rows = con.execute(f"SELECT * FROM {reading.tables['state_report']}").to_arrow_table().to_pylist()
        [(refused,)] = con.execute(f"SELECT count(*) FROM {reading.refused}").fetchall()
    assert reading.rows_read == len(rows) + refused
    for row in rows:
        assert set(row) == {column.name for column in ENTITIES["state_report"].columns} | {"line"}
        assert not set(ct_edsight.MASKS) & {row["numerator"], row["rate"]}
        assert bool(row["mask"]) or row["numerator"] or row["rate"]
    return rows, reading.left_out["state_report"], refused


def by_group(rows: list[Figure]) -> dict[str, tuple[str, str]]:
    assert {row["organization_level"] for row in rows} == {"state"}
    return {row["student_group"].removeprefix("edsight_"): (row["numerator"], row["rate"]) for row in rows}


@needs_edsight
@pytest.mark.parametrize("file", [path for path in FILES if path not in CROSSED], ids=lambda path: path.stem)
def test_every_report_lands_and_its_codes_are_known(file: Path, tmp_path: Path) -> None:
    rows, _, refused = read(file, tmp_path, year=f"20{file.name.partition('__')[2][5:7]}")
    assert rows
    assert refused == 0
    assert {row["school_year"] for row in rows} == {f"20{file.name.partition('__')[2][5:7]}"}
    known = {(one.crosswalk, one.code) for one in crosswalks.load(Path("/nonexistent")).entries}
    assert {row["student_group"] for row in rows if ("state_student_group", row["student_group"]) not in known} == set()
    assert {row["indicator"] for row in rows if ("state_indicator", row["indicator"]) not in known} == set()
    assert all(len(row["state_organization_id"]) == 7 or row["organization_level"] == "state" for row in rows)


@needs_edsight
@pytest.mark.parametrize("file", CROSSED, ids=lambda path: path.stem)
def test_a_report_of_two_groups_at_once_is_not_taken_for_one(file: Path, tmp_path: Path) -> None:
    with pytest.raises(Unreadable) as problem:
        read(file, tmp_path)
    assert problem.value.reason == "not_this_layout"


@needs_edsight
def test_the_states_figures_of_2015_16(tmp_path: Path) -> None:
    suspended = DATA / "suspension-rates-district"
    rows, _, _ = read(suspended / "suspension-rates__2015-16_race_ct.csv", tmp_path, "2016")
    found = by_group(rows)
    assert found["black or african american"] == ("11446", "16.2")
    assert found["hispanic/latino of any race"] == ("13156", "10.3")
    assert found["white"] == ("11826", "3.9")
    rows, _, _ = read(suspended / "suspension-rates__2015-16__ct.csv", tmp_path, "2016")
    assert by_group(rows)["all"] == ("38100", "7.0")
    chronic = DATA / "chronic-absenteeism-district"
    rows, _, _ = read(chronic / "chronic-absenteeism__2015-16_race_ct.csv", tmp_path)
    found = by_group(rows)
    assert [found[group][1] for group in ("black or african american", "hispanic/latino of any race", "white")] == [
        "14.5",
        "15.7",
        "6.4",
    ]
    rows, _, _ = read(chronic / "chronic-absenteeism__2015-16_all-students_ct.csv", tmp_path)
    assert by_group(rows)["all"] == ("", "9.6")


@needs_edsight
@pytest.mark.parametrize("year", ["2013-14", "2014-15", "2015-16"])
def test_the_row_of_totals_is_no_district_so_the_state_is_not_doubled(year: str, tmp_path: Path) -> None:
    file = DATA / "enrollment-district" / f"enrollment__{year}_all-students.csv"
    rows, left_out, _ = read(file, tmp_path)
    with file.open(encoding="utf-8-sig", newline="") as opened:
        total = next(record[2] for record in csv.reader(opened) if record and record[0] == "Total")
    assert left_out == 1
    counted = sum(int(row["numerator"].replace(",", "")) for row in rows if row["numerator"])
    # What is missing are the districts whose own number is hidden.
    assert any(row["mask"] for row in rows) == (counted < int(total))
    assert 0.99 * int(total) < counted <= int(total)


@needs_edsight
def test_districts_join_across_years_by_their_zero_padded_ids(tmp_path: Path) -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for year in ("2013-14", "2015-16"):
        rows, _, _ = read(DATA / "enrollment-district" / f"enrollment__{year}_all-students.csv", tmp_path)
        found[year] = {row["state_organization_id"] for row in rows}
    shared = found["2013-14"] & found["2015-16"]
    assert "0010011" in shared
    assert len(shared) > 180


def test_a_report_without_its_year_asks_for_it(tmp_path: Path) -> None:
    file = tmp_path / "suspensions.csv"
    file.write_text(SUSPENSIONS + '"A","=""0010011""","White",10,1.3\n')
    with pytest.raises(Unreadable, match="does not say of which school year") as problem:
        read(file, tmp_path)
    assert "school_year" in problem.value.remedy
    rows, _, _ = read(file, tmp_path, "2016")
    assert [(row["state_organization_id"], row["numerator"], row["rate"]) for row in rows] == [("0010011", "10", "1.3")]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "a,b\n1,2\n",
        '"District","District Code","Count","Rate"\n"A","1",2,3\n',
        '"District","District Code","Race","Sex","Count","%"\n"A","1","x","y",2,3\n',
        '"Incidents"\n"District","District Code","Weapons","Drugs"\n"A","1",2,3\n',
    ],
)
def test_other_reports_are_refused_with_a_remedy(content: str, tmp_path: Path) -> None:
    file = tmp_path / "report.csv"
    file.write_text(content)
    with pytest.raises(Unreadable) as problem:
        read(file, tmp_path, "2016")
    assert problem.value.remedy


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_report_loses_no_row_and_tells_no_cell(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    content = bytearray(
        (SUSPENSIONS + "".join(f'"Canary {n}","=""{n:07}""","White",{n},1.{n % 10}\n' for n in range(40))).encode()
    )
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(content))
        match chance.randrange(3):
            case 0:
                content[at] = chance.randrange(256)
            case 1:
                del content[at : at + chance.randrange(1, 30)]
            case _:
                content[at:at] = content[at : at + chance.randrange(1, 90)]
    file = tmp_path / "report.csv"
    file.write_bytes(bytes(content))
    try:
        rows, _, refused = read(file, tmp_path, "2016")
    except Unreadable as problem:
        assert "Canary" not in problem.message + problem.remedy
        assert problem.remedy
    else:
        assert len(rows) + refused >= 1
