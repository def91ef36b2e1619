"""How a run can end, as exit codes and as exceptions whose text is safe to show and to store.

No message here may hold a value taken from data: names of sources, files, checks, tables and counts only.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The promise to schedulers. Input never gives CONFIGURATION: a bad file is a source that did not arrive."""

    PUBLISHED = 0
    INTERNAL_ERROR = 1
    CONFIGURATION = 2
    STOPPED_BY_GATE = 3
    PUBLISHED_TARGET_FAILED = 4
    ANOTHER_RUN = 5


class NightError(Exception):
    """Ends a run. headline: what happened; remedy: what to do next; code: how the process ends."""

    code = ExitCode.INTERNAL_ERROR

    def __init__(self, headline: str, remedy: str = "") -> None:
        super().__init__(headline)
        self.headline = headline
        self.remedy = remedy


class StoppedByGateError(NightError):
    """A check said that nothing may be published tonight. The previous snapshot stays."""

    code = ExitCode.STOPPED_BY_GATE


class ConfigurationError(NightError):
    """The configuration, the command line or the key is wrong. Nothing has been read."""

    code = ExitCode.CONFIGURATION


class InternalError(NightError):
    """Something that should not happen. Where it happened is in the run's log, without any value."""
