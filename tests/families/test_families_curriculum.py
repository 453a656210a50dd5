"""The data order under a curriculum, and training that follows it, interrupted or not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from causal_builders import dataset, spec
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel import atomic
from honewheel.curate.curriculum import Kind, pace
from honewheel.families.causal_lm.family import CausalLM
from honewheel.families.order import Left, Mastery, Order, plan
from honewheel.records import Dataset, Progress, Spec

FAMILY = CausalLM()


def sizes(count: int, batch_size: int, epochs: int) -> list[int]:
    return [len(batch) for batch in plan(count, batch_size, epochs, 0)]


def shares(count: int, kind: Kind) -> list[float]:
    rows = [
        replace(row, difficulty=place / count) for place, row in enumerate(dataset(count, 0).train)
    ]
    return [row.since for row in pace(rows, kind=kind, seed=0)]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 4), st.integers(0, 9))
def test_without_waiting_rows_the_order_is_the_plain_plan(
    count: int, batch_size: int, epochs: int, seed: int
) -> None:
    plain = plan(count, batch_size, epochs, seed)
    order = Order([0.0] * count, [len(batch) for batch in plain], seed)
    assert list(order) == plain
    assert list(Left(order, len(plain) // 2)) == plain[len(plain) // 2 :]


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 9),
    st.integers(1, 6),
    st.integers(0, 9),
    st.sampled_from(["competence", "stages"]),
)
def test_every_row_appears_no_batch_repeats_one_and_the_work_is_the_same(
    count: int, batch_size: int, epochs: int, seed: int, kind: Kind
) -> None:
    since = shares(count, kind)
    order = Order(since, sizes(count, batch_size, epochs), seed)
    assert [len(batch) for batch in order] == list(order.sizes)
    assert {row for batch in order for row in batch} == set(range(count))
    assert all(len({*batch}) == len(batch) for batch in order)
    again = Order(since, order.sizes, seed)
    assert again[len(order) - 1] == order[len(order) - 1]
    assert list(again) == list(order)


@pytest.mark.parametrize("kind", ["competence", "stages"])
def test_a_row_waits_for_its_time_and_the_last_sixty_percent_show_all_alike(kind: Kind) -> None:
    since = shares(400, kind)
    order = Order(since, sizes(400, 8, 10), 3)
    for update, batch in enumerate(order):
        assert all(since[row] <= update / len(order) + 1e-9 for row in batch)
    shown = Counter(row for batch in order[len(order) * 2 // 5 :] for row in batch)
    assert set(shown) == set(range(400))
    assert max(shown.values()) - min(shown.values()) <= 2


def test_too_few_open_rows_let_the_next_ones_in_rather_than_repeat_one() -> None:
    order = Order([0.0, 0.1, 0.2, 0.3, 0.4], [4, 4, 4, 4, 4], 0)
    assert sorted(order[0]) == [0, 1, 2, 3]


def stages(update_losses: Any, total: int = 60) -> Mastery:
    """30 rows in three stages, each update with the losses that `update_losses(update)` gives."""
    order = Order([0.0] * 10 + [0.2] * 10 + [0.4] * 10, [5] * total, 0)
    mastery = Mastery(order)
    for update in range(total):
        mastery.after(update, [update_losses(update)] * len(order[update]))
        _ = order[min(update + 1, total - 1)]  # the data loader looks one update ahead
    return mastery


def test_a_stage_that_stops_getting_better_lets_the_next_one_in_early() -> None:
    at_its_ceiling = stages(lambda update: 1.5).openings()
    assert [stage["rows"] for stage in at_its_ceiling] == [10, 10, 10]
    assert [stage["latest"] for stage in at_its_ceiling] == [0, 12, 24]
    first, second = at_its_ceiling[1]["opened"], at_its_ceiling[2]["opened"]
    assert first == 5  # two passes of two updates over the ten easy rows, then the loader's lead
    assert first < second < 24


def test_a_stage_that_still_gets_better_waits_no_longer_than_its_share() -> None:
    assert [one["opened"] for one in stages(lambda update: 0.8**update).openings()] == [0, 12, 24]


def test_what_a_stage_reaches_is_measured_against_itself() -> None:
    """A loss that stays high opens the next stage as soon as one that stays low."""
    high, low = stages(lambda _: 9.0), stages(lambda _: 0.01)
    assert high.openings() == low.openings()


def test_an_opening_never_changes_a_batch_that_is_drawn() -> None:
    order = Order([0.0] * 5 + [0.4] * 5, [2] * 20, 0)
    drawn = order[:6]
    with pytest.raises(AssertionError, match="drawn already"):
        order.open_early(0.4, 5)
    order.open_early(0.4, 6)
    assert order[:6] == drawn
    resumed = Order(order.since, order.sizes, 0, dict(order.opens))
    assert list(resumed) == list(order)


# --- training -----------------------------------------------------------------------------------


def paced(kind: Kind) -> Dataset:
    given_data = dataset(12, 4, name=f"paced-{kind}")
    rows = [replace(row, difficulty=len(row.target) / 20) for row in given_data.train]
    return replace(given_data, train=tuple(pace(rows, kind=kind, seed=0)))


def told(base: Path, kind: Kind, **changes: Any) -> Spec:
    extra = {"curriculum": kind} if kind != "off" else {}
    return spec(base, checkpoint_every=2, epochs=6, batch_size=2, **extra, **changes)


def trained(given_spec: Spec, data: Dataset, run_dir: Path) -> list[Progress]:
    run_dir.mkdir(exist_ok=True)
    return list(FAMILY.train(given_spec, data, run_dir))


def interrupted(given_spec: Spec, data: Dataset, run_dir: Path, after: int) -> None:
    run_dir.mkdir()
    progress = FAMILY.train(given_spec, data, run_dir)
    assert isinstance(progress, Iterator)
    next(report for report in progress if report.step == after)
    progress.close()  # type: ignore[attr-defined]


def report(run_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run_dir / "final" / "training.json").read_text())
    return found


def opened(run_dir: Path) -> Sequence[int]:
    return [stage["opened"] for stage in report(run_dir)["stages"]]


@pytest.mark.parametrize(
    ("kind", "after"), [pytest.param("competence", 5, marks=pytest.mark.slow), ("stages", 4)]
)
def test_a_resumed_run_with_a_curriculum_ends_with_the_same_bytes(
    llama: Path, tmp_path: Path, kind: Kind, after: int
) -> None:
    given_spec, data = told(llama, kind, learning_rate=1e-5), paced(kind)
    trained(given_spec, data, tmp_path / "whole")
    if kind == "stages":  # hardly anything is learnt, so the stages open before their time
        assert opened(tmp_path / "whole") == [0, 5, 12]  # at the latest 8 and 15
    interrupted(given_spec, data, tmp_path / "broken", after)
    assert trained(given_spec, data, tmp_path / "broken")[0].message.startswith("resumed")
    assert atomic.verify(tmp_path / "broken" / "final") == atomic.verify(
        tmp_path / "whole" / "final"
    )


@pytest.mark.slow
def test_a_curriculum_changes_the_order_not_the_number_of_updates(
    llama: Path, tmp_path: Path
) -> None:
    """Of the same rows, only "stages" lets some in before their time."""
    runs = {"off": paced("off"), "competence": paced("stages"), "stages": paced("stages")}
    found = {}
    for kind, data in runs.items():
        trained(told(llama, kind, learning_rate=1e-5, patience=100), data, tmp_path / kind)  # type: ignore[arg-type]
        found[kind] = report(tmp_path / kind)
    assert {told["updates"] for told in found.values()} == {36}
    assert len({tuple(map(tuple, told["losses"])) for told in found.values()}) == 3
    assert [kind for kind in found if "stages" in found[kind]] == ["stages"]


def test_training_does_not_stop_before_every_row_was_let_in(llama: Path, tmp_path: Path) -> None:
    data = paced("competence")
    noise = tuple(replace(row, target=f"{i * 7919 % 1000}") for i, row in enumerate(data.train))
    given_spec = told(llama, "competence", learning_rate=1e-2, patience=1, eval_every=0.2)
    trained(given_spec, replace(data, train=noise), tmp_path / "run")
    found = report(tmp_path / "run")
    assert found["updates"] >= 0.4 * found["planned_updates"]


def test_a_curriculum_nobody_knows_is_refused_before_anything_loads(llama: Path) -> None:
    wrong = replace(spec(llama), settings={**spec(llama).settings, "curriculum": "spiral"})
    found = FAMILY.check(wrong, dataset())
    assert [one.message for one in found] == [
        "curriculum: 'spiral' is none of off, competence, stages"
    ]
    assert not FAMILY.check(told(llama, "stages"), paced("stages"))
