"""One training by one side: ours, or a rival at one of its settings. All start alike.

Every side gets the same base, the same LoRA weights from the same seed, the same pairs, batch
size, rate and optimizer, and one epoch. What is timed is the training itself, in CPU seconds of
this process on one thread; reading and tokenising are timed apart.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import engine_data
import torch
from transformers import DataCollatorForSeq2Seq, PrinterCallback, Trainer, TrainingArguments

from honewheel.families import adapters
from honewheel.families.causal_lm import attention, lean, loading
from honewheel.families.causal_lm.family import CausalLM
from honewheel.families.causal_lm.render import Encoded, Renderer
from honewheel.families.causal_lm.room import Room
from honewheel.families.causal_lm.scoring import Scorer, split
from honewheel.families.causal_lm.sft import Sft
from honewheel.families.causal_lm.trainer import ObjectiveTrainer
from honewheel.families.causal_lm.work import Work
from honewheel.families.optimizer import make_optimizer
from honewheel.families.order import Left, plan
from honewheel.families.schedule import Course, make_schedule

BATCH, RATE = 8, 1e-3
Pairs = Sequence[Any]  # (prompt, completion), or (prompt, chosen, rejected)


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to train, for every side the same."""

    base: Path
    pairs: Pairs
    held_out: Pairs
    seed: int


@dataclass(frozen=True, slots=True)
class Run:
    """What one training took and came to; `loss` is the held-out loss (nats a token)."""

    prepare: float
    train: float
    wall: float
    steps: int
    loss_tokens: int
    loss: float


