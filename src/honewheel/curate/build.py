"""From events to a sealed dataset: rows -> clean -> narrow -> mix -> pairs -> seal.

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
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from honewheel.curate import (
    augment,
    balance,
    contamination,
    curriculum,
    difficulty,
    flags,
    half_life,
    hard_negatives,
    knowledge,
    mix,
    narrow,
    pair_difficulty,
    preferences,
    propensity,
    questions,
    rated,
    replay,
    rows,
    screen,
    selection,
    synthetic,
    weighting,
)
from honewheel.curate.knowledge import Known
from honewheel.curate.questions import Keys
from honewheel.curate.rows import Checker, Row
from honewheel.curate.settings import Settings
from honewheel.errors import NotEnoughData
from honewheel.records import (
    Dataset,
    Dropped,
    Event,
    Example,
    Item,
    Pair,
    Rated,
    dataset_hash,
)

__all__ = ["VERSION", "Built", "Settings", "build"]

_STAGES = (
    augment,
    contamination,
    curriculum,
    half_life,
    hard_negatives,
    narrow,
    pair_difficulty,
    preferences,
    propensity,
    questions,
    rated,
    replay,
    rows,
    screen,
    selection,
    synthetic,
    weighting,
)
VERSION = "2." + ".".join(str(stage.VERSION) for stage in _STAGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A dataset, and what there is to say of how it came about."""

    dataset: Dataset
    events: int  # that were read
    notes: tuple[str, ...] = ()


def build(
    events: Iterable[Event],
    *,
    as_of: datetime,
    settings: Settings,
    held_out: Sequence[Item],
    used: frozenset[str],
    checks: Checker,
    kinds: Mapping[str, str] | None = None,
    learnt: frozenset[str] = frozenset(),
    champion: str | None = None,
    released: frozenset[str] = frozenset(),
    rejected: frozenset[str] = frozenset(),
) -> Built:
    """The dataset of these events, which are read more than once and never held all at a time.

    `used` holds the ids of examples that the starting adapter has learnt; it is empty when
    training starts from the bare base, which has to be shown everything. `checks(task, text,
    context)` validates a correction; the context holds its prompt too (`tasks.asked`).
    `held_out` are the items of every suite: rows that give one away are dropped here, and sealing
    asserts that none is left. `kinds` maps tasks to their kinds (for techniques that rewrite
    artifacts, and for kinds that know their questions), `learnt` are the events the `champion`
    (a version's name) was trained on; `released` and `rejected` are events on which a person or
    the watch has ruled: the scans hold the first no more, and the second are left out.

    Raises:
        NotEnoughData: fewer than `min_examples` new training rows.
        InputError: an event given twice.
        Leak: a row overlaps a held-out item although it passed (a defect of this module).
    """
    known = knowledge.of(events, settings, champion)
    asking = questions.of(kinds or {})
    tally = difficulty.Tally(champion, known.calibration, settings.unheard)
    stock = mix.stock(as_of, settings, known)
    offered, dropped = rows.gather(
        tally.watch(events),
        checks=checks,
        min_value=settings.min_value,
        used=used,
        exclude_sources=settings.unheard,
        value=known.value,
        stock=stock,
    )
    total = len(offered) + len(dropped)
    clean, leaking = rows.without_leaks(offered, held_out, asking)
    agreed, conflicting = narrow.settle_conflicts(clean)
    distinct, repeated = narrow.merge_duplicates(agreed, asking)
    screened = screen.screen(
        distinct,
        poison_mode=settings.poison,
        generic_mode=settings.generic,
        released=released,
        rejected=rejected,
    )
    capped, over = _cap(screened.rows, settings, flags.together(screened.flags))
    val = [row.example for row in capped if row.example.split == "val"]
    pool = [row for row in capped if row.example.split == "train"]
    mixed = mix.mix(
        pool,
        as_of=as_of,
        settings=settings,
        known=known,
        hard=_hard(pool, tally),
        learnt=learnt,
        kinds=kinds or {},
        held_out=[*held_out, *map(_item, val)],
    )
    gone = [*dropped, *leaking, *conflicting, *repeated, *screened.dropped, *over, *mixed.left]
    _require(mixed.train, total, gone, settings)
    held = frozenset(item.event for item in screened.dropped)
    paired = _pairs(
        mixed.train, known.without(held), as_of, settings, checks, kinds or {}, held_out
    )
    dataset = _seal(mixed.train, val, gone, held_out, settings.seed, paired, asking)
    told = tuple(flag.told for flag in screened.flags)
    uneven = pair_difficulty.warnings(mixed.train, held_out)
    notes = (*known.notes, *told, *mixed.notes, *paired.notes, *uneven)
    return Built(dataset=dataset, events=total, notes=notes)


