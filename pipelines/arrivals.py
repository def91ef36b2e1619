"""What lay there tonight: the files that a source's patterns name, whole, each kept by its content.

A file that may still be growing is late, and nothing of its source is read: half of an extract looks like an
extract from which rows were deleted. Young files of all sources are waited for together, once a night.
"""

from __future__ import annotations

import glob
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal

from pipelines import packed
from pipelines.config import Source
from pipelines.deliveries import DeliveredFile, Receipt
from pipelines.home import Home, sync_folder
from pipelines.raw_files import stored_path
from pipelines.sources import Unreadable

_COPY_CHUNK = 4 * 1024 * 1024
#: The longest wait for files to stand still, in seconds, all sources together; who needs longer is late tonight.
_LONGEST_WAIT = 60.0
#: Files of a folder that are no extracts: what Windows and Excel hide, and transfers under way.
_NOT_EXTRACTS = ("~$*", "Thumbs.db", "desktop.ini", "*.part", "*.filepart", "*.tmp", "*.crdownload")
_RUN_AGAIN = "Run again when the export is complete."


@dataclass(frozen=True)
class Arrival:
    """What lay there tonight: the delivered files, or what kept them from being one delivery.

    names: the files seen. A source that had nothing new to say has neither files nor a status. note: for the log.
    """

    names: tuple[str, ...]
    files: tuple[DeliveredFile, ...] = ()
    status: Literal["absent", "late", "unreadable"] | None = None
    message: str = ""
    remedy: str = ""
    note: str = ""


@dataclass(frozen=True)
class Sighting:
    """Where a source's files lie: by name, sorted; the patterns that name none; and why they are late, if they are."""

    found: dict[str, Path]
    missing: tuple[str, ...]
    late: str = ""


class _Late(Exception):
    """A file is not whole yet; the message says how that shows."""


def look(sources: Mapping[str, Source], folder: Path) -> dict[str, Sighting]:
    """The files of each source. Where one is younger than its source allows, all are looked at twice.

    folder: that of district.yaml.
    """
    first = {source_id: _find(source, folder) for source_id, source in sources.items()}
    seen = {
        source_id: {name: _size_and_time(path) for name, path in one.found.items()} for source_id, one in first.items()
    }
    now = time.time()
    waits = {
        source_id: max((_left(sources[source_id], facts, now) for facts in files.values()), default=0.0)
        for source_id, files in seen.items()
    }
    if not any(waits.values()):
        return first
    time.sleep(min(max(waits.values()), _LONGEST_WAIT))
    again = {source_id: _find(source, folder) for source_id, source in sources.items()}
    return {
        source_id: Sighting(one.found, one.missing, _what_changed(one, seen[source_id], waits[source_id]))
        for source_id, one in again.items()
    }


def take_in(
    source_id: str,
    source: Source,
    sighting: Sighting,
    *,
    folder: Path,
    time_zone: str,
    receipts: Sequence[Receipt],
    home: Home,
    scratch: Path,
) -> Arrival:
    """Copy what lies there into landing/files, by content. What is wrong with it is told, never raised.

    receipts: the source's deliveries so far.
    """
    if source.kind == "edfi_api":
        return _from_api(source_id, source, home, scratch)
    if source.kind == "database":
        from pipelines.sources import database

        try:
            answer = database.fetch(
                source_id, source, folder=folder, time_zone=time_zone, receipts=receipts, home=home, scratch=scratch
            )
        except Unreadable as problem:
            return Arrival((), (), "unreadable", problem.message, problem.remedy)
        if answer.path is None:
            return Arrival((answer.name,))
        with answer.path.open("rb") as content:
            file_id = _keep(home, scratch, content.read)
        answer.path.unlink()
        return Arrival((answer.name,), (DeliveredFile(answer.name, file_id),))
    names = tuple(sighting.found)
    message = f"No file is found for {', '.join(sighting.missing)}." if sighting.missing else ""
    remedy = "Check the export and the path in district.yaml." if sighting.missing else ""
    if sighting.missing and (not sighting.found or source.missing_rows == "full"):
        # Of a full delivery no part may be missing: its rows would count as deleted.
        return Arrival(names, (), "absent", message, remedy)
    if sighting.late:
        return Arrival(names, (), "late", sighting.late, _RUN_AGAIN)
    files: list[DeliveredFile] = []
    for name, path in sighting.found.items():
        try:
            _require_marker(source, name, path)
            files.extend(_taken(name, path, source, home, scratch))
        except _Late as problem:
            return Arrival(names, (), "late", f"{name}: {problem}", _RUN_AGAIN)
        except packed.NothingFits as problem:
            remedy = "Check the export and the source's members in district.yaml."
            return Arrival(names, (), "absent", f"{name}: {problem}", remedy)
        except Unreadable as problem:
            return Arrival(names, (), "unreadable", f"{name}: {problem.message}", problem.remedy)
    return Arrival(names, tuple(sorted(files)), None, message, remedy)


def _from_api(source_id: str, source: Source, home: Home, scratch: Path) -> Arrival:
    """One file for each resource of an API, kept as soon as it is whole."""
    from pipelines.sources import edfi_api_fetch

    def keep(path: Path) -> str:
        with path.open("rb") as content:
            return _keep(home, scratch, content.read)

    try:
        fetched = edfi_api_fetch.fetch(source_id, source, home=home, scratch=scratch, keep=keep)
    except Unreadable as problem:
        return Arrival((), (), "unreadable", problem.message, problem.remedy)
    return Arrival(tuple(file.name for file in fetched.files), fetched.files, note=fetched.note)


