"""The gates' engine: Great Expectations over small audit frames.

An audit frame holds facts about the data (expected against received, codes without a crosswalk), one row
a source, school, month or group, and never a student. Whatever cannot be judged counts as failed: a
missing frame or column, an empty frame, a NULL in a judged column, an expectation that breaks.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from pipelines.gate_rules import Rule, RuleProblems, Scope, load_rules

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.datasource.fluent.interfaces import Batch
    from great_expectations.expectations.expectation import Expectation

__all__ = ["ERROR_MESSAGES", "CheckResult", "Rule", "RuleProblems", "blocks", "judge", "load_rules", "verdict_rows"]

Outcome = Literal["pass", "fail", "error"]
ErrorCode = Literal[
    "frame_missing",
    "column_missing",
    "frame_empty",
    "key_without_value",
    "expectation_unusable",
    "expectation_broke",
    "no_row_named",
]

#: Why a rule could not be judged, as sentences. None holds a value taken from data.
ERROR_MESSAGES: dict[ErrorCode, str] = {
    "frame_missing": "The audit table that this check reads does not exist.",
    "column_missing": "The audit table lacks a column that this check reads.",
    "frame_empty": "The audit table has no rows, so nothing was checked.",
    "key_without_value": "A row of the audit table does not say what it is about.",
    "expectation_unusable": "The expectation is unknown, or does not take these arguments.",
    "expectation_broke": "The check itself broke.",
    "no_row_named": "The check failed without naming the rows that failed it.",
}

#: The arguments of expectations that name columns.
_COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list")

#: What a verdict says beside its keys: shares in 0..1 and head counts of distinct students.
_MEASURES = ("observed", "expected", "students", "students_rest")

_VERDICT_KEYS = ("source_id", "organization_id", "school_year", "period_start", "student_group_id")

#: A key that does not apply. A date has no such value: there NULL is every period.
_EVERY: dict[str, str | int | None] = {
    "source_id": "all",
    "organization_id": "all",
    "school_year": 0,
    "period_start": None,
    "student_group_id": "all",
}


@dataclass(frozen=True)
class CheckResult:
    """What became of one rule.

    rows: rows of the frame that were looked at.
    failing: one mapping for each failing row, with the rule's keys and, where the rule names them, observed
    and expected (shares) and students and students_rest (head counts); nothing else of the frame. It may be
    empty for a failure of the frame as a whole.
    error: why the rule could not be judged; None unless the outcome is error.
    """

    rule: Rule
    outcome: Outcome
    rows: int
    failing: tuple[Mapping[str, Any], ...] = ()
    error: ErrorCode | None = None

    @property
    def scope(self) -> Scope:
        """The rule's scope; the whole snapshot when nobody knows which part is sound."""
        return "snapshot" if self.outcome == "error" else self.rule.scope

    @property
    def message(self) -> str:
        """One sentence for a reader, without a value taken from data."""
        if self.error:
            return ERROR_MESSAGES[self.error]
        return self.rule.question if self.outcome == "pass" else self.rule.means


class _CannotJudgeError(Exception):
    def __init__(self, code: ErrorCode) -> None:
        self.code: ErrorCode = code
        super().__init__(code)


