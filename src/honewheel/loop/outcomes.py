"""What became of the requests of a version on trial, in the order of the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from honewheel.config import Config
from honewheel.curate import acceptance, trust
from honewheel.evaluate.trial import Arm, Record
from honewheel.records import SHADOW_OF, Event
from honewheel.store import Store
from honewheel.store.deployments import Deployment

RECORD_ROWS = 2_000  # newest feedback rows on a champion that make its record


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request, at its place in the log; `paired` is the champion's in shadow."""

    seq: int
    arm: Arm
    value: float
    paired: float | None = None


def outcomes(
    store: Store, config: Config, found: Deployment, up_to: int
) -> tuple[list[Outcome], int]:
    """The next outcomes in the order of the log, and the number up to which they reach."""
    if found.stage == "shadow":
        return _pairs(store, found, up_to)
    arms: dict[str, Arm] = {f"{found.model}@{found.version}": "trial"}
    if found.stage == "canary":
        arms[f"{found.model}@{found.baseline}"] = "champion"
    rows = store.deployments.spoken(list(arms), found.cursor, up_to, found.since_seq)
    events = _events(store, [row.response for row in rows], up_to)
    page = []
    for row in rows:
        value = first_said(config, events[row.response], row.feedback)
        if value is not None:
            page.append(Outcome(row.seq, arms[row.version], value))
    return page, rows[-1].seq if store.deployments.is_page(rows) else up_to


def _pairs(store: Store, found: Deployment, up_to: int) -> tuple[list[Outcome], int]:
    """Shadow answers and the seen ones to the same request, both as the task's check scores them.

    Nobody sees a shadow answer, so nobody says anything of it.
    """
    version = f"{found.model}@{found.version}"
    rows = store.deployments.shadowed(version, found.cursor, up_to)
    answers = _events(store, [name for _, name in rows], up_to)
    marks = {name: one.response.decoding.get(SHADOW_OF) for name, one in answers.items()}
    partners = {name: mark for name, mark in marks.items() if isinstance(mark, str)}
    seen = _events(store, sorted(set(partners.values())), up_to)
    page = []
    for seq, name in rows:
        old, new = seen.get(partners.get(name, "")), answers[name]
        if old is None or old.placement is None or new.placement is None:
            continue
        if old.response.version == f"{found.model}@{found.baseline}":
            score = new.placement.check.score
            page.append(Outcome(seq, "trial", score, old.placement.check.score))
    return page, rows[-1][0] if rows else found.cursor


def _events(store: Store, names: Sequence[str], up_to: int) -> dict[str, Event]:
    return {event.id: event for event in store.log.events(None, up_to, names)}


def first_said(config: Config, event: Event, feedback: str) -> float | None:
    """1 or 0: whether the output was accepted, if this feedback is the first to tell.

    What comes later of the same response counts no more: an outcome that could still change would
    let the evidence be looked at and then altered. Simulated sources are not users.
    """
    heard = heard_before(config, event, feedback).feedback
    if not heard or heard[-1].id != feedback:
        return None
    if acceptance.acceptance(replace(event, feedback=heard[:-1])) is not None:
        return None
    value = acceptance.acceptance(replace(event, feedback=heard))
    return None if value is None else float(value >= acceptance.ACCEPTED)


def heard_before(config: Config, event: Event, feedback: str | None) -> Event:
    """The event as users have spoken of it, up to a feedback row (None: all)."""
    names = [item.id for item in event.feedback]
    end = len(names) if feedback is None else names.index(feedback) + 1
    real = [item for item in event.feedback[:end] if item.source_kind != "simulated"]
    return trust.heard(replace(event, feedback=tuple(real)), config.settings.curate.unheard)


def record_of(store: Store, config: Config, version: str) -> Record:
    """What users made of the newest outputs of a version, at most RECORD_ROWS."""
    names = store.deployments.recent(version, RECORD_ROWS)
    found = Record()
    for value in _accepted(config, _events(store, names, store.log.last_seq())):
        found = found.add(value)
    return found


def _accepted(config: Config, events: dict[str, Event]) -> Iterator[float]:
    for event in events.values():
        for item in event.feedback:
            value = first_said(config, event, item.id)
            if value is not None:
                yield value
                break
