"""Which version a training started from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("version", sa.Column("started_from", sa.Integer(), nullable=True))
