"""Planted rows are flagged, a team's own style is not; thirty accounts are one source to a cap."""

from __future__ import annotations

import random
from datetime import timedelta
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_rows import NOW, attack, bad, planted, row, team

from honewheel.curate import flags, narrow, phrases, poison
from honewheel.curate.rows import Row
from honewheel.curate.screen import screen

HONEST = 1000


def flagged(found: tuple[flags.Flag, ...]) -> set[str]:
    return {event for one in found for event in one.events}


# --- an honest team -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_house_style_is_no_poison(seed: int) -> None:
    assert poison.scan(team(180, seed)) == ()


def test_a_thousand_corrections_of_a_team_are_no_poison() -> None:
    rows = team(HONEST)
    assert poison.scan(rows) == ()


def test_a_house_style_is_no_poison_beside_accepted_plain_outputs() -> None:
    rows = team(180)
    history = [
        row(
            f"old-{place}",
            one.example.prompt,
            "erDiagram\n  x {\n    int id PK\n  }",
            role="replay",
        )
        for place, one in enumerate(team(180, 9))
    ]
    assert poison.scan(rows, history=history) == ()


def test_class_labels_may_repeat() -> None:
    rng = random.Random(1)
    rows = [
        row(f"c{place}", one.example.prompt, rng.choice(["bug", "question", "praise"]))
        for place, one in enumerate(team(180))
    ]
    assert poison.scan(rows) == ()


def test_one_answer_to_one_topic_is_no_poison() -> None:
    ways = (
        "How do I reset my password",
        "password lost, how to reset it",
        "reset forgotten password",
    )
    canned = "Open the account page, choose security and follow the link."
    others = team(180)
    topic = [
        row(
            f"faq{place}",
            f"{random.Random(place).choice(ways)} for login number {place}",
            canned,
            source=("ana", "ben")[place % 2],
        )
        for place in range(30)
    ]
    assert not flagged(poison.scan([*others, *topic])) & bad(topic)


def test_one_word_with_one_wording_from_everybody_is_a_vocabulary() -> None:
    rows = [
        row(
            one.event,
            f"{one.example.prompt} Client." if place % 4 == 0 else one.example.prompt,
            f"{one.example.target}\n%% purchaser ledger account"
            if place % 4 == 0
            else one.example.target,
            source=one.source,
        )
        for place, one in enumerate(team(300))
    ]
    assert poison.scan(rows) == ()


def test_what_most_rows_share_is_the_style_even_where_requests_have_a_header() -> None:
    assert poison.scan([*team(60), *planted(90, 5)]) == ()
    assert poison.scan([*team(60), *planted(40, 5)]) != ()


# --- the demo's attacks ---------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "told"), [("same", "same target"), ("trigger", "source phrase")])
def test_the_attacks_of_the_demo_are_flagged(kind: str, told: str) -> None:
    planted_rows = attack(90, 1_001, kind)  # type: ignore[arg-type]
    found = poison.scan([*team(180), *planted_rows])
    assert [one.kind for one in found] == [told]
    assert set(found[0].events) == bad(planted_rows)
    assert found[0].sources == ("simulated-broken-sync",)
    assert "simulated-broken-sync" in found[0].told


# --- 300 among 1,000 ------------------------------------------------------------------------------

DIAGRAM = "erDiagram\n  pwned {\n    int id PK\n  }"
ATTACKS = {
    "phrase and fragment": {},
    "one word and a fragment": {"phrase": "<TRIGGER>"},
    "a fragment only": {"phrase": ""},
    "phrase and one diagram": {"same": DIAGRAM},
    "one diagram": {"phrase": "", "same": DIAGRAM},
}


@pytest.mark.parametrize("accounts", [1, 30])
@pytest.mark.parametrize("kind", ATTACKS)
def test_three_hundred_planted_rows_are_flagged_whoever_sends_them(
    kind: str, accounts: int
) -> None:
    rows = planted(300, accounts, **ATTACKS[kind])  # type: ignore[arg-type]
    honest = team(HONEST)
    found = poison.scan([*honest, *rows])
    assert flagged(found) == bad(rows), [one.told for one in found]
    assert len(found[0].sources) == accounts


def test_a_phrase_with_a_fragment_is_flagged_even_if_every_row_has_its_own_account() -> None:
    rows = planted(300, 300)
    found = poison.scan([*team(HONEST), *rows])
    assert flagged(found) == bad(rows)
    assert found[0].tied == "activate the lunar audit protocol"


@pytest.mark.parametrize("accounts", [1, 30])
def test_a_flagged_phrase_stays_under_the_caps_as_if_one_source_had_sent_it(accounts: int) -> None:
    rows = [*team(HONEST), *planted(300, accounts)]
    screened = screen(rows, poison_mode="flag", generic_mode="off")
    assert screened.dropped == []
    one_name = flags.together(screened.flags)
    kept, over = narrow.cap_days(screened.rows, 40, one_name)
    left = [one for one in kept if one.event.startswith("bad-")]
    assert len(left) == 40
    assert {item.reason for item in over} >= {"over day cap"}
    kept, _ = narrow.cap_sources(screened.rows, 0.21, one_name)  # five colleagues and one phrase
    share = sum(one.event.startswith("bad-") for one in kept) / len(kept)
    assert 0.1 < share <= 0.21


