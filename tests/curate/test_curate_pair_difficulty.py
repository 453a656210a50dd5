import numpy as np
import pytest

from honewheel.curate import pair_difficulty
from honewheel.curate.labelled import Labelled
from honewheel.curate.pair_mining import mine
from honewheel.errors import InputError
from honewheel.records import Example, Item
from honewheel.tasks.pairs import as_prompt

EASY = [(f"reset printer {n} now", f"reset printer {n} today", 1.0) for n in range(60)]
HARD = [(f"paper stuck again {n}", f"printer does not feed {n}x", 1.0) for n in range(60)]


def _row(number, pair, split="train"):
    a, b, said = pair
    return Example(
        id=f"{split}{number}",
        task="t",
        prompt=as_prompt(a, b),
        target=f"{said:g}",
        group=f"g{number}",
        split=split,
    )


def _item(number, pair):
    a, b, said = pair
    return Item(id=f"i{number}", task="t", prompt=as_prompt(a, b), reference=f"{said:g}", group="g")


def test_difficulty_is_how_far_the_words_are_from_what_was_said():
    found = pair_difficulty.of([*EASY, *HARD, ("a b", "a b", 0.0), ("a", "c", 0.0)])
    assert found[:60].max() < found[60:120].min()
    assert found[120] == pytest.approx(1, abs=1e-5)
    assert found[121] == pytest.approx(0, abs=1e-5)


def test_a_training_that_is_easier_than_the_test_is_told():
    train = [_row(at, pair) for at, pair in enumerate(EASY)]
    (told,) = pair_difficulty.warnings(train, [_item(at, pair) for at, pair in enumerate(HARD)])
    assert told.startswith("t: training pairs are easier than the test pairs")
    even = [_item(at, pair) for at, pair in enumerate(EASY)]
    assert pair_difficulty.warnings(train, even) == ()
    few = [_item(at, pair) for at, pair in enumerate(HARD[:20])]
    assert pair_difficulty.warnings(train, few) == ()
    plain = Item(id="p", task="t", prompt="no pair", reference="1", group="g")
    assert pair_difficulty.warnings(train, [plain]) == ()


def test_the_histograms_are_shares():
    found = pair_difficulty.shift(EASY, HARD)
    assert sum(found.train) == pytest.approx(1)
    assert sum(found.test) == pytest.approx(1)
    assert found.train_median < found.test_median
    assert found.distance == pytest.approx(1)


def test_ranks_hold_both_classes_in_every_third():
    different = [(a, b, 0.0) for a, b, _ in (*EASY, *HARD)]
    rows = [_row(at, pair) for at, pair in enumerate([*EASY, *HARD, *different])]
    found = pair_difficulty.ranks(rows)
    for low, high in ((0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1)):
        third = [row.target for row in rows if low <= found[row.group] < high]
        assert third.count("1") == third.count("0") == 40
    plain = Example(id="x", task="t", prompt="p", target="1", group="g", split="train")
    assert pair_difficulty.ranks([plain]) == {}


# --- mining -------------------------------------------------------------------------------------


def _unit(*angles):
    return np.array([[np.cos(angle), np.sin(angle)] for angle in angles], dtype=np.float32)


TEXTS = [Labelled(text=f"t{at}", label=label) for at, label in enumerate("aabbc")]


def test_a_negative_is_near_but_not_nearer_than_the_positive_allows():
    # a: 0 and 0.3; b: 0.35 (nearer to the second a than its own positive) and 1.0; c: 3.1
    found = mine(TEXTS, _unit(0, 0.3, 0.35, 1.0, 3.1), margin=0.01)
    pairs = {frozenset((one.anchor, one.negative)): one for one in found.found}
    assert frozenset((1, 2)) not in pairs  # cos(.05) is above cos(.3)
    assert frozenset((0, 2)) in pairs
    assert found.dropped["nearer than a positive allows"] >= 1
    assert found.dropped["no positive of the anchor"] == 1
    assert "dropped: " in found.told
    for one in found.found:
        assert one.cosine <= one.positive - 0.01 * abs(one.positive)
        assert TEXTS[one.anchor].label != TEXTS[one.negative].label


def test_the_margin_works_below_zero():
    """The only positive is far away: a relative margin of a negative cosine still lowers it."""
    found = mine(TEXTS[:4], _unit(0, 3.0, 1.7, 1.75), margin=0.1)
    for one in found.found:
        if one.positive < 0:
            assert one.cosine <= one.positive - 0.1 * abs(one.positive) < one.positive


def test_what_people_called_the_same_is_no_negative():
    vectors = _unit(0, 0.5, 0.6, 1.2, 3.1)
    every = {frozenset((a, b)) for a in range(5) for b in range(a)}
    found = mine(TEXTS, vectors, same=every, margin=0.0)
    assert not found.found
    assert found.dropped["said to be the same"] > 0


def test_skip_and_least_are_counted():
    vectors = _unit(0, 0.5, 0.6, 1.2, 3.1)
    assert mine(TEXTS, vectors, skip=2, margin=0.0).dropped["passed over"] > 0
    assert mine(TEXTS, vectors, least=0.999, margin=0.0).dropped["not near enough"] > 0


@pytest.mark.parametrize(
    ("more", "said"), [({"margin": 1.0}, "margin 1.0"), ({"per_text": 0}, "per_text 0")]
)
def test_what_cannot_be_mined_is_said(more, said):
    with pytest.raises(InputError, match=said):
        mine(TEXTS, _unit(0, 1, 2, 3, 4), **more)
    with pytest.raises(InputError, match="5 texts came with 2 vectors"):
        mine(TEXTS, _unit(0, 1))
