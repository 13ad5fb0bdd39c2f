"""Operation and main table of a statement, from its text."""

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huoyan.client import statement
from huoyan.client.statement import OTHER, Statements, skeleton

CASES = [
    ("SELECT * FROM orders WHERE id = %s", "SELECT", "orders"),
    ("select 1", "SELECT", ""),
    ("SELECT $1::int", "SELECT", ""),
    ("SELECT * FROM Orders", "SELECT", "orders"),
    ('SELECT * FROM "Order Lines" WHERE a = ?', "SELECT", "Order Lines"),
    ("SELECT o.* FROM sales.orders o JOIN lines l ON l.order_id = o.id", "SELECT", "sales.orders"),
    ("SELECT * FROM tree, lines LIMIT :n OFFSET :m", "SELECT", "tree"),
    ("SELECT (SELECT max(x) FROM inside) FROM outside", "SELECT", "outside"),
    ("SELECT count(*) FROM (SELECT * FROM orders) AS each", "SELECT", "orders"),
    ("(SELECT a FROM one) UNION ALL SELECT b FROM two ORDER BY 1", "SELECT", "one"),
    ("SELECT extract(year FROM paid_at) FROM orders", "SELECT", "orders"),
    ("SELECT * FROM generate_series(1, 10)", "SELECT", ""),
    ("SELECT * FROM a WHERE d > now() - interval '1 day' AND x = ANY(%s)", "SELECT", "a"),
    ("SELECT * FROM a WHERE name = 'x; DELETE FROM b -- '''", "SELECT", "a"),
    ("SELECT * FROM a WHERE body = $$it's; FROM b$$", "SELECT", "a"),
    ("SELECT * FROM t WHERE a LIKE '%%x%%' AND b IN (1, 2, 3) AND c IN :ids", "SELECT", "t"),
    ("WITH recent AS (SELECT * FROM orders) SELECT * FROM recent JOIN x ON true", "SELECT", "orders"),
    (
        "WITH RECURSIVE t AS (SELECT * FROM parts UNION ALL SELECT p.* FROM parts p JOIN t ON true) SELECT * FROM t",
        "SELECT",
        "parts",
    ),
    ("WITH gone AS (DELETE FROM old RETURNING *) INSERT INTO kept SELECT * FROM gone", "INSERT", "kept"),
    ("INSERT INTO t (a, b) SELECT x, y FROM u", "INSERT", "t"),
    ("INSERT INTO t VALUES (%(a)s, %(b)s), (1, 'two'), (3, 'four')", "INSERT", "t"),
    ("INSERT INTO t (a) VALUES (:a) ON CONFLICT (a) DO UPDATE SET a = excluded.a", "INSERT", "t"),
    ('UPDATE public."Users" SET name = :name WHERE id IN :ids', "UPDATE", "public.Users"),
    ("DELETE FROM ONLY queue WHERE id = 5", "DELETE", "queue"),
    ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE", "MERGE", "t"),
    ("/* route=/orders */ -- by hand\nSELECT * FROM orders", "SELECT", "orders"),
    ("CREATE TABLE IF NOT EXISTS orders (id int)", "CREATE", "orders"),
    ("ALTER TABLE sales.orders ADD note text", "ALTER", "sales.orders"),
    ("DROP TABLE orders", "DROP", "orders"),
    ("TRUNCATE orders", "TRUNCATE", "orders"),
    ("SELECT EXISTS (SELECT * FROM orders WHERE id = 1)", "SELECT", "orders"),
    ("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM lines)", "SELECT", "orders"),
    ("SELECT 1 WHERE EXISTS (SELECT 1 FROM sales.orders)", "SELECT", "sales.orders"),
    ("WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT * FROM t", "SELECT", ""),
    ("SELECT now()", "SELECT", ""),
    ("UPDATE orders SET state = 'sent'; DELETE FROM lines", "UPDATE", "orders"),
    ("SELECT 1; SELECT * FROM orders;", "SELECT", ""),
    ("CREATE INDEX i ON orders (id)", "CREATE", "orders"),
    ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON sales.orders USING btree (id)", "CREATE", "sales.orders"),
    ("DO $$ BEGIN PERFORM 1; END $$", "DO", ""),
    ("EXEC ship_orders", "EXEC", ""),
    ("COMMENT ON TABLE orders IS 'x'", "COMMENT", ""),
    ("BEGIN", "BEGIN", ""),
    ("EXPLAIN SELECT * FROM orders", "EXPLAIN", ""),
    ("SELECT FROM WHERE", "SELECT", OTHER),
    ("hello world", OTHER, OTHER),
    ("", OTHER, OTHER),
]


