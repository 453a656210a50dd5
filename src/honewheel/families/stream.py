"""Work that reports as it goes, as an iterator of what it reports."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

from honewheel.records import Progress

Emit = Callable[[Progress], None]


class _Closed(Exception):
    """Nobody listens any more: unwinds the work at its next report."""


def stream(work: Callable[[Emit], None]) -> Iterator[Progress]:
    """Run `work` in a thread and yield what it emits; its exception is raised here.

    Closing the iterator ends the work at its next report and waits for it.
    """
    reports: SimpleQueue[Progress | None] = SimpleQueue()
    closed = threading.Event()
    failures: list[BaseException] = []

    def emit(progress: Progress) -> None:
        if closed.is_set():
            raise _Closed
        reports.put(progress)

    def body() -> None:
        try:
            work(emit)
        except _Closed:
            pass
        except BaseException as error:  # raised again by the reader, whatever it is
            failures.append(error)
        finally:
            reports.put(None)

    thread = threading.Thread(target=body, name="train", daemon=True)
    thread.start()
    try:
        while (progress := reports.get()) is not None:
            yield progress
    finally:
        closed.set()
        thread.join()
    if failures:
        raise failures[0]
