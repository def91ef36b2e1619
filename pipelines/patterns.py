"""Regular expressions of `district.yaml`, as the engine understands them.

The engine's expressions (RE2) take time in proportion to the text, whatever the pattern; Python's may not.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

import duckdb


def has_groups(pattern: str, count: int) -> bool:
    """Whether the engine can read the pattern and it has exactly so many groups that capture."""
    with duckdb.connect() as con:
        return _reads(con, pattern, count) and not _reads(con, pattern, count + 1)


def is_readable(pattern: str) -> bool:
    """Whether the engine can read the pattern."""
    with duckdb.connect() as con:
        return _reads(con, pattern, 0)


def named_groups(pattern: str) -> dict[str, int] | None:
    """The pattern's named groups, `(?P<name>...)`, with their numbers; None where it cannot be read."""
    if not is_readable(pattern):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return dict(re.compile(pattern).groupindex)
    except (re.error, RecursionError, OverflowError):
        return None


def fitting(
    con: duckdb.DuckDBPyConnection, pattern: str, names: Sequence[str], groups: Sequence[int]
) -> list[tuple[str, ...]]:
    """The names that fit the pattern as a whole, in any case, each with what the groups of these numbers hold."""
    parts = "".join(f", coalesce(regexp_extract(name, $whole, {number}, 'i'), '')" for number in groups)
    return con.execute(
        f"SELECT name{parts} FROM (SELECT unnest($names::VARCHAR[]) AS name) WHERE regexp_matches(name, $whole, 'i')",
        {"names": list(names), "whole": f"^(?:{pattern})$"},
    ).fetchall()


def _reads(con: duckdb.DuckDBPyConnection, pattern: str, groups: int) -> bool:
    asked = ", ".join(f"'g{number}'" for number in range(groups))
    try:
        con.execute(f"SELECT regexp_extract('', $1, {f'[{asked}]' if groups else '0'})", [pattern])
    except duckdb.Error:
        return False
    return True
