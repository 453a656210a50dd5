"""What every step of one cycle holds in its hands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from honewheel.config import Config
from honewheel.loop.journal import Journal
from honewheel.records import Cycle, Progress
from honewheel.store import Store
from honewheel.train.warm import WarmProcess

Listener = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What every step of one cycle needs. `config` is the one the cycle started with."""

    store: Store
    config: Config
    cycle: Cycle
    journal: Journal
    clock: Callable[[], datetime]
    listen: Listener
    warm: WarmProcess | None = None  # what its training may be a fork of

    @property
    def model(self) -> str:
        return self.cycle.model

    @property
    def run_dir(self) -> Path:
        return self.config.state / "runs" / self.cycle.id

    def say(self, stage: str, message: str = "", *, done: bool = False) -> None:
        self.listen(Progress(stage=stage, step=int(done), total=1, message=message))
