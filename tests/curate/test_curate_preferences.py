"""Pairs and rated rows: from what was said and nothing else, and fair in length and label."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from curate_builders import BROKEN, NOW, check_target, event, item, said
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate import balance, contamination, preferences, rated, reward
from honewheel.curate.preferences import Preferred
from honewheel.errors import Leak
from honewheel.records import Event, Feedback, Pair, Rated

PROMPT = "draw the diagram of a library with books and readers"


def asked(number: int, output: str, **more: Any) -> Event:
    """One output for the one prompt of these tests (or another, when told), in its group."""
    return event(number, **{"prompt": PROMPT, "output": output, "group": "g"} | more)


def over(winner: int, loser: int, source: str = "ana", days: float = 0.0) -> Feedback:
    """Said of event `winner`: it is better than event `loser`."""
    return said(
        "preferred",
        text=f"evt_{loser:05d}",
        source=source,
        created_at=NOW + timedelta(days=days),
        id=f"fb_{winner}_{loser}_{source}_{days}",
    )


def found(events: list[Event], **more: Any) -> Preferred:
    return preferences.pairs(events, **{"checks": check_target, "as_of": NOW} | more)


def only(events: list[Event], **more: Any) -> Pair:
    (pair,) = found(events, **more).pairs
    return pair


# --- sources -----------------------------------------------------------------------------------


def test_a_correction_is_chosen_over_the_output_it_changed() -> None:
    pair = only([asked(1, "bad", correction="good", split="val", context={"b": "1", "a": "2"})])
    assert (pair.chosen, pair.rejected, pair.origin) == ("good", "bad", "correction")
    assert (pair.prompt, pair.group, pair.split, pair.task) == (PROMPT, "g", "val", "erd")
    assert (list(pair.context), pair.events) == (["a", "b"], ("evt_00001",))


def test_a_correction_that_changes_only_layout_gives_no_pair() -> None:
    assert found([asked(1, "same  \nas", correction="\nsame\nas\n")]).pairs == ()


def test_what_a_person_preferred_is_chosen() -> None:
    events = [asked(1, "a", feedback=(over(1, 2),)), asked(2, "b")]
    pair = only(events)
    assert (pair.chosen, pair.rejected, pair.origin) == ("a", "b", "comparison")
    assert pair.events == ("evt_00001", "evt_00002")
    mirrored = only([asked(1, "a"), asked(2, "b", feedback=(over(2, 1),))])
    assert (mirrored.chosen, mirrored.rejected) == (pair.rejected, pair.chosen)


def test_ranked_outputs_need_a_margin() -> None:
    events = [asked(1, "fine"), asked(2, "BROKEN", check=BROKEN)]
    pair = only(events)
    assert (pair.chosen, pair.rejected, pair.origin) == ("fine", "BROKEN", "sampled")
    assert found(events, margin=0.5).pairs == ()
    assert found(events, judge_error=0.3).pairs == ()
    assert found([asked(1, "fine"), asked(2, "also fine")]).pairs == ()


def test_ties_single_outputs_and_copies_of_one_output_give_none() -> None:
    assert found([asked(1, "fine", feedback=(said("thumb", 1.0),))]).pairs == ()
    same = [asked(1, "x", feedback=(said("thumb", 1.0),)), asked(2, "x \n")]
    assert found(same).pairs == ()
    assert found([asked(1, "BROKEN a", check=BROKEN), asked(2, "BROKEN b", check=BROKEN)]) == (
        (),
        (),
    )


def test_thumbs_of_different_prompts_or_contexts_are_never_a_pair() -> None:
    up, down = (said("thumb", 1.0),), (said("thumb", 0.0),)
    liked = asked(1, "liked", feedback=up)
    for other in ({"prompt": "something else"}, {"context": {"schema": "t(a)"}}, {"task": "sql"}):
        assert found([liked, asked(2, "disliked", feedback=down, **other)]).pairs == ()
    assert only([liked, asked(2, "disliked", feedback=down)]).rejected == "disliked"


def test_a_prompt_gives_one_pair_of_its_strongest_source() -> None:
    events = [
        asked(1, "a", feedback=(over(1, 2),)),
        asked(2, "b", correction="c"),
        asked(3, "BROKEN", check=BROKEN),
    ]
    assert only(events).origin == "correction"
    assert only([events[0], asked(2, "b"), events[2]]).origin == "comparison"


def test_the_newest_of_several_corrections_wins() -> None:
    events = [
        asked(1, "a", correction="old", age_days=9),
        asked(2, "b", correction="new", age_days=1),
    ]
    assert only(events).chosen == "new"


def scale(*values: float) -> tuple[list[Event], Any]:
    """One output a value, and the quality that says so."""
    events = [asked(number, f"output {number}") for number in range(len(values))]
    known = {one.id: value for one, value in zip(events, values, strict=True)}
    return events, lambda one: known[one.id]


def test_of_many_outputs_the_one_near_two_deviations_below_the_mean_is_rejected() -> None:
    events, quality = scale(0.9, *[0.6] * 20, 0.45, 0.05)
    pair = only(events, quality=quality)
    assert (pair.chosen, pair.rejected) == ("output 0", "output 21")  # 0.45; 0.05 is the worst


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 50).map(lambda n: n / 50), min_size=2, max_size=5))
def test_up_to_five_outputs_it_is_the_worst(values: list[float]) -> None:
    events, quality = scale(*values)
    pairs = found(events, quality=quality).pairs
    assert bool(pairs) == (max(values) - min(values) >= preferences.MARGIN - 1e-9)
    for pair in pairs:
        assert quality(next(e for e in events if e.response.output == pair.chosen)) == max(values)
        assert quality(next(e for e in events if e.response.output == pair.rejected)) == min(values)


def test_ranking_never_contradicts_what_somebody_said() -> None:
    liked = asked(1, "a", feedback=(said("thumb", 1.0), over(1, 3)))
    events = [liked, asked(2, "BROKEN", check=BROKEN, feedback=(over(2, 1),)), asked(3, "c")]
    pairs, review = found(events)
    assert [(pair.chosen, pair.rejected) for pair in pairs] == [("a", "c")]
    assert [one.reason for one in review] == ["invalid choice"]
    # The invalid output cannot be chosen, and is not rejected for what a person preferred it to.
    assert found(events[:2]).pairs == ()
    assert {one.reason for one in found(events[:2]).review} == {
        "invalid choice",
        "unusable comparison",
    }


# --- what stays out ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more", [{"split": "test"}, {"quarantined": "bridges two groups"}, {"placed": False}]
)
def test_test_material_quarantined_and_unplaced_events_are_never_used(more: dict[str, Any]) -> None:
    bad = [asked(1, "bad", correction="good", feedback=(said("thumb", 0.0),), **more)]
    assert found(bad) == ((), ())
    assert rated.rated(bad, as_of=NOW) == ()
    pairs, review = found([asked(2, "a", feedback=(over(2, 1),)), *bad])
    assert pairs == ()
    assert [one.reason for one in review] == ["unusable comparison"]


def test_splits_and_groups_are_never_mixed() -> None:
    for more in ({"split": "val"}, {"group": "other"}):
        events = [
            asked(1, "a", feedback=(over(1, 2), said("thumb", 1.0))),
            asked(2, "BROKEN", check=BROKEN, **more),
        ]
        pairs, review = found(events)
        assert pairs == ()
        assert [one.reason for one in review] == ["unusable comparison"]


def test_an_invalid_correction_goes_to_review_and_not_into_a_pair() -> None:
    pairs, review = found([asked(1, "bad", correction="BROKEN too")])
    assert pairs == ()
    assert [(one.event, one.reason) for one in review] == [("evt_00001", "invalid choice")]
    assert "unexpected end" in review[0].detail


def test_excluded_sources_are_not_heard() -> None:
    events = [asked(1, "bad", correction="good", source="eve")]
    assert found(events, exclude_sources=("eve",)).pairs == ()


@pytest.mark.parametrize("around", [(), (3,)], ids=["directly", "around a third"])
def test_contradictions_go_to_review_whoever_is_right(around: tuple[int, ...]) -> None:
    chain = (1, 2, *around, 1)
    events = [
        asked(
            number,
            f"output {number}",
            feedback=tuple(
                over(winner, loser, source=f"rater {winner}")
                for winner, loser in pairwise(chain)
                if winner == number
            ),
        )
        for number in (1, 2, 3)
    ]
    pairs, review = found(events)
    assert pairs == ()
    assert {one.reason for one in review} == {"conflicting preference"}
    assert {one.event for one in review} == {f"evt_{number:05d}" for number in set(chain)}


def test_a_source_that_changed_its_mind_does_not_contradict_itself() -> None:
    events = [
        asked(1, "a", feedback=(over(1, 2, days=1),)),
        asked(2, "b", feedback=(over(2, 1, days=2),)),
    ]
    assert only(events).chosen == "b"
    assert found(events).review == ()


def test_a_quarrel_about_two_outputs_leaves_what_is_undisputed() -> None:
    events = [
        asked(1, "a", feedback=(over(1, 2), over(1, 3))),
        asked(2, "b", feedback=(over(2, 1, source="ben"),)),
        asked(3, "c"),
    ]
    pairs, review = found(events)
    assert [(pair.chosen, pair.rejected) for pair in pairs] == [("a", "c")]
    assert len(review) == 2


# --- laws --------------------------------------------------------------------------------------

_texts = st.sampled_from(["a", "b ", "b", "c\n", "BROKEN x", "longer than the others", " "])


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """Up to ten events over three prompts, two groups a prompt, every kind of feedback."""
    events = []
    count = draw(st.integers(0, 10))
    for number in range(count):
        topic = draw(st.integers(0, 2))
        output = draw(_texts)
        feedback = [said("thumb", draw(st.sampled_from([0.0, 1.0])))] if draw(st.booleans()) else []
        for rival in draw(st.lists(st.integers(0, count - 1), max_size=2, unique=True)):
            if rival != number:
                feedback.append(over(number, rival, source=draw(st.sampled_from(["ana", "ben"]))))
        events.append(
            event(
                number,
                prompt=f"{PROMPT} {topic}",
                group=f"g{topic}",
                split="val" if topic == 2 else "train",
                output=output,
                correction=draw(st.none() | _texts),
                feedback=tuple(feedback),
                check=BROKEN if "BROKEN" in output else check_target("erd", output, {}),
            )
        )
    return events


@settings(max_examples=40, deadline=None)
@given(logs(), st.randoms(use_true_random=False))
def test_the_laws_of_pairs(events: list[Event], rng: random.Random) -> None:
    pairs, review = found(events)
    by_id = {one.id: one for one in events}
    assert max(Counter((pair.task, pair.prompt) for pair in pairs).values(), default=0) <= 1
    for pair in pairs:
        assert preferences.canonical_target(pair.chosen) != preferences.canonical_target(
            pair.rejected
        )
        assert check_target(pair.task, pair.chosen, pair.context).valid
        assert pair.rejected.strip()
        assert pair.weight > 0
        places = [by_id[name].placement for name in pair.events]
        assert {(place.group, place.split) for place in places if place} == {
            (pair.group, pair.split)
        }
    for split in {pair.split for pair in pairs}:
        weights = [pair.weight for pair in pairs if pair.split == split]
        assert math.isclose(sum(weights) / len(weights), 1, rel_tol=1e-5)
    shuffled = [*events, *events]
    rng.shuffle(shuffled)
    assert found(shuffled) == (pairs, review)
    assert {pair.id for pair in found(events, seed=5).pairs if pair.origin != "sampled"} == {
        pair.id for pair in pairs if pair.origin != "sampled"
    }


def votes(prompts: int, raters: int, flipped: float, seed: int = 0) -> list[Event]:
    """Raters who prefer the house's style, each wrong with probability `flipped`."""
    rng = random.Random(seed)
    events = []
    for topic in range(prompts):
        first, second = 2 * topic, 2 * topic + 1
        said_of: dict[int, list[Feedback]] = {first: [], second: []}
        for rater in range(raters):
            wrong = rng.random() < flipped
            winner, loser = (second, first) if wrong else (first, second)
            said_of[winner].append(over(winner, loser, source=f"rater {rater}"))
        for number, style in ((first, "house"), (second, "plain")):
            events.append(
                asked(
                    number,
                    style,
                    prompt=f"{PROMPT} {topic}",
                    group=f"g{topic}",
                    feedback=tuple(said_of[number]),
                )
            )
    return events


