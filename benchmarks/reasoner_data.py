"""Puzzles for the reasoner benchmark; what is held out shares no orbit with what is trained on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from honewheel import atomic
from honewheel.records import Dataset, Example, Item, Split, digest
from honewheel.tasks.asked import asked
from honewheel.tasks.puzzle import base as puzzles

KEPT = Path(__file__).parents[1] / ".bench" / "reasoner" / "problems"


@dataclass(frozen=True, slots=True)
class Problems:
    """Rows of one task. `levels` is the difficulty band of each held-out item."""

    train: tuple[Example, ...]
    val: tuple[Example, ...]
    test: tuple[Item, ...]
    levels: tuple[str, ...]

    def dataset(self, name: str) -> Dataset:
        return Dataset(hash=name, train=self.train, val=self.val)


def split(
    kind: str,
    size: str,
    rule: str,
    *,
    task: str,
    made: int,
    train: int,
    val: int,
    test: int,
    each: int = 1,
    most_givens: int | None = None,
    seed: int = 0,
) -> Problems:
    """`made` problems, put into orbits, and the orbits into test, then val, then train.

    A test or val orbit gives at most `each` problems, so that no orbit speaks for the others; train
    takes all of its orbits. The split is the same for every seed of a training: `seed` is that of
    the problems.
    """
    orbits: dict[str, dict[str, puzzles.Problem]] = {}
    for one in _made(kind, size, rule, most_givens, seed, made):
        key = puzzles.of(one.prompt).canonical(one.prompt, {})
        orbits.setdefault(key, {})[one.prompt] = one
    draw = np.random.default_rng(seed)
    keys = sorted(orbits)
    draw.shuffle(keys)
    waiting = iter(keys)
    found: dict[str, list[puzzles.Problem]] = {}
    for part, wanted, most in (("test", test, each), ("val", val, each), ("train", train, made)):
        rows: list[puzzles.Problem] = []
        while len(rows) < wanted:
            orbit = next(waiting, None)
            if orbit is None:
                break
            rows += list(orbits[orbit].values())[:most]
        draw.shuffle(rows)
        found[part] = rows[:wanted]
    told = {part: len(rows) for part, rows in found.items()}
    if told != {"test": test, "val": val, "train": train}:
        raise SystemExit(f"{made} problems of {kind} {size} ({rule}) in {len(keys)} orbits: {told}")
    return Problems(
        train=tuple(_examples(found["train"], task, "train")),
        val=tuple(_examples(found["val"], task, "val")),
        test=tuple(_items(found["test"], task)),
        levels=tuple(one.level for one in found["test"]),
    )


def _made(
    kind: str, size: str, rule: str, most: int | None, seed: int, count: int
) -> list[puzzles.Problem]:
    """The first `count` problems; once made, they lie in .bench."""
    version = puzzles.task(kind).version
    path = KEPT / f"{digest([kind, size, rule, most, seed, count, version])[:12]}.json"
    if path.is_file():
        return [puzzles.Problem(**row) for row in json.loads(path.read_text())]
    found = list(islice(_problems(kind, size, rule, most, seed), count))
    atomic.write_file(path, json.dumps([asdict(one) for one in found]).encode())
    return found


def _problems(
    kind: str, size: str, rule: str, most: int | None, seed: int
) -> Iterator[puzzles.Problem]:
    made = puzzles.task(kind).generate(size, rule, None, np.random.default_rng(seed))
    for one in made:
        if most is None or sum(cell != "." for cell in json.loads(one.prompt)["grid"]) <= most:
            yield one


def _examples(rows: Sequence[puzzles.Problem], task: str, split: Split) -> Iterator[Example]:
    for place, one in enumerate(rows):
        name = f"{task}-{split}-{place}"
        yield Example(
            id=name, task=task, prompt=one.prompt, target=one.answer, group=name, split=split
        )


def _items(rows: Sequence[puzzles.Problem], task: str) -> Iterator[Item]:
    for place, one in enumerate(rows):
        name = f"{task}-test-{place}"
        yield Item(
            id=name,
            task=task,
            prompt=one.prompt,
            reference=one.answer,
            group=name,
        )


def replayed(rows: Sequence[Example]) -> tuple[Example, ...]:
    """The rows as a cycle replays what was accepted before."""
    return tuple(replace(row, role="replay") for row in rows)


def shuffled(rows: Sequence[Example], seed: int) -> tuple[Example, ...]:
    """The rows with each other's answers: corrections that say nothing."""
    order = np.random.default_rng(seed).permutation(len(rows))
    away = np.roll(order, 1)
    answers = {int(a): rows[int(b)].target for a, b in zip(order, away, strict=True)}
    return tuple(replace(row, target=answers[place]) for place, row in enumerate(rows))


def chance(items: Sequence[Item]) -> float:
    """Exact match of uniform guesses at what is blank, mean over items."""
    found = []
    for item in items:
        puzzle = puzzles.of(item.prompt)
        given = puzzle.encode(item.prompt, {})
        answer = puzzle.target(item.prompt, {}, item.reference)
        blank = int(((given != answer) & (answer >= 0)).sum())
        choices = len(np.unique(answer[answer >= 0]))
        found.append(float(choices) ** -blank)
    return float(np.mean(found))


def baseline(items: Sequence[Item], kind: str) -> float:
    """Exact match of the puzzle's trivial baseline."""
    judge = puzzles.task(kind)
    right = [
        judge.compare(
            puzzles.of(item.prompt).baseline(item.prompt, {}), item.reference, asked(item)
        )["exact"]
        for item in items
    ]
    return float(np.mean(right))
