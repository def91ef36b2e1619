"""Delimited text: encodings, line ends, quotes, and exact lines whatever is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.config import Source
from pipelines.sources import NOT_WHOLE, Unreadable, delimited, text

PLAIN = "id,name,note\n1,Ana,x\n2,Jos\u00e9,y\n"
#: What PLAIN must give: (line, id, name).
EXPECTED = [(2, "1", "Ana"), (3, "2", "Jos\u00e9")]


def read(tmp_path: Path, content: bytes, **settings: Any) -> tuple[list[Any], list[Any], int]:
    """Landed rows (line, id, name), refused rows (line, reason, text), rows read; scratch must be left empty."""
    file, scratch = tmp_path / "export.csv", tmp_path / "scratch"
    file.write_bytes(content)
    scratch.mkdir(exist_ok=True)
    con = duckdb.connect()
    source = Source(kind="delimited", files=["export.csv"], missing_rows="full", **settings)
    reading = delimited.read(con, file, source, scratch)
    landed = con.execute(f"SELECT {reading.line_column}, id, name FROM {reading.tables['*']} ORDER BY 1").fetchall()
    refused = con.execute(f"SELECT line, reason, text FROM {reading.refused} ORDER BY 1").fetchall()
    assert len(landed) + len(refused) == reading.rows_read
    assert not [left for left in scratch.iterdir() if left.suffix != ".parquet"]  # where a table lies, while it is used
    return landed, refused, reading.rows_read


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_encoding_and_line_end_gives_the_same_rows(tmp_path: Path, encoding: str, end: str) -> None:
    assert read(tmp_path, PLAIN.replace("\n", end).encode(encoding)) == (EXPECTED, [], 2)


def test_mixed_line_ends_and_a_last_line_without_one(tmp_path: Path) -> None:
    content = "id,name,note\r\n1,Ana,x\r2,Jos\u00e9,y".encode()
    assert read(tmp_path, content) == (EXPECTED, [], 2)


@pytest.mark.parametrize("mark", ["\t", ";", "|"])
def test_the_delimiter_is_found_in_the_header_outside_quotes(tmp_path: Path, mark: str) -> None:
    content = PLAIN.replace(",", mark).replace("note", '"a,b,c,d,e"').encode()
    assert read(tmp_path, content) == (EXPECTED, [], 2)
    assert read(tmp_path, content, delimiter=mark) == (EXPECTED, [], 2)


def test_lines_are_physical_after_line_breaks_in_quotes_blank_lines_and_refused_rows(tmp_path: Path) -> None:
    content = b'id,name,note\n1,"a\n\nb",x\n\n2,c\n3,d,x\n4,e,x,y\n5,"f\r\ng",x\n6,h,x\n'
    landed, refused, rows = read(tmp_path, content)
    assert landed == [(2, "1", "a\n\nb"), (7, "3", "d"), (9, "5", "f\ng"), (11, "6", "h")]
    assert refused == [(6, "too_few_fields", "2,c"), (8, "too_many_fields", "4,e,x,y")]
    assert rows == 6


def test_one_refused_row_in_an_otherwise_plain_file(tmp_path: Path) -> None:
    content = PLAIN.encode() + b"3\n4,Bo,z\n"
    landed, refused, _ = read(tmp_path, content)
    assert landed == [*EXPECTED, (5, "4", "Bo")]
    assert refused == [(4, "too_few_fields", "3")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b'1,"Ana,x', "unterminated_quote"),
        (b'1,5" pipe,"open', "unterminated_quote"),
        (b'1,"5" pipe,x', "broken_quotes"),
        (b'1,"a"b,"c"d', "broken_quotes"),
    ],
)
def test_a_lost_quote_costs_its_own_line_only(tmp_path: Path, row: bytes, reason: str) -> None:
    content = b"id,name,note\n0,first,x\n" + row + b'\n2,"Bo",y\n3,Cy,z\n'
    landed, refused, _ = read(tmp_path, content)
    assert landed == [(2, "0", "first"), (4, "2", "Bo"), (5, "3", "Cy")]
    assert refused == [(3, reason, row.decode())]


def test_a_quote_that_never_closes_is_found_within_a_bounded_look_ahead(tmp_path: Path) -> None:
    rows = b"".join(b"%d,n,x\n" % i for i in range(3000))
    landed, refused, count = read(tmp_path, b'id,name,note\n9,"lost,x\n' + rows)
    assert refused == [(2, "unterminated_quote", '9,"lost,x')]
    assert (len(landed), count, landed[0], landed[-1]) == (3000, 3001, (3, "0", "n"), (3002, "2999", "n"))


def test_quotes_doubled_or_bare_are_values(tmp_path: Path) -> None:
    landed, refused, _ = read(tmp_path, b'id,name,note\n1,"he said ""no""",x\n2,5" pipe,y\n')
    assert landed == [(2, "1", 'he said "no"'), (3, "2", '5" pipe')]
    assert refused == []


