"""Workers: leases, fences, cancelling, stopping, and the effects of a job exactly once."""

from __future__ import annotations

import gc
import random
import shutil
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.errors import Cancelled, Fenced, InputError, NotFound, Stopped, TrainingStopped
from honewheel.loop import drift, worker
from honewheel.loop.worker import Worker
from honewheel.records import Progress

LONG, GONE = timedelta(hours=1), timedelta(0)
DUE = "\n[models.artifacts.trigger]\nmin_new = 5\nmin_stale = 5\nhoped_gain = 50\n"


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with feedback and suites, of which a cycle is due."""
    made = tmp_path_factory.mktemp("filled")
    with wheels.memo_installed(), wheels.open_wheel(wheels.project(made / "project")) as opened:
        wheels.fill(opened, made)
    with (made / "project" / "honewheel.toml").open("a") as file:
        file.write(DUE)
    return made / "project"


@pytest.fixture
def wheel(tmp_path: Path, filled: Path) -> Iterator[Any]:
    with wheels.open_wheel(shutil.copytree(filled, tmp_path / "project")) as opened:
        yield opened


def ready(wheel: Any, turn: Any) -> tuple[Worker, list[tuple[str, dict[str, Any]]]]:
    """A worker whose cycle is `turn`, and what it tells."""
    told: list[tuple[str, dict[str, Any]]] = []

    def tell(event: str, fields: dict[str, Any]) -> None:
        told.append((event, fields))

    return Worker(wheel.store, wheel.config, turn, wheel.clock, tell=tell), told


def test_a_worker_runs_the_cycle_that_is_due_and_then_has_nothing_to_do(wheel: Any) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    assert wheel.work(once=True, tell=lambda *one: told.append(one)) == 1
    (job,) = wheel.jobs()
    assert (job.state, job.attempt) == ("done", 1)
    assert job.result["verdict"] == "promote"
    assert job.result["cycle"] == "artifacts-0001"
    assert "effective new examples wait" in job.reason
    assert wheel.store.versions.alias("artifacts").version == 1
    names = [event for event, _ in told]
    assert names[:3] == ["worker started", "queued", "job started"]
    assert names[-2:] == ["job done", "worker stopped"]
    assert len({fields["worker"] for _, fields in told}) == 1
    assert {fields["job"] for event, fields in told if "job" in event} == {job.id, 1}
    assert wheel.work(once=True) == 0


def test_a_cycle_that_ended_before_its_job_did_is_not_turned_again(wheel: Any) -> None:
    """Its worker was stopped, or killed, while it wrote the report; meanwhile something arrived."""

    def turn(*given: Any) -> Any:
        wheel.cycle(*given)
        raise Stopped("asked to stop")

    job = wheel.queue("artifacts")
    first, _ = ready(wheel, turn)
    assert first.work(wheel.store.jobs.claim("one", LONG)) is False
    waiting = wheel.store.jobs.get(job.id)
    assert (waiting.state, waiting.result) == ("queued", {"cycle": "artifacts-0001"})
    wheel.record(**wheels.feedback(1, seed=9)[0])
    second, told = ready(wheel, wheel.cycle)
    assert second.work(wheel.store.jobs.claim("two", LONG)) is True
    ended = wheel.store.jobs.get(job.id)
    assert (ended.state, ended.result["cycle"]) == ("done", "artifacts-0001")
    assert ended.result["verdict"] == "promote"
    assert [event for event, _ in told] == ["job started", "job done"]
    assert [cycle.id for cycle in wheel.cycles()] == ["artifacts-0001"]


def test_queueing_twice_is_queueing_once(wheel: Any) -> None:
    assert wheel.queue("artifacts").id == wheel.queue("artifacts").id
    assert len(wheel.jobs()) == 1


def test_a_lease_that_ran_out_goes_to_the_next_under_a_new_fence(store: Any) -> None:
    store.jobs.add("cycle", "artifacts", reason="why")
    first = store.jobs.claim("one", GONE)
    second = store.jobs.claim("two", LONG)
    assert (first.fence, second.fence, second.attempt) == (1, 2, 2)
    assert store.jobs.claim("three", LONG) is None
    for late in (
        lambda: store.jobs.beat(first, LONG),
        lambda: store.jobs.turns(first, "artifacts-0001"),
        lambda: store.jobs.finish(first, "done", {}),
        lambda: store.jobs.give_back(first, after=GONE, counted=True),
    ):
        with pytest.raises(Fenced, match=r"Job 1 is no longer held under fence 1 .*fence 2"):
            late()
    store.jobs.finish(second, "done", {"verdict": "promote"})
    assert store.jobs.get(1).state == "done"


def test_every_write_of_a_zombie_is_refused_and_leaves_no_trace(store: Any) -> None:
    from datetime import UTC, datetime

    from honewheel.records import Response

    made = Response(
        id="evt_z", task="sql", prompt="p", output="o", created_at=datetime(2026, 3, 1, tzinfo=UTC)
    )
    store.jobs.add("cycle", "artifacts", reason="why")
    mine = store.jobs.claim("one", GONE)
    with store.jobs.fenced(mine):
        store.log.append([], [])  # still ours: nobody else claimed it
        other = threading.Thread(target=lambda: store.jobs.claim("two", LONG))
        other.start()
        other.join()
        with pytest.raises(Fenced):
            store.log.append([made])
        with pytest.raises(Fenced):
            store.versions.ensure_base("artifacts", "b", "h", made.created_at)
    assert store.log.last_seq() == 0
    assert store.log.append([made]) == 1  # outside the block nothing is fenced


def test_a_waiting_job_is_cancelled_at_once_and_a_finished_one_never(wheel: Any) -> None:
    job = wheel.queue("artifacts")
    assert wheel.cancel(job.id, reason="not today").state == "cancelled"
    assert wheel.jobs()[0].result == {"error": "not today"}
    with pytest.raises(InputError, match="Job 1 is cancelled already"):
        wheel.cancel(job.id)
    with pytest.raises(NotFound, match="no job 7"):
        wheel.cancel(7)


def test_calling_off_a_measurement_leaves_the_cycle_that_waits_to_go_on(wheel: Any) -> None:
    def cut(step: Progress) -> None:
        raise Stopped("here")

    with pytest.raises(Stopped):
        wheel.cycle("artifacts", cut)
    job, _ = wheel.store.jobs.add(drift.MEASURE, "artifacts", reason="drift", asked={"seq": 1})
    assert wheel.cancel(job.id).state == "cancelled"
    assert wheel.store.cycles.running("artifacts") is not None
    job, _ = wheel.store.jobs.add(drift.MEASURE, "artifacts", reason="drift", asked={"seq": 1})
    mine, _ = ready(wheel, None)
    mine.work(replace(wheel.store.jobs.claim(mine.name, LONG), attempt=99))
    assert wheel.jobs()[0].state == "failed"
    assert wheel.store.cycles.running("artifacts") is not None
    wheel.cancel(wheel.queue("artifacts").id)
    assert wheel.store.cycles.running("artifacts") is None


def test_calling_off_a_waiting_cycle_leaves_one_that_somebody_turns(wheel: Any) -> None:
    def listen(step: Progress) -> None:
        if step.stage == "train" and not told:
            job = wheel.queue("artifacts")
            told.append(wheel.cancel(job.id).state)

    told: list[str] = []
    wheel.cycle("artifacts", listen)
    assert told == ["cancelled"]
    assert wheel.cycles()[0].state == "done"


def test_a_running_job_stops_at_its_next_step_when_it_is_cancelled(wheel: Any) -> None:
    job = wheel.queue("artifacts")
    found = wheel.store.jobs.claim("one", LONG)
    worker.cancel(wheel.store, job.id, "too dear", wheel.clock())
    assert wheel.store.jobs.beat(found, LONG) == "too dear"

    def turn(_: str, listen: Any, schedule: str | None, reason: str) -> Any:
        raise Cancelled("Cancelled: too dear")

    ready(wheel, turn)[0].work(found)
    assert wheel.jobs()[0].state == "cancelled"
    assert wheel.jobs()[0].result == {"error": "Cancelled: too dear"}


def test_a_worker_that_is_asked_to_stop_gives_its_job_back_uncounted(wheel: Any) -> None:
    wheel.queue("artifacts")
    found = wheel.store.jobs.claim("one", LONG)

    def turn(_: str, listen: Any, schedule: str | None, reason: str) -> Any:
        mine.stop.set()
        return wheel.cycle("artifacts", listen)

    mine, told = ready(wheel, turn)
    assert mine.work(found) is False
    assert told[-1][1]["why"] == "asked to stop"
    job = wheel.jobs()[0]
    assert (job.state, job.attempt, job.worker) == ("queued", 0, None)
    running = wheel.store.cycles.running("artifacts")
    assert running is not None
    assert wheel.work(once=True) == 1
    assert wheel.store.cycles.get(running.id).state == "done"


def test_a_killed_training_is_tried_again_later_and_given_up_in_the_end(wheel: Any) -> None:
    wheel.queue("artifacts")

    def turn(_: str, listen: Any, schedule: str | None, reason: str) -> Any:
        def dies(step: Progress) -> None:
            if step.stage == "train":
                raise TrainingStopped("killed by SIGKILL")
            listen(step)

        return wheel.cycle("artifacts", dies)

    mine, _ = ready(wheel, turn)
    assert mine.work(wheel.store.jobs.claim(mine.name, LONG)) is False
    waiting = wheel.jobs()[0]
    assert (waiting.state, waiting.attempt) == ("queued", 1)
    assert waiting.run_after > waiting.queued_at + timedelta(seconds=20)
    assert wheel.store.jobs.claim("two", LONG) is None
    from sqlalchemy import update

    from honewheel.store.tables import job as table

    with wheel.store._db.write("jobs") as connection:
        connection.execute(update(table).values(run_after=waiting.queued_at, attempt=5))
    last = wheel.store.jobs.claim("three", LONG)
    assert replace(last, attempt=0).fence == 2
    assert mine.work(last) is True
    assert wheel.jobs()[0].state == "failed"
    assert "given up after 5 attempts" in wheel.jobs()[0].result["error"]
    assert wheel.cycles()[0].state == "failed"


def test_stopping_is_asked_at_every_step(wheel: Any) -> None:
    found = wheel.queue("artifacts")
    stop = threading.Event()
    pulse = worker._Pulse(wheel.store, found, LONG, stop)
    pulse.require()
    stop.set()
    with pytest.raises(Stopped):
        pulse.require()


def test_a_rollback_in_traffic_holds_the_next_cycle_back(wheel: Any) -> None:
    from honewheel.loop import trigger
    from honewheel.loop.trigger import State

    state = trigger.State(waiting={}, panel=trigger.Panel(prompts=1000), paused=wheel.clock())
    assert isinstance(state, State)
    later = state.paused + timedelta(hours=1)
    settings = wheel.config.model("artifacts")[1].trigger
    told = trigger.due(state, settings, state.paused - timedelta(hours=1)).reasons
    assert any("a version was rolled back" in reason for reason in told)
    assert not any(
        "rolled back" in reason for reason in trigger.due(state, settings, later).reasons
    )


@pytest.mark.slow
def test_looking_again_and_again_keeps_nothing(wheel: Any) -> None:
    """What a worker does for hours, a hundred times: memory, threads and files stay flat."""
    wheel.work(once=True)
    mine, told = ready(wheel, wheel.cycle)

    def looks(times: int) -> tuple[int, int, int]:
        for _ in range(times):
            mine.run(once=True)
        told.clear()
        gc.collect()
        files = len(list(Path("/proc/self/fd").iterdir()))
        return tracemalloc.get_traced_memory()[0], threading.active_count(), files

    tracemalloc.start()
    try:
        looks(20)  # caches fill
        before = looks(20)
        after = looks(100)
    finally:
        tracemalloc.stop()
    assert after[0] - before[0] < 100_000  # bytes
    assert after[1:] == before[1:]


ASLEEP = """\
import os, signal, sys
import honewheel as hw

