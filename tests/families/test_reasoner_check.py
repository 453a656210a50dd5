"""What is refused before a run begins, what it will take, and published data sets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasoner_builders import FAMILY, TINY, dataset, examples, spec

from honewheel.errors import ConfigError, InputError, NotFound
from honewheel.families import hardware
from honewheel.families.reasoner import dataset as published
from honewheel.families.reasoner import precision
from honewheel.families.reasoner.base import shape
from honewheel.families.reasoner.dataset import PuzzleSet
from honewheel.protocols import KnowsMachine, ModelFamily, WarmStarts

# --- checks -------------------------------------------------------------------------------------


def test_it_is_a_family_that_can_go_on_from_a_version() -> None:
    family: ModelFamily = FAMILY
    assert isinstance(family, WarmStarts)
    assert isinstance(family, KnowsMachine)
    assert FAMILY.ranges("full")["start"].default == "champion"
    with pytest.raises(ConfigError, match="reasoner has no method 'lora'"):
        FAMILY.ranges("lora")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"learning_rate": 0.5}, "learning_rate: 0.5 is outside 1e-06 .. 0.01; outside it, the"),
        ({"rank": 8}, "rank is no setting of a reasoner"),
        ({"loss": "hinge"}, "loss: 'hinge' is none of softmax, stablemax"),
    ],
)
def test_settings_that_make_no_sense_are_told(changes: dict[str, Any], said: str) -> None:
    (found,) = FAMILY.check(spec(**changes), dataset())
    assert found.message.startswith(said)
    assert found.severity == "error"


def test_a_setting_that_is_missing_is_told() -> None:
    asked = spec()
    less = {key: value for key, value in asked.settings.items() if key != "ema"}
    (found,) = FAMILY.check(replace(asked, settings=less), dataset())
    assert found.message == "ema is not set"


def test_a_good_run_is_let_through() -> None:
    assert list(FAMILY.check(spec(curriculum="stages"), dataset())) == []


def test_a_run_that_does_not_fit_is_refused_with_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = FAMILY.estimate(spec(), dataset())
    monkeypatch.setattr(hardware, "available", lambda: needed.total_bytes)
    (close,) = FAMILY.check(spec(), dataset())
    assert (close.code, close.severity) == ("memory", "warning")
    monkeypatch.setattr(hardware, "available", lambda: needed.total_bytes - 1)
    (found,) = FAMILY.check(spec(), dataset())
    assert found.severity == "error"
    assert "Lower batch_size" in found.message


def test_an_estimate_follows_what_decides_it() -> None:
    plain = FAMILY.estimate(spec(batch_size=32), dataset())
    wider = FAMILY.estimate(spec(batch_size=64), dataset())
    assert wider.bytes_by_part["activations"] == 2 * plain.bytes_by_part["activations"]
    assert wider.bytes_by_part["weights"] == plain.bytes_by_part["weights"]
    assert wider.seconds == pytest.approx(2 * (plain.seconds or 0))
    longer = FAMILY.estimate(spec(batch_size=32, updates=16), dataset())
    assert longer.seconds == pytest.approx(2 * (plain.seconds or 0))


def test_a_machine_tells_what_it_can_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "available", lambda: 2 * 10**9)
    free, able = FAMILY.machine()
    assert free.message == "2.00 GB free"
    assert "small" in able.message
    assert "hrm27m" not in able.message
    monkeypatch.setattr(hardware, "available", lambda: 10**8)
    assert [one.severity for one in FAMILY.machine()] == ["warning", "error"]
    monkeypatch.setattr(hardware, "available", lambda: None)
    assert list(FAMILY.machine()) == []


def test_half_precision_is_for_wide_models_on_machines_that_have_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiny = replace(shape(FAMILY.resolve(TINY)[0]), length=16)
    wide = replace(tiny, hidden_size=512)
    monkeypatch.setattr(hardware, "has_bfloat16", lambda: True)
    assert not precision.halves("auto", tiny)
    assert precision.halves("auto", wide)
    assert precision.halves("bfloat16", tiny)
    monkeypatch.setattr(hardware, "has_bfloat16", lambda: False)
    assert not precision.halves("auto", wide)


def test_a_champion_of_another_base_is_refused_with_the_numbers(tmp_path: Path) -> None:
    held = json.loads((FAMILY.resolve("honewheel/reasoner-small")[0] / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(held))
    (found,) = FAMILY.check_start(spec(), tmp_path)
    assert "hidden_size 96 (base: 64)" in found.message
    assert list(FAMILY.check_start(spec("honewheel/reasoner-small"), tmp_path)) == []


def test_a_model_of_fixed_length_meets_one_length_only() -> None:
    fixed = spec("honewheel/reasoner-tiny-mlp")
    (found,) = FAMILY.check(fixed, dataset([*examples(4), *examples(2, task="wide", size="6")]))
    assert "here are puzzles of 16, 36 cells" in found.message
    assert list(FAMILY.check(fixed, dataset())) == []


# --- the published format -----------------------------------------------------------------------


def made(count: int, length: int, vocabulary: int, seed: int) -> PuzzleSet:
    """`count` puzzles of one or two examples, in groups of one or two puzzles."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(1, 3, count)
    ends = np.sort(draw.choice(np.arange(1, count), draw.integers(0, count), replace=False))
    shape = (int(sizes.sum()), length)
    labels = draw.integers(1, vocabulary, shape)
    labels[draw.random(shape) < 0.2] = published.IGNORED
    return PuzzleSet(
        inputs=draw.integers(0, vocabulary, shape),
        labels=labels,
        identifiers=draw.integers(0, 3, count),
        puzzle_indices=np.concatenate([[0], np.cumsum(sizes)]),
        group_indices=np.concatenate([[0], ends, [count]]),
        vocabulary=vocabulary,
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(2, 9), st.integers(0, 99))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, count: int, length: int, vocabulary: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("set") / "train"
    ours = made(count, length, vocabulary, seed)
    published.save(ours, folder)
    again = published.load(folder)
    for name in ("inputs", "labels", "identifiers", "puzzle_indices", "group_indices"):
        assert np.array_equal(getattr(ours, name), getattr(again, name)), name
    assert (again.vocabulary, again.length, len(again)) == (vocabulary, length, len(ours))
    covered = [row for _, rows in again.groups() for row in rows]
    assert covered == list(range(len(ours)))


