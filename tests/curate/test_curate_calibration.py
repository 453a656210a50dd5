from __future__ import annotations

import random
from functools import cache

import pytest
from curate_builders import BROKEN, FINE, NOW, corrected, event, said
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate import calibration, raters, reward
from honewheel.curate.calibration import Calibration
from honewheel.records import Event

UNIT = st.floats(0, 1)


def judged(count: int, seed: int, *, kind: str = "person") -> list[Event]:
    """Outputs of known quality, judged by two people who err in 1 of 10 and by a coin flipper.

    Checks and traces of use tell less, and the outputs are better, than the priors take for
    granted.
    """
    rng = random.Random(seed)

    def heard(good: bool, error: float) -> float:
        return float(good != (rng.random() < error))

    found = []
    for number in range(count):
        good = rng.random() < 0.7
        feedback = [
            said("thumb", heard(good, error), source=who, source_kind=kind)
            for who, error in (("ana", 0.1), ("ben", 0.1), ("coin", 0.5))
            if rng.random() < 0.6
        ]
        if rng.random() < 0.5:
            copied = heard(good, 0.35)
            trace = ("signal", copied)
            text = "copy" if copied else "retry"
            feedback.append(said(*trace, text=text, source="app", source_kind="signal"))
        check = FINE if rng.random() < (0.97 if good else 0.6) else BROKEN
        found.append(event(seed * 100_000 + number, check=check, feedback=tuple(feedback)))
    return found


@cache
def fitted() -> Calibration:
    found = calibration.fit(judged(1500, 1))
    assert found is not None
    return found


def held_out(given: Calibration | None) -> float:
    """ECE on events that were not fitted, of what ana says, foretold without her."""
    predicted, accepted = [], []
    for one in judged(2000, 2):
        hers = [item for item in one.feedback if item.source == "ana"]
        if hers:
            rest = tuple(item for item in one.feedback if item.source != "ana")
            without = event(
                one.seq, feedback=rest, check=one.placement.check if one.placement else FINE
            )
            predicted.append(reward.output_value(without, given))
            accepted.append(hers[0].value or 0.0)
    return calibration.ece(predicted, accepted)


def test_a_refitted_value_is_calibrated_on_events_it_has_not_seen() -> None:
    assert held_out(fitted()) <= 0.05
    assert held_out(None) > 0.1  # the priors do not fit this team


def test_the_error_it_reports_is_that_on_folds_it_has_not_seen_beside_the_priors() -> None:
    assert fitted().ece <= 0.05
    assert fitted().prior_ece > 2 * fitted().ece


def test_a_curve_straightens_what_a_line_cannot_and_is_otherwise_left_out() -> None:
    # Only copied outputs that pass the check are mostly right; the three other cases are equally
    # poor, which no sum of the two columns expresses.
    rng = random.Random(3)
    found = []
    for number in range(1600):
        copied, fine = rng.random() < 0.5, rng.random() < 0.5
        good = rng.random() < (0.9 if copied and fine else 0.3)
        trace = said("signal", float(copied), text="copy" if copied else "retry", source="app")
        thumb = said("thumb", float(good))
        check = FINE if fine else BROKEN
        found.append(event(number, check=check, feedback=(thumb, trace)))
    curved = calibration.fit(found)
    assert curved is not None
    assert curved.knots
    assert [after for _, after in curved.knots] == sorted(after for _, after in curved.knots)
    assert curved.ece <= 0.05


def test_below_200_judged_events_the_hand_set_coefficients_stay() -> None:
    silent = [event(number) for number in range(500)]
    people = [event(number, feedback=(said("thumb", 1.0),)) for number in range(500, 700)]
    assert calibration.fit([*silent, *people[1:]]) is None
    enough = calibration.fit([*silent, *people])
    assert enough is not None
    assert enough.labelled == 200


def test_simulated_people_and_validators_are_no_labels() -> None:
    assert calibration.fit(judged(400, 4, kind="simulated")) is None
    assert calibration.fit(judged(400, 4, kind="validator")) is None


def test_a_fit_does_not_depend_on_the_order_of_the_events() -> None:
    events = judged(300, 5)
    mixed = random.Random(0).sample(events, len(events))
    assert calibration.fit(events) == calibration.fit(mixed)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["rating", "thumb", "finding", "signal"]),
    st.sampled_from(["person", "validator", "signal"]),
    UNIT,
    UNIT,
    st.lists(st.tuples(st.sampled_from(["rating", "thumb", "signal"]), UNIT), max_size=3),
)
def test_a_refitted_value_grows_with_every_signal(
    kind: str, speaker: str, one: float, other: float, rest: list[tuple[str, float]]
) -> None:
    around = tuple(said(k, v, source=f"s{at}") for at, (k, v) in enumerate(rest))
    low, high = (
        reward.value(
            event(1, feedback=(*around, said(kind, reading, source_kind=speaker))), fitted()
        )
        for reading in sorted((one, other))
    )
    assert 0 <= low <= high <= 1


def test_no_coefficient_turns_round_when_a_signal_misleads() -> None:
    rng = random.Random(6)
    found = []
    for number in range(400):
        good = rng.random() < 0.5
        trace = said("signal", float(not good), text=None, source="app", source_kind="signal")
        found.append(event(number, feedback=(said("thumb", float(good)), trace)))
    misled = calibration.fit(found)
    assert misled is not None
    assert min(misled.coefficients.values()) == misled.coefficients["signal/signal"] == 0


def test_a_column_that_never_occurs_keeps_its_prior() -> None:
    assert fitted().coefficients["rating/person"] == 4.0
    assert fitted().coefficients["thumb/person"] != 2.5


