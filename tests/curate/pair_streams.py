"""Streams of pairs whose texts hang together in many ways, and where a stream's pairs go."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence

from honewheel.curate import pair_split
from honewheel.curate.dedup import Candidate
from honewheel.curate.pair_split import Known
from honewheel.tasks.pairs import as_prompt

WORDS = (
    "amber birch cedar delta ember flint grove haven inlet jetty knoll larch mango nylon"
).split()


def name(number: int) -> str:
    """A text of three words that is near no other."""
    rng = random.Random(number)
    return " ".join([*rng.sample(WORDS, 2), f"n{number}"])


def placed(edges: Sequence[tuple[int, int]], **groups: str) -> list[tuple[str, str | None]]:
    """(side, reason to set it aside) of each pair of texts, in the order of their arrival."""
    held: defaultdict[int, dict[str, Candidate]] = defaultdict(dict)
    twins: dict[frozenset[int], Candidate] = {}
    counts: Counter[str] = Counter()
    found: list[tuple[str, str | None]] = []
    for number, (a, b) in enumerate(edges):
        texts = pair_split.texts(as_prompt(name(a), name(b)), groups)
        assert texts is not None
        known = [
            Known(one, list({k: v for key in one.keys for k, v in held[key].items()}.values()))
            for one in texts
        ]
        link = pair_split.link(
            f"evt_{number:06d}",
            twins.get(frozenset((a, b))),
            known,
            task="tickets",
            shares=pair_split.shares(counts),  # type: ignore[arg-type]
        )
        assert link.split is not None
        found.append((link.split, link.quarantined))
        if link.quarantined is None:
            counts[link.split] += 1
            signed = b"".join(one.signature for one in texts)
            one = Candidate(f"evt_{number:06d}", "", signed, link.group, link.split)
            twins.setdefault(frozenset((a, b)), one)
            for text in texts:
                for key in text.keys:
                    held[key][one.response_id] = one
    return found


def chain(n: int) -> list[tuple[int, int]]:
    """Each text is compared with the one before it."""
    return [(at, at + 1) for at in range(n)]


def tree(n: int, seed: int = 0) -> list[tuple[int, int]]:
    """Each new text is compared with one known before, as a search for similar ones does."""
    rng = random.Random(seed)
    return [(at, rng.randrange(at)) for at in range(1, n + 1)]


def star(n: int) -> list[tuple[int, int]]:
    """One text is compared with all others."""
    return [(0, at) for at in range(1, n + 1)]


def graph(n: int, texts: int, seed: int = 0) -> list[tuple[int, int]]:
    """Pairs drawn at random from some texts."""
    rng = random.Random(seed)
    return [tuple(rng.sample(range(texts), 2)) for _ in range(n)]  # type: ignore[misc]
