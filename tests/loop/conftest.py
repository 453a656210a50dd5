"""The memo family as an installed plug-in, here and in the training child."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from honewheel import plugins

PLUGIN = Path(__file__).parents[1] / "plugin"


@pytest.fixture(autouse=True)
def memo_family(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(PLUGIN))
    inherited = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(PLUGIN), inherited])))
    plugins._load.cache_clear()
    yield
    plugins._load.cache_clear()
