"""The rolling test panel of a task: what fell into test, with the output a user would accept.

Chosen by hash, so that a growing log changes it only where a newcomer wins a place.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace

from honewheel.curate import reward, text
from honewheel.curate.rows import Checker
from honewheel.curate.trust import heard
from honewheel.records import Event, Item, Split
from honewheel.tasks import pairs
from honewheel.tasks.asked import asked

VERSION = 2


def panel(
    events: Iterable[Event],
    *,
    check: Checker,
    size: int | None,
    min_value: float,
    exclude_sources: Container[str] = (),
    split: Split = "test",
) -> tuple[Item, ...]:
    """At most `size` items (None: all), one a group: its newest test event that was accepted.

    With `split` "val" they are the dev items, on which thresholds are fixed.

    What the excluded sources said is not heard: who may not teach may not judge either. The
    group of a pair of texts is, in a panel, the text it shares with most others: pairs that have a
    text in common are no independent witnesses.
    """
    newest: dict[str, tuple[int, Item]] = {}
    for event in events:
        item = _item(heard(event, exclude_sources), check, min_value, split)
        if item is not None and event.seq >= newest.get(item.group, (event.seq, None))[0]:
            newest[item.group] = event.seq, item
    ranked = sorted((item for _, item in newest.values()), key=lambda item: _rank(item.group))
    return tuple(sorted(_by_text(ranked[:size]), key=lambda item: item.id))


def _by_text(items: Sequence[Item]) -> list[Item]:
    """The items, those that are pairs grouped by the one of their texts that most pairs have."""
    found = [(item, pairs.texts(item.prompt, item.context)) for item in items]
    count = Counter(text.canonical(one) for _, both in found for one in both or ())
    return [
        item if both is None else replace(item, group=_hub(both, count)) for item, both in found
    ]


def _hub(both: tuple[str, str], count: Mapping[str, int]) -> str:
    one = min(map(text.canonical, both), key=lambda one: (-count[one], one))
    return f"text-{hashlib.blake2b(one.encode(), digest_size=8).hexdigest()}"


def _item(event: Event, check: Checker, min_value: float, split: Split) -> Item | None:
    place = event.placement
    if place is None or place.split != split or place.quarantined is not None:
        return None
    found = reward.target(event)
    if found is None or reward.value(event) < min_value:
        return None
    response = event.response
    written = found[0] == "correction"  # intake has judged the output already
    if not (check(response.task, found[1], asked(response)) if written else place.check).valid:
        return None
    return Item(
        id=event.id,
        task=response.task,
        prompt=response.prompt,
        reference=found[1],
        group=place.group,
        context=response.context,
    )


def _rank(group: str) -> str:
    return hashlib.blake2b(group.encode(), digest_size=16).hexdigest()
