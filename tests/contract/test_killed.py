"""What every adapter promises when its process is killed: the run is lost, and nothing else is said of it.

An adapter of each framework works in a process of its own, all at a time, and all report to one server. What a broker
delivers again afterwards is for the tests of the frameworks that have one.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from huoyan.client.capabilities import WATCHINGS, Capability, Level
from tests.servers import HuoyanServer, RabbitmqServer, RedisServer, ServerProcess, wait_until

NAMES = [
    *("background", "function", "apscheduler", "huey", "rq", "arq"),
    *("dramatiq-rabbitmq", "taskiq-stream", "celery-redis"),
]
"""One for each framework: what holds its messages makes no difference to the process that is gone."""
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def killed(redis_server: RedisServer, rabbitmq_server: RabbitmqServer) -> Iterator[dict[str, dict[str, Any]]]:
    """Give the run that each adapter was executing when it was killed, as the server shows it afterwards."""
    processes = {name: ServerProcess("doomed") for name in NAMES}
    with HuoyanServer() as server:
        try:
            for name, process in processes.items():
                env = {
                    "HUOYAN_URL": server.url,
                    # One service for each adapter: this is what tells their runs apart.
                    "HUOYAN_SERVICE": name,
                    "HUOYAN_REPORT_INTERVAL_S": "1",
                    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
                }
                arguments = [name, redis_server.database_url(50), rabbitmq_server.url]
                command = [sys.executable, "-m", "tests.contract.adapters.doomed", *arguments]
                process.run(command, lambda: True, env=env)
            left = dict(processes)

            def kill_the_busy() -> bool:
                for run in server.runs(state="started"):
                    process = left.pop(run["service"], None)
                    if process is not None:
                        process.kill()
                return not left

            wait_until(kill_the_busy, 90, lambda: f"each to start its run: {left}")
            wait_until(lambda: not server.runs(state="started"), 40, "no run to be open any more", interval_s=0.2)
            yield {run["service"]: server.get(f"/runs/{run['id']}") for run in server.runs()}
        finally:
            for process in processes.values():
                process.close()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", NAMES)
def test_what_a_killed_process_was_executing_is_lost(name: str, killed: dict[str, dict[str, Any]]) -> None:
    run = killed[name]
    assert (run["state"], run["evidence"]) == ("lost", "inferred")
    assert [attempt["state"] for attempt in run["attempts"]] == ["lost"]
    assert run["worker"] in run["reason"]
    assert run["exception"] is None
    assert [(one["before"], one["after"]) for one in run["history"]] == [("started", "lost")]


def test_every_framework_takes_part(killed: dict[str, dict[str, Any]]) -> None:
    declared = {each.framework for each in WATCHINGS if each.level(Capability.WORKER_KILLED) is Level.YES}
    assert {run["framework"] for run in killed.values()} == declared
