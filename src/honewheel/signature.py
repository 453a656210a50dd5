"""The signature of a webhook: what honewheel signs with, and what a receiver checks with.

    honewheel-signature: t=1772442000,v1=<hex>

`v1` is HMAC-SHA256 of "TIMESTAMP.BODY" under the shared secret; the timestamp (seconds since 1970)
is signed too, so that an old request cannot be sent again. Standard library only: a receiver may
import this.
"""

from __future__ import annotations

import hashlib
import hmac

HEADER = "honewheel-signature"
TOLERANCE = 300.0  # seconds that the clocks of both sides may differ


def sign(secret: str, body: bytes, at: float) -> str:
    """The header's value for a body sent at `at` (seconds since 1970)."""
    stamp = str(int(at))
    return f"t={stamp},v1={_mac(secret, stamp, body)}"


def verify(
    secret: str, header: str, body: bytes, now: float, *, tolerance: float = TOLERANCE
) -> bool:
    """Whether a request is from whoever holds the secret, and not older than `tolerance` seconds.

    >>> verify("s", sign("s", b"{}", 100.0), b"{}", 160.0)
    True
    >>> verify("s", sign("s", b"{}", 100.0), b"{}", 1000.0)
    False
    """
    parts = dict(part.partition("=")[::2] for part in header.split(","))
    stamp = parts.get("t", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16):
        return False
    if abs(now - int(stamp)) > tolerance:
        return False
    return hmac.compare_digest(_mac(secret, stamp, body).encode(), parts.get("v1", "").encode())


def _mac(secret: str, stamp: str, body: bytes) -> str:
    return hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
