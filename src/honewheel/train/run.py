"""Run a family's training in a child process and follow it.

`run` is idempotent: when `run_dir/final` is complete it is returned as it is, and when a run was
interrupted it goes on from its newest intact checkpoint.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from honewheel import atomic
from honewheel.errors import NotEnoughMemory, TrainingFailed, TrainingStopped
from honewheel.records import Dataset, Progress, Spec
from honewheel.train import inputs, messages

_LAST_LINES = 8
_GRACE_SECONDS = 10.0


def run(
    family_name: str,
    spec: Spec,
    dataset: Dataset,
    run_dir: Path,
    on_progress: Callable[[Progress], None],
    *,
    threads: int | None = None,
    start: Path | None = None,
) -> Path:
    """Train `spec` on `dataset` in `run_dir`; returns the complete folder `run_dir/final`.

    `start` is the folder of the version that `spec.start_files` names, where it names one.

    `threads` is the number of computing threads, by default one a physical core; a run that is
    continued keeps its first number, because the last bits of a result depend on it.

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
        _train(run_dir, given.threads, on_progress)
    atomic.verify(final)
    return final


def _train(run_dir: Path, threads: int, on_progress: Callable[[Progress], None]) -> None:
    killed_before = _kernel_kills()
    with _child(run_dir, threads) as process:
        assert process.stdout is not None  # it was asked for as a pipe
        for line in process.stdout:
            if not line.endswith("\n"):
                break  # it was killed while it spoke
            said = messages.parse(line)
            if not isinstance(said, Progress):
                raise said
            on_progress(said)
        status = process.wait()
    if status != 0:
        raise _death(status, run_dir, memory=_kernel_kills() > killed_before)


@contextmanager
def _child(run_dir: Path, threads: int) -> Iterator[subprocess.Popen[str]]:
    """The training process; it is ended when the block is left, however it is left."""
    with (run_dir / "child.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "honewheel.train.child", str(run_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(threads),
            encoding="utf-8",
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def environment(threads: int) -> dict[str, str]:
    """Variables the child must have before it loads a library."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads sleep: spinning steals from neighbours
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # deterministic matrix products on CUDA
    }


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
