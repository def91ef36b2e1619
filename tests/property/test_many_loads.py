"""Many small loads are one load of everything: random histories, delivered bit by bit and at once.

The models are the project's own: compiled by dbt once, then run in this process over a warehouse for each history.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipelines import crosswalks
from pipelines.code_version import DBT_PROJECT
from pipelines.config import DistrictFile, Settings
from pipelines.home import Home
from pipelines.keys import pseudonym
from pipelines.landing import Landing, land
from pipelines.warehouse import connect, prepare

KEY = bytes(range(32))
STUDENTS = ("S0", "S1", "S2")
KEYS = {student: pseudonym(KEY, "student", student) for student in STUDENTS}
DAYS = [date(2025, 9, 1) + timedelta(days=n) for n in range(10)]
#: The nights lie behind all days: every day that was sent had been published.
NIGHTS = [date(2025, 10, 1) + timedelta(days=7 * n) for n in range(4)]
ALWAYS = date(9999, 12, 31)
CODES = {"A": "absent_unexcused", "P": "present", "T": "tardy"}
SEXES = {"F": "female", "M": "male"}

#: What is compared, and the models that it needs are found from here.
TYPED = ("stg_attendance_event", "stg_student_school_enrollment", "stg_attendance_change", "student_attribute_span")

Marks = dict[tuple[str, date], str]


@dataclass(frozen=True)
class Compiled:
    """What makes each model, in an order that works. Not shown where a history fails."""

    creates: dict[str, str] = field(repr=False)


@dataclass
class Truth:
    """What a student system knows: marks at A (sent by window) and at B (a file a day), spells, active ones, sexes."""

    at_a: Marks = field(default_factory=dict)
    at_b: Marks = field(default_factory=dict)
    spells: set[tuple[str, date]] = field(default_factory=set)
    active: set[str] = field(default_factory=set)
    sexes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """What happens before one delivery: first and last day of the window sent, and new states (None: nothing there)."""

    lo: int
    hi: int
    at_a: dict[tuple[str, int], str | None]
    at_b: dict[tuple[str, int], str | None]
    spells: frozenset[tuple[str, int]]
    active: frozenset[str]
    sexes: dict[str, str | None]


def steps() -> st.SearchStrategy[list[Step]]:
    mark = st.dictionaries(
        st.tuples(st.sampled_from(STUDENTS), st.integers(0, 9)), st.sampled_from([*CODES, None]), max_size=6
    )
    window = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted)
    return st.lists(
        st.builds(
            lambda span, at_a, at_b, spells, active, sexes: Step(span[0], span[1], at_a, at_b, spells, active, sexes),
            window,
            mark,
            mark,
            st.frozensets(st.tuples(st.sampled_from(STUDENTS), st.sampled_from([0, 5])), min_size=1, max_size=4),
            st.frozensets(st.sampled_from(STUDENTS), min_size=1),
            st.dictionaries(st.sampled_from(STUDENTS), st.sampled_from([*SEXES, None]), max_size=3),
        ),
        min_size=2,
        max_size=len(NIGHTS),
    )


# --- a district that is told of it ---------------------------------------------------------------------------


def _source(entity: str, files: str, missing_rows: str, **columns: str) -> dict[str, Any]:
    return {
        "kind": "delimited",
        "files": [files],
        "missing_rows": missing_rows,
        "required": False,
        "whole": {"stable_seconds": 0},
        "entities": {entity: {"columns": columns}},
    }


_MARK = {"student_id": "id", "school_id": "school", "date": "day", "category": "mark"}
_SPELL = {"student_id": "id", "school_id": "school", "entry_date": "from"}
SETTINGS = {
    "district": {"id": "d", "name": "D", "contact": "a@b.example", "time_zone": "America/Chicago"},
    "thresholds": {"removed_rows_percent": 100},
    "sources": {
        "window": {**_source("attendance_event", "a.csv", "window", **_MARK), "attendance_records": "every_day"},
        "append": {**_source("attendance_event", "b_*.csv", "append", **_MARK), "attendance_records": "every_day"},
        "full": _source("student_school_enrollment", "spells.csv", "full", **_SPELL),
        "active": _source("student_school_enrollment", "active.csv", "active_only", **_SPELL),
        "people": _source("student_demographic", "people.csv", "full", student_id="id", sex="sex"),
    },
}


class District:
    """A folder of exports, a home and its nights."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "crosswalks").mkdir(parents=True)
        rows = "".join(f"attendance_category,{code},{meaning}\n" for code, meaning in CODES.items())
        (folder / "crosswalks" / "codes.csv").write_text("crosswalk,code,value\n" + rows, encoding="utf-8")
        self.home = Home.open(folder / "home")
        self.file = DistrictFile(path=folder / "district.yaml", settings=Settings.model_validate(SETTINGS))

    def _write(self, name: str, header: str, rows: list[str]) -> None:
        (self.folder / name).write_text("\n".join([header, *sorted(rows)]) + "\n", encoding="utf-8")

    def send(self, truth: Truth, lo: date, hi: date) -> None:
        """Write what the system would export, marks at A of this window only."""
        self._write(
            "a.csv",
            "id,school,day,mark",
            [f"{who},A,{day},{code}" for (who, day), code in truth.at_a.items() if lo <= day <= hi],
        )
        for day in {day for _, day in truth.at_b}:
            rows = [f"{who},B,{day},{code}" for (who, on), code in truth.at_b.items() if on == day]
            self._write(f"b_{day}.csv", "id,school,day,mark", rows)
        self._write("spells.csv", "id,school,from", [f"{who},A,{day}" for who, day in truth.spells])
        self._write("active.csv", "id,school,from", [f"{who},C,2025-08-20" for who in truth.active])
        self._write("people.csv", "id,sex", [f"{who},{sex}" for who, sex in truth.sexes.items()])

    def land(self, as_of: date) -> Landing:
        landing = land(self.file, self.home, as_of=as_of, say=lambda _: None)
        assert {state.status for state in landing.sources} <= {"new", "unchanged"}, landing.sources
        return landing

    def typed(self, landing: Landing, as_of: date, compiled: Compiled) -> dict[str, set[tuple[Any, ...]]]:
        """The rows of the models compared, without their lineage."""
        codes = crosswalks.load(self.folder)
        assert codes.problems == ()
        path = prepare(self.home, self.file, landing, codes, load_id="L", as_of=as_of)
        with connect(path) as con:
            con.execute("create schema staging; create schema core")
            for model, create in compiled.creates.items():
                try:
                    con.execute(create)
                except duckdb.Error as problem:
                    pytest.fail(f"{model}: {problem}")
            return {
                model: set(con.execute(select).fetchall())
                for model, select in {
                    "marks": "select student_key, school_id, date, category from staging.stg_attendance_event",
                    "spells": "select student_key, school_id, entry_date, exit_date, is_exit_inferred "
                    "from staging.stg_student_school_enrollment",
                    "changes": "select student_key, school_id, date, changed_on, was_category, is_category "
                    "from staging.stg_attendance_change",
                    "sexes": "select student_key, value, valid_from, valid_to, span_kind "
                    "from core.student_attribute_span where category = 'sex'",
                }.items()
            }


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """The models that are needed, as dbt compiles them."""
    root = tmp_path_factory.mktemp("compiled")
    nothing = Landing(sources=(), files=(), input_hash="")
    district = DistrictFile(path=root / "district.yaml", settings=Settings.model_validate(SETTINGS))
    prepare(Home.open(root / "home"), district, nothing, crosswalks.load(root), load_id="L", as_of=NIGHTS[0])
    made = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("dbt")), "compile", "--quiet"),
            *("--select", " ".join(f"+{model}" for model in TYPED)),
            *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
            *("--target-path", str(root / "target"), "--log-path", str(root / "logs")),
        ],
        cwd=root / "home" / "warehouse",
        env={**os.environ, "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout
    nodes = json.loads((root / "target" / "manifest.json").read_text(encoding="utf-8"))["nodes"]

    def in_order(model: str, seen: dict[str, str]) -> dict[str, str]:
        node = nodes[model]
        for parent in node["depends_on"]["nodes"]:
            if parent.startswith("model.") and parent not in seen:
                in_order(parent, seen)
        sql = (root / "target" / "compiled" / "equity" / node["original_file_path"]).read_text(encoding="utf-8")
        kind = node["config"]["materialized"]
        seen[model] = f"create {kind} {node['schema']}.{node['name']} as {sql}"
        return seen

    found: dict[str, str] = {}
    for model in TYPED:
        in_order(f"model.equity.{model}", found)
    return Compiled(found)


@pytest.fixture(autouse=True, scope="module")
def one_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_text(KEY.hex())
    path.chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EQUITY_KEY_FILE", str(path))
        yield


# --- what must come of it, in plain Python -------------------------------------------------------------------


@dataclass
class Expected:
    """The reference: what the four meanings, observed values and changed days come to."""

    #: Of each active-only delivery, who was in it; of each of demographics, who had which sex. Only when it changed.
    active: list[tuple[date, frozenset[str]]] = field(default_factory=list)
    sexes: list[tuple[date, dict[str, str]]] = field(default_factory=list)
    changes: set[tuple[Any, ...]] = field(default_factory=set)

    def note(self, truth: Truth, before: Marks, before_b: Marks, night: date) -> None:
        for school, was, now in (("A", before, truth.at_a), ("B", before_b, truth.at_b)):
            days = [day for _, day in was]
            for key in was.keys() | now.keys():
                if was.get(key) != now.get(key) and days and min(days) <= key[1] <= max(days):
                    codes = (CODES.get(was.get(key, "")), CODES.get(now.get(key, "")))
                    self.changes.add((KEYS[key[0]], school, key[1], night, *codes))
        if not self.active or self.active[-1][1] != frozenset(truth.active):
            self.active.append((night, frozenset(truth.active)))
        if not self.sexes or self.sexes[-1][1] != truth.sexes:
            self.sexes.append((night, dict(truth.sexes)))

    def active_spells(self) -> set[tuple[Any, ...]]:
        """An exit is inferred of whom the newest file leaves out, dated by the last one that held them."""
        spells = set()
        for student in {student for _, students in self.active for student in students}:
            last = max(night for night, students in self.active if student in students)
            left = last < self.active[-1][0]
            spells.add((KEYS[student], "C", date(2025, 8, 20), last if left else None, left))
        return spells

    def spans(self) -> set[tuple[Any, ...]]:
        spans = set()
        for student in STUDENTS:
            seen = [(night, sexes[student]) for night, sexes in self.sexes if student in sexes]
            kept = [one for n, one in enumerate(seen) if n == 0 or one[1] != seen[n - 1][1]]
            ends = [night - timedelta(days=1) for night, _ in kept[1:]] + [ALWAYS]
            for (night, sex), end in zip(kept, ends, strict=False):
                spans.add((KEYS[student], SEXES[sex], night, end, "observed"))
            if kept:
                assumed = (SEXES[kept[0][1]], date(1900, 1, 1), kept[0][0] - timedelta(days=1))
                spans.add((KEYS[student], *assumed, "assumed_from_first_observation"))
        return spans


def _apply(truth: Truth, step: Step) -> None:
    lo, hi = DAYS[step.lo], DAYS[step.hi]
    for (who, n), code in step.at_a.items():
        # A system corrects what it sends: of days outside the window nothing is told.
        if lo <= DAYS[n] <= hi:
            _set(truth.at_a, (who, DAYS[n]), code)
    for (who, n), code in step.at_b.items():
        _set(truth.at_b, (who, DAYS[n]), code)
    for day in DAYS:
        # One student is marked on every day sent: a window, or a day's file, reaches as far as its rows do.
        if lo <= day <= hi:
            truth.at_a.setdefault(("S0", day), "P")
        if any(on == day for _, on in truth.at_b) or (day == DAYS[0]):
            truth.at_b.setdefault(("S0", day), "P")
    truth.spells = {(who, DAYS[n]) for who, n in step.spells}
    truth.active = set(step.active)
    for who, sex in step.sexes.items():
        if sex is None:
            truth.sexes.pop(who, None)
        else:
            truth.sexes[who] = sex
    truth.sexes.setdefault("S0", "F")


def _set(marks: Marks, key: tuple[str, date], code: str | None) -> None:
    if code is not None:
        marks[key] = code
    elif key[0] != "S0":
        marks.pop(key, None)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps())
