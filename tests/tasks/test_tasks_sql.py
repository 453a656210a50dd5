import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honewheel.errors import ParseError
from honewheel.tasks.sql import MAX_DEPTH, Sql

TASK = Sql()
SCHEMA = """CREATE TABLE customers (
  customer_id UUID PRIMARY KEY,
  name VARCHAR(255) NOT NULL,
  email TEXT UNIQUE
);
CREATE TABLE orders (
  order_id UUID PRIMARY KEY,
  customer_id UUID NOT NULL REFERENCES customers(customer_id) ON DELETE CASCADE,
  total NUMERIC(10, 2) DEFAULT 0 CHECK (total >= 0)
);
CREATE TABLE items (
  order_id UUID REFERENCES orders(order_id),
  line INTEGER NOT NULL,
  amount INT,
  PRIMARY KEY (order_id, line)
);"""
TABLES = re.findall(r"CREATE.*?;", SCHEMA, re.DOTALL)
MUTATIONS = {
    "reference dropped": (" REFERENCES orders(order_id)", ""),
    "reference action dropped": (" ON DELETE CASCADE", ""),
    "column dropped": ("  amount INT,\n", ""),
    "column renamed": ("amount", "quantity"),
    "type changed": ("NUMERIC(10, 2)", "DECIMAL(10, 2)"),
    "size changed": ("255", "100"),
    "not null dropped": ("UUID NOT NULL", "UUID"),
    "unique dropped": (" UNIQUE", ""),
    "default changed": ("DEFAULT 0", "DEFAULT 1"),
    "check changed": (">= 0", "> 0"),
    "key changed": ("PRIMARY KEY (order_id, line)", "PRIMARY KEY (line, order_id)"),
    "table renamed": ("items", "lines"),
    "table dropped": (TABLES[2], ""),
}
SHAPE_KEPT = {"column renamed", "table renamed"}


def errors(output, context=None):
    return [finding.code for finding in TASK.check(output, context or {}).findings]


# --- definitions


def test_a_good_schema_has_no_findings():
    assert TASK.check(SCHEMA, {}).score == 1


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("", "no-statement", None),
        ("-- nothing\n;;", "no-statement", None),
        ("INSERT INTO a VALUES (1)", "sql-error", 1),
        ("CREATE TABLE a (id INT PRIMARY KEY);\n\nCREATE TABLE order (id INT);", "sql-error", 3),
        ("CREATE TABLE a (id INT PRIMARY KEY);\nSELECT * FROM a", "forbidden", 2),
        ("CREATE TABLE a (id INT PRIMARY KEY);\nDELETE FROM a", "forbidden", 2),
        ("CREATE TABLE a (id INT PRIMARY KEY);\nDROP TABLE a", "forbidden", 2),
        ("CREATE VIEW v AS SELECT 1", "no-table", None),
        ("CREATE TABLE a (id INT PRIMARY KEY\n, b INT REFERENCES c(id))", "dangling-reference", 1),
        ("CREATE TABLE a (id INT PRIMARY KEY, b INT REFERENCES a(x))", "dangling-reference", 1),
        ("CREATE TABLE a (id INT PRIMARY KEY, b INT REFERENCES a(b))", "dangling-reference", 1),
        ("CREATE TABLE a (x INT, y INT, PRIMARY KEY (x, y));"
         "\nCREATE TABLE b (id INT PRIMARY KEY REFERENCES a)", "dangling-reference", 2),
        ("```sql\nCREATE TABLE a (id INT)\n```", "code-fence", 1),
        ("CREATE TABLE a (id INT\0)", "not-sql", None),
        ("SELECT " + "(" * (MAX_DEPTH + 1), "too-deep", None),
    ],
)  # fmt: skip
def test_an_invalid_schema_is_found_out_with_its_line(text, code, line):
    check = TASK.check(text, {})
    assert check.score == 0
    assert (check.findings[0].code, check.findings[0].line) == (code, line)


def test_a_table_without_a_primary_key_is_a_warning():
    check = TASK.check("CREATE TABLE a (id INT);\nINSERT INTO a VALUES (1);", {})
    assert check.valid
    assert (check.score, check.findings[0].code) == (0.9, "no-primary-key")


def test_sqlite_must_run_it_and_sqlglot_must_read_it():
    assert errors("CREATE TABLE a (b INT PRIMARY KEY DEFAULT now())") == ["sql-error"]
    joins = "CREATE VIEW v AS SELECT 1 FROM a" + " JOIN a" * 9
    assert errors(f"CREATE TABLE a (id INT PRIMARY KEY); {joins}") == ["syntax"]


