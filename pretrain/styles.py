"""Styles an artifact can be written in.

Every kind has one documented *plain* style (the defaults below), random mixes of customary knobs,
and *made-up* styles whose affixes, type names and extra parts are drawn at random. The made-up
ones teach the model to take a style from what it has already written, which is what makes a house
style it never saw learnable from a few hundred examples.
"""

import random
from dataclasses import dataclass, field

from lexicon import ATTRIBUTES, TypeClass, affix, plural, pseudo_word


@dataclass(frozen=True)
class Naming:
    """How tables and columns are called."""

    plural: bool = False
    case: str = "snake"
    table_prefix: str = ""
    table_suffix: str = ""
    column_prefix: str = ""
    column_suffix: str = ""
    primary_key: str = "id"
    foreign_key: str = "{e}_id"

    def table(self, name: str) -> str:
        """The table or entity name."""
        cased = apply_case(plural(name) if self.plural else name, self.case)
        return f"{self.table_prefix}{cased}{self.table_suffix}"

    def column(self, name: str) -> str:
        """The name of an ordinary column."""
        return f"{self.column_prefix}{name}{self.column_suffix}"

    def key(self, name: str) -> str:
        """The primary key column of an entity."""
        return self.primary_key.replace("{e}", name)

    def reference(self, name: str) -> str:
        """The foreign key column that refers to an entity."""
        return self.foreign_key.replace("{e}", name)


@dataclass(frozen=True)
class TableStyle:
    """A style of ER diagrams or CREATE TABLE statements."""

    naming: Naming = Naming()
    types: dict[TypeClass, str] = field(default_factory=dict)
    key_type: str = "int"
    first_columns: tuple[tuple[str, str], ...] = ()
    last_columns: tuple[tuple[str, str], ...] = ()
    quote_labels: bool = False
    label_prefix: str = ""
    label_suffix: str = ""
    not_null: bool = False
    lower_keywords: bool = False


@dataclass(frozen=True)
class QueryStyle:
    """A style of SELECT statements and of the schema they run on."""

    schema: TableStyle
    lower_keywords: bool = False
    one_line: bool = False
    comment: str = ""
    count_alias: str = ""
    limit: int = 0


@dataclass(frozen=True)
class GherkinStyle:
    """A style of feature files."""

    feature_tags: tuple[str, ...] = ()
    scenario_tags: tuple[str, ...] = ()
    feature_prefix: str = ""
    scenario_prefix: str = ""
    numbered: bool = False
    given: str = "a logged-in {role}"
    actor: str = "the {role}"
    success: str = "the {entity} is {participle}"
    refusal: str = "access is denied"
    error: str = "an error says that {rule}"
    background: str = ""
    extra_first: str = ""
    extra_last: str = ""
    indent: int = 2


@dataclass(frozen=True)
class CasesStyle:
    """A style of Markdown test-case tables."""

    headers: tuple[str, str] = ("case", "expected")
    valid: str = "valid"
    invalid: str = "invalid"
    number_prefix: str = ""
    number_header: str = ""
    number_width: int = 1
    extra_column: tuple[str, str] | None = None
    value_header: str = "{field}"
    capital_cases: bool = False


PLAIN_ERD_TYPES = {
    TypeClass.INT: "int",
    TypeClass.DECIMAL: "decimal",
    TypeClass.STRING: "string",
    TypeClass.DATE: "date",
}
PLAIN_SQL_TYPES = {
    TypeClass.INT: "INTEGER",
    TypeClass.DECIMAL: "NUMERIC",
    TypeClass.STRING: "TEXT",
    TypeClass.DATE: "DATE",
}
PLAIN_ERD = TableStyle(types=PLAIN_ERD_TYPES)
PLAIN_DDL = TableStyle(types=PLAIN_SQL_TYPES, key_type="INTEGER")
PLAIN_QUERY = QueryStyle(schema=PLAIN_DDL)
PLAIN_GHERKIN = GherkinStyle()
PLAIN_CASES = CasesStyle()

