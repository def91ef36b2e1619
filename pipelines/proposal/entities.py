"""What each extract feeds: by the columns that it could fill, and by what its file is called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pipelines.contract import ENTITIES
from pipelines.proposal.columns import POSSIBLE, Choice, called_like, known_codes, matches
from pipelines.proposal.extracts import Extract, LeftOut
from pipelines.proposal.links import Links
from pipelines.proposal.names import normal, words
from pipelines.proposal.profile import DATE_FORMATS, Profile
from pipelines.proposal.repeats import repeated_actions

DEMOGRAPHICS = ("sex", "hispanic_latino", "races", "economic", "language", "disability")
_ATTENDANCE_WORDS = frozenset(
    {"att", "attend", "attendance", "attendances", "absence", "absences", "abs", "absent", "absentees", "register"}
)
_DISCIPLINE_WORDS = frozenset(
    {"discipline", "incident", "incidents", "behavior", "behaviour", "conduct", "suspension", "suspensions"}
    | {
        "referral",
        "referrals",
        "ads",
        "dis",
        "disc",
        "offense",
        "log",
        "action",
        "actions",
        "resolution",
        "resolutions",
    }
    | {"disposition", "dispositions", "violations", "sanctions", "consequences"}
)
_SURVEY_WORDS = frozenset({"survey", "surveys", "response", "responses", "questionnaire", "climate", "climatesurvey"})
_SCHOOL_WORDS = frozenset({"school", "schools", "orgs", "sites", "campuses", "buildings", "entities"})
#: Words of files about classes, staff and marks, which feed nothing yet.
_CLASS_WORDS = frozenset({"section", "course", "class", "classes", "sections", "courses"})
_DIGITS = {"%Y": "[0-9]{4}", "%y": "[0-9]{2}", "%m": "[0-9]{1,2}", "%d": "[0-9]{1,2}"}
#: Columns that are called like days, from which a file is taken for a grid of days.
_LEAST_DAYS = 5
#: What makes a file of an entity; where one of three is missing, it is worth saying which.
_CORES = {
    "attendance_event": ("student_id", "date", "category"),
    "discipline_action": ("student_id", "date", "action"),
    "discipline_incident_student": ("student_id", "incident_id", "behavior"),
    "student_school_enrollment": ("student_id", "school_id", "entry_date"),
    "survey_response": ("response_id", "item_id", "answer"),
}
#: What numbered columns say of each consequence.
_SAID_OF_EACH = frozenset({"action", "days_planned", "days_actual"})
#: A column that must be filled, and that only a person can fill.
TODO = "TODO"


@dataclass
class EntityProposal:
    """How one extract feeds one entity.

    constants: contract column -> value, or TODO. unpivot: as in `Unpivot`. where: file column -> values that are kept.
    notes: what is unsure, and why.
    """

    entity: str
    choices: dict[str, Choice]
    score: float
    reason: str
    constants: dict[str, str] = field(default_factory=dict)
    where: dict[str, list[str]] = field(default_factory=dict)
    unpivot: dict[str, Any] | None = None
    distinct: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def confidence(self) -> str:
        return Choice("", self.score, "").confidence

    def melted(self, columns: Sequence[str], target: str | None = None) -> list[str]:
        """Those of a file's columns that become rows; with `target`, those whose cells become this contract column."""
        if self.unpivot is None:
            return []
        if "repeat" in self.unpivot:
            groups: list[dict[str, str]] = self.unpivot["repeat"]
            new = None if target is None else self.choices[target].names[0]
            return [name for group in groups for key, name in group.items() if new in (None, key)]
        named = self.unpivot["columns"]
        return [name for name in columns if (name in named if isinstance(named, list) else re.fullmatch(named, name))]


