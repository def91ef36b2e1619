"""A small made-up district from which every export is written, deterministic for a seed.

Nobody in it is real. What each export should be understood as follows from this world, not from the program that
is measured.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta

FIRST_DAY, LAST_DAY = date(2025, 9, 2), date(2025, 11, 26)
_HOLIDAYS = {date(2025, 10, 13), date(2025, 11, 11)}
#: An absence, a late arrival and a suspension, as the contract says them.
MARKS = ("absent_excused", "absent_unexcused", "tardy", "absent_suspension")
RACES = ("american_indian_or_alaska_native", "asian", "black", "native_hawaiian_or_pacific_islander", "white")
_FIRST = ("Avery", "Blake", "Casey", "Devon", "Emery", "Finley", "Harper", "Jordan", "Kendall", "Logan", "Morgan")
_LAST = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Hazel", "Juniper", "Larch", "Maple", "Oak", "Pine")


@dataclass
class School:
    """A school: number, name, level (elementary, middle, high) and its grades."""

    number: str
    name: str
    level: str
    grades: tuple[str, ...]


@dataclass
class Student:
    """A student. number: the district's; state, internal: two other systems' ids for the same student."""

    number: str
    state: str
    internal: str
    first: str
    last: str
    born: date
    sex: str
    hispanic: bool
    races: tuple[str, ...]
    economic: str  # free, reduced, paid
    learner: bool
    disability: str  # idea, section_504, none
    school: School
    grade: str
    entered: date
    left: date | None = None


@dataclass
class Mark:
    """One exception on one day."""

    student: Student
    day: date
    kind: str


@dataclass
class Incident:
    """What happened, who did it, and what followed."""

    number: str
    day: date
    school: School
    behavior: str  # fighting, disrespect, tobacco, skipping
    place: str
    students: list[Student]
    actions: list[tuple[str, Student, str, int]]  # id, student, kind, days


@dataclass
class World:
    """The whole district."""

    schools: list[School]
    students: list[Student]
    days: list[date]
    marks: list[Mark]
    incidents: list[Incident] = field(default_factory=list)


def world(seed: int = 7, students: int = 240) -> World:
    """The district of this seed."""
    chance = random.Random(seed)
    schools = [
        School("0101", "Alder Elementary", "elementary", ("KG", "01", "02", "03", "04", "05")),
        School("0204", "Birch Middle School", "middle", ("06", "07", "08")),
        School("0307", "Cedar High School", "high", ("09", "10", "11", "12")),
    ]
    span = [FIRST_DAY + timedelta(n) for n in range((LAST_DAY - FIRST_DAY).days + 1)]
    days = [day for day in span if day.weekday() < 5 and day not in _HOLIDAYS]
    made = [_student(chance, number, schools) for number in range(students)]
    marks = []
    for student in made:
        rate = chance.choice((0.02, 0.04, 0.08, 0.2))
        for day in days:
            if chance.random() < rate and student.entered <= day and (student.left is None or day <= student.left):
                kind = chance.choices(MARKS, weights=(50, 30, 18, 2))[0]
                marks.append(Mark(student, day, kind))
    result = World(schools, made, days, marks)
    for number in range(60):
        school = chance.choice(schools)
        involved = chance.sample([one for one in made if one.school is school], chance.choice((1, 1, 1, 2)))
        day = chance.choice(days)
        behavior = chance.choice(("fighting", "disrespect", "tobacco", "skipping"))
        actions = []
        for place, student in enumerate(involved):
            kind = chance.choices(("oss", "iss", "detention", "conference"), weights=(3, 3, 3, 2))[0]
            days_off = chance.randint(1, 5) if kind in ("oss", "iss") else 0
            actions.append((f"{70000 + 10 * number + place}", student, kind, days_off))
        place_name = chance.choice(("Hallway", "Classroom", "Cafeteria", "Bus"))
        result.incidents.append(Incident(str(5001 + number), day, school, behavior, place_name, involved, actions))
    return result


def _student(chance: random.Random, number: int, schools: list[School]) -> Student:
    school = chance.choices(schools, weights=(5, 3, 4))[0]
    grade = chance.choice(school.grades)
    age = 5 if grade == "KG" else 5 + int(grade)
    races = (chance.choices(RACES, weights=(2, 10, 20, 1, 60))[0],)
    if chance.random() < 0.08:
        races = tuple(chance.sample(RACES, 2))
    late = chance.random() < 0.06
    left = FIRST_DAY + timedelta(chance.randint(20, 60)) if chance.random() < 0.05 else None
    return Student(
        number=f"{104200 + 7 * number}",
        state=f"90{31007100 + 13 * number}",
        internal=str(30511 + 3 * number),
        first=chance.choice(_FIRST),
        last=chance.choice(_LAST),
        born=date(2025 - age, chance.randint(1, 12), chance.randint(1, 28)),
        sex=chance.choices(("female", "male", "nonbinary"), weights=(49, 49, 2))[0],
        hispanic=chance.random() < 0.3,
        races=races,
        economic=chance.choices(("free", "reduced", "paid"), weights=(4, 1, 5))[0],
        learner=chance.random() < 0.15,
        disability=chance.choices(("idea", "section_504", "none"), weights=(14, 4, 82))[0],
        school=school,
        grade=grade,
        entered=FIRST_DAY + timedelta(chance.randint(5, 30)) if late else FIRST_DAY,
        left=left,
    )
