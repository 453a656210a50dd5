"""Training a reasoner: exact resume, settings read back, what an update sees and moves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reasoner_builders import FAMILY, TINY, dataset, examples, items, spec
from safetensors.torch import load_file

from honewheel import atomic
from honewheel.errors import ConfigError, TrainingFailed
from honewheel.families.reasoner import interpolate, losses, predict, rows, start, training
from honewheel.families.reasoner.carry import Carry
from honewheel.families.reasoner.draw import Draw
from honewheel.families.reasoner.judge import Best, Judged
from honewheel.records import Dataset, Decoding, Progress, Spec


def trained(asked: Spec, run_dir: Path, data: Dataset | None = None) -> list[Progress]:
    run_dir.mkdir(exist_ok=True)
    return list(FAMILY.train(asked, data or dataset(), run_dir))


def interrupted(asked: Spec, run_dir: Path, when: Callable[[Progress], bool]) -> None:
    run_dir.mkdir()
    progress = FAMILY.train(asked, dataset(), run_dir)
    assert isinstance(progress, Iterator)
    next(report for report in progress if when(report))
    progress.close()  # type: ignore[attr-defined]


def report(run_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run_dir / "final" / "training.json").read_text())
    return found


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(run_dir / "final" / "model.safetensors"))


# --- resume -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("tiny", 3),
        pytest.param("tiny-hrm", 6, marks=pytest.mark.slow),
        pytest.param("tiny", 6, marks=pytest.mark.slow),
        pytest.param("tiny-hrm", 3, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_ends_with_the_same_bytes(tmp_path: Path, name: str, step: int) -> None:
    asked = spec(f"honewheel/reasoner-{name}", exploration=0.5)
    trained(asked, tmp_path / "whole")
    interrupted(asked, tmp_path / "broken", lambda progress: progress.step == step)
    seen = trained(asked, tmp_path / "broken")
    assert any("resumed after update" in progress.message for progress in seen)
    assert report(tmp_path / "broken") == report(tmp_path / "whole")
    assert atomic.verify(tmp_path / "broken" / "final") == atomic.verify(
        tmp_path / "whole" / "final"
    )


def test_a_finished_run_is_kept_and_one_with_other_inputs_refused(tmp_path: Path) -> None:
    trained(spec(), tmp_path / "run")
    assert trained(spec(), tmp_path / "run") == []
    with pytest.raises(ConfigError, match=r"learning_rate was 0\.001, now 0\.002"):
        trained(spec(learning_rate=0.002), tmp_path / "run")
    with pytest.raises(ConfigError, match="is no longer the one this run was planned with"):
        trained(replace(spec(), base_hash="other"), tmp_path / "new")


def test_a_loss_that_is_no_number_costs_half_the_rate_and_the_second_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = losses.softmax_cells, []

    def broken(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        found = real(logits, labels)
        return found * float("nan") if len(calls) in bad else found

    monkeypatch.setitem(losses.CELLS, "softmax", broken)
    asked = spec(schedule="constant", warmup_share=0.0)
    bad = {5}
    seen = trained(asked, tmp_path / "once")
    assert any("back to update 4 with half the rate" in one.message for one in seen)
    assert report(tmp_path / "once")["realised"]["learning_rate"] == 0.0005
    calls.clear()
    bad = {5, 7}
    with pytest.raises(TrainingFailed, match="At update 5 the loss became nan"):
        trained(asked, tmp_path / "twice")


# --- settings -----------------------------------------------------------------------------------

CHANGED: dict[str, tuple[Any, str, Any]] = {  # setting: its value, where it is read back, as what
    "learning_rate": (3e-3, "learning_rate", 3e-3),
    "updates": (5, "updates", 5),
    "batch_size": (3, "batch_size", 3),
    "segments": (3, "segments", 3),
    "optimizer": ("adam_atan2", "optimizer", "AdamATan2"),
    "schedule": ("linear", "schedule", "linear"),
    "warmup_share": (0.4, "warmup_updates", 2),
    "weight_decay": (0.3, "weight_decay", 0.3),
    "ema": (0.5, "ema", 0.5),
    "loss": ("stablemax", "loss", "stablemax"),
    "augment": (False, "augment", False),
    "replay": (0.25, "replay", 0.25),
    "task_first": (0.6, "task_first_updates", 3),
    "votes": (5, "votes", 5),
    "precision": ("bfloat16", "precision", "bfloat16"),
}
# These decide the weights without standing anywhere: they must change them.
FELT: dict[str, Any] = {"max_grad_norm": 0.01, "halt_weight": 5.0}
# What is begun with, and when something happens: tests below hold these.
WHEN = {"start", "eval_every", "patience", "checkpoint_every", "interpolate", "exploration"}


def test_every_setting_is_held_by_one_of_these_tests() -> None:
    assert {*CHANGED, *FELT, *WHEN} == {*FAMILY.ranges("full")}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("plain")
    trained(spec(), found)
    return found


def test_settings_are_what_the_run_really_used(plain: Path, tmp_path: Path) -> None:
    trained(spec(**{name: value for name, (value, _, _) in CHANGED.items()}), tmp_path)
    before, after = report(plain)["realised"], report(tmp_path)["realised"]
    for where, expected in ((where, expected) for _, where, expected in CHANGED.values()):
        assert before[where] != expected
        assert after[where] == expected, where


@pytest.mark.parametrize("name", sorted(FELT))
def test_a_setting_changes_the_weights(plain: Path, tmp_path: Path, name: str) -> None:
    trained(spec(**{name: FELT[name]}), tmp_path)
    one, other = weights(plain), weights(tmp_path)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_a_row_that_is_done_goes_on_while_it_explores() -> None:
    model = start.model(FAMILY.resolve(TINY)[0], rows.learn(examples(2)).kinds, 0, 4)
    sure = torch.ones(64, dtype=torch.bool)

    def lasting(exploration: float, halts: torch.Tensor) -> list[int]:
        """Rows that go on after 1, 2, 3 and 4 segments."""
        carry, rng = Carry(model, 64, 4), np.random.default_rng(0)
        found = []
        for _ in range(4):
            carry.advance(model.start(64), halts, rng, exploration)
            found.append(int((~carry.done).sum()))
        return found

    assert lasting(0.0, sure) == [0, 0, 0, 0]
    assert lasting(0.0, ~sure) == [64, 64, 64, 0]
    explored = lasting(1.0, sure)
    assert explored[0] == 64
    assert 64 > explored[1] > explored[2] > explored[3] == 0


def test_validation_and_checkpoints_come_when_they_are_asked_for(tmp_path: Path) -> None:
    trained(spec(eval_every=3, checkpoint_every=5), tmp_path)
    assert [step for step, _ in report(tmp_path)["val_losses"]] == [0, 3, 6, 8]
    steps = [int(path.name[5:]) for path in (tmp_path / "checkpoints").iterdir()]
    assert max(steps) == 8


def test_a_run_without_improvement_stops_and_keeps_its_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, grid = np.array([True, False]), {"grid": np.arange(2)}
    looks: list[Judged] = []

    def judged(*given: Any, **more: Any) -> Judged:
        """Better at the second look after the first update, never again."""
        looks.append(Judged(right & (len(looks) == 2), np.ones(2), grid))
        return looks[-1]

    monkeypatch.setattr(training, "judge", judged)
    seen = trained(spec(eval_every=1, patience=3, updates=20), tmp_path)
    told = report(tmp_path)
    assert (told["best_update"], told["updates"], told["planned_updates"]) == (2, 5, 20)
    assert seen[-1].message.endswith("no improvement in 3 looks: stopped")
    assert told["val_exact"][2] == [2, {"grid": 0.5}]
    assert (tmp_path / "checkpoints" / "step-00000002").is_dir()


def test_the_best_is_the_highest_exact_match_then_the_lowest_loss() -> None:
    best = Best().after(5, (0.5, -1.0))
    assert best.after(10, (0.5, -1.0)) == replace(best, stale=1)
    assert best.after(10, (0.5, -0.9)).step == 10
    assert best.after(10, (0.4, -0.1)).step == 5
    assert best.after(10, (0.6, -3.0)) == Best(step=10, score=(0.6, -3.0))


# --- what an update sees ------------------------------------------------------------------------


def draw(
    count: int = 4000, done: float = 0.5, replay: float = 0.0, **changes: Any
) -> tuple[rows.Rows, np.ndarray]:
    """The rows, and how often each was drawn."""
    made = [
        *examples(4, weight=1.0),
        *examples(2, seed=1, weight=3.0),
        *examples(2, seed=2, role="replay"),
        *examples(2, seed=3, since=0.8),
    ]
    found = rows.learn(made)
    drawn = Draw(found, np.random.default_rng(0), replay=replay, augment=False).take(count, done)
    places = {found.inputs[place].tobytes(): place for place in range(len(found))}
    counted = np.zeros(len(found))
    for row in drawn.inputs:
        counted[places[row.tobytes()]] += 1
    return found, counted / count


def test_a_weight_is_how_often_a_row_is_shown() -> None:
    _, shares = draw()
    assert shares[:4].mean() * 3 == pytest.approx(shares[4:6].mean(), rel=0.15)
    assert shares[8:].sum() == 0.0  # their time has not come


def test_replayed_rows_have_their_share_however_few_they_are() -> None:
    _, shares = draw(replay=0.6)
    assert shares[6:8].sum() == pytest.approx(0.6, abs=0.03)


def test_a_row_is_not_shown_before_its_time() -> None:
    _, early = draw(done=0.79)
    _, late = draw(done=0.8)
    assert early[8:].sum() == 0.0
    assert late[8:].sum() > 0.0


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_shown_is_the_row_in_an_equivalent_form(seed: int) -> None:
    made = examples(3)
    found = rows.learn(made)
    drawn = Draw(found, np.random.default_rng(seed), replay=0.0, augment=True).take(4, 0.0)
    puzzle = found.kinds[0].puzzle
    known = {puzzle.canonical(row.prompt, {}, row.target) for row in made}
    for cells, answer in zip(drawn.inputs, drawn.labels, strict=True):
        assert ((cells == answer) | (cells == 1)).all()  # given cells stay, 1 is a blank
        assert sorted(answer) == sorted([2, 3, 4, 5] * 4)
    assert known


def test_only_what_belongs_to_tasks_moves_at_first(tmp_path: Path) -> None:
    trained(spec(task_first=1.0, learning_rate=1e-2), tmp_path / "run")
    kinds = rows.learn(examples(2)).kinds
    first = start.model(FAMILY.resolve(TINY)[0], kinds, 0, 2).state_dict()
    moved = {
        key for key, weight in weights(tmp_path / "run").items() if (weight != first[key]).any()
    }
    assert moved == {
        "tasks.weight",
        "nets.0.blocks.0.mixer.relations",
        "nets.0.blocks.1.mixer.relations",
    }


def test_rows_that_are_no_puzzles_are_left_out_and_counted(tmp_path: Path) -> None:
    odd = [replace(row, id=f"odd{row.id}", target="12") for row in examples(2, seed=7)]
    data = dataset([*examples(8), *odd])
    (warning,) = FAMILY.check(spec(), data)
    assert (warning.code, warning.severity) == ("no-puzzle", "warning")
    assert "2 of 10 training rows cannot be read" in warning.message
    trained(spec(), tmp_path, data)
    assert (report(tmp_path)["examples"], report(tmp_path)["left_out"]) == (8, 2)
    only = Dataset(hash="odd", train=tuple(odd), val=())
    assert [one.severity for one in FAMILY.check(spec(), only)] == ["error"]


# --- from what was learnt before ----------------------------------------------------------------


def test_a_run_goes_on_from_the_champion_and_may_turn_back(tmp_path: Path) -> None:
    trained(spec(), tmp_path / "first")
    champion = tmp_path / "first" / "final"
    made = dataset(
        [*examples(8, task="latin", rule="latin"), *examples(8, role="replay")],
        [*examples(4, seed=1, split="val"), *examples(4, seed=1, task="latin", split="val")],
    )
    asked = replace(spec(interpolate=True), start_files=atomic.folder_digest(champion))
    shutil.copytree(champion, tmp_path / "second" / "start")
    seen = trained(asked, tmp_path / "second", made)
    told = report(tmp_path / "second")
    assert told["realised"]["tasks"] == ["grid", "latin"]
    assert {*told["val_exact"][0][1]} == {"grid", "latin"}
    share = told["interpolation"]["share"]
    assert share in interpolate.SHARES
    assert any(f"interpolate: {share:.0%} of the way" in one.message for one in seen)
    first, second = weights(tmp_path / "first"), weights(tmp_path / "second")
    assert not torch.equal(
        first["nets.0.blocks.0.inner.up.weight"], second["nets.0.blocks.0.inner.up.weight"]
    )


def test_the_share_with_the_best_exact_match_wins_and_the_smallest_among_equals() -> None:
    assert interpolate.choose({0.25: (0.9, -1.0), 0.5: (0.9, -0.5), 1.0: (0.8, 0.0)}) == 0.25
    assert interpolate.choose({0.25: (0.1, -1.0), 0.5: (0.2, -0.5), 1.0: (0.8, 0.0)}) == 1.0


# --- answering ----------------------------------------------------------------------------------


@pytest.mark.parametrize("votes", [1, 4])
def test_a_version_answers_every_item_alike_in_any_company(tmp_path: Path, votes: int) -> None:
    trained(spec(votes=votes), tmp_path)
    asked = items([*examples(5, seed=9), *examples(3, seed=9, task="latin", rule="latin")])
    asked.append(replace(asked[0], id="odd", prompt="What is love?"))
    with FAMILY.open(TINY, tmp_path / "final") as model:
        found = {one.item: one for one in model.predict(asked, Decoding())}
        alone = next(iter(model.predict(asked[3:4], Decoding())))
    assert {*found} == {item.id for item in asked}
    assert found["odd"].output == ""
    assert all(len(one.output.split()) == 4 for one in found.values() if one.item != "odd")
    assert alone.output == found[asked[3].id].output


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_answer_to_an_equivalent_form_is_turned_back(seed: int) -> None:
    made = rows.learn(examples(3))
    rng = np.random.default_rng(seed)
    moves = [predict._moves(made.kinds[0].puzzle, rng) for _ in range(3)]
    shown, answers = (predict._moved(cells, moves) for cells in (made.inputs, made.labels))
    known = shown != 1  # not blank
    assert (shown[known] == answers[known]).all()
    for row, move in enumerate(moves):
        assert np.array_equal(predict._back(answers[row], move), made.labels[row])


def test_the_surest_answer_wins_the_vote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three forms the second is answered with confidence: that answer is turned back."""
    (item,) = items(examples(1))
    asked = rows.ask([item])
    right = rows.learn(examples(1)).labels[0]
    move = predict._moves(asked.kinds[0].puzzle, predict._chance(item))
    turned = predict._moved(right[None], [move])[0]
    said = iter([(np.full(16, 2), 0.4), (turned, 0.9), (np.full(16, 3), 0.3)])
    monkeypatch.setattr(predict, "_answer", lambda *given: [next(said)])
    model = start.model(FAMILY.resolve(TINY)[0], asked.kinds, 0)
    model.config.votes = 3
    (found,) = predict._vote(model, asked, slice(0, 1), None)  # type: ignore[arg-type]
    assert found == tuple(right)


def test_a_bare_preset_answers_by_chance_and_does_not_fail() -> None:
    with FAMILY.open(TINY, None) as model:
        found = [*model.predict(items(examples(3)), Decoding())]
    assert len(found) == 3
    assert all(one.tokens == 16 for one in found)
