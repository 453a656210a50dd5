"""Frozen suites: imported held-out items that are measured on and never train."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select

from honewheel.errors import InputError, NotFound
from honewheel.records import Item, Suite, SuiteRole, as_dict
from honewheel.store import tables
from honewheel.store.db import Database
from honewheel.store.text import require_storable

_suite, _item = tables.suite, tables.suite_item
_ITEM = [column for column in _item.c if column.name not in ("suite", "position")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteSummary:
    """A suite without its items; `items` is how many there are."""

    name: str
    task: str
    role: SuiteRole
    items: int
    hash: str
    imported_at: datetime


class Suites:
    """Suites by name. A name stands for one content for good."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, suite: Suite, at: datetime) -> None:
        """Keep a suite; adding the same content under the same name changes nothing.

        Raises InputError when the name has other content, or an item's id comes twice.
        """
        _require_items(suite)
        with self._db.write("suites") as connection:
            stored = connection.execute(select(_suite).where(_suite.c.name == suite.name)).first()
            if stored is not None:
                if (stored.hash, stored.role) != (suite.hash, suite.role):
                    raise InputError(
                        f"Suite {suite.name!r} exists with other content ({stored.items} items, "
                        f"role {stored.role}; the new one has {len(suite.items)}, {suite.role}). "
                        "A frozen suite never changes: give the new one another name."
                    )
                return
            connection.execute(
                insert(_suite).values(
                    name=suite.name,
                    task=suite.task,
                    role=suite.role,
                    hash=suite.hash,
                    items=len(suite.items),
                    imported_at=at,
                )
            )
            connection.execute(
                insert(_item),
                [
                    as_dict(item) | {"suite": suite.name, "position": position}
                    for position, item in enumerate(suite.items)
                ],
            )

    def get(self, name: str) -> Suite:
        """A suite with its items, in the order given. Raises NotFound, which tells the names."""
        query = select(*_ITEM).where(_item.c.suite == name).order_by(_item.c.position)
        with self._db.read() as connection:
            stored = connection.execute(select(_suite).where(_suite.c.name == name)).first()
            items = tuple(_record(row) for row in connection.execute(query))
        if stored is None:
            raise self._unknown(name)
        return Suite(name=name, task=stored.task, role=stored.role, items=items)

    def list(self) -> Sequence[SuiteSummary]:
        """All suites by name, without their items."""
        with self._db.read() as connection:
            rows = connection.execute(select(_suite)).all()
        return sorted((SuiteSummary(**row._mapping) for row in rows), key=lambda suite: suite.name)

    def items(self, task: str) -> Sequence[Item]:
        """Every item of every suite of `task`: what must never reach training."""
        query = (
            select(*_ITEM)
            .join(_suite, _suite.c.name == _item.c.suite)
            .where(_suite.c.task == task)
            .order_by(_suite.c.imported_at, _item.c.suite, _item.c.position)
        )
        with self._db.read() as connection:
            return [_record(row) for row in connection.execute(query)]

    def remove(self, name: str) -> None:
        """Forget a suite; results measured on it stay. Raises NotFound."""
        with self._db.write("suites") as connection:
            connection.execute(delete(_item).where(_item.c.suite == name))
            gone = connection.execute(delete(_suite).where(_suite.c.name == name)).rowcount
        if not gone:
            raise self._unknown(name)

    def _unknown(self, name: str) -> NotFound:
        known = ", ".join(suite.name for suite in self.list()) or "none"
        return NotFound(f"No suite {name!r}. Suites: {known}.")


def _require_items(suite: Suite) -> None:
    if not suite.items:
        raise InputError(f"Suite {suite.name!r} has no items, so nothing could be measured on it.")
    twice = [item for item, count in Counter(item.id for item in suite.items).items() if count > 1]
    if twice:
        raise InputError(f"Suite {suite.name!r} has item {twice[0]!r} more than once.")
    for item in suite.items:
        require_storable(f"Suite {suite.name!r}, item {item.id!r}", **as_dict(item))


def _record(row: Any) -> Item:
    return Item(**row._mapping)
