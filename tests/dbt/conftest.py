"""One warehouse without data, in which every model is built once, for all tests of the dbt project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipelines import crosswalks
from pipelines.code_version import DBT_PROJECT
from pipelines.config import DistrictFile, Settings
from pipelines.home import Home
from pipelines.landing import Landing
from pipelines.warehouse import prepare

#: The least that a district can say. Nothing of it reaches a unit test: those bring their own rows.
SETTINGS = {
    "district": {"id": "D", "name": "District", "contact": "a@b.example", "time_zone": "America/Chicago"},
    "sources": {
        "extract": {
            "kind": "delimited",
            "files": ["school.csv"],
            "missing_rows": "full",
            "expected": "once",
            "entities": {"school": {}},
        }
    },
}


@dataclass(frozen=True)
class Warehouse:
    """A built warehouse file, and dbt's own folder for it. `path` is `building.duckdb`, as in a night."""

    path: Path
    target: Path

    def dbt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run dbt as a night does, in the folder of the warehouse. It has ended when this returns, and its lock too."""
        return subprocess.run(
            [
                str(Path(sys.executable).with_name("dbt")),
                *arguments,
                *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
                *("--target-path", str(self.target), "--log-path", str(self.target / "logs")),
            ],
            cwd=self.path.parent,
            env={**os.environ, "DO_NOT_TRACK": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    def artifact(self, name: str) -> dict[str, Any]:
        """`manifest.json` or `run_results.json` of the last dbt command."""
        content: dict[str, Any] = json.loads((self.target / name).read_text(encoding="utf-8"))
        return content


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Every model, built on no rows at all: a district that has not sent anything yet must not break one."""
    root = tmp_path_factory.mktemp("dbt")
    district = DistrictFile(path=root / "district.yaml", settings=Settings.model_validate(SETTINGS))
    home = Home.open(root / "home")
    nothing = Landing(sources=(), files=(), input_hash="")
    path = prepare(home, district, nothing, crosswalks.load(root), load_id="L", as_of=date(2026, 3, 2))
    made = Warehouse(path=path, target=root / "target")
    built = made.dbt("build", "--resource-type", "seed", "--resource-type", "model")
    assert built.returncode == 0, built.stdout
    return made


@pytest.fixture(scope="session")
def manifest(warehouse: Warehouse) -> dict[str, Any]:
    return warehouse.artifact("manifest.json")
