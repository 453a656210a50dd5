"""The OpenAI-compatible gateway: an application changes its base URL, and its answers are recorded.

The `model` of a request is a registered model ("artifacts": its champion), a version
("artifacts@3"), or a task ("erd"). The task is `metadata.task`, else the task asked for as model,
else the model's only one; an answer without a task is given but not recorded. Headers tell:
`x-honewheel-recorded` (true or false), `x-honewheel-reason`, `x-honewheel-version`.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import httpx2 as httpx
import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from honewheel import plugins
from honewheel.errors import HonewheelError, InputError, NotFound
from honewheel.ids import ulid
from honewheel.records import Decoding, Item, Prediction, Version
from honewheel.server import answers, chat
from honewheel.server.access import Caller
from honewheel.server.answers import Refused
from honewheel.server.chat import Kind
from honewheel.server.door import CALLER
from honewheel.server.metrics import Metrics
from honewheel.server.recorder import Answer, Recorder
from honewheel.server.serving import Serving
from honewheel.server.upstream import Upstreams
from honewheel.settings import Upstream
from honewheel.wheel import Wheel

_log = logging.getLogger(__name__)
PATHS: Mapping[Kind, str] = {"chat": "/chat/completions", "text": "/completions"}
_BROKEN = "upstream_unreachable"
ANSWERS = 64  # that wait for a model or are being written, at once; more wait their turn
_NUMBER = re.compile(r"[0-9]{1,9}")
_DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Who is to answer: an upstream, or one version in this process; and for which task."""

    model: str
    task: str | None
    upstream: Upstream | None
    version: Version | None
    shadow: Version | None = None  # answers too, unseen, to be compared

    @property
    def why(self) -> str:
        """Why the answer cannot be recorded; "" when it can."""
        if self.task is not None:
            return ""
        return f"{self.model} has several tasks; name one as metadata.task or as the model"


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
        """Passed on to an upstream, as it is."""
        body = await _json(request)
        target = await asyncio.to_thread(self._target, body, _key(body, ""))
        if target.upstream is None:
            raise Refused(
                501,
                f"{target.model} is served by honewheel itself, which makes no embeddings. Set "
                f"models.{target.model}.upstream.url to an endpoint that does.",
                "not_implemented",
            )
        found = await self.upstreams.post(target.upstream, "/embeddings", body)
        return _passed(found.content, found.status_code, {"x-honewheel-recorded": "false"})

    async def models(self, _: Request) -> Response:
        return answers.json({"object": "list", "data": await asyncio.to_thread(self._listed)})

    async def model(self, request: Request) -> Response:
        wanted = request.path_params["name"]
        for one in await asyncio.to_thread(self._listed):
            if one["id"] == wanted:
                return answers.json(one)
        raise Refused(404, f"There is no model {wanted[:80]!r}.", "model_not_found")

    def _listed(self) -> list[dict[str, Any]]:
        settings, versions = self._wheel.config.settings, self._wheel.store.versions
        found = []
        for model in settings.models:
            known = versions.list(model)
            born = int(known[0].created_at.timestamp()) if known else 0
            found += [_card(name, born) for name in (model, *settings.models[model].tasks)]
            found += [_card(one.name, int(one.created_at.timestamp())) for one in known]
        return list({one["id"]: one for one in found}.values())

    # --- who answers ----------------------------------------------------------------------------

    def _target(self, body: Mapping[str, Any], key: str) -> Target:
        """Who is to answer. Raises Refused 400, 404; StoreError."""
        name = body.get("model")
        if not isinstance(name, str) or not name:
            raise Refused(400, "model is missing", "invalid_request_error")
        models = self._wheel.config.settings.models
        model, at, number = name.partition("@")
        task = None
        if model not in models:
            task = model
            model = next((one for one in models if task in models[one].tasks), "")
        if model not in models or (at and not _NUMBER.fullmatch(number)):
            known = [*models, *(task for one in models.values() for task in one.tasks)]
            hint = plugins.suggest(name[:80], known)
            raise Refused(404, f"There is no model {name[:80]!r}. {hint}", "model_not_found")
        task = self._task(model, task, body.get("metadata"))
        upstream = models[model].upstream
        if upstream.url and not at:
            return Target(model=model, task=task, upstream=upstream, version=None)
        version, shadow = self._versions(model, number, key)
        return Target(model=model, task=task, upstream=None, version=version, shadow=shadow)

    def _versions(self, model: str, number: str, key: str) -> tuple[Version, Version | None]:
        """The version that answers, and the one in its shadow; `number` "" leaves it to the watch.

        The same key is answered by the same version while a trial is open.
        """
        routing = self._serving.route(model, key)
        if not number:
            shadow = routing.shadow
            return (
                self._serving.version(model, routing.version),
                None if shadow is None else self._serving.version(model, shadow),
            )
        try:
            return self._serving.version(model, int(number)), None
        except NotFound as error:
            raise Refused(404, str(error), "model_not_found") from error

    def _task(self, model: str, named: str | None, metadata: Any) -> str | None:
        tasks = self._wheel.config.settings.models[model].tasks
        wanted = metadata.get("task") if isinstance(metadata, Mapping) else None
        if wanted is not None and wanted not in tasks:
            raise Refused(
                400,
                f"metadata.task = {wanted!r:.60} is no task of {model}; its tasks are "
                f"{', '.join(tasks)}.",
                "invalid_request_error",
            )
        return wanted or named or (tasks[0] if len(tasks) == 1 else None)

    # --- answering ------------------------------------------------------------------------------

    async def _complete(self, kind: Kind, request: Request) -> Response:
        body = await _json(request)
        name = f"{chat.PREFIX[kind]}{ulid()}"
        target = await asyncio.to_thread(self._target, body, _key(body, name))
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
        text = "".join(_until(iter([found.output]), chat.stops(job.body)))
        answer = replace(
            job.answer,
            id=f"{job.answer.id}.shadow",
            version=shadow.name,
            decoding={**job.answer.decoding, "shadow_of": job.answer.id},
        )
        if why := await self._recorder.record(answer, text):
            _log.warning("the shadow's answer to %s is not recorded: %s", job.answer.id, why)

    async def close(self) -> None:
        """Wait for the shadows' answers, give back the connections."""
        await asyncio.gather(*self._shadows)
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
        text = "".join(_until(iter([found.output]), stops))
        why = await self._done(job, text)
        stopped = found.stopped or text != found.output
        data = chat.answer(job.kind, job.answer.id, job.name, job.created, text, stopped)
        return answers.json(data, 200, _told(job, why))

    def _streamed(self, job: _Job) -> Response:
        version, item, decoding = self._work(job)
        cut: list[str] = []

        def whole() -> Iterator[str]:
            if not (yield from self._serving.stream(version, item, decoding)):
                cut.append("length")

        pieces = _until(whole(), chat.stops(job.body))

        def piece(text: str | None, reason: str | None = None) -> bytes:
            return answers.sse(
                chat.chunk(job.kind, job.answer.id, job.name, job.created, text, reason)
            )

        async def chunks() -> AsyncIterator[bytes]:
            said: list[str] = []
            yield piece(None)
            try:
                async for text in _in_thread(pieces, self._threads):
                    said.append(text)
                    yield piece(text)
            except HonewheelError as error:
                yield answers.sse(answers.error_body(str(error), "internal_error"))
                return
            yield piece(None, *(cut or ["stop"]))
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


