"""The cost of reading Ed-Fi interchange XML beside the bare parser: `python -m benchmarks.edfi_xml`.

A file of attendance events is made, laid out as Data Standard 5 lays them out. The reader turns it into rows; the bare
parser (expat, which the reader calls) is given an empty Python function for each beginning and end of an element,
which is the least that any reader written in Python pays. Each is a process of its own; the rows are counted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.parsers import expat

import duckdb

from benchmarks.measure import CommandFailed, Cost, measure
from benchmarks.night import machine, say, table
from pipelines.config import Source
from pipelines.sources import edfi_xml

_ROOT = Path(__file__).resolve().parent.parent
_SIZES = (200,)
_ONCE = "--once"
_CHUNK = 1 << 20
_EVENT = """  <StudentSchoolAttendanceEvent>
    <AttendanceEvent>
      <EventDate>2025-09-{day:02}</EventDate>
      <AttendanceEventCategory>uri://ed-fi.org/AttendanceEventCategoryDescriptor#{mark}</AttendanceEventCategory>
    </AttendanceEvent>
    <StudentReference>
      <StudentIdentity>
        <StudentUniqueId>{student:08}</StudentUniqueId>
      </StudentIdentity>
    </StudentReference>
    <SchoolReference>
      <SchoolIdentity>
        <SchoolId>{school:04}</SchoolId>
      </SchoolIdentity>
    </SchoolReference>
  </StudentSchoolAttendanceEvent>
"""


def make_interchange(megabytes: int, target: Path) -> int:
    """Write a file of about so many million bytes: how many events it holds."""
    events = 0
    with target.open("w", encoding="utf-8") as out:
        out.write('<InterchangeStudentAttendance xmlns="http://ed-fi.org/5.2.0">\n')
        while out.tell() < megabytes * 1_000_000:
            for _ in range(1_000):
                mark = "Excused Absence" if events % 16 == 0 else "In Attendance"
                out.write(_EVENT.format(day=events % 28 + 1, mark=mark, student=events // 28, school=events % 80))
                events += 1
        out.write("</InterchangeStudentAttendance>\n")
    return events


def read_once(file: Path) -> int:
    """Read the file as landing does: the number of rows."""
    source = Source(
        kind="edfi_xml",
        files=[file.name],
        missing_rows="full",
        attendance_records="every_day",
        entities={"attendance_event": {}},  # type: ignore[dict-item]
    )
    with tempfile.TemporaryDirectory(dir=file.parent) as scratch, duckdb.connect() as con:
        return edfi_xml.read(con, file, source, Path(scratch)).rows_read


def parse_once(file: Path) -> int:
    """Run the bare parser over the file: how many elements began."""
    begun = 0

    def start(_name: str, _attributes: dict[str, str]) -> None:
        nonlocal begun
        begun += 1

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _name: None
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            parser.Parse(chunk, False)
    parser.Parse(b"", True)
    return begun


_DOES = {"reader": read_once, "parser": parse_once}


def measured(what: str, file: Path, work: Path) -> Cost:
    return measure([sys.executable, "-m", "benchmarks.edfi_xml", _ONCE, what, str(file)], _ROOT, work / "log")


def comparison(rows: Sequence[tuple[int, int, list[Cost], list[Cost]]]) -> str:
    """MB/s a core (of CPU time, start of the interpreter included) and peak memory, as a Markdown table of medians."""
    lines = []
    for size, events, readers, parsers in rows:
        reader, parser = (size / statistics.median(cost.cpu for cost in costs) / 1e6 for costs in (readers, parsers))
        peak = max(cost.memory for cost in readers) / 2**20
        sizes = [f"{size / 1e6:,.0f} MB", f"{events:,}", str(len(readers))]
        lines.append([*sizes, f"{reader:.0f} MB/s", f"{parser:.0f} MB/s", f"{parser / reader:.1f}", f"{peak:,.0f} MiB"])
    head = ["file", "events", "runs", "reader", "parser with empty handlers", "ratio", "peak memory of the reader"]
    return table(head, lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.edfi_xml", description=__doc__)
    parser.add_argument("megabytes", type=int, nargs="*", default=_SIZES, help="sizes of the files; default: 200")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each size; default: %(default)s")
    parser.add_argument(_ONCE, nargs=2, dest="once", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.once:
        say(str(_DOES[chosen.once[0]](Path(chosen.once[1]))))
        return 0
    for line in machine():
        say(line)
    done = []
    for megabytes in chosen.megabytes:
        with tempfile.TemporaryDirectory(prefix="equity-bench-") as folder:
            work = Path(folder)
            file = work / "attendance.xml"
            events = make_interchange(megabytes, file)
            costs: dict[str, list[Cost]] = {"reader": [], "parser": []}
            try:
                for _ in range(chosen.repeat):
                    for what, found in costs.items():
                        found.append(measured(what, file, work))
            except CommandFailed as problem:
                say(f"\n{problem}")
                return 1
            if {int(cost.output) for cost in costs["reader"]} != {events}:
                say("\nThe reader does not give a row for each event; no costs are compared.")
                return 1
            done.append((file.stat().st_size, events, costs["reader"], costs["parser"]))
    say(f"\n{comparison(done)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
