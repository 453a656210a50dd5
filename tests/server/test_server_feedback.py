"""Feedback over HTTP: what is acknowledged is on disk, and a bad row harms no other."""

from __future__ import annotations

import contextlib
import json
import random
import select
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.errors import StoreBusy, StoreFull
from server.conftest import ROW, Live, running, until


def rows(found: Any) -> list[tuple[str, str]]:
    return [(row.get("id", ""), row.get("error", "")) for row in found.json["rows"]]


def test_a_row_is_acknowledged_with_its_place_and_can_be_read_back(live: Live) -> None:
    found = live.post("/v1/feedback", ROW | {"id": "evt_a", "comment": "fine"})
    assert (found.status, found.json) == (202, {"id": "evt_a", "seq": 1, "known": False})
    event = live.get("/v1/feedback/evt_a").json
    assert event["response"]["output"] == "erDiagram"
    assert {one["kind"] for one in event["feedback"]} == {"thumb", "comment"}
    assert live.wheel.store.log.last_seq() == 3
    assert live.get("/v1/feedback/evt_b").status == 404


def test_every_kind_of_feedback_on_an_earlier_response(live: Live) -> None:
    live.post("/v1/feedback", ROW | {"id": "chatcmpl-1"})
    said = {
        "correction": "erDiagram\n a {\n int b\n }",
        "score": 0.5,
        "comment": "no",
        "signal": "retry",
        "findings": [{"code": "x", "message": "y"}],
    }
    for key, value in said.items():
        found = live.post("/v1/feedback", {"response_id": "chatcmpl-1", key: value})
        assert found.status == 202, found.body
        assert found.json["id"] == "chatcmpl-1"
    kinds = [one["kind"] for one in live.get("/v1/feedback/chatcmpl-1").json["feedback"]]
    assert kinds == ["thumb", "correction", "rating", "comment", "signal", "finding"]


def test_the_same_row_again_is_the_same_row_even_without_a_time(live: Live) -> None:
    row = ROW | {"id": "evt_a"}
    first, again = live.post("/v1/feedback", row), live.post("/v1/feedback", row)
    assert again.json == first.json | {"known": True}
    other = live.post("/v1/feedback", row | {"output": "something else"})
    assert other.status == 409
    assert "already recorded" in other.json["error"]["message"]
    dated = row | {"created_at": "2026-01-01T00:00:00Z", "id": "evt_b"}
    assert live.post("/v1/feedback", dated).status == 202
    later = dated | {"created_at": "2026-01-02T00:00:00Z"}
    assert live.post("/v1/feedback", later).status == 409
    assert live.wheel.store.log.counts()["events"] == 2


def test_a_batch_keeps_its_good_rows_and_tells_of_each_bad_one(live: Live) -> None:
    batch = [ROW | {"id": "evt_a"}, {"task": "erd"}, ROW | {"task": "no"}, {"response": "x"}, 7]
    batch += [{"response": "evt_a", "score": 0.1}, {"response": "evt_z", "score": 0.1}]
    found = live.post("/v1/feedback", batch)
    assert found.status == 202
    assert (found.json["stored"], found.json["refused"]) == (2, 5)
    told = rows(found)
    assert told[0] == ("evt_a", "")
    assert told[5] == ("evt_a", "")
    for place, reason in ((1, "prompt"), (2, "'no'"), (3, "says nothing"), (4, "object")):
        assert reason in told[place][1]
    assert "'evt_z' is not recorded" in told[6][1]
    assert live.post("/v1/feedback", batch[1:5]).status == 422


def test_ndjson_takes_a_row_a_line(live: Live) -> None:
    lines = [json.dumps(ROW | {"id": f"evt_{n}"}).encode() for n in range(3)]
    body = b"\n".join([lines[0], b"", b"{broken", lines[1], b"\xff\xfe", lines[2]])
    found = live.post("/v1/feedback", body=body, content_type="application/x-ndjson")
    assert [bool(error) for _, error in rows(found)] == [False, True, False, True, False]


BAD_BODIES = (
    (b"", "application/json", 422),
    (b"[]", "application/json", 422),
    (b"[{}", "application/json", 422),
    (b'{"a": NaN}', "application/json", 422),
    (b"[" * 100_000, "application/json", 422),
    (b"{}", "text/plain", 415),
    (b"task=erd", "application/x-www-form-urlencoded", 415),
    (b" " * ((1 << 20) + 1), "application/json", 413),
    (b"[" + b" " * (8 << 20) + b"]", "application/json", 413),
    (b"[" + b"{}," * 10_000 + b"{}]", "application/json", 413),
)


def test_a_bad_body_is_refused_with_the_reason(live: Live) -> None:
    for body, kind, status in BAD_BODIES:
        found = live.post("/v1/feedback", body=body, content_type=kind)
        assert found.status == status, body[:20]
        assert found.json["error"]["message"]
    assert live.wheel.store.log.last_seq() == 0


