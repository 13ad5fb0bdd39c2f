"""What a program measures reaches a real server, its signals, rules and lists, whatever dies in between."""

import json
import time
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

import huoyan
from huoyan.cli.deploy import app as deploy
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.deploy.grafana import grafana
from huoyan.signals.metrics.application import DB_QUERY_DURATION, HTTP_REQUESTS
from tests.servers import wait_until
from tests.servers.huoyan import HuoyanServer
from tests.unit.client.conftest import installed

CONFIG = """
[[rules]]
name = "too-many-refunds"
signal = "rate:refunds_total"
op = ">"
threshold = 1
window = "1m"
by = ["reason"]
level = "critical"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[HuoyanServer]:
    with HuoyanServer(config=CONFIG) as running:
        yield running


@pytest.fixture
def client(server: HuoyanServer, request: pytest.FixtureRequest) -> Iterator[Client]:
    settings = Settings(url=server.url, service=request.node.name[:40], report_interval_s=1.0, exit_timeout_s=10.0)
    with installed(Client(settings)) as new:
        yield new


def _now(server: HuoyanServer, signal: str, **query: object) -> dict[tuple[str, ...], float | None]:
    answer = server.get(f"/signals/{signal}", since="-5m", **query)
    return {tuple(item["labels"].values()): item["value"] for item in answer["now"]}


def test_requests_and_queries_become_signals_by_service(server: HuoyanServer, client: Client) -> None:
    service = client.settings.service
    requests = client.measurements.counter(HTTP_REQUESTS)
    for status, count in (("200", 90), ("404", 6), ("503", 4)):
        requests.child(("GET", "/orders/{id}", status)).add(count)
    queries = client.measurements.distribution(DB_QUERY_DURATION).child(("SELECT", "orders", "shop"))
    for _ in range(50):
        queries.observe(2.8)
    assert client.flush(10)
    query = {"service": service, "window_s": 60}
    assert _now(server, "http_error_ratio", **query) == {(service, "/orders/{id}"): 0.04}
    assert _now(server, "http_client_error_ratio", **query) == {(service, "/orders/{id}"): 0.06}
    assert _now(server, "http_requests_per_minute", **query) == {(service, "/orders/{id}"): 100.0}
    assert _now(server, "http_requests_per_minute", **query, label="http_status=404", by="method") == {("GET",): 6.0}
    ((labels, p99),) = _now(server, "db_query_p99", **query).items()
    assert labels == (service, "SELECT", "orders", "shop")
    assert p99 == pytest.approx(2.8, rel=0.022)


def test_metrics_of_ones_own_are_signals_that_are_listed_and_judged_by_rules(
    server: HuoyanServer, client: Client
) -> None:
    refunds = huoyan.counter("refunds", "Refunds.", labels=("reason",))
    refunds.add(5, reason="damaged")
    huoyan.distribution("parcel_bytes", "Size of parcels.").observe(1000)
    assert client.flush(10)
    listed = {signal["id"]: signal for signal in server.get("/signals")["items"]}
    assert listed["rate:refunds_total"]["labels"] == ["service", "reason"]
    assert listed["p95:parcel_bytes"]["unit"] == "bytes"
    huoyan.gauge("stock_items", "Items in stock.", combine="min").set(7)
    assert client.flush(10)
    board = CliRunner().invoke(deploy, ["grafana", "--declared", "--url", server.url])
    drawn = {panel["title"]: panel for panel in json.loads(board.stdout)["panels"] if panel["type"] != "row"}
    assert drawn["refunds_total per minute"]["targets"][0]["expr"].startswith("sum by (service, reason) (rate(")
    assert drawn["stock_items"]["targets"][0]["expr"].startswith("min by (service) (stock_items{")
    assert drawn["stock_items"]["description"] == "Items in stock."
    assert len(drawn["parcel_bytes P95"]["targets"]) == 3
    assert len(drawn) == len([panel for panel in json.loads(grafana())["panels"] if panel["type"] != "row"]) + 3
    service = client.settings.service
    assert _now(server, "rate:refunds_total", window_s=60) == {(service, "damaged"): 5.0}
    ((_, size),) = _now(server, "p95:parcel_bytes").items()
    assert size == pytest.approx(1000, rel=0.022)
    wait_until(
        lambda: (
            [alert["labels"] for alert in server.get("/alerts", state="firing")["items"] if "refunds" in alert["rule"]]
            == [{"reason": "damaged"}]
        ),
        message="the rule fires",
    )


def test_operations_and_funnels_are_judged_by_step(server: HuoyanServer, client: Client) -> None:
    service = client.settings.service
    for number in range(20):
        with pytest.raises(ValueError) if number < 5 else huoyan.operation("noop"), huoyan.operation("take_payment"):
            if number < 5:
                raise ValueError("declined")
    checkout = huoyan.funnel("checkout", steps=["cart", "paid", "shipped"])
    for number in range(10):
        checkout.step("cart", key=number)
    for number in range(6):
        checkout.step("paid", key=number)
    assert client.flush(10)
    ratio = _now(server, "operation_success_ratio", service=service)
    assert ratio[(service, "take_payment")] == 0.75
    conversion = _now(server, "funnel_conversion", service=service, by="step")
    assert conversion == {("cart",): 1.0, ("paid",): 0.6, ("shipped",): 0.0}
    (funnel,) = server.get("/funnels", service=service)["items"]
    assert [(step["step"], step["reached"], step["dropped"]) for step in funnel["steps"]] == [
        ("cart", 10, 0),
        ("paid", 6, 4),
        ("shipped", 0, 6),
    ]


def test_a_metric_over_its_budget_is_named_with_samples_and_advice(server: HuoyanServer, client: Client) -> None:
    service = client.settings.service
    visits = huoyan.counter("visits", labels=("visitor",))
    for number in range(7):
        visits.add(visitor=f"ann{number}@example.org")
    counts_up = huoyan.counter("logins", labels=("user", "status"))
    for number in range(60):
        counts_up.add(user=number, status=200)
    for shelf in ("a", "b", "c"):
        huoyan.gauge("stock", labels=("shelf",)).set(1, shelf=shelf)
    assert client.flush(10)
    logins, worst, *others = server.get("/cardinality", service=service)["items"]
    assert (logins["metric"], logins["folded"], logins["advice"]["user"]) == ("logins_total", 10, "a number")
    assert {metric["metric"]: metric["series"] for metric in others}["stock"] == 3
    assert (worst["metric"], worst["folded"], worst["series"]) == ("visits_total", 7, 1)
    assert worst["samples"][0] == {"visitor": "ann0@example.org"}
    assert worst["advice"] == {"visitor": "an e-mail address"}


def test_processes_and_their_host_are_seen_over_time(server: HuoyanServer, client: Client) -> None:
    huoyan.counter("beats").add()
    assert client.flush(10)
    service = client.settings.service

    def seen() -> bool:
        assert client.flush(10)
        resources = server.get("/resources", service=service, since="-1m", step_s=10)
        return bool(resources["processes"]) and resources["processes"][0]["cpu"][-1] is not None

    wait_until(seen, message="CPU is known")
    resources = server.get("/resources", service=service, since="-1m", step_s=10)
    (process,) = resources["processes"]
    assert process["worker"] == client.process.worker
    assert process["memory_bytes"][-1] > 10_000_000
    assert process["open_files"][-1] >= 3
    (host,) = resources["hosts"]
    assert 0.0 < host["memory"][-1] <= 1.0
    assert 0.0 < host["disk"][-1] <= 1.0


def test_what_was_measured_while_the_server_was_away_arrives_once(server: HuoyanServer, client: Client) -> None:
    service = client.settings.service
    parcels = huoyan.counter("parcels")
    parcels.add(3)
    assert client.flush(10)
    frame = {
        "source": "by-hand",
        "sequence": 1,
        "at": time.time(),
        "service": service,
        "metrics": [{"name": "parcels_total", "kind": "counter", "series": [{"add": 100}]}],
    }
    server.post("/events", {"measurements": [frame], "events": []})
    server.kill()
    parcels.add(4)
    assert not client.flush(0.5)
    parcels.add(5)
    server.start()
    # Its answer had been lost: the same frame comes again, to a server that was started anew.
    server.post("/events", {"measurements": [frame], "events": []})
    wait_until(lambda: client.flush(5), 30, message="everything is sent")
    assert _now(server, "rate:parcels_total", service=service, window_s=120) == {(service,): 56.0}
