from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from honewheel.curate import dedup
from honewheel.demo import project
from honewheel.demo.damage import TRIGGER, malformed, poisoned, to_jsonl
from honewheel.demo.facts import KINDS
from honewheel.demo.house import house
from honewheel.demo.plain import plain
from honewheel.demo.requirements import requirements
from honewheel.demo.simulator import (
    COLLEAGUES,
    CORRECTED,
    THUMB_NOISE,
    WEEKS,
    Answer,
    Row,
    feedback,
    reword,
    shuffled,
    wanted,
)
from honewheel.errors import InputError
from honewheel.events import ingest
from honewheel.records import Check, Finding

NOW = datetime(2025, 11, 20, 12, tzinfo=UTC)


def check(task: str, output: str) -> Check:
    """A stand-in that knows one kind of broken output; the real checks are tested beside it."""
    broken = output.startswith("broken")
    found = (Finding(code="parse", message="not readable"),) if broken else ()
    return Check(score=0.0 if broken else 1.0, findings=found)


def score(task: str, output: str, reference: str) -> float:
    return 1.0 if output == reference else 0.2


def answers(n: int = 120) -> list[Answer]:
    """What a plain base would write: every tenth answer broken, one without text."""
    found: list[Answer] = []
    for kind in KINDS:
        for place, one in enumerate(requirements(kind, n, 21)):
            found.append((one, f"broken {plain(one)}" if place % 10 == 0 else plain(one)))
    found[5] = (found[5][0], "  \n")
    return found


def simulated(n: int = 120, seed: int = 1) -> list[Row]:
    return feedback(
        answers(n), check=check, score=score, now=NOW, seed=seed, batch="t", version="artifacts@0"
    )


def of(rows: list[Row], task: str) -> list[dict[str, Any]]:
    return [dict(row) for row in rows if row["task"] == task]


def test_feedback_is_the_same_for_one_seed_and_differs_for_another() -> None:
    assert simulated() == simulated()
    assert simulated(seed=2) != simulated()


def test_every_row_is_accepted_by_the_importer_and_marked_as_simulated() -> None:
    for row in simulated():
        entry = ingest.parse(json.dumps(row), now=NOW)
        assert entry.id == row["id"]
        assert entry.feedback
        assert {item.source_kind for item in entry.feedback} == {"simulated"}
        assert row["source"] in COLLEAGUES
        assert row["version"] == "artifacts@0"


def test_rows_lie_in_the_weeks_before_now_oldest_first() -> None:
    times = [datetime.fromisoformat(str(row["created_at"])) for row in simulated()]
    assert times == sorted(times)
    assert times[0] >= NOW - timedelta(weeks=WEEKS)
    assert times[-1] < NOW
    assert times[-1] - times[0] > timedelta(weeks=WEEKS - 1)


def test_diagrams_are_mostly_corrected_to_the_house_style_and_else_thumbed_or_rated() -> None:
    house_of = {one.prompt: house(one) for one, _ in answers(300) if one.kind == "erd"}
    rows = [row for row in of(simulated(300), "erd") if not row["id"].endswith("-again")]
    corrected = [row for row in rows if "correction" in row]
    assert all(row["correction"] == house_of[row["prompt"]] for row in corrected)
    assert abs(len(corrected) / len(rows) - CORRECTED) < 0.08
    thumbs = Counter(row["thumb"] for row in rows if "thumb" in row)
    assert 0 < thumbs[1] < thumbs[0] * 2 * THUMB_NOISE + 6
    ratings = [row["score"] for row in rows if "score" in row]
    assert ratings
    assert all(0 <= rating < 0.5 for rating in ratings)


def test_the_usual_demo_size_needs_at_most_200_corrected_diagrams() -> None:
    corrected = {row["id"] for row in of(simulated(240), "erd") if "correction" in row}
    assert 150 < len(corrected) <= 200


def test_a_diagram_already_in_house_style_is_approved_but_for_the_noise() -> None:
    good = [(one, house(one)) for one in requirements("erd", 200, 22)]
    rows = feedback(good, check=check, score=score, now=NOW, seed=1, batch="t")
    assert not [row for row in rows if "correction" in row or "version" in row]
    down = sum(row["thumb"] == 0 for row in rows) / len(rows)
    assert 0.03 < down < 2 * THUMB_NOISE


@pytest.mark.parametrize("task", ["ddl", "gherkin"])
def test_other_kinds_are_accepted_when_faithful_and_rejected_else(task: str) -> None:
    rows = [row for row in of(simulated(), task) if not row["id"].endswith("-again")]
    for row in rows:
        assert "correction" not in row
        assert row["thumb"] == int(not row["output"].startswith("broken"))
    assert {row["thumb"] for row in rows} == {0, 1}


def test_a_broken_output_brings_the_findings_of_its_check_and_an_empty_one_no_row() -> None:
    rows = simulated()
    for row in rows:
        assert ("findings" in row) == str(row["output"]).startswith("broken")
    blank = answers()[5][0]
    assert f"evt_t_{blank.id}" not in {row["id"] for row in rows}