def official(folder: Path, **head: Any) -> Path:
    """A split as the official builders write it: two sudoku of length 81, one group each."""
    folder.mkdir(parents=True)
    told = {
        "seq_len": 81, "vocab_size": 11, "pad_id": 0, "ignore_label_id": 0, "sets": ["all"],
        "blank_identifier_id": 0, "num_puzzle_identifiers": 1, "total_groups": 2,
        "mean_puzzle_examples": 1,
    }  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(told | head))
    draw = np.random.default_rng(0)
    for name, array in {
        "inputs": draw.integers(1, 11, (2, 81)),
        "labels": draw.integers(2, 11, (2, 81)),
        "puzzle_identifiers": np.zeros(2, dtype=np.int32),
        "puzzle_indices": np.arange(3, dtype=np.int32),
        "group_indices": np.arange(3, dtype=np.int32),
    }.items():
        np.save(folder / f"all__{name}.npy", array)
    return folder


def test_an_official_split_is_read(tmp_path: Path) -> None:
    found = published.load(official(tmp_path / "train"))
    assert (len(found), found.length, found.vocabulary) == (2, 81, 11)
    assert [*found.groups()] == [(0, range(1)), (1, range(1, 2))]


def test_labels_that_stand_for_no_loss_are_read_as_such(tmp_path: Path) -> None:
    folder = official(tmp_path / "train", ignore_label_id=5)
    labels = np.load(folder / "all__labels.npy")
    found = published.load(folder).labels
    assert np.array_equal(found == published.IGNORED, labels == 5)


def test_files_that_contradict_each_other_are_told_with_the_numbers(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"it has no dataset\.json"):
        published.load(tmp_path)
    with pytest.raises(NotFound, match="has no set 'hard'; it has all"):
        published.load(official(tmp_path / "a"), "hard")
    with pytest.raises(InputError, match="seq_len 80, the arrays have 81"):
        published.load(official(tmp_path / "b", seq_len=80))
    with pytest.raises(InputError, match=r"inputs hold \d+ \.\. 10, outside 0 \.\. 9"):
        published.load(official(tmp_path / "c", vocab_size=10))
    cut = official(tmp_path / "d")
    np.save(cut / "all__puzzle_indices.npy", np.array([0, 1, 3]))
    with pytest.raises(InputError, match="puzzle_indices do not rise from 0 to 2"):
        published.load(cut)
    pickled = official(tmp_path / "e")
    np.save(pickled / "all__labels.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(InputError, match="is no array of numbers"):
        published.load(pickled)
    ours = made(2, 3, 5, 0)
    with pytest.raises(InputError, match="labels are the padding token 0"):
        published.save(replace(ours, labels=np.zeros_like(ours.labels)), tmp_path / "f")
    assert not (tmp_path / "f").exists()
