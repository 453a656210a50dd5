import pytest

from honewheel.tasks.sql import Sql
from honewheel.tasks.sql_facts import read
from honewheel.tasks.sql_rows import fill, mentioned
from honewheel.tasks.sql_run import sandbox, statements

SCHEMA = """CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT UNIQUE,
  city TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers(id),
  total DECIMAL(10, 2), status VARCHAR(20) CHECK (status IN ('open', 'paid')), placed DATE
  NOT NULL);
CREATE TABLE items (order_id INTEGER REFERENCES orders, line INTEGER, amount INTEGER NOT NULL,
  PRIMARY KEY (order_id, line));
CREATE TABLE profiles (customer_id INTEGER UNIQUE NOT NULL REFERENCES customers(id), note TEXT);
CREATE TABLE staff (id INTEGER PRIMARY KEY, boss INTEGER REFERENCES staff(id), name TEXT);"""
QUERIES = {
    "SELECT name FROM customers WHERE city = 'Rome'": [
        ("= 'Rome'", "<> 'Rome'"),
        ("'Rome'", "'Oslo'"),
        ("name", "city"),
        (" WHERE city = 'Rome'", ""),
    ],
    "SELECT c.name, o.total FROM customers c JOIN orders o ON o.customer_id = c.id "
    "WHERE o.total > 20": [
        ("> 20", "< 20"),
        ("> 20", ">= 20"),
        ("> 20", "> 19.5"),
        ("JOIN", "LEFT JOIN"),
        ("o.customer_id = c.id", "o.id = c.id"),
        ("o.customer_id = c.id", "1"),
        ("c.name", "c.city"),
        ("o.total FROM", "o.id FROM"),
        ("WHERE o.total > 20", ""),
    ],
    "SELECT c.id, COUNT(o.id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id "
    "GROUP BY c.id": [
        ("LEFT JOIN", "JOIN"),
        ("COUNT(o.id)", "COUNT(*)"),
        ("COUNT(o.id)", "SUM(o.total)"),
        ("COUNT(o.id)", "COUNT(DISTINCT o.status)"),
        ("GROUP BY c.id", "GROUP BY c.city"),
        ("GROUP BY c.id", ""),
    ],
    "SELECT status, AVG(total) FROM orders GROUP BY status HAVING COUNT(*) > 5": [
        ("AVG", "MAX"),
        ("AVG", "MIN"),
        ("COUNT(*) > 5", "COUNT(*) <= 5"),
        ("HAVING COUNT(*) > 5", "HAVING status = 'open'"),
        ("SELECT status", "SELECT placed"),
        ("GROUP BY status", "GROUP BY placed"),
    ],
    "SELECT o.id FROM orders o WHERE o.status = 'paid' AND o.placed >= '2024-05-01' "
    "ORDER BY o.total DESC, o.id LIMIT 5": [
        ("AND", "OR"),
        (">=", "<"),
        ("'paid'", "'open'"),
        ("DESC", "ASC"),
        ("LIMIT 5", "LIMIT 6"),
        ("o.total DESC, o.id", "o.id"),
        ("ORDER BY o.total DESC, o.id", ""),
        ("2024-05-01", "2024-09-01"),
    ],
    "SELECT name FROM customers WHERE id NOT IN (SELECT customer_id FROM orders "
    "WHERE customer_id IS NOT NULL)": [
        ("NOT IN", "IN"),
        ("WHERE customer_id IS NOT NULL", ""),
        ("SELECT customer_id", "SELECT id"),
    ],
    "SELECT b.name, COUNT(*) FROM staff s JOIN staff b ON s.boss = b.id GROUP BY b.id": [
        ("s.boss = b.id", "b.boss = s.id"),
        ("GROUP BY b.id", "GROUP BY b.name"),
        ("b.name,", "s.name,"),
        ("GROUP BY b.id", "GROUP BY s.id"),
    ],
    "SELECT o.id, SUM(i.amount) FROM orders o JOIN items i ON i.order_id = o.id GROUP BY o.id "
    "HAVING SUM(i.amount) > 30": [
        ("SUM(i.amount) FROM", "COUNT(i.amount) FROM"),
        ("HAVING SUM(i.amount) > 30", "HAVING SUM(i.amount) < 30"),
        ("HAVING SUM(i.amount) > 30", ""),
        ("i.order_id = o.id", "i.line = o.id"),
    ],
    "SELECT DISTINCT city FROM customers WHERE name LIKE '%ann%'": [
        ("DISTINCT ", ""),
        ("'%ann%'", "'ann%'"),
        ("'%ann%'", "'%ann'"),
        ("LIKE", "NOT LIKE"),
    ],
}


