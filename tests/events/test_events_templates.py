"""Templates: what they write is valid, varied, and named by its seed."""

from __future__ import annotations

from itertools import islice

import pytest

from honewheel import plugins
from honewheel.curate import dedup
from honewheel.errors import InputError
from honewheel.events import templates
from honewheel.events.drafts import Draft

KINDS = sorted(templates.TEMPLATES)


def drawn(kind: str, count: int, seed: int = 0) -> list[Draft]:
    return list(islice(templates.drafts(kind, seed), count))


@pytest.mark.parametrize("kind", KINDS)
def test_every_target_is_perfect_of_its_kind(kind: str) -> None:
    task = plugins.task(kind)
    for draft in drawn(kind, 60):
        assert draft.target is not None
        check = task.check(draft.target, draft.context)
        assert (check.score, check.findings) == (1, ()), draft.target
        assert task.facts(draft.target, draft.context)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_names_its_examples(kind: str) -> None:
    assert drawn(kind, 20) == drawn(kind, 20)
    assert {draft.prompt for draft in drawn(kind, 20)}.isdisjoint(
        draft.prompt for draft in drawn(kind, 20, seed=1)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_are_far_enough_apart(kind: str) -> None:
    signed = [dedup.signature(draft.prompt, draft.context) for draft in drawn(kind, 40)]
    near = [
        dedup.similarity(left, right) >= dedup.THRESHOLD
        for place, left in enumerate(signed)
        for right in signed[:place]
    ]
    assert sum(near) <= 0.005 * len(near)


@pytest.mark.parametrize("kind", KINDS)
def test_prompt_and_target_speak_of_the_same_things(kind: str) -> None:
    """A word of the target that no prompt names would teach a model to invent."""
    for draft in drawn(kind, 30):
        told = (draft.prompt + " ".join(draft.context.values())).replace("_", " ").lower()
        named = [noun for noun in templates.NOUNS if f" {noun}" in f" {draft.target}"]
        assert named
        for noun in named:
            plain = noun.replace("_", " ")
            assert plain in told or plain.removesuffix("y") in told, draft


def test_a_kind_without_templates_names_those_with() -> None:
    with pytest.raises(InputError, match="there are for: gherkin, mermaid-erd, sql"):
        templates.drafts("prose", 0)
