"""Puzzles as files: problems made for a task, to import as feedback and as a frozen suite."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from honewheel import atomic
from honewheel.errors import InputError
from honewheel.records import Progress
from honewheel.tasks.puzzle import generate
from honewheel.tasks.puzzle.base import Problem
from honewheel.tasks.puzzle.generate import Order

MOST = 1_000_000  # rows of a file
_TOLD = 100  # problems between two words on progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """How many rows were written, and of which levels."""

    rows: int
    suite: int
    levels: Mapping[str, int]


def make(
    order: Order,
    *,
    task: str,
    count: int,
    out: Path | None,
    suite: int = 0,
    suite_out: Path | None = None,
    listen: Callable[[Progress], None] | None = None,
) -> Made:
    """Write `count` demonstrations and `suite` held-out items, no two of all of them symmetric.

    The suite is made first, so that more training rows never change what judges. A file is
    written whole or not at all.

    Raises:
        InputError: nothing is asked for, a number without its file, a file that is there already,
            or what `generate.problems` refuses; nothing is written then.
    """
    _require(count, out, "rows", "--out")
    _require(suite, suite_out, "suite items", "--suite-out")
    if not count + suite:
        raise InputError("Nothing is asked for: give a count of rows, of suite items, or both.")
    made = list(_made(order, count + suite, listen))
    if out is not None:
        write(out, (row(one, task) for one in made[suite:]))
    if suite_out is not None:
        write(suite_out, map(item, made[:suite]))
    return Made(rows=count, suite=suite, levels=Counter(one.level for one in made))


def row(one: Problem, task: str) -> dict[str, Any]:
    """A feedback row that shows the answer; no model wrote it."""
    return {"task": task, "prompt": one.prompt, "demonstration": one.answer}


def item(one: Problem) -> dict[str, Any]:
    """A row of a suite file."""
    return {"prompt": one.prompt, "reference": one.answer}


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSONL. Raises InputError when the file is there or cannot be written."""
    if path.exists():
        raise InputError(f"{path} is there already; nothing was written. Name another file.")
    lines = (json.dumps(one, ensure_ascii=False) + "\n" for one in rows)
    try:
        atomic.write_file(path, "".join(lines).encode())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from error


def _made(order: Order, count: int, listen: Callable[[Progress], None] | None) -> Iterator[Problem]:
    for step, one in enumerate(islice(generate.problems(order), count), start=1):
        yield one
        if listen is not None and (step % _TOLD == 0 or step == count):
            listen(Progress(stage="puzzles", step=step, total=count))


def _require(count: int, out: Path | None, what: str, option: str) -> None:
    if not 0 <= count <= MOST:
        raise InputError(f"{count:,} {what} cannot be made; ask for 0 .. {MOST:,}.")
    if count and out is None:
        raise InputError(f"Where do the {what} go? Give {option} FILE.")
    if out is not None and not count:
        raise InputError(f"{out}: no {what} are asked for, so nothing would be written.")
    if out is not None and out.exists():
        raise InputError(f"{out} is there already; nothing was written. Name another file.")
