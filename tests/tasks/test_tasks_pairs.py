import pytest
from hypothesis import given
from hypothesis import strategies as st

from honewheel.errors import InputError, ParseError
from honewheel.tasks import pairs
from honewheel.tasks.similarity import as_prompt, pair

TEXTS = st.text(min_size=1, max_size=40).filter(lambda text: text.strip())


@given(TEXTS, TEXTS)
def test_a_pair_goes_through_its_prompt(a, b):
    assert pair(as_prompt(a, b), {}) == (a, b)
    assert pairs.texts(as_prompt(a, b), {}) == (a, b)


def test_a_context_with_both_texts_wins():
    prompt = as_prompt("one", "two")
    assert pair(prompt, {"a": "left", "b": "right"}) == ("left", "right")
    assert pair("the same?", {"a": "left", "b": "right"}) == ("left", "right")
    assert pair(prompt, {"a": "left"}) == ("one", "two")


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "one",
        '["one"]',
        '["one", "two", "three"]',
        '["one", 2]',
        "{}",
        '["one", " "]',
        "[" * 9_999,
    ],
)
def test_anything_else_is_no_pair(prompt):
    with pytest.raises(ParseError):
        pair(prompt, {})
    assert pairs.texts(prompt, {}) is None


@pytest.mark.parametrize(
    ("a", "b", "score", "said"),
    [
        ("", "two", 1, "text a of the pair is empty"),
        ("one", " \n", 1, "text b of the pair is empty"),
        ("One  thing", "one thing ", 1, "teaches nothing"),
        ("one", "two", 1.5, "1.5 is outside 0 .. 1"),
        ("one", "two", -0.1, "-0.1 is outside"),
        ("one", "two", float("nan"), "nan is outside"),
    ],
)
def test_a_pair_that_teaches_nothing_is_refused(a, b, score, said):
    with pytest.raises(InputError, match=said):
        pairs.checked(a, b, score)
