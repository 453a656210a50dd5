"""Does a technique help on *this* project's data? Train with and without it and compare.

Every arm is the project as it is but for one switch; all trainings take the same number of
updates and answer the same held-out prompts. A training is kept by the hash of what decides it
(dataset, spec, prompts), so arms that are the same are trained once, and a run that was stopped
goes on where it was. The champion is not touched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from honewheel import plugins
from honewheel.config import Config
from honewheel.errors import InputError, NotEnoughData
from honewheel.evaluate import ablate, measure
from honewheel.evaluate.ablate import Effect
from honewheel.evaluate.setwise import Statistic
from honewheel.loop import material, policies, proof, ready, techniques
from honewheel.loop import start as starts
from honewheel.loop.material import Material
from honewheel.loop.registry import CHAMPION
from honewheel.loop.rehearsal import Outcome, Rehearsal, Stage
from honewheel.loop.techniques import Technique
from honewheel.records import (
    Decoding,
    EvalRow,
    Json,
    Progress,
    Spec,
    Suite,
    Version,
    as_dict,
    digest,
)
from honewheel.store import Store
from honewheel.train.warm import WarmProcess

VERSION = 1
CURVE_SHARES = (0.25, 0.5, 1.0)  # of the examples there are
Listener = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What an ablation will take; `seconds` is None when no cycle was timed here yet."""

    trainings: int
    known: int  # of them done already
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One technique's effect overall and by task; `reason` tells why there is none."""

    technique: str
    setting: str
    was_on: bool
    effect: Effect | None = None
    tasks: tuple[Effect, ...] = ()
    seconds_with: float = 0.0
    seconds_without: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Mean score of an arm trained on `examples` examples."""

    technique: str
    on: bool
    examples: int
    score: float
    low: float  # lowest and highest seed
    high: float


class Study:
    """The trainings of one ablation on a store, a project and a model as they are now."""

    def __init__(
        self, store: Store, config: Config, model: str, *, seeds: int, clock: Callable[[], datetime]
    ) -> None:
        if seeds < 1:
            raise InputError(f"An ablation needs at least 1 seed, not {seeds}.")
        ready.require(config, model)
        self.store, self.config, self.model, self.clock = store, config, model, clock
        self.seeds = range(config.settings.curate.seed, config.settings.curate.seed + seeds)
        self.folder = config.state / "ablate"
        self.as_of_seq = store.log.last_seq()
        self.settings = config.model(model)[1]
        self.family = plugins.family(self.settings.family)
        self.base_hash = self.family.resolve(self.settings.base)[1]
        self.known: dict[tuple[str, int], Rehearsal] = {}

    def open(self, listen: Listener) -> None:
        """Read the log and fix what is asked. Raises NotEnoughData without held-out prompts."""
        champion = self._champion()
        now = self.clock()
        self.begin = starts.of(self.store, self.config, self.model, champion, now)
        self.material: Material = material.gather(
            self.store,
            self.config,
            self.model,
            champion,
            self.as_of_seq,
            now,
            listen,
            self.begin,
        )
        names = [suite.name for suite in self.material.suites]
        self.suites: list[Suite] = proof.panels(
            self.store, self.config, self.model, self.as_of_seq, names
        )
        if not self.suites:
            raise NotEnoughData(
                "There are no held-out prompts to compare on: no frozen suite is imported and no "
                "corrected event has fallen into test. Run: honewheel suite import FILE --task T"
            )
        # The time of the last thing said: a run that goes on tomorrow weighs examples as today.
        self.as_of = max(
            (item.created_at for event in self.material.events for item in event.feedback),
            default=self.clock(),
        )
        self.updates = self._updates(self.config)
        self.stage = Stage(
            config=self.config,
            suites=self.suites,
            decoding=self._decoding(),
            folder=self.folder,
            clock=self.clock,
            warm=WarmProcess(),
        )

    def trainings(self, arm: Config) -> list[Rehearsal]:
        """An arm once a seed, all with the same number of updates."""
        return [self._training(arm, seed) for seed in self.seeds]

    def cost(self, arms: Sequence[Config]) -> Cost:
        """How many trainings these arms take, and how long, from the newest cycle's own times."""
        keys = {training.key for arm in arms for training in self.trainings(arm)}
        known = sum(self.stage.known(key) for key in keys)
        each = self._seconds_each()
        seconds = None if each is None else each * (len(keys) - known)
        return Cost(trainings=len(keys), known=known, seconds=seconds)

    def outcome(self, training: Rehearsal, listen: Listener) -> Outcome:
        """Train and ask, or what is known of it from an earlier run."""
        return self.stage.outcome(training, listen)

    def statistics(self, rows: Sequence[EvalRow]) -> dict[str, Statistic]:
        """The set metric of each task that has one, as the gate takes it."""
        scorers = proof.scorers(self.config, self.model)
        asked = policies.chosen(self.config, self.model)
        return measure.statistics(ablate.by_task(rows), scorers, asked)

    def can_train(self, arm: Config) -> bool:
        """Whether an arm has enough examples."""
        try:
            return bool(self.trainings(arm))
        except NotEnoughData:
            return False

    def sizes(self) -> list[int]:
        """Numbers of new examples for a learning curve."""
        rows = self.trainings(self.config)[0].dataset.train
        total = sum(row.role == "new" and not row.variant for row in rows)
        least = self.config.settings.curate.min_examples
        return sorted({max(least, round(share * total)) for share in CURVE_SHARES})

    def limited(self, size: int) -> Config:
        """The project as it is, with at most `size` new examples."""
        return techniques.switched(self.config, max_examples=size)

    def _training(self, arm: Config, seed: int) -> Rehearsal:
        name = digest(arm.settings.curate.model_dump(mode="json")), seed
        if name not in self.known:
            seeded = techniques.switched(arm, seed=seed)
            dataset = material.make(self.material, seeded, self.as_of).dataset
            spec = self._spec(seeded, seed)
            how: list[Json] = [VERSION, dataset.hash, spec.hash, *(s.hash for s in self.suites)]
            judges = proof.judges(self.config, self.suites)
            key = digest([*how, as_dict(self._decoding()), judges])
            self.known[name] = Rehearsal(
                dataset=dataset, spec=spec, key=key, start=self.begin.folder
            )
        return self.known[name]

    def _spec(self, arm: Config, seed: int) -> Spec:
        settings = material.training_settings(arm, self.model)
        return Spec(
            family=self.settings.family,
            base=self.settings.base,
            base_hash=self.base_hash,
            method=arm.method(self.model),
            settings=settings | ({} if self.updates is None else {"updates": self.updates}),
            seed=seed,
            start_files=self.begin.files,
        )

    def _champion(self) -> Version | None:
        move = self.store.versions.alias(self.model, CHAMPION)
        return self.store.versions.get(self.model, move.version) if move else None

    def _updates(self, arm: Config) -> int | None:
        """Updates of a training as the project is set now: what every arm gets.

        None for a family whose trainings have no number of updates to set.
        """
        settings: dict[str, Any] = arm.hyperparameters(self.model)
        if "updates" not in settings:
            return None
        rows = len(material.make(self.material, arm, self.as_of).dataset.train)
        epochs = math.ceil(rows / int(settings["batch_size"])) * int(settings["epochs"])
        return int(settings["updates"]) or epochs

    def _decoding(self) -> Decoding:
        return Decoding(max_new_tokens=self.config.settings.evaluate.max_new_tokens)

    def _seconds_each(self) -> float | None:
        """Training and evaluation of one version in the newest finished cycle of the model."""
        for cycle in self.store.cycles.list(self.model, 20):
            trained = self.store.cycles.step(cycle.id, "train")
            asked = self.store.cycles.step(cycle.id, "evaluate")
            if trained and asked:
                return float(trained[1]["seconds"]) + float(asked[1]["seconds"])
        return None


