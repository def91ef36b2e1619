"""Maps: what is wrong with one before any data, and how rows are mapped and judged."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from pipelines import mapping
from pipelines.config import Source
from pipelines.contract import ENTITIES
from pipelines.keys import pseudonym
from pipelines.sources import Reading, Unreadable

KEY = bytes(range(32))
ATTENDANCE = {"student_id": "sid", "school_id": "sch", "date": "day", "category": "code"}


def source(entity: str, entity_map: dict[str, Any], **settings: Any) -> Source:
    return Source(kind="delimited", files=["f.csv"], missing_rows="full", entities={entity: entity_map}, **settings)


def judge(
    rows: list[dict[str, str | None]],
    entity: str,
    entity_map: dict[str, Any],
    *,
    key: str = "*",
    anonymous: tuple[str, ...] = (),
    masked: int = 0,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Each kept row: its contract values, its first problem's reason and column, and the value shown.

    The pseudonym of every id is held to be that of its value.
    """
    con = duckdb.connect()
    columns = list(rows[0])
    typed = ", ".join(f'"{name}" VARCHAR' for name in columns)
    con.execute(f"CREATE TEMP TABLE t (line BIGINT, {typed})")
    for line, row in enumerate(rows, start=2):
        con.execute(f"INSERT INTO t VALUES ({', '.join('?' * (len(columns) + 1))})", [line, *row.values()])
    judged = mapping.judge(
        con,
        Reading({key: "t"}, "none", len(rows)),
        key,
        ENTITIES[entity],
        source(entity, entity_map, **settings),
        KEY,
        anonymous_surveys=anonymous,
    )
    assert judged.rows_read == len(rows)
    answer = []
    names = [column.name for column in ENTITIES[entity].columns]
    values = ", ".join(f"value_{n}" for n in range(len(names)))
    for n, column in enumerate(ENTITIES[entity].columns):
        if column.type == "key":
            for value, hashed in con.execute(f"SELECT value_{n}, key_{n} FROM {judged.view}").fetchall():
                assert hashed == (pseudonym(KEY, column.domain or column.name, value) if value else None)
    for line, problem, shown, *cells in con.execute(
        f"SELECT line, problem, refused_value, {values} FROM {judged.view} ORDER BY line"
    ).fetchall():
        fault = judged.judgements[problem - 1] if problem else None
        answer.append(
            dict(zip(names, cells, strict=True))
            | {"line": line, "reason": fault and fault.reason, "at": fault and fault.column, "shown": shown}
        )
    assert judged.rows_filtered == len(rows) - len(answer)
    assert judged.cells_masked == masked
    return answer


def mark(**changed: str | None) -> dict[str, str | None]:
    return {"sid": "1", "sch": "10", "day": "2025-09-02", "code": "A", **changed}


def test_an_unmapped_column_is_null_and_a_blank_one_is_empty() -> None:
    columns = {"student_id": "sid", "races": "race", "sex": "sex"}
    (row,) = judge([{"sid": " 1\u00a0", "race": None, "sex": " \t"}], "student_demographic", {"columns": columns})
    assert (row["student_id"], row["races"], row["sex"], row["language"]) == ("1", "", "", None)
    assert row["reason"] is None


def test_a_table_in_contract_columns_keeps_null_apart_from_empty() -> None:
    rows = [{"student_id": "1", "sex": None, "races": " "}]
    (row,) = judge(rows, "student_demographic", {}, key="student_demographic")
    assert (row["sex"], row["races"], row["language"]) == (None, "", None)


def test_constants_where_and_empty_values() -> None:
    rows = [mark(code="A"), mark(code=" n/a "), mark(code="P", sch="20"), mark(code="P", sch=None)]
    entity_map = {
        "columns": {k: v for k, v in ATTENDANCE.items() if k != "date"},
        "constants": {"date": " 2025-09-03 "},
        "where": {"SCH": ["10", "30"]},
    }
    kept = judge(rows, "attendance_event", entity_map, empty_values=["n/a"])
    assert [(row["line"], row["date"], row["category"]) for row in kept] == [
        (2, "2025-09-03", "A"),
        (3, "2025-09-03", ""),
    ]
    assert [row["reason"] for row in kept] == [None, "required_value_missing"]


