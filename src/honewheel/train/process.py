"""The process that trains one run, as the parent holds it: started cold, or forked from a warm one.

Whichever it is, it is a process of its own that ends when the block is left, however it is left.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from honewheel.train.warm import WarmProcess

GRACE_SECONDS = 10.0  # for a process that was asked to end, or has told why it will


class Training(Protocol):
    """A training process that runs."""

    def lines(self) -> Iterator[str]:
        """What it says, a line at a time; what it could not finish saying is left out."""

    def wait(self) -> int:
        """Its exit status once `lines` are over; below 0, the signal that killed it."""


@contextmanager
def started(
    run_dir: Path, family: str, threads: int, warm: WarmProcess | None
) -> Iterator[Training]:
    """The training of what `run_dir` describes; forked from `warm` where that is possible."""
    variables = environment(threads)
    with (run_dir / "child.log").open("ab") as log:
        forked = None if warm is None else warm.fork(run_dir, family, variables, log)
        with forked or _cold(run_dir, variables, log) as training:
            yield training


class _Cold:
    """A process that has loaded nothing when it starts."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def lines(self) -> Iterator[str]:
        assert self._process.stdout is not None  # it was asked for as a pipe
        for line in self._process.stdout:
            if not line.endswith("\n"):
                return  # it was killed while it spoke
            yield line

    def wait(self) -> int:
        return self._process.wait()


@contextmanager
def _cold(run_dir: Path, variables: dict[str, str], log: IO[bytes]) -> Iterator[Training]:
    process = subprocess.Popen(
        [sys.executable, "-m", "honewheel.train.child", str(run_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=variables,
        encoding="utf-8",
    )
    try:
        yield _Cold(process)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def environment(threads: int) -> dict[str, str]:
    """Variables a training process must have before it loads a library."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads sleep: spinning steals from neighbours
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # deterministic matrix products on CUDA
    }
