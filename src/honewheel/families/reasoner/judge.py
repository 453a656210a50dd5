"""How well a model answers rows whose answers are known: exactly right or not, and how surely.

A run keeps the state with the best exact match on its validation rows: the mean over tasks, so that
a new task with few rows counts as much as an old one with many. Among equals the lower loss wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from honewheel.families.reasoner import losses
from honewheel.families.reasoner.model import Boards, Reasoner
from honewheel.families.reasoner.rows import Flags, Floats, Ints, Rows

BATCH = 256


@dataclass(frozen=True, slots=True)
class Judged:
    """What a model made of N rows: right [N], cross-entropy per cell [N] in nats."""

    right: Flags
    losses: Floats
    by_task: Mapping[str, Ints]

    def exact(self) -> dict[str, float]:
        """Share of exactly right rows of each task."""
        return {task: float(self.right[at].mean()) for task, at in self.by_task.items()}

    @property
    def score(self) -> tuple[float, float]:
        """Mean exact match over tasks and negative mean loss: the greater the better."""
        exact = [*self.exact().values()]
        loss = [float(self.losses[at].mean()) for at in self.by_task.values()]
        return float(np.mean(exact)), -float(np.mean(loss))

    def words(self) -> str:
        """Exact match 93.2 % (latin 87.4 %, sudoku 99.0 %)."""
        parts = self.exact()
        told = ", ".join(f"{task} {share:.1%}" for task, share in parts.items())
        return f"exact match {self.score[0]:.1%}" + (f" ({told})" if len(parts) > 1 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best state so far: its update, its score, looks since."""

    step: int | None = None
    score: tuple[float, float] = (-1.0, 0.0)
    stale: int = 0

    def after(self, step: int, score: tuple[float, float]) -> Best:
        """What is best once `score` was seen at `step`; the earlier one among equals."""
        if self.step is None or score > self.score:
            return Best(step=step, score=score)
        return replace(self, stale=self.stale + 1)


def judge(model: Reasoner, rows: Rows, boards: Boards, segments: int, *, bfloat16: bool) -> Judged:
    """Answer all rows and compare."""
    right: list[Flags] = []
    cells: list[Floats] = []
    labels = torch.from_numpy(rows.labels)
    for at, logits, _ in answers(
        model, rows.inputs, rows.kind, boards, segments, bfloat16=bfloat16
    ):
        wanted = labels[at].to(logits.device)
        right.append(losses.solved(logits, wanted).cpu().numpy())
        cells.append(losses.softmax_cells(logits, wanted).double().cpu().numpy())
    return Judged(np.concatenate(right), np.concatenate(cells), rows.task_rows())


@torch.no_grad()
def answers(
    model: Reasoner,
    inputs: Ints,
    kinds: Ints,
    boards: Boards,
    segments: int,
    *,
    bfloat16: bool = False,
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
    """Which rows, their logits [b, L, V] after `segments` segments, their halt logits [b].

    Tokens that a board's puzzle has not are the caller's to rule out.
    """
    device = model.first_high.device
    length = model.shape.length
    for first in range(0, len(inputs), BATCH):
        at = slice(first, min(first + BATCH, len(inputs)))
        count = at.stop - at.start
        cells = torch.zeros((count, length), dtype=torch.long)
        cells[:, : inputs.shape[1]] = torch.from_numpy(inputs[at])
        cells = cells.to(device)
        kind = torch.from_numpy(kinds[at]).to(device)
        state = model.start(count)
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            for _ in range(segments):
                logits, halts, state = model(cells, kind, boards, state)
        yield at, logits[:, : inputs.shape[1]], halts[:, 0]
