"""Run by alembic: applies the scripts in `versions/` on the connection of `migrate`."""

from __future__ import annotations

from alembic import context

# The connection is inside a transaction already, so that an upgrade happens fully or not at all.
context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
