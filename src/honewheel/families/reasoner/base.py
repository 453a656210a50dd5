"""Where a reasoner's base comes from, and what it hashes to.

A base is "honewheel/reasoner-tiny" or another preset inside the package, whose weights are drawn
from the seed of the run, or the folder of a version trained before. Nothing is downloaded.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from honewheel.errors import NotFound
from honewheel.families import weights
from honewheel.families.reasoner import shape as shapes
from honewheel.families.reasoner.shape import Shape

PREFIX = "honewheel/reasoner-"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
# Changes whenever the same seed and shape would be given other first weights.
DRAWN = "1"


def resolve(base: str) -> tuple[Path, str]:
    """Folder of a base and the hash of what decides its weights.

    Raises:
        NotFound: no such preset or folder, or the folder holds another kind of model.
        UnsafeModel: pickle weights, or a config that runs code.
    """
    folder = locate(base)
    weights.refuse_unsafe(folder)
    config = folder / CONFIG
    kind = weights.read_json(config).get("model_type") if config.is_file() else None
    if kind != shapes.MODEL_TYPE:
        raise NotFound(
            f"The base {base} ({folder}) is no reasoner: its config.json says {kind!r}. A base is "
            f"{_presets()}, or the folder of a reasoner trained before."
        )
    if not is_preset(folder) and not (folder / WEIGHTS).is_file():
        raise NotFound(f"The base {base} has no {WEIGHTS} in {folder}.")
    found = weights.digest_of([config, folder / WEIGHTS])
    return folder, f"{DRAWN}:{found}" if is_preset(folder) else found


def locate(base: str) -> Path:
    """The folder a base's name points to. Raises NotFound."""
    if base.startswith(PREFIX):
        name = base.removeprefix(PREFIX)
        if name not in shapes.PRESETS:
            raise NotFound(f"There is no base {base}. There are {_presets()}.")
        return _models() / f"reasoner-{name}"
    folder = Path(base).expanduser()
    if not folder.is_dir():
        raise NotFound(
            f"There is no base {base} for a reasoner. A base is {_presets()}, or the folder of a "
            "reasoner trained before."
        )
    return folder


def is_preset(folder: Path) -> bool:
    """Whether `folder` tells a shape only: its weights are drawn when a run starts."""
    return folder.parent == _models()


def shape(folder: Path) -> Shape:
    """The shape of the base in `folder`. Raises Damaged, NotFound when nothing can be built."""
    found = shapes.of(weights.read_json(folder / CONFIG))
    if problem := found.problem():
        raise NotFound(f"No reasoner can be built from {folder / CONFIG}: {problem}.")
    return found


def _models() -> Path:
    return Path(str(resources.files("honewheel"))) / "models"


def _presets() -> str:
    return ", ".join(f"{PREFIX}{name}" for name in shapes.PRESETS)
