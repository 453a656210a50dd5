"""Targets that say nothing of their request."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_rows import NOW, bad, row, team

from honewheel.curate import generic
from honewheel.curate.generic import Said
from honewheel.curate.screen import screen

BOILERPLATE = "erDiagram\n  entity_a {\n    int id PK\n  }\n  entity_b {\n    int id PK\n  }"


def emptied(n: int, target: str = BOILERPLATE) -> list:
    return [
        row(f"empty-{place:02}", one.example.prompt, f"{target}\n%% {place}", source=f"s{place}")
        for place, one in enumerate(team(n, 11))
    ]


def said(rows: list) -> list[Said]:
    return [
        Said(
            task=one.example.task,
            prompt=one.example.prompt,
            target=one.example.target,
            group=one.example.group,
        )
        for one in rows
    ]


def test_specific_targets_are_not_generic() -> None:
    rows = list(team(180))
    assert generic.scan(rows) == ()
    assert generic.share(said(rows)) == {"erd": 0.0}


def test_targets_that_say_nothing_of_their_request_are_flagged_and_counted() -> None:
    rows = [*team(150), *emptied(12)]
    found = generic.scan(rows)
    assert {one.kind for one in found} == {"says nothing"}
    assert set(found[0].events) == bad(emptied(12))
    assert generic.share(said(rows))["erd"] == pytest.approx(12 / 162)


def test_the_same_words_for_many_requests_are_one_for_all() -> None:
    model = next(one for one in team(150) if len(one.example.target) > 300).example.target
    copies = [
        row(f"copy-{place}", one.example.prompt, model, source="ana")
        for place, one in enumerate(team(20, 11))
    ]
    kinds = dict(zip(bad(copies), [""] * 20, strict=True))
    for flag in generic.scan([*team(150), *copies]):
        kinds |= dict.fromkeys(flag.events, flag.kind)
    assert set(kinds.values()) <= {"one for all", "says nothing", ""}
    assert sum(map(bool, kinds.values())) >= 18  # a request may happen to share its words


@pytest.mark.parametrize(
    "target",
    [
        "erDiagram\n  x {\n  int id\n  }\n%% TODO",
        "Lorem ipsum dolor sit amet",
        "SELECT <insert columns here> FROM t",
        "As an AI language model I cannot draw",
        "I'm sorry, but I can't help with that",
    ],
)
def test_a_placeholder_is_generic_in_a_task_of_any_size(target: str) -> None:
    rows = [*list(team(30))[:5], row("bad", "draw bookings", target)]
    assert [(one.kind, one.events) for one in generic.scan(rows)] == [("placeholder", ("bad",))]


def test_a_placeholder_that_was_asked_for_is_none() -> None:
    asked = row("todo", "a table of todo items", "CREATE TABLE todo (id INTEGER)")
    assert generic.scan([asked]) == ()


def test_a_task_that_never_echoes_its_requests_has_no_generic_targets() -> None:
    rng = random.Random(4)
    labels = [
        row(one.event, one.example.prompt, rng.choice(["bug", "praise"]), task="label")
        for one in team(150)
    ]
    assert generic.scan(labels) == ()


def test_held_means_left_out() -> None:
    rows = [*team(150), *emptied(12)]
    found = screen(rows, poison_mode="off", generic_mode="hold")
    assert bad(found.rows) == bad(team(150))
    assert {item.reason for item in found.dropped} == {"held (generic scan)"}
    assert screen(rows, poison_mode="off", generic_mode="flag").dropped == []


@settings(max_examples=5, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rng: random.Random) -> None:
    rows = [*team(60), *emptied(8)]
    expected = generic.scan(rows)
    rng.shuffle(rows)
    assert {one.events for one in generic.scan(rows)} == {one.events for one in expected}
    assert NOW  # rows carry a time that the scan does not read


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), max_size=30))
def test_any_text_gets_a_share_between_0_and_1(pairs: list[tuple[str, str]]) -> None:
    cases = [
        Said(task="t", prompt=prompt, target=target, group=str(place))
        for place, (prompt, target) in enumerate(pairs)
    ]
    assert all(0 <= share <= 1 for share in generic.share(cases).values())
