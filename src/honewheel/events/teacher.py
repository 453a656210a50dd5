"""A teacher behind an OpenAI-compatible endpoint: one question, one answer.

Only the standard library. The key travels in a header to the one address that was asked for:
redirects are refused, because they would carry it elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib import error, request
from urllib.parse import urlsplit

from honewheel.errors import HonewheelError, InputError

MAX_ANSWER = 4 << 20  # bytes read of one response
PATIENCE = 60.0  # longest pause in seconds that a server may ask for
AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})

# What to ask for, by kind of task; another kind is asked for by its name.
WANTED: Mapping[str, str] = {
    "mermaid-erd": "a Mermaid ER diagram (erDiagram)",
    "mermaid-flow": "a Mermaid flowchart",
    "sql": "SQL",
    "gherkin": "a Gherkin feature",
    "python-code": "Python code",
    "json-schema": "JSON",
    "text": "the text",
}
_FENCED = re.compile(r"^(`{3,}|~{3,})[^\n]*\n(.*?)\n?^\1[ \t]*$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a teacher answers. `url` is the API's root ("http://localhost:11434/v1").

    `attempts` counts the first try; between two of them the pause doubles from half a second.
    """

    url: str
    model: str
    key: str | None = None
    timeout_seconds: float = 60.0
    attempts: int = 4
    temperature: float = 0.7

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"{self.url!r} is no address of a teacher; write http://HOST:PORT/v1")
        if parts.username or parts.password:
            raise InputError("The teacher's address holds a password; use an environment variable.")


def messages(kind: str, content: str) -> list[dict[str, str]]:
    """What a teacher is told: the artifact alone is wanted, then the user's own words."""
    wanted = WANTED.get(kind, kind)
    told = f"Answer with {wanted} only: no explanation and no code fence."
    return [{"role": "system", "content": told}, {"role": "user", "content": content}]


def ask(
    endpoint: Endpoint,
    said: list[dict[str, str]],
    *,
    seed: int,
    sleep: Callable[[float], None],
) -> str:
    """The teacher's answer, without a fence around it.

    Raises:
        InputError: the endpoint refuses the request (wrong key, model or address).
        HonewheelError: it did not answer within the attempts, or its answer has no text.
    """
    body = {
        "model": endpoint.model,
        "messages": said,
        "temperature": endpoint.temperature,
        "seed": seed,
    }
    wait = 0.5
    for left in reversed(range(endpoint.attempts)):
        try:
            return unfenced(_content(_post(endpoint, body), endpoint))
        except _Failed as failed:
            if not left or not failed.again:
                _give_up(endpoint, failed)
            sleep(min(max(wait, failed.pause), PATIENCE))
            wait *= 2
    raise InputError(f"{endpoint.attempts} attempts are too few; at least 1.")


def unfenced(answer: str) -> str:
    """The text of the only fenced block, else the whole answer."""
    found = _FENCED.findall(answer)
    return str(found[0][1]) if len(found) == 1 else answer.strip("\n")


class _Failed(Exception):
    """One attempt that brought no answer."""

    def __init__(self, reason: str, *, again: bool, pause: float = 0.0, status: int = 0) -> None:
        super().__init__(reason)
        self.again = again
        self.pause = pause
        self.status = status


class _Stay(request.HTTPRedirectHandler):
    """No redirects."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _post(endpoint: Endpoint, body: Mapping[str, Any]) -> bytes:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if endpoint.key:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    url = endpoint.url.rstrip("/") + "/chat/completions"
    asked = request.Request(url, json.dumps(body).encode(), headers, method="POST")
    try:
        with request.build_opener(_Stay).open(asked, timeout=endpoint.timeout_seconds) as answer:
            found: bytes = answer.read(MAX_ANSWER + 1)
    except error.HTTPError as refused:
        with refused:
            told = refused.read(2_000).decode(errors="replace").strip()
        reason = f"{refused.code} {refused.reason}" + (f": {told[:300]}" if told else "")
        again = refused.code in AGAIN
        pause = _pause(refused.headers.get("Retry-After"))
        raise _Failed(reason, again=again, pause=pause, status=refused.code) from refused
    except (OSError, ValueError) as broken:  # no connection, time out, a header that is no header
        reason = str(getattr(broken, "reason", broken)) or type(broken).__name__
        raise _Failed(reason, again=isinstance(broken, OSError)) from broken
    if len(found) > MAX_ANSWER:
        raise _Failed(f"its answer is larger than {MAX_ANSWER >> 20} MiB", again=False)
    return found


def _pause(value: str | None) -> float:
    return float(value) if value and value.isdigit() else 0.0


def _content(raw: bytes, endpoint: Endpoint) -> str:
    try:
        found = json.loads(raw)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as broken:
        reason = "its answer is no chat completion (choices[0].message.content)"
        raise _Failed(reason, again=False) from broken
    if not isinstance(found, str):
        raise _Failed("its answer holds no text", again=False)
    return found


def _give_up(endpoint: Endpoint, failed: _Failed) -> NoReturn:
    told = f"The teacher at {endpoint.url} (model {endpoint.model})"
    if 300 <= failed.status < 500 and not failed.again:
        raise InputError(f"{told} refused: {failed}. Check address, model and key.") from failed
    tries = f" in {endpoint.attempts} attempts" if failed.again else ""
    raise HonewheelError(
        f"{told} gave no answer{tries}: {failed}. What was made before is kept; run the command "
        "again to go on."
    ) from failed
