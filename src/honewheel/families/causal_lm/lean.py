"""A LoRA layer as one step of the gradient graph: the same numbers, fewer passes over memory.

peft's layer is a matrix product, two small ones, a scaling and a sum, each with its own node and
its own copy of the activations. Here the small products are added into the large one in place,
forward and backward, and what is frozen is cast to bfloat16 once a pass. Losses agree with peft's
to rounding (tests/families/test_families_lean.py).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from peft.tuners.lora import Linear
from torch.nn.functional import linear


def lighten(model: Any) -> int:
    """Let the LoRA layers of `model` compute as above; returns how many do.

    Layers with dropout or a variant (DoRA) keep peft's own forward.
    """
    found = [part for part in model.modules() if _is_plain(part)]
    for layer in found:
        layer.forward = partial(_forward, layer, layer.forward)
    return len(found)


def _is_plain(part: object) -> bool:
    return (
        isinstance(part, Linear)
        and type(part.get_base_layer()) is torch.nn.Linear
        and not part.fan_in_fan_out
        and not part.lora_variant
        and [*part.lora_A] == ["default"]
        and isinstance(part.lora_dropout["default"], torch.nn.Identity)
    )


def _forward(layer: Any, peft_forward: Any, x: torch.Tensor, *args: Any, **more: Any) -> Any:
    if layer.disable_adapters or layer.merged or args or more:
        return peft_forward(x, *args, **more)
    base = layer.get_base_layer()
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    apply: Any = _Lora.apply
    return apply(x, base.weight, base.bias, a, b, layer.scaling["default"])


class _Lora(torch.autograd.Function):
    """y = x W' + bias + scale (x A') B' for x [..., in], W [out, in], A [r, in], B [out, r].

    W and the bias are frozen.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
        flat = x.reshape(-1, x.shape[-1]).to(dtype)
        cast = [weight.to(dtype), a.to(dtype), b.to(dtype)]
        small = linear(flat, cast[1])
        out = linear(flat, cast[0], None if bias is None else bias.to(dtype))
        out.addmm_(small, cast[2].t(), alpha=scale)
        ctx.save_for_backward(flat, small, *cast)
        ctx.scale, ctx.shape, ctx.dtype = scale, x.shape, x.dtype
        return out.view(*x.shape[:-1], out.shape[-1])

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        flat, small, weight, a, b = ctx.saved_tensors
        above = gradient.reshape(-1, gradient.shape[-1]).to(weight.dtype)
        inner = (above @ b).mul_(ctx.scale)
        for_a = inner.t() @ flat
        for_b = (above.t() @ small).mul_(ctx.scale)
        for_x = None
        if ctx.needs_input_grad[0]:
            for_x = (above @ weight).addmm_(inner, a).to(ctx.dtype).view(ctx.shape)
        return for_x, None, None, for_a.float(), for_b.float(), None
