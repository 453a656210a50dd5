"""The recurrent reasoner: two latent states refined by a small net, segment after segment.

Cells in, cells out: tokens [B, L] of a puzzle become logits [B, L, V] for the same positions. Two
states of shape [B, S, d], high and low (S = prefix + L), are carried from segment to segment:

    low = net(low, high + e)   `low_cycles` times, then   high = net(high, low)

and that `high_cycles` times; e is the embedded puzzle. "hrm" has a net for each state and gives
gradients to the last call of each only; "trm" has one net for both and gives gradients to the whole
last cycle. Written from the equations of arXiv:2506.21734 and arXiv:2510.04871.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from honewheel.families.reasoner.config import ReasonerConfig
from honewheel.families.reasoner.shape import Shape

_NORM_EPSILON = 1e-5
_ROPE_THETA = 10_000.0
# Standard deviation of a unit normal cut at two of its own: weights are divided by it.
_TRUNCATED = 0.8796256610342398
_DECLARED = 5.0  # each head begins by looking along one of the declared relations
_UNDECIDED = -5.0  # halting begins as "surely not"


@dataclass(frozen=True, slots=True)
class State:
    """What is carried between segments: two tensors [B, S, d], without gradients."""

    high: torch.Tensor
    low: torch.Tensor

    def replaced(self, rows: torch.Tensor, by: State) -> State:
        """The state in which the rows that `rows` [B] marks are those of `by`."""
        at = rows[:, None, None]
        return State(torch.where(at, by.high, self.high), torch.where(at, by.low, self.low))


@dataclass(frozen=True, slots=True)
class Boards:
    """The kinds of board that a batch may hold, K of them.

    tasks [K]: which task's weights; related [K, R, L, L]: declared relations of cells, as 0 and 1;
    used [K, L]: cells that there are (shorter boards are padded).
    """

    tasks: torch.Tensor
    related: torch.Tensor
    used: torch.Tensor

    def only(self, kinds: torch.Tensor) -> tuple[Boards, torch.Tensor]:
        """The boards that `kinds` [B] names, and [B] where each row finds its own among them."""
        there, places = torch.unique(kinds, return_inverse=True)
        return Boards(self.tasks[there], self.related[there], self.used[there]), places


class Reasoner(PreTrainedModel):  # type: ignore[misc]  # transformers has no types
    """See the head of this file. Weights are undefined until `begin` or a checkpoint sets them."""

    config_class = ReasonerConfig
    main_input_name = "tokens"
    _no_split_modules = ["_Block"]  # noqa: RUF012  # transformers' way to say it

    def __init__(self, config: ReasonerConfig) -> None:
        super().__init__(config)
        self.shape = shape = config.shape
        hidden = shape.hidden_size
        self.tokens = nn.Embedding(shape.vocabulary, hidden)
        self.tasks = nn.Embedding(shape.tasks, shape.prefix * hidden)
        learned = shape.positions == "learned" and shape.mixer == "attention"
        self.places = nn.Parameter(torch.empty(shape.positions_held, hidden)) if learned else None
        self.nets = nn.ModuleList(_Net(shape) for _ in range(shape.nets))
        self.head = nn.Linear(hidden, shape.vocabulary, bias=False)
        self.halt = nn.Linear(hidden, 2)
        self.first_high: torch.Tensor
        self.first_low: torch.Tensor
        self.register_buffer("first_high", torch.empty(hidden))
        self.register_buffer("first_low", torch.empty(hidden))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: `begin` draws all weights from one seed, and a checkpoint holds all of them."""

    @torch.no_grad()
    def begin(self, seed: int) -> None:
        """Draw all weights anew. The same seed and shape give the same bits on a CPU."""
        draw = torch.Generator().manual_seed(seed)
        hidden = self.shape.hidden_size
        for module in self.modules():
            if isinstance(module, nn.Linear) and module is not self.halt:
                _truncated(module.weight, module.in_features**-0.5, draw)
            if isinstance(module, _Attention) and module.relations is not None:
                module.relations.copy_(_looking(module.relations))
        _truncated(self.tokens.weight, hidden**-0.5, draw)
        if self.places is not None:
            _truncated(self.places, hidden**-0.5, draw)
        for first in (self.first_high, self.first_low):
            _truncated(first, 1.0, draw)
        self.tasks.weight.zero_()
        self.halt.weight.zero_()
        self.halt.bias.fill_(_UNDECIDED)

    def start(self, rows: int) -> State:
        """The fixed first state of `rows` rows."""
        shape = (rows, self.shape.positions_held, self.shape.hidden_size)
        return State(self.first_high.expand(shape), self.first_low.expand(shape))

    def forward(
        self, tokens: torch.Tensor, kinds: torch.Tensor, boards: Boards, state: State
    ) -> tuple[torch.Tensor, torch.Tensor, State]:
        """One segment.

        tokens [B, L] int64, kinds [B] (which of `boards` each row is) and the carried state give
        logits [B, L, V], (halt, continue) logits [B, 2], both float32, and the next state.
        """
        found, places = boards.only(kinds)
        embedded = self._embed(tokens, found.tasks[places])
        nets: list[Any] = [*self.nets]
        biases = [net.biases(found, places, self.shape) for net in nets]
        low_net, high_net = nets[0], nets[-1]
        low_bias, high_bias = biases[0], biases[-1]
        high, low = state.high, state.low
        shape = self.shape
        one_step = shape.kind == "hrm"
        with torch.no_grad():
            for _ in range(shape.high_cycles - 1):
                for _ in range(shape.low_cycles):
                    low = low_net(low, high + embedded, low_bias)
                high = high_net(high, low, high_bias)
            for _ in range(shape.low_cycles - 1 if one_step else 0):
                low = low_net(low, high + embedded, low_bias)
        for _ in range(1 if one_step else shape.low_cycles):
            low = low_net(low, high + embedded, low_bias)
        high = high_net(high, low, high_bias)
        logits = self.head(high[:, shape.prefix :]).float()
        return logits, self.halt(high[:, 0]).float(), State(high.detach(), low.detach())

    def _embed(self, tokens: torch.Tensor, tasks: torch.Tensor) -> torch.Tensor:
        """[B, S, d]: the task's embedding in front of the cells, scaled to unit variance."""
        hidden = self.shape.hidden_size
        front = self.tasks(tasks).view(len(tokens), self.shape.prefix, hidden)
        found = torch.cat([front, self.tokens(tokens)], dim=1)
        if self.places is not None:
            found = (found + self.places) * math.sqrt(0.5)
        return found * math.sqrt(hidden)


