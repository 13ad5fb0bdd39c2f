"""A shop that has been open for years: a million orders, loaded at once, and the index that is missing on them."""

import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, inspect

from examples.orders.database import PRODUCTS, OrdersBase, make_tables

ORDERS = 1_000_000
ORDERS_PER_CUSTOMER = 5
_YEARS_S = 3 * 365 * 86_400.0
_COLUMNS = ("id", "created_at", "customer", "email", "sku", "quantity", "method", "total_cents", "state")


class NotEmpty(Exception):
    """The database has orders already, and this would add a million."""


def email(number: int) -> str:
    """Return the address of a customer."""
    return f"customer{number}@customers.example"


def load(engine: Engine, count: int = ORDERS) -> None:
    """Make the tables and fill them with old orders, in one transaction.

    Args:
        engine: The database: PostgreSQL takes them by COPY, SQLite by one statement with many rows.
        count: How many orders.

    Raises:
        NotEmpty: There is a table of orders already.
    """
    if inspect(engine).has_table("orders"):
        raise NotEmpty(f"expected a database without a table orders, {engine.url} has one")
    make_tables(engine, OrdersBase)
    columns = ", ".join(_COLUMNS)
    raw = engine.raw_connection()
    try:
        cursor: Any = raw.cursor()
        if engine.dialect.name == "postgresql":
            with cursor.copy(f"COPY orders ({columns}) FROM STDIN") as copy:
                for row in _rows(count):
                    copy.write_row(row)
        else:
            places = ", ".join("?" * len(_COLUMNS))
            cursor.executemany(f"INSERT INTO orders ({columns}) VALUES ({places})", _rows(count))  # noqa: S608
        raw.commit()
        # The planner knows what it is about, as in any database that has been there for a while.
        cursor.execute("ANALYZE orders")
        raw.commit()
    finally:
        raw.close()


def _rows(count: int) -> Iterator[tuple[Any, ...]]:
    began = time.time() - _YEARS_S - 86_400.0
    for number in range(count):
        sku, _title, price_cents = PRODUCTS[number % len(PRODUCTS)]
        customer = number % max(1, count // ORDERS_PER_CUSTOMER)
        yield (
            f"{number:012d}",
            began + _YEARS_S * number / count,
            f"Customer {customer}",
            email(customer),
            sku,
            1 + number % 3,
            "card",
            price_cents * (1 + number % 3),
            "confirmed",
        )


INDEX = "CREATE INDEX orders_email ON orders (lower(email))"
"""The index that is missing."""


def add_index(engine: Engine) -> None:
    """Make the index."""
    with engine.begin() as connection:
        connection.exec_driver_sql(INDEX)
    if engine.dialect.name == "postgresql":
        # What an expression is like, the planner learns from the rows, not from the index.
        with engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE orders")


def remove(engine: Engine) -> None:
    """Remove the tables with everything in them."""
    OrdersBase.metadata.drop_all(engine)
