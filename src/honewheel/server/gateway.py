"""The OpenAI-compatible gateway: an application changes its base URL, and its answers are recorded.

The `model` of a request is a registered model ("artifacts": its champion), a version
("artifacts@3"), or a task ("erd"). The task is `metadata.task`, else the task asked for as model,
else the model's only one; an answer without a task is given but not recorded. Headers tell:
`x-honewheel-recorded` (true or false), `x-honewheel-reason`, `x-honewheel-version`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import httpx2 as httpx
import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from honewheel.errors import HonewheelError, InputError
from honewheel.ids import ulid
from honewheel.records import SHADOW_OF, Decoding, Item, Prediction, Version
from honewheel.server import answers, chat, embeddings
from honewheel.server.access import Caller
from honewheel.server.answers import Refused
from honewheel.server.chat import Kind
from honewheel.server.door import CALLER
from honewheel.server.metrics import Metrics
from honewheel.server.pieces import in_thread, until
from honewheel.server.recorder import Answer, Recorder
from honewheel.server.serving import Serving
from honewheel.server.targets import Target, Targets, key_of
from honewheel.server.upstream import Upstreams
from honewheel.settings import Upstream
from honewheel.wheel import Wheel

_log = logging.getLogger(__name__)
PATHS: Mapping[Kind, str] = {"chat": "/chat/completions", "text": "/completions"}
_BROKEN = "upstream_unreachable"
ANSWERS = 64  # that wait for a model or are being written, at once; more wait their turn
_DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One request on its way."""

    kind: Kind
    body: dict[str, Any]
    target: Target
    answer: Answer
    created: int
    started: float

    @property
    def name(self) -> str:
        """The model's name as the answer tells it."""
        return self.target.version.name if self.target.version else self.target.model


