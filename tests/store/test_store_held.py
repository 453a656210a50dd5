from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_records import AT, placement, response

from honewheel.errors import InputError, NotFound
from honewheel.store import Store
from honewheel.store.held import Ruling, RulingVerdict

LATER = AT + timedelta(hours=1)


@pytest.fixture
def logged(store: Store) -> Store:
    store.log.append([response(name) for name in "abcd"])
    return store


def rule(
    store: Store, names: str, verdict: RulingVerdict = "release", at: object = AT, **more: str
) -> None:
    told = {"reason": "checked", "who": "ana"} | more
    store.held.rule([f"evt_{name}" for name in names], verdict, at=at, **told)  # type: ignore


def test_a_ruling_is_read_back_whole(logged: Store) -> None:
    assert logged.held.rulings() == {}
    assert logged.held.last() is None
    rule(logged, "ab", reason="a customer's own wording: ü \x00")
    assert logged.held.rulings()["evt_b"] == Ruling(
        event="evt_b",
        verdict="release",
        reason="a customer's own wording: ü \x00",
        who="ana",
        at=AT,
    )
    assert logged.held.last() == AT


def test_the_newest_ruling_counts_and_a_running_cycle_sees_only_earlier_ones(
    logged: Store,
) -> None:
    rule(logged, "ab")
    rule(logged, "b", "drop", at=LATER, who="ben")
    assert {key: one.verdict for key, one in logged.held.rulings().items()} == {
        "evt_a": "release",
        "evt_b": "drop",
    }
    assert logged.held.rulings(up_to=AT)["evt_b"].verdict == "release"
    assert logged.held.rulings(up_to=AT - timedelta(seconds=1)) == {}
    assert logged.held.last() == LATER


def test_the_same_ruling_again_changes_nothing(logged: Store) -> None:
    rule(logged, "a")
    rule(logged, "a", at=LATER, who="ben")
    assert logged.held.rulings()["evt_a"].who == "ana"
    assert logged.held.last() == AT


def test_all_or_nothing(logged: Store) -> None:
    with pytest.raises(NotFound, match="evt_x"):
        rule(logged, "ax")
    assert logged.held.rulings() == {}


@pytest.mark.parametrize("more", [{"reason": "  "}, {"who": ""}])
def test_a_ruling_has_a_reason_and_a_name(logged: Store, more: dict[str, str]) -> None:
    with pytest.raises(InputError, match="a reason and the name"):
        rule(logged, "a", **more)


def test_what_would_leak_is_never_released_but_may_be_dropped(logged: Store) -> None:
    bridge = placement("b", quarantined="resembles evt_a (test, 0.90) and evt_c (train, 0.80)")
    logged.intake.place([placement("a", split="test"), bridge, placement("c")], {}, {})
    assert logged.held.bridging(9) == [bridge]
    with pytest.raises(InputError, match=r"evt_b cannot be released: it resembles evt_a"):
        rule(logged, "cb")
    assert logged.held.rulings() == {}
    rule(logged, "b", "drop")
    assert logged.held.rulings()["evt_b"].verdict == "drop"


def test_bridging_responses_come_newest_first_and_limited(logged: Store) -> None:
    logged.intake.place([placement(name, quarantined="bridge") for name in "abc"], {}, {})
    assert [one.response_id for one in logged.held.bridging(2)] == ["evt_c", "evt_b"]


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["release", "drop"])), max_size=8)
)
def test_the_last_word_on_each_event_is_what_holds(
    logged: Store, told: list[tuple[str, RulingVerdict]]
) -> None:
    held = {key: one.verdict for key, one in logged.held.rulings().items()}
    for name, verdict in told:
        rule(logged, name, verdict)
        held[f"evt_{name}"] = verdict
    assert {key: one.verdict for key, one in logged.held.rulings().items()} == held
