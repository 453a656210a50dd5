"""JSON by schema: valid means that the output is strict JSON and that the schema in the context's
entry `schema` accepts it.

Order of keys, blank space and the spelling of numbers (`1`, `1.0`, `1e0`) count for nothing; the
order of arrays counts. A Markdown fence around the JSON is an error, as it is for every program
that reads JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from honewheel.records import Check, Fact, Finding, digest
from honewheel.tasks.facts import Refused, compare, judged, parse_error
from honewheel.tasks.json_rules import violations
from honewheel.tasks.json_text import read

SCHEMA = "schema"  # the context's key


class JsonSchema:
    kind = "json-schema"
    version = "json-schema/1"

    def check(self, output: str, context: Mapping[str, str]) -> Check:
        """One error for each place where the schema is broken (at most 20), with its path."""
        try:
            value = read(output)
            if SCHEMA not in context:
                message = "the context has no entry `schema`, so nothing says what is valid"
                return judged([Finding(code="no-schema", message=message)])
            return judged(violations(value, context[SCHEMA]))
        except Refused as refused:
            return judged([refused.finding])

    def facts(self, output: str, context: Mapping[str, str]) -> frozenset[Fact]:
        """(path, value) of every leaf, both as JSON: `$["a"][0]`, `"text"`. Empty objects and
        arrays are leaves. Needs no schema.
        """
        return frozenset(_leaves("$", _value(output)))

    def equivalence_key(self, output: str, context: Mapping[str, str]) -> str:
        """Hash of the value; names of keys count, since the schema gives them their meaning."""
        return digest(_value(output))

    def compare(
        self, output: str, reference: str, context: Mapping[str, str]
    ) -> Mapping[str, float]:
        """See `honewheel.tasks.facts.compare`."""
        return compare(self, output, reference, context)


def _value(output: str) -> Any:
    try:
        return read(output)
    except Refused as refused:
        raise parse_error(refused.finding) from refused


def _leaves(path: str, value: Any) -> Iterator[Fact]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _leaves(f"{path}[{_text(name)}]", item)
    elif isinstance(value, list) and value:
        for place, item in enumerate(value):
            yield from _leaves(f"{path}[{place}]", item)
    else:
        yield (path, _text(value))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
