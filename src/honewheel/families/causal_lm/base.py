"""Where the weights of a base come from, what they hash to, and what makes them unsafe.

A base is "honewheel/tiny" (inside the package), a local folder, or a Hub name that is already in
the local Hugging Face cache. Nothing is downloaded here, and no code that came with a model is
ever run.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from honewheel.errors import NotFound
from honewheel.families.weights import (
    TOKENIZER_FILES,
    cached,
    digest_of,
    read_json,
    refuse_unsafe,
    weight_files,
)

TINY = "honewheel/tiny"
_CONFIG_FILES = ("config.json", "generation_config.json", "model.safetensors.index.json")


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
    return cached(base)


def text_config(folder: Path) -> dict[str, Any]:
    """The language model's part of config.json (multimodal configs nest it)."""
    found = read_json(folder / "config.json")
    nested = found.get("text_config")
    return dict(nested if isinstance(nested, dict) else found)


def _hash(folder: Path) -> str:
    names = {*_CONFIG_FILES, *TOKENIZER_FILES}
    return digest_of([*weight_files(folder), *(folder / name for name in sorted(names))])
