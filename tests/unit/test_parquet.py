"""Parquet: every type as the same text everywhere, and damage that is told."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pyarrow.parquet
import pytest

from pipelines.config import Source
from pipelines.sources import Unreadable, parquet

SOURCE = Source(kind="parquet", files=["x"], missing_rows="full")


def read(tmp_path: Path, table: pyarrow.Table | bytes) -> list[Any]:
    file = tmp_path / "export.parquet"
    if isinstance(table, bytes):
        file.write_bytes(table)
    else:
        pyarrow.parquet.write_table(table, file)
    con = duckdb.connect()
    reading = parquet.read(con, file, SOURCE, tmp_path)
    rows = con.execute(f"SELECT * FROM {reading.tables['*']} ORDER BY {reading.line_column}").fetchall()
    described = con.execute(f"DESCRIBE {reading.tables['*']}").fetchall()
    assert {kind for _, kind, *_ in described[:-1]} == {"VARCHAR"}
    assert len(rows) == reading.rows_read
    assert con.execute(f"SELECT count(*) FROM {reading.refused}").fetchall() == [(0,)]
    return rows


def test_values_are_text_that_says_the_same_everywhere(tmp_path: Path) -> None:
    noon = datetime.datetime(2026, 3, 27, 14, 11, tzinfo=datetime.UTC)
    columns: dict[str, Any] = {
        "text": ["00417", None],
        "whole": pyarrow.array([417, None], pyarrow.int64()),
        "float_id": pyarrow.array([417.0, None], pyarrow.float64()),
        "share": [0.1, None],
        "amount": [Decimal("1.50"), None],
        "day": [datetime.date(2026, 3, 27), None],
        "time": [noon.replace(tzinfo=None), None],
        "instant": pyarrow.array([noon, None], pyarrow.timestamp("us", "America/Chicago")),
        "flag": [True, None],
    }
    assert read(tmp_path, pyarrow.table(columns)) == [
        ("00417", "417", "417", "0.1", "1.50", "2026-03-27", "2026-03-27 14:11:00", "2026-03-27 14:11:00Z", "true", 1),
        (None,) * 9 + (2,),
    ]


def test_lines_count_rows_over_row_groups_and_names_are_cleaned(tmp_path: Path) -> None:
    table = pyarrow.table({" Student  Id": [str(n) for n in range(250_000)], "line": ["x"] * 250_000})
    rows = read(tmp_path, table)
    assert (rows[0], rows[-1]) == (("0", "x", 1), ("249999", "x", 250_000))


def test_a_file_without_rows_is_readable(tmp_path: Path) -> None:
    assert read(tmp_path, pyarrow.table({"id": pyarrow.array([], pyarrow.string())})) == []


@pytest.mark.parametrize("kind", ["list", "struct", "bytes"])
def test_what_is_not_one_value_a_row_is_named(tmp_path: Path, kind: str) -> None:
    value: Any = {"list": ["a"], "struct": {"a": 1}, "bytes": b"\xff"}[kind]
    with pytest.raises(Unreadable) as raised:
        read(tmp_path, pyarrow.table({"id": ["1"], "odd one": [value]}))
    assert raised.value.reason == "nested_column"
    assert "odd one" in raised.value.message


def test_damage_is_told(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"id": [f"S{n}" for n in range(2000)]}), tmp_path / "good.parquet")
    good = (tmp_path / "good.parquet").read_bytes()
    for content in (b"", b"PAR1", b"id\n1\n", good[:-9], good[: len(good) // 2], good[:50] + b"\xff" * 60 + good[110:]):
        with pytest.raises(Unreadable) as raised:
            read(tmp_path, content)
        assert raised.value.reason == "not_parquet"
        assert "S1" not in raised.value.message + raised.value.remedy


def test_columns_that_differ_in_case_only_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable) as raised:
        read(tmp_path, pyarrow.table({"id": ["1"], "ID": ["2"]}))
    assert raised.value.reason == "duplicate_column_name"
