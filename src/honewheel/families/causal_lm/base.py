"""Where the weights of a base come from, what they hash to, and what makes them unsafe.

A base is "honewheel/tiny" (inside the package), a local folder, or a Hub name that is already in
the local Hugging Face cache. Nothing is downloaded here, and no code that came with a model is
ever run.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from honewheel import atomic
from honewheel.errors import Damaged, MissingExtra, NotFound, UnsafeModel

TINY = "honewheel/tiny"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)
_CONFIG_FILES = ("config.json", "generation_config.json", "model.safetensors.index.json")
REPORT = "training.json"  # in the folder of a version: what its run was and did
# Keys that name Python to import (auto_map, CVE-2026-4372) or a kernel to fetch.
_CODE_KEYS = ("auto_map", "auto_mapping", "custom_pipelines", "trust_remote_code")


def resolve(base: str) -> tuple[Path, str]:
    """Folder of a base and the sha256 over the files that decide what it answers.

    Raises:
        NotFound: no such folder, nor in the local Hub cache; the message says how to get it.
        UnsafeModel: pickle weights, or a config that runs code.
        MissingExtra: a Hub name, but huggingface_hub is not installed.
    """
    folder = locate(base)
    refuse_unsafe(folder)
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise NotFound(f"The base {base} has no {name} in {folder}. Is it a causal LM folder?")
    if not weight_files(folder):
        raise NotFound(f"The base {base} has no *.safetensors weights in {folder}.")
    return folder, _hash(folder)


def locate(base: str) -> Path:
    """The folder a base's name points to. Raises NotFound."""
    if base == TINY:
        return Path(str(resources.files("honewheel"))) / "models" / "tiny"
    folder = Path(base).expanduser()
    if folder.is_dir():
        return folder
    looks_like_a_name = base.count("/") <= 1 and not base.startswith((".", "/", "~"))
    if not looks_like_a_name:
        raise NotFound(f"There is no folder {base}. A base is a folder, a Hub name or {TINY}.")
    return _cached(base)


def _cached(name: str) -> Path:
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


def text_config(folder: Path) -> dict[str, Any]:
    """The language model's part of config.json (multimodal configs nest it)."""
    found = read_json(folder / "config.json")
    nested = found.get("text_config")
    return dict(nested if isinstance(nested, dict) else found)


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


def _hash(folder: Path) -> str:
    names = {*_CONFIG_FILES, *TOKENIZER_FILES}
    files = [*weight_files(folder), *(folder / name for name in sorted(names))]
    present = [path for path in files if path.is_file()]
    lines = "".join(f"{_sha256(*_identity(path))} {path.name}\n" for path in present)
    return hashlib.sha256(lines.encode()).hexdigest()


def _identity(path: Path) -> tuple[Path, int, int]:
    found = path.stat()
    return path, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, modified: int) -> str:
    """sha256 of a file, read again only when its size or time of change differ."""
    return atomic.sha256_of(path)