def test_malformed_rows_never_break_the_server_and_good_neighbours_are_stored(live: Live) -> None:
    rng = random.Random(5)
    good = 0
    for start in range(0, 3_000, 100):
        batch = [malformed(rng) for _ in range(100)]
        place = rng.randrange(100)
        batch[place] = json.dumps(ROW | {"id": f"evt_good{start}"}).encode()
        found = live.post(
            "/v1/feedback", body=b"\n".join(batch), content_type="application/x-ndjson"
        )
        assert found.status == 202
        assert f"evt_good{start}" in {name for name, _ in rows(found)}
        assert found.json["stored"] == 1, [row for row in rows(found) if row[0]]
        good += 1
    assert live.wheel.store.log.counts()["events"] == good
    for _ in range(100):
        assert live.post("/v1/feedback", body=malformed(rng)).status in (409, 413, 422)


@pytest.mark.slow
def test_a_hundred_thousand_malformed_rows_leave_the_good_ones_and_nothing_else(live: Live) -> None:
    rng, size, wanted = random.Random(6), 2_000, 100_000
    good: list[str] = []
    for start in range(0, wanted, size):
        batch = [malformed(rng)[:2_000] for _ in range(size)]
        for place in rng.sample(range(size), 3):
            good.append(f"evt_good{start}-{place}")
            batch[place] = json.dumps(ROW | {"id": good[-1]}).encode()
        found = live.post(
            "/v1/feedback", body=b"\n".join(batch), content_type="application/x-ndjson"
        )
        assert found.status == 202
        assert found.json["stored"] == 3, [row for row in rows(found) if row[0]]
        assert found.json["refused"] == size - 3
    events = list(live.wheel.store.log.events(None, live.wheel.store.log.last_seq()))
    assert sorted(event.id for event in events) == sorted(good)
    assert {event.response.prompt for event in events} == {ROW["prompt"]}
    figures = live.get("/metrics").body.decode().splitlines()
    assert not [line for line in figures if 'status="5' in line]


def test_a_huge_body_is_refused_before_it_is_read(live: Live) -> None:
    huge = 100 << 20
    head = f"POST /v1/feedback HTTP/1.1\r\nhost: 127.0.0.1:{live.port}\r\n"
    head += "content-type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", live.port), timeout=60) as there:
        there.sendall(f"{head}content-length: {huge}\r\n\r\n".encode())
        assert there.recv(4_096).startswith(b"HTTP/1.1 413")  # not a byte of it was sent
    sent = 0
    with socket.create_connection(("127.0.0.1", live.port), timeout=60) as there:
        there.sendall(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it hangs up
            while sent < huge and not select.select([there], [], [], 0)[0]:
                there.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                sent += 0x10000
            assert there.recv(4_096).startswith(b"HTTP/1.1 413")
    assert sent < huge / 2
    assert live.wheel.store.log.last_seq() == 0


def malformed(rng: random.Random) -> bytes:
    """One line that is no good row, in one of many ways."""
    bad: list[Any] = [None, True, -1, 1e999, "", [], {}, "\0", "x" * 400_001, {"a": "\0"}, "é" * 9]
    row: dict[str, Any] = dict(ROW)
    way = rng.randrange(6)
    if way == 0:
        row[rng.choice(["task", "prompt", "output"])] = rng.choice(bad[:8])
    elif way == 1:
        row[rng.choice(["score", "thumb", "findings", "created_at"])] = rng.choice(
            ["x", [7], {"a": 1}, "2999-01-01T00:00:00Z", 1e300]
        )
    elif way == 2:
        row["".join(rng.choices("abcdefg_", k=5))] = 1
    elif way == 3:
        row["id"] = rng.choice(["../../etc/passwd", "a b", "x" * 200, "é", "%2e%2e", 7])
    elif way == 4:
        return json.dumps(row).encode().replace(b"draw", b'dr\\ud800aw"'[: rng.randrange(3, 11)])
    text = json.dumps(row, ensure_ascii=rng.random() < 0.5).encode()
    if way == 5:
        cut = rng.randrange(1, len(text) - 1)
        text = text[:cut] + rng.choice([b"", b"\xff", b"\xed\xa0\x80", b"}}", b'"', b"[[["])
    return text.replace(b"\n", b" ")


def test_requests_that_arrive_together_share_commits(live: Live) -> None:
    sizes: list[int] = []
    append = live.wheel.store.arrivals.append
    entered, hold = threading.Event(), threading.Event()

    def slow(arrivals: Any, now: Any) -> Any:
        entered.set()
        assert hold.wait(60)
        sizes.append(len(arrivals))
        return append(arrivals, now)

    live.wheel.store.arrivals.append = slow
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(live.post("/v1/feedback", ROW).status))
        for _ in range(12)
    ]
    threads[0].start()
    assert entered.wait(60)
    for thread in threads[1:]:
        thread.start()
    until(lambda: live.app.writer.waiting == 12)
    assert found == []  # nobody is answered before the commit
    hold.set()
    for thread in threads:
        thread.join()
    assert found == [202] * 12
    assert sizes == [1, 11]
    assert live.wheel.store.log.counts()["events"] == 12