def share_right(pairs: tuple[Pair, ...]) -> float:
    return sum(pair.chosen == "house" for pair in pairs) / len(pairs)


def test_flipped_labels_do_harm_in_proportion_and_not_more() -> None:
    shares = [share_right(found(votes(300, 1, flipped)).pairs) for flipped in (0.0, 0.2, 0.4)]
    assert shares[0] == 1.0
    assert abs(shares[1] - 0.8) < 0.07
    assert abs(shares[2] - 0.6) < 0.07


def test_raters_who_disagree_go_to_review_so_what_is_left_is_cleaner() -> None:
    pairs, review = found(votes(300, 3, 0.2))
    # All three wrong: 0.2^3 of the prompts against 0.8^3 with all three right, 1.5 % of the pairs.
    assert share_right(pairs) > 0.95
    assert 100 < len(pairs) < 220
    assert {one.reason for one in review} == {"conflicting preference"}


def test_swapping_every_label_swaps_every_pair() -> None:
    def sides(pairs: tuple[Pair, ...]) -> set[tuple[str, str, str]]:
        return {(pair.prompt, pair.chosen, pair.rejected) for pair in pairs}

    right, wrong = found(votes(40, 1, 0.3)).pairs, found(votes(40, 1, 0.3)).pairs
    events = votes(40, 1, 0.3)
    text = {one.id: one for one in events}
    swapped = []
    for one in events:
        mine = tuple(
            over(int(one.id[4:]), int(name[4:]), source=item.source)
            for name, other in text.items()
            for item in other.feedback
            if item.text == one.id
        )
        swapped.append(replace(one, feedback=mine))
    wrong = found(swapped).pairs
    assert sides(wrong) == {(prompt, loser, winner) for prompt, winner, loser in sides(right)}


