import numpy as np
import pytest

from honewheel import gate
from honewheel.errors import NotEnoughData
from honewheel.evaluate.ablate import effect
from honewheel.evaluate.compare import compare, pooled
from honewheel.evaluate.measure import Sides, measure
from honewheel.evaluate.setwise import Statistic
from honewheel.gate import Policy
from honewheel.records import EvalRow
from honewheel.tasks.similarity import Similarity

TASK = Similarity()
AUC = {"tickets": Statistic(TASK, "auc")}


def rows(version, strength, *, expected=None, n=200, seed=0, suite="panel", groups=None):
    """Answers that tell the same from different pairs the better the larger `strength`."""
    random = np.random.default_rng(seed)
    wanted = random.integers(0, 2, n).astype(float) if expected is None else np.asarray(expected)
    noise = random.normal(size=len(wanted))
    answers = np.clip(0.5 + 0.15 * noise + strength * (wanted - 0.5), 0, 1)
    found = []
    for at, (answer, want) in enumerate(zip(answers, wanted, strict=True)):
        metrics = TASK.compare(f"{answer:.6f}", f"{want:g}", {})
        group = f"g{at if groups is None else at // groups}"
        found.append(
            EvalRow(
                version=version,
                suite=suite,
                task="tickets",
                item=f"i{at:04d}",
                group=group,
                metrics=metrics,
            )
        )
    return found


def test_the_set_metric_takes_the_place_of_the_mean():
    found = compare(
        "tickets",
        "score",
        rows("m@2", 0.4),
        rows("m@1", 0.2),
        level=0.8,
        seed=0,
        base_rows=rows("m@0", 0.1),
        statistics=AUC,
    )
    assert found.metric == "auc"
    assert found.base < found.champion < found.challenger
    assert 0 < found.low < found.difference < found.high
    assert found.low < found.bound < found.difference


def test_the_same_answers_differ_in_no_resample():
    found = compare(
        "tickets", "score", rows("m@2", 0.3), rows("m@1", 0.3), level=0.8, seed=0, statistics=AUC
    )
    assert found.difference == found.low == found.high == found.bound == found.spread == 0


def test_the_interval_is_that_of_the_delta_method():
    """DeLong's standard error of one AUC, for a champion that knows nothing."""
    ours, theirs = rows("m@2", 0.3, n=400), rows("m@1", 0.3, n=400)
    theirs = [
        EvalRow(**{**_as_dict(row), "metrics": {**row.metrics, "answer": 0.5}}) for row in theirs
    ]
    found = compare("tickets", "score", ours, theirs, level=0.8, seed=0, statistics=AUC)
    good = np.array([row.metrics["answer"] for row in ours if row.metrics["expected"] == 1])
    bad = np.array([row.metrics["answer"] for row in ours if row.metrics["expected"] == 0])
    order = (good[:, None] > bad) + (good[:, None] == bad) / 2
    error = np.sqrt(
        order.mean(axis=1).var(ddof=1) / len(good) + order.mean(axis=0).var(ddof=1) / len(bad)
    )
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(error, rel=0.1)


def _as_dict(row):
    names = ("version", "suite", "task", "item", "group", "metrics", "output")
    return {name: getattr(row, name) for name in names}


def test_items_of_one_group_are_drawn_together():
    apart = [rows(name, strength) for name, strength in (("m@2", 0.3), ("m@1", 0.2))]
    single = compare("tickets", "score", *apart, level=0.8, seed=0, statistics=AUC)
    # Each item ten times over in one group: ten times the items, no more knowledge.
    copied = [
        [
            EvalRow(**{**_as_dict(row), "item": f"{row.item}-{copy}"})
            for row in side
            for copy in range(10)
        ]
        for side in apart
    ]
    tenfold = compare("tickets", "score", *copied, level=0.8, seed=0, statistics=AUC)
    assert tenfold.items == 10 * single.items
    assert tenfold.groups == single.groups
    assert tenfold.high - tenfold.low == pytest.approx(single.high - single.low, rel=1e-6)


def test_one_class_is_said_and_not_guessed():
    ones = np.ones(40)
    with pytest.raises(NotEnoughData, match="auc is undefined: all 40 pairs are the same"):
        compare(
            "tickets",
            "score",
            rows("m@2", 0.3, expected=ones),
            rows("m@1", 0.2, expected=ones),
            level=0.8,
            seed=0,
            statistics=AUC,
        )
    panel = Sides(
        challenger=rows("m@2", 0.3, expected=ones), champion=rows("m@1", 0.2, expected=ones)
    )
    evidence = measure(
        {"tickets": panel}, {}, trained=["tickets"], policy=Policy(), sets={"tickets": TASK}
    )
    assert any("undefined" in problem for problem in evidence.problems)
    decision = gate.decide(evidence, Policy(), challenger="m@2", champion="m@1")
    assert decision.verdict == "undecided"


def test_too_few_of_one_kind_is_said():
    expected = np.zeros(60)
    expected[0] = 1
    with pytest.raises(NotEnoughData, match=r"undefined in [\d,]+ of 2,000 resamples"):
        compare(
            "tickets",
            "score",
            rows("m@2", 0.3, expected=expected),
            rows("m@1", 0.2, expected=expected),
            level=0.8,
            seed=0,
            statistics=AUC,
        )


