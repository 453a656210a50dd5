"""The public object: one project's store, settings and loop behind a dozen verbs.

Everything the command line does goes through here, so a script can do the same.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from honewheel import config as settings_file
from honewheel.config import Config
from honewheel.errors import ConfigError, HonewheelError, InputError, NotFound
from honewheel.events import importers, suites
from honewheel.events.accept import accept
from honewheel.events.importers import Imported, Options, Preview
from honewheel.loop import lineage, registry, retention, status
from honewheel.loop.trigger import Due
from honewheel.records import (
    AliasMove,
    Cycle,
    Decision,
    Progress,
    Suite,
    SuiteRole,
    Version,
    as_dict,
)
from honewheel.store import Store, open_store

if TYPE_CHECKING:
    from honewheel.curate.ask import Ask
    from honewheel.loop.forget import Forgotten
    from honewheel.loop.quarantine import Waiting
    from honewheel.loop.queue import Failing
    from honewheel.loop.synthesize import Order, Synthesized
    from honewheel.loop.trend import Trend
    from honewheel.store.jobs import Job

STARTER = """\
# Every setting, its value and where it comes from: honewheel config
[project]
name = {name}

[models.artifacts]                 # a registered model: one base, one line of versions
family = "causal-lm"
base   = "honewheel/tiny"          # or a local folder, or a Hugging Face name in your cache
tasks  = ["erd", "ddl", "gherkin"]

[tasks.erd]
kind = "mermaid-erd"               # what an artifact is: check, facts, metric

[tasks.ddl]
kind = "sql"