def test_newer_pairs_weigh_more_and_a_group_shares_its_weight() -> None:
    events = [
        event(1, output="a", correction="b", age_days=0),
        event(2, output="a", correction="b", age_days=180),
    ]
    new, old = sorted(found(events).pairs, key=lambda pair: pair.events)
    assert math.isclose(new.weight / old.weight, 2, rel_tol=1e-5)
    undecayed = found(events, half_life_days=math.inf).pairs
    assert {pair.weight for pair in undecayed} == {1.0}
    crowd = [event(n, output="a", correction="b", group="g" if n else "alone") for n in range(5)]
    mass = Counter[str]()
    for pair in found(crowd).pairs:
        mass[pair.group] += pair.weight
    assert math.isclose(mass["g"], mass["alone"], rel_tol=1e-4)


# --- length and label --------------------------------------------------------------------------


def pair(number: int, side: int, **more: Any) -> Pair:
    """A pair whose chosen text is longer (1), shorter (-1) or as long (0)."""
    fields: dict[str, Any] = {
        "id": f"pair_{number}",
        "task": "erd",
        "prompt": f"{PROMPT} {number}",
        "chosen": "x" * (5 + side),
        "rejected": "y" * 5,
        "group": f"g{number}",
        "split": "train",
        "origin": "correction",
        "events": (f"evt_{number}",),
    }
    return Pair(**fields | more)


