"""Cycles started over HTTP: each runs in a thread of its own, and its progress can be followed.

The training itself is a child process, as always; a server that is stopped leaves a cycle that the
next start resumes.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from honewheel.errors import HonewheelError, NothingNew, StoreBusy
from honewheel.records import Progress, as_dict
from honewheel.server import answers
from honewheel.wheel import Wheel

KEPT = 20  # runs whose progress is remembered
STEPS = 5_000  # of one run
LOOK_SECONDS = 0.2
START_SECONDS = 30.0  # within which a cycle has been journaled, or has failed

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Run:
    """One call of `wheel.cycle`: what it said, and how it ended."""

    model: str
    cycle: str | None = None
    said: list[Progress] = field(default_factory=list)
    dropped: int = 0
    done: bool = False
    error: HonewheelError | None = None

    def hear(self, step: Progress) -> None:
        self.said.append(step)
        if len(self.said) > STEPS:
            del self.said[: STEPS // 2]
            self.dropped += STEPS // 2


class Cycles:
    """The cycles that this server runs."""

    def __init__(self, wheel: Wheel) -> None:
        self._wheel = wheel
        self._runs: OrderedDict[str, _Run] = OrderedDict()
        self._busy: set[str] = set()

    async def start(self, model: str | None) -> str:
        """Start (or resume) a cycle; its id once it is journaled.

        Raises ConfigError, NothingNew, StoreBusy (one of this model is running), and whatever
        ends it before it is journaled.
        """
        name = self._wheel.config.model(model)[0]
        if name in self._busy:
            raise StoreBusy(f"A cycle of {name} is running already.")
        run = _Run(name)
        before = {one.id for one in await asyncio.to_thread(self._wheel.cycles, name, 1_000)}
        self._busy.add(name)
        threading.Thread(
            target=self._run, args=(run,), name=f"honewheel-cycle-{name}", daemon=True
        ).start()
        return await self._journaled(run, before)

    def _run(self, run: _Run) -> None:
        try:
            self._wheel.cycle(run.model, run.hear)
        except HonewheelError as error:
            run.error = error
            level = logging.INFO if isinstance(error, NothingNew) else logging.WARNING
            _log.log(level, "cycle of %s: %s", run.model, error)
        finally:
            self._busy.discard(run.model)
            run.done = True

    async def _journaled(self, run: _Run, before: set[str]) -> str:
        """The id of the run's cycle. Raises what ended it without one."""
        for _ in range(round(START_SECONDS / LOOK_SECONDS)):
            found = await asyncio.to_thread(self._wheel.cycles, run.model, 1)
            if found and (found[0].id not in before or found[0].state == "running"):
                run.cycle = found[0].id
                self._runs[run.cycle] = run
                while len(self._runs) > KEPT:
                    self._runs.popitem(last=False)
                return run.cycle
            if run.done and run.error is not None:
                raise run.error
            await asyncio.sleep(LOOK_SECONDS)
        raise StoreBusy(f"The cycle of {run.model} has not started within {START_SECONDS:g} s.")

    async def follow(self, cycle: str, after: int) -> AsyncIterator[bytes]:
        """Server-sent events of a cycle from number `after` on: `progress`, then one `end`.

        A cycle that runs elsewhere, or ran before this server started, has no steps to tell: only
        its end, once it is there.
        """
        run = self._runs.get(cycle)
        number = after
        while True:
            ended = await self._ended(cycle, run)
            if run is not None:
                number = max(number, run.dropped)
                for step in run.said[number - run.dropped :]:
                    number += 1
                    yield answers.sse(as_dict(step), number=number, event="progress")
            if ended is not None:
                yield answers.sse(ended, number=number + 1, event="end")
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _ended(self, cycle: str, run: _Run | None) -> dict[str, Any] | None:
        """The cycle, once nothing more happens to it here."""
        if run is not None and not run.done:
            return None
        found = await asyncio.to_thread(self._wheel.store.cycles.get, cycle)
        if found.state == "running" and run is None:
            return None
        return summary(found) | {"stopped": found.state == "running"}


def summary(cycle: Any) -> dict[str, Any]:
    """A cycle without its settings."""
    return {key: value for key, value in as_dict(cycle).items() if key != "config"}
