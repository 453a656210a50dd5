"""Keys of the server (hashed) and the audit log of what was done with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from honewheel.errors import InputError, NotFound
from honewheel.records import ApiKey, Deed, as_dict
from honewheel.store.db import Database
from honewheel.store.tables import api_key, audit
from honewheel.store.text import require_storable


class Keys:
    """Who may call the server. A revoked key stays, so that the audit log can be read."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def create(self, key: ApiKey) -> None:
        """Record a key. Raises InputError when a key of this name exists, revoked or not."""
        require_storable(f"Key {key.name!r}", **as_dict(key))
        with self._db.write("access") as connection:
            taken = select(api_key.c.id).where(api_key.c.name == key.name)
            if connection.scalar(taken) is not None:
                raise InputError(
                    f"There is a key called {key.name!r} already. Names are never used again, so "
                    "that the audit log stays clear: choose another."
                )
            connection.execute(
                insert(api_key).values(as_dict(key) | {"created_at": key.created_at})
            )

    def list(self) -> Sequence[ApiKey]:
        """Every key, the oldest first, revoked ones too."""
        with self._db.read() as connection:
            query = select(api_key).order_by(api_key.c.created_at, api_key.c.id)
            return [ApiKey(**row._mapping) for row in connection.execute(query)]

    def revoke(self, name: str, at: datetime) -> ApiKey:
        """End a key by its name or id. Raises NotFound, InputError (revoked already)."""
        with self._db.write("access") as connection:
            here = (api_key.c.name == name) | (api_key.c.id == name)
            row = connection.execute(select(api_key).where(here)).first()
            if row is None:
                names = sorted(connection.scalars(select(api_key.c.name)))
                raise NotFound(f"No key {name!r}. Keys: {', '.join(names) or 'none'}.")
            found = ApiKey(**row._mapping)
            if found.revoked_at is not None:
                raise InputError(f"{found.name} was revoked at {found.revoked_at:%Y-%m-%d %H:%M}.")
            connection.execute(
                update(api_key).where(api_key.c.id == found.id).values(revoked_at=at)
            )
            return ApiKey(**{**row._mapping, "revoked_at": at})


class Audit:
    """What was done, in order; nothing here is ever changed."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, deed: Deed) -> None:
        with self._db.write("access") as connection:
            connection.execute(insert(audit).values(row_of(deed)))

    def list(self, limit: int, actor: str | None = None) -> Sequence[Deed]:
        """At most `limit` deeds, the newest first; those of one actor only, where named."""
        query = select(audit.c.at, audit.c.actor, audit.c.action, audit.c.outcome, audit.c.detail)
        if actor is not None:
            query = query.where(audit.c.actor == actor)
        with self._db.read() as connection:
            found = connection.execute(query.order_by(audit.c.id.desc()).limit(limit))
            return [Deed(**row._mapping) for row in found]


def row_of(deed: Deed) -> dict[str, Any]:
    """A deed as a row of the audit table."""
    return {
        "at": deed.at,
        "actor": deed.actor,
        "action": deed.action,
        "outcome": deed.outcome,
        "detail": dict(deed.detail),
    }
