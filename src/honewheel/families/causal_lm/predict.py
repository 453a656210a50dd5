"""A loaded version that answers prompts in batches.

Items are sorted by length and padded on the left; an answer is yielded as soon as it is complete
and its row leaves the batch, so short answers do not wait for long ones and cost nothing more.
Prediction is in float32 on a CPU: bfloat16 gains nothing here, because each step's few rows are
bound by reading the weights, and float32 is what an export is compared with.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

import torch

from honewheel import atomic
from honewheel.families import adapters, weights
from honewheel.families.causal_lm import base as bases
from honewheel.families.causal_lm import memory
from honewheel.families.causal_lm.cache import argument, growing_cache
from honewheel.families.causal_lm.render import Renderer
from honewheel.families.causal_lm.shared import Shared
from honewheel.records import Decoding, Item, Prediction

# Rows that must have ended, as a share of the batch, before it is worth copying the cache.
_COMPACT = 0.25


class CausalModel:
    """A base with one version's adapter, or a version's full weights, ready to predict."""

    def __init__(self, base: str, version_dir: Path | None, shared: Shared | None = None) -> None:
        """Load it, or answer from the weights of its base that are `shared` already.

        Raises:
            NotFound: the base is not here.
            UnsafeModel: pickle weights, or a config that runs code.
            Damaged: a byte of the version is not what was recorded.
        """
        folder, _ = bases.resolve(base)
        adapter: Path | None = None
        if version_dir is not None:
            weights.refuse_unsafe(version_dir)
            atomic.verify(version_dir)
            if (version_dir / adapters.CONFIG).is_file():
                adapter = version_dir
            else:
                folder = version_dir
        self.folder = folder
        self.renderer = Renderer(folder)
        self.base, self.adapter = base, adapter
        self.shared = shared or Shared(folder)
        self.shared.join()
        if shared is None:  # else another version may be answering just now
            self.shared.of(adapter)
        self.positions: int | None = bases.text_config(folder).get("max_position_embeddings")

    @classmethod
    def beside(cls, other: CausalModel, version_dir: Path | None) -> CausalModel | None:
        """A version that answers from the weights of `other`; None where one has its own."""
        whole = version_dir is not None and not (version_dir / adapters.CONFIG).is_file()
        if whole or other.shared.folder != bases.resolve(other.base)[0]:
            return None
        return cls(other.base, version_dir, other.shared)

    @property
    def model(self) -> Any:
        """The weights, with this version's adapter in them."""
        return self.shared.of(self.adapter)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shared.leave()

    def predict(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Prediction]:
        """One Prediction per item, shortest prompts first, each as soon as it is complete.

        An answer that reaches `max_new_tokens` or the base's last position has `stopped` False.
        With a temperature, the draws of an item depend on the seed and its id only.
        """
        prompts = self.renderer.prompts([(item.prompt, item.context) for item in items])
        rows = [
            _Row(
                item.id, prompt, self._room(prompt, decoding), Random(f"{decoding.seed}/{item.id}")
            )
            for item, prompt in zip(items, prompts, strict=True)
        ]
        yield from (self._prediction(row) for row in rows if row.done)
        waiting = sorted((row for row in rows if not row.done), key=lambda row: len(row.prompt))
        if not waiting:
            return
        longest = len(waiting[-1].prompt) + decoding.max_new_tokens
        size = memory.rows_in_cache(self.folder, longest)
        for start in range(0, len(waiting), size):
            yield from self._answer(waiting[start : start + size], decoding.temperature)

    def stream(self, item: Item, decoding: Decoding) -> Generator[str, None, Prediction]:
        """The answer to one item in pieces, as they are decoded; together they are its output.

        A piece holds what is certain: half a character waits for its other half. Returns the whole
        answer, as `predict` gives it.
        """
        prompt = self.renderer.prompts([(item.prompt, item.context)])[0]
        draw = Random(f"{decoding.seed}/{item.id}")
        row = _Row(item.id, prompt, self._room(prompt, decoding), draw)
        told = 0
        for _ in () if row.done else self._steps([row], decoding.temperature):
            text = self.renderer.decode(row.ids)
            if not row.done:
                text = text.rstrip("\ufffd")
            if text[told:]:
                yield text[told:]
                told = len(text)
        return self._prediction(row)

    def _answer(self, rows: list[_Row], temperature: float) -> Iterator[Prediction]:
        """Predictions of `rows`, which are decoded together, as each is complete."""
        for ended in self._steps(rows, temperature):
            yield from map(self._prediction, ended)

    @torch.inference_mode()
    def _steps(self, rows: list[_Row], temperature: float) -> Iterator[list[_Row]]:
        """Decode `rows` together, token by token, keeping their keys and values.

        Yields after each token, with the rows that it completed.
        """
        model = self.model
        device = model.device
        ids, mask = _left_padded([row.prompt for row in rows], self.renderer.pad)
        ids, mask = ids.to(device), mask.to(device)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        cache, named = growing_cache(model.config), argument(model)
        while True:
            output = model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                use_cache=True,
                logits_to_keep=1,
                **{named: cache},
            )
            tokens = _choose(output.logits[:, -1].float(), temperature, rows)
            yield [
                row
                for row, token in zip(rows, tokens.tolist(), strict=True)
                if not row.done and row.take(token, self.renderer.stops)
            ]
            alive = [index for index, row in enumerate(rows) if not row.done]
            if not alive:
                return
            ids, positions = tokens[:, None], positions[:, -1:] + 1
            mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
            if len(rows) - len(alive) >= _COMPACT * len(rows):
                kept = torch.tensor(alive, device=device)
                cache.batch_select_indices(kept)
                ids, mask, positions = ids[kept], mask[kept], positions[kept]
                rows = [rows[index] for index in alive]

    def _room(self, prompt: Sequence[int], decoding: Decoding) -> int:
        """Tokens an answer to `prompt` may have."""
        if self.positions is None:
            return decoding.max_new_tokens
        return min(decoding.max_new_tokens, self.positions - len(prompt))

    def _prediction(self, row: _Row) -> Prediction:
        return Prediction(
            item=row.item,
            output=self.renderer.decode(row.ids),
            tokens=len(row.ids),
            stopped=row.stopped,
            asked=len(row.prompt),
        )


@dataclass(slots=True)
class _Row:
    """One answer in the making."""

    item: str
    prompt: tuple[int, ...]
    room: int
    draw: Random
    ids: list[int] = field(default_factory=list)
    stopped: bool = False

    @property
    def done(self) -> bool:
        return self.stopped or len(self.ids) >= self.room

    def take(self, token: int, stops: frozenset[int]) -> bool:
        """Add a token (a stop token ends the answer unseen); returns whether it is complete."""
        if token in stops:
            self.stopped = True
        else:
            self.ids.append(token)
        return self.done


def _left_padded(prompts: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both [B, longest], padded on the left."""
    width = max(map(len, prompts))
    ids = [[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids), torch.tensor(mask)


def _choose(logits: torch.Tensor, temperature: float, rows: Sequence[_Row]) -> torch.Tensor:
    """[B] next tokens: the likeliest, or drawn by inverting the cumulative distribution."""
    if temperature == 0:
        return logits.argmax(dim=-1)
    cumulative = torch.softmax(logits.double() / temperature, dim=-1).cumsum(dim=-1)
    uniform = [[row.draw.random()] for row in rows]
    points = torch.tensor(uniform, dtype=torch.float64, device=logits.device)
    drawn = torch.searchsorted(cumulative, points * cumulative[:, -1:], right=True)[:, 0]
    return drawn.clamp(max=logits.shape[-1] - 1)
