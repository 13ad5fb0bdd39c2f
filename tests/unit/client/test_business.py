"""What an application counts of its own, in this process, in threads, tasks and children, and on its metrics page."""

import asyncio
import logging
import math
import os
import threading
import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy
import pytest
import redis
import redis.asyncio
import sqlalchemy
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.ext.asyncio import create_async_engine

import huoyan
from huoyan.client import backlog as backlogs
from huoyan.client import business, funnel
from huoyan.client.exposition import register, render
from huoyan.client.operation import Operation
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from huoyan.signals.metric import Across
from huoyan.signals.metrics.application import BACKLOG, FUNNEL_ENTERED, FUNNEL_REACHED, OPERATION_DURATION, OPERATIONS
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until
from tests.unit.client.conftest import installed


@pytest.fixture(autouse=True)
def _declared_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(business, "_declared", {})
    monkeypatch.setattr(funnel, "_funnels", {})
    monkeypatch.setattr(backlogs, "_backlogs", {})


def _counted(client: Client, metric) -> dict[tuple[str, ...], float]:
    return {values: child.value for values, child in client.measurements.counter(metric).series()}


def test_a_counter_declared_twice_is_one_and_counts_by_its_labels(local_client: Client) -> None:
    orders = huoyan.counter("orders_created", "Orders created.", labels=("method",))
    assert huoyan.counter("orders_created_total", "Orders created.", labels=("method",)) is orders
    orders.add(method="card")
    orders.add(2, method="card")
    orders.add_many([({"method": "card"}, 3), ({"method": "invoice"}, 1)])
    assert _counted(local_client, orders.metric) == {("card",): 6.0, ("invoice",): 1.0}


def test_a_batch_of_different_metrics_is_recorded_in_one_call(local_client: Client) -> None:
    orders = huoyan.counter("orders")
    stock = huoyan.gauge("stock", labels=("shelf",))
    weight = huoyan.distribution("weight_grams")
    huoyan.record_many([(orders, 2, {}), (stock, 7, {"shelf": "a"}), (weight, 120, {}), (weight, 80, {})])
    assert _counted(local_client, orders.metric) == {(): 2.0}
    assert [child.value for _, child in local_client.measurements.gauge(stock.metric).series()] == [7.0]
    ((_, observed),) = local_client.measurements.distribution(weight.metric).series()
    assert (observed.count, observed.total) == (2, 200.0)


def test_labels_are_given_by_the_names_that_they_were_declared_by(local_client: Client) -> None:
    """`service` has another name at a server only, which puts the service that reports in front."""
    orders = huoyan.counter("orders_created", labels=("service", "le", "pay-method"))
    orders.add_many([({"service": "shop", "le": "x", "pay-method": "card"}, 2)])
    huoyan.counter("orders_created", labels=("service", "le", "pay-method")).add(
        **{"service": "shop", "le": "x", "pay-method": "card"}
    )
    assert orders.metric.labels == ("service_", "le_", "pay_method")
    assert _counted(local_client, orders.metric) == {("shop", "x", "card"): 3.0}
    text = render(register(CollectorRegistry()))[1].decode()
    assert 'orders_created_total{service="shop",le_="x",pay_method="card"} 3.0\n' in text
    one = huoyan.distribution("weight_grams", labels="value")
    one.observe(5, value="parcel")
    one.observe_many([({"value": "parcel"}, 4)])
    huoyan.counter("parcels").add(n=2)
    assert [values for values, _ in local_client.measurements.distribution(one.metric).series()] == [("parcel",)]
    assert _counted(local_client, huoyan.counter("parcels").metric) == {(): 2.0}


def test_numbers_of_every_kind_count_and_a_wrong_item_costs_no_other(local_client: Client) -> None:
    orders, stock = huoyan.counter("orders", labels=("kind",)), huoyan.gauge("stock")
    for n in (numpy.float64(1.5), numpy.int64(2), Decimal("0.5"), Fraction(1, 2), True, math.nan, -1, 10**400, "x"):
        orders.add(n, kind="any")  # type: ignore[arg-type]
    orders.add_many([({"kind": "many"}, 1), "wrong", ({"colour": "red"}, 1), ({"kind": "many"}, 2)])  # type: ignore[list-item]
    more = (orders, 1, {"kind": "many"})
    huoyan.record_many([more, None, (stock, numpy.int64(7), {}), more])  # type: ignore[list-item]
    assert _counted(local_client, orders.metric) == {("any",): 5.5, ("many",): 5.0}
    lines = render(register(CollectorRegistry()))[1].decode().splitlines()
    assert 'orders_total{kind="any"} 5.5' in lines, "in the words of Prometheus, whatever the number was"
    assert "stock 7.0" in lines


