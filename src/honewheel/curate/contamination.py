"""Which rows to learn from give away held-out items: asserted whenever a dataset is sealed.

A row leaks an item when they share a group; or, within one task, the canonical prompt and
context; the prompt and the target; or most of the prompt's 8-grams of words with as much of the
context's (containment in the sense of Brown et al. 2020, appendix C). Time is linear in the text:
an n-gram that several held-out groups share is template wording, tells nothing about any of
them, and leaves the index.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from honewheel.curate import text
from honewheel.curate.dedup import exact_key
from honewheel.errors import Leak
from honewheel.records import Example, Item

VERSION = 1

GRAM = 8  # words
CONTAINMENT = 0.5  # share of an item's own 8-grams; one edit in 30 words leaves 0.65, two 0.3
TEMPLATE_GROUPS = 3  # an 8-gram in this many held-out groups is the template's, not the item's

Found = tuple[str, str, str]  # example id, item id, reason


def leaks(train: Sequence[Example], held_out: Sequence[Item]) -> list[Found]:
    """Every (example id, item id, reason) where a row gives away an item; first reason a pair."""
    index = _Index(held_out)
    found = []
    for row in train:
        reasons: dict[str, str] = {}
        for item, reason in index.hits(row):
            reasons.setdefault(item.id, reason)
        found += [(row.id, item, reason) for item, reason in sorted(reasons.items())]
    return found


def assert_clean(train: Sequence[Example], held_out: Sequence[Item]) -> None:
    """Nothing when no row gives away an item.

    Raises:
        Leak: names the first three pairs with their reasons, and their number.
    """
    found = leaks(train, held_out)
    if found:
        named = "; ".join(f"example {row} and item {item}: {why}" for row, item, why in found[:3])
        raise Leak(
            f"{len(found)} pairs of training rows and held-out items overlap: {named}. Nothing "
            "was sealed. Drop these rows from training, or these items from the suite."
        )


class _Index:
    """Held-out items by group, exact key, prompt with target, and informative 8-grams."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.groups: defaultdict[str, list[Item]] = defaultdict(list)
        self.exact: defaultdict[tuple[str, str], list[Item]] = defaultdict(list)
        self.answers: defaultdict[tuple[str, str, str], list[Item]] = defaultdict(list)
        self.grams: defaultdict[tuple[str, str], list[Item]] = defaultdict(list)
        self.size: dict[tuple[str, str], int] = {}  # informative 8-grams of (task, item id)
        shared = _template_grams(items)
        for item in items:
            self.groups[item.group].append(item)
            self.exact[item.task, exact_key(item.prompt, item.context)].append(item)
            self.answers[_answer(item.task, item.prompt, item.reference)].append(item)
            own = {(item.task, gram) for gram in text.shingles(item.prompt, GRAM)} - shared
            self.size[item.task, item.id] = len(own)
            for gram in own:
                self.grams[gram].append(item)

    def hits(self, row: Example) -> Iterable[tuple[Item, str]]:
        for item in self.groups.get(row.group, ()):
            yield item, f"same group {row.group}"
        for item in self.exact.get((row.task, exact_key(row.prompt, row.context)), ()):
            yield item, "same prompt and context"
        for item in self.answers.get(_answer(row.task, row.prompt, row.target), ()):
            yield item, "same prompt and target"
        yield from self._copies(row)

    def _copies(self, row: Example) -> Iterable[tuple[Item, str]]:
        counts: Counter[str] = Counter()
        items: dict[str, Item] = {}
        for gram in text.shingles(row.prompt, GRAM):
            for item in self.grams.get((row.task, gram), ()):
                counts[item.id] += 1
                items[item.id] = item
        for name in sorted(counts):
            share = counts[name] / self.size[row.task, name]
            if share > CONTAINMENT and _same_context(row.context, items[name].context):
                yield items[name], f"{share:.0%} of the item's {GRAM}-word runs"


def _template_grams(items: Sequence[Item]) -> set[tuple[str, str]]:
    groups: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for item in items:
        for gram in text.shingles(item.prompt, GRAM):
            groups[item.task, gram].add(item.group)
    return {gram for gram, owners in groups.items() if len(owners) >= TEMPLATE_GROUPS}


def _same_context(left: Mapping[str, str], right: Mapping[str, str]) -> bool:
    """Whether the right context is contained in the left; two empty ones are the same."""
    theirs = text.shingles("\n".join(right[key] for key in sorted(right)), GRAM)
    ours = text.shingles("\n".join(left[key] for key in sorted(left)), GRAM)
    if not theirs or not ours:
        return not theirs and not ours
    return len(theirs & ours) / len(theirs) > CONTAINMENT


def _answer(task: str, prompt: str, target: str) -> tuple[str, str, str]:
    return task, text.canonical(prompt), text.canonical_target(target)
