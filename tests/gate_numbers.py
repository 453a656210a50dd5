"""Comparisons with chosen numbers, for the gate's tests."""

from __future__ import annotations

from honewheel.records import Comparison


def numbers(name: str = "erd", difference: float = 0.1, half: float = 0.02, **more: object):
    """A comparison on 150 groups: `half` is half of its 95 % interval; all shares in [0, 1]."""
    champion = float(more.pop("champion", 0.5))  # type: ignore[arg-type]
    fields: dict[str, object] = {
        "name": name,
        "metric": "score",
        "items": 150,
        "groups": 150,
        "champion": champion,
        "challenger": champion + difference,
        "difference": difference,
        "low": difference - half,
        "high": difference + half,
        "bound": difference - 0.43 * half,
        "level": 0.8,
        "spread": half / 1.96 * 150**0.5,
        **more,
    }
    return Comparison(**fields)  # type: ignore[arg-type]


def guard(name: str = "ddl", difference: float = 0.0, half: float = 0.02, **more: object):
    """A guard's comparison: its bound is the one-sided 95 % one."""
    fields = {"level": 0.95, "bound": difference - 0.84 * half, **more}
    return numbers(name, difference, half, **fields)
