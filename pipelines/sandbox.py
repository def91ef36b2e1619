"""A district's own SQL: one SELECT over one table, in a process of its own that can reach nothing else.

The file is copied as text to Parquet, and a child process (`sandbox_child.py`) answers the SELECT with it. That
process has an empty environment, limited memory and time, and an engine that may read this one file, load
nothing and change no setting. What the SELECT names is checked beforehand, so that a person is told by line.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from pipelines.config import DistrictFile, Source
from pipelines.contract import Entity
from pipelines.mapping import closest, masked_cells, without_masks
from pipelines.refused_columns import refused_word
from pipelines.sources import MAPPED_BY_DISTRICT, Reading, Unreadable

#: The table that the SQL sees, and its column that holds the row's line in the file.
TABLE, LINE = "source", "line"
#: What a file's own column `line` is called there.
_OWN_LINE = "file_line"
MAXIMUM_BYTES = 200_000
TIME_LIMIT_SECONDS = 600
_TABLE_FUNCTIONS = frozenset({"unnest", "range", "generate_series"})
#: Names without brackets that stand for a clock or a person; the engine resolves them only when it binds.
_BARE_FUNCTIONS = frozenset(
    {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "user"}
)
_MOST_NAMES = 20
#: Parquet is written with a quarter of a megabyte and more for every column; beyond these, cells go as one list.
_MOST_COLUMNS = 400


@dataclass(frozen=True)
class Answer:
    """table: a temp table of contract columns (VARCHAR) and `line` (BIGINT); columns: the former, in order."""

    table: str
    columns: tuple[str, ...]
    lines_left_out: int
    cells_masked: int


def sql_path(folder: Path, name: str) -> Path | None:
    """The SQL file of this name beside district.yaml, or below; None where it lies elsewhere."""
    path = (folder / name).resolve()
    return path if path.is_relative_to(folder.resolve()) else None


def sql_texts(district: DistrictFile) -> dict[str, str]:
    """The text of every SQL file that a map names, by the name; '' where it cannot be read (any more)."""
    maps = [one for source in district.settings.sources.values() for one in source.entities.values()]
    return {one.sql: sql_text(district.folder, one.sql) for one in maps if one.sql is not None}


def sql_text(folder: Path, name: str) -> str:
    """The text of an SQL file, '' where it cannot be read."""
    path = sql_path(folder, name)
    try:
        if path is None or path.stat().st_size > MAXIMUM_BYTES:
            return ""
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        return ""


# --- before it runs ------------------------------------------------------------------------------------------


def problem_of(sql: str) -> str | None:
    """Why this SQL is not run, as a sentence without its full stop; None where it is one SELECT over `source`."""
    with duckdb.connect() as con:
        try:
            statements = con.extract_statements(sql)
        except duckdb.Error as problem:
            return f"it is not SQL that the engine can read{_at(str(problem))}"
        if len(statements) != 1:
            return f"it holds {len(statements)} statements: write one SELECT" if statements else "it holds no statement"
        row = con.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    try:
        parsed: dict[str, Any] = json.loads(row[0] if row else "{}")
        if parsed.get("error", True):
            return "it is not a SELECT"
        return next(_forbidden(parsed, sql), None)
    except RecursionError:
        return "it is nested too deeply"


def _forbidden(parsed: Mapping[str, Any], sql: str) -> Iterator[str]:
    """What a parsed SELECT names that it may not, as sentences."""
    nodes = list(_nodes(parsed))
    known = {TABLE, *(str(node["cte_name"]).lower() for node in nodes if node.get("cte_name"))}
    known |= {str(entry["key"]).lower() for node in nodes for entry in (node.get("cte_map") or {}).get("map", [])}
    for node in nodes:
        kind, at = node.get("type"), _line_of(sql, node.get("query_location"))
        function = str(node.get("function_name") or "").lower()
        if kind == "BASE_TABLE":
            name = str(node["table_name"])
            if node.get("schema_name") or node.get("catalog_name") or name.lower() not in known:
                yield f"it reads the table {_shortened(name)}{at}: there is only {TABLE}"
        elif kind == "TABLE_FUNCTION":
            name = str(node["function"].get("function_name", "")).lower()
            if name not in _TABLE_FUNCTIONS:
                yield f"it reads from {_shortened(name)}(){at}: there is only {TABLE}"
        elif kind == "SHOW_REF":
            yield "it is not a SELECT"
        elif function in _changing_functions():
            yield f"{function}(){at} gives another answer every time, and the same file must always give the same rows"
        elif kind == "COLUMN_REF" and len(names := node["column_names"]) == 1 and names[0].lower() in _BARE_FUNCTIONS:
            yield f"{names[0]}{at} gives another answer every time, and the same file must always give the same rows"
        elif node.get("sample"):
            yield "it takes a sample, and the same file must always give the same rows"


def _nodes(parsed: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(parsed, dict):
        yield parsed
        for value in parsed.values():
            yield from _nodes(value)
    elif isinstance(parsed, list):
        for value in parsed:
            yield from _nodes(value)


@cache
def _changing_functions() -> frozenset[str]:
    with duckdb.connect() as con:
        rows = con.execute("SELECT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'").fetchall()
    return frozenset(name for (name,) in rows) - {"error"}


def _line_of(sql: str, offset: object) -> str:
    if not isinstance(offset, int) or offset > len(sql.encode()):
        return ""
    before = sql.encode()[:offset]
    return f" (line {before.count(bytes([10])) + 1})"


def _at(message: str) -> str:
    """` (line 3)` where the engine's message names the line; the rest of it may hold values."""
    line = re.search(r"^LINE (\d+):", message, re.MULTILINE)
    return f" (line {line[1]})" if line else ""


