"""Supervised fine-tuning on transformers' Trainer: our batches, our loss, our checkpoints.

The Trainer keeps what it is good at (device placement, clipping, the loop).
It is given one flat plan of batches and an optimizer and schedule that already stand where the
run left off, so a resumed run takes exactly the updates that are left.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from honewheel.errors import ConfigError, TrainingFailed
from honewheel.families.causal_lm.collate import Pass, passes
from honewheel.families.causal_lm.order import Left
from honewheel.families.causal_lm.render import Encoded


class SupervisedTrainer(Trainer):  # type: ignore[misc]
    """Cross-entropy on answer tokens, averaged over a batch with the weights of its examples.

    `batches` are the index lists of the updates to take, looked up one update ahead;
    `after_update(update)` runs when update 1, 2, ... of these is complete and returns whether to
    go on. With `keep_losses`, `last_losses` holds the loss of each row of the last batch by then.
    """

    def __init__(
        self,
        model: Any,
        rows: Sequence[Encoded],
        batches: Left,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        after_update: Callable[[int], bool],
        *,
        tokens_per_pass: int,
        max_grad_norm: float,
        bfloat16: bool,
        folder: Path,
        seed: int,
        keep_losses: bool = False,
    ) -> None:
        arguments = TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=1,  # the plan holds every epoch
            max_grad_norm=max_grad_norm,
            use_cpu=not torch.cuda.is_available(),
            seed=seed,
            use_cache=True,  # would be written into the config of full weights
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            logging_nan_inf_filter=False,
            disable_tqdm=True,
            remove_unused_columns=False,
            log_level="error",
        )
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=rows,
            optimizers=(optimizer, schedule),
            callbacks=[_AfterUpdate(after_update)],
        )
        self.remove_callback(PrinterCallback)
        self.batches = batches
        self.tokens_per_pass = tokens_per_pass
        self.bfloat16 = bfloat16
        self.last_loss = self.last_rate = math.nan
        self.keep_losses = keep_losses
        self.last_losses: list[float] = []
        self._walk_the_model_less(optimizer)

    def get_train_dataloader(self) -> DataLoader[Encoded]:
        """Batches of the plan, each as its passes; draws no random numbers."""
        return DataLoader(
            self.train_dataset,
            batch_sampler=self.batches,
            collate_fn=lambda rows: list(passes(rows, self.tokens_per_pass)),
            generator=torch.Generator(),
        )

    def _walk_the_model_less(self, optimizer: torch.optim.Optimizer) -> None:
        """Leave out what costs a fifth of a small model's training and changes nothing.

        The Trainer walks every module to clear and to clip gradients, where only adapters have
        some, and collects garbage before it starts, where there is no earlier run to free.
        """
        self.trained = [weight for weight in self.model.parameters() if weight.requires_grad]
        self.model.zero_grad = optimizer.zero_grad
        self.accelerator.free_memory = lambda *held: list(held)

    def _clip_grad_norm(self, model: Any) -> torch.Tensor:
        norm: torch.Tensor = self.accelerator.clip_grad_norm_(self.trained, self.args.max_grad_norm)
        return norm

    def training_step(
        self, model: Any, inputs: list[Pass], num_items_in_batch: object = None
    ) -> torch.Tensor:
        """Backward over one batch, pass by pass; returns its weighted mean loss (nats/token)."""
        if not model.training:
            model.train()
        total = sum(float(part.weights.sum()) for part in inputs)
        mean = torch.zeros((), device=self.args.device)
        self.last_losses = []
        for part in inputs:
            moved = part.to(self.args.device)
            losses = token_losses(model, moved, self.bfloat16)
            loss = (losses * moved.weights).sum() / total
            self.accelerator.backward(loss)
            mean += loss.detach()
            if self.keep_losses:
                self.last_losses += row_losses(losses.detach(), part)
        self.last_loss, self.last_rate = mean.item(), self.lr_scheduler.get_last_lr()[0]
        if not math.isfinite(self.last_loss):
            raise TrainingFailed(
                f"The loss became {self.last_loss} at a learning rate of "
                f"{self.last_rate:.2g}. Lower learning_rate, or look for "
                "examples with an extreme weight or a damaged target."
            )
        return mean

    def floating_point_ops(self, inputs: object) -> int:
        """Not counted."""
        return 0

    def item_losses(self, rows: Sequence[Encoded]) -> list[float]:
        """Mean loss of each row's answer tokens (nats/token), in order."""
        found: list[float] = []
        self.model.eval()
        with torch.no_grad():
            for part in passes(rows, self.tokens_per_pass):
                moved = part.to(self.args.device)
                found += row_losses(token_losses(self.model, moved, self.bfloat16), part)
        return found


def row_losses(losses: torch.Tensor, part: Pass) -> list[float]:
    """Mean of `losses` [L] over the answer tokens of each sequence of `part` (on the CPU)."""
    held = losses.cpu()
    ends = [end for _, end in part.bounds]
    owner = torch.bucketize(part.keep, torch.tensor(ends), right=True)
    return [held[owner == item].mean().item() for item in range(len(ends))]


def token_losses(model: Any, part: Pass, bfloat16: bool) -> torch.Tensor:
    """[L] float32, cross-entropy of each answer token; the LM head sees only these positions.

    Matrix products are in bfloat16 when asked for; the softmax is always in float32.
    """
    with torch.autocast(part.ids.device.type, dtype=torch.bfloat16, enabled=bfloat16):
        logits = model(
            input_ids=part.ids,
            position_ids=part.positions,
            bounds=part.bounds,
            logits_to_keep=part.keep,
            use_cache=False,
        ).logits[0]
    if len(logits) != len(part.targets):
        raise ConfigError(
            f"{type(model).__name__} computes logits for {len(logits)} positions where "
            f"{len(part.targets)} were asked for; this architecture cannot be trained here."
        )
    return cross_entropy(logits.float(), part.targets, reduction="none")


def probe(model: Any, rows: Sequence[Encoded], tokens_per_pass: int, bfloat16: bool) -> float:
    """Seconds of one batch forward and backward, on the model's device; leaves no gradients."""
    model.train()
    weight = next(iter(model.parameters()))
    started = time.monotonic()
    for part in passes(rows, tokens_per_pass):
        loss: Any = token_losses(model, part.to(weight.device), bfloat16).mean()
        loss.backward()
    if weight.device.type == "cuda":
        torch.cuda.synchronize()
    model.zero_grad(set_to_none=True)
    return time.monotonic() - started


def make_optimizer(
    model: torch.nn.Module, learning_rate: float, weight_decay: float
) -> torch.optim.AdamW:
    """AdamW over the trainable weights; norms and biases (one dimension) do not decay."""
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [w for w in trainable if w.ndim > 1], "weight_decay": weight_decay},
        {"params": [w for w in trainable if w.ndim <= 1], "weight_decay": 0.0},
    ]
    used = [group for group in groups if group["params"]]
    return torch.optim.AdamW(used, lr=learning_rate, fused=True)


class _AfterUpdate(TrainerCallback):  # type: ignore[misc]
    def __init__(self, act: Callable[[int], bool]) -> None:
        self.act = act

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> TrainerControl:
        if not self.act(state.global_step):
            control.should_training_stop = True
        return control
