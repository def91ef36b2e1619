"""The default code tables: every value of the standards is mapped or left open with a reason; nothing is guessed."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest
from rich.console import Console

from pipelines.code_version import DBT_PROJECT
from pipelines.config import Source
from pipelines.contract import CROSSWALK_VALUES, ENTITIES
from pipelines.crosswalks import SCOPES, load
from pipelines.home import Home
from pipelines.sources import edfi_xml
from pipelines.summary import show_unmapped

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTORS = ROOT.parent / "shared" / "data" / "edfi_xml_grand_bend" / "descriptors"
PAGE = ROOT / "docs" / "sources" / "crosswalks.md"
STAGING = DBT_PROJECT / "models" / "staging"

needs_descriptors = pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="needs ../shared/data/edfi_xml_grand_bend")

#: The descriptors of Data Standard 5.2 that feed each crosswalk, and their values without a default. Why a value has
#: none stands in docs/sources/crosswalks.md, save what is said here.
DESCRIPTORS_OF = {
    "attendance_category": {"AttendanceEventCategory": set()},
    "behavior": {"Behavior": {"state offense", "school violation", "school code of conduct", "other"}},
    "calendar_event": {"CalendarEvent": {"other"}},
    "disability": {
        "DisabilityDesignation": {"other"},
        "Disability": {
            *("other", "medical condition", "mental impairment", "motor impairment"),
            *("physical disability", "sensory impairment"),
        },
    },
    "discipline_action": {"Discipline": set()},
    "economic": {
        "SchoolFoodServiceProgramService": {"other"},
        # One value of this list is about economic disadvantage; the others are about something else.
        "StudentCharacteristic": {
            *("asylee", "displaced", "displaced homemaker", "foster care", "homeless", "immigrant", "other"),
            *("parent in military", "pregnant", "refugee", "runaway", "single parent", "unaccompanied youth"),
        },
    },
    "enrollment_type": {"EnrollmentType": {"current", "preregistered", "summer"}},
    "grade": {"GradeLevel": set()},
    "language": {"LimitedEnglishProficiency": set()},
    "participation": {"DisciplineIncidentParticipationCode": set()},
    "race": {"Race": set()},
    "school_level": {"SchoolCategory": set()},
    "sex": {"Sex": set()},
    "survey_universe": {"SurveyCategory": {"applicant", "community", "district", "exit", "other"}},
}
CASES = [(crosswalk, name, left) for crosswalk, named in DESCRIPTORS_OF.items() for name, left in named.items()]

#: Crosswalks that no Ed-Fi descriptor feeds: a boolean there, the scales of survey tools, and a state's own codes.
NO_DESCRIPTOR = {"yes_no", "survey_answer", "state_indicator", "state_student_group"}

#: Where an interchange holds a descriptor: element, the rest of it, entity and column.
_IDS = "<StudentReference><StudentIdentity><StudentUniqueId>1</StudentUniqueId></StudentIdentity></StudentReference>"
_SCHOOL = "<SchoolReference><SchoolIdentity><SchoolId>9</SchoolId></SchoolIdentity></SchoolReference>"
_INCIDENT = (
    "<DisciplineIncidentReference><DisciplineIncidentIdentity><IncidentIdentifier>7</IncidentIdentifier>"
    f"{_SCHOOL}</DisciplineIncidentIdentity></DisciplineIncidentReference>"
)
_DAY = "2025-09-02"
_ASSOCIATION = ("StudentEducationOrganizationAssociation", _IDS)
_PARTICIPANT = ("StudentDisciplineIncidentBehaviorAssociation", _IDS + _INCIDENT)
IN_AN_INTERCHANGE = {
    "AttendanceEventCategory": (
        *("StudentSchoolAttendanceEvent", f"{_IDS}{_SCHOOL}<EventDate>{_DAY}</EventDate>"),
        *("AttendanceEventCategory", "attendance_event", "category"),
    ),
    "Behavior": (*_PARTICIPANT, "Behavior", "discipline_incident_student", "behavior"),
    "CalendarEvent": (
        "CalendarDate",
        f"<Date>{_DAY}</Date><CalendarReference><CalendarIdentity>{_SCHOOL}</CalendarIdentity></CalendarReference>",
        *("CalendarEvent", "calendar_date", "calendar_event"),
    ),
    "Disability": (*_ASSOCIATION, "Disability/Disability", "student_demographic", "disability"),
    "DisabilityDesignation": (*_ASSOCIATION, "Disability/DisabilityDesignation", "student_demographic", "disability"),
    "Discipline": (
        "DisciplineAction",
        f"{_IDS}<ResponsibilitySchoolReference><SchoolIdentity><SchoolId>9</SchoolId></SchoolIdentity>"
        "</ResponsibilitySchoolReference><DisciplineActionIdentifier>3</DisciplineActionIdentifier>"
        f"<DisciplineDate>{_DAY}</DisciplineDate>",
        *("Discipline", "discipline_action", "action"),
    ),
    "DisciplineIncidentParticipationCode": (
        *_PARTICIPANT,
        *("DisciplineIncidentParticipationCode", "discipline_incident_student", "participation"),
    ),
    "GradeLevel": (
        *("StudentSchoolAssociation", f"{_IDS}{_SCHOOL}<EntryDate>{_DAY}</EntryDate>"),
        *("EntryGradeLevel", "student_school_enrollment", "grade"),
    ),
    "LimitedEnglishProficiency": (*_ASSOCIATION, "LimitedEnglishProficiency", "student_demographic", "language"),
    "Race": (*_ASSOCIATION, "Race", "student_demographic", "races"),
    "SchoolCategory": (
        *("School", "<SchoolId>9</SchoolId><NameOfInstitution>N</NameOfInstitution>"),
        *("SchoolCategory", "school", "level"),
    ),
    "Sex": (*_ASSOCIATION, "Sex", "student_demographic", "sex"),
}
#: Descriptors whose elements the interchange reader does not take: their values come by other maps.
NOT_READ = {"EnrollmentType", "SchoolFoodServiceProgramService", "StudentCharacteristic", "SurveyCategory"}


@pytest.fixture(scope="module")
def defaults(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    """The value of every default row by crosswalk and folded code."""
    entries = load(tmp_path_factory.mktemp("no_district")).entries
    return {(entry.crosswalk, entry.code): entry.value for entry in entries}


def values_of(descriptor: str) -> list[str]:
    root = ElementTree.parse(DESCRIPTORS / f"{descriptor}Descriptor.xml").getroot()
    return [(element.text or "").strip() for element in root.iter() if element.tag.endswith("}CodeValue")]


def test_every_crosswalk_names_its_descriptors_or_says_that_it_has_none() -> None:
    assert DESCRIPTORS_OF.keys() | NO_DESCRIPTOR == CROSSWALK_VALUES.keys()
    assert {name for _, name, _ in CASES} == IN_AN_INTERCHANGE.keys() | NOT_READ


@needs_descriptors
@pytest.mark.parametrize(("crosswalk", "descriptor", "left_open"), CASES, ids=[name for _, name, _ in CASES])
def test_every_value_of_data_standard_5_2_has_a_default_or_is_left_open_on_purpose(
    crosswalk: str, descriptor: str, left_open: set[str], defaults: dict[tuple[str, str], str]
) -> None:
    values = {value.lower() for value in values_of(descriptor)}
    assert len(values) > 2
    assert {value for value in values if (crosswalk, value) not in defaults} == left_open


@needs_descriptors
@pytest.mark.parametrize("descriptor", sorted(IN_AN_INTERCHANGE))
def test_a_value_reads_the_same_as_a_word_and_as_a_uri(descriptor: str, tmp_path: Path) -> None:
    element, identity, path, entity, column = IN_AN_INTERCHANGE[descriptor]
    values = values_of(descriptor)

    def wrapped(text: str) -> str:
        for name in reversed(path.split("/")):
            text = f"<{name}>{text}</{name}>"
        return f"<{element}>{identity}{text}</{element}>"

    written = [wrapped(v) + wrapped(f"uri://ed-fi.org/{descriptor}Descriptor#{v}") for v in values]
    file = tmp_path / "interchange.xml"
    file.write_text(f"<InterchangeAny>{''.join(written)}</InterchangeAny>", encoding="utf-8")
    source = Source.model_validate({"kind": "edfi_xml", "files": "*.xml", "missing_rows": "full"})
    with duckdb.connect() as con:
        reading = edfi_xml.read(con, file, source, tmp_path)
        cells = [cell for (cell,) in con.execute(f"select {column} from {reading.tables[entity]}").fetchall()]
    assert sorted(cells) == sorted([*values, *values])


@pytest.mark.parametrize(
    ("crosswalk", "meanings"),
    [
        ("attendance_category", "present=Present absent_excused=ExcusedAbsence absent_unexcused=UnexcusedAbsence"),
        ("attendance_category", "tardy=Tardy partial=EarlyDeparture absent=Absence"),
        ("race", "american_indian_or_alaska_native=AM7,AM asian=AS7 black=BL7,BL hispanic=HI7 two_or_more=MU7"),
        ("race", "native_hawaiian_or_pacific_islander=PI7 white=WH7,WH"),
        ("sex", "female=F male=M"),
        ("grade", "pk=PK,PR kg=KG,TK,KN 01=01,1 02=02 03=03 04=04 05=05 06=06 07=07 08=08 09=09,9 10=10 11=11 12=12"),
        ("grade", "ungraded=UG other=13,AE,ABE,PS,IT"),
        ("economic", "disadvantaged=FL,RPL,ECODIS,Free,ReducedPrice not_disadvantaged=FullPrice"),
        ("language", "english_learner=LEP,LEPP,EL not_english_learner=NLEP,EO,IFEP,RFEP unknown=TBD"),
        ("disability", "idea=AUT,DB,DD,EMN,HI,ID,MD,MR,OHI,OI,SLD,SLI,TBI,VI,IDEA,WDIS section_504=SECTION504"),
        ("discipline_action", "in_school_suspension=03100,INSCHOOL out_of_school_suspension=03101,03102,03154,03155"),
        ("discipline_action", "expulsion=03086,03087 law_enforcement_referral=03088,03089 corporal_punishment=03081"),
        ("discipline_action", "disciplinary_transfer=03156,03157,03158,REMDW,REMHO"),
        ("discipline_action", "other=03071,03084,03099,13359 none=03105"),
        ("yes_no", "yes=true,1 no=false,0"),
    ],
)
def test_codes_of_ceds_and_edfacts(crosswalk: str, meanings: str, defaults: dict[tuple[str, str], str]) -> None:
    for said in meanings.split():
        value, codes = said.split("=")
        for code in codes.split(","):
            assert defaults.get((crosswalk, code.lower())) == value, code


def without_default() -> list[tuple[str, str]]:
    """Crosswalk and code of every row of the page's table of values that have no default on purpose."""
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \| [^|]{8,} \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [(crosswalk, code.lower()) for crosswalk, code in rows]


