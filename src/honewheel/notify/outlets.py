"""Who is told what: the outlets that the settings name, each with its way to take a notice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from honewheel.config import Config
from honewheel.notify.notices import OF_CYCLES
from honewheel.notify.webhook import Hook
from honewheel.store import Store
from honewheel.store.outbox import New, Notice

# Takes a notice at a time (seconds since 1970), or raises HonewheelError.
Take: TypeAlias = Callable[[Notice, float], object]
MLFLOW = "mlflow"


@dataclass(frozen=True, slots=True)
class Outlet:
    """One receiver. `models` empty: of all models."""

    name: str
    events: frozenset[str]
    models: frozenset[str]
    take: Take

    def wants(self, one: New) -> bool:
        return one.event in self.events and (not self.models or one.told["model"] in self.models)


def outlets(store: Store, config: Config) -> Mapping[str, Outlet]:
    """The outlets of a project, by name."""
    settings = config.settings
    found = [
        Outlet(
            f"webhook:{name}",
            frozenset(hook.events),
            frozenset(hook.models),
            _posted(Hook(name, hook)),
        )
        for name, hook in settings.webhooks.items()
    ]
    if settings.mlflow.tracking_uri:
        found.append(Outlet(MLFLOW, frozenset(OF_CYCLES), frozenset(), _kept(store, config)))
    return {one.name: one for one in found}


def _posted(hook: Hook) -> Take:
    return lambda one, now: hook.send(one.key, one.event, one.told, now)


def _kept(store: Store, config: Config) -> Take:
    def keep(one: Notice, _: float) -> Any:
        from honewheel.notify import mlflow  # the extra, only where it is asked for

        return mlflow.keep(store, config, str(one.told["cycle"]))

    return keep
