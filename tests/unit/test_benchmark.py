"""The benchmark compares speeds of equal answers only, and counts what a whole tree of processes holds."""

import shutil
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest

from benchmarks import answers, by_hand, landing, landing_by_hand, night
from benchmarks.answers import DifferentAnswers, differing_days, differing_figures
from benchmarks.measure import CommandFailed, Cost, measure
from pipelines.sample_district import generate

AS_OF = date(2026, 6, 30)


@pytest.fixture
def both() -> duckdb.DuckDBPyConnection:
    """Two sides that agree: every indicator for one group, and two student-days."""
    con = duckdb.connect()
    for side in ("product", "hand"):
        con.execute(f"create schema {side}")
        con.execute(
            f"""
            create table {side}.indicator_by_group as
            select 2026 as school_year, 'year' as period_type, 'sample' as organization_id, indicator_id,
            'all' as student_group_id, 12.5::double as numerator, 100::double as denominator, 20 as students
            from (select unnest(?) as indicator_id)
            """,
            [sorted(answers.INDICATORS)],
        )
        con.execute(
            f"""
            create table {side}.fct_student_daily_attendance as
            select '0001' as school_id, 2026 as school_year, date '2026-03-02' as date, status,
            null::varchar as absence_type, true as is_enrolled, true as is_session, true as is_settled,
            true as is_year_to_date, missed::decimal(9, 4) as fraction_absent, 1::decimal(9, 4) as day_share
            from (values ('present', 0), ('absent', 1)) as day (status, missed)
            """
        )
    # Nobody is in this group: the product says so in a row without numbers, the script has no row.
    con.execute(
        "insert into product.indicator_by_group"
        " values (2026, 'year', 'sample', 'enrollment', 'sex:nonbinary', null, null, null)"
    )
    return con


def test_equal_answers_have_no_difference(both: duckdb.DuckDBPyConnection) -> None:
    assert differing_figures(both) == []
    assert differing_days(both) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("update hand.indicator_by_group set numerator = 12.5001 where indicator_id = 'attendance_rate'", "differ: 1 "),
        ("update hand.indicator_by_group set denominator = 99 where indicator_id = 'enrollment'", "differ: 1 "),
        ("update product.indicator_by_group set students = 19 where indicator_id = 'enrollment'", "differ: 1 "),
        ("update hand.indicator_by_group set numerator = null where indicator_id = 'enrollment'", "differ: 1 "),
        ("delete from hand.indicator_by_group where indicator_id = 'enrollment'", "only the night has: 1 "),
        (
            "update product.indicator_by_group set numerator = null, denominator = null, students = null"
            " where indicator_id = 'chronic_absence'",
            "only the script has: 1 ",
        ),
    ],
)
def test_a_different_figure_is_found(both: duckdb.DuckDBPyConnection, change: str, said: str) -> None:
    both.execute(change)
    assert any(said in problem for problem in differing_figures(both))


def test_an_indicator_that_both_lack_is_no_agreement(both: duckdb.DuckDBPyConnection) -> None:
    for side in ("product", "hand"):
        both.execute(f"delete from {side}.indicator_by_group where indicator_id = 'survey_belonging_favorable'")
    assert differing_figures(both) == ["indicators without a figure: survey_belonging_favorable"]


@pytest.mark.parametrize(
    "change",
    [
        "update hand.fct_student_daily_attendance set status = 'tardy' where status = 'present'",
        "update hand.fct_student_daily_attendance set fraction_absent = 0.5 where status = 'absent'",
        "insert into hand.fct_student_daily_attendance from hand.fct_student_daily_attendance limit 1",
        "delete from product.fct_student_daily_attendance where status = 'present'",
        "delete from hand.fct_student_daily_attendance where status = 'present'",
        # Two halves in place of one whole: sums are equal, rows are not.
        "update hand.fct_student_daily_attendance set day_share = 0.5 where status = 'present';"
        "insert into hand.fct_student_daily_attendance from hand.fct_student_daily_attendance where status = 'present'",
        "delete from hand.fct_student_daily_attendance",
    ],
)
def test_a_different_day_is_found(both: duckdb.DuckDBPyConnection, change: str) -> None:
    both.execute(change)
    assert differing_days(both)


def test_two_empty_facts_are_no_agreement(both: duckdb.DuckDBPyConnection) -> None:
    for side in ("product", "hand"):
        both.execute(f"delete from {side}.fct_student_daily_attendance")
    assert differing_days(both) == ["the script has no student-day"]


