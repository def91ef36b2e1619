"""`equity quarantine`: refused rows by cause, on the screen or as a file for those who correct them.

Where a row stands and why it was refused comes from the published snapshot. Its text never enters one: it stays in
`landing/`, and is shown or written only on request, and only of files that still speak. Of a row that landing refused
it is in `landing/refused`; of one that staging did not take (it came twice), it is the line of the file as received.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow
from rich.console import Console

from pipelines import snapshots
from pipelines.contract import ENTITIES, raw_name
from pipelines.deliveries import receipts_of
from pipelines.home import Home
from pipelines.outcome import ConfigurationError
from pipelines.raw_files import stored_path
from pipelines.sources import Unreadable
from pipelines.sources.text import encoding_of, lines, open_text

_MOST_LINES = 200
_MOST_CAUSES = 10
#: Columns of the exported file, in order; `text` comes last and only when asked for.
_EXPORTED = (
    "source_id, entity, file_name, file_id, line, other_line, column_name, reason, remedy, refused_value as shape"
)
#: An interchange may stand on one line: so much of it is shown.
_LONGEST_TEXT = 4_000
#: Reasons that speak of two rows with one key, of which the quarantine holds one.
_OF_TWO_ROWS = "('exact_duplicate', 'conflicting_duplicate')"


@dataclass(frozen=True)
class Wanted:
    """Which rows are meant; None: of every source, for every reason."""

    source_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Cause:
    """Rows of one source and entity that were refused for one reason. files: of how many files; the first is named."""

    source_id: str
    entity: str
    reason: str
    column: str | None
    rows: int
    files: int
    file_name: str
    first_line: int
    remedy: str
    other_line: int | None = None

    @property
    def what(self) -> str:
        return f"{self.source_id} {self.entity}: {self.reason}" + (f" in {self.column}" if self.column else "")

    @property
    def where(self) -> str:
        others = f" and {self.files - 1:,} more files" if self.files > 1 else ""
        other = f", beside line {self.other_line:,}" if self.other_line else ""
        return f"first in line {self.first_line:,} of {self.file_name}{other}{others}"


def show_causes(home: Home, snapshot_id: str, console: Console) -> None:
    """The commonest causes of a snapshot, for the summary of its night; nothing where no row was refused."""
    with _opened(home, snapshot_id, Wanted()) as con:
        causes = _causes(con, by_file=False)
    if causes:
        console.print("\n[bold]Rows in quarantine[/bold]")
    _show(causes[:_MOST_CAUSES], console)
    left = causes[_MOST_CAUSES:]
    if left:
        rows = sum(cause.rows for cause in left)
        console.print(f"  and {len(left):,} more causes, {rows:,} rows: see `equity quarantine`", highlight=False)


def show_quarantine(home: Home, wanted: Wanted, text: bool, console: Console) -> None:
    """Causes by file with count, first line and remedy; with `text`, the rows as they were received."""
    with _published(home, wanted) as con:
        causes = _causes(con, by_file=True)
        _show(causes[:_MOST_LINES], console)
        if len(causes) > _MOST_LINES:
            console.print(f"and {len(causes) - _MOST_LINES:,} more causes; --export writes all rows to a file.")
        if not causes:
            console.print("No such row is in quarantine." if wanted != Wanted() else "No row is in quarantine.")
        if text and causes:
            _show_text(con, home, console)


def export_quarantine(home: Home, wanted: Wanted, text: bool, target: Path, console: Console) -> None:
    """Write every row to a CSV file that only this user can read, with its text where asked for.

    Raises ConfigurationError where the file is there already, would lie in a git checkout or among what is
    published, or cannot be written.
    """
    _refuse_open_places(home, target)
    if target.exists():
        raise ConfigurationError(f"{target} is there already.", "Name a new file: nothing is written over.")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with _published(home, wanted) as con:
        if text:
            _load_text(con, home)
        rows = f"select {_EXPORTED}, text from refused_text" if text else f"select {_EXPORTED} from refused"
        try:
            # Made first, so that at no moment anybody else can read it.
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            written = con.execute(
                f"copy ({rows} order by source_id, entity, file_name, line, reason) to {_literal(str(temporary))} "
                "(format csv, header, use_tmp_file false)"
            ).fetchone()
            temporary.chmod(0o600)
            temporary.replace(target)
        except OSError as problem:
            raise ConfigurationError(
                f"{target} cannot be written: {problem.strerror}.", "Name a file in a folder that this user can write."
            ) from None
        finally:
            temporary.unlink(missing_ok=True)
    count = int(written[0]) if written else 0
    console.print(f"{count:,} rows in {target}, readable by this user only.", soft_wrap=True, markup=False)
    if text:
        console.print("It holds rows as received. Identifiable: not for any mail or ticket.", style="bold red")


# --- the rows ----------------------------------------------------------------------------------------------


@contextmanager
def _published(home: Home, wanted: Wanted) -> Iterator[duckdb.DuckDBPyConnection]:
    """The wanted rows of the current snapshot (see _opened). ConfigurationError where nothing answers to the names."""
    snapshot_id = snapshots.current(home.published)
    if snapshot_id is None:
        raise ConfigurationError("Nothing is published yet.", "`equity check` shows what would be refused.")
    known = sorted(path.name for path in (home.landing / "receipts").glob("*"))
    if wanted.source_id is not None and wanted.source_id not in known:
        raise ConfigurationError(f"No source is called {wanted.source_id}.", f"There are: {', '.join(known)}.")
    with _opened(home, snapshot_id, wanted) as con:
        _find_other_rows(con, home)
        yield con


@contextmanager
def _opened(home: Home, snapshot_id: str, wanted: Wanted) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with `refused`: the wanted rows of a snapshot's quarantine, each with the name of its file."""
    with duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}) as con:
        con.execute(f"attach {_literal(str(home.restricted / snapshot_id / 'equity.duckdb'))} as night (read_only)")
        con.register("named", _files(home))
        con.execute(
            "create temp view refused as "
            "select q.*, coalesce(named.file_name, left(q.file_id, 12)) as file_name, named.stem,"
            " null::bigint as other_line"
            " from night.quarantine q left join named on q.source_id = named.source_id and q.entity = named.entity"
            " and q.file_id = named.file_id"
            f" where {_is(wanted.source_id, 'q.source_id')} and {_is(wanted.reason, 'q.reason')}"
        )
        yield con


