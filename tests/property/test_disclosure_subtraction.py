"""Random districts against an attacker who knows every single line and subtracts.

The attacker is written in plain Python, apart from the module's SQL, and reads the public rows only.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import duckdb
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.disclosure import HIDDEN_DISPLAY, audit_lines, protect, release_open

RACES = ("asian", "black", "white")
DISABILITIES = ("idea", "none")
UNITS = {"enrollment": "count", "out_of_school_suspension": "student", "chronic_absence": "student-school"}
KEY = "school_year, period_type, period_start, organization_id, indicator_id, student_group_id"

#: (school, disability, race, several races) -> (students, students in the numerator)
Atoms = dict[tuple[str, str, str, bool], tuple[int, int]]
Counts = tuple[int, int]
View = dict[tuple[str, str, str], "Row"]


@dataclass(frozen=True)
class Row:
    status: str
    numbers: Counts | None
    display: str


@st.composite
def atoms(draw: st.DrawFn, least: int = 0) -> Atoms:
    """Students in the smallest cells of a district of 1 to 4 schools. least: of students, and of each side."""
    schools = [f"S{i}" for i in range(draw(st.integers(1, 4)))]
    sizes = st.one_of(st.integers(0, 12), st.integers(0, 60), st.integers(0, 400))
    found = {}
    for school, disability, race, several in product(schools, DISABILITIES, RACES, (False, True)):
        if least:
            numerator = draw(st.integers(least, 50))
            found[school, disability, race, several] = (numerator + draw(st.integers(least, 50)), numerator)
        else:
            students = draw(sizes) if not several else draw(st.integers(0, 12))
            found[school, disability, race, several] = (students, draw(st.integers(0, students)))
    return found


def groups_of(disability: str, race: str, several: bool) -> list[str]:
    """The groups of one student. Who has several races is Black and white among others, and rolls up to `race`."""
    named = {race, "black", "white"} if several else {race}
    return [
        "all",
        f"disability:{disability}",
        f"race_ethnicity:{race}",
        f"disability:{disability}+race_ethnicity:{race}",
        *(f"race_in_combination:{name}" for name in sorted(named)),
    ]


GROUPS = sorted({group for parts in product(DISABILITIES, RACES, (False, True)) for group in groups_of(*parts)})


def rows_of(district: Atoms) -> dict[tuple[str, str, str], Counts]:
    """(organization, indicator, group) -> (denominator, numerator), for every group, zero where nobody is in it."""
    schools = {school for school, *_ in district}
    found = {key: [0, 0] for key in product([*schools, "D"], UNITS, GROUPS)}
    for (school, *parts), (students, numerator) in district.items():
        for organization, indicator, group in product((school, "D"), UNITS, groups_of(*parts)):
            found[organization, indicator, group][0] += students
            found[organization, indicator, group][1] += students if indicator == "enrollment" else numerator
    return {key: (d, n) for key, (d, n) in found.items()}


def connection(
    cells: dict[tuple[str, str, str], Counts], order: random.Random | None = None
) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(config={"threads": 1})
    con.execute("CREATE SCHEMA restricted; CREATE SCHEMA marts")
    frames = {
        "restricted.dim_indicator": pd.DataFrame(UNITS.items(), columns=["indicator_id", "unit"]),
        "restricted.dim_organization": pd.DataFrame(
            [("D", "district", "")] + [(school, "school", "D") for school in sorted({o for o, _, _ in cells} - {"D"})],
            columns=["organization_id", "type", "parent"],
        ),
        "restricted.dim_student_group": pd.DataFrame(
            [
                (
                    group,
                    "+".join(part.split(":")[0] for part in group.split("+")),
                    "+" in group,
                    group.replace("+", ",") if "+" in group else "",
                    group.startswith(("race_ethnicity:", "disability:")) and "+" not in group,
                )
                for group in GROUPS
            ],
            columns=["student_group_id", "category", "is_intersection", "component_groups", "is_partition"],
        ),
        "marts.nested_group": pd.DataFrame(
            [(f"race_in_combination:{race}", f"race_ethnicity:{race}") for race in RACES],
            columns=["parent_group_id", "child_group_id"],
        ),
    }
    rows = [(*key, *counts) for key, counts in sorted(cells.items())]
    if order is not None:
        order.shuffle(rows)
    frames["cell"] = pd.DataFrame(rows, columns=["org", "indicator", "grp", "d", "n"])
    for name, frame in frames.items():
        con.register("frame", frame)
        con.execute(f"CREATE TABLE {name} AS FROM frame")
        con.unregister("frame")
    con.execute(
        """
        CREATE TABLE restricted.indicator_by_group AS SELECT
            'load' AS load_id, 2026::BIGINT AS school_year, 'year' AS period_type, DATE '2025-07-01' AS period_start,
            DATE '2026-06-30' AS period_end, TRUE AS is_complete, org AS organization_id, indicator AS indicator_id,
            grp AS student_group_id, n::DOUBLE AS numerator, d::DOUBLE AS denominator, d::BIGINT AS students,
            n / nullif(d, 0) AS rate, 0.0::DOUBLE AS rate_low, 1.0::DOUBLE AS rate_high, 'wilson' AS interval_method,
            1.0::DOUBLE AS coverage, DATE '2026-06-30' AS data_through, TRUE AS is_final,
            CASE WHEN d = 0 THEN 'undefined' WHEN d < 30 THEN 'below_minimum_n' ELSE 'published' END AS status,
            NULL::VARCHAR AS status_reason_code, NULL::VARCHAR AS status_reason, 'text' AS display_value
        FROM cell;
        CREATE TABLE marts.indicator_cell_support AS SELECT
            2026::BIGINT AS school_year, 'year' AS period_type, DATE '2025-07-01' AS period_start,
            org AS organization_id, indicator AS indicator_id, grp AS student_group_id,
            n::BIGINT AS students_numerator, d::BIGINT AS students_denominator
        FROM cell
        """
    )
    return con


def view_of(con: duckdb.DuckDBPyConnection) -> View:
    rows = con.execute(
        "SELECT organization_id, indicator_id, student_group_id, status, denominator, numerator, display_value"
        " FROM public.indicator_by_group"
    ).fetchall()
    return {
        (organization, indicator, group): Row(status, None if d is None else (int(d), int(n)), display)
        for organization, indicator, group, status, d, n, display in rows
    }


def lines(view: View) -> Iterator[tuple[str, Row, list[Row]]]:
    """(what, parent, children) of every sum that a reader can write down."""
    by_parent: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for (organization, indicator, group), row in view.items():
        if row.status == "undefined":
            continue
        if organization != "D":
            by_parent["D", indicator, group, "schools"].append(row)
        if group == "all" or group.startswith("race_in_combination"):
            continue
        categories = "+".join(part.split(":")[0] for part in group.split("+"))
        by_parent[organization, indicator, "all", categories].append(row)
        if "+" in group:
            for component in group.split("+"):
                by_parent[organization, indicator, component, categories].append(row)
    for (organization, indicator, group, what), children in by_parent.items():
        parent = view[organization, indicator, group]
        if parent.status != "undefined":
            yield f"{indicator} {group} {what}", parent, children


def small(counts: Counts, unit: str) -> bool:
    d, n = counts
    return any(0 < count < 10 for count in ((d,) if unit == "count" else (d, n, d - n)))


def told_by_subtraction(view: View) -> list[str]:
    """Lines on which the visible rows leave one hidden row, or few students, exactly."""
    found = []
    for name, parent, children in lines(view):
        unit = UNITS[name.split()[0]]
        unknown = [child for child in children if child.numbers is None]
        if parent.numbers is None:
            if not unknown:
                found.append(f"{name}: the hidden total is the sum of its parts")
            continue
        left = (
            parent.numbers[0] - sum(child.numbers[0] for child in children if child.numbers),
            parent.numbers[1] - sum(child.numbers[1] for child in children if child.numbers),
        )
        if len(unknown) == 1:
            found.append(f"{name}: one hidden part is what is left")
        elif unknown and small(left, unit):
            found.append(f"{name}: few are left")
        elif unknown and unit != "count" and left[0] > 0 and left[1] in (0, left[0]):
            found.append(f"{name}: none or all of those left")
        elif unknown and all(child.display != HIDDEN_DISPLAY for child in unknown):
            found.append(f"{name}: ranges alone are left")
    for (organization, indicator, group), row in view.items():
        pairs = [("all", group)] if group.startswith("race_in_combination") else []
        pairs += [(f"race_in_combination:{race}", group) for race in RACES if group == f"race_ethnicity:{race}"]
        for outer, _ in pairs:
            whole = view[organization, indicator, outer].numbers
            if whole and row.numbers:
                rest = (whole[0] - row.numbers[0], whole[1] - row.numbers[1])
                if small(rest, UNITS[indicator]):
                    found.append(f"{indicator} {outer} less {group}")
    return found


def prepared(district: Atoms, order: random.Random | None = None) -> duckdb.DuckDBPyConnection:
    con = connection(rows_of(district), order)
    protect(con, "minimum_10")
    for table in ("dim_indicator", "dim_organization", "dim_student_group"):
        release_open(con, table)
    return con


few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@few
@given(atoms())
def test_nothing_comes_back_by_subtraction(district: Atoms) -> None:
    cells = rows_of(district)
    with prepared(district) as con:
        view = view_of(con)
        assert audit_lines(con) == []
    assert view.keys() == cells.keys()
    assert told_by_subtraction(view) == []
    for key, row in view.items():
        unit = UNITS[key[1]]
        if row.numbers is not None:
            assert row.numbers == cells[key]
            assert not small(row.numbers, unit)
            assert unit == "count" or 0 < row.numbers[1] < row.numbers[0]
        else:
            assert row.status == ("undefined" if cells[key][0] == 0 else "suppressed")


@few
@given(atoms(least=10))
def test_nothing_is_hidden_where_everything_is_large(district: Atoms) -> None:
    with prepared(district) as con:
        assert {row.status for row in view_of(con).values()} <= {"published", "below_minimum_n"}


@settings(few, max_examples=8)
@given(atoms(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(district: Atoms, order: random.Random) -> None:
    with prepared(district) as first, prepared(district, order) as second:
        tables = [
            [con.execute(f"SELECT * FROM {table} ORDER BY {KEY}").fetchall() for con in (first, second)]
            for table in ("public.indicator_by_group", "restricted.disclosure_cell")
        ]
    assert all(one == other for one, other in tables)


@settings(few, max_examples=8)
@given(atoms(), st.data())
def test_the_audit_sees_what_the_attacker_sees(district: Atoms, data: st.DataObject) -> None:
    """Put one hidden row back as it was: wherever plain subtraction now succeeds, the audit must object."""
    with prepared(district) as con:
        hidden = sorted(
            key for key, row in view_of(con).items() if row.status == "suppressed" and row.display == HIDDEN_DISPLAY
        )
        if not hidden:
            return
        organization, indicator, group = data.draw(st.sampled_from(hidden))
        con.execute(
            """
            UPDATE public.indicator_by_group AS p
            SET status = r.status, numerator = r.numerator, denominator = r.denominator, students = r.students
            FROM restricted.indicator_by_group AS r
            WHERE r.organization_id = p.organization_id AND r.indicator_id = p.indicator_id
              AND r.student_group_id = p.student_group_id
              AND p.organization_id = ? AND p.indicator_id = ? AND p.student_group_id = ?
            """,
            [organization, indicator, group],
        )
        view = view_of(con)
        numbers = view[organization, indicator, group].numbers
        assert numbers is not None
        if told_by_subtraction(view) or small(numbers, UNITS[indicator]):
            assert audit_lines(con) != []
