"""A cycle's memory of its finished steps: run again and it meets what is already there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from honewheel.records import Cycle, Json, digest
from honewheel.store import Store


@dataclass(frozen=True, slots=True)
class Journal:
    """Writes one row a step, keyed by the hash of the step's inputs."""

    store: Store
    cycle: Cycle
    clock: Callable[[], datetime]

    def step(self, name: str, inputs: Json, work: Callable[[], Json]) -> Mapping[str, Any]:
        """Output of step `name`: from the journal when its inputs are the same, else of `work`.

        Work is at-least-once and therefore idempotent; the row makes its result exactly-once.
        """
        key = digest(inputs)
        found = self.store.cycles.step(self.cycle.id, name)
        if found is not None and found[0] == key:
            return dict(found[1])
        work_output = work()
        self.store.cycles.save_step(self.cycle.id, name, key, work_output, self.clock())
        return dict(work_output) if isinstance(work_output, Mapping) else {}