def chosen(config: Config, names: Sequence[str]) -> list[Technique]:
    """The techniques called `names`, or all that are on. Raises InputError."""
    found = [techniques.find(name) for name in names]
    if not found:
        found = [one for one in techniques.TECHNIQUES.values() if techniques.is_on(config, one)]
    if not found:
        raise InputError(
            "No technique is on, so none can be left out. Name some: "
            + ", ".join(techniques.TECHNIQUES)
        )
    return found


def plan(study: Study, wanted: Sequence[Technique], *, curve: bool) -> list[Config]:
    """Every arm that comparing these techniques takes, those of their curves too."""
    whole = [study.config] + [study.limited(size) for size in study.sizes()] * curve
    found = [arm for start in whole for one in wanted for arm in techniques.arms(start, one)]
    return [arm for arm in found if study.can_train(arm)]


def findings(study: Study, wanted: Sequence[Technique], listen: Listener) -> Iterator[Finding]:
    """One finding a technique, as soon as its trainings are done."""
    for technique in wanted:
        yield _finding(study, technique, listen)


def _finding(study: Study, technique: Technique, listen: Listener) -> Finding:
    on, off = techniques.arms(study.config, technique)
    bare = Finding(
        technique=technique.name,
        setting=f"curate.{technique.key} = {techniques.value(on, technique)!r} against "
        f"{technique.off!r}",
        was_on=techniques.is_on(study.config, technique),
    )
    if technique.needs and not getattr(study.config.settings.curate, technique.needs):
        reason = f"curate.{technique.needs} is not set, so this switch changes nothing"
        return replace(bare, reason=reason)
    try:
        ours, theirs = study.trainings(on), study.trainings(off)
    except NotEnoughData as error:
        return replace(bare, reason=str(error))
    if [one.key for one in ours] == [one.key for one in theirs]:
        return replace(bare, reason="both arms train on the same examples")
    with_it, without = ([study.outcome(one, listen) for one in side] for side in (ours, theirs))
    left, right = [one.rows for one in with_it], [one.rows for one in without]
    return replace(
        bare,
        effect=ablate.effect(technique.name, left, right, statistics=study.statistics(left[0])),
        tasks=_by_task(left, right, study.statistics(left[0])),
        seconds_with=math.fsum(one.seconds for one in with_it) / len(with_it),
        seconds_without=math.fsum(one.seconds for one in without) / len(without),
    )


