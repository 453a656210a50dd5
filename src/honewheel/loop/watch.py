"""After a promotion: split the traffic, take in what users say, and take a worse version back.

Start at `route` (which version answers a request) and `observe` (what the outcomes say so far).
A deployment goes shadow or canary -> champion -> kept, and from anywhere to rolled back. Only
evidence moves it on: without outcomes, a version on trial stays on trial.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from honewheel.config import Config
from honewheel.errors import Moved, NotFound
from honewheel.evaluate import trial
from honewheel.evaluate.trial import Record, Trial
from honewheel.loop.outcomes import Outcome, outcomes, record_of
from honewheel.records import AliasMove, Decision, Deed, Version
from honewheel.settings import Watch
from honewheel.store import Store
from honewheel.store.deployments import Deployment, Ended, Stage

CHAMPION: Final = "champion"
CANARY: Final = "canary"
ACTOR: Final = "honewheel:watch"  # what the audit log calls it
ROLLED_BACK: Final = "rolled back: "  # how the reason of a move back begins

Role: TypeAlias = Literal["champion", "canary"]


# --- which version answers ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Routing:
    """Who answers a request: `version` is what the user sees, in the role it has.

    `shadow` is a version that should answer the same request without being seen. Record its
    answer as a response of its own whose decoding holds {"shadow_of": id of the seen response}.
    """

    model: str
    version: int
    role: Role
    shadow: int | None = None

    @property
    def name(self) -> str:
        """What to record as the response's version: "artifacts@3"."""
        return f"{self.model}@{self.version}"


def route(store: Store, model: str, key: str) -> Routing:
    """The version that answers a request with this `key`, by the open deployment's share.

    The same key goes to the same version for as long as the deployment is open: give a
    conversation's id, or the request's own where there is none. Raises NotFound when the model
    has no champion yet.
    """
    champion = store.versions.alias(model, CHAMPION)
    if champion is None:
        raise NotFound(f"{model} has no champion yet. Run: honewheel cycle {model}")
    return split(model, champion.version, store.deployments.current(model), key)


def split(model: str, champion: int, found: Deployment | None, key: str) -> Routing:
    """`route` of what was read from the store; pure, so that a gateway may remember its input."""
    if found is None or found.stage == "champion":
        return Routing(model, champion, "champion")
    chosen = position(f"{model}@{found.version}", key) < float(found.policy["share"])
    if found.stage == "shadow":
        return Routing(model, champion, "champion", found.version if chosen else None)
    return (
        Routing(model, found.version, "canary") if chosen else Routing(model, champion, "champion")
    )


def position(salt: str, key: str) -> float:
    """A number in [0, 1) that depends on both texts alone and is spread evenly over keys.

    >>> position("artifacts@4", "chat 7") == position("artifacts@4", "chat 7")
    True
    """
    hashed = hashlib.sha256(f"{len(salt)} {salt} {key}".encode()).digest()
    return int.from_bytes(hashed[:8], "big") / 2**64


# --- opening a trial ------------------------------------------------------------------------------


def begin(
    store: Store,
    settings: Watch,
    challenger: Version,
    champion: Version,
    decision: Decision,
    *,
    champion_revision: int,
    at: datetime,
) -> Deployment:
    """Put a version that the gate promoted on trial, with the decision as evidence.

    Raises Moved when the champion changed meanwhile; whatever was on trial is superseded.
    """
    here = store.versions.alias(challenger.model, CANARY)
    revision = here.revision if here else 0
    stage: Stage = "shadow" if settings.mode == "shadow" else "canary"
    share = 0.5 if stage == "shadow" else settings.share  # shadow outcomes come in pairs
    start = trial.two_arms(share, settings.margin / 100)
    move = AliasMove(
        model=challenger.model,
        alias=CANARY,
        revision=revision + 1,
        version=challenger.number,
        previous=here.version if here else None,
        reason=decision.reasons[0],
        at=at,
        cycle=challenger.cycle,
    )
    new = _deployment(store, settings, challenger, champion.number, stage, start, at)
    return store.deployments.open(
        new, move, revision, decision, champion_revision=champion_revision
    )


def follow(
    store: Store, config: Config, move: AliasMove, decision: Decision | None, at: datetime
) -> None:
    """Make the move of a champion that a person asked for, and watch it from then on."""
    settings = config.model(move.model)[1].watch
    revision = move.revision - 1
    record = Record()
    if settings.mode != "off" and move.previous is not None:
        record = record_of(store, config, f"{move.model}@{move.previous}")
    if move.previous is None or record.count < settings.min_outcomes or not _after(settings):
        store.deployments.close(move, decision, "superseded", move.reason, at)
        return
    version = store.versions.get(move.model, move.version)
    start = trial.against(record, settings.alpha, settings.margin / 100)
    new = _deployment(store, settings, version, move.previous, "champion", start, at)
    store.deployments.open(new, move, revision, decision, champion_revision=revision)


def _after(settings: Watch) -> bool:
    return settings.mode != "off" and settings.after_outcomes > 0


def _deployment(
    store: Store,
    settings: Watch,
    version: Version,
    baseline: int,
    stage: Stage,
    start: Trial,
    at: datetime,
) -> Deployment:
    seq = store.log.last_seq()
    return Deployment(
        id=0,
        model=version.model,
        version=version.number,
        baseline=baseline,
        stage=stage,
        policy=settings.model_dump(mode="json"),
        opened_at=at,
        since_seq=seq,
        cursor=seq,
        trial=trial.dump(start),
    )


def news(before: Deployment | None, after: Deployment | None) -> Iterator[dict[str, Any]]:
    """What `observe` has changed, as fields of a log line each: the stage, and how it ended."""
    if after is None:
        return
    told = {"model": after.model, "version": f"{after.model}@{after.version}"}
    if before is not None and before.ended is None and after.stage != before.stage:
        yield told | {"stage": after.stage}
    if after.ended is not None:
        yield told | {"ended": after.ended, "why": after.reason}


# --- outcomes ------------------------------------------------------------------------------------


def observe(store: Store, config: Config, model: str, now: datetime) -> Deployment | None:
    """Take in every outcome recorded since the last look, and act as soon as the evidence is there.

    Call it as often as you like, after feedback was recorded, from any process: outcomes are read
    from the log, and each counts once however many look. Returns the deployment as it stands,
    ended or not; None when no version is on trial.
    """
    found = store.deployments.current(model)
    while found is not None and found.ended is None:
        up_to, before = store.log.last_seq(), found.cursor
        page, cursor = outcomes(store, config, found, up_to)
        try:
            found = _take_in(store, config, found, page, cursor, now)
        except Moved:  # another process looked at the same time, and was first
            return store.deployments.current(model)
        if found.cursor in (before, up_to):
            break
    return found


def _take_in(
    store: Store,
    config: Config,
    found: Deployment,
    page: list[Outcome],
    cursor: int,
    now: datetime,
) -> Deployment:
    """The deployment after these outcomes, up to the first that decides it."""
    seen = trial.load(found.trial)
    policy = Watch.model_validate(found.policy)
    for one in page:
        if one.paired is None:
            seen = seen.add(one.arm, one.value)
        else:
            seen = seen.pair(one.paired, one.value)
        word = trial.verdict(seen, alpha=policy.alpha, least=policy.min_outcomes)
        if word == "worse":
            return _roll_back(store, found, seen, one.seq, now)
        if found.stage != "champion" and word == "not worse":
            return _crown(store, config, found, seen, one.seq, now)
        if found.stage == "champion" and seen.trial.record.count >= policy.after_outcomes:
            told = f"{_told(seen)}; {policy.after_outcomes:,} outcomes were to be watched"
            return _end(store, found, seen, one.seq, "kept", told, now)
    if cursor > found.cursor:
        store.deployments.save(found, cursor, trial.dump(seen))
    return replace(found, cursor=cursor, trial=trial.dump(seen))


# --- acting on it ---------------------------------------------------------------------------------


def _crown(
    store: Store, config: Config, found: Deployment, seen: Trial, cursor: int, now: datetime
) -> Deployment:
    """The version on trial becomes champion, and is watched on against the old one's record."""
    policy = Watch.model_validate(found.policy)
    version = store.versions.get(found.model, found.version)
    told = f"not worse than {found.model}@{found.baseline} in live traffic: {_told(seen)}"
    move = _moved(store, found, CHAMPION, found.version, told, now, version.cycle)
    record = record_of(store, config, f"{found.model}@{found.baseline}")
    if not policy.after_outcomes or record.count < policy.min_outcomes:
        return _end(
            store, found, seen, cursor, "kept", told, now, move, _deed(found, "promote", told, now)
        )
    start = trial.against(record, policy.alpha, policy.margin / 100)
    kept = trial.dump(start)
    deed = _deed(found, "promote", told, now)
    store.deployments.decide(found, cursor, kept, moves=[move], stage="champion", at=now, deed=deed)
    return replace(found, cursor=cursor, trial=kept, stage="champion")


def _roll_back(
    store: Store, found: Deployment, seen: Trial, cursor: int, now: datetime
) -> Deployment:
    """Take the version back: the alias, an entry in its history, and a hold on what it learnt."""
    told = (
        f"{found.model}@{found.version} is worse than {found.model}@{found.baseline} in live "
        f"traffic: {_told(seen)}"
    )
    # First the hold: a crash between the two looks again and holds again, which changes nothing.
    hold(store, found, told, now)
    alias = CHAMPION if found.stage == "champion" else CANARY
    move = _moved(store, found, alias, found.baseline, ROLLED_BACK + told, now)
    deed = _deed(found, "roll back", told, now)
    return _end(store, found, seen, cursor, "rolled back", told, now, move, deed)


def take_back(store: Store, model: str, reason: str, now: datetime) -> AliasMove | None:
    """Take back the version that is on trial beside the champion, for a person's reason.

    None when there is none; the champion's own way back is `registry.rollback`.
    """
    found = store.deployments.current(model)
    if found is None or found.stage == "champion":
        return None
    move = _moved(store, found, CANARY, found.baseline, ROLLED_BACK + reason, now)
    _end(store, found, trial.load(found.trial), found.cursor, "rolled back", reason, now, move)
    return move


def holder(version: str) -> str:
    """Who holds what a version ("artifacts@4") learnt, in the rulings."""
    return f"watch of {version}"


def hold(store: Store, found: Deployment, reason: str, now: datetime) -> int:
    """Hold back what a version learnt and its baseline had not; returns how many events."""
    new = store.versions.get(found.model, found.version).dataset
    old = store.versions.get(found.model, found.baseline).dataset
    learnt = store.datasets.shown_events(new) if new else set()
    learnt -= store.datasets.shown_events(old) if old else set()
    who = holder(f"{found.model}@{found.version}")
    if learnt:
        store.held.rule(sorted(learnt), "hold", reason=reason, who=who, at=now)
    return len(learnt)


def _moved(
    store: Store,
    found: Deployment,
    alias: str,
    version: int,
    reason: str,
    at: datetime,
    cycle: str | None = None,
) -> AliasMove:
    here = store.versions.alias(found.model, alias)
    assert here is not None  # the trial was opened with a champion and a canary
    return AliasMove(
        model=found.model,
        alias=alias,
        revision=here.revision + 1,
        version=version,
        previous=here.version,
        reason=reason,
        at=at,
        cycle=cycle,
        forced=reason.startswith(ROLLED_BACK),
    )


def _end(
    store: Store,
    found: Deployment,
    seen: Trial,
    cursor: int,
    ended: Ended,
    reason: str,
    now: datetime,
    move: AliasMove | None = None,
    deed: Deed | None = None,
) -> Deployment:
    kept = trial.dump(seen)
    moves = [] if move is None else [move]
    store.deployments.decide(
        found, cursor, kept, moves=moves, ended=ended, reason=reason, at=now, deed=deed
    )
    return replace(found, cursor=cursor, trial=kept, ended=ended, reason=reason, ended_at=now)


def _deed(found: Deployment, action: str, why: str, at: datetime) -> Deed:
    """What the watch did by itself, for the audit log."""
    detail = {
        "version": f"{found.model}@{found.version}",
        "baseline": f"{found.model}@{found.baseline}",
        "why": why,
    }
    return Deed(at=at, actor=ACTOR, action=action, outcome="done", detail=detail)


def _told(seen: Trial) -> str:
    """The evidence in words."""
    old, new = seen.champion.record, seen.trial.record
    before = f"{100 * old.mean:.1f} % of {old.count:,}" if old.mean is not None else "none"
    after = f"{100 * new.mean:.1f} % of {new.count:,}" if new.mean is not None else "none"
    return (
        f"accepted {after} outcomes, {before} of the champion's (e-value {seen.worse.e_value:.3g} "
        f"for worse, {seen.fine.e_value:.3g} for not worse)"
    )


def standing(found: Deployment) -> dict[str, Any]:
    """A deployment with its numbers, for people and `--json`."""
    seen = trial.load(found.trial)
    policy = Watch.model_validate(found.policy)
    return {
        "model": found.model,
        "version": f"{found.model}@{found.version}",
        "baseline": f"{found.model}@{found.baseline}",
        "stage": found.stage,
        "share": 1.0 if found.stage == "champion" else policy.share,
        "opened_at": found.opened_at.isoformat(),
        "outcomes": {"version": seen.trial.record.count, "baseline": seen.champion.record.count},
        "accepted": {"version": seen.trial.record.mean, "baseline": seen.champion.record.mean},
        "bar": seen.bar,
        "e_worse": seen.worse.e_value,
        "e_not_worse": seen.fine.e_value,
        "threshold": 1 / policy.alpha if seen.bar is None else 2 / policy.alpha,
        "ended": found.ended,
        "reason": found.reason,
        "ended_at": found.ended_at.isoformat() if found.ended_at else None,
    }
