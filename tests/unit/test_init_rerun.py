"""Running `equity init` again never writes over what anybody wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines.cli import equity
from pipelines.proposal.keep import keep
from pipelines.proposal.proposal import proposal
from tests.exports.systems import infinite_campus
from tests.exports.world import world


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    infinite_campus(world(students=60), tmp_path / "in")
    return tmp_path


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_second_run_keeps_every_byte_and_says_nothing_is_new(folder: Path) -> None:
    keep(proposal(folder / "in"), folder)
    before = bytes_of(folder)
    again = keep(proposal(folder / "in"), folder)
    after = bytes_of(folder)
    assert {name: content for name, content in after.items() if name in before} == before
    assert set(after) - set(before) == {"district.proposed.yaml"}
    assert again.news == ()
    third = keep(proposal(folder / "in"), folder)
    assert third.written == ()
    assert bytes_of(folder) == after


def test_what_a_person_edited_stays_and_what_is_new_is_told(folder: Path) -> None:
    keep(proposal(folder / "in"), folder)
    district, codes = folder / "district.yaml", folder / "crosswalks" / "attendance_category.csv"
    district.write_text(
        district.read_text().replace("category: attendance.code", "category: attendance.status") + "# mine\n"
    )
    codes.write_text("crosswalk,code,value\nattendance_category,ILL,absent\n")
    edited = bytes_of(folder)
    (folder / "in" / "schools.csv").write_text(
        "School Number,School Name,School Level\n0101,Alder,Elementary\n0204,B,Middle\n"
    )
    with (folder / "in" / "adhoc_attendance.csv").open("a") as more:
        more.write("30511,0101,09/03/2025,NEWCODE,Something,Absent,Unknown,\r\n" * 3)
    kept = keep(proposal(folder / "in"), folder)
    after = bytes_of(folder)
    for name, content in edited.items():
        if not name.startswith("in/"):
            assert after[name] == content, name
    news = "\n".join(kept.news)
    assert "schools.csv" in news
    assert "attendance_category" in news
    proposed = (folder / "crosswalks.proposed" / "attendance_category.csv").read_text()
    assert "NEWCODE" in proposed
    assert ",ILL," not in proposed, "a code that the district named already is not proposed again"


def test_an_edited_proposal_is_kept_too(folder: Path) -> None:
    keep(proposal(folder / "in"), folder)
    keep(proposal(folder / "in"), folder)
    older = folder / "district.proposed.yaml"
    older.write_text(older.read_text() + "# my notes\n")
    edited = older.read_bytes()
    (folder / "in" / "adhoc_behavior.csv").unlink()
    keep(proposal(folder / "in"), folder)
    assert older.read_bytes() == edited
    assert (folder / "district.proposed-2.yaml").exists()


def test_an_untouched_proposal_is_replaced_by_the_next(folder: Path) -> None:
    keep(proposal(folder / "in"), folder)
    keep(proposal(folder / "in"), folder)
    older = (folder / "district.proposed.yaml").read_bytes()
    (folder / "in" / "adhoc_behavior.csv").unlink()
    keep(proposal(folder / "in"), folder)
    assert (folder / "district.proposed.yaml").read_bytes() != older
    assert not (folder / "district.proposed-2.yaml").exists()


def test_a_map_that_names_a_column_that_is_gone_is_told(folder: Path) -> None:
    keep(proposal(folder / "in"), folder)
    attendance = folder / "in" / "adhoc_attendance.csv"
    attendance.write_text(attendance.read_text().replace("attendance.code", "attendance.mark", 1))
    news = "\n".join(keep(proposal(folder / "in"), folder).news)
    assert "gone: attendance.code" in news


def test_own_files_in_the_folder_are_no_extracts(folder: Path) -> None:
    keep(proposal(folder / "in"), folder / "in")
    made = proposal(folder / "in")
    named = {file for source in made.sources for file in source.extract.files} | {one.file for one in made.left_out}
    assert named == {"adhoc_students.csv", "adhoc_attendance.csv", "adhoc_behavior.csv"}


def test_the_command_writes_into_out_and_shows_the_next_step(folder: Path) -> None:
    result = CliRunner().invoke(equity, ["init", str(folder / "in"), "--out", str(folder / "new" / "place")])
    assert result.exit_code == 0, result.output
    assert (folder / "new" / "place" / "district.yaml").exists()
    assert "equity check --district" in result.output
    assert "attendance_event" in result.output


def test_a_folder_that_is_none_is_a_configuration_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(equity, ["init", str(tmp_path / "nowhere")])
    assert result.exit_code != 0
    assert "is not a folder" in str(result.exception.args if result.exception else result.output)
