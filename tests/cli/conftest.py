"""A project for commands, with the memo family in this process and in the training child."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.cli.app import call
from loop.conftest import memo_family

__all__ = ["memo_family"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return wheels.project(tmp_path / "acme")


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run one command line in the project; returns (exit code, stdout, stderr)."""

    def command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = call(["--project", str(folder), *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return command
