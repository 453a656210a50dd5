import random
from dataclasses import replace

import numpy as np
import pytest
from curate_builders import requirement
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel import plugins
from honewheel.curate.hard_negatives import ANY, WRONG, failures, mine, mutated_pairs
from honewheel.demo import requirements, simulator
from honewheel.errors import InputError
from honewheel.records import Check, EvalRow, Example, Finding, Item

TASKS = {"erd": "mermaid-erd", "gherkin": "gherkin", "note": "mermaid-erd"}


# --- failures -----------------------------------------------------------------------------------


def check(task, output, context):
    if output.startswith("!"):
        return Check(score=0.0, findings=(Finding(code=output[1:], message="no"),))
    return Check(score=1.0)


def panel(outputs, prompts=None):
    """Rows and items of one task; a score of 1 for "fine", else 0.2."""
    prompts = prompts or [requirement(number) for number in range(len(outputs))]
    rows = [
        EvalRow(
            version="artifacts@1",
            suite="panel",
            task="erd",
            item=f"i{number:02d}",
            group=f"g{number}",
            metrics={"score": 1.0 if output == "fine" else 0.2, "valid": 1.0, "exact": 0.0},
            output=output,
        )
        for number, output in enumerate(outputs)
    ]
    items = [
        Item(id=row.item, task="erd", prompt=prompt, reference="x", group=row.group)
        for row, prompt in zip(rows, prompts, strict=True)
    ]
    return rows, items


def test_failures_are_ranked_by_points_lost_and_name_the_finding():
    rows, items = panel(["!fence"] * 2 + ["!syntax"] * 5 + ["odd"] * 3 + ["fine"] * 20)
    found = [one for one in failures(rows, items, check) if one.feature == ANY]
    assert [(one.finding, one.count) for one in found] == [
        ("syntax", 5),
        (WRONG, 3),
        ("fence", 2),
    ]
    assert found[0].mean_score == pytest.approx(0.2)
    assert found[0].worst == ("i02", "i03", "i04", "i05", "i06")


def test_nothing_is_told_where_nothing_fails():
    assert failures(*panel(["fine"] * 5), check) == ()
    assert failures([], [], check) == ()


def test_a_word_that_most_failures_share_is_told():
    prompts = [f"draw the coupon number {n}" for n in range(5)]
    prompts += [f"draw the ticket number {n}" for n in range(15)]
    found = failures(*panel(["odd"] * 5 + ["fine"] * 15, prompts), check)
    told = {one.feature: one for one in found}
    assert told["word: coupon"].count == 5
    assert told["word: coupon"].lift > 3
    assert "word: draw" not in told  # as frequent everywhere
    assert "word: ticket" not in told


def test_a_length_that_most_failures_share_is_told():
    prompts = ["word " * 40] * 6 + ["word " * 5] * 14
    found = failures(*panel(["odd"] * 6 + ["fine"] * 14, prompts), check)
    assert "33-64 words" in {one.feature for one in found}


def test_failures_do_not_depend_on_the_order_of_rows():
    rows, items = panel(["!a", "odd", "fine", "!b", "!a", "fine", "odd"] * 4)
    mixed = random.Random(1)
    assert failures(rows, items, check) == failures(
        mixed.sample(rows, len(rows)), mixed.sample(items, len(items)), check
    )


def test_failures_refuse_two_versions_and_unknown_items():
    rows, items = panel(["odd", "odd"])
    with pytest.raises(InputError, match="one version"):
        failures([rows[0], replace(rows[1], version="artifacts@2")], items, check)
    with pytest.raises(InputError, match="no item i01"):
        failures(rows, items[:1], check)


# --- certified mutations ------------------------------------------------------------------------


def examples(kind="erd", count=12, **fields):
    return [
        Example(
            id=one.id,
            task=kind,
            prompt=one.prompt,
            target=simulator.wanted(one),
            group=f"g-{one.id}",
            split="train",
            events=(f"evt_{one.id}",),
            weight=0.5,
            **fields,
        )
        for one in requirements.requirements(kind, count, 3)
    ]


@pytest.mark.parametrize("kind", ["erd", "gherkin"])
def test_rejected_sides_are_wrong_and_valid_and_their_rows_are_known(kind):
    rows = examples(kind)
    task = plugins.task(TASKS[kind])
    pairs = mutated_pairs(rows, share=0.35, seed=0, tasks=TASKS)
    assert len(pairs) == 6  # 6 of 12 + 6 would be a half, 6 of 18 a third
    by_target = {row.target: row for row in rows}
    for pair in pairs:
        row = by_target[pair.chosen]
        assert (pair.prompt, pair.group, pair.split) == (row.prompt, row.group, "train")
        assert (pair.events, pair.weight, pair.origin) == (row.events, 0.5, "mutation")
        found = task.compare(pair.rejected, pair.chosen, {})
        assert found["valid"] == 1
        assert found["score"] < 1
        assert found["equivalent"] == 0


