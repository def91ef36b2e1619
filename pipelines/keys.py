"""Pseudonyms: ids leave landing only as keyed hashes (HMAC-SHA-256, RFC 2104 and RFC 4231).

The key never enters SQL, a child's environment, an argument or a message: distinct ids come out of
DuckDB, are hashed here, and go back as a table to join. Whoever holds the key can recompute every
pseudonym, so it is kept apart from the data; whoever loses it can no longer join new data to old.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import duckdb
import numpy
import pyarrow

from pipelines.home import Home, write_atomically

_KEY_BYTES = 32
#: Bytes that SHA-256 takes in at a time: a longer key is hashed first (RFC 2104).
_BLOCK = 64
_FINGERPRINT_LABEL = b"equity warehouse: fingerprint of the pseudonym key"
_FINGERPRINT_FILE = "key.fingerprint"
_ROTATION_FILE = "key.rotation"
#: Ids hashed in one go: bounds memory, large enough that the passes between Python and DuckDB do not show.
_BATCH = 200_000


class KeyProblem(Exception):
    """The pseudonym key is missing, unusable or not the one that made this home's data."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class PseudonymCollision(Exception):
    """Two different ids of one file have the same 64-bit pseudonym. The message names neither."""


@dataclass(frozen=True)
class KeyFile:
    """The district's key. `fingerprint` tells keys apart and reveals nothing; `created` is true on the first run."""

    key: bytes = field(repr=False)
    fingerprint: str
    path: Path
    created: bool = False

    @property
    def notice(self) -> str | None:
        """What the user must be told after a key was made, else None."""
        if not self.created:
            return None
        return (
            f"A new pseudonym key was made: {self.path}. Back it up now, apart from the data. "
            "Without it, tomorrow's files cannot be joined to today's."
        )

    @classmethod
    def load_or_create(cls, home: Home) -> KeyFile:
        """The key of `EQUITY_KEY_FILE`, else `keys/pseudonym.key`, made on a home's first run only.

        Raises KeyProblem when the key is absent from a home that holds data, is another key than
        the one the data were made with, is malformed, or may be read by others.
        """
        path = key_path(home)
        has_data = _has_data(home)
        try:
            created = not path.exists()
            if created:
                if has_data:
                    raise KeyProblem(
                        f"The pseudonym key {path} is missing, and this home already holds data made with it.",
                        "Restore the key from its backup, or name it in EQUITY_KEY_FILE. A new key is never made here.",
                    )
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                for left in path.parent.glob(f".{path.name}.*.tmp"):  # half a key, of a run that was killed
                    left.unlink()
                write_atomically(path, new_key(), mode=0o600)
            key = _read(path)
        except OSError as problem:
            raise KeyProblem(
                f"The pseudonym key {path} cannot be used: {problem.strerror}.",
                "Give EQUITY_KEY_FILE a path that this user can read, in a folder that only this user can enter.",
            ) from None
        fingerprint = fingerprint_of(key)
        _agree(home, fingerprint, path, has_data)
        return cls(key, fingerprint, path, created)


@dataclass(frozen=True)
class Rotation:
    """A change of key that no landing has finished yet (see pipelines.key_rotation).

    retired, made: fingerprints of the key before and the key after. is_set_aside: whether what was made with
    the retired key is out of the way.
    """

    retired: str
    made: str
    is_set_aside: bool = False

    @classmethod
    def pending(cls, home: Home) -> Rotation | None:
        noted = home.landing / _ROTATION_FILE
        return cls(**json.loads(noted.read_text(encoding="ascii"))) if noted.exists() else None

    def note(self, home: Home) -> None:
        write_atomically(home.landing / _ROTATION_FILE, json.dumps(asdict(self)) + "\n")

    @staticmethod
    def forget(home: Home) -> None:
        (home.landing / _ROTATION_FILE).unlink(missing_ok=True)


def record_fingerprint(home: Home, fingerprint: str) -> None:
    """Say which key this home's data are made with."""
    write_atomically(home.landing / _FINGERPRINT_FILE, fingerprint + "\n")


def key_path(home: Home) -> Path:
    """Where the key lies: EQUITY_KEY_FILE, else `keys/pseudonym.key` of the home."""
    return Path(os.environ.get("EQUITY_KEY_FILE") or home.keys / "pseudonym.key")