_pairs = st.lists(
    st.tuples(st.sampled_from([-1, 0, 1]), st.floats(0.1, 10), st.sampled_from(["train", "val"])),
    max_size=30,
).map(
    lambda rows: [
        pair(number, side, weight=weight, split=split)
        for number, (side, weight, split) in enumerate(rows)
    ]
)


@settings(max_examples=50, deadline=None)
@given(_pairs)
def test_length_bias_is_bounded_and_turns_with_the_labels(pairs: list[Pair]) -> None:
    bias = balance.length_bias(pairs)
    assert -1 - 1e-12 <= bias <= 1 + 1e-12
    swapped = [replace(one, chosen=one.rejected, rejected=one.chosen) for one in pairs]
    assert balance.length_bias(swapped) == -bias


@settings(max_examples=50, deadline=None)
@given(_pairs)
def test_balanced_lengths_tell_little_wherever_enough_pairs_point_both_ways(
    pairs: list[Pair],
) -> None:
    balanced = balance.lengths(pairs)
    assert [replace(one, weight=1.0) for one in balanced] == [
        replace(one, weight=1.0) for one in pairs
    ]
    for split in ("train", "val"):
        before = [one for one in pairs if one.split == split]
        after = [one for one in balanced if one.split == split]
        mass = {
            side: math.fsum(
                one.weight for one in before if (len(one.chosen) - len(one.rejected)) * side > 0
            )
            for side in (-1, 1)
        }
        if min(mass.values()) >= 0.07 * max(mass.values()):
            assert abs(balance.length_bias(after)) < balance.LENGTH_BIAS
        assert abs(balance.length_bias(after)) <= abs(balance.length_bias(before)) + 1e-5
        assert all(one.weight > 0 for one in after)


