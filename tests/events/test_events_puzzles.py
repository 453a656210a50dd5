"""Problems as files: what is asked for, one of each orbit, whole or not at all."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from honewheel.cli.app import USAGE, call
from honewheel.errors import InputError
from honewheel.events import puzzles
from honewheel.records import Progress
from honewheel.tasks.puzzle import base, generate
from honewheel.tasks.puzzle.generate import Order


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_and_items_are_of_different_orbits(tmp_path):
    order = Order(kind="sudoku", level="easy", seed=3)
    steps: list[Progress] = []
    train, suite = tmp_path / "train.jsonl", tmp_path / "suite.jsonl"
    made = puzzles.make(
        order, task="grid", count=90, out=train, suite=40, suite_out=suite, listen=steps.append
    )
    rows, items = read(train), read(suite)
    assert (made.rows, made.suite, made.levels) == (90, 40, {"easy": 130})
    assert {row["task"] for row in rows} == {"grid"}
    assert [(one.step, one.total) for one in steps] == [(100, 130), (130, 130)]
    keys = [base.task("sudoku").group_keys(row["prompt"], {}) for row in (*rows, *items)]
    assert len(set(keys)) == 130
    for row in items:
        assert base.of(row["prompt"]).solve(row["prompt"], {}) == row["reference"]


def test_more_rows_do_not_change_what_judges(tmp_path):
    for count in (5, 9):
        puzzles.make(
            Order(kind="boundary-table"),
            task="bva",
            count=count,
            out=tmp_path / f"train{count}",
            suite=6,
            suite_out=tmp_path / f"suite{count}",
        )
    assert read(tmp_path / "suite5") == read(tmp_path / "suite9")
    assert read(tmp_path / "train5") == read(tmp_path / "train9")[:5]


def test_it_says_when_the_orbits_run_out(monkeypatch):
    monkeypatch.setattr(generate, "MISSES", 300)
    monkeypatch.setattr(base.task("boundary-table"), "sizes", ("1",))
    found = generate.problems(Order(kind="boundary-table", size="1"))
    with pytest.raises(InputError, match=r"\d+ different problems of boundary-table 1"):
        list(itertools.islice(found, 1_000))


@pytest.mark.parametrize(
    ("count", "suite", "told"),
    [(0, 0, "Nothing is asked"), (-1, 0, "cannot be made"), (3, 2, "Where do the suite items go")],
)
def test_what_makes_no_sense_is_refused(tmp_path, count, suite, told):
    out = tmp_path / "train.jsonl" if count > 0 else None
    with pytest.raises(InputError, match=told):
        puzzles.make(Order(kind="sudoku"), task="grid", count=count, out=out, suite=suite)
    assert not list(tmp_path.iterdir())


def test_the_verbs(tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    words = ["puzzles", "make", "pairwise", "--task", "pairs", "--out", str(out), "--count", "3"]
    assert call(words) == 0
    assert len(read(out)) == 3
    assert "3 rows" in capsys.readouterr().err
    assert call(words) == USAGE  # never written over
    assert "is there already" in capsys.readouterr().err
    assert call(["puzzles", "list", "--json"]) == 0
    kinds = {row["kind"] for row in json.loads(capsys.readouterr().out)}
    assert {"sudoku", "boundary-table", "pairwise"} <= kinds
    assert call(["puzzles", "make", "chess", "--task", "t", "--out", "x", "--count", "1"]) == USAGE
    assert "no puzzle called 'chess'" in capsys.readouterr().err
