"""Where a model fails, and wrong answers that are known to be wrong.

Three different things that are easily taken for one. A *failure* is an item the champion scores
low on: it is told to people (`failures`) and never becomes a target. A *hard negative* is an
answer close to the right one and certainly wrong: a certified mutation of a target
(`mutated_pairs`), the rejected side of a pair. For embeddings it is a text near the query that
is not its positive (`mine`).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from honewheel.curate import text, train_only
from honewheel.curate.lots import lot
from honewheel.curate.rows import Checker
from honewheel.errors import InputError
from honewheel.protocols import Task
from honewheel.records import EvalRow, Example, Item, Json, Pair, digest
from honewheel.tasks import variations
from honewheel.tasks.asked import asked

VERSION = f"1.{variations.VERSION}"

LOW = 0.7  # a score below it is a failure
ANY = "any prompt"  # the feature that every item has
WRONG = "wrong-content"  # no finding at all, and yet the reference says otherwise
MIN_COUNT = 3  # failing items that make a feature worth telling
MIN_LIFT = 1.5
MAX_WORDS = 3  # words told for one finding
WORST = 5  # item ids told for one failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Low-scoring items of one task that share a finding and a feature of their prompt.

    `lift` is how much more often the feature stands among these items than among all of the
    task (1: as often); a hint where to look, not a proof. `mean_score` is in [0, 1]; `worst` are
    item ids, lowest score first.
    """

    task: str
    finding: str  # code of the check's finding, or "wrong-content"
    feature: str  # "any prompt", "17-32 words", "word: coupon"
    count: int
    lift: float
    mean_score: float
    worst: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Scored:
    item: str
    score: float
    features: frozenset[str]
    findings: frozenset[str]


def failures(
    rows: Sequence[EvalRow], items: Sequence[Item], checks: Checker
) -> tuple[Failure, ...]:
    """What one version gets wrong, most points lost first.

    An item counts once for each of its findings. Beside a finding's line over all prompts stand
    the features (length of the prompt, up to three words) that at least 3 failing items share
    and that are at least 1.5 times as frequent among them as in the whole task.

    Args:
        rows: scores of one version, at most one row an item and suite.
        items: the items that were scored, for their prompts.
        checks: (task, output, context) -> Check, to name what is wrong with an output.

    Raises:
        InputError: rows of two versions, or a row whose item is not among `items`.
    """
    versions = sorted({row.version for row in rows})
    if len(versions) > 1:
        raise InputError(f"Failures are told of one version; these rows are of {versions[:3]}.")
    known = {(item.task, item.id): item for item in items}
    scored: defaultdict[str, dict[str, _Scored]] = defaultdict(dict)
    for row in rows:
        item = known.get((row.task, row.item))
        if item is None:
            raise InputError(f"Row of {row.suite}: there is no item {row.item} of task {row.task}.")
        scored[row.task][row.item] = _scored(row, item, checks)
    found = [one for task in sorted(scored) for one in _of_task(task, [*scored[task].values()])]
    return tuple(sorted(found, key=_loss))


def _loss(failure: Failure) -> tuple[float, str, str, int, str]:
    lost = failure.count * (1 - failure.mean_score)
    return -lost, failure.task, failure.finding, int(failure.feature != ANY), failure.feature


def _scored(row: EvalRow, item: Item, checks: Checker) -> _Scored:
    score = row.metrics["score"]
    found: frozenset[str] = frozenset()
    if score < LOW:
        check = checks(row.task, row.output, asked(item))
        found = frozenset(finding.code for finding in check.findings) or frozenset({WRONG})
    words = text.words(item.prompt)
    features = {ANY, _length(len(words)), *(f"word: {word}" for word in words if len(word) > 2)}
    return _Scored(row.item, score, frozenset(features), found)


def _length(words: int) -> str:
    """Doubling buckets: 1-8, 9-16, 17-32 words, and so on."""
    top = 2 ** max(3, math.ceil(math.log2(max(1, words))))
    return f"{1 if top == 8 else top // 2 + 1}-{top} words"


def _of_task(task: str, scored: Sequence[_Scored]) -> Iterator[Failure]:
    everywhere = Counter(feature for one in scored for feature in one.features)
    for finding in sorted({code for one in scored for code in one.findings}):
        failing = [one for one in scored if finding in one.findings]
        shared = Counter(feature for one in failing for feature in one.features)
        words = 0
        lifted = [
            (_lift(count, len(failing), everywhere[feature], len(scored)), feature)
            for feature, count in shared.items()
            if count >= MIN_COUNT and feature != ANY
        ]
        yield _failure(task, finding, ANY, 1.0, failing)
        for lift, feature in sorted(lifted, key=lambda pair: (-pair[0], pair[1])):
            if lift < MIN_LIFT:
                break
            words += feature.startswith("word:")
            if words > MAX_WORDS and feature.startswith("word:"):
                continue
            having = [one for one in failing if feature in one.features]
            yield _failure(task, finding, feature, lift, having)


def _lift(count: int, failing: int, total: int, items: int) -> float:
    """Share among the failing over share in the task; half a count is added so that few say less.

    >>> round(_lift(10, 10, 10, 100), 2), round(_lift(1, 1, 1, 100), 2)
    (9.18, 50.5)
    """
    return ((count + 0.5) / (failing + 1)) / ((total + 0.5) / (items + 1))