def test_what_the_page_leaves_open_is_open(defaults: dict[tuple[str, str], str]) -> None:
    rows = without_default()
    assert len(rows) > 40
    assert len(rows) == len(set(rows))
    assert {crosswalk for crosswalk, _ in rows} <= CROSSWALK_VALUES.keys()
    assert [row for row in rows if row in defaults] == []


def test_the_page_gives_a_reason_for_every_descriptor_value_left_open() -> None:
    told = set(without_default())
    left = {
        (crosswalk, value) for crosswalk, name, values in CASES if name != "StudentCharacteristic" for value in values
    }
    # One row of the page speaks for the four values of the behavior descriptor.
    assert {row for row in left - told if row[0] != "behavior"} == set()
    assert {"school code of conduct", "other"} <= {code for crosswalk, code in told if crosswalk == "behavior"}


@pytest.mark.parametrize("crosswalk", sorted(CROSSWALK_VALUES))
def test_a_letter_alone_has_a_default_only_where_the_field_agrees(
    crosswalk: str, defaults: dict[tuple[str, str], str]
) -> None:
    agreed = {"sex": {"f", "m"}, "grade": {"k", *"123456789"}, "yes_no": {"y", "n", "t", "f", "1", "0"}}
    yes_or_no = {"economic": {"y", "n"}, "language": {"y", "n"}}
    short = {code for name, code in defaults if name == crosswalk and len(code) == 1}
    assert short == {**agreed, **yes_or_no}.get(crosswalk, set())


