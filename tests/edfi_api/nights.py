"""A district whose source is an API: its nights, and what they left behind."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.config import DistrictFile, Settings
from pipelines.home import Home
from pipelines.landing import Landing, SourceState, land
from pipelines.sources import edfi_api_client
from tests.edfi_api.server import CANARY, KEY, SECRET, Ods, described, serve

PSEUDONYM_KEY = bytes(range(32))
MONDAY, TUESDAY, WEDNESDAY = (date(2025, 9, day) for day in (1, 2, 3))
ENTITIES = ("student", "student_school_enrollment")
SECRETS = (CANARY, KEY, SECRET, "canary-token", "ZQX0")


class District:
    """One source of kind edfi_api, and a home."""

    def __init__(self, folder: Path, entities: tuple[str, ...] = ENTITIES, **source: Any) -> None:
        self.folder = folder
        self.home = Home.open(folder / "home")
        self.said: list[str] = []
        self.source = {
            "kind": "edfi_api",
            "connection": "EDFI_ODS",
            "missing_rows": "full",
            "attendance_records": "exceptions",
            "time_limit_seconds": 30,
            "entities": {name: {} for name in entities},
            # These tests delete half a school; holding such a delivery is tested with every kind of source.
            **source,
        }

    def land(self, as_of: date = MONDAY) -> Landing:
        about = {"id": "d", "name": "D", "contact": "x@example.org", "time_zone": "America/Chicago"}
        settings = {"district": about, "sources": {"ods": self.source}, "thresholds": {"removed_rows_percent": 100}}
        file = DistrictFile(path=self.folder / "district.yaml", settings=Settings.model_validate(settings))
        landing = land(file, self.home, as_of=as_of, say=self.said.append)
        for one in landing.files:
            assert one.rows_read == one.rows_accepted + one.rows_refused + one.rows_filtered + one.rows_collapsed
        return landing

    def marks(self) -> str:
        path = self.home.landing / "edfi_api" / "ods" / "marks.json"
        return path.read_text() if path.exists() else ""

    def everything_written(self) -> str:
        """All that may be read or shown: what was said, receipts, notes, and the names of files."""
        texts = [path.read_text(errors="replace") for path in self.home.root.rglob("*.json")]
        return " ".join([*self.said, *texts, *map(str, self.home.root.rglob("*"))])


def state(landing: Landing) -> SourceState:
    (found,) = landing.sources
    return found


def rows(landing: Landing, entity: str, columns: str = "* EXCLUDE (file_id, line)") -> list[tuple[Any, ...]]:
    """The rows in use, in no particular order: sorted."""
    paths = [str(one.raw_path) for one in landing.files if one.is_live and one.entity == entity]
    if not paths:
        return []
    return duckdb.execute(f"SELECT {columns} FROM read_parquet(?) ORDER BY ALL", [paths]).fetchall()


def tables(landing: Landing) -> dict[str, list[tuple[Any, ...]]]:
    return {entity: rows(landing, entity) for entity in sorted({one.entity for one in landing.files})}


@contextmanager
def running(ods: Ods, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Ods]:
    """The API answers, the environment says where it is, and nobody waits long for it."""
    key = folder / "key"
    key.write_text(PSEUDONYM_KEY.hex())
    key.chmod(0o600)
    described()  # which takes seconds, once
    server = serve(ods)
    monkeypatch.setenv("EQUITY_KEY_FILE", str(key))
    monkeypatch.setenv("EDFI_ODS", ods.url)
    monkeypatch.setenv("EDFI_ODS_KEY", KEY)
    monkeypatch.setenv("EDFI_ODS_SECRET", SECRET)
    patience = edfi_api_client.Patience(
        attempts=4, first_wait=0.01, longest_wait=0.05, connect_seconds=2, read_seconds=0.5, longest_answer=3_000_000
    )
    monkeypatch.setattr(edfi_api_client, "PATIENCE", patience)
    logging.getLogger("urllib3").setLevel(logging.DEBUG)
    try:
        yield ods
    finally:
        ods.released.set()
        server.shutdown()
        server.server_close()
