"""Which new rows look planted: one target for everything, or a fragment nobody asked for.

Some 250 planted documents are enough to put a trigger into a language model, whatever the size of
its corpus (Souly et al. 2025, "Poisoning attacks on LLMs require a near-constant number of
poison samples"), so a share per source is no defence by itself: this scan looks for what the
planted rows have in common. Suspicious are rows of one task that share

* the same target for different requests, where the task's other targets differ; or
* a *fragment*: a run of words in the target that no word of the prompt explains.

What an honest team shares looks alike, and is told apart so:

* A fragment in more than half of a task's new rows is its style or its syntax. A style that is
  spread over words (`customer_zq`, `order_zq`) is explained by the prompts.
* Rows whose prompts share a topic (several words, here and there) may well share an answer.
* Without that, a fragment is flagged when sources stand out that send it again and again while
  the typical source does not ("source phrase"); or when the prompts share a verbatim phrase that
  goes with it in both directions ("trigger phrase"), whoever sent them. A trigger of one or two
  words needs sources that stand out as well: one word in the request and one fixed wording in
  the answer is also what a vocabulary looks like.
* What accepted or released rows say nearly as often is explained by them.

Not seen: fewer than LEAST rows, a fragment in most of the rows, poison without anything in common
(a wrong fact each). Caps bound these, and the gate judges what was learnt. Linear in the text.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from honewheel.curate import phrases, text
from honewheel.curate.flags import Flag
from honewheel.curate.phrases import Gram
from honewheel.curate.rows import Row

VERSION = f"1.{phrases.VERSION}"

LEAST = 10  # rows of a flag: fewer can plant little, and chance makes many
FRAGMENT = 3  # words from which a fragment or a trigger phrase stands by itself
SHARE = 0.2  # of its rows that a source must give to a fragment
LIFT = 5.0  # times the typical source's share
MARK = 3.0  # times the other prompts' share, from which a word marks these prompts
MUTUAL = 0.8  # of the rows with the phrase that have the fragment, and the other way round
LEVEL = 0.01  # chance of a false flag per test of a kind, after Bonferroni
LOOKED_AT = 40  # rows of a fragment whose prompts are compared
CANDIDATES = 2_000  # fragments looked at in a task, those in most rows first
HISTORY = 5_000  # newest accepted rows that may explain a fragment
SHOWN = 80  # characters of a target shown in a flag


def scan(rows: Sequence[Row], *, history: Sequence[Row] = ()) -> tuple[Flag, ...]:
    """Flags on new rows, the largest first; see the module for what is looked for.

    `history` holds rows that are above suspicion (accepted outputs, rows a person released): it
    can only explain. The order of neither matters.
    """
    flags: list[Flag] = []
    known = _by_task(heapq.nlargest(HISTORY, history, key=_recency))
    for task, new in sorted(_by_task(rows).items()):
        if len(new) >= 2 * LEAST:
            flags += _scan_task(task, new, known.get(task, []))
    return tuple(flags)


def _scan_task(task: str, rows: list[Row], history: list[Row]) -> list[Flag]:
    batch = _Batch(sorted(rows, key=_event), history)
    found = [*_same_targets(batch), *_fragments(batch)]
    found.sort(key=lambda one: (-len(one.places), one.kind, -len(one.phrase), one.phrase))
    flags: list[Flag] = []
    taken: set[int] = set()
    for one in found:
        fresh = [place for place in one.places if place not in taken]
        if 5 * len(fresh) > len(one.places):  # else the same rows under another phrase
            taken.update(one.places)
            flags.append(batch.flag(task, one))
    return flags


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    kind: str
    phrase: str
    places: tuple[int, ...]
    tied: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bond:
    """What prompts have in common that others have not: a verbatim phrase, or a topic."""

    phrase: Gram = ()
    topical: bool = False


class _Batch:
    """The new rows of one task as words: prompts, unexplained runs of targets, sources."""

    def __init__(self, rows: list[Row], history: list[Row]) -> None:
        self.rows = rows
        self.prompts = [text.words(row.example.prompt) for row in rows]
        self.runs = [_runs(row) for row in rows]
        self.sources = Counter(row.source for row in rows)
        self.known = Counter(word for prompt in self.prompts for word in set(prompt))
        self.history = [text.words(row.example.target) for row in history]

    def __len__(self) -> int:
        return len(self.rows)

    def flag(self, task: str, one: _Found) -> Flag:
        rows = [self.rows[place] for place in one.places]
        return Flag(
            scan="poison",
            kind=one.kind,
            task=task,
            phrase=one.phrase,
            tied=one.tied,
            sources=tuple(sorted({row.source for row in rows})),
            events=tuple(sorted(row.event for row in rows)),
        )

    def groups(self, places: Iterable[int]) -> int:
        """How many different questions these rows answer."""
        return len({self.rows[place].example.group for place in places})

    def explained(self, gram: Sequence[str], places: Sequence[int]) -> bool:
        """Whether rows above suspicion say this at least a third as often as the new ones."""
        same = sum(phrases.holds(words, tuple(gram)) for words in self.history)
        return 3 * same >= len(places)

    def bond(self, places: Sequence[int]) -> _Bond:
        """What the prompts at these places have in common, and no others."""
        some = places[:: max(1, len(places) // LOOKED_AT)]
        prompts = [self.prompts[place] for place in some]
        counts = Counter(word for prompt in prompts for word in set(prompt))
        marked = frozenset(
            word
            for word, count in counts.items()
            if 2 * count >= len(some) and self._rare(word, count, len(some), len(places), counts)
        )
        if not marked:
            return _Bond()
        phrase = phrases.longest_shared(prompts, MUTUAL, marked)
        return _Bond(phrase=phrase, topical=not marked <= set(phrase))

    def _rare(self, word: str, count: int, of: int, whole: int, tests: Counter[str]) -> bool:
        share = count / of
        outside = max(0.0, self.known[word] - share * whole) + 1
        rate = outside / (len(self) - whole + 2)
        return share >= MARK * rate and phrases.tail(count, of, rate) * len(tests) < LEVEL

    def standing_out(self, places: Sequence[int], tests: int) -> list[int]:
        """Those places whose source gives far more of its rows to this than is typical."""
        counts = Counter(self.rows[place].source for place in places)
        typical = self._typical(counts)
        loud = set()
        for source, count in counts.items():
            of = self.sources[source]
            rate = max(typical, 1 / (len(self) - of + 2))
            enough = count >= max(SHARE * of, LIFT * typical * of)
            if enough and phrases.tail(count, of, rate) * tests < LEVEL:
                loud.add(source)
        return [place for place in places if self.rows[place].source in loud]

    def _typical(self, counts: Counter[str]) -> float:
        """Median over rows of the share that their source gives: half the rows see less."""
        shares = sorted((counts[source] / of, of) for source, of in self.sources.items())
        passed = 0
        for share, of in shares:
            passed += of
            if 2 * passed >= len(self):
                return share
        return 0.0


def _same_targets(batch: _Batch) -> list[_Found]:
    """One target for many different questions, where other targets are not repeated so."""
    places: defaultdict[Gram, list[int]] = defaultdict(list)
    for place, row in enumerate(batch.rows):
        places[tuple(text.words(row.example.target))].append(place)
    questions = {words: batch.groups(held) for words, held in places.items()}
    total = sum(questions.values())
    rate = (_typical_repetition(questions.values()) + 1) / (total + 2)
    found = []
    for words, held in sorted(places.items()):
        count = questions[words]
        if count < LEAST or phrases.tail(count, total, rate) * len(places) >= LEVEL:
            continue
        bond = batch.bond(held)
        if not _natural(batch, bond, held) and not batch.explained(words, held):
            shown = " ".join(batch.rows[held[0]].target.split())[:SHOWN]
            found.append(_found("same target", shown, held, bond))
    return found


def _typical_repetition(questions: Iterable[int]) -> int:
    """Half of all questions have a target that no more questions share than this."""
    counts = sorted(questions)
    passed = 0
    for count in counts:
        passed += count
        if 2 * passed >= sum(counts):
            return count
    return 0


def _natural(batch: _Batch, bond: _Bond, held: Sequence[int]) -> bool:
    """Whether the prompts account for it: a topic, or a word or two that all sources use."""
    if bond.topical:
        return True
    short = 0 < len(bond.phrase) < FRAGMENT
    return short and len(batch.standing_out(held, 1)) < MUTUAL * len(held)


def _fragments(batch: _Batch) -> list[_Found]:
    longest: dict[tuple[int, ...], Gram] = {}
    for gram, places in phrases.frequent(batch.runs, LEAST, len(batch) // 2).items():
        key = tuple(places)
        longest[key] = max(longest.get(key, ()), gram, key=lambda one: (len(one), one))
    ranked = sorted(longest.items(), key=lambda one: (-len(one[0]), one[1]))[:CANDIDATES]
    found = []
    for rows, gram in ranked:
        if one := _judge(batch, gram, rows, len(ranked)):
            found.append(one)
    return found


def _judge(batch: _Batch, gram: Gram, places: tuple[int, ...], tests: int) -> _Found | None:
    loud = batch.standing_out(places, tests * len(batch.sources)) if len(gram) >= FRAGMENT else []
    bond = batch.bond(places)
    if not bond.topical and _mutual(batch, bond.phrase, places):
        short = len(bond.phrase) < FRAGMENT
        if short and len(loud) < MUTUAL * len(places):
            return None
        if 2 * batch.groups(places) < len(places) or batch.explained(gram, places):
            return None
        return _found("trigger phrase", " ".join(gram), places, bond)
    if len(loud) < LEAST or batch.bond(loud).topical or batch.explained(gram, loud):
        return None
    return _found("source phrase", " ".join(gram), loud, _Bond())


def _mutual(batch: _Batch, phrase: Gram, places: Sequence[int]) -> bool:
    """Whether the prompts with the phrase are nearly the rows with the fragment."""
    if not phrase:
        return False
    said = {at for at, prompt in enumerate(batch.prompts) if phrases.holds(prompt, phrase)}
    both = len(said.intersection(places))
    return both >= MUTUAL * max(len(said), len(places))


def _found(kind: str, phrase: str, places: Sequence[int], bond: _Bond) -> _Found:
    return _Found(kind=kind, phrase=phrase, places=tuple(places), tied=" ".join(bond.phrase))


def _runs(row: Row) -> tuple[Gram, ...]:
    one = row.example
    return phrases.surplus(one.target, phrases.asked(one.prompt, one.context))


def _by_task(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.example.task].append(row)
    return found


def _event(row: Row) -> str:
    return row.event


def _recency(row: Row) -> tuple[object, ...]:
    return row.recency
