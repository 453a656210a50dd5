from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, inspect, text
from store_records import response

from honewheel.errors import StoreError
from honewheel.records import Dropped
from honewheel.store import Store, migrate, open_store
from honewheel.store.db import Database
from honewheel.store.tables import metadata


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest) -> str:
    """URL of a database without any table."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    return str(request.getfixturevalue("postgres_cluster").create_database())


def test_an_empty_database_gets_exactly_the_tables_of_this_release(
    empty_url: str, files_root: Path
) -> None:
    with open_store(empty_url, files_root) as store, store._db.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert migrate.revision(connection) == migrate.HEAD == context.get_current_revision()


def test_opening_again_changes_nothing_and_asks_alembic_nothing(
    store: Store, store_url: str, files_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.log.append([response("a")])
    monkeypatch.setattr(command, "upgrade", lambda *_: pytest.fail("migrated again"))
    with open_store(store_url, files_root) as again:
        assert again.log.last_seq() == 1


def test_head_is_the_newest_script() -> None:
    scripts = Path(migrate.__file__).with_name("migrations") / "versions"
    assert sorted(path.name for path in scripts.glob("*.py"))[-1][:4] == migrate.HEAD


def test_a_store_of_a_newer_release_is_refused(empty_url: str, files_root: Path) -> None:
    with open_store(empty_url, files_root) as store, store._db.write("migrate") as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"newer honewheel .*revision 9999.*up to 0007.*Upgrade"):
        open_store(empty_url, files_root)


def test_an_upgrade_that_dies_half_way_leaves_nothing_behind(
    empty_url: str, files_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    class Cut(Exception):
        pass

    def cut(connection, cursor, statement, *_: object) -> None:
        done.append(statement)
        if "INSERT INTO alembic_version" in statement:
            raise Cut

    original = Database.__init__

    def watched(self: Database, url: str) -> None:
        original(self, url)
        event.listen(self._engine, "before_cursor_execute", cut)

    with monkeypatch.context() as patch:
        patch.setattr(Database, "__init__", watched)
        with pytest.raises(Cut):
            open_store(empty_url, files_root)
    assert any("CREATE TABLE response" in statement for statement in done)
    database = Database(empty_url)
    with database.read() as connection:
        assert inspect(connection).get_table_names() == []
    database.close()
    with open_store(empty_url, files_root) as store:
        assert store.log.append([response("a")]) == 1


def test_reasons_of_an_earlier_release_are_carried_over(
    empty_url: str, files_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "HEAD", "0002")
        upgrade = command.upgrade
        patch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0002"))
        database = Database(empty_url)
        migrate.migrate(database)
    with database.write("test") as connection:
        for number in (1, 2):
            connection.exec_driver_sql(
                f"INSERT INTO dataset VALUES ('d{number}', 'c{number}', 9, 'f', 1, 0, 2, "
                f"'[]', {number})"
            )
            connection.exec_driver_sql(
                "INSERT INTO cycle (id, model, number, state, as_of, as_of_seq, config, started_at)"
                f" VALUES ('c{number}', 'm', {number}, 'done', 0, 9, '{{}}', 0)"
            )
        for row in ("'d1', 0, 'a', 'x', '1'", "'d1', 1, 'b', 'y', '2'", "'d2', 0, 'b', 'y', '2'"):
            connection.exec_driver_sql(f"INSERT INTO dropped VALUES ({row})")
    database.close()
    with open_store(empty_url, files_root) as store:
        a = Dropped(event="a", reason="x", detail="1")
        b = Dropped(event="b", reason="y", detail="2")
        assert store.datasets.dropped("d1") == [a, b]
        assert store.datasets.dropped("d2") == [b]
        assert store.datasets.left_out("d2", "a") is None
        assert [one.count for one in store.datasets.reasons("d1")] == [1, 1]
        with store._db.read() as connection:
            assert connection.scalar(text("SELECT COUNT(*) FROM fate")) == 3
