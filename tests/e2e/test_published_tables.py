"""What readers may rely on: the tables of a snapshot, their columns and types, and their keys.

`published_tables.json` was written from a manifest. It grows by hand with each new table or column; a name or
a type that leaves it needs a major version. EQUITY_WRITE_TABLES=1 writes it anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import duckdb
import pytest
from nights import Ended, assert_ended

pytestmark = pytest.mark.e2e

GOLDEN = Path(__file__).with_name("published_tables.json")
ZONES = ("published", "restricted")
Tables = dict[str, dict[str, Any]]


def declared(night: Ended, zone: str) -> Tables:
    return {
        name: {"key": facts["key"], "columns": {column["name"]: column["type"] for column in facts["columns"]}}
        for name, facts in night.manifest(zone)["tables"].items()
    }


def missing_or_retyped(promised: Tables, found: Tables) -> list[str]:
    """What a reader of the promised tables would miss. New tables and columns are no loss."""
    lost = []
    for table, facts in promised.items():
        if table not in found:
            lost.append(table)
            continue
        if found[table]["key"] != facts["key"]:
            lost.append(f"key of {table}")
        columns = found[table]["columns"]
        lost += [f"{table}.{name}" for name, kind in facts["columns"].items() if columns.get(name) != kind]
    return lost


@pytest.fixture
def golden(clean: Ended) -> dict[str, Tables]:
    assert_ended(clean, 0)
    if os.environ.get("EQUITY_WRITE_TABLES"):
        tables = {zone: declared(clean, zone) for zone in ZONES}
        GOLDEN.write_text(json.dumps(tables, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    found: dict[str, Tables] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("zone", ZONES)
def test_no_published_table_or_column_is_lost(clean: Ended, golden: dict[str, Tables], zone: str) -> None:
    assert missing_or_retyped(golden[zone], declared(clean, zone)) == []


@pytest.mark.parametrize("zone", ZONES)
def test_new_tables_and_columns_are_written_down(clean: Ended, golden: dict[str, Tables], zone: str) -> None:
    assert missing_or_retyped(declared(clean, zone), golden[zone]) == []


def test_a_lost_column_would_be_noticed() -> None:
    promised: Tables = {"t": {"key": ["a"], "columns": {"a": "BIGINT", "b": "VARCHAR"}}}
    assert missing_or_retyped(promised, {}) == ["t"]
    assert missing_or_retyped(promised, {"t": {"key": ["a"], "columns": {"a": "BIGINT"}}}) == ["t.b"]
    retyped: Tables = {"t": {"key": ["b"], "columns": {"a": "VARCHAR", "b": "VARCHAR", "c": "DATE"}}}
    assert missing_or_retyped(promised, retyped) == ["key of t", "t.a"]


def test_the_tables_of_the_contract_are_there(clean: Ended) -> None:
    assert set(clean.manifest("published")["tables"]) >= {
        "data_quality_affects",
        "data_quality_result",
        "dim_indicator",
        "dim_label",
        "dim_organization",
        "dim_student_group",
        "indicator_by_group",
        "setting",
        "snapshot",
        "source_coverage",
    }


@pytest.mark.parametrize("zone", ZONES)
def test_files_hold_what_the_manifest_says(clean: Ended, zone: str) -> None:
    """Columns, types and order in equity.duckdb and in Parquet; one load in every row; keys unique."""
    manifest = clean.manifest(zone)
    folder = clean.home / zone / clean.snapshot_id
    with duckdb.connect() as con:
        con.execute(f"attach '{folder / 'equity.duckdb'}' as zone (read_only)")
        for table, facts in manifest["tables"].items():
            parquet = f"read_parquet('{folder / table / f'{table}.parquet'}')"
            for relation in (f"zone.main.{table}", parquet):
                columns = [
                    {"name": row[0], "type": row[1]} for row in con.execute(f"describe from {relation}").fetchall()
                ]
                assert columns == facts["columns"], relation
                rows, loads = con.execute(f"select count(*), count(distinct load_id) from {relation}").fetchall()[0]
                assert rows == facts["rows"]
                assert con.execute(
                    f"select count(*) from {relation} where load_id is distinct from ?", [manifest["load_id"]]
                ).fetchone() == (0,)
                assert loads == (1 if rows else 0)
                if facts["key"]:
                    repeated = con.execute(
                        f"select count(*) from (select 1 from {relation} group by {', '.join(facts['key'])}"
                        " having count(*) > 1)"
                    ).fetchone()
                    assert repeated == (0,), f"{table} repeats its key"


def test_only_the_types_of_the_contract(clean: Ended) -> None:
    for zone in ZONES:
        kinds = {column["type"] for facts in clean.manifest(zone)["tables"].values() for column in facts["columns"]}
        assert kinds <= {"BIGINT", "DOUBLE", "VARCHAR", "BOOLEAN", "DATE", "TIMESTAMP"}


def test_public_holds_no_student(clean: Ended) -> None:
    for table, facts in clean.manifest("published")["tables"].items():
        assert not [column["name"] for column in facts["columns"] if column["name"].endswith("_key")], table


def test_every_group_has_its_row(clean: Ended) -> None:
    """organizations x indicators x periods x groups, `unknown` and `unmapped` included: nobody silently missing."""
    with clean.restricted() as con:
        expected = con.execute(
            "select (select count(*) from dim_student_group),"
            " count(distinct (organization_id, indicator_id, school_year, period_type)) from indicator_by_group"
        ).fetchall()[0]
        rows = con.execute("select count(*) from indicator_by_group").fetchall()[0][0]
    assert rows == expected[0] * expected[1]
    with clean.public() as con:
        assert con.execute("select count(*) from indicator_by_group").fetchall()[0][0] == rows


def test_a_public_figure_is_the_restricted_one_or_none(clean: Ended) -> None:
    """Disclosure control hides; it never alters."""
    key = "school_year, period_type, period_start, organization_id, indicator_id, student_group_id"
    folder = "{}/{}/{}/equity.duckdb"
    with duckdb.connect() as con:
        for zone in ZONES:
            con.execute(f"attach '{folder.format(clean.home, zone, clean.snapshot_id)}' as {zone} (read_only)")
        for column in ("numerator", "denominator", "students", "rate"):
            altered = con.execute(
                "select count(*) from published.indicator_by_group p"
                f" join restricted.indicator_by_group r using ({key})"
                f" where p.{column} is not null and p.{column} is distinct from r.{column}"
            ).fetchone()
            assert altered == (0,), column
        small = con.execute(
            "select count(*) from published.indicator_by_group where students between 1 and 9"
            " or (denominator - numerator between 1 and 9 and indicator_id in ('chronic_absence_local'))"
            " or (numerator between 1 and 9 and indicator_id in ('chronic_absence_local'))"
        ).fetchone()
        assert small == (0,)
        shown = con.execute("select count(*) from published.indicator_by_group where rate is not null").fetchall()[0][0]
        assert shown > 50, "everything hidden would pass the rest of this test"


def test_permissions(clean: Ended) -> None:
    """Only `published/` is for others."""
    home = clean.home
    closed = ("landing", "raw", "warehouse", "restricted", "logs", "keys")
    assert {(home / name).stat().st_mode & 0o777 for name in closed} == {0o700}
    assert (home / "restricted" / clean.snapshot_id).stat().st_mode & 0o077 == 0
    for path in (home / "published", home / "published" / clean.snapshot_id):
        assert path.stat().st_mode & 0o777 == 0o755
