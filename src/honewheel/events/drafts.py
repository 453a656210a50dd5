"""What a dataset builder drafts before anybody checked it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from honewheel.records import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A prompt with its target; `target` None is for a teacher to write.

    `made_from` says where it comes from (file and line, template, teacher); it is kept with the
    response and never shown to a model.
    """

    prompt: str
    target: str | None
    context: Mapping[str, str] = field(default_factory=dict)
    made_from: Mapping[str, Json] = field(default_factory=dict)
