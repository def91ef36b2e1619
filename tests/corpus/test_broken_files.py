"""A night over a hundred and more broken files, each a source of its own, beside one that nothing is wrong with.

Whatever a file holds: what can be read lands and the rest is refused with line and remedy, or the source is
held back with a remedy; no error reaches the night, no row is lost, the neighbour is untouched, and time and memory
stay within bounds. One landing reads them all, in a process of its own that is held to a limit of memory.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from broken_files import ROWS, Case, as_csv, cases, good_rows
from broken_xml import broken_xml

SEED = 20261125


def all_cases() -> list[Case]:
    return [*cases(SEED), *broken_xml(random.Random(SEED))]


CASES = all_cases()
NEIGHBOUR = "neighbour"
#: The reason why a file may be held or a row refused is never this.
_FORBIDDEN = ("Traceback", "Error:", "duckdb", "0x")
#: Beside DuckDB's own limit of 1 GB: the program, Arrow, and a spreadsheet in memory.
_MEMORY = 2_500_000_000
_SECONDS = 240


def _land(folder: Path, home: Path) -> None:
    """In a process of its own: land everything and write down what became of it."""
    from pipelines.config import DistrictFile, Settings
    from pipelines.home import Home
    from pipelines.landing import land

    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    sources: dict[str, Any] = {case.name: case.source for case in CASES}
    sources[NEIGHBOUR] = {**Case(NEIGHBOUR, "delimited", ".csv", b"").source}
    settings = Settings.model_validate(
        {
            "district": {"id": "d", "name": "D", "contact": "x@example.org", "time_zone": "America/Chicago"},
            "sources": sources,
        }
    )
    said: list[str] = []
    landing = land(
        DistrictFile(path=folder / "district.yaml", settings=settings),
        Home.open(home),
        as_of=date(2025, 10, 1),
        say=said.append,
    )
    told = {
        "said": said,
        "states": {state.source_id: [state.status, state.message, state.remedy] for state in landing.sources},
        "files": [
            {
                "source": file.source_id,
                "outcome": file.outcome,
                "read": file.rows_read,
                "accepted": file.rows_accepted,
                "refused": file.rows_refused,
                "others": file.rows_filtered + file.rows_collapsed,
                "raw": str(file.raw_path),
                "refused_path": str(file.refused_path) if file.refused_path else None,
            }
            for file in landing.files
        ],
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    (home.parent / "told.json").write_text(json.dumps(told), encoding="utf-8")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("corpus")
    folder = root / "extracts"
    folder.mkdir()
    for case in CASES:
        (folder / f"{case.name}{case.suffix}").write_bytes(case.content)
    (folder / f"{NEIGHBOUR}.csv").write_text(as_csv(good_rows()), encoding="utf-8")
    long_ago = 1_700_000_000
    for path in folder.iterdir():
        os.utime(path, (long_ago, long_ago))
    process = multiprocessing.get_context("spawn").Process(target=_land, args=(folder, root / "home"))
    process.start()
    process.join(_SECONDS)
    if process.is_alive():
        process.kill()
        pytest.fail("landing hung")
    assert process.exitcode == 0
    found: dict[str, Any] = json.loads((root / "told.json").read_text(encoding="utf-8"))
    return found


def test_the_corpus_is_large_and_has_no_case_twice() -> None:
    assert len(CASES) >= 100
    assert len({case.name for case in CASES}) == len(CASES)
    again = {case.name: case.content for case in all_cases()}
    # Workbooks and zips carry the time at which they were made.
    assert all(again[case.name] == case.content for case in CASES if case.suffix in (".csv", ".txt", ".json", ".xml"))
    assert sum(case.kind == "edfi_xml" for case in CASES) >= 60


def test_the_neighbour_lands_whole(told: dict[str, Any]) -> None:
    assert told["states"][NEIGHBOUR][:2] == ["new", ""]
    (file,) = [file for file in told["files"] if file["source"] == NEIGHBOUR]
    assert (file["accepted"], file["refused"]) == (ROWS, 0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_broken_file_is_told_and_accounted_for(case: Case, told: dict[str, Any]) -> None:
    status, message, remedy = told["states"][case.name]
    files = [file for file in told["files"] if file["source"] == case.name and file["outcome"] == "accepted"]
    is_held = status in ("absent", "unreadable", "late", "held")
    assert is_held == bool(message), "what is held back says why, and nothing else has anything to say"
    assert is_held == bool(remedy)
    assert not any(word in message + remedy for word in _FORBIDDEN)
    if is_held:
        assert not files
        assert f"{case.name}{case.suffix}" in message or status == "absent"
    for file in files:
        assert file["read"] == file["accepted"] + file["refused"] + file["others"]
        if file["refused"]:
            refused = duckdb.execute(
                "select count(*), count(line), count(reason), count(remedy) from read_parquet(?)",
                [file["refused_path"]],
            ).fetchone()
            assert refused == (file["refused"],) * 4
    if case.held:
        assert is_held, "nothing of this file can be trusted"
    if case.accepted is not None:
        assert not is_held, message
        assert sum(file["accepted"] for file in files) == case.accepted
        assert sum(file["refused"] for file in files) == case.refused


def test_no_cell_is_told(told: dict[str, Any]) -> None:
    spoken = json.dumps([told["said"], told["states"]])
    for row in good_rows():
        assert row[0] not in spoken
    assert "/etc/passwd" not in spoken


def test_memory_stays_within_bounds(told: dict[str, Any]) -> None:
    assert told["peak"] * 1024 < _MEMORY
