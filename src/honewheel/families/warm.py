"""Whether a run can go on from a version: what was learnt keeps its method and its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from honewheel.records import Finding, Json

ADAPTER = ("rank", "alpha", "rslora", "target_modules")  # what an adapter's weights depend on


def refusals(
    was: Mapping[str, Json], now: Mapping[str, Json], keys: Sequence[str]
) -> list[Finding]:
    """A refusal that names each of `keys` in which the version differs from what is asked for."""
    other = [key for key in keys if _plain(was[key]) != _plain(now[key])]
    if not other:
        return []
    trained, asked = (
        " and ".join(f"{key} {_word(one[key])}" for key in other) for one in (was, now)
    )
    message = (
        f'start = "champion": the champion was trained with {trained}, and {asked} is asked for. '
        f"What it has learnt does not fit into that. Set {' and '.join(other)} back, or set "
        'start = "base".'
    )
    return [Finding(code="start", message=message)]


def shape(was: Mapping[str, Json], now: Mapping[str, Json]) -> tuple[str, ...]:
    """The settings that two runs must share; where both train adapters, also those of the shape."""
    return ("method", *(ADAPTER if was["method"] == now["method"] == "lora" else ()))


def _plain(value: Json) -> Json:
    """Names in any order are the same names."""
    return sorted(name.strip() for name in value.split(",")) if isinstance(value, str) else value


def _word(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
