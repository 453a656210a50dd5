"""The memo family as an installed plug-in, here and in the training child."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import wheels


@pytest.fixture(autouse=True)
def memo_family() -> Iterator[None]:
    with wheels.memo_installed():
        yield
