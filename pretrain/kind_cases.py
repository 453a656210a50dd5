"""Field rules and the Markdown tables of test cases with boundary values."""

import random
from dataclasses import dataclass

from lexicon import STRING_VALUES, Attribute, TypeClass, with_article
from phrasing import arrange, choose_opener, join_words
from spec import Model
from styles import CasesStyle


@dataclass(frozen=True)
class FieldRule:
    """A rule for one field: bounds on its value or length, allowed values, or being required."""

    domain: str
    entity: str
    field: str
    low: int | None = None
    high: int | None = None
    of_length: bool = False
    choices: tuple[str, ...] = ()
    required: bool = False


Row = tuple[str, str, bool]


def _number(rng: random.Random, low: int, high: int) -> int:
    if rng.random() < 0.4:
        return rng.choice([n for n in (10, 20, 50, 100, 200, 500, 1000) if low <= n <= high])
    return rng.randint(low, high)


def _bounds(rng: random.Random, small: bool) -> tuple[int | None, int | None]:
    low = rng.randint(1, 12) if small else rng.choice((0, 1, 5, 10, 18, 21, rng.randint(1, 99)))
    high = low + _number(rng, 4, 60 if small else 1000)
    roll = rng.random()
    if roll < 0.65:
        return low, high
    return (low, None) if roll < 0.82 else (None, high)


def sample_rule(rng: random.Random, model: Model) -> FieldRule:
    """A random rule about a field of the first entity of a model."""
    entity = model.entities[0]
    attribute: Attribute = rng.choice(entity.attributes)
    numeric = attribute.type_class in (TypeClass.INT, TypeClass.DECIMAL)
    roll = rng.random()
    required = rng.random() < 0.2
    if not numeric and roll < 0.3:
        values = tuple(rng.sample(STRING_VALUES, rng.choice((2, 3, 3, 4))))
        return FieldRule(
            model.domain, entity.words, attribute.words, choices=values, required=required
        )
    low, high = _bounds(rng, small=not numeric)
    return FieldRule(
        model.domain,
        entity.words,
        attribute.words,
        low=low,
        high=high,
        of_length=not numeric,
        required=required,
    )


_BETWEEN = (
    "{f} must be between {l} and {h}{u}.",
    "{f} must be from {l} to {h}{u}.",
    "{f} has to be at least {l} and at most {h}{u}.",
    "{f} may be {l} to {h}{u}.",
    "{f} ranges from {l} to {h}{u}.",
    "valid values of {f} are {l} to {h}{u}.",
    "{f} is valid from {l} up to {h}{u}.",
    "{f} must not be below {l} or above {h}{u}.",
    "{f} (min {l}, max {h}{u}).",
)
_LENGTH_BETWEEN = (
    "{f} must be between {l} and {h} characters long.",
    "{f} must have {l} to {h} characters.",
    "{f} must be {l} to {h} characters long.",
    "{f} must have at least {l} and at most {h} characters.",
    "the length of {f} must be between {l} and {h} characters.",
)
_AT_LEAST = (
    "{f} must be at least {l}{u}.",
    "{f} must be {l}{u} or more.",
    "{f} may not be below {l}{u}.",
    "the minimum of {f} is {l}{u}.",
    "{f} has to be {l}{u} or higher.",
)
_AT_MOST = (
    "{f} must be at most {h}{u}.",
    "{f} must not exceed {h}{u}.",
    "{f} may not be above {h}{u}.",
    "the maximum of {f} is {h}{u}.",
    "{f} can be up to {h}{u}.",
)
_LENGTH_AT_LEAST = ("{f} must have at least {l} characters.", "{f} needs {l} or more characters.")
_LENGTH_AT_MOST = ("{f} must have at most {h} characters.", "{f} may not exceed {h} characters.")
_CHOICES = (
    "{f} must be one of {o}.",
    "{f} can be {o}.",
    "{f} must be {o}.",
    "allowed values of {f} are {a}.",
    "{f} only accepts {a}.",
    "{f} is one of {o}.",
)


def _templates(rule: FieldRule) -> tuple[str, ...]:
    if rule.choices:
        return _CHOICES
    if rule.low is None:
        return _LENGTH_AT_MOST if rule.of_length else _AT_MOST
    if rule.high is None:
        return _LENGTH_AT_LEAST if rule.of_length else _AT_LEAST
    return _LENGTH_BETWEEN if rule.of_length else _BETWEEN


def rule_request(rng: random.Random, rule: FieldRule) -> str:
    """The request for the test cases."""
    subject = rng.choice(
        (rule.field, f"the {rule.field}", f"the {rule.field} of {with_article(rule.entity)}")
    )
    values = join_words(rule.choices)
    main = rng.choice(_templates(rule)).format(
        f=subject, l=rule.low, h=rule.high, u="", o=values.replace(" and ", " or "), a=values
    )
    facts = [main]
    if rule.required:
        template = rng.choice(("{f} is required.", "the {f} must not be empty.", "it is required."))
        facts.append(template.format(f=rule.field))
    return arrange(rng, choose_opener(rng, "cases", rule.domain), facts)


def _rows(rule: FieldRule) -> list[Row]:
    unit = " characters" if rule.of_length else ""
    rows: list[Row] = []
    if rule.low is not None:
        rows += [
            ("below minimum", f"{rule.low - 1}{unit}", False),
            ("minimum", f"{rule.low}{unit}", True),
            ("above minimum", f"{rule.low + 1}{unit}", True),
        ]
    if rule.high is not None:
        rows += [
            ("below maximum", f"{rule.high - 1}{unit}", True),
            ("maximum", f"{rule.high}{unit}", True),
            ("above maximum", f"{rule.high + 1}{unit}", False),
        ]
    rows += [("allowed value", value, True) for value in rule.choices]
    if rule.choices:
        rows.append(("other value", "unknown", False))
    if rule.required:
        rows.append(("empty", "(empty)", False))
    return rows


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def render_cases(rule: FieldRule, style: CasesStyle) -> str:
    """The Markdown table."""
    case_header, expected_header = style.headers
    value_header = style.value_header.format(field=rule.field)
    header = [case_header, value_header, expected_header]
    if style.number_header:
        header.insert(0, style.number_header)
    if style.extra_column:
        header.append(style.extra_column[0])
    lines = [_line(header), "|" + "---|" * len(header)]
    for number, (case, value, is_valid) in enumerate(_rows(rule), start=1):
        shown = case.capitalize() if style.capital_cases else case
        cells = [shown, value, style.valid if is_valid else style.invalid]
        if style.number_header:
            cells.insert(0, f"{style.number_prefix}{number:0{style.number_width}d}")
        if style.extra_column:
            cells.append(style.extra_column[1])
        lines.append(_line(cells))
    return "\n".join(lines)
