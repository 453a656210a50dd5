"""More rows from what is there: the same request about other things, with the answer to match.

A word that a prompt and its target share (`customer` in "Each customer has ..." and in
`customer_zq`) is replaced in both by a word of another training row, so that what is learnt is to
copy the word, not the word itself. Its inflected form and the words around it stay: only the
stem changes, and `customer_zq` becomes `driver_zq`.

Which words are names, and what may stand in their place, is read from the rows:

- a name stands in the target and in the prompt, and in few of the task's prompts: what many
  prompts say is wording;
- renaming it to a word nobody knows leaves the target's equivalence key as it was. A type or a
  keyword fails this. (Feature files and queries know words; there the facts alone decide. So
  prose, whose every word counts, has no copies.)
- it is replaced by a word that stood in the same role: the same place of the same sort of fact,
  beside the same types and cardinalities.

Every copy is checked: its verdict is the original's, its facts are the original's with the words
exchanged, and renaming back gives the original letter by letter. A row that gives away a held-out
item is no copy. Copies are made of training rows only, and stay in their group.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from honewheel.curate import contamination, train_only
from honewheel.curate.rows import example_id
from honewheel.errors import InputError, ParseError
from honewheel.protocols import Task
from honewheel.records import Check, Example, Fact, Item
from honewheel.tasks.asked import asked, with_prompt
from honewheel.tasks.sql import SCHEMA

VERSION = 2

RENAMED = "renamed"
COMMON = 0.2  # a word in more of a task's prompts (by group) is wording
COMMON_ROWS = 2  # but not before this many groups say it
TRIES = 4  # draws for one copy before it is given up

_WORD = re.compile(r"[^\W\d_]+")

Words = tuple[str, Mapping[str, str], str]  # prompt, context, target


@dataclass(frozen=True, slots=True)
class _Known:
    """A row with the words of it that are names, each with its role."""

    row: Example
    roles: Mapping[str, str]
    words: frozenset[str]  # every word of prompt, context and target, in lower case


def augment(
    rows: Sequence[Example],
    *,
    copies: int,
    seed: int,
    tasks: Mapping[str, str | Task],
    held_out: Sequence[Item] = (),
) -> list[Example]:
    """`rows`, and at most `copies` renamed copies of each behind them.

    A row and its k copies share its weight equally, each having weight / (k + 1), so a row's
    family weighs as much as the row did. Copies have a new id, `variant` "renamed", and the
    row's group, split, events and other fields. A row without names, or whose names find no
    word to stand in their place, has no copy; nor has a row that is a copy itself.

    Args:
        rows: training rows; words are taken from these only.
        copies: 0 leaves the rows as they are.
        seed: draws the words. A row's copies depend on the other rows only through the words they
            offer, not through their order.
        tasks: task name -> kind ("mermaid-erd") or the kind itself.
        held_out: items that no copy may give away (panel, suites, val).

    Raises:
        InputError: `copies` below 0, a row outside train, or a row of no known task.
    """
    if copies < 0:
        raise InputError(f"{copies} copies of each row cannot be made; ask for 0 or more.")
    kinds = train_only.kinds(rows, tasks, "Copies")
    if copies == 0:
        return list(rows)
    known = _known([row for row in rows if not row.variant], kinds)
    stock = _stock(known)
    taken = {row.id for row in rows}
    made: dict[int, list[Example]] = {}
    for place in sorted(range(len(known)), key=lambda place: known[place].row.id):
        one = known[place]
        made[id(one.row)] = _copies(one, stock, kinds[one.row.task], copies, seed, taken)
    made = _without_leaks(made, held_out)
    families = [(row, made.get(id(row), [])) for row in rows]
    kept = [_shared(row, row.weight, len(new)) for row, new in families]
    return kept + [_shared(copy, row.weight, len(new)) for row, new in families for copy in new]


def _shared(row: Example, weight: float, copies: int) -> Example:
    return replace(row, weight=weight / (copies + 1))


def _without_leaks(
    made: Mapping[int, list[Example]], held_out: Sequence[Item]
) -> dict[int, list[Example]]:
    every = [copy for copies in made.values() for copy in copies]
    leaking = {name for name, _, _ in contamination.leaks(every, held_out)}
    return {
        place: [copy for copy in copies if copy.id not in leaking] for place, copies in made.items()
    }


# --- which words are names ----------------------------------------------------------------------


def _known(rows: Sequence[Example], kinds: Mapping[str, Task]) -> list[_Known]:
    common = _common(rows)
    return [_of_row(row, kinds[row.task], common[row.task]) for row in rows]


def _common(rows: Sequence[Example]) -> dict[str, set[str]]:
    """Words of too many prompts of a task, in both numbers."""
    groups: defaultdict[str, set[str]] = defaultdict(set)
    said: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        groups[row.task].add(row.group)
        for word in _words(row.prompt):
            said[row.task][word].add(row.group)
    found: dict[str, set[str]] = {}
    for task, words in said.items():
        most = max(COMMON_ROWS, COMMON * len(groups[task]))
        found[task] = {word for word, where in words.items() if len(where) > most}
    return defaultdict(set, found)


def _of_row(row: Example, task: Task, common: set[str]) -> _Known:
    prompt, target = _words(row.prompt), _words(row.target)
    about = _words(" ".join(row.context.values()))
    everything = prompt | target | about
    stems = {stem(word) for word in target}
    shared = sorted(
        word
        for word in stems
        if {word, plural(word)} & prompt
        and not {word, plural(word)} & common
        and len(word) > 2
        and not _other_form(word, everything)
    )
    names = _names(row, task, shared)
    return _Known(row, _roles(row, task, names), frozenset(everything))


def _other_form(word: str, words: Iterable[str]) -> bool:
    """Whether a word would stay that is a form of this one ("created" beside "create")."""
    root = word[:-1] if len(word) > 4 and word[-1] in "ey" else word
    own = (word, plural(word))
    return any(
        other not in own and (other.startswith(root) or (len(word) > 4 and word in other))
        for other in words
    )


def _names(row: Example, task: Task, words: Sequence[str]) -> tuple[str, ...]:
    """Those of `words` that the target uses as names: another word there changes nothing else."""
    if not words or _neutral(row, task, words):
        return tuple(words)
    return tuple(word for word in words if _neutral(row, task, [word]))


def _neutral(row: Example, task: Task, words: Sequence[str]) -> bool:
    nobodys = {word: f"{word[0]}qzx{number * 'j'}w" for number, word in enumerate(words)}
    renamed = _renamed((row.prompt, row.context, row.target), nobodys)
    try:
        if _knows_words(row, task):
            return _same_facts(task, row, renamed, nobodys)
        before = task.equivalence_key(row.target, asked(row))
        return task.equivalence_key(renamed[2], with_prompt(renamed[0], renamed[1])) == before
    except ParseError:
        return False


def _knows_words(row: Example, task: Task) -> bool:
    """Whether names are part of the equivalence key although they may be exchanged."""
    return task.kind == "gherkin" or (task.kind == "sql" and SCHEMA in row.context)


def _same_facts(task: Task, row: Example, renamed: Words, words: Mapping[str, str]) -> bool:
    """Whether the facts of the renamed target are the target's, renamed."""
    before = Counter(_comparable(fact) for fact in task.facts(row.target, asked(row)))
    after = task.facts(renamed[2], with_prompt(renamed[0], renamed[1]))
    back = {new: old for old, new in words.items()}
    return before == Counter(_comparable(_fact(fact, back)) for fact in after)


