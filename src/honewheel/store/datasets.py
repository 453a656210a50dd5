"""Sealed datasets: Parquet in the file store, lineage in tables, identity by their rows."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select

from honewheel.atomic import space_errors
from honewheel.errors import Damaged, InputError, NotFound
from honewheel.records import Dataset, Dropped, Example, Role, Split, as_dict, digest
from honewheel.store import tables
from honewheel.store.db import Database, chunks
from honewheel.store.files import Files
from honewheel.store.rows import read_rows, write_rows

_FILE = "dataset.parquet"
_dataset, _lineage, _dropped = tables.dataset, tables.lineage, tables.dropped


class Use(NamedTuple):
    """One example that an event went into; `split` is the side of the dataset it is on."""

    dataset: str
    example: str
    role: Role
    weight: float
    split: Split


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSummary:
    """A sealed dataset without its rows; the counts are of rows."""

    hash: str
    cycle: str
    as_of_seq: int
    train: int
    val: int
    dropped: int
    tasks: tuple[str, ...]
    files: str


class Datasets:
    """Sealed datasets. A row here is written only after the file is complete."""

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._files = files

    def seal(self, dataset: Dataset, cycle: str, as_of_seq: int) -> None:
        """Keep a dataset for good: same rows, same bytes, same hash. Sealing again is a no-op.

        Raises:
            InputError: its hash is not that of its rows (train, then val) as they are stored.
        """
        rows = write_rows(dataset.train, dataset.val)
        if (found := rows_hash(*read_rows(rows))) != dataset.hash:
            raise InputError(
                f"Dataset {dataset.hash} cannot be sealed: its rows, as stored, hash to {found}. "
                "The hash is digest([as_dict(row) for row in train + val]), with float weights."
            )
        if self._find(dataset.hash) is not None:
            return
        with tempfile.TemporaryDirectory(prefix="honewheel-") as folder:
            with space_errors(Path(folder)):
                (Path(folder) / _FILE).write_bytes(rows)
            files = self._files.put(Path(folder))
        with self._db.write("datasets") as connection:
            if connection.execute(_of(dataset.hash)).first() is None:
                _insert(connection, dataset, cycle, as_of_seq, files)

    def load(self, dataset_hash: str) -> Dataset:
        """A sealed dataset, after checking its file's bytes and its rows' hash.

        Raises:
            NotFound: no dataset of this hash was sealed.
            Damaged: its file is missing or altered; the message names the dataset's hash.
        """
        summary = self._summary(dataset_hash)
        try:
            data = (self._files.verify(summary.files) / _FILE).read_bytes()
        except (Damaged, NotFound, FileNotFoundError) as error:
            raise Damaged(
                f"Dataset {dataset_hash} is damaged: {error}. It cannot be used; "
                "run the cycle again to rebuild it from the log."
            ) from error
        train, val = read_rows(data)
        if (found := rows_hash(train, val)) != dataset_hash:
            raise Damaged(f"Dataset {dataset_hash} is damaged: its rows hash to {found}.")
        dropped = tuple(self.dropped(dataset_hash))
        return Dataset(hash=dataset_hash, train=train, val=val, dropped=dropped)

    def dropped(self, dataset_hash: str) -> Sequence[Dropped]:
        """Why events are not in a dataset, in the order given. Raises NotFound."""
        self._summary(dataset_hash)
        query = select(_dropped).where(_dropped.c.dataset == dataset_hash)
        with self._db.read() as connection:
            return [
                Dropped(event=row.event, reason=row.reason, detail=row.detail)
                for row in connection.execute(query.order_by(_dropped.c.position))
            ]

    def uses(self, event_id: str) -> Sequence[Use]:
        """Every example of every dataset that an event went into, oldest dataset first."""
        query = (
            select(*(_lineage.c[name] for name in Use._fields))
            .join(_dataset, _dataset.c.hash == _lineage.c.dataset)
            .where(_lineage.c.event == event_id)
            .order_by(_dataset.c.number, _lineage.c.position)
        )
        with self._db.read() as connection:
            return [Use(*row) for row in connection.execute(query)]

    def used_events(self, datasets: Sequence[str]) -> set[str]:
        """Ids of the events that went into any of these datasets."""
        found: set[str] = set()
        with self._db.read() as connection:
            for some in chunks(list(datasets)):
                query = select(_lineage.c.event).where(_lineage.c.dataset.in_(some)).distinct()
                found.update(connection.scalars(query))
        return found

    def list(self) -> Sequence[DatasetSummary]:
        """All sealed datasets, oldest first, without their rows."""
        with self._db.read() as connection:
            rows = connection.execute(select(_dataset).order_by(_dataset.c.number)).all()
        return [_summary(row) for row in rows]

    def _find(self, dataset_hash: str) -> DatasetSummary | None:
        with self._db.read() as connection:
            row = connection.execute(_of(dataset_hash)).first()
        return None if row is None else _summary(row)

    def _summary(self, dataset_hash: str) -> DatasetSummary:
        found = self._find(dataset_hash)
        if found is None:
            raise NotFound(f"No dataset {dataset_hash} is sealed here.")
        return found


def rows_hash(train: Sequence[Example], val: Sequence[Example]) -> str:
    """The identity of a dataset: the digest of its canonical rows, train before val."""
    return digest([as_dict(row) for row in [*train, *val]])


def _of(dataset_hash: str) -> Any:
    return select(_dataset).where(_dataset.c.hash == dataset_hash)


def _summary(row: Any) -> DatasetSummary:
    return DatasetSummary(
        hash=row.hash,
        cycle=row.cycle,
        as_of_seq=row.as_of_seq,
        train=row.train,
        val=row.val,
        dropped=row.dropped,
        tasks=tuple(row.tasks),
        files=row.files,
    )


def _insert(
    connection: Connection, dataset: Dataset, cycle: str, as_of_seq: int, files: str
) -> None:
    last = connection.scalar(select(func.max(_dataset.c.number))) or 0
    connection.execute(
        insert(_dataset).values(
            hash=dataset.hash,
            cycle=cycle,
            as_of_seq=as_of_seq,
            files=files,
            train=len(dataset.train),
            val=len(dataset.val),
            dropped=len(dataset.dropped),
            tasks=list(dataset.tasks),
            number=last + 1,
        )
    )
    lineage = [
        {
            "dataset": dataset.hash,
            "position": position,
            "event": event,
            "example": row.id,
            "role": row.role,
            "weight": row.weight,
            "split": "train" if position < len(dataset.train) else "val",
        }
        for position, row in enumerate([*dataset.train, *dataset.val])
        for event in dict.fromkeys(row.events)
    ]
    if lineage:
        connection.execute(insert(_lineage), lineage)
    dropped = [
        {"dataset": dataset.hash, "position": position} | as_dict(item)
        for position, item in enumerate(dataset.dropped)
    ]
    if dropped:
        connection.execute(insert(_dropped), dropped)
