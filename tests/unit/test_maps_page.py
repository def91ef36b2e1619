"""The page about maps keeps its word: every example in it is loaded, read, mapped and judged."""

from __future__ import annotations

import csv
import io
import re
import textwrap
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines import mapping, reshape
from pipelines.code_version import ROOT
from pipelines.contract import ENTITIES
from pipelines.district_file import load
from pipelines.sandbox import sql_texts
from pipelines.sources import reader_for

PAGE = ROOT / "docs" / "sources" / "maps.md"
HEAD = """\
district: {id: d, name: D, contact: x@example.org, time_zone: America/Chicago}
calendar: [{school_year: 2026, first_day: 2025-08-12, last_day: 2026-05-28}]
sources:
  example:
    kind: delimited
    files: example.csv
    missing_rows: full
    attendance_records: every_day
"""


def examples() -> list[dict[str, str]]:
    """Of every example: file, settings, sql (where there is one), rows, and refused (where there are any)."""
    found: list[dict[str, str]] = []
    for language, body in re.findall(
        r"^```(\w+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
        if language == "csv" and body.startswith("line,column,reason"):
            found[-1]["refused"] = body
        elif language == "csv" and body.startswith("line,"):
            found[-1]["rows"] = body
        elif language == "csv":
            found.append({"file": body})
        else:
            found[-1]["settings" if language == "yaml" else language] = body
    return found


EXAMPLES = examples()


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 10
    assert sum("sql" in example for example in EXAMPLES) == 1
    assert sum("refused" in example for example in EXAMPLES) >= 4


@pytest.mark.parametrize("example", EXAMPLES, ids=[example["file"].splitlines()[0] for example in EXAMPLES])
def test_an_example_lands_as_it_says(example: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "example.csv").write_text(example["file"])
    (tmp_path / "spans.sql").write_text(example.get("sql", ""))
    (tmp_path / "district.yaml").write_text(HEAD + textwrap.indent(example["settings"], "    "))
    district = load(tmp_path / "district.yaml")
    source = district.settings.sources["example"]
    entity = ENTITIES[list(source.entities)[-1]]
    con = duckdb.connect()
    reading = reader_for("delimited")(con, tmp_path / "example.csv", source, tmp_path)
    sql = sql_texts(district).get(source.entities[entity.name].sql or "")
    shaped = reshape.shape(con, reading, entity, source, sql, tmp_path)
    judged = mapping.judge(con, shaped.reading, "*", entity, shaped.source, bytes(32))
    values = ", ".join(f"value_{n} AS {column.name}" for n, column in enumerate(entity.columns))
    rows = con.execute(f"SELECT line, problem, {values} FROM {judged.view} ORDER BY ALL").to_arrow_table().to_pylist()
    landed: list[dict[str, Any]] = [row for row in rows if not row["problem"]]
    wanted = table(example["rows"])
    assert sorted(tuple(str(row[name]) for name in wanted[0]) for row in landed) == sorted(
        tuple(row.values()) for row in wanted
    )
    faults = [(row["line"], judged.judgements[row["problem"] - 1]) for row in rows if row["problem"]]
    refused = sorted((str(line), fault.column, fault.reason) for line, fault in faults)
    assert refused == sorted(tuple(row.values()) for row in table(example.get("refused", "line\n")))
