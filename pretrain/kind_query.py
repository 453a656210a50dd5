"""Questions over a schema and the SELECT statements that answer them."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from kind_tables import keyword, sql_table
from lexicon import STRING_VALUES, Attribute, TypeClass, plural
from phrasing import join_words
from spec import Entity, Model, Relation
from styles import Naming, QueryStyle

_NUMERIC = (TypeClass.INT, TypeClass.DECIMAL)


@dataclass
class Select:
    """A SELECT statement before it is laid out; only the clauses in use are set."""

    source: str
    columns: list[str]
    joins: list[tuple[str, str]] = field(default_factory=list)
    where: str = ""
    group: str = ""
    order: str = ""
    descending: bool = False
    limit: int = 0
    counts: bool = False


@dataclass(frozen=True)
class Table:
    """An entity with the names the schema gives it."""

    entity: Entity
    naming: Naming

    @property
    def name(self) -> str:
        """The table name."""
        return sql_table(self.naming, self.entity)

    @property
    def plural(self) -> str:
        """The entity as the question says it."""
        return plural(self.entity.words)

    def column(self, attribute: Attribute) -> str:
        """The column that holds an attribute."""
        return self.naming.column(attribute.name)


Question = tuple[str, Select]


def _of_type(entity: Entity, types: tuple[TypeClass, ...]) -> list[Attribute]:
    return [attribute for attribute in entity.attributes if attribute.type_class in types]


def _list_columns(rng: random.Random, table: Table) -> Question:
    attributes = list(table.entity.attributes)
    chosen = rng.sample(attributes, rng.randint(1, min(3, len(attributes))))
    words = join_words([attribute.words for attribute in chosen])
    ask = rng.choice(
        (
            "list the {w} of all {E}",
            "show the {w} of every {e}",
            "what are the {w} of the {E}",
            "get {w} for each {e}",
            "show {w} from the {E}",
            "return the {w} of all {E}",
        )
    )
    select = Select(table.name, [table.column(attribute) for attribute in chosen])
    return ask.format(w=words, E=table.plural, e=table.entity.words), select


def _all_rows(rng: random.Random, table: Table) -> Question:
    ask = rng.choice(
        ("list all {E}", "show all {E}", "get every {e}", "return all columns of the {E}")
    )
    return ask.format(E=table.plural, e=table.entity.words), Select(table.name, ["*"])


def _count(rng: random.Random, table: Table) -> Question:
    ask = rng.choice(
        (
            "how many {E} are there",
            "count the {E}",
            "what is the number of {E}",
            "count all {E}",
            "how many {E} do we have",
        )
    )
    return ask.format(E=table.plural), Select(table.name, ["COUNT(*)"], counts=True)


_AGGREGATES = (
    ("AVG", ("average", "mean")),
    ("SUM", ("total", "sum of the")),
    ("MIN", ("lowest", "minimum", "smallest")),
    ("MAX", ("highest", "maximum", "largest")),
)


def _aggregate(rng: random.Random, table: Table) -> Question:
    numbers = _of_type(table.entity, _NUMERIC)
    if not numbers:
        return _count(rng, table)
    attribute = rng.choice(numbers)
    function, words = rng.choice(_AGGREGATES)
    ask = rng.choice(
        (
            "what is the {f} {a} of the {E}",
            "find the {f} {a} of all {E}",
            "show the {f} {a} over all {E}",
            "compute the {f} {a} of {E}",
            "the {f} {a} among the {E}",
        )
    ).format(f=rng.choice(words), a=attribute.words, E=table.plural)
    return ask, Select(table.name, [f"{function}({table.column(attribute)})"], counts=True)


def _number_filter(rng: random.Random, table: Table, attribute: Attribute) -> tuple[str, str]:
    value = rng.choice((rng.randint(1, 99), rng.randint(1, 20) * 10, rng.randint(1, 20) * 100))
    operator, phrases = rng.choice(
        (
            (">", ("above", "greater than", "more than", "over")),
            ("<", ("below", "less than", "under")),
            (">=", ("of at least", "of {v} or more")),
            ("<=", ("of at most", "of {v} or less")),
            ("=", ("equal to", "of")),
        )
    )
    phrase = rng.choice(phrases)
    said = phrase.format(v=value) if "{v}" in phrase else f"{phrase} {value}"
    text = (
        f"with {attribute.words} {said}"
        if rng.random() < 0.5
        else (f"whose {attribute.words} is {said.removeprefix('of ')}")
    )
    return text, f"{table.column(attribute)} {operator} {value}"


def _filter(rng: random.Random, table: Table) -> tuple[str, str]:
    """A condition as words and as SQL."""
    attribute = rng.choice(table.entity.attributes)
    column = table.column(attribute)
    if attribute.type_class in _NUMERIC:
        return _number_filter(rng, table, attribute)
    if attribute.type_class == TypeClass.DATE:
        day = f"20{rng.randint(18, 27)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
        operator, word = rng.choice(((">", "after"), ("<", "before")))
        return f"with {attribute.words} {word} {day}", f"{column} {operator} '{day}'"
    value = rng.choice(STRING_VALUES)
    ask = rng.choice(
        (
            "whose {a} is {v}",
            "with {a} {v}",
            "where the {a} is '{v}'",
            "with {a} equal to '{v}'",
            "whose {a} equals {v}",
        )
    )
    return ask.format(a=attribute.words, v=value), f"{column} = '{value}'"


def _filtered_count(rng: random.Random, table: Table) -> Question:
    said, condition = _filter(rng, table)
    ask = rng.choice(
        ("how many {E} are there {s}", "count the {E} {s}", "what is the number of {E} {s}")
    ).format(E=table.plural, s=said)
    return ask, Select(table.name, ["COUNT(*)"], where=condition, counts=True)


def _filtered(rng: random.Random, table: Table) -> Question:
    ask, select = rng.choice((_list_columns, _all_rows, _aggregate))(rng, table)
    if select.columns == ["COUNT(*)"]:
        return _filtered_count(rng, table)
    said, select.where = _filter(rng, table)
    return f"{ask} {said}", select


def _per_value(rng: random.Random, table: Table) -> Question:
    groups = _of_type(table.entity, (TypeClass.STRING,)) or list(table.entity.attributes)
    group = rng.choice(groups)
    column = table.column(group)
    numbers = [a for a in _of_type(table.entity, _NUMERIC) if a != group]
    if numbers and rng.random() < 0.5:
        attribute = rng.choice(numbers)
        function, words = rng.choice(_AGGREGATES)
        what = f"the {rng.choice(words)} {attribute.words} of {table.plural}"
        measure = f"{function}({table.column(attribute)})"
    else:
        what = rng.choice(("the number of {E}", "how many {E} there are", "the count of {E}"))
        what = what.format(E=table.plural)
        measure = "COUNT(*)"
    ask = rng.choice(
        (
            "show {w} per {g}",
            "show {w} for each {g}",
            "list {w} by {g}",
            "find {w} for every {g}",
            "{w}, grouped by {g}",
        )
    ).format(w=what, g=group.words)
    return ask, Select(table.name, [column, measure], group=column, counts=True)


def _ordered(rng: random.Random, table: Table) -> Question:
    maker = rng.choice((_list_columns, _all_rows))
    ask, select = maker(rng, table)
    attribute = rng.choice(table.entity.attributes)
    select.order = table.column(attribute)
    select.descending = rng.random() < 0.5
    words = (
        (
            ", highest {a} first",
            ", sorted by {a} descending",
            ", ordered by {a} in descending order",
        )
        if select.descending
        else (", sorted by {a}", ", ordered by {a}", ", lowest {a} first")
    )
    return ask + rng.choice(words).format(a=attribute.words), select


def _top(rng: random.Random, table: Table) -> Question:
    ranked = _of_type(table.entity, (*_NUMERIC, TypeClass.DATE)) or list(table.entity.attributes)
    attribute = rng.choice(ranked)
    number = rng.choice((1, 2, 3, 5, 5, 10, 10, 20, rng.randint(2, 50)))
    shown = rng.choice((None, rng.choice(table.entity.attributes)))
    select = Select(table.name, [table.column(shown) if shown else "*"], limit=number)
    select.order = table.column(attribute)
    select.descending = rng.random() < 0.7
    extreme = "highest" if select.descending else "lowest"
    forms = [f"the {number} {table.plural} with the {extreme} {attribute.words}"]
    if select.descending:
        forms.append(f"the top {number} {table.plural} by {attribute.words}")
    what = rng.choice(forms)
    verb = rng.choice(("show", "find", "list", "get"))
    return f"{verb} {f'the {shown.words} of ' if shown else ''}{what}", select


def _join_clause(parent: Table, child: Table) -> tuple[str, str]:
    reference = child.naming.reference(parent.entity.name)
    key = parent.naming.key(parent.entity.name)
    return parent.name, f"{child.name}.{reference} = {parent.name}.{key}"


def _joined_columns(rng: random.Random, parent: Table, child: Table) -> Question:
    theirs, own = rng.choice(parent.entity.attributes), rng.choice(child.entity.attributes)
    ask = rng.choice(
        (
            "show the {o} of each {c} with the {t} of its {p}",
            "list the {o} of every {c} together with the {t} of the {p}",
            "list {C} with their {o} and the {t} of their {p}",
            "for each {c}, show the {o} and the {t} of its {p}",
            "show {c} {o} and {p} {t}",
        )
    ).format(
        o=own.words, t=theirs.words, c=child.entity.words, C=child.plural, p=parent.entity.words
    )
    columns = [f"{child.name}.{child.column(own)}", f"{parent.name}.{parent.column(theirs)}"]
    return ask, Select(child.name, columns, joins=[_join_clause(parent, child)])


def _joined_counts(rng: random.Random, parent: Table, child: Table) -> Question:
    theirs = rng.choice(parent.entity.attributes)
    ask = rng.choice(
        (
            "how many {C} does each {p} have, by {t}",
            "count the {C} per {p} {t}",
            "show the {t} of each {p} and the number of its {C}",
            "for each {p}, show the {t} and how many {C} there are",
            "show the number of {C} for each {p} {t}",
        )
    ).format(t=theirs.words, C=child.plural, p=parent.entity.words)
    column = f"{parent.name}.{parent.column(theirs)}"
    select = Select(child.name, [column, "COUNT(*)"], group=column, counts=True)
    select.joins.append(_join_clause(parent, child))
    return ask, select


def _joined_filter(rng: random.Random, parent: Table, child: Table) -> Question:
    own = rng.choice(child.entity.attributes)
    said, condition = _filter(rng, parent)
    ask = rng.choice(
        (
            "list the {o} of the {C} of {P} {said}",
            "show the {o} of all {C} that belong to {P} {said}",
            "find the {o} of {C} for {P} {said}",
        )
    ).format(o=own.words, C=child.plural, P=parent.plural, said=said)
    select = Select(child.name, [f"{child.name}.{child.column(own)}"])
    select.joins.append(_join_clause(parent, child))
    select.where = f"{parent.name}.{condition}"
    return ask, select


_SINGLE: tuple[Callable[[random.Random, Table], Question], ...] = (
    _list_columns,
    _all_rows,
    _count,
    _aggregate,
    _filtered,
    _filtered,
    _filtered_count,
    _per_value,
    _per_value,
    _ordered,
    _top,
)
_JOINED: tuple[Callable[[random.Random, Table, Table], Question], ...] = (
    _joined_columns,
    _joined_counts,
    _joined_filter,
)


def ask_question(rng: random.Random, model: Model, style: QueryStyle) -> Question:
    """A question over the model's schema and its answer."""
    naming = style.schema.naming

    def usable(rel: Relation) -> bool:
        return bool(rel.parent.attributes and rel.child.attributes)

    links = [relation for relation in model.relations if usable(relation)]
    if links and rng.random() < 0.35:
        link = rng.choice(links)
        return rng.choice(_JOINED)(rng, Table(link.parent, naming), Table(link.child, naming))
    entity = rng.choice([entity for entity in model.entities if entity.attributes])
    return rng.choice(_SINGLE)(rng, Table(entity, naming))