def _hard(pool: Sequence[Row], tally: difficulty.Tally) -> Mapping[str, float]:
    """Difficulty of each group: as the champion fared, for pairs of texts as their words tell.

    A pair is judged by what was said of it and not by an answer, so nobody fares with it.
    """
    judged = tally.difficulties({row.example.group for row in pool})
    return {**pair_difficulty.ranks([row.example for row in pool]), **judged}


def _cap(found: list[Row], settings: Settings, together: Mapping[str, str]) -> narrow.Narrowed:
    """Each source's share, each day's number, and the share of what was made up.

    `together` gives the events of sources that act as one a common name. What is made up has a
    cap of its own and is no source beside the others: it would make one of a lone person's two.
    """
    real, over = [row for row in found if not synthetic.made_up(row)], list[Dropped]()
    if settings.source_day_cap is not None:
        real, more = narrow.cap_days(real, settings.source_day_cap, together)
        over += more
    if settings.source_cap is not None:
        real, more = narrow.cap_sources(real, settings.source_cap, together)
        over += more
    gone = {item.event for item in over}
    left = [row for row in found if row.event not in gone]
    kept, more = synthetic.cap(left, settings.synthetic_share)
    return kept, [*over, *more]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paired:
    pairs: tuple[Pair, ...] = ()
    rated: tuple[Rated, ...] = ()
    notes: tuple[str, ...] = ()


def _pairs(
    train: Sequence[Example],
    known: Known,
    as_of: datetime,
    settings: Settings,
    checks: Checker,
    kinds: Mapping[str, str],
    held_out: Sequence[Item],
) -> _Paired:
    """What preference methods learn from: pairs by strength of their source, and lone verdicts."""
    if not settings.preferences and not settings.hard_negatives:
        return _Paired()
    found = preferences.Preferred(pairs=(), review=())
    lone: tuple[Rated, ...] = ()
    if settings.preferences:
        how: Any = {
            "as_of": as_of,
            "half_life_days": known.half_life_days,
            "quality": known.quality,
        }
        found = preferences.pairs(known.events, checks=checks, seed=settings.seed, **how)
        lone = rated.rated(known.events, **how)
    mutated = hard_negatives.mutated_pairs(
        train, share=settings.hard_negatives, seed=settings.seed, tasks=kinds
    )
    merged = preferences.one_per_prompt([*found.pairs, *mutated])
    kept, lone, leaked = preferences.without_leaks(merged, lone, held_out, questions.of(kinds))
    even = balance.lengths(kept)
    return _Paired(
        pairs=even, rated=balance.labels(lone), notes=_told(kept, even, [*found.review, *leaked])
    )


def _told(before: Sequence[Pair], after: Sequence[Pair], out: Sequence[Dropped]) -> tuple[str, ...]:
    reasons = Counter(item.reason for item in out)
    left = "".join(f"; {count} {reason}" for reason, count in sorted(reasons.items()))
    return (
        f"{len(after)} preference pairs; being chosen correlates with being longer by "
        f"{balance.length_bias(after):+.2f} ({balance.length_bias(before):+.2f} before "
        f"balancing){left}.",
    )


def _item(row: Example) -> Item:
    return Item(
        id=row.id,
        task=row.task,
        prompt=row.prompt,
        reference=row.target,
        group=row.group,
        context=row.context,
    )


def _require(
    train: Sequence[Example], events: int, gone: Sequence[Dropped], settings: Settings
) -> None:
    new = sum(row.role == "new" and not row.variant for row in train)  # copies bring nothing new
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
    paired: _Paired,
    asking: Keys,
) -> Dataset:
    def place(row: Example) -> tuple[bytes, tuple[str, ...], str]:
        hashed = hashlib.blake2b(f"{seed}\x1f{row.id}".encode(), digest_size=16).digest()
        return hashed, row.events, row.id

    trained, validated = sorted(train, key=place), sorted(val, key=place)
    views = preferences.views(paired.pairs, paired.rated)
    contamination.assert_clean([*trained, *validated, *views], held_out, asking)
    return Dataset(
        hash=dataset_hash(trained, validated, paired.pairs, paired.rated),
        train=tuple(trained),
        val=tuple(validated),
        dropped=tuple(sorted(gone, key=lambda item: item.event)),
        pairs=paired.pairs,
        rated=paired.rated,
    )
