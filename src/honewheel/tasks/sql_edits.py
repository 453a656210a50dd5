"""Changes to SQL text that keep the rest of it as it was written, by the offsets of its tokens."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from honewheel.errors import ParseError

Span: TypeAlias = tuple[int, int]  # start and end offset in the text
Edit: TypeAlias = tuple[int, int, str]  # a span and what stands there then

_NAMES = {"VAR", "IDENTIFIER", "STRING", "NUMBER"}


def tokenized(text: str) -> list[Any]:
    """Sqlglot's tokens of `text`. Raises ParseError."""
    from sqlglot.dialects.dialect import Dialect
    from sqlglot.errors import SqlglotError

    try:
        return list(Dialect.get_or_raise("sqlite").tokenize(text))
    except SqlglotError as error:
        raise ParseError(f"not SQL: {error}") from error


def edited(text: str, edits: Iterable[Edit]) -> str:
    """`text` with each edit applied; they must not overlap."""
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    return text


def reordered(text: str, families: Iterable[Sequence[Span]], rng: random.Random) -> str:
    """The spans of each family dealt to each other's places."""
    edits: list[Edit] = []
    for spans in families:
        order = rng.sample(spans, len(spans))
        if len(spans) > 1 and order == list(spans):
            order = [*spans[1:], spans[0]]
        edits += [
            (start, end, text[other[0] : other[1]])
            for (start, end), other in zip(spans, order, strict=True)
        ]
    return edited(text, edits)


def lowered(text: str, tokens: Sequence[Any]) -> str:
    """Keywords and types in lower case, names and values as they are."""
    return edited(
        text,
        [
            (token.start, token.end + 1, text[token.start : token.end + 1].lower())
            for token in tokens
            if token.token_type.name not in _NAMES
        ],
    )


def on_one_line(text: str, tokens: Sequence[Any]) -> str:
    """Blank space between tokens as one space."""
    gaps = [(before.end + 1, after.start) for before, after in pairwise(tokens)]
    return edited(text, [(a, b, " ") for a, b in gaps if b > a and not text[a:b].strip()])
