# ruff: noqa: RUF005 - a row is written in the lines in which it is read
"""Three exports that nothing was ever tuned on: written last, measured once, reported as they came out.

A state's element names with coded values, a system whose tables prefix every field, and a survey tool beside a
roster report with a banner and a total. Whoever tunes on one of them moves it to `others` and writes a new one.
"""

from __future__ import annotations

import csv
from pathlib import Path

from tests.exports.systems import us, write
from tests.exports.truth import Truth
from tests.exports.world import RACES, World


def state_elements(world: World, folder: Path) -> Truth:
    """Element names with dashes, races and statuses as 0 and 1, days as eight digits."""
    flags = ["AMERICAN-INDIAN-ALASKA-NATIVE-CODE", "ASIAN-CODE", "BLACK-AFRICAN-AMERICAN-CODE"]
    flags += ["NATIVE-HAWAIIAN-PACIFIC-ISLANDER-CODE", "WHITE-CODE"]
    write(
        folder / "student_extract.csv",
        ["TX-UNIQUE-STUDENT-ID", "LOCAL-STUDENT-ID", "FIRST-NAME", "LAST-NAME", "DATE-OF-BIRTH", "SEX-CODE"]
        + ["GRADE-LEVEL-CODE", "CAMPUS-ID-OF-ENROLLMENT", "HISPANIC-LATINO-CODE", *flags]
        + ["ECONOMIC-DISADVANTAGE-CODE", "EMERGENT-BILINGUAL-INDICATOR-CODE", "SPECIAL-ED-INDICATOR-CODE"]
        + ["CAMPUS-ENROLLMENT-BEGIN-DATE", "CAMPUS-ENROLLMENT-END-DATE"],
        (
            [s.state, s.number, s.first, s.last, f"{s.born:%Y%m%d}", s.sex[0].upper(), s.grade, s.school.number]
            + [int(s.hispanic), *(int(race in s.races) for race in RACES)]
            + [{"free": "01", "reduced": "02", "paid": "00"}[s.economic], int(s.learner), int(s.disability == "idea")]
            + [f"{s.entered:%Y%m%d}", f"{s.left:%Y%m%d}" if s.left else ""]
            for s in world.students
        ),
    )
    action = {"oss": "05", "iss": "06", "detention": "50", "conference": "51"}
    reason = {"fighting": "41", "disrespect": "21", "tobacco": "33", "skipping": "22"}
    write(
        folder / "disciplinary_actions.csv",
        ["DISCIPLINARY-INCIDENT-NUMBER", "LOCAL-STUDENT-ID", "CAMPUS-ID-OF-DISCIPLINARY-RESPONSIBILITY"]
        + ["DISCIPLINARY-ACTION-NUMBER", "DISCIPLINARY-ACTION-CODE", "DISCIPLINARY-ACTION-REASON-CODE"]
        + ["DATE-OF-DISCIPLINARY-ACTION", "OFFICIAL-LENGTH-OF-DISCIPLINARY-ASSIGNMENT"]
        + ["ACTUAL-LENGTH-OF-DISCIPLINARY-ASSIGNMENT"],
        (
            [i.number, a[1].number, i.school.number, a[0], action[a[2]], reason[i.behavior], f"{i.day:%Y%m%d}"]
            + [a[3], a[3]]
            for i in world.incidents
            for a in i.actions
        ),
    )
    student = "LOCAL-STUDENT-ID"
    races = ["American Indian or Alaska Native", "Asian", "Black or African American"]
    races += ["Native Hawaiian or Other Pacific Islander", "White"]
    return Truth(
        {
            "student_extract.csv": {
                "student": {"student_id": student},
                "student_demographic": {
                    "student_id": student,
                    "sex": "SEX-CODE",
                    "hispanic_latino": "HISPANIC-LATINO-CODE",
                    "races": dict(zip(flags, races, strict=True)),
                    "economic": "ECONOMIC-DISADVANTAGE-CODE",
                    "language": "EMERGENT-BILINGUAL-INDICATOR-CODE",
                    "disability": "SPECIAL-ED-INDICATOR-CODE",
                },
                "student_school_enrollment": {
                    "student_id": student,
                    "school_id": "CAMPUS-ID-OF-ENROLLMENT",
                    "entry_date": "CAMPUS-ENROLLMENT-BEGIN-DATE",
                    "exit_date": "CAMPUS-ENROLLMENT-END-DATE",
                    "grade": "GRADE-LEVEL-CODE",
                },
            },
            "disciplinary_actions.csv": {
                "discipline_incident_student": {
                    "incident_id": "DISCIPLINARY-INCIDENT-NUMBER",
                    "school_id": "CAMPUS-ID-OF-DISCIPLINARY-RESPONSIBILITY",
                    "student_id": student,
                    "behavior": "DISCIPLINARY-ACTION-REASON-CODE",
                },
                "discipline_action": {
                    "action_id": "DISCIPLINARY-ACTION-NUMBER",
                    "incident_id": "DISCIPLINARY-INCIDENT-NUMBER",
                    "student_id": student,
                    "school_id": "CAMPUS-ID-OF-DISCIPLINARY-RESPONSIBILITY",
                    "date": "DATE-OF-DISCIPLINARY-ACTION",
                    "action": "DISCIPLINARY-ACTION-CODE",
                    "days_planned": "OFFICIAL-LENGTH-OF-DISCIPLINARY-ASSIGNMENT",
                    "days_actual": "ACTUAL-LENGTH-OF-DISCIPLINARY-ASSIGNMENT",
                },
            },
        },
        {
            "economic": {"00": "not_disadvantaged", "01": "disadvantaged", "02": "disadvantaged"},
            "disability": {"1": "idea", "0": "none"},
            "discipline_action": {"05": "out_of_school_suspension", "06": "in_school_suspension"},
        },
        {"student_extract.csv": {"date_formats": ["%Y%m%d"], "missing_rows": "full"}},
    )


