"""Any grid, unpivoted: every cell becomes one row or is counted, against the plainest reference."""

from __future__ import annotations

from pathlib import Path

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import mapping, reshape
from pipelines.config import Source
from pipelines.contract import ENTITIES
from pipelines.sources import Reading

CELLS = st.none() | st.sampled_from(["", " ", "A", "*", " * ", "-", "T", "\u00a0", "0", "it's", '"'])
GRIDS = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.tuples(*[CELLS] * width).map(list), min_size=0, max_size=8).map(
        lambda rows: (width, rows)
    )
)
DROPS = st.lists(st.sampled_from(["", "-", "T", "*"]), max_size=3)


@settings(max_examples=30, deadline=None)
@given(GRIDS, DROPS, st.sampled_from(["list", "pattern", "repeat"]))
def test_every_cell_is_a_row_or_counted(grid: tuple[int, list[list[str | None]]], drop: list[str], form: str) -> None:
    width, rows = grid
    names = [f"D{n}" for n in range(width)]
    unpivot: dict[str, object] = {
        "list": {"columns": names},
        "pattern": {"columns": "d(?P<number>[0-9]+)"},
        "repeat": {"repeat": [{"value": name} for name in names]},
    }[form]
    entity_map = {
        "columns": {"student_id": "sid", "category": "value", "period": "column_name"},
        "constants": {"school_id": "10", "date": "2025-09-01"},
        "unpivot": {**unpivot, "drop": drop},
    }
    source = Source(
        kind="delimited",
        files=["f"],
        missing_rows="full",
        masks=["*"],
        entities={"attendance_event": entity_map},  # type: ignore[dict-item]
    )
    with duckdb.connect() as con:
        con.execute(f"CREATE TEMP TABLE t (sid VARCHAR, {', '.join(f'{name} VARCHAR' for name in names)}, line BIGINT)")
        for line, cells in enumerate(rows, start=2):
            con.execute(f"INSERT INTO t VALUES ('s', {', '.join('?' * width)}, ?)", [*cells, line])
        entity = ENTITIES["attendance_event"]
        shaped = reshape.shape(con, Reading({"*": "t"}, "none", len(rows)), entity, source, None, Path("unused"))
        judged = mapping.judge(con, shaped.reading, "*", entity, shaped.source, bytes(32))
        number = {column.name: n for n, column in enumerate(entity.columns)}
        found = con.execute(
            f"SELECT line, value_{number['period']}, value_{number['category']} FROM {judged.view}"
        ).fetchall()
    labels = [str(n + 1) for n in range(width)] if form == "repeat" else names
    cells_of = [
        (line, label, (cell or "").strip())
        for line, cells in enumerate(rows, start=2)
        for label, cell in zip(labels, cells, strict=True)
    ]
    kept = [one for one in cells_of if one[2] not in drop]
    assert sorted(found) == sorted((line, label, "" if cell == "*" else cell) for line, label, cell in kept)
    assert shaped.rows_left_out == len(cells_of) - len(kept)
    assert judged.cells_masked == sum(cell == "*" for _, _, cell in kept)
    assert judged.rows_read + shaped.rows_left_out == len(rows) * width
