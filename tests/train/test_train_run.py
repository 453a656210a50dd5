"""Training in a child process: what comes back, and what happens when either side dies."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from honewheel import atomic
from honewheel.errors import (
    ConfigError,
    Damaged,
    HonewheelError,
    MissingExtra,
    NotEnoughMemory,
    StoreBusy,
    TrainingFailed,
)
from honewheel.records import (
    Dataset,
    Example,
    Pair,
    Progress,
    Rated,
    Spec,
    as_dict,
    digest,
)
from honewheel.train import child, inputs, messages
from honewheel.train import run as training

PLUGIN = Path(__file__).parent / "plugin"
SPEC = Spec(
    family="brittle", base="none", base_hash="0", method="pretend", settings={"rate": 0.1}, seed=3
)
ROWS = Dataset(
    hash="d1",
    train=(
        Example(
            id="a", task="t", prompt="p\u2028é", target="o\n\n", group="g", split="train",
            context={"k": "v"}, weight=0.25, events=("evt_1", "evt_2"), role="replay",
        ),
    ),
    val=(Example(id="b", task="t", prompt="q", target="r", group="h", split="val"),),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PLUGIN))


def train(
    run_dir: Path, fault: str = "", seen: list[Progress] | None = None, **options: Any
) -> Path:
    spec = replace(SPEC, settings={**SPEC.settings, "fault": fault})
    reports: list[Progress] = [] if seen is None else seen
    return training.run("brittle", spec, ROWS, run_dir, reports.append, **options)


def workers(run_dir: Path) -> list[int]:
    """Process ids of the steps taken in `run_dir`."""
    path = run_dir / "steps"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_progress_is_streamed_and_the_child_gets_exactly_the_dataset(tmp_path: Path) -> None:
    seen: list[Progress] = []
    final = train(tmp_path / "run", seen=seen, threads=3)
    assert final == tmp_path / "run" / "final"
    assert [report.loss for report in seen] == [1.0, 0.5, pytest.approx(1 / 3)]
    found = json.loads((final / "seen.json").read_text())
    assert found["variables"] == {"OMP_NUM_THREADS": "3", "HF_HUB_OFFLINE": "1"}
    assert inputs.read(tmp_path / "run").dataset == ROWS
    assert [row["prompt"] for row in found["rows"]] == ["p\u2028é", "q"]
    assert set(workers(tmp_path / "run")) - {os.getpid()}


def test_the_child_gets_pairs_and_rated_answers_where_there_are_some(tmp_path: Path) -> None:
    told: dict[str, Any] = {"task": "t", "prompt": "p\u2028", "group": "g", "split": "train"}
    more = replace(
        ROWS,
        pairs=(Pair(id="a", chosen="c", rejected="r", origin="correction", **told),),
        rated=(Rated(id="b", output="o", desirable=False, events=("evt_1",), **told),),
    )
    inputs.write(tmp_path, inputs.Inputs("brittle", SPEC, more, 1))
    assert inputs.read(tmp_path).dataset == more
    assert {path.name for path in (tmp_path / "inputs").glob("*.jsonl")} == {
        "train.jsonl", "val.jsonl", "pairs.jsonl", "rated.jsonl",
    }  # fmt: skip


def test_a_complete_run_is_returned_without_a_new_process(tmp_path: Path) -> None:
    first = train(tmp_path / "run")
    taken = workers(tmp_path / "run")
    assert train(tmp_path / "run") == first
    assert workers(tmp_path / "run") == taken
    (first / "seen.json").write_text("{}")
    with pytest.raises(Damaged, match=r"seen\.json is damaged"):
        train(tmp_path / "run")


def test_other_inputs_in_the_same_folder_are_refused_by_name(tmp_path: Path) -> None:
    train(tmp_path / "run", fault="")
    with pytest.raises(ConfigError, match="fault was '', now 'kill'"):
        train(tmp_path / "run", fault="kill")
    with pytest.raises(ConfigError, match="dataset was 'd1', now 'd2'"):
        training.run(
            "brittle",
            replace(SPEC, settings={**SPEC.settings, "fault": ""}),
            replace(ROWS, hash="d2"),
            tmp_path / "run",
            print,
        )


def test_what_a_run_starts_from_is_its_own_and_is_checked(tmp_path: Path) -> None:
    version = train(tmp_path / "first")
    spec = replace(SPEC, settings={"rate": 0.1}, start_files=atomic.verify(version))
    run_dir = tmp_path / "run"
    training.run("brittle", spec, ROWS, run_dir, print, start=version)
    shutil.rmtree(version)  # the version may go; the run has a copy
    assert inputs.read(run_dir).spec == spec
    for other in (None, "f" * 64):
        with pytest.raises(ConfigError, match=f"start_files was '{spec.start_files}', now"):
            training.run("brittle", replace(spec, start_files=other), ROWS, run_dir, print)
    (run_dir / "start" / "seen.json").write_text("{}")
    with pytest.raises(Damaged, match=r"start/seen\.json is damaged"):
        inputs.read(run_dir)
    shutil.rmtree(run_dir / "start")
    with pytest.raises(Damaged, match="the version that training starts from, is missing"):
        inputs.read(run_dir)


def test_another_version_than_the_one_named_is_no_start(tmp_path: Path) -> None:
    version = train(tmp_path / "first")
    spec = replace(SPEC, start_files="f" * 64)
    with pytest.raises(Damaged, match="training starts from ffffffffffff"):
        training.run("brittle", spec, ROWS, tmp_path / "run", print, start=version)


def test_runs_from_the_base_are_named_as_ever() -> None:
    told = as_dict(SPEC)
    assert told.pop("start_files") is None
    assert SPEC.hash == digest(told) != replace(SPEC, start_files="f" * 64).hash


def test_what_libraries_print_goes_to_the_log_and_not_between_the_messages(tmp_path: Path) -> None:
    seen: list[Progress] = []
    train(tmp_path / "run", fault="print", seen=seen)
    assert len(seen) == 3
    log = (tmp_path / "run" / "child.log").read_text()
    assert "noise from a library" in log
    assert "noise from native code" in log


@pytest.mark.parametrize("fault", ["TrainingFailed", "NotEnoughMemory", "UnsafeModel"])
def test_an_error_in_the_child_comes_back_as_its_class(tmp_path: Path, fault: str) -> None:
    with pytest.raises(HonewheelError, match=f"^told as {fault}$") as caught:
        train(tmp_path / "run", fault=fault)
    assert type(caught.value).__name__ == fault


def test_errors_that_compose_their_message_or_come_from_a_plugin_are_told_too() -> None:
    missing = MissingExtra("Fine-tuning", "torch", "train")
    back = messages.parse(messages.of_error(missing))
    assert (type(back), str(back)) == (MissingExtra, str(missing))

    class Exotic(HonewheelError):
        pass

    foreign = messages.parse(messages.of_error(Exotic("new")))
    assert (type(foreign), str(foreign)) == (TrainingFailed, "Exotic: new")


def test_a_bug_is_a_failed_training_with_the_last_lines_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match=r"ended with 1(.|\n)*ValueError: an ordinary bug"):
        train(tmp_path / "run", fault="bug")


def test_a_killed_child_is_a_failed_training_and_the_next_call_finishes_it(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match=r"was killed by SIGKILL\. Run the same command"):
        train(tmp_path / "run", fault="kill")
    assert not (tmp_path / "run" / "final").exists()
    (tmp_path / "run" / "healed").touch()
    assert train(tmp_path / "run", fault="kill").is_dir()
    assert len(set(workers(tmp_path / "run"))) == 2


def test_a_child_killed_by_the_kernel_for_memory_is_told_from_one_killed_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = iter([4, 5])
    monkeypatch.setattr(training, "_kernel_kills", lambda: next(counted))
    with pytest.raises(NotEnoughMemory, match="because memory ran out"):
        train(tmp_path / "run", fault="kill")


def test_the_kernel_counts_its_kills_where_we_look(tmp_path: Path) -> None:
    counters = tmp_path / "vmstat"
    counters.write_text("nr_free_pages 7\noom_kill 3\noom_kill_other 9\n")
    assert training._kernel_kills(counters) == 3
    assert training._kernel_kills(tmp_path / "absent") == 0


def test_a_run_without_a_result_is_not_taken_for_a_complete_one(tmp_path: Path) -> None:
    with pytest.raises(Damaged, match="has no readable manifest"):
        train(tmp_path / "run", fault="no final")


def test_a_failing_listener_ends_the_child(tmp_path: Path) -> None:
    def refuse(progress: Progress) -> None:
        if progress.step == 2:
            raise KeyboardInterrupt

    spec = replace(SPEC, settings={**SPEC.settings, "fault": "hang"})
    with pytest.raises(KeyboardInterrupt):
        training.run("brittle", spec, ROWS, tmp_path / "run", refuse)
    (pid,) = set(workers(tmp_path / "run"))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def parent_of_a_hanging_child(run_dir: Path) -> subprocess.Popen[bytes]:
    """A process that trains a family that hangs at its second step, once it hangs."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_train_run as t\n"
        f"t.train(t.Path({str(run_dir)!r}), fault='hang')"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: len(workers(run_dir)) == 2)
    return process


