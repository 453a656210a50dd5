"""A task kind: one JSON object, with the keys that the context's `keys` asks for (one a line)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from honewheel.errors import ParseError
from honewheel.records import Check, Fact, Finding, digest
from honewheel.tasks.facts import compare, judged


class JsonObject:
    kind = "json-object"
    version = "json-object/1"  # raise it whenever a verdict could change

    def check(self, output: str, context: Mapping[str, str]) -> Check:
        """An error when it is no JSON object or lacks a key; a warning for an empty value."""
        try:
            found = _read(output)
        except ParseError as error:
            return judged([Finding(code="syntax", message=str(error))])
        return judged([*_missing(found, context), *_empty(found)])

    def facts(self, output: str, context: Mapping[str, str]) -> frozenset[Fact]:
        """Each value with the path that leads to it."""
        return frozenset(_leaves(_read(output), ()))

    def equivalence_key(self, output: str, context: Mapping[str, str]) -> str:
        """Hash of the data: the order of keys and the layout do not count."""
        return digest(_read(output))

    def compare(
        self, output: str, reference: str, context: Mapping[str, str]
    ) -> Mapping[str, float]:
        """Score (valid x fact F1), valid, facts, exact, equivalent."""
        return compare(self, output, reference, context)


def _read(output: str) -> dict[str, Any]:
    try:
        found = json.loads(output)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ParseError(f"a JSON object is expected, this is a {type(found).__name__}")
    return found


def _missing(found: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Finding]:
    for key in context.get("keys", "").split():
        if key not in found:
            yield Finding(code="missing-key", message=f"the key {key} is missing")


def _empty(found: Mapping[str, Any]) -> Iterator[Finding]:
    for key, value in found.items():
        if value in ("", None):
            yield Finding(code="empty-value", message=f"{key} is empty", severity="warning")


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[Fact]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and value:
        for place, item in enumerate(value):
            yield from _leaves(item, (*path, str(place)))
    else:
        yield (*path, json.dumps(value))
