"""Redis, HTTP and mail clients that are watched, against real servers; and what OpenTelemetry tells of them."""

import asyncio
import smtplib
import ssl
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import aiosmtplib
import httpx
import pytest
import redis
import redis.asyncio
import requests
from aiosmtpd.controller import Controller
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import create_engine, text

import huoyan
from huoyan.client import breakdown
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from huoyan.signals.metric import Metric
from huoyan.signals.metrics.application import (
    DB_POOL_WAIT,
    DB_QUERY_DURATION,
    DB_QUERY_ERRORS,
    DEPENDENCY_LAST_SUCCESS,
    HTTP_CLIENT_ERRORS,
    HTTP_CLIENT_REQUEST_DURATION,
    REDIS_COMMAND_DURATION,
    REDIS_COMMAND_ERRORS,
    SMTP_SEND_DURATION,
    SMTP_SEND_ERRORS,
)
from tests.servers.http import HttpSink
from tests.servers.mail import SmtpServer
from tests.servers.process import free_port
from tests.servers.redis import RedisServer
from tests.unit.client.conftest import installed


@pytest.fixture
def client() -> Iterator[Client]:
    with installed(Client(Settings(service="shop", flush_interval_s=0.01), transport=MemoryTransport())) as new:
        yield new


@pytest.fixture
def mail_server() -> Iterator[Controller]:
    """Give a mail server that takes everything but mails for `nobody@shop.example`."""

    class Handler:
        async def handle_RCPT(  # noqa: N802
            self, server: Any, session: Any, envelope: Any, address: str, options: Any
        ) -> str:
            if address.startswith("nobody@"):
                return "550 no such user"
            envelope.rcpt_tos.append(address)
            return "250 OK"

    controller = Controller(Handler(), hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller
    controller.stop()


def counted(client: Client, metric: Metric) -> dict[tuple[str, ...], int]:
    return {values: child.count for values, child in client.measurements.distribution(metric).series() if child.count}


def errors(client: Client, metric: Metric) -> dict[tuple[str, ...], float]:
    return {values: child.value for values, child in client.measurements.counter(metric).series() if child.value}


def healthy(client: Client) -> set[tuple[str, ...]]:
    gauge = client.measurements.gauge(DEPENDENCY_LAST_SUCCESS)
    return {values for values, child in gauge.series() if child.value is not None}


def parts(told: breakdown.Breakdown | None) -> dict[tuple[str, str, str], tuple[int, int]]:
    assert told is not None
    return {
        (part["component"], part["operation"], part["target"]): (part["calls"], part["errors"])
        for part in told["parts"]
    }


def test_redis_commands_and_pipelines_are_counted(client: Client, redis_server: RedisServer) -> None:
    r: Any = huoyan.watch(redis.Redis.from_url(redis_server.database_url(21)))
    r.flushdb()
    entry = breakdown.enter("request")
    assert r.set("a", 1)
    assert r.get("a") == b"1"
    with r.pipeline() as pipe:
        assert pipe.incr("a").incr("a").execute() == [2, 3]
        assert pipe.execute() == []
    with r.pipeline() as pipe:
        pipe.watch("a")
        assert pipe.get("a") == b"3"
        pipe.multi()
        pipe.set("a", 9)
        pipe.execute()
    assert r.blpop(["missing"], timeout=0.01) is None
    assert r.xread({"stream": "$"}, block=1) in ([], {}, None)
    assert r.xread({"stream": "0"}) in ([], {})
    with pytest.raises(redis.ResponseError):
        r.lpush("a", 1)
    script = r.register_script("return 1")
    r.script_flush()
    assert script() == 1
    told = parts(breakdown.leave(entry))
    durations = counted(client, REDIS_COMMAND_DURATION)
    where = f"127.0.0.1:{redis_server.port}/21"
    assert durations["SET", where] == 1
    assert durations["PIPELINE", where] == 2
    assert durations["GET", where] == 2
    assert durations["XREAD", where] == 1
    assert ("BLPOP", where) not in durations
    assert errors(client, REDIS_COMMAND_ERRORS) == {("LPUSH", where): 1}
    assert told[("redis", "BLPOP", "blocking")] == (1, 0)
    assert told[("redis", "XREAD", "blocking")] == (1, 0)
    assert told[("redis", "XREAD", where)] == (1, 0)
    assert told[("redis", "LPUSH", where)] == (1, 1)
    assert healthy(client) == {("redis", where)}
    r.close()


def test_commands_however_they_are_given_have_the_names_that_redis_gives_them(
    client: Client, redis_server: RedisServer
) -> None:
    r: Any = huoyan.watch(redis.Redis.from_url(redis_server.database_url(24)))
    redis.Redis.from_url(redis_server.database_url(24)).flushdb()
    r.execute_command("GET secret:1042")
    r.execute_command(b"get secret:1043")
    r.config_get("maxmemory")
    r.execute_command("CONFIG GET port")
    with r.client() as one:
        one.incr("a")
        assert one.pipeline().incr("a").execute() == [2]
    with r.pipeline() as pipe:
        assert isinstance(pipe.lpush("a", 1).execute(raise_on_error=False)[0], redis.ResponseError)
    where = f"127.0.0.1:{redis_server.port}/24"
    assert counted(client, REDIS_COMMAND_DURATION) == {
        ("GET", where): 2,
        ("CONFIG GET", where): 2,
        ("INCRBY", where): 1,
        ("PIPELINE", where): 2,
    }
    assert errors(client, REDIS_COMMAND_ERRORS) == {("PIPELINE", where): 1}
    huoyan.unwatch(r)
    assert r.client().execute_command.__module__.startswith("redis.")
    r.close()


async def test_asynchronous_redis_is_counted_in_parallel(client: Client, redis_server: RedisServer) -> None:
    r = huoyan.watch(redis.asyncio.Redis.from_url(redis_server.database_url(22)))
    await r.flushdb()
    entry = breakdown.enter("request")
    await asyncio.gather(*(r.set(f"k{number}", number) for number in range(10)))
    async with r.pipeline() as pipe:
        assert await pipe.get("k1").get("k2").execute() == [b"1", b"2"]
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(r.blpop(["missing"], timeout=30), 0.05)
    told = breakdown.leave(entry)
    where = f"127.0.0.1:{redis_server.port}/22"
    assert parts(told)[("redis", "SET", where)] == (10, 0)
    assert parts(told)[("redis", "PIPELINE", where)] == (1, 0)
    assert parts(told)[("redis", "BLPOP", "blocking")] == (1, 0)
    assert told is not None
    assert told["own_s"] + sum(part["covered_s"] for part in told["parts"]) == pytest.approx(told["total_s"], abs=1e-6)
    assert not errors(client, REDIS_COMMAND_ERRORS)
    await r.aclose()


@pytest.fixture(scope="module")
def redis_cluster() -> Iterator[RedisServer]:
    with RedisServer(cluster=True) as server:
        yield server


def test_commands_and_pipelines_of_a_cluster_are_counted(client: Client, redis_cluster: RedisServer) -> None:
    r: Any = huoyan.watch(redis.RedisCluster(port=redis_cluster.port, host="127.0.0.1"))
    assert r.set("a", 1)
    with r.pipeline() as pipe:
        assert pipe.incr("a").get("a").execute() == [2, b"2"]
        assert pipe.execute() == []
    with pytest.raises(redis.ResponseError):
        r.lpush("a", 1)
    where = f"127.0.0.1:{redis_cluster.port}/0"
    durations = counted(client, REDIS_COMMAND_DURATION)
    assert durations == {("SET", where): 1, ("PIPELINE", where): 1, ("LPUSH", where): 1}
    assert errors(client, REDIS_COMMAND_ERRORS) == {("LPUSH", where): 1}
    huoyan.unwatch(r)
    r.get("a")
    assert counted(client, REDIS_COMMAND_DURATION) == durations
    r.close()


async def test_an_asynchronous_cluster_is_counted(client: Client, redis_cluster: RedisServer) -> None:
    r: Any = huoyan.watch(redis.asyncio.RedisCluster(port=redis_cluster.port, host="127.0.0.1"))
    assert await r.set("b", 1)
    async with r.pipeline() as pipe:
        assert await pipe.incr("b").get("b").execute() == [2, b"2"]
    where = f"127.0.0.1:{redis_cluster.port}/0"
    assert counted(client, REDIS_COMMAND_DURATION) == {("SET", where): 1, ("PIPELINE", where): 1}
    await r.aclose()


def test_a_redis_that_is_away_is_an_error_and_unwatching_ends_it(client: Client) -> None:
    port = free_port()
    r = huoyan.watch(redis.Redis(port=port, username="shop", password="s3cret", socket_connect_timeout=1))
    huoyan.watch(r)
    with pytest.raises(redis.ConnectionError):
        r.get("a")
    assert errors(client, REDIS_COMMAND_ERRORS) == {("GET", f"localhost:{port}/0"): 1}
    assert not healthy(client)
    huoyan.unwatch(r)
    with pytest.raises(redis.ConnectionError):
        r.get("a")
    assert errors(client, REDIS_COMMAND_ERRORS) == {("GET", f"localhost:{port}/0"): 1}


def test_redis_in_threads_loses_no_command(client: Client, redis_server: RedisServer) -> None:
    r = huoyan.watch(redis.Redis.from_url(redis_server.database_url(23)))
    threads = [threading.Thread(target=lambda: [r.ping() for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted(client, REDIS_COMMAND_DURATION) == {("PING", f"127.0.0.1:{redis_server.port}/23"): 200}
    r.close()


def test_requests_by_httpx_and_requests_are_counted_by_host_and_status(client: Client, http_sink: HttpSink) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    entry = breakdown.enter("request")
    with huoyan.watch(httpx.Client()) as h, huoyan.watch(requests.Session()) as s:
        for get in (h.get, s.get):
            assert get(f"{http_sink.url}/orders/17").status_code == 200
        http_sink.status = 503
        assert h.post(f"{http_sink.url}/orders", json={}).status_code == 503
        assert s.post(f"{http_sink.url}/orders", json={}).status_code == 503
        with pytest.raises(httpx.ConnectError):
            h.get(f"http://{nobody}/")
        with pytest.raises(requests.ConnectionError):
            s.get(f"http://{nobody}/")
        with h.stream("PUT", f"{http_sink.url}/big") as response:
            response.read()
        told = parts(breakdown.leave(entry))
        assert told == {
            ("http", "GET", http_sink.address): (2, 0),
            ("http", "POST", http_sink.address): (2, 2),
            ("http", "PUT", http_sink.address): (1, 1),
            ("http", "GET", nobody): (2, 2),
        }
        assert counted(client, HTTP_CLIENT_REQUEST_DURATION) == {
            ("GET", http_sink.address, "200"): 2,
            ("POST", http_sink.address, "503"): 2,
            ("PUT", http_sink.address, "503"): 1,
            ("GET", nobody, "error"): 2,
        }
        assert errors(client, HTTP_CLIENT_ERRORS) == {
            ("POST", http_sink.address, "503"): 2,
            ("PUT", http_sink.address, "503"): 1,
            ("GET", nobody, "ConnectError"): 1,
            ("GET", nobody, "ConnectionError"): 1,
        }
        assert healthy(client) == {("http", http_sink.address)}
        for each in (h, s):
            huoyan.unwatch(each)
            assert "send" not in vars(each)


async def test_asynchronous_httpx_is_counted_in_parallel(client: Client, http_sink: HttpSink) -> None:
    async with huoyan.watch(httpx.AsyncClient()) as h:
        entry = breakdown.enter("request")
        await asyncio.gather(*(h.get(f"{http_sink.url}/{number}") for number in range(5)))
        told = breakdown.leave(entry)
        assert parts(told) == {("http", "GET", http_sink.address): (5, 0)}
        with pytest.raises(httpx.UnsupportedProtocol):
            await h.get("ftp://127.0.0.1/")
    assert counted(client, HTTP_CLIENT_REQUEST_DURATION)[("GET", http_sink.address, "200")] == 5


def test_calls_without_a_client_of_ones_own_are_counted_by_the_class_and_each_once(
    client: Client, http_sink: HttpSink
) -> None:
    originals = httpx.Client.send, requests.Session.send
    own, session = huoyan.watch(httpx.Client()), huoyan.watch(requests.Session())
    huoyan.watch(httpx.Client)
    huoyan.watch(requests.Session)
    try:
        for get in (httpx.get, requests.get, own.get, session.get):
            assert get(f"{http_sink.url}/orders").status_code == 200
        assert counted(client, HTTP_CLIENT_REQUEST_DURATION) == {("GET", http_sink.address, "200"): 4}
    finally:
        for each in (httpx.Client, requests.Session, own, session):
            huoyan.unwatch(each)
    assert (httpx.Client.send, requests.Session.send) == originals
    own.close()
    session.close()


async def test_asynchronous_clients_are_counted_by_their_class(client: Client, http_sink: HttpSink) -> None:
    huoyan.watch(httpx.AsyncClient)
    try:
        async with httpx.AsyncClient() as h:
            await h.get(f"{http_sink.url}/orders")
    finally:
        huoyan.unwatch(httpx.AsyncClient)
    assert counted(client, HTTP_CLIENT_REQUEST_DURATION) == {("GET", http_sink.address, "200"): 1}


def test_a_redirect_is_part_of_its_request(client: Client, http_sink: HttpSink) -> None:
    class Redirecting(requests.Session):
        """Answers each request once with a redirect, as a server would."""

        def get_redirect_target(self, resp: requests.Response) -> str | None:
            return f"{http_sink.url}/new" if resp.url.endswith("/old") else None

    with huoyan.watch(Redirecting()) as session:
        answer = session.get(f"{http_sink.url}/old")
        assert [response.url[-4:] for response in (*answer.history, answer)] == ["/old", "/new"]
    assert counted(client, HTTP_CLIENT_REQUEST_DURATION) == {("GET", http_sink.address, "200"): 1}


def test_an_answer_that_the_program_makes_an_error_of_keeps_its_status(client: Client, http_sink: HttpSink) -> None:
    def refuse(response: httpx.Response | requests.Response, *_: object, **__: object) -> None:
        response.raise_for_status()

    with httpx.Client(event_hooks={"response": [refuse]}) as h, requests.Session() as s:
        s.hooks["response"].append(refuse)
        for get in (huoyan.watch(h).get, huoyan.watch(s).get):
            for status in (404, 503):
                http_sink.status = status
                with pytest.raises((httpx.HTTPStatusError, requests.HTTPError)):
                    get(f"{http_sink.url}/orders")
    assert counted(client, HTTP_CLIENT_REQUEST_DURATION) == {
        ("GET", http_sink.address, "404"): 2,
        ("GET", http_sink.address, "503"): 2,
    }
    assert errors(client, HTTP_CLIENT_ERRORS) == {("GET", http_sink.address, "503"): 2}


def test_what_another_session_is_asked_within_a_request_counts_by_itself(client: Client, http_sink: HttpSink) -> None:
    with huoyan.watch(requests.Session()) as session, huoyan.watch(requests.Session()) as other:

        def fetch_token(response: requests.Response, *_: object, **__: object) -> None:
            other.put(f"{http_sink.url}/token")

        session.get(f"{http_sink.url}/orders", hooks={"response": fetch_token})
    assert counted(client, HTTP_CLIENT_REQUEST_DURATION) == {
        ("GET", http_sink.address, "200"): 1,
        ("PUT", http_sink.address, "200"): 1,
    }


def message(to: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "shop@shop.example", to, "Your order"
    mail.set_content("It is on its way.")
    return mail


def test_mails_by_smtplib_are_counted(client: Client, mail_server: Controller) -> None:
    originals = smtplib.SMTP.sendmail, smtplib.SMTP.connect
    huoyan.watch(smtplib.SMTP)
    huoyan.watch(smtplib.SMTP)
    try:
        entry = breakdown.enter("request")
        with smtplib.SMTP("127.0.0.1", mail_server.port) as connection:
            connection.send_message(message("ada@shop.example"))
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                connection.send_message(message("nobody@shop.example"))
        with smtplib.SMTP() as later:
            later.connect("127.0.0.1", mail_server.port)
            later.send_message(message("eve@shop.example"))
        with pytest.raises(ConnectionRefusedError):
            smtplib.SMTP("localhost", free_port())
        assert parts(breakdown.leave(entry)) == {
            ("smtp", "CONNECT", "127.0.0.1"): (2, 0),
            ("smtp", "SEND", "127.0.0.1"): (3, 1),
            ("smtp", "CONNECT", "localhost"): (1, 1),
        }
    finally:
        huoyan.unwatch(smtplib.SMTP)
    assert (smtplib.SMTP.sendmail, smtplib.SMTP.connect) == originals
    assert counted(client, SMTP_SEND_DURATION) == {("127.0.0.1",): 3}
    assert errors(client, SMTP_SEND_ERRORS) == {("127.0.0.1",): 1, ("localhost",): 1}
    assert healthy(client) == {("smtp", "127.0.0.1")}


async def test_mails_by_aiosmtplib_are_counted(client: Client, mail_server: Controller) -> None:
    huoyan.watch(aiosmtplib.SMTP)
    try:
        entry = breakdown.enter("request")
        await aiosmtplib.send(message("ada@shop.example"), hostname="127.0.0.1", port=mail_server.port)
        assert parts(breakdown.leave(entry)) == {
            ("smtp", "CONNECT", "127.0.0.1"): (1, 0),
            ("smtp", "SEND", "127.0.0.1"): (1, 0),
        }
    finally:
        huoyan.unwatch(aiosmtplib.SMTP)
    one = huoyan.watch(aiosmtplib.SMTP(hostname="127.0.0.1", port=mail_server.port))
    async with one:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
            await one.send_message(message("nobody@shop.example"))
    assert counted(client, SMTP_SEND_DURATION) == {("127.0.0.1",): 2}
    assert errors(client, SMTP_SEND_ERRORS) == {("127.0.0.1",): 1}


async def test_a_login_or_certificate_that_fails_is_an_error_of_the_mail_server_told_once(
    client: Client, smtp_server: SmtpServer
) -> None:
    trusting = ssl.create_default_context(cafile=smtp_server.certificate_path)
    huoyan.watch(smtplib.SMTP)
    huoyan.watch(aiosmtplib.SMTP)
    try:
        entry = breakdown.enter("request")
        with huoyan.watch(smtplib.SMTP(smtp_server.host, smtp_server.port)) as connection:
            connection.starttls(context=trusting)
            with pytest.raises(smtplib.SMTPAuthenticationError):
                connection.login(smtp_server.username, "wrong")
            connection.login(smtp_server.username, smtp_server.password)
            connection.send_message(message("ada@shop.example"))
        assert parts(breakdown.leave(entry)) == {
            ("smtp", "CONNECT", smtp_server.host): (1, 0),
            ("smtp", "STARTTLS", smtp_server.host): (1, 0),
            ("smtp", "LOGIN", smtp_server.host): (2, 1),
            ("smtp", "SEND", smtp_server.host): (1, 0),
        }
        with smtplib.SMTP(smtp_server.host, smtp_server.port) as connection, pytest.raises(ssl.SSLError):
            connection.starttls(context=ssl.create_default_context())
        assert errors(client, SMTP_SEND_ERRORS) == {(smtp_server.host,): 2}
        entry = breakdown.enter("request")
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await aiosmtplib.send(
                message("ada@shop.example"),
                hostname=smtp_server.host,
                port=smtp_server.port,
                start_tls=True,
                tls_context=trusting,
                username=smtp_server.username,
                password="wrong",
            )
        assert parts(breakdown.leave(entry)) == {("smtp", "CONNECT", smtp_server.host): (1, 1)}
    finally:
        huoyan.unwatch(smtplib.SMTP)
        huoyan.unwatch(aiosmtplib.SMTP)
    assert errors(client, SMTP_SEND_ERRORS) == {(smtp_server.host,): 3}
    assert counted(client, SMTP_SEND_DURATION) == {(smtp_server.host,): 1}


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
