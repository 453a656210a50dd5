"""ER diagrams and CREATE TABLE statements of a data model in a given style."""

from dataclasses import dataclass

from lexicon import Attribute, plural
from spec import Cardinality, Entity, Model, Relation
from styles import Naming, TableStyle, apply_case

# Table names that are SQL keywords are written in the plural, whatever the style says.
SQL_KEYWORD_NOUNS = frozenset({"order"})

_CARDINALITY_MARKS = {
    Cardinality.MANY: "||--o{",
    Cardinality.SOME: "||--|{",
    Cardinality.ONE: "||--||",
}


@dataclass(frozen=True)
class Column:
    """A column with what it stands for: a key, a reference, an attribute or an extra."""

    type_name: str
    name: str
    is_key: bool = False
    target: Entity | None = None
    attribute: Attribute | None = None


def columns(entity: Entity, model: Model, style: TableStyle) -> list[Column]:
    """The columns of an entity: key, references, attributes, and the style's own columns."""
    naming = style.naming
    found = [Column(style.key_type, naming.key(entity.name), is_key=True)]
    found += [Column(type_name, name) for type_name, name in style.first_columns]
    for parent in model.parents(entity):
        found.append(Column(style.key_type, naming.reference(parent.name), target=parent))
    for attribute in entity.attributes:
        type_name = style.types[attribute.type_class]
        found.append(Column(type_name, naming.column(attribute.name), attribute=attribute))
    found += [Column(type_name, name) for type_name, name in style.last_columns]
    return list({column.name.lower(): column for column in reversed(found)}.values())[::-1]


def _erd_label(relation: Relation, style: TableStyle) -> str:
    label = f"{style.label_prefix}{relation.verb.third}{style.label_suffix}"
    return f'"{label}"' if style.quote_labels else label


def _erd_entity(entity: Entity, model: Model, style: TableStyle) -> list[str]:
    lines = [f"  {style.naming.table(entity.name)} {{"]
    for column in columns(entity, model, style):
        mark = " PK" if column.is_key else " FK" if column.target else ""
        lines.append(f"    {column.type_name} {column.name}{mark}")
    return [*lines, "  }"]


def render_erd(model: Model, style: TableStyle) -> str:
    """The Mermaid ER diagram."""
    lines = ["erDiagram"]
    for entity in model.entities:
        lines += _erd_entity(entity, model, style)
    for relation in model.relations:
        parent = style.naming.table(relation.parent.name)
        child = style.naming.table(relation.child.name)
        mark = _CARDINALITY_MARKS[relation.cardinality]
        lines.append(f"  {parent} {mark} {child} : {_erd_label(relation, style)}")
    return "\n".join(lines)


def sql_table(naming: Naming, entity: Entity) -> str:
    """The table name, changed where it would be an SQL keyword."""
    name = naming.table(entity.name)
    return (
        apply_case(plural(entity.name), naming.case) if name.lower() in SQL_KEYWORD_NOUNS else name
    )


def keyword(text: str, lower: bool) -> str:
    """An SQL keyword in the case the style wants."""
    return text.lower() if lower else text


def _ddl_column(column: Column, style: TableStyle) -> str:
    text = f"  {column.name} {column.type_name}"
    if column.is_key:
        return text + keyword(" PRIMARY KEY", style.lower_keywords)
    if style.not_null:
        text += keyword(" NOT NULL", style.lower_keywords)
    if column.target:
        target = sql_table(style.naming, column.target)
        word = keyword("REFERENCES", style.lower_keywords)
        text += f" {word} {target}({style.naming.key(column.target.name)})"
    return text


def render_ddl(model: Model, style: TableStyle) -> str:
    """The CREATE TABLE statements, parents before children."""
    statements = []
    for entity in model.parents_first():
        body = ",\n".join(_ddl_column(column, style) for column in columns(entity, model, style))
        opening = keyword("CREATE TABLE", style.lower_keywords)
        statements.append(f"{opening} {sql_table(style.naming, entity)} (\n{body}\n);")
    return "\n".join(statements)
