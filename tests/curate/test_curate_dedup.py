from __future__ import annotations

import random
from itertools import pairwise

import pytest
from curate_builders import requirement
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate import dedup, shingles, text
from honewheel.errors import InputError

SENTENCE = st.lists(
    st.sampled_from(["alpha", "beta", "gamma", "delta", "rho", "tau"]), max_size=12
).map(" ".join)


def planted(rng: random.Random, jaccard: float, length: int = 400) -> tuple[str, str]:
    """Two texts whose 3-word shingles have this Jaccard (to one shingle)."""
    every = length - dedup.SHINGLE + 1
    shared = round(2 * every * jaccard / (1 + jaccard))
    first = [f"w{rng.getrandbits(40)}" for _ in range(length)]
    keep = shared + dedup.SHINGLE - 1
    second = first[:keep] + [f"w{rng.getrandbits(40)}" for _ in range(length - keep)]
    return " ".join(first), " ".join(second)


def collide(one: bytes, other: bytes) -> bool:
    return any(a == b for a, b in zip(dedup.bands(one), dedup.bands(other), strict=True))


def candidate(name: str, prompt: str, *, group: str | None = None, split: str = "train", **context):
    return dedup.Candidate(
        response_id=name,
        exact=dedup.exact_key(prompt, context),
        signature=dedup.signature(prompt, context),
        group=group or name,
        split=split,
    )


def linked(prompt: str, candidates: list[dedup.Candidate], **context: str) -> dedup.Link:
    return dedup.link(
        "new", dedup.exact_key(prompt, context), dedup.signature(prompt, context), candidates
    )


@pytest.mark.parametrize("jaccard", [0.95, 0.85, 0.7, 0.5])
def test_planted_duplicates_meet_in_a_band_as_the_s_curve_says(jaccard: float) -> None:
    rng = random.Random(7)
    trials = 300
    met = 0
    for _ in range(trials):
        one, other = planted(rng, jaccard)
        met += collide(dedup.signature(one, {}), dedup.signature(other, {}))
    expected = 1 - (1 - jaccard**dedup.ROWS) ** dedup.BANDS
    error = (expected * (1 - expected) / trials) ** 0.5
    assert met / trials == pytest.approx(expected, abs=4 * error + 0.01)


@pytest.mark.parametrize("jaccard", [0.95, 0.85, 0.7, 0.5, 0.0])
def test_similarity_estimates_the_jaccard_of_the_shingles(jaccard: float) -> None:
    rng = random.Random(3)
    pairs = [planted(rng, jaccard) for _ in range(40)]
    found = [
        dedup.similarity(dedup.signature(one, {}), dedup.signature(other, {}))
        for one, other in pairs
    ]
    assert sum(found) / len(found) == pytest.approx(jaccard, abs=0.025)


def test_similarity_is_the_product_over_prompt_and_context() -> None:
    rng = random.Random(5)
    found = []
    for _ in range(40):
        ours, theirs = planted(rng, 0.8)
        left, right = planted(rng, 0.7)
        found.append(
            dedup.similarity(
                dedup.signature(ours, {"notes": left}), dedup.signature(theirs, {"notes": right})
            )
        )
    assert sum(found) / len(found) == pytest.approx(0.56, abs=0.03)


def test_questions_that_share_a_long_schema_are_not_linked_by_it() -> None:
    schema = " ".join(f"create table t{at} (id integer, c{at} text);" for at in range(200))
    old = candidate("old", "which customers ordered twice last month?", schema=schema)
    new = linked("list the cheapest product of every category", [old], schema=schema)
    assert new.group == "new"


def test_one_instruction_over_different_documents_is_not_linked_by_it() -> None:
    ask = "summarise the meeting notes below in three short bullet points"
    old = candidate("old", ask, notes=requirement(1))
    assert linked(ask, [old], notes=requirement(2)).group == "new"
    assert linked(ask, [old], notes=requirement(1)).group == "old"


def test_different_requirements_of_one_template_are_not_linked() -> None:
    signed = [dedup.signature(requirement(seed), {}) for seed in range(300)]
    near = [
        (at, other)
        for at in range(len(signed))
        for other in range(at)
        if dedup.similarity(signed[at], signed[other]) >= dedup.THRESHOLD
    ]
    assert near == []


@settings(deadline=None)
@given(SENTENCE, st.sampled_from(["  ", "\n", "\t "]))
def test_case_and_whitespace_do_not_count_for_the_exact_key(prompt: str, gap: str) -> None:
    spaced = gap + prompt.upper().replace(" ", gap) + gap
    assert dedup.exact_key(spaced, {}) == dedup.exact_key(prompt, {})


