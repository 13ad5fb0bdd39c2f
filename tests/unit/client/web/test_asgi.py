"""Requests of FastAPI and Starlette applications: counted by template, timed without background, never disturbed."""

import asyncio
import functools
import time
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.routing import Host, Mount, Route
from starlette.websockets import WebSocketDisconnect

import huoyan
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from huoyan.client.web.asgi import Middleware
from huoyan.signals.metrics.application import HTTP_WEBSOCKETS, HTTP_WEBSOCKETS_OPEN
from tests.unit.client.conftest import installed
from tests.unit.client.web.asking import counted, hello, ignore, nothing, requests_to, watched


def test_requests_are_counted_by_template_method_and_status(local_client: Client) -> None:
    app = FastAPI()

    @app.get("/orders/{order_id}")
    async def order(order_id: int) -> int:
        return order_id

    @app.post("/orders", status_code=201)
    def create() -> None: ...

    watched(app)
    assert requests_to(app, "/orders/1", "/orders/2", "/orders/x") == [200, 200, 422]
    assert requests_to(app, "/orders", method="POST") == [201]
    assert requests_to(app, "/orders", method="DELETE") == [405]
    assert counted(local_client) == {
        ("GET", "/orders/{order_id}", 200): 2,
        ("GET", "/orders/{order_id}", 422): 1,
        ("POST", "/orders", 201): 1,
        ("DELETE", "/orders", 405): 1,
    }
    assert local_client.metrics.requests.in_flight == 0


def test_paths_that_no_route_takes_are_one_value(local_client: Client) -> None:
    app = watched(FastAPI())
    assert requests_to(app, *(f"/wp-{number}.php" for number in range(50))) == [404] * 50
    assert counted(local_client) == {("GET", "unmatched", 404): 50}


def test_prefixes_of_routers_and_mounts_are_part_of_the_template(local_client: Client) -> None:
    inner = APIRouter(prefix="/v1")

    @inner.get("/items/{item}")
    def item(item: str) -> str:
        return item

    outer = APIRouter(prefix="/shop")
    outer.include_router(inner)
    app = FastAPI()
    app.include_router(outer, prefix="/eu")
    app.include_router(inner)
    sub = FastAPI()
    sub.get("/items/{item}")(item)
    app.mount("/sub", sub)
    plain = Starlette(routes=[Route("/{name}", hello), Mount("/deep", routes=[Route("/{name}", hello)])])
    app.mount("/plain", plain)
    watched(app)
    paths = ["/eu/shop/v1/items/1", "/v1/items/1", "/sub/items/1", "/plain/ann", "/plain/deep/ann", "/sub/none/at/all"]
    assert requests_to(app, *paths) == [200, 200, 200, 200, 200, 404]
    assert {endpoint for _, endpoint, _ in counted(local_client)} == {
        "/eu/shop/v1/items/{item}",
        "/v1/items/{item}",
        "/sub/items/{item}",
        "/plain/{name}",
        "/plain/deep/{name}",
        "/sub/{path}",
    }


def test_the_parameters_of_mounts_stay_names(local_client: Client) -> None:
    deep = Mount("/shops/{shop:int}", routes=[Route("/", hello), Route("/{name}", hello)])
    tenant = Starlette(routes=[Route("/{name}", hello), Mount("/plain", routes=[Route("/", hello)]), deep])
    hosted = Host("{anything:path}", Starlette(routes=[Mount("/at/{place}", routes=[Route("/{name}", hello)])]))
    app = watched(Starlette(routes=[Mount("/tenants/{tenant}", tenant), hosted]))
    paths = [
        f"/tenants/t{number}/{end}" for number in range(20) for end in ("ann", "plain/", "shops/7/ann", "shops/7/")
    ]
    assert requests_to(app, *paths, "/tenants/t1/none/at/all", "/at/here/ann") == [200] * 80 + [404, 200]
    assert {endpoint: count for (_, endpoint, _), count in counted(local_client).items()} == {
        "/tenants/{tenant}/{name}": 20,
        "/tenants/{tenant}/plain/": 20,
        "/tenants/{tenant}/shops/{shop}/{name}": 20,
        "/tenants/{tenant}/shops/{shop}/": 20,
        "/tenants/{tenant}/{path}": 1,
        "/at/{place}/{name}": 1,
    }