def propose(found: Sequence[Extract], joined: Links) -> tuple[dict[str, list[EntityProposal]], list[LeftOut]]:
    """Extract -> what it feeds; and the extracts that feed nothing, each with the reason."""
    proposed = {extract.name: _feeds(extract, joined) for extract in found}
    _one_source_each(found, proposed, joined)
    left = []
    for extract in found:
        if proposed[extract.name]:
            proposed[extract.name].sort(key=lambda one: list(ENTITIES).index(one.entity))
        else:
            left += [LeftOut(file, _why_nothing(extract, joined)) for file in extract.files]
    return proposed, left


def _feeds(extract: Extract, joined: Links) -> list[EntityProposal]:
    if extract.table.kind == "edfi_xml":
        return [EntityProposal(name, {}, 1.0, "the interchange says so") for name in extract.table.entities]
    ids = joined.ids[extract.name]
    families = [_attendance(extract, ids), _discipline(extract, ids), _survey(extract, ids)]
    families += [_calendar(extract, ids), _schools(extract, ids), _people(extract, ids)]
    best = max(filter(None, families), key=lambda family: max(one.score for one in family), default=[])
    return [one for one in best if one.score >= POSSIBLE]


def _mean(choices: dict[str, Choice], *columns: str) -> float:
    """The mean score of these columns, 0 where one is not there."""
    if any(column not in choices for column in columns):
        return 0.0
    return sum(choices[column].score for column in columns) / len(columns)


def _bonus(extract: Extract, hints: frozenset[str]) -> float:
    return 0.15 if extract.file_words & hints else 0.0


def _complete(proposal: EntityProposal, extract: Extract) -> EntityProposal:
    """Required columns that nothing fills become to-dos."""
    for column in ENTITIES[proposal.entity].columns:
        if column.required and column.name not in proposal.choices and column.name not in proposal.constants:
            proposal.constants[column.name] = TODO
            proposal.notes.append(f"no column of the file looks like {column.name}: {column.description}")
    if not proposal.distinct and extract.table.rows:
        proposal.distinct = _repeats(extract, proposal)
    return proposal


def _repeats(extract: Extract, proposal: EntityProposal) -> bool:
    """Whether rows are equal in all that is taken of them."""
    if proposal.unpivot is not None:
        return False
    places = [extract.table.columns.index(name) for choice in proposal.choices.values() for name in choice.names]
    seen: set[tuple[str, ...]] = set()
    kept = [(extract.table.columns.index(name), values) for name, values in proposal.where.items()]
    for row in extract.table.rows:
        if any(row[at] not in values for at, values in kept):
            continue
        key = tuple(row[at] for at in places)
        if key in seen:
            return True
        seen.add(key)
    return False


# --- attendance ----------------------------------------------------------------------------------------------


def _attendance(extract: Extract, ids: dict[str, Choice]) -> list[EntityProposal]:
    if "student_id" not in ids:
        return _taken(extract, ids)
    grid = _grid(extract, ids)
    if grid is not None:
        return [grid]
    choices = matches(extract, "attendance_event", ids)
    core = _mean(choices, "student_id", "date", "category")
    if not core:
        return []
    hints = _bonus(extract, _ATTENDANCE_WORDS) - _bonus(extract, _DISCIPLINE_WORDS - {"action", "log", "dis"})
    proposal = EntityProposal("attendance_event", choices, min(1.0, core + hints), "a student, a day and a mark")
    if "school_id" not in choices:
        proposal.score -= 0.1
    _settle_period(extract, proposal)
    _keep_daily(extract, proposal)
    return [_complete(proposal, extract)]