def _until(pieces: Iterator[str], stops: tuple[str, ...]) -> Generator[str, None, None]:
    """Pieces up to the first of the stop texts, which may be cut over several pieces."""
    held = ""
    keep = max(map(len, stops), default=1) - 1
    for piece in pieces:
        held += piece
        places = [place for stop in stops if (place := held.find(stop)) >= 0]
        if places:
            if held[: min(places)]:
                yield held[: min(places)]
            return
        sure = len(held) - keep
        if sure > 0:
            yield held[:sure]
            held = held[sure:]
    if held:
        yield held


async def _in_thread(
    pieces: Generator[str, None, None], threads: ThreadPoolExecutor
) -> AsyncIterator[str]:
    """Items of a blocking iterator, made in a thread; it stops soon after nobody reads on."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[Any] = asyncio.Queue()
    gone = threading.Event()
    end = object()

    def work() -> None:
        last: Any = end
        try:
            for piece in pieces:
                if gone.is_set():
                    break
                loop.call_soon_threadsafe(arrived.put_nowait, piece)
        except Exception as error:  # raised again where it is awaited
            last = error
        pieces.close()  # gives the model back
        loop.call_soon_threadsafe(arrived.put_nowait, last)

    task = loop.run_in_executor(threads, work)
    try:
        while (found := await arrived.get()) is not end:
            if isinstance(found, Exception):
                raise found
            yield found
        await task
    finally:
        gone.set()


def _key(body: Mapping[str, Any], name: str) -> str:
    """What decides which version of a trial answers: the conversation, the user, or the request."""
    metadata = body.get("metadata")
    conversation = metadata.get("conversation") if isinstance(metadata, Mapping) else None
    for found in (conversation, body.get("user")):
        if isinstance(found, str) and found:
            return found
    return name


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


def _card(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "honewheel"}
