"""The home folder: where one district's data live, stage by stage, and the lock that guards it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Locks that this process holds: lock file -> [file descriptor, how often it was entered].
_held: dict[Path, list[int]] = {}
_held_guard = threading.Lock()


class AnotherRunInProgress(Exception):
    """Another process holds the home's lock."""


@dataclass(frozen=True)
class Home:
    """A district's home. `landing/` and `raw/` hold identifiable data; only `published/` is for readers."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> Home:
        """Make the home and its folders where they are missing: 0700, `published/` 0755. May raise OSError."""
        home = cls(root.absolute())
        for folder in (home.root, home.landing, home.raw, home.warehouse, home.restricted, home.keys, home.logs):
            _folder(folder, 0o700)
        _folder(home.published, 0o755)
        return home

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    @property
    def raw(self) -> Path:
        return self.root / "raw"

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse"

    @property
    def restricted(self) -> Path:
        return self.root / "restricted"

    @property
    def published(self) -> Path:
        return self.root / "published"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the home for one run. Entering again in the same process is allowed.

        Raises AnotherRunInProgress at once when another process holds it. The lock ends with the
        process, however it ends, so that a killed run never needs cleaning up.
        """
        path = self.root / "run.lock"
        with _held_guard:
            if path in _held:
                _held[path][1] += 1
            else:
                _held[path] = [_lock_file(path), 1]
        try:
            yield
        finally:
            with _held_guard:
                _held[path][1] -= 1
                if _held[path][1] == 0:
                    os.close(_held.pop(path)[0])


def write_atomically(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Replace `path` by `content`: a reader sees the old file or the new one, never a part, even after a crash."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sweep_unfinished(folder: Path) -> None:
    """Remove what `write_atomically` left in `folder` and below when it was killed. Only under the lock."""
    for path in folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` last through a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _folder(path: Path, mode: int) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)


def _lock_file(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AnotherRunInProgress("another run holds this home") from None
    return descriptor
