"""Disclosure control: the one door through which a table reaches `published/`.

A number about 1 to 9 students must not be readable, nor computable from other numbers. The module

* hides such numbers in `indicator_by_group` (the primary rule),
* hides further ones until no sum along a single line gives a hidden one back (secondary),
* audits the result as an outsider would, from the public tables alone,
* and passes the tables that hold no numbers about students (`OPEN_TABLES`) as they are.

A *line* is one sum that a reader can write down: a parent cell and the cells that add up to it, all
of one school year, period and indicator. The lines are

    category:<category>      groups of a category that adds up -> `all`, in one organization
    organization             schools -> district, for one group
    intersection:<a+b>       rows of an intersection -> one of its component groups
    nested                   a group that contains another (or `all` and a group of a category that does
                             not add up): parent = child + a remainder that is never published

They are held as rows of two temporary tables (`dc_line`, `dc_member`), from which a linear program over
all of them at once can be built as well.

All comparisons are between integers: students as they are, units of numerator and denominator (days,
answers) in ten-thousandths, because part days are published as decimals. Everything is one pass of set
operations in DuckDB for each round; the number of rounds is about the longest chain of lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb

from pipelines.outcome import InternalError

#: Rule name -> the least number of students that may be readable.
RULES: dict[str, int] = {"minimum_10": 10}

#: Statuses that show numbers.
SHOWN = ("published", "below_minimum_n")
#: Statuses that hold no number for another reason than disclosure.
WITHHELD = ("turned_off", "not_collected", "data_not_reliable", "undefined")

HIDDEN_STATUS = "suppressed"
HIDDEN_REASON_CODE = "small_numbers"
HIDDEN_REASON = "Hidden to protect students: the number itself or one that would give it away is small."
HIDDEN_DISPLAY = "hidden"

#: Top and bottom coding: from this many students on, a share up to this many percent (or from 100 minus
#: it) is shown as that range. NCES 2011-603 (SLDS Technical Brief 3) and state practice built on it.
RANGE_STEPS: tuple[tuple[int, int], ...] = ((300, 1), (100, 2), (40, 5), (20, 10), (10, 20))
_RANGE_DISPLAY = re.compile(r"^(≤(1|2|5|10|20)|≥(99|98|95|90|80)) %$")

#: Public tables without numbers about students: definitions, names, settings, facts about the run.
OPEN_TABLES = frozenset(
    {
        "dim_indicator",
        "dim_organization",
        "dim_student_group",
        "dim_label",
        "data_quality_affects",
        "setting",
        "snapshot",
    }
)
#: Public tables whose shares go through `protect_shares`.
SHARE_TABLES = frozenset({"data_quality_result", "source_coverage"})
#: The table that lays the state's figures beside figures of `indicator_by_group`: `protect_reconciliation`.
RECONCILIATION = "state_reconciliation"
#: Every table that may stand in the schema `public`.
PUBLIC_TABLES = OPEN_TABLES | SHARE_TABLES | {"indicator_by_group", RECONCILIATION}

#: Columns of `indicator_by_group` that hold numbers about students; empty in every row that is not shown.
NUMBER_COLUMNS = (
    "numerator",
    "denominator",
    "students",
    "rate",
    "rate_low",
    "rate_high",
    "interval_method",
    "coverage",
)
#: Columns of `state_reconciliation` that hold figures.
_RECONCILED = ("own_value", "state_value", "difference")
_KEY = "school_year, period_type, period_start, organization_id, indicator_id, student_group_id"
_HEAD_COUNT = "('student', 'student-school')"
_CODED = "('student', 'student-school', 'answer')"
_WORK_TABLES = (
    "dc_group",
    "dc_component",
    "dc_cell",
    "dc_state",
    "dc_line",
    "dc_member",
    "dc_open",
    "dc_violated",
    "dc_new",
)


class DisclosureRefusedError(InternalError):
    """The input does not allow a safe decision. The message counts rows and names no group's numbers."""


@dataclass(frozen=True)
class DisclosureSummary:
    """What the rule did, in cells of `indicator_by_group`.

    cells: all rows; with_numbers: rows that had something to show; shown, hidden_primary,
    hidden_secondary and ranges (a share of 0 or 100 %) add up to with_numbers. rounds: passes over the
    lines until nothing more had to be hidden.
    """

    rule: str
    cells: int
    with_numbers: int
    shown: int
    hidden_primary: int
    hidden_secondary: int
    ranges: int
    rounds: int

    @property
    def share_shown(self) -> float:
        """Share of the rows with numbers that are shown, 0 to 1; 1 when there were none."""
        return self.shown / self.with_numbers if self.with_numbers else 1.0