@example(
    [
        Step(0, 9, {("S1", 3): "A"}, {("S1", 3): "A"}, frozenset({("S1", 0)}), frozenset({"S1", "S2"}), {"S1": "F"}),
        # A window inside the first: a deletion, a correction and a late row; a leaver; a sex corrected.
        Step(
            *(2, 4, {("S1", 3): None, ("S2", 3): "T", ("S0", 4): "A"}, {("S1", 3): "P", ("S2", 9): "A"}),
            *(frozenset({("S2", 5)}), frozenset({"S2"}), {"S1": "M"}),
        ),
        # The leaver is back, who had stayed is gone, so are a known sex and a mark in a day's file.
        Step(8, 9, {("S1", 8): "A"}, {("S2", 9): None}, frozenset({("S1", 0)}), frozenset({"S1"}), {"S1": None}),
    ]
)
def test_many_small_loads_are_one_load_of_everything(compiled: Compiled, history: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        many, once = District(Path(folder) / "many"), District(Path(folder) / "once")
        truth, expected = Truth(), Expected()
        for step, night in zip(history, NIGHTS, strict=False):
            before_a, before_b = dict(truth.at_a), dict(truth.at_b)
            _apply(truth, step)
            expected.note(truth, before_a, before_b, night)
            many.send(truth, DAYS[step.lo], DAYS[step.hi])
            landing = many.land(night)
        once.send(truth, DAYS[0], DAYS[-1])
        last = NIGHTS[len(history) - 1]
        bit_by_bit = many.typed(landing, last, compiled)
        at_once = once.typed(once.land(last), last, compiled)
        assert bit_by_bit["marks"] == at_once["marks"]
        assert bit_by_bit["marks"] == {
            (KEYS[who], school, day, CODES[code])
            for school, marks in (("A", truth.at_a), ("B", truth.at_b))
            for (who, day), code in marks.items()
        }
        deleted = {row for row in bit_by_bit["spells"] if row[1] == "A"}
        assert deleted == {row for row in at_once["spells"] if row[1] == "A"}
        assert bit_by_bit["spells"] - deleted == expected.active_spells()
        assert bit_by_bit["changes"] == expected.changes
        assert at_once["changes"] == set()
        assert bit_by_bit["sexes"] == expected.spans()
