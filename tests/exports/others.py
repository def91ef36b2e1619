# ruff: noqa: RUF005 - a row is written in the lines in which it is read
"""Three exports that were first written as hold-outs, and from which the program then learned.

A fourth system's tables, a warehouse's own names in Parquet and JSON, and a workbook that a small office keeps by
hand. docs/sources/README.md says what was measured before, and what they taught. They are hold-outs no more.
"""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import xlsxwriter

from tests.exports.systems import iso, write
from tests.exports.truth import Truth
from tests.exports.world import World


def fourth_system(world: World, folder: Path) -> Truth:
    """Registration, entry and withdrawal, period attendance, discipline; a district column in every table."""
    race = dict(
        zip(
            ("american_indian_or_alaska_native", "asian", "black", "native_hawaiian_or_pacific_islander", "white"),
            ("AI", "AS", "BL", "HP", "WH"),
            strict=True,
        )
    )
    write(
        folder / "REG.csv",
        ["DISTRICT", "STUDENT_ID", "FIRST_NAME", "LAST_NAME", "BUILDING", "CURRENT_STATUS", "GRADE", "GENDER"]
        + ["BIRTHDATE", "ETHNIC_CODE", "HISPANIC", "LANGUAGE", "MEAL_STATUS", "ROW_IDENTITY"],
        (
            [1, s.number, s.first, s.last, s.school.number, "A" if s.left is None else "I", s.grade, s.sex[0].upper()]
            + [f"{s.born:%Y-%m-%d} 00:00:00", race[s.races[0]], "Y" if s.hispanic else "N", "01"]
            + [{"free": "01", "reduced": "02", "paid": "03"}[s.economic], 90000 + n]
            for n, s in enumerate(world.students)
        ),
    )
    write(
        folder / "REG_ENTRY_WITH.csv",
        ["DISTRICT", "STUDENT_ID", "SCHOOL_YEAR", "ENTRY_DATE", "ENTRY_CODE", "WITHDRAWAL_DATE", "WITHDRAWAL_CODE"]
        + ["BUILDING", "GRADE", "TRACK", "CALENDAR"],
        (
            [1, s.number, 2026, f"{iso(s.entered)} 00:00:00", "E1", f"{iso(s.left)} 00:00:00" if s.left else ""]
            + ["W3" if s.left else "", s.school.number, s.grade, "R", "C1"]
            for s in world.students
        ),
    )
    codes = {"absent_excused": "EA", "absent_unexcused": "UA", "tardy": "TA", "absent_suspension": "OS"}
    write(
        folder / "ATT_PERIOD.csv",
        ["DISTRICT", "SCHOOL_YEAR", "BUILDING", "STUDENT_ID", "ATTENDANCE_DATE", "ATTENDANCE_PERIOD", "SEQUENCE_NUM"]
        + ["SOURCE", "ATTENDANCE_CODE", "DISMISS_TIME", "ARRIVE_TIME"],
        (
            [1, 2026, m.student.school.number, m.student.number, f"{iso(m.day)} 00:00:00", period, 1, "T"]
            + [codes[m.kind], "", ""]
            for m in world.marks
            for period in (1, 2, 3)
        ),
    )
    behavior = {"fighting": "FT", "disrespect": "DR", "tobacco": "TB", "skipping": "SK"}
    write(
        folder / "DISC_INCIDENT.csv",
        ["DISTRICT", "INCIDENT_ID", "BUILDING", "SCHOOL_YEAR", "INCIDENT_CODE", "INCIDENT_DATE", "INCIDENT_TIME"]
        + ["LOCATION"],
        (
            [1, i.number, i.school.number, 2026, behavior[i.behavior], f"{iso(i.day)} 00:00:00", "10:30", i.place]
            for i in world.incidents
        ),
    )
    action = {"oss": "OSS", "iss": "ISS", "detention": "DET", "conference": "PC"}
    write(
        folder / "DISC_OFF_ACTION.csv",
        ["DISTRICT", "INCIDENT_ID", "STUDENT_ID", "BUILDING", "ACTION_NUMBER", "ACTION_CODE", "SCHD_DURATION"]
        + ["ACT_DURATION", "SCHD_START_DATE"],
        (
            [1, i.number, a[1].number, i.school.number, a[0], action[a[2]], a[3], a[3], f"{iso(i.day)} 00:00:00"]
            for i in world.incidents
            for a in i.actions
        ),
    )
    write(folder / "REG_BUILDING.csv", ["DISTRICT", "BUILDING", "NAME"], ([1, s.number, s.name] for s in world.schools))
    return Truth(
        {
            "REG.csv": {
                "student": {"student_id": "STUDENT_ID"},
                "student_demographic": {
                    "student_id": "STUDENT_ID",
                    "sex": "GENDER",
                    "hispanic_latino": "HISPANIC",
                    "races": "ETHNIC_CODE",
                    "economic": "MEAL_STATUS",
                },
            },
            "REG_ENTRY_WITH.csv": {
                "student_school_enrollment": {
                    "student_id": "STUDENT_ID",
                    "school_id": "BUILDING",
                    "entry_date": "ENTRY_DATE",
                    "exit_date": "WITHDRAWAL_DATE",
                    "grade": "GRADE",
                    "calendar_id": ["TRACK", "CALENDAR"],
                    "exit_type": "WITHDRAWAL_CODE",
                }
            },
            "ATT_PERIOD.csv": {
                "attendance_event": {
                    "student_id": "STUDENT_ID",
                    "school_id": "BUILDING",
                    "date": "ATTENDANCE_DATE",
                    "period": "ATTENDANCE_PERIOD",
                    "category": "ATTENDANCE_CODE",
                }
            },
            "DISC_INCIDENT.csv": {
                "discipline_incident": {
                    "incident_id": "INCIDENT_ID",
                    "school_id": "BUILDING",
                    "date": "INCIDENT_DATE",
                    "time": "INCIDENT_TIME",
                    "behavior": "INCIDENT_CODE",
                    "location": "LOCATION",
                }
            },
            "DISC_OFF_ACTION.csv": {
                "discipline_incident_student": {
                    "incident_id": "INCIDENT_ID",
                    "school_id": "BUILDING",
                    "student_id": "STUDENT_ID",
                },
                "discipline_action": {
                    "action_id": "ACTION_NUMBER",
                    "incident_id": "INCIDENT_ID",
                    "student_id": "STUDENT_ID",
                    "school_id": "BUILDING",
                    "date": "SCHD_START_DATE",
                    "action": "ACTION_CODE",
                    "days_planned": "SCHD_DURATION",
                    "days_actual": "ACT_DURATION",
                },
            },
            "REG_BUILDING.csv": {"school": {"school_id": "BUILDING", "school_name": "NAME"}},
        },
        {
            "attendance_category": {code: value for value, code in codes.items()},
            "discipline_action": {"OSS": "out_of_school_suspension", "ISS": "in_school_suspension", "DET": "other"},
            "race": {code: value for value, code in race.items()},
            "economic": {"01": "disadvantaged", "02": "disadvantaged", "03": "not_disadvantaged"},
        },
        {"ATT_PERIOD.csv": {"date_formats": ["%Y-%m-%d %H:%M:%S"], "attendance_records": "exceptions"}},
    )


