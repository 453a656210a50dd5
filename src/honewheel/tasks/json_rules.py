r"""A JSON Schema from the context, ready to judge values, whatever stands in it.

Dialects: drafts 4, 6, 7, 2019-09 and 2020-12 (the default). References stay within the schema:
nothing is fetched. `format` is not judged. A schema may come from anywhere, so the work is bounded
where the standard leaves it open: 50,000 steps a value (a step is one keyword, and one more for
each entry of it), one second for all searches by `pattern`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from honewheel.records import Finding
from honewheel.tasks.facts import MAX_FINDINGS, Refused
from honewheel.tasks.json_text import read

if TYPE_CHECKING:
    from jsonschema import ValidationError

MAX_STEPS = 50_000
PATTERN_SECONDS = 1.0
MAX_MESSAGE = 200  # characters of a message; the library quotes whole values

Keyword: TypeAlias = Callable[[Any, Any, Any, Any], "Iterator[ValidationError] | None"]

_DIALECTS = (
    "http://json-schema.org/draft-04/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
)
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_DATA = ("const", "enum", "default", "examples")  # what stands below these is no schema


@dataclass(slots=True)
class _Meter:
    """What one judgement has left."""

    steps: int = MAX_STEPS
    seconds: float = PATTERN_SECONDS

    def charge(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            message = f"judging takes over {MAX_STEPS:,} steps; make the schema simpler"
            raise Refused("too-large", message)

    def search(self, pattern: str, text: str) -> bool:
        import regex

        self.charge(len(text) // 10)
        start = time.perf_counter()
        try:
            found = regex.search(pattern, text, timeout=self.seconds) is not None
        except TimeoutError as error:
            message = f"the schema's pattern {pattern[:80]!r} takes over {PATTERN_SECONDS:g} s"
            raise Refused("bad-schema", message) from error
        self.seconds = max(0.001, self.seconds - (time.perf_counter() - start))
        return found


def violations(value: Any, schema: str) -> list[Finding]:
    """What `value` breaks of the schema in JSON text `schema`, in the order of the value's paths.

    Raises:
        Refused: the schema itself is at fault, or judging goes beyond the bounds.
    """
    from referencing.exceptions import Unresolvable

    rules = _schema(schema)
    try:
        errors = _some(_validator(rules, _Meter()).iter_errors(value))
    except Unresolvable as error:
        raise _bad(f"{error.ref!r} leads nowhere") from error
    except RecursionError as error:
        raise _bad("it refers to itself without end, or nests too deeply") from error
    return [_finding(error) for error in sorted(errors, key=lambda error: error.json_path)]


def _some(errors: Iterator[ValidationError]) -> list[ValidationError]:
    return [error for error, _ in zip(errors, range(MAX_FINDINGS), strict=False)]


def _finding(error: ValidationError) -> Finding:
    message = error.message
    if len(message) > MAX_MESSAGE:
        message = message[: MAX_MESSAGE // 2] + " ... " + message[-MAX_MESSAGE // 2 :]
    return Finding(code=f"schema-{error.validator}", message=f"{error.json_path}: {message}")


def _bad(message: str) -> Refused:
    return Refused("bad-schema", f"the context's schema is at fault: {message}")


# --- the schema ---------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _schema(text: str) -> Mapping[str, Any] | bool:
    """The schema in `text`, itself judged by its dialect."""
    try:
        found = read(text)
    except Refused as refused:
        raise _bad(refused.finding.message) from refused
    if isinstance(found, bool):
        return found
    if not isinstance(found, dict):
        raise _bad(f"a schema is an object, not {json.dumps(found)[:40]}")
    _dialect(found)
    words = set[str]()
    _inspect(found, words)
    if {"patternProperties", "unevaluatedProperties"} <= words:
        raise _bad("patternProperties beside unevaluatedProperties is not supported")
    _judge_schema(found)
    return found


def _judge_schema(schema: Mapping[str, Any]) -> None:
    meta = _validator(schema, _Meter())
    try:
        errors = _some(type(meta)(meta.META_SCHEMA).iter_errors(schema))
    except RecursionError as error:
        raise _bad("it nests too deeply") from error
    if errors:
        found = _finding(min(errors, key=lambda error: error.json_path))
        raise _bad(found.message)


def _dialect(schema: Mapping[str, Any] | bool) -> str:
    if isinstance(schema, bool) or "$schema" not in schema:
        return _DIALECTS[-1]
    named = schema["$schema"]
    if not isinstance(named, str) or named.rstrip("#") not in _DIALECTS:
        raise _bad(f"{str(named)[:80]!r} is no known dialect; known: {', '.join(_DIALECTS)}")
    return named.rstrip("#")


def _inspect(node: Any, words: set[str]) -> None:
    """Refuse references that lead out and patterns that cannot be read; note all keywords."""
    if isinstance(node, list):
        for item in node:
            _inspect(item, words)
    elif isinstance(node, dict):
        for name, item in node.items():
            words.add(name)
            if name in _REFERENCES and isinstance(item, str) and not item.startswith("#"):
                raise _bad(f"{item[:80]!r} is outside of it; only references with # are followed")
            if name == "pattern" and isinstance(item, str):
                _compiled(item)
            if name == "patternProperties" and isinstance(item, dict):
                for pattern in item:
                    _compiled(pattern)
            if name not in _DATA:
                _inspect(item, words)


def _compiled(pattern: str) -> None:
    import regex

    try:
        regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError) as error:
        raise _bad(f"the pattern {pattern[:80]!r} cannot be read: {error}") from error


# --- the judge ----------------------------------------------------------------------------------


def _validator(schema: Mapping[str, Any] | bool, meter: _Meter) -> Any:
    """The library's judge with every keyword metered and the unbounded ones replaced."""
    from jsonschema import validators
    from jsonschema_specifications import REGISTRY  # holds the dialects and fetches nothing

    make: Any = validators.extend  # its stub lacks types
    library: Any = validators.validator_for({"$schema": _dialect(schema)})
    own: dict[str, Keyword] = {
        "pattern": _pattern(meter),
        "patternProperties": _pattern_properties(meter),
        "additionalProperties": _additional_properties(meter),
        "uniqueItems": _unique_items,
    }
    keywords = {name: _metered(rule, meter) for name, rule in {**library.VALIDATORS, **own}.items()}
    return make(library, keywords)(schema, registry=REGISTRY)


