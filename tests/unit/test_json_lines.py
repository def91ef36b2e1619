"""JSON: lines, arrays and objects over several lines; nothing rounded, nothing lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.config import Source
from pipelines.sources import NOT_WHOLE, Unreadable, json_lines


def read(tmp_path: Path, content: bytes | str, **settings: Any) -> tuple[list[dict[str, Any]], list[Any]]:
    """Rows as dicts without NULLs, and refused rows (line, reason)."""
    file = tmp_path / "export.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    con = duckdb.connect()
    source = Source(kind="json_lines", files=["x"], missing_rows="full", **settings)
    reading = json_lines.read(con, file, source, tmp_path)
    cursor = con.execute(f"SELECT * FROM {reading.tables['*']} ORDER BY {reading.line_column}")
    names = [one[0] for one in cursor.description or []]
    rows = [{n: v for n, v in zip(names, row, strict=True) if v is not None} for row in cursor.fetchall()]
    refused = con.execute(f"SELECT line, reason FROM {reading.refused} ORDER BY line").fetchall()
    assert len(rows) + len(refused) == reading.rows_read
    return rows, refused


ONE, TWO = '{"id": "0417", "at": {"school": 12345678901234567890}}', '{"id": "0418", "ok": true, "not": null}'
ROWS = [{"id": "0417", "at.school": "12345678901234567890"}, {"id": "0418", "ok": "true"}]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (f"{ONE}\n{TWO}\n", (1, 2)),
        (f"\ufeff{ONE}\r\n\r\n{TWO}", (1, 3)),
        (f"[{ONE},{TWO}]", (1, 1)),
        (f"\ufeff[\n{ONE},\n\n{TWO}\n]\n", (2, 4)),
        (json.dumps(json.loads(ONE), indent=1) + "\n" + json.dumps(json.loads(TWO), indent=1), (1, 7)),
    ],
)
def test_one_a_line_an_array_or_over_several_lines(tmp_path: Path, content: str, lines: tuple[int, int]) -> None:
    rows, refused = read(tmp_path, content)
    assert rows == [{**row, "line": line} for row, line in zip(ROWS, lines, strict=True)]
    assert refused == []


def test_pieces_of_an_array_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = f'[ {ONE} ,\n{TWO}, {{"id": 1.50, "a": ["x", "\u00e9"]}}, 12345 ]'
    expected = read(tmp_path, content)
    assert (len(expected[0]), expected[1]) == (3, [(2, "not_an_object")])
    for size in range(1, 40):
        monkeypatch.setattr(json_lines, "_PIECE", size)
        assert read(tmp_path, content) == expected


def test_values_keep_the_text_that_they_are_written_in(tmp_path: Path) -> None:
    values = {
        "0": ('"0417"', "0417"), "1": ("1.50", "1.50"), "2": ("1e400", "1e400"), "3": ("-0", "-0"),
        "4": ('["a", "b", true]', "a|b|true"), "5": ("[]", ""), "6": ("[null, 5]", "5"),
        "7": ('[{"a": 1.50}, "b"]', '[{"a":1.50},"b"]'), "8": ('["a|b", "c"]', '["a|b","c"]'),
        "9": ("[[1]]", "[[1]]"), "10": ('"\u00e9"', "\u00e9"),
    }  # fmt: skip
    content = "{" + ",".join(f'"v{name}": {written}' for name, (written, _) in values.items()) + "}"
    (row,), _ = read(tmp_path, content)
    assert {name: row[f"v{name}"] for name in values} == {name: text for name, (_, text) in values.items()}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"id": "1"', "not_json"),
        ("id,name", "not_json"),
        ('{"id": NaN}', "not_json"),
        ('{"id": "\\ud800"}', "not_json"),
        ("[1]", "not_an_object"),
        ("17", "not_an_object"),
        ("null", "not_an_object"),
        ('{"id": "1", "id": "2"}', "field_twice"),
        ('{"id": "1", "ID": "2"}', "field_twice"),
        ('{"a.b": "1", "a": {"b": "2"}}', "field_twice"),
        ('{" ": 1}', "field_without_name"),
        ('{"id": "\\u0000"}', "nul_character"),
        ("[" * 100_000, "nested_too_deep"),
        ('{"a":' * 30 + "1" + "}" * 30, "nested_too_deep"),
    ],
)
def test_a_line_that_is_no_record_is_refused_alone(tmp_path: Path, line: str, reason: str) -> None:
    rows, refused = read(tmp_path, f"{ONE}\n{line}\n{TWO}\n")
    assert [row["line"] for row in rows] == [1, 3]
    assert refused == [(2, reason)]


def test_columns_that_come_late_are_null_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.sources.rows._ROWS", 2)
    content = "".join(json.dumps({"id": str(n), f"c{n // 3}": "x"}) + "\n" for n in range(10))
    rows, _ = read(tmp_path, content)
    assert rows == [{"id": str(n), f"c{n // 3}": "x", "line": n + 1} for n in range(10)]


MAP = {"student_school_enrollment": {"columns": {"student_id": "id", "school_id": "at", "exit_date": "until"}}}


def test_a_field_that_no_object_has_is_null_unless_the_entity_needs_it(tmp_path: Path) -> None:
    con, source = duckdb.connect(), {"files": ["x"], "kind": "json_lines", "missing_rows": "full", "entities": MAP}
    file = tmp_path / "export.json"
    for content, columns in (
        (b'{"ID": 1}\n', ["ID", "line", "until"]),
        (b"\xef\xbb\xbf", ["at", "id", "line", "until"]),
    ):
        file.write_bytes(content)
        reading = json_lines.read(con, file, Source.model_validate(source), tmp_path)
        found = [row[0] for row in con.execute(f"DESCRIBE {reading.tables['*']}").fetchall()]
        assert sorted(found) == columns


def test_a_trailer_counts_the_lines(tmp_path: Path) -> None:
    trailer = {"trailer": '[{]"rows": (?P<rows>[0-9]+)[}]'}
    assert len(read(tmp_path, f'{ONE}\n{TWO}\n{{"rows": 2}}\n', whole=trailer)[0]) == 2
    for content in (f'{ONE}\n{{"rows": 2}}\n', f"{ONE}\n", f"[{ONE}]"):
        with pytest.raises(Unreadable) as raised:
            read(tmp_path, content, whole=trailer)
        assert raised.value.reason in NOT_WHOLE


@pytest.mark.parametrize(
    ("content", "reason", "line"),
    [
        (b"", "empty_file", 1),
        (b"[" + ONE.encode() + b",\n" + TWO.encode(), "array_not_closed", 2),
        (b"[" + ONE.encode() + b"\n" + TWO.encode() + b"]", "not_json", 2),
        (b"[" + ONE.encode() + b"]\n" + TWO.encode(), "not_json", 2),
        (b'[\n{"id": 1,}]', "not_json", 2),
        (b"{}\n\0", "nul_byte", 2),
        (b'{"id": "\xc3\xa9"}\n{"id": "\xff"}', "wrong_encoding", 2),
        (b'{"id": "' + b"x" * 600_000 + b'"}', "line_too_long", 1),
        (json.dumps({f"k{n}": n for n in range(6000)}).encode(), "too_many_columns", None),
    ],
)
def test_what_makes_a_whole_file_unreadable(tmp_path: Path, content: bytes, reason: str, line: int | None) -> None:
    with pytest.raises(Unreadable) as raised:
        read(tmp_path, content)
    assert (raised.value.reason, raised.value.line) == (reason, line)
    assert raised.value.remedy
