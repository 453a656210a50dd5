"""The worker: looks at what is due, takes one job at a time, and can be killed at any moment.

A job is leased (store/jobs.py). A thread prolongs the lease while the work goes on; the work itself
asks at each step whether it may go on. What a killed worker left is a cycle that the next one
resumes: the cycle's journal makes each effect happen once, and the fence refuses a worker that
comes back after its lease ran out.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from honewheel.config import Config
from honewheel.errors import (
    Cancelled,
    Fenced,
    HonewheelError,
    MissingExtra,
    Moved,
    NothingNew,
    Stopped,
    StoreBusy,
    StoreError,
    StoreFull,
    TrainingStopped,
)
from honewheel.loop import drift, due, ready, watch
from honewheel.loop.waiting import Waiting
from honewheel.records import Cycle, Decision, Json, Progress
from honewheel.store import Store
from honewheel.store.jobs import Job

CYCLE = "cycle"
LONGEST_PAUSE = timedelta(minutes=10)  # before a job that failed for want of space or memory again

# (model, listener, schedule, reason) -> the decision of the cycle that was run or resumed
Turn: TypeAlias = Callable[[str, Callable[[Progress], None], str | None, str], Decision]
Tell: TypeAlias = Callable[[str, dict[str, Any]], None]

_log = logging.getLogger(__name__)


def name() -> str:
    """A name for a worker that no other has: host, process, and four random digits."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"


def quietly(event: str, fields: dict[str, Any]) -> None:
    """Tells nobody."""


