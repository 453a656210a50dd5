"""Server and worker die at any moment, and the wheel goes on: nothing lost, nothing done twice."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import honewheel as hw
import wheels
from server.conftest import serving, until

SETTINGS = """
[models.artifacts.trigger]
min_new = 5
cooldown_hours = 0
hoped_gain = 50

[worker]
poll_seconds = 0.2
lease_seconds = 1
attempts = 50
"""
KILLS = 20


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    """A project whose suites are there and whose cycles are due after few corrections."""
    made = wheels.project(tmp_path / "acme")
    with (made / "honewheel.toml").open("a") as file:
        file.write(SETTINGS)
    with wheels.open_wheel(made) as opened:
        for task, rows in wheels.suites(40).items():
            opened.suite_import(wheels.write_jsonl(tmp_path / f"{task}.jsonl", rows), task=task)
    return made


@contextmanager
def working(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "honewheel", "-C", str(folder), "worker"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_kills_of_server_and_worker_lose_nothing_and_do_nothing_twice(
    acme: Path, tmp_path: Path
) -> None:
    rng, spool = random.Random(12), tmp_path / "feedback.spool"
    rows = iter(wheels.feedback(1_000, seed=4))
    sent: list[str] = []

    def talk(url: str, over: threading.Event) -> None:
        client = hw.Client(url, spool=spool, timeout=5)
        while not over.is_set() and (row := next(rows, None)) is not None:
            sent.append(row["id"])
            client.feedback(**row)
            time.sleep(0.01)

    for kill in range(KILLS):
        # In turn: the server with a worker inside, the server beside one, and that worker.
        apart = kill % 3 > 0
        flags = ("--no-worker",) if apart else ()
        with serving(acme, *flags) as (server, url), working(acme) if apart else idle() as worker:
            over = threading.Event()
            talker = threading.Thread(target=talk, args=(url, over))
            talker.start()
            time.sleep(rng.uniform(0.2, 2.5))
            (worker if kill % 3 == 2 and worker else server).kill()
            over.set()
            talker.join()
    with wheels.open_wheel(acme) as wheel, serving(acme) as (_, url):
        found = hw.Client(url, spool=spool).flush()
        assert (found.waiting, found.refused) == (0, ())
        until(lambda: not wheel.due().fire and settled(wheel))
        check(wheel, sent)


@contextmanager
def idle() -> Iterator[None]:
    yield


def settled(wheel: Any) -> bool:
    return all(job.ended_at is not None for job in wheel.jobs(1_000))


def check(wheel: Any, sent: list[str]) -> None:
    """Every row once in the log, every cycle ended, each with one version and one move at most."""
    events = list(wheel.store.log.events(None, wheel.store.log.last_seq()))
    assert Counter(event.id for event in events) == Counter(sent)
    assert all(len(event.feedback) == 1 for event in events)
    cycles = wheel.cycles(None, 1_000)
    assert sorted(cycle.number for cycle in cycles) == list(range(1, len(cycles) + 1))
    assert {cycle.state for cycle in cycles} == {"done"}
    made = Counter(version.cycle for version in wheel.versions("artifacts") if version.cycle)
    assert made == Counter(cycle.id for cycle in cycles)
    moves = wheel.store.versions.history("artifacts", "champion")
    assert [move.revision for move in moves] == list(range(1, len(moves) + 1))
    moved = [move.cycle for move in moves if move.cycle]
    assert moved == [cycle.id for cycle in reversed(cycles) if cycle.verdict == "promote"]
    assert moved
    for cycle in cycles:
        dataset = wheel.show(cycle.id)["steps"]["build"]["dataset"]
        rows = wheel.store.datasets.load(dataset).train
        assert len({row.id for row in rows}) == len(rows)
    job_cycles = [job.result["cycle"] for job in wheel.jobs(1_000) if "cycle" in (job.result or {})]
    assert len(set(job_cycles)) == len(job_cycles)
    with wheel.store._db.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
