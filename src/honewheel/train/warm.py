"""A process that has loaded what training needs and computed nothing: runs are forks of it.

Loading torch and its kin costs seconds of CPU, as much as a small training. Whoever trains again
and again keeps one such process, and each run is still a process of its own, which no other run
can break or colour. What makes it safe, and where it is not used, is
docs/decisions/0014-forks-of-a-warm-process.md; what the process does is forks.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from honewheel.train.forks import BEGUN, ENDED, MARK, READY
from honewheel.train.process import GRACE_SECONDS, Training

IDLE_SECONDS = 300.0  # it holds some 350 MB; who trains more rarely does not miss the seconds


class WarmProcess:
    """Keeps one warm process for the runs of its owner, one at a time; the block's end ends it.

    It ends by itself after `idle_seconds` without a run (0: there is none), and is started anew
    when the next one comes. Every refusal means that the run is started cold.
    """

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle = idle_seconds
        self._process: subprocess.Popen[str] | None = None
        self._for: tuple[str, dict[str, str]] | None = None  # family and environment
        self._unfit: list[tuple[str, dict[str, str]]] = []
        self._busy = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process that waits for a run, if there is one."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def fork(
        self, run_dir: Path, family: str, environment: dict[str, str], log: IO[bytes]
    ) -> AbstractContextManager[Training] | None:
        """A fork that trains what `run_dir` describes, or None: start it cold.

        None where another run of this owner is going on, where a fork of this family cannot
        train here, and where the process is gone and cannot be started. What loading says goes to
        `log`.
        """
        if self._idle <= 0 or sys.platform != "linux" or not self._busy.acquire(blocking=False):
            return None
        begun = False
        try:
            process = self._ready((family, environment), log)
            begun = process is not None and _order(process, run_dir)
            return self._held(process) if process is not None and begun else None
        finally:
            if not begun:
                self.close()
                self._busy.release()

    def _ready(
        self, wanted: tuple[str, dict[str, str]], log: IO[bytes]
    ) -> subprocess.Popen[str] | None:
        """The process for this family and environment, started if need be."""
        if wanted in self._unfit:
            return None
        if self.pid is not None and self._for == wanted:
            return self._process
        self.close()
        self._process, self._for = _start(*wanted, self._idle, log), wanted
        if _said(self._process) == READY:
            return self._process
        self._unfit.append(wanted)
        return None

    @contextmanager
    def _held(self, process: subprocess.Popen[str]) -> Iterator[Training]:
        run = _Forked(process)
        try:
            yield run
        except BaseException:
            process.kill()  # the fork dies with it
            raise
        finally:
            try:
                run.finish()
                if run.gone:
                    self.close()
            finally:
                self._busy.release()


class _Forked:
    """One run, as a fork of `process`, which tells how it ended."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._status: int | None = None
        self.gone = False  # the warm process died, and the run with it

    def lines(self) -> Iterator[str]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            _, mark, told = line.partition(MARK)  # before it: what a killed run began to say
            if mark:
                self._status = int(told.removeprefix(ENDED))
                return
            if line.endswith("\n"):
                yield line
        self.gone, self._status = True, -signal.SIGKILL

    def wait(self) -> int:
        self.finish()
        assert self._status is not None
        return self._status

    def finish(self) -> None:
        """Wait until the run is over; one that takes its time is killed."""
        if self._status is not None:
            return
        late = threading.Timer(GRACE_SECONDS, self._process.kill)
        late.start()
        try:
            for _ in self.lines():
                pass
        finally:
            late.cancel()


def _start(
    family: str, environment: dict[str, str], idle: float, log: IO[bytes]
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "honewheel.train.forks", family, str(idle)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=environment,
        encoding="utf-8",
    )


def _order(process: subprocess.Popen[str], run_dir: Path) -> bool:
    """Ask for a run; whether it has begun."""
    assert process.stdin is not None
    order = {"run_dir": str(run_dir.absolute()), "folder": os.getcwd()}
    try:
        process.stdin.write(f"{json.dumps(order)}\n")
        process.stdin.flush()
    except BrokenPipeError:  # it was idle for too long, or was killed
        return False
    return _said(process) == BEGUN


def _said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip(f"{MARK}\n")


def _end(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # an order that it did not take
                pipe.close()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
