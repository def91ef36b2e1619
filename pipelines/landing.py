"""Landing: every file a district sends is kept as it came, becomes contract columns, and is accounted for.

A night's landing is a function of the files received so far, `district.yaml` and the as-of date. It can be
killed anywhere and run again, and it can be repeated for a past night: then nothing new is taken in.
What goes wrong with input is told in `Landing.sources`, never raised.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import duckdb

from pipelines import arrivals, key_rotation
from pipelines.arrivals import Arrival
from pipelines.changes import ChangeFile, changes, live_accounts, rows_in_use
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
from pipelines.home import Home, sweep_unfinished
from pipelines.keys import KeyFile
from pipelines.raw_files import Account, FileAccount, RawFiles, SourceFile, stored_path
from pipelines.sandbox import sql_texts
from pipelines.sources import NAME_THEIR_RECORDS, NOT_WHOLE, Unreadable, entities_of

Say = Callable[[str], None]
Status = Literal["new", "unchanged", "absent", "late", "unreadable", "held"]

#: Enough for 10 million rows, and the process stays below a gigabyte; what does not fit goes to scratch files.
_MEMORY_LIMIT = "600MB"


class EngineFailed(Exception):
    """DuckDB failed on a file. Its message is dropped: it may hold values."""


@dataclass(frozen=True)
class SourceState:
    """How a source stands tonight.

    status: new (delivered today), unchanged, absent, late (not whole yet), unreadable or held. After the last
        four the newest accepted delivery stays in use.
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
    cells_masked: cells by which the sender hid a value; their rows count as any other.
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
    cells_masked: int = 0


@dataclass(frozen=True)
class Landing:
    """All sources and files after a night's landing. input_hash: equal where later stages get the same.

    changes: what each accepted delivery changed, of the entities of which that is kept.
    """

    sources: tuple[SourceState, ...]
    files: tuple[LiveFile, ...]
    input_hash: str
    changes: tuple[ChangeFile, ...] = ()


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
        key_rotation.set_aside(home, key)
        try:
            with duckdb.connect(config=config) as con:
                system, sql = district.settings.district.student_system, sql_texts(district)
                raw = RawFiles(con, home, key, system, scratch, sql)
                landing = _Night(district, home, raw, as_of, say).land()
            if key_rotation.remove_set_aside(home):
                say("Everything was read again with the new key; what was made with the retired one is removed.")
            return landing
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
class _Night:
    district: DistrictFile
    home: Home
    raw: RawFiles
    as_of: date
    say: Say

    def land(self) -> Landing:
        sources = self.district.settings.sources
        receipts: dict[str, list[Receipt]] = {}
        tonight: dict[str, Source] = {}
        for source_id, source in sources.items():
            known = receipts_of(self.home, source_id)
            receipts[source_id] = [one for one in known if one.delivery.delivered_on <= self.as_of]
            # With later deliveries at hand this is a past night repeated: only what had come by then counts.
            if len(receipts[source_id]) == len(known):
                tonight[source_id] = source
        arrived = self._arrivals(tonight, receipts)
        anonymous = self._anonymous_surveys(receipts)
        states, files, changed = [], [], []
        for source_id, source in sources.items():
            judged, accounts = self._judge(source_id, source, receipts[source_id], anonymous)
            states.append(_state(source_id, arrived.get(source_id), judged, self.as_of))
            files.extend(self._files(source_id, source, judged, accounts))
            changed.extend(self._changes(source_id, source, judged, accounts))
        input_hash = _input_hash(states, files, changed, self.raw.key.fingerprint)
        return Landing(tuple(states), tuple(files), input_hash, tuple(changed))

    # --- files -------------------------------------------------------------------------------------------

    def _arrivals(self, tonight: dict[str, Source], receipts: dict[str, list[Receipt]]) -> dict[str, Arrival]:
        """What lies there tonight, and a receipt in hand for each delivery that it makes."""
        folder = self.district.folder
        sightings = arrivals.look(tonight, folder)
        found: dict[str, Arrival] = {}
        for source_id, source in tonight.items():
            with _scrubbed(source_id):
                found[source_id] = arrivals.take_in(
                    source_id,
                    source,
                    sightings[source_id],
                    folder=folder,
                    time_zone=self.district.settings.district.time_zone,
                    receipts=receipts[source_id],
                    home=self.home,
                    scratch=self.raw.scratch,
                )
            if found[source_id].status in ("late", "unreadable"):
                self.say(f"{source_id}: {found[source_id].message}")
            if found[source_id].note:
                self.say(f"{source_id}: {found[source_id].note}")
            self._note_delivery(source_id, found[source_id], receipts[source_id])
        return found

    def _note_delivery(self, source_id: str, arrival: Arrival, receipts: list[Receipt]) -> None:
        """Add tonight's delivery to the receipts in hand when the set of files is not the newest one's."""
        if not arrival.files:
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
        problem = _manifest_fault(self.home, source, receipt)
        if problem is not None:
            return _undecided(receipt, problem.reason, problem.message, problem.remedy)
        if not receipt.is_cleared and accepted and source.missing_rows != "append":
            percent = self.district.settings.thresholds.removed_rows_percent
            is_accepted = receipt.delivery.hash[:12] in source.accept_removals
            by_record = source.kind in NAME_THEIR_RECORDS
            before = standings(accepted, source.missing_rows, by_record=by_record)
            after = standings([*accepted, receipt.delivery], source.missing_rows, by_record=by_record)
            basis = _basis(percent, is_accepted, before, after, accounts)
            if receipt.outcome == "held" and receipt.basis == basis:
                return receipt
            with _scrubbed(receipt.delivery.source_id):
                asked = self._students_leaving if source.missing_rows == "active_only" else self._entity_losing
                losing = None if is_accepted else asked(percent, before, after, accounts, by_record=by_record)
            if losing:
                return replace(
                    receipt,
                    outcome="held",
                    reason="removes_too_many_rows",
                    message=f"The delivery would {losing}.",
                    remedy=f"If that is right, add {receipt.delivery.hash[:12]} to the source's accept_removals.",
                    basis=basis,
                )
        return replace(receipt, outcome="accepted", reason=None, message="", remedy="", basis="", is_cleared=True)

    def _entity_losing(
        self,
        percent: int,
        before: list[Standing],
        after: list[Standing],
        accounts: dict[str, FileAccount],
        *,
        by_record: bool,
    ) -> str | None:
        """What would be lost, when the keys in use of an entity would shrink by more than `percent`, else None."""
        for name, entity in ENTITIES.items():
            old, new = (
                rows_in_use(self.raw, name, live_accounts(name, side, accounts), restating=True, by_record=by_record)
                for side in (before, after)
            )
            if old is None:
                continue
            keys = ", ".join(raw_name(entity.by_name[column]) for column in entity.key)
            kept = f"SELECT {keys} FROM ({new})" if new is not None else f"SELECT {keys} FROM old WHERE false"
            if self._shrinks(f"SELECT DISTINCT {keys} FROM ({old})", kept, percent):
                return f"remove more than {percent} % of the rows of {name}"
        return None

    def _students_leaving(
        self,
        percent: int,
        before: list[Standing],
        after: list[Standing],
        accounts: dict[str, FileAccount],
        *,
        by_record: bool,
    ) -> str | None:
        """The same for an active-only source: it removes nothing, but whom it leaves out has left.

        Students are counted, not rows: a new school year gives everybody a new row.
        """
        name = "student_school_enrollment"
        old, new = (
            rows_in_use(
                self.raw,
                name,
                live_accounts(name, [one for one in side if one.delivery_no == side[-1].delivery_no], accounts),
                restating=False,
                by_record=by_record,
            )
            for side in (before, after)
        )
        if old is None:
            return None
        staying = f"SELECT DISTINCT student_key FROM ({old}) WHERE coalesce(exit_date, '') = ''"
        kept = f"SELECT student_key FROM ({new})" if new is not None else "SELECT student_key FROM old WHERE false"
        if self._shrinks(staying, kept, percent):
            return f"end the enrollment of more than {percent} % of the students"
        return None

    def _shrinks(self, old: str, kept: str, percent: int) -> bool:
        row = self.raw.con.execute(
            f"WITH old AS ({old}) SELECT (SELECT count(*) FROM old), (SELECT count(*) FROM (FROM old EXCEPT {kept}))"
        ).fetchone()
        return bool(row and 100 * row[1] > percent * row[0])

    def _changes(
        self, source_id: str, source: Source, judged: list[Receipt], accounts: dict[str, FileAccount]
    ) -> list[ChangeFile]:
        accepted = [one.delivery for one in judged if one.outcome == "accepted"]
        with _scrubbed(source_id):
            return changes(self.raw, source, accepted, accounts, self.district.settings.district.school_year_start)

    def _files(
        self, source_id: str, source: Source, judged: list[Receipt], accounts: dict[str, FileAccount]
    ) -> list[LiveFile]:
        """Every file and entity of the source, those of deliveries that were not accepted too, once each."""
        accepted = [one.delivery for one in judged if one.outcome == "accepted"]
        placed = [
            (one, "accepted")
            for one in standings(accepted, source.missing_rows, by_record=source.kind in NAME_THEIR_RECORDS)
        ]
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
            cells_masked=account.cells_masked,
        )


