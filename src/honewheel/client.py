"""A client for applications: standard library only, and nothing is lost when the server is away.

    client = honewheel.Client("http://127.0.0.1:8420", key="hw_...", spool="feedback.spool")
    client.feedback(task="erd", prompt=..., output=..., thumb=1, source="ana")
    client.feedback(response_id="chatcmpl-...", correction="erDiagram ...")

With a `spool` a row is on the application's own disk (fsync) before anything is sent, and leaves it
when the server has acknowledged it. So it survives the death of the application and of the server,
and is sent at the next call, or by `flush`. Rows are sent under ids given here, so that sending one
twice is sending it once.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from honewheel.errors import ConfigError, HonewheelError, InputError, NotFound, Unreachable
from honewheel.ids import ulid
from honewheel.spool import Spool, fitting

ROW_BYTES = 1 << 20  # what the server takes as one row
Row = dict[str, Any]
_LATER = (408, 429, 500, 502, 503, 504, 507)  # the same request may succeed another time
_FOR_ITS_ROWS = (413, 422)  # refused for what it holds: fewer rows may be taken


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one row: `seq` is its place in the log.

    None: it waits in the spool, `why` tells for what, or another process that shares the spool has
    sent it.
    """

    id: str
    seq: int | None
    known: bool = False
    why: str = ""

    @property
    def spooled(self) -> bool:
        return self.seq is None


@dataclass(frozen=True, slots=True)
class Flushed:
    """What a flush did. `refused` are (row, reason): they left the spool and are in `.refused`.

    `why` is why rows are still `waiting`: no server, or one that has no such route.
    """

    sent: int
    refused: tuple[tuple[dict[str, Any], str], ...]
    waiting: int
    why: str = ""


