"""Embeddings of the base, made once a run and kept in its folder.

    run_dir/embeddings/KEY.npy   float32 [rows, d]; KEY is the hash of base, limits and texts

A block is complete or absent, so a killed run embeds only the blocks that are left.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from honewheel import atomic
from honewheel.families.embedding.encoder import Encoder
from honewheel.records import Json, digest

VERSION = 1
BLOCK = 1024  # texts


def vectors(
    encoder: Encoder,
    texts: Sequence[str],
    folder: Path,
    decisive: Json,
    say: Callable[[int, int], None],
) -> torch.Tensor:
    """[n, d] unit vectors of `texts` by `encoder`, which `decisive` identifies.

    `say` hears after each block how many of how many texts are done.
    """
    blocks = []
    for start in range(0, len(texts), BLOCK):
        rows = texts[start : start + BLOCK]
        path = folder / f"{digest([VERSION, decisive, list(rows)])}.npy"
        if not path.is_file():
            with torch.inference_mode():
                found = encoder.embed(rows, encoder.count(rows)).cpu().numpy()
            buffer = io.BytesIO()
            np.save(buffer, found, allow_pickle=False)
            atomic.write_file(path, buffer.getvalue())
        blocks.append(np.load(path, allow_pickle=False))
        say(min(start + BLOCK, len(texts)), len(texts))
    return torch.from_numpy(np.concatenate(blocks))