def _files(home: Home) -> pyarrow.Table:
    """source_id, entity, file_id -> the newest name under which the file came, and the stem of its raw files."""
    names: dict[tuple[str, str, str], tuple[str, str]] = {}
    for folder in sorted((home.landing / "receipts").glob("*")):
        for receipt in receipts_of(home, folder.name):
            ids = {file.name: file.file_id for file in receipt.delivery.files}
            for account in receipt.accounts:
                for entity in account.get("entities", ()):
                    key = (folder.name, str(entity["entity"]), ids[account["name"]])
                    names[key] = (str(account["name"]), str(entity["stem"]))
    columns = [*zip(*((*key, *value) for key, value in names.items()), strict=True)] or [()] * 5
    titles = ("source_id", "entity", "file_id", "file_name", "stem")
    return pyarrow.table(
        {title: pyarrow.array(column, pyarrow.string()) for title, column in zip(titles, columns, strict=True)}
    )


def _find_other_rows(con: duckdb.DuckDBPyConnection, home: Home) -> None:
    """Give rows of `refused` that came twice the line of the other row with their key, where it is in the same file."""
    con.execute("create temp table other (entity varchar, file_id varchar, line bigint, other_line bigint)")
    twice = f"from refused where reason in {_OF_TWO_ROWS} and stem is not null"
    for entity, stem, file_id in con.execute(f"select distinct entity, stem, file_id {twice} order by all").fetchall():
        raw = home.raw / entity / f"{stem}.parquet"
        if raw.exists():
            key = [raw_name(ENTITIES[entity].by_name[name]) for name in ENTITIES[entity].key]
            is_same = " and ".join(f"one.{name} is not distinct from landed.{name}" for name in key)
            con.execute(
                f"insert into other with landed as (select {', '.join(key)}, line from read_parquet($raw)),"
                " one as (select * from landed where line in"
                f" (select line {twice} and entity = $entity and stem = $stem))"
                f" select $entity, $file, one.line, max(landed.line) from one join landed on {is_same}"
                " where landed.line <> one.line group by one.line",
                {"raw": str(raw), "entity": entity, "stem": stem, "file": file_id},
            )
    con.execute("create temp table refused_rows as from refused")
    con.execute(
        "create or replace temp view refused as select r.* replace (other.other_line as other_line)"
        f" from refused_rows as r left join other on r.reason in {_OF_TWO_ROWS} and r.entity = other.entity"
        " and r.file_id = other.file_id and r.line = other.line"
    )


def _causes(con: duckdb.DuckDBPyConnection, *, by_file: bool) -> list[Cause]:
    """Commonest first."""
    group = "source_id, entity, reason, column_name" + (", file_id" if by_file else "")
    rows = con.execute(
        "select source_id, entity, reason, column_name, count(*), count(distinct file_id),"
        " arg_min(file_name, (file_name, line)), arg_min(line, (file_name, line)), min(remedy),"
        " arg_min_null(other_line, (file_name, line))"
        f" from refused group by {group} order by count(*) desc, source_id, entity, reason, column_name, min(file_name)"
    ).fetchall()
    return [Cause(*row) for row in rows]


