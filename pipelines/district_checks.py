"""What no single type can know about a `district.yaml`: names that must exist elsewhere, dates that must
lie inside others, and what one part of the file needs from another.

Everything here reads plain values of any type. `config.py` has already named the wrong types, so a value
of another type than expected is passed over.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from pipelines.config import as_day, closure_span
from pipelines.contract import ENTITIES, REFUSED_COLUMN_WORDS, Column
from pipelines.mapping import CONSTANT_PATTERNS, FIRST_YEAR, LAST_YEAR
from pipelines.sources import KINDS, KNOW_THEIR_LAYOUT
from pipelines.yaml_document import Document, Where, closest, shorten

#: Categories that an intersection may cross; each splits the students into parts that add up to all.
CROSSABLE_CATEGORIES = ("race_ethnicity", "race_reported", "sex", "economic", "language", "disability")

#: The id that the published tables use for "not one in particular".
_RESERVED_ID = "all"

_YEAR, _MONTH, _DAY = frozenset("yY"), frozenset("mbB"), frozenset("d")
_DIRECTIVES = _YEAR | _MONTH | _DAY | frozenset("aAHIMSfpzZ")


def refused_word(column: str) -> str | None:
    """The refused word (contract.REFUSED_COLUMN_WORDS) in a column's name, in whatever spelling.

    Long words are found anywhere; a short one only as a word of its own or at either end, since
    `class_name` is no social security number.
    """
    letters = re.sub(r"[^a-z]", "", column.lower())
    words = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", column)}
    for refused in REFUSED_COLUMN_WORDS:
        if len(refused) > 4 and refused in letters:
            return refused
        if len(refused) <= 4 and (refused in words or letters.startswith(refused) or letters.endswith(refused)):
            return refused
    return None


def check(document: Document, data: Mapping[str, Any]) -> None:
    """Adds to the document every problem between its parts. data: the document's plain values."""
    district = _map(data.get("district"))
    sources = {name: _map(source) for name, source in _map(data.get("sources")).items()}
    _check_district(document, district)
    _check_schedule(document, _map(data.get("schedule")))
    _check_intersections(document, _map(data.get("student_groups")))
    year_start = _month_and_day(district.get("school_year_start", "07-01"))
    for number, year in enumerate(_list(data.get("calendar"))):
        _check_calendar_year(document, ("calendar", number), _map(year), year_start)
    _check_calendars_apart(document, _list(data.get("calendar")))
    for name, source in sources.items():
        _check_source(document, ("sources", name), name, source)
    _check_what_is_fed(document, data, district, sources)


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts(value: object) -> Iterator[tuple[int, str]]:
    return ((number, item) for number, item in enumerate(_list(value)) if isinstance(item, str))


def _day(value: object) -> date | None:
    parsed = as_day(value)
    return parsed if isinstance(parsed, date) else None