# --- the staging models read codes by these scopes ----------------------------------------------------------------


def calls() -> list[tuple[str, str, set[str]]]:
    """(model, crosswalk, scopes) of every call of `meanings` in a staging model."""
    names = {"school": "school_id", "school_year": "school_year", "calendar": "calendar_id"}
    found = []
    for path in sorted(STAGING.glob("*.sql")):
        text = path.read_text(encoding="utf-8")
        for start in (match.end() for match in re.finditer(r"\bmeanings\(", text)):
            depth, end = 1, start
            while depth:
                depth += {"(": 1, ")": -1}.get(text[end], 0)
                end += 1
            call = text[start : end - 1]
            if path.stem == "stg_code":  # every scope for every crosswalk: what a row does not carry is empty there
                continue
            crosswalk = re.findall(r"\"(\w+)\"", re.sub(r"ref\(\"\w+\"\)|=\s*[^,]+", "", call))[-1]
            scopes = {names[name] for name in re.findall(r"\b(school|school_year|calendar)\s*=", call)}
            found.append((path.stem, crosswalk, scopes))
    return found


def test_every_call_in_staging_has_the_scopes_of_its_crosswalk() -> None:
    found = calls()
    assert {crosswalk for _, crosswalk, _ in found} == CROSSWALK_VALUES.keys() == SCOPES.keys()
    wrong = [(model, crosswalk, scopes) for model, crosswalk, scopes in found if scopes != set(SCOPES[crosswalk])]
    assert wrong == []