def test_at_most_one_pair_a_row_with_an_id_of_its_own():
    pairs = mutated_pairs(examples(), share=0.9, seed=0, tasks=TASKS)
    assert len(pairs) == 12
    assert len({pair.group for pair in pairs}) == len({pair.id for pair in pairs}) == 12


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 8), st.floats(0, 0.9))
def test_the_share_is_never_exceeded(count, share):
    rows = ROWS[:count]
    pairs = mutated_pairs(rows, share=share, seed=1, tasks=TASKS)
    assert len(pairs) <= share * (len(rows) + len(pairs)) + 1e-6
    assert len(pairs) + 1 > share * (len(rows) + len(pairs) + 1) or len(pairs) == len(rows)


def test_pairs_depend_on_the_seed_and_not_on_the_order():
    rows = examples()
    first = mutated_pairs(rows, share=0.3, seed=0, tasks=TASKS)
    assert mutated_pairs(rows[::-1], share=0.3, seed=0, tasks=TASKS) == first
    assert mutated_pairs(rows, share=0.3, seed=1, tasks=TASKS) != first


def test_copies_and_unreadable_targets_bring_no_pair():
    copies = examples(variant="renamed")
    broken = [replace(row, target="erDiagram {") for row in examples()]
    assert not mutated_pairs([*copies, *broken], share=0.35, seed=0, tasks=TASKS)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(InputError, match="outside"):
        mutated_pairs(examples(), share=share, seed=0, tasks=TASKS)


def test_held_out_rows_and_unknown_tasks_are_refused():
    rows = examples()
    with pytest.raises(InputError, match="training rows only"):
        mutated_pairs([replace(rows[0], split="val")], share=0.3, seed=0, tasks=TASKS)
    with pytest.raises(InputError, match="Did you mean erd"):
        mutated_pairs([replace(rows[0], task="erdd")], share=0.3, seed=0, tasks=TASKS)


ROWS = examples(count=8)


# --- mining -------------------------------------------------------------------------------------


def embedded(texts, noise, seed=0, dimensions=48):
    """Unit vectors of `texts` topics, each with a positive and an unlabelled paraphrase."""
    rng = np.random.default_rng(seed)
    topics = rng.normal(size=(texts, dimensions))

    def near():
        found = topics + noise * rng.normal(size=topics.shape)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    return near(), near(), near()


def test_planted_paraphrases_are_never_mined():
    queries, positives, paraphrases = embedded(40, noise=0.05)
    texts = np.concatenate([positives, paraphrases])
    anchors = np.concatenate([queries, queries])
    groups = [f"g{number}" for number in range(80)]  # nobody knows that 40 + n says what n does
    positive = np.tile((queries * positives).sum(1), 2)
    mined = mine(anchors @ texts.T, positive, groups, range_min=0)
    assert all(len(found) == 4 for found in mined)
    for query, found in enumerate(mined):
        assert (query + 40) % 80 not in found
        assert query not in found


def test_without_the_margin_the_paraphrases_would_be_mined():
    queries, positives, paraphrases = embedded(40, noise=0.05)
    similarities = np.concatenate([queries, queries]) @ np.concatenate([positives, paraphrases]).T
    mined = mine(similarities, np.full(80, 2.0), range(80), range_min=0)
    assert any((query + 40) % 80 in found for query, found in enumerate(mined))


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(1, 12),
    st.floats(0, 0.5),
    st.integers(0, 6),
    st.integers(0, 5),
)
def test_mined_texts_are_fit(seed, count, margin, skipped, most):
    rng = np.random.default_rng(seed)
    table, positive = rng.uniform(-1, 1, (count, count)), rng.uniform(-1, 1, count)
    groups = rng.integers(0, 4, count).tolist()
    mined = mine(table, positive, groups, margin, skipped, most)
    for query, found in enumerate(mined):
        scores = [table[query, text] for text in found]
        assert len(found) <= most
        assert scores == sorted(scores, reverse=True)
        assert len(set(found)) == len(found)
        for text, score in zip(found, scores, strict=True):
            assert groups[text] != groups[query]
            assert score <= positive[query]
            nearer = sum(
                table[query, other] >= score
                for other in range(count)
                if groups[other] != groups[query]
            )
            assert nearer > skipped


def test_the_nearest_are_passed_over():
    table = np.tile(np.linspace(0.5, 0.1, 10), (10, 1))
    mined = mine(table, np.ones(10), range(10), range_min=5, per_query=2)
    assert mined[0] == (6, 7)
    assert mined[9] == (5, 6)


@pytest.mark.parametrize(
    ("table", "positive", "settings_"),
    [
        (np.ones((2, 3)), np.ones(2), {}),
        (np.ones((2, 2)), np.ones(3), {}),
        (np.full((2, 2), np.nan), np.ones(2), {}),
        (np.ones((2, 2)), np.ones(2), {"relative_margin": 1.0}),
        (np.ones((2, 2)), np.ones(2), {"range_min": -1}),
        (np.ones((2, 2)), np.ones(2), {"per_query": -1}),
    ],
)
def test_what_cannot_be_mined_is_refused(table, positive, settings_):
    with pytest.raises(InputError):
        mine(table, positive, ["a", "b"], **settings_)
