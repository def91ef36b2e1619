"""What each delivery changed: rows in use before it that are not in use after it, or not so.

Two things need more than the newest state of a source. A value without dates holds from the delivery that first
showed it, and a figure that readers have seen may be restated. Both are kept as one small Parquet file a
delivery and entity under `raw/<entity>_change/`, made once, named by all that the delivery's place in its
source's history depends on, and made again from `raw/` when any of that changes.

Two deliveries are compared in two passes, so that ten million unchanged rows cost two scans and no memory: sums
of row hashes by school and day (or by a share of the students), then the rows of those sums that differ.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipelines.config import Source
from pipelines.contract import ENTITIES, raw_name
from pipelines.deliveries import Delivery, Standing, standings
from pipelines.raw_files import Account, FileAccount, RawFiles
from pipelines.sources import NAME_THEIR_RECORDS, entities_of


@dataclass(frozen=True)
class _Watched:
    """group: what the first pass adds up by. rows: which rows are compared.

    only_published: a change counts on days that an earlier delivery spoke of; the first of a source has none.
    Else every first value counts, and all are told again by the first delivery of a school year: codes may have
    another meaning in another year.
    """

    group: tuple[str, ...]
    rows: str
    only_published: bool


#: The entities whose changes are kept.
WATCHED: dict[str, _Watched] = {
    "attendance_event": _Watched(("school_id", "date"), "true", only_published=True),
    "student_demographic": _Watched(
        ("student_key % 4099",), "coalesce(start_date, '') || coalesce(end_date, '') = ''", only_published=False
    ),
}


_NO_DAY = ("9999-12-31", "0001-01-01")


@dataclass(frozen=True)
class ChangeFile:
    """What one delivery changed of one entity. order: 1 for the source's first accepted delivery."""

    source_id: str
    entity: str
    order: int
    delivered_on: date
    path: Path


def key_columns(entity: str) -> tuple[str, ...]:
    """The entity's key under its raw names."""
    by_name = ENTITIES[entity].by_name
    return tuple(raw_name(by_name[name]) for name in ENTITIES[entity].key)


def content_columns(entity: str) -> tuple[str, ...]:
    """The entity's other columns under their raw names."""
    key = key_columns(entity)
    return tuple(name for column in ENTITIES[entity].columns if (name := raw_name(column)) not in key)


def rows_in_use(
    raw: RawFiles, entity: str, live: Sequence[tuple[int, Account]], *, restating: bool, by_record: bool
) -> str | None:
    """SQL of the rows of an entity that speak, from its live files (delivery number, account) in their order.

    restating: rows of a later delivery replace earlier ones in their window. Rows carry `place`, the file's place.
    by_record: rows name their records (sources.NAME_THEIR_RECORDS), as in the macro `restated_records` of staging:
    what a later delivery says of a record replaces all that was said of it, and it may take it back.
    """
    date_column = ENTITIES[entity].date_column
    selects = []
    for place, (number, account) in enumerate(live):
        later = [a for no, a in live if restating and no > number]
        spans = _merged([(a.window_lo, a.window_hi) for a in later if a.window_lo and a.window_hi])
        restated = " OR ".join(f"{date_column} BETWEEN '{lo}' AND '{hi}'" for lo, hi in spans) or "false"
        path = str(raw.raw_path(account)).replace("'", "''")
        selects.append(
            f"SELECT *, {place} AS place{f', {number} AS delivery' if by_record else ''} "
            f"FROM read_parquet('{path}') WHERE ({restated}) IS NOT TRUE"
        )
    rows = " UNION ALL ".join(selects) or None
    if rows is None or not by_record:
        return rows
    return (
        f"SELECT * EXCLUDE (delivery, record_key, is_deleted) FROM ({rows}) "
        "WINDOW of_record AS (PARTITION BY record_key) QUALIFY NOT is_deleted "
        "AND delivery = max(delivery) OVER of_record "
        "AND NOT arg_max(is_deleted, row(delivery, place, line)) OVER of_record"
    )


