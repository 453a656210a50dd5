from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from curate_builders import (
    BROKEN,
    NOW,
    accepted,
    check_target,
    corrected,
    event,
    item,
    requirement,
    said,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate.build import Settings, build
from honewheel.curate.rows import example_id
from honewheel.errors import ConfigError, InputError, Leak, NotEnoughData
from honewheel.records import Dataset, Event, Item, as_dict, digest

PLAIN = Settings(min_examples=1)
KINDS = {"erd": "mermaid-erd", "ddl": "sql", "query": "sql", "gherkin": "gherkin"}


def built(
    events: list[Event],
    options: Settings = PLAIN,
    *,
    held_out: list[Item] | None = None,
    used: frozenset[str] = frozenset(),
    as_of=NOW,
) -> Dataset:
    return build(
        events,
        as_of=as_of,
        settings=options,
        held_out=held_out or [],
        used=used,
        checks=check_target,
        kinds=KINDS,
    ).dataset


def reasons(dataset: Dataset) -> dict[str, str]:
    return {item.event: item.reason for item in dataset.dropped}


def train_events(dataset: Dataset) -> set[str]:
    return {name for row in dataset.train for name in row.events}


def log(seed: int, size: int = 60) -> list[Event]:
    """A log with some of everything: copies, conflicts, thumbs, all splits, old and new."""
    rng = random.Random(seed)
    events = []
    for number in range(size):
        twin = rng.randrange(number) if number and rng.random() < 0.3 else None
        group = rng.randrange(size) if twin is None else twin % 7
        options = {
            "task": rng.choice(("erd", "ddl")),
            "split": ("train",) * 8 + ("val", "test"),
            "group": f"g-{group}",
            "prompt": requirement(group if rng.random() < 0.5 else number),
            "age_days": rng.uniform(-1, 400),
        }
        options["split"] = options["split"][group % 10]
        kind = rng.random()
        if number == 0 or kind < 0.5:
            target = "BROKEN" if number and rng.random() < 0.1 else f"target {rng.randrange(20)}"
            events.append(corrected(number, correction=target, source=rng.choice("abc"), **options))
        elif kind < 0.8:
            events.append(accepted(number, output=f"target {rng.randrange(20)}", **options))
        else:
            feedback = rng.choice([(), (said("thumb", 0.0),), (said("rating", 0.4),)])
            quarantined = "bridges" if rng.random() < 0.2 else None
            placed = rng.random() > 0.1
            events.append(
                event(number, feedback=feedback, quarantined=quarantined, placed=placed, **options)
            )
    first = events[0]
    place = replace(first.placement, split="train", group="g-first")
    events[0] = replace(first, placement=place)
    return events


ANY_SETTINGS = st.builds(
    Settings,
    min_examples=st.just(1),
    replay_share=st.sampled_from([0.0, 0.3, 0.6]),
    source_cap=st.sampled_from([None, 0.2, 0.5]),
    max_examples=st.sampled_from([None, 5]),
    half_life_days=st.sampled_from([14.0, 180.0, math.inf]),
    seed=st.integers(0, 3),
)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), ANY_SETTINGS, st.booleans())
def test_every_event_ends_in_exactly_one_place(seed: int, options: Settings, held: bool) -> None:
    events = log(seed)
    suite = [item(1, prompt=events[20].response.prompt, task="erd")] if held else []
    dataset = built(events, options, held_out=suite)
    placed = [name for row in (*dataset.train, *dataset.val) for name in row.events]
    placed += [item.event for item in dataset.dropped]
    assert sorted(placed) == sorted(one.id for one in events)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), ANY_SETTINGS, st.randoms(use_true_random=False))
def test_the_order_of_the_events_does_not_matter(
    seed: int, options: Settings, rng: random.Random
) -> None:
    events = log(seed)
    shuffled = rng.sample(events, len(events))
    assert built(shuffled, options) == built(events, options)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), ANY_SETTINGS)
