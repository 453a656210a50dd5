"""Run a family's training in a child process and follow it.

`run` is idempotent: when `run_dir/final` is complete it is returned as it is, and when a run was
interrupted it goes on from its newest intact checkpoint.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from honewheel import atomic
from honewheel.errors import HonewheelError, NotEnoughMemory, TrainingFailed, TrainingStopped
from honewheel.records import Dataset, Progress, Spec
from honewheel.train import inputs, messages, process
from honewheel.train.warm import WarmProcess

_LAST_LINES = 8


def run(
    family_name: str,
    spec: Spec,
    dataset: Dataset,
    run_dir: Path,
    on_progress: Callable[[Progress], None],
    *,
    threads: int | None = None,
    start: Path | None = None,
    warm: WarmProcess | None = None,
) -> Path:
    """Train `spec` on `dataset` in `run_dir`; returns the complete folder `run_dir/final`.

    `start` is the folder of the version that `spec.start_files` names, where it names one.

    `threads` is the number of computing threads, by default one a physical core; a run that is
    continued keeps its first number, because the last bits of a result depend on it. The child is
    a fork of `warm` where that is possible; it changes no bit.

    Raises:
        TrainingFailed: the loss diverged, or the process died; the message has its last lines.
        NotEnoughMemory: an allocation failed, or the kernel killed the process for memory.
        StoreBusy: another process trains in `run_dir`.
        ConfigError, NotEnoughData, UnsafeModel, Damaged, ...: as the family raised them.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    asked = inputs.Inputs(family_name, spec, dataset, threads or physical_cores())
    given = inputs.write(run_dir, asked, start)
    final = run_dir / "final"
    if not final.exists():
        _train(run_dir, given, on_progress, warm)
    atomic.verify(final)
    return final


def _train(
    run_dir: Path,
    given: inputs.Inputs,
    on_progress: Callable[[Progress], None],
    warm: WarmProcess | None,
) -> None:
    killed_before = _kernel_kills()
    failed: HonewheelError | None = None
    status = 0
    with process.started(run_dir, given.family, given.threads, warm) as training:
        for line in training.lines():
            said = messages.parse(line)
            if not isinstance(said, Progress):
                failed = said
                break
            on_progress(said)
        else:
            status = training.wait()
    if failed is not None:
        raise failed
    if status != 0:
        raise _death(status, run_dir, memory=_kernel_kills() > killed_before)


def physical_cores(topology: Path = Path("/sys/devices/system/cpu")) -> int:
    """Physical cores this process may use; logical ones where the system does not tell."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    siblings = set()
    for cpu in allowed:
        path = topology / f"cpu{cpu}" / "topology" / "thread_siblings_list"
        siblings.add(path.read_text().strip() if path.is_file() else str(cpu))
    return len(siblings)


def _death(status: int, run_dir: Path, *, memory: bool) -> NotEnoughMemory | TrainingFailed:
    """The error for a child that ended with `status` without telling why."""
    lines = (run_dir / "child.log").read_text(errors="replace").splitlines()[-_LAST_LINES:]
    said = "".join(f"\n  {line}" for line in lines) or " nothing"
    if memory and status == -signal.SIGKILL:
        return NotEnoughMemory(
            f"The kernel killed the training process in {run_dir} because memory ran out. Lower "
            "tokens_per_pass or max_tokens, or choose a smaller base, and run the command "
            f"again. It last said:{said}"
        )
    if status < 0:
        return TrainingStopped(
            f"The training process in {run_dir} was killed by {signal.Signals(-status).name}. Run "
            f"the same command again to go on from the newest checkpoint. It last said:{said}"
        )
    return TrainingFailed(
        f"The training process in {run_dir} ended with {status}. It last said:{said}"
    )


def _kernel_kills(counters: Path = Path("/proc/vmstat")) -> int:
    """Processes the kernel has killed for memory since it started; 0 where it does not count."""
    if not counters.is_file():
        return 0
    for line in counters.read_text().splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0
