"""A new pseudonym key for a home that holds data, without losing a day of its history.

Keys cannot be recomputed from keys, but everything that was ever received is still in `landing/files`. So a
rotation only changes the key; the next landing finds no raw file made with it, and makes all of them anew from
the stored files. Rows that had one key still share one: only the numbers are others.

Killed anywhere, a rotation leaves the old key or the new one in force, never neither:

1. the old key is copied beside the key file, as `<name>.<fingerprint>.retired`,
2. `landing/key.rotation` notes both fingerprints,
3. the key file is replaced: from here on the new key counts, since the note vouches for it,
4. the recorded fingerprint follows.

What was made with the old key is set aside when the next landing begins, so that nothing of it is taken for new,
and removed when that landing is through.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from pipelines.deliveries import receipts_of
from pipelines.home import Home, sync_folder, write_atomically
from pipelines.keys import (
    KeyFile,
    KeyProblem,
    Rotation,
    fingerprint_of,
    key_path,
    new_key,
    record_fingerprint,
)
from pipelines.outcome import ConfigurationError
from pipelines.raw_files import stored_path

_SET_ASIDE = ".retired"


@dataclass(frozen=True)
class Rotated:
    """A key that was changed. retired_path: the old key; stored_files: how many the next landing reads again."""

    path: Path
    retired_path: Path
    retired: str
    made: str
    stored_files: int


def rotate(home: Home, source_ids: Iterable[str]) -> Rotated:
    """Put a new key in the place of the old one, which stays beside it until somebody deletes it.

    source_ids: the district's sources. Raises AnotherRunInProgress, and KeyProblem, with nothing changed, when
    there is no key yet, the key is not this home's, its folder cannot be written, or a received file is gone.
    """
    with home.lock():
        if not key_path(home).exists():
            raise KeyProblem(
                f"There is no key at {key_path(home)} to rotate.",
                "The first run makes one; where data exist already, restore the key from its backup first.",
            )
        old = KeyFile.load_or_create(home)
        stored_files = _require_stored_files(home, source_ids)
        path = old.path.resolve()  # a link keeps pointing to where the key is kept
        retired_path = path.with_name(f"{path.name}.{old.fingerprint}.retired")
        key = new_key()
        made = fingerprint_of(bytes.fromhex(key))
        try:
            write_atomically(retired_path, old.key.hex() + "\n", mode=0o600)
            Rotation(old.fingerprint, made).note(home)
            write_atomically(path, key, mode=0o600)
        except OSError as problem:
            raise KeyProblem(
                f"The pseudonym key {path} cannot be replaced: {problem.strerror}. The old key is still in force.",
                "Run this as a user who may write the key's folder, or rotate where the key is kept.",
            ) from None
        record_fingerprint(home, made)
    return Rotated(path, retired_path, old.fingerprint, made, stored_files)


def set_aside(home: Home, key: KeyFile) -> None:
    """Before a landing: after a rotation, move away what was made with the old key. Only under the lock."""
    with suppress(OSError):  # the key's folder may be for reading only
        for left in key.path.resolve().parent.glob(f".{key.path.resolve().name}.*.tmp"):
            left.unlink()  # a copy of a key, left by a rotation that was killed
    rotation = Rotation.pending(home)
    if rotation is None or rotation.is_set_aside:
        return
    if rotation.made != key.fingerprint:
        Rotation.forget(home)  # killed before the key was replaced: the rotation never came about
        return
    for folder in (home.raw, home.landing / "refused"):
        aside = _aside(home)[folder] / rotation.retired
        aside.mkdir(mode=0o700, parents=True, exist_ok=True)
        for made_before in list(folder.glob("[!.]*")):
            made_before.replace(aside / made_before.name)
        sync_folder(aside)
    Rotation(rotation.retired, rotation.made, is_set_aside=True).note(home)


def remove_set_aside(home: Home) -> bool:
    """After a landing: remove what was set aside, if anything was. Only under the lock."""
    rotation = Rotation.pending(home)
    if rotation is None or not rotation.is_set_aside:
        return False
    for aside in _aside(home).values():
        shutil.rmtree(aside, ignore_errors=True)
    Rotation.forget(home)
    return True


def show_key(home: Home, console: Console) -> None:
    """Print the key's path and fingerprint. ConfigurationError where it cannot be used."""
    if not key_path(home).exists():
        raise ConfigurationError(f"There is no key at {key_path(home)}.", "The first run makes one.")
    with _as_configuration():
        key = KeyFile.load_or_create(home)
    console.print(f"{key.path}  fingerprint {key.fingerprint}", soft_wrap=True, markup=False)


def rotate_and_tell(home: Home, source_ids: Iterable[str], console: Console) -> None:
    """Rotate and print what changed and what is left to do. ConfigurationError where nothing could be changed."""
    with _as_configuration():
        done = rotate(home, source_ids)
    snapshots = sum(1 for folder in home.restricted.glob("[0-9]*") if folder.is_dir())
    for line in (
        f"The pseudonym key was changed: fingerprint {done.retired} is retired, {done.made} is in force.",
        f"New key:     {done.path}. Back it up now, apart from the data.",
        f"Retired key: {done.retired_path}. Delete it and its backups when the next run is through.",
        f"The next `equity run` reads {done.stored_files:,} received files again and joins them with the new key.",
        f"Snapshots that still hold pseudonyms of the retired key, in restricted/: {snapshots}. "
        "They cannot be joined to new ones.",
    ):
        console.print(line, soft_wrap=True, markup=False)


@contextmanager
def _as_configuration() -> Iterator[None]:
    try:
        yield
    except KeyProblem as problem:
        raise ConfigurationError(problem.message, problem.remedy) from None


def _aside(home: Home) -> Mapping[Path, Path]:
    """For each folder of files made with a key, the hidden one beside it where they wait for their removal."""
    return {home.raw: home.raw / _SET_ASIDE, home.landing / "refused": home.landing / _SET_ASIDE}


def _require_stored_files(home: Home, source_ids: Iterable[str]) -> int:
    """How many files the deliveries name. Raises KeyProblem when one is gone: its rows could not be made again."""
    found: set[str] = set()
    for source_id in source_ids:
        for receipt in receipts_of(home, source_id):
            for file in receipt.delivery.files:
                if not stored_path(home, file.file_id).is_file():
                    delivery = receipt.delivery
                    raise KeyProblem(
                        f"{source_id}: {file.name}, received on {delivery.delivered_on}, is not in landing/files any "
                        f"more ({file.file_id[:12]}). With another key its rows would be lost. Nothing was changed.",
                        "Restore landing/files from a backup, then rotate.",
                    )
                found.add(file.file_id)
    return len(found)
