"""The client: what it takes is not lost, whoever dies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import honewheel as hw
import wheels
from honewheel.errors import ConfigError, InputError, NotFound, Unreachable
from server.conftest import ROW, Live, running
from server.upstreams import upstream

AWAY = "http://127.0.0.1:9"


def test_importing_the_client_loads_nothing_heavy() -> None:
    code = "import sys, honewheel; honewheel.Client\n"
    code += "heavy = {'torch', 'sqlalchemy', 'pydantic', 'numpy', 'httpx2', 'msgspec', 'starlette'}"
    code += "\nprint(sorted(heavy & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_rows_are_sent_and_read_back(live: Live) -> None:
    client = hw.Client(live.url)
    sent = client.feedback(**ROW, correction="erDiagram\n a {\n int b\n }")
    assert (sent.seq, sent.known, sent.spooled) == (1, False, False)
    assert client.feedback(response_id=sent.id, score=0.2).id == sent.id
    kinds = [one["kind"] for one in client.event(sent.id)["feedback"]]
    assert kinds == ["thumb", "correction", "rating"]
    assert client.status()["log"]["events"] == 1
    with pytest.raises(InputError, match="'poems'"):
        client.feedback(**ROW | {"task": "poems"})
    with pytest.raises(NotFound):
        client.event("evt_none")
    with pytest.raises(NotFound):
        client.versions("none")
    with pytest.raises(NotFound, match="no champion yet"):
        client.rollback("artifacts", "bad")
    found = client.feedback_many([ROW, {"task": "erd"}, ROW])
    assert (found.sent, found.waiting, len(found.refused)) == (2, 0, 1)


def test_a_key_is_sent_and_a_wrong_one_is_told(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = live.as_("writer")
    with pytest.raises(ConfigError, match="API key is needed"):
        hw.Client(live.url).feedback(**ROW)
    assert hw.Client(live.url, key=writer.key).feedback(**ROW).seq == 1
    monkeypatch.setenv("HONEWHEEL_API_KEY", writer.key)
    assert hw.Client(live.url).feedback(**ROW).seq == 3
    with pytest.raises(ConfigError, match="writer's; this needs reviewer"):
        hw.Client(live.url).status()


def test_without_a_spool_a_server_that_is_away_is_an_error() -> None:
    with pytest.raises(Unreachable, match="does not answer"):
        hw.Client(AWAY).feedback(**ROW)
    with pytest.raises(ConfigError):
        hw.Client("file:///etc/passwd")
    with pytest.raises(InputError, match="1,048,576 bytes"):
        hw.Client(AWAY).feedback(**ROW | {"output": "x" * (1 << 20)})
    with pytest.raises(InputError, match="no JSON"):
        hw.Client(AWAY).feedback(**ROW, score=float("nan"))


def test_a_spool_holds_rows_until_there_is_a_server(live: Live, tmp_path: Path) -> None:
    spool = tmp_path / "spool" / "feedback"
    away = hw.Client(AWAY, spool=spool)
    sent = [away.feedback(**ROW | {"prompt": f"draw {n}"}) for n in range(3)]
    assert all(one.spooled for one in sent)
    found = away.flush()
    assert (found.sent, found.refused, found.waiting) == (0, (), 3)
    assert "does not answer" in found.why
    client = hw.Client(live.url, spool=spool)
    last = client.feedback(**ROW)
    assert last.seq == 7
    assert live.wheel.store.log.counts()["events"] == 4
    assert client.event(sent[0].id)["response"]["prompt"] == "draw 0"
    assert client.flush() == hw.client.Flushed(0, (), 0)


def test_rows_the_server_refuses_leave_the_spool_and_are_kept(live: Live, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    away = hw.Client(AWAY, spool=spool)
    away.feedback(task="poems", prompt="a", output="b")
    away.feedback(**ROW)
    found = hw.Client(live.url, spool=spool).flush()
    assert (found.sent, found.waiting) == (1, 0)
    assert "'poems'" in found.refused[0][1]
    assert json.loads((tmp_path / "spool.refused").read_text())["task"] == "poems"
    with pytest.raises(InputError, match="'poems'"):
        hw.Client(live.url, spool=spool).feedback(task="poems", prompt="a", output="b")


def test_a_row_that_spoils_its_request_leaves_the_spool_alone(live: Live, tmp_path: Path) -> None:
    """The server cannot read the request as a whole: only the row to blame is refused."""
    path = tmp_path / "feedback"
    rows = [ROW | {"id": f"evt_{n}"} for n in range(5)]
    rows[3]["output"] = "\ud83d"  # half an emoji, as a client of an earlier release spooled it
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = hw.Client(live.url, spool=path).flush()
    assert (found.sent, found.waiting) == (4, 0)
    ((refused, why),) = found.refused
    assert refused["id"] == "evt_3"
    assert "JSON" in why
    assert json.loads((tmp_path / "feedback.refused").read_text())["id"] == "evt_3"
    with pytest.raises(InputError, match="no JSON"):
        hw.Client(AWAY, spool=path).feedback(**ROW | {"output": "\ud83d"})
    assert path.read_text() == ""


def test_a_key_that_is_not_taken_leaves_the_row_in_the_spool(live: Live, tmp_path: Path) -> None:
    writer = live.as_("writer")
    client = hw.Client(live.url, key="hw_no", spool=tmp_path / "feedback")
    with pytest.raises(ConfigError, match="API key is needed"):
        client.feedback(**ROW)
    assert client._expected == {}
    found = hw.Client(live.url, key=writer.key, spool=tmp_path / "feedback").flush()
    assert (found.sent, found.waiting) == (1, 0)


@pytest.mark.parametrize("status", [400, 404, 405, 302])
def test_another_server_at_the_address_costs_no_row_and_breaks_no_call(
    live: Live, tmp_path: Path, status: int
) -> None:
    spool = tmp_path / "feedback.spool"
    with upstream() as other:
        other.status = status
        client = hw.Client(other.url, spool=spool)
        sent = client.feedback(**ROW)
        assert sent.spooled
        assert "upstream says no" in sent.why
        found = client.feedback_many([ROW])
        assert (found.waiting, found.sent) == (2, 0)
        assert "upstream says no" in found.why
        with pytest.raises((InputError, NotFound)):  # without a spool there is nothing to wait in
            hw.Client(other.url).feedback(**ROW)
    found = hw.Client(live.url, spool=spool).flush()
    assert (found.sent, found.waiting, found.why) == (2, 0, "")


def test_a_line_cut_short_by_a_crash_costs_that_line_only(live: Live, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    hw.Client(AWAY, spool=spool).feedback(**ROW)
    with spool.open("ab") as file:
        file.write(b'{"task": "erd", "context": {"a": "b"}')
    hw.Client(AWAY, spool=spool).feedback(**ROW)
    assert hw.Client(live.url, spool=spool).flush().sent == 2


def test_a_large_spool_goes_in_requests_that_the_server_takes(live: Live, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    big = ROW | {"output": "x" * 399_000}
    assert hw.Client(AWAY, spool=spool).feedback_many([big] * 25).waiting == 25
    assert hw.Client(live.url, spool=spool).flush() == hw.client.Flushed(25, (), 0)


APP = """\
import sys
import honewheel as hw
client = hw.Client(sys.argv[1], spool=sys.argv[2])
for n in range(1_000_000):
    name = f"evt_{sys.argv[3]}-{n}"
    client.feedback(id=name, task="erd", prompt=f"draw {n}", output="a", thumb=1)
    print(n, flush=True)
