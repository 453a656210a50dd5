"""The form of a route: what it is called, who may call it, and what it takes and gives.

One table (`app.routes`) is the routing, the permissions and the OpenAPI document: a route that is
not in it does not exist, and one without a role cannot be written down.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from honewheel.records import KeyRole

Handler = Callable[[Request], Awaitable[Response]]
SMALL = 64 << 10  # bytes of a body that is not feedback or a prompt
LARGE = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One route. `role` "anyone" needs no key, ever. `audited` calls leave a line of their own."""

    method: Literal["GET", "POST"]
    path: str
    role: KeyRole | Literal["anyone"]
    handler: Handler
    summary: str
    body: type[BaseModel] | None = None
    limit: int = SMALL
    audited: bool = False
    gives: str = "application/json"
    answers: Mapping[int, str] = field(default_factory=dict)

    @property
    def pattern(self) -> re.Pattern[str]:
        """The path with each `{name}` as one segment."""
        return re.compile(re.sub(r"\{[a-z]+\}", "[^/]+", self.path))


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PromoteBody(_Body):
    """Which version, and for what reason if the gate did not promote it."""

    version: int = Field(ge=0)
    force: str | None = Field(default=None, min_length=1, max_length=2_000)


class RollbackBody(_Body):
    """Why; it is recorded."""

    reason: str = Field(default="asked for", min_length=1, max_length=2_000)


class CycleBody(_Body):
    """Which registered model, the only one by default; by which of its schedules, if any."""

    model: str | None = None
    schedule: Literal["light", "deep"] | None = None


class NeighboursBody(_Body):
    """The text to look for, and how many neighbours to give."""

    text: str = Field(min_length=1, max_length=50_000)
    most: int = Field(default=10, ge=1, le=1_000)


class CancelBody(_Body):
    """Why; it is recorded."""

    reason: str = Field(default="asked for", min_length=1, max_length=2_000)
