"""A stub of an OpenAI-compatible upstream, and the barest reverse proxy in front of it.

uvicorn service_stubs:upstream, uvicorn service_stubs:proxy (UPSTREAM holds the stub's address).
"""

from __future__ import annotations

import os
from typing import Any

import httpx2 as httpx

_ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"stub","choices":[{"index":'
    b'0,"finish_reason":"stop","message":{"role":"assistant","content":"' + b"x" * 400 + b'"}}]}'
)
_PIECE = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"stub",'
    b'"choices":[{"index":0,"delta":{"content":"' + b"x" * 20 + b'"}}]}\n\n'
)
_JSON = [(b"content-type", b"application/json")]
_EVENTS = [(b"content-type", b"text/event-stream")]


async def _body(receive: Any) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def _answer(send: Any, body: bytes) -> None:
    headers = [*_JSON, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def upstream(scope: Any, receive: Any, send: Any) -> None:
    """Answers everything at once with 400 characters, in twenty pieces where it is to stream."""
    if scope["type"] == "http":
        if b'"stream": true' in await _body(receive):
            await _stream(send)
        else:
            await _answer(send, _ANSWER)


async def _stream(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": _EVENTS})
    for _ in range(20):
        await send({"type": "http.response.body", "body": _PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


_client: list[httpx.AsyncClient] = []


async def proxy(scope: Any, receive: Any, send: Any) -> None:
    """Passes the body on, and the answer back: with the same client library as the gateway."""
    if scope["type"] != "http":
        return
    if not _client:
        limits = httpx.Limits(max_connections=512, max_keepalive_connections=64)
        _client.append(httpx.AsyncClient(trust_env=False, limits=limits))
    url, body = f"{os.environ['UPSTREAM']}{scope['path']}", await _body(receive)
    headers = {"content-type": "application/json"}
    if b'"stream": true' not in body:
        found = await _client[0].post(url, content=body, headers=headers)
        await _answer(send, found.content)
        return
    await send({"type": "http.response.start", "status": 200, "headers": _EVENTS})
    async with _client[0].stream("POST", url, content=body, headers=headers) as answer:
        async for piece in answer.aiter_raw():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
