"""API keys: `hw_ID_SECRET`, of which the store keeps the id and the sha256 of the whole.

The secret is 256 random bits, so a plain hash is enough: there is nothing to guess. It is shown
once, when the key is made.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Mapping
from datetime import datetime
from typing import get_args

from honewheel.errors import InputError
from honewheel.records import ApiKey, KeyRole

ROLES: tuple[KeyRole, ...] = get_args(KeyRole)  # each may do what those before it may
_ALPHABET = string.ascii_lowercase + string.digits
_KEY = re.compile(r"hw_([a-z0-9]{8})_[A-Za-z0-9_-]{43}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def new(name: str, role: str, *, rate: float | None, now: datetime) -> tuple[ApiKey, str]:
    """A key and its full text, which is not kept. Raises InputError."""
    if role not in ROLES:
        raise InputError(f"{role!r} is no role; roles are {', '.join(ROLES)}.")
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name[:40]!r} is no name for a key: letters, digits and . _ - only, at most 63."
        )
    if rate is not None and not 0 < rate < float("inf"):
        raise InputError(f"A rate of {rate:g} requests a second lets nothing through.")
    identity = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    text = f"hw_{identity}_{secrets.token_urlsafe(32)}"
    found = ApiKey(id=identity, name=name, role=role, hash=_hash(text), created_at=now, rate=rate)
    return found, text


def check(text: str, known: Mapping[str, ApiKey]) -> ApiKey | None:
    """The key that `text` is, by id, if it stands in `known` and is not revoked."""
    match = _KEY.fullmatch(text)
    found = known.get(match[1]) if match else None
    if found is None or found.revoked_at is not None:
        return None
    return found if hmac.compare_digest(_hash(text), found.hash) else None


def may(role: KeyRole, wanted: KeyRole) -> bool:
    """Whether a key of `role` may do what `wanted` may."""
    return ROLES.index(role) >= ROLES.index(wanted)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
