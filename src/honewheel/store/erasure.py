"""Erasing what events said, for good: their text goes, their ids, hashes and places stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Text, delete, func, insert, select, update

from honewheel.records import SHADOW_OF, digest
from honewheel.store import tables
from honewheel.store.columns import JsonText
from honewheel.store.db import CHUNK, Database, chunks
from honewheel.store.log import FORGOTTEN
from honewheel.store.totals import add_totals

SHORTEST = 16  # characters of a text that is looked for: shorter ones stand anywhere
WHY = "was forgotten"
_MADE_OF = ("sampled", SHADOW_OF)  # keys of Response.decoding: answers nobody asked for


@dataclass(frozen=True, slots=True)
class Texts:
    """What is erased: event ids, and every text of theirs that is long enough to look for."""

    events: tuple[str, ...]
    texts: frozenset[str]


class Erasure:
    """The one room that changes what the log says, and the search that proves it did."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def of_source(self, source: str) -> list[str]:
        """Ids of the events that a source said something of, in order."""
        said = tables.feedback
        query = select(said.c.response_id).where(said.c.source == source).order_by(said.c.seq)
        with self._db.read() as connection:
            return list(dict.fromkeys(connection.scalars(query)))

    def mentioning(self, text: str) -> list[str]:
        """Ids of the events whose prompt, output, context or feedback holds `text`, whatever its
        case. Reads the whole log.
        """
        made, said = tables.response, tables.feedback
        wanted = text.casefold()
        found: dict[str, None] = {}
        with self._db.read() as connection:
            rows = connection.execute(
                select(made.c.id, made.c.prompt, made.c.output, made.c.context).order_by(made.c.seq)
            )
            for name, *parts in rows.yield_per(CHUNK):
                if any(wanted in one.casefold() for one in _strings(parts)):
                    found[name] = None
            query = select(said.c.response_id, said.c.text, said.c.source).order_by(said.c.seq)
            for name, *parts in connection.execute(query).yield_per(CHUNK):
                if any(wanted in one.casefold() for one in _strings(parts)):
                    found[name] = None
        return list(found)

    def texts(self, events: Sequence[str]) -> Texts:
        """These events with the answers models gave to their prompts, and what they all say."""
        made, placed = tables.response, tables.placement
        names, kept = dict.fromkeys(events), set[str]()
        with self._db.read() as connection:
            for some in chunks(list(names)):
                query = select(placed.c.task, placed.c.exact).where(placed.c.response_id.in_(some))
                for task, exact in connection.execute(query).all():
                    same = (
                        select(made.c.id, made.c.decoding)
                        .join(placed, placed.c.seq == made.c.seq)
                        .where(placed.c.task == task, placed.c.exact == exact)
                    )
                    for name, decoding in connection.execute(same):
                        if any(key in decoding for key in _MADE_OF):
                            names[name] = None
            for some in chunks(list(names)):
                kept.update(_said(connection, some))
        return Texts(tuple(names), frozenset(one for one in kept if len(one) >= SHORTEST))

    def erase(self, found: Texts, *, who: str, reason: str, at: datetime) -> int:
        """Erase events, all or nothing; returns how many were not erased before."""
        with self._db.write("log") as connection:
            if self._db.sqlite:
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            fresh = 0
            for some in chunks(found.events):
                fresh += _erase(connection, some, who, reason, at)
            _erase_refused(connection, found.texts)
        return fresh

    def scrub(self) -> None:
        """Rewrite the database, so that no freed page still holds what was erased."""
        self._db.rewrite(("response", "feedback", "prediction", "eval_row", "quarantine"))

    def last(self) -> datetime | None:
        """When something was last forgotten; None when never."""
        with self._db.read() as connection:
            found = connection.execute(
                select(tables.forgotten.c.at).order_by(tables.forgotten.c.at.desc()).limit(1)
            ).first()
        return None if found is None else found.at

    def learnt(self, datasets: Collection[str]) -> int:
        """Number of forgotten events that went into any of `datasets`."""
        used, gone = tables.lineage, tables.forgotten
        query = (
            select(func.count(used.c.event.distinct()))
            .join(gone, gone.c.event == used.c.event)
            .where(used.c.dataset.in_(datasets))
        )
        with self._db.read() as connection:
            return int(connection.scalar(query) or 0)

    def list(self, limit: int = 100) -> Sequence[dict[str, Any]]:
        """At most `limit` forgotten events, the newest first: event, who, reason, at."""
        table = tables.forgotten
        query = select(table).order_by(table.c.at.desc(), table.c.seq).limit(limit)
        with self._db.read() as connection:
            return [
                {"event": row.event, "who": row.who, "reason": row.reason, "at": row.at}
                for row in connection.execute(query)
            ]

    def remains(self, texts: frozenset[str]) -> Counter[str]:
        """Columns ("response.prompt") that hold one of `texts`, with the number of rows.

        Reads every text of every table.
        """
        found: Counter[str] = Counter()
        for table in tables.metadata.sorted_tables:
            columns = [one for one in table.c if isinstance(one.type, Text | JsonText)]
            if not columns or not texts:
                continue
            with self._db.read() as connection:
                for row in connection.execute(select(*columns)).yield_per(CHUNK):
                    for column, value in zip(columns, row, strict=True):
                        if mentions(_strings([value]), texts):
                            found[f"{table.name}.{column.name}"] += 1
        return found


