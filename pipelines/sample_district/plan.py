"""What was asked for, and the dates that follow from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from pipelines.sample_district import calendars

#: The last day with data unless another is asked for: mid-year on purpose, so that year-to-date matters.
DEFAULT_END = date(2026, 3, 27)

MINIMUM_STUDENTS = 200
MAXIMUM_STUDENTS = 1_000_000
MAXIMUM_YEARS = 12

#: Modulus of the day draws: a prime, so that a*b + c spreads evenly, and small enough for 64-bit products.
DAY_MODULUS = 2_147_483_647
#: Day draws that are one part per million of the modulus.
DAY_PPM = DAY_MODULUS // 1_000_000


@dataclass(frozen=True)
class Plan:
    """One sample district to make: size, span, seed, and the faults to plant."""

    students: int
    years: int
    seed: int
    end: date
    out: Path
    faults: tuple[str, ...]

    @property
    def extracts(self) -> Path:
        return self.out / "extracts"

    @property
    def later(self) -> Path:
        return self.out / "later"

    @property
    def last_year(self) -> int:
        """The newest school year with a session day on or before the end."""
        begun = calendars.earliest_first_day(self.end.year + 1) <= self.end
        return self.end.year + 1 if begun else self.end.year

    @property
    def school_years(self) -> list[int]:
        return list(range(self.last_year - self.years + 1, self.last_year + 1))


def draw(seed: int, purpose: str, entity: int) -> int:
    """A number in 0..999,999 that only the seed, the purpose and the entity decide (for schools and dates)."""
    digest = hashlib.md5(f"{seed}|{purpose}|{entity}".encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big") % 1_000_000


def create_draws(connection: duckdb.DuckDBPyConnection, seed: int) -> None:
    """Make the SQL macros behind every random choice.

    `draw(purpose, entity)` is 0..999,999; `long_draw` is 0..DAY_MODULUS-1; `student_id(number)` is the id
    that the district's systems know: nine digits, leading zeros kept, one to one with the number.
    They rest on MD5 and not on the engine's random() or hash(): those follow threads and versions.
    """
    salt = draw(seed, "student_id", 0)
    connection.execute(f"""
        CREATE MACRO draw(purpose, entity) AS
            CAST(md5_number_lower('{seed}|' || purpose || '|' || entity) % 1000000 AS BIGINT);
        CREATE MACRO long_draw(purpose, entity) AS
            CAST(md5_number_lower('{seed}|' || purpose || '|' || entity) % {DAY_MODULUS} AS BIGINT);
        CREATE MACRO student_id(number) AS
            lpad(CAST((CAST(number AS BIGINT) * 48271 + {salt}) % 999999937 AS VARCHAR), 9, '0');
        CREATE MACRO response_id(school_year, number) AS
            'R' || school_year || lpad(CAST((CAST(number AS BIGINT) * 69621 + {salt}) % 999999937 AS VARCHAR), 9, '0');
        CREATE MACRO incident_id(number) AS
            lpad(CAST((CAST(number AS BIGINT) * 48271 + {salt}) % 99999999977 AS VARCHAR), 11, '0');
        CREATE MACRO school_id(number) AS lpad(CAST(number AS VARCHAR), 4, '0');
    """)


def sql_path(path: Path) -> str:
    """A path as a SQL string, quotes and all."""
    quoted = str(path).replace("'", "''")
    return f"'{quoted}'"
