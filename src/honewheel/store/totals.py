"""Running totals, kept in the transaction that changes them, so that counting is never a scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from honewheel.store import plain
from honewheel.store.tables import total

_ADD = "UPDATE total SET value = value + ? WHERE kind = ? AND task = ?"
PER_TASK = ("events", "feedback", "train", "val", "test", "quarantined")


def add_totals(connection: Connection, kind: str, by_task: Mapping[str, int]) -> None:
    """Add `by_task` to the totals of `kind`; one room writes a kind, so writers take turns."""
    for task, number in sorted(by_task.items()):
        if plain.run(connection, _ADD, number, kind, task) == 0:
            connection.execute(insert(total).values(kind=kind, task=task, value=number))


def read_totals(connection: Connection) -> dict[str, Any]:
    """Totals over everything and per task; see `Log.counts`."""
    rows = connection.execute(select(total.c.task, total.c.kind, total.c.value)).all()
    tasks: dict[str, dict[str, int]] = {
        task: dict.fromkeys(PER_TASK, 0) for task in sorted({row.task for row in rows} - {""})
    }
    rejected = 0
    for task, kind, value in rows:
        if kind == "rejected":
            rejected = value
        else:
            tasks[task][kind] = value
    return {
        "events": sum(counts["events"] for counts in tasks.values()),
        "feedback": sum(counts["feedback"] for counts in tasks.values()),
        "quarantined": rejected,
        "tasks": tasks,
    }
