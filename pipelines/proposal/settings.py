"""How a source is to be read: date formats, what a missing row means, masks, how often it comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pipelines.contract import ENTITIES
from pipelines.proposal.codes import CodeList
from pipelines.proposal.columns import Choice
from pipelines.proposal.entities import TODO, EntityProposal
from pipelines.proposal.extracts import Extract
from pipelines.proposal.profile import Profile, day_of
from pipelines.sources import KNOW_THEIR_LAYOUT

ISO = "%Y-%m-%d"
#: Kinds whose days arrive as ISO dates, whatever they look like to the eye: their readers say so.
_TYPED = frozenset({"excel", "parquet", "json_lines"})
#: Shares of days from Monday to Friday by which one of two formats is taken: school days are hardly ever others.
_SCHOOL_DAYS, _OTHER_DAYS = 0.97, 0.9


@dataclass
class Setting:
    """One proposed setting: value, confidence (sure, likely, unsure) and reason."""

    value: Any
    confidence: str = "sure"
    reason: str = ""


@dataclass
class SourceProposal:
    """A whole source. settings: in the order of the file. not_carried: columns that are left behind on purpose, with
    what they hold; spare: columns that nothing in the contract takes."""

    extract: Extract
    entities: list[EntityProposal]
    settings: dict[str, Setting] = field(default_factory=dict)
    not_carried: dict[str, str] = field(default_factory=dict)
    spare: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.extract.name

    @property
    def unsure(self) -> list[str]:
        """What a person has to look at, each in a few words."""
        found = [f"{name}" for name, one in self.settings.items() if one.confidence == "unsure"]
        for entity in self.entities:
            found += [f"{entity.entity}.{name}" for name, one in entity.choices.items() if one.confidence == "unsure"]
            found += [f"{entity.entity}.{name}" for name, value in entity.constants.items() if value == TODO]
        return found


def sources(
    found: Sequence[Extract],
    proposed: Mapping[str, list[EntityProposal]],
    listed: CodeList,
    systems: Mapping[str, str],
) -> list[SourceProposal]:
    """Every extract that feeds something, with its settings. systems: extract -> the other system whose student ids it
    holds, '' for the district's own."""
    hint = _day_order(found)
    made = []
    for extract in found:
        if not proposed[extract.name]:
            continue
        source = SourceProposal(extract, proposed[extract.name])
        _layout(source)
        _dates(source, hint)
        _cells(source)
        source.settings["missing_rows"] = _missing_rows(source)
        source.settings["expected"] = _expected(source)
        if any(entity.entity == "attendance_event" for entity in source.entities):
            source.settings["attendance_records"] = _attendance_records(source, listed)
        if system := systems.get(extract.name, ""):
            source.settings["student_system"] = Setting(system, "likely", "its student ids are those of this system")
        _columns_left(source)
        made.append(source)
    return made


def _layout(source: SourceProposal) -> None:
    table = source.extract.table
    notes = "; ".join(table.notes)
    confidence = "unsure" if table.unsure else "likely"
    for name in ("encoding", "delimiter", "header", "column_names", "footer_lines", "sheet", "fields"):
        if name in table.settings:
            source.settings[name] = Setting(table.settings[name], confidence, notes)
    if "first_line_is_names" in table.settings:
        for entity in source.entities:
            first = table.columns[0]
            entity.where.setdefault("not:" + first, [table.settings["first_line_is_names"]])


# --- dates ---------------------------------------------------------------------------------------------------


def _date_profiles(source: SourceProposal) -> list[Profile]:
    found: dict[str, Profile] = {}
    for entity in source.entities:
        by_name = ENTITIES[entity.entity].by_name
        for name, choice in entity.choices.items():
            if by_name[name].type == "date" and isinstance(choice.target, str):
                found[choice.target] = source.extract.profile(choice.target)
    return list(found.values())


def _order(date_format: str) -> str:
    """month or day: which of the two comes first; '' where the year does, or the month is a word."""
    at = {part: date_format.find(part) for part in ("%Y", "%y", "%m", "%d")}
    year = max(at["%Y"], at["%y"])
    if at["%m"] < 0 or year < min(at["%m"], at["%d"]):
        return ""
    return "month" if at["%m"] < at["%d"] else "day"


def _decided(profile: Profile) -> str:
    """Which of month and day comes first in this column, where its values leave no choice."""
    orders = {_order(one) for one in profile.date_formats}
    return orders.pop() if len(orders) == 1 else ""


