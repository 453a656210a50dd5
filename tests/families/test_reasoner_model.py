"""The recurrent model: sizes, equations, what gradients reach, saving and growing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reasoner_builders import TINY, examples

from honewheel.errors import ConfigError, Damaged, NotFound
from honewheel.families import modes
from honewheel.families.reasoner import base, losses, rows, start
from honewheel.families.reasoner import shape as shapes
from honewheel.families.reasoner.config import ReasonerConfig
from honewheel.families.reasoner.model import Boards, Reasoner, State
from honewheel.families.reasoner.optimizer import AdamATan2, make_optimizer, of_task
from honewheel.families.reasoner.shape import Shape


def preset(name: str, **sizes: Any) -> Shape:
    found = base.shape(base.locate(f"honewheel/reasoner-{name}"))
    data = {"vocabulary": 5, "length": 16, "relations": 3, "tasks": 2}
    return replace(found, **(data | sizes))


def built(shape: Shape, seed: int = 0) -> Reasoner:
    names = [f"t{place}" for place in range(shape.tasks)]
    found = Reasoner(ReasonerConfig(task_names=names, **asdict(shape)))
    found.begin(seed)
    return found


def boards(shape: Shape, kinds: int = 1) -> Boards:
    draw = torch.Generator().manual_seed(1)
    related = torch.rand((kinds, shape.relations, shape.length, shape.length), generator=draw)
    used = torch.ones((kinds, shape.length), dtype=torch.bool)
    return Boards(torch.zeros(kinds, dtype=torch.long), (related > 0.5).float(), used)


def segment(
    model: Reasoner, many: int = 3, **changes: Any
) -> tuple[torch.Tensor, torch.Tensor, State]:
    tokens = torch.arange(many * model.shape.length).view(many, -1) % model.shape.vocabulary
    kinds = torch.zeros(many, dtype=torch.long)
    found: tuple[torch.Tensor, torch.Tensor, State] = model(
        tokens, kinds, changes.get("boards", boards(model.shape)), model.start(many)
    )
    return found


# --- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "weights"), [("hrm27m", 27_275_266), ("trm7m", 6_828_034)]
)  # the published counts, at the vocabulary of sudoku; task embeddings are no part of them
def test_the_large_presets_have_the_published_number_of_weights(name: str, weights: int) -> None:
    shape = preset(name, vocabulary=11, length=81, tasks=1)
    assert shape.weights == weights
    with torch.device("meta"):
        model = Reasoner(ReasonerConfig(task_names=["t"], **asdict(shape)))
    shared = [weight.numel() for key, weight in model.named_parameters() if not of_task(key)]
    assert sum(shared) == weights


@pytest.mark.parametrize("name", shapes.PRESETS)
def test_a_shape_tells_the_weights_that_its_model_has(name: str) -> None:
    shape = preset(name, vocabulary=7, length=9)
    with torch.device("meta"):
        model = Reasoner(ReasonerConfig(task_names=["a", "b"], **asdict(shape)))
    held = {key: weight.numel() for key, weight in model.named_parameters()}
    assert sum(size for key, size in held.items() if of_task(key)) == shape.task_weights
    assert sum(size for key, size in held.items() if not of_task(key)) == shape.weights


def test_a_shape_that_cannot_be_built_is_told_apart() -> None:
    assert preset("tiny").problem() is None
    assert "none of trm, hrm" in str(preset("tiny", kind="lstm").problem())
    assert "no multiple of twice its 3 heads" in str(preset("tiny", heads=3).problem())
    assert "layers is 0, below 1" in str(preset("tiny", layers=0).problem())


# --- equations ----------------------------------------------------------------------------------


def by_hand(model: Reasoner, found: Boards, tokens: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """One segment of a model with attention and learned positions, line by line from the papers."""
    shape, held = model.shape, model.state_dict()

    def rms(z: torch.Tensor) -> torch.Tensor:
        return z / (z.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()

    def block(z: torch.Tensor, name: str) -> torch.Tensor:
        q, k, v = (z @ held[f"{name}.mixer.qkv.weight"].T).split(shape.hidden_size, -1)
        size, heads = shape.hidden_size // shape.heads, []
        for head in range(shape.heads):
            part = slice(head * size, (head + 1) * size)
            logits = q[..., part] @ k[..., part].transpose(1, 2) / math.sqrt(size)
            weights = held[f"{name}.mixer.relations"][0, head]
            for relation in range(shape.relations):
                logits[:, shape.prefix :, shape.prefix :] += (
                    weights[relation] * found.related[0, relation]
                )
            heads.append(logits.softmax(-1) @ v[..., part])
        z = rms(z + torch.cat(heads, -1) @ held[f"{name}.mixer.out.weight"].T)
        gate, up = (z @ held[f"{name}.inner.up.weight"].T).split(shape.inner, -1)
        return rms(z + (gate * gate.sigmoid() * up) @ held[f"{name}.inner.down.weight"].T)

    def net(z: torch.Tensor, which: int) -> torch.Tensor:
        for place in range(shape.layers):
            z = block(z, f"nets.{which}.blocks.{place}")
        return z

    front = held["tasks.weight"][0].view(1, shape.prefix, -1).expand(len(tokens), -1, -1)
    e = torch.cat([front, held["tokens.weight"][tokens]], 1) + held["places"]
    e = math.sqrt(shape.hidden_size) * math.sqrt(0.5) * e
    high = held["first_high"].expand_as(e)
    low = held["first_low"].expand_as(e)
    last = shape.nets - 1
    for _ in range(shape.high_cycles):
        for _ in range(shape.low_cycles):
            low = net(low + (high + e), 0)
        high = net(high + low, last)
    logits = high[:, shape.prefix :] @ held["head.weight"].T
    return logits, high[:, 0] @ held["halt.weight"].T + held["halt.bias"], high, low


@pytest.mark.parametrize("name", ["tiny", "tiny-hrm"])
def test_a_segment_is_what_the_equations_say(name: str) -> None:
    model = built(preset(name))
    with torch.no_grad():
        torch.nn.init.normal_(model.halt.weight, generator=torch.Generator().manual_seed(3))
        torch.nn.init.normal_(model.tasks.weight, generator=torch.Generator().manual_seed(4))
    found = boards(model.shape)
    logits, halts, state = segment(model, boards=found)
    tokens = torch.arange(48).view(3, -1) % 5
    expected = by_hand(model, found, tokens)
    for ours, theirs in zip((logits, halts, state.high, state.low), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_hrm_learns_from_the_last_step_and_trm_from_the_last_cycle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from honewheel.families.reasoner import model as module

    calls: list[bool] = []
    real = module._Net.forward

    def seen(self: Any, *given: Any) -> torch.Tensor:
        calls.append(torch.is_grad_enabled())
        return real(self, *given)

    monkeypatch.setattr(module._Net, "forward", seen)
    for name, cycles, low, trained in (("tiny", 3, 4, 5), ("tiny-hrm", 3, 4, 2)):
        calls.clear()
        model = built(preset(name, high_cycles=cycles, low_cycles=low))
        _, _, state = segment(model)
        assert len(calls) == model.shape.calls == cycles * (low + 1)
        assert sum(calls) == model.shape.trained_calls == trained
        assert not any(calls[:-trained])
        assert not state.high.requires_grad
        assert not state.low.requires_grad


def test_the_same_seed_draws_the_same_weights_of_the_right_spread() -> None:
    one, same, other = (built(preset("small"), seed) for seed in (0, 0, 1))
    for key, weight in one.state_dict().items():
        assert torch.equal(weight, same.state_dict()[key]), key
    weight = one.nets[0].blocks[0].inner.up.weight.detach()
    assert not torch.equal(weight, other.nets[0].blocks[0].inner.up.weight)
    assert float(weight.std()) == pytest.approx(96**-0.5, rel=0.03)
    assert float(weight.abs().max()) < 2.3 * 96**-0.5
    assert one.halt.bias.tolist() == [-5.0, -5.0]
    assert not bool(one.tasks.weight.any())


@pytest.mark.parametrize("name", ["tiny", "tiny-mlp", "trm7m"])
def test_rows_do_not_see_each_other_nor_cells_that_a_board_has_not(name: str) -> None:
    shape = preset(name, hidden_size=32, heads=4, high_cycles=1, low_cycles=1)
    model = built(shape)
    found = boards(shape, 2)
    found.used[1, 9:] = shape.mixer == "mlp"  # an mlp has one length
    tokens = torch.randint(1, 5, (4, 16), generator=torch.Generator().manual_seed(0))
    kinds = torch.tensor([0, 1, 1, 0])
    together, _, _ = model(tokens, kinds, found, model.start(4))
    for row in range(4):
        alone, _, _ = model(tokens[row : row + 1], kinds[row : row + 1], found, model.start(1))
        torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-5)
    if shape.mixer == "attention":
        noisy = tokens.clone()
        noisy[1, 9:] = 0
        again, _, _ = model(noisy, kinds, found, model.start(4))
        torch.testing.assert_close(again[1, :9], together[1, :9], rtol=1e-4, atol=1e-5)


# --- saving and growing -------------------------------------------------------------------------


def test_a_saved_model_is_the_same_model(tmp_path: Path) -> None:
    model = built(preset("tiny"))
    with modes.quiet():
        model.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    again = start.load(tmp_path)
    assert again.config.shape == model.config.shape
    assert again.config.task_names == ["t0", "t1"]
    for key, weight in model.state_dict().items():
        assert torch.equal(weight, again.state_dict()[key]), key


def test_a_model_whose_weights_are_of_another_shape_is_damaged(tmp_path: Path) -> None:
    with modes.quiet():
        built(preset("tiny")).save_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"layers": 2', '"layers": 3'))
    with pytest.raises(Damaged, match="tensors are missing or of another shape"):
        start.load(tmp_path)


def trained_on(folder: Path, **changes: Any) -> Path:
    """A model that knows the task "grid" of 4x4 sudoku, with weights of its own."""
    kinds = rows.learn(examples(2, **changes)).kinds
    model = start.model(base.locate(TINY), kinds, seed=5)
    with torch.no_grad():
        model.tasks.weight.normal_(generator=torch.Generator().manual_seed(1))
        model.nets[0].blocks[0].mixer.relations.normal_()
    with modes.quiet():
        model.save_pretrained(folder)
    return folder


def test_a_new_task_begins_as_the_task_that_it_is_like(tmp_path: Path) -> None:
    folder = trained_on(tmp_path)
    old = start.load(folder)
    kinds = rows.learn([*examples(2), *examples(2, task="latin", rule="latin")]).kinds
    grown = start.model(folder, kinds, seed=0)
    assert grown.config.task_names == ["grid", "latin"]
    for key, weight in old.state_dict().items():
        new = grown.state_dict()[key]
        assert torch.equal(new[: len(weight)], weight), key
        if of_task(key):
            assert torch.equal(new[1], weight[0]), key


def test_a_model_grows_for_longer_puzzles_and_keeps_what_it_answered(tmp_path: Path) -> None:
    folder = trained_on(tmp_path)
    old = start.load(folder)
    small = rows.learn(examples(3))
    longer = replace(small.kinds[0], task="other", puzzle=_Longer(small.kinds[0].puzzle))
    grown = start.model(folder, [*small.kinds, longer], seed=0)
    assert (grown.shape.length, grown.shape.vocabulary, grown.shape.tasks) == (36, 8, 2)
    answers = []
    for model in (old, grown):
        found = rows.boards(
            small.kinds, model.config.task_names, model.shape.length, model.shape.relations, "cpu"
        )
        tokens = torch.zeros((3, model.shape.length), dtype=torch.long)
        tokens[:, :16] = torch.from_numpy(small.inputs)
        logits, _, _ = model(tokens, torch.from_numpy(small.kind), found, model.start(3))
        answers.append(logits[:, :16, :5])
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-4, atol=1e-5)


def test_a_model_of_fixed_length_refuses_to_grow(tmp_path: Path) -> None:
    kinds = rows.learn(examples(2)).kinds
    model = start.model(base.locate("honewheel/reasoner-tiny-mlp"), kinds, seed=0)
    with modes.quiet():
        model.save_pretrained(tmp_path)
    longer = replace(kinds[0], task="other", puzzle=_Longer(kinds[0].puzzle))
    with pytest.raises(ConfigError, match="this one has 16 cells, the puzzles have 36"):
        start.model(tmp_path, [longer], seed=0)


class _Longer:
    """The puzzle of another, said to be 36 cells long with 8 tokens."""

    def __init__(self, puzzle: Any) -> None:
        self.name, self.length, self.vocabulary = "longer", 36, 8
        self.count = len(puzzle.relations())

    def relations(self) -> Any:
        return np.zeros((self.count, 36, 36), dtype=np.bool_)


# --- bases --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", shapes.PRESETS)
def test_every_preset_resolves(name: str) -> None:
    folder, found = base.resolve(f"honewheel/reasoner-{name}")
    assert base.is_preset(folder)
    assert base.shape(folder).problem() is None
    assert found.startswith(f"{base.DRAWN}:")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("honewheel/reasoner-huge", "There are honewheel/reasoner-tiny, "),
        ("honewheel/tiny", "A base is honewheel/reasoner-tiny, "),
        ("/nowhere", "There is no base /nowhere"),
    ],
)
def test_a_base_that_is_none_is_told_with_those_that_are(name: str, said: str) -> None:
    with pytest.raises(NotFound, match=said):
        base.resolve(name)


def test_a_folder_of_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(NotFound, match=r"is no reasoner: its config.json says 'llama'"):
        base.resolve(str(tmp_path))
    (tmp_path / "config.json").write_text(f'{{"model_type": "{shapes.MODEL_TYPE}"}}')
    with pytest.raises(NotFound, match=r"has no model\.safetensors"):
        base.resolve(str(tmp_path))


# --- losses and optimizer -----------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.lists(st.floats(-30, 30, width=32), min_size=4, max_size=4), min_size=2, max_size=2)
)
def test_stablemax_is_its_definition(logits: list[list[float]]) -> None:
    labels = torch.tensor([[1, 3]])
    found = losses.stablemax_cells(torch.tensor([logits]), labels)
    expected = 0.0
    for cell, label in zip(logits, (1, 3), strict=True):
        s = [x + 1 if x >= 0 else 1 / (1 - x) for x in cell]
        expected -= math.log(s[label] / sum(s)) / 2
    assert float(found[0]) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_cells_without_a_label_count_for_nothing() -> None:
    logits = torch.zeros((2, 3, 4))
    logits[0, 0, 2] = 9.0
    labels = torch.tensor([[2, -100, -100], [1, 1, 1]])
    for loss in losses.CELLS.values():
        first, second = loss(logits, labels).tolist()
        assert first < 0.4
        assert second == pytest.approx(math.log(4))
    assert losses.solved(logits, labels).tolist() == [True, False]


def test_going_on_is_worth_what_the_next_segment_says() -> None:
    ahead = torch.tensor([[1.0, 3.0], [1.0, 3.0], [2.0, 0.0]])
    last = torch.tensor([False, True, False])
    expected = torch.tensor([3.0, 1.0, 2.0]).sigmoid()
    torch.testing.assert_close(losses.continue_target(ahead, last), expected)


def test_the_atan2_step_does_not_depend_on_the_size_of_gradients() -> None:
    steps = []
    for scale in (1.0, 1000.0):
        weight = torch.nn.Parameter(torch.zeros(3))
        optimizer = AdamATan2([{"params": [weight], "weight_decay": 0.0}], lr=0.1)
        for gradient in ([1.0, -2.0, 0.0], [0.5, 1.0, 0.0]):
            weight.grad = torch.tensor(gradient) * scale
            optimizer.step()
        steps.append(weight.detach().clone())
    torch.testing.assert_close(steps[0], steps[1])
    assert steps[0][2] == 0.0
    first = 0.1 * math.atan2(1.0, 1.0)
    m, v = (0.9 * 0.1 + 0.1 * 0.5) / 0.19, (0.95 * 0.05 + 0.05 * 0.25) / 0.0975
    assert float(steps[0][0]) == pytest.approx(-first - 0.1 * math.atan2(m, math.sqrt(v)))


def test_what_belongs_to_tasks_does_not_decay() -> None:
    model = built(preset("tiny"))
    decays, stays = make_optimizer("adamw", model, 1e-3, 0.1).param_groups
    names: Mapping[int, str] = {id(weight): name for name, weight in model.named_parameters()}
    assert {names[id(weight)] for weight in stays["params"]} == {
        "tasks.weight",
        "halt.bias",
        "nets.0.blocks.0.mixer.relations",
        "nets.0.blocks.1.mixer.relations",
    }
    assert (decays["weight_decay"], stays["weight_decay"]) == (0.1, 0.0)
