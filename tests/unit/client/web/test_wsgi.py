"""Requests of Flask and other WSGI applications: counted by template, with all of their stream, never disturbed."""

import io
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from flask import Blueprint, Flask, Response, abort
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import huoyan
from huoyan.client.process import Client
from huoyan.errors import ConfigurationError
from huoyan.signals.metrics.application import HTTP_REQUEST_DURATION, HTTP_REQUESTS


def counted(client: Client) -> dict[tuple[str, ...], float]:
    return {key: child.value for key, child in client.measurements.counter(HTTP_REQUESTS).series()}


@pytest.fixture
def app(local_client: Client) -> Flask:
    """Give a watched Flask application."""
    app = huoyan.watch(Flask("shop"), registry=CollectorRegistry(), exclude=["/internal/*"])
    shop = Blueprint("shop", __name__, url_prefix="/shop")

    @app.get("/orders/<int:order>")
    def order(order: int) -> str:
        return str(order)

    @shop.post("/pay")
    def pay() -> tuple[str, int]:
        return "paid", 201

    @app.get("/broken")
    def broken() -> str:
        raise ZeroDivisionError

    @app.get("/forbidden")
    def forbidden() -> str:
        abort(403)

    @app.get("/stream")
    def stream() -> Response:
        def parts() -> Iterator[str]:
            yield "a"
            yield "b"

        return Response(parts())

    @app.get("/stream/broken")
    def broken_stream() -> Response:
        def parts() -> Iterator[str]:
            yield "a"
            raise ZeroDivisionError

        return Response(parts())

    @app.get("/internal/<name>")
    def internal(name: str) -> str:
        return name

    app.register_blueprint(shop)
    return app


def test_requests_are_counted_by_rule_method_and_status(app: Flask, local_client: Client) -> None:
    http = app.test_client()
    for path in ("/orders/1", "/orders/2", "/forbidden", "/broken", "/stream"):
        http.get(path).close()
    http.post("/shop/pay").close()
    http.open("/orders/1", method="PROPFIND").close()
    assert counted(local_client) == {
        ("GET", "/orders/<int:order>", "200"): 2,
        ("GET", "/forbidden", "403"): 1,
        ("GET", "/broken", "500"): 1,
        ("GET", "/stream", "200"): 1,
        ("POST", "/shop/pay", "201"): 1,
        ("OTHER", "unmatched", "405"): 1,
    }
    assert local_client.metrics.requests.in_flight == 0


def test_paths_that_no_rule_takes_share_one_value_and_no_memory(app: Flask, local_client: Client) -> None:
    http = app.test_client()
    for number in range(300):
        assert "Not Found" in http.get(f"/nothing/{number}").text
    assert counted(local_client) == {("GET", "unmatched", "404"): 300}
    assert len(local_client.metrics.requests.series) == 1


def test_excluded_paths_and_metrics_are_not_counted(app: Flask, local_client: Client) -> None:
    http = app.test_client()
    assert http.get("/internal/a").text == "a"
    assert "Not Found" in http.get("/health").text
    exposed = http.get("/metrics")
    assert exposed.status_code == 200
    assert "http_requests_in_flight 0.0" in exposed.text
    assert counted(local_client) == {}


def run(app: Any, path: str, parts: int | None = None, **environ: Any) -> tuple[str, list[bytes], Any]:
    """Play a server that takes so many parts of the response and then closes it."""
    given: dict[str, Any] = {"PATH_INFO": path, "REQUEST_METHOD": "GET", **environ}
    setup_testing_defaults(given)
    started: list[str] = []
    body = app(given, lambda status, headers, error=None: started.append(status))
    taken = []
    for part in body:
        taken.append(part)
        if len(taken) == parts:
            break
    if hasattr(body, "close"):
        body.close()
    return started[0], taken, body


def test_a_stream_counts_with_its_last_part_and_a_client_that_goes_away_with_its_close(
    app: Flask, local_client: Client
) -> None:
    given: dict[str, Any] = {"PATH_INFO": "/stream"}
    setup_testing_defaults(given)
    served: Any = app
    body = iter(served(given, lambda *_: None))
    assert next(body) == b"a"
    assert counted(local_client) == {}
    assert local_client.metrics.requests.in_flight == 1
    assert list(body) == [b"b"]
    assert counted(local_client) == {("GET", "/stream", "200"): 1}
    run(app, "/stream", parts=1)
    assert counted(local_client) == {("GET", "/stream", "200"): 2}
    assert local_client.metrics.requests.in_flight == 0


def test_a_stream_that_breaks_raises_into_the_server_and_is_counted_once(app: Flask, local_client: Client) -> None:
    with pytest.raises(ZeroDivisionError):
        run(app, "/stream/broken")
    assert sum(counted(local_client).values()) == 1
    assert local_client.metrics.requests.in_flight == 0


