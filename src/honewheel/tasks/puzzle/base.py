"""What a puzzle is: a self-describing prompt, a fixed-length encoding, an oracle, an orbit.

A prompt is strict JSON, `{"puzzle": "sudoku", "box": [2, 2], "grid": "1..4...."}`; its entry
`puzzle` names the task kind, the others choose size and rule and state the problem. `of(prompt)`
gives the `Puzzle` (one kind at one size under one rule) that encodes and judges it. A kind is one
class derived from `PuzzleTask` and an entry point in `honewheel.tasks`.

A rule (`"rule": "diagonal"`) is known to the oracle and to the symmetries, never to the encoding:
what the model knows of it is the task that it was trained on.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from honewheel import plugins
from honewheel.errors import ConfigError, InputError, ParseError
from honewheel.records import Check, Fact, Finding, digest
from honewheel.tasks.asked import PROMPT
from honewheel.tasks.facts import Refused, fact_f1, judged, unreadable
from honewheel.tasks.json_text import read

Tokens: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]

PUZZLE = "puzzle"  # the prompt's entry that names the kind
PADDING, BLANK = 0, 1  # tokens: nothing, and what is to be filled in
IGNORED = -100  # label: no loss here
MAX_CHARS = 20_000  # of an output


class Puzzle(Protocol):
    """One kind at one size under one rule; all its problems are `length` tokens long.

    Tokens are in 0 .. vocabulary - 1 and 0 is padding. `prompt` is always one that `of` accepted
    for this puzzle, `context` what came with it (kinds that ship here read nothing of it).
    """

    @property
    def name(self) -> str:
        """What tells this puzzle from others: "sudoku-2x2", "sudoku-2x2-diagonal"."""

    @property
    def length(self) -> int:
        """Tokens of a problem."""

    @property
    def vocabulary(self) -> int:
        """How many tokens there are, padding included."""

    def relations(self) -> Flags:
        """[R, length, length]: which positions share a constraint, a matrix for each relation."""

    def encode(self, prompt: str, context: Mapping[str, str]) -> Tokens:
        """[length] tokens of the problem."""

    def target(self, prompt: str, context: Mapping[str, str], output: str) -> Tokens:
        """[length] labels, -100 where there is no loss. Raises ParseError on a bad output."""

    def decode(self, prompt: str, context: Mapping[str, str], tokens: Tokens) -> str:
        """The output that a model's [length] tokens spell. Never fails: check judges it."""

    def symmetries(self, count: int, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        """`count` random symmetries as maps, for `moved`: positions [count, length] and tokens
        [count, vocabulary]; the identity where a kind has none.
        """

    def canonical(self, prompt: str, context: Mapping[str, str], output: str | None = None) -> str:
        """The least of the problem's symmetric forms: equal for two prompts if, and only if, a
        symmetry turns one into the other. With `output` the pair of both.
        """

    def baseline(self, prompt: str, context: Mapping[str, str]) -> str:
        """What somebody answers who does not think: the bar that a model must beat."""

    def check(self, prompt: str, context: Mapping[str, str], output: str) -> Check:
        """The oracle: one finding for each violation. Never raises on a bad output."""

    def facts(self, prompt: str, context: Mapping[str, str], output: str) -> frozenset[Fact]:
        """What the output states, cell by cell or row by row. Raises ParseError."""

    def solve(self, prompt: str, context: Mapping[str, str]) -> str:
        """The exact answer; where several are right, the canonical one. Raises InputError when
        there is none, or more than the rule allows.
        """

    def level(self, prompt: str, context: Mapping[str, str]) -> str:
        """Difficulty band, one of the kind's `levels`."""

    def measures(self, prompt: str, context: Mapping[str, str], output: str) -> Mapping[str, float]:
        """Metrics in [0, 1] beyond those of every kind, such as coverage; {} where none apply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One generated problem with its exact answer and difficulty band."""

    prompt: str
    answer: str
    level: str


class PuzzleTask(ABC):
    """A task kind made of a family of puzzles; satisfies `honewheel.protocols.Task`."""

    kind: str
    version: str
    levels: tuple[str, ...]  # easiest first
    sizes: tuple[str, ...]  # what `generate` can make, as people name them: "4", "6"
    rules: tuple[str, ...]  # the first is meant where a prompt names none

    @abstractmethod
    def puzzle(self, fields: Mapping[str, Any]) -> Puzzle:
        """The puzzle that a prompt's entries (without `puzzle`) describe. Raises ParseError on
        anything unknown, missing or impossible.
        """

    @abstractmethod
    def generate(
        self, size: str, rule: str, level: str | None, rng: np.random.Generator
    ) -> Iterator[Problem]:
        """Problems without end, each with one right answer under `rule`; of any level if None."""

    def problem(self, inputs: Tokens, labels: Tokens, vocabulary: int) -> Problem:
        """The problem that [length] tokens of a published data set spell, with its answer.

        Raises ParseError when they spell none of this kind; most kinds have no such data sets.
        """
        raise ParseError(f"no published data sets of kind {self.kind} are known")

    def group_keys(self, prompt: str, context: Mapping[str, str]) -> tuple[str, ...]:
        """The orbit: symmetric problems are one question. () for a prompt that is no problem."""
        return _orbit(self.kind, prompt, tuple(sorted(context.items())))

    def refuse(self, prompt: str, context: Mapping[str, str]) -> str | None:
        """Why the prompt is no problem of this kind; None when it is one."""
        try:
            kind = fields(prompt)[0]
            of(prompt)
        except ParseError as error:
            return str(error)
        if kind != self.kind:
            return f"The prompt asks a {kind!r}; this task is of kind {self.kind!r}."
        return None

    def band(self, prompt: str, context: Mapping[str, str]) -> str | None:
        """The problem's level; None for a prompt that is no problem."""
        try:
            return of(prompt).level(prompt, context)
        except ParseError:
            return None

    def lesson_key(self, prompt: str, context: Mapping[str, str], output: str) -> str:
        """Symmetric problems with the symmetric answers teach the same. Raises ParseError."""
        return of(prompt).canonical(prompt, context, output)

    def check(self, output: str, context: Mapping[str, str]) -> Check:
        """The oracle's verdict on `output` as an answer to the prompt."""
        try:
            prompt, puzzle = self._asked(context)
        except ParseError as error:
            return judged([Finding(code="no-problem", message=str(error))])
        if finding := unreadable(output, MAX_CHARS):
            return judged([finding])
        return puzzle.check(prompt, context, output)

    def facts(self, output: str, context: Mapping[str, str]) -> frozenset[Fact]:
        """See `Puzzle.facts`."""
        prompt, puzzle = self._asked(context)
        return puzzle.facts(prompt, context, output)

    def equivalence_key(self, output: str, context: Mapping[str, str]) -> str:
        """Hash of the facts: layout and order of an output count for nothing."""
        stated = self.facts(output, context)
        return digest([self.kind, [list(fact) for fact in sorted(stated)]])

    def compare(
        self, output: str, reference: str, context: Mapping[str, str]
    ) -> Mapping[str, float]:
        """Score (valid x fact F1), valid (the oracle found no error), facts, exact, equivalent,
        and what the puzzle measures besides.

        `exact` is the reference token by token, `equivalent` the same facts: where several answers
        are right, one that is not the canonical one is no less valid.

        Raises:
            ParseError: the prompt is no problem of this kind, or the reference cannot be read.
        """
        prompt, puzzle = self._asked(context)
        expected = puzzle.facts(prompt, context, reference)
        valid = float(self.check(output, context).valid)
        more = dict(puzzle.measures(prompt, context, output))
        try:
            found = puzzle.facts(prompt, context, output)
        except ParseError:
            return {
                "score": 0.0,
                "valid": 0.0,
                "facts": 0.0,
                "exact": 0.0,
                "equivalent": 0.0,
            } | more
        agreement = fact_f1(found, expected)
        return {
            "score": valid * agreement,
            "valid": valid,
            "facts": agreement,
            "exact": float(_same(puzzle, prompt, context, output, reference)),
            "equivalent": float(found == expected),
        } | more

    def _asked(self, context: Mapping[str, str]) -> tuple[str, Puzzle]:
        if PROMPT not in context:
            raise ParseError("The prompt is not known, so nothing says which problem was answered.")
        prompt = context[PROMPT]
        kind = fields(prompt)[0]
        if kind != self.kind:
            raise ParseError(f"The prompt asks a {kind!r}; this task is of kind {self.kind!r}.")
        return prompt, of(prompt)


def _same(
    puzzle: Puzzle, prompt: str, context: Mapping[str, str], output: str, reference: str
) -> bool:
    """Whether two outputs are the same tokens; one that has no tokens is like no other."""
    expected = puzzle.target(prompt, context, reference)
    try:
        return bool((puzzle.target(prompt, context, output) == expected).all())
    except ParseError:
        return False


def of(prompt: str) -> Puzzle:
    """The puzzle that `prompt` describes. Raises ParseError when it describes none."""
    return _of(prompt)


@lru_cache(maxsize=4096)
def _of(prompt: str) -> Puzzle:
    kind, rest = fields(prompt)
    return task(kind).puzzle(rest)


def task(kind: str) -> PuzzleTask:
    """The registered kind called `kind`. Raises ParseError when there is none."""
    try:
        found = plugins.task(kind)
    except ConfigError as error:
        raise ParseError(f"There is no puzzle called {kind!r}: known are {_known()}.") from error
    if not isinstance(found, PuzzleTask):
        raise ParseError(f"{kind!r} is a task kind but no puzzle: known are {_known()}.")
    return found


def kinds() -> dict[str, PuzzleTask]:
    """Every registered puzzle kind by its name."""
    found = {name: plugins.task(name) for name in plugins.names(plugins.TASKS)}
    return {name: one for name, one in found.items() if isinstance(one, PuzzleTask)}


@lru_cache(maxsize=65_536)  # a build asks for the same keys several times
def _orbit(kind: str, prompt: str, context: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    try:
        return (digest([kind, of(prompt).canonical(prompt, dict(context))]),)
    except ParseError:
        return ()


def _known() -> str:
    return ", ".join(sorted(kinds()))


def fields(prompt: str) -> tuple[str, dict[str, Any]]:
    """The kind that a prompt names and its other entries. Raises ParseError."""
    try:
        found = read(prompt)
    except Refused as refused:
        raise ParseError(f"The prompt is no puzzle: {refused.finding.message}.") from refused
    if not isinstance(found, dict) or not isinstance(found.get(PUZZLE), str):
        raise ParseError(
            'The prompt is no puzzle: a JSON object with an entry "puzzle" is expected, such as '
            '{"puzzle": "sudoku", "box": [2, 2], "grid": "1..4.2......3.1"}.'
        )
    kind = str(found.pop(PUZZLE))
    return kind, found


def moved(rows: Tokens, positions: Tokens, tokens: Tokens) -> Tokens:
    """Each of the [N, L] rows under its symmetry: new[i, j] = tokens[i, old[i, positions[i, j]]].

    Ignored labels (below 0) move and stay ignored.
    """
    taken = np.take_along_axis(rows, positions, axis=1)
    named = np.take_along_axis(tokens, np.maximum(taken, 0), axis=1)
    return np.where(taken < 0, taken, named)


def augment(
    puzzle: Puzzle, inputs: Tokens, labels: Tokens, rng: np.random.Generator
) -> tuple[Tokens, Tokens]:
    """A random symmetry of the puzzle on each row of `inputs` and `labels`, both [N, length].

    What has no symmetry comes back as it was.
    """
    found = puzzle.symmetries(len(inputs), rng)
    return moved(inputs, *found), moved(labels, *found)


def still(count: int, length: int, vocabulary: int) -> tuple[Tokens, Tokens]:
    """The symmetry that changes nothing, `count` times."""
    return np.tile(np.arange(length), (count, 1)), np.tile(np.arange(vocabulary), (count, 1))


def ask(kind: str, entries: Mapping[str, Any]) -> str:
    """The prompt that states a problem, in its one spelling."""
    return json.dumps({PUZZLE: kind, **entries}, ensure_ascii=False)


def only(entries: Mapping[str, Any], known: tuple[str, ...], kind: str) -> None:
    """Nothing when `entries` has no other keys than `known`. Raises ParseError."""
    more = sorted(set(entries) - set(known))
    if more:
        raise ParseError(
            f"A {kind} prompt has no entry {', '.join(map(repr, more))}; it has {', '.join(known)}."
        )


def chosen(entries: Mapping[str, Any], name: str, choices: tuple[str, ...], kind: str) -> str:
    """A word entry that may be left out for the first choice. Raises ParseError."""
    value = entries.get(name, choices[0])
    if value not in choices:
        raise ParseError(f"{kind}: {name} is {value!r}; it is one of {', '.join(choices)}.")
    return str(value)


def whole(entries: Mapping[str, Any], name: str, low: int, high: int, kind: str) -> int:
    """A whole-number entry within low .. high. Raises ParseError."""
    value = entries.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ParseError(
            f"{kind}: {name} is {value!r}; a whole number {low} .. {high} is expected."
        )
    if not low <= value <= high:
        raise ParseError(f"{kind}: {name} = {value} is outside {low} .. {high}.")
    return value


def require(value: str, choices: tuple[str, ...], what: str) -> None:
    """Nothing when a generator's option is one of its choices. Raises InputError."""
    if value not in choices:
        raise InputError(f"{what} is {value!r}; it is one of {', '.join(choices)}.")
