"""The mail service under watch: what it counts, what waits in Redis, who is told, and what may be scraped by whom."""

import base64
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from huoyan.client.routes import EXCLUDED
from huoyan.deploy.rules import rules
from huoyan.server.config import load
from tests.servers import (
    HttpSink,
    HuoyanServer,
    PrometheusServer,
    RedisServer,
    ServerProcess,
    SmtpServer,
    free_port,
    wait_until,
)

ROOT = Path(__file__).parents[2]
MAIL = ROOT / "examples" / "mail"
PASSWORD = "a-password-of-your-own"
PER_MINUTE = 300
QUEUE = "huey.redis.mail"
ASKED = [("app", "high"), ("app", "high"), ("web", "normal"), ("web", "normal"), ("web", "normal")]
"""Who asks for a mail of which priority, before 101 of the least urgent ones come from a client that says no name."""
UNURGENT = 101

Labels = tuple[str, ...]


class PlainRelay(SmtpServer):
    """A mail server without encryption and login, for alerts."""

    def __init__(self) -> None:
        super().__init__()
        self._controller.SMTP_kwargs.update(require_starttls=False, auth_required=False)


class Story:
    """The web process and, once it is started, the consumer, with everything that they need."""

    def __init__(self, server: HuoyanServer, redis_url: str, smtp: SmtpServer) -> None:
        self.server = server
        self.smtp = smtp
        self.port, self.web_metrics, self.consumer_metrics = free_port(), free_port(), free_port()
        self._web, self._consumer = ServerProcess("mail-web"), ServerProcess("mail-consumer")
        self._env = {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            "HUOYAN_URL": server.url,
            "HUOYAN_SERVICE": "mail",
            "HUOYAN_REPORT_INTERVAL_S": "1",
            "HUOYAN_METRICS_AUTH": f"prometheus:{PASSWORD}",
            "HUOYAN_METRICS_PER_MINUTE": str(PER_MINUTE),
            "MAIL_ALL_IN_ONE": "0",
            "MAIL_REDIS_URL": redis_url,
            "SMTP_HOST": "localhost",
            "SMTP_PORT": str(smtp.port),
            "SMTP_USERNAME": smtp.username,
            "SMTP_PASSWORD": smtp.password,
            "SMTP_CERTIFICATE": str(smtp.certificate_path),
        }
        command = [sys.executable, "-m", "uvicorn", "examples.mail.app:app", "--port", str(self.port)]
        env = {**self._env, "HUOYAN_METRICS_PORT": str(self.web_metrics)}
        self._web.run(command, lambda: read(f"{self.url}/healthz")[0] == 200, env=env)

    @property
    def url(self) -> str:
        """Where mails are asked for."""
        return f"http://127.0.0.1:{self.port}"

    def start_consumer(self) -> None:
        """Begin to send what waits, one after the other; nothing when it has begun."""
        if self._consumer.running:
            return
        command = [sys.executable, "-m", "huey.bin.huey_consumer", "examples.mail.delivery.queue", "--workers", "1"]
        env = {**self._env, "HUOYAN_METRICS_PORT": str(self.consumer_metrics)}
        quick = [*command, "--delay", "0.05", "--max-delay", "0.1", "--scheduler-interval", "1"]
        self._consumer.run(quick, lambda: "is ready" in self._consumer.log_path.read_text(), env=env)

    def send(self, client: str, **mail: str) -> None:
        """Ask for a mail."""
        body = {"to": "ada@customers.example", "template": "welcome", "region": "cn", **mail}
        self.post("/send", body, client)

    def post(self, path: str, body: object, client: str = "") -> None:
        """Ask for something; without a client the header is left out."""
        headers = {"Content-Type": "application/json", **({"X-Client": client} if client else {})}
        request = urllib.request.Request(self.url + path, data=json.dumps(body).encode(), headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 202

    def metrics(self, port: int) -> dict[str, dict[Labels, float]]:
        """Scrape as Prometheus would: sample name → label values in the order of their names → value."""
        status, text = read(f"http://127.0.0.1:{port}/metrics", scrapes())
        assert status == 200, text
        found: dict[str, dict[Labels, float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, {})[tuple(v for _, v in sorted(sample.labels.items()))] = sample.value
        return found

    def signal(self, signal: str, by: str, **query: Any) -> dict[str, float | None]:
        """Return what Huoyan says of a signal at this moment, by one label."""
        answer = self.server.get(f"/signals/{signal}", service="mail", since="-5m", by=by, **query)
        return {item["labels"][by]: item["value"] for item in answer["now"]}

    def close(self) -> None:
        """End both."""
        self._web.close()
        self._consumer.close()


def scrapes(password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"prometheus:{password}".encode()).decode()}


def read(url: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers or {})), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture(scope="module")
def smtp() -> Iterator[SmtpServer]:
    """Give the relay of the service: STARTTLS and a login."""
    with SmtpServer() as server:
        yield server


@pytest.fixture(scope="module")
def on_call() -> Iterator[PlainRelay]:
    """Give the relay that takes alerts."""
    with PlainRelay() as server:
        yield server


