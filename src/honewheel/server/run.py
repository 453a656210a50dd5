"""`honewheel serve`: uvicorn around the application, on this machine only unless there are keys."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from honewheel.errors import ConfigError
from honewheel.server.app import App
from honewheel.wheel import Wheel

GRACE_SECONDS = 10  # for answers in flight when the server is stopped
YOUNG = 20_000  # new objects before the collector looks at them. With Python's 700 it walked the
# rows of a crowd's requests several times while they waited for their commit
HEAD_SECONDS = 10.0  # within which a new connection has sent the head of a request


class Protocol(HttpToolsProtocol):
    """HTTP that gives up on who connects and then dribbles, or says nothing at all."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(HEAD_SECONDS, self._require_head)

    def _require_head(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


class Server(uvicorn.Server):
    """A server whose caller goes on after SIGINT or SIGTERM, to close what is open."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def server(
    wheel: Wheel, *, host: str | None = None, port: int | None = None, worker: bool = False
) -> tuple[Server, App]:
    """A server that is ready to run, and its application. Raises ConfigError."""
    settings = wheel.config.settings.server
    app = App(wheel, host=host, worker=worker)
    config = uvicorn.Config(
        app,
        host=(host or settings.host).strip("[]"),
        port=settings.port if port is None else port,
        http=Protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=64 << 10,
    )
    return Server(config), app


def serve(
    wheel: Wheel,
    *,
    host: str | None = None,
    port: int | None = None,
    worker: bool = True,
    listening: Callable[[str], Any],
) -> None:
    """Serve until SIGINT or SIGTERM; `listening` hears the address once there is one.

    Raises ConfigError: the address is taken, or open to others without a key.
    """
    found, _ = server(wheel, host=host, port=port, worker=worker)
    uvloop.run(_serve(found, listening))


async def _serve(found: Server, listening: Callable[[str], Any]) -> None:
    with _bound(found.config.host, found.config.port) as sock:
        name, port = sock.getsockname()[:2]
        serving = asyncio.create_task(found.serve(sockets=[sock]))
        while not found.started and not serving.done():
            await asyncio.sleep(0.01)
        if found.started:
            gc.freeze()  # what is loaded by now stays: collections need not walk it each time
            gc.set_threshold(YOUNG)
            listening(f"http://{f'[{name}]' if ':' in name else name}:{port}")
        await serving


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2_048)
    except OSError as error:
        raise ConfigError(
            f"{host}:{port} cannot be listened on: {error.strerror}. Choose another address with "
            "--port or --host."
        ) from error