def _show(causes: Sequence[Cause], console: Console) -> None:
    for cause in causes:
        console.print(f"  {cause.rows:>9,}  {cause.what}, {cause.where}", soft_wrap=True, markup=False)
        console.print(f"             {cause.remedy}", soft_wrap=True, markup=False, style="dim")


# --- their text --------------------------------------------------------------------------------------------


def _load_text(con: duckdb.DuckDBPyConnection, home: Home) -> None:
    """Make `refused_text`: `refused` with each row's text, where landing refused it; else NULL.

    Only files of the snapshot's own quarantine are opened: what earlier deliveries or settings refused is left alone.
    Rows that nothing there holds are taken from the file as received, where it is text.
    """
    live = con.execute("select distinct entity, stem from refused where stem is not null order by all").fetchall()
    paths = [home.landing / "refused" / entity / f"{stem}.parquet" for entity, stem in live]
    there = [str(path) for path in paths if path.exists()]
    con.execute(
        "create temp table texts (source_id varchar, entity varchar, file_id varchar, line bigint, reason varchar,"
        " column_of varchar, text varchar)"
    )
    if there:
        # A line can be refused more than once for one reason, where it makes several rows: its text is one.
        con.execute(
            "insert into texts select source_id, entity, file_id, line, reason, coalesce(column_name, ''), min(text)"
            " from read_parquet(?) group by all",
            [there],
        )
    con.execute(
        "create temp view by_landing as select refused.*, texts.text from refused left join texts"
        " on refused.source_id = texts.source_id and refused.entity = texts.entity"
        " and refused.file_id = texts.file_id and refused.line = texts.line and refused.reason = texts.reason"
        " and coalesce(refused.column_name, '') = texts.column_of"
    )
    wanted = con.execute(
        "select file_id, list(distinct line order by line) from by_landing where text is null and line is not null"
        " group by file_id order by file_id"
    ).fetchall()
    found = [(file_id, line, content) for file_id, lines in wanted for line, content in _lines(home, file_id, lines)]
    columns = [*zip(*found, strict=True)] or [()] * 3
    types = {"file_id": pyarrow.string(), "line": pyarrow.int64(), "received": pyarrow.string()}
    con.register(
        "received",
        pyarrow.table(
            {name: pyarrow.array(column, kind) for (name, kind), column in zip(types.items(), columns, strict=True)}
        ),
    )
    con.execute(
        "create temp view refused_text as select by_landing.* replace (coalesce(text, received) as text)"
        " from by_landing left join received"
        " on by_landing.file_id = received.file_id and by_landing.line = received.line"
    )


def _lines(home: Home, file_id: str, wanted: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Those lines of a received file, each with its number; none where it is no text, or not there any more."""
    file = stored_path(home, file_id)
    if not file.exists():
        return
    left = set(wanted)
    try:
        with open_text(file, encoding_of(file, "auto")) as opened:
            for number, content in enumerate(lines(opened), start=1):
                if number in left:
                    left.remove(number)
                    yield number, content.rstrip("\n")[:_LONGEST_TEXT]
                    if not left:
                        return
    except (Unreadable, UnicodeError):
        return


def _show_text(con: duckdb.DuckDBPyConnection, home: Home, console: Console) -> None:
    _load_text(con, home)
    order = "order by source_id, entity, file_name, line"
    rows = con.execute(
        "select source_id, entity, file_name, line, reason, text from refused_text"
        f" where text is not null {order} limit {_MOST_LINES}"
    ).fetchall()
    console.print("\n[bold red]As received. Identifiable: not for any log, mail or ticket.[/bold red]")
    for source_id, entity, file_name, line, reason, content in rows:
        console.print(
            f"{source_id} {entity} {file_name} line {line} ({reason}): {content}", soft_wrap=True, markup=False
        )
    counted = con.execute("select count(*) from refused_text where text is not null").fetchone()
    left = (int(counted[0]) if counted else 0) - len(rows)
    if left:
        console.print(f"[dim]and {left:,} more rows; --export with --text writes all of them to a file.[/dim]")


def _refuse_open_places(home: Home, target: Path) -> None:
    """What was refused may name people: not where it could be pushed or published."""
    folder = target.absolute().parent.resolve()
    checkout = next((one for one in [folder, *folder.parents] if (one / ".git").exists()), None)
    if checkout is not None:
        problem = f"{target} lies inside the git checkout {checkout}, from where it could be pushed."
    elif folder.is_relative_to(home.published.resolve()):
        problem = f"{target} lies in published/, which everybody may read."
    else:
        return
    raise ConfigurationError(problem, "Name a file in a folder of your own.")


def _is(wanted: str | None, column: str) -> str:
    return "true" if wanted is None else f"{column} = {_literal(wanted)}"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
