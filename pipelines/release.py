"""From a judged warehouse to a snapshot: restricted tables as they are, public ones through disclosure control.

Which tables a snapshot holds, with their columns and keys, is declared beside the dbt models
(`config.meta.zone` and `grain`, and `models/marts/_release.yml` for those that tell of the night itself) and
read from dbt's manifest. Write order: restricted, public, both verified in a fresh process, then the pointer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import duckdb

from pipelines import disclosure, snapshots
from pipelines.code_version import EXPECTATIONS, code_version
from pipelines.dbt import manifest
from pipelines.disclosure import DisclosureSummary, Share
from pipelines.district_file import settings_table
from pipelines.gates import Rule, load_rules
from pipelines.night import Night
from pipelines.outcome import StoppedByGateError
from pipelines.snapshots import TableSpec
from pipelines.warehouse import building_path, connect, promote

Zone = Literal["restricted", "public"]


@dataclass(frozen=True)
class PublishedTable:
    """A table of a snapshot as dbt declares it. relation: where a model made it, None when the release does."""

    spec: TableSpec
    zone: Zone
    columns: tuple[tuple[str, str], ...]
    relation: str | None


def published_tables() -> list[PublishedTable]:
    """Every table of a snapshot, by name. `public` ones stand in both zones, before and after disclosure control."""
    project = manifest()
    tables = []
    for node in [*project["nodes"].values(), *project["sources"].values()]:
        meta = node["config"].get("meta", {})
        if node["resource_type"] not in ("model", "source") or "zone" not in meta:
            continue
        columns = node["columns"].values()
        tables.append(
            PublishedTable(
                spec=TableSpec(
                    name=node["name"],
                    key=tuple(meta["grain"]),
                    comment=node["description"],
                    column_comments={column["name"]: column["description"] for column in columns},
                ),
                zone=meta["zone"],
                columns=tuple((column["name"], str(column["data_type"]).upper()) for column in columns),
                relation=f"{node['schema']}.{node['name']}" if node["resource_type"] == "model" else None,
            )
        )
    return sorted(tables, key=lambda table: table.spec.name)


def prepare(night: Night) -> DisclosureSummary:
    """Fill the schemas `restricted` and `public` of the night's warehouse, and audit the public one.

    Raises StoppedByGateError when an outsider could get a hidden number back.
    """
    tables = published_tables()
    created_at = datetime.now(UTC).replace(microsecond=0)
    night.release = {
        "created_at": created_at,
        "snapshot_id": snapshots.new_snapshot_id(created_at, night.load_id),
    }
    with connect(building_path(night.home)) as con:
        con.execute("create schema if not exists restricted; create schema if not exists public")
        for table in tables:
            if table.relation:
                _restricted_view(con, table, night.load_id)
        _fill_release_tables(con, night, tables)
        summary = disclosure.protect(con, night.district.settings.disclosure.rule)
        _public_shares(con)
        disclosure.protect_reconciliation(con)
        for table in tables:
            if table.zone == "public" and table.spec.name in disclosure.OPEN_TABLES:
                disclosure.release_open(con, table.spec.name)
        leaks = disclosure.audit_lines(con, night.district.settings.disclosure.rule)
        strangers = disclosure.unexpected_public_tables(con)
    if leaks or strangers:
        raise StoppedByGateError(
            f"The disclosure audit found {len(leaks)} ways to recover a hidden number"
            + (f" and tables that no rule lets pass: {', '.join(strangers)}" if strangers else ""),
            "Report this with the first line named here: " + (str(leaks[0]) if leaks else strangers[0]),
        )
    return summary


def publish(night: Night) -> str:
    """Write both zones, verify them from disk in a fresh process, and point readers at the new snapshot."""
    home, snapshot_id = night.home, str(night.release["snapshot_id"])
    tables = published_tables()
    facts = _facts(night)
    snapshots.sweep_unfinished(home.published, home.restricted)
    with connect(building_path(home)) as con:
        every = [table.spec for table in tables]
        snapshots.write_zone(con, "restricted", home.restricted, snapshot_id, every, {**facts, "zone": "restricted"})
        public = [table.spec for table in tables if table.zone == "public"]
        snapshots.write_zone(con, "public", home.published, snapshot_id, public, {**facts, "zone": "public"})
    for zone in (home.restricted, home.published):
        problems = snapshots.verify_in_fresh_process(zone, snapshot_id)
        if problems:
            # Nobody was pointed at it; nobody should find it in a list, or roll back to it.
            snapshots.withdraw(home.published, home.restricted, snapshot_id)
            raise StoppedByGateError(
                f"The finished snapshot did not verify: {problems[0]}",
                "Check the disk, then run again.",
            )
    promote(home, night.load_id)
    snapshots.point(home.published, snapshot_id)
    snapshots.prune(home.published, home.restricted, night.district.settings.retention.snapshots)
    night.snapshot_id = snapshot_id
    return snapshot_id


def _restricted_view(con: duckdb.DuckDBPyConnection, table: PublishedTable, load_id: str) -> None:
    """A model's table under `restricted`: exact decimals as DOUBLE, and the load in every row."""
    columns = [
        f"cast({name} as double) as {name}" if kind.startswith("DECIMAL") else name for name, kind in table.columns
    ]
    if "load_id" not in dict(table.columns):
        columns.insert(0, f"'{load_id}' as load_id")
    con.execute(
        f"create or replace view restricted.{table.spec.name} as select {', '.join(columns)} from {table.relation}"
    )


