"""Broken files by the hundred: what districts' exports, editors, mail gateways and half-finished copies do to files.

`cases(seed)` yields each file with the settings under which it is read and what must become of it: so many
rows accepted and refused, or the whole file held back. Cases without a count were made by chance (`damaged`):
there only the promises that hold for every file count.
"""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow
import pyarrow.parquet
import xlsxwriter
import xlwt

ROWS = 60
HEADER = ["sid", "school", "day", "code"]
_MAPPED = {"student_id": "sid", "school_id": "school", "date": "day", "category": "code"}
_FIELDS = {"sid": [1, 8], "school": [9, 12], "day": [13, 22], "code": [23, 24]}
_HELD = "held"


@dataclass(frozen=True)
class Case:
    """A broken file. accepted, refused: exact counts, or None where chance decides; held: nothing of it is read."""

    name: str
    kind: str
    suffix: str
    content: bytes
    held: bool = False
    accepted: int | None = None
    refused: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=lambda: dict(_MAPPED))

    @property
    def source(self) -> dict[str, Any]:
        """The source of district.yaml that reads this file."""
        made: dict[str, Any] = {
            "kind": self.kind,
            "files": self.name + self.suffix,
            "missing_rows": "full",
            "required": False,
            "attendance_records": "exceptions",
            "entities": {"attendance_event": {"columns": self.columns}},
            **self.settings,
        }
        if self.kind == "fixed_width":
            made.setdefault("fields", _FIELDS)
        if self.kind == "edfi_xml":
            del made["entities"]
        return made


def good_rows() -> list[list[str]]:
    """Sixty rows that nothing is wrong with. Ids are made up and unlike anything else in a file."""
    return [[f"{7_000_000 + n:08d}", f"{n % 4:04d}", f"2025-09-{1 + n % 28:02d}", "AE"[n % 2]] for n in range(ROWS)]


def as_csv(rows: list[list[str]], header: list[str] | None = None, delimiter: str = ",", end: str = "\n") -> str:
    """Rows as delimited text, unquoted."""
    return end.join(delimiter.join(row) for row in [HEADER if header is None else header, *rows]) + end


def cases(seed: int) -> Iterator[Case]:
    """Every case, in a fixed order for a seed."""
    chance = random.Random(seed)
    yield from _text_as_a_whole(chance)
    yield from _text_row_by_row(chance)
    yield from _values()
    yield from _fixed_width()
    yield from _json_lines()
    yield from _excel()
    yield from _parquet()
    yield from _zips()
    yield from _damaged(chance)


# --- delimited -----------------------------------------------------------------------------------------------


def _delimited(name: str, content: bytes | str, **expected: Any) -> Case:
    encoded = content if isinstance(content, bytes) else content.encode()
    return Case(f"delimited_{name}", "delimited", ".csv", encoded, **expected)


