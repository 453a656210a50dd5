"""A run may stop short of its end: as near to the start as val allows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from causal_builders import dataset, spec
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from honewheel.families.causal_lm import interpolate
from honewheel.families.causal_lm.family import CausalLM

FAMILY = CausalLM()
LOSSES = st.lists(st.floats(0, 10), min_size=4, max_size=4)


@settings(deadline=None, max_examples=80)
@given(st.lists(LOSSES, min_size=2, max_size=9), st.floats(0, 5))
def test_the_share_is_the_least_that_is_not_told_from_the_best(
    items: list[list[float]], min_delta: float
) -> None:
    losses = {
        share: [row[place] for row in items] for place, share in enumerate(interpolate.SHARES)
    }
    chosen = interpolate.choose(losses, min_delta)
    best = min(losses, key=lambda share: (sum(losses[share]), share))
    assert chosen <= best
    assert interpolate.choose(losses, 0.0) >= chosen  # more certainty asked for moves it back


def test_what_val_cannot_tell_apart_moves_least_and_a_clear_gain_goes_all_the_way() -> None:
    flat = {share: [1.0, 2.0, 3.0] for share in interpolate.SHARES}
    assert interpolate.choose(flat, 1.0) == 0.25
    steep = {share: [3 - share, 4 - share, 5.1 - share] for share in interpolate.SHARES}
    assert interpolate.choose(steep, 1.0) == 1.0


def run(base: Path, folder: Path, method: str, val: int = 4, **more: Any) -> dict[str, Any]:
    folder.mkdir()
    for _ in FAMILY.train(spec(base, method, epochs=1, **more), dataset(8, val), folder):
        pass
    found: dict[str, Any] = json.loads((folder / "final" / "training.json").read_text())
    return found


def weights(folder: Path) -> dict[str, torch.Tensor]:
    (path,) = (folder / "final").glob("*.safetensors")
    return dict(load_file(path))


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_weights_stand_at_the_share_that_val_chose(
    llama: Path, tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(llama, tmp_path / "end", method)["interpolation"] is None
    monkeypatch.setattr(interpolate, "choose", lambda losses, min_delta: 0.5)
    found = run(llama, tmp_path / "half", method, interpolate=True)["interpolation"]
    assert found["share"] == 0.5
    assert [share for share, _ in found["val_losses"]] == list(interpolate.SHARES)
    end, half = weights(tmp_path / "end"), weights(tmp_path / "half")
    start = load_file(llama / "model.safetensors") if method == "full" else {}
    moved = 0
    for name, tensor in half.items():
        if "lora_A" in name:
            assert torch.equal(tensor, end[name])
            continue
        begin = start[name].float() if start else torch.zeros_like(tensor)
        assert torch.allclose(tensor, (begin + end[name]) / 2, atol=1e-6)
        moved += not torch.equal(tensor, end[name])
    assert moved


def test_all_of_the_way_is_the_run_itself_bit_for_bit(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(llama, tmp_path / "plain", "lora")
    monkeypatch.setattr(interpolate, "choose", lambda losses, min_delta: 1.0)
    run(llama, tmp_path / "asked", "lora", interpolate=True)
    plain, asked = weights(tmp_path / "plain"), weights(tmp_path / "asked")
    assert all(torch.equal(plain[name], asked[name]) for name in plain)


def test_without_validation_rows_the_weights_stay_and_it_is_said(
    llama: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    told = spec(llama, epochs=1, interpolate=True)
    seen = [one.message for one in FAMILY.train(told, dataset(8, 0), tmp_path / "run")]
    assert "interpolate: no validation rows, so the weights stay as trained" in seen
