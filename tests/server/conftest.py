"""A real server on a free port, over a project of the memo family, in a thread of the test."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.server import keys
from honewheel.server.app import App
from honewheel.server.run import server
from loop.conftest import memo_family

__all__ = ["memo_family"]

ROW = {"task": "erd", "prompt": "draw", "output": "erDiagram", "thumb": 1, "source": "ana"}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Live:
    """A running server and how to ask it."""

    port: int
    wheel: Any
    app: App
    key: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, data: Any = None, *, body: bytes | None = None, **headers: str
    ) -> Answer:
        """One request; header names are spelt with _ for -."""
        sent = {"content-type": "application/json"}
        if self.key:
            sent["authorization"] = f"Bearer {self.key}"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if body is None and data is not None:
            body = json.dumps(data).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host="host" in headers)
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.putheader("content-length", str(len(body or b"")))
            connection.endheaders(body)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def post(self, path: str, data: Any = None, **more: Any) -> Answer:
        return self.ask("POST", path, data, **more)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def as_(self, role: str) -> Live:
        """The same server, asked with a new key of this role."""
        name = f"{role}-{len(self.wheel.store.keys.list())}"
        found, text = keys.new(name, role, rate=None, now=self.wheel.clock())
        self.wheel.store.keys.create(found)
        self.app.access.learn(self.wheel.store.keys.list())
        return Live(self.port, self.wheel, self.app, text)


def until(holds: Callable[[], Any]) -> None:
    """Wait until something holds, a minute at most."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextmanager
def running(wheel: Any, *, worker: bool = False) -> Iterator[Live]:
    """The wheel served on a free port until the block ends."""
    found, app = server(wheel, port=0, worker=worker)
    sock = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=found.run, args=([sock],))
    thread.start()
    until(lambda: found.started or not thread.is_alive())
    try:
        yield Live(sock.getsockname()[1], wheel, app)
    finally:
        found.should_exit = True
        thread.join()
        sock.close()


@contextmanager
def serving(folder: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process on a free port, and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "honewheel", "-C", str(folder), "serve", "--port", "0", *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found is not None, line + process.stderr.read()
        yield process, found[0]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return wheels.project(tmp_path / "acme")


@pytest.fixture
def live(folder: Path) -> Iterator[Live]:
    """A server on a new project, open to this machine."""
    with wheels.open_wheel(folder) as wheel, running(wheel) as found:
        yield found
