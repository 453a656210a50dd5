"""Made-up examples: they train only, beside real ones and never instead of them.

`honewheel synthesize` marks what it makes: the response's decoding names the origin, the feedback
comes from a simulated source `synthesize:ORIGIN`. A correction that a person writes later is a
person's, and no longer made up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from honewheel.curate.dedup import Link
from honewheel.curate.rows import Row
from honewheel.errors import ConfigError
from honewheel.records import Dropped, Response, Split

VERSION = 1

MARK = "synthesize"  # key of `Response.decoding` that names the origin
SOURCE = f"{MARK}:"  # begins the source of the feedback


class Place(NamedTuple):
    """The split of a made-up response; `quarantined` says why no dataset takes it, else None."""

    split: Split
    quarantined: str | None


def is_synthetic(response: Response) -> bool:
    """Whether `honewheel synthesize` made this response."""
    return MARK in response.decoding


def made_up(row: Row) -> bool:
    """Whether nobody gave the target of this row."""
    return row.source.startswith(SOURCE)


def place(link: Link) -> Place:
    """Where a made-up response goes: train, or nowhere when it is like what judges or is known.

    `link` is what intake found for it. A made-up answer to a question that was really asked could
    overrule what people said of it, so it is left out too.
    """
    if link.quarantined is not None:
        return Place(link.split or "train", link.quarantined)
    if link.split in ("val", "test"):
        told = "" if link.similarity is None else f" ({link.similarity:.2f})"
        reason = f"made up, and resembles {link.twin}{told}, which is held out ({link.split})"
        return Place(link.split, reason)
    if link.similarity is not None and link.similarity >= 1:
        return Place("train", f"made up, and the log already holds its question ({link.twin})")
    return Place("train", None)


def cap(rows: Sequence[Row], share: float) -> tuple[list[Row], list[Dropped]]:
    """At most `share` (in [0, 1)) of the new training rows are made up; the rest is dropped.

    Which ones stay is drawn by a hash of their ids: it depends neither on their order nor on
    time. Rows of real sources are never dropped, so without any nothing made up stays.

    Raises ConfigError when `share` is outside [0, 1).
    """
    if not 0 <= share < 1:
        raise ConfigError(f"curate.synthetic_share = {share} must be in 0 .. 1, 1 excluded.")
    counted = [row for row in rows if row.example.role == "new" and row.example.split == "train"]
    made = sorted((row for row in counted if made_up(row)), key=_draw)
    real = len(counted) - len(made)
    # The small term keeps 0.3 of 10 at 3 despite binary fractions.
    most = int(share * real / (1 - share) + 1e-9)
    detail = f"{most} of {len(made)} made-up rows beside {real} real ones, at most {share:.0%}"
    over = {row.event: row.drop("over synthetic share", detail) for row in made[most:]}
    return [row for row in rows if row.event not in over], [over[name] for name in sorted(over)]


def _draw(row: Row) -> tuple[bytes, str]:
    return hashlib.blake2b(row.example.id.encode(), digest_size=16).digest(), row.event