def tell(event, fields):
    if event == "step" and fields["stage"] == "build":
        os.kill(os.getpid(), signal.SIGSTOP)
    print(event, flush=True)

hw.open(sys.argv[1], environment={}).work(tell=tell)
"""


@pytest.mark.slow
def test_a_worker_that_wakes_up_after_its_lease_changes_nothing(
    tmp_path: Path, store_url: str
) -> None:
    folder = wheels.project(tmp_path / "project", store_url)
    with (folder / "honewheel.toml").open("a") as file:
        file.write("\n[worker]\npoll_seconds = 0.2\nlease_seconds = 1\n")
    with wheels.open_wheel(folder) as opened:
        wheels.fill(opened, tmp_path)
        opened.queue()
        sleeper = start(folder, tmp_path, ASLEEP)
        try:
            while opened.jobs()[0].fence < 2:  # until the lease ran out and we claimed the job
                threading.Event().wait(0.1)
                if opened.jobs()[0].fence:
                    opened.work(once=True)
            assert opened.jobs()[0].state == "queued"  # the sleeper still holds the cycle's lock
            assert opened.store.versions.next_number("artifacts") == 1
            sleeper.send_signal(signal.SIGCONT)
            while opened.jobs()[0].ended_at is None:
                threading.Event().wait(0.2)
                opened.work(once=True)
        finally:
            sleeper.kill()
            sleeper.wait()
        assert b"job lost" in (tmp_path / "workers.log").read_bytes()
        assert [job.state for job in opened.jobs()] == ["done"]
        assert [cycle.state for cycle in opened.cycles()] == ["done"]
        assert [version.number for version in opened.versions()] == [0, 1]
        assert [move.version for move in opened.store.versions.history("artifacts")] == [0, 1]


WORK = """\
import sys
import honewheel as hw

