"""What a training run is whatever it trains: its inputs, whether it is over, its want of memory.

What came of it is the folder `FINAL` in `run_dir`, whole or absent; `REPORT` in that says what the
run was and did. A family brings the `Run` between.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from honewheel import atomic
from honewheel.errors import ConfigError, NotEnoughMemory
from honewheel.families import checkpoints, hardware, modes
from honewheel.families.names import REPORT
from honewheel.families.stream import Emit, stream
from honewheel.records import Dataset, Json, Progress, Spec, as_dict

FINAL: Final = "final"


class Run(Protocol):
    """One run, from its start or its newest checkpoint."""

    def go(self) -> None:
        """Take the updates that are left and write `FINAL`."""

    def too_large(self) -> str:
        """What was needed and what to change, once an allocation has failed."""


def take(
    make: Callable[[Path, Mapping[str, Any], Emit], Run],
    spec: Spec,
    dataset: Dataset,
    run_dir: Path,
    base: tuple[Path, str],
    **realised: Json,
) -> Iterator[Progress]:
    """The run that `make` makes of the base's folder, the inputs and who listens; nothing at all
    when it is over. `base` is folder and hash; `realised` what of the settings was not yet decided.

    Raises:
        ConfigError: `run_dir` holds a run with other inputs, or the base has changed.
        TrainingFailed: the loss or a weight is not finite.
        NotEnoughMemory: an allocation failed.
        Damaged: `FINAL` is there but its bytes are not what was recorded.
    """
    folder, found = base
    if found != spec.base_hash:
        raise ConfigError(
            f"The base {spec.base} is no longer the one this run was planned with: hash "
            f"{found[:12]}, planned {spec.base_hash[:12]}. Start a new run."
        )
    inputs = _inputs(spec, dataset) | realised
    if not _is_over(run_dir, inputs):
        yield from stream(lambda emit: _guarded(make(folder, inputs, emit)))


def _inputs(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    """Everything that decides the weights, as one flat mapping."""
    given = as_dict(spec)
    settings: dict[str, Any] = given.pop("settings")
    return {"dataset": dataset.hash, **given, **settings}


def _is_over(run_dir: Path, given: Mapping[str, Any]) -> bool:
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


def _guarded(run: Run) -> None:
    """The whole run, deterministically, with a failed allocation told in numbers."""
    try:
        with modes.deterministic():
            run.go()
    except (MemoryError, RuntimeError) as error:
        if not hardware.is_exhausted(error):
            raise
        raise NotEnoughMemory(run.too_large()) from error
