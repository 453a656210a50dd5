"""Versions on trial in live traffic: one open deployment a model, and the outcomes it lives on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

from sqlalchemy import Connection, insert, select, update

from honewheel.errors import Moved
from honewheel.records import AliasMove, Decision, Deed
from honewheel.store import tables
from honewheel.store.access import row_of
from honewheel.store.aliases import place, require_revision
from honewheel.store.db import CHUNK, Database
from honewheel.store.versions import Versions

Stage: TypeAlias = Literal["shadow", "canary", "champion"]
Ended: TypeAlias = Literal["kept", "rolled back", "superseded"]

_row, _move = tables.deployment, tables.alias_move


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One promoted version while it is watched, against the `baseline` champion.

    `policy` holds the watch settings it was opened with; outcomes count for responses after the
    log's number `since_seq`, and were taken in up to `cursor`; `trial` is the evidence so far.
    """

    id: int
    model: str
    version: int
    baseline: int
    stage: Stage
    policy: dict[str, Any]
    opened_at: datetime
    since_seq: int
    cursor: int
    trial: dict[str, Any]
    ended: Ended | None = None
    reason: str | None = None
    ended_at: datetime | None = None


class Spoken(NamedTuple):
    """A feedback row in its place in the log, with the version it speaks of."""

    seq: int
    feedback: str
    response: str
    version: str


