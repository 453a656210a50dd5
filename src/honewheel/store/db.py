"""The database: its engine, reading and writing transactions, and errors a person can act on.

SQLite runs in WAL mode with synchronous=FULL, and every writing transaction (its automatic
checkpoint included) holds a file lock: libraries before 3.51.3 can corrupt a WAL that two
connections write or checkpoint at the same instant.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, create_engine, event, exc, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from honewheel.errors import (
    ConfigError,
    HonewheelError,
    MissingExtra,
    StoreBusy,
    StoreError,
    StoreFull,
)
from honewheel.store import locks

T = TypeVar("T")

BUSY_SECONDS = 30
CHUNK = 1000  # ids in one IN (...), rows in one page: well below both dialects' limits
_FULL_BELOW = 64 * 1024  # an I/O error with fewer bytes free than this is a full disk
_CONNECTIONS = 8
# Run first in every writing transaction of this thread; see `checked`.
_check: ContextVar[Callable[[Connection], None] | None] = ContextVar("check", default=None)


class Conflict(StoreError):
    """A unique or foreign key was violated; rooms turn it into what it means to the caller."""


class Database:
    """One SQLite file or one PostgreSQL database."""

    def __init__(self, url: str) -> None:
        self._url = _parse(url)
        self.shown = self._url.render_as_string(hide_password=True)
        self.sqlite = self._url.get_backend_name() == "sqlite"
        self._path = Path(self._url.database or "")
        if self.sqlite:
            self._make_folder()
            self._engine = create_engine(self._url, pool_size=_CONNECTIONS, max_overflow=0)
            _configure_sqlite(self._engine)
            with self._guarded(), self._engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1")
        else:
            self._engine = _postgres_engine(self._url)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for one short reading transaction; keep none open while yielding rows."""
        with self._translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, room: str) -> Iterator[Connection]:
        """A connection whose transaction commits at the end of the block, or leaves no trace.

        Writers take turns: all of them in SQLite, those of one `room` in PostgreSQL. So reading
        first and then writing on what was read is safe in the block. Raises StoreBusy after
        BUSY_SECONDS.
        """
        with self._guarded(), self._engine.connect() as plain:
            connection = plain.execution_options(honewheel_writing=True)
            with connection.begin():
                if not self.sqlite:
                    key = locks.advisory_key(f"room {room}")
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
                if (check := _check.get()) is not None:
                    check(connection)
                yield connection

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Hold `name` for this process. Raises StoreBusy when another holds it."""
        if self.sqlite:
            with locks.file_lock(self._path, name):
                yield
            return
        alone = create_engine(self._url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        # Errors of the block itself pass untouched: only taking the lock speaks SQL here.
        with locks.advisory_lock(alone, name, self._translated):
            yield

    @staticmethod
    @contextmanager
    def checked(check: Callable[[Connection], None]) -> Iterator[None]:
        """Run `check` first in every writing transaction of this thread; what it raises undoes it.

        Other threads that use the store are not concerned.
        """
        token = _check.set(check)
        try:
            yield
        finally:
            _check.reset(token)

    def rewrite(self, names: Sequence[str]) -> None:
        """Rewrite tables (in SQLite the whole file, its log included) without their freed space.

        Takes as long as copying them; writers wait meanwhile.
        """
        with self._guarded():
            if not self.sqlite:
                with self._engine.connect() as plain:
                    alone = plain.execution_options(isolation_level="AUTOCOMMIT")
                    for name in names:
                        alone.exec_driver_sql(f'VACUUM (FULL) "{name}"')
                return
            raw = self._engine.raw_connection()  # sqlalchemy would begin a transaction
            try:
                raw.cursor().execute("VACUUM")
                raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                raw.close()

    def now(self, connection: Connection) -> datetime:
        """The database's own clock, so that workers with wrong clocks agree on leases."""
        if self.sqlite:
            micros = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000"
        else:
            micros = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
        found = connection.exec_driver_sql(f"SELECT {micros}").scalar()
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(found or 0))

    def close(self) -> None:
        """Close every connection; the last to leave SQLite checkpoints, so it holds the lock."""
        with self._guarded():
            self._engine.dispose()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        with self._translated():
            if not self.sqlite:
                yield
                return
            with locks.writer_lock(self._path, BUSY_SECONDS):
                yield

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except exc.TimeoutError as error:
            raise StoreBusy(
                f"All {_CONNECTIONS} connections to {self.shown} are in use. Try again."
            ) from error
        except exc.DBAPIError as error:
            raise self._meaning(error) from error
        except exc.StatementError as error:
            # A column type refused the value: its own words say it best.
            if isinstance(error.orig, HonewheelError):
                raise error.orig from None
            raise

    def _meaning(self, error: exc.DBAPIError) -> HonewheelError:
        if self.sqlite:
            return _sqlite_meaning(error, self._path)
        return _postgres_meaning(error, self.shown)

    def _make_folder(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"Cannot make the folder {self._path.parent}: {error}") from error


