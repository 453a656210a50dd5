"""What waits is kept between looks: as read anew, at a cost that history does not change."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

import wheels
from honewheel.loop import drift, due
from honewheel.loop.waiting import Arrived, Waiting

FLAGS = ("models.artifacts.schedules.deep.trigger.every_days=7",)


@pytest.fixture
def wheel(tmp_path: Path) -> Iterator[Any]:
    with wheels.open_wheel(wheels.project(tmp_path / "acme"), *FLAGS) as opened:
        yield opened


def more(wheel: Any, n: int, seed: int) -> None:
    path = wheel.config.root / f"{seed}.jsonl"
    wheel.import_file(wheels.write_jsonl(path, wheels.feedback(n, seed=seed)))


def look(wheel: Any, kept: Waiting | None = None) -> Arrived:
    due.state(wheel.store, wheel.config, "artifacts", lambda _: None, "deep")  # takes rows in
    last = wheel.store.trends.last_done("artifacts", without="light")
    return (kept or Waiting()).look(wheel.store, wheel.config, "artifacts", last, "deep")


def work(wheel: Any, act: Callable[[], object]) -> tuple[int, int]:
    """(statements, virtual machine instructions in tens) that SQLite runs for `act`."""
    engine, counts = wheel.store._db._engine, [0, 0]

    def statement(*_: object) -> None:
        counts[0] += 1

    def instructions() -> int:
        counts[1] += 1
        return 0

    def checkout(connection: Any, *_: object) -> None:
        connection.set_progress_handler(instructions, 10)

    def checkin(connection: Any, *_: object) -> None:
        connection.set_progress_handler(None, 0)

    told: dict[str, Callable[..., Any]] = {
        "before_cursor_execute": statement,
        "checkout": checkout,
        "checkin": checkin,
    }
    for name, hears in told.items():
        event.listen(engine, name, hears)
    try:
        act()
    finally:
        for name, hears in told.items():
            event.remove(engine, name, hears)
    return counts[0], counts[1]


def test_a_look_costs_the_same_however_much_waits_for_the_deep_cycle(
    wheel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    whole = wheel.store.log.events

    def events(*asked: Any, **named: Any) -> Iterator[Any]:
        for found in whole(*asked, **named):
            read.append(found.id)
            yield found

    monkeypatch.setattr(wheel.store.log, "events", events)
    costs, waiting = [], []
    for seed, n in enumerate((50, 400)):
        more(wheel, n, seed)
        waiting.append(wheel.due().examples)
        assert len(read) == 2 * n
        read.clear()
        costs.append(work(wheel, wheel.due))
        assert not read
        more(wheel, 3, 10 + seed)
        wheel.due()
        assert len(read) == 6  # what came since, and nothing else
        read.clear()
    assert waiting[1] > 7 * waiting[0]
    (statements, steps), later = costs  # at 100 events and at 900
    assert later[0] == statements
    assert later[1] == pytest.approx(steps, rel=0.1)
    assert work(wheel, lambda: look(wheel))[1] > 5 * later[1]  # what reading anew takes


def test_a_worker_keeps_what_it_has_read(wheel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "to_measure", lambda *_: [])
    more(wheel, 40, 0)
    assert not wheel.due().fire  # too few held-out prompts: it goes on waiting
    read: list[int] = []
    whole = wheel.store.trends.spoken_of

    def spoken_of(tasks: Any, after: int, up_to: int) -> Any:
        read.append(up_to - after)
        return whole(tasks, after, up_to)

    monkeypatch.setattr(wheel.store.trends, "spoken_of", spoken_of)
    assert wheel.work(once=True) == 0
    assert read == [0]


def test_what_is_kept_is_what_reading_anew_gives(wheel: Any) -> None:
    kept, rng = Waiting(), random.Random(4)
    names = [row["id"] for seed in (0, 1) for row in wheels.feedback(20, seed=seed)]
    for turn in range(12):
        if turn in (0, 5):
            more(wheel, 20, min(turn, 1))
        known = [name for name in names if turn >= 5 or not name.startswith(("evt_e1", "evt_d1"))]
        for name in rng.sample(known, 4):
            said = rng.choice(({"thumb": 0}, {"thumb": 1}, {"correction": wheels.ddl(rng)}))
            wheel.record(response=name, source=f"{rng.choice('ab')}{turn}", **said)
        assert look(wheel, kept) == look(wheel)
    before = look(wheel, kept)
    wheel.forget(source="ana", reason="asked for", by="dora")
    assert look(wheel, kept) == look(wheel) != before


def test_an_event_that_intake_has_not_placed_waits_to_be_read_again(wheel: Any) -> None:
    more(wheel, 20, 0)
    kept = Waiting()
    empty = kept.look(wheel.store, wheel.config, "artifacts", None, "deep")
    assert not empty.waiting
    assert look(wheel, kept).waiting["erd"].count > 10
    assert look(wheel, kept) == look(wheel)


def test_other_rules_start_over(wheel: Any) -> None:
    more(wheel, 20, 0)
    kept = Waiting()
    assert look(wheel, kept).waiting
    with wheels.open_wheel(wheel.config.root, 'curate.exclude_sources=["ana"]') as other:
        assert not kept.look(other.store, other.config, "artifacts", None, "deep").waiting
