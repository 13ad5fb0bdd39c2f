"""The route of /metrics is there, measures nothing of itself, and gives way to one of the application."""

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, make_asgi_app
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response

import huoyan
from huoyan.client import breakdown
from huoyan.client.process import Client
from huoyan.errors import ConfigurationError
from tests.unit.client.web.asking import counted, requests_to, watched


def test_monitoring_paths_do_not_measure_themselves(local_client: Client) -> None:
    app = FastAPI()
    app.get("/health")(lambda: "ok")
    app.get("/ready")(lambda: "ok")
    watched(app, exclude=["/ready"])
    assert requests_to(app, "/health", "/metrics", "/favicon.ico", "/ready") == [200, 200, 404, 200]
    assert counted(local_client) == {}


def test_no_request_is_kept_when_it_is_over(local_client: Client) -> None:
    app = watched(FastAPI())

    def calling(answer: Any) -> Any:
        breakdown.finish(breakdown.begin(), "http", "GET", "bank.example", None)
        return 1 / answer

    app.get("/ok")(lambda: calling(1))
    app.get("/fails")(lambda: calling(0))
    app.get("/health")(lambda: calling(1))
    before = len(breakdown._open)
    http = TestClient(app, raise_server_exceptions=False)
    assert [http.get(path).status_code for path in ("/ok", "/fails", "/health", "/metrics")] == [200, 500, 200, 200]
    assert len(breakdown._open) == before


def test_metrics_are_served_and_not_part_of_the_api_description(local_client: Client) -> None:
    app = FastAPI()
    app.get("/hello")(lambda: "hello")
    watched(app)
    http = TestClient(app)
    http.get("/hello")
    exposed = http.get("/metrics").text
    assert 'http_requests_total{method="GET",endpoint="/hello",http_status="200"} 1.0' in exposed
    assert "/metrics" not in app.openapi()["paths"]


def test_a_route_for_everything_does_not_hide_the_metrics(local_client: Client) -> None:
    app = watched(FastAPI())
    app.get("/{path:path}")(lambda path: "page")
    http = TestClient(app)
    assert "http_requests_in_flight" in http.get("/metrics").text
    assert http.get("/other").json() == "page"


def test_no_request_has_to_come_by_the_metrics_route(local_client: Client) -> None:
    app = watched(FastAPI())
    app.get("/hello")(lambda: "hello")
    app.host("other.example", Starlette())
    http = TestClient(app)
    assert "http_requests" in http.get("/metrics", headers={"host": "other.example"}).text
    paths = [getattr(route, "path", None) for route in app.router.routes]
    assert paths.index("/hello") < paths.index("/metrics") == len(paths) - 2


def test_a_metrics_route_of_the_application_stays_in_charge(local_client: Client) -> None:
    app = watched(FastAPI())
    app.get("/metrics")(lambda: "my own")
    assert TestClient(app).get("/metrics").json() == "my own"
    mounted = watched(FastAPI())
    mounted.mount("/metrics", make_asgi_app(CollectorRegistry()))
    assert "http_requests" not in TestClient(mounted).get("/metrics").text
    assert counted(local_client) == {}, "with the slash that it is answered at, it is not measured either"


@pytest.mark.parametrize("prefix", ["", "/internal"])
def test_a_metrics_route_of_an_included_router_stays_in_charge(local_client: Client, prefix: str) -> None:
    router, outer, mounted = APIRouter(), APIRouter(prefix=prefix), FastAPI()
    router.get("/metrics")(lambda: "my own")
    outer.include_router(router)
    path = f"{prefix}/metrics"
    app = watched(FastAPI(), metrics_path=path)
    app.include_router(outer)
    assert TestClient(app).get(path).json() == "my own"
    mounted.get("/metrics")(lambda: "mounted")
    app = watched(FastAPI(), metrics_path=path)
    app.mount(prefix, mounted)
    assert TestClient(app).get(path).json() == "mounted"


def test_metrics_of_any_application_are_found_below_the_path_it_is_mounted_at(local_client: Client) -> None:
    app = huoyan.asgi(Starlette(), registry=CollectorRegistry())
    http = TestClient(app, root_path="/api")
    for path in ("/api/metrics", "/metrics"):
        assert "http_requests_in_flight" in http.get(path).text
    assert http.get("/api/other").status_code == 404


def test_the_metrics_path_can_be_moved_or_left_out(local_client: Client) -> None:
    moved = watched(FastAPI(), metrics_path="/internal/metrics")
    assert requests_to(moved, "/metrics", "/internal/metrics") == [404, 200]
    without = watched(FastAPI(), metrics_path=None)
    assert requests_to(without, "/metrics") == [404]


def test_the_metrics_route_stands_behind_the_applications_own_middleware(local_client: Client) -> None:
    app = FastAPI()

    async def only_with_key(request: Request, call_next: Any) -> Response:
        return await call_next(request) if request.headers.get("x-key") == "k" else Response(status_code=403)

    app.add_middleware(BaseHTTPMiddleware, dispatch=only_with_key)
    watched(app)
    http = TestClient(app)
    assert http.get("/metrics").status_code == 403
    assert http.get("/metrics", headers={"x-key": "k"}).status_code == 200


@pytest.mark.parametrize(
    "options",
    [{"metrics_path": "metrics"}, {"metrics_path": 5}, {"exclude": "/x"}, {"exclude": ["x"]}, {"registry": 5}],
)
def test_wrong_options_are_refused(local_client: Client, options: dict[str, Any]) -> None:
    app = FastAPI()
    with pytest.raises(ConfigurationError):
        huoyan.watch(app, **options)
    assert requests_to(app, "/metrics") == [404]
