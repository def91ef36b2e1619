"""Columns that should be rows: wide grids, repeated groups, patterns of names; every cell is accounted for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines import mapping, reshape
from pipelines.config import Source
from pipelines.contract import ENTITIES
from pipelines.sources import Reading, Unreadable

SCRATCH = Path("unused")


def shaped(
    rows: list[dict[str, str | None]], entity_map: dict[str, Any], entity: str = "attendance_event", **settings: Any
) -> tuple[duckdb.DuckDBPyConnection, reshape.Shaped]:
    con = duckdb.connect()
    typed = ", ".join(f'"{name}" VARCHAR' for name in rows[0])
    con.execute(f"CREATE TEMP TABLE t ({typed}, line BIGINT)")
    for line, row in enumerate(rows, start=2):
        con.execute(f"INSERT INTO t VALUES ({', '.join('?' * (len(row) + 1))})", [*row.values(), line])
    source = Source(kind="delimited", files=["f"], missing_rows="full", entities={entity: entity_map}, **settings)
    reading = Reading({"*": "t"}, "none", len(rows))
    return con, reshape.shape(con, reading, ENTITIES[entity], source, None, SCRATCH)


def table(rows: list[dict[str, str | None]], entity_map: dict[str, Any], **settings: Any) -> list[dict[str, Any]]:
    """The rows that came out, in the order of their lines."""
    con, result = shaped(rows, entity_map, **settings)
    answer = con.execute(f"FROM {result.reading.tables['*']}").to_arrow_table().to_pylist()
    return sorted(answer, key=lambda row: row["line"])


def judged(rows: list[dict[str, str | None]], entity: str, entity_map: dict[str, Any], **settings: Any) -> Any:
    """(contract values by name, reason) of every row that came out, and the judgement itself."""
    con, result = shaped(rows, entity_map, entity, **settings)
    answer = mapping.judge(con, result.reading, "*", ENTITIES[entity], result.source, bytes(32))
    values = ", ".join(f"value_{n} AS {column.name}" for n, column in enumerate(ENTITIES[entity].columns))
    found = con.execute(f"SELECT line, problem, {values} FROM {answer.view} ORDER BY line").to_arrow_table().to_pylist()
    return found, answer, result


GRID = {
    "columns": {"student_id": "sid", "date": {"column": "day", "date_formats": ["%Y%m%d"]}, "category": "value"},
    "constants": {"school_id": "10"},
    "unpivot": {"columns": r"D_(?P<day>\d{8})"},
}


def test_a_column_a_day_becomes_a_row_a_day() -> None:
    rows: list[dict[str, str | None]] = [
        {"sid": "1", "D_20250901": "A", "d_20250902": "", "D_20250903": None, "D_total": "3"},
        {"sid": "2", "D_20250901": " ", "d_20250902": "T", "D_20250903": "P", "D_total": "3"},
    ]
    found, answer, result = judged(rows, "attendance_event", GRID)
    marks = [(row["line"], row["student_id"], row["date"], row["category"]) for row in found]
    assert marks == [(2, "1", "2025-09-01", "A"), (3, "2", "2025-09-02", "T"), (3, "2", "2025-09-03", "P")]
    assert (answer.rows_read, answer.rows_filtered, result.rows_left_out) == (3, 0, 3)


def test_column_names_that_are_dates_are_parsed_as_dates() -> None:
    entity_map = {
        "columns": {"student_id": "sid", "date": "column_name", "category": "value", "school_id": "sid"},
        "unpivot": {"columns": ["9/1/2025", "9/2/2025"]},
    }
    rows: list[dict[str, str | None]] = [{"sid": "1", "9/1/2025": "A", "9/2/2025": "T"}]
    found, _, _ = judged(rows, "attendance_event", entity_map, date_formats=["%m/%d/%Y"])
    assert sorted(row["date"] for row in found) == ["2025-09-01", "2025-09-02"]


def test_new_columns_can_be_renamed_and_filtered() -> None:
    entity_map = {
        "columns": {"student_id": "sid", "races": "race"},
        "where": {"has": ["Y"]},
        "unpivot": {"columns": ["white", "black"], "name": "race", "value": "has", "drop": []},
    }
    rows: list[dict[str, str | None]] = [
        {"sid": "1", "white": "Y", "black": "N"},
        {"sid": "2", "white": None, "black": "Y"},
    ]
    found, answer, result = judged(rows, "student_demographic", entity_map)
    assert [(row["student_id"], row["races"]) for row in found] == [("1", "white"), ("2", "black")]
    assert (answer.rows_read, answer.rows_filtered, result.rows_left_out) == (4, 2, 0)


REPEATED = {
    "columns": {
        "action_id": {"columns": ["id", "column_name"], "join": "-"},
        "student_id": "sid",
        "school_id": "sid",
        "date": "day",
        "action": "kind",
        "days_actual": "days",
    },
    "unpivot": {"repeat": [{"kind": "Action1", "days": "Days1"}, {"kind": "Action2", "days": "Days2"}]},
}


def test_repeated_groups_become_rows_with_their_number() -> None:
    about = {"id": "I7", "sid": "1", "day": "2025-09-01"}
    rows: list[dict[str, str | None]] = [
        {**about, "Action1": "ISS", "Days1": "1", "Action2": "OSS", "Days2": "2"},
        {**about, "Action1": "ISS", "Days1": "", "Action2": " ", "Days2": None},
        {**about, "Action1": "", "Days1": "3", "Action2": None, "Days2": None},
    ]
    found, answer, result = judged(rows, "discipline_action", REPEATED)
    seen = sorted(
        (row["line"], row["action_id"], row["action"], row["days_actual"], row["problem"] > 0) for row in found
    )
    assert seen == [
        (2, "I7-1", "ISS", "1", False),
        (2, "I7-2", "OSS", "2", False),
        (3, "I7-1", "ISS", "", False),
        (4, "I7-1", "", "3", True),
    ]
    assert (answer.rows_read, result.rows_left_out) == (4, 2)


def test_masked_cells_stay_as_unknown_and_are_counted() -> None:
    entity_map = {
        "columns": {
            "action_id": "id",
            "student_id": "id",
            "school_id": "id",
            "action": "column_name",
            "days_actual": "value",
        },
        "constants": {"date": "2025-09-01"},
        "unpivot": {"columns": ["oss", "iss", "exp"]},
    }
    rows: list[dict[str, str | None]] = [{"id": "1", "oss": "*", "iss": "2", "exp": ""}]
    found, answer, result = judged(rows, "discipline_action", entity_map, masks=["*"])
    assert sorted((row["action"], row["days_actual"]) for row in found) == [("iss", "2"), ("oss", "")]
    assert (answer.cells_masked, result.rows_left_out) == (1, 1)


def test_a_pattern_takes_neither_refused_columns_nor_those_that_the_map_reads() -> None:
    rows: list[dict[str, str | None]] = [{"sid": "1", "SSN": "123", "student_ssn": "123", "note": "A", "school": "10"}]
    entity_map = {
        "columns": {"student_id": "SID", "school_id": "school", "category": "value"},
        "constants": {"date": "2025-09-01"},
        "unpivot": {"columns": ".*"},
    }
    (row,) = table(rows, entity_map)
    assert row == {"line": 2, "sid": "1", "school": "10", "column_name": "note", "value": "A"}


def test_only_columns_that_the_map_reads_are_repeated() -> None:
    rows: list[dict[str, str | None]] = [{"sid": "1", "name": "Canary", "D_20250901": "A"}]
    assert list(table(rows, GRID)[0]) == ["line", "sid", "column_name", "value", "day"]


def reason_of(rows: list[dict[str, str | None]], entity_map: dict[str, Any]) -> Unreadable:
    with pytest.raises(Unreadable) as raised:
        shaped(rows, entity_map)
    assert raised.value.remedy
    return raised.value


def test_a_file_that_does_not_have_the_columns_is_held_back() -> None:
    rows: list[dict[str, str | None]] = [{"sid": "1", "E_20250901": "A"}]
    fits_none = reason_of(rows, GRID)
    assert fits_none.reason == "pattern_fits_no_column"
    assert "D_(?P<day>" in fits_none.message
    listed = reason_of(rows, {**GRID, "unpivot": {"columns": ["E_20250901", "E_20250902"]}})
    assert (listed.reason, "closest in the file: E_20250901" in listed.message) == ("missing_column", True)
    repeated = reason_of(rows, {**GRID, "unpivot": {"repeat": [{"day": "Day1"}, {"day": "Day2"}]}})
    assert (repeated.reason, "Day1" in repeated.message) == ("missing_column", True)
    unknown = {**GRID, "columns": {**GRID["columns"], "student_id": "syd"}, "unpivot": {"columns": ["E_20250901"]}}
    assert "syd (closest in the file: sid)" in reason_of(rows, {**unknown, "where": {"day": ["x"]}}).message


def test_a_new_name_that_the_file_has_already_is_not_guessed_about() -> None:
    rows: list[dict[str, str | None]] = [{"sid": "1", "Value": "x", "D_20250901": "A"}]
    assert reason_of(rows, GRID).reason == "column_name_taken"
    # A column that becomes rows itself frees its name.
    freed = {**GRID, "unpivot": {"columns": ["Value"]}}
    assert [row["value"] for row in table(rows, {**freed, "columns": {"student_id": "sid", "category": "value"}})] == [
        "x"
    ]


def test_a_file_without_rows_gives_none() -> None:
    con = duckdb.connect()
    con.execute("CREATE TEMP TABLE t (sid VARCHAR, D_20250901 VARCHAR, line BIGINT)")
    source = Source(kind="delimited", files=["f"], missing_rows="full", entities={"attendance_event": GRID})
    result = reshape.shape(con, Reading({"*": "t"}, "none", 0), ENTITIES["attendance_event"], source, None, SCRATCH)
    assert con.execute(f"SELECT count(*) FROM {result.reading.tables['*']}").fetchone() == (0,)
    assert result.rows_left_out == 0


def test_a_file_that_knows_its_layout_or_needs_nothing_stays_as_it_is() -> None:
    con = duckdb.connect()
    source = Source(kind="edfi_xml", files=["f"], missing_rows="full")
    reading = Reading({"school": "t"}, "none", 0)
    assert reshape.shape(con, reading, ENTITIES["school"], source, None, SCRATCH) == reshape.Shaped(reading, source)
