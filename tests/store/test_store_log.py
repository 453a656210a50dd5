from __future__ import annotations

import itertools
import math
import sqlite3
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event as sql_event
from store_records import AT, feedback, placement, response

from honewheel.errors import InputError, NotFound
from honewheel.records import Event, Feedback, Quarantined, Response
from honewheel.store import Store, open_store
from honewheel.store.db import CHUNK


def events(store: Store, **options: object) -> list[Event]:
    return list(store.log.events(**{"task": None, "up_to": 10**9} | options))


def test_what_is_appended_is_read_back_in_order(store: Store) -> None:
    said = [feedback("1", of="a"), feedback("2", of="a", kind="thumb", value=None, text=None)]
    assert store.log.append([response("a"), response("b", version=None)], said) == 4
    assert events(store) == [
        Event(seq=1, response=response("a"), feedback=tuple(said)),
        Event(seq=2, response=response("b", version=None)),
    ]
    assert store.log.last_seq() == 4


def test_an_empty_store_has_nothing(store: Store) -> None:
    assert store.log.last_seq() == 0
    assert events(store) == []
    assert store.log.append([], []) == 0
    assert store.log.counts() == {"events": 0, "feedback": 0, "quarantined": 0, "tasks": {}}


def test_feedback_may_come_later_than_its_response(store: Store) -> None:
    store.log.append([response("a")])
    assert store.log.append([], [feedback("1", of="a")]) == 2
    assert store.log.event("evt_a").feedback == (feedback("1", of="a"),)


def test_the_same_record_again_changes_nothing(store: Store) -> None:
    given = [response("a"), response("a")], [feedback("1", of="a")]
    assert store.log.append(*given) == 2
    assert store.log.append(*given) == 2
    berlin = AT.astimezone(timezone(timedelta(hours=1)))
    again = replace(
        response("a", created_at=berlin), decoding={"stop": ("a", "b"), "temperature": 0}
    )
    assert store.log.append([again]) == 2
    assert store.log.counts()["events"] == 1


@pytest.mark.parametrize(
    ("responses", "said"),
    [
        ([response("a", output="other")], []),
        ([response("b"), response("b", task="erd")], []),
        ([], [feedback("1", of="a", value=0.5)]),
        ([], [feedback("2", of="a"), feedback("2", of="a", source="bob")]),
    ],
)
def test_an_id_with_other_content_is_refused_by_name(
    store: Store, responses: list[Response], said: list[Feedback]
) -> None:
    store.log.append([response("a")], [feedback("1", of="a")])
    with pytest.raises(InputError, match=[*responses, *said][-1].id):
        store.log.append([response("new"), *responses], said)
    assert [event.id for event in events(store)] == ["evt_a"]
    assert store.log.append([response("c")]) == 3, "a refused batch leaves a gap"


def test_feedback_on_an_unknown_response_is_refused(store: Store) -> None:
    with pytest.raises(InputError, match="fb_1 names response 'evt_x'"):
        store.log.append([response("a")], [feedback("1", of="x")])
    assert store.log.last_seq() == 0


@pytest.mark.parametrize(
    ("bad", "where"),
    [
        (response("a", output="x\0y"), "output holds a NUL character at position 1"),
        (response("a", prompt="x\ud800"), "prompt holds half a surrogate pair at position 1"),
        (response("a", context={"k\0": "v"}), "context holds a NUL"),
        (response("a", context={"k": "v\udfff"}), "context holds half"),
        (response("a", decoding={"stop": ["\0"]}), "decoding holds a NUL"),
        (response("a", decoding={"t": math.inf}), "decoding holds inf"),
        (feedback("1", of="b", text="\0"), "text holds a NUL"),
        (feedback("1", of="b", value=math.nan), "value holds nan"),
    ],
)
def test_what_no_database_stores_is_refused_by_field(
    store: Store, bad: Response | Feedback, where: str
) -> None:
    store.log.append([response("b")])
    batch = ([bad], []) if isinstance(bad, Response) else ([], [bad])
    with pytest.raises(InputError, match=where):
        store.log.append(*batch)
    assert store.log.last_seq() == 1


