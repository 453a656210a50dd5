"""A loaded version: texts to unit vectors, pairs to the cosine of theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from honewheel import atomic
from honewheel.errors import ConfigError, Damaged
from honewheel.families import adapters, weights
from honewheel.families.embedding import base as bases
from honewheel.families.embedding import head
from honewheel.families.embedding.encoder import Encoder
from honewheel.families.embedding.training import IDENTITY
from honewheel.records import Decoding, Item, Prediction
from honewheel.tasks.similarity import pair

BLOCK = 256  # pairs, or texts, that are embedded together


class EmbeddingModel:
    """A base with one version's head or adapter, or a version's full weights, in float32."""

    def __init__(self, base: str, version_dir: Path | None) -> None:
        """Load it.

        Raises:
            NotFound: the base is not here.
            UnsafeModel: pickle weights, or code that came with the model.
            Damaged: a byte of the version is not what was recorded.
            ConfigError: the version was trained on other weights than those of `base`.
        """
        folder, found = bases.resolve(base)
        self.head: head.Residual | None = None
        method = None if version_dir is None else _method(version_dir, base, found)
        if version_dir is not None and method == "full":
            folder = bases.resolve(str(version_dir))[0]
        self.encoder = encoder = Encoder(folder)
        if version_dir is not None and method == "lora":
            adapted = adapters.load(encoder.inner, version_dir)
            assert adapted is encoder.inner, "merging exchanges the layers in place"
        if version_dir is not None and method == "head":
            self.head = head.load(version_dir).eval()
        encoder.st.eval()

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.encoder.dimension

    @property
    def limit(self) -> int:
        """Tokens of a text that are read."""
        return self.encoder.limit

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del self.encoder, self.head
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def count(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """[n] tokens of each text, before anything beyond `limit` is cut off."""
        return self.encoder.count(texts)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[n, d] vectors of length one, so that a scalar product is a cosine."""
        blocks = [
            self._embed(texts[at : at + BLOCK], self.count(texts[at : at + BLOCK]))
            for at in range(0, len(texts), BLOCK)
        ]
        return np.concatenate(blocks) if blocks else np.zeros((0, self.dimension), np.float32)

    def predict(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Prediction]:
        """The cosine of each item's two texts where it is above zero, else zero, in six digits.

        `tokens` are those that were read. There is nothing to decode: `decoding` decides nothing.
        Raises ParseError for an item that is no pair.
        """
        for at in range(0, len(items), BLOCK):
            yield from self._answer(items[at : at + BLOCK])

    def _answer(self, items: Sequence[Item]) -> Iterator[Prediction]:
        both = [pair(item.prompt, item.context) for item in items]
        numbers: dict[str, int] = {}
        for text in (text for one in both for text in one):
            numbers.setdefault(text, len(numbers))
        texts = list(numbers)
        counts = self.count(texts)
        vectors = self._embed(texts, counts)
        read = np.minimum(counts, self.limit)
        for item, (a, b) in zip(items, both, strict=True):
            one, other = numbers[a], numbers[b]
            cosine = float(vectors[one] @ vectors[other])
            yield Prediction(
                item=item.id,
                output=f"{min(1.0, max(0.0, cosine)):.6f}",
                tokens=int(read[one] + read[other]),
            )

    @torch.inference_mode()
    def _embed(self, texts: Sequence[str], counts: NDArray[np.int64]) -> NDArray[np.float32]:
        found = self.encoder.embed(texts, counts)
        if self.head is not None:
            found = self.head(found.cpu())
        vectors: NDArray[np.float32] = found.cpu().numpy()
        return vectors


def _method(folder: Path, base: str, base_hash: str) -> str:
    """How the version in `folder` was trained. Raises UnsafeModel, Damaged, ConfigError."""
    weights.refuse_unsafe(folder)
    atomic.verify(folder)
    try:
        found: dict[str, Any] = json.loads((folder / IDENTITY).read_text())
    except (OSError, ValueError) as error:
        raise Damaged(f"{folder} is no embedding version: {IDENTITY}: {error}") from error
    if found["base_hash"] != base_hash:
        raise ConfigError(
            f"{folder} was trained on {found['base']} with sha256 {found['base_hash'][:12]}, but "
            f"the base {base} here has {base_hash[:12]}. Its vectors would mean nothing: set the "
            "base back to the one it was trained on."
        )
    return str(found["method"])
