"""Run `landing_by_hand.sql` on one file: `python -m benchmarks.landing_by_hand CSV KEY_FILE TARGET`."""

from __future__ import annotations

import hashlib
import hmac
import sys
from pathlib import Path

import duckdb

SCRIPT = Path(__file__).with_suffix(".sql")


def run(csv: Path, key_file: Path, target: Path) -> None:
    """Write the marks of `csv` to `target`, a Parquet file, under the pseudonyms that the key gives."""
    key = bytes.fromhex(key_file.read_text(encoding="ascii"))

    def pseudonym(student_id: str) -> int:
        digest = hmac.digest(key, b"student|" + student_id.encode(), "sha256")
        return int.from_bytes(digest[:8], "big", signed=True)

    with csv.open("rb") as file:
        file_id = hashlib.file_digest(file, "sha256").hexdigest()
    with duckdb.connect() as con:
        con.create_function("pseudonym", pseudonym, ["VARCHAR"], "BIGINT")  # type: ignore[list-item, arg-type]
        for name, value in {"csv": str(csv), "target": str(target), "file_id": file_id}.items():
            con.execute(f"set variable {name} = $value", {"value": value})
        con.execute(SCRIPT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
