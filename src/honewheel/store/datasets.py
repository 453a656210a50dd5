"""Sealed datasets: Parquet in the file store, lineage in tables, identity by their rows.

A dataset's folder holds `dataset.parquet`, and `pairs.parquet` and `rated.parquet` where it has
such rows. Their events stand in the lineage too, after the examples, with the role "pair" or
"rated": what shaped a preference is traced like what shaped a target. Why the other events are in
none of it is kept in `fates`.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from sqlalchemy import Connection, func, insert, select, update

from honewheel.atomic import space_errors
from honewheel.errors import Damaged, InputError, NotFound
from honewheel.records import Dataset, Dropped, Example, Role, Split, dataset_hash
from honewheel.store import fates, tables
from honewheel.store.db import CHUNK, Database
from honewheel.store.fates import Reason
from honewheel.store.files import Files
from honewheel.store.rows import (
    columns_of,
    read_pairs,
    read_rated,
    read_rows,
    write_pairs,
    write_rated,
    write_rows,
)

UseRole: TypeAlias = Role | Literal["pair", "rated"]

_FILE, _PAIRS, _RATED = "dataset.parquet", "pairs.parquet", "rated.parquet"
_dataset, _lineage = tables.dataset, tables.lineage


class Use(NamedTuple):
    """One row that an event went into; `split` is the side of the dataset it is on."""

    dataset: str
    example: str  # or the id of the pair or rated row
    role: UseRole
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
        """Keep a dataset for good: same rows, same bytes, same hash.

        A later cycle may come to the same rows from a longer log: then the reasons why events are
        left out are those of the later one, and files that were lost or damaged are whole again.

        Raises:
            InputError: its hash is not that of its rows as they are stored.
        """
        written = _written(dataset)
        if (found := _read(written)).hash != dataset.hash:
            raise InputError(
                f"Dataset {dataset.hash} cannot be sealed: its rows, as stored, hash to "
                f"{found.hash}. "
                "The hash is records.dataset_hash(train, val, pairs, rated), with float weights."
            )
        with tempfile.TemporaryDirectory(prefix="honewheel-") as folder:
            with space_errors(Path(folder)):
                for name, data in written.items():
                    (Path(folder) / name).write_bytes(data)
            files = self._files.put(Path(folder))
        with self._db.write("datasets") as connection:
            stored = connection.execute(_of(dataset.hash)).first()
            if stored is None:
                _insert(connection, dataset, cycle, as_of_seq, files)
            else:
                _renew(connection, stored, dataset, cycle, as_of_seq, files)

    def load(self, wanted: str) -> Dataset:
        """The rows of a sealed dataset, after checking its file's bytes and the rows' hash.

        `dropped` is empty: see `reasons`, `dropped` and `left_out` for what is not in it.

        Raises:
            NotFound: no dataset of this hash was sealed, or `gc` has removed its file.
            Damaged: its file is altered or incomplete; the message names the dataset's hash.
        """
        summary = self.summary(wanted)
        try:
            folder = self._files.path(summary.files)
        except NotFound as error:
            raise NotFound(
                f"Dataset {wanted} has lost its rows: honewheel gc removed their file, since no "
                "version that is kept needs it (store.keep_promoted, store.keep_refused). What "
                "they were made of is still known: honewheel trace EVENT, honewheel trace VERSION."
            ) from error
        try:
            self._files.verify(summary.files)
            found = _read({path.name: path.read_bytes() for path in folder.glob("*.parquet")})
        except (Damaged, KeyError) as error:
            raise Damaged(
                f"Dataset {wanted} is damaged: {error}. It cannot be used; "
                "run the cycle again to rebuild it from the log."
            ) from error
        if found.hash != wanted:
            raise Damaged(f"Dataset {wanted} is damaged: its rows hash to {found.hash}.")
        return found

    def preferences(self, summary: DatasetSummary) -> tuple[int, int] | None:
        """How many pairs and rated rows a dataset has; None when its files were removed.

        Reads the end of two small files, and verifies nothing: `load` does.
        """
        import pyarrow.parquet as pq

        try:
            folder = self._files.path(summary.files)
        except NotFound:
            return None
        paths = (folder / _PAIRS, folder / _RATED)
        pairs, rated = (pq.read_metadata(one).num_rows if one.exists() else 0 for one in paths)
        return pairs, rated

    def reasons(self, wanted: str) -> tuple[Reason, ...]:
        """Why events are not in a dataset, the most frequent first, with the first few of each.

        Costs nothing of the log's length, unlike `dropped`. Raises NotFound.
        """
        return fates.reasons(self._stored(wanted).left_out)

    def dropped(self, wanted: str) -> Sequence[Dropped]:
        """Every event that is not in a dataset, with the reason, by event id. Raises NotFound."""
        row = self._stored(wanted)
        with self._db.read() as connection:
            return fates.read(connection, row.model, row.number, row.left_out)

    def left_out(self, wanted: str, event: str) -> Dropped | None:
        """Why one event is not in a dataset; None when it is, or was not known to it.

        Raises NotFound.
        """
        row = self._stored(wanted)
        with self._db.read() as connection:
            return fates.of(connection, row.model, row.number, row.left_out, event)

    def uses(self, event_id: str) -> Sequence[Use]:
        """Every row of every dataset that an event went into: oldest dataset first, and in each
        the examples before the pairs before the rated rows.
        """
        query = (
            select(*(_lineage.c[name] for name in Use._fields))
            .join(_dataset, _dataset.c.hash == _lineage.c.dataset)
            .where(_lineage.c.event == event_id)
            .order_by(_dataset.c.number, _lineage.c.position)
        )
        with self._db.read() as connection:
            return [Use(*row) for row in connection.execute(query)]

    def lineage(self, wanted: str) -> list[tuple[str, Use]]:
        """(event, use) of every row of a dataset, in the order of its rows. Raises NotFound.

        Of this there is a record of its own: it needs no file.
        """
        self._stored(wanted)
        columns = [_lineage.c[name] for name in Use._fields]
        query = (
            select(_lineage.c.event, *columns)
            .where(_lineage.c.dataset == wanted)
            .order_by(_lineage.c.position, _lineage.c.event)
        )
        with self._db.read() as connection:
            return [(event, Use(*row)) for event, *row in connection.execute(query)]

    def shown_events(self, dataset: str) -> set[str]:
        """Ids of the events behind the training examples of a dataset.

        Not those that only gave pairs or rated rows: a model fine-tuned on targets has not seen
        them.
        """
        query = (
            select(_lineage.c.event)
            .where(_lineage.c.dataset == dataset, _lineage.c.split == "train")
            .where(_lineage.c.role.in_(("new", "replay")))
            .distinct()
        )
        with self._db.read() as connection:
            return set(connection.scalars(query))

    def shown_examples(self, datasets: Collection[str]) -> set[str]:
        """Ids of the training examples of any of `datasets`."""
        query = (
            select(_lineage.c.example)
            .where(_lineage.c.dataset.in_(datasets), _lineage.c.split == "train")
            .where(_lineage.c.role.in_(("new", "replay")))
            .distinct()
        )
        with self._db.read() as connection:
            return set(connection.scalars(query))

    def summary(self, wanted: str) -> DatasetSummary:
        """A sealed dataset without its rows. Raises NotFound."""
        return _summary(self._stored(wanted))

    def list(self) -> Sequence[DatasetSummary]:
        """All sealed datasets, oldest first, without their rows."""
        with self._db.read() as connection:
            rows = connection.execute(select(_dataset).order_by(_dataset.c.number)).all()
        return [_summary(row) for row in rows]

    def _find(self, wanted: str) -> Any:
        with self._db.read() as connection:
            return connection.execute(_of(wanted)).first()

    def _stored(self, wanted: str) -> Any:
        found = self._find(wanted)
        if found is None:
            raise NotFound(f"No dataset {wanted} is sealed here.")
        return found


def _written(dataset: Dataset) -> dict[str, bytes]:
    """File name -> bytes; a kind of row that the dataset lacks has no file."""
    found = {_FILE: write_rows(dataset.train, dataset.val)}
    if dataset.pairs:
        found[_PAIRS] = write_pairs(dataset.pairs)
    if dataset.rated:
        found[_RATED] = write_rated(dataset.rated)
    return found


def _read(files: Mapping[str, bytes]) -> Dataset:
    """The dataset in these files, under the hash of what they hold. Raises KeyError without
    the file of its examples.

    A field that a file of an earlier release lacks is no part of what it holds.
    """
    train, val = read_rows(files[_FILE])
    pairs = read_pairs(files[_PAIRS]) if _PAIRS in files else ()
    rated = read_rated(files[_RATED]) if _RATED in files else ()
    known = {field.name for field in fields(Example)}
    lacking = known - columns_of(files[_FILE])
    found = dataset_hash(train, val, pairs, rated, lacking=lacking)
    return Dataset(hash=found, train=train, val=val, pairs=pairs, rated=rated)


def _of(wanted: str) -> Any:
    return select(_dataset).where(_dataset.c.hash == wanted)


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
    number, model = _next_number(connection), _model(connection, cycle)
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
            number=number,
            model=model,
            left_out=fates.summary(dataset.dropped),
        )
    )
    uses = _uses(dataset)
    while some := list(itertools.islice(uses, CHUNK)):
        connection.execute(insert(_lineage), some)
    fates.write(connection, model, number, dataset.dropped)


def _renew(
    connection: Connection, stored: Any, dataset: Dataset, cycle: str, as_of_seq: int, files: str
) -> None:
    """What a dataset's row tells once `cycle` came to the same rows; nothing where it told so."""
    model, left_out = _model(connection, cycle), fates.summary(dataset.dropped)
    changes: dict[str, Any] = {"files": files}
    if as_of_seq > stored.as_of_seq or (model, left_out) != (stored.model, stored.left_out):
        number = _next_number(connection)
        changes |= {
            "as_of_seq": max(as_of_seq, stored.as_of_seq),
            "dropped": len(dataset.dropped),
            "number": number,
            "model": model,
            "left_out": left_out,
        }
        fates.write(connection, model, number, dataset.dropped)
    connection.execute(update(_dataset).where(_dataset.c.hash == stored.hash).values(changes))


def _next_number(connection: Connection) -> int:
    return int(connection.scalar(select(func.max(_dataset.c.number))) or 0) + 1


def _model(connection: Connection, cycle: str) -> str:
    of_cycle = select(tables.cycle.c.model).where(tables.cycle.c.id == cycle)
    return connection.scalar(of_cycle) or cycle  # sealed by hand: it speaks for itself alone


def _uses(dataset: Dataset) -> Iterator[dict[str, Any]]:
    for position, (place, events) in enumerate(_places(dataset)):
        for event in dict.fromkeys(events):
            yield {"dataset": dataset.hash, "position": position, "event": event} | place


def _places(dataset: Dataset) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    """What the lineage says of each row, in order, and the events the row was made of."""
    for part, examples in (("train", dataset.train), ("val", dataset.val)):
        for row in examples:
            place = {"example": row.id, "role": row.role, "weight": row.weight, "split": part}
            yield place, row.events
    for role, others in (("pair", dataset.pairs), ("rated", dataset.rated)):
        for other in others:
            place = {"example": other.id, "role": role, "weight": other.weight}
            yield place | {"split": other.split}, other.events
