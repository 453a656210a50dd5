"""`honewheel serve` as a process: it says where it is, ends cleanly, and may be killed."""

from __future__ import annotations

import json
import random
import signal
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.cli.app import FAILED, USAGE, call
from server.conftest import ROW, serving, until


def send(url: str, data: Any) -> Any:
    request = urllib.request.Request(
        f"{url}/v1/feedback", json.dumps(data).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.loads(response.read())


def test_it_serves_until_it_is_asked_to_stop(folder: Path) -> None:
    with serving(folder) as (process, url):
        assert send(url, ROW)["seq"] == 1
        with urllib.request.urlopen(f"{url}/v1/status", timeout=30) as answer:
            request = answer.headers["x-request-id"]
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert "everything acknowledged is on disk" in process.stderr.read()
        assert process.wait(60) == 0
    with wheels.open_wheel(folder) as wheel:
        assert wheel.store.log.last_seq() == 2
    (log,) = (folder / ".honewheel" / "logs").glob("*-serve.log")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["route"] for line in lines if line.get("request") == request] == ["GET /v1/status"]


def test_it_does_not_start_where_it_must_not(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["-C", str(folder), "serve", "--host", "0.0.0.0", "--port", "0"]) == USAGE
    assert "honewheel keys create" in capsys.readouterr().err
    assert call(["-C", str(folder), "serve", "--port", "99999"]) == USAGE
    assert "65535" in capsys.readouterr().err
    with serving(folder) as (_, url):
        port = url.rpartition(":")[2]
        assert call(["-C", str(folder), "serve", "--port", port]) == USAGE
        assert "cannot be listened on" in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("honewheel.cli.serve._PACKAGES", ["no_such_package"])
    assert call(["-C", str(folder), "serve"]) == FAILED
    assert "pip install 'honewheel[server]'" in capsys.readouterr().err


@pytest.mark.slow
def test_whatever_moment_it_is_killed_at_nothing_acknowledged_is_lost(folder: Path) -> None:
    rng = random.Random(11)
    acknowledged: set[str] = set()
    number = 0

    def stream(url: str, name: str) -> None:
        nonlocal number
        while True:
            number += 1
            row = ROW | {"id": f"evt_{name}-{number}"}
            try:
                send(url, row)
            except (OSError, urllib.error.URLError, ValueError):
                return  # killed; what was in flight may be stored or not
            acknowledged.add(row["id"])

    for turn in range(4):
        with serving(folder) as (process, url):
            threads = [
                threading.Thread(target=stream, args=(url, f"{turn}-{one}")) for one in range(6)
            ]
            goal = len(acknowledged) + rng.randrange(1, 60)
            for thread in threads:
                thread.start()
            until(lambda goal=goal: len(acknowledged) >= goal)
            process.kill()
            for thread in threads:
                thread.join()
    with wheels.open_wheel(folder) as wheel:
        events = list(wheel.store.log.events(None, 1 << 60))
        with wheel.store._db.read() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    stored = [event.id for event in events]
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored))
    assert all(len(event.feedback) == 1 for event in events)