wheel = hw.open(sys.argv[1], environment={})
wheel.work(tell=lambda event, fields: print(event, flush=True))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_three_workers_with_kills_do_each_job_exactly_once(
    tmp_path: Path, postgres_url: str
) -> None:
    folder = wheels.project(tmp_path / "project", postgres_url)
    text = (folder / "honewheel.toml").read_text()
    more = text[text.index("[models.artifacts]") : text.index("[tasks.erd]")]
    fast = "\n[worker]\npoll_seconds = 0.2\nlease_seconds = 2\nattempts = 100\n"
    names = ["artifacts", "second", "third"]
    copies = "".join(more.replace("models.artifacts", f"models.{name}") for name in names[1:])
    (folder / "honewheel.toml").write_text(text + "\n" + copies + fast)
    with wheels.open_wheel(folder) as opened:
        wheels.fill(opened, tmp_path)
        for name in names:
            opened.queue(name)
        rng = random.Random(11)
        running = [start(folder, tmp_path) for _ in range(3)]
        kills = 0
        try:
            while any(job.ended_at is None for job in opened.jobs()):
                threading.Event().wait(rng.uniform(0.5, 3.0))
                if kills < 12:
                    victim = rng.randrange(3)
                    running[victim].send_signal(signal.SIGKILL)
                    running[victim].wait()
                    kills += 1
                    running[victim] = start(folder, tmp_path)
            for one in running:
                one.send_signal(signal.SIGTERM)
        finally:
            for one in running:
                one.kill()
                one.wait()
        assert kills > 0
        jobs = opened.jobs()
        assert sorted(job.model for job in jobs) == sorted(names)
        assert {job.state for job in jobs} == {"done"}
        for name in names:
            assert [cycle.state for cycle in opened.cycles(name)] == ["done"]
            assert [version.number for version in opened.versions(name)] == [0, 1]
            moves = opened.store.versions.history(name)
            assert [move.revision for move in moves] == list(range(1, len(moves) + 1))
            assert len([move for move in moves if move.cycle]) <= 1
        hashes = {opened.versions(name)[1].dataset for name in names}
        assert len(hashes) == 1  # the same log, the same settings, the same dataset


def start(folder: Path, tmp_path: Path, script: str = WORK) -> subprocess.Popen[bytes]:
    with (tmp_path / "workers.log").open("ab") as log:
        words = [sys.executable, "-c", script, str(folder)]
        return subprocess.Popen(words, stdout=log, stderr=log)
