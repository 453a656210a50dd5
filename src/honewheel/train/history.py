"""What a finished run says of itself: its losses by step and the settings it really used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

REPORT = "training.json"  # families may write it into `final`; without it nothing is known


def history(final: Path) -> list[dict[str, Any]]:
    """Losses by step as {step, loss, val_loss}, as the objective has them; may be empty."""
    told = _told(final)
    points: dict[int, dict[str, Any]] = {}
    for name, key in (("losses", "loss"), ("val_losses", "val_loss")):
        for step, value in told.get(name, ()):
            points.setdefault(step, {"step": step})[key] = value
    return [points[step] for step in sorted(points)]


def realised(final: Path) -> dict[str, Any]:
    """Settings read back from optimizer and adapter; empty when the family keeps none."""
    return dict(_told(final).get("realised", {}))


def _told(final: Path) -> dict[str, Any]:
    path = final / REPORT
    return dict(json.loads(path.read_text())) if path.is_file() else {}
