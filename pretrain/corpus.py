"""The seeded stream of training examples."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import styles
from kind_cases import render_cases, rule_request, sample_rule
from kind_gherkin import render_gherkin, rules_request, sample_rules
from kind_query import ask_question, render_select
from kind_tables import render_ddl, render_erd
from lexicon import is_reserved
from phrasing import OPENERS, model_request, sentence_case
from spec import WordSource, pseudo_rate_of, sample_model

KIND_WEIGHTS: dict[str, float] = {
    "erd": 0.35,
    "ddl": 0.25,
    "query": 0.12,
    "gherkin": 0.18,
    "cases": 0.10,
}
LATE_KIND_WEIGHTS: dict[str, float] = {
    "erd": 0.25,
    "ddl": 0.45,
    "query": 0.10,
    "gherkin": 0.12,
    "cases": 0.08,
}
STYLE_WEIGHTS: dict[str, float] = {"plain": 0.45, "mixed": 0.15, "madeup": 0.40}
# The polish (polish.py): what the first turns left weak, and one style that is clearly the default.
POLISH_KIND_WEIGHTS: dict[str, float] = {
    "erd": 0.28,
    "ddl": 0.45,
    "query": 0.10,
    "gherkin": 0.10,
    "cases": 0.07,
}
POLISH_STYLE_WEIGHTS: dict[str, float] = {"plain": 0.65, "mixed": 0.08, "madeup": 0.27}
# The last round (polish.py): styles that nobody has seen, half of the time.
BROAD_STYLE_WEIGHTS: dict[str, float] = {"plain": 0.42, "mixed": 0.08, "madeup": 0.50}
ANY_WORDS = WordSource()


@dataclass(frozen=True)
class Example:
    """One request with the context it comes with and the artifact that answers it."""

    kind: str
    style: str
    prompt: str
    output: str
    context: dict[str, str] = field(default_factory=dict)

    @property
    def user_content(self) -> str:
        """The user turn: the prompt, then each part of the context under its key."""
        parts = [f"{key}:\n{value}" for key, value in self.context.items()]
        return "\n\n".join([self.prompt, *parts])


def _erd(rng: random.Random, style_name: str, source: WordSource) -> Example:
    model = sample_model(rng, source)
    makers = {"mixed": styles.mixed_erd, "madeup": styles.madeup_erd}
    style = makers[style_name](rng) if style_name in makers else styles.PLAIN_ERD
    prompt = model_request(rng, "erd", model)
    return Example("erd", style_name, prompt, render_erd(model, style))


def _ddl(rng: random.Random, style_name: str, source: WordSource) -> Example:
    model = sample_model(rng, source)
    makers = {"mixed": styles.mixed_ddl, "madeup": styles.madeup_ddl}
    style = makers[style_name](rng) if style_name in makers else styles.PLAIN_DDL
    prompt = model_request(rng, "ddl", model)
    return Example("ddl", style_name, prompt, render_ddl(model, style))


def _query(rng: random.Random, style_name: str, source: WordSource) -> Example:
    model = sample_model(rng, source, sizes=(1, 2, 2, 3))
    makers = {"mixed": styles.mixed_query, "madeup": styles.madeup_query}
    style = makers[style_name](rng) if style_name in makers else styles.PLAIN_QUERY
    ask, select = ask_question(rng, model, style)
    prompt = rng.choice(OPENERS["query"]).format(ask=ask)
    if rng.random() < 0.6:
        prompt = sentence_case(prompt)
    schema = render_ddl(model, style.schema)
    return Example("query", style_name, prompt, render_select(select, style), {"schema": schema})


def _gherkin(rng: random.Random, style_name: str, source: WordSource) -> Example:
    model = sample_model(rng, source, sizes=(1,))
    rules = sample_rules(rng, model, pseudo_rate_of(rng, source))
    makers = {"mixed": styles.mixed_gherkin, "madeup": styles.madeup_gherkin}
    style = makers[style_name](rng) if style_name in makers else styles.PLAIN_GHERKIN
    return Example("gherkin", style_name, rules_request(rng, rules), render_gherkin(rules, style))


def _cases(rng: random.Random, style_name: str, source: WordSource) -> Example:
    rule = sample_rule(rng, sample_model(rng, source, sizes=(1,)))
    makers = {"mixed": styles.mixed_cases, "madeup": styles.madeup_cases}
    style = makers[style_name](rng) if style_name in makers else styles.PLAIN_CASES
    return Example("cases", style_name, rule_request(rng, rule), render_cases(rule, style))


_MAKERS = {"erd": _erd, "ddl": _ddl, "query": _query, "gherkin": _gherkin, "cases": _cases}


def _draw(rng: random.Random, weights: dict[str, float]) -> str:
    return rng.choices(tuple(weights), tuple(weights.values()))[0]


def make_example(
    rng: random.Random,
    kind: str | None = None,
    style: str | None = None,
    source: WordSource = ANY_WORDS,
    weights: dict[str, float] = KIND_WEIGHTS,
    style_weights: dict[str, float] = STYLE_WEIGHTS,
) -> Example:
    """One random example; kind and style are drawn, by their weights, unless given."""
    kind = kind or _draw(rng, weights)
    style = style or _draw(rng, style_weights)
    while True:
        example = _MAKERS[kind](rng, style, source)
        # Affixes and words can meet in a reserved letter pair; such an example is thrown away.
        if not is_reserved(example.user_content + example.output):
            return example


def examples(seed: int) -> Iterator[Example]:
    """The endless stream of examples of a seed."""
    rng = random.Random(seed)
    while True:
        yield make_example(rng)
