from __future__ import annotations

import numpy as np
from evaluate_builders import scored, sides

from honewheel.evaluate.measure import Sides, measure
from honewheel.gate import Policy

RANDOM = np.random.default_rng(0)
GOOD = sides((0.6 + 0.3 * RANDOM.random(40)).tolist(), [0.5] * 40)
FLAT = sides([0.5] * 40, [0.5] * 40, task="ddl")


def test_one_trained_task_is_the_primary_and_the_others_guard() -> None:
    legacy = sides([0.4] * 40, [0.5] * 40, suite="legacy")
    found = measure(
        {"erd": GOOD, "ddl": FLAT}, {"legacy": legacy}, trained=["erd"], policy=Policy()
    )
    assert found.primary is not None
    assert (found.primary.name, found.primary.level) == ("erd", 0.80)
    assert [one.name for one in found.trained] == ["erd"]
    assert [(one.name, one.level) for one in found.guards] == [
        ("ddl", 0.95),
        ("suite:legacy", 0.95),
    ]
    assert [(one.name, one.metric) for one in found.validity] == [("erd/valid", "valid")]
    assert found.problems == ()


def test_several_trained_tasks_are_pooled_and_each_guards_as_well() -> None:
    found = measure({"erd": GOOD, "ddl": FLAT}, {}, trained=["erd", "ddl"], policy=Policy())
    assert found.primary is not None
    assert found.primary.name == "ddl + erd"
    assert [one.name for one in found.guards] == ["ddl", "erd"]
    assert [one.name for one in found.validity] == ["ddl/valid", "erd/valid"]


def test_what_cannot_be_compared_is_a_problem_and_not_a_gap() -> None:
    empty = Sides(challenger=[], champion=[])
    unlike = Sides(challenger=scored("a", [1.0] * 3), champion=scored("b", [1.0] * 4))
    found = measure(
        {"erd": GOOD, "ddl": empty}, {"x": unlike}, trained=["erd", "query"], policy=Policy()
    )
    told = " ".join(found.problems)
    assert "query was trained on and has no test panel" in told
    assert "ddl has no items" in told
    assert "suite:x: challenger and champion answered different items" in told


def test_no_trained_task_leaves_no_primary() -> None:
    found = measure({"erd": GOOD}, {}, trained=[], policy=Policy())
    assert found.primary is None
    assert found.problems


def test_the_base_is_told_only_where_every_pooled_task_has_it() -> None:
    based = Sides(
        challenger=GOOD.challenger, champion=GOOD.champion, base=scored("m@0", [0.2] * 40)
    )
    alone = measure({"erd": based}, {}, trained=["erd"], policy=Policy())
    pair = measure({"erd": based, "ddl": FLAT}, {}, trained=["erd", "ddl"], policy=Policy())
    assert alone.primary is not None
    assert pair.primary is not None
    assert round(alone.primary.base or 0, 6) == 0.2
    assert pair.primary.base is None


def test_the_newest_items_are_compared_apart_and_nothing_rests_on_them() -> None:
    items = [row.item for row in GOOD.challenger]
    found = measure({"erd": GOOD, "ddl": FLAT}, {}, trained=["erd"], policy=Policy())
    assert found.slices == ()
    late = measure(
        {"erd": GOOD}, {}, trained=["erd"], policy=Policy(), newest=frozenset(items[:10])
    )
    (one,) = late.slices
    assert (one.name, one.items) == ("erd/newest", 10)
    scores = [row.metrics["score"] for row in GOOD.challenger[:10]]
    assert abs(one.challenger - sum(scores) / 10) < 1e-12
    assert one not in late.everything