def warehouse(world: World, folder: Path) -> Truth:
    """A regional warehouse: Parquet with its own short names, JSON lines for referrals, positive attendance."""
    folder.mkdir(parents=True)
    students = {
        "student_key": [int(s.internal) for s in world.students],
        "dist_student_id": [s.number for s in world.students],
        "st_student_id": [s.state for s in world.students],
        "campus_nbr": [s.school.number for s in world.students],
        "campus_nm": [s.school.name for s in world.students],
        "stu_last_nm": [s.last for s in world.students],
        "birth_dt": [s.born for s in world.students],
        "grade_lvl_cd": [s.grade for s in world.students],
        "gender_cd": [s.sex[0].upper() for s in world.students],
        "ethnicity_desc": [s.races[0].replace("_", " ").title() for s in world.students],
        "hisp_ind": ["Y" if s.hispanic else "N" for s in world.students],
        "lunch_stat_desc": [{"paid": "Paid"}.get(s.economic, s.economic.title()) for s in world.students],
        "ell_ind": ["Y" if s.learner else "N" for s in world.students],
        "iep_ind": ["Y" if s.disability == "idea" else "N" for s in world.students],
        "enrl_beg_dt": [s.entered for s in world.students],
        "enrl_end_dt": [s.left for s in world.students],
    }
    pyarrow.parquet.write_table(pa.table(students), folder / "students.parquet")
    marks = {(m.student.number, m.day): m.kind for m in world.marks}
    words = {"absent_excused": "EXC", "absent_unexcused": "UNX", "tardy": "TDY", "absent_suspension": "SUSP"}
    rows = [
        (s, day, words.get(marks.get((s.number, day), ""), "PRS"))
        for s in world.students
        for day in world.days
        if s.entered <= day and (s.left is None or day <= s.left)
    ]
    daily = {
        "dist_student_id": [s.number for s, _, _ in rows],
        "campus_nbr": [s.school.number for s, _, _ in rows],
        "cal_dt": [day for _, day, _ in rows],
        "attnd_cd": [code for _, _, code in rows],
    }
    pyarrow.parquet.write_table(pa.table(daily), folder / "daily_attnd.parquet")
    what = {"fighting": "Fighting", "disrespect": "Defiance", "tobacco": "Vaping", "skipping": "Skipping class"}
    then = {
        "oss": "Suspended out of school",
        "iss": "In-school suspension",
        "detention": "Detention",
        "conference": "Parent conference",
    }
    lines = [
        {
            "referral": {"referral_no": i.number, "referral_dt": iso(i.day), "infraction_desc": what[i.behavior]},
            "dist_student_id": a[1].number,
            "campus_nbr": i.school.number,
            "consequence": {
                "consequence_no": a[0],
                "consequence_desc": then[a[2]],
                "begin_dt": iso(i.day),
                "days": a[3],
            },
        }
        for i in world.incidents
        for a in i.actions
    ]
    (folder / "referrals.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    student = "dist_student_id"
    return Truth(
        {
            "students.parquet": {
                "student": {"student_id": student},
                "school": {"school_id": "campus_nbr", "school_name": "campus_nm"},
                "student_demographic": {
                    "student_id": student,
                    "sex": "gender_cd",
                    "hispanic_latino": "hisp_ind",
                    "races": "ethnicity_desc",
                    "economic": "lunch_stat_desc",
                    "language": "ell_ind",
                    "disability": "iep_ind",
                },
                "student_school_enrollment": {
                    "student_id": student,
                    "school_id": "campus_nbr",
                    "entry_date": "enrl_beg_dt",
                    "exit_date": "enrl_end_dt",
                    "grade": "grade_lvl_cd",
                },
            },
            "daily_attnd.parquet": {
                "attendance_event": {
                    "student_id": student,
                    "school_id": "campus_nbr",
                    "date": "cal_dt",
                    "category": "attnd_cd",
                }
            },
            "referrals.jsonl": {
                "discipline_incident": {
                    "incident_id": "referral.referral_no",
                    "school_id": "campus_nbr",
                    "date": "referral.referral_dt",
                    "behavior": "referral.infraction_desc",
                },
                "discipline_incident_student": {
                    "incident_id": "referral.referral_no",
                    "school_id": "campus_nbr",
                    "student_id": student,
                    "behavior": "referral.infraction_desc",
                },
                "discipline_action": {
                    "action_id": "consequence.consequence_no",
                    "incident_id": "referral.referral_no",
                    "student_id": student,
                    "school_id": "campus_nbr",
                    "date": "consequence.begin_dt",
                    "action": "consequence.consequence_desc",
                    "days_planned": "consequence.days",
                },
            },
        },
        {
            "attendance_category": {"PRS": "present", **{code: value for value, code in words.items()}},
            "discipline_action": {
                then["oss"]: "out_of_school_suspension",
                then["iss"]: "in_school_suspension",
                then["detention"]: "other",
                then["conference"]: "other",
            },
            "behavior": {
                "Fighting": "objective",
                "Defiance": "subjective",
                "Vaping": "objective",
                "Skipping class": "objective",
            },
            "economic": {"Free": "disadvantaged", "Reduced": "disadvantaged", "Paid": "not_disadvantaged"},
            "disability": {"Y": "idea", "N": "none"},
        },
        {"daily_attnd.parquet": {"attendance_records": "every_day", "missing_rows": "window"}},
    )


def small_office(world: World, folder: Path) -> Truth:
    """One workbook that a small office keeps by hand: terse headings, titles above, a sheet each."""
    folder.mkdir(parents=True)
    book = xlsxwriter.Workbook(folder / "Everything 25-26.xlsx")
    as_day = book.add_format({"num_format": "m/d/yyyy"})

    def sheet(name: str, title: str, header: list[str], rows: list[list[object]]) -> None:
        page = book.add_worksheet(name)
        page.write(0, 0, title)
        page.write_row(2, 0, header)
        for at, row in enumerate(rows, 3):
            for place, cell in enumerate(row):
                if hasattr(cell, "year"):
                    page.write_datetime(at, place, cell, as_day)
                elif cell not in (None, ""):
                    page.write(at, place, cell)

    lunch = {"free": "Free", "reduced": "Red.", "paid": "Full pay"}
    race = dict(
        zip(("american_indian_or_alaska_native", "asian", "black"), ("Am. Ind.", "Asian", "Black"), strict=True)
    )
    race |= {"native_hawaiian_or_pacific_islander": "Pac. Isl.", "white": "White"}
    sheet(
        "Roster",
        "Student roster",
        ["ID#", "Bldg", "Last", "First", "Gr.", "M/F", "Ethn.", "Lunch", "SpEd?", "EL?", "Started", "Dropped"],
        [
            [int(s.number), s.school.name, s.last, s.first, s.grade, s.sex[0].upper(), race[s.races[0]]]
            + [lunch[s.economic], "x" if s.disability == "idea" else "", "x" if s.learner else "", s.entered, s.left]
            for s in world.students
        ],
    )
    why = {"absent_excused": "sick", "absent_unexcused": "unexcused", "tardy": "late", "absent_suspension": "suspended"}
    sheet(
        "Absences",
        "Absences, all year",
        ["ID#", "Bldg", "Date absent", "Reason"],
        [[int(m.student.number), m.student.school.name, m.day, why[m.kind]] for m in world.marks],
    )
    then = {"oss": "sent home (OSS)", "iss": "ISS", "detention": "detention", "conference": "called parents"}
    sheet(
        "Referrals",
        "Office referrals",
        ["Ref #", "ID#", "Bldg", "Date", "Offense", "Consequence", "# days"],
        [
            [int(i.number), int(a[1].number), i.school.name, i.day, i.behavior, then[a[2]], a[3]]
            for i in world.incidents
            for a in i.actions
        ],
    )
    book.close()
    # The sheets of one workbook are three extracts; the truth names each by its sheet.
    file = "Everything 25-26.xlsx"
    return Truth(
        {
            file: {
                "student": {"student_id": "ID#"},
                "student_demographic": {
                    "student_id": "ID#",
                    "sex": "M/F",
                    "races": "Ethn.",
                    "economic": "Lunch",
                    "language": "EL?",
                    "disability": "SpEd?",
                },
                "student_school_enrollment": {
                    "student_id": "ID#",
                    "school_id": "Bldg",
                    "entry_date": "Started",
                    "exit_date": "Dropped",
                    "grade": "Gr.",
                },
            },
            f"{file}!Absences": {
                "attendance_event": {
                    "student_id": "ID#",
                    "school_id": "Bldg",
                    "date": "Date absent",
                    "category": "Reason",
                }
            },
            f"{file}!Referrals": {
                "discipline_incident": {
                    "incident_id": "Ref #",
                    "school_id": "Bldg",
                    "date": "Date",
                    "behavior": "Offense",
                },
                "discipline_incident_student": {
                    "incident_id": "Ref #",
                    "school_id": "Bldg",
                    "student_id": "ID#",
                    "behavior": "Offense",
                },
                "discipline_action": {
                    "action_id": "Ref #",
                    "incident_id": "Ref #",
                    "student_id": "ID#",
                    "school_id": "Bldg",
                    "date": "Date",
                    "action": "Consequence",
                    "days_planned": "# days",
                },
            },
        },
        {
            "attendance_category": {code: value for value, code in why.items()},
            "discipline_action": {
                then["oss"]: "out_of_school_suspension",
                then["iss"]: "in_school_suspension",
                then["detention"]: "other",
            },
            "behavior": {"fighting": "objective", "disrespect": "subjective", "tobacco": "objective"},
            "economic": {"Free": "disadvantaged", "Red.": "disadvantaged", "Full pay": "not_disadvantaged"},
        },
        {file: {"header": 3}, f"{file}!Absences": {"attendance_records": "exceptions"}},
    )


OTHERS = {"fourth system": fourth_system, "warehouse": warehouse, "small office": small_office}
