"""Exports in the shapes of five student information systems, as far as those are publicly known.

docs/sources/<system>.md says which of the column names stand in public material and which are made in the same style;
values come from the made-up district. Each function writes one folder and returns what it should be understood as.
"""

# ruff: noqa: RUF005 - a row is written in the lines in which it is read
from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import xlsxwriter

from tests.exports.truth import Truth
from tests.exports.world import World

_RACE_NAMES = {
    "american_indian_or_alaska_native": "American Indian or Alaska Native",
    "asian": "Asian",
    "black": "Black or African American",
    "native_hawaiian_or_pacific_islander": "Native Hawaiian or Other Pacific Islander",
    "white": "White",
}


def write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], delimiter: str = ",") -> None:
    """A delimited file with CRLF, as student systems write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\r\n")
        writer.writerow(header)
        writer.writerows([["" if cell is None else cell for cell in row] for row in rows])


def us(day: date | None) -> str:
    """9/2/2025"""
    return f"{day.month}/{day.day}/{day.year}" if day else ""


def iso(day: date | None) -> str:
    """2025-09-02"""
    return day.isoformat() if day else ""


def powerschool(world: World, folder: Path) -> Truth:
    """Quick Export of students (tabs), and tables by Direct Database Export: m/d/Y, table names before the fields."""
    lunch = {"free": "F", "reduced": "R", "paid": "P"}
    race = dict(zip(_RACE_NAMES, ("I", "A", "B", "P", "W"), strict=True))
    write(
        folder / "student.export.text",
        ["Student_Number", "LastFirst", "DOB", "Gender", "Grade_Level", "SchoolID", "EntryDate", "ExitDate"]
        + ["FedEthnicity", "Ethnicity", "LunchStatus", "ExitCode"],
        (
            [s.number, f"{s.last}, {s.first}", us(s.born), s.sex[0].upper() if s.sex != "nonbinary" else "X"]
            + [0 if s.grade == "KG" else int(s.grade), int(s.school.number), us(s.entered), us(s.left)]
            + [int(s.hispanic), race[s.races[0]], lunch[s.economic], "W1" if s.left else ""]
            for s in world.students
        ),
        "\t",
    )
    codes = {
        "absent_excused": ("E", "Excused absence"),
        "absent_unexcused": ("U", "Unexcused absence"),
        "tardy": ("T", "Tardy"),
        "absent_suspension": ("S", "Out of school suspension"),
    }
    write(
        folder / "attendance.csv",
        ["[Students]Student_Number", "[Attendance]SchoolID", "[Attendance]Att_Date", "[Attendance]Att_Mode_Code"]
        + ["[Attendance_Code]Att_Code", "[Attendance_Code]Description", "[Attendance]Att_Comment"],
        (
            [m.student.number, int(m.student.school.number), us(m.day), mode, *codes[m.kind], ""]
            for m in world.marks
            for mode in ("ATT_ModeDaily", "ATT_ModeMeeting")
        ),
    )
    action = {"oss": "OSS", "iss": "ISS", "detention": "DET", "conference": "CONF"}
    behavior = {"fighting": "FIGHT", "disrespect": "DISR", "tobacco": "TOB", "skipping": "SKIP"}
    write(
        folder / "log.csv",
        ["[Log]DCID", "[Students]Student_Number", "[Log]SchoolID", "[Log]Entry_Author", "[Log]Discipline_IncidentDate"]
        + ["[Log]Subtype", "[Log]Consequence", "[Log]Discipline_ActionDate", "[Log]Discipline_DurationAssigned"],
        (
            [a[0], a[1].number, int(i.school.number), "Elm, Robin", us(i.day), behavior[i.behavior], action[a[2]]]
            + [us(i.day), a[3]]
            for i in world.incidents
            for a in i.actions
        ),
    )
    write(folder / "schools.csv", ["School_Number", "Name"], ([int(s.number), s.name] for s in world.schools))
    write(
        folder / "calendar_day.csv",
        ["SchoolID", "Date_Value", "InSession", "Type"],
        ([int(s.number), us(day), 1, ""] for s in world.schools for day in world.days),
    )
    student, school = "[Students]Student_Number", "[Attendance]SchoolID"
    return Truth(
        {
            "student.export.text": {
                "student": {"student_id": "Student_Number"},
                "student_demographic": {
                    "student_id": "Student_Number",
                    "sex": "Gender",
                    "hispanic_latino": "FedEthnicity",
                    "races": "Ethnicity",
                    "economic": "LunchStatus",
                },
                "student_school_enrollment": {
                    "student_id": "Student_Number",
                    "school_id": "SchoolID",
                    "entry_date": "EntryDate",
                    "exit_date": "ExitDate",
                    "grade": "Grade_Level",
                    "exit_type": "ExitCode",
                },
            },
            "attendance.csv": {
                "attendance_event": {
                    "student_id": student,
                    "school_id": school,
                    "date": "[Attendance]Att_Date",
                    "category": "[Attendance_Code]Att_Code",
                }
            },
            "log.csv": {
                "discipline_action": {
                    "action_id": "[Log]DCID",
                    "student_id": student,
                    "school_id": "[Log]SchoolID",
                    "date": "[Log]Discipline_ActionDate",
                    "action": "[Log]Consequence",
                    "days_planned": "[Log]Discipline_DurationAssigned",
                }
            },
            "schools.csv": {"school": {"school_id": "School_Number", "school_name": "Name"}},
            "calendar_day.csv": {
                "calendar_date": {"school_id": "SchoolID", "date": "Date_Value", "calendar_event": "InSession"}
            },
        },
        {
            "sex": {"F": "female", "M": "male", "X": "nonbinary"},
            "race": {code: value for value, code in race.items()},
            "economic": {"F": "disadvantaged", "R": "disadvantaged", "P": "not_disadvantaged"},
            "yes_no": {"1": "yes", "0": "no"},
            "grade": {"0": "kg", "1": "01", "12": "12"},
            "attendance_category": {code: value for value, (code, _) in codes.items()},
            "discipline_action": {
                "OSS": "out_of_school_suspension",
                "ISS": "in_school_suspension",
                "DET": "other",
                "CONF": "other",
            },
            "calendar_event": {"1": "session"},
        },
        {
            "student.export.text": {"date_formats": ["%m/%d/%Y"], "missing_rows": "full"},
            "attendance.csv": {
                "date_formats": ["%m/%d/%Y"],
                "attendance_records": "exceptions",
                "missing_rows": "window",
            },
            "log.csv": {"date_formats": ["%m/%d/%Y"]},
            "calendar_day.csv": {"date_formats": ["%m/%d/%Y"]},
        },
    )


def infinite_campus(world: World, folder: Path) -> Truth:
    """Ad hoc filters exported as CSV: names with the table before a dot, two ids, behavior with resolutions."""
    race = dict(zip(_RACE_NAMES, ("2", "3", "4", "5", "6"), strict=True))
    write(
        folder / "adhoc_students.csv",
        ["student.personID", "student.studentNumber", "student.stateID", "student.lastName", "student.firstName"]
        + ["student.birthdate", "student.gender", "student.raceEthnicityFed", "student.hispanicEthnicity"]
        + ["cal.calendarID", "sch.number", "sch.name", "enrollment.grade", "enrollment.serviceType"]
        + ["enrollment.startDate", "enrollment.endDate", "enrollment.endStatus", "enrollment.specialEdStatus"]
        + ["lep.programStatus", "pos.eligibility"],
        (
            [s.internal, s.number, s.state, s.last, s.first, f"{s.born:%m/%d/%Y}", s.sex[0].upper()]
            + ["1" if s.hispanic else "7" if len(s.races) > 1 else race[s.races[0]], "Y" if s.hispanic else "N"]
            + ["812", s.school.number, s.school.name, s.grade, "P", f"{s.entered:%m/%d/%Y}"]
            + [f"{s.left:%m/%d/%Y}" if s.left else "", "T1" if s.left else ""]
            + ["Y" if s.disability == "idea" else "N", "LEP" if s.learner else "Not LEP"]
            + [{"free": "Free", "reduced": "Reduced", "paid": "Paid"}[s.economic]]
            for s in world.students
        ),
    )
    codes = {
        "absent_excused": ("ILL", "Illness", "Absent", "Excused"),
        "absent_unexcused": ("UNX", "Unexcused", "Absent", "Unexcused"),
        "tardy": ("LATE", "Tardy", "Tardy", "Unexcused"),
        "absent_suspension": ("OSS", "Out of School Suspension", "Absent", "Excused"),
    }
    write(
        folder / "adhoc_attendance.csv",
        ["student.personID", "cal.schoolID", "attendance.date", "attendance.code", "attendance.description"]
        + ["attendance.status", "attendance.excuse", "attendance.comments"],
        ([m.student.internal, m.student.school.number, f"{m.day:%m/%d/%Y}", *codes[m.kind], ""] for m in world.marks),
    )
    action = {
        "oss": "Out of School Suspension",
        "iss": "In School Suspension",
        "detention": "After School Detention",
        "conference": "Parent Conference",
    }
    behavior = {"fighting": "Fighting", "disrespect": "Disrespect", "tobacco": "Tobacco", "skipping": "Skipping Class"}
    write(
        folder / "adhoc_behavior.csv",
        ["behaviorDetail.incidentID", "student.personID", "sch.number", "behaviorDetail.incidentDate"]
        + ["behaviorDetail.eventName", "behaviorDetail.role", "behaviorDetail.location", "behaviorDetail.resolutionID"]
        + ["behaviorDetail.resolutionName", "behaviorDetail.resolutionStartDate", "behaviorDetail.schoolDaysDuration"],
        (
            [i.number, a[1].internal, i.school.number, f"{i.day:%m/%d/%Y}", behavior[i.behavior], "Offender", i.place]
            + [a[0], action[a[2]], f"{i.day:%m/%d/%Y}", a[3]]
            for i in world.incidents
            for a in i.actions
        ),
    )
    student = "student.personID"
    detail = "behaviorDetail."
    return Truth(
        {
            "adhoc_students.csv": {
                "student": {"student_id": student},
                "school": {"school_id": "sch.number", "school_name": "sch.name"},
                "student_demographic": {
                    "student_id": student,
                    "sex": "student.gender",
                    "hispanic_latino": "student.hispanicEthnicity",
                    "races": "student.raceEthnicityFed",
                    "economic": "pos.eligibility",
                    "language": "lep.programStatus",
                    "disability": "enrollment.specialEdStatus",
                },
                "student_school_enrollment": {
                    "student_id": student,
                    "school_id": "sch.number",
                    "entry_date": "enrollment.startDate",
                    "exit_date": "enrollment.endDate",
                    "grade": "enrollment.grade",
                    "calendar_id": "cal.calendarID",
                    "enrollment_type": "enrollment.serviceType",
                    "exit_type": "enrollment.endStatus",
                },
            },
            "adhoc_attendance.csv": {
                "attendance_event": {
                    "student_id": student,
                    "school_id": "cal.schoolID",
                    "date": "attendance.date",
                    "category": "attendance.code",
                }
            },
            "adhoc_behavior.csv": {
                "discipline_incident": {
                    "incident_id": f"{detail}incidentID",
                    "school_id": "sch.number",
                    "date": f"{detail}incidentDate",
                    "behavior": f"{detail}eventName",
                    "location": f"{detail}location",
                },
                "discipline_incident_student": {
                    "incident_id": f"{detail}incidentID",
                    "school_id": "sch.number",
                    "student_id": student,
                    "participation": f"{detail}role",
                    "behavior": f"{detail}eventName",
                },
                "discipline_action": {
                    "action_id": f"{detail}resolutionID",
                    "incident_id": f"{detail}incidentID",
                    "student_id": student,
                    "school_id": "sch.number",
                    "date": f"{detail}resolutionStartDate",
                    "action": f"{detail}resolutionName",
                    "days_planned": f"{detail}schoolDaysDuration",
                },
            },
        },
        {
            "attendance_category": {code[0]: value for value, code in codes.items()},
            "discipline_action": {
                action["oss"]: "out_of_school_suspension",
                action["iss"]: "in_school_suspension",
                action["detention"]: "other",
                action["conference"]: "other",
            },
            "behavior": {
                "Fighting": "objective",
                "Disrespect": "subjective",
                "Tobacco": "objective",
                "Skipping Class": "objective",
            },
            "participation": {"Offender": "perpetrator"},
            "race": {"1": "hispanic", "7": "two_or_more", **{code: value for value, code in race.items()}},
            "economic": {"Free": "disadvantaged", "Reduced": "disadvantaged", "Paid": "not_disadvantaged"},
            "language": {"LEP": "english_learner", "Not LEP": "not_english_learner"},
            "disability": {"Y": "idea", "N": "none"},
            "enrollment_type": {"P": "home"},
        },
        {
            "adhoc_students.csv": {"date_formats": ["%m/%d/%Y"], "missing_rows": "full"},
            "adhoc_attendance.csv": {"date_formats": ["%m/%d/%Y"], "attendance_records": "exceptions"},
        },
    )


def skyward(world: World, folder: Path) -> Truth:
    """Data mining exports with the database's dashed names, bars between fields and two-digit years."""
    race = dict(zip(_RACE_NAMES, ("I", "A", "B", "P", "W"), strict=True))

    def day(value: date | None) -> str:
        return f"{value:%m/%d/%y}" if value else ""

    write(
        folder / "STUDENT-ENTITY.txt",
        ["OTHER-ID", "NAME-ID", "LAST-NAME", "FIRST-NAME", "BIRTHDATE", "GENDER", "ENTITY-ID", "GRADE", "ENTRY-DATE"]
        + ["WITHDRAWAL-DATE", "WITHDRAWAL-CODE", "FEDERAL-RACE", "HISPANIC-LATINO-ETHNICITY", "LEP-STATUS"]
        + ["SPECIAL-ED", "FS-STATUS"],
        (
            [s.number, s.internal, s.last, s.first, day(s.born), s.sex[0].upper(), s.school.number, s.grade]
            + [day(s.entered), day(s.left), "T" if s.left else "", race[s.races[0]], "Y" if s.hispanic else "N"]
            + ["Y" if s.learner else "N", "Y" if s.disability == "idea" else "N", s.economic[0].upper()]
            for s in world.students
        ),
        "|",
    )
    codes = {
        "absent_excused": ("E", "Excused"),
        "absent_unexcused": ("U", "Unexcused"),
        "tardy": ("T", "Tardy"),
        "absent_suspension": ("S", "Suspended"),
    }
    write(
        folder / "ATT-STUDENT.txt",
        ["NAME-ID", "ENTITY-ID", "ABSENCE-DATE", "ABSENCE-TYPE", "ABSENCE-TYPE-DESC", "ABSENCE-REASON"],
        ([m.student.internal, m.student.school.number, day(m.day), *codes[m.kind], ""] for m in world.marks),
        "|",
    )
    action = {"oss": "OSS", "iss": "ISS", "detention": "DET", "conference": "CONF"}
    text = {"oss": "Out of School Susp", "iss": "In School Susp", "detention": "Detention", "conference": "Conference"}
    behavior = {"fighting": "FGT", "disrespect": "DSR", "tobacco": "TOB", "skipping": "SKP"}
    described = {"fighting": "Fighting", "disrespect": "Disrespect", "tobacco": "Tobacco", "skipping": "Skipping"}
    write(
        folder / "DISCIPLINE.txt",
        ["INCIDENT-ID", "NAME-ID", "ENTITY-ID", "OFFENSE-DATE", "OFFENSE-CODE", "OFFENSE-DESC", "OFFENSE-LOCATION"]
        + ["ACTION-ID", "ACTION-CODE", "ACTION-DESC", "ACTION-DATE", "ACTION-DAYS-ASSIGNED", "ACTION-DAYS-SERVED"],
        (
            [i.number, a[1].internal, i.school.number, day(i.day), behavior[i.behavior], described[i.behavior], i.place]
            + [a[0], action[a[2]], text[a[2]], day(i.day), a[3], a[3]]
            for i in world.incidents
            for a in i.actions
        ),
        "|",
    )
    write(
        folder / "ENTITY.txt",
        ["ENTITY-ID", "ENTITY-NAME"],
        ([s.number, s.name] for s in world.schools),
        "|",
    )
    return Truth(
        {
            "STUDENT-ENTITY.txt": {
                "student": {"student_id": "NAME-ID"},
                "student_demographic": {
                    "student_id": "NAME-ID",
                    "sex": "GENDER",
                    "hispanic_latino": "HISPANIC-LATINO-ETHNICITY",
                    "races": "FEDERAL-RACE",
                    "economic": "FS-STATUS",
                    "language": "LEP-STATUS",
                    "disability": "SPECIAL-ED",
                },
                "student_school_enrollment": {
                    "student_id": "NAME-ID",
                    "school_id": "ENTITY-ID",
                    "entry_date": "ENTRY-DATE",
                    "exit_date": "WITHDRAWAL-DATE",
                    "grade": "GRADE",
                    "exit_type": "WITHDRAWAL-CODE",
                },
            },
            "ATT-STUDENT.txt": {
                "attendance_event": {
                    "student_id": "NAME-ID",
                    "school_id": "ENTITY-ID",
                    "date": "ABSENCE-DATE",
                    "category": "ABSENCE-TYPE",
                }
            },
            "DISCIPLINE.txt": {
                "discipline_incident": {
                    "incident_id": "INCIDENT-ID",
                    "school_id": "ENTITY-ID",
                    "date": "OFFENSE-DATE",
                    "behavior": "OFFENSE-CODE",
                    "location": "OFFENSE-LOCATION",
                },
                "discipline_incident_student": {
                    "incident_id": "INCIDENT-ID",
                    "school_id": "ENTITY-ID",
                    "student_id": "NAME-ID",
                    "behavior": "OFFENSE-CODE",
                },
                "discipline_action": {
                    "action_id": "ACTION-ID",
                    "incident_id": "INCIDENT-ID",
                    "student_id": "NAME-ID",
                    "school_id": "ENTITY-ID",
                    "date": "ACTION-DATE",
                    "action": "ACTION-CODE",
                    "days_planned": "ACTION-DAYS-ASSIGNED",
                    "days_actual": "ACTION-DAYS-SERVED",
                },
            },
            "ENTITY.txt": {"school": {"school_id": "ENTITY-ID", "school_name": "ENTITY-NAME"}},
        },
        {
            "attendance_category": {code[0]: value for value, code in codes.items()},
            "discipline_action": {
                "OSS": "out_of_school_suspension",
                "ISS": "in_school_suspension",
                "DET": "other",
                "CONF": "other",
            },
            "behavior": {"FGT": "objective", "DSR": "subjective", "TOB": "objective", "SKP": "objective"},
            "race": {code: value for value, code in race.items()},
            "economic": {"F": "disadvantaged", "R": "disadvantaged", "P": "not_disadvantaged"},
            "language": {"Y": "english_learner", "N": "not_english_learner"},
            "disability": {"Y": "idea", "N": "none"},
        },
        {
            "STUDENT-ENTITY.txt": {"date_formats": ["%m/%d/%y"]},
            "ATT-STUDENT.txt": {"date_formats": ["%m/%d/%y"], "attendance_records": "exceptions"},
        },
    )


