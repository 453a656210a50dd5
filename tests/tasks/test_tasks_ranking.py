import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from honewheel.tasks import ranking
from honewheel.tasks.similarity import Similarity

TIED = st.integers(0, 6).map(lambda value: value / 6)
CLASSES = st.lists(st.tuples(TIED, st.sampled_from((0.0, 1.0))), min_size=4, max_size=40).filter(
    lambda rows: len({expected for _, expected in rows}) == 2
)
GRADED = st.lists(st.tuples(TIED, TIED), min_size=4, max_size=40)


def _columns(rows):
    answers, expected = np.array(rows, dtype=float).T
    return answers, expected, np.ones((1, len(rows)))


def _counted(rows, counts):
    """The rows with each one as often as its count says."""
    return [row for row, count in zip(rows, counts, strict=True) for _ in range(count)]


@given(CLASSES)
def test_auc_is_the_share_of_pairs_in_order(rows):
    answers, expected, ones = _columns(rows)
    good, bad = answers[expected == 1], answers[expected == 0]
    wanted = np.mean((good[:, None] > bad) + (good[:, None] == bad) / 2)
    assert ranking.auc(answers, expected, ones)[0] == pytest.approx(wanted)


@given(GRADED)
def test_spearman_is_the_correlation_of_middle_ranks(rows):
    answers, expected, ones = _columns(rows)
    found = ranking.spearman(answers, expected, ones)[0]
    if len(set(answers)) == 1 or len(set(expected)) == 1:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(stats.spearmanr(answers, expected).statistic, abs=1e-9)


@given(CLASSES)
def test_average_precision_of_ties_is_that_of_the_whole_tie(rows):
    answers, expected, ones = _columns(rows)
    total = 0.0
    for value in set(answers):
        taken = answers >= value
        total += (expected[answers == value].sum()) * expected[taken].mean()
    found = ranking.average_precision(answers, expected, ones)[0]
    assert found == pytest.approx(total / expected.sum())


@given(CLASSES, st.data())
@pytest.mark.parametrize("metric", ["auc", "spearman", "average_precision"])
def test_a_weight_counts_an_item_as_often_as_it_says(metric, rows, data):
    counts = data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    of = getattr(ranking, metric)
    answers, expected, _ = _columns(rows)
    found = of(answers, expected, np.array([counts], dtype=float))[0] if any(counts) else None
    if found is not None:
        repeated = of(*_columns(_counted(rows, counts)))[0]
        assert found == pytest.approx(repeated, nan_ok=True, abs=1e-9)


@given(CLASSES)
def test_with_two_classes_and_no_ties_spearman_is_auc_in_other_clothes(rows):
    answers, expected, ones = _columns(rows)
    answers = answers + np.arange(len(rows)) * 1e-6  # no ties
    rho = ranking.spearman(answers, expected, ones)[0]
    auc = ranking.auc(answers, expected, ones)[0]
    # n^2 - 1 stands for n^2 in a finite sample.
    exact = rho * np.sqrt(1 - 1 / len(rows) ** 2)
    assert ranking.equivalent_auc(exact, expected.mean()) == pytest.approx(auc, abs=1e-9)


def test_the_figures_of_the_story_translate():
    assert ranking.ceiling(0.5) == pytest.approx(0.866, abs=5e-4)
    assert ranking.equivalent_auc(0.504, 0.5) == pytest.approx(0.791, abs=5e-4)
    assert ranking.equivalent_auc(0.80, 0.5) == pytest.approx(0.962, abs=5e-4)


@given(CLASSES)
def test_no_threshold_has_a_better_f1_than_the_chosen_one(rows):
    answers, expected, _ = _columns(rows)
    chosen = ranking.threshold(answers, expected)
    best = max(ranking.f1(answers, expected, value) for value in [*answers, 2.0])
    assert ranking.f1(answers, expected, chosen) == pytest.approx(best)


def test_a_threshold_needs_both_classes():
    with pytest.raises(ValueError, match="same and pairs that are not"):
        ranking.threshold(np.array([0.2, 0.4]), np.array([1.0, 1.0]))


def test_retrieval_metrics_on_ranked_candidates():
    ranked = [(1, 0, 1), (0, 1, 0), (0, 0, 0)]  # the last query has nothing to find
    assert ranking.recall_at(ranked, 1) == pytest.approx((0.5 + 0) / 2)
    assert ranking.recall_at(ranked, 3) == 1
    assert ranking.mrr(ranked) == pytest.approx((1 + 1 / 2) / 2)
    first = (1 + 1 / 2) / (1 + 1 / np.log2(3))
    assert ranking.ndcg(ranked, 3) == pytest.approx((first + 1 / np.log2(3)) / 2)


def test_a_set_says_its_ceiling_its_gap_and_a_collapse():
    task = Similarity()
    columns = {"answer": np.array([0.99, 0.98, 0.97, 0.99]), "expected": np.array([1.0, 0, 1, 0])}
    notes = task.set_notes(columns, {"production": {"spearman": 0.8}, "dream": {"spearman": 0.9}})
    assert "cannot exceed 86.6" in notes[0]
    assert notes[1] == "tier production asks for Spearman 80.0, which is an AUC of 96.2"
    assert "which no model can reach here" in notes[2]
    assert notes[3].startswith("collapsed: pairs that are different are answered 0.985")
    assert task.set_metric(columns) == "auc"
    assert task.set_metric({"expected": np.array([0.2, 1.0])}) == "spearman"
    one_class = {"answer": np.array([0.1, 0.2]), "expected": np.array([1.0, 1.0])}
    assert task.set_gap("auc", one_class) == (
        "all 2 pairs are the same; it takes pairs of both kinds"
    )
    assert "expected to be 1" in str(task.set_gap("spearman", one_class))
