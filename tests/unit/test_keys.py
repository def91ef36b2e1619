"""Pseudonyms: published vectors, the key's life, and joins that never show an id."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import numpy
import pytest

from pipelines import keys
from pipelines.home import Home
from pipelines.keys import KeyFile, KeyProblem, PseudonymCollision, add_keys, hmac_sha256, pseudonym

VECTORS = Path(__file__).parents[3] / "shared" / "vectors" / "hmac_sha256.csv"
KEY = bytes(range(32))


@pytest.mark.skipif(not VECTORS.exists(), reason="needs ../shared/vectors/hmac_sha256.csv")
def test_rfc_4231_vectors() -> None:
    with VECTORS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    for row in rows:
        columns = list(row)
        key, data, expected = (next(row[c] for c in columns if part in c.lower()) for part in ("key", "data", "mac"))
        assert hmac_sha256(bytes.fromhex(key), bytes.fromhex(data)).hex() == expected.lower()


def test_pseudonym_is_a_signed_64_bit_prefix_of_the_hash() -> None:
    expected = int.from_bytes(hmac_sha256(KEY, b"student|S-1")[:8], "big", signed=True)
    assert pseudonym(KEY, "student", "S-1") == expected
    assert -(2**63) <= expected < 2**63


def test_white_space_around_an_id_does_not_matter_and_the_domain_does() -> None:
    assert pseudonym(KEY, "student", "\t7 \u00a0") == pseudonym(KEY, "student", "7")
    assert pseudonym(KEY, "student", "7") != pseudonym(KEY, "incident", "7")
    assert pseudonym(KEY, "student", "7") != pseudonym(KEY[::-1], "student", "7")


def test_each_cell_gets_the_key_of_its_id_over_several_batches_and_a_blank_id_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keys, "_BATCH", 3)
    con = duckdb.connect()
    con.execute("CREATE TEMP TABLE t AS SELECT '00' || i AS cell, 'a' || i AS value FROM range(10) r(i)")
    con.execute("INSERT INTO t VALUES ('', ''), ('*', NULL), ('01', ' a1 '), (' ', '\u2003')")
    name = add_keys(con, "FROM t", "student", KEY)
    rows = con.execute(f"SELECT cell, value, key FROM {name} ORDER BY ALL").fetchall()
    assert [row[:2] for row in rows] == con.execute("FROM t ORDER BY ALL").fetchall()
    assert {cell: key for cell, _, key in rows} == {
        **{f"00{i}": pseudonym(KEY, "student", f"a{i}") for i in range(10)},
        **{"01": pseudonym(KEY, "student", "a1"), "": None, " ": None, "*": None},
    }


@pytest.mark.parametrize("length", [32, 63, 64, 65, 200])
def test_ids_hashed_in_bulk_have_the_pseudonyms_of_ids_hashed_alone(length: int) -> None:
    key = bytes(n % 251 for n in range(length))
    ids = ["7", " 7", "0415", "é-\u4e2d", "x" * 300]
    con = duckdb.connect()
    con.execute("CREATE TEMP TABLE t AS SELECT unnest(?) AS x", [ids])
    name = add_keys(con, "SELECT x AS cell, x AS value FROM t", "student", key)
    assert dict(con.execute(f"SELECT value, key FROM {name}").fetchall()) == {
        one: pseudonym(key, "student", one) for one in ids
    }


def test_a_collision_of_two_ids_raises_and_names_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_hash", lambda _key, _domain, values: numpy.zeros(len(values), numpy.int64))
    con = duckdb.connect()
    con.execute("CREATE TEMP TABLE t AS SELECT unnest(['canary-1', 'canary-2']) AS x")
    with pytest.raises(PseudonymCollision) as raised:
        add_keys(con, "SELECT x AS cell, x AS value FROM t", "student", KEY)
    assert "canary" not in str(raised.value)


def test_the_first_run_makes_a_private_key_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EQUITY_KEY_FILE", raising=False)
    home = Home.open(tmp_path / "home")
    first = KeyFile.load_or_create(home)
    assert first.created
    assert first.path.stat().st_mode & 0o777 == 0o600
    assert "Back it up" in str(first.notice)
    assert first.key.hex() not in f"{first!r} {first.notice}"
    second = KeyFile.load_or_create(home)
    assert (second.created, second.notice) == (False, None)
    assert (second.key, second.fingerprint) == (first.key, first.fingerprint)


@pytest.mark.parametrize("stage", ["landing", "raw"])
def test_a_home_with_data_never_gets_a_new_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    monkeypatch.delenv("EQUITY_KEY_FILE", raising=False)
    home = Home.open(tmp_path / "home")
    key = KeyFile.load_or_create(home)
    (home.root / stage / "file").write_text("x")
    assert not KeyFile.load_or_create(home).created
    key.path.unlink()
    with pytest.raises(KeyProblem, match="missing"):
        KeyFile.load_or_create(home)
    assert not key.path.exists()


def test_another_key_is_refused_where_there_are_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EQUITY_KEY_FILE", raising=False)
    home = Home.open(tmp_path / "home")
    KeyFile.load_or_create(home)
    other = tmp_path / "other.key"
    other.write_text("ab" * 32)
    other.chmod(0o600)
    monkeypatch.setenv("EQUITY_KEY_FILE", str(other))
    assert KeyFile.load_or_create(home).key == bytes.fromhex("ab" * 32)  # no data yet: the district may choose
    (home.raw / "file").write_text("x")
    other.write_text("cd" * 32)
    with pytest.raises(KeyProblem, match="not the one"):
        KeyFile.load_or_create(home)


@pytest.mark.parametrize(("content", "mode", "message"), [("zz", 0o600, "not a key"), ("ab" * 32, 0o644, "by others")])
def test_a_bad_key_file_is_refused_without_showing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, mode: int, message: str
) -> None:
    path = tmp_path / "bad.key"
    path.write_text(content)
    path.chmod(mode)
    monkeypatch.setenv("EQUITY_KEY_FILE", str(path))
    with pytest.raises(KeyProblem, match=message) as raised:
        KeyFile.load_or_create(Home.open(tmp_path / "home"))
    assert "ab" * 32 not in f"{raised.value} {raised.value.remedy}"
