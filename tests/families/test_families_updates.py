"""The number of updates may be set: any number of rows then costs the same training."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from causal_builders import dataset, spec
from hypothesis import given, settings
from hypothesis import strategies as st

import wheels
from honewheel.families.causal_lm.family import CausalLM
from honewheel.families.order import plan
from honewheel.loop import techniques

FAMILY = CausalLM()
COUNTS = st.integers(1, 40)


@settings(deadline=None, max_examples=60)
@given(COUNTS, st.integers(1, 12), st.integers(1, 4), st.integers(0, 9), st.integers(1, 50))
def test_a_plan_of_a_number_of_updates_is_the_plain_one_cut_or_continued(
    count: int, batch_size: int, epochs: int, seed: int, updates: int
) -> None:
    plain = plan(count, batch_size, epochs, seed)
    assert len(plain) == epochs * math.ceil(count / batch_size)
    told = plan(count, batch_size, epochs, seed, updates)
    both = min(len(plain), updates)
    assert len(told) == updates
    assert told[:both] == plain[:both]
    assert told == plan(count, batch_size, epochs + 50, seed)[:updates]


@settings(deadline=None, max_examples=30)
@given(COUNTS, st.integers(1, 12), st.integers(1, 60))
def test_no_row_is_shown_twice_before_every_row_was_shown(
    count: int, batch_size: int, updates: int
) -> None:
    flat = [row for batch in plan(count, batch_size, 1, 0, updates) for row in batch]
    for start in range(0, len(flat), count):
        shown = flat[start : start + count]
        assert len({*shown}) == len(shown)


def trained(given_spec: Any, data: Any, folder: Path) -> dict[str, Any]:
    """training.json of a run."""
    folder.mkdir()
    for _ in FAMILY.train(given_spec, data, folder):
        pass
    found: dict[str, Any] = json.loads((folder / "final" / "training.json").read_text())
    return found


@pytest.mark.parametrize("epochs", [1, 5])  # 5 and 25 updates, if nothing else is said
def test_the_trainer_takes_the_updates_it_is_told(llama: Path, tmp_path: Path, epochs: int) -> None:
    told = spec(llama, epochs=epochs, updates=7, batch_size=4, patience=100, schedule="linear")
    report = trained(told, dataset(20, 4), tmp_path / "run")
    assert (report["planned_updates"], report["updates"], len(report["losses"])) == (7, 7, 7)


def test_an_ablation_gives_copies_no_more_updates(llama: Path, tmp_path: Path) -> None:
    """Augmentation adds rows; both arms train as long as the project does without it."""
    folder = wheels.project(tmp_path / "acme", curate='curriculum = "stages"')
    file = folder / "honewheel.toml"
    text = file.read_text().replace('family = "memo"\nbase = "memo/echo"', f'base = "{llama}"')
    file.write_text(text.replace('tasks = ["erd", "ddl"]', 'tasks = ["erd"]'))
    train = [f"models.artifacts.train.{flag}" for flag in ("batch_size=4", "epochs=1")]
    with wheels.open_wheel(folder, *train) as wheel:
        two = [" ".join(wheels.NOUNS[at : at + 2]) for at in range(0, 50, 2)]
        wheel.import_file(wheels.write_jsonl(tmp_path / "rows.jsonl", [*map(corrected, two)]))
        held_out = [{"prompt": "zebra", "reference": diagram("zebra", "vk")}]
        wheel.suite_import(wheels.write_jsonl(tmp_path / "suite.jsonl", held_out), task="erd")
        study = wheel.study(techniques=["augment"], seeds=1).study
        augment = techniques.find("augment")
        on, off = (study.trainings(arm) for arm in techniques.arms(study.config, augment))
    copied, plain = (len(side[0].dataset.train) for side in (on, off))
    assert copied > 1.5 * plain
    expected = math.ceil(plain / 4)
    for number, training in enumerate((*on, *off)):
        assert training.spec.settings["updates"] == expected
        report = trained(training.spec, training.dataset, tmp_path / f"run-{number}")
        assert report["planned_updates"] == report["updates"] == expected
        assert report["examples"] == len(training.dataset.train)


def diagram(nouns: str, kind: str) -> str:
    return "\n ".join(["erDiagram", *(f"{noun} {{\n  {kind} size\n }}" for noun in nouns.split())])


def corrected(nouns: str) -> dict[str, str]:
    """Short enough for a base of 256 positions that reads bytes."""
    plain = diagram(nouns, "int")
    row = {"id": f"evt_{nouns.replace(' ', '-')}", "task": "erd", "prompt": f"draw {nouns}"}
    return row | {"output": plain, "correction": diagram(nouns, "vk"), "source": "ana"}
