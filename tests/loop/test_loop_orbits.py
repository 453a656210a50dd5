"""Symmetric puzzles are one question: they never stand on both sides of a split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wheels
from honewheel.loop import intake
from honewheel.tasks.puzzle import base

TOML = """\
[project]
name = "puzzles"

[models.solver]
family = "memo"
base = "memo/echo"
tasks = ["grid"]

[tasks.grid]
kind = "sudoku"

[curate]
min_examples = 5
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Any:
    (tmp_path / "honewheel.toml").write_text(TOML)
    with wheels.open_wheel(tmp_path) as found:
        yield found


def orbits(count: int, copies: int, seed: int = 0) -> list[list[tuple[str, str]]]:
    """`count` problems, each with `copies` symmetric forms; a prompt and its answer."""
    rng = np.random.default_rng(seed)
    made = base.task("sudoku").generate("4", "standard", None, rng)
    found: dict[str, list[tuple[str, str]]] = {}
    while len(found) < count:
        one = next(made)
        puzzle = base.of(one.prompt)
        inputs = np.repeat(puzzle.encode(one.prompt, {})[None], copies, 0)
        labels = np.repeat(puzzle.target(one.prompt, {}, one.answer)[None], copies, 0)
        forms = {}
        for given, answer in zip(*puzzle.augment(inputs, labels, rng), strict=True):
            grid = puzzle.decode(one.prompt, {}, given).replace("\n", "")
            prompt = base.ask("sudoku", {"box": [2, 2], "grid": grid})
            forms[prompt] = puzzle.decode(prompt, {}, answer)
        found.setdefault(puzzle.canonical(one.prompt, {}), list(forms.items()))
    return list(found.values())


def rows(found: list[list[tuple[str, str]]]) -> list[dict[str, Any]]:
    """Feedback, the forms of an orbit far apart: round by round."""
    told = []
    for turn in range(max(map(len, found))):
        for number, forms in enumerate(found):
            if turn < len(forms):
                prompt, answer = forms[turn]
                told.append(
                    {
                        "id": f"evt_{turn}-{number}",
                        "task": "grid",
                        "prompt": prompt,
                        "output": base.of(prompt).baseline(prompt, {}),
                        "correction": answer,
                        "source": "ana",
                        "created_at": f"2026-10-{turn + 1:02d}T00:00:00Z",
                    }
                )
    return told


def reasons(wheel: Any) -> Counter[str]:
    """Why events are not in the newest dataset."""
    dataset = wheel.versions()[-1].dataset
    return Counter({one.reason: one.count for one in wheel.store.datasets.reasons(dataset)})


def test_an_orbit_has_one_group_and_one_split_across_batches(wheel: Any, tmp_path: Path) -> None:
    found = orbits(60, 6)
    told = rows(found)
    assert len(told) > intake.BATCH
    half = len(told) // 2
    for part in (told[:half], told[half:]):
        wheel.import_file(wheels.write_jsonl(tmp_path / "feedback.jsonl", part))
        intake.run(wheel.store, wheel.config, lambda step: None)
    places = {row["id"]: wheel.store.intake.placement(row["id"]) for row in told}
    groups = {
        number: {places[row["id"]].group for row in told if row["id"].endswith(f"-{number}")}
        for number in range(len(found))
    }
    assert all(len(names) == 1 for names in groups.values())
    assert len({next(iter(names)) for names in groups.values()}) == len(found)
    splits = {place.group: place.split for place in places.values()}
    assert set(splits.values()) == {"train", "val", "test"}
    assert all(place.split == splits[place.group] for place in places.values())


def test_the_oracle_judges_answers_and_corrections_by_their_prompt(
    wheel: Any, tmp_path: Path
) -> None:
    told = rows(orbits(12, 1, seed=2))
    told[0]["output"] = told[0]["correction"]
    told[1]["correction"] = told[1]["correction"][::-1].replace("1", "2")
    wheel.import_file(wheels.write_jsonl(tmp_path / "feedback.jsonl", told))
    intake.run(wheel.store, wheel.config, lambda step: None)
    assert wheel.store.intake.placement(told[0]["id"]).check.valid
    assert not wheel.store.intake.placement(told[1]["id"]).check.valid
    wheel.cycle()
    assert reasons(wheel)["invalid target"] == 1


def test_a_symmetric_form_of_a_suite_item_is_held_out(wheel: Any, tmp_path: Path) -> None:
    found = orbits(40, 2, seed=4)
    judged = [
        {"prompt": forms[-1][0], "reference": forms[-1][1]} for forms in found if len(forms) > 1
    ][:10]
    held = {row["prompt"] for row in judged}
    wheel.suite_import(wheels.write_jsonl(tmp_path / "suite.jsonl", judged), task="grid")
    told = [row for row in rows([forms[:1] for forms in found]) if row["prompt"] not in held]
    wheel.import_file(wheels.write_jsonl(tmp_path / "feedback.jsonl", told))
    wheel.cycle()
    assert reasons(wheel)["held out (suite)"] > 0
    dataset = wheel.store.datasets.load(wheel.versions()[-1].dataset)
    orbit = base.of(told[0]["prompt"]).canonical
    trained = {orbit(row.prompt, {}) for row in dataset.train}
    assert not trained & {orbit(row["prompt"], {}) for row in judged}
