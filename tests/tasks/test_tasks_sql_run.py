import time

import pytest

from honewheel.tasks.sql_run import NOW, Failed, sandbox, statements

TABLE = "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)"
MANY = ", ".join(f"t AS t{number}" for number in range(26))


def run(statement, define=False):
    with sandbox() as database:
        database.define(TABLE)
        database.define("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
        return database.define(statement) if define else database.query(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH '/tmp/x.db' AS x",
        "PRAGMA writable_schema = ON",
        "PRAGMA user_version",
        "VACUUM INTO '/tmp/x.db'",
        "SELECT load_extension('x')",
        "SELECT readfile('/etc/passwd')",
        "SELECT randomblob(1000000000)",
        "SELECT zeroblob(1000000000)",
        "SELECT printf('%.*c', 1000000000, 'x')",
        "SELECT random()",
        "SELECT * FROM pragma_table_info('t')",
        "INSERT INTO t VALUES (3, 'x')",
        "UPDATE t SET b = ''",
        "DELETE FROM t",
        "DROP TABLE t",
        "CREATE TABLE u (a)",
        "BEGIN",
        "SELECT 1; DROP TABLE t",
    ],
)
def test_a_query_can_only_read(statement):
    with pytest.raises(Failed):
        run(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH '/tmp/x.db' AS x",
        "PRAGMA foreign_keys = ON",
        "DELETE FROM t",
        "UPDATE t SET b = ''",
        "DELETE FROM sqlite_master",
        "DROP TABLE t",
        "ALTER TABLE t RENAME TO u",
        "CREATE TEMP TABLE u (a)",
        "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE VIRTUAL TABLE u USING fts5(a)",
        "CREATE TABLE u AS WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) "
        "SELECT x FROM r",
        "INSERT INTO t VALUES (3, randomblob(1000000000))",
        "INSERT INTO t SELECT t0.a, t0.b FROM " + MANY,
    ],
)
def test_a_definition_can_only_define_and_insert(statement):
    with pytest.raises(Failed):
        run(statement, define=True)


def test_definitions_and_inserts_are_kept():
    with sandbox() as database:
        for statement in (TABLE, "CREATE INDEX i ON t (b)", "CREATE VIEW v AS SELECT b FROM t"):
            database.define(statement)
        database.define("INSERT INTO t (b) VALUES ('x')")
        assert database.query("SELECT * FROM v") == [("x",)]


@pytest.mark.parametrize(
    "bomb",
    [
        "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT COUNT(*) FROM r",
        "WITH RECURSIVE r(x) AS (SELECT hex(hex(hex('abcdefghijklm'))) UNION ALL SELECT x FROM r)"
        " SELECT MAX(x) FROM (SELECT x FROM r ORDER BY x)",
        "SELECT COUNT(*) FROM " + MANY,
        "SELECT * FROM " + MANY,
    ],
)
def test_a_bomb_ends_within_a_second_as_a_finding(bomb):
    start = time.thread_time()
    with pytest.raises(Failed) as caught:
        run(bomb)
    assert caught.value.code == "too-slow"
    assert time.thread_time() - start < 1


def test_strings_that_double_hit_a_limit():
    with pytest.raises(Failed, match="too big"):
        run("WITH RECURSIVE r(x) AS (SELECT 'a' UNION ALL SELECT x || x FROM r) SELECT x FROM r")


def test_like_is_sqlites_like_without_its_worst_case():
    cases = {
        "'Abc' LIKE 'a%'": 1,
        "'abc' LIKE '%C'": 1,
        "'abc' LIKE 'a_c'": 1,
        "'abc' LIKE 'b%'": 0,
        "'aa' LIKE 'a%a'": 1,
        "'a' LIKE 'a%a'": 0,
        "'abcabd' LIKE '%ab_'": 1,
        "'a%c' LIKE 'a\\%c' ESCAPE '\\'": 1,
        "'abc' LIKE 'a\\%c' ESCAPE '\\'": 0,
        "'a.c' LIKE 'a.c'": 1,
        "'abc' LIKE 'a.c'": 0,
        "'' LIKE '%'": 1,
        "NULL LIKE '%'": None,
        "12 LIKE '1%'": 1,
        "'xaybz' LIKE '%a%b%'": 1,
    }
    assert run("SELECT " + ", ".join(cases)) == [tuple(cases.values())]
    start = time.thread_time()
    assert run(f"SELECT '{'a' * 3900}' LIKE '{'%a' * 900}%b' AS x") == [(0,)]
    assert time.thread_time() - start < 1


def test_now_is_a_fixed_moment():
    day = NOW[:10]
    question = "SELECT date('now'), date(), CURRENT_DATE, CURRENT_TIMESTAMP, strftime('%Y', 'now')"
    assert run(question) == [(day, day, day, NOW, day[:4])]
    assert run("SELECT date('now', '-1 month'), date('2020-02-01')") == [
        ("2024-05-15", "2020-02-01")
    ]


def test_semicolons_in_quotes_and_comments_do_not_split():
    text = "-- a;\nSELECT ';', \"a;b\" /* ; */;\n\n SELECT `;` , [;];;\n-- end"
    assert [line for line, _ in statements(text)] == [2, 4]


@pytest.mark.parametrize("piece", ["'", "[", ";", "/*", "/**/", '"', "--\n", " ' \" "])
def test_splitting_takes_linear_time(piece):
    start = time.thread_time()
    statements(piece * (20_001 // len(piece)))
    assert time.thread_time() - start < 0.5
