"""`district.yaml` as typed settings: what a district says about itself and its sources.

Every default is the federal or field standard; its authority stands beside it and reaches the
published `setting` table. Unknown keys are errors: a misspelt setting must never be a silent default.
Types are strict for the same reason: `settle_days: true` is an error, not one day.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_\-]{0,63}$")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
#: As `date.weekday` counts them.
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: A grade level that a calendar may be for: those of the crosswalk `grade` that name one.
Grade = Literal["pk", "kg", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "ungraded", "other"]
DAY_MINUTES = 24 * 60


def as_day(value: object) -> object:
    """An ISO date written as text becomes a date; anything else is returned as it is."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            return value
    return value


def closure_span(closure: date | str) -> tuple[date, date]:
    """First and last day of a closure, which is a date or `FROM..TO`; ValueError when it is neither."""
    if isinstance(closure, date):
        return closure, closure
    first, separator, last = closure.partition("..")
    if not separator:
        last = first
    return date.fromisoformat(first.strip()), date.fromisoformat(last.strip())


Day = Annotated[date, BeforeValidator(as_day)]


def _authority(text: str) -> dict[str, Any]:
    """Marks a field as a setting that the public table `setting` lists when it differs from its default."""
    return {"authority": text}


def _one_or_many(schema: dict[str, Any]) -> None:
    """`files` may be one path or a list of them; the JSON Schema says so too."""
    many = {key: schema.pop(key) for key in ("items", "type")}
    schema["anyOf"] = [{"type": "string"}, many]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class IdRules(_Strict):
    """How ids are written alike before they are compared or hashed; white space around them never counts."""

    case: Literal["keep", "upper", "lower"] = Field(default="keep", description="Letters as they are, or all alike.")
    leading_zeros: Literal["keep", "strip"] = Field(default="keep", description="Whether 00417 and 417 are one id.")
    pad_to: int | None = Field(
        default=None, ge=1, le=64, description="Put zeros before an id of digits up to this length (after strip)."
    )


class District(_Strict):
    """Who publishes, and the clock and year that they live by."""

    id: str = Field(min_length=1, max_length=64, description="The district's id, unlike any school's id.")
    name: str = Field(min_length=1, description="The name that readers know.")
    contact: str = Field(min_length=1, description="Address for questions about the published figures.")
    time_zone: str = Field(description="IANA name, as America/Chicago.")
    school_year_start: str = Field(
        default="07-01",
        pattern=r"^\d{2}-\d{2}$",
        description="Month and day on which a school year begins.",
        json_schema_extra=_authority("NCES: a school year is usually counted from July 1 through June 30"),
    )
    state_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="The district's id as the state's reports write it, with its zeros; default: id.",
    )
    student_system: Identifier = Field(
        default="local",
        description="The system whose student ids are the district's own; others join through student_identifier.",
    )
    student_ids: IdRules = Field(default=IdRules(), description="How student ids are written alike.")
    school_ids: IdRules = Field(default=IdRules(), description="How school ids are written alike.")


