"""The public data sets, and what each should be understood as: as the districts under tests/districts map them."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.exports.truth import Truth

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def contoso() -> tuple[Path, Truth]:
    """A small system's two days: d/m/Y, an exact duplicate, attendance by class section."""
    attendance, students = "day1/studentattendance/part1.csv", "day1/students/part1.csv"
    return DATA / "oea/contoso_sis", Truth(
        {
            students: {
                "student": {"student_id": "SIS ID"},
                "student_demographic": {
                    "student_id": "SIS ID",
                    "sex": "Gender",
                    "races": "FederalRaceCategory",
                    "economic": "LowIncome",
                    "language": "ELLStatus",
                    "disability": "SpecialEducation",
                },
                "student_school_enrollment": {
                    "student_id": "SIS ID",
                    "school_id": "School SIS ID",
                    "grade": "Grade",
                    "entry_date": "TODO",
                },
            },
            attendance: {
                "attendance_event": {
                    "student_id": "student_id",
                    "school_id": "school_id",
                    "date": "attendance_date",
                    "period": "section_id",
                    "category": ["AttendanceCode", "attendance_status"],
                }
            },
        },
        {"attendance_category": {"P": "present"}},
        {attendance: {"date_formats": ["%d/%m/%Y"], "attendance_records": "every_day"}},
    )


def oea(scratch: Path) -> tuple[Path, Truth]:
    """Two systems whose ids differ, joined by a third file that holds both."""
    folder = scratch / "oea"
    for part, source in (
        ("sis", "oea/sis/batch1"),
        ("clever", "oea/clever/daily-participation/Students"),
        ("base", "oea/base_truth_tables"),
    ):
        shutil.copytree(DATA / source, folder / part)
    return folder, Truth(
        {
            "sis/studentattendance.csv": {
                "attendance_event": {
                    "student_id": "student_id",
                    "school_id": "school_id",
                    "date": "attendance_date",
                    "category": ["AttendanceCode", "attendance_status"],
                }
            },
            "clever/Students.csv": {
                "student": {"student_id": "sis_id"},
                "student_identifier": {"student_id": "sis_id", "id": "clever_user_id", "system": "=clever"},
            },
            "base/schools.csv": {"school": {"school_id": "SchoolID", "school_name": "SchoolName"}},
            "base/students.csv": {
                "student_demographic": {
                    "student_id": "StudentID",
                    "sex": "Gender",
                    "hispanic_latino": "HispanicLatino",
                    "races": "Race",
                },
                "student_school_enrollment": {
                    "student_id": "StudentID",
                    "school_id": "SchoolID",
                    "grade": "Grade",
                    "entry_date": "TODO",
                },
            },
        },
        {
            "attendance_category": {"P": "present", "A": "absent"},
            "yes_no": {"hispanicOrLatinoEthnicity": "yes"},
            "race": {"demographicRaceTwoOrMoreRaces": "two_or_more", "white": "white"},
        },
        {
            "sis/studentattendance.csv": {"attendance_records": "every_day", "missing_rows": "window"},
            "base/students.csv": {"student_system": "clever"},
        },
    )


def oneroster() -> tuple[Path, Truth]:
    """A OneRoster 1.1 bulk set: enrollments in classes, races as six booleans, every id called sourcedId."""
    return DATA / "oneroster/OneRoster_1.1_Sample_Data", Truth(
        {
            "orgs.csv": {"school": {"school_id": "sourcedId", "school_name": "name"}},
            "demographics.csv": {
                "student": {"student_id": "sourcedId"},
                "student_demographic": {
                    "student_id": "sourcedId",
                    "sex": "sex",
                    "hispanic_latino": "hispanicOrLatinoEthnicity",
                    "races": {
                        "americanIndianOrAlaskaNative": "American Indian or Alaska Native",
                        "asian": "Asian",
                        "blackOrAfricanAmerican": "Black or African American",
                        "nativeHawaiianOrOtherPacificIslander": "Native Hawaiian or Other Pacific Islander",
                        "white": "White",
                        "demographicRaceTwoOrMoreRaces": "Two or more races",
                    },
                },
            },
            "enrollments.csv": {
                "student_school_enrollment": {
                    "student_id": "userSourcedId",
                    "school_id": "schoolSourcedId",
                    "entry_date": "beginDate",
                    "exit_date": "endDate",
                }
            },
        },
    )


