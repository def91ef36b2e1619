"""A district small enough to count by hand, in files full of what must never be seen again.

Two schools, 40 students, 20 session days in January 2026. Each student's id holds SECRET_ID, each name is
SECRET_NAME, and both stand wherever a careless extract puts them: in columns that no map names, in rows with too
many or too few cells. MISPLACED is a name in a column of dates, as after a shifted cell. OPEN_TEXT stands in mapped
columns that hold codes and short texts: by contract these go as far as `restricted/`, and never to a log, an event,
an artifact, a message or a public table.
"""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path

SECRET_ID = "zq7canaryid"
SECRET_NAME = "Zephyrine Canarybird"
MISPLACED = "Ottoline Wrongcell"
OPEN_TEXT = "quilltrap"

AS_OF = date(2026, 2, 2)
FIRST_DAY = date(2026, 1, 5)
#: The student who moves from South to North after ten days, and whose disability is found five days later.
MOVER = 1
MOVED_ON = date(2026, 1, 19)
FOUND_ON = date(2026, 1, 26)

DISTRICT = f"""\
# A comment may name {SECRET_NAME}, too.
district:
  id: hand
  name: Hand-counted District
  contact: data@hand.example
  time_zone: America/Chicago
  state_id: "00417"
calendar:
  - school_year: 2026
    first_day: 2026-01-05
    last_day: 2026-01-30
sources:
  schools:
    kind: delimited
    files: schools.csv
    missing_rows: full
    expected: year
    entities:
      school:
        columns: {{school_id: school, school_name: name}}
  students:
    kind: edfi_xml
    files: students.xml
    missing_rows: full
    entities:
      student: {{}}
  demographics:
    kind: delimited
    files: demographics.csv
    missing_rows: full
    entities:
      student_demographic:
        columns: {{student_id: id, start_date: from, sex: sex, hispanic_latino: hispanic, races: races, disability: plan}}
  identifiers:
    kind: delimited
    files: identifiers.csv
    missing_rows: full
    entities:
      student_identifier:
        columns: {{student_id: id, id: badge}}
        constants: {{system: badges}}
  enrollment:
    kind: delimited
    files: enrollment.csv
    missing_rows: full
    entities:
      student_school_enrollment:
        columns: {{student_id: id, school_id: school, entry_date: from, exit_date: to, grade: grade, exit_type: why}}
  attendance:
    kind: delimited
    files: attendance.csv
    missing_rows: window
    attendance_records: every_day
    settle_days: 5
    entities:
      attendance_event:
        columns: {{student_id: id, school_id: school, date: day, category: mark, fraction_absent: missed}}
  incidents:
    kind: delimited
    files: incidents.csv
    missing_rows: full
    required: false
    entities:
      discipline_incident:
        columns: {{incident_id: no, school_id: school, date: day, time: at, behavior: what, location: where, reporter_role: by}}
  participants:
    kind: delimited
    files: participants.csv
    missing_rows: full
    required: false
    entities:
      discipline_incident_student:
        columns: {{incident_id: no, school_id: school, student_id: id, participation: part, behavior: what}}
  consequences:
    kind: delimited
    files: consequences.csv
    missing_rows: full
    required: false
    entities:
      discipline_action:
        columns: {{action_id: no, incident_id: incident, student_id: id, school_id: school, date: day, action: kind, days_planned: days}}
  waves:
    kind: delimited
    files: waves.csv
    missing_rows: append
    required: false
    entities:
      survey:
        columns: {{survey_id: wave, survey_name: title, universe: of, opened: from, closed: to, is_anonymous: anonymous}}
  invited:
    kind: delimited
    files: invited.csv
    missing_rows: append
    required: false
    student_system: badges
    entities:
      survey_invitation:
        columns: {{survey_id: wave, student_id: badge, school_id: school}}
  answers:
    kind: delimited
    files: answers.csv
    missing_rows: append
    required: false
    student_system: badges
    entities:
      survey_response:
        columns: {{survey_id: wave, response_id: no, student_id: badge, school_id: school, submitted: day, item_id: item, construct: topic, answer: answer}}
  state:
    kind: delimited
    files: state.csv
    missing_rows: full
    required: false
    expected: year
    masks: ["*"]
    entities:
      state_report:
        columns: {{state_organization_id: org, organization_level: level, school_year: year, indicator: what, student_group: who, numerator: n, denominator: d, rate: percent, mask: percent}}
        constants: {{rate_unit: percent}}
"""  # noqa: E501
#: What the state says: what is so, a student who is alone in a group, what it hides, what is not so, and another's.
STATE = """\
org,level,year,what,who,n,d,percent
00417,district,2026,CA1,ALL,12,40,30.0
00417,district,2026,CA1,SWD,0,1,0.0
00417,district,2026,CA1,F,,,*
00417,district,2026,XYZ,ALL,,,50.0
south,school,2026,CA2,ALL,,,55.0
00999,district,2026,CA1,ALL,1,100,1.0
"""


