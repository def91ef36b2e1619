"""What no single type can know about the `survey` block of a source: names that need others, and promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.config import as_day
from pipelines.refused_columns import refused_word
from pipelines.sources.survey_layouts import names_a_person
from pipelines.yaml_document import Document, Where, shorten

#: Settings that name one column of the export.
_COLUMNS = ("response_id", "student_id", "school_id", "started", "submitted", "seconds", "language", "finished")
#: Tools whose exports number their questionnaires themselves, or let the reader do so.
_NUMBERED = ("google_forms", "survey_monkey", "qualtrics")


def check_survey(document: Document, where: Where, survey: Mapping[str, Any]) -> None:
    """Adds every problem between the parts of a survey block. survey: plain values of any type."""
    opened, closed = as_day(survey.get("opened")), as_day(survey.get("closed"))
    if type(opened) is type(closed) and opened and closed and str(closed) < str(opened):
        document.add((*where, "closed"), "lies before opened", "exchange the two, or correct one")
    if survey.get("anonymous") is True and survey.get("student_id") is not None:
        document.add(
            (*where, "student_id"),
            "respondents were promised anonymity, so no student id is carried",
            "remove this line, and the column from the export",
        )
    if survey.get("tool") in ("panorama", "wide") and survey.get("response_id") is None:
        remedy = "name the column that numbers the questionnaires"
        document.add((*where, "response_id"), "a layout without a tool does not say which column it is", remedy)
    if survey.get("test_accounts") and survey.get("student_id") is None:
        document.add(
            (*where, "test_accounts"), "there is no student_id to compare with", "name student_id, or remove it"
        )
    for setting in _COLUMNS:
        if isinstance(name := survey.get(setting), str):
            _check_column(document, (*where, setting), name, may_name_a_person=setting == "student_id")
    items = survey.get("items")
    for name in items if isinstance(items, dict) else ():
        if isinstance(name, str):
            place = (*where, "items", name)
            _check_column(document, place, name, may_name_a_person=False)
            if "*" in name and not any(letter.isalnum() for letter in name):
                remedy = "begin it with what the items' names share, as Q1_*"
                document.add(place, "names every column, and free text among them", remedy)


def _check_column(document: Document, where: Where, name: str, *, may_name_a_person: bool) -> None:
    if word := refused_word(name):
        document.add(where, f"{shorten(name)} is refused: the warehouse never carries {word}", "remove this line")
    elif not name.strip():
        document.add(where, "is empty", "name the export's column")
    elif not may_name_a_person and names_a_person(name):
        remedy = "name another column, or remove this line"
        document.add(where, f"{shorten(name)} tells who answered, or from where: it is never carried", remedy)
