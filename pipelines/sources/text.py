"""What all files of text have in common: their encoding, their lines, and the last lines that are no records."""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

import duckdb

from pipelines import patterns
from pipelines.config import Source
from pipelines.sources import Unreadable

CHUNK = 4 * 1024 * 1024
#: The longest line or record, in characters: at most 4 bytes each, it stays below DuckDB's limit of 2,000,000 bytes.
LONGEST = 490_000
#: So many bytes show whether text is UTF-16 without its mark.
_SAMPLE = 4096
#: Accents of Western and Central European names, and typographic marks, as UTF-8 writes them. In cp1252 the same
#: bytes would be an `Ã`, `Ä` or `â` before a sign, which no word holds.
_TYPICAL = re.compile("[\u00a0-\u017f\u2010-\u2122]")


# --- the bytes ---------------------------------------------------------------------------------------------


def encoding_of(file: Path, declared: str) -> str:
    """The encoding of a file of text, by one pass over its bytes. declared: the source's setting.

    Raises Unreadable where the file is no text, or not in the encoding that it or its source names.
    """
    encoding = declared_encoding(file, declared)
    if encoding not in ("auto", "utf-8", "utf-8-sig"):
        return encoding
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    try:
        for chunk in chunks(file):
            if not chunk.isascii() or decoder.getstate()[0]:
                decoder.decode(chunk)
            if b"\0" in chunk:
                return not_plain_text(file, encoding)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return not_utf8(file, encoding)
    return "utf-8-sig"


def declared_encoding(file: Path, declared: str) -> str:
    """What the file's mark says, else the declared encoding; `auto` where only a look at all bytes can tell."""
    try:
        with file.open("rb") as binary:
            start = binary.read(3)
    except OSError as problem:
        raise Unreadable(
            "not_readable", f"The file cannot be opened: {problem.strerror}.", None, "Check its path and permissions."
        ) from None
    if not start:
        raise Unreadable("empty_file", "The file is empty.", 1, "Export it again, with its rows.")
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if declared == "auto":
        return "auto"
    try:
        "".encode(declared)  # refuses what is no text encoding, too
    except LookupError:
        raise Unreadable(
            "unknown_encoding", "The source's encoding is not known.", None, "Name one as utf-8, cp1252 or utf-16."
        ) from None
    return codecs.lookup(declared).name


def not_plain_text(file: Path, encoding: str) -> str:
    """The encoding of a file that holds NUL bytes: UTF-16 without its mark, where the choice is ours."""
    if encoding == "auto" and (utf16 := _utf16_without_mark(file)):
        return utf16
    raise nul_byte(_line_at(file, _first(file, lambda chunk: chunk.find(b"\0"))))


def _utf16_without_mark(file: Path) -> str | None:
    """Half of the bytes of Western text in UTF-16 are NUL, all of them on the same side."""
    with file.open("rb") as binary:
        start = binary.read(_SAMPLE)
    sides = start[0::2], start[1::2]
    high, low = (side.count(0) / max(len(side), 1) for side in sides)
    if max(high, low) > 0.7 and min(high, low) < 0.1:
        return "utf-16-be" if high > low else "utf-16-le"
    return None


def not_utf8(file: Path, encoding: str) -> str:
    """The encoding of a file that is not UTF-8: cp1252, where the choice is ours and nothing in it looks like UTF-8.

    A file of UTF-8 with a stray byte is refused: as cp1252 all its accents would come out wrong.
    """
    if encoding == "auto" and (utf16 := _utf16_without_mark(file)):
        return utf16
    line = _line_at(file, _first_undecodable(file, "utf-8"))
    if encoding != "auto":
        raise Unreadable(
            "wrong_encoding",
            "The file or its source says UTF-8, but the file holds bytes that are not.",
            line,
            "Export the file as UTF-8, or set the source's encoding.",
        )
    valid, typical, bad = 0, 0, 0
    for chunk in chunks(file):
        if not chunk.isascii():
            text = chunk.decode("utf-8", "replace")
            broken = text.count("\ufffd")
            bad += broken
            valid += len(re.findall("[^\0-\x7f]", text)) - broken
            typical += len(_TYPICAL.findall(text))
    # A character that a chunk's end cuts in two is a broken one on either side: too few to matter.
    if typical or valid >= bad:
        raise Unreadable(
            "wrong_encoding",
            "The file is UTF-8 in part, and holds bytes that are not.",
            line,
            "Export the file again as UTF-8, or set the source's encoding if it is another.",
        )
    return "cp1252"


