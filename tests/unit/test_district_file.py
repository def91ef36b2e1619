"""`district.yaml`: every error at once, by line, with a remedy; never a traceback."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipelines.config import Settings
from pipelines.district_file import (
    ConfigurationProblems,
    json_schema,
    json_schema_text,
    load,
    settings_table,
)
from pipelines.refused_columns import refused_word
from pipelines.yaml_document import MAXIMUM_BYTES

REPOSITORY = Path(__file__).resolve().parents[2]

GOOD = """\
district:
  id: "4850"
  name: Example Unified
  contact: data@example.org
  time_zone: America/Chicago
calendar:
  - school_year: 2026
    first_day: 2025-08-12
    last_day: 2026-05-28
    closures: [2025-11-27, "2025-11-28", 2025-12-22..2026-01-02]
sources:
  attendance:
    kind: delimited
    files: extracts/attendance_*.csv
    missing_rows: window
    attendance_records: every_day
    date_formats: ["%m/%d/%Y"]
    entities:
      attendance_event:
        columns:
          student_id: sid
          school_id: school
          date: {column: day, date_formats: ["%-m/%-d/%y"]}
          category: code
        where: {kind: ["1", no]}
student_groups:
  intersections: [[disability, race_ethnicity]]
schedule: {at: 22:30}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "district.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str) -> dict[str, tuple[int, str]]:
    """Place of each problem: its line and its sentence with the remedy."""
    path = write(folder, text)
    with pytest.raises(ConfigurationProblems) as caught:
        load(path)
    assert [problem.line for problem in caught.value.problems] == sorted(p.line for p in caught.value.problems)
    assert str(caught.value).count(f"{path}") == len(caught.value.problems)
    return {p.where: (p.line, f"{p.message} - {p.remedy}") for p in caught.value.problems}


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def test_a_good_file_becomes_typed_settings(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, GOOD))
    assert loaded.folder == tmp_path
    read = loaded.settings
    assert read.calendar[0].closures == [date(2025, 11, 27), date(2025, 11, 28), "2025-12-22..2026-01-02"]
    assert read.sources["attendance"].files == ["extracts/attendance_*.csv"]
    # YAML 1.1 would read these as 1350 and false.
    assert read.schedule.at == "22:30"
    assert read.sources["attendance"].entities["attendance_event"].where == {"kind": ["1", "no"]}


@pytest.mark.parametrize(
    ("constant", "complaint"),
    [('date: "2026-02-30"', "not a date"), ("fraction_absent: half", "not a decimal")],
)
def test_a_constant_must_fit_its_column(tmp_path: Path, constant: str, complaint: str) -> None:
    text = changed('          date: {column: day, date_formats: ["%-m/%-d/%y"]}\n', "")
    text = text.replace("        where:", f"        constants: {{{constant}}}\n        where:")
    found = problems(tmp_path, text)
    place = f"sources.attendance.entities.attendance_event.constants.{constant.split(':', maxsplit=1)[0]}"
    assert complaint in found[place][1]


def test_anchors_and_merges_are_ordinary(tmp_path: Path) -> None:
    text = GOOD + (
        "retention: &keep {snapshots: 7}\n"
        "thresholds: {<<: {chronic_absence_percent: 12, removed_rows_percent: 8}, removed_rows_percent: 9}\n"
    )
    read = load(write(tmp_path, text)).settings
    assert read.thresholds.chronic_absence_percent == 12
    assert read.thresholds.removed_rows_percent == 9