def test_where_each_output_has_one_judge_a_thumb_up_is_still_an_acceptance() -> None:
    # Nineteen in twenty are corrections: the team accepts little, but what it accepts it accepts.
    log = [corrected(number) for number in range(380)]
    log += [event(number, feedback=(said("thumb", 1.0),)) for number in range(380, 400)]
    found = calibration.fit(log)
    assert found is not None
    assert reward.value(event(1), found) < 0.15
    assert reward.value(event(1, feedback=(said("thumb", 1.0),)), found) > 0.6


def test_a_flat_curve_does_not_swallow_what_a_person_said() -> None:
    # The few that fail the check are liked as often as the others: a curve over all is flat.
    log = [
        event(
            number,
            feedback=(said("thumb", float(number % 3 > 0)),),
            check=BROKEN if number < 9 else FINE,
        )
        for number in range(300)
    ]
    found = calibration.fit(log)
    assert found is not None
    assert found.knots
    disliked, liked = (
        reward.output_value(event(1, feedback=(said("thumb", thumb),)), found) for thumb in (0, 1)
    )
    assert disliked < 0.2
    assert liked > 0.8


def test_ece_is_the_mean_gap_of_the_bins() -> None:
    assert calibration.ece([0.95] * 10, [1] * 9 + [0]) == pytest.approx(0.05)
    assert calibration.ece([0.2, 0.9], [1, 1]) == pytest.approx(0.45)
    assert calibration.ece([0.2, 0.9], [1, 1], [0, 1]) == pytest.approx(0.1)


# --- raters --------------------------------------------------------------------------------------


def test_who_contradicts_the_others_gets_less_say_and_a_newcomer_a_full_one() -> None:
    newcomer = event(1, feedback=(said("thumb", 1.0, source="new"), said("thumb", 0.0)))
    says = raters.say([*judged(1500, 1), newcomer])
    assert says["coin"] < 0.2
    assert says.get("new", 1.0) > 0.7  # one contradiction
    assert says.get("ana", 1.0) > 0.9
    assert says.get("ben", 1.0) > 0.9


def test_where_nobody_agrees_with_anybody_everyone_keeps_the_full_say() -> None:
    """The limit of the rule below: no majority tells who is right, so nobody is silenced."""
    quarrel = [
        event(number, feedback=(said("thumb", 0.0, source="eve"), said("thumb", 1.0)))
        for number in range(9)
    ]
    assert raters.say(quarrel) == {}
    assert raters.say([*judged(300, 7), *quarrel])["eve"] < 1


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 40), st.integers(0, 400))
def test_say_falls_with_every_contradiction(agreed: int, against: int) -> None:
    def say(against: int) -> float:
        log = judged(300, 7)
        for number in range(agreed + against):
            thumb = float(number < agreed)
            both = (said("thumb", thumb, source="eve"), said("thumb", 1.0))
            log.append(event(number, feedback=both))
        return raters.say(log).get("eve", 1.0)

    assert 0 <= say(against + 5) <= say(against) <= 1


def test_a_flood_of_contradictions_silences_its_source_and_nobody_else() -> None:
    flood = [
        event(number, feedback=(said("thumb", 0.0, source="eve"), said("thumb", 1.0)))
        for number in range(5000)
    ]
    before, after = raters.say(judged(300, 7)), raters.say([*judged(300, 7), *flood])
    assert after["eve"] == 0
    assert after.get("ana", 1.0) > 0.9  # whom it contradicts
    assert after["coin"] == pytest.approx(before["coin"], abs=0.01)  # nor does it shield anybody


def test_accepting_what_does_not_parse_is_a_contradiction_and_rejecting_what_does_is_none() -> None:
    peace = judged(300, 8)
    lax = [event(n, check=BROKEN, feedback=(said("thumb", 1.0, source="lax"),)) for n in range(30)]
    strict = [
        event(n, check=FINE, feedback=(said("thumb", 0.0, source="strict"),)) for n in range(30, 60)
    ]
    says = raters.say([*peace, *lax, *strict])
    assert says["lax"] < 0.3
    assert "strict" not in says


def test_when_nobody_agrees_with_anybody_everyone_keeps_a_full_say() -> None:
    log = [
        event(n, feedback=(said("thumb", 1.0, source="a"), said("thumb", 0.0, source="b")))
        for n in range(50)
    ]
    assert raters.say(log) == {}


def test_the_word_of_a_coin_flipper_moves_a_value_little_and_his_correction_is_worth_less() -> None:
    found = fitted()
    nothing = reward.value(event(1, feedback=(said("comment", text="hm"),)), found)
    ana = reward.value(event(1, feedback=(said("thumb", 1.0),)), found)
    coin = reward.value(event(1, feedback=(said("thumb", 1.0, source="coin"),)), found)
    assert abs(coin - nothing) < 0.1 < ana - nothing
    assert reward.value(corrected(1), found) == pytest.approx(0.953, abs=1e-3)
    assert reward.value(corrected(1, source="coin"), found) < 0.5


def test_trust_of_nothing_silences_a_source() -> None:
    thumb = event(1, feedback=(said("thumb", 1.0, source="eve", created_at=NOW),))
    assert reward.value(thumb, trust={"eve": 0.0}) == reward.value(event(1))
    assert reward.value(thumb, fitted(), {"eve": 0.0}) == reward.value(event(1), fitted())
    half = reward.value(thumb, trust={"eve": 0.5})
    assert reward.value(event(1)) < half < reward.value(thumb)
    assert reward.value(corrected(1, source="eve"), trust={"eve": 0.0}) < 0.5
