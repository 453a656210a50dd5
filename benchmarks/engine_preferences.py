"""DPO by one side: ours, or TRL's DPOTrainer at one of its settings. All start alike.

The reference is the model under its fresh adapter, so its log-probabilities have to be computed
by every side, before training or in each step: what is timed is all of it, tokenising included.
TRL's DPO knows no padding_free at present.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import engine_data
import torch
from engine_sides import BATCH, RATE, Job, Run, arguments, fresh, held_out
from transformers import PrinterCallback

from honewheel.families.causal_lm import attention, lean
from honewheel.families.causal_lm.dpo import Dpo
from honewheel.families.causal_lm.reference import with_reference
from honewheel.families.causal_lm.render import Renderer
from honewheel.families.causal_lm.room import Room
from honewheel.families.causal_lm.scoring import Scorer
from honewheel.families.causal_lm.trainer import ObjectiveTrainer
from honewheel.families.causal_lm.units import EncodedPair, encode, fitting
from honewheel.families.causal_lm.work import Work
from honewheel.families.optimizer import make_optimizer
from honewheel.families.order import Left, plan
from honewheel.families.schedule import Course, make_schedule

BETA = 0.1


def ours(job: Job, *, bfloat16: bool) -> Run:
    """The trainer that `honewheel cycle` runs with objective = "dpo", without the SFT term."""
    model = fresh(job, attention.NAME)
    lean.lighten(model)
    started, wall = time.process_time(), time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scorer = Scorer(model.eval(), bfloat16, 8192)
        units = _units(job, job.pairs, scorer, folder / "reference.json")
        batches = plan(len(units), BATCH, 1, job.seed)
        optimizer = make_optimizer("adamw", model, RATE, 0.0)
        objective = Dpo(BETA, 0.0, 0.0)
        work = Work(
            objective=objective,
            units=units,
            since=[0.0] * len(units),
            judge=objective,
            val=(),
            judged_by="",
            left_out=0,
        )
        trainer = ObjectiveTrainer(
            scorer,
            work,
            Left(batches, 0),
            optimizer,
            make_schedule(optimizer, Course(len(batches), 0, "linear")),
            lambda _: True,
            Room(scorer, folder, print),
            max_grad_norm=1.0,
            folder=folder,
            seed=job.seed,
        )
        trainer.train()
    done = time.process_time()
    tokens = sum(row.loss_tokens for unit in units for row in unit.rows)
    took = time.perf_counter() - wall
    loss = held_out(model, lambda: loss_of(model, job))
    return Run(0.0, done - started, took, trainer.state.global_step, tokens, loss)


def trl(job: Job, **settings: Any) -> Run:
    """TRL's DPOTrainer; `settings` are those of its DPOConfig."""
    import datasets
    from trl import DPOConfig, DPOTrainer

    datasets.disable_progress_bars()
    datasets.disable_caching()  # it keeps references on disk, also those of another round
    model = fresh(job, "sdpa")
    tokenizer = Renderer(job.base)._tokenizer
    started, wall = time.process_time(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        given = {"max_length": 1024, "beta": BETA} | arguments(folder, job.seed) | settings
        trainer = DPOTrainer(
            model,
            args=DPOConfig(**given),
            train_dataset=_table(job.pairs),
            processing_class=tokenizer,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    done = time.process_time()
    took, steps = time.perf_counter() - wall, trainer.state.global_step
    rows = trainer.train_dataset
    tokens = sum(len(row) for key in ("chosen_ids", "rejected_ids") for row in rows[key])
    loss = held_out(trainer.model, lambda: loss_of(trainer.model, job))
    return Run(0.0, done - started, took, steps, tokens, loss)


def loss_of(model: Any, job: Job) -> float:
    """Mean held-out loss of a pair in float32, one way for every side."""
    return sum(_losses(model, job, job.held_out)) / len(job.held_out)


def pair_losses(job: Job) -> tuple[list[float], list[float]]:
    """(ours, TRL's) loss of each pair under an adapter that has moved, against the bare base."""
    from trl import DPOConfig, DPOTrainer

    mine = _moved(fresh(job, attention.NAME))
    lean.lighten(mine)
    with tempfile.TemporaryDirectory() as folder:
        given = arguments(folder, job.seed) | {"per_device_train_batch_size": 1, **_TUNED}
        trainer = DPOTrainer(
            fresh(job, "sdpa"),
            args=DPOConfig(beta=BETA, bf16=False, max_length=1024, **given),
            train_dataset=_table(job.pairs),
            processing_class=Renderer(job.base)._tokenizer,
        )
        _moved(trainer.model)
        rows = [trainer.data_collator([row]) for row in trainer.train_dataset]
        with torch.no_grad():
            theirs = [trainer.compute_loss(trainer.model, row).item() for row in rows]
    return _losses(mine, job, job.pairs), theirs


def _losses(model: Any, job: Job, pairs: Sequence[Any]) -> list[float]:
    scorer, found = Scorer(model, False, 4096), []
    with tempfile.TemporaryDirectory() as folder, model.disable_adapter():
        units = _units(job, pairs, scorer, Path(folder) / "reference.json")
    objective = Dpo(BETA, 0.0, 0.0)
    with torch.no_grad():
        for unit in units:
            found.append(objective.loss(scorer, [unit], objective.begin(scorer, [unit]))[1].item())
    return found


def _moved(model: Any) -> Any:
    """`model` as if its adapter had learnt something, the same at every call."""
    draw = torch.Generator().manual_seed(2)
    for name, weight in model.named_parameters():
        if "lora_B.default" in name:
            weight.data.normal_(0.0, 0.02, generator=draw)
    return model.eval()


def _units(job: Job, pairs: Sequence[Any], scorer: Scorer, path: Path) -> list[EncodedPair]:
    rows = engine_data.as_pairs(list(pairs))
    units = fitting(rows, encode(rows, Renderer(job.base)), 1024)[0]
    found: Any = with_reference(units, scorer, path, lambda *_: None)
    return list(found)


def _table(pairs: Sequence[Any]) -> Any:
    from datasets import Dataset

    keys = ("prompt", "chosen", "rejected")
    return Dataset.from_list([dict(zip(keys, pair, strict=True)) for pair in pairs])


_TUNED = {"gradient_checkpointing": False}
_ONCE = {**_TUNED, "precompute_ref_log_probs": True}

OURS: Mapping[str, Callable[[Job], Run]] = {
    "ours fp32": lambda job: ours(job, bfloat16=False),
    "ours bf16": lambda job: ours(job, bfloat16=True),
}
RIVALS: Mapping[str, Callable[[Job], Run]] = {
    "TRL default": lambda job: trl(job),
    "TRL padded fp32": lambda job: trl(job, bf16=False, **_TUNED),
    "TRL padded bf16": lambda job: trl(job, bf16=True, **_TUNED),
    "TRL reference once fp32": lambda job: trl(job, bf16=False, **_ONCE),
    "TRL reference once bf16": lambda job: trl(job, bf16=True, **_ONCE),
}