@dataclass(frozen=True)
class Leak:
    """One way in which public rows give away what is hidden. Holds ids that are public, never a number."""

    problem: Literal[
        "small_number_shown",
        "extreme_rate_shown",
        "number_in_hidden_row",
        "telling_text",
        "telling_coverage",
        "sum_gives_it_back",
        "difference_is_small",
        "row_without_definition",
    ]
    line: str
    school_year: int | None = None
    period_type: str | None = None
    period_start: str | None = None
    organization_id: str | None = None
    indicator_id: str | None = None
    student_group_id: str | None = None

    def __str__(self) -> str:
        place = (
            self.school_year,
            self.period_type,
            self.period_start,
            self.organization_id,
            self.indicator_id,
            self.student_group_id,
        )
        return f"{self.problem} on {self.line}: " + " / ".join("-" if part is None else str(part) for part in place)


@dataclass(frozen=True)
class Share:
    """A column that holds a share, and the columns that count the students behind it.

    column: the share; part: students in its numerator; whole: students in its denominator. part and
    whole are not released.
    """

    column: str
    part: str
    whole: str


def protect(con: duckdb.DuckDBPyConnection, rule: str) -> DisclosureSummary:
    """Make `public.indicator_by_group` and `restricted.disclosure_cell` from the restricted table.

    con holds `restricted.indicator_by_group`, `marts.indicator_cell_support`, the three `restricted.dim_*`
    tables and `marts.nested_group`. The public table has the same columns, rows and order of columns.
    Which rule hid a cell, and along which line, is told in `restricted.disclosure_cell` only.

    Raises DisclosureRefusedError for an unknown rule, a row without definition or support, a repeated key,
    an unknown status, or a row that is to be shown and lacks its numbers.
    """
    minimum = RULES.get(rule)
    if minimum is None:
        raise DisclosureRefusedError(f"disclosure rule {rule!r} is not known; known: {', '.join(sorted(RULES))}")
    with _work_tables(con):
        _load_groups(con, "restricted")
        _load_restricted_cells(con)
        _mark_primary(con, minimum)
        _build_lines(con, "restricted")
        _mark_nested(con, minimum)
        rounds = _hide_until_safe(con, minimum)
        _write_public(con, minimum)
        return _summary(con, rule, rounds)


def audit_lines(
    con: duckdb.DuckDBPyConnection,
    rule: str = "minimum_10",
    schema: str = "public",
    nested_group: str | None = "marts.nested_group",
) -> list[Leak]:
    """Try, as an outsider, to get hidden numbers back from the public tables; empty when it fails.

    Reads `indicator_by_group` and the `dim_*` tables of `schema` only, with `nested_group` (which groups
    contain which, known to anyone from the definitions; None leaves those pairs out).

    Raises DisclosureRefusedError when the rule is unknown.
    """
    minimum = RULES.get(rule)
    if minimum is None:
        raise DisclosureRefusedError(f"disclosure rule {rule!r} is not known; known: {', '.join(sorted(RULES))}")
    with _work_tables(con):
        _load_groups(con, schema)
        _load_public_cells(con, schema)
        _build_lines(con, schema, nested_group)
        leaks = _leaks_in_rows(con, schema, minimum)
        leaks += _leaks_along_lines(con, minimum)
        if nested_group is not None:
            leaks += _leaks_by_nesting(con, nested_group, minimum)
    return sorted(set(leaks), key=str)


def audit_published(database: Path, rule: str = "minimum_10") -> list[Leak]:
    """`audit_lines` over a published `equity.duckdb`, opened for reading; groups within groups are left out."""
    with duckdb.connect(str(database), read_only=True) as con:
        return audit_lines(con, rule, schema="main", nested_group=None)


def protect_shares(
    con: duckdb.DuckDBPyConnection, relation: str, table: str, shares: Sequence[Share], rule: str = "minimum_10"
) -> int:
    """Make `public.<table>` from a relation whose shares may rest on few students; returns shares emptied.

    relation: a table or view, qualified, with the public columns and the supporting counts named in
    `shares`, which are left out of the result. A share becomes null where fewer than the rule's minimum,
    but not zero, stand behind it or behind the rest, and where its support is unknown (null). A share that
    rests on no student at all has the support 0 of 0.

    Raises DisclosureRefusedError when the table is not one that holds shares, or the rule is unknown.
    """
    minimum = RULES.get(rule)
    if minimum is None or table not in SHARE_TABLES:
        raise DisclosureRefusedError(f"public.{table} under rule {rule!r} is not a table of shares")
    safe = {
        share.column: f"({_identifier(share.part)} IS NOT NULL AND {_identifier(share.whole)} IS NOT NULL"
        f" AND NOT {_small(_identifier(share.part), minimum)}"
        f" AND NOT {_small(f'({_identifier(share.whole)} - {_identifier(share.part)})', minimum)})"
        for share in shares
    }
    replaced = ", ".join(
        f"CASE WHEN {condition} THEN {_identifier(column)} END AS {_identifier(column)}"
        for column, condition in safe.items()
    )
    support = ", ".join(sorted({_identifier(name) for share in shares for name in (share.part, share.whole)}))
    emptied = " + ".join(
        f"count(*) FILTER (WHERE {_identifier(column)} IS NOT NULL AND NOT {condition})"
        for column, condition in safe.items()
    )
    con.execute("CREATE SCHEMA IF NOT EXISTS public")
    con.execute(
        f"CREATE OR REPLACE TABLE public.{_identifier(table)} AS"
        f" SELECT * EXCLUDE ({support}) REPLACE ({replaced}) FROM {relation}"
    )
    return _number(con, f"SELECT {emptied} FROM {relation}")