def _fact(fact: Fact, words: Mapping[str, str]) -> Fact:
    return tuple(exchanged(part, words) for part in fact)


def _comparable(fact: Fact) -> Fact:
    """A fact without digests, which know words but cannot be renamed."""
    return tuple("" if re.fullmatch(r"[0-9a-f]{64}", part) else part for part in fact)


def _roles(row: Example, task: Task, names: Sequence[str]) -> dict[str, str]:
    """For each name the shortest fact it stands in, with every name in it blotted out."""
    if not names:
        return {}
    blots = dict.fromkeys(names, "*")
    roles: dict[str, str] = {}
    facts = sorted(task.facts(row.target, asked(row)), key=lambda fact: (len(fact), fact))
    for fact in facts:
        for slot, part in enumerate(fact):
            found = [match for match in _WORD.finditer(part) if stem(match[0].lower()) in blots]
            for number, match in enumerate(found):
                word = stem(match[0].lower())
                if word not in roles:
                    blotted = [exchanged(one, blots) for one in fact]
                    roles[word] = repr((_shape(word), slot, number, blotted))
    return roles


def _shape(word: str) -> str:
    """What the words around it depend on: "a" or "an"; "u" is said both ways."""
    return "vowel" if word[0] in "aeio" else "u" if word[0] == "u" else "consonant"


