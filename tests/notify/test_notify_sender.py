"""What happens is told: all of it, once, also after the receiver or a sender was away."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from receivers import Receiver

import wheels
from honewheel.cli.app import FAILED, USAGE, call
from honewheel.errors import HonewheelError, NotFound, TrainingFailed
from honewheel.loop import drift
from honewheel.notify import sender
from honewheel.notify.sender import Sender


def ready(wheel: Any) -> tuple[Sender, list[tuple[str, dict[str, Any]]]]:
    told: list[tuple[str, dict[str, Any]]] = []
    found = Sender(wheel.store, wheel.config, wheel.clock, lambda *one: told.append(one))
    return found, told


def test_a_worker_tells_of_what_it_did(due: Any, there: Receiver) -> None:
    heard: list[str] = []
    assert due.work(once=True, tell=lambda event, _: heard.append(event)) == 1
    (told,) = there.told  # `passed` is not among the default events
    assert (told["event"], told["model"], told["project"]) == ("promoted", "artifacts", "acme")
    assert (told["version"], told["previous"]) == ("artifacts@1", "artifacts@0")
    assert told["id"] == "move:artifacts:champion:2"
    assert told["cycle"] == "artifacts-0001"
    assert told["reasons"]
    assert "notice sent" in heard
    assert due.work(once=True) == 0
    assert len(there.got) == 1


def test_everything_that_happens_is_told(wheel: Any, there: Receiver, tmp_path: Path) -> None:
    wheel.rollback(reason="it shouts")
    fails = "models.artifacts.train.fail_at=1"
    with wheels.open_wheel(wheel.config.root, fails) as failing, pytest.raises(TrainingFailed):
        failing.cycle()
    job, _ = wheel.store.jobs.add(
        drift.MEASURE, "artifacts", reason="drift", asked={"alarms": ["less"], "seq": 1}
    )
    wheel.store.jobs.claim("me", timedelta(hours=1))
    wheel.store.jobs.finish(wheel.store.jobs.get(job.id), "done", {"verdict": "held", "why": "no"})
    assert wheel.send_notices() == {"sent": 4, "missed": 0}
    told = {one["event"]: one for one in there.told}
    assert set(told) == {"promoted", "rolled_back", "failed", "drift"}
    assert told["rolled_back"]["reasons"] == ["it shouts"]
    assert (told["rolled_back"]["version"], told["rolled_back"]["previous"]) == (
        "artifacts@0",
        "artifacts@1",
    )
    assert "nan" in told["failed"]["reasons"][0]
    assert (told["drift"]["verdict"], told["drift"]["alarms"]) == ("held", ["less"])


def test_only_what_is_asked_for_is_told(folder: Path, there: Receiver, url: str) -> None:
    wanted = ('webhooks.chat.events=["passed"]', 'webhooks.chat.models=["artifacts"]')
    with wheels.open_wheel(folder, url, *wanted) as wheel:
        assert wheel.send_notices()["sent"] == 1
        (told,) = there.told
        assert (told["event"], told["version"]) == ("passed", "artifacts@1")
        assert told["gain"] > 0
        assert told["interval"][0] <= told["gain"] <= told["interval"][1]
    with pytest.raises(HonewheelError, match=r"webhooks.chat.models .*no registered model"):
        wheels.open_wheel(folder, 'webhooks.chat.models=["artefacts"]')


def test_a_receiver_that_is_away_misses_nothing_and_delays_nobody(
    wheel: Any, there: Receiver
) -> None:
    there.status = 503
    heard: list[tuple[str, dict[str, Any]]] = []
    assert wheel.work(once=True, tell=lambda *one: heard.append(one)) == 0
    missed = [fields for event, fields in heard if event == "notice not taken"]
    assert "status 503" in missed[0]["why"]
    (waiting,) = wheel.store.outbox.list(5)
    assert (waiting.state, waiting.attempt) == ("waiting", 1)
    assert wheel.outlets()[0]["waiting"] == 1
    assert ready(wheel)[0].deliver() == (0, 0)  # it is not its time yet
    there.status = 200
    assert wheel.send_notices() == {"sent": 1, "missed": 0}
    assert [one["id"] for one in there.told] == [waiting.key] * 2
    assert there.got[0][0]["honewheel-delivery"] == there.got[1][0]["honewheel-delivery"]
    assert wheel.outlets()[0]["sent"] == 1


def test_it_is_tried_less_and_less_often_and_given_up_after_a_week(
    wheel: Any, there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    there.status = 500
    found, told = ready(wheel)
    found.look()
    pauses: list[timedelta] = []
    failed = wheel.store.outbox.failed

    def noted(one: Any, why: str, after: timedelta | None, at: datetime) -> None:
        pauses.append(after or timedelta())
        failed(one, why, None if after is None else timedelta(), at)

    monkeypatch.setattr(wheel.store.outbox, "failed", noted)
    assert found.deliver(lambda missed: missed < 11) == (0, 11)
    assert [pause.total_seconds() for pause in pauses[:4]] == [10, 20, 40, 80]
    assert pauses[-1] == sender.LONGEST
    clock = wheel.clock
    found.clock = lambda: clock() + timedelta(days=8)
    assert found.deliver() == (0, 1)
    assert told[-1][0] == "notice given up"
    assert wheel.outlets()[0]["given_up"] == 1
    there.status = 200
    monkeypatch.undo()
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    assert wheel.send_notices()["sent"] == 1


def test_nothing_from_before_is_told_and_what_came_while_no_sender_ran_is(
    folder: Path, there: Receiver, url: str
) -> None:
    new = [one.replace("chat", "late") for one in (url, "webhooks.chat.secret_env=HOOK_SECRET")]
    with wheels.open_wheel(folder, *new, "webhooks.late.private=true") as wheel:
        found, _ = ready(wheel)
        found.look()
        assert {one.outlet for one in wheel.store.outbox.list(9)} == {"webhook:chat"}
        clock = wheel.clock
        wheel.clock = lambda: clock() + timedelta(days=30)
        wheel.rollback()
        found.clock = lambda: clock() + timedelta(days=33)
        assert found.look() == 2
        assert found.look() == 0
        late = wheel.store.outbox.list(9, "webhook:late")
        assert [one.event for one in late] == ["rolled_back"]


def test_the_command_line_tries_lists_and_sends(
    folder: Path,
    there: Receiver,
    url: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    at = ["-C", str(folder), "--set", url]
    assert call([*at, "webhooks", "test", "chat"]) == 0
    assert "chat took it: status 204" in capsys.readouterr().err
    assert there.told[0]["event"] == "test"
    assert call([*at, "webhooks", "test", "chta"]) == USAGE
    assert "Did you mean chat?" in capsys.readouterr().err
    there.status = 500
    assert call([*at, "webhooks", "test", "chat"]) == FAILED
    assert "status 500" in capsys.readouterr().err
    assert call([*at, "webhooks", "send", "--json"]) == FAILED
    assert json.loads(capsys.readouterr().out) == {"sent": 0, "missed": 1}
    assert call([*at, "webhooks", "list", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["outlet"], one["waiting"]) == ("webhook:chat", 1)
    assert "status 500" in one["error"]
    there.status = 200
    assert call([*at, "webhooks", "send"]) == 0
    assert "1 sent, 0 not taken" in capsys.readouterr().err
    other = wheels.project(tmp_path / "other")
    assert call(["-C", str(other), "webhooks", "list"]) == 0
    assert "Nobody is told anything" in capsys.readouterr().err
    with wheels.open_wheel(other) as wheel, pytest.raises(NotFound):
        wheel.webhook_test("chat")


def test_a_private_address_is_told_as_such(folder: Path, there: Receiver, url: str) -> None:
    flags = ("webhooks.chat.private=false", url.replace("http://", "https://"))
    with wheels.open_wheel(folder, *flags) as wheel:
        assert wheel.send_notices() == {"sent": 0, "missed": 1}
        assert "private = true" in wheel.outlets()[0]["error"]
    assert not there.got


def test_times_are_in_utc(wheel: Any, there: Receiver) -> None:
    wheel.send_notices()
    assert datetime.fromisoformat(there.told[0]["at"]).tzinfo == UTC
