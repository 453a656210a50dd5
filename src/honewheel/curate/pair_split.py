"""Which side a pair of texts goes to, so that no text of a test pair is in a training pair.

Pairs hang together through their texts, and whoever compares each new ticket with an older one
ties all of them into one component: split by component, everything would be training material
and nothing would test. So components are never made. What is recorded is the side of each *text*
(with its near-copies), at first sight:

* Both texts new: the side is a hash of one of them, the first in order of their canonical forms.
* One or both known, on one side: the pair goes there, and its new text with it. Nothing is lost.
* Known on two sides: the pair is set aside. It would leak wherever it went.
* A new text tied to a side that has more than its share already (`FULL`) keeps the side its own
  hash gives it, and where that is another one, the pair is set aside. So whatever the graph, no
  side swallows the set.
* Whoever wants whole tickets, anchors or labels on one side names them in the context (`group_a`,
  `group_b`): then the hash of that name decides for the text, always.

Measured losses and the reasons are in docs/decisions. Pure: what is known comes in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from honewheel.curate import dedup, split, text
from honewheel.curate.dedup import Candidate, Link
from honewheel.records import Split
from honewheel.tasks import pairs

GROUP_A, GROUP_B = "group_a", "group_b"  # the context's keys: what each text belongs to
FULL: Mapping[Split, float] = {"train": 0.88, "val": 0.15, "test": 0.15}  # shares of a task's pairs
FEW = 20  # pairs of a task below which shares say nothing


class Text(NamedTuple):
    """One text of a pair: what finds its like, and what decides its side while it is new."""

    signature: bytes
    keys: tuple[int, ...]  # one of the exact text, then the bands of the signature
    home: str  # the group that was named for it, else its canonical form
    named: bool

    @property
    def exact(self) -> int:
        """Hash of the text in its canonical form, in [0, 2^63)."""
        return self.keys[0]


class Known(NamedTuple):
    """What is known that resembles one text of a pair."""

    text: Text
    near: Sequence[Candidate]


def texts(prompt: str, context: Mapping[str, str]) -> tuple[Text, Text] | None:
    """Both texts of a pair, ready to be looked up; None when the prompt is no pair."""
    found = pairs.texts(prompt, context)
    if found is None:
        return None
    signed = dedup.signatures([(one, {}) for one in found])
    bands = dedup.all_bands(signed)
    named = (context.get(GROUP_A, ""), context.get(GROUP_B, ""))
    first, second = (
        Text(one_signed, (_exact(one), *one_bands), name or text.canonical(one), bool(name))
        for one, name, one_signed, one_bands in zip(found, named, signed, bands, strict=True)
    )
    return first, second


def link(
    response_id: str,
    twin: Candidate | None,
    known: Sequence[Known],
    *,
    task: str,
    shares: Mapping[Split, float],
) -> Link:
    """Where a pair goes. `twin` is an earlier response with the very same two texts.

    `shares` are those of the task's pairs by side; empty while there are too few. A group is one
    pair, however often it was judged. The split of a Link is always set.
    """
    if twin is not None:
        return Link(twin.group, twin.split, twin.response_id, 1.0)
    ours = [_near(one) for one in known]
    sides = {candidate.split for near in ours for _, candidate in near}
    homes = {own(one.text, task) for one in known if one.text.named}
    if len(sides | homes) > 1:
        return _aside(response_id, ours, homes, task, known)
    nearest = min((one for near in ours for one in near), key=_rank, default=None)
    if homes:
        (side,) = homes
        return _linked(response_id, nearest, side)
    if nearest is None:
        return Link(response_id, own(min((one.text for one in known), key=_home), task))
    side = nearest[1].split
    for one, near in zip(known, ours, strict=True):
        wanted = own(one.text, task)
        if not near and wanted != side and shares.get(side, 0.0) > FULL[side]:
            reason = (
                f"ties a new text, whose side is {wanted}, to {nearest[1].response_id} ({side}); "
                f"{side} holds {shares[side]:.0%} of the task's pairs already"
            )
            return _linked(response_id, nearest, side)._replace(quarantined=reason)
    return _linked(response_id, nearest, side)


def own(one: Text, task: str) -> Split:
    """The side of a text that nothing is known of."""
    return split.assign(f"text\x1f{one.home}", task)


def shares(counts: Mapping[Split, int]) -> dict[Split, float]:
    """Shares of the sides; none while there are fewer than FEW pairs."""
    total = sum(counts.values())
    return {side: count / total for side, count in counts.items()} if total >= FEW else {}


def _near(one: Known) -> list[tuple[float, Candidate]]:
    scored = (
        (dedup.similarity(one.text.signature, candidate.signature), candidate)
        for candidate in one.near
    )
    return [pair for pair in scored if pair[0] >= dedup.THRESHOLD]


def _rank(one: tuple[float, Candidate]) -> tuple[float, str]:
    return -one[0], one[1].response_id


def _home(one: Text) -> str:
    return one.home


def _linked(response_id: str, nearest: tuple[float, Candidate] | None, side: Split) -> Link:
    if nearest is None:
        return Link(response_id, side)
    return Link(response_id, side, nearest[1].response_id, nearest[0])


def _aside(
    response_id: str,
    ours: Sequence[Sequence[tuple[float, Candidate]]],
    homes: set[Split],
    task: str,
    known: Sequence[Known],
) -> Link:
    """A pair that touches two sides."""
    near = sorted((one for found in ours for one in found), key=_rank)
    told = {f"{one.response_id} ({one.split})": None for _, one in near}
    told |= {f"group {one.text.home} ({own(one.text, task)})": None for one in known if homes}
    nearest = near[0] if near else None
    side = nearest[1].split if nearest else min(homes)
    names = list(told)
    shown = names[:1] + [name for name in names[1:] if not name.endswith(f"({side})")][:1]
    reason = f"its texts belong to {' and '.join(shown)}: using it on either side would leak"
    return _linked(response_id, nearest, side)._replace(quarantined=reason)


def _exact(one: str) -> int:
    hashed = hashlib.blake2b(text.canonical(one).encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(hashed.digest(), "big") >> 1
