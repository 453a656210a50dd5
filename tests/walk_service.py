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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Which = Literal["server", "worker"]
LONGEST = 1_800.0  # seconds for anything to come about, on a crowded machine too
IDLE = 2.0  # seconds until a kill where there is nothing to do
STARTED = {"server": "listens on", "worker": "worker started"}


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds. Raises TimeoutError, naming it, after LONGEST seconds."""
    deadline = time.monotonic() + LONGEST
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {LONGEST:g} s still not: {what}")
        time.sleep(0.1)


@dataclass
class Service:
    """`honewheel serve --no-worker` and `honewheel worker` over one project folder."""

    folder: Path
    port: int = field(default_factory=lambda: free_port())
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

    def cpu(self) -> float:
        """CPU seconds that both have used since they were started, with their children."""
        return sum(_cpu(process.pid) for process in self._running.values())

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
        """From coming up to the next kill both work for up to `longest` CPU seconds.

        So kills are spread over what is done, however crowded the machine; where nothing is left
        to do, IDLE seconds pass.
        """
        self._service = service
        self._rng = rng
        self._longest = longest
        self._failed: list[BaseException] = []
        self.act = self.doing = ""
        self._begun: set[str] = set()  # of this act's phases
        self._over = False
        self.kills: list[Kill] = []

    @contextmanager
    def during(self, act: str, phases: Sequence[str], count: int) -> Iterator[None]:
        """`count` kills while the block runs, in phases drawn at random.

        Those for which a phase is too short come in the next; those left at the end come then.
        """
        self.act, self._begun, self._over = act, set(), False
        drawn = sorted(self._rng.randrange(len(phases)) for _ in range(count))
        plan: list[tuple[str, Which, float]] = [
            (
                phases[place],
                self._rng.choice(("server", "worker")),
                self._rng.uniform(0.2, self._longest),
            )
            for place in drawn
        ]
        thread = threading.Thread(target=self._run, args=(plan,))
        thread.start()
        try:
            yield
        finally:
            self._over, self.doing = True, "idle"
            thread.join()
        if self._failed:
            raise self._failed[0]

    def begin(self, phase: str) -> None:
        """Tell what the walk does from now on."""
        self.doing = phase
        self._begun.add(phase)

    def _run(self, plan: Sequence[tuple[str, Which, float]]) -> None:
        try:
            for phase, which, pause in plan:
                while phase not in self._begun and not self._over:
                    time.sleep(0.05)
                self._service.ready()
                self._work(pause)
                self.kills.append(Kill(which, self.act, self.doing))
                self._service.kill(which)
            self._service.ready()
        except BaseException as error:
            self._failed.append(error)

    def _work(self, seconds: float) -> None:
        """Wait until server and worker have worked for so many CPU seconds."""
        until_cpu, until_idle = self._service.cpu() + seconds, time.monotonic() + IDLE
        while self._service.cpu() < until_cpu:
            if self._over and time.monotonic() > until_idle:
                return
            time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _cpu(pid: int) -> float:
    """CPU seconds of a process and of all below it, those that have ended included."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        threads = Path(f"/proc/{pid}/task").iterdir()
        below = [name for one in threads for name in (one / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # it has just ended
    own = sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")
    return own + sum(_cpu(int(name)) for name in below)


def cpu_seconds() -> float:
    """CPU seconds of this process and of its children that have ended."""
    found = os.times()
    return found.user + found.system + found.children_user + found.children_system
