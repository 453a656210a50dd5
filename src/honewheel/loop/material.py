"""The cycle's first step: everything known at `as_of` becomes one sealed dataset."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from honewheel.config import Config
from honewheel.curate import build
from honewheel.curate.build import Built
from honewheel.loop import intake, proof
from honewheel.loop.start import FROM_BASE, Start
from honewheel.loop.turn import Turn
from honewheel.records import Event, Item, Json, Progress, Suite, Version, count
from honewheel.store import Store


@dataclass(frozen=True, slots=True)
class Logged:
    """The events of some tasks up to a sequence number, read page by page each time."""

    store: Store
    tasks: Sequence[str]
    up_to: int

    def __iter__(self) -> Iterator[Event]:
        return self.store.log.events(self.tasks, self.up_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a dataset is built of, and what it must not touch."""

    events: Logged
    held_out: Sequence[Item]
    suites: Sequence[Suite]  # frozen ones; their items are in `held_out` too
    champion: str | None  # version whose failures tell what is hard
    learnt: frozenset[str]  # events it was trained on
    released: frozenset[str]  # events that the scans must not hold, by a person's word
    rejected: frozenset[str]  # events that must not train: dropped by a person, held by the watch
    used: frozenset[str]  # examples that the weights have learnt which training starts from


def gather(
    store: Store,
    config: Config,
    model: str,
    champion: Version | None,
    as_of_seq: int,
    as_of: datetime,
    listen: Callable[[Progress], None],
    begin: Start = FROM_BASE,
) -> Material:
    """Take in what is new, then everything of a model's tasks that was known then.

    `begin` is what the training starts from: the base has to be shown everything.
    """
    rulings = store.held.rulings(as_of)
    intake.run(store, config, listen=listen)
    suites = proof.frozen(store, config, model)
    held_out = [item for suite in suites for item in suite.items]
    held_out += proof.held_back(store, config, model, as_of_seq)
    past = store.versions.ancestry(champion) if champion else ()
    learnt = (store.datasets.shown_events(one.dataset) for one in past if one.dataset)
    return Material(
        events=Logged(store, config.model(model)[1].tasks, as_of_seq),
        held_out=held_out,
        suites=suites,
        champion=champion.name if champion else None,
        learnt=frozenset[str]().union(*learnt),
        released=frozenset(name for name, one in rulings.items() if one.verdict == "release"),
        rejected=frozenset(name for name, one in rulings.items() if one.verdict != "release"),
        used=begin.learnt,
    )


def make(material: Material, config: Config, as_of: datetime) -> Built:
    """The dataset of this material under these settings. Raises NotEnoughData."""
    with _uncollected():
        return _made(material, config, as_of)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the cycle collector, which would walk a million live records again and again.

    None of them is part of a cycle, so memory is given back as ever.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _made(material: Material, config: Config, as_of: datetime) -> Built:
    return build.build(
        material.events,
        as_of=as_of,
        settings=build.Settings(**config.settings.curate.model_dump()),
        held_out=material.held_out,
        used=material.used,
        checks=intake.checker(config),
        kinds={name: task.kind for name, task in config.settings.tasks.items()},
        learnt=material.learnt,
        champion=material.champion,
        released=material.released,
        rejected=material.rejected,
    )


def seal(turn: Turn, champion: Version, begin: Start) -> dict[str, Any]:
    """The journaled step: gather, make, and keep the dataset for good."""
    cycle = turn.cycle
    inputs: Json = [cycle.as_of_seq, cycle.as_of.isoformat(), build.VERSION]

    def work() -> Json:
        material = gather(
            turn.store,
            turn.config,
            turn.model,
            champion,
            cycle.as_of_seq,
            cycle.as_of,
            turn.listen,
            begin,
        )
        built = make(material, turn.config, cycle.as_of)
        turn.store.datasets.seal(built.dataset, cycle.id, cycle.as_of_seq)
        summary = _summary(built)
        # What judges is fixed before training: a suite that comes later may hold training rows.
        return summary | {"suites": [[suite.name, suite.hash] for suite in material.suites]}

    turn.say("build")
    found = dict(turn.journal.step("build", inputs, work))
    turn.say("build", _message(found), done=True)
    for note in found["notes"]:
        turn.listen(Progress(stage="note", step=0, total=0, message=note))
    return found


def training_settings(config: Config, model: str) -> dict[str, Json]:
    """Every hyperparameter of a training; in stages, the family is told that they may open early.

    A curriculum by competence needs no word: each example carries its `since`.
    """
    settings = config.hyperparameters(model)
    if config.settings.curate.curriculum == "stages":
        return settings | {"curriculum": "stages"}
    return settings


def _summary(built: Built) -> dict[str, Json]:
    dataset = built.dataset
    roles = Counter(row.role for row in dataset.train if not row.variant)
    return {
        "dataset": dataset.hash,
        "events": built.events,
        "new": roles["new"],
        "replay": roles["replay"],
        "val": len(dataset.val),
        "simulated": sum(row.simulated for row in dataset.train),
        "tasks": list(dataset.tasks),
        "dropped": dict(Counter(item.reason for item in dataset.dropped)),
        "copies": sum(bool(row.variant) for row in dataset.train),
        "pairs": len(dataset.pairs),
        "rated": len(dataset.rated),
        "notes": list(built.notes),
    }


def _message(found: dict[str, Any]) -> str:
    dropped = ", ".join(f"{rows:,} {reason}" for reason, rows in sorted(found["dropped"].items()))
    text = (
        f"{count(found['events'], 'event')} -> {count(found['new'], 'new example')}, "
        f"{found['replay']:,} replayed, {found['val']:,} to val"
    )
    text += f", {found['copies']:,} renamed copies" if found["copies"] else ""
    text += f", {count(found['pairs'], 'pair')}" if found["pairs"] else ""
    return f"{text}; not used: {dropped}" if dropped else text
