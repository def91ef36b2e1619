"""What lay there tonight: folders, zips, and files that are not whole yet."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import time
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipelines import arrivals, packed
from pipelines.arrivals import Arrival
from pipelines.config import DistrictFile, Settings, Source
from pipelines.district_file import ConfigurationProblems, load
from pipelines.home import Home
from pipelines.landing import SourceState, land
from pipelines.raw_files import stored_path

LONG_AGO = time.time() - 3600
CSV = b"sid,school,day,code\nS1,10,2025-09-01,A\n"


def put(folder: Path, name: str, content: bytes = CSV, age: float = 3600) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def source_of(*files: str, kind: str = "delimited", **settings: Any) -> Source:
    settings.setdefault("whole", {})
    return Source.model_validate({"kind": kind, "files": list(files), "missing_rows": "full", **settings})


def arrive(folder: Path, source: Source) -> Arrival:
    home = Home.open(folder.parent / f"{folder.name}_home")
    scratch = home.root / "scratch"
    scratch.mkdir(exist_ok=True)
    arrival = arrivals.take_in(
        "s",
        source,
        arrivals.look({"s": source}, folder)["s"],
        folder=folder,
        time_zone="America/Chicago",
        receipts=[],
        home=home,
        scratch=scratch,
    )
    for file in arrival.files:
        content = stored_path(home, file.file_id).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file.file_id
    if arrival.status is not None:
        assert arrival.message
        assert arrival.remedy
    return arrival


def names(arrival: Arrival) -> list[str]:
    assert arrival.status is None, arrival.message
    return [file.name for file in arrival.files]


# --- folders -----------------------------------------------------------------------------------------------------


def test_a_folder_means_the_files_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    for name in ("in/a.csv", "in/b.csv", "in/.hidden", "in/deeper/c.csv", "in/~$b.csv", "in/c.csv.part", "d.csv"):
        put(folder, name, name.encode())
    assert names(arrive(folder, source_of("in"))) == ["in/a.csv", "in/b.csv"]
    assert names(arrive(folder, source_of("in/", "*.csv"))) == ["d.csv", "in/a.csv", "in/b.csv"]
    (folder / "empty").mkdir()
    assert arrive(folder, source_of("empty")).status == "absent"
    assert arrive(folder, source_of("in", "empty")).status == "absent"


# --- wholeness ---------------------------------------------------------------------------------------------------


class Clock:
    """Time that passes when somebody sleeps, and what happens meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.slept: list[float] = []
        self.meanwhile = meanwhile
        monkeypatch.setattr(arrivals.time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.meanwhile()


def test_old_files_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    put(tmp_path, "a.csv", age=3)
    assert names(arrive(tmp_path, source_of("a.csv"))) == ["a.csv"]
    assert names(arrive(tmp_path, source_of("a.csv", whole={"stable_seconds": 0}))) == ["a.csv"]
    assert clock.slept == []


def test_young_files_of_all_sources_are_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    put(tmp_path, "a.csv", age=1)
    put(tmp_path, "b.csv", age=4)
    put(tmp_path, "ahead.csv", age=-900)
    sources = {
        "a": source_of("a.csv", whole={"stable_seconds": 10}),
        "b": source_of("b.csv", whole={"stable_seconds": 5}),
        "ahead": source_of("ahead.csv"),
        "old": source_of("none.csv"),
    }
    sightings = arrivals.look(sources, tmp_path)
    assert [round(seconds) for seconds in clock.slept] == [9]
    assert [sightings[name].late for name in sources] == ["", "", "", ""]


@pytest.mark.parametrize("change", ["grows", "is written again", "goes", "another comes"])
def test_a_file_that_moves_while_it_is_waited_for_is_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = put(tmp_path, "a.csv", age=0)
    put(tmp_path, "old.csv")
    changes: dict[str, Callable[[], object]] = {
        "grows": lambda: put(tmp_path, "a.csv", CSV + b"S2", age=0),
        "is written again": lambda: put(tmp_path, "a.csv", age=-1),
        "goes": path.unlink,
        "another comes": lambda: put(tmp_path, "b.csv", age=0),
    }
    Clock(monkeypatch, changes[change])
    sources = {"young": source_of("[ab].csv"), "old": source_of("old.csv")}
    sightings = arrivals.look(sources, tmp_path)
    assert (bool(sightings["young"].late), sightings["old"].late) == (True, "")
    Clock(monkeypatch)
    put(tmp_path, "a.csv")
    put(tmp_path, "b.csv")
    assert arrivals.look(sources, tmp_path)["young"].late == ""


def test_nobody_waits_for_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    put(tmp_path, "a.csv", age=5)
    arrival = arrive(tmp_path, source_of("a.csv", whole={"stable_seconds": 3600}))
    assert (arrival.status, clock.slept) == ("late", [60.0])
    assert "a.csv" in arrival.message


def test_a_file_that_changes_while_it_is_read_is_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, "a.csv")
    keep = arrivals._keep

    def slow(*given: Any) -> str:
        os.utime(path)
        return keep(*given)

    monkeypatch.setattr(arrivals, "_keep", slow)
    assert arrive(tmp_path, source_of("a.csv")).status == "late"