def _day_order(found: Sequence[Extract]) -> Mapping[str, str]:
    """Extract -> what comes first in its other dates (birth dates too): an export writes all its dates alike."""
    result = {}
    for extract in found:
        decided = {order for one in extract.profiles if (order := _decided(one))}
        result[extract.name] = decided.pop() if len(decided) == 1 else ""
    return result


def _dates(source: SourceProposal, hint: Mapping[str, str]) -> None:
    profiles = [one for one in _date_profiles(source) if one.is_date]
    if not profiles or source.extract.table.kind in KNOW_THEIR_LAYOUT:
        return
    formats: dict[str, None] = {}
    confidence, reasons = "sure", []
    for profile in profiles:
        chosen, how_sure, reason = _formats(profile, hint[source.name])
        formats.update(dict.fromkeys(chosen))
        confidence = max(confidence, how_sure, key=["sure", "likely", "unsure"].index)
        if reason:
            reasons.append(f"{profile.name}: {reason}")
    ordered = list(formats)
    if ordered != [ISO] and not (source.extract.table.kind in _TYPED and ordered == [ISO]):
        reason = "; ".join(dict.fromkeys(reasons)) or "every day in the sample fits"
        source.settings["date_formats"] = Setting(ordered, confidence, reason)


def _formats(profile: Profile, hint: str) -> tuple[list[str], str, str]:
    """The formats of a column, how surely, and why."""
    formats = list(profile.date_formats)
    orders = {_order(one) for one in formats} - {""}
    if len(formats) == 1:
        return formats, "sure", ""
    if _together(profile, formats):
        note = "several formats stand in it"
        if orders == {"month", "day"}:
            return formats, "unsure", f"{note}; days that fit both ways are refused"
        return formats, "likely", note
    if len(orders) < 2:
        return formats[:1], "sure", ""
    weekdays = {one: _share_of_school_days(profile, one) for one in formats if _order(one)}
    best = max(weekdays, key=lambda one: weekdays[one])
    if weekdays[best] >= _SCHOOL_DAYS and all(
        share < _OTHER_DAYS for one, share in weekdays.items() if _order(one) != _order(best)
    ):
        return [best], "likely", f"only with the {_order(best)} first are its days school days"
    if hint:
        chosen = [one for one in formats if _order(one) == hint]
        return chosen[:1], "likely", f"other dates of the file have the {hint} first"
    first = {order: next(one for one in formats if _order(one) == order) for order in ("month", "day")}
    return list(first.values()), "unsure", "no day above 12 tells day from month: keep the one that is right"


def _together(profile: Profile, formats: Sequence[str]) -> bool:
    """Whether no single format fits all: two exports in one column."""
    tried = list(profile.values)[:500]
    return not any(all(_fits(value, one) for value in tried) for one in formats)


def _fits(value: str, date_format: str) -> bool:
    try:
        day_of(value, date_format)
    except ValueError:
        return False
    return True


def _share_of_school_days(profile: Profile, date_format: str) -> float:
    days = [day_of(value, date_format) for value in list(profile.values)[:500] if _fits(value, date_format)]
    return sum(day.weekday() < 5 for day in days) / len(days) if len(days) >= 10 else 0.0


def days_of(source: SourceProposal, column: str) -> tuple[date, date] | None:
    """The first and last day of a contract's date column in the sample, read by the first proposed format that fits."""
    formats = source.settings.get("date_formats", Setting([ISO])).value
    for entity in source.entities:
        choice = entity.choices.get(column)
        if choice is None or not isinstance(choice.target, str):
            continue
        values = source.extract.profile(choice.target).values
        days = [day_of(value, one) for value in values for one in formats[:1] if _fits(value, one)]
        if days:
            return min(days).date(), max(days).date()
    return None


# --- cells and rows ------------------------------------------------------------------------------------------


def _cells(source: SourceProposal) -> None:
    """Cells that mean that nothing was entered, or that hide a number, in columns that are mapped."""
    nothing: dict[str, None] = {}
    masks: dict[str, None] = {}
    for entity in source.entities:
        for choice in entity.choices.values():
            for name in choice.names:
                if name in source.extract.table.columns:
                    profile = source.extract.profile(name)
                    nothing.update(dict.fromkeys(profile.nothing))
                    masks.update(dict.fromkeys(profile.masks))
    if nothing:
        source.settings["empty_values"] = Setting(list(nothing), "likely", "cells that say that nothing was entered")
    if masks:
        source.settings["masks"] = Setting(list(masks), "likely", "cells by which a number is hidden")


