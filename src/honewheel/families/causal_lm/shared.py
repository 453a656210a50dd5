"""One base in memory for all the versions that answer from it, one at a time.

The adapter of the version that is asked is put into the base, exactly as where it is loaded alone,
so its answers are the same to the bit. Where that changed weights (adapters.load merges into a
float32 base), a second version needs what they were: those matrices are then kept aside, once, so
that memory is that of two bases at most, however many versions share it.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from honewheel.families import adapters
from honewheel.families.causal_lm import loading

_PEFT = "base_model.model."


class Shared:
    """The weights in one folder. Whoever answers from them says so with `join` and `leave`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._plain: Any = loading.load(folder, full_precision=False).eval()
        self._model: Any = self._plain
        self._now: Path | None = None  # the adapter that is in
        self._aside: dict[str, torch.Tensor] = {}  # of the base, what an adapter was merged into
        self._users = 0
        self._guard = threading.Lock()  # one may come or go while another is put in

    def join(self) -> None:
        """One more version answers from these weights."""
        with self._guard:
            self._users += 1

    def leave(self) -> None:
        """The last one frees the memory."""
        with self._guard:
            self._users -= 1
            if self._users <= 1:
                self._aside.clear()
            if not self._users:
                del self._plain, self._model
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()

    def of(self, adapter: Path | None) -> Any:
        """The model with this adapter (None: the bare base), until another one is asked for."""
        with self._guard, torch.inference_mode(False), torch.no_grad():
            if adapter != self._now:
                self._take_out()
                if adapter is not None:
                    self._put_in(adapter)
            return self._model

    def _put_in(self, adapter: Path) -> None:
        if self._users > 1:
            for name in _targets(adapter) - self._aside.keys():
                self._aside[name] = self._plain.get_parameter(name).clone()
        self._model = adapters.load(self._plain, adapter).eval()
        self._now = adapter

    def _take_out(self) -> None:
        """Leave the bare base."""
        if self._now is None:
            return
        if self._model is not self._plain:  # the adapter lay beside the weights
            self._plain = self._model.unload()
        else:
            targets = _targets(self._now)
            self._fetch(targets - self._aside.keys())
            for name in targets:
                self._plain.get_parameter(name).copy_(self._aside[name])
        self._model, self._now = self._plain, None

    def _fetch(self, names: set[str]) -> None:
        """Read again what was merged into while nobody else answered from this base."""
        if names:
            fresh = loading.load(self.folder, full_precision=False)
            for name in names:
                self._aside[name] = fresh.get_parameter(name).detach().clone()


def _targets(adapter: Path) -> set[str]:
    """Names of the matrices that an adapter changes."""
    with safe_open(adapter / adapters.WEIGHTS, framework="pt") as file:
        names = [name.partition(".lora_")[0].removeprefix(_PEFT) for name in file.keys()]  # noqa: SIM118
    return {f"{name}.weight" for name in names}
