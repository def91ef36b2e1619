"""Landing: every file a district sends is kept as it came, becomes contract columns, and is accounted for.

A night's landing is a function of the files received so far, `district.yaml` and the as-of date. It can be
killed anywhere and run again, and it can be repeated for a past night: then nothing new is taken in.
What goes wrong with input is told in `Landing.sources`, never raised.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import duckdb

from pipelines.config import DistrictFile, EntityMap, Source
from pipelines.contract import ENTITIES, raw_name
from pipelines.deliveries import (
    DeliveredFile,
    Delivery,
    MissingRows,
    Receipt,
    Standing,
    receipts_of,
    standings,
    twice_sent,
)
from pipelines.home import Home, sweep_unfinished, sync_folder
from pipelines.keys import KeyFile
from pipelines.raw_files import Account, FileAccount, RawFiles, SourceFile, stored_path
from pipelines.sources import Unreadable, entities_of

Say = Callable[[str], None]
Status = Literal["new", "unchanged", "absent", "unreadable", "held"]

_COPY_CHUNK = 4 * 1024 * 1024
#: Enough for 10 million rows; what does not fit goes to scratch files.
_MEMORY_LIMIT = "1GB"


class EngineFailed(Exception):
    """DuckDB failed on a file. Its message is dropped: it may hold values."""


@dataclass(frozen=True)
class SourceState:
    """How a source stands tonight.

    status: new (delivered today), unchanged, absent, unreadable or held. After the last three the newest
        accepted delivery stays in use.
    last_received: the day of the newest accepted delivery, None where there is none.
    message, remedy: what is wrong and what to do; empty where nothing is. Neither holds a value from data.
    files: names of the files seen.
    """

    source_id: str
    status: Status
    last_received: date | None
    message: str
    remedy: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class LiveFile:
    """What became of one file for one entity. Rows of files that are not live are not used any more, or not yet.

    delivery_no, delivered_on: the delivery that counts for it (see deliveries.standings).
    outcome: accepted, held or unreadable, as the delivery was.
    rows_read = rows_accepted + rows_refused + rows_filtered + rows_collapsed.
    """

    source_id: str
    entity: str
    file_id: str
    file_name: str
    delivery_no: int
    delivered_on: date
    missing_rows: MissingRows
    window_lo: date | None
    window_hi: date | None
    is_live: bool
    outcome: str
    raw_path: Path
    refused_path: Path | None
    rows_read: int
    rows_accepted: int
    rows_refused: int
    rows_filtered: int
    rows_collapsed: int


@dataclass(frozen=True)
class Landing:
    """All sources and files after a night's landing. input_hash: equal where later stages get the same."""

    sources: tuple[SourceState, ...]
    files: tuple[LiveFile, ...]
    input_hash: str


def land(district: DistrictFile, home: Home, *, as_of: date, say: Say) -> Landing:
    """Take in what lies there tonight and say what is in use.

    Raises AnotherRunInProgress, KeyProblem, and errors of ours (RowsLost, EngineFailed,
    PseudonymCollision); never because of a file that is missing or bad.
    """
    with home.lock():
        key = KeyFile.load_or_create(home)
        if key.notice:
            say(key.notice)
        scratch = home.landing / ".scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        for folder in (home.landing, home.raw):
            sweep_unfinished(folder)
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": _MEMORY_LIMIT,
            "temp_directory": str(scratch / "spill"),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        try:
            with duckdb.connect(config=config) as con:
                raw = RawFiles(con, home, key, district.settings.district.student_system, scratch)
                return _Night(district, home, raw, as_of, say).land()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def _scrubbed(what: str) -> Iterator[None]:
    """Turn an engine error into one that names the place and the kind only."""
    try:
        yield
    except duckdb.Error as problem:
        raise EngineFailed(f"{what}: the engine failed ({type(problem).__name__})") from None


