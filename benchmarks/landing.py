"""The cost of landing 10,000,000 marks beside the shortest script that writes the same: `python -m benchmarks.landing`.

Two files are made: 60,000 students on 167 days, and 1,000,000 students on 10 days, since hashing ids has its own
price. Each is landed in a fresh home and read by `landing_by_hand.sql`, in turn, each in a process of its own that
starts from nothing. What they wrote is compared first, row by row: where one cell differs, no comparison is printed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from benchmarks.answers import DifferentAnswers
from benchmarks.measure import CommandFailed, Cost, measure
from benchmarks.night import machine, median_cost, say, table
from pipelines.district_file import load
from pipelines.home import Home
from pipelines.landing import land

_ROOT = Path(__file__).resolve().parent.parent
#: Students and days: a large district's year, and as many students as a state has.
_SIZES = ((60_000, 167), (1_000_000, 10))
_AS_OF = date(2026, 6, 30)
_ONCE = "--land-once"
_DISTRICT = """
district: {id: "1", name: Bench, contact: bench@example.org, time_zone: America/Chicago, student_system: district}
calendar:
  - {school_year: 2026, schools: [all], first_day: 2025-08-18, last_day: 2026-06-12}
sources:
  attendance:
    kind: delimited
    files: marks.csv
    missing_rows: window
    attendance_records: every_day
    entities:
      attendance_event:
        columns: {student_id: STU_ID, school_id: SCH_CD, date: ATT_DATE, category: ATT_CODE}
"""


@dataclass(frozen=True)
class Measured:
    """The repetitions of one size, landing and script in turn."""

    students: int
    rows: int
    runs: tuple[tuple[Cost, Cost], ...]


def make_marks(students: int, days: int, target: Path) -> int:
    """A CSV file of one mark for each student and school day, by day and school; the number of rows.

    ids have eight digits; 93 of 100 marks are P; days are weekdays from August 18, 2025, written as 2025-08-18; a last
    column is empty, as in most exports.
    """
    with duckdb.connect() as con:
        row = con.execute(
            f"""
            copy (
                select
                    printf('%08d', 10000000 + (student * 7919) % 89999999) as STU_ID,
                    printf('%04d', student * 80 // {students} + 1) as SCH_CD,
                    (date '2025-08-18' + (day // 5 * 7 + day % 5)::integer)::varchar as ATT_DATE,
                    case when dice < 93 then 'P' when dice < 96 then 'A' when dice < 98 then 'E' else 'T' end
                        as ATT_CODE,
                    null as NOTE
                from (
                    select student, day, hash(student, day) % 100 as dice
                    from range({days}) as days (day), range({students}) as students (student)
                )
                order by day, student
            ) to '{target}' (format csv, header)
            """
        ).fetchone()
    return int(row[0]) if row else 0


def require_equal(landed: Path, by_hand: Path) -> None:
    """Raises DifferentAnswers unless two Parquet files have the same columns and rows, in any order."""
    with duckdb.connect(config={"memory_limit": "4GB", "temp_directory": str(by_hand.parent / "spill")}) as con:
        sides = {"landing": landed, "script": by_hand}
        for side, path in sides.items():
            con.execute(f"create view {side} as from read_parquet('{path}')")
        shapes = [con.execute(f"select column_name, column_type from (describe {side})").fetchall() for side in sides]
        if shapes[0] != shapes[1]:
            raise DifferentAnswers("the files do not have the same columns")
        counted = con.execute("select (select count(*) from landing), (select count(*) from script)").fetchone()
        missing = con.execute(
            "select (select count(*) from (from landing except from script)),"
            " (select count(*) from (from script except from landing))"
        ).fetchone()
        if counted is None or counted[0] != counted[1] or not counted[0] or missing != (0, 0):
            raise DifferentAnswers(f"rows: {counted}, rows that only one side has: {missing}")


def measure_size(students: int, days: int, repeat: int, work: Path) -> Measured:
    """Make a file, then land it and run the script on it, `repeat` times. Raises DifferentAnswers, CommandFailed."""
    (work / "district.yaml").write_text(_DISTRICT, encoding="utf-8")
    marks, home, by_hand = work / "marks.csv", work / "home", work / "by_hand.parquet"
    rows = make_marks(students, days, marks)
    runs = []
    for _ in range(repeat):
        shutil.rmtree(home, ignore_errors=True)
        landed = measure(
            [sys.executable, "-m", "benchmarks.landing", _ONCE, str(work)],
            _ROOT,
            work / "log",
            {"EQUITY_KEY_FILE": ""},
        )
        key = home / "keys" / "pseudonym.key"
        script = measure(
            [sys.executable, "-m", "benchmarks.landing_by_hand", str(marks), str(key), str(by_hand)],
            _ROOT,
            work / "log",
        )
        require_equal(next((home / "raw" / "attendance_event").glob("*.parquet")), by_hand)
        runs.append((landed, script))
    return Measured(students, rows, tuple(runs))


def land_once(work: Path) -> None:
    """Land the file of `work` in its home: what is measured."""
    land(load(work / "district.yaml"), Home.open(work / "home"), as_of=_AS_OF, say=lambda _: None)


def comparison(sizes: Sequence[Measured]) -> str:
    """Landing beside the script, as a Markdown table of medians and of their ratios."""
    head = [f"{what}: {who}" for what in ("wall", "CPU", "peak memory") for who in ("landing", "script", "ratio")]
    rows = []
    for size in sizes:
        cells = [f"{size.rows:,}", f"{size.students:,}", str(len(size.runs))]
        landed, script = (median_cost([run[side] for run in size.runs]) for side in (0, 1))
        for mine, other, unit in zip(landed, script, ("s", "s", "MiB"), strict=True):
            digits = 1 if unit == "s" else 0
            cells += [f"{mine:,.{digits}f} {unit}", f"{other:,.{digits}f} {unit}", f"{mine / other:.2f}"]
        rows.append(cells)
    return table(["rows", "different ids", "runs", *head], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.landing", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each size; default: %(default)s")
    parser.add_argument("--work", type=Path, help="where files and homes are made and removed again")
    parser.add_argument(_ONCE, type=Path, dest="once", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.once:
        land_once(chosen.once)
        return 0
    for line in machine():
        say(line)
    done = []
    for students, days in _SIZES:
        with tempfile.TemporaryDirectory(prefix="equity-bench-", dir=chosen.work) as work:
            try:
                done.append(measure_size(students, days, chosen.repeat, Path(work)))
            except DifferentAnswers as problem:
                say(f"\nLanding and the script do not write the same; no costs are compared.\n{problem}")
                return 1
            except CommandFailed as problem:
                say(f"\n{problem}")
                return 1
        walls = ", ".join(f"{landed.wall:.1f} and {script.wall:.1f} s" for landed, script in done[-1].runs)
        say(f"{done[-1].rows:,} rows of {students:,} students, landing and script: {walls}")
    say(f"\n{comparison(done)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