def _shortened(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:60]}..."


# --- running it ----------------------------------------------------------------------------------------------


def run(
    con: duckdb.DuckDBPyConnection,
    reading: Reading,
    entity: Entity,
    source: Source,
    sql: str,
    scratch: Path,
    *,
    time_limit_seconds: int = TIME_LIMIT_SECONDS,
) -> Answer:
    """Answer the SQL with the file's table. Raises Unreadable, with no value from the data, when it fails."""
    problem = problem_of(sql)
    if problem is not None:
        raise _unreadable(source, entity, "sql_not_allowed", f"{problem}.", "Write one SELECT from source.")
    given, answered = scratch / "sandbox_source.parquet", scratch / "sandbox_answer.parquet"
    table = reading.tables[MAPPED_BY_DISTRICT]
    names = _visible(con, reading)
    masked = _give(con, reading, source, names, given)
    request = {
        "sql": sql,
        "source": str(given),
        "listed": list(names.values()) if len(names) > _MOST_COLUMNS else [],
        "answer": str(answered),
        "scratch": str(scratch / "sandbox"),
        "seconds": time_limit_seconds,
    }
    reply = _ask(request, time_limit_seconds)
    columns = _judge_reply(reply, entity, source, list(names.values()), time_limit_seconds)
    result = f"{table}_sql_{entity.name}"
    con.execute(f"CREATE OR REPLACE TEMP TABLE {result} AS FROM read_parquet('{_escaped(str(answered))}')")
    line = f'"{reading.line_column}"'
    lost = _count(con, f"{result} AS a ANTI JOIN (SELECT {line} AS line FROM {table}) AS t ON a.line = t.line")
    if lost:
        raise _unreadable(
            source,
            entity,
            "sql_lost_lines",
            f"{lost:,} of its rows have no line of the file.",
            "Select line from source with every row, so that each can be traced.",
        )
    left_out = _count(con, f"(SELECT {line} AS line FROM {table}) AS t ANTI JOIN {result} AS a ON t.line = a.line")
    return Answer(result, columns, left_out, masked)


def _visible(con: duckdb.DuckDBPyConnection, reading: Reading) -> dict[str, str]:
    """The file's columns that the SQL may see, with their names there: none that is never carried."""
    table = reading.tables[MAPPED_BY_DISTRICT]
    names = [str(row[0]) for row in con.execute(f"DESCRIBE {table}").fetchall()]
    return {
        name: _OWN_LINE if name.lower() == LINE else name
        for name in names
        if name != reading.line_column and refused_word(name) is None
    }


