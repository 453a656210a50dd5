"""One run: examples in, `run_dir/final` out, resumed from whatever is complete.

    run_dir/checkpoints/   see checkpoints.py
    run_dir/log.jsonl      what happened when (times, so no part of what is hashed)
    run_dir/final/         adapter (or full weights) and training.json; appears whole

On a CPU with a fixed number of threads the bytes of `final` depend only on base, spec and
dataset: interrupted anywhere and resumed, a run ends with the same digest.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from honewheel import atomic
from honewheel.errors import ConfigError, NotEnoughData, NotEnoughMemory, TrainingFailed
from honewheel.families.causal_lm import (
    adapters,
    attention,
    checkpoints,
    lean,
    loading,
    memory,
    snapshot,
)
from honewheel.families.causal_lm.base import TOKENIZER_FILES, resolve
from honewheel.families.causal_lm.collate import plan
from honewheel.families.causal_lm.order import CURRICULUM, Left, Mastery, Order
from honewheel.families.causal_lm.render import Renderer, longest
from honewheel.families.causal_lm.schedule import make_schedule
from honewheel.families.causal_lm.stopping import Best
from honewheel.families.causal_lm.stream import Emit, stream
from honewheel.families.causal_lm.trainer import SupervisedTrainer, make_optimizer, probe
from honewheel.records import Dataset, Json, Progress, Spec, as_dict

REPORT = "training.json"
PROBE_FROM = 50  # updates from which a run is worth a first look at its widest batch


def train(spec: Spec, dataset: Dataset, run_dir: Path) -> Iterator[Progress]:
    """Train into `run_dir/final`; yields one Progress an update.

    Raises:
        ConfigError: `run_dir` holds a run with other inputs, or the base has changed.
        TrainingFailed: the loss or a weight is not finite.
        NotEnoughMemory: an allocation failed.
        Damaged: `run_dir/final` is there but its bytes are not what was recorded.
    """
    folder, found = resolve(spec.base)
    if found != spec.base_hash:
        raise ConfigError(
            f"The base {spec.base} is no longer the one this run was planned with: sha256 "
            f"{found[:12]}, planned {spec.base_hash[:12]}. Start a new run."
        )
    inputs = _inputs(spec, dataset)
    final = run_dir / "final"
    if final.exists():
        atomic.verify(final)
        report = json.loads((final / REPORT).read_text())
        checkpoints.refuse_changed(report["inputs"], inputs, run_dir)
        return
    yield from stream(lambda emit: _guarded(_Run(spec, dataset, folder, run_dir, inputs, emit)))


def _inputs(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    """Everything that decides the weights, as one flat mapping, precision resolved."""
    given = as_dict(spec)
    settings: dict[str, Any] = given.pop("settings")
    precision = loading.realised_precision(settings["precision"])
    return {"dataset": dataset.hash, **given, **settings, "precision": precision}


def _guarded(run: _Run) -> None:
    """The whole run, with failed allocations told in numbers."""
    try:
        with loading.deterministic():
            run.go()
    except (MemoryError, RuntimeError) as error:
        if not memory.is_exhausted(error):
            raise
        needed = memory.estimate(run.folder, run.spec, run.rows)
        raise NotEnoughMemory(memory.explain(needed, memory.available())) from error


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
        self.checkpoints = run_dir / "checkpoints"
        renderer = Renderer(folder)
        limit = longest(self.settings, folder)
        encoded = zip(renderer.encode(dataset.train), dataset.train, strict=True)
        fitting = [(row, example.since) for row, example in encoded if len(row) <= limit]
        self.rows = [row for row, _ in fitting]
        self.since = [since for _, since in fitting]
        self.val = [row for row in renderer.encode(dataset.val) if len(row) <= limit]
        self.left_out = len(dataset.train) + len(dataset.val) - len(self.rows) - len(self.val)
        if not self.rows:
            raise NotEnoughData(
                f"None of {len(dataset.train)} examples is at most {limit} tokens long. "
                "Raise max_tokens, or choose a base with more positions."
            )
        self.batches: Sequence[list[int]] = plan(
            len(self.rows),
            settings["batch_size"],
            settings["epochs"],
            spec.seed,
            settings["updates"],
        )
        self.order: Order | None = None
        self.mastery: Mastery | None = None
        epoch = math.ceil(len(self.rows) / settings["batch_size"])
        self.eval_every = max(1, round(settings["eval_every"] * epoch))
        self.update = 0
        self.best = Best()
        self.losses: list[tuple[int, float]] = []
        self.val_losses: list[tuple[int, float]] = []

    def go(self) -> None:
        """Load, resume, take the updates that are left, write `final`."""
        self.model = self._model()
        self.optimizer = make_optimizer(
            self.model, self.settings["learning_rate"], self.settings["weight_decay"]
        )
        self.warmup = math.ceil(self.settings["warmup_share"] * len(self.batches))
        self.schedule = make_schedule(
            self.optimizer, len(self.batches), self.warmup, self.settings["schedule"]
        )
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        saved = checkpoints.newest(self.checkpoints)
        if saved is not None:
            checkpoints.refuse_changed(saved.state["inputs"], self.inputs, self.run_dir)
            self.update = saved.state["update"]
        self._pace(saved)
        self._probe()
        self.trainer = SupervisedTrainer(
            self.model,
            self.rows,
            Left(self.batches, self.update),
            self.optimizer,
            self.schedule,
            self._after,
            tokens_per_pass=self.settings["tokens_per_pass"],
            max_grad_norm=self.settings["max_grad_norm"],
            bfloat16=self.inputs["precision"] == "bfloat16",
            folder=self.run_dir,
            seed=self.spec.seed,
            keep_losses=self.mastery is not None,
        )
        self._begin(saved)
        self.started, self.offset = time.monotonic(), self.update
        if self.update < len(self.batches) and not self._stale:
            self.trainer.train()
        self._finish()

    def _model(self) -> Any:
        attention.register()
        whole = self.spec.method == "full"
        model = loading.load(self.folder, attention=attention.NAME, full_precision=whole)
        if whole:
            return model
        adapted = adapters.attach(model, self.settings, self.spec.seed)
        lean.lighten(adapted)
        return adapted

    def _probe(self) -> None:
        """Where the run is long, its widest batch first: what does not fit fails here and now.

        Before the Trainer seeds everything, so the weights do not depend on it. No batch is looked
        up: a curriculum draws them as they come.
        """
        left = len(self.batches) - self.update
        if left < PROBE_FROM:
            return
        rows = sorted(self.rows, key=len, reverse=True)[: self.settings["batch_size"]]
        bfloat16 = self.inputs["precision"] == "bfloat16"
        seconds = probe(self.model, rows, self.settings["tokens_per_pass"], bfloat16)
        tokens = left * len(rows) * sum(map(len, self.rows)) / len(self.rows)
        self.emit(
            Progress(
                stage="train",
                step=self.update,
                total=len(self.batches),
                seconds_left=tokens * seconds / sum(map(len, rows)),
                memory_bytes=memory.peak(),
                message=f"the longest batch takes {seconds:.2g} s",
            )
        )

    def _pace(self, saved: checkpoints.Checkpoint | None) -> None:
        """Replace the plan by one in which rows wait for their time, where some have to."""
        if not any(self.since):
            return
        state = saved.state.get("curriculum") if saved is not None else None
        opens = {} if state is None else dict(state["opens"])
        sizes = [len(batch) for batch in self.batches]
        self.batches = self.order = Order(self.since, sizes, self.spec.seed, opens)
        if self.settings.get(CURRICULUM) == "stages":
            self.mastery = Mastery(self.order, state)

    @property
    def _stale(self) -> bool:
        return bool(self.best.stale >= self.settings["patience"])

    def _begin(self, saved: checkpoints.Checkpoint | None) -> None:
        """Stand where `saved` stood; the Trainer has just seeded everything, so this is last."""
        if saved is None:
            if self.val:
                self.val_losses.append((0, _mean(self.trainer.item_losses(self.val))))
                self._report(message="before training", val_loss=self.val_losses[-1][1])
            return
        snapshot.restore(saved, self.model, self.optimizer, self.schedule)
        best = saved.state["best"]
        self.best = Best(step=best["step"], losses=tuple(best["losses"]), stale=best["stale"])
        self.losses = [(step, loss) for step, loss in saved.state["losses"]]
        self.val_losses = [(step, loss) for step, loss in saved.state["val_losses"]]
        self._report(message=f"resumed after update {self.update}")

    def _after(self, done: int) -> bool:
        """Book-keeping after an update; returns whether to go on."""
        self.update = self.offset + done
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
        state = {
            "update": self.update,
            "inputs": self.inputs,
            "best": asdict(self.best),
            "losses": self.losses,
            "val_losses": self.val_losses,
        }
        if self.mastery is not None:
            state["curriculum"] = self.mastery.state()
        parts, more = snapshot.capture(self.model, self.optimizer, self.schedule)
        checkpoints.save(self.checkpoints, self.update, parts, state | more)

    def _report(
        self, *, message: str = "", loss: float | None = None, val_loss: float | None = None
    ) -> None:
        progress = Progress(
            stage="train",
            step=self.update,
            total=len(self.batches),
            loss=loss,
            val_loss=val_loss,
            learning_rate=self.trainer.last_rate if loss is not None else None,
            tokens_per_second=self._speed() if loss is not None else None,
            seconds_left=self._left() if loss is not None else None,
            memory_bytes=memory.peak() if loss is not None else None,
            message=message,
        )
        line = {"at": datetime.now(UTC).isoformat(), "threads": torch.get_num_threads()}
        with (self.run_dir / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | as_dict(progress)) + "\n")
        self.emit(progress)

    def _speed(self) -> float:
        """Tokens a second since this process began to train."""
        done = self.batches[self.offset : self.update]
        tokens = sum(len(self.rows[index]) for batch in done for index in batch)
        return tokens / max(time.monotonic() - self.started, 1e-9)

    def _left(self) -> float:
        """Seconds that the updates to come will take, if nothing stops them earlier."""
        done = self.update - self.offset
        each = (time.monotonic() - self.started) / max(done, 1)
        return each * (len(self.batches) - self.update)

    def _finish(self) -> None:
        if self.best.step is not None:
            best = checkpoints.read(checkpoints.folder(self.checkpoints, self.best.step))
            snapshot.load_weights(self.model, best)
        broken = [
            name for name, w in snapshot.trainable(self.model) if not bool(w.isfinite().all())
        ]
        if broken:
            raise TrainingFailed(
                f"{len(broken)} trained weights are not finite (first {broken[0]}). "
                "Lower learning_rate or max_grad_norm."
            )
        with atomic.staged_folder(self.run_dir / "final") as staging:
            if self.spec.method == "lora":
                adapters.save(self.model, staging, self.spec.base)
            else:
                _save_full(self.model, self.folder, staging)
            (staging / REPORT).write_text(json.dumps(self._training(), indent=1, sort_keys=True))

    def _training(self) -> dict[str, Any]:
        """What the run was and did; nothing in it depends on time or place."""
        stages = {} if self.mastery is None else {"stages": self.mastery.openings()}
        return stages | {
            "inputs": self.inputs,
            "realised": self._realised(),
            "updates": self.update,
            "planned_updates": len(self.batches),
            "best_update": self.best.step if self.best.step is not None else self.update,
            "losses": self.losses,
            "val_losses": self.val_losses,
            "examples": len(self.rows),
            "val_examples": len(self.val),
            "left_out_too_long": self.left_out,
            "loss_tokens_per_epoch": sum(row.loss_tokens for row in self.rows),
        }

    def _realised(self) -> dict[str, Json]:
        """Settings as the optimizer, schedule and adapter have them."""
        groups = self.optimizer.param_groups
        found: dict[str, Json] = {
            "learning_rate": groups[0]["initial_lr"],
            "weight_decay": groups[0]["weight_decay"],
            "optimizer": type(self.optimizer).__name__,
            "schedule": self.settings["schedule"],
            "warmup_updates": self.warmup,
            "max_grad_norm": self.trainer.args.max_grad_norm,
            "trainable_parameters": sum(
                weight.numel() for _, weight in snapshot.trainable(self.model)
            ),
        }
        return found | (adapters.realised(self.model) if self.spec.method == "lora" else {})


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _save_full(model: Any, base: Path, folder: Path) -> None:
    """All weights with config and tokenizer: a model folder of its own."""
    with loading.quiet():
        model.save_pretrained(folder)
    for name in TOKENIZER_FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
