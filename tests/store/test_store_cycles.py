from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from store_records import AT

from honewheel.errors import InputError, NotFound, StoreBusy, StoreError
from honewheel.records import Cycle
from honewheel.store import Store


def cycle(number: int, **changes: object) -> Cycle:
    fields = {
        "id": f"cyc_{changes.get('model', 'artifacts')}_{number}",
        "model": "artifacts",
        "number": number,
        "state": "running",
        "as_of": AT,
        "as_of_seq": 10 * number,
        "config": {"rate": 0.002, "tasks": ["sql"]},
        "started_at": AT + timedelta(minutes=number),
    }
    return Cycle(**fields | changes)


def test_a_cycle_is_journaled_while_it_runs(store: Store) -> None:
    assert store.cycles.running("artifacts") is None
    store.cycles.start(cycle(1))
    store.cycles.start(cycle(1))
    assert store.cycles.running("artifacts") == store.cycles.get("cyc_artifacts_1") == cycle(1)
    assert store.cycles.running("other") is None


def test_a_finished_cycle_tells_how_it_ended(store: Store) -> None:
    store.cycles.start(cycle(1))
    later = AT + timedelta(hours=1)
    for _ in range(2):
        store.cycles.finish("cyc_artifacts_1", "done", "promote", None, later)
    ended = replace(cycle(1), state="done", verdict="promote", finished_at=later)
    assert store.cycles.get("cyc_artifacts_1") == ended
    assert store.cycles.running("artifacts") is None
    with pytest.raises(StoreError, match="ended already as done"):
        store.cycles.finish("cyc_artifacts_1", "failed", None, "boom", later)
    with pytest.raises(StoreError, match="too late"):
        store.cycles.save_step("cyc_artifacts_1", "train", "k", {}, later)
    assert store.cycles.get("cyc_artifacts_1") == ended


def test_one_cycle_of_a_model_runs_at_a_time(store: Store) -> None:
    store.cycles.start(cycle(1))
    store.cycles.start(cycle(1, model="other"))
    with pytest.raises(StoreBusy, match="Cycle 1 of 'artifacts' is not finished"):
        store.cycles.start(cycle(2))
    store.cycles.finish("cyc_artifacts_1", "failed", None, "out of memory", AT)
    store.cycles.start(cycle(2))


def test_a_number_and_an_id_are_used_once(store: Store) -> None:
    store.cycles.start(cycle(1))
    store.cycles.finish("cyc_artifacts_1", "done", "reject", None, AT)
    for taken in (cycle(1), cycle(1, id="cyc_new"), cycle(2, id="cyc_artifacts_1")):
        with pytest.raises(InputError, match="journaled already"):
            store.cycles.start(taken)
    with pytest.raises(InputError, match="starts as running"):
        store.cycles.start(cycle(2, state="done"))


def test_numbers_count_up_per_model(store: Store) -> None:
    assert store.cycles.next_number("artifacts") == 1
    store.cycles.start(cycle(1))
    assert store.cycles.next_number("artifacts") == 2
    assert store.cycles.next_number("other") == 1


def test_cycles_are_listed_newest_first(store: Store) -> None:
    for number in (1, 2, 3):
        store.cycles.start(cycle(number))
        store.cycles.finish(f"cyc_artifacts_{number}", "done", "reject", None, AT)
    store.cycles.start(cycle(1, model="other"))
    assert [each.number for each in store.cycles.list("artifacts", limit=2)] == [3, 2]
    assert len(store.cycles.list(None, limit=9)) == 4


def test_a_step_is_met_again_with_its_key(store: Store) -> None:
    store.cycles.start(cycle(1))
    assert store.cycles.step("cyc_artifacts_1", "build") is None
    output = {"dataset": "abc", "rows": [1, 2.5, None, True], "note": "\0 \ud800"}
    store.cycles.save_step("cyc_artifacts_1", "build", "key1", output, AT)
    store.cycles.save_step("cyc_artifacts_1", "train", "key1", None, AT)
    assert store.cycles.step("cyc_artifacts_1", "build") == ("key1", output)
    assert store.cycles.step("cyc_artifacts_1", "train") == ("key1", None)
    store.cycles.save_step("cyc_artifacts_1", "build", "key2", [], AT)
    assert store.cycles.step("cyc_artifacts_1", "build") == ("key2", [])


def test_a_step_never_holds_nan(store: Store) -> None:
    store.cycles.start(cycle(1))
    with pytest.raises(InputError, match="finite"):
        store.cycles.save_step("cyc_artifacts_1", "train", "k", {"loss": math.nan}, AT)
    assert store.cycles.step("cyc_artifacts_1", "train") is None


def test_an_unknown_cycle_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound, match="cyc_x"):
        store.cycles.get("cyc_x")
    with pytest.raises(NotFound):
        store.cycles.save_step("cyc_x", "train", "k", {}, AT)
    with pytest.raises(NotFound):
        store.cycles.finish("cyc_x", "done", "reject", None, AT)