def test_a_header_alone_is_a_file_of_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path, b"id,name,note") == ([], [], 0)
    assert read(tmp_path, b"\n\nid,name\n\n") == ([], [], 0)


def test_a_file_may_have_a_column_called_line(tmp_path: Path) -> None:
    assert read(tmp_path, b"id,name,Line\n1,Ana,77\n")[0] == [(2, "1", "Ana")]
    assert read(tmp_path, b"id,name,Line\n\n1,Ana,77\n")[0] == [(3, "1", "Ana")]


@pytest.mark.parametrize(
    ("content", "settings", "reason", "line"),
    [
        (b"", {}, "empty_file", 1),
        (b"\xef\xbb\xbf", {}, "empty_file", 1),
        (b"\n\r\n\n", {}, "empty_file", 1),
        (b"id,name,ID\n", {}, "duplicate_column_name", 1),
        (b"\nid,name,\n1,2,\n", {}, "empty_column_name", 2),
        (b'id,"name\n1,2\n', {}, "unterminated_quote", 1),
        (b"id,name\n1,a\n2,\0\n", {}, "nul_byte", 3),
        (b"id,name\r1,a\r2,\0\r", {}, "nul_byte", 3),
        (b"id,name\n1,\xe9\n2,\x81\n", {}, "wrong_encoding", 3),
        (b"id,name\r1,\xe9\r2,\x81\r", {}, "wrong_encoding", 3),
        (b"id,name\n1,\xe9\n", {"encoding": "utf-8"}, "wrong_encoding", 2),
        (b"\xef\xbb\xbfid,name\n1,\xe9\n", {}, "wrong_encoding", 2),
        (b"id,name\n1,a\n", {"encoding": "no-such"}, "unknown_encoding", None),
        (b"id,name\n1," + b"x" * 600_000 + b"\n\n", {}, "line_too_long", 2),
    ],
)
def test_what_makes_a_whole_file_unreadable(
    tmp_path: Path, content: bytes, settings: dict[str, str], reason: str, line: int | None
) -> None:
    with pytest.raises(Unreadable) as raised:
        read(tmp_path, content, **settings)
    assert (raised.value.reason, raised.value.line) == (reason, line)
    assert raised.value.remedy


def test_an_absent_file_and_a_directory_are_unreadable(tmp_path: Path) -> None:
    source = Source(kind="delimited", files=["x"], missing_rows="full")
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(Unreadable, match="cannot be opened"):
            delimited.read(duckdb.connect(), path, source, tmp_path)


