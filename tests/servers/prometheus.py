"""A real Prometheus, a real node exporter and a real Alertmanager."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from tests.servers.process import Server, ServerProcess, accepts_connections, find_program, free_port


class _HttpServer(Server):
    """A server with a readiness page, whose configuration can be loaded anew."""

    port: int

    @property
    def url(self) -> str:
        """The base address, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **parameters: str) -> Any:
        """Return the JSON that a path of the HTTP interface answers."""
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        with urllib.request.urlopen(f"{self.url}{path}{query}", timeout=10) as answer:
            return json.load(answer)

    def _reload(self) -> None:
        request = urllib.request.Request(f"{self.url}/-/reload", method="POST")
        try:
            urllib.request.urlopen(request, timeout=10).close()
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise AssertionError(f"expected the configuration to be accepted, got {error.code}: {text}") from error

    def _ready(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)


class PrometheusServer(_HttpServer):
    """A Prometheus with short intervals; tests read it with `query`, `rules` and `alerts`."""

    def __init__(
        self,
        targets: Mapping[str, Sequence[str]] | None = None,
        *,
        rules: Sequence[str] = (),
        config: Mapping[str, Any] | str | None = None,
        alertmanagers: Sequence[str] = (),
        interval_s: float = 1.0,
        features: Sequence[str] = (),
    ) -> None:
        """Write the configuration.

        Args:
            targets: Job to the host:port addresses whose /metrics is scraped.
            rules: Rule files, as text.
            config: A whole configuration (text or data) in place of `targets`; what it says about intervals and
                rule files is kept, and what it leaves out is filled in.
            alertmanagers: host:port addresses that alerts are sent to.
            interval_s: Scrape and evaluation interval, in seconds (default 1).
            features: Prometheus feature flags, for example "native-histograms".
        """
        self.program = find_program("prometheus", "prometheus")
        self.port = free_port()
        self.process = ServerProcess("prometheus")
        self.features = list(features)
        self._interval_s = interval_s
        self._alertmanagers = list(alertmanagers)
        self.configure(targets, rules=rules, config=config)

    def configure(
        self,
        targets: Mapping[str, Sequence[str]] | None = None,
        *,
        rules: Sequence[str] = (),
        config: Mapping[str, Any] | str | None = None,
    ) -> None:
        """Write the configuration anew, and load it when the server runs; arguments as for the constructor."""
        given = yaml.safe_load(config) if isinstance(config, str) else dict(config or {})
        interval = f"{round(self._interval_s * 1000)}ms"
        given["global"] = {
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "evaluation_interval": interval,
            **given.get("global", {}),
        }
        for job, addresses in (targets or {}).items():
            given.setdefault("scrape_configs", []).append(
                {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
            )
        names = []
        for number, text in enumerate(rules):
            path = self.process.folder / f"rules-{number}.yml"
            path.write_text(text)
            names.append(str(path))
        if names:
            given["rule_files"] = [*given.get("rule_files", []), *names]
        if self._alertmanagers:
            given["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": self._alertmanagers}]}]}
        self._config_path.write_text(yaml.safe_dump(given))
        if self.running:
            self._reload()

    def start(self) -> Self:
        """Start it and return it when it is ready for queries."""
        self.process.run(
            [
                self.program,
                f"--config.file={self._config_path}",
                f"--storage.tsdb.path={self.process.folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--web.enable-lifecycle",
                "--log.level=warn",
                *([f"--enable-feature={','.join(self.features)}"] if self.features else []),
            ],
            self._ready,
            env={"GOMAXPROCS": "2"},
        )
        return self

    def query(self, expression: str, *, at: float | None = None) -> list[dict[str, Any]]:
        """Return the result of an instant query: a list of {"metric": labels, "value": [time, text]}.

        Args:
            expression: PromQL.
            at: Evaluation time in seconds since 1970 (default: now).
        """
        parameters = {"query": expression, **({} if at is None else {"time": repr(at)})}
        answer = self.get("/api/v1/query", **parameters)
        return list(answer["data"]["result"])

    def value(self, expression: str, *, at: float | None = None) -> float | None:
        """Return the value of a query that has one series, or None when it has none."""
        result = self.query(expression, at=at)
        if len(result) > 1:
            raise AssertionError(f"expected at most one series for {expression}, got {len(result)}: {result}")
        return float(result[0]["value"][1]) if result else None

    def targets_up(self) -> dict[str, bool]:
        """Tell for each scraped address whether its last scrape succeeded."""
        active = self.get("/api/v1/targets")["data"]["activeTargets"]
        return {target["labels"]["instance"]: target["health"] == "up" for target in active}

    def rules(self) -> list[dict[str, Any]]:
        """Return the loaded rules with their health."""
        groups = self.get("/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def alerts(self) -> list[dict[str, Any]]:
        """Return the pending and firing alerts."""
        return list(self.get("/api/v1/alerts")["data"]["alerts"])

    @property
    def _config_path(self) -> Path:
        return self.process.folder / "prometheus.yml"


class NodeExporterServer(Server):
    """A node exporter of this machine."""

    def __init__(self) -> None:
        """Choose the port."""
        self.program = find_program("prometheus-node-exporter", "prometheus-node-exporter")
        self.port = free_port()
        self.process = ServerProcess("node-exporter")

    @property
    def address(self) -> str:
        """The host:port that a Prometheus scrapes."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start it and return it when it answers."""
        self.process.run(
            [self.program, f"--web.listen-address={self.address}", "--log.level=warn"],
            lambda: accepts_connections(self.port),
            env={"GOMAXPROCS": "2"},
        )
        return self


class AlertmanagerServer(_HttpServer):
    """An Alertmanager that knows no other and sends at once."""

    def __init__(self, config: Mapping[str, Any] | str | None = None, *, webhook_url: str | None = None) -> None:
        """Write the configuration.

        Args:
            config: A whole configuration, as text or data.
            webhook_url: In place of `config`: where every alert is posted, without waiting to group it.
        """
        self.program = find_program("prometheus-alertmanager", "prometheus-alertmanager")
        self.port = free_port()
        self.process = ServerProcess("alertmanager")
        if config is None:
            config = _send_at_once(webhook_url)
        text = config if isinstance(config, str) else yaml.safe_dump(dict(config))
        self._config_path.write_text(text)

    @property
    def address(self) -> str:
        """The host:port that a Prometheus sends alerts to."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start it and return it when it is ready."""
        self.process.run(
            [
                self.program,
                f"--config.file={self._config_path}",
                f"--storage.path={self.process.folder / 'data'}",
                f"--web.listen-address={self.address}",
                "--cluster.listen-address=",
                "--log.level=warn",
            ],
            self._ready,
            env={"GOMAXPROCS": "2"},
        )
        return self

    def post_alerts(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Post alerts as Prometheus does: each with labels, annotations and, if wanted, startsAt and endsAt."""
        request = urllib.request.Request(
            f"{self.url}/api/v2/alerts",
            data=json.dumps([dict(alert) for alert in alerts]).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that it holds."""
        return list(self.get("/api/v2/alerts"))

    @property
    def _config_path(self) -> Path:
        return self.process.folder / "alertmanager.yml"


def _send_at_once(webhook_url: str | None) -> dict[str, Any]:
    receiver: dict[str, Any] = {"name": "test"}
    if webhook_url is not None:
        receiver["webhook_configs"] = [{"url": webhook_url, "send_resolved": True}]
    return {
        "route": {"receiver": "test", "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"},
        "receivers": [receiver],
    }


@pytest.fixture
def prometheus_server() -> Iterator[Callable[..., PrometheusServer]]:
    """Give a function that starts a Prometheus; it takes the arguments of `PrometheusServer`."""
    with ExitStack() as started:

        def start(*arguments: Any, **options: Any) -> PrometheusServer:
            return started.enter_context(PrometheusServer(*arguments, **options))

        yield start


@pytest.fixture
def alertmanager_server() -> Iterator[Callable[..., AlertmanagerServer]]:
    """Give a function that starts an Alertmanager; it takes the arguments of `AlertmanagerServer`."""
    with ExitStack() as started:

        def start(*arguments: Any, **options: Any) -> AlertmanagerServer:
            return started.enter_context(AlertmanagerServer(*arguments, **options))

        yield start