def test_no_comparison_is_printed_of_different_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def disagree(product: Path, script: Path) -> int:
        raise DifferentAnswers("figures that differ: 1")

    def ran(*_: object) -> Cost:
        home = tmp_path / "home" / "published"
        current = next(tmp_path.glob("equity-bench-*")) / home.relative_to(tmp_path)
        current.mkdir(parents=True, exist_ok=True)
        (current / "current.json").write_text('{"snapshot_id": "any"}')
        return Cost(wall=1.0, cpu=1.0, memory=2**30, output="")

    monkeypatch.setattr(night, "require_equal", disagree)
    monkeypatch.setattr(night, "measure", ran)
    monkeypatch.setattr(night, "ensure_manifest", lambda: None)
    assert night.main(["200", "--work", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "do not give the same answers" in printed
    assert "figures that differ: 1" in printed
    assert "ratio" not in printed
    assert "Fixed overhead" not in printed
    assert list(tmp_path.iterdir()) == []


def test_stages_come_from_the_progress_lines() -> None:
    progress = (
        "   0.0 s              starting, data as of 2026-06-30\n"
        "   7.4 s  landing     Landing the district's files\n"
        "   8.1 s  landing     students: extracts/students.csv: student 209 of 209 rows, 0.0 s\n"
        "   8.5 s  landing     done in 1.1 s\n"
        "  12.0 s  gate 1      Judging what the data can carry\n"
        "  16.6 s  gate 1      done in 4.6 s\n"
    )
    assert night.stage_seconds(progress) == {"landing": 1.1, "gate 1": 4.6}


def test_memory_is_that_of_the_whole_tree(tmp_path: Path) -> None:
    """100 MiB held by a child of the child count, while the command itself is small."""
    held = "import time; block = bytearray(b'x') * (100 * 2**20); time.sleep(1)"
    command = [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {held!r}])"]
    cost = measure(command, tmp_path, tmp_path / "log")
    assert cost.memory > 100 * 2**20


def test_a_command_that_fails_is_not_measured(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('the reason'); sys.exit(3)"]
    with pytest.raises(CommandFailed, match=r"ended with 3:\nthe reason"):
        measure(command, tmp_path, tmp_path / "log")


@pytest.fixture
def landed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """One small file of marks, as landing and as the script wrote it."""
    monkeypatch.setenv("EQUITY_KEY_FILE", "")
    assert landing.make_marks(40, 3, tmp_path / "marks.csv") == 120
    (tmp_path / "district.yaml").write_text(landing._DISTRICT)
    landing.land_once(tmp_path)
    by_hand = tmp_path / "by_hand.parquet"
    landing_by_hand.run(tmp_path / "marks.csv", tmp_path / "home" / "keys" / "pseudonym.key", by_hand)
    return next((tmp_path / "home" / "raw" / "attendance_event").glob("*.parquet")), by_hand


def test_landing_and_its_script_write_the_same(landed: tuple[Path, Path]) -> None:
    landing.require_equal(*landed)


@pytest.mark.parametrize(
    "change",
    [
        "select * replace (line + 1 as line) from marks",
        "select * replace (case when line = 2 then 1 else student_key end as student_key) from marks",
        "select * exclude (period) from marks",
        "select * from marks where line > 2",
        "select * from marks union all select * from marks where line = 2",
        "select * from marks where false",
    ],
)
def test_another_cell_row_or_column_is_found(landed: tuple[Path, Path], change: str) -> None:
    product, script = landed
    changed = script.with_name("changed.parquet")
    with duckdb.connect() as con:
        con.execute(f"create view marks as from read_parquet('{script}')")
        con.execute(f"copy ({change}) to '{changed}' (format parquet)")
    with pytest.raises(DifferentAnswers):
        landing.require_equal(product, changed)


def test_no_cost_of_landing_is_printed_of_different_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def disagree(*_: object) -> landing.Measured:
        raise DifferentAnswers("the files do not have the same columns")

    monkeypatch.setattr(landing, "measure_size", disagree)
    assert landing.main(["--work", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "do not write the same" in printed
    assert "ratio" not in printed


@pytest.mark.e2e
def test_a_night_and_the_script_agree_and_one_changed_mark_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two programs that share no code give equal figures; the script on one other mark does not."""
    monkeypatch.delenv("EQUITY_HOME", raising=False)
    made = generate(200, 1, 7, tmp_path / "district", AS_OF)
    kept = tmp_path / "kept"

    def keep(product: Path, script: Path) -> int:
        shutil.copytree(product, kept)
        return answers.require_equal(product, script)

    monkeypatch.setattr(night, "require_equal", keep)
    assert night.run_once(made.district_file, AS_OF, tmp_path).figures > 1000

    marks = tmp_path / "district" / "extracts" / "attendance_daily_2026.csv"
    text = marks.read_text()
    assert ",P,\n" in text
    marks.write_text(text.replace(",P,\n", ",AU,\n", 1))
    by_hand.run(marks.parent, tmp_path / "again", AS_OF)
    with pytest.raises(DifferentAnswers, match=r"attendance_rate(.|\n)*student-days that the script counts otherwise"):
        answers.require_equal(kept, tmp_path / "again")
