"""The sheets of a workbook as rows of text, read in a process of its own: what a damaged one asks for has no bound.

Asked with the file's path as its one argument, it answers on standard output with a JSON list of [sheet, rows].
"""

from __future__ import annotations

import json
import resource
import sys

import python_calamine

from pipelines.child import die_with_parent

_PROCESS_BYTES = 3 * 1024**3
#: Rows of the beginning and of the end of a sheet, and cells of a row, that are handed over.
_FIRST_ROWS, _LAST_ROWS, _ROW_CELLS = 40_000, 20, 10_000


def main() -> None:
    """Read the workbook named on the command line."""
    die_with_parent("a look at a spreadsheet")
    if sys.platform == "linux":  # elsewhere the kernel does not hold a process to it
        resource.setrlimit(resource.RLIMIT_AS, (_PROCESS_BYTES, _PROCESS_BYTES))
    book = python_calamine.CalamineWorkbook.from_path(sys.argv[1])
    found = []
    for name in book.sheet_names:
        rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
        kept = rows if len(rows) <= _FIRST_ROWS + _LAST_ROWS else [*rows[:_FIRST_ROWS], *rows[-_LAST_ROWS:]]
        found.append([name, [[as_text(cell) for cell in row[:_ROW_CELLS]] for row in kept]])
    json.dump(found, sys.stdout)


def as_text(value: object) -> str:
    """A cell as the readers of typed files write it: whole numbers without a point, days as ISO dates."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip().removesuffix(" 00:00:00")


if __name__ == "__main__":
    main()
