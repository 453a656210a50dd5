"""From events to a sealed dataset: examples -> weigh -> select -> mix -> order -> seal.

The line is fixed; only `Settings` varies. Roles: a correction that was not learnt before is
*new*. An output accepted as it stands, or an example of an earlier dataset, teaches nothing new:
it goes to the replay pool, of which `replay_share` of the train set is drawn.

Splits were recorded at intake and are only obeyed here. Val rows are the corrections whose group
fell into val, about a tenth of them; a small log may have none, and then the trainer runs its
full schedule without early stopping. No row is moved over to fill it.

The result is a pure function of the set of events, `as_of`, the held-out items and the settings:
permuting the events changes nothing, and every event ends in exactly one of train, val, dropped.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from honewheel.curate import contamination, narrow, replay, reward, rows
from honewheel.curate.rows import Checker, Row
from honewheel.errors import ConfigError, NotEnoughData
from honewheel.records import Dataset, Dropped, Event, Example, Item, as_dict, digest, utc

VERSION = "1." + ".".join(
    str(stage.VERSION) for stage in (contamination, narrow, replay, reward, rows)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What may vary in a build. Raises ConfigError on a value outside its range."""

    half_life_days: float = 180.0  # inf: no decay
    replay_share: float = 0.3  # of the train set, in [0, 1); 0 switches replay off
    min_value: float = 0.5  # least P(the user would accept the target)
    min_examples: int = 20  # fewest new training rows
    max_examples: int | None = None  # most new training rows; None: all
    # None: off. In a team where one person writes 95 % of the corrections, a cap of 0.5 would
    # throw nine tenths of the data away; turn it on where sources are many and not all trusted.
    source_cap: float | None = None  # most of the new rows that one source may supply, in (0, 1]
    exclude_sources: tuple[str, ...] = ()  # whose feedback is not heard, old or new
    seed: int = 0

    def __post_init__(self) -> None:
        cap, most = self.source_cap, self.max_examples
        for name, allowed, told in (
            ("half_life_days", self.half_life_days > 0, "a number of days above 0"),
            ("replay_share", 0 <= self.replay_share < 1, "in 0 .. 1, 1 excluded"),
            ("min_value", 0 <= self.min_value <= 1, "in 0 .. 1"),
            ("min_examples", self.min_examples >= 1, "at least 1"),
            ("max_examples", most is None or most >= self.min_examples, "min_examples or more"),
            ("source_cap", cap is None or 0 < cap <= 1, "in 0 .. 1, 0 excluded"),
        ):
            if not allowed:
                raise ConfigError(f"curate.{name} = {getattr(self, name)} must be {told}.")


def build(
    events: Sequence[Event],
    *,
    as_of: datetime,
    settings: Settings,
    held_out: Sequence[Item],
    used: frozenset[str],
    checks: Checker,
) -> Dataset:
    """The dataset of these events.

    `used` holds the ids of examples that the starting adapter has learnt; it is empty when
    training starts from the bare base, which has to be shown everything. `checks(task, text,
    context)` validates a correction. `held_out` are the items of every suite: rows that give one
    away are dropped here, and sealing asserts that none is left.

    Raises:
        NotEnoughData: fewer than `min_examples` new training rows.
        InputError: an event given twice.
        Leak: a row overlaps a held-out item although it passed (a defect of this module).
    """
    offered, dropped = rows.gather(
        events,
        checks=checks,
        min_value=settings.min_value,
        used=used,
        exclude_sources=settings.exclude_sources,
    )
    clean, leaking = rows.without_leaks(offered, held_out)
    agreed, conflicting = narrow.settle_conflicts(clean)
    distinct, repeated = narrow.merge_duplicates(agreed)
    capped, over = _cap(distinct, settings)
    val = [row.example for row in capped if row.example.split == "val"]
    train, left = _select([row for row in capped if row.example.split == "train"], as_of, settings)
    gone = [*dropped, *leaking, *conflicting, *repeated, *over, *left]
    _require(train, len(events), gone, settings)
    return _seal(train, val, gone, held_out, settings.seed)


def _cap(found: list[Row], settings: Settings) -> tuple[list[Row], list[Dropped]]:
    if settings.source_cap is None:
        return found, []
    return narrow.cap_sources(found, settings.source_cap)


def _select(
    pool: Sequence[Row], as_of: datetime, settings: Settings
) -> tuple[list[Example], list[Dropped]]:
    """New rows, the replay drawn for them, weighed; and the rows that were left out."""
    decayed = [_decay(row, as_of, settings.half_life_days, copies=0) for row in pool]
    fresh = [row for row in decayed if row.role == "new"]
    most = len(fresh) if settings.max_examples is None else settings.max_examples
    new = replay.choose(fresh, most, settings.seed)
    stock = [row for row in decayed if row.role == "replay"]
    size = replay.budget(len(new), settings.replay_share)
    again = replay.choose(stock, size, settings.seed)
    chosen = {row.events for row in (*new, *again)}
    taken = [row for row in pool if row.example.events in chosen]
    why = {
        "new": ("not selected", f"{len(new)} of {len(fresh)} new rows were drawn"),
        "replay": ("not replayed", f"{len(again)} of {len(stock)} known rows were drawn"),
    }
    left = [row.drop(*why[row.example.role]) for row in pool if row.example.events not in chosen]
    return _weigh(taken, as_of, settings.half_life_days), left


def _decay(row: Row, as_of: datetime, half_life_days: float, copies: int) -> Example:
    age_days = (utc(as_of) - row.at).total_seconds() / 86_400
    return replace(row.example, weight=reward.weight(age_days, half_life_days, copies))


def _weigh(taken: Sequence[Row], as_of: datetime, half_life_days: float) -> list[Example]:
    """The examples with weights of mean 1, to 6 significant digits so that hashes travel."""
    siblings = Counter(row.example.group for row in taken)
    weighed = [
        _decay(row, as_of, half_life_days, copies=siblings[row.example.group] - 1) for row in taken
    ]
    mean = math.fsum(row.weight for row in weighed) / max(1, len(weighed))
    return [replace(row, weight=float(f"{row.weight / mean:.6g}")) for row in weighed]


def _require(
    train: Sequence[Example], events: int, gone: Sequence[Dropped], settings: Settings
) -> None:
    new = sum(row.role == "new" for row in train)
    if new >= settings.min_examples:
        return
    reasons = Counter(item.reason for item in gone)
    told = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    raise NotEnoughData(
        f"{new} new training examples from {events} events; at least {settings.min_examples} are "
        f"needed. Left out: {told or 'none'}. Only corrections teach something new: record at "
        f"least {settings.min_examples - new} more, or lower curate.min_examples."
    )


def _seal(
    train: Sequence[Example],
    val: Sequence[Example],
    gone: Sequence[Dropped],
    held_out: Sequence[Item],
    seed: int,
) -> Dataset:
    def place(row: Example) -> tuple[bytes, tuple[str, ...]]:
        hashed = hashlib.blake2b(f"{seed}\x1f{row.id}".encode(), digest_size=16).digest()
        return hashed, row.events

    trained, validated = sorted(train, key=place), sorted(val, key=place)
    contamination.assert_clean([*trained, *validated], held_out)
    return Dataset(
        hash=digest([as_dict(row) for row in (*trained, *validated)]),
        train=tuple(trained),
        val=tuple(validated),
        dropped=tuple(sorted(gone, key=lambda item: item.event)),
    )
