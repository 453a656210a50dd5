"""Models from checked folders: safetensors only, no remote code, no silent re-initialisation."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
import transformers

from honewheel.errors import ConfigError, Damaged
from honewheel.families.hardware import has_bfloat16
from honewheel.families.modes import device, quiet
from honewheel.families.weights import TOKENIZER_FILES


def load(
    folder: Path,
    *,
    full_precision: bool,
    attention: str | None = None,
    quantisation: str = "none",
) -> Any:
    """The causal LM in `folder`, on the device.

    Weights are float32 on a CPU and when `full_precision` (all weights are trained), otherwise
    of the type they are stored in; the matrices 4-bit NF4 when `quantisation` says so (Dettmers
    et al. 2023, arXiv:2305.14314, with double quantisation). `attention` None is what the
    architecture does best.

    Raises:
        Damaged: a tensor of the architecture is missing or has another shape.
        ConfigError: transformers cannot build this architecture as asked for.
    """
    whole = full_precision or device().type == "cpu"
    more: dict[str, Any] = {} if quantisation == "none" else _nf4()
    try:
        with quiet():
            model, report = transformers.AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch.float32 if whole else "auto",
                attn_implementation=attention,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                **more,
            )
    except ValueError as error:
        raise ConfigError(
            f"transformers {transformers.__version__} cannot load the base in {folder}: {error}"
        ) from error
    wrong = [*report["missing_keys"], *(str(entry[0]) for entry in report["mismatched_keys"])]
    if wrong:
        raise Damaged(
            f"{folder} does not hold the weights that its config.json describes: "
            f"{len(wrong)} tensors are missing or of another shape, first {sorted(wrong)[0]}."
        )
    return model if more else model.to(device())  # a quantised one lies there already


def checkpoint_activations(model: Any) -> None:
    """Have each layer of `model` keep its input only and compute the rest again when needed."""
    if not model.supports_gradient_checkpointing:
        raise ConfigError(
            f"checkpointing = true: {type(model).__name__} cannot compute its layers again. Set "
            "checkpointing = false and lower tokens_per_pass instead."
        )
    newer = getattr(model, "activation_checkpointing_enable", None)  # the newer name
    (newer or model.gradient_checkpointing_enable)({"use_reentrant": False})


def _nf4() -> dict[str, Any]:
    """Arguments that load matrices as NF4; products are computed in bfloat16 where it is native."""
    settings = transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if has_bfloat16() else torch.float32,
    )
    return {"quantization_config": settings, "device_map": {"": device()}}


def save_whole(model: Any, base: Path, folder: Path) -> None:
    """All weights with config and tokenizer in `folder`: a model folder of its own."""
    with quiet():
        model.save_pretrained(folder)
    for name in TOKENIZER_FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
