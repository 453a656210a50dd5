"""What is held back and why, and a person's ruling on it.

Three kinds of things wait: events that a scan holds (`curate.poison`, `curate.generic`), events
that would tie test material to training material, and rows that no importer could accept. Only
the first can be released.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from honewheel.config import Config
from honewheel.curate import narrow, reward, rows, trust
from honewheel.curate.flags import Flag
from honewheel.curate.screen import screen
from honewheel.errors import InputError, NotFound
from honewheel.loop import intake, watch
from honewheel.records import Event
from honewheel.store import Store
from honewheel.store.held import Ruling, RulingVerdict

State: TypeAlias = Literal["held", "flagged", "bridging", "refused", "released", "dropped"]
_STATES: dict[RulingVerdict, State] = {"release": "released", "drop": "dropped", "hold": "held"}
LIMIT = 1_000  # bridging events and refused rows listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One thing in quarantine.

    `name` is the event's id, or FILE:ROW for a row that was refused at import. "flagged" rows
    train: their scan is set to "flag". `who` and `at` tell a ruling, or when a row was refused.
    """

    name: str
    state: State
    reason: str
    task: str = ""
    source: str = ""
    who: str = ""
    at: datetime | None = None


def held(store: Store, config: Config) -> list[Waiting]:
    """Everything held back as the log and the settings stand now, by state, then by name.

    Scans every corrected row of the log, which takes about as long as building a dataset.
    """
    rulings = store.held.rulings()
    found = [*_scanned(store, config, rulings), *_ruled(rulings)]
    found += [
        Waiting(
            name=place.response_id,
            state="bridging",
            reason=str(place.quarantined),
            task=place.task,
        )
        for place in store.held.bridging(LIMIT)
    ]
    found += [
        Waiting(name=f"{row.origin}:{row.row}", state="refused", reason=row.reason, at=row.at)
        for row in store.log.quarantined(LIMIT)
    ]
    return found


def rule(
    store: Store,
    config: Config,
    events: Sequence[str],
    verdict: RulingVerdict,
    *,
    reason: str,
    who: str,
    at: datetime,
) -> list[Ruling]:
    """Release held events to train again, or drop events for good; the rulings that hold now.

    Any recorded event may be dropped, and a dropped one released. "artifacts@4" means every event
    that the watch holds because it took that version back.

    Raises:
        NotFound: an event is not recorded.
        InputError: one to release is not held back, or may not train because it would leak.
    """
    names = [name for event in events for name in _meant(store, event)]
    if verdict == "release":
        _require_held(store, config, names)
    store.held.rule(names, verdict, reason=reason, who=who, at=at)
    rulings = store.held.rulings()
    return [rulings[name] for name in dict.fromkeys(names)]


def _meant(store: Store, name: str) -> list[str]:
    """The event of this id, or those that are held for a version."""
    if "@" not in name:
        return [_named(store, name).id]
    who = watch.holder(name)
    held = [one.event for one in store.held.rulings().values() if one.who == who]
    if not held:
        raise NotFound(f"Nothing is held for {name}: the watch has not taken it back.")
    return held


def _named(store: Store, event: str) -> Event:
    try:
        return store.log.event(event)
    except NotFound as error:
        raise NotFound(
            f"{error} `honewheel quarantine list` names what is held; a row that was refused at "
            "import has no event: correct it and import it again."
        ) from error


def _require_held(store: Store, config: Config, names: Sequence[str]) -> None:
    rulings = store.held.rulings()
    open_names = [name for name in names if name not in rulings]
    places = {name: store.intake.placement(name) for name in open_names}
    asked = [name for name, place in places.items() if not (place and place.quarantined)]
    if not asked:
        return  # the store says why a bridging event stays
    waiting = {one.name for one in _scanned(store, config, rulings)}
    for name in asked:
        if name not in waiting:
            raise InputError(
                f"{name} is not held back, so there is nothing to release. Why it is or is not "
                f"in a dataset: honewheel explain {name}"
            )


def _scanned(store: Store, config: Config, rulings: Mapping[str, Ruling]) -> list[Waiting]:
    """What the scans flag among the rows that a build would look at."""
    settings = config.settings.curate
    silent = settings.unheard
    events = store.log.events(tuple(config.settings.tasks), store.log.last_seq())
    offered, _ = rows.gather(
        (trust.heard(event, silent) for event in events),
        checks=intake.checker(config),
        min_value=settings.min_value,
        used=frozenset(),
        value=lambda event: reward.value(event, None, settings.trust),
    )
    distinct, _ = narrow.merge_duplicates(narrow.settle_conflicts(offered)[0])
    screened = screen(
        distinct,
        poison_mode=settings.poison,
        generic_mode=settings.generic,
        released={name for name, one in rulings.items() if one.verdict == "release"},
        rejected={name for name, one in rulings.items() if one.verdict != "release"},
    )
    sources = {row.event: row.source for row in distinct}
    stopped = {item.event for item in screened.dropped}
    told: dict[str, Flag] = {}
    for flag in screened.flags:
        for event in flag.events:
            told.setdefault(event, flag)
    return [
        Waiting(
            name=event,
            state="held" if event in stopped else "flagged",
            reason=told[event].told,
            task=told[event].task,
            source=sources[event],
        )
        for event in sorted(told, key=lambda event: (event not in stopped, event))
    ]


def _ruled(rulings: Mapping[str, Ruling]) -> list[Waiting]:
    return [
        Waiting(
            name=one.event,
            state=_STATES[one.verdict],
            reason=one.reason,
            who=one.who,
            at=one.at,
        )
        for one in sorted(rulings.values(), key=lambda one: one.event)
    ]
