from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from curate_builders import BROKEN, FINE, NOW, accepted, corrected, event, said
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate import reward
from honewheel.records import Check

UNIT = st.floats(0, 1)
SCORED = st.sampled_from(["rating", "thumb", "finding", "signal"])


def test_the_correction_is_the_target_and_without_one_the_accepted_output() -> None:
    up = said("thumb", 1.0)
    assert reward.target(corrected(1, feedback=(said("thumb", 0.0),))) == ("correction", "target 1")
    assert reward.target(event(1, feedback=(up,))) == ("output", "output 1")


def test_the_newest_of_two_corrections_is_the_target() -> None:
    old = said("correction", text="old", created_at=NOW - timedelta(days=1))
    new = said("correction", text="new", created_at=NOW)
    assert reward.target(event(1, feedback=(new, old))) == ("correction", "new")


@pytest.mark.parametrize("feedback", [(), (said("comment", text="hm"),), (said("rating"),)])
def test_nothing_is_learnt_from_an_output_that_nobody_judged(feedback: tuple) -> None:
    assert reward.target(event(1, feedback=feedback)) is None


def test_nothing_is_learnt_from_an_empty_output() -> None:
    assert reward.target(event(1, output=" \n", feedback=(said("thumb", 1.0),))) is None


def test_a_correction_that_repeats_the_output_accepts_it() -> None:
    same = corrected(1, output="a\nb", correction="a  \nb\n")
    assert reward.target(same) == ("output", "a\nb")
    assert reward.value(same) > reward.value(event(1)) + 0.3


@settings(deadline=None)
@given(SCORED, UNIT, UNIT, st.lists(st.tuples(SCORED, UNIT), max_size=4))
def test_value_grows_with_every_signal(
    kind: str, one: float, other: float, rest: list[tuple[str, float]]
) -> None:
    around = tuple(said(k, v, source=f"s{at}") for at, (k, v) in enumerate(rest))
    low, high = sorted((one, other))
    worse = reward.value(event(1, feedback=(*around, said(kind, low))))
    better = reward.value(event(1, feedback=(*around, said(kind, high))))
    assert 0 <= worse <= better <= 1
    if high - low > 0.01:
        assert worse < better


@settings(deadline=None)
@given(UNIT, UNIT, UNIT)
def test_value_grows_with_the_check_and_an_error_outweighs_its_score(
    one: float, other: float, rating: float
) -> None:
    low, high = sorted((one, other))
    feedback = (said("rating", rating),)

    def value(check: Check) -> float:
        return reward.value(event(1, check=check, feedback=feedback))

    assert value(Check(score=low)) <= value(Check(score=high))
    assert value(replace(BROKEN, score=high)) < value(Check(score=low))


@settings(deadline=None)
@given(st.permutations([said("rating", 0.9), said("thumb", 0.0), said("finding"),
                        said("signal", 1.0), said("thumb", 1.0, source="ben")]))  # fmt: skip
def test_value_does_not_depend_on_the_order_of_arrival(feedback: list) -> None:
    straight = sorted(feedback, key=lambda item: item.id)
    assert reward.value(event(1, feedback=tuple(feedback))) == reward.value(
        event(1, feedback=tuple(straight))
    )


@settings(deadline=None)
@given(st.floats(0, 5000))
def test_value_does_not_depend_on_the_clock(age: float) -> None:
    thumb = said("thumb", 1.0, created_at=NOW - timedelta(days=age))
    assert reward.value(event(1, feedback=(thumb,), age_days=age)) == reward.value(
        event(1, feedback=(said("thumb", 1.0),))
    )


def test_a_source_counts_once_with_the_newest_it_said() -> None:
    up = said("thumb", 1.0, id="a", created_at=NOW - timedelta(hours=1))
    down = said("thumb", 0.0, id="b", created_at=NOW)
    changed = reward.value(event(1, feedback=(down, up)))
    assert changed == reward.value(event(1, feedback=(down,)))
    shouted = tuple(said("thumb", 1.0, id=f"x{at}") for at in range(50))
    assert reward.value(event(1, feedback=shouted)) == reward.value(event(1, feedback=(up,)))


