"""Whether this machine can train a model at all, asked before anything is begun or queued."""

from __future__ import annotations

from honewheel import plugins
from honewheel.config import Config
from honewheel.protocols import NeedsPackages


def require(config: Config, model: str) -> None:
    """Raise MissingExtra, with the line that installs it, if a model's family lacks a package."""
    family = plugins.family(config.model(model)[1].family)
    if isinstance(family, NeedsPackages):
        family.require()
