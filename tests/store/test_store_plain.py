"""Statements past SQLAlchemy: they do and find the same, and their errors are told as its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_records import AT, response

from honewheel.errors import StoreError
from honewheel.store import Store, db, open_store, plain, tables
from honewheel.store.arrivals import Arrival


def arrival(name: str) -> Arrival:
    return Arrival(response(name), (), "app", "POST /v1/feedback")


def test_what_is_inserted_is_found_and_changed(store: Store) -> None:
    with store._db.write("log") as connection:
        new = [{"kind": "events", "task": task, "value": 1} for task in ("erd", "sql", "it's %s ?")]
        plain.insert_rows(connection, tables.total, new)
        assert plain.run(connection, "UPDATE total SET value = ? WHERE task = ?", 7, "sql") == 1
        assert plain.run(connection, "UPDATE total SET value = 9 WHERE task = ?", "none") == 0
    with store._db.read() as connection:
        start = "SELECT task, value FROM total"
        assert sorted(plain.rows(connection, start)) == [("erd", 1), ("it's %s ?", 1), ("sql", 7)]
        assert plain.among(connection, start, "task", ["sql", "x"]) == [("sql", 7)]
        assert plain.among(connection, start, "task", []) == ()


def test_errors_are_those_of_the_store_and_undo_the_transaction(store: Store) -> None:
    def unknown() -> None:
        with store._db.read() as connection:
            plain.rows(connection, "SELECT 1 FROM nowhere")

    def dangling() -> None:
        with store._db.write("log") as connection:
            plain.run(connection, "INSERT INTO total VALUES ('events', 'erd', 1)")
            plain.insert_rows(connection, tables.unplaced, [{"seq": 7}])

    with pytest.raises(StoreError, match="nowhere"):
        unknown()
    with pytest.raises(db.Conflict):
        dangling()
    assert store.log.counts()["events"] == 0
    store.arrivals.append([arrival("a")], AT)


def test_a_connection_that_broke_is_told_and_not_used_again(
    postgres_url: str, files_root: Path
) -> None:
    with open_store(postgres_url, files_root) as store:

        def broken() -> None:
            with store._db.write("log") as connection:
                [(number,)] = plain.rows(connection, "SELECT pg_backend_pid()")
                with store._db.read() as other:
                    plain.rows(other, "SELECT pg_terminate_backend(?)", number)
                plain.run(connection, "UPDATE counter SET value = 1")

        with pytest.raises(StoreError):
            broken()
        store.arrivals.append([arrival("a")], AT)
        assert store.log.last_seq() == 1
