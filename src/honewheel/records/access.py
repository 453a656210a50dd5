"""Access over HTTP: who may do what, and who did what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from honewheel.records.plain import Json

# Each may do what those before it may.
KeyRole: TypeAlias = Literal["writer", "reviewer", "operator", "admin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """Who may call the server, and as what. Of the secret only its sha256 is known.

    `rate` is how many requests (rows, for feedback) a second it may make; None: the server's own.
    """

    id: str
    name: str
    role: KeyRole
    hash: str
    created_at: datetime
    rate: float | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One line of the audit log: who (the name of a key, "local" or "cli:USER") did what."""

    at: datetime
    actor: str
    action: str  # "POST /v1/models/{name}/promote", "keys create"
    outcome: str  # the status of the answer, or "done"
    detail: Mapping[str, Json] = field(default_factory=dict)
