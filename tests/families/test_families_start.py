"""A run may go on from a version: where it begins, how it resumes, and what it refuses."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from causal_builders import dataset, example, preferences, spec
from safetensors.torch import load_file

from honewheel import atomic
from honewheel.errors import Damaged
from honewheel.families import snapshot
from honewheel.families.causal_lm import interpolate, start
from honewheel.families.causal_lm.family import CausalLM
from honewheel.protocols import START
from honewheel.records import Dataset, Spec

FAMILY = CausalLM()
MORE = replace(dataset(), hash="more", train=tuple(example(50 + n) for n in range(16)))


def trained(given: Spec, data: Dataset, run_dir: Path, stop: int | None = None) -> None:
    run_dir.mkdir(exist_ok=True)
    for progress in FAMILY.train(given, data, run_dir):
        if progress.step == stop:
            return


def report(run_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run_dir / "final" / "training.json").read_text())
    return found


def weights(folder: Path) -> dict[str, torch.Tensor]:
    (path,) = folder.glob("*.safetensors")
    return dict(load_file(path))


def best(found: dict[str, Any]) -> float:
    return float(dict(found["val_losses"])[found["best_update"]])


def warm(base: Path, champion: Path, run_dir: Path, method: str = "lora", **settings: Any) -> Spec:
    """A spec that goes on from `champion`, with its copy where `train.run` would put it."""
    run_dir.mkdir()
    shutil.copytree(champion, run_dir / START)
    quick = {"start": "champion", "learning_rate": 2e-3 if method == "lora" else 5e-4}
    given = spec(base, method, **quick | settings)
    return replace(given, start_files=atomic.verify(champion))


@pytest.fixture(scope="module")
def champions(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The runs of a version of each method."""
    found = {}
    for method, rate in (("lora", 1e-2), ("full", 1e-3)):
        found[method] = tmp_path_factory.mktemp(method)
        trained(spec(llama, method, learning_rate=rate), dataset(), found[method])
    return found


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_run_begins_where_the_champion_ended(
    llama: Path, tmp_path: Path, champions: dict[str, Path], method: str
) -> None:
    champion = champions[method] / "final"
    given = warm(llama, champion, tmp_path / "warm", method)
    model = start.model(llama, given, start.folder(given, tmp_path / "warm"))
    stored = weights(champion)
    for name, weight in snapshot.trainable(model):
        assert torch.equal(weight, stored[name.replace(".default", "")])
    trained(given, MORE, tmp_path / "warm")
    found = report(tmp_path / "warm")
    assert found["val_losses"][0][1] == pytest.approx(best(report(champions[method])), abs=1e-6)
    assert found["inputs"]["start_files"] == atomic.verify(champion)
    assert best(found) < best(report(champions[method]))
    cold = replace(given, start_files=None, settings={**given.settings, "start": "base"})
    trained(cold, MORE, tmp_path / "cold")
    first = report(champions[method])["val_losses"][0][1]
    assert report(tmp_path / "cold")["val_losses"][0][1] == pytest.approx(first, abs=1e-6)


def test_a_warm_run_that_was_cut_short_ends_with_the_same_bytes(
    llama: Path, tmp_path: Path, champions: dict[str, Path]
) -> None:
    ends = []
    for name, stop in (("whole", None), ("cut", 3)):
        given = warm(llama, champions["lora"] / "final", tmp_path / name, checkpoint_every=2)
        trained(given, MORE, tmp_path / name, stop)
        trained(given, MORE, tmp_path / name)
        ends.append(atomic.verify(tmp_path / name / "final"))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_run_may_stop_between_champion_and_challenger(
    llama: Path,
    tmp_path: Path,
    champions: dict[str, Path],
    method: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    champion = champions[method] / "final"
    monkeypatch.setattr(interpolate, "choose", lambda losses, min_delta: 0.5)
    for name, asked in (("end", False), ("half", True)):
        given = warm(llama, champion, tmp_path / name, method, epochs=1, interpolate=asked)
        trained(given, MORE, tmp_path / name)
    begin, end = weights(champion), weights(tmp_path / "end" / "final")
    moved = 0
    for name, tensor in weights(tmp_path / "half" / "final").items():
        assert torch.allclose(tensor, (begin[name] + end[name]) / 2, atol=1e-6)
        moved += not torch.equal(begin[name], end[name])
    assert moved


def test_preferences_are_held_to_the_champion(
    llama: Path, tmp_path: Path, champions: dict[str, Path]
) -> None:
    champion = champions["lora"] / "final"
    how = {"objective": "dpo", "sft_weight": 0.0, "learning_rate": 1e-3, "epochs": 1}
    given = warm(llama, champion, tmp_path / "warm", **how)
    trained(given, preferences(8, 2), tmp_path / "warm")
    # Policy and reference are the same before the first update.
    assert report(tmp_path / "warm")["losses"][0][1] == pytest.approx(math.log(2), abs=1e-5)
    cold = replace(given, start_files=None, settings={**given.settings, "start": "base"})
    trained(cold, preferences(8, 2), tmp_path / "cold")
    assert len([*(tmp_path / "reference").iterdir()]) == 2  # the base's are not the champion's


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"rank": 4}, "rank 16, and rank 4 is asked for"),
        (
            {"alpha": 16, "rslora": False},
            "alpha 8 and rslora true, and alpha 16 and rslora false is",
        ),
        ({"target_modules": "v_proj, q_proj"}, "target_modules all-linear, and target_modules v_p"),
    ],
)
def test_an_adapter_of_another_shape_is_refused_with_the_numbers(
    llama: Path, champions: dict[str, Path], asked: dict[str, Any], told: str
) -> None:
    champion = champions["lora"] / "final"
    (found,) = FAMILY.check_start(spec(llama, start="champion", **asked), champion)
    assert told in found.message
    assert found.severity == "error"
    assert 'start = "base"' in found.message


def test_what_shapes_no_weight_may_differ_and_the_method_may_not(
    llama: Path, champions: dict[str, Path]
) -> None:
    free = {"dropout": 0.1, "learning_rate": 1e-4, "objective": "dpo"}
    assert not FAMILY.check_start(spec(llama, **free), champions["lora"] / "final")
    assert not FAMILY.check_start(spec(llama, "full"), champions["full"] / "final")
    (found,) = FAMILY.check_start(spec(llama, "full"), champions["lora"] / "final")
    assert "method lora, and method full is asked for" in found.message


def test_a_version_without_its_adapter_is_damaged(
    llama: Path, tmp_path: Path, champions: dict[str, Path]
) -> None:
    given = warm(llama, champions["lora"] / "final", tmp_path / "warm")
    with pytest.raises(Damaged, match="holds another adapter than its settings describe"):
        start.model(
            llama, replace(given, settings={**given.settings, "rank": 8}), tmp_path / "warm" / START
        )
