"""What the training child tells its parent, one JSON object a line."""

from __future__ import annotations

import json
from typing import Any

from honewheel import errors
from honewheel.errors import HonewheelError, TrainingFailed
from honewheel.records import Progress, as_dict


def of_progress(progress: Progress) -> str:
    return json.dumps({"progress": as_dict(progress)})


def of_error(error: HonewheelError) -> str:
    return json.dumps({"error": type(error).__name__, "message": str(error)})


def parse(line: str) -> Progress | HonewheelError:
    """What one line says; an error comes back as the class it was raised as."""
    said: dict[str, Any] = json.loads(line)
    if "progress" in said:
        return Progress(**said["progress"])
    kind = getattr(errors, said["error"], None)
    if not (isinstance(kind, type) and issubclass(kind, HonewheelError)):
        return TrainingFailed(f"{said['error']}: {said['message']}")  # a plug-in's own class
    error = kind.__new__(kind)
    error.args = (said["message"],)  # not the constructor: MissingExtra composes its message
    return error