def test_names_that_would_spoil_the_metrics_page_are_not_recorded(local_client: Client) -> None:
    huoyan.counter("").add()
    huoyan.counter(None).add()  # type: ignore[arg-type]
    huoyan.distribution("packing_seconds").observe(1)
    huoyan.gauge("packing_seconds_count").set(5)
    huoyan.gauge("http_request_duration_seconds_sum").set(5)
    huoyan.gauge("picking_seconds_sum").set(5)
    huoyan.distribution("picking_seconds").observe(1)
    for odd in (None, 5):
        huoyan.counter(f"odd_{odd}", labels=odd).add()  # type: ignore[arg-type]
    samples = [
        (sample.name, *sample.labels.values())
        for family in text_string_to_metric_families(render(register(CollectorRegistry()))[1].decode())
        for sample in family.samples
    ]
    assert len(samples) == len(set(samples))
    own = {sample[0] for sample in samples if not sample[0].startswith(("packing_", "http_", "huoyan_"))}
    assert own == {"unnamed_total", "None_total", "picking_seconds_sum", "odd_None_total", "odd_5_total"}


def test_what_is_declared_wrongly_never_raises_and_is_said(
    local_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "huoyan"):
        orders = huoyan.counter("orders", labels=("method",))
        orders.add(colour="red")
        huoyan.counter("orders", labels=("other",)).add(other="x")
        huoyan.counter("http_requests_total").add()
        orders.add("many", method="card")  # type: ignore[arg-type]
    said = " ".join(record.getMessage() for record in caplog.records)
    assert "expected the labels ('method',)" in said
    assert "as declared before" in said
    assert "belongs to Huoyan" in said
    assert _counted(local_client, orders.metric) in ({}, {("card",): 0.0})


@pytest.mark.parametrize("value", ["4711", "6f1c1f0e-6f0c-4b6e-9d6b-3d7e3f1b2c3d", "ann@example.org"])
def test_an_id_in_a_label_is_refused_with_advice_and_the_count_is_kept(
    local_client: Client, caplog: pytest.LogCaptureFixture, value: str
) -> None:
    orders = huoyan.counter("orders", labels=("customer",))
    with caplog.at_level(logging.WARNING, "huoyan"):
        orders.add(3, customer=value)
    assert _counted(local_client, orders.metric) == {("other",): 3.0}
    assert "keep the id for logs and traces" in caplog.text
    budget = local_client.measurements.counter(orders.metric).budget
    assert budget.folded == 1
    assert budget.samples == [(value,)]


def test_metrics_declared_before_anything_is_watched_cost_nothing_while_watching_is_off() -> None:
    with installed(Client(Settings(enabled=False))) as client:
        huoyan.counter("orders").add()
        with huoyan.operation("pay"):
            pass
        assert client.measurements.families() == []