def render_select(select: Select, style: QueryStyle) -> str:
    """The statement, one clause a line unless the style wants one line."""

    def word(text: str) -> str:
        return keyword(text, style.lower_keywords)

    shown = list(select.columns)
    if style.lower_keywords:
        shown = [_lower_function(column) for column in shown]
    if select.counts and style.count_alias:
        shown[-1] += f" {word('AS')} {style.count_alias}"
    clauses = [f"{word('SELECT')} {', '.join(shown)}", f"{word('FROM')} {select.source}"]
    for table, condition in select.joins:
        clauses.append(f"{word('JOIN')} {table} {word('ON')} {condition}")
    if select.where:
        clauses.append(f"{word('WHERE')} {select.where}")
    if select.group:
        clauses.append(f"{word('GROUP BY')} {select.group}")
    if select.order:
        direction = f" {word('DESC')}" if select.descending else ""
        clauses.append(f"{word('ORDER BY')} {select.order}{direction}")
    limit = select.limit or style.limit
    if limit:
        clauses.append(f"{word('LIMIT')} {limit}")
    text = (" " if style.one_line else "\n").join(clauses) + ";"
    return f"-- {style.comment}\n{text}" if style.comment else text


def _lower_function(column: str) -> str:
    name, bracket, rest = column.partition("(")
    return f"{name.lower()}{bracket}{rest}" if bracket else column
