"""When memory runs out in a pass: the same batch again in smaller passes, and written down.

    run_dir/passes.json   [{"update": 12, "tokens_per_pass": 2048}, ...]

How a batch is cut changes its loss by rounding only, yet the last bits of a run depend on it. So
each change is journaled before the batch is tried again, and a run that is resumed cuts every
update as it was cut the first time.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from honewheel import atomic
from honewheel.families import hardware
from honewheel.families.causal_lm.scoring import Scorer, split
from honewheel.families.causal_lm.units import Unit

FILE = "passes.json"
_Found = TypeVar("_Found")


class Room:
    """The tokens that one pass of a run may have, update by update."""

    def __init__(self, scorer: Scorer, run_dir: Path, say: Callable[[str], None]) -> None:
        self.scorer, self.path, self.say = scorer, run_dir / FILE, say
        self.first = scorer.limit
        self.update = 0
        self.changes: list[dict[str, int]] = (
            json.loads(self.path.read_text()) if self.path.is_file() else []
        )

    def enter(self, update: int) -> None:
        """The next batch is that of `update` (0-based)."""
        self.update = update
        found = [c["tokens_per_pass"] for c in self.changes if c["update"] <= update]
        self.scorer.limit = min([self.first, *found])

    def fit(self, units: Sequence[Unit], work: Callable[[], _Found]) -> _Found:
        """What `work` returns; while memory runs out in it, again with passes of half the size.

        It starts again from the same random state, so dropout falls as it would have. When every
        unit has a pass of its own already, the error goes on.
        """
        while True:
            state = torch.get_rng_state()
            cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
            try:
                return work()
            except (MemoryError, RuntimeError) as error:
                if not hardware.is_exhausted(error) or not self._shrink(units):
                    raise
            gc.collect()  # the failed pass is let go only now that its error is
            torch.set_rng_state(state)
            if cuda is not None:
                torch.cuda.set_rng_state(cuda)
                torch.cuda.empty_cache()

    def _shrink(self, units: Sequence[Unit]) -> bool:
        """Halve the passes; False when those of `units` cannot be smaller."""
        longest = max(map(len, units))
        widest = max(sum(map(len, part)) for part in split(units, self.scorer.limit))
        if widest <= longest:
            return False
        self.scorer.limit = max(longest, widest // 2)
        change = {"update": self.update, "tokens_per_pass": self.scorer.limit}
        self.changes.append(change)
        atomic.write_file(self.path, json.dumps(self.changes).encode())
        self.say(
            f"memory ran out in a pass of up to {widest:,} tokens: from update {self.update + 1} "
            f"on passes have at most {self.scorer.limit:,}; the batch stays the same"
        )
        return True