NONSENSE = """\
district:
  id: 4850
  nmae: X
  contact: a@b
  time_zone: America/Chicgo
  school_year_start: "02-30"
  student_system: Bad System
calendar:
  - school_year: 2026
    first_day: 2025-08-12
    last_day: 2026-05-28
    weekdays: [mon, tuesday]
    closures: [2025-13-01, "2025-12-22..2026-13-02", 2024-01-01, 5]
sources:
  attendance:
    kind: delimted
    files: extracts/*.csv
    settle_days: yes
    atendance_records: exceptions
    date_formats: ["%q", "%Y"]
    delimiter: "||"
    encoding: klingon
    accept_removals: [xyz]
    entities:
      attendance_event:
        columns:
          student_id: sid
          date: {column: day, separator: ";", colum: x}
          SSN: x
          catgory: code
          category: 5
        constants: {school_id: 12, student_id: "7"}
      atendance_taken: {}
  attendance: 1
  "Bad Name": {kind: delimited, files: [], missing_rows: sometimes}
  survey:
    kind: edfi_xml
    files: [a.xml, " "]
    missing_rows:
    missing_row: full
    entities: []
thresholds:
  chronic_absence_percent: 0
  chronic_absence_percnt: 10
disclosure: {rule: minimum_5}
student_groups:
  intersections: [[disability, race_in_combination], [sex], [race, sex], [sex, sex], [language, sex], [sex, language]]
schedule: {at: 02:30}
retention: 5
schedul: 1
"""

EXPECTED: dict[str, tuple[int, str]] = {
    "district.id": (2, "must be text"),
    "district.name": (1, "is missing"),
    "district.nmae": (3, "did you mean name?"),
    "district.time_zone": (5, "did you mean America/Chicago?"),
    "district.school_year_start": (6, "not a day of every year"),
    "district.student_system": (7, "lower-case letters"),
    "calendar[0].weekdays[1]": (12, "did you mean tue?"),
    "calendar[0].closures[0]": (13, "is not a real date"),
    "calendar[0].closures[1]": (13, "not a date or a range"),
    "calendar[0].closures[2]": (13, "lies outside 2025-08-12 to 2026-05-28"),
    "calendar[0].closures[3]": (13, "must be a date"),
    "sources.attendance": (34, "given twice (first on line 15)"),
    "sources.attendance.missing_rows": (15, "full (it was deleted), active_only"),
    "sources.attendance.attendance_records": (15, "every_day (no mark"),
    "sources.attendance.kind": (16, "did you mean delimited?"),
    "sources.attendance.settle_days": (18, "must be a whole number"),
    "sources.attendance.atendance_records": (19, "did you mean attendance_records?"),
    "sources.attendance.date_formats[0]": (20, "not a date format"),
    "sources.attendance.date_formats[1]": (20, "does not hold a year, a month and a day"),
    "sources.attendance.delimiter": (21, "not one character"),
    "sources.attendance.encoding": (22, "not a known text encoding"),
    "sources.attendance.accept_removals[0]": (23, "12 characters"),
    "sources.attendance.entities.attendance_event.columns.date.separator": (28, "holds one value"),
    "sources.attendance.entities.attendance_event.columns.date.colum": (28, "did you mean column?"),
    "sources.attendance.entities.attendance_event.columns.SSN": (29, "never carries ssn"),
    "sources.attendance.entities.attendance_event.columns.catgory": (30, "did you mean category?"),
    "sources.attendance.entities.attendance_event.columns.category": (31, "must be text"),
    "sources.attendance.entities.attendance_event.constants.school_id": (32, "must be text"),
    "sources.attendance.entities.attendance_event.constants.student_id": (32, "both mapped and constant"),
    "sources.attendance.entities.atendance_taken": (33, "did you mean attendance_taken?"),
    "sources.Bad Name": (35, "lower-case letters"),
    "sources.Bad Name.files": (35, "give at least one"),
    "sources.Bad Name.missing_rows": (35, "full (it was deleted)"),
    "sources.Bad Name.entities": (35, "feeds nothing"),
    "sources.survey.files[1]": (38, "is not a path"),
    "sources.survey.missing_rows": (39, "full (it was deleted)"),
    "sources.survey.missing_row": (40, "did you mean missing_rows?"),
    "sources.survey.entities": (41, "must be a map"),
    "sources.survey.attendance_records": (36, "or list under entities"),
    "thresholds.chronic_absence_percent": (43, "from 1 to 50"),
    "thresholds.chronic_absence_percnt": (44, "did you mean chronic_absence_percent?"),
    "disclosure.rule": (45, "did you mean minimum_10?"),
    "student_groups.intersections[0][1]": (47, "does not add up to all"),
    "student_groups.intersections[1]": (47, "two different categories"),
    "student_groups.intersections[2][0]": (47, "did you mean race_ethnicity?"),
    "student_groups.intersections[3]": (47, "two different categories"),
    "student_groups.intersections[5]": (47, "given twice"),
    "schedule.at": (48, "clocks change"),
    "retention": (49, "must be a map"),
    "schedul": (50, "did you mean schedule?"),
}


