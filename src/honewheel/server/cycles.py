"""The worker inside the server, and the progress of what it runs.

A cycle that is asked for over HTTP is a job like any other (store/jobs.py). The server's own worker
takes it at once; with `--no-worker` it waits for a worker elsewhere. The training itself is a child
process, as always; a server that is stopped leaves a cycle that the next worker goes on with.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from honewheel import logs
from honewheel.errors import HonewheelError, NotEnoughData, NothingNew, StoreBusy
from honewheel.loop import ready
from honewheel.loop.worker import Worker
from honewheel.notify.sender import sending
from honewheel.records import Cycle, Decision, Progress, as_dict
from honewheel.server import answers
from honewheel.store.jobs import Job
from honewheel.wheel import Wheel

KEPT = 20  # runs whose progress is remembered
STEPS = 5_000  # of one run
LOOK_SECONDS = 0.1
START_SECONDS = 30.0  # within which a job has come so far that its cycle is journaled
STOP_SECONDS = 10.0  # for the running step, when the server is stopped

_log = logging.getLogger(__name__)


class Bell(threading.Event):
    """The event that stops a worker; its pause also ends when it is rung."""

    def __init__(self) -> None:
        super().__init__()
        self._rung = threading.Event()

    def ring(self) -> None:
        """Have the worker look at once."""
        self._rung.set()

    def set(self) -> None:
        super().set()
        self._rung.set()

    def wait(self, timeout: float | None = None) -> bool:
        self._rung.wait(timeout)
        self._rung.clear()
        return self.is_set()


@dataclass(slots=True)
class _Run:
    """One turn of the wheel: what it said, and whether it is over."""

    model: str
    said: list[Progress] = field(default_factory=list)
    dropped: int = 0
    done: bool = False

    def hear(self, step: Progress) -> None:
        self.said.append(step)
        if len(self.said) > STEPS:
            del self.said[: STEPS // 2]
            self.dropped += STEPS // 2


class Cycles:
    """The cycles that this server runs, or has asked others to run."""

    def __init__(self, wheel: Wheel, *, worker: bool) -> None:
        """With `worker` one works in a thread of the server, from `begin` to `end`."""
        self._wheel = wheel
        self._bell = Bell()
        self._thread: threading.Thread | None = None
        self._runs: OrderedDict[str, _Run] = OrderedDict()  # by cycle
        self.worker = worker

    def begin(self) -> None:
        if self.worker:
            self._thread = threading.Thread(target=self._work, name="honewheel-worker", daemon=True)
            self._thread.start()

    async def end(self) -> None:
        """Stop the worker at its next step; what it runs goes on with the next worker."""
        self._bell.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, STOP_SECONDS)

    def _work(self) -> None:
        """Be a worker until the server stops; what ends one, as a database that restarts does,
        is logged, and the next one begins after a pause.
        """
        wheel = self._wheel
        pause = wheel.config.settings.worker.poll_seconds
        while not self._bell.is_set():
            try:
                with sending(wheel.store, wheel.config, wheel.clock, _tell):
                    Worker(
                        wheel.store, wheel.config, self._turn, wheel.clock, self._bell, _tell
                    ).run()
            except HonewheelError as error:
                _log.error("the worker ended: %s Another begins in %g s.", error, pause)
            except Exception:  # a fault of ours must not leave a server without its worker
                _log.exception("the worker ended; another begins in %g s", pause)
            else:
                return
            self._bell.wait(pause)

    def _turn(
        self, model: str, listen: Callable[[Progress], None], schedule: str | None, reason: str
    ) -> Decision:
        run = _Run(model)

        def hear(step: Progress) -> None:
            self._known(run)
            run.hear(step)
            listen(step)

        try:
            return self._wheel.cycle(model, hear, schedule, reason)
        finally:
            run.done = True

    def _known(self, run: _Run) -> None:
        """File a run under its cycle, which is journaled before it first says something."""
        if run.said:
            return
        found = self._wheel.store.cycles.running(run.model)
        if found is not None:
            self._runs[found.id] = run
            while len(self._runs) > KEPT:
                self._runs.popitem(last=False)

    # --- what HTTP asks -------------------------------------------------------------------------

    async def start(
        self, model: str | None, reason: str, schedule: str | None = None
    ) -> dict[str, Any]:
        """Queue a cycle; its `job`, and its id as soon as it is journaled (None: it waits).

        Raises ConfigError, NothingNew, NotEnoughData, MissingExtra.
        """
        name = self._wheel.config.model(model)[0]
        if self.worker:
            ready.require(self._wheel.config, name)
        before = {one.id for one in await asyncio.to_thread(self._wheel.cycles, name, 1_000)}
        job = await asyncio.to_thread(self._queue, name, reason, schedule)
        for _ in range(round(START_SECONDS / LOOK_SECONDS) if self.worker else 0):
            found, now = await asyncio.to_thread(self._journaled, job, before)
            if found is not None:
                return {"job": job.id, "id": found}
            if now.ended_at is not None:
                if (now.result or {}).get("cycle") not in before:
                    raise _ended_early(now)
                # It was about to end when it was taken for the one that is asked for.
                job = await asyncio.to_thread(self._queue, name, reason, schedule)
            await asyncio.sleep(LOOK_SECONDS)
        return {"job": job.id, "id": None}

    def _queue(self, model: str, reason: str, schedule: str | None) -> Job:
        job = self._wheel.queue(model, schedule=schedule, reason=reason)
        self._bell.ring()
        return job

    def _journaled(self, job: Job, before: set[str]) -> tuple[str | None, Job]:
        """The id of the cycle that a job runs, once it is journaled; and the job as it is now."""
        now = self._wheel.store.jobs.get(job.id)
        newest = next(iter(self._wheel.cycles(job.model, 1)), None)
        if newest is not None and (newest.id not in before or newest.state == "running"):
            return newest.id, now
        return None, now

    async def follow(self, cycle: str, after: int) -> AsyncIterator[bytes]:
        """Server-sent events of a cycle from number `after` on: `progress`, then one `end`.

        A cycle that runs elsewhere, or ran before this server started, has no steps to tell: only
        its end, once it is there.
        """
        number = after
        while True:
            run = self._runs.get(cycle)
            ended = await self._ended(cycle, run)
            if run is not None:
                number = max(number, run.dropped)
                for step in run.said[number - run.dropped :]:
                    number += 1
                    yield answers.sse(as_dict(step), number=number, event="progress")
            if ended is not None:
                yield answers.sse(summary(ended), number=number + 1, event="end")
                return
            if self._bell.is_set():
                return  # the server stops; the client comes back to the next one
            await asyncio.sleep(LOOK_SECONDS)

    async def _ended(self, cycle: str, run: _Run | None) -> Cycle | None:
        """The cycle, once nothing more is said of it."""
        if run is not None and not run.done:
            return None
        found = await asyncio.to_thread(self._wheel.store.cycles.get, cycle)
        return None if found.state == "running" else found


def summary(cycle: Cycle) -> dict[str, Any]:
    """A cycle without its settings."""
    return {key: value for key, value in as_dict(cycle).items() if key != "config"}


def _ended_early(job: Job) -> Exception:
    result = job.result or {}
    why = str(result.get("error") or result.get("why") or f"the job is {job.state}")
    if result.get("verdict") == "nothing new":
        return NothingNew(why)
    return StoreBusy(why) if job.state == "cancelled" else NotEnoughData(why)


def _tell(event: str, fields: dict[str, Any]) -> None:
    logs.note(_log, event, **fields)