_prompts = st.text(st.characters(max_codepoint=0x17F, exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=60)
@given(st.lists(st.tuples(_prompts, st.dictionaries(_prompts, _prompts, max_size=1)), max_size=6))
def test_a_batch_of_exact_keys_is_that_of_one_by_one(
    asked: list[tuple[str, dict[str, str]]],
) -> None:
    assert dedup.exact_keys(asked) == [dedup.exact_key(*one) for one in asked]
    plain = [(prompt.encode("ascii", "ignore").decode(), {}) for prompt, _ in asked]
    assert dedup.exact_keys(plain) == [dedup.exact_key(*one) for one in plain]


@settings(max_examples=80)
@given(st.lists(st.text(st.characters(max_codepoint=127), max_size=12), max_size=6))
def test_ascii_texts_are_folded_together_as_one_by_one(texts: list[str]) -> None:
    folded = text.canonical_ascii([one.encode() for one in texts])
    assert [one.decode() for one in folded] == [text.canonical(one) for one in texts]


def test_a_short_text_in_a_batch_changes_no_other_texts_runs() -> None:
    """Batches in which every text fills a run take a shorter way."""
    long = ["a b c d", "e f g", "one two three four five"]
    alone = [shingles.hashes([one], 3)[0].tolist() for one in long]
    for some in (long, [*long, "x"], ["", *long], [*long, "x y"]):
        flat, offsets = shingles.hashes(some, 3)
        parts = [flat[a:b].tolist() for a, b in pairwise(offsets.astype(int))]
        assert [part for one, part in zip(some, parts, strict=True) if one in long] == alone


def test_the_exact_key_tells_prompts_contexts_and_their_names_apart() -> None:
    keys = {
        dedup.exact_key("a b", {}),
        dedup.exact_key("a c", {}),
        dedup.exact_key("a", {"notes": "b"}),
        dedup.exact_key("a", {"schema": "b"}),
        dedup.exact_key("a", {"notes": "b", "schema": ""}),
    }
    assert len(keys) == 5
    both = {"x": "1", "y": "2"}
    assert dedup.exact_key("a", both) == dedup.exact_key("a", dict(reversed(both.items())))


@settings(deadline=None)
@given(SENTENCE, SENTENCE)
def test_similarity_is_symmetric_and_one_for_equal_texts(one: str, other: str) -> None:
    left, right = dedup.signature(one, {}), dedup.signature(other, {})
    assert dedup.similarity(left, right) == dedup.similarity(right, left)
    assert dedup.similarity(left, left) == 1
    assert all(0 <= key < 2**63 for key in dedup.bands(left))


def test_a_signature_has_16_bands_whose_keys_never_meet_across_places() -> None:
    flat = dedup.signature("", {})  # every row equal, so every band holds the same bytes
    assert len(set(dedup.bands(flat))) == 16


def test_a_text_without_a_context_is_unlike_the_same_with_one() -> None:
    bare, rich = dedup.signature("a b c d", {}), dedup.signature("a b c d", {"notes": "e f g"})
    assert dedup.similarity(bare, rich) < 0.1


def test_texts_without_words_are_compared_as_they_stand() -> None:
    assert dedup.similarity(dedup.signature("???", {}), dedup.signature("!!!", {})) < 0.1


def test_a_sentence_written_without_spaces_has_many_words() -> None:
    assert len(text.words("顧客と注文の図を描いて")) == 11
    assert text.words("Ärzte, Patienten") == ["ärzte", "patienten"]


def test_signatures_of_different_versions_are_not_compared() -> None:
    with pytest.raises(InputError, match="512 and 4 bytes"):
        dedup.similarity(dedup.signature("a", {}), b"1234")


def test_a_first_response_founds_its_own_group() -> None:
    found = linked("something new", [candidate("old", "quite another thing altogether")])
    assert found == dedup.Link(group="new")


def test_a_copy_joins_the_group_and_split_of_its_nearest_twin() -> None:
    ask = requirement(1)
    edited = ask.replace("please draft", "kindly draft")
    old = [
        candidate("far", requirement(2), group="g2"),
        candidate("near", edited, group="g1", split="val"),
    ]
    found = linked(ask, old)
    assert (found.group, found.split, found.twin) == ("g1", "val", "near")
    assert found.similarity is not None
    assert 0.7 <= found.similarity < 1
    assert found.quarantined is None


def test_an_exact_copy_is_nearer_than_any_estimate() -> None:
    ask = requirement(1)
    old = [candidate("b", ask + " thanks"), candidate("a", ask.upper())]
    found = linked(ask, old)
    assert (found.twin, found.similarity) == ("a", 1.0)


def test_a_bridge_between_splits_is_quarantined_and_names_both_sides() -> None:
    ask = requirement(1)
    old = [
        candidate("a", ask + " thanks", group="g1", split="train"),
        candidate("b", "hello. " + ask, group="g2", split="test"),
    ]
    found = linked(ask, old)
    assert found.quarantined is not None
    assert "(train" in found.quarantined
    assert "(test" in found.quarantined
    same = [candidate("a", ask, group="g1"), candidate("b", ask, group="g2")]
    assert linked(ask, same).quarantined is None


@settings(deadline=None)
@given(st.permutations(range(6)))
def test_the_link_does_not_depend_on_the_order_of_candidates(order: list[int]) -> None:
    ask = requirement(1)
    old = [candidate(f"c{at}", ask + " x" * (at % 3), group=f"g{at}") for at in range(6)]
    assert linked(ask, [old[at] for at in order]) == linked(ask, old)
