"""Who answers a request: an upstream, the champion, a version on trial, or one by its number."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from honewheel import plugins
from honewheel.errors import NotFound
from honewheel.records import Version
from honewheel.server.answers import Refused
from honewheel.server.serving import Serving
from honewheel.settings import Upstream
from honewheel.wheel import Wheel

_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Who is to answer: an upstream, or one version in this process; and for which task."""

    model: str
    task: str | None
    upstream: Upstream | None
    version: Version | None
    shadow: Version | None = None  # answers too, unseen, to be compared

    @property
    def why(self) -> str:
        """Why the answer cannot be recorded; "" when it can."""
        if self.task is not None:
            return ""
        return f"{self.model} has several tasks; name one as metadata.task or as the model"


class Targets:
    """What may be asked for as `model`, and who that is."""

    def __init__(self, wheel: Wheel, serving: Serving) -> None:
        self._wheel = wheel
        self._serving = serving

    def listed(self) -> list[dict[str, Any]]:
        """Models, tasks and versions as the API lists them. Reads the store: blocks."""
        settings, versions = self._wheel.config.settings, self._wheel.store.versions
        found = []
        for model in settings.models:
            known = versions.list(model)
            born = int(known[0].created_at.timestamp()) if known else 0
            found += [_card(name, born) for name in (model, *settings.models[model].tasks)]
            found += [_card(one.name, int(one.created_at.timestamp())) for one in known]
        return list({one["id"]: one for one in found}.values())

    async def choose(self, body: Mapping[str, Any], key: str) -> Target:
        """Who is to answer. Raises Refused 400, 404; StoreError."""
        target, number = self._asked(body)
        if target.upstream is not None:  # settled without the store, hence without a thread
            return target
        version, shadow = await asyncio.to_thread(self._versions, target.model, number, key)
        return replace(target, version=version, shadow=shadow)

    def _asked(self, body: Mapping[str, Any]) -> tuple[Target, str]:
        """The model and task of a request, its upstream if that answers, and the version's number
        if it names one.
        """
        name = body.get("model")
        if not isinstance(name, str) or not name:
            raise Refused(400, "model is missing", "invalid_request_error")
        models = self._wheel.config.settings.models
        model, at, number = name.partition("@")
        task = None
        if model not in models:
            task = model
            model = next((one for one in models if task in models[one].tasks), "")
        if model not in models or (at and not _NUMBER.fullmatch(number)):
            known = [*models, *(task for one in models.values() for task in one.tasks)]
            hint = plugins.suggest(name[:80], known)
            raise Refused(404, f"There is no model {name[:80]!r}. {hint}", "model_not_found")
        task = self._task(model, task, body.get("metadata"))
        upstream = models[model].upstream
        passed_on = upstream if upstream.url and not at else None
        return Target(model=model, task=task, upstream=passed_on, version=None), number

    def _versions(self, model: str, number: str, key: str) -> tuple[Version, Version | None]:
        """The version that answers, and the one in its shadow; `number` "" leaves it to the watch.

        The same key is answered by the same version while a trial is open. Reads the store: blocks.
        """
        routing = self._serving.route(model, key)
        if not number:
            shadow = routing.shadow
            return (
                self._serving.version(model, routing.version),
                None if shadow is None else self._serving.version(model, shadow),
            )
        try:
            return self._serving.version(model, int(number)), None
        except NotFound as error:
            raise Refused(404, str(error), "model_not_found") from error

    def _task(self, model: str, named: str | None, metadata: Any) -> str | None:
        tasks = self._wheel.config.settings.models[model].tasks
        wanted = metadata.get("task") if isinstance(metadata, Mapping) else None
        if wanted is not None and wanted not in tasks:
            raise Refused(
                400,
                f"metadata.task = {wanted!r:.60} is no task of {model}; its tasks are "
                f"{', '.join(tasks)}.",
                "invalid_request_error",
            )
        return wanted or named or (tasks[0] if len(tasks) == 1 else None)


def key_of(body: Mapping[str, Any], name: str) -> str:
    """What decides which version of a trial answers: the conversation, the user, or the request."""
    metadata = body.get("metadata")
    conversation = metadata.get("conversation") if isinstance(metadata, Mapping) else None
    for found in (conversation, body.get("user")):
        if isinstance(found, str) and found:
            return found
    return name


def _card(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "honewheel"}
