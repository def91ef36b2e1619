"""What a OneRoster set says of itself in manifest.csv, held against what lies there and what district.yaml says.

A delta that is read as if it were everything would delete whatever did not change, so it is not taken. The check is
of the set, where readers see one file, and it holds no value but names of files that OneRoster gives.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from pipelines.deliveries import MissingRows
from pipelines.sources import Unreadable

_NAME = "manifest.csv"
#: A manifest has about twenty lines; more of a file is not looked at.
_BYTES = 65_536
#: 1.0 has no manifest, but some who write one say so; its files are told by their headers as any.
_VERSIONS = ("1.0", "1.1", "1.2")
#: The files that feed something, by the names that the standard gives them.
_FILES = ("orgs", "users", "roles", "demographics", "enrollments")


def fault(files: Mapping[str, Path], missing_rows: MissingRows) -> Unreadable | None:
    """What is wrong with a delivery by the manifests in it; None where nothing is, or none is there.

    files: the delivery's files by name, and where each one is kept.
    """
    present = {PurePosixPath(name.lower()) for name in files}
    for name, path in files.items():
        place = PurePosixPath(name.lower())
        if place.name == _NAME:
            said = _properties(path)
            problem = _fault(said, {one.stem for one in present if one.parent == place.parent}, missing_rows)
            if problem is not None:
                reason, message, remedy = problem
                return Unreadable(reason, f"{name}: {message}", None, remedy)
    return None


def _properties(path: Path) -> dict[str, str]:
    with path.open("rb") as content:
        text = content.read(_BYTES).decode("utf-8-sig", errors="replace")
    rows = csv.reader(io.StringIO(text.replace("\0", ""), newline=""))
    try:
        return {row[0].strip().lower(): row[1].strip().lower() for row in rows if len(row) > 1}
    except csv.Error:
        return {}  # the reader of its rows says what is wrong with them


def _fault(said: Mapping[str, str], present: set[str], missing_rows: MissingRows) -> tuple[str, str, str] | None:
    """Reason, message and remedy."""
    version = said.get("oneroster.version", "")
    if version and version not in _VERSIONS:
        return (
            "unknown_version",
            "The set is of another version of OneRoster than 1.1 and 1.2.",
            "Ask for version 1.1 or 1.2.",
        )
    sent = {name: said.get(f"file.{name}", "") for name in _FILES}
    missing = [name for name in _FILES if sent[name] in ("bulk", "delta") and name not in present]
    if missing:
        return (
            "incomplete_set",
            f"It names files that are not there: {', '.join(missing)}.",
            "Wait until the export is complete, or export the whole set again.",
        )
    deltas = [name for name in _FILES if sent[name] == "delta"]
    if deltas and missing_rows != "append":
        return (
            "delta_is_not_all",
            f"Only what changed is sent of {', '.join(deltas)}, and missing_rows: {missing_rows} would take the rest "
            "as gone.",
            "Write missing_rows: append, or ask for bulk files.",
        )
    return None
