"""What was decided on held events, and the responses that intake keeps out for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection, func, insert, select

from honewheel.errors import InputError, NotFound
from honewheel.records import Placement
from honewheel.store import erasure, tables
from honewheel.store.db import Database, chunks
from honewheel.store.events import PLACEMENT, read_placement

RulingVerdict: TypeAlias = Literal["release", "drop", "hold"]

_ruling, _placed = tables.ruling, tables.placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """One decision on one event; of several the newest counts.

    A person releases or drops; the watch holds what a version had learnt that it took back.
    """

    event: str
    verdict: RulingVerdict
    reason: str
    who: str
    at: datetime


class Held:
    """Rulings, in the order in which they were made. None is ever changed or deleted."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def rule(
        self, events: Sequence[str], verdict: RulingVerdict, *, reason: str, who: str, at: datetime
    ) -> None:
        """Record one ruling for each event, all or nothing.

        An event whose newest ruling says the same already keeps that one.

        Raises:
            InputError: no reason or nobody is given, or a release would leak: intake found that
                the event ties test material to training material.
            NotFound: an event is not recorded.
        """
        if not reason.strip() or not who.strip():
            raise InputError("A ruling needs a reason and the name of who decided.")
        with self._db.write("held") as connection:
            wanted = list(dict.fromkeys(events))
            _require_known(connection, wanted)
            if verdict == "release":
                _require_harmless(connection, wanted)
            stored = _newest(connection, None)
            rows = [
                {"event": event, "verdict": verdict, "reason": reason, "who": who, "at": at}
                for event in wanted
                if event not in stored or stored[event].verdict != verdict
            ]
            if rows:
                connection.execute(insert(_ruling), rows)

    def rulings(self, up_to: datetime | None = None) -> dict[str, Ruling]:
        """The newest ruling on each event, by event; only those made by `up_to`, if given.

        A cycle asks with its `as_of`, so that a ruling made while it runs changes nothing in it.
        """
        with self._db.read() as connection:
            return _newest(connection, up_to)

    def last(self) -> datetime | None:
        """When the newest ruling was made; None without any."""
        with self._db.read() as connection:
            found = connection.execute(select(_ruling.c.at).order_by(_ruling.c.id.desc())).first()
        return None if found is None else found.at

    def bridging(self, limit: int) -> list[Placement]:
        """At most `limit` responses that would tie two splits together, the newest first."""
        query = (
            select(*PLACEMENT)
            .where(_placed.c.quarantined.is_not(None), _placed.c.quarantined != erasure.WHY)
            .order_by(_placed.c.seq.desc())
            .limit(limit)
        )
        with self._db.read() as connection:
            return [read_placement(row) for row in connection.execute(query)]


def _newest(connection: Connection, up_to: datetime | None) -> dict[str, Ruling]:
    last = select(func.max(_ruling.c.id)).group_by(_ruling.c.event)
    if up_to is not None:
        last = last.where(_ruling.c.at <= up_to)
    query = select(_ruling).where(_ruling.c.id.in_(last)).order_by(_ruling.c.id)
    return {row.event: _record(row) for row in connection.execute(query)}


def _record(row: Any) -> Ruling:
    return Ruling(event=row.event, verdict=row.verdict, reason=row.reason, who=row.who, at=row.at)


def _require_known(connection: Connection, events: Sequence[str]) -> None:
    table = tables.response
    for some in chunks(events):
        known = set(connection.scalars(select(table.c.id).where(table.c.id.in_(some))))
        if missing := next((event for event in some if event not in known), None):
            raise NotFound(
                f"No event {missing!r}. honewheel quarantine list names the held ones; a row that "
                "was refused at import has no event: correct it and import it again."
            )


def _require_harmless(connection: Connection, events: Sequence[str]) -> None:
    for some in chunks(events):
        query = select(_placed.c.response_id, _placed.c.quarantined).where(
            _placed.c.response_id.in_(some), _placed.c.quarantined.is_not(None)
        )
        if row := connection.execute(query).first():
            raise InputError(
                f"{row.response_id} cannot be released: it {row.quarantined}. It stays out of "
                "training and out of the test panel; no ruling can change that."
            )
