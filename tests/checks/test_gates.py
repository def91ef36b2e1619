"""The gates' engine on small frames written by hand: what passes, what fails where, and what breaks."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pipelines.gates import CheckResult, Rule, RuleProblems, blocks, judge, load_rules, verdict_rows

REPOSITORY = Path(__file__).resolve().parents[2]

CANARY = "canary-7f3a"

COVERAGE: dict[str, Any] = {
    "id": "attendance-covers-calendar",
    "question": "Did every school send attendance for the days on which it was open?",
    "severity": "critical",
    "scope": "school",
    "frame": "audit_coverage",
    "expectation": "ExpectColumnValuesToBeBetween",
    "arguments": {"column": "days_missing", "max_value": 0},
    "keys": ["source_id", "organization_id", "school_year", "period_start"],
    "observed": "share_received",
    "expected": "share_expected",
    "students": "students",
    "students_rest": "students_rest",
    "affects": ["attendance_rate", "chronic_absence"],
    "domain": "attendance",
    "means": "The school's attendance is incomplete.",
    "who_fixes": "the school's attendance clerk",
    "remedy": "Send the missing days again.",
}


def rule(**changes: Any) -> Rule:
    return Rule.model_validate({**COVERAGE, "suite": "coverage", "gate": 1, **changes})


def coverage() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "source_id": ["attendance"] * 3,
            "organization_id": ["S1", "S2", "S3"],
            "school_year": [2026] * 3,
            "period_start": pd.to_datetime(["2025-09-01"] * 3),
            "days_missing": [0, 4, 0],
            "share_received": [1.0, 0.8, 1.0],
            "share_expected": [1.0, 1.0, 1.0],
            "students": [40, 7, 12],
            "students_rest": [19, 52, 47],
            "contact": [CANARY] * 3,
        }
    )


def ask(frame: pd.DataFrame | None, /, **changes: Any) -> CheckResult:
    (result,) = judge([rule(**changes)], {} if frame is None else {"audit_coverage": frame})
    return result


def test_a_rule_that_holds_passes_with_one_verdict_for_all() -> None:
    result = ask(coverage().assign(days_missing=0))
    assert (result.outcome, result.rows, result.failing, result.error) == ("pass", 3, (), None)
    assert blocks([result]) == []
    assert verdict_rows([result], "L1") == [
        {
            "load_id": "L1",
            "gate": 1,
            "check_id": "attendance-covers-calendar",
            "severity": "critical",
            "scope": "school",
            "outcome": "pass",
            "source_id": "all",
            "organization_id": "all",
            "school_year": 0,
            "period_start": None,
            "student_group_id": "all",
            "domain": "attendance",
            "observed": None,
            "expected": None,
            "students": None,
            "students_rest": None,
        }
    ]


def test_a_failing_row_names_its_school_and_stops_nothing_else() -> None:
    result = ask(coverage())
    assert result.outcome == "fail"
    assert result.failing == (
        {
            "source_id": "attendance",
            "organization_id": "S2",
            "school_year": 2026,
            "period_start": date(2025, 9, 1),
            "observed": 0.8,
            "expected": 1.0,
            "students": 7,
            "students_rest": 52,
        },
    )
    assert blocks([result]) == []
    (row,) = verdict_rows([result], "L1")
    assert (row["scope"], row["organization_id"], row["students_rest"]) == ("school", "S2", 52)
    assert [type(row[name]) for name in ("school_year", "period_start", "observed", "students")] == [
        int,
        date,
        float,
        int,
    ]


@pytest.mark.parametrize("scope", ["snapshot", "source"])
def test_a_critical_failure_of_a_source_or_more_stops_the_night(scope: str) -> None:
    assert blocks([ask(coverage(), scope=scope)]) == ["attendance-covers-calendar"]
    assert blocks([ask(coverage(), scope=scope, severity="warning")]) == []


def test_a_value_that_is_not_there_has_not_passed() -> None:
    frame = coverage().assign(days_missing=[0.0, None, float("nan")])
    assert [row["organization_id"] for row in ask(frame).failing] == ["S2", "S3"]
    assert ask(frame, null_is_pass=True).outcome == "pass"
    both = frame.assign(days_missing=[3.0, None, 0.0])
    assert [row["organization_id"] for row in ask(both).failing] == ["S1", "S2"]
    assert [row["organization_id"] for row in ask(both, null_is_pass=True).failing] == ["S1"]
    highest = {"expectation": "ExpectColumnMaxToBeBetween", "arguments": {"column": "days_missing", "max_value": 9}}
    assert [row["organization_id"] for row in ask(both, scope="snapshot", **highest).failing] == ["S2"]


def test_an_expectation_about_nulls_judges_them_itself() -> None:
    frame = coverage().assign(share_received=[1.0, None, 1.0])
    empty = {"arguments": {"column": "share_received"}}
    present = ask(frame, expectation="ExpectColumnValuesToNotBeNull", **empty)
    assert [row["organization_id"] for row in present.failing] == ["S2"]
    assert present.failing[0]["observed"] is None
    absent = ask(frame, expectation="ExpectColumnValuesToBeNull", **empty)
    assert [row["organization_id"] for row in absent.failing] == ["S1", "S3"]


def test_pairs_and_sets_of_columns_name_their_rows_too() -> None:
    frame = coverage().assign(landed=[10, 10, None], accounted=[10, 9, None], organization_id=["S1", "S1", "S3"])
    pair = {
        "expectation": "ExpectColumnPairValuesToBeEqual",
        "arguments": {"column_A": "landed", "column_B": "accounted"},
    }
    assert [row["organization_id"] for row in ask(frame, **pair).failing] == ["S1", "S3"]
    keys = {"column_list": ["source_id", "organization_id"]}
    unique = ask(frame, expectation="ExpectCompoundColumnsToBeUnique", arguments=keys)
    assert [row["organization_id"] for row in unique.failing] == ["S1", "S1"]


@pytest.mark.parametrize(
    ("changes", "frame", "code"),
    [
        ({"frame": "audit_nowhere"}, coverage(), "frame_missing"),
        ({}, None, "frame_missing"),
        ({"arguments": {"column": "nowhere", "max_value": 0}}, coverage(), "column_missing"),
        ({"observed": "nowhere"}, coverage(), "column_missing"),
        ({}, coverage().drop(columns="school_year"), "column_missing"),
        ({}, coverage().head(0), "frame_empty"),
        ({}, coverage().assign(organization_id=["S1", None, "S3"]), "key_without_value"),
        ({}, pd.concat([coverage(), coverage()], axis=1), "expectation_broke"),
        ({"expectation": "ExpectMiracles"}, coverage(), "expectation_unusable"),
        ({"arguments": {"column": "days_missing", "max_valu": 0}}, coverage(), "expectation_unusable"),
        ({"arguments": {"column": "contact", "max_value": 0}}, coverage(), "expectation_broke"),
        (
            {"expectation": "ExpectColumnValuesToMatchRegex", "arguments": {"column": "contact", "regex": "("}},
            coverage(),
            "expectation_broke",
        ),
        (
            {"expectation": "ExpectTableRowCountToEqual", "arguments": {"value": 9}},
            coverage(),
            "no_row_named",
        ),
    ],
)
def test_what_cannot_be_judged_has_failed_for_the_whole_snapshot(
    changes: dict[str, Any], frame: pd.DataFrame | None, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    result = ask(frame, **changes)
    assert (result.outcome, result.error, result.scope, result.failing) == ("error", code, "snapshot", ())
    assert blocks([result]) == ["attendance-covers-calendar"]
    (row,) = verdict_rows([result], "L1")
    assert (row["outcome"], row["scope"], row["organization_id"]) == ("error", "snapshot", "all")
    assert CANARY not in repr(result) + result.message + caplog.text


def test_a_broken_warning_is_told_and_stops_nothing() -> None:
    result = ask(None, severity="warning")
    assert (result.outcome, blocks([result])) == ("error", [])


def test_an_empty_frame_passes_only_where_the_rule_says_so() -> None:
    assert ask(coverage().head(0), empty_is_pass=True).outcome == "pass"


def test_a_failure_of_the_frame_as_a_whole_is_one_verdict() -> None:
    rows = {"expectation": "ExpectTableRowCountToEqual", "arguments": {"value": 9}, "scope": "snapshot"}
    result = ask(coverage(), **rows)
    assert (result.outcome, result.failing) == ("fail", ())
    assert len(verdict_rows([result], "L1")) == 1


def test_one_broken_rule_does_not_hide_the_next() -> None:
    rules = [rule(id="broken", frame="audit_nowhere"), rule(id="fails"), rule(id="holds", severity="info")]
    frames = {"audit_coverage": coverage()}
    assert [(r.rule.id, r.outcome) for r in judge(rules, frames)] == [
        ("broken", "error"),
        ("fails", "fail"),
        ("holds", "fail"),
    ]


def test_nothing_but_keys_and_measures_leaves_a_frame() -> None:
    frame = coverage().assign(days_missing=5)
    result = ask(frame, observed=None, expected=None, students=None, students_rest=None, keys=["organization_id"])
    assert result.failing == ({"organization_id": "S1"}, {"organization_id": "S2"}, {"organization_id": "S3"})
    assert CANARY not in repr(result) + repr(verdict_rows([result], "L1"))


def test_the_index_of_a_frame_does_not_matter() -> None:
    frame = coverage().set_index(pd.Index([7, 7, 2]))
    assert [row["organization_id"] for row in ask(frame).failing] == ["S2"]


def test_verdicts_are_ordered_and_one_for_each_published_key() -> None:
    frame = pd.concat([coverage(), coverage()]).assign(
        days_missing=1, category=list("abcabc"), organization_id=["S3", "S1", "S1", "S3", "S2", "S2"]
    )
    frame["period_start"] = [pd.NaT, *[pd.Timestamp("2025-09-01")] * 5]
    result = ask(frame, keys=[*COVERAGE["keys"], "category"])
    assert len(result.failing) == 6
    rows = verdict_rows([result], "L1")
    assert [(row["organization_id"], row["period_start"]) for row in rows] == [
        ("S1", date(2025, 9, 1)),
        ("S2", date(2025, 9, 1)),
        ("S3", None),
        ("S3", date(2025, 9, 1)),
    ]
    # S1 stands for two failing rows whose shares differ (0.8 and 1.0) and whose expectation does not.
    assert (rows[0]["observed"], rows[0]["expected"], rows[0]["students"]) == (None, 1.0, None)
    assert (rows[2]["observed"], rows[2]["students"]) == (1.0, 40)


def test_thousands_of_failing_rows_are_all_named() -> None:
    frame = pd.concat([coverage()] * 1000, ignore_index=True)
    frame["organization_id"] = [f"S{number:04}" for number in range(len(frame))]
    frame["days_missing"] = 1
    assert len(verdict_rows([ask(frame)], "L1")) == 3000


def test_the_engine_is_imported_only_to_judge_and_sends_nothing() -> None:
    code = (
        "import sys, pipelines.gates as g\n"
        "assert 'great_expectations' not in sys.modules\n"
        "import os, socket\n"
        "def refuse(*a, **k): raise OSError('no network')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "assert g.judge([], {}) == []\n"
        "assert 'great_expectations' in sys.modules\n"
        "assert os.environ['GX_ANALYTICS_ENABLED'] == 'false'\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "GX_ANALYTICS_ENABLED"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def write_suite(folder: Path, name: str, rules: list[dict[str, Any]], **changes: Any) -> None:
    text = yaml.safe_dump({"suite": name, "gate": 1, "rules": rules, **changes}, sort_keys=False)
    (folder / f"{name}.yml").write_text(text, encoding="utf-8")


def test_rules_are_read_in_order_with_their_suite_and_gate(tmp_path: Path) -> None:
    write_suite(tmp_path, "marts", [{**COVERAGE, "id": "finite"}], gate=2)
    write_suite(tmp_path, "coverage", [COVERAGE, {**COVERAGE, "id": "second", "arguments": {"column_list": ["a"]}}])
    assert [(r.suite, r.gate, r.id) for r in load_rules(tmp_path)] == [
        ("coverage", 1, "attendance-covers-calendar"),
        ("coverage", 1, "second"),
        ("marts", 2, "finite"),
    ]


def test_all_problems_of_all_rule_files_come_at_once(tmp_path: Path) -> None:
    write_suite(tmp_path, "coverage", [COVERAGE])
    write_suite(tmp_path, "marts", [COVERAGE], suite="other", gate=2)
    without_keys = {**COVERAGE, "keys": []}
    wrong = {**COVERAGE, "severty": "critical", "scope": "student", "keys": ["student_id"], "gate": 1}
    hidden = {**COVERAGE, "arguments": {"column": "x", "mostly": 0.9}}
    idle = {**COVERAGE, "affects": []}
    write_suite(tmp_path, "typos", [without_keys, wrong, hidden, idle], gate=3)
    (tmp_path / "stray.yaml").write_text("suite: [", encoding="utf-8")
    with pytest.raises(RuleProblems) as caught:
        load_rules(tmp_path)
    assert [(problem.path.name, problem.where) for problem in caught.value.problems] == [
        ("marts.yml", "suite"),
        ("marts.yml", "rules[0].id"),
        ("stray.yaml", ""),
        ("stray.yaml", ""),
        ("typos.yml", "gate"),
        ("typos.yml", "rules[0]"),
        ("typos.yml", "rules[1].scope"),
        ("typos.yml", "rules[1].keys[0]"),
        ("typos.yml", "rules[1].severty"),
        ("typos.yml", "rules[1].gate"),
        ("typos.yml", "rules[2].arguments"),
        ("typos.yml", "rules[3]"),
    ]
    assert "scope school needs organization_id" in str(caught.value)
    assert "must say what it affects" in str(caught.value)


def test_a_folder_without_rules_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(RuleProblems, match="no rule files"):
        load_rules(tmp_path)
    with pytest.raises(RuleProblems, match="no rule files"):
        load_rules(tmp_path / "absent")
