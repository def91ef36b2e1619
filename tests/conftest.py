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


def pytest_make_parametrize_id(val: object) -> str | None:
    """Long bytes have no name of their own: a zip carries the time, and two processes must collect the same names."""
    return "bytes" if isinstance(val, bytes) and len(val) > 40 else None