def aeries(world: World, folder: Path) -> Truth:
    """Tables exported under their codes, with field codes as names: STU, ENR, ATT, ADS, LOC."""
    race = dict(zip(_RACE_NAMES, ("100", "200", "600", "300", "700"), strict=True))
    write(
        folder / "STU.csv",
        ["ID", "SC", "SN", "LN", "FN", "BD", "SX", "GR", "ETH", "RC1", "RC2", "RC3", "LF", "TG"],
        (
            [s.number, s.school.number, 1000 + n, s.last, s.first, us(s.born), s.sex[0].upper()]
            + [0 if s.grade == "KG" else int(s.grade), "Y" if s.hispanic else "N"]
            + [*(race[one] for one in s.races), *("" for _ in range(3 - len(s.races)))]
            + ["L" if s.learner else "E", "" if s.left is None else "N"]
            for n, s in enumerate(world.students)
        ),
    )
    write(
        folder / "ENR.csv",
        ["ID", "SC", "YR", "GR", "ED", "LD", "ER", "TR"],
        (
            [s.number, s.school.number, 2025, 0 if s.grade == "KG" else int(s.grade), us(s.entered), us(s.left)]
            + ["E1" if s.left else "", ""]
            for s in world.students
        ),
    )
    codes = {"absent_excused": "I", "absent_unexcused": "U", "tardy": "T", "absent_suspension": "S"}
    write(
        folder / "ATT.csv",
        ["ID", "SC", "DT", "AL", "A1", "A2", "A3"],
        (
            [m.student.number, m.student.school.number, us(m.day), codes[m.kind]] + [codes[m.kind]] * 3
            for m in world.marks
        ),
    )
    action = {"oss": "OSS", "iss": "ISS", "detention": "DET", "conference": "PAR"}
    behavior = {"fighting": "10", "disrespect": "20", "tobacco": "30", "skipping": "40"}
    write(
        folder / "ADS.csv",
        ["PID", "SCL", "IN", "DT", "CD", "LO", "CO", "DSP", "DY"],
        (
            [a[1].number, i.school.number, i.number, us(i.day), behavior[i.behavior], i.place[:2].upper(), ""]
            + [action[a[2]], a[3]]
            for i in world.incidents
            for a in i.actions
        ),
    )
    write(folder / "LOC.csv", ["CD", "NM", "LO", "HI"], ([s.number, s.name, 0, 12] for s in world.schools))
    return Truth(
        {
            "STU.csv": {
                "student": {"student_id": "ID"},
                "student_demographic": {
                    "student_id": "ID",
                    "sex": "SX",
                    "hispanic_latino": "ETH",
                    "races": ("RC1", "RC2", "RC3"),
                    "language": "LF",
                },
            },
            "ENR.csv": {
                "student_school_enrollment": {
                    "student_id": "ID",
                    "school_id": "SC",
                    "entry_date": "ED",
                    "exit_date": "LD",
                    "grade": "GR",
                    "calendar_id": "TR",
                    "exit_type": "ER",
                }
            },
            "ATT.csv": {"attendance_event": {"student_id": "ID", "school_id": "SC", "date": "DT", "category": "AL"}},
            "ADS.csv": {
                "discipline_incident": {
                    "incident_id": "IN",
                    "school_id": "SCL",
                    "date": "DT",
                    "behavior": "CD",
                    "location": "LO",
                },
                "discipline_incident_student": {
                    "incident_id": "IN",
                    "school_id": "SCL",
                    "student_id": "PID",
                    "behavior": "CD",
                },
                "discipline_action": {
                    "action_id": "IN",
                    "incident_id": "IN",
                    "student_id": "PID",
                    "school_id": "SCL",
                    "date": "DT",
                    "action": "DSP",
                    "days_planned": "DY",
                },
            },
            "LOC.csv": {"school": {"school_id": "CD", "school_name": "NM"}},
        },
        {
            "attendance_category": {code: value for value, code in codes.items()},
            "discipline_action": {
                "OSS": "out_of_school_suspension",
                "ISS": "in_school_suspension",
                "DET": "other",
                "PAR": "other",
            },
            "behavior": {"10": "objective", "20": "subjective", "30": "objective", "40": "objective"},
            "race": {code: value for value, code in race.items()},
            "language": {"L": "english_learner", "E": "not_english_learner"},
        },
        {
            "ENR.csv": {"date_formats": ["%m/%d/%Y"], "missing_rows": "full"},
            "ATT.csv": {"date_formats": ["%m/%d/%Y"], "attendance_records": "exceptions"},
        },
    )


