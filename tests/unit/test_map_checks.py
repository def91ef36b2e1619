"""What is wrong with a map, before any file is read: every misuse by line, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.config import IdRules, Source
from pipelines.district_file import ConfigurationProblems, load

HEAD = """\
district: {id: "4850", name: Example Unified, contact: data@example.org, time_zone: America/Chicago}
calendar:
  - {school_year: 2026, first_day: 2025-08-12, last_day: 2026-05-28}
sources:
  students:
    kind: delimited
    files: students.csv
    missing_rows: full
"""
ENTITY = """\
    entities:
      student_demographic:
        columns:
          student_id: sid
"""
WHERE = "sources.students.entities.student_demographic"


def loaded(folder: Path, text: str) -> Source:
    path = folder / "district.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path).settings.sources["students"]


def problems(folder: Path, text: str) -> dict[str, tuple[int, str]]:
    """Place of each problem below the source's map: its line and its sentence with the remedy."""
    with pytest.raises(ConfigurationProblems) as caught:
        loaded(folder, text)
    assert all(problem.remedy for problem in caught.value.problems)
    return {
        p.where.removeprefix(f"{WHERE}.").removeprefix("sources.students."): (p.line, f"{p.message} - {p.remedy}")
        for p in caught.value.problems
    }


def test_every_way_to_map_loads(tmp_path: Path) -> None:
    source = loaded(
        tmp_path,
        HEAD
        + '    masks: ["*", "<10"]\n    student_ids: {case: upper, leading_zeros: strip, pad_to: 6}\n'
        + ENTITY
        + """\
          races: {flags: {white: W, black: B}, flag_values: [x]}
          sex: {flags: {is_f: F, is_m: M}}
          disability: {columns: [sped, plan], join: "-", pattern: "([A-Z]+)[0-9]*"}
          economic: {column: lunch, pattern: '(?:code )?([A-Z]).*'}
        where: {status: [active, ""]}
        where_not: {name: [Total]}
        unpivot: {repeat: [{lunch: lunch1}, {lunch: lunch2}]}
""",
    )
    assert source.entities["student_demographic"].where_not == {"name": ["Total"]}


@pytest.mark.parametrize(
    ("column", "place", "said"),
    [
        ("sex: {}", "columns.sex", "no column of the file is named"),
        ("sex: {column: a, flags: {b: F}}", "columns.sex", "column and flags are given"),
        ("sex: {column: a, columns: [b, c], join: x}", "columns.sex", "column and columns are given"),
        ("sex: {columns: [a, b]}", "columns.sex.join", "holds one value, combined from several columns"),
        ("sex: {columns: [a, A], join: ''}", "columns.sex.columns[1]", "'A' is named twice"),
        ("sex: {columns: [a, ' '], join: ''}", "columns.sex.columns[1]", "is empty - name the file's column"),
        ("sex: {column: a, join: x}", "columns.sex.join", "there is one column only"),
        ("races: {columns: [a, b], join: x}", "columns.races.join", "many values, which | joins"),
        ("sex: {column: a, pattern: '[A-Z]'}", "columns.sex.pattern", "not a regular expression with one group"),
        ("sex: {column: a, pattern: '(a)(b)'}", "columns.sex.pattern", "put brackets around the one part"),
        ("sex: {column: a, pattern: '(a'}", "columns.sex.pattern", "not a regular expression with one group"),
        ("sex: {column: a, pattern: '(?=a)(a)'}", "columns.sex.pattern", "not a regular expression with one group"),
        ("sex: {column: a, pattern: '(a)\\1'}", "columns.sex.pattern", "not a regular expression with one group"),
        ("sex: {column: a, flag_values: [x]}", "columns.sex.flag_values", "there are no flags"),
        ("sex: {flags: {a: F}, pattern: '(.)'}", "columns.sex.pattern", "says nothing about flags"),
        ("races: {flags: {a: W}, separator: ';'}", "columns.races.separator", "says nothing about flags"),
        ("sex: {flags: {a: ' '}}", "columns.sex.flags.a", "stands for no code"),
        ("races: {flags: {a: 'W|B'}}", "columns.races.flags.a", "stands for no code"),
        ("sex: {column: a, separator: ';'}", "columns.sex.separator", "sex holds one value"),
        ("sex: {columns: [a, b], join: '', date_formats: ['%Y-%m-%d']}", "columns.sex.date_formats", "not a date"),
    ],
)
def test_a_column_that_is_mapped_wrongly(column: str, place: str, said: str, tmp_path: Path) -> None:
    found = problems(tmp_path, HEAD + ENTITY + f"          {column}\n")
    assert [*found] == [place]
    line, sentence = found[place]
    assert (line, said in sentence) == (13, True), sentence