@dataclass
class Worker:
    """One worker. `turn` runs (or resumes) one cycle of a model; `stop` asks it to end.

    `tell` hears what happens: an event's name, and its fields with the ids of worker and job.
    """

    store: Store
    config: Config
    turn: Turn
    clock: Callable[[], datetime]
    stop: threading.Event = field(default_factory=threading.Event)
    tell: Tell = quietly
    name: str = field(default_factory=name)
    waiting: Waiting = field(default_factory=Waiting)
    _unready: set[str] = field(default_factory=set)

    def run(self, *, once: bool = False) -> int:
        """Work until asked to stop, or, `once`, until nothing is due and no job waits.

        Returns the number of jobs it ended. A job that is running when it is asked to stop is
        left resumable, and its lease given back at once.
        """
        ended = 0
        self._told("worker started", poll_seconds=self.config.settings.worker.poll_seconds)
        while not self.stop.is_set():
            self.look()
            found = self.store.jobs.claim(self.name, self._lease)
            if found is not None:
                ended += self.work(found)
            elif once:
                break
            else:
                self.stop.wait(self.config.settings.worker.poll_seconds)
        self._told("worker stopped", jobs=ended)
        return ended

    def look(self) -> None:
        """Take in outcomes of versions on trial, and queue the cycles that are due."""
        for model in sorted(self.config.settings.models):
            try:
                self._watch(model)
                self._queue_due(model)
            except StoreBusy as error:  # somebody else looks at the same time
                self._told("not looked at", model=model, why=str(error))

    def _watch(self, model: str) -> None:
        before = self.store.deployments.current(model)
        after = watch.observe(self.store, self.config, model, self.clock())
        for told in watch.news(before, after):
            self._told("trial", **told)

    def _queue_due(self, model: str) -> None:
        """Queue what is due: first to measure what an alarm is about, then to learn.

        Nothing is due of a model that cannot be trained here; that is told once.
        """
        try:
            ready.require(self.config, model)
        except MissingExtra as error:
            if model not in self._unready:
                self._told("not ready", model=model, why=str(error))
            self._unready.add(model)
            return
        if any(job.ended_at is None for job in self.store.jobs.list(5, model)):
            return
        if alarms := drift.to_measure(self.store, self.config, model):
            told = [one.told for one in alarms]
            asked: Json = {"alarms": told, "seq": max(one.seq for one in alarms)}
            why = f"drift: {'; '.join(told)}"
            job, _ = self.store.jobs.add(drift.MEASURE, model, reason=why, asked=asked)
            self._told("queued", job=job.id, model=model, why=why)
            return
        found = due.due(self.store, self.config, model, self.clock(), lambda _: None, self.waiting)
        if found.fire:
            job, new = add(self.store, model, found.schedule, "; ".join(found.reasons))
            if new:
                named = {"schedule": found.schedule} if found.schedule else {}
                self._told("queued", job=job.id, model=model, **named, why=job.reason)

    def work(self, job: Job) -> bool:
        """Do a claimed job; returns whether it ended (else it waits again, or is another's)."""
        self._told("job started", job=job.id, model=job.model, attempt=job.attempt, why=job.reason)
        if job.attempt > self.config.settings.worker.attempts:
            return self._give_up(job)
        with _Pulse(self.store, job, self._lease, self.stop).beating() as pulse:
            try:
                with self.store.jobs.fenced(job):
                    return self._done(job, pulse)
            except Fenced as error:
                self._told("job lost", job=job.id, model=job.model, why=str(error))
            except Stopped:
                self._back(job, timedelta(), counted=False, why="asked to stop")
            except (TrainingStopped, StoreFull) as error:
                pause = min(LONGEST_PAUSE, timedelta(seconds=15 * 2**job.attempt))
                self._back(job, pause, counted=True, why=str(error))
            except StoreBusy as error:
                pause = timedelta(seconds=self.config.settings.worker.poll_seconds)
                self._back(job, pause, counted=False, why=str(error))
        return False

    def _done(self, job: Job, pulse: _Pulse) -> bool:
        """Turn the wheel, or measure the champion, and end the job with what came out."""
        if (known := self._turned(job)) is not None and known.state != "running":
            return self._ended(job, known)
        noted = known is not None

        def listen(step: Progress) -> None:
            nonlocal noted
            if not noted and job.kind == CYCLE:
                noted = self._note(job)
            self._step(job, pulse, step)

        try:
            if job.kind == drift.MEASURE:
                found = drift.measure(self.store, self.config, job.model, listen)
                return self._finish(job, "done", **found)
            decision = self.turn(job.model, listen, job.asked.get("schedule"), job.reason)
        except NothingNew as error:
            return self._finish(job, "done", verdict="nothing new", why=str(error))
        except Cancelled as error:
            return self._finish(job, "cancelled", error=str(error))
        except HonewheelError as error:
            passing = (Stopped, Fenced, StoreBusy, StoreFull, TrainingStopped)
            if isinstance(error, passing) and not isinstance(error, Moved):
                raise
            return self._finish(job, "failed", error=str(error))
        newest = next(iter(self.store.cycles.list(job.model, 1)))
        return self._finish(job, "done", **_result(newest, decision))

    def _note(self, job: Job) -> bool:
        """Write down which cycle a job turns; whether it is known by now."""
        running = self.store.cycles.running(job.model)
        if running is not None:
            self.store.jobs.turns(job, running.id)
        return running is not None

    def _turned(self, job: Job) -> Cycle | None:
        """The cycle that a worker before this one turned for the job, if any."""
        name = (job.result or {}).get("cycle")
        return None if name is None else self.store.cycles.get(name)

    def _ended(self, job: Job, cycle: Cycle) -> bool:
        """End a job whose worker was stopped after the cycle had ended: it is not turned again."""
        decision = self.store.versions.decision(cycle.id)
        if cycle.state == "done" and decision is not None:
            return self._finish(job, "done", **_result(cycle, decision))
        state = "failed" if job.cancel is None else "cancelled"
        return self._finish(job, state, error=str(cycle.error))

    def _step(self, job: Job, pulse: _Pulse, step: Progress) -> None:
        pulse.require()
        if step.total == 1 and step.message:
            self._told("step", job=job.id, model=job.model, stage=step.stage, said=step.message)

    def _finish(self, job: Job, state: Any, **result: Any) -> bool:
        self.store.jobs.finish(job, state, result)
        self._told(f"job {state}", job=job.id, model=job.model, **result)
        return True

    def _back(self, job: Job, after: timedelta, *, counted: bool, why: str) -> None:
        try:
            self.store.jobs.give_back(job, after=after, counted=counted)
        except Fenced as error:
            why = str(error)
        self._told("job given back", job=job.id, model=job.model, why=why)

    def _give_up(self, job: Job) -> bool:
        """End a job that was tried too often, and the cycle it could not finish."""
        told = (
            f"given up after {job.attempt - 1} attempts (worker.attempts); the last worker died, "
            "or training was killed each time. See the cycle's child.log, then queue it again."
        )
        with self.store.jobs.fenced(job):
            if (known := self._turned(job)) is not None and known.state != "running":
                return self._ended(job, known)
            if job.kind == CYCLE:
                end_cycle(self.store, job.model, told, self.clock())
            return self._finish(job, "failed", error=told)

    @property
    def _lease(self) -> timedelta:
        return timedelta(seconds=self.config.settings.worker.lease_seconds)

    def _told(self, event: str, **fields: Any) -> None:
        self.tell(event, {"worker": self.name, **fields})


