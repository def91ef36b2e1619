"""Texas's published attendance: every figure with its number, every mask without one, ids with their zeros."""

from __future__ import annotations

import csv
import random
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines import mapping
from pipelines.config import Source
from pipelines.contract import CROSSWALK_VALUES, ENTITIES
from pipelines.crosswalks import load
from pipelines.sources import Unreadable, tx_tapr

DATA = Path(__file__).parents[3] / "shared" / "data" / "tx_tapr"
COLUMNS = [column.name for column in ENTITIES["state_report"].columns]
HEAD = "DISTRICT,DA0AT18N,DB0AT18N,DA0AT18D,DB0AT18D,DA0AT18R,DB0AT18R,DA0708DR18R\n"
CANARY = "Zanthippe Quillfeather"
#: What the state writes in place of a number, as its files show it: not taken from the code under test.
MARKS = ("-1", "-2", "-3", ".")


def source() -> Source:
    return Source(kind="tx_tapr", files=["x"], missing_rows="full")


def read(path: Path, tmp_path: Path) -> tuple[list[dict[str, Any]], list[tuple[Any, ...]]]:
    """Rows and refused rows of the reader, which add up."""
    con = duckdb.connect()
    reading = tx_tapr.read(con, path, source(), tmp_path)
    found = con.execute(f"FROM {reading.tables['state_report']} ORDER BY ALL").fetchall()
    refused = con.execute(f"SELECT line, reason, entity FROM {reading.refused} ORDER BY ALL").fetchall()
    assert reading.rows_read == len(found) + len(refused)
    return [dict(zip([*COLUMNS, "line"], row, strict=True)) for row in found], refused


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "attendance.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_line_becomes_a_row_a_group_and_a_mask_is_no_number(tmp_path: Path) -> None:
    rows, refused = read(written(tmp_path, HEAD + '"001902",2926,-1,3040,.,96.3,-1,-3\n'), tmp_path)
    same = {"state_organization_id": "001902", "organization_level": "district", "school_year": "2018"}
    same |= {"indicator": "tapr_0AT", "rate_unit": "percent", "line": 2}
    shown = {"student_group": "tapr_A", "numerator": "2926", "denominator": "3040", "rate": "96.3", "mask": ""}
    masked = {"student_group": "tapr_B", "numerator": "", "denominator": "", "rate": "", "mask": "-1"}
    assert (rows, refused) == ([{**same, **shown}, {**same, **masked}], [])


def test_a_row_that_cannot_be_read_is_refused_once(tmp_path: Path) -> None:
    rows, refused = read(written(tmp_path, HEAD + "001902,1,2\n001903,1,2,3,4,5,6,7\n"), tmp_path)
    assert {row["state_organization_id"] for row in rows} == {"001903"}
    assert refused == [(2, "too_few_fields", "state_report")]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("DISTRICT,NAME", "not_this_layout"),
        ("DISTRICT,DA0AT18R,CA0AT18R", "not_this_layout"),
        ("CAMPUS,DA0AT18R", "missing_column"),
    ],
)
def test_a_file_of_another_layout_did_not_arrive(tmp_path: Path, header: str, reason: str) -> None:
    cells = ",".join([CANARY] * len(header.split(",")))
    with pytest.raises(Unreadable) as raised:
        read(written(tmp_path, f"{header}\n{cells}\n"), tmp_path)
    assert raised.value.reason == reason
    assert CANARY not in raised.value.message + raised.value.remedy


def test_what_is_neither_number_nor_mask_is_refused_by_the_map(tmp_path: Path) -> None:
    con = duckdb.connect()
    path = written(tmp_path, HEAD + f"001902,1,{CANARY},2,2,50.0,50.0,1\n")
    reading = tx_tapr.read(con, path, source(), tmp_path)
    judged = mapping.judge(con, reading, "state_report", ENTITIES["state_report"], source(), bytes(32))
    assert judged is not None
    assert CANARY not in repr(judged)


