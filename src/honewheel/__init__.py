"""honewheel: feedback in, a proven better model out.

import honewheel as hw

wheel = hw.open()                                    # finds honewheel.toml
wheel.record(task="erd", prompt=..., output=..., correction=..., source="ana")
decision = wheel.cycle("artifacts", on_progress=print)
decision.verdict, decision.gain, decision.interval, decision.reasons
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from honewheel.client import AsyncClient as AsyncClient
    from honewheel.client import Client as Client
    from honewheel.errors import HonewheelError as HonewheelError
    from honewheel.records import Decision as Decision
    from honewheel.records import Event as Event
    from honewheel.records import Feedback as Feedback
    from honewheel.records import Progress as Progress
    from honewheel.records import Response as Response
    from honewheel.records import Version as Version
    from honewheel.wheel import Wheel as Wheel
    from honewheel.wheel import init as init
    from honewheel.wheel import open as open

__version__ = "0.1.0"

_HOMES = {
    "AsyncClient": "client",
    "Client": "client",
    "Decision": "records",
    "Event": "records",
    "Feedback": "records",
    "HonewheelError": "errors",
    "Progress": "records",
    "Response": "records",
    "Version": "records",
    "Wheel": "wheel",
    "init": "wheel",
    "open": "wheel",
}
__all__ = [*sorted(_HOMES), "__version__"]


def __getattr__(name: str) -> Any:
    """Public names load on first use, so that `import honewheel` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'honewheel' has no attribute {name!r}")
    return getattr(import_module(f"honewheel.{_HOMES[name]}"), name)
