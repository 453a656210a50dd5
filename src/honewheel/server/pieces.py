"""Answers in pieces: up to a stop text, and out of a thread into the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def until(pieces: Iterator[str], stops: tuple[str, ...]) -> Generator[str, None, None]:
    """Pieces up to the first of the stop texts, which may be cut over several pieces."""
    held = ""
    keep = max(map(len, stops), default=1) - 1
    for piece in pieces:
        held += piece
        places = [place for stop in stops if (place := held.find(stop)) >= 0]
        if places:
            if held[: min(places)]:
                yield held[: min(places)]
            return
        sure = len(held) - keep
        if sure > 0:
            yield held[:sure]
            held = held[sure:]
    if held:
        yield held


async def in_thread(
    pieces: Generator[str, None, None], threads: ThreadPoolExecutor
) -> AsyncIterator[str]:
    """Items of a blocking iterator, made in a thread; it stops soon after nobody reads on."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[Any] = asyncio.Queue()
    gone = threading.Event()
    end = object()

    def work() -> None:
        last: Any = end
        try:
            for piece in pieces:
                if gone.is_set():
                    break
                loop.call_soon_threadsafe(arrived.put_nowait, piece)
        except Exception as error:  # raised again where it is awaited
            last = error
        pieces.close()  # gives the model back
        loop.call_soon_threadsafe(arrived.put_nowait, last)

    task = loop.run_in_executor(threads, work)
    try:
        while (found := await arrived.get()) is not end:
            if isinstance(found, Exception):
                raise found
            yield found
        await task
    finally:
        gone.set()
