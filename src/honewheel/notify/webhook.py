"""One webhook: a signed POST to one address, once.

What enters is a notice; what leaves is JSON over HTTPS. 2xx means taken; anything else, and
whatever hinders it, is an error that the outbox remembers and tries again.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from honewheel import signature
from honewheel.errors import ConfigError, Unreachable
from honewheel.notify import addresses
from honewheel.notify.addresses import Lookup
from honewheel.settings import Webhook


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer to a notice that was taken: its status, and seconds until it was there."""

    status: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook of the settings. `lookup` and `context` are the system's own outside of tests."""

    name: str
    settings: Webhook
    lookup: Lookup = addresses.by_system
    context: ssl.SSLContext | None = None

    def send(self, key: str, event: str, told: Mapping[str, Any], now: float) -> Taken:
        """Tell it. `key` is the same each time the same notice is sent.

        Raises:
            ConfigError: the environment has no secret.
            InputError: it leads to an address that must not be called.
            Unreachable: it did not take it.
        """
        body = json.dumps({"id": key, **told}, allow_nan=False).encode()
        headers = {
            "content-type": "application/json",
            "user-agent": "honewheel",
            "honewheel-event": event,
            "honewheel-delivery": key,
            signature.HEADER: signature.sign(self._secret(), body, now),
        }
        started = time.monotonic()
        try:
            status = self._post(body, headers)
        except (OSError, http.client.HTTPException) as error:
            told_error = str(error) or type(error).__name__
            raise Unreachable(f"{self.settings.url} does not answer: {told_error}.") from error
        if not 200 <= status < 300:
            raise Unreachable(f"{self.settings.url} answered with status {status}.")
        return Taken(status, time.monotonic() - started)

    def _secret(self) -> str:
        found = os.environ.get(self.settings.secret_env, "")
        if not found:
            raise ConfigError(
                f"The environment variable {self.settings.secret_env} "
                f"(webhooks.{self.name}.secret_env) is not set; nothing is sent unsigned."
            )
        return found

    def _post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer, within timeout_seconds; its body is not read."""
        url = urlsplit(self.settings.url)
        host, timeout = url.hostname or "", self.settings.timeout_seconds
        port = url.port or (443 if url.scheme == "https" else 80)
        address = addresses.resolve(host, port, private=self.settings.private, lookup=self.lookup)
        sock = socket.create_connection((address, port), timeout)
        if url.scheme == "https":
            context = self.context or ssl.create_default_context()
            sock = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        # Each step has the timeout; this bounds them all together, however slowly bytes come.
        over = threading.Timer(timeout, _cut, (sock,))
        over.start()
        try:
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
            connection.sock = sock
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
            connection.request("POST", path, body, dict(headers))
            return connection.getresponse().status
        finally:
            over.cancel()
            sock.close()


def _cut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already
