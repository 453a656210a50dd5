"""The door that every maker of further rows passes: only training rows, only known tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from honewheel import plugins
from honewheel.errors import InputError
from honewheel.protocols import Task
from honewheel.records import Example


def kinds(rows: Sequence[Example], tasks: Mapping[str, str | Task], what: str) -> dict[str, Task]:
    """The kind of each task that `rows` belong to; `tasks` maps its name to a kind or its slug.

    Raises:
        InputError: a row that is not in train, or whose task is not in `tasks`. `what` completes
            "are made of training rows only".
        ConfigError: a slug that no plug-in registers.
    """
    for row in rows:
        if row.split != "train":
            raise InputError(
                f"{what} are made of training rows only; {row.id} is in {row.split}. A rewriting "
                "of it in training would give the measured answer away."
            )
        if row.task not in tasks:
            known = plugins.suggest(row.task, sorted(tasks))
            raise InputError(
                f"Row {row.id} is of task {row.task!r}, whose kind is unknown. {known}"
            )
    found = {row.task: tasks[row.task] for row in rows}
    return {
        name: plugins.task(kind) if isinstance(kind, str) else kind for name, kind in found.items()
    }
