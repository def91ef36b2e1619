"""The primary rule, protection along single lines, and the audit, on tables small enough to check by hand.

Published cases (`shared/vectors/sdc_suppression.json`) that a single line decides are run here: differencing,
countmaskr_1d (those with the smallest secondary and shown zeros, save the one named next), the Wisconsin, New York
and Texas rules, sdcTable_microdata1, and threshold_bound_examples as a reader faces them (primary and secondary
cells look alike).

Left to the audit over all lines at once: sdcTable_4x4_two_per_line_is_not_enough, sdcTable_linked_tables,
small_count_knowledge_attack, countmaskr_2d, sdcTable_singletons (a student alone in a cell as the attacker) and
countmaskr_1d [10, 10, 43, 55, 0] (both primaries at the maximum, known to be primary).
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from pipelines import disclosure
from pipelines.disclosure import (
    DisclosureRefusedError,
    Share,
    audit_lines,
    audit_published,
    protect,
    protect_reconciliation,
    protect_shares,
    range_display,
)

SHARED = Path(__file__).resolve().parents[3] / "shared"
VECTORS = SHARED / "vectors"
needs_vectors = pytest.mark.skipif(not VECTORS.is_dir(), reason=f"needs {VECTORS}")

PARTITIONS = {"disability", "race_ethnicity", "sex", "size"}
NESTED = [
    ("race_in_combination:black", "race_ethnicity:black"),
    ("race_reported:white", "race_ethnicity:white"),
]
UNITS = {
    "chronic_absence": "student",
    "attendance_rate": "student-day",
    "enrollment": "count",
    "survey_belonging_favorable": "answer",
}


@dataclass(frozen=True)
class Cell:
    """One row of the restricted table. numerator and denominator count units; students and behind, heads."""

    organization: str
    group: str
    numerator: float
    denominator: float
    students: int | None = None
    behind: int | None = None
    indicator: str = "chronic_absence"
    status: str = "published"
    coverage: float = 1.0


def counts(organization: str, sizes: dict[str, int]) -> list[Cell]:
    return [Cell(organization, group, n, n, indicator="enrollment") for group, n in sizes.items()]


def rates(organization: str, values: dict[str, tuple[int, int]], **other: Any) -> list[Cell]:
    return [Cell(organization, group, n, d, **other) for group, (n, d) in values.items()]


def district(cells: Iterable[Cell], schools: Iterable[str] = ()) -> duckdb.DuckDBPyConnection:
    """A connection as `protect` finds it. Organizations not in `schools` stand alone."""
    cells = list(cells)
    schools = set(schools)
    con = duckdb.connect()
    con.execute("CREATE SCHEMA restricted; CREATE SCHEMA marts")
    con.execute("CREATE TABLE restricted.dim_indicator (indicator_id VARCHAR, unit VARCHAR)")
    con.executemany("INSERT INTO restricted.dim_indicator VALUES (?, ?)", list(UNITS.items()))
    organizations = pd.DataFrame(
        [
            (organization, "school", "D") if organization in schools else (organization, "district", None)
            for organization in sorted({cell.organization for cell in cells} | {"D"})
        ],
        columns=["organization_id", "type", "parent"],
    )
    groups = {cell.group for cell in cells} | {"all"}
    groups |= {part for group in groups if "+" in group for part in group.split("+")}
    categories = {group: "+".join(part.split(":")[0] for part in group.split("+")) for group in groups}
    student_groups = pd.DataFrame(
        [
            (group, category, "+" in group, group.replace("+", ",") if "+" in group else None, category in PARTITIONS)
            for group, category in sorted(categories.items())
        ],
        columns=["student_group_id", "category", "is_intersection", "component_groups", "is_partition"],
    )
    for name, frame, optional in (
        ("dim_organization", organizations, "parent"),
        ("dim_student_group", student_groups, "component_groups"),
    ):
        con.register("frame", frame)
        con.execute(
            f"CREATE TABLE restricted.{name} AS SELECT * REPLACE ({optional}::VARCHAR AS {optional}) FROM frame"
        )
    con.execute("CREATE TABLE marts.nested_group (parent_group_id VARCHAR, child_group_id VARCHAR)")
    con.executemany("INSERT INTO marts.nested_group VALUES (?, ?)", NESTED)
    con.execute(
        """
        CREATE TABLE restricted.indicator_by_group (
            load_id VARCHAR, school_year BIGINT, period_type VARCHAR, period_start DATE, period_end DATE,
            is_complete BOOLEAN, organization_id VARCHAR, indicator_id VARCHAR, student_group_id VARCHAR,
            numerator DOUBLE, denominator DOUBLE, students BIGINT, rate DOUBLE, rate_low DOUBLE, rate_high DOUBLE,
            interval_method VARCHAR, coverage DOUBLE, data_through DATE, is_final BOOLEAN, status VARCHAR,
            status_reason_code VARCHAR, status_reason VARCHAR, display_value VARCHAR
        );
        CREATE TABLE marts.indicator_cell_support (
            school_year BIGINT, period_type VARCHAR, period_start DATE, organization_id VARCHAR,
            indicator_id VARCHAR, student_group_id VARCHAR, students_numerator BIGINT, students_denominator BIGINT
        )
        """
    )
    rows = pd.DataFrame(
        [
            (
                *(cell.organization, cell.indicator, cell.group, float(cell.numerator), float(cell.denominator)),
                int(cell.denominator) if cell.students is None else cell.students,
                int(cell.numerator) if cell.behind is None else cell.behind,
                *(cell.status, cell.coverage),
            )
            for cell in cells
        ],
        columns=["org", "indicator", "grp", "n", "d", "students", "behind", "status", "coverage"],
    )
    con.register("frame", rows)
    con.execute(
        f"""
        INSERT INTO restricted.indicator_by_group
        SELECT 'load', 2026, 'year', '2025-07-01', '2026-06-30', TRUE, org, indicator, grp, n, d, students,
               r, r, r, 'wilson', coverage, '2026-06-30', TRUE, status, NULL, NULL,
               if(status IN {disclosure.SHOWN}, 'a rate', 'no rate')
        FROM (SELECT *, n / nullif(d, 0) AS r FROM frame);
        INSERT INTO marts.indicator_cell_support
        SELECT 2026, 'year', '2025-07-01', org, indicator, grp, behind, students FROM frame
        """
    )
    con.unregister("frame")
    return con


def protected(
    cells: Iterable[Cell], schools: Iterable[str] = (), rule: str = "minimum_10"
) -> duckdb.DuckDBPyConnection:
    """As `district`, with the rule applied and found sound by the audit."""
    con = district(cells, schools)
    protect(con, rule)
    for table in ("dim_indicator", "dim_organization", "dim_student_group"):
        disclosure.release_open(con, table)
    assert audit_lines(con, rule) == []
    return con


def hidden(con: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    return set(
        con.execute(
            "SELECT organization_id, student_group_id FROM public.indicator_by_group WHERE status = 'suppressed'"
        ).fetchall()
    )


def hidden_groups(con: duckdb.DuckDBPyConnection) -> set[str]:
    return {group for _, group in hidden(con)}


def displays(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    return dict(con.execute("SELECT student_group_id, display_value FROM public.indicator_by_group").fetchall())


# --- the primary rule ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numerator", "denominator", "shown"),
    [(10, 20, True), (9, 20, False), (11, 20, False), (10, 19, False), (1, 9, False), (0, 9, False), (60, 70, True)],
)
def test_a_head_count_is_hidden_below_ten_in_numerator_denominator_or_difference(
    numerator: int, denominator: int, shown: bool
) -> None:
    con = protected(rates("S", {"all": (numerator, denominator)}))
    assert (not hidden(con)) is shown


def test_every_pair_up_to_45_students_follows_the_rule_and_the_ranges() -> None:
    pairs = [(n, d) for d in range(1, 46) for n in range(d + 1)]
    con = protected([Cell(f"S{n:02}of{d:02}", "all", n, d) for n, d in pairs])
    rows = con.execute("SELECT organization_id, status, display_value FROM public.indicator_by_group").fetchall()
    found = {organization: (status, display) for organization, status, display in rows}
    for n, d in pairs:
        small = any(0 < count < 10 for count in (n, d, d - n))
        if small or n in (0, d):
            expected = ("suppressed", range_display(n, d, d) or "hidden")
        else:
            expected = ("published", "a rate")
        assert found[f"S{n:02}of{d:02}"] == expected, (n, d)


def test_a_range_stands_for_more_than_zero_or_everyone() -> None:
    """Else the range itself would say that the count is exactly zero."""
    for students in (10, 20, 40, 100, 300):
        none = range_display(0, students, students)
        assert none is not None
        assert range_display(1, students, students) == range_display(2, students, students) == none
        everyone = range_display(students, students, students)
        assert everyone is not None
        assert range_display(students - 2, students, students) == everyone


@needs_vectors
def test_ranges_follow_the_published_steps() -> None:
    with (VECTORS / "derived" / "nces_top_bottom_coding.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) > 15
    for row in rows:
        numerator, denominator, label = int(row["num"]), int(row["den"]), row["label"]
        expected = f"{label[:2].replace('<=', '≤').replace('>=', '≥')}{label[2:-1]} %" if "=" in label else None
        assert range_display(numerator, denominator, denominator) == expected, row


def test_a_count_has_no_difference_and_no_range() -> None:
    con = protected(counts("S", {"all": 10}) + counts("T", {"all": 9}))
    assert hidden(con) == {("T", "all")}
    assert displays(con)["all"] in ("a rate", "hidden")


def test_days_are_judged_by_students_and_by_days_missed() -> None:
    day = {"indicator": "attendance_rate", "behind": 20, "students": 20}
    con = protected(
        [
            Cell("all_but_nine_days", "all", 1791, 1800, **day),
            Cell("half_a_day_missed", "all", 1799.5, 1800, **day),
            Cell("ten_days_missed", "all", 1790, 1800, **day),
            Cell("nine_students", "all", 700, 800, indicator="attendance_rate", behind=9, students=9),
        ]
    )
    assert {organization for organization, _ in hidden(con)} == {
        "all_but_nine_days",
        "half_a_day_missed",
        "nine_students",
    }


def test_answers_are_judged_by_the_students_behind_them() -> None:
    answer = {"indicator": "survey_belonging_favorable"}
    cells = [
        Cell("enough", "all", 60, 120, students=40, behind=25, **answer),
        Cell("few_favorable_students", "all", 20, 120, students=40, behind=7, **answer),
        Cell("few_without", "all", 90, 120, students=40, behind=38, **answer),
        Cell("all_favorable", "all", 120, 120, students=40, behind=40, **answer),
    ]
    con = protected(cells)
    assert {organization for organization, _ in hidden(con)} == {
        "few_favorable_students",
        "few_without",
        "all_favorable",
    }
    display = con.execute(
        "SELECT display_value FROM public.indicator_by_group WHERE organization_id = 'all_favorable'"
    ).fetchone()
    assert display == ("≥95 %",)


def test_students_behind_the_difference_are_taken_where_they_are_counted() -> None:
    answer = {"indicator": "survey_belonging_favorable", "students": 40}
    con = district([Cell("S", "all", 90, 120, behind=38, **answer), Cell("T", "all", 60, 120, behind=25, **answer)])
    con.execute("ALTER TABLE marts.indicator_cell_support ADD COLUMN students_difference BIGINT")
    con.execute("UPDATE marts.indicator_cell_support SET students_difference = if(organization_id = 'S', 22, 4)")
    protect(con, "minimum_10")
    assert hidden(con) == {("T", "all")}
    con.execute("UPDATE marts.indicator_cell_support SET students_difference = NULL")
    with pytest.raises(DisclosureRefusedError):
        protect(con, "minimum_10")


def test_hidden_rows_say_one_thing_and_hold_nothing() -> None:
    con = protected(rates("S", {"all": (40, 120), "disability:idea": (2, 6), "disability:none": (38, 114)}))
    rows = con.execute(
        "SELECT * EXCLUDE (student_group_id) FROM public.indicator_by_group WHERE status = 'suppressed'"
    ).fetchall()
    assert len(rows) == 2
    assert len(set(rows)) == 1, "a primary and a secondary cell must look alike"
    numbers = con.execute(
        f"SELECT {', '.join(disclosure.NUMBER_COLUMNS)}, status_reason_code, data_through"
        " FROM public.indicator_by_group WHERE status = 'suppressed' LIMIT 1"
    ).fetchone()
    assert numbers == (*[None] * 8, "small_numbers", date(2026, 6, 30))
    assert not any(character.isdigit() for character in disclosure.HIDDEN_REASON + disclosure.HIDDEN_DISPLAY)


def test_which_rule_hid_a_cell_stays_restricted() -> None:
    con = protected(
        rates("S", {"all": (40, 120), "disability:idea": (2, 6), "disability:none": (38, 114)})
        + rates("T", {"all": (0, 50)})
    )
    rows = con.execute(
        "SELECT organization_id, student_group_id, rule, line FROM restricted.disclosure_cell ORDER BY ALL"
    ).fetchall()
    assert rows == [
        ("S", "disability:idea", "primary", "itself"),
        ("S", "disability:none", "secondary", "category:disability"),
        ("T", "all", "range", "itself"),
    ]
    assert set(con.execute("SELECT * FROM restricted.indicator_by_group").fetchdf()["status"]) == {"published"}


def test_public_has_the_same_rows_and_columns_in_the_same_order() -> None:
    con = protected(rates("S", {"all": (40, 120), "sex:male": (4, 60), "sex:female": (36, 60)}))
    assert (
        con.execute("DESCRIBE public.indicator_by_group").fetchall()
        == con.execute("DESCRIBE restricted.indicator_by_group").fetchall()
    )
    key = "school_year, period_type, period_start, organization_id, indicator_id, student_group_id"
    restricted, public = (
        con.execute(f"SELECT {key} FROM {zone}.indicator_by_group ORDER BY ALL").fetchall()
        for zone in ("restricted", "public")
    )
    assert restricted == public


def test_rows_withheld_for_another_reason_keep_it_and_lose_their_numbers() -> None:
    con = protected([Cell("S", "all", 40, 120, status="data_not_reliable"), Cell("T", "all", 0, 0, status="undefined")])
    rows = con.execute(
        "SELECT status, numerator, students, coverage, display_value FROM public.indicator_by_group ORDER BY status"
    ).fetchall()
    assert rows == [("data_not_reliable", None, None, None, "no rate"), ("undefined", None, None, None, "no rate")]


def test_too_few_to_judge_is_still_shown() -> None:
    con = protected([Cell("S", "all", 12, 25, status="below_minimum_n")])
    assert con.execute("SELECT status, numerator FROM public.indicator_by_group").fetchone() == ("below_minimum_n", 12)


def test_coverage_is_hidden_where_it_tells_how_few_are_missing() -> None:
    cells = [
        Cell("five_missing", "all", 40, 95, coverage=0.95),
        Cell("twenty_missing", "all", 40, 80, coverage=0.8),
        Cell("none_missing", "all", 40, 80, coverage=1.0),
    ]
    con = protected(cells)
    found = dict(con.execute("SELECT organization_id, coverage FROM public.indicator_by_group").fetchall())
    assert found == {"five_missing": None, "twenty_missing": 0.8, "none_missing": 1.0}
    assert not hidden(con)


# --- lines ---------------------------------------------------------------------------------------------


@needs_vectors
def test_all_120_and_115_without_disability_do_not_give_the_5() -> None:
    vectors = json.loads((VECTORS / "sdc_suppression.json").read_text(encoding="utf-8"))
    assert vectors["differencing"][0]["intervals"] == {"swd": [5.0, 5.0]}
    con = protected(counts("S", {"all": 120, "disability:idea": 5, "disability:none": 115}))
    assert hidden_groups(con) == {"disability:idea", "disability:none"}


COUNTMASKR = [
    ([4, 71, 925, 0, 0], 11),
    ([5, 15, 0], 11),
    ([5, 11, 43, 55, 65, 121, 1213, 0], 11),
    ([4, 7, 9, 15], 5),
    ([1, 1, 43, 55], 11),
    ([1, 1, 1, 5, 6, 10, 0], 11),
    ([5, 1000000, 2000000], 11),
]


@needs_vectors
@pytest.mark.parametrize(("values", "threshold"), COUNTMASKR)
def test_countmaskr_one_dimensional(values: list[int], threshold: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(disclosure.RULES, "countmaskr", threshold)
    cases = json.loads((VECTORS / "sdc_suppression.json").read_text(encoding="utf-8"))["countmaskr_1d"]
    (case,) = [
        case
        for case in cases
        if [value for value in case["in"] if value is not None] == values and not case.get("zero_masking")
    ]
    assert case["threshold"] == threshold
    masked = {f"size:{i}" for i, text in enumerate(case["exp"]) if text is not None and text.startswith("<")}
    cells = [
        Cell("S", f"size:{i}", n, n, indicator="enrollment", status="published" if n else "undefined")
        for i, n in enumerate(values)
    ]
    con = protected([*counts("S", {"all": sum(values)}), *cells], rule="countmaskr")
    assert hidden_groups(con) == masked


@needs_vectors
def test_state_rules_for_two_categories_and_for_the_next_smallest(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = json.loads((VECTORS / "sdc_suppression.json").read_text(encoding="utf-8"))
    wisconsin = vectors["wisconsin_two_category_rule"]["example"]
    monkeypatch.setitem(disclosure.RULES, "six", 6)
    con = protected(
        counts("S", {"all": 15, "size:no": wisconsin["not_econ_dis"], "size:yes": wisconsin["econ_dis"]}), rule="six"
    )
    assert hidden_groups(con) == {"size:no", "size:yes"}
    assert wisconsin["exp_published"] == {"not_econ_dis": None, "econ_dis": None, "total": 15}

    monkeypatch.setitem(disclosure.RULES, "five", 5)
    texas = vectors["texas_tea_2016_masking"]
    for case in texas["staar"]:
        masked = protected(rates("S", {"all": (case["num"], case["den"])}), rule="five")
        assert hidden_groups(masked) == {"all"}, case
    (small_n, small_d, _), (next_n, next_d, _) = texas["complement"]["smallest"], texas["complement"]["next_smallest"]
    groups = {"race_ethnicity:a": (small_n, small_d), "race_ethnicity:b": (next_n, next_d)}
    groups |= {"race_ethnicity:c": (200, 400), "all": (small_n + next_n + 200, small_d + next_d + 400)}
    assert hidden_groups(protected(rates("S", groups), rule="five")) == {"race_ethnicity:a", "race_ethnicity:b"}


@needs_vectors
def test_sdctable_microdata_hides_the_four_cells_that_the_optimum_hides(monkeypatch: pytest.MonkeyPatch) -> None:
    case = json.loads((VECTORS / "sdc_suppression.json").read_text(encoding="utf-8"))["sdcTable_microdata1"]
    monkeypatch.setitem(disclosure.RULES, "three", 3)
    regions = {f"region {name}": region for name, region in case["counts"].items()}
    totals = {sex: sum(region[sex] for region in regions.values()) for sex in ("female", "male")}
    cells = counts("D", {"all": sum(totals.values()), "sex:female": totals["female"], "sex:male": totals["male"]})
    for name, region in regions.items():
        cells += counts(name, {"all": sum(region.values()), "sex:female": region["female"], "sex:male": region["male"]})
    con = protected(cells, schools=regions, rule="three")
    sexes = ("sex:female", "sex:male")
    assert hidden(con) == {(region, sex) for region in ("region A", "region C") for sex in sexes}
    assert len(cells) - 4 == case["exp_n_publishable"]


@pytest.mark.parametrize("total", [11, 18])
def test_two_hidden_cells_leave_several_worlds(total: int) -> None:
    """A reader who knows the rule and the sum of two hidden cells still cannot tell 9 and 9 from 8 and 10."""
    worlds = {f"W{first:02}": first for first in range(1, total)}
    cells = [
        cell
        for world, first in worlds.items()
        for cell in counts(
            world, {"all": total + 300, "size:a": first, "size:b": total - first, "size:c": 100, "size:d": 200}
        )
    ]
    con = protected(cells)
    seen: dict[str, list[tuple[Any, ...]]] = {}
    for world, *row in con.execute(
        "SELECT organization_id, student_group_id, students, status FROM public.indicator_by_group ORDER BY ALL"
    ).fetchall():
        seen.setdefault(world, []).append(tuple(row))
    (true_view,) = [seen[world] for world, first in worlds.items() if first == (total + 1) // 2]
    assert sum(view == true_view for view in seen.values()) >= 9


def test_two_hidden_cells_that_sum_below_the_minimum_take_a_third() -> None:
    con = protected(counts("S", {"all": 102, "size:a": 1, "size:b": 1, "size:c": 40, "size:d": 60}))
    assert hidden_groups(con) == {"size:a", "size:b", "size:c"}


def test_hidden_children_with_no_numerator_at_all_take_one_with_some() -> None:
    groups = {"all": (30, 150), "size:a": (0, 30), "size:b": (0, 30), "size:c": (30, 90)}
    assert hidden_groups(protected(rates("S", groups))) == {"size:a", "size:b", "size:c"}
    groups |= {"all": (80, 300), "size:d": (50, 150)}
    assert hidden_groups(protected(rates("S", groups))) == {"size:a", "size:b", "size:c"}


def test_a_sum_of_zero_among_hidden_children_does_not_stand() -> None:
    """5 and 8 students, none of them counted: a published total of the others would say so of each."""
    groups = {"all": (70, 213), "size:a": (0, 5), "size:b": (0, 8), "size:c": (30, 90), "size:d": (40, 110)}
    assert hidden_groups(protected(rates("S", groups))) == {"size:a", "size:b", "size:c"}
    groups |= {"all": (133, 213), "size:a": (5, 5), "size:b": (8, 8), "size:c": (50, 90), "size:d": (70, 110)}
    assert hidden_groups(protected(rates("S", groups))) == {"size:a", "size:b", "size:c"}


def test_the_hidden_children_together_are_enough_even_if_more_is_left_over() -> None:
    """8 students placed elsewhere blur what is left, but a reader may know how many they are."""
    cells = counts("A", {"all": 4}) + counts("B", {"all": 5}) + counts("C", {"all": 50}) + counts("E", {"all": 90})
    con = protected(cells + counts("D", {"all": 157}), schools="ABCE")
    assert hidden(con) == {("A", "all"), ("B", "all"), ("C", "all")}


def test_ranges_alone_are_not_left_to_share_a_sum() -> None:
    """Four groups of 18 with 3 each carry ranges up to 3; a published sum of 12 would make every one exact."""
    groups = {f"size:{i}": (3, 18) for i in range(4)} | {"size:x": (40, 90), "size:y": (50, 110)}
    con = protected(rates("S", groups | {"all": (102, 272)}))
    assert hidden_groups(con) == {"size:0", "size:1", "size:2", "size:3", "size:x"}


def test_ties_break_by_id() -> None:
    con = protected(counts("S", {"all": 65, "size:a": 5, "size:d": 20, "size:c": 20, "size:b": 20}))
    assert hidden_groups(con) == {"size:a", "size:b"}


def test_a_hidden_total_does_not_come_back_as_the_sum_of_its_parts() -> None:
    """Students at both schools count once in the district: 9 there beside 10 and 10 in the schools."""
    con = protected(rates("D", {"all": (60, 69)}) + rates("A", {"all": (35, 45)}) + rates("B", {"all": (26, 36)}), "AB")
    assert hidden(con) == {("D", "all"), ("B", "all")}


def test_one_hidden_school_takes_another() -> None:
    con = protected(
        counts("A", {"all": 6}) + counts("B", {"all": 50}) + counts("C", {"all": 40}) + counts("D", {"all": 96}),
        schools="ABC",
    )
    assert hidden(con) == {("A", "all"), ("C", "all")}


def test_a_school_taken_out_of_the_district_is_not_in_its_sum() -> None:
    cells = counts("A", {"all": 6}) + counts("B", {"all": 50}) + counts("D", {"all": 56})
    cells.append(Cell("C", "all", 40, 40, indicator="enrollment", status="data_not_reliable"))
    con = protected(cells, schools="ABC")
    assert hidden(con) == {("A", "all"), ("B", "all")}


def test_a_school_that_is_not_counted_protects_no_other() -> None:
    con = district(
        counts("A", {"all": 6}) + counts("B", {"all": 7}) + counts("C", {"all": 50}) + counts("D", {"all": 56}),
        schools="ABC",
    )
    con.execute("ALTER TABLE restricted.dim_organization ADD COLUMN counted_in_district BOOLEAN DEFAULT TRUE")
    con.execute("UPDATE restricted.dim_organization SET counted_in_district = FALSE WHERE organization_id = 'B'")
    protect(con, "minimum_10")
    assert hidden(con) == {("A", "all"), ("B", "all"), ("C", "all")}


def test_students_in_no_school_of_the_district_are_protected_too() -> None:
    """6 students placed out of the district: its total less the schools' would tell."""
    con = protected(
        counts("A", {"all": 100}) + counts("B", {"all": 50}) + counts("C", {"all": 90}) + counts("D", {"all": 246}),
        schools="ABC",
    )
    assert hidden(con) == {("B", "all"), ("C", "all")}