class _Pulse:
    """Prolongs a lease from a thread of its own, and knows when the work must stop."""

    def __init__(self, store: Store, job: Job, lease: timedelta, stop: threading.Event) -> None:
        self._store, self._job, self._lease, self._stop = store, job, lease, stop
        self._over = threading.Event()
        self._why: HonewheelError | None = None

    @contextmanager
    def beating(self) -> Iterator[_Pulse]:
        thread = threading.Thread(target=self._beat, name=f"job {self._job.id}", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()

    def require(self) -> None:
        """Raise Fenced, Cancelled or Stopped when the work must not go on."""
        if self._why is not None:
            raise self._why
        if self._stop.is_set():
            raise Stopped("The worker was asked to stop; the cycle goes on with the next one.")

    def _beat(self) -> None:
        while not self._over.wait(self._lease.total_seconds() / 3):
            try:
                reason = self._store.jobs.beat(self._job, self._lease)
            except Fenced as error:
                self._why = error
                return
            except StoreError as error:  # the lease bears some misses; the fence guards the rest
                _log.warning("job %s: no heartbeat: %s", self._job.id, error)
                continue
            if reason is not None:
                self._why = Cancelled(f"Cancelled: {reason}")


def _result(cycle: Cycle, decision: Decision) -> dict[str, Any]:
    """What a job is told to have given."""
    named = {"schedule": cycle.schedule} if cycle.schedule else {}
    return {"cycle": cycle.id, "verdict": decision.verdict, "why": decision.reasons[0], **named}


def add(store: Store, model: str, schedule: str | None, reason: str) -> tuple[Job, bool]:
    """Queue a cycle, by a schedule of the model or (None) its own settings; (job, is it new)."""
    asked: Json = {"schedule": schedule} if schedule else {}
    return store.jobs.add(CYCLE, model, reason=reason, asked=asked)


def cancel(store: Store, number: int, reason: str, now: datetime) -> Job:
    """Call a job off; a cycle that it had left unfinished ends as failed, with the reason.

    Raises NotFound, InputError (it has ended).
    """
    found = store.jobs.cancel(number, reason)
    if found.state == "cancelled" and found.kind == CYCLE:
        with suppress(StoreBusy):  # a cycle that somebody turns is not one that was left
            end_cycle(store, found.model, f"Cancelled: {reason}", now)
    return found


def end_cycle(store: Store, model: str, why: str, now: datetime) -> None:
    """End a cycle of `model` that was cut short. Raises StoreBusy while somebody turns it."""
    if store.cycles.running(model) is None:
        return
    with store.exclusive(f"cycle:{model}"):
        running = store.cycles.running(model)
        if running is not None:
            store.cycles.finish(running.id, "failed", None, why, now)