@pytest.mark.parametrize("seed", range(40))
def test_a_broken_file_loses_nothing_and_tells_nothing(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    lines = [HEAD.encode(), *(f'"{n:06}",1,-1,2,.,50.0,{CANARY},3\n'.encode() for n in range(20))]
    content = bytearray(b"".join(lines))
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(content))
        content[at : at + draw.randint(0, 4)] = draw.choice([b"", b'"', b"\n", b",", b"\0", b"\xff", b'="', b"\r"])
    try:
        rows, refused = read(written(tmp_path, bytes(content)), tmp_path)
    except Unreadable as raised:
        assert CANARY not in f"{raised} {raised.message} {raised.remedy}"
    else:
        assert CANARY not in repr(refused)
        assert not {row[part] for row in rows for part in ("numerator", "denominator", "rate")} & set(MARKS)


def half_up_tenths(numerator: Decimal, denominator: Decimal) -> int:
    """100 * N / D in tenths, in integers: N and D are published to one place."""
    n, d = int(numerator * 10), int(denominator * 10)
    return (2000 * n + d) // (2 * d)


@pytest.mark.parametrize("year", ["2017-2018", "2018-2019"])
def test_every_figure_of_a_real_year(tmp_path: Path, year: str) -> None:
    files = sorted((DATA / year).glob("*/attendance.csv"))
    if not files:
        pytest.skip("needs ../shared/data/tx_tapr")
    for path in files:
        with path.open(encoding="utf-8-sig", newline="") as opened:
            [header, *records] = [record for record in csv.reader(opened) if record]
        places = [n for n, name in enumerate(header) if re.fullmatch("[SRDC][A-Z0-9]0AT[0-9]{2}[NDR]", name)]
        cells = [record[n].strip() for record in records for n in places]
        rows, refused = read(path, tmp_path)
        parts = [row[part] for row in rows for part in ("numerator", "denominator", "rate")]
        assert (refused, len(parts)) == ([], len(cells))
        assert sorted(filter(None, parts)) == sorted(cell for cell in cells if cell not in MARKS and cell)
        whole = [row for row in rows if row["numerator"] and row["denominator"] and row["rate"]]
        assert whole
        for row in whole:
            tenths = half_up_tenths(Decimal(row["numerator"]), Decimal(row["denominator"]))
            assert tenths == int(Decimal(row["rate"]) * 10)
        if path.parent.name == "district":
            assert all(re.fullmatch("[0-9]{6}", row["state_organization_id"]) for row in rows)


def test_the_state_of_2016_17_and_ids_across_years(tmp_path: Path) -> None:
    if not DATA.exists():
        pytest.skip("needs ../shared/data/tx_tapr")
    rows, _ = read(DATA / "2017-2018" / "state" / "attendance.csv", tmp_path)
    meaning = {row.code: row.value for row in load(tmp_path / "none").entries if row.crosswalk == "state_student_group"}
    rates = {meaning[row["student_group"].lower()]: row["rate"] for row in rows if row["school_year"] == "2017"}
    wanted = {"all": "95.7", "race_ethnicity:black": "95.3", "race_ethnicity:white": "95.9"}
    wanted |= {"disability:idea": "94.4", "race_ethnicity:asian": "97.7"}
    assert wanted.items() <= rates.items()
    regions = [
        {row["state_organization_id"] for row in read(DATA / year / "region" / "attendance.csv", tmp_path)[0]}
        for year in ("2017-2018", "2018-2019")
    ]
    assert regions[0] == regions[1] == {f"{n:02}" for n in range(1, 21)}


def test_every_group_and_indicator_of_a_default_is_one_of_ours() -> None:
    seed = Path(__file__).parents[2] / "dbt_project" / "seeds" / "student_groups.csv"
    with seed.open(encoding="utf-8", newline="") as opened:
        groups = {
            "all" if row["category"] == "all" else f"{row['category']}:{row['value']}" for row in csv.DictReader(opened)
        }
    assert set(CROSSWALK_VALUES["state_student_group"]) - {"none"} <= groups
    registry = (seed.parents[1] / "dbt_project.yml").read_text(encoding="utf-8")
    registered = set(re.findall(r"indicator_id: (\w+)", registry))
    assert set(CROSSWALK_VALUES["state_indicator"]) - {"none"} <= registered


@pytest.mark.parametrize("mark", MARKS)
def test_each_mark_is_kept_and_is_no_number(tmp_path: Path, mark: str) -> None:
    rows, _ = read(written(tmp_path, f"DISTRICT,DA0AT18R\n001902, {mark} \n"), tmp_path)
    assert [(row["rate"], row["mask"]) for row in rows] == [("", mark)]