"""


def test_an_application_that_is_killed_loses_nothing_it_was_told(
    folder: Path, tmp_path: Path
) -> None:
    """The application dies at a random row, twice; the server is away for the first."""
    spool = tmp_path / "spool"
    told = {}
    with wheels.open_wheel(folder) as wheel, running(wheel) as live:
        for name, url in (("a", AWAY), ("b", live.url)):
            app = subprocess.Popen(
                [sys.executable, "-c", APP, url, str(spool), name], stdout=subprocess.PIPE
            )
            assert app.stdout is not None
            for _ in range(12):
                app.stdout.readline()
            os.kill(app.pid, signal.SIGKILL)
            rest = app.stdout.read().split(b"\n")
            app.stdout.close()
            app.wait()
            told[name] = 12 + len([line for line in rest if line])
        hw.Client(live.url, spool=spool).flush()
        stored = {event.id for event in wheel.store.log.events(None, 1 << 60)}
    for name, count in told.items():
        assert {f"evt_{name}-{n}" for n in range(count)} <= stored


def test_asyncio_has_the_same_verbs(live: Live, tmp_path: Path) -> None:
    async def main() -> Any:
        client = hw.AsyncClient(live.url, spool=tmp_path / "spool")
        sent = await asyncio.gather(*(client.feedback(**ROW) for _ in range(8)))
        assert all(one.seq is not None for one in sent)
        assert (await client.event(sent[0].id))["seq"]
        assert (await client.feedback_many([ROW])).sent == 1
        assert (await client.flush()).waiting == 0
        with pytest.raises(NotFound):
            await client.versions("x")
        return await client.status()

    assert asyncio.run(main())["log"]["events"] == 9