def test_as_of_hides_later_responses_and_later_feedback(store: Store) -> None:
    store.log.append([response("a")], [feedback("1", of="a")])
    store.log.append([response("b")], [feedback("2", of="a")])
    (before,) = events(store, up_to=2)
    assert before.feedback == (feedback("1", of="a"),)
    assert [len(event.feedback) for event in events(store, up_to=4)] == [2, 0]


def test_events_are_chosen_by_task_and_by_id(store: Store) -> None:
    store.log.append([response("a"), response("b", task="erd"), response("c")])
    assert [e.id for e in events(store, task=["erd"])] == ["evt_b"]
    assert [e.id for e in events(store, task=["erd", "sql"])] == ["evt_a", "evt_b", "evt_c"]
    assert events(store, task=[]) == []
    assert [e.id for e in events(store, ids=["evt_c", "evt_a", "evt_x"])] == ["evt_a", "evt_c"]
    assert [e.id for e in events(store, ids=["evt_c", "evt_b"], task=["sql"])] == ["evt_c"]
    assert events(store, ids=["evt_c"], up_to=2) == []


def test_an_event_is_found_by_its_id_or_that_of_its_feedback(store: Store) -> None:
    store.log.append([response("a"), response("b")], [feedback("1", of="b")])
    assert store.log.event("evt_b") == store.log.event("fb_1")
    with pytest.raises(NotFound, match="No event 'evt_x'"):
        store.log.event("evt_x")


def test_placements_ride_on_events_and_empty_the_waiting_list(store: Store) -> None:
    store.log.append([response("a"), response("b"), response("c")])
    assert [item.id for item in store.log.unplaced(2)] == ["evt_a", "evt_b"]
    store.intake.place([placement("b")], {}, {})
    assert [item.id for item in store.log.unplaced(9)] == ["evt_a", "evt_c"]
    assert [event.placement for event in events(store)] == [None, placement("b"), None]
    split = placement("b").split
    assert [event.id for event in events(store, split=split)] == ["evt_b"]
    assert events(store, split="val" if split != "val" else "test") == []


def test_a_page_costs_the_same_however_much_lies_behind_it(
    sqlite_url: str, files_root: Path
) -> None:
    """Counted in the steps of SQLite's machine: with several tasks it once sorted all the rest."""
    tasks = ("a", "b", "c")

    def steps(count: int) -> int:
        url = sqlite_url.replace("store.db", f"{count}.db")
        with open_store(url, files_root) as store:
            store.log.append([response(f"{n:05d}", task=tasks[n % 3]) for n in range(count)])
            ran: list[tuple[str, tuple[object, ...]]] = []
            sql_event.listen(
                store._db._engine, "before_cursor_execute", lambda *a: ran.append((a[2], a[3]))
            )
            next(store.log.events(tasks, 10**9))
        counted = itertools.count()
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.set_progress_handler(lambda: next(counted) < 0, 100)
            for statement, values in ran:
                if statement.startswith("SELECT"):
                    connection.execute(statement, values).fetchall()
        return next(counted)

    assert steps(8 * CHUNK) < 1.2 * steps(4 * CHUNK)


def test_a_page_costs_a_fixed_number_of_queries(store: Store) -> None:
    many = [response(str(number)) for number in range(2 * CHUNK + 1)]
    said = [feedback(str(number), of=str(number)) for number in range(2 * CHUNK + 1)]
    store.log.append(many, said)
    store.log.append(many, said)
    assert store.log.last_seq() == 2 * len(many)
    queries: list[str] = []
    sql_event.listen(store._db._engine, "before_cursor_execute", lambda *a: queries.append(a[2]))
    found = events(store)
    assert [event.id for event in found] == [item.id for item in many]
    assert all(len(event.feedback) == 1 for event in found)
    assert sum(query.startswith("SELECT") for query in queries) == 3 * 4 + 1


