"""Whole nights as a district runs them: each in a process of its own, on files and a home of its own."""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines import snapshots
from pipelines.sample_district import generate

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
REAL_DISTRICTS = ROOT / "tests" / "districts"

#: The sample of every test: the smallest in which two schools send attendance daily and two by exceptions.
STUDENTS, YEARS, SEED = 300, 1, 5
AS_OF = date(2026, 3, 27)
#: The next day is a Saturday: a later night, without a session day more.
NEXT_DAY = date(2026, 3, 28)

#: Long enough for a crowded machine: a night that hangs must fail, a slow one must not.
_PATIENCE = 900


@dataclass(frozen=True)
class Ended:
    """A night that is through: where its files and its data lie, its exit code and what it printed."""

    district: Path
    home: Path
    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / "published" / "status.json").read_text(encoding="utf-8"))
        return found

    @property
    def snapshot_id(self) -> str:
        now = snapshots.current(self.home / "published")
        assert now is not None, f"nothing is published\n{self.said}"
        return now

    def manifest(self, zone: str) -> dict[str, Any]:
        return snapshots.read_manifest(self.home / zone, self.snapshot_id)

    @contextmanager
    def restricted(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with _opened(self.home / "restricted" / self.snapshot_id) as con:
            yield con

    @contextmanager
    def public(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with _opened(self.home / "published" / self.snapshot_id) as con:
            yield con


@contextmanager
def _opened(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(folder / "equity.duckdb"), read_only=True) as con:
        yield con


@dataclass(frozen=True)
class Corrected:
    """The night after a correction, with a reader at the old snapshot throughout and a second run beside it."""

    ended: Ended
    old_snapshot: str
    reader: dict[str, Any]
    second_run: Ended


@dataclass
class Killed:
    """A home in which a night was killed at stage after stage, and then left alone."""

    ended: Ended
    old_snapshot: str
    stages: list[str] = field(default_factory=list)
    #: dbt processes that outlived the night that started them.
    orphans: list[int] = field(default_factory=list)


class Turns:
    """As many at a time as there are processors; of those waiting, the lowest rank goes first."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: list[tuple[int, int]] = []
        self._tickets = itertools.count()
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, rank: int) -> Iterator[None]:
        with self._changed:
            mine = (rank, next(self._tickets))
            self._waiting.append(mine)
            self._changed.wait_for(lambda: self._free > 0 and min(self._waiting) == mine)
            self._waiting.remove(mine)
            self._free -= 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()


class Nights:
    """Runs the nights that the selected tests need, as many at a time as there are processors, each once."""

    def __init__(self, folder: Path, recipes: dict[str, Callable[[Nights], Any]]) -> None:
        self.folder = folder
        self.key_file = folder / "pseudonym.key"
        self.key_file.write_text(secrets.token_hex(32) + "\n")
        self.key_file.chmod(0o600)
        self._recipes = recipes
        self._futures: dict[str, Future[Any]] = {}
        self._guard = threading.Lock()
        self._threads = ThreadPoolExecutor(max_workers=64)  # they wait for their turn below, not for each other
        self._turns = Turns(os.cpu_count() or 2)
        self._of_thread = threading.local()
        self._processes: set[subprocess.Popen[str]] = set()

    def begin(self, names: Iterable[str]) -> None:
        for name in names:
            with self._guard:
                if name not in self._futures:
                    self._futures[name] = self._threads.submit(self._make, name)

    def _make(self, name: str) -> Any:
        # Recipes are listed by what waits for them: the longest chain must not begin last.
        self._of_thread.rank = list(self._recipes).index(name)
        return self._recipes[name](self)

    def get(self, name: str) -> Any:
        """What the recipe of this name made, waiting for it where needed."""
        self.begin([name])
        return self._futures[name].result()

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in list(self._processes):
            process.kill()

    # --- districts and homes ---------------------------------------------------------------------------------

    def sample(self, name: str, plant: Iterable[str] = (), end: date = AS_OF) -> Path:
        """The sample district called `name`, made when it is not there: its district.yaml."""
        out = self.folder / "districts" / name
        return out / "district.yaml" if out.exists() else make_sample(out, plant=plant, end=end)

    def copy_of(self, night: Ended, name: str) -> Path:
        """A copy of a night's home: another night may go on from there."""
        home = self.home(name)
        shutil.copytree(night.home, home, symlinks=True)
        return home

    def home(self, name: str) -> Path:
        return self.folder / "homes" / name

    # --- processes -------------------------------------------------------------------------------------------

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of the developer's own settings; the key is the same for every home unless said otherwise."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "EQUITY_KEY_FILE": str(self.key_file),
            **more,
        }

    def run(
        self, home: Path, district: Path, as_of: date = AS_OF, *options: str, env: dict[str, str] | None = None
    ) -> Ended:
        """Run a night to its end."""
        with self.running(home, district, as_of, *options, env=env) as process:
            return process.ended()

    @contextmanager
    def running(
        self, home: Path, district: Path, as_of: date = AS_OF, *options: str, env: dict[str, str] | None = None
    ) -> Iterator[RunningNight]:
        """A night under way. Waits for a turn first; killed on leaving if it still runs."""
        rank = getattr(self._of_thread, "rank", None)
        # A test's own run ends before it reads anything: it need not wait for the long ones.
        turn = nullcontext() if rank is None else self._turns.turn(rank)
        with turn, self._started(home, district, as_of, options, env) as night:
            yield night

    def run_beside(self, home: Path, district: Path, as_of: date = AS_OF) -> Ended:
        """Run a night without waiting for a turn, while another holds the home."""
        with self._started(home, district, as_of, (), None) as night:
            return night.ended()

    @contextmanager
    def _started(
        self, home: Path, district: Path, as_of: date, options: tuple[str, ...], env: dict[str, str] | None
    ) -> Iterator[RunningNight]:
        command = ["run", "--district", str(district), "--home", str(home), "--as-of", as_of.isoformat(), *options]
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", *command],
            cwd=ROOT,
            env=self.environment() if env is None else env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._processes.add(process)
        night = RunningNight(process, district, home)
        try:
            yield night
        finally:
            process.kill()
            night.wait()
            self._processes.discard(process)

    def equity(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Any other `equity` command."""
        return subprocess.run(
            [sys.executable, "-m", "pipelines.cli", *map(str, arguments)],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=_PATIENCE,
        )


class RunningNight:
    """A night's process, with what it says collected while it runs."""

    def __init__(self, process: subprocess.Popen[str], district: Path, home: Path) -> None:
        self.process = process
        self._district, self._home = district, home
        self._said: dict[str, list[str]] = {"out": [], "err": []}
        self._listeners = [
            threading.Thread(target=self._listen, args=(stream, self._said[name]), daemon=True)
            for name, stream in (("out", process.stdout), ("err", process.stderr))
        ]
        for listener in self._listeners:
            listener.start()

    @staticmethod
    def _listen(stream: Any, lines: list[str]) -> None:
        for line in stream:
            lines.append(line)

    def wait(self) -> int:
        code = self.process.wait(timeout=_PATIENCE)
        for listener in self._listeners:
            listener.join()
        return code

    def ended(self) -> Ended:
        code = self.wait()
        return Ended(self._district, self._home, code, "".join(self._said["out"]), "".join(self._said["err"]))

    def until_stage(self, stage: str) -> None:
        """Wait for the first line that the stage says on standard error."""
        begun = re.compile(rf" s  {re.escape(stage)} ")
        self.until(lambda: any(begun.search(line) for line in list(self._said["err"])), f"stage {stage}")

    def until(self, is_so: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not is_so():
            if self.process.poll() is not None:
                pytest.fail(f"the night ended before {what}:\n{self.ended().said}")
            if time.monotonic() > deadline:
                pytest.fail(f"the night never came to {what}")
            time.sleep(0.01)

    def kill(self) -> None:
        """As the machine's power going out, for this process."""
        self.process.send_signal(signal.SIGKILL)
        self.wait()


def make_sample(
    out: Path, *, students: int = STUDENTS, seed: int = SEED, plant: Iterable[str] = (), end: date = AS_OF
) -> Path:
    """A sample district of one school year in the folder `out`: its district.yaml."""
    return generate(students, YEARS, seed, out, end, plant=tuple(plant), threads=1).district_file


# --- what a night left ---------------------------------------------------------------------------------------


def faults_of(district: Path) -> dict[str, dict[str, Any]]:
    """What was planted in a sample, by fault, as its truth.json says."""
    truth = json.loads((district.parent / "truth.json").read_text(encoding="utf-8"))
    return {fault["fault"]: fault for fault in truth["faults"]}


def parquet_hashes(night: Ended) -> dict[str, str]:
    """SHA-256 of every table's Parquet file in both zones, `snapshot` left out: it tells of the attempt."""
    return {
        f"{zone}/{name}": facts["sha256"]
        for zone in ("restricted", "published")
        for name, facts in night.manifest(zone)["files"].items()
        if name.endswith(".parquet") and not name.startswith("snapshot/")
    }


#: The columns of a figure that are figures, and what says where a figure stands.
_FIGURE_KEY = ("organization_id", "indicator_id", "school_year", "period_type", "student_group_id")
_FIGURE = ("numerator", "denominator", "students", "rate", "rate_low", "rate_high", "coverage", "status")

Figures = dict[tuple[Any, ...], tuple[Any, ...]]


def figures(night: Ended, condition: str = "true") -> Figures:
    """`indicator_by_group` on restricted, by key, for the rows that meet an SQL condition."""
    with night.restricted() as con:
        rows = con.execute(
            f"select {', '.join((*_FIGURE_KEY, *_FIGURE))} from indicator_by_group where {condition}"
        ).fetchall()
    width = len(_FIGURE_KEY)
    return {row[:width]: row[width:] for row in rows}


def differing(left: Figures, right: Figures) -> list[tuple[Any, ...]]:
    """Up to ten keys whose figures differ, with both sides; keys that one side lacks included."""
    keys = sorted((left.keys() | right.keys()), key=str)
    return [(key, left.get(key), right.get(key)) for key in keys if left.get(key) != right.get(key)][:10]


def failed_checks(night: Ended) -> dict[str, dict[str, Any]]:
    """The checks that did not pass, by id, as status.json names them."""
    return {check["check_id"]: check for check in night.status["failed_checks"]}


def assert_readers_see(home: Path, snapshot_id: str | None) -> None:
    """The pointer names exactly this snapshot, and both its zones are as they were written."""
    assert snapshots.current(home / "published") == snapshot_id
    if snapshot_id is not None:
        for zone in ("restricted", "published"):
            assert snapshots.verify(home / zone, snapshot_id) == []


def assert_ended(night: Ended, code: int) -> None:
    """The exit code is this one, and no traceback was shown, however it ended."""
    assert night.code == code, night.said
    assert "Traceback" not in night.said


@functools.cache
def is_linux() -> bool:
    return sys.platform == "linux"


def children_of(process_id: int) -> list[int]:
    """Process ids of all descendants (Linux)."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = list(parents.get(process_id, []))
    for child in found:
        found.extend(parents.get(child, []))
    return found


def is_running(process_id: int) -> bool:
    """Whether a process does anything any more (Linux): a zombie does not."""
    try:
        return (Path("/proc") / str(process_id) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