def write(folder: Path) -> Path:
    """Write the district's files into `folder`: its district.yaml."""
    folder.mkdir(parents=True)
    (folder / "district.yaml").write_text(DISTRICT, encoding="utf-8")
    (folder / "crosswalks").mkdir()
    (folder / "crosswalks" / "attendance.csv").write_text(
        "crosswalk,code,value\nattendance_category,P,present\nattendance_category,A,absent\n", encoding="utf-8"
    )
    (folder / "crosswalks" / "state.csv").write_text(
        "crosswalk,code,value\nstate_indicator,CA1,chronic_absence_local\nstate_indicator,CA2,chronic_absence\n"
        "state_student_group,SWD,disability:idea\nstate_student_group,ALL,all\nstate_student_group,F,sex:female\n",
        encoding="utf-8",
    )
    (folder / "state.csv").write_text(STATE, encoding="utf-8")
    days = session_days()
    secret = [SECRET_NAME, f"{SECRET_ID} {SECRET_NAME}"]
    names = ["name", "note"]  # columns that no map names

    def rows(name: str, header: list[str], good: list[list[str]], bad: list[list[str]]) -> None:
        """Good rows with secrets in unmapped columns, bad ones, one with too many cells and one with too few."""
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow([*header, *names])
            table.writerows([*row, *secret] for row in [*good, *bad])
            if good:
                table.writerow([*good[-1], *secret, SECRET_NAME, SECRET_ID, "too", "many"])
                table.writerow([student(99), SECRET_NAME])

    with (folder / "schools.csv").open("w", encoding="utf-8") as file:
        file.write(f"school,name,principal\nnorth,North School,{SECRET_NAME}\nsouth,South School,{SECRET_NAME}\n")
    _write_students(folder / "students.xml")
    rows(
        "demographics.csv",
        ["id", "from", "sex", "hispanic", "races", "plan"],
        [[student(n), "2025-08-01", "F" if n % 2 else "M", "no", "white", "none"] for n in range(1, 41)]
        + [[student(MOVER), FOUND_ON.isoformat(), "F", "no", "white", "IDEA"]],
        [
            [student(2), MISPLACED, "F", "no", "white", "none"],
            [student(3), "2026-01-20", OPEN_TEXT, OPEN_TEXT, OPEN_TEXT, OPEN_TEXT],
        ],
    )
    rows("identifiers.csv", ["id", "badge"], [[student(n), badge(n)] for n in range(1, 41)], [["", badge(77)]])
    rows(
        "enrollment.csv",
        ["id", "school", "from", "to", "grade", "why"],
        [[student(MOVER), "south", "2025-08-25", "2026-01-18", "05", "moved"]]
        + [[student(MOVER), "north", MOVED_ON.isoformat(), "", "05", ""]]
        + [[student(n), "south" if n <= 20 else "north", "2025-08-25", "", "05", ""] for n in range(2, 41)],
        [
            [student(4), "south", MISPLACED, "", "05", ""],
            [student(5), "north", "2025-08-25", "2025-09-25", OPEN_TEXT, OPEN_TEXT],
        ],
    )
    rows(
        "attendance.csv",
        ["id", "school", "day", "mark", "missed"],
        [
            [student(n), school_of(n, day), day.isoformat(), mark_of(n, number), ""]
            for number, day in enumerate(days, start=1)
            for n in range(1, 41)
        ],
        [
            [student(6), "south", MISPLACED, "P", ""],
            [student(6), "south", "2026-01-31", OPEN_TEXT, ""],
            [student(6), "south", "2026-01-30", "P", OPEN_TEXT],
            ["", "south", "2026-01-30", "P", ""],
        ],
    )
    rows(
        "incidents.csv",
        ["no", "school", "day", "at", "what", "where", "by"],
        [[f"{SECRET_ID}-i{n}", "north", "2026-01-12", "09:30", "objective", "gym", "teacher"] for n in range(1, 4)],
        [
            [f"{SECRET_ID}-i4", "north", "2026-01-13", OPEN_TEXT, "objective", "gym", "teacher"],
            [f"{SECRET_ID}-i5", "north", "2026-01-13", "10:00", OPEN_TEXT, OPEN_TEXT, OPEN_TEXT],
            [f"{SECRET_ID}-i6", "north", MISPLACED, "10:00", "objective", "gym", "teacher"],
        ],
    )
    rows(
        "participants.csv",
        ["no", "school", "id", "part", "what"],
        [[f"{SECRET_ID}-i{n}", "north", student(20 + n), "perpetrator", "objective"] for n in range(1, 4)],
        [[f"{SECRET_ID}-i5", "north", student(30), OPEN_TEXT, OPEN_TEXT]],
    )
    rows(
        "consequences.csv",
        ["no", "incident", "id", "school", "day", "kind", "days"],
        [
            [
                f"{SECRET_ID}-a{n}",
                f"{SECRET_ID}-i{n}",
                student(20 + n),
                "north",
                "2026-01-13",
                "Out of School Suspension",
                "1",
            ]
            for n in range(1, 4)
        ],
        [
            [f"{SECRET_ID}-a4", f"{SECRET_ID}-i5", student(10), "south", "2026-01-13", OPEN_TEXT, "1"],
            [f"{SECRET_ID}-a5", f"{SECRET_ID}-i5", student(30), "north", "2026-01-13", "other", OPEN_TEXT],
            [f"{SECRET_ID}-a6", f"{SECRET_ID}-i5", student(30), "north", MISPLACED, "other", "1"],
        ],
    )
    rows(
        "waves.csv",
        ["wave", "title", "of", "from", "to", "anonymous"],
        [["winter", "Winter survey", "student", "2026-01-12", "2026-01-16", "false"]],
        [["other", "Other survey", OPEN_TEXT, MISPLACED, "2026-01-16", "false"]],
    )
    rows(
        "invited.csv",
        ["wave", "badge", "school"],
        [["winter", badge(n), school_of(n, date(2026, 1, 12))] for n in range(1, 41)],
        [["winter", badge(88), "north"], ["winter", "", "north"]],
    )
    rows(
        "answers.csv",
        ["wave", "no", "badge", "school", "day", "item", "topic", "answer"],
        [
            [
                "winter",
                f"{SECRET_ID}-r{n}",
                badge(n),
                school_of(n, date(2026, 1, 13)),
                "2026-01-13",
                "q1",
                "belonging",
                "Agree",
            ]
            for n in range(1, 41)
        ],
        [
            ["winter", f"{SECRET_ID}-r1", badge(1), "south", "2026-01-13", "q2", "belonging", OPEN_TEXT],
            ["winter", f"{SECRET_ID}-r2", badge(2), "south", MISPLACED, "q2", "belonging", "Agree"],
            ["winter", f"{SECRET_ID}-r88", badge(88), "south", "2026-01-13", "q1", "belonging", "Agree"],
        ],
    )
    return folder / "district.yaml"


