"""Hyperparameters for *this* project's data: `honewheel search` and `Wheel.search`.

Every try trains on what a cycle would train on now, from where it would start, and answers the
prompts of the validation split; what judges versions (test panels and suites) is never asked. The
first try is the project as it is set. Searching picks by luck too, so the two best tries and the
first one are trained anew with further seeds, and only a difference that shows there is worth
adopting. The champion is not touched.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from honewheel import atomic, plugins
from honewheel.config import Config
from honewheel.errors import InputError, NotEnoughData, TrainingFailed
from honewheel.evaluate import ablate
from honewheel.loop import material, proof, ready, written
from honewheel.loop import start as starts
from honewheel.loop.registry import CHAMPION
from honewheel.loop.rehearsal import Rehearsal, Stage
from honewheel.protocols import START
from honewheel.records import (
    Dataset,
    Decoding,
    EvalRow,
    Item,
    Json,
    Progress,
    Spec,
    Suite,
    Version,
    as_dict,
    digest,
)
from honewheel.store import Store
from honewheel.train import search
from honewheel.train.search import GivenUp, Trial
from honewheel.train.warm import WarmProcess

VERSION = 1
TRIALS, FINALISTS = 12, 2
LEAST_ITEMS = 8  # validation prompts below which no difference can be told from luck
Listener = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalist:
    """Settings that were trained anew with further seeds, beside those of the project."""

    settings: dict[str, Json]
    effect: ablate.Effect


class HyperSearch:
    """What is searched, and a run that can be stopped and gone on with."""

    def __init__(
        self,
        store: Store,
        config: Config,
        model: str,
        *,
        only: Sequence[str],
        trials: int | None,
        minutes: float | None,
        seeds: int,
        clock: Callable[[], datetime],
        listen: Listener,
    ) -> None:
        """Build the dataset and fix what is asked; trains nothing yet.

        Raises InputError, NotEnoughData, MissingExtra, ConfigError.
        """
        if (
            seeds < 1
            or (trials is not None and trials < 2)
            or (minutes is not None and minutes <= 0)
        ):
            raise InputError(
                "A search needs at least 2 trials, 1 further seed and more than 0 minutes."
            )
        ready.require(config, model)
        self.store, self.config, self.model, self.clock = store, config, model, clock
        self.trials = trials or (None if minutes else TRIALS)
        self.minutes, self.seeds = minutes, seeds
        self.folder = config.state / "search"
        self.settings = config.model(model)[1]
        self.method = config.method(model)
        self.now = material.training_settings(config, model)
        # Which settings there are, and which data, is decided before any is drawn.
        known = plugins.ranges(self.settings.family, self.settings.train)[1]
        ranges = {key: rule for key, rule in known.items() if key not in ("objective", START)}
        self.space = search.space(ranges, self.now, only)
        self.base_hash = plugins.family(self.settings.family).resolve(self.settings.base)[1]
        self.dataset = self._dataset(listen)
        self.stage = Stage(
            config=config,
            suites=_suites(self.dataset),
            decoding=Decoding(max_new_tokens=config.settings.evaluate.max_new_tokens),
            folder=self.folder,
            clock=clock,
            warm=WarmProcess(),
        )
        self.seed = config.settings.curate.seed
        self.name = f"{model}-{self._rehearsal({}, self.seed).key[:12]}"
        self.first = {key: self.now[key] for key in self.space}
        self.study = search.Search(
            self.folder / "studies.db", self.name, ranges, self.space, self.first, seed=self.seed
        )

    @property
    def storage(self) -> str:
        """URL of the study, for optuna-dashboard."""
        return f"sqlite:///{self.folder / 'studies.db'}"

    def run(self, listen: Listener) -> dict[str, Any]:
        """Try, try the best anew, and tell what is worth adopting; kept as newest-MODEL.json.

        Raises StoreBusy when this model is being searched already, TrainingFailed when no try
        could be trained.
        """
        with self.store.exclusive(f"search:{self.model}"), self.stage.warm:
            self._try(listen)
            if self.study.best() is None:
                tried = self.study.trials()
                raise TrainingFailed(
                    f"None of {len(tried)} tries could be trained. The first: {tried[0].why} "
                    "Remedy that, then search again."
                )
            finalists = self._finals(listen)
        adopted = _adopted(finalists)
        found = {
            "model": self.model,
            "study": self.name,
            "storage": self.storage,
            "dataset": self.dataset.hash,
            "validation_prompts": len(self.dataset.val),
            "seeds": [self.seed + number for number in range(1, self.seeds + 1)],
            "first": self.first,
            "trials": [as_dict(one) for one in self.study.trials()],
            "finalists": [as_dict(one) | {"answer": one.effect.answer} for one in finalists],
            "adopt": None if adopted is None else adopted.settings,
        }
        text = json.dumps(found, indent=1, ensure_ascii=False)
        atomic.write_file(self.folder / f"newest-{self.model}.json", text.encode())
        return found

    def write(self, found: dict[str, Any]) -> list[str]:
        """Set what was found worth adopting in honewheel.toml; returns the lines that changed."""
        if found["adopt"] is None:
            return []
        best = next(one for one in found["finalists"] if one["settings"] == found["adopt"])
        gain, low, high = (100 * best["effect"][key] for key in ("difference", "low", "high"))
        comment = f"search {found['study']}: {gain:+.1f} points [{low:+.1f}, {high:+.1f}] on val"
        changes = {
            f"models.{self.model}.train.{key}": value
            for key, value in found["adopt"].items()
            if value != self.now[key]
        }
        return written.write(self.config.root, changes, comment)

    def _try(self, listen: Listener) -> None:
        started = self.clock()
        while self._more((self.clock() - started).total_seconds()):
            done = len(self.study.trials())
            self.study.step(lambda settings, report: self._score(settings, report, listen))
            best = self.study.best()
            listen(
                Progress(
                    stage="search",
                    step=done + 1,
                    total=max(self.trials or 0, done + 2),
                    message="" if best is None else _told(best),
                )
            )

    def _more(self, elapsed: float) -> bool:
        """Whether another try fits, with what the finals will take kept back."""
        done = self.study.trials()
        if self.trials is not None and len(done) >= self.trials:
            return False
        if self.minutes is None or len(done) < 2:
            return True
        each = max(one.seconds for one in done)
        finals = (1 + FINALISTS) * self.seeds * each
        return elapsed + each + finals <= 60 * self.minutes

    def _score(self, settings: search.Settings, report: search.Report, listen: Listener) -> float:
        one = self._rehearsal(settings, self.seed)
        places = {item.id: place for place, item in enumerate(_items(self.stage.suites))}

        def seen(row: EvalRow) -> None:
            if report(places[row.item], row.metrics["score"]):
                raise GivenUp

        try:
            return _mean(self.stage.outcome(one, listen, seen).rows)
        except GivenUp:
            self.stage.forget(one.key)
            raise

    def _finals(self, listen: Listener) -> list[Finalist]:
        """The best tries that are not the project as it is, against it, with further seeds."""
        done = [one for one in self.study.trials() if one.score is not None]
        ranked = sorted(done, key=lambda one: (-(one.score or 0.0), one.number))
        better = [dict(one.settings) for one in ranked if one.settings != self.first]
        chosen = [one for place, one in enumerate(better) if one not in better[:place]][:FINALISTS]
        seeds = range(self.seed + 1, self.seed + 1 + self.seeds)
        arms = [self.first, *chosen] if chosen else []
        rows: list[list[Sequence[EvalRow]]] = []
        for place, settings in enumerate(arms):
            rows.append([])
            for number, seed in enumerate(seeds):
                found = self.stage.outcome(self._rehearsal(settings, seed), listen)
                rows[-1].append(found.rows)
                at, total = place * len(seeds) + number + 1, len(arms) * len(seeds)
                listen(Progress(stage="finals", step=at, total=total))
        return [
            Finalist(
                settings=settings, effect=ablate.effect(search.described(settings), side, rows[0])
            )
            for settings, side in zip(chosen, rows[1:], strict=True)
        ]

    def _rehearsal(self, settings: search.Settings, seed: int) -> Rehearsal:
        spec = Spec(
            family=self.settings.family,
            base=self.settings.base,
            base_hash=self.base_hash,
            method=self.method,
            settings={**self.now, **settings},
            seed=seed,
            start_files=self.begin.files,
        )
        judges: Json = proof.judges(self.config, self.stage.suites)
        how: list[Json] = [VERSION, search.VERSION, self.dataset.hash, spec.hash, judges]
        how += [
            as_dict(self.stage.decoding),
            {key: list(found) for key, found in self.space.items()},
        ]
        return Rehearsal(spec=spec, dataset=self.dataset, key=digest(how), start=self.begin.folder)

    def _dataset(self, listen: Listener) -> Dataset:
        """What a cycle would train on now."""
        move = self.store.versions.alias(self.model, CHAMPION)
        champion: Version | None = None
        if move is not None:
            champion = self.store.versions.get(self.model, move.version)
        seq, now = self.store.log.last_seq(), self.clock()
        self.begin = starts.of(self.store, self.config, self.model, champion, now)
        found = material.gather(
            self.store, self.config, self.model, champion, seq, now, listen, self.begin
        )
        # The time of the last thing said: a search that goes on tomorrow builds the same dataset.
        as_of = max(
            (item.created_at for event in found.events for item in event.feedback),
            default=self.clock(),
        )
        dataset = material.make(found, self.config, as_of).dataset
        if len(dataset.val) < LEAST_ITEMS:
            raise NotEnoughData(
                f"{len(dataset.val)} examples fell to validation and a search compares on at least "
                f"{LEAST_ITEMS}. Record about {10 * LEAST_ITEMS} corrections more and search again."
            )
        return dataset


def _suites(dataset: Dataset) -> list[Suite]:
    """The validation examples as prompts with references, a suite a task."""
    tasks = sorted({row.task for row in dataset.val})
    return [
        Suite(
            name=f"val-{task}",
            task=task,
            role="panel",
            items=tuple(
                Item(
                    id=row.id,
                    task=task,
                    prompt=row.prompt,
                    reference=row.target,
                    group=row.group,
                    context=row.context,
                )
                for row in dataset.val
                if row.task == task
            ),
        )
        for task in tasks
    ]


def _items(suites: Sequence[Suite]) -> list[Item]:
    return [item for suite in suites for item in suite.items]


def _mean(rows: Sequence[EvalRow]) -> float:
    """Mean over tasks of the mean score: every task counts alike."""
    means = [
        math.fsum(row.metrics["score"] for row in part) / len(part)
        for part in ablate.by_task(rows).values()
    ]
    return math.fsum(means) / len(means)


def _told(best: Trial) -> str:
    return f"best {100 * (best.score or 0.0):.1f} with {search.described(best.settings)}"


def _adopted(finalists: Sequence[Finalist]) -> Finalist | None:
    """The best of those whose gain is outside noise."""
    helps = [one for one in finalists if one.effect.answer == "helps"]
    return max(helps, key=lambda one: one.effect.difference, default=None)
