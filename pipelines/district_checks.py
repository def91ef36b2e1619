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
from itertools import product
from typing import Any

from pipelines.config import WEEKDAYS, as_day, closure_span
from pipelines.contract import ENTITIES, Column
from pipelines.mapping import CONSTANT_PATTERNS, FIRST_YEAR, LAST_YEAR
from pipelines.patterns import has_groups, named_groups
from pipelines.refused_columns import refused_word
from pipelines.sandbox import MAXIMUM_BYTES, problem_of, sql_path
from pipelines.sources import ASKED, KINDS, KNOW_THEIR_LAYOUT, feeds_unasked
from pipelines.sources.database_query import fault_of, is_mark, names_a_file
from pipelines.sources.edfi_api_rules import FEEDS_UNASKED as ENTITIES_OF_API
from pipelines.sources.oneroster_layouts import FEEDS
from pipelines.survey_checks import check_survey
from pipelines.yaml_document import Document, Where, closest, shorten

#: Categories that an intersection may cross; each splits the students into parts that add up to all.
CROSSABLE_CATEGORIES = ("race_ethnicity", "race_reported", "sex", "economic", "language", "disability")

#: The id that the published tables use for "not one in particular".
_RESERVED_ID = "all"

_YEAR, _MONTH, _DAY = frozenset("yY"), frozenset("mbB"), frozenset("d")
_DIRECTIVES = _YEAR | _MONTH | _DAY | frozenset("aAHIMSfpzZ")


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
    for setting in ("closures", "half_days"):
        for number, span in enumerate(_list(year.get(setting))):
            _check_days(document, (*where, setting, number), span, first, last)
    closed = _spans(year.get("closures"))
    weekdays = {day for _, day in _texts(year.get("weekdays", [*WEEKDAYS[:5]]))}
    for number, half_day in enumerate(_list(year.get("half_days"))):
        for begins, ends in _spans([half_day]):
            place = (*where, "half_days", number)
            if any(begins <= until and since <= ends for since, until in closed):
                document.add(place, "lies in a closure", "a day is off or a half day: keep one of the two")
            days = ((begins + timedelta(days=n)).weekday() for n in range(min((ends - begins).days + 1, 7)))
            if begins <= ends and not any(WEEKDAYS[day] in weekdays for day in days):
                document.add(place, "is no day of the school week", "correct the day, or add it to weekdays")
    if year.get("periods") and year.get("grades"):
        document.add(
            (*where, "periods"),
            "the periods of a day are a school's or a calendar's, not a grade's",
            "give them to the calendar without grades",
        )


def _check_days(document: Document, place: Where, span: object, first: date | None, last: date | None) -> None:
    """A date, or FROM..TO, within the first and last session day."""
    if not isinstance(span, (date, str)):
        return
    try:
        begins, ends = closure_span(span)
    except ValueError:
        remedy = "write 2025-11-27, or 2025-12-22..2026-01-02"
        document.add(place, f"{shorten(span)} is not a date or a range of dates", remedy)
        return
    if begins > ends:
        document.add(place, "the range ends before it begins", "exchange the two dates")
    elif first and last and not first <= begins <= ends <= last:
        document.add(place, f"lies outside {first} to {last}", "name only days within first_day and last_day")


def _spans(value: object) -> list[tuple[date, date]]:
    """First and last days of those that can be read."""
    spans = []
    for item in _list(value):
        if isinstance(item, (date, str)):
            try:
                spans.append(closure_span(item))
            except ValueError:
                continue
    return spans


def _check_calendars_apart(document: Document, years: list[Any]) -> None:
    seen: set[tuple[int, str, str, str]] = set()
    for number, year in enumerate(map(_map, years)):
        ends_in = year.get("school_year")
        if not isinstance(ends_in, int):
            continue
        schools = [school for _, school in _texts(year.get("schools", [_RESERVED_ID]))]
        calendar_id = year.get("calendar_id") or ""
        grades = [grade for _, grade in _texts(year.get("grades"))] or [""]
        for school, grade in product(schools, grades):
            scope = (ends_in, school, str(calendar_id), grade)
            if scope in seen:
                document.add(
                    ("calendar", number, "schools"),
                    f"a calendar for {ends_in} and {shorten(school)} is already given",
                    "keep one for each school, calendar_id, grade and year",
                )
            seen.add(scope)


