"""The warm process: `python -m honewheel.train.forks FAMILY SECONDS`.

It loads what training needs, computes nothing, and forks for each run it is asked for: the fork
does what honewheel.train.child does in a process that has loaded nothing.

    owner -> here      {"run_dir": ..., "folder": ...}     one line a run
    here  -> owner     # ready                             everything is loaded
    fork  -> owner     # begun, then its messages          (messages.py)
    here  -> owner     # ended STATUS                      below 0: the signal that killed the fork

where # is a control character that no message contains. A closed pipe ends them all.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

from honewheel import plugins
from honewheel.errors import HonewheelError
from honewheel.protocols import Preloads
from honewheel.train import child

MARK = "\x1e"
READY, BEGUN, ENDED = "ready", "begun", "ended"


def main(family: str, idle: float) -> int:
    """Load what `family` needs, then fork for each order; returns in every fork, with its status.

    The status is 1 where a fork could not train.
    """
    told = os.dup(1)
    os.dup2(2, 1)  # what libraries print goes to the log
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the owner, and that this one
    if why := _unfit(family):
        print(f"no warm process: {why}", file=sys.stderr)
        return 1
    gc.freeze()  # forks share what is loaded as long as nobody touches it
    _tell(told, READY)
    mine = os.getpid()
    while (order := _next(idle)) is not None:
        run = os.fork()
        if run == 0:
            return _train(order, told, mine)
        _, status = os.waitpid(run, 0)
        _tell(told, f"{ENDED} {os.waitstatus_to_exitcode(status)}")
    os._exit(0)  # it has done nothing that would have to be tidied


def _unfit(name: str) -> str | None:
    """Load what training needs; why a fork could not train then."""
    family = plugins.family(name)
    if not isinstance(family, Preloads):
        return f"the family {name} does not say what it needs"
    try:
        why = family.preload()
    except HonewheelError as error:
        return str(error)
    if why is not None:
        return why
    if threading.active_count() > 1:
        names = ", ".join(sorted(thread.name for thread in threading.enumerate()))
        return f"loading it has started threads, which a fork would not have: {names}"
    return None


def _next(idle: float) -> dict[str, str] | None:
    """The next order; None when the owner is gone or has nothing to do for `idle` seconds."""
    if not select.select([0], [], [], idle)[0]:
        return None
    line = b""
    while not line.endswith(b"\n"):
        if not (byte := os.read(0, 1)):  # never more than the line: forks watch this pipe too
            return None
        line += byte
    order: dict[str, str] = json.loads(line)
    return order


def _train(order: dict[str, str], told: int, parent: int) -> int:
    """What `python -m honewheel.train.child` does, in a fork."""
    child.end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(order["folder"])
    run_dir = Path(order["run_dir"])
    log = os.open(run_dir / "child.log", os.O_WRONLY | os.O_APPEND)
    for source, target in ((log, 2), (told, 1)):
        os.dup2(source, target)
        os.close(source)
    _tell(1, BEGUN)
    return child.train(run_dir)


def _tell(told: int, what: str) -> None:
    with suppress(BrokenPipeError):  # the owner is gone: the next read tells
        os.write(told, f"{MARK}{what}\n".encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
