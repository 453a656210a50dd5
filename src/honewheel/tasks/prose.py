"""Prose: free text, for which no facts but words exist.

Four likenesses to the reference stand side by side and are never averaged, since they err in
different ways: chrF (characters, Popović 2015), BLEU (word sequences, Papineni et al. 2002; with
effective order, as single sentences need it), edit similarity (Levenshtein) and token F1 (words,
as in SQuAD, Rajpurkar et al. 2016). `score` is chrF, the steadiest of them on short texts and the
only one that does not depend on where a language puts its spaces. None of them sees meaning: a
paraphrase scores low and a forgotten "not" high. With an embedder there is `cosine` as well.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from honewheel.errors import ConfigError, InputError
from honewheel.records import Check, Fact, Finding, digest
from honewheel.tasks.facts import fact_f1, judged, parse_error
from honewheel.tasks.prose_findings import findings, words

MAX_CHARS = 50_000

# Texts to one vector each, all of one length.
Embed: TypeAlias = Callable[[Sequence[str]], Sequence[Sequence[float]]]

_QUOTES = str.maketrans("“”„«»‘’‚´`–—", "\"\"\"\"\"'''''--")


class Prose:
    """Prose with or without an embedder; the registered kind has none."""

    kind = "prose"

    def __init__(self, embed: Embed | None = None, embedder: str = "") -> None:
        """`embedder` names what `embed` computes with; it becomes part of the version.

        Raises:
            ConfigError: an embedder without a name, whose scores could be taken for another's.
        """
        if embed is not None and not embedder:
            raise ConfigError("An embedder of prose needs a name; give Prose(embed, 'NAME').")
        self._embed = embed
        self.version = f"{self.kind}/1" if embed is None else f"{self.kind}/1+{embedder}"

    def check(self, output: str, context: Mapping[str, str]) -> Check:
        """Errors for no text and for text that goes round in circles; warnings for text that
        breaks off, repeats itself, or says nothing of its own.
        """
        if finding := _unfit(output):
            return judged([finding])
        return judged([*findings(output)])

    def facts(self, output: str, context: Mapping[str, str]) -> frozenset[Fact]:
        """Words and neighbouring words, numbered where they recur; case and marks are none."""
        found = words(_text(output))
        single = [("word", word) for word in found]
        pairs = [("pair", *two) for two in zip(["", *found], [*found, ""], strict=True)]
        return frozenset(_numbered([*single, *pairs]))

    def equivalence_key(self, output: str, context: Mapping[str, str]) -> str:
        """Hash of the text without layout: case, blank space, styles of quotes and dashes."""
        return digest(_plain(_text(output)))

    def compare(
        self, output: str, reference: str, context: Mapping[str, str]
    ) -> Mapping[str, float]:
        """Score (valid x chrf), valid, facts, exact, equivalent, chrf, bleu, edit, token_f1 and,
        with an embedder, cosine (negative ones count as 0); each in [0, 1].

        Raises:
            ParseError: the reference cannot be read.
            InputError: the embedder gives no finite vectors of one length.
        """
        expected = self.facts(reference, context)
        exact = float(output.strip() == reference.strip())
        found = {"score": 0.0, "valid": 0.0, "facts": 0.0, "exact": exact, "equivalent": 0.0}
        if _unfit(output):
            names = ["chrf", "bleu", "edit", "token_f1", *(["cosine"] if self._embed else [])]
            return found | dict.fromkeys(names, 0.0)
        likeness = _likeness(output, reference)
        if self._embed is not None:
            likeness["cosine"] = _cosine(self._embed([output, reference]))
        valid = float(self.check(output, context).valid)
        same = self.equivalence_key(output, context) == self.equivalence_key(reference, context)
        found |= {
            "score": valid * likeness["chrf"],
            "valid": valid,
            "facts": fact_f1(self.facts(output, context), expected),
            "equivalent": float(same),
        }
        return found | likeness


def _unfit(output: str) -> Finding | None:
    if len(output) > MAX_CHARS:
        message = f"{len(output):,} characters; at most {MAX_CHARS:,} are read"
        return Finding(code="too-large", message=message)
    if any("\ud800" <= char <= "\udfff" for char in output):
        return Finding(code="not-unicode", message="a lone surrogate is not a character")
    if "\0" in output:
        return Finding(code="not-text", message="holds a NUL character")
    if not words(output):
        return Finding(code="empty", message="there is no word in it")
    return None


def _text(output: str) -> str:
    if finding := _unfit(output):
        raise parse_error(finding)
    return output


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text.translate(_QUOTES)).casefold()
    return re.sub(r"\s+", " ", folded).strip()


def _numbered(found: Sequence[Fact]) -> Iterator[Fact]:
    for fact, count in Counter(found).items():
        yield from ((*fact, str(place)) for place in range(count))


# --- likeness -----------------------------------------------------------------------------------


def _likeness(output: str, reference: str) -> dict[str, float]:
    from rapidfuzz.distance import Levenshtein
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    found, expected = output.strip(), reference.strip()
    chrf = CHRF().sentence_score(found, [expected]).score
    bleu = BLEU(effective_order=True).sentence_score(found, [expected]).score
    return {
        "chrf": _share(chrf / 100),
        "bleu": _share(bleu / 100),
        "edit": _share(Levenshtein.normalized_similarity(found, expected)),
        "token_f1": token_f1(words(found), words(expected)),
    }


def token_f1(found: Sequence[str], expected: Sequence[str]) -> float:
    """F1 over words as a multiset, in [0, 1]; two empty texts agree.

    >>> token_f1(["a", "b"], ["a", "a"])
    0.5
    """
    if not found and not expected:
        return 1.0
    shared = (Counter(found) & Counter(expected)).total()
    return 2 * shared / (len(found) + len(expected))


def _cosine(vectors: Sequence[Sequence[float]]) -> float:
    """Cosine of two vectors, 0 where it is negative or a vector is zero."""
    sizes = [len(vector) for vector in vectors]
    if len(sizes) != 2 or sizes[0] != sizes[1]:
        raise InputError(f"The embedder gave vectors of sizes {sizes} for two texts.")
    one, two = ([float(number) for number in vector] for vector in vectors)
    dot = math.fsum(a * b for a, b in zip(one, two, strict=True))
    length = math.hypot(*one) * math.hypot(*two)
    if not math.isfinite(dot) or not math.isfinite(length):
        raise InputError("The embedder gave a vector with a number that is not finite.")
    return _share(dot / length) if length else 0.0


def _share(number: float) -> float:
    return min(1.0, max(0.0, number))
