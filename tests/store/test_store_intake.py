from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_records import placement, response

from honewheel.errors import InputError
from honewheel.store import Store
from honewheel.store.intake import CANDIDATES


@pytest.fixture
def logged(store: Store) -> Store:
    store.log.append([response(name) for name in "abcd"])
    return store


def test_a_placement_is_read_back_whole(logged: Store) -> None:
    full = placement("a", twin="evt_z", similarity=0.875, quarantined="bridges g1 and g2")
    logged.intake.place([full, placement("b")], {}, {})
    assert logged.intake.placement("evt_a") == full
    assert logged.intake.placement("evt_b") == placement("b")
    assert logged.intake.placement("evt_c") is None


def test_placing_again_changes_nothing(logged: Store) -> None:
    given = [placement("a"), placement("b")], {"evt_a": [1]}, {"evt_a": b"x"}
    logged.intake.place(*given)
    logged.intake.place([*given[0], placement("c")], *given[1:])
    assert logged.intake.placement("evt_b") == placement("b")
    assert logged.log.counts()["tasks"]["sql"]["train"] == 3


@pytest.mark.parametrize(
    "change", [{"split": "test"}, {"group": "g_z"}, {"exact": "other"}, {"judge": "sql/2"}]
)
def test_a_placement_never_moves(logged: Store, change: dict[str, str]) -> None:
    logged.intake.place([placement("a")], {}, {})
    with pytest.raises(InputError, match="evt_a is already placed in train by sql/1"):
        logged.intake.place([placement("b"), replace(placement("a"), **change)], {}, {})
    assert logged.intake.placement("evt_b") is None
    assert logged.intake.placement("evt_a") == placement("a")


def test_only_recorded_responses_are_placed(logged: Store) -> None:
    with pytest.raises(InputError, match="evt_x"):
        logged.intake.place([placement("a"), placement("x")], {}, {})
    assert len(logged.log.unplaced(9)) == 4


def test_candidates_share_a_band_key_of_the_same_task(logged: Store) -> None:
    logged.log.append([response("other", task="erd")])
    logged.intake.place(
        [
            placement("a"),
            placement("b", split="test"),
            placement("c"),
            placement("d", quarantined="bridge"),
            placement("other", task="erd"),
        ],
        {"evt_a": [1, 2], "evt_b": [2, 2**64 - 1], "evt_c": [3], "evt_d": [1], "evt_other": [1]},
        {f"evt_{name}": name.encode() for name in ("a", "b", "c", "d", "other")},
    )
    found = logged.intake.candidates("sql", [2, 1, 1])
    assert found == [("evt_b", b"b", "g_b", "test"), ("evt_a", b"a", "g_a", "train")]
    assert [row[0] for row in logged.intake.candidates("sql", [2**64 - 1])] == ["evt_b"]
    assert [row[0] for row in logged.intake.candidates("sql", [-1])] == ["evt_b"]
    assert logged.intake.candidates("sql", [9]) == []
    assert logged.intake.candidates("sql", []) == []


def test_a_crowded_key_gives_only_the_newest_candidates(store: Store) -> None:
    names = [str(number) for number in range(CANDIDATES + 20)]
    store.log.append([response(name) for name in names])
    store.intake.place(
        [placement(name) for name in names],
        {f"evt_{name}": [7, 8] for name in names},
        {f"evt_{name}": b"s" for name in names},
    )
    found = [row[0] for row in store.intake.candidates("sql", [7, 8])]
    assert found == [f"evt_{name}" for name in reversed(names)][:CANDIDATES]


def test_a_band_key_beyond_64_bits_is_refused(logged: Store) -> None:
    with pytest.raises(InputError, match="64 bits"):
        logged.intake.place([placement("a")], {"evt_a": [2**64]}, {"evt_a": b"x"})
    assert logged.intake.placement("evt_a") is None


def test_the_earliest_exact_match_is_found(logged: Store) -> None:
    logged.intake.place([placement("b", exact="h"), placement("a", exact="h")], {}, {})
    assert logged.intake.by_exact("sql", "h") == placement("a", exact="h")
    assert logged.intake.by_exact("erd", "h") is None


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    held=st.lists(st.sets(st.integers(0, 2**64 - 1) | st.integers(0, 5)), min_size=2, max_size=6),
    asked=st.sets(st.integers(0, 5), min_size=1),
)
def test_candidates_are_exactly_those_that_share_a_key(
    store: Store, held: list[set[int]], asked: set[int]
) -> None:
    start = store.log.last_seq()
    task = f"task {start}"
    names = [f"{start} {number}" for number in range(len(held))]
    store.log.append([response(name, task=task) for name in names])
    store.intake.place(
        [placement(name, task=task) for name in names],
        {f"evt_{name}": sorted(keys) for name, keys in zip(names, held, strict=True)},
        {f"evt_{name}": b"s" for name in names},
    )
    found = {row[0] for row in store.intake.candidates(task, sorted(asked))}
    sharing = {f"evt_{name}" for name, keys in zip(names, held, strict=True) if keys & asked}
    assert found == sharing
