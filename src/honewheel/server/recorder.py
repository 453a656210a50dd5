"""What the gateway answered, into the log: the id of the answer is the key for feedback on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from honewheel.errors import HonewheelError, InputError
from honewheel.events.accept import accept
from honewheel.records import Json
from honewheel.server.answers import Refused
from honewheel.server.chat import Asked
from honewheel.server.metrics import Metrics
from honewheel.server.writer import Writer
from honewheel.store.arrivals import Arrival
from honewheel.wheel import Wheel


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer as it is recorded; `asked` and `task` None, or `why`, mean that it cannot be."""

    id: str
    actor: str
    action: str
    task: str | None
    asked: Asked | None
    version: str | None
    decoding: Mapping[str, Json]
    why: str = ""


class Recorder:
    """Records answers; one that cannot be recorded is told so, and given all the same."""

    def __init__(self, wheel: Wheel, writer: Writer, metrics: Metrics) -> None:
        self._wheel = wheel
        self._writer = writer
        self._metrics = metrics

    async def record(self, answer: Answer, output: str) -> str:
        """Why the answer is not in the log; "" when it is."""
        why = answer.why or await self._recorded(answer, output)
        if why:
            self._metrics.unrecorded.inc()
        return why

    async def _recorded(self, answer: Answer, output: str) -> str:
        if answer.task is None or answer.asked is None:
            return "no task"
        row: dict[str, Any] = {
            "id": answer.id,
            "task": answer.task,
            "prompt": answer.asked.prompt,
            "context": dict(answer.asked.context),
            "output": output,
            "decoding": dict(answer.decoding),
        }
        if answer.version is not None:
            row["version"] = answer.version
        try:
            found = accept(self._wheel.config, row, self._wheel.clock())
            arrival = Arrival(found.response, (), answer.actor, answer.action)
            outcome = (await self._writer.put([arrival]))[0]
        except (HonewheelError, Refused) as error:
            return str(error)
        return str(outcome) if isinstance(outcome, InputError) else ""