@pytest.mark.parametrize(
    ("part", "place", "said"),
    [
        ("where: {status: []}", "where.status", "names no value"),
        ("where_not: {status: []}", "where_not.status", "names no value"),
        ("where_not: {' ': [x]}", "where_not", "is empty"),
        ("unpivot: {}", "unpivot", "does not say which columns become rows"),
        ("unpivot: {columns: [a], repeat: [{b: c}]}", "unpivot", "columns and repeat are both given"),
        ("unpivot: {columns: []}", "unpivot.columns", "names no column"),
        ("unpivot: {columns: '(a'}", "unpivot.columns", "is not a regular expression"),
        ("unpivot: {columns: '(?P<a>.)(?=b)'}", "unpivot.columns", "is not a regular expression"),
        ("unpivot: {columns: '(?P<value>.)'}", "unpivot", "several columns that are called 'value'"),
        ("unpivot: {columns: [a], name: X, value: x}", "unpivot", "several columns that are called 'X', 'x'"),
        ("unpivot: {columns: [a], name: ' '}", "unpivot.name", "is empty"),
        ("unpivot: {repeat: [{a: b}], value: x}", "unpivot.value", "says nothing beside repeat"),
        ("unpivot: {repeat: [{a: b}, {c: d}]}", "unpivot.repeat[1]", "does not name the same columns as the first"),
        ("unpivot: {repeat: [{}]}", "unpivot.repeat[0]", "does not name the same columns"),
        ("unpivot: {repeat: [{column_name: b}]}", "unpivot", "several columns that are called 'column_name'"),
    ],
)
def test_rows_and_columns_that_are_named_wrongly(part: str, place: str, said: str, tmp_path: Path) -> None:
    found = problems(tmp_path, HEAD + ENTITY + f"        {part}\n")
    assert len(found) == 1
    ((at, (line, sentence)),) = found.items()
    assert at.startswith(place)
    assert (line, said in sentence) == (13, True), sentence


@pytest.mark.parametrize(
    ("settings", "place", "said"),
    [
        ('masks: [""]', "masks[0]", "an empty cell hides nothing"),
        ('masks: ["N/A"]\n    empty_values: [" N/A "]', "masks[0]", "is an empty value too"),
        ("student_ids: {case: title}", "student_ids.case", ""),
        ("school_ids: {pad_to: 0}", "school_ids.pad_to", ""),
    ],
)
def test_settings_of_cells_and_ids(settings: str, place: str, said: str, tmp_path: Path) -> None:
    found = problems(tmp_path, HEAD + f"    {settings}\n" + ENTITY)
    assert [*found] == [place]
    assert (found[place][0], said in found[place][1]) == (9, True)


@pytest.mark.parametrize(
    "part",
    [
        "columns: {student_id: StudentSSN}",
        "columns: {student_id: {column: StudentSSN}}",
        "columns: {student_id: {columns: [a, StudentSSN], join: ''}}",
        "columns: {student_id: a, sex: {flags: {StudentSSN: F}}}",
        "columns: {student_id: a}\n        where: {StudentSSN: [x]}",
        "columns: {student_id: a}\n        where_not: {StudentSSN: [x]}",
        "columns: {student_id: a}\n        unpivot: {columns: [b, StudentSSN]}",
        "columns: {student_id: a}\n        unpivot: {columns: [b], name: StudentSSN}",
        "columns: {student_id: a}\n        unpivot: {columns: '(?P<StudentSSN>.).*'}",
        "columns: {student_id: a}\n        unpivot: {repeat: [{b: c}, {b: StudentSSN}]}",
    ],
)
def test_a_column_that_is_never_carried_is_refused_wherever_it_is_named(part: str, tmp_path: Path) -> None:
    found = problems(tmp_path, HEAD + f"    entities:\n      student_demographic:\n        {part}\n")
    assert len(found) == 1
    ((_, (line, sentence)),) = found.items()
    assert line in (11, 12)
    assert "'StudentSSN' is refused: the warehouse never carries ssn" in sentence


def test_the_mark_of_a_query_cannot_be_such_a_column(tmp_path: Path) -> None:
    text = HEAD.replace("delimited", "database").replace("    files: students.csv\n", "")
    text += "    connection: SIS_URL\n    query: SELECT a FROM b\n    high_water_mark: {column: ssn, start: '0'}\n"
    found = problems(tmp_path, text + ENTITY)
    assert any("never carries ssn" in sentence for _, sentence in found.values())


def test_every_source_carries_the_rules_of_its_ids_and_calendars_are_written_by_them(tmp_path: Path) -> None:
    text = (HEAD + ENTITY).replace("Chicago}", "Chicago, student_ids: {case: upper}, school_ids: {pad_to: 4}}")
    text = text.replace("school_year: 2026,", "school_year: 2026, schools: [all, ' 7', A7, '00012'],")
    assert loaded(tmp_path, text).student_ids == IdRules(case="upper")
    assert load(tmp_path / "district.yaml").settings.calendar[0].schools == ["all", "0007", "A7", "00012"]
    # The source's own rules replace the district's as a whole.
    own = loaded(tmp_path, text + "    school_ids: {leading_zeros: strip}\n")
    assert own.school_ids == IdRules(leading_zeros="strip")