def _check_source(document: Document, where: Where, name: str, source: Mapping[str, Any]) -> None:
    if name == _RESERVED_ID:
        document.add(where, "all is a reserved name", "give the source a name of its own")
    kind = source.get("kind")
    is_mapped = isinstance(kind, str) and kind not in KNOW_THEIR_LAYOUT
    _check_what_kind_needs(document, where, source)
    _check_oneroster(document, where, source)
    _check_layout(document, where, source)
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
    _check_masks(document, where, source)
    check_survey(document, (*where, "survey"), _map(source.get("survey")))
    mark = _map(source.get("high_water_mark")).get("column")
    if isinstance(mark, str):
        _check_named(document, (*where, "high_water_mark", "column"), mark)
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


def _check_oneroster(document: Document, where: Where, source: Mapping[str, Any]) -> None:
    if source.get("kind") != "oneroster":
        return
    if source.get("missing_rows") == "window":
        remedy = "write full for bulk files, append for delta files"
        document.add((*where, "missing_rows"), "a OneRoster set has no span of dates that it states again", remedy)
    for entity in _map(source.get("entities")).keys() & ENTITIES.keys() - FEEDS:
        remedy = f"remove it; known: {', '.join(name for name in ENTITIES if name in FEEDS)}"
        document.add((*where, "entities", entity), f"OneRoster says nothing of {entity}", remedy)


def _check_masks(document: Document, where: Where, source: Mapping[str, Any]) -> None:
    empty = {value.strip() for _, value in _texts(source.get("empty_values"))}
    for number, mask in _texts(source.get("masks")):
        if not mask.strip():
            remedy = "remove it: blank cells are unknown already"
            document.add((*where, "masks", number), "an empty cell hides nothing", remedy)
        elif mask.strip() in empty:
            remedy = "keep it in one of the two: masks are counted, empty values are not"
            document.add((*where, "masks", number), f"{shorten(mask)} is an empty value too", remedy)


#: Settings that say something about some kinds of source only.
_SETTINGS_OF_KINDS = {
    "delimiter": {"delimited", "survey_export"},
    "encoding": {"delimited", "fixed_width", "json_lines", "oneroster", "survey_export"},
    "survey": {"survey_export"},
    "header": {"delimited", "excel"},
    "column_names": {"delimited", "excel"},
    "footer_lines": {"delimited", "excel", "fixed_width"},
    "fields": {"fixed_width"},
    "sheet": {"excel"},
    **{key: {"database"} for key in ("query", "high_water_mark")},
    **{key: set(ASKED) for key in ("connection", "time_limit_seconds")},
}
_NEEDED_BY_KINDS = {
    "fields": {"fixed_width"},
    "connection": set(ASKED),
    "query": {"database"},
    "survey": {"survey_export"},
}


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
    if kind in ASKED:
        if source.get("files"):
            document.add((*where, "files"), f"says nothing to a source of kind {kind}", "remove it")
        if kind == "database":
            _check_query(document, where, source)
        else:
            _check_api(document, where, source)
    elif source.get("files", []) == []:
        remedy = "give at least one: a path or a glob, as extracts/attendance_*.csv"
        document.add((*where, "files"), "no file is named", remedy)


