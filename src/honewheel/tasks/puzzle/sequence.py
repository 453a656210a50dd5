"""Sequences: any input with any target, both of varying length, in a problem of fixed length.

A prompt holds the input, the room for input and target, and the symbols: `{"puzzle": "sequence",
"input": "login", "room": [16, 40]}` for text (in UTF-8 bytes), `{..., "input": [3, 1, 4],
"symbols": 10, ...}` for numbers below `symbols`. The two rooms are separate: a target may be
longer or shorter than its input, and what does not fit is refused, never cut.

Nothing proves an answer here. The check only says whether it can be read; what is right is what
people said. An output is the text, or the numbers separated by blanks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from honewheel.errors import InputError, ParseError
from honewheel.records import Check, Fact, Finding
from honewheel.tasks.facts import judged
from honewheel.tasks.puzzle import base
from honewheel.tasks.puzzle.base import BLANK, IGNORED, PADDING, Flags, Problem, PuzzleTask, Tokens

MOST_ROOM = 4_096  # tokens of an input, and of a target
MOST_SYMBOLS = 65_536

_KIND = "sequence"
_ENTRIES = ("input", "room", "symbols")
_BYTES = 256
_FIRST = 2  # the token of symbol 0


@dataclass(frozen=True)
class Sequences:
    """Problems with `given` tokens for the input and `wanted` for the target; `symbols` None is
    text. Tokens: 0 padding, 1 to be filled in, symbol + 2.
    """

    given: int
    wanted: int
    symbols: int | None

    @property
    def name(self) -> str:
        alphabet = "text" if self.symbols is None else str(self.symbols)
        return f"{_KIND}-{self.given}-{self.wanted}-{alphabet}"

    @property
    def length(self) -> int:
        return self.given + self.wanted

    @property
    def vocabulary(self) -> int:
        return _FIRST + (self.symbols or _BYTES)

    def relations(self) -> Flags:
        """Same part; the neighbour; the same place of input and target."""
        part = np.arange(self.length) >= self.given
        place = np.arange(self.length) - part * self.given
        same = part[:, None] == part[None, :]
        step = np.abs(place[:, None] - place[None, :])
        return np.stack([same, same & (step == 1), ~same & (step == 0)])

    def encode(self, prompt: str, context: Mapping[str, str]) -> Tokens:
        found = _symbols(_input(prompt), self.symbols)
        padded = [*(one + _FIRST for one in found), *[PADDING] * (self.given - len(found))]
        return np.array(padded + [BLANK] * self.wanted, dtype=np.int64)

    def target(self, prompt: str, context: Mapping[str, str], output: str) -> Tokens:
        found = self._read(output)
        padded = [*(one + _FIRST for one in found), *[PADDING] * (self.wanted - len(found))]
        return np.array([IGNORED] * self.given + padded, dtype=np.int64)

    def decode(self, prompt: str, context: Mapping[str, str], tokens: Tokens) -> str:
        found = [int(one) - _FIRST for one in tokens[self.given :] if one >= _FIRST]
        if self.symbols is None:
            return bytes(found).decode("utf-8", "replace")
        return " ".join(map(str, found))

    def symmetries(self, count: int, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        """None but standing still: nothing is known of what the symbols mean."""
        return base.still(count, self.length, self.vocabulary)

    def canonical(self, prompt: str, context: Mapping[str, str], output: str | None = None) -> str:
        """The input itself, whatever the room for it."""
        given = list(_symbols(_input(prompt), self.symbols))
        least = f"{_KIND} {self.symbols or 'text'} {given}"
        return least if output is None else f"{least} {list(self._read(output))}"

    def baseline(self, prompt: str, context: Mapping[str, str]) -> str:
        """The input again, as far as there is room."""
        found = _symbols(_input(prompt), self.symbols)[: self.wanted]
        if self.symbols is None:
            return bytes(found).decode("utf-8", "ignore")
        return " ".join(map(str, found))

    def check(self, prompt: str, context: Mapping[str, str], output: str) -> Check:
        try:
            self._read(output)
        except ParseError as error:
            return judged([Finding(code="syntax", message=str(error))])
        return judged([])

    def facts(self, prompt: str, context: Mapping[str, str], output: str) -> frozenset[Fact]:
        """(place, symbol) of the whole output, and its length."""
        found = self._read(output)
        places = [(str(at), str(one)) for at, one in enumerate(found)]
        return frozenset([*places, ("length", str(len(found)))])

    def solve(self, prompt: str, context: Mapping[str, str]) -> str:
        raise InputError("No oracle knows the target of a sequence; people say what is right.")

    def level(self, prompt: str, context: Mapping[str, str]) -> str:
        """By the length of the input: a third of the room, two thirds, more."""
        share = 3 * len(_symbols(_input(prompt), self.symbols)) / self.given
        return AnySequence.levels[(share > 1) + (share > 2)]

    def measures(self, prompt: str, context: Mapping[str, str], output: str) -> Mapping[str, float]:
        return {}

    def _read(self, output: str) -> tuple[int, ...]:
        """The symbols of an output. Raises ParseError."""
        found: Any = output
        if self.symbols is not None:
            cells = output.split()
            if not all(cell.isascii() and cell.isdigit() and len(cell) < 8 for cell in cells):
                raise ParseError(f"{output[:40]!r} is not numbers separated by blanks")
            found = [int(cell) for cell in cells]
        symbols = _symbols(found, self.symbols)
        if len(symbols) > self.wanted:
            raise ParseError(
                f"The target has {len(symbols):,} tokens; there is room for {self.wanted:,}."
            )
        return symbols


class AnySequence(PuzzleTask):
    kind = _KIND
    version = "sequence/1"
    levels = ("short", "medium", "long")
    sizes = ()
    rules = ()

    def puzzle(self, fields: Mapping[str, Any]) -> Sequences:
        base.only(fields, _ENTRIES, _KIND)
        room, given, symbols = fields.get("room"), fields.get("input"), fields.get("symbols")
        if not isinstance(room, list) or len(room) != 2:
            raise ParseError(f"{_KIND}: room is {room!r}; it is [tokens of input, of target].")
        for one in room:
            base.whole({"room": one}, "room", 1, MOST_ROOM, _KIND)
        if symbols is not None:
            base.whole(fields, "symbols", 2, MOST_SYMBOLS, _KIND)
        if not (isinstance(given, str) if symbols is None else isinstance(given, list)):
            wanted = "a text" if symbols is None else "a list of numbers"
            raise ParseError(f"{_KIND}: input is {given!r:.40}; {wanted} is expected.")
        count = len(_symbols(given, symbols))
        if not 0 < count <= room[0]:
            raise ParseError(
                f"{_KIND}: the input has {count:,} tokens; there is room for 1 .. {room[0]:,}."
            )
        return Sequences(room[0], room[1], symbols)

    def generate(
        self, size: str, rule: str, level: str | None, rng: np.random.Generator
    ) -> Iterator[Problem]:
        raise InputError("Sequences are not made but brought: honewheel puzzles sequences FILE")


def ask(given: str | Sequence[int], room: tuple[int, int], symbols: int | None) -> str:
    """The prompt for an input."""
    entries: dict[str, Any] = {"input": given if isinstance(given, str) else list(given)}
    if symbols is not None:
        entries["symbols"] = symbols
    return base.ask(_KIND, entries | {"room": list(room)})


def size(value: str | Sequence[int]) -> int:
    """How many tokens an input or a target takes."""
    return len(value.encode()) if isinstance(value, str) else len(value)


@lru_cache(maxsize=4096)
def _input(prompt: str) -> Any:
    return base.fields(prompt)[1]["input"]


def _symbols(value: Any, symbols: int | None) -> tuple[int, ...]:
    """A text's bytes, or the numbers of a list. Raises ParseError on one that is no symbol."""
    if symbols is None:
        return tuple(str(value).encode())
    for one in value:
        if type(one) is not int or not 0 <= one < symbols:
            raise ParseError(f"{one!r} is no symbol; symbols are 0 .. {symbols - 1}.")
    return tuple(value)
