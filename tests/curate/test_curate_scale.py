"""A long log is read as a stream: what is kept is bounded, and a short log gives what it gave."""

from __future__ import annotations

import random
import tracemalloc
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from curate_builders import NOW, accepted, check_target, corrected, event, item, said
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate import contamination, dedup, mix, shingles, text
from honewheel.curate.build import Built, Settings, build
from honewheel.curate.stock import Stock
from honewheel.records import Event, Example

ANY_TEXT = st.text(
    st.one_of(st.sampled_from("ab c\n\t\r\x0b\x1c_-.é中"), st.characters()), max_size=40
)
WORDS = st.lists(st.sampled_from(["aa", "B", "c_1", "é", "中"]), min_size=1, max_size=8)


@dataclass
class Log:
    """Events that exist only while they are read, as those of a store."""

    make: Callable[[int], Event]
    size: int
    read: int = 0

    def __iter__(self) -> Iterator[Event]:
        self.read += 1
        return map(self.make, range(self.size))


def some_event(number: int) -> Event:
    """One in ten corrected, one in ten not spoken of, the others accepted; in two tasks."""
    how = {"task": ("erd", "ddl")[number % 2], "age_days": float(number % 300)}
    if number % 10 == 0:
        return corrected(number, source=f"user-{number % 7}", **how)
    return event(number, **how) if number % 10 == 1 else accepted(number, **how)


def built(events: object, **options: object) -> Built:
    return build(
        events,  # type: ignore[arg-type]
        as_of=NOW,
        settings=Settings(min_examples=1, poison="off", generic="off", **options),
        held_out=[],
        used=frozenset(),
        checks=check_target,
        kinds={"erd": "mermaid-erd", "ddl": "sql"},
    )


@given(st.lists(st.integers(0, 50)), st.integers(1, 8), st.randoms(use_true_random=False))
def test_a_stock_keeps_the_best_of_each_shelf_in_any_order(
    offered: list[int], most: int, rng: random.Random
) -> None:
    def shelf(one: int) -> str:
        return "even" if one % 2 == 0 else "odd"

    def kept(numbers: list[int]) -> list[int]:
        return sorted(Stock(most, rank=lambda one: (one,), shelf=shelf).take(numbers))

    best = [sorted(one for one in offered if one % 2 == odd)[-most:] for odd in (0, 1)]
    assert kept(offered) == sorted([*best[0], *best[1]])
    assert kept(rng.sample(offered, len(offered))) == kept(offered)


def test_what_a_stock_gives_back_and_what_it_keeps_are_all_that_was_offered() -> None:
    stock = Stock(3, rank=lambda one: (one,))
    gone = [one for number in (4, 9, 1, 7, 8) if (one := stock.offer(number)) is not None]
    assert (gone, sorted(stock)) == ([1, 4], [7, 8, 9])
    assert len(stock) == 3


