"""What became of events is written where it changes, and read back for every dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from store_records import AT, dataset, example

from honewheel.records import Cycle, Dataset, Dropped
from honewheel.store import Store, fates, open_store


def turn(store: Store, number: int, model: str = "m") -> str:
    """A running cycle becomes a finished one; returns its id."""
    name = f"{model}-{number}"
    store.cycles.start(
        Cycle(
            id=name,
            model=model,
            number=number,
            state="running",
            as_of=AT,
            as_of_seq=number,
            config={},
            started_at=AT,
        )
    )
    store.cycles.finish(name, "done", "reject", None, AT)
    return name


def sealed(
    store: Store, number: int, left_out: dict[str, tuple[str, str]], model: str = "m"
) -> str:
    """The hash of a dataset that leaves these events out."""
    dropped = [Dropped(event=event, reason=r, detail=d) for event, (r, d) in left_out.items()]
    plain = dataset(example(f"{model}{number}"))
    found = Dataset(hash=plain.hash, train=plain.train, val=(), dropped=tuple(dropped))
    store.datasets.seal(found, turn(store, number, model), number)
    return found.hash


def rows(store: Store) -> int:
    with store._db.read() as connection:
        return int(connection.scalar(text("SELECT COUNT(*) FROM fate")) or 0)


def told(store: Store, name: str) -> dict[str, tuple[str, str]]:
    return {one.event: (one.reason, one.detail) for one in store.datasets.dropped(name)}


def test_only_what_changed_is_written(store: Store) -> None:
    many = {f"evt_{n:04d}": ("held out (test)", f"group g_{n}") for n in range(1_500)}
    first = sealed(store, 1, many)
    assert rows(store) == 1_500
    later = many | {"evt_0003": ("conflict", "with evt_0004"), "evt_9999": ("no feedback", "")}
    del later["evt_0007"]
    second = sealed(store, 2, later)
    assert rows(store) == 1_503
    third = sealed(store, 3, later)
    assert rows(store) == 1_503
    fourth = sealed(store, 4, many)
    assert rows(store) == 1_506
    for name, said in ((first, many), (second, later), (third, later), (fourth, many)):
        assert told(store, name) == said
    assert store.datasets.left_out(second, "evt_0007") is None
    assert store.datasets.left_out(fourth, "evt_0007") is not None
    assert store.datasets.left_out(first, "evt_9999") is None


def test_a_number_that_all_of_them_share_is_written_once_a_dataset(store: Store) -> None:
    def drawn(known: int) -> dict[str, tuple[str, str]]:
        sentence = f"85 of {known:,} known rows were drawn"
        return {f"evt_{n:04d}": ("not replayed", sentence) for n in range(fates.SHARED)}

    names = [sealed(store, number, drawn(1_000 * number)) for number in (1, 2, 3)]
    assert rows(store) == fates.SHARED
    for number, name in enumerate(names, start=1):
        assert told(store, name) == drawn(1_000 * number)
        one = store.datasets.left_out(name, "evt_0001")
        assert one is not None
        assert one.detail == f"85 of {number},000 known rows were drawn"


def test_reasons_are_counted_with_the_first_events_of_each(store: Store) -> None:
    name = sealed(
        store, 1, {"a": ("x", "1"), "b": ("y", "2"), "c": ("y", ""), "d": ("y", ""), "e": ("y", "")}
    )
    found = store.datasets.reasons(name)
    assert [(one.reason, one.count) for one in found] == [("y", 4), ("x", 1)]
    assert [item.event for item in found[0].examples] == ["b", "c", "d"]
    assert found[1].examples == (Dropped(event="a", reason="x", detail="1"),)


def test_models_do_not_speak_for_each_other(store: Store) -> None:
    one = sealed(store, 1, {"a": ("x", "")}, "one")
    other = sealed(store, 1, {}, "other")
    assert (told(store, one), told(store, other)) == ({"a": ("x", "")}, {})


@pytest.fixture
def one_store(sqlite_url: str, files_root: Path) -> Iterator[Store]:
    with open_store(sqlite_url, files_root) as opened:
        yield opened


_details = st.sampled_from(["", "of 1", "of 2", "value 0.5 is below 0.7"])
_left_out = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.sampled_from("xy"), _details), max_size=6
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.lists(_left_out, min_size=1, max_size=5))
def test_every_dataset_tells_what_it_was_sealed_with(
    changes: list[dict[str, tuple[str, str]]], one_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fates, "SHARED", 2)
    model = f"m{len(one_store.datasets.list())}"
    names = [sealed(one_store, n, said, model) for n, said in enumerate(changes, start=1)]
    for name, said in zip(names, changes, strict=True):
        assert told(one_store, name) == said
        for event in "abcdef":
            one = one_store.datasets.left_out(name, event)
            assert (one and (one.reason, one.detail)) == said.get(event)
