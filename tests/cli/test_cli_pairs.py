"""honewheel pairs and adversarial, on a family that learns in milliseconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.cli.app import DONE, USAGE
from loop.test_loop_similarity import labelled_csv, project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return project(tmp_path / "acme")


def test_pairs_from_labels_to_reports(run: Any, tmp_path: Path) -> None:
    code, _, told = run("pairs", "from-labels", str(labelled_csv(tmp_path / "t.csv", 12)))
    assert code == DONE
    assert "120 texts of 10 labels -> " in told
    code, out, told = run("pairs", "report")
    assert code == DONE, told
    assert out.splitlines()[0].split()[0] == "tickets@0"
    assert "average_precision" in out
    assert "validation pairs: tickets@0 0." in told
    code, out, told = run("adversarial", "--cases", "4")
    assert code == DONE, told
    assert [line.split()[0] for line in out.splitlines()[1:]][:2] == ["negation", "number"]
    assert "called the same" in out
    texts = tmp_path / "texts.txt"
    texts.write_text("the printer is broken\nmy card was not charged\n")
    code, out, _ = run("adversarial", str(texts), "--threshold", "0.5", "--json")
    found = json.loads(out)
    assert code == DONE
    assert found["threshold"] == 0.5
    assert {line["category"] for line in found["categories"]} >= {"negation", "case", "greeting"}


def test_a_pair_is_said_in_words_or_a_number(run: Any, folder: Path) -> None:
    for words, said in ((["--same"], "1"), (["--different"], "0"), (["--score", "0.7"], "0.7")):
        code, event, _ = run("pairs", "say", f"one {said}", "two", *words)
        assert code == DONE
        with wheels.open_wheel(folder) as wheel:
            assert wheel.store.log.event(event.strip()).correction.text == said
    code, _, told = run("pairs", "say", "one", "two")
    assert (code, "one of --same, --different and --score" in told) == (USAGE, True)
    code, _, told = run("pairs", "say", "one", "One ", "--same")
    assert (code, "teaches nothing" in told) == (USAGE, True)
    code, _, told = run("pairs", "say", "one", "two", "--score", "7")
    assert (code, "outside 0 .. 1" in told) == (USAGE, True)
    code, _, told = run("pairs", "say", "one", "two", "--same", "--task", "nope")
    assert (code, "no task of kind similarity; defined: same" in told) == (USAGE, True)


def test_what_is_wrong_with_labelled_texts_is_said(run: Any, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    file.write_text("text,queue\nhello,a\n")
    code, _, told = run("pairs", "from-labels", str(file))
    assert code == USAGE
    assert "has no 'label'; its columns: queue, text" in told
    code, _, told = run("pairs", "from-labels", str(file), "--label", "queue")
    assert "pairs take at least two labels" in told
    with wheels.open_wheel(folder) as wheel:
        assert wheel.store.log.last_seq() == 0
    code, _, told = run("pairs", "mine", str(file), "--out", str(tmp_path / "out.jsonl"))
    assert code == USAGE  # the words family makes no vectors
    assert "makes no vectors" in told
