"""Spreadsheets: ids keep their zeros, dates are dates, and what a cell does not hold is told."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import xlsxwriter
import xlwt

from pipelines.config import Source
from pipelines.sources import Reading, Unreadable, excel, excel_child

ASK = excel._ask


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads without a child process, which takes a second to start; the last test goes through it."""
    monkeypatch.setattr(excel, "_ask", excel_child.answer)


def workbook(fill: Callable[[Any, Any], None], *further: str) -> bytes:
    stream = io.BytesIO()
    book = xlsxwriter.Workbook(stream, {"in_memory": True})
    fill(book, book.add_worksheet("Absences"))
    for name in further:
        book.add_worksheet(name)
    book.close()
    return stream.getvalue()


def sheet_of(rows: list[list[Any]], first_row: int = 0, first_column: int = 0) -> bytes:
    def fill(_: Any, sheet: Any) -> None:
        for n, row in enumerate(rows):
            for m, cell in enumerate(row):
                if isinstance(cell, str):
                    sheet.write_string(first_row + n, first_column + m, cell)
                elif cell is not None:
                    sheet.write_number(first_row + n, first_column + m, cell)

    return workbook(fill)


def reading_of(tmp_path: Path, content: bytes, **settings: Any) -> tuple[duckdb.DuckDBPyConnection, Reading]:
    file = tmp_path / "export.xls"
    file.write_bytes(content)
    con = duckdb.connect()
    source = Source(kind="excel", files=["x"], missing_rows="full", **settings)
    return con, excel.read(con, file, source, tmp_path)


def read(tmp_path: Path, content: bytes, **settings: Any) -> tuple[list[Any], list[Any]]:
    """Rows (all columns, then the line), and refused rows (line, reason, column)."""
    con, reading = reading_of(tmp_path, content, **settings)
    rows = con.execute(f"SELECT * FROM {reading.tables['*']} ORDER BY {reading.line_column}").fetchall()
    refused = con.execute(f"SELECT line, reason, column_name FROM {reading.refused} ORDER BY line").fetchall()
    assert len(rows) + len(refused) == reading.rows_read
    return rows, refused


PLAIN: list[list[Any]] = [["id", "name"], ["0417", "Ana"], ["0418", None], ["0419", "Bo"]]
ROWS = [("0417", "Ana", 2), ("0418", None, 3), ("0419", "Bo", 4)]


def test_cells_of_each_kind_as_text(tmp_path: Path) -> None:
    def fill(book: Any, sheet: Any) -> None:
        def shown(form: str) -> Any:
            return book.add_format({"num_format": form})

        sheet.write_row(
            0, 0, ["text", "padded", "bare", "date", "time", "clock", "long", "flag", "sum", "part", "escape"]
        )
        sheet.write_string(1, 0, "00417")
        sheet.write_number(1, 1, 417, shown("00000"))
        sheet.write_number(1, 2, 417)
        sheet.write_datetime(1, 3, datetime.datetime(2026, 3, 27), shown("m/d/yyyy"))
        sheet.write_datetime(1, 4, datetime.datetime(2026, 3, 27, 14, 11), shown("m/d/yyyy h:mm"))
        sheet.write_number(1, 5, 0.59375, shown("h:mm"))
        sheet.write_number(1, 6, 1.5, shown("[h]:mm:ss"))
        sheet.write_boolean(1, 7, True)
        sheet.write_formula(1, 8, "=400+17", None, 417)
        sheet.write_number(1, 9, 0.1)
        sheet.write_string(1, 10, '="007"')

    expected = ("00417", "00417", "417", "2026-03-27", "2026-03-27 14:11:00", "14:15:00", "36:00:00")
    assert read(tmp_path, workbook(fill)) == ([(*expected, "true", "417", "0.1", "007", 2)], [])


def old_workbook() -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Absences")
    dated = xlwt.XFStyle()
    dated.num_format_str = "m/d/yyyy"
    for n, name in enumerate(["id", "day", "count"]):
        sheet.write(0, n, name)
    sheet.write(1, 0, "00417")
    sheet.write(1, 1, datetime.date(2026, 3, 27), dated)
    sheet.write(1, 2, 12)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def test_a_legacy_workbook_under_any_name(tmp_path: Path) -> None:
    assert read(tmp_path, old_workbook()) == ([("00417", "2026-03-27", "12", 2)], [])


@pytest.mark.parametrize("place", [(0, 0), (3, 2)])
def test_lines_are_the_rows_of_the_sheet(tmp_path: Path, place: tuple[int, int]) -> None:
    rows, refused = read(tmp_path, sheet_of([*PLAIN[:3], [None, None], ["", " "], PLAIN[3]], *place))
    assert [(*row[:2], row[2] - place[0]) for row in rows] == [*ROWS[:2], ("0419", "Bo", 6)]
    assert refused == []


BANNER: list[list[Any]] = [["Absences", None, "all schools"], [None], ["Printed", "today"]]


@pytest.mark.parametrize("header", [4, 2, "ID", "name"])
def test_a_banner_a_header_and_a_total_row(tmp_path: Path, header: int | str) -> None:
    content = sheet_of([*BANNER, *PLAIN, ["Total", "3"], [None], ["end"]])
    if header == 2:  # the first row from there on that is not blank
        with pytest.raises(Unreadable) as raised:
            read(tmp_path, content, header=header, column_names=["one"])
        assert raised.value.line == 3
    else:
        rows, _ = read(tmp_path, content, header=header, footer_lines=2)
        assert rows == [(*row[:2], row[2] + 3) for row in ROWS]


