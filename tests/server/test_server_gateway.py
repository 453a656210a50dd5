"""The gateway, asked by the real OpenAI SDK with nothing changed but its base URL."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import openai
import pytest

import wheels
from honewheel.errors import StoreError
from honewheel.logs import JsonLines
from honewheel.server import pieces
from server.conftest import Live, running, until
from server.upstreams import Upstream, upstream

ASKED = [
    {"role": "system", "content": "House style."},
    {"role": "user", "content": "erDiagram\n a {\n string b\n }"},
]


_open: list[openai.OpenAI] = []


@pytest.fixture(autouse=True)
def closed_clients() -> Iterator[None]:
    yield
    while _open:
        _open.pop().close()


def sdk(live: Live, key: str = "none") -> openai.OpenAI:
    _open.append(openai.OpenAI(base_url=f"{live.url}/v1", api_key=key, max_retries=0))
    return _open[-1]


@pytest.fixture
def behind(folder: Any) -> Iterator[tuple[Live, Upstream]]:
    """A server whose model is answered for by an upstream."""
    with upstream() as up:
        flags = [f"models.artifacts.upstream.url={up.url}", "models.artifacts.upstream.model=big"]
        with wheels.open_wheel(folder, *flags) as wheel, running(wheel) as live:
            yield live, up


def recorded(live: Live, name: str) -> Any:
    return live.wheel.store.log.event(name).response


def test_the_champion_answers_and_the_answer_is_the_key_for_feedback(live: Live) -> None:
    answer = sdk(live).chat.completions.with_raw_response.create(
        model="erd",
        messages=ASKED,  # type: ignore[arg-type]
    )
    assert answer.headers["x-honewheel-recorded"] == "true"
    assert answer.headers["x-honewheel-version"] == "artifacts@0"
    found = answer.parse()
    assert found.choices[0].message.content == ASKED[1]["content"]  # the base repeats its prompt
    assert (found.model, found.choices[0].finish_reason) == ("artifacts@0", "stop")
    stored = recorded(live, found.id)
    assert (stored.task, stored.version) == ("erd", "artifacts@0")
    assert (stored.prompt, stored.output) == (ASKED[1]["content"], ASKED[1]["content"])
    assert stored.context == {"system": "House style."}
    said = {"response_id": found.id, "thumb": "down"}
    assert live.post("/v1/feedback", said).json["id"] == found.id
    assert [one.kind for one in live.wheel.store.log.event(found.id).feedback] == ["thumb"]


def test_an_answer_can_be_streamed(live: Live) -> None:
    stream = sdk(live).chat.completions.create(
        model="artifacts@0",
        messages=ASKED,  # type: ignore[arg-type]
        stream=True,
        extra_body={"metadata": {"task": "ddl"}},
    )
    chunks = list(stream)
    text = "".join(one.choices[0].delta.content or "" for one in chunks)
    assert text == ASKED[1]["content"]
    assert chunks[-1].choices[0].finish_reason == "stop"
    stored = recorded(live, chunks[0].id)
    assert (stored.task, stored.output) == ("ddl", text)


def test_an_answer_tells_what_tokens_it_took(live: Live) -> None:
    asked = {"model": "erd", "messages": [{"role": "user", "content": "three little words"}]}
    used = sdk(live).chat.completions.create(**asked).usage  # type: ignore[call-overload]
    assert (used.prompt_tokens, used.completion_tokens, used.total_tokens) == (3, 3, 6)
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    *_, last = sdk(live).chat.completions.create(**asked, **stream)  # type: ignore[call-overload]
    assert (last.choices, last.usage.total_tokens) == ([], 6)
    *_, last = sdk(live).chat.completions.create(**asked, stream=True)  # type: ignore[call-overload]
    assert last.choices


def test_plain_completions_too(live: Live) -> None:
    found = sdk(live).completions.create(model="ddl", prompt="CREATE TABLE a (b int);")
    assert found.choices[0].text == "CREATE TABLE a (b int);"
    assert recorded(live, found.id).task == "ddl"
    pieces = list(sdk(live).completions.create(model="ddl", prompt="a b", stream=True))
    assert "".join(one.choices[0].text for one in pieces) == "a b"


def test_an_answer_of_no_certain_task_is_given_but_not_recorded(live: Live) -> None:
    answer = sdk(live).chat.completions.with_raw_response.create(
        model="artifacts",
        messages=ASKED,  # type: ignore[arg-type]
    )
    assert answer.headers["x-honewheel-recorded"] == "false"
    assert "metadata.task" in answer.headers["x-honewheel-reason"]
    assert answer.parse().choices[0].message.content
    assert live.wheel.store.log.last_seq() == 0


def test_models_tasks_and_versions_are_listed(live: Live) -> None:
    sdk(live).chat.completions.create(model="erd", messages=ASKED)  # type: ignore[arg-type]
    names = [one.id for one in sdk(live).models.list()]
    assert names == ["artifacts", "erd", "ddl", "artifacts@0"]
    assert sdk(live).models.retrieve("artifacts@0").owned_by == "honewheel"
    with pytest.raises(openai.NotFoundError):
        sdk(live).models.retrieve("gpt-5")


def test_what_cannot_be_done_is_refused_and_never_ignored(live: Live) -> None:
    create = sdk(live).chat.completions.create
    for model in ("gpt-5", "artifacts@9", "artifacts@x", "artifact", "@0"):
        with pytest.raises(openai.NotFoundError):
            create(model=model, messages=ASKED)  # type: ignore[arg-type]
    refused: list[dict[str, Any]] = [
        {"n": 2},
        {"top_p": 0.5},
        {"temperature": 9},
        {"max_tokens": 0},
        {"stop": [7]},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"extra_body": {"metadata": {"task": "poems"}}},
        {"messages": []},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
    ]
    for more in refused:
        with pytest.raises(openai.BadRequestError):
            create(**({"model": "erd", "messages": ASKED} | more))
    with pytest.raises(openai.InternalServerError, match="makes no embeddings") as error:
        sdk(live).embeddings.create(model="erd", input="a")
    assert error.value.status_code == 501
    assert live.wheel.store.log.last_seq() == 0


def test_an_answer_ends_at_a_stop_text(live: Live) -> None:
    found = sdk(live).chat.completions.create(
        model="erd",
        messages=[{"role": "user", "content": "one two three"}],
        stop=[" three", "zzz"],
    )
    assert found.choices[0].message.content == "one two"
    assert (
        list(pieces.until(iter(["a", "bc", "d<", "/e", "nd>", "x"]), ("</end>",)))
        == [
            *("a", "bc"),
            "d",
        ]
        or "".join(pieces.until(iter(["a", "bc", "d<", "/e", "nd>", "x"]), ("</end>",))) == "abcd"
    )
    assert "".join(pieces.until(iter(["a<", "/en", "x"]), ("</end>",))) == "a</enx"


def test_an_upstream_answers_under_our_id(behind: tuple[Live, Upstream]) -> None:
    live, up = behind
    found = sdk(live).chat.completions.create(
        model="erd",
        messages=ASKED,  # type: ignore[arg-type]
        temperature=0.5,
        top_p=0.9,
    )
    assert found.id.startswith("chatcmpl-0")
    assert found.model == "artifacts"
    assert found.choices[0].message.content == "erDiagram\n a {\n}"
    assert (up.asked[0]["model"], up.asked[0]["top_p"]) == ("big", 0.9)
    stored = recorded(live, found.id)
    assert stored.version is None
    assert stored.decoding == {"temperature": 0.5, "top_p": 0.9, "upstream": "big"}
    text = sdk(live).completions.create(model="ddl", prompt="a")
    assert recorded(live, text.id).task == "ddl"
    assert sdk(live).embeddings.create(model="erd", input="a").data[0].embedding == [0.5, 0.25]
    assert up.asked[-1]["path"] == "/v1/embeddings"


def test_an_upstream_streams_through(behind: tuple[Live, Upstream]) -> None:
    live, up = behind
    chunks = list(
        sdk(live).chat.completions.create(model="erd", messages=ASKED, stream=True)  # type: ignore[call-overload]
    )
    assert [one.choices[0].delta.content for one in chunks] == list(up.words)
    assert len({one.id for one in chunks}) == 1
    assert recorded(live, chunks[0].id).output == "".join(up.words)
    up.cut = True
    seen = live.wheel.store.log.last_seq()
    with pytest.raises(openai.APIError):
        list(sdk(live).chat.completions.create(model="erd", messages=ASKED, stream=True))  # type: ignore[call-overload]
    assert live.wheel.store.log.last_seq() == seen  # half an answer is no answer


def test_an_upstream_that_fails_is_told_as_it_is(behind: tuple[Live, Upstream]) -> None:
    live, up = behind
    up.status = 429
    for stream in (False, True):
        with pytest.raises(openai.RateLimitError, match="upstream says no"):
            sdk(live).chat.completions.create(model="erd", messages=ASKED, stream=stream)  # type: ignore[call-overload]
    assert live.wheel.store.log.last_seq() == 0


def test_an_upstream_that_is_away_is_a_bad_gateway(folder: Any) -> None:
    flags = ["models.artifacts.upstream.url=http://127.0.0.1:9/v1"]
    flags += ["models.artifacts.upstream.model=big"]
    with wheels.open_wheel(folder, *flags) as wheel, running(wheel) as live:
        for stream in (False, True):
            body = {"model": "erd", "messages": ASKED, "stream": stream}
            found = live.post("/v1/chat/completions", body)
            assert found.status == 502
            assert "127.0.0.1:9" in found.json["error"]["message"]


def test_the_key_of_an_upstream_comes_from_the_environment(
    folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with upstream() as up:
        flags = [f"models.artifacts.upstream.url={up.url}", "models.artifacts.upstream.model=big"]
        flags += ["models.artifacts.upstream.key_env=BIG_KEY"]
        with wheels.open_wheel(folder, *flags) as wheel, running(wheel) as live:
            ours = live.as_("writer")
            body = {"model": "erd", "messages": ASKED}
            refused = ours.post("/v1/chat/completions", body)
            assert (refused.status, "BIG_KEY" in refused.json["error"]["message"]) == (500, True)
            monkeypatch.setenv("BIG_KEY", "s3cret")
            assert ours.post("/v1/chat/completions", body).status == 200
    assert up.keys == ["Bearer s3cret"]  # and never ours


def test_when_the_store_is_down_the_gateway_answers_and_says_so(live: Live) -> None:
    completions = sdk(live).chat.completions
    completions.create(model="erd", messages=ASKED)  # type: ignore[arg-type]
    seen = live.wheel.store.log.last_seq()

    def down(*_: Any) -> Any:
        raise StoreError("the disk is gone")

    live.wheel.store.arrivals.append = down
    live.wheel.store.versions.alias = down
    known = live.app.serving._routes["artifacts"]
    live.app.serving._routes["artifacts"] = replace(known, read_at=-1e9)
    answer = completions.with_raw_response.create(
        model="erd",
        messages=ASKED,  # type: ignore[arg-type]
    )
    assert answer.parse().choices[0].message.content
    assert answer.headers["x-honewheel-recorded"] == "false"
    assert "disk is gone" in answer.headers["x-honewheel-reason"]
    chunks = live.post(
        "/v1/chat/completions", {"model": "erd", "messages": ASKED, "stream": True}
    ).body
    assert b": honewheel: not recorded: the disk is gone" in chunks
    assert chunks.endswith(b"data: [DONE]\n\n")
    assert live.wheel.store.log.last_seq() == seen


@pytest.mark.slow
def test_a_few_versions_stay_loaded_and_the_oldest_goes(folder: Any) -> None:
    with wheels.open_wheel(folder, "server.loaded=1") as wheel, running(wheel) as live:
        wheels.fill(wheel, folder)
        wheel.cycle("artifacts")
        for name in ("artifacts@0", "artifacts@1", "artifacts@0"):
            sdk(live).chat.completions.create(model=name, messages=ASKED)  # type: ignore[arg-type]
            assert list(live.app.serving._loaded) == [name]


def promoted(wheel: Any, folder: Any) -> None:
    """artifacts@1 has learnt the house types, and is on trial beside the bare base."""
    wheels.fill(wheel, folder)
    assert wheel.cycle("artifacts").verdict == "promote"


def ask(live: Live, **more: Any) -> Any:
    messages: Any = [{"role": "user", "content": ASKED[1]["content"]}]
    return sdk(live).chat.completions.create(model="erd", messages=messages, **more)


@pytest.mark.slow
def test_a_version_on_trial_answers_its_share_and_a_bad_one_is_taken_back(
    folder: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "honewheel.server.app")
    flags = ["models.artifacts.watch.mode=canary", "models.artifacts.watch.share=0.5"]
    flags += ["models.artifacts.watch.min_outcomes=20"]
    with wheels.open_wheel(folder, *flags) as wheel, running(wheel) as live:
        promoted(wheel, folder)
        by_user = {f"u{n}": ask(live, user=f"u{n}").model for n in range(40)}
        assert 8 <= list(by_user.values()).count("artifacts@1") <= 32
        assert all(ask(live, user=user).model == by_user[user] for user in list(by_user)[:10])
        requests = 0
        while wheel.store.deployments.current("artifacts") is not None:
            requests += 1
            assert requests < 1_000
            answer = ask(live)
            bad = answer.model == "artifacts@1"
            live.post("/v1/feedback", {"response_id": answer.id, "thumb": 0 if bad else 1})
        move = wheel.store.versions.history("artifacts", "canary")[-1]
        assert (move.version, move.reason[:13]) == (0, "rolled back: ")
        until(lambda: [one for one in caplog.records if one.getMessage() == "trial"])
        (line,) = [one for one in caplog.records if one.getMessage() == "trial"]
        told = json.loads(JsonLines().format(line))
        assert (told["version"], told["ended"]) == ("artifacts@1", "rolled back")
        assert told["why"] in move.reason
        until(lambda: {ask(live).model for _ in range(8)} == {"artifacts@0"})


@pytest.mark.slow
def test_a_version_in_the_shadow_answers_too_and_nobody_is_shown_it(folder: Any) -> None:
    flags = ["models.artifacts.watch.mode=shadow", "models.artifacts.watch.share=0.99"]
    with wheels.open_wheel(folder, *flags) as wheel, running(wheel) as live:
        promoted(wheel, folder)
        answers = [ask(live) for _ in range(5)]
        assert {one.model for one in answers} == {"artifacts@0"}
        seq = wheel.store.log.last_seq

        def shadows() -> list[Any]:
            found = [event.response for event in wheel.store.log.events(["erd"], seq())]
            return [one for one in found if "shadow_of" in one.decoding]

        until(shadows)
        shadow = shadows()[0]
        assert shadow.version == "artifacts@1"
        assert shadow.decoding["shadow_of"] in {one.id for one in answers}
        assert "vktext" in shadow.output


def test_figures_tell_of_answers_and_commits(live: Live) -> None:
    sdk(live).chat.completions.create(model="erd", messages=ASKED)  # type: ignore[arg-type]
    text = live.get("/metrics").body.decode()
    assert 'honewheel_answer_seconds_count{model="artifacts"} 1.0' in text
    assert 'honewheel_champion_version{model="artifacts"} 0.0' in text
    assert "honewheel_rows_total 1.0" in text