class Client:
    """Feedback to one server. Threads may share one."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8420",
        *,
        key: str | None = None,
        spool: str | Path | None = None,
        timeout: float = 10.0,
    ) -> None:
        """`key` is HONEWHEEL_API_KEY by default; `timeout` in seconds, a request.

        Raises ConfigError for what is no http(s) URL.
        """
        if urlsplit(url).scheme not in ("http", "https"):
            raise ConfigError(f"{url!r} is no URL of a server; write http://HOST:PORT.")
        self._url = url.rstrip("/")
        self._key = key if key is not None else os.environ.get("HONEWHEEL_API_KEY")
        self._timeout = timeout
        self._spool = Spool(Path(spool)) if spool is not None else None
        self._expected: dict[str, Sent | str | None] = {}

    def feedback(self, **row: Any) -> Sent:
        """Send one row; its keys are those of docs/reference/feedback.md.

        With a spool this never fails for want of a server, or because another one answers at its
        address (a proxy's 404): the row waits, `why` tells so, and it is sent later.

        Raises:
            InputError: the server refuses the row, with its reason.
            Unreachable: there is no spool, and the server cannot be reached.
            ConfigError: the key is not good enough; in a spool the row waits all the same.
        """
        ready = _ready(row)
        name = str(ready.get("id") or ready.get("response_id") or ready.get("response"))
        if self._spool is None:
            return _sent(self._call("POST", "/v1/feedback", ready))
        key = _key(ready)
        self._expected[key] = None  # another thread's call may be the one that sends it
        try:
            self._spool.append([ready])
            why = self._drain().why
        finally:
            outcome = self._expected.pop(key, None)
        if isinstance(outcome, str):
            raise InputError(outcome)
        return outcome or Sent(name, None, why=why)

    def feedback_many(self, rows: Sequence[dict[str, Any]]) -> Flushed:
        """Send many rows in batches; those refused come back with their reasons.

        Raises Unreachable without a spool; then some of the rows may have been stored, and
        sending the same rows again stores none twice, if they bring ids.
        """
        ready = [_ready(row) for row in rows]
        if self._spool is None:
            done = _Drained(self._batches(ready))
            return Flushed(done.sent, done.refused, 0)
        self._spool.append(ready)
        return self.flush()

    def flush(self) -> Flushed:
        """Send what waits in the spool, as far as the server is there; what is left waits on."""
        if self._spool is None:
            return Flushed(0, (), 0)
        found = self._drain()
        return Flushed(found.sent, found.refused, self._spool.waiting(), found.why)

    def event(self, name: str) -> dict[str, Any]:
        """A response with its feedback. Raises NotFound, Unreachable."""
        found: dict[str, Any] = self._call("GET", f"/v1/feedback/{quote(name, safe='')}")
        return found

    def status(self) -> dict[str, Any]:
        """What the server holds. Raises Unreachable."""
        found: dict[str, Any] = self._call("GET", "/v1/status")
        return found

    def versions(self, model: str) -> list[dict[str, Any]]:
        """Versions of a model with their verdicts. Raises NotFound, Unreachable."""
        found = self._call("GET", f"/v1/models/{quote(model, safe='')}/versions")
        return list(found["versions"])

    def watch(self, model: str) -> list[dict[str, Any]]:
        """Versions on trial and former ones, the newest first. Raises NotFound, Unreachable."""
        found = self._call("GET", f"/v1/models/{quote(model, safe='')}/watch")
        return list(found["trials"])

    def cycle(
        self, model: str | None = None, timeout: float = 600.0, schedule: str | None = None
    ) -> str:
        """Start a cycle, by a schedule of the model if one is named; its id, once a worker has it.

        Raises InputError (nothing new, or it could not start), Unreachable after `timeout` s.
        """
        asked = {"model": model, "schedule": schedule}
        body = {name: value for name, value in asked.items() if value is not None}
        found = self._call("POST", "/v1/cycles", body)
        deadline = time.monotonic() + timeout
        job = f"/v1/jobs/{found['job']}"
        cycle = found["id"]
        while cycle is None and time.monotonic() < deadline:
            time.sleep(0.2)
            found = self._call("GET", job)
            cycle = found["cycle"]
            if cycle is None and found["ended_at"] is not None:
                result = found["result"] or {}
                raise InputError(str(result.get("error") or result.get("why") or found["state"]))
        if cycle is None:
            raise Unreachable(f"No worker has taken the cycle within {timeout:g} s.")
        return str(cycle)

    def wait(self, cycle: str, timeout: float = 3600.0) -> dict[str, Any]:
        """A cycle and its decision, once it has ended. Raises Unreachable after `timeout` s."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            found: dict[str, Any] = self._call("GET", f"/v1/cycles/{quote(cycle, safe='')}")
            if found["state"] != "running":
                return found
            time.sleep(0.2)
        raise Unreachable(f"Cycle {cycle} has not ended within {timeout:g} s.")

    def rollback(self, model: str, reason: str) -> dict[str, Any]:
        """Make the champion before this one champion again. Raises InputError, NotFound."""
        path = f"/v1/models/{quote(model, safe='')}/rollback"
        found: dict[str, Any] = self._call("POST", path, {"reason": reason})
        return found

    # --- sending --------------------------------------------------------------------------------

    def _drain(self) -> _Drained:
        """Send the spool batch by batch; each leaves it once it is acknowledged."""
        assert self._spool is not None
        found = _Drained(())
        with self._spool.alone():
            while rows := self._spool.first():
                try:
                    told = _Drained(self._batches(rows))
                except (Unreachable, NotFound, InputError) as error:
                    found.why = str(error)
                    break  # they wait on
                self._spool.drop(len(rows), [row for row, _ in told.refused])
                found.merge(told)
                self._tell(told)
        return found

    def _tell(self, found: _Drained) -> None:
        """Let the calls that wait for one of these rows know what became of it."""
        told: dict[str, Sent | str] = {**found.outcomes}
        told |= {_key(row): reason for row, reason in found.refused}
        for key in told.keys() & self._expected.keys():
            self._expected[key] = told[key]

    def _batches(
        self, rows: Sequence[dict[str, Any]]
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        rest = list(rows)
        while some := fitting(rest):
            rest = rest[len(some) :]
            yield from self._outcomes(some)

    def _outcomes(
        self, rows: Sequence[dict[str, Any]]
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Each row with what the server told of it; when a request is refused as a whole, the row
        that is to blame is found by halving, so that it never holds up its neighbours.
        """
        try:
            told = self._call("POST", "/v1/feedback", rows, accept=(202, 422))
        except _RefusedWhole as error:
            if len(rows) == 1:
                yield rows[0], {"error": str(error)}
                return
            middle = len(rows) // 2
            yield from self._outcomes(rows[:middle])
            yield from self._outcomes(rows[middle:])
            return
        yield from zip(rows, told["rows"], strict=True)

    def _call(
        self, method: str, path: str, data: Any = None, accept: tuple[int, ...] = (200, 202)
    ) -> Any:
        body = None if data is None else json.dumps(data).encode()
        headers = {"content-type": "application/json"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self._url + path, body, headers, method=method)
        try:
            with _opener.open(request, timeout=self._timeout) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            told = _told(error)
            if error.code in accept and "rows" in told:
                return told
            raise _meaning(error.code, told) from error
        except (OSError, ValueError) as error:
            raise Unreachable(f"{self._url} does not answer: {error}.") from error


class AsyncClient:
    """The same verbs for asyncio; each call runs in a thread of its own."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8420",
        *,
        key: str | None = None,
        spool: str | Path | None = None,
        timeout: float = 10.0,
    ) -> None:
        self._client = Client(url, key=key, spool=spool, timeout=timeout)

    async def feedback(self, **row: Any) -> Sent:
        return await asyncio.to_thread(lambda: self._client.feedback(**row))

    async def feedback_many(self, rows: Sequence[dict[str, Any]]) -> Flushed:
        return await asyncio.to_thread(self._client.feedback_many, rows)

    async def flush(self) -> Flushed:
        return await asyncio.to_thread(self._client.flush)

    async def event(self, name: str) -> dict[str, Any]:
        return await asyncio.to_thread(self._client.event, name)

    async def status(self) -> dict[str, Any]:
        return await asyncio.to_thread(self._client.status)

    async def versions(self, model: str) -> list[dict[str, Any]]:
        return await asyncio.to_thread(self._client.versions, model)

    async def watch(self, model: str) -> list[dict[str, Any]]:
        return await asyncio.to_thread(self._client.watch, model)

    async def cycle(self, model: str | None = None, schedule: str | None = None) -> str:
        return await asyncio.to_thread(lambda: self._client.cycle(model, schedule=schedule))

    async def wait(self, cycle: str, timeout: float = 3600.0) -> dict[str, Any]:
        return await asyncio.to_thread(self._client.wait, cycle, timeout)

    async def rollback(self, model: str, reason: str) -> dict[str, Any]:
        return await asyncio.to_thread(self._client.rollback, model, reason)


class _Drained:
    """Outcomes of rows that were sent, from (row, what the server told of it)."""

    def __init__(self, found: Iterable[tuple[dict[str, Any], dict[str, Any]]]) -> None:
        self.outcomes: dict[str, Sent] = {}
        self.refused: tuple[tuple[dict[str, Any], str], ...] = ()
        self.sent = 0
        self.why = ""  # why rows wait on
        for row, told in found:
            if "error" in told:
                self.refused += ((row, told["error"]),)
            else:
                self.sent += 1
                self.outcomes[_key(row)] = _sent(told)

    def merge(self, other: _Drained) -> None:
        self.outcomes |= other.outcomes
        self.refused += other.refused
        self.sent += other.sent


class _RefusedWhole(InputError):
    """A request that is refused for its rows, without a word on each of them."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to somebody else."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))


def _ready(row: dict[str, Any]) -> dict[str, Any]:
    """The row with an id and a time of its own, so that it is the same row whenever it is sent.

    Raises InputError for what no server would take, before it can block a spool.
    """
    found = {key: value for key, value in row.items() if value is not None}
    if not {"id", "response", "response_id"} & found.keys():
        found["id"] = f"evt_{ulid()}"
    found.setdefault("created_at", datetime.now(UTC).isoformat())
    if isinstance(found["created_at"], datetime):
        found["created_at"] = found["created_at"].isoformat()
    try:
        size = len(json.dumps(found, allow_nan=False))
        json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (TypeError, ValueError) as error:
        raise InputError(f"the row is no JSON: {error}") from error
    if size > ROW_BYTES:
        raise InputError(f"the row is larger than {ROW_BYTES:,} bytes")
    return found


def _key(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True)


def _sent(told: dict[str, Any]) -> Sent:
    return Sent(str(told["id"]), int(told["seq"]), bool(told.get("known", False)))


def _told(error: urllib.error.HTTPError) -> dict[str, Any]:
    try:
        found = json.loads(error.read())
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _meaning(status: int, told: dict[str, Any]) -> HonewheelError:
    message = str(told.get("error", {}).get("message") or f"HTTP status {status}")
    if status in _LATER:
        return Unreachable(message)
    if status == 404:
        return NotFound(message)
    if status in (401, 403, 421):
        return ConfigError(message)
    return _RefusedWhole(message) if status in _FOR_ITS_ROWS else InputError(message)
