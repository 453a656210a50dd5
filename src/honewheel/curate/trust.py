"""How far each source is believed: which feedback is heard, and what its corrections weigh.

`curate.trust = {source = share}` holds shares in [0, 1]; a source that is not named is trusted
fully. 0 means not heard at all, as in `curate.exclude_sources`. In between, a source's evidence
counts for that share in a target's value (`reward.value` scales its log-odds), and a correction
it wrote weighs that share of an equal one (`factor`).

Validators outrank thumbs: where a validator found a fault, nobody's thumb up is heard. An output
that its own task's check finds invalid never becomes a target, whoever likes it (`curate.rows`).
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace

from honewheel.records import Event, Feedback

VERSION = 1


def heard(event: Event, silent: Container[str]) -> Event:
    """The event without feedback of `silent` sources and without thumbs a validator outranks."""
    kept = [item for item in event.feedback if item.source not in silent]
    if any(_is_fault(item) for item in kept):
        kept = [item for item in kept if not _is_thumb_up(item)]
    return event if len(kept) == len(event.feedback) else replace(event, feedback=tuple(kept))


def factor(source: str, trust: Mapping[str, float]) -> float:
    """What the weight of a row is multiplied by: trust in who wrote its target, in [0, 1].

    An accepted output was written by nobody (""): trust in who accepted it is in its value.
    """
    return trust.get(source, 1.0) if source else 1.0


def muted(trust: Mapping[str, float]) -> frozenset[str]:
    """The sources that are not heard at all."""
    return frozenset(source for source, share in trust.items() if share == 0)


def _is_fault(item: Feedback) -> bool:
    return item.kind == "finding" and item.source_kind == "validator" and not item.value


def _is_thumb_up(item: Feedback) -> bool:
    return item.kind == "thumb" and (item.value or 0.0) > 0.5