def ours(job: Job, *, bfloat16: bool) -> Run:
    """The trainer that `honewheel cycle` runs, with its optimizer and schedule."""
    model = fresh(job, attention.NAME)
    lean.lighten(model)
    started, wall = time.process_time(), time.perf_counter()
    rows = Renderer(job.base).encode(engine_data.examples(list(job.pairs)))
    prepared = time.process_time()
    batches = plan(len(rows), BATCH, 1, job.seed)
    optimizer = make_optimizer("adamw", model, RATE, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        scorer = Scorer(model, bfloat16, 8192)
        trainer = ObjectiveTrainer(
            scorer,
            _work(rows),
            Left(batches, 0),
            optimizer,
            make_schedule(optimizer, Course(len(batches), 0, "linear")),
            lambda _: True,
            Room(scorer, Path(folder), print),
            max_grad_norm=1.0,
            folder=Path(folder),
            seed=job.seed,
        )
        trainer.train()
    done = time.process_time()
    tokens = sum(row.loss_tokens for row in rows)
    return Run(
        prepared - started,
        done - prepared,
        time.perf_counter() - wall,
        trainer.state.global_step,
        tokens,
        held_out_loss(model, job),
    )


def trl(job: Job, **settings: Any) -> Run:
    """TRL's SFTTrainer; `settings` are those of its SFTConfig."""
    from datasets import Dataset, disable_progress_bars
    from trl import SFTConfig, SFTTrainer

    disable_progress_bars()
    model = fresh(job, "sdpa")
    tokenizer = Renderer(job.base)._tokenizer
    started, wall = time.process_time(), time.perf_counter()
    data = Dataset.from_list([{"prompt": one, "completion": two} for one, two in job.pairs])
    with tempfile.TemporaryDirectory() as folder:
        given = {"max_length": 512} | arguments(folder, job.seed) | settings
        trainer = SFTTrainer(
            model=model, args=SFTConfig(**given), train_dataset=data, processing_class=tokenizer
        )
        trainer.remove_callback(PrinterCallback)
        prepared = time.process_time()
        trainer.train()
    done = time.process_time()
    labels = trainer.train_dataset["labels"]
    return Run(
        prepared - started,
        done - prepared,
        time.perf_counter() - wall,
        trainer.state.global_step,
        sum(sum(label != -100 for label in row) for row in labels),
        held_out_loss(trainer.model, job),
    )


def plain(job: Job, **settings: Any) -> Run:
    """transformers' Trainer with padding and batches grouped by length."""
    model = fresh(job, "sdpa")
    renderer = Renderer(job.base)
    started, wall = time.process_time(), time.perf_counter()
    rows = renderer.encode(engine_data.examples(list(job.pairs)))
    data = [_padded_row(row) for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        given = arguments(folder, job.seed) | settings
        trainer = Trainer(
            model=model,
            args=TrainingArguments(train_sampling_strategy="group_by_length", **given),
            train_dataset=data,
            data_collator=DataCollatorForSeq2Seq(renderer._tokenizer, padding=True),
        )
        trainer.remove_callback(PrinterCallback)
        prepared = time.process_time()
        trainer.train()
    done = time.process_time()
    return Run(
        prepared - started,
        done - prepared,
        time.perf_counter() - wall,
        trainer.state.global_step,
        sum(row.loss_tokens for row in rows),
        held_out_loss(trainer.model, job),
    )


_TUNED = {"gradient_checkpointing": False}
_FREE = {**_TUNED, "padding_free": True, "max_length": None}
# Best-fit packing into rows of 512; two rows hold about as many pairs as a batch of eight.
_PACKED = {**_TUNED, "packing": True, "per_device_train_batch_size": 2}

OURS: Mapping[str, Callable[[Job], Run]] = {
    "ours fp32": lambda job: ours(job, bfloat16=False),
    "ours bf16": lambda job: ours(job, bfloat16=True),
}
RIVALS: Mapping[str, Callable[[Job], Run]] = {
    "TRL default": lambda job: trl(job),
    "TRL padded fp32": lambda job: trl(job, bf16=False, **_TUNED),
    "TRL padded bf16": lambda job: trl(job, bf16=True, **_TUNED),
    "TRL padding_free fp32": lambda job: trl(job, bf16=False, **_FREE),
    "TRL padding_free bf16": lambda job: trl(job, bf16=True, **_FREE),
    "TRL packing fp32": lambda job: trl(job, bf16=False, **_PACKED),
    "TRL packing bf16": lambda job: trl(job, bf16=True, **_PACKED),
    "Trainer group_by_length fp32": lambda job: plain(job),
    "Trainer group_by_length bf16": lambda job: plain(job, bf16=True),
}


def held_out(model: Any, measure: Callable[[], float]) -> float:
    """What `measure` says of a trained model, attention computed one way for every side."""
    model.eval()
    model.get_base_model().set_attn_implementation(attention.NAME)
    return measure()


def held_out_loss(model: Any, job: Job) -> float:
    """Mean loss of the held-out answer tokens in float32."""
    return held_out(model, lambda: _token_loss(model, job))


def _token_loss(model: Any, job: Job) -> float:
    rows = Renderer(job.base).encode(engine_data.examples(list(job.held_out)))
    total, tokens = 0.0, 0
    with torch.no_grad():
        scorer = Scorer(model, False, 4096)
        for part in split(rows, scorer.limit):
            losses = scorer.token_losses(part)
            total, tokens = total + losses.double().sum().item(), tokens + len(losses)
    return total / tokens


def _work(rows: Sequence[Encoded]) -> Work:
    """Supervised fine-tuning on `rows`, with nothing held out."""
    return Work(
        objective=Sft(),
        units=rows,
        since=[0.0] * len(rows),
        judge=Sft(),
        val=(),
        judged_by="",
        left_out=0,
    )


def fresh(job: Job, how: str) -> Any:
    """The base under a fresh adapter, the same for every side."""
    attention.register()
    settings = {key: rule.default for key, rule in CausalLM().ranges("lora").items()}
    loaded = loading.load(job.base, attention=how, full_precision=False)
    return adapters.attach(loaded, settings, job.seed)


def arguments(folder: str, seed: int) -> dict[str, Any]:
    """What every Trainer is told."""
    return {
        "output_dir": folder,
        "per_device_train_batch_size": BATCH,
        "num_train_epochs": 1,
        "learning_rate": RATE,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "seed": seed,
        "report_to": [],
        "save_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": True,
    }


def _padded_row(row: Encoded) -> dict[str, list[int]]:
    ids = list(row.ids)
    labels = [-100] * row.answer_start + ids[row.answer_start :]
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels}
