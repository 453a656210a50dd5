"""Two texts as one prompt: how a pair travels through the log, datasets and suites.

The prompt is a JSON array of the two texts, `["text a", "text b"]`; a context that has both an
entry `a` and an entry `b` wins over the prompt, for callers whose prompt is an instruction.
Pure: text in, texts out; the checks of what people send (`refusal`) are here too.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping

from honewheel.errors import InputError, ParseError

A, B = "a", "b"  # the context's keys


def as_prompt(a: str, b: str) -> str:
    """The prompt of a pair.

    >>> as_prompt("card lost", "où est ma carte ?")
    '["card lost", "où est ma carte ?"]'
    """
    return json.dumps([a, b], ensure_ascii=False)


def pair(prompt: str, context: Mapping[str, str]) -> tuple[str, str]:
    """The two texts that a prompt is about.

    Raises:
        ParseError: neither the prompt nor the context holds two texts, or one of them is empty.
    """
    found = (context[A], context[B]) if A in context and B in context else _read(prompt)
    for name, text in zip((A, B), found, strict=True):
        if not text.strip():
            raise ParseError(f"text {name} of the pair is empty; a similarity is between two texts")
    return found


def texts(prompt: str, context: Mapping[str, str]) -> tuple[str, str] | None:
    """The two texts of a pair; None for a prompt that is no pair, which most are."""
    if not (prompt.startswith("[") or (A in context and B in context)):
        return None
    try:
        return pair(prompt, context)
    except ParseError:
        return None


def checked(a: str, b: str, score: float | None = None) -> None:
    """Nothing when people can say something of this pair.

    `score` is what they say of it in [0, 1], if they do.

    Raises:
        InputError: a text is empty, both are the same but for case and white space, or the score
            is no number from 0 to 1.
    """
    for name, text in ((A, a), (B, b)):
        if not text.strip():
            raise InputError(f"text {name} of the pair is empty; a similarity is between two texts")
    if normal(a) == normal(b):
        raise InputError(
            f"both texts of the pair are {a[:40]!r} (but for case and white space): that they are "
            "the same teaches nothing. Leave the pair out"
        )
    if score is not None and not 0 <= score <= 1:
        raise InputError(
            f"the score {score:g} is outside 0 .. 1 (0: nothing in common, 1: the same). Scores "
            "on another scale are given with it: import --scale 5"
        )


def normal(text: str) -> str:
    """A text as compared: NFC, case folded, runs of white space as one blank."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _read(prompt: str) -> tuple[str, str]:
    try:
        found = json.loads(prompt)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"the prompt is no pair of texts: {_WANTED}") from error
    if not isinstance(found, list) or len(found) != 2 or not all(map(_is_text, found)):
        raise ParseError(f"the prompt is JSON, but no pair of texts: {_WANTED}")
    return found[0], found[1]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_WANTED = 'a JSON array of two texts is expected, ["text a", "text b"]'