def coded_tables(world: World, folder: Path) -> Truth:
    """Every field carries its table's prefix; races in one cell with commas; one row for an entry, one for an exit."""
    write(
        folder / "std_export.csv",
        ["STD_ID_LOCAL", "STD_ID_STATE", "PSN_NAME_LAST", "PSN_NAME_FIRST", "PSN_DOB", "PSN_GENDER_CODE"]
        + ["PSN_RACE_VIEW", "PSN_HISPANIC_LATINO_IND", "STD_GRADE_LEVEL", "SKL_SCHOOL_ID", "SKL_SCHOOL_NAME"]
        + ["STD_ENROLLMENT_START", "STD_LUNCH_ELIGIBILITY", "STD_ELL_STATUS", "STD_SPED_STATUS"],
        (
            [s.number, s.state, s.last, s.first, us(s.born), s.sex[0].upper()]
            + [
                ", ".join(
                    {"white": "White", "black": "Black or African American", "asian": "Asian"}.get(r, "Other")
                    for r in s.races
                )
            ]
            + ["Y" if s.hispanic else "N", s.grade, s.school.number, s.school.name, us(s.entered)]
            + [s.economic.title(), "Yes" if s.learner else "No", "Active" if s.disability == "idea" else ""]
            for s in world.students
        ),
    )
    view = {
        "absent_excused": "A-E",
        "absent_unexcused": "A",
        "tardy": "T",
        "absent_suspension": "A-OSS",
    }
    write(
        folder / "att_export.csv",
        ["STD_ID_LOCAL", "SKL_SCHOOL_ID", "ATT_DATE", "ATT_CODE_VIEW", "ATT_ABSENT_IND", "ATT_TARDY_IND"]
        + ["ATT_EXCUSED_IND", "ATT_PORTION_ABSENT"],
        (
            [m.student.number, m.student.school.number, us(m.day), view[m.kind], int(m.kind != "tardy")]
            + [int(m.kind == "tardy"), int(m.kind == "absent_excused"), "0.0" if m.kind == "tardy" else "1.0"]
            for m in world.marks
        ),
    )
    action = {"oss": "Susp-Out", "iss": "Susp-In", "detention": "Detention", "conference": "Parent meeting"}
    write(
        folder / "cnd_export.csv",
        ["CND_INCIDENT_ID", "CND_INCIDENT_DATE", "CND_INCIDENT_CODE", "CND_INCIDENT_LOCATION", "STD_ID_LOCAL"]
        + ["SKL_SCHOOL_ID", "ACT_OID", "ACT_ACTION_CODE", "ACT_ACTION_START_DATE", "ACT_PENALTY_DAYS"],
        (
            [i.number, us(i.day), i.behavior.title(), i.place, a[1].number, i.school.number, f"ACT{a[0]}", action[a[2]]]
            + [us(i.day), a[3]]
            for i in world.incidents
            for a in i.actions
        ),
    )
    student, school = "STD_ID_LOCAL", "SKL_SCHOOL_ID"
    return Truth(
        {
            "std_export.csv": {
                "school": {"school_id": school, "school_name": "SKL_SCHOOL_NAME"},
                "student": {"student_id": student},
                "student_demographic": {
                    "student_id": student,
                    "sex": "PSN_GENDER_CODE",
                    "hispanic_latino": "PSN_HISPANIC_LATINO_IND",
                    "races": "PSN_RACE_VIEW",
                    "economic": "STD_LUNCH_ELIGIBILITY",
                    "language": "STD_ELL_STATUS",
                    "disability": "STD_SPED_STATUS",
                },
                "student_school_enrollment": {
                    "student_id": student,
                    "school_id": school,
                    "entry_date": "STD_ENROLLMENT_START",
                    "grade": "STD_GRADE_LEVEL",
                },
            },
            "att_export.csv": {
                "attendance_event": {
                    "student_id": student,
                    "school_id": school,
                    "date": "ATT_DATE",
                    "category": "ATT_CODE_VIEW",
                    "fraction_absent": "ATT_PORTION_ABSENT",
                }
            },
            "cnd_export.csv": {
                "discipline_incident": {
                    "incident_id": "CND_INCIDENT_ID",
                    "school_id": school,
                    "date": "CND_INCIDENT_DATE",
                    "behavior": "CND_INCIDENT_CODE",
                    "location": "CND_INCIDENT_LOCATION",
                },
                "discipline_incident_student": {
                    "incident_id": "CND_INCIDENT_ID",
                    "school_id": school,
                    "student_id": student,
                    "behavior": "CND_INCIDENT_CODE",
                },
                "discipline_action": {
                    "action_id": "ACT_OID",
                    "incident_id": "CND_INCIDENT_ID",
                    "student_id": student,
                    "school_id": school,
                    "date": "ACT_ACTION_START_DATE",
                    "action": "ACT_ACTION_CODE",
                    "days_planned": "ACT_PENALTY_DAYS",
                },
            },
        },
        {
            "attendance_category": {code: value for value, code in view.items()},
            "discipline_action": {
                action["oss"]: "out_of_school_suspension",
                action["iss"]: "in_school_suspension",
                action["detention"]: "other",
                action["conference"]: "other",
            },
            "economic": {"Free": "disadvantaged", "Reduced": "disadvantaged", "Paid": "not_disadvantaged"},
            "disability": {"Active": "idea"},
        },
        {
            "std_export.csv": {"date_formats": ["%m/%d/%Y"]},
            "att_export.csv": {"date_formats": ["%m/%d/%Y"], "attendance_records": "exceptions"},
        },
    )


