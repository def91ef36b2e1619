"""Crosswalk precedence: the loader, the warehouse and `equity check` against one naive reference, on random rows."""

from __future__ import annotations

import itertools
import tempfile
from datetime import date
from pathlib import Path

import duckdb
import jinja2
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.code_report import codes_used
from pipelines.code_version import DBT_PROJECT
from pipelines.contract import ENTITIES, raw_name
from pipelines.crosswalks import Crosswalks, load

CODES = ["q", "tardy", ""]
VALUES = ["present", "tardy", "absent"]
SCHOOLS, CALENDARS, YEARS = ["A", "B"], ["R", "S"], [2025, 2026]
#: What a cell can lie in: every limit that a row can have, one that no row has, and none at all.
PLACES = list(itertools.product([*SCHOOLS, "Z"], [*CALENDARS, ""], [*YEARS, 2030]))

Row = tuple[str, str, str | None, str | None, int | None]

rows = st.lists(
    st.tuples(
        st.sampled_from(CODES),
        st.sampled_from(VALUES),
        st.sampled_from([None, *SCHOOLS]),
        st.sampled_from([None, *CALENDARS]),
        st.sampled_from([None, *YEARS]),
    ),
    max_size=8,
)


def loaded(district: list[Row]) -> Crosswalks:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "crosswalks").mkdir()
        lines = ["crosswalk,code,value,school_id,calendar_id,school_year"]
        lines += [f"attendance_category,{c},{v},{s or ''},{k or ''},{y or ''}" for c, v, s, k, y in district]
        (Path(folder) / "crosswalks" / "own.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return load(Path(folder))


def meanings(district: list[Row], code: str, place: tuple[str, str, int]) -> set[str]:
    """What the most specific of the rows that apply say; more than one value is a choice that nobody made."""
    applying = [
        (sum(limit is not None for limit in limits), value)
        for row_code, value, *limits in district
        if row_code == code and all(limit is None or limit == at for limit, at in zip(limits, place, strict=True))
    ]
    if applying:
        most = max(count for count, _ in applying)
        return {value for count, value in applying if count == most}
    return {{"tardy": "tardy", "": "unknown"}.get(code, "unmapped")}


def is_a_choice(district: list[Row]) -> bool:
    return any(len(meanings(district, code, place)) > 1 for code in CODES for place in PLACES)


def by_staging(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str, str, int], str]:
    """The meaning of every cell by the macros of the staging models, as their text stands in the dbt project."""
    macros = (DBT_PROJECT / "macros" / "staging.sql").read_text(encoding="utf-8")
    call = """
        select cell.code, cell.school_id, cell.calendar_id, cell.school_year, m.meaning from cell left join
        {{ meanings("cell", "code", "attendance_category", school="school_id", school_year="school_year",
                    calendar="calendar_id") }} as m
        on {{ same_meaning("m", "cell.code", school="cell.school_id", school_year="cell.school_year",
                           calendar="cell.calendar_id") }}
    """
    sql = jinja2.Template(macros + call).render(source=lambda _schema, table: table)
    return {(code, school, calendar, year): said for code, school, calendar, year, said in con.execute(sql).fetchall()}


def by_check(crosswalks: Crosswalks, cells: list[tuple[str, str, str, int]]) -> dict[tuple[str, str], set[str]]:
    """School by school and code by code, every meaning that `equity check` finds for the same cells."""
    names = [raw_name(column) for column in ENTITIES["attendance_event"].columns] + ["line"]
    found: dict[tuple[str, str], set[str]] = {}
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        for school in {school for _, school, _, _ in cells}:
            values = [
                {"school_id": s, "calendar_id": k, "date": f"{y}-03-02", "category": f" {c.upper()}", "line": n}
                for n, (c, s, k, y) in enumerate(cells)
                if s == school
            ]
            table = {
                name: pa.array([v.get(name) for v in values], None if name == "line" else pa.string()) for name in names
            }
            pq.write_table(pa.table(table), Path(folder) / "raw.parquet")
            paths = {"attendance_event": [Path(folder) / "raw.parquet"]}
            for use in codes_used(con, crosswalks, "attendance_event", paths, date(2026, 3, 2), 701):
                if use.column == "category":
                    found.setdefault((school, str(use.code)), set()).add(use.meaning)
    return found


@settings(max_examples=60, deadline=None)
@given(district=rows)
def test_the_most_specific_row_wins_everywhere_and_a_choice_is_refused(district: list[Row]) -> None:
    crosswalks = loaded(district)
    assert bool(crosswalks.problems) == is_a_choice(district)
    if crosswalks.problems:
        return
    cells = [(code, *place) for code in CODES for place in PLACES]
    expected = {(code, *place): next(iter(meanings(district, code, place))) for code in CODES for place in PLACES}
    with duckdb.connect() as con:
        con.register("crosswalk", crosswalks.as_arrow())
        con.execute("create table cell (code varchar, school_id varchar, calendar_id varchar, school_year bigint)")
        con.executemany("insert into cell values (?, ?, ?, ?)", cells)
        assert by_staging(con) == expected
    grouped: dict[tuple[str, str], set[str]] = {}
    for (code, school, _, _), value in expected.items():
        grouped.setdefault((school, code), set()).add(value)
    assert by_check(crosswalks, cells) == grouped


def test_the_reference_sees_choices_and_precedence() -> None:
    assert not is_a_choice([("q", "present", None, None, None), ("q", "absent", "A", None, None)])
    assert is_a_choice([("q", "present", "A", None, None), ("q", "absent", None, "R", None)])
    settled: list[Row] = [("q", "present", "A", None, None), ("q", "absent", None, "R", None)]
    assert not is_a_choice([*settled, ("q", "tardy", "A", "R", None)])
    assert meanings(settled, "q", ("A", "S", 2025)) == {"present"}
    assert meanings([], "q", ("A", "S", 2025)) == {"unmapped"}
