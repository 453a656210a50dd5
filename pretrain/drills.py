"""Short copying exercises for the first minutes of training.

The artifacts repeat words of the request, but early in training format and style drown that
signal, and the model needs millions of tokens to find that copying pays. Exercises in which every
token is copied bring it about much sooner.
"""

import random
from collections.abc import Callable

from corpus import Example
from lexicon import ATTRIBUTES, NOUNS, VERBS, plural, pseudo_word

_FORMS: dict[str, Callable[[str], tuple[str, str]]] = {
    "copy": lambda word: (word, word),
    "list": lambda word: (word, word),
    "repeat": lambda word: (word, word),
    "keys": lambda word: (word, f"{word.replace(' ', '_')}_id"),
    "columns": lambda word: (word, word.replace(" ", "_")),
    "singular": lambda word: (plural(word), word),
    "small": lambda word: (word.capitalize(), word),
}


def _word(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.35:
        return rng.choice(NOUNS)
    if roll < 0.6:
        return rng.choice(ATTRIBUTES).words
    return pseudo_word(rng) if roll < 0.9 else rng.choice(VERBS).third


def make_drill(rng: random.Random) -> Example:
    """A list of words to copy, as they are or in another form."""
    name = rng.choice(tuple(_FORMS))
    words = [_word(rng) for _ in range(rng.randint(2, 10))]
    pairs = [_FORMS[name](word) for word in words]
    joint = rng.choice((", ", " and ", ". "))
    prompt = f"{name}: " + joint.join(given for given, _ in pairs)
    return Example("drill", "plain", prompt, "\n".join(f"  {wanted}" for _, wanted in pairs))