def _month_and_day(value: object) -> tuple[int, int] | None:
    """Month and day that exist in every year, or None."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{2}-[0-9]{2}", value):
        return None
    try:
        start = date(2001, int(value[:2]), int(value[3:]))
    except ValueError:
        return None
    return start.month, start.day


def _check_district(document: Document, district: Mapping[str, Any]) -> None:
    where: Where = ("district",)
    if district.get("id") == _RESERVED_ID:
        document.add((*where, "id"), "all is a reserved id", "write the district's own id")
    zone = district.get("time_zone")
    if isinstance(zone, str) and zone not in (zones := zoneinfo.available_timezones()):
        near = closest(zone, {name.lower() for name in zones})
        named = next((name for name in zones if name.lower() == near), None)
        hint = f"did you mean {named}?" if named else "write an IANA name, as America/Chicago"
        document.add((*where, "time_zone"), f"{shorten(zone)} is not a known time zone", hint)
    start = district.get("school_year_start")
    if isinstance(start, str) and _month_and_day(start) is None:
        document.add(
            (*where, "school_year_start"),
            f"{shorten(start)} is not a day of every year",
            "write month and day in quotes, as '07-01'",
        )


def _check_schedule(document: Document, schedule: Mapping[str, Any]) -> None:
    at = schedule.get("at")
    if isinstance(at, str) and re.fullmatch(r"0[12]:[0-5][0-9]", at):
        document.add(
            ("schedule", "at"),
            f"{at} does not exist, or comes twice, on the days when clocks change",
            "choose a time before 01:00 or from 03:00 on, as '04:30'",
        )


def _check_intersections(document: Document, groups: Mapping[str, Any]) -> None:
    seen: set[frozenset[str]] = set()
    for number, pair in enumerate(_list(groups.get("intersections"))):
        where: Where = ("student_groups", "intersections", number)
        for position, category in _texts(pair):
            if category == "race_in_combination":
                document.add(
                    (*where, position),
                    "race_in_combination counts a student in several groups, so it does not add up to all",
                    "cross race_ethnicity or race_reported instead",
                )
            elif category not in CROSSABLE_CATEGORIES:
                near = closest(category, CROSSABLE_CATEGORIES)
                hint = f"did you mean {near}? " if near else ""
                document.add(
                    (*where, position),
                    f"{shorten(category)} is not a category of student groups",
                    f"{hint}known: {', '.join(CROSSABLE_CATEGORIES)}",
                )
        if not isinstance(pair, list):
            continue
        names = [category for _, category in _texts(pair)]
        if len(pair) != 2 or len(set(names)) < len(names):
            document.add(where, "does not name two different categories", "write two, as [disability, race_ethnicity]")
        elif frozenset(names) in seen:
            document.add(where, "this pair is given twice", "remove one of them")
        seen.add(frozenset(names))


def _check_calendar_year(
    document: Document, where: Where, year: Mapping[str, Any], start: tuple[int, int] | None
) -> None:
    first, last = _day(year.get("first_day")), _day(year.get("last_day"))
    if first and last and first > last:
        document.add((*where, "last_day"), "lies before first_day", "exchange the two, or correct one")
        return
    ends_in = year.get("school_year")
    # The bounds are those of the setting itself, beyond which no date can be built.
    if start and isinstance(ends_in, int) and not isinstance(ends_in, bool) and 1990 <= ends_in <= 2100:
        # A year that starts on January 1 ends in the year in which it starts.
        opens = date(ends_in if start == (1, 1) else ends_in - 1, *start)
        ends = date(opens.year + 1, *start) - timedelta(days=1)
        for name, day in (("first_day", first), ("last_day", last)):
            if day and not opens <= day <= ends:
                document.add(
                    (*where, name),
                    f"{day} lies outside school year {ends_in} ({opens} to {ends})",
                    "correct the day, school_year (the year in which it ends), or district.school_year_start",
                )
    for number, closure in enumerate(_list(year.get("closures"))):
        place = (*where, "closures", number)
        if not isinstance(closure, (date, str)):
            continue
        try:
            begins, ends = closure_span(closure)
        except ValueError:
            remedy = "write 2025-11-27, or 2025-12-22..2026-01-02"
            document.add(place, f"{shorten(closure)} is not a date or a range of dates", remedy)
            continue
        if begins > ends:
            document.add(place, "the range ends before it begins", "exchange the two dates")
        elif first and last and not first <= begins <= ends <= last:
            document.add(place, f"lies outside {first} to {last}", "name only days within first_day and last_day")


def _check_calendars_apart(document: Document, years: list[Any]) -> None:
    seen: set[tuple[int, str]] = set()
    for number, year in enumerate(map(_map, years)):
        ends_in = year.get("school_year")
        if not isinstance(ends_in, int):
            continue
        schools = [school for _, school in _texts(year.get("schools", [_RESERVED_ID]))]
        for school in schools:
            if (ends_in, school) in seen:
                document.add(
                    ("calendar", number, "schools"),
                    f"a calendar for {ends_in} and {shorten(school)} is already given",
                    "keep one calendar for each school and year",
                )
            seen.add((ends_in, school))


def _check_source(document: Document, where: Where, name: str, source: Mapping[str, Any]) -> None:
    if name == _RESERVED_ID:
        document.add(where, "all is a reserved name", "give the source a name of its own")
    kind = source.get("kind")
    is_mapped = isinstance(kind, str) and kind not in KNOW_THEIR_LAYOUT
    _check_what_kind_needs(document, where, source)
    files = source.get("files")
    for number, file in _texts([files] if isinstance(files, str) else files):
        if not file.strip() or "\0" in file:
            place = (*where, "files") if isinstance(files, str) else (*where, "files", number)
            document.add(place, "is not a path", "write a path or a glob, as extracts/attendance_*.csv")
    delimiter = source.get("delimiter", "auto")
    if isinstance(delimiter, str) and delimiter != "auto" and not re.fullmatch(r"[^\w\s\"']|\t|_| ", delimiter):
        document.add(
            (*where, "delimiter"),
            f"{shorten(delimiter)} is not one character between fields",
            'write auto, ",", ";", "|" or "\\t"',
        )
    encoding = source.get("encoding", "auto")
    if isinstance(encoding, str) and encoding != "auto" and not _is_encoding(encoding):
        remedy = "write auto, or a name as utf-8, cp1252 or utf-16"
        document.add((*where, "encoding"), f"{shorten(encoding)} is not a known text encoding", remedy)
    for number, delivery in _texts(source.get("accept_removals")):
        if not re.fullmatch(r"[0-9a-f]{12}", delivery):
            document.add(
                (*where, "accept_removals", number),
                f"{shorten(delivery)} is not the start of a file's hash",
                "copy the 12 characters that the held delivery was reported with",
            )
    _check_date_formats(document, (*where, "date_formats"), source.get("date_formats"))
    entities = _map(source.get("entities"))
    if is_mapped and not entities and source.get("entities", {}) == {}:
        document.add((*where, "entities"), "the source feeds nothing", f"name what it feeds: {', '.join(ENTITIES)}")
    for entity, mapping in entities.items():
        place = (*where, "entities", entity)
        if entity not in ENTITIES:
            near = closest(entity, ENTITIES)
            hint = f"did you mean {near}? " if near else ""
            message = f"{shorten(entity)} is not an entity of the input contract"
            document.add(place, message, f"{hint}known: {', '.join(ENTITIES)}")
        elif isinstance(mapping, dict):
            _check_entity(document, place, entity, mapping, complete=is_mapped)


#: Settings that say something about some kinds of source only.
_SETTINGS_OF_KINDS = {
    "delimiter": {"delimited"},
    "encoding": {"delimited", "fixed_width", "json_lines"},
    "header": {"delimited", "excel"},
    "column_names": {"delimited", "excel"},
    "footer_lines": {"delimited", "excel", "fixed_width"},
    "fields": {"fixed_width"},
    "sheet": {"excel"},
    **{key: {"database"} for key in ("connection", "query", "high_water_mark", "time_limit_seconds")},
}
_NEEDED_BY_KINDS = {"fields": {"fixed_width"}, "connection": {"database"}, "query": {"database"}}


def _check_what_kind_needs(document: Document, where: Where, source: Mapping[str, Any]) -> None:
    kind = source.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        return
    for setting, kinds in _SETTINGS_OF_KINDS.items():
        if setting in source and kind not in kinds:
            document.add((*where, setting), f"says nothing to a source of kind {kind}", "remove it")
    for setting, kinds in _NEEDED_BY_KINDS.items():
        if kind in kinds and not source.get(setting):
            document.add((*where, setting), f"is needed by a source of kind {kind}", "see docs/sources")
    if kind == "database":
        if source.get("files"):
            document.add((*where, "files"), "says nothing to a source of kind database", "remove it")
    elif source.get("files", []) == []:
        remedy = "give at least one: a path or a glob, as extracts/attendance_*.csv"
        document.add((*where, "files"), "no file is named", remedy)


def _is_encoding(name: str) -> bool:
    try:
        "".encode(name)
    except (LookupError, ValueError):
        return False
    return True


def _check_date_formats(document: Document, where: Where, formats: object) -> None:
    for number, text in _texts(formats):
        # `%-d` (no leading zero) is a form that the engine knows and Python does not.
        plain = text.replace("%%", "")
        directives = set(re.findall(r"%-?([a-zA-Z])", plain))
        message = None
        if plain.count("%") != len(re.findall(r"%-?[a-zA-Z]", plain)) or directives - _DIRECTIVES:
            message = f"{shorten(text)} is not a date format"
        elif not all(directives & part for part in (_YEAR, _MONTH, _DAY)):
            message = f"{shorten(text)} does not hold a year, a month and a day"
        if message:
            document.add((*where, number), message, "write it as %Y-%m-%d or %m/%d/%Y")


def _check_entity(document: Document, where: Where, name: str, mapping: Mapping[str, Any], complete: bool) -> None:
    """A map of one entity. complete: every required column must be fed (Ed-Fi XML feeds them by itself)."""
    known = ENTITIES[name].by_name
    columns, constants = _map(mapping.get("columns")), _map(mapping.get("constants"))
    for part, targets in (("columns", columns), ("constants", constants)):
        for target in targets:
            place = (*where, part, target)
            if word := refused_word(target):
                _refuse(document, place, target, word)
            elif target not in known:
                near = closest(target, known)
                hint = f"did you mean {near}? " if near else ""
                message = f"{shorten(target)} is not a column of {name}"
                document.add(place, message, f"{hint}known: {', '.join(known)}")
    for target in columns.keys() & constants.keys():
        document.add((*where, "constants", target), "is both mapped and constant", "keep one of the two")
    for target, value in constants.items():
        if target in known and isinstance(value, str) and not _constant_fits(known[target], value.strip()):
            document.add(
                (*where, "constants", target),
                f"the constant is not a {known[target].type}",
                "write dates as 2026-01-31, numbers with a point, booleans as true or false",
            )
    for target, column in columns.items():
        _check_column(document, (*where, "columns", target), target, column, name)
    for column in _map(mapping.get("where")):
        if word := refused_word(column):
            _refuse(document, (*where, "where", column), column, word)
    for column in known.values() if complete else ():
        if column.required and column.name not in columns and column.name not in constants:
            document.add(
                (*where, "columns", column.name),
                f"{name} needs this column ({column.description})",
                f"map it, or give every row the same value under constants: {column.name}: ...",
            )


def _constant_fits(column: Column, value: str) -> bool:
    if not value:
        return not column.required
    if column.type == "date":
        try:
            return FIRST_YEAR <= date.fromisoformat(value).year <= LAST_YEAR
        except ValueError:
            return False
    pattern = CONSTANT_PATTERNS.get(column.type)
    return pattern is None or re.fullmatch(pattern, value.lower()) is not None


def _check_column(document: Document, where: Where, target: str, column: object, entity: str) -> None:
    details = _map(column)
    source = details.get("column") if details else column
    if isinstance(source, str):
        place = (*where, "column") if details else where
        if word := refused_word(source):
            _refuse(document, place, source, word)
        elif not source.strip():
            document.add(place, "is empty", "name the file's column")
    contract = ENTITIES[entity].by_name.get(target)
    if contract is None:
        return
    if isinstance(separator := details.get("separator"), str):
        if not contract.many:
            document.add((*where, "separator"), f"{target} holds one value", "remove separator")
        elif not separator:
            document.add((*where, "separator"), "is empty", "write what stands between the values, as ';'")
    if details.get("date_formats") is not None and contract.type != "date":
        document.add((*where, "date_formats"), f"{target} is not a date", "remove date_formats")
    _check_date_formats(document, (*where, "date_formats"), details.get("date_formats"))


def _refuse(document: Document, where: Where, column: str, word: str) -> None:
    document.add(
        where,
        f"{shorten(column)} is refused: the warehouse never carries {word}",
        "remove this line, and the column from the extract if you can",
    )


def _check_what_is_fed(
    document: Document,
    data: Mapping[str, Any],
    district: Mapping[str, Any],
    sources: Mapping[str, Mapping[str, Any]],
) -> None:
    """What one part of the file needs from another."""
    if not sources:
        return
    fed = {name: _feeds(source) for name, source in sources.items()}
    if not _list(data.get("calendar")) and not any("calendar_date" in entities for entities in fed.values()):
        document.add(
            ("calendar",),
            "no source feeds calendar_date, and a calendar is never inferred from attendance",
            "add calendar: with school_year, first_day, last_day and closures, or map a calendar file",
        )
    own_system = district.get("student_system", "local")
    joined = any("student_identifier" in entities for entities in fed.values())
    for name, source in sources.items():
        where: Where = ("sources", name)
        if "attendance_event" in fed[name] and source.get("attendance_records") is None:
            document.add(
                (*where, "attendance_records"),
                "it feeds attendance_event, and a day without a mark could mean two things",
                "write every_day (no mark: attendance was not taken) or exceptions (no mark: present)"
                + (", or list under entities what it feeds" if source.get("kind") == "edfi_xml" else ""),
            )
        system = source.get("student_system")
        if isinstance(system, str) and system != own_system and not joined:
            document.add(
                (*where, "student_system"),
                f"no source feeds student_identifier, so ids of {shorten(system)} join no student",
                "map a file that holds both ids, or remove student_system if these are the district's ids",
            )


def _feeds(source: Mapping[str, Any]) -> frozenset[str]:
    """The entities that a source may feed: Ed-Fi XML whatever it finds, unless it is limited."""
    entities = _map(source.get("entities"))
    if source.get("kind") == "edfi_xml" and not entities:
        return frozenset(ENTITIES)
    return frozenset(entities)
