"""The dbt project: every unit test beside the models, and the conventions that each model keeps."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.code_version import DBT_PROJECT
from pipelines.contract import ENTITIES

from .conftest import Warehouse

MODELS = DBT_PROJECT / "models"

#: Key of a model: its layer's folder and its name.
ABOVE_STAGING = sorted(path.stem for layer in ("core", "audit", "marts") for path in (MODELS / layer).rglob("*.sql"))

#: Models whose rows no rule decides: they join or list what another model, with its own unit test, has decided.
NO_RULE = {
    "bridge_student_group": "student_profile_group, spread over dim_student_history",
    "dim_indicator": "indicator, with the load",
    "dim_student_group": "student_group, with the load",
    "dim_student_history": "student_span, with the number of its student_profile",
    "enrollment_calendar": "a spell, with the number of its session_calendar",
    "indicator": "the registry of dbt_project.yml",
    "source_coverage_support": "audit_attendance_month, at the keys of source_coverage",
    "stg_attendance_taken": "accepted rows only, nothing to read",
    "stg_student": "accepted rows only, nothing to read",
}

#: Models without a uniqueness test of their own, and where their key is watched instead.
NO_UNIQUE_KEY = {
    **dict.fromkeys(
        (
            "dim_student",
            "school",
            "fct_student_school_enrollment",
            "fct_student_daily_attendance",
            "fct_discipline_incident",
            "fct_student_discipline_action",
            "fct_survey_response",
        ),
        "audit_key, which gate 1 judges",
    ),
    "enrollment_calendar": "one row a spell, whose key audit_key watches, since session_calendar is unique",
    "attendance_mark": "a repeated one repeats in fct_student_daily_attendance, which audit_key watches",
    "period_attendance_day": "grouped by its key",
    "audit_account": "control.file_account, one row a file of a delivery, which landing writes once",
    "bridge_student_group": "unique because dim_student_history and student_profile_group are",
    "student_indicator": "unique because each indicator model is",
    "student_indicator_organization": "grouped by its key, or taken from student_indicator once a student",
}

#: What marts read beside core, marts, seeds, `control` and the gate: coverage is about what arrived, counted or not.
MARTS_MAY_READ = {
    "source_coverage": {"stg_attendance_event", "audit_attendance_month"},
    "source_coverage_support": {"audit_attendance_month"},
}

#: Which layers' models, and which sources, each layer may read: a stage reads what lies before it.
MAY_READ = {
    "staging": {"staging", "raw", "control"},
    "core": {"staging", "core", "control", "seed"},
    "facts": {"staging", "core", "facts", "control"},
    "marts": {"core", "marts", "control", "gate", "seed"},
    "audit_marts": {"core", "marts", "audit_marts"},
}

#: SQL that only DuckDB, or few engines, know. Names are for the reader of a failure.
ENGINE_ONLY = {
    "qualify": r"\bqualify\b",
    "exclude": r"\bexclude\s*\(",
    "replace in a star": r"[*)]\s*replace\s*\(",
    "columns()": r"\bcolumns\s*\(",
    "double-colon cast": r"::",
    "group by all": r"\bgroup\s+by\s+all\b",
    "order by all": r"\border\s+by\s+all\b",
    "union by name": r"\bunion\s+(all\s+)?by\s+name\b",
    "reading files": r"\b(read_\w+|\w+_scan)\s*\(",
    "arg_max, arg_min": r"\barg_(max|min)\s*\(",
    "struct or list": r"\b(row|struct_pack|list_\w+|unnest|string_split|list)\s*\(",
    "range()": r"\b(range|generate_series)\s*\(",
    "strftime": r"\b(strftime|strptime|date_diff|datediff|date_add)\s*\(",
    "asof or positional join": r"\b(asof|positional)\s+join\b",
    "integer division": r"//",
    "pivot": r"\b(un)?pivot\b",
    "hugeint": r"\bas\s+hugeint\b",
    "try_cast": r"\btry_cast\s*\(",
}


def unit_tests() -> Iterator[dict[str, Any]]:
    for path in sorted(MODELS.rglob("*.yml")):
        yield from yaml.safe_load(path.read_text(encoding="utf-8")).get("unit_tests", [])


UNIT_TESTS = {f"{test['model']}.{test['name']}": test for test in unit_tests()}


# --- unit tests ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def unit_results(warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    """Results of all unit tests by `<model>.<name>`, from one run of dbt."""
    run = warehouse.dbt("test", "--select", "test_type:unit")
    results = {
        result["unique_id"].split(".", 2)[2]: result for result in warehouse.artifact("run_results.json")["results"]
    }
    assert results, run.stdout
    return results


@pytest.mark.parametrize("test", UNIT_TESTS)
def test_rule(test: str, unit_results: dict[str, dict[str, Any]]) -> None:
    result = unit_results[test]
    assert result["status"] == "pass", result["message"]


def test_dbt_runs_every_unit_test_that_is_written(unit_results: dict[str, dict[str, Any]]) -> None:
    assert unit_results.keys() == UNIT_TESTS.keys()


def test_no_two_unit_tests_of_a_model_share_a_name() -> None:
    assert len(UNIT_TESTS) == len(list(unit_tests()))


@pytest.mark.parametrize("test", UNIT_TESTS)
def test_expected_rows_name_the_same_columns(test: str) -> None:
    """dbt compares the columns of the first expected row only, and lines the others up by place."""
    rows = UNIT_TESTS[test]["expect"]["rows"]
    assert rows, "an empty expectation compares nothing"
    assert {tuple(row) for row in rows} == {tuple(rows[0])}


def test_every_model_with_a_rule_has_a_unit_test() -> None:
    models = {path.stem for path in MODELS.rglob("*.sql")}
    # One macro judges the rows of every entity: it is tested on three of them.
    judged = {name for name in models if name.endswith("__judged")}
    tested = {test["model"] for test in UNIT_TESTS.values()}
    assert models - judged - tested == NO_RULE.keys()
    assert len(judged & tested) >= 3


# --- conventions --------------------------------------------------------------------------------------------------


def node(manifest: dict[str, Any], model: str) -> dict[str, Any]:
    found: dict[str, Any] = manifest["nodes"][f"model.equity.{model}"]
    return found


@pytest.mark.parametrize("model", ABOVE_STAGING)
def test_a_model_above_staging_says_what_it_is(model: str, manifest: dict[str, Any]) -> None:
    found = node(manifest, model)
    columns = found["columns"]
    meta = found["config"]["meta"]
    assert found["config"]["contract"]["enforced"]
    assert found["description"].strip()
    assert meta["owner"]
    assert set(meta["grain"]) <= columns.keys()
    assert meta["grain"]
    assert [name for name, column in columns.items() if not column["description"].strip()] == []
    assert [name for name, column in columns.items() if not column["data_type"]] == []


@pytest.mark.parametrize("model", ABOVE_STAGING)
def test_a_key_is_tested_where_it_is_declared(model: str, manifest: dict[str, Any]) -> None:
    found = node(manifest, model)
    keys = [
        sorted(test["test_metadata"]["kwargs"]["columns"])
        for test in manifest["nodes"].values()
        if test["resource_type"] == "test"
        and test["attached_node"] == found["unique_id"]
        and test["test_metadata"]["name"] == "unique_key"
    ]
    if model in NO_UNIQUE_KEY:
        assert keys == [], "it has a test now: take it off the list"
    else:
        assert keys == [sorted(found["config"]["meta"]["grain"])]


@pytest.mark.parametrize("model", [name for name, where in NO_UNIQUE_KEY.items() if where.startswith("audit_key")])
def test_keys_left_to_the_gate_are_in_its_frame(model: str, manifest: dict[str, Any]) -> None:
    assert f"model.equity.{model}" in node(manifest, "audit_key")["depends_on"]["nodes"]


def layer(found: dict[str, Any]) -> str:
    folders = found["fqn"][1:-1]
    return "audit_marts" if folders[:2] == ["audit", "marts"] else ("facts" if folders[0] == "audit" else folders[0])


@pytest.mark.parametrize("model", sorted(path.stem for path in MODELS.rglob("*.sql")))
def test_a_stage_reads_only_what_lies_before_it(model: str, manifest: dict[str, Any]) -> None:
    found = node(manifest, model)
    allowed = MAY_READ[layer(found)]
    foreign = set()
    for parent in found["depends_on"]["nodes"]:
        kind, _, name, *rest = parent.split(".")
        if kind == "model":
            if layer(manifest["nodes"][parent]) not in allowed:
                foreign.add(name)
        elif (name if kind == "source" else kind) not in allowed:
            foreign.add(".".join([name, *rest]))
    assert foreign == MARTS_MAY_READ.get(model, set())


@pytest.mark.parametrize("model", ["audit_account", "stg_quarantine"])
def test_every_entity_is_accounted_for(model: str, manifest: dict[str, Any]) -> None:
    """An entity that one of them left out would stop the first night that feeds it, or lose its refused rows."""
    parents = node(manifest, model)["depends_on"]["nodes"]
    assert {f"model.equity.stg_{entity}__judged" for entity in ENTITIES} <= set(parents)


def test_every_model_was_built_on_no_rows(warehouse: Warehouse, manifest: dict[str, Any]) -> None:
    """A district that has sent nothing yet breaks no model: the fixture built them all."""
    assert {path.stem for path in MODELS.rglob("*.sql")} == {
        found["name"] for found in manifest["nodes"].values() if found["resource_type"] == "model"
    }
    assert warehouse.path.exists()


# --- portable SQL -------------------------------------------------------------------------------------------------


def code(path: Path) -> str:
    """SQL text without its comments, in lower case."""
    text = re.sub(r"\{#.*?#\}", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"--[^\n]*", " ", text).lower()


def engine_only(text: str) -> list[str]:
    return [name for name, pattern in ENGINE_ONLY.items() if re.search(pattern, text, flags=re.MULTILINE)]


#: Models above staging, and the macros that they call: staging.sql is staging's alone.
PORTABLE = {
    str(path.relative_to(DBT_PROJECT)): path
    for path in [
        *(found for part in ("core", "audit", "marts") for found in sorted((MODELS / part).rglob("*.sql"))),
        *sorted((DBT_PROJECT / "macros").glob("*.sql")),
        *sorted((DBT_PROJECT / "tests").rglob("*.sql")),
    ]
    if path.name not in ("staging.sql",)
}


@pytest.mark.parametrize("path", PORTABLE)
def test_sql_above_staging_is_portable(path: str) -> None:
    assert engine_only(code(PORTABLE[path])) == []


def test_the_lint_knows_what_staging_uses() -> None:
    """Staging may use the engine's own syntax, and does: the lint would see it."""
    text = code(DBT_PROJECT / "macros" / "staging.sql") + code(MODELS / "staging" / "stg_student_race.sql")
    seen = {"exclude", "replace in a star", "columns()", "double-colon cast", "group by all", "union by name"}
    assert seen <= set(engine_only(text))


@pytest.mark.parametrize("model", ABOVE_STAGING)
def test_models_above_staging_do_not_call_stagings_macros(model: str, manifest: dict[str, Any]) -> None:
    called = {manifest["macros"][name]["path"] for name in node(manifest, model)["depends_on"]["macros"]}
    assert str(Path("macros") / "staging.sql") not in {name.replace("\\", "/") for name in called}


# --- the registry -------------------------------------------------------------------------------------------------


def test_every_indicator_model_is_in_the_registry_and_back(manifest: dict[str, Any]) -> None:
    project = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    registered = [indicator["model"] for indicator in project["vars"]["indicators"]]
    written = [path.stem for path in (MODELS / "marts" / "indicators").glob("*.sql")]
    assert sorted(registered) == sorted(written)
    columns = {json.dumps(list(node(manifest, model)["columns"])) for model in registered}
    assert len(columns) == 1, "indicator models yield the same columns"
