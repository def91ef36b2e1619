"""Fixed-width text: every column has its place in the line, counted in characters from 1.

Exports trim the blanks at a line's end, so a line may end early: the columns that it does not reach are blank.
That a line was cut instead cannot be seen, but for the last line of a file that ends without a line end: there a
short line is refused. So is a line with a tab, which moves everything behind it.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import duckdb

from pipelines.config import Source
from pipelines.sources import Reading, Unreadable, text
from pipelines.sources.rows import Rows, column_names

_REMEDIES = {
    "line_too_short": "Export the file again, with a line end after its last row: this row may have been cut.",
    "tab_in_line": "Export the row again with blanks in place of tabs: columns are found by counting characters.",
    "nul_character": "Export the row again without control characters.",
}


def read(con: duckdb.DuckDBPyConnection, file: Path, source: Source, scratch: Path) -> Reading:
    """Read a fixed-width file into a table named under `*`. A row's line is its physical line.

    A line of blanks is no record. Raises Unreadable when the whole file cannot be read.
    """
    names = column_names(source.fields, None)
    places = [slice(first - 1, last) for first, last in source.fields.values()]
    width = max(place.stop for place in places)
    encoding = text.encoding_of(file, source.encoding)
    rows = Rows(scratch, _REMEDIES, names)
    with text.decoding(file, encoding):
        ending = text.ending(con, file, encoding, source)
        with text.open_text(file, encoding) as opened:
            for line, content in enumerate(islice(text.lines(opened), ending.last_line), start=1):
                row = content.removesuffix("\n")
                if not row.strip():
                    continue
                if "\t" in row:
                    rows.refuse(line, "tab_in_line", row)
                elif "\0" in row:
                    rows.refuse(line, "nul_character", row)
                elif len(row) < width and row is content:
                    rows.refuse(line, "line_too_short", row)
                else:
                    rows.add(line, [row[place] for place in places])
    if not rows.count and ending.last_line is None:
        raise Unreadable("empty_file", "The file holds no row.", 1, "Export it again, with its rows.")
    ending.require(rows.count)
    return rows.reading(con)
