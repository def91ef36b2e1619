"""A name and an id, planted wherever an extract can hold them, are looked for in every file that a night leaves.

And the figures of the same district, counted by hand: hiding must not come from landing nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb
import hand_district
import pytest
from hand_district import MISPLACED, OPEN_TEXT, SECRET_ID, SECRET_NAME
from nights import Ended, assert_ended, failed_checks, figures

pytestmark = pytest.mark.e2e

SECRETS = (SECRET_ID, SECRET_NAME, SECRET_NAME.split()[1])
#: Where identifiable data are guarded as such (`landing/`), and where the contract lets codes and short texts go.
_HOLDS_TEXT = ("landing", "raw", "warehouse", "restricted")


def texts_of(file: Path) -> Iterator[bytes]:
    """A file's bytes; of databases and Parquet files, which compress or split what they hold, every value too."""
    content = file.read_bytes()
    yield content
    if content.startswith(b"PAR1"):
        with duckdb.connect() as con:
            yield from _values(con, f"read_parquet('{file}')")
    elif content[8:12] == b"DUCK":
        with duckdb.connect(str(file), read_only=True) as con:
            tables = con.execute("select schema_name, table_name from duckdb_tables() where not internal").fetchall()
            for schema, table in tables:
                yield from _values(con, f'"{schema}"."{table}"')
            yield repr(con.execute("select sql from duckdb_views() where not internal").fetchall()).encode()
    elif content.startswith(b"SQLite format 3"):
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
            for statement in database.iterdump():
                yield statement.encode()


def _values(con: duckdb.DuckDBPyConnection, relation: str) -> Iterator[bytes]:
    for kind, name in con.execute(f"select column_type, column_name from (describe from {relation})").fetchall():
        if kind in ("VARCHAR", "BLOB") or "VARCHAR" in kind:
            column = '"' + name.replace('"', '""') + '"'
            for (value,) in con.execute(f"select distinct cast({column} as varchar) from {relation}").fetchall():
                yield (value or "").encode()


def holding(folders: list[Path], words: tuple[str, ...]) -> list[str]:
    """The files below `folders` that hold one of the words, in any case, in UTF-8 or UTF-16."""
    needles = [form for word in words for form in (word.lower().encode(), word.lower().encode("utf-16-le"))]
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    assert files
    return [
        str(file)
        for file in files
        if any(
            needle in file.name.lower().encode() or needle in text.lower()
            for text in texts_of(file)
            for needle in needles
        )
    ]


def test_the_search_finds_what_is_there(hand_counted: Ended, tmp_path: Path) -> None:
    """In text, in compressed Parquet, in a DuckDB file and in SQLite: else the tests below prove nothing."""
    (tmp_path / "log.txt").write_text(f"Could not convert '{SECRET_NAME.upper()}'")
    values = f"select '{SECRET_ID}' || range as id from range(5000)"
    with duckdb.connect(str(tmp_path / "a.duckdb")) as con:
        con.execute(f"create table t as {values}")
        con.execute(f"copy t to '{tmp_path / 'a.parquet'}' (format parquet, compression zstd)")
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("create table t (x)")
        database.execute("insert into t values (?)", [SECRET_NAME])
    (tmp_path / "innocent.txt").write_text("nobody")
    found = {Path(name).name for name in holding([tmp_path], SECRETS)}
    assert found == {"log.txt", "a.duckdb", "a.parquet", "a.db"}
    assert holding([hand_counted.home / "landing"], SECRETS)


def test_no_name_and_no_id_passes_landing(hand_counted: Ended) -> None:
    """Not into raw/, the warehouse, restricted/ or published/, not into a log, an event or a dbt artifact."""
    assert_ended(hand_counted, 0)
    home = hand_counted.home
    folders = [path for path in home.iterdir() if path.is_dir() and path.name != "landing"]
    assert {path.name for path in folders} >= {"raw", "warehouse", "restricted", "published", "logs"}
    assert holding(folders, SECRETS) == []


def test_a_misplaced_name_stays_in_landing(hand_counted: Ended) -> None:
    assert holding([hand_counted.home / name for name in ("raw", "warehouse", "restricted")], (MISPLACED,)) == []


def test_no_name_and_no_id_is_shown(hand_counted: Ended) -> None:
    said = hand_counted.said.lower()
    for secret in (*SECRETS, MISPLACED):
        assert secret.lower() not in said


def test_text_of_mapped_columns_stays_behind_the_gates(hand_counted: Ended) -> None:
    """Whatever stands in a code or a short text: never in a log, an event, an artifact, a message or a public table."""
    home = hand_counted.home
    folders = [path for path in home.iterdir() if path.is_dir() and path.name not in _HOLDS_TEXT]
    assert holding(folders, (OPEN_TEXT, MISPLACED)) == []
    assert OPEN_TEXT not in hand_counted.said
    assert holding([home / "warehouse"], (OPEN_TEXT,)), "it was planted in vain"


def test_restricted_checks_hold_no_value(hand_counted: Ended) -> None:
    with hand_counted.restricted() as con:
        for table in ("gate_verdict", "data_quality_result", "source_coverage", "snapshot", "setting", "source_file"):
            rows = repr(con.execute(f"from {table}").fetchall()).lower()
            assert not [word for word in (*SECRETS, OPEN_TEXT) if word.lower() in rows], table


