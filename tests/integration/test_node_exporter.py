"""A real Prometheus that scrapes a real node exporter tells Huoyan of the host that both are on."""

import os
import socket
from pathlib import Path
from typing import Any

import psutil
from fastapi.testclient import TestClient

from huoyan.cli.check import Finding, inspect
from huoyan.clock import SYSTEM_CLOCK
from huoyan.server.app import create_app
from huoyan.server.config import Settings
from huoyan.server.ingest.node_exporter import NodeExporters
from tests.servers import NodeExporterServer, PrometheusServer, wait_until

MEMORY = "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"
CPU = "count(irate(node_cpu_seconds_total[5m]))"


def this_host(client: TestClient) -> dict[str, Any]:
    """Return what the API says of the machine that the test runs on."""
    hosts = client.get("/api/v1/resources", params={"since": "-5m", "step_s": 60}).json()["hosts"]
    return next((host for host in hosts if host["host"] == socket.gethostname()), {})


def test_a_host_is_described_by_its_node_exporter_for_as_long_as_there_is_one(tmp_path: Path) -> None:
    with (
        NodeExporterServer() as exporter,
        PrometheusServer({"nodes": [exporter.address], "again": [exporter.address]}) as prometheus,
    ):
        wait_until(lambda: len(prometheus.query(CPU)) == 1, 60, "two scrapes")
        settings = Settings.model_validate(
            {"server": {"data_dir": tmp_path / "data"}, "prometheus": {"url": prometheus.url, "timeout_s": 30}}
        )
        assert Finding("prometheus", True, f"{prometheus.url}: 2 node exporters") in inspect(settings)
        app = create_app(settings)
        with TestClient(app, base_url="http://127.0.0.1:8650") as client:
            told = {"cpu": "node-exporter", "memory": "node-exporter", "disk": "node-exporter"}
            host = wait_until(
                lambda: host if (host := this_host(client)).get("sources") == told else None,
                60,
                lambda: f"the node exporter to speak: {client.get('/api/v1/resources').json()['node_exporters']}",
            )
            # Two jobs scrape it, and it is one machine for all that.
            assert 0 < host["memory"][-1] < 1
            (first, *_) = wait_until(lambda: prometheus.query(MEMORY), 60, "the memory to be known to Prometheus")
            assert abs(host["memory"][-1] - float(first["value"][1])) < 0.2
            assert host["node"]["processors"] == os.cpu_count()
            assert host["node"]["load1"] >= 0
            assert host["node"]["received_bytes_per_s"] >= 0
            mount = host["node"]["disk_mount"]
            assert abs(host["disk"][-1] - psutil.disk_usage(mount).percent / 100) < 0.05
            nodes = app.state.context.nodes

            def of_signal(signal: str) -> list[float | None]:
                chart = client.get(f"/api/v1/signals/{signal}", params={"since": "-1m", "by": "host"}).json()
                return [series["points"][-1][1] for series in chart["series"]]

            def agree() -> bool:
                node = nodes.of(host["host"])
                return [of_signal(f"host_{name}") for name in told] == [[getattr(node, name)] for name in told]

            # It may be read anew between two looks.
            wait_until(agree, 60, "the signals to be what the node exporter says")

            exporter.stop()
            asking = NodeExporters(settings.prometheus.client(), nodes, SYSTEM_CLOCK)
            wait_until(lambda: not prometheus.query("node_uname_info"), 60, "the series to end")

            def silent() -> dict[str, Any] | None:
                # A look of the server's own that began before may end after ours.
                asking.run_once()
                return host if (host := this_host(client))["node"] is None else None

            host = wait_until(silent, 60, "processes to speak for their host")
            assert host["sources"]["memory"] == "psutil"
            assert 0 < host["memory"][-1] < 1

            prometheus.kill()

            def failing() -> dict[str, Any] | None:
                asking.run_once()
                answer = client.get("/api/v1/resources").json()["node_exporters"]
                return answer if answer["state"] == "failing" else None

            answer = wait_until(failing, 60, "the question to fail")
            asking.close()
            assert answer["problem"].startswith(f"expected {prometheus.url} to answer a query, got ")
            assert answer["read_at"] is not None
            assert this_host(client)["sources"]["memory"] == "psutil"