def _settle_period(extract: Extract, proposal: EntityProposal) -> None:
    """A period says something only where a student has several rows a day."""
    chosen = proposal.choices.get("period")
    if chosen is None:
        return
    profile = extract.profile(chosen.names[0])
    places = [extract.table.columns.index(proposal.choices[name].names[0]) for name in ("student_id", "date")]
    days = {tuple(row[at] for at in places) for row in extract.table.rows}
    if profile.is_empty or len(days) == len(extract.table.rows):
        del proposal.choices["period"]
        return
    if len(profile.values) == 1:
        del proposal.choices["period"]
        second = next((one for one in extract.profiles if normal(one.name) in ("sectionid", "section", "ccid")), None)
        if second is not None and len(second.values) > 1:
            proposal.choices["period"] = Choice(second.name, 0.5, "several rows a day, one for each section")
    if "period" in proposal.choices:
        proposal.notes.append("attendance comes by period: see docs/sources/calendars.md for expected periods")


def _keep_daily(extract: Extract, proposal: EntityProposal) -> None:
    """PowerSchool sends meeting and daily marks in one table, apart by their mode."""
    for profile in extract.profiles:
        daily = [value for value in profile.values if re.fullmatch(r"(?i)att_modedaily|daily|day", value)]
        if normal(profile.name) in ("attmodecode", "attmode") and daily and len(profile.values) > 1:
            proposal.where[profile.name] = daily
            proposal.choices.pop("period", None)


def day_columns(extract: Extract) -> tuple[list[str], str, str]:
    """Columns that are called like days, the pattern that their names fit, and the format of the day; else none."""
    dated = [name for name in extract.table.columns if len(re.sub("[^0-9]", "", name)) >= 4 and len(name) <= 24]
    if len(dated) < _LEAST_DAYS:
        return [], "", ""
    best: tuple[list[str], str, str] = ([], "", "")
    for prefix_pattern in (r"", r"[A-Za-z]{1,4}[_ \-]?"):
        for date_format in DATE_FORMATS:
            days = []
            for name in dated:
                stripped = re.sub(f"^{prefix_pattern}", "", name) if prefix_pattern else name
                try:
                    if datetime.strptime(stripped, date_format).year in range(1990, 2041):
                        days.append(name)
                except ValueError:
                    continue
            # Of the formats that fit, the one that fits most: 02/09 is a day both ways, 23/09 is not.
            if len(days) >= max(_LEAST_DAYS, len(best[0]) + 1):
                best = (days, prefix_pattern, date_format)
    return best


def _grid(extract: Extract, ids: dict[str, Choice]) -> EntityProposal | None:
    """A column for each day: the names of the columns are the days."""
    days, prefix, date_format = day_columns(extract)
    if not days:
        return None
    parts = re.split(r"(%[Ymdy])", date_format)
    digits = "".join(_DIGITS.get(part) or re.sub(r"([^A-Za-z0-9 ])", r"[\1]", part) for part in parts)
    choices = {name: choice for name, choice in ids.items() if name in ("student_id", "school_id")}
    reason = f"{len(days)} columns are called like days"
    day, mark = _free(extract, "day"), _free(extract, "mark")
    by_number = "%" not in digits
    pattern: str | list[str] = f"{prefix}(?P<{day}>{digits})" if by_number else days
    choices["date"] = Choice({"column": day, "date_formats": [date_format]}, 0.9, reason)
    choices["category"] = Choice(mark, 0.85, "the cells of the days")
    score = (0.85 if len(days) >= 15 else 0.7) + _bonus(extract, _ATTENDANCE_WORDS)
    proposal = EntityProposal("attendance_event", choices, score, reason)
    proposal.unpivot = {"columns": pattern, "value": mark} | ({} if by_number else {"name": day})
    return _complete(proposal, extract)


def _free(extract: Extract, name: str) -> str:
    """A name for a new column that the file has no column of."""
    taken = {one.lower() for one in extract.table.columns}
    while name in taken:
        name += "_"
    return name


def _taken(extract: Extract, ids: dict[str, Choice]) -> list[EntityProposal]:
    if "taken" not in extract.file_words and not any("taken" in words(name) for name in extract.table.columns):
        return []
    choices = matches(extract, "attendance_taken", ids)
    if "date" not in choices:
        day = next((one for one in extract.profiles if one.is_date), None)
        if day is not None:
            choices["date"] = Choice(day.name, 0.6, "the only day in the file")
    core = _mean(choices, "school_id", "date")
    return [_complete(EntityProposal("attendance_taken", choices, core, "a school and a day"), extract)] if core else []


