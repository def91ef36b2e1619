"""Run `by_hand.sql` on one sample district: `python -m benchmarks.by_hand EXTRACTS TARGET AS_OF`."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import duckdb

SCRIPT = Path(__file__).with_suffix(".sql")
#: As many threads and as much memory as the night's own engine may use.
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {"threads": 2, "memory_limit": "4GB"}


def run(extracts: Path, target: Path, as_of: date) -> None:
    """Compute the figures of the CSV files in `extracts` and write them to `target`, which is made anew."""
    target.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(":memory:", config=_SETTINGS) as con:
        for name, value in {"extracts": str(extracts), "target": str(target), "as_of": as_of}.items():
            con.execute(f"set variable {name} = $value", {"value": value})
        con.execute(SCRIPT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), date.fromisoformat(sys.argv[3]))
