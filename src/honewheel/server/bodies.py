"""Request bodies with an upper bound in bytes and in seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.types import Message, Receive

from honewheel.server.answers import Refused


def too_large(limit: int) -> Refused:
    return Refused(
        413, f"The body is larger than {limit:,} bytes. Send less at a time.", "too_large"
    )


def require_length(headers: Mapping[bytes, bytes], limit: int) -> None:
    """Refuse a body whose announced length is above `limit`, before it is read."""
    announced = headers.get(b"content-length", b"0")
    if not announced.isdigit():
        raise Refused(400, "content-length is no number", "invalid_request_error")
    if int(announced) > limit:
        raise too_large(limit)


async def read(receive: Receive, limit: int, seconds: float) -> bytes:
    """The whole body. Raises Refused: 413 above `limit`, 408 when it takes longer than that."""
    try:
        async with asyncio.timeout(seconds):
            message = await receive()
            if not message.get("more_body"):
                return _part(message, 0, limit)
            parts, size = [], 0
            while True:
                parts.append(_part(message, size, limit))
                size += len(parts[-1])
                if not message.get("more_body"):
                    return b"".join(parts)
                message = await receive()
    except TimeoutError:
        raise Refused(
            408,
            f"The body did not arrive within {seconds:g} s.",
            "timeout",
            {"connection": "close"},
        ) from None


def _part(message: Message, size: int, limit: int) -> bytes:
    if message["type"] == "http.disconnect":
        raise Refused(400, "The client went away.", "invalid_request_error")
    body: bytes = message.get("body", b"")
    if size + len(body) > limit:
        raise too_large(limit)
    return body


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body which was read already, then what comes after it."""
    waiting: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