class CalendarYear(_Strict):
    """A school year's session days, where no calendar file says them: all of them, for whom it names."""

    school_year: int = Field(ge=1990, le=2100, description="The year in which it ends: 2026 for 2025-26.")
    schools: list[str] = Field(default=["all"], min_length=1, description="School ids, or all.")
    calendar_id: str | None = Field(
        default=None, min_length=1, description="The calendar or track that enrollments name; default: every one."
    )
    grades: list[Grade] = Field(default=[], description="Only these grades, as [kg, '12']; default: every grade.")
    first_day: Day = Field(description="The first session day, as 2025-08-12.")
    last_day: Day = Field(description="The last session day, as 2026-05-28.")
    weekdays: list[Weekday] = Field(
        default=["mon", "tue", "wed", "thu", "fri"], min_length=1, description="The days of a school week."
    )
    closures: list[date | str] = Field(default=[], description="Days off: a date, or FROM..TO.")
    half_days: list[date | str] = Field(default=[], description="Session days of half length: a date, or FROM..TO.")
    minutes: int | None = Field(
        default=None, ge=1, le=DAY_MINUTES, description="Instructional minutes of a full session day."
    )
    periods: dict[str, Annotated[int, Field(ge=0, le=DAY_MINUTES)]] = Field(
        default={}, description="Where attendance is sent by period: each period of a day, and its minutes."
    )

    @field_validator("closures", "half_days", mode="before")
    @classmethod
    def _dates_in_quotes_are_dates(cls, value: object) -> object:
        return [as_day(item) for item in value] if isinstance(value, list) else value

    @field_validator("periods", mode="before")
    @classmethod
    def _numbers_name_periods(cls, value: object) -> object:
        return (
            {str(name) if type(name) is int else name: of for name, of in value.items()}
            if isinstance(value, dict)
            else value
        )


class Whole(_Strict):
    """How a file shows that nothing more of it is to come. One that does not is late, and is not read."""

    stable_seconds: int = Field(
        default=2,
        ge=0,
        le=3600,
        description="Size and time must have stood still for so long; a younger file is waited for, once.",
    )
    marker: str | None = Field(
        default=None, description="A file that must lie beside it: `{name}.done`, `{stem}.ctl` or a fixed name."
    )
    trailer: str | None = Field(
        default=None,
        description="Regular expression of the last line, which is no record; its group `rows` is their number.",
    )


class ColumnMap(_Strict):
    """Where a contract column comes from, when a plain column name does not say enough."""

    column: str | None = Field(default=None, description="The file's column.")
    columns: list[str] | None = Field(
        default=None, min_length=2, description="Several columns, combined; empty ones are left out."
    )
    join: str | None = Field(
        default=None, description="What stands between combined values (a column of many values needs none)."
    )
    flags: dict[str, str] | None = Field(
        default=None,
        min_length=1,
        description="Yes-or-no columns: the code that each stands for. All that are set make the value.",
    )
    flag_values: list[str] = Field(
        default=["Y", "YES", "1", "T", "TRUE", "X"], min_length=1, description="What set flags hold, in any case."
    )
    pattern: str | None = Field(
        default=None, description="Regular expression that each whole cell fits; its one group is the value."
    )
    separator: str | None = Field(default=None, description="What separates several values in one cell (races).")
    date_formats: list[str] | None = Field(default=None, description="Overrides the source's formats for this column.")


class Unpivot(_Strict):
    """Columns that hold what should be rows: a row becomes one for each of them."""

    columns: str | list[str] | None = Field(
        default=None,
        description="The columns, or a regular expression that their whole names fit; its named groups become columns.",
    )
    name: str = Field(
        default="column_name",
        description="The new column of the old column's name; with repeat, of the group's number.",
    )
    value: str = Field(default="value", description="The new column that holds the cell.")
    repeat: list[dict[str, str]] | None = Field(
        default=None,
        min_length=1,
        description="Repeated groups of columns, as [{action: Action1, days: Days1}, {action: Action2, days: Days2}].",
    )
    drop: list[str] = Field(default=[""], description="Cells that make no row; with repeat, where all cells are these.")


class EntityMap(_Strict):
    """How one file feeds one entity of the input contract."""

    columns: dict[str, str | ColumnMap] = Field(default={}, description="Contract column: file column.")
    constants: dict[str, str] = Field(default={}, description="Contract column: the same value in every row.")
    where: dict[str, list[str]] = Field(
        default={}, description="Keep only rows whose file column holds one of these values; the rest are counted."
    )
    where_not: dict[str, list[str]] = Field(
        default={}, description="Leave out rows whose file column holds one of these values (Total); they are counted."
    )
    unpivot: Unpivot | None = Field(default=None, description="Turn columns into rows before anything else.")
    sql: str | None = Field(
        default=None,
        description="A .sql file beside district.yaml that yields this entity's columns and `line` from `source`.",
    )
    distinct: bool = Field(
        default=False, description="Keep one of rows that are equal after mapping; the rest are counted."
    )


