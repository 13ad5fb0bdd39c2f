"""What the children of a real prefork pool count arrives whole, those included that are replaced after a few tasks."""

import os
import sys
from pathlib import Path
from typing import Any

from tests.integration.celery.deployment import ROOT
from tests.servers import HuoyanServer, RedisServer, ServerProcess, wait_until

TASKS = 60


def _values(server: HuoyanServer, signal: str, **query: Any) -> dict[str, float]:
    answer = server.get(f"/signals/{signal}", service="parcels", window_s=600, **query)
    return {next(iter(item["labels"].values())): item["value"] for item in answer["now"]}


def test_children_of_a_pool_count_for_themselves_and_are_seen_each(redis_server: RedisServer) -> None:
    process = ServerProcess("worker")
    broker = redis_server.database_url(11)
    env = {
        "TEST_BROKER": broker,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        "HUOYAN_REPORT_INTERVAL_S": "1",
    }
    program = Path(sys.executable).with_name("celery")
    command: list[str | Path] = [program, "-A", "tests.integration.celery.measured_app", "worker"]
    with HuoyanServer() as server:
        try:
            process.run(
                [*command, "-c", "2", "--max-tasks-per-child", "7", "-l", "INFO", "-n", "w@host"],
                lambda: " ready." in process.log_path.read_text(),
                env={**env, "HUOYAN_URL": server.url},
                timeout_s=60,
            )
            wait_until(
                lambda: len([name for name in _workers(server) if name.startswith("w@host/")]) == 2,
                60,
                message=lambda: f"children without work are seen: {_workers(server)}",
            )
            _send(broker)
            wait_until(
                lambda: _values(server, "rate:parcels_total", by="carrier") == {"dhl": TASKS / 20, "ups": TASKS / 20},
                40,
                message=lambda: str(_values(server, "rate:parcels_total", by="carrier")),
            )
            wait_until(
                lambda: _values(server, "operation_success_ratio", by="operation") == {"send": 0.8},
                20,
                message="every operation is told",
            )
            wait_until(lambda: _workers(server) >= {"w@host"}, 20, message="the worker is seen")
        finally:
            process.close()


def _send(broker: str) -> None:
    from celery import Celery

    with Celery("sender", broker=broker) as sender:
        for number in range(TASKS):
            sender.send_task("parcels.send", (number,))


def _workers(server: HuoyanServer) -> set[str]:
    resources = server.get("/resources", service="parcels", since="-2m", step_s=10)
    return {process["worker"] for process in resources["processes"]}