_ERD_TYPE_NAMES: dict[TypeClass, tuple[str, ...]] = {
    TypeClass.INT: ("int", "integer", "number", "bigint", "Integer", "long"),
    TypeClass.DECIMAL: ("decimal", "numeric", "float", "money", "double", "number"),
    TypeClass.STRING: ("string", "varchar", "text", "char", "String", "str"),
    TypeClass.DATE: ("date", "datetime", "timestamp", "Date", "time"),
}
_SQL_TYPE_NAMES: dict[TypeClass, tuple[str, ...]] = {
    TypeClass.INT: ("INTEGER", "INT", "BIGINT", "SMALLINT", "int"),
    TypeClass.DECIMAL: ("NUMERIC", "DECIMAL(10,2)", "REAL", "DOUBLE PRECISION", "NUMERIC(12,2)"),
    TypeClass.STRING: ("TEXT", "VARCHAR(255)", "VARCHAR(100)", "VARCHAR", "text"),
    TypeClass.DATE: ("DATE", "TIMESTAMP", "DATETIME", "date", "TEXT"),
}
_AUDIT_SETS: tuple[tuple[str, ...], ...] = (
    ("created_at",),
    ("created_at", "updated_at"),
    ("created_at", "created_by"),
    ("inserted_at", "changed_at"),
    ("updated_at",),
    ("deleted_at",),
    ("row_version",),
)


def apply_case(name: str, case: str) -> str:
    """A snake_case name in another case."""
    if case == "Pascal":
        return "".join(part.capitalize() for part in name.split("_"))
    if case == "UPPER":
        return name.upper()
    return name


def _mixed_naming(rng: random.Random) -> Naming:
    return Naming(
        plural=rng.random() < 0.6,
        case=rng.choice(("snake", "snake", "snake", "Pascal", "UPPER")),
        primary_key=rng.choice(("id", "{e}_id", "{e}_id", "uuid", "{e}_key")),
        foreign_key=rng.choice(("{e}_id", "{e}_id", "{e}_ref", "fk_{e}")),
    )


def _key_pattern(rng: random.Random) -> str:
    letters = affix(rng)
    patterns = ("id", "{e}_id", "{e}_pk", f"{letters}_{{e}}", f"{{e}}_{letters}", f"{letters}_id")
    return rng.choice((*patterns, f"{letters}_pk", f"{letters}_{pseudo_word(rng)}"))


def _reference_pattern(rng: random.Random) -> str:
    letters = affix(rng)
    patterns = ("{e}_id", "{e}_fk", "fk_{e}", f"{letters}_{{e}}", f"{{e}}_{letters}")
    return rng.choice((*patterns, f"{letters}_{{e}}_id"))


def _madeup_naming(rng: random.Random) -> Naming:
    joint = rng.choice(("_", "_", ""))
    prefix = affix(rng) + joint if rng.random() < 0.65 else ""
    suffix = joint + affix(rng) if rng.random() < 0.35 else ""
    return Naming(
        plural=rng.random() < 0.4,
        case=rng.choice(("snake", "snake", "snake", "Pascal", "UPPER")),
        table_prefix=prefix,
        table_suffix=suffix,
        column_prefix=affix(rng) + "_" if rng.random() < 0.3 else "",
        column_suffix="_" + affix(rng) if rng.random() < 0.2 else "",
        primary_key=_key_pattern(rng),
        foreign_key=_reference_pattern(rng),
    )


def _type_word(rng: random.Random) -> str:
    """A made-up type name; never a key word of the diagram's grammar."""
    while True:
        word = rng.choice((affix(rng), affix(rng), pseudo_word(rng), f"{affix(rng)}_t"))
        if word not in ("pk", "fk", "uk"):
            return word