def _check_layout(document: Document, where: Where, source: Mapping[str, Any]) -> None:
    """Where a file's columns stand, and how it shows that it is whole."""
    header = source.get("header", 1)
    if header == 0 and not source.get("column_names"):
        document.add((*where, "column_names"), "nothing names the columns of a file without a header", "name them all")
    elif (isinstance(header, int) and header < 0) or (isinstance(header, str) and not header.strip()):
        document.add((*where, "header"), "is neither a line nor a column name", "write 1 for the first line")
    for name, place in _map(source.get("fields")).items():
        ends = place if isinstance(place, list) and all(type(end) is int for end in place) else []
        if len(ends) != 2 or not 1 <= ends[0] <= ends[1]:
            remedy = "write [first, last], counted in characters from 1"
            document.add((*where, "fields", name), "is not a first and a last character", remedy)
    whole = _map(source.get("whole"))
    if isinstance(marker := whole.get("marker"), str) and (not marker.strip() or "/" in marker or "\\" in marker):
        remedy = "write {name}.done, {stem}.ctl or a name"
        document.add((*where, "whole", "marker"), "is not the name of a file beside the extract", remedy)
    trailer = whole.get("trailer")
    if isinstance(trailer, str):
        if named_groups(trailer) is None:
            remedy = "write it as 'TRL[|](?P<rows>[0-9]+)'"
            document.add((*where, "whole", "trailer"), f"{shorten(trailer)} is not a regular expression", remedy)
        if source.get("kind") not in ("delimited", "fixed_width", "json_lines"):
            message = f"says nothing to a source of kind {source.get('kind')}"
            document.add((*where, "whole", "trailer"), message, "remove it")


def _check_api(document: Document, where: Where, source: Mapping[str, Any]) -> None:
    if source.get("missing_rows") in ("active_only", "window", "append"):
        message = "an API gives everything that it holds, so a record that is gone was deleted"
        document.add((*where, "missing_rows"), message, "write full")
    for entity in ENTITIES.keys() & _map(source.get("entities")).keys() - ENTITIES_OF_API:
        message = f"an Ed-Fi API does not feed {entity}"
        document.add((*where, "entities", entity), message, f"remove it; known: {', '.join(sorted(ENTITIES_OF_API))}")


def _check_query(document: Document, where: Where, source: Mapping[str, Any]) -> None:
    query, mark = source.get("query"), source.get("high_water_mark")
    if isinstance(query, str) and query.strip() and not names_a_file(query):
        fault = fault_of(query, has_mark=mark is not None)
        if fault is not None:
            _, message, remedy = fault
            document.add((*where, "query"), message[0].lower() + message[1:].rstrip("."), remedy.rstrip("."))
    if mark is None:
        return
    start = _map(mark).get("start")
    if isinstance(start, str) and not is_mark(start):
        remedy = "write a number, or a day or time as '2025-07-01' or '2025-07-01 00:00:00'"
        document.add((*where, "high_water_mark", "start"), f"{shorten(start)} is no number, date or time", remedy)
    if source.get("missing_rows") in ("full", "active_only"):
        document.add(
            (*where, "high_water_mark"),
            f"with missing_rows: {source['missing_rows']} every row that did not change would count as gone",
            "write append, or window where the query gives whole days again; or remove high_water_mark",
        )


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
    _check_targets(document, where, name, mapping)
    for target, column in _map(mapping.get("columns")).items():
        _check_column(document, (*where, "columns", target), target, column, name)
    for part in ("where", "where_not"):
        for column, values in _map(mapping.get(part)).items():
            _check_named(document, (*where, part, column), column)
            if values == []:
                document.add((*where, part, column), "names no value", "list the values, or remove this line")
    if mapping.get("unpivot") is not None:
        _check_unpivot(document, (*where, "unpivot"), _map(mapping.get("unpivot")))
    sql = mapping.get("sql")
    if not complete:
        for part in sorted({"unpivot", "sql"} & mapping.keys()):
            document.add((*where, part), "says nothing to a format that knows its own layout", "remove it")
    elif isinstance(sql, str):
        _check_sql(document, where, sql, mapping)
    else:
        _check_required(document, where, name, mapping)


def _check_targets(document: Document, where: Where, name: str, mapping: Mapping[str, Any]) -> None:
    """The contract columns that a map feeds, and their constants."""
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