def test_no_file_outside_the_home(hand_counted: Ended) -> None:
    """The district's folder is read, never written."""
    names = {path.name for path in hand_counted.district.parent.iterdir()}
    assert names == {"district.yaml", "crosswalks", "students.xml", *_CSV}


_CSV = {
    f"{name}.csv"
    for name in (
        "schools",
        "demographics",
        "identifiers",
        "enrollment",
        "attendance",
        "incidents",
        "participants",
        "consequences",
        "waves",
        "invited",
        "answers",
        "state",
    )
}


# --- counted by hand --------------------------------------------------------------------------------------------


def count(night: Ended, indicator_id: str, organization_id: str, group: str = "all") -> tuple[float, float]:
    condition = (
        f"indicator_id = '{indicator_id}' and organization_id = '{organization_id}' and student_group_id = '{group}'"
        " and period_type = 'year' and school_year = 2026"
    )
    [row] = figures(night, condition).values()
    return row[0], row[1]


def test_chronic_absence_by_hand(hand_counted: Ended) -> None:
    """Two days of 20 are exactly a tenth, and chronic; the mover's 10 days at each school are 20 in the district."""
    assert count(hand_counted, "chronic_absence_local", "hand") == (12, 40)
    assert count(hand_counted, "chronic_absence", "south") == (12, 20)
    assert count(hand_counted, "chronic_absence", "north") == (0, 21)
    assert count(hand_counted, "chronic_absence", "hand") == (12, 41)


def test_attendance_by_hand(hand_counted: Ended) -> None:
    """800 student-days, less 24 and 10 missed."""
    assert count(hand_counted, "attendance_rate", "hand") == (766, 800)
    assert count(hand_counted, "attendance_rate", "south") == (366, 390)
    assert count(hand_counted, "attendance_rate", "north") == (400, 410)
    assert count(hand_counted, "attendance_rate", "hand", "disability:idea") == (5, 5)


def test_suspension_by_hand(hand_counted: Ended) -> None:
    """South's only action stands in a code that nobody explained: its suspensions are unknown, not none."""
    assert count(hand_counted, "out_of_school_suspension", "north") == (3, 21)
    assert count(hand_counted, "out_of_school_suspension", "south") == (None, None)
    assert count(hand_counted, "out_of_school_suspension", "hand") == (3, 21)
    assert failed_checks(hand_counted)["discipline_codes_readable"]["organization_ids"] == ["south"]


def test_a_student_who_moved_counts_once_with_the_status_of_the_last_day(hand_counted: Ended) -> None:
    assert count(hand_counted, "enrollment", "hand") == (40, 40)
    assert count(hand_counted, "enrollment", "south") == (20, 20)
    assert count(hand_counted, "enrollment", "north") == (21, 21)
    assert count(hand_counted, "enrollment", "hand", "disability:idea") == (1, 1)
    assert count(hand_counted, "enrollment", "south", "disability:idea") == (None, None), "there, none was known yet"
    assert count(hand_counted, "chronic_absence_local", "hand", "disability:idea") == (0, 1)


def test_the_district_is_dated_as_it_says(hand_counted: Ended) -> None:
    assert hand_counted.status["attempt"]["as_of"] == hand_district.AS_OF.isoformat()
    assert hand_counted.status["data_through"] == "2026-01-30"


# --- the state's figures -------------------------------------------------------------------------------------------

_RECONCILED = (
    "select organization_id, indicator_id, student_group_id, own_value, state_value, explained_by"
    " from state_reconciliation where school_year = 2026 order by all"
)


def test_the_states_figures_beside_our_own(hand_counted: Ended) -> None:
    """12 of 40 are 30.0 %, as the state says; 12 of 20 in South are 60 %, and the state says 55.0."""
    with hand_counted.restricted() as con:
        assert con.execute(_RECONCILED).fetchall() == [
            ("hand", "chronic_absence_local", "all", 0.3, 0.3, "equal_after_rounding"),
            ("hand", "chronic_absence_local", "disability:idea", 0.0, 0.0, "equal_after_rounding"),
            ("hand", "chronic_absence_local", "sex:female", pytest.approx(5 / 19), None, "hidden_by_state"),
            ("south", "chronic_absence", "all", 0.6, 0.55, "not_explained"),
        ]


def test_a_hidden_figure_does_not_come_back_by_the_states(hand_counted: Ended) -> None:
    with hand_counted.public() as con:
        shown = {
            (organization, indicator, group)
            for organization, indicator, group in con.execute(
                "select organization_id, indicator_id, student_group_id from indicator_by_group"
                " where period_type = 'year' and numerator is not null"
            ).fetchall()
        }
        rows = con.execute(_RECONCILED).fetchall()
    assert len(rows) == 4
    for *cell, own, state, explained in rows:
        if tuple(cell) not in shown:
            assert (own, state, explained) == (None, None, "own_not_published")
    assert ("hand", "chronic_absence_local", "disability:idea") not in shown
    assert ("hand", "chronic_absence_local", "all", 0.3, 0.3, "equal_after_rounding") in rows
