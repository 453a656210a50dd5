"""The append-only log: responses, feedback, and rows that could not be accepted.

Fast path for many events: `append` in batches of 1,000 (one transaction and one fsync a batch).
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Table, insert, select, update

from honewheel.errors import AlreadyRecorded, Erased, InputError, NotFound
from honewheel.records import Event, Feedback, Quarantined, Response, Split, as_dict, utc
from honewheel.store import events, plain, tables
from honewheel.store.columns import json_text
from honewheel.store.db import Database, chunks
from honewheel.store.text import require_storable
from honewheel.store.totals import add_totals, read_totals

Record = TypeVar("Record", Response, Feedback)
_LOG = tables.counter.c.name == "log"


class Log:
    """What models produced and what was said of it, in the order in which it was acknowledged."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def append(self, responses: Sequence[Response], feedback: Sequence[Feedback] = ()) -> int:
        """The last sequence number, once everything is on disk, all or nothing.

        Responses come before feedback, each in the order given; numbers have no gaps, and no
        reader sees one before all smaller ones. A record already stored with the same content
        is left as it is.

        Raises:
            InputError: an id is stored with other content, its event was forgotten (Erased),
                feedback names an unknown response, or a text holds what no database stores (NUL,
                half a surrogate pair, NaN).
        """
        new_responses, new_feedback = _distinct(responses), _distinct(feedback)
        for item in new_responses.values():
            require_response(item)
        for remark in new_feedback.values():
            require_feedback(remark)
        with self._db.write("log") as connection:
            last = _last(connection)
            spoken = {remark.response_id for remark in new_feedback.values()}
            _require_kept(connection, spoken | new_responses.keys())
            _drop_known(connection, tables.response, new_responses, events.read_response)
            _drop_known(connection, tables.feedback, new_feedback, events.read_feedback)
            tasks = _tasks(connection, new_responses, new_feedback)
            numbers = itertools.count(last + 1)
            rows = [response_row(next(numbers), item) for item in new_responses.values()]
            remarks = [feedback_row(next(numbers), item) for item in new_feedback.values()]
            if not rows and not remarks:
                return last
            if rows:
                connection.execute(insert(tables.response), rows)
                connection.execute(insert(tables.unplaced), [{"seq": row["seq"]} for row in rows])
            if remarks:
                connection.execute(insert(tables.feedback), remarks)
            last += len(rows) + len(remarks)
            connection.execute(update(tables.counter).where(_LOG).values(value=last))
            add_totals(connection, "events", Counter(row["task"] for row in rows))
            add_totals(
                connection, "feedback", Counter(tasks[row["response_id"]] for row in remarks)
            )
        return last

    def last_seq(self) -> int:
        """The last sequence number given out; 0 for an empty log."""
        with self._db.read() as connection:
            return _last(connection)

    def event(self, event_id: str) -> Event:
        """One event by the id of its response, or of any feedback on it. Raises NotFound."""
        with self._db.read() as connection:
            response_id = (
                connection.scalar(
                    select(tables.feedback.c.response_id).where(tables.feedback.c.id == event_id)
                )
                or event_id
            )
            query = select(tables.response).where(tables.response.c.id == response_id)
            found = events.attach(connection, connection.execute(query).all(), up_to=None)
        if not found:
            raise NotFound(
                f"No event {event_id!r}: neither a response nor feedback has this id. "
                "An event's id starts with evt_ and was returned when it was recorded."
            )
        return found[0]

    def events(
        self,
        task: Sequence[str] | None,
        up_to: int,
        ids: Sequence[str] | None = None,
        split: Split | None = None,
    ) -> Iterator[Event]:
        """Events with a sequence number <= `up_to`, in order, with the feedback known by then.

        `task` None means all; `ids` are response ids, unknown ones are left out; `split` keeps
        those that intake placed there. Pages of CHUNK are read in transactions of their own, so
        that a slow reader holds nothing up.
        """
        return events.stream(self._db, task, up_to, ids, split)

    def unplaced(self, limit: int) -> list[Response]:
        """The first `limit` responses that intake has not placed yet, in order."""
        query = (
            select(tables.response)
            .join(tables.unplaced, tables.unplaced.c.seq == tables.response.c.seq)
            .order_by(tables.unplaced.c.seq)
            .limit(limit)
        )
        with self._db.read() as connection:
            return [events.read_response(row) for row in connection.execute(query)]

    def quarantine(self, rows: Sequence[Quarantined]) -> None:
        """Keep rows that could not be accepted; the same row of the same origin only once."""
        with self._db.write("log") as connection:
            keys = {_quarantine_key(row): row for row in rows}
            for some in chunks(list(keys)):
                column = tables.quarantine.c.key
                for known in connection.scalars(select(column).where(column.in_(some))).all():
                    del keys[known]
            if keys:
                connection.execute(
                    insert(tables.quarantine),
                    [_quarantine_row(key, row) for key, row in keys.items()],
                )
                add_totals(connection, "rejected", {"": len(keys)})

    def quarantined(self, limit: int) -> list[Quarantined]:
        """At most `limit` rejected rows, the newest rejection first."""
        table = tables.quarantine
        query = select(table).order_by(table.c.at.desc(), table.c.id).limit(limit)
        with self._db.read() as connection:
            return [
                Quarantined(
                    origin=row.origin, row=row.row, reason=row.reason, raw=row.raw, at=row.at
                )
                for row in connection.execute(query)
            ]

    def counts(self) -> dict[str, Any]:
        """Running totals: `events`, `feedback`, `quarantined` (rows) and, per task under `tasks`,
        `events`, `feedback`, placed as `train`, `val`, `test`, and `quarantined` (responses).

        Reads one small table, however long the log is.
        """
        with self._db.read() as connection:
            return read_totals(connection)


