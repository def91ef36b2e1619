"""How much of a proposal is right, shape by shape: `.venv/bin/python -m tests.exports.measure [--wrong]`.

Prints the table of docs/sources/README.md. --wrong lists every line that is wrong or lacking.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from pipelines.proposal.proposal import proposal
from tests.exports.holdouts import HOLDOUTS
from tests.exports.others import OTHERS
from tests.exports.shared import shapes as shared_shapes
from tests.exports.systems import SYSTEMS
from tests.exports.truth import Score, Truth, score
from tests.exports.world import world

_TITLES = {
    "powerschool": "PowerSchool (Quick Export, DDE)",
    "infinite_campus": "Infinite Campus (ad hoc)",
    "skyward": "Skyward (SMS tables)",
    "aeries": "Aeries (table codes)",
    "synergy": "Synergy (workbook, queries)",
    "grid": "register as a grid, race flags",
    "fourth system": "a fourth system's tables",
    "warehouse": "a warehouse's Parquet and JSON lines",
    "small office": "a workbook kept by hand",
    "state elements": "a state's element names",
    "coded tables": "tables with prefixed names",
    "survey tool": "a survey tool, a roster report",
}


def built(scratch: Path, made: dict[str, object]) -> dict[str, tuple[Path, Truth]]:
    """Write every export of `made` and give its folder and truth."""
    district = world()
    return {name: (scratch / name, write(district, scratch / name)) for name, write in made.items()}  # type: ignore[operator]


def measured(shapes: dict[str, tuple[Path, Truth]]) -> dict[str, tuple[Score, float]]:
    """Shape -> its score and the seconds that the proposal took."""
    found = {}
    for name, (folder, truth) in shapes.items():
        began = time.perf_counter()
        found[name] = (score(proposal(folder), truth), time.perf_counter() - began)
    return found


def table(scores: dict[str, tuple[Score, float]]) -> str:
    """The scores as a Markdown table, with their sum."""
    lines = [
        "| shape | entities | columns | sure, but wrong | proposed beyond "
        "| codes right | only suggested | codes wrong | settings |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    total = Score()
    for name, (one, _) in scores.items():
        total += one
        lines.append(row(name, one))
    lines.append(row("**all**", total))
    return "\n".join(lines)


def row(name: str, one: Score) -> str:
    """One line of the table."""
    beyond = one.entities_extra + one.columns_extra
    cells = [
        _TITLES.get(name, name),
        f"{one.entities_right} of {one.entities}" if one.entities else "none, rightly" if not beyond else "none",
        _share(one.columns_right, one.columns),
        str(one.sure_but_wrong) if one.columns else "",
        str(beyond),
        _share(one.codes_right, one.codes),
        str(one.codes_suggested) if one.codes else "",
        str(one.codes_wrong) if one.codes else "",
        _share(one.settings_right, one.settings),
    ]
    return f"| {' | '.join(cells)} |"


def _share(right: int, of: int) -> str:
    return f"{right} of {of} ({100 * right / of:.0f} %)" if of else ""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        seen = measured({**built(Path(scratch), {**SYSTEMS, **OTHERS}), **shared_shapes(Path(scratch) / "shared")})
        (Path(scratch) / "holdouts").mkdir()
        held_out = measured(built(Path(scratch) / "holdouts", dict(HOLDOUTS)))
    sys.stdout.write(f"{table(seen)}\n\n{table(held_out)}\n")
    slowest = max(seen, key=lambda name: seen[name][1])
    took = sum(seconds for _, seconds in seen.values())
    sys.stdout.write(f"\n{took:.1f} s for {len(seen)} shapes; the slowest {slowest}, {seen[slowest][1]:.1f} s\n")
    if "--wrong" in sys.argv:
        for name, (one, _) in {**seen, **held_out}.items():
            sys.stdout.write("".join(f"{name}: {line}\n" for line in one.wrong))


if __name__ == "__main__":
    main()