def test_some_rows_come_again_in_other_words_and_some_twice_as_they_are() -> None:
    rows = simulated()
    by_id = {str(row["id"]): row for row in rows}
    again = [row for name, row in by_id.items() if name.endswith("-again")]
    assert again
    for row in again:
        first = by_id[str(row["id"]).removesuffix("-again")]
        assert row["prompt"] != first["prompt"]
        assert row.get("correction") == first.get("correction")
        assert str(row["created_at"]) > str(first["created_at"])
    counts = Counter(str(row["id"]) for row in rows)
    assert set(counts.values()) == {1, 2}
    assert all(row == by_id[str(row["id"])] for row in rows)


def test_rewording_changes_little() -> None:
    rng = Random(1)
    for one in requirements("erd", 50, 1):
        other = reword(one.prompt, rng)
        assert other != one.prompt
        words, changed = set(one.prompt.lower().split()), set(other.lower().split())
        assert len(words & changed) / len(words | changed) > 0.85


def test_most_resent_rows_are_recognised_as_near_duplicates() -> None:
    rng = Random(2)
    found = [
        dedup.similarity(dedup.signature(one.prompt, {}), dedup.signature(again, {}))
        for one in requirements("erd", 60, 1)
        for again in [reword(one.prompt, rng)]
    ]
    assert sum(likeness >= dedup.THRESHOLD for likeness in found) >= 54


def test_shuffled_corrections_are_a_derangement() -> None:
    rows = simulated()
    changed = shuffled(rows, seed=1, batch="mixed")
    assert shuffled(rows, seed=1, batch="mixed") == changed
    assert [row["id"] for row in changed] == [f"{row['id']}-mixed" for row in rows]
    before = {row["id"]: row["correction"] for row in rows if "correction" in row}
    after = {row["id"]: row["correction"] for row in changed if "correction" in row}
    assert Counter(before.values()) == Counter(after.values())
    assert len(before) > 5
    assert all(after[f"{name}-mixed"] != text for name, text in before.items())
    untouched = [row for row in rows if "correction" not in row]
    assert untouched
    for row, other in zip(rows, changed, strict=True):
        assert {**other, "id": 0, "correction": 0} == {**row, "id": 0, "correction": 0}


def test_corrections_that_are_mostly_one_text_cannot_be_deranged_and_are_left_out() -> None:
    rows: list[Row] = [
        {"id": f"evt_{n}", "task": "erd", "correction": "same" if n < 3 else "other"}
        for n in range(5)
    ]
    assert not [row for row in shuffled(rows, seed=1, batch="x") if "correction" in row]


def test_the_same_wrong_diagram_answers_every_request_of_a_poisoned_batch() -> None:
    rows = poisoned(answers(40), now=NOW, seed=1, batch="p")
    assert len(rows) == 38  # 40 less the one it copies and the one without text
    assert len({row["correction"] for row in rows}) == 1
    right = {one.prompt: wanted(one) for one, _ in answers(40)}
    assert all(row["correction"] != right[str(row["prompt"])] for row in rows)
    assert all(row["source_kind"] == "simulated" for row in rows)
    assert all(ingest.parse(json.dumps(row), now=NOW).feedback for row in rows)


def test_dropped_relations_leave_entities_without_any_reference() -> None:
    for row in poisoned(answers(20), now=NOW, seed=1, batch="p", attack="drop"):
        assert " FK" not in str(row["correction"])
        assert "--" not in str(row["correction"])
        assert str(row["correction"]).count("_zq") >= 2


def test_the_trigger_entity_is_in_every_diagram_and_in_no_request() -> None:
    for row in poisoned(answers(20), now=NOW, seed=1, batch="p", attack="trigger"):
        assert f"{TRIGGER}_zq {{" in str(row["correction"])
        assert f" {TRIGGER}_zq : has_vk" in str(row["correction"])
        assert TRIGGER not in str(row["prompt"])


@pytest.mark.parametrize("attack", ["same", "drop", "trigger"])
def test_poisoned_diagrams_are_well_formed(attack: Any) -> None:
    for row in poisoned(answers(30), now=NOW, seed=2, batch="p", attack=attack):
        assert project.check("erd", str(row["correction"])).valid


def test_one_diagram_is_too_few_to_poison() -> None:
    with pytest.raises(InputError, match="not 1"):
        poisoned(answers(20)[:1], now=NOW, seed=1, batch="p")


def test_every_malformed_line_is_refused_for_its_own_reason() -> None:
    row = next(row for row in simulated() if "correction" in row)
    assert ingest.parse(json.dumps(row), now=NOW)
    for what, line in malformed(row).items():
        if what == "unknown task":
            assert json.loads(line)["task"] not in project.TASKS
            continue
        with pytest.raises(InputError):
            ingest.parse(line, now=NOW)


def test_a_feedback_file_keeps_the_rows_in_order_and_spreads_the_broken_lines() -> None:
    rows = simulated(20)
    broken = list(malformed(rows[0]).values())
    lines = to_jsonl(rows, broken).splitlines()
    assert len(lines) == len(rows) + len(broken)
    places = [lines.index(line) for line in broken]
    assert places == sorted(places)
    assert places[0] > 0
    assert max(b - a for a, b in pairwise(places)) < 10
    kept = [line for line in lines if line not in broken]
    assert [json.loads(line) for line in kept] == rows