# --- discipline ----------------------------------------------------------------------------------------------


def _discipline(extract: Extract, ids: dict[str, Choice]) -> list[EntityProposal]:
    hints = _bonus(extract, _DISCIPLINE_WORDS) - _bonus(extract, _ATTENDANCE_WORDS)
    incident = matches(extract, "discipline_incident", ids)
    part = matches(extract, "discipline_incident_student", ids)
    action = matches(extract, "discipline_action", ids)
    repeated = repeated_actions(extract) if "student_id" in action and hints >= 0 else None
    if repeated is not None:
        action = {name: choice for name, choice in action.items() if name not in _SAID_OF_EACH} | repeated[0]
    found = []
    has_incident = "incident_id" in incident
    if has_incident and "date" in incident and ("behavior" in incident or "location" in incident):
        score = _mean(incident, "incident_id", "date")
        found.append(EntityProposal("discipline_incident", incident, score + hints, "an incident and its day"))
    if has_incident and "student_id" in part and (hints > 0 or "behavior" in part or "participation" in part):
        score = _mean(part, "incident_id", "student_id")
        found.append(
            EntityProposal("discipline_incident_student", part, score + hints, "an incident and a student in it")
        )
    if "student_id" in action and "action" in action and (has_incident or hints > 0 or "action_id" in action):
        proposal = _action(extract, action, incident)
        proposal.unpivot = None if repeated is None else repeated[1]
        proposal.score += hints
        found.append(proposal)
    for proposal in found:
        proposal.score = min(1.0, proposal.score)
        # A row a student or a row an action: the incident itself is there more than once.
        _complete(proposal, extract)
    return found


def _action(extract: Extract, action: dict[str, Choice], incident: dict[str, Choice]) -> EntityProposal:
    notes = []
    if "date" not in action and "date" in incident:
        action = {**action, "date": replace(incident["date"], score=0.6, reason="no day of the action: the incident's")}
    if "action_id" not in action and "incident_id" in action:
        reason = "no id of the action: the incident's, with student and kind of action, names it"
        action = {**action, "action_id": replace(action["incident_id"], score=0.6, reason=reason)}
    elif "action_id" not in action:
        row_id = next((one for one in extract.profiles if normal(one.name) in ("id", "dcid", "logid")), None)
        if row_id is not None and row_id.is_unique:
            action = {**action, "action_id": Choice(row_id.name, 0.6, "different in every row")}
    chosen = action["action"].names[0]
    blank = extract.profile(chosen).blank if chosen in extract.table.columns else 0.0
    if blank > 0.02:
        notes.append(f"{blank:.0%} of the rows name no action: they are refused, since an action is required")
    score = _mean(action, "student_id", "action", *(("date",) if "date" in action else ()))
    columns = ENTITIES["discipline_action"].columns
    ordered = {column.name: action[column.name] for column in columns if column.name in action}
    return EntityProposal("discipline_action", ordered, score, "a student and a consequence", notes=notes)


# --- surveys -------------------------------------------------------------------------------------------------


