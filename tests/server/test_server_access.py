"""Who may call: every route and verb is closed to whoever has no key for it."""

from __future__ import annotations

import itertools
import json
import logging
import random
import re
import socket
import urllib.parse
from typing import Any

import pytest

import wheels
from cli.conftest import memo_family
from honewheel import logs
from honewheel.cli.app import DONE, USAGE, call
from honewheel.errors import ConfigError
from honewheel.records import KeyRole
from honewheel.server import keys
from honewheel.server.access import Access, Caller
from honewheel.server.answers import Refused
from honewheel.server.app import App
from server.conftest import ROW, Live, running, until

assert memo_family
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND")
BODIES = {"/v1/models/{name}/promote": {"version": 1}, "/v1/feedback": ROW}


def filled(path: str) -> str:
    return path.replace("{name}", "artifacts").replace("{id}", "x").replace("{number}", "7")


def test_every_route_and_verb_without_a_key_is_refused(live: Live) -> None:
    live.as_("admin")
    public = [(one.method, one.path) for one in live.app.routes if one.role == "anyone"]
    assert public == [("GET", "/healthz")]
    paths = sorted({one.path for one in live.app.routes} | {"/", "/v1", "/docs", "/v1/nothing"})
    for method, path in itertools.product(METHODS, paths):
        if (method, path) not in public:
            for more in ({}, {"authorization": "Bearer hw_aaaaaaaa_" + "a" * 43}):
                found = live.ask(method, filled(path), {} if method == "POST" else None, **more)
                assert found.status == 401, (method, path)
    assert live.get("/healthz").json == {"ok": True, "store": "up"}
    assert live.wheel.store.log.last_seq() == 0


def test_a_role_may_do_what_those_before_it_may_and_no_more(live: Live) -> None:
    by_role = {role: live.as_(role) for role in keys.ROLES}
    for one in live.app.routes:
        if one.role == "anyone" or one.path.endswith("/events"):
            continue
        for place, role in enumerate(keys.ROLES):
            allowed = place >= keys.ROLES.index(one.role)
            if allowed and one.path == "/v1/cycles" and one.method == "POST":
                continue  # a test of its own starts a cycle
            data = BODIES.get(one.path, {}) if one.method == "POST" else None
            found = by_role[role].ask(one.method, filled(one.path), data)
            assert (found.status == 403) == (not allowed), (role, one.method, one.path)
            assert found.status < 500 or one.path == "/v1/embeddings"


def test_a_revoked_key_is_refused_and_leaves_the_server_closed(live: Live) -> None:
    writer = live.as_("writer")
    assert writer.post("/v1/feedback", ROW).status == 202
    live.wheel.store.keys.revoke("writer-0", live.wheel.clock())
    live.app.access.learn(live.wheel.store.keys.list())
    assert writer.post("/v1/feedback", ROW).status == 401
    assert live.post("/v1/feedback", ROW).status == 401


def test_a_running_server_learns_of_keys_by_itself(live: Live) -> None:
    assert live.get("/v1/status").status == 200
    found, _ = keys.new("late", "admin", rate=None, now=live.wheel.clock())
    live.wheel.store.keys.create(found)
    until(lambda: live.get("/v1/status").status == 401)


