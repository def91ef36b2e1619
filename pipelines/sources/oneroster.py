"""OneRoster 1.1 and 1.2 CSV: each file of a set is told by its header, and feeds what it alone can say.

The text is read by the reader of delimited text. Here its rows get contract columns; what they mean together
(a stay made of classes, a record that a later delivery changes or deletes) is decided in staging, since a reader sees
one file. Of every record its `sourcedId` and whether it is deleted go along for that.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import duckdb

from pipelines.config import EntityMap, Source
from pipelines.mapping import trimmed
from pipelines.sources import MAPPED_BY_DISTRICT, Reading, Unreadable, delimited, entities_of
from pipelines.sources.oneroster_layouts import CATEGORIES, LAYOUTS, Feed, Layout

_serial = itertools.count(1)

_RACES = {
    "americanindianoralaskanative": "American Indian or Alaska Native",
    "asian": "Asian",
    "blackorafricanamerican": "Black or African American",
    "nativehawaiianorotherpacificislander": "Native Hawaiian or Other Pacific Islander",
    "white": "White",
    "demographicracetwoormoreraces": "Two or more races",
}
_TRUE, _FALSE = ("true", "yes", "y", "1"), ("false", "no", "n", "0")
_EXPORT = "Export the file again with the columns of OneRoster 1.1 or 1.2."


def read(con: duckdb.DuckDBPyConnection, file: Path, source: Source, scratch: Path) -> Reading:
    """Read one file of a set into temp views of contract columns, `line`, `record_id` and `is_deleted`.

    A file of a set that feeds nothing (classes.csv) gives no table. Raises Unreadable where the header is of no file
    of OneRoster, or lacks a column without which the file cannot speak.
    """
    raw = delimited.read(con, file, source, scratch)
    table = raw.tables[MAPPED_BY_DISTRICT]
    header = [str(row[0]) for row in con.execute(f"DESCRIBE {table}").fetchall() if row[0] != raw.line_column]
    columns = {name.lower(): name for name in header}
    layout = _layout(frozenset(columns))
    asked = entities_of(source)
    feeds = [feed for feed in layout.feeds if feed.entity in asked]
    serial = f"oneroster_{next(_serial)}"
    refused = f"{serial}_refused"
    con.execute(
        f"CREATE TEMP TABLE {refused} "
        "(line BIGINT, column_name VARCHAR, reason VARCHAR, remedy VARCHAR, text VARCHAR, entity VARCHAR)"
    )
    tables, left_out, rows_read = {}, {}, 0
    for feed in feeds:
        con.execute(
            f"INSERT INTO {refused} SELECT line, column_name, reason, remedy, text, ? FROM {raw.refused}", [feed.entity]
        )
        rows = _Rows(con, raw, table, columns, header, source)
        view = f"{serial}_{feed.entity}"
        left_out[feed.entity] = rows.make(view, refused, layout, feed)
        tables[feed.entity] = view
        rows_read += rows.total
    return Reading(tables, refused, rows_read, by_record=True, left_out=left_out)


def _layout(header: frozenset[str]) -> Layout:
    for layout in LAYOUTS:
        if layout.told_by <= header:
            return layout
    own = {name for name in header if not name.startswith("metadata.")}
    if {"sourcedid", "title"} <= own <= CATEGORIES:
        return Layout("categories", frozenset())
    raise Unreadable(
        "unknown_layout",
        "The header is that of no file of OneRoster 1.1 or 1.2.",
        1,
        "Name only the files of the set in files or members, or export this one again with all its columns.",
    )


class _Rows:
    """One file's rows on their way to an entity. total: the records of the file, refused ones included."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        raw: Reading,
        table: str,
        columns: dict[str, str],
        header: Sequence[str],
        source: Source,
    ) -> None:
        self.con, self.columns, self.source = con, columns, source
        self.table, self.line = table, _quoted(raw.line_column)
        self.total = raw.rows_read
        self.text = f"to_json({{{', '.join(f'{_literal(name)}: {_quoted(name)}' for name in header)}}})::VARCHAR"
        self.unknown = [value.strip() for value in ("", *source.empty_values, *source.masks)]

    def make(self, view: str, refused: str, layout: Layout, feed: Feed) -> int:
        """Make the view, add what is refused to `refused`, and say how many rows are left out."""
        chosen = self._chosen(layout, feed)
        record = self._cell("sourcedid") if "sourcedid" in self.columns else chosen["student_id"]
        status = f"lower({self._cell('status')})" if "status" in self.columns else "''"
        deleted = f"({status} = 'tobedeleted')"
        keep, tests = "NOT " + str(feed.nothing), [(f"{record} = ''", "sourcedId", "required_value_missing")]
        tests.append((f"{status} NOT IN ('', 'active', 'tobedeleted')", "status", "unknown_status"))
        if feed.only is not None:
            role = f"lower({self._cell(feed.only[0])})"
            keep = f"({role} = {_literal(feed.only[1])} OR ({deleted} AND {role} = ''))"
            tests.append((f"{role} = '' AND NOT {deleted}", feed.only[0], "required_value_missing"))
        extra = {}
        if feed.entity == "student_demographic":
            extra["races"] = self._races()
            tests += [(f"NOT {deleted} AND {test}", name, "unreadable_boolean") for name, test in self._misread_races()]
        if feed.entity == "student_identifier":
            ids = self._identifiers()
            tests.append((f"NOT {deleted} AND {keep} AND {self._broken_ids()}", "userIds", "unreadable_ids"))
        fault = "CASE " + " ".join(f"WHEN {test} THEN {n}" for n, (test, _, _) in enumerate(tests, start=1))
        fault += " ELSE 0 END"
        if feed.nothing:
            # All of it is left out, so that nothing is refused on behalf of an entity that the file cannot feed.
            fault = "0"
        named = ", ".join(f"{sql} AS {name}" for name, sql in {**chosen, **extra}.items())
        rows = f"{view}_rows"
        self.con.execute(
            f"CREATE TEMP VIEW {rows} AS SELECT {named}, {self.line} AS line, {record} AS record_id, "
            f"{deleted} AS is_deleted, {keep} AS is_kept, {fault} AS fault, {self.text} AS source_row"
            + (f", {ids} AS ids" if feed.entity == "student_identifier" else "")
            + f" FROM {self.table}"
        )
        told = [(self.columns.get(name.lower(), name), reason, _REMEDIES[reason]) for _, name, reason in tests]
        reasons = ", ".join(f"({n}, {', '.join(map(_literal, one))})" for n, one in enumerate(told, start=1))
        self.con.execute(
            f"INSERT INTO {refused} SELECT line, column_name, reason, remedy, source_row, {_literal(feed.entity)} "
            f"FROM {rows} JOIN (VALUES {reasons}) AS reasons (n, column_name, reason, remedy) ON n = fault"
        )
        names = ", ".join({**chosen, **extra})
        if feed.entity == "student_identifier":
            # A deleted record has one row without an id, since all of its ids go.
            made = f"SELECT {names}, line, record_id, is_deleted, unnest(CASE WHEN is_deleted THEN [NULL] ELSE ids END)"
            select = (
                f"SELECT {names}, one.system AS system, one.id AS id, line, record_id, is_deleted "
                f"FROM ({made} AS one FROM {rows} WHERE is_kept AND fault = 0)"
            )
            left = "NOT is_kept OR (len(ids) = 0 AND NOT is_deleted)"
        else:
            select = f"SELECT {names}, line, record_id, is_deleted FROM {rows} WHERE is_kept AND fault = 0"
            left = "NOT is_kept"
        self.con.execute(f"CREATE TEMP VIEW {view} AS {select}")
        row = self.con.execute(f"SELECT count(*) FROM {rows} WHERE fault = 0 AND ({left})").fetchone()
        return int(row[0]) if row else 0

    def _chosen(self, layout: Layout, feed: Feed) -> dict[str, str]:
        """Contract columns as SQL. Raises Unreadable where the file lacks one that it cannot do without."""
        chosen = {}
        constants = self.source.entities.get(feed.entity, EntityMap()).constants
        for contract, names in feed.columns.items():
            found = next((name for name in names if name in self.columns), None)
            if found is not None:
                chosen[contract] = self._cell(found)
            elif contract not in constants and contract in ("student_id", "school_id", "entry_date"):
                raise Unreadable(
                    "missing_column",
                    f"A file of {layout.name} without {_SPELLED.get(names[-1], names[-1])}.",
                    1,
                    f"{_EXPORT} Or give {contract} under entities, {feed.entity}, constants.",
                )
        return chosen

    def _cell(self, name: str) -> str:
        return f"concat({trimmed(_quoted(self.columns[name]))})"

    def _races(self) -> str:
        yes = ", ".join(map(_literal, _TRUE))
        codes = [
            f"CASE WHEN lower({self._cell(name)}) IN ({yes}) THEN {_literal(code)} END"
            for name, code in _RACES.items()
            if name in self.columns
        ]
        return f"concat_ws('|', {', '.join(codes)})" if codes else "NULL::VARCHAR"

    def _misread_races(self) -> list[tuple[str, str]]:
        """Columns of races, and when one says neither yes nor no: what a child is must not be guessed from it."""
        known = ", ".join(_literal(value.lower()) for value in (*_TRUE, *_FALSE, *self.unknown))
        names = [name for name in _RACES if name in self.columns]
        return [(name, f"lower({self._cell(name)}) NOT IN ({known})") for name in names]

    def _identifiers(self) -> str:
        """SQL of a user's ids in other systems: `{type:id}` of userIds, and `identifier` as a system of that name."""
        ids = []
        if "userids" in self.columns:
            found = f"regexp_extract_all({self._cell('userids')}, '[{{][^{{}}]*[}}]')"
            ids.append(
                f"list_transform({found}, lambda one: {{'system': trim(regexp_extract(one, '[{{]([^:]*):', 1)), "
                "'id': trim(regexp_extract(one, ':(.*)[}]', 1))})"
            )
        if "identifier" in self.columns:
            cell = self._cell("identifier")
            ids.append(f"CASE WHEN {cell} = '' THEN [] ELSE [{{'system': 'identifier', 'id': {cell}}}] END")
        empty = "[]::STRUCT(system VARCHAR, id VARCHAR)[]"
        return f"list_concat({', '.join([*ids, empty, empty][:2])})"

    def _broken_ids(self) -> str:
        if "userids" not in self.columns:
            return "false"
        cell = self._cell("userids")
        one = "[{][^{}:]+:[^{}]+[}]"
        return f"({cell} <> '' AND NOT regexp_full_match({cell}, '{one}([ ]*,[ ]*{one})*'))"


_SPELLED = {"begindate": "beginDate", "schoolsourcedid": "schoolSourcedId", "sourcedid": "sourcedId"}
_REMEDIES = {
    "required_value_missing": "Enter the value at the source: OneRoster requires it.",
    "unknown_status": "Export the record as active (or with no status), or as tobedeleted.",
    "unreadable_boolean": "Export true, false or nothing.",
    "unreadable_ids": "Export userIds as {type:id}, with commas between several.",
}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
