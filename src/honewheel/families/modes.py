"""How torch and transformers are to behave here: where, how loud, how exactly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers.utils import logging as transformers_logging


def device() -> torch.device:
    """The first CUDA device, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def unforkable() -> str | None:
    """Why a fork of this process could not compute, if so. Asking is enough to make it so."""
    if torch.cuda.is_available():
        return "CUDA cannot be used in a fork of a process that has asked for its devices"
    return None


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
