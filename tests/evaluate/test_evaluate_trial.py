from __future__ import annotations

import json
import math
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.evaluate import trial
from honewheel.evaluate.betting import FRESH, SHARES, Capital, average
from honewheel.evaluate.trial import Record

ALPHA = 0.01
UNIT = st.floats(0, 1)
ARMS = st.lists(st.tuples(st.sampled_from(["champion", "trial"]), UNIT), max_size=60)


def run(seed: int, old: float, new: float, share: float, limit: int) -> tuple[str, int]:
    """(verdict, outcomes until it) of one simulated canary with right-or-wrong outcomes."""
    rng = random.Random(seed)
    found = trial.two_arms(share, 0.1)
    for step in range(1, limit + 1):
        on_trial = rng.random() < share
        value = float(rng.random() < (new if on_trial else old))
        found = found.add("trial" if on_trial else "champion", value)
        word = trial.verdict(found, alpha=ALPHA, least=50)
        if word != "unclear":
            return word, step
    return "unclear", limit


def test_capital_is_the_mean_of_what_each_bettor_has() -> None:
    found = Capital().add(0.5).add(-1.0)
    exact = [(1 + Fraction(share) / 2) * (1 - Fraction(share)) for share in SHARES]
    assert math.exp(found.logs[3]) == pytest.approx(float(exact[3]))
    halves = [sum(1 + share / 2 for share in one) / len(one) for one in (SHARES, FRESH)]
    assert found.e_value == pytest.approx(sum(halves) / 2)  # the peak, before the loss


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([-1.0, 1.0]), max_size=6))
def test_a_fair_coin_leaves_the_average_capital_where_it_was(past: list[float]) -> None:
    """The property that the level rests on: whatever was, the next fair bet gains nothing."""
    found = Capital()
    for gain in past:
        found = found.add(gain)
    after = [money(found.add(gain)) for gain in (-1.0, 1.0)]
    assert sum(after) / 2 == pytest.approx(money(found))


def money(found: Capital) -> float:
    return math.exp(average((average(found.logs), average(found.fresh))))


def test_a_good_start_does_not_hide_what_turns_bad_later() -> None:
    rng = random.Random(5)
    found = trial.two_arms(0.5, 0.1)
    for step in range(1, 1500):
        new = 0.9 if step <= 300 else 0.4
        found = found.add("champion", float(rng.random() < 0.8))
        found = found.add("trial", float(rng.random() < new))
        if found.worse.refutes(ALPHA):
            break
    assert 300 < step < 400


def test_a_loss_larger_than_promised_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gain of -0.9 is below -0.5"):
        Capital(worst=0.5).add(-0.9)
    with pytest.raises(ValueError, match=r"outside 0 \.\. 1"):
        trial.two_arms(0.5, 0.1).add("trial", 1.5)
    with pytest.raises(ValueError, match=r"outside 0 \.\. 1"):
        trial.two_arms(0.5, 0.1).add("trial", math.nan)


@settings(max_examples=60, deadline=None)
@given(ARMS, st.floats(0.05, 0.95), st.floats(0.01, 0.5))
def test_a_trial_survives_being_kept_as_json(
    outcomes: list[tuple[trial.Arm, float]], share: float, margin: float
) -> None:
    half = len(outcomes) // 2
    straight = kept = trial.two_arms(share, margin)
    for arm, value in outcomes:
        straight = straight.add(arm, value)
    for arm, value in outcomes[:half]:
        kept = kept.add(arm, value)
    kept = trial.load(json.loads(json.dumps(trial.dump(kept))))
    for arm, value in outcomes[half:]:
        kept = kept.add(arm, value)
    assert kept == straight
    assert kept.trial.record.count + kept.champion.record.count == len(outcomes)
    assert len(kept.trial.waiting) <= trial.LONGEST_QUEUE


def test_equal_versions_are_almost_never_called_worse() -> None:
    """Looked at after every outcome; benchmarks/watch.py does this 1,000 times over."""
    words = [run(seed, 0.8, 0.8, share=0.3, limit=1500)[0] for seed in range(50)]
    assert words.count("worse") <= 2
    assert words.count("not worse") >= 38


def test_ten_points_worse_is_caught_and_nearly_never_passes() -> None:
    found = [run(seed, 0.8, 0.7, share=0.5, limit=4000) for seed in range(30)]
    assert sum(word == "worse" for word, _ in found) >= 28
    assert sorted(step for _, step in found)[15] < 1500


def test_not_worse_needs_the_asked_number_of_outcomes() -> None:
    found = trial.two_arms(0.5, 0.2)
    for _ in range(40):
        found = found.add("champion", 0.5).add("trial", 1.0)
    assert trial.verdict(found, alpha=ALPHA, least=40) == "not worse"
    assert trial.verdict(found, alpha=ALPHA, least=41) == "unclear"


def test_without_outcomes_of_the_version_nothing_is_decided() -> None:
    found = trial.two_arms(0.1, 0.1)
    for _ in range(500):
        found = found.add("champion", 0.0)
    assert trial.verdict(found, alpha=ALPHA, least=1) == "unclear"


def test_a_version_is_judged_against_the_lower_bound_of_the_record() -> None:
    record = Record(800, 640.0)
    bar = record.floor(ALPHA / 2)
    assert bar == pytest.approx(0.8 - math.sqrt(math.log(200) / 1600))
    rng = random.Random(3)
    same = worse = trial.against(record, ALPHA, 0.1)
    for _ in range(600):
        same = same.add("trial", float(rng.random() < 0.8))
        worse = worse.add("trial", float(rng.random() < 0.5))
    assert trial.verdict(same, alpha=ALPHA, least=1) != "worse"
    assert trial.verdict(worse, alpha=ALPHA, least=1) == "worse"
    assert Record().floor(ALPHA) == 0.0
    assert Record().mean is None


def test_pairs_on_the_same_request_need_fewer_outcomes() -> None:
    found = trial.two_arms(0.5, 0.1)
    for step in range(1, 400):
        found = found.pair(champion=1.0, trial=0.0 if step % 10 == 0 else 1.0)
        if trial.verdict(found, alpha=ALPHA, least=50) == "worse":
            break
    assert step < 300
