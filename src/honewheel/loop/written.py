"""Settings written back into honewheel.toml; its comments and layout stay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from honewheel import atomic
from honewheel.config import FILE
from honewheel.errors import ConfigError
from honewheel.records import Json


def write(root: Path, changes: Mapping[str, Json], comment: str = "") -> list[str]:
    """Set each dotted key of `changes` in the project's file; returns the lines as written.

    `comment` is put behind each value. Nothing is written when there is nothing to change.
    Raises ConfigError when the file cannot be written.
    """
    import tomlkit

    path = root / FILE
    if not changes:
        return []
    try:
        document: Any = tomlkit.parse(path.read_text(encoding="utf-8"))
        for key, value in changes.items():
            *sections, last = key.split(".")
            section = document
            for name in sections:
                section = section.setdefault(name, tomlkit.table())
            section[last] = tomlkit.item(value)
            if comment:
                section[last].comment(comment)
        atomic.write_file(path, tomlkit.dumps(document).encode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be changed: {error.strerror}.") from error
    return [f"{key} = {value}" for key, value in changes.items()]