def _text_as_a_whole(chance: random.Random) -> Iterator[Case]:
    good = as_csv(good_rows())
    yield _delimited("empty", b"", held=True)
    yield _delimited("only_a_mark", b"\xef\xbb\xbf", held=True)
    yield _delimited("only_blanks", b"  \n\n \n", held=True)
    yield _delimited("only_line_ends", b"\n" * 50_000, held=True)
    yield _delimited("only_a_header", ",".join(HEADER) + "\n", accepted=0, refused=0)
    yield _delimited("no_header", as_csv(good_rows()[1:], good_rows()[0]), held=True)
    yield _delimited("zero_bytes", b"\0" * 4096, held=True)
    yield _delimited("a_nul_inside", good.replace("2025-09-05", "2025\0-09-05", 1), held=True)
    yield _delimited("nuls_at_the_end", good.encode() + b"\0" * 512, held=True)
    yield _delimited("utf16_with_mark", good.encode("utf-16"), accepted=ROWS, refused=0)
    yield _delimited("utf16_without_mark", good.encode("utf-16-le"))
    yield _delimited("utf8_with_mark", good.encode("utf-8-sig"), accepted=ROWS, refused=0)
    yield _delimited("cp1252", good.replace(",A\n", ",é\n").encode("cp1252"), accepted=ROWS, refused=0)
    yield _delimited(
        "declared_utf8_is_not", good.replace(",A\n", ",é\n").encode("cp1252"), held=True, settings={"encoding": "utf-8"}
    )
    yield _delimited(
        "utf8_with_a_bad_byte", good.replace(",A\n", ",é\n").encode() + b"7000099,0001,2025-09-01,\xff\n", held=True
    )
    yield _delimited("a_byte_cp1252_lacks", good.encode() + b"7000099,0001,2025-09-01,\x81\n", held=True)
    yield _delimited(
        "unknown_encoding_named",
        good,
        held=True,
        settings={"encoding": "klingon"},
    )
    yield _delimited("cr_only", good.replace("\n", "\r"), accepted=ROWS, refused=0)
    yield _delimited("line_ends_mixed", _mixed_ends(good, chance), accepted=ROWS, refused=0)
    yield _delimited("no_last_line_end", good.rstrip("\n"), accepted=ROWS, refused=0)
    yield _delimited("blank_lines_everywhere", good.replace("\n", "\n\n\n"), accepted=ROWS, refused=0)
    yield _delimited("hundred_thousand_blank_lines", good + "\n" * 100_000, accepted=ROWS, refused=0)
    yield _delimited("other_delimiter_than_declared", good, held=True, settings={"delimiter": ";"})
    yield _delimited("semicolons", as_csv(good_rows(), delimiter=";"), accepted=ROWS, refused=0)
    yield _delimited("tabs", as_csv(good_rows(), delimiter="\t"), accepted=ROWS, refused=0)
    yield _delimited("a_column_twice", as_csv([[*row, "x"] for row in good_rows()], [*HEADER, "SID"]), held=True)
    yield _delimited("a_column_without_name", as_csv([[*row, "x"] for row in good_rows()], [*HEADER, ""]), held=True)
    yield _delimited("a_column_missing", as_csv([row[:3] for row in good_rows()], HEADER[:3]), held=True)
    yield _delimited(
        "names_with_quotes_and_sql",
        as_csv([[*row, "x", "y"] for row in good_rows()], [*HEADER, "'; DROP TABLE x; --", "a'b"]),
        accepted=ROWS,
        refused=0,
    )
    yield _delimited(
        "names_of_the_engine",
        as_csv([[*row, "1", "2", "3"] for row in good_rows()], [*HEADER, "rowid", "select", "line"]),
        accepted=ROWS,
        refused=0,
    )
    wide = [[*row, *["0"] * 10_000] for row in good_rows()]
    yield _delimited("ten_thousand_columns", as_csv(wide, [*HEADER, *(f"c{n}" for n in range(10_000))]))
    yield _delimited("a_line_without_end", good + "x" * 3_000_000, held=True)
    yield _delimited("quote_never_closed_in_header", '"' + good, held=True)
    yield _delimited("banner_above", "Report of absences\nPrinted today\n" + good, held=True)
    yield _delimited(
        "banner_above_and_said",
        "Report of absences\nPrinted today\n" + good,
        accepted=ROWS,
        refused=0,
        settings={"header": 3},
    )
    yield _delimited(
        "header_by_name", "Report, of\n\nPrinted\n" + good, accepted=ROWS, refused=0, settings={"header": "sid"}
    )
    yield _delimited("header_name_nowhere", good, held=True, settings={"header": "Student"})
    yield _delimited("header_beyond_the_end", good, held=True, settings={"header": 5000})
    yield _delimited("total_row_below", good + "Total,,,60\n", accepted=ROWS, refused=0, settings={"footer_lines": 1})
    yield _delimited("footer_longer_than_file", good, accepted=0, refused=0, settings={"footer_lines": 100})
    trailer = {"whole": {"trailer": r"^TRL\|(?P<rows>\d+)$"}}
    yield _delimited("trailer_says_so_many", good + f"TRL|{ROWS}\n", accepted=ROWS, refused=0, settings=trailer)
    yield _delimited("trailer_says_more", good + f"TRL|{ROWS + 5}\n", held=True, settings=trailer)
    yield _delimited("trailer_missing", good, held=True, settings=trailer)
    yield _delimited("marker_missing", good, held=True, settings={"whole": {"marker": "{name}.done"}})
    for name, start in _FOREIGN.items():
        yield _delimited(f"really_{name}", start + bytes(chance.randrange(256) for _ in range(3000)), held=True)
    page = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\n<body>Your session is over.</body></html>\n"
    yield _delimited("really_a_sign_in_page", page, held=True)
    yield _delimited("really_an_error_page", '{"error": "unauthorized", "status": 401}\n', held=True)


