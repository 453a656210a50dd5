"""Where each response was put: its placement, and the index that finds near-duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, TextClause, delete, insert, select, text

from honewheel.errors import InputError
from honewheel.records import Placement, Split, as_dict
from honewheel.store import tables
from honewheel.store.db import Database, chunks
from honewheel.store.events import PLACEMENT, read_placement
from honewheel.store.text import require_storable
from honewheel.store.totals import add_totals

CANDIDATES = 50  # newest matches looked at per band key, and returned in all

_placed = tables.placement


class Intake:
    """Placements, groups and band keys. One process places at a time (see `Store.exclusive`)."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def place(
        self,
        placements: Sequence[Placement],
        bands: Mapping[str, Sequence[int]],
        signatures: Mapping[str, bytes],
    ) -> None:
        """Record placements with their band keys and signatures (by response id), all or nothing.

        Placing a response again as before changes nothing. Band keys are any 64-bit integers.

        Raises:
            InputError: a response is unknown, or placed already with another split, hash or
                judgment (a placement is recorded at first sight and never moves).
        """
        given = {item.response_id: item for item in placements}
        for item in given.values():
            require_storable(f"Placement of {item.response_id!r}", **as_dict(item))
        with self._db.write("intake") as connection:
            for some in chunks(list(given)):
                _drop_placed(connection, given, some)
            seqs = _seqs(connection, list(given))
            if not given:
                return
            rows = [_row(seqs[key], item, signatures.get(key)) for key, item in given.items()]
            connection.execute(insert(_placed), rows)
            _insert_bands(connection, given, seqs, bands)
            for numbers in chunks(list(seqs.values())):
                waiting = tables.unplaced.c.seq.in_(numbers)
                connection.execute(delete(tables.unplaced).where(waiting))
            _count(connection, given.values())

    def candidates(self, task: str, bands: Sequence[int]) -> list[tuple[str, bytes, str, Split]]:
        """(response id, signature, group, split) of responses that share a band key, newest first.

        At most CANDIDATES: a key that thousands share says little, and its newest holders
        are in the same groups as the others. Quarantined responses are in no group and left out.
        """
        if not bands:
            return []
        keys = {f"band{number}": _signed(key) for number, key in enumerate(sorted(set(bands)))}
        with self._db.read() as connection:
            seqs = connection.scalars(_lookup(len(keys)), {"task": task, **keys}).all()
            query = (
                select(_placed.c.response_id, _placed.c.signature, _placed.c.group, _placed.c.split)
                .where(_placed.c.seq.in_(seqs), _placed.c.quarantined.is_(None))
                .where(_placed.c.signature.is_not(None))
                .order_by(_placed.c.seq.desc())
            )
            return [(row[0], row[1], row[2], row[3]) for row in connection.execute(query)]

    def by_exact(self, task: str, exact: str) -> Placement | None:
        """The earliest placement with this hash of canonical prompt and context, if any."""
        query = (
            select(*PLACEMENT)
            .where(_placed.c.task == task, _placed.c.exact == exact)
            .order_by(_placed.c.seq)
            .limit(1)
        )
        with self._db.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else read_placement(row)

    def placement(self, response_id: str) -> Placement | None:
        """Where a response was put; None while intake has not seen it."""
        query = select(*PLACEMENT).where(_placed.c.response_id == response_id)
        with self._db.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else read_placement(row)


def _drop_placed(connection: Connection, given: dict[str, Placement], some: Sequence[str]) -> None:
    query = select(*PLACEMENT).where(_placed.c.response_id.in_(some))
    for row in connection.execute(query).all():
        stored = read_placement(row)
        asked = given.pop(stored.response_id)
        if as_dict(asked) != as_dict(stored):
            raise InputError(
                f"{stored.response_id} is already placed in {stored.split} by {stored.judge}; "
                "a placement is recorded at first sight and never moves."
            )


def _seqs(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    table = tables.response
    for some in chunks(ids):
        query = select(table.c.id, table.c.seq).where(table.c.id.in_(some))
        found.update({row.id: row.seq for row in connection.execute(query)})
    if missing := next((key for key in ids if key not in found), None):
        raise InputError(f"Response {missing!r} cannot be placed: it is not recorded.")
    return found


def _insert_bands(
    connection: Connection,
    given: Mapping[str, Placement],
    seqs: Mapping[str, int],
    bands: Mapping[str, Sequence[int]],
) -> None:
    rows = [
        {"task": item.task, "band": key, "seq": seqs[response_id]}
        for response_id, item in given.items()
        for key in sorted({_signed(key) for key in bands.get(response_id, ())})
    ]
    if rows:
        connection.execute(insert(tables.band), rows)


def _count(connection: Connection, placements: Iterable[Placement]) -> None:
    kinds = [("quarantined" if item.quarantined else item.split, item.task) for item in placements]
    for kind in sorted({kind for kind, _ in kinds}):
        add_totals(connection, kind, Counter(task for other, task in kinds if other == kind))


@cache
def _lookup(keys: int) -> TextClause:
    """The newest holders of any of `keys` band keys; each key is read only CANDIDATES deep."""
    one = (
        "SELECT * FROM (SELECT seq FROM band WHERE task = :task AND band = :band{0}"
        f" ORDER BY seq DESC LIMIT {CANDIDATES}) AS key{{0}}"
    )
    some = " UNION ".join(one.format(number) for number in range(keys))
    return text(f"SELECT seq FROM ({some}) AS found ORDER BY seq DESC LIMIT {CANDIDATES}")


def _signed(key: int) -> int:
    """A 64-bit key as the signed number that databases hold."""
    if not -(2**63) <= key < 2**64:
        raise InputError(f"Band key {key} does not fit in 64 bits.")
    return key - 2**64 if key >= 2**63 else key


def _row(seq: int, item: Placement, signature: bytes | None) -> dict[str, Any]:
    return {
        "seq": seq,
        "response_id": item.response_id,
        "task": item.task,
        "group": item.group,
        "split": item.split,
        "exact": item.exact,
        "judge": item.judge,
        "check": as_dict(item.check),
        "twin": item.twin,
        "similarity": item.similarity,
        "quarantined": item.quarantined,
        "signature": signature,
    }
