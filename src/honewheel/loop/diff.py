"""Two versions side by side: what they were trained on and how, what they scored and answered."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from honewheel.config import Config
from honewheel.errors import InputError
from honewheel.loop.registry import find
from honewheel.records import EvalRow, Version
from honewheel.store import Store

Key = tuple[str, str]  # suite, item


def diff(store: Store, config: Config, left: str, right: str, *, outputs: int) -> dict[str, Any]:
    """How two versions of one model differ; scores and answers are of the prompts both answered.

    `outputs` is the most answers shown, those first that differ most. Raises NotFound, InputError
    (one and the same version, or two models).
    """
    a, b = find(store, config, left), find(store, config, right)
    if a.name == b.name:
        raise InputError(f"{left} and {right} are both {a.name}; name two versions.")
    if a.model != b.model:
        raise InputError(f"{a.name} and {b.name} are of two models; their scores do not compare.")
    scored = _rows(store, a), _rows(store, b)
    shared = sorted(scored[0].keys() & scored[1].keys())
    return {
        "versions": [a.name, b.name],
        "data": _data(store, a, b),
        "spec": _spec(store, a, b),
        "scores": _scores([(scored[0][key], scored[1][key]) for key in shared]),
        "outputs": _outputs([(scored[0][key], scored[1][key]) for key in shared], outputs),
    }


def _rows(store: Store, version: Version) -> dict[Key, EvalRow]:
    """The newest scores of a version, by suite and item, over all cycles that measured it."""
    found: dict[Key, EvalRow] = {}
    for cycle in reversed(store.cycles.list(version.model, 1_000)):
        for row in store.versions.eval_rows(cycle.id, version.name):
            found[row.suite, row.item] = row
    return found


def _data(store: Store, a: Version, b: Version) -> dict[str, Any]:
    shown = [store.datasets.shown_events(one.dataset) if one.dataset else set() for one in (a, b)]
    only = [sorted(shown[0] - shown[1]), sorted(shown[1] - shown[0])]
    return {
        "datasets": [a.dataset, b.dataset],
        "events": [len(shown[0]), len(shown[1])],
        "both": len(shown[0] & shown[1]),
        "only": only,
        "only_by_task": [_by_task(store, names) for names in only],
    }


def _by_task(store: Store, names: list[str]) -> dict[str, int]:
    events = store.log.events(None, store.log.last_seq(), names)
    return dict(sorted(Counter(event.response.task for event in events).items()))


def _spec(store: Store, a: Version, b: Version) -> dict[str, Any]:
    """Settings of the trainings that are not the same: name -> the value of each version."""
    specs = [_flat(store, a), _flat(store, b)]
    names = sorted(specs[0].keys() | specs[1].keys())
    pairs = {name: [specs[0].get(name), specs[1].get(name)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _flat(store: Store, version: Version) -> dict[str, Any]:
    trained = store.cycles.step(version.cycle, "train") if version.cycle else None
    if trained is None:
        return {"base": version.base}
    spec: Mapping[str, Any] = trained[1]["spec"]
    plain = {key: value for key, value in spec.items() if key not in ("settings", "base_hash")}
    return plain | dict(spec["settings"])


def _scores(pairs: list[tuple[EvalRow, EvalRow]]) -> list[dict[str, Any]]:
    """Mean of each metric by task, in [0, 1], of both versions on the same items."""
    by_task: dict[str, list[tuple[EvalRow, EvalRow]]] = defaultdict(list)
    for pair in pairs:
        by_task[pair[0].task].append(pair)
    return [
        {
            "task": task,
            "metric": metric,
            "items": len(found),
            "values": [fmean(pair[side].metrics[metric] for pair in found) for side in (0, 1)],
        }
        for task, found in sorted(by_task.items())
        for metric in ("score", "valid", "exact")
    ]


def _outputs(pairs: list[tuple[EvalRow, EvalRow]], limit: int) -> list[dict[str, Any]]:
    """Items answered differently, those first whose scores differ most."""
    changed = [pair for pair in pairs if pair[0].output != pair[1].output]
    changed.sort(key=lambda pair: (-abs(_gain(pair)), pair[0].suite, pair[0].item))
    return [
        {
            "task": old.task,
            "suite": old.suite,
            "item": old.item,
            "scores": [old.metrics["score"], new.metrics["score"]],
            "outputs": [old.output, new.output],
        }
        for old, new in changed[:limit]
    ]


def _gain(pair: tuple[EvalRow, EvalRow]) -> float:
    return pair[1].metrics["score"] - pair[0].metrics["score"]
