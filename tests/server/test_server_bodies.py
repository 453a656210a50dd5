"""Bodies of requests have a bound in bytes and one in seconds, each its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive

from honewheel.server.answers import Refused
from honewheel.server.bodies import Bodies


def sent(*parts: bytes, ends: bool = True) -> Receive:
    """A `receive` that gives the parts; then nothing ever, unless the last one `ends` it."""
    waiting = [*parts]

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting) or not ends}

    return receive


def test_a_body_is_read_whole_and_never_above_its_limit() -> None:
    async def main() -> None:
        bodies = Bodies(60)
        assert await bodies.read(sent(b"ab", b"cd", b"e"), 5) == b"abcde"
        with pytest.raises(Refused) as caught:
            await bodies.read(sent(b"ab", b"cd", b"e"), 4)
        assert caught.value.status == 413

    asyncio.run(main())


def test_what_does_not_arrive_in_time_is_ended_and_the_next_one_too() -> None:
    async def late(bodies: Bodies, *parts: bytes) -> int:
        with pytest.raises(Refused, match=r"did not arrive within 0\.02 s") as caught:
            await bodies.read(sent(*parts, ends=False), 9)
        task: Any = asyncio.current_task()
        assert task.cancelling() == 0  # the request goes on, to answer
        return caught.value.status

    async def main() -> None:
        bodies = Bodies(0.02)
        assert await bodies.read(sent(b"whole"), 9) == b"whole"
        found = await asyncio.gather(late(bodies), late(bodies, b"ab"), late(bodies, b"ab", b"c"))
        assert found == [408, 408, 408]
        assert bodies._timer is None  # nobody reads: it rests, and is set again
        assert await late(bodies) == 408

    asyncio.run(main())


def test_a_request_that_is_cancelled_is_not_taken_for_a_late_one() -> None:
    async def main() -> None:
        reading = asyncio.create_task(Bodies(60).read(sent(), 9))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(main())
