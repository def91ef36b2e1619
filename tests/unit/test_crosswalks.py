"""Crosswalks: which row wins, every problem at once, defaults that cover the standards, two real districts."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from pipelines.config import EntityMap, IdRules
from pipelines.contract import CROSSWALK_VALUES
from pipelines.crosswalks import CODES, SCOPES, CodeRow, Crosswalks, load
from pipelines.district_file import load as load_district

TESTS = Path(__file__).resolve().parents[1]
DATA = TESTS.parents[1] / "shared" / "data"
OEA = DATA / "oea"

needs_oea = pytest.mark.skipif(not OEA.is_dir(), reason="needs ../shared/data/oea")

Loaded = Callable[..., Crosswalks]


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """Load a district with these crosswalk files, named a.csv, b.csv ..."""

    def of(*files: str | bytes) -> Crosswalks:
        folder = tmp_path / "crosswalks"
        folder.mkdir()
        for name, content in zip("abc", files, strict=False):
            (folder / f"{name}.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
        return load(tmp_path)

    return of


def meaning(crosswalks: Crosswalks, crosswalk: str, code: str, school: str = "all", year: int = 0) -> str | None:
    """What the warehouse does with the table: the row of highest specificity among those that apply."""
    con = duckdb.connect()
    con.register("crosswalk", crosswalks.as_arrow())
    [(found,)] = con.execute(
        "SELECT arg_max(value, specificity) FROM crosswalk WHERE crosswalk = ? AND code = lower(trim(?)) "
        "AND school_id IN ('all', ?) AND school_year IN (0, ?) AND calendar_id = 'all'",
        [crosswalk, code, school, year],
    ).fetchall()
    return None if found is None else str(found)


def district_rows(crosswalks: Crosswalks) -> list[CodeRow]:
    return [entry for entry in crosswalks.entries if entry.origin == "district"]


# --- the defaults ------------------------------------------------------------------------------------------------


def test_a_district_without_crosswalks_has_the_defaults(tmp_path: Path) -> None:
    crosswalks = load(tmp_path)
    assert crosswalks.problems == ()
    assert {entry.origin for entry in crosswalks.entries} == {"default"}
    assert {entry.specificity for entry in crosswalks.entries} == {0}
    assert {entry.crosswalk for entry in crosswalks.entries} == set(CROSSWALK_VALUES)


def test_every_default_table_belongs_to_a_crosswalk_and_names_its_authority() -> None:
    assert {path.stem for path in CODES.glob("*.csv")} == set(CROSSWALK_VALUES)
    for path in CODES.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as content:
            rows = list(csv.DictReader(content))
        assert all(row["authority"] for row in rows), path.name
        codes = [row["code"].strip().lower() for row in rows]
        assert len(codes) == len(set(codes)), path.name


def test_every_value_is_its_own_code_except_a_behavior(tmp_path: Path) -> None:
    crosswalks = load(tmp_path)
    codes = {(entry.crosswalk, entry.code): entry.value for entry in crosswalks.entries}
    for crosswalk, values in CROSSWALK_VALUES.items():
        for value in values if crosswalk != "behavior" else ():
            if value != "unknown" or (crosswalk, value) in codes:
                assert codes[crosswalk, value] == value
    assert [entry.code for entry in crosswalks.entries if entry.crosswalk == "behavior"] == ["unknown"]


@pytest.mark.parametrize(
    ("crosswalk", "code", "value"),
    [
        ("attendance_category", "In Attendance", "present"),
        ("attendance_category", "Early departure", "partial"),
        ("attendance_category", "Absence", "absent"),
        ("attendance_category", "Out-of-School Suspension", "absent_suspension"),
        ("attendance_category", "In-School Suspension", "present"),
        ("attendance_category", "E", None),
        ("attendance_category", "U", None),
        ("attendance_category", "P", None),
        ("discipline_action", "03101", "out_of_school_suspension"),
        ("discipline_action", "Suspension from school for a week", None),
        ("behavior", "BEH01", None),
        ("race", "Black - African American", "black"),
        ("race", "MU7", "two_or_more"),
        ("race", "demographicRaceTwoOrMoreRaces", "two_or_more"),
        ("language", "NotLimited", "not_english_learner"),
        ("economic", "Reduced price", "disadvantaged"),
        ("grade", "Eleventh grade", "11"),
        ("survey_answer", "Neither agree nor disagree", "neutral"),
    ],
)
def test_codes_of_the_field(tmp_path: Path, crosswalk: str, code: str, value: str | None) -> None:
    assert meaning(load(tmp_path), crosswalk, code) == value


# --- a district's own --------------------------------------------------------------------------------------------


def test_a_districts_row_beats_the_default_and_codes_are_folded(loaded: Loaded) -> None:
    crosswalks = loaded("crosswalk,code,value,note\nattendance_category,  tardy ,partial,half days\n")
    assert crosswalks.problems == ()
    assert meaning(crosswalks, "attendance_category", " Tardy ") == "partial"
    assert meaning(crosswalks, "attendance_category", "Absence") == "absent"


def test_the_most_specific_row_wins(loaded: Loaded) -> None:
    crosswalks = loaded(
        "crosswalk,code,value,school_id,calendar_id,school_year\n"
        "attendance_category,X,present,,,\n"
        "attendance_category,X,tardy,9,,\n"
        "attendance_category,X,absent,9,all,2024\n"
        "attendance_category,X,partial,9,C1,2024\n"
        "attendance_category,X,tardy,,,2024\n"
    )
    assert crosswalks.problems == ()
    assert meaning(crosswalks, "attendance_category", "x") == "present"
    assert meaning(crosswalks, "attendance_category", "x", school="9") == "tardy"
    assert meaning(crosswalks, "attendance_category", "x", school="9", year=2024) == "absent"
    assert meaning(crosswalks, "attendance_category", "x", school="8", year=2024) == "tardy"
    assert sorted(entry.specificity for entry in district_rows(crosswalks)) == [1, 2, 2, 3, 4]


def test_the_empty_code_says_what_an_empty_cell_means(loaded: Loaded) -> None:
    assert meaning(loaded("crosswalk,code,value\nyes_no,,no\n"), "yes_no", " ") == "no"


def test_rows_that_disagree_are_refused_with_both_lines(loaded: Loaded, tmp_path: Path) -> None:
    crosswalks = loaded(
        "crosswalk,code,value\nsex,Canary,male\nsex,canary,female\n",
        "crosswalk,code,value\nsex,CANARY ,nonbinary\nsex,other,male\nsex,other,male\n",
    )
    folder = tmp_path / "crosswalks"
    assert [(problem.path, problem.line) for problem in crosswalks.problems] == [
        (folder / "a.csv", 3),
        (folder / "b.csv", 2),
    ]
    assert "line 2" in crosswalks.problems[0].message
    assert "a.csv, line 2" in crosswalks.problems[1].message
    assert "canary" not in " ".join(p.message + p.remedy for p in crosswalks.problems).lower()


OVERLAP = "crosswalk,code,value,school_id,school_year\ngrade,q,01,9,\ngrade,q,02,,2024\n"


def test_an_overlap_that_nothing_settles_is_refused(loaded: Loaded) -> None:
    [problem] = loaded(OVERLAP).problems
    assert problem.line == 3


@pytest.mark.parametrize(
    "content",
    [
        OVERLAP + "grade,q,01,9,2024\n",
        OVERLAP.replace("q,02", "q,01"),
        "crosswalk,code,value,school_id,school_year\ngrade,q,01,9,2023\ngrade,q,02,,2024\n",
        "crosswalk,code,value,school_id\ngrade,q,01,9\ngrade,q,02,8\n",
        "crosswalk,code,value,school_id,calendar_id,school_year\ngrade,q,01,9,,2023\ngrade,q,02,,C1,2024\n",
    ],
    ids=["settled by a more specific row", "same value", "one more specific", "other school", "other year"],
)
def test_overlaps_that_are_no_choice_are_fine(loaded: Loaded, content: str) -> None:
    assert loaded(content).problems == ()


@pytest.mark.parametrize(
    ("row", "never", "allowed"),
    [
        ("sex,q,male,9,,", "school_id", "school_year"),
        ("sex,q,male,,C1,", "calendar_id", "school_year"),
        ("sex,q,male,9,C1,2024", "school_id and calendar_id", "school_year"),
        ("school_level,q,high,9,,2024", "school_year", "school_id"),
        ("behavior,q,objective,9,C1,2024", "calendar_id", "school_id and school_year"),
        ("survey_universe,q,staff,9,,", "school_id", "school_year"),
    ],
)
def test_a_row_that_could_never_apply_is_refused(loaded: Loaded, row: str, never: str, allowed: str) -> None:
    crosswalks = loaded(f"crosswalk,code,value,school_id,calendar_id,school_year\n{row}\n")
    [problem] = crosswalks.problems
    assert problem.line == 2
    assert f"cannot be limited by {never}:" in problem.message
    assert problem.remedy.endswith(f"can be limited by {allowed}.")
    assert district_rows(crosswalks) == []


@pytest.mark.parametrize("crosswalk", sorted(CROSSWALK_VALUES))
def test_every_scope_that_a_crosswalk_has_is_accepted(loaded: Loaded, crosswalk: str) -> None:
    header, ids = ["crosswalk", "code", "value", *SCOPES[crosswalk]], {"school_year": "2024"}
    value = CROSSWALK_VALUES[crosswalk][0]
    cells = [crosswalk, "q", value, *(ids.get(scope, "9") for scope in SCOPES[crosswalk])]
    crosswalks = loaded(",".join(header) + "\n" + ",".join(cells) + "\n")
    assert crosswalks.problems == ()
    assert [entry.specificity for entry in district_rows(crosswalks)] == [1 + len(SCOPES[crosswalk])]


def test_a_row_for_all_is_no_limit(loaded: Loaded) -> None:
    crosswalks = loaded("crosswalk,code,value,school_id,calendar_id,school_year\nsex,q,male,All,ALL,all\n")
    assert crosswalks.problems == ()
    assert [(entry.scope, entry.specificity) for entry in district_rows(crosswalks)] == [((None, None, None), 1)]


def test_school_ids_are_written_as_the_district_writes_them(tmp_path: Path) -> None:
    (tmp_path / "crosswalks").mkdir()
    (tmp_path / "crosswalks" / "own.csv").write_text(
        "crosswalk,code,value,school_id\ngrade,q,01,0415\ngrade,q,02,n7\ngrade,q,03,\n"
    )
    rules = IdRules(leading_zeros="strip", case="upper")
    assert sorted(entry.school_id for entry in district_rows(load(tmp_path, rules))) == ["415", "N7", "all"]
    (tmp_path / "crosswalks" / "more.csv").write_text("crosswalk,code,value,school_id\ngrade,q,04,415\n")
    assert load(tmp_path).problems == ()
    [problem] = load(tmp_path, rules).problems
    assert problem.line == 2, "two ways to write one school, and two meanings"


def test_a_row_without_a_value_decides_nothing(loaded: Loaded) -> None:
    crosswalks = loaded(
        "crosswalk,code,value,school_id,note\n"
        "attendance_category,tardy,,,41 rows\n"
        "attendance_category,QX,,,3 rows\n"
        "sex,QX,,9,not even where the row could never apply\n"
    )
    assert crosswalks.problems == ()
    assert district_rows(crosswalks) == []
    assert meaning(crosswalks, "attendance_category", "tardy") == "tardy"
    assert meaning(crosswalks, "attendance_category", "QX") is None


def test_every_problem_is_returned_with_its_line(loaded: Loaded) -> None:
    crosswalks = loaded(
        "crosswalk,code,value,school_year\n"
        "sexes,canary,male,\n"
        "\n"
        "sex,canary,canary,\n"
        "sex,canary,male,2023-24\n"
        "sex,canary\n"
        "sex,ok,male,2024\n"
        "sexes,canary,,\n"
    )
    assert [problem.line for problem in crosswalks.problems] == [2, 4, 5, 6, 8]
    assert all(problem.remedy and "canary" not in problem.message + problem.remedy for problem in crosswalks.problems)
    assert [(entry.code, entry.school_year) for entry in district_rows(crosswalks)] == [("ok", 2024)]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", 1),
        ("crosswalk,code\nsex,x\n", 1),
        ("crosswalk,code,value,meaning\nsex,x,male,y\n", 1),
        ("crosswalk,code,value,code\nsex,x,male,y\n", 1),
        ('crosswalk,code,value\nsex,"x,male\n', 2),
        ("crosswalk,code,value\nsex,ä,male\n".encode("cp1252"), 1),
    ],
    ids=["empty", "missing column", "unknown column", "column twice", "open quote", "not UTF-8"],
)
def test_a_file_that_cannot_be_used_is_a_problem_and_the_others_are_read(
    loaded: Loaded, content: str | bytes, line: int
) -> None:
    crosswalks = loaded(content, "crosswalk,code,value\nsex,ok,male\n")
    assert [(problem.path.name, problem.line) for problem in crosswalks.problems] == [("a.csv", line)]
    assert [entry.code for entry in district_rows(crosswalks)] == ["ok"]


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "crosswalks" / "a.csv").mkdir(parents=True)
    assert [problem.line for problem in load(tmp_path).problems] == [1]


def test_the_table_has_the_warehouses_types(loaded: Loaded) -> None:
    table = loaded("crosswalk,code,value,school_id,school_year\ngrade,q,01,9,2024\n").as_arrow()
    assert {field.name: str(field.type) for field in table.schema} == {
        "crosswalk": "string",
        "code": "string",
        "value": "string",
        "school_id": "string",
        "calendar_id": "string",
        "school_year": "int32",
        "specificity": "int32",
        "origin": "string",
    }
    assert {"code": "q", "school_id": "9", "school_year": 2024}.items() <= next(
        row for row in table.to_pylist() if row["origin"] == "district"
    ).items()


def test_the_hash_follows_what_rows_say_and_nothing_else(tmp_path: Path) -> None:
    def hashed(name: str, content: str) -> str:
        folder = tmp_path / name / "crosswalks"
        folder.mkdir(parents=True)
        (folder / f"{name}.csv").write_text(content, encoding="utf-8")
        return load(tmp_path / name).content_hash

    first = hashed("one", "crosswalk,code,value,note\nsex,a,male,x\nsex,b,female,\n")
    assert hashed("two", "crosswalk,code,value\nsex,B,female\nsex,a,male\nsex,a,male\n") == first
    assert hashed("three", "crosswalk,code,value\nsex,b,female\nsex,a,female\n") != first


# --- two real districts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("district", ["daybreak", "oea"])
def test_the_real_districts_are_valid(district: str) -> None:
    file = TESTS / "districts" / district / "district.yaml"
    assert load_district(file).settings.sources
    assert load(file.parent).problems == ()


@pytest.fixture
def oea() -> duckdb.DuckDBPyConnection:
    """Student days and demographics of the district, read as its `district.yaml` maps them, with its crosswalk."""
    file = load_district(TESTS / "districts" / "oea" / "district.yaml")
    con = duckdb.connect()
    for source_id, entity in (
        ("attendance", "attendance_event"),
        ("clever", "student_identifier"),
        ("schools", "school"),
        ("students", "student_demographic"),
        ("students", "student_school_enrollment"),
    ):
        source = file.settings.sources[source_id]
        mapped: EntityMap = source.entities[entity]
        cells = [f"coalesce(\"{column}\", '') AS {name}" for name, column in mapped.columns.items()]
        cells += [f"'{value}' AS {name}" for name, value in mapped.constants.items()]
        kept = "DISTINCT " if mapped.distinct else ""
        path = (file.folder / source.files[0]).resolve()
        con.execute(
            f"CREATE TABLE {entity} AS SELECT {kept}{', '.join(cells)} FROM read_csv('{path}', all_varchar = true)"
        )
    con.register("crosswalk_rows", load(file.folder).as_arrow())
    con.execute("CREATE TABLE crosswalk AS SELECT * FROM crosswalk_rows")
    con.execute(
        """
        CREATE MACRO meaning(name, cell) AS coalesce(
            (SELECT arg_max(value, specificity) FROM crosswalk WHERE crosswalk = name AND code = lower(trim(cell))),
            CASE WHEN trim(cell) = '' THEN 'unknown' ELSE 'unmapped' END
        )
        """
    )
    con.execute(
        """
        CREATE TABLE student AS
        WITH marks AS (
            SELECT student_id, meaning('attendance_category', category) LIKE 'absent%' AS is_absent
            FROM attendance_event
        ),
        days AS (SELECT student_id, count(*) AS days, count_if(is_absent) AS absent FROM marks GROUP BY student_id)
        SELECT days, absent, 10 * absent >= days AS is_chronic, meaning('sex', sex) AS sex,
            meaning('race', races) AS race, meaning('yes_no', hispanic_latino) AS hispanic
        FROM days
        JOIN student_identifier AS link USING (student_id)
        JOIN student_demographic AS known ON known.student_id = link.id
        """
    )
    return con


def _by(con: duckdb.DuckDBPyConnection, group: str) -> dict[str, str]:
    rows = con.execute(f"SELECT {group}, count_if(is_chronic), count(*) FROM student GROUP BY 1").fetchall()
    return {name: f"{chronic}/{students}" for name, chronic, students in rows}


@needs_oea
def test_oea_files_and_crosswalk_give_the_known_answers(oea: duckdb.DuckDBPyConnection) -> None:
    assert oea.execute("SELECT sum(absent)::INT, sum(days)::INT FROM student").fetchone() == (1_285, 12_000)
    assert _by(oea, "'all'") == {"all": "382/600"}
    assert _by(oea, "sex") == {"female": "193/307", "male": "189/293"}
    assert _by(oea, "race") == {
        "white": "184/306",
        "black": "80/111",
        "asian": "30/57",
        "american_indian_or_alaska_native": "29/46",
        "two_or_more": "23/33",
        "native_hawaiian_or_pacific_islander": "20/28",
        "unknown": "16/19",
    }
    assert _by(oea, "CASE hispanic WHEN 'yes' THEN 'hispanic' WHEN 'no' THEN race ELSE hispanic END") == {
        "hispanic": "81/141",
        "white": "145/233",
        "black": "62/86",
        "asian": "21/42",
        "american_indian_or_alaska_native": "25/38",
        "two_or_more": "19/25",
        "native_hawaiian_or_pacific_islander": "19/24",
        "unknown": "10/11",
    }


@needs_oea
def test_oea_every_student_has_a_school_and_the_calendar_is_that_of_the_marks(oea: duckdb.DuckDBPyConnection) -> None:
    [(enrolled,)] = oea.execute(
        """
        SELECT count(*) FROM student_school_enrollment AS stay
        JOIN student_identifier AS link ON link.id = stay.student_id
        JOIN school USING (school_id)
        WHERE (link.student_id, stay.school_id) IN (SELECT (student_id, school_id) FROM attendance_event)
        """
    ).fetchall()
    assert enrolled == 600
    [calendar] = load_district(TESTS / "districts" / "oea" / "district.yaml").settings.calendar
    days = oea.execute("SELECT min(date), max(date), count(DISTINCT date)::INT FROM attendance_event").fetchone()
    assert days == (str(calendar.first_day), str(calendar.last_day), 20)
