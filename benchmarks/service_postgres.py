"""A private PostgreSQL server for a benchmark, as durable as it comes."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def installed() -> bool:
    return shutil.which("initdb", path=_path()) is not None


@contextmanager
def cluster() -> Iterator[tuple[str, int]]:
    """(URL of an empty database, pid of the server); root is refused, so it runs as nobody then."""
    folder = Path(tempfile.mkdtemp(prefix="honewheel-pg-", dir="/tmp"))
    who = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    os.chown(folder, who.pw_uid, who.pw_gid)
    data, port = folder / "data", _free_port()
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
    login = ["-U", "honewheel", "-A", "trust"]
    _run(who, folder, "initdb", "-D", str(data), *login, "-E", "UTF8", "--locale=C.UTF-8")
    log = ["-l", str(folder / "log"), "-o", options]
    _run(who, folder, "pg_ctl", "-D", str(data), "-w", *log, "start")
    try:
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        yield f"postgresql://honewheel@127.0.0.1:{port}/postgres", pid
    finally:
        _run(who, folder, "pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)


def _run(who: pwd.struct_passwd, folder: Path, program: str, *words: str) -> None:
    found = shutil.which(program, path=_path())
    assert found, f"{program} not found: install PostgreSQL"
    other: dict[str, Any] = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
    subprocess.run(
        [found, *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        check=True,
        env={"PATH": _path(), "LC_ALL": "C.UTF-8"},
        **(other if os.geteuid() == 0 else {}),
    )


def _path() -> str:
    return os.pathsep.join([*map(str, _PLACES), os.environ.get("PATH", os.defpath)])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
