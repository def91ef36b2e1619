"""Stages 3 and 5: what may be counted, and what may be shown.

Gate 1 judges facts about the data and writes `gate_verdict`, which marts read. Gate 2 judges the marts and
only stops the night. A critical failure of a whole source or snapshot is an error on a blocking check;
a critical failure of a school is a warning here and a verdict there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import dagster as dg
import pandas as pd

from pipelines.assets.night_resource import NightResource
from pipelines.code_version import EXPECTATIONS
from pipelines.gates import CheckResult, Rule, blocks, judge, load_rules, verdict_rows
from pipelines.night import Night
from pipelines.outcome import StoppedByGateError
from pipelines.warehouse import GATE_VERDICT, building_path, connect

_RULES = load_rules(EXPECTATIONS)


def _of_gate(number: int) -> list[Rule]:
    return [rule for rule in _RULES if rule.gate == number]


def _specs(number: int) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            rule.id, asset=f"gate_{number}", blocking=rule.severity == "critical", description=rule.question
        )
        for rule in _of_gate(number)
    ]


def _audit_tables(number: int) -> list[dg.AssetKey]:
    return [dg.AssetKey(["audit", frame]) for frame in sorted({rule.frame for rule in _of_gate(number)})]


@dg.asset(name="gate_1", group_name="gates", deps=_audit_tables(1), check_specs=_specs(1))
def gate_1(night: NightResource) -> Iterator[dg.MaterializeResult[None]]:
    """Decide what may be counted, at the smallest honest scope."""
    yield _hold(night.current(), 1, "Judging what the data can carry")


@dg.asset(name="gate_2", group_name="gates", deps=[*_audit_tables(2), "gate_1"], check_specs=_specs(2))
def gate_2(night: NightResource) -> Iterator[dg.MaterializeResult[None]]:
    """Decide whether the figures may be shown."""
    yield _hold(night.current(), 2, "Judging the figures")


def _hold(run: Night, number: Literal[1, 2], doing: str) -> dg.MaterializeResult[None]:
    with run.stage(f"gate {number}", doing):
        rules = _of_gate(number)
        with connect(building_path(run.home)) as con:
            frames: dict[str, pd.DataFrame] = {
                frame: con.execute(f"select * from audit.{frame} order by all").df()
                for frame in sorted({rule.frame for rule in rules})
            }
            results = judge(rules, frames)
            rows = [tuple(row[name] for name in GATE_VERDICT) for row in verdict_rows(results, run.load_id)]
            con.execute("delete from gate.gate_verdict where gate = ?", [number])
            con.executemany(f"insert into gate.gate_verdict values ({', '.join('?' for _ in GATE_VERDICT)})", rows)
        run.checks += results
        for result in results:
            if result.outcome != "pass":
                run.progress.note(f"{result.rule.severity}: {result.rule.id}{_where(result)}")
        stopping = blocks(results)
        if stopping:
            # Recorded here; Dagster itself stops the run on the blocking check below.
            stopped = [result for result in results if result.rule.id in stopping]
            run.failure = StoppedByGateError(
                "\n".join(f"{result.rule.id}{_where(result)}: {result.message}" for result in stopped),
                "\n".join(result.rule.remedy for result in stopped),
            )
            run.failed_stage = f"gate {number}"
        return dg.MaterializeResult(check_results=[_for_dagster(result, stopping) for result in results])


def _where(result: CheckResult) -> str:
    named = sorted({str(row[key]) for row in result.failing for key in ("source_id", "organization_id") if key in row})
    if not named:
        return ""
    return f" ({', '.join(named[:3])}{f' and {len(named) - 3} more' if len(named) > 3 else ''})"


def _for_dagster(result: CheckResult, stopping: Sequence[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=result.rule.id,
        passed=result.outcome == "pass",
        severity=dg.AssetCheckSeverity.ERROR if result.rule.id in stopping else dg.AssetCheckSeverity.WARN,
        description=result.message,
        metadata={"outcome": result.outcome, "rows": result.rows, "failing": len(result.failing)},
    )
