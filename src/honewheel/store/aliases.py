"""Aliases: which version is in use, moved by compare-and-swap with the evidence beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, insert, select

from honewheel.errors import Damaged, InputError, Moved, NotFound, StoreError
from honewheel.records import AliasMove, Decision, as_dict
from honewheel.store import tables
from honewheel.store.db import Database, upsert
from honewheel.store.evaluations import decision_record, has_rows
from honewheel.store.files import Files

_move, _version = tables.alias_move, tables.version


class Aliases:
    """Where each alias of each model points and how it came there; the newest move is the state."""

    _db: Database
    _files: Files

    def alias(self, model: str, name: str = "champion") -> AliasMove | None:
        """The move that put the alias where it is now; None while it points nowhere."""
        with self._db.read() as connection:
            return _current(connection, model, name)

    def history(self, model: str, name: str = "champion") -> Sequence[AliasMove]:
        """Every move of an alias, oldest first."""
        query = _moves(model, name).order_by(_move.c.revision)
        with self._db.read() as connection:
            return [_record(row) for row in connection.execute(query)]

    def evidence(self, model: str, name: str, revision: int) -> Decision | None:
        """The decision that a move rested on; None for a forced move or a roll back."""
        query = select(_move.c.evidence).where(
            _move.c.model == model, _move.c.alias == name, _move.c.revision == revision
        )
        with self._db.read() as connection:
            found = connection.scalar(query)
        return None if found is None else decision_record(found)

    def move_alias(
        self, move: AliasMove, expected_revision: int, decision: Decision | None
    ) -> None:
        """Move an alias if it is still at `expected_revision` (0: not set yet), all or nothing.

        The history row and the decision are one transaction. A cycle that makes the same move
        again after a crash changes nothing.

        Raises:
            StoreBusy: somebody else moved the alias since it was read.
            NotFound: there is no such version.
            StoreError: the version's files are absent or incomplete; or the move is not forced
                and the version was never evaluated, or the decision is not to promote it.
            InputError: the move does not follow `expected_revision`.
        """
        self.require_movable(move, expected_revision, decision)
        with self._db.write("versions") as connection:
            place(connection, move, expected_revision, decision)

    def require_movable(
        self, move: AliasMove, expected_revision: int, decision: Decision | None
    ) -> None:
        """Raise what `move_alias` raises of things that no other writer can change meanwhile."""
        if move.revision != expected_revision + 1:
            raise InputError(
                f"Move {move.revision} of {move.alias!r} cannot follow revision "
                f"{expected_revision}."
            )
        self._require_complete(move)
        if decision is not None and not move.forced:
            _require_evidence(move, decision)

    def _require_complete(self, move: AliasMove) -> None:
        with self._db.read() as connection:
            found = connection.execute(
                select(_version.c.files).where(
                    _version.c.model == move.model, _version.c.number == move.version
                )
            ).first()
        if found is None:
            raise NotFound(f"No version {_name(move)} for {move.alias!r} to point to.")
        if found.files is None:
            if move.version != 0:
                raise StoreError(f"{_name(move)} has no files, so nothing could serve it.")
            return
        try:
            self._files.verify(found.files)
        except (Damaged, NotFound) as error:
            raise StoreError(
                f"{_name(move)} (files {found.files}) cannot be served: {error}. "
                f"{move.alias!r} stays where it is."
            ) from error


def place(
    connection: Connection, move: AliasMove, expected_revision: int, decision: Decision | None
) -> None:
    """Write a move inside a transaction of the room "versions"; see `Aliases.move_alias`."""
    current = _current(connection, move.model, move.alias)
    if current is not None and _already(current, move):
        return
    require_revision(connection, move.model, move.alias, expected_revision)
    _require_follows(current, move)
    if move.version != 0 and not move.forced and not has_rows(connection, _name(move)):
        raise StoreError(
            f"{_name(move)} was never evaluated, so {move.alias!r} cannot point to it. "
            "Run a cycle, or force the move and say why."
        )
    evidence = None if decision is None else as_dict(decision)
    connection.execute(insert(_move).values(as_dict(move) | {"at": move.at, "evidence": evidence}))
    if move.cycle is not None and evidence is not None:
        row = {"cycle": move.cycle, "decision": evidence}
        upsert(connection, tables.decision, [row], replace=True)


def require_revision(connection: Connection, model: str, name: str, expected: int) -> None:
    """Raise Moved unless the alias is at revision `expected` (0: not set yet)."""
    current = _current(connection, model, name)
    revision = 0 if current is None else current.revision
    if revision != expected:
        version = None if current is None else current.version
        raise Moved(
            f"{name!r} of {model!r} is at revision {revision} (version {version}), not "
            f"{expected}: somebody moved it meanwhile. Look at it again and decide anew."
        )


def _moves(model: str, name: str) -> Any:
    columns = [column for column in _move.c if column.name != "evidence"]
    return select(*columns).where(_move.c.model == model, _move.c.alias == name)


def _current(connection: Connection, model: str, name: str) -> AliasMove | None:
    query = _moves(model, name).order_by(_move.c.revision.desc()).limit(1)
    row = connection.execute(query).first()
    return None if row is None else _record(row)


def _already(current: AliasMove, move: AliasMove) -> bool:
    """Whether a cycle repeats the move it made before it crashed (the time may differ)."""
    return move.cycle is not None and replace(current, at=move.at) == move


def _require_follows(current: AliasMove | None, move: AliasMove) -> None:
    version = None if current is None else current.version
    if move.previous != version:
        raise InputError(
            f"The move says that {move.alias!r} pointed to version {move.previous}; "
            f"it points to {version}."
        )


def _require_evidence(move: AliasMove, decision: Decision) -> None:
    if decision.verdict != "promote" or decision.challenger != _name(move):
        raise StoreError(
            f"The decision is to {decision.verdict} {decision.challenger}; it does not let "
            f"{move.alias!r} move to {_name(move)}."
        )


def _name(move: AliasMove) -> str:
    return f"{move.model}@{move.version}"


def _record(row: Any) -> AliasMove:
    return AliasMove(**row._mapping)
