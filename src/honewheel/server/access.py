"""Who may call: host, origin, key, role, rate. What is not allowed here does not go further.

Without any key the server answers whoever reaches its loopback address. Once there is a key, or
the address is another one, every route asks for one; a revoked key keeps it that way.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from honewheel.errors import ConfigError
from honewheel.records import ApiKey, KeyRole
from honewheel.server import keys
from honewheel.server.answers import Refused

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
_BURST = 2.0  # seconds of its rate that a key may spend at once, and at least one request


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the name of a key, or "local" where none is needed."""

    name: str
    role: KeyRole
    rate: float | None = None


LOCAL = Caller("local", "admin")


class Access:
    """The keys as they were last read, and what each has spent of its rate."""

    def __init__(
        self, host: str, hosts: Sequence[str], rate: float | None, clock: Callable[[], float]
    ) -> None:
        self.loopback = is_loopback(host)
        named = () if host in ("0.0.0.0", "::", "") else (host,)
        self._hosts = frozenset(name.lower() for name in (*LOCAL_NAMES, *named, *hosts))
        self._rate = rate
        self._clock = clock
        self._known: Mapping[str, ApiKey] = {}
        self._seen: dict[str, ApiKey] = {}  # whole keys that were checked, while they hold
        self._spent: dict[str, tuple[float, float]] = {}

    def learn(self, found: Sequence[ApiKey]) -> None:
        """Take over the keys that the store has now."""
        self._known = {key.id: key for key in found}
        self._seen = {}

    @property
    def closed(self) -> bool:
        """Whether every route asks for a key."""
        return bool(self._known) or not self.loopback

    def require_bindable(self) -> None:
        """Raise ConfigError for an address beyond this machine without a key to open it."""
        if not self.loopback and not any(not key.revoked_at for key in self._known.values()):
            raise ConfigError(
                "server.host is not a loopback address, and there is no API key: anybody who "
                "reaches it could read and train your models. Make one first: "
                "honewheel keys create NAME --role admin"
            )

    def enter(self, headers: Mapping[bytes, bytes]) -> Caller:
        """Who calls, from the headers of a request. Raises Refused: 421, 403, 401."""
        host = _name(headers.get(b"host", b""))
        if host not in self._hosts:
            raise Refused(
                421,
                f"This server does not answer for the host {host[:80]!r}. If it should, add it to "
                "server.hosts in honewheel.toml.",
                "wrong_host",
            )
        if (origin := headers.get(b"origin")) is not None and not self._ours(origin):
            raise Refused(403, "Requests from pages of other sites are refused.", "wrong_origin")
        if not self.closed:
            return LOCAL
        return self._caller(headers.get(b"authorization", b""))

    def _ours(self, origin: bytes) -> bool:
        try:
            found = urlsplit(origin.decode("latin-1"))
        except ValueError:
            return False
        return found.scheme in ("http", "https") and _name(found.netloc.encode()) in self._hosts

    def _caller(self, authorization: bytes) -> Caller:
        scheme, _, text = authorization.decode("latin-1").partition(" ")
        key = self._seen.get(text) if scheme.lower() == "bearer" else None
        if key is None and scheme.lower() == "bearer":
            key = keys.check(text.strip(), self._known)
            if key is not None:
                self._seen[text] = key
        if key is None:
            raise Refused(
                401,
                "A valid API key is needed: Authorization: Bearer hw_...",
                "invalid_api_key",
                {"www-authenticate": "Bearer"},
            )
        return Caller(key.name, key.role, key.rate)

    def require(self, caller: Caller, role: KeyRole) -> None:
        """Raise Refused 403 when the caller may not do what `role` may."""
        if not keys.may(caller.role, role):
            raise Refused(
                403, f"The key {caller.name} is a {caller.role}'s; this needs {role}.", "forbidden"
            )

    def spend(self, caller: Caller, amount: float = 1.0) -> None:
        """Charge a caller's rate, a bucket of _BURST seconds. Raises Refused 429."""
        rate = caller.rate or self._rate
        if rate is None:
            return
        now, room = self._clock(), max(1.0, _BURST * rate)
        level, at = self._spent.get(caller.name, (room, now))
        level = min(room, level + (now - at) * rate)
        if level < min(amount, room):
            wait = max(1, round((min(amount, room) - level) / rate + 0.5))
            raise Refused(
                429,
                f"{caller.name} may make {rate:g} requests (rows) a second. Try again in {wait} s.",
                "rate_limit",
                {"retry-after": str(wait)},
            )
        # A batch that is larger than the bucket goes through when it is full, and is paid off.
        self._spent[caller.name] = (level - amount, now)


def monotonic() -> float:
    return time.monotonic()


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _name(host: bytes) -> str:
    """The host of `name:port`, in lower case; IPv6 addresses keep their brackets."""
    text = host.decode("latin-1").lower().strip()
    if text.startswith("["):
        return text.partition("]")[0] + "]" if text.partition("]")[2][:1] in ("", ":") else text
    name, _, port = text.partition(":")
    return name if not port or port.isdigit() else text
