"""Memory and time of the Ed-Fi XML reader are bounded by limits, not by the file.

The limits are lowered here, so that small files reach them.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from test_edfi_xml import SCHOOL, STUDENT, Interchange, Read, attendance, read, read_file, refusal

from pipelines.sources import edfi_xml

__all__ = ["read", "read_file"]  # fixtures

CANARY = "Canary-Name"
_CHUNK = 1_000
_TOKEN = 10_000


@pytest.fixture
def small_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edfi_xml, "CHUNK_BYTES", _CHUNK)
    monkeypatch.setattr(edfi_xml, "MAXIMUM_TOKEN", _TOKEN)


def action(students: int, number: str) -> str:
    return (
        f"<DisciplineAction><DisciplineActionIdentifier>{number}</DisciplineActionIdentifier>"
        + "".join(STUDENT.format(n) for n in range(students))
        + "<ResponsibilitySchoolReference><SchoolIdentity><SchoolId>1</SchoolId></SchoolIdentity>"
        "</ResponsibilitySchoolReference><DisciplineDate>2025-09-01</DisciplineDate><Discipline>x</Discipline>"
        "</DisciplineAction>"
    )


ENDLESS = {
    "attribute": f"<x a='{CANARY}{{}}'/>",
    "name_of_an_element": "<x{}/>",
    "comment": f"<!-- {CANARY}{{}} -->",
    "instruction": f"<?x {CANARY}{{}} ?>",
    "id": f"<AttendanceEvent id='{CANARY}{{}}'/>",
}


@pytest.mark.usefixtures("small_tokens")
@pytest.mark.parametrize("kind", ENDLESS)
def test_a_token_without_end_is_refused_at_its_line_and_not_repeated(read: Read, kind: str) -> None:
    caught = refusal(read, attendance() + "\n" + ENDLESS[kind].format("y" * 2 * _TOKEN))
    assert (caught.reason, caught.line) == ("too_much", 3)
    assert CANARY not in f"{caught.message}{caught.remedy}"


@pytest.mark.usefixtures("small_tokens")
def test_a_token_without_end_before_the_first_element_is_refused(read: Read) -> None:
    text = f"<!-- {'y' * 2 * _TOKEN} --><InterchangeX></InterchangeX>"
    assert refusal(read, text, whole=True).reason == "too_much"


LONG = {
    "text_nobody_asks_for": "<x>{}</x>",
    "lines_nobody_asks_for": "<x>\n{}\n</x>",
    "cdata_nobody_asks_for": "<x><![CDATA[{}]]></x>",
    "references_to_characters": "<x>&#65;{}</x>",
    "many_elements": "{}",
}


@pytest.mark.usefixtures("small_tokens")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("kind", LONG)
def test_what_is_long_and_no_token_is_passed_over(read: Read, kind: str, encoding: str) -> None:
    filling = "<y/>" * 5_000 if kind == "many_elements" else "\u00e9z " * 2 * _TOKEN
    text = f"<InterchangeX>{attendance()}{LONG[kind].format(filling)}{attendance('s2')}</InterchangeX>"
    found = read(text.encode(encoding), whole=True)
    assert [row["student_id"] for row in found.rows("attendance_event")] == ["s1", "s2"]


@pytest.mark.usefixtures("small_tokens")
@pytest.mark.parametrize("where", ["before", "behind"])
def test_blanks_around_the_interchange_are_no_token(read: Read, where: str) -> None:
    blanks = " \n" * 2 * _TOKEN
    text = f"<InterchangeX>{attendance()}</InterchangeX>"
    found = read((blanks + text if where == "before" else text + blanks).encode(), whole=True)
    assert len(found.rows("attendance_event")) == 1


def test_an_element_of_too_much_text_is_refused(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edfi_xml, "MAXIMUM_ELEMENT", 5_000)
    assert len(read(attendance(student="7" * 900) * 20).rows("attendance_event")) == 20, "the limit is one element's"
    caught = refusal(read, attendance() + "\n<Student>" + f"<Race>{CANARY * 10}</Race>" * 50 + "</Student>")
    assert (caught.reason, caught.line) == ("too_much", 3)


def test_an_element_that_repeats_its_text_in_too_many_rows_is_refused(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edfi_xml, "MAXIMUM_ROWS_TEXT", 100_000)
    assert len(read(action(400, "a1")).rows("discipline_action")) == 400
    assert len(read(action(1, "9" * 9_000)).rows("discipline_action")) == 1
    assert refusal(read, action(400, "9" * 9_000)).reason == "too_much"


@pytest.mark.parametrize("held", [1, 60, 1_000])
def test_batches_of_any_size_hold_the_same_rows(read: Read, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    body = "".join(
        attendance(student=f"s{n}") + "\n" + attendance(student="", school=f"{n}") + "\n" for n in range(50)
    ) + action(5, "a1")
    whole = _rows(read(body))
    assert [len(rows) for rows in whole] == [50, 5, 50]
    monkeypatch.setattr(edfi_xml, "BATCH_CHARACTERS", held)
    assert _rows(read(body)) == whole


def test_the_values_of_an_elements_many_rows_count_as_held(
    read: Read, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(edfi_xml, "BATCH_CHARACTERS", 10_000)
    body = action(6, "a1").replace("<StudentUniqueId>", "<StudentUniqueId>" + "0" * 5_000)
    assert len(read(body).rows("discipline_action")) == 6
    [file] = tmp_path.glob("*discipline_action.parquet")
    assert pq.ParquetFile(file).num_row_groups == 3


def _rows(found: Interchange) -> list[list[dict[str, object]]]:
    return [found.rows("attendance_event"), found.rows("discipline_action"), found.refused()]


_MEASURE = """
import resource, sys
from pathlib import Path
import duckdb
from pipelines.config import Source
from pipelines.sources import edfi_xml
file = Path(sys.argv[1])
source = Source(kind="edfi_xml", files=[file.name], missing_rows="full", attendance_records="every_day",
                entities={"attendance_event": {}})
with duckdb.connect() as con:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(edfi_xml.read(con, file, source, file.parent).rows_read)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_rows_of_long_values_do_not_gather_in_memory(tmp_path: Path) -> None:
    """150 MB of marks whose day is 90,000 characters long: they were 600 MB in memory, before one row was written."""
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
    file = tmp_path / "long.xml"
    count = 1_600
    with file.open("w", encoding="utf-8") as out:
        out.write("<InterchangeStudentAttendance>")
        for number in range(count):
            out.write(
                "<AttendanceEvent><EventDate>" + f"{number:06}" + "9" * 90_000 + "</EventDate>"
                f"<AttendanceEventCategory>A</AttendanceEventCategory>{STUDENT.format(number)}{SCHOOL.format(1)}"
                "</AttendanceEvent>"
            )
        out.write("</InterchangeStudentAttendance>")
    done = subprocess.run([sys.executable, "-c", _MEASURE, str(file)], capture_output=True, text=True, check=True)
    rows, grown = map(int, done.stdout.split())
    assert rows == count
    assert grown < 200 * 1024
