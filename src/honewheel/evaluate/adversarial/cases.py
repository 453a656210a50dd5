"""The diagnostic's cases: each category's edit on some of a user's texts. Pure and seeded.

The same texts, seed and settings give the same cases, whatever order the texts come in, so two
versions answer the very same questions.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from honewheel.evaluate.adversarial import edits
from honewheel.evaluate.adversarial.edits import EDITS, PARAPHRASE
from honewheel.records import Item, digest
from honewheel.tasks import pairs

VERSION = 1

Expectation: TypeAlias = Literal["same", "different", "report"]
CATEGORIES = (*EDITS, PARAPHRASE)
LONGEST = 2_000  # characters of a text that is edited; longer ones are mostly something else


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Two texts, and what the project says a pair like this is."""

    id: str
    category: str
    a: str
    b: str
    expected: Expectation


def make(
    texts: Iterable[str],
    *,
    policy: Mapping[str, Expectation],
    per_category: int,
    seed: int,
    paraphrases: Sequence[tuple[str, str]] = (),
    antonyms: Mapping[str, str] | None = None,
) -> tuple[Case, ...]:
    """At most `per_category` cases of each category that `policy` names.

    A category whose edit finds nothing in the texts has fewer, or none. `paraphrases` are pairs
    that people said are the same; `antonyms` more words for that edit.
    """
    ordered = sorted({text.strip() for text in texts if text.strip() and len(text) <= LONGEST})
    known = edits.corpus(ordered, antonyms or {})
    found: list[Case] = []
    for category in CATEGORIES:
        if category not in policy:
            continue
        rng = random.Random(f"{seed} {category}")
        if category == PARAPHRASE:
            drawn = sorted(set(paraphrases))
            rng.shuffle(drawn)
            made = [_case(category, a, b, policy[category]) for a, b in drawn[:per_category]]
        else:
            made = _edited(category, ordered, known, policy[category], per_category, rng)
        found += made
    return tuple(found)


def item(case: Case, task: str) -> Item:
    """The case as something that a model answers."""
    return Item(
        id=case.id,
        task=task,
        prompt=pairs.as_prompt(case.a, case.b),
        reference="1" if case.expected == "same" else "0",
        group=case.id,
    )


def _edited(
    category: str,
    texts: Sequence[str],
    known: edits.Corpus,
    expected: Expectation,
    wanted: int,
    rng: random.Random,
) -> list[Case]:
    found: list[Case] = []
    drawn = list(texts)
    rng.shuffle(drawn)
    for text in drawn:
        if len(found) == wanted:
            break
        edited = EDITS[category](text, known, rng)
        if edited is not None and _differ(*edited):
            found.append(_case(category, *edited, expected))
    return found


def _differ(a: str, b: str) -> bool:
    return a != b and bool(b.strip())


def _case(category: str, a: str, b: str, expected: Expectation) -> Case:
    return Case(
        id=f"adv_{digest([category, a, b])[:16]}", category=category, a=a, b=b, expected=expected
    )