def _extra_columns(rng: random.Random, types: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    columns: dict[str, str] = {}
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        letters = affix(rng)
        name = rng.choice(
            (
                f"{letters}_{pseudo_word(rng)}",
                f"{rng.choice(ATTRIBUTES).name}_{letters}",
                f"{letters}_{rng.choice(('at', 'by', 'flag', 'ver', 'hash', 'src', 'ts'))}",
                rng.choice(("created_at", "created_by", "deleted_at", "row_version", "tenant")),
            )
        )
        columns.setdefault(name, rng.choice(types))
    return tuple((type_name, name) for name, type_name in columns.items())


def _audit_columns(rng: random.Random, type_name: str) -> tuple[tuple[str, str], ...]:
    if rng.random() < 0.5:
        return ()
    return tuple((type_name, name) for name in rng.choice(_AUDIT_SETS))


def _pick_types(
    rng: random.Random, names: dict[TypeClass, tuple[str, ...]]
) -> dict[TypeClass, str]:
    return {type_class: rng.choice(options) for type_class, options in names.items()}


def mixed_erd(rng: random.Random) -> TableStyle:
    """Customary ER diagram habits in a random mix."""
    types = _pick_types(rng, _ERD_TYPE_NAMES)
    return TableStyle(
        naming=_mixed_naming(rng),
        types=types,
        key_type=rng.choice((types[TypeClass.INT], "uuid", "uuid")),
        last_columns=_audit_columns(rng, types[TypeClass.DATE]),
        quote_labels=rng.random() < 0.5,
    )


def madeup_erd(rng: random.Random) -> TableStyle:
    """A house style of ER diagrams nobody uses."""
    types = _pick_types(rng, _ERD_TYPE_NAMES)
    for type_class in types:
        if rng.random() < 0.55:
            types[type_class] = _type_word(rng)
    known = (*types.values(), "string", "datetime", "bool", "json", _type_word(rng))
    return TableStyle(
        naming=_madeup_naming(rng),
        types=types,
        key_type=rng.choice((types[TypeClass.INT], "uuid", _type_word(rng))),
        first_columns=_extra_columns(rng, known) if rng.random() < 0.5 else (),
        last_columns=_extra_columns(rng, known),
        quote_labels=rng.random() < 0.5,
        label_prefix=affix(rng) + "_" if rng.random() < 0.25 else "",
        label_suffix="_" + affix(rng) if rng.random() < 0.25 else "",
    )


def mixed_ddl(rng: random.Random) -> TableStyle:
    """Customary CREATE TABLE habits in a random mix."""
    types = _pick_types(rng, _SQL_TYPE_NAMES)
    return TableStyle(
        naming=_mixed_naming(rng),
        types=types,
        key_type=rng.choice(("INTEGER", "INTEGER", "UUID", "BIGINT", "SERIAL")),
        last_columns=_audit_columns(rng, types[TypeClass.DATE]),
        not_null=rng.random() < 0.5,
        lower_keywords=rng.random() < 0.15,
    )


def madeup_ddl(rng: random.Random) -> TableStyle:
    """A house style of CREATE TABLE statements nobody uses."""
    base = mixed_ddl(rng)
    known = (*base.types.values(), "BOOLEAN", "JSON", "CHAR(1)")
    return TableStyle(
        naming=_madeup_naming(rng),
        types=base.types,
        key_type=base.key_type,
        first_columns=_extra_columns(rng, known) if rng.random() < 0.5 else (),
        last_columns=_extra_columns(rng, known),
        not_null=base.not_null,
        lower_keywords=base.lower_keywords,
    )


def mixed_query(rng: random.Random) -> QueryStyle:
    """Customary SELECT habits in a random mix."""
    return QueryStyle(
        schema=rng.choice((PLAIN_DDL, mixed_ddl(rng))),
        lower_keywords=rng.random() < 0.5,
        one_line=rng.random() < 0.5,
        count_alias=rng.choice(("", "total", "result")),
        limit=rng.choice((0, 0, 100)),
    )


def madeup_query(rng: random.Random) -> QueryStyle:
    """SELECT statements with made-up comments, aliases and limits on made-up schemas."""
    return QueryStyle(
        schema=rng.choice((PLAIN_DDL, madeup_ddl(rng), madeup_ddl(rng))),
        lower_keywords=rng.random() < 0.3,
        one_line=rng.random() < 0.3,
        comment=rng.choice(("", f"{affix(rng)}: {pseudo_word(rng)}", pseudo_word(rng))),
        count_alias=rng.choice(("", f"{affix(rng)}_{pseudo_word(rng)}", f"n_{affix(rng)}")),
        limit=rng.choice((0, 0, 50, 100, 200, 500)),
    )


def mixed_gherkin(rng: random.Random) -> GherkinStyle:
    """Customary Gherkin habits in a random mix."""
    return GherkinStyle(
        feature_tags=rng.choice(((), ("{entity}",), ("regression",))),
        scenario_tags=rng.choice(((), ("{outcome}",), ("smoke",))),
        given=rng.choice(
            ("a logged-in {role}", 'the user is logged in as "{role}"', "I am {arole}")
        ),
        actor=rng.choice(("the {role}", "the user", "they")),
        success=rng.choice(("the {entity} is {participle}", "the {action} succeeds")),
        refusal=rng.choice(("access is denied", "they see an access error", "it is refused")),
        error=rng.choice(("an error says that {rule}", 'they see the error "{rule}"')),
        background=rng.choice(("", "", "the system is running", "the audit log is empty")),
        indent=rng.choice((2, 2, 4)),
    )


def _madeup_step(rng: random.Random) -> str:
    subject = rng.choice((pseudo_word(rng), rng.choice(("audit", "event", "access")) + " log"))
    return f"the {subject} {rng.choice(('is', 'shows', 'records', 'has'))} {pseudo_word(rng)}"


def madeup_gherkin(rng: random.Random) -> GherkinStyle:
    """Feature files with made-up tags, wordings, prefixes and extra steps."""
    base = mixed_gherkin(rng)
    given = rng.choice((base.given, f"the {pseudo_word(rng)} {{role}} is {pseudo_word(rng)}"))
    actor = rng.choice((base.actor, "the {role} " + pseudo_word(rng), pseudo_word(rng) + " {role}"))
    return GherkinStyle(
        feature_tags=rng.choice(((), (f"{affix(rng)}-{{entity}}",), (pseudo_word(rng),))),
        scenario_tags=rng.choice(
            ((), (f"{affix(rng)}-{{outcome}}",), (pseudo_word(rng), "{outcome}"))
        ),
        feature_prefix=rng.choice(("", f"{affix(rng).upper()} ", f"[{pseudo_word(rng)}] ")),
        scenario_prefix=rng.choice(("", f"{affix(rng).upper()}-", f"{pseudo_word(rng)} ")),
        numbered=rng.random() < 0.4,
        given=given,
        actor=actor,
        success=rng.choice((base.success, f"the {{entity}} is {pseudo_word(rng)}")),
        refusal=rng.choice((base.refusal, f"{pseudo_word(rng)} is shown")),
        error=rng.choice((base.error, f'{pseudo_word(rng)} "{{rule}}"')),
        background=rng.choice(("", "", _madeup_step(rng))),
        extra_first=rng.choice(("", "", _madeup_step(rng))),
        extra_last=rng.choice(("", _madeup_step(rng))),
        indent=base.indent,
    )


def mixed_cases(rng: random.Random) -> CasesStyle:
    """Customary test-case tables in a random mix."""
    valid, invalid = rng.choice(
        (("valid", "invalid"), ("accepted", "rejected"), ("pass", "fail"), ("ok", "error"))
    )
    numbered = rng.random() < 0.5
    return CasesStyle(
        headers=rng.choice((("case", "expected"), ("description", "result"), ("Case", "Expected"))),
        valid=valid,
        invalid=invalid,
        number_prefix=rng.choice(("TC-", "", "#")) if numbered else "",
        number_header=rng.choice(("id", "no", "ID")) if numbered else "",
        number_width=rng.choice((1, 2, 3)),
        value_header=rng.choice(("{field}", "value", "input")),
        capital_cases=rng.random() < 0.3,
    )


def madeup_cases(rng: random.Random) -> CasesStyle:
    """Test-case tables with made-up headers, verdicts, numbers and columns."""
    numbered = rng.random() < 0.6
    return CasesStyle(
        headers=(
            rng.choice(("case", f"{affix(rng)}_case", pseudo_word(rng))),
            rng.choice(("expected", f"{affix(rng)}_expected", pseudo_word(rng))),
        ),
        valid=rng.choice(("valid", pseudo_word(rng), affix(rng).upper())),
        invalid=rng.choice(("invalid", pseudo_word(rng) + "ed", f"not {affix(rng)}")),
        number_prefix=affix(rng).upper() + rng.choice(("-", "_", "")) if numbered else "",
        number_header=rng.choice(("id", affix(rng), pseudo_word(rng))) if numbered else "",
        number_width=rng.choice((1, 2, 3)),
        extra_column=rng.choice((None, (pseudo_word(rng), pseudo_word(rng)))),
        value_header=rng.choice(("{field}", "value", f"{affix(rng)}_{{field}}")),
        capital_cases=rng.random() < 0.3,
    )