def test_several_values_in_a_cell_are_joined_by_bars() -> None:
    columns = {"student_id": "sid", "races": {"column": "race", "separator": ";"}}
    rows = [{"sid": "1", "race": " white; black ;;none;"}, {"sid": "2", "race": " ; "}, {"sid": "3", "race": None}]
    found = judge(rows, "student_demographic", {"columns": columns}, empty_values=["none"])
    assert [row["races"] for row in found] == ["white|black", "", ""]


def shape(text: str) -> str:
    """A refused cell as quarantine shows it: nothing of a misplaced name or id is left."""
    return "".join("a" if c.isalpha() else "9" if c.isdigit() else c for c in text)[:20]


@pytest.mark.parametrize(
    ("text", "formats", "iso", "reason"),
    [
        ("2025-09-02", ["%Y-%m-%d"], "2025-09-02", None),
        ("9/2/2025", ["%m/%d/%Y"], "2025-09-02", None),
        ("9/2/25", ["%m/%d/%Y", "%m/%d/%y"], "2025-09-02", None),
        ("9/2/25", ["%m/%d/%Y"], None, "date_out_of_range"),
        ("9/2/68", ["%m/%d/%y"], "2068-09-02", None),
        ("9/2/69", ["%m/%d/%y"], "1969-09-02", None),
        ("9/2/2025", ["%m/%d/%y"], None, "unreadable_date"),
        ("13/02/2025", ["%m/%d/%Y", "%d/%m/%Y"], "2025-02-13", None),
        ("05/05/2025", ["%m/%d/%Y", "%d/%m/%Y"], "2025-05-05", None),
        ("09/02/2025", ["%m/%d/%Y", "%d/%m/%Y"], None, "ambiguous_date"),
        ("2025-09-31", ["%Y-%m-%d"], None, "unreadable_date"),
        ("soon", ["%Y-%m-%d"], None, "unreadable_date"),
        ("1899-12-31", ["%Y-%m-%d"], None, "date_out_of_range"),
        ("1901-01-01", ["%Y-%m-%d"], "1901-01-01", None),
        ("1900-01-01", ["%Y-%m-%d"], None, "date_out_of_range"),
        ("epoch", ["%Y-%m-%d"], None, "date_out_of_range"),
        ("infinity", ["%b %d %Y"], None, "date_out_of_range"),
        ("2100-12-31", ["%Y-%m-%d"], "2100-12-31", None),
        ("2101-01-01", ["%Y-%m-%d"], None, "date_out_of_range"),
        ("", ["%Y-%m-%d"], None, "required_value_missing"),
    ],
)
def test_dates(text: str, formats: list[str], iso: str | None, reason: str | None) -> None:
    (row,) = judge([mark(day=text)], "attendance_event", {"columns": ATTENDANCE}, date_formats=formats)
    assert row["reason"] == reason
    if reason is None:
        assert row["date"] == iso
    else:
        assert (row["at"], row["shown"]) == ("date", shape(text))


def test_a_column_may_have_its_own_date_formats() -> None:
    columns = {**ATTENDANCE, "date": {"column": "day", "date_formats": ["%d.%m.%Y"]}}
    (row,) = judge([mark(day="02.09.2025")], "attendance_event", {"columns": columns})
    assert row["date"] == "2025-09-02"


@pytest.mark.parametrize(
    ("entity", "column", "good", "bad", "reason"),
    [
        ("attendance_event", "fraction_absent", ["0", "1", "0.5", ".5", "1.", ""], ["1.01", "-0.1"], "out_of_range"),
        ("attendance_event", "fraction_absent", [], ["half", "1,5", "nan", "1e0"], "unreadable_decimal"),
        ("discipline_action", "days_actual", ["0", "64", "2.5"], ["-1", "-.5"], "out_of_range"),
        ("calendar_date", "minutes", ["390", "390.0", "+5"], ["3.5", "many", "1e3"], "unreadable_integer"),
        ("calendar_date", "minutes", ["0", "1440"], ["-390", "1441"], "out_of_range"),
        (
            "school",
            "is_charter",
            ["Yes", "no", "Y", "n", "TRUE", "false", "1", "0", ""],
            ["2", "ja"],
            "unreadable_boolean",
        ),
    ],
)
def test_numbers_and_booleans(entity: str, column: str, good: list[str], bad: list[str], reason: str) -> None:
    required = {one.name: "2025-01-01" for one in ENTITIES[entity].columns if one.required and one.name != column}
    entity_map = {"columns": {column: "value"}, "constants": required}
    found = judge([{"value": value} for value in (*good, *bad)], entity, entity_map)
    assert [row["reason"] for row in found] == [None] * len(good) + [reason] * len(bad)
    assert [row["shown"] for row in found] == [None] * len(good) + [shape(value) for value in bad]