class _Net(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(shape) for _ in range(shape.layers))

    def biases(self, boards: Boards, places: torch.Tensor, shape: Shape) -> list[Any]:
        """What each block's attention adds to its logits: the same in every call of a segment."""
        if shape.mixer == "mlp":
            return [None] * shape.layers
        hidden = _hidden_cells(boards, shape)
        mixers: list[Any] = [block.mixer for block in self.blocks]
        return [mixer.bias(boards, places, hidden) for mixer in mixers]

    def forward(
        self, state: torch.Tensor, injected: torch.Tensor, biases: Sequence[torch.Tensor | None]
    ) -> torch.Tensor:
        state = state + injected
        for block, bias in zip(self.blocks, biases, strict=True):
            state = block(state, bias)
        return state


class _Block(nn.Module):
    """Mix across positions, then within each; a norm without weights after either."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.mixer = _Attention(shape) if shape.mixer == "attention" else _Across(shape)
        self.inner = _SwiGLU(shape.hidden_size, shape.inner)

    def forward(self, state: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        state = _norm(state + self.mixer(state, bias))
        return _norm(state + self.inner(state))


class _SwiGLU(nn.Module):
    def __init__(self, size: int, inner: int) -> None:
        super().__init__()
        self.up = nn.Linear(size, 2 * inner, bias=False)
        self.down = nn.Linear(inner, size, bias=False)

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        gate, value = self.up(state).chunk(2, dim=-1)
        found: torch.Tensor = self.down(functional.silu(gate) * value)
        return found


class _Across(nn.Module):
    """A SwiGLU over the positions of a board, the same for every hidden unit."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.mix = _SwiGLU(shape.positions_held, shape.mixing)

    def forward(self, state: torch.Tensor, bias: None) -> torch.Tensor:
        found: torch.Tensor = self.mix(state.transpose(1, 2)).transpose(1, 2)
        return found


