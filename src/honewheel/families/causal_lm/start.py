"""The model that a run starts from: the base, with adapters unless all weights are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from honewheel.families import adapters
from honewheel.families.causal_lm import attention, lean, loading
from honewheel.families.causal_lm.scoring import refuse_foreign
from honewheel.records import Spec


def model(folder: Path, spec: Spec) -> Any:
    """As `spec` asks for it, on the device. Raises ConfigError, Damaged."""
    attention.register()
    settings = dict[str, Any](spec.settings)
    whole = spec.method == "full"
    found = loading.load(
        folder,
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
    lean.lighten(adapted)
    return adapted
