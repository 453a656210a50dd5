import math
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel import plugins
from honewheel.errors import ConfigError, InputError, ParseError
from honewheel.tasks.prose import Prose, token_f1
from honewheel.tasks.prose_findings import repeated_share, words

TASK = Prose()
TEXT = "The harbour opens at six. Boats wait outside until the tide turns, then enter in order."
WORDS = st.lists(st.sampled_from("the cat sat on a mat and saw nothing new".split()), min_size=1)
COLUMNS = {"score", "valid", "facts", "exact", "equivalent", "chrf", "bleu", "edit", "token_f1"}


def codes(text):
    return [finding.code for finding in TASK.check(text, {}).findings]


def test_the_registered_kind_has_no_embedder_and_no_cosine():
    task = plugins.task("prose")
    assert isinstance(task, Prose)
    assert task.compare(TEXT, TEXT, {}).keys() == COLUMNS


@given(WORDS)
@settings(max_examples=40, deadline=None)
def test_a_text_is_wholly_like_itself_in_every_column(found):
    text = " ".join(found)
    metrics = TASK.compare(text, text, {})
    likeness = {name: metrics[name] for name in COLUMNS - {"score", "valid"}}
    assert all(value == pytest.approx(1) for value in likeness.values())


@given(WORDS, WORDS)
@settings(max_examples=40, deadline=None)
def test_every_column_is_within_zero_and_one_and_f1_and_edit_are_symmetric(one, two):
    there, back = (TASK.compare(" ".join(a), " ".join(b), {}) for a, b in ((one, two), (two, one)))
    assert all(0 <= value <= 1 for value in there.values())
    for name in ("facts", "token_f1", "edit", "exact", "equivalent"):
        assert there[name] == pytest.approx(back[name])


def test_the_columns_are_the_known_measures_and_the_score_is_chrf():
    from sacrebleu import sentence_chrf

    output = "The harbour opens at seven. Boats wait outside."
    found = TASK.compare(output, TEXT, {})
    assert found["score"] == found["chrf"] == sentence_chrf(output, [TEXT]).score / 100
    assert found["token_f1"] == token_f1(words(output), words(TEXT)) == 14 / 24
    assert 0 < found["bleu"] < found["token_f1"]


@pytest.mark.parametrize(
    "text",
    [
        TEXT.upper(),
        TEXT.replace(" ", "\n"),
        f"  {TEXT}\n\n",
        TEXT.replace("six. ", "six.\t\t"),
    ],
)
def test_case_and_layout_do_not_count_for_equivalence(text):
    found = TASK.compare(text, TEXT, {})
    assert found["equivalent"] == found["facts"] == 1


def test_styles_of_quotes_do_not_count_and_marks_do():
    key = TASK.equivalence_key
    assert key("“Stay”, it’s late – go.", {}) == key('"Stay", it\'s late - go.', {})
    assert key("Really?", {}) != key("Really.", {})


@given(st.integers(0, 15), st.sampled_from(["drop", "replace", "swap"]))
@settings(deadline=None)
def test_each_change_of_a_word_or_of_the_order_lowers_the_facts(place, how):
    found = TEXT.split()
    place %= len(found) - 1
    if how == "swap":
        found[place], found[place + 1] = found[place + 1], found[place]
    else:
        found[place : place + 1] = [] if how == "drop" else ["never"]
    assert TASK.compare(" ".join(found), TEXT, {})["facts"] < 1


def test_an_embedder_adds_cosine_and_its_name_to_the_version():
    letters = "aeiou"
    task = Prose(lambda texts: [[text.count(one) for one in letters] for text in texts], "vowels")
    assert task.version == "prose/1+vowels"
    assert task.compare("aa e", "a ae", {})["cosine"] == pytest.approx(1)
    assert task.compare("aa", "ee", {})["cosine"] == 0
    assert task.compare("", "ee", {})["cosine"] == 0
    assert task.compare("hm", "ee", {})["cosine"] == 0  # a vector of zeros points nowhere


def test_an_embedder_without_a_name_or_with_bad_vectors_is_refused():
    with pytest.raises(ConfigError, match="name"):
        Prose(lambda texts: [])
    for vectors in ([[1.0]], [[1.0], [1.0, 2.0]], [[math.nan], [1.0]]):
        with pytest.raises(InputError, match="embedder"):
            Prose(lambda texts, found=vectors: found, "bad").compare("a", "b", {})


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        (" \n...", "empty"),
        ("a\0b", "not-text"),
        ("a\ud800", "not-unicode"),
        ("a" * 50_001, "too-large"),
        ("go on and on " * 20, "repetition"),
    ],
)
def test_no_text_and_text_in_circles_are_errors(text, code):
    check = TASK.check(text, {})
    assert check.score == 0
    assert check.findings[0].code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("It rained all night. In the morning the team went to the", "truncated"),
        ("It rained all night. In the morning the whole team walked slowly down", "truncated"),
        ("Use this:\n```py\nprint(1)", "truncated"),
        ("I see it. I see it. I see it.", "repetition"),
        ("Dear [insert name here], hello.", "placeholder"),
        ("Lorem ipsum dolor.", "placeholder"),
        ("As an AI language model, I have no opinion.", "assistant"),
        ("In conclusion, there are many factors.", "generic"),
    ],
)
def test_signs_of_poor_prose_are_warnings(text, code):
    check = TASK.check(text, {})
    assert check.score == 0.9
    assert [finding.code for finding in check.findings] == [code]


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "A red boat",
        "# Title\n\nText.\n\n- one\n- two",
        "Run:\n```\nls\n```",
        "He asked: “Why?”",
        "东京是日本的首都。",
        "Yes, yes, yes.",
        "Ship the parts in conclusion of the contract of May. " + TEXT * 2 + " New words follow.",
    ],
)
def test_ordinary_texts_pass(text):
    assert "truncated" not in codes(text)
    assert "generic" not in codes(text)
    assert TASK.check(text, {}).valid


def test_repeated_share_is_that_of_word_sequences_seen_before():
    assert repeated_share("a b c d".split()) == 0
    assert repeated_share("a b c d a b c d".split()) == pytest.approx(1 / 5)
    assert repeated_share([]) == 0


LONG = {
    "words": "a " * 25_000,
    "stops": "." * 50_000,
    "stops and letters": "x." * 25_000,
    "braces": "{{ " * 16_000,
    "notes": "TODO " * 10_000,
    "sentences": "ab c. " * 8_000,
    "marks": "'a" * 25_000,
    "spaces": "a" + " " * 49_998 + "b",
    "thai": "\u0e01" * 50_000,
    "tags": "<a" * 25_000,
}


@pytest.mark.parametrize("name", LONG)
def test_long_texts_take_no_quadratic_time(name):
    start = time.thread_time()
    TASK.check(LONG[name], {})
    try:
        TASK.compare(LONG[name], LONG[name][::-1], {})
    except ParseError:
        assert not TASK.check(LONG[name], {}).valid
    assert time.thread_time() - start < 5


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec=None, categories=None), max_size=200))
def test_any_text_gets_a_check_and_facts_or_a_parse_error(text):
    check = TASK.check(text, {})
    assert check.valid == (check.score > 0)
    assert all(0 <= value <= 1 for value in TASK.compare(text, TEXT, {}).values())
    try:
        TASK.facts(text, {})
    except ParseError:
        assert not check.valid


def test_the_measures_are_imported_only_when_used():
    code = (
        "import sys, honewheel.tasks.prose, honewheel.tasks.json_schema;"
        "print({'sacrebleu', 'rapidfuzz', 'jsonschema', 'regex'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
