"""A project: begun by `init`, opened by `open`, and the public object with all its verbs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from honewheel import config as settings_file
from honewheel.errors import ConfigError, InputError
from honewheel.wheel.base import now
from honewheel.wheel.compared import Compared
from honewheel.wheel.embedded import Embedded
from honewheel.wheel.learnt import Learnt
from honewheel.wheel.shown import Shown
from honewheel.wheel.tested import Tested
from honewheel.wheel.told import Informed
from honewheel.wheel.turned import Turned

STARTER = """\
# Every setting, its value and where it comes from: honewheel config
[project]
name = {name}

[models.artifacts]                 # a registered model: one base, one line of versions
family = "causal-lm"
base   = "honewheel/tiny"          # or a local folder, or a Hugging Face name in your cache
tasks  = ["erd", "ddl", "gherkin"]

[tasks.erd]
kind = "mermaid-erd"               # what an artifact is: check, facts, metric

[tasks.ddl]
kind = "sql"

[tasks.gherkin]
kind = "gherkin"
"""


def init(folder: str | Path = ".") -> Path:
    """Write a starter honewheel.toml into `folder`; returns its path. Keeps an existing one.

    Raises ConfigError when there is one already.
    """
    path = Path(folder).resolve() / settings_file.FILE
    if path.exists():
        raise ConfigError(f"{path} exists already; nothing was changed.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STARTER.format(name=json.dumps(path.parent.name or "project")), "utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from error
    return path


def open(
    path: str | Path | None = None,
    *,
    set: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    clock: Callable[[], datetime] = now,
) -> Wheel:
    """The project at `path` (a folder or its honewheel.toml), else the nearest one upwards.

    `set` holds `key=value` settings that win over file and environment. Raises ConfigError.
    """
    start = Path.cwd() if path is None else Path(path).resolve()
    if not start.exists():
        raise ConfigError(f"There is no {start}.")
    file = start if start.is_file() else settings_file.find(start)
    return Wheel(settings_file.load(file, environment=environment, flags=set), clock=clock)


class Wheel(Compared, Learnt, Turned, Embedded, Shown, Tested, Informed):
    """One open project with its verbs. Use as a context manager, or call `close()`."""