def session_days() -> list[date]:
    return [day for n in range(26) if (day := FIRST_DAY + timedelta(days=n)).weekday() < 5]


def student(number: int) -> str:
    return f"{SECRET_ID}{number:04d}"


def badge(number: int) -> str:
    """The same student's id in the other system."""
    return f"B-{SECRET_ID}-{number:04d}"


def school_of(number: int, day: date) -> str:
    if number == MOVER:
        return "south" if day < MOVED_ON else "north"
    return "south" if number <= 20 else "north"


def mark_of(number: int, day_number: int) -> str:
    """Students 2 to 13 of South miss the first two of 20 days, exactly a tenth; 21 to 30 of North the first one."""
    if 2 <= number <= 13:
        return "A" if day_number <= 2 else "P"
    if 21 <= number <= 30:
        return "A" if day_number <= 1 else "P"
    return "P"


def _write_students(file: Path) -> None:
    students = "\n".join(
        f"<Student><!-- {SECRET_NAME} --><StudentUniqueId>{student(n)}</StudentUniqueId>"
        f"<Name><FirstName>{SECRET_NAME}</FirstName></Name>"
        f"<Surprise kind='{SECRET_NAME}'>{SECRET_ID}</Surprise></Student>"
        for n in range(1, 41)
    )
    file.write_text(
        f"<?xml version='1.0' encoding='UTF-8'?>\n<!-- {SECRET_NAME} -->\n<InterchangeStudentParent>\n{students}\n"
        f"<Student><Name><FirstName>{SECRET_NAME}</FirstName></Name></Student>\n<Stranger>{SECRET_NAME}</Stranger>\n"
        "</InterchangeStudentParent>\n",
        encoding="utf-8",
    )
