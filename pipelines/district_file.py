"""Loads a `district.yaml`: every error at once, by line, with what to do about it.

Two passes over the same document: the types of `config.py`, then what no single type can know
(`district_checks.py`). The second reads plain values too, so a wrong type in one corner never hides a
wrong name in another.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from pipelines.config import DistrictFile, Settings
from pipelines.district_checks import check
from pipelines.ids import with_id_rules
from pipelines.yaml_document import Problem, read, validation_problems

_REMEDIES = {
    "connection": "write the name of an environment variable, as SIS_URL, which holds the URL",
    "missing_rows": "say what a row that is no longer sent means: full (it was deleted), active_only (it is no "
    "longer active, what was known stays), window (only the dates in the file are restated), append (nothing)",
    "student_system": "use lower-case letters, digits, _ and -, at most 64",
    "school_year_start": "write month and day in quotes, as '07-01'",
    "at": "write hours and minutes of the 24-hour clock, as '04:30'",
}


class ConfigurationProblems(Exception):
    """A configuration that cannot be used: all its problems, sorted by line. Nothing has been read."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))


def load(path: Path) -> DistrictFile:
    """Reads and validates a whole `district.yaml`.

    Returns the settings with the absolute path of their file, to whose folder paths in it are relative. Each source
    carries the rules by which its ids are written, and the calendars' schools are written by the district's.
    Raises ConfigurationProblems, and nothing else, for anything wrong with the file.
    """
    document = read(path)
    settings: Settings | None = None
    if document.data is not None:
        try:
            settings = Settings.model_validate(document.data)
        except ValidationError as error:
            validation_problems(document, error, json_schema(), _REMEDIES)
        check(document, document.data)
    if document.problems or settings is None:
        raise ConfigurationProblems(document.problems)
    return DistrictFile(path=path.absolute(), settings=with_id_rules(settings))


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of `district.yaml`, for editors; `load` checks more than it can say."""
    schema = Settings.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:equity-warehouse:district.yaml",
        **schema,
        "title": "district.yaml of an equity warehouse",
        "description": "What a district says about itself, its extracts and its thresholds.",
    }


def json_schema_text() -> str:
    """The text of `docs/district.schema.json`: `python -m pipelines.district_file` prints it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class SettingRow:
    """One setting with a standard behind it. Values are text, as they would stand in the file."""

    setting_id: str
    value: str
    default_value: str
    authority: str
    differs: bool


def settings_table(settings: Settings) -> list[SettingRow]:
    """Every setting that has a default with an authority, in the file's order; sources one by one."""
    rows = [
        row
        for section in ("district", "student_groups", "thresholds", "disclosure", "schedule", "retention")
        for row in _setting_rows(section, getattr(settings, section))
    ]
    for name, source in settings.sources.items():
        rows += _setting_rows(f"sources.{name}", source)
    return rows


def _setting_rows(prefix: str, section: BaseModel) -> Iterator[SettingRow]:
    for name, field in type(section).model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and "authority" in extra:
            value, default = _as_written(getattr(section, name)), _as_written(field.get_default())
            yield SettingRow(f"{prefix}.{name}", value, default, str(extra["authority"]), value != default)


def _as_written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


if __name__ == "__main__":
    sys.stdout.write(json_schema_text())