def _failure(
    task: str, finding: str, feature: str, lift: float, having: Sequence[_Scored]
) -> Failure:
    worst = sorted(having, key=lambda one: (one.score, one.item))
    return Failure(
        task=task,
        finding=finding,
        feature=feature,
        count=len(having),
        lift=round(lift, 2),
        mean_score=math.fsum(one.score for one in having) / len(having),
        worst=tuple(one.item for one in worst[:WORST]),
    )


# --- certified mutations ------------------------------------------------------------------------


def mutated_pairs(
    rows: Sequence[Example], *, share: float, seed: int, tasks: Mapping[str, str | Task]
) -> list[Pair]:
    """Targets as chosen, each beside a certified mutation of it as rejected.

    At most one pair a row, and pairs are at most `share` of rows and pairs together. Rows are
    taken by a hash of the seed and their id, so neither their order nor that of the tasks counts.
    Copies (rows with a `variant`) and rows of kinds without mutations bring none.

    Args:
        rows: training rows whose targets are right.
        share: in [0, 1).
        seed: draws the rows and their mutations.
        tasks: task name -> kind ("mermaid-erd") or the kind itself.

    Raises:
        InputError: `share` out of range, a row outside train, or a row of no known task.
    """
    if not 0 <= share < 1:
        raise InputError(f"A share of hard negatives of {share:g} is outside 0 .. 1 (1 excluded).")
    kinds = train_only.kinds(rows, tasks, "Hard negatives")
    # The small term keeps 0.25 of 100 rows at 33 despite binary fractions.
    most = int(share / (1 - share) * len(rows) + 1e-9)
    pairs: list[Pair] = []
    for row in sorted(rows, key=lambda row: (_drawn(row, seed), row.id)):
        if len(pairs) == most:
            break
        if not row.variant and (pair := _mutated(row, kinds[row.task], seed)):
            pairs.append(pair)
    return pairs


def _drawn(row: Example, seed: int) -> bytes:
    return lot(seed, row.id)


def _mutated(row: Example, task: Task, seed: int) -> Pair | None:
    found = next(variations.mutations(task, row.target, row.context, seed), None)
    if found is None:
        return None
    fields: Json = [row.task, row.prompt, dict(row.context), row.target, found.output]
    return Pair(
        id=f"pair_{digest(fields)[:16]}",
        task=row.task,
        prompt=row.prompt,
        chosen=row.target,
        rejected=found.output,
        group=row.group,
        split=row.split,
        origin="mutation",
        context=row.context,
        weight=row.weight,
        events=row.events,
    )


# --- negatives of embeddings --------------------------------------------------------------------


def mine(
    similarities: npt.ArrayLike,
    positive_similarity: npt.ArrayLike,
    groups: Sequence[Hashable],
    relative_margin: float = 0.05,
    range_min: int = 5,
    per_query: int = 4,
) -> tuple[tuple[int, ...], ...]:
    """For each query the texts that are near it and not too near: positive-aware mining.

    A text that resembles the query nearly as much as its positive is probably a right answer
    nobody labelled. So a negative's similarity is at most (1 - `relative_margin`) of the
    positive's (TopK-PercPos; Moreira et al. 2024, "NV-Retriever", arXiv 2407.15831), the
    `range_min` nearest texts are passed over, and nothing of the query's own group is taken.

    Args:
        similarities: [n, n], row i the similarities of query i to the n texts, text j being of
            `groups[j]`.
        positive_similarity: [n], of each query to its positive.
        groups: n groups; query i is of `groups[i]`.
        relative_margin: in [0, 1).
        range_min: nearest texts of other groups that are passed over.
        per_query: most negatives a query.

    Returns:
        n tuples of text positions, the most similar first; empty where nothing is fit.

    Raises:
        InputError: shapes that do not fit, a similarity that is no number, a setting out of range.
    """
    table = np.asarray(similarities, dtype=np.float64)
    positive = np.asarray(positive_similarity, dtype=np.float64)
    count = len(groups)
    if table.shape != (count, count) or positive.shape != (count,):
        raise InputError(
            f"{count} groups need {count} x {count} similarities and {count} of positives; "
            f"got shapes {table.shape} and {positive.shape}."
        )
    if not (np.isfinite(table).all() and np.isfinite(positive).all()):
        raise InputError("A similarity is not a finite number; the embeddings hold NaN or inf.")
    if not 0 <= relative_margin < 1 or range_min < 0 or per_query < 0:
        raise InputError(
            f"relative_margin {relative_margin:g} must be in 0 .. 1 (1 excluded), range_min "
            f"{range_min} and per_query {per_query} at least 0."
        )
    numbers = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    labels = np.array([numbers[group] for group in groups], dtype=np.intp)
    # Of a negative similarity 95 % would be more than all of it, hence the absolute value.
    limits = positive - relative_margin * np.abs(positive)
    mined = []
    for query in range(count):
        ranked = np.argsort(-table[query], kind="stable")
        others = ranked[labels[ranked] != labels[query]][range_min:]
        fit = others[table[query, others] <= limits[query]][:per_query]
        mined.append(tuple(int(place) for place in fit))
    return tuple(mined)