def survey() -> tuple[Path, Truth]:
    """A survey tool's export with a column a question; nothing in it names the wave."""
    wave = dict.fromkeys(("survey_name", "universe", "opened", "closed", "is_anonymous"), "TODO")
    return DATA / "survey_dataedu", Truth(
        {
            "s12-pre-survey.csv": {
                "survey": {"survey_id": "=s-pre-survey", **wave},
                "survey_response": {
                    "survey_id": "=s-pre-survey",
                    "response_id": "RespondentId",
                    "student_id": "opdata_username",
                    "submitted": "CompletedDate",
                    "item_id": "item",
                    "answer": "answer",
                    "construct": "TODO",
                },
            }
        },
        settings={"s12-pre-survey.csv": {"date_formats": ["%Y.%m.%d %H:%M"], "missing_rows": "append"}},
    )


def state_reports(name: str) -> tuple[Path, Truth]:
    """Counts by district and group: nothing of the contract, and said so."""
    return DATA / name, Truth({})


def edfi_xml() -> tuple[Path, Truth]:
    """Ed-Fi interchange files, which say by themselves what they hold."""
    return DATA / "edfi_xml_daybreak", Truth(
        {
            "InterchangeEducationOrganization.xml": {"school": {}},
            "InterchangeEducationOrgCalendar.xml": {"calendar_date": {}},
            "InterchangeStudent.xml": {"student": {}, "student_demographic": {}},
            "InterchangeStudentEnrollment.xml": {"student_school_enrollment": {}},
            "InterchangeStudentProgram.xml": {"program_participation": {}},
            "InterchangeAttendance.xml": {"attendance_event": {}},
            "InterchangeStudentDiscipline.xml": {
                "discipline_incident": {},
                "discipline_incident_student": {},
                "discipline_action": {},
            },
        },
        settings={"InterchangeAttendance.xml": {"attendance_records": "every_day"}},
    )


def edfi_api() -> tuple[Path, Truth]:
    """Lines of JSON as an Ed-Fi API returned them, in folders by day."""
    folder = DATA / "oea/edfi_api"

    def first(resource: str) -> str:
        files = sorted((folder / resource / "incremental/upserts").rglob("*.json"))
        return files[0].relative_to(folder).as_posix()

    return folder, Truth(
        {
            first("schools"): {
                "school": {
                    "school_id": "schoolId",
                    "school_name": "nameOfInstitution",
                    "school_type": "schoolTypeDescriptor",
                }
            },
            first("studentSchoolAssociations"): {
                "student": {"student_id": "studentReference.studentUniqueId"},
                "student_school_enrollment": {
                    "student_id": "studentReference.studentUniqueId",
                    "school_id": "schoolReference.schoolId",
                    "entry_date": "entryDate",
                    "exit_date": "exitWithdrawDate",
                    "grade": "entryGradeLevelDescriptor",
                },
            },
        },
    )


def shapes(scratch: Path) -> dict[str, tuple[Path, Truth]]:
    """Every public data set as a shape; empty where the data are not there."""
    if not DATA.is_dir():
        return {}
    return {
        "oea contoso_sis": contoso(),
        "oea batch1, clever, truth tables": oea(scratch),
        "OneRoster 1.1": oneroster(),
        "survey_dataedu": survey(),
        "ct_edsight (state report)": state_reports("ct_edsight"),
        "tx_tapr (state report)": state_reports("tx_tapr"),
        "Ed-Fi XML daybreak": edfi_xml(),
        "Ed-Fi API JSON": edfi_api(),
    }