def test_when_too_many_rows_wait_the_next_are_turned_away(folder: Any) -> None:
    with wheels.open_wheel(folder, "server.queue=5") as wheel, running(wheel) as live:
        hold = threading.Event()
        append = wheel.store.arrivals.append

        def slow(arrivals: Any, now: Any) -> Any:
            assert hold.wait(60)
            return append(arrivals, now)

        wheel.store.arrivals.append = slow
        thread = threading.Thread(target=live.post, args=("/v1/feedback", [ROW] * 5))
        thread.start()
        until(lambda: live.app.writer.waiting == 5)
        found = live.post("/v1/feedback", ROW)
        assert found.status == 429
        assert int(found.headers["retry-after"]) >= 1
        hold.set()
        thread.join()
        assert live.post("/v1/feedback", ROW).status == 202


def test_a_store_that_fails_is_told_and_nothing_is_acknowledged(live: Live) -> None:
    append = live.wheel.store.arrivals.append
    failures: list[tuple[Exception, int]] = [(StoreBusy("busy"), 503), (StoreFull("full"), 507)]

    def broken(*_: Any) -> Any:
        raise failures[0][0]

    live.wheel.store.arrivals.append = broken
    while failures:
        assert live.post("/v1/feedback", ROW).status == failures[0][1]
        failures.pop(0)
    live.wheel.store.arrivals.append = append
    assert live.post("/v1/feedback", ROW).status == 202


def test_what_one_request_brings_does_not_fail_its_neighbours(live: Live) -> None:
    append = live.wheel.store.arrivals.append
    entered, hold = threading.Event(), threading.Event()

    def picky(arrivals: Any, now: Any) -> Any:
        entered.set()
        assert hold.wait(60)
        if any(one.response.id == "evt_bad" for one in arrivals):
            raise ZeroDivisionError
        return append(arrivals, now)

    live.wheel.store.arrivals.append = picky
    found: dict[str, int] = {}

    def send(name: str) -> None:
        found[name] = live.post("/v1/feedback", ROW | {"id": name}).status

    threads = [threading.Thread(target=send, args=(f"evt_{n}",)) for n in ("a", "b", "bad", "c")]
    threads[0].start()
    assert entered.wait(60)
    for thread in threads[1:]:
        thread.start()
    until(lambda: live.app.writer.waiting == 4)
    hold.set()
    for thread in threads:
        thread.join()
    assert found == {"evt_a": 202, "evt_b": 202, "evt_bad": 500, "evt_c": 202}


def test_it_is_the_same_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    folder = wheels.project(tmp_path / "acme", url=postgres_url)
    with wheels.open_wheel(folder) as wheel, running(wheel) as live:
        batch = [ROW | {"id": f"evt_{n}"} for n in range(50)] + [{"task": "erd"}]
        found = live.post("/v1/feedback", batch)
        assert (found.json["stored"], found.json["refused"]) == (50, 1)
        threads = [
            threading.Thread(target=live.post, args=("/v1/feedback", [row, ROW])) for row in batch
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert live.post("/v1/feedback", ROW | {"id": "evt_0", "output": "x"}).status == 409
        assert wheel.store.log.counts()["events"] == 101
        seqs = [event.seq for event in wheel.store.log.events(None, 1 << 60)]
        assert seqs == list(range(1, 203, 2))
        assert live.as_("admin").get("/v1/audit").json["audit"]


def test_a_writer_cannot_decide_a_trial_with_answers_of_its_own(folder: Path) -> None:
    """Claims that the version on trial answers badly: from a writer none counts."""
    flags = ("models.artifacts.watch.mode=shadow", "models.artifacts.watch.share=0.99")
    with wheels.open_wheel(folder, *flags) as wheel, running(wheel) as live:
        wheels.fill(wheel, folder)
        assert wheel.cycle().verdict == "promote"
        base = {"task": "ddl", "source": "app"}

        def claims(name: str, **mark: object) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []
            for number in range(60):
                asked = base | {"prompt": f"table {number} of the shop, says {name}"}
                seen = "None" if number == 0 and not mark else f"{name}-seen-{number}"
                good = {"id": seen, "output": "CREATE TABLE a (b int);", "version": "artifacts@0"}
                bad: Any = {"output": "CREATE TABEL", "version": "artifacts@1"}
                marks = {"decoding": dict.fromkeys(mark, seen)} if mark else {}
                bad |= marks | {"id": f"{name}-unseen-{number}"}
                found += [asked | good, asked | bad]
            return found

        def standing() -> Any:
            wheel.due()  # takes in what has arrived
            return wheel.watch("artifacts")[0]

        before = standing()
        for role in ("writer", "reviewer"):
            told = live.as_(role).post("/v1/feedback", claims(role, shadow_of=True)).json
            assert (told["stored"], told["refused"]) == (60, 60)
            assert "operator's key" in told["rows"][1]["error"]
        assert live.as_("writer").post("/v1/feedback", claims("plain")).json["refused"] == 0
        assert standing() == before
        told = live.as_("operator").post("/v1/feedback", claims("gateway", shadow_of=True)).json
        assert told["refused"] == 0
        assert standing()["ended"] == "rolled back"
