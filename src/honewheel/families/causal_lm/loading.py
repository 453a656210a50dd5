"""Models from checked folders: safetensors only, no remote code, no silent re-initialisation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.utils import logging as transformers_logging

from honewheel.errors import Damaged
from honewheel.families.causal_lm import memory


def device() -> torch.device:
    """The first CUDA device, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 matrices natively (else it is slower there)."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return memory.processor_has_bfloat16()


def realised_precision(setting: str) -> str:
    """`setting` with "auto" resolved for this machine."""
    if setting != "auto":
        return setting
    return "bfloat16" if has_bfloat16() else "float32"


def load(folder: Path, *, full_precision: bool, attention: str | None = None) -> Any:
    """The causal LM in `folder`, on the device.

    Weights are float32 on a CPU and when `full_precision` (all weights are trained), otherwise
    of the type they are stored in. `attention` None is what the architecture does best.

    Raises:
        Damaged: a tensor of the architecture is missing or has another shape.
    """
    whole = full_precision or device().type == "cpu"
    with quiet():
        model, report = transformers.AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32 if whole else "auto",
            attn_implementation=attention,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    wrong = [*report["missing_keys"], *(str(entry[0]) for entry in report["mismatched_keys"])]
    if wrong:
        raise Damaged(
            f"{folder} does not hold the weights that its config.json describes: "
            f"{len(wrong)} tensors are missing or of another shape, first {sorted(wrong)[0]}."
        )
    return model.to(device())


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no chatter from transformers; only its errors."""
    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


@contextmanager
def deterministic() -> Iterator[None]:
    """Same inputs, same bits: on a CPU with a fixed number of threads this is a promise.

    On CUDA an operation without a deterministic kernel only warns, so runs there are
    reproducible to rounding.
    """
    before = torch.are_deterministic_algorithms_enabled()
    warn = torch.is_deterministic_algorithms_warn_only_enabled()
    switches: Any = torch.utils.deterministic
    fill = switches.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    switches.fill_uninitialized_memory = False  # costs time, guards nothing here
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn)
        switches.fill_uninitialized_memory = fill