def test_weights_are_positive_with_mean_one_and_the_hash_is_that_of_the_rows(
    seed: int, options: Settings
) -> None:
    dataset = built(log(seed), options)
    weights = [row.weight for row in dataset.train]
    assert min(weights) > 0
    assert sum(weights) / len(weights) == pytest.approx(1, abs=1e-5)
    assert all(row.weight == 1 for row in dataset.val)
    assert dataset.hash == digest([as_dict(row) for row in (*dataset.train, *dataset.val)])


def test_corrections_are_new_accepted_outputs_are_replayed() -> None:
    dataset = built([corrected(at) for at in range(7)] + [accepted(at) for at in range(10, 20)])
    roles = Counter(row.role for row in dataset.train)
    assert roles == {"new": 7, "replay": 3}
    assert {row.target for row in dataset.train if row.role == "new"} == {
        f"target {at}" for at in range(7)
    }
    assert Counter(reasons(dataset).values()) == {"not replayed": 7}
    assert dataset.tasks == ("erd",)


def test_replay_share_zero_switches_replay_off() -> None:
    events = [corrected(at) for at in range(7)] + [accepted(at) for at in range(10, 20)]
    dataset = built(events, replace(PLAIN, replay_share=0.0))
    assert {row.role for row in dataset.train} == {"new"}


def test_replay_is_spread_over_the_tasks_of_the_pool() -> None:
    events = [corrected(at) for at in range(14)]
    events += [accepted(at, task="ddl") for at in range(20, 24)]
    events += [accepted(at, task="query") for at in range(30, 80)]
    shares = Counter(row.task for row in built(events).train if row.role == "replay")
    assert shares == {"ddl": 3, "query": 3}


def test_an_example_that_was_learnt_before_is_replayed_and_nothing_new() -> None:
    events = [corrected(at) for at in range(20)]
    learnt = example_id("erd", requirement(3), {}, "target 3")
    dataset = built(events, replace(PLAIN, replay_share=0.1), used=frozenset({learnt}))
    assert {row.target for row in dataset.train if row.role == "replay"} == {"target 3"}
    again = built([*events, corrected(50, group="g-3", correction="target 3")],
                  replace(PLAIN, replay_share=0.1), used=frozenset({learnt}))  # fmt: skip
    (copy,) = [row for row in again.train if row.role == "replay"]
    assert copy.events == ("evt_00050",)
    assert reasons(again)["evt_00003"] == "near-duplicate"


def test_only_the_recorded_split_decides() -> None:
    events = [corrected(1), corrected(2, split="val"), corrected(3, split="test")]
    dataset = built([*events, accepted(4, split="val")])
    assert [row.split for row in dataset.train] == ["train"]
    assert [row.events for row in dataset.val] == [("evt_00002",)]
    assert reasons(dataset) == {"evt_00003": "held out (test)", "evt_00004": "nothing new"}


def test_a_small_log_may_have_no_validation_rows() -> None:
    assert built([corrected(1), corrected(2)]).val == ()


@pytest.mark.parametrize(("bad", "reason", "detail"), [
    (event(9), "no feedback", "nobody said"),
    (event(9, feedback=(said("thumb", 0.0),)), "below quality", "value 0.0"),
    (event(9, placed=False, feedback=(said("thumb", 1.0),)), "not taken in", "intake"),
    (corrected(9, quarantined="it bridges"), "quarantined", "it bridges"),
    (corrected(9, correction="BROKEN"), "invalid target", "unexpected end"),
    (accepted(9, check=BROKEN, output="x"), "invalid target", "output: unexpected end"),
])  # fmt: skip
def test_what_cannot_teach_is_dropped_with_its_reason(bad: Event, reason: str, detail: str) -> None:
    dataset = built([corrected(1), bad])
    (dropped,) = dataset.dropped
    assert (dropped.event, dropped.reason) == ("evt_00009", reason)
    assert detail in dropped.detail


def test_min_value_is_the_bar() -> None:
    rated = event(9, feedback=(said("rating", 0.7),))
    events = [*[corrected(at) for at in range(4)], rated]
    assert "evt_00009" in train_events(built(events))
    dataset = built(events, replace(PLAIN, min_value=0.9))
    assert reasons(dataset) == {"evt_00009": "below quality"}


