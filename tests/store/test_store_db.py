from __future__ import annotations

import fcntl
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import event, text
from store_records import response

from honewheel.errors import ConfigError, MissingExtra, StoreBusy, StoreError, StoreFull
from honewheel.store import Store, db, open_store
from honewheel.store.tables import response as response_table


@pytest.fixture
def sqlite_store(sqlite_url: str, files_root: Path):
    with open_store(sqlite_url, files_root) as store:
        yield store


@pytest.mark.parametrize(
    "url", ["", "store.db", "mysql://host/db", "sqlite://", "sqlite:///:memory:", "http://x"]
)
def test_a_url_that_is_no_store_is_refused_with_an_example(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sqlite:///path/to/store\.db"):
        open_store(url, tmp_path)


def test_a_relative_path_stays_where_it_was_when_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store("sqlite:///deep/store.db", tmp_path / "files") as store:
        monkeypatch.chdir("/")
        store.log.append([response("a")])
    assert (tmp_path / "deep" / "store.db").stat().st_size > 0


def test_postgres_without_its_driver_tells_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"pip install 'honewheel\[postgres\]'"):
        open_store("postgresql://localhost/x", tmp_path)


def test_a_server_out_of_reach_is_named_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"Cannot reach .*127\.0\.0\.1:1/x") as caught:
        open_store("postgresql://ana:secret@127.0.0.1:1/x", tmp_path)
    assert "secret" not in str(caught.value)


def test_what_is_not_a_database_is_refused_by_path(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("not a database, just a long enough text file\n" * 200)
    with pytest.raises(StoreError, match=r"store\.db is not a sound SQLite database"):
        open_store(f"sqlite:///{path}", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Cannot make the folder"):
        open_store(f"sqlite:///{tmp_path}/file/deep/store.db", tmp_path)


def test_sqlite_is_durable_and_checks_its_references(sqlite_store: Store) -> None:
    with sqlite_store._db.read() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }


def test_references_are_checked(store: Store) -> None:
    with pytest.raises(db.Conflict), store._db.write("log") as connection:
        connection.execute(text("INSERT INTO unplaced (seq) VALUES (7)"))


def test_a_sqlite_writer_holds_the_file_lock_until_after_its_commit(
    sqlite_store: Store, sqlite_url: str
) -> None:
    lock = Path(f"{sqlite_url.removeprefix('sqlite:///')}.write.lock")
    held: list[str] = []

    def look(moment: str) -> None:
        with lock.open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(moment)

    engine = sqlite_store._db._engine
    event.listen(engine, "commit", lambda *_: look("commit"))
    event.listen(engine, "checkin", lambda *_: look("checkin"))
    with sqlite_store._db.write("log"):
        look("write")
    assert held == ["write", "commit", "checkin"]
    held.clear()
    with sqlite_store._db.read() as connection:
        connection.execute(text("SELECT 1"))
        look("read")
    sqlite_store._db._engine.dispose()
    assert held == []


def test_a_writer_that_waits_too_long_says_what_it_waited_for(
    sqlite_store: Store, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sqlite_url.removeprefix("sqlite:///")
    monkeypatch.setattr(db, "BUSY_SECONDS", 0.05)
    with open(f"{path}.write.lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(StoreBusy, match=r"Another process has been writing .* for 0\.05 s"):
            sqlite_store.log.append([response("a")])
    sqlite_store.log.append([response("a")])


def test_a_foreign_program_that_locks_the_file_is_waited_for_and_named(
    sqlite_store: Store, sqlite_url: str
) -> None:
    with sqlite_store._db._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    browser = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    browser.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StoreBusy, match="locked by another program"):
            sqlite_store.log.append([response("a")])
    finally:
        browser.close()
    sqlite_store.log.append([response("a")])


def test_no_foreign_program_writes_between_what_a_block_reads_and_writes(
    sqlite_store: Store, sqlite_url: str
) -> None:
    path = sqlite_url.removeprefix("sqlite:///")
    browser = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        with (
            sqlite_store._db.write("log"),
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            browser.execute("BEGIN IMMEDIATE")
    finally:
        browser.close()


def test_a_postgres_writer_that_waits_too_long_says_so(
    postgres_url: str, files_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "BUSY_SECONDS", 0.1)
    with open_store(postgres_url, files_root) as store:
        with (
            store._db.write("log"),
            pytest.raises(StoreBusy, match="held by another writer"),
        ):
            store.log.append([response("a")])
        with store._db.write("datasets"):
            store.log.append([response("a")])


def test_a_failed_block_leaves_no_trace(store: Store) -> None:
    def fail() -> None:
        with store._db.write("log") as connection:
            connection.execute(text("UPDATE counter SET value = 99"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.log.last_seq() == 0


def test_a_full_database_refuses_and_stays_usable(store: Store) -> None:
    store.log.append([response("a")])
    _fill(store)
    with pytest.raises(StoreFull, match="space left"):
        store.log.append([response("b", output="x" * 200_000)])
    assert store.log.last_seq() == 1
    assert store.log.event("evt_a").response == response("a")
    _make_room(store)
    assert store.log.append([response("b", output="x" * 200_000)]) == 2


def _fill(store: Store) -> None:
    """Make the database itself say that it is full, as it does when the disk is."""
    if store._db.sqlite:
        with store._db.read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        return
    with store._db.write("log") as connection:
        connection.execute(
            text(
                "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = 'disk_full'; END $$"
            )
        )
        connection.execute(
            text(
                f"CREATE TRIGGER full_disk BEFORE INSERT ON {response_table.name} "
                "EXECUTE FUNCTION full_disk()"
            )
        )


def _make_room(store: Store) -> None:
    if store._db.sqlite:
        with store._db.read() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        return
    with store._db.write("log") as connection:
        connection.execute(text("DROP FUNCTION full_disk CASCADE"))


def test_importing_the_room_loads_no_database_toolkit() -> None:
    code = (
        "import sys, honewheel.store as s; s.open_store; "
        "print([m for m in ('sqlalchemy', 'alembic', 'pyarrow', 'psycopg') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