# --- other words in their place -----------------------------------------------------------------


def _stock(known: Sequence[_Known]) -> dict[tuple[str, str], list[str]]:
    """Words by task and role, in a fixed order; none that nobody says in the singular."""
    said = {word for one in known for word in one.words}
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for one in known:
        for word, role in one.roles.items():
            if word in said:  # "status" is no plural, "statu" no word
                found[one.row.task, role].add(word)
    return {place: sorted(words) for place, words in found.items()}


def _copies(
    one: _Known,
    stock: Mapping[tuple[str, str], Sequence[str]],
    task: Task,
    copies: int,
    seed: int,
    taken: set[str],
) -> list[Example]:
    """At most `copies` rows that are not in `taken`; their ids are added to it."""
    rng = random.Random(f"{seed} {one.row.id}")
    found: list[Example] = []
    for _ in range(copies * TRIES):
        if len(found) == copies:
            break
        words = _drawn(one, stock, rng)
        copy = _copy(one.row, task, words) if words else None
        if copy is not None and copy.id not in taken:
            taken.add(copy.id)
            found.append(copy)
    return found


def _drawn(
    one: _Known, stock: Mapping[tuple[str, str], Sequence[str]], rng: random.Random
) -> dict[str, str]:
    """A new word for each name that has one; none that the row knows, none twice."""
    known = {stem(word) for word in one.words}
    drawn: dict[str, str] = {}
    for word in sorted(one.roles):
        offers = stock.get((one.row.task, one.roles[word]), ())
        offered = [new for new in offers if new not in known]
        if offered:
            drawn[word] = rng.choice(offered)
            known.add(drawn[word])
    return drawn


def _copy(row: Example, task: Task, words: Mapping[str, str]) -> Example | None:
    """The row with its words exchanged, or None where that is not the same in other words."""
    whole: Words = (row.prompt, row.context, row.target)
    renamed = _renamed(whole, words)
    prompt, context, target = renamed
    if _renamed(renamed, {new: old for old, new in words.items()}) != whole:
        return None
    try:
        ours = task.check(target, with_prompt(prompt, context))
        theirs = task.check(row.target, asked(row))
        if _verdict(ours) != _verdict(theirs):
            return None
        if not _same_facts(task, row, renamed, words):
            return None
    except ParseError:
        return None
    name = example_id(row.task, prompt, context, target)
    return replace(row, id=name, prompt=prompt, context=context, target=target, variant=RENAMED)


def _verdict(check: Check) -> tuple[float, list[tuple[str, str, int | None]]]:
    """What a check found, without its messages: they name what it was found on."""
    return check.score, [(found.code, found.severity, found.line) for found in check.findings]


# --- words --------------------------------------------------------------------------------------


def _words(text: str) -> set[str]:
    return {match[0].lower() for match in _WORD.finditer(text)}


def _renamed(whole: Words, words: Mapping[str, str]) -> Words:
    prompt, context, target = whole
    about = {key: exchanged(value, words) for key, value in context.items()}
    return exchanged(prompt, words), about, exchanged(target, words)


def exchanged(text: str, words: Mapping[str, str]) -> str:
    """`text` with each whole word of `words` exchanged, in its number and its letter case.

    A word is a run of letters, so `customer_zq` holds "customer", and `customers` its plural.

    >>> exchanged("A City has customers: customer_zq, CITY", {"customer": "box", "city": "day"})
    'A Day has boxes: box_zq, DAY'
    """
    forms = {**{plural(old): plural(new) for old, new in words.items()}, **words}

    def form(match: re.Match[str]) -> str:
        word = match[0]
        new = forms.get(word.lower())
        if new is None:
            return word
        if word.isupper() and len(word) > 1:
            return new.upper()
        return new.capitalize() if word[0].isupper() else new

    return _WORD.sub(form, text)


def plural(word: str) -> str:
    """The regular English plural, which is also a verb's third person."""
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return word[:-1] + "ies"
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    return word + "s"


def stem(word: str) -> str:
    """The shortest word whose plural this is, else the word itself.

    >>> stem("cities"), stem("boxes"), stem("address")
    ('city', 'box', 'address')
    """
    for end, instead in (("ies", "y"), ("es", ""), ("s", "")):
        if word.endswith(end) and plural(shorter := word.removesuffix(end) + instead) == word:
            return shorter
    return word
