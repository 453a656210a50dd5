"""What was asked, handed to a task kind: the context of a response with its prompt in it.

A verdict may depend on the question (a puzzle's answer is right for its givens), so whoever calls
`check`, `facts`, `equivalence_key` or `compare` on something recorded passes `asked(...)`.
"""

from __future__ import annotations

from collections.abc import Mapping

PROMPT = "@prompt"  # no context entry that people record begins with @


def asked(prompt: str, context: Mapping[str, str]) -> dict[str, str]:
    """The context's entries, and the prompt under `@prompt`."""
    return {**context, PROMPT: prompt}