def test_a_whole_file_of_nonsense_gives_every_error_with_its_line(tmp_path: Path) -> None:
    found = problems(tmp_path, NONSENSE)
    assert set(found) == set(EXPECTED)
    for where, (line, words) in EXPECTED.items():
        assert found[where][0] == line, where
        assert words in found[where][1], where


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 0, "the file is empty"),
        ("# nothing\n", 0, "the file is empty"),
        ("- 1\n", 1, "not a map of settings"),
        ("word\n", 1, "not a map of settings"),
        ("a:\n\tb: 1\n", 2, "a tab is used"),
        ("a: 1\nb: [\n", 3, "not valid YAML"),
        ("a: 'x\n", 2, "not valid YAML"),
        ("a: 1\n---\nb: 1\n", 2, "second document"),
        ("a: 1\nb: \x07\n", 2, "control character"),
        ('a: "\\UFFFFFFFF"\n', 0, "no character"),
        ("a: " + "[" * 3000, 0, "nested too deeply"),
        ("a: &a [*a]\n", 0, "nested too deeply or has too many values"),
        ("a: !!python/object/apply:os.getcwd []\n", 1, "is not allowed"),
        ("a: !!binary aGk=\n", 1, "is not allowed"),
        ("? [a]\n: 1\n", 1, "a key is a list or a map"),
    ],
)
def test_a_file_that_is_not_a_configuration(tmp_path: Path, text: str, line: int, words: str) -> None:
    found = problems(tmp_path, text)
    assert any(at == line and words in sentence for at, sentence in found.values()), found


def test_anchors_that_multiply_are_stopped(tmp_path: Path) -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    found = problems(tmp_path, "\n".join(rows))
    assert "remove anchors" in found[""][1]


def test_what_cannot_be_read_is_one_problem_without_a_line(tmp_path: Path) -> None:
    latin, huge = tmp_path / "latin.yaml", tmp_path / "huge.yaml"
    latin.write_bytes(b"district:\n  name: Ca\xf1on\n")
    huge.write_bytes(b"#" * (MAXIMUM_BYTES + 1))
    for path, words in [
        (tmp_path, "is not a file"),
        (tmp_path / "absent.yaml", "no such file"),
        (Path("bad\0name"), "cannot be read"),
        (latin, "not UTF-8"),
        (huge, "larger than"),
    ]:
        with pytest.raises(ConfigurationProblems, match=words) as caught:
            load(path)
        assert len(caught.value.problems) == 1
        assert caught.value.problems[0].line == (2 if path == latin else 0)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "district.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load(path).settings.district.id == "4850"


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("first_day: 2025-08-12", "first_day: 2025-06-30", "calendar[0].first_day", "outside school year 2026"),
        ("last_day: 2026-05-28", "last_day: 2026-07-01", "calendar[0].last_day", "outside school year 2026"),
        ("last_day: 2026-05-28", "last_day: 2025-08-11", "calendar[0].last_day", "before first_day"),
        ("2025-12-22..2026-01-02", "2026-01-02..2025-12-22", "calendar[0].closures[2]", "ends before it begins"),
        ("2025-12-22..2026-01-02", "2026-05-22..2026-06-02", "calendar[0].closures[2]", "lies outside"),
        ('id: "4850"', "id: all", "district.id", "reserved"),
        ("  attendance:\n", "  all:\n", "sources.all", "reserved"),
        ("22:30", "01:00", "schedule.at", "clocks change"),
        ("22:30", "02:59", "schedule.at", "clocks change"),
        ("student_id: sid", "student_id: Student_SSN", ".columns.student_id", "never carries ssn"),
        ("date: {column: day,", "date: {column: Citizenship Date,", ".columns.date.column", "citizenship"),
        ("where: {kind:", "where: {visa_status:", ".where.visa_status", "visastatus"),
        ("          category: code\n", "", ".columns.category", "map it, or give every row"),
        ("    attendance_records: every_day\n", "", "sources.attendance.attendance_records", "exceptions"),
        ("    kind: delimited\n", "    kind: delimited\n    student_system: clever\n", ".student_system", "join no"),
        ("%m/%d/%Y", "%m/%d/%Y%", ".date_formats[0]", "not a date format"),
        ("%m/%d/%Y", "%d%%%y", ".date_formats[0]", "does not hold"),
        ("%-m/%-d/%y", "%-m/%-d", ".columns.date.date_formats[0]", "does not hold"),
    ],
)
def test_one_wrong_part_is_one_problem(tmp_path: Path, old: str, new: str, where: str, words: str) -> None:
    found = problems(tmp_path, changed(old, new))
    assert len(found) == 1, found
    ((place, (_, sentence)),) = found.items()
    assert place.endswith(where)
    assert words in sentence


