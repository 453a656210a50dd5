"""Notices that wait: each made once, tried by one at a time, and kept until taken or given up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from honewheel.store import Store
from honewheel.store.outbox import New

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LONG, GONE = timedelta(hours=1), timedelta(0)


def new(number: int) -> New:
    return New(f"cycle:a-{number:04d}", "rejected", {"model": "a", "number": number})


def test_an_outlet_is_told_from_when_it_is_first_known(store: Store) -> None:
    assert store.outbox.since("webhook:a", NOW) == NOW
    assert store.outbox.since("webhook:a", NOW + LONG) == NOW
    store.outbox.put("webhook:a", [], NOW + LONG, NOW + LONG)  # nothing new: nothing is written
    assert store.outbox.since("webhook:a", NOW + 2 * LONG) == NOW
    store.outbox.put("webhook:a", [], NOW + 30 * LONG, NOW + 30 * LONG)
    assert store.outbox.since("webhook:a", NOW) == NOW + 30 * LONG
    store.outbox.put("webhook:a", [new(1)], NOW + LONG, NOW + LONG)
    assert store.outbox.since("webhook:a", NOW + 2 * LONG) == NOW + LONG
    assert store.outbox.since("mlflow", NOW + 2 * LONG) == NOW + 2 * LONG


def test_making_a_notice_twice_makes_one(store: Store) -> None:
    assert store.outbox.put("a", [new(1), new(2)], NOW, NOW) == 2
    assert store.outbox.put("a", [new(1), new(2), new(3)], NOW, NOW) == 1
    assert store.outbox.put("b", [new(1)], NOW, NOW) == 1
    assert [one.key for one in store.outbox.list(10, "a")][::-1] == [new(n).key for n in (1, 2, 3)]
    assert store.outbox.counts() == {"a": {"waiting": 3}, "b": {"waiting": 1}}


def test_one_sender_at_a_time_and_another_when_it_died(store: Store) -> None:
    store.outbox.put("a", [new(1)], NOW, NOW)
    assert store.outbox.claim(["b"], LONG) is None
    mine = store.outbox.claim(["a", "b"], GONE)  # a sender that dies at once
    assert mine is not None
    again = store.outbox.claim(["a"], LONG)
    assert again is not None
    assert (mine.key, mine.attempt, again.attempt) == (again.key, 1, 2)
    assert again.told == {"model": "a", "number": 1}
    assert store.outbox.claim(["a"], LONG) is None
    store.outbox.sent(again, NOW)
    assert store.outbox.counts() == {"a": {"sent": 1}}
    store.outbox.failed(mine, "too late", GONE, NOW)  # the dead one comes back
    assert store.outbox.list(1)[0].state == "sent"


def test_what_was_not_taken_waits_or_is_given_up_and_can_be_had_again(store: Store) -> None:
    store.outbox.put("a", [new(1), new(2), new(3)], NOW, NOW)
    for pause in (LONG, None, GONE):
        found = store.outbox.claim(["a"], LONG)
        assert found is not None
        store.outbox.failed(found, "status 500", pause, NOW)
    assert store.outbox.counts() == {"a": {"waiting": 2, "given up": 1}}
    ready = store.outbox.claim(["a"], LONG)
    assert ready is not None
    assert (ready.key, ready.error) == (new(3).key, "status 500")
    store.outbox.sent(ready, NOW)
    assert store.outbox.claim(["a"], LONG) is None
    assert store.outbox.again(["a"]) == 2
    assert store.outbox.again(["b"]) == 0
    assert {one.state for one in store.outbox.list(10)} == {"waiting", "sent"}
