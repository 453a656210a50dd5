"""A server and a worker as processes of their own, killed with SIGKILL and started again."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Which = Literal["server", "worker"]
LONGEST = 300.0  # seconds for anything to come about, on a crowded machine too
STARTED = {"server": "listens on", "worker": "worker started"}


def until(holds: object, what: str) -> None:
    """Wait until something holds. Raises TimeoutError, naming it, after LONGEST seconds."""
    assert callable(holds)
    deadline = time.monotonic() + LONGEST
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {LONGEST:g} s still not: {what}")
        time.sleep(0.1)


@dataclass
class Service:
    """`honewheel serve --no-worker` and `honewheel worker` over one project folder."""

    folder: Path
    port: int = field(default_factory=lambda: _free_port())
    _running: dict[Which, subprocess.Popen[bytes]] = field(default_factory=dict)
    _logs: dict[Which, Path] = field(default_factory=dict)
    _starts: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self, *words: str) -> None:
        """Run one command line of honewheel to its end."""
        subprocess.run(self._line(*words), check=True, capture_output=True)

    def _line(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "honewheel", "--project", str(self.folder), *words]

    def start(self, which: Which) -> None:
        words = {
            "server": ("serve", "--no-worker", "--port", str(self.port)),
            "worker": ("worker",),
        }
        self._starts += 1
        self._logs[which] = self.folder / f"{which}-{self._starts}.log"
        with self._logs[which].open("wb") as log:
            self._running[which] = subprocess.Popen(
                self._line(*words[which]), stdout=log, stderr=log
            )

    def kill(self, which: Which) -> None:
        """SIGKILL, and the same process started anew."""
        self._running[which].kill()
        self._running[which].wait()
        self.start(which)

    def ready(self) -> None:
        """Wait until both have said that they run. Raises RuntimeError when one has ended."""

        def both() -> bool:
            for which, process in self._running.items():
                if process.poll() is not None:
                    told = self._logs[which].read_text()
                    raise RuntimeError(f"the {which} ended with {process.returncode}: {told}")
            return all(STARTED[which] in log.read_text() for which, log in self._logs.items())

        until(both, "server and worker run")

    def up(self) -> bool:
        """Whether the server answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Both run until the block ends; then both are asked to stop, and wait for nothing."""
        try:
            self.start("server")
            self.start("worker")
            self.ready()
            yield
        finally:
            for process in self._running.values():
                process.send_signal(signal.SIGTERM)
            for process in self._running.values():
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


@dataclass(frozen=True, slots=True)
class Kill:
    """Who was killed, and what the walk was doing."""

    which: Which
    act: str
    doing: str


class Killer:
    """Kills server or worker at random moments, each time both have come up again."""

    def __init__(self, service: Service, rng: random.Random, longest: float) -> None:
        """Between coming up and the next kill lie up to `longest` seconds."""
        self._service = service
        self._rng = rng
        self._longest = longest
        self._failed: list[BaseException] = []
        self.act = self.doing = ""
        self.kills: list[Kill] = []

    @contextmanager
    def during(self, act: str, count: int) -> Iterator[None]:
        """`count` kills while the block runs; those left when it is done come then."""
        self.act = act
        plan: list[tuple[Which, float]] = [
            (self._rng.choice(("server", "worker")), self._rng.uniform(0.2, self._longest))
            for _ in range(count)
        ]
        thread = threading.Thread(target=self._run, args=(plan,))
        thread.start()
        try:
            yield
        finally:
            thread.join()
        if self._failed:
            raise self._failed[0]

    def _run(self, plan: Sequence[tuple[Which, float]]) -> None:
        try:
            for which, pause in plan:
                self._service.ready()
                time.sleep(pause)
                self.kills.append(Kill(which, self.act, self.doing))
                self._service.kill(which)
            self._service.ready()
        except BaseException as error:
            self._failed.append(error)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def cpu_seconds() -> float:
    """CPU seconds of this process and of its children that have ended."""
    found = os.times()
    return found.user + found.system + found.children_user + found.children_system
