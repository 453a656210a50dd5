"""One small edit of one text: what the diagnostic's categories do. Pure and seeded.

An edit returns the two texts to compare, or None where the text offers nothing to edit. Most leave
the first as it is; those that need a number, a name or an identifier put one into both where the
text has none, so that every text can be asked. Cases are made by rules and not checked by people:
some swaps are ungrammatical, and a few change less than they should.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from honewheel.evaluate.adversarial import lexicon

Edited: TypeAlias = tuple[str, str] | None

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_NUMBER = re.compile(r"(?<![\w.])\d{1,6}(?![\w.]|\.\d)")
_IDENTIFIER = re.compile(r"\b(?:[A-Za-z]+[-_]?\d[\w.-]*\d|\d+(?:\.\d+)+|[A-Z]{2,}\d+)\b")
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]{2,}\b")
_NEGATED = re.compile(r"\b(?:not|never)\b ?|(?<=can)not\b|n['’]t\b", re.IGNORECASE)
_FROM_TO = re.compile(r"\bfrom (?P<a>[\w-]+(?: [\w-]+)?) to (?P<b>[\w-]+)", re.IGNORECASE)
_BEFORE = re.compile(
    r"^(?P<a>.{4,}?) (?P<link>before|after|instead of|rather than) (?P<b>.{4,}?)"
    r"(?P<end>[.?!]*)$",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Corpus:
    """What the edits know of all texts: names that occur, how often each word does, antonyms."""

    names: tuple[str, ...]
    count: Mapping[str, int]
    antonyms: Mapping[str, str] = field(default_factory=dict)


def corpus(texts: Sequence[str], antonyms: Mapping[str, str]) -> Corpus:
    """Harvested from the user's own texts, so that the cases look like them."""
    names = {name for text in texts for name in _NAME.findall(text)} - lexicon.CALENDAR
    count = Counter(word for text in texts for word in {word.lower() for word in _words(text)})
    return Corpus(
        names=tuple(sorted(names)),
        count=count,
        antonyms=lexicon.antonyms(antonyms),
    )


# --- meaning changed ----------------------------------------------------------------------------


def negation(text: str, known: Corpus, rng: random.Random) -> Edited:
    """Take a "not" away where there is one, else put one in."""
    if (found := _NEGATED.search(text)) is not None:
        return text, _tidy(_without(text, found))
    for match in _WORD.finditer(text):
        word = match[0].lower()
        if word in lexicon.AUXILIARIES:
            return text, f"{text[: match.end()]} not{text[match.end() :]}"
    for match in _WORD.finditer(text):
        word = match[0].lower()
        verb = " do not" if word in lexicon.SUBJECTS else " does not"
        if word in lexicon.SUBJECTS or word in lexicon.SINGULAR:
            return text, f"{text[: match.end()]}{verb}{text[match.end() :]}"
    return text, f"It is not true that: {text}"


def number(text: str, known: Corpus, rng: random.Random) -> Edited:
    """Another number in the same place."""
    found = list(_NUMBER.finditer(text))
    if found:
        match = rng.choice(found)
        return text, text[: match.start()] + _other(match[0], rng) + text[match.end() :]
    suffix, many = rng.choice(lexicon.COUNTS), rng.randint(2, 40)
    others = [n for n in range(2, 41) if n != many]
    return tuple(_append(text, suffix.format(n)) for n in (many, rng.choice(others)))  # type: ignore[return-value]


def identifier(text: str, known: Corpus, rng: random.Random) -> Edited:
    """Another version, ticket or serial number in the same place."""
    found = [match for match in _IDENTIFIER.finditer(text) if any(map(str.isdigit, match[0]))]
    if found:
        match = rng.choice(found)
        digits = [at for at, char in enumerate(match[0]) if char.isdigit()]
        at = rng.choice(digits)
        other = match[0][:at] + _other_digit(match[0][at], rng) + match[0][at + 1 :]
        return text, text[: match.start()] + other + text[match.end() :]
    shape = rng.choice(lexicon.IDENTIFIERS)
    first = [rng.randint(10_000, 99_999), *(rng.randint(1, 9) for _ in range(3))]
    second = list(first)
    for place in range(4):
        second[place] = second[place] % 9 + 1 if place else second[place] + rng.randint(1, 99)
    return tuple(_append(text, f"({shape.format(*numbers)})") for numbers in (first, second))  # type: ignore[return-value]


def entity(text: str, known: Corpus, rng: random.Random) -> Edited:
    """Another name in the same place; names are those of the user's texts."""
    found = [match for match in _NAME.finditer(text) if match[0] in known.names]
    if found and len(known.names) > 1:
        match = rng.choice(found)
        other = rng.choice([name for name in known.names if name != match[0]])
        return text, text[: match.start()] + other + text[match.end() :]
    one, other = rng.sample(lexicon.PLACES, 2)
    return _append(text, f"at our {one} site"), _append(text, f"at our {other} site")


def antonym(text: str, known: Corpus, rng: random.Random) -> Edited:
    """One word by its opposite."""
    found = [match for match in _WORD.finditer(text) if match[0].lower() in known.antonyms]
    if not found:
        return None
    match = rng.choice(found)
    other = _cased(known.antonyms[match[0].lower()], match[0])
    return text, text[: match.start()] + other + text[match.end() :]


