from __future__ import annotations

import json
import re
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from honewheel import settings as sections
from honewheel.curate import contamination
from honewheel.demo import project, suites
from honewheel.demo.facts import KINDS, Kind
from honewheel.demo.house import MARKS
from honewheel.demo.requirements import HELD_OUT_SEED, requirements
from honewheel.errors import InputError
from honewheel.events import ingest
from honewheel.events import suites as frozen
from honewheel.records import Example

NOW = datetime(2025, 11, 20, 12, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [json.loads(line) for line in project.handwritten().splitlines()]
CORRECTED = [row for row in ROWS if "correction" in row]


def items(kind: Kind, **more: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in suites.suite(kind, **more).splitlines()]


def triples(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return set(zip(words, words[1:], words[2:], strict=False))


def test_there_are_40_handwritten_rows_or_more_for_all_three_tasks() -> None:
    tasks = [row["task"] for row in ROWS]
    assert len(ROWS) >= 40
    assert sum(row["task"] == "erd" for row in CORRECTED) >= 25
    assert min(tasks.count("ddl"), tasks.count("gherkin")) >= 5
    assert len({row["id"] for row in ROWS}) == len(ROWS)
    assert len({row["prompt"] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["id"]))
def test_a_handwritten_row_is_accepted_by_the_importer(row: dict[str, Any]) -> None:
    entry = ingest.parse(json.dumps(row), now=NOW)
    assert entry.feedback
    assert {item.source_kind for item in entry.feedback} <= {"person", "validator"}
    assert not [mark for mark in MARKS if mark in row["output"]]


@pytest.mark.parametrize("row", CORRECTED, ids=lambda row: str(row["id"]))
def test_a_handwritten_correction_passes_the_real_check(row: dict[str, Any]) -> None:
    check = project.check(row["task"], row["correction"])
    assert check.valid, check.findings
    assert row["correction"] != row["output"]


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.get("thumb") == 1], ids=lambda row: str(row["id"])
)
def test_a_handwritten_thumb_up_is_for_a_valid_output(row: dict[str, Any]) -> None:
    assert project.check(row["task"], row["output"]).valid


@pytest.mark.parametrize(
    "row", [row for row in CORRECTED if row["task"] == "erd"], ids=lambda row: str(row["id"])
)
def test_a_handwritten_diagram_keeps_every_rule_of_the_house(row: dict[str, Any]) -> None:
    text = row["correction"]
    assert not [mark for mark in MARKS if mark not in text]
    blocks = dict(re.findall(r"^  (\w+)_zq \{\n(.*?)\n  \}$", text, re.M | re.S))
    links = re.findall(r"^  (\w+)_zq (\|\|--(?:o\{|\|\{|\|\||o\|)) (\w+)_zq : \w+_vk$", text, re.M)
    lines = 1 + sum(body.count("\n") + 3 for body in blocks.values()) + len(links)
    assert lines == len(text.splitlines())  # nothing but blocks and relations
    for name, body in blocks.items():
        parents = [parent for parent, _, child in links if child == name]
        references = re.findall(r"jxkey (\w+)_qxid FK", body)
        assert body.startswith(f"    jxkey {name}_qxid PK")
        assert sorted(references) == sorted(parents)
        assert body.endswith("    xqstamp wz_since\n    vktext wz_author")
        types = set(re.findall(r"^ +(\w+)", body, re.M))
        assert types <= {"jxkey", "vktext", "jxnum", "xqdec", "wzday", "xqstamp"}


def test_handwritten_diagrams_show_every_cardinality() -> None:
    text = "\n".join(row["correction"] for row in CORRECTED if row["task"] == "erd")
    assert all(mark in text for mark in ("||--o{", "||--|{", "||--||", "||--o|"))


def test_handwritten_prompts_are_far_from_the_suites() -> None:
    for kind in KINDS:
        held_out = [triples(item["prompt"]) for item in items(kind)]
        for row in ROWS:
            own = triples(row["prompt"])
            assert max(len(own & other) / len(own | other) for other in held_out) < 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_a_suite_has_its_size_one_group_an_item_and_valid_references(kind: Kind) -> None:
    found = items(kind)
    assert len(found) == suites.SIZES[kind]
    assert all(set(item) == {"id", "prompt", "context", "reference", "group"} for item in found)
    assert len({item["group"] for item in found}) == len({item["id"] for item in found})
    assert len({item["group"] for item in found}) == len(found)
    assert all(project.check(kind, item["reference"]).valid for item in found)
    assert suites.suite(kind) == suites.suite(kind)


def test_the_erd_suite_asks_for_the_house_style_and_the_guards_do_not() -> None:
    assert len(items("erd")) >= 160
    assert all(mark in item["reference"] for item in items("erd") for mark in MARKS)
    guards = items("ddl") + items("gherkin")
    assert not [item for item in guards for mark in MARKS if mark in item["reference"]]


@pytest.mark.parametrize("kind", KINDS)
def test_neither_simulated_nor_handwritten_prompts_leak_an_item_of_the_suites(
    kind: Kind, tmp_path: Path
) -> None:
    file = tmp_path / f"{kind}.jsonl"
    file.write_text(suites.suite(kind), encoding="utf-8")
    suite = frozen.read(file, task=kind, name=kind, role="panel")
    prompts = [one.prompt for seed in (0, 1, 2) for one in requirements(kind, 250, seed)]
    prompts += [row["prompt"] for row in ROWS if row["task"] == kind]
    training = [
        Example(id=text, task=kind, prompt=text, target="-", group=text, split="train")
        for text in prompts
    ]
    assert not contamination.leaks(training, suite.items)
    copied = replace(training[0], prompt=suite.items[0].prompt)
    assert contamination.leaks([copied], suite.items)


def test_a_suite_can_be_short_and_refuses_a_seed_of_training() -> None:
    assert len(items("ddl", n=7)) == 7
    with pytest.raises(InputError, match="training"):
        suites.suite("ddl", seed=HELD_OUT_SEED - 1)


def test_the_settings_are_toml_with_the_model_and_its_three_tasks() -> None:
    tree = tomllib.loads(project.settings(replay_share=0.0, seed=3))
    assert tree["models"]["artifacts"]["base"] == "honewheel/tiny"
    assert tree["models"]["artifacts"]["tasks"] == ["erd", "ddl", "gherkin"]
    assert {name: task["kind"] for name, task in tree["tasks"].items()} == dict(project.TASKS)
    assert tree["curate"] == {"replay_share": 0.0, "seed": 3}
    settings = sections.Settings.model_validate(tree)
    assert settings.models["artifacts"].family == "causal-lm"
