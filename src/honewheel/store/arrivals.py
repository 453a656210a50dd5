"""Group commit: rows of many senders in one transaction, with an outcome for each of them.

What `Log.append` does all or nothing for one sender, this does row by row: a bad one is told why
and its neighbours are stored. The audit log gets one line per sender and commit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from honewheel.errors import AlreadyRecorded, InputError
from honewheel.records import Deed, Feedback, Response, utc
from honewheel.store import events, plain, tables
from honewheel.store.access import row_of
from honewheel.store.db import Database, chunks
from honewheel.store.log import (
    FORGOTTEN,
    erased,
    feedback_row,
    require_feedback,
    require_response,
    response_row,
)
from honewheel.store.totals import add_totals


@dataclass(frozen=True, slots=True)
class Arrival:
    """A response with its feedback, or feedback on an earlier one, as one sender sent it.

    `timed` is False when the sender gave no time: the same row sent again is then dated anew,
    and is the same row all the same.
    """

    response: Response | None
    feedback: tuple[Feedback, ...]
    actor: str
    action: str
    timed: bool = True


@dataclass(frozen=True, slots=True)
class Stored:
    """Where an arrival stands in the log; `known` when it stood there before."""

    id: str
    seq: int
    known: bool


@dataclass(slots=True)
class _Batch:
    """What one transaction has read and is going to write."""

    next: int
    responses: dict[str, tuple[int, Response]]  # stored, or accepted in this batch
    remarks: dict[str, tuple[int, Feedback]]
    tasks: dict[str, str]
    forgotten: set[str]  # responses spoken of that were erased
    new_responses: list[dict[str, Any]] = field(default_factory=list)
    new_remarks: list[dict[str, Any]] = field(default_factory=list)


class Arrivals:
    """The way into the log for many senders at once."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def append(self, arrivals: Sequence[Arrival], now: datetime) -> list[Stored | InputError]:
        """The outcome of each arrival, in order, once all good ones are on disk.

        Numbers have no gaps and no reader sees one before all smaller ones, as with `Log.append`.
        Raises StoreError when the transaction as a whole fails; then nothing is stored.
        """
        checked = [_checked(arrival) for arrival in arrivals]
        good = [one for one in checked if isinstance(one, Arrival)]
        if not good:
            return [one for one in checked if isinstance(one, InputError)]
        with self._db.write("log") as connection:
            batch = _read(connection, good)
            found = [one if isinstance(one, InputError) else _accept(batch, one) for one in checked]
            if batch.new_responses or batch.new_remarks:
                _write(connection, batch)
                plain.insert_rows(connection, tables.audit, list(_deeds(arrivals, found, now)))
        return found


def _checked(arrival: Arrival) -> Arrival | InputError:
    try:
        if arrival.response is not None:
            require_response(arrival.response)
        for item in arrival.feedback:
            require_feedback(item)
    except InputError as error:
        return error
    return arrival


def _read(connection: Connection, arrivals: Sequence[Arrival]) -> _Batch:
    """What the log knows of the ids that the arrivals bring or speak of."""
    brought = {one.response.id for one in arrivals if one.response is not None}
    said = {item.id for one in arrivals for item in one.feedback}
    spoken = {item.response_id for one in arrivals for item in one.feedback}
    last = plain.rows(connection, "SELECT value FROM counter WHERE name = 'log'")
    batch = _Batch(int(last[0][0]) + 1 if last else 1, {}, {}, {}, set())
    for some in chunks(sorted(brought | spoken)):
        found = plain.among(connection, "SELECT id, task FROM response", "id", some)
        batch.tasks.update({row[0]: row[1] for row in found})
    for some in chunks(sorted(spoken & batch.tasks.keys())):
        gone = plain.among(connection, "SELECT event FROM forgotten", "event", some)
        batch.forgotten.update(row[0] for row in gone)
    response, feedback = tables.response, tables.feedback
    for some in chunks(sorted(brought & batch.tasks.keys())):
        for row in connection.execute(select(response).where(response.c.id.in_(some))):
            batch.responses[row.id] = (row.seq, events.read_response(row))
    for some in chunks(sorted(said)):
        known = [row[0] for row in plain.among(connection, "SELECT id FROM feedback", "id", some)]
        if known:
            for row in connection.execute(select(feedback).where(feedback.c.id.in_(known))):
                batch.remarks[row.id] = (row.seq, events.read_feedback(row))
    return batch


