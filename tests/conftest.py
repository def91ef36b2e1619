"""Lets tests import the helpers that lie beside them by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

for folder in ("e2e", "corpus", "unit"):
    sys.path.insert(0, str(Path(__file__).parent / folder))


def pytest_configure(config: pytest.Config) -> None:
    """Parse the dbt project before tests run side by side: two processes at once would read half a manifest."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        from pipelines.dbt import ensure_manifest

        ensure_manifest()
