import pytest
from test_evaluate_setwise import rows

from honewheel.errors import NotEnoughData
from honewheel.evaluate import pairs
from honewheel.records import Item
from honewheel.tasks.pairs import as_prompt
from honewheel.tasks.similarity import Similarity


def _items(found, hub=False):
    """Items for these rows; with `hub`, ten pairs share a text."""
    return {
        row.item: Item(
            id=row.item,
            task="tickets",
            prompt=as_prompt(f"text {at // 10 if hub else at}", f"other {at}"),
            reference="1",
            group="g",
            context={"label_a": f"l{at % 4}", "label_b": f"l{at % 4}"},
        )
        for at, row in enumerate(found)
    }


def test_the_numbers_of_a_set_agree_with_one_another():
    found = rows("m@1", 0.3)
    limit = pairs.threshold(rows("m@1", 0.3, seed=1))
    one = pairs.scores(found, _items(found, hub=True), limit)
    assert one.pairs == 200
    assert one.spearman == pytest.approx(one.ceiling * (2 * one.auc - 1), abs=1e-3)
    assert one.equivalent_auc == pytest.approx(one.auc, abs=1e-3)
    assert one.f1 == pytest.approx(2 / (1 / one.precision + 1 / one.recall))
    assert one.mean_same > one.mean_different
    assert 15 <= one.queries <= 20
    assert one.recall_at_1 < one.recall_at_5 <= 1
    assert one.mrr > 0.5


def test_what_is_undefined_is_none():
    found = rows("m@1", 0.3, expected=[1.0] * 30)
    one = pairs.scores(found, _items(found), None)
    assert (one.auc, one.ceiling, one.equivalent_auc, one.f1, one.recall_at_1) == (None,) * 5
    assert pairs.threshold(found) is None
    assert pairs.threshold([]) is None
    with pytest.raises(NotEnoughData, match="no pairs to measure"):
        pairs.scores([], {}, None)


def test_slices_are_thirds_of_each_class_and_seen_or_unseen_labels():
    found, base = rows("m@1", 0.3), rows("m@0", 0.1)
    parts = pairs.slices(found, base, _items(found), {"l0", "l1"})
    assert len(parts["seen labels"]) == len(parts["unseen labels"]) == 100
    for name in pairs.TERCILES:
        same = sum(row.metrics["expected"] for row in parts[name])
        assert len(parts[name]) == pytest.approx(67, abs=2)
        assert same == pytest.approx(sum(row.metrics["expected"] for row in found) / 3, abs=1)
    hard, easy = (pairs.scores(parts[name], _items(found), 0.5).auc for name in ("hard", "easy"))
    assert hard < easy


def test_flips_are_pairs_called_differently():
    after, before = rows("m@2", 0.6), rows("m@1", 0.1)
    items = _items(after)
    found = pairs.flips(after, before, items, threshold=0.5, threshold_before=0.5)
    named = {one.item: one for one in found}
    for new, old in zip(after, before, strict=True):
        now, then = new.metrics["answer"] >= 0.5, old.metrics["answer"] >= 0.5
        assert (new.item in named) == (now != then)
        if now != then:
            assert named[new.item].mended == (now == (new.metrics["expected"] == 1))
    assert [one.mended for one in found] == sorted(one.mended for one in found)
    assert Similarity().compare("0.4", "1", {})["answer"] == 0.4
