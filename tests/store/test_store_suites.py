from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from store_records import AT, suite

from honewheel.errors import InputError, NotFound
from honewheel.store import Store


def test_a_suite_is_read_back_whole_and_listed_without_items(store: Store) -> None:
    store.suites.add(suite("z"), AT)
    store.suites.add(suite("a", items=2, role="panel"), AT)
    assert store.suites.get("z") == suite("z")
    assert [(each.name, each.items, each.role) for each in store.suites.list()] == [
        ("a", 2, "panel"),
        ("z", 3, "guard"),
    ]
    (_, summary) = store.suites.list()
    assert (summary.hash, summary.imported_at) == (suite("z").hash, AT)


def test_the_same_suite_again_changes_nothing(store: Store) -> None:
    store.suites.add(suite(), AT)
    store.suites.add(suite(), AT + timedelta(days=1))
    (summary,) = store.suites.list()
    assert summary.imported_at == AT


@pytest.mark.parametrize("other", [suite(items=4), suite(role="panel"), suite(task="erd")])
def test_a_name_stands_for_one_content(store: Store, other) -> None:
    store.suites.add(suite(), AT)
    with pytest.raises(InputError, match="'legacy' exists with other content"):
        store.suites.add(other, AT)
    assert store.suites.get("legacy") == suite()


def test_items_of_a_task_come_from_all_its_suites(store: Store) -> None:
    store.suites.add(suite("one"), AT)
    store.suites.add(suite("two", items=2), AT + timedelta(days=1))
    store.suites.add(suite("erd", task="erd"), AT)
    assert store.suites.items("sql") == [*suite("one").items, *suite("two", items=2).items]
    assert store.suites.items("text") == []


def test_a_removed_suite_is_gone(store: Store) -> None:
    store.suites.add(suite(), AT)
    store.suites.remove("legacy")
    assert store.suites.list() == []
    assert store.suites.items("sql") == []
    for ask in (store.suites.get, store.suites.remove):
        with pytest.raises(NotFound, match="No suite 'legacy'"):
            ask("legacy")


def test_suites_that_could_not_be_measured_are_refused(store: Store) -> None:
    twice = suite(items=1).items * 2
    nul = replace(suite().items[0], reference="a\0")
    for items, why in ((twice, "more than once"), ((), "no items"), ((nul,), "NUL")):
        with pytest.raises(InputError, match=why):
            store.suites.add(replace(suite(), items=items), AT)
    assert store.suites.list() == []
