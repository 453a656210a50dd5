"""What a model thinks of answers: the loss of each answer token, the log-probability of each row.

Everything that is trained, validated or used as a reference goes through `token_losses`, so a
reference and a policy with equal weights give equal numbers.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence, Sized
from typing import Any, TypeVar

import torch
from torch.nn.functional import cross_entropy

from honewheel.errors import ConfigError
from honewheel.families.causal_lm.collate import Pass, flatten
from honewheel.families.causal_lm.render import Encoded

_Unit = TypeVar("_Unit", bound=Sized)
# Nats that rounding stays below at every token, in float32 and in bfloat16.
_APART = {torch.float32: 1e-3, torch.bfloat16: 0.5}


def split(units: Sequence[_Unit], limit: int) -> Iterator[list[_Unit]]:
    """`units` in order, in as few parts of at most `limit` tokens each; a longer one alone."""
    held: list[_Unit] = []
    for unit in units:
        if held and sum(map(len, held)) + len(unit) > limit:
            yield held
            held = []
        held.append(unit)
    if held:
        yield held


class Scorer:
    """A model with the arithmetic it is used in; `limit` is the most tokens of one pass."""

    def __init__(self, model: Any, bfloat16: bool, limit: int) -> None:
        self.model, self.bfloat16, self.limit = model, bfloat16, limit
        self.device: torch.device = next(model.parameters()).device

    def token_losses(self, rows: Sequence[Encoded]) -> torch.Tensor:
        """[L] float32: cross-entropy (nats) of the answer tokens of all `rows`, in one pass."""
        return token_losses(self.model, flatten(rows).to(self.device), self.bfloat16)

    def log_probs(self, rows: Sequence[Encoded]) -> torch.Tensor:
        """[rows] float32: log-probability (nats, summed) of each answer, in one pass."""
        losses = by_row(self.token_losses(rows), rows)
        return -torch.stack([part.sum() for part in losses])

    @torch.no_grad()
    def fixed_log_probs(self, rows: Sequence[Encoded], limit: int | None = None) -> torch.Tensor:
        """Like `log_probs`, without gradients and in as many passes as `limit` asks for."""
        found = [self.log_probs(part) for part in split(rows, limit or self.limit)]
        return torch.cat(found) if found else torch.zeros(0, device=self.device)

    @torch.no_grad()
    def refuse_mixing(self, rows: Sequence[Encoded]) -> None:
        """Raise ConfigError when a sequence is read differently beside another one.

        Layers that carry a state along (Mamba, short convolutions) would do so: they know no
        bounds. Every token counts here, since such a state fades from the first one on.
        """
        first, second = (Encoded(row.ids, 1) for row in sorted(rows, key=len)[:2])
        exact = next(self.model.parameters()).dtype is torch.float32
        plain = Scorer(self.model, bfloat16=self.bfloat16 and not exact, limit=self.limit)
        together = by_row(plain.token_losses([first, second]), [first, second])[1]
        apart = (together - plain.token_losses([second])).abs().max().item()
        most = _APART[torch.float32 if exact else torch.bfloat16]
        if not apart <= most and bool(together.isfinite().all()):
            raise ConfigError(
                f"{_architecture(self.model)} reads a sequence differently beside another one (by "
                f"{apart:.2g} nats at a token), so it cannot be trained without padding. "
                "Choose another base (Llama, Qwen, Mistral and Gemma work)."
            )


def by_row(losses: torch.Tensor, rows: Sequence[Encoded]) -> tuple[torch.Tensor, ...]:
    """`losses` [L] of the answer tokens of `rows`, cut into those of each row."""
    return torch.split(losses, [row.loss_tokens for row in rows])


def token_losses(model: Any, part: Pass, bfloat16: bool) -> torch.Tensor:
    """[L] float32, cross-entropy of each answer token; the LM head sees only these positions.

    Matrix products are in bfloat16 when asked for; the softmax is always in float32.
    """
    with torch.autocast(part.ids.device.type, dtype=torch.bfloat16, enabled=bfloat16):
        logits = model(
            input_ids=part.ids,
            position_ids=part.positions,
            bounds=part.bounds,
            logits_to_keep=part.keep,
            use_cache=False,
        ).logits[0]
    if len(logits) != len(part.targets):
        raise ConfigError(
            f"{_architecture(model)} computes logits for {len(logits)} positions where "
            f"{len(part.targets)} were asked for; this architecture cannot be trained here."
        )
    return cross_entropy(logits.float(), part.targets, reduction="none")


def _architecture(model: Any) -> str:
    """Name of the architecture, also under adapters."""
    return str((model.config.architectures or [type(model).__name__])[0])


def refuse_foreign(model: Any) -> None:
    """Raise ConfigError when the forward pass of a bare `model` does not take what it must."""
    taken = inspect.signature(model.forward).parameters
    missing = [name for name in ("position_ids", "logits_to_keep") if name not in taken]
    if missing:
        raise ConfigError(
            f"{type(model).__name__} cannot be trained without padding: its forward pass takes no "
            f"{' and no '.join(missing)}. Choose another base (Llama, Qwen, Mistral and Gemma "
            "work)."
        )
