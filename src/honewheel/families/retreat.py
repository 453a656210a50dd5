"""When a loss or a weight is no number: once back to the newest checkpoint with half the rate.

    run_dir/retreat.json   {"update": 12, "what": "...", "rate": 0.002, "back_to": 10}

It is written before anything is done again, and every later checkpoint holds it too, so a run
that is killed meanwhile takes the same way. The second time the run fails with both sets of
numbers. Checkpoints hold finite weights only, so the newest one is the last good one.

A run has one `Attempts`: it takes its updates within `make`, calls `slow` once it stands where
they begin, and `refuse_broken` before each checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from honewheel import atomic
from honewheel.errors import TrainingFailed
from honewheel.families import checkpoints, snapshot
from honewheel.families.checkpoints import Checkpoint

FILE = "retreat.json"


class NotFinite(TrainingFailed):
    """A loss or a weight that is no number: `what` became what at which update (from 1)."""

    def __init__(self, what: str, update: int, rate: float) -> None:
        super().__init__(f"at update {update} {what} (learning rate {rate:.2g})")
        self.what, self.update, self.rate = what, update, rate


class Attempts:
    """The first and the second attempt of a run; `retreat` is what lay between, if anything did."""

    def __init__(self, run_dir: Path, held: Path) -> None:
        """`held` is the folder of the run's checkpoints."""
        self.run_dir, self.held = run_dir, held
        self.retreat = _read(run_dir)

    def make(self, take: Callable[[], None], tell: Callable[[str], None]) -> None:
        """`take` the updates from the newest checkpoint on, and once more if that fails.

        Raises:
            TrainingFailed: it has failed before.
        """
        while not self._succeeds(take, tell):
            pass

    def _succeeds(self, take: Callable[[], None], tell: Callable[[str], None]) -> bool:
        try:
            take()
        except NotFinite as error:
            back_to = checkpoints.newest_step(self.held)
            self.retreat = _begin(self.run_dir, error, back_to, self.retreat)
            tell(f"{error}; back to update {back_to} with half the rate")
            return False
        return True

    def slow(
        self,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        saved: Checkpoint | None,
    ) -> None:
        """Half the rate on the second attempt, unless it stands at one of its own checkpoints."""
        if self.retreat is not None and (saved is None or saved.state["retreat"] is None):
            halve(optimizer, schedule)


def refuse_broken(model: torch.nn.Module, update: int, rate: float) -> None:
    """Raise NotFinite when a trained weight is no finite number."""
    if broken := snapshot.not_finite(model):
        what = f"{len(broken)} trained weights became not finite (first {broken[0]})"
        raise NotFinite(what, update, rate)


def _read(run_dir: Path) -> dict[str, Any] | None:
    """The retreat of a run that had one."""
    path = run_dir / FILE
    return dict(json.loads(path.read_text())) if path.is_file() else None


def _begin(
    run_dir: Path, error: NotFinite, back_to: int, before: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Journal `error` and that the run goes `back_to` the update of its newest checkpoint.

    Raises:
        TrainingFailed: it had gone back `before` already.
    """
    if before is not None:
        raise TrainingFailed(
            f"At update {before['update']} {before['what']} (learning rate {before['rate']:.2g}); "
            f"gone back to update {before['back_to']} with half the rate, {error}. Lower "
            "learning_rate or max_grad_norm, or look for rows with an extreme weight or a damaged "
            "answer."
        ) from error
    told = {"update": error.update, "what": error.what, "rate": error.rate, "back_to": back_to}
    atomic.write_file(run_dir / FILE, json.dumps(told).encode())
    return told


def halve(optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler) -> None:
    """Half the rate from now on, at every update still to come."""
    for group in optimizer.param_groups:
        group["lr"] *= 0.5
        group["initial_lr"] *= 0.5
    schedule.base_lrs = [rate * 0.5 for rate in schedule.base_lrs]
