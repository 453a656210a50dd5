"""Whether a cycle could come to anything that the one before it did not.

A cycle is a function of what was said, of rulings, of what was forgotten, of the frozen suites, of
the champion and of the settings that what it computes is made from. When a cycle starts, by whom it
is watched and how it is served is none of that.
"""

from __future__ import annotations

from honewheel.config import Config, from_frozen
from honewheel.errors import ConfigError
from honewheel.loop import material, proof
from honewheel.loop.registry import CHAMPION
from honewheel.records import Cycle, Json
from honewheel.store import Store


def stale(store: Store, config: Config, model: str, previous: Cycle, seq: int) -> bool:
    """Whether a cycle on the log up to `seq` would only repeat `previous`, the newest one."""
    if previous.state != "done" or previous.as_of_seq != seq:
        return False
    changed = (store.held.last(), store.erasure.last())
    return (
        all(at is None or at <= previous.as_of for at in changed)
        and _same_settings(config, model, previous)
        and _still_stands(store, previous)
        and _measured(store, previous) == proof.suites(store, config, model)
    )


def deciding(config: Config, model: str) -> Json:
    """The settings from which the result of a cycle of `model` is made, defaults filled in."""
    own = config.model(model)[1]
    return {
        "family": own.family,
        "base": own.base,
        "method": config.method(model),
        "train": material.training_settings(config, model),
        "gate": own.gate.model_dump(mode="json"),
        "tasks": {name: config.task(name).model_dump(mode="json") for name in own.tasks},
        "curate": config.settings.curate.model_dump(mode="json"),
        "evaluate": config.settings.evaluate.model_dump(mode="json"),
    }


def _same_settings(config: Config, model: str, previous: Cycle) -> bool:
    """Settings that this version cannot read any more are others."""
    try:
        return deciding(from_frozen(previous.config, config.root), model) == deciding(config, model)
    except ConfigError:
        return False


def _still_stands(store: Store, cycle: Cycle) -> bool:
    """Whether the champion is still the one that a finished cycle left."""
    decision = store.versions.decision(cycle.id)
    move = store.versions.alias(cycle.model, CHAMPION)
    if decision is None or move is None:
        return False
    left = decision.challenger if decision.verdict == "promote" else decision.champion
    trial = store.deployments.current(cycle.model)
    standing = {move.version} if trial is None else {move.version, trial.version}
    return left in {f"{cycle.model}@{number}" for number in standing}


def _measured(store: Store, cycle: Cycle) -> list[str]:
    """Hashes of the frozen suites a cycle was measured on."""
    found = store.cycles.step(cycle.id, "build")
    return [hashed for _, hashed in found[1]["suites"]] if found else []