def role_swap(text: str, known: Corpus, rng: random.Random) -> Edited:
    """From A to B becomes from B to A; what was before is after; who did is done to."""
    if (found := _FROM_TO.search(text)) is not None and found["a"].lower() != found["b"].lower():
        swapped = f"from {found['b']} to {found['a']}"
        return text, text[: found.start()] + swapped + text[found.end() :]
    if (found := _BEFORE.search(text)) is not None:
        return text, f"{found['b']} {found['link']} {found['a']}{found['end']}"
    return None


def content_swap(text: str, known: Corpus, rng: random.Random) -> Edited:
    """Two rare words change places: the same bag of words, another statement (as in PAWS)."""
    found = [
        match
        for match in _WORD.finditer(text)
        if len(match[0]) > 3 and match[0].lower() not in lexicon.STOPWORDS
    ]
    rarest = sorted(found, key=lambda match: (known.count.get(match[0].lower(), 0), match.start()))
    chosen = {match[0].lower(): match for match in reversed(rarest[:4])}
    if len(chosen) < 2:
        return None
    one, other = sorted(rng.sample(sorted(chosen), 2), key=lambda word: chosen[word].start())
    first, second = chosen[one], chosen[other]
    swapped = (
        text[: first.start()]
        + _cased(second[0], first[0])
        + text[first.end() : second.start()]
        + _cased(first[0], second[0])
        + text[second.end() :]
    )
    return text, swapped


# --- meaning kept -------------------------------------------------------------------------------


def typo(text: str, known: Corpus, rng: random.Random) -> Edited:
    """Neighbouring letters change places in up to two words of four letters or more."""
    found = [match for match in _WORD.finditer(text) if len(match[0]) > 3]
    if not found:
        return None
    letters = list(text)
    for match in rng.sample(found, min(2, len(found))):
        inner = [
            at for at in range(match.start() + 1, match.end() - 2) if letters[at] != letters[at + 1]
        ]
        if inner:
            at = rng.choice(inner)
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return text, "".join(letters)


def case(text: str, known: Corpus, rng: random.Random) -> Edited:
    """Upper case, without punctuation."""
    return text, " ".join(re.sub(r"[^\w\s'’%$€#@/.-]|[.](?=\s|$)", " ", text).split()).upper()


def contraction(text: str, known: Corpus, rng: random.Random) -> Edited:
    """One long form by its short one, or the other way round."""
    plain = text.replace("’", "'")
    for long, short in lexicon.CONTRACTIONS.items():
        for one, other in ((long, short), (short, long)):
            found = re.search(rf"\b{re.escape(one)}(?!\w)", plain, re.IGNORECASE)
            if found is not None:
                shown = _cased(other, found[0])
                return plain, plain[: found.start()] + shown + plain[found.end() :]
    return None


def greeting(text: str, known: Corpus, rng: random.Random) -> Edited:
    """With a greeting before and a closing behind it."""
    return text, f"{rng.choice(lexicon.GREETINGS)} {text} {rng.choice(lexicon.CLOSINGS)}"


def distractor(text: str, known: Corpus, rng: random.Random) -> Edited:
    """Among sentences that have nothing to do with it."""
    before, *after = rng.sample(lexicon.DISTRACTORS, 3)
    return text, f"{before} {_ended(text)} {' '.join(after)}"


EDITS: Mapping[str, Callable[[str, Corpus, random.Random], Edited]] = {
    "negation": negation,
    "number": number,
    "identifier": identifier,
    "entity": entity,
    "antonym": antonym,
    "role_swap": role_swap,
    "content_swap": content_swap,
    "typo": typo,
    "case": case,
    "contraction": contraction,
    "greeting": greeting,
    "distractor": distractor,
}
PARAPHRASE = "paraphrase"  # pairs that people said are the same: no edit makes them


def _words(text: str) -> list[str]:
    return [match[0] for match in _WORD.finditer(text)]


def _without(text: str, negated: re.Match[str]) -> str:
    """The text without this negation: "can't" loses its n't, "won't" becomes will."""
    start, end = negated.span()
    if negated[0].lower() not in ("n't", "n’t"):
        return text[:start] + text[end:]
    whole = text[:start]
    for short, long in (("ca", "can"), ("wo", "will"), ("sha", "shall")):
        if re.search(rf"\b{short}$", whole, re.IGNORECASE):
            kept = whole[: len(whole) - len(short)]
            return kept + _cased(long, whole[len(kept) :]) + text[end:]
    return whole + text[end:]


def _append(text: str, words: str) -> str:
    """The text with more words before its last punctuation."""
    body = text.rstrip()
    end = body[len(body.rstrip(".?!")) :]
    return f"{body.rstrip('.?!')} {words}{end}"


def _ended(text: str) -> str:
    body = text.rstrip()
    return body if body.endswith((".", "?", "!")) else f"{body}."


def _other(digits: str, rng: random.Random) -> str:
    """Another number of as many digits."""
    low, high = (10 ** (len(digits) - 1), 10 ** len(digits) - 1) if len(digits) > 1 else (1, 9)
    found = rng.randint(low, high)
    return str(found if found != int(digits) else (found + 1 if found < high else low))


def _other_digit(digit: str, rng: random.Random) -> str:
    return rng.choice([other for other in "123456789" if other != digit])


def _cased(word: str, like: str) -> str:
    """The word capitalised as the one it stands for."""
    if len(like) > 1 and like.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if like[:1].isupper() else word[:1].lower() + word[1:]


def _tidy(text: str) -> str:
    return re.sub(r"\s+([.,?!])", r"\1", re.sub(r" {2,}", " ", text)).strip()