@pytest.fixture(scope="module")
def database():
    with sandbox() as found:
        for _, statement in statements(SCHEMA):
            found.define(statement)
        fill(found, SCHEMA, {})
        yield found


def test_every_table_has_rows_and_every_reference_hits_one(database):
    for table in ("customers", "orders", "items", "profiles", "staff"):
        assert database.query(f"SELECT COUNT(*) FROM {table}")[0][0] >= 10
    assert database.ask("PRAGMA foreign_key_check") == []


def test_rows_repeat_values_and_leave_gaps(database):
    def one(question):
        return database.query(f"SELECT {question}")[0][0]

    assert one("COUNT(*) > 3 * COUNT(DISTINCT total) FROM orders")
    assert one("COUNT(*) > COUNT(city) AND COUNT(city) > 0 FROM customers")
    assert one("COUNT(*) = COUNT(DISTINCT email) + SUM(email IS NULL) FROM customers")
    assert one("COUNT(*) FROM customers WHERE id NOT IN (SELECT customer_id FROM orders "
               "WHERE customer_id IS NOT NULL)") > 0  # fmt: skip
    assert one("MAX(n) > 2 * MIN(n) FROM (SELECT COUNT(*) AS n FROM orders GROUP BY customer_id)")


def test_values_fit_the_declared_types(database):
    assert database.query("SELECT DISTINCT typeof(id), typeof(name) FROM customers") == [
        ("integer", "text")
    ]
    kinds = {kind for (kind,) in database.query("SELECT DISTINCT typeof(total) FROM orders")}
    assert kinds <= {"real", "integer", "null"}
    assert database.query("SELECT COUNT(*) FROM orders WHERE date(placed) <> placed") == [(0,)]


def test_the_same_schema_gets_the_same_rows_and_another_one_others():
    def rows(schema):
        with sandbox() as found:
            for _, statement in statements(schema):
                found.define(statement)
            fill(found, schema, {})
            return found.query("SELECT * FROM orders")

    assert rows(SCHEMA) == rows(SCHEMA)
    assert rows(SCHEMA) != rows(SCHEMA + "\n")


def test_what_a_query_compares_with_occurs_beside_near_misses():
    tree = read("SELECT 1 FROM t WHERE a = 'x' AND b > 7 AND c LIKE '%ann%'").trees[0]
    assert mentioned([tree]) == {"a": ["x"], "b": [7, 6, 8], "c": ["ann", "anns", "aann"]}


def test_references_in_a_circle_and_odd_names_are_filled():
    schema = """CREATE TABLE "a b" (id INTEGER PRIMARY KEY, c INT REFERENCES c(id), "x""y" TEXT);
    CREATE TABLE c (id INTEGER PRIMARY KEY, a INTEGER REFERENCES "a b"(id));"""
    with sandbox() as found:
        for _, statement in statements(schema):
            found.define(statement)
        fill(found, schema, {})
        assert found.query('SELECT COUNT(*) FROM "a b"')[0][0] > 10


def test_most_wrong_queries_give_another_answer_and_the_right_one_the_same():
    task, context = Sql(), {"schema": SCHEMA}
    caught, missed = 0, []
    for query, mutations in QUERIES.items():
        assert task.compare(query, query, context)["answer"] == 1
        for old, new in mutations:
            assert old in query
            found = task.compare(query.replace(old, new, 1), query, context)
            assert found["valid"] == 1
            caught += found["answer"] == 0
            missed += [(query, old, new)] if found["answer"] else []
    assert caught / (caught + len(missed)) >= 0.9, missed


def test_order_counts_only_where_the_reference_orders():
    task, context = Sql(), {"schema": SCHEMA}
    plain, up = "SELECT id FROM orders", "SELECT id FROM orders ORDER BY id"
    down = f"{up} DESC"
    assert task.compare(down, plain, context)["answer"] == 1
    assert task.compare(down, up, context)["answer"] == 0


def test_an_invalid_query_has_no_answer():
    found = Sql().compare("SELECT 1; SELECT 1", "SELECT 1", {"schema": SCHEMA})
    assert (found["answer"], found["score"]) == (0, 0)