def wait_until(holds: Any, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether no such process runs (a zombie nobody has waited for runs no more)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_the_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = parent_of_a_hanging_child(tmp_path / "run")
    (pid,) = set(workers(tmp_path / "run"))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: gone(pid), 10)


def test_the_child_ends_when_its_input_closes_even_if_its_parent_lives(tmp_path: Path) -> None:
    spec = replace(SPEC, settings={"fault": "hang"})
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    inputs.write(run_dir, inputs.Inputs("brittle", spec, ROWS, 1))
    process = subprocess.Popen(
        [sys.executable, "-m", "honewheel.train.child", str(run_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: len(workers(run_dir)) == 2)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 77


def test_two_processes_never_train_in_one_folder(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with (
            pytest.raises(StoreBusy, match=r"held it for 0\.1 s"),
            child.lock(tmp_path, seconds=0.1),
        ):
            pytest.fail("it was let in")
        fcntl.flock(held, fcntl.LOCK_UN)
        with child.lock(tmp_path, seconds=0.1):
            pass


def test_a_continued_run_keeps_the_number_of_threads_it_started_with(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed):
        train(tmp_path / "run", fault="kill", threads=2)
    (tmp_path / "run" / "healed").touch()
    final = train(tmp_path / "run", fault="kill", threads=1)
    assert json.loads((final / "seen.json").read_text())["variables"]["OMP_NUM_THREADS"] == "2"


def test_damaged_inputs_are_named_before_anything_is_trained(tmp_path: Path) -> None:
    train(tmp_path / "run")
    rows = tmp_path / "run" / "inputs" / "train.jsonl"
    rows.write_text(rows.read_text().replace("0.25", "0.26"))
    with pytest.raises(Damaged, match=r"train\.jsonl is damaged"):
        train(tmp_path / "run")


def test_threads_are_the_physical_cores_this_process_may_use(tmp_path: Path) -> None:
    allowed = sorted(os.sched_getaffinity(0))
    assert 1 <= training.physical_cores() <= len(allowed)
    for cpu in allowed:  # all of them siblings on one core
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text("0-7\n")
    assert training.physical_cores(tmp_path) == 1
    assert training.physical_cores(tmp_path / "absent") == len(allowed)