def _metered(rule: Keyword, meter: _Meter) -> Keyword:
    def metered(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        meter.charge(1 + (len(value) if isinstance(value, list | dict) else 0))
        return rule(validator, value, instance, schema)

    return metered


def _pattern(meter: _Meter) -> Keyword:
    def rule(validator: Any, pattern: Any, instance: Any, schema: Any) -> Any:
        from jsonschema import ValidationError

        if isinstance(instance, str) and not meter.search(pattern, instance):
            yield ValidationError(f"{instance!r} does not match {pattern!r}")

    return rule


def _pattern_properties(meter: _Meter) -> Keyword:
    def rule(validator: Any, patterns: Any, instance: Any, schema: Any) -> Any:
        if isinstance(instance, dict):
            for pattern, inner in patterns.items():
                for name, item in instance.items():
                    if meter.search(pattern, name):
                        yield from validator.descend(item, inner, path=name, schema_path=pattern)

    return rule


def _additional_properties(meter: _Meter) -> Keyword:
    def rule(validator: Any, allowed: Any, instance: Any, schema: Any) -> Any:
        from jsonschema import ValidationError

        if not isinstance(instance, dict):
            return
        for name, item in instance.items():
            if name in schema.get("properties", {}):
                continue
            if any(meter.search(one, name) for one in schema.get("patternProperties", {})):
                continue
            if isinstance(allowed, dict):
                yield from validator.descend(item, allowed, path=name)
            elif not allowed:
                yield ValidationError(f"the property {name!r} is not in the schema")

    return rule


def _unique_items(validator: Any, wanted: Any, instance: Any, schema: Any) -> Any:
    from jsonschema import ValidationError

    if wanted and isinstance(instance, list):
        texts = {json.dumps(item, sort_keys=True) for item in instance}
        if len(texts) < len(instance):
            yield ValidationError("holds an item twice")
