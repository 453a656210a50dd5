"""Access and validation rules, and the Gherkin features that test them."""

import random
from dataclasses import dataclass

from lexicon import ACTIONS, ROLES, Attribute, TypeClass, Verb, plural, pseudo_word, with_article
from phrasing import arrange, choose_opener
from spec import Model
from styles import GherkinStyle


@dataclass(frozen=True)
class Rules:
    """Who may do what to an entity, and what its fields must hold."""

    domain: str
    entity: str
    action: Verb
    allowed: str
    refused: str | None
    required: Attribute | None
    unique: Attribute | None
    limit: tuple[Attribute, str, int] | None


def sample_rules(rng: random.Random, model: Model, pseudo_rate: float) -> Rules:
    """Random rules about the first entity of a model; always at least two scenarios' worth."""
    entity = model.entities[0]
    roles = rng.sample(ROLES, 2)
    if rng.random() < pseudo_rate * 0.4:
        roles[rng.randrange(2)] = pseudo_word(rng)
    text = [a for a in entity.attributes if a.type_class != TypeClass.INT]
    numbers = [a for a in entity.attributes if a.type_class in (TypeClass.INT, TypeClass.DECIMAL)]
    bound = rng.choice(("at most", "at least")), rng.choice((rng.randint(1, 30), 50, 100, 500))
    refused = roles[1] if rng.random() < 0.75 else None
    limit = (rng.choice(numbers), *bound) if numbers and rng.random() < 0.6 else None
    unique = rng.choice(text) if text and rng.random() < 0.25 and not (refused and limit) else None
    required = None
    if rng.random() < 0.6 or not (refused or limit or unique):
        required = rng.choice(entity.attributes)
    return Rules(
        model.domain, entity.words, rng.choice(ACTIONS), roles[0], refused, required, unique, limit
    )


def _access_sentences(rng: random.Random, rules: Rules) -> list[str]:
    words = {
        "a": with_article(rules.allowed),
        "A": plural(rules.allowed),
        "b": with_article(rules.refused or "x"),
        "B": plural(rules.refused or "x"),
        "i": rules.action.base,
        "p": rules.action.participle,
        "e": with_article(rules.entity),
        "E": plural(rules.entity),
    }
    both = (
        "{a} can {i} {e}, {b} cannot.",
        "{a} can {i} {e}. {b} cannot.",
        "{A} can {i} {E}, {B} cannot.",
        "only {a} may {i} {e}; {b} is refused.",
        "{A} may {i} {E} but {B} may not.",
        "{a} is allowed to {i} {e}. {b} is not allowed to do that.",
        "{E} can be {p} by {a} but not by {b}.",
        "{a} should be able to {i} {e}, but {b} must not.",
        "{b} must not {i} {e}, {a} may.",
    )
    one = (
        "{a} can {i} {e}.",
        "{A} can {i} {E}.",
        "{a} may {i} {e}.",
        "{E} can be {p} by {a}.",
        "{a} is allowed to {i} {e}.",
        "as {a} i want to {i} {e}.",
        "{a} should be able to {i} {e}.",
        "{A} should be able to {i} {E}.",
    )
    return [rng.choice(both if rules.refused else one).format(**words)]


def _field_sentences(rng: random.Random, rules: Rules) -> list[str]:
    sentences = []
    if rules.required:
        template = rng.choice(
            (
                "the {f} is required.",
                "{f} is mandatory.",
                "the {f} must not be empty.",
                "the {f} is a required field.",
                "the {f} must be given.",
                "{af} is needed.",
                "{e} without {af} is refused.",
                "the {f} of {e} is required.",
            )
        )
        field = rules.required.words
        sentences.append(
            template.format(f=field, af=with_article(field), e=with_article(rules.entity))
        )
    if rules.unique:
        template = rng.choice(
            (
                "the {f} must be unique.",
                "two {E} cannot have the same {f}.",
                "the {f} has to be unique.",
                "no two {E} share the same {f}.",
                "each {e} has a unique {f}.",
            )
        )
        sentences.append(
            template.format(f=rules.unique.words, E=plural(rules.entity), e=rules.entity)
        )
    if rules.limit:
        field_, bound, value = rules.limit
        other = "may not exceed" if bound == "at most" else "must not be below"
        template = rng.choice(
            ("the {f} must be {b} {v}.", "the {f} is {b} {v}.", "the {f} {o} {v}.", "{f} {b} {v}.")
        )
        sentences.append(template.format(f=field_.words, b=bound, o=other, v=value))
    return sentences


