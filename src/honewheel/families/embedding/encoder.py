"""A sentence-transformers model as a function from texts to unit vectors.

Texts are sorted by length and cut into passes, so little is padded; what sentence-transformers
does to a text (prompt, tokenizer, pooling, dense layers) it does here too.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from honewheel.errors import ConfigError, Damaged
from honewheel.families import modes
from honewheel.families.embedding import base as bases
from honewheel.families.weights import tensor_shapes

# Without gradients. On a processor a pass that stays in its caches is a tenth faster.
TOKENS_PER_PASS = {"cpu": 512, "cuda": 32_768}
_SLACK = 1.2  # a pass holds texts up to this much longer than its shortest, and two tokens
_UNLIMITED = 1 << 20  # tokenizers say 1e30 when they know no limit

Ints = NDArray[np.int64]


class Encoder:
    """The model of `folder` on the device, in float32."""

    def __init__(self, folder: Path, *, whole: bool = False) -> None:
        """Load it; `whole` keeps a pooler that no module reads, for saving all weights.

        Raises:
            Damaged: a tensor of the architecture is not in the weights.
            ConfigError: sentence-transformers cannot build this model.
        """
        self.folder = folder
        self.st: Any = _load(folder)
        self.inner: Any = self.st[0].auto_model
        _refuse_missing(folder, self.inner)
        if not whole and hasattr(self.inner, "pooler"):
            self.inner.pooler = None
        name = self.st.default_prompt_name
        self.prompt: str | None = self.st.prompts[name] if name else None
        self.tokens_per_pass = TOKENS_PER_PASS[modes.device().type]
        self.bfloat16 = False

    @property
    def dimension(self) -> int:
        """Length d of a vector."""
        return int(self.st.get_embedding_dimension())

    @property
    def limit(self) -> int:
        """Tokens of a text that are read; what is longer is cut."""
        return int(min(self.st.max_seq_length or _UNLIMITED, _UNLIMITED))

    @limit.setter
    def limit(self, tokens: int) -> None:
        self.st.max_seq_length = tokens

    def count(self, texts: Sequence[str]) -> Ints:
        """Tokens of each text, prompt and marks included, before anything is cut."""
        if not texts:
            return np.zeros(0, dtype=np.int64)
        with modes.quiet():
            found = self.st.tokenizer([f"{self.prompt or ''}{text}" for text in texts])
        return np.array([len(ids) for ids in found["input_ids"]], dtype=np.int64)

    def embed(self, texts: Sequence[str], counts: Ints) -> torch.Tensor:
        """[n, d] unit vectors of `texts` that have `counts` tokens; gradients as torch is set."""
        passes = list(self.passes(counts))
        kind = modes.device().type
        # One context for all passes: each weight is cast to bfloat16 once.
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=self.bfloat16):
            found = [self._forward([texts[at] for at in rows]) for rows in passes]
        if not found:
            return torch.zeros(0, self.dimension)
        back = np.argsort(np.concatenate(passes))
        return torch.cat(found)[torch.from_numpy(back).to(found[0].device)]

    def passes(self, counts: Ints) -> Iterator[Ints]:
        """Rows of each forward pass, shortest first: little padding, at most `tokens_per_pass`."""
        sizes = np.minimum(counts, self.limit)
        order = np.argsort(sizes, kind="stable")
        start = 0
        for end in range(1, len(order) + 1):
            if end < len(order):
                longest = sizes[order[end]]
                fits = longest <= _SLACK * sizes[order[start]] + 2
                if fits and longest * (end + 1 - start) <= self.tokens_per_pass:
                    continue
            yield order[start:end]
            start = end

    def _forward(self, texts: list[str]) -> torch.Tensor:
        features = self.st.preprocess(texts, prompt=self.prompt)
        device = modes.device()
        features = {
            key: value.to(device) if isinstance(value, torch.Tensor) else value
            for key, value in features.items()
        }
        found = self.st(features)["sentence_embedding"]
        return normalize(found.float(), dim=1)


def _load(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer, __version__

    try:
        with modes.quiet(), warnings.catch_warnings():
            # Older models name their modules by an older path, which still leads there.
            warnings.filterwarnings("ignore", "Importing from 'sent", DeprecationWarning)
            return SentenceTransformer(
                str(folder),
                device=str(modes.device()),
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"use_safetensors": True, "dtype": torch.float32},
            ).eval()
    except ValueError as error:
        raise ConfigError(
            f"sentence-transformers {__version__} cannot load the base in {folder}: {error}"
        ) from error


def _refuse_missing(folder: Path, inner: torch.nn.Module) -> None:
    """Raise Damaged where a weight would have been made up; an unread pooler may be."""
    stored = set(tensor_shapes(bases.transformer(folder)))
    tails = {name[at + 1 :] for name in stored for at, mark in enumerate(name) if mark == "."}
    lacking = [
        name
        for name, _ in inner.named_parameters()
        if name not in stored and name not in tails and not name.startswith("pooler.")
    ]
    if lacking:
        raise Damaged(
            f"{folder} does not hold the weights that its config.json describes: {len(lacking)} "
            f"tensors are missing, first {lacking[0]}."
        )


def set_dropout(model: torch.nn.Module, share: float) -> None:
    """Let every dropout layer of `model` drop `share`."""
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = share