def _missing_rows(source: SourceProposal) -> Setting:
    fed = {entity.entity for entity in source.entities}
    if {"survey_response", "survey_invitation"} & fed:
        return Setting("append", "unsure", "a survey wave stays as it was sent")
    if {"attendance_event", "attendance_taken"} & fed:
        return Setting("window", "unsure", "attendance usually restates the days that are in the file; ask the vendor")
    if "student_school_enrollment" in fed:
        enrollment = next(one for one in source.entities if one.entity == "student_school_enrollment")
        exit_date = enrollment.choices.get("exit_date")
        left = exit_date is not None and isinstance(exit_date.target, str)
        if left and not source.extract.profile(str(exit_date.target)).is_empty:  # type: ignore[union-attr]
            return Setting("full", "unsure", "the file names students who have left, so it looks like all of them")
        return Setting("active_only", "unsure", "nobody in the file has left, so it looks like active students only")
    return Setting("full", "unsure", "a list of all; say so, or change it")


def _expected(source: SourceProposal) -> Setting:
    fed = {entity.entity for entity in source.entities}
    if {"survey_response", "survey"} & fed:
        return Setting("once", "likely", "a survey wave comes once")
    if fed <= {"school", "calendar_date", "bell_schedule"}:
        return Setting("year", "likely", "changes with the school year")
    return Setting("school_days", "likely", "due every school day")


def _attendance_records(source: SourceProposal, listed: CodeList) -> Setting:
    """every_day where marks of presence are most of the rows, or there are nearly as many rows as students x days."""
    settled = source.extract.table.settings.get("attendance_records")
    if settled:
        return Setting(settled, "likely", "by the marks of presence in the file")
    proposal = next(one for one in source.entities if one.entity == "attendance_event")
    if proposal.unpivot is not None:
        return _grid_records(source, proposal)
    category = _profile(source, proposal.choices.get("category"))
    student = _profile(source, proposal.choices.get("student_id"))
    day = _profile(source, proposal.choices.get("date"))
    meanings = {code.code.lower(): code.value or code.guess for code in listed.of("attendance_category")}
    if category is None or student is None or day is None or not category.filled:
        return Setting("exceptions", "unsure", "nothing in the file tells whether present days are sent")
    present = sum(count for value, count in category.values.items() if meanings.get(value.lower()) == "present")
    share = (present + category.rows - category.filled) / max(1, category.rows)
    if share >= 0.5:
        return Setting("every_day", "sure", f"{share:.0%} of the rows are marks of presence")
    density = student.rows / max(1, len(student.values) * len(day.values)) if source.extract.table.whole else 0.0
    if density >= 0.6:
        return Setting("every_day", "likely", "there is a row for most students on most days")
    if share == 0:
        return Setting("exceptions", "likely", "no row is a mark of presence")
    return Setting("exceptions", "unsure", f"{share:.0%} of the rows are marks of presence")


def _grid_records(source: SourceProposal, proposal: EntityProposal) -> Setting:
    days = proposal.melted(source.extract.table.columns)
    columns = [one for one in source.extract.profiles if one.rows and one.name in days]
    blank = sum(one.blank for one in columns) / len(columns) if columns else 1.0
    if blank > 0.5:
        return Setting("exceptions", "likely", f"{blank:.0%} of the days' cells are empty")
    return Setting("every_day", "likely", f"{1 - blank:.0%} of the days' cells are filled")


def _profile(source: SourceProposal, choice: Choice | None) -> Profile | None:
    if choice is None or not isinstance(choice.target, str):
        return None
    return source.extract.profile(choice.target)


def _columns_left(source: SourceProposal) -> None:
    used = {name for entity in source.entities for choice in entity.choices.values() for name in choice.names}
    used |= {name for entity in source.entities for name in entity.where}
    used |= {name for entity in source.entities for name in entity.melted(source.extract.table.columns)}
    for profile in source.extract.profiles:
        if profile.name in used:
            continue
        if profile.kept_out is not None:
            source.not_carried[profile.name] = profile.kept_out
        else:
            source.spare.append(profile.name)