def _by_task(
    left: Sequence[Sequence[EvalRow]],
    right: Sequence[Sequence[EvalRow]],
    statistics: Mapping[str, Statistic],
) -> tuple[Effect, ...]:
    ours, theirs = ([ablate.by_task(rows) for rows in side] for side in (left, right))
    found = []
    for task in ours[0]:
        try:
            sides = [rows[task] for rows in ours], [rows[task] for rows in theirs]
            found.append(ablate.effect(task, *sides, statistics=statistics))
        except NotEnoughData:
            continue
    return tuple(found)


def curve(study: Study, technique: Technique, listen: Listener) -> Iterator[Point]:
    """Score over the number of new examples, with and without a technique."""
    for size in study.sizes():
        both = techniques.arms(study.limited(size), technique)
        for on, arm in zip((True, False), both, strict=True):
            found = [study.outcome(one, listen) for one in study.trainings(arm)]
            scores = [_score(one.rows, study.statistics(one.rows)) for one in found]
            yield Point(
                technique=technique.name,
                on=on,
                examples=size,
                score=math.fsum(scores) / len(scores),
                low=min(scores),
                high=max(scores),
            )


def _score(rows: Sequence[EvalRow], statistics: Mapping[str, Statistic]) -> float:
    means = [
        statistics[task].value(part)
        if task in statistics
        else math.fsum(row.metrics["score"] for row in part) / len(part)
        for task, part in ablate.by_task(rows).items()
    ]
    return math.fsum(means) / len(means)
