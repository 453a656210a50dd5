"""Tasks that know their questions: groups by key, leaks by key, symmetric copies merged."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import numpy as np
import pytest
from curate_builders import example, item
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate import contamination, narrow, questions
from honewheel.curate.dedup import Candidate
from honewheel.curate.rows import Row
from honewheel.errors import ConfigError, Leak
from honewheel.tasks.puzzle import base

KEYS = questions.of({"erd": "sudoku", "ddl": "sql"})


def symmetric(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Prompts and answers of one orbit, all different texts."""
    rng = np.random.default_rng(seed)
    one = next(base.task("sudoku").generate("4", "standard", None, rng))
    puzzle = base.of(one.prompt)
    inputs = np.repeat(puzzle.encode(one.prompt, {})[None], count, 0)
    labels = np.repeat(puzzle.target(one.prompt, {}, one.answer)[None], count, 0)
    moved = zip(*base.augment(puzzle, inputs, labels, rng), strict=True)
    found = []
    for given_cells, answer in moved:
        grid = puzzle.decode(one.prompt, {}, given_cells).replace("\n", "")
        prompt = base.ask("sudoku", {"box": [2, 2], "grid": grid})
        found.append((prompt, puzzle.decode(prompt, {}, answer)))
    return list(dict(found).items())


def test_a_symmetric_problem_gives_a_held_out_one_away():
    (one, answer), (two, reference) = symmetric(4)[:2]
    row = example(1, prompt=one, target=answer, context={})
    held = item(2, prompt=two, reference=reference, context={})
    assert contamination.leaks([row], [held]) == []
    ((name, other, reason),) = contamination.leaks([row], [held], KEYS)
    assert (name, other) == ("ex_1", "item_2")
    assert reason.startswith("the same question by its task")
    with pytest.raises(Leak):
        contamination.assert_clean([row], [held], KEYS)


def test_prompts_that_only_look_alike_are_no_leak():
    """Two tables of one low value share most of their words; their keys differ."""
    known = questions.of({"erd": "boundary-table"})
    ask = '{"puzzle": "boundary-table", "digits": 2, "low": 10, "high": %d, "optional": false}'
    row = example(1, prompt=ask % 50, target="x", context={})
    held = item(2, prompt=ask % 60, reference="y", context={})
    assert contamination.leaks([row], [held], known) == []


def test_a_prompt_without_keys_is_left_to_its_text():
    row, held = example(1, prompt="please draw it now"), item(2, prompt="Please draw it NOW")
    assert KEYS.of("erd", row.prompt, {}) == ()
    assert contamination.leaks([row], [held], KEYS)[0][2] == "same prompt and context"


def test_symmetric_rows_with_symmetric_answers_become_one():
    rows = [
        Row(
            example=example(at, prompt=prompt, target=answer, context={}, group="g"),
            exact=str(at),
            source="ana",
            at=datetime(2026, 3, 1 + at, tzinfo=UTC),
            similarity=1.0,
        )
        for at, (prompt, answer) in enumerate(symmetric(4)[:3])
    ]
    kept, dropped = narrow.merge_duplicates(rows, KEYS)
    assert len(kept) == 1
    assert kept[0].example.id == "ex_2"
    assert {one.reason for one in dropped} == {"near-duplicate"}
    assert len(narrow.merge_duplicates(rows)[0]) == 3


def test_only_tasks_that_know_their_questions_are_asked():
    assert set(KEYS.tasks) == {"erd"}
    assert KEYS.lesson("ddl", "p", {}, " a \n") == questions.TEXT.lesson("erd", "p", {}, "a")
    with pytest.raises(ConfigError):
        questions.of({"erd": "no-such-kind"})


def candidate(name: str, group: str, split: str) -> Candidate:
    return Candidate(response_id=name, exact="", signature=b"", group=group, split=split)


def test_the_first_of_a_question_founds_its_group_and_the_others_join():
    assert questions.link("evt_1", []).group == "evt_1"
    found = questions.link("evt_3", [candidate("evt_2", "evt_1", "val")])
    assert (found.group, found.split, found.twin, found.similarity) == (
        "evt_1",
        "val",
        "evt_2",
        1.0,
    )


@given(st.permutations(["a", "b", "c"]))
def test_a_bridge_between_splits_is_quarantined_in_any_order(order):
    known = {
        "a": candidate("a", "a", "train"),
        "b": candidate("b", "b", "test"),
        "c": candidate("c", "a", "train"),
    }
    found = questions.link("evt_9", [known[name] for name in order])
    assert found.group == "a"
    assert "leak" in (found.quarantined or "")


@settings(max_examples=30)
@given(st.lists(st.text(max_size=5), max_size=6))
def test_bands_are_63_bit_numbers_one_a_key(keys):
    found = questions.bands(keys)
    assert len(found) == len(keys)
    assert all(0 <= one < 2**63 for one in found)
    pairs = itertools.combinations(range(len(keys)), 2)
    assert all((keys[i] == keys[j]) == (found[i] == found[j]) for i, j in pairs)
