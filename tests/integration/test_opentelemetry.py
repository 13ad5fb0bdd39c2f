"""What OpenTelemetry tells of dependencies."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import create_engine, text

import huoyan
from huoyan.client import breakdown
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from huoyan.signals.metrics.application import (
    DB_POOL_WAIT,
    DB_QUERY_DURATION,
    DB_QUERY_ERRORS,
    HTTP_CLIENT_ERRORS,
    HTTP_CLIENT_REQUEST_DURATION,
)
from tests.integration.watching import counted, errors, healthy, parts
from tests.unit.client.conftest import installed


@pytest.fixture
def client() -> Iterator[Client]:
    with installed(Client(Settings(service="shop", flush_interval_s=0.01), transport=MemoryTransport())) as new:
        yield new


SPANS: list[tuple[dict[str, Any], tuple[str, str, str]]] = [
    ({"db.system": "postgresql", "db.statement": "SELECT * FROM orders"}, ("database", "SELECT", "orders")),
    (
        {"db.system.name": "postgresql", "db.operation.name": "insert", "db.collection.name": "lines"},
        ("database", "INSERT", "lines"),
    ),
    ({"db.system": "mongodb", "db.operation": "find"}, ("database", "FIND", "")),
    ({"db.system": "redis", "db.statement": "GET ?"}, ("redis", "GET", "")),
    (
        {"db.system": "redis", "db.statement": "GET ?", "net.peer.name": "cache", "net.peer.port": 6379},
        ("redis", "GET", "cache:6379/0"),
    ),
    ({"db.system.name": "redis", "db.query.text": "SET ? ?\nGET ?"}, ("redis", "PIPELINE", "")),
    (
        {"http.method": "GET", "http.url": "https://Bank.example:8443/x", "http.status_code": 200},
        ("http", "GET", "bank.example:8443"),
    ),
    (
        {"http.request.method": "POST", "server.address": "bank.example", "server.port": 443},
        ("http", "POST", "bank.example"),
    ),
    ({"rpc.system": "grpc", "rpc.service": "shop.Stock", "rpc.method": "Get"}, ("rpc", "Get", "shop.Stock")),
    (
        {"messaging.system": "kafka", "messaging.operation.type": "send", "messaging.destination.name": "paid"},
        ("messaging", "send", "paid"),
    ),
]


@pytest.mark.parametrize(("attributes", "part"), SPANS, ids=[str(part) for _, part in SPANS])
def test_spans_of_every_convention_are_parts_of_the_breakdown(
    client: Client, attributes: dict[str, Any], part: tuple[str, str, str]
) -> None:
    tracer = huoyan.watch(TracerProvider()).get_tracer("anything")
    entry = breakdown.enter("request")
    with tracer.start_as_current_span("call", kind=SpanKind.CLIENT) as span:
        span.set_attributes(attributes)
    with tracer.start_as_current_span("own work", attributes=attributes):
        pass
    failed = int(part[1] == "POST")
    assert parts(breakdown.leave(entry)) == {part: (1, failed)}
    assert entry.collector.open == 0


def test_spans_fill_the_figures_of_the_hooks(client: Client) -> None:
    tracer = huoyan.watch(TracerProvider()).get_tracer("anything")
    where: dict[str, Any] = {"server.address": "db", "server.port": 5432, "db.namespace": "shop"}
    with tracer.start_as_current_span("q", kind=SpanKind.CLIENT, attributes={**SPANS[0][0], **where}) as span:
        span.set_status(StatusCode.ERROR)
    with tracer.start_as_current_span("h", kind=SpanKind.CLIENT, attributes=SPANS[7][0]) as span:
        span.set_attribute("error.type", "httpx.ConnectError")
    assert counted(client, DB_QUERY_DURATION) == {("SELECT", "orders", "db:5432/shop"): 1}
    assert errors(client, DB_QUERY_ERRORS) == {("SELECT", "orders", "db:5432/shop"): 1}
    assert healthy(client) == set()
    assert counted(client, HTTP_CLIENT_REQUEST_DURATION) == {("POST", "bank.example", "error"): 1}
    assert errors(client, HTTP_CLIENT_ERRORS) == {("POST", "bank.example", "ConnectError"): 1}


def test_a_span_within_a_counted_one_does_not_count(client: Client) -> None:
    tracer = huoyan.watch(TracerProvider()).get_tracer("anything")
    entry = breakdown.enter("request")
    with (
        tracer.start_as_current_span("outer", kind=SpanKind.CLIENT) as outer,
        tracer.start_as_current_span("driver", kind=SpanKind.CLIENT, attributes=SPANS[0][0]),
    ):
        outer.set_attributes(SPANS[0][0])
    assert parts(breakdown.leave(entry)) == {("database", "SELECT", "orders"): (1, 0)}


def test_the_driver_below_an_instrumented_engine_does_not_count_and_connecting_is_no_statement(client: Client) -> None:
    """SQLAlchemy's instrumentation ends the context of its span before the driver begins its own."""
    provider = huoyan.watch(TracerProvider())
    driver = provider.get_tracer("opentelemetry.instrumentation.sqlite3")
    engine = create_engine("sqlite://")
    execute = engine.dialect.do_execute

    def traced(cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        with driver.start_as_current_span("q", kind=SpanKind.CLIENT) as span:
            span.set_attributes({"db.system": "sqlite", "db.statement": statement})
            execute(cursor, statement, parameters, context)

    engine.dialect.do_execute = traced  # type: ignore[method-assign]
    instrumentor = SQLAlchemyInstrumentor()
    instrumentor.instrument(engine=engine, tracer_provider=provider, skip_dep_check=True)
    try:
        with engine.connect() as connection:
            connection.execute(text("CREATE TABLE orders (id int)"))
            connection.execute(text("SELECT * FROM orders"))
        with driver.start_as_current_span("q", kind=SpanKind.CLIENT) as span:
            span.set_attributes({"db.system": "sqlite", "db.statement": "SELECT * FROM lines"})
    finally:
        instrumentor.uninstrument()
        engine.dispose()
    told = {values[:2]: count for values, count in counted(client, DB_QUERY_DURATION).items()}
    assert told == {("CREATE", "orders"): 1, ("SELECT", "orders"): 1, ("SELECT", "lines"): 1}
    assert list(counted(client, DB_POOL_WAIT).values()) == [1]


def test_a_span_of_a_request_without_an_answer_tells_the_exception(client: Client) -> None:
    tracer = huoyan.watch(TracerProvider()).get_tracer("anything")
    with (
        pytest.raises(httpx.ConnectError),
        tracer.start_as_current_span("h", kind=SpanKind.CLIENT, attributes=SPANS[7][0]),
    ):
        raise httpx.ConnectError("refused")
    assert errors(client, HTTP_CLIENT_ERRORS) == {("POST", "bank.example", "ConnectError"): 1}


def test_what_a_hook_of_its_own_sees_is_not_counted_again(client: Client) -> None:
    provider = huoyan.watch(TracerProvider())
    engine = create_engine("sqlite://")
    instrumentor = SQLAlchemyInstrumentor()
    instrumentor.instrument(engine=engine, tracer_provider=provider, skip_dep_check=True)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        seen = sum(counted(client, DB_QUERY_DURATION).values())
        assert seen >= 1
        huoyan.watch(engine)
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        assert sum(counted(client, DB_QUERY_DURATION).values()) == seen + 1
        huoyan.unwatch(engine)
        huoyan.unwatch(provider)
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        assert sum(counted(client, DB_QUERY_DURATION).values()) == seen + 1
    finally:
        instrumentor.uninstrument()


def test_spans_that_never_end_are_not_kept_without_end(client: Client) -> None:
    provider = huoyan.watch(TracerProvider())
    tracer = provider.get_tracer("anything")
    entry = breakdown.enter("request")
    for _ in range(10_050):
        tracer.start_span("lost", kind=SpanKind.CLIENT)
    assert len(vars(provider)["_huoyan_processor"]._open) == 10_000
    assert entry.collector.open == 10_000
    breakdown.leave(entry)
