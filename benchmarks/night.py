"""What `equity run` costs beside a hand-written script that gives the same answers: `python -m benchmarks.night`.

For each size a sample district of one whole school year is made. A night in a fresh home and the script
`by_hand.sql` are run in turn, each in processes of its own, and their answers are compared: where they differ
in one figure, no comparison is printed. Medians are over the repetitions.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.answers import DifferentAnswers, require_equal
from benchmarks.measure import CommandFailed, Cost, measure
from pipelines.dbt import ensure_manifest
from pipelines.sample_district import generate

_ROOT = Path(__file__).resolve().parent.parent
_SIZES = (2_000, 20_000, 60_000)
#: A district this small costs next to nothing to compute: what its night takes is the fixed overhead.
_SMALLEST = 200
_SEED = 7
#: The day after the last session: all 180 days are there.
_END = date(2026, 6, 30)
_DONE = re.compile(r"^\s*[\d.]+ s  (?P<stage>.+?)\s+done in (?P<seconds>[\d.]+) s$", re.MULTILINE)
_PROGRAMS = ("duckdb", "dbt-core", "dbt-duckdb", "dagster", "great-expectations")


@dataclass(frozen=True)
class Run:
    """A night and a script that gave the same answers, with the seconds of the night's stages, in order."""

    night: Cost
    by_hand: Cost
    stages: dict[str, float]
    figures: int


@dataclass(frozen=True)
class Measured:
    """The repetitions of one size. days: rows of the student-day attendance that was read."""

    students: int
    days: int
    runs: tuple[Run, ...]


def stage_seconds(progress: str) -> dict[str, float]:
    """Seconds of each stage, from the progress lines of a night, in the order in which the stages ended."""
    return {found["stage"]: float(found["seconds"]) for found in _DONE.finditer(progress)}


def measure_size(students: int, repeat: int, work: Path) -> Measured:
    """Make a district and run the night and the script on it in turn, `repeat` times.

    Raises DifferentAnswers when the two do not agree, CommandFailed when one of them fails.
    """
    district = work / f"district_{students}"
    made = generate(students, 1, _SEED, district, _END)
    try:
        runs = tuple(run_once(made.district_file, made.as_of, work) for _ in range(repeat))
    finally:
        shutil.rmtree(district)
    return Measured(made.students, made.attendance_rows, runs)


def run_once(district_file: Path, as_of: date, work: Path) -> Run:
    """One night in a fresh home and one run of the script; both leave nothing behind."""
    home, target = work / "home", work / "by_hand"
    equity, extracts = str(Path(sys.executable).with_name("equity")), str(district_file.parent / "extracts")
    clean = {"EQUITY_HOME": str(home), "EQUITY_DISTRICT": "", "EQUITY_KEY_FILE": ""}
    try:
        night = measure(
            [equity, "run", "--district", str(district_file), "--as-of", as_of.isoformat()],
            _ROOT,
            work / "night.log",
            clean,
        )
        by_hand = measure(
            [sys.executable, "-m", "benchmarks.by_hand", extracts, str(target), as_of.isoformat()],
            _ROOT,
            work / "by_hand.log",
        )
        snapshot = json.loads((home / "published" / "current.json").read_text(encoding="utf-8"))["snapshot_id"]
        figures = require_equal(home / "restricted" / snapshot, target)
    finally:
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
    return Run(night, by_hand, stage_seconds(night.output), figures)


# --- telling -------------------------------------------------------------------------------------------


def machine() -> list[str]:
    """What ran it, and whether anything else did."""
    busy = os.getloadavg()[1] if hasattr(os, "getloadavg") else float("nan")
    return [
        f"{_processor()}, {psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, "
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in _PROGRAMS),
        f"load average over 5 minutes before the first run: {busy:.1f} (0 on an idle machine)",
    ]


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def comparison(sizes: Sequence[Measured]) -> str:
    """The night beside the script, as a Markdown table of medians and of their ratios."""
    shared = ["students", "attendance rows", "equal figures", "runs"]
    head = [f"{what}: {who}" for what in ("wall", "CPU", "peak memory") for who in ("night", "by hand", "ratio")]
    rows = []
    for size in sizes:
        cells = [f"{size.students:,}", f"{size.days:,}", f"{size.runs[0].figures:,}", str(len(size.runs))]
        night = median_cost([run.night for run in size.runs])
        by_hand = median_cost([run.by_hand for run in size.runs])
        for mine, other, unit in zip(night, by_hand, ("s", "s", "MiB"), strict=True):
            digits = 1 if unit == "s" else 0
            cells += [f"{mine:,.{digits}f} {unit}", f"{other:,.{digits}f} {unit}", f"{mine / other:.1f}"]
        rows.append(cells)
    return table([*shared, *head], rows)


def stages(sizes: Sequence[Measured]) -> str:
    """Where the night's time goes, as a Markdown table of medians in seconds."""
    names = list(sizes[0].runs[0].stages)
    rows = []
    for size in sizes:
        seconds = [statistics.median(run.stages.get(name, 0.0) for run in size.runs) for name in names]
        # Loading programs before the first stage, Dagster between the stages, the summary at the end.
        around = statistics.median(run.night.wall - sum(run.stages.values()) for run in size.runs)
        rows.append([f"{size.students:,}", f"{around:.1f}", *(f"{value:.1f}" for value in seconds)])
    return table(["students", "start and between", *names], rows)


def median_cost(costs: Sequence[Cost]) -> tuple[float, float, float]:
    """Seconds on the wall, seconds of processors, MiB at the peak; each a median of its own."""
    return (
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
        statistics.median(cost.memory for cost in costs) / 2**20,
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---:"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _repetitions(students: int) -> int:
    """Short runs vary more, and cost less to repeat."""
    if students <= 5_000:
        return 3
    return 2 if students <= 30_000 else 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.night", description=__doc__)
    parser.add_argument("students", nargs="*", type=int, default=list(_SIZES), help="sizes; default: %(default)s")
    parser.add_argument("--repeat", type=int, help="runs of each size; default: 3, fewer for the large ones")
    parser.add_argument("--work", type=Path, help="where districts and homes are made and removed again")
    chosen = parser.parse_args(arguments)
    for line in machine():
        say(line)
    # A change of the dbt project is parsed once, by whoever runs first: not a cost of a night.
    ensure_manifest()
    done: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="equity-bench-", dir=chosen.work) as work:
        try:
            for students in [_SMALLEST, *chosen.students]:
                done.append(measure_size(students, chosen.repeat or _repetitions(students), Path(work)))
                walls = ", ".join(f"{run.night.wall:.1f} s" for run in done[-1].runs)
                say(f"{students:,} students, nights: {walls}")
        except DifferentAnswers as problem:
            say(f"\nThe night and the script do not give the same answers; no speeds are compared.\n{problem}")
            return 1
        except CommandFailed as problem:
            say(f"\n{problem}")
            return 1
    overhead, *sizes = done
    wall, cpu, memory = median_cost([run.night for run in overhead.runs])
    say(f"\nFixed overhead: a night of {overhead.students} students takes {wall:.1f} s on the wall,")
    say(f"{cpu:.1f} s of processors and {memory:,.0f} MiB")
    if sizes:
        say(f"\n{comparison(sizes)}")
    say(f"\nSeconds by stage\n\n{stages(done)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
