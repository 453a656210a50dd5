"""What was asked, handed to a task kind: the context of something recorded, its prompt in it.

A verdict may depend on the question (a puzzle's answer is right for its givens), so whoever calls
`check`, `facts`, `equivalence_key` or `compare` on something recorded passes `asked(it)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

PROMPT = "@prompt"  # no context entry that people record begins with @


class Question(Protocol):
    """A response, an example, an item: whatever has a prompt and a context."""

    @property
    def prompt(self) -> str: ...

    @property
    def context(self) -> Mapping[str, str]: ...


def asked(one: Question) -> dict[str, str]:
    """The context's entries, and the prompt under `@prompt`."""
    return with_prompt(one.prompt, one.context)


def with_prompt(prompt: str, context: Mapping[str, str]) -> dict[str, str]:
    """`asked` of a prompt and a context that stand by themselves."""
    return {**context, PROMPT: prompt}