def test_of_copies_with_one_target_the_newest_trains_and_the_others_name_it() -> None:
    events = [
        corrected(1, group="g", correction="same", age_days=3),
        corrected(2, group="g", correction="same \n", age_days=1, similarity=0.94),
        corrected(3, group="g", correction="same", age_days=2, similarity=0.88),
        corrected(4, group="g", correction="other", age_days=2),
    ]
    dataset = built(events)
    assert train_events(dataset) == {"evt_00002", "evt_00004"}
    details = {item.event: item.detail for item in dataset.dropped}
    assert details["evt_00003"] == "of evt_00002 (similarity 0.88, group g)"
    assert details["evt_00001"] == "of evt_00002 (similarity 0.94, group g)"
    assert set(reasons(dataset).values()) == {"near-duplicate"}


def test_a_correction_stands_for_an_accepted_output_with_its_text() -> None:
    fixed = corrected(1, group="g", correction="same", age_days=9)
    liked = accepted(2, group="g", output="same")
    dataset = built([fixed, liked])
    assert train_events(dataset) == {"evt_00001"}
    assert reasons(dataset) == {"evt_00002": "near-duplicate"}


def test_rows_of_one_group_share_its_mass() -> None:
    events = [corrected(1, group="g"), corrected(2, group="g"), corrected(3)]
    weights = {row.events[0]: row.weight for row in built(events).train}
    assert weights["evt_00003"] == pytest.approx(2 * weights["evt_00001"], rel=1e-5)
    assert weights["evt_00001"] == weights["evt_00002"]


def test_of_contradicting_corrections_the_newest_is_learnt() -> None:
    ask = {"prompt": "draw it", "group": "g"}
    events = [
        corrected(1, correction="old", source="ben", age_days=5, **ask),
        corrected(2, correction="new", source="ana", **ask),
        accepted(3, output="liked", **ask),
        accepted(4, output="new", **ask),
    ]
    dataset = built(events)
    assert [row.target for row in dataset.train] == ["new"]
    found = {item.event: (item.reason, item.detail) for item in dataset.dropped}
    assert found["evt_00001"][0] == found["evt_00003"][0] == "conflict"
    assert "source ben" in found["evt_00001"][1]
    assert "evt_00002 (source ana)" in found["evt_00001"][1]
    assert found["evt_00004"][0] == "near-duplicate"


def test_one_question_over_two_contexts_is_no_conflict() -> None:
    events = [
        corrected(1, prompt="draw it", context={"notes": "a"}, group="g"),
        corrected(2, prompt="draw it", context={"notes": "b"}, group="g"),
    ]
    assert len(built(events).train) == 2


def test_the_source_cap_binds_only_where_it_is_set_and_sources_are_several() -> None:
    loud = [corrected(at, source="ben", age_days=at) for at in range(30)]
    rest = [corrected(at, source=f"s{at}") for at in range(40, 50)]
    assert len(built([*loud, *rest]).train) == 40
    capped = built([*loud, *rest], replace(PLAIN, source_cap=0.5))
    kept = train_events(capped)
    assert len(kept) == 20
    assert {f"evt_{at:05d}" for at in range(10)} <= kept  # ben's newest
    assert set(reasons(capped).values()) == {"over source cap"}
    assert "keeps 10 of 30" in capped.dropped[0].detail
    assert len(built(loud, replace(PLAIN, source_cap=0.5)).train) == 30
    impossible = built([*loud, rest[0]], replace(PLAIN, source_cap=0.1))
    assert len(impossible.train) == 2


def test_excluded_sources_are_not_heard_and_the_others_still_are() -> None:
    praise = said("rating", 0.9, source="eve")
    events = [
        corrected(1, source="eve"),
        corrected(2, source="eve", feedback=(said("thumb", 1.0),)),
        corrected(3, feedback=(said("correction", text="eve's", source="eve"),), age_days=1),
        *[corrected(at) for at in range(4, 8)],
        event(8, feedback=(praise,)),
    ]
    dataset = built(events, replace(PLAIN, exclude_sources=("eve",)))
    assert reasons(dataset) == {"evt_00001": "excluded source", "evt_00008": "excluded source"}
    targets = {row.events[0]: (row.target, row.role) for row in dataset.train}
    assert targets["evt_00002"] == ("output 2", "replay")
    assert targets["evt_00003"] == ("target 3", "new")
    assert {row.target for row in built(events).train} >= {"target 1", "target 2", "eve's"}