class _Attention(nn.Module):
    """Every position sees every other. `relations` [T, heads, R] belongs to single tasks:

    logits[h, i, j] += sum_r relations[t, h, r] * related[r, i, j].
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.prefix = shape.heads, shape.prefix
        self.rope = shape.positions == "rope"
        self.qkv = nn.Linear(shape.hidden_size, 3 * shape.hidden_size, bias=False)
        self.out = nn.Linear(shape.hidden_size, shape.hidden_size, bias=False)
        sizes = (shape.tasks, shape.heads, shape.biases)
        self.relations = nn.Parameter(torch.empty(sizes)) if shape.biases else None

    def bias(
        self, boards: Boards, places: torch.Tensor, hidden: torch.Tensor | None
    ) -> torch.Tensor | None:
        """[1 or B, heads or 1, S, S], or None where there is nothing to add."""
        found = hidden
        if self.relations is not None:
            weights = self.relations[boards.tasks]
            related = torch.einsum("khr,krij->khij", weights, boards.related)
            # The prefix stands in no relation.
            found = functional.pad(related, (self.prefix, 0, self.prefix, 0))
            found = found if hidden is None else found + hidden
        return found if found is None or len(found) == 1 else found[places]

    def forward(self, state: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        rows, length, size = state.shape
        shape = (rows, length, 3, self.heads, size // self.heads)
        query, key, value = self.qkv(state).view(shape).permute(2, 0, 3, 1, 4)
        if self.rope:
            query, key = _rotated(query), _rotated(key)
        if bias is not None:
            bias = bias.to(query.dtype)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        found: torch.Tensor = self.out(mixed.transpose(1, 2).reshape(rows, length, size))
        return found


def _hidden_cells(boards: Boards, shape: Shape) -> torch.Tensor | None:
    """[K, 1, 1, S]: minus infinity where a board has no cell; None where all are full."""
    if bool(boards.used.all()):
        return None
    used = functional.pad(boards.used, (shape.prefix, 0), value=True)
    return torch.zeros(used.shape, device=used.device).masked_fill(~used, -math.inf)[:, None, None]


def _norm(state: torch.Tensor) -> torch.Tensor:
    return functional.rms_norm(state, (state.shape[-1],), eps=_NORM_EPSILON)


def _rotated(found: torch.Tensor) -> torch.Tensor:
    """Rotary positions (Su et al. 2021, arXiv:2104.09864) on [B, heads, S, size]."""
    cosine, sine = _angles(found.shape[-2], found.shape[-1], found.device)
    left, right = found.chunk(2, dim=-1)
    turned = found * cosine + torch.cat([-right, left], dim=-1) * sine
    return turned.to(found.dtype)


@lru_cache(maxsize=16)
def _angles(length: int, size: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    steps = torch.arange(0, size, 2, dtype=torch.float32, device=device) / size
    angles = torch.outer(
        torch.arange(length, dtype=torch.float32, device=device), _ROPE_THETA**-steps
    )
    both = torch.cat([angles, angles], dim=-1)
    return both.cos(), both.sin()


def _truncated(weight: torch.Tensor, deviation: float, draw: torch.Generator) -> None:
    """Fill with a normal cut at two standard deviations whose own is `deviation`."""
    nn.init.trunc_normal_(weight, 0.0, 1.0, -2.0, 2.0, generator=draw)
    weight.mul_(deviation / _TRUNCATED)


def _looking(relations: torch.Tensor) -> torch.Tensor:
    """[T, heads, R]: head h begins with relation h mod R."""
    _, heads, count = relations.shape
    chosen = torch.arange(heads) % count
    return (_DECLARED * functional.one_hot(chosen, count)).float().expand_as(relations)
