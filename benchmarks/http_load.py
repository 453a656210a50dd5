"""A load of HTTP requests on keep-alive connections, and what they cost the server's process."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_TICK = os.sysconf("SC_CLK_TCK")


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
    """CPU time of a process and its threads so far."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


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
