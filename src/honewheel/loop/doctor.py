"""What could go wrong on this machine, before it does: each check with what to do about it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import sqlite3
import sys
from typing import Any

from honewheel import plugins
from honewheel.config import Config
from honewheel.errors import HonewheelError
from honewheel.protocols import KnowsMachine
from honewheel.store import Store

FREE_BYTES = 2_000_000_000  # room for a few runs of a small model; gc frees what is not needed


def examine(store: Store, config: Config) -> list[dict[str, Any]]:
    """Every check as {check, ok, found, advice}."""
    return [
        _check(
            "python",
            sys.version_info >= (3, 11),
            platform.python_version(),
            "honewheel needs Python 3.11 or newer.",
        ),
        _disk(config),
        _sqlite(config),
        _check("store", True, f"{store.log.last_seq():,} log entries at {store.url}", ""),
        *(_base(config, name) for name in sorted(config.settings.models)),
        _training(),
        *_libraries(),
        _check("processors", True, f"{len(os.sched_getaffinity(0))} usable", ""),
        *_machine(config),
    ]


def _check(name: str, ok: bool, found: str, advice: str) -> dict[str, Any]:
    return {"check": name, "ok": ok, "found": found, "advice": "" if ok else advice}


def _disk(config: Config) -> dict[str, Any]:
    free = shutil.disk_usage(config.root).free
    return _check(
        "disk",
        free >= FREE_BYTES,
        f"{free / 1e9:,.1f} GB free",
        f"Less than {FREE_BYTES / 1e9:.0f} GB are free at {config.root}. Run honewheel gc, or "
        "make room.",
    )


def _sqlite(config: Config) -> dict[str, Any]:
    """Libraries before 3.51.3 can corrupt a WAL two processes checkpoint; our lock prevents it."""
    locked = config.settings.store.url.startswith("sqlite")
    note = ""
    if locked and sqlite3.sqlite_version_info < (3, 51, 3):
        note = " (older than 3.51.3: writes and checkpoints go through a file lock)"
    return _check("sqlite", True, sqlite3.sqlite_version + note, "")


def _base(config: Config, name: str) -> dict[str, Any]:
    settings = config.model(name)[1]
    try:
        _, found = plugins.family(settings.family).resolve(settings.base)
    except HonewheelError as error:
        return _check(f"base of {name}", False, settings.base, str(error))
    return _check(f"base of {name}", True, f"{settings.base} ({found[:12]})", "")


def _training() -> dict[str, Any]:
    missing = [
        package
        for package in ("torch", "transformers", "peft", "accelerate")
        if importlib.util.find_spec(package) is None
    ]
    if missing:
        return _check(
            "training",
            False,
            f"without {', '.join(missing)}",
            "Fine-tuning needs them: pip install 'honewheel[train]'. Recording and curating work "
            "without.",
        )
    found = f"torch {importlib.metadata.version('torch')}"
    return _check("training", True, found, "")


# Package -> first sound version, and what is wrong before it.
VULNERABLE = {
    "torch": ("2.10", "CVE-2026-24747: loading weights can run code hidden in them"),
    "transformers": ("5.3", "CVE-2026-4372: loading a model can run code named in config.json"),
}


def _libraries() -> list[dict[str, Any]]:
    """Versions of the packages that load models; trouble where one has a known hole."""
    found = []
    for package, (sound, hole) in VULNERABLE.items():
        if importlib.util.find_spec(package) is None:
            continue
        version = importlib.metadata.version(package)
        advice = f"{hole}. Update it: pip install '{package}>={sound}'"
        found.append(_check(package, _numbers(version) >= _numbers(sound), version, advice))
    return found


def _numbers(version: str) -> tuple[int, ...]:
    """2.13.0+cpu -> (2, 13, 0); what is no number ends it."""
    parts = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, parts[0].split("."))) if parts else ()


def _machine(config: Config) -> list[dict[str, Any]]:
    """What the registered models' families can train here."""
    found = []
    for name in sorted({model.family for model in config.settings.models.values()}):
        family = plugins.family(name)
        for one in family.machine() if isinstance(family, KnowsMachine) else ():
            advice = f"{one.message}. Free memory, or train on another machine."
            found.append(
                _check(f"{name}: {one.code}", one.severity != "error", one.message, advice)
            )
    return found
