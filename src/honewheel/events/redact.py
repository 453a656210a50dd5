"""Personal data and secrets out of a text before it is stored: patterns, with checksums where
there are any.

What is found is replaced by its kind in angle brackets (`<EMAIL>`), so that an artifact keeps its
shape. Found are mail addresses, IBANs (ISO 7064 mod 97-10), payment cards (Luhn), telephone numbers
in international or clearly written form, and keys: PEM blocks, JSON web tokens, the prefixes that
well-known services give their tokens, and values assigned to a name such as `password`. A pattern
knows no names of people: nothing here makes a text anonymous.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from honewheel.errors import InputError
from honewheel.events.ingest import Entry
from honewheel.records import Feedback, Response
from honewheel.settings import Events

Redactor: TypeAlias = Callable[[str], str]

_EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)")
_PHONE = re.compile(
    r"(?<![\w+.-])(?:\+\d{1,3}[ .-]?(?:\(\d{1,5}\)[ .-]?)?\d{1,5}(?:[ .-]?\d{2,5}){1,4}"
    r"|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}[.-]\d{3}[.-]\d{4})(?![\w-]|\.\d)"
)
_PEM = re.compile(
    r"-----BEGIN ([A-Z ]{0,40}PRIVATE KEY)-----.{0,20000}?-----END \1-----", re.DOTALL
)
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"  # JSON web token
    r"|sk-[A-Za-z0-9_-]{20,}|hw_[a-z0-9]{8}_[A-Za-z0-9_-]{30,}"
    r"|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_-]{20,}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}|hf_[A-Za-z0-9]{30,}|AIza[A-Za-z0-9_-]{35}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}|[sr]k_live_[A-Za-z0-9]{16,}|npm_[A-Za-z0-9]{36}"
    r"|pypi-[A-Za-z0-9_-]{40,}"
    r")(?![A-Za-z0-9_-])"
)
_ASSIGNED = re.compile(
    r"(?i)(\b(?:api[_-]?key|secret(?:[_-]?key)?|access[_-]?token|auth[_-]?token|password|passwd)"
    r"[\"']?\s*[:=]\s*)([\"'])([^\"'\s]{8,200})\2"
)
_BEARER = re.compile(r"(?i)(\bbearer\s+)[A-Za-z0-9._~+/-]{20,}=*")
_STARTS = (
    "-----BEGIN eyJ sk- hw_ ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- xox hf_ AIza AKIA ASIA "
    "sk_live_ rk_live_ npm_ pypi-"
).split()
_NAMES = ("key", "secret", "token", "passw", "bearer")
_DIGITS = re.compile(r"(?:\d[^\d]{0,8}){7}")  # what a number of any kind has at least
# ISO 13616 lengths: a text of another length is no IBAN of that country.
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI NL", 19: "SI", 20: "AT EE LT LU XK", 21: "CH HR LV LI",
        22: "BG DE GB IE RS ME GE", 23: "AE IL", 24: "CZ ES MD PK RO SA SE SK TN AD", 25: "PT",
        26: "IS TR", 27: "FR GR IT MC SM", 28: "AL CY DO HU LB PL", 29: "BR UA", 30: "KW JO QA",
        31: "MT",
    }.items()
    for country in countries.split()
}  # fmt: skip


def text(said: str) -> str:
    """`said` without what the patterns above find.

    >>> text("write to ana@example.org, or +49 170 1234567")
    'write to <EMAIL>, or <PHONE>'
    """
    # Most texts hold nothing: a search for what a pattern cannot do without costs next to nothing.
    if any(start in said for start in _STARTS):
        said = _TOKEN.sub("<SECRET>", _PEM.sub("<SECRET>", said))
    if any(name in said.lower() for name in _NAMES):
        said = _ASSIGNED.sub(r"\1\2<SECRET>\2", said)
        said = _BEARER.sub(r"\1<SECRET>", said)
    if "@" in said:
        said = _EMAIL.sub("<EMAIL>", said)
    if _DIGITS.search(said) is None:
        return said
    said = _IBAN.sub(_if(_is_iban, "<IBAN>"), said)
    said = _CARD.sub(_if(_is_card, "<CARD>"), said)
    return _PHONE.sub(_if(_is_phone, "<PHONE>"), said)


def of(settings: Events) -> Redactor | None:
    """What redacts the texts of a project; None where it does not ask for it.

    Raises MissingExtra, ConfigError: Presidio cannot be used as the settings say.
    """
    if not settings.redact:
        return None
    if settings.redactor == "patterns":
        return text
    from honewheel.events.presidio import redactor

    more = redactor(
        settings.redact_language,
        settings.redact_model,
        settings.redact_entities,
        settings.redact_score,
    )
    return lambda said: more(text(said))


def entry(found: Entry, redactor: Redactor = text) -> Entry:
    """An entry with its prompt, output, context and what was said of it redacted.

    Raises InputError when an id itself looks like personal data: an id is never rewritten.
    """
    response = found.response
    for name in (response.id if response else "", *(item.response_id for item in found.feedback)):
        if _EMAIL.search(name):
            raise InputError(f"id {name[:3]}... holds a mail address; use an opaque id")
    feedback = tuple(_remark(item, redactor) for item in found.feedback)
    return replace(found, response=response and _response(response, redactor), feedback=feedback)


def _response(found: Response, redactor: Redactor) -> Response:
    return replace(
        found,
        prompt=redactor(found.prompt),
        output=redactor(found.output),
        context={key: redactor(value) for key, value in found.context.items()},
    )


def _remark(found: Feedback, redactor: Redactor) -> Feedback:
    if found.text is None or found.kind in ("preferred", "signal"):  # an id, a word of ours
        return found
    return replace(found, text=redactor(found.text))


def _if(holds: Callable[[str], bool], mark: str) -> Callable[[re.Match[str]], str]:
    return lambda found: mark if holds(found[0]) else found[0]


def _is_iban(found: str) -> bool:
    plain = found.replace(" ", "")
    if len(plain) != _IBAN_LENGTHS.get(plain[:2]):
        return False
    digits = "".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])
    return int(digits) % 97 == 1


def _is_card(found: str) -> bool:
    """Luhn, and a first digit that a card network uses (ISO/IEC 7812)."""
    digits = [int(letter) for letter in found if letter.isdigit()]
    if digits[0] not in (2, 3, 4, 5, 6) or len(set(digits)) == 1:
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_phone(found: str) -> bool:
    return 7 <= sum(map(str.isdigit, found)) <= 15  # ITU-T E.164
