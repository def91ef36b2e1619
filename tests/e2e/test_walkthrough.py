"""Replays docs/walkthrough.md: the page's commands, with the page's answers, give what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.exports.fill import filled

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "walkthrough.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """The page's commands in their order: lines that are indented by four blanks."""
    outside = re.sub(r"(?ms)^```.*?^```", "", PAGE)
    return re.findall(r"^    (\S.+)$", outside, re.MULTILINE)


def shown(section: str) -> list[str]:
    """Every line of output that the section shows, in pieces where `...` stands for something."""
    text = next(part for part in re.split(r"(?m)^## ", PAGE) if part.startswith(section))
    blocks = re.findall(r"(?ms)^```text\n(.*?)^```", text)
    lines = [line for block in blocks for line in block.splitlines()]
    return [piece.strip() for line in lines for piece in line.split("...") if piece.strip()]


def lacks(text: str, lines: list[str]) -> list[str]:
    """The lines that the text does not hold, blanks aside."""
    plain = " ".join(text.split())
    return [line for line in lines if " ".join(line.split()) not in plain]


def run(command: str, folder: Path) -> str:
    """What a command prints, run in the folder with this checkout's programs."""
    program, *words = command.split()
    beside = Path(sys.executable).parent
    whole = [str(beside / Path(program).name), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
    for name in ("EQUITY_HOME", "EQUITY_DISTRICT"):
        environment.pop(name, None)
    done = subprocess.run(whole, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_a_line_that_is_not_printed_is_found() -> None:
    assert lacks("one  two\nthree", ["one two", "four"]) == ["four"]
    assert len(commands()) == 5
    assert len(shown("2.")) > 15


@pytest.mark.e2e
def test_the_walkthrough_gives_what_it_shows(tmp_path: Path) -> None:
    make, init, first_check, check, night = commands()
    run(make, tmp_path)
    printed = run(init, tmp_path)
    district = tmp_path / "lincoln" / "district.yaml"
    assert lacks(printed + district.read_text(), shown("2.")) == []
    assert (
        lacks(run(first_check, tmp_path), [line for line in shown("3.") if "is empty" in line or "problems" in line])
        == []
    )
    district.write_text(filled(district.read_text()))
    answers = [line for line in shown("3.") if "is empty" not in line and "problems" not in line]
    assert lacks(district.read_text(), answers) == []
    codes = re.search(r"(?ms)^```csv\n(.*?)^```", PAGE)
    assert codes is not None
    (tmp_path / "lincoln" / "crosswalks" / "race.csv").write_text(codes[1])
    assert lacks(run(check, tmp_path), shown("4.")) == []
    assert lacks(run(night, tmp_path), shown("5.")) == []
