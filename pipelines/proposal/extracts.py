"""What lies in a folder: its files, and which of them are one extract (the same columns, sent in pieces)."""

from __future__ import annotations

import csv
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from pipelines.proposal.names import words
from pipelines.proposal.profile import Profile, profiles
from pipelines.proposal.tables import NotUnderstood, Table, kind_of, look

#: Files beyond these are named, not opened.
MOST_FILES = 2_000
#: Share of names that two JSON files must have in common to be one extract.
_ALIKE = 0.5
#: Members of a zip that are looked at, and the largest of them in bytes, unpacked.
_MOST_MEMBERS, _LARGEST_MEMBER = 200, 500_000_000
_NO_DATA = (".md", ".sql", ".pdf", ".docx", ".py", ".sh")
_OWN = re.compile(r"^district(\.proposed(-\d+)?)?\.yaml$")


@dataclass
class Extract:
    """Files of one layout, and what was seen of them.

    name: what the source is called. files: shown names, relative to the folder; patterns: what `files:` says, relative
    to `out`. members: the globs of a zip. table: the sample of the first file, with rows of the others behind it.
    """

    name: str
    files: list[str]
    paths: list[Path]
    table: Table
    members: list[str] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)

    @cached_property
    def file_words(self) -> frozenset[str]:
        """The words of the files' names and of the folders that they lie in."""
        return frozenset(word for file in self.files for word in words(re.sub(r"[^A-Za-z]+", " ", file)))

    @cached_property
    def table_name(self) -> str:
        """What the file calls itself: STU of export/STU.csv."""
        return re.sub(r"[^A-Za-z]", "", Path(self.files[0].rsplit("!", 1)[-1]).stem)

    def profile(self, name: str) -> Profile:
        return next(one for one in self.profiles if one.name == name)


@dataclass(frozen=True)
class LeftOut:
    """A file that nothing is proposed for, and why."""

    file: str
    reason: str


def extracts(folder: Path, scratch: Path) -> tuple[list[Extract], list[LeftOut]]:
    """Every extract of the folder in the order of their names, and every file that is none. Nothing goes unnamed."""
    found: dict[tuple[object, ...], Extract] = {}
    left: list[LeftOut] = []
    for number, (shown, path, member) in enumerate(_files(folder, scratch, left)):
        if number >= MOST_FILES:
            left.append(LeftOut(shown, f"more than {MOST_FILES:,} files lie here: name it yourself"))
            continue
        try:
            kind = kind_of(path)
            if kind == "zip":
                raise NotUnderstood("it is a zip inside a zip")
            seen = look(path, kind)
        except NotUnderstood as problem:
            left.append(LeftOut(shown, str(problem)))
            continue
        except OSError:
            left.append(LeftOut(shown, "it cannot be opened"))
            continue
        except (csv.Error, ValueError, OverflowError, RecursionError):
            left.append(LeftOut(shown, "it breaks the rules of its own format"))
            continue
        archive = folder / shown.split("!")[0] if member else path
        for table in seen:
            sheet = table.settings.get("sheet")
            layout = [*table.entities, _stem(shown)] if kind == "edfi_xml" else table.columns
            key = (kind, sheet, bool(member), *layout)
            known = found.get(key) or _alike(found.values(), table)
            if known is None:
                found[key] = Extract("", [shown], [archive], table, members=[member] if member else [])
            else:
                known.files.append(shown)
                known.paths.append(archive)
                known.members += [member] if member else []
                _join(known.table, table)
    result = list(found.values())
    for extract in result:
        extract.profiles = profiles(extract.table)
    _name(result)
    return result, left


def _files(folder: Path, scratch: Path, left: list[LeftOut]) -> Iterator[tuple[str, Path, str]]:
    """Shown name, path to read, and member of a zip ('' for a plain file), hidden and own files left out."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")) and name != "crosswalks")
        for name in sorted(names):
            path = Path(place) / name
            if name.startswith(".") or _OWN.match(name) or name.lower().endswith(_NO_DATA):
                continue
            shown = path.relative_to(folder).as_posix()
            if not path.is_file():
                continue
            if zipfile.is_zipfile(path) and kind_or_none(path) == "zip":
                yield from _members(path, shown, scratch, left)
            else:
                yield shown, path, ""


def kind_or_none(path: Path) -> str | None:
    """The file's kind, None where there is none to be told."""
    try:
        return kind_of(path)
    except (NotUnderstood, OSError):
        return None


