"""Make a sample district, step by step, in one DuckDB file that is gone at the end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from pipelines.sample_district import (
    attendance,
    discipline,
    district_file,
    extracts,
    faults,
    people,
    schools,
    survey,
    tables,
    truth,
)
from pipelines.sample_district.plan import (
    DEFAULT_END,
    MAXIMUM_STUDENTS,
    MAXIMUM_YEARS,
    MINIMUM_STUDENTS,
    Plan,
    create_draws,
)

_MEMORY_LIMIT = "1GB"
#: Written before anything else: a folder that holds it is a sample, whole or broken off, and may be replaced.
_MARK = ".equity-sample"
_OURS = ("extracts", "crosswalks", "later", "district.yaml", "truth.json")
_SCRATCH_PREFIX = ".scratch-"


@dataclass(frozen=True)
class SampleSummary:
    """What was written. Counts are over all years, before planted faults; `as_of` is the last day with data."""

    district_file: Path
    truth_file: Path
    as_of: date
    school_years: tuple[int, ...]
    students: int
    schools: int
    enrollments: int
    attendance_rows: int
    faults: tuple[str, ...]


def generate(
    students: int,
    years: int,
    seed: int,
    out: Path,
    end: date | None = None,
    *,
    plant: Sequence[str] = (),
    threads: int | None = None,
) -> SampleSummary:
    """Write a sample district of about `students` enrolled on any day into the folder `out`.

    students: 200 to 1,000,000. years: school years up to the one that holds `end`, 1 to 12.
    end: the last day with data, DEFAULT_END when not given. plant: names from FAULTS.
    threads: threads of the engine; the files do not depend on it.
    Raises ValueError when a number or a fault is out of range, or when `out` holds something else than an
    earlier sample, which is replaced.
    """
    if not MINIMUM_STUDENTS <= students <= MAXIMUM_STUDENTS:
        raise ValueError(f"students must be {MINIMUM_STUDENTS} to {MAXIMUM_STUDENTS:,}")
    if not 1 <= years <= MAXIMUM_YEARS:
        raise ValueError(f"years must be 1 to {MAXIMUM_YEARS}")
    plan = Plan(students, years, seed, end or DEFAULT_END, out, faults.check_names(plant))
    _prepare(plan)
    with (
        tempfile.TemporaryDirectory(prefix=_SCRATCH_PREFIX, dir=out) as scratch,
        duckdb.connect(str(Path(scratch) / "sample.duckdb")) as connection,
    ):
        connection.execute(f"SET memory_limit = '{_MEMORY_LIMIT}'")
        if threads:
            connection.execute(f"SET threads = {threads}")
        counted = _fill(connection, plan)
    return SampleSummary(
        district_file=out / "district.yaml",
        truth_file=out / "truth.json",
        as_of=plan.end,
        school_years=tuple(plan.school_years),
        students=counted["students"],
        schools=counted["schools"],
        enrollments=counted["enrollments"],
        attendance_rows=counted["attendance_daily_rows"] + counted["attendance_exception_rows"],
        faults=plan.faults,
    )


def _prepare(plan: Plan) -> None:
    """Make the folders; take away an earlier sample and nothing else."""
    out = plan.out
    mark = out / _MARK
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not mark.is_file())):
        raise ValueError("the folder for the sample holds something else: name an empty or a new one")
    out.mkdir(parents=True, exist_ok=True)
    mark.touch()
    for path in (*(out / name for name in _OURS), *out.glob(f"{_SCRATCH_PREFIX}*")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    plan.extracts.mkdir()
    (out / "crosswalks").mkdir()
    if {"corrected_file", "leavers_dropped"} & set(plan.faults):
        plan.later.mkdir()


def _fill(connection: duckdb.DuckDBPyConnection, plan: Plan) -> dict[str, int]:
    create_draws(connection, plan.seed)
    all_schools = list(schools.build(plan.students, plan.seed))
    tables.load_schools(connection, all_schools)
    tables.load_calendars(connection, plan)
    people.create_person_years(connection, plan)
    people.create_persons(connection)
    people.create_spells(connection, plan, {school.pool for school in all_schools})
    people.create_demographics(connection, plan)

    discipline.create_incidents(connection)
    discipline.create_suspension_days(connection)
    discipline.create_participants(connection)
    attendance.create_rates(connection)
    attendance.create_exceptions(connection)
    survey.create(connection, plan)

    planted = faults.choose_schools(plan, all_schools)
    faults.create_sent_until(connection, plan, planted)
    faults.create_race_withheld(connection, planted)
    survey_years = survey.survey_years(plan)
    faults.note_counts(connection, plan, planted, survey_years)

    extracts.write(connection, plan)
    faults.write_daily(connection, plan, planted)
    for school_year in plan.school_years:
        attendance.write_exceptions(connection, school_year, plan.extracts)
    discipline.write(connection, plan.extracts, faults.incidents_not_sent(plan, planted))
    survey.write(connection, plan, faults.answers_not_sent(plan, survey_years))
    if "leavers_dropped" in plan.faults:
        faults.write_enrollment_without_leavers(connection, plan, planted, extracts.ENROLLMENT_COLUMNS)
    if "malformed_file" in plan.faults:
        faults.malform(plan, planted)
    district_file.write(plan, has_survey=bool(survey_years))
    return truth.write(connection, plan, planted)
