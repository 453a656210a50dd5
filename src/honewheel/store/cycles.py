"""The journal of cycles: what ran, with which inputs, and what each step gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, select, update

from honewheel.errors import InputError, NotFound, StoreBusy, StoreError
from honewheel.records import Cycle, Json, Verdict, as_dict, utc
from honewheel.store import tables
from honewheel.store.db import Database, upsert

_cycle, _step = tables.cycle, tables.step


class Cycles:
    """Cycles and their steps: after a crash, run again and meet what is there."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def start(self, cycle: Cycle) -> None:
        """Journal a running cycle; starting the same one again changes nothing.

        Raises:
            InputError: it is not in state running, or its id or number is taken.
            StoreBusy: a cycle of this model is running already; resume that one.
        """
        if cycle.state != "running":
            raise InputError(f"Cycle {cycle.id} starts as running, not as {cycle.state}.")
        with self._db.write("cycles") as connection:
            for stored in _similar(connection, cycle):
                if _content(stored) == _content(cycle):
                    return
                if stored.state == "running" and cycle.id != stored.id:
                    raise StoreBusy(
                        f"Cycle {stored.number} of {stored.model!r} is not finished; resume it "
                        "(run the cycle command again) before starting another."
                    )
                raise InputError(
                    f"Cycle {cycle.number} ({cycle.id}) of {cycle.model!r} cannot start: cycle "
                    f"{stored.number} ({stored.id}) is journaled already."
                )
            connection.execute(insert(_cycle).values(_row(cycle)))

    def running(self, model: str) -> Cycle | None:
        """The cycle of `model` that is not finished: in progress, or cut short by a crash."""
        query = select(_cycle).where(_cycle.c.model == model, _cycle.c.state == "running")
        with self._db.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _record(row)

    def next_number(self, model: str) -> int:
        """The number for the next cycle of `model`: 1 for the first."""
        query = select(func.max(_cycle.c.number)).where(_cycle.c.model == model)
        with self._db.read() as connection:
            return int(connection.scalar(query) or 0) + 1

    def get(self, cycle_id: str) -> Cycle:
        """One cycle. Raises NotFound."""
        with self._db.read() as connection:
            return _get(connection, cycle_id)

    def list(
        self, model: str | None = None, limit: int = 20, *, without: str | None = None
    ) -> Sequence[Cycle]:
        """At most `limit` cycles, the newest first; of all models when `model` is None.

        `without`: a schedule whose cycles are left out.
        """
        query = select(_cycle).order_by(_cycle.c.started_at.desc(), _cycle.c.number.desc())
        if model is not None:
            query = query.where(_cycle.c.model == model)
        if without is not None:
            query = query.where(_cycle.c.schedule.is_distinct_from(without))
        with self._db.read() as connection:
            return [_record(row) for row in connection.execute(query.limit(limit))]

    def models(self) -> Sequence[str]:
        """Every model that had a cycle, by name; some may not be registered any more."""
        with self._db.read() as connection:
            query = select(_cycle.c.model).distinct().order_by(_cycle.c.model)
            return list(connection.scalars(query))

    def step(self, cycle_id: str, name: str) -> tuple[str, Any] | None:
        """(key, output) of a step that was finished; None while it was not.

        The output holds for the key (a hash of the step's inputs) it was saved with.
        """
        query = select(_step.c.key, _step.c.output).where(
            _step.c.cycle == cycle_id, _step.c.name == name
        )
        with self._db.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.key, row.output)

    def reason(self, cycle_id: str) -> str | None:
        """Why a cycle was run; None where its journal does not say."""
        found = self.step(cycle_id, "start")
        return None if found is None else str(found[1]["reason"])

    def save_step(self, cycle_id: str, name: str, key: str, output: Json, at: datetime) -> None:
        """Journal what a step gave; a step saved before is replaced.

        Raises NotFound, InputError (NaN in the output), StoreError (the cycle is finished).
        """
        with self._db.write("cycles") as connection:
            if (state := _get(connection, cycle_id).state) != "running":
                raise StoreError(f"Cycle {cycle_id} is {state}; step {name!r} comes too late.")
            row = {"cycle": cycle_id, "name": name, "key": key, "output": output, "at": at}
            upsert(connection, _step, [row], replace=True)

    def finish(
        self,
        cycle_id: str,
        state: Literal["done", "failed"],
        verdict: Verdict | None,
        error: str | None,
        at: datetime,
    ) -> None:
        """End a cycle; ending it again in the same way changes nothing.

        Raises NotFound, StoreError (it ended already in another way).
        """
        with self._db.write("cycles") as connection:
            stored = _get(connection, cycle_id)
            if stored.state == "running":
                ended = {"state": state, "verdict": verdict, "error": error, "finished_at": at}
                connection.execute(update(_cycle).where(_cycle.c.id == cycle_id).values(ended))
            elif (stored.state, stored.verdict, stored.error) != (state, verdict, error):
                raise StoreError(
                    f"Cycle {cycle_id} ended already as {stored.state} "
                    f"({stored.verdict or stored.error}); it cannot end as {state} now."
                )


def _get(connection: Connection, cycle_id: str) -> Cycle:
    row = connection.execute(select(_cycle).where(_cycle.c.id == cycle_id)).first()
    if row is None:
        raise NotFound(f"No cycle {cycle_id!r}.")
    return _record(row)


def _similar(connection: Connection, cycle: Cycle) -> Sequence[Cycle]:
    """Cycles that stand in the way: same id, same number, or the model's running one."""
    same_model = _cycle.c.model == cycle.model
    query = select(_cycle).where(
        (_cycle.c.id == cycle.id)
        | (same_model & (_cycle.c.number == cycle.number))
        | (same_model & (_cycle.c.state == "running"))
    )
    return [_record(row) for row in connection.execute(query.order_by(_cycle.c.number))]


def _content(cycle: Cycle) -> dict[str, Any]:
    return as_dict(
        replace(cycle, as_of=utc(cycle.as_of), started_at=utc(cycle.started_at), finished_at=None)
    )


def _row(cycle: Cycle) -> dict[str, Any]:
    times = {"as_of": cycle.as_of, "started_at": cycle.started_at, "finished_at": None}
    return as_dict(cycle) | times


def _record(row: Any) -> Cycle:
    return Cycle(**row._mapping)
