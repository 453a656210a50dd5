"""Names of versions, what is known of each, and moving the champion by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from honewheel import plugins
from honewheel.config import Config
from honewheel.errors import ConfigError, InputError, NotFound
from honewheel.loop import watch
from honewheel.records import AliasMove, Version, as_dict
from honewheel.store import Store

CHAMPION = watch.CHAMPION
_VERSION = re.compile(r"(?P<model>[a-z][a-z0-9_-]*)?@?(?P<number>\d+)?")


def ensure_champion(store: Store, config: Config, model: str, now: datetime) -> AliasMove:
    """The champion of a model; a model without one starts from its base (version 0).

    Raises ConfigError when the base is no longer the one the model started from.
    """
    settings = config.model(model)[1]
    _, base_hash = plugins.family(settings.family).resolve(settings.base)
    base = store.versions.ensure_base(model, settings.base, base_hash, now)
    if move := store.versions.alias(model, CHAMPION):
        return move
    move = AliasMove(
        model=model,
        alias=CHAMPION,
        revision=1,
        version=base.number,
        previous=None,
        reason="the base, before any feedback",
        at=now,
    )
    store.versions.move_alias(move, expected_revision=0, decision=None)
    return move


def find(store: Store, config: Config, name: str) -> Version:
    """The version called "artifacts@3", "artifacts" (its champion), "@3" or "3".

    Raises NotFound listing the versions there are.
    """
    match = _VERSION.fullmatch(name)
    if not match or not name:
        raise NotFound(f"{name!r} is no version name; versions are called MODEL@NUMBER.")
    model = config.model(match["model"])[0]
    if match["number"] is None:
        move = store.versions.alias(model, CHAMPION)
        if move is None:
            raise NotFound(f"{model} has no champion yet. Run: honewheel cycle {model}")
        return store.versions.get(model, move.version)
    number = int(match["number"])
    known = [version.number for version in store.versions.list(model)]
    if number not in known:
        listed = ", ".join(f"{model}@{item}" for item in known) or "none yet"
        raise NotFound(f"There is no {model}@{number}. Versions: {listed}.")
    return store.versions.get(model, number)


def show(store: Store, config: Config, name: str) -> dict[str, Any]:
    """Everything known of a version ("artifacts@3"), a cycle ("artifacts-0003") or an event."""
    if name.startswith(("evt_", "fb_")):
        return {"event": as_dict(store.log.event(name))}
    if any(name == cycle.id for cycle in store.cycles.list(None, 100_000)):
        return _cycle(store, name)
    try:
        version = find(store, config, name)
    except (NotFound, ConfigError) as error:
        try:
            return {"event": as_dict(store.log.event(name))}
        except NotFound:
            raise NotFound(
                f"There is no version, cycle or event called {name!r}. {error}"
            ) from error
    return _version(store, version)


def _version(store: Store, version: Version) -> dict[str, Any]:
    decision = store.versions.decision(version.cycle) if version.cycle else None
    trained = store.cycles.step(version.cycle, "train") if version.cycle else None
    built = store.cycles.step(version.cycle, "build") if version.cycle else None
    return {
        "version": as_dict(version) | {"name": version.name},
        "champion": _is_champion(store, version),
        "cycle": _of_cycle(store, version.cycle) if version.cycle else None,
        "data": built[1] if built else None,
        "training": trained[1] if trained else None,
        "decision": as_dict(decision) if decision else None,
        "history": [
            as_dict(move)
            for move in store.versions.history(version.model, CHAMPION)
            if move.version == version.number
        ],
    }


def _of_cycle(store: Store, name: str) -> dict[str, Any]:
    """The cycle that made a version: by which schedule it ran, and why."""
    schedule = store.cycles.get(name).schedule
    return {"id": name, "schedule": schedule, "reason": store.cycles.reason(name)}


def _cycle(store: Store, name: str) -> dict[str, Any]:
    cycle = store.cycles.get(name)
    decision = store.versions.decision(name)
    steps = {step: store.cycles.step(name, step) for step in STEPS}
    return {
        "cycle": as_dict(cycle),
        "reason": store.cycles.reason(name),
        "steps": {step: found[1] for step, found in steps.items() if found},
        "decision": as_dict(decision) if decision else None,
    }


STEPS = ("champion", "build", "train", "evaluate", "gate", "promote")


def _is_champion(store: Store, version: Version) -> bool:
    move = store.versions.alias(version.model, CHAMPION)
    return move is not None and move.version == version.number


def promote(
    store: Store, config: Config, name: str, *, force: str | None, now: datetime
) -> AliasMove:
    """Make a version champion. Without `force` only one the gate decided to promote.

    Raises:
        InputError: it is champion already, or the gate did not promote it and no reason to force
            was given.
    """
    version = find(store, config, name)
    current = ensure_champion(store, config, version.model, now)
    if current.version == version.number:
        raise InputError(f"{version.name} is champion already; nothing was changed.")
    decision = store.versions.decision(version.cycle) if version.cycle else None
    if force is None:
        _refuse_unproven(store, version, current)
    move = AliasMove(
        model=version.model,
        alias=CHAMPION,
        revision=current.revision + 1,
        version=version.number,
        previous=current.version,
        reason=force or "promoted by hand; the gate had promoted it",
        at=now,
        cycle=version.cycle,
        forced=force is not None,
    )
    watch.follow(store, config, move, decision, now)
    return move


def _refuse_unproven(store: Store, version: Version, current: AliasMove) -> None:
    decision = store.versions.decision(version.cycle) if version.cycle else None
    if decision is None or decision.verdict != "promote":
        verdict = f"said {decision.verdict}" if decision else "has not judged it"
        why = f" ({decision.reasons[0]})" if decision and decision.reasons else ""
        raise InputError(
            f"The gate {verdict} for {version.name}{why}. To promote it all the same, give a "
            f'reason, which is recorded: honewheel promote {version.name} --force "..."'
        )
    if decision.champion != f"{version.model}@{current.version}":
        raise InputError(
            f"The gate promoted {version.name} against {decision.champion}, but the champion is "
            f"now {version.model}@{current.version}. Run a cycle, or promote with --force."
        )


def rollback(store: Store, model: str, *, reason: str, now: datetime) -> AliasMove:
    """Make the champion before the current one champion again; both stay in the history.

    Going back twice goes back two promotions, it does not swap the last two. A version that is
    only on trial is taken back instead, and the champion stays. Raises InputError when the
    champion is the first one.
    """
    if (taken := watch.take_back(store, model, reason, now)) is not None:
        return taken
    history = store.versions.history(model, CHAMPION)
    if not history:
        raise NotFound(f"{model} has no champion yet. Run: honewheel cycle {model}")
    target = _before(history)
    current = history[-1]
    if target is None:
        raise InputError(
            f"{model}@{current.version} is the first champion of {model}; there is nothing to "
            "roll back to."
        )
    move = AliasMove(
        model=model,
        alias=CHAMPION,
        revision=current.revision + 1,
        version=target,
        previous=current.version,
        reason=watch.ROLLED_BACK + reason,
        at=now,
        cycle=None,
        forced=True,
    )
    store.deployments.close(move, None, "rolled back", reason, now)
    return move


def _before(history: Sequence[AliasMove]) -> int | None:
    """The version below the current one on the stack of promotions (rollbacks pop it)."""
    stack: list[int] = []
    for move in sorted(history, key=lambda item: item.revision):
        if move.reason.startswith(watch.ROLLED_BACK) and move.version in stack:
            while stack[-1] != move.version:
                stack.pop()
        else:
            stack.append(move.version)
    return stack[-2] if len(stack) > 1 else None