def test_where_a_key_is_declared_does_not_matter_but_its_words_do():
    below = """CREATE TABLE a (id INTEGER, b, CONSTRAINT k PRIMARY KEY (id), UNIQUE (b),
      CONSTRAINT f FOREIGN KEY (b) REFERENCES a (id))"""
    beside = "CREATE TABLE a (id integer PRIMARY KEY, b UNIQUE REFERENCES a(id))"
    assert TASK.facts(below, {}) == TASK.facts(beside, {})
    assert ("column", "a", "id", "INTEGER", "") in TASK.facts(beside, {})
    assert TASK.facts(beside.replace("integer", "int"), {}) != TASK.facts(beside, {})
    assert TASK.equivalence_key(below, {}) == TASK.equivalence_key(beside, {})


@given(st.permutations(TABLES), st.sampled_from(["\n", "\n-- note\n", " /* ; */ "]))
def test_order_comments_and_layout_change_neither_facts_nor_key(parts, between):
    text = between.join(parts).replace("\n  ", "\n\t\t").replace("VARCHAR", "varchar")
    assert TASK.facts(text, {}) == TASK.facts(SCHEMA, {})
    assert TASK.equivalence_key(text, {}) == TASK.equivalence_key(SCHEMA, {})


@given(st.randoms(use_true_random=False))
def test_renaming_tables_and_columns_keeps_the_key(rng):
    names = "customers orders items customer_id order_id name email total line amount".split()
    fresh = {name: f"n{number}" for number, name in enumerate(rng.sample(names, len(names)))}
    text = re.sub(rf"\b({'|'.join(names)})\b", lambda match: fresh[match[0]], SCHEMA)
    assert TASK.equivalence_key(text, {}) == TASK.equivalence_key(SCHEMA, {})
    assert TASK.compare(text, SCHEMA, {})["score"] == 0


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_single_change_of_a_schema_lowers_the_score(name):
    old, new = MUTATIONS[name]
    assert old in SCHEMA
    found = TASK.compare(SCHEMA.replace(old, new), SCHEMA, {})
    assert found["valid"] == 1
    assert found["score"] < 1
    assert found["equivalent"] == (name in SHAPE_KEPT)


def test_a_schema_with_a_dangling_reference_still_has_facts():
    assert TASK.facts(TABLES[1], {}) < TASK.facts(SCHEMA, {})
    assert not TASK.check(TABLES[1], {}).valid


def test_comments_are_no_facts():
    noted = TABLES[0].replace("NOT NULL", "NOT NULL /* always */").replace(",", ", -- x\n")
    assert TASK.facts(noted + "-- end", {}) == TASK.facts(TABLES[0], {})
    assert TASK.equivalence_key(noted, {}) == TASK.equivalence_key(TABLES[0], {})


# --- queries

SHOP = {
    "schema": """CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers(id),
  total DECIMAL(10, 2), status VARCHAR(20) CHECK (status IN ('open', 'paid')), placed DATE);"""
}
QUERY = """SELECT c.name, SUM(o.total) AS spent FROM customers c
JOIN orders o ON o.customer_id = c.id
WHERE o.status = 'paid' AND c.city <> 'ember' GROUP BY c.name, c.city
HAVING COUNT(*) > 1 ORDER BY spent DESC, c.name LIMIT 7"""


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "no-statement"),
        ("SELECT 1; SELECT 2", "several-statements"),
        ("SELECT nope FROM orders", "sql-error"),
        ("DELETE FROM orders", "forbidden"),
        ("VALUES (1)", "syntax"),
        ("EXPLAIN SELECT 1", "syntax"),
        ("WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT MAX(x) FROM r",
         "too-slow"),
    ],
)  # fmt: skip
def test_a_query_must_be_one_select_that_runs(text, code):
    assert errors(text, SHOP) == [code]


def test_a_query_is_checked_against_the_schema_of_its_context():
    assert TASK.check(QUERY, SHOP).score == 1
    assert errors(QUERY) == ["sql-error"]
    assert errors(QUERY, {"schema": "CREATE TABL x"}) == ["bad-schema"]
    assert TASK.check("SELECT 1 UNION SELECT 2", SHOP).valid


def test_query_facts_are_its_clauses_part_by_part():
    assert TASK.facts(QUERY, SHOP) == {
        ("select", "", "c.name"),
        ("select", "", "SUM(o.total) AS spent"),
        ("columns", "", "c.name, SUM(o.total) AS spent"),
        ("from", "", "customers AS c"),
        ("join", "", "inner", "orders AS o"),
        ("on", "", "orders AS o", "o.customer_id = c.id"),
        ("where", "", "o.status = 'paid'"),
        ("where", "", "c.city <> 'ember'"),
        ("group", "", "c.name"),
        ("group", "", "c.city"),
        ("having", "", "COUNT(*) > 1"),
        ("order", "", "0", "spent DESC"),
        ("order", "", "1", "c.name"),
        ("limit", "", "7"),
    }


