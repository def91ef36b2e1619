"""The macros that carry a published definition, against the vectors of those who published it.

The macros' own text is rendered and run in the engine; nothing is computed a second time here. Vectors lie beside
the checkout, in ../shared; without them the tests marked `published` say so and are skipped.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pytest

from pipelines import crosswalks
from pipelines.code_version import DBT_PROJECT, ROOT
from pipelines.warehouse import connect

from .conftest import Warehouse

VECTORS = ROOT.parent / "shared" / "vectors"

published = pytest.mark.skipif(not VECTORS.is_dir(), reason=f"no published vectors in {VECTORS}")


def rows(name: str) -> list[dict[str, str]]:
    path = VECTORS / name
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def macros() -> Any:
    """The project's macros, rendered as dbt does, with a source's table under its own name."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    environment.globals["source"] = lambda schema, table: f"{schema}.{table}"
    files = ("intervals", "race", "chronic_absence")
    text = "\n".join((DBT_PROJECT / "macros" / f"{name}.sql").read_text(encoding="utf-8") for name in files)
    return environment.from_string(text).module


MACROS = macros()


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


# --- race ---------------------------------------------------------------------------------------------------------

#: What the guidance calls each category, and what this project does.
FEDERAL = {
    "Hispanic/Latino of any race": "hispanic",
    "Native Hawaiian or Other Pacific Islander": "native_hawaiian_or_pacific_islander",
    "Two or more races": "two_or_more",
}

FLAGS = {
    "american_indian_or_alaska_native": "is_american_indian_or_alaska_native",
    "asian": "is_asian",
    "black": "is_black",
    "native_hawaiian_or_pacific_islander": "is_native_hawaiian_or_pacific_islander",
    "white": "is_white",
    "hispanic": "is_hispanic_race",
    "two_or_more": "is_two_or_more",
    "unmapped": "is_unmapped_race",
}


def default_meaning(crosswalk: str, code: str) -> str:
    """What the project's default code tables say of a code."""
    known = {
        entry.code: entry.value
        for entry in crosswalks.load(Path("no-district")).entries
        if entry.crosswalk == crosswalk
    }
    return known.get(code.strip().lower(), "unmapped")


def roll_up(con: duckdb.DuckDBPyConnection, hispanic: str, races: str) -> str:
    named = {default_meaning("race", code) for code in races.split("|")}
    flags = {flag: value in named for value, flag in FLAGS.items()}
    count = sum(flags[FLAGS[value]] for value in FLAGS if value not in ("hispanic", "two_or_more"))
    columns = {**flags, "races_named": count, "hispanic_latino": default_meaning("yes_no", hispanic)}
    named_columns = ", ".join(f"? as {name}" for name in columns)
    found = con.execute(
        f"select {MACROS.race_ethnicity()} from (select {named_columns})", list(columns.values())
    ).fetchone()
    assert found is not None
    return str(found[0])


@published
@pytest.mark.parametrize("vector", rows("race_rollup.csv"), ids=lambda vector: f"scenario {vector['scenario']}")
def test_federal_race_roll_up(vector: dict[str, str], con: duckdb.DuckDBPyConnection) -> None:
    assert roll_up(con, vector["hispanic"], vector["races"]) == FEDERAL[vector["expected"]]


# --- chronic absence ----------------------------------------------------------------------------------------------

BOUNDARIES = "derived/chronic_absence_boundaries.csv"


@published
@pytest.mark.parametrize(
    "vector", rows(BOUNDARIES), ids=lambda vector: f"{vector['absent_days']} of {vector['enrolled_days']}"
)
def test_chronic_absence_boundaries(vector: dict[str, str], con: duckdb.DuckDBPyConnection) -> None:
    con.execute("create schema control")
    con.execute(
        "create table control.run_context as select 90 as recorded_days_percent, 10 as chronic_absence_minimum_days, "
        "10 as chronic_absence_percent"
    )
    days = (
        "select 1 as student_key, 'A' as organization_id, 2026 as school_year, 'year' as period_type, "
        f"{int(vector['enrolled_days'])} as recorded_days, "
        f"cast('{Decimal(vector['absent_days'])}' as decimal(9, 4)) as absent_days, "
        f"{int(vector['enrolled_days'])} as expected_days, cast('2026-06-10' as date) as last_day"
    )
    found = con.execute(f"select numerator, denominator from ({MACROS.chronic_absence(days)})").fetchone()
    eligible, chronic = int(vector["eligible_ge10"]), int(vector["chronically_absent"])
    assert found == (chronic, eligible)


# --- intervals ----------------------------------------------------------------------------------------------------

WILSON = [vector for vector in rows("proportion_ci.csv") if vector["method"] == "wilson"]


def decimals(text: str) -> int:
    return len(text.partition(".")[2])


@published
def test_wilson_vectors_are_there_at_the_level_that_is_published() -> None:
    assert len(WILSON) >= 12
    assert {float(vector["level"]) for vector in WILSON} == {0.95}


@published
@pytest.mark.parametrize("vector", WILSON, ids=lambda vector: f"{vector['x']} of {vector['n']}")
def test_wilson_interval(vector: dict[str, str], con: duckdb.DuckDBPyConnection) -> None:
    low, high = MACROS.wilson_bound("x", "n", "-"), MACROS.wilson_bound("x", "n", "+")
    sql = f"select {low}, {high} from (select cast(? as double) as x, cast(? as double) as n)"
    found = con.execute(sql, [vector["x"], vector["n"]]).fetchone()
    assert found is not None
    for value, expected in zip(found, (vector["exp_lo"], vector["exp_hi"]), strict=True):
        # As many digits as the publisher gives, at most twelve; the last may be rounded.
        tolerance = 0.5 * 10.0 ** -min(decimals(expected), 12) * 1.02 if decimals(expected) > 1 else 1e-12
        assert value == pytest.approx(float(expected), abs=tolerance)