@pytest.mark.parametrize(
    ("marker", "name"), [("{name}.done", "a.csv.done"), ("{stem}.ctl", "a.ctl"), ("READY", "READY")]
)
def test_a_marker_says_that_a_file_is_whole(tmp_path: Path, marker: str, name: str) -> None:
    put(tmp_path, "in/a.csv", age=100)
    source = source_of("in", whole={"marker": marker})
    missing = arrive(tmp_path, source)
    assert missing.status == "late"
    assert name in missing.message
    put(tmp_path, f"in/{name}", b"", age=200)
    assert arrive(tmp_path, source).status == "late", "the marker of an earlier file"
    put(tmp_path, f"in/{name}", b"", age=100)
    assert names(arrive(tmp_path, source)) == ["in/a.csv"]


def landed(folder: Path, **source: Any) -> tuple[SourceState, int]:
    """The source's state after a night, and how many rows are in use."""
    columns = {"student_id": "sid", "school_id": "school", "date": "day", "category": "code"}
    settings = {
        "district": {"id": "d", "name": "D", "contact": "x@example.org", "time_zone": "America/Chicago"},
        "sources": {
            "attendance": {
                "kind": "delimited",
                "files": "att.csv",
                "missing_rows": "full",
                "entities": {"attendance_event": {"columns": columns}},
                **source,
            }
        },
    }
    file = DistrictFile(path=folder / "district.yaml", settings=Settings.model_validate(settings))
    landing = land(file, Home.open(folder / "home"), as_of=date(2025, 9, 3), say=lambda _: None)
    (state,) = landing.sources
    return state, sum(one.rows_accepted for one in landing.files if one.is_live)


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    path.write_text(bytes(range(32)).hex())
    path.chmod(0o600)
    monkeypatch.setenv("EQUITY_KEY_FILE", str(path))


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("end", [b"", b"TRL|2\n", b"TRL|x\n"])
def test_a_file_that_is_cut_short_is_late_and_the_last_whole_one_stays_in_use(tmp_path: Path, end: bytes) -> None:
    whole = {"trailer": r"TRL\|(?P<rows>\d+)"}
    put(tmp_path, "att.csv", CSV + b"S2,10,2025-09-01,A\nTRL|2\n")
    state, rows = landed(tmp_path, whole=whole)
    assert (state.status, rows) == ("new", 2)
    put(tmp_path, "att.csv", CSV + end)
    state, rows = landed(tmp_path, whole=whole)
    assert (state.status, rows, state.last_received) == ("late", 2, date(2025, 9, 3))
    assert "att.csv" in state.message
    assert state.remedy
    put(tmp_path, "att.csv", CSV + b"S3,10,2025-09-02,A\nTRL|2\n")
    assert landed(tmp_path, whole=whole, missing_rows="append")[0].status == "new"


@pytest.mark.usefixtures("key")
def test_another_trailer_reads_the_same_file_anew(tmp_path: Path) -> None:
    put(tmp_path, "att.csv", CSV + b"TRL|1\n")
    assert landed(tmp_path)[0].status == "new"  # the trailer is a row that does not fit, and is refused
    assert landed(tmp_path, whole={"trailer": "THE END"})[0].status == "late"
    state, rows = landed(tmp_path, whole={"trailer": r"TRL\|(?P<rows>\d+)"})
    assert (state.status, state.message, rows) == ("new", "", 1)


# --- zips --------------------------------------------------------------------------------------------------------


def test_the_members_of_a_zip_are_files_of_their_own(tmp_path: Path) -> None:
    content = {
        "export/attendance.csv": CSV, "export/schools.csv": b"x", "__MACOSX/._a.csv": b"?", "export/.x.csv": b"?",
        "export/": b"", "readme.txt": b"hello",
    }  # fmt: skip
    put(tmp_path, "export.zip", zipped(content))
    arrival = arrive(tmp_path, source_of("*.zip", members=["*.csv"]))
    assert names(arrival) == ["export.zip/export/attendance.csv", "export.zip/export/schools.csv"]
    assert arrival.files[0].file_id == hashlib.sha256(CSV).hexdigest()
    put(tmp_path, "again.dat", zipped(content, zipfile.ZIP_STORED))
    assert (
        arrive(tmp_path, source_of("again.dat", members=["export/att*"])).files[0].file_id == arrival.files[0].file_id
    )
    nothing = arrive(tmp_path, source_of("*.zip", members=["*.tsv"]))
    assert (nothing.status, "*.tsv" in nothing.message) == ("absent", True)