def test_a_root_path_is_no_part_of_the_template(local_client: Client) -> None:
    app = FastAPI()
    app.get("/orders/{order_id}")(lambda order_id: order_id)
    watched(app)

    async def run() -> None:
        transport = httpx.ASGITransport(app, root_path="/behind/proxy")
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
            await http.get("/behind/proxy/orders/1")
            await http.get("/behind/proxy/health")

    asyncio.run(run())
    assert {endpoint for _, endpoint, _ in counted(local_client)} == {"/orders/{order_id}"}


def test_plain_starlette_applications_are_measured(local_client: Client) -> None:
    app = watched(Starlette(routes=[Route("/hello/{name}", hello)]))
    assert requests_to(app, "/hello/ann", "/hello/bob", "/bye") == [200, 200, 404]
    assert counted(local_client) == {("GET", "/hello/{name}", 200): 2, ("GET", "unmatched", 404): 1}


def test_an_unexpected_exception_is_a_500_and_goes_on(local_client: Client) -> None:
    app = FastAPI()

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("bug")

    @app.get("/teapot")
    def teapot() -> None:
        raise HTTPException(418)

    watched(app)
    with pytest.raises(RuntimeError, match="bug"):
        TestClient(app).get("/broken")
    assert requests_to(app, "/broken", "/teapot") == [500, 418]
    assert counted(local_client) == {("GET", "/broken", 500): 2, ("GET", "/teapot", 418): 1}
    assert local_client.metrics.requests.in_flight == 0


def test_a_cancelled_request_is_counted_and_no_longer_in_flight(local_client: Client) -> None:
    app = FastAPI()
    begun = asyncio.Event()

    @app.get("/slow")
    async def slow() -> None:
        begun.set()
        await asyncio.sleep(60)

    watched(app)

    async def run() -> None:
        scope = {"type": "http", "method": "GET", "path": "/slow", "headers": [], "query_string": b""}
        request = asyncio.create_task(app(scope, nothing, ignore))
        await begun.wait()
        assert local_client.metrics.requests.in_flight == 1
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    asyncio.run(run())
    assert counted(local_client) == {("GET", "/slow", 499): 1}
    assert local_client.metrics.requests.in_flight == 0


def test_the_time_of_a_request_excludes_its_background_tasks(local_client: Client) -> None:
    app = FastAPI()

    @app.get("/")
    def index(background: BackgroundTasks) -> None:
        background.add_task(time.sleep, 0.3)

    watched(app)
    requests_to(app, "/")
    duration = local_client.metrics.requests.series["GET", "/"].duration
    assert duration.count == 1
    assert duration.total < 0.25


def test_the_time_of_a_request_includes_its_whole_stream(local_client: Client) -> None:
    app = FastAPI()

    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0.05)
            yield b"x"

    @app.get("/")
    def index() -> StreamingResponse:
        return StreamingResponse(body())

    watched(app)
    requests_to(app, "/")
    assert local_client.metrics.requests.series["GET", "/"].duration.total >= 0.15


