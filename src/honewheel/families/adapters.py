"""LoRA, by default on every linear layer but the LM head: attach, fill, save, load, read
back.

All linear layers rather than attention only: with the same rank the MLP carries most of what a
LoRA run learns. The saved folder is what peft itself writes, with sorted lists and no paths, so
that equal adapters have equal bytes.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import peft
import torch
from peft import (
    LoraConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    prepare_model_for_kbit_training,
)
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file

from honewheel.errors import ConfigError, Damaged
from honewheel.families.names import ALL_LINEAR
from honewheel.records import Json

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def attach(
    model: Any, settings: Mapping[str, Any], seed: int, *, task_type: str = "CAUSAL_LM"
) -> Any:
    """`model` with fresh adapters (float32) as the only trainable weights; B is zero, A seeded.

    Raises:
        ConfigError: peft knows no adapter for layers of this architecture.
    """
    config = LoraConfig(
        r=int(settings["rank"]),
        lora_alpha=int(settings["alpha"]),
        lora_dropout=float(settings["dropout"]),
        use_rslora=bool(settings["rslora"]),
        target_modules=_targets(settings["target_modules"]),
        task_type=task_type,
    )
    if settings.get("quantisation", "none") != "none":
        # Norms and whatever else was not quantised are computed in float32.
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        # peft still asks transformers for a property by its old name.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        try:
            return get_peft_model(model, config)
        except ValueError as error:
            raise ConfigError(
                f"peft {peft.__version__} cannot put adapters on {type(model).__name__}: {error} "
                'Name others in target_modules, or set method = "full".'
            ) from error


def _targets(setting: str) -> str | list[str]:
    names = sorted({name.strip() for name in setting.split(",")} - {""})
    return setting if setting == ALL_LINEAR else names


def save(model: Any, folder: Path, base: str) -> None:
    """Write the adapter of `model` into `folder`; `base` is recorded as it was configured."""
    config = model.peft_config["default"]
    written = {key: _plain(value) for key, value in config.to_dict().items()}
    written |= {"base_model_name_or_path": base, "inference_mode": True}
    (folder / CONFIG).write_text(json.dumps(written, indent=1, sort_keys=True) + "\n")
    tensors = get_peft_model_state_dict(model, save_embedding_layers=False)
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(dict(sorted(kept.items())), folder / WEIGHTS, metadata={"format": "pt"})


def load(model: Any, folder: Path) -> Any:
    """`model` with the adapter of `folder`.

    Merged where the base is float32: that is what an export ships, it answers faster, and the
    logits differ from the unmerged ones by rounding only. Rounding a sum to 16 bits would lose
    most of a small update, so elsewhere the adapter stays apart.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        adapted = PeftModel.from_pretrained(model, str(folder), is_trainable=False)
    if next(model.parameters()).dtype is torch.float32:
        return adapted.merge_and_unload()
    return adapted


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of a saved adapter by the names they have in a model."""
    return {_named(name): tensor for name, tensor in load_file(folder / WEIGHTS).items()}


def fill(model: Any, folder: Path) -> None:
    """Copy the saved adapter of `folder` into the fresh ones of `model`.

    Raises Damaged when it is not of exactly these shapes.
    """
    stored = weights(folder)
    own = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    there, here = ({name: one.shape for name, one in side.items()} for side in (stored, own))
    if wrong := sorted(set(there.items()) ^ set(here.items())):
        raise Damaged(
            f"{folder} holds another adapter than its settings describe: {len(wrong)} tensors "
            f"differ, first {wrong[0][0]}."
        )
    with torch.no_grad():
        for name, weight in own.items():
            weight.copy_(stored[name])


def _named(saved: str) -> str:
    """The adapter has a name in the model, which peft leaves out of what it saves."""
    layer, _, kind = saved.rpartition(".")
    return f"{layer}.default.{kind}"


def realised(model: Any) -> dict[str, Json]:
    """What the attached adapters really are, read from the model."""
    config = model.peft_config["default"]
    layer = next(part for part in model.modules() if isinstance(part, LoraLayer))
    return {
        "rank": layer.r["default"],
        "scaling": layer.scaling["default"],
        "dropout": float(getattr(layer.lora_dropout["default"], "p", 0.0)),
        "target_modules": sorted({name.rpartition(".")[2] for name in config.target_modules}),
    }


def _plain(value: Any) -> Any:
    """JSON-ready; sets sorted, because their order differs from process to process."""
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
