"""A teacher behind HTTP: a real server that answers, refuses, fails and is slow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from honewheel.errors import HonewheelError, InputError
from honewheel.events import teacher
from honewheel.events.teacher import Endpoint
from teachers import Server, Step, said


@pytest.fixture
def serve() -> Iterator[Any]:
    servers: list[Server] = []

    def start(*steps: Step) -> Server:
        servers.append(Server(*steps))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def ask(server: Server, pauses: list[float] | None = None, **more: Any) -> str:
    endpoint = Endpoint(url=server.url, model="wise", **more)
    sleep = (lambda _: None) if pauses is None else pauses.append
    return teacher.ask(endpoint, teacher.messages("sql", "Count them"), seed=3, sleep=sleep)


def test_the_question_travels_whole_and_the_key_in_its_header(serve: Any) -> None:
    server = serve((200, said("SELECT 1;")))
    assert ask(server, key="secret") == "SELECT 1;"
    asked = server.asked[0]
    assert (asked["path"], asked["model"], asked["seed"]) == ("/v1/chat/completions", "wise", 3)
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert asked["messages"][1]["content"] == "Count them"
    assert server.headers[0]["Authorization"] == "Bearer secret"
    ask(server)
    assert "Authorization" not in server.headers[1]


def test_a_busy_server_is_asked_again_after_a_growing_pause(serve: Any) -> None:
    server = serve((503, "busy"), (429, "slow down", {"Retry-After": "7"}), (200, said("x")))
    pauses: list[float] = []
    assert ask(server, pauses) == "x"
    assert pauses == [0.5, 7.0]
    endless = serve((500, "no", {"Retry-After": "99999"}))
    pauses.clear()
    with pytest.raises(HonewheelError, match=r"gave no answer in 4 attempts: 500 .*no"):
        ask(endless, pauses)
    assert pauses == [60.0] * 3
    assert len(endless.asked) == 4


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_not_tried_again(status: int, serve: Any) -> None:
    server = serve((status, {"error": "bad key"}))
    with pytest.raises(InputError, match=f"refused: {status} .*bad key.*Check address"):
        ask(server)
    assert len(server.asked) == 1


def test_a_redirect_does_not_carry_the_key_away(serve: Any) -> None:
    other = serve((200, said("stolen")))
    server = serve((302, "", {"Location": f"{other.url}/chat/completions"}))
    with pytest.raises(InputError, match="refused: 302"):
        ask(server, key="secret")
    assert other.asked == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"<html>", "no chat completion"),
        ({"choices": []}, "no chat completion"),
        ([], "no chat completion"),
        (said(None), "holds no text"),  # type: ignore[arg-type]
        (b"x" * (teacher.MAX_ANSWER + 1), "larger than 4 MiB"),
    ],
)
def test_an_answer_that_is_none_is_told(body: Any, told: str, serve: Any) -> None:
    with pytest.raises(HonewheelError, match=told) as error:
        ask(serve((200, body)))
    assert not isinstance(error.value, InputError)


def test_a_server_that_is_gone_or_silent_is_given_up(serve: Any) -> None:
    server = serve((200, said("x")))
    gone = Endpoint(url=server.url, model="wise", attempts=2)
    server.http.server_close()
    pauses: list[float] = []
    server.http.shutdown()
    with pytest.raises(HonewheelError, match=r"gave no answer in 2 attempts: .*refused"):
        teacher.ask(gone, [], seed=0, sleep=pauses.append)
    assert pauses == [0.5]


def test_a_slow_server_times_out() -> None:
    import socket

    with socket.socket() as deaf:  # accepts, never answers
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
        endpoint = Endpoint(url=url, model="wise", timeout_seconds=0.05, attempts=2)
        with pytest.raises(HonewheelError, match="2 attempts: timed out"):
            teacher.ask(endpoint, [], seed=0, sleep=lambda _: None)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("SELECT 1;", "SELECT 1;"),
        ("```sql\nSELECT 1;\n```", "SELECT 1;"),
        ("Here it is:\n\n```\n  SELECT 1;\n```\nDone.", "  SELECT 1;"),
        ("```a\n1\n```\n```b\n2\n```", "```a\n1\n```\n```b\n2\n```"),
        ("\nerDiagram\n", "erDiagram"),
    ],
)
def test_one_fence_around_an_answer_is_taken_off(answer: str, text: str) -> None:
    assert teacher.unfenced(answer) == text


@pytest.mark.parametrize("url", ["file:///etc/passwd", "localhost:1234", "ftp://a/b", "http://"])
def test_only_web_addresses_are_asked(url: str) -> None:
    with pytest.raises(InputError, match="no address of a teacher"):
        Endpoint(url=url, model="wise")


def test_a_password_does_not_belong_into_the_address() -> None:
    with pytest.raises(InputError, match="environment variable") as error:
        Endpoint(url="http://me:hush@host/v1", model="wise")
    assert "hush" not in str(error.value)
