from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gate_numbers import guard, numbers
from honewheel.errors import ConfigError
from honewheel.evaluate.measure import Sides, measure
from honewheel.gate import Evidence, Policy, decide, needed
from honewheel.records import Decision, EvalRow

PLAIN = Policy()


def judged(evidence: Evidence, policy: Policy = PLAIN) -> Decision:
    return decide(evidence, policy, challenger="m@2", champion="m@1")


def strong(**more: object) -> Evidence:
    """A clear gain with one harmless guard and unchanged validity."""
    valid = guard("erd/valid", 0.0, 0.0, metric="valid", champion=0.96)
    fields: dict[str, object] = {
        "primary": numbers(),
        "trained": (numbers(),),
        "guards": (guard(),),
        "validity": (valid,),
        **more,
    }
    return Evidence(**fields)  # type: ignore[arg-type]


def rows(
    version: str, scores: list[float], valid: list[float] | None = None, task: str = "erd"
) -> list[EvalRow]:
    return [
        EvalRow(
            version=version,
            suite="panel",
            task=task,
            item=f"{task}{at}",
            group=f"{task}{at}",
            metrics={"score": score, "valid": 1.0 if valid is None else valid[at], "exact": 0.0},
        )
        for at, score in enumerate(scores)
    ]


def gated(
    new: list[float],
    old: list[float],
    *,
    valid: tuple[list[float], list[float]] | None = None,
    other: tuple[list[float], list[float]] | None = None,
    seed: int = 0,
    resamples: int = 300,
    policy: Policy = PLAIN,
) -> Decision:
    """The whole way from rows to the verdict; `other` is a task that was not trained on."""
    ours, theirs = valid or (None, None)
    panels = {"erd": Sides(challenger=rows("m@2", new, ours), champion=rows("m@1", old, theirs))}
    if other is not None:
        panels["ddl"] = Sides(
            challenger=rows("m@2", other[0], task="ddl"), champion=rows("m@1", other[1], task="ddl")
        )
    found = measure(panels, {}, trained=["erd"], policy=policy, seed=seed, resamples=resamples)
    return judged(found, policy)


# --- the verdict ---------------------------------------------------------------------------------


def test_a_clear_gain_with_harmless_guards_is_promoted_with_the_numbers() -> None:
    found = judged(strong())
    assert found.verdict == "promote"
    assert found.reasons[0].startswith("erd 50.0 -> 60.0, +10.0 [+8.0, +12.0] points, 150 prompts")
    assert found.gain == pytest.approx(10)
    assert found.interval == pytest.approx((8, 12))
    assert [one.state for one in found.guards] == ["not worse", "not worse"]
    assert found.next_steps == ()


def test_a_gain_not_told_from_none_is_undecided_and_says_how_many_prompts_would_tell() -> None:
    found = judged(strong(primary=numbers(difference=0.006, half=0.015)))
    assert found.verdict == "undecided"
    enough = needed(0.015 / 1.96 * 150**0.5, 0.01, 0.8)
    assert f"a gain of 1.0 point shows on about {enough} test prompts" in found.reasons[0]
    assert f"about {enough - 150} more prompts for erd" in found.next_steps[0]
    assert any("suite import" in step for step in found.next_steps)
    assert any("min_gain" in step for step in found.next_steps)


def test_a_sure_gain_too_small_to_be_worth_having_is_undecided_until_it_is_excluded() -> None:
    sure = judged(strong(primary=numbers(difference=0.006, half=0.005)))
    assert sure.verdict == "undecided"
    assert "below the 1.0 point worth having" in sure.reasons[0]
    excluded = judged(strong(primary=numbers(difference=0.006, half=0.003)))
    assert excluded.verdict == "reject"
    assert "at best +0.9" in excluded.reasons[0]
    assert judged(strong(primary=numbers(difference=0.006, half=0.005)),
                  Policy(min_gain=0.005)).verdict == "promote"  # fmt: skip


