"""Text that others wrote, made harmless: models, users and files may say anything.

Everything a template prints passes through here. HTML is escaped by Jinja after `clean`;
Markdown has no escaping of its own in Jinja, so `escape_markdown` is what every expression gets
unless it is a `Markdown` already.
"""

from __future__ import annotations

import re

# Characters that start something in CommonMark or in GitHub's dialect, anywhere in a line.
_SPECIAL = re.compile(r"[\\`*_\[\]<|~&$]")
# What starts a block at the beginning of a line: heading, quote, list, rule, table, number.
_BLOCK = re.compile(r"^([-+=:#>]|\d+[.)])")
# Bare addresses become links in GitHub's dialect.
_LINK = re.compile(r"(?i)(://|www\.|mailto:|xmpp:)")
# Invisible marks that reorder text for the reader ("Trojan source").
_REORDER = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# What `clean` makes visible: control characters but line breaks and tabs, and lone surrogates too.
_INVISIBLE = re.compile(rf"[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029{_REORDER}]")


class Markdown(str):
    """Text that is Markdown already and is printed as it is."""

    __slots__ = ()


def clean(text: str) -> str:
    r"""`text` with every control character visible: NUL as "␀", escape as "␛", U+202E by name.

    Line breaks and tabs stay; "\r\n" becomes "\n". Lone surrogates, which no UTF-8 file can
    hold, become U+FFFD.
    """
    return _INVISIBLE.sub(lambda found: _visible(found[0]), text.replace("\r\n", "\n"))


def _visible(char: str) -> str:
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return "\ufffd" if 0xD800 <= code < 0xE000 else f"(U+{code:04X})"


def shorten(text: str, limit: int) -> str:
    """`text`, or its first `limit` characters and how many were left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n… {len(text) - limit:,} more characters"


def escape_markdown(text: str) -> Markdown:
    """One line of Markdown that reads as `text` and does nothing."""
    line = " ".join(clean(text).split())
    line = _SPECIAL.sub(r"\\\g<0>", line)
    line = _LINK.sub(lambda found: _broken(found.group()), line)
    return Markdown(_BLOCK.sub(lambda found: _broken(found.group()), line))


def _broken(marker: str) -> str:
    """The marker with a backslash before the punctuation that makes it one."""
    if marker == "://":
        return "\\://"
    return f"{marker[:-1]}\\{marker[-1]}"


def code(text: str) -> Markdown:
    """`text` as a Markdown code span on one line; escaped text when a table would split it."""
    line = " ".join(clean(text).split())
    if not line or "|" in line:
        return escape_markdown(line)
    ticks = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return Markdown(f"{ticks}{pad}{line}{pad}{ticks}")


def fence(text: str) -> Markdown:
    """`text` as a fenced code block that nothing in it can close."""
    body = clean(text)
    ticks = "`" * max(3, _longest_run(body) + 1)
    return Markdown(f"{ticks}text\n{body}\n{ticks}")


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
