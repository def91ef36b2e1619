"""The load: what tonight's figures depend on, as one hash, and whether anything is new."""

from __future__ import annotations

import hashlib
import json
from datetime import date

from pipelines import snapshots
from pipelines.code_version import code_version
from pipelines.config import DistrictFile
from pipelines.crosswalks import Crosswalks
from pipelines.home import Home

_LENGTH = 16


def load_id(
    district: DistrictFile, crosswalks: Crosswalks, *, input_hash: str, arrivals: list[tuple[str, str]], as_of: date
) -> str:
    """Equal inputs, configuration, key, as-of date and code give an equal id: 16 hexadecimal characters.

    input_hash holds the files and the key's fingerprint; arrivals are (source, arrived or not) of tonight.
    """
    parts = {
        "input": input_hash,
        "arrivals": sorted(arrivals),
        "settings": district.settings.model_dump(mode="json", exclude={"home", "schedule", "retention"}),
        "crosswalks": crosswalks.content_hash,
        "as_of": as_of.isoformat(),
        "code": code_version(),
    }
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def is_published(home: Home, wanted: str) -> bool:
    """Whether the current snapshot already holds this load."""
    current = snapshots.current(home.published)
    return current is not None and snapshots.read_manifest(home.published, current)["load_id"] == wanted
