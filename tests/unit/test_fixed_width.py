"""Fixed-width text: characters counted from 1, trimmed lines, and cuts that are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.config import Source
from pipelines.sources import Unreadable, fixed_width

FIELDS = {"id": [1, 5], "name": [6, 10], "exit": [13, 22]}
FULL = "00417Ana    2026-03-27\n"


def read(tmp_path: Path, content: bytes | str, **settings: Any) -> tuple[list[Any], list[Any]]:
    """Rows (line, id, name, exit) and refused rows (line, reason, text)."""
    file = tmp_path / "export.txt"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    con = duckdb.connect()
    source = Source(kind="fixed_width", files=["x"], missing_rows="full", **{"fields": FIELDS, **settings})
    reading = fixed_width.read(con, file, source, tmp_path)
    rows = con.execute(f"SELECT line, id, trim(name), exit FROM {reading.tables['*']} ORDER BY line").fetchall()
    refused = con.execute(f"SELECT line, reason, text FROM {reading.refused} ORDER BY line").fetchall()
    assert len(rows) + len(refused) == reading.rows_read
    return rows, refused


ROW = (1, "00417", "Ana", "2026-03-27")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_places_count_characters_in_every_encoding(tmp_path: Path, encoding: str, end: str) -> None:
    content = FULL.replace("Ana ", "Jos\u00e9").replace("\n", end)
    assert read(tmp_path, content.encode(encoding)) == ([(1, "00417", "Jos\u00e9", "2026-03-27")], [])


def test_a_trimmed_line_is_blank_where_it_does_not_reach(tmp_path: Path) -> None:
    rows, refused = read(tmp_path, FULL + "00418\n00419Bo\n" + FULL)
    assert rows == [ROW, (2, "00418", "", ""), (3, "00419", "Bo", ""), (4, *ROW[1:])]
    assert refused == []


def test_a_last_line_that_may_have_been_cut_is_refused(tmp_path: Path) -> None:
    assert read(tmp_path, FULL + "00418Bo") == ([ROW], [(2, "line_too_short", "00418Bo")])
    assert read(tmp_path, FULL + FULL.strip()) == ([ROW, (2, *ROW[1:])], [])


def test_blank_lines_are_no_records_and_longer_lines_are_fine(tmp_path: Path) -> None:
    rows, refused = read(tmp_path, "\n   \n" + FULL.replace("\n", " and more\n"))
    assert (rows, refused) == ([(3, *ROW[1:])], [])


def test_a_tab_moves_what_stands_behind_it(tmp_path: Path) -> None:
    row = FULL.replace("    ", "\t")
    assert read(tmp_path, FULL + row) == ([ROW], [(2, "tab_in_line", row.strip())])


def test_footer_and_trailer_are_no_records(tmp_path: Path) -> None:
    assert read(tmp_path, FULL + "END\n", footer_lines=1)[0] == [ROW]
    trailer = {"trailer": "T(?P<rows>[0-9]+)"}
    assert read(tmp_path, FULL + "T000001\n", whole=trailer)[0] == [ROW]
    with pytest.raises(Unreadable) as raised:
        read(tmp_path, FULL + "T000002\n", whole=trailer)
    assert raised.value.reason == "trailer_differs"


@pytest.mark.parametrize(
    ("content", "reason", "line"),
    [
        (b"", "empty_file", 1),
        (b" \n\n", "empty_file", 1),
        (b"a\0b\n", "nul_byte", 1),
        (b"00417Jos\xc3\xa9\n00418\xff\n", "wrong_encoding", 2),
        (b"9" * 600_000, "line_too_long", 1),
    ],
)
def test_what_makes_a_whole_file_unreadable(tmp_path: Path, content: bytes, reason: str, line: int) -> None:
    with pytest.raises(Unreadable) as raised:
        read(tmp_path, content)
    assert (raised.value.reason, raised.value.line) == (reason, line)
    assert raised.value.remedy
