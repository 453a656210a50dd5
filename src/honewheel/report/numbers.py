"""How numbers read in a report: points with one decimal, counts with separators."""

from __future__ import annotations

from datetime import datetime

from honewheel.records import Json, utc

NONE = "–"


def points(score: float | None) -> str:
    """A score in [0, 1] as points: 0.4123 -> "41.2"."""
    return NONE if score is None else f"{_tenths(100 * score):.1f}"


def signed(difference: float | None) -> str:
    """A difference in [-1, 1] as points with its sign: 0.4271 -> "+42.7"; zero has none."""
    if difference is None:
        return NONE
    value = _tenths(100 * difference)
    return f"{value:+.1f}" if value else "0.0"


def interval(low: float, high: float) -> str:
    """An interval of differences: "[+36.1, +49.0]"."""
    return f"[{signed(low)}, {signed(high)}]"


def count(number: int) -> str:
    """A count with separators: 12345 -> "12,345"."""
    return f"{number:,}"


def share(part: int, whole: int) -> str:
    """A share as a percentage: (1, 8) -> "12.5 %"; nothing of nothing has none."""
    return f"{100 * part / whole:.1f} %" if whole else NONE


def duration(seconds: float | None) -> str:
    """Seconds as a person says them: "0.4 s", "58 s", "1 min 38 s", "2 h 5 min"."""
    if seconds is None:
        return NONE
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def percent(level: float) -> str:
    """A level of confidence: 0.8 -> "80 %"."""
    return f"{100 * level:g} %"


def moment(when: datetime) -> str:
    """A time to the second, in UTC: "2025-11-20 09:30:00 UTC"."""
    return f"{utc(when):%Y-%m-%d %H:%M:%S} UTC"


def setting(value: Json) -> str:
    """A setting as it would be written in honewheel.toml."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return ", ".join(f"{key} = {setting(item)}" for key, item in value.items())
    return ", ".join(setting(item) for item in value)


def _tenths(value: float) -> float:
    return round(value, 1) + 0.0  # -0.0 + 0.0 is 0.0: no "-0.0" in a table
