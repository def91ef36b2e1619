"""What can be said about a database source's query without a database."""

from __future__ import annotations

import re
from datetime import datetime

#: Where the query holds the high-water mark. `::` before a word is PostgreSQL's cast.
QUERY_MARK = re.compile(r"(?<![:\w]):high_water_mark\b", re.IGNORECASE)
_COMMENTS = r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*"
_READS_ONLY = re.compile(rf"{_COMMENTS}[(\s]*(?:select|with|values|table)\b", re.IGNORECASE | re.DOTALL)


def names_a_file(query: str) -> bool:
    """Whether `query:` is the path of a .sql file, and not the query itself."""
    return query.strip().lower().endswith(".sql") and "\n" not in query.strip() and not _READS_ONLY.match(query)


def fault_of(query: str, *, has_mark: bool) -> tuple[str, str, str] | None:
    """Reason code, message and remedy of a query that cannot be meant; None for any other: the server judges those.

    has_mark: whether the source names a high-water mark.
    """
    if not _READS_ONLY.match(query):
        return (
            "query_not_read_only",
            "The query does not begin with SELECT or WITH.",
            "Write one query that only reads.",
        )
    holds_mark = QUERY_MARK.search(query) is not None
    if has_mark and not holds_mark:
        remedy = "Compare the mark's column with :high_water_mark in the query, or remove high_water_mark."
        return "query_without_mark", "The query does not hold :high_water_mark, so it would give all rows.", remedy
    if holds_mark and not has_mark:
        remedy = "Add high_water_mark: {column: ..., start: ...}, or remove the comparison from the query."
        return "query_without_mark", "The query holds :high_water_mark, and high_water_mark is not set.", remedy
    return None


def is_mark(value: str) -> bool:
    """Whether a text is a plain number or an ISO date or time, as marks are compared."""
    if re.fullmatch(r"-?\d{1,28}(\.\d{1,9})?", value):
        return True
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
