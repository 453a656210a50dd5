"""Symmetric puzzles are one question: they never stand on both sides of a split."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wheels
from honewheel.cli.app import call
from honewheel.errors import InputError
from honewheel.events import puzzles
from honewheel.loop import intake
from honewheel.tasks.puzzle import base
from honewheel.tasks.puzzle.generate import Order

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
        for given, answer in zip(*base.augment(puzzle, inputs, labels, rng), strict=True):
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


def test_what_is_no_problem_is_not_recorded(wheel: Any, tmp_path: Path) -> None:
    said = {"task": "grid", "output": "1", "thumb": 0, "source": "ana"}
    for prompt, told in (
        ("Draw it.", "no puzzle"),
        ('{"puzzle": "maze", "grid": ["S..", "...", "..G"]}', "asks a 'maze'"),
        ('{"puzzle": "sudoku", "box": [2, 2], "grid": "1"}', "1 cells"),
    ):
        with pytest.raises(InputError, match=told):
            wheel.record(prompt=prompt, **said)
    path = wheels.write_jsonl(tmp_path / "rows.jsonl", [said | {"prompt": "Draw it."}])
    assert wheel.import_file(path).refused == 1
    assert wheel.store.log.last_seq() == 0


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


def test_a_cycle_tells_exact_answers_by_difficulty_and_a_version_is_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TOML.replace('"memo"', '"rote"').replace("memo/echo", "rote/blank")
    (tmp_path / "honewheel.toml").write_text(text)
    order = Order(kind="sudoku", size="6", seed=1)
    train, suite = tmp_path / "train.jsonl", tmp_path / "sixes.jsonl"
    puzzles.make(order, task="grid", count=25, out=train, suite=45, suite_out=suite)
    with wheels.open_wheel(tmp_path) as wheel:
        wheel.suite_import(suite, task="grid")
        wheel.import_file(train)
        decision = wheel.cycle()
        assert decision.verdict == "promote", decision.reasons
        told = next(reason for reason in decision.reasons if "exact answers" in reason)
        assert "100.0 %" in told
        assert "McNemar p < 0.001" in told
        assert {"grid/easy", "grid/medium"} <= {one.name for one in decision.slices}
        found = wheel.solved("sixes", "solver@1", "solver@0")
        assert found.flips.broken == 0
        assert found.bands[0].exact.value == 1
    words = ["-C", str(tmp_path), "puzzles", "score", "sixes", "--version", "solver@0"]
    assert call([*words, "--against", "solver@1"]) == 0
    shown = capsys.readouterr()
    assert "baseline" in shown.out
    assert "solver@1 -> solver@0: exact answers 100.0 %" in shown.err
    assert call([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bands"][0]["name"] == "all"


def test_a_kind_of_somebody_elses_is_one_file_and_an_entry_point(tmp_path: Path) -> None:
    text = TOML.replace('"memo"', '"rote"').replace("memo/echo", "rote/blank")
    (tmp_path / "honewheel.toml").write_text(text.replace('"sudoku"', '"sorting"'))
    train, suite = str(tmp_path / "train.jsonl"), str(tmp_path / "suite.jsonl")
    words = ["puzzles", "make", "sorting", "--task", "grid", "--count", "30", "--out", train]
    assert call([*words, "--suite", "40", "--suite-out", suite]) == 0
    with wheels.open_wheel(tmp_path) as wheel:
        wheel.suite_import(suite, task="grid")
        wheel.import_file(train)
        decision = wheel.cycle()
        assert decision.verdict == "promote", decision.reasons
        assert {"grid/easy", "grid/hard"} <= {one.name for one in decision.slices}
        assert wheel.solved("suite", "solver").bands[0].exact.value == 1
