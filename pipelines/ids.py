"""Ids written alike, so that one student or school has one id in every file."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from pipelines.config import IdRules, Settings
from pipelines.contract import Column

#: School columns whose ids are the district's; `all` there means every school and is no id.
_SCHOOL_COLUMNS = frozenset({"school_id", "responsible_school_id", "successor_school_id", "organization_id"})
_EVERY_SCHOOL = "all"
AS_WRITTEN = IdRules()


def with_id_rules(settings: Settings) -> Settings:
    """The settings with the rules of ids spelt out for every source, and the calendars' schools written by them."""
    about = settings.district
    sources = {
        name: source.model_copy(
            update={
                "student_ids": source.student_ids or about.student_ids,
                "school_ids": source.school_ids or about.school_ids,
            }
        )
        for name, source in settings.sources.items()
    }
    calendar = [
        year.model_copy(update={"schools": _written(year.schools, about.school_ids)}) for year in settings.calendar
    ]
    return settings.model_copy(update={"sources": sources, "calendar": calendar})


def _written(ids: Sequence[str], rules: IdRules) -> list[str]:
    """Ids by the rules, by the same engine that writes those of the files."""
    if rules == AS_WRITTEN:
        return list(ids)
    with duckdb.connect() as con:
        rows = con.execute(
            f"SELECT {normal_id('id', rules)} FROM (SELECT trim(unnest(?)) AS id)", [list(ids)]
        ).fetchall()
    return [str(row[0]) for row in rows]


def rules_for(column: Column, student_ids: IdRules | None, school_ids: IdRules | None) -> IdRules:
    """The rules by which a contract column is written; ids of incidents, actions and answers stay as they are."""
    if column.type == "key" and column.domain == "student":
        return student_ids or AS_WRITTEN
    if column.name in _SCHOOL_COLUMNS:
        return school_ids or AS_WRITTEN
    return AS_WRITTEN


def normal_id(text: str, rules: IdRules) -> str:
    """SQL of an id written by the rules. text: SQL of its trimmed text; NULL and '' stay what they are.

    Zeros are taken from, and put before, ids of the digits 0 to 9 only: 0A1 and A1 are two ids.
    """
    if rules == AS_WRITTEN:
        return text
    cased = {"keep": text, "upper": f"upper({text})", "lower": f"lower({text})"}[rules.case]
    digits = f"coalesce(nullif(ltrim({text}, '0'), ''), '0')" if rules.leading_zeros == "strip" else text
    if rules.pad_to is not None:
        digits = f"lpad({digits}, greatest(length({digits}), {rules.pad_to})::INTEGER, '0')"
    numbered = f"WHEN regexp_full_match({text}, '[0-9]+') THEN {digits}" if digits != text else ""
    return f"CASE WHEN {text} = '{_EVERY_SCHOOL}' THEN {text} {numbered} ELSE {cased} END"