def synergy(world: World, folder: Path) -> Truth:
    """Query results as a workbook below a banner, and as CSV with times behind the days."""
    folder.mkdir(parents=True, exist_ok=True)
    book = xlsxwriter.Workbook(folder / "Student Enrollment.xlsx")
    sheet = book.add_worksheet("Query")
    sheet.write(0, 0, "Student Enrollment Detail")
    sheet.write(1, 0, "Year: 2025-2026")
    header = ["SIS_NUMBER", "STATE_STUDENT_NUMBER", "LAST_NAME", "FIRST_NAME", "BIRTH_DATE", "GENDER", "GRADE"]
    header += ["SCHOOL_CODE", "ORGANIZATION_NAME", "ENTER_DATE", "LEAVE_DATE", "LEAVE_CODE", "HISPANIC_INDICATOR"]
    header += ["RESOLVED_ETHNICITY_RACE", "ELL_STATUS", "SPED_STATUS", "FRM_CODE"]
    sheet.write_row(3, 0, header)
    as_day = book.add_format({"num_format": "mm/dd/yyyy"})
    for row, s in enumerate(world.students, 4):
        cells = [s.number, s.state, s.last, s.first, None, s.sex.title(), s.grade, s.school.number, s.school.name]
        cells += [None, None, "W2" if s.left else "", "Y" if s.hispanic else "N", _RACE_NAMES[s.races[0]]]
        cells += ["Y" if s.learner else "N", "Y" if s.disability == "idea" else "N", s.economic[0].upper()]
        for column, cell in enumerate(cells):
            if cell:
                sheet.write_string(row, column, cell)
        for column, day in ((4, s.born), (9, s.entered), (10, s.left)):
            if day:
                sheet.write_datetime(row, column, day, as_day)
    book.close()
    codes = {
        "absent_excused": ("EX", "Excused"),
        "absent_unexcused": ("UX", "Unexcused"),
        "tardy": ("TD", "Tardy"),
        "absent_suspension": ("SU", "Suspension - Out of School"),
    }
    write(
        folder / "daily_attendance.csv",
        ["SIS_NUMBER", "SCHOOL_CODE", "ABS_DATE", "ABBREVIATION", "ABS_REASON_DESCRIPTION", "SCHOOL_YEAR", "EXTENSION"],
        (
            [m.student.number, m.student.school.number, f"{m.day:%Y-%m-%d} 00:00:00", *codes[m.kind], 2025, "R"]
            for m in world.marks
        ),
    )
    action = {"oss": "S OSS", "iss": "S ISS", "detention": "DETEN", "conference": "CONF"}
    text = {
        "oss": "Out of School Suspension",
        "iss": "In School Suspension",
        "detention": "Detention",
        "conference": "Conference",
    }
    behavior = {"fighting": "FIGHT", "disrespect": "DISRE", "tobacco": "TOBAC", "skipping": "TRUAN"}
    write(
        folder / "incidents.csv",
        ["INCIDENT_ID", "INCIDENT_DATE", "SCHOOL_CODE", "SIS_NUMBER", "INCIDENT_ROLE", "VIOLATION_CODE"]
        + ["DISPOSITION_ID", "DISP_CODE", "DISPOSITION_DESCRIPTION", "DISPOSITION_DATE", "DAYS", "REASSIGNMENT_DAYS"],
        (
            [i.number, f"{i.day:%Y-%m-%d} 00:00:00", i.school.number, a[1].number, "Offender", behavior[i.behavior]]
            + [a[0], action[a[2]], text[a[2]], f"{i.day:%Y-%m-%d} 00:00:00", a[3], a[3]]
            for i in world.incidents
            for a in i.actions
        ),
    )
    workbook = "Student Enrollment.xlsx"
    return Truth(
        {
            workbook: {
                "student": {"student_id": "SIS_NUMBER"},
                "school": {"school_id": "SCHOOL_CODE", "school_name": "ORGANIZATION_NAME"},
                "student_demographic": {
                    "student_id": "SIS_NUMBER",
                    "sex": "GENDER",
                    "hispanic_latino": "HISPANIC_INDICATOR",
                    "races": "RESOLVED_ETHNICITY_RACE",
                    "economic": "FRM_CODE",
                    "language": "ELL_STATUS",
                    "disability": "SPED_STATUS",
                },
                "student_school_enrollment": {
                    "student_id": "SIS_NUMBER",
                    "school_id": "SCHOOL_CODE",
                    "entry_date": "ENTER_DATE",
                    "exit_date": "LEAVE_DATE",
                    "grade": "GRADE",
                    "exit_type": "LEAVE_CODE",
                },
            },
            "daily_attendance.csv": {
                "attendance_event": {
                    "student_id": "SIS_NUMBER",
                    "school_id": "SCHOOL_CODE",
                    "date": "ABS_DATE",
                    "category": "ABBREVIATION",
                }
            },
            "incidents.csv": {
                "discipline_incident": {
                    "incident_id": "INCIDENT_ID",
                    "school_id": "SCHOOL_CODE",
                    "date": "INCIDENT_DATE",
                    "behavior": "VIOLATION_CODE",
                },
                "discipline_incident_student": {
                    "incident_id": "INCIDENT_ID",
                    "school_id": "SCHOOL_CODE",
                    "student_id": "SIS_NUMBER",
                    "participation": "INCIDENT_ROLE",
                    "behavior": "VIOLATION_CODE",
                },
                "discipline_action": {
                    "action_id": "DISPOSITION_ID",
                    "incident_id": "INCIDENT_ID",
                    "student_id": "SIS_NUMBER",
                    "school_id": "SCHOOL_CODE",
                    "date": "DISPOSITION_DATE",
                    "action": "DISP_CODE",
                    "days_planned": "DAYS",
                    "days_actual": "REASSIGNMENT_DAYS",
                },
            },
        },
        {
            "attendance_category": {code[0]: value for value, code in codes.items()},
            "discipline_action": {
                "S OSS": "out_of_school_suspension",
                "S ISS": "in_school_suspension",
                "DETEN": "other",
                "CONF": "other",
            },
            "behavior": {"FIGHT": "objective", "DISRE": "subjective", "TOBAC": "objective", "TRUAN": "objective"},
            "participation": {"Offender": "perpetrator"},
            "economic": {"F": "disadvantaged", "R": "disadvantaged", "P": "not_disadvantaged"},
        },
        {
            workbook: {"header": 4, "missing_rows": "full"},
            "daily_attendance.csv": {"date_formats": ["%Y-%m-%d %H:%M:%S"], "attendance_records": "exceptions"},
        },
    )


