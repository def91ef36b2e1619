"""`python -m pipelines`: from an empty clone to a published snapshot, with nothing but Python and its venv.

Makes `.venv`, installs the locked dependencies by hash, makes a sample district where none is named, and
runs the nightly job. `make run` calls this. It runs before anything is installed, so it imports the standard
library only.
"""

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
OLDEST, NEWEST = (3, 11), (3, 13)

#: The sample district of `make run`: large enough to judge groups by, small enough for a minute.
SAMPLE = ("--students", "2000", "--years", "2", "--seed", "1", "--end", "2026-03-27")


def main() -> int:
    """Install what is missing, then run a night; the exit code is that of `equity run`."""
    parser = argparse.ArgumentParser(prog="python -m pipelines", description=__doc__)
    parser.add_argument("--district", help="a district.yaml; without it, a sample district is made and used")
    parser.add_argument("--only-install", choices=["run", "dev"], help="install and stop")
    arguments = parser.parse_args()
    install(arguments.only_install or "run")
    if arguments.only_install:
        return 0
    if arguments.district:
        return _equity("run", "--district", arguments.district)
    sample = ROOT / ".equity" / "sample"
    if not (sample / "district.yaml").exists():
        _say("Generating a sample district of 2,000 students over 2 school years")
        made = _equity("sample", *SAMPLE, "--out", str(sample))
        if made:
            return made
    # The sample's last day with data: "today" would be overdue.
    return _equity("run", "--district", str(sample / "district.yaml"), "--as-of", SAMPLE[-1])


def install(wanted: str) -> None:
    """Make `.venv` with the dependencies of requirements/<wanted>.txt, by hash; nothing when they are there."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        sys.exit(
            f"Python {sys.version.split()[0]} is not supported. Use 3.11, 3.12 or 3.13: "
            "make run PYTHON=python3.12, or python3.12 -m pipelines"
        )
    lock = ROOT / "requirements" / f"{wanted}.txt"
    stamp = VENV / f".installed-{wanted}"
    content = hashlib.sha256(lock.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == content:
        return
    if not (BIN / "python").exists():
        _say(f"Making {VENV.name} with Python {sys.version.split()[0]}")
        _call(sys.executable, "-m", "venv", str(VENV))
    _say(f"Installing {lock.relative_to(ROOT)} (hash-locked; about two minutes the first time)")
    pip = (str(BIN / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet")
    _call(*pip, "--require-hashes", "--requirement", str(lock))
    _call(*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    stamp.write_text(content)


def _call(*command: str) -> None:
    ended = subprocess.run(command, cwd=ROOT, check=False)
    if ended.returncode:
        sys.exit(f"This step failed (exit {ended.returncode}): {' '.join(command[:6])} ...")


def _equity(*arguments: str) -> int:
    return subprocess.run([str(BIN / "equity"), *arguments], check=False).returncode


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - nothing else is installed yet


if __name__ == "__main__":
    sys.exit(main())
