"""What an OpenAI embeddings request asks for, and the answer in the form its clients read."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from honewheel.server.answers import Refused

MOST = 2048  # texts in one request, as OpenAI has it


@dataclass(frozen=True, slots=True)
class Asked:
    texts: tuple[str, ...]
    base64: bool  # vectors as bytes, not as numbers


def read(body: Mapping[str, Any]) -> Asked:
    """The texts of a request. Raises Refused 400."""
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise _bad("input is a text or an array of texts; arrays of tokens are not read")
    if not texts or not all(text.strip() for text in texts):
        raise _bad("input holds no text, or one that is empty")
    if len(texts) > MOST:
        raise _bad(f"input holds {len(texts):,} texts; {MOST:,} are read in one request")
    if body.get("dimensions") is not None:
        raise _bad("dimensions is not supported: vectors have the length that the model makes")
    encoding = body.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise _bad(f"encoding_format is {encoding!r:.40}; float or base64 is expected")
    return Asked(tuple(texts), base64=encoding == "base64")


def answer(asked: Asked, name: str, vectors: Any, tokens: int) -> dict[str, Any]:
    """`vectors` is a float32 array [n, d]; in base64 its rows are little-endian bytes."""
    rows = vectors.astype("<f4")
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": at,
                "embedding": b64encode(row.tobytes()).decode() if asked.base64 else row.tolist(),
            }
            for at, row in enumerate(rows)
        ],
        "model": name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _bad(message: str) -> Refused:
    return Refused(400, message, "invalid_request_error")