def test_a_mobile_student_does_not_open_a_line() -> None:
    """The district counts a student of two schools once; what is left over is less than the hidden sum."""
    con = protected(
        counts("A", {"all": 9}) + counts("B", {"all": 12}) + counts("C", {"all": 90}) + counts("D", {"all": 99}),
        schools="ABC",
    )
    assert hidden(con) == {("A", "all"), ("B", "all"), ("C", "all")}


def test_a_group_that_is_not_reliable_is_not_given_back_by_its_siblings() -> None:
    cells = counts("S", {"all": 200, "size:a": 96, "size:b": 100})
    cells.append(Cell("S", "size:c", 4, 4, indicator="enrollment", status="data_not_reliable"))
    assert hidden_groups(protected(cells)) == {"size:a", "size:b"}


def crossing(cells: dict[tuple[str, str], int]) -> dict[str, int]:
    """Sizes of disability x race with their components and `all`."""
    sizes: dict[str, int] = {}
    for (disability, race), n in cells.items():
        for group in (
            "all",
            f"disability:{disability}",
            f"race_ethnicity:{race}",
            f"disability:{disability}+race_ethnicity:{race}",
        ):
            sizes[group] = sizes.get(group, 0) + n
    return sizes


def test_an_intersection_is_closed_both_ways() -> None:
    sizes = crossing(
        {
            ("idea", "black"): 4,
            ("none", "black"): 60,
            ("idea", "white"): 30,
            ("none", "white"): 300,
            ("idea", "asian"): 40,
            ("none", "asian"): 100,
        }
    )
    con = protected(counts("S", sizes))
    assert hidden_groups(con) == {
        "disability:idea+race_ethnicity:black",
        "disability:none+race_ethnicity:black",
        "disability:idea+race_ethnicity:white",
        "disability:none+race_ethnicity:white",
    }


