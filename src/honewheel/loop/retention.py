"""What may be deleted: weights and runs that no live lineage needs. Rows are never deleted."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from honewheel.config import Config
from honewheel.loop.registry import CHAMPION
from honewheel.records import Version
from honewheel.store import Store


def collect(store: Store, config: Config, *, dry_run: bool) -> dict[str, Any]:
    """Remove unneeded files and finished runs; returns what went and how many bytes.

    Kept always: every file of the champion, of the last `store.keep_promoted` champions and
    their parents and datasets, of the last `store.keep_refused` other versions, and of a cycle
    that is running. A cycle's run folder (checkpoints) goes once the cycle is finished; that of a
    search or an ablation which was cut short goes too: run again, it repeats that one training.

    Raises StoreBusy while a cycle, a search or an ablation runs.
    """
    with ExitStack() as held:  # a cycle puts files before the row that names them: keep it out
        for model in sorted(_models(store, config)):
            for work in ("cycle", "search", "ablate"):
                held.enter_context(store.exclusive(f"{work}:{model}"))
        keep: set[str] = set()
        for model in _models(store, config):
            keep |= _needed(store, config, model)
        removed = store.files.unneeded(keep) if dry_run else store.files.gc(keep)
        runs = [*_finished_runs(store, config), *_rehearsals(config)]
        freed = sum(_size(folder) for folder in runs)
        if not dry_run:
            for folder in runs:
                shutil.rmtree(folder)
    return {
        "dry_run": dry_run,
        "files": [{"digest": name, "bytes": size} for name, size in removed],
        "runs": [folder.relative_to(config.state).as_posix() for folder in runs],
        "bytes": freed + sum(size for _, size in removed),
        "kept": len(keep),
    }


def _models(store: Store, config: Config) -> set[str]:
    """Registered models and those that only the store still knows."""
    return {*config.settings.models, *store.cycles.models()}


def _needed(store: Store, config: Config, model: str) -> set[str]:
    history = store.versions.history(model, CHAMPION)
    promoted: list[int] = []
    for move in reversed(history):
        if move.version not in promoted:
            promoted.append(move.version)
    versions = {version.number: version for version in store.versions.list(model)}
    trial = store.deployments.current(model)
    live = {trial.version, trial.baseline} if trial else set()
    live |= set(promoted[: config.settings.store.keep_promoted])
    live |= {parent for number in live if (parent := _parent(versions, number)) is not None}
    others = [number for number in sorted(versions, reverse=True) if number not in promoted]
    live |= set(others[: config.settings.store.keep_refused])
    if running := store.cycles.running(model):
        live |= {version.number for version in versions.values() if version.cycle == running.id}
    kept = [versions[number] for number in live if number in versions]
    needed = {name for version in kept for name in _files(store, version)}
    if running and (built := store.cycles.step(running.id, "build")):
        needed.add(_dataset_files(store)[str(built[1]["dataset"])])
    return needed


def _parent(versions: dict[int, Version], number: int) -> int | None:
    return versions[number].parent if number in versions else None


def _files(store: Store, version: Version) -> set[str]:
    found = {version.files} if version.files else set()
    if version.dataset:
        found.add(_dataset_files(store)[version.dataset])
    return found


def _dataset_files(store: Store) -> dict[str, str]:
    return {row.hash: row.files for row in store.datasets.list()}


def _finished_runs(store: Store, config: Config) -> list[Path]:
    folder = config.state / "runs"
    if not folder.is_dir():
        return []
    running = {
        cycle.id
        for model in _models(store, config)
        if (cycle := store.cycles.running(model)) is not None
    }
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in running)


def _rehearsals(config: Config) -> list[Path]:
    """Folders of trainings that a killed search or ablation left."""
    rooms = (config.state / name for name in ("search", "ablate"))
    return sorted(path for room in rooms for path in room.glob("run-*") if path.is_dir())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