class Deployments:
    """Every change of a deployment is one transaction with the alias move it goes with."""

    def __init__(self, db: Database, versions: Versions) -> None:
        self._db = db
        self._versions = versions

    def open(
        self,
        new: Deployment,
        move: AliasMove,
        expected_revision: int,
        decision: Decision | None,
        *,
        champion_revision: int,
    ) -> Deployment:
        """Put a version on trial with its alias move; an older open trial is superseded.

        `champion_revision` is where the champion's alias stood when the trial was decided on. A
        cycle that repeats itself after a crash changes nothing. Raises what `move_alias` raises.
        """
        self._versions.require_movable(move, expected_revision, decision)
        with self._db.write("versions") as connection:
            current = _current(connection, new.model)
            if current is not None and _same(current, new):
                return current
            require_revision(connection, new.model, "champion", champion_revision)
            place(connection, move, expected_revision, decision)
            told = f"{new.model}@{new.version} was promoted"
            _end(connection, new.model, "superseded", told, new.opened_at)
            values = {name: getattr(new, name) for name in _FIELDS}
            connection.execute(insert(_row).values(values | {"ended": None, "ended_at": None}))
            opened = _current(connection, new.model)
        assert opened is not None
        return opened

    def current(self, model: str) -> Deployment | None:
        """The open deployment of `model`, if any."""
        with self._db.read() as connection:
            return _current(connection, model)

    def list(self, model: str | None = None, limit: int = 20) -> Sequence[Deployment]:
        """At most `limit` deployments, the newest first; of all models when `model` is None."""
        query = select(_row).order_by(_row.c.id.desc()).limit(limit)
        if model is not None:
            query = query.where(_row.c.model == model)
        with self._db.read() as connection:
            return [_record(row) for row in connection.execute(query)]

    def save(self, found: Deployment, cursor: int, trial: dict[str, Any]) -> None:
        """Keep the evidence up to `cursor`.

        Raises Moved when somebody else took outcomes in meanwhile, or the trial has ended.
        """
        with self._db.write("versions") as connection:
            _advance(connection, found, {"cursor": cursor, "trial": trial})

    def decide(
        self,
        found: Deployment,
        cursor: int,
        trial: dict[str, Any],
        *,
        moves: Sequence[AliasMove],
        stage: Stage | None = None,
        ended: Ended | None = None,
        reason: str = "",
        at: datetime,
        deed: Deed | None = None,
    ) -> None:
        """Act on the evidence: move aliases and go to the next `stage`, or end the trial.

        All of it or nothing, the `deed` for the audit log included. A move follows the alias'
        revision one below its own. Raises Moved, and what `move_alias` raises.
        """
        for move in moves:
            self._versions.require_movable(move, move.revision - 1, None)
        changes: dict[str, Any] = {"cursor": cursor, "trial": trial}
        if stage is not None:
            changes["stage"] = stage
        if ended is not None:
            changes |= {"ended": ended, "reason": reason, "ended_at": at}
        with self._db.write("versions") as connection:
            _advance(connection, found, changes)
            for move in moves:
                place(connection, move, move.revision - 1, None)
            if deed is not None:
                connection.execute(insert(tables.audit).values(row_of(deed)))

    def close(
        self, move: AliasMove, decision: Decision | None, ended: Ended, reason: str, at: datetime
    ) -> None:
        """Make a person's move of the champion, and end the open trial of its model, if any.

        Both or neither: the watch never goes on about a champion that is none. The move follows
        the alias' revision one below its own. Raises what `move_alias` raises.
        """
        self._versions.require_movable(move, move.revision - 1, decision)
        with self._db.write("versions") as connection:
            place(connection, move, move.revision - 1, decision)
            _end(connection, move.model, ended, reason, at)

    def spoken(
        self, versions: Sequence[str], after: int, up_to: int, since: int
    ) -> Sequence[Spoken]:
        """Feedback numbered in (after, up_to] on responses of `versions` numbered above `since`.

        In order, at most CHUNK rows.
        """
        said, made = tables.feedback, tables.response
        query = (
            select(said.c.seq, said.c.id, made.c.id, made.c.version)
            .join(made, made.c.id == said.c.response_id)
            .where(said.c.seq > after, said.c.seq <= up_to)
            .where(made.c.version.in_(versions), made.c.seq > since)
            .order_by(said.c.seq)
            .limit(CHUNK)
        )
        with self._db.read() as connection:
            return [Spoken(*row) for row in connection.execute(query)]

    @staticmethod
    def is_page(rows: Sequence[Any]) -> bool:
        """Whether `spoken` stopped at its limit, so that there may be more."""
        return len(rows) == CHUNK

    def recent(self, version: str, limit: int) -> Sequence[str]:
        """Ids of responses of `version` that the newest `limit` feedback rows speak of."""
        said, made = tables.feedback, tables.response
        query = (
            select(said.c.response_id)
            .join(made, made.c.id == said.c.response_id)
            .where(made.c.version == version)
            .order_by(said.c.seq.desc())
            .limit(limit)
        )
        with self._db.read() as connection:
            return list(dict.fromkeys(connection.scalars(query)))

    def shadowed(self, version: str, after: int, up_to: int) -> Sequence[tuple[int, str]]:
        """(number, id) of placed responses of `version` in (after, up_to], at most CHUNK, in order.

        Stops before the first that intake has not placed: its check is not known yet.
        """
        made, waits = tables.response, tables.unplaced
        query = (
            select(made.c.seq, made.c.id, waits.c.seq)
            .join(waits, waits.c.seq == made.c.seq, isouter=True)
            .where(made.c.version == version, made.c.seq > after, made.c.seq <= up_to)
            .order_by(made.c.seq)
            .limit(CHUNK)
        )
        found = []
        with self._db.read() as connection:
            for seq, name, waiting in connection.execute(query):
                if waiting is not None:
                    break
                found.append((seq, name))
        return found


_FIELDS = (
    "model", "version", "baseline", "stage", "policy", "opened_at", "since_seq", "cursor",
    "trial", "reason",
)  # fmt: skip


def _current(connection: Connection, model: str) -> Deployment | None:
    query = select(_row).where(_row.c.model == model, _row.c.ended.is_(None))
    row = connection.execute(query).first()
    return None if row is None else _record(row)


def _same(current: Deployment, new: Deployment) -> bool:
    return (current.version, current.stage) == (new.version, new.stage)


def _end(connection: Connection, model: str, ended: Ended, reason: str, at: datetime) -> None:
    here = (_row.c.model == model) & _row.c.ended.is_(None)
    values = {"ended": ended, "reason": reason, "ended_at": at}
    connection.execute(update(_row).where(here).values(values))


def _advance(connection: Connection, found: Deployment, changes: dict[str, Any]) -> None:
    here = (_row.c.id == found.id) & _row.c.ended.is_(None)
    here &= (_row.c.cursor == found.cursor) & (_row.c.stage == found.stage)
    if connection.execute(update(_row).where(here).values(changes)).rowcount != 1:
        raise Moved(
            f"The trial of {found.model}@{found.version} went on meanwhile: look again and decide "
            "anew."
        )


def _record(row: Any) -> Deployment:
    return Deployment(**row._mapping)
