"""What this machine has: memory that is free and taken, and the arithmetic it is fast at.

Shared by the families. Imports torch only where it asks it.
"""

from __future__ import annotations

import sys
from pathlib import Path


def peak() -> int | None:
    """Most bytes that this process has held so far (on CUDA: of the card); None without /proc."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
    return found[0] if found else None


def available() -> int | None:
    """Bytes this process may still take: free memory, or less where a cgroup limits it.

    None where the system does not say (no /proc/meminfo).
    """
    found = [amount for amount in (_free(), _cgroup()) if amount is not None]
    return min(found, default=None)


def _free(path: Path = Path("/proc/meminfo")) -> int | None:
    if not path.is_file():
        return None
    for line in path.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _cgroup(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What is left of the cgroup's limit (version 2, else version 1)."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        if (root / limit).is_file() and (root / used).is_file():
            allowed = (root / limit).read_text().strip()
            if allowed == "max":
                return None
            return max(0, int(allowed) - int((root / used).read_text()))
    return None


def gigabytes(amount: int) -> str:
    """1.24 GB."""
    return f"{amount / 1e9:.2f} GB"


def is_exhausted(error: BaseException) -> bool:
    """Whether `error` says that an allocation failed (torch tells the CPU's as RuntimeError)."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error)
    return "can't allocate memory" in text or "not enough memory" in text


def has_bfloat16() -> bool:
    """Whether the device multiplies bfloat16 matrices natively (else it is slower at them)."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return processor_has_bfloat16()


def processor_has_bfloat16(path: Path = Path("/proc/cpuinfo")) -> bool:
    """The same of the processor alone."""
    flags = set(path.read_text().split()) if path.is_file() else set()
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})
