"""`district.yaml` and the crosswalks of the sample district."""

from __future__ import annotations

import csv

import yaml

from pipelines.sample_district import calendars, discipline
from pipelines.sample_district.plan import Plan

_HEADER = """\
# A made-up district of {students:,} students, generated with seed {seed}. Nobody in it exists.
# Each source maps the file's columns (right) to the input contract's (left).
"""

#: Extracts by source: files, what a missing row means, rhythm, entity, columns and what else is set.
_SOURCES: tuple[tuple[str, str, str, str, str, str, dict[str, object]], ...] = (
    (
        "schools",
        "schools.csv",
        "full",
        "year",
        "school",
        "school_id school_name level school_type is_charter operated_by_district opened closed",
        {},
    ),
    ("calendar", "calendar.csv", "full", "year", "calendar_date", "school_id date calendar_event minutes", {}),
    ("students", "students.csv", "full", "school_days", "student", "student_id", {}),
    (
        "demographics",
        "demographics.csv",
        "full",
        "school_days",
        "student_demographic",
        "student_id start_date end_date sex hispanic_latino races economic language disability",
        {},
    ),
    (
        "enrollment",
        "enrollment.csv",
        "full",
        "school_days",
        "student_school_enrollment",
        "student_id school_id entry_date exit_date grade enrollment_type share_of_day responsible_school_id exit_type",
        {},
    ),
    (
        "attendance_daily",
        "attendance_daily_*.csv",
        "window",
        "school_days",
        "attendance_event",
        "student_id school_id date category fraction_absent",
        {"attendance_records": "every_day"},
    ),
    (
        "attendance_exceptions",
        "attendance_exceptions_*.csv",
        "window",
        "school_days",
        "attendance_event",
        "student_id school_id date category fraction_absent",
        {"attendance_records": "exceptions"},
    ),
    (
        "attendance_taken",
        "attendance_taken_*.csv",
        "window",
        "school_days",
        "attendance_taken",
        "school_id date",
        {},
    ),
    (
        "discipline_incidents",
        "discipline_incidents.csv",
        "full",
        "weekly",
        "discipline_incident",
        "incident_id school_id date time behavior location reporter_role",
        {"required": False},
    ),
    (
        "discipline_students",
        "discipline_students.csv",
        "full",
        "weekly",
        "discipline_incident_student",
        "incident_id school_id student_id participation behavior",
        {"required": False},
    ),
    (
        "discipline_actions",
        "discipline_actions.csv",
        "full",
        "weekly",
        "discipline_action",
        "action_id incident_id student_id school_id date action days_planned days_actual",
        {"required": False},
    ),
    (
        "survey_waves",
        "survey_waves.csv",
        "append",
        "once",
        "survey",
        "survey_id survey_name universe opened closed is_anonymous",
        {"required": False},
    ),
    (
        "survey_invitations",
        "survey_invitations_*.csv",
        "append",
        "once",
        "survey_invitation",
        "survey_id student_id school_id",
        {"required": False},
    ),
    (
        "survey_responses",
        "survey_responses_*.csv",
        "append",
        "once",
        "survey_response",
        "survey_id response_id student_id school_id submitted item_id construct answer",
        {"required": False},
    ),
)

#: Every code that the extracts hold, by crosswalk.
CROSSWALKS: dict[str, dict[str, str]] = {
    "school_level": {value: value for value in ("elementary", "middle", "high", "combined")},
    "yes_no": {"Y": "yes", "N": "no"},
    "sex": {"F": "female", "M": "male", "X": "nonbinary"},
    "race": {
        "I": "american_indian_or_alaska_native",
        "A": "asian",
        "B": "black",
        "P": "native_hawaiian_or_pacific_islander",
        "W": "white",
    },
    "economic": {"F": "disadvantaged", "R": "disadvantaged", "N": "not_disadvantaged"},
    "language": {"EL": "english_learner", "RFEP": "not_english_learner", "EO": "not_english_learner"},
    "disability": {"IEP": "idea", "504": "section_504", "NONE": "none"},
    "grade": {"KG": "kg"} | {f"{grade:02d}": f"{grade:02d}" for grade in range(1, 13)},
    "enrollment_type": {"HOME": "home", "PLACED": "placement", "HALF": "concurrent"},
    "calendar_event": {
        calendars.SESSION: "session",
        calendars.EARLY_RELEASE: "session",
        calendars.HOLIDAY: "not_in_session",
        calendars.TEACHERS_ONLY: "not_in_session",
        calendars.WEATHER: "not_in_session",
    },
    "attendance_category": {
        "P": "present",
        "T": "tardy",
        "PA": "partial",
        "HD": "partial",
        "AE": "absent_excused",
        "AU": "absent_unexcused",
        "SU": "absent_suspension",
    },
    "behavior": dict.fromkeys(discipline.SUBJECTIVE_BEHAVIORS, "subjective")
    | dict.fromkeys(discipline.OBJECTIVE_BEHAVIORS, "objective"),
    "participation": {
        "Perpetrator": "perpetrator",
        "Victim": "victim",
        "Witness": "witness",
        "Reporter": "reporter",
    },
    "discipline_action": {
        "OSS": "out_of_school_suspension",
        "ISS": "in_school_suspension",
        "EXP": "expulsion",
        "LEO": "law_enforcement_referral",
        "ARR": "school_related_arrest",
        "DET": "other",
        "CNF": "other",
    },
    "survey_universe": {"student": "student"},
    "survey_answer": {
        "5": "favorable",
        "4": "favorable",
        "3": "neutral",
        "2": "unfavorable",
        "1": "unfavorable",
        "NA": "not_applicable",
    },
}

_NOTES = {
    "HD": "half the day missed",
    "PA": "a quarter of the day missed",
    "DEF": "defiance",
    "DSR": "disrespect",
    "DSB": "disruption",
    "LNG": "inappropriate language",
    "FGT": "fighting",
    "SKP": "leaving class or school",
    "VAP": "tobacco or vapor product",
    "THF": "theft",
    "VAN": "vandalism",
    "DRG": "drugs or alcohol",
    "WPN": "weapon",
    "DET": "detention",
    "CNF": "conference",
}


def write(plan: Plan, has_survey: bool) -> None:
    """Write district.yaml and one crosswalk file for each kind of code."""
    sources: dict[str, object] = {}
    for name, files, missing_rows, expected, entity, columns, more in _SOURCES:
        if name.startswith(("survey_invitations", "survey_responses")) and not has_survey:
            continue
        is_active_only = name == "enrollment" and "leavers_dropped" in plan.faults
        sources[name] = {
            "kind": "delimited",
            "files": [f"extracts/{files}"],
            "missing_rows": "active_only" if is_active_only else missing_rows,
            "expected": expected,
            **more,
            "entities": {entity: {"columns": {column: column for column in columns.split()}}},
        }
    settings = {
        "district": {
            "id": "sample",
            "name": "Sample District",
            "contact": "data-office@district.example",
            "time_zone": "America/Chicago",
        },
        "sources": sources,
        "student_groups": {"intersections": [["disability", "race_ethnicity"]]},
    }
    text = yaml.safe_dump(settings, sort_keys=False, width=120, default_flow_style=False)
    header = _HEADER.format(students=plan.students, seed=plan.seed)
    (plan.out / "district.yaml").write_text(f"{header}{text}", encoding="utf-8")

    folder = plan.out / "crosswalks"
    for crosswalk, codes in CROSSWALKS.items():
        with (folder / f"{crosswalk}.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(("crosswalk", "code", "value", "note"))
            rows.writerows((crosswalk, code, value, _NOTES.get(code, "")) for code, value in codes.items())
