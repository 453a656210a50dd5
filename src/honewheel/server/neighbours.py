"""The texts of a model's index that are nearest to a text, by a version that stays loaded.

Which folder that is stands in the settings (`models.NAME.index`): a caller never names a path.
"""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from honewheel.errors import ConfigError, NotFound
from honewheel.records import Version, as_dict
from honewheel.server import answers
from honewheel.server.answers import Refused
from honewheel.server.endpoints import NeighboursBody
from honewheel.server.serving import Serving
from honewheel.wheel import Wheel


class Neighbours:
    """The route with what it needs."""

    def __init__(self, wheel: Wheel, serving: Serving) -> None:
        self._wheel = wheel
        self._serving = serving

    async def search(self, request: Request) -> Response:
        """Raises Refused 422, NotFound (no such model, or no index), ConfigError, Damaged."""
        try:
            asked = NeighboursBody.model_validate_json(await request.body() or b"{}")
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "body"
            raise Refused(422, f"{where}: {first['msg']}", "invalid_request_error") from None
        return answers.json(await asyncio.to_thread(self._near, request.path_params["name"], asked))

    def _near(self, name: str, asked: NeighboursBody) -> dict[str, Any]:
        models = self._wheel.config.settings.models
        if name not in models:
            raise NotFound(f"There is no model {name[:80]!r}.")
        if not models[name].index:
            raise NotFound(
                f"{name} has no index to look in. Make one (honewheel embed {name} FILE --out "
                f"FOLDER), set models.{name}.index to its folder, and start the server again."
            )
        folder = self._wheel.config.root / models[name].index
        found = self._wheel.search_similar(asked.text, folder, most=asked.most, by=self._embed)
        return {"model": name, "neighbours": [as_dict(one) for one in found]}

    def _embed(self, version: Version, text: str) -> Any:
        made = self._serving.embed(version, [text])
        if made is None:
            raise ConfigError(
                f"{version.name} makes no vectors; its family is no embedding family."
            )
        return made[0][0]
