"""The sample district: same bytes for a seed, plausible, with its gaps and faults where truth.json says."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from pipelines.config import Settings
from pipelines.contract import CROSSWALK_VALUES, ENTITIES
from pipelines.sample_district import DEFAULT_END, FAULTS, SampleSummary, attendance, calendars, generate, schools
from pipelines.sample_district.faults import choose_schools
from pipelines.sample_district.plan import Plan

Make = Callable[..., Path]

#: Faults in files of their own, planted together where a test needs one of them.
PEOPLE_FAULTS = ("race_missing_at_school", "group_silent_in_survey", "leavers_dropped")
EVENT_FAULTS = ("zero_incidents_school", "file_twice", "unknown_code")


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A sample district for these arguments, made once for all tests of the module."""
    made: dict[str, Path] = {}

    def once(
        students: int = 500, years: int = 2, seed: int = 11, end: date | None = None, plant: tuple[str, ...] = ()
    ) -> Path:
        key = f"{students}-{years}-{seed}-{end}-{plant}"
        if key not in made:
            made[key] = tmp_path_factory.mktemp("sample")
            generate(students, years, seed, made[key], end, plant=plant)
        return made[key]

    return once


def truth(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "truth.json").read_text(encoding="utf-8"))
    return found


def settings(out: Path) -> Settings:
    return Settings.model_validate(yaml.safe_load((out / "district.yaml").read_text(encoding="utf-8")))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def ask(query: str, **files: Path | str) -> list[tuple[Any, ...]]:
    """Run SQL over extracts: each keyword is a view of one file or glob, all text."""
    with duckdb.connect() as connection:
        for name, path in files.items():
            connection.execute(f"CREATE VIEW {name} AS FROM read_csv('{path}', all_varchar = true)")
        return connection.execute(query).fetchall()


def one(query: str, **files: Path | str) -> Any:
    return ask(query, **files)[0][0]


