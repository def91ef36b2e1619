"""Files inside files: the members of a zip that a source names, and what gzip packed.

Nothing is unpacked to a path: a member is a stream that is copied by content, so that a name in a zip never
names a place on disk. What would grow beyond measure is refused before it does.
"""

from __future__ import annotations

import fnmatch
import gzip
import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from pipelines.sources import Unreadable

#: Text packs to a tenth or a twentieth; what grows more than this, and beyond `_HARMLESS`, was made to.
_MOST_GROWTH = 200
_HARMLESS = 100 * 1024**2
_MOST_BYTES = 50 * 1024**3
#: A zip's directory is read at once: 16 MB hold 200,000 members and more.
_DIRECTORY_BYTES = 16 * 1024**2
_MOST_MEMBERS = 10_000
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP_START = b"\x1f\x8b"
#: How a workbook's own members begin: such a zip is one file, not several.
_WORKBOOK = ("[Content_Types].xml", "xl/", "mimetype", "content.xml")
_EXPORT_AGAIN = "Make the zip again, or put the files themselves there."


@dataclass(frozen=True)
class Part:
    """A file to keep. name: a member's path in its zip, '' for a file that is no zip. read: as a stream's."""

    name: str
    read: Callable[[int], bytes]


class NothingFits(Exception):
    """A zip that holds none of the members that its source names."""


def parts(file: BinaryIO, kind: str, members: Sequence[str]) -> Iterator[Part]:
    """The file itself, or what is packed in it. Each part must be read before the next is asked for.

    kind, members: the source's. Raises Unreadable, also from `Part.read`, and NothingFits.
    """
    start = file.read(4)
    file.seek(0)
    if start in _ZIP_STARTS and not (kind == "excel" and _is_workbook(file)):
        yield from _members(file, kind, members)
    elif start.startswith(_GZIP_START):
        yield Part("", _Unzipped(file).read)
    else:
        yield Part("", file.read)


# --- zip ---------------------------------------------------------------------------------------------------------


class _ShortReads(io.RawIOBase):
    """The file, but never more of it at once than a zip's directory may take."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(min(size, _DIRECTORY_BYTES + 1) if size >= 0 else _DIRECTORY_BYTES + 1)
        if len(content) > _DIRECTORY_BYTES:
            raise zipfile.BadZipFile
        return content

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _opened(file: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(_ShortReads(file))
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, UnicodeError, OverflowError):
        raise _damaged() from None


def _is_workbook(file: BinaryIO) -> bool:
    try:
        with _opened(file) as archive:
            return any(name.startswith(_WORKBOOK) for name in archive.namelist())
    except Unreadable:
        return True  # the spreadsheet reader says what is wrong with it
    finally:
        file.seek(0)


def _members(file: BinaryIO, kind: str, globs: Sequence[str]) -> Iterator[Part]:
    packed_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    with _opened(file) as archive:
        listed = [one for one in archive.infolist() if not one.is_dir()]
        chosen = [one for one in listed if not _is_hidden(one.filename) and _fits(one.filename, globs)]
        if any(not _is_safe(one.filename) for one in listed):
            raise Unreadable(
                "unsafe_member",
                "The zip holds a name that leads out of it, or that holds control characters.",
                None,
                _EXPORT_AGAIN,
            )
        if not chosen:
            raise NothingFits(f"The zip holds no file for {', '.join(globs)}.")
        _require_sane(chosen, packed_bytes)
        for one in sorted(chosen, key=lambda member: member.filename):
            yield from _member(archive, one, kind)


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, kind: str) -> Iterator[Part]:
    try:
        with archive.open(member) as stream:
            start = stream.read(4)
            if start in _ZIP_STARTS and kind != "excel":
                raise Unreadable("zip_in_zip", f"{member.filename} is a zip itself.", None, "Take the inner zip out.")
            pending = [start]

            def read(size: int) -> bytes:
                try:
                    return pending.pop() if pending and pending[0] else stream.read(size)
                except (zipfile.BadZipFile, zlib.error, EOFError):
                    raise _damaged() from None

            yield Part(member.filename, read)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError):
        raise _damaged() from None


def _require_sane(members: Sequence[zipfile.ZipInfo], packed_bytes: int) -> None:
    if len(members) > _MOST_MEMBERS:
        raise Unreadable(
            "too_many_members",
            f"The zip holds more than {_MOST_MEMBERS:,} files.",
            None,
            "Name fewer under members in district.yaml.",
        )
    twice = [name for name, count in Counter(one.filename for one in members).items() if count > 1]
    if twice:
        raise Unreadable("member_twice", f"The zip holds {twice[0]} more than once.", None, _EXPORT_AGAIN)
    for one in members:
        if one.flag_bits & 0x1:
            raise Unreadable(
                "zip_encrypted", f"{one.filename} is encrypted.", None, "Have the zip made without a password."
            )
        if one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Unreadable(
                "zip_method",
                f"{one.filename} is packed in a way that is not read here (only stored and deflated are).",
                None,
                "Make the zip with another program, or pack files above 2 GB by gzip.",
            )
    # Members that share the same packed bytes are seen here too: they are measured by the whole zip's size.
    _require_growth(sum(one.file_size for one in members), packed_bytes)


def _require_growth(grown: int, packed_bytes: int) -> None:
    if grown > _MOST_BYTES or (grown > _HARMLESS and grown > _MOST_GROWTH * max(packed_bytes, 1)):
        raise Unreadable(
            "zip_bomb",
            f"The file grows to more than {_MOST_GROWTH} times its size, or to more than 50 GB, when it is unpacked.",
            None,
            "Put the unpacked files there if that is right.",
        )


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _is_safe(name: str) -> bool:
    """Whether the name stays inside the zip and is fit to be shown."""
    path = PurePosixPath(name.replace("\\", "/"))
    leads_out = path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0])
    return bool(name) and name.isprintable() and not leads_out


def _fits(name: str, globs: Sequence[str]) -> bool:
    base = PurePosixPath(name).name
    return any(fnmatch.fnmatchcase(name, one) or fnmatch.fnmatchcase(base, one) for one in globs)


def _damaged() -> Unreadable:
    return Unreadable("zip_damaged", "The zip is damaged or not complete.", None, _EXPORT_AGAIN)


# --- gzip --------------------------------------------------------------------------------------------------------


class _Unzipped:
    """What gzip packed, as a stream that stops when it grows beyond measure."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._stream = gzip.GzipFile(fileobj=file)
        self._grown = 0

    def read(self, size: int) -> bytes:
        try:
            chunk = self._stream.read(size)
        except (gzip.BadGzipFile, zlib.error, EOFError):
            raise _damaged() from None
        self._grown += len(chunk)
        _require_growth(self._grown, self._file.tell())
        return chunk