def judge(rules: Iterable[Rule], frames: Mapping[str, pd.DataFrame]) -> list[CheckResult]:
    """Asks every rule of the frame that it names; one result a rule, in the rules' order. Never raises
    for what a rule or a frame holds: that is an outcome `error`.

    Great Expectations is imported here because that alone costs seconds, which no other command should pay.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("audit")
    batches: dict[str, Batch] = {}
    results = []
    with _silenced("great_expectations"):
        for rule in rules:
            frame = frames.get(rule.frame)
            try:
                _require(rule, frame)
                if frame is None or frame.empty:
                    results.append(CheckResult(rule, "pass", 0))
                    continue
                if rule.frame not in batches:
                    # Positions are the only thing taken back from the engine, so the index must be one.
                    definition = source.add_dataframe_asset(rule.frame).add_batch_definition_whole_dataframe("all")
                    batches[rule.frame] = definition.get_batch({"dataframe": frame.reset_index(drop=True)})
                results.append(_ask(rule, frame, batches[rule.frame]))
            except Exception as error:
                code = error.code if isinstance(error, _CannotJudgeError) else "expectation_broke"
                results.append(CheckResult(rule, "error", 0 if frame is None else len(frame), error=code))
    return results


def blocks(results: Iterable[CheckResult]) -> list[str]:
    """Ids of the checks that stop the night: critical, and about a whole source or more or not judged at all."""
    return [
        result.rule.id
        for result in results
        if result.rule.severity == "critical" and result.outcome != "pass" and result.scope in ("snapshot", "source")
    ]


def verdict_rows(results: Iterable[CheckResult], load_id: str) -> list[dict[str, Any]]:
    """Rows of the table `gate_verdict`: one for a check that passed or broke, one for each key that failed.

    Columns: load_id, gate, check_id, severity, scope, outcome, source_id, organization_id, school_year (0 is
    every year), period_start (None is every period), student_group_id, domain, observed, expected, students,
    students_rest. A text key that does not apply is `all`. Rows of one check are ordered by key; failing rows
    that differ only in other keys become one row, whose measures stay where they agree.
    """
    rows = []
    for result in results:
        merged: dict[tuple[Any, ...], dict[str, Any]] = {}
        for failing in result.failing or ({},):
            keys = {name: failing.get(name, _EVERY[name]) for name in _VERDICT_KEYS}
            measures = {name: failing.get(name) for name in _MEASURES}
            known = merged.setdefault(tuple(keys.values()), {**keys, **measures})
            for name in _MEASURES:
                if known[name] != measures[name]:
                    known[name] = None
        for row in sorted(merged.values(), key=_key_order):
            rows.append(
                {
                    "load_id": load_id,
                    "gate": result.rule.gate,
                    "check_id": result.rule.id,
                    "severity": result.rule.severity,
                    "scope": result.scope,
                    "outcome": result.outcome,
                    **{name: row[name] for name in _VERDICT_KEYS},
                    "domain": result.rule.domain,
                    **{name: row[name] for name in _MEASURES},
                }
            )
    return rows


def _key_order(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple((row[name] is not None, 0 if row[name] is None else row[name]) for name in _VERDICT_KEYS)


def _judged_columns(rule: Rule) -> list[str]:
    named = [rule.arguments.get(argument) for argument in _COLUMN_ARGUMENTS]
    flat = [column for value in named for column in (value if isinstance(value, list) else [value])]
    return [column for column in flat if isinstance(column, str)]


def _require(rule: Rule, frame: pd.DataFrame | None) -> None:
    """Raises _CannotJudgeError unless the frame has what the rule reads."""
    if frame is None:
        raise _CannotJudgeError("frame_missing")
    measures = [column for name in _MEASURES if (column := getattr(rule, name)) is not None]
    if not {*rule.keys, *measures, *_judged_columns(rule)} <= set(frame.columns):
        raise _CannotJudgeError("column_missing")
    if frame.empty and not rule.empty_is_pass:
        raise _CannotJudgeError("frame_empty")
    named = [key for key in rule.keys if key != "period_start"]
    if bool(frame[named].isna().any(axis=None)):
        # A failing row without its school would be read as every school.
        raise _CannotJudgeError("key_without_value")


def _ask(rule: Rule, frame: pd.DataFrame, batch: Batch) -> CheckResult:
    expectation = _expectation(rule)
    # Without unexpected_index_column_names, failing rows come back as positions: what they are called is then
    # read from our own frame, and 5,000 of them take 0.02 s instead of 0.8 s.
    verdict = batch.validate(expectation, result_format="COMPLETE")
    if not isinstance(verdict.success, bool) or _broke(verdict):
        raise _CannotJudgeError("expectation_broke")
    failed = {int(position) for position in verdict.result.get("unexpected_index_list") or ()}
    if verdict.success:
        failed = set()
    elif not failed and rule.scope != "snapshot":
        raise _CannotJudgeError("no_row_named")
    unjudged = _without_value(rule, frame, expectation)
    if verdict.success and not unjudged:
        return CheckResult(rule, "pass", len(frame))
    return CheckResult(rule, "fail", len(frame), tuple(_named(rule, frame, sorted(failed | unjudged))))


def _expectation(rule: Rule) -> Expectation:
    import great_expectations.expectations as gxe

    made: Callable[..., Expectation] | None = getattr(gxe, rule.expectation, None)
    if made is None:
        raise _CannotJudgeError("expectation_unusable")
    try:
        return made(**rule.arguments, severity=rule.severity)
    except Exception as error:
        raise _CannotJudgeError("expectation_unusable") from error


def _broke(verdict: ExpectationValidationResult) -> bool:
    """Whether an exception was swallowed: told flat, or by metric, beside success = False."""
    told = verdict.exception_info or {}
    parts = [told, *(part for part in told.values() if isinstance(part, dict))]
    return any(part.get("raised_exception") or part.get("exception_message") for part in parts)


def _without_value(rule: Rule, frame: pd.DataFrame, expectation: Expectation) -> set[int]:
    """Positions of rows that the engine passed over because a judged value is NULL (or NaN).

    Great Expectations leaves such rows out and reports success; here what was not judged has not passed.
    """
    columns = _judged_columns(rule)
    if rule.null_is_pass or not columns or "Null" in rule.expectation or rule.expectation == "ExpectColumnToExist":
        return set()
    missing = frame[columns].isna()
    ignored = str(getattr(expectation, "ignore_row_if", "any"))
    if ignored.startswith("never"):
        return set()
    passed_over = missing.all(axis=1) if ignored.startswith(("both", "all")) else missing.any(axis=1)
    return {position for position, over in enumerate(passed_over) if over}


def _named(rule: Rule, frame: pd.DataFrame, positions: list[int]) -> Iterator[dict[str, Any]]:
    """The failing rows, with the rule's keys and measures only, as plain Python values."""
    columns: dict[str, str | None] = {key: key for key in rule.keys}
    columns |= {name: getattr(rule, name) for name in _MEASURES}
    values = {name: frame[column].iloc[positions].tolist() for name, column in columns.items() if column}
    for number in range(len(positions)):
        yield {name: _plain(name, column[number]) for name, column in values.items()}


def _plain(name: str, value: Any) -> str | int | float | date | None:
    if pd.isna(value):
        return None
    if name == "period_start":
        return pd.Timestamp(value).date()
    if name in ("school_year", "students", "students_rest"):
        return int(value)
    return float(value) if name in ("observed", "expected") else str(value)


@contextmanager
def _silenced(name: str) -> Iterator[None]:
    """Keeps a library from logging: its tracebacks may quote values, and the outcome already says it broke."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