def test_an_intersection_with_a_category_that_does_not_add_up_is_a_part_of_its_component() -> None:
    sizes = {"all": 300, "sex:female": 150, "sex:male": 150, "race_in_combination:black": 100}
    sizes |= {"race_in_combination:black+sex:female": 55, "race_in_combination:black+sex:male": 45}
    assert not hidden(protected(counts("S", sizes)))
    sizes |= {"race_in_combination:black": 190}
    sizes |= {"race_in_combination:black+sex:female": 145, "race_in_combination:black+sex:male": 45}
    assert hidden_groups(protected(counts("S", sizes))) == {
        "race_in_combination:black+sex:female",
        "race_in_combination:black+sex:male",
    }


def test_a_group_within_another_does_not_give_the_few_between() -> None:
    sizes = {"all": 300, "race_ethnicity:black": 100, "race_ethnicity:white": 200}
    con = protected(counts("S", sizes | {"race_in_combination:black": 104, "race_reported:white": 230}))
    assert hidden_groups(con) == {"race_in_combination:black"}
    assert con.execute("SELECT rule, line FROM restricted.disclosure_cell").fetchall() == [("secondary", "nested")]


def test_all_but_a_few_are_not_told_by_a_category_that_does_not_add_up() -> None:
    assert hidden_groups(protected(counts("S", {"all": 60, "race_in_combination:white": 56}))) == {
        "race_in_combination:white"
    }