def test_keys_are_hashed_at_rest_and_shown_once(folder: Any, capsys: Any) -> None:
    def run(*words: str) -> tuple[int, str, str]:
        code = call(["--project", str(folder), *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    assert "There is no key" in run("keys", "list")[2]
    code, out, _ = run("keys", "create", "app", "--role", "writer", "--rate", "5")
    assert code == DONE
    secret = out.strip()
    assert secret.startswith("hw_")
    database = b"".join(path.read_bytes() for path in (folder / ".honewheel").glob("store.db*"))
    assert secret.encode() not in database
    assert secret[12:].encode() not in database
    assert run("keys", "create", "app")[0] == USAGE
    assert run("keys", "create", "b", "--role", "king")[0] == USAGE
    assert run("keys", "create", "b", "--rate", "0")[0] == USAGE
    assert run("keys", "create", "b c")[0] == USAGE
    listed = json.loads(run("keys", "list", "--json")[1])
    assert [(one["name"], one["role"], one["rate"]) for one in listed] == [("app", "writer", 5.0)]
    assert "hash" not in listed[0]
    assert run("keys", "revoke", "nobody")[0] == USAGE
    assert run("keys", "revoke", "app")[0] == DONE
    assert run("keys", "revoke", "app")[0] == USAGE
    deeds = json.loads(run("audit", "--json")[1])
    assert [one["action"] for one in deeds] == ["keys revoke", "keys create"]
    assert deeds[0]["actor"].startswith("cli:")
    assert "keys create" in run("audit")[1]
    assert "revoked" in run("keys", "list")[1]


def test_another_address_is_not_listened_on_without_a_key(folder: Any) -> None:
    with wheels.open_wheel(folder) as wheel:
        for host in ("0.0.0.0", "::", "192.168.1.7", "honewheel.example"):
            with pytest.raises(ConfigError, match="honewheel keys create"):
                App(wheel, host=host)
        for host in ("127.0.0.1", "::1", "localhost", "127.8.0.1"):
            assert not App(wheel, host=host).access.closed
        found, _ = keys.new("a", "writer", rate=None, now=wheel.clock())
        wheel.store.keys.create(found)
        assert App(wheel, host="0.0.0.0").access.closed
        wheel.store.keys.revoke("a", wheel.clock())
        with pytest.raises(ConfigError):
            App(wheel, host="0.0.0.0")


FOREIGN = (
    "evil.com evil.com:80 127.0.0.1.evil.com localhost@evil.com [::2] localhost. 0x7f000001 "
    "2130706433 127.0.0.1:80:80 [::1]evil.com localhost:x"
).split()


def test_a_foreign_host_is_not_answered(live: Live) -> None:
    for host in (*FOREIGN, "", "x" * 999):
        for path in ("/v1/status", "/v1/feedback", "/nothing"):
            assert live.get(path, host=host).status == 421, host
        assert live.post("/v1/feedback", ROW, host=host).status == 421


def test_names_of_this_machine_and_those_of_the_settings_are_answered(folder: Any) -> None:
    with (
        wheels.open_wheel(folder, 'server.hosts=["hone.internal"]') as wheel,
        running(wheel) as live,
    ):
        for host in ("localhost", "LOCALHOST:99", "127.0.0.1", "[::1]:8420", "hone.internal:1"):
            assert live.get("/v1/status", host=host).status == 200


def test_a_page_of_another_site_is_refused(live: Live) -> None:
    for origin in ("https://evil.com", "null", "file://", "http://localhost.evil"):
        assert live.post("/v1/feedback", ROW, origin=origin).status == 403
        assert live.post("/v1/cycles", {}, origin=origin).status == 403
        assert live.get("/v1/status", origin=origin).status == 403
    assert live.get("/v1/status", origin="http://localhost:3000").status == 200


def test_a_key_has_its_rate(live: Live) -> None:
    found, text = keys.new("slow", "writer", rate=2.0, now=live.wheel.clock())
    live.wheel.store.keys.create(found)
    live.app.access.learn(live.wheel.store.keys.list())
    slow = Live(live.port, live.wheel, live.app, text)
    answers = [slow.post("/v1/feedback", [ROW] * 4) for _ in range(2)]
    assert [one.status for one in answers] == [202, 429]
    assert int(answers[1].headers["retry-after"]) >= 1
    assert live.as_("writer").post("/v1/feedback", [ROW] * 100).status == 202


def test_a_bucket_fills_with_time_and_a_large_batch_is_paid_off() -> None:
    now = [0.0]
    access = Access("127.0.0.1", (), 10.0, lambda: now[0])
    caller = Caller("a", "writer")
    access.spend(caller, 20)
    with pytest.raises(Refused, match=r"10 requests \(rows\) a second"):
        access.spend(caller)
    now[0] += 0.1
    access.spend(caller)
    now[0] += 100
    access.spend(caller, 500)
    now[0] += 47
    with pytest.raises(Refused) as refused:
        access.spend(caller)
    assert refused.value.headers["retry-after"] == "2"
    now[0] += 2
    access.spend(caller)
    access.spend(Caller("b", "writer", 1_000.0), 2_000)


def test_every_answer_names_its_request_and_the_log_does_too(live: Live) -> None:
    lines: list[dict[str, Any]] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(logs.JsonLines().format(record)))

    log, kept = logging.getLogger("honewheel"), Kept()
    log.addHandler(kept)
    log.setLevel(logging.INFO)
    try:
        answers = [
            live.get("/v1/status", x_request_id="mine-1.a"),
            live.get("/v1/status", x_request_id="no\tgood" + "x" * 100),
            live.post("/v1/feedback", ROW),
            live.post("/v1/feedback", {"task": "no"}),
            live.get("/nowhere"),
            live.get("/v1/feedback/evt_none"),
        ]
    finally:
        log.removeHandler(kept)
    names = [one.headers["x-request-id"] for one in answers]
    assert names[0] == "mine-1.a"
    assert len(set(names)) == len(names)
    told = {one["request"]: one for one in lines if "request" in one}
    assert told.keys() == {name for at, name in enumerate(names) if at != 2}  # metrics count those
    assert (told[names[0]]["event"], told[names[0]]["route"]) == ("answered", "GET /v1/status")
    assert (told[names[3]]["event"], told[names[3]]["status"]) == ("refused", 422)
    assert told[names[5]]["status"] == 404


def test_what_a_key_may_not_do_leaves_a_line(live: Live) -> None:
    writer, admin = live.as_("writer"), live.as_("admin")
    assert writer.post("/v1/models/artifacts/promote", {"version": 1}).status == 403
    assert writer.get("/v1/status").status == 403
    deeds = admin.get("/v1/audit").json["audit"]
    assert [(one["action"], one["outcome"]) for one in deeds] == [
        ("GET /v1/status", "403"),
        ("POST /v1/models/{name}/promote", "403"),
    ]
    assert {one["actor"] for one in deeds} == {"writer-0"}


def test_what_was_changed_stands_in_the_audit_log(live: Live) -> None:
    operator, admin = live.as_("operator"), live.as_("admin")
    operator.post("/v1/feedback", [ROW, ROW, {}])
    assert operator.post("/v1/models/artifacts/rollback", {"reason": "bad"}).status == 404
    assert operator.get("/v1/audit").status == 403
    deeds = admin.get("/v1/audit").json["audit"]
    assert [(one["actor"], one["action"], one["outcome"]) for one in deeds] == [
        ("operator-0", "GET /v1/audit", "403"),
        ("operator-0", "POST /v1/models/{name}/rollback", "404"),
        ("operator-0", "POST /v1/feedback", "stored"),
    ]
    assert deeds[2]["detail"] == {"rows": 2, "first": 1, "last": 3}
    assert admin.get("/v1/audit?actor=nobody").json["audit"] == []


@pytest.mark.slow
def test_two_thousand_ways_out_of_the_folder_lead_nowhere(live: Live) -> None:
    rng = random.Random(3)
    ups = (
        "../ ..%2f ..%5c ..\\ %2e%2e/ %2e%2e%2f %252e%252e%252f ..%c0%af ..%00/ ....// ..;/".split()
    )
    ends = (
        "etc/passwd honewheel.toml .honewheel/store.db proc/self/environ etc/passwd%00.json".split()
    )
    marks = ("", "#", "?", "%23", "%3f", "%00", "\\", "%ff", "C:", "file:", "//")
    places = [one.path for one in live.app.routes if "{" in one.path]
    secret = (live.wheel.config.root / "honewheel.toml").read_bytes().splitlines()[0]
    for _ in range(2_000):
        way = rng.choice(marks) + rng.choice(ups) * rng.randint(1, 9) + rng.choice(ends)
        filled_in = re.sub(r"\{[a-z]+\}", lambda _, way=way: way, rng.choice(places))
        path = urllib.parse.quote(filled_in, safe="/%.#?;:\\")
        found = live.ask(rng.choice(["GET", "POST"]), path, {})
        assert found.status in (400, 404, 405, 422), path
        assert secret not in found.body
        assert b"root:" not in found.body
        assert b"SQLite format" not in found.body


def test_a_path_names_a_record_and_never_a_file(live: Live) -> None:
    parts = ["..", "%2e%2e", "..%2f", "%252e%252e", "..\\", "%5c..", ".%00.", "/", "//", "#", "?"]
    tails = ["etc/passwd", "honewheel.toml", ".honewheel/store.db", "a" * 5_000, "%ff%fe", "é"]
    heads = ["/v1/feedback/", "/v1/models/", "/v1/cycles/", "/v1/models/artifacts/"]
    for head, part, tail in itertools.product(heads, parts, tails):
        path = head + urllib.parse.quote(f"{part}/{part}/{tail}", safe="/%.#?")
        found = live.get(path)
        assert found.status in (400, 404, 405), path
        assert b"[models" not in found.body
        assert b"root:" not in found.body


def test_who_dribbles_is_cut_off(folder: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("honewheel.server.run.HEAD_SECONDS", 0.3)
    with wheels.open_wheel(folder, "server.read_seconds=0.3") as wheel, running(wheel) as live:
        for sent in (b"", b"POST /v1/feed"):
            with socket.create_connection(("127.0.0.1", live.port), timeout=30) as dribbler:
                dribbler.sendall(sent)
                assert dribbler.recv(100) == b""
        head = b"POST /v1/feedback HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{"
        with socket.create_connection(("127.0.0.1", live.port), timeout=30) as dribbler:
            dribbler.sendall(head)
            assert dribbler.recv(4_000).startswith(b"HTTP/1.1 408")


def test_a_huge_body_is_refused_before_it_is_sent(live: Live) -> None:
    for path in ("/v1/feedback", "/v1/chat/completions", "/v1/cycles"):
        head = (
            f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            f"content-length: {100 << 20}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", live.port), timeout=30) as sender:
            sender.sendall(head.encode())
            assert sender.recv(4_000).startswith(b"HTTP/1.1 413")
    with socket.create_connection(("127.0.0.1", live.port), timeout=30) as sender:
        head = "POST /v1/cycles HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        sender.sendall(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        for _ in range(5):
            sender.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        assert sender.recv(4_000).startswith(b"HTTP/1.1 413")


def test_roles_are_ordered() -> None:
    order: tuple[KeyRole, ...] = keys.ROLES
    assert order == ("writer", "reviewer", "operator", "admin")
    assert keys.may("admin", "writer")
    assert not keys.may("writer", "reviewer")


def test_the_description_holds_every_route_with_its_role(live: Live) -> None:
    found = live.get("/openapi.json").json
    told = {
        (method.upper(), path): operation
        for path, operations in found["paths"].items()
        for method, operation in operations.items()
    }
    assert set(told) == {(one.method, one.path) for one in live.app.routes}
    for one in live.app.routes:
        operation = told[one.method, one.path]
        assert operation["x-role"] == one.role
        assert bool(operation["security"]) == (one.role != "anyone")
        assert {"summary", "operationId", "responses"} <= set(operation)
    names = [operation["operationId"] for operation in told.values()]
    assert len(set(names)) == len(names)
    assert "response" in found["components"]["schemas"]["FeedbackRow"]["properties"]
