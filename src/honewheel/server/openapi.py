"""The OpenAPI document, from the same table that routes: what is served is what is described."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from honewheel import __version__
from honewheel.events.ingest import Row
from honewheel.server.endpoints import Endpoint

_TEXT: dict[str, Any] = {"type": "string"}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "properties": dict.fromkeys(("message", "type", "code"), _TEXT),
        }
    },
}
_COMMON = {
    401: "no valid key",
    403: "the key's role is not enough, or the request comes from another site",
    421: "the Host header names no host of this server",
    429: "the key's rate is spent, or too many rows wait; Retry-After tells for how long",
    503: "the store cannot be used just now",
}
_CHAT = {
    "type": "object",
    "description": "As in the OpenAI API; `metadata.task` names the task.",
    "required": ["model"],
    "properties": {"model": _TEXT, "stream": {"type": "boolean"}},
    "additionalProperties": True,
}


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """OpenAPI 3.1 of all routes."""
    paths: dict[str, dict[str, Any]] = {}
    for one in endpoints:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "honewheel",
            "version": __version__,
            "description": "Feedback API, OpenAI-compatible gateway and registry verbs.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _ERROR, "FeedbackRow": Row.model_json_schema()},
        },
    }


def _operation(one: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = {
        "summary": one.summary,
        "operationId": _name(one),
        "responses": _responses(one),
        "x-role": one.role,
        "security": [] if one.role == "anyone" else [{"key": []}],
    }
    if names := re.findall(r"\{([a-z]+)\}", one.path):
        found["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names
        ]
    if one.method == "POST":
        found["requestBody"] = {"required": one.body is None, "content": _content(one)}
    return found


def _name(one: Endpoint) -> str:
    words = re.findall(r"[a-z]+", one.path.removeprefix("/v1"))
    return "_".join([one.method.lower(), *words])


def _responses(one: Endpoint) -> dict[str, Any]:
    good = one.answers or {200: "done"}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    common = {} if one.role == "anyone" else _COMMON
    found: dict[str, Any] = {}
    for status, told in sorted({**common, **good}.items()):
        content = error if status >= 400 else {one.gives: {"schema": {}}}
        found[str(status)] = {"description": told, "content": content}
    return found


def _content(one: Endpoint) -> dict[str, Any]:
    if one.path == "/v1/feedback":
        row = {"$ref": "#/components/schemas/FeedbackRow"}
        rows = {"type": "array", "items": row, "minItems": 1}
        return {
            "application/json": {"schema": {"oneOf": [row, rows]}},
            "application/x-ndjson": {"schema": _TEXT},
        }
    schema = _CHAT if one.body is None else one.body.model_json_schema()
    return {"application/json": {"schema": schema}}
