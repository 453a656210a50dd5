"""Lean LoRA layers compute what peft's do, forward and backward."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from causal_builders import dataset, spec
from torch.nn.functional import scaled_dot_product_attention

from honewheel.families import adapters
from honewheel.families.causal_lm import attention, lean, loading
from honewheel.families.causal_lm.collate import flatten
from honewheel.families.causal_lm.family import CausalLM
from honewheel.families.causal_lm.render import Renderer
from honewheel.families.causal_lm.scoring import token_losses


def adapted(base: Path, **changes: Any) -> Any:
    """A base with adapters that have been moved from their start."""
    attention.register()
    settings = dict(spec(base, **changes).settings)
    model = loading.load(base, attention=attention.NAME, full_precision=False)
    found = adapters.attach(model, settings, 0)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in trained(found):
            weight.add_(torch.randn_like(weight) / 20)
    return found


def trained(model: Any) -> list[torch.Tensor]:
    return [weight for weight in model.parameters() if weight.requires_grad]


def losses(model: Any, base: Path, *, bfloat16: bool = False) -> torch.Tensor:
    rows = Renderer(base).encode(dataset(4).train)
    return token_losses(model, flatten(rows), bfloat16)


@pytest.mark.parametrize(("bfloat16", "close"), [(False, 1e-5), (True, 3e-2)])
def test_losses_and_gradients_are_those_of_peft(llama: Path, bfloat16: bool, close: float) -> None:
    found: list[tuple[torch.Tensor, list[torch.Tensor | None]]] = []
    for light in (False, True):
        model = adapted(llama)
        assert not light or lean.lighten(model) == 14
        values = losses(model, llama, bfloat16=bfloat16)
        values.mean().backward()
        found.append((values.detach(), [weight.grad for weight in trained(model)]))
    (left, left_gradients), (right, right_gradients) = found
    torch.testing.assert_close(right, left, rtol=close, atol=close)
    for one, other in zip(left_gradients, right_gradients, strict=True):
        assert one is not None
        assert other is not None
        assert one.dtype == other.dtype == torch.float32
        assert float((one - other).norm()) <= close * float(one.norm()) + 1e-7


def test_a_disabled_adapter_is_the_base(llama: Path) -> None:
    model = adapted(llama)
    lean.lighten(model)
    with torch.no_grad(), model.disable_adapter():
        disabled = losses(model, llama)
    base = loading.load(llama, attention=attention.NAME, full_precision=False)
    with torch.no_grad():
        torch.testing.assert_close(disabled, losses(base, llama), rtol=1e-6, atol=1e-6)


def test_layers_with_dropout_keep_pefts_own_forward(llama: Path) -> None:
    assert lean.lighten(adapted(llama, dropout=0.2)) == 0


def test_training_runs_on_them(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    light, real = list[int](), lean.lighten
    monkeypatch.setattr(lean, "lighten", lambda model: light.append(real(model)))
    list(CausalLM().train(spec(llama, updates=1), dataset(4, val=0), tmp_path))
    assert light == [14]


def test_attention_beside_others_is_attention_alone_and_exact_on_a_processor() -> None:
    draw = torch.Generator().manual_seed(0)
    sides = [torch.randn(1, 2, 12, 8, generator=draw, dtype=torch.bfloat16) for _ in range(3)]
    bounds = ((0, 5), (5, 6), (6, 12))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = attention.attend(torch.nn.Identity(), *sides, None, bounds=bounds)
    alone = [
        scaled_dot_product_attention(
            *(side[:, :, start:end].float() for side in sides), is_causal=True
        )
        for start, end in bounds
    ]
    assert found.dtype is torch.bfloat16
    assert torch.equal(found, torch.cat(alone, dim=2).transpose(1, 2).to(torch.bfloat16))