#: How files of other formats begin.
_FOREIGN = {
    "a_picture": b"\x89PNG\r\n\x1a\n",
    "a_pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "a_program": b"\x7fELF\x02\x01\x01\0\0\0\0\0",
    "an_old_spreadsheet": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "a_columnar_file": b"PAR1",
}


def _mixed_ends(text: str, chance: random.Random) -> str:
    return "".join(line + chance.choice(["\n", "\r\n", "\r"]) for line in text.splitlines())


def _text_row_by_row(chance: random.Random) -> Iterator[Case]:
    def changed(change: Callable[[list[str]], str], *numbers: int) -> str:
        lines = [",".join(HEADER)]
        lines += [change(row) if n in numbers else ",".join(row) for n, row in enumerate(good_rows())]
        return "\n".join(lines) + "\n"

    some = chance.sample(range(2, ROWS - 2), 7)
    yield _delimited("rows_too_short", changed(lambda row: ",".join(row[:3]), *some), accepted=ROWS - 7, refused=7)
    yield _delimited("rows_too_long", changed(lambda row: ",".join([*row, "x"]), *some), accepted=ROWS - 7, refused=7)
    yield _delimited("rows_of_commas", changed(lambda _: ",,,", *some), accepted=ROWS - 7, refused=7)
    yield _delimited("rows_of_text", changed(lambda _: "page 2 of 9", *some), accepted=ROWS - 7, refused=7)
    yield _delimited("cut_in_a_row", as_csv(good_rows())[:-9], accepted=ROWS - 1, refused=1)
    yield _delimited(
        "cut_in_quotes", changed(lambda row: f'{row[0]},{row[1]},{row[2]},"A', ROWS - 1), accepted=ROWS - 1, refused=1
    )
    yield _delimited(
        "a_quote_never_closed",
        changed(lambda row: f'{row[0]},"{row[1]},{row[2]},{row[3]}', 5),
        accepted=ROWS - 1,
        refused=1,
    )
    yield _delimited(
        "quotes_broken", changed(lambda row: f'{row[0]},"00"01",{row[2]},{row[3]}', *some), accepted=ROWS - 7, refused=7
    )
    yield _delimited(
        "a_line_break_in_quotes",
        changed(lambda row: f'{row[0]},{row[1]},{row[2]},"A\n"', *some),
        accepted=ROWS,
        refused=0,
    )
    yield _delimited(
        "a_field_of_100_kb",
        changed(lambda row: f"{row[0]},{row[1]},{row[2]},{'A' * 100_000}", 9),
        accepted=ROWS,
        refused=0,
    )
    yield _delimited(
        "an_id_of_100_kb", changed(lambda row: f"{'9' * 100_000},{row[1]},{row[2]},A", 9), accepted=ROWS, refused=0
    )
    yield _delimited("header_again_inside", changed(lambda _: ",".join(HEADER), *some), accepted=ROWS - 7, refused=7)
    yield _delimited(
        "control_characters",
        changed(lambda row: f"{row[0]},{row[1]},{row[2]}\x07\x1b[31m,A", *some),
        accepted=ROWS - 7,
        refused=7,
    )
    yield _delimited(
        "excel_text_escapes",
        changed(lambda row: f'="{row[0]}",="{row[1]}",{row[2]},A', *range(ROWS)),
        accepted=ROWS,
        refused=0,
    )


