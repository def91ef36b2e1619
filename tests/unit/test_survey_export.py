"""Exports of survey tools: each layout's header rows, what is carried, what is marked, and what is refused.

The exports are made here from public descriptions of the formats; CANARY stands wherever a tool puts a person.
"""

from __future__ import annotations

import csv
import io
import logging
import random
import tempfile
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.district_file import ConfigurationProblems, load
from pipelines.home import Home
from pipelines.keys import KeyFile, pseudonym
from pipelines.landing import Landing, land

CANARY = "Zanzibarlow"
SURVEY: dict[str, Any] = {
    "id": "belonging-2026",
    "name": "Belonging",
    "universe": "student",
    "opened": date(2026, 2, 2),
    "closed": date(2026, 2, 20),
    "anonymous": False,
}


def district(folder: Path, survey: dict[str, Any], files: str = "export.csv", **source: Any) -> Path:
    document = {
        "district": {"id": "d", "name": "D", "contact": "x@example.org", "time_zone": "America/Chicago"},
        "calendar": [{"school_year": 2026, "first_day": date(2025, 8, 12), "last_day": date(2026, 5, 28)}],
        "sources": {
            "climate": {
                "kind": "survey_export",
                "files": files,
                "missing_rows": "append",
                "survey": {**SURVEY, **survey},
                **source,
            }
        },
    }
    path = folder / "district.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def landed(folder: Path, survey: dict[str, Any], export: str | bytes, **source: Any) -> Landing:
    (folder / "export.csv").write_bytes(export.encode() if isinstance(export, str) else export)
    home = Home.open(folder / "home")
    return land(load(district(folder, survey, **source)), home, as_of=date(2026, 3, 1), say=lambda _: None)


def rows(landing: Landing, entity: str, columns: str) -> list[tuple[Any, ...]]:
    paths = [str(file.raw_path) for file in landing.files if file.entity == entity]
    return duckdb.execute(f"select {columns} from read_parquet(?) order by all", [paths]).fetchall()


def refused(landing: Landing, folder: Path, entity: str) -> list[tuple[Any, ...]]:
    paths = [str(path) for path in (folder / "home" / "landing" / "refused" / entity).glob("*.parquet")]
    if not paths:
        return []
    return duckdb.execute("select line, column_name, reason from read_parquet(?) order by all", [paths]).fetchall()