def test_any_application_can_be_wrapped(local_client: Client) -> None:
    closed = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"])

        def close(self) -> None:
            closed.append(True)

    def plain(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/broken":
            raise ZeroDivisionError
        environ["huoyan.route"] = "/items/{id}"
        start_response("202 Accepted", [])
        return Body()

    app = huoyan.wsgi(plain, registry=CollectorRegistry())
    assert run(app, "/items/7")[:2] == ("202 Accepted", [b"x"])
    assert closed == [True]
    with pytest.raises(ZeroDivisionError):
        run(app, "/broken")
    assert counted(local_client) == {("GET", "/items/{id}", "202"): 1, ("GET", "unmatched", "500"): 1}
    durations = dict(local_client.measurements.distribution(HTTP_REQUEST_DURATION).series())
    assert durations["GET", "/items/{id}"].count == 1


def test_a_file_is_handed_to_the_server_as_it_is(local_client: Client) -> None:
    class Wrapper:
        def __init__(self, file: io.BytesIO) -> None:
            self.file = file

        def __iter__(self) -> Iterator[bytes]:
            return iter(self.file)

    def download(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"data"))

    app = huoyan.wsgi(download, registry=CollectorRegistry())
    _, parts, body = run(app, "/file", None, **{"wsgi.file_wrapper": Wrapper})
    assert parts == [b"data"]
    assert isinstance(body, Wrapper)
    assert sum(counted(local_client).values()) == 1


def test_unwatching_stops_the_counting(app: Flask, local_client: Client) -> None:
    huoyan.unwatch(app)
    assert app.test_client().get("/orders/1").text == "1"
    assert counted(local_client) == {}


def test_watching_again_and_again_leaves_one_hook_and_unwatching_none(app: Flask, local_client: Client) -> None:
    for _ in range(3):
        huoyan.unwatch(app)
        assert app.before_request_funcs[None] == []
        huoyan.watch(app, registry=CollectorRegistry())
    assert app.test_client().get("/orders/1").text == "1"
    assert counted(local_client) == {("GET", "/orders/<int:order>", "200"): 1}


def test_a_metrics_rule_of_the_application_stays_in_charge_also_when_it_comes_later(app: Flask) -> None:
    assert "http_requests_in_flight" in app.test_client().get("/metrics").text
    late = huoyan.watch(Flask("late"), registry=CollectorRegistry())
    late.get("/metrics")(lambda: "my own")
    assert late.test_client().get("/metrics").text == "my own"


def test_below_a_prefix_what_no_rule_takes_is_still_one_value(app: Flask, local_client: Client) -> None:
    http = app.test_client()
    for path in ("/nothing", "/nowhere", "/orders/7"):
        http.get(path, environ_overrides={"SCRIPT_NAME": "/api"}).close()
    assert counted(local_client) == {
        ("GET", "unmatched", "404"): 2,
        ("GET", "/api/orders/<int:order>", "200"): 1,
    }


def test_two_applications_in_one_process_share_a_registry(local_client: Client) -> None:
    registry = CollectorRegistry()
    apps = [huoyan.watch(Flask(name), registry=registry) for name in ("one", "two")]
    for app in apps:
        app.test_client().get("/nothing").close()
    exposed = apps[1].test_client().get("/metrics").text
    assert 'http_requests_total{method="GET",endpoint="unmatched",http_status="404"} 2.0' in exposed


@pytest.mark.parametrize("options", [{"exclude": "/a"}, {"exclude": ["a"]}, {"metrics_path": "a"}, {"registry": 1}])
def test_wrong_options_are_refused(local_client: Client, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        huoyan.watch(Flask("wrong"), **options)
    with pytest.raises(ConfigurationError):
        huoyan.wsgi(lambda environ, start_response: [], **options)


def test_the_trace_of_a_request_is_an_exemplar_where_the_scraper_reads_openmetrics(app: Flask) -> None:
    http = app.test_client()
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    http.get("/orders/1", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}).close()
    exposed = http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}).text
    exemplars = [
        sample.exemplar
        for family in text_string_to_metric_families(exposed)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar is not None
    ]
    assert [exemplar.labels for exemplar in exemplars] == [{"trace_id": trace}]
    assert trace not in http.get("/metrics").text


def test_a_trace_stays_an_exemplar_when_its_example_was_sent_before_the_scrape(
    local_client: Client, app: Flask
) -> None:
    http = app.test_client()
    traces = [f"{number:032x}" for number in (1, 2)]
    for trace in traces:
        http.get("/orders/1", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}).close()
        named = local_client.examples.traced()["GET", "/orders/<int:order>"]
        assert named[-1].trace_id == trace
        assert local_client.examples.take()
    assert [one.trace_id for one in local_client.examples.traced()["GET", "/orders/<int:order>"]] == traces[1:]


def test_requests_that_nobody_takes_as_examples_are_looked_at_ever_less(app: Flask, local_client: Client) -> None:
    http = app.test_client()
    for _ in range(300):
        http.get("/orders/1").close()
    kept = local_client.examples.of("GET", "/orders/<int:order>")
    assert len(kept.sampled) <= 16
    assert kept.stride > 8