def test_the_same_students_under_two_names_are_both_hidden() -> None:
    sizes = {"all": 305, "race_ethnicity:asian": 5, "race_ethnicity:black": 100, "race_ethnicity:white": 200}
    con = protected(counts("S", sizes | {"race_in_combination:black": 100}))
    assert hidden_groups(con) == {"race_ethnicity:asian", "race_ethnicity:black", "race_in_combination:black"}


def test_periods_and_indicators_are_lines_of_their_own() -> None:
    cells = counts("S", {"all": 120, "disability:idea": 5, "disability:none": 115})
    cells += rates("S", {"all": (40, 120), "disability:idea": (15, 40), "disability:none": (25, 80)})
    con = protected(cells)
    indicators = con.execute(
        "SELECT DISTINCT indicator_id FROM public.indicator_by_group WHERE status = 'suppressed'"
    ).fetchall()
    assert indicators == [("enrollment",)]


def test_the_summary_counts_every_row_once() -> None:
    con = district(
        [
            *rates("S", {"all": (40, 120), "disability:idea": (2, 6), "disability:none": (38, 114)}),
            Cell("T", "all", 0, 50),
            Cell("U", "all", 0, 0, status="undefined"),
        ]
    )
    summary = protect(con, "minimum_10")
    assert (summary.cells, summary.with_numbers, summary.shown) == (5, 4, 1)
    assert (summary.hidden_primary, summary.hidden_secondary, summary.ranges) == (1, 1, 1)
    assert summary.share_shown == 0.25


