"""The public object: one project's store, settings and loop behind a dozen verbs.

Everything the command line does goes through here, so a script can do the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from honewheel import config as settings_file
from honewheel.config import Config
from honewheel.errors import ConfigError, HonewheelError, InputError, NotFound
from honewheel.events import importers, ingest, suites
from honewheel.events.importers import Imported
from honewheel.loop import lineage, registry, retention, status
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
        found = ingest.entry(row, now=self.clock(), fresh_id=True)
        if found.response:
            self.config.task(found.response.task)
        self.store.log.append([found.response] if found.response else [], found.feedback)
        return found.id

    def import_file(
        self, path: str | Path, on_progress: Callable[[Progress], None] | None = None
    ) -> Imported:
        """Import a JSONL file of feedback rows; bad rows are quarantined with their reason."""
        return importers.import_jsonl(
            self.store,
            Path(path),
            tasks=tuple(self.config.settings.tasks),
            now=self.clock(),
            on_progress=on_progress,
        )

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

    def _report_failure(self, model: str) -> None:
        """Write how far a failed cycle got; the error that ended it is what the caller sees."""
        newest = next(iter(self.cycles(model, 1)), None)
        if newest is not None and newest.state == "failed":
            try:
                self.report(newest.id)
            except HonewheelError as error:
                _log.warning("no report of %s: %s", newest.id, error)

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

    def explain(self, event: str) -> dict[str, Any]:
        """Whether an event was trained on, and if not, why."""
        return lineage.explain(self.store, self.config, event)

    # --- who is champion ------------------------------------------------------------------------

    def promote(self, version: str, *, force: str | None = None) -> AliasMove:
        """Make a version champion. Without `force` (a reason) only one that the gate promoted."""
        return registry.promote(self.store, self.config, version, force=force, now=self.clock())

    def rollback(self, model: str | None = None, *, reason: str = "asked for") -> AliasMove:
        """Make the champion before this one champion again."""
        name = self.config.model(model)[0]
        return registry.rollback(self.store, name, reason=reason, now=self.clock())

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