@dataclass(frozen=True)
class _Arrival:
    """What lay there tonight: the delivered files, or what kept them from being one delivery."""

    names: tuple[str, ...]
    files: tuple[DeliveredFile, ...] = ()
    status: Literal["absent", "unreadable"] | None = None
    message: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class _Night:
    district: DistrictFile
    home: Home
    raw: RawFiles
    as_of: date
    say: Say

    def land(self) -> Landing:
        sources = self.district.settings.sources
        arrivals: dict[str, _Arrival | None] = {}
        receipts: dict[str, list[Receipt]] = {}
        for source_id, source in sources.items():
            known = receipts_of(self.home, source_id)
            receipts[source_id] = [one for one in known if one.delivery.delivered_on <= self.as_of]
            # With later deliveries at hand this is a past night repeated: only what had come by then counts.
            is_past = len(receipts[source_id]) < len(known)
            arrivals[source_id] = None if is_past else self._take_in(source_id, source)
            self._note_delivery(source_id, arrivals[source_id], receipts[source_id])
        anonymous = self._anonymous_surveys(receipts)
        states, files = [], []
        for source_id, source in sources.items():
            judged, accounts = self._judge(source_id, source, receipts[source_id], anonymous)
            states.append(_state(source_id, arrivals[source_id], judged, self.as_of))
            files.extend(self._files(source_id, source, judged, accounts))
        return Landing(tuple(states), tuple(files), _input_hash(states, files, self.raw.key.fingerprint))

    # --- files -------------------------------------------------------------------------------------------

    def _take_in(self, source_id: str, source: Source) -> _Arrival:
        """Copy what lies there into landing/files, by content."""
        found, missing = _find(source, self.district.folder)
        names = tuple(found)
        message = f"No file is found for {', '.join(missing)}." if missing else ""
        remedy = "Check the export and the path in district.yaml." if missing else ""
        if missing and (not found or source.missing_rows == "full"):
            # Of a full delivery no part may be missing: its rows would count as deleted.
            return _Arrival(names, (), "absent", message, remedy)
        files = []
        for name, path in found.items():
            try:
                files.append(DeliveredFile(name, _store(self.home, path)))
            except Unreadable as problem:
                self.say(f"{source_id}: {name}: {problem.message}")
                return _Arrival(names, (), "unreadable", f"{name}: {problem.message}", problem.remedy)
        return _Arrival(names, tuple(sorted(files)), None, message, remedy)

    def _note_delivery(self, source_id: str, arrival: _Arrival | None, receipts: list[Receipt]) -> None:
        """Add tonight's delivery to the receipts in hand when the set of files is not the newest one's."""
        if arrival is None or not arrival.files:
            return
        if receipts and receipts[-1].delivery.files == arrival.files:
            return
        number = receipts[-1].delivery.number + 1 if receipts else 1
        receipts.append(Receipt(Delivery(source_id, number, self.as_of, arrival.files)))

    def _account(self, source_id: str, source: Source, file: DeliveredFile, anonymous: frozenset[str]) -> FileAccount:
        begun = time.monotonic()
        stored = SourceFile(source_id, source, file.file_id, anonymous)
        is_known = self.raw.is_known(stored)
        with _scrubbed(f"{source_id}: {file.name}"):
            account = self.raw.account(stored)
        if not is_known:
            self.say(f"{source_id}: {file.name}: {_in_words(account)}, {time.monotonic() - begun:.1f} s")
        return account

    def _anonymous_surveys(self, receipts: dict[str, list[Receipt]]) -> frozenset[str]:
        """Ids of every survey that any delivery ever called anonymous: such a promise is not taken back."""
        surveys: set[str] = set()
        for source_id, source in self.district.settings.sources.items():
            if "survey" not in entities_of(source):
                continue
            # The survey entity alone: the answers are read later, when all promises are known.
            survey_map = source.entities.get("survey", EntityMap())
            only_survey = source.model_copy(update={"entities": {"survey": survey_map}})
            files = {file for receipt in receipts[source_id] for file in receipt.delivery.files}
            for file in sorted(files):
                account = self._account(source_id, only_survey, file, frozenset())
                if "survey" in account.entities:
                    path = str(self.raw.raw_path(account.entities["survey"]))
                    query = "SELECT survey_id FROM read_parquet(?) WHERE is_anonymous = 'true'"
                    surveys.update(row[0] for row in self.raw.con.execute(query, [path]).fetchall())
        return frozenset(surveys)

    # --- deliveries --------------------------------------------------------------------------------------

    def _judge(
        self, source_id: str, source: Source, receipts: Sequence[Receipt], anonymous: frozenset[str]
    ) -> tuple[list[Receipt], dict[str, FileAccount]]:
        """Decide about each delivery in its turn; what was decided earlier stands unless its reasons changed."""
        accounts: dict[str, FileAccount] = {}
        judged: list[Receipt] = []
        accepted: list[Delivery] = []
        for receipt in receipts:
            for file in receipt.delivery.files:
                if file.file_id not in accounts:
                    accounts[file.file_id] = self._account(source_id, source, file, anonymous)
            decided = self._decide(source, receipt, accepted, accounts)
            decided = replace(
                decided, accounts=tuple(_for_people(f, accounts[f.file_id]) for f in decided.delivery.files)
            )
            decided.write(self.home)
            judged.append(decided)
            if decided.outcome == "accepted":
                accepted.append(decided.delivery)
        return judged, accounts

    def _decide(
        self, source: Source, receipt: Receipt, accepted: list[Delivery], accounts: dict[str, FileAccount]
    ) -> Receipt:
        for file in receipt.delivery.files:
            account = accounts[file.file_id]
            problem = account.unreadable
            if problem is not None:
                at = f" (line {problem.line})" if problem.line else ""
                return _undecided(receipt, problem.reason, f"{file.name}{at}: {problem.message}", problem.remedy)
            if account.is_wholly_refused:
                message = f"{file.name}: every row was refused."
                return _undecided(receipt, "wholly_refused", message, "See equity quarantine for the reasons.")
        if not receipt.is_cleared and accepted and source.missing_rows in ("full", "window"):
            percent = self.district.settings.thresholds.removed_rows_percent
            is_accepted = receipt.delivery.hash[:12] in source.accept_removals
            before = standings(accepted, source.missing_rows)
            after = standings([*accepted, receipt.delivery], source.missing_rows)
            basis = _basis(percent, is_accepted, before, after, accounts)
            if receipt.outcome == "held" and receipt.basis == basis:
                return receipt
            with _scrubbed(receipt.delivery.source_id):
                losing = None if is_accepted else self._entity_losing(percent, before, after, accounts)
            if losing:
                return replace(
                    receipt,
                    outcome="held",
                    reason="removes_too_many_rows",
                    message=f"The delivery would remove more than {percent} % of the rows of {losing}.",
                    remedy=f"If that is right, add {receipt.delivery.hash[:12]} to the source's accept_removals.",
                    basis=basis,
                )
        return replace(receipt, outcome="accepted", reason=None, message="", remedy="", basis="", is_cleared=True)

    def _entity_losing(
        self, percent: int, before: list[Standing], after: list[Standing], accounts: dict[str, FileAccount]
    ) -> str | None:
        """The first entity of which the keys in use would shrink by more than `percent`, else None."""
        for name, entity in ENTITIES.items():
            old, new = self._rows_in_use(name, before, accounts), self._rows_in_use(name, after, accounts)
            if old is None:
                continue
            keys = ", ".join(raw_name(entity.by_name[column]) for column in entity.key)
            kept = f"SELECT {keys} FROM ({new})" if new is not None else f"SELECT {keys} FROM old WHERE false"
            row = self.raw.con.execute(
                f"WITH old AS (SELECT DISTINCT {keys} FROM ({old})) "
                f"SELECT (SELECT count(*) FROM old), (SELECT count(*) FROM (FROM old EXCEPT {kept}))"
            ).fetchone()
            if row and 100 * row[1] > percent * row[0]:
                return name
        return None

    def _rows_in_use(self, entity: str, standing: list[Standing], accounts: dict[str, FileAccount]) -> str | None:
        """SQL of the rows of an entity that speak: those of a later delivery replace earlier ones in their window."""
        date_column = ENTITIES[entity].date_column
        live = [
            (one.delivery_no, account)
            for one in standing
            if one.is_live and (account := accounts[one.file.file_id].entities.get(entity)) is not None
        ]
        selects = []
        for number, account in live:
            later = [a for no, a in live if no > number]
            spans = _merged([(a.window_lo, a.window_hi) for a in later if a.window_lo and a.window_hi])
            restated = " OR ".join(f"{date_column} BETWEEN '{lo}' AND '{hi}'" for lo, hi in spans) or "false"
            path = str(self.raw.raw_path(account)).replace("'", "''")
            selects.append(f"SELECT * FROM read_parquet('{path}') WHERE ({restated}) IS NOT TRUE")
        return " UNION ALL ".join(selects) or None

    def _files(
        self, source_id: str, source: Source, judged: list[Receipt], accounts: dict[str, FileAccount]
    ) -> list[LiveFile]:
        """Every file and entity of the source, those of deliveries that were not accepted too, once each."""
        accepted = [one.delivery for one in judged if one.outcome == "accepted"]
        placed = [(one, "accepted") for one in standings(accepted, source.missing_rows)]
        seen = {standing.file.file_id for standing, _ in placed}
        for receipt in reversed(judged):
            for file in receipt.delivery.files:
                if file.file_id not in seen:
                    seen.add(file.file_id)
                    delivery = receipt.delivery
                    refused = Standing(file, delivery.number, delivery.delivered_on, is_live=False)
                    placed.append((refused, str(receipt.outcome)))
        return [
            self._file(source_id, source, standing, outcome, account)
            for standing, outcome in sorted(placed, key=lambda pair: (pair[0].delivery_no, pair[0].file))
            for account in accounts[standing.file.file_id].entities.values()
        ]

    def _file(self, source_id: str, source: Source, standing: Standing, outcome: str, account: Account) -> LiveFile:
        return LiveFile(
            source_id=source_id,
            entity=account.entity,
            file_id=standing.file.file_id,
            file_name=standing.file.name,
            delivery_no=standing.delivery_no,
            delivered_on=standing.delivered_on,
            missing_rows=source.missing_rows,
            window_lo=date.fromisoformat(account.window_lo) if account.window_lo else None,
            window_hi=date.fromisoformat(account.window_hi) if account.window_hi else None,
            is_live=standing.is_live,
            outcome=outcome,
            raw_path=self.raw.raw_path(account),
            refused_path=self.raw.refused_path(account),
            rows_read=account.rows_read,
            rows_accepted=account.rows_accepted,
            rows_refused=account.rows_refused,
            rows_filtered=account.rows_filtered,
            rows_collapsed=account.rows_collapsed,
        )


