"""Columns that are never carried, recognised by their names in whatever spelling."""

from __future__ import annotations

import re

from pipelines.contract import REFUSED_COLUMN_WORDS


def refused_word(column: str) -> str | None:
    """The refused word (contract.REFUSED_COLUMN_WORDS) in a column's name, in whatever spelling.

    Long words are found anywhere; a short one only as a word of its own or at either end, since
    `class_name` is no social security number.
    """
    letters = re.sub(r"[^a-z]", "", column.lower())
    words = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", column)}
    for refused in REFUSED_COLUMN_WORDS:
        if len(refused) > 4 and refused in letters:
            return refused
        if len(refused) <= 4 and (refused in words or letters.startswith(refused) or letters.endswith(refused)):
            return refused
    return None
