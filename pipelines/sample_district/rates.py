"""The rates that the generator plants, in whole parts per million (`_PPM`) or percent (`_PERCENT`).

They are invented, but sit where published figures sit (METHODS.md 2 and 5): attendance near 94 %,
chronic absence 15 to 25 %, out-of-school suspension 4 to 7 % in a full year with Black students two to
three times as often as white students, 65 to 80 % of a student survey answered. Every draw is
compared with such an integer, so no figure hangs on how a machine rounds.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Races and ethnicities as the federal roll-up names them, in the order in which they are drawn.
RACES = (
    "white",
    "hispanic",
    "black",
    "asian",
    "two_or_more",
    "american_indian_or_alaska_native",
    "native_hawaiian_or_pacific_islander",
    "unknown",
)

#: Per mille of each race at the two ends of the district; a place between them mixes the two.
COMPOSITION_AT_START = (680, 110, 50, 90, 45, 5, 2, 18)
COMPOSITION_AT_END = (120, 430, 340, 25, 45, 15, 5, 20)

#: What a student reports about race, as the source writes it, with cumulative shares in ppm.
RACES_REPORTED: Mapping[str, tuple[tuple[str, int], ...]] = {
    "white": (("W", 1_000_000),),
    "hispanic": (
        ("W", 500_000),
        ("", 780_000),
        ("I", 860_000),
        ("B", 910_000),
        ("I|W", 960_000),
        ("B|W", 1_000_000),
    ),
    "black": (("B", 1_000_000),),
    "asian": (("A", 1_000_000),),
    "two_or_more": (
        ("B|W", 350_000),
        ("A|W", 650_000),
        ("I|W", 850_000),
        ("A|B", 930_000),
        ("A|P", 970_000),
        ("B|I|W", 1_000_000),
    ),
    "american_indian_or_alaska_native": (("I", 1_000_000),),
    "native_hawaiian_or_pacific_islander": (("P", 1_000_000),),
    "unknown": (("", 1_000_000),),
}

#: Share disadvantaged: at the start of the district, added toward its end, and by race.
ECONOMIC_START_PPM = 150_000
ECONOMIC_SLOPE_PPM = 500_000
ECONOMIC_BY_RACE_PPM = {"black": 110_000, "hispanic": 120_000, "american_indian_or_alaska_native": 120_000}

#: English learners among newcomers by race; fewer after the elementary grades.
ENGLISH_LEARNER_PPM = {"hispanic": 330_000, "asian": 260_000, "black": 50_000, "unknown": 90_000}
ENGLISH_LEARNER_OTHER_PPM = 15_000

IDEA_PPM = 140_000
IDEA_MALE_PPM = 40_000
SECTION_504_PPM = 40_000

#: Changes in a year, each for those whom it can concern.
RECLASSIFIED_PPM = 90_000
NEW_IEP_PPM = 15_000
ECONOMIC_CHANGE_PPM = 30_000

#: Coming and going in a year.
LEAVES_DURING_YEAR_PPM = 45_000
LEAVES_AFTER_YEAR_PPM = 50_000
MOVES_PPM = 75_000
PAUSES_PPM = 6_000
LATE_START_PPM = 60_000
CHARTER_PPM = 60_000
ALTERNATIVE_PPM = 25_000

#: A day absent, half a day or more, before the student's own factor.
ABSENCE_BY_LEVEL_PPM = {"elementary": 52_000, "middle": 57_000, "high": 73_000}
ABSENCE_BY_RACE_PERCENT = {
    "white": 88,
    "hispanic": 118,
    "black": 126,
    "asian": 60,
    "two_or_more": 106,
    "american_indian_or_alaska_native": 155,
    "native_hawaiian_or_pacific_islander": 130,
    "unknown": 105,
}
ABSENCE_BY_ECONOMIC_PERCENT = {"disadvantaged": 125, "not_disadvantaged": 80, "unknown": 100}
ABSENCE_BY_DISABILITY_PERCENT = {"idea": 125}
ABSENCE_BY_SCHOOL_TYPE_PERCENT = {"alternative": 190}
ABSENCE_MAXIMUM_PPM = 450_000

#: An incident of the student's own in a full year, and out-of-school suspension once there is one.
INCIDENT_BY_LEVEL_PPM = {"elementary": 38_000, "middle": 140_000, "high": 118_000}
INCIDENT_BY_RACE_PERCENT = {
    "white": 80,
    "hispanic": 105,
    "black": 175,
    "asian": 40,
    "two_or_more": 120,
    "american_indian_or_alaska_native": 145,
    "native_hawaiian_or_pacific_islander": 120,
    "unknown": 100,
}
INCIDENT_BY_SEX_PERCENT = {"male": 135, "female": 65}
INCIDENT_BY_ECONOMIC_PERCENT = {"disadvantaged": 125, "not_disadvantaged": 80, "unknown": 100}
INCIDENT_BY_DISABILITY_PERCENT = {"idea": 150}
INCIDENT_BY_SCHOOL_TYPE_PERCENT = {"alternative": 220}
INCIDENT_MAXIMUM_PPM = 700_000
NEXT_INCIDENT_PPM = 350_000
MAXIMUM_INCIDENTS = 4
SUSPENDED_BY_RACE_PPM = {"white": 560_000, "black": 680_000}
SUSPENDED_OTHER_PPM = 600_000
#: The share of incidents with a behavior that lies in the eye of the beholder.
SUBJECTIVE_BY_RACE_PPM = {"black": 600_000}
SUBJECTIVE_OTHER_PPM = 430_000

#: A student survey answered: what is taken off the share of a group that answers most.
RESPONSE_PPM = 800_000
RESPONSE_LESS_BY_RACE_PPM = {"black": 45_000, "american_indian_or_alaska_native": 70_000, "unknown": 60_000}
RESPONSE_LESS_BY_ECONOMIC_PPM = {"disadvantaged": 45_000}
RESPONSE_LESS_BY_LANGUAGE_PPM = {"english_learner": 110_000}
RESPONSE_LESS_BY_DISABILITY_PPM = {"idea": 70_000}
RESPONSE_LESS_OFTEN_ABSENT_PPM = 120_000
ITEM_SKIPPED_PPM = 30_000

#: A favorable answer to an item on belonging, in grade 3, and what a grade and a group take off.
FAVORABLE_PPM = 760_000
FAVORABLE_LESS_PER_GRADE_PPM = 17_000
FAVORABLE_LESS_BY_RACE_PPM = {
    "black": 110_000,
    "hispanic": 50_000,
    "two_or_more": 60_000,
    "american_indian_or_alaska_native": 130_000,
    "native_hawaiian_or_pacific_islander": 80_000,
    "unknown": 50_000,
}
FAVORABLE_LESS_BY_DISABILITY_PPM = {"idea": 60_000}
FAVORABLE_MINIMUM_PPM = 50_000
FAVORABLE_MAXIMUM_PPM = 950_000


def by_value(column: str, values: Mapping[str, int], otherwise: int) -> str:
    """SQL that looks `column` up in `values` and falls back to `otherwise`."""
    cases = " ".join(f"WHEN '{value}' THEN {number}" for value, number in values.items())
    return f"CASE {column} {cases} ELSE {otherwise} END"
