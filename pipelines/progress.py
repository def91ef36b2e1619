"""Progress of a run for a person at a terminal, and plain lines for a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status

_STAGE_WIDTH = 11


class Progress:
    """Says on standard error which stage runs, what it met, and how long it took."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._started = time.monotonic()
        self._status: Status | None = None
        self._stage = ""

    @contextmanager
    def stage(self, name: str, doing: str) -> Iterator[None]:
        """Show `doing` while the stage runs; its name stands before every note."""
        began = time.monotonic()
        self._stage = name
        if self._console.is_terminal:
            with self._console.status(doing) as self._status:
                yield
            self._status = None
        else:
            self.note(doing)
            yield
        self.note(f"done in {time.monotonic() - began:.1f} s", dim=True)

    def note(self, text: str, *, dim: bool = False) -> None:
        """One line that stays."""
        elapsed = time.monotonic() - self._started
        line = f"{elapsed:6.1f} s  {self._stage:<{_STAGE_WIDTH}} {text}"
        self._console.print(line, style="dim" if dim else None, markup=False)
        sys.stderr.flush()

    def update(self, text: str) -> None:
        """What is happening right now; a terminal shows only the last one, a log none."""
        if self._status is not None:
            self._status.update(text)