def test_given_names_for_a_sheet_without_a_header_or_with_another(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, sheet_of(PLAIN[1:]), header=0, column_names=["id", "name"])
    assert rows == [(*row[:2], row[2] - 1) for row in ROWS]
    con, reading = reading_of(tmp_path, sheet_of([["x", "x"], *PLAIN[1:]]), column_names=["id", "name"])
    assert con.execute(f"SELECT name FROM {reading.tables['*']} ORDER BY line").fetchall()[2] == ("Bo",)
    for wrong in ({"header": 0, "column_names": ["id"]}, {"column_names": ["a", "b", "c"]}):
        with pytest.raises(Unreadable) as raised:
            read(tmp_path, sheet_of(PLAIN), **wrong)
        assert raised.value.reason == "column_names_differ"


def test_a_cell_that_has_no_value_costs_its_row(tmp_path: Path) -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, ["id", "sum", "other"])
        for n in range(1, 7):
            sheet.write_string(n, 0, f"S{n}")
        sheet.write_formula(1, 1, "=NA()", None, "#N/A")
        sheet.write_formula(2, 1, "=1+1", None, "")
        sheet.write_number(3, 1, 12345678901234567)
        sheet.write_string(4, 4, "a note")
        sheet.write_formula(5, 2, "=1/0", None, "#DIV/0!")

    content = workbook(fill)
    rows, refused = read(tmp_path, content)
    assert [row[-1] for row in rows] == [7]
    assert refused == [
        (2, "error_cell", "sum"),
        (3, "formula_without_value", "sum"),
        (4, "number_too_long", "sum"),
        (5, "too_many_fields", None),
        (6, "error_cell", "other"),
    ]
    entities = {"student": {"columns": {"student_id": "ID"}}}
    rows, refused = read(tmp_path, content, entities=entities)
    assert [row[-1] for row in rows] == [2, 3, 4, 6, 7], "what no map reads does no harm"
    assert [row[0] for row in refused] == [5]


def test_a_column_without_a_name(tmp_path: Path) -> None:
    assert read(tmp_path, sheet_of([["id", None, "name", None], ["1", None, "Ana"]]))[0] == [("1", "Ana", 2)]
    with pytest.raises(Unreadable) as raised:
        read(tmp_path, sheet_of([["id", None, "name"], ["1", "x", "Ana"]]))
    assert (raised.value.reason, raised.value.line) == ("empty_column_name", 1)


def test_sheets_by_name_and_number(tmp_path: Path) -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, ["id"])
        second = book.add_worksheet("Tardies 2026")
        second.write_row(0, 0, ["code"])
        second.write_row(1, 0, ["T"])
        second.hide()

    content = workbook(fill)
    for sheet in (2, "Tardies 2026", " tardies 2026"):
        assert read(tmp_path, content, sheet=sheet)[0] == [("T", 2)]
    for wrong in (0, 3, "Absence"):
        with pytest.raises(Unreadable) as raised:
            read(tmp_path, content, sheet=wrong)
        assert raised.value.reason == "missing_sheet"
        assert "Absences, Tardies 2026" in raised.value.message


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty_file"),
        (b"id,name\n1,Ana\n", "not_a_workbook"),
        (b"<html><table></table></html>", "not_a_workbook"),
        (b"PK\x03\x04" + bytes(100), "not_a_workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4096), "not_a_workbook"),
        (sheet_of(PLAIN)[:3000], "not_a_workbook"),
        (old_workbook()[:2000], "not_a_workbook"),
        (zipped({"hello.txt": b"hello"}), "not_a_workbook"),
        (zipped({"xl/workbook.xml": b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"}), "not_a_workbook"),
        (sheet_of([]), "empty_file"),
    ],
)
def test_what_makes_a_whole_file_unreadable(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as raised:
        read(tmp_path, content)
    assert raised.value.reason == reason
    assert raised.value.remedy


def test_a_cell_far_from_all_others_is_not_asked_for_in_memory(tmp_path: Path) -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write_string(0, 0, "id")
        sheet.write_string(1_048_575, 16_383, "x")

    with pytest.raises(Unreadable) as raised:
        read(tmp_path, workbook(fill))
    assert raised.value.reason == "workbook_too_large"


def test_the_sheet_is_read_in_a_process_that_may_die(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "_ask", ASK)
    assert read(tmp_path, sheet_of(PLAIN)) == (ROWS, [])
    with pytest.raises(Unreadable) as raised:
        read(tmp_path, sheet_of(PLAIN), sheet="Tardies")
    assert raised.value.reason == "missing_sheet"
    for child, reason in (("exit", "workbook_too_large"), ("sleep", "workbook_too_slow")):
        code = {"exit": "import os; os.abort()", "sleep": "import time; time.sleep(60)"}[child]
        monkeypatch.setattr(excel, "_CHILD", ("-c", code))
        monkeypatch.setattr(excel, "_SECONDS", 1 if child == "sleep" else 60)
        with pytest.raises(Unreadable) as raised:
            read(tmp_path, sheet_of(PLAIN))
        assert raised.value.reason == reason
