"""The night that the assets work on: begun by the `equity` command, or by Dagster's own schedule."""

from __future__ import annotations

import atexit
import os
from pathlib import Path

import dagster as dg

from pipelines.night import Night
from pipelines.run import conclude
from pipelines.start import begin

_running: list[Night] = []


def adopt(night: Night) -> None:
    """Make `night` the one that this process's assets work on."""
    _running[:] = [night]


class NightResource(dg.ConfigurableResource[Night]):
    """Gives assets the running night. Under the daemon the first asset begins it and holds the home's lock."""

    def current(self) -> Night:
        if not _running:
            night = begin(district_file=Path(os.environ["EQUITY_DISTRICT"]), home=None, as_of=None)
            # Until this run's process ends: lock and status go with it.
            night.home.lock().__enter__()
            atexit.register(conclude, night)
            adopt(night)
        return _running[0]
