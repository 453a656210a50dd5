"""Rows of the log read back as records, page by page, with feedback and placement attached.

A build reads every event of a long log, so a page costs the same wherever it lies: its numbers are
found first, in an index and for each task apart (asked for several tasks at once in order of
number, SQLite sorts the whole rest of the log for every page), then its rows by number.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Select, Text, select, type_coerce, union_all

from honewheel.records import Check, Event, Feedback, Finding, Placement, Response, Split
from honewheel.store.db import CHUNK, Database, chunks
from honewheel.store.tables import feedback, placement, response

# Without the signature, which only intake reads and which is the widest column. The check comes as
# text: most events of a log have one of a few checks, and each is read once.
PLACEMENT = [
    type_coerce(column, Text).label("check") if column.name == "check" else column
    for column in placement.c
    if column.name != "signature"
]


def stream(
    db: Database,
    task: Sequence[str] | None,
    up_to: int,
    ids: Sequence[str] | None,
    split: Split | None,
) -> Iterator[Event]:
    """Events in order; see `Log.events`. Every page is a reading transaction of its own."""
    tasks = None if task is None else sorted(set(task))
    if ids is None:
        pages = _by_cursor(db, tasks, up_to, split)
    else:
        pages = _by_id(db, tasks, up_to, split, ids)
    for page in pages:
        yield from page


def _by_cursor(
    db: Database, tasks: Sequence[str] | None, up_to: int, split: Split | None
) -> Iterator[list[Event]]:
    after = 0
    while True:
        with db.read() as connection:
            numbers = connection.scalars(_next(tasks, after, up_to, split)).all()
            page = _page(connection, numbers, up_to)
        if not page:
            return
        after = page[-1].seq
        yield page


def _by_id(
    db: Database,
    tasks: Sequence[str] | None,
    up_to: int,
    split: Split | None,
    ids: Sequence[str],
) -> Iterator[list[Event]]:
    numbers: list[int] = []
    with db.read() as connection:
        for some in chunks(sorted(set(ids))):
            query = _numbers(up_to, split).where(response.c.id.in_(some))
            if tasks is not None:
                query = query.where(response.c.task.in_(tasks))
            numbers.extend(connection.scalars(query))
    for numbered in chunks(sorted(numbers)):
        with db.read() as connection:
            page = _page(connection, numbered, up_to)
        yield page


def _next(tasks: Sequence[str] | None, after: int, up_to: int, split: Split | None) -> Any:
    """The first CHUNK numbers behind `after`, in order."""
    first = _numbers(up_to, split).where(response.c.seq > after).order_by(response.c.seq)
    first = first.limit(CHUNK)
    if tasks is None:
        return first
    each = [first.where(response.c.task == name).subquery() for name in tasks]
    if not each:
        return first.where(response.c.seq < 0)
    found = union_all(*(select(one.c.seq) for one in each)).subquery()
    return select(found.c.seq).order_by(found.c.seq).limit(CHUNK)


def _numbers(up_to: int, split: Split | None) -> Select[tuple[int]]:
    query = select(response.c.seq).where(response.c.seq <= up_to)
    if split is None:
        return query
    placed = placement.c.seq == response.c.seq
    return query.join(placement, placed).where(placement.c.split == split)


def _page(connection: Connection, numbers: Sequence[int], up_to: int) -> list[Event]:
    """Events with these at most CHUNK numbers, which rise."""
    if not numbers:
        return []
    query = select(response).where(response.c.seq.in_(numbers)).order_by(response.c.seq)
    return attach(connection, connection.execute(query).all(), up_to)


def attach(connection: Connection, rows: Sequence[Row[Any]], up_to: int | None) -> list[Event]:
    """Events of at most CHUNK response rows: two more queries, however many rows."""
    said: defaultdict[str, list[Feedback]] = defaultdict(list)
    about = feedback.c.response_id.in_([row.id for row in rows])
    query = select(feedback).where(about).order_by(feedback.c.response_id, feedback.c.seq)
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
            feedback=tuple(said.get(row.id, ())),
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
    return Placement(
        response_id=row.response_id,
        task=row.task,
        group=row.group,
        split=row.split,
        exact=row.exact,
        judge=row.judge,
        check=_read_check(row.check),
        twin=row.twin,
        similarity=row.similarity,
        quarantined=row.quarantined,
    )


@lru_cache(maxsize=4096)
def _read_check(written: str) -> Check:
    found = json.loads(written)
    return Check(
        score=found["score"],
        findings=tuple(Finding(**finding) for finding in found["findings"]),
    )
