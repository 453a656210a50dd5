"""Jobs of workers: a lease that runs out, and a fence that refuses what comes too late.

A worker claims a job for the length of a lease and prolongs it while it works. When a lease runs
out the job may be claimed again, under the next fence number; from then on every writing
transaction of the worker that lost it is refused, in the same transaction (see `Jobs.fenced`).
Times are those of the database, whatever a worker's clock says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection, insert, select, update

from honewheel.errors import Fenced, InputError, NotFound
from honewheel.records import Json
from honewheel.store.db import Database
from honewheel.store.tables import job as _job

JobState: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]
OPEN = ("queued", "running")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of work for a registered model.

    `attempt` counts claims that were not given back; `fence` grows with each claim. `cancel` is
    why it is to stop, if somebody asked; `result` what it gave, and until then, once it is known,
    which `cycle` it turns.
    """

    id: int
    kind: str
    model: str
    asked: dict[str, Any]
    reason: str
    state: JobState
    queued_at: datetime
    run_after: datetime
    attempt: int
    fence: int
    worker: str | None
    lease_until: datetime | None
    cancel: str | None
    ended_at: datetime | None
    result: dict[str, Any] | None


class Jobs:
    """One job of a kind is open for a model at a time; ended ones stay as a history."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(
        self, kind: str, model: str, *, reason: str, asked: Json | None = None
    ) -> tuple[Job, bool]:
        """Queue a job; (the job, whether it is new): an open one of the kind is kept instead."""
        with self._db.write("jobs") as connection:
            here = (_job.c.kind == kind) & (_job.c.model == model) & _job.c.state.in_(OPEN)
            if (row := connection.execute(select(_job).where(here)).first()) is not None:
                return _record(row), False
            now = self._db.now(connection)
            values = {
                "kind": kind,
                "model": model,
                "asked": asked or {},
                "reason": reason,
                "state": "queued",
                "queued_at": now,
                "run_after": now,
                "attempt": 0,
                "fence": 0,
                "worker": None,
                "cancel": None,
                "result": None,
            }
            added = connection.execute(insert(_job).values(values)).inserted_primary_key
            assert added is not None
            return _get(connection, added[0]), True

    def claim(self, worker: str, lease: timedelta) -> Job | None:
        """The oldest job that waits, or whose lease ran out, now leased to `worker`; or None."""
        with self._db.write("jobs") as connection:
            now = self._db.now(connection)
            waits = (_job.c.state == "queued") & (_job.c.run_after <= now)
            lost = (_job.c.state == "running") & (_job.c.lease_until <= now)
            query = select(_job).where(waits | lost).order_by(_job.c.run_after, _job.c.id).limit(1)
            row = connection.execute(query).first()
            if row is None:
                return None
            changes = {
                "state": "running",
                "worker": worker,
                "attempt": row.attempt + 1,
                "fence": row.fence + 1,
                "lease_until": now + lease,
            }
            connection.execute(update(_job).where(_job.c.id == row.id).values(changes))
            return _get(connection, row.id)

    def beat(self, found: Job, lease: timedelta) -> str | None:
        """Prolong the lease; returns why the job is to be cancelled, if it is. Raises Fenced."""
        with self._db.write("jobs") as connection:
            current = _held(connection, found)
            changes = {"lease_until": self._db.now(connection) + lease}
            connection.execute(update(_job).where(_job.c.id == found.id).values(changes))
            return current.cancel

    def turns(self, found: Job, cycle: str) -> None:
        """Note which cycle a claimed job turns, for whoever goes on with it. Raises Fenced."""
        with self._db.write("jobs") as connection:
            _held(connection, found)
            noted = {"result": {"cycle": cycle}}
            connection.execute(update(_job).where(_job.c.id == found.id).values(noted))

    def give_back(self, found: Job, *, after: timedelta, counted: bool) -> None:
        """Queue a claimed job again, to run `after`; not `counted`: as if it had not been tried.

        Raises Fenced.
        """
        with self._db.write("jobs") as connection:
            _held(connection, found)
            changes = {
                "state": "queued",
                "worker": None,
                "lease_until": None,
                "run_after": self._db.now(connection) + after,
                "attempt": found.attempt - (not counted),
            }
            connection.execute(update(_job).where(_job.c.id == found.id).values(changes))

    def finish(
        self, found: Job, state: Literal["done", "failed", "cancelled"], result: Json
    ) -> None:
        """End a claimed job. Raises Fenced."""
        with self._db.write("jobs") as connection:
            _held(connection, found)
            _end(connection, found.id, state, result, self._db.now(connection))

    def cancel(self, number: int, reason: str) -> Job:
        """End a waiting job now; ask the worker of a running one to stop. Raises NotFound,
        InputError (it has ended).
        """
        with self._db.write("jobs") as connection:
            found = _get(connection, number)
            if found.state not in OPEN:
                raise InputError(f"Job {number} is {found.state} already; nothing to cancel.")
            connection.execute(update(_job).where(_job.c.id == number).values(cancel=reason))
            if found.state == "queued":
                now = self._db.now(connection)
                _end(connection, number, "cancelled", {"error": reason}, now)
            return _get(connection, number)

    @contextmanager
    def fenced(self, found: Job) -> Iterator[None]:
        """Refuse every writing transaction of this thread once the job is not `found`'s any more.

        Raises Fenced from the write, which leaves no trace.
        """

        def check(connection: Connection) -> None:
            _held(connection, found)

        with self._db.checked(check):
            yield

    def get(self, number: int) -> Job:
        """One job. Raises NotFound."""
        with self._db.read() as connection:
            return _get(connection, number)

    def list(self, limit: int = 20, model: str | None = None) -> Sequence[Job]:
        """At most `limit` jobs, the newest first."""
        query = select(_job).order_by(_job.c.id.desc()).limit(limit)
        if model is not None:
            query = query.where(_job.c.model == model)
        with self._db.read() as connection:
            return [_record(row) for row in connection.execute(query)]


def _get(connection: Connection, number: int) -> Job:
    row = connection.execute(select(_job).where(_job.c.id == number)).first()
    if row is None:
        raise NotFound(f"There is no job {number}. honewheel jobs list shows them.")
    return _record(row)


def _held(connection: Connection, found: Job) -> Job:
    """The job as it is now, if `found` still holds it; locked until the transaction ends, so
    that nobody can claim it between this look and the write. Raises Fenced.
    """
    query = select(_job).where(_job.c.id == found.id).with_for_update(read=True)
    row = connection.execute(query).first()
    current = None if row is None else _record(row)
    if current is None or current.state != "running" or current.fence != found.fence:
        now = "gone" if current is None else f"{current.state}, fence {current.fence}"
        raise Fenced(
            f"Job {found.id} is no longer held under fence {found.fence} ({now}): its lease ran "
            "out, and nothing more is written for it here."
        )
    return current


def _end(connection: Connection, number: int, state: str, result: Json, at: datetime) -> None:
    ended = {"state": state, "result": result, "ended_at": at, "lease_until": None}
    connection.execute(update(_job).where(_job.c.id == number).values(ended))


def _record(row: Any) -> Job:
    return Job(**row._mapping)