def upsert(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], *, replace: bool
) -> None:
    """Insert `rows`; one whose primary key exists replaces the old row, or is left out."""
    if not rows:
        return
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table)
    keys = [column.name for column in table.primary_key]
    names = [column.name for column in table.c]
    others = {name: statement.excluded[name] for name in names if name not in keys}
    if replace:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=others)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    connection.execute(statement, list(rows))


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """`values` in slices of at most CHUNK."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


def _parse(url: str) -> URL:
    try:
        found = make_url(url)
    except exc.ArgumentError as error:
        raise ConfigError(
            f"{url!r} is not a store URL. Write sqlite:///path/to/store.db or "
            "postgresql://user@host/database."
        ) from error
    backend = found.get_backend_name()
    if backend == "sqlite":
        if not found.database or found.database == ":memory:":
            raise ConfigError(
                "A SQLite store needs a file, since several processes use it: "
                "write sqlite:///path/to/store.db."
            )
        return found.set(
            drivername="sqlite", database=str(Path(found.database).expanduser().absolute())
        )
    if backend in ("postgresql", "postgres"):
        return found.set(drivername="postgresql+psycopg")
    raise ConfigError(
        f"No store speaks {backend!r}. Use sqlite:///path/to/store.db or "
        "postgresql://user@host/database."
    )


def _configure_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        writing = connection.get_execution_options().get("honewheel_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _postgres_engine(url: URL) -> Engine:
    try:
        engine = create_engine(url, pool_size=_CONNECTIONS, max_overflow=0, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise MissingExtra("A PostgreSQL store", "psycopg", "postgres") from error

    @event.listens_for(engine, "connect")
    def _(connection: Any, _: object) -> None:
        connection.execute(f"SET lock_timeout = '{BUSY_SECONDS}s'")
        connection.commit()

    return engine


def _sqlite_meaning(error: exc.DBAPIError, path: Path) -> HonewheelError:
    code = getattr(error.orig, "sqlite_errorcode", 0)
    primary = code & 0xFF
    if isinstance(error, exc.IntegrityError):
        return Conflict(str(error.orig))
    if primary == sqlite3.SQLITE_FULL or (
        primary == sqlite3.SQLITE_IOERR and _free_bytes(path) < _FULL_BELOW
    ):
        return StoreFull(
            f"No space left for {path}. Nothing half-written is kept; free some space "
            "(honewheel gc removes what no version needs) and run the command again."
        )
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy(
            f"{path} has been locked by another program for {BUSY_SECONDS} s. Close what has it "
            "open (a database browser, a backup) and try again."
        )
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreError(f"{path} is not a sound SQLite database: {error.orig}. Restore a backup.")
    return StoreError(f"{path}: {error.orig}")


def _postgres_meaning(error: exc.DBAPIError, shown: str) -> HonewheelError:
    state = getattr(error.orig, "sqlstate", None) or ""
    if isinstance(error, exc.IntegrityError):
        return Conflict(str(error.orig))
    if state == "53100":  # disk_full
        return StoreFull(f"The server of {shown} has no space left. Free some and try again.")
    if state in ("55P03", "40001", "40P01"):  # lock timeout, serialization, deadlock
        return StoreBusy(f"{shown} was held by another writer for {BUSY_SECONDS} s. Try again.")
    if not state:
        return StoreError(f"Cannot reach {shown}: {str(error.orig).strip()}")
    return StoreError(f"{shown}: {str(error.orig).strip()}")


def _free_bytes(path: Path) -> int:
    found = os.statvfs(path.parent)
    return found.f_bavail * found.f_frsize
