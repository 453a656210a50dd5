"""Folders of weights: where a Hub name lies, what makes one unsafe, what decides its answers.

Shared by the families. Nothing is downloaded here, and no code that came with a model is ever run.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from honewheel import atomic
from honewheel.errors import Damaged, MissingExtra, NotFound, UnsafeModel

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)
# Keys that name Python to import (auto_map, CVE-2026-4372) or a kernel to fetch.
_CODE_KEYS = ("auto_map", "auto_mapping", "custom_pipelines", "trust_remote_code")


def cached(name: str) -> Path:
    """The folder of a Hub name in the local cache. Raises MissingExtra, NotFound."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise MissingExtra(f"The base {name}", "huggingface_hub", "train") from error
    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise NotFound(
            f"The base {name} is no folder and not in the local Hugging Face cache. honewheel "
            f"works offline; fetch it once with: hf download {name} "
            "--include '*.safetensors' '*.json' '*.jinja'"
        ) from error


def refuse_unsafe(folder: Path) -> None:
    """Raise UnsafeModel when loading `folder` could run somebody's code."""
    for path in sorted(folder.iterdir()):
        if path.suffix in PICKLES:
            raise UnsafeModel(
                f"{folder} holds {path.name}: pickle files can run code when they are loaded. "
                "honewheel loads safetensors only; remove the file or get the model without it."
            )
    for name in ("config.json", "tokenizer_config.json", "adapter_config.json"):
        if (folder / name).is_file():
            for key in _keys(read_json(folder / name)):
                if key in _CODE_KEYS or key.endswith("_internal"):
                    raise UnsafeModel(
                        f"{folder / name} has the key {key!r}, which makes loaders run code that "
                        "came with the model. honewheel never does; use a base without it."
                    )


def _keys(value: Any) -> Iterator[str]:
    """Keys that are set, at any depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            if item is not None:
                yield str(key)
            yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)


def read_json(path: Path) -> Any:
    """Parsed JSON of a model file. Raises Damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Damaged(f"{path} cannot be read as JSON: {error}") from error


def weight_files(folder: Path) -> list[Path]:
    """The safetensors of a model folder, sorted by name."""
    return sorted(folder.glob("*.safetensors"))


def tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every stored tensor, read from the file headers only (no torch).

    A safetensors file starts with the length of its JSON header as 8 bytes, little endian.
    """
    found: dict[str, tuple[int, ...]] = {}
    for path in weight_files(folder):
        try:
            with path.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                header = json.loads(file.read(length))
        except (OSError, ValueError, struct.error, OverflowError, MemoryError) as error:
            raise Damaged(f"{path} is no readable safetensors file: {error}") from error
        for name, entry in header.items():
            if name != "__metadata__":
                found[name] = tuple(entry["shape"])
    return found


def digest_of(files: Sequence[Path]) -> str:
    """sha256 over the bytes and names of those `files` that exist, in this order."""
    present = [path for path in files if path.is_file()]
    lines = "".join(f"{sha256(path)} {path.name}\n" for path in present)
    return hashlib.sha256(lines.encode()).hexdigest()


def sha256(path: Path) -> str:
    """sha256 of a file, read again only when its size or time of change differ."""
    return _sha256(*_identity(path))


def _identity(path: Path) -> tuple[Path, int, int]:
    found = path.stat()
    return path, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, modified: int) -> str:
    return atomic.sha256_of(path)
