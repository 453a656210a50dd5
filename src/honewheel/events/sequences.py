"""Rows of varying length, in several spellings at once, as problems of one fixed length.

A row is a pair: `prompt` and `completion`, or `input_sequence` and `target_sequence`, in texts or
in lists of numbers; one file may hold both spellings. The longest input and the longest target are
measured apart and are the room of every problem; a declared room refuses what is longer, and
nothing is ever cut. A corpus of other people's rows may be mixed in, as a declared share.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from honewheel.errors import InputError
from honewheel.events import files, puzzles
from honewheel.events.formats.demonstrations import pair
from honewheel.tasks.puzzle import sequence

Value: TypeAlias = str | tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """What was written: rows of one's own and of the corpus, the rooms, and what was refused."""

    own: int
    corpus: int
    room: tuple[int, int]  # tokens of the longest input and of the longest target
    symbols: int | None  # None: texts
    spellings: Mapping[str, int]
    refused: Mapping[str, int]  # how often each reason


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    given: Value
    wanted: Value
    source: str


def convert(
    paths: Sequence[Path],
    *,
    task: str,
    out: Path,
    corpus: Path | None = None,
    share: float = 0.0,
    room: tuple[int | None, int | None] = (None, None),
    seed: int = 0,
) -> Mixed:
    """Write demonstrations of kind sequence; those of the corpus are `share` of all rows.

    Of the corpus as many rows are drawn as the share takes, and all there are where it has fewer.

    Raises:
        InputError: a file that cannot be read, no good row, texts and numbers mixed, a share
            outside (0, 1), or a file at `out`; nothing is written then.
    """
    if (corpus is None) != (share == 0) or not 0 <= share < 1:
        raise InputError(
            f"The corpus is {corpus or 'not given'} and its share {share:g}: give both, the share "
            "above 0 and below 1, or neither."
        )
    spellings: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    own = [one for path in paths for one in _read(path, "", room, spellings, refused)]
    if not own:
        told = ", ".join(f"{count} {reason}" for reason, count in refused.items()) or "none there"
        raise InputError(f"No row can be used: {told}.")
    others: list[_Pair] = []
    if corpus is not None:
        whole = [*_read(corpus, f"corpus/{corpus.stem}", room, spellings, refused)]
        most = round(len(own) * share / (1 - share))
        others = sorted(whole, key=lambda one: _drawn(one, seed))[:most]
    rows = [*own, *others]
    symbols = _symbols(rows)
    rooms = _room(rows, room)
    puzzles.write(out, (_row(one, task, rooms, symbols) for one in rows))
    return Mixed(
        own=len(own),
        corpus=len(others),
        room=rooms,
        symbols=symbols,
        spellings=spellings,
        refused=refused,
    )


def _read(
    path: Path,
    source: str,
    room: tuple[int | None, int | None],
    spellings: Counter[str],
    refused: Counter[str],
) -> Iterator[_Pair]:
    for line in files.source(path).lines():
        if line.record is None:
            refused[line.reason] += 1
            continue
        try:
            spelling, given, wanted = pair(line.record)
            one = _Pair(given=_value(given), wanted=_value(wanted), source=source)
            for value, most, what in zip(
                (one.given, one.wanted), room, ("input", "target"), strict=True
            ):
                if most is not None and sequence.size(value) > most:
                    raise InputError(f"{what} longer than the declared {most:,} tokens")
        except InputError as error:
            refused[str(error)] += 1
            continue
        spellings[spelling] += 1
        yield one


def _value(value: Any) -> Value:
    """A text, or a list of whole numbers from 0. Raises InputError."""
    if isinstance(value, str):
        if not value.strip():
            raise InputError("an empty text")
        return value
    if not isinstance(value, list | tuple) or not value:
        raise InputError("neither a text nor a list of numbers")
    if not all(type(one) is int and 0 <= one < sequence.MOST_SYMBOLS for one in value):
        raise InputError(f"a list with other than numbers 0 .. {sequence.MOST_SYMBOLS - 1:,}")
    return tuple(value)


def _symbols(rows: Iterable[_Pair]) -> int | None:
    """None where all values are texts, else one more than the largest number."""
    values = [value for one in rows for value in (one.given, one.wanted)]
    numbers = [value for value in values if not isinstance(value, str)]
    if not numbers:
        return None
    if len(numbers) < len(values):
        raise InputError(
            f"{len(numbers)} values are lists of numbers and {len(values) - len(numbers)} are "
            "texts; one model reads one of them. Convert them apart."
        )
    return max(2, 1 + max(max(value) for value in numbers))


def _room(rows: Sequence[_Pair], room: tuple[int | None, int | None]) -> tuple[int, int]:
    longest = (
        max(sequence.size(one.given) for one in rows),
        max(sequence.size(one.wanted) for one in rows),
    )
    found = (room[0] or longest[0], room[1] or longest[1])
    if max(found) > sequence.MOST_ROOM:
        raise InputError(
            f"The longest input has {longest[0]:,} tokens and the longest target {longest[1]:,}; "
            f"{sequence.MOST_ROOM:,} are the most. Declare less room and longer rows are left out."
        )
    return found


def _row(one: _Pair, task: str, room: tuple[int, int], symbols: int | None) -> dict[str, Any]:
    target = one.wanted if isinstance(one.wanted, str) else " ".join(map(str, one.wanted))
    row: dict[str, Any] = {
        "task": task,
        "prompt": sequence.ask(one.given, room, symbols),
        "demonstration": target,
    }
    return row | ({"source": one.source} if one.source else {})


def _drawn(one: _Pair, seed: int) -> bytes:
    text = repr((seed, one.given, one.wanted))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
