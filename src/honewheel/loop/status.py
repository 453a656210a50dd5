"""The state of a project in one look, read from running totals: flat however long the log is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from honewheel import schedules
from honewheel.config import Config
from honewheel.loop.registry import CHAMPION
from honewheel.settings import Schedule
from honewheel.store import Store


def status(store: Store, config: Config) -> dict[str, Any]:
    """Counts of events, cycles and datasets, shares dropped by reason, panels, champions."""
    return {
        "project": config.settings.project.name,
        "log": store.log.counts(),
        "datasets": len(store.datasets.list()),
        "suites": [
            {"name": row.name, "task": row.task, "role": row.role, "items": row.items}
            for row in store.suites.list()
        ],
        "models": {
            name: _model(store, name) | _scheduled(store, name, schedules.of(model))
            for name, model in sorted(config.settings.models.items())
        },
    }


def _model(store: Store, name: str) -> dict[str, Any]:
    cycles = list(store.cycles.list(name, 1_000))
    champion = store.versions.alias(name, CHAMPION)
    verdicts: dict[str, int] = {}
    for cycle in cycles:
        key = cycle.verdict or cycle.state
        verdicts[key] = verdicts.get(key, 0) + 1
    newest = cycles[0] if cycles else None
    return {
        "champion": f"{name}@{champion.version}" if champion else None,
        "since": champion.at.isoformat() if champion else None,
        "versions": len(store.versions.list(name)),
        "cycles": len(cycles),
        "by_verdict": verdicts,
        "last_cycle": newest.id if newest else None,
        "last_schedule": newest.schedule if newest else None,
        "last_reason": store.cycles.reason(newest.id) if newest else None,
        "new_entries": store.log.last_seq() - (newest.as_of_seq if newest else 0),
        "dropped": _dropped(store, newest.id) if newest else {},
        "panels": _panels(store, newest.id) if newest else [],
    }


def _scheduled(
    store: Store, model: str, found: Mapping[schedules.Name, Schedule]
) -> dict[str, Any]:
    """The newest cycle of each schedule that a model has; nothing where it has none."""
    if not found:
        return {}
    newest: dict[str, Any] = dict.fromkeys(found)
    for cycle in store.cycles.list(model, 1_000):
        if cycle.schedule in newest and newest[cycle.schedule] is None:
            newest[cycle.schedule] = {"cycle": cycle.id, "verdict": cycle.verdict or cycle.state}
    return {"schedules": newest}


def _dropped(store: Store, cycle: str) -> dict[str, float]:
    """Share of the last cycle's events that were not used, by reason, in [0, 1]."""
    built = store.cycles.step(cycle, "build")
    if built is None or not built[1]["events"]:
        return {}
    total = built[1]["events"]
    return {reason: count / total for reason, count in sorted(built[1]["dropped"].items())}


def _panels(store: Store, cycle: str) -> list[dict[str, Any]]:
    measured = store.cycles.step(cycle, "evaluate")
    return list(measured[1]["panels"]) if measured else []