def _fill_release_tables(con: duckdb.DuckDBPyConnection, night: Night, tables: Sequence[PublishedTable]) -> None:
    declared = {table.spec.name: table for table in tables if table.relation is None and table.columns}
    for name, table in declared.items():
        columns = ", ".join(f"{column} {kind}" for column, kind in table.columns)
        con.execute(f"create or replace table restricted.{name} ({columns})")
    _gate_tables(con, night)
    _setting(con, night)
    _labels(con, night)
    load_id = night.load_id
    con.execute(
        "insert into restricted.quarantine select ?, source_id, entity, file_id, line,"
        " row_number() over (partition by source_id, entity, file_id, line"
        " order by reason, column_name, refused_value),"
        " column_name, reason, remedy, refused_value from staging.stg_quarantine",
        [load_id],
    )
    con.execute(
        "insert into restricted.source_file select ?, source_id, entity, file_id, delivery_no, delivered_on, is_live,"
        " rows_read, rows_accepted, rows_refused, rows_filtered, rows_collapsed from control.file_account",
        [load_id],
    )
    con.execute(
        "insert into restricted.snapshot select ?, ?, ?, ?, (select max(data_through) from"
        " marts.indicator_by_group where not is_complete or school_year = (select max(school_year) from"
        " marts.indicator_by_group)), (select count(distinct file_id) from control.live_file), ?, ?, ?",
        [
            load_id,
            night.release["snapshot_id"],
            night.release["created_at"].replace(tzinfo=None),
            night.as_of,
            code_version(),
            len(night.checks),
            sum(result.outcome != "pass" for result in night.checks),
        ],
    )


def _gate_tables(con: duckdb.DuckDBPyConnection, night: Night) -> None:
    con.execute("insert into restricted.gate_verdict select * from gate.gate_verdict")
    texts = [
        (result.rule.id, result.error or result.outcome, result.message, _remedy(result.rule))
        for result in night.checks
    ]
    con.execute(
        "create or replace temp table check_text (check_id varchar, code varchar, message varchar, remedy varchar)"
    )
    if texts:
        con.executemany("insert into check_text values (?, ?, ?, ?)", texts)
    con.execute(
        "insert into restricted.data_quality_result"
        " select v.load_id, v.check_id, v.source_id, v.organization_id, v.school_year, v.period_start,"
        " v.student_group_id, v.severity, v.outcome, v.scope, v.observed, v.expected, t.code, t.message,"
        " case when v.outcome = 'pass' then null else t.remedy end, null, null"
        " from gate.gate_verdict v join check_text t on v.check_id = t.check_id"
    )
    con.execute(
        "create or replace temp view quality_support as select r.*, v.students as students_behind,"
        " v.students + v.students_rest as students_whole from restricted.data_quality_result r"
        " join gate.gate_verdict v on r.check_id = v.check_id and r.source_id = v.source_id"
        " and r.organization_id = v.organization_id and r.school_year = v.school_year"
        " and r.period_start is not distinct from v.period_start and r.student_group_id = v.student_group_id"
    )
    affects = sorted(
        {
            (night.load_id, result.rule.id, indicator_id)
            for result in night.checks
            for indicator_id, domain in con.execute("select indicator_id, domain from marts.indicator").fetchall()
            if indicator_id in result.rule.affects or domain in result.rule.affects
        }
    )
    if affects:
        con.executemany("insert into restricted.data_quality_affects values (?, ?, ?)", affects)


def _remedy(rule: Rule) -> str:
    return f"{rule.remedy} ({rule.who_fixes})"


def _public_shares(con: duckdb.DuckDBPyConnection) -> None:
    disclosure.protect_shares(
        con, "quality_support", "data_quality_result", [Share("observed", "students_behind", "students_whole")]
    )
    con.execute(
        "create or replace temp view coverage_support as select c.*,"
        # A source as a whole stands for every student: its shares are of files and rows, not of a group.
        " case when c.organization_id = d.district_id then 0 else s.students_not_taken end as students_behind,"
        " case when c.organization_id = d.district_id then 0 else s.students_not_taken + s.students_rest end"
        " as students_whole from restricted.source_coverage c cross join control.run_context d"
        " left join marts.source_coverage_support s on c.source_id = s.source_id"
        " and c.organization_id = s.organization_id and c.period_start = s.period_start"
    )
    disclosure.protect_shares(
        con,
        "coverage_support",
        "source_coverage",
        [
            Share("share_received", "students_behind", "students_whole"),
            Share("share_refused", "students_behind", "students_whole"),
            Share("share_not_taken", "students_behind", "students_whole"),
        ],
    )


def _setting(con: duckdb.DuckDBPyConnection, night: Night) -> None:
    rows = [
        (night.load_id, row.setting_id, row.value, row.default_value, row.authority, None, None)
        for row in settings_table(night.district.settings)
        if row.differs
    ]
    if rows:
        con.executemany("insert into restricted.setting values (?, ?, ?, ?, ?, ?, ?)", rows)


def _labels(con: duckdb.DuckDBPyConnection, night: Night) -> None:
    con.execute(
        "insert into restricted.dim_label"
        " select ?, 'indicator', indicator_id, 'en', name from marts.indicator"
        " union all select ?, 'student_group', student_group_id, 'en', label from marts.dim_student_group"
        " union all select ?, kind, id, language, text from core.labels",
        [night.load_id] * 3,
    )


def _facts(night: Night) -> dict[str, Any]:
    return {
        "load_id": night.load_id,
        "as_of": night.as_of.isoformat(),
        "created_at": night.release["created_at"].isoformat(),
        "code_version": code_version(),
        "district_id": night.district.settings.district.id,
        "checks": {
            # From the rules themselves, not from what ran: a gate that was skipped must not go unnoticed.
            "expected": sorted(rule.id for rule in load_rules(EXPECTATIONS)),
            "results": {result.rule.id: result.outcome for result in night.checks},
        },
    }
