"""Verbs that show what there is, and keep the house: nothing here trains or decides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from honewheel.errors import InputError
from honewheel.loop import lineage, registry, retention, status
from honewheel.records import Version
from honewheel.wheel.base import Opened

if TYPE_CHECKING:
    from honewheel.loop.trend import Trend


class Shown(Opened):
    """Counts, versions, lineage, trends; and what may be deleted."""

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

    # --- housekeeping ---------------------------------------------------------------------------

    def gc(self, *, dry_run: bool = False) -> dict[str, Any]:
        """Remove files no live lineage needs; says what and how many bytes."""
        return retention.collect(self.store, self.config, dry_run=dry_run)

    def doctor(self) -> list[dict[str, Any]]:
        """Checks of machine, packages, store, bases: each with ok, what was found, what to do."""
        from honewheel.loop import doctor

        return doctor.examine(self.store, self.config)