def live_accounts(
    entity: str, standing: Sequence[Standing], accounts: Mapping[str, FileAccount]
) -> list[tuple[int, Account]]:
    """Delivery number and account of each live file that holds the entity, later ones after earlier ones."""
    return [
        (one.delivery_no, account)
        for one in standing
        if one.is_live and (account := accounts[one.file.file_id].entities.get(entity)) is not None
    ]


def changes(
    raw: RawFiles,
    source: Source,
    accepted: Sequence[Delivery],
    accounts: Mapping[str, FileAccount],
    school_year_start: str,
) -> list[ChangeFile]:
    """The change files of a source's accepted deliveries, oldest first; made now where they are not there yet.

    school_year_start: MM-DD. May raise duckdb.Error.
    """
    found = []
    for entity, watched in WATCHED.items():
        if entity not in entities_of(source):
            continue
        chain = hashlib.sha256(Path(__file__).read_bytes() + json.dumps([entity, source.missing_rows]).encode())
        previous: Delivery | None = None
        for order, delivery in enumerate(accepted, start=1):
            files = {file.file_id: accounts[file.file_id].entities.get(entity) for file in delivery.files}
            is_told_anew = previous is None or (
                not watched.only_published
                and _school_year(previous.delivered_on, school_year_start)
                != _school_year(delivery.delivered_on, school_year_start)
            )
            stems = [[file.name, account.stem] for file in delivery.files if (account := files[file.file_id])]
            chain.update(json.dumps([delivery.delivered_on.isoformat(), is_told_anew, stems]).encode())
            path = raw.home.raw / f"{entity}_change" / f"{chain.hexdigest()[:32]}.parquet"
            if not path.exists():
                by_record = source.kind in NAME_THEIR_RECORDS
                before = (
                    [] if is_told_anew else standings(accepted[: order - 1], source.missing_rows, by_record=by_record)
                )
                after = standings(accepted[:order], source.missing_rows, by_record=by_record)
                comparison = _Comparison(
                    raw, entity, watched, restating=source.missing_rows == "window", by_record=by_record
                )
                comparison.write(
                    live_accounts(entity, before, accounts),
                    live_accounts(entity, after, accounts),
                    previous.delivered_on if previous else None,
                    path,
                )
            found.append(ChangeFile(delivery.source_id, entity, order, delivery.delivered_on, path))
            previous = delivery
    return found