def test_what_is_worse_is_rejected() -> None:
    found = judged(strong(primary=numbers(difference=-0.1)))
    assert found.verdict == "reject"
    assert "worse" in found.reasons[0]


def test_a_stricter_benefit_level_asks_for_more_prompts() -> None:
    assert needed(0.3, 0.05, 0.95) == math.ceil((1.6449 + 0.8416) ** 2 * 0.09 / 0.0025)
    assert needed(0.648, 0.05, 0.95) == pytest.approx(1037, abs=5)  # var .42, see the textbook n
    assert needed(0.648, 0.05, 0.80) == pytest.approx(474, abs=5)


# --- guards --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("difference", "half", "state", "verdict"), [
    (-0.17, 0.06, "worse", "reject"),
    (-0.05, 0.02, "worse", "reject"),
    (-0.05, 0.08, "unclear", "undecided"),
    (0.0, 0.05, "unclear", "undecided"),
    (-0.01, 0.02, "not worse", "promote"),
    (0.05, 0.03, "better", "promote"),
])  # fmt: skip
def test_a_guard_decides_by_its_margin(
    difference: float, half: float, state: str, verdict: str
) -> None:
    found = judged(strong(guards=(guard(difference=difference, half=half),)))
    assert (found.guards[0].state, found.verdict) == (state, verdict)


def test_a_wider_margin_lets_the_same_loss_pass() -> None:
    evidence = strong(guards=(guard(difference=-0.05, half=0.02),))
    assert judged(evidence, Policy(margin=0.08)).verdict == "promote"


def test_one_bad_guard_among_many_is_enough() -> None:
    good = tuple(guard(f"g{at}", 0.05) for at in range(9))
    found = judged(strong(guards=(*good, guard("bad", -0.2))))
    assert found.verdict == "reject"
    assert found.reasons[0].startswith("bad ")
    assert any("replay" in step for step in found.next_steps)


def test_a_worse_guard_rejects_even_where_the_gain_is_open() -> None:
    found = judged(strong(primary=numbers(difference=0.006), guards=(guard("bad", -0.2),)))
    assert found.verdict == "reject"


def test_an_unclear_guard_says_how_many_prompts_would_settle_it() -> None:
    found = judged(strong(guards=(guard("ddl", 0.0, 0.05),)))
    enough = needed(0.05 / 1.96 * 150**0.5, 0.03, 0.95)
    assert f"about {enough} prompts would settle it, there are 150" in found.reasons[0]
    assert f"{enough - 150} more prompts for ddl" in found.next_steps[0]


def test_a_guard_with_too_few_prompts_is_unclear_however_good() -> None:
    found = judged(strong(guards=(guard("ddl", 0.3, groups=12, items=12),)))
    assert (found.guards[0].state, found.verdict) == ("unclear", "undecided")


# --- validity ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lost", "verdict"), [
    (0, "promote"), (1, "promote"), (2, "promote"), (3, "undecided"), (4, "reject"), (9, "reject"),
])  # fmt: skip
def test_validity_of_150_items_forgives_two_and_refuses_four(lost: int, verdict: str) -> None:
    old = [0.5 + 0.001 * (at % 7) for at in range(150)]
    new = [score + 0.3 for score in old]
    valid = [0.0] * lost + [1.0] * (150 - lost)
    found = gated(new, old, valid=(valid, [1.0] * 150), resamples=2000)
    assert found.verdict == verdict
    assert found.primary is not None
    assert found.primary.difference == pytest.approx(0.3)


def test_validity_gained_and_lost_in_equal_numbers_passes_when_rare() -> None:
    old = [0.5] * 150
    ours = [0.0] + [1.0] * 149
    theirs = [1.0] * 149 + [0.0]
    assert gated([0.8] * 150, old, valid=(ours, theirs)).verdict == "promote"


