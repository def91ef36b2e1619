"""Whether a snapshot and the by-hand script give the same answers. Speeds of different answers are not compared."""

from __future__ import annotations

from pathlib import Path

import duckdb

#: Of both tables: what names a figure, and what it says.
_KEY = ("school_year", "period_type", "organization_id", "indicator_id", "student_group_id")
_VALUES = ("numerator", "denominator", "students")
#: Every indicator that the script computes; one that is missing on both sides would be equal too.
INDICATORS = frozenset(
    {
        "attendance_rate",
        "chronic_absence",
        "chronic_absence_local",
        "enrollment",
        "out_of_school_suspension",
        "survey_belonging_favorable",
    }
)
#: What is counted of the student-day fact; the students themselves are pseudonyms on one side only.
_FACT = (
    "school_id, school_year, date, status, absence_type, is_enrolled, is_session, is_settled, is_year_to_date,"
    " count(*) as days, sum(fraction_absent)::double as missed, sum(day_share)::double as shares"
)
_SHOWN = 3


class DifferentAnswers(Exception):
    """The two do not say the same. The text says how often and where first; it names groups, never students."""


def require_equal(product: Path, by_hand: Path) -> int:
    """Compare a restricted snapshot's folder with the script's: the number of equal figures.

    Raises DifferentAnswers on any difference in a figure or in the student-day fact, and when there is nothing to
    compare.
    """
    with duckdb.connect(":memory:") as con:
        for side, folder, pattern in (("product", product, "{0}/{0}.parquet"), ("hand", by_hand, "{0}.parquet")):
            con.execute(f"create schema {side}")
            for table in ("indicator_by_group", "fct_student_daily_attendance"):
                file = str(folder / pattern.format(table)).replace("'", "''")
                con.execute(f"create view {side}.{table} as from read_parquet('{file}', hive_partitioning = false)")
        problems = [*differing_figures(con), *differing_days(con)]
        if problems:
            raise DifferentAnswers("\n".join(problems))
        return _number(con, "select count(*) from hand.indicator_by_group")


def differing_figures(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Each way in which product.indicator_by_group and hand.indicator_by_group differ; empty when they do not.

    Rows of the product without numbers (nobody in the group) have no row on the other side; a figure that a
    gate held back has, and so is a difference.
    """
    con.execute(
        f"""
        create or replace temp table both_sides as
        select {", ".join(_KEY)}, product.is_there as in_product, hand.is_there as in_hand,
        {" or ".join(f"product.{name} is distinct from hand.{name}" for name in _VALUES)} as differs
        from (select *, true as is_there from product.indicator_by_group where denominator is not null) as product
        full join (select *, true as is_there from hand.indicator_by_group) as hand using ({", ".join(_KEY)})
        """
    )
    problems = []
    for what, condition in (
        ("only the night has", "in_hand is null"),
        ("only the script has", "in_product is null"),
        ("differ", "in_hand and in_product and differs"),
    ):
        count = _number(con, f"select count(*) from both_sides where {condition}")
        if count:
            first = con.execute(
                f"select {', '.join(_KEY)} from both_sides where {condition} order by all limit {_SHOWN}"
            ).fetchall()
            listed = "; ".join(" ".join(map(str, key)) for key in first)
            problems.append(f"figures that {what}: {count:,} (first: {listed})")
    there = {row[0] for row in con.execute("select distinct indicator_id from hand.indicator_by_group").fetchall()}
    if INDICATORS - there:
        problems.append(f"indicators without a figure: {', '.join(sorted(INDICATORS - there))}")
    return problems


def differing_days(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Whether the two student-day facts differ, counted by school, day and what was recorded."""
    counted = {
        side: f"select {_FACT} from {side}.fct_student_daily_attendance group by all" for side in ("product", "hand")
    }
    problems = [
        f"student-days that {there} counts otherwise: {count:,} combinations of school, day and status"
        for there, one, other in (("the night", "product", "hand"), ("the script", "hand", "product"))
        if (count := _number(con, f"select count(*) from ({counted[one]} except {counted[other]})"))
    ]
    if not _number(con, "select count(*) from hand.fct_student_daily_attendance"):
        problems.append("the script has no student-day")
    return problems


def _number(con: duckdb.DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    return int(row[0]) if row else 0