def protect_reconciliation(con: duckdb.DuckDBPyConnection) -> None:
    """Make `public.state_reconciliation`: figures where `public.indicator_by_group` shows the same cell, else none.

    Where the own figure is hidden, so are the state's and the difference: the state counts the same students, and with
    both of them the hidden figure would come back. Every such row looks the same, whatever the state published.
    """
    is_shown = "shown.numerator IS NOT NULL"
    numbers = ", ".join(f"CASE WHEN {is_shown} THEN {name} END AS {name}" for name in _RECONCILED)
    con.execute(
        f"CREATE OR REPLACE TABLE public.{RECONCILIATION} AS SELECT r.* REPLACE ({numbers},"
        f" CASE WHEN {is_shown} THEN explained_by ELSE 'own_not_published' END AS explained_by)"
        f" FROM restricted.{RECONCILIATION} AS r LEFT JOIN"
        " (SELECT * FROM public.indicator_by_group WHERE period_type = 'year') AS shown"
        " USING (school_year, organization_id, indicator_id, student_group_id)"
    )


def release_open(con: duckdb.DuckDBPyConnection, table: str) -> None:
    """Copy `restricted.<table>` to `public.<table>`; refused unless it is one of `OPEN_TABLES`."""
    if table not in OPEN_TABLES:
        raise DisclosureRefusedError(f"{table} may hold numbers about students and does not pass as it is")
    con.execute("CREATE SCHEMA IF NOT EXISTS public")
    con.execute(f"CREATE OR REPLACE TABLE public.{_identifier(table)} AS FROM restricted.{_identifier(table)}")


