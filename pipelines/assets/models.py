"""Stages 2 and 4: dbt builds staging, core and audit facts before gate 1, and marts after it."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, DbtProject, dbt_assets

from pipelines.assets.night_resource import NightResource
from pipelines.code_version import DBT_PROJECT
from pipelines.dbt import MART_MODELS, WAREHOUSE_MODELS, build_arguments, ensure_manifest, failed_nodes
from pipelines.night import Night
from pipelines.outcome import InternalError, StoppedByGateError

_MANIFEST = ensure_manifest()


class LayerTranslator(DagsterDbtTranslator):
    """Groups models by their layer, so that the picture in Dagster's UI reads like the flow."""

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        layer = self.get_resource_props(manifest, unique_id).get("config", {}).get("schema") or "control"
        return spec.replace_attributes(group_name=layer)


#: All raw and control tables are one asset: the step that prepares the warehouse makes them together.
_TRANSLATOR = LayerTranslator(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))


@dbt_assets(manifest=_MANIFEST, select=WAREHOUSE_MODELS, name="warehouse", dagster_dbt_translator=_TRANSLATOR)
def warehouse_models(context: dg.AssetExecutionContext, dbt: DbtCliResource, night: NightResource) -> Iterator[Any]:
    """Staging accepts or quarantines every row; core and audit facts are built from what was accepted."""
    run = night.current()
    with run.stage("warehouse", "Building staging, core and audit facts"):
        yield from _build(context, dbt, run, run.log_folder / "dbt_warehouse")


@dbt_assets(manifest=_MANIFEST, select=MART_MODELS, name="marts", dagster_dbt_translator=_TRANSLATOR)
def mart_models(context: dg.AssetExecutionContext, dbt: DbtCliResource, night: NightResource) -> Iterator[Any]:
    """Indicators by group, from what gate 1 lets count."""
    run = night.current()
    with run.stage("marts", "Building indicators by group"):
        yield from _build(context, dbt, run, run.log_folder / "dbt_marts")


def _build(context: dg.AssetExecutionContext, dbt: DbtCliResource, run: Night, folder: Path) -> Iterator[Any]:
    folder.mkdir(mode=0o700)
    built = 0
    try:
        # dbt's own lines go to a file of the run's log: a person follows the stages.
        with (folder / "output.txt").open("w") as output, redirect_stdout(output):
            for event in dbt.cli(build_arguments(), context=context, target_path=folder).stream():
                built += 1
                run.progress.update(f"{built} tables and tests done")
                yield event
    except Exception:
        tests, broken = failed_nodes(folder / "run_results.json")
        if tests and not broken:
            raise StoppedByGateError(
                f"Row-level tests failed: {', '.join(tests)}",
                "Each test's meaning stands beside its model in dbt_project/models.",
            ) from None
        raise InternalError(
            f"dbt could not build {', '.join(broken) if broken else 'the models'}",
            f"See {folder}.",
        ) from None


def dbt_resource() -> DbtCliResource:
    """dbt as a child that dies with its parent; in its own process, since an in-process dbt keeps files locked."""
    return DbtCliResource(
        project_dir=str(DBT_PROJECT),
        profiles_dir=str(DBT_PROJECT),
        dbt_executable=str(Path(sys.executable).with_name("equity-dbt")),
    )