def _accept(batch: _Batch, arrival: Arrival) -> Stored | InputError:
    """Take an arrival into the batch, or say why not; nothing of a refused one is taken."""
    response, fresh = arrival.response, []
    seqs = []
    if response is not None and (known := batch.responses.get(response.id)):
        if not _same(known[1], response, arrival.timed):
            gone = known[1].decoding == FORGOTTEN
            return erased(response.id) if gone else _other(response.id)
        seqs.append(known[0])
    for item in arrival.feedback:
        if item.response_id in batch.forgotten:
            return erased(item.response_id)
        if said := batch.remarks.get(item.id):
            if not _same(said[1], item, arrival.timed):
                return _other(item.id)
            seqs.append(said[0])
        elif item.response_id in batch.tasks or response is not None:
            fresh.append(item)
        else:
            return InputError(
                f"response {item.response_id!r} is not recorded. Record it first, or send it "
                "with what is said of it."
            )
    first = batch.next
    if response is not None and response.id not in batch.responses:
        batch.responses[response.id] = (batch.next, response)
        batch.tasks[response.id] = response.task
        batch.new_responses.append(response_row(batch.next, response))
        batch.next += 1
    for item in fresh:
        batch.remarks[item.id] = (batch.next, item)
        batch.new_remarks.append(feedback_row(batch.next, item))
        batch.next += 1
    name = response.id if response is not None else arrival.feedback[0].response_id
    known_before = batch.next == first
    return Stored(name, min(seqs) if known_before else first, known_before)


def _same(stored: Response | Feedback, given: Response | Feedback, timed: bool) -> bool:
    at = utc(given.created_at) if timed else stored.created_at
    return replace(given, created_at=at) == stored


def _other(name: str) -> InputError:
    return AlreadyRecorded(
        f"{name} is already recorded with other content. Records never change: give the new one "
        "an id of its own."
    )


def _write(connection: Connection, batch: _Batch) -> None:
    if batch.new_responses:
        plain.insert_rows(connection, tables.response, batch.new_responses)
        waiting = [{"seq": row["seq"]} for row in batch.new_responses]
        plain.insert_rows(connection, tables.unplaced, waiting)
    if batch.new_remarks:
        plain.insert_rows(connection, tables.feedback, batch.new_remarks)
    plain.run(connection, "UPDATE counter SET value = ? WHERE name = 'log'", batch.next - 1)
    add_totals(connection, "events", Counter(row["task"] for row in batch.new_responses))
    said = Counter(batch.tasks[row["response_id"]] for row in batch.new_remarks)
    add_totals(connection, "feedback", said)


def _deeds(
    arrivals: Sequence[Arrival], found: Sequence[Stored | InputError], now: datetime
) -> Iterable[dict[str, Any]]:
    """One audit line per sender and action: how many rows, and between which numbers they stand."""
    by_sender: dict[tuple[str, str], list[int]] = defaultdict(list)
    for arrival, outcome in zip(arrivals, found, strict=True):
        if isinstance(outcome, Stored) and not outcome.known:
            by_sender[arrival.actor, arrival.action].append(outcome.seq)
    for (actor, action), seqs in by_sender.items():
        detail = {"rows": len(seqs), "first": min(seqs), "last": max(seqs)}
        yield row_of(Deed(at=now, actor=actor, action=action, outcome="stored", detail=detail))
