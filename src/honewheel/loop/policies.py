"""The gate's policy of a model, from its settings and those of its tasks: points become shares."""

from __future__ import annotations

from collections.abc import Mapping

from honewheel import gate
from honewheel.config import Config


def chosen(config: Config, model: str) -> dict[str, str]:
    """Task -> the set metric that its gate is told to decide on."""
    asked = {name: config.task(name).gate.metric for name in config.model(model)[1].tasks}
    return {name: metric for name, metric in asked.items() if metric != "auto"}


def policy(config: Config, model: str) -> gate.Policy:
    """The gate's settings of a model: points become shares, tasks bring their floors."""
    settings = config.model(model)[1]
    floors: dict[str, float] = {}
    tiers: dict[str, dict[str, float]] = {}
    for name in settings.tasks:
        asked = config.task(name).gate
        floors |= {name: asked.floor / 100} if asked.floor else {}
        floors |= {f"{name}/valid": asked.validity_floor / 100} if asked.validity_floor else {}
        named = {f"{name} {tier}": _tier(name, found) for tier, found in asked.tiers.items()}
        tiers |= named
        for tier in asked.require:
            floors |= named[f"{name} {tier}"]
    return gate.Policy(
        benefit_level=settings.gate.benefit_level,
        guard_level=settings.gate.guard_level,
        min_gain=settings.gate.min_gain / 100,
        margin=settings.gate.margin / 100,
        validity_margin=settings.gate.validity_margin / 100,
        min_items=settings.gate.min_items,
        max_latency_ratio=settings.gate.max_latency_ratio,
        adversarial_margin=settings.gate.adversarial_margin / 100,
        floors=floors,
        tiers=tiers,
    )


def _tier(task: str, floors: Mapping[str, float]) -> dict[str, float]:
    """A tier's floors as the gate names them: of the score that is the task's own."""
    return {
        task if metric == "score" else f"{task}/{metric}": floor / 100
        for metric, floor in floors.items()
    }
