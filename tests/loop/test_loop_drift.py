"""Drift: an alarm has the champion measured first, and only a fall there makes a cycle due."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.loop import drift, intake
from honewheel.loop.due import state
from honewheel.records import Feedback, Progress, Response


@pytest.fixture(scope="session")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has turned once."""
    made = tmp_path_factory.mktemp("turned")
    with wheels.memo_installed(), wheels.open_wheel(wheels.project(made / "project")) as opened:
        wheels.fill(opened, made)
        assert opened.cycle().verdict == "promote"
    return made / "project"


@pytest.fixture
def wheel(tmp_path: Path, turned: Path) -> Iterator[Any]:
    with wheels.open_wheel(shutil.copytree(turned, tmp_path / "project")) as opened:
        yield opened


def quiet(_: Progress) -> None:
    """Listens to nothing."""


def say(wheel: Any, n: int, seed: int, chance: float, *, valid: bool = True) -> None:
    """`n` tables by the champion, each accepted with `chance`."""
    rng, at = random.Random(seed), wheel.clock()
    made, said = [], []
    for number in range(n):
        table = wheels.ddl(rng) if valid else "CREATE TABEL"
        name = f"evt_say{seed}-{number}"
        made.append(
            Response(
                id=name,
                task="ddl",
                prompt=f"{wheels.ddl(rng)} {seed} {number}",
                output=table,
                version="artifacts@1",
                created_at=at,
            )
        )
        said.append(
            Feedback(
                id=f"fb_say{seed}-{number}",
                response_id=name,
                kind="thumb",
                source=f"user {number}",
                value=float(rng.random() < chance),
                created_at=at,
            )
        )
    wheel.store.log.append(made, said)
    intake.run(wheel.store, wheel.config, quiet)


def alarms(wheel: Any) -> list[tuple[str, str]]:
    found = drift.alarms(wheel.store, wheel.config, "artifacts")
    return [(one.task, one.measure) for one in found]


def test_a_stable_stream_raises_no_alarm(wheel: Any) -> None:
    say(wheel, 120, 1, 1.0)
    assert alarms(wheel) == []


def test_a_fall_of_acceptance_and_of_validity_are_told_apart(wheel: Any) -> None:
    say(wheel, 120, 2, 0.3)
    assert alarms(wheel) == [("ddl", "acceptance")]
    (found,) = drift.alarms(wheel.store, wheel.config, "artifacts")
    assert found.told.startswith("acceptance of ddl fell from 100 to ")
    say(wheel, 120, 3, 0.3, valid=False)
    assert ("ddl", "validity") in alarms(wheel)


def test_an_alarm_is_measured_once_before_anything_is_learnt(wheel: Any) -> None:
    say(wheel, 120, 4, 0.3)
    wheel.work(once=True)
    jobs = wheel.jobs()
    assert [job.kind for job in jobs] == ["measure"]
    assert jobs[0].state == "done"
    assert jobs[0].reason.startswith("drift: acceptance of ddl fell")
    assert jobs[0].result["verdict"] in ("held", "too few")
    assert drift.confirmed(wheel.store, "artifacts") == []  # the champion does as well as before
    wheel.work(once=True)
    assert len(wheel.jobs()) == 1


@pytest.mark.slow
def test_a_fall_that_the_champion_shows_is_a_reason_for_a_cycle(tmp_path: Path) -> None:
    with wheels.open_wheel(wheels.project(tmp_path / "project")) as wheel:
        wheels.fill(wheel, tmp_path, n=400)  # one in ten is held out
        assert wheel.cycle().verdict == "promote"
        fallen(wheel)


def fallen(wheel: Any) -> None:
    rows = wheels.feedback(400, seed=9, shuffled=True)  # what users want now is something else
    wheel.import_file(wheels.write_jsonl(wheel.config.root / "new.jsonl", rows))
    found = drift.measure(wheel.store, wheel.config, "artifacts", quiet)
    assert found["verdict"] == "fell"
    assert "held-out prompts, " in found["why"]
    asked = {"alarms": ["acceptance of ddl fell"], "seq": wheel.store.log.last_seq()}
    wheel.store.jobs.add(drift.MEASURE, "artifacts", reason="drift", asked=asked)
    job = wheel.store.jobs.claim("one", timedelta(hours=1))
    wheel.store.jobs.finish(job, "done", found)
    told = state(wheel.store, wheel.config, "artifacts", quiet).drift
    assert any(one.startswith("acceptance of ddl fell, and artifacts@1 reaches") for one in told)


def test_too_few_new_prompts_decide_nothing(wheel: Any) -> None:
    found = drift.measure(wheel.store, wheel.config, "artifacts", quiet)
    assert found["verdict"] == "too few"