@pytest.mark.parametrize("at", ["00:59", "03:00", "23:59"])
def test_the_hours_around_the_clock_change_are_allowed(tmp_path: Path, at: str) -> None:
    assert load(write(tmp_path, changed("22:30", at))).settings.schedule.at == at


@pytest.mark.parametrize(("start", "ends_in"), [('"07-01"', 2026), ('"08-12"', 2026), ('"01-01"', 2025)])
def test_a_school_year_is_named_by_the_year_in_which_it_ends(tmp_path: Path, start: str, ends_in: int) -> None:
    text = changed("  time_zone:", f"  school_year_start: {start}\n  time_zone:")
    text = text.replace("school_year: 2026", f"school_year: {ends_in}")
    if ends_in == 2025:
        text = text.replace("2026-05-28", "2025-12-31").replace("2025-12-22..2026-01-02", "2025-12-22..2025-12-31")
    assert load(write(tmp_path, text)).settings.calendar[0].school_year == ends_in


def test_two_calendars_for_one_school_and_year(tmp_path: Path) -> None:
    second = "  - {school_year: 2026, first_day: 2025-08-12, last_day: 2026-05-28, schools: [all, S1]}\nsources:\n"
    assert "already given" in problems(tmp_path, changed("sources:\n", second))["calendar[1].schools"][1]


def test_a_calendar_comes_from_somewhere(tmp_path: Path) -> None:
    start, end = GOOD.index("calendar:"), GOOD.index("sources:")
    without = GOOD[:start] + GOOD[end:]
    found = problems(tmp_path, without)
    assert list(found) == ["calendar"]
    assert "never inferred" in found["calendar"][1]
    edfi = "  edfi: {kind: edfi_xml, files: x.xml, missing_rows: full%s}\nstudent_groups:"
    may_feed = edfi % ", attendance_records: every_day"
    assert load(write(tmp_path, without.replace("student_groups:", may_feed)))
    limited = edfi % ", entities: {school: {}}"
    assert list(problems(tmp_path, without.replace("student_groups:", limited))) == ["calendar"]


def test_a_constant_stands_for_a_required_column(tmp_path: Path) -> None:
    text = changed("          school_id: school\n", "").replace(
        "where: {kind", 'constants: {school_id: "7"}\n        where: {kind'
    )
    assert load(write(tmp_path, text))


@pytest.mark.parametrize(
    ("column", "word"),
    [
        ("SSN", "ssn"),
        ("student_ssn", "ssn"),
        ("StudentSSN4", "ssn"),
        ("Social Security No", "socialsecurity"),
        ("class_name", None),
        ("ClassName", None),
        ("lessn_id", None),
        ("CountryOfCitizenship", "citizenship"),
        ("IMMIGRANT_FLAG", "immigrant"),
        ("attendance_code", None),
    ],
)
def test_refused_columns_in_any_spelling(column: str, word: str | None) -> None:
    assert refused_word(column) == word


