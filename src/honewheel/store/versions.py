"""Versions of registered models; with their aliases, predictions and evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from honewheel.errors import ConfigError, InputError, NotFound
from honewheel.records import Version, as_dict, utc
from honewheel.store import tables
from honewheel.store.aliases import Aliases
from honewheel.store.db import Database
from honewheel.store.evaluations import Evaluations
from honewheel.store.files import Files

_version = tables.version


class Versions(Aliases, Evaluations):
    """Immutable versions, the aliases that point to them, and how they did."""

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._files = files

    def create(self, version: Version) -> None:
        """Record a version; recording the same one again changes nothing.

        Raises InputError when its number, or its cycle, has another version already.
        """
        with self._db.write("versions") as connection:
            for stored in _similar(connection, version):
                if _content(stored) != _content(version):
                    raise InputError(
                        f"{version.name} cannot be recorded: {stored.name} of cycle "
                        f"{stored.cycle} exists with other content, and versions never change. "
                        "Take the number from next_number."
                    )
                return
            connection.execute(insert(_version).values(_row(version)))

    def ensure_base(self, model: str, base: str, base_hash: str, at: datetime) -> Version:
        """Version 0 of `model`, the bare base; recorded if it is not yet.

        Raises ConfigError when the model was started on another base.
        """
        with self._db.write("versions") as connection:
            stored = _find(connection, model, 0)
            if stored is None:
                stored = Version(
                    model=model, number=0, base=base, base_hash=base_hash, created_at=utc(at)
                )
                connection.execute(insert(_version).values(_row(stored)))
        if stored.base_hash != base_hash:
            raise ConfigError(
                f"Model {model!r} was started on base {stored.base} (hash "
                f"{stored.base_hash[:12]}); {base} has hash {base_hash[:12]}. One model keeps one "
                "base, else its versions cannot be compared: register a new model for this one."
            )
        return stored

    def next_number(self, model: str) -> int:
        """The number for the next version of `model`: 1 for the first."""
        query = select(func.max(_version.c.number)).where(_version.c.model == model)
        with self._db.read() as connection:
            return int(connection.scalar(query) or 0) + 1

    def get(self, model: str, number: int) -> Version:
        """One version. Raises NotFound, which tells the numbers there are."""
        with self._db.read() as connection:
            found = _find(connection, model, number)
            if found is not None:
                return found
            query = select(_version.c.number).where(_version.c.model == model)
            numbers = sorted(connection.scalars(query))
        known = ", ".join(str(each) for each in numbers) or "none"
        raise NotFound(f"No version {model}@{number}. Versions of {model!r}: {known}.")

    def list(self, model: str) -> Sequence[Version]:
        """All versions of `model` by number, its base first."""
        query = select(_version).where(_version.c.model == model).order_by(_version.c.number)
        return self._read(query)

    def by_dataset(self, dataset_hash: str) -> Sequence[Version]:
        """Versions that were trained on a dataset, oldest first."""
        order = (_version.c.created_at, _version.c.number)
        return self._read(
            select(_version).where(_version.c.dataset == dataset_hash).order_by(*order)
        )

    def by_cycle(self, cycle_id: str) -> Version | None:
        """The one version a cycle made, if it came that far."""
        return next(iter(self._read(select(_version).where(_version.c.cycle == cycle_id))), None)

    def ancestry(self, version: Version) -> Sequence[Version]:
        """A version, the one its training started from, and so on back to the base's first child.

        Its weights have learnt from the datasets of all of them.
        """
        found = [version]
        while (number := found[-1].started_from) is not None:
            found.append(self.get(version.model, number))
        return found

    def going_on_from(self, versions: Sequence[Version]) -> Sequence[Version]:
        """Versions that started from one of `versions`, or from one that did; oldest first."""
        reached = {(one.model, one.number) for one in versions}
        found = []
        for model in sorted({one.model for one in versions}):
            for one in self.list(model):  # a version starts from one with a lower number
                if (model, one.started_from) in reached:
                    reached.add((model, one.number))
                    found.append(one)
        return found

    def _read(self, query: Any) -> Sequence[Version]:
        with self._db.read() as connection:
            return [_record(row) for row in connection.execute(query)]


def _find(connection: Connection, model: str, number: int) -> Version | None:
    query = select(_version).where(_version.c.model == model, _version.c.number == number)
    row = connection.execute(query).first()
    return None if row is None else _record(row)


def _similar(connection: Connection, version: Version) -> Sequence[Version]:
    """Versions with the same number, or of the same cycle."""
    same = (_version.c.model == version.model) & (_version.c.number == version.number)
    if version.cycle is not None:
        same |= _version.c.cycle == version.cycle
    return [_record(row) for row in connection.execute(select(_version).where(same))]


def _content(version: Version) -> dict[str, Any]:
    return as_dict(replace(version, created_at=utc(version.created_at)))


def _row(version: Version) -> dict[str, Any]:
    return as_dict(version) | {"created_at": version.created_at}


def _record(row: Any) -> Version:
    return Version(**row._mapping)
