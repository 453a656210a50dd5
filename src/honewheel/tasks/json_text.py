"""JSON text -> value, strictly: one value, finite numbers, no key twice, no lone surrogate.

Python's own reader also takes NaN, forgets repeated keys and leaves half characters in strings;
each of them is refused here, since the next program to read the text would stumble.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from honewheel.tasks.facts import Refused, unreadable

MAX_CHARS = 20_000
MAX_DEPTH = 32
MAX_DIGITS = 300  # more do not fit a float

_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


def read(text: str) -> Any:
    """The value of `text`; numbers that are whole are ints, however they are written.

    Raises:
        Refused: too long, nested deeper than 32, or not JSON.
    """
    if finding := unreadable(text, MAX_CHARS):
        raise Refused(finding.code, finding.message, finding.line)
    if (deep := _depth(text)) > MAX_DEPTH:
        raise Refused("too-deep", f"nested {deep} deep; at most {MAX_DEPTH} is read")
    try:
        found = json.loads(
            text,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as error:
        raise Refused("syntax", f"not JSON: {error.msg}", error.lineno) from error
    _whole(found)
    return found


def _depth(text: str) -> int:
    depth = deepest = 0
    for char in _STRING.sub("", text):
        depth += (char in "[{") - (char in "]}")
        deepest = max(deepest, depth)
    return deepest


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise Refused("number", f"a number of {len(text)} digits; at most {MAX_DIGITS} are read")
    return int(text)


def _number(text: str) -> int | float:
    found = float(text)
    if not math.isfinite(found):
        raise Refused("number", f"{text[:40]} is larger than a number can be")
    return int(found) if found.is_integer() else found


def _constant(text: str) -> Any:
    raise Refused("number", f"{text} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise Refused("repeated-key", f"an object has the key {name[:80]!r} twice")
            seen.add(name)
    return found


def _whole(value: Any) -> None:
    """Pass when all strings are Unicode text."""
    if isinstance(value, str):
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise Refused("not-unicode", "a string holds a lone surrogate, half a character")
    elif isinstance(value, dict):
        for name, item in value.items():
            _whole(name)
            _whole(item)
    elif isinstance(value, list):
        for item in value:
            _whole(item)