def test_settings_that_differ_are_told_with_default_and_authority(tmp_path: Path) -> None:
    text = GOOD + "thresholds: {chronic_absence_percent: 12}\n"
    text = text.replace("    missing_rows: window\n", "    missing_rows: window\n    required: false\n")
    rows = {row.setting_id: row for row in settings_table(load(write(tmp_path, text)).settings)}
    assert {name for name, row in rows.items() if row.differs} == {
        "thresholds.chronic_absence_percent",
        "sources.attendance.required",
        "student_groups.intersections",
        "schedule.at",
    }
    absence = rows["thresholds.chronic_absence_percent"]
    assert (absence.value, absence.default_value) == ("12", "10")
    assert "FS195" in absence.authority
    assert rows["sources.attendance.required"].value == "false"
    assert rows["student_groups.intersections"].value == '[["disability", "race_ethnicity"]]'
    assert {"disclosure.rule", "retention.snapshots", "sources.attendance.settle_days"} <= set(rows)
    assert set(rows) >= {f"thresholds.{name}" for name in Settings.model_fields["thresholds"].default.model_dump()}


def test_the_published_schema_is_current() -> None:
    published = REPOSITORY / "docs" / "district.schema.json"
    assert published.read_text(encoding="utf-8") == json_schema_text()


def as_json(text: str) -> Any:
    """The document as an editor sees it: dates are text."""
    document = yaml.safe_load(text.replace("22:30", '"22:30"').replace(", no]", ', "no"]'))
    return json.loads(json.dumps(document, default=str))


def test_the_schema_accepts_the_good_file_and_refuses_the_bad() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    validator = jsonschema.Draft202012Validator(json_schema())
    assert not list(validator.iter_errors(as_json(GOOD)))
    assert list(validator.iter_errors(as_json(changed("    missing_rows: window\n", ""))))
    assert list(validator.iter_errors(as_json(changed("schedule:", "schedul:"))))


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    st.datetimes(),
    st.text(max_size=12),
    st.sampled_from(
        ["all", "delimited", "edfi_xml", "attendance_event", "02-30", "01:30", "2025-01-01..", "%d", "UTC"]
    ),
)
KEYS = st.one_of(
    st.sampled_from(
        [
            *Settings.model_fields,
            *("id", "name", "time_zone", "school_year_start", "student_system", "at", "intersections", "snapshots"),
            *("school_year", "schools", "first_day", "last_day", "weekdays", "closures"),
            *("kind", "files", "missing_rows", "entities", "attendance_event", "columns", "constants", "where"),
            *("student_id", "date", "column", "separator", "date_formats", "delimiter", "encoding", "accept_removals"),
        ]
    ),
    st.text(max_size=6),
)
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=40,
)


def never_breaks(folder: Path, raw: bytes) -> None:
    path = folder / "district.yaml"
    path.write_bytes(raw)
    try:
        load(path)
    except ConfigurationProblems as error:
        assert error.problems
        assert all(problem.message and problem.remedy for problem in error.problems)
        str(error).encode("utf-8")


quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(tree=st.dictionaries(st.sampled_from([*Settings.model_fields]), trees, min_size=1))
def test_no_tree_of_values_breaks_the_loader(tmp_path: Path, tree: dict[str, Any]) -> None:
    never_breaks(tmp_path, yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))


@quick
@given(
    raw=st.one_of(
        st.binary(max_size=200), st.text(alphabet="a:-[]{}&*!<>|?'\"# \n\t\\u08%@,", max_size=80).map(str.encode)
    )
)
@example(b'{"\\ud800": 1}')
@example(b"a: !!timestamp x")
@example(b"a: !!int ''")
@example(b"<<: [1]")
@example(b"<<: *a")
@example(b"!!set {a}")
def test_no_bytes_break_the_loader(tmp_path: Path, raw: bytes) -> None:
    never_breaks(tmp_path, raw)


@quick
@given(st.data())
def test_no_damage_to_a_good_file_breaks_the_loader(tmp_path: Path, data: st.DataObject) -> None:
    lines = GOOD.splitlines()
    row = data.draw(st.integers(0, len(lines) - 1))
    column = data.draw(st.integers(0, len(lines[row])))
    lines[row] = lines[row][:column] + data.draw(
        st.sampled_from(["", ":", "- ", "[", "{", "'", "&a ", "!x ", " ", "0", "~"])
    )
    never_breaks(tmp_path, "\n".join(lines).encode())
