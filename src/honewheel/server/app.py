"""The application: one table of routes behind one door. Read `routes` first.

What enters is HTTP; what leaves are rows in the log (through the writer), answers of a champion or
an upstream, and what the verbs of `Wheel` tell.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from honewheel import logs
from honewheel.errors import HonewheelError, StoreError
from honewheel.loop import watch
from honewheel.records import Deed
from honewheel.server import access, answers, feedback, openapi
from honewheel.server.access import Access, Caller
from honewheel.server.answers import Refused
from honewheel.server.cycles import Cycles
from honewheel.server.door import Door
from honewheel.server.endpoints import (
    LARGE,
    CancelBody,
    CycleBody,
    Endpoint,
    PromoteBody,
    RollbackBody,
)
from honewheel.server.gateway import Gateway
from honewheel.server.metrics import Metrics
from honewheel.server.recorder import Recorder
from honewheel.server.serving import Serving
from honewheel.server.verbs import Verbs
from honewheel.server.writer import Writer
from honewheel.wheel import Wheel

OUTCOMES_SECONDS = 1.0  # between looks at what was said of a version on trial
KEYS_SECONDS = 1.0  # after which a new or revoked key is known

_log = logging.getLogger(__name__)


class App:
    """An ASGI application over an open wheel, which outlives it."""

    def __init__(self, wheel: Wheel, *, host: str | None = None, worker: bool = False) -> None:
        """`host` is the address that is listened on, `server.host` by default; with `worker` the
        server also does what a worker does.

        Raises ConfigError when it is not loopback and there is no key.
        """
        settings = wheel.config.settings.server
        self._wheel = wheel
        self.access = Access(host or settings.host, settings.hosts, settings.rate, access.monotonic)
        self.access.learn(wheel.store.keys.list())
        self.access.require_bindable()
        self.metrics = Metrics()
        self.writer = Writer(wheel.store, settings.queue, wheel.clock, self.metrics.committed)
        self.serving = Serving(wheel, settings.loaded)
        recorder = Recorder(wheel, self.writer, self.metrics)
        self.gateway = Gateway(wheel, self.serving, recorder, self.metrics)
        self.cycles = Cycles(wheel, worker=worker)
        verbs = Verbs(wheel, self.cycles, self.writer, self.metrics)
        self.routes = routes(verbs, self.gateway, self._openapi)
        rows = feedback.Feedback(wheel, self.writer, self.access)
        self._door = Door(
            self._starlette(),
            self.routes,
            self.access,
            rows,
            self.metrics,
            self._record,
            settings.read_seconds,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._door(scope, receive, send)

    def _starlette(self) -> Starlette:
        table = [Route(one.path, one.handler, methods=[one.method]) for one in self.routes]
        return Starlette(
            routes=table,
            exception_handlers={Refused: _refused, HonewheelError: _failed, Exception: _broken},
            lifespan=self._life,
        )

    @asynccontextmanager
    async def _life(self, _: Starlette) -> AsyncIterator[None]:
        self.writer.start()
        self.cycles.begin()
        tasks = [asyncio.create_task(work()) for work in (self._watch_keys, self._watch_outcomes)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task
            await self.cycles.end()
            await self.gateway.close()
            await self.writer.stop()
            self.serving.close()

    async def _watch_keys(self) -> None:
        """Learn of new and revoked keys; while the store is down, those known still hold."""
        while True:
            await asyncio.sleep(KEYS_SECONDS)
            try:
                self.access.learn(await asyncio.to_thread(self._wheel.store.keys.list))
            except StoreError as error:
                _log.warning("keys were not read again: %s", error)

    async def _watch_outcomes(self) -> None:
        """Take in what was said of versions on trial, and take a worse one back."""
        seen = -1
        while True:
            await asyncio.sleep(OUTCOMES_SECONDS)
            rows = self.metrics.written
            if rows == seen:
                continue
            seen = rows
            for model in self._wheel.config.settings.models:
                try:
                    await asyncio.to_thread(self._observe, model)
                except HonewheelError as error:
                    _log.warning("outcomes of %s were not taken in: %s", model, error)

    def _observe(self, model: str) -> None:
        store, config = self._wheel.store, self._wheel.config
        before = store.deployments.current(model)
        after = watch.observe(store, config, model, self._wheel.clock())
        for told in watch.news(before, after):
            logs.note(_log, "trial", **told)

    async def _record(
        self, caller: Caller, action: str, outcome: str, detail: Mapping[str, Any]
    ) -> None:
        deed = Deed(
            at=self._wheel.clock(),
            actor=caller.name,
            action=action,
            outcome=outcome,
            detail=dict(detail),
        )
        await asyncio.to_thread(self._wheel.store.audit.add, deed)

    async def _openapi(self, _: Request) -> Response:
        return answers.json(openapi.document(self.routes))


def routes(verbs: Verbs, gateway: Gateway, described: Any) -> tuple[Endpoint, ...]:
    """Every route there is: what is not here does not exist."""
    return (
        Endpoint(
            method="POST",
            path="/v1/feedback",
            role="writer",
            handler=_at_the_door,
            summary="Feedback: one row, an array of rows, or NDJSON",
            limit=feedback.BATCH_BYTES,
            answers={
                202: "on disk: id and seq; for a batch, an outcome a row",
                408: "the body took too long",
                409: "the id stands in the log with other content",
                413: "the row is above 1 MiB, or the batch above 8 MiB or 10,000 rows",
                415: "another content type",
                422: "the row, or every row of the batch, is refused; with the reason",
                507: "the disk is full",
            },
        ),
        Endpoint(
            method="GET",
            path="/v1/feedback/{id}",
            role="reviewer",
            handler=verbs.event,
            summary="A response with all that was said of it, by its id or one of a feedback",
            answers={200: "the event", 404: "no such id"},
        ),
        Endpoint(
            method="POST",
            path="/v1/chat/completions",
            role="writer",
            handler=gateway.chat,
            summary="OpenAI chat completions; stream too",
            limit=LARGE,
            answers=_ANSWERED,
        ),
        Endpoint(
            method="POST",
            path="/v1/completions",
            role="writer",
            handler=gateway.text,
            summary="OpenAI text completions; stream too",
            limit=LARGE,
            answers=_ANSWERED,
        ),
        Endpoint(
            method="POST",
            path="/v1/embeddings",
            role="writer",
            handler=gateway.embeddings,
            summary="OpenAI embeddings, by the model's version here or by its upstream",
            limit=LARGE,
            answers={
                200: "embeddings",
                400: "not texts",
                404: "no such model",
                501: "the model makes none and has no upstream",
                502: "the upstream failed",
            },
        ),
        Endpoint(
            method="GET",
            path="/v1/models",
            role="writer",
            handler=gateway.models,
            summary="What may be asked for as model: models, tasks and versions",
        ),
        Endpoint(
            method="GET",
            path="/v1/models/{name}",
            role="writer",
            handler=gateway.model,
            summary="One of them",
            answers={200: "the model", 404: "no such model"},
        ),
        Endpoint(
            method="GET",
            path="/v1/models/{name}/versions",
            role="reviewer",
            handler=verbs.versions,
            summary="Versions of a registered model with their verdicts; which is champion, and "
            "every move of its aliases",
            answers={200: "the versions", 404: "no such model"},
        ),
        Endpoint(
            method="GET",
            path="/v1/models/{name}/watch",
            role="reviewer",
            handler=verbs.watch,
            summary="Versions on trial in live traffic and former ones, with the evidence",
            answers={200: "the trials, the newest first", 404: "no such model"},
        ),
        Endpoint(
            method="POST",
            path="/v1/models/{name}/promote",
            role="operator",
            handler=verbs.promote,
            summary="Make a version champion: one the gate promoted, or any with a reason to force",
            body=PromoteBody,
            audited=True,
            answers={200: "the move", 404: "no such version", 409: "moved meanwhile", 422: "no"},
        ),
        Endpoint(
            method="POST",
            path="/v1/models/{name}/rollback",
            role="operator",
            handler=verbs.rollback,
            summary="Make the champion before this one champion again",
            body=RollbackBody,
            audited=True,
            answers={200: "the move", 404: "no such model", 409: "moved meanwhile", 422: "no"},
        ),
        Endpoint(
            method="POST",
            path="/v1/cycles",
            role="operator",
            handler=verbs.start,
            summary="Start a cycle, or resume the one that was cut short",
            body=CycleBody,
            audited=True,
            answers={202: "it runs or waits; job and id", 409: "nothing new, or too little data"},
        ),
        Endpoint(
            method="GET",
            path="/v1/cycles",
            role="reviewer",
            handler=verbs.cycles,
            summary="The newest 1,000 cycles",
        ),
        Endpoint(
            method="GET",
            path="/v1/cycles/{id}",
            role="reviewer",
            handler=verbs.cycle,
            summary="A cycle and its decision",
            answers={200: "the cycle", 404: "no such cycle"},
        ),
        Endpoint(
            method="GET",
            path="/v1/cycles/{id}/events",
            role="reviewer",
            handler=verbs.follow,
            summary="Progress of a cycle as it runs here; ends with the cycle",
            gives="text/event-stream",
            answers={200: "events `progress`, then one `end`", 404: "no such cycle"},
        ),
        Endpoint(
            method="GET",
            path="/v1/jobs",
            role="reviewer",
            handler=verbs.jobs,
            summary="The newest 1,000 jobs of the workers",
        ),
        Endpoint(
            method="GET",
            path="/v1/jobs/{number}",
            role="reviewer",
            handler=verbs.job,
            summary="A job and the cycle that it runs",
            answers={200: "the job", 404: "no such job"},
        ),
        Endpoint(
            method="POST",
            path="/v1/jobs/{number}/cancel",
            role="operator",
            handler=verbs.cancel,
            summary="Call a job off: a waiting one at once, a running one at its next step",
            body=CancelBody,
            audited=True,
            answers={200: "the job", 404: "no such job", 422: "it has ended"},
        ),
        Endpoint(
            method="GET",
            path="/v1/status",
            role="reviewer",
            handler=verbs.status,
            summary="Counts of events and cycles, what was dropped and why, champions",
        ),
        Endpoint(
            method="GET",
            path="/v1/audit",
            role="admin",
            handler=verbs.audit,
            summary="The newest 1,000 lines of the audit log; `?actor=NAME` for one key's",
        ),
        Endpoint(
            method="GET",
            path="/metrics",
            role="reviewer",
            handler=verbs.figures,
            summary="Figures for Prometheus",
            gives="text/plain",
        ),
        Endpoint(
            method="GET",
            path="/openapi.json",
            role="writer",
            handler=described,
            summary="This description",
        ),
        Endpoint(
            method="GET",
            path="/healthz",
            role="anyone",
            handler=verbs.health,
            summary="Whether the server and its store are up; needs no key",
            answers={200: "up", 503: "the store is down"},
        ),
    )


_ANSWERED = {
    200: "the answer; its id is the key for feedback on it",
    400: "not a request this model can answer",
    404: "no such model",
    502: "the upstream cannot be reached",
    504: "the upstream did not answer in time",
}


async def _at_the_door(_: Request) -> Response:
    raise AssertionError("the door answers this route")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return answers.error(error)


async def _failed(_: Request, error: Exception) -> Response:
    assert isinstance(error, HonewheelError)
    return answers.error(answers.translated(error))


async def _broken(request: Request, error: Exception) -> Response:
    """A fault of ours: told without its inside, which stands in the log."""
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answers.error(Refused(500, "An internal error; the log has it.", "internal_error"))