def test_a_child_process_counts_for_itself(local_client: Client) -> None:
    orders = huoyan.counter("orders")
    orders.add(5)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        orders.add(2)
        os.write(writing, str(_counted(local_client, orders.metric)[()]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 10) == b"2.0"
    assert _counted(local_client, orders.metric) == {(): 5.0}


async def test_an_operation_is_an_asynchronous_context_too(local_client: Client) -> None:
    async with huoyan.operation("import") as importing:
        importing.fail()
    with pytest.raises(KeyError):
        async with huoyan.operation("import"):
            raise KeyError
    assert _counted(local_client, OPERATIONS) == {("import", "failure"): 2.0}


async def test_an_operation_is_timed_and_judged_in_tasks_that_overlap(local_client: Client) -> None:
    pay = huoyan.operation("pay")

    @pay
    async def paying(fail: bool) -> None:
        await asyncio.sleep(0)
        if fail:
            raise RuntimeError("declined")

    await asyncio.gather(*(paying(number % 4 == 0) for number in range(8)), return_exceptions=True)
    with pay:
        pay.fail()
    hanging = asyncio.create_task(_hang(pay))
    await asyncio.sleep(0)
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
    assert _counted(local_client, OPERATIONS) == {("pay", "success"): 6.0, ("pay", "failure"): 3.0}
    ((_, observed),) = local_client.measurements.distribution(OPERATION_DURATION).series()
    assert observed.count == 10


async def _hang(operation: Operation) -> None:
    with operation:
        await asyncio.Event().wait()


def test_a_decorated_function_keeps_its_name_and_result(local_client: Client) -> None:
    @huoyan.operation("add")
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    assert (add(1, 2), add.__name__, add.__doc__) == (3, "add", "Add.")
    assert _counted(local_client, OPERATIONS) == {("add", "success"): 1.0}


def test_a_gauge_says_how_several_processes_of_it_become_one(
    local_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    assert huoyan.gauge("open_doors").metric.across is Across.SUM
    assert huoyan.gauge("last_import_timestamp_seconds").metric.across is Across.MAX
    assert huoyan.gauge("coldest", combine="min").metric.across is Across.MIN
    price = huoyan.gauge("price", combine="last")
    before = time.time()
    price.set(3)
    ((_, child),) = local_client.measurements.gauge(price.metric).series()
    assert before <= child.set_at <= time.time()
    assert huoyan.gauge("mistaken", combine="mean").metric.across is Across.SUM
    assert huoyan.gauge("price", combine="max") is price
    assert "expected one of ['sum', 'max', 'min', 'last'], got 'mean'" in caplog.text
    assert "price: expected combine last" in caplog.text


def test_keys_of_funnels_leave_as_hashes_with_the_count_that_holds_them(
    client: Client, transport: MemoryTransport
) -> None:
    for key in (1042, "1042", "1043"):
        huoyan.funnel("delivery", steps=["sent", "arrived"], window_s=60).step("sent", key=key)
    client.close()
    (frame,) = [frame for frame in transport.measurements if "reached" in frame]
    (reached,) = frame["reached"]
    assert {name: reached[name] for name in ("funnel", "step", "position", "window_s")} == {
        "funnel": "delivery",
        "step": "sent",
        "position": 1,
        "window_s": 60,
    }
    assert len(set(reached["keys"])) == 2
    assert not {"1042", "1043"} & set(reached["keys"])
    series = next(metric["series"] for metric in frame["metrics"] if metric["name"] == FUNNEL_REACHED.name)
    assert series == [{"values": ["delivery", "sent", "1"], "add": 2.0}]


def test_each_key_counts_once_at_each_step_and_never_becomes_a_label(local_client: Client) -> None:
    checkout = huoyan.funnel("checkout", steps=["cart", "paid", "shipped"])
    assert huoyan.funnel("checkout", steps=["cart", "paid", "shipped"]) is checkout
    for number in range(10):
        checkout.step("cart", key=f"order-{number}")
    for number in (0, 1, 2, 2, 2):
        checkout.step("paid", key=f"order-{number}")
    checkout.step("shipped", key="order-1")
    checkout.step("refunded", key="order-1")
    assert _counted(local_client, FUNNEL_REACHED) == {
        ("checkout", "cart", "1"): 10.0,
        ("checkout", "paid", "2"): 3.0,
        ("checkout", "shipped", "3"): 1.0,
    }
    assert set(_counted(local_client, FUNNEL_ENTERED).values()) == {10.0}


def test_steps_of_any_kind_are_told_by_their_text_and_nothing_wrong_raises(local_client: Client) -> None:
    numbered = huoyan.funnel("numbered", steps=[1, 2])  # type: ignore[list-item]
    numbered.step(1, key="a")  # type: ignore[arg-type]
    numbered.step("2", key="a")
    huoyan.funnel("windowless", steps=["a"], window_s="long").step("a", key=1)  # type: ignore[arg-type]
    huoyan.funnel("stepless", steps=None).step("a", key=1)  # type: ignore[arg-type]
    counted = {key[:2]: count for key, count in _counted(local_client, FUNNEL_REACHED).items()}
    assert counted == {("numbered", "1"): 1, ("numbered", "2"): 1, ("windowless", "a"): 1}


def test_a_funnel_remembers_a_bounded_number_of_keys(local_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(funnel, "_MAX_KEYS", 100)
    checkout = huoyan.funnel("checkout", steps=["cart"])
    for number in range(1000):
        checkout.step("cart", key=number)
    assert len(checkout._keys) <= 101


def _backlog(client: Client) -> dict[str, float | None]:
    client.outbox.read()
    return {values[0]: child.value for values, child in client.measurements.gauge(BACKLOG).series()}


def test_backlogs_in_redis_and_sql_are_read_whatever_their_type(
    local_client: Client, redis_server: RedisServer, tmp_path
) -> None:
    connection = redis.Redis.from_url(redis_server.url)
    connection.flushdb()
    connection.rpush("mails", "a", "b", "c")
    connection.xadd("events", {"a": 1})
    connection.zadd("due", {"a": 1, "b": 2})
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'mails.db'}")
    with engine.begin() as database:
        database.exec_driver_sql("CREATE TABLE mails (sent_at REAL)")
        database.exec_driver_sql("INSERT INTO mails VALUES (NULL), (NULL), (1.0)")
    for key in ("mails", "events", "due", "nothing"):
        huoyan.backlog(key, connection, key=key)
    huoyan.backlog("unsent", engine, sql="SELECT count(*) FROM mails WHERE sent_at IS NULL")
    huoyan.backlog("asked", lambda: 42)
    expected = {"mails": 3.0, "events": 1.0, "due": 2.0, "nothing": 0.0, "unsent": 2.0, "asked": 42.0}
    wait_until(lambda: _backlog(local_client) == expected, message="the backlogs are read")


async def test_what_is_asynchronous_is_read_on_the_loop_of_the_program(
    local_client: Client, redis_server: RedisServer, tmp_path: Path
) -> None:
    cache = redis.asyncio.Redis(port=redis_server.port, db=29)
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/mails.db")
    await cache.delete("mails")
    await cache.zadd("mails", {"a": 1, "b": 2})
    async with engine.begin() as connection:
        await connection.execute(sqlalchemy.text("CREATE TABLE mails (id int)"))

    async def counted() -> int:
        return 5 if asyncio.get_running_loop() is loop else 0

    loop = asyncio.get_running_loop()
    huoyan.backlog("redis", cache, key="mails")
    huoyan.backlog("sql", engine, sql=sqlalchemy.text("SELECT count(*) FROM mails"))
    huoyan.backlog("function", counted)
    huoyan.backlog("unknown", lambda: math.nan)
    huoyan.backlog("limitless", lambda: 3, timeout_s="long")  # type: ignore[arg-type]
    known = {"redis": 2.0, "sql": 0.0, "function": 5.0, "limitless": 3.0}

    def told() -> dict[str, float]:
        series = local_client.outbox.read().gauge(BACKLOG).series()
        return {values[0]: child.value for values, child in series if child.value is not None}

    async with asyncio.timeout(60):
        while await asyncio.to_thread(told) != known:
            await asyncio.sleep(0)
    await cache.aclose()
    await engine.dispose()


def test_a_backlog_that_hangs_or_fails_is_absent_and_holds_nobody_up(local_client: Client) -> None:
    released = threading.Event()
    answers: list[float] = [5.0]

    def sometimes() -> float:
        return answers.pop()

    huoyan.backlog("hangs", released.wait, timeout_s=0.05)
    huoyan.backlog("fails", sometimes)
    wait_until(lambda: _backlog(local_client).get("fails") == 5.0, message="it is read once")
    began = time.monotonic()
    wait_until(lambda: _backlog(local_client) == {"hangs": None, "fails": None}, message="both are absent")
    assert time.monotonic() - began < 5.0
    released.set()


def test_everything_declared_is_on_the_metrics_page_of_the_application(local_client: Client) -> None:
    registry = register(CollectorRegistry())
    huoyan.counter("orders_created", "Orders created.", labels=("method",)).add(2, method="card")
    huoyan.gauge("stock_items", "Items in stock.").set(7)
    took = huoyan.distribution("packing_seconds", "How long packing took.")
    for _ in range(10):
        took.observe(0.3)
    families = {family.name: family for family in text_string_to_metric_families(render(registry)[1].decode())}
    assert families["orders_created"].samples[0].value == 2.0
    assert families["orders_created"].samples[0].labels == {"method": "card"}
    assert families["stock_items"].samples[0].value == 7.0
    buckets = {s.labels["le"]: s.value for s in families["packing_seconds"].samples if s.name.endswith("_bucket")}
    assert buckets["+Inf"] == 10.0
    assert buckets["0.25"] == 0.0
    assert buckets["0.5"] == 10.0
    assert families["huoyan_process_resident_memory_bytes"].samples[0].value > 1e6
    assert families["huoyan_process_open_files"].samples[0].value >= 3