# --- refusals and the audit ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM marts.indicator_cell_support WHERE student_group_id = 'all'",
        "UPDATE marts.indicator_cell_support SET students_numerator = NULL",
        "UPDATE marts.indicator_cell_support SET students_denominator = students_denominator + 1",
        "INSERT INTO marts.indicator_cell_support FROM marts.indicator_cell_support",
        "INSERT INTO restricted.indicator_by_group FROM restricted.indicator_by_group",
        "UPDATE restricted.indicator_by_group SET status = 'publishd'",
        "UPDATE restricted.indicator_by_group SET status = NULL",
        "UPDATE restricted.indicator_by_group SET denominator = NULL",
        "UPDATE restricted.indicator_by_group SET numerator = 'nan'",
        "DELETE FROM restricted.dim_student_group WHERE student_group_id = 'sex:male'",
        "DELETE FROM restricted.dim_indicator",
        "DELETE FROM restricted.dim_organization",
    ],
)
def test_what_cannot_be_judged_is_refused_without_telling_values(damage: str) -> None:
    con = district(rates("S", {"all": (40, 127), "sex:male": (20, 60), "sex:female": (20, 67)}))
    con.execute(damage)
    with pytest.raises(DisclosureRefusedError) as refusal:
        protect(con, "minimum_10")
    assert "127" not in str(refusal.value)
    assert con.execute("SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'public'").fetchone() == (0,)
    assert con.execute("SELECT count(*) FROM duckdb_tables() WHERE temporary").fetchone() == (0,)


