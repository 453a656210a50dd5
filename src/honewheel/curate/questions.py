"""Which questions are one question because their task knows it, whatever their text says.

Most tasks leave that to the text (`dedup`). A task that is `Grouped` gives keys instead: two
responses with a key in common belong to one group, and for prompts with keys likeness of text
counts for nothing, since two puzzles whose JSON differs in one digit have nothing in common.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from honewheel import plugins
from honewheel.curate.dedup import Candidate, Link, bridge
from honewheel.curate.text import canonical_target
from honewheel.protocols import Grouped

VERSION = 1


@dataclass(frozen=True, slots=True)
class Keys:
    """The tasks of a project that know their questions, by name."""

    tasks: Mapping[str, Grouped] = field(default_factory=dict)

    def of(self, task: str, prompt: str, context: Mapping[str, str]) -> tuple[str, ...]:
        """What names the question, each key once, in order; () where the text decides."""
        if task not in self.tasks:
            return ()
        return tuple(sorted(set(self.tasks[task].group_keys(prompt, context))))

    def lesson(self, task: str, prompt: str, context: Mapping[str, str], target: str) -> str:
        """What two rows of one group have in common when they teach the same."""
        if task in self.tasks:
            return self.tasks[task].lesson_key(prompt, context, target)
        return canonical_target(target)


TEXT = Keys()  # the text decides everywhere


def of(kinds: Mapping[str, str]) -> Keys:
    """The questions of tasks, given the slug of each one's kind. Raises ConfigError."""
    found = {name: plugins.task(kind) for name, kind in kinds.items()}
    return Keys({name: one for name, one in found.items() if isinstance(one, Grouped)})


def bands(keys: Iterable[str]) -> tuple[int, ...]:
    """One number in [0, 2^63) a key, by which the store finds who else has it."""
    found = (hashlib.blake2b(f"key\x1f{key}".encode(), digest_size=8).digest() for key in keys)
    return tuple(int.from_bytes(one, "big") >> 1 for one in found)


def link(response_id: str, candidates: Iterable[Candidate]) -> Link:
    """The group a response joins, given those that share a key with it: the earliest one's.

    As in `dedup.link`, one that has groups of several splits among them is quarantined, and the
    answer does not depend on the order of `candidates`.
    """
    near = sorted(((1.0, one) for one in candidates), key=lambda pair: pair[1].response_id)
    if not near:
        return Link(group=response_id)
    twin = near[0][1]
    return Link(
        group=twin.group,
        split=twin.split,
        twin=twin.response_id,
        similarity=1.0,
        quarantined=bridge(near),
    )