def _values() -> Iterator[Case]:
    def with_day(name: str, day: str, **expected: Any) -> Case:
        rows = good_rows()
        rows[10][2] = day
        return _delimited(f"day_{name}", as_csv(rows), **expected)

    one_less = {"accepted": ROWS - 1, "refused": 1}
    for name, day in {
        "not_there": "2025-02-30",
        "month_13": "2025-13-01",
        "year_1": "0001-01-01",
        "year_9999": "9999-12-31",
        "a_serial_number": "45901",
        "a_word": "yesterday",
        "blank": "",
        "two_digit_year": "09/05/25",
        "with_a_zone": "2025-09-05T10:00:00+02:00",
        "arabic_digits": "٢٠٢٥-٠٩-٠٥",
        "infinity": "infinity",
        "epoch": "epoch",
        "formula": "=TODAY()",
    }.items():
        yield with_day(name, day, **one_less)
    both = {"settings": {"date_formats": ["%m/%d/%Y", "%d/%m/%Y"]}}
    mixed = [[*row[:2], f"{1 + n % 12:02d}/{13 + n % 15:02d}/2025", row[3]] for n, row in enumerate(good_rows())]
    for n in (3, 4, 5):
        mixed[n][2] = "05/06/2025"
    yield _delimited("dates_in_two_orders", as_csv(mixed), accepted=ROWS - 3, refused=3, **both)
    turned = [[*row[:2], f"{13 + n % 15:02d}/{1 + n % 12:02d}/2025", row[3]] for n, row in enumerate(good_rows())]
    yield _delimited("dates_in_the_other_order", as_csv(turned), held=True, settings={"date_formats": ["%m/%d/%Y"]})
    for name, change in {"student": 0, "school": 1, "code": 3}.items():
        rows = good_rows()
        rows[20][change] = "   "
        yield _delimited(f"{name}_blank", as_csv(rows), **one_less)
    for name, fraction, refused in (
        ("comma", "0,5", 1), ("percent", "50%", 1), ("negative", "-0.5", 1), ("above_one", "1.0001", 1),
        ("word", "half", 1), ("nan", "NaN", 1), ("exponent", "1e-1", 1), ("mask", "<10", 1), ("star", "*", 1),
        ("blank", "", 0), ("half", ".5", 0),
    ):  # fmt: skip
        rows = [[*row, "1"] for row in good_rows()]
        rows[7][4] = f'"{fraction}"' if "," in fraction else fraction
        yield _delimited(
            f"fraction_{name}",
            as_csv(rows, [*HEADER, "part"]),
            accepted=ROWS - refused,
            refused=refused,
            columns={**_MAPPED, "fraction_absent": "part"},
        )


# --- fixed width, JSON lines -----------------------------------------------------------------------------------


def _line(row: list[str]) -> str:
    return f"{row[0]:<8}{row[1]:<4}{row[2]:<10}{row[3]:<2}"


def _fixed_width() -> Iterator[Case]:
    def made(name: str, lines: list[str] | bytes, **expected: Any) -> Case:
        content = lines if isinstance(lines, bytes) else ("\n".join(lines) + "\n").encode()
        return Case(f"fixed_{name}", "fixed_width", ".txt", content, **expected)

    good = [_line(row) for row in good_rows()]
    yield made("good", good, accepted=ROWS, refused=0)
    yield made("empty", b"", held=True)
    yield made("zero_bytes", b"\0" * 1000, held=True)
    yield made("a_row_cut", [*good[:-1], good[-1][:15]], accepted=ROWS - 1, refused=1)
    yield made("rows_of_blanks", [*good[:5], " " * 24, *good[5:]])
    yield made("shifted_by_one", [*good[:5], " " + good[5], *good[6:]], accepted=ROWS - 1, refused=1)
    yield made("tabs", [line.replace("  ", "\t") for line in good])
    yield made("bad_byte", "\n".join(good).encode() + b"\nJ\xc3\xa9\xff", settings={"encoding": "utf-8"}, held=True)
    yield made("line_without_end", b"9" * 3_000_000, held=True)
    yield made("really_a_zip_bomb_name", b"PK\x05\x06" + b"\0" * 18, held=True)


def _json_lines() -> Iterator[Case]:
    def made(name: str, lines: list[str] | bytes, **expected: Any) -> Case:
        content = lines if isinstance(lines, bytes) else ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")
        return Case(f"json_{name}", "json_lines", ".json", content, **expected)

    good = [json.dumps(dict(zip(HEADER, row, strict=True))) for row in good_rows()]
    yield made("good", good, accepted=ROWS, refused=0)
    yield made("as_one_array", ("[" + ",\n".join(good) + "]").encode(), accepted=ROWS, refused=0)
    yield made("with_mark", b"\xef\xbb\xbf" + "\n".join(good).encode(), accepted=ROWS, refused=0)
    yield made("empty", b"", held=True)
    yield made("only_a_mark", b"\xef\xbb\xbf", accepted=0, refused=0)  # how one API sends "nothing"
    yield made("a_line_cut", [*good[:-1], good[-1][:25]], accepted=ROWS - 1, refused=1)
    yield made("lines_of_other_things", [*good, "17", "null", '"text"', "[1, 2]"], accepted=ROWS, refused=4)
    yield made("not_json", [*good[:3], "sid,school,day,code", *good[3:]], accepted=ROWS, refused=1)
    yield made("nested_without_end", [*good, "[" * 200_000], accepted=ROWS, refused=1)
    yield made("objects_without_end", [*good, '{"a":' * 40_000], accepted=ROWS, refused=1)
    yield made("ten_thousand_names", [*good, json.dumps({f"k{n}": n for n in range(10_000)})])
    yield made("half_a_character", [*good, good[0].replace("7000000", "\\ud800")])
    yield made("a_nul_escaped", [*good, good[0].replace("7000000", "7\\u0000")])
    yield made("a_number_beyond_all", [*good, good[0].replace('"07000000"', "1" + "0" * 400)])
    yield made("a_name_twice", [*good, '{"sid": "1", "sid": "2", "school": "1", "day": "2025-09-01", "code": "A"}'])
    yield made("not_a_number", [*good, '{"sid": NaN, "school": "1", "day": "2025-09-01", "code": "A"}'])
    yield made("a_page", b"<html><body>Sign in</body></html>", held=True)
    yield made("array_cut", ("[" + ",\n".join(good)).encode())