def unexpected_public_tables(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Names of tables and views in schema `public` that no rule of this module lets pass."""
    rows = con.execute(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = 'public' AND table_catalog = current_database() ORDER BY table_name"
    ).fetchall()
    return [name for (name,) in rows if name not in PUBLIC_TABLES]


def range_display(numerator: int, denominator: int, students: int) -> str | None:
    """The range that stands for a share in the outer steps of its size, or None inside them.

    numerator and denominator are counts of one unit, students the head count behind the denominator.
    """
    for least, percent in RANGE_STEPS:
        if students >= least:
            if 100 * numerator <= percent * denominator:
                return f"≤{percent} %"
            if 100 * (denominator - numerator) <= percent * denominator:
                return f"≥{100 - percent} %"
            return None
    return None


# --- what is small -------------------------------------------------------------------------------------


def _small(students: str, minimum: int) -> str:
    return f"({students} BETWEEN 1 AND {minimum - 1})"


def _small_units(units: str, minimum: int) -> str:
    """Above zero and below the minimum, for ten-thousandths; hundredths decide, so that sums may drift."""
    return f"(({units} + 50) // 100 BETWEEN 1 AND {minimum * 100 - 1})"


def _no_units(units: str) -> str:
    return f"(({units} + 50) // 100 = 0)"


def _anything_small(prefix: str, minimum: int) -> str:
    """True when any count of a cell, or of a sum of cells, is small. Columns are <prefix>s to <prefix>c."""
    tests = [_small(f"{prefix}{name}", minimum) for name in "stu"]
    tests += [_small_units(f"{prefix}{name}", minimum) for name in "abc"]
    return "coalesce(" + " OR ".join(tests) + ", FALSE)"


def _all_or_none(prefix: str) -> str:
    """True when a sum over someone has a share of 0 or 100 %."""
    return f"coalesce({prefix}s > 0 AND ({_no_units(prefix + 'b')} OR {_no_units(prefix + 'c')}), FALSE)"


def _range_sql(numerator: str, rest: str, denominator: str, students: str) -> str:
    """`range_display` in SQL, over ten-thousandths; null inside the steps."""
    low = " ".join(
        f"WHEN {students} >= {least} AND 100 * {numerator} <= {percent} * {denominator} THEN '≤{percent} %'"
        f" WHEN {students} >= {least} AND 100 * {rest} <= {percent} * {denominator} THEN '≥{100 - percent} %'"
        f" WHEN {students} >= {least} THEN NULL"
        for least, percent in RANGE_STEPS
    )
    return f"CASE {low} END"


# --- loading -------------------------------------------------------------------------------------------


@contextmanager
def _work_tables(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    def drop() -> None:
        for table in _WORK_TABLES:
            con.execute(f"DROP TABLE IF EXISTS temp.{table}")

    drop()
    try:
        yield
    finally:
        drop()


def _load_groups(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """dc_group: which groups add up to `all`. dc_component: which intersections add up to which group.

    An intersection belongs to the family of its components' categories, whatever its own category is
    called; it adds up when every category in it does.
    """
    con.execute(
        f"""
        CREATE TEMP TABLE dc_component AS
        WITH part AS (
            SELECT g.student_group_id AS grp, trim(p.component) AS component
            FROM {schema}.dim_student_group AS g, unnest(string_split(g.component_groups, ',')) AS p (component)
            WHERE g.is_intersection
        ), placed AS (
            SELECT part.grp, part.component, d.category, coalesce(d.is_partition, FALSE) AS adds_up
            FROM part JOIN {schema}.dim_student_group AS d ON d.student_group_id = part.component
        )
        SELECT
            mine.grp, mine.component, bool_and(other.adds_up) AS others_add_up,
            bool_and(other.adds_up) AND mine.adds_up AS all_add_up,
            (SELECT string_agg(f.category, '+' ORDER BY f.category) FROM placed AS f WHERE f.grp = mine.grp) AS family
        FROM placed AS mine JOIN placed AS other ON other.grp = mine.grp AND other.component <> mine.component
        GROUP BY mine.grp, mine.component, mine.adds_up
        """
    )
    con.execute(
        f"""
        CREATE TEMP TABLE dc_group AS
        SELECT
            row_number() OVER (ORDER BY g.student_group_id) AS grp_no, g.student_group_id AS grp,
            coalesce(c.family, g.category) AS family,
            g.student_group_id <> 'all' AND coalesce(c.all_add_up, g.is_partition, FALSE) AS adds_up
        FROM {schema}.dim_student_group AS g
        LEFT JOIN (SELECT grp, any_value(family) AS family, bool_and(all_add_up) AS all_add_up
                   FROM dc_component GROUP BY grp) AS c ON c.grp = g.student_group_id
        """
    )


def _create_cells(con: duckdb.DuckDBPyConnection, schema: str, source: str, rows_with_numbers: str) -> None:
    """dc_cell: the rows that take part in lines, numbered by key, so that ties break by id."""
    con.execute(
        f"""
        CREATE TEMP TABLE dc_cell AS
        SELECT
            row_number() OVER (ORDER BY {_KEY}) AS cell,
            dense_rank() OVER (ORDER BY school_year, period_type, period_start, indicator_id) AS slice,
            i.indicator_id, i.unit, r.organization_id, g.grp_no, r.student_group_id,
            r.school_year, r.period_type, r.period_start
        FROM {source} AS r
        JOIN {schema}.dim_indicator AS i USING (indicator_id)
        JOIN dc_group AS g ON g.grp = r.student_group_id
        JOIN {schema}.dim_organization AS o USING (organization_id)
        WHERE r.status IN {rows_with_numbers}
        """
    )


def _load_restricted_cells(con: duckdb.DuckDBPyConnection) -> None:
    source = "restricted.indicator_by_group"
    rows = _number(con, f"SELECT count(*) FROM {source}")
    distinct = _number(con, f"SELECT count(*) FROM (SELECT DISTINCT {_KEY} FROM {source})")
    statuses = _number(con, f"SELECT count(*) FROM {source} WHERE coalesce(status, '') NOT IN {SHOWN + WITHHELD}")
    if rows != distinct or statuses:
        raise DisclosureRefusedError(f"{source}: {rows - distinct} repeated keys, {statuses} rows of unknown status")
    _create_cells(con, "restricted", source, str(SHOWN))
    difference = _students_behind_difference(con)
    con.execute(
        f"""
        CREATE TEMP TABLE dc_state AS
        SELECT
            c.cell, c.unit <> 'count' AS has_rate,
            p.students_denominator AS s, p.students_numerator AS t,
            {difference} AS u,
            round(r.denominator * 10000)::BIGINT AS a, round(r.numerator * 10000)::BIGINT AS b,
            round((r.denominator - r.numerator) * 10000)::BIGINT AS c,
            NULL::VARCHAR AS rule, NULL::VARCHAR AS along, FALSE AS hidden, FALSE AS coded, NULL::VARCHAR AS display
        FROM dc_cell AS c
        JOIN {source} AS r USING ({_KEY})
        JOIN marts.indicator_cell_support AS p USING ({_KEY})
        WHERE r.students = p.students_denominator AND p.students_numerator BETWEEN 0 AND p.students_denominator
          AND {difference} BETWEEN 0 AND p.students_denominator
          AND p.students_denominator > 0 AND r.numerator >= 0 AND r.denominator > 0
          AND isfinite(r.numerator) AND isfinite(r.denominator)
        """
    )
    shown = _number(con, f"SELECT count(*) FROM {source} WHERE status IN {SHOWN}")
    decided = _number(con, "SELECT count(*) FROM dc_state")
    if shown != decided or decided != _number(con, "SELECT count(DISTINCT cell) FROM dc_state"):
        raise DisclosureRefusedError(
            f"{source}: {shown} rows are to be shown, and {decided} of them have a definition, students, numbers"
            " and one row of support that agree"
        )


def _students_behind_difference(con: duckdb.DuckDBPyConnection) -> str:
    """SQL for the students behind denominator minus numerator.

    Where the support table counts them (`students_difference`: students with at least one unit of the
    difference), that count. Otherwise the students who are not behind the numerator, which is the same
    for head counts and more than enough for answers. For pooled days it would be the students who never
    attended, a number that no published one gives; there the days missed are tested instead.
    """
    if _has_column(con, "marts", "indicator_cell_support", "students_difference"):
        return "CASE WHEN c.unit = 'count' THEN 0 ELSE p.students_difference END"
    return "CASE WHEN c.unit IN ('student-day', 'count') THEN 0 ELSE p.students_denominator - p.students_numerator END"


def _load_public_cells(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """As an outsider sees them: hidden rows take part without numbers, and student counts behind days and
    answers are not known. Sums over null are null, and null is never small."""
    source = f"{schema}.indicator_by_group"
    _create_cells(con, schema, source, str((*SHOWN, HIDDEN_STATUS)))
    con.execute(
        f"""
        CREATE TEMP TABLE dc_state AS
        SELECT
            c.cell, c.unit <> 'count' AS has_rate, r.students AS s, 0::BIGINT AS t, 0::BIGINT AS u,
            round(r.denominator * 10000)::BIGINT AS a, round(r.numerator * 10000)::BIGINT AS b,
            round((r.denominator - r.numerator) * 10000)::BIGINT AS c,
            r.status = '{HIDDEN_STATUS}' AS hidden, r.display_value <> '{HIDDEN_DISPLAY}' AS coded
        FROM dc_cell AS c JOIN {source} AS r USING ({_KEY})
        """
    )


# --- the primary rule ----------------------------------------------------------------------------------


def _mark_primary(con: duckdb.DuckDBPyConnection, minimum: int) -> None:
    """Hide small numbers, and shares of 0 or 100 %.

    The range is written in every hidden row whose share lies within the outer step of its size, not only
    where the share is 0 or 100 %: a range that stood for nothing but zero would say zero.
    """
    con.execute(
        f"""
        UPDATE dc_state SET rule = found.rule, along = 'itself', hidden = TRUE
        FROM (
            SELECT cell, CASE WHEN {_anything_small("", minimum)} THEN 'primary' ELSE 'range' END AS rule
            FROM dc_state JOIN (SELECT cell, unit FROM dc_cell) USING (cell)
            WHERE {_anything_small("", minimum)} OR (unit IN {_CODED} AND ({_no_units("b")} OR {_no_units("c")}))
        ) AS found
        WHERE found.cell = dc_state.cell
        """
    )
    con.execute(
        f"""
        UPDATE dc_state SET display = found.display, coded = TRUE
        FROM (
            SELECT cell, {_range_sql("b", "c", "a", "s")} AS display
            FROM dc_state JOIN (SELECT cell, unit FROM dc_cell) USING (cell) WHERE unit IN {_CODED}
        ) AS found
        WHERE found.cell = dc_state.cell AND found.display IS NOT NULL
        """
    )


# --- lines ---------------------------------------------------------------------------------------------


def _build_lines(con: duckdb.DuckDBPyConnection, schema: str, nested_group: str | None = "marts.nested_group") -> None:
    """dc_line (line, name) and dc_member (line, cell, is_parent): one row for each cell of each line.

    Schools that are not counted in the district's figures are left out where `dim_organization` says so.
    """
    counted = _has_column(con, schema, "dim_organization", "counted_in_district")
    con.execute(
        f"""
        CREATE TEMP TABLE dc_member AS
        WITH pair AS (
            SELECT 'category:' || g.family AS name, p.cell AS parent, c.cell AS child
            FROM dc_cell AS c
            JOIN dc_group AS g ON g.grp_no = c.grp_no AND g.adds_up
            JOIN dc_cell AS p
                ON p.slice = c.slice AND p.organization_id = c.organization_id AND p.student_group_id = 'all'
            UNION ALL
            SELECT 'intersection:' || k.family, p.cell, c.cell
            FROM dc_cell AS c
            JOIN dc_component AS k ON k.grp = c.student_group_id AND k.others_add_up
            JOIN dc_cell AS p
                ON p.slice = c.slice AND p.organization_id = c.organization_id AND p.student_group_id = k.component
            UNION ALL
            SELECT 'organization', p.cell, c.cell
            FROM dc_cell AS c
            JOIN {schema}.dim_organization AS o
                ON o.organization_id = c.organization_id AND o.type = 'school'
                {"AND o.counted_in_district" if counted else ""}
            JOIN dc_cell AS p ON p.slice = c.slice AND p.organization_id = o.parent AND p.grp_no = c.grp_no
            {_same_students_pairs(nested_group)}
        ), numbered AS (
            SELECT *, dense_rank() OVER (ORDER BY parent, name) AS line FROM pair
        )
        SELECT line, name, child AS cell, FALSE AS is_parent FROM numbered
        UNION ALL
        SELECT DISTINCT line, name, parent, TRUE FROM numbered
        """
    )
    con.execute("CREATE TEMP TABLE dc_line AS SELECT DISTINCT line, name FROM dc_member")
    con.execute("ALTER TABLE dc_member DROP COLUMN name")


def _same_students_pairs(nested_group: str | None) -> str:
    """Nested pairs without a remainder are the same number twice: each is a line of one child.

    The name carries the child, because one parent may have several such children.
    """
    return f"""
            UNION ALL
            SELECT 'nested:' || i.student_group_id, n.outer_cell, n.inner_cell
            FROM ({_nested_pairs(nested_group)}) AS n
            JOIN dc_state AS p ON p.cell = n.outer_cell
            JOIN dc_state AS q ON q.cell = n.inner_cell
            JOIN dc_cell AS i ON i.cell = n.inner_cell
            -- A difference, not an equality: the planner would join every two cells of equal counts first.
            WHERE p.s - q.s = 0
    """


def _nested_pairs(nested_group: str | None) -> str:
    """(outer_cell, inner_cell, victim): one group within another, the remainder never published.

    victim is the one to hide when the remainder is small: the containing group, but never `all`, and of
    a component and its intersection, the intersection.
    """
    listed = f"SELECT parent_group_id, child_group_id, TRUE AS hide_outer FROM {nested_group} UNION ALL"
    return f"""
        SELECT p.cell AS outer_cell, c.cell AS inner_cell, CASE WHEN n.hide_outer THEN p.cell ELSE c.cell END AS victim
        FROM (
            {listed if nested_group else ""}
            SELECT 'all', grp, FALSE FROM dc_group WHERE NOT adds_up AND grp <> 'all'
            UNION ALL
            SELECT component, grp, FALSE FROM dc_component WHERE NOT others_add_up
        ) AS n (parent_group_id, child_group_id, hide_outer)
        JOIN dc_cell AS p ON p.student_group_id = n.parent_group_id
        JOIN dc_cell AS c
            ON c.slice = p.slice AND c.organization_id = p.organization_id AND c.student_group_id = n.child_group_id
    """


def _telling_remainders(nested_group: str, minimum: int) -> str:
    """(outer_cell, inner_cell, victim) of nested pairs whose difference is small, or all or none of someone."""
    columns = ", ".join(f"p.{name} - c.{name} AS r_{name}" for name in "stuabc")
    return f"""
        SELECT outer_cell, inner_cell, victim
        FROM (
            SELECT n.*, p.has_rate, {columns}
            FROM ({_nested_pairs(nested_group)}) AS n
            JOIN dc_state AS p ON p.cell = n.outer_cell
            JOIN dc_state AS c ON c.cell = n.inner_cell
        )
        WHERE {_anything_small("r_", minimum)} OR (has_rate AND {_all_or_none("r_")})
    """


def _mark_nested(con: duckdb.DuckDBPyConnection, minimum: int) -> None:
    """Hide one of two nested groups whose remainder is small. It does not depend on what else is hidden."""
    con.execute(
        f"""
        UPDATE dc_state SET rule = 'secondary', along = 'nested', hidden = TRUE
        WHERE NOT hidden
          AND cell IN (SELECT victim FROM ({_telling_remainders("marts.nested_group", minimum)}))
        """
    )


def _violated_lines(minimum: int, lines: str = "dc_line") -> str:
    """(line, parent) of the lines that give something away.

    With the parent visible, what its visible children leave over is known: it must be neither small nor
    all or none of someone, nor belong to one hidden child alone, nor to children that all carry a range
    (whose bounds could then be exhausted). The hidden children's own sum is tested too, because it is not
    what is left over where a student was at two schools. With the parent hidden, all its children visible
    would add up to it.
    """
    left = ", ".join(
        f"sum(CASE WHEN is_parent THEN {name} WHEN hidden THEN 0 ELSE -{name} END) AS left_{name}" for name in "stuabc"
    )
    hidden = ", ".join(f"sum({name}) FILTER (WHERE hidden AND NOT is_parent) AS hidden_{name}" for name in "stuabc")
    return f"""
        SELECT line, parent
        FROM (
            SELECT
                line, any_value(has_rate) AS has_rate, max(cell) FILTER (WHERE is_parent) AS parent,
                bool_or(hidden) FILTER (WHERE is_parent) AS parent_hidden,
                count(*) FILTER (WHERE hidden AND NOT is_parent) AS hidden_children,
                count(*) FILTER (WHERE hidden AND NOT is_parent AND NOT coded) AS plain_children,
                {left}, {hidden}
            FROM dc_member JOIN dc_state USING (cell)
            WHERE line IN (SELECT line FROM {lines})
            GROUP BY line
        )
        WHERE CASE
            WHEN parent_hidden THEN hidden_children = 0
            ELSE hidden_children = 1
                OR (hidden_children > 0 AND plain_children = 0)
                OR {_anything_small("left_", minimum)}
                OR {_anything_small("hidden_", minimum)}
                OR (has_rate AND ({_all_or_none("left_")} OR {_all_or_none("hidden_")}))
        END
    """


def _hide_until_safe(con: duckdb.DuckDBPyConnection, minimum: int) -> int:
    """Hide one more cell on every line that gives something away, until none does; returns the rounds.

    The next cell is the visible child that lies on most such lines, of these the one with the fewest
    students, then by id; where no child is visible, the parent. (Fewest students alone would let two
    crossing lines hide a cell each where one cell serves both.) Cells only ever become hidden, so it ends;
    which cells they are depends on counts and ids alone.
    """
    con.execute("CREATE TEMP TABLE dc_open AS SELECT line FROM dc_line")
    rounds = 0
    while True:
        con.execute(f"CREATE OR REPLACE TEMP TABLE dc_violated AS {_violated_lines(minimum, 'dc_open')}")
        if _number(con, "SELECT count(*) FROM dc_violated") == 0:
            return rounds
        rounds += 1
        con.execute(
            """
            CREATE OR REPLACE TEMP TABLE dc_new AS
            WITH candidate AS (
                SELECT line, cell, s AS students, count(*) OVER (PARTITION BY cell) AS lines
                FROM dc_violated JOIN dc_member USING (line) JOIN dc_state USING (cell)
                WHERE NOT is_parent AND NOT hidden
            ), pick AS (
                SELECT line, min_by(cell, {'lines': -lines, 'students': students, 'cell': cell}) AS cell
                FROM candidate GROUP BY line
            )
            SELECT coalesce(pick.cell, parent) AS cell, min(name) AS name
            FROM dc_violated JOIN dc_line USING (line) LEFT JOIN pick USING (line)
            GROUP BY 1
            """
        )
        con.execute(
            """
            UPDATE dc_state SET rule = 'secondary', along = dc_new.name, hidden = TRUE
            FROM dc_new WHERE dc_new.cell = dc_state.cell
            """
        )
        con.execute(
            "CREATE OR REPLACE TEMP TABLE dc_open AS SELECT DISTINCT line FROM dc_member JOIN dc_new USING (cell)"
        )


# --- results -------------------------------------------------------------------------------------------


def _telling_coverage(alias: str, minimum: int) -> str:
    """Students and coverage together tell how many students are in unreliable scopes."""
    rest = f"(round({alias}.students / nullif({alias}.coverage, 0))::BIGINT - {alias}.students)"
    return f"coalesce({_small(rest, minimum)}, FALSE)"


def _write_public(con: duckdb.DuckDBPyConnection, minimum: int) -> None:
    shown = f"r.status IN {SHOWN} AND NOT coalesce(s.hidden, FALSE)"
    emptied = ", ".join(f"CASE WHEN {shown} THEN r.{name} END AS {name}" for name in NUMBER_COLUMNS[:-1])
    con.execute("CREATE SCHEMA IF NOT EXISTS public")
    con.execute(
        f"""
        CREATE OR REPLACE TABLE public.indicator_by_group AS
        SELECT r.* REPLACE (
            {emptied},
            CASE WHEN {shown} AND NOT {_telling_coverage("r", minimum)} THEN r.coverage END AS coverage,
            CASE WHEN s.hidden THEN '{HIDDEN_STATUS}' ELSE r.status END AS status,
            CASE WHEN s.hidden THEN '{HIDDEN_REASON_CODE}' ELSE r.status_reason_code END AS status_reason_code,
            CASE WHEN s.hidden THEN '{HIDDEN_REASON}' ELSE r.status_reason END AS status_reason,
            CASE WHEN s.hidden THEN coalesce(s.display, '{HIDDEN_DISPLAY}') ELSE r.display_value END AS display_value
        )
        FROM restricted.indicator_by_group AS r
        LEFT JOIN dc_cell AS c USING ({_KEY})
        LEFT JOIN dc_state AS s ON s.cell = c.cell
        """
    )
    con.execute(
        f"""
        CREATE OR REPLACE TABLE restricted.disclosure_cell AS
        SELECT r.load_id, {_KEY}, s.rule, s.along AS line
        FROM dc_state AS s JOIN dc_cell AS c USING (cell) JOIN restricted.indicator_by_group AS r USING ({_KEY})
        WHERE s.hidden
        ORDER BY {_KEY}
        """
    )


def _summary(con: duckdb.DuckDBPyConnection, rule: str, rounds: int) -> DisclosureSummary:
    row = con.execute(
        """
        SELECT
            count(*), count(*) FILTER (WHERE NOT hidden), count(*) FILTER (WHERE rule = 'primary'),
            count(*) FILTER (WHERE rule = 'secondary'), count(*) FILTER (WHERE rule = 'range')
        FROM dc_state
        """
    ).fetchone()
    assert row is not None
    cells = _number(con, "SELECT count(*) FROM restricted.indicator_by_group")
    with_numbers, shown, primary, secondary, ranges = (int(value) for value in row)
    return DisclosureSummary(rule, cells, with_numbers, shown, primary, secondary, ranges, rounds)


# --- the audit -----------------------------------------------------------------------------------------


def _leaks_in_rows(con: duckdb.DuckDBPyConnection, schema: str, minimum: int) -> list[Leak]:
    """Rows that tell too much by themselves."""
    numbers = " OR ".join(f"r.{name} IS NOT NULL" for name in NUMBER_COLUMNS)
    shown = f"r.status IN {SHOWN}"
    texts = (
        f"r.status_reason_code IS DISTINCT FROM '{HIDDEN_REASON_CODE}'"
        f" OR r.status_reason IS DISTINCT FROM '{HIDDEN_REASON}'"
        f" OR NOT (coalesce(r.display_value = '{HIDDEN_DISPLAY}', FALSE)"
        f" OR coalesce(regexp_matches(r.display_value, '{_RANGE_DISPLAY.pattern}'), FALSE))"
    )
    rows = con.execute(
        f"""
        SELECT * FROM (
            SELECT
                CASE
                    WHEN c.cell IS NULL AND r.status NOT IN {WITHHELD} THEN 'row_without_definition'
                    WHEN NOT {shown} AND ({numbers}) THEN 'number_in_hidden_row'
                    WHEN {shown} AND ({_anything_small("s.", minimum)}) THEN 'small_number_shown'
                    WHEN {shown} AND c.unit IN {_CODED} AND ({_no_units("s.b")} OR {_no_units("s.c")})
                        THEN 'extreme_rate_shown'
                    WHEN {shown} AND {_telling_coverage("r", minimum)} THEN 'telling_coverage'
                    WHEN r.status = '{HIDDEN_STATUS}' AND ({texts}) THEN 'telling_text'
                    WHEN r.status IN {WITHHELD} AND regexp_matches(coalesce(r.display_value, ''), '[0-9]')
                        THEN 'telling_text'
                END AS problem, 'itself' AS line, {", ".join("r." + name for name in _KEY.split(", "))}
            FROM {schema}.indicator_by_group AS r
            LEFT JOIN dc_cell AS c USING ({_KEY})
            LEFT JOIN dc_state AS s ON s.cell = c.cell
        )
        WHERE problem IS NOT NULL
        """
    ).fetchall()
    return [_leak(row) for row in rows]


def _leaks_along_lines(con: duckdb.DuckDBPyConnection, minimum: int) -> list[Leak]:
    rows = con.execute(
        f"""
        SELECT 'sum_gives_it_back', l.name, {_KEY}
        FROM ({_violated_lines(minimum)}) AS v
        JOIN dc_line AS l USING (line)
        JOIN dc_cell AS c ON c.cell = v.parent
        """
    ).fetchall()
    return [_leak(row) for row in rows]


def _leaks_by_nesting(con: duckdb.DuckDBPyConnection, nested_group: str, minimum: int) -> list[Leak]:
    rows = con.execute(
        f"""
        SELECT 'difference_is_small', 'nested', {_KEY}
        FROM ({_telling_remainders(nested_group, minimum)}) AS v JOIN dc_cell AS c ON c.cell = v.victim
        """
    ).fetchall()
    return [_leak(row) for row in rows]


def _leak(row: tuple[object, ...]) -> Leak:
    problem, line, year, period_type, period_start, organization, indicator, group = row
    return Leak(
        problem=problem,  # type: ignore[arg-type]
        line=str(line),
        school_year=int(str(year)),
        period_type=str(period_type),
        period_start=str(period_start),
        organization_id=str(organization),
        indicator_id=str(indicator),
        student_group_id=str(group),
    )


def _number(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = con.execute(sql).fetchone()
    assert row is not None
    return int(row[0])


def _has_column(con: duckdb.DuckDBPyConnection, schema: str, table: str, column: str) -> bool:
    sql = (
        "SELECT count(*) FROM information_schema.columns WHERE table_catalog = current_database()"
        f" AND table_schema = '{schema}' AND table_name = '{table}' AND column_name = '{column}'"
    )
    return _number(con, sql) > 0


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
