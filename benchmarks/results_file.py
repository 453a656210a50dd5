"""The one format of a benchmark's results, and the refusal to measure on a busy machine."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"
PACKAGES = ("honewheel", "torch", "transformers", "peft", "sqlalchemy", "numpy")


def metric(value: float, unit: str, low: float | None = None, high: float | None = None) -> Any:
    """One figure with its interval, when it has one."""
    return {"value": value, "low": low, "high": high, "unit": unit}


def busy() -> str | None:
    """Why timings of this machine mean nothing right now; None when it is quiet."""
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    return f"load {load:.1f} on {cores} cores" if load > cores else None


def repeated(name: str, *keys: str) -> dict[str, Any]:
    """Metrics that another benchmark has measured, as its file has them; empty without one."""
    path = FOLDER / f"{name}.json"
    found = json.loads(path.read_text())["metrics"] if path.is_file() else {}
    return {key: found[key] for key in keys if key in found}


def write(
    name: str,
    metrics: Mapping[str, Any],
    seeds: Sequence[int],
    notes: Sequence[str],
    *,
    packages: Sequence[str] = (),
) -> Path:
    """Write benchmarks/results/NAME.json; returns its path. `packages`: those of rivals."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    data = {
        "command": f"make bench-{name}" if len(sys.argv) == 1 else " ".join(sys.argv),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "processor": _processor(),
            "python": platform.python_version(),
        },
        "versions": {package: _version(package) for package in (*PACKAGES, *packages)},
        "seeds": list(seeds),
        "metrics": dict(metrics),
        "notes": list(notes),
    }
    path.write_text(json.dumps(data, indent=2) + "\n")
    return path


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
