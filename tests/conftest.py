"""Fixtures for every room: a store on SQLite and on PostgreSQL, and a clock that tests set."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from honewheel.store import Store, open_store

_DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


@dataclass
class Clock:
    """Calling it tells the time and lets one second pass, so that no two readings are equal."""

    now: datetime = field(default=datetime(2026, 3, 2, 9, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        told = self.now
        self.now += timedelta(seconds=1)
        return told

    def advance(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@dataclass(frozen=True)
class PostgresCluster:
    """A private PostgreSQL server on a free port of 127.0.0.1."""

    port: int

    def create_database(self) -> str:
        """URL of a new database without tables."""
        import psycopg

        name = f"t{uuid.uuid4().hex[:16]}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, database: str) -> str:
        return f"postgresql://honewheel@127.0.0.1:{self.port}/{database}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresCluster]:
    """A server of this session's own; root is refused by initdb, so it runs as `nobody` then."""
    folder = Path(tempfile.mkdtemp(prefix="honewheel-pg-", dir="/tmp"))
    who = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    os.chown(folder, who.pw_uid, who.pw_gid)
    port = _free_port()
    data = folder / "data"
    options = (
        f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off "
        "-c synchronous_commit=off -c full_page_writes=off -c shared_buffers=32MB"
    )
    login = ["-U", "honewheel", "-A", "trust"]
    _as(who, folder, "initdb", "-D", data, *login, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
    _as(who, folder, "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
    try:
        yield PostgresCluster(port)
    finally:
        _as(who, folder, "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def _postgres_store(
    postgres_cluster: PostgresCluster, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """URL of a database with the tables: emptying it takes 5 ms, a new one half a second."""
    url = postgres_cluster.create_database()
    open_store(url, tmp_path_factory.mktemp("migrated")).close()
    return url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def postgres_url(_postgres_store: str) -> str:
    """URL of an empty store; one a test (take more from `postgres_cluster.create_database`)."""
    import psycopg

    from honewheel.store.tables import metadata

    with psycopg.connect(_postgres_store) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        for table in reversed(metadata.sorted_tables):
            if table.name != "counter":
                connection.execute(f'DELETE FROM "{table.name}"')
        connection.execute("UPDATE counter SET value = 0")
    return _postgres_store


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty store, on SQLite and on PostgreSQL in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def files_root(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def store(store_url: str, files_root: Path) -> Iterator[Store]:
    """An empty store, on SQLite and on PostgreSQL in turn."""
    with open_store(store_url, files_root) as opened:
        yield opened


def _as(who: pwd.struct_passwd, folder: Path, program: str, *arguments: str | Path) -> None:
    """Run a PostgreSQL program as an ordinary user; its output is shown when it fails."""
    path = os.pathsep.join([*map(str, _DEBIAN), os.environ.get("PATH", os.defpath)])
    binary = shutil.which(program, path=path)
    assert binary, f"{program} not found: install PostgreSQL (Debian: apt install postgresql)"
    other = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
    with (folder / f"{program}.out").open("w+") as output:  # a pipe would wait for the server
        done = subprocess.run(
            [binary, *map(str, arguments)],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"PATH": path, "LC_ALL": "C.UTF-8"},
            **(other if os.geteuid() == 0 else {}),
        )
        output.seek(0)
        assert done.returncode == 0, f"{program} failed:\n{output.read()}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
