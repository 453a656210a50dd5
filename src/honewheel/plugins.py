"""Named registries over entry points: kinds of artifact and families of model.

A plug-in is any installed package that declares `honewheel.tasks` or `honewheel.families`; the
built-ins use the same door, so what they can do a plug-in can do.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from honewheel.errors import ConfigError
from honewheel.protocols import ModelFamily, Range, Task

TASKS = "honewheel.tasks"
FAMILIES = "honewheel.families"


def names(group: str) -> list[str]:
    """Sorted names registered under `group`."""
    return sorted({point.name for point in entry_points(group=group)})


def task(kind: str) -> Task:
    """The task kind called `kind` ("mermaid-erd"). Raises ConfigError listing what exists."""
    found: Task = _load(TASKS, kind, "task kind")
    return found


def family(name: str) -> ModelFamily:
    """The model family called `name` ("causal-lm"). Raises ConfigError listing what exists."""
    found: ModelFamily = _load(FAMILIES, name, "model family")
    return found


def ranges(name: str, given: Mapping[str, Any]) -> tuple[str, Mapping[str, Range]]:
    """The method that the training settings `given` choose, and every hyperparameter there is.

    A family whose hyperparameters depend on an `objective` is asked for those of the chosen one;
    its `method` and `objective` default to the first.

    Raises:
        ConfigError: the family has no such method or objective.
    """
    found = family(name)
    method = str(given.get("method", found.methods[0]))
    rules = found.ranges(method)
    if "objective" in rules and "objective" in given:
        chosen = str(given["objective"])
        return method, found.ranges(method, chosen)  # type: ignore[call-arg]  # see its docstring
    return method, rules


def suggest(word: str, known: list[str]) -> str:
    """A did-you-mean sentence for `word`, or the list of what is known."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]}?"
    return f"Known: {', '.join(known)}." if known else "None is known."


@cache
def _load(group: str, name: str, noun: str) -> Any:
    for point in entry_points(group=group):
        if point.name == name:
            return point.load()()
    raise ConfigError(f"There is no {noun} called {name!r}. {suggest(name, names(group))}")
