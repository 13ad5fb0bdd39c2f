"""SQLAlchemy engines that are watched, on real PostgreSQL and SQLite, synchronous and asynchronous."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    event,
    exists,
    func,
    insert,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column, relationship, selectinload
from sqlalchemy.pool import NullPool

import huoyan
from huoyan.client import breakdown
from huoyan.client.dependencies.sqlalchemy.integration import target_of
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from huoyan.model.event import EventKind
from huoyan.signals.metrics.application import (
    DB_POOL_IN_USE,
    DB_POOL_SIZE,
    DB_POOL_WAIT,
    DB_QUERY_DURATION,
    DB_QUERY_ERRORS,
    DEPENDENCY_LAST_SUCCESS,
)
from tests.unit.client.conftest import installed

metadata = MetaData()
orders = Table("orders", metadata, Column("id", Integer, primary_key=True), Column("state", String(20)))
lines = Table(
    "lines",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("order_id", ForeignKey("orders.id")),
    Column("sku", String(20)),
)


class Base(DeclarativeBase):
    metadata = metadata


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    notes: Mapped[list["Note"]] = relationship()


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))


@pytest.fixture
def transport() -> MemoryTransport:
    return MemoryTransport()


@pytest.fixture
def client(transport: MemoryTransport) -> Iterator[Client]:
    with installed(Client(Settings(service="shop", flush_interval_s=0.01), transport=transport)) as new:
        yield new


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shop.db"
    found: str = request.getfixturevalue("postgres_database")
    return found


@pytest.fixture
def engine(client: Client, url: str) -> Iterator[Engine]:
    made = create_engine(url)
    metadata.create_all(made)
    yield huoyan.watch(made)
    huoyan.unwatch(made)
    made.dispose()


@pytest.fixture
async def async_engine(client: Client, url: str) -> Any:
    made = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:"))
    async with made.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield huoyan.watch(made)
    huoyan.unwatch(made)
    await made.dispose()


def counted(client: Client) -> dict[tuple[str, ...], int]:
    """Return how many statements were counted, by operation and table."""
    found = {values: child.count for values, child in client.measurements.distribution(DB_QUERY_DURATION).series()}
    assert {("database", values[2]) for values in found} <= healthy(client), "the database is told with each"
    return {values[:2]: count for values, count in found.items()}


def healthy(client: Client) -> set[tuple[str, ...]]:
    return {values for values, _ in client.measurements.gauge(DEPENDENCY_LAST_SUCCESS).series()}


def errors(client: Client) -> dict[tuple[str, ...], float]:
    """Return how many statements failed, by operation and table."""
    series = client.measurements.counter(DB_QUERY_ERRORS).series()
    return {values[:2]: child.value for values, child in series if child.value}


def test_statements_are_counted_by_operation_and_table(client: Client, engine: Engine) -> None:
    recent = select(orders.c.id).where(orders.c.state == "paid").cte("recent")
    other = aliased(orders, name="o2")
    with engine.begin() as connection:
        connection.execute(insert(orders), [{"state": "new"}, {"state": "paid"}])
        connection.execute(insert(lines).from_select(["order_id"], select(orders.c.id)))
        connection.execute(select(lines).join(orders).where(orders.c.id.in_([1, 2, 3])))
        connection.execute(select(lines).join(orders).where(orders.c.id.in_([1, 2])))
        connection.execute(select(recent))
        connection.execute(select(func.count()).select_from(select(other).subquery()))
        connection.execute(union_all(select(orders.c.id), select(lines.c.id)))
        connection.execute(select(func.now()))
        connection.execute(select(exists().where(orders.c.id == 1)))
        connection.execute(update(orders).values(state="sent").where(orders.c.id == 1))
        connection.execute(delete(lines))
        connection.execute(text("SELECT * FROM lines l JOIN orders o ON o.id = l.order_id WHERE o.id = :id"), {"id": 1})
        connection.exec_driver_sql("SELECT count(*) FROM orders")
        connection.execute(text("SELECT id, sku FROM lines").columns(lines.c.id, lines.c.sku))
        connection.execute(select(func.count()).select_from(text("lines")))
    told = counted(client)
    assert told.pop(("COMMIT", "")) == 1
    assert told == {
        ("INSERT", "orders"): 1,
        ("INSERT", "lines"): 1,
        ("SELECT", "lines"): 5,
        ("SELECT", "orders"): 5,
        ("SELECT", ""): 1,
        ("UPDATE", "orders"): 1,
        ("DELETE", "lines"): 1,
    }
    assert not errors(client)
    (target,) = healthy(client)
    assert target[0] == "database"
    assert client.measurements.gauge(DEPENDENCY_LAST_SUCCESS).child(target).value == pytest.approx(
        client.clock.now(), abs=60
    )


def test_long_texts_are_counted_and_not_kept(client: Client, engine: Engine) -> None:
    with engine.begin() as connection:
        for first in range(0, 6000, 3000):
            rows = ", ".join(f"({number}, 'new')" for number in range(first + 1, first + 3001))
            connection.exec_driver_sql(f"INSERT INTO orders (id, state) VALUES {rows}")
    assert counted(client)["INSERT", "orders"] == 2
    assert max(len(str(key)) for key in vars(engine.dialect)["_huoyan_watch"]._series) < 1000


def test_the_orm_is_counted_like_what_it_sends(client: Client, engine: Engine) -> None:
    with Session(engine) as session:
        session.add_all([Customer(name=f"c{number}", notes=[Note(), Note()]) for number in range(3)])
        session.commit()
        found = session.scalars(select(Customer).options(selectinload(Customer.notes)).order_by(Customer.id)).all()
        assert [len(customer.notes) for customer in found] == [2, 2, 2]
        session.execute(update(Customer).values(name="x"))
        session.delete(found[0].notes[0])
        session.commit()
    tables = {key for key in counted(client) if key[1]}
    assert tables == {
        ("INSERT", "customers"),
        ("INSERT", "notes"),
        ("SELECT", "customers"),
        ("SELECT", "notes"),
        ("UPDATE", "customers"),
        ("DELETE", "notes"),
    }


def test_errors_are_counted_and_pass_unchanged(client: Client, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(orders), {"id": 7})
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(insert(orders), {"id": 7})
    with pytest.raises((OperationalError, ProgrammingError)), engine.connect() as connection:
        connection.execute(text("SELECT * FROM nothing_here"))
    with pytest.raises((OperationalError, ProgrammingError)), engine.connect() as connection:
        connection.execute(text("SELEKT FROM"))
    assert errors(client) == {("INSERT", "orders"): 1, ("SELECT", "nothing_here"): 1, ("other", "other"): 1}
    assert counted(client)[("INSERT", "orders")] == 2


def test_a_run_tells_its_statements(client: Client, transport: MemoryTransport, engine: Engine) -> None:
    @huoyan.task
    def settle() -> None:
        with engine.begin() as connection:
            for _ in range(3):
                connection.execute(select(orders))
            connection.execute(insert(orders), {"state": "new"})

    settle()
    assert huoyan.flush(5)
    (end,) = [e for e in transport.events if e.kind is EventKind.SUCCEEDED]
    parts = {(p["component"], p["operation"], p["target"]): p["calls"] for p in end.breakdown["parts"]}
    parts.pop(("pool", "connect", next((k[2] for k in parts if k[0] == "pool"), "")), None)
    assert parts == {
        ("database", "SELECT", "orders"): 3,
        ("database", "INSERT", "orders"): 1,
        ("database", "COMMIT", ""): 1,
    }


def pools(client: Client) -> dict[str, tuple[float | None, float | None]]:
    """Return how many connections each pool lends out now and at most, as a report or scrape tells."""
    measurements = client.outbox.read()
    most = {values[0]: child.value for values, child in measurements.gauge(DB_POOL_SIZE).series()}
    lent = {values[0]: child.value for values, child in measurements.gauge(DB_POOL_IN_USE).series()}
    return {name: (value, most.get(name)) for name, value in lent.items() if value is not None}


def test_the_pool_tells_its_size_use_and_waits(client: Client, postgres_database: str) -> None:
    engine = huoyan.watch(create_engine(postgres_database, pool_size=1, max_overflow=1, pool_timeout=0.05))
    name = postgres_database.rpartition("@")[2]
    assert pools(client) == {}
    first, second = engine.connect(), engine.connect()
    assert pools(client) == {name: (2, 2)}
    entry = breakdown.enter("request")
    with pytest.raises(PoolTimeout):
        engine.connect()
    told = breakdown.leave(entry)
    assert told is not None
    assert told["parts"][0]["errors"] == 1
    assert errors(client) == {("CONNECT", ""): 1}
    first.close()
    assert pools(client) == {name: (1, 2)}
    second.detach()
    assert pools(client) == {name: (0, 2)}
    second.close()
    waits = client.measurements.distribution(DB_POOL_WAIT).child((name,))
    assert waits.count == 3
    assert waits.total > 0.05, "the wait in vain is one of them"
    engine.dispose()
    with engine.connect():
        assert pools(client) == {name: (1, 2)}
    assert waits.count == 4
    engine.dispose()


def test_the_pools_of_one_database_are_told_together_and_go_with_their_engines(
    client: Client, postgres_database: str
) -> None:
    name = postgres_database.rpartition("@")[2]
    writing = huoyan.watch(create_engine(postgres_database, pool_size=1, max_overflow=0))
    reading = huoyan.watch(create_engine(postgres_database, pool_size=3, max_overflow=2))
    with writing.connect(), reading.connect(), reading.connect():
        assert pools(client) == {name: (3, 6)}
    assert pools(client) == {name: (0, 6)}
    unlimited = huoyan.watch(create_engine(postgres_database, poolclass=NullPool))
    with writing.connect(), unlimited.connect() as one, unlimited.connect():
        assert pools(client) == {name: (3, None)}
        one.detach()
        assert pools(client) == {name: (2, None)}
    assert pools(client) == {name: (0, None)}
    for engine in (writing, reading, unlimited):
        huoyan.unwatch(engine)
        engine.dispose()
    assert pools(client) == {}


def test_a_wait_for_a_connection_is_part_of_the_breakdown(client: Client, postgres_database: str) -> None:
    engine = huoyan.watch(create_engine(postgres_database, pool_size=1, max_overflow=0))
    held = engine.connect()
    timer = threading.Timer(0.05, held.close)
    entry = breakdown.enter("request")
    timer.start()
    engine.connect().close()
    told = breakdown.leave(entry)
    timer.join()
    assert told is not None
    assert [part["component"] for part in told["parts"]] == ["pool"]
    assert told["parts"][0]["total_s"] > 0.01
    engine.dispose()


def test_threads_are_counted_alike(client: Client, engine: Engine) -> None:
    def work() -> None:
        for _ in range(20):
            with engine.connect() as connection:
                connection.execute(select(orders))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted(client)[("SELECT", "orders")] == 80


async def test_an_asynchronous_engine_is_counted_in_parallel(client: Client, async_engine: AsyncEngine) -> None:
    async def one() -> None:
        async with async_engine.connect() as connection:
            await connection.execute(select(orders))

    entry = breakdown.enter("request")
    await asyncio.gather(*(one() for _ in range(5)))
    async with async_engine.begin() as connection:
        await connection.execute(insert(orders), [{"state": "new"}])
    told = breakdown.leave(entry)
    assert told is not None
    calls = {(part["operation"], part["target"]): part["calls"] for part in told["parts"]}
    assert calls[("SELECT", "orders")] == 5
    assert calls[("INSERT", "orders")] == 1
    assert sum(part["covered_s"] for part in told["parts"]) + told["own_s"] == pytest.approx(told["total_s"], abs=1e-6)
    assert counted(client)[("SELECT", "orders")] == 5
    with pytest.raises(IntegrityError):
        async with async_engine.begin() as connection:
            await connection.execute(insert(orders), [{"id": 1}])
    assert errors(client) == {("INSERT", "orders"): 1}


async def test_a_cancelled_statement_is_no_error_of_the_database(client: Client, postgres_database: str) -> None:
    engine = huoyan.watch(create_async_engine(postgres_database))

    async def sleep() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_sleep(60)"))

    entry = breakdown.enter("request")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sleep(), 0.3)
    told = breakdown.leave(entry)
    assert told is not None
    assert ("SELECT", "") in {(part["operation"], part["target"]) for part in told["parts"]}
    assert entry.collector.open == 0
    assert not errors(client)
    await engine.dispose()


def test_watching_twice_counts_once_and_unwatching_ends_it(client: Client, engine: Engine) -> None:
    huoyan.watch(engine)
    huoyan.watch(engine.execution_options(isolation_level="AUTOCOMMIT"))
    with engine.connect() as connection:
        connection.execute(select(orders))
    assert counted(client)[("SELECT", "orders")] == 1
    huoyan.unwatch(engine)
    with engine.connect() as connection:
        connection.execute(select(orders))
    assert counted(client)[("SELECT", "orders")] == 1
    assert not {"do_execute", "do_commit"} & vars(engine.dialect).keys()
    assert not {"connect", "recreate"} & vars(engine.pool).keys()


async def test_both_faces_of_an_asynchronous_engine_are_one(client: Client, async_engine: AsyncEngine) -> None:
    huoyan.watch(async_engine.sync_engine)
    async with async_engine.connect() as connection:
        await connection.execute(select(orders))
    assert counted(client)[("SELECT", "orders")] == 1


def test_listeners_of_the_program_go_on(client: Client, engine: Engine) -> None:
    seen: list[str] = []

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def comment(
        connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> tuple[str, Any]:
        seen.append(statement)
        return f"/* by hand */ {statement}", parameters

    with engine.connect() as connection:
        connection.execute(text("SELECT * FROM orders"))
    assert seen == ["SELECT * FROM orders"]
    assert counted(client)[("SELECT", "orders")] == 1


def test_a_pool_without_a_limit_has_no_size(client: Client, tmp_path: Path) -> None:
    engine = huoyan.watch(create_engine(f"sqlite:///{tmp_path}/plain.db", poolclass=NullPool))
    with engine.connect():
        assert pools(client) == {"plain.db": (1, None)}
    assert pools(client) == {"plain.db": (0, None)}


ENDLESS = """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :most)
    SELECT n FROM numbers WHERE n % 200000 = 0
