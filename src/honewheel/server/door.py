"""The door of the server: every request passes here before any route sees it.

In order: host and origin, key, whether the route exists, role, rate, size. Feedback is answered
here, without a framework; everything else goes on to Starlette with a body that is bounded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from honewheel.errors import HonewheelError
from honewheel.server import answers, bodies, feedback
from honewheel.server.access import Access, Caller
from honewheel.server.answers import Refused
from honewheel.server.endpoints import Endpoint
from honewheel.server.feedback import BATCH_BYTES, Feedback
from honewheel.server.metrics import Metrics

CALLER = "honewheel.caller"  # key of the scope that holds who calls
Record = Callable[[Caller, str, str, Mapping[str, Any]], Awaitable[None]]

_JSON_HEAD = (b"content-type", b"application/json")


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
        self._read_seconds = read_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        method, path = scope["method"], scope["path"]
        label = "unknown"
        try:
            caller = None
            endpoint = self._find(method, path)
            if endpoint is None or endpoint.role != "anyone":
                caller = self._access.enter(headers)
            if endpoint is None:
                raise self._unknown(method, path)
            label = f"{endpoint.method} {endpoint.path}"
            if label == feedback.ACTION:
                assert caller is not None
                await self._feedback(headers, caller, receive, send)
            else:
                await self._pass(endpoint, caller, headers, scope, receive, send)
        except Refused as refused:
            self._metrics.requests.labels(label, str(refused.status)).inc()
            await answers.error(refused)(scope, receive, send)

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
        self, headers: Mapping[bytes, bytes], caller: Caller, receive: Receive, send: Send
    ) -> None:
        self._access.require(caller, "writer")
        bodies.require_length(headers, BATCH_BYTES)
        body = await bodies.read(receive, BATCH_BYTES, self._read_seconds)
        try:
            status, told = await self._rows.post(body, headers.get(b"content-type", b""), caller)
        except HonewheelError as error:
            raise answers.translated(error) from error
        if status == 202:
            self._stored.inc()
        else:
            self._metrics.requests.labels(feedback.ACTION, str(status)).inc()
        length = (b"content-length", str(len(told)).encode())
        await send(
            {"type": "http.response.start", "status": status, "headers": [_JSON_HEAD, length]}
        )
        await send({"type": "http.response.body", "body": told})

    async def _pass(
        self,
        endpoint: Endpoint,
        caller: Caller | None,
        headers: Mapping[bytes, bytes],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        if caller is not None and endpoint.role != "anyone":
            self._access.require(caller, endpoint.role)
            self._access.spend(caller)
        if endpoint.method == "POST":
            self._require_json(headers)
            bodies.require_length(headers, endpoint.limit)
            body = await bodies.read(receive, endpoint.limit, self._read_seconds)
            receive = bodies.replay(body, receive)
        scope[CALLER] = caller
        route = f"{endpoint.method} {endpoint.path}"

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = str(message["status"])
                self._metrics.requests.labels(route, status).inc()
                if endpoint.audited and caller is not None:
                    await self._record(caller, route, status, {"path": scope["path"]})
            await send(message)

        await self._inner(scope, receive, watched)

    @staticmethod
    def _require_json(headers: Mapping[bytes, bytes]) -> None:
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            raise Refused(415, "Send content-type: application/json.", "unsupported_media_type")