def test_a_workbook_is_no_zip_of_files(tmp_path: Path) -> None:
    book = zipped({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"})
    put(tmp_path, "book.xlsx", book)
    assert names(arrive(tmp_path, source_of("book.xlsx", kind="excel"))) == ["book.xlsx"]
    put(tmp_path, "books.zip", zipped({"a.xlsx": book, "b.xlsx": book}))
    assert names(arrive(tmp_path, source_of("books.zip", kind="excel"))) == ["books.zip/a.xlsx", "books.zip/b.xlsx"]


def test_what_gzip_packed_is_kept_unpacked(tmp_path: Path) -> None:
    put(tmp_path, "a.csv.gz", gzip.compress(CSV))
    (file,) = arrive(tmp_path, source_of("a.csv.gz")).files
    assert (file.name, file.file_id) == ("a.csv.gz", hashlib.sha256(CSV).hexdigest())
    put(tmp_path, "a.csv.gz", gzip.compress(CSV)[:-6])
    assert arrive(tmp_path, source_of("a.csv.gz")).status == "unreadable"


def spoiled(content: bytes, place: int, value: int) -> bytes:
    changed = bytearray(content)
    changed[place] = value
    return bytes(changed)


def encrypted(content: bytes) -> bytes:
    flags = content.index(b"PK\x01\x02") + 8
    return spoiled(spoiled(content, 6, 1), flags, 1)


GOOD_ZIP = zipped({"a.csv": CSV * 100})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zipped({"../a.csv": CSV}), "leads out"),
        (zipped({"/etc/a.csv": CSV}), "leads out"),
        (zipped({"x\\..\\..\\a.csv": CSV}), "leads out"),
        (zipped({"C:\\a.csv": CSV}), "leads out"),
        (zipped({"a\x1b[31m.csv": CSV}), "control characters"),
        (zipped({"a.zip": GOOD_ZIP}), "a zip itself"),
        (zipped({"a.csv": CSV}, zipfile.ZIP_BZIP2), "packed in a way"),
        (zipped({"a.csv": bytes(200_000_000)}), "grows"),
        (encrypted(GOOD_ZIP), "encrypted"),
        (spoiled(GOOD_ZIP, 50, 0xFF), "damaged"),
        (GOOD_ZIP[:-30], "damaged"),
        (GOOD_ZIP[:60], "damaged"),
        (gzip.compress(bytes(200_000_000)), "grows"),
    ],
)
def test_a_zip_that_cannot_be_trusted_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    folder = tmp_path / "d"
    put(folder, "export.zip", content)
    before = sorted(tmp_path.rglob("*"))
    arrival = arrive(folder, source_of("export.zip"))
    assert (arrival.status, said in arrival.message) == ("unreadable", True), arrival.message
    assert arrival.files == ()
    assert arrival.message.isprintable()
    home = folder.parent / "d_home"
    assert [path for path in tmp_path.rglob("*") if path not in before and not path.is_relative_to(home)] == []


def test_members_that_share_their_bytes_do_not_grow_beyond_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "_HARMLESS", 1000)
    put(tmp_path, "many.zip", zipped({f"{n}.csv": bytes(90_000) for n in range(50)}))
    assert arrive(tmp_path, source_of("many.zip")).status == "unreadable"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.csv", CSV)
        archive.writestr("a.csv", b"other")
    put(tmp_path, "a.zip", stream.getvalue())
    assert "more than once" in arrive(tmp_path, source_of("a.zip")).message


@pytest.mark.usefixtures("key")
def test_a_zip_lands_as_its_members_do(tmp_path: Path) -> None:
    put(tmp_path, "att.csv", zipped({"att.csv": CSV}))
    state, rows = landed(tmp_path)
    assert (state.status, state.message, rows) == ("new", "", 1)
    put(tmp_path, "att.csv", zipped({"att.csv": CSV}, zipfile.ZIP_STORED))
    assert landed(tmp_path)[1] == 1
    receipts = tmp_path / "home" / "landing" / "receipts" / "attendance"
    assert len(list(receipts.iterdir())) == 1, "the same names and contents are the same delivery"


# --- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "where", "words"),
    [
        ("kind: delimited, header: 0", "column_names", "nothing names the columns"),
        ("kind: excel, header: -1", "header", "neither a line nor a column name"),
        ("kind: delimited, header: ' '", "header", "neither a line nor a column name"),
        ("kind: fixed_width, fields: {id: [5, 1]}", "fields.id", "first and a last character"),
        ("kind: fixed_width, fields: {id: [1]}", "fields.id", "first and a last character"),
        ("kind: fixed_width, fields: {id: [0, 1]}", "fields.id", "first and a last character"),
        ("kind: delimited, whole: {marker: ../done}", "whole.marker", "not the name of a file"),
        ("kind: delimited, whole: {trailer: '(('}", "whole.trailer", "not a regular expression"),
        ("kind: excel, whole: {trailer: end}", "whole.trailer", "says nothing to a source of kind excel"),
    ],
)
def test_settings_that_cannot_work_are_named(tmp_path: Path, settings: str, where: str, words: str) -> None:
    path = tmp_path / "district.yaml"
    path.write_text(
        "district: {id: d, name: D, contact: x@example.org, time_zone: America/Chicago}\n"
        "sources:\n  students:\n"
        "    entities: {student: {columns: {student_id: id}}}\n"
        f"    <<: {{files: a, missing_rows: full, {settings}}}\n"
    )
    with pytest.raises(ConfigurationProblems) as caught:
        load(path)
    found = {problem.where: problem.message for problem in caught.value.problems}
    assert words in found[f"sources.students.{where}"]
