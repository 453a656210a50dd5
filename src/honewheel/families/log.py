"""What a run writes down of its way, and how fast it goes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import torch

from honewheel.records import Progress, as_dict

FILE = "log.jsonl"


def write(run_dir: Path, progress: Progress) -> None:
    """One line more in the log: `progress`, with the time and the number of threads."""
    line = {"at": datetime.now(UTC).isoformat(), "threads": torch.get_num_threads()}
    with (run_dir / FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line | as_dict(progress)) + "\n")


class Clock:
    """Runs from the first update that this process takes, which follows `offset` others."""

    def __init__(self, offset: int) -> None:
        self.started, self.offset = time.monotonic(), offset

    def speed(self, sizes: Iterable[int]) -> float:
        """Tokens a second, when rows of these `sizes` were trained on."""
        return sum(sizes) / self._elapsed

    def left(self, update: int, total: int) -> float:
        """Seconds that updates to come will take, if nothing stops them earlier."""
        return (total - update) * self._elapsed / max(update - self.offset, 1)

    @property
    def _elapsed(self) -> float:
        return max(time.monotonic() - self.started, 1e-9)