def test_tasks_with_and_without_a_set_metric_are_pooled_alike():
    plain = [
        [EvalRow(**{**_as_dict(row), "task": "other"}) for row in rows(name, strength)]
        for name, strength in (("m@2", 0.3), ("m@1", 0.2))
    ]
    ours, theirs = rows("m@2", 0.4) + plain[0], rows("m@1", 0.2) + plain[1]
    both = pooled("both", "score", ours, theirs, level=0.8, seed=0, statistics=AUC)
    alone = compare(
        "tickets", "score", rows("m@2", 0.4), rows("m@1", 0.2), level=0.8, seed=0, statistics=AUC
    )
    other = compare("other", "score", *plain, level=0.8, seed=0)
    assert both.difference == pytest.approx((alone.difference + other.difference) / 2)
    assert both.metric == "score"
    assert both.groups == alone.groups + other.groups


def _evidence(policy=None, **more):
    panel = Sides(challenger=rows("m@2", 0.4), champion=rows("m@1", 0.2), base=rows("m@0", 0.2))
    return measure(
        {"tickets": panel},
        {},
        trained=["tickets"],
        policy=policy or Policy(),
        sets={"tickets": TASK},
        **more,
    )


def test_the_gate_decides_on_the_set_metric_and_tells_the_others():
    evidence = _evidence()
    assert evidence.primary.metric == "auc"
    assert {one.name for one in evidence.slices} == {
        "tickets/spearman",
        "tickets/average_precision",
    }
    decision = gate.decide(evidence, Policy(), challenger="m@2", champion="m@1")
    assert decision.verdict == "promote"
    assert any("cannot exceed" in reason for reason in decision.reasons)


def test_the_metric_can_be_chosen():
    assert _evidence(chosen={"tickets": "spearman"}).primary.metric == "spearman"
    assert _evidence(chosen={"tickets": "score"}).primary.metric == "score"


def test_tiers_are_told_and_only_required_ones_forbid():
    tiers = {
        "tickets minimum": {"tickets/spearman": 0.55},
        "tickets production": {"tickets/spearman": 0.80, "tickets/auc": 0.95},
    }
    told = Policy(tiers=tiers)
    decision = gate.decide(_evidence(told), told, challenger="m@2", champion="m@1")
    assert decision.verdict == "promote"
    said = "\n".join(decision.reasons)
    assert "Tier tickets minimum: reached." in said
    assert "Tier tickets production: not reached (tickets/spearman " in said
    assert "asks for Spearman 80.0, which is an AUC of 96." in said
    asked = Policy(tiers=tiers, floors=tiers["tickets production"])
    refused = gate.decide(_evidence(asked), asked, challenger="m@2", champion="m@1")
    assert refused.verdict == "reject"
    assert "tickets/spearman: " in refused.reasons[0]


def _cases(version, passed):
    return [
        EvalRow(
            version=version,
            suite="adversarial:tickets:negation",
            task="tickets",
            item=f"c{at}",
            group=f"c{at}",
            metrics={"score": 0.5, "valid": 1.0, "exact": 0.0, "passed": float(one)},
        )
        for at, one in enumerate(passed)
    ]


def _watched(lost, n=80):
    before = [1.0] * n
    after = [0.0] * lost + [1.0] * (n - lost)
    return {"negation": Sides(challenger=_cases("m@2", after), champion=_cases("m@1", before))}


def test_a_broken_adversarial_category_refuses_the_promotion():
    decision = gate.decide(
        _evidence(watched=_watched(30)), Policy(), challenger="m@2", champion="m@1"
    )
    assert decision.verdict == "reject"
    assert decision.reasons[0].startswith("adversarial:negation 100.0 -> 62.5")
    assert decision.guards[-1].state == "worse"


def test_an_unclear_adversarial_category_holds_nothing_up():
    decision = gate.decide(
        _evidence(watched=_watched(4)), Policy(), challenger="m@2", champion="m@1"
    )
    assert decision.verdict == "promote"
    assert decision.guards[-1].state == "unclear"


def _trainings(strengths, seed=0):
    return [rows(f"m@{at}", strength, seed=seed) for at, strength in enumerate(strengths)]


def test_an_ablation_compares_the_set_metric():
    """Seeds differ in strength; the interval holds the items' and the seeds' uncertainty."""
    with_it, without = _trainings((0.5, 0.45, 0.4)), _trainings((0.2, 0.25, 0.22))
    found = effect("stages", with_it, without, statistics=AUC)
    assert found.metric == "auc"
    assert found.answer == "helps"
    each = [
        AUC["tickets"].value(a) - AUC["tickets"].value(b)
        for a, b in zip(with_it, without, strict=True)
    ]
    assert found.difference == pytest.approx(np.mean(each))
    assert found.with_it - found.without == pytest.approx(found.difference)
    one = compare("t", "score", with_it[0], without[0], level=0.9, seed=0, statistics=AUC)
    single = effect("stages", with_it[:1], without[:1], statistics=AUC)
    assert single.high - single.low == pytest.approx(one.high - one.low, rel=0.15)
    assert effect("stages", with_it, without).metric == "score"


def test_an_ablation_of_one_class_says_that_its_metric_is_undefined():
    ones = np.ones(40)
    sides = [[rows("m@1", 0.3, expected=ones)], [rows("m@2", 0.2, expected=ones)]]
    with pytest.raises(NotEnoughData, match="auc is undefined"):
        effect("stages", *sides, statistics=AUC)