@pytest.mark.parametrize(("text", "operation", "table"), CASES, ids=[case[0][:40] for case in CASES])
def test_operation_and_main_table(text: str, operation: str, table: str) -> None:
    assert Statements("postgresql").describe(text) == (operation, table)


@pytest.mark.parametrize("dialect", ["", "sqlite", "mysql", "mssql", "oracle", "no such database"])
def test_every_dialect_tells_the_plain_cases(dialect: str) -> None:
    statements = Statements(dialect)
    assert statements.describe("SELECT * FROM orders WHERE id = ?") == ("SELECT", "orders")
    assert statements.describe("INSERT INTO orders (id) VALUES (?)") == ("INSERT", "orders")


def test_names_keep_what_their_database_quotes() -> None:
    assert Statements("mysql").describe("SELECT * FROM `Orders`") == ("SELECT", "Orders")
    assert Statements("mssql").describe("SELECT * FROM [Orders]") == ("SELECT", "Orders")


WORDS = (
    *("SELECT", "INSERT", "INTO", "FROM", "WHERE", "UPDATE", "SET", "DELETE", "WITH", "AS", "IN", "VALUES", "t"),
    *("(", ")", ",", ";", ".", "'", '"', "`", "--", "/*", "*/", "$$", "$a$", "%s", ":x", "?", "1"),
)
words = st.sampled_from(WORDS)


@given(st.one_of(st.text(max_size=200), st.lists(words, max_size=40).map(" ".join)))
@settings(deadline=None, max_examples=300)
def test_no_text_raises(text: str) -> None:
    operation, table = Statements("postgresql").describe(text)
    assert operation == OTHER or operation.isupper()
    assert len(table) <= 300


@pytest.mark.parametrize(
    "part", ["'", '"', "/*", "$$", "$a$ $b$", "--", "(", "(0, ", "IN (1,", "SELECT (", "''", "\\'"]
)
def test_no_text_takes_long(part: str) -> None:
    """Reading is linear enough: a quadratic part would need minutes here."""
    text = "SELECT * FROM t WHERE a = " + part * (10_000 // len(part) - 10)
    Statements("postgresql").describe(text)
    assert len(skeleton(text)) <= len(text)


def test_statements_that_differ_in_literals_alone_are_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    statements = Statements("postgresql")
    parsed: list[str] = []
    parse: Any = statements._parse

    def counted(bare: str, head: tuple[str, str]) -> tuple[str, str]:
        parsed.append(bare)
        found: tuple[str, str] = parse(bare, head)
        return found

    monkeypatch.setattr(statements, "_parse", counted)
    for number in range(50):
        many = ", ".join(f"({i}, 'name {i}')" for i in range(1, number + 2))
        assert statements.describe(f"SELECT * FROM t WHERE id = {number} AND name = 'n{number}'") == ("SELECT", "t")
        assert statements.describe(f"INSERT INTO t VALUES {many}") == ("INSERT", "t")
    assert parsed == ["SELECT * FROM t WHERE id = 0 AND name = ''", "INSERT INTO t VALUES (0)"]


def test_ever_new_statements_are_not_parsed_without_end_nor_kept() -> None:
    statements = Statements("sqlite")
    told = [statements.describe(f"SELECT * FROM table_{number}x")[1] for number in range(3_000)]
    assert told[:3] == ["table_0x", "table_1x", "table_2x"]
    assert told[-1] == OTHER
    assert len(statements._told) <= statement._MAX_CACHED


def test_of_a_very_long_statement_the_head_is_read() -> None:
    rows = ", ".join(f"({number}, 'x')" for number in range(20_000))
    assert Statements("postgresql").describe(f"INSERT INTO t VALUES {rows}") == ("INSERT", "t")
    long = Statements("postgresql").describe
    assert long(f"SELECT id, extract(year FROM paid_at) FROM sales.orders o WHERE x IN ({rows})") == (
        "SELECT",
        "sales.orders",
    )
    assert long(f"SELECT a IS DISTINCT FROM b FROM t WHERE x IN ({rows})") == ("SELECT", "t")
    assert long(f"SELECT CASE WHEN id IN ({rows}) THEN 1 END FROM t") == ("SELECT", OTHER)
    assert long(f"SELECT * FROM generate_series(1, 2) WHERE x IN ({rows})") == ("SELECT", OTHER)


def test_without_sqlglot_the_first_words_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    statements = Statements("postgresql")
    assert statements.describe("INSERT INTO orders SELECT * FROM old") == ("INSERT", "orders")
    assert statements.describe("SELECT * FROM orders") == ("SELECT", OTHER)
