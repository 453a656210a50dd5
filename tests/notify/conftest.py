"""A project of the memo family that tells a receiver on this machine what happens."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from receivers import Receiver, receiver

import wheels
from loop.conftest import memo_family

__all__ = ["memo_family"]

TOLD = """
[models.artifacts.trigger]
min_new = 5
hoped_gain = 50

[webhooks.chat]
url = "http://127.0.0.1:1/nobody"
secret_env = "HOOK_SECRET"
private = true
"""
MLFLOW = "mlflow.tracking_uri=sqlite:///mlflow.db"


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of which a cycle is due, and from here on everybody is told."""
    made = tmp_path_factory.mktemp("telling")
    folder = wheels.project(made / "project")
    with (folder / "honewheel.toml").open("a") as file:
        file.write(TOLD)
    with wheels.memo_installed(), wheels.open_wheel(folder, MLFLOW) as opened:
        wheels.fill(opened, made)
        opened.send_notices()
    return folder


@pytest.fixture(scope="session")
def turned(tmp_path_factory: pytest.TempPathFactory, filled: Path) -> Path:
    """That project after a cycle that promoted, of which nobody was told yet."""
    folder = shutil.copytree(filled, tmp_path_factory.mktemp("turned") / "project")
    with wheels.memo_installed(), wheels.open_wheel(folder) as opened:
        assert opened.cycle().verdict == "promote"
    return folder


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    with receiver() as found:
        yield found


@pytest.fixture
def url(there: Receiver) -> str:
    """The flag that sends webhooks to the receiver."""
    return f"webhooks.chat.url={there.url}"


@pytest.fixture
def folder(tmp_path: Path, turned: Path) -> Path:
    return shutil.copytree(turned, tmp_path / "project")


@pytest.fixture
def due(tmp_path: Path, filled: Path, url: str) -> Iterator[Any]:
    """The project of which a cycle is due, open."""
    with wheels.open_wheel(shutil.copytree(filled, tmp_path / "due"), url) as opened:
        yield opened


@pytest.fixture
def wheel(folder: Path, url: str) -> Iterator[Any]:
    """The project after its cycle, open."""
    with wheels.open_wheel(folder, url) as opened:
        yield opened
