import pytest
from hypothesis import given
from hypothesis import strategies as st

from honewheel import plugins
from honewheel.errors import ParseError
from honewheel.tasks.similarity import Similarity

TASK = Similarity()
POINTS = {"scale": "100"}
SHARES = st.integers(0, 1000).map(lambda number: number / 1000)


def test_the_kind_is_registered():
    assert isinstance(plugins.task("similarity"), Similarity)


@pytest.mark.parametrize("text", ["0.85", ".85", "0.850\n", "85%", " 85 % ", "8.5e-1"])
def test_spellings_of_one_number_are_equal(text):
    assert TASK.check(text, {}).score == 1
    assert TASK.facts(text, {}) == {("similarity", "0.85")}
    found = TASK.compare(text, "0.85", {})
    same = {"score": 1, "valid": 1, "exact": 1, "equivalent": 1, "absolute_error": 0}
    assert found == {**same, "answer": 0.85, "expected": 0.85}


@pytest.mark.parametrize(
    ("text", "context", "code"),
    [
        ("85", {}, "out-of-range"),
        ("-0.1", {}, "out-of-range"),
        ("101", POINTS, "out-of-range"),
        ("about 0.8", {}, "not-a-number"),
        ("0.8 0.9", {}, "not-a-number"),
        ("nan", {}, "not-a-number"),
        ("٣", {}, "not-a-number"),
        ("", {}, "not-a-number"),
        ("\0\ud800", {}, "not-a-number"),
        ("9" * 100_000, {}, "not-a-number"),
        ("0.5", {"scale": "10"}, "bad-scale"),
    ],
)
def test_anything_but_one_number_within_its_scale_is_an_error(text, context, code):
    check = TASK.check(text, context)
    assert check.score == 0
    assert check.findings[0].code == code
    with pytest.raises(ParseError):
        TASK.facts(text, context)
    with pytest.raises(ParseError):
        TASK.compare("0.5", text, context)


def test_points_are_read_only_when_the_context_says_so():
    assert TASK.facts("85", POINTS) == TASK.facts("0.85", {})
    assert TASK.facts("1", POINTS) == {("similarity", "0.01")}
    assert TASK.facts("1", {}) == {("similarity", "1")}


@given(SHARES, SHARES)
def test_the_score_is_one_less_the_absolute_error_and_symmetric(one, two):
    found = TASK.compare(str(one), str(two), {})
    assert found["absolute_error"] == pytest.approx(abs(one - two))
    assert found["score"] == pytest.approx(1 - abs(one - two))
    other = TASK.compare(str(two), str(one), {})
    assert (
        (found["answer"], found["expected"]) == (other["expected"], other["answer"]) == (one, two)
    )
    assert found["score"] == other["score"]
    assert (found["exact"] == 1) == (one == two)


@given(SHARES, SHARES, SHARES)
def test_a_nearer_number_never_scores_lower(one, two, reference):
    near, far = sorted((one, two), key=lambda number: abs(number - reference))
    scores = [TASK.compare(str(number), str(reference), {})["score"] for number in (near, far)]
    assert scores[0] >= scores[1]


def test_equivalent_means_the_same_point():
    assert TASK.compare("0.851", "0.849", {})["equivalent"] == 1
    assert TASK.compare("0.84", "0.85", {})["equivalent"] == 0


def test_an_invalid_answer_has_the_largest_error():
    found = TASK.compare("similar", "0.85", {})
    assert found["score"] == found["valid"] == 0
    assert found["absolute_error"] == 1


@given(st.text(st.characters(codec=None, categories=None), max_size=40))
def test_any_text_gets_a_check(text):
    assert TASK.check(text, {}).score in (0, 1)