def rules_request(rng: random.Random, rules: Rules) -> str:
    """The request for the feature."""
    facts = _access_sentences(rng, rules) + _field_sentences(rng, rules)
    return arrange(rng, choose_opener(rng, "gherkin", rules.domain), facts)


@dataclass(frozen=True)
class Scenario:
    """One scenario: title, what it shows, and its steps."""

    title: str
    outcome: str
    given: list[str]
    when: str
    then: str


def _scenarios(rules: Rules, style: GherkinStyle) -> list[Scenario]:
    entity, action = rules.entity, rules.action
    thing = with_article(entity)

    def given(role: str) -> str:
        return style.given.format(role=role, arole=with_article(role))

    def when(role: str, rest: str = "") -> str:
        return f"{style.actor.format(role=role)} {_verb(style, action)} {thing}{rest}"

    def error(rule: str) -> str:
        return style.error.format(rule=rule)

    start = given(rules.allowed)
    success = style.success.format(entity=entity, participle=action.participle, action=action.base)
    found = [
        Scenario(
            f"{rules.allowed} can {action.base} {thing}",
            "success",
            [start],
            when(rules.allowed),
            success,
        )
    ]
    if rules.refused:
        title = f"{rules.refused} cannot {action.base} {thing}"
        found.append(
            Scenario(title, "security", [given(rules.refused)], when(rules.refused), style.refusal)
        )
    if rules.required:
        field = rules.required.words
        rule = f"the {field} is required"
        without = when(rules.allowed, f" without {with_article(field)}")
        found.append(Scenario(f"{field} is required", "validation", [start], without, error(rule)))
    if rules.unique:
        field = rules.unique.words
        same = f"{thing} with the same {field} exists"
        rule = f"the {field} must be unique"
        found.append(
            Scenario(
                f"{field} is unique", "validation", [start, same], when(rules.allowed), error(rule)
            )
        )
    if rules.limit:
        attribute, bound, value = rules.limit
        wrong = value + 1 if bound == "at most" else value - 1
        rest = f" with {with_article(attribute.words)} of {wrong}"
        rule = f"the {attribute.words} must be {bound} {value}"
        title = f"{attribute.words} is {bound} {value}"
        found.append(Scenario(title, "validation", [start], when(rules.allowed, rest), error(rule)))
    return found


def _verb(style: GherkinStyle, action: Verb) -> str:
    return action.base if style.actor == "they" else action.third


def _scenario_lines(
    scenario: Scenario, number: int, style: GherkinStyle, entity: str, pad: str
) -> list[str]:
    lines = []
    if style.scenario_tags:
        lines.append(pad + _tags(style.scenario_tags, entity, scenario.outcome))
    prefix = style.scenario_prefix + (f"{number} " if style.numbered else "")
    lines.append(f"{pad}Scenario: {prefix}{scenario.title}")
    given = [style.extra_first] if style.extra_first else []
    given += scenario.given
    then = [scenario.then] + ([style.extra_last] if style.extra_last else [])
    for keyword, steps in (("Given", given), ("When", [scenario.when]), ("Then", then)):
        for position, step in enumerate(steps):
            lines.append(f"{pad * 2}{'And' if position else keyword} {step}")
    return lines


def _tags(tags: tuple[str, ...], entity: str, outcome: str) -> str:
    slug = entity.replace(" ", "-")
    return " ".join("@" + tag.format(entity=slug, outcome=outcome) for tag in tags)


def render_gherkin(rules: Rules, style: GherkinStyle) -> str:
    """The feature file."""
    pad = " " * style.indent
    lines = [_tags(style.feature_tags, rules.entity, "")] if style.feature_tags else []
    title = f"{rules.action.base.capitalize()} {with_article(rules.entity)}"
    lines.append(f"Feature: {style.feature_prefix}{title}")
    if style.background:
        lines += [f"{pad}Background:", f"{pad * 2}Given {style.background}"]
    for number, scenario in enumerate(_scenarios(rules, style), start=1):
        lines += _scenario_lines(scenario, number, style, rules.entity, pad)
    return "\n".join(lines)
