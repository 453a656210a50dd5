"""Champion against challenger as the product judges them: the paired test and the gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from honewheel import gate
from honewheel.evaluate import metrics
from honewheel.evaluate.exact import flips
from honewheel.evaluate.measure import Sides, measure
from honewheel.gate import Policy
from honewheel.records import EvalRow, Item, Prediction

POLICY = Policy(margin=0.02)  # points that the old rule may lose: 2


def verdict(
    test: Mapping[str, Sequence[Item]],
    before: Mapping[str, str],
    after: Mapping[str, str],
    judge: Callable[..., Mapping[str, float]],
    *,
    trained: Sequence[str],
) -> dict[str, Any]:
    """The gate's verdict with the tasks that were `trained` as its primary ones and the others as
    guards, and what became right and wrong on each (McNemar, exact and two-sided).
    """
    sides = {
        task: Sides(
            champion=_rows("m@1", task, items, before, judge),
            challenger=_rows("m@2", task, items, after, judge),
        )
        for task, items in test.items()
    }
    evidence = measure(sides, {}, trained=trained, policy=POLICY)
    decision = gate.decide(evidence, POLICY, challenger="m@2", champion="m@1")
    return {
        "verdict": decision.verdict,
        "reasons": [*decision.reasons],
        "gain": decision.gain,
        "interval": decision.interval,
        "mcnemar": {task: _flips(one.champion, one.challenger) for task, one in sides.items()},
    }


def _rows(
    version: str,
    task: str,
    items: Sequence[Item],
    found: Mapping[str, str],
    judge: Callable[..., Mapping[str, float]],
) -> list[EvalRow]:
    given = [Prediction(item=item.id, output=found[item.id], tokens=0) for item in items]

    def whole(output: str, reference: str, context: Mapping[str, str]) -> Mapping[str, float]:
        """Exact match is the score here: half a solution is none."""
        told = judge(output, reference, context)
        return {**told, "score": told["exact"]}

    return metrics.rows(version, f"panel-{task}", items, given, whole)


def _flips(old: Sequence[EvalRow], new: Sequence[EvalRow]) -> dict[str, Any]:
    found = flips(new, old)
    return {"fixed": found.fixed, "broken": found.broken, "p": found.p, "told": found.told}