def test_an_unknown_rule_is_refused() -> None:
    con = protected(rates("S", {"all": (40, 120)}))
    with pytest.raises(DisclosureRefusedError, match="minimum_10"):
        protect(con, "minimum_3")
    with pytest.raises(DisclosureRefusedError):
        audit_lines(con, "minimum_3")


TAMPERINGS = {
    "a secondary cell shown": (
        "status = 'published', students = 114, numerator = 38, denominator = 114, display_value = 'a rate'",
        "student_group_id = 'disability:none'",
        "sum_gives_it_back",
    ),
    "a small number shown": (
        "status = 'published', students = 6, numerator = 2, denominator = 6",
        "student_group_id = 'disability:idea'",
        "small_number_shown",
    ),
    "a rate of zero shown": (
        "status = 'published', students = 60, numerator = 0, denominator = 60",
        "student_group_id = 'race_ethnicity:none'",
        "extreme_rate_shown",
    ),
    "a number left in a hidden row": ("rate = 0.33", "student_group_id = 'disability:idea'", "number_in_hidden_row"),
    "another reason for a hidden row": (
        "status_reason = 'Hidden because of another.'",
        "student_group_id = 'disability:none'",
        "telling_text",
    ),
    "a bound in a hidden row": ("display_value = '<80'", "student_group_id = 'disability:none'", "telling_text"),
    "coverage that tells": ("coverage = 0.96", "student_group_id = 'all'", "telling_coverage"),
    "a status out of the blue": (
        "status = 'secret'",
        "student_group_id = 'disability:none'",
        "row_without_definition",
    ),
    "a group within another": (
        "status = 'published', students = 116, numerator = 38, denominator = 116",
        "student_group_id = 'race_reported:white'",
        "difference_is_small",
    ),
}


