"""Keys and values that grow in place: transformers' own cache copies all of them every token."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

_STEP = 128  # positions added at a time, so a copy is paid once in this many tokens


class GrowingLayer(DynamicLayer):  # type: ignore[misc]  # transformers is untyped
    """One layer's keys and values as views [B, heads, used, D] of buffers with room to spare."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.room = (key_states[:, :, :0], value_states[:, :, :0])
            self.used = 0
        total = self.used + key_states.shape[-2]
        if total > self.room[0].shape[-2]:
            self.room = (self._larger(self.room[0], total), self._larger(self.room[1], total))
        for room, new in zip(self.room, (key_states, value_states), strict=True):
            room[:, :, self.used : total] = new
        self.used = total
        self._view()
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep only these rows of the batch."""
        self.room = (self.room[0][indices], self.room[1][indices])
        self._view()

    def _larger(self, room: torch.Tensor, total: int) -> torch.Tensor:
        batch, heads, _, width = room.shape
        grown = room.new_empty(batch, heads, total + _STEP, width)
        grown[:, :, : self.used] = room[:, :, : self.used]
        return grown

    def _view(self) -> None:
        self.keys, self.values = (room[:, :, : self.used] for room in self.room)


def growing_cache(config: Any) -> DynamicCache:
    """An empty cache for a model; layers that attend to a window keep transformers' own kind."""
    cache = DynamicCache(config=config)
    cache.layers = [
        GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache


def argument(model: Any) -> str:
    """What `model.forward` calls its cache: transformers 5.24 renamed `past_key_values`."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    named = inspect.signature(base.forward).parameters
    return "cache" if "cache" in named else "past_key_values"
