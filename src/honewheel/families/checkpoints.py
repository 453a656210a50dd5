"""Everything a run needs to go on as if nothing had happened, in folders complete or absent.

    run_dir/checkpoints/step-00000050/
        tensors.safetensors   weight.*, optimizer.*, rng.*
        state.json            update, inputs of the run, best state, losses, optimizer, schedule
        manifest.json         sha256 of both

The best state is the weights of the checkpoint taken at its update; that folder is kept as long
as a kept checkpoint names it. No pickle is written or read.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from honewheel import atomic
from honewheel.errors import ConfigError, Damaged

KEEP = 2
_TENSORS = "tensors.safetensors"
_STATE = "state.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified checkpoint: tensors by prefixed name and the JSON state beside them."""

    tensors: Mapping[str, torch.Tensor]
    state: Mapping[str, Any]

    def part(self, prefix: str) -> dict[str, torch.Tensor]:
        """Tensors whose name starts with `prefix.`, without it."""
        start = f"{prefix}."
        return {
            name.removeprefix(start): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(start)
        }


def folder(root: Path, step: int) -> Path:
    """Where the checkpoint of an update is."""
    return root / f"step-{step:08d}"


def save(
    root: Path,
    step: int,
    parts: Mapping[str, Mapping[str, torch.Tensor]],
    state: Mapping[str, Any],
) -> None:
    """Publish the checkpoint of `step`, then drop what no kept checkpoint needs."""
    tensors = {
        f"{prefix}.{name}": tensor.detach().cpu().contiguous()
        for prefix, part in parts.items()
        for name, tensor in part.items()
    }
    with atomic.staged_folder(folder(root, step)) as staging:
        save_file(tensors, staging / _TENSORS)
        (staging / _STATE).write_text(json.dumps(state, sort_keys=True))
    _prune(root)


def read(path: Path) -> Checkpoint:
    """The checkpoint in `path`, each byte verified. Raises Damaged."""
    atomic.verify(path)
    return Checkpoint(load_file(path / _TENSORS), _state(path))


def newest(root: Path) -> Checkpoint | None:
    """The newest checkpoint that is intact, with its best state; None when there is none.

    A damaged one is reported in the log, removed, and the one before it is used.
    """
    for path in reversed(_published(root)):
        try:
            found = read(path)
            best = found.state["best"]["step"]
            if best is not None:
                atomic.verify(folder(root, best))
            return found
        except Damaged as error:
            _log.warning("Checkpoint %s is not used: %s", path.name, error)
            shutil.rmtree(path)
    return None


def newest_step(root: Path) -> int:
    """The update of the newest intact checkpoint; 0 when there is none."""
    found = newest(root)
    return 0 if found is None else int(found.state["update"])


def refuse_changed(saved: Mapping[str, Any], now: Mapping[str, Any], run_dir: Path) -> None:
    """Raise ConfigError, naming each difference, when a run's inputs are not what they were."""
    changes = [
        f"{key} was {saved.get(key)!r}, now {now.get(key)!r}"
        for key in sorted({*saved, *now})
        if saved.get(key) != now.get(key)
    ]
    if changes:
        raise ConfigError(
            f"{run_dir} holds a run started with other inputs: {'; '.join(changes)}. "
            "Use a new run folder, or set them back to continue this run."
        )


def _state(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((path / _STATE).read_text())
    return found


def _published(root: Path) -> list[Path]:
    return sorted(root.glob("step-*"))


def _prune(root: Path) -> None:
    """Keep the last `KEEP` checkpoints and the best states they name; drop dead stagings."""
    kept = _published(root)[-KEEP:]
    steps = [_state(path)["best"]["step"] for path in kept]
    needed = {*kept, *(folder(root, step) for step in steps if step is not None)}
    for path in root.iterdir():
        if path not in needed:
            shutil.rmtree(path)