def _give(
    con: duckdb.DuckDBPyConnection, reading: Reading, source: Source, names: Mapping[str, str], target: Path
) -> int:
    """Write the file's table as the SQL sees it; the number of masked cells, which are blank in it."""
    table = reading.tables[MAPPED_BY_DISTRICT]
    cells = [without_masks(name, source) for name in names]
    named = [f"{cell} AS {_quoted(shown)}" for cell, shown in zip(cells, names.values(), strict=True)]
    listed = [f"[{', '.join(cells)}] AS cells"] if len(cells) > _MOST_COLUMNS else named
    columns = ", ".join([f"{_quoted(reading.line_column)} AS {LINE}", *listed])
    con.execute(f"COPY (SELECT {columns} FROM {table}) TO '{_escaped(str(target))}' (FORMAT parquet)")
    target.chmod(0o600)
    if not source.masks:
        return 0
    row = con.execute(f"SELECT coalesce(sum({masked_cells(names, source)}), 0) FROM {table}").fetchone()
    return int(row[0]) if row else 0


def _ask(request: Mapping[str, Any], time_limit_seconds: int) -> dict[str, Any]:
    """The child's reply; `{"failed": ...}` where it ended without one."""
    try:
        child = subprocess.run(
            [sys.executable, "-I", "-m", "pipelines.sandbox_child"],
            input=json.dumps(request),
            env={},
            capture_output=True,
            text=True,
            check=False,
            timeout=time_limit_seconds + 10,  # the child stops by itself first, and can say so
        )
    except subprocess.TimeoutExpired:
        return {"failed": "TimeLimit"}
    try:
        reply = json.loads(child.stdout)
    except ValueError:
        return {"failed": "MemoryLimit"}
    return reply if isinstance(reply, dict) else {"failed": "MemoryLimit"}


def _judge_reply(
    reply: Mapping[str, Any], entity: Entity, source: Source, names: list[str], time_limit_seconds: int
) -> tuple[str, ...]:
    """The contract columns that the answer holds. Raises Unreadable when it failed or does not fit the contract."""
    there = f"Columns of source: {', '.join(names[:_MOST_NAMES])}{', ...' if len(names) > _MOST_NAMES else ''}."
    if failed := reply.get("failed"):
        line = f" in line {reply['line']}" if reply.get("line") else ""
        sentences = {
            "TimeLimit": f"it ran for longer than {time_limit_seconds} seconds.",
            "MemoryLimit": "it needs more memory than it may have.",
        }
        message = sentences.get(str(failed), f"the engine stopped{line} ({failed}).")
        remedy = "Look for a join or a recursion that yields more rows than the file has."
        if str(failed) not in sentences:
            remedy = f"Cells are text: use try_cast and try_strptime. {there}"
        raise _unreadable(source, entity, "sql_failed", message, remedy)
    columns: dict[str, str] = reply["columns"]
    known = entity.by_name
    unknown = [name for name in columns if name not in known and name != LINE]
    missing = [one.name for one in entity.columns if one.required and one.name not in columns]
    missing += [LINE] if LINE not in columns else []
    if unknown:
        near = sorted({hit for name in unknown for hit in closest(name, known)})
        message = f"it yields columns that {entity.name} does not have: {', '.join(map(_shortened, unknown))}."
        remedy = f"Name them as the contract does (closest: {', '.join(near) or 'none'}), or leave them out."
        raise _unreadable(source, entity, "sql_unknown_column", message, remedy)
    if missing:
        message = f"it does not yield {', '.join(missing)}, which {entity.name} needs."
        raise _unreadable(source, entity, "sql_missing_column", message, f"Select them too. {there}")
    nested = [name for name, kind in columns.items() if kind == "nested"]
    if nested:
        message = f"{', '.join(nested)} is a list or a structure."
        remedy = "Yield text: array_to_string(the list, '|') where a column holds many values."
        raise _unreadable(source, entity, "sql_nested_column", message, remedy)
    return tuple(name for name in columns if name != LINE)


def _unreadable(source: Source, entity: Entity, reason: str, message: str, remedy: str) -> Unreadable:
    return Unreadable(reason, f"{source.entities[entity.name].sql}: {message}", None, remedy)


def _count(con: duckdb.DuckDBPyConnection, relation: str) -> int:
    row = con.execute(f"SELECT count(*) FROM {relation}").fetchone()
    return int(row[0]) if row else 0


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _escaped(text: str) -> str:
    return text.replace("'", "''")