def test_pieces_of_a_file_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = '\ufeffid,name,note\r\n1,"\u00e9a ""q""",x\r\n2,"b",y\r\n3,"c\r\nd",z\r\n4,e,w\r\n'.encode()
    plain = content.replace(b"c\r\nd", b"c")
    expected, expected_plain = read(tmp_path, content), read(tmp_path, plain)
    assert [row[0] for row in expected[0]] == [2, 3, 4, 6]
    for size in range(1, len(content)):
        monkeypatch.setattr(text, "CHUNK", size)
        assert (read(tmp_path, content), read(tmp_path, plain)) == (expected, expected_plain)


# --- where the columns stand -------------------------------------------------------------------------------------

BANNER = "Absences\nPrinted 11/25\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("header", [3, "NAME", " name "])
def test_a_banner_above_the_header_counts_as_nothing(tmp_path: Path, header: int | str, end: str) -> None:
    landed, refused, rows = read(tmp_path, (BANNER + PLAIN).replace("\n", end).encode(), header=header)
    assert (landed, refused, rows) == ([(line + 2, one, name) for line, one, name in EXPECTED], [], 2)


@pytest.mark.parametrize("banner", ['"Absences, all\n\n', 'a "b,c\n"\n', "\n\n"])
def test_a_banner_may_hold_blank_lines_and_lost_quotes(tmp_path: Path, banner: str) -> None:
    landed, _, rows = read(tmp_path, (banner + PLAIN).encode(), header="id")
    assert (landed[0][0], rows) == (banner.count("\n") + 2, 2)


def test_the_lines_of_a_banner_do_not_decide_the_delimiter(tmp_path: Path) -> None:
    content = "a;b;c;d\n" + PLAIN
    assert read(tmp_path, content.encode(), header=2)[0] == [(3, "1", "Ana"), (4, "2", "Jos\u00e9")]


def test_columns_are_named_where_the_file_does_not(tmp_path: Path) -> None:
    named = {"header": 0, "column_names": ["id", "name", "note"]}
    assert read(tmp_path, b"1,Ana,x\n2,Bo,y\n", **named) == ([(1, "1", "Ana"), (2, "2", "Bo")], [], 2)
    assert read(tmp_path, b"\n1,Ana,x\n2,Bo\n", **named) == ([(2, "1", "Ana")], [(3, "too_few_fields", "2,Bo")], 2)


def test_given_names_replace_those_of_the_file(tmp_path: Path) -> None:
    content = b"a,a,\n1,Ana,x\n"
    assert read(tmp_path, content, column_names=["id", "name", "note"])[0] == [(2, "1", "Ana")]
    with pytest.raises(Unreadable) as raised:
        read(tmp_path, content, column_names=["id", "name"])
    assert (raised.value.reason, raised.value.line) == ("column_names_differ", 1)


def test_footer_lines_are_no_records(tmp_path: Path) -> None:
    content = PLAIN.encode() + b"Total,2,\n\nprinted today\n\n"
    landed, refused, rows = read(tmp_path, content, footer_lines=2)
    assert (landed, refused, rows) == (EXPECTED, [], 2)
    assert read(tmp_path, content, footer_lines=1)[2] == 3
    assert read(tmp_path, content, footer_lines=50) == ([], [], 0)


TRAILER = {"trailer": r"TRL[|](?P<rows>[0-9, ]+)"}


def test_a_trailer_counts_the_records(tmp_path: Path) -> None:
    whole = PLAIN.encode() + b"3,short\nTRL|3\n\n"
    landed, refused, rows = read(tmp_path, whole, whole=TRAILER)
    assert (landed, len(refused), rows) == (EXPECTED, 1, 3)
    assert read(tmp_path, b"id,name,note\nTRL|0\n", whole=TRAILER) == ([], [], 0)
    assert read(tmp_path, PLAIN.encode() + b"the end\n", whole={"trailer": "(?i)the end"})[2] == 2
    assert read(tmp_path, PLAIN.encode() + b"sum 2\nTRL|2\n", whole=TRAILER, footer_lines=2)[2] == 2


