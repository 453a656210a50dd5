from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pair_streams import chain, graph, name, placed, star, tree

from honewheel.curate import contamination, pair_split, panel
from honewheel.curate.dedup import exact_key
from honewheel.records import Example, Item
from honewheel.tasks.pairs import as_prompt

EDGES = st.lists(
    st.tuples(st.integers(0, 14), st.integers(0, 14)).filter(lambda edge: edge[0] != edge[1]),
    min_size=1,
    max_size=60,
)


@given(EDGES)
@settings(max_examples=60, deadline=None)
def test_no_text_is_on_two_sides_whatever_the_pairs(edges):
    sides = {}
    for (a, b), (side, aside) in zip(edges, placed(edges), strict=True):
        for text in (a, b) if aside is None else ():
            assert sides.setdefault(text, side) == side


@given(EDGES)
@settings(max_examples=30, deadline=None)
def test_a_pair_said_again_goes_where_it_went(edges):
    first = placed(edges)
    again = placed(edges + edges)[len(edges) :]
    for before, after in zip(first, again, strict=True):
        if before[1] is None:
            assert after == before


@pytest.mark.parametrize("edges", [chain(1000), tree(1000), graph(1000, 1500), graph(1000, 300)])
def test_no_component_swallows_the_set(edges):
    """Every side gets at least a fourth of what it should, and a third is lost at most."""
    kept = Counter(side for side, aside in placed(edges) if aside is None)
    total = sum(kept.values())
    assert total > 2 / 3 * len(edges) - 30
    assert kept["train"] / total < 0.95
    assert min(kept["val"], kept["test"]) / total > 0.025


def test_one_hub_takes_its_side_and_no_more_than_that():
    kept = [side for side, aside in placed(star(300)) if aside is None]
    assert len(set(kept)) == 1  # they all share a text
    assert len(kept) > 200


def test_a_pair_between_two_sides_is_set_aside_with_both_named():
    edges = [(2 * at, 2 * at + 1) for at in range(60)]
    sides = [side for side, _ in placed(edges)]
    train, test = sides.index("train"), sides.index("test")
    aside = placed([*edges, (2 * train, 2 * test)])[-1][1]
    assert "(train)" in aside
    assert "(test)" in aside
    assert "would leak" in aside


def test_a_named_group_decides_the_side_of_its_texts():
    for group in map(str, range(20)):
        sides = {side for side, _ in placed([(0, 1), (2, 3), (4, 5)], group_a=group, group_b=group)}
        assert len(sides) == 1
    mixed = placed([(0, 1)], group_a="3", group_b="4")
    wanted = [pair_split.split.assign(f"text\x1f{group}", "tickets") for group in ("3", "4")]
    assert (mixed[0][1] is None) == (len(set(wanted)) == 1)


def test_the_order_of_a_pair_and_its_labels_do_not_make_another_pair():
    one = exact_key(as_prompt("Card lost", "card  gone"), {})
    assert one == exact_key(as_prompt("card gone", "card lost"), {"label_a": "x"})
    assert one == exact_key("the same?", {"a": "card lost", "b": "card gone"})
    assert one != exact_key(as_prompt("card lost", "card"), {})


def _item(number, a, b):
    return Item(
        id=f"i{number}", task="t", prompt=as_prompt(a, b), reference="1", group=f"g{number}"
    )


def test_a_text_of_a_held_out_pair_leaks_in_any_pair():
    row = Example(
        id="ex",
        task="t",
        prompt=as_prompt("new text", "Lost  card"),
        target="0",
        group="g",
        split="train",
    )
    found = contamination.leaks([row], [_item(1, "lost card", "card is gone")])
    assert found == [("ex", "i1", "a text of the pair is the item's: 'lost card'")]
    assert not contamination.leaks([row], [_item(1, "lost cards", "card is gone")])


def test_a_panel_groups_pairs_by_the_text_they_share():
    items = [_item(1, "hub", "b"), _item(2, "c", "Hub"), _item(3, "hub", "d"), _item(4, "e", "f")]
    groups = [item.group for item in panel._by_text(items)]
    assert groups[0] == groups[1] == groups[2] != groups[3]
    plain = Item(id="p", task="t", prompt="no pair", reference="1", group="g9")
    assert panel._by_text([plain]) == [plain]


def test_near_copies_of_a_text_go_where_it_went():
    """A text that differs in one word of many is the same text for the split."""
    long = " ".join(f"word{at}" for at in range(40))
    near = long.replace("word20", "other")
    texts = [pair_split.texts(as_prompt(one, name(1)), {}) for one in (long, near)]
    assert pair_split.dedup.similarity(texts[0][0].signature, texts[1][0].signature) > 0.7