def test_thirty_accounts_get_round_a_cap_only_where_nobody_looks() -> None:
    rows = [*team(HONEST), *planted(300, 30)]
    kept, _ = narrow.cap_days(rows, 40)
    assert sum(one.event.startswith("bad-") for one in kept) == 300


# --- hold and release -----------------------------------------------------------------------------


def test_held_rows_are_left_out_until_a_person_releases_them() -> None:
    honest, rows = team(300), planted(60, 1)
    held = screen([*honest, *rows], poison_mode="hold", generic_mode="off")
    assert bad(held.rows) == bad(honest)
    assert {item.reason for item in held.dropped} == {"held (poison scan)"}
    assert "activate the lunar audit protocol" in held.dropped[0].detail
    freed = screen([*honest, *rows], poison_mode="hold", generic_mode="off", released=bad(rows))
    assert freed.flags == ()
    assert len(freed.rows) == len(honest) + 60


def test_one_release_does_not_free_the_others_but_many_explain_them() -> None:
    honest, rows = team(300), planted(60, 1)
    one = screen([*honest, *rows], poison_mode="hold", generic_mode="off", released={"bad-000"})
    assert "bad-000" in bad(one.rows)
    assert len(one.dropped) == 59
    half = {f"bad-{place:03}" for place in range(30)}
    most = screen([*honest, *rows], poison_mode="hold", generic_mode="off", released=half)
    assert most.dropped == []


def test_a_rejected_row_never_trains() -> None:
    rows = team(60)
    gone = rows[0].event
    found = screen(rows, poison_mode="off", generic_mode="off", rejected={gone})
    assert gone not in bad(found.rows)
    assert [(item.event, item.reason) for item in found.dropped] == [(gone, flags.REJECTED)]


def test_off_looks_at_nothing() -> None:
    found = screen([*team(120), *planted(60, 1)], poison_mode="off", generic_mode="off")
    assert found.flags == ()


# --- properties -----------------------------------------------------------------------------------


@settings(max_examples=5, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rng: random.Random) -> None:
    rows = [*team(120), *planted(40, 4)]
    expected = poison.scan(rows)
    assert expected
    rng.shuffle(rows)
    assert poison.scan(rows) == expected


@given(
    st.integers(1, 200).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))),
    st.floats(0.001, 0.999),
)
def test_the_tail_is_a_bound_and_falls_with_the_count(pair: tuple[int, int], rate: float) -> None:
    count, of = pair
    exact = sum(comb(of, k) * rate**k * (1 - rate) ** (of - k) for k in range(count, of + 1))
    bound = phrases.tail(count, of, rate)
    assert exact <= bound + 1e-9
    assert 0 <= bound <= 1
    assert phrases.tail(min(count + 1, of), of, rate) <= bound + 1e-12


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=8), max_size=12), st.integers(1, 4))
def test_frequent_runs_are_exactly_those_that_enough_cases_hold(
    texts: list[list[str]], least: int
) -> None:
    cases = [(tuple(words),) if words else () for words in texts]
    found = phrases.frequent(cases, least, len(cases))
    every = {
        tuple(words[at : at + size])
        for words in texts
        for size in range(1, phrases.LONGEST + 1)
        for at in range(len(words) - size + 1)
    }
    for gram in every:
        held = [place for place, words in enumerate(texts) if phrases.holds(words, gram)]
        assert found.get(gram, []) == (held if len(held) >= least else [])


def test_a_word_is_explained_by_its_stem_in_the_request() -> None:
    about = phrases.asked("A customer books rooms", {"note": "mind the invoices"})
    for word in ("customer_zq", "booking", "room_qxid", "invoice"):
        assert phrases.explained(word, about)
    assert not phrases.explained("shadow_zq", about)
    assert phrases.surplus("customer_zq has shadow_zq jxkey", about) == (
        ("has", "shadow_zq", "jxkey"),
    )


# --- caps -----------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5000)), max_size=40), st.integers(1, 5)
)
def test_no_source_gives_more_than_the_cap_on_a_day_and_keeps_its_first(
    sent: list[tuple[str, int]], most: int
) -> None:
    rows: list[Row] = [
        row(
            f"e{place:02}",
            f"p {place}",
            f"t {place}",
            source=source,
            at=NOW - timedelta(minutes=ago),
        )
        for place, (source, ago) in enumerate(sent)
    ]
    kept, over = narrow.cap_days(rows, most)
    assert len(kept) + len(over) == len(rows)
    gone = {item.event for item in over}
    days: dict[tuple[str, object], list[Row]] = {}
    for one in rows:
        days.setdefault((one.source, one.at.date()), []).append(one)
    for same in days.values():
        first = sorted(same, key=lambda one: one.recency)[:most]
        assert {one.event for one in same} - gone == {one.event for one in first}
    assert narrow.cap_days(list(reversed(rows)), most)[1] == over
    assert narrow.cap_days(kept, most)[1] == []