def test_a_reader_that_stops_half_way_holds_no_transaction_open(store: Store) -> None:
    store.log.append([response("a"), response("b")])
    reading = store.log.events(None, up_to=2)
    next(reading)
    assert store._db._engine.pool.checkedout() == 0
    store.log.append([response("c")])
    assert [event.id for event in reading] == ["evt_b"]


def test_rejected_rows_are_kept_once_whatever_they_hold(store: Store) -> None:
    rows = [
        Quarantined(
            origin="a\udcff.jsonl", row=row, reason="bad \0", raw=f"{row} \0 \ud800 ü", at=AT
        )
        for row in range(3)
    ]
    store.log.quarantine(rows)
    later = replace(rows[0], at=AT + timedelta(days=1), reason="still bad")
    new = replace(rows[0], at=AT + timedelta(days=1), row=7)
    store.log.quarantine([later, new, new])
    assert store.log.quarantined(10) == [new, *rows]
    assert store.log.quarantined(2) == [new, rows[0]]
    assert store.log.counts()["quarantined"] == 4


def test_counts_tell_events_feedback_and_splits_per_task(store: Store) -> None:
    store.log.append(
        [response("a"), response("b"), response("c", task="erd")],
        [feedback("1", of="a"), feedback("2", of="a"), feedback("3", of="c")],
    )
    store.log.append([], [feedback("4", of="c")])
    store.intake.place(
        [placement("a", split="test"), placement("b", quarantined="bridges g1 and g2")], {}, {}
    )
    none = dict.fromkeys(("train", "val", "test", "quarantined"), 0)
    assert store.log.counts() == {
        "events": 3,
        "feedback": 4,
        "quarantined": 0,
        "tasks": {
            "erd": {"events": 1, "feedback": 2} | none,
            "sql": {"events": 2, "feedback": 2} | none | {"test": 1, "quarantined": 1},
        },
    }


def test_counts_read_the_totals_table_and_nothing_else(store: Store) -> None:
    store.log.append([response(str(number)) for number in range(5000)])
    queries: list[str] = []
    sql_event.listen(store._db._engine, "before_cursor_execute", lambda *a: queries.append(a[2]))
    assert store.log.counts()["events"] == 5000
    (query,) = [query for query in queries if query.startswith("SELECT")]
    assert query.split("FROM")[1].strip() == "total"


_numbers = itertools.count()
_words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
_times = st.integers(-(10**9), 10**10).map(lambda s: AT + timedelta(seconds=s, microseconds=s % 7))
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=6,
)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    prompt=_words,
    output=_words,
    at=_times,
    context=st.dictionaries(_words, _words, max_size=3),
    decoding=st.dictionaries(_words, _json, max_size=3),
    value=st.none() | st.floats(0, 1),
    text=st.none() | _words,
)
def test_every_storable_record_comes_back_equal(
    store: Store, prompt, output, at, context, decoding, value, text
) -> None:
    number = next(_numbers)
    item = response(
        str(number), prompt=prompt, output=output, created_at=at, context=context, decoding=decoding
    )
    said = feedback(str(number), of=str(number), value=value, text=text, created_at=at)
    store.log.append([item], [said])
    found = store.log.event(item.id)
    assert (found.response, found.feedback) == (item, (said,))
    assert store.log.append([item], [said]) == found.seq + 1, "not recognised as the same"


def test_a_store_keeps_what_it_holds_when_opened_again(store_url: str, files_root) -> None:
    with open_store(store_url, files_root) as store:
        store.log.append([response("a")], [feedback("1", of="a")])
    with open_store(store_url, files_root) as store:
        assert store.log.last_seq() == 2
        assert store.log.event("evt_a").response == response("a")
