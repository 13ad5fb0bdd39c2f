"""Orders and stock, each in a database of its own: a lock on the stock does not stop orders from coming in.

Both are SQLite files; orders may be in a PostgreSQL instead.
"""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import Engine, ForeignKey, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import huoyan
from examples.orders.settings import settings

LOCK_TIMEOUT_S = 4.0
"""How long a write waits for another one. What takes longer fails: "database is locked"."""


class OrdersBase(DeclarativeBase):
    """Tables of the orders database."""


class StockBase(DeclarativeBase):
    """Tables of the stock database."""


class Order(OrdersBase):
    """One order of one product. States: new, rejected, paid, declined, reserved, confirmed."""

    __tablename__ = "orders"

    id: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[float] = mapped_column(index=True)
    customer: Mapped[str]
    email: Mapped[str]
    sku: Mapped[str]
    quantity: Mapped[int]
    method: Mapped[str]
    total_cents: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(default="new")


class Report(OrdersBase):
    """What one sales report found."""

    __tablename__ = "reports"

    id: Mapped[int] = mapped_column(primary_key=True)
    made_at: Mapped[float]
    orders: Mapped[int]
    confirmed: Mapped[int]
    revenue_cents: Mapped[int]


class Product(StockBase):
    """What is sold, and how much of it is there."""

    __tablename__ = "products"

    sku: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    price_cents: Mapped[int]
    stock: Mapped[int]


class Movement(StockBase):
    """Why the stock of a product changed."""

    __tablename__ = "movements"

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(ForeignKey("products.sku"), index=True)
    order_id: Mapped[str | None]
    moved_at: Mapped[float] = mapped_column(index=True)
    quantity: Mapped[int]


PRODUCTS = (
    ("TEA-LONGJING-100", "Longjing green tea, 100 g", 1890),
    ("TEA-PUER-357", "Pu'er tea cake, 357 g", 4250),
    ("TEA-JASMINE-100", "Jasmine pearls, 100 g", 1640),
    ("POT-YIXING-200", "Yixing teapot, 200 ml", 8900),
    ("CUP-CELADON-2", "Celadon cups, pair", 3400),
    ("TRAY-BAMBOO", "Bamboo tea tray", 5200),
)
FULL_STOCK = 2000


_lock = threading.Lock()


@contextmanager
def orders_session() -> Iterator[Session]:
    """Open a transaction on the orders; it is committed at the end, or rolled back when something is raised."""
    with Session(_engine("orders"), expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def stock_session() -> Iterator[Session]:
    """Open a transaction on the stock, likewise."""
    with Session(_engine("stock"), expire_on_commit=False) as session, session.begin():
        yield session


def prepare() -> None:
    """Make the tables and fill the shelves, where that has not been done."""
    # Web process, consumer and schedule start at the same time, and only one of them may make a table.
    with _lock, (settings().data_dir / "prepare.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for name, base in (("orders", OrdersBase), ("stock", StockBase)):
            make_tables(_engine(name), base)
        with stock_session() as session:
            for sku, title, price_cents in PRODUCTS:
                if session.get(Product, sku) is None:
                    session.add(Product(sku=sku, title=title, price_cents=price_cents, stock=FULL_STOCK))


def make_tables(engine: Engine, base: type[DeclarativeBase]) -> None:
    """Make the tables that are not there yet."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    base.metadata.create_all(engine)


@cache
def _engine(name: str) -> Engine:
    if name == "orders" and settings().database_url:
        return huoyan.watch(connect(settings().database_url))
    return huoyan.watch(connect(f"sqlite:///{settings().data_dir / name}.sqlite3"))


def connect(address: str) -> Engine:
    """Return the engine of a database, as the shop uses it.

    Args:
        address: Of SQLAlchemy; `postgresql://` uses psycopg.
    """
    if not address.startswith("sqlite:"):
        return create_engine(address.replace("postgresql://", "postgresql+psycopg://", 1), pool_size=16)
    engine = create_engine(address, connect_args={"timeout": LOCK_TIMEOUT_S}, pool_size=16)

    @event.listens_for(engine, "connect")
    def _tune(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine
