"""One turn of the wheel: feedback -> dataset -> challenger -> proof -> decision -> alias -> report.

Read this first. Each step is a function of journaled inputs and writes one row when it is done,
so a crash at any point means: run the cycle again, it continues where it was and ends with the
same dataset hash and (on CPU, with one seed) the same weights. Only this file joins the rooms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from honewheel import gate, plugins
from honewheel.config import Config, from_frozen
from honewheel.errors import (
    ConfigError,
    Fenced,
    HonewheelError,
    Moved,
    NotEnoughMemory,
    NothingNew,
    Stopped,
    StoreBusy,
    StoreFull,
    TrainingStopped,
)
from honewheel.evaluate.measure import Sides, measure
from honewheel.gate import Evidence
from honewheel.loop import diagnosis, fresh, material, policies, promotion, proof, ready
from honewheel.loop import start as starts
from honewheel.loop.journal import Journal
from honewheel.loop.registry import ensure_champion
from honewheel.loop.start import Start
from honewheel.loop.turn import Listener, Turn
from honewheel.records import (
    Cycle,
    Dataset,
    Decision,
    Decoding,
    Finding,
    Json,
    Progress,
    Spec,
    Suite,
    Version,
    as_dict,
    digest,
)
from honewheel.store import Store
from honewheel.train import history
from honewheel.train import run as train
from honewheel.train.warm import WarmProcess

# Settings that decide nothing of what a cycle computes.
_NOT_KEPT: Any = {
    "store": True,
    "server": True,
    "worker": True,
    "events": True,
    "webhooks": True,
    "mlflow": True,
    "models": {"__all__": {"upstream", "schedules", "index"}},
}
ASKED = "asked for"  # why a cycle runs that no trigger asked for
# Run again, and the cycle goes on.
_RESUMABLE = (StoreBusy, StoreFull, TrainingStopped, Stopped, Fenced)


def run(
    store: Store,
    config: Config,
    model: str,
    *,
    clock: Callable[[], datetime],
    listen: Listener,
    schedule: str | None = None,
    reason: str = ASKED,
    warm: WarmProcess | None = None,
) -> tuple[Cycle, Decision]:
    """Run or resume one cycle of a registered model; returns it with the gate's decision.

    `reason` is why it is run, for whoever reads its report. A cycle that was cut short goes on
    under the schedule and the reason it started with. `warm`: what its training may be a fork of.

    Raises:
        ConfigError: the model has no such schedule.
        StoreBusy: another cycle of this model is running.
        NothingNew: nothing that a cycle's result is made from changed since the last one.
        NotEnoughData: too little to learn from.
        MissingExtra: this machine cannot train the model's family; no cycle is begun.
        HonewheelError: any failure; the cycle is marked failed with the message, except when the
            disk is full, the store busy or training killed: then the next call resumes it.
    """
    ready.require(config, model)
    with store.exclusive(f"cycle:{model}"):
        running = store.cycles.running(model)
        cycle = running or _start(store, config.scheduled(model, schedule), model, clock, schedule)
        try:
            turn = Turn(
                store=store,
                config=from_frozen(cycle.config, config.root),
                cycle=cycle,
                journal=Journal(store, cycle, clock),
                clock=clock,
                listen=listen,
                warm=warm,
            )
            turn.journal.step("start", [cycle.id], lambda: {"reason": reason})
            decision = _turn(turn)
        except HonewheelError as error:
            if isinstance(error, _RESUMABLE) and not isinstance(error, Moved):
                raise
            store.cycles.finish(cycle.id, "failed", None, str(error), clock())
            raise
        store.cycles.finish(cycle.id, "done", decision.verdict, None, clock())
        turn.say("cycle", decision.verdict, done=True)
        return store.cycles.get(cycle.id), decision


def _start(
    store: Store, config: Config, model: str, clock: Callable[[], datetime], schedule: str | None
) -> Cycle:
    now, seq = clock(), store.log.last_seq()
    previous = next(iter(store.cycles.list(model, 1)), None)
    if previous and fresh.stale(store, config, model, previous, seq):
        raise NothingNew(
            "Nothing to do: no feedback or suite has arrived since "
            f"cycle {previous.number} of {model} ({previous.verdict}), and no setting that its "
            "result is made from has changed. Record feedback "
            "(honewheel record, honewheel import FILE) and run the cycle again."
        )
    number = store.cycles.next_number(model)
    cycle = Cycle(
        id=f"{model}-{number:04d}",
        model=model,
        number=number,
        state="running",
        as_of=now,
        as_of_seq=seq,
        config=_frozen(config),
        started_at=now,
        schedule=schedule,
    )
    store.cycles.start(cycle)
    return cycle


def _frozen(config: Config) -> dict[str, Json]:
    """The settings a cycle keeps: not where the store is, which may hold a password, nor what only
    concerns who is served and how.
    """
    return config.settings.model_dump(mode="json", exclude=_NOT_KEPT)


def _turn(turn: Turn) -> Decision:
    champion = _champion(turn)
    begin = starts.of(turn.store, turn.config, turn.model, champion, turn.cycle.as_of)
    built = material.seal(turn, champion, begin)
    dataset = turn.store.datasets.load(built["dataset"])
    challenger = _train(turn, dataset, champion, begin)
    names = [name for name, _ in built["suites"]]
    suites = _evaluate(turn, champion, challenger, names)
    watched = diagnosis.diagnose(turn, champion, challenger, suites)
    decision = _gate(turn, dataset, champion, challenger, suites, watched)
    promotion.promote(turn, decision, champion, challenger)
    return decision


# --- champion -----------------------------------------------------------------------------------


def _champion(turn: Turn) -> Version:
    """The version the challenger must beat, fixed for this cycle; the bare base at first."""

    def work() -> Json:
        move = ensure_champion(turn.store, turn.config, turn.model, turn.clock())
        return {"version": move.version, "revision": move.revision}

    found = turn.journal.step("champion", [turn.cycle.id], work)
    return turn.store.versions.get(turn.model, found["version"])


# --- 2. train -----------------------------------------------------------------------------------


def _train(turn: Turn, dataset: Dataset, champion: Version, begin: Start) -> Version:
    """The challenger: a new version from `begin`, trained in a child process."""
    settings = turn.config.model(turn.model)[1]
    family = plugins.family(settings.family)
    spec = Spec(
        family=settings.family,
        base=settings.base,
        base_hash=family.resolve(settings.base)[1],
        method=turn.config.method(turn.model),
        settings=material.training_settings(turn.config, turn.model),
        seed=turn.config.settings.curate.seed,
        start_files=begin.files,
    )

    def work() -> Json:
        started = turn.clock()
        _refuse_or_warn(turn, [*starts.check(spec, begin), *family.check(spec, dataset)])
        final = train.run(
            settings.family,
            spec,
            dataset,
            turn.run_dir,
            turn.listen,
            start=begin.folder,
            warm=turn.warm,
        )
        files = turn.store.files.put(final)
        known = turn.store.versions.by_cycle(turn.cycle.id)
        number = known.number if known else turn.store.versions.next_number(turn.model)
        if known is None:
            turn.store.versions.create(
                Version(
                    model=turn.model,
                    number=number,
                    base=spec.base,
                    base_hash=spec.base_hash,
                    created_at=turn.clock(),
                    files=files,
                    dataset=dataset.hash,
                    run=digest([spec.hash, dataset.hash]),
                    cycle=turn.cycle.id,
                    parent=champion.number,
                    started_from=begin.number,
                )
            )
        points = history.history(final)
        return {
            "version": number,
            "files": files,
            "run": digest([spec.hash, dataset.hash]),
            "spec": as_dict(spec),
            "base_hash": spec.base_hash,
            "started_from": begin.name,
            "history": points,
            "realised": history.realised(final),
            "steps": max((int(point["step"]) for point in points), default=0),
            "seconds": (turn.clock() - started).total_seconds(),
        }

    how = spec.settings.get("objective", "sft")
    told = f"{spec.method}{'' if how == 'sft' else f', {how}'} on {spec.base}"
    told += f", from {begin.name}" if begin.name else ""
    turn.say("train", told + (f"; it {begin.why}" if begin.why else ""))
    found = turn.journal.step("train", [dataset.hash, spec.hash], work)
    turn.say("train", f"{turn.model}@{found['version']} in {found['seconds']:.0f} s", done=True)
    return turn.store.versions.get(turn.model, found["version"])


def _refuse_or_warn(turn: Turn, findings: Sequence[Finding]) -> None:
    """Raise the first refusal of a family, pass its warnings on."""
    for finding in findings:
        if finding.severity == "warning":
            turn.listen(Progress(stage="train", step=0, total=0, message=finding.message))
    for finding in findings:
        if finding.severity == "error":
            kind = NotEnoughMemory if finding.code == "memory" else ConfigError
            raise kind(finding.message)


# --- 3. evaluate --------------------------------------------------------------------------------


def _evaluate(
    turn: Turn, champion: Version, challenger: Version, frozen: Sequence[str]
) -> list[Suite]:
    """Base, champion and challenger answer the same items; only what is not cached generates."""
    suites = proof.panels(turn.store, turn.config, turn.model, turn.cycle.as_of_seq, frozen)
    base = turn.store.versions.get(turn.model, 0)
    decoding = Decoding(max_new_tokens=turn.config.settings.evaluate.max_new_tokens)
    versions = list({v.number: v for v in (base, champion, challenger)}.values())
    inputs: Json = [
        proof.VERSION,
        [suite.hash for suite in suites],
        [[version.name, version.files] for version in versions],
        as_dict(decoding),
        proof.judges(turn.config, suites),
    ]

    def work() -> Json:
        started = turn.clock()
        for version in versions:
            rows = proof.score(turn.store, turn.config, version, suites, decoding, turn.listen)
            turn.store.versions.save_eval(turn.cycle.id, rows)
        return {
            "base": base.name,
            "champion": champion.name,
            "challenger": challenger.name,
            "panels": [
                {"suite": s.name, "task": s.task, "role": s.role, "items": len(s.items)}
                for s in suites
            ],
            "seconds": (turn.clock() - started).total_seconds(),
        }

    count = sum(len(suite.items) for suite in suites)
    turn.say("evaluate", f"{challenger.name} against {champion.name} on {count:,} held-out prompts")
    found = turn.journal.step("evaluate", inputs, work)
    turn.say("evaluate", f"{count:,} prompts in {found['seconds']:.0f} s", done=True)
    return suites


# --- 4. gate ------------------------------------------------------------------------------------


def _gate(
    turn: Turn,
    dataset: Dataset,
    champion: Version,
    challenger: Version,
    suites: Sequence[Suite],
    watched: Mapping[str, Sides],
) -> Decision:
    """The verdict on the scored rows, with its numbers."""
    policy = policies.policy(turn.config, turn.model)
    sides = proof.sides(
        turn.store.versions.eval_rows(turn.cycle.id), suites, champion.name, challenger.name
    )
    evidence = measure(
        sides.panels,
        sides.guards,
        trained=_trained(dataset, turn.config.settings.curate.min_examples),
        policy=policy,
        newest=proof.newest(
            turn.store,
            suites,
            turn.cycle.as_of,
            turn.cycle.as_of_seq,
            turn.config.settings.evaluate.newest_days,
        ),
        resamples=turn.config.settings.evaluate.resamples,
        sets=proof.scorers(turn.config, turn.model),
        chosen=policies.chosen(turn.config, turn.model),
        watched=watched,
        bands=proof.bands(turn.config, suites),
    )
    evidence = _with_cost(turn, evidence, suites, champion, challenger)
    decision = gate.decide(evidence, policy, challenger=challenger.name, champion=champion.name)

    def work() -> Json:
        turn.store.versions.save_decision(turn.cycle.id, decision)
        return {"verdict": decision.verdict}

    turn.say("gate")
    turn.journal.step("gate", [gate.VERSION, as_dict(decision)], work)
    turn.say("gate", decision.verdict, done=True)
    return decision


def _trained(dataset: Dataset, enough: int) -> tuple[str, ...]:
    """Tasks that the primary endpoint speaks for: those with `enough` new rows of their own.

    A handful of corrections cannot be expected to lift a task: it stays a guard. When no task
    has enough, all that have new rows count.
    """
    count = Counter(row.task for row in dataset.train if row.role == "new" and not row.variant)
    return tuple(task for task in dataset.tasks if count[task] >= enough) or dataset.tasks


def _with_cost(
    turn: Turn, evidence: Evidence, suites: Sequence[Suite], champion: Version, challenger: Version
) -> Evidence:
    """With what both versions' answers to everything asked took, where it was measured."""
    decoding = Decoding(max_new_tokens=turn.config.settings.evaluate.max_new_tokens)
    prompts = [proof.prompt_key(i.prompt, i.context) for suite in suites for i in suite.items]
    old, new = (
        proof.mean_cost(turn.store, version, decoding, prompts)
        for version in (champion, challenger)
    )
    if old is None or new is None:
        return evidence
    timed = None if old.seconds is None or new.seconds is None else (old.seconds, new.seconds)
    return replace(evidence, tokens=(old.tokens, new.tokens), seconds=timed)