def _find(source: Source, folder: Path) -> tuple[dict[str, Path], list[str]]:
    """The files that the source's patterns name, sorted, and the patterns that name none.

    A pattern that is the path of something is taken literally, also when it is no file: that is told later.
    """
    found: dict[str, Path] = {}
    missing = []
    for pattern in source.files:
        if os.path.lexists(folder / pattern):
            names = [pattern]
        else:
            # Path.glob knows neither absolute patterns nor names as the pattern spells them (../export/a.csv).
            matches = glob.glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207
            names = [name for name in matches if (folder / name).is_file()]
        if not names:
            missing.append(pattern)
        found.update({name: folder / name for name in names})
    return dict(sorted(found.items())), missing


def _store(home: Home, path: Path) -> str:
    """Copy a file into landing/files while hashing it: its SHA-256. Raises Unreadable when it cannot be read."""
    temporary = home.landing / ".scratch" / "arriving"
    digest = hashlib.sha256()
    try:
        before = path.stat()
        if not stat.S_ISREG(before.st_mode):
            raise Unreadable("not_a_file", "This is not a file.", None, "Put the exported file in its place.")
        arriving = path.open("rb")
    except OSError as problem:
        raise _cannot_read(problem) from None
    with arriving, temporary.open("wb") as copy:
        temporary.chmod(0o600)
        while chunk := _read_chunk(arriving.read):
            digest.update(chunk)
            copy.write(chunk)
        after = os.fstat(arriving.fileno())
        copy.flush()
        os.fsync(copy.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        temporary.unlink()
        raise Unreadable(
            "still_arriving", "The file changed while it was read.", None, "Run again when it is complete."
        )
    target = stored_path(home, digest.hexdigest())
    if target.exists():
        temporary.unlink()
    else:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.replace(target)
        sync_folder(target.parent)
    return digest.hexdigest()


def _read_chunk(read: Callable[[int], bytes]) -> bytes:
    try:
        return read(_COPY_CHUNK)
    except OSError as problem:
        raise _cannot_read(problem) from None


def _cannot_read(problem: OSError) -> Unreadable:
    message = f"The file cannot be read: {problem.strerror}."
    return Unreadable("not_readable", message, None, "Check that it is there and that this user may read it.")


def _undecided(receipt: Receipt, reason: str, message: str, remedy: str) -> Receipt:
    return replace(receipt, outcome="unreadable", reason=reason, message=message, remedy=remedy, basis="")


def _basis(
    percent: int, is_accepted: bool, before: list[Standing], after: list[Standing], accounts: dict[str, FileAccount]
) -> str:
    """A hash of what the question depends on: threshold, consent, and the rows before and after."""
    rows = [
        [
            one.file.file_id,
            one.delivery_no,
            one.is_live,
            sorted(a.stem for a in accounts[one.file.file_id].entities.values()),
        ]
        for one in (*before, *after)
    ]
    return hashlib.sha256(json.dumps([percent, is_accepted, len(before), rows]).encode()).hexdigest()


def _merged(spans: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Spans of ISO dates, overlapping ones joined."""
    merged: list[tuple[str, str]] = []
    for lo, hi in sorted(spans):
        if merged and lo <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(hi, merged[-1][1]))
        else:
            merged.append((lo, hi))
    return merged


def _state(source_id: str, arrival: _Arrival | None, judged: list[Receipt], as_of: date) -> SourceState:
    accepted = [one.delivery for one in judged if one.outcome == "accepted"]
    last_received = accepted[-1].delivered_on if accepted else None
    newest = judged[-1] if judged else None
    seen = arrival.names if arrival else tuple(file.name for file in newest.delivery.files) if newest else ()

    def state(status: Status, message: str, remedy: str) -> SourceState:
        return SourceState(source_id, status, last_received, message, remedy, seen)

    if arrival is not None and arrival.status is not None:
        return state(arrival.status, arrival.message, arrival.remedy)
    if newest is None:
        return state("absent", "Nothing had arrived by this date.", "")
    if newest.outcome != "accepted":
        return state("held" if newest.outcome == "held" else "unreadable", newest.message, newest.remedy)
    messages, remedies = ([arrival.message], [arrival.remedy]) if arrival else ([], [])
    copies = twice_sent(newest.delivery)
    if copies:
        messages.append(f"The same content came under another name, and counts once: {', '.join(copies)}.")
        remedies.append("Remove the copy from the export.")
    status: Status = "new" if newest.delivery.delivered_on == as_of else "unchanged"
    return state(status, " ".join(filter(None, messages)), " ".join(filter(None, remedies)))


def _for_people(file: DeliveredFile, account: FileAccount) -> dict[str, Any]:
    if account.unreadable is not None:
        return {"name": file.name, "unreadable": account.unreadable.reason, "line": account.unreadable.line}
    return {"name": file.name, "entities": [asdict(one) for one in account.entities.values()]}


def _in_words(account: FileAccount) -> str:
    if account.unreadable is not None:
        return account.unreadable.message
    counts = [
        f"{name} {one.rows_accepted:,} of {one.rows_read:,} rows"
        + (f", {one.rows_refused:,} refused" if one.rows_refused else "")
        for name, one in account.entities.items()
    ]
    return "; ".join(counts) or "no rows"


def _input_hash(states: Sequence[SourceState], files: Sequence[LiveFile], fingerprint: str) -> str:
    """Hash of all that later stages see. Delivery numbers count by their order only: a rejected one leaves no trace."""
    live = [file for file in files if file.is_live]
    order = {
        (source_id, number): rank
        for rank, (source_id, number) in enumerate(sorted({(file.source_id, file.delivery_no) for file in live}))
    }
    facts = [
        [
            file.source_id,
            file.entity,
            file.file_id,
            file.raw_path.stem,
            file.missing_rows,
            order[file.source_id, file.delivery_no],
            file.delivered_on.isoformat(),
        ]
        for file in live
    ]
    statuses = [[state.source_id, state.status] for state in states]
    return hashlib.sha256(json.dumps([fingerprint, statuses, sorted(facts)]).encode()).hexdigest()
