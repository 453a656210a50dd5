"""What is asked next: what nobody answered, the doubtful and the unlike first, some at random."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from curate_builders import BROKEN, accepted, corrected, event, requirement, said
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate import ask
from honewheel.curate.ask import queue
from honewheel.errors import InputError
from honewheel.records import Event


def flat(value: float) -> Any:
    """Every output is worth the same."""
    return lambda _: value


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.sampled_from(["open", "answered", "checked"]), max_size=30),
    st.integers(1, 12),
    st.floats(0, 1),
    st.integers(0, 5),
)
def test_only_unanswered_responses_are_asked_once_each_and_the_share_is_kept(
    kinds: list[str], size: int, share: float, seed: int
) -> None:
    made = {
        "open": event,
        "answered": accepted,
        "checked": lambda number: event(
            number, feedback=(said("finding", 0.0, source_kind="validator", source="lint"),)
        ),
    }
    events = [made[kind](number) for number, kind in enumerate(kinds)]
    found = queue(events, size=size, seed=seed, random_share=share)
    open_ = {one.id for one, kind in zip(events, kinds, strict=True) if kind != "answered"}
    assert len(found) == min(size, len(open_)) == len({row.event for row in found})
    assert {row.event for row in found} <= open_
    assert sum(row.why == "random" for row in found) == int(len(found) * share + 0.5)
    assert all(0 <= row.score <= 1 and 0 <= row.value <= 1 for row in found)
    assert found == queue(iter(events), size=size, seed=seed, random_share=share)


def test_the_uncertain_come_before_the_sure() -> None:
    events = [event(number, prompt=f"prompt number {number} {number * 7}") for number in range(9)]
    worth = {one.id: 0.1 * place + 0.05 for place, one in enumerate(events)}
    found = queue(events, size=1, seed=0, random_share=0.0, value=lambda one: worth[one.id])
    assert [row.event for row in found] == ["evt_00004", "evt_00005"][: len(found)]
    assert found[0].why == "uncertain"


def test_checks_that_contradict_each_other_are_a_reason_to_ask() -> None:
    split = event(1, feedback=(said("finding", 0.0, source_kind="validator", source="lint"),))
    agreed = [event(number) for number in range(2, 8)]
    found = queue([split, *agreed], size=1, seed=0, random_share=0.0, value=flat(0.9))
    assert (found[0].event, found[0].why) == (split.id, "disagreement")
    one_voice = event(9, check=BROKEN, feedback=split.feedback)
    found = queue([one_voice], size=1, seed=0, random_share=0.0, value=flat(0.9))
    assert found[0].why == "uncertain"


def test_what_resembles_an_answered_or_a_queued_response_waits() -> None:
    known = accepted(1, prompt="draw the orders of a customer", output="same")
    twin = event(2, prompt="draw the orders of a customer", output="same")
    other = event(3, prompt="a test for the login page of the shop", output="another")
    again = event(4, prompt="a test for the login page of the shop", output="another")
    found = queue([known, twin, other, again], size=3, seed=0, random_share=0.0)
    assert found[0].event == other.id
    assert {row.event for row in found[1:]} == {twin.id, again.id}
    assert found[0].score > 0.2 > found[1].score == 0


def test_distance_spreads_the_queue_over_the_topics() -> None:
    rng = random.Random(0)
    topics = [requirement(seed) for seed in range(6)]
    events = [
        event(number, prompt=f"{topics[0 if number < 60 else number % 6]} {rng.random()}")
        for number in range(90)
    ]
    found = queue(events, size=6, seed=0, random_share=0.0, value=flat(0.5))
    assert len({next(topic for topic in topics if topic in row.prompt) for row in found}) == 6


def test_random_rows_are_drawn_from_all_alike_and_spread_over_the_queue() -> None:
    events = [event(number) for number in range(40)]
    worth = {one.id: 0.5 if place < 20 else 0.999 for place, one in enumerate(events)}
    drawn: Counter[str] = Counter()
    for seed in range(100):
        found = queue(
            events, size=10, seed=seed, value=lambda one: worth[one.id], embed=ask.features.embed
        )
        places = [place for place, row in enumerate(found) if row.why == "random"]
        assert len(places) == 2
        assert places[0] < 5 <= places[1]
        drawn.update(found[place].event for place in places)
    sure = sum(count for name, count in drawn.items() if worth[name] > 0.9)
    assert 70 <= sure <= 130  # of 200: half of the events are sure
    assert len(drawn) > 35


def test_quarantined_and_empty_responses_are_not_asked_about() -> None:
    assert queue([event(1, quarantined="bridge"), event(2, output=" ")], size=5, seed=0) == ()
    assert [row.event for row in queue([event(3, placed=False)], size=5, seed=0)] == ["evt_00003"]
    assert queue([], size=5, seed=0) == ()


def test_a_simulated_person_counts_as_an_answer_and_a_validator_does_not() -> None:
    simulated = corrected(1)
    machine = event(2, feedback=(said("finding", 1.0, source_kind="validator"),))
    told = event(3, feedback=(said("thumb", 1.0, source_kind="simulated"),))
    assert [row.event for row in queue([simulated, machine, told], size=5, seed=0)] == [machine.id]


def test_only_the_newest_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "NEWEST", 10)
    read = 0

    def stream() -> Any:
        nonlocal read
        for number in range(50):
            read += 1
            yield event(number)

    found = queue(stream(), size=50, seed=0)
    assert read == 50
    assert sorted(row.event for row in found) == [f"evt_{number:05d}" for number in range(40, 50)]


@pytest.mark.parametrize(("size", "share"), [(0, 0.2), (5, 1.5), (5, -0.1)])
def test_a_queue_that_cannot_be_made_is_refused(size: int, share: float) -> None:
    events: list[Event] = [event(1)]
    with pytest.raises(InputError, match=f"A queue of {size} with a random share of {share:g}"):
        queue(events, size=size, seed=0, random_share=share)