def test_max_examples_draws_among_the_new_rows_by_weight() -> None:
    events = [corrected(at, age_days=0 if at < 30 else 3000) for at in range(60)]
    dataset = built(events, replace(PLAIN, max_examples=20))
    assert len(dataset.train) == 20
    assert train_events(dataset) <= {f"evt_{at:05d}" for at in range(30)}
    assert Counter(reasons(dataset).values()) == {"not selected": 40}


def test_older_rows_weigh_less_unless_the_half_life_is_infinite() -> None:
    events = [corrected(1), corrected(2, age_days=180)]
    weights = {row.events[0]: row.weight for row in built(events).train}
    assert weights["evt_00001"] == pytest.approx(2 * weights["evt_00002"], rel=1e-5)
    flat = built(events, replace(PLAIN, half_life_days=math.inf))
    assert {row.weight for row in flat.train} == {1.0}


def test_building_later_keeps_the_rows_and_their_relative_weights() -> None:
    events = [corrected(at, age_days=3.0 * at) for at in range(30)]
    now, later = built(events), built(events, as_of=NOW + timedelta(days=90))
    assert [row.id for row in now.train] == [row.id for row in later.train]
    for one, other in zip(now.train, later.train, strict=True):
        assert one.weight == pytest.approx(other.weight, rel=1e-4)


def test_the_seed_decides_the_order() -> None:
    events = [corrected(at) for at in range(30)]
    one, other = built(events), built(events, replace(PLAIN, seed=1))
    assert [row.id for row in one.train] != [row.id for row in other.train]
    assert {row.id for row in one.train} == {row.id for row in other.train}


def test_rows_that_give_a_held_out_item_away_never_train() -> None:
    events = [corrected(at) for at in range(10)]
    copied = "hello! " + requirement(3)
    dataset = built(events, held_out=[item(77, prompt=copied), item(78, group="g-5")])
    assert reasons(dataset) == {
        "evt_00003": "held out (suite)",
        "evt_00005": "held out (suite)",
    }
    assert "item_77" in dataset.dropped[0].detail
    assert len(dataset.train) == 8


def test_sealing_refuses_a_leak_that_got_past_the_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "honewheel.curate.build.rows.without_leaks", lambda rows, held, known: (list(rows), [])
    )
    with pytest.raises(Leak, match="item_1"):
        built([corrected(1)], held_out=[item(1)])


def test_too_little_data_says_how_much_there_is_and_what_to_do() -> None:
    events = [*[corrected(at) for at in range(4)], *[accepted(at) for at in range(10, 13)]]
    with pytest.raises(NotEnoughData, match=r"4 new training examples from 7 events; at least 20.*"
                                            r"not replayed.*at least 16 more"):  # fmt: skip
        built(events, Settings())


def test_an_event_given_twice_is_refused() -> None:
    with pytest.raises(InputError, match="evt_00001"):
        built([corrected(1), corrected(2), corrected(1)])


@pytest.mark.parametrize("wrong", [
    {"half_life_days": 0}, {"half_life_days": math.nan}, {"replay_share": 1.0},
    {"min_value": 1.2}, {"min_examples": 0}, {"max_examples": 3}, {"source_cap": 0.0},
])  # fmt: skip
def test_settings_outside_their_range_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"curate.{next(iter(wrong))}"):
        Settings(**wrong)


def test_simulated_feedback_is_flagged_on_the_example() -> None:
    mark = said("comment", text="made up", source_kind="simulated")
    dataset = built([corrected(1, feedback=(mark,)), corrected(2)])
    assert {row.events[0]: row.simulated for row in dataset.train} == {
        "evt_00001": True,
        "evt_00002": False,
    }