class HighWaterMark(_Strict):
    """What a database query has already given: only rows above it are asked for again."""

    column: str = Field(description="A column of the query that grows: modified_at, or a running number.")
    start: str = Field(description="The mark of the first night, as the database writes it: 2025-07-01.")


class SurveyItem(_Strict):
    """What the questions are about that one name, or one pattern of names, stands for."""

    measures: str = Field(min_length=1, description="The construct, in lower case: belonging.")
    reverse: bool = Field(default=False, description="Agreement is unfavorable.")
    choices: list[str] = Field(
        default=[],
        description="Several answers in one cell: the choices offered. Each becomes an item; other text is only noted.",
    )


class Survey(_Strict):
    """A survey tool's export: whose layout it has, and what the export does not say of the survey itself."""

    tool: Literal["google_forms", "survey_monkey", "qualtrics", "panorama", "wide"] = Field(
        description="Whose layout; panorama and wide: one header, one row a questionnaire, one column an item."
    )
    id: str = Field(min_length=1, description="The wave's id, as invitations name it: belonging-2026-fall.")
    name: str = Field(min_length=1, description="Its title.")
    universe: Literal["student", "family", "staff"] = Field(description="Who was asked.")
    opened: Day = Field(description="First day of the window.")
    closed: Day = Field(description="Last day of the window.")
    anonymous: bool = Field(description="Whether respondents were promised anonymity: then no student id is carried.")
    items: dict[str, SurveyItem] = Field(
        min_length=1,
        description="Item columns by name, or with * for anything (Q1_*). Other columns are never carried.",
    )
    response_id: str | None = Field(default=None, description="Column of the questionnaire's id; default: the tool's.")
    student_id: str | None = Field(default=None, description="Column of the student's id.")
    school_id: str | None = Field(default=None, description="Column of the school's id.")
    started: str | None = Field(default=None, description="Column of the start; default: the tool's.")
    submitted: str | None = Field(default=None, description="Column of the submission; default: the tool's.")
    seconds: str | None = Field(default=None, description="Column of the seconds taken; default: the tool's.")
    language: str | None = Field(default=None, description="Column of the language; default: the tool's.")
    finished: str | None = Field(
        default=None, description="Column that says whether it was completed; default: the tool's, else submitted."
    )
    finished_values: list[str] = Field(
        default=["true", "1", "yes", "y", "complete", "completed"],
        min_length=1,
        description="What finished holds, in any case, where it was.",
    )
    test_accounts: list[str] = Field(
        default=[], description="Values of student_id that are nobody's: kept, and marked."
    )


