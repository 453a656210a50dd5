"""Pairs of varying length: the three bugs of the system that this grew out of stay mended."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from honewheel.cli.app import call
from honewheel.errors import InputError, ParseError
from honewheel.events import sequences
from honewheel.events.formats import Reading, detect, named
from honewheel.tasks.asked import with_prompt
from honewheel.tasks.puzzle import base, sequence

TASK = base.task("sequence")
OWN = [
    {"prompt": "login", "completion": "enter a name; expect a session"},
    {"input_sequence": "transfer of money", "target_sequence": "pay"},
    {"prompt": "log out, twice", "completion": "expect no error at all, and one line in the log"},
]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_mixed_spellings_in_one_file_are_all_read(tmp_path):
    """First bug: one converter knew prompt/completion, the other input/target sequences."""
    out = tmp_path / "rows.jsonl"
    mixed = sequences.convert([write(tmp_path / "a", OWN)], task="cases", out=out)
    assert mixed.own == 3
    assert mixed.spellings == {"prompt/completion": 2, "input_sequence/target_sequence": 1}
    assert [row["demonstration"] for row in read(out)] == [
        row.get("completion") or row["target_sequence"] for row in OWN
    ]
    for first in OWN[:2]:  # whichever spelling a file begins with, an import takes both
        found = detect([first])
        rows = [found.rows(one, Reading(task="cases")) for one in OWN]
        assert [one[0]["prompt"] for one in rows] == [
            "login",
            "transfer of money",
            "log out, twice",
        ]


def test_input_and_target_have_lengths_of_their_own(tmp_path):
    """Second bug: a batch took the length of the inputs for that of the targets."""
    out = tmp_path / "rows.jsonl"
    mixed = sequences.convert([write(tmp_path / "a", OWN)], task="cases", out=out)
    assert mixed.room == (len("transfer of money"), len(OWN[2]["completion"]))
    for row in read(out):
        puzzle = base.of(row["prompt"])
        assert puzzle.length == sum(mixed.room)
        inputs = puzzle.encode(row["prompt"], {})
        labels = puzzle.target(row["prompt"], {}, row["demonstration"])
        assert (labels[: mixed.room[0]] == base.IGNORED).all()
        assert (inputs[mixed.room[0] :] == base.BLANK).all()
        assert puzzle.decode(row["prompt"], {}, labels) == row["demonstration"]


def test_rows_batch_without_a_collate_of_their_own(tmp_path):
    """Third bug: default batching met rows of different lengths."""
    out = tmp_path / "rows.jsonl"
    sequences.convert([write(tmp_path / "a", OWN)], task="cases", out=out)
    rows = read(out)
    puzzle = base.of(rows[0]["prompt"])
    inputs = np.stack([puzzle.encode(row["prompt"], {}) for row in rows])
    labels = np.stack([puzzle.target(row["prompt"], {}, row["demonstration"]) for row in rows])
    assert inputs.shape == labels.shape == (3, puzzle.length)
    assert len({base.of(row["prompt"]).name for row in rows}) == 1


def test_a_corpus_is_mixed_in_at_its_declared_share(tmp_path):
    own = [{"prompt": f"own {at}", "completion": "yes"} for at in range(35)]
    other = [{"input_sequence": f"other {at}", "target_sequence": "no"} for at in range(200)]
    corpus = write(tmp_path / "sqe.jsonl", other)
    out = tmp_path / "rows.jsonl"
    path = write(tmp_path / "own", own)
    mixed = sequences.convert([path], task="t", out=out, corpus=corpus, share=33 / 68)
    assert (mixed.own, mixed.corpus) == (35, 33)
    assert sum(row.get("source") == "corpus/sqe" for row in read(out)) == 33
    again = tmp_path / "again.jsonl"
    sequences.convert([path], task="t", out=again, corpus=corpus, share=33 / 68)
    assert read(again) == read(out)
    sequences.convert([path], task="t", out=tmp_path / "b", corpus=corpus, share=0.5, seed=1)
    assert [row for row in read(tmp_path / "b") if row not in read(out)]


def test_numbers_are_sequences_too(tmp_path):
    rows = [
        {"input_sequence": [3, 1, 4], "target_sequence": [9]},
        {"input_sequence": [2], "target_sequence": [0, 7]},
    ]
    out = tmp_path / "rows.jsonl"
    mixed = sequences.convert([write(tmp_path / "a", rows)], task="t", out=out)
    assert (mixed.symbols, mixed.room) == (10, (3, 2))
    assert [row["demonstration"] for row in read(out)] == ["9", "0 7"]
    puzzle = base.of(read(out)[0]["prompt"])
    assert puzzle.vocabulary == 12


def test_what_is_longer_than_the_declared_room_is_left_out_and_never_cut(tmp_path):
    out = tmp_path / "rows.jsonl"
    mixed = sequences.convert([write(tmp_path / "a", OWN)], task="t", out=out, room=(14, 40))
    assert mixed.own == 1
    assert mixed.room == (14, 40)
    assert mixed.refused == {
        "input longer than the declared 14 tokens": 1,
        "target longer than the declared 40 tokens": 1,
    }


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"question": "a"}], "1 neither prompt and completion nor input_sequence"),
        ([{"prompt": " ", "completion": "b"}], "1 an empty text"),
        ([{"prompt": {}, "completion": "b"}], "neither a text nor a list"),
        ([{"prompt": [1, -1], "completion": [2]}], "a list with other than numbers"),
        ([{"prompt": "a", "completion": [2]}], "1 values are lists of numbers and 1 are texts"),
        ([{"prompt": "a" * 5000, "completion": "b"}], "longest input has 5,000 tokens"),
    ],
)
def test_rows_that_cannot_be_used_are_told(tmp_path, rows, told):
    out = tmp_path / "rows.jsonl"
    with pytest.raises(InputError, match=told):
        sequences.convert([write(tmp_path / "a", rows)], task="t", out=out)
    assert not out.exists()


@pytest.mark.parametrize(("corpus", "share"), [(True, 0.0), (False, 0.5), (True, 1.0)])
def test_a_corpus_needs_its_share(tmp_path, corpus, share):
    path = write(tmp_path / "a", OWN)
    with pytest.raises(InputError, match="share"):
        sequences.convert(
            [path], task="t", out=tmp_path / "o", corpus=path if corpus else None, share=share
        )


@given(st.text(min_size=1, max_size=30), st.text(max_size=20))
def test_texts_go_through_tokens(given_text, wanted):
    try:
        prompt = sequence.ask(given_text, (200, 100), None)
        puzzle = base.of(prompt)
    except (ParseError, UnicodeEncodeError):
        return  # half a character is no text
    tokens = puzzle.target(prompt, {}, wanted)
    assert puzzle.decode(prompt, {}, tokens) == wanted
    assert TASK.compare(wanted, wanted, with_prompt(prompt, {}))["exact"] == 1


def test_the_kind_says_what_it_can_and_no_more():
    prompt = sequence.ask("abc", (4, 2), None)
    asked = with_prompt(prompt, {})
    assert TASK.check("ab", asked).valid
    assert "room for 2" in TASK.check("abc", asked).findings[0].message
    assert base.of(prompt).baseline(prompt, {}) == "ab"
    assert TASK.compare("ab", "ba", asked)["score"] < 1
    with pytest.raises(InputError, match="No oracle"):
        base.of(prompt).solve(prompt, {})
    for wrong in ('{"puzzle": "sequence", "input": "abcde", "room": [4, 2]}',
                  '{"puzzle": "sequence", "input": [5], "room": [4, 2], "symbols": 5}',
                  '{"puzzle": "sequence", "input": "a", "room": [4, 2], "symbols": 5}',
                  '{"puzzle": "sequence", "input": "a", "room": 4}'):  # fmt: skip
        with pytest.raises(ParseError):
            base.of(wrong)


def test_the_verb(tmp_path, capsys):
    path = write(tmp_path / "a", [*OWN, {"question": "?"}])
    words = ["puzzles", "sequences", str(path), "--task", "t", "--out", str(tmp_path / "o")]
    assert call(words) == 0
    told = capsys.readouterr().err
    assert "3 rows and 0 of the corpus" in told
    assert "1 left out: neither prompt" in told


def test_the_import_names_both_spellings():
    assert named("sequences").matches(OWN[1])
    with pytest.raises(InputError, match="honewheel puzzles sequences"):
        named("sequences").rows({"input_sequence": [1], "target_sequence": [2]}, Reading())