@contextmanager
def decoding(file: Path, encoding: str) -> Iterator[None]:
    """Turns a byte that the encoding does not define into Unreadable, with its line."""
    try:
        yield
    except UnicodeError:
        whole_bytes = not encoding.startswith(("utf-16", "utf-32"))
        raise Unreadable(
            "wrong_encoding",
            f"The file holds bytes that {encoding} does not define.",
            _line_at(file, _first_undecodable(file, encoding)) if whole_bytes else None,
            "Export the file as UTF-8, or set the source's encoding.",
        ) from None


def nul_byte(line: int | None) -> Unreadable:
    """What to say of a NUL in a file of text."""
    return Unreadable(
        "nul_byte", "The file holds NUL bytes: it is not text.", line, "Export the file as text, in UTF-8."
    )


def chunks(file: Path) -> Iterator[bytes]:
    """The file in pieces that never part a CR from its LF."""
    with file.open("rb") as binary:
        while chunk := binary.read(CHUNK):
            yield chunk + binary.read(1) if chunk.endswith(b"\r") else chunk


def _first(file: Path, find: Callable[[bytes], int]) -> int | None:
    """How many bytes stand before the first one that `find` points at (-1: none in this piece)."""
    before = 0
    for chunk in chunks(file):
        if (position := find(chunk)) >= 0:
            return before + position
        before += len(chunk)
    return None


def _first_undecodable(file: Path, encoding: str) -> int | None:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    before = 0
    for chunk in (*chunks(file), b""):
        held = len(decoder.getstate()[0])
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as problem:
            return before - held + problem.start
        before += len(chunk)
    return None


def _line_at(file: Path, position: int | None) -> int | None:
    """The physical line (CR, LF and CRLF each end one) of a byte."""
    if position is None:
        return None
    line = 1
    for chunk in chunks(file):
        before = chunk[: max(position, 0)]
        line += before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n")
        position -= len(chunk)
        if position < 0:
            break
    return line


# --- the lines ---------------------------------------------------------------------------------------------


def open_text(file: Path, encoding: str) -> TextIO:
    """The file as text. CR, LF and CRLF all end a line, in any mixture, and arrive as LF."""
    return file.open("r", encoding=encoding, errors="strict", newline=None)


def lines(text: TextIO) -> Iterator[str]:
    """The file's lines with their ends. A line without end is no text of rows: Unreadable, before memory runs out."""
    for line, content in enumerate(iter(partial(text.readline, LONGEST), ""), start=1):
        if len(content) == LONGEST and not content.endswith("\n"):
            raise Unreadable(
                "line_too_long",
                f"A line is longer than {LONGEST:,} characters.",
                line,
                "Check the export for missing line breaks.",
            )
        yield content


@dataclass(frozen=True)
class Ending:
    """Where a file's records end. last_line: no record begins below it (None: they go on to the end).

    rows: how many records the trailer counts, where it does; line: the trailer's.
    """

    last_line: int | None = None
    rows: int | None = None
    line: int | None = None

    def require(self, rows: int) -> None:
        """Raises Unreadable when the trailer counts other than so many records."""
        if self.rows is not None and self.rows != rows:
            raise Unreadable(
                "trailer_differs",
                f"The last line counts {self.rows:,} rows, and the file holds {rows:,}.",
                self.line,
                "Export the file again, or wait until it is complete.",
            )


def ending(con: duckdb.DuckDBPyConnection, file: Path, encoding: str, source: Source) -> Ending:
    """The last lines that are no records: `footer_lines` of them, of which a trailer is one.

    Raises Unreadable when the last line does not fit the trailer: more of the file is to come.
    """
    trailer = source.whole.trailer
    count = max(source.footer_lines, 1 if trailer is not None else 0)
    if not count:
        return Ending()
    last: deque[tuple[int, str]] = deque(maxlen=count)
    with open_text(file, encoding) as text:
        for number, content in enumerate(lines(text), start=1):
            if content.strip():
                last.append((number, content.strip()))
    end = last[0][0] - 1 if last else None
    if trailer is None:
        return Ending(end)
    line, content = last[-1] if last else (1, "")
    groups = patterns.named_groups(trailer) or {}
    found = patterns.fitting(con, trailer, [content], [groups["rows"]] if "rows" in groups else [])
    counted = re.sub(r"[,\s]", "", found[0][1]) if found and len(found[0]) > 1 else "0"
    if not found or not re.fullmatch("[0-9]{1,18}", counted):
        raise Unreadable(
            "trailer_missing",
            "The last line is not the one by which the source says that a file is whole.",
            line,
            "Wait until the export is complete, or correct trailer in district.yaml.",
        )
    return Ending(end, int(counted) if "rows" in groups else None, line)
