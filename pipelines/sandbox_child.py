"""The process in which a district's SQL runs: it reads one file, writes one, and reaches nothing else.

A request comes as JSON on standard input, the reply goes as JSON to standard output: `columns` (name to `text`
or `nested`), with the answer written to Parquet, or `failed` (the engine's kind of error) and its `line`.
Nothing of the engine's messages is told: they may quote cells.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pyarrow.parquet

from pipelines.child import die_with_parent

#: The engine spills beyond its limit; beyond the process's, whatever asks for more fails.
_ENGINE_MEMORY = "512MB"
_PROCESS_BYTES = 2 * 1024**3
_DISK_GB = 20
_ROWS_AT_A_TIME = 100_000
_NESTED = re.compile(r"\]$|^(STRUCT|MAP|UNION|LIST|BLOB|BIT)\b")


def main() -> None:
    """Answer the one request on standard input."""
    die_with_parent("the SQL of a map")
    request = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_DISK_GB * 10**9, _DISK_GB * 10**9))
    if sys.platform == "linux":  # elsewhere the kernel does not hold a process to it
        resource.setrlimit(resource.RLIMIT_AS, (_PROCESS_BYTES, _PROCESS_BYTES))
    json.dump(answer(request), sys.stdout)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The reply to a request (see the module): keys sql, source, answer, scratch (paths), listed and seconds."""
    with locked_engine(Path(request["source"]), request["listed"], Path(request["scratch"])) as con:
        timer = threading.Timer(request["seconds"], con.interrupt)
        timer.daemon = True
        timer.start()
        try:
            con.execute(f"CREATE TEMP VIEW answer AS\n{request['sql']}")
        except duckdb.Error as problem:
            line = re.search(r"^LINE (\d+):", str(problem), re.MULTILINE)
            # The SELECT begins in the second line of what the engine was given.
            return {"failed": _kind(str(problem)), "line": max(int(line[1]) - 1, 1) if line else None}
        try:
            return _answer(con, Path(request["answer"]))
        except MemoryError:
            return {"failed": "MemoryLimit"}
        except (
            duckdb.Error,
            pyarrow.ArrowException,
            OSError,
        ) as problem:  # Arrow hands an engine's error on as OSError
            return {"failed": _kind(str(problem))}  # while it runs, the engine counts lines of the view's own text
        finally:
            timer.cancel()


def _kind(message: str) -> str:
    """The kind of an engine's error, with which its every message begins."""
    kind = re.match(r"([A-Za-z ]{1,40}) Error\b", message)
    limits = {"INTERRUPT": "TimeLimit", "Out of Memory": "MemoryLimit"}
    name = kind[1] if kind else "unknown"
    return limits.get(name, f"{name} error")


def locked_engine(source: Path, listed: Sequence[str], scratch: Path) -> duckdb.DuckDBPyConnection:
    """An engine with the view `source` of one Parquet file, which can read no other and cannot be changed.

    listed: the names of the columns where the file holds them as one list, `cells`; else none.
    One thread: rows without an order come out in the same one every time.
    """
    con = duckdb.connect(
        config={
            "memory_limit": _ENGINE_MEMORY,
            "threads": 1,
            "temp_directory": str(scratch),
            "max_temp_directory_size": f"{_DISK_GB}GB",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
        }
    )
    path = str(source).replace("'", "''")
    columns = [f"cells[{n}] AS {_quoted(name)}" for n, name in enumerate(listed, start=1)]
    selected = ", ".join(["line", *columns]) if listed else "*"
    con.execute(f"CREATE VIEW source AS SELECT {selected} FROM read_parquet('{path}')")
    con.execute(f"SET allowed_paths = ['{path}']")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    return con


def _answer(con: duckdb.DuckDBPyConnection, target: Path) -> dict[str, Any]:
    described = [(str(row[0]), str(row[1])) for row in con.execute("DESCRIBE answer").fetchall()]
    columns = {name.lower(): "nested" if _NESTED.search(kind) else "text" for name, kind in described}
    if "nested" in columns.values() or "line" not in columns:
        return {"columns": columns}
    texts = [
        f"TRY_CAST({name} AS BIGINT) AS line"
        if name.lower() == "line"
        else f"CAST({_quoted(name)} AS VARCHAR) AS {_quoted(name.lower())}"
        for name, _ in described
    ]
    batches = con.execute(f"SELECT {', '.join(texts)} FROM answer").to_arrow_reader(_ROWS_AT_A_TIME)
    with pyarrow.parquet.ParquetWriter(target, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    target.chmod(0o600)
    return {"columns": columns}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


if __name__ == "__main__":
    main()
