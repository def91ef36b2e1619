"""Which code computed a snapshot: the release and a hash of everything that can change a figure."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from pipelines import __version__

ROOT = Path(__file__).resolve().parent.parent
DBT_PROJECT = ROOT / "dbt_project"
EXPECTATIONS = ROOT / "expectations"
_SUFFIXES = frozenset({".py", ".sql", ".yml", ".csv", ".txt"})
_FOLDERS = ("pipelines", "dbt_project", "expectations", "requirements")
_GENERATED = frozenset({"target", "logs", "__pycache__"})


def content_hash(*folders: Path) -> str:
    """SHA-256 over names and contents of the source files below `folders`, generated ones left out."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in _SUFFIXES and not _GENERATED & set(path.relative_to(folder).parts):
                digest.update(f"{folder.name}/{path.relative_to(folder)}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def code_version() -> str:
    """`<release>+<first 12 characters of the hash>`."""
    return f"{__version__}+{content_hash(*(ROOT / name for name in _FOLDERS))[:12]}"
