"""Any objective on transformers' Trainer: our batches, our loss, our checkpoints.

The Trainer keeps what it is good at (device placement, clipping, the loop).
It is given one flat plan of batches and an optimizer and schedule that already stand where the
run left off, so a resumed run takes exactly the updates that are left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from honewheel.families.causal_lm.objective import backward
from honewheel.families.causal_lm.room import Room
from honewheel.families.causal_lm.scoring import Scorer, split
from honewheel.families.causal_lm.units import Unit
from honewheel.families.causal_lm.work import Work
from honewheel.families.order import Left
from honewheel.families.retreat import NotFinite


class ObjectiveTrainer(Trainer):  # type: ignore[misc]
    """Minimises `work.objective` over `work.units`.

    `batches` are the index lists of the updates to take, looked up one update ahead;
    `after_update(update)` runs when update 1, 2, ... of these is complete and returns whether to
    go on. With `keep_losses`, `last_losses` holds the loss of each unit of the last batch by then.
    """

    def __init__(
        self,
        scorer: Scorer,
        work: Work,
        batches: Left,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        after_update: Callable[[int], bool],
        room: Room,
        *,
        max_grad_norm: float,
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
            model=scorer.model,
            args=arguments,
            train_dataset=work.units,
            optimizers=(optimizer, schedule),
            callbacks=[_AfterUpdate(after_update)],
        )
        self.remove_callback(PrinterCallback)
        self.batches, self.scorer, self.work, self.room = batches, scorer, work, room
        self.last_loss = self.last_rate = math.nan
        self.keep_losses = keep_losses
        self.last_losses: list[float] = []
        self._walk_the_model_less(optimizer)

    def get_train_dataloader(self) -> DataLoader[Unit]:
        """Batches of the plan, each as its units; draws no random numbers."""
        return DataLoader(
            self.train_dataset,
            batch_sampler=self.batches,
            collate_fn=list,
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
        self, model: Any, inputs: list[Unit], num_items_in_batch: object = None
    ) -> torch.Tensor:
        """Backward over one batch, pass by pass; returns its loss."""
        if not model.training:
            model.train()
        mean, items = self.room.fit(inputs, lambda: self._backward(inputs))
        self.last_loss, self.last_rate = mean.item(), self.optimizer.param_groups[0]["lr"]
        self.last_losses = torch.cat(items).tolist() if self.keep_losses else []
        if not math.isfinite(self.last_loss):
            what = f"the loss became {self.last_loss}"
            raise NotFinite(what, self.room.update + 1, self.last_rate)
        return mean

    def _backward(self, batch: list[Unit]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(loss of the batch, losses of its units by pass); begins without gradients."""
        self.optimizer.zero_grad()
        return backward(self.work.objective, self.scorer, batch, self.accelerator.backward)

    def floating_point_ops(self, inputs: object) -> int:
        """Not counted."""
        return 0

    def item_losses(self, units: Sequence[Unit]) -> list[float]:
        """Loss of each held-out unit as `work.judge` has it, in order."""
        self.model.eval()
        with torch.no_grad():
            return self.room.fit(units, lambda: self._items(units))

    def _items(self, units: Sequence[Unit]) -> list[float]:
        judge = self.work.judge
        shared = judge.begin(self.scorer, units)
        parts = split(units, self.scorer.limit)
        return [
            loss for part in parts for loss in judge.loss(self.scorer, part, shared)[1].tolist()
        ]


class _AfterUpdate(TrainerCallback):  # type: ignore[misc]
    def __init__(self, act: Callable[[int], bool]) -> None:
        self.act = act

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> TrainerControl:
        if not self.act(state.global_step):
            control.should_training_stop = True
        return control
