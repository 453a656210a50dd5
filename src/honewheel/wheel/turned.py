"""Verbs that turn the wheel: cycles, studies and searches, workers, and who is champion."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from honewheel.errors import HonewheelError, NotFound
from honewheel.loop import registry
from honewheel.loop.trigger import Due
from honewheel.records import AliasMove, Cycle, Decision, Progress
from honewheel.wheel.base import Opened, nobody

if TYPE_CHECKING:
    from honewheel.loop.waiting import Waiting
    from honewheel.store.jobs import Job
    from honewheel.train.warm import WarmProcess

_log = logging.getLogger(__name__)


class Turned(Opened):
    """What trains, measures, decides and serves."""

    _warm: WarmProcess | None = None

    def cycle(
        self,
        model: str | None = None,
        on_progress: Callable[[Progress], None] = nobody,
        schedule: str | None = None,
        reason: str = "asked for",
    ) -> Decision:
        """Run (or, after a crash, resume) one cycle of a model; returns the gate's decision.

        `schedule` is "light" or "deep" where the model has them; None goes by the model's own
        settings. `reason` is kept with the cycle and stands in its report, which is written when it
        ends: see `report`.
        """
        from honewheel.loop import cycle as loop  # numpy and all of curation: only when it turns

        name = self.config.model(model)[0]
        try:
            turn, decision = loop.run(
                self.store,
                self.config,
                name,
                clock=self.clock,
                listen=on_progress,
                schedule=schedule,
                reason=reason,
                warm=self._warm,
            )
        except HonewheelError:
            self._report_failure(name)
            raise
        self.report(turn.id)
        on_progress(Progress(stage="report", step=1, total=1, message=turn.id))
        return decision

    @contextmanager
    def warm(self, seconds: float = 300.0) -> Iterator[None]:
        """Within this block, cycles train as forks of one process that has loaded its libraries.

        Spares every cycle but the first several CPU seconds, and changes no weight. The process
        (some 350 MB) ends with the block, and after `seconds` without a training.
        """
        from honewheel.train.warm import WarmProcess

        with WarmProcess(seconds) as self._warm:
            try:
                yield
            finally:
                self._warm = None

    def due(
        self, model: str | None = None, on_progress: Callable[[Progress], None] = nobody
    ) -> Due:
        """Whether a cycle of a model is due now, why or why not, and when to look again.

        What has arrived is taken in first; asked again, it reads only what was said since. A call
        of `cycle` never asks this.
        """
        from honewheel.loop import due

        name = self.config.model(model)[0]
        waiting = self._waiting
        return due.due(self.store, self.config, name, self.clock(), on_progress, waiting)

    @cached_property
    def _waiting(self) -> Waiting:
        from honewheel.loop.waiting import Waiting

        return Waiting()

    def _report_failure(self, model: str) -> None:
        """Write how far a failed cycle got; the error that ended it is what the caller sees."""
        newest = next(iter(self.cycles(model, 1)), None)
        if newest is not None and newest.state == "failed":
            try:
                self.report(newest.id)
            except HonewheelError as error:
                _log.warning("no report of %s: %s", newest.id, error)

    def study(
        self,
        model: str | None = None,
        techniques: Sequence[str] = (),
        *,
        seeds: int = 3,
        curve: bool = False,
        on_progress: Callable[[Progress], None] = nobody,
    ) -> Any:
        """An ablation of `techniques` (those that are on by default): `.cost`, then `.run()`.

        Trains with and without each at equal compute and compares on the held-out prompts; see
        docs/how-to/ablate.md. Raises InputError, NotEnoughData.
        """
        from honewheel.loop.study import Ablation

        name = self.config.model(model)[0]
        return Ablation(
            self.store,
            self.config,
            name,
            techniques,
            seeds=seeds,
            curve=curve,
            clock=self.clock,
            listen=on_progress,
        )

    def search(
        self,
        model: str | None = None,
        *,
        only: Sequence[str] = (),
        trials: int | None = None,
        minutes: float | None = None,
        seeds: int = 2,
        on_progress: Callable[[Progress], None] = nobody,
    ) -> Any:
        """A search for hyperparameters on the validation split: `.run()`, then `.write(found)`.

        Ends after `trials` (12 when neither is given) or before `minutes` are over; see
        docs/how-to/search.md. Raises InputError, NotEnoughData, MissingExtra.
        """
        from honewheel.loop.search import HyperSearch

        return HyperSearch(
            self.store,
            self.config,
            self.config.model(model)[0],
            only=only,
            trials=trials,
            minutes=minutes,
            seeds=seeds,
            clock=self.clock,
            listen=on_progress,
        )

    def cycles(self, model: str | None = None, limit: int = 20) -> list[Cycle]:
        return list(self.store.cycles.list(model, limit))

    def report(self, cycle: str | None = None) -> Path:
        """Write (again) the report of a cycle, the newest by default; returns the HTML file."""
        from honewheel.report import collect, write

        found = cycle or next((item.id for item in self.cycles(limit=1)), None)
        if found is None:
            raise NotFound("There is no cycle yet, so nothing to report. Run: honewheel cycle")
        folder = self.config.state / "reports" / found
        return write.write(collect.collect(self.store, found), folder).html

    # --- work that runs by itself ---------------------------------------------------------------

    def work(
        self,
        *,
        once: bool = False,
        stop: threading.Event | None = None,
        tell: Callable[[str, dict[str, Any]], None] | None = None,
    ) -> int:
        """Be a worker: queue what is due, watch versions on trial, run queued cycles.

        Webhooks and the MLflow sink are told meanwhile. Works until `stop` is set, or, `once`,
        until nothing is left to do now; returns the number of jobs ended. `tell` hears each event's
        name and fields. Any number may work on one store.
        """
        from honewheel.loop import worker
        from honewheel.notify.sender import sending

        heard = tell or worker.quietly
        seconds = self.config.settings.worker.warm_seconds
        with sending(self.store, self.config, self.clock, heard), self.warm(seconds):
            return worker.Worker(
                self.store,
                self.config,
                self.cycle,
                self.clock,
                stop or threading.Event(),
                heard,
                waiting=self._waiting,
            ).run(once=once)

    def queue(
        self,
        model: str | None = None,
        *,
        schedule: str | None = None,
        reason: str = "asked for",
    ) -> Job:
        """Queue a cycle for a worker; the one that is open already, if there is one.

        Raises ConfigError when the model has no such schedule.
        """
        from honewheel.loop import worker

        name = self.config.model(model)[0]
        self.config.scheduled(name, schedule)
        return worker.add(self.store, name, schedule, reason)[0]

    def jobs(self, limit: int = 20) -> list[Job]:
        """The newest jobs, the newest first."""
        return list(self.store.jobs.list(limit))

    def cancel(self, job: int, *, reason: str = "asked for") -> Job:
        """Call a job off. A running one stops at its next step. Raises NotFound, InputError."""
        from honewheel.loop import worker

        return worker.cancel(self.store, job, reason, self.clock())

    def watch(self, model: str | None = None, limit: int = 5) -> list[dict[str, Any]]:
        """Versions on trial and former ones, the newest first, after taking in new outcomes."""
        from honewheel.loop import watch

        names = sorted(self.config.settings.models) if model is None else [model]
        found = []
        for name in names:
            watch.observe(self.store, self.config, self.config.model(name)[0], self.clock())
            found += [watch.standing(one) for one in self.store.deployments.list(name, limit)]
        return found

    # --- who is champion ------------------------------------------------------------------------

    def promote(self, version: str, *, force: str | None = None) -> AliasMove:
        """Make a version champion. Without `force` (a reason) only one that the gate promoted."""
        return registry.promote(self.store, self.config, version, force=force, now=self.clock())

    def rollback(self, model: str | None = None, *, reason: str = "asked for") -> AliasMove:
        """Make the champion before this one champion again."""
        name = self.config.model(model)[0]
        return registry.rollback(self.store, name, reason=reason, now=self.clock())