def test_validity_lost_for_sure_is_refused_on_a_large_panel_too() -> None:
    lost = guard("erd/valid", -0.025, 0.005, metric="valid", groups=2000, items=2000)
    found = judged(strong(validity=(lost,)))
    assert (found.guards[-1].state, found.verdict) == ("worse", "reject")


def test_the_validity_margin_is_an_option() -> None:
    ours = [0.0] * 9 + [1.0] * 141
    lenient = Policy(validity_margin=0.08)
    found = gated([0.8] * 150, [0.5] * 150, valid=(ours, [1.0] * 150), policy=lenient)
    assert found.verdict == "promote"


# --- never promote -------------------------------------------------------------------------------


def test_equal_scores_are_never_promoted() -> None:
    scores = np.random.default_rng(0).random(200).tolist()
    found = gated(scores, scores)
    assert found.verdict == "reject"
    assert "equal scores on all 200" in found.reasons[0]


def test_a_missing_baseline_is_never_promoted() -> None:
    panels = {"erd": Sides(challenger=rows("m@2", [0.9] * 50), champion=[])}
    found = judged(measure(panels, {}, trained=["erd"], policy=PLAIN))
    assert found.verdict == "undecided"
    assert found.next_steps
    assert judged(strong(primary=None)).verdict == "undecided"
    assert judged(Evidence(primary=None)).verdict == "undecided"


def test_an_empty_guard_suite_is_never_waved_through() -> None:
    good = Sides(challenger=rows("m@2", [0.9] * 50), champion=rows("m@1", [0.5] * 50))
    empty = Sides(challenger=[], champion=[])
    found = judged(measure({"erd": good}, {"legacy": empty}, trained=["erd"], policy=PLAIN))
    assert found.verdict == "undecided"
    assert "suite:legacy has no items" in found.reasons[0]


def test_a_saturated_panel_is_named_and_never_promotes() -> None:
    found = judged(strong(primary=numbers(difference=0.004, half=0.001, champion=0.995)))
    assert found.verdict == "undecided"
    assert "saturated" in found.reasons[0]
    assert "harder" in found.next_steps[0]


def test_too_few_prompts_never_promote_and_copies_do_not_count() -> None:
    assert gated([0.9] * 29, [0.1] * 29).verdict == "undecided"
    assert gated([0.9 - 0.001 * at for at in range(30)], [0.1] * 30).verdict == "promote"
    few = numbers(groups=12, items=400)
    found = judged(strong(primary=few, trained=(few,)))
    assert found.verdict == "undecided"
    assert "12 independent test prompts; the gate needs 30" in found.reasons[0]


