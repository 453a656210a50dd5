"""Routes of the registry, of cycles and of the server itself: thin, over the verbs of `Wheel`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from honewheel.errors import StoreError
from honewheel.loop import watch
from honewheel.loop.registry import CHAMPION
from honewheel.records import as_dict
from honewheel.server import answers, metrics
from honewheel.server.access import Caller
from honewheel.server.answers import Refused
from honewheel.server.cycles import Cycles, summary
from honewheel.server.door import CALLER
from honewheel.server.endpoints import CancelBody, CycleBody, PromoteBody, RollbackBody
from honewheel.server.metrics import Metrics
from honewheel.server.writer import Writer
from honewheel.wheel import Wheel

B = TypeVar("B", bound=BaseModel)
MOST = 1_000  # lines of one list


class Verbs:
    """Handlers, each a few lines over the wheel."""

    def __init__(self, wheel: Wheel, cycles: Cycles, writer: Writer, metrics: Metrics) -> None:
        self._wheel = wheel
        self._cycles = cycles
        self._writer = writer
        self._metrics = metrics

    # --- feedback -------------------------------------------------------------------------------

    async def event(self, request: Request) -> Response:
        found = await asyncio.to_thread(self._wheel.store.log.event, request.path_params["id"])
        return answers.json(as_dict(found))

    # --- versions -------------------------------------------------------------------------------

    async def versions(self, request: Request) -> Response:
        return answers.json(await asyncio.to_thread(self._versions, self._model(request)))

    def _versions(self, model: str) -> dict[str, Any]:
        move = self._wheel.store.versions.alias(model, CHAMPION)
        rows = []
        for version in self._wheel.versions(model):
            decision = self._wheel.store.versions.decision(version.cycle) if version.cycle else None
            rows.append(
                as_dict(version)
                | {
                    "name": version.name,
                    "champion": move is not None and move.version == version.number,
                    "verdict": decision.verdict if decision else None,
                    "gain": decision.gain if decision else None,
                    "interval": decision.interval if decision else None,
                }
            )
        moves = [
            as_dict(one)
            for alias in (CHAMPION, watch.CANARY)
            for one in self._wheel.store.versions.history(model, alias)
        ]
        return {"model": model, "versions": rows, "moves": moves}

    async def watch(self, request: Request) -> Response:
        model = self._model(request)
        found = await asyncio.to_thread(self._wheel.store.deployments.list, model, MOST)
        return answers.json({"model": model, "trials": [watch.standing(one) for one in found]})

    async def promote(self, request: Request) -> Response:
        body = await _read(request, PromoteBody)
        name = f"{self._model(request)}@{body.version}"
        force = f"{body.force} (by {_caller(request)})" if body.force else None
        move = await asyncio.to_thread(self._wheel.promote, name, force=force)
        return answers.json(as_dict(move))

    async def rollback(self, request: Request) -> Response:
        body = await _read(request, RollbackBody)
        reason = f"{body.reason} (by {_caller(request)})"
        move = await asyncio.to_thread(self._wheel.rollback, self._model(request), reason=reason)
        return answers.json(as_dict(move))

    def _model(self, request: Request) -> str:
        """The registered model of the path. Raises Refused 404."""
        name: str = request.path_params["name"]
        models = self._wheel.config.settings.models
        if name not in models:
            raise Refused(
                404, f"No model {name[:80]!r} is registered; there is {', '.join(models)}.",
                "model_not_found",
            )  # fmt: skip
        return name

    # --- cycles ---------------------------------------------------------------------------------

    async def start(self, request: Request) -> Response:
        body = await _read(request, CycleBody)
        found = await self._cycles.start(
            body.model, f"asked for by {_caller(request)}", body.schedule
        )
        if found["id"] is None:
            return answers.json(found, 202, {"location": f"/v1/jobs/{found['job']}"})
        events = f"/v1/cycles/{found['id']}/events"
        return answers.json(found | {"events": events}, 202, {"location": events})

    async def jobs(self, _: Request) -> Response:
        found = await asyncio.to_thread(self._wheel.jobs, MOST)
        return answers.json({"jobs": [as_dict(job) for job in found]})

    async def job(self, request: Request) -> Response:
        return answers.json(await asyncio.to_thread(self._job, _number(request)))

    def _job(self, number: int) -> dict[str, Any]:
        """A job, with the cycle that it runs or ran."""
        job = self._wheel.store.jobs.get(number)
        running = self._wheel.store.cycles.running(job.model) if job.state == "running" else None
        cycle = running.id if running else (job.result or {}).get("cycle")
        return as_dict(job) | {"cycle": cycle}

    async def cancel(self, request: Request) -> Response:
        body = await _read(request, CancelBody)
        reason = f"{body.reason} (by {_caller(request)})"
        job = await asyncio.to_thread(self._wheel.cancel, _number(request), reason=reason)
        return answers.json(as_dict(job))

    async def cycles(self, _: Request) -> Response:
        found = await asyncio.to_thread(self._wheel.cycles, None, MOST)
        return answers.json({"cycles": [summary(one) for one in found]})

    async def cycle(self, request: Request) -> Response:
        return answers.json(await asyncio.to_thread(self._cycle, request.path_params["id"]))

    def _cycle(self, name: str) -> dict[str, Any]:
        found = self._wheel.store.cycles.get(name)
        decision = self._wheel.store.versions.decision(name)
        return summary(found) | {"decision": as_dict(decision) if decision else None}

    async def follow(self, request: Request) -> Response:
        name = request.path_params["id"]
        await asyncio.to_thread(self._wheel.store.cycles.get, name)  # 404 before anything is sent
        last = request.headers.get("last-event-id", "0")
        after = int(last) if last.isascii() and last.isdigit() and len(last) < 10 else 0
        events: AsyncIterator[bytes] = self._cycles.follow(name, after)
        return StreamingResponse(events, 200, {"cache-control": "no-cache"}, "text/event-stream")

    # --- the server -----------------------------------------------------------------------------

    async def status(self, _: Request) -> Response:
        return answers.json(await asyncio.to_thread(self._wheel.status))

    async def audit(self, request: Request) -> Response:
        actor = request.query_params.get("actor")
        found = await asyncio.to_thread(self._wheel.store.audit.list, MOST, actor)
        return answers.json({"audit": [as_dict(deed) for deed in found]})

    async def figures(self, _: Request) -> Response:
        self._metrics.waiting.set(self._writer.waiting)
        for model in self._wheel.config.settings.models:
            move = await asyncio.to_thread(self._wheel.store.versions.alias, model, CHAMPION)
            if move is not None:
                self._metrics.champion.labels(model).set(move.version)
        return Response(self._metrics.text(), media_type=metrics.CONTENT_TYPE)

    async def health(self, _: Request) -> Response:
        try:
            await asyncio.to_thread(self._wheel.store.log.last_seq)
        except StoreError:  # what is wrong is told to those who may know, in the log and by status
            return answers.json({"ok": False, "store": "down"}, 503)
        return answers.json({"ok": True, "store": "up"})


async def _read(request: Request, kind: type[B]) -> B:
    try:
        return kind.model_validate_json(await request.body() or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refused(422, f"{where or 'body'}: {first['msg']}", "invalid_request_error") from None


def _number(request: Request) -> int:
    """The number of a job in the path. Raises Refused 404."""
    found = request.path_params["number"]
    if not (found.isascii() and found.isdigit() and len(found) < 10):
        raise Refused(404, f"There is no job {found[:40]!r}.", "not_found")
    return int(found)


def _caller(request: Request) -> str:
    found: Caller = request.scope[CALLER]
    return found.name
