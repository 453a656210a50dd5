"""One run: examples in, `run_dir/final` out, resumed from whatever is complete.

    run_dir/checkpoints/   see families/checkpoints.py; the carry and the mean of the weights too
    run_dir/log.jsonl      what happened when (times, so no part of what is hashed)
    run_dir/retreat.json   see families/retreat.py
    run_dir/final/         config.json, model.safetensors and training.json; appears whole

A short loop and not transformers' Trainer: between updates a latent state is carried, and which
rows an update sees depends on what the one before made of them. On a CPU with a fixed number of
threads the bytes of `final` depend only on base, spec and dataset, however often a run was killed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from honewheel import atomic
from honewheel.families import checkpoints, hardware, log, modes, retreat, run, snapshot
from honewheel.families.names import REPORT
from honewheel.families.reasoner import (
    base,
    interpolate,
    losses,
    memory,
    precision,
    realised,
    rows,
    start,
)
from honewheel.families.reasoner.average import Average
from honewheel.families.reasoner.carry import Carry
from honewheel.families.reasoner.draw import Draw
from honewheel.families.reasoner.judge import Best, Judged, judge
from honewheel.families.reasoner.optimizer import make_optimizer, of_task
from honewheel.families.retreat import NotFinite
from honewheel.families.schedule import Course, make_schedule
from honewheel.families.stream import Emit
from honewheel.protocols import START
from honewheel.records import Dataset, Progress, Spec


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

    yield from run.take(make, spec, dataset, run_dir, base.resolve(spec.base))


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
        self.spec, self.run_dir = spec, run_dir
        self.folder = folder if spec.start_files is None else run_dir / START
        self.settings = dict[str, Any](spec.settings)
        self.inputs, self.emit = inputs, emit
        self.checkpoints = run_dir / "checkpoints"
        self.rows = rows.learn(dataset.train)
        self.val = rows.learn(dataset.val, self.rows.kinds)
        self.attempts = retreat.Attempts(run_dir, self.checkpoints)
        self.total = int(self.settings["updates"])

    def go(self) -> None:
        """Take all updates, from the newest checkpoint on, and write `final`."""
        self.attempts.make(self._take_updates, lambda why: self._report(message=why))
        self._finish()

    def too_large(self) -> str:
        """What the run needs and what there is, once an allocation has failed."""
        needed = memory.estimate(self.folder, self.spec, self.rows.kinds)
        return memory.explain(needed, hardware.available())

    def _take_updates(self) -> None:
        """Build, resume, take the updates that are left."""
        self._build()
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        saved = checkpoints.newest(self.checkpoints)
        if saved is None:
            self._begin()
        else:
            checkpoints.refuse_changed(saved.state["inputs"], self.inputs, self.run_dir)
            self._resume(saved)
        self.clock = log.Clock(self.update)
        while self.update < self.total and self.best.stale < self.settings["patience"]:
            self._step()
            self._after()

    def _build(self) -> None:
        """Everything as it stands before the first update."""
        settings = self.settings
        self.model = start.model(
            self.folder, self.val.kinds, self.spec.seed, int(settings["segments"])
        )
        self.model.config.votes = int(settings["votes"])
        self.segments = self.model.shape.segments
        self.first = {name: w.detach().clone() for name, w in self.model.named_parameters()}
        self.mean = Average(self.model, settings["ema"])
        self.optimizer = make_optimizer(
            settings["optimizer"],
            self.model,
            settings["learning_rate"],
            settings["weight_decay"],
        )
        warmup = math.ceil(settings["warmup_share"] * self.total)
        course = Course(self.total, warmup, settings["schedule"])
        self.schedule = make_schedule(self.optimizer, course)
        self.rng = np.random.default_rng(self.spec.seed)
        self.draw = Draw(
            self.rows, self.rng, replay=settings["replay"], augment=settings["augment"]
        )
        self.carry = Carry(self.model, int(settings["batch_size"]), self.segments)
        config = self.model.config
        self.boards = rows.boards(
            self.val.kinds,
            config.task_names,
            self.model.shape.length,
            self.model.shape.relations,
            modes.device(),
        )
        self.bfloat16 = precision.halves(settings["precision"], self.model.shape)
        self.cells = losses.CELLS[settings["loss"]]
        self.task_only = round(settings["task_first"] * self.total)
        self.shared = [w for name, w in self.model.named_parameters() if not of_task(name)]
        self.update, self.best, self.judged = 0, Best(), None
        self.losses: list[tuple[int, float]] = []
        self.val_losses: list[tuple[int, float]] = []
        self.val_exact: list[tuple[int, dict[str, float]]] = []
        self.rate = settings["learning_rate"]

    def _begin(self) -> None:
        self.attempts.slow(self.optimizer, self.schedule, None)
        if len(self.val):
            judged = self._look()
            self._report(message=f"before training: {judged.words()}", val_loss=-judged.score[1])

    def _resume(self, saved: checkpoints.Checkpoint) -> None:
        """Stand where `saved` stood."""
        snapshot.restore(saved, self.model, self.optimizer, self.schedule)
        self.mean.restore(saved.part("mean"))
        self.carry.restore(saved.part("carry"))
        state = saved.state
        self.rng.bit_generator.state = state["draw"]
        self.attempts.slow(self.optimizer, self.schedule, saved)
        self.update = state["update"]
        told = state["best"]
        self.best = Best(step=told["step"], score=tuple(told["score"]), stale=told["stale"])
        self.losses = [(step, loss) for step, loss in state["losses"]]
        self.val_losses = [(step, loss) for step, loss in state["val_losses"]]
        self.val_exact = [(step, shares) for step, shares in state["val_exact"]]
        self._report(message=f"resumed after update {self.update}")

    def _step(self) -> None:
        """One segment for every row, and one update. Raises NotFinite."""
        carry, settings = self.carry, self.settings
        carry.refill(self.draw, self.update / self.total)
        self.model.train()
        with torch.autocast(carry.inputs.device.type, torch.bfloat16, enabled=self.bfloat16):
            logits, halts, state = self.model(carry.inputs, carry.kind, self.boards, carry.state)
        right = losses.solved(logits, carry.labels)
        cells = self.cells(logits, carry.labels).mean()
        halting = losses.halting(halts[:, 0], right)
        sure = halts[:, 0] > 0
        if self.model.shape.kind == "hrm":
            halting = halting + losses.continuing(halts[:, 1], self._ahead(state))
            sure = halts[:, 0] > halts[:, 1]
        loss = cells + settings["halt_weight"] * halting
        self.rate = float(self.schedule.get_last_lr()[0])
        self.last_loss = float(cells.detach())
        if not math.isfinite(float(loss.detach())):
            raise NotFinite(f"the loss became {float(loss.detach())}", self.update + 1, self.rate)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.update < self.task_only:
            for weight in self.shared:
                weight.grad = None
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings["max_grad_norm"])
        self.optimizer.step()
        self.schedule.step()
        self.update += 1
        self.mean.after(self.update)
        carry.advance(state, sure.detach(), self.rng, settings["exploration"])

    @torch.no_grad()
    def _ahead(self, state: Any) -> torch.Tensor:
        """[B] what the continue logits should say: the worth of the segment ahead."""
        carry = self.carry
        with torch.autocast(carry.inputs.device.type, torch.bfloat16, enabled=self.bfloat16):
            _, halts, _ = self.model(carry.inputs, carry.kind, self.boards, state)
        return losses.continue_target(halts, carry.steps + 2 >= self.segments)

    def _after(self) -> None:
        """Book-keeping after an update."""
        self.losses.append((self.update, self.last_loss))
        last = self.update == self.total
        judged = None
        if len(self.val) and (last or self.update % self.settings["eval_every"] == 0):
            judged = self._look()
            self.best = self.best.after(self.update, judged.score)
        if last or judged or self.update % self.settings["checkpoint_every"] == 0:
            self._checkpoint()
        stop = not last and self.best.stale >= self.settings["patience"]
        words = judged.words() if judged else ""
        if stop:
            words += f"; no improvement in {self.best.stale} looks: stopped"
        self._report(
            loss=self.last_loss, val_loss=-judged.score[1] if judged else None, message=words
        )

    def _look(self) -> Judged:
        """Judge the running mean on the validation rows."""
        judged = self._judge()
        self.val_losses.append((self.update, -judged.score[1]))
        self.val_exact.append((self.update, judged.exact()))
        return judged

    def _judge(self) -> Judged:
        return judge(self.mean.model, self.val, self.boards, self.segments, bfloat16=self.bfloat16)

    def _checkpoint(self) -> None:
        retreat.refuse_broken(self.model, self.update, self.rate)
        parts, more = snapshot.capture(self.model, self.optimizer, self.schedule)
        state = {
            "update": self.update,
            "inputs": self.inputs,
            "retreat": self.attempts.retreat,
            "best": asdict(self.best),
            "losses": self.losses,
            "val_losses": self.val_losses,
            "val_exact": self.val_exact,
            "draw": self.rng.bit_generator.state,
        }
        held = {"mean": self.mean.tensors(), "carry": self.carry.tensors()}
        checkpoints.save(self.checkpoints, self.update, {**parts, **held}, state | more)

    def _report(
        self, *, message: str = "", loss: float | None = None, val_loss: float | None = None
    ) -> None:
        speed = left = None
        if loss is not None:
            taken = self.update - self.clock.offset
            cells = self.carry.inputs.numel()
            speed = self.clock.speed([cells] * taken)
            left = self.clock.left(self.update, self.total)
        progress = Progress(
            stage="train",
            step=self.update,
            total=self.total,
            loss=loss,
            val_loss=val_loss,
            learning_rate=self.rate if loss is not None else None,
            tokens_per_second=speed,
            seconds_left=left,
            memory_bytes=hardware.peak() if loss is not None else None,
            message=message,
        )
        log.write(self.run_dir, progress)
        self.emit(progress)

    def _finish(self) -> None:
        """Keep the best mean, go back as far as asked for, publish."""
        if self.best.step is not None:
            saved = checkpoints.read(checkpoints.folder(self.checkpoints, self.best.step))
            self.mean.restore(saved.part("mean"))
        way = self._interpolate()
        with atomic.staged_folder(self.run_dir / run.FINAL) as staging:
            with modes.quiet():
                self.mean.model.save_pretrained(staging)
            told = json.dumps(self._training(way), indent=1, sort_keys=True)
            (staging / REPORT).write_text(told)

    def _interpolate(self) -> dict[str, Any] | None:
        """Go back towards the start as far as validation rows allow, if that is asked for."""
        if not self.settings["interpolate"]:
            return None
        if base.is_preset(self.folder):
            self._report(message="interpolate: the start knew nothing, so the weights stay")
            return None
        if not len(self.val):
            self._report(message="interpolate: no validation rows, so the weights stay as trained")
            return None
        found = interpolate.settle(self.mean, self.first, lambda: self._judge().score)
        self._report(message=f"interpolate: {found['share']:.0%} of the way from the start")
        return found

    def _training(self, way: Mapping[str, Any] | None) -> dict[str, Any]:
        """What the run was and did; nothing in it depends on time or place."""
        return {
            "inputs": self.inputs,
            "realised": realised.read(self),
            "updates": self.update,
            "planned_updates": self.total,
            "best_update": self.best.step if self.best.step is not None else self.update,
            "losses": self.losses,
            "val_losses": self.val_losses,
            "val_exact": self.val_exact,
            "examples": len(self.rows),
            "val_examples": len(self.val),
            "left_out": len(self.rows.left_out),
            "judged_by": "exact match",
            "retreat": self.attempts.retreat,
            "interpolation": way,
        }
