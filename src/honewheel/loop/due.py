"""What the trigger asks of the store: what waits, what could be measured, what ran lately.

Counts are those of the build: a waiting example is a correction that would be a new row, read with
the same rules. The cost is that of what arrived since this process looked last (see waiting.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from honewheel import schedules
from honewheel.config import Config
from honewheel.curate import acceptance
from honewheel.errors import StoreBusy
from honewheel.loop import drift, intake, trigger
from honewheel.loop.trigger import Due, Panel, State
from honewheel.loop.waiting import Waiting
from honewheel.records import Cycle, Progress
from honewheel.store import Store

# The rate of false alarms, over all tasks of a model, each time somebody looks.
DRIFT_LEVEL = 0.002
DRIFT_ROWS = 400  # newest feedback rows on each side of the last cycle that are compared

Listener = Callable[[Progress], None]


def due(
    store: Store,
    config: Config,
    model: str,
    now: datetime,
    listen: Listener,
    waiting: Waiting | None = None,
) -> Due:
    """Whether a cycle of `model` is due at `now`; what has arrived is taken in first.

    Of a model with schedules, the answer of the first that is due, the deep one before the light
    one; when none is, both say why. Who looks often keeps a `waiting`, so that each look reads only
    what was said since the one before.

    Raises:
        ConfigError: quiet_hours or timezone cannot be read.
        StoreBusy: another process takes in what has arrived.
    """
    told = []
    for name in schedules.of(config.model(model)[1]):
        own = config.scheduled(model, name)
        seen = state(store, own, model, listen, name, waiting)
        found = trigger.due(seen, own.model(model)[1].trigger, now)
        told.append(replace(found, schedule=name))
        if found.fire:
            return told[-1]
    if told:
        return _neither(told)
    seen = state(store, config, model, listen, None, waiting)
    return trigger.due(seen, config.model(model)[1].trigger, now)


def _neither(told: Sequence[Due]) -> Due:
    """The answer of schedules of which none is due: that of the last, with all reasons."""
    reasons = tuple(f"{one.schedule}: {why}" for one in told for why in one.reasons)
    looks = [one.next_look for one in told if one.next_look is not None]
    return replace(told[-1], reasons=reasons, next_look=min(looks, default=None), schedule=None)


def state(
    store: Store,
    config: Config,
    model: str,
    listen: Listener,
    schedule: str | None = None,
    waiting: Waiting | None = None,
) -> State:
    """Everything the trigger decides on, read from the store.

    For the deep schedule light cycles do not count: what they learnt still waits for it. A deep
    cycle counts for the light one, since it takes in all there is.
    """
    settings = config.model(model)[1]
    without = "light" if schedule == "deep" else None
    unfinished = _unfinished(store, model)
    if unfinished != "running":  # a running cycle has taken in what there was
        intake.run(store, config, listen)
    last = store.trends.last_done(model, without=without)
    found = (waiting or Waiting()).look(store, config, model, last, schedule)
    counts = store.log.counts()["tasks"]
    most = settings.trigger.max_cycles_per_week or 1
    recent = store.cycles.list(model, most, without=without)
    ended = [cycle.finished_at or cycle.started_at for cycle in recent]
    return State(
        waiting=found.waiting,
        panel=_panel(store, config, model, last, found.prompts),
        recorded={task: counts[task]["feedback"] for task in settings.tasks if task in counts},
        drift=(*_drift(store, settings.tasks, last), *drift.confirmed(store, model)),
        starts=tuple(cycle.started_at for cycle in recent),
        ended=max(ended, default=None),
        done=last.finished_at if last else None,
        unfinished=unfinished,
        paused=_paused(store, model, settings.watch.cooldown_hours),
    )


def _paused(store: Store, model: str, hours: float) -> datetime | None:
    """Until when a rollback by the watch holds cycles back; None without one."""
    newest = next(iter(store.deployments.list(model, 1)), None)
    if newest is None or newest.ended != "rolled back" or newest.ended_at is None:
        return None
    return newest.ended_at + timedelta(hours=hours)


def _unfinished(store: Store, model: str) -> Literal["", "running", "cut short"]:
    """Whether a cycle is in progress: by the lock that the process turning it holds."""
    if store.cycles.running(model) is None:
        return ""
    try:
        with store.exclusive(f"cycle:{model}"):
            return "cut short"
    except StoreBusy:
        return "running"


def _panel(
    store: Store, config: Config, model: str, last: Cycle | None, new: Mapping[str, int]
) -> Panel:
    """The prompts that the next cycle will measure its gain on, if it trains the tasks of the last.

    A newcomer to a group that is in the panel already counts as one more: at worst the trigger
    asks for a few prompts too few.
    """
    settings = config.model(model)[1]
    decision = store.versions.decision(last.id) if last else None
    judged = {one.name for one in decision.tasks} if decision else set()
    tasks = judged & new.keys() or new.keys()
    measured = store.cycles.step(last.id, "evaluate") if last else None
    had = {one["suite"]: one["items"] for one in measured[1]["panels"]} if measured else {}
    size = config.settings.evaluate.panel_size
    rolling = sum(min(size, had.get(f"panel-{task}", 0) + new[task]) for task in tasks)
    frozen = [one for one in store.suites.list() if one.task in tasks and one.role == "panel"]
    primary = decision.primary if decision else None
    return Panel(
        prompts=rolling + sum(one.items for one in frozen),
        spread=primary.spread if primary else None,
        level=settings.gate.benefit_level,
        least=settings.gate.min_items,
    )


def _drift(store: Store, tasks: Sequence[str], last: Cycle | None) -> tuple[str, ...]:
    """Tasks whose outputs are accepted less since the last cycle than before it, in words."""
    if last is None:
        return ()
    found = []
    for task in tasks:
        before = _accepted(store, task, 0, last.as_of_seq)
        after = _accepted(store, task, last.as_of_seq, store.log.last_seq())
        p = acceptance.fall_p_value(before, after)
        if p is not None and p < DRIFT_LEVEL / len(tasks):  # Bonferroni: each task is a test
            old, new = acceptance.accepted_share(before), acceptance.accepted_share(after)
            found.append(
                f"users accept {100 * new:.0f} % of the {len(after)} newest outputs of {task} they "
                f"spoke of, {100 * old:.0f} % of {len(before)} before the last cycle (p {p:.2g})"
            )
    return tuple(found)


def _accepted(store: Store, task: str, after: int, up_to: int) -> list[float]:
    names = store.trends.newest_spoken_of(task, after, up_to, DRIFT_ROWS)
    values = (acceptance.acceptance(event) for event in store.log.events([task], up_to, names))
    return [value for value in values if value is not None]