def _check_required(document: Document, where: Where, name: str, mapping: Mapping[str, Any]) -> None:
    fed = _map(mapping.get("columns")).keys() | _map(mapping.get("constants")).keys()
    for column in ENTITIES[name].columns:
        if column.required and column.name not in fed:
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
    if not isinstance(column, dict):
        if isinstance(column, str):
            _check_named(document, where, column)
        return
    _check_where_from(document, where, column)
    if isinstance(pattern := column.get("pattern"), str) and not has_groups(pattern, 1):
        document.add(
            (*where, "pattern"),
            f"{shorten(pattern)} is not a regular expression with one group",
            "put brackets around the one part that is the value, as '([A-Z]+) - .*'; (?:...) groups without taking",
        )
    contract = ENTITIES[entity].by_name.get(target)
    if contract is None:
        return
    if isinstance(separator := column.get("separator"), str):
        if not contract.many:
            document.add((*where, "separator"), f"{target} holds one value", "remove separator")
        elif not separator:
            document.add((*where, "separator"), "is empty", "write what stands between the values, as ';'")
    if "columns" in column and not contract.many and column.get("join") is None:
        remedy = 'write what stands between the parts, as join: "-", or join: "" for nothing'
        document.add((*where, "join"), f"{target} holds one value, combined from several columns", remedy)
    elif "join" in column and ("columns" not in column or contract.many):
        why = f"{target} holds many values, which | joins" if contract.many else "there is one column only"
        document.add((*where, "join"), f"says nothing: {why}", "remove join")
    if column.get("date_formats") is not None and contract.type != "date":
        document.add((*where, "date_formats"), f"{target} is not a date", "remove date_formats")
    _check_date_formats(document, (*where, "date_formats"), column.get("date_formats"))


def _check_where_from(document: Document, where: Where, column: Mapping[str, Any]) -> None:
    """Which columns of the file a detailed map reads: one, several to combine, or flags."""
    given = [part for part in ("column", "columns", "flags") if column.get(part) is not None]
    if len(given) != 1:
        message = f"{' and '.join(given)} are given" if given else "no column of the file is named"
        document.add(where, message, "write one of column, columns (to combine) and flags")
    if isinstance(one := column.get("column"), str):
        _check_named(document, (*where, "column"), one)
    seen: set[str] = set()
    for number, one in _texts(column.get("columns")):
        _check_named(document, (*where, "columns", number), one)
        if one.lower() in seen:
            document.add((*where, "columns", number), f"{shorten(one)} is named twice", "remove one of the two")
        seen.add(one.lower())
    for flag, code in _map(column.get("flags")).items():
        _check_named(document, (*where, "flags", flag), flag)
        if isinstance(code, str) and (not code.strip() or "|" in code):
            remedy = "write one code that a crosswalk knows, without |"
            document.add((*where, "flags", flag), "stands for no code", remedy)
    for part in ("join", "pattern", "separator", "date_formats") if column.get("flags") is not None else ():
        if column.get(part) is not None:
            document.add((*where, part), "says nothing about flags, which are set or not", "remove it")
    if "flag_values" in column and column.get("flags") is None:
        document.add((*where, "flag_values"), "there are no flags", "remove it, or write flags")


def _check_named(document: Document, where: Where, column: str) -> None:
    """A column of the file that a map names."""
    if word := refused_word(column):
        _refuse(document, where, column, word)
    elif not column.strip():
        document.add(where, "is empty", "name the file's column")


