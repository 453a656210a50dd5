"""The model that a run starts from: the base or a version of it, with adapters unless all weights
are trained.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from honewheel.families import adapters
from honewheel.families.causal_lm import attention, lean, loading
from honewheel.families.causal_lm.scoring import refuse_foreign
from honewheel.protocols import START
from honewheel.records import Spec


def folder(spec: Spec, run_dir: Path) -> Path | None:
    """The copy of the version that a run starts from; None when that is the base."""
    return None if spec.start_files is None else run_dir / START


def model(base: Path, spec: Spec, version: Path | None = None) -> Any:
    """As `spec` asks for it, on the device, with the weights of `version` or those of the base.

    Raises ConfigError, Damaged.
    """
    attention.register()
    settings = dict[str, Any](spec.settings)
    whole = spec.method == "full"
    found = loading.load(
        version if whole and version else base,
        attention=attention.NAME,
        full_precision=whole,
        quantisation=settings.get("quantisation", "none"),
    )
    refuse_foreign(found)
    if settings["checkpointing"]:
        loading.checkpoint_activations(found)
    if whole:
        return found
    adapted = adapters.attach(found, settings, spec.seed)
    if version is not None:
        adapters.fill(adapted, version)
    lean.lighten(adapted)
    return adapted
