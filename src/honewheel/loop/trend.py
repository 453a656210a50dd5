"""A task over time: what each finished cycle measured, and what users said in the meantime.

One point a cycle. Scores are the challenger's on that cycle's held-out prompts, with the champion's
on the same prompts beside them: prompts change as the panel rolls, so two cycles' scores compare
only roughly, the two of one cycle item by item. A number nobody recorded is None.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Any

from honewheel.config import Config, from_frozen
from honewheel.curate import acceptance, generic
from honewheel.evaluate.metrics import mean
from honewheel.loop import proof
from honewheel.records import Comparison, Cycle, Decoding, EvalRow, Verdict
from honewheel.store import Store

SUCCESS = 0.7  # score from which an answer counts as a success
HARD = 0.7  # difficulty above which an example counts as hard
HEARD = 400  # newest feedback rows of an interval that its acceptance is read from


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One cycle of one task. Shares and scores are in [0, 1].

    `accepted` is the mean P(accept) of the outputs that feedback since the cycle before spoke of
    (`heard` of them); `newest` the challenger's score on the `late` prompts that were asked last
    (`evaluate.newest_days`); `seconds` and `tokens` what its answers took on average and `generic`
    the share of them that say nothing of their request; `hard` the share of new examples in the
    dataset with a difficulty above 0.7. `val_loss`, the lowest in nats a token,
    is over all tasks of the model.
    """

    cycle: str
    version: str
    verdict: Verdict | None
    at: datetime
    prompts: int
    score: float
    champion: float | None
    success: float
    valid: float
    accepted: float | None
    heard: int
    newest: float | None
    late: int
    seconds: float | None
    tokens: float | None
    generic: float | None
    hard: float | None
    val_loss: float | None
    schedule: str | None = None

    @property
    def perplexity(self) -> float | None:
        """Exp of the validation loss, where the family measures one."""
        return None if self.val_loss is None else math.exp(min(self.val_loss, 700.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """The newest cycles in which a task was measured, oldest first."""

    task: str
    points: tuple[Point, ...]


def trend(store: Store, config: Config, task: str, last: int) -> Trend:
    """At most `last` points of a task. Raises ConfigError (with a did-you-mean) on an unknown one.

    Costs a fixed number of indexed reads a point, however long the log is.
    """
    config.task(task)
    models = [name for name, model in config.settings.models.items() if task in model.tasks]
    reader = _Reader(store, config, task)
    found: list[Point] = []
    for model in models:
        cycles = store.trends.done(model, last + 1)
        began = [*(cycle.as_of_seq for cycle in cycles[1:]), 0]  # where the one before ended
        for cycle, after in zip(cycles[:last], began, strict=False):
            point = reader.point(cycle, after)
            if point is not None:
                found.append(point)
    newest = sorted(found, key=lambda point: (point.at, point.version))[-last:]
    return Trend(task=task, points=tuple(newest))


class _Reader:
    """Reads the points of one task, and each prompt only once."""

    def __init__(self, store: Store, config: Config, task: str) -> None:
        self.store, self.config, self.task = store, config, task
        self.asked: dict[tuple[str, str], tuple[str, Mapping[str, str]]] = {}  # prompt, context

    def point(self, cycle: Cycle, after: int) -> Point | None:
        """What a cycle measured on the task; None when it measured nothing of it."""
        evaluated = self.store.cycles.step(cycle.id, "evaluate")
        if evaluated is None:
            return None
        told = evaluated[1]
        rows = self._rows(cycle.id, told["challenger"])
        if not rows:
            return None
        champion = self._rows(cycle.id, told["champion"])
        values = self._accepted(after, cycle.as_of_seq)
        self._learn(rows, cycle.as_of_seq)
        late = self._newest(cycle.id)
        cost = self._cost(cycle, told["challenger"], rows)
        return Point(
            cycle=cycle.id,
            version=told["challenger"],
            verdict=cycle.verdict,
            at=cycle.finished_at or cycle.started_at,
            prompts=len(rows),
            score=mean(rows, "score"),
            champion=mean(champion, "score") if champion else None,
            success=share_above(rows, SUCCESS),
            valid=mean(rows, "valid"),
            accepted=fmean(values) if values else None,
            heard=len(values),
            newest=late.challenger if late else None,
            late=late.items if late else 0,
            seconds=cost.seconds if cost else None,
            tokens=cost.tokens if cost else None,
            generic=self._generic(rows),
            hard=self._hard(cycle.id),
            val_loss=self._val_loss(cycle.id),
            schedule=cycle.schedule,
        )

    def _rows(self, cycle: str, version: str) -> list[EvalRow]:
        found = self.store.versions.eval_rows(cycle, version)
        return [row for row in found if row.task == self.task]

    def _accepted(self, after: int, up_to: int) -> list[float]:
        """P(accept) of the newest outputs that the feedback in (after, up_to] speaks of."""
        names = self.store.trends.newest_spoken_of(self.task, after, up_to, HEARD)
        events = self.store.log.events([self.task], up_to, names)
        values = (acceptance.acceptance(event) for event in events)
        return [value for value in values if value is not None]

    def _learn(self, rows: Sequence[EvalRow], up_to: int) -> None:
        """Look up the prompts behind the rows: events of the panel, items of frozen suites."""
        missing = [row for row in rows if (row.suite, row.item) not in self.asked]
        panel = proof.rolling(self.task)
        names = [row.item for row in missing if row.suite == panel]
        for event in self.store.log.events([self.task], up_to, names):
            self.asked[panel, event.id] = event.response.prompt, event.response.context
        for suite in sorted({row.suite for row in missing} - {panel}):
            for item in self.store.suites.get(suite).items:
                self.asked[suite, item.id] = item.prompt, item.context

    def _newest(self, cycle: str) -> Comparison | None:
        """The gate's look at the newest prompts of the task."""
        decision = self.store.versions.decision(cycle)
        slices = decision.slices if decision else ()
        return next((one for one in slices if one.name == f"{self.task}/newest"), None)

    def _cost(self, cycle: Cycle, version: str, rows: Sequence[EvalRow]) -> proof.Cost | None:
        """What the answers took on average, from the cache of predictions."""
        model, _, number = version.rpartition("@")
        asked = self.store.versions.get(model, int(number))
        limit = from_frozen(cycle.config, self.config.root).settings.evaluate.max_new_tokens
        known = (self.asked.get((row.suite, row.item)) for row in rows)
        prompts = [proof.prompt_key(*one) for one in known if one is not None]
        return proof.mean_cost(self.store, asked, Decoding(max_new_tokens=limit), prompts)

    def _generic(self, rows: Sequence[EvalRow]) -> float | None:
        """Share of the answers that say nothing of their request."""
        said = [
            generic.Said(
                task=row.task, prompt=known[0], context=known[1], target=row.output, group=row.group
            )
            for row in rows
            if (known := self.asked.get((row.suite, row.item))) is not None
        ]
        return generic.share(said).get(self.task)

    def _hard(self, cycle: str) -> float | None:
        """Share of hard ones among the task's new examples; None where nobody measured any."""
        built = self.store.cycles.step(cycle, "build")
        if built is None:
            return None
        found = self.store.trends.difficulties(built[1]["dataset"], self.task)
        # 0.5 is what an example has of which nothing is known.
        if not found or all(value == 0.5 for value in found):
            return None
        return fmean(value > HARD for value in found)

    def _val_loss(self, cycle: str) -> float | None:
        trained = self.store.cycles.step(cycle, "train")
        points: Sequence[Mapping[str, Any]] = trained[1]["history"] if trained else ()
        losses = [row["val_loss"] for row in points if row.get("val_loss") is not None]
        return min(losses, default=None)


def share_above(rows: Sequence[EvalRow], least: float) -> float:
    """Share of rows with a score of at least `least`; 0.7 is reached by 7 of 10 facts."""
    return sum(row.metrics["score"] >= least - 1e-9 for row in rows) / len(rows)