@pytest.mark.parametrize("name", sorted(TAMPERINGS))
def test_the_audit_finds(name: str) -> None:
    change, where, problem = TAMPERINGS[name]
    groups = {"all": (40, 120), "disability:idea": (2, 6), "disability:none": (38, 114)}
    groups |= {"race_ethnicity:white": (40, 60), "race_ethnicity:none": (0, 60), "race_reported:white": (40, 70)}
    con = protected(rates("S", groups))
    con.execute(f"UPDATE public.indicator_by_group SET {change} WHERE {where}")
    leaks = audit_lines(con)
    assert problem in {leak.problem for leak in leaks}
    assert not any(number in str(leak).replace("2025-07-01", "") for leak in leaks for number in ("120", "114", "116"))


def test_the_audit_runs_on_a_published_file_opened_for_reading(tmp_path: Path) -> None:
    con = protected(counts("S", {"all": 120, "disability:idea": 5, "disability:none": 115}))
    database = tmp_path / "equity.duckdb"
    con.execute(f"ATTACH '{database}' AS zone")
    for table in ("indicator_by_group", "dim_indicator", "dim_organization", "dim_student_group"):
        con.execute(f"CREATE TABLE zone.main.{table} AS FROM public.{table}")
    con.execute("DETACH zone")
    assert audit_published(database) == []
    with duckdb.connect(str(database)) as writer:
        writer.execute(
            "UPDATE indicator_by_group SET status = 'published', students = 115, numerator = 115, denominator = 115"
            " WHERE student_group_id = 'disability:none'"
        )
    (leak,) = audit_published(database)
    assert str(leak) == "sum_gives_it_back on category:disability: 2026 / year / 2025-07-01 / S / enrollment / all"


