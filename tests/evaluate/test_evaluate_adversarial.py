import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.demo import tickets
from honewheel.errors import InputError
from honewheel.evaluate.adversarial import cases, edits, results
from honewheel.evaluate.adversarial.edits import EDITS
from honewheel.settings import CATEGORIES, Adversarial
from honewheel.tasks.similarity import pair

POLICY = Adversarial().policy
TEXTS = [one.text for one in tickets.tickets()]
KNOWN = edits.corpus(TEXTS, {})


def edit(name, text, known=KNOWN, seed=0):
    return EDITS[name](text, known, random.Random(seed))


def test_settings_and_edits_name_the_same_categories():
    assert cases.CATEGORIES == CATEGORIES
    assert len(EDITS) == 12


@pytest.mark.parametrize(
    ("name", "text", "edited"),
    [
        ("negation", "The printer is broken", "The printer is not broken"),
        ("negation", "I can't log in", "I can log in"),
        ("negation", "it won't start", "it will start"),
        ("negation", "I cannot log in", "I can log in"),
        ("negation", "We need a new laptop", "We do not need a new laptop"),
        ("negation", "That does not help.", "That does help."),
        ("negation", "order paper", "It is not true that: order paper"),
        ("antonym", "Please close the door", "Please open the door"),
        ("antonym", "Upload fails", "Download fails"),
        ("role_swap", "moved from finance to legal", "moved from legal to finance"),
        ("role_swap", "Restart it before the update.", "the update before Restart it."),
        ("case", "My card, please!", "MY CARD PLEASE"),
        ("contraction", "I do not know", "I don't know"),
        ("contraction", "It's slow", "It is slow"),
    ],
)
def test_an_edit_does_what_its_name_says(name, text, edited):
    assert edit(name, text) == (text, edited)


def test_an_edit_that_finds_nothing_says_so():
    assert edit("antonym", "Hello there") is None
    assert edit("role_swap", "Hello there") is None
    assert edit("contraction", "Hello there") is None
    assert edit("content_swap", "it is so") is None
    assert edit("typo", "I am on it") is None


def test_numbers_names_and_identifiers_change_where_they_stand_or_are_put_in():
    a, b = edit("number", "3 users on floor 12")
    assert (a, len(a)) == ("3 users on floor 12", len(b))
    assert a != b
    a, b = edit("number", "no number here.")
    assert a.startswith("no number here ")
    assert a.endswith(".")
    assert a != b
    a, b = edit("identifier", "install version 2.4.1 please")
    assert sum(one != other for one, other in zip(a, b, strict=True)) == 1
    known = edits.corpus(["we met Anna in Rome", "and Paul on Monday"], {})
    assert known.names == ("Anna", "Paul", "Rome")
    a, b = edit("entity", "we met Anna in May", known)
    assert a == "we met Anna in May"
    assert b in ("we met Paul in May", "we met Rome in May")


def test_a_content_swap_keeps_the_bag_of_words():
    for text in TEXTS[:80]:
        found = edit("content_swap", text)
        if found is not None:
            assert Counter(found[1].lower()) == Counter(text.lower())


def test_a_typo_keeps_the_letters():
    for text in TEXTS[:80]:
        found = edit("typo", text)
        if found is not None:
            assert Counter(found[1]) == Counter(text)


def test_users_bring_antonyms_of_their_own():
    known = edits.corpus(TEXTS, {"Hired": "fired"})
    assert edit("antonym", "She was hired", known)[1] == "She was fired"
    assert edit("antonym", "She was Fired", known)[1] == "She was Hired"


ANY = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)


@given(ANY, st.sampled_from(sorted(EDITS)), st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_any_text_can_be_edited(text, name, seed):
    found = edit(name, text, seed=seed)
    assert found is None or all(isinstance(one, str) for one in found)


def test_cases_are_the_same_whatever_the_order_of_the_texts():
    made = cases.make(TEXTS, policy=POLICY, per_category=10, seed=3)
    assert made == cases.make(reversed(TEXTS), policy=POLICY, per_category=10, seed=3)
    assert made != cases.make(TEXTS, policy=POLICY, per_category=10, seed=4)
    assert Counter(one.category for one in made) == dict.fromkeys(EDITS, 10)
    assert len({one.id for one in made}) == len(made)
    assert all(one.a != one.b for one in made)
    assert {one.expected for one in made if one.category == "number"} == {"report"}


def test_paraphrases_are_what_people_called_the_same():
    said = [("lost card", "my card is gone"), ("no wifi", "wireless is down")]
    made = cases.make([], policy={"paraphrase": "same"}, per_category=1, seed=0, paraphrases=said)
    assert len(made) == 1
    item = cases.item(made[0], "t")
    assert pair(item.prompt, {}) in said
    assert item.reference == "1"


def _answers(made, value):
    return {case.id: value(case) for case in made}


def test_the_table_counts_what_passes_with_its_interval():
    made = cases.make(TEXTS, policy=POLICY, per_category=20, seed=0)
    answers = _answers(made, lambda case: 0.9 if case.expected == "same" else 0.8)
    lines = {line.category: line for line in results.table(made, answers, 0.5)}
    assert lines["typo"].passed == 20
    assert lines["typo"].high == 1
    assert 0.8 < lines["typo"].low < 0.9
    assert lines["negation"].passed == 0
    assert lines["negation"].kept_above == 1  # every kept case is answered higher
    assert lines["number"].passed is None
    assert lines["number"].called_same == 20
    higher = {line.category: line for line in results.table(made, answers, 0.85)}
    assert higher["negation"].passed == 20
    assert higher["typo"].passed == 20


def test_flips_name_what_broke_first():
    made = cases.make(TEXTS, policy=POLICY, per_category=5, seed=0)
    before = _answers(made, lambda case: 0.9)
    after = _answers(made, lambda case: 0.1 if case.category in ("typo", "negation") else 0.9)
    found = results.flips(made, after, 0.5, before, 0.5)
    assert [one.mended for one in found] == [False] * 5 + [True] * 5
    assert {one.case.category for one in found if one.mended} == {"negation"}
    table = results.table(made, after, 0.5, before=before, threshold_before=0.5)
    lines = {line.category: (line.broken, line.mended) for line in table}
    assert lines["typo"] == (5, 0)
    assert lines["negation"] == (0, 5)
    assert lines["case"] == (0, 0)


def test_a_case_without_an_answer_is_refused():
    made = cases.make(TEXTS[:20], policy=POLICY, per_category=1, seed=0)
    with pytest.raises(InputError, match="was not answered"):
        results.table(made, {}, 0.5)
