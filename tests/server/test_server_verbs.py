"""The loop through HTTP alone: feedback, a cycle by POST, its progress, promotion, the way back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

import honewheel as hw
import wheels
from honewheel.errors import InputError, NotFound, StoreError, Unreachable
from honewheel.store.jobs import Jobs
from server.conftest import ROW, Live, running, until


def taught(live: Live, count: int = 60, shuffled: bool = False, seed: int = 0) -> hw.Client:
    """The gateway is asked, and its answers are corrected, all over HTTP."""
    client = hw.Client(live.url)
    rows = []
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="none") as sdk:
        for row in wheels.feedback(count, seed, shuffled=shuffled):
            answer = sdk.chat.completions.create(
                model=row["task"], messages=[{"role": "user", "content": row["prompt"]}]
            )
            said = {key: row[key] for key in ("correction", "thumb", "source") if key in row}
            rows.append({"response_id": answer.id, **said})
    assert client.feedback_many(rows).sent == len(rows)
    return client


def suites(wheel: Any, folder: Path) -> None:
    for task, items in wheels.suites(40).items():
        wheel.suite_import(wheels.write_jsonl(folder / f"{task}.jsonl", items), task=task)


@pytest.mark.slow
def test_good_feedback_is_promoted_poisoned_is_refused_and_there_is_a_way_back(
    folder: Path,
) -> None:
    with wheels.open_wheel(folder) as wheel, running(wheel, worker=True) as live:
        suites(wheel, folder)
        client = taught(live)
        name = client.cycle("artifacts")
        found = client.wait(name)
        assert (found["state"], found["verdict"]) == ("done", "promote"), found["decision"]
        assert found["decision"]["challenger"] == "artifacts@1"
        assert "config" not in found
        rows = client.versions("artifacts")
        assert [(row["name"], row["champion"]) for row in rows] == [
            ("artifacts@0", False),
            ("artifacts@1", True),
        ]
        assert rows[1]["gain"] > 0
        with openai.OpenAI(base_url=f"{live.url}/v1", api_key="none") as sdk:
            asked: Any = {"model": "erd", "messages": [{"role": "user", "content": "string a"}]}
            # the gateway learns of it within a second
            until(lambda: sdk.chat.completions.create(**asked).model == "artifacts@1")

        taught(live, shuffled=True, seed=7)
        refused = client.wait(client.cycle("artifacts"))
        assert refused["verdict"] != "promote"
        assert [one["id"] for one in live.get("/v1/cycles").json["cycles"]] == [refused["id"], name]

        move = client.rollback("artifacts", "the house style was wrong")
        assert (move["version"], move["previous"]) == (0, 1)
        assert move["reason"].endswith("(by local)")
        with pytest.raises(InputError, match="first champion"):
            client.rollback("artifacts", "again")
        promote = "/v1/models/artifacts/promote"
        assert live.post(promote, {"version": 2}).status == 422
        assert live.post(promote, {"version": 9}).status == 404
        forced = live.post(promote, {"version": 1, "force": "it was right"})
        assert (forced.status, forced.json["forced"]) == (200, True)
        actions = {row["action"] for row in live.get("/v1/audit").json["audit"]}
        assert {"POST /v1/cycles", f"POST {promote.replace('artifacts', '{name}')}"} <= actions


def events(found: bytes) -> list[tuple[str, int, Any]]:
    """(event, id, data) of a stream of server-sent events."""
    told = []
    for block in found.decode().strip().split("\n\n"):
        parts = dict(line.split(": ", 1) for line in block.splitlines())
        told.append((parts["event"], int(parts["id"]), json.loads(parts["data"])))
    return told


def test_the_progress_of_a_cycle_can_be_followed_and_picked_up_again(folder: Path) -> None:
    with wheels.open_wheel(folder) as wheel, running(wheel, worker=True) as live:
        wheels.fill(wheel, folder)
        started = live.post("/v1/cycles", {})
        assert started.status == 202
        path = started.json["events"]
        assert started.headers["location"] == path
        told = events(live.get(path).body)
        assert [number for _, number, _ in told] == list(range(1, len(told) + 1))
        assert [kind for kind, _, _ in told] == ["progress"] * (len(told) - 1) + ["end"]
        assert {one["stage"] for _, _, one in told[:-1]} >= {"train", "evaluate", "gate"}
        assert told[-1][2]["verdict"] == "promote"
        again = events(live.get(path, last_event_id=str(len(told) - 3)).body)
        assert again == told[-3:]
        assert live.post("/v1/cycles", {}).status == 409  # nothing new
        assert live.get("/v1/cycles/none/events").status == 404
    with wheels.open_wheel(folder) as wheel, running(wheel, worker=True) as live:  # another server
        assert [kind for kind, _, _ in events(live.get(path).body)] == ["end"]


@pytest.fixture
def working(folder: Path) -> Iterator[Live]:
    """A server with a worker."""
    with wheels.open_wheel(folder) as wheel, running(wheel, worker=True) as found:
        yield found


def test_a_cycle_that_cannot_start_tells_why(working: Live) -> None:
    live = working
    client = hw.Client(live.url)
    assert live.post("/v1/cycles", {"model": "none"}).status == 422
    assert live.post("/v1/cycles", {"modle": "artifacts"}).status == 422
    assert live.post("/v1/cycles", body=b"[]").status == 422
    assert live.post("/v1/cycles", {}, content_type="text/plain").status == 415
    live.post("/v1/feedback", ROW)
    found = client.wait(client.cycle())  # it starts, and has too little to learn from
    assert found["state"] == "failed"
    assert "min_examples" in found["error"]
    with pytest.raises(NotFound):
        client.wait("artifacts-0009")


def test_without_a_worker_a_cycle_waits_and_can_be_called_off(live: Live) -> None:
    found = live.post("/v1/cycles", {})
    assert (found.status, found.json["id"]) == (202, None)
    path = found.headers["location"]
    assert path == f"/v1/jobs/{found.json['job']}"
    assert live.post("/v1/cycles", {}).json["job"] == found.json["job"]  # asked twice, done once
    assert (live.get(path).json["state"], live.get(path).json["cycle"]) == ("queued", None)
    assert live.post(f"{path}/cancel", {"reason": "no"}).json["state"] == "cancelled"
    assert live.post(f"{path}/cancel", {}).status == 422
    assert [job["reason"] for job in live.get("/v1/jobs").json["jobs"]] == ["asked for by local"]
    for missing in ("99", "x", "9" * 30):
        assert live.get(f"/v1/jobs/{missing}").status == 404
    with pytest.raises(Unreachable, match="No worker"):
        hw.Client(live.url).cycle(timeout=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [StoreError("gone"), RuntimeError("ours")])
def test_the_servers_worker_begins_again_when_something_ends_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    claim, faults = Jobs.claim, [fault]

    def once(self: Jobs, *given: Any) -> Any:
        if faults:
            raise faults.pop()
        return claim(self, *given)

    monkeypatch.setattr(Jobs, "claim", once)
    flags = ("worker.poll_seconds=0.05",)
    with wheels.open_wheel(folder, *flags) as wheel, running(wheel, worker=True) as live:
        job = wheel.queue("artifacts")
        until(lambda: live.get(f"/v1/jobs/{job.id}").json["ended_at"])
    assert faults == []


def test_a_worker_elsewhere_takes_what_was_asked_for_here(folder: Path) -> None:
    with wheels.open_wheel(folder) as wheel, running(wheel) as live:
        wheels.fill(wheel, folder)
        job = live.post("/v1/cycles", {}).json["job"]
        with wheels.open_wheel(folder) as other:
            other.work(once=True)
        found = live.get(f"/v1/jobs/{job}").json
        assert (found["state"], found["cycle"]) == ("done", "artifacts-0001")
        assert [kind for kind, _, _ in events(live.get("/v1/cycles/artifacts-0001/events").body)]


def test_a_version_on_trial_and_the_moves_of_its_alias_can_be_read(folder: Path) -> None:
    flags = ["models.artifacts.watch.mode=canary"]
    with wheels.open_wheel(folder, *flags) as wheel, running(wheel) as live:
        client = hw.Client(live.url)
        assert client.watch("artifacts") == []
        wheels.fill(wheel, folder)
        assert wheel.cycle("artifacts").verdict == "promote"
        (trial,) = client.watch("artifacts")
        assert (trial["version"], trial["baseline"]) == ("artifacts@1", "artifacts@0")
        assert (trial["stage"], trial["ended"]) == ("canary", None)
        client.rollback("artifacts", "the importer cannot read it")
        (trial,) = client.watch("artifacts")
        assert trial["ended"] == "rolled back"
        moves = live.get("/v1/models/artifacts/versions").json["moves"]
        assert [(one["alias"], one["version"]) for one in moves] == [
            ("champion", 0),
            ("canary", 1),
            ("canary", 0),
        ]
        assert "the importer cannot read it" in moves[-1]["reason"]
        assert live.get("/v1/models/none/watch").status == 404


def test_bodies_of_verbs_are_checked(live: Live) -> None:
    for path, body in (
        ("/v1/models/artifacts/promote", {}),
        ("/v1/models/artifacts/promote", {"version": -1}),
        ("/v1/models/artifacts/promote", {"version": "x"}),
        ("/v1/models/artifacts/promote", {"version": 1, "force": ""}),
        ("/v1/models/artifacts/rollback", {"reason": 7}),
        ("/v1/models/artifacts/rollback", {"why": "x"}),
    ):
        found = live.post(path, body)
        assert found.status == 422, (path, body)
        assert found.json["error"]["message"]
    assert live.get("/v1/models/none/versions").status == 404
    assert live.get("/v1/status").json["project"] == "acme"


def test_a_store_that_is_away_is_told_by_the_health_route(live: Live) -> None:
    from honewheel.errors import StoreError

    def down() -> int:
        raise StoreError("secret path")

    live.wheel.store.log.last_seq = down
    found = live.get("/healthz")
    assert (found.status, found.json) == (503, {"ok": False, "store": "down"})