def test_booleans_and_whole_numbers_are_written_one_way() -> None:
    columns = {"school_id": "s", "school_name": "s", "is_charter": "b"}
    found = judge([{"s": "1", "b": b} for b in ("YES", "0", "")], "school", {"columns": columns})
    assert [row["is_charter"] for row in found] == ["true", "false", ""]
    calendar = {
        "columns": {"minutes": "m"},
        "constants": {"school_id": "1", "date": "2025-01-01", "calendar_event": "x"},
    }
    assert judge([{"m": "390.0"}], "calendar_date", calendar)[0]["minutes"] == "390"


@pytest.mark.parametrize(("last", "reason"), [("2025-09-01", "end_before_start"), ("2025-09-02", None), ("", None)])
def test_a_span_does_not_end_before_it_starts(last: str, reason: str | None) -> None:
    columns = {"student_id": "sid", "school_id": "sch", "entry_date": "day", "exit_date": "last"}
    (row,) = judge([mark(last=last)], "student_school_enrollment", {"columns": columns})
    assert (row["reason"], row["exit_date"]) == (reason, last)


def test_a_row_is_refused_for_its_first_problem_and_an_identifying_value_is_not_shown() -> None:
    rows = [mark(sid="", day="never"), mark(day="never", code="")]
    first, second = judge(rows, "attendance_event", {"columns": ATTENDANCE})
    assert (first["reason"], first["at"], first["shown"]) == ("required_value_missing", "student_id", None)
    assert (second["reason"], second["at"], second["shown"]) == ("unreadable_date", "date", "aaaaa")


def test_an_answer_to_an_anonymous_survey_may_carry_no_student() -> None:
    columns = {"survey_id": "s", "response_id": "r", "student_id": "p", "item_id": "i", "construct": "i", "answer": "a"}
    rows = [{"s": s, "r": "1", "p": p, "i": "q", "a": "4"} for s, p in (("w1", "S9"), ("w1", ""), ("w2", "S9"))]
    found = judge(rows, "survey_response", {"columns": columns}, anonymous=("w1", "it's"))
    assert [row["reason"] for row in found] == ["anonymous_survey_with_key", None, None]
    assert found[0]["shown"] is None


# --- combined columns, flags, patterns ----------------------------------------------------------------------


def demographic(races: Any, rows: list[dict[str, str | None]], **settings: Any) -> list[dict[str, Any]]:
    columns = {"student_id": "sid", "races": races}
    numbered: list[dict[str, str | None]] = [{"sid": "1", **row} for row in rows]
    return judge(numbered, "student_demographic", {"columns": columns}, **settings)


def test_combined_columns_leave_out_empty_ones() -> None:
    columns = {**ATTENDANCE, "period": {"columns": ["block", "PART"], "join": "-"}}
    rows = [
        mark(block=" 1 ", part="a"),
        mark(block="", part="a"),
        mark(block="1", part=None),
        mark(block=None, part="n/a"),
    ]
    found = judge(rows, "attendance_event", {"columns": columns}, empty_values=["n/a"])
    assert [row["period"] for row in found] == ["1-a", "a", "1", ""]


def test_a_date_may_lie_in_three_columns() -> None:
    target = {"columns": ["m", "d", "y"], "join": "/", "date_formats": ["%m/%d/%Y"]}
    rows = [{"sid": "1", "sch": "10", "code": "A", "m": "9", "d": "2", "y": y} for y in ("2025", "")]
    found = judge(rows, "attendance_event", {"columns": {**ATTENDANCE, "date": target}})
    assert [(row["date"], row["reason"]) for row in found] == [("2025-09-02", None), (None, "unreadable_date")]


def test_combined_columns_of_many_values_are_joined_by_bars() -> None:
    rows: list[dict[str, str | None]] = [{"r1": "W", "r2": "", "r3": "B"}, {"r1": "W;A", "r2": ";", "r3": None}]
    assert [row["races"] for row in demographic({"columns": ["r1", "r2", "r3"]}, rows[:1])] == ["W|B"]
    found = demographic({"columns": ["r1", "r2", "r3"], "separator": ";"}, rows)
    assert [row["races"] for row in found] == ["W|B", "W|A"]