def test_only_the_last_part_of_the_body_ends_a_request(local_client: Client) -> None:
    in_flight = []

    async def hinted(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.early_hint", "links": []})
        await send({"type": "http.response.start", "status": 201, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        in_flight.append(local_client.metrics.requests.in_flight)
        await send({"type": "http.response.body", "body": b"y"})
        await send({"type": "http.response.trailers", "headers": []})
        in_flight.append(local_client.metrics.requests.in_flight)

    app = huoyan.asgi(hinted, registry=CollectorRegistry())

    async def run() -> None:
        await app({"type": "http", "method": "GET", "path": "/", "headers": []}, nothing, ignore)

    asyncio.run(run())
    assert in_flight == [1, 0]
    assert counted(local_client) == {("GET", "unmatched", 201): 1}


def test_an_example_belongs_to_the_trace_that_opentelemetry_is_in(local_client: Client) -> None:
    tracer = TracerProvider().get_tracer("t")
    traces: list[int] = []

    async def traced(scope: Any, receive: Any, send: Any) -> None:
        with tracer.start_as_current_span("request") as span:
            traces.append(span.get_span_context().trace_id)
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    app = huoyan.asgi(traced, registry=CollectorRegistry())
    headers = [(b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")]

    async def run() -> None:
        await app({"type": "http", "method": "GET", "path": "/", "headers": headers}, nothing, ignore)

    asyncio.run(run())
    (example,) = local_client.examples.traced()["GET", "unmatched"]
    assert example.trace_id == f"{traces[0]:032x}"


def test_methods_beyond_the_known_ones_are_one_value(local_client: Client) -> None:
    app = watched(FastAPI())
    for number in range(20):
        requests_to(app, "/", method=f"M{number}")
    assert counted(local_client) == {("OTHER", "unmatched", 404): 20}


def test_endpoints_are_bounded(local_client: Client) -> None:
    requests = local_client.metrics.requests
    for number in range(2000):
        series = requests.open("GET", f"/{number}")
        series.status(200).add()
    assert len(requests.series) <= 1001
    assert sum(series.statuses[200].value for series in requests.series.values()) == 2000


def test_an_application_that_runs_already_can_be_watched(local_client: Client) -> None:
    app = FastAPI()
    app.get("/hello")(lambda: "hello")
    requests_to(app, "/hello")
    watched(app)
    assert requests_to(app, "/hello", "/metrics") == [200, 200]
    assert counted(local_client) == {("GET", "/hello", 200): 1}


def test_routes_added_after_watching_are_measured(local_client: Client) -> None:
    app = watched(FastAPI())
    app.get("/late/{x}")(lambda x: x)
    requests_to(app, "/late/1")
    app.get("/later/{x}")(lambda x: x)
    requests_to(app, "/later/1")
    assert set(counted(local_client)) == {("GET", "/late/{x}", 200), ("GET", "/later/{x}", 200)}


def test_watching_twice_counts_once(local_client: Client) -> None:
    app = FastAPI()
    app.get("/hello")(lambda: "hello")
    watched(app)
    watched(app)
    requests_to(app, "/hello")
    watched(app)
    requests_to(app, "/hello")
    assert counted(local_client) == {("GET", "/hello", 200): 2}


def test_a_build_that_takes_the_stack_apart_finds_it_as_starlette_makes_it(local_client: Client) -> None:
    """OpenTelemetry's instrumentation does so, and instruments nothing when it finds anything else."""
    app = watched(FastAPI())

    @app.get("/orders/{order_id}")
    def order(order_id: int) -> int:
        return 1 // order_id

    seen = []
    build = app.build_middleware_stack

    class Tracing:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["path"])
            await self.app(scope, receive, send)

    def build_around() -> Any:
        stack: Any = build()
        assert type(stack) is ServerErrorMiddleware
        return ServerErrorMiddleware(Tracing(stack.app), handler=stack.handler, debug=stack.debug)

    # What wraps a function mostly takes over its attributes, too.
    app.build_middleware_stack = functools.wraps(build)(build_around)
    assert requests_to(app, "/orders/1", "/orders/0", "/nowhere") == [200, 500, 404]
    assert seen == ["/orders/1", "/orders/0", "/nowhere"]
    told = {
        ("GET", "/orders/{order_id}", 200): 1,
        ("GET", "/orders/{order_id}", 500): 1,
        ("GET", "unmatched", 404): 1,
    }
    assert counted(local_client) == told
    huoyan.unwatch(app)
    assert requests_to(app, "/orders/1") == [200]
    app.middleware_stack = None
    assert requests_to(app, "/orders/1") == [200]
    assert len(seen) == 5
    assert counted(local_client) == told


def test_a_watched_application_inside_another_one_counts_each_request_once(local_client: Client) -> None:
    outer, inner = watched(FastAPI()), watched(FastAPI())
    inner.get("/orders/{order}")(lambda order: order)

    @inner.websocket("/feed")
    async def feed(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    outer.mount("/shop", inner)

    async def copies(scope: Any, receive: Any, send: Any) -> None:
        await inner({**scope, "headers": list(scope["headers"])}, receive, send)

    outer.mount("/copied", copies)
    requests_to(outer, "/shop/orders/1", "/copied/orders/2", "/shop/nothing")
    assert counted(local_client) == {
        ("GET", "/shop/orders/{order}", 200): 1,
        ("GET", "/copied/orders/{order}", 200): 1,
        ("GET", "/shop/{path}", 404): 1,
    }
    with TestClient(outer).websocket_connect("/shop/feed"):
        pass
    sockets = local_client.measurements.counter(HTTP_WEBSOCKETS).series()
    assert {key: counter.value for key, counter in sockets} == {("/shop/feed",): 1.0}


def test_unwatching_leaves_nothing_behind(local_client: Client) -> None:
    app = FastAPI()
    app.get("/hello")(lambda: "hello")
    before = list(app.router.routes)
    watched(app)
    requests_to(app, "/hello")
    huoyan.unwatch(app)
    assert requests_to(app, "/hello", "/metrics") == [200, 404]
    assert counted(local_client) == {("GET", "/hello", 200): 1}
    assert list(app.router.routes) == before
    assert not isinstance(app.middleware_stack, Middleware)
    assert "build_middleware_stack" not in vars(app)


def test_websockets_pass_through(local_client: Client) -> None:
    app = watched(FastAPI())

    @app.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    with TestClient(app).websocket_connect("/ws") as connection:
        assert connection.receive_text() == "hello"
    assert counted(local_client) == {}


def test_websockets_are_counted_apart_from_requests(local_client: Client) -> None:
    app = FastAPI()

    @app.websocket("/rooms/{room}")
    async def socket(websocket: WebSocket, room: int) -> None:
        await websocket.accept()
        await websocket.receive_text()
        raise ZeroDivisionError

    @app.websocket("/closed")
    async def closed(websocket: WebSocket) -> None:
        await websocket.close()

    watched(app)
    total = local_client.measurements.counter(HTTP_WEBSOCKETS)
    still_open = local_client.measurements.gauge(HTTP_WEBSOCKETS_OPEN)
    with pytest.raises(ZeroDivisionError), TestClient(app).websocket_connect("/rooms/7") as connection:  # noqa: PT012
        assert {key: child.value for key, child in still_open.series()} == {("/rooms/{room}",): 1}
        connection.send_text("hello")
        connection.receive_text()
    with pytest.raises(WebSocketDisconnect), TestClient(app).websocket_connect("/closed"):
        pass
    assert {key: child.value for key, child in total.series()} == {("/rooms/{room}",): 1}
    assert {key: child.value for key, child in still_open.series()} == {("/rooms/{room}",): 0}
    assert counted(local_client) == {}


def test_a_hundred_thousand_paths_fill_no_memory(local_client: Client) -> None:
    async def anything(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    app = huoyan.asgi(anything, registry=CollectorRegistry())

    async def receive() -> Any: ...

    async def send(_: Any) -> None: ...

    async def ask(count: int) -> None:
        for number in range(count):
            await app({"type": "http", "method": "GET", "path": f"/x/{number}", "headers": []}, receive, send)

    asyncio.run(ask(1_000))
    tracemalloc.start()
    asyncio.run(ask(100_000))
    grown_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown_bytes < 100_000
    assert counted(local_client) == {("GET", "unmatched", 200): 101_000}


def test_a_mistake_while_counting_does_not_reach_the_client(
    local_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = FastAPI()
    app.get("/hello")(lambda: "hello")
    watched(app)

    def broken(*_: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(local_client.metrics.requests, "open", broken)
    assert requests_to(app, "/hello") == [200]
    assert local_client.metrics.requests.in_flight == 0


def test_turned_off_the_application_is_untouched() -> None:
    with installed(Client(Settings(enabled=False))):
        app = FastAPI()
        before = dict(vars(app))
        huoyan.watch(app)
        assert vars(app) == before
        assert requests_to(app, "/metrics") == [404]


def test_the_last_events_leave_before_the_server_ends_the_process(client: Client, transport: MemoryTransport) -> None:
    client.configure(Settings(service="shop", flush_interval_s=60), transport)
    app = FastAPI()

    @app.get("/")
    def index(background: BackgroundTasks) -> None:
        background.add_task(len, "x")

    watched(app)
    with TestClient(app) as http:
        http.get("/")
        assert [report.closing for report in transport.reports if report.closing] == []
    assert len(transport.events) == 3
    assert transport.reports[-1].closing is True


def test_an_application_under_watch_reports_that_it_is_alive(client: Client, transport: MemoryTransport) -> None:
    with TestClient(watched(FastAPI(), service="orders")):
        pass
    assert transport.reports[0].framework == "fastapi"
    assert transport.reports[0].worker == client.process.worker


def test_an_application_made_anew_in_the_same_process_registers_nothing_twice(local_client: Client) -> None:
    """As when its module is reloaded."""
    registry = CollectorRegistry()
    exposed = ""
    for _ in range(3):
        app = FastAPI()
        app.get("/hello")(lambda: "hello")
        huoyan.watch(huoyan.watch(app, registry=registry), registry=registry)
        requests_to(app, "/hello")
        exposed = TestClient(app).get("/metrics").text
    assert exposed.count("# TYPE http_requests_total counter") == 1
    assert 'http_requests_total{method="GET",endpoint="/hello",http_status="200"} 3.0' in exposed
