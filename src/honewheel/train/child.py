"""The training process: `python -m honewheel.train.child RUN_DIR`.

Training runs in a process of its own, so running out of memory or a crash in native code is a
failed attempt and not the end of whoever asked for it. It reads `RUN_DIR/inputs`, streams
messages on standard output, and ends as soon as its parent does.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from honewheel import plugins
from honewheel.errors import HonewheelError, StoreBusy
from honewheel.train import inputs, messages

_ORPHANED = 77
_PR_SET_PDEATHSIG = 1
_LOCK_SECONDS = 20.0


def main(run_dir: Path) -> int:
    """A process that trains what `run_dir` describes; returns its exit status."""
    end_with_parent(os.getppid())
    return train(run_dir)


def train(run_dir: Path) -> int:
    """Train what `run_dir` describes, telling of it; returns the exit status (1 after an error)."""
    faulthandler.enable()
    told = _claim_stdout()
    try:
        with lock(run_dir):
            given = inputs.read(run_dir)
            family = plugins.family(given.family)
            for progress in family.train(given.spec, given.dataset, run_dir):
                print(messages.of_progress(progress), file=told, flush=True)
    except HonewheelError as error:
        print(messages.of_error(error), file=told, flush=True)
        return 1
    return 0


def _claim_stdout() -> TextIO:
    """Standard output for messages only; what libraries print goes to the log instead."""
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return told


def end_with_parent(parent: int) -> None:
    """Have the kernel kill this process with its parent, and watch the pipe the parent holds."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before it was asked for
            os._exit(_ORPHANED)
    threading.Thread(target=_watch_stdin, name="watch-parent", daemon=True).start()


def _watch_stdin() -> None:
    while os.read(0, 1):  # nothing is ever sent: this returns when the parent is gone
        pass
    os._exit(_ORPHANED)


@contextmanager
def lock(run_dir: Path, seconds: float = _LOCK_SECONDS) -> Iterator[None]:
    """Be the only process that writes into `run_dir`; waits `seconds` for an orphan to end.

    Raises:
        StoreBusy: another process still holds it.
    """
    import fcntl

    with (run_dir / "lock").open("w") as file:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise StoreBusy(
                        f"Another process trains in {run_dir} and held it for {seconds:g} s. "
                        "Wait for it to end, or stop it."
                    ) from None
                time.sleep(0.05)
        yield


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
