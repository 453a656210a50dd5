"""The door of the server: every request passes here before any route sees it.

In order: host and origin, key, whether the route exists, role, rate, size. Feedback is answered
here, without a framework; everything else goes on to Starlette with a body that is bounded.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from honewheel import logs
from honewheel.errors import HonewheelError, StoreError
from honewheel.server import answers, bodies, feedback
from honewheel.server.access import Access, Caller
from honewheel.server.answers import Refused
from honewheel.server.endpoints import Endpoint
from honewheel.server.feedback import BATCH_BYTES, Feedback
from honewheel.server.metrics import Metrics

CALLER = "honewheel.caller"  # key of the scope that holds who calls
Record = Callable[[Caller, str, str, Mapping[str, Any]], Awaitable[None]]

REQUEST = b"x-request-id"

_JSON_HEAD = (b"content-type", b"application/json")
_NAME = re.compile(rb"[A-Za-z0-9._-]{1,80}")  # of a request, as a client may give it
_log = logging.getLogger(__name__)


class Door:
    """An ASGI application around another one."""

    def __init__(
        self,
        inner: ASGIApp,
        endpoints: Sequence[Endpoint],
        access: Access,
        rows: Feedback,
        metrics: Metrics,
        record: Record,
        read_seconds: float,
    ) -> None:
        self._inner = inner
        self._table: dict[tuple[str, str], Endpoint] = {
            (one.method, one.path): one for one in endpoints
        }
        self._patterns = [(one.pattern, one) for one in endpoints if "{" in one.path]
        self._access = access
        self._rows = rows
        self._metrics = metrics
        self._stored = metrics.requests.labels(feedback.ACTION, "202")
        self._record = record
        self._bodies = bodies.Bodies(read_seconds)
        self._boot, self._count = secrets.token_hex(4), count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        method, path = scope["method"], scope["path"]
        label, caller = "unknown", None
        name = self._named(headers)
        logs.request.set(name.decode())  # of this request's own context
        try:
            endpoint = self._find(method, path)
            if endpoint is None or endpoint.role != "anyone":
                caller = self._access.enter(headers)
            if endpoint is None:
                raise self._unknown(method, path)
            label = f"{endpoint.method} {endpoint.path}"
            if label == feedback.ACTION:
                assert caller is not None
                await self._feedback(headers, caller, receive, send, name)
            else:
                await self._pass(endpoint, caller, headers, scope, receive, send, name)
        except Refused as refused:
            self._metrics.requests.labels(label, str(refused.status)).inc()
            told = {"route": label, "status": refused.status, "why": str(refused)}
            logs.note(_log, "refused", caller=caller.name if caller else None, **told)
            if refused.status == 403 and caller is not None:
                await self._audited(caller, label, path)
            refused.headers[REQUEST.decode()] = name.decode()
            await answers.error(refused)(scope, receive, send)

    async def _audited(self, caller: Caller, label: str, path: str) -> None:
        """A line for what a key may not do; while the store is down, only the log has it."""
        try:
            await self._record(caller, label, "403", {"path": path[:200]})
        except StoreError as error:
            logs.note(_log, "not audited", logging.ERROR, caller=caller.name, why=str(error))

    def _named(self, headers: Mapping[bytes, bytes]) -> bytes:
        """The id of a request: the client's own, or one of this server's."""
        given = headers.get(REQUEST)
        if given is not None and _NAME.fullmatch(given):
            return given
        return f"{self._boot}-{next(self._count):x}".encode()

    def _find(self, method: str, path: str) -> Endpoint | None:
        found = self._table.get((method, path))
        if found is not None:
            return found
        for pattern, endpoint in self._patterns:
            if endpoint.method == method and pattern.fullmatch(path):
                return endpoint
        return None

    def _unknown(self, method: str, path: str) -> Refused:
        allowed = [other for other in ("GET", "POST") if self._find(other, path)]
        if allowed:
            return Refused(
                405,
                f"{method} is not possible here; {', '.join(allowed)} is.",
                "method_not_allowed",
                {"allow": ", ".join(allowed)},
            )
        return Refused(404, "There is no such route; /openapi.json lists them.", "not_found")

    async def _feedback(
        self,
        headers: Mapping[bytes, bytes],
        caller: Caller,
        receive: Receive,
        send: Send,
        name: bytes,
    ) -> None:
        self._access.require(caller, "writer")
        bodies.require_length(headers, BATCH_BYTES)
        body = await self._bodies.read(receive, BATCH_BYTES)
        try:
            status, told = await self._rows.post(body, headers.get(b"content-type", b""), caller)
        except HonewheelError as error:
            raise answers.translated(error) from error
        if status == 202:
            self._stored.inc()
        else:
            self._metrics.requests.labels(feedback.ACTION, str(status)).inc()
        length = (b"content-length", str(len(told)).encode())
        heads = [_JSON_HEAD, length, (REQUEST, name)]
        await send({"type": "http.response.start", "status": status, "headers": heads})
        await send({"type": "http.response.body", "body": told})

    async def _pass(
        self,
        endpoint: Endpoint,
        caller: Caller | None,
        headers: Mapping[bytes, bytes],
        scope: Scope,
        receive: Receive,
        send: Send,
        name: bytes,
    ) -> None:
        if caller is not None and endpoint.role != "anyone":
            self._access.spend(caller)  # also for what is refused: each refusal leaves a line
            self._access.require(caller, endpoint.role)
        if endpoint.method == "POST":
            self._require_json(headers)
            bodies.require_length(headers, endpoint.limit)
            body = await self._bodies.read(receive, endpoint.limit)
            receive = bodies.replay(body, receive)
        scope[CALLER] = caller
        route = f"{endpoint.method} {endpoint.path}"
        started = time.perf_counter()

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = str(message["status"])
                self._metrics.requests.labels(route, status).inc()
                message["headers"] = [*message["headers"], (REQUEST, name)]
                ms = round(1e3 * (time.perf_counter() - started), 1)
                who = caller.name if caller else None
                logs.note(_log, "answered", caller=who, route=route, status=int(status), ms=ms)
                if endpoint.audited and caller is not None:
                    await self._record(caller, route, status, {"path": scope["path"]})
            await send(message)

        await self._inner(scope, receive, watched)

    @staticmethod
    def _require_json(headers: Mapping[bytes, bytes]) -> None:
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            raise Refused(415, "Send content-type: application/json.", "unsupported_media_type")
