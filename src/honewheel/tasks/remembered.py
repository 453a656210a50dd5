"""Verdicts of a task, remembered in this process: the same question again costs a look-up.

A build checks every target there is, and each cycle scores base and champion on the same answers
as the one before; parsing and running them is most of what that takes. A task is pure, so kind,
`version`, texts and context decide the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from honewheel.protocols import Task
from honewheel.records import Check

MOST = 4096  # verdicts of either sort that are kept, the latest asked for

_Context = tuple[tuple[str, str], ...]


def check(task: Task, output: str, context: Mapping[str, str]) -> Check:
    """`task.check`."""
    return _check(_Kind(task), task.version, output, tuple(sorted(context.items())))


def compare(
    task: Task, output: str, reference: str, context: Mapping[str, str]
) -> dict[str, float]:
    """`task.compare`. Raises what it raises, each time anew."""
    found = _compare(_Kind(task), task.version, output, reference, tuple(sorted(context.items())))
    return {**found}


@dataclass(frozen=True, slots=True, eq=False)
class _Kind:
    """A task as part of a key: itself and no other, whether or not it can be hashed."""

    task: Task

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Kind) and self.task is other.task

    def __hash__(self) -> int:
        return id(self.task)


@lru_cache(maxsize=MOST)
def _check(kind: _Kind, version: str, output: str, context: _Context) -> Check:
    return kind.task.check(output, dict(context))


@lru_cache(maxsize=MOST)
def _compare(
    kind: _Kind, version: str, output: str, reference: str, context: _Context
) -> Mapping[str, float]:
    return kind.task.compare(output, reference, dict(context))
