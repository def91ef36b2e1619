"""Run a command and say what it and all its children cost."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

#: Seconds between two looks at the memory of the tree. A peak shorter than this can be missed.
_INTERVAL = 0.05


class CommandFailed(Exception):
    """A measured command did not end with 0; the text is the end of what it wrote."""


@dataclass(frozen=True)
class Cost:
    """wall: seconds; cpu: seconds that processors worked for it, which other work on the machine changes little;
    memory: peak bytes resident, added up over the tree (shared pages count for each process)."""

    wall: float
    cpu: float
    memory: int
    output: str


def measure(command: Sequence[str], folder: Path, log: Path, environment: Mapping[str, str] | None = None) -> Cost:
    """Run `command` in `folder` to its end, its standard output and errors together in the file `log`.

    Raises CommandFailed when it does not end with 0.
    """
    worked = _worked_by_children()
    with log.open("w", encoding="utf-8") as written:
        began = time.monotonic()
        child = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
        watched = _Watch(child.pid)
        try:
            code = child.wait()
        finally:
            wall = time.monotonic() - began
            peak = watched.stop()
            if child.poll() is None:
                child.kill()
    output = log.read_text(encoding="utf-8", errors="replace")
    if code:
        raise CommandFailed(f"{' '.join(command)} ended with {code}:\n" + "\n".join(output.splitlines()[-20:]))
    return Cost(wall, _worked_by_children() - worked, peak, output)


def _worked_by_children() -> float:
    """Processor seconds of all ended children and of those that they waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Watch:
    """Looks at a process and its descendants until it is told to stop; the peak of their memory comes back."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._ended = threading.Event()
        self._peak = 0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._ended.set()
        self._thread.join()
        return self._peak

    def _look(self) -> None:
        while True:
            self._peak = max(self._peak, _resident(self._root))
            if self._ended.wait(_INTERVAL):
                return


def _resident(root: psutil.Process) -> int:
    """Bytes resident in a process and its descendants; what has just ended counts nothing."""
    total = 0
    try:
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in tree:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
