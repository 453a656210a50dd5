"""Drift: what users accept, or what is valid, falls while the champion stays. Look, then learn.

An alarm says that the stream changed, not that new weights would help: users may want something
else, or a judge may have changed. So an alarm first has the champion measured on the newest
held-out prompts (a job of kind "measure"), and only a fall there makes a cycle due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from honewheel.config import Config
from honewheel.curate import acceptance
from honewheel.evaluate.adwin import Adwin
from honewheel.loop import intake, proof
from honewheel.loop.outcomes import heard_before
from honewheel.loop.registry import find
from honewheel.records import Decoding, Event, Progress
from honewheel.store import Store
from honewheel.store.jobs import Job

MEASURE = "measure"
DELTA = 0.002  # over all streams of a model
NEWEST = 2_000  # responses of a task that are looked at
FALL = 0.05  # p-value below which the champion's score fell


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A stream that fell after the last cycle; `seq` is the response that showed it."""

    task: str
    measure: str  # "acceptance" or "validity"
    seq: int
    before: float
    after: float

    @property
    def told(self) -> str:
        """The alarm in words."""
        was, now = 100 * self.before, 100 * self.after
        return f"{self.measure} of {self.task} fell from {was:.0f} to {now:.0f} % (ADWIN)"


def alarms(store: Store, config: Config, model: str) -> list[Alarm]:
    """Streams of a model's tasks that fell since its last finished cycle, by task.

    A pure function of the log: the newest NEWEST responses of each task that were spoken of, in
    their order. No alarm before the first cycle.
    """
    last = store.trends.last_done(model)
    if last is None:
        return []
    tasks = config.model(model)[1].tasks
    found = []
    for task in tasks:
        events = _newest(store, task)
        streams = {
            "acceptance": _accepted(config, events),
            "validity": ((one.seq, float(one.placement.check.valid)) for one in _made(events)),
        }
        for measure, stream in streams.items():
            fell = _fall(stream, DELTA / (2 * len(tasks)), last.as_of_seq)
            if fell is not None:
                seq, before, after = fell
                found.append(Alarm(task=task, measure=measure, seq=seq, before=before, after=after))
    return found


def _newest(store: Store, task: str) -> list[Event]:
    up_to = store.log.last_seq()
    names = store.trends.newest_spoken_of(task, 0, up_to, NEWEST)
    return list(store.log.events([task], up_to, names))


def _made(events: Sequence[Event]) -> Iterator[Any]:
    """Events that a model answered and intake has checked."""
    return (one for one in events if one.placement is not None and not one.response.demonstration)


def _accepted(config: Config, events: Sequence[Event]) -> Iterator[tuple[int, float]]:
    for event in events:
        value = acceptance.acceptance(heard_before(config, event, None))
        if value is not None:
            yield event.seq, float(value >= acceptance.ACCEPTED)


def _fall(
    stream: Iterator[tuple[int, float]], delta: float, after: int
) -> tuple[int, float, float] | None:
    """(number, mean before, mean after) of the newest fall that showed after a log number."""
    window, found = Adwin(delta), None
    for seq, value in stream:
        change = window.add(value)
        if change is not None and seq > after:
            found = (seq, change.before, change.after) if change.after < change.before else None
    return found


def to_measure(store: Store, config: Config, model: str) -> list[Alarm]:
    """Alarms that no measurement has looked at yet."""
    newest = _last(store, model)
    seen = newest.asked["seq"] if newest else 0
    return [one for one in alarms(store, config, model) if one.seq > seen]


def confirmed(store: Store, model: str) -> list[str]:
    """Alarms since the last cycle for which the champion's score fell, in words."""
    newest, last = _last(store, model), store.trends.last_done(model)
    if newest is None or newest.result is None or newest.result.get("verdict") != "fell":
        return []
    if last is not None and newest.asked["seq"] <= last.as_of_seq:
        return []
    return [f"{'; '.join(newest.asked['alarms'])}, and {newest.result['why']}"]


def _last(store: Store, model: str) -> Job | None:
    jobs = (one for one in store.jobs.list(100, model) if one.kind == MEASURE)
    return next((one for one in jobs if one.state != "cancelled"), None)


def measure(
    store: Store, config: Config, model: str, listen: Callable[[Progress], None]
) -> dict[str, Any]:
    """The champion on the newest held-out prompts against those its cycle had: did it fall?

    `verdict` is "fell", "held" or "too few" (fewer than 30 prompts on one side).
    """
    intake.run(store, config, listen)
    champion = find(store, config, model)
    cycle = store.cycles.get(champion.cycle) if champion.cycle else None
    since = cycle.as_of_seq if cycle else 0
    suites = proof.panels(store, config, model, store.log.last_seq(), ())
    decoding = Decoding(max_new_tokens=config.settings.evaluate.max_new_tokens)
    rows = proof.score(store, config, champion, suites, decoding, listen)
    names = [row.item for row in rows]
    seqs = {one.id: one.seq for one in store.log.events(None, store.log.last_seq(), names)}
    sides: dict[bool, list[float]] = {False: [], True: []}
    for row in rows:
        sides[seqs[row.item] > since].append(row.metrics["score"])
    old, new = sides[False], sides[True]
    p = acceptance.fall_p_value(old, new)
    if p is None:
        why = f"{len(new)} new and {len(old)} earlier held-out prompts are too few to compare"
        return {"verdict": "too few", "why": why}
    shares = [100 * acceptance.accepted_share(side) for side in (old, new)]
    why = (
        f"{champion.name} reaches half of the points on {shares[1]:.0f} % of {len(new)} new held-"
        f"out prompts, {shares[0]:.0f} % of {len(old)} earlier ones (p {p:.2g})"
    )
    return {"verdict": "fell" if p < FALL else "held", "why": why}
