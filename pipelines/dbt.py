"""dbt's manifest, kept in step with the project, and the arguments of the night's two dbt steps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.code_version import DBT_PROJECT, content_hash
from pipelines.home import write_atomically
from pipelines.outcome import InternalError

TARGET = DBT_PROJECT / "target"
MANIFEST = TARGET / "manifest.json"
_STAMP = TARGET / "manifest.source"

#: What each dbt step builds. Gate 1 stands between them, so it can stop or narrow what marts read.
WAREHOUSE_MODELS = "resource_type:seed equity.staging equity.core equity.audit.facts"
MART_MODELS = "equity.marts equity.audit.marts"


def build_arguments() -> list[str]:
    """`dbt build` without unit tests: those prove definitions on a developer's machine, not tonight's data."""
    return ["build", "--exclude-resource-type", "unit_test", "--log-level-file", "info"]


def ensure_manifest() -> Path:
    """Parse the project when it changed since it was last parsed; the manifest's path comes back.

    A stale manifest fails in the middle of a run with an unknown test, so every entry point calls this.
    """
    stamp = content_hash(DBT_PROJECT)
    if MANIFEST.exists() and _STAMP.exists() and _STAMP.read_text() == stamp:
        return MANIFEST
    TARGET.mkdir(exist_ok=True)
    parsed = subprocess.run(
        [str(Path(sys.executable).with_name("dbt")), "parse", "--quiet"],
        cwd=DBT_PROJECT,
        env={**os.environ, "DBT_PROFILES_DIR": str(DBT_PROJECT), "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if parsed.returncode:
        raise InternalError("dbt could not parse the project", "Run `dbt parse` in dbt_project/ and read its output.")
    write_atomically(_STAMP, stamp)
    manifest.cache_clear()
    return MANIFEST


@cache
def manifest() -> dict[str, Any]:
    """The parsed manifest."""
    content: dict[str, Any] = json.loads(ensure_manifest().read_text(encoding="utf-8"))
    return content


def failed_nodes(run_results: Path) -> tuple[list[str], list[str]]:
    """Names of failed tests and of broken nodes in a `run_results.json`. Messages are not read: they may quote data."""
    if not run_results.exists():
        return [], []
    results = json.loads(run_results.read_text(encoding="utf-8"))["results"]
    tests = [_name(result) for result in results if result["status"] == "fail"]
    broken = [_name(result) for result in results if result["status"] == "error"]
    return tests, broken


def _name(result: dict[str, Any]) -> str:
    return str(result["unique_id"]).split(".")[2]