@dataclass(frozen=True)
class _Comparison:
    """Two states of one entity in one source, by SQL."""

    raw: RawFiles
    entity: str
    watched: _Watched
    restating: bool
    by_record: bool

    def write(
        self,
        before: list[tuple[int, Account]],
        after: list[tuple[int, Account]],
        seen_on: date | None,
        path: Path,
    ) -> None:
        """Write key, student_system, `was_` and `is_` contents and `change` (added, removed, changed) of each row.

        seen_on: the day of the delivery before.
        """
        span = self._span(before, after)
        rows = [
            self._rows(
                rows_in_use(self.raw, self.entity, side, restating=self.restating, by_record=self.by_record), span
            )
            for side in (before, after)
        ]
        published = self._published(before, seen_on) if self.watched.only_published else "true"
        key = ("student_system", *key_columns(self.entity))
        content = content_columns(self.entity)
        row = ", ".join((*key, *content))
        groups = ", ".join(f"{group} AS group_{n}" for n, group in enumerate(self.watched.group))
        names = ", ".join(f"group_{n}" for n in range(len(self.watched.group)))
        same_group = " AND ".join(
            f"({group}) IS NOT DISTINCT FROM group_{n}" for n, group in enumerate(self.watched.group)
        )
        same_key = " AND ".join(f"was.{name} = now.{name}" for name in key)
        con = self.raw.con
        con.execute(
            "CREATE OR REPLACE TEMP TABLE differing AS "
            f"SELECT {names} FROM ("
            f"SELECT {groups}, -(hash({row})::HUGEINT) AS row_hash FROM ({rows[0]}) WHERE {published} UNION ALL "
            f"SELECT {groups}, hash({row})::HUGEINT FROM ({rows[1]}) WHERE {published}"
            f") GROUP BY {names} HAVING sum(row_hash) <> 0"
        )
        for side, select in zip(("was", "now"), rows, strict=True):
            # Of rows with one key the last one speaks, as in staging; of those of one line, the greatest text.
            keys = ", ".join(f"coalesce({name}::VARCHAR, '') AS {name}" for name in key)
            con.execute(
                f"CREATE OR REPLACE TEMP TABLE {side} AS SELECT {keys}, {', '.join(content)} FROM ({select}) "
                f"SEMI JOIN differing ON {same_group} WHERE {published} "
                f"QUALIFY row_number() OVER (PARTITION BY {', '.join(key)} "
                f"ORDER BY place DESC, line DESC, row({', '.join(content)})::VARCHAR DESC) = 1"
            )
        kept = ", ".join(
            f"coalesce(now.{name}, was.{name}){'::BIGINT' if name.endswith('_key') else ''} AS {name}" for name in key
        )
        sides = ", ".join(f"was.{name} AS was_{name}, now.{name} AS is_{name}" for name in content)
        differs = " OR ".join(f"was.{name} IS DISTINCT FROM now.{name}" for name in content)
        self.raw.copy(
            f"SELECT {kept}, {sides}, CASE WHEN was.student_system IS NULL THEN 'added' "
            "WHEN now.student_system IS NULL THEN 'removed' ELSE 'changed' END AS change "
            f"FROM was FULL JOIN now ON {same_key} "
            f"WHERE was.student_system IS NULL OR now.student_system IS NULL OR {differs} "
            f"ORDER BY {', '.join(str(n + 1) for n in range(len(key)))}",
            path,
        )
        for name in ("differing", "was", "now"):
            con.execute(f"DROP TABLE {name}")

    def _rows(self, in_use: str | None, span: tuple[str, str] | None) -> str:
        if in_use is None:
            names = ", ".join(
                f"NULL::{'BIGINT' if column.type == 'key' else 'VARCHAR'} AS {raw_name(column)}"
                for column in ENTITIES[self.entity].columns
            )
            return f"SELECT {names}, NULL::VARCHAR AS student_system, NULL::BIGINT AS line, 0 AS place WHERE false"
        within = f" AND {ENTITIES[self.entity].date_column} BETWEEN '{span[0]}' AND '{span[1]}'" if span else ""
        return f"SELECT * FROM ({in_use}) WHERE {self.watched.rows}{within}"

    def _span(self, before: list[tuple[int, Account]], after: list[tuple[int, Account]]) -> tuple[str, str] | None:
        """First and last day of the files that came, went or moved, where days are compared; None: compare all."""
        if not self.watched.only_published:
            return None
        # The files of a full delivery are renumbered each time and say nothing new by that.
        is_full = len({no for no, _ in before}) <= 1 and len({no for no, _ in after}) <= 1
        was, now = ({(0 if is_full else no, a.stem): a for no, a in side} for side in (before, after))
        moved = [a for place, a in {**was, **now}.items() if not (place in was and place in now)]
        spans = [(a.window_lo, a.window_hi) for a in moved if a.window_lo and a.window_hi]
        return (min(lo for lo, _ in spans), max(hi for _, hi in spans)) if spans else _NO_DAY

    def _published(self, before: list[tuple[int, Account]], seen_on: date | None) -> str:
        """A condition on days that the source had spoken of before: on the day of its delivery or earlier."""
        spans = [(a.window_lo, a.window_hi) for _, a in before if a.window_lo and a.window_hi]
        if not spans or seen_on is None:
            return "false"
        last = min(max(str(hi) for _, hi in spans), seen_on.isoformat())
        return f"{ENTITIES[self.entity].date_column} BETWEEN '{min(str(lo) for lo, _ in spans)}' AND '{last}'"


def _merged(spans: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Spans of ISO dates, overlapping ones joined."""
    merged: list[tuple[str, str]] = []
    for lo, hi in sorted(spans):
        if merged and lo <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(hi, merged[-1][1]))
        else:
            merged.append((lo, hi))
    return merged


def _school_year(day: date, start: str) -> int:
    month, first = map(int, start.split("-"))
    return day.year + ((day.month, day.day) >= (month, first))