def test_a_build_holds_neither_the_events_nor_the_accepted_outputs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mix, "STOCK", 20)
    count, long = 600, 20_000

    def make(number: int) -> Event:
        output = f"{number} " + "x" * long
        return accepted(number, output=output) if number % 40 else corrected(number)

    log = Log(make, count)
    tracemalloc.start()
    try:
        found = built(log, half_life_days=90.0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.events == count
    assert len(found.dataset.train) + len(found.dataset.dropped) == count
    assert peak < 0.3 * count * long  # the outputs alone are count x long bytes


def test_a_bounded_stock_replays_what_all_of_them_would(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [some_event(number) for number in range(400)]
    whole = built(events)
    monkeypatch.setattr(mix, "STOCK", 20)
    bounded = built(events)
    assert bounded.dataset.train == whole.dataset.train
    reasons = [Counter(one.reason for one in x.dataset.dropped) for x in (whole, bounded)]
    assert reasons[0] == reasons[1]
    assert any("others of its task" in one.detail for one in bounded.dataset.dropped)


@pytest.mark.parametrize("options", [
    {},
    {"calibrate": True},
    {"half_life_days": "auto"},
    {"propensity": True, "learnability": True},
    {"preferences": True},
    {"selection": "coverage", "replay": "coverage", "max_examples": 10},
])  # fmt: skip
def test_a_stream_gives_the_dataset_of_a_list(options: dict[str, object]) -> None:
    log = Log(some_event, 300)
    assert built(log, **options).dataset == built([*log], **options).dataset
    assert log.read <= 6  # reading is most of the time


@given(st.lists(ANY_TEXT, max_size=6), st.integers(1, 4))
def test_runs_as_numbers_are_as_many_as_runs_as_text(texts: list[str], size: int) -> None:
    flat, offsets = shingles.hashes(texts, size)
    sets = [set(flat[a:b].tolist()) for a, b in pairwise(offsets)]
    assert [len(one) for one in sets] == [len(text.shingles(one, size)) for one in texts]
    for one, numbers in zip(texts, sets, strict=True):
        assert set(shingles.hashes([one], size)[0].tolist()) == numbers


@given(WORDS, WORDS)
def test_runs_as_numbers_overlap_as_runs_as_text(left: list[str], right: list[str]) -> None:
    one, other = " ".join(left), " - ".join(right)
    flat, offsets = shingles.hashes([one, other], 2)
    shared = set(flat[: int(offsets[1])].tolist()) & set(flat[int(offsets[1]) :].tolist())
    assert len(shared) == len(text.shingles(one, 2) & text.shingles(other, 2))


@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=5))
def test_a_batch_of_signatures_is_each_of_them(asked: list[tuple[str, str]]) -> None:
    pairs = [(prompt, {"schema": about} if about else {}) for prompt, about in asked]
    signed = dedup.signatures(pairs)
    assert signed == [dedup.signature(*one) for one in pairs]
    if signed:
        assert dedup.all_bands(signed) == [dedup.bands(one) for one in signed]


@given(ANY_TEXT)
def test_the_short_way_for_ascii_gives_the_same_forms(source: str) -> None:
    folded = " ".join(unicodedata.normalize("NFC", source).casefold().split())
    assert text.canonical(source) == folded
    assert text.words(source) == text._WORD.findall(folded)
    lines = unicodedata.normalize("NFC", source).strip().splitlines()
    assert text.canonical_target(source) == "\n".join(line.rstrip() for line in lines)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000))
def test_leaks_by_wording_are_those_of_counting_strings(seed: int) -> None:
    rng = random.Random(seed)
    words = [f"w{number}" for number in range(12)]

    def prompt() -> str:
        return " ".join(rng.choices(words, k=4) + words[: rng.randrange(12)])

    held = [item(number, prompt=prompt(), task="erd") for number in range(8)]
    row = Example(id="ex", task="erd", prompt=f"{held[0].prompt} and more {prompt()}", target="t",
                  group="other", split="train")  # fmt: skip
    grams = {one.id: text.shingles(one.prompt, contamination.GRAM) for one in held}
    owners = Counter(
        gram for gram, _ in {(gram, one.group) for one in held for gram in grams[one.id]}
    )
    expected = []
    for one in held:
        own = {gram for gram in grams[one.id] if owners[gram] < contamination.TEMPLATE_GROUPS}
        shared = own & text.shingles(row.prompt, contamination.GRAM)
        if own and len(shared) / len(own) > contamination.CONTAINMENT:
            expected.append(one.id)
    assert [name for _, name, _ in contamination.leaks([row], held)] == sorted(expected)


def test_thumbs_of_a_stream_are_counted_once() -> None:
    events = [accepted(1), replace(accepted(2), feedback=(said("thumb", 0.0),)), corrected(3)]
    found = built(Log(events.__getitem__, 3))
    assert found.events == 3
    assert np.isclose(sum(row.weight for row in found.dataset.train), len(found.dataset.train))