@pytest.fixture(scope="module")
def webhook() -> Iterator[HttpSink]:
    """Give the second channel."""
    with HttpSink() as sink:
        yield sink


@pytest.fixture(scope="module")
def story(redis_server: RedisServer, smtp: SmtpServer, on_call: PlainRelay, webhook: HttpSink) -> Iterator[Story]:
    """Give the service with 106 mails waiting."""
    config = (MAIL / "huoyan.toml").read_text().replace("port = 1025", f"port = {on_call.port}")
    config = config.replace('for = "5s"', 'for = "1s"')
    with HuoyanServer(config=config, env={"MAIL_ALERT_WEBHOOK": webhook.url}) as server:
        running = Story(server, redis_server.database_url(23), smtp)
        try:
            for client, priority in ASKED:
                running.send(client, priority=priority)
            for _ in range(UNURGENT):
                running.send("", priority="low", region="us")
            yield running
        finally:
            running.close()


def test_the_backlog_is_read_from_redis_at_the_scrape_and_more_than_100_alert(
    story: Story, redis_server: RedisServer, on_call: PlainRelay
) -> None:
    backlog = story.metrics(story.web_metrics)["huoyan_backlog"]
    expected = {"mail.high": 2.0, "mail.normal": 3.0, "mail.low": float(UNURGENT), "mail.again": 0.0}
    assert {name: value for (name,), value in backlog.items()} == expected
    wait_until(lambda: story.signal("backlog", "backlog") == expected, 20, "Huoyan to know the backlog")
    alert = on_call.wait_for(lambda mail: "mail-backlog" in mail.text, 40)
    assert "101 (> 100)" in alert.subject
    (firing,) = story.server.get("/alerts", state="firing")["items"]
    assert (firing["rule"], firing["labels"]["backlog"]) == ("mail-backlog", "mail.low")


def test_metrics_have_a_port_and_a_password_and_leave_out_what_they_should(story: Story) -> None:
    assert read(f"{story.url}/metrics")[0] == 404, "the application's own port has none"
    own = f"http://127.0.0.1:{story.web_metrics}/metrics"
    assert read(own)[0] == 401
    assert read(own, scrapes("guessed"))[0] == 401
    assert read(f"{story.url}/previews/welcome")[0] == 200
    metrics = story.metrics(story.web_metrics)
    assert {endpoint for endpoint, _, _ in metrics["http_requests_total"]} <= {"/send", "unmatched"}
    assert metrics["http_requests_total"]["/send", "202", "POST"] == len(ASKED) + UNURGENT
    assert metrics["http_requests_in_flight"] == {(): 0.0}
    added = [count for key, count in metrics["redis_command_duration_seconds_count"].items() if key[0] == "ZADD"]
    assert added == [len(ASKED) + UNURGENT]
    assert not set(EXCLUDED) & {endpoint for endpoint, _, _ in metrics["http_requests_total"]}


def test_mails_are_counted_by_client_status_region_template_and_priority(story: Story, smtp: SmtpServer) -> None:
    story.start_consumer()
    urgent = wait_until(lambda: smtp.messages, 30)[0].message
    assert (urgent["X-Client"], urgent["X-Priority"]) == ("app", "1"), "the urgent ones leave first"
    wait_until(lambda: len(smtp.messages) == len(ASKED) + UNURGENT, 60, lambda: f"all mails: {len(smtp.messages)}")
    expected = {
        ("app", "high", "cn", "success", "welcome"): 2.0,
        ("web", "normal", "cn", "success", "welcome"): 3.0,
        ("unknown", "low", "us", "success", "welcome"): float(UNURGENT),
    }
    wait_until(lambda: story.metrics(story.consumer_metrics)["mails_sent_total"] == expected, 60, interval_s=0.2)
    metrics = story.metrics(story.consumer_metrics)
    assert metrics["mail_send_seconds_count"] == {("app",): 2.0, ("web",): 3.0, ("unknown",): float(UNURGENT)}
    # Bounds from 0.1 to 10 s are among the classic buckets.
    bounds = {float(bound) for _, bound in metrics["mail_send_seconds_bucket"]}
    assert any(0.05 <= bound <= 0.1 for bound in bounds)
    assert any(5.0 <= bound <= 16.0 for bound in bounds)
    assert set(metrics["mails_in_progress"].values()) == {0.0}
    assert metrics["smtp_send_duration_seconds_count"]["localhost",] == len(ASKED) + UNURGENT
    wait_until(lambda: set(story.metrics(story.web_metrics)["huoyan_backlog"].values()) == {0.0}, 10)
    rates = wait_until(lambda: story.signal("rate:mails_sent_total", "client", window_s=300), 20)
    assert set(rates) == {"app", "web", "unknown"}
    wait_until(lambda: story.signal("p95:mail_send_seconds", "client").get("app"), 20, "P95 by client")


