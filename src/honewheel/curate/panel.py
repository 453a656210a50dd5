"""The rolling test panel of a task: what fell into test, with the output a user would accept.

Chosen by hash, so that a growing log changes it only where a newcomer wins a place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable

from honewheel.curate import reward
from honewheel.curate.rows import Checker
from honewheel.curate.trust import heard
from honewheel.records import Event, Item
from honewheel.tasks.asked import asked

VERSION = 1


def panel(
    events: Iterable[Event],
    *,
    check: Checker,
    size: int | None,
    min_value: float,
    exclude_sources: Container[str] = (),
) -> tuple[Item, ...]:
    """At most `size` items (None: all), one a group: its newest test event that was accepted.

    What the excluded sources said is not heard: who may not teach may not judge either.
    """
    newest: dict[str, tuple[int, Item]] = {}
    for event in events:
        item = _item(heard(event, exclude_sources), check, min_value)
        if item is not None and event.seq >= newest.get(item.group, (event.seq, None))[0]:
            newest[item.group] = event.seq, item
    ranked = sorted((item for _, item in newest.values()), key=lambda item: _rank(item.group))
    return tuple(sorted(ranked[:size], key=lambda item: item.id))


def _item(event: Event, check: Checker, min_value: float) -> Item | None:
    place = event.placement
    if place is None or place.split != "test" or place.quarantined is not None:
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