# --- SQL -------------------------------------------------------------------------------------------------------

BY_SQL = HEAD + "    entities:\n      student_demographic:\n        sql: NAME\n"


def test_a_map_by_sql_needs_no_columns(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "one.sql").write_text("SELECT sid AS student_id, line FROM source")
    source = loaded(tmp_path, BY_SQL.replace("NAME", "maps/one.sql") + "        distinct: true\n")
    assert source.entities["student_demographic"].sql == "maps/one.sql"


@pytest.mark.parametrize("name", ["../one.sql", "/etc/passwd", "one.txt", "link.sql", ".", "one.sql/../../one.sql"])
def test_sql_lies_beside_the_district_file(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "district"
    folder.mkdir()
    (tmp_path / "one.sql").write_text("SELECT 1 AS line FROM source")
    (folder / "link.sql").symlink_to(tmp_path / "one.sql")
    found = problems(folder, BY_SQL.replace("NAME", name))
    assert found["sql"][0] == 11
    assert "is not a .sql file beside district.yaml" in found["sql"][1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read as UTF-8 text"),
        (b"SELECT \xff", "cannot be read as UTF-8 text"),
        (b"", "it holds no statement"),
        (b"SELECT 1 AS line; SELECT 2", "it holds 2 statements: write one SELECT"),
        (b"COPY source TO 'x'", "it is not a SELECT"),
        (b"SELECT line\nFROM read_csv('x')", "it reads from read_csv() (line 2): there is only source"),
        (b"SELECT " + b" " * 300_000, "is larger than 200,000 bytes"),
    ],
)
def test_sql_that_would_not_run_is_told_at_once(content: bytes | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "one.sql").write_bytes(content)
    found = problems(tmp_path, BY_SQL.replace("NAME", "one.sql"))
    assert [*found] == ["sql"]
    assert said in found["sql"][1]


def test_sql_stands_alone(tmp_path: Path) -> None:
    (tmp_path / "one.sql").write_text("SELECT sid AS student_id, line FROM source")
    beside = "        columns: {student_id: sid}\n        where: {a: [b]}\n        unpivot: {columns: [a]}\n"
    found = problems(tmp_path, BY_SQL.replace("NAME", "one.sql") + beside + "        constants: {sex: F}\n")
    assert {place: line for place, (line, _) in found.items()} == {
        "columns": 12,
        "where": 13,
        "unpivot": 14,
        "constants": 15,
    }
    assert all("says nothing beside sql" in sentence for _, sentence in found.values())


def test_a_format_that_knows_its_layout_takes_neither(tmp_path: Path) -> None:
    text = HEAD.replace("delimited", "edfi_xml") + "    entities:\n      student_demographic: {sql: a.sql}\n"
    assert "knows its own layout" in problems(tmp_path, text)["sql"][1]


# --- Ed-Fi APIs ------------------------------------------------------------------------------------------------

API = HEAD.replace("delimited", "edfi_api").replace("    files: students.csv\n", "    connection: EDFI_ODS\n")


def test_an_api_needs_an_address_and_no_map(tmp_path: Path) -> None:
    named = API + "    time_limit_seconds: 1800\n    entities: {student: {}, school: {}}\n"
    assert loaded(tmp_path, named).connection == "EDFI_ODS"
    assert loaded(tmp_path, API + "    attendance_records: exceptions\n").entities == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (API.replace("    connection: EDFI_ODS\n", ""), "is needed by a source of kind edfi_api"),
        (API.replace("EDFI_ODS", "'https://key:secret@ods.example.org'"), "connection"),
        (API + "    files: students.csv\n", "says nothing to a source of kind edfi_api"),
        (API + "    query: SELECT 1\n", "says nothing to a source of kind edfi_api"),
        (API.replace("missing_rows: full", "missing_rows: window"), "a record that is gone was deleted"),
        (API.replace("missing_rows: full", "missing_rows: active_only"), "a record that is gone was deleted"),
        (API + "    entities: {survey: {}}\n", "an Ed-Fi API does not feed survey"),
        (API, "a day without a mark could mean two things"),
    ],
)
def test_what_an_api_cannot_be_told(text: str, expected: str, tmp_path: Path) -> None:
    if "attendance_records" not in text and "entities" not in text and "could mean" not in expected:
        text += "    entities: {student: {}}\n"
    found = problems(tmp_path, text)
    assert any(expected in f"{place} {sentence}" for place, (_, sentence) in found.items()), found
