"""Tiny bases, made once a session."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from causal_builders import make_base


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of the tiny base of an architecture."""

    @cache
    def made(architecture: str) -> Path:
        return make_base(tmp_path_factory.mktemp(architecture), architecture)

    return made


@pytest.fixture(scope="session")
def llama(bases: Callable[[str], Path]) -> Path:
    return bases("llama")
