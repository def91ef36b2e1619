"""Spreadsheets: xlsx, xlsm, xlsb, xls and ods, told apart by content, not by name.

python-calamine reads them, in a process of its own (`excel_child.py`): it holds a whole sheet in memory, and what
a damaged workbook asks for has no bound. A row's line is its number in the sheet. A blank row is no record.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import duckdb

from pipelines.config import Source
from pipelines.mapping import file_columns
from pipelines.sources import Reading, Unreadable
from pipelines.sources.rows import Written

_CHILD = ("-m", "pipelines.sources.excel_child")
_SECONDS = 600
#: An xlsx of five million cells unpacks to some 300 MB.
_MOST_UNPACKED = 1024**3
_MOST_PACKED = 200 * 1024**2
_ZIP, _OLD = b"PK", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def read(con: duckdb.DuckDBPyConnection, file: Path, source: Source, scratch: Path) -> Reading:
    """Read one sheet into a table named under `*`. Raises Unreadable when the whole file cannot be read."""
    _require_workbook(file)
    request = {
        "file": str(file),
        "scratch": str(scratch),
        "sheet": source.sheet,
        "header": source.header,
        "column_names": source.column_names,
        "footer_lines": source.footer_lines,
        "mapped": _mapped(source),
    }
    reply = _ask(request)
    if "unreadable" in reply:
        raise Unreadable(**reply["unreadable"])
    return Written(**reply["written"]).reading(con)


def _ask(request: dict[str, Any]) -> dict[str, Any]:
    """The child's reply. Raises Unreadable where it gave none."""
    try:
        child = subprocess.run(
            [sys.executable, "-I", *_CHILD],
            input=json.dumps(request),
            env={},
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        reply: dict[str, Any] = json.loads(child.stdout)
    except subprocess.TimeoutExpired:
        raise Unreadable(
            "workbook_too_slow",
            f"The workbook could not be read within {_SECONDS} seconds.",
            None,
            "Save the sheet as CSV and read it as kind: delimited.",
        ) from None
    except ValueError:  # it died, of too much memory
        raise _too_large() from None
    return reply


def _require_workbook(file: Path) -> None:
    """Raises Unreadable where the file is no workbook, or one that would grow beyond measure."""
    with file.open("rb") as opened:
        start = opened.read(8)
    if not start:
        raise Unreadable("empty_file", "The file is empty.", None, "Export it again.")
    if file.stat().st_size > _MOST_PACKED:
        raise _too_large()
    if start == _OLD:
        return
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(one.file_size for one in archive.infolist())
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, OverflowError):
        what = "a damaged workbook" if start.startswith(_ZIP) else "no workbook"
        raise Unreadable(
            "not_a_workbook",
            f"The file is {what}.",
            None,
            "Export it again, or set the source's kind to what the file is: many exports called .xls are text.",
        ) from None
    if unpacked > _MOST_UNPACKED:
        raise _too_large()


def _mapped(source: Source) -> list[str] | None:
    """The columns that the maps read, in lower case; None where that cannot be known."""
    maps = source.entities.values()
    if not maps or any(one.sql is not None or one.unpivot is not None for one in maps):
        return None
    return sorted({" ".join(name.split()).lower() for one in maps for name in file_columns(one)})


def _too_large() -> Unreadable:
    return Unreadable(
        "workbook_too_large",
        "The workbook is too large for the memory that there is, or holds a cell far from all others.",
        None,
        "Delete stray cells, or save the sheet as CSV and read it as kind: delimited.",
    )
