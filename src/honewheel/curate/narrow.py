"""Many rows to fewer: conflicts, near-duplicates, and one source's share.

Every function returns what it keeps and what it drops, in an order fixed by the events' ids.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import date

from honewheel.curate import questions, synthetic
from honewheel.curate.questions import Keys
from honewheel.curate.rows import Row
from honewheel.records import Dropped, utc

VERSION = 3

Narrowed = tuple[list[Row], list[Dropped]]


def settle_conflicts(rows: Sequence[Row]) -> Narrowed:
    """One answer where a question was corrected: the newest correction's.

    A question is a task with an exact key. Without any correction, several accepted outputs of
    one question are alternatives and all stay.
    """
    kept: list[Row] = []
    dropped: list[Dropped] = []
    for same in _grouped(rows, lambda row: (row.example.task, row.exact)):
        newest = max((row for row in same if row.corrected), key=_recency, default=None)
        for row in same:
            if newest is None or row.target == newest.target:
                kept.append(row)
            else:
                dropped.append(row.drop("conflict", _quarrel(row, newest)))
    return kept, dropped


def merge_duplicates(rows: Sequence[Row], known: Keys = questions.TEXT) -> Narrowed:
    """One row for each group and distinct target: the newest correction, else the newest row.

    A task that knows its questions also knows when two targets teach the same.

    When any of them was learnt before, so was their representative: it is replay.
    """
    kept: list[Row] = []
    dropped: list[Dropped] = []
    for same in _grouped(rows, lambda row: _lesson(row, known)):
        first = max(same, key=_standing)
        learnt = any(row.corrected and row.example.role == "replay" for row in same)
        kept.append(first.as_role("replay") if learnt else first)
        dropped += [
            row.drop("near-duplicate", _kinship(row, first)) for row in same if row is not first
        ]
    return kept, dropped


def cap_sources(
    rows: Sequence[Row], share: float, together: Mapping[str, str] | None = None
) -> Narrowed:
    """New training rows of which no source wrote more than `share`; a source keeps its newest.

    A single source is never capped. Where the number of sources makes `share` impossible (two
    sources, 0.3), equal shares are the cap. `together` (event -> name) counts rows of several
    sources as those of one.
    """
    owner = _owner(together)
    counted = [row for row in rows if row.example.role == "new" and row.example.split == "train"]
    stock = Counter(owner(row) for row in counted)
    if len(stock) < 2:
        return list(rows), []
    allowed = _allowed(stock, max(share, 1 / len(stock)))
    theirs: defaultdict[str, list[Row]] = defaultdict(list)
    for row in sorted(counted, key=_recency):
        theirs[owner(row)].append(row)
    over: dict[str, Dropped] = {}
    for source, most in allowed.items():
        for row in theirs[source][: len(theirs[source]) - most]:
            detail = f"source {source} keeps {most} of {stock[source]} rows, at most {share:.0%}"
            over[row.event] = row.drop("over source cap", detail)
    return [row for row in rows if row.event not in over], [over[name] for name in sorted(over)]


def cap_days(rows: Sequence[Row], most: int, together: Mapping[str, str] | None = None) -> Narrowed:
    """At most `most` new rows of each source and UTC day; of a day the newest go first.

    So a flood cannot push out what its source, or whoever borrowed its name, sent before.
    `together` as in `cap_sources`.
    """
    owner = _owner(together)
    taken: Counter[tuple[str, date]] = Counter()
    over: dict[str, Dropped] = {}
    for row in sorted((row for row in rows if row.example.role == "new"), key=_recency):
        day = owner(row), utc(row.at).date()
        taken[day] += 1
        if taken[day] > most:
            detail = f"source {day[0]} sent more than {most} rows on {day[1]:%Y-%m-%d}"
            over[row.event] = row.drop("over day cap", detail)
    return [row for row in rows if row.event not in over], [over[name] for name in sorted(over)]


def _owner(together: Mapping[str, str] | None) -> Callable[[Row], str]:
    """Who a row is counted for: its source, or the name under which several are one."""
    names = together or {}
    return lambda row: names.get(row.event, row.source)


def _allowed(stock: Counter[str], share: float) -> dict[str, int]:
    """Largest counts with each at most `share` of their sum: fall until nothing changes."""
    allowed = dict(stock)
    while True:
        total = sum(allowed.values())
        # The small term keeps 0.1 x 30 at 3 despite binary fractions.
        lower = {source: min(have, int(share * total + 1e-9)) for source, have in allowed.items()}
        if lower == allowed:
            return allowed
        allowed = lower


def _quarrel(row: Row, newest: Row) -> str:
    winner = f"the correction {newest.event} (source {newest.source})"
    if row.corrected:
        return f"source {row.source} wrote another target; {winner} is newer"
    return f"the output was accepted, but {winner} says otherwise"


def _kinship(row: Row, first: Row) -> str:
    if row.exact == first.exact:
        return f"of {first.event} (same prompt and context, group {row.example.group})"
    likeness = row.similarity if row.similarity is not None else first.similarity
    told = "" if likeness is None else f"similarity {likeness:.2f}, "
    return f"of {first.event} ({told}group {row.example.group})"


def _lesson(row: Row, known: Keys) -> tuple[str, str, str]:
    one = row.example
    return one.task, one.group, known.lesson(one.task, one.prompt, one.context, one.target)


def _standing(row: Row) -> tuple[object, ...]:
    """What stands for its copies: a correction, of a person rather than made up, the newest."""
    return row.corrected, not row.source.startswith(synthetic.SOURCE), *row.recency


def _recency(row: Row) -> tuple[object, ...]:
    return row.recency


def _grouped(rows: Iterable[Row], key: Callable[[Row], Hashable]) -> Iterable[list[Row]]:
    groups: defaultdict[Hashable, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.event):
        groups[key(row)].append(row)
    return groups.values()
