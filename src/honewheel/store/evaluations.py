"""What versions answered, how each answer scored, and what the gate decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from honewheel.records import Comparison, Decision, EvalRow, GuardResult, as_dict
from honewheel.store import tables
from honewheel.store.db import Database, chunks, upsert

_prediction, _eval, _decision = tables.prediction, tables.eval_row, tables.decision


class Answer(NamedTuple):
    """What a version answered; `seconds` it took, None from releases that did not measure it."""

    output: str
    tokens: int
    stopped: bool
    seconds: float | None = None


class Evaluations:
    """Cached predictions, evaluation rows and decisions."""

    _db: Database

    def predictions(
        self, version_key: str, decoding_hash: str, item_hashes: Sequence[str]
    ) -> dict[str, Answer]:
        """Answers by item hash, for the items this version answered before."""
        found: dict[str, Answer] = {}
        same = (_prediction.c.version_key == version_key) & (
            _prediction.c.decoding_hash == decoding_hash
        )
        with self._db.read() as connection:
            for some in chunks(list(item_hashes)):
                query = select(_prediction).where(same, _prediction.c.item_hash.in_(some))
                for row in connection.execute(query):
                    found[row.item_hash] = Answer(row.output, row.tokens, row.stopped, row.seconds)
        return found

    def save_predictions(
        self, version_key: str, decoding_hash: str, answers: Mapping[str, Answer]
    ) -> None:
        """Remember answers by item hash; one that is known already stays as it is.

        Except one whose time nobody measured: it is replaced.
        """
        rows = [
            {
                "version_key": version_key,
                "decoding_hash": decoding_hash,
                "item_hash": item,
                **answer._asdict(),
            }
            for item, answer in answers.items()
        ]
        with self._db.write("predictions") as connection:
            upsert(connection, _prediction, rows, replace=_prediction.c.seconds.is_(None))

    def save_eval(self, cycle_id: str, rows: Sequence[EvalRow]) -> None:
        """Keep scores for a cycle; a row of the same version, suite and item is replaced.

        Raises InputError when a metric is NaN or infinite.
        """
        with self._db.write("versions") as connection:
            given = [as_dict(row) | {"cycle": cycle_id} for row in rows]
            upsert(connection, _eval, given, replace=True)

    def eval_rows(self, cycle_id: str, version: str | None = None) -> Sequence[EvalRow]:
        """Scores of a cycle, or of one version ("artifacts@3") in it, by version, suite, item."""
        columns = [column for column in _eval.c if column.name != "cycle"]
        query = select(*columns).where(_eval.c.cycle == cycle_id)
        if version is not None:
            query = query.where(_eval.c.version == version)
        with self._db.read() as connection:
            rows = [EvalRow(**row._mapping) for row in connection.execute(query)]
        return sorted(rows, key=lambda row: (row.version, row.suite, row.item))

    def save_decision(self, cycle_id: str, decision: Decision) -> None:
        """Keep what the gate decided in a cycle; saving again replaces it."""
        row = {"cycle": cycle_id, "decision": as_dict(decision)}
        with self._db.write("versions") as connection:
            upsert(connection, _decision, [row], replace=True)

    def decision(self, cycle_id: str) -> Decision | None:
        """What the gate decided in a cycle; None while it has not."""
        query = select(_decision.c.decision).where(_decision.c.cycle == cycle_id)
        with self._db.read() as connection:
            found = connection.scalar(query)
        return None if found is None else decision_record(found)


def has_rows(connection: Connection, version: str) -> bool:
    """Whether a version was evaluated in any cycle."""
    query = select(_eval.c.item).where(_eval.c.version == version).limit(1)
    return connection.execute(query).first() is not None


def decision_record(found: Any) -> Decision:
    """A Decision from its `as_dict` form."""
    primary = found["primary"]
    return Decision(
        verdict=found["verdict"],
        reasons=tuple(found["reasons"]),
        challenger=found["challenger"],
        champion=found["champion"],
        primary=None if primary is None else Comparison(**primary),
        tasks=tuple(Comparison(**each) for each in found["tasks"]),
        guards=tuple(
            GuardResult(
                comparison=Comparison(**each["comparison"]),
                margin=each["margin"],
                state=each["state"],
            )
            for each in found["guards"]
        ),
        next_steps=tuple(found["next_steps"]),
        slices=tuple(Comparison(**each) for each in found.get("slices", ())),
    )