def _check_unpivot(document: Document, where: Where, unpivot: Mapping[str, Any]) -> None:
    chosen, repeat = unpivot.get("columns"), unpivot.get("repeat")
    if (chosen is None) == (repeat is None):
        message = "columns and repeat are both given" if repeat else "does not say which columns become rows"
        document.add(where, message, "write columns (a list or a regular expression), or repeat")
        return
    made = [str(unpivot.get("name", "column_name"))]
    if repeat is None:
        made.append(str(unpivot.get("value", "value")))
    elif "value" in unpivot:
        document.add((*where, "value"), "says nothing beside repeat, whose keys name the cells", "remove it")
    for number, column in _texts(chosen):
        _check_named(document, (*where, "columns", number), column)
    if chosen == []:
        document.add((*where, "columns"), "names no column", "list the columns that become rows")
    if isinstance(chosen, str):
        groups = named_groups(chosen)
        if groups is None:
            remedy = "write one that whole column names fit, as 'D_(?P<day>[0-9]{8})'"
            document.add((*where, "columns"), f"{shorten(chosen)} is not a regular expression", remedy)
        made += groups or ()
    made += _check_repeat(document, (*where, "repeat"), _list(repeat))
    for name in made:
        _check_named(document, (*where, "name"), name)
    twice = sorted({name for name in made if [one.lower() for one in made].count(name.lower()) > 1})
    if twice:
        message = f"makes several columns that are called {', '.join(map(shorten, twice))}"
        document.add(where, message, "give name, value, every group and every key of repeat a name of its own")


def _check_repeat(document: Document, where: Where, repeat: list[Any]) -> list[str]:
    """Repeated groups of columns must speak of the same things: the names of the columns that they make."""
    keys = [name for name in _map(repeat[0]) if isinstance(name, str)] if repeat else []
    for number, group in enumerate(map(_map, repeat)):
        for key, column in group.items():
            if isinstance(column, str):
                _check_named(document, (*where, number, key), column)
        if not group or set(group) != set(keys):
            message = f"does not name the same columns as the first group ({', '.join(map(shorten, keys)) or 'none'})"
            document.add((*where, number), message, "give every group the same keys")
    return keys


def _check_sql(document: Document, where: Where, name: str, mapping: Mapping[str, Any]) -> None:
    """A map by SQL says all in its file, which must be there and be one SELECT."""
    for part in ("columns", "constants", "where", "where_not", "unpivot"):
        if mapping.get(part):
            document.add((*where, part), "says nothing beside sql, which yields the contract's columns", "remove it")
    place = (*where, "sql")
    path = sql_path(document.path.parent, name)
    if path is None or path.suffix.lower() != ".sql":
        document.add(place, "is not a .sql file beside district.yaml", "write a path below its folder, as maps/a.sql")
        return
    try:
        size = path.stat().st_size
        sql = path.read_text(encoding="utf-8-sig") if size <= MAXIMUM_BYTES else ""
    except (OSError, ValueError):
        document.add(place, f"{shorten(name)} cannot be read as UTF-8 text", "correct the path or the file")
        return
    if size > MAXIMUM_BYTES:
        document.add(place, f"{shorten(name)} is larger than {MAXIMUM_BYTES:,} bytes", "write one short SELECT")
    elif problem := problem_of(sql):
        document.add(place, f"{shorten(name)}: {problem}", "write one SELECT from source that yields line too")


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
                + (", or list under entities what it feeds" if source.get("kind") in KNOW_THEIR_LAYOUT else ""),
            )
        marks = _map(_map(source.get("entities")).get("attendance_event"))
        if (
            "period" in _map(marks.get("columns"))
            and source.get("attendance_records") == "exceptions"
            and not any("bell_schedule" in entities for entities in fed.values())
            and not any(_map(year).get("periods") for year in _list(data.get("calendar")))
        ):
            document.add(
                (*where, "entities", "attendance_event", "columns", "period"),
                "only exceptions are sent, by period, and nothing says which periods a day has",
                "map a file to bell_schedule, or give calendar: periods, as {'1': 50, '2': 50}",
            )
        system = source.get("student_system")
        if isinstance(system, str) and system != own_system and not joined:
            document.add(
                (*where, "student_system"),
                f"no source feeds student_identifier, so ids of {shorten(system)} join no student",
                "map a file that holds both ids, or remove student_system if these are the district's ids",
            )


def _feeds(source: Mapping[str, Any]) -> frozenset[str]:
    """The entities that a source may feed: a format that knows its layout whatever it finds, unless it is limited."""
    entities = _map(source.get("entities"))
    if source.get("kind") in KNOW_THEIR_LAYOUT and not entities:
        return feeds_unasked(str(source["kind"]))
    return frozenset(entities)