def survey_tool(world: World, folder: Path) -> Truth:
    """A survey tool's export with questions as columns, and a roster report with a banner and a total."""
    scale = ("Strongly disagree", "Disagree", "Neutral", "Agree", "Strongly agree")
    questions = ["I feel like I belong", "Adults here care about me", "I am treated fairly", "I have friends here"]
    write(
        folder / "Climate Survey Fall 2025.csv",
        ["StartDate", "EndDate", "Status", "Progress", "ResponseId", "ExternalReference", *questions],
        (
            ["2025-10-06 09:00:00", f"2025-10-{6 + n % 5:02d} 09:12:00", "IP Address", 100, f"R_{n:05d}x", s.number]
            + [scale[(n * 7 + q * 3) % 5] for q in range(4)]
            for n, s in enumerate(world.students)
        ),
    )
    with (folder / "Roster Report.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(["Student Roster Report"])
        writer.writerow(["Printed 11/26/2025"])
        writer.writerow(["School", "Student Name", "Student No", "Gr", "Gender", "Race/Eth", "Lang Prof", "Enter Dt"])
        for s in world.students:
            learner = "English Learner" if s.learner else "English Only"
            name = f"{s.last}, {s.first}"
            cells = [s.school.name, name, s.number, s.grade, s.sex[0].upper(), s.races[0].title(), learner]
            writer.writerow([*cells, f"{s.entered:%d-%b-%Y}"])
        writer.writerow([f"Total students: {len(world.students)}"])
    return Truth(
        {
            "Climate Survey Fall 2025.csv": {
                "survey": {
                    "survey_id": "=climate-survey-fall",
                    **dict.fromkeys(("survey_name", "universe", "opened", "closed", "is_anonymous"), "TODO"),
                },
                "survey_response": {
                    "survey_id": "=climate-survey-fall",
                    "response_id": "ResponseId",
                    "student_id": "ExternalReference",
                    "submitted": "EndDate",
                    "item_id": "item",
                    "answer": "answer",
                    "construct": "TODO",
                },
            },
            "Roster Report.csv": {
                "student": {"student_id": "Student No"},
                "student_demographic": {
                    "student_id": "Student No",
                    "sex": "Gender",
                    "races": "Race/Eth",
                    "language": "Lang Prof",
                },
                "student_school_enrollment": {
                    "student_id": "Student No",
                    "school_id": "School",
                    "entry_date": "Enter Dt",
                    "grade": "Gr",
                },
            },
        },
        {
            "survey_answer": dict(
                zip(scale, ("unfavorable", "unfavorable", "neutral", "favorable", "favorable"), strict=True)
            ),
            "language": {"English Learner": "english_learner", "English Only": "not_english_learner"},
            "race": {"White": "white", "Asian": "asian", "Black": "black"},
        },
        {"Roster Report.csv": {"header": 3, "footer_lines": 1, "date_formats": ["%d-%b-%Y"]}},
    )


HOLDOUTS = {"state elements": state_elements, "coded tables": coded_tables, "survey tool": survey_tool}