@pytest.mark.parametrize("sign", ["-", "+"])
@pytest.mark.parametrize("n", [1, 3, 10, 37, 60_000])
def test_wilson_bounds_stay_in_range(sign: str, n: int, con: duckdb.DuckDBPyConnection) -> None:
    bound = MACROS.wilson_bound("x", "n", sign)
    counts = f"select cast(i as double) as x, cast({n} as double) as n from range(0, {n + 1}) as r(i)"
    least, most = con.execute(f"select min({bound}), max({bound}) from ({counts})").fetchone() or (None, None)
    assert least >= 0
    assert most <= 1


def test_linearized_error_is_the_residuals_spread(con: duckdb.DuckDBPyConnection) -> None:
    """Against the definition, from the students' own sums: sqrt(m / (m - 1) * sum((x - r n)^2)) / sum(n)."""
    students = [(3.0, 4.0), (1.0, 4.0), (10.0, 10.0), (0.5, 2.0), (0.0, 1.0)]
    x, n = (sum(student[i] for student in students) for i in (0, 1))
    residuals = sum((a - x / n * b) ** 2 for a, b in students)
    expected = (len(students) / (len(students) - 1) * residuals) ** 0.5 / n
    con.execute("create table student (x double, n double)")
    con.executemany("insert into student values (?, ?)", students)
    error = MACROS.linearized_error("x", "n", "xx", "xn", "nn", "students")
    found = con.execute(
        f"select {error} from (select sum(x) as x, sum(n) as n, sum(x * x) as xx, sum(x * n) as xn, sum(n * n) as nn, "
        "count(*) as students from student)"
    ).fetchone()
    assert found is not None
    assert found[0] == pytest.approx(expected, rel=1e-12)


# --- rates --------------------------------------------------------------------------------------------------------


def display(con: duckdb.DuckDBPyConnection, x: str, n: str) -> str:
    sql = f"select {MACROS.display_percent('x', 'n')} from (select cast(? as double) as x, cast(? as double) as n)"
    found = con.execute(sql, [x, n]).fetchone()
    assert found is not None
    return str(found[0])


@pytest.mark.parametrize(
    ("x", "n", "shown"),
    [
        # 96.25 % exactly: half up, where rounding to even, or a rate held as a binary fraction, would show 96.2.
        ("2926", "3040", "96.3 %"),
        ("1", "8", "12.5 %"),
        ("1", "16", "6.3 %"),  # 6.25 %
        ("3", "16", "18.8 %"),  # 18.75 %
        ("1", "800", "0.1 %"),  # 0.125 %
        ("1", "2000", "0.1 %"),  # 0.05 %
        ("1", "2001", "0.0 %"),  # below 0.05 %
        ("1999", "2000", "100.0 %"),  # 99.95 %
        ("0", "7", "0.0 %"),
        ("7", "7", "100.0 %"),
        ("16.25", "17", "95.6 %"),
        ("1", "3", "33.3 %"),
        ("2", "3", "66.7 %"),
    ],
)
def test_percentages_are_rounded_half_up_from_the_counts(
    x: str, n: str, shown: str, con: duckdb.DuckDBPyConnection
) -> None:
    assert display(con, x, n) == shown


#: Days by student and what they published as a rate: (present, absent) for each student.
ATTENDANCE = {
    # 18 calendar days, of which one before enrollment: no row, so not in the denominator.
    "student_rate": ([(16, 1)], "94.1 %"),
    # 83 of 87 days of membership, over three students.
    "pooled_rate": ([(29, 0), (27, 2), (27, 2)], "95.4 %"),
}


@published
@pytest.mark.parametrize(
    "vector", [v for v in rows("attendance_rate.csv") if v["case"] in ATTENDANCE], ids=lambda v: v["case"]
)
def test_attendance_rate(vector: dict[str, str], warehouse: Warehouse, tmp_path: Path) -> None:
    """Through the models themselves: days, their sums, the indicator; the rate pools counts."""
    students, shown = ATTENDANCE[vector["case"]]
    told = dict(part.split("=") for part in vector["inputs"].split(";"))
    present = int(told.get("present", told.get("days_present", "0")))
    assert sum(days for days, _ in students) == present
    copy = tmp_path / warehouse.path.name
    copy.write_bytes(warehouse.path.read_bytes())
    compiled = warehouse.target / "compiled" / "equity" / "models" / "marts"
    with connect(copy) as con:
        con.execute("delete from core.fct_student_daily_attendance")
        for key, (came, missed) in enumerate(students):
            con.execute(
                "insert into core.fct_student_daily_attendance by name "
                "select ? as student_key, 'A' as school_id, 2026 as school_year, "
                "date '2025-09-01' + i::integer as date, case when i < ? then 'present' else 'absent' end as status, "
                "case when i < ? then 0 else 1 end as fraction_absent, 1 as day_share, true as is_enrolled, "
                "true as is_session, true as is_settled, false as is_year_to_date, 1 as profile_id "
                "from range(0, ?) as r(i)",
                [key, came, came, came + missed],
            )
        for model in ("attendance_summary", "indicators/ind_attendance_rate"):
            name = Path(model).name
            con.execute(f"create or replace table marts.{name} as {(compiled / f'{model}.sql').read_text()}")
        found = con.execute(
            "select sum(numerator) / sum(denominator), sum(numerator), sum(denominator) "
            "from marts.ind_attendance_rate where period_type = 'year'"
        ).fetchone()
        assert found is not None
        rate, x, n = found
        assert rate == pytest.approx(float(vector["exact"]), abs=0.5e-6)
        assert display(con, str(x), str(n)) == shown
