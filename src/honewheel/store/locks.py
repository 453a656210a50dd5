"""Locks that die with their process: file locks beside SQLite, advisory locks in PostgreSQL."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from honewheel.atomic import space_errors
from honewheel.errors import StoreBusy, StoreError


@contextmanager
def writer_lock(database: Path, patience: float) -> Iterator[None]:
    """Hold the right to write `database`. Raises StoreBusy after `patience` seconds."""
    # Opened anew each time: a lock on an inherited descriptor would be shared with a fork.
    handle = _opened(Path(f"{database}.write.lock"))
    try:
        _wait_for(handle, database, patience)
        yield
    finally:
        os.close(handle)


def _wait_for(handle: int, database: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    pause = 0.0005
    while not _taken(handle):
        if time.monotonic() > deadline:
            raise StoreBusy(
                f"Another process has been writing {database} for {patience:g} s. "
                "Wait for it, or stop it if it hangs, and try again."
            )
        time.sleep(pause)
        pause = min(2 * pause, 0.02)


@contextmanager
def file_lock(database: Path, name: str) -> Iterator[None]:
    """Hold `name` through a lock file beside `database`, whose content is the holder's pid."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    path = Path(f"{database}.{slug}-{mark}.lock")
    handle = _opened(path)
    try:
        if not _taken(handle):
            since = datetime.fromtimestamp(os.fstat(handle).st_mtime, UTC)
            raise _held(name, f"pid {os.pread(handle, 20, 0).decode() or 'unknown'}", since)
        with space_errors(path):
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


@contextmanager
def advisory_lock(
    engine: Engine, name: str, translated: Callable[[], AbstractContextManager[None]]
) -> Iterator[None]:
    """Hold `name` on a connection of its own: PostgreSQL frees it when that connection ends."""
    key = advisory_key(name)
    with translated():
        connection = engine.connect()
    try:
        with translated():
            who = f"honewheel pid {os.getpid()} on {socket.gethostname()}"[:63]
            connection.execute(
                text("SELECT set_config('application_name', :who, false)"), {"who": who}
            )
            if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}):
                raise _held(name, *_holder(connection, key))
        yield
    finally:
        connection.close()
        engine.dispose()


def advisory_key(name: str) -> int:
    """A signed 64-bit lock number for `name`."""
    digest = hashlib.sha256(f"honewheel {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _holder(connection: Connection, key: int) -> tuple[str, datetime | None]:
    unsigned = key & (2**64 - 1)
    found = connection.execute(
        text(
            "SELECT application_name, backend_start FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE locktype = 'advisory' AND granted"
            " AND classid::bigint = :high AND objid::bigint = :low AND objsubid = 1"
        ),
        {"high": unsigned >> 32, "low": unsigned & (2**32 - 1)},
    ).first()
    if found is None:
        return "which has just ended", None
    return str(found[0]).removeprefix("honewheel "), found[1]


def _held(name: str, who: str, since: datetime | None) -> StoreBusy:
    when = "" if since is None else f", since {since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return StoreBusy(
        f"Another {name.replace(':', ' of ')} is running ({who}{when}). Wait until it ends, or "
        "stop that process, and run the command again."
    )


def _opened(path: Path) -> int:
    try:
        with space_errors(path):
            return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"Cannot open the lock file {path}: {error.strerror}.") from error


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
