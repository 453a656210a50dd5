"""What waits for a cycle, kept between looks: a look reads only what was said since the one before.

Of a deep schedule a week or a month of feedback waits, and a worker looks every half minute. So a
process that looks again and again keeps what each event offered, and reads and judges anew only the
events that somebody spoke of meanwhile. What it keeps grows with the corrections that wait, by some
hundred bytes each, and goes when a cycle has taken them in. A process that looks once reads them
all.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from honewheel.config import Config
from honewheel.curate import panel, reward, rows, synthetic
from honewheel.curate.rows import Checker
from honewheel.loop import intake
from honewheel.loop.trigger import Sums
from honewheel.records import Cycle, Event
from honewheel.store import Store

Group: TypeAlias = tuple[str, str]  # (task, group of near-copies)


@dataclass(frozen=True, slots=True)
class Arrived:
    """What arrived since a cycle, by task: sums of what waits, and new prompts for the panel."""

    waiting: Mapping[str, Sums]
    prompts: Mapping[str, int]


class Waiting:
    """What waits, by model and schedule. Threads may share one; another process keeps its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str | None], _Kept] = {}

    def look(
        self, store: Store, config: Config, model: str, last: Cycle | None, schedule: str | None
    ) -> Arrived:
        """What arrived since `last`, the cycle that counts for `schedule`; None: since ever.

        Starts over when that is another cycle than before, when something was forgotten, and when
        the rules by which examples are taken have changed.
        """
        kinds = {name: task.kind for name, task in config.settings.tasks.items()}
        tasks = config.model(model)[1].tasks
        basis: list[Any] = [last.id if last else "", store.erasure.last(), tasks, kinds]
        basis.append(config.settings.curate)
        with self._lock:
            kept = self._kept.get((model, schedule))
            if kept is None or kept.basis != basis:
                kept = _Kept(config, tasks, basis, last.as_of_seq if last else 0)
                self._kept[model, schedule] = kept
            return kept.read(store)


@dataclass
class _Kept:
    """What each event offers, by its id, with all that was said up to log number `seq`."""

    config: Config
    tasks: tuple[str, ...]
    basis: list[Any]
    seq: int
    new: dict[str, tuple[Group, datetime]] = field(default_factory=dict)  # a correction to train on
    held: dict[str, set[Group]] = field(default_factory=dict)  # a prompt for the test panel
    unplaced: set[str] = field(default_factory=set)  # spoken of before intake placed them
    found: Arrived | None = None  # of what is kept

    def read(self, store: Store) -> Arrived:
        """Take in what was said since the last look; what arrived with it."""
        up_to, check = store.log.last_seq(), intake.checker(self.config)
        fresh = set(self.unplaced)
        for page in store.trends.spoken_of(self.tasks, self.seq, up_to):
            fresh.update(page)
        for event in store.log.events(self.tasks, up_to, sorted(fresh)) if fresh else ():
            self._put(event, check)
        self.seq = up_to
        if self.found is None:
            self.found = Arrived(self._sums(), self._prompts())
        return self.found

    def _put(self, event: Event, check: Checker) -> None:
        """What an event offers now, in place of what it offered before."""
        self.found = None
        for kept in (self.new, self.held):
            kept.pop(event.id, None)
        self.unplaced.discard(event.id)
        curate = self.config.settings.curate
        if event.placement is None:
            self.unplaced.add(event.id)
        elif event.placement.split == "test":
            items = panel.panel(
                [event],
                check=check,
                size=None,
                min_value=curate.min_value,
                exclude_sources=curate.unheard,
            )
            if items:
                self.held[event.id] = {(item.task, item.group) for item in items}
        else:
            # The new training row that an event offers, by the rules of the build.
            offered, _ = rows.gather(
                [event],
                checks=check,
                min_value=curate.min_value,
                used=frozenset(),
                exclude_sources=curate.unheard,
            )
            for row in filter(_waits, offered):
                self.new[event.id] = (row.example.task, row.example.group), row.at

    def _sums(self) -> dict[str, Sums]:
        """Sums by task. Only ratios of weights matter, so the newest of all has weight 1."""
        half_life = self.config.settings.curate.half_life_days
        days = math.inf if half_life == "auto" else half_life  # "auto" is settled by the build
        newest: dict[Group, datetime] = {}
        oldest: dict[Group, datetime] = {}
        for group, at in self.new.values():
            newest[group] = max(at, newest.get(group, at))
            oldest[group] = min(at, oldest.get(group, at))
        latest = max(newest.values(), default=None)
        found: dict[str, Sums] = {}
        for group in sorted(newest):
            assert latest is not None
            age = (latest - newest[group]) / timedelta(days=1)
            weight = reward.weight(age, days, copies=0)
            found[group[0]] = found.get(group[0], Sums()).add(weight, oldest[group])
        return found

    def _prompts(self) -> dict[str, int]:
        """New prompts for the test panel, by task."""
        groups = set[Group]().union(*self.held.values())
        return {task: sum(name == task for name, _ in groups) for task in self.tasks}


def _waits(row: rows.Row) -> bool:
    """Whether a row is something new to learn that somebody said: made-up rows make nothing due."""
    said = row.corrected and not row.source.startswith(synthetic.SOURCE)
    return said and row.example.split == "train"