def _manifest_fault(home: Home, source: Source, receipt: Receipt) -> Unreadable | None:
    """What keeps a set of files from being taken, where it has a manifest that says what it is."""
    if source.kind != "oneroster":
        return None
    from pipelines.sources import oneroster_manifest

    files = {file.name: stored_path(home, file.file_id) for file in receipt.delivery.files}
    return oneroster_manifest.fault(files, source.missing_rows)


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


def _state(source_id: str, arrival: Arrival | None, judged: list[Receipt], as_of: date) -> SourceState:
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
    status: Status
    if newest.outcome != "accepted":
        status = "held" if newest.outcome == "held" else "late" if newest.reason in NOT_WHOLE else "unreadable"
        return state(status, newest.message, newest.remedy)
    messages, remedies = ([arrival.message], [arrival.remedy]) if arrival else ([], [])
    copies = twice_sent(newest.delivery)
    if copies:
        messages.append(f"The same content came under another name, and counts once: {', '.join(copies)}.")
        remedies.append("Remove the copy from the export.")
    status = "new" if newest.delivery.delivered_on == as_of else "unchanged"
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
        + (f", {one.cells_masked:,} cells hidden by the sender" if one.cells_masked else "")
        for name, one in account.entities.items()
    ]
    return "; ".join(counts) or "no rows"


def _input_hash(
    states: Sequence[SourceState], files: Sequence[LiveFile], changed: Sequence[ChangeFile], fingerprint: str
) -> str:
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
    history = [[change.source_id, change.entity, change.path.stem] for change in changed]
    return hashlib.sha256(json.dumps([fingerprint, statuses, sorted(facts), history]).encode()).hexdigest()
