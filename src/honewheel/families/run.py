"""What a training run is whatever it trains: its inputs, whether it is over, its want of memory.

What came of it is the folder `FINAL` in `run_dir`, whole or absent; `REPORT` in that says what the
run was and did.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from honewheel import atomic
from honewheel.errors import ConfigError, NotEnoughMemory
from honewheel.families import checkpoints, hardware, modes
from honewheel.families.names import REPORT
from honewheel.records import Dataset, Spec, as_dict

FINAL: Final = "final"


def refuse_other_base(spec: Spec, found: str) -> None:
    """Raise ConfigError when the base's hash is now `found`, and another one was planned with."""
    if found != spec.base_hash:
        raise ConfigError(
            f"The base {spec.base} is no longer the one this run was planned with: hash "
            f"{found[:12]}, planned {spec.base_hash[:12]}. Start a new run."
        )


def inputs(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    """Everything that decides the weights, as one flat mapping."""
    given = as_dict(spec)
    settings: dict[str, Any] = given.pop("settings")
    return {"dataset": dataset.hash, **given, **settings}


def is_over(run_dir: Path, given: Mapping[str, Any]) -> bool:
    """Whether `final` is there, of these inputs and with the bytes that were written.

    Raises:
        ConfigError: it is there and came of other inputs.
        Damaged: its bytes are not what was recorded.
    """
    final = run_dir / FINAL
    if not final.exists():
        return False
    atomic.verify(final)
    checkpoints.refuse_changed(json.loads((final / REPORT).read_text())["inputs"], given, run_dir)
    return True


def guarded(go: Callable[[], None], explain: Callable[[], str]) -> None:
    """`go`, deterministically.

    Raises:
        NotEnoughMemory: an allocation failed; `explain` says what was needed and what to change.
    """
    try:
        with modes.deterministic():
            go()
    except (MemoryError, RuntimeError) as error:
        if not hardware.is_exhausted(error):
            raise
        raise NotEnoughMemory(explain()) from error
