"""Delimited text: what one program writes, the reader gives back, and no bytes make it lose or invent a row."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.config import Source
from pipelines.sources import Unreadable, delimited

SOURCE = Source(kind="delimited", files=["export.csv"], missing_rows="full")
#: cp1252 characters that a text file can hold, with the ones that matter to a delimited one more often.
VALUES = st.text(
    st.one_of(st.sampled_from('",;|\t \n'), st.characters(codec="cp1252", exclude_categories=["Cc"])), max_size=8
)


def read(content: bytes, **settings: Any) -> tuple[list[Any], list[Any], int]:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        file = Path(folder) / "export.csv"
        file.write_bytes(content)
        reading = delimited.read(con, file, SOURCE.model_copy(update=settings), Path(folder))
        table = reading.tables["*"]
        names = [row[0] for row in con.execute(f"DESCRIBE {table}").fetchall() if row[0] != reading.line_column]
        listed = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
        landed = con.execute(f"SELECT {reading.line_column}, {listed} FROM {table} ORDER BY 1").fetchall()
        refused = con.execute(f"SELECT line, text FROM {reading.refused} ORDER BY 1").fetchall()
        return landed, refused, reading.rows_read


@settings(deadline=None, max_examples=150)
@given(
    rows=st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=6),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_is_written_is_read_with_its_line(
    rows: list[tuple[str, str, str]], quoting: Any, end: str, encoding: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=quoting, lineterminator="\n")
    writer.writerow(["c1", "c2", "c3"])
    expected, line = [], 2
    for row in rows:
        # A space before a quoted value is not written by csv; a bare value that only seems quoted would be another.
        expected.append((line, *(value or None for value in row)))
        writer.writerow(row)
        line += 1 + sum(value.count("\n") for value in row)
    landed, refused, count = read(text.getvalue().replace("\n", end).encode(encoding))
    assert refused == []
    assert count == len(rows)
    assert landed == expected


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.sampled_from([b"a", b"b", b",", b"\n", b"\r", b'"', b'""', b" ", b"\xc3\xa9", b"\xe9", b"1,2\n", b'"x"']),
        max_size=40,
    )
)
def test_no_bytes_lose_a_row_or_break_the_reader(pieces: list[bytes]) -> None:
    content = b"p,q\n" + b"".join(pieces)
    try:
        landed, refused, count = read(content)
    except Unreadable:
        return
    assert len(landed) + len(refused) == count
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    starts = [row[0] for row in (*landed, *refused)]
    assert len(set(starts)) == len(starts)
    assert all(2 <= start <= len(lines) and lines[start - 1] for start in starts)
    # A line without quotes, outside any quoted value, is a record of its own: never swallowed.
    if b'"' not in content:
        assert sorted(starts) == [n for n, one in enumerate(lines, start=1) if one and n > 1]


LINES = st.lists(st.sampled_from(['"', "a,b", "p;x;r", "", "1,2,3,4", '"x"', "Total,9,"]), max_size=4)


@settings(deadline=None, max_examples=100)
@given(banner=LINES, footer=LINES, rows=st.lists(st.sampled_from(["1,a", '2,"b, c"', '="003",d', "4"]), max_size=5))
def test_what_stands_around_the_table_changes_no_row(banner: list[str], footer: list[str], rows: list[str]) -> None:
    table = ["p,q", *rows]
    landed, refused, count = read("\n".join([*table, ""]).encode())
    content = "\n".join([*banner, *table, *footer, ""]).encode()
    below = len([line for line in footer if line])
    for header in (len(banner) + 1, "Q"):
        found = read(content, header=header, footer_lines=below)
        assert found[2] == count
        for mine, theirs in ((found[0], landed), (found[1], refused)):
            assert mine == [(line + len(banner), *cells) for line, *cells in theirs]