def grid(world: World, folder: Path) -> Truth:
    """A register as a grid: a column a day, positive marks, semicolons, a banner; races as yes-or-no columns."""
    marks = {(m.student.number, m.day): m.kind for m in world.marks}
    letter = {"absent_excused": "AE", "absent_unexcused": "AU", "tardy": "L", "absent_suspension": "SUS"}
    path = folder / "register.csv"
    names = ["Student ID", "School Code", "Student Name", *(f"{day:%d/%m/%Y}" for day in world.days)]
    write(
        path,
        names,
        (
            [s.number, s.school.number, f"{s.first} {s.last}"]
            + [letter[marks[s.number, day]] if (s.number, day) in marks else "P" for day in world.days]
            for s in world.students
        ),
        ";",
    )
    path.write_bytes(b"Attendance register\r\nAll schools\r\n" + path.read_bytes())
    flags = list(_RACE_NAMES)
    write(
        folder / "pupils.csv",
        ["Student ID", "School Code", "School Name", "Full Name", "Date of Birth", "Sex", "Year Group Grade"]
        + ["Date Enrolled", "Hispanic", "Race - American Indian", "Race - Asian", "Race - Black"]
        + ["Race - Pacific Islander", "Race - White", "Free Reduced Meals"],
        (
            [s.number, s.school.number, s.school.name, f"{s.first} {s.last}", f"{s.born:%d/%m/%Y}", s.sex.title()]
            + [s.grade, f"{s.entered:%d/%m/%Y}", "Y" if s.hispanic else "N"]
            + ["Y" if race in s.races else "N" for race in flags]
            + ["No" if s.economic == "paid" else "Yes"]
            for s in world.students
        ),
        ";",
    )
    return Truth(
        {
            "register.csv": {
                "attendance_event": {
                    "student_id": "Student ID",
                    "school_id": "School Code",
                    "date": "day",
                    "category": "mark",
                }
            },
            "pupils.csv": {
                "school": {"school_id": "School Code", "school_name": "School Name"},
                "student": {"student_id": "Student ID"},
                "student_demographic": {
                    "student_id": "Student ID",
                    "sex": "Sex",
                    "hispanic_latino": "Hispanic",
                    "races": {
                        "Race - American Indian": "American Indian or Alaska Native",
                        "Race - Asian": "Asian",
                        "Race - Black": "Black or African American",
                        "Race - Pacific Islander": "Native Hawaiian or Other Pacific Islander",
                        "Race - White": "White",
                    },
                    "economic": "Free Reduced Meals",
                },
                "student_school_enrollment": {
                    "student_id": "Student ID",
                    "school_id": "School Code",
                    "entry_date": "Date Enrolled",
                    "grade": "Year Group Grade",
                },
            },
        },
        {
            "attendance_category": {"P": "present", **{code: value for value, code in letter.items()}},
            "economic": {"Yes": "disadvantaged", "No": "not_disadvantaged"},
        },
        {
            "register.csv": {"header": 3, "attendance_records": "every_day"},
            "pupils.csv": {"date_formats": ["%d/%m/%Y"], "missing_rows": "active_only"},
        },
    )


SYSTEMS = {
    "powerschool": powerschool,
    "infinite_campus": infinite_campus,
    "skyward": skyward,
    "aeries": aeries,
    "synergy": synergy,
    "grid": grid,
}