def test_the_warehouse_reports_every_code_column_of_the_contract() -> None:
    columns = {
        (entity.name, column.name, column.crosswalk)
        for entity in ENTITIES.values()
        for column in entity.columns
        if column.type == "code"
    }
    listed = re.findall(r'\("(\w+)", "(\w+)", "(\w+)", ', (STAGING / "stg_code.sql").read_text(encoding="utf-8"))
    assert set(listed) == columns
    audited = (DBT_PROJECT / "models" / "audit" / "facts" / "audit_code.sql").read_text(encoding="utf-8")
    assert set(re.findall(r'\("(\w+)", "(\w+)"\)', audited)) == {(entity, column) for entity, column, _ in columns}


# --- what a night says of them ------------------------------------------------------------------------------------


def test_a_night_says_since_when_codes_are_unmapped_and_no_code(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    with duckdb.connect(str(home.warehouse / "L.duckdb")) as con:
        con.execute("create schema audit")
        con.execute(
            """
            create table audit.audit_code as
            select * from (
                values
                    ('attendance_event', 'category', 90, 7, 0.1, 1, 2, date '2025-09-02', date '2026-03-01'),
                    ('student_demographic', 'sex', 90, 12, 0.1, 3, 0, null, null),
                    ('school', 'level', 3, 0, 0.0, 0, 0, null, null)
            ) as t(entity, column_name, coded_rows, unmapped_rows, unmapped_share, unmapped_codes, unmapped_schools,
                first_seen, last_seen)
            """
        )
    console = Console(record=True, width=120, file=(tmp_path / "said.txt").open("w"))
    show_unmapped(home, "L", console)
    show_unmapped(home, "gone", console)
    assert console.export_text().split("\n")[1:4] == [
        "Codes that nobody mapped  `equity check` lists them",
        "         12  student_demographic.sex: 3 codes",
        "          7  attendance_event.category: 1 code, 2 schools, 2025-09-02 to 2026-03-01",
    ]
    assert "school.level" not in console.export_text()
