from __future__ import annotations

import time

import pytest
from curate_builders import example, item, requirement

from honewheel.curate.contamination import assert_clean, leaks
from honewheel.errors import Leak


def test_rows_and_items_of_different_requirements_are_clean() -> None:
    rows = [example(at) for at in range(400)]
    assert leaks(rows, [item(at) for at in range(1000, 1150)]) == []


def test_a_shared_group_leaks_across_tasks() -> None:
    found = leaks([example(1, group="g", task="ddl")], [item(2, group="g")])
    assert found == [("ex_1", "item_2", "same group g")]


def test_the_same_prompt_and_context_leak_whatever_the_layout() -> None:
    row = example(1, prompt="Draw\n  IT", context={"notes": "a  b"}, target="x")
    held = item(2, prompt="draw it", context={"notes": "A b"})
    assert leaks([row], [held]) == [("ex_1", "item_2", "same prompt and context")]
    assert leaks([row], [item(2, prompt="draw it", context={"notes": "other"})]) == []
    assert leaks([row], [item(2, prompt="draw it", context={"notes": "a b"}, task="ddl")]) == []


def test_the_same_prompt_and_target_leak_under_another_context() -> None:
    row = example(1, prompt="draw it", context={"notes": "p q"}, target="answer  \n")
    held = item(2, prompt="Draw it", context={"notes": "r s"}, reference="answer")
    assert leaks([row], [held]) == [("ex_1", "item_2", "same prompt and target")]


@pytest.mark.parametrize("edit", [
    lambda text: text + " thanks, and please keep it simple.",
    lambda text: "hello team. " + text,
    lambda text: text.replace("please draft", "kindly draw"),
    lambda text: text.replace(".", " ;").upper(),
])  # fmt: skip
def test_a_copied_prompt_with_small_edits_leaks(edit) -> None:
    ask = requirement(1)
    found = leaks([example(9, prompt=edit(ask))], [item(1), item(2)])
    assert [(row, held) for row, held, _ in found] == [("ex_9", "item_1")]
    assert "of the item's 8-word runs" in found[0][2]


def test_a_copied_prompt_over_another_context_is_another_question() -> None:
    ask = "summarise the meeting notes that follow in three short bullet points for the board"
    row = example(1, prompt=ask + " please", context={"notes": requirement(1)})
    assert leaks([row], [item(2, prompt=ask, context={"notes": requirement(2)})]) == []
    assert leaks([row], [item(2, prompt=ask)]) == []
    assert len(leaks([row], [item(2, prompt=ask, context={"notes": requirement(1)})])) == 1


def test_wording_that_three_held_out_groups_share_is_the_templates() -> None:
    boiler = " ".join(f"rule {at} is to be followed by everyone" for at in range(10)) + ". "
    held = [item(at, prompt=boiler + f"topic {at} colour {at}") for at in range(3)]
    row = example(9, prompt=boiler + "topic 77 colour 78")
    assert leaks([row], held) == []
    assert len(leaks([row], held[:2])) == 2
    copied = example(9, prompt="hi. " + held[0].prompt)
    assert [found[1] for found in leaks([copied], held)] == ["item_0"]


def test_a_leak_raises_with_its_rows_and_reasons_named() -> None:
    rows = [example(at) for at in range(5)]
    with pytest.raises(Leak, match=r"4 pairs.*example ex_1 and item item_1: same prompt"):
        assert_clean(rows, [item(at) for at in range(1, 7)])
    assert_clean(rows, [item(at) for at in range(10, 20)])


def test_time_grows_with_the_text_and_not_with_its_square() -> None:
    def seconds(size: int) -> float:
        rows = [example(at) for at in range(size)]
        held = [item(at) for at in range(100_000, 100_000 + size)]
        start = time.process_time()
        leaks(rows, held)
        return time.process_time() - start

    seconds(100)
    # The best of three: a busy machine adds time, never takes any. Linear: 8, quadratic: 64.
    assert min(seconds(1600) for _ in range(3)) < 16 * min(seconds(200) for _ in range(3))