class Source(_Strict):
    """One extract: where it lies, what it means, and when it is due."""

    kind: Literal[
        "delimited",
        "fixed_width",
        "excel",
        "parquet",
        "json_lines",
        "database",
        "edfi_xml",
        "edfi_api",
        "oneroster",
        "survey_export",
        "tx_tapr",
        "ct_edsight",
    ] = Field(
        description="delimited: CSV, TSV and the like. database: one read-only query of a SQL database. "
        "edfi_xml: Ed-Fi interchange files. edfi_api: the resources of an Ed-Fi ODS/API. "
        "oneroster: the CSV files of a OneRoster set. survey_export: a survey tool's export, as text. "
        "tx_tapr: attendance of Texas's TAPR. ct_edsight: reports of Connecticut's EdSight."
    )
    survey: Survey | None = Field(default=None, description="survey_export: the tool and the survey's facts.")
    files: list[str] = Field(
        default=[],
        description="A path or glob, a folder or a zip, or several of these, relative to district.yaml.",
        json_schema_extra=_one_or_many,
    )
    members: list[str] = Field(default=["*"], min_length=1, description="Which files of a zip are read: globs.")
    whole: Whole = Whole()
    connection: str | None = Field(
        default=None,
        pattern=r"^[A-Z][A-Z0-9_]*$",
        description="database, edfi_api: the environment variable that holds the connection URL. Never the URL "
        "itself. edfi_api: the same name with _KEY and _SECRET holds the client's key and secret.",
    )
    query: str | None = Field(default=None, description="database: the query, or a .sql file beside district.yaml.")
    high_water_mark: HighWaterMark | None = Field(
        default=None, description="database: ask only for what is new; the query compares with :high_water_mark."
    )
    time_limit_seconds: int = Field(
        default=600,
        ge=1,
        le=86_400,
        description="database: how long the query may take. edfi_api: how long all requests of a night may.",
    )
    missing_rows: Literal["full", "active_only", "window", "append"] = Field(
        description="What a row that is no longer sent means. There is no default on purpose."
    )
    required: bool = Field(
        default=True,
        description="Whether the night stops when this source is overdue.",
        json_schema_extra=_authority(
            "this project: an overdue source stops the night unless the district says otherwise"
        ),
    )
    expected: Literal["school_days", "weekly", "term", "year", "once"] = Field(
        default="school_days",
        description="How often a new file is due.",
        json_schema_extra=_authority("this project: extracts are due every school day"),
    )
    settle_days: int = Field(
        default=2,
        ge=0,
        le=60,
        description="Days younger than this are provisional.",
        json_schema_extra=_authority("this project: younger days are provisional and never fail coverage"),
    )
    attendance_records: Literal["every_day", "exceptions"] | None = Field(
        default=None, description="Positive attendance sends a row for every day, negative only the exceptions."
    )
    student_system: Identifier | None = Field(
        default=None, description="Whose student ids these are; default: the district's."
    )
    student_ids: IdRules | None = Field(
        default=None, description="How student ids are written; default: the district's."
    )
    school_ids: IdRules | None = Field(default=None, description="How school ids are written; default: the district's.")
    encoding: str = Field(default="auto", description="auto reads UTF-8, with or without a mark, else cp1252.")
    delimiter: str = Field(default="auto", description="auto, or the one character between fields.")
    header: int | str = Field(
        default=1,
        description="Line of the column names, or a column name by which to find it below a banner. 0: there is none.",
    )
    column_names: list[str] = Field(default=[], description="The columns in order, where the file does not name them.")
    footer_lines: int = Field(default=0, ge=0, le=100, description="Last lines that are no records.")
    fields: dict[str, list[int]] = Field(
        default={}, description="fixed_width: each column's first and last character, counted from 1."
    )
    sheet: str | int = Field(default=1, description="excel: the sheet's name, or its number.")
    date_formats: list[str] = Field(
        default=["%Y-%m-%d"], min_length=1, description="How dates are written, tried in this order: %m/%d/%Y."
    )
    empty_values: list[str] = Field(default=[], description="Cell values that mean: nothing was entered.")
    masks: list[str] = Field(
        default=[], description="Cell values by which the sender hides a number (*, -1, <10): unknown, and counted."
    )
    accept_removals: list[str] = Field(
        default=[], description="Deliveries (first 12 characters of their hash) that may remove more than 5 % of rows."
    )
    entities: dict[str, EntityMap] = Field(
        default={},
        description="What the files feed. Ed-Fi and OneRoster know by themselves; names there limit them.",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_file_is_a_list(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(value.get("files"), str):
            return {**value, "files": [value["files"]]}
        return value


class Thresholds(_Strict):
    """Numbers that decide, as integers so that no comparison is ever made in floating point."""

    chronic_absence_percent: int = Field(
        default=10,
        ge=1,
        le=50,
        description="Share of enrolled days, in percent, from which absence is chronic (inclusive).",
        json_schema_extra=_authority("EDFacts FS195: absent 10 % or more of days enrolled, inclusive"),
    )
    chronic_absence_minimum_days: int = Field(
        default=10,
        ge=1,
        le=90,
        description="Days enrolled from which a student is classified.",
        json_schema_extra=_authority("EDFacts FS195: enrolled 10 days or more"),
    )
    recorded_days_percent: int = Field(
        default=90,
        ge=0,
        le=100,
        description="Share of a student's session days, in percent, that must have been recorded.",
        json_schema_extra=_authority("this project: a student with fewer recorded days is not classified"),
    )
    school_recorded_percent: int = Field(
        default=75,
        ge=0,
        le=100,
        description="Share of a school's student-days, in percent, below which its attendance is not reliable.",
        json_schema_extra=_authority("this project: with a quarter missing, the missing can outweigh any gap"),
    )
    judgement_minimum_students: int = Field(
        default=30,
        ge=10,
        le=500,
        description="Students below which a figure is shown but not judged: no gap, test, flag or rank.",
        json_schema_extra=_authority("34 CFR 200.17: no more than 30 unless justified"),
    )
    unmapped_attendance_codes_percent: int = Field(
        default=1,
        ge=0,
        le=100,
        description="Share of a school's marks, in percent, without a crosswalk from which it is unreliable.",
        json_schema_extra=_authority("this project: share at which a school's attendance is unreliable"),
    )
    unmapped_discipline_codes_percent: int = Field(
        default=1,
        ge=0,
        le=100,
        description="Share of a school's discipline actions, in percent, in unknown codes from which its figures stop.",
        json_schema_extra=_authority("this project: as for attendance, since an unread action counts as none"),
    )
    removed_rows_percent: int = Field(
        default=5,
        ge=0,
        le=100,
        description="Share of a source's rows, in percent, that one file may remove without being held.",
        json_schema_extra=_authority("this project: a file that would remove more is held"),
    )


class Disclosure(_Strict):
    """How small numbers are hidden in everything public."""

    rule: Literal["minimum_10"] = Field(
        default="minimum_10",
        description="minimum_10: a number with 1 to 9 students behind it is hidden.",
        json_schema_extra=_authority("NCES 2011-603 (SLDS Technical Brief 3): 10 is the commonest minimum"),
    )


class StudentGroups(_Strict):
    """Categories beside the standard ones."""

    intersections: list[list[str]] = Field(
        default=[],
        description="Pairs of categories to cross, as [disability, race_ethnicity].",
        json_schema_extra=_authority("this project: no intersections unless the district names them"),
    )


class Schedule(_Strict):
    """When the night runs, in the district's time zone."""

    at: str = Field(
        default="04:30",
        pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
        description="Not between 01:00 and 03:00: clocks change then.",
        json_schema_extra=_authority("this project: after student systems close the day, off the clock-change hours"),
    )


class Retention(_Strict):
    """How long snapshots are kept. The current one and its predecessor always are."""

    snapshots: int = Field(
        default=14,
        ge=2,
        le=1000,
        description="Newest snapshots to keep.",
        json_schema_extra=_authority("this project: two weeks of nights"),
    )


class Settings(_Strict):
    """A whole `district.yaml`."""

    district: District
    home: str | None = Field(
        default=None, description="EQUITY_HOME for this district: a folder outside any git checkout."
    )
    calendar: list[CalendarYear] = Field(
        default=[], description="Session days, for a district whose sources feed no calendar_date."
    )
    sources: dict[Identifier, Source] = Field(min_length=1, description="The extracts, each under a name of its own.")
    student_groups: StudentGroups = StudentGroups()
    thresholds: Thresholds = Thresholds()
    disclosure: Disclosure = Disclosure()
    schedule: Schedule = Schedule()
    retention: Retention = Retention()


class DistrictFile(_Strict):
    """Settings together with the file that they came from (paths in it are relative to its folder)."""

    path: Path
    settings: Settings

    @property
    def folder(self) -> Path:
        return self.path.parent