# --- the other doors -----------------------------------------------------------------------------------


def test_shares_are_emptied_where_few_stand_behind_them_or_behind_the_rest() -> None:
    con = duckdb.connect()
    con.execute("CREATE SCHEMA restricted")
    con.execute(
        "CREATE TABLE restricted.quality AS SELECT check_id, part / whole AS observed, 0.9 AS expected, part, whole"
        " FROM (VALUES ('half', 50, 100), ('few', 9, 100), ('rest', 91, 100), ('edge', 10, 20), ('all', 40, 40),"
        " ('none', 0, 40), ('tiny', 0, 4), ('unsupported', NULL, 40)) AS t (check_id, part, whole)"
    )
    con.execute("UPDATE restricted.quality SET observed = 0.5 WHERE part IS NULL")
    emptied = protect_shares(con, "restricted.quality", "data_quality_result", [Share("observed", "part", "whole")])
    shown = con.execute("SELECT check_id FROM public.data_quality_result WHERE observed IS NOT NULL").fetchall()
    assert {check for (check,) in shown} == {"half", "edge", "all", "none"}
    assert emptied == 4
    columns = [row[0] for row in con.execute("DESCRIBE public.data_quality_result").fetchall()]
    assert columns == ["check_id", "observed", "expected"]
    with pytest.raises(DisclosureRefusedError):
        protect_shares(con, "restricted.quality", "indicator_by_group", [Share("observed", "part", "whole")])


def test_only_tables_without_numbers_about_students_pass_as_they_are() -> None:
    con = district(counts("S", {"all": 120}))
    disclosure.release_open(con, "dim_organization")
    assert con.execute("SELECT count(*) FROM public.dim_organization").fetchone() == (2,)
    for table in ("indicator_by_group", "disclosure_cell", "data_quality_result", "fct_student_indicator"):
        with pytest.raises(DisclosureRefusedError):
            disclosure.release_open(con, table)
    assert disclosure.unexpected_public_tables(con) == []
    con.execute("CREATE VIEW public.dim_student AS SELECT 1 AS student_key")
    assert disclosure.unexpected_public_tables(con) == ["dim_student"]


def test_the_order_of_rows_does_not_matter() -> None:
    groups = {"all": 240, "size:a": 5, "size:b": 20, "size:c": 20, "size:d": 20, "size:e": 175}
    views = set()
    for order in itertools.islice(itertools.permutations(groups), 0, 720, 144):
        con = protected(counts("S", {group: groups[group] for group in order}))
        views.add(frozenset(con.execute("SELECT * FROM public.indicator_by_group").fetchall()))
    assert len(views) == 1


def test_the_states_figure_is_hidden_where_our_own_is() -> None:
    con = duckdb.connect()
    con.execute("create schema restricted; create schema public")
    con.execute(
        "create table restricted.state_reconciliation as select * from (values"
        " ('L', 2026, 'D', 'attendance_rate', 'all', 0.96, 0.95, 0.01, 'not_explained'),"
        " ('L', 2026, 'D', 'attendance_rate', 'sex:female', 0.5, 0.5, 0.0, 'equal_after_rounding'),"
        " ('L', 2026, 'D', 'attendance_rate', 'sex:male', 0.5, null, null, 'hidden_by_state'),"
        " ('L', 2026, 'D', 'attendance_rate', 'sex:unknown', 0.5, 0.5, 0.0, 'equal_after_rounding'))"
        " as r (load_id, school_year, organization_id, indicator_id, student_group_id, own_value, state_value,"
        " difference, explained_by)"
    )
    con.execute(
        "create table public.indicator_by_group as select * from (values"
        " (2026, 'year', 'D', 'attendance_rate', 'all', 96.0),"
        " (2026, 'year', 'D', 'attendance_rate', 'sex:female', null),"
        " (2026, 'year_to_date', 'D', 'attendance_rate', 'sex:female', 5.0),"
        " (2026, 'year', 'D', 'attendance_rate', 'sex:male', null))"
        " as r (school_year, period_type, organization_id, indicator_id, student_group_id, numerator)"
    )
    protect_reconciliation(con)
    rows = con.execute("from public.state_reconciliation order by student_group_id").fetchall()
    hidden = (None, None, None, "own_not_published")
    assert [row[4:] for row in rows] == [
        ("all", Decimal("0.96"), Decimal("0.95"), Decimal("0.01"), "not_explained"),
        ("sex:female", *hidden),
        ("sex:male", *hidden),
        ("sex:unknown", *hidden),
    ]
    assert disclosure.unexpected_public_tables(con) == []