def test_ninety_of_a_hundred_longer_choices_are_brought_down_and_ten_are_not_blown_up() -> None:
    pairs = [pair(number, 1 if number < 90 else -1) for number in range(100)]
    assert balance.length_bias(pairs) == pytest.approx(0.8)
    assert 0.15 < balance.length_bias(balance.lengths(pairs)) < 0.2
    hopeless = [pair(number, 1 if number < 99 else -1) for number in range(100)]
    balanced = balance.lengths(hopeless)
    assert balanced[-1].weight / balanced[0].weight == pytest.approx(10, rel=1e-4)
    assert balance.length_bias(balanced) > 0.2


def test_only_one_pair_a_prompt_is_left_when_sources_meet() -> None:
    mutated = pair(1, 0, id="pair_m", origin="mutation")
    sampled = pair(1, 0, id="pair_s", origin="sampled")
    written = pair(1, 0, id="pair_c", origin="correction")
    other = pair(2, 0, origin="mutation")
    assert preferences.one_per_prompt([mutated, sampled, other, written]) == (written, other)
    # In another context it is another question.
    elsewhere = replace(mutated, context={"schema": "t(a)"})
    assert len(preferences.one_per_prompt([written, elsewhere])) == 2


def thumbs(up: int, down: int, **more: Any) -> list[Event]:
    return [
        event(number, feedback=(said("thumb", float(number < up)),), **more)
        for number in range(up + down)
    ]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.floats(1, 1000))
def test_rated_rows_have_the_balance_that_kto_needs(up: int, down: int, half_life: float) -> None:
    rows = rated.rated(thumbs(up, down), as_of=NOW, half_life_days=half_life)
    assert sum(row.desirable for row in rows) == up
    good = math.fsum(row.weight for row in rows if row.desirable)
    bad = math.fsum(row.weight for row in rows if not row.desirable)
    assert 1 <= good / bad <= 4 / 3
    assert math.isclose((good + bad) / len(rows), 1, rel_tol=1e-4)


def test_rated_rows_within_the_range_keep_their_weights_and_one_label_alone_too() -> None:
    assert {row.weight for row in rated.rated(thumbs(12, 10), as_of=NOW)} == {1.0}
    assert {row.weight for row in rated.rated(thumbs(5, 0), as_of=NOW)} == {1.0}


