"""Rows of the log read back as records, page by page, with feedback and placement attached."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from honewheel.records import Check, Event, Feedback, Finding, Placement, Response, Split
from honewheel.store.db import CHUNK, Database, chunks
from honewheel.store.tables import feedback, placement, response

# Without the signature, which only intake reads and which is the widest column.
PLACEMENT = [column for column in placement.c if column.name != "signature"]


def stream(
    db: Database,
    task: Sequence[str] | None,
    up_to: int,
    ids: Sequence[str] | None,
    split: Split | None,
) -> Iterator[Event]:
    """Events in order; see `Log.events`. Every page is a reading transaction of its own."""
    query = select(response).where(response.c.seq <= up_to).order_by(response.c.seq)
    if task is not None:
        query = query.where(response.c.task.in_(task))
    if split is not None:
        placed = placement.c.seq == response.c.seq
        query = query.join(placement, placed).where(placement.c.split == split)
    if ids is None:
        yield from _by_cursor(db, query, up_to)
    else:
        yield from _by_id(db, query, up_to, ids)


def _by_cursor(db: Database, query: Select[Any], up_to: int) -> Iterator[Event]:
    after = 0
    while page := _page(db, query.where(response.c.seq > after).limit(CHUNK), up_to):
        after = page[-1].seq
        yield from page


def _by_id(db: Database, query: Select[Any], up_to: int, ids: Sequence[str]) -> Iterator[Event]:
    numbers: list[int] = []
    with db.read() as connection:
        for some in chunks(sorted(set(ids))):
            chosen = query.with_only_columns(response.c.seq).where(response.c.id.in_(some))
            numbers.extend(connection.scalars(chosen))
    for page in chunks(sorted(numbers)):
        yield from _page(db, query.where(response.c.seq.in_(page)), up_to)


def _page(db: Database, query: Select[Any], up_to: int) -> list[Event]:
    with db.read() as connection:
        return attach(connection, connection.execute(query).all(), up_to)


def attach(connection: Connection, rows: Sequence[Row[Any]], up_to: int | None) -> list[Event]:
    """Events of at most CHUNK response rows: two more queries, however many rows."""
    ids = [row.id for row in rows]
    said: dict[str, list[Feedback]] = defaultdict(list)
    query = select(feedback).where(feedback.c.response_id.in_(ids)).order_by(feedback.c.seq)
    if up_to is not None:
        query = query.where(feedback.c.seq <= up_to)
    for row in connection.execute(query):
        said[row.response_id].append(read_feedback(row))
    places = select(*PLACEMENT).where(placement.c.seq.in_([row.seq for row in rows]))
    placed = {row.seq: read_placement(row) for row in connection.execute(places)}
    return [
        Event(
            seq=row.seq,
            response=read_response(row),
            feedback=tuple(said[row.id]),
            placement=placed.get(row.seq),
        )
        for row in rows
    ]


def read_response(row: Row[Any]) -> Response:
    return Response(
        id=row.id,
        task=row.task,
        prompt=row.prompt,
        output=row.output,
        created_at=row.created_at,
        context=row.context,
        version=row.version,
        decoding=row.decoding,
    )


def read_feedback(row: Row[Any]) -> Feedback:
    return Feedback(
        id=row.id,
        response_id=row.response_id,
        kind=row.kind,
        source=row.source,
        created_at=row.created_at,
        source_kind=row.source_kind,
        value=row.value,
        text=row.text,
    )


def read_placement(row: Row[Any]) -> Placement:
    check = row.check
    return Placement(
        response_id=row.response_id,
        task=row.task,
        group=row.group,
        split=row.split,
        exact=row.exact,
        judge=row.judge,
        check=Check(
            score=check["score"],
            findings=tuple(Finding(**finding) for finding in check["findings"]),
        ),
        twin=row.twin,
        similarity=row.similarity,
        quarantined=row.quarantined,
    )
