"""The prompt contract, batches, the schedule and the rule for the best state."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from causal_builders import example, make_tokenizer
from hypothesis import given
from hypothesis import strategies as st

from honewheel.errors import ConfigError
from honewheel.families.causal_lm.collate import flatten
from honewheel.families.causal_lm.ranges import METHODS, ranges
from honewheel.families.causal_lm.render import Encoded, Renderer, content, longest
from honewheel.families.causal_lm.scoring import split
from honewheel.families.order import plan
from honewheel.families.schedule import Course
from honewheel.families.stopping import Best, improves


def test_context_follows_the_prompt_as_paragraphs_under_their_keys() -> None:
    assert content("Ask", {}) == "Ask"
    assert content("Ask", {"schema": "A(B)", "notes": "n"}) == "Ask\n\nschema:\nA(B)\n\nnotes:\nn"


def test_a_chat_template_wraps_the_prompt_and_opens_the_answer(llama: Path) -> None:
    renderer = Renderer(llama)
    assert renderer.text("Ask", {"k": "v"}) == "<|user|>Ask\n\nk:\nv<|assistant|>"


def test_a_tokenizer_without_template_gets_plain_paragraphs(llama: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(llama, tmp_path / "plain"))
    (folder / "chat_template.jinja").unlink()
    make_tokenizer(folder, template=None)
    assert Renderer(folder).text("Ask", {}) == "Ask\n\n"


def test_an_encoded_example_is_the_prompt_as_asked_then_target_and_end(llama: Path) -> None:
    renderer = Renderer(llama)
    row = example(1, weight=0.5)
    (found,) = renderer.encode([row])
    (prompt,) = renderer.prompts([(row.prompt, row.context)])
    assert found.ids[: found.answer_start] == prompt
    assert renderer.decode(found.ids[found.answer_start : -1]) == row.target
    assert (found.ids[-1], found.weight) == (renderer.end, 0.5)
    assert found.loss_tokens == len(row.target) + 1


def test_generation_also_stops_at_the_ends_the_base_declares(llama: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(llama, tmp_path / "ends"))
    (folder / "generation_config.json").write_text('{"eos_token_id": [1, 3]}')
    assert Renderer(folder).stops == {1, 3}


def test_the_longest_example_is_bounded_by_setting_and_positions(llama: Path) -> None:
    assert longest({"max_tokens": 100}, llama) == 100
    assert longest({"max_tokens": 1024}, llama) == 256


rows = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.floats(0.1, 9)).map(
        lambda sizes: Encoded(tuple(range(sizes[0] + sizes[1])), sizes[0], sizes[2])
    ),
    min_size=1,
    max_size=12,
)


@given(rows)
def test_flattening_predicts_every_answer_token_from_the_one_before(encoded: list[Encoded]) -> None:
    found = flatten(encoded)
    flat = [token for row in encoded for token in row.ids]
    assert found.ids.tolist() == [flat]
    assert found.positions.tolist() == [[i for row in encoded for i in range(len(row))]]
    assert found.targets.tolist() == [
        token for row in encoded for token in row.ids[row.answer_start :]
    ]
    assert [flat[index + 1] for index in found.keep.tolist()] == found.targets.tolist()
    for (start, end), row in zip(found.bounds, encoded, strict=True):
        inside = [index for index in found.keep.tolist() if start <= index < end]
        assert inside == list(range(start + row.answer_start - 1, end - 1))


@given(rows, st.integers(1, 40))
def test_passes_keep_order_and_stay_under_the_limit(encoded: list[Encoded], limit: int) -> None:
    found = list(split(encoded, limit))
    assert [row for part in found for row in part] == encoded
    assert all(sum(map(len, part)) <= limit or len(part) == 1 for part in found)
    for part, after in pairwise(found):  # as few as can be
        assert sum(map(len, part)) + len(after[0]) > limit


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 4), st.integers(0, 3))
def test_the_plan_visits_every_row_once_an_epoch(
    count: int, size: int, epochs: int, seed: int
) -> None:
    batches = plan(count, size, epochs, seed)
    assert batches == plan(count, size, epochs, seed)
    each = -(-count // size)
    assert len(batches) == each * epochs
    for epoch in range(epochs):
        seen = [index for batch in batches[epoch * each : (epoch + 1) * each] for index in batch]
        assert sorted(seen) == list(range(count))


def test_the_plan_shuffles_by_seed_and_epoch() -> None:
    first, second = plan(40, 40, 2, 0)
    assert first != second
    assert plan(40, 40, 1, 1) != [first]


@given(st.integers(1, 200), st.floats(0, 0.5), st.sampled_from(["linear", "cosine", "constant"]))
def test_the_rate_is_positive_at_every_update_and_reaches_its_peak(
    total: int, share: float, shape: str
) -> None:
    warmup = int(share * total)
    rates = [Course(total, warmup, shape)(update) for update in range(total)]
    assert all(0 < rate <= 1 for rate in rates)
    assert max(rates) == 1
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)


@given(st.integers(2, 200), st.floats(0, 0.5), st.integers(0, 5))
def test_a_rate_with_restarts_rises_to_its_peak_that_many_times(
    total: int, share: float, restarts: int
) -> None:
    warmup = int(share * total)
    course = Course(total, warmup, "cosine_restarts", restarts)
    rates = [course(update) for update in range(total)]
    assert all(0 < rate <= 1 for rate in rates)
    rises = sum(after > before for before, after in pairwise(rates[warmup:]))
    assert rises <= restarts
    if (total - warmup) >= 4 * (1 + restarts):
        assert rises == restarts
    if restarts == 0:
        plain = [Course(total, warmup, "cosine")(update) for update in range(total)]
        assert rates == pytest.approx(plain)


def test_schedules_differ_in_the_middle() -> None:
    assert Course(100, 0, "constant")(75) == 1
    assert Course(100, 0, "linear")(75) == 0.25
    assert Course(100, 0, "cosine")(75) == pytest.approx(0.1464, abs=1e-4)


def test_an_improvement_must_exceed_the_standard_error_of_the_paired_difference() -> None:
    old = [1.0, 2.0, 3.0, 4.0]
    assert improves(old, [0.9, 1.9, 2.9, 3.9], 1.0)  # the same gain everywhere: no error at all
    noisy = [0.2, 2.7, 2.2, 4.7]  # mean gain 0.05, standard error 0.43
    assert not improves(old, noisy, 1.0)
    assert improves(old, noisy, 0.0)
    assert not improves(old, old, 0.0)
    assert improves([1.0], [0.9], 1.0)


def test_the_best_state_stays_until_one_is_clearly_better() -> None:
    best = Best().after(10, [1.0, 2.0], 1.0)
    assert (best.step, best.stale) == (10, 0)
    worse = best.after(20, [1.1, 2.1], 1.0)
    assert (worse.step, worse.losses, worse.stale) == (10, (1.0, 2.0), 1)
    assert worse.after(30, [0.5, 1.5], 1.0) == Best(step=30, losses=(0.5, 1.5), stale=0)


@pytest.mark.parametrize("method", METHODS)
def test_every_default_is_inside_its_own_range(method: str) -> None:
    assert {name: rule.problem(rule.default) for name, rule in ranges(method).items()} == (
        dict.fromkeys(ranges(method))
    )


def test_a_rate_of_a_twentieth_is_outside_and_the_reason_is_told() -> None:
    rule = ranges("lora")["learning_rate"]
    assert rule.problem(0.05) == "0.05 is outside 1e-05 .. 0.01"
    assert "destroys it" in rule.why


def test_an_unknown_method_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'dora'; it has lora and full"):
        ranges("dora")


@pytest.mark.parametrize("architecture", ["llama", "gemma3"])
def test_every_base_has_its_own_end_among_the_stops(
    bases: Callable[[str], Path], architecture: str
) -> None:
    renderer = Renderer(bases(architecture))
    assert renderer.end in renderer.stops