def as_csv(records: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(records)
    return out.getvalue()


def key_of(folder: Path, domain: str, value: str) -> int:
    return pseudonym(KeyFile.load_or_create(Home.open(folder / "home")).key, domain, value)


# --- Qualtrics -------------------------------------------------------------------------------------------------

QUALTRICS = [
    [
        *("StartDate", "EndDate", "Status", "IPAddress", "Progress", "Duration (in seconds)", "Finished"),
        *("RecordedDate", "ResponseId", "RecipientLastName", "RecipientEmail", "UserLanguage", "sid"),
        *("Q1_1", "Q1_2", "Q2"),
    ],
    [
        *("Start Date", "End Date", "Response Type", "IP Address", "Progress", "Duration (in seconds)", "Finished"),
        *("Recorded Date", "Response ID", "Last Name", "Email", "User Language", "sid"),
        *('How much do you agree?\n- I belong,\n"really"', "I am\nalone", "Anything else?"),
    ],
    [f'{{"ImportId":"{name}"}}' for name in "abcdefghijklmnop"],
]


def qualtrics_row(number: int, **changed: str) -> list[str]:
    row = {
        "StartDate": "2026-02-03 09:00:00",
        "EndDate": f"2026-02-03 09:{number:02d}:07",
        "Status": "IP Address",
        "IPAddress": f"10.0.0.{number} {CANARY}",
        "Progress": "100",
        "Duration (in seconds)": "307",
        "Finished": "True",
        "RecordedDate": "2026-02-03 09:05:08",
        "ResponseId": f"R_{number}",
        "RecipientLastName": CANARY,
        "RecipientEmail": f"{CANARY}@example.org",
        "UserLanguage": "ES",
        "sid": f"S{number}",
        "Q1_1": "Agree",
        "Q1_2": "Disagree",
        "Q2": f"I am {CANARY}\nand so on",
        **changed,
    }
    return [row[name] for name in QUALTRICS[0]]


Q_ITEMS = {"Q1_1": {"measures": "belonging"}, "Q1_2": {"measures": "belonging", "reverse": True}}


def test_qualtrics_three_header_rows_partial_preview_and_nobody_is_carried(tmp_path: Path) -> None:
    export = as_csv(
        [
            *QUALTRICS,
            qualtrics_row(1),
            qualtrics_row(2, Finished="False", Q1_2="", **{"Duration (in seconds)": "12"}),
            qualtrics_row(3, Status="Survey Preview"),
            qualtrics_row(4, sid="TEST"),
        ]
    )
    survey = {"tool": "qualtrics", "student_id": "sid", "test_accounts": ["TEST"], "items": Q_ITEMS}
    landing = landed(tmp_path, survey, export)
    asked = rows(landing, "survey_questionnaire", "* exclude (source_id, student_system, file_id)")
    names = [
        *("survey_id", "response_key", "student_key", "school_id", "started", "submitted", "submitted_time"),
        *("seconds", "language", "is_complete", "is_test", "line"),
    ]
    found = {row[1]: dict(zip(names, row, strict=True)) for row in asked}
    first = found[key_of(tmp_path, "response", "R_1")]
    assert first["student_key"] == key_of(tmp_path, "student", "S1")
    assert (first["started"], first["submitted"], first["submitted_time"]) == ("2026-02-03", "2026-02-03", "09:01")
    assert (first["seconds"], first["language"]) == ("307", "ES")
    assert sorted((row["is_complete"], row["is_test"]) for row in found.values()) == [
        ("false", "false"),
        ("true", "false"),
        ("true", "true"),
        ("true", "true"),
    ]
    # Header records span lines 1, 2 to 5, and 6; each questionnaire spans two, for its free text.
    assert sorted(row["line"] for row in found.values()) == [7, 9, 11, 13]
    answers = rows(landing, "survey_response", "item_id, answer, is_reversed, construct")
    assert Counter(answers) == {
        ("Q1_1", "Agree", "false", "belonging"): 4,
        ("Q1_2", "Disagree", "true", "belonging"): 3,
        ("Q1_2", "", "true", "belonging"): 1,
    }
    assert rows(landing, "survey", "survey_id, universe, opened, closed, is_anonymous") == [
        ("belonging-2026", "student", "2026-02-02", "2026-02-20", "false")
    ]
    assert no_canary(tmp_path)


@pytest.mark.parametrize("left_out", [0, 1, 2])
def test_qualtrics_without_one_of_its_header_rows_is_not_taken(tmp_path: Path, left_out: int) -> None:
    header = [row for number, row in enumerate(QUALTRICS) if number != left_out]
    survey = {"tool": "qualtrics", "items": Q_ITEMS}
    landing = landed(tmp_path, survey, as_csv([*header, qualtrics_row(1), qualtrics_row(2)]))
    assert [state.remedy for state in landing.sources if "tool" in (state.remedy or "")]
    assert all(not file.rows_accepted for file in landing.files)
    assert CANARY not in str(landing.sources)


def test_a_row_that_cannot_be_read_is_refused_with_its_line_to_both_entities(tmp_path: Path) -> None:
    good = as_csv([*QUALTRICS, qualtrics_row(1)])
    broken = f"2026-02-03 09:00:00,2026-02-03,{CANARY}\r\n"
    landing = landed(tmp_path, {"tool": "qualtrics", "items": Q_ITEMS}, good + broken + as_csv([qualtrics_row(2)]))
    for entity in ("survey_questionnaire", "survey_response"):
        assert refused(landing, tmp_path, entity) == [(9, None, "too_few_fields")]
    assert rows(landing, "survey_questionnaire", "line") == [(7,), (10,)]
    for file in landing.files:
        assert file.rows_read == file.rows_accepted + file.rows_refused + file.rows_filtered + file.rows_collapsed


# --- SurveyMonkey ----------------------------------------------------------------------------------------------


def test_survey_monkey_two_header_rows_with_matrix_and_choices(tmp_path: Path) -> None:
    header = [
        [
            *("Respondent ID", "Collector ID", "Start Date", "End Date", "IP Address", "Email Address", "First Name"),
            *("How much do you agree?", "", "Which languages\ndo you speak?", "", "", "Your school", "Comments"),
        ],
        [
            *[""] * 7,
            *("I belong", "I am alone", "English", "Spanish", "Other (please specify)"),
            *("Response", "Open-Ended Response"),
        ],
    ]
    who = ["77", "02/03/2026 09:00:00 AM", "02/03/2026 01:05:00 PM", "10.0.0.1", f"{CANARY}@example.org", CANARY]
    export = as_csv(
        [
            *header,
            ["9001", *who, "Agree", "", "English", "Spanish", CANARY, "North", f"{CANARY}\n, again"],
            ["9002", *who, "Disagree", "Agree", "", "", "", "South", ""],
        ]
    )
    survey = {
        "tool": "survey_monkey",
        "school_id": "Your school",
        "items": {
            "How much do you agree?": {"measures": "belonging"},
            "Which languages do you speak? [English]": {"measures": "languages"},
            "Which languages do you speak? [Spanish]": {"measures": "languages"},
        },
    }
    landing = landed(tmp_path, survey, export, date_formats=["%m/%d/%Y %I:%M:%S %p"])
    asked = rows(landing, "survey_questionnaire", "line, school_id, submitted, submitted_time, is_complete, is_test")
    assert asked == [
        (4, "North", "2026-02-03", "13:05", None, None),
        (6, "South", "2026-02-03", "13:05", None, None),
    ]
    assert rows(landing, "survey_response", "line, item_id, answer") == [
        (4, "How much do you agree? [I am alone]", ""),
        (4, "How much do you agree? [I belong]", "Agree"),
        (4, "Which languages do you speak? [English]", "English"),
        (4, "Which languages do you speak? [Spanish]", "Spanish"),
        (6, "How much do you agree? [I am alone]", "Agree"),
        (6, "How much do you agree? [I belong]", "Disagree"),
        (6, "Which languages do you speak? [English]", ""),
        (6, "Which languages do you speak? [Spanish]", ""),
    ]
    assert no_canary(tmp_path)


# --- Google Forms ----------------------------------------------------------------------------------------------


def test_google_forms_choices_in_one_cell_and_responses_without_a_number(tmp_path: Path) -> None:
    export = as_csv(
        [
            ["Timestamp", "Email Address", "I feel [I belong]", "I feel [I am seen]", "Clubs", "Your name?"],
            ["2/3/2026 9:05:00", CANARY, "Agree", "", f"Chess, Art, music and dance, {CANARY}, and more", CANARY],
            ["2/3/2026 9:05:00", CANARY, "Disagree", "Agree", "Art", CANARY],
            ["2/4/2026 10:05:00", CANARY, "Agree", "Agree", "", CANARY],
        ]
    )
    survey = {
        "tool": "google_forms",
        "anonymous": True,
        "universe": "family",
        "items": {
            "I feel": {"measures": "belonging"},
            "Clubs": {"measures": "clubs", "choices": ["Art", "Art, music and dance", "Chess"]},
        },
    }
    landing = landed(tmp_path, survey, export, date_formats=["%m/%d/%Y %H:%M:%S"])
    asked = rows(landing, "survey_questionnaire", "response_key, submitted, submitted_time, is_complete, student_key")
    assert len({row[0] for row in asked}) == 3
    assert Counter(row[1:] for row in asked) == {
        ("2026-02-03", None, "true", None): 2,
        ("2026-02-04", None, "true", None): 1,
    }
    clubs = rows(landing, "survey_response", "line, item_id, answer")
    assert [row for row in clubs if row[1].startswith("Clubs") and row[2]] == [
        (2, "Clubs [Art, music and dance]", "Art, music and dance"),
        (2, "Clubs [Chess]", "Chess"),
        (2, "Clubs [other]", "other"),
        (3, "Clubs [Art]", "Art"),
    ]
    assert len(clubs) == 3 * (2 + 4)
    assert rows(landing, "survey", "universe, is_anonymous") == [("family", "true")]
    assert no_canary(tmp_path)


def test_google_forms_an_added_row_keeps_the_ids_of_those_before(tmp_path: Path) -> None:
    first = [["Timestamp", "Q1"], ["2026-02-03 9:05:00", "5"], ["2026-02-03 9:05:00", "4"]]
    survey = {"tool": "google_forms", "items": {"Q1": {"measures": "belonging"}}}
    before = rows(landed(tmp_path, survey, as_csv(first)), "survey_response", "response_key, answer")
    after = landed(tmp_path, survey, as_csv([*first, ["2026-02-03 9:06:00", "3"]]))
    newest = max(file.delivery_no for file in after.files)
    paths = [
        str(file.raw_path) for file in after.files if file.entity == "survey_response" and file.delivery_no == newest
    ]
    now = duckdb.execute("select response_key, answer from read_parquet(?)", [paths]).fetchall()
    assert set(before) < set(now)
    assert len(now) == 3


def test_a_pattern_that_catches_a_person_carries_none(tmp_path: Path) -> None:
    items = {"Q1_*": {"measures": "belonging"}, "Recipient*": {"measures": "who"}, "IPA*": {"measures": "where"}}
    landing = landed(tmp_path, {"tool": "qualtrics", "items": items}, as_csv([*QUALTRICS, qualtrics_row(1)]))
    assert rows(landing, "survey_response", "item_id") == [("Q1_1",), ("Q1_2",)]
    assert no_canary(tmp_path)


# --- what is configured wrongly --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"anonymous": True, "student_id": "sid"}, "anonymity"),
        ({"items": {"Email Address": {"measures": "x"}}}, "never carried"),
        ({"items": {"*": {"measures": "x"}}}, "every column"),
        ({"school_id": "IP Address"}, "never carried"),
        ({"response_id": "RecipientEmail"}, "never carried"),
        ({"student_id": "SSN"}, "refused"),
        ({"test_accounts": ["T"]}, "no student_id"),
        ({"closed": date(2026, 1, 1)}, "before opened"),
        ({"tool": "wide"}, "which column"),
        ({"items": {}}, ""),
        ({"universe": "teachers"}, ""),
    ],
)
def test_a_survey_block_that_breaks_a_promise_is_an_error(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    good = {"tool": "qualtrics", "items": Q_ITEMS}
    load(district(tmp_path, good))
    with pytest.raises(ConfigurationProblems) as caught:
        load(district(tmp_path, {**good, **changed}))
    assert said in str(caught.value)


def test_an_anonymous_survey_of_another_source_refuses_keys_in_both_entities(tmp_path: Path) -> None:
    """The promise may be given in one source and broken by another."""
    (tmp_path / "waves.csv").write_text(
        "id,name,who,from,to,anon\nbelonging-2026,B,student,2026-02-02,2026-02-20,true\n", encoding="utf-8"
    )
    (tmp_path / "export.csv").write_text(as_csv([*QUALTRICS, qualtrics_row(1), qualtrics_row(2, sid="")]))
    path = district(tmp_path, {"tool": "qualtrics", "student_id": "sid", "items": Q_ITEMS})
    document = yaml.safe_load(path.read_text())
    columns = {"survey_id": "id", "survey_name": "name", "universe": "who", "opened": "from", "closed": "to"}
    document["sources"]["waves"] = {
        "kind": "delimited",
        "files": "waves.csv",
        "missing_rows": "append",
        "entities": {"survey": {"columns": {**columns, "is_anonymous": "anon"}}},
    }
    path.write_text(yaml.safe_dump(document))
    landing = land(load(path), Home.open(tmp_path / "home"), as_of=date(2026, 3, 1), say=lambda _: None)
    assert refused(landing, tmp_path, "survey_questionnaire") == [(7, "student_id", "anonymous_survey_with_key")]
    assert refused(landing, tmp_path, "survey_response") == [(7, "student_id", "anonymous_survey_with_key")] * 2
    assert rows(landing, "survey_questionnaire", "student_key") == [(None,)]


def test_a_column_that_an_item_names_must_be_there(tmp_path: Path) -> None:
    landing = landed(tmp_path, {"tool": "qualtrics", "items": {"Q77": {"measures": "x"}}}, as_csv(QUALTRICS))
    assert any("Q77" in (state.message or "") for state in landing.sources)


# --- whatever a file holds --------------------------------------------------------------------------------------


def no_canary(folder: Path) -> bool:
    """Whether the planted name is nowhere but in landing, where files stay as they were received."""
    for path in (folder / "home").rglob("*"):
        if not path.is_file() or "landing" in path.relative_to(folder / "home").parts:
            continue
        if path.suffix == ".parquet":
            found = duckdb.execute("select to_json(t)::varchar from read_parquet(?) t", [str(path)]).fetchall()
            if CANARY.lower() in str(found).lower():
                return False
        elif CANARY.encode() in path.read_bytes():
            return False
    return True


def broken(export: bytes, chance: random.Random) -> bytes:
    """One fault of those that exports have: bytes lost, doubled, changed or put in."""
    place, length = chance.randrange(len(export)), chance.randrange(1, 60)
    fault = chance.randrange(6)
    if fault == 0:
        return export[:place]
    if fault == 1:
        return export[:place] + export[place + length :]
    if fault == 2:
        return export[:place] + export[place : place + length] * 2 + export[place:]
    if fault == 3:
        return export[:place] + chance.choice([b'"', b"\n", b",", b"\0", b"\xff", b'""', b"\r"]) + export[place:]
    if fault == 4:
        return export[:place] + bytes(chance.randrange(256) for _ in range(length)) + export[place:]
    return chance.choice([b"", b"\n\n", b"\xef\xbb\xbf", export.decode().encode("utf-16")])


@pytest.mark.parametrize("seed", range(3))
def test_no_broken_export_loses_a_row_leaks_or_fails(
    tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    chance = random.Random(20261128 + seed)
    whole = as_csv([*QUALTRICS, *(qualtrics_row(number) for number in range(1, 30))]).encode()
    for number in range(16):
        (tmp_path / f"export{number}.csv").write_bytes(broken(whole, chance))
    said: list[str] = []
    path = district(tmp_path, {"tool": "qualtrics", "student_id": "sid", "items": Q_ITEMS}, files="export*.csv")
    landing = land(load(path), Home.open(tmp_path / "home"), as_of=date(2026, 3, 1), say=said.append)
    for file in landing.files:
        assert file.rows_read == file.rows_accepted + file.rows_refused + file.rows_filtered + file.rows_collapsed
    assert CANARY not in caplog.text + str(said) + str(landing.sources)


@settings(max_examples=6, deadline=None)
@given(
    cells=st.lists(
        st.tuples(*(st.sampled_from(["Agree", "", "a\nb", 'say "no"', "x, y", " 5 ", "é"]) for _ in range(2))),
        min_size=1,
        max_size=12,
    )
)
def test_every_questionnaire_and_every_answer_arrives(cells: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export = as_csv([["id", "Q1", "Q2"], *([str(n), *pair] for n, pair in enumerate(cells))])
        items = {"Q*": {"measures": "belonging"}}
        landing = landed(folder, {"tool": "panorama", "response_id": "id", "items": items}, export)
        assert len(rows(landing, "survey_questionnaire", "response_key")) == len(cells)
        answers = rows(landing, "survey_response", "answer")
        assert Counter(row[0] for row in answers) == Counter(cell.strip() for pair in cells for cell in pair)