def test_every_flag_that_is_set_is_a_value() -> None:
    flags = {"white": "W", "black": "B", "other1": "O", "other2": "O"}
    rows: list[dict[str, str | None]] = [
        {"white": " y ", "black": "Yes", "other1": "N", "other2": None},
        {"white": "", "black": "x", "other1": "1", "other2": "TRUE"},
        {"white": "N", "black": "0", "other1": "", "other2": "no"},
    ]
    assert [row["races"] for row in demographic({"flags": flags}, rows)] == ["W|B", "B|O", ""]
    only_x = {"flags": flags, "flag_values": ["x"]}
    assert [row["races"] for row in demographic(only_x, rows)] == ["", "B", ""]


def test_of_flags_for_a_single_value_only_one_may_be_set() -> None:
    columns = {"student_id": "sid", "language": {"flags": {"el": "EL", "lep": "EL", "monitored": "M"}}}
    rows: list[dict[str, str | None]] = [
        {"sid": "1", "el": el, "lep": lep, "monitored": monitored}
        for el, lep, monitored in [("Y", "", ""), ("Y", "Y", "N"), ("", "", "y"), ("", "N", None), ("", "Y", "Y")]
    ]
    found = judge(rows, "student_demographic", {"columns": columns})
    assert [row["language"] for row in found][:4] == ["EL", "EL", "M", ""]
    assert [row["reason"] for row in found] == [None] * 4 + ["several_flags_set"]
    assert (found[4]["at"], found[4]["shown"]) == ("language", "aa|a")


def test_a_pattern_takes_its_group_out_of_the_whole_cell() -> None:
    columns = {**ATTENDANCE, "category": {"column": "code", "pattern": "([A-Z]+) +- .*"}}
    texts = [" UNX  - Unexcused, by phone ", "X A - b", "A - ", "unx - lower", "", "A-b"]
    found = judge([mark(code=text) for text in texts], "attendance_event", {"columns": columns})
    wrong = "pattern_does_not_fit"
    assert [row["reason"] for row in found] == [None, wrong, wrong, wrong, "required_value_missing", wrong]
    assert found[0]["category"] == "UNX"
    assert (found[3]["at"], found[3]["shown"]) == ("category", "aaa - aaaaa")


def test_a_pattern_comes_before_the_separator_and_its_group_is_trimmed() -> None:
    rows: list[dict[str, str | None]] = [{"race": "codes: W; B "}, {"race": ""}]
    found = demographic({"column": "race", "pattern": "codes:(.*)", "separator": ";"}, rows)
    assert [row["races"] for row in found] == ["W|B", ""]


# --- rows left out, masks, ids --------------------------------------------------------------------------------


def test_total_rows_are_left_out_and_counted() -> None:
    rows = [mark(sch="10"), mark(sch=" Total "), mark(sch="total"), mark(sch=None)]
    entity_map = {"columns": ATTENDANCE, "where_not": {"SCH": ["Total", ""]}, "where": {"code": ["A"]}}
    assert [row["school_id"] for row in judge(rows, "attendance_event", entity_map)] == ["10", "total"]


def test_a_mask_is_unknown_counted_and_never_a_number() -> None:
    columns = {"action_id": "a", "student_id": "sid", "school_id": "sch", "date": "day", "action": "x"}
    days = {"days_actual": "n", "days_planned": "n"}
    rows: list[dict[str, str | None]] = [
        {"a": "1", "sid": "1", "sch": "10", "day": "2025-09-02", "x": "S", "n": n, "unmapped": "*"}
        for n in ("-1", " * ", "<10", "3", "n/a", "-10")
    ]
    settings = {"masks": ["*", "-1", "<10"], "empty_values": ["n/a"]}
    found = judge(rows, "discipline_action", {"columns": {**columns, **days}}, masked=3, **settings)
    assert [row["days_actual"] for row in found] == ["", "", "", "3", "", "-10"]
    assert [row["reason"] for row in found] == [None] * 5 + ["out_of_range"]
    kept = {"columns": {**columns, **days}, "where": {"n": ["*", "3"]}}
    assert len(judge(rows, "discipline_action", kept, masked=1, **settings)) == 2


