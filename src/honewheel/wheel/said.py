"""Verbs for what people said: record and import it, rule on what is held back, forget it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from honewheel.events import importers, redact, suites
from honewheel.events.accept import accept
from honewheel.events.importers import Imported, Options, Preview
from honewheel.records import Progress, Suite, SuiteRole, as_dict
from honewheel.wheel.base import Opened, nobody

if TYPE_CHECKING:
    from honewheel.loop.forget import Forgotten
    from honewheel.loop.quarantine import Waiting
    from honewheel.loop.synthesize import Order, Synthesized


class Said(Opened):
    """What enters the log and the suites, and what is kept out of training."""

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
            redacted=redact.of(self.config.settings.events),
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
        on_progress: Callable[[Progress], None] = nobody,
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
