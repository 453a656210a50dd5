"""Rows of many senders in one transaction: an outcome for each, numbers without gaps."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from store_records import AT as NOW
from store_records import feedback, response

from honewheel.errors import AlreadyRecorded, Erased, InputError
from honewheel.records import Deed
from honewheel.store import Store
from honewheel.store.arrivals import Arrival, Stored


def arrival(name: str, *said: Any, actor: str = "app", timed: bool = True, **more: Any) -> Arrival:
    return Arrival(response(name, **more), said, actor, "POST /v1/feedback", timed)


def addition(*said: Any) -> Arrival:
    return Arrival(None, said, "app", "POST /v1/feedback")


def test_each_arrival_has_its_outcome_and_the_numbers_have_no_gaps(store: Store) -> None:
    found = store.arrivals.append(
        [
            arrival("a", feedback("1", "a")),
            addition(feedback("2", "missing")),
            arrival("b"),
            arrival("c", output="\0"),
            addition(feedback("3", "a")),
        ],
        NOW,
    )
    assert found[0] == Stored("evt_a", 1, False)
    assert isinstance(found[1], InputError)
    assert found[2] == Stored("evt_b", 3, False)
    assert isinstance(found[3], InputError)
    assert found[4] == Stored("evt_a", 4, False)
    assert store.log.last_seq() == 4
    events = list(store.log.events(None, 4))
    assert [event.seq for event in events] == [1, 3]
    assert [item.id for item in events[0].feedback] == ["fb_1", "fb_3"]
    assert [one.id for one in store.log.unplaced(9)] == ["evt_a", "evt_b"]
    counts = store.log.counts()
    assert (counts["events"], counts["feedback"]) == (2, 2)


def test_what_is_there_already_is_known_and_other_content_is_refused(store: Store) -> None:
    store.log.append([response("a")], [feedback("1", "a")])
    again, other, remark = store.arrivals.append(
        [
            arrival("a", feedback("1", "a")),
            arrival("a", output="other"),
            addition(replace(feedback("1", "a"), text="other")),
        ],
        NOW,
    )
    assert again == Stored("evt_a", 1, True)
    assert isinstance(other, AlreadyRecorded)
    assert isinstance(remark, AlreadyRecorded)
    assert store.log.last_seq() == 2
    more = store.arrivals.append([arrival("a", feedback("2", "a"))], NOW)
    assert more == [Stored("evt_a", 3, False)]


def test_the_same_id_twice_in_one_commit(store: Store) -> None:
    first, same, other = store.arrivals.append(
        [arrival("a"), arrival("a"), arrival("a", output="other")], NOW
    )
    assert (first, same) == (Stored("evt_a", 1, False), Stored("evt_a", 1, True))
    assert isinstance(other, AlreadyRecorded)


def test_a_row_without_a_time_is_known_whenever_it_comes_again(store: Store) -> None:
    later = NOW.replace(year=NOW.year + 1)
    store.arrivals.append([arrival("a", feedback("1", "a"), timed=False)], NOW)
    row = Arrival(
        replace(response("a"), created_at=later),
        (replace(feedback("1", "a"), created_at=later),),
        "app",
        "POST /v1/feedback",
        timed=False,
    )
    assert store.arrivals.append([row], NOW) == [Stored("evt_a", 1, True)]
    assert isinstance(store.arrivals.append([replace(row, timed=True)], NOW)[0], AlreadyRecorded)


def test_the_audit_log_tells_who_sent_which_numbers(store: Store) -> None:
    store.arrivals.append([arrival("a"), arrival("b", actor="other"), arrival("c")], NOW)
    store.arrivals.append([arrival("a")], NOW)  # known: nothing was done
    found = {deed.actor: deed for deed in store.audit.list(10)}
    assert found["app"] == Deed(
        at=NOW,
        actor="app",
        action="POST /v1/feedback",
        outcome="stored",
        detail={"rows": 2, "first": 1, "last": 3},
    )
    assert found["other"].detail == {"rows": 1, "first": 2, "last": 2}
    assert len(found) == 2
    assert store.audit.list(10, "other") == [found["other"]]


def test_many_writers_at_once_lose_nothing(store: Store) -> None:
    def send(name: str) -> None:
        for number in range(0, 40, 4):
            rows = [arrival(f"{name}{number + one}") for one in range(4)]
            outcomes.extend(store.arrivals.append(rows, NOW))

    outcomes: list[Any] = []
    threads = [threading.Thread(target=send, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.seq for one in outcomes) == list(range(1, 161))
    assert store.log.counts()["events"] == 160


@pytest.mark.parametrize("text", ["ü 漢字 🎨", "quote ' \" ; -- \\", "a\nb\tc", "x" * 99_999])
def test_texts_come_back_as_they_went_in(store: Store, text: str) -> None:
    context = {text[:50]: text}
    row = arrival("a", replace(feedback("1", "a"), text=text), output=text, context=context)
    assert store.arrivals.append([row], NOW) == [Stored("evt_a", 1, False)]
    event = store.log.event("evt_a")
    assert event.response == row.response
    assert event.feedback == row.feedback


def test_nothing_is_stored_of_what_was_forgotten(store: Store) -> None:
    store.log.append([response("a"), response("b")])
    store.erasure.erase(store.erasure.texts(["evt_a"]), who="dpo", reason="letter", at=NOW)
    again, said, other = store.arrivals.append(
        [arrival("a"), addition(feedback("1", "a")), addition(feedback("2", "b"))], NOW
    )
    assert isinstance(again, Erased)
    assert isinstance(said, Erased)
    assert isinstance(other, Stored)
    assert store.log.event("evt_a").feedback == ()
