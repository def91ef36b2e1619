"""Addresses and secrets, from the environment or from files that it names; never from `district.yaml`."""

from __future__ import annotations

import os
from pathlib import Path

from pipelines.sources import Unreadable


def from_environment(variable: str, what: str) -> str:
    """What the variable, or the file named by `<variable>_FILE`, holds. what: in words. Raises Unreadable."""
    text = os.environ.get(variable, "").strip()
    if not text and (file := os.environ.get(f"{variable}_FILE")):
        try:
            text = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError):
            raise Unreadable(
                "connection_not_set",
                f"The file named by {variable}_FILE cannot be read.",
                None,
                "Check the path, and that this user may read it.",
            ) from None
    if not text:
        raise Unreadable(
            "connection_not_set",
            f"Neither {variable} nor {variable}_FILE is set in the environment.",
            None,
            f"Set {variable} to {what}, or {variable}_FILE to a file that holds it.",
        )
    return text
