"""Comparisons and next steps in words: shares in [0, 1] are told in points."""

from __future__ import annotations

from honewheel.records import Comparison


def tell(one: Comparison) -> str:
    """As in: erd 61.0 -> 64.2, +3.2 [+0.8, +5.6] points, 120 prompts."""
    change = f"{100 * one.champion:.1f} -> {100 * one.challenger:.1f}"
    interval = f"[{signed(one.low)}, {signed(one.high)}]"
    return f"{one.name} {change}, {signed(one.difference)} {interval} points, {one.items} prompts"


def signed(share: float) -> str:
    """A share in points with its sign: +3.2."""
    return f"{100 * share:+.1f}"


def points(share: float) -> str:
    """A share in points: 3.0 points."""
    number = f"{100 * share:.1f}"
    return f"{number} point" if number == "1.0" else f"{number} points"


def length(tokens: float) -> str:
    """How long an answer is on average."""
    return f" ({tokens:,.1f} tokens)"


def remedy(one: Comparison) -> str:
    """The next step where a guard has lost."""
    if one.metric == "valid":
        return f"look at the invalid outputs of {one.name} in the report; correct such outputs"
    return f"raise curate.replay_share, or record accepted outputs of {one.name} to replay"


def more(prompts: int, name: str) -> str:
    """The next step where there are too few prompts."""
    return (
        f"import a frozen suite with about {prompts} more prompts for {name} (honewheel suite "
        f"import FILE --task TASK), or record about {10 * prompts} more requests: one in ten is "
        "held out"
    )