def _survey(extract: Extract, ids: dict[str, Choice]) -> list[EntityProposal]:
    choices = matches(extract, "survey_response", ids)
    if "response_id" not in choices:
        return []
    hints = _bonus(extract, _SURVEY_WORDS)
    items = _items(extract, {name for choice in choices.values() for name in choice.names})
    if "item_id" in choices and "answer" in choices:
        response = EntityProposal(
            "survey_response", choices, min(1.0, _mean(choices, "response_id", "item_id", "answer") + hints), "answers"
        )
    elif len(items) >= 3:
        kept = {name: choice for name, choice in choices.items() if name not in ("item_id", "answer", "construct")}
        stem = re.sub(r"[0-9]+$", "", items[0])
        together = all(re.fullmatch(f"{re.escape(stem)}[0-9]+", name) for name in items)
        columns: str | list[str] = f"{re.escape(stem)}[0-9]+" if together else items
        item, answer = _free(extract, "item"), _free(extract, "answer")
        kept["item_id"] = Choice(item, 0.8, f"{len(items)} columns hold the answers")
        kept["answer"] = Choice(answer, 0.8, "the cells of these columns")
        response = EntityProposal("survey_response", kept, min(1.0, 0.7 + hints), f"{len(items)} columns of answers")
        response.unpivot = {"columns": columns, "name": item, "value": answer}
    else:
        return []
    constants = {"construct": TODO} if "construct" not in choices else {}
    if "survey_id" not in response.choices:
        constants["survey_id"] = re.sub(r"[^a-z0-9]+", "-", extract.name)
    elif response.unpivot is not None:
        # What a survey tool calls course or collector is more often a class than a wave.
        response.choices["survey_id"] = replace(response.choices["survey_id"], score=0.5)
    response.constants = constants
    wave = EntityProposal("survey", {}, response.score, "the wave that the answers belong to", distinct=True)
    if "survey_id" in response.choices:
        wave.choices["survey_id"] = response.choices["survey_id"]
    else:
        wave.constants["survey_id"] = constants["survey_id"]
    return [_complete(wave, extract), _complete(response, extract)]


def _items(extract: Extract, taken: set[str]) -> list[str]:
    """Columns that look like questions: numbered, or with the same few answers as others."""
    numbered = [
        one.name
        for one in extract.profiles
        if one.name not in taken and re.search(r"(?i)\b(q|item|question)[\s_\-]?[0-9]|^q[0-9]|row[0-9]+$", one.name)
    ]
    scale = [
        one
        for one in extract.profiles
        if one.name not in taken and 2 <= len(one.values) <= 11 and not one.kept_out and not one.is_date
    ]
    alike = [one.name for one in scale if sum(_same_answers(one, other) for other in scale) >= 3]
    return numbered if len(numbered) >= 3 else alike


def _same_answers(one: Profile, other: Profile) -> bool:
    return min(one.overlap(other), other.overlap(one)) >= 0.7


# --- calendars and schools -----------------------------------------------------------------------------------


def _calendar(extract: Extract, ids: dict[str, Choice]) -> list[EntityProposal]:
    if "student_id" in ids and "calendar" not in extract.file_words:
        return []
    choices = matches(extract, "calendar_date", ids)
    core = _mean(choices, "date", "calendar_event")
    if not core:
        return []
    hints = _bonus(extract, frozenset({"calendar", "calendars", "cal", "days", "day"}))
    proposal = EntityProposal("calendar_date", choices, min(1.0, core + hints), "a day and its type")
    if "school_id" not in choices:
        proposal.constants["school_id"] = "all"
        proposal.notes.append("no school is named: the calendar is taken for all of them")
    return [_complete(proposal, extract)]


def _schools(extract: Extract, ids: dict[str, Choice]) -> list[EntityProposal]:
    choices = matches(extract, "school", ids)
    if "student_id" in ids or "school_id" not in choices or "school_name" not in choices:
        return []
    if any(one.is_date for one in extract.profiles if words(one.name)[:1] not in (("opened",), ("closed",), ("date",))):
        return []
    profile = extract.profile(choices["school_id"].names[0])
    if _in_classes(extract):
        return []
    score = _mean(choices, "school_id", "school_name") + _bonus(extract, _SCHOOL_WORDS)
    if not profile.is_unique:
        score -= 0.35
    if len(extract.table.columns) > 3 and sum(one.is_number for one in extract.profiles) > 0.6 * len(extract.profiles):
        score -= 0.5
    if {"district", "lea", "region", "state"} & set(words(profile.name)) and "school" not in words(profile.name):
        return []
    proposal = EntityProposal("school", choices, min(1.0, score), "a school's id and name")
    for kind in extract.profiles:
        kept = [value for value in kind.values if value.lower() == "school"]
        if normal(kind.name) in ("type", "orgtype") and kept and len(kind.values) > 1:
            proposal.where[kind.name] = kept
    return [_complete(proposal, extract)]