def test_a_masked_id_or_code_is_missing_not_a_value() -> None:
    found = judge(
        [mark(sid="*"), mark(code=".")], "attendance_event", {"columns": ATTENDANCE}, masks=["*", "."], masked=2
    )
    assert [(row["reason"], row["at"]) for row in found] == [
        ("required_value_missing", "student_id"),
        ("required_value_missing", "category"),
    ]


@pytest.mark.parametrize(
    ("rules", "ids"),
    [
        ({}, ["00417", "a0b", "", "0", "all", "123456789"]),
        ({"leading_zeros": "strip"}, ["417", "a0b", "", "0", "all", "123456789"]),
        ({"case": "upper"}, ["00417", "A0B", "", "0", "all", "123456789"]),
        ({"pad_to": 6}, ["000417", "a0b", "", "000000", "all", "123456789"]),
        ({"pad_to": 4, "leading_zeros": "strip", "case": "lower"}, ["0417", "a0b", "", "0000", "all", "123456789"]),
    ],
)
def test_ids_are_written_alike(rules: dict[str, Any], ids: list[str]) -> None:
    written = [" 00417 ", "a0b", "", "0", "all", "123456789"]
    columns = {"student_id": "sid", "school_id": "sch", "entry_date": "day", "responsible_school_id": "sch"}
    rows = [mark(sid=text, sch=text) for text in written]
    found = judge(rows, "student_school_enrollment", {"columns": columns}, student_ids=rules, school_ids=rules)
    for column in ("student_id", "school_id", "responsible_school_id"):
        assert [row[column] for row in found] == ids
    assert [row["reason"] for row in found] == [None, None, "required_value_missing", None, None, None]


def test_the_rules_of_students_are_not_those_of_schools_and_incidents() -> None:
    columns = {"student_id": "sid", "incident_id": "sid", "school_id": "sch"}
    rows = [mark(sid=" 007", sch="010")]
    (row,) = judge(rows, "discipline_incident_student", {"columns": columns}, student_ids={"leading_zeros": "strip"})
    assert (row["student_id"], row["incident_id"], row["school_id"]) == ("7", "007", "010")


def test_the_id_of_another_system_and_a_constant_follow_the_rules_too() -> None:
    entity_map = {"columns": {"student_id": "sid", "id": "other"}, "constants": {"system": "007"}}
    rules = {"leading_zeros": "strip", "case": "upper"}
    (row,) = judge([{"sid": "01", "other": "b1"}], "student_identifier", entity_map, student_ids=rules)
    assert (row["student_id"], row["id"], row["system"]) == ("1", "B1", "007")
    attendance = {
        "columns": {k: v for k, v in ATTENDANCE.items() if k != "school_id"},
        "constants": {"school_id": "010"},
    }
    (row,) = judge([mark()], "attendance_event", attendance, school_ids={"pad_to": 5})
    assert row["school_id"] == "00010"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("08:05", "08:05"),
        ("23:59:59", "23:59"),
        ("08:02:44.000", "08:02"),
        ("8:05 AM", "08:05"),
        ("12:00 am", "00:00"),
        ("12:30 PM", "12:30"),
        ("1:30:15 p.m.", "13:30"),
        ("01:30pm", "13:30"),
        ("", ""),
        ("8:05", None),
        ("24:00", None),
        ("13:00 PM", None),
        ("8.05", None),
        ("0:30 AM", None),
        ("noon", None),
    ],
)
def test_times_of_day(text: str, time: str | None) -> None:
    columns = {"incident_id": "sid", "school_id": "sch", "date": "day", "time": "at"}
    (row,) = judge([mark(at=text)], "discipline_incident", {"columns": columns})
    if time is None:
        assert (row["reason"], row["at"], row["shown"]) == ("unreadable_time", "time", shape(text))
    else:
        assert (row["reason"], row["time"]) == (None, time)


def test_a_file_without_a_mapped_column_names_the_closest_ones() -> None:
    with pytest.raises(Unreadable) as raised:
        judge([{"student_number": "1", "code": "A"}], "attendance_event", {"columns": {"student_id": "studentnumber"}})
    assert raised.value.reason == "missing_column"
    assert "studentnumber (closest in the file: student_number)" in raised.value.message
