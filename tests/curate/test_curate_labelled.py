from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate import labelled, lexical, pair_split
from honewheel.curate.labelled import Labelled, make
from honewheel.errors import InputError, NotEnoughData

TEXTS = [
    Labelled(text=f"{verb} the {thing} {where}", label=f"{verb}-{thing}")
    for verb in ("reset", "order", "repair", "return", "cancel")
    for thing in ("printer", "laptop", "badge", "phone")
    for where in "please|in room 4|again|for Ana|since Monday|now|today|at home|twice|asap".split(
        "|"
    )
]


def _key(one):
    return tuple(sorted((one.a.text, one.b.text)))


def test_pairs_are_made_by_label_half_and_half():
    made = make(TEXTS, task="t")
    origin = Counter(one.origin for one in made.pairs)
    assert origin["same label"] == pytest.approx(origin["lexical"] + origin["uniform"], abs=9)
    assert origin["lexical"] == pytest.approx(origin["uniform"], abs=9)
    assert all(one.same == (one.a.label == one.b.label) for one in made.pairs)
    assert len({_key(one) for one in made.pairs}) == len(made.pairs)
    assert (made.labels, made.texts) == (20, 200)
    assert "200 texts of 20 labels" in labelled.told(made)


def test_hard_negatives_share_more_words_than_drawn_ones():
    made = make(TEXTS, task="t")
    near = {origin: [] for origin in ("lexical", "uniform")}
    cosines = lexical.of_pairs([(one.a.text, one.b.text) for one in made.pairs])
    for one, cosine in zip(made.pairs, cosines, strict=True):
        if not one.same:
            near[one.origin].append(float(cosine))
    assert np.mean(near["lexical"]) > np.mean(near["uniform"]) + 0.2


@given(st.permutations(TEXTS[:60]), st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_pairs_do_not_depend_on_the_order_and_no_text_is_on_two_sides(texts, seed):
    made = make(texts, task="t", seed=seed)
    assert made == make(TEXTS[:60], task="t", seed=seed)
    sides = {}
    for one in made.pairs:
        for text in (one.a.text, one.b.text):
            assert sides.setdefault(text, one.side) == one.side


def test_no_text_has_many_pairs_of_its_own_label():
    made = make(TEXTS, task="t", per_text=2)
    degree = Counter(text for one in made.pairs if one.same for text in (one.a.text, one.b.text))
    assert max(degree.values()) <= 4


def test_whole_labels_are_on_one_side():
    made = make(TEXTS, task="t", whole_labels=True)
    sides = {}
    for one in made.pairs:
        for text in (one.a, one.b):
            assert sides.setdefault(text.label, one.side) == one.side
        about = labelled.context(one, whole_labels=True)
        found = pair_split.texts(
            labelled.row(one, task="t", source="s", whole_labels=True)["prompt"], about
        )
        assert {pair_split.own(text, "t") for text in found} == {one.side}


def test_the_cap_keeps_the_classes_in_proportion():
    made = make(TEXTS, task="t", most=100)
    assert 90 <= len(made.pairs) <= 100
    assert sum(one.same for one in made.pairs) == pytest.approx(50, abs=5)


def test_texts_that_cannot_be_used_are_named():
    odd = [
        Labelled(text=" ", label="x"),
        Labelled(text="Reset the printer  PLEASE", label="reset-printer"),
        Labelled(text="order the badge now", label="another"),
    ]
    reasons = [reason for _, reason in make(TEXTS + odd, task="t").left_out]
    assert "the text or its label is empty" in reasons
    assert "stands twice" in reasons
    assert reasons.count("has labels another, order-badge") == 2


def test_too_little_to_pair_is_said():
    with pytest.raises(NotEnoughData, match="1 label; pairs take at least two"):
        make(TEXTS[:10], task="t")
    with pytest.raises(NotEnoughData, match="No two of 2 texts"):
        make([TEXTS[0], TEXTS[-1]], task="t")
    with pytest.raises(InputError, match="per_text is 0"):
        make(TEXTS, task="t", per_text=0)
