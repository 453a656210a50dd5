"""Bringing a database to the tables this release knows, when a store is opened."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from honewheel.errors import StoreError
from honewheel.store.db import Database

HEAD = "0007"  # the newest revision in migrations/versions; known here so that opening is quick


def migrate(db: Database) -> None:
    """Create or upgrade the tables, in one transaction; nothing to do is the usual case.

    Raises StoreError when a newer honewheel wrote the store.
    """
    with db.read() as connection:
        if revision(connection) == HEAD:
            return
    with db.write("migrate") as connection:
        found = revision(connection)  # another process may have been first
        if found == HEAD:
            return
        _upgrade(connection, found, db.shown)


def revision(connection: Connection) -> str | None:
    """The revision a database is at; None when it has no tables of ours."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _upgrade(connection: Connection, found: str | None, shown: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise StoreError(
            f"{shown} was written by a newer honewheel (its tables are at revision {found}, this "
            f"release knows up to {HEAD}). Upgrade honewheel, or open another store."
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
