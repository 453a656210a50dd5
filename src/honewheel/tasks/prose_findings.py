"""What is wrong with a text by its looks: broken off, repeating itself, saying nothing.

All of these are signs, not proofs, so only a text that is mostly repetition is an error. Stock
phrases and notes are looked for in English.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from honewheel.records import Finding

LOOP_SHARE = 0.5  # of four-word sequences that were there before: the text goes round in circles
REPEAT_SHARE = 0.2
FEWEST_WORDS = 30  # shorter texts repeat by chance
GENERIC_WORDS = 40  # one stock phrase in so many words is one too many

_GRAM = 4
# Scripts without spaces between words are taken letter by letter.
_LETTERS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_LETTERS}]|[^\W_{_LETTERS}]+(?:['’][^\W_{_LETTERS}]+)*")
_STOP = ".!?…。！？؟।"
# Possessive, and from the first mark of a run only, so that long runs take linear time.
_SENTENCE_END = re.compile(rf"(?<![{_STOP}])[{_STOP}]++[\"'”’»)\]]*+(?=\s|$)")
_OPEN_ENDED = re.compile(
    r"(?:[,;(\[{\-–—&、，]|\b(?:and|or|but|the|a|an|of|to|in|with|for|because|that|which|is|are))$",
    re.IGNORECASE,
)
_LIST_LINE = re.compile(r"(?:[-*+•|#>]|\d+[.)])\s?")
_PLACEHOLDER = re.compile(
    r"lorem ipsum|\{\{\s*\w+\s*\}\}|\b(?:TODO|TBD|FIXME|XXX)\b"
    r"|\[(?:insert|your|enter|add|name|company|date|placeholder)\b[^\]\n]{0,60}\]"
    r"|<(?:insert|your|enter|placeholder)\b[^>\n]{0,60}>",
    re.IGNORECASE,
)
_ASSISTANT = re.compile(
    r"\bas an? (?:ai|artificial intelligence|large language model|language model)\b"
    r"|\bi(?:'m| am) (?:just |only )?an? (?:ai|language model)\b"
    r"|\bi(?:'m| am) sorry,? but i (?:can't|cannot|am unable)\b"
    r"|\bmy (?:knowledge cutoff|training data)\b",
    re.IGNORECASE,
)
_STOCK = re.compile(
    r"\bit(?:'s| is) (?:important|crucial|essential) to (?:note|remember|consider)\b"
    r"|\bit(?:'s| is) worth noting\b"
    r"|\bin today's (?:fast-paced|digital|modern|ever-changing) (?:world|age|landscape)\b"
    r"|\bi hope this (?:helps|finds you well)\b|\blet me know if you (?:have|need)\b"
    r"|\b(?:in conclusion|to summarize|in summary|at the end of the day|needless to say)\b"
    r"|\bplays? a (?:crucial|vital|key|pivotal) role\b|\ba wide (?:range|variety) of\b"
    r"|\bthere are (?:many|several|various) (?:factors|ways|reasons|aspects)\b"
    r"|\bfeel free to\b|\bunlock the (?:power|potential)\b|\bdelve into\b"
    r"|\bas (?:previously )?mentioned (?:above|earlier|before)\b",
    re.IGNORECASE,
)


def words(text: str) -> list[str]:
    """Words in order, without case and marks; letters where a script has no spaces.

    >>> words("Don't stop - NOW!")
    ["don't", 'stop', 'now']
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return _WORD.findall(folded)


def findings(text: str) -> Iterator[Finding]:
    """An error for a text that goes round in circles, warnings for the rest."""
    found = words(text)
    yield from _repetition(text, found)
    if reason := _breaks_off(text):
        yield _slip("truncated", reason, text.rstrip().count("\n") + 1)
    for match in _PLACEHOLDER.finditer(text):
        message = f"{match[0]!r} stands where something should be filled in"
        yield _slip("placeholder", message, _line(text, match))
    if about := _ASSISTANT.search(text):
        yield _slip("assistant", f"speaks of the model itself: {about[0]!r}", _line(text, about))
    stock = [match[0].lower() for match in _STOCK.finditer(text)]
    if stock and len(stock) * GENERIC_WORDS > len(found):
        listed = ", ".join(repr(phrase) for phrase in dict.fromkeys(stock[:5]))
        message = f"{len(stock)} stock phrases in {len(found)} words: {listed}"
        yield _slip("generic", message, None)


def _repetition(text: str, found: Sequence[str]) -> Iterator[Finding]:
    share = repeated_share(found)
    if len(found) >= FEWEST_WORDS and share > REPEAT_SHARE:
        message = f"{share:.0%} of its {_GRAM}-word sequences were there before"
        if share > LOOP_SHARE:
            yield Finding(code="repetition", message=message)
        else:
            yield _slip("repetition", message, None)
        return
    sentences = Counter(
        " ".join(words(part)) for part in _SENTENCE_END.split(text) if len(words(part)) >= 3
    )
    for sentence, count in sentences.most_common(1):
        if count >= 3:
            yield _slip("repetition", f"says {count} times: {sentence[:60]!r}", None)


def repeated_share(found: Sequence[str]) -> float:
    """Share of four-word sequences that stood in the text before, in [0, 1)."""
    grams = list(zip(*(found[start:] for start in range(_GRAM)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _breaks_off(text: str) -> str | None:
    """Why the end is taken for a cut, or None."""
    fences = [line for line in text.splitlines() if line.lstrip().startswith("```")]
    if len(fences) % 2:
        return "a ``` block is never closed"
    last = text.rstrip().splitlines()[-1].strip()
    if fences and last.startswith("```"):
        return None
    if _OPEN_ENDED.search(last) and not re.fullmatch(r"[-=_*]{3,}", last):
        return f"ends in {last[-20:]!r}"
    # Titles and list entries need no full stop; a long last line beside full sentences does.
    ends = len(_SENTENCE_END.findall(text))
    plain = _LIST_LINE.match(last) is None and not last.endswith((":", "|"))
    if ends and plain and len(words(last)) >= 8 and not _SENTENCE_END.search(last[-8:]):
        return f"the last sentence has no end: {last[-20:]!r}"
    return None


def _line(text: str, match: re.Match[str]) -> int:
    return text.count("\n", 0, match.start()) + 1


def _slip(code: str, message: str, line: int | None) -> Finding:
    return Finding(code=code, message=message, severity="warning", line=line)