"""
"""Looks at many rows for each that it gives."""


@pytest.mark.parametrize("way", ["all", "one by one", "many", "closed", "forgotten"])
def test_sqlite_looks_for_rows_while_they_are_fetched_and_that_is_the_statement(
    client: Client, tmp_path: Path, way: str
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    huoyan.watch(engine)
    entry = breakdown.enter("request")
    with engine.connect() as connection:
        result = connection.execute(text(ENDLESS), {"most": 1_000_000})
        if way == "all":
            assert len(result.all()) == 5
        elif way == "one by one":
            assert [row.n for row in result] == [200_000 * number for number in range(1, 6)]
        elif way == "many":
            assert [len(part) for part in result.partitions(2)] == [2, 2, 1]
        else:
            assert result.fetchmany(4)[-1].n == 800_000
            if way == "closed":
                result.close()
            del result
    told = breakdown.leave(entry)
    huoyan.unwatch(engine)
    engine.dispose()
    assert told is not None
    (part,) = [one for one in told["parts"] if one["operation"] in ("SELECT", "WITH")]
    assert (part["calls"], part["errors"]) == (1, 0)
    # The first row, a fifth of the work, is looked for when the statement is executed.
    assert part["total_s"] > 0.5 * told["total_s"]
    (seen,) = [
        child
        for values, child in client.measurements.distribution(DB_QUERY_DURATION).series()
        if values[0] == part["operation"]
    ]
    assert seen.count == 1
    assert seen.total == pytest.approx(part["total_s"], rel=0.02)


def test_an_error_while_sqlite_fetches_is_one_of_the_statement(client: Client, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    huoyan.watch(engine)

    @event.listens_for(engine, "connect")
    def add_function(connection: Any, _: Any) -> None:
        connection.create_function("fussy", 1, lambda n: n if n < 3 else 1 / 0)

    with engine.connect() as connection, pytest.raises(OperationalError):
        connection.execute(text("SELECT fussy(1) UNION ALL SELECT fussy(2) UNION ALL SELECT fussy(3)")).all()
    engine.dispose()
    assert list(errors(client).values()) == [1]


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("postgresql+psycopg://shop:s3cret@db:5433/orders?sslmode=require", "db:5433/orders"),
        ("postgresql+psycopg://shop:s3cret@db/orders", "db/orders"),
        ("sqlite:////var/lib/shop.db", "shop.db"),
        ("sqlite:///file:shop.db?mode=ro&uri=true&key=s3cret", "shop.db"),
        ("sqlite://", "sqlite"),
    ],
)
def test_a_database_is_named_by_where_it_is_and_never_with_credentials(address: str, target: str) -> None:
    assert target_of(create_engine(address).url) == target
