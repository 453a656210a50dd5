"""Several processes on one store, and processes that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from store_records import eval_row, version

from honewheel.errors import StoreBusy
from honewheel.store import Store, open_store

WORKER = Path(__file__).with_name("store_worker.py")


@contextmanager
def worker(verb: str, url: str, files: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(WORKER), verb, url, str(files), *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def lines(process: subprocess.Popen[str]) -> list[str]:
    """What a worker said until it ended well."""
    out, problem = process.communicate(timeout=120)
    assert process.returncode == 0, problem
    return out.split()


def test_two_processes_append_without_gaps_and_no_reader_misses_any(
    store: Store, store_url: str, files_root: Path
) -> None:
    seen: dict[int, list[str]] = {}
    with ExitStack() as stack:
        # Both also append the same records "same0"...: each must be there once.
        jobs = [
            stack.enter_context(worker("append", store_url, files_root, prefix, "12"))
            for prefix in ("a", "b", "same", "same")
        ]
        while any(job.poll() is None for job in jobs):
            last = store.log.last_seq()
            seen[last] = [event.id for event in store.log.events(None, up_to=last)]
            time.sleep(0.02)
        for job in jobs:
            lines(job)
    assert store.log.last_seq() == 3 * 12 * 3
    found = list(store.log.events(None, up_to=10**9))
    numbers = sorted([event.seq for event in found] + _feedback_numbers(store))
    assert numbers == list(range(1, 109))
    assert len(seen) > 2, "the reader never saw the writers at work"
    for last, ids in seen.items():
        assert ids == [event.id for event in found if event.seq <= last]
    assert store.log.counts()["tasks"]["sql"]["events"] == 72
    assert store.log.counts()["tasks"]["sql"]["feedback"] == 36


def _feedback_numbers(store: Store) -> list[int]:
    with store._db.read() as connection:
        return [row[0] for row in connection.exec_driver_sql("SELECT seq FROM feedback")]


@pytest.mark.parametrize("batches", [1, 7])
def test_what_was_acknowledged_survives_a_kill(
    store_url: str, files_root: Path, batches: int
) -> None:
    with worker("append", store_url, files_root, "k", "0") as process:
        acknowledged = [process.stdout.readline().strip() for _ in range(batches)]
        time.sleep(0.013 * batches)
        process.send_signal(signal.SIGKILL)
        acknowledged += process.stdout.read().split()
    assert len(acknowledged) >= batches
    with open_store(store_url, files_root) as store:
        stored = {event.id: event for event in store.log.events(None, up_to=10**9)}
        assert {f"evt_{name}" for name in acknowledged} <= stored.keys()
        for name in {key.removesuffix("b") for key in stored}:
            assert f"{name}b" in stored, "half a batch"
            assert len(stored[name].feedback) == 1, "half a batch"
        assert store.log.last_seq() == len(stored) * 3 // 2
        if store._db.sqlite:
            with store._db.read() as connection:
                assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_of_many_processes_that_move_an_alias_one_wins_each_revision(
    store: Store, store_url: str, files_root: Path, tmp_path: Path
) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "weights.bin").write_bytes(b"w")
    files = store.files.put(tmp_path / "adapter")
    workers, wins = 3, 8
    for number in range(1, workers + 1):
        store.versions.create(version(number, files=files))
        store.versions.save_eval("cyc", [eval_row(number, "i1")])
    with ExitStack() as stack:
        jobs = [
            stack.enter_context(worker("race", store_url, files_root, str(number), str(wins)))
            for number in range(1, workers + 1)
        ]
        for job in jobs:
            assert job.stdout.readline() == "ready\n"
        for job in jobs:
            job.stdin.write("go\n")
            job.stdin.flush()
        won = {number: lines(job) for number, job in enumerate(jobs, start=1)}
    history = store.versions.history("artifacts")
    assert [move.revision for move in history] == list(range(1, workers * wins + 1))
    for earlier, later in pairwise(history):
        assert later.previous == earlier.version
    for number, revisions in won.items():
        mine = [str(move.revision) for move in history if move.version == number]
        assert mine == revisions, "a win that another process undid"


def test_processes_that_open_an_empty_store_together_all_succeed(
    postgres_cluster, sqlite_url: str, files_root: Path
) -> None:
    for url in (sqlite_url, postgres_cluster.create_database()):
        with ExitStack() as stack:
            jobs = [stack.enter_context(worker("opened", url, files_root)) for _ in range(3)]
            assert [lines(job) for job in jobs] == [["0"]] * 3


def test_a_name_is_held_until_its_process_dies(
    store: Store, store_url: str, files_root: Path
) -> None:
    name = "cycle:artifacts"
    with worker("hold", store_url, files_root, name) as process:
        assert process.stdout.readline() == "held\n"
        busy = rf"Another cycle of artifacts is running \(pid {process.pid}.*since 20\d\d-.* UTC\)"
        with pytest.raises(StoreBusy, match=busy), store.exclusive(name):
            pass
        with store.exclusive("cycle:other"):
            pass
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while True:
        try:
            with store.exclusive(name):
                break
        except StoreBusy:
            assert time.monotonic() < deadline, "still held after its process died"
            time.sleep(0.05)


def test_a_name_is_held_once_within_a_process_and_freed_by_an_error(store: Store) -> None:
    def fail() -> None:
        with store.exclusive("cycle of a"):
            with pytest.raises(StoreBusy, match=f"pid {os.getpid()}"):
                store.exclusive("cycle of a").__enter__()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with store.exclusive("cycle of a"):
        store.log.append([], [])


def test_a_full_disk_refuses_keeps_what_it_acknowledged_and_goes_on(tmp_path: Path) -> None:
    """A real disk of 3 MiB, mounted where only this test sees it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    own = ["--mount"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--mount"]
    script = f"mount -t tmpfs -o size=3m tmpfs {disk} && exec {sys.executable} {WORKER} " + (
        f"fill sqlite:///{disk}/store.db {disk}/files {disk}/ballast"
    )
    done = subprocess.run(["unshare", *own, "sh", "-c", script], capture_output=True, text=True)
    if "Operation not permitted" in done.stderr or "permission denied" in done.stderr:
        pytest.skip("no right to mount; test_a_full_database_refuses_and_stays_usable covers it")
    assert done.returncode == 0, done.stderr
    assert "No space left for" in done.stdout
    assert "files full" in done.stdout
    assert "went on to" in done.stdout