# --- spreadsheets, Parquet -------------------------------------------------------------------------------------


def _workbook(fill: Callable[[Any, Any], None]) -> bytes:
    stream = io.BytesIO()
    book = xlsxwriter.Workbook(stream, {"in_memory": True})
    fill(book, book.add_worksheet("Absences"))
    book.close()
    return stream.getvalue()


def _good_workbook(first_row: int = 0) -> bytes:
    def fill(_: Any, sheet: Any) -> None:
        for n, row in enumerate([HEADER, *good_rows()]):
            for column, cell in enumerate(row):
                sheet.write_string(first_row + n, column, cell)

    return _workbook(fill)


def _old_workbook() -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Absences")
    for n, row in enumerate([HEADER, *good_rows()]):
        for column, cell in enumerate(row):
            sheet.write(n, column, cell)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _excel() -> Iterator[Case]:
    def made(name: str, content: bytes, suffix: str = ".xlsx", **expected: Any) -> Case:
        return Case(f"excel_{name}", "excel", suffix, content, **expected)

    good = _good_workbook()
    yield made("good", good, accepted=ROWS, refused=0)
    yield made("good_old", _old_workbook(), ".xls", accepted=ROWS, refused=0)
    yield made("old_under_a_new_name", _old_workbook(), ".xlsx", accepted=ROWS, refused=0)
    yield made("new_under_an_old_name", good, ".xls", accepted=ROWS, refused=0)
    yield made("banner_said", _good_workbook(3), accepted=ROWS, refused=0, settings={"header": 4})
    yield made("empty", b"", held=True)
    yield made("cut", good[: len(good) // 2], held=True)
    yield made("old_cut", _old_workbook()[:1500], ".xls", held=True)
    yield made("really_text", as_csv(good_rows()).encode(), ".xls", held=True)
    yield made("really_a_page", b"<html><table><tr><td>sid</td></tr></table></html>", ".xls", held=True)
    yield made("no_workbook_inside", _zip({"hello.txt": b"hello"}), held=True)
    yield made("no_such_sheet", good, held=True, settings={"sheet": "Tardies"})
    yield made("sheet_number_beyond", good, held=True, settings={"sheet": 9})
    yield made("empty_sheet", _workbook(lambda book, sheet: None), held=True)
    yield made("protected", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 4096, held=True)
    yield made("bomb", _zip({"xl/workbook.xml": b"<x/>", "xl/worksheets/sheet1.xml": b"0" * 300_000_000}), held=True)

    def errors(_: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEADER)
        for n, row in enumerate(good_rows(), start=1):
            sheet.write_row(n, 0, row)
        sheet.write_formula(5, 2, "=NA()", None, "#N/A")
        sheet.write_formula(6, 2, "=1/0", None, "#DIV/0!")

    yield made("error_cells", _workbook(errors), accepted=ROWS - 2, refused=2)

    def numbers(book: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEADER)
        dated = book.add_format({"num_format": "yyyy-mm-dd"})
        for n, row in enumerate(good_rows(), start=1):
            sheet.write_number(n, 0, int(row[0]))
            sheet.write_number(n, 1, int(row[1]))
            sheet.write_number(n, 2, 45_900 + n % 28, dated)
            sheet.write_string(n, 3, row[3])

    yield made("numbers_and_dates", _workbook(numbers), accepted=ROWS, refused=0)


def _table(**replaced: Any) -> bytes:
    columns: dict[str, Any] = dict(zip(HEADER, map(list, zip(*good_rows(), strict=True)), strict=True))
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({**columns, **replaced}), stream)
    return stream.getvalue()


def _parquet() -> Iterator[Case]:
    def made(name: str, content: bytes, **expected: Any) -> Case:
        return Case(f"parquet_{name}", "parquet", ".parquet", content, **expected)

    good = _table()
    yield made("good", good, accepted=ROWS, refused=0)
    yield made("empty", b"", held=True)
    yield made("cut", good[: len(good) // 2], held=True)
    yield made("only_the_name", b"PAR1PAR1", held=True)
    yield made("footer_too_long", good[:-8] + struct.pack("<I", 0x7FFFFFFF) + b"PAR1", held=True)
    yield made("really_text", as_csv(good_rows()).encode(), held=True)
    yield made("a_column_missing", _table().replace(b"code", b"cude"))
    yield made("nested", _table(code=[{"a": 1}] * ROWS), held=True)
    yield made("bytes_inside", _table(code=[b"\xff\xfe"] * ROWS))
    yield made("nothing_but_null", _table(sid=[None] * ROWS), held=True)
    half = [None if n % 2 else f"{n}" for n in range(ROWS)]
    yield made("half_null", _table(sid=half), accepted=ROWS // 2, refused=ROWS // 2)


# --- zips -------------------------------------------------------------------------------------------------------


def _zip(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _zips() -> Iterator[Case]:
    def made(name: str, content: bytes, **expected: Any) -> Case:
        return Case(f"zip_{name}", "delimited", ".zip", content, **expected)

    good = as_csv(good_rows()).encode()
    yield made("good", _zip({"export/absences.csv": good}), accepted=ROWS, refused=0)
    yield made("with_a_mac_shadow", _zip({"a.csv": good, "__MACOSX/._a.csv": b"\0\1\2"}), accepted=ROWS, refused=0)
    yield made("slip", _zip({"../../../tmp/absences.csv": good}), held=True)
    yield made("absolute", _zip({"/etc/absences.csv": good}), held=True)
    yield made("empty", _zip({}), held=True)
    yield made("no_member_fits", _zip({"a.csv": good}), held=True, settings={"members": ["b*.csv"]})
    yield made("zip_in_zip", _zip({"a.zip": _zip({"a.csv": good})}), held=True)
    yield made("bomb", _zip({"a.csv": b"0" * 300_000_000}), held=True)
    yield made("cut", _zip({"a.csv": good})[:-40], held=True)
    whole = bytearray(_zip({"a.csv": good}))
    whole[60] ^= 0xFF
    yield made("damaged_member", bytes(whole), held=True)
    locked = bytearray(_zip({"a.csv": good}))
    locked[6] |= 1
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    yield made("encrypted", bytes(locked), held=True)


# --- by chance -------------------------------------------------------------------------------------------------


def _damaged(chance: random.Random) -> Iterator[Case]:
    """Good files of every format with a few bytes changed, a piece removed or a piece doubled."""
    originals = {
        "delimited": (".csv", as_csv(good_rows()).encode()),
        "fixed_width": (".txt", "\n".join(map(_line, good_rows())).encode()),
        "json_lines": (
            ".json",
            "\n".join(json.dumps(dict(zip(HEADER, row, strict=True))) for row in good_rows()).encode(),
        ),
        "excel": (".xlsx", _good_workbook()),
        "parquet": (".parquet", _table()),
    }
    for kind, (suffix, content) in originals.items():
        for number in range(6):
            yield Case(f"damaged_{kind}_{number}", kind, suffix, _hurt(content, chance))


def _hurt(content: bytes, chance: random.Random) -> bytes:
    hurt = bytearray(content)
    for _ in range(chance.randrange(1, 6)):
        start = chance.randrange(len(hurt))
        match chance.randrange(4):
            case 0:
                hurt[start] = chance.randrange(256)
            case 1:
                del hurt[start : start + chance.randrange(1, 40)]
            case 2:
                hurt[start:start] = hurt[start : start + chance.randrange(1, 200)]
            case _:
                hurt[start:start] = bytes(chance.choice([0, 9, 10, 13, 34, 44, 127, 255]) for _ in range(5))
    return bytes(hurt)