@pytest.mark.parametrize(
    ("end", "reason", "line"),
    [("TRL|3\n", "trailer_differs", 4), ("", "trailer_missing", 3), ("TRL|two\n", "trailer_missing", 4)],
)
def test_a_file_whose_trailer_does_not_fit_is_not_whole(tmp_path: Path, end: str, reason: str, line: int) -> None:
    with pytest.raises(Unreadable) as raised:
        read(tmp_path, (PLAIN + end).encode(), whole=TRAILER)
    assert (raised.value.reason, raised.value.line) == (reason, line)
    assert reason in NOT_WHOLE


@pytest.mark.parametrize("blank", ["", "\n"])
def test_the_escape_of_spreadsheets_is_taken_off(tmp_path: Path, blank: str) -> None:
    """A blank line sends the file the other way through the reader."""
    content = f'id,"=""name""",note\n="001","=""0417""",x\n{blank}"=""a""""b""",="",="z\n'
    landed, refused, _ = read(tmp_path, content.encode())
    assert refused == []
    assert landed == [(2, "001", "0417"), (3 + len(blank), '="a""b"', "")]


def test_an_escape_may_lie_across_two_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b'id,name\n="001",="0417"\n'
    for size in range(1, len(content)):
        monkeypatch.setattr(text, "CHUNK", size)
        assert read(tmp_path, content)[0] == [(2, "001", "0417")]


# --- encodings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_its_mark_is_seen(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, PLAIN.encode(encoding)) == (EXPECTED, [], 2)


def test_a_stray_byte_in_a_file_of_utf8_does_not_garble_the_rest(tmp_path: Path) -> None:
    content = "id,name,note\n1,Jos\u00e9,x\n2,Bo,y\n3,".encode() + b"\xff,z\n"
    with pytest.raises(Unreadable) as raised:
        read(tmp_path, content)
    assert (raised.value.reason, raised.value.line) == ("wrong_encoding", 4)
    assert read(tmp_path, content, encoding="cp1252")[0][0] == (2, "1", "Jos\u00c3\u00a9")


def test_capitals_before_a_typographic_mark_are_cp1252(tmp_path: Path) -> None:
    """As bytes, the E acute and the apostrophe are a letter of UTF-8, too: one that no name holds."""
    content = "id,name,note\n1,JOS\u00c9\u2019S,x\n2,P\u00e9rez,\u00f1\n".encode("cp1252")
    assert read(tmp_path, content)[0][0] == (2, "1", "JOS\u00c9\u2019S")


@pytest.mark.parametrize(
    ("content", "settings", "reason"),
    [
        (PLAIN.encode(), {"header": "Student"}, "header_not_found"),
        (PLAIN.encode(), {"header": 9}, "header_not_found"),
        (b"a" * 200_000 + b",id\n1,2\n", {}, "column_name_too_long"),
        (",".join(f"c{n}" for n in range(6000)).encode() + b"\n", {}, "too_many_columns"),
    ],
)
def test_a_header_that_is_not_where_it_should_be(
    tmp_path: Path, content: bytes, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Unreadable) as raised:
        read(tmp_path, content, **settings)
    assert raised.value.reason == reason
    assert raised.value.remedy


@pytest.mark.parametrize("blank", ["", "\n"])
def test_a_file_of_very_many_columns_is_read_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blank: str
) -> None:
    content = f'id,name,note\n1,"Ana, ""A""",x\n{blank}2,"a\nb","",\n="3", Bo,y\n4,Cy\n5,"D"d,z\n6,,\n'
    expected = read(tmp_path, content.encode())
    assert len(expected[0]) + len(expected[1]) == 6
    monkeypatch.setattr(delimited, "_WIDE", 1)
    landed, refused, rows = read(tmp_path, content.encode())
    assert (refused, rows) == (expected[1], expected[2])
    assert [(line, one, (name or "").strip()) for line, one, name in landed] == [
        (line, one, (name or "").strip()) for line, one, name in expected[0]
    ]
