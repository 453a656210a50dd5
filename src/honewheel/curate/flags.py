"""What a scan says of rows: which they are, who sent them and why; a person has the last word."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from honewheel.curate.narrow import Narrowed
from honewheel.curate.rows import Row
from honewheel.records import Dropped

VERSION = 1

Scan: TypeAlias = Literal["poison", "generic"]
HELD: dict[Scan, str] = {"poison": "held (poison scan)", "generic": "held (generic scan)"}
REJECTED = "held or dropped by a ruling"  # a person's, or the watch's


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """Rows of one task that have something suspicious in common.

    `kind` is "same target", "source phrase" or "trigger phrase" (poison), "placeholder",
    "says nothing" or "one for all" (generic). `phrase` is what their targets share, `tied` the
    phrase of their prompts that goes with it. `events` and `sources` are sorted.
    """

    scan: Scan
    kind: str
    task: str
    phrase: str
    sources: tuple[str, ...]
    events: tuple[str, ...]
    tied: str = ""

    @property
    def told(self) -> str:
        """One line for people: what, how many, from whom."""
        who = f"source {self.sources[0]}" if len(self.sources) == 1 else _several(self.sources)
        tied = f' wherever the prompt says "{self.tied}"' if self.tied else ""
        count = len(self.events)
        rows = "1 row" if count == 1 else f"{count:,} rows"
        phrase = f' "{self.phrase}"' if self.phrase else ""
        return f"{self.kind}{phrase}{tied} in {rows} of {self.task} from {who}"


def hold(rows: Sequence[Row], flags: Sequence[Flag], released: Container[str]) -> Narrowed:
    """The rows without the flagged ones, and those as held; what a person released stays."""
    why: dict[str, Flag] = {}
    for flag in flags:
        for event in flag.events:
            if event not in released:
                why.setdefault(event, flag)
    kept = [row for row in rows if row.event not in why]
    held = [_held(row, why[row.event]) for row in rows if row.event in why]
    return kept, held


def together(flags: Sequence[Flag]) -> dict[str, str]:
    """Event -> one common name for all sources of a poison flag, so that a cap sees them as one.

    Thirty accounts that send one phrase are one source as far as shares go.
    """
    names: dict[str, str] = {}
    for flag in flags:
        if flag.scan == "poison" and len(flag.sources) > 1:
            for event in flag.events:
                names.setdefault(event, f'{len(flag.sources)} with "{flag.phrase}"')
    return names


def _held(row: Row, flag: Flag) -> Dropped:
    return row.drop(HELD[flag.scan], flag.told)


def _several(sources: tuple[str, ...]) -> str:
    if not sources:
        return "no named source"
    return f"{len(sources):,} sources ({', '.join(sources[:3])} ...)"