[tasks.gherkin]
kind = "gherkin"
"""


_log = logging.getLogger(__name__)


def _nobody(_: Progress) -> None:
    """Listens to nothing."""


def now() -> datetime:
    """The wall clock; the one place the library reads it."""
    return datetime.now(UTC)


def init(folder: str | Path = ".") -> Path:
    """Write a starter honewheel.toml into `folder`; returns its path. Keeps an existing one.

    Raises ConfigError when there is one already.
    """
    path = Path(folder).resolve() / settings_file.FILE
    if path.exists():
        raise ConfigError(f"{path} exists already; nothing was changed.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STARTER.format(name=json.dumps(path.parent.name or "project")), "utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from error
    return path


def open(
    path: str | Path | None = None,
    *,
    set: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    clock: Callable[[], datetime] = now,
) -> Wheel:
    """The project at `path` (a folder or its honewheel.toml), else the nearest one upwards.

    `set` holds `key=value` settings that win over file and environment. Raises ConfigError.
    """
    start = Path.cwd() if path is None else Path(path).resolve()
    if not start.exists():
        raise ConfigError(f"There is no {start}.")
    file = start if start.is_file() else settings_file.find(start)
    return Wheel(settings_file.load(file, environment=environment, flags=set), clock=clock)


class Wheel:
    """One open project. Use as a context manager, or call `close()`."""

    def __init__(self, config: Config, *, clock: Callable[[], datetime] = now) -> None:
        self.config = config
        self.clock = clock
        self.store: Store = open_store(_absolute(config), config.root / config.settings.store.files)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.store.close()

    # --- what people said -----------------------------------------------------------------------

    def record(self, **row: Any) -> str:
        """Record a response with what was said of it, or (`response=ID`) say more of one.

        Keys are those of a feedback row (docs/reference/feedback.md): task, prompt, output,
        context, version, source, score, thumb, correction, comment, ... Returns the event id
        after the commit. Raises InputError; nothing is stored then.
        """
        found = accept(self.config, row, self.clock())
        self.store.log.append([found.response] if found.response else [], found.feedback)
        return found.id

    def import_file(
        self,
        path: str | Path,
        on_progress: Callable[[Progress], None] | None = None,
        **reading: Any,
    ) -> Imported:
        """Import a file of feedback; bad rows are quarantined with their reason.

        `reading` are the fields of `importers.Options` (format, task, columns, joined, scale);
        without any, the file's first rows tell how it is read. Raises InputError.
        """
        return importers.import_file(
            self.store,
            Path(path),
            Options(**reading),
            kinds=self._kinds(),
            now=self.clock(),
            on_progress=on_progress,
            redacted=self.config.settings.events.redact,
        )

    def import_preview(self, path: str | Path, **reading: Any) -> Preview:
        """How `import_file` would read a file: format, mapping, first rows, what is bad."""
        return importers.preview(
            Path(path), Options(**reading), kinds=self._kinds(), now=self.clock()
        )

    def synthesize(
        self,
        order: Order,
        *,
        keep: bool = True,
        on_progress: Callable[[Progress], None] = _nobody,
    ) -> Synthesized:
        """Make examples from documents, templates or a teacher; `keep` False stores nothing.

        They are marked as made up, only ever train, and are capped by `curate.synthetic_share`.
        Raises InputError, HonewheelError.
        """
        from honewheel.loop import synthesize

        return synthesize.run(
            self.store, self.config, order, now=self.clock(), keep=keep, listen=on_progress
        )

    def _kinds(self) -> dict[str, str]:
        return {name: task.kind for name, task in self.config.settings.tasks.items()}

    def suite_import(
        self, path: str | Path, *, task: str, name: str | None = None, role: SuiteRole = "panel"
    ) -> Suite:
        """Import a frozen suite of held-out items for `task`; it never trains.

        role "panel" adds it to what the task is judged on, "guard" only lets it forbid.
        """
        self.config.task(task)
        found = suites.read(Path(path), task=task, name=name or Path(path).stem, role=role)
        self.store.suites.add(found, self.clock())
        return found

    def suite_list(self) -> list[dict[str, Any]]:
        return [as_dict(row) for row in self.store.suites.list()]

    # --- what to look at ------------------------------------------------------------------------

    def ask(
        self,
        task: str | None = None,
        *,
        size: int = 20,
        on_progress: Callable[[Progress], None] = _nobody,
    ) -> tuple[Ask, ...]:
        """Responses that a person should look at next and why; a fifth is drawn at random.

        What has arrived is taken in first. Raises ConfigError, InputError, StoreBusy.
        """
        from honewheel.loop import queue

        return queue.ask(self.store, self.config, task=task, size=size, listen=on_progress)

    def failures(self, task: str | None = None) -> tuple[Failing, ...]:
        """What each champion scored low on, by finding and feature of the prompt.

        Raises ConfigError, NotFound.
        """
        from honewheel.loop import queue

        return queue.failures(self.store, self.config, task)

    # --- the wheel ------------------------------------------------------------------------------

    def cycle(
        self, model: str | None = None, on_progress: Callable[[Progress], None] = _nobody
    ) -> Decision:
        """Run (or, after a crash, resume) one cycle of a model; returns the gate's decision.

        The report is written when it ends: see `report`.
        """
        from honewheel.loop import cycle as loop  # numpy and all of curation: only when it turns

        name = self.config.model(model)[0]
        try:
            turn, decision = loop.run(
                self.store, self.config, name, clock=self.clock, listen=on_progress
            )
        except HonewheelError:
            self._report_failure(name)
            raise
        self.report(turn.id)
        on_progress(Progress(stage="report", step=1, total=1, message=turn.id))
        return decision

    def due(
        self, model: str | None = None, on_progress: Callable[[Progress], None] = _nobody
    ) -> Due:
        """Whether a cycle of a model is due now, why or why not, and when to look again.

        What has arrived is taken in first. A call of `cycle` never asks this.
        """
        from honewheel.loop import due

        name = self.config.model(model)[0]
        return due.due(self.store, self.config, name, self.clock(), on_progress)

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
        on_progress: Callable[[Progress], None] = _nobody,
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
        on_progress: Callable[[Progress], None] = _nobody,
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

    # --- what is learnt from --------------------------------------------------------------------

    def sample(
        self,
        *,
        task: str | None = None,
        prompts: int = 20,
        outputs: int = 4,
        temperature: float = 0.8,
        on_progress: Callable[[Progress], None] = _nobody,
    ) -> list[dict[str, Any]]:
        """Let the champions answer uncorrected training prompts, each 2 to 5 times.

        The answers are recorded as responses, which the next cycle ranks into preference pairs.
        One entry a model: version, prompts asked, distinct answers recorded, their event ids.
        Raises InputError, ConfigError, StoreBusy.
        """
        from honewheel.loop import sample as sampling

        found = sampling.sample(
            self.store,
            self.config,
            task=task,
            prompts=prompts,
            outputs=outputs,
            temperature=temperature,
            clock=self.clock,
            listen=on_progress,
        )
        return [as_dict(one) for one in found]

    def dataset_list(self) -> list[dict[str, Any]]:
        """Every sealed dataset, the newest first, with its counts of rows."""
        from honewheel.loop import datasets

        return datasets.listed(self.store)

    def dataset_show(self, name: str = "newest") -> dict[str, Any]:
        """What a dataset holds; `name` is digits of its hash, its cycle, or "newest".

        Raises NotFound, Damaged.
        """
        from honewheel.loop import datasets

        return datasets.shown(self.store, name)

    def dataset_export(
        self,
        name: str,
        path: str | Path,
        *,
        format: Literal["sft", "dpo", "kto", "chat"] = "sft",
        side: Literal["train", "val", "all"] = "train",
    ) -> int:
        """Write a dataset as JSONL in a shape that TRL reads; returns the number of rows.

        Raises InputError when the file exists already or there are no such rows.
        """
        from honewheel.loop import datasets

        return datasets.export(self.store, name, format, Path(path), side)

    # --- what there is --------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Counts of events, cycles and datasets, what was dropped and why, panels, champions."""
        return status.status(self.store, self.config)

    def versions(self, model: str | None = None) -> list[Version]:
        return list(self.store.versions.list(self.config.model(model)[0]))

    def version(self, name: str) -> Version:
        """The version called `name`: "artifacts@3", "artifacts" (its champion), "@3" or "3"."""
        return registry.find(self.store, self.config, name)

    def show(self, name: str) -> dict[str, Any]:
        """Everything known of a version, a cycle or an event."""
        return registry.show(self.store, self.config, name)

    def trace(self, name: str) -> dict[str, Any]:
        """From an event to every version it shaped, or from a version to the events behind it."""
        return lineage.trace(self.store, self.config, name)

    def diff(self, left: str, right: str, *, outputs: int = 5) -> dict[str, Any]:
        """Two versions of a model side by side: data, training, scores, differing answers.

        Raises NotFound, InputError.
        """
        from honewheel.loop import diff

        return diff.diff(self.store, self.config, left, right, outputs=outputs)

    def explain(self, event: str) -> dict[str, Any]:
        """Whether an event was trained on, and if not, why."""
        return lineage.explain(self.store, self.config, event)

    def trend(self, task: str, last: int = 20) -> Trend:
        """A task over its newest `last` finished cycles, oldest first."""
        from honewheel.loop import trend

        return trend.trend(self.store, self.config, task, last)

    def trend_plot(self, found: Trend, path: str | Path) -> Path:
        """Draw a trend into a PNG file. Raises NotEnoughData, MissingExtra, InputError."""
        from honewheel.report import trend

        png = trend.draw(found)
        try:
            Path(path).write_bytes(png)
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror}.") from error
        return Path(path)

    # --- what is held back ----------------------------------------------------------------------

    def held(self) -> list[Waiting]:
        """What scans hold or flag, bridging events, rulings, and rows refused at import."""
        from honewheel.loop import quarantine

        return quarantine.held(self.store, self.config)

    def release(self, *events: str, reason: str, by: str) -> list[dict[str, Any]]:
        """Let held events train again from the next cycle on; the rulings, as recorded.

        Raises NotFound, InputError (not held, or it would leak).
        """
        return self._rule(events, "release", reason, by)

    def drop(self, *events: str, reason: str, by: str) -> list[dict[str, Any]]:
        """Keep events out of every later dataset. Raises NotFound, InputError."""
        return self._rule(events, "drop", reason, by)

    def _rule(
        self, events: Sequence[str], verdict: Literal["release", "drop"], reason: str, by: str
    ) -> list[dict[str, Any]]:
        from honewheel.loop import quarantine

        found = quarantine.rule(
            self.store, self.config, events, verdict, reason=reason, who=by, at=self.clock()
        )
        return [as_dict(one) for one in found]

    # --- work that runs by itself ---------------------------------------------------------------

    def work(
        self,
        *,
        once: bool = False,
        stop: threading.Event | None = None,
        tell: Callable[[str, dict[str, Any]], None] | None = None,
    ) -> int:
        """Be a worker: queue what is due, watch versions on trial, run queued cycles.

        Works until `stop` is set, or, `once`, until nothing is left to do now; returns the number
        of jobs ended. `tell` hears each event's name and fields. Any number may work on one store.
        """
        from honewheel.loop import worker

        return worker.Worker(
            self.store,
            self.config,
            self.cycle,
            self.clock,
            stop or threading.Event(),
            tell or worker.quietly,
        ).run(once=once)

    def queue(self, model: str | None = None, *, reason: str = "asked for") -> Job:
        """Queue a cycle for a worker; the one that is open already, if there is one."""
        from honewheel.loop.worker import CYCLE

        return self.store.jobs.add(CYCLE, self.config.model(model)[0], reason=reason)[0]

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

    # --- forgetting -----------------------------------------------------------------------------

    def forget(
        self,
        *events: str,
        source: str | None = None,
        subject: str | None = None,
        reason: str,
        by: str,
    ) -> Forgotten:
        """Erase events by id, by a source that spoke of them, or by a text they mention.

        Names the versions that learnt from them, queues a retrain of those in use, and searches
        every table and file for what was erased. Raises NotFound, InputError, StoreBusy.
        """
        from honewheel.loop import forget

        return forget.forget(
            self.store,
            self.config,
            events=events,
            source=source,
            subject=subject,
            who=by,
            reason=reason,
            now=self.clock(),
        )

    # --- housekeeping ---------------------------------------------------------------------------

    def gc(self, *, dry_run: bool = False) -> dict[str, Any]:
        """Remove files no live lineage needs; says what and how many bytes."""
        return retention.collect(self.store, self.config, dry_run=dry_run)

    def doctor(self) -> list[dict[str, Any]]:
        """Checks of machine, packages, store, bases: each with ok, what was found, what to do."""
        from honewheel.loop import doctor

        return doctor.examine(self.store, self.config)


def _absolute(config: Config) -> str:
    """The store's URL with a relative SQLite path made absolute below the project."""
    url = config.settings.store.url
    prefix = "sqlite:///"
    if not url.startswith(prefix):
        return url
    if url == prefix:
        raise InputError("store.url names no file; write sqlite:///.honewheel/store.db")
    return f"{prefix}{(config.root / url.removeprefix(prefix)).resolve()}"


__all__ = ["Wheel", "init", "open"]