def test_facts_of_with_and_union_say_which_part_they_belong_to():
    found = TASK.facts("WITH t AS (SELECT 1 AS x) SELECT x FROM t UNION ALL SELECT 2", SHOP)
    assert {("with", "", "t"), ("select", "/t", "1 AS x"), ("set", "", "union", "all")} <= found
    assert {("select", "/1", "x"), ("select", "/2", "2")} <= found


EQUIVALENT = [
    # aliases, unqualified names, comma joins, sides of comparisons, order of conjuncts
    """select customers.name, sum(total) as s from orders, customers
       where 'ember' <> city and customers.id = orders.customer_id and 'paid' = status
       group by city, name having 1 < count(*) order by s desc, name limit 7""",
    QUERY.replace(" c\n", " AS x\n").replace("c.", "x.").replace("spent", "amount"),
    QUERY.upper().replace("'PAID'", "'paid'").replace("'EMBER'", "'ember'"),
]
DIFFERENT = {
    "other table": ("c.name, SUM", "c.city, SUM"),
    "other literal": ("'paid'", "'open'"),
    "outer join": ("JOIN", "LEFT JOIN"),
    "other aggregate": ("SUM(", "MAX("),
    "other direction": ("DESC", "ASC"),
    "other limit": ("7", "8"),
    "other bound": ("> 1", ">= 1"),
    "columns swapped": ("c.name, SUM(o.total) AS spent", "SUM(o.total) AS spent, c.name"),
    "conjunct dropped": (" AND c.city <> 'ember'", ""),
    "or for and": ("' AND c", "' OR c"),
    "distinct": ("SUM(o", "SUM(DISTINCT o"),
}


@pytest.mark.parametrize("text", EQUIVALENT)
def test_aliases_order_and_layout_do_not_change_a_querys_key_nor_its_answer(text):
    found = TASK.compare(text, QUERY, SHOP)
    assert found["equivalent"] == found["answer"] == found["valid"] == 1


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_query_that_asks_something_else_has_another_key_and_fewer_facts(name):
    old, new = DIFFERENT[name]
    assert old in QUERY
    found = TASK.compare(QUERY.replace(old, new), QUERY, SHOP)
    assert found["valid"] == 1
    assert found["equivalent"] == 0
    assert found["score"] < 1


def test_names_of_tables_and_columns_count_in_a_query_since_the_schema_gives_them():
    assert (
        TASK.compare("SELECT id FROM orders", "SELECT id FROM customers", SHOP)["equivalent"] == 0
    )


def test_outer_and_self_joins_are_not_reordered():
    left = "SELECT a.id FROM orders a LEFT JOIN customers b ON b.id = a.customer_id"
    turned = "SELECT a.id FROM customers b LEFT JOIN orders a ON b.id = a.customer_id"
    assert TASK.compare(left, turned, SHOP)["equivalent"] == 0
    star = "SELECT * FROM orders JOIN customers ON 1"
    assert TASK.compare(star, "SELECT * FROM customers JOIN orders ON 1", SHOP)["equivalent"] == 0
    pair = "SELECT a.id FROM orders a JOIN orders b ON a.id < b.id"
    assert TASK.compare(pair, pair.replace("a.id <", "a.id <="), SHOP)["equivalent"] == 0
    assert TASK.compare(pair, pair.replace("a.", "x.").replace(" a ", " x "), SHOP)["equivalent"]


def test_double_quoted_text_keeps_its_case_since_sqlite_may_read_it_as_a_string():
    text = 'SELECT id FROM customers WHERE name = "Ann"'
    assert TASK.compare(text, text.replace("Ann", "ann"), SHOP)["equivalent"] == 0
    assert TASK.compare(text, text.replace("name", '"NAME"'), SHOP)["equivalent"] == 1


@pytest.mark.parametrize(
    "text", ["SELECT (", "SELECT 'a", "x y z", "DELETE FROM t", "SELECT 1; SELECT 2"]
)
def test_what_is_no_query_has_no_facts_and_no_key(text):
    with pytest.raises(ParseError):
        TASK.facts(text, SHOP)
    with pytest.raises(ParseError):
        TASK.equivalence_key(text, SHOP)


def test_a_reference_that_does_not_run_is_an_error_not_a_zero():
    with pytest.raises(ParseError, match="no such column"):
        TASK.compare("SELECT 1", "SELECT nope FROM orders", SHOP)
