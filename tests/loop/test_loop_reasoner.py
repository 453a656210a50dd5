"""A whole turn of the wheel with a reasoner: corrected puzzles in, a version, a verdict."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import honewheel as hw
from honewheel.tasks.puzzle import base as puzzles

sys.path.insert(0, str(Path(__file__).parents[1]))

import wheels

TOML = """\
[project]
name = "grids"

[models.solver]
family = "reasoner"
base = "honewheel/reasoner-tiny"
tasks = ["grid", "latin"]

[models.solver.train]
updates = {updates}
batch_size = {batch}
learning_rate = 2e-3
eval_every = 50

[models.solver.gate]
min_items = 10                 # Latin squares of this size have few orbits, and each is one group

[tasks.grid]
kind = "sudoku"

[tasks.latin]
kind = "sudoku"

[curate]
min_examples = 5
replay_share = 0.9

[evaluate]
panel_size = 60
"""


def rows(count: int, *, task: str, rule: str, seed: int, right: bool = False) -> list[Any]:
    """Feedback on puzzles: what was answered was right, or it was corrected."""
    made = puzzles.task("sudoku").generate("4", rule, "easy", np.random.default_rng(seed))
    found = []
    for place, one in enumerate(islice(made, count)):
        row: dict[str, Any] = {"id": f"evt_{task}{seed}-{place}", "task": task, "source": "ana"}
        row |= {"prompt": one.prompt, "created_at": f"2026-10-{place % 28 + 1:02d}T00:00:00Z"}
        wrong = "\n".join(["1234", "1234", "1234", "1234"])
        if right:
            row |= {"output": one.answer, "thumb": 1}
        else:
            row |= {"output": wrong, "correction": one.answer}
        found.append(row)
    return found


def project(folder: Path, updates: int, batch: int) -> Path:
    folder.mkdir()
    (folder / "honewheel.toml").write_text(TOML.format(updates=updates, batch=batch))
    return folder


def test_corrected_puzzles_become_a_version_with_a_verdict(tmp_path: Path) -> None:
    said: list[Any] = []
    with hw.open(project(tmp_path / "p", 3, 4)) as wheel:
        given = rows(60, task="grid", rule="standard", seed=0)
        wheel.import_file(wheels.write_jsonl(tmp_path / "rows.jsonl", given))
        decision = wheel.cycle("solver", on_progress=said.append)
        assert decision.verdict in ("promote", "reject", "undecided")
        step = wheel.show("solver@1")["training"]
    assert step["realised"]["tasks"] == ["grid"]
    assert step["steps"] == 3
    assert any("exact match" in one.message for one in said)
    assert not any("perplexity" in one.message for one in said)


@pytest.mark.slow
def test_a_reasoner_learns_a_rule_then_another_and_keeps_the_first(tmp_path: Path) -> None:
    with hw.open(project(tmp_path / "p", 250, 64)) as wheel:
        given = rows(700, task="grid", rule="standard", seed=0)
        wheel.import_file(wheels.write_jsonl(tmp_path / "a.jsonl", given))
        first = wheel.cycle("solver")
        assert first.verdict == "promote"
        assert first.gain is not None
        assert first.gain > 50
        more = rows(300, task="latin", rule="latin", seed=5)
        wheel.import_file(wheels.write_jsonl(tmp_path / "b.jsonl", more))
        second = wheel.cycle("solver")
        versions = wheel.versions("solver")
        assert versions[2].started_from == 1
        assert second.verdict == "promote", second.reasons
        told = wheel.show("solver@2")["training"]["realised"]
        assert told["tasks"] == ["grid", "latin"]
