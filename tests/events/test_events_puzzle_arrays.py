"""Published puzzle data sets become rows and rows become data sets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from honewheel.cli.app import USAGE, call
from honewheel.errors import InputError, NotFound
from honewheel.events import puzzle_arrays, puzzles
from honewheel.families.reasoner import dataset
from honewheel.tasks.puzzle.generate import Order


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    puzzles.make(Order(kind="sudoku"), task="grid", count=12, out=path)
    return path


def test_there_and_back(tmp_path, rows):
    assert puzzle_arrays.to_arrays(rows, tmp_path / "train") == 12
    found = dataset.load(tmp_path / "train")
    assert (found.length, found.vocabulary, len(found.group_indices)) == (16, 6, 13)
    out = tmp_path / "back.jsonl"
    assert puzzle_arrays.to_rows(tmp_path / "train", kind="sudoku", task="grid", out=out) == 12
    assert read(out) == read(rows)


def test_symmetric_forms_are_one_group_and_one_row_of_it_is_taken(tmp_path, rows):
    doubled = tmp_path / "doubled.jsonl"
    turned = []
    for row in read(rows):  # the same grid with 1 and 2 exchanged
        swap = str.maketrans("12", "21")
        grid = json.loads(row["prompt"])
        grid["grid"] = grid["grid"].translate(swap)
        answer = row["demonstration"].translate(swap)
        turned.append(row | {"prompt": json.dumps(grid), "demonstration": answer})
    doubled.write_text("".join(json.dumps(row) + "\n" for row in [*read(rows), *turned]))
    assert puzzle_arrays.to_arrays(doubled, tmp_path / "train") == 24
    assert len(dataset.load(tmp_path / "train").group_indices) == 13
    for every, count in ((False, 12), (True, 24)):
        out = tmp_path / f"{every}.jsonl"
        how = {"kind": "sudoku", "task": "grid", "every": every}
        assert puzzle_arrays.to_rows(tmp_path / "train", out=out, **how) == count


def test_the_published_sudoku_is_read(tmp_path):
    """81 cells of 11 tokens, labels without padding, one identifier for all."""
    solved = np.array([[(3 * (r % 3) + r // 3 + c) % 9 + 2 for c in range(9)] for r in range(9)])
    labels = np.stack([solved.reshape(-1)] * 2)
    inputs = labels.copy()
    inputs[:, ::4] = 1
    whole = dataset.PuzzleSet(
        inputs=inputs,
        labels=labels,
        identifiers=np.zeros(2, dtype=np.int64),
        puzzle_indices=np.arange(3),
        group_indices=np.array([0, 2]),
        vocabulary=11,
    )
    dataset.save(whole, tmp_path / "train")
    out = tmp_path / "rows.jsonl"
    assert puzzle_arrays.to_rows(tmp_path / "train", kind="sudoku", task="grid", out=out) == 1
    assert '"box": [3, 3]' in read(out)[0]["prompt"]
    assert read(out)[0]["demonstration"].startswith("123456789\n456789123")


def test_what_is_no_set_of_problems_is_refused(tmp_path, rows):
    with pytest.raises(NotFound):
        puzzle_arrays.to_rows(tmp_path, kind="sudoku", task="t", out=tmp_path / "o")
    puzzle_arrays.to_arrays(rows, tmp_path / "train")
    with pytest.raises(InputError, match="Example 0 is no pairwise"):
        puzzle_arrays.to_rows(tmp_path / "train", kind="pairwise", task="t", out=tmp_path / "o")
    with pytest.raises(InputError, match="there already"):
        puzzle_arrays.to_arrays(rows, tmp_path / "train")
    for text, told in (
        ('{"prompt": "Draw it.", "demonstration": "x"}', "row 1: The prompt is no puzzle"),
        ('{"prompt": "x"}', "row 1: a prompt and one of demonstration"),
        ("", "0 shapes"),
    ):
        bad = tmp_path / "bad.jsonl"
        bad.write_text(text)
        with pytest.raises(InputError, match=told):
            puzzle_arrays.to_arrays(bad, tmp_path / "other")


def test_the_verbs(tmp_path, rows, capsys):
    train, out = str(tmp_path / "train"), str(tmp_path / "out.jsonl")
    assert call(["puzzles", "to-arrays", str(rows), "--out", train]) == 0
    words = ["puzzles", "from-arrays", train, "--kind", "sudoku", "--task", "g", "--out", out]
    assert call([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 12
    assert call([*words[:-1], str(tmp_path / "x"), "--set", "easy"]) == USAGE
