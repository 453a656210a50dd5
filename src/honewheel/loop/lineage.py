"""From feedback to weights and back: which event shaped which version, and why another did not."""

from __future__ import annotations

from typing import Any

from honewheel.config import Config
from honewheel.loop.registry import CHAMPION, find
from honewheel.records import Cycle, Event, Version, as_dict
from honewheel.store import Store

# What a row of a dataset is to a cycle, by (role, split); an example of train is trained on.
_PART = {
    ("new", "val"): "validated on",
    ("replay", "val"): "validated on",
    ("pair", "train"): "in a preference pair",
    ("pair", "val"): "in a preference pair for validation",
    ("rated", "train"): "a rated output",
    ("rated", "val"): "a rated output for validation",
}


def trace(store: Store, config: Config, name: str) -> dict[str, Any]:
    """From an event or a feedback id to every version it shaped, or from a version to its events.

    Raises NotFound.
    """
    if "@" in name or name.isdigit() or name in config.settings.models:
        return _trace_version(store, find(store, config, name))
    return _trace_event(store, store.log.event(name))


def _trace_event(store: Store, event: Event) -> dict[str, Any]:
    shown = [
        (version, use)
        for use in store.datasets.uses(event.id)
        for version in store.versions.by_dataset(use.dataset)
    ]
    found = [
        {
            "version": version.name,
            "dataset": use.dataset,
            "example": use.example,
            "role": use.role,
            "split": use.split,
            "weight": use.weight,
            **_fate(store, version),
        }
        for version, use in shown
    ]
    learnt = [version for version, use in shown if use.split == "train"]
    return {
        "event": event.id,
        "task": event.response.task,
        "recorded": event.response.created_at.isoformat(),
        "produced_by": event.response.version,
        "feedback": [as_dict(item) for item in event.feedback],
        "group": event.placement.group if event.placement else None,
        "split": event.placement.split if event.placement else None,
        "versions": found,
        "by_their_start": [
            {"version": version.name, "started_from": _start(version)} | _fate(store, version)
            for version in store.versions.going_on_from(learnt)
        ],
    }


def _fate(store: Store, version: Version) -> dict[str, Any]:
    """The cycle that made a version, what was decided of it, and whether it is in use."""
    decision = store.versions.decision(version.cycle) if version.cycle else None
    return {
        "cycle": version.cycle,
        "verdict": decision.verdict if decision else None,
        "champion": _champion(store, version),
    }


def _start(version: Version) -> str | None:
    """Name of the version that a training started from; None when that was the base."""
    number = version.started_from
    return None if number is None else f"{version.model}@{number}"


def _trace_version(store: Store, version: Version) -> dict[str, Any]:
    events = _shaped(store, version.dataset) if version.dataset else []
    return {
        "version": version.name,
        "base": version.base,
        "base_hash": version.base_hash,
        "files": version.files,
        "dataset": version.dataset,
        "run": version.run,
        "cycle": version.cycle,
        "parent": None if version.parent is None else f"{version.model}@{version.parent}",
        "started_from": _start(version),
        "learnt_before": [one.dataset for one in store.versions.ancestry(version)[1:]],
        "champion": _champion(store, version),
        "events": events,
    }


def _shaped(store: Store, dataset: str) -> list[dict[str, Any]]:
    """The events behind a dataset's rows, in their order; its file may be gone."""
    found = store.datasets.lineage(dataset)
    names = sorted({event for event, _ in found})
    known = {
        event.id: event
        for event in store.log.events(None, store.datasets.summary(dataset).as_of_seq, names)
    }
    return [
        {
            "event": event,
            "example": use.example,
            "task": known[event].response.task,
            "role": use.role,
            "split": use.split,
            "weight": use.weight,
            "simulated": known[event].simulated,
        }
        for event, use in found
    ]


def _champion(store: Store, version: Version) -> bool:
    move = store.versions.alias(version.model, CHAMPION)
    return move is not None and move.version == version.number


def explain(store: Store, config: Config, name: str) -> dict[str, Any]:
    """Whether an event is in the newest dataset of each model that knows its task, and why not.

    Raises NotFound.
    """
    event = store.log.event(name)
    placement = event.placement
    answers = [
        _explain_for(store, event, model)
        for model, settings in config.settings.models.items()
        if event.response.task in settings.tasks
    ]
    return {
        "event": event.id,
        "task": event.response.task,
        "simulated": event.simulated,
        "group": placement.group if placement else None,
        "split": placement.split if placement else None,
        "twin": placement.twin if placement else None,
        "similarity": placement.similarity if placement else None,
        "check": as_dict(placement.check) if placement else None,
        "quarantined": placement.quarantined if placement else None,
        "models": answers,
    }


def _named(cycle: Cycle) -> str:
    return f"{cycle.id} ({cycle.schedule})" if cycle.schedule else cycle.id


def _explain_for(store: Store, event: Event, model: str) -> dict[str, Any]:
    for cycle in store.cycles.list(model, 1_000):
        built = store.cycles.step(cycle.id, "build")
        if built is None:
            continue
        if cycle.as_of_seq < event.seq:
            break
        dataset = str(built[1]["dataset"])
        for use in store.datasets.uses(event.id):
            if use.dataset == dataset:
                part = _PART.get((use.role, use.split), "trained on")
                return {
                    "model": model,
                    "answer": f"{part} in {_named(cycle)}",
                    "dataset": dataset,
                    "role": use.role,
                    "weight": use.weight,
                }
        if item := store.datasets.left_out(dataset, event.id):
            reason = f"{item.reason}: {item.detail}" if item.detail else item.reason
            reason += _known(store, cycle, event)
            return {
                "model": model,
                "answer": f"not trained on in {_named(cycle)}: {reason}",
                "dataset": dataset,
            }
    return {
        "model": model,
        "answer": "not seen by a cycle yet; the next one considers it (honewheel cycle)",
        "dataset": None,
    }


def _known(store: Store, cycle: Cycle, event: Event) -> str:
    """That what a cycle's training started from has learnt an event, where it has."""
    version = store.versions.by_cycle(cycle.id)
    for one in store.versions.ancestry(version)[1:] if version else ():
        if one.dataset and event.id in store.datasets.shown_events(one.dataset):
            return f"; its training started from weights that learnt it in {one.name}"
    return ""
