"""What the outside is to be told: notices that wait here until somebody has taken them.

A notice is made from what the store knows already (cycles that ended, aliases that moved), under a
key of its own; making it again changes nothing. So whatever crashes, nothing is told of too little:
the next look finds it, and what waits is tried until it is taken or given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection, func, insert, select, update

from honewheel.records import AliasMove, Cycle, Json
from honewheel.store import tables
from honewheel.store.db import Database, chunks
from honewheel.store.jobs import Job
from honewheel.store.tables import notice as _notice
from honewheel.store.tables import outlet as _outlet

MOVE = timedelta(days=1)  # a look that finds nothing writes where it began only now and then
State: TypeAlias = Literal["waiting", "sent", "given up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing to tell one outlet. `key` is the same whenever it is made or sent again."""

    id: int
    outlet: str
    key: str
    event: str
    told: dict[str, Any]
    state: State
    made_at: datetime
    run_after: datetime
    attempt: int
    error: str | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class New:
    """A notice that is to be made."""

    key: str
    event: str
    told: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Happened:
    """What ended or moved in a stretch of time, oldest first."""

    cycles: Sequence[Cycle]
    moves: Sequence[AliasMove]
    jobs: Sequence[Job]


class Outbox:
    """Notices by outlet ("webhook:chat"); each is tried by one sender at a time."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def since(self, name: str, now: datetime) -> datetime:
        """From when on an outlet is told; one that is new, from now on."""
        query = select(_outlet.c.since).where(_outlet.c.name == name)
        with self._db.read() as connection:
            found: datetime | None = connection.scalar(query)
        if found is not None:  # nearly always: a look that finds nothing writes nothing
            return found
        with self._db.write("outbox") as connection:
            found = connection.scalar(query)
            if found is None:
                connection.execute(insert(_outlet).values(name=name, since=now))
            return found or now

    def happened(self, since: datetime, kind: str) -> Happened:
        """Cycles that ended, aliases that moved and jobs of a kind that ended, from `since` on."""
        cycle, move, job = tables.cycle, tables.alias_move, tables.job
        moves = [column for column in move.c if column.name != "evidence"]
        with self._db.read() as connection:
            return Happened(
                [
                    Cycle(**row._mapping)
                    for row in connection.execute(
                        select(cycle)
                        .where(cycle.c.finished_at >= since)
                        .order_by(cycle.c.finished_at, cycle.c.id)
                    )
                ],
                [
                    AliasMove(**row._mapping)
                    for row in connection.execute(
                        select(*moves).where(move.c.at >= since).order_by(move.c.at)
                    )
                ],
                [
                    Job(**row._mapping)
                    for row in connection.execute(
                        select(job)
                        .where(job.c.kind == kind, job.c.state == "done", job.c.ended_at >= since)
                        .order_by(job.c.ended_at)
                    )
                ],
            )

    def put(self, name: str, found: Sequence[New], now: datetime, since: datetime) -> int:
        """Make the notices that are new; how many. Then the next look may begin at `since`."""
        with self._db.read() as connection:
            began = connection.scalar(select(_outlet.c.since).where(_outlet.c.name == name))
            fresh = {one.key for one in found} - _known(connection, name, found)
        if not fresh and began is not None and since - began < MOVE:
            return 0
        with self._db.write("outbox") as connection:
            known = _known(connection, name, found)
            ready = self._db.now(connection)
            rows = [
                {
                    "outlet": name,
                    "key": one.key,
                    "event": one.event,
                    "told": one.told,
                    "state": "waiting",
                    "made_at": now,
                    "run_after": ready,
                    "attempt": 0,
                    "error": None,
                }
                for one in found
                if one.key not in known
            ]
            if rows:
                connection.execute(insert(_notice), rows)
            connection.execute(update(_outlet).where(_outlet.c.name == name).values(since=since))
            return len(rows)

    def claim(self, names: Sequence[str], hold: timedelta) -> Notice | None:
        """The oldest notice that is ready for one of these outlets; nobody else gets it for `hold`.

        A sender that dies leaves it to be sent again after that.
        """
        with self._db.write("outbox") as connection:
            now = self._db.now(connection)
            query = select(_notice).where(
                _notice.c.state == "waiting",
                _notice.c.run_after <= now,
                _notice.c.outlet.in_(names),
            )
            row = connection.execute(query.order_by(_notice.c.id).limit(1)).first()
            if row is None:
                return None
            changes = {"run_after": now + hold, "attempt": row.attempt + 1}
            connection.execute(update(_notice).where(_notice.c.id == row.id).values(changes))
            return Notice(**{**row._mapping, **changes})

    def sent(self, found: Notice, at: datetime) -> None:
        """It was taken; nothing more is told of it."""
        with self._db.write("outbox") as connection:
            changes = {"state": "sent", "error": None, "ended_at": at}
            connection.execute(update(_notice).where(_notice.c.id == found.id).values(changes))

    def failed(self, found: Notice, error: str, after: timedelta | None, at: datetime) -> None:
        """It was not taken: try again `after`, or (None) no more."""
        with self._db.write("outbox") as connection:
            changes: dict[str, Any] = {"error": error}
            if after is None:
                changes |= {"state": "given up", "ended_at": at}
            else:
                changes["run_after"] = self._db.now(connection) + after
            here = (_notice.c.id == found.id) & (_notice.c.state == "waiting")
            connection.execute(update(_notice).where(here).values(changes))

    def again(self, names: Sequence[str]) -> int:
        """Have everything of these outlets that was not taken tried at once; how many there are."""
        with self._db.write("outbox") as connection:
            here = _notice.c.outlet.in_(names) & (_notice.c.state != "sent")
            now = self._db.now(connection)
            changes = {"state": "waiting", "run_after": now, "ended_at": None}
            return connection.execute(update(_notice).where(here).values(changes)).rowcount

    def counts(self) -> dict[str, dict[str, int]]:
        """How many notices stand in which state, by outlet."""
        query = select(_notice.c.outlet, _notice.c.state, func.count())
        found: dict[str, dict[str, int]] = {}
        with self._db.read() as connection:
            for name, state, count in connection.execute(
                query.group_by(_notice.c.outlet, _notice.c.state)
            ):
                found.setdefault(name, {})[state] = count
        return found

    def list(self, limit: int, name: str | None = None) -> Sequence[Notice]:
        """At most `limit` notices, the newest first."""
        query = select(_notice).order_by(_notice.c.id.desc()).limit(limit)
        if name is not None:
            query = query.where(_notice.c.outlet == name)
        with self._db.read() as connection:
            return [Notice(**row._mapping) for row in connection.execute(query)]


def _known(connection: Connection, name: str, found: Sequence[New]) -> set[str]:
    """Keys of `found` that an outlet has a notice of."""
    known: set[str] = set()
    for some in chunks([one.key for one in found]):
        query = select(_notice.c.key).where(_notice.c.outlet == name)
        known |= set(connection.scalars(query.where(_notice.c.key.in_(some))))
    return known