def test_people_outweigh_validators_and_validators_outweigh_traces_of_use() -> None:
    values = [
        reward.value(event(1, feedback=(said("rating", 1.0, source_kind=kind),)))
        for kind in ("signal", "validator", "person")
    ]
    assert values == sorted(set(values))
    assert reward.value(corrected(1)) == pytest.approx(0.953, abs=1e-3)


def test_a_perfect_check_alone_does_not_accept_an_output() -> None:
    assert reward.value(event(1, check=FINE)) < 0.5


def test_a_finding_without_a_score_counts_against_the_output() -> None:
    assert reward.value(event(1, feedback=(said("finding", text="x"),))) < reward.value(event(1))


def test_weight_halves_every_half_life_and_is_shared_by_copies() -> None:
    assert reward.weight(0, 180, 0) == 1
    assert reward.weight(180, 180, 0) == pytest.approx(0.5)
    assert reward.weight(360, 180, 3) == pytest.approx(0.25 / 4)
    assert reward.weight(10_000, math.inf, 0) == 1


@settings(deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(0.1, 1e5), st.integers(0, 1000))
def test_weight_is_positive_at_most_one_and_never_grows_with_age(
    age: float, half_life: float, copies: int
) -> None:
    found = reward.weight(age, half_life, copies)
    assert 0 < found <= 1 / (1 + copies)
    assert reward.weight(age + 1, half_life, copies) <= found


def test_a_time_in_the_future_weighs_like_now() -> None:
    assert reward.weight(-400, 180, 0) == reward.weight(0, 180, 0)


# --- the output apart from its correction --------------------------------------------------------


def test_a_small_correction_says_the_output_was_nearly_right_and_the_target_is_as_good() -> None:
    was = "SELECT name FROM users WHERE age > 18 ORDER BY name"
    touched = corrected(1, output=was, correction=was.replace("18", "21"))
    rewritten = corrected(1, output=was, correction="MATCH (u:User) RETURN u")
    fine = reward.output_value(event(1, output=was))
    assert reward.output_value(rewritten) < 0.1 < reward.output_value(touched) < fine
    assert reward.value(touched) == reward.value(rewritten) == pytest.approx(0.953, abs=1e-3)


@settings(deadline=None, max_examples=40)
@given(st.text("abc", min_size=1, max_size=60), st.data())
def test_the_more_of_an_output_is_replaced_the_less_it_is_worth(
    was: str, data: st.DataObject
) -> None:
    edits = data.draw(st.lists(st.integers(0, len(was) - 1), min_size=1, unique=True))
    values = []
    fixed = list(was)
    for at in edits:
        fixed[at] = "#"
        values.append(reward.output_value(corrected(1, output=was, correction="".join(fixed))))
    assert values == sorted(values, reverse=True)
    assert max(values) < 0.5  # never an acceptance


def test_long_outputs_are_compared_by_words() -> None:
    was = " ".join(f"word{at}" for at in range(20_000))
    touched = corrected(1, output=was, correction=was.replace("word7 ", "other "))
    assert reward.output_value(touched) == pytest.approx(
        reward.output_value(corrected(1, output="a" * 9999, correction="a" * 9998 + "b")), abs=1e-3
    )


@pytest.mark.parametrize(("trace", "reading"), [("copy", 1.0), ("edit", 0.3), ("retry", 0.0)])
def test_traces_of_use_speak_softly_for_or_against_the_output(trace: str, reading: float) -> None:
    used = event(1, feedback=(said("signal", reading, text=trace, source_kind="signal"),))
    moved = reward.value(used) - reward.value(event(1))
    assert (moved > 0) == (trace == "copy")
    assert (
        0.05 < abs(moved) < abs(reward.value(event(1, feedback=(said("thumb", reading),))) - 0.47)
    )


def test_a_preferred_output_is_likelier_to_be_accepted_than_one_of_which_nobody_spoke() -> None:
    best = event(1, feedback=(said("preferred", text="evt_00002"),))
    assert reward.target(best) == ("output", "output 1")
    assert reward.value(event(1)) < reward.value(best) < reward.value(accepted(1))


def test_an_empty_correction_says_nothing() -> None:
    assert reward.target(corrected(1, correction=" \n")) is None