def _last(connection: Connection) -> int:
    return int(connection.scalar(select(tables.counter.c.value).where(_LOG)) or 0)


def _distinct(records: Sequence[Record]) -> dict[str, Record]:
    """Records by id; a repeated one counts once. Raises InputError when two differ."""
    found: dict[str, Record] = {}
    for record in records:
        _require_same(found.setdefault(record.id, record), record)
    return found


def _require_kept(connection: Connection, names: set[str]) -> None:
    """Raises Erased when one of these events was forgotten."""
    if gone := min(gone_among(connection, sorted(names)), default=None):
        raise Erased(gone)


def gone_among(connection: Connection, names: Sequence[str]) -> set[str]:
    """Those of these event ids that were forgotten."""
    gone: set[str] = set()
    for some in chunks(names):
        found = plain.among(connection, "SELECT event FROM forgotten", "event", some)
        gone.update(row[0] for row in found)
    return gone


def _drop_known(
    connection: Connection,
    table: Table,
    fresh: dict[str, Record],
    read: Callable[[Row[Any]], Record],
) -> None:
    """Take what is stored already out of `fresh`. Raises InputError when its content differs."""
    for some in chunks(list(fresh)):
        for row in connection.execute(select(table).where(table.c.id.in_(some))).all():
            stored = read(row)
            _require_same(stored, fresh.pop(stored.id))


def _require_same(stored: Record, given: Record) -> None:
    if stored is not given and _content(stored) != _content(given):
        raise AlreadyRecorded(
            f"{given.id} is already recorded with other content. Records never change: "
            "give the new one an id of its own."
        )


def _content(record: Record) -> dict[str, Any]:
    return as_dict(replace(record, created_at=utc(record.created_at)))


def _tasks(
    connection: Connection, responses: dict[str, Response], feedback: dict[str, Feedback]
) -> dict[str, str]:
    """Task of every response that `feedback` speaks of. Raises InputError for an unknown one."""
    tasks = {key: response.task for key, response in responses.items()}
    wanted = {item.response_id for item in feedback.values()} - tasks.keys()
    table = tables.response
    for some in chunks(sorted(wanted)):
        query = select(table.c.id, table.c.task).where(table.c.id.in_(some))
        tasks.update({row.id: row.task for row in connection.execute(query)})
    for item in feedback.values():
        if item.response_id not in tasks:
            raise InputError(
                f"Feedback {item.id} names response {item.response_id!r}, which is not recorded. "
                "Record the response first, or in the same call."
            )
    return tasks


def require_response(item: Response) -> None:
    require_storable(
        f"Response {item.id!r}",
        id=item.id,
        task=item.task,
        prompt=item.prompt,
        output=item.output,
        version=item.version,
        context=item.context,
        decoding=item.decoding,
    )


def require_feedback(item: Feedback) -> None:
    require_storable(
        f"Feedback {item.id!r}",
        id=item.id,
        response_id=item.response_id,
        source=item.source,
        value=item.value,
        text=item.text,
    )


def response_row(seq: int, item: Response) -> dict[str, Any]:
    return {
        "seq": seq,
        "id": item.id,
        "task": item.task,
        "prompt": item.prompt,
        "output": item.output,
        "created_at": item.created_at,
        "context": dict(item.context),
        "version": item.version,
        "decoding": dict(item.decoding),
    }


def feedback_row(seq: int, item: Feedback) -> dict[str, Any]:
    return {
        "seq": seq,
        "id": item.id,
        "response_id": item.response_id,
        "kind": item.kind,
        "source": item.source,
        "source_kind": item.source_kind,
        "created_at": item.created_at,
        "value": item.value,
        "text": item.text,
    }


def _quarantine_key(row: Quarantined) -> str:
    return hashlib.sha256(json_text([row.origin, row.row, row.raw]).encode()).hexdigest()


def _quarantine_row(key: str, row: Quarantined) -> dict[str, Any]:
    return {
        "key": key,
        "origin": row.origin,
        "row": row.row,
        "reason": row.reason,
        "raw": row.raw,
        "at": row.at,
    }