def test_success_is_known_by_client_and_a_refusing_relay_is_told_on_every_channel(
    story: Story, smtp: SmtpServer, on_call: PlainRelay, webhook: HttpSink
) -> None:
    smtp.refusal = "451 4.3.0 try again later"
    try:
        for _ in range(20):
            story.send("partner", template="password-reset", region="eu")
        refused = ("partner", "normal", "eu", "failure", "password-reset")
        wait_until(lambda: smtp.refused_count >= 20, 30, "20 refusals")
        wait_until(
            lambda: story.metrics(story.consumer_metrics)["mails_sent_total"].get(refused, 0.0) >= 20.0,
            20,
            interval_s=0.2,
        )
        # They wait to be tried again, and that is a backlog of its own.
        wait_until(lambda: story.metrics(story.web_metrics)["huoyan_backlog"]["mail.again",] > 0.0, 10, interval_s=0.2)
        ratios = "operation_success_ratio"
        wait_until(lambda: story.signal(ratios, "operation").get("send for partner") == 0.0, 20)
        assert story.signal(ratios, "operation")["send for app"] == 1.0
        on_call.wait_for(lambda mail: "mail-success" in mail.text, 40)
        webhook.wait_for(lambda request: b"mail-success" in request.body, 40)
    finally:
        smtp.refusal = None
    assert not [request for request in webhook.requests if b"mail-backlog" in request.body], "it is not critical"
    sent = ("partner", "normal", "eu", "success", "password-reset")
    wait_until(lambda: story.metrics(story.consumer_metrics)["mails_sent_total"].get(sent) == 20.0, 30, interval_s=0.5)


def test_a_newsletter_is_counted_in_batches_and_ids_in_its_campaign_are_refused(story: Story, smtp: SmtpServer) -> None:
    before = len(smtp.messages)
    readers = [f"reader{number}@customers.example" for number in range(45)]
    story.post("/newsletters", {"recipients": readers, "campaign": "spring teas"}, "web")
    for number in range(12):
        story.post("/newsletters", {"recipients": readers[:1], "campaign": f"ada{number}@customers.example"}, "web")
    wait_until(lambda: len(smtp.messages) == before + 57, 40, lambda: f"{len(smtp.messages) - before} of 57 mails")
    whole = ("web", "low", "eu", "success", "newsletter")
    wait_until(
        lambda: story.metrics(story.consumer_metrics)["mails_sent_total"].get(whole) == 57.0,
        60,
        lambda: f"57 mails counted: {story.metrics(story.consumer_metrics)['mails_sent_total']}",
        interval_s=0.2,
    )
    metrics = story.metrics(story.consumer_metrics)
    assert metrics["newsletter_mails_total"] == {("spring teas",): 45.0, ("other",): 12.0}
    own = [name for name in metrics if name.startswith(("mail", "newsletter")) and not name.endswith("_bucket")]
    assert sum(len(metrics[name]) for name in own) < 1000

    def named() -> dict[str, Any]:
        items = story.server.get("/cardinality", service="mail")["items"]
        return next((one for one in items if one["metric"] == "newsletter_mails_total"), {})

    # What was refused is told by the process's report, maybe by one after that in which the label first counts.
    assert wait_until(lambda: named().get("advice"), 20) == {"campaign": "an e-mail address"}
    assert named()["samples"][0]["campaign"].endswith("@customers.example")
    batches = story.server.wait_for_runs(lambda runs: len(runs) == 15, task="mail.send_batch", state="succeeded")
    assert max(run["progress"]["total"] for run in batches) == 20


def test_prometheus_scrapes_it_with_the_file_of_the_example_and_fills_its_dashboard(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from examples.mail import dashboard

    monkeypatch.setenv("MAIL_ALERT_WEBHOOK", "http://127.0.0.1/")
    path = tmp_path / "mail-rules.yml"
    path.write_text(rules(load(config=MAIL / "huoyan.toml").alert_rules()))
    config = yaml.safe_load((MAIL / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    job["static_configs"][0]["targets"] = [f"127.0.0.1:{port}" for port in (story.web_metrics, story.consumer_metrics)]
    config["rule_files"] = [str(path)]
    config["global"] = {}
    panels = json.loads(dashboard.text())["panels"]
    queries = [target["expr"].replace(dashboard.WINDOW, "1m") for panel in panels for target in panel["targets"]]
    with PrometheusServer(config=config) as prometheus:
        wait_until(
            lambda: all(prometheus.query(query) for query in queries),
            30,
            lambda: f"a value of each of {[query for query in queries if not prometheus.query(query)]}",
            interval_s=0.3,
        )
        assert prometheus.value("max(huoyan_backlog)") == 0.0
        assert prometheus.value('mails_sent_total{client="app",service="mail"}') == 2.0
        alerts = {rule["name"] for rule in prometheus.rules() if rule["type"] == "alerting"}
    assert {"mail-backlog", "mail-success", "mail-slow"} <= alerts


def test_who_scrapes_too_often_is_asked_to_wait(story: Story) -> None:
    own = f"http://127.0.0.1:{story.web_metrics}/metrics"
    answers = {read(own, scrapes())[0] for _ in range(PER_MINUTE + 1)}
    assert answers == {200, 429}
