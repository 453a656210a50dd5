"""What there is to know of a similarity model's answers to labelled pairs, for people.

The gate decides on one number; this is everything around it: ranking and classification at a
threshold that was fixed on other pairs, retrieval where texts have several candidates, slices by
difficulty and by whether a label was trained on, and the pairs that flipped. Pure.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from honewheel.errors import NotEnoughData
from honewheel.evaluate.setwise import columns
from honewheel.records import EvalRow, Item
from honewheel.tasks import pairs, ranking

VERSION = 1

Floats = npt.NDArray[np.float64]
TERCILES = ("easy", "medium", "hard")
CANDIDATES = 2  # of a text from which finding the right one is a task


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The numbers of one set of pairs; None where one is undefined (a single class, no queries).

    `ceiling` and `equivalent_auc` are Spearman's where only 0 and 1 were expected. `precision`,
    `recall` and `f1` are at the threshold; the retrieval metrics are means over `queries` texts
    that have several candidates, of which some are the same. All in [0, 1], Spearman in [-1, 1].
    """

    pairs: int
    same: float
    auc: float | None
    average_precision: float | None
    spearman: float | None
    ceiling: float | None
    equivalent_auc: float | None
    f1: float | None
    precision: float | None
    recall: float | None
    queries: int
    recall_at_1: float | None
    recall_at_5: float | None
    mrr: float | None
    ndcg_at_10: float | None
    mean_same: float | None
    mean_different: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A pair that two versions call differently at their thresholds."""

    item: str
    a: str
    b: str
    expected: float
    before: float
    after: float
    mended: bool  # right now, wrong before


def scores(rows: Sequence[EvalRow], items: Mapping[str, Item], threshold: float | None) -> Scores:
    """The numbers of these rows; `items` by id bring the texts. Raises NotEnoughData on no rows."""
    if not rows:
        raise NotEnoughData("There are no pairs to measure; import a suite or record more pairs.")
    found = columns(rows)
    answers, expected = found["answer"], found["expected"]
    same = expected >= ranking.SAME
    ones = np.ones((1, len(rows)))
    share = float(same.mean())
    two = ranking.binary(expected) and 0 < share < 1
    rho = _number(ranking.spearman(answers, expected, ones)[0])
    queries = _queries(rows, items)
    called = None if threshold is None else answers >= threshold
    hits = 0 if called is None else int((called & same).sum())
    return Scores(
        pairs=len(rows),
        same=share,
        auc=_number(ranking.auc(answers, expected, ones)[0]),
        average_precision=_number(ranking.average_precision(answers, expected, ones)[0]),
        spearman=rho,
        ceiling=ranking.ceiling(share) if two else None,
        equivalent_auc=ranking.equivalent_auc(rho, share) if two and rho is not None else None,
        f1=None if threshold is None else ranking.f1(answers, expected, threshold),
        precision=None if called is None or not called.any() else hits / int(called.sum()),
        recall=None if called is None or not same.any() else hits / int(same.sum()),
        queries=len(queries),
        recall_at_1=_number(ranking.recall_at(queries, 1)),
        recall_at_5=_number(ranking.recall_at(queries, 5)),
        mrr=_number(ranking.mrr(queries)),
        ndcg_at_10=_number(ranking.ndcg(queries, 10)),
        mean_same=_mean(answers[same]),
        mean_different=_mean(answers[~same]),
    )


def threshold(rows: Sequence[EvalRow]) -> float | None:
    """The threshold of the best F1 on these rows (of dev, never of test); None of one class."""
    if not rows:
        return None
    found = columns(rows)
    try:
        return ranking.threshold(found["answer"], found["expected"])
    except ValueError:
        return None


def slices(
    rows: Sequence[EvalRow],
    base: Sequence[EvalRow],
    items: Mapping[str, Item],
    trained_labels: Collection[str],
) -> dict[str, list[EvalRow]]:
    """The rows by how hard they are for the base (terciles of its error within each class), and by
    whether both labels were trained on, where items have labels.
    """
    found: dict[str, list[EvalRow]] = {}
    hardness = terciles(base)
    for name in TERCILES:
        found[name] = [row for row in rows if hardness.get(row.item) == name]
    labelled = [row for row in rows if "label_a" in items[row.item].context]
    for row in labelled:
        about = items[row.item].context
        seen = {about["label_a"], about.get("label_b", about["label_a"])} <= set(trained_labels)
        found.setdefault("seen labels" if seen else "unseen labels", []).append(row)
    return {name: part for name, part in found.items() if part}


def terciles(rows: Sequence[EvalRow]) -> dict[str, str]:
    """Item -> easy, medium or hard, by the error of these answers; a third each in either class.

    Within a class, because for an untuned model one class is nearly always the harder one, and
    a tercile of one class has no AUC.
    """
    classes: defaultdict[bool, list[EvalRow]] = defaultdict(list)
    for row in rows:
        classes[row.metrics["expected"] >= ranking.SAME].append(row)
    found: dict[str, str] = {}
    for part in classes.values():
        part.sort(key=lambda row: (row.metrics["absolute_error"], row.item))
        for place, row in enumerate(part):
            found[row.item] = TERCILES[3 * place // len(part)]
    return found


def flips(
    after: Sequence[EvalRow],
    before: Sequence[EvalRow],
    items: Mapping[str, Item],
    *,
    threshold: float,
    threshold_before: float,
) -> tuple[Flip, ...]:
    """The pairs called differently; broken ones first, then by how far the answer moved."""
    old = {row.item: row for row in before}
    found: list[Flip] = []
    for row in after:
        was = old[row.item].metrics["answer"]
        now, expected = row.metrics["answer"], row.metrics["expected"]
        called = now >= threshold
        if called == (was >= threshold_before):
            continue
        item = items[row.item]
        a, b = pairs.pair(item.prompt, item.context)
        mended = called == (expected >= ranking.SAME)
        found.append(
            Flip(item=row.item, a=a, b=b, expected=expected, before=was, after=now, mended=mended)
        )
    return tuple(
        sorted(found, key=lambda one: (one.mended, -abs(one.after - one.before), one.item))
    )


def _queries(rows: Sequence[EvalRow], items: Mapping[str, Item]) -> list[list[int]]:
    """For each text with several candidates their relevance, the highest answer first.

    Ties stand against the model: of equal answers the irrelevant one comes first.
    """
    held: defaultdict[str, list[tuple[float, bool, str]]] = defaultdict(list)
    for row in rows:
        item = items[row.item]
        relevant = row.metrics["expected"] >= ranking.SAME
        for one in pairs.pair(item.prompt, item.context):
            held[pairs.normal(one)].append((-row.metrics["answer"], relevant, row.item))
    return [
        [int(relevant) for _, relevant, _ in sorted(found)]
        for _, found in sorted(held.items())
        if len(found) >= CANDIDATES and len({relevant for _, relevant, _ in found}) == 2
    ]


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
