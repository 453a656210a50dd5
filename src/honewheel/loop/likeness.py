"""A full report on a version of a similarity model, beyond what a cycle decides on.

The cycle decides on one number; this room answers what people ask next: which pairs flipped, what
happens on hard ones or on labels that were never trained on, and where to put the threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from honewheel import plugins
from honewheel.config import Config
from honewheel.curate import pair_difficulty
from honewheel.errors import ConfigError, NotEnoughData
from honewheel.evaluate import pairs
from honewheel.evaluate.compare import compare
from honewheel.evaluate.setwise import Statistic
from honewheel.loop import diagnosis, intake, proof, registry
from honewheel.loop.turn import Listener
from honewheel.protocols import ScoresSets
from honewheel.records import EvalRow, Item, Suite, Version, as_dict
from honewheel.store import Store
from honewheel.tasks.similarity import Similarity


def task_of(config: Config, task: str | None) -> str:
    """The task of kind similarity called `task`, or the only one. Raises ConfigError."""
    fitting = [
        name
        for name, one in config.settings.tasks.items()
        if isinstance(plugins.task(one.kind), Similarity)
    ]
    if task is None and len(fitting) == 1:
        return fitting[0]
    known = ", ".join(sorted(fitting)) or 'none: add [tasks.NAME] with kind = "similarity"'
    if task is None:
        raise ConfigError(f"Which task? Of kind similarity are defined: {known}.")
    if task not in fitting:
        raise ConfigError(f"{task!r} is no task of kind similarity; defined: {known}.")
    return task


def model_of(config: Config, task: str) -> str:
    """The registered model that has this task. Raises ConfigError."""
    found = [name for name, model in config.settings.models.items() if task in model.tasks]
    if len(found) != 1:
        raise ConfigError(
            f"The task {task} belongs to {', '.join(sorted(found)) or 'no model'}; a report is of "
            "one: list it under the tasks of one model."
        )
    return found[0]


def report(
    store: Store,
    config: Config,
    task: str,
    *,
    version: str | None,
    against: str | None,
    suite: str | None,
    now: datetime,
    listen: Listener,
) -> dict[str, Any]:
    """Everything measurable of a version (default: the champion) on the task's held-out pairs.

    `suite` names a frozen suite instead of the task's panels; `against` another version, for the
    paired difference and the flips. Thresholds are those of the validation pairs.

    Raises:
        NotEnoughData: there is no held-out pair.
        NotFound: no such version or suite.
    """
    model = model_of(config, task)
    registry.ensure_champion(store, config, model, now)
    one = registry.find(store, config, version or model)
    base = store.versions.get(model, 0)
    other = registry.find(store, config, against) if against else base
    intake.run(store, config, listen=listen)
    items = _items(store, config, task, suite)
    dev = proof.dev(store, config, task, store.log.last_seq())
    rows = {
        name.name: diagnosis.score(store, config, name, task, [*items, *dev], listen)
        for name in (one, other, base)
    }
    held = {name: found[: len(items)] for name, found in rows.items()}
    limits = {name: pairs.threshold(found[len(items) :]) for name, found in rows.items()}
    by_id = {item.id: item for item in items}
    labels = _trained_labels(store, one)
    return {
        "task": task,
        "version": one.name,
        "against": other.name,
        "dev_pairs": len(dev),
        "difficulty": _difficulty(store, one, items),
        "thresholds": {name: limits[name] for name in (one.name, other.name)},
        "scores": {
            name: asdict(pairs.scores(held[name], by_id, limits[name]))
            for name in (one.name, other.name)
        },
        "slices": {
            part: asdict(pairs.scores(found, by_id, limits[one.name]))
            for part, found in pairs.slices(held[one.name], held[base.name], by_id, labels).items()
        },
        "difference": _difference(config, task, held[one.name], held[other.name]),
        "flips": _flips(one, other, held, limits, by_id),
    }


def suites(store: Store, config: Config, task: str, suite: str | None) -> list[Suite]:
    """The frozen suite called `suite`, else what the task is judged on. Raises NotFound."""
    if suite is not None:
        return [store.suites.get(suite)]
    model = model_of(config, task)
    names = [one.name for one in proof.frozen(store, config, model) if one.role == "panel"]
    return proof.panels(store, config, model, store.log.last_seq(), names)


def _items(store: Store, config: Config, task: str, suite: str | None) -> list[Item]:
    items = [
        item for one in suites(store, config, task, suite) if one.task == task for item in one.items
    ]
    if not items:
        raise NotEnoughData(
            f"{task} has no held-out pair yet: one pair in ten is held out, and a frozen suite "
            "(honewheel suite import FILE --task TASK) is held out whole."
        )
    return items


def _difficulty(store: Store, version: Version, items: Sequence[Item]) -> dict[str, Any] | None:
    """How hard a version's training pairs are beside the held-out ones; None of the bare base."""
    if version.dataset is None:
        return None
    trained = pair_difficulty.said(store.datasets.load(version.dataset).train)
    asked = pair_difficulty.asked(items)
    if not trained or not asked:
        return None
    found = pair_difficulty.shift(trained, asked)
    return {**asdict(found), "told": found.told if found.differ else ""}


def _trained_labels(store: Store, version: Version) -> set[str]:
    if version.dataset is None:
        return set()
    rows = store.datasets.load(version.dataset).train
    keys = ("label_a", "label_b")
    return {row.context[key] for row in rows for key in keys if key in row.context}


def _difference(
    config: Config, task: str, ours: Sequence[EvalRow], theirs: Sequence[EvalRow]
) -> list[dict[str, Any]]:
    """The paired difference of each set metric that is defined."""
    if not ours or ours[0].version == theirs[0].version:
        return []
    kind = plugins.task(config.task(task).kind)
    assert isinstance(kind, ScoresSets)
    resamples = config.settings.evaluate.resamples
    found = []
    for metric in kind.set_metrics:
        statistics = {task: Statistic(kind, metric)}
        try:
            one = compare(
                f"{task}/{metric}",
                "score",
                ours,
                theirs,
                level=0.95,
                seed=0,
                resamples=resamples,
                statistics=statistics,
            )
        except NotEnoughData as error:
            found.append({"metric": metric, "undefined": str(error)})
            continue
        found.append(as_dict(one))
    return found


def _flips(
    one: Version,
    other: Version,
    held: Mapping[str, Sequence[EvalRow]],
    limits: Mapping[str, float | None],
    items: Mapping[str, Item],
) -> list[dict[str, Any]]:
    now, before = limits[one.name], limits[other.name]
    if one.name == other.name or now is None or before is None:
        return []
    found = pairs.flips(
        held[one.name], held[other.name], items, threshold=now, threshold_before=before
    )
    return [asdict(flip) for flip in found]
