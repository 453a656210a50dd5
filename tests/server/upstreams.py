"""A small OpenAI-compatible server as an upstream: real HTTP, scripted answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Upstream:
    """What it was asked, and how it is to answer."""

    port: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    status: int = 200
    cut: bool = False  # break the stream off
    words: tuple[str, ...] = ("er", "Diagram", "\n a {\n}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


def _handler(upstream: Upstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            body = body if isinstance(body, dict) else {"rows": body}
            upstream.asked.append(body | {"path": self.path})
            upstream.keys.append(self.headers.get("authorization", ""))
            if upstream.status != 200:
                self._json({"error": {"message": "upstream says no", "type": "x"}})
            elif self.path == "/v1/embeddings":
                data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
                self._json({"object": "list", "model": body["model"], "data": data, "usage": {}})
            elif body.get("stream"):
                self._stream(body)
            else:
                choice = {"index": 0, "finish_reason": "stop"}
                text = "".join(upstream.words)
                chat = "messages" in body
                choice |= {"message": {"role": "assistant", "content": text}} if chat else {}
                choice |= {} if chat else {"text": text}
                self._json({"id": "chatcmpl-1", "object": "x", "created": 1, "choices": [choice]})

        def _json(self, data: Any) -> None:
            sent = json.dumps(data).encode()
            self.send_response(upstream.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def _stream(self, body: dict[str, Any]) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for word in upstream.words:
                choice = {"index": 0, "delta": {"content": word}, "text": word}
                chunk = {"id": "chatcmpl-1", "created": 1, "choices": [choice]}
                chunk["object"] = "chat.completion.chunk"
                self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
                if upstream.cut:
                    return
            self.wfile.write(b"data: [DONE]\n\n")

        def log_message(self, *_: Any) -> None:
            return None

    return Handler


@contextmanager
def upstream() -> Iterator[Upstream]:
    found = Upstream()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(found))
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