# --- finding -----------------------------------------------------------------------------------------------------


def _find(source: Source, folder: Path) -> Sighting:
    """A pattern that is the path of something is taken literally, also when it is no file: that is told later."""
    found: dict[str, Path] = {}
    missing = []
    for pattern in source.files:
        if (folder / pattern).is_dir():
            names = _files_in(folder, pattern)
        elif os.path.lexists(folder / pattern):
            names = [pattern]
        else:
            # Path.glob knows neither absolute patterns nor names as the pattern spells them (../export/a.csv).
            matches = glob.glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207
            names = [name for name in matches if (folder / name).is_file()]
        names = _without_markers(source, names)
        if not names:
            missing.append(pattern)
        found.update({name: folder / name for name in names})
    return Sighting(dict(sorted(found.items())), tuple(missing))


def _files_in(folder: Path, name: str) -> list[str]:
    """The extracts in a folder, not in folders below it."""
    prefix = name.rstrip("/")
    try:
        inside = sorted((folder / name).iterdir())
    except OSError:
        return [name]  # told when it is opened
    return [
        f"{prefix}/{path.name}"
        for path in inside
        if path.is_file()
        and not path.name.startswith(".")
        and not any(PurePosixPath(path.name).match(hidden) for hidden in _NOT_EXTRACTS)
    ]


def _without_markers(source: Source, names: Sequence[str]) -> list[str]:
    """The names without those that only say that another file is whole."""
    if source.whole.marker is None:
        return list(names)
    markers = {str(_marker_of(source.whole.marker, PurePosixPath(name))) for name in names}
    return [name for name in names if str(PurePosixPath(name)) not in markers]


def _marker_of(marker: str, file: PurePosixPath) -> PurePosixPath:
    return file.parent / marker.replace("{name}", file.name).replace("{stem}", file.stem)


# --- wholeness ---------------------------------------------------------------------------------------------------


def _size_and_time(path: Path) -> tuple[int, int] | None:
    """Size in bytes and time of the last change in ns, None where there is none to tell."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns


def _left(source: Source, facts: tuple[int, int] | None, now: float) -> float:
    """Seconds until the file has stood still for as long as its source asks."""
    if facts is None:
        return 0.0
    stable = float(source.whole.stable_seconds)
    # A clock that runs ahead dates files in the future: they are watched for the whole time, and no longer.
    return min(stable, max(0.0, facts[1] / 1e9 + stable - now))


def _what_changed(now: Sighting, before: Mapping[str, tuple[int, int] | None], wait: float) -> str:
    """Why the files are not to be read tonight, '' where they stood still."""
    if now.found.keys() != before.keys():
        return "Files came or went while others were waited for."
    for name, path in now.found.items():
        if _size_and_time(path) != before[name]:
            return f"{name}: The file is still being written."
    if wait > _LONGEST_WAIT:
        youngest = max(now.found, key=lambda name: (before[name] or (0, 0))[1])
        return f"{youngest}: The file has not stood still for stable_seconds yet."
    return ""


def _require_marker(source: Source, name: str, path: Path) -> None:
    """Raises _Late when the file that says that this one is whole is not there, or older than it."""
    if source.whole.marker is None:
        return
    marker = path.parent / _marker_of(source.whole.marker, PurePosixPath(name)).name
    file, said = _size_and_time(path), _size_and_time(marker)
    if said is None:
        raise _Late(f"Its marker {marker.name} is not there.")
    if file is not None and said[1] < file[1]:
        raise _Late(f"Its marker {marker.name} is older than the file.")


# --- keeping -----------------------------------------------------------------------------------------------------


def _taken(name: str, path: Path, source: Source, home: Home, scratch: Path) -> list[DeliveredFile]:
    """The file, or the files in it, kept by content. Raises Unreadable, _Late and packed.NothingFits."""
    try:
        before = path.stat()
        if not stat.S_ISREG(before.st_mode):
            raise Unreadable("not_a_file", "This is not a file.", None, "Put the exported file in its place.")
        arriving = path.open("rb")
    except OSError as problem:
        raise _cannot_read(problem) from None
    with arriving:
        files = [
            DeliveredFile(f"{name}/{part.name}" if part.name else name, _keep(home, scratch, part.read))
            for part in _parts(arriving, source)
        ]
        after = os.fstat(arriving.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise _Late("The file changed while it was read.")
    return files


def _parts(arriving: BinaryIO, source: Source) -> Iterator[packed.Part]:
    try:
        for part in packed.parts(arriving, source.kind, source.members):
            yield packed.Part(part.name, _told(part.read))
    except OSError as problem:
        raise _cannot_read(problem) from None


def _told(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """The same read, whose errors are the file's and never those of the disk that it is copied to."""

    def told(size: int) -> bytes:
        try:
            return read(size)
        except OSError as problem:
            raise _cannot_read(problem) from None

    return told


def _cannot_read(problem: OSError) -> Unreadable:
    message = f"The file cannot be read: {problem.strerror}."
    return Unreadable("not_readable", message, None, "Check that it is there and that this user may read it.")


def _keep(home: Home, scratch: Path, read: Callable[[int], bytes]) -> str:
    """Copy a stream into landing/files while hashing it: its SHA-256. What is there already stays."""
    temporary = scratch / "arriving"
    digest = hashlib.sha256()
    with temporary.open("wb") as copy:
        temporary.chmod(0o600)
        while chunk := read(_COPY_CHUNK):
            digest.update(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    target = stored_path(home, digest.hexdigest())
    if target.exists():
        temporary.unlink()
    else:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.replace(target)
        sync_folder(target.parent)
    return digest.hexdigest()
