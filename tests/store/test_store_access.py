"""Keys and the audit log."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from honewheel.errors import InputError, NotFound
from honewheel.records import ApiKey, Deed
from honewheel.store import Store

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def key(name: str, rate: float | None = None) -> ApiKey:
    return ApiKey(id=f"id-{name}", name=name, role="writer", hash="0", created_at=NOW, rate=rate)


def test_a_key_is_kept_when_it_is_revoked_and_its_name_is_not_used_again(store: Store) -> None:
    store.keys.create(key("a", 2.5))
    store.keys.create(key("b"))
    assert store.keys.list() == [key("a", 2.5), key("b")]
    assert store.keys.revoke("a", NOW).revoked_at == NOW
    assert store.keys.revoke("id-b", NOW).name == "b"
    assert [one.revoked_at for one in store.keys.list()] == [NOW, NOW]
    with pytest.raises(InputError, match="was revoked at"):
        store.keys.revoke("a", NOW)
    with pytest.raises(NotFound, match="Keys: a, b"):
        store.keys.revoke("c", NOW)
    with pytest.raises(InputError, match="already"):
        store.keys.create(key("a"))


def test_deeds_are_listed_newest_first(store: Store) -> None:
    deeds = [
        Deed(at=NOW, actor=actor, action="x", outcome="200", detail={"n": n})
        for n, actor in enumerate(["a", "b", "a"])
    ]
    for deed in deeds:
        store.audit.add(deed)
    assert store.audit.list(2) == deeds[:0:-1]
    assert store.audit.list(9, "a") == [deeds[2], deeds[0]]