class Gateway:
    """The routes under /v1 that OpenAI clients know."""

    def __init__(
        self, wheel: Wheel, serving: Serving, recorder: Recorder, metrics: Metrics
    ) -> None:
        self._wheel = wheel
        self._serving = serving
        self._targets = Targets(wheel, serving)
        self._recorder = recorder
        self._metrics = metrics
        self.upstreams = Upstreams()
        self._shadows: set[asyncio.Task[None]] = set()
        # Answers wait for their model in threads of their own: nothing else waits for them.
        self._threads = ThreadPoolExecutor(ANSWERS, "honewheel-answer")

    async def chat(self, request: Request) -> Response:
        return await self._complete("chat", request)

    async def text(self, request: Request) -> Response:
        return await self._complete("text", request)

    async def embeddings(self, request: Request) -> Response:
        """By the model's version in this process, or passed on to its upstream as it is."""
        body = await _json(request)
        target = await self._targets.choose(body, key_of(body, ""))
        if target.upstream is not None:
            found = await self.upstreams.post(target.upstream, "/embeddings", body)
            return _passed(found.content, found.status_code, {"x-honewheel-recorded": "false"})
        assert target.version is not None
        asked = embeddings.read(body)
        loop = asyncio.get_running_loop()
        made = await loop.run_in_executor(
            self._threads, self._serving.embed, target.version, asked.texts
        )
        if made is None:
            raise Refused(
                501,
                f"{target.model} is served by honewheel itself, which makes no embeddings: its "
                f"family is no embedding family. Set models.{target.model}.upstream.url to an "
                "endpoint that does.",
                "not_implemented",
            )
        name = target.version.name
        headers = {"x-honewheel-recorded": "false", "x-honewheel-version": name}
        return answers.json(embeddings.answer(asked, name, *made), 200, headers)

    async def models(self, _: Request) -> Response:
        return answers.json(
            {"object": "list", "data": await asyncio.to_thread(self._targets.listed)}
        )

    async def model(self, request: Request) -> Response:
        wanted = request.path_params["name"]
        for one in await asyncio.to_thread(self._targets.listed):
            if one["id"] == wanted:
                return answers.json(one)
        raise Refused(404, f"There is no model {wanted[:80]!r}.", "model_not_found")

    # --- answering ------------------------------------------------------------------------------

    async def _complete(self, kind: Kind, request: Request) -> Response:
        body = await _json(request)
        name = f"{chat.PREFIX[kind]}{ulid()}"
        target = await self._targets.choose(body, key_of(body, name))
        job = self._job(kind, name, body, target, request.scope[CALLER])
        if target.upstream is not None:
            if body.get("stream"):
                return await self._relay(job, target.upstream)
            return await self._forward(job, target.upstream)
        if job.answer.asked is None:
            raise Refused(400, job.answer.why, "invalid_request_error")
        if body.get("stream"):
            return self._streamed(job)
        return await self._answered(job)

    def _job(
        self, kind: Kind, name: str, body: dict[str, Any], target: Target, caller: Caller
    ) -> _Job:
        why, asked = target.why, None
        try:
            asked = chat.read(kind, body)
        except InputError as error:
            why = str(error)
        decoding = chat.knobs(body)
        if target.upstream is not None:
            decoding["upstream"] = target.upstream.model
        answer = Answer(
            id=name,
            actor=caller.name,
            action=f"POST /v1{PATHS[kind]}",
            task=target.task,
            asked=asked,
            version=target.version.name if target.version else None,
            decoding=decoding,
            why=why,
        )
        return _Job(
            kind=kind,
            body=body,
            target=target,
            answer=answer,
            created=int(self._wheel.clock().timestamp()),
            started=time.perf_counter(),
        )

    async def _done(self, job: _Job, output: str) -> str:
        """Record a complete answer; why it is not recorded, or ""."""
        self._metrics.answers.labels(job.target.model).observe(time.perf_counter() - job.started)
        why = await self._recorder.record(job.answer, output)
        if job.target.shadow is not None and not why:
            task = asyncio.create_task(self._shadowed(job, job.target.shadow))
            self._shadows.add(task)
            task.add_done_callback(self._shadows.discard)
        return why

    async def _shadowed(self, job: _Job, shadow: Version) -> None:
        """Let the version on trial answer the same, and record what nobody is shown."""
        _, item, decoding = self._work(job)
        try:
            found = await self._answer(shadow, item, decoding)
        except HonewheelError as error:
            _log.warning("%s did not answer in the shadow: %s", shadow.name, error)
            return
        text = "".join(until(iter([found.output]), chat.stops(job.body)))
        answer = replace(
            job.answer,
            id=f"{chat.PREFIX[job.kind]}{ulid()}",  # a name nobody can take before it
            version=shadow.name,
            decoding={**job.answer.decoding, SHADOW_OF: job.answer.id},
        )
        if why := await self._recorder.record(answer, text):
            _log.warning("the shadow's answer to %s is not recorded: %s", job.answer.id, why)

    async def close(self) -> None:
        """Wait for the shadows' answers, give back the connections."""
        for found in await asyncio.gather(*self._shadows, return_exceptions=True):
            if isinstance(found, BaseException):
                _log.error("a shadow's answer failed", exc_info=found)
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self.upstreams.close()

    # --- by an upstream -------------------------------------------------------------------------

    async def _forward(self, job: _Job, upstream: Upstream) -> Response:
        found = await self.upstreams.post(upstream, PATHS[job.kind], job.body)
        if found.status_code != 200:
            return _passed(found.content, found.status_code, {"x-honewheel-recorded": "false"})
        data = _object(found.content, upstream)
        why = await self._done(job, chat.said(job.kind, data))
        return answers.json(data | {"id": job.answer.id, "model": job.name}, 200, _told(job, why))

    async def _relay(self, job: _Job, upstream: Upstream) -> Response:
        """Every chunk as soon as it comes, under our id; recorded before the stream ends."""
        opened = self.upstreams.stream(upstream, PATHS[job.kind], job.body)
        response = await opened.__aenter__()
        if response.status_code != 200:
            content = await response.aread()
            await opened.__aexit__(None, None, None)
            return _passed(content, response.status_code, {"x-honewheel-recorded": "false"})

        async def chunks() -> AsyncIterator[bytes]:
            said: list[str] = []
            whole = False
            try:
                async for line in response.aiter_lines():
                    if not line.startswith("data:"):
                        continue
                    text = line.removeprefix("data:").strip()
                    if text == "[DONE]":
                        whole = True
                        break
                    data = _object(text.encode(), upstream)
                    said.append(chat.said(job.kind, data))
                    yield answers.sse(data | {"id": job.answer.id, "model": job.name})
                if not whole:  # half an answer is none: nothing could be said of it
                    raise Refused(502, f"The upstream {upstream.url} broke off.", _BROKEN)
                yield await self._end(job, "".join(said))
            except httpx.HTTPError as error:  # the status is sent: only the stream can tell
                told = f"The upstream {upstream.url} broke off: {error or type(error).__name__}."
                yield answers.sse(answers.error_body(told, _BROKEN))
            except Refused as error:
                yield answers.sse(answers.error_body(str(error), error.kind))
            finally:
                await opened.__aexit__(None, None, None)

        return _event_stream(chunks(), job)

    # --- in this process ------------------------------------------------------------------------

    async def _answered(self, job: _Job) -> Response:
        version, item, decoding = self._work(job)
        stops = chat.stops(job.body)
        found = await self._answer(version, item, decoding)
        text = "".join(until(iter([found.output]), stops))
        why = await self._done(job, text)
        stopped = found.stopped or text != found.output
        data = chat.answer(job.kind, job.answer.id, job.name, job.created, text, stopped)
        data |= chat.usage(found.asked, found.tokens)
        return answers.json(data, 200, _told(job, why))

    def _streamed(self, job: _Job) -> Response:
        version, item, decoding = self._work(job)
        ended: list[Prediction] = []  # none where a stop text ended it

        def whole() -> Iterator[str]:
            ended.append((yield from self._serving.stream(version, item, decoding)))

        pieces = until(whole(), chat.stops(job.body))

        def piece(text: str | None, reason: str | None = None) -> bytes:
            return answers.sse(
                chat.chunk(job.kind, job.answer.id, job.name, job.created, text, reason)
            )

        async def chunks() -> AsyncIterator[bytes]:
            said: list[str] = []
            yield piece(None)
            try:
                async for text in in_thread(pieces, self._threads):
                    said.append(text)
                    yield piece(text)
            except HonewheelError as error:
                yield answers.sse(answers.error_body(str(error), "internal_error"))
                return
            yield piece(None, "stop" if all(one.stopped for one in ended) else "length")
            if ended and chat.wants_usage(job.body):
                last = chat.chunk(job.kind, job.answer.id, job.name, job.created, None, None)
                used = chat.usage(ended[0].asked, ended[0].tokens)
                yield answers.sse(last | {"choices": []} | used)
            yield await self._end(job, "".join(said))

        return _event_stream(chunks(), job)

    async def _answer(self, version: Version, item: Item, decoding: Decoding) -> Prediction:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, self._serving.answer, version, item, decoding
        )

    def _work(self, job: _Job) -> tuple[Version, Item, Decoding]:
        asked, version = job.answer.asked, job.target.version
        assert asked is not None
        assert version is not None
        decoding = chat.decoding(job.body, self._wheel.config.settings.evaluate.max_new_tokens)
        # Draws depend on the item's id: with a seed they are to be the same again.
        name = "seeded" if job.body.get("seed") is not None else job.answer.id
        item = Item(
            id=name,
            task=job.target.task or job.target.model,
            prompt=asked.prompt,
            reference="",
            group="",
            context=asked.context,
        )
        return version, item, decoding

    async def _end(self, job: _Job, output: str) -> bytes:
        """The last bytes of a stream, once the answer is recorded; a comment tells if it is not."""
        why = await self._done(job, output)
        note = f": honewheel: not recorded: {_line(why)}\n\n".encode() if why else b""
        return note + _DONE


async def _json(request: Request) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(await request.body())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, f"not valid JSON: {error}", "invalid_request_error") from None
    if not isinstance(found, dict):
        raise Refused(400, "the body is no JSON object", "invalid_request_error")
    return found


def _object(content: bytes, upstream: Upstream) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused(502, f"The upstream {upstream.url} sent no JSON object.", "upstream_invalid")
    return found


def _passed(content: bytes, status: int, headers: Mapping[str, str]) -> Response:
    return Response(content, status, headers, "application/json")


def _told(job: _Job, why: str) -> dict[str, str]:
    headers = {"x-honewheel-recorded": "false" if why else "true"}
    if why:
        headers["x-honewheel-reason"] = _line(why)
    if job.target.version is not None:
        headers["x-honewheel-version"] = job.target.version.name
    return headers


def _line(text: str) -> str:
    """A reason as a header may hold it."""
    return " ".join(text.split()).encode("ascii", "replace").decode()[:300]


def _event_stream(chunks: AsyncIterator[bytes], job: _Job) -> Response:
    headers = {"cache-control": "no-cache"}
    if job.target.version is not None:
        headers["x-honewheel-version"] = job.target.version.name
    return StreamingResponse(chunks, 200, headers, "text/event-stream")
