"""Runs as forks of a warm process: loaded once, each a process of its own, cold where it must."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_train_run import PLUGIN, ROWS, SPEC, gone, wait_until, workers

from honewheel import atomic
from honewheel.errors import NotEnoughMemory, TrainingFailed, TrainingStopped
from honewheel.records import Progress
from honewheel.train import run as training
from honewheel.train.warm import WarmProcess

sys.path.insert(0, str(Path(__file__).parents[1] / "families"))


@pytest.fixture(autouse=True)
def _plugin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PLUGIN))
    monkeypatch.setenv("HEAVY", str(tmp_path / "heavy"))


@pytest.fixture
def warm() -> Iterator[WarmProcess]:
    with WarmProcess() as process:
        yield process


def train(
    run_dir: Path, warm: WarmProcess | None, fault: str = "", family: str = "ready", **options: Any
) -> Path:
    spec = replace(SPEC, family=family, settings={**SPEC.settings, "fault": fault})
    listen = options.pop("listen", lambda _: None)
    return training.run(family, spec, ROWS, run_dir, listen, warm=warm, **options)


def loaded(tmp_path: Path) -> list[int]:
    """Process ids that have loaded the dear library."""
    return [int(line) for line in (tmp_path / "heavy").read_text().split()]


def trained_by(run_dir: Path) -> int:
    (pid,) = set(workers(run_dir))
    return pid


def test_runs_are_processes_of_their_own_and_what_they_need_is_loaded_once(
    warm: WarmProcess, tmp_path: Path
) -> None:
    seen: list[Progress] = []
    train(tmp_path / "cold", None)
    finals = [train(tmp_path / name, warm, listen=seen.append) for name in ("a", "b")]
    assert {atomic.verify(final) for final in finals} == {atomic.verify(tmp_path / "cold/final")}
    assert [one.step for one in seen] == [1, 2, 3] * 2
    assert loaded(tmp_path) == [trained_by(tmp_path / "cold"), warm.pid]
    pids = {trained_by(tmp_path / name) for name in ("a", "b")}
    assert len(pids) == 2
    assert warm.pid not in pids
    for name in ("a", "b"):
        assert json.loads((tmp_path / name / "colours").read_text()) == []


def test_a_crash_of_one_run_is_its_own(warm: WarmProcess, tmp_path: Path) -> None:
    train(tmp_path / "before", warm)
    first = warm.pid
    with pytest.raises(TrainingStopped, match=r"killed by SIGABRT(.|\n)*honewheel_brittle"):
        train(tmp_path / "run", warm, "abort")
    with pytest.raises(TrainingFailed, match=r"ended with 1(.|\n)*ValueError: an ordinary bug"):
        train(tmp_path / "bug", warm, "bug")
    with pytest.raises(NotEnoughMemory, match="told as NotEnoughMemory"):
        train(tmp_path / "told", warm, "NotEnoughMemory")
    (tmp_path / "run" / "healed").touch()
    train(tmp_path / "run", warm, "abort")
    assert warm.pid == first
    assert len(loaded(tmp_path)) == 1


def test_what_a_fork_prints_goes_to_the_log_of_its_run(warm: WarmProcess, tmp_path: Path) -> None:
    train(tmp_path / "before", warm)
    train(tmp_path / "run", warm, "print")
    log = (tmp_path / "run" / "child.log").read_text()
    assert "noise from a library" in log
    assert "noise from native code" in log
    assert (tmp_path / "before" / "child.log").read_text() == ""


def test_without_its_warm_process_a_run_is_cold_and_the_next_one_warm_again(
    warm: WarmProcess, tmp_path: Path
) -> None:
    train(tmp_path / "a", warm)
    first = warm.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)  # so that it is not known to be gone when it is asked
    os.kill(first, signal.SIGKILL)
    train(tmp_path / "b", warm)
    train(tmp_path / "c", warm)
    assert warm.pid not in {None, first}
    assert trained_by(tmp_path / "c") not in loaded(tmp_path)


def test_a_warm_process_killed_while_a_run_goes_on_takes_it_along(
    warm: WarmProcess, tmp_path: Path
) -> None:
    train(tmp_path / "before", warm)

    def kill(progress: Progress) -> None:
        if progress.step == 2:
            assert warm.pid is not None
            os.kill(warm.pid, signal.SIGKILL)

    with pytest.raises(TrainingStopped, match=r"killed by SIGKILL\. Run the same command"):
        train(tmp_path / "run", warm, "hang", listen=kill)
    wait_until(lambda: gone(trained_by(tmp_path / "run")), 10)
    (tmp_path / "run" / "healed").touch()
    train(tmp_path / "run", warm, "hang")


def test_a_failing_listener_ends_the_fork(warm: WarmProcess, tmp_path: Path) -> None:
    def refuse(progress: Progress) -> None:
        if progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", warm, "hang", listen=refuse)
    wait_until(lambda: gone(trained_by(tmp_path / "run")))
    train(tmp_path / "next", warm)


def test_when_the_owner_is_killed_both_end(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_train_warm as t\n"
        f"t.train(t.Path({str(run_dir)!r}), t.WarmProcess(), 'hang')"
    )
    owner = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: len(workers(run_dir)) == 2)
    (warm,) = loaded(tmp_path)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    wait_until(lambda: gone(trained_by(run_dir)) and gone(warm))


def test_a_family_that_cannot_fork_is_trained_cold_and_asked_once(
    warm: WarmProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tmp_path / "brittle", warm, family="brittle")
    monkeypatch.setenv("UNFIT", "it is too warm")
    for name in ("a", "b"):
        train(tmp_path / name, warm)
    assert warm.pid is None
    assert len(loaded(tmp_path)) == 3  # one that was found unfit, and two cold ones
    said = [(tmp_path / name / "child.log").read_text() for name in ("brittle", "a", "b")]
    assert said[0] == "no warm process: the family brittle does not say what it needs\n"
    assert said[1:] == ["no warm process: it is too warm\n", ""]


def test_another_number_of_threads_takes_another_process(warm: WarmProcess, tmp_path: Path) -> None:
    for count in (2, 3):
        final = train(tmp_path / f"{count}", warm, threads=count)
        variables = json.loads((final / "seen.json").read_text())["variables"]
        assert variables["OMP_NUM_THREADS"] == str(count)
    first, second = loaded(tmp_path)
    assert gone(first)
    assert warm.pid == second


def test_it_ends_when_nobody_needs_it_and_with_its_block(tmp_path: Path) -> None:
    with WarmProcess(idle_seconds=0.01) as warm:
        train(tmp_path / "a", warm)
        wait_until(lambda: warm.pid is None)
        train(tmp_path / "b", warm)
    with WarmProcess() as warm:
        train(tmp_path / "c", warm)
        last = warm.pid
    assert last is not None
    assert gone(last)


def test_no_seconds_to_wait_mean_that_there_is_none(tmp_path: Path) -> None:
    with WarmProcess(idle_seconds=0) as warm:
        train(tmp_path / "a", warm)
        assert loaded(tmp_path) == [trained_by(tmp_path / "a")]


def test_a_run_beside_another_is_cold(warm: WarmProcess, tmp_path: Path) -> None:
    def beside(progress: Progress) -> None:
        if progress.step == 1:
            train(tmp_path / "inner", warm)

    train(tmp_path / "outer", warm, listen=beside)
    assert loaded(tmp_path) == [warm.pid, trained_by(tmp_path / "inner")]


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_a_fork_computes_the_bits_of_a_cold_process_and_imports_nothing_anew(
    warm: WarmProcess, tmp_path: Path, threads: int
) -> None:
    from causal_builders import dataset, make_base, spec

    base = make_base(tmp_path / "base")
    given = spec(base, dropout=0.2, epochs=2, precision="auto")
    finals = [
        training.run(
            "watched", given, dataset(), tmp_path / name, print, threads=threads, warm=process
        )
        for name, process in (("cold", None), ("first", warm), ("second", warm))
    ]
    assert len({atomic.verify(final) for final in finals}) == 1
    anew = json.loads((tmp_path / "second" / "imported").read_text())
    assert not [name for name in anew if name.startswith(("transformers.", "honewheel."))], anew
    assert len(anew) < 10 < 1000 < len(json.loads((tmp_path / "cold" / "imported").read_text()))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["causal-lm", "embedding", "reasoner"])
def test_loading_what_a_family_needs_starts_nothing(family: str) -> None:
    code = (
        "import threading; from honewheel import plugins\n"
        f"assert plugins.family({family!r}).preload() is None\n"
        "import torch\n"
        "assert threading.active_count() == 1 and not torch.cuda.is_initialized()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