def hashes(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


# The same for a seed


def test_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    plant = tuple(FAULTS)
    generate(300, 2, 3, tmp_path / "a", plant=plant, threads=1)
    generate(300, 2, 3, tmp_path / "b", plant=plant, threads=4)
    assert len(hashes(tmp_path / "a")) > 30
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


def test_same_bytes_when_a_year_is_written_in_parts(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendance, "_ROWS_AT_ONCE", 500 * 23)
    generate(500, 2, 11, tmp_path)
    assert hashes(tmp_path) == hashes(make())


def test_another_seed_is_another_district(make: Make) -> None:
    one_seed, another = hashes(make(seed=11)), hashes(make(seed=12))
    same = {
        name for name, value in one_seed.items() if another.get(name) == value and not name.startswith("crosswalks")
    }
    assert same == {".equity-sample", "extracts/survey_waves.csv"}


def test_a_later_end_adds_days_and_changes_none(make: Make) -> None:
    now, later = make(end=date(2026, 2, 27)), make(end=date(2026, 3, 27))
    for name in ("attendance_daily_2026", "attendance_exceptions_2026", "discipline_incidents", "discipline_students"):
        before = rows(now / f"extracts/{name}.csv")
        after = rows(later / f"extracts/{name}.csv")
        if "date" in before[0]:
            after = [row for row in after if row["date"] <= "2026-02-26"]
            before = [row for row in before if row["date"] <= "2026-02-26"]
        seen = {tuple(row.items()) for row in after}
        assert len(before) > 100
        assert {tuple(row.items()) for row in before} <= seen
        if "date" in before[0] and name.startswith("attendance"):
            assert len(before) == len(after)


# Size and shape


@pytest.mark.parametrize(("students", "operated"), [(200, 3), (2_000, 6), (60_000, 103), (1_000_000, 1669)])
def test_schools_grow_with_the_district(students: int, operated: int) -> None:
    built = list(schools.build(students, 5))
    assert sum(school.operated_by_district for school in built) == operated
    assert [school.pool for school in built if not school.operated_by_district] == ["placement"]
    assert len({school.name for school in built}) == len(built) == len({school.school_id for school in built})
    assert {school.every_day for school in built} == {True, False}
    assert {"elementary", "middle", "high"} <= {school.level for school in built}
    if operated >= 6:
        assert any(school.is_charter for school in built)
        assert any(school.school_type == "alternative" for school in built)


def test_calendar_has_its_sessions_and_high_schools_begin_earlier() -> None:
    days = list(calendars.build([2026], date(2026, 6, 30), {2026: [7, 20]}))
    sessions = defaultdict(list)
    for day in days:
        assert day.day.weekday() < 5
        if day.day_no:
            sessions[day.calendar].append(day.day)
    assert {name: len(found) for name, found in sessions.items()} == {
        "elementary_middle": 180,
        "high": 180,
        "charter": 185,
        "placement": 180,
    }
    assert min(sessions["high"]) == date(2025, 8, 18) == calendars.earliest_first_day(2026)
    assert min(sessions["elementary_middle"]) == date(2025, 8, 25)
    assert max(max(found) for found in sessions.values()) < date(2026, 6, 30)
    closed = {day.day: day.event for day in days if day.day_no is None}
    assert closed[date(2025, 11, 27)] == calendars.HOLIDAY
    assert closed[date(2026, 1, 13)] == calendars.WEATHER


def test_weather_after_the_end_is_not_known_yet() -> None:
    days = calendars.build([2026], date(2026, 1, 12), {2026: [7]})
    assert all(day.event != calendars.WEATHER for day in days)


@pytest.mark.parametrize(
    ("end", "last_year"),
    [(date(2026, 3, 27), 2026), (date(2026, 8, 17), 2026), (date(2026, 8, 24), 2027), (date(2026, 12, 31), 2027)],
)
def test_last_year_is_the_newest_that_has_begun(end: date, last_year: int, tmp_path: Path) -> None:
    assert Plan(500, 3, 1, end, tmp_path, ()).school_years == [last_year - 2, last_year - 1, last_year]


def test_summary_says_what_is_in_the_files(tmp_path: Path) -> None:
    summary = generate(500, 2, 11, tmp_path)
    assert isinstance(summary, SampleSummary)
    assert summary.as_of == DEFAULT_END
    assert summary.school_years == (2025, 2026)
    extracts = tmp_path / "extracts"
    assert summary.students == len(rows(extracts / "students.csv"))
    assert summary.schools == len(rows(extracts / "schools.csv")) == 4
    assert summary.enrollments == len(rows(extracts / "enrollment.csv"))
    assert summary.attendance_rows == one(
        "SELECT (SELECT count(*) FROM daily) + (SELECT count(*) FROM exceptions)",
        daily=extracts / "attendance_daily_*.csv",
        exceptions=extracts / "attendance_exceptions_*.csv",
    )
    assert summary.district_file.is_file()
    assert summary.truth_file.is_file()


@pytest.mark.parametrize("students", [200, 2_000])
def test_about_as_many_students_as_asked_on_any_day(make: Make, students: int) -> None:
    out = make(students=students)
    for day in ("2024-10-01", "2025-04-01", "2025-10-01", "2026-03-20"):
        enrolled = one(
            f"""SELECT count(DISTINCT student_id) FROM enrollment
            WHERE entry_date <= '{day}' AND coalesce(exit_date, '9999') >= '{day}'""",
            enrollment=out / "extracts/enrollment.csv",
        )
        assert 0.96 * students <= enrolled <= 1.02 * students


# The district file


def test_every_map_fits_the_contract_and_the_file(make: Make) -> None:
    out = make()
    fed = set()
    for source in settings(out).sources.values():
        found = [path for pattern in source.files for path in sorted(out.glob(pattern))]
        assert found
        for entity, entity_map in source.entities.items():
            fed.add(entity)
            contract = ENTITIES[entity].by_name
            assert set(entity_map.columns) <= set(contract)
            assert {column.name for column in contract.values() if column.required} <= set(entity_map.columns)
            for path in found:
                header = path.read_text(encoding="utf-8").splitlines()[0].split(",")
                assert {column for column in entity_map.columns.values() if isinstance(column, str)} <= set(header)
    not_made = {"student_identifier", "bell_schedule", "school_succession", "state_report", "survey_questionnaire"}
    assert fed == set(ENTITIES) - not_made - {"program_participation", "intervention"}


def test_every_code_sent_has_a_crosswalk_and_every_value_exists(make: Make) -> None:
    out = make()
    known: dict[str, set[str]] = defaultdict(set)
    for path in (out / "crosswalks").glob("*.csv"):
        for row in rows(path):
            assert row["value"] in CROSSWALK_VALUES[row["crosswalk"]]
            known[row["crosswalk"]].add(row["code"])
    for source in settings(out).sources.values():
        for entity, entity_map in source.entities.items():
            for column, file_column in entity_map.columns.items():
                crosswalk = ENTITIES[entity].by_name[column].crosswalk
                if crosswalk:
                    cells = ask(
                        f"SELECT DISTINCT unnest(string_split({file_column}, '|')) FROM f", f=out / source.files[0]
                    )
                    assert {cell for (cell,) in cells if cell} <= known[crosswalk]


def test_keys_are_unique(make: Make) -> None:
    out = make()
    for source in settings(out).sources.values():
        for entity, entity_map in source.entities.items():
            key = [column for column in ENTITIES[entity].key if column in entity_map.columns]
            doubled = ask(f"SELECT {', '.join(key)} FROM f GROUP BY ALL HAVING count(*) > 1", f=out / source.files[0])
            assert doubled == []


def test_names_are_in_one_column_that_no_map_names(make: Make) -> None:
    out = make()
    names = {row["student_name"] for row in rows(out / "extracts/students.csv")}
    assert len(names) == len(rows(out / "extracts/students.csv"))
    for source in settings(out).sources.values():
        assert all("student_name" not in entity_map.columns.values() for entity_map in source.entities.values())
    for path in (out / "extracts").glob("*.csv"):
        if path.name != "students.csv":
            assert "Invented Student" not in path.read_text(encoding="utf-8")


def test_truth_holds_no_student(make: Make) -> None:
    out = make()
    text = (out / "truth.json").read_text(encoding="utf-8")
    assert not any(f'"{row["student_id"]}"' in text for row in rows(out / "extracts/students.csv"))


# People


def test_students_rise_leave_arrive_move_and_are_placed(make: Make) -> None:
    out = make(students=2_000)
    enrollment = out / "extracts/enrollment.csv"
    kinds = dict(ask("SELECT enrollment_type, count(*) FROM e GROUP BY 1", e=enrollment))
    assert kinds["PLACED"] >= 3
    assert kinds["HALF"] >= 3
    exits = dict(ask("SELECT exit_type, count(DISTINCT student_id) FROM e GROUP BY 1", e=enrollment))
    assert 40 <= exits["moved within district"] <= 260
    assert exits["left district"] >= 100
    assert exits["graduated"] >= 50
    assert exits["withdrew"] >= 1
    risen = ask(
        """SELECT DISTINCT CAST(replace(b.grade, 'KG', '0') AS INTEGER) - CAST(replace(a.grade, 'KG', '0') AS INTEGER)
        FROM e AS a JOIN e AS b USING (student_id)
        WHERE a.entry_date < '2025-07-01' AND b.entry_date > '2025-07-01'""",
        e=enrollment,
    )
    assert risen == [(1,)]
    newcomers = one(
        """SELECT count(*) FROM (SELECT student_id FROM e WHERE grade <> 'KG' GROUP BY 1
        HAVING min(entry_date) > '2025-07-01')""",
        e=enrollment,
    )
    assert newcomers >= 60


def test_stays_do_not_overlap_but_for_half_days(make: Make) -> None:
    assert (
        one(
            """SELECT count(*) FROM e AS a JOIN e AS b
            ON a.student_id = b.student_id AND (a.school_id, a.entry_date) < (b.school_id, b.entry_date)
            AND a.entry_date <= coalesce(b.exit_date, '9999') AND b.entry_date <= coalesce(a.exit_date, '9999')
            WHERE a.share_of_day = '1' OR b.share_of_day = '1'""",
            e=make(students=2_000) / "extracts/enrollment.csv",
        )
        == 0
    )


def test_demographic_spans_join_up_and_change_within_the_year(make: Make) -> None:
    path = make(students=2_000) / "extracts/demographics.csv"
    broken = one(
        """SELECT count(*) FROM (
            SELECT end_date, lead(start_date) OVER (PARTITION BY student_id ORDER BY start_date) AS following FROM d
        ) WHERE CAST(end_date AS DATE) + 1 IS DISTINCT FROM CAST(following AS DATE)""",
        d=path,
    )
    assert broken == 0
    changed = one(
        """SELECT count(*) FROM d AS a JOIN d AS b
        ON a.student_id = b.student_id AND CAST(a.end_date AS DATE) + 1 = CAST(b.start_date AS DATE)
        WHERE a.language = 'EL' AND b.language = 'RFEP'""",
        d=path,
    )
    assert changed >= 5
    assert one("SELECT count(*) FROM d AS a JOIN d AS b USING (student_id) WHERE a.sex <> b.sex", d=path) == 0


def test_races_are_several_and_schools_differ(make: Make) -> None:
    out = make(students=4_000, years=1)
    extracts = out / "extracts"
    cells = dict(ask("SELECT races, count(*) FROM d GROUP BY 1", d=extracts / "demographics.csv"))
    assert any("|" in (cell or "") for cell in cells)
    assert None in cells
    assert set(dict(ask("SELECT sex, count(*) FROM d GROUP BY 1", d=extracts / "demographics.csv"))) == {
        "F",
        "M",
        "X",
        None,
    }
    shares = ask(
        """SELECT avg(CAST(races = 'W' AND hispanic_latino = 'N' AS INTEGER)) FROM e
        JOIN (SELECT student_id, any_value(races) AS races,
            any_value(hispanic_latino) AS hispanic_latino FROM d GROUP BY 1)
        USING (student_id) JOIN s USING (school_id) WHERE level = 'elementary' GROUP BY school_id""",
        e=extracts / "enrollment.csv",
        d=extracts / "demographics.csv",
        s=extracts / "schools.csv",
    )
    assert max(shares)[0] - min(shares)[0] > 0.2


# Plausible figures


def test_rates_are_where_published_ones_are(make: Make) -> None:
    found = truth(make(students=4_000, years=1, end=date(2026, 6, 12)))
    groups = found["realised"]["2026"]

    def share(group: str, numerator: str, denominator: str) -> float:
        counted: dict[str, int] = groups[group]
        return counted[numerator] / counted[denominator]

    black, white = "race_ethnicity:black", "race_ethnicity:white"
    assert 0.92 < 1 - share("all", "hundredths_of_days_missed", "days_enrolled") / 100 < 0.95
    assert 0.15 < share("all", "chronic_student", "students_10_days") < 0.25
    assert share("economic:disadvantaged", "chronic_student", "students_10_days") > 1.3 * share(
        "economic:not_disadvantaged", "chronic_student", "students_10_days"
    )
    assert share(black, "chronic_student", "students_10_days") > share(white, "chronic_student", "students_10_days")
    assert 0.05 < share("all", "students_suspended", "students_at_suspension") < 0.09
    ratio = share(black, "students_suspended", "students_at_suspension") / share(
        white, "students_suspended", "students_at_suspension"
    )
    assert 1.8 < ratio < 3.6
    assert 0.65 < share("all", "responded", "invited") < 0.80
    assert share("language:english_learner", "responded", "invited") < share("all", "responded", "invited")
    assert share(white, "answers_favorable", "answers") > share(black, "answers_favorable", "answers") + 0.03
    for group in ("all", white, black, "economic:disadvantaged"):
        planted = found["planted"]["2026"][group]
        assert abs(share(group, "days_absent", "days_enrolled") - planted["absence"]) < 0.012
        assert abs(share(group, "responded", "invited") - planted["survey_response"]) < 0.04
        assert abs(share(group, "answers_favorable", "answers") - planted["favorable"]) < 0.04
        assert (
            abs(share(group, "students_suspended", "students_at_suspension") - planted["suspension_in_a_full_year"])
            < 0.035
        )


def test_every_category_adds_up(make: Make) -> None:
    for groups in truth(make())["realised"].values():
        for measure, everyone in groups["all"].items():
            for category in ("race_ethnicity", "sex", "economic", "language", "disability"):
                parts = [
                    counted.get(measure, 0) for group, counted in groups.items() if group.startswith(f"{category}:")
                ]
                assert sum(parts) == everyone, (measure, category)


def test_subjective_and_objective_behaviors_both_occur(make: Make) -> None:
    out = make(students=2_000)
    kind = {row["code"]: row["value"] for row in rows(out / "crosswalks/behavior.csv")}
    counted: dict[str, int] = defaultdict(int)
    for row in rows(out / "extracts/discipline_incidents.csv"):
        counted[kind.get(row["behavior"], "unknown")] += 1
    assert counted["subjective"] > 100
    assert counted["objective"] > 100


def test_days_of_suspension_are_marked_in_attendance(make: Make) -> None:
    extracts = make(students=2_000) / "extracts"
    files = {
        "daily": extracts / "attendance_daily_*.csv",
        "exceptions": extracts / "attendance_exceptions_*.csv",
        "actions": extracts / "discipline_actions.csv",
    }
    marks = """(SELECT student_id, school_id, date FROM daily WHERE category = 'SU'
        UNION ALL SELECT student_id, school_id, date FROM exceptions WHERE category = 'SU')"""
    assert one(f"SELECT count(*) FROM {marks}", **files) > 300
    unmarked = one(
        f"""SELECT count(*) FROM actions AS a LEFT JOIN {marks} AS m USING (student_id, school_id, date)
        WHERE a.action = 'OSS' AND m.date IS NULL""",
        **files,
    )
    assert unmarked == 0
    too_many = one(
        f"""SELECT count(*) FROM (SELECT student_id, count(*) AS days FROM {marks} GROUP BY 1) AS m
        LEFT JOIN (SELECT student_id, sum(CAST(days_planned AS INTEGER)) AS days FROM actions
            WHERE action = 'OSS' GROUP BY 1) AS a USING (student_id) WHERE m.days > coalesce(a.days, 0)""",
        **files,
    )
    assert too_many == 0


# truth.json against a recount of the files, in plain Python


class Recount:
    """Counts for one school year from the extracts alone, without the generator's tables or SQL."""

    WHOLE_DAY_MISSED = frozenset({"AE", "AU", "SU"})

    def __init__(self, out: Path, school_year: int, end: date) -> None:
        self.folder = out / "extracts"
        self.year = school_year
        self.end = end.isoformat()
        self.spans: dict[str, list[dict[str, str]]] = defaultdict(list)
        for row in rows(self.folder / "demographics.csv"):
            self.spans[row["student_id"]].append(row)
        self.sessions: dict[str, list[str]] = defaultdict(list)
        for row in rows(self.folder / "calendar.csv"):
            if row["calendar_event"] in ("Instructional day", "Early release"):
                self.sessions[row["school_id"]].append(row["date"])
        self.missed: dict[tuple[str, str, str], int] = {}
        self.sent_daily: set[tuple[str, str, str]] = set()
        for kind in ("daily", "exceptions"):
            for row in rows(self.folder / f"attendance_{kind}_{school_year}.csv"):
                key = (row["student_id"], row["school_id"], row["date"])
                fraction = {"0.5": 50, "0.25": 25, "": 0}[row["fraction_absent"]]
                self.missed[key] = 100 if row["category"] in self.WHOLE_DAY_MISSED else fraction
                if kind == "daily":
                    self.sent_daily.add(key)

    def groups(self, student: str, day: str) -> Iterator[str]:
        spans = [row for row in self.spans[student] if row["start_date"] <= day <= (row["end_date"] or "9999")]
        (span,) = spans
        races = [race for race in span["races"].split("|") if race]
        federal = {
            "W": "white",
            "B": "black",
            "A": "asian",
            "I": "american_indian_or_alaska_native",
            "P": "native_hawaiian_or_pacific_islander",
        }
        if span["hispanic_latino"] == "Y":
            race = "hispanic"
        elif not races:
            race = "unknown"
        else:
            race = federal[races[0]] if len(races) == 1 else "two_or_more"
        yield "all"
        yield f"race_ethnicity:{race}"
        yield "sex:" + {"F": "female", "M": "male", "X": "nonbinary", "": "unknown"}[span["sex"]]
        economic = {"F": "disadvantaged", "R": "disadvantaged", "N": "not_disadvantaged", "": "unknown"}
        yield "economic:" + economic[span["economic"]]
        language = {"EL": "english_learner", "": "unknown"}
        yield "language:" + language.get(span["language"], "not_english_learner")
        yield "disability:" + {"IEP": "idea", "504": "section_504", "NONE": "none"}[span["disability"]]

    def member_days(self) -> Iterator[tuple[str, str, str, int]]:
        """Student, school, date and percent of the day, for every session day of every stay."""
        first, last = f"{self.year - 1}-07-01", f"{self.year}-06-30"
        for stay in rows(self.folder / "enrollment.csv"):
            if first <= stay["entry_date"] <= last:
                final = min(stay["exit_date"] or "9999", self.end)
                for day in self.sessions[stay["school_id"]]:
                    if stay["entry_date"] <= day <= final:
                        yield stay["student_id"], stay["school_id"], day, int(float(stay["share_of_day"]) * 100)

    def count(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        at_school: dict[tuple[str, str], list[str]] = defaultdict(list)
        dates: dict[str, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
        for student, school, day, share in self.member_days():
            at_school[student, school].append(day)
            dates[student][day].append((share, self.missed.get((student, school, day), 0)))

        for (student, school), days in at_school.items():
            missed = [self.missed.get((student, school, day), 0) for day in days]
            absent = sum(value >= 50 for value in missed)
            for group in self.groups(student, max(days)):
                found[group]["student_schools"] += 1
                found[group]["student_schools_10_days"] += len(days) >= 10
                found[group]["chronic_student_school"] += len(days) >= 10 and 10 * absent >= len(days)
                found[group]["days_enrolled"] += len(days)
                found[group]["days_absent"] += absent
                found[group]["hundredths_of_days_missed"] += sum(missed)

        first_out: dict[str, str] = {}
        for action in rows(self.folder / "discipline_actions.csv"):
            if action["action"] == "OSS" and f"{self.year - 1}-07-01" <= action["date"] <= f"{self.year}-06-30":
                student = action["student_id"]
                first_out[student] = min(action["date"], first_out.get(student, "9999"))
        for student, by_date in dates.items():
            absent = sum(
                2 * sum(share * missed for share, missed in parts) >= 100 * sum(share for share, _ in parts)
                for parts in by_date.values()
            )
            for group in self.groups(student, max(by_date)):
                found[group]["students"] += 1
                found[group]["students_10_days"] += len(by_date) >= 10
                found[group]["chronic_student"] += len(by_date) >= 10 and 10 * absent >= len(by_date)
            for group in self.groups(student, first_out.get(student, max(by_date))):
                found[group]["students_at_suspension"] += 1
                found[group]["students_suspended"] += student in first_out

        opened = {row["survey_id"]: row["opened"] for row in rows(self.folder / "survey_waves.csv")}
        answers: dict[str, list[str]] = defaultdict(list)
        for row in rows(self.folder / f"survey_responses_{self.year}.csv"):
            answers[row["student_id"]].append(row["answer"])
        for row in rows(self.folder / f"survey_invitations_{self.year}.csv"):
            given = answers[row["student_id"]]
            for group in self.groups(row["student_id"], opened[row["survey_id"]]):
                found[group]["invited"] += 1
                found[group]["responded"] += bool(given)
                found[group]["answers"] += sum(answer != "NA" for answer in given)
                found[group]["answers_favorable"] += sum(answer in ("4", "5") for answer in given)
        return {group: dict(counted) for group, counted in found.items()}


@pytest.mark.parametrize("school_year", [2025, 2026])
def test_truth_equals_a_recount_of_the_files(make: Make, school_year: int) -> None:
    out = make()
    recounted = Recount(out, school_year, DEFAULT_END).count()
    said = truth(out)["realised"][str(school_year)]
    assert said["all"]["chronic_student"] > 50
    assert said["all"]["students_suspended"] > 10
    assert set(said) == set(recounted)
    for group, counted in recounted.items():
        assert {name: value for name, value in said[group].items() if value} == {
            name: value for name, value in counted.items() if value
        }


def test_daily_attendance_has_a_row_for_every_day_of_every_stay(make: Make) -> None:
    out = make()
    recount = Recount(out, 2026, DEFAULT_END)
    daily = {school for _, school, _ in recount.sent_daily}
    expected = {(student, school, day) for student, school, day, _ in recount.member_days() if school in daily}
    assert recount.sent_daily == expected
    taken = {(row["school_id"], row["date"]) for row in rows(out / "extracts/attendance_taken_2026.csv")}
    all_schools = {row["school_id"] for row in rows(out / "extracts/schools.csv")}
    assert {school for school, _ in taken} == all_schools - daily
    assert {school for school, _ in taken}
    for school in all_schools - daily:
        sessions = {day for day in recount.sessions[school] if "2025-07-01" <= day <= "2026-03-27"}
        assert {day for found, day in taken if found == school} == sessions


# Faults


def fault(out: Path, name: str) -> dict[str, Any]:
    (found,) = [entry for entry in truth(out)["faults"] if entry["fault"] == name]
    assert found["what"]
    assert found["checks_should_find"]
    return dict(found)


def sessions_until(out: Path, school: str, end: date) -> list[str]:
    return [
        row["date"]
        for row in rows(out / "extracts/calendar.csv")
        if row["school_id"] == school and row["minutes"] != "0" and row["date"] <= end.isoformat()
    ]


def test_school_stops_attendance(make: Make) -> None:
    out, whole = make(plant=("school_stops_attendance",)), make()
    school = fault(out, "school_stops_attendance")["school_id"]
    query = "SELECT school_id, max(date), count(*) FROM a GROUP BY 1 ORDER BY 1"
    stopped = {row[0]: row[1:] for row in ask(query, a=out / "extracts/attendance_daily_2026.csv")}
    before = {row[0]: row[1:] for row in ask(query, a=whole / "extracts/attendance_daily_2026.csv")}
    assert stopped[school][0] == sessions_until(out, school, DEFAULT_END)[-26]
    assert stopped[school][0] == fault(out, "school_stops_attendance")["last_day_sent"]
    assert {name: value for name, value in stopped.items() if name != school} == {
        name: value for name, value in before.items() if name != school
    }
    assert truth(out)["realised"] == truth(whole)["realised"]


def test_race_missing_at_school(make: Make) -> None:
    out = make(students=2_000, plant=PEOPLE_FAULTS)
    school = fault(out, "race_missing_at_school")["school_id"]
    shares = dict(
        ask(
            """SELECT school_id, avg(CAST(races IS NULL AS INTEGER)) FROM e
            JOIN (SELECT DISTINCT student_id, races FROM d) USING (student_id)
            WHERE exit_date IS NULL AND enrollment_type = 'HOME' GROUP BY 1""",
            e=out / "extracts/enrollment.csv",
            d=out / "extracts/demographics.csv",
        )
    )
    assert shares.pop(school) > 0.65
    assert max(shares.values()) < 0.3


def test_group_silent_in_survey(make: Make) -> None:
    out, whole = make(students=2_000, plant=PEOPLE_FAULTS), make(students=2_000)
    answered = """SELECT count(DISTINCT student_id) FROM r JOIN d USING (student_id)
        WHERE language = 'EL' AND start_date <= '2026-02-02' AND coalesce(end_date, '9999') >= '2026-02-02'"""
    for folder, is_silent in ((out, True), (whole, False)):
        files = {
            "r": folder / "extracts/survey_responses_2026.csv",
            "d": folder / "extracts/demographics.csv",
        }
        assert (one(answered, **files) == 0) is is_silent
    missing = fault(out, "group_silent_in_survey")
    assert missing["student_group_id"] == "language:english_learner"
    assert missing["students_whose_answers_are_missing"] > 20
    assert (out / "extracts/survey_responses_2025.csv").read_bytes() == (
        whole / "extracts/survey_responses_2025.csv"
    ).read_bytes()


def test_zero_incidents_school(make: Make) -> None:
    out, whole = make(plant=EVENT_FAULTS), make()
    found = fault(out, "zero_incidents_school")
    for name in ("incidents", "actions", "students"):
        query = f"SELECT count(*) FROM f SEMI JOIN i USING (incident_id) WHERE school_id = '{found['school_id']}'"
        query = query.replace("JOIN i ", "JOIN (FROM i WHERE date > '2025-07-01') AS i ")
        file = f"extracts/discipline_{name}.csv"
        incident_file = "extracts/discipline_incidents.csv"
        assert one(query, f=out / file, i=out / incident_file) == 0
        assert one(query, f=whole / file, i=whole / incident_file) >= found["incidents_not_sent"] > 0
    marked = f"SELECT count(*) FROM a WHERE category = 'SU' AND school_id = '{found['school_id']}'"
    assert one(marked, a=out / "extracts/attendance_[de]*_2026.csv") > 0


def test_file_twice(make: Make) -> None:
    out = make(plant=EVENT_FAULTS)
    first, second = (out / "extracts" / name for name in fault(out, "file_twice")["files"])
    assert first != second
    assert first.read_bytes() == second.read_bytes()
    pattern = settings(out).sources["attendance_daily"].files[0]
    assert {first, second} <= set(out.glob(pattern))


def test_corrected_file(make: Make) -> None:
    out, whole = make(plant=("corrected_file",)), make()
    found = fault(out, "corrected_file")
    name = "attendance_daily_2026.csv"
    assert (out / "extracts" / name).read_bytes() == (whole / "extracts" / name).read_bytes()
    changed = ask(
        """SELECT b.category, a.category, a.school_id, a.date FROM a FULL JOIN b USING (student_id, school_id, date)
        WHERE a.category IS DISTINCT FROM b.category""",
        a=out / found["file"],
        b=out / "extracts" / name,
    )
    assert len(changed) == found["absences_corrected_to_present"] > 20
    assert {row[0] for row in changed} == {"AE", "AU"}
    assert {row[1:3] for row in changed} == {("P", found["school_id"])}
    assert min(row[3] for row in changed) >= sessions_until(out, found["school_id"], DEFAULT_END)[-20]


def test_a_corrected_file_at_the_school_that_stops_still_corrects(make: Make) -> None:
    seed = next(seed for seed in range(100) if sum(school.every_day for school in schools.build(200, seed)) == 1)
    out = make(students=200, seed=seed, plant=("school_stops_attendance", "corrected_file"))
    stopped, found = fault(out, "school_stops_attendance"), fault(out, "corrected_file")
    assert stopped["school_id"] == found["school_id"]
    assert found["absences_corrected_to_present"] > 0
    assert one("SELECT max(date) FROM a", a=out / found["file"]) == stopped["last_day_sent"]


def test_unknown_code(make: Make) -> None:
    out = make(plant=EVENT_FAULTS)
    found = fault(out, "unknown_code")
    ((school, marked, total),) = ask(
        """SELECT school_id, count(*) FILTER (category = 'QZ') AS marked, count(*) FROM a
        GROUP BY 1 HAVING marked > 0""",
        a=out / "extracts/attendance_daily_2026.csv",
    )
    assert (school, marked) == (found["school_id"], found["rows"])
    assert 0.02 < marked / total < 0.04
    assert one("SELECT count(*) FROM a WHERE category = 'QZ'", a=out / "extracts/attendance_daily_2025.csv") == 0
    assert all(row["code"] != found["code"] for row in rows(out / "crosswalks/attendance_category.csv"))


def test_leavers_dropped(make: Make) -> None:
    out = make(students=2_000, plant=PEOPLE_FAULTS)
    found = fault(out, "leavers_dropped")
    assert settings(out).sources["enrollment"].missing_rows == "active_only"
    assert settings(make(students=2_000)).sources["enrollment"].missing_rows == "full"
    files = {"first": out / "extracts/enrollment.csv", "next": out / found["file"]}
    assert one("SELECT count(*) FROM next WHERE exit_date IS NOT NULL", **files) == 0
    assert one("SELECT count(*) FROM next ANTI JOIN first USING (student_id, school_id, entry_date)", **files) == 0
    dropped = "SELECT count(*) FROM first ANTI JOIN next USING (student_id, school_id, entry_date) WHERE exit_date IS "
    assert one(f"{dropped} NOT NULL", **files) == found["ended_stays_dropped"] > 1_000
    assert one(f"{dropped} NULL", **files) == found["stays_dropped_without_exit"] > 5


def test_malformed_file(make: Make) -> None:
    out, whole = make(plant=("malformed_file",)), make()
    path = out / "extracts" / fault(out, "malformed_file")["file"]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert {line.count(",") + 1 for line in lines[:-1]} == {4, 7, 9}
    assert lines[-1].count('"') == 1
    assert not path.read_bytes().endswith(b"\n")
    assert path.stat().st_size < 0.75 * (whole / "extracts/discipline_incidents.csv").stat().st_size
    assert sorted(name.name for name in path.parent.iterdir()) == sorted(
        name.name for name in (whole / "extracts").iterdir()
    )


def test_late_source(make: Make) -> None:
    out = make(plant=("late_source",))
    assert fault(out, "late_source")["session_days_missing"] == 15
    last = {
        school: day
        for kind in ("daily", "taken")
        for school, day in ask(
            "SELECT school_id, max(date) FROM a GROUP BY 1", a=out / f"extracts/attendance_{kind}_2026.csv"
        )
    }
    assert set(last) == {row["school_id"] for row in rows(out / "extracts/schools.csv")}
    for school, day in last.items():
        assert day == sessions_until(out, school, DEFAULT_END)[-16]
    assert one("SELECT max(date) FROM a", a=out / "extracts/attendance_exceptions_2026.csv") <= max(last.values())


def test_faults_take_schools_of_their_own(tmp_path: Path) -> None:
    plan = Plan(60_000, 1, 4, DEFAULT_END, tmp_path, tuple(FAULTS))
    struck = choose_schools(plan, list(schools.build(60_000, 4))).schools
    assert set(struck) == {
        "school_stops_attendance",
        "unknown_code",
        "corrected_file",
        "zero_incidents_school",
        "race_missing_at_school",
    }
    assert len({school.school_id for school in struck.values()}) == 5
    assert all(struck[name].every_day for name in ("school_stops_attendance", "unknown_code", "corrected_file"))


# What is refused, and what is replaced


def test_unknown_fault_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown fault no_such_fault.*school_stops_attendance.*late_source"):
        generate(200, 1, 1, tmp_path / "out", plant=("file_twice", "no_such_fault"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("students", "years"), [(199, 1), (1_000_001, 1), (200, 0), (200, 13)])
def test_numbers_out_of_range_are_refused(tmp_path: Path, students: int, years: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        generate(students, years, 1, tmp_path / "out")


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    for name in ("district.yaml", "truth.json"):
        (tmp_path / name).write_text("a real district's", encoding="utf-8")
    with pytest.raises(ValueError, match="something else"):
        generate(200, 1, 1, tmp_path)
    assert (tmp_path / "district.yaml").read_text(encoding="utf-8") == "a real district's"


def test_an_earlier_sample_is_replaced_whole(tmp_path: Path) -> None:
    out = tmp_path / "it's a district"
    generate(200, 2, 1, out, plant=("corrected_file",))
    (out / "truth.json").unlink()
    (out / ".scratch-broken-off").mkdir()
    generate(200, 1, 1, out)
    generate(200, 1, 1, tmp_path / "new")
    assert hashes(out) == hashes(tmp_path / "new")
    assert not (out / "later").exists()
    assert not list(out.glob(".scratch-*"))


def test_a_year_that_has_only_begun(tmp_path: Path) -> None:
    begun = calendars.earliest_first_day(2026) + timedelta(days=1)
    summary = generate(200, 1, 1, tmp_path, begun, plant=tuple(FAULTS))
    assert summary.school_years == (2026,)
    found = settings(tmp_path)
    assert "survey_responses" not in found.sources
    assert all(list(tmp_path.glob(source.files[0])) for source in found.sources.values())
    assert max(row["date"] for row in rows(tmp_path / "extracts/calendar.csv")) > begun.isoformat()
