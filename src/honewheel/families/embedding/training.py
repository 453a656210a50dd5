"""One run: examples in, `run_dir/final` out, resumed from whatever is complete.

    run_dir/embeddings/   vectors of the base that a head learns on, see cache.py
    run_dir/rates/RATE/   a course of the ladder, see course.py
    run_dir/course/       the course that is kept, where the ladder's were shorter
    run_dir/log.jsonl     what happened when
    run_dir/final/        head, adapter or full weights; tokenizer; embedding.json, training.json

On a CPU with a fixed number of threads the bytes of `final` depend only on base, spec and
dataset: interrupted anywhere and resumed, a run ends with the same digest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from honewheel import atomic
from honewheel.families import hardware, log, run
from honewheel.families.embedding import base as bases
from honewheel.families.embedding import judge, pairs
from honewheel.families.embedding import learner as learners
from honewheel.families.embedding.course import Course, Given
from honewheel.families.embedding.judge import COLLAPSED, Score
from honewheel.families.embedding.pairs import Work
from honewheel.families.embedding.ranges import AUTO, LADDERS, UNTRIED, planned_updates
from honewheel.families.names import REPORT
from honewheel.families.stream import Emit
from honewheel.records import Dataset, Progress, Spec

IDENTITY = "embedding.json"


def train(spec: Spec, dataset: Dataset, run_dir: Path) -> Iterator[Progress]:
    """Train into `run_dir/final`; yields one Progress an update.

    Raises:
        ConfigError: `run_dir` holds a run with other inputs, or the base has changed.
        NotEnoughData, ParseError: nothing to train on, or an example that is no pair.
        TrainingFailed: the loss or a weight is not finite.
        NotEnoughMemory: an allocation failed.
        Damaged: `run_dir/final` is there but its bytes are not what was recorded.
    """

    def make(folder: Path, inputs: Mapping[str, Any], emit: Emit) -> _Run:
        return _Run(spec, dataset, folder, run_dir, inputs, emit)

    yield from run.take(make, spec, dataset, run_dir, bases.resolve(spec.base))


class _Run:
    """State of one run from its start to `final`."""

    def __init__(
        self,
        spec: Spec,
        dataset: Dataset,
        folder: Path,
        run_dir: Path,
        inputs: Mapping[str, Any],
        emit: Emit,
    ) -> None:
        self.spec, self.folder, self.run_dir = spec, folder, run_dir
        self.settings = dict[str, Any](spec.settings)
        self.inputs, self.emit = inputs, emit
        self.work: Work = pairs.read(dataset.train, dataset.val, self.settings["positive_from"])
        self.updates = planned_updates(spec.method, self.settings, len(self.work.train))
        tried = max(1, round(self.settings["ladder_share"] * self.updates))
        asked = self.settings["learning_rate"]
        self.ladder = LADDERS[spec.method] if asked == AUTO and len(self.work.val) else ()
        self.tried = tried if self.ladder else 0
        whole = self.tried == self.updates
        self.total = self.tried * len(self.ladder) + (0 if whole else self.updates)
        self.before = 0  # updates of courses that are over

    def go(self) -> None:
        self.learner = learners.make(
            self.spec,
            self.folder,
            self.work.texts,
            self.run_dir,
            lambda done, of: self._say(f"embedded {done:,} of {of:,} texts"),
        )
        self._tell_long()
        kept, tried = self._courses()
        kept.load()
        with atomic.staged_folder(self.run_dir / run.FINAL) as staging:
            self.learner.save(staging)
            _write(staging / IDENTITY, self._identity())
            _write(staging / REPORT, self._training(kept, tried))

    def too_large(self) -> str:
        """What to change, once an allocation has failed."""
        free = hardware.available()
        told = "" if free is None else f" ({hardware.gigabytes(free)} are free now)"
        return (
            f"Memory ran out while training {self.spec.method} on {self.spec.base}{told}. Lower "
            'batch_size, tokens_per_pass or max_tokens, or use method = "head".'
        )

    def _courses(self) -> tuple[Course, dict[str, Any]]:
        """The course whose end is kept, and the scores of the ladder's."""
        asked = self.settings["learning_rate"]
        if not self.ladder:
            rate = UNTRIED[self.spec.method] if asked == AUTO else asked
            if asked == AUTO:
                self._say(f"no validation pair to choose a rate by: {rate:g} is taken")
            return self._course(self.run_dir / "course", rate, self.updates), {}
        courses = [
            self._course(self.run_dir / "rates" / f"{rate:g}", rate, self.tried)
            for rate in self.ladder
        ]
        # By where a course ended: on its way a high rate is now and then good by chance.
        ends = [one.result["history"]["scores"][-1][1] for one in courses]
        tried = {f"{one.rate:g}": end for one, end in zip(courses, ends, strict=True)}
        scores = [Score(**end) for end in ends]
        # Of rates that cannot be told apart the lowest has moved least from the base.
        best = courses[judge.lowest(scores, len(self.work.val))]
        self._say(f"rate {best.rate:g} is the lowest of the best on the validation pairs")
        if self.tried < self.updates:
            best = self._course(self.run_dir / "course", best.rate, self.updates)
        return best, tried

    def _course(self, folder: Path, rate: float, updates: int) -> Course:
        given = Given(
            work=self.work,
            settings=self.settings,
            seed=self.spec.seed,
            inputs=self.inputs,
            learner=self.learner,
        )
        found = Course(given, folder, rate, updates, self._hear)
        self.clock: log.Clock | None = None
        found.go()
        self.before += updates
        return found

    # --- what is told ---------------------------------------------------------------------------

    def _tell_long(self) -> None:
        """Texts that are longer than what is read."""
        limit = self._limit()
        self.long = int((self.learner.counts > limit).sum())
        if self.long:
            self._say(
                f"{self.long:,} of {len(self.work.texts):,} texts are longer than {limit} tokens "
                f"(longest {int(self.learner.counts.max()):,}); what is beyond is not read"
            )

    def _limit(self) -> int:
        return int(self.learner.limit)

    def _say(self, message: str) -> None:
        self._put(Progress(stage="train", step=self.before, total=self.total, message=message))

    def _hear(self, course: Course, message: str, loss: float | None, score: Score | None) -> None:
        """Progress of a course as that of the whole run."""
        if self.clock is None:
            self.clock = log.Clock(course.update)
        told = [message] if message else []
        if score is not None:
            told.append(_told(score))
        step = self.before + course.update
        self._put(
            Progress(
                stage="train",
                step=step,
                total=self.total,
                loss=loss,
                val_loss=None if score is None or math.isnan(score.loss) else score.loss,
                learning_rate=course.rate if loss is not None else None,
                seconds_left=self.clock.left(course.update, self.total - self.before)
                if loss is not None
                else None,
                memory_bytes=hardware.peak() if loss is not None else None,
                message="; ".join(told),
            )
        )

    def _put(self, progress: Progress) -> None:
        log.write(self.run_dir, progress)
        self.emit(progress)

    # --- what is kept ---------------------------------------------------------------------------

    def _identity(self) -> dict[str, Any]:
        """What a version needs to be opened."""
        return {
            "base": self.spec.base,
            "base_hash": self.spec.base_hash,
            "method": self.spec.method,
        }

    def _training(self, kept: Course, tried: Mapping[str, Any]) -> dict[str, Any]:
        """What the run was and did; nothing in it depends on time or place."""
        result = kept.result
        history = result["history"]
        scores = [(at, Score(**score)) for at, score in history["scores"]]
        judged = "1 - Spearman on the validation pairs" if len(self.work.val) else "nothing"
        return {
            "inputs": self.inputs,
            "realised": result["realised"],
            "updates": result["updates"],
            "planned_updates": result["planned_updates"],
            "best_update": result["kept"],
            "losses": history["losses"],
            "val_losses": [(at, one.loss) for at, one in scores if not math.isnan(one.loss)],
            "scores": history["scores"],
            "ladder": dict(tried),
            "rate": kept.rate,
            "examples": len(self.work.train),
            "val_examples": len(self.work.val),
            "judged_by": judged,
            "texts": len(self.work.texts),
            "texts_cut": self.long,
            "retreat": result["retreat"],
        } | ({"stages": result["stages"]} if "stages" in result else {})


def _told(score: Score) -> str:
    parts = []
    if not math.isnan(score.spearman):
        parts.append(f"Spearman {score.spearman:.3f}")
    if not math.isnan(score.auc):
        parts.append(f"AUC {score.auc:.3f}")
    if not math.isnan(score.random):
        parts.append(f"random texts {score.random:.2f}")
        if score.random > COLLAPSED:
            parts.append("COLLAPSED: texts that have nothing in common are near each other")
    return ", ".join(parts)


def _write(path: Path, found: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