# --- students ------------------------------------------------------------------------------------------------


def _people(extract: Extract, ids: dict[str, Choice]) -> list[EntityProposal]:
    if "student_id" not in ids:
        return []
    found = []
    student = ids["student_id"]
    profile = extract.profile(student.names[0])
    demographic = matches(extract, "student_demographic", ids)
    known = [name for name in DEMOGRAPHICS if name in demographic]
    if len(known) >= 2 or (known and profile.is_unique):
        score = (student.score + sum(demographic[name].score for name in known) / len(known)) / 2
        found.append(EntityProposal("student_demographic", demographic, score, f"a student and {', '.join(known)}"))
    enrollment = matches(extract, "student_school_enrollment", ids)
    if "school_id" in enrollment and (
        "entry_date" in enrollment or ("grade" in enrollment and len(profile.values) >= 0.4 * profile.filled)
    ):
        dated = "entry_date" in enrollment
        score = _mean(enrollment, "student_id", "school_id", "entry_date" if dated else "grade")
        proposal = EntityProposal("student_school_enrollment", enrollment, score, "a student's stay at a school")
        if not dated:
            proposal.score = min(proposal.score, 0.6)
        if _in_classes(extract):
            proposal.score = min(proposal.score, 0.55)
            proposal.distinct = True
            proposal.notes.append("rows are enrollments in classes: one school stay is taken from those that are equal")
        found.append(proposal)
    if profile.is_unique or found:
        # An id alone says little: any file of students has one.
        score = student.score if found else min(0.5, student.score)
        found.insert(0, EntityProposal("student", {"student_id": student}, score, "a student's id"))
    role = next((one for one in extract.profiles if normal(one.name) in ("role", "rolename", "usertype")), None)
    if role is not None:
        kept = [value for value in role.values if value.lower() == "student"]
        for proposal in found:
            if kept and len(role.values) > 1:
                proposal.where[role.name] = kept
    return [_complete(proposal, extract) for proposal in found]


def _in_classes(extract: Extract) -> bool:
    """Whether the rows are about classes: not students, nor schools."""
    named = {word for name in extract.table.columns for word in words(name)}
    return bool(_CLASS_WORDS & named) or bool({"courses", "classes", "sections"} & extract.file_words)


