"""Which answers changed: champion and challenger side by side on the same held-out items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from honewheel.curate import reward
from honewheel.records import EvalRow
from honewheel.store import Store

_SHOWN = 5

Text: TypeAlias = tuple[str | None, str | None]  # prompt, reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One item's two answers. Prompt and reference are None when the store no longer has them."""

    suite: str
    task: str
    item: str
    champion: float
    challenger: float
    champion_output: str
    challenger_output: str
    prompt: str | None = None
    reference: str | None = None

    @property
    def difference(self) -> float:
        return self.challenger - self.champion


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Every paired score, and the few largest changes either way with their texts."""

    scores: tuple[tuple[float, float], ...] = ()  # (champion, challenger), each in [0, 1]
    improvements: tuple[Change, ...] = ()
    losses: tuple[Change, ...] = ()

    @property
    def better(self) -> int:
        return sum(challenger > champion for champion, challenger in self.scores)

    @property
    def worse(self) -> int:
        return sum(challenger < champion for champion, challenger in self.scores)


def changes_between(
    store: Store, rows: Sequence[EvalRow], names: Sequence[str], *, up_to: int
) -> Changes:
    """Changes from `names[1]` (champion) to `names[2]` (challenger) over items both answered.

    Prompts and references of a rolling panel are those of the log up to sequence `up_to`.
    """
    _, champion, challenger = names
    before = {(row.suite, row.item): row for row in rows if row.version == champion}
    after = {(row.suite, row.item): row for row in rows if row.version == challenger}
    pairs = [(before[key], after[key]) for key in sorted(before.keys() & after.keys())]
    changed = sorted(pairs, key=lambda pair: (-_difference(pair), pair[0].suite, pair[0].item))
    gained = [pair for pair in changed if _difference(pair) > 0][:_SHOWN]
    lost = [pair for pair in reversed(changed) if _difference(pair) < 0][:_SHOWN]
    texts = _texts(store, [pair[0] for pair in gained + lost], up_to)
    return Changes(
        scores=tuple((old.metrics["score"], new.metrics["score"]) for old, new in pairs),
        improvements=tuple(_change(pair, texts) for pair in gained),
        losses=tuple(_change(pair, texts) for pair in lost),
    )


def _difference(pair: tuple[EvalRow, EvalRow]) -> float:
    return pair[1].metrics["score"] - pair[0].metrics["score"]


def _texts(store: Store, rows: Sequence[EvalRow], up_to: int) -> dict[tuple[str, str], Text]:
    """(suite, item) -> prompt and reference: from an imported suite, else from the log."""
    imported = {listed.name for listed in store.suites.list()}
    found: dict[tuple[str, str], Text] = {}
    for name in sorted({row.suite for row in rows} & imported):
        for item in store.suites.get(name).items:
            found[name, item.id] = (item.prompt, item.reference)
    rolling = {row.item: row.suite for row in rows if row.suite not in imported}
    for event in store.log.events(None, up_to, sorted(rolling)):
        target = reward.target(event)
        reference = None if target is None else target[1]
        found[rolling[event.id], event.id] = (event.response.prompt, reference)
    return found


def _change(pair: tuple[EvalRow, EvalRow], texts: Mapping[tuple[str, str], Text]) -> Change:
    old, new = pair
    prompt, reference = texts.get((old.suite, old.item), (None, None))
    return Change(
        suite=old.suite,
        task=old.task,
        item=old.item,
        champion=old.metrics["score"],
        challenger=new.metrics["score"],
        champion_output=old.output,
        challenger_output=new.output,
        prompt=prompt,
        reference=reference,
    )
