"""Canonical forms of text: what counts as the same prompt, the same target, the same words.

Bump VERSION when any of them changes: keys and signatures derived from them are stored.
"""

from __future__ import annotations

import re
import unicodedata

VERSION = 1

# Scripts written without spaces count one character as one word; elsewhere \w+ would swallow a
# whole sentence and every edit would look like a new text.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(f"[{_UNSPACED}]|[^\\W{_UNSPACED}]+")
_IRREGULAR = (" \n", "\t\n", *"\r\v\f\x1c\x1d\x1e\x1f")  # ends of lines that need more than strip
_ASCII_WORD = re.compile(r"\w+", re.ASCII)


def canonical(text: str) -> str:
    """A prompt as compared: NFC, case folded, runs of whitespace as one space.

    Case is folded because a prompt that differs in nothing else asks the same thing, and a
    false match here only keeps a row out of training.
    """
    if text.isascii():  # as below, at a third of the cost
        return " ".join(text.lower().split())
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def canonical_target(text: str) -> str:
    """A target as compared: NFC, no blank edges, no spaces at line ends; case and layout count."""
    if text.isascii() and not any(one in text for one in _IRREGULAR):  # as below, much faster
        return text.strip()
    lines = unicodedata.normalize("NFC", text).strip().splitlines()
    return "\n".join(line.rstrip() for line in lines)


def words(text: str) -> list[str]:
    """The words of a canonical text, without punctuation."""
    if text.isascii():  # as below, at a third of the cost
        return _ASCII_WORD.findall(text.lower())
    return _WORD.findall(canonical(text))


def shingles(text: str, size: int) -> set[str]:
    """Every run of `size` consecutive words; a shorter text is one shingle, an empty one none.

    A text of punctuation only is its own single shingle, so that "???" and "!!!" stay different.
    """
    found = words(text) or canonical(text).split()
    if not found:
        return set()
    if len(found) <= size:
        return {" ".join(found)}
    return set(map(" ".join, zip(*(found[at:] for at in range(size)), strict=False)))
