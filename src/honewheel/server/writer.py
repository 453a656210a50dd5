"""Group commit: one thread writes; whatever arrived while a commit ran is in the next one.

So a request waits for a disk flush of its own, and a thousand senders do not pay for a thousand
flushes. A request is answered after the commit that holds its rows, never before.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from honewheel.errors import InputError, StoreBusy, StoreFull
from honewheel.server.answers import RETRY_SECONDS, Refused
from honewheel.store import Store
from honewheel.store.arrivals import Arrival, Stored

LARGEST = 1_000  # rows a commit
GATHER_SECONDS = 0.006  # that a crowd's next requests are waited for, at most: a commit costs the
# processor as much as thirty rows, so it is worth having all of the crowd in one
LOOKS = 12  # at whether they are there, meanwhile

Outcome = Stored | InputError


@dataclass(slots=True)
class _Waiting:
    """Rows of one request and who waits for them."""

    arrivals: Sequence[Arrival]
    future: asyncio.Future[list[Outcome]]


class Writer:
    """The one writer of a server. `put` from its event loop only."""

    def __init__(
        self,
        store: Store,
        capacity: int,
        clock: Callable[[], datetime],
        committed: Callable[[int, float], None],
    ) -> None:
        """`capacity` is how many rows may wait; `committed` hears of rows and seconds."""
        self._store = store
        self._capacity = capacity
        self._clock = clock
        self._committed = committed
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._crowd = 0  # requests that were on their way when the last commit was done
        self.waiting = 0

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="honewheel-writer", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Commit what waits, then end."""
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)

    async def put(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        """The outcome of each arrival once it is on disk.

        Raises Refused 429 when too many rows wait already, and StoreError when the store fails.
        """
        if self.waiting + len(arrivals) > self._capacity and self.waiting:
            raise Refused(
                429,
                f"{self.waiting:,} rows wait to be written, {self._capacity:,} at most. Nothing "
                f"of this request was stored; try again in {RETRY_SECONDS} s.",
                "overloaded",
                {"retry-after": str(RETRY_SECONDS)},
            )
        assert self._loop is not None
        future: asyncio.Future[list[Outcome]] = self._loop.create_future()
        self.waiting += len(arrivals)
        self._queue.put(_Waiting(arrivals, future))
        return await future

    def _run(self) -> None:
        while True:
            group, ended = self._next()
            if group:
                self._commit(group)
            self._crowd = len(group) + self._queue.qsize()
            if ended:
                return

    def _next(self) -> tuple[list[_Waiting], bool]:
        """Everything that waits now, up to LARGEST rows; blocks until there is something."""
        first = self._queue.get()
        if first is None:
            return [], True
        for _ in range(LOOKS if self._crowd > 1 else 0):
            if self._queue.qsize() + 1 >= self._crowd:
                break
            time.sleep(GATHER_SECONDS / LOOKS)
        group, rows = [first], len(first.arrivals)
        while rows < LARGEST:
            try:
                more = self._queue.get_nowait()
            except queue.Empty:
                break
            if more is None:
                return group, True
            group.append(more)
            rows += len(more.arrivals)
        return group, False

    def _commit(self, group: list[_Waiting]) -> None:
        rows = [arrival for one in group for arrival in one.arrivals]
        started = time.perf_counter()
        try:
            found = self._store.arrivals.append(rows, self._clock())
        except (StoreBusy, StoreFull) as error:
            self._tell(group, error)
            return
        except Exception as error:  # whatever it is, whoever waits must hear of it
            # What one request brings must not fail its neighbours: each alone tells whose it is.
            if len(group) > 1:
                for one in group:
                    self._commit([one])
            else:
                self._tell(group, error)
            return
        self._committed(len(rows), time.perf_counter() - started)
        self._tell(group, found)

    def _tell(self, group: list[_Waiting], found: list[Outcome] | Exception) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._wake, group, found)

    def _wake(self, group: list[_Waiting], found: list[Outcome] | Exception) -> None:
        place = 0
        for one in group:
            size = len(one.arrivals)
            self.waiting -= size
            if not one.future.done():  # else whoever waited is gone; its rows are stored
                if isinstance(found, Exception):
                    one.future.set_exception(found)
                else:
                    one.future.set_result(found[place : place + size])
            place += size
