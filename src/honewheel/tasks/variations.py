"""Rewritings of an artifact: some that mean the same, some with one fault.

An *equivalent* keeps every name and changes only what does not count: order, layout, spelling.
A *mutation* is a single semantic fault that looks like the original: a cardinality flipped, a
key dropped, an outcome negated. The task itself is the judge of both (`equivalents` and
`mutations` give only what it certifies), so a careless rewriting is lost, never mislabelled.

A kind brings its rewritings as two functions. Those of the built-in kinds live in
`variations_*.py`; a plug-in's task has them as methods. A kind without any has none.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import zip_longest
from typing import Protocol, cast, runtime_checkable

from honewheel.errors import ParseError
from honewheel.protocols import Task

# Bump when a rewriting is added or changed: datasets are made of them.
VERSION = 1

_BUILT_IN = {
    "mermaid-erd": "honewheel.tasks.variations_erd",
    "sql": "honewheel.tasks.variations_sql",
    "gherkin": "honewheel.tasks.variations_gherkin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """One rewriting of an artifact and the name of what was done ("relation-dropped")."""

    name: str
    output: str


@runtime_checkable
class Varied(Protocol):
    """Where rewritings come from. Pure: the same arguments and state of `rng`, the same answer."""

    def equivalents(
        self, output: str, context: Mapping[str, str], rng: random.Random
    ) -> Iterable[Variation]:
        """Rewritings that state the same facts. May raise ParseError."""

    def mutations(
        self, output: str, context: Mapping[str, str], rng: random.Random
    ) -> Iterable[Variation]:
        """Rewritings with one fault each, of every sort that fits. May raise ParseError."""


def varied(task: Task) -> Varied | None:
    """Where a kind's rewritings come from; None for a kind that has none."""
    if isinstance(task, Varied):
        return task
    name = _BUILT_IN.get(task.kind)
    return None if name is None else cast(Varied, import_module(name))


def equivalents(
    task: Task, output: str, context: Mapping[str, str], seed: int
) -> Iterator[Variation]:
    """Rewritings with the same equivalence key, the same check score, and fact F1 of 1."""
    for found in proposed(task, output, context, seed, faulty=False):
        if (
            task.check(found.output, context).score == task.check(output, context).score
            and (metrics := _measured(task, found.output, output, context))
            and metrics["equivalent"] == 1
            and metrics["score"] == 1
        ):
            yield found


def mutations(
    task: Task, output: str, context: Mapping[str, str], seed: int
) -> Iterator[Variation]:
    """Rewritings that are valid and wrong, in an order drawn from `seed`; made as they are asked.

    Certified: the equivalence key differs, the score against the original is below 1, and where
    the kind compares answers (see `Sql.compare`) the answer differs too. An invalid original
    has none.
    """
    if task.check(output, context).valid:
        yield from certified(
            task, output, context, proposed(task, output, context, seed, faulty=True)
        )


def certified(
    task: Task, output: str, context: Mapping[str, str], proposals: Iterable[Variation]
) -> Iterator[Variation]:
    """Those of the proposals that are valid and wrong; see `mutations`."""
    for found in proposals:
        metrics = _measured(task, found.output, output, context)
        if (
            metrics.get("valid") == 1
            and metrics["equivalent"] == 0
            and metrics["score"] < 1
            and metrics.get("answer", 0.0) < 1
        ):
            yield found


def proposed(
    task: Task, output: str, context: Mapping[str, str], seed: int, *, faulty: bool
) -> list[Variation]:
    """Every rewriting a kind proposes, before anybody has judged it, in an order drawn by `seed`.

    Sorts take turns: an artifact has many attributes to drop and few relations to flip.
    """
    source = varied(task)
    if source is None:
        return []
    rng = random.Random(f"{seed} {task.kind} {faulty} {output}")
    make = source.mutations if faulty else source.equivalents
    try:
        found = {one.output: one for one in make(output, context, rng) if one.output != output}
    except ParseError:
        return []
    sorts: dict[str, list[Variation]] = {}
    for one in found.values():
        sorts.setdefault(one.name, []).append(one)
    for listed in sorts.values():
        rng.shuffle(listed)
    turns = rng.sample(sorted(sorts), len(sorts))
    rounds = zip_longest(*(sorts[name] for name in turns))
    return [one for each in rounds for one in each if one is not None]


def _measured(
    task: Task, output: str, original: str, context: Mapping[str, str]
) -> Mapping[str, float]:
    try:
        return task.compare(output, original, context)
    except ParseError:
        return {}
