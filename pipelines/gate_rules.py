"""The gates' rules as data: `expectations/<suite>.yml`, read strictly, all problems at once.

A rule says what must hold in one audit frame, how grave it is when it does not, which columns name the
failing row, and, for people, what it means, who corrects it and how.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipelines.config import Identifier
from pipelines.yaml_document import Document, Problem, read, validation_problems

Severity = Literal["critical", "warning", "info"]
Scope = Literal["snapshot", "source", "school", "group"]

#: The columns by which an audit frame may name a row. Only these, and shares and head counts, ever leave it.
KeyColumn = Literal[
    "source_id",
    "organization_id",
    "school_year",
    "period_type",
    "period_start",
    "student_group_id",
    "category",
    "indicator_id",
    "survey_id",
    "entity",
    "crosswalk",
    "table_name",
    "column_name",
]

#: The key that a rule of a scope cannot do without.
_SCOPE_KEYS: dict[Scope, KeyColumn] = {
    "source": "source_id",
    "school": "organization_id",
    "group": "student_group_id",
}

#: Arguments that the rule sets by itself, or that would hide a decision from the audit model.
_RESERVED_ARGUMENTS = frozenset(
    (
        *("mostly", "row_condition", "condition_parser", "windows", "severity", "result_format"),
        *("catch_exceptions", "id", "meta", "notes", "description", "rendered_content", "batch_id"),
    )
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _RuleText(_Strict):
    """One rule as its file holds it."""

    id: Identifier = Field(description="A stable name: it is published as check_id.")
    question: str = Field(min_length=1, description="The question that the check answers, for a reader.")
    severity: Severity = Field(description="critical acts on figures; warning and info only inform.")
    scope: Scope = Field(description="What one failing row makes untrustworthy.")
    frame: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="The audit table that the check reads.")
    expectation: str = Field(pattern=r"^Expect[A-Za-z0-9]+$", description="A class of Great Expectations.")
    arguments: dict[str, Any] = Field(default={}, description="Its arguments, as column and min_value.")
    keys: list[KeyColumn] = Field(default=[], description="The columns that name a failing row.")
    observed: str | None = Field(default=None, description="The column with the observed share.")
    expected: str | None = Field(default=None, description="The column with the expected share.")
    students: str | None = Field(default=None, description="The column with the students behind the observed share.")
    students_rest: str | None = Field(default=None, description="The column with the students behind the rest.")
    empty_is_pass: bool = Field(default=False, description="Whether a frame without rows is in order.")
    null_is_pass: bool = Field(default=False, description="Whether a row without a judged value is in order.")
    affects: list[str] = Field(default=[], description="Indicators or domains whose figures a failure touches.")
    domain: Identifier = Field(description="The subject whose figures a failure touches, as attendance.")
    means: str = Field(min_length=1, description="What a failure means.")
    who_fixes: str = Field(min_length=1, description="The role that can correct it.")
    remedy: str = Field(min_length=1, description="What that role does.")

    @field_validator("arguments")
    @classmethod
    def _the_audit_model_decides(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(_RESERVED_ARGUMENTS & value.keys()):
            raise ValueError(f"{', '.join(taken)} is not for a rule: decide it in the audit model")
        return value

    @model_validator(mode="after")
    def _a_scope_names_its_rows(self) -> _RuleText:
        needed = _SCOPE_KEYS.get(self.scope)
        if needed and needed not in self.keys:
            raise ValueError(f"scope {self.scope} needs {needed} among keys")
        if len(set(self.keys)) < len(self.keys):
            raise ValueError("keys names a column twice")
        if self.severity == "critical" and self.scope in ("school", "group") and not self.affects:
            raise ValueError(f"a critical rule of scope {self.scope} must say what it affects")
        return self


class Rule(_RuleText):
    """One rule with the suite that it came from and the gate that asks it."""

    suite: Identifier
    gate: Literal[1, 2]


class _Suite(_Strict):
    """One file of rules."""

    suite: Identifier = Field(description="The file's own name, without .yml.")
    gate: Literal[1, 2] = Field(description="1 before the marts, 2 after them.")
    rules: list[_RuleText] = Field(min_length=1, description="The rules, in the order in which they are asked.")


class RuleProblems(Exception):
    """Rule files that cannot be used: all their problems, by file and line."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: (problem.path, problem))
        super().__init__("\n".join(map(str, self.problems)))


def load_rules(folder: Path) -> list[Rule]:
    """Reads every `*.yml` of a folder, in order of name. Raises RuleProblems when any of it is unusable.

    A folder without rules is a problem too: gates that ask nothing would let everything pass.
    """
    files = sorted(path for path in folder.glob("*") if path.suffix in (".yml", ".yaml"))
    if not files:
        raise RuleProblems([Problem(0, "", "no rule files here", "add expectations/<suite>.yml", folder)])
    rules: list[Rule] = []
    problems: list[Problem] = []
    first_seen: dict[str, Path] = {}
    for path in files:
        document = read(path)
        suite = _suite(document)
        if suite:
            rules += [Rule(**text.model_dump(), suite=suite.suite, gate=suite.gate) for text in suite.rules]
            for number, text in enumerate(suite.rules):
                if text.id in first_seen:
                    message = f"{text.id} is already in {first_seen[text.id].name}"
                    document.add(("rules", number, "id"), message, "give it another id")
                first_seen.setdefault(text.id, path)
        problems += document.problems
    if problems:
        raise RuleProblems(problems)
    return rules


def _suite(document: Document) -> _Suite | None:
    if document.path.suffix != ".yml":
        document.add_line(0, "has another ending than rule files have", "rename it to .yml")
    if document.data is None:
        return None
    try:
        suite = _Suite.model_validate(document.data)
    except ValidationError as error:
        validation_problems(document, error, _Suite.model_json_schema(), {})
        return None
    if suite.suite != document.path.stem:
        document.add(("suite",), "is not the file's name", f"write suite: {document.path.stem}, or rename the file")
    return suite
