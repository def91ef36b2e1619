"""The documents keep their promises: links lead somewhere, fragments work, and words are the glossary's own."""

from __future__ import annotations

import csv
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from pipelines import contract, crosswalks, disclosure, gates
from pipelines.cli import equity
from pipelines.code_version import DBT_PROJECT, EXPECTATIONS, ROOT
from pipelines.district_file import load
from pipelines.gate_rules import Rule, load_rules
from pipelines.outcome import ExitCode
from pipelines.sources.edfi_rules import RULES

DOCS = ROOT / "docs"
GLOSSARY = DOCS / "glossary.md"
INDICATORS = DOCS / "indicators" / "README.md"
DOCUMENTS = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])
REGISTRY: list[dict[str, Any]] = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"][
    "indicators"
]
RULES_OF_GATES = load_rules(EXPECTATIONS)

_FENCED = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^ *```", re.MULTILINE | re.DOTALL)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose_of(path: Path) -> str:
    """The document without its fenced blocks."""
    return _FENCED.sub("", text_of(path))


def sections(text: str) -> dict[str, str]:
    """Second-level headings and what stands below each."""
    parts = re.split(r"^## +(.+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


# --- links ---------------------------------------------------------------------------------------------------


def anchor(heading: str) -> str:
    """The name by which a heading is linked to: lower case, blanks as dashes, marks left out."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    return {anchor(heading) for heading in re.findall(r"^#+ +(.+)$", prose_of(path), re.MULTILINE)}


def broken_links(path: Path, root: Path = ROOT) -> list[str]:
    """Targets of the document's relative links that are not there, or lie outside `root`."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(path)):
        file, _, fragment = target.partition("#")
        found = path if not file else (path.parent / file).resolve()
        leads_out = not found.is_relative_to(root.resolve())
        if re.match(r"[a-z]+:", target):
            continue
        if leads_out or not found.exists() or (fragment and fragment not in anchors(found)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_relative_link_resolves(path: Path) -> None:
    assert broken_links(path) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# One: a part, of it\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](there.md#one-a-part-of-it) [c](#own) [d](https://example.org)\n## Own\n```\n[e](x.md)\n```\n"
        "[f](gone.md) [g](there.md#two) [h](../outside.md) [i](#other)\n"
    )
    assert broken_links(page, tmp_path) == ["gone.md", "there.md#two", "../outside.md", "#other"]


def test_every_document_is_reached_from_an_index() -> None:
    for folder in ("adr", "runbooks"):
        index = text_of(DOCS / folder / "README.md")
        pages = {path.name for path in (DOCS / folder).glob("*.md")} - {"README.md"}
        assert pages
        assert {page for page in pages if f"({page})" not in index} == set()


# --- decisions, indicators, rules ----------------------------------------------------------------------------


def test_decisions_are_numbered_without_a_gap_and_complete() -> None:
    records = sorted((DOCS / "adr").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for path in records:
        assert text_of(path).startswith(f"# {path.name[:4]}. "), path.name
        assert [*sections(text_of(path))] == ["Context", "Decision", "Consequences", "Measured or looked up"], path.name


def test_every_indicator_has_a_section_and_every_section_an_indicator() -> None:
    assert sorted(sections(text_of(INDICATORS))) == sorted(row["indicator_id"] for row in REGISTRY)


@pytest.mark.parametrize("row", REGISTRY, ids=lambda row: row["indicator_id"])
def test_an_indicators_section_says_what_is_counted(row: dict[str, Any]) -> None:
    section = sections(text_of(INDICATORS))[row["indicator_id"]]
    table = section.strip().split("\n\n")[0]
    facts = dict(re.findall(r"^\| ([a-z ,]+) \| (.+) \|$", table, re.MULTILINE))
    named = {part for fact in facts for part in fact.split(", ")}
    assert named == {"universe", "denominator", "numerator", "unit", "district figure", "status", "authority"}
    assert re.match(re.escape(row["unit"]) + r"\b(?!-)", facts["unit"]), facts["unit"]
    # The authority is named in the same words: what stands before the first comma or semicolon.
    assert re.split("[,;]", facts["authority"])[0].split()[0] in row["authority"] + row["definition"]
    assert "by hand" in section.lower()


@pytest.mark.parametrize("rule", RULES_OF_GATES, ids=lambda rule: rule.id)
def test_a_rules_prose_is_complete(rule: Rule) -> None:
    assert rule.question.endswith("?")
    for sentence in (rule.means, rule.remedy):
        assert sentence.endswith("."), sentence
        assert len(sentence.split()) >= 5, sentence
    assert re.fullmatch(r"[a-z][a-z ,]+", rule.who_fixes), "a role, not a name or a sentence"
    assert rule.means != rule.remedy
    known = {row["domain"] for row in REGISTRY} | {row["indicator_id"] for row in REGISTRY}
    assert set(rule.affects) <= known


def test_the_runbook_knows_every_check_that_can_stop_a_night() -> None:
    page = text_of(DOCS / "runbooks" / "stopped_night.md")
    stopping = [r.id for r in RULES_OF_GATES if r.severity == "critical" and r.scope in ("snapshot", "source")]
    assert stopping
    assert [check for check in stopping if f"`{check}`" not in page] == []
    known = {rule.id for rule in RULES_OF_GATES}
    named = set(re.findall(r"`(\w+)`", sections(page)["Exit 3: stopped by a gate"]))
    assert {word for word in named if word.count("_") > 1} <= known


def test_the_runbook_knows_every_exit_code() -> None:
    page = text_of(DOCS / "runbooks" / "stopped_night.md")
    assert [int(code) for code in re.findall(r"^\| (\d) \|", page, re.MULTILINE)] == sorted(ExitCode)


# --- sources -------------------------------------------------------------------------------------------------


def reasons(module: str) -> set[str]:
    """The reason codes that a module's text holds, where it raises, refuses or lists them."""
    text = text_of(ROOT / "pipelines" / f"{module}.py")
    raised = re.findall(r"nreadable\(\s*(?:source,\s*entity,\s*)?\"([a-z_]+)\"", text)
    raised += re.findall(r"_Text\([^\n]*?\"([a-z_]+)\", ", text)
    refused = re.findall(r"refuse\([^\n]*?\"([a-z]+(?:_[a-z]+)+)\", (?:remedy|f?\")", text)
    listed = re.findall(r"^    \"([a-z]+(?:_[a-z]+)+)\": \"[A-Z][^\"]*\.\"", text, re.MULTILINE)
    return {*raised, *refused, *listed}


@pytest.mark.parametrize(
    ("page", "modules"),
    [
        ("delimited", ["sources/delimited", "sources/text", "sources/rows", "landing"]),
        ("fixed_width", ["sources/fixed_width", "sources/text"]),
        ("excel", ["sources/excel", "sources/excel_child", "sources/excel_xml", "sources/rows"]),
        ("parquet", ["sources/parquet"]),
        ("json_lines", ["sources/json_lines", "sources/text"]),
        ("files", ["arrivals", "packed"]),
        ("maps", ["mapping", "reshape", "sandbox"]),
        ("edfi_xml", ["sources/edfi_xml"]),
        ("oneroster", ["sources/oneroster", "sources/oneroster_manifest"]),
        ("database", ["sources/database", "sources/database_drivers"]),
    ],
)
def test_a_source_page_names_every_reason_of_its_reader(page: str, modules: list[str]) -> None:
    found = {reason for module in modules for reason in reasons(module)}
    assert len(found) >= 3
    text = text_of(DOCS / "sources" / f"{page}.md")
    assert {reason for reason in found if f"`{reason}`" not in text} == set()


def test_the_edfi_page_names_every_element_that_is_read() -> None:
    table = sections(text_of(DOCS / "sources" / "edfi_xml.md"))["What the reader accepts"]
    for rule in RULES:
        assert f"`{rule.entity}`" in table
        short = rule.element.removeprefix("StudentDisciplineIncident")
        assert f"`{rule.element}`" in table or f"`...{short}`" in table, rule.element


def fragments() -> Iterator[tuple[str, str, str]]:
    """(document, language, text) of every fenced block in README and docs."""
    for path in DOCUMENTS:
        for block in _FENCED.finditer(text_of(path)):
            yield name_of(path), block["language"], textwrap.dedent(block["body"])


WHOLE = [(name, text) for name, language, text in fragments() if language == "yaml" and text.startswith("district:")]
CODE_TABLES = [(name, text) for name, language, text in fragments() if text.startswith("crosswalk,")]


def test_there_are_fragments_to_try() -> None:
    assert {name for name, _ in WHOLE} >= {"README.md", "docs/sources/delimited.md", "docs/sources/edfi_xml.md"}
    assert CODE_TABLES


@pytest.mark.parametrize(("name", "text"), WHOLE, ids=[name for name, _ in WHOLE])
def test_a_whole_district_yaml_in_a_document_loads(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "district.yaml").write_text(text, encoding="utf-8")
    assert load(tmp_path / "district.yaml").settings.sources


@pytest.mark.parametrize(("name", "text"), CODE_TABLES, ids=[name for name, _ in CODE_TABLES])
def test_a_code_table_in_a_document_loads(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "crosswalks").mkdir()
    (tmp_path / "crosswalks" / "codes.csv").write_text(text, encoding="utf-8")
    loaded = crosswalks.load(tmp_path)
    assert loaded.problems == ()
    assert sum(row.origin == "district" for row in loaded.entries) == len(text.strip().splitlines()) - 1


def commands() -> Iterator[tuple[str, str, list[str]]]:
    """(document, command, options) wherever a document spells a call of `equity`."""
    for path in DOCUMENTS:
        spelled = re.findall(r"`([^`\n]+)`", prose_of(path))
        spelled += [line for block in _FENCED.finditer(text_of(path)) for line in block["body"].splitlines()]
        spelled += re.findall(r"^    (.+)$", prose_of(path), re.MULTILINE)
        for text in spelled:
            for call in re.finditer(r"(?:^|[\s/])equity ([a-z]+)\b([^,|#]*)", text):
                yield name_of(path), call[1], re.findall(r"--[a-z][a-z\-]*", call[2])


def test_commands_in_documents_exist_with_their_options() -> None:
    wrong = []
    seen = set()
    for document, command, options in commands():
        known = equity.commands.get(command)
        seen.add(command)
        if known is None:
            wrong.append(f"{document}: equity {command}")
            continue
        spelled = {opt for p in known.params if isinstance(p, click.Option) for opt in p.opts}
        wrong += [f"{document}: equity {command} {option}" for option in options if option not in spelled]
    assert wrong == []
    assert len(seen) > 5


# --- words ---------------------------------------------------------------------------------------------------


def avoided_words() -> list[str]:
    """What the glossary lists after `Avoid:`, up to the sentence's end."""
    text = " ".join(text_of(GLOSSARY).split())
    # The lead explains the mark itself; entries begin at the first heading.
    entries = text[text.index("## ") :]
    return [
        word for listed in re.findall(r"Avoid: ((?:`[^`]+`,? ?)+)", entries) for word in re.findall("`([^`]+)`", listed)
    ]


def uses(text: str, words: list[str]) -> list[str]:
    """The avoided words that a text holds, as whole words, in any case."""
    plain = " ".join(text.split())
    return [word for word in words if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", plain, re.IGNORECASE)]


def descriptions(value: Any) -> Iterator[str]:
    """Every `description` in a parsed YAML or JSON document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "description" and isinstance(inner, str):
                yield inner
            else:
                yield from descriptions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from descriptions(inner)


def texts_for_readers() -> Iterator[tuple[str, str]]:
    """(where, text) of everything that a reader of the published tables, a check or a page may see."""
    for seed, column in (("labels", "text"), ("student_groups", "label")):
        with (DBT_PROJECT / "seeds" / f"{seed}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield f"seeds/{seed}.csv", row[column]
    for rule in RULES_OF_GATES:
        for text in (rule.question, rule.means, rule.who_fixes, rule.remedy):
            yield f"expectations: {rule.id}", text
    for row in REGISTRY:
        for field in ("name", "asset_label", "definition", "authority"):
            yield f"registry: {row['indicator_id']}", row[field]
    for model in (DBT_PROJECT / "models").rglob("*.yml"):
        for text in descriptions(yaml.safe_load(text_of(model))):
            yield f"models: {model.name}", text
    for model in ("marts/indicator_by_group.sql", "staging/stg_quarantine.sql"):
        for text in re.findall(r"then '([^']+ [^']+)'", text_of(DBT_PROJECT / "models" / model)):
            yield f"models: {model}", text
    for text in descriptions(json.loads(text_of(DOCS / "district.schema.json"))):
        yield "district.schema.json", text
    for entity in contract.ENTITIES.values():
        for text in (entity.description, *(column.description for column in entity.columns)):
            yield f"contract: {entity.name}", text
    for text in (disclosure.HIDDEN_REASON, disclosure.HIDDEN_DISPLAY, *gates.ERROR_MESSAGES.values()):
        yield "messages", text
    for path in DOCUMENTS:
        if path != GLOSSARY:
            yield name_of(path), prose_of(path)


def test_the_glossary_is_read() -> None:
    words = avoided_words()
    assert len(words) > 60
    assert {"minority", "at-risk", "subgroup", "suspension rate", "chronically truant", "LEP"} <= set(words)
    assert uses("A Minority of students; subgroups; non-suspension rate", words) == ["minority"]


def test_every_entry_of_the_glossary_is_a_term_and_a_sentence() -> None:
    entries = re.findall(r"^- \*\*(.+?)\*\* (.+?)(?=^- |^## |\Z)", text_of(GLOSSARY), re.MULTILINE | re.DOTALL)
    assert len(entries) > 50
    for term, meaning in entries:
        assert term.endswith("."), term
        assert " ".join(meaning.split()).endswith((".", "`")), term
    terms = [term for term, _ in entries]
    assert len(terms) == len(set(terms))


def test_nothing_for_readers_holds_an_avoided_word() -> None:
    words = avoided_words()
    read = list(texts_for_readers())
    assert len(read) > 300
    assert [(where, used) for where, text in read if (used := uses(text, words))] == []


# --- what surrounds the code ---------------------------------------------------------------------------------


def test_commit_hooks_fetch_nothing() -> None:
    config = yaml.safe_load(text_of(ROOT / ".pre-commit-config.yaml"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} <= {"system", "pygrep", "fail"}
    assert {"ruff", "ruff-format", "mypy", "sqlfmt", "large-files", "keys-in-text"} <= {hook["id"] for hook in hooks}


def test_the_key_hook_finds_a_key_and_passes_the_lock_files() -> None:
    hooks = yaml.safe_load(text_of(ROOT / ".pre-commit-config.yaml"))["repos"][0]["hooks"]
    looks = re.compile(next(hook["entry"] for hook in hooks if hook["id"] == "keys-in-text"), re.MULTILINE)
    assert looks.search("0123456789abcdef" * 4 + "\n")
    assert looks.search("-----BEGIN RSA " + "PRIVATE KEY-----")
    assert not looks.search(text_of(ROOT / "requirements" / "run.txt"))


def test_the_changelog_has_an_unreleased_part() -> None:
    assert "[Unreleased]" in sections(text_of(ROOT / "CHANGELOG.md"))


def test_the_license_is_whole() -> None:
    text = text_of(ROOT / "LICENSE")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert "APPENDIX: How to apply the Apache License to your work." in text
