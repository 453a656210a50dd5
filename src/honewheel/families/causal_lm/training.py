"""One run: examples in, `run_dir/final` out, resumed from whatever is complete.

    run_dir/checkpoints/   see checkpoints.py
    run_dir/log.jsonl      what happened when (times, so no part of what is hashed)
    run_dir/retreat.json   see retreat.py; run_dir/passes.json: see room.py
    run_dir/final/         adapter (or full weights) and training.json; appears whole

On a CPU with a fixed number of threads the bytes of `final` depend only on base, spec and
dataset: interrupted anywhere and resumed, a run ends with the same digest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from honewheel import atomic
from honewheel.families import (
    adapters,
    checkpoints,
    hardware,
    log,
    precision,
    retreat,
    run,
    snapshot,
)
from honewheel.families.causal_lm import (
    interpolate,
    loading,
    memory,
    probe,
    realised,
    reference,
    start,
)
from honewheel.families.causal_lm.base import resolve
from honewheel.families.causal_lm.render import Renderer, longest
from honewheel.families.causal_lm.room import Room
from honewheel.families.causal_lm.scoring import Scorer
from honewheel.families.causal_lm.trainer import ObjectiveTrainer
from honewheel.families.causal_lm.work import make as make_work
from honewheel.families.names import REPORT
from honewheel.families.optimizer import make_optimizer
from honewheel.families.order import CURRICULUM, Left, Mastery, Order, plan
from honewheel.families.schedule import Course, make_schedule
from honewheel.families.stopping import Best
from honewheel.families.stream import Emit
from honewheel.records import Dataset, Progress, Spec

PROBE_FROM = 50  # updates from which a run is worth a first look at its widest batch


def train(spec: Spec, dataset: Dataset, run_dir: Path) -> Iterator[Progress]:
    """Train into `run_dir/final`; yields one Progress an update.

    Raises:
        ConfigError: `run_dir` holds a run with other inputs, or the base has changed.
        TrainingFailed: the loss or a weight is not finite.
        NotEnoughMemory: an allocation failed.
        Damaged: `run_dir/final` is there but its bytes are not what was recorded.
    """

    def make(folder: Path, inputs: Mapping[str, Any], emit: Emit) -> _Run:
        return _Run(spec, dataset, folder, run_dir, inputs, emit)

    base = resolve(spec.base)
    kind = precision.realised(str(spec.settings["precision"]), base[0])
    yield from run.take(make, spec, dataset, run_dir, base, precision=kind)


class _Run:
    """State of one run from its start (or its newest checkpoint) to `final`."""

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
        self.settings = settings = dict[str, Any](spec.settings)
        self.inputs, self.emit = inputs, emit
        self.start = start.folder(spec, run_dir)
        self.checkpoints = run_dir / "checkpoints"
        limit = longest(self.settings, folder)
        self.work = make_work(self.settings, dataset, Renderer(folder), limit)
        self.rows, self.val = self.work.units, self.work.val
        epoch = math.ceil(len(self.rows) / settings["batch_size"])
        self.eval_every = max(1, round(settings["eval_every"] * epoch))
        self.attempts = retreat.Attempts(run_dir, self.checkpoints)
        self._reset()

    def _reset(self) -> None:
        """Stand before the first update."""
        self.batches: Sequence[list[int]] = plan(
            len(self.rows),
            self.settings["batch_size"],
            self.settings["epochs"],
            self.spec.seed,
            self.settings["updates"],
        )
        self.order: Order | None = None
        self.mastery: Mastery | None = None
        self.update = 0
        self.best = Best()
        self.losses: list[tuple[int, float]] = []
        self.val_losses: list[tuple[int, float]] = []

    def go(self) -> None:
        """Take all updates, from the newest checkpoint on, and write `final`."""
        self.attempts.make(self._take_updates, self._give_up)
        self._finish()

    def too_large(self) -> str:
        """What the run needs and what there is, once an allocation has failed."""
        needed = memory.estimate(self.folder, self.spec, self.rows)
        return memory.explain(needed, hardware.available())

    def _give_up(self, why: str) -> None:
        """Make room for the next attempt."""
        self._say(why)
        del self.trainer, self.model, self.optimizer, self.schedule

    def _take_updates(self) -> None:
        """Load, resume, take the updates that are left."""
        self._reset()
        self.model = start.model(self.folder, self.spec, self.start)
        self.optimizer = make_optimizer(
            self.settings["optimizer"],
            self.model,
            self.settings["learning_rate"],
            self.settings["weight_decay"],
        )
        warmup = math.ceil(self.settings["warmup_share"] * len(self.batches))
        self.schedule = make_schedule(
            self.optimizer,
            Course(len(self.batches), warmup, self.settings["schedule"], self.settings["restarts"]),
        )
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        saved = checkpoints.newest(self.checkpoints)
        if saved is not None:
            checkpoints.refuse_changed(saved.state["inputs"], self.inputs, self.run_dir)
            self.update = saved.state["update"]
        self._pace(saved)
        self.trainer = self._trainer()
        self._begin(saved)
        self.clock = log.Clock(self.update)
        if self.update < len(self.batches) and not self._stale:
            self.trainer.train()

    def _trainer(self) -> ObjectiveTrainer:
        """The Trainer over the batches that are left; the model is still that of the start."""
        kind = self.inputs["precision"]
        scorer = Scorer(self.model.eval(), kind == "bfloat16", self.settings["tokens_per_pass"])
        rows = [row for unit in self.rows for row in unit.rows[:1]]
        if len(rows) > 1:
            scorer.refuse_mixing(rows)
        self.work = reference.complete(
            self.work,
            scorer,
            reference.cache(self.run_dir, self.spec, kind, scorer.device),
            lambda done, of: self._say(f"reference {done} of {of} rows"),
        )
        self.rows, self.val = self.work.units, self.work.val
        room = Room(scorer, self.run_dir, self._say)
        room.enter(self.update)
        if len(self.batches) - self.update >= PROBE_FROM:
            self._probe(room)
        return ObjectiveTrainer(
            scorer,
            self.work,
            Left(self.batches, self.update),
            self.optimizer,
            self.schedule,
            self._after,
            room,
            max_grad_norm=self.settings["max_grad_norm"],
            folder=self.run_dir,
            seed=self.spec.seed,
            keep_losses=self.mastery is not None,
        )

    def _probe(self, room: Room) -> None:
        """The widest batch first. The Trainer seeds everything after it, so no weight changes."""
        batch = self.settings["batch_size"]
        took, each = probe.seconds(self.work, room, batch)
        # By the mean row: which rows a batch will have may not be drawn yet.
        row = sum(map(len, self.rows)) / len(self.rows)
        left = (len(self.batches) - self.update) * batch * row * each
        self._report(message=f"the longest batch takes {took:.2g} s", seconds_left=left)

    def _pace(self, saved: checkpoints.Checkpoint | None) -> None:
        """Replace the plan by one in which rows wait for their time, where some have to."""
        if not any(self.work.since):
            return
        state = saved.state.get("curriculum") if saved is not None else None
        opens = {} if state is None else dict(state["opens"])
        sizes = [len(batch) for batch in self.batches]
        self.batches = self.order = Order(self.work.since, sizes, self.spec.seed, opens)
        if self.settings.get(CURRICULUM) == "stages":
            self.mastery = Mastery(self.order, state)

    @property
    def _stale(self) -> bool:
        return bool(self.best.stale >= self.settings["patience"])

    def _begin(self, saved: checkpoints.Checkpoint | None) -> None:
        """Stand where `saved` stood; the Trainer has just seeded everything, so this is last."""
        self.trainer.room.enter(self.update)
        if saved is not None:
            snapshot.restore(saved, self.model, self.optimizer, self.schedule)
        self.attempts.slow(self.optimizer, self.schedule, saved)
        if saved is None:
            if self.val:
                self.val_losses.append((0, _mean(self.trainer.item_losses(self.val))))
                self._report(
                    message=f"before training; judged by {self.work.judged_by}",
                    val_loss=self.val_losses[-1][1],
                )
            return
        best = saved.state["best"]
        self.best = Best(step=best["step"], losses=tuple(best["losses"]), stale=best["stale"])
        self.losses = [(step, loss) for step, loss in saved.state["losses"]]
        self.val_losses = [(step, loss) for step, loss in saved.state["val_losses"]]
        self._report(message=f"resumed after update {self.update}")

    def _after(self, done: int) -> bool:
        """Book-keeping after an update; returns whether to go on."""
        self.update = self.clock.offset + done
        self.trainer.room.enter(self.update)
        self.losses.append((self.update, self.trainer.last_loss))
        if self.mastery is not None:
            self.mastery.after(self.update - 1, self.trainer.last_losses)
        last = self.update == len(self.batches)
        val_loss = None
        if self.val and (last or self.update % self.eval_every == 0):
            items = self.trainer.item_losses(self.val)
            val_loss = _mean(items)
            self.val_losses.append((self.update, val_loss))
            self.best = self.best.after(self.update, items, self.settings["min_delta"])
            if self.order is not None and self.order.holds_back(self.update):
                self.best = replace(self.best, stale=0)  # what it has not seen may yet help
        if last or val_loss is not None or self.update % self.settings["checkpoint_every"] == 0:
            self._checkpoint()
        stop = self._stale and not last
        self._report(
            loss=self.trainer.last_loss,
            val_loss=val_loss,
            message=f"no improvement in {self.best.stale} validations: stopped" if stop else "",
        )
        return not stop

    def _checkpoint(self) -> None:
        retreat.refuse_broken(self.model, self.update, self.trainer.last_rate)
        state = {
            "update": self.update,
            "inputs": self.inputs,
            "retreat": self.attempts.retreat,
            "best": asdict(self.best),
            "losses": self.losses,
            "val_losses": self.val_losses,
        }
        if self.mastery is not None:
            state["curriculum"] = self.mastery.state()
        parts, more = snapshot.capture(self.model, self.optimizer, self.schedule)
        checkpoints.save(self.checkpoints, self.update, parts, state | more)

    def _say(self, message: str) -> None:
        self._report(message=message)

    def _report(
        self,
        *,
        message: str = "",
        loss: float | None = None,
        val_loss: float | None = None,
        seconds_left: float | None = None,
    ) -> None:
        if loss is not None:
            seconds_left = self.clock.left(self.update, len(self.batches))
        progress = Progress(
            stage="train",
            step=self.update,
            total=len(self.batches),
            loss=loss,
            val_loss=val_loss,
            learning_rate=self.trainer.last_rate if loss is not None else None,
            tokens_per_second=self._speed() if loss is not None else None,
            seconds_left=seconds_left,
            memory_bytes=hardware.peak() if seconds_left is not None else None,
            message=message,
        )
        log.write(self.run_dir, progress)
        self.emit(progress)

    def _speed(self) -> float:
        """Tokens a second since this process began to train."""
        done = self.batches[self.clock.offset : self.update]
        return self.clock.speed(len(self.rows[index]) for batch in done for index in batch)

    def _finish(self) -> None:
        if self.best.step is not None:
            best = checkpoints.read(checkpoints.folder(self.checkpoints, self.best.step))
            snapshot.load_weights(self.model, best)
        self.way = self._interpolate()
        with atomic.staged_folder(self.run_dir / run.FINAL) as staging:
            if self.spec.method == "lora":
                adapters.save(self.model, staging, self.spec.base)
            else:
                loading.save_whole(self.model, self.folder, staging)
            (staging / REPORT).write_text(json.dumps(self._training(), indent=1, sort_keys=True))

    def _interpolate(self) -> dict[str, Any] | None:
        """Go back towards the start as far as val allows, if that is asked for."""
        if not self.settings["interpolate"]:
            return None
        if not self.val:
            self._report(message="interpolate: no validation rows, so the weights stay as trained")
            return None
        judge = partial(self.trainer.item_losses, self.val)
        begin = interpolate.start(self.model, self.folder, self.start)
        found = interpolate.settle(self.model, begin, judge, self.settings["min_delta"])
        self._report(message=f"interpolate: {found['share']:.0%} of the way from the start")
        return found

    def _training(self) -> dict[str, Any]:
        """What the run was and did; nothing in it depends on time or place."""
        stages = {} if self.mastery is None else {"stages": self.mastery.openings()}
        return stages | {
            "inputs": self.inputs,
            "realised": realised.read(self.trainer, self.model, self.optimizer, self.schedule),
            "updates": self.update,
            "planned_updates": len(self.batches),
            "best_update": self.best.step if self.best.step is not None else self.update,
            "losses": self.losses,
            "val_losses": self.val_losses,
            "examples": len(self.rows),
            "val_examples": len(self.val),
            "judged_by": self.work.judged_by,
            "left_out_too_long": self.work.left_out,
            "loss_tokens_per_epoch": sum(unit.loss_tokens for unit in self.rows),
            "retreat": self.attempts.retreat,
            "interpolation": self.way,
            "passes": self.trainer.room.changes,
        }


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