@pytest.mark.parametrize("place", ["challenger", "difference", "low", "high", "bound", "spread"])
@pytest.mark.parametrize("where", ["primary", "trained", "guards", "validity"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_number_that_is_none_is_never_promoted(place: str, where: str, bad: float) -> None:
    evidence = strong()
    if where == "primary":
        broken = replace(evidence, primary=replace(evidence.primary, **{place: bad}))
    else:
        (one,) = getattr(evidence, where)
        broken = replace(evidence, **{where: (replace(one, **{place: bad}),)})
    assert judged(broken).verdict != "promote"


def test_a_problem_in_measuring_is_never_promoted() -> None:
    found = judged(strong(problems=("suite:x could not be read.",)))
    assert found.verdict == "undecided"
    assert found.reasons == ("suite:x could not be read.",)


def test_a_floor_rejects_below_it_and_doubts_what_was_not_measured() -> None:
    assert judged(strong(), Policy(floors={"erd": 0.59})).verdict == "promote"
    below = judged(strong(), Policy(floors={"erd": 0.61, "erd/valid": 0.9}))
    assert below.verdict == "reject"
    assert "60.0 is below its floor of 61.0" in below.reasons[0]
    unknown = judged(strong(), Policy(floors={"suite:gone": 0.1}))
    assert unknown.verdict == "undecided"
    assert "suite:gone" in unknown.reasons[0]


@pytest.mark.parametrize("wrong", [
    {"benefit_level": 0.5}, {"guard_level": 1.0}, {"min_gain": 0.0}, {"margin": -0.1},
    {"validity_margin": 1.0}, {"floors": {"erd": 60}}, {"min_items": 1},
])  # fmt: skip
def test_a_policy_outside_its_range_is_refused_by_name(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=f"gate.{next(iter(wrong))}"):
        Policy(**wrong)


# --- laws ----------------------------------------------------------------------------------------


@given(st.floats(-0.3, 0.3), st.floats(0.001, 0.2), st.floats(-0.3, 0.3), st.floats(0.001, 0.2))
def test_a_promotion_always_meets_every_condition(
    gain: float, half: float, loss: float, other: float
) -> None:
    found = judged(strong(primary=numbers(difference=gain, half=half),
                          guards=(guard(difference=loss, half=other),)))  # fmt: skip
    held = gain >= 0.01 and gain - 0.43 * half > 0 and loss - 0.84 * other > -0.03
    assert (found.verdict == "promote") == held
    assert found.reasons
    assert found.verdict == "promote" or found.next_steps


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1000))
def test_swapping_the_models_flips_the_sign_and_never_promotes_both(seed: int) -> None:
    rng = np.random.default_rng(seed)
    old = rng.random(60)
    new = np.clip(old + rng.normal(0.03, 0.1, 60), 0, 1)
    there = gated(new.tolist(), old.tolist())
    back = gated(old.tolist(), new.tolist())
    assert there.gain is not None
    assert back.gain == pytest.approx(-there.gain, abs=1e-9)
    assert {there.verdict, back.verdict} != {"promote"}
    if there.verdict == "promote":
        assert back.verdict in ("reject", "undecided")


def test_equal_models_are_promoted_no_more_often_than_the_level_says() -> None:
    """A/A: both sides draw from one distribution; 1,200 gates over three kinds of score."""
    rng = np.random.default_rng(1)
    gates = 400

    def noisy(count: int) -> list[float]:
        return np.clip(rng.normal(0.6, 0.25, count), 0, 1).tolist()

    def passed(count: int) -> list[float]:
        return (rng.random(count) < 0.7).astype(float).tolist()

    def rarely(count: int) -> list[float]:
        return np.where(rng.random(count) < 0.98, 0.8, rng.random(count)).tolist()

    shares = {
        draw.__name__: np.mean(
            [
                gated(draw(60), draw(60), seed=at, resamples=200).verdict == "promote"
                for at in range(gates)
            ]
        )
        for draw in (noisy, passed, rarely)
    }
    error = 3 * math.sqrt(0.2 * 0.8 / gates)
    assert max(shares.values()) <= 0.2 + error, shares
    assert np.mean(list(shares.values())) <= 0.2 + error / math.sqrt(3), shares


def test_equal_models_with_a_guard_stay_below_the_level() -> None:
    rng = np.random.default_rng(2)
    promoted = 0
    for at in range(300):
        draws = [np.clip(rng.normal(0.6, 0.25, 60), 0, 1).tolist() for _ in range(2)]
        kept = rng.random(60).tolist()
        other = np.clip(np.array(kept) + rng.normal(0, 0.1, 60), 0, 1).tolist()
        promoted += gated(draws[0], draws[1], other=(other, kept), seed=at).verdict == "promote"
    assert promoted / 300 <= 0.2


def test_a_real_gain_is_seen_with_the_power_that_needed_promises() -> None:
    rng = np.random.default_rng(3)
    spread, gain = 0.2, 0.05
    count = needed(spread, gain, 0.8)
    promoted = 0
    for at in range(300):
        new = (0.5 + rng.normal(gain, spread, count)).tolist()
        promoted += gated(new, [0.5] * count, seed=at).verdict == "promote"
    assert promoted / 300 == pytest.approx(0.8, abs=0.08)
