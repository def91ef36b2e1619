"""Start dbt so that it dies with its parent and always sees the warehouse under one name.

`equity-dbt ARGS...` runs in the folder named by EQUITY_WAREHOUSE_FOLDER. The profile then names the file
relatively, equal every night, and dbt need not parse the project again because a path changed. On Linux
the kernel kills this process when the run that started it is killed, so that a killed night leaves no
writer behind; elsewhere a leftover dbt ends by itself within seconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from importlib.metadata import version
from pathlib import Path

WAREHOUSE_FOLDER = "EQUITY_WAREHOUSE_FOLDER"
_PR_SET_PDEATHSIG = 1


def die_with_parent(name: str) -> None:
    """Ask the kernel (Linux) to kill this process when the one that started it ends; exit where it has ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:
            sys.exit(f"the run that started {name} has ended")


def main() -> None:
    """Become dbt; only its version is told from here, since `dbt --version` asks a registry for newer ones."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"  - installed: {version('dbt-core')}\n")
        return
    die_with_parent("dbt")
    folder = os.environ.get(WAREHOUSE_FOLDER)
    if folder:
        os.chdir(folder)
    dbt = Path(sys.executable).with_name("dbt")
    os.execv(dbt, [str(dbt), *sys.argv[1:]])


if __name__ == "__main__":
    main()
