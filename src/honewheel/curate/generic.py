"""Targets that say nothing of their request: placeholders, boilerplate, one answer for all.

A request is represented by its own words: those that at most RARE of its task's requests hold. A
target *echoes* the share of them that it (or a word of their stem) repeats. Where targets of a
task usually echo their requests, one that echoes next to nothing is generic. Where they usually
do not (a translation, a class label), only placeholders can be told.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from honewheel.curate import phrases, text
from honewheel.curate.flags import Flag
from honewheel.curate.rows import Row

VERSION = f"1.{phrases.VERSION}"

ENOUGH = 20  # targets of a task from which its habits are known
RARE = 0.2  # of a task's requests that may hold one of a request's own words
OWN = 3  # own words from which a request says enough to be echoed
USUAL = 0.25  # median echo from which a task is one that echoes
NOTHING = 0.2  # of the median echo: less says nothing
MANY = 5  # requests with the same words in answer from which it is one for all

PLACEHOLDER = re.compile(
    r"lorem ipsum|\b(?:todo|tbd|fixme)\b|\byour \w+ (?:goes )?here\b|"
    r"[<\[{](?:insert|placeholder|your)\b[^>\]}\n]*[>\]}]|\bas an ai (?:language )?model\b|"
    r"\bi(?:'m| am) (?:sorry|unable)\b[^.\n]*\b(?:can ?not|can't|to (?:help|assist))\b|"
    r"\bfoo\W+bar\W+baz\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One target, or one model output, with the request it answers."""

    task: str
    prompt: str
    target: str
    group: str
    context: Mapping[str, str] = field(default_factory=dict)


def kinds(said: Sequence[Said]) -> list[str]:
    """For each target "placeholder", "says nothing", "one for all", or "" when it is specific.

    Each target is judged among the others of its task, so give all of them at once.
    """
    found = [""] * len(said)
    tasks: defaultdict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(said):
        tasks[one.task].append(place)
    for places in tasks.values():
        for place, kind in zip(places, _kinds([said[place] for place in places]), strict=True):
            found[place] = kind
    return found


def share(said: Sequence[Said]) -> dict[str, float]:
    """Share of generic targets of each task, in [0, 1]."""
    counts = Counter(one.task for one in said)
    generic = Counter(one.task for one, kind in zip(said, kinds(said), strict=True) if kind)
    return {task: generic[task] / count for task, count in sorted(counts.items())}


def scan(rows: Sequence[Row]) -> tuple[Flag, ...]:
    """One flag for each kind of generic target in each task, with its rows."""
    found: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row, kind in zip(rows, kinds([_said(row) for row in rows]), strict=True):
        if kind:
            found[row.example.task, kind].append(row)
    return tuple(_flag(task, kind, same) for (task, kind), same in sorted(found.items()))


def _kinds(said: list[Said]) -> list[str]:
    held = [_placeholder(one) for one in said]
    if 2 * sum(map(bool, held)) > len(said):
        held = [""] * len(said)  # what most of a task says is its form
    if len(said) < ENOUGH:
        return ["placeholder" if phrase else "" for phrase in held]
    echoes = _echoes(said)
    usual = median([echo for echo in echoes if echo is not None] or [0.0])
    bags = [frozenset(text.words(one.target)) for one in said]
    groups: defaultdict[frozenset[str], set[str]] = defaultdict(set)
    for one, bag in zip(said, bags, strict=True):
        groups[bag].add(one.group)
    found = []
    for phrase, echo, bag in zip(held, echoes, bags, strict=True):
        poor = echo is not None and usual >= USUAL
        if phrase:
            found.append("placeholder")
        elif poor and echo is not None and echo < usual / 2 and len(groups[bag]) >= MANY:
            found.append("one for all")
        elif poor and echo is not None and echo <= NOTHING * usual:
            found.append("says nothing")
        else:
            found.append("")
    return found


def _placeholder(one: Said) -> str:
    """The first placeholder of a target that its request does not speak of itself."""
    match = PLACEHOLDER.search(one.target)
    if match is None:
        return ""
    asked = " ".join([one.prompt, *one.context.values()]).casefold()
    return "" if match[0].casefold() in asked else match[0]


def _echoes(said: list[Said]) -> list[float | None]:
    """Share of each request's own words that its target repeats; None where it has too few."""
    words = [set(text.words(one.prompt)) for one in said]
    counts = Counter(word for one in words for word in one)
    most = max(1.0, RARE * len(said))
    found: list[float | None] = []
    for one, known in zip(said, words, strict=True):
        own = [word for word in known if counts[word] <= most and len(word) > 2]
        if len(own) < OWN:
            found.append(None)
            continue
        answered = phrases.asked(one.target, {})
        found.append(sum(phrases.explained(word, answered) for word in own) / len(own))
    return found


def _flag(task: str, kind: str, rows: list[Row]) -> Flag:
    phrase = _placeholder(_said(rows[0])) if kind == "placeholder" else ""
    return Flag(
        scan="generic",
        kind=kind,
        task=task,
        phrase=phrase,
        sources=tuple(sorted({row.source for row in rows if row.source})),
        events=tuple(sorted(row.event for row in rows)),
    )


def _said(row: Row) -> Said:
    one = row.example
    return Said(
        task=one.task, prompt=one.prompt, target=one.target, group=one.group, context=one.context
    )