def mentions(values: Iterator[str], texts: frozenset[str]) -> bool:
    """Whether one of `values` holds one of `texts`."""
    return any(text in value for value in values for text in texts)


def _strings(values: Any) -> Iterator[str]:
    """Every string in nested data, keys too."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from _strings(value.keys())
            yield from _strings(value.values())
        elif isinstance(value, list | tuple):
            yield from _strings(value)


def _said(connection: Connection, events: Sequence[str]) -> Iterator[str]:
    made, said = tables.response, tables.feedback
    query = select(made.c.prompt, made.c.output, made.c.context).where(made.c.id.in_(events))
    for prompt, output, context in connection.execute(query):
        yield from (prompt.strip(), output.strip(), *(one.strip() for one in context.values()))
    texts = select(said.c.text).where(said.c.response_id.in_(events), said.c.text.is_not(None))
    yield from (str(text).strip() for text in connection.scalars(texts))


def _erase(
    connection: Connection, events: Sequence[str], who: str, reason: str, at: datetime
) -> int:
    made, said, placed = tables.response, tables.feedback, tables.placement
    rows = connection.execute(
        select(made.c.seq, made.c.id, made.c.task, made.c.prompt, made.c.context).where(
            made.c.id.in_(events)
        )
    ).all()
    seqs = [row.seq for row in rows]
    asked = [digest([row.prompt, row.context]) for row in rows]
    counted = (
        select(made.c.task, func.count())
        .join(said, said.c.response_id == made.c.id)
        .where(made.c.id.in_(events))
        .group_by(made.c.task)
    )
    lost = {task: int(count) for task, count in connection.execute(counted)}
    connection.execute(delete(said).where(said.c.response_id.in_(events)))
    add_totals(connection, "feedback", {task: -count for task, count in lost.items()})
    blank = {"prompt": "", "output": "", "context": {}, "decoding": FORGOTTEN}
    connection.execute(update(made).where(made.c.id.in_(events)).values(blank))
    for seq, check in connection.execute(
        select(placed.c.seq, placed.c.check).where(placed.c.seq.in_(seqs))
    ).all():
        emptied = {"check": check | {"findings": []}, "signature": None, "quarantined": WHY}
        connection.execute(update(placed).where(placed.c.seq == seq).values(emptied))
    connection.execute(delete(tables.band).where(tables.band.c.seq.in_(seqs)))
    connection.execute(delete(tables.unplaced).where(tables.unplaced.c.seq.in_(seqs)))
    connection.execute(
        delete(tables.prediction).where(tables.prediction.c.item_hash.in_(sorted(set(asked))))
    )
    answers = tables.eval_row.c.item.in_(events)
    connection.execute(update(tables.eval_row).where(answers).values(output=""))
    done = tables.forgotten
    known = set(connection.scalars(select(done.c.seq).where(done.c.seq.in_(seqs))))
    fresh = [
        {"seq": row.seq, "event": row.id, "who": who, "reason": reason, "at": at}
        for row in rows
        if row.seq not in known
    ]
    if fresh:
        connection.execute(insert(done), fresh)
    return len(fresh)


def _erase_refused(connection: Connection, texts: frozenset[str]) -> None:
    """Rows that were refused at import and say the same go too."""
    table = tables.quarantine
    rows = connection.execute(select(table.c.id, table.c.raw, table.c.reason)).all()
    gone = [row.id for row in rows if mentions(_strings([row.raw, row.reason]), texts)]
    for some in chunks(gone):
        connection.execute(delete(table).where(table.c.id.in_(some)))
    if gone:
        add_totals(connection, "rejected", {"": -len(gone)})
