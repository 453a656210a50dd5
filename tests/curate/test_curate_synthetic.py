"""Made-up examples beside real ones: where they go, and how many may stay."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from curate_builders import NOW, example
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate import synthetic
from honewheel.curate.dedup import Link
from honewheel.curate.rows import Row
from honewheel.errors import ConfigError
from honewheel.records import Response, Split


def row(number: int, source: str) -> Row:
    return Row(example=example(number), exact=str(number), source=source, at=NOW, similarity=None)


def mixed(real: int, made: int) -> list[Row]:
    return [row(number, "ana") for number in range(real)] + [
        row(number, "synthesize:templates") for number in range(real, real + made)
    ]


@given(
    st.integers(0, 60), st.integers(0, 60), st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9]), st.randoms()
)
@settings(max_examples=60, deadline=None)
def test_made_up_rows_never_exceed_their_share(
    real: int, made: int, share: float, rng: random.Random
) -> None:
    rows = mixed(real, made)
    kept, dropped = synthetic.cap(rows, share)
    stay = [one for one in kept if one.source != "ana"]
    assert len(stay) <= share * len(kept) + 1e-9
    assert len(kept) - len(stay) == real  # what is real is never dropped
    assert len(kept) + len(dropped) == len(rows)
    if dropped:  # one more would be too many
        assert len(stay) + 1 > share * (len(kept) + 1) - 1e-9
    shuffled = rows[:]
    rng.shuffle(shuffled)
    again, gone = synthetic.cap(shuffled, share)
    assert {one.event for one in again} == {one.event for one in kept}
    assert gone == dropped
    assert synthetic.cap(kept, share) == (kept, [])


def test_a_dropped_row_says_the_numbers() -> None:
    _, dropped = synthetic.cap(mixed(7, 5), 0.3)
    assert {one.reason for one in dropped} == {"over synthetic share"}
    assert dropped[0].detail == "3 of 5 made-up rows beside 7 real ones, at most 30%"


def test_known_and_validation_rows_are_not_counted() -> None:
    rows = mixed(7, 5)
    others = [
        replace(one, example=replace(one.example, **changed))
        for one, changed in zip(mixed(0, 2), ({"role": "replay"}, {"split": "val"}), strict=True)
    ]
    kept, _ = synthetic.cap([*rows, *others], 0.3)
    assert len(kept) == 12
    assert kept[-2:] == others


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="synthetic_share"):
        synthetic.cap([], share)


def test_only_its_mark_makes_a_response_made_up() -> None:
    plain = Response(id="a", task="erd", prompt="p", output="o", created_at=NOW)
    assert not synthetic.is_synthetic(plain)
    assert synthetic.is_synthetic(replace(plain, decoding={"synthesize": "teacher"}))


def test_a_new_question_goes_to_train() -> None:
    assert synthetic.place(Link(group="evt_a")) == ("train", None)
    near = Link(group="evt_b", split="train", twin="evt_b", similarity=0.8)
    assert synthetic.place(near) == ("train", None)


@pytest.mark.parametrize("split", ["val", "test"])
def test_what_resembles_held_out_material_goes_nowhere(split: Split) -> None:
    found = synthetic.place(Link(group="evt_b", split=split, twin="evt_b", similarity=0.8))
    assert found.quarantined is not None
    assert f"resembles evt_b (0.80), which is held out ({split})" in found.quarantined


def test_a_question_of_the_log_and_a_bridge_go_nowhere() -> None:
    asked = Link(group="evt_b", split="train", twin="evt_b", similarity=1.0)
    assert "already holds its question (evt_b)" in str(synthetic.place(asked).quarantined)
    bridge = Link(group="evt_b", split="train", twin="evt_b", similarity=0.8, quarantined="leak")
    assert synthetic.place(bridge).quarantined == "leak"