def _members(path: Path, shown: str, scratch: Path, left: list[LeftOut]) -> Iterator[tuple[str, Path, str]]:
    """The files of a zip, unpacked under names of our own: a member's name is never used as a path."""
    with zipfile.ZipFile(path) as archive:
        names = [one for one in archive.infolist() if not one.is_dir()]
        listed = [
            one for one in names if PurePosixPath(one.filename).name[:1] != "." and "__MACOSX" not in one.filename
        ]
        for member in listed[:_MOST_MEMBERS]:
            name = f"{shown}!{member.filename}"
            if member.flag_bits & 1:
                left.append(LeftOut(name, "it is protected by a password"))
                continue
            if member.file_size > _LARGEST_MEMBER or member.file_size > 200 * max(1_000_000, member.compress_size):
                left.append(LeftOut(name, "it is too large, unpacked, to be looked at"))
                continue
            copy = _unpacked(archive, member, scratch)
            if copy is None:
                left.append(LeftOut(name, "it is damaged, or larger than the zip says"))
                continue
            yield name, copy, member.filename


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, scratch: Path) -> Path | None:
    """The member in a file under a name of our own; None where it cannot be unpacked to the size that it says."""
    written = 0
    try:
        with tempfile.NamedTemporaryFile(dir=scratch, delete=False) as copy, archive.open(member) as content:
            while chunk := content.read(1 << 20):
                written += copy.write(chunk)
                if written > member.file_size:
                    return None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError):
        return None
    return Path(copy.name)


def _stem(shown: str) -> str:
    """The file's name without digits: attendance_2025-09.csv and attendance_2025-10.csv are the same."""
    return re.sub(r"[\d_\-. ]+", "", Path(shown).stem).lower()


def _alike(known: Iterable[Extract], table: Table) -> Extract | None:
    """Of JSON the names differ from file to file, since what is empty is often not sent: most of them must agree."""
    if table.kind != "json_lines":
        return None
    names = set(table.columns)
    others = [one for one in known if one.table.kind == table.kind]
    return next((one for one in others if _agreement(names, set(one.table.columns)) >= _ALIKE), None)


def _agreement(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 0.0


def _join(known: Table, table: Table) -> None:
    """Rows of a further file of the same layout, as many as fit."""
    room = max(0, 60_000 - len(known.rows))
    rows = table.rows[:room]
    if table.columns != known.columns:
        new = [name for name in table.columns if name not in known.columns]
        known.rows = [[*row, *("" for _ in new)] for row in known.rows]
        known.columns = [*known.columns, *new]
        places = {name: at for at, name in enumerate(table.columns)}
        rows = [[row[places[name]] if name in places else "" for name in known.columns] for row in rows]
    known.rows += rows
    known.whole = known.whole and table.whole and len(table.rows) <= room
    if table.settings.get("header") != known.settings.get("header"):
        known.notes.append("the column names do not stand in the same line of every file")
        known.unsure = True


def _name(found: list[Extract]) -> None:
    """Give every extract a name of its own, from its files: lower-case letters, digits and _."""
    taken: set[str] = set()
    for extract in found:
        first = extract.files[0]
        stem = Path(first.rsplit("!", 1)[-1]).stem
        bare = re.sub(r"[^a-z]+", "_", stem.lower()).strip("_")
        if len(re.findall("[0-9]", stem)) > 12:  # a number made by a machine is no name: that of the first folder is
            bare = re.sub(r"[^a-z]+", "_", first.split("/")[0].lower()).strip("_")
        generic = {"part", "data", "export", "file", "extract", "page", "report", ""}
        if bare in generic:
            bare = re.sub(r"[^a-z0-9]+", "_", Path(first.split("!")[0]).parent.name.lower()).strip("_") or bare
        sheet = extract.table.settings.get("sheet")
        if sheet:
            bare = f"{bare}_{re.sub(r'[^a-z0-9]+', '_', str(sheet).lower()).strip('_')}"
        name = base = (bare or "extract")[:50]
        if name == "all":
            name = base = "all_rows"
        number = 1
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        extract.name = name


def patterns(extract: Extract, out: Path) -> list[str]:
    """What `files:` says: a glob where files differ in their numbers only and it finds no others; else each file."""
    paths = list(dict.fromkeys(extract.paths))
    shown = [os.path.relpath(path, out).replace(os.sep, "/") for path in paths]
    if len(paths) == 1:
        return shown
    globs = list(dict.fromkeys(re.sub(r"[0-9][0-9_\-.]*[0-9]|[0-9]", "*", name) for name in shown))
    if len(globs) < len(shown) and all("*" in one for one in globs):
        matched = {found.resolve() for one in globs for found in _globbed(out, one)}
        if matched == {path.resolve() for path in paths}:
            return globs
    return shown


def _globbed(out: Path, pattern: str) -> Iterator[Path]:
    """Files that a pattern finds from `out`; a pattern may lead above it, which Path.glob does not take."""
    parts = PurePosixPath(pattern).parts
    above = sum(part == ".." for part in parts)
    base = out.resolve()
    for _ in range(above):
        base = base.parent
    return base.glob("/".join(parts[above:]))
