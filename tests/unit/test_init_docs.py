"""The pages about sources: their fragments read an export of that system, and their figures are those of today."""

from __future__ import annotations

import io
import re
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from pipelines import crosswalks
from pipelines.check import check
from pipelines.district_file import load
from pipelines.proposal.proposal import proposal
from tests.exports.holdouts import HOLDOUTS
from tests.exports.measure import row
from tests.exports.others import OTHERS
from tests.exports.systems import SYSTEMS
from tests.exports.truth import score
from tests.exports.world import world

SOURCES = Path(__file__).resolve().parents[2] / "docs" / "sources"
PAGES = ("powerschool", "infinite_campus", "skyward", "aeries", "synergy")


@pytest.mark.parametrize("system", PAGES)
def test_the_fragment_of_a_systems_page_reads_its_export_without_a_refused_row(system: str, tmp_path: Path) -> None:
    page = (SOURCES / f"{system}.md").read_text(encoding="utf-8")
    fragment = re.search(r"(?ms)^```yaml\n(district:.*?)^```", page)
    assert fragment is not None
    (tmp_path / "district.yaml").write_text(fragment[1], encoding="utf-8")
    SYSTEMS[system](world(), tmp_path / "extracts")
    shown = io.StringIO()
    district = load(tmp_path / "district.yaml")
    console = Console(file=shown, width=200)
    assert check(district, crosswalks.load(tmp_path), None, date(2025, 11, 28), console), shown.getvalue()
    assert "refused" not in shown.getvalue()


@pytest.mark.parametrize("system", PAGES)
def test_a_systems_page_says_that_it_is_unverified_and_where_its_names_are_from(system: str) -> None:
    page = (SOURCES / f"{system}.md").read_text(encoding="utf-8")
    assert "**Unverified: no district has confirmed this.**" in page
    assert {"## What to export", "## Traps", "## Where the names are from"} <= set(re.findall(r"(?m)^## .+$", page))


def test_every_source_page_is_reached_from_the_index() -> None:
    index = (SOURCES / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in SOURCES.glob("*.md")} - {"README.md"}
    assert {page for page in pages if f"({page})" not in index} == set()


@pytest.mark.parametrize("name", [*SYSTEMS, *OTHERS, *HOLDOUTS])
def test_the_figures_of_the_index_are_those_of_today(name: str, tmp_path: Path) -> None:
    truth = {**SYSTEMS, **OTHERS, **HOLDOUTS}[name](world(), tmp_path / "in")
    assert row(name, score(proposal(tmp_path / "in"), truth)) in (SOURCES / "README.md").read_text(encoding="utf-8")
