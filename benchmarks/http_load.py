"""A load of HTTP requests on keep-alive connections, and what they cost the server's process."""

from __future__ import annotations

import asyncio
import ctypes
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

_LIBC = ctypes.CDLL(None)


@dataclass
class Load:
    """What was measured: seconds of each request, CPU seconds of the server, failures."""

    seconds: list[float] = field(default_factory=list)
    wall: float = 0.0
    cpu: float = 0.0
    failed: int = 0

    def percentile(self, share: float) -> float:
        """Milliseconds within which a share of the requests was answered."""
        ordered = sorted(self.seconds)
        return 1e3 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def request(port: int, path: str, body: bytes, key: str = "") -> bytes:
    """The bytes of one POST with a JSON body."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n"
    )
    auth = f"authorization: Bearer {key}\r\n" if key else ""
    return f"{head}{auth}\r\n".encode() + body


def cpu_seconds(pid: int) -> float:
    """CPU time so far of a process with its threads, ended ones too, and of those below it.

    By each process's own clock, which counts nanoseconds: /proc/PID/stat counts ticks of 10 ms.
    """
    return sum(_process_seconds(one) for one in _family(pid))


def _process_seconds(pid: int) -> float:
    clock = ctypes.c_int()
    if _LIBC.clock_getcpuclockid(pid, ctypes.byref(clock)):
        return 0.0  # it has ended meanwhile
    return time.clock_gettime_ns(clock.value) / 1e9


def _family(pid: int) -> Iterator[int]:
    yield pid
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = listed.read_text().split()
        except (FileNotFoundError, ProcessLookupError):  # that thread has ended meanwhile
            continue
        for child in children:
            yield from _family(int(child))


def first_bytes(port: int, pid: int, make: Callable[[int], bytes], requests: int) -> Load:
    """Streamed answers on one connection, one after the other; the seconds are those until the
    first bytes of each body.
    """
    load = Load()

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(requests):
            started = time.perf_counter()
            writer.write(make(number))
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(await reader.readline(), 16)
            load.seconds.append(time.perf_counter() - started)
            load.failed += b" 200 " not in head.split(b"\r\n")[0]
            while size:
                await reader.readexactly(size + 2)
                size = int(await reader.readline(), 16)
            await reader.readexactly(2)
        writer.close()

    before, started = cpu_seconds(pid), time.perf_counter()
    asyncio.run(ask())
    load.wall, load.cpu = time.perf_counter() - started, cpu_seconds(pid) - before
    return load


def run(
    port: int, pid: int, make: Callable[[int], bytes], *, connections: int, requests: int
) -> Load:
    """Send `requests` requests over `connections` connections, each waiting for its answer."""
    load = Load()

    async def worker(numbers: asyncio.Queue[int]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not numbers.empty():
            sent = make(numbers.get_nowait())
            started = time.perf_counter()
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            load.seconds.append(time.perf_counter() - started)
            load.failed += head[9:10] != b"2"
        writer.close()

    async def main() -> None:
        numbers: asyncio.Queue[int] = asyncio.Queue()
        for number in range(requests):
            numbers.put_nowait(number)
        cpu, wall = cpu_seconds(pid), time.perf_counter()
        await asyncio.gather(*(worker(numbers) for _ in range(connections)))
        load.wall = time.perf_counter() - wall
        load.cpu = cpu_seconds(pid) - cpu

    asyncio.run(main())
    return load
