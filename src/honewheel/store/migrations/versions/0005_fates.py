"""Why events are left out is written where it changes; answers keep the seconds they took."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# A dataset of a cycle that is not known speaks for itself alone.
_DATASETS = (
    "SELECT dataset.hash, dataset.number, COALESCE(cycle.model, dataset.cycle) AS model "
    "FROM dataset LEFT JOIN cycle ON cycle.id = dataset.cycle ORDER BY dataset.number"
)
_DROPPED = "SELECT event, reason, detail FROM dropped WHERE dataset = :dataset ORDER BY position"


def upgrade() -> None:
    op.add_column("prediction", sa.Column("seconds", sa.Float(), nullable=True))
    op.add_column("dataset", sa.Column("model", sa.Text(), nullable=False, server_default=""))
    op.add_column("dataset", sa.Column("left_out", sa.Text(), nullable=False, server_default="{}"))
    op.create_table(
        "fate",
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("model", "event", "number", name=op.f("pk_fate")),
        sqlite_with_rowid=False,
    )
    _carry_over(op.get_bind())
    op.drop_table("dropped")


def _carry_over(connection: sa.Connection) -> None:
    """Each dataset's reasons as changes to those of the one before it of the same model."""
    known: defaultdict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    for hashed, number, model in connection.execute(sa.text(_DATASETS)).all():
        rows = connection.execute(sa.text(_DROPPED), {"dataset": hashed}).all()
        now = {event: (reason, detail) for event, reason, detail in rows}
        before = known[model]
        gone = dict.fromkeys((event for event, was in before.items() if was[0]), ("", ""))
        changed = {event: what for event, what in (gone | now).items() if before.get(event) != what}
        if changed:
            connection.execute(
                sa.text("INSERT INTO fate VALUES (:model, :event, :number, :reason, :detail)"),
                [
                    {
                        "model": model,
                        "event": event,
                        "number": number,
                        "reason": reason,
                        "detail": detail,
                    }
                    for event, (reason, detail) in changed.items()
                ],
            )
        before |= changed
        connection.execute(
            sa.text("UPDATE dataset SET model = :model, left_out = :told WHERE hash = :hash"),
            {"model": model, "told": _summary(now), "hash": hashed},
        )


def _summary(now: dict[str, tuple[str, str]]) -> str:
    """As `store.fates.summary` wrote it when this revision was made, without shared sentences."""
    by_reason: defaultdict[str, list[list[str]]] = defaultdict(list)
    for event, (reason, detail) in now.items():
        by_reason[reason].append([event, detail])
    ranked = sorted(by_reason.items(), key=lambda one: -len(one[1]))
    reasons: list[Any] = [[reason, len(rows), rows[:3]] for reason, rows in ranked]
    return json.dumps({"reasons": reasons, "sentences": []}, sort_keys=True, separators=(",", ":"))
