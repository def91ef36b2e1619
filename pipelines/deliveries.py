"""Deliveries: which files a source sent when, kept as one receipt each, and which of them still speak.

A delivery is the set of files (name and content) that lay there on a night when the set had changed.
Receipts are written last, after everything that they speak of is safe.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pipelines.home import Home, write_atomically

MissingRows = Literal["full", "active_only", "window", "append"]


@dataclass(frozen=True, order=True)
class DeliveredFile:
    """A file as it was delivered: its name relative to district.yaml, and the SHA-256 of its content."""

    name: str
    file_id: str


@dataclass(frozen=True)
class Delivery:
    """The files of one source on one night. number: 1 for the source's first."""

    source_id: str
    number: int
    delivered_on: date
    files: tuple[DeliveredFile, ...]

    @property
    def hash(self) -> str:
        """SHA-256 of names and contents; its first 12 characters name the delivery in `accept_removals`."""
        digest = hashlib.sha256()
        for file in sorted(self.files):
            digest.update(os.fsencode(file.name) + b"\0" + file.file_id.encode() + b"\n")
        return digest.hexdigest()


@dataclass(frozen=True)
class Receipt:
    """A delivery and what was decided about it.

    outcome: accepted, held (it would remove too many rows) or unreadable (it did not arrive).
    is_cleared: it was once found not to remove too many rows, or was accepted by the district: it is not
        held again when a later setting would.
    basis: a hash of all that the question of holding depends on, so that it is not asked anew each night.
    accounts: what became of each file, for people who read receipts; the account itself stands in raw/.
    """

    delivery: Delivery
    outcome: Literal["accepted", "held", "unreadable"] | None = None
    reason: str | None = None
    message: str = ""
    remedy: str = ""
    is_cleared: bool = False
    basis: str = ""
    accounts: tuple[dict[str, Any], ...] = ()

    def path(self, home: Home) -> Path:
        name = f"{self.delivery.number:06d}-{self.delivery.hash[:12]}.json"
        return home.landing / "receipts" / self.delivery.source_id / name

    def write(self, home: Home) -> None:
        """Write the receipt, unless it stands there just so."""
        path = self.path(home)
        delivery = self.delivery
        fields = {
            "source_id": delivery.source_id,
            "number": delivery.number,
            "hash": delivery.hash,
            "delivered_on": delivery.delivered_on.isoformat(),
            "files": [{"name": file.name, "sha256": file.file_id} for file in delivery.files],
            "outcome": self.outcome,
            "reason": self.reason,
            "message": self.message,
            "remedy": self.remedy,
            "is_cleared": self.is_cleared,
            "basis": self.basis,
            "accounts": list(self.accounts),
        }
        text = json.dumps(fields, indent=1) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(path, text)


def receipts_of(home: Home, source_id: str) -> list[Receipt]:
    """A source's receipts, oldest first."""
    paths = sorted((home.landing / "receipts" / source_id).glob("[0-9]*.json"))
    return [_receipt(json.loads(path.read_text(encoding="utf-8"))) for path in paths]


def _receipt(fields: dict[str, Any]) -> Receipt:
    files = tuple(DeliveredFile(file["name"], file["sha256"]) for file in fields["files"])
    delivered_on = date.fromisoformat(fields["delivered_on"])
    return Receipt(
        delivery=Delivery(fields["source_id"], fields["number"], delivered_on, files),
        outcome=fields["outcome"],
        reason=fields["reason"],
        message=fields["message"],
        remedy=fields["remedy"],
        is_cleared=fields["is_cleared"],
        basis=fields["basis"],
        accounts=tuple(fields["accounts"]),
    )


@dataclass(frozen=True)
class Standing:
    """A file's place among a source's accepted deliveries: the delivery that counts, and whether it still speaks."""

    file: DeliveredFile
    delivery_no: int
    delivered_on: date
    is_live: bool


def standings(accepted: Sequence[Delivery], missing_rows: MissingRows, *, by_record: bool = False) -> list[Standing]:
    """Every file of the accepted deliveries (oldest first), once for each content, in order of number and name.

    `delivery_no` is the number by which later rows replace earlier ones:

    * full: only the newest delivery speaks.
    * append: a name's newest content speaks, numbered by the delivery that brought it. by_record: every content
      does, since its rows name the records that they replace, and a delta often overwrites the one before.
    * window, active_only: every content speaks. Names that were first seen together move together
      (an extract in several files): when one of them changes, those still there count as sent again. A
      name that came later leaves older names as they were (an extract under a new name each night).

    The same content under two names counts once.
    """
    numbers: dict[DeliveredFile, int] = {}
    current: dict[str, str] = {}
    cohort: dict[str, int] = {}
    for delivery in accepted:
        present = {file.name: file.file_id for file in delivery.files}
        renewed = {cohort[name] for name in current if name in present and present[name] != current[name]}
        for file in delivery.files:
            is_new_name = file.name not in current
            if is_new_name:
                cohort[file.name] = delivery.number
            is_new_content = is_new_name or current[file.name] != file.file_id
            moves = cohort[file.name] in renewed and missing_rows != "append"
            if is_new_content or moves or missing_rows == "full":
                numbers[file] = delivery.number
        kept = current if missing_rows == "append" else {}
        current = {**kept, **present}
    newest = accepted[-1].number if accepted else 0
    speaking = {
        file: {"full": number == newest, "append": by_record or current.get(file.name) == file.file_id}.get(
            missing_rows, True
        )
        for file, number in numbers.items()
    }
    dates = {delivery.number: delivery.delivered_on for delivery in accepted}
    chosen = [_one_of_each(content, numbers, speaking) for content in _by_content(numbers)]
    return sorted(
        (Standing(file, number, dates[number], speaking[file]) for file, number in chosen),
        key=lambda standing: (standing.delivery_no, standing.file),
    )


def _by_content(numbers: dict[DeliveredFile, int]) -> list[list[DeliveredFile]]:
    contents: dict[str, list[DeliveredFile]] = {}
    for file in numbers:
        contents.setdefault(file.file_id, []).append(file)
    return list(contents.values())


def _one_of_each(
    same: list[DeliveredFile], numbers: dict[DeliveredFile, int], speaking: dict[DeliveredFile, bool]
) -> tuple[DeliveredFile, int]:
    """One name of a content that came under several, and its number: the first after which nothing else came.

    So a second copy changes nothing, and old content sent again after a correction replaces it.
    """
    if len(same) == 1:
        return same[0], numbers[same[0]]
    candidates = sorted([file for file in same if speaking[file]] or same, key=lambda file: (numbers[file], file.name))
    last = numbers[candidates[-1]]
    for file in candidates:
        others = (numbers[other] for other in numbers if other.file_id != file.file_id)
        if not any(numbers[file] < number <= last for number in others):
            return file, numbers[file]
    return candidates[-1], last


def twice_sent(delivery: Delivery) -> list[str]:
    """Names of a delivery whose content came under another name, too: all but the first of each content."""
    counts = Counter[str]()
    copies = []
    for file in sorted(delivery.files):
        counts[file.file_id] += 1
        if counts[file.file_id] > 1:
            copies.append(file.name)
    return copies
