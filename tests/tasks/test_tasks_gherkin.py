import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honewheel.errors import ParseError
from honewheel.tasks.gherkin import Gherkin

TASK = Gherkin()
HEAD = """@shop
Feature: Orders
  Background:
    Given the user is logged in as "ann"
"""
SCENARIOS = [
    """
  @smoke
  Scenario: place an order
    Given a cart with 3 items
    When "ann" places the order
    Then she sees "Thanks"
    And the cart is empty
""",
    """
  Scenario Outline: limits
    Given a cart with <n> items
    When they order
    Then it is <result>

    Examples:
      | n  | result  |
      | 1  | ok      |
      | 99 | refused |
""",
    """
  Scenario: table
    Given these users
      | name | role |
      | bob  | boss |
    When they log in
    Then they see
      \"\"\"
      Welcome
      \"\"\"
""",
]
TEXT = HEAD + "".join(SCENARIOS)
MUTATIONS = {
    "step dropped": ("    And the cart is empty\n", ""),
    "step changed": ("places the order", "cancels the order"),
    "steps swapped": (
        '    Then she sees "Thanks"\n    And the cart is empty\n',
        '    And the cart is empty\n    Then she sees "Thanks"\n',
    ),
    "keyword changed": ("When they order", "Then they order"),
    "number changed": ("3 items", "4 items"),
    "string changed": ('"Thanks"', '"ann"'),
    "tag dropped": ("  @smoke\n", ""),
    "background dropped": ('  Background:\n    Given the user is logged in as "ann"\n', ""),
    "example dropped": ("      | 99 | refused |\n", ""),
    "example changed": ("| ok      |", "| no      |"),
    "cell changed": ("| bob  |", "| eve  |"),
    "doc string changed": ("Welcome", "Goodbye"),
    "scenario dropped": (SCENARIOS[0], ""),
    "feature renamed": ("Feature: Orders", "Feature: Carts"),
    "scenario renamed": ("place an order", "order placed"),
    "conjunction changed": ("And the cart", "Then the cart"),
}
SHAPE_KEPT = {"feature renamed", "scenario renamed", "conjunction changed"}


def findings(text):
    return [(finding.code, finding.line) for finding in TASK.check(text, {}).findings]


def test_a_good_feature_has_no_findings():
    assert TASK.check(TEXT, {}).score == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ("no-feature", None)),
        ("Feature: x", ("no-scenario", None)),
        ("Feature: x\n\n  Scenario: a\n    he logs in\n    then it works", ("empty-scenario", 3)),
        ("Feature: x\n  Scenario: a\n   Given b\n   Then c\n  Scenario: d", ("empty-scenario", 5)),
        ("Feature: x\n  Background:\n    Given b\n  Scenario: a", ("empty-scenario", 4)),
        ("Feature: x\n  Rule: r\n    Example: a", ("empty-scenario", 3)),
        ("Feature: x\n  Scenario Outline: a\n    Then <b>", ("no-examples", 2)),
        ("Feature: x\n  Scenario: a\n    Then b\n    Examples:\n      | b |", ("no-examples", 2)),
        ("# language: de\nFunktion: x\n Szenariogrundriss: a\n  Dann <b>", ("no-examples", 3)),
        ("Feature: x\n  Scenario: a\n    Given b\n    and then nothing", ("syntax", 4)),
        ("Scenario: a\n  Given b", ("syntax", 1)),
        ("# language: klingon\nFeature: x", ("syntax", 1)),
        ("Feature: x\n  Scenario: a\n    Given b\n      | c | d |\n      | e |", ("syntax", 5)),
        ("```gherkin\nFeature: x\n```", ("code-fence", 1)),
    ],
)  # fmt: skip
def test_what_tests_nothing_or_cannot_be_read_is_an_error_with_its_line(text, found):
    assert TASK.check(text, {}).score == 0
    assert findings(text)[0] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Scenario: a\n Then b\nScenario: a\n Then c", ("repeated-name", 2)),
        ("Scenario: a\n Given b\n When c", ("no-outcome", 2)),
        ("Scenario Outline: a\n Then <b>\n Examples:\n | c |\n | 1 |", ("unknown-parameter", 2)),
    ],
)
def test_slips_are_warnings(text, found):
    check = TASK.check(f"Feature: x\n{text}", {})
    assert check.valid
    assert check.score == 0.9
    assert findings(f"Feature: x\n{text}") == [found]


def test_facts_are_what_is_tested_as_written():
    text = "@t\nFeature: f\n Background:\n  Given a\n Scenario: s\n  * b\n  Then c"
    found = {fact for fact in TASK.facts(text, {}) if fact[0] != "sequence"}
    assert found == {
        ("feature", "f"),
        ("tag", "", "@t"),
        ("step", "background", "", "", "Given", "a", "", "0"),
        ("scenario", "", "s"),
        ("step", "scenario", "", "s", "*", "b", "", "0"),
        ("step", "scenario", "", "s", "Then", "c", "", "0"),
    }


@given(st.permutations(SCENARIOS), st.sampled_from(["", "\n# note\n"]))
def test_order_of_scenarios_comments_and_layout_change_neither_facts_nor_key(parts, between):
    text = (HEAD + between.join(parts)).replace("    ", "\t")
    assert TASK.facts(text, {}) == TASK.facts(TEXT, {})
    assert TASK.equivalence_key(text, {}) == TASK.equivalence_key(TEXT, {})


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_single_change_of_a_feature_lowers_the_score(name):
    old, new = MUTATIONS[name]
    assert old in TEXT
    found = TASK.compare(TEXT.replace(old, new), TEXT, {})
    assert found["valid"] == 1
    assert found["score"] < 1
    assert found["equivalent"] == (name in SHAPE_KEPT)


def test_quoted_strings_and_parameters_may_be_renamed_but_consistently():
    renamed = re.sub(r"\bann\b", "zoe", TEXT).replace("<n>", "<k>").replace("| n  |", "| k  |")
    assert TASK.compare(renamed, TEXT, {})["equivalent"] == 1
    only_once = TEXT.replace('in as "ann"', 'in as "zoe"')
    assert TASK.compare(only_once, TEXT, {})["equivalent"] == 0


def test_rules_have_their_own_backgrounds():
    rule = "Feature: f\n Rule: r\n  Background:\n   Given {}\n  Scenario: s\n   Then b\n"
    other = rule.format("x") + " Rule: q\n  Scenario: s\n   Then b\n"
    assert TASK.check(other, {}).score == 1
    assert TASK.equivalence_key(rule.format("x"), {}) != TASK.equivalence_key(rule.format("y"), {})


def test_a_text_that_names_a_file_is_not_opened():
    assert findings("README.md")[0] == ("syntax", 1)


@pytest.mark.parametrize("text", ["", "Scenario: a", "```\nFeature: x\n```"])
def test_what_cannot_be_read_has_no_facts_and_no_key(text):
    with pytest.raises(ParseError):
        TASK.facts(text, {})
    with pytest.raises(ParseError):
        TASK.equivalence_key(text, {})
