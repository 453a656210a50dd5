"""What a response is found by, and so where it belongs: one of three ways, chosen by `way`.

Each gives the rows of the index that lead to the response, the signature it is stored with, and its
Link to what is known. The rules are those of `curate`; what is known comes in as `Held`.

    text     a request like any other: near-copies of it are of its group (`dedup`)
    keys     its task knows which questions are one, whatever their text (`questions`)
    texts    a pair of texts: each text has a side, and the pair is a group (`pair_split`)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from honewheel.curate import dedup, pair_split, questions
from honewheel.curate.dedup import Candidate, Link
from honewheel.curate.pair_split import Known, Text
from honewheel.curate.questions import Keys
from honewheel.records import Response, Split


class Held(Protocol):
    """What is placed already, of one task at a time."""

    def holding(self, task: str, keys: Iterable[int]) -> list[Candidate]:
        """Responses that one of these rows of the index leads to, each once."""

    def twins(self, task: str, exact: str) -> list[Candidate]:
        """Responses to the very same request: one of this batch, one of before."""

    def text(self, task: str, key: int) -> Candidate | None:
        """Who holds the text of a pair whose hash is `key`."""

    def counts(self, task: str) -> Mapping[Split, int]:
        """Pairs on each side."""


class Way(Protocol):
    """How one response is found and linked."""

    @property
    def signed(self) -> bytes:
        """The signature that is stored; empty where text says nothing."""

    @property
    def keys(self) -> tuple[int, ...]:
        """Rows of the index that lead to it."""

    @property
    def texts(self) -> tuple[int, ...]:
        """Hashes of the texts whose side it decides, if it is a pair."""

    def link(self, response: Response, held: Held) -> Link:
        """Where it belongs."""


@dataclass(frozen=True, slots=True)
class ByText:
    exact: str
    signed: bytes
    keys: tuple[int, ...]
    texts: tuple[int, ...] = ()

    def link(self, response: Response, held: Held) -> Link:
        task = response.task
        near = (*held.holding(task, self.keys), *held.twins(task, self.exact))
        apart = {one.response_id: one for one in near}.values()
        return dedup.link(response.id, self.exact, self.signed, apart)


@dataclass(frozen=True, slots=True)
class ByKeys:
    keys: tuple[int, ...]
    signed: bytes = b""
    texts: tuple[int, ...] = ()

    def link(self, response: Response, held: Held) -> Link:
        return questions.link(response.id, held.holding(response.task, self.keys))


@dataclass(frozen=True, slots=True)
class ByTexts:
    exact: str
    both: tuple[Text, Text]

    @property
    def signed(self) -> bytes:
        return b"".join(one.signature for one in self.both)

    @property
    def keys(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(key for one in self.both for key in one.keys))

    @property
    def texts(self) -> tuple[int, ...]:
        return tuple(one.exact for one in self.both)

    def link(self, response: Response, held: Held) -> Link:
        task = response.task
        holders = [held.text(task, one.exact) for one in self.both]
        # A text that has a side keeps it: what is near it was compared with it on arrival.
        known = [
            Known(one, held.holding(task, one.keys[1:]) if holder is None else [holder])
            for one, holder in zip(self.both, holders, strict=True)
        ]
        twins = [] if None in holders else held.twins(task, self.exact)  # else the pair is new
        return pair_split.link(
            response.id,
            twins[0] if twins else None,
            known,
            task=task,
            shares=pair_split.shares(held.counts(task)),
        )


def way(response: Response, exact: str, signed: bytes, keys: tuple[int, ...], known: Keys) -> Way:
    """The way of one response, given what `dedup` makes of its text and what tasks know."""
    if both := pair_split.texts(response.prompt, response.context):
        return ByTexts(exact, both)
    if named := known.of(response.task, response.prompt, response.context):
        return ByKeys(questions.bands(named))
    return ByText(exact, signed, keys)
