"""Attention over sequences that lie end to end in one row, each seeing only itself.

Registered with transformers under `NAME`, so any architecture that goes through its attention
interface trains without padding and without a [T, T] mask. Padding-free with a dense mask would
compute about five times the scores that are needed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from honewheel.errors import ConfigError

NAME = "honewheel_varlen"
# Arguments of some architectures that change the result and that this function does not know.
_UNKNOWN = ("s_aux", "position_bias", "head_mask")


def register() -> None:
    """Make `attn_implementation=NAME` known to transformers. Doing it again changes nothing."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    bounds: tuple[tuple[int, int], ...] | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention inside each of `bounds`.

    query: [1, H, T, D]; key, value: [1, G, T, D] with G dividing H. Returns [1, T, H, D].

    Raises:
        ConfigError: the architecture does not pass `bounds` through, or asks for attention of a
            kind that would be computed wrongly here.
    """
    extra = [name for name in _UNKNOWN if others.get(name) is not None]
    if bounds is None or attention_mask is not None or extra:
        reason = f"it uses {', '.join(extra)}" if extra else "it does not pass sequence bounds on"
        raise ConfigError(
            f"{type(module).__name__} cannot be trained without padding: {reason}. "
            "Choose another base (Llama, Qwen, Mistral and Gemma work)."
        )
    if repeats := query.shape[1] // key.shape[1] - 1:
        key = key.repeat_interleave(repeats + 1, dim=1)
        value = value.repeat_interleave(repeats + 1, dim=1)
    kind, dtype = query.device.type, query.dtype
    mixed = torch.is_autocast_enabled(kind)
    exact = mixed and kind == "cpu"  # there the kernels for bfloat16 are the slower ones
    sides = (side.float() if exact else side for side in (query, key, value))
    # Splitting, unlike slicing, fills no zeros on the way back.
    lengths = [end - start for start, end in bounds]
    rows = zip(*(torch.split(side, lengths, dim=2) for side in sides), strict=True)
    with torch.autocast(kind, enabled=mixed and not exact):
        parts = [_one(q, k, v, scaling, dropout, sliding_window, softcap) for q, k, v in rows]
    return torch.cat([part.transpose(1, 2) for part in parts], dim=1).to(dtype), None


def _one(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float | None,
    dropout: float,
    window: int | None,
    softcap: float | None,
) -> torch.Tensor:
    length = query.shape[2]
    whole = window is None or length <= window
    if softcap is not None:
        return _softcapped(query, key, value, scaling, dropout, window or length, softcap)
    if whole:
        return scaled_dot_product_attention(
            query, key, value, dropout_p=dropout, is_causal=True, scale=scaling
        )
    band = _band(length, window or length, query.device)
    return scaled_dot_product_attention(
        query, key, value, attn_mask=band, dropout_p=dropout, scale=scaling
    )


def _softcapped(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float | None,
    dropout: float,
    window: int,
    softcap: float,
) -> torch.Tensor:
    """Gemma 2: scores pass through softcap * tanh(score / softcap) before the mask."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = softcap * torch.tanh(query @ key.transpose(-1, -2) * scale / softcap)
    seen = _band(query.shape[2], window, query.device)
    shares = torch.softmax(scores.float().masked_fill(~seen, float("-inf")), dim=-1)
    return torch.dropout(shares.to(value.dtype), dropout, dropout > 0) @ value


def _band(length: int, window: int, device: torch.device) -> torch.Tensor:
    """[L, L] bool: position i sees j for 0 <= i - j < window."""
    index = torch.arange(length, device=device)
    distance = index[:, None] - index[None, :]
    return (distance >= 0) & (distance < window)
