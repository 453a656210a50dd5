"""Puzzles to learn from, as examples and items, and specs for quick runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from honewheel.families.reasoner.family import ReasonerFamily
from honewheel.records import Dataset, Example, Item, Json, Spec
from honewheel.tasks.puzzle import base as puzzles

TINY = "honewheel/reasoner-tiny"
FAMILY = ReasonerFamily()


def examples(
    count: int,
    *,
    seed: int = 0,
    task: str = "grid",
    rule: str = "standard",
    size: str = "4",
    **changes: Any,
) -> list[Example]:
    """Sudoku of one size and rule, each with its solution."""
    made = puzzles.task("sudoku").generate(size, rule, "easy", np.random.default_rng(seed))
    given: dict[str, Any] = {"split": "train"}
    return [
        Example(
            id=f"{task}-{seed}-{place}",
            task=task,
            prompt=one.prompt,
            target=one.answer,
            group=f"{task}-{seed}-{place}",
            **(given | changes),
        )
        for place, one in enumerate(islice(made, count))
    ]


def dataset(train: Sequence[Example] = (), val: Sequence[Example] = (), name: str = "d") -> Dataset:
    return Dataset(
        hash=name,
        train=tuple(train or examples(24)),
        val=tuple(val or examples(8, seed=1, split="val")),
    )


def spec(base: str = TINY, *, seed: int = 0, **settings: Any) -> Spec:
    chosen = {key: rule.default for key, rule in FAMILY.ranges("full").items()}
    quick: dict[str, Json] = {
        "updates": 8,
        "batch_size": 8,
        "segments": 2,
        "eval_every": 4,
        "checkpoint_every": 2,
        "precision": "float32",
    }
    return Spec(
        family=FAMILY.name,
        base=base,
        base_hash=FAMILY.resolve(base)[1],
        method="full",
        settings=chosen | quick | settings,
        seed=seed,
    )


def items(rows: Sequence[Example]) -> list[Item]:
    return [
        Item(
            id=row.id,
            task=row.task,
            prompt=row.prompt,
            reference=row.target,
            group=row.group,
            context=row.context,
        )
        for row in rows
    ]