def _one_source_each(found: Sequence[Extract], proposed: dict[str, list[EntityProposal]], joined: Links) -> None:
    """Students, demographics, enrollments and schools come from the extract that tells most; the others keep out."""
    by_name = {extract.name: extract for extract in found}

    def feeders(entity: str) -> list[tuple[str, EntityProposal]]:
        return [(name, one) for name, listed in proposed.items() for one in listed if one.entity == entity]

    def keep(entity: str, best: str) -> None:
        for name, one in feeders(entity):
            if name != best and by_name[name].table.kind != "edfi_xml":
                proposed[name].remove(one)

    def value(item: tuple[str, EntityProposal]) -> tuple[float, ...]:
        """Ids that join, nothing left to do, a name that is sure, then the most columns and rows."""
        name, one = item
        joins, is_done = name not in joined.alone, TODO not in one.constants.values()
        return (
            joins,
            is_done,
            round(one.score, 1) if entity == "school" else one.score >= 0.56,
            len(one.choices),
            len(by_name[name].table.rows),
        )

    for entity in ("student_demographic", "student_school_enrollment", "school", "calendar_date"):
        listed = [item for item in feeders(entity) if by_name[item[0]].table.kind != "edfi_xml"]
        if len(listed) > 1:
            keep(entity, max(listed, key=value)[0])
    demographic = {name for name, _ in feeders("student_demographic")}
    senders = [name for name, _ in feeders("student")]
    own = [name for name in senders if not joined.systems.get(name) and name not in joined.alone]
    if own or not joined.bridges:
        own = own or senders
    if own:
        keep("student", max(own, key=lambda name: (name in demographic, _students_of(by_name[name], joined))))
    for name, (system, choice) in joined.bridges.items():
        choices = {"student_id": joined.ids[name]["student_id"], "id": choice}
        bridge = EntityProposal("student_identifier", choices, 0.75, f"joins {system} to the district's ids")
        bridge.constants["system"] = system
        proposed[name].append(_complete(bridge, by_name[name]))
        if not own and not any(one.entity == "student" for one in proposed[name]):
            students = EntityProposal("student", {"student_id": choices["student_id"]}, 0.7, "the district's own ids")
            proposed[name].append(_complete(students, by_name[name]))
            keep("student", name)
    if not feeders("school"):
        _schools_from_others(found, proposed, joined)


def _students_of(extract: Extract, joined: Links) -> int:
    """How many students the sample names; none for a format that knows its own ids."""
    choice = joined.ids[extract.name].get("student_id")
    return len(extract.profile(choice.names[0]).values) if choice else 0


def _schools_from_others(found: Sequence[Extract], proposed: dict[str, list[EntityProposal]], joined: Links) -> None:
    """Without a file of schools: their names from the file of students that has id and name."""
    for extract in found:
        if extract.table.kind == "edfi_xml":
            continue
        choices = matches(extract, "school", joined.ids[extract.name])
        kept = {name: choices[name] for name in ("school_id", "school_name") if name in choices}
        if len(kept) == 2 and proposed[extract.name]:
            reason = "no file of schools: ids and names from here"
            proposal = EntityProposal("school", kept, 0.6, reason, distinct=True)
            proposed[extract.name].append(_complete(proposal, extract))
            return


def _why_nothing(extract: Extract, joined: Links) -> str:
    ids = joined.ids.get(extract.name, {})
    numbers = sum(one.is_number for one in extract.profiles)
    if not extract.table.rows:
        return "it has column names, but no rows"
    if "student_id" not in ids and numbers >= max(2, 0.4 * len(extract.profiles)):
        return "it holds counts, not students: no entity of the contract yet (a state report?)"
    if "student_id" not in ids:
        return "no column looks like a student, a school with its name, or a calendar: no entity of the contract yet"
    for entity, core in _CORES.items():
        there = matches(extract, entity, ids)
        lacking = [column for column in core if column not in there]
        # All but one of what it takes, and a name that says more: the one is worth a look.
        if len(lacking) == 1 and len(core) > 2:
            odd = called_like(extract, entity, lacking[0])
            but = f" ({', '.join(odd)} is called like it, but holds something else)" if odd else ""
            return f"it could feed {entity}, but no column looks like {lacking[0]}{but}"
    return "it names students, but nothing that the contract takes, or another file says it better"


def code_columns(extract: Extract, proposal: EntityProposal) -> list[tuple[str, Profile, Choice]]:
    """(contract column, its file column's profile, choice) of every code column that one file column fills."""
    by_name = ENTITIES[proposal.entity].by_name
    found = []
    for name, choice in proposal.choices.items():
        if by_name[name].type != "code" or (isinstance(choice.target, dict) and "flags" in choice.target):
            continue
        for column in choice.names:
            if column in extract.table.columns:
                found.append((name, extract.profile(column), choice))
    return found


def known_share(profile: Profile, entity: str, column: str) -> float:
    """The share of a code column's rows that the default table knows."""
    return known_codes(profile, ENTITIES[entity].by_name[column])
