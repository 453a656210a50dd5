"""Requests to an OpenAI-compatible endpoint: vLLM, Ollama, llama.cpp, a hosted one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2 as httpx
import msgspec

from honewheel.server.answers import Refused
from honewheel.settings import Upstream

_NOT_OURS = ("honewheel",)  # keys of a request that only we read


class Upstreams:
    """One pool of connections for all upstreams."""

    def __init__(self) -> None:
        # Redirects would carry the key elsewhere, and a proxy of the environment would see it.
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=512, max_keepalive_connections=64),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def post(self, to: Upstream, path: str, body: dict[str, Any]) -> httpx.Response:
        """The whole answer. Raises Refused 502, 504 when there is none."""
        with _failures(to):
            return await self._client.send(self._request(to, path, body))

    @asynccontextmanager
    async def stream(
        self, to: Upstream, path: str, body: dict[str, Any]
    ) -> AsyncIterator[httpx.Response]:
        """An answer that is read as it comes. Raises Refused 502, 504 before the first byte."""
        with _failures(to):
            response = await self._client.send(self._request(to, path, body), stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    def _request(self, to: Upstream, path: str, body: dict[str, Any]) -> httpx.Request:
        headers = {"content-type": "application/json"}
        if to.key_env:
            headers["authorization"] = f"Bearer {_key(to.key_env)}"
        sent = {key: value for key, value in body.items() if key not in _NOT_OURS}
        return self._client.build_request(
            "POST",
            f"{to.url.rstrip('/')}{path}",
            content=msgspec.json.encode(sent | {"model": to.model}),
            headers=headers,
            timeout=httpx.Timeout(to.timeout_seconds, connect=10.0),
        )


def _key(name: str) -> str:
    found = os.environ.get(name)
    if not found:
        raise Refused(
            500,
            f"The upstream's key is read from the environment variable {name}, which is not set "
            "where the server runs.",
            "upstream_key_missing",
        )
    return found


class _failures:
    """Turns what a connection may suffer into an answer that names the upstream."""

    def __init__(self, to: Upstream) -> None:
        self._to = to

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, httpx.TimeoutException):
            raise Refused(
                504,
                f"The upstream {self._to.url} did not answer within "
                f"{self._to.timeout_seconds:g} s.",
                "upstream_timeout",
            ) from error
        if isinstance(error, httpx.HTTPError):
            raise Refused(
                502,
                f"The upstream {self._to.url} cannot be reached: {error or type(error).__name__}.",
                "upstream_unreachable",
            ) from error