def new_key() -> str:
    """A new random key as a key file holds it."""
    return secrets.token_hex(_KEY_BYTES) + "\n"


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256 of `data`: 32 bytes."""
    return hmac.digest(key, data, "sha256")


def fingerprint_of(key: bytes) -> str:
    """Sixteen hexadecimal characters that tell one key from another without revealing it."""
    return hmac_sha256(key, _FINGERPRINT_LABEL).hex()[:16]


def normalize(value: str) -> str:
    """An id as it is hashed: without white space around it."""
    return value.strip()


def pseudonym(key: bytes, domain: str, value: str) -> int:
    """The id's pseudonym: the first 8 bytes of HMAC(key, "domain|id"), big-endian, signed (a BIGINT).

    `domain` says whose id it is, so that student 7 and incident 7 differ. Among 1,000,000 ids the
    chance that any two meet is about 3 in 100 million (n^2 / 2^65).
    """
    return int.from_bytes(hmac_sha256(key, f"{domain}|{normalize(value)}".encode())[:8], "big", signed=True)


def add_keys(con: duckdb.DuckDBPyConnection, cells: str, domain: str, key: bytes) -> str:
    """Hash the ids of a query: the name of a temp table (cell VARCHAR, value VARCHAR, key BIGINT) to join on the cell.

    cells: SQL of rows (cell, value), a cell as it stands in the file and the id that is read from it, each cell once.
    key is NULL where the id is blank. Raises PseudonymCollision when two different ids meet; the table is dropped.
    """
    name = f"key_{domain}_{secrets.token_hex(4)}"
    con.execute(f"CREATE TEMP TABLE {name}_ids AS {cells}")
    con.execute(f"CREATE TEMP TABLE {name} (cell VARCHAR, value VARCHAR, key BIGINT)")
    count = _count(con, f"{name}_ids")
    for start in range(0, count, _BATCH):
        ids = con.execute(
            f"SELECT cell, value FROM {name}_ids WHERE rowid >= ? AND rowid < ?", [start, start + _BATCH]
        ).to_arrow_table()
        values = [normalize(value or "") for value in ids["value"].to_pylist()]
        hashed = pyarrow.array(_hash(key, domain, values), mask=numpy.array([not value for value in values], bool))
        con.register(f"{name}_batch", ids.append_column("key", hashed))
        con.execute(f"INSERT INTO {name} SELECT cell, value, key FROM {name}_batch")
        con.unregister(f"{name}_batch")
    con.execute(f"DROP TABLE {name}_ids")
    _refuse_collisions(con, name)
    return name


def _hash(key: bytes, domain: str, values: Iterable[str]) -> numpy.ndarray[tuple[int], numpy.dtype[numpy.int64]]:
    """The pseudonym of each normal id. The two hashes that begin an HMAC (RFC 2104) are made once and copied for each
    id: 0.8 microseconds an id, where hmac.digest takes 2.0 to make them anew.
    """
    block = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
    begin_inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + f"{domain}|".encode()).copy
    begin_outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block)).copy
    hashed = bytearray()
    for value in values:
        inner, outer = begin_inner(), begin_outer()
        inner.update(value.encode())
        outer.update(inner.digest())
        hashed += outer.digest()[:8]
    return numpy.frombuffer(hashed, dtype=">i8").astype(numpy.int64)


def _refuse_collisions(con: duckdb.DuckDBPyConnection, table: str) -> None:
    same = con.execute(
        # Several cells with one id have one key, too. The values are listed of keys that occur twice, which are few:
        # of millions of records' ids the lists alone would fill the memory.
        f"SELECT list(value) FROM {table} WHERE key IN (SELECT key FROM {table} WHERE key IS NOT NULL "
        "GROUP BY key HAVING count(*) > 1) GROUP BY key"
    ).fetchall()
    if any(len({normalize(value) for value in values}) > 1 for (values,) in same):
        con.execute(f"DROP TABLE {table}")
        raise PseudonymCollision("two different ids of one file have the same pseudonym; a longer hash is needed")


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    row = con.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0


def _read(path: Path) -> bytes:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise KeyProblem(
            f"The pseudonym key {path} may be read by others.", f"Run: chmod 600 {path}. Ask who may have copied it."
        )
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) < _KEY_BYTES:
        raise KeyProblem(
            f"The pseudonym key {path} is not a key: it must hold {2 * _KEY_BYTES} hexadecimal characters.",
            "Restore the key from its backup, or name the right file in EQUITY_KEY_FILE.",
        )
    return key


def _agree(home: Home, fingerprint: str, path: Path, has_data: bool) -> None:
    recorded = home.landing / _FINGERPRINT_FILE
    known = recorded.read_text(encoding="ascii").strip() if recorded.exists() else None
    if known == fingerprint:
        return
    rotation = Rotation.pending(home)
    # A rotation killed between its last two steps: the key is the new one, the record still the old one's.
    is_rotated = rotation is not None and (rotation.retired, rotation.made) == (known, fingerprint)
    if has_data and not is_rotated:
        raise KeyProblem(
            f"The pseudonym key {path} is not the one that this home's data were made with.",
            "Name the right key in EQUITY_KEY_FILE, or restore it from its backup. Nothing was read.",
        )
    # The fingerprint stands before any data do, so a run killed in between leaves nothing to explain.
    record_fingerprint(home, fingerprint)


def _has_data(home: Home) -> bool:
    """Whether anything was ever landed. What a killed run left unfinished (hidden names) is no data."""
    return any(
        path.is_file() and path.name not in (_FINGERPRINT_FILE, _ROTATION_FILE)
        for folder in (home.landing, home.raw)
        for path in folder.rglob("*")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
