"""What happened, as notices: read from the store's own records, whoever made them.

passed       the gate passed a challenger (it is champion now, or on trial)
rejected     the gate refused one
undecided    it could not tell
failed       a cycle ended with an error
promoted     another version is champion: by the gate, the watch or a person
rolled_back  a version was taken back, by the watch or a person
drift        an alarm was looked into; `verdict` says whether the champion fell
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from honewheel.loop import drift
from honewheel.loop.watch import CHAMPION, ROLLED_BACK
from honewheel.records import AliasMove, Cycle
from honewheel.store import Store
from honewheel.store.jobs import Job
from honewheel.store.outbox import New

OF_CYCLES: Final = ("passed", "rejected", "undecided", "failed")
_VERDICTS: Final = {"promote": "passed", "reject": "rejected", "undecided": "undecided"}


def notices(store: Store, project: str, since: datetime) -> list[New]:
    """A notice of everything that happened from `since` on, each under the key it always has."""
    found = store.outbox.happened(since, drift.MEASURE)
    return [
        *(_of_cycle(store, project, cycle) for cycle in found.cycles),
        *_of_moves(project, found.moves),
        *(_of_drift(project, job) for job in found.jobs),
    ]


def _of_cycle(store: Store, project: str, cycle: Cycle) -> New:
    event = _VERDICTS.get(cycle.verdict or "", "failed")
    decision = store.versions.decision(cycle.id) if cycle.verdict else None
    told: dict[str, Any] = {
        "cycle": cycle.id,
        "schedule": cycle.schedule,
        "reasons": [cycle.error] if decision is None else list(decision.reasons),
    }
    if decision is not None:
        told |= {
            "version": decision.challenger,
            "champion": decision.champion,
            "gain": decision.gain,
            "interval": None if decision.interval is None else list(decision.interval),
        }
    at = cycle.finished_at or cycle.started_at
    return New(f"cycle:{cycle.id}", event, _head(event, project, cycle.model, at) | told)


def _of_moves(project: str, moves: Any) -> Iterator[New]:
    for move in moves:
        back = move.reason.startswith(ROLLED_BACK)
        # The first move of a champion is to the base; one of a canary is a trial, not a promotion.
        if back or (move.alias == CHAMPION and move.previous is not None):
            yield _of_move(project, move, "rolled_back" if back else "promoted")


def _of_move(project: str, move: AliasMove, event: str) -> New:
    left, right = (move.previous, move.version)
    told = {
        "alias": move.alias,
        "version": f"{move.model}@{right}",
        "previous": None if left is None else f"{move.model}@{left}",
        "reasons": [move.reason.removeprefix(ROLLED_BACK)],
        "cycle": move.cycle,
        "forced": move.forced,
    }
    key = f"move:{move.model}:{move.alias}:{move.revision}"
    return New(key, event, _head(event, project, move.model, move.at) | told)


def _of_drift(project: str, job: Job) -> New:
    result = job.result or {}
    told = {
        "verdict": result.get("verdict"),
        "reasons": [result.get("why")],
        "alarms": job.asked.get("alarms", []),
    }
    at = job.ended_at or job.queued_at
    return New(f"job:{job.id}", "drift", _head("drift", project, job.model, at) | told)


def _head(event: str, project: str, model: str, at: datetime) -> dict[str, Any]:
    return {"event": event, "project": project, "model": model, "at": at.isoformat()}