def test_rated_rows_are_what_people_and_checks_agree_on() -> None:
    up, down, middling = said("thumb", 1.0), said("thumb", 0.0), said("rating", 0.5)
    events = [
        event(1, feedback=(up,)),
        event(2, feedback=(down,)),
        event(3, feedback=(up,), check=BROKEN),  # validators outrank thumbs
        event(4, feedback=(up,), correction="something else entirely"),
        event(5, feedback=(middling,)),
        event(6),
        event(7, correction="target"),
        event(8, feedback=(up, said("thumb", 0.0, source="ben"))),
        event(9, feedback=(said("rating", 0.95),), split="val"),
    ]
    rows = rated.rated(events, as_of=NOW)
    assert [(row.events[0], row.desirable, row.split) for row in rows] == [
        ("evt_00001", True, "train"),
        ("evt_00002", False, "train"),
        ("evt_00009", True, "val"),
    ]
    assert {row.task for row in rows} == {"erd"}
    heard = rated.rated(events, as_of=NOW, exclude_sources=("ana",))
    assert [(row.events[0], row.desirable) for row in heard] == [("evt_00008", False)]


def test_one_output_is_one_rated_row_unless_it_is_disputed() -> None:
    up, down = (said("thumb", 1.0),), (said("thumb", 0.0, source="ben"),)
    agreed = [asked(1, "x", feedback=up), asked(2, "x\n", feedback=up)]
    (row,) = rated.rated(agreed, as_of=NOW)
    assert row.events == ("evt_00001", "evt_00002")
    assert rated.rated([*agreed, asked(3, "x", feedback=down)], as_of=NOW) == ()


@settings(max_examples=40, deadline=None)
@given(logs(), st.randoms(use_true_random=False))
def test_rated_rows_do_not_depend_on_the_order(events: list[Event], rng: random.Random) -> None:
    rows = rated.rated(events, as_of=NOW)
    shuffled = list(events)
    rng.shuffle(shuffled)
    assert rated.rated(shuffled, as_of=NOW) == rows
    by_id = {one.id: one for one in events}
    for row in rows:
        values = [reward.output_value(by_id[name]) for name in row.events]
        assert all(value >= rated.GOOD for value in values) or not row.desirable


# --- held-out material -------------------------------------------------------------------------


def test_preferences_pass_the_same_contamination_check_as_training_rows() -> None:
    pairs = found(
        [event(1, output="a", correction="b"), event(2, output="a", correction="b")]
    ).pairs
    rows: tuple[Rated, ...] = rated.rated(thumbs(1, 1), as_of=NOW)
    leaking = item(1)  # the prompt of event 1
    with pytest.raises(Leak, match="2 pairs"):
        contamination.assert_clean(preferences.views(pairs[:0], rows) * 2, [item(0)])
    kept, kept_rows, dropped = preferences.without_leaks(pairs, rows, [leaking])
    assert [one.events for one in kept] == [("evt_00002",)]
    assert [one.events for one in kept_rows] == [("evt_00000",)]
    assert {(one.event, one.reason) for one in dropped} == {
        ("evt_00001", "preference held out (suite)")
    }
    contamination.assert_clean(preferences.views(kept, kept_rows), [leaking])


def test_a_rejected_text_that_is_a_held_out_answer_leaks_too() -> None:
    events = [event(1, output="held out answer", correction="b", context={"notes": "1"})]
    answer = item(1, context={"notes": "other"}, reference="held out answer")
    kept, _, dropped = preferences.without_leaks(found(events).pairs, (), [answer])
    assert kept == ()
    assert "same prompt and target" in dropped[0].detail


def test_of_very_many_thumbs_so_many_are_drawn_and_the_order_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = thumbs(30, 20)
    whole = rated.rated(events, as_of=NOW)
    assert len(whole) == 50
    monkeypatch.setattr(rated, "MOST", 8)
    drawn = rated.rated(events, as_of=NOW)
    assert Counter(row.desirable for row in drawn) == {True: 8, False: 8}
    assert {row.id for row in drawn} < {row.id for row in whole}
    assert rated.rated(events[::-1], as_of=NOW) == drawn
    assert rated.rated([*events, *events], as_of=NOW) == drawn
    more = rated.rated(thumbs(31, 20), as_of=NOW)
    assert len({row.id for row in more} - {row.id for row in drawn}) <= 1
