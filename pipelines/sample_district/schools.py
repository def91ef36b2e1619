"""The schools: how many, of which level and kind, and which part of the district each one serves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from pipelines.sample_district.plan import draw

STUDENTS_PER_SCHOOL = 600
#: Below this many operated schools there is room for one of each level and nothing else.
SCHOOLS_FOR_EVERY_KIND = 6

_FIRST_WORDS = (
    "Alder Amber Aspen Basalt Birch Bramble Brook Cedar Clover Copper Cricket Dogwood Ember Fern Flint Foxglove "
    "Granite Harvest Hazel Heron Indigo Juniper Kestrel Lantern Larch Linden Maple Marigold Meadowlark Nettle "
    "Oriole Otter Pebble Plover Quarry Quill Rowan Saffron Sorrel Sparrow Tamarack Thistle Tupelo Willow"
)
_SECOND_WORDS = (
    "Bend Bluff Canyon Crossing Dale Falls Field Ford Gate Glen Grove Harbor Heights Hill Hollow Knoll Lake Landing "
    "Mill Park Point Prairie Ridge Run Shore Spring Terrace Trail Vale View"
)
_FIRST = _FIRST_WORDS.split()
_SECOND = _SECOND_WORDS.split()
_SUFFIX = {
    "elementary": "Elementary School",
    "middle": "Middle School",
    "high": "High School",
    "charter": "Charter School",
    "alternative": "Learning Center",
    "placement": "Day School",
}
#: A stride without a factor in common with the number of names, so that names repeat only after all are used.
_NAME_STRIDE = 787


@dataclass(frozen=True)
class School:
    """One school. `pool` says whom it takes; `zone_from` where its part of the pool begins, in ppm."""

    number: int
    name: str
    pool: str
    level: str
    school_type: str
    calendar: str
    every_day: bool
    opened: date
    zone_from: int

    @property
    def school_id(self) -> str:
        return f"{self.number:04d}"

    @property
    def is_charter(self) -> bool:
        return self.pool == "charter"

    @property
    def operated_by_district(self) -> bool:
        return self.pool != "placement"

    @property
    def is_regular(self) -> bool:
        return self.pool in ("elementary", "middle", "high")


def _counts(students: int) -> dict[str, int]:
    operated = 3 + students // STUDENTS_PER_SCHOOL
    every_kind = operated >= SCHOOLS_FOR_EVERY_KIND
    alternative = max(1, operated // 40) if every_kind else 0
    charter = max(1, operated // 20) if every_kind else 0
    regular = operated - alternative - charter
    middle = high = max(1, regular // 5)
    return {
        "elementary": regular - middle - high,
        "middle": middle,
        "high": high,
        "charter": charter,
        "alternative": alternative,
        "placement": 1,
    }


def _name(index: int, pool: str, seed: int) -> str:
    total = len(_FIRST) * len(_SECOND)
    lap, _ = divmod(index, total)
    place = (index * _NAME_STRIDE + draw(seed, "school_name", 0)) % total
    again = f" {lap + 1}" if lap else ""
    return f"{_FIRST[place % len(_FIRST)]} {_SECOND[place // len(_FIRST)]}{again} {_SUFFIX[pool]}"


def build(students: int, seed: int) -> Iterator[School]:
    """The operated schools of a district of this size (3 at 200, 6 at 2,000, 103 at 60,000) and a placement school.

    The first elementary school always sends a row for every student and day, the first high school and
    the schools outside the regular ones only exceptions, so that every district has both.
    """
    number = 0
    for pool, count in _counts(students).items():
        weights = [60 + draw(seed, f"size_{pool}", i) % 81 for i in range(count)]
        for i in range(count):
            number += 1
            sends_all = pool in ("elementary", "middle", "high") and draw(seed, f"every_day_{pool}", i) < 650_000
            yield School(
                number=number,
                name=_name(number - 1, pool, seed),
                pool=pool,
                level={"charter": "combined", "alternative": "high", "placement": "combined"}.get(pool, pool),
                school_type={"alternative": "alternative", "placement": "special education"}.get(pool, "regular"),
                calendar={"elementary": "elementary_middle", "middle": "elementary_middle", "alternative": "high"}.get(
                    pool, pool
                ),
                every_day=(sends_all or (pool == "elementary" and i == 0)) and not (pool == "high" and i == 0),
                opened=date(1950 + draw(seed, "opened", number) % 60, 8, 15),
                zone_from=sum(weights[:i]) * 1_000_000 // sum(weights),
            )
