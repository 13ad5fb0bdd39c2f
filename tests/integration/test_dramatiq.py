"""Real workers of Dramatiq on real brokers: each run once, in its right state, with its attempts, also when workers
die."""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.integration.broker_deployment import FINAL, BrokerDeployment
from tests.integration.dramatiq_app import KINDS
from tests.servers import HuoyanServer, RabbitmqServer, RedisServer, wait_until

COUNT = 300

EXPECTED = {
    "ok": ("succeeded", ["succeeded"]),
    "flaky": ("succeeded", ["retrying", "succeeded"]),
    "flakier": ("succeeded", ["retrying", "retrying", "succeeded"]),
    "exhaust": ("failed", ["retrying", "retrying", "failed"]),
    "fail": ("failed", ["failed"]),
    "old": ("dead", []),
    "tree": ("succeeded", ["succeeded"]),
}


class Deployment(BrokerDeployment):
    """A worker of Dramatiq, and programs that send."""

    def __init__(self, server: HuoyanServer, broker: str) -> None:
        super().__init__("dramatiq", server, broker)

    def work(self, processes: int) -> None:
        """Start the worker and return when all its processes work."""
        before = self._log().count(" works")
        command = [sys.executable, "-m", "dramatiq", "tests.integration.dramatiq_app"]
        options = [*("--processes", str(processes)), *("--threads", "4"), "--worker-shutdown-timeout", "5000"]
        self.worker.run([*command, *options], lambda: self._log().count(" works") == before + processes, env=self.env)

    def _log(self) -> str:
        return self.worker.log_path.read_text() if self.worker.log_path.exists() else ""


@pytest.fixture(params=["redis", "rabbitmq"])
def deployment(request: pytest.FixtureRequest, huoyan_server: Callable[..., HuoyanServer]) -> Iterator[Deployment]:
    """Give a deployment on each broker, nothing of which runs yet but broker and server."""
    if request.param == "redis":
        redis: RedisServer = request.getfixturevalue("fresh_redis")
        address = redis.url
    else:
        rabbitmq: RabbitmqServer = request.getfixturevalue("rabbitmq_server")
        address = rabbitmq.make_virtual_host(f"dramatiq-{os.urandom(4).hex()}")
    made = Deployment(huoyan_server(), address)
    yield made
    made.close()


def kind_of(run_id: str) -> str:
    return KINDS[int(run_id.rpartition("-")[2]) % len(KINDS)]


def test_every_run_is_seen_once_with_its_state_and_attempts(deployment: Deployment) -> None:
    deployment.work(processes=2)
    deployment.python("-m", "tests.integration.dramatiq_app", "task", str(COUNT))
    tasks = {f"task-{n}" for n in range(COUNT)}
    leaves = {f"leaf-of-{n}" for n in range(COUNT) if kind_of(f"x-{n}") == "tree"}
    everything = tasks | leaves | {"task-too-long", "task-later"}

    def missing() -> set[str]:
        return everything - {run["id"] for run in deployment.server.runs(state=sorted(FINAL))}

    wait_until(lambda: not missing(), 40, lambda: f"every run to end: {sorted(missing())[:10]}", interval_s=0.3)
    listed = deployment.server.runs()
    assert Counter(run["id"] for run in listed) == dict.fromkeys(everything, 1)
    runs = {run["id"]: run for run in listed}
    outcomes = {run_id: (run["state"], [a["state"] for a in run["attempts"]]) for run_id, run in runs.items()}
    wrong = {run_id: outcomes[run_id] for run_id in tasks if outcomes[run_id] != EXPECTED[kind_of(run_id)]}
    assert not wrong, f"{len(wrong)} of {COUNT}: {dict(list(wrong.items())[:5])}"
    noted = deployment.executions()
    assert {run_id: run["attempt_count"] for run_id, run in runs.items() if run["attempt_count"]} == {
        run_id: len(pids) for run_id, pids in noted.items()
    }
    for run_id, run in runs.items():
        assert (run["framework"], run["service"], run["queue"]) == ("dramatiq", "orders", "work")
        assert run["evidence"] == "reported"
        assert [int(a["worker"].rpartition(":")[2]) for a in run["attempts"]] == noted.get(run_id, [])
        assert run["duration_s"] is None or 0 <= run["duration_s"] < 20
    assert all(outcomes[leaf] == ("succeeded", ["succeeded"]) for leaf in leaves)
    assert all(deployment.run(leaf)["parent_id"] == leaf.replace("leaf-of", "task") for leaf in sorted(leaves)[:3])
    assert outcomes["task-too-long"] == ("failed", ["failed"])
    assert runs["task-too-long"]["exception"]["type"].endswith("TimeLimitExceeded")
    later = deployment.run("task-later")
    assert later["state"] == "succeeded"
    assert 0 <= later["wait_s"] < 3.9
    shown = deployment.run("task-0")
    assert (shown["args"], shown["kwargs"], shown["result"]) == (["ok", 0], {"password": "[scrubbed]"}, "ok 0")
    assert shown["wait_s"] is not None
    assert deployment.run("task-8")["reason"].startswith("older than its age limit")

    def depths() -> dict[str, int | None]:
        return {queue["queue"]: queue["depth"] for queue in deployment.server.get("/queues")["items"]}

    wait_until(lambda: depths()["work"] == 0, 20, lambda: f"an empty queue: {depths()}")
    deployment.worker.stop()
    pids = {pid for pids in noted.values() for pid in pids}

    def ended() -> bool:
        workers = {worker["pid"]: worker["state"] for worker in deployment.server.get("/workers")["items"]}
        return {workers.get(pid) for pid in pids} == {"closed"}

    wait_until(ended, 10, lambda: f"the workers to have said goodbye: {deployment.server.get('/workers')}")


def test_a_killed_worker_loses_its_run_until_the_broker_gives_it_to_another(deployment: Deployment) -> None:
    deployment.work(processes=1)
    deployment.gate.touch()
    deployment.python(
        "-c",
        "from tests.integration.dramatiq_app import broker, hold\n"
        f"broker.enqueue(hold.message({str(deployment.gate)!r}).copy(message_id='held'))",
    )
    wait_until(lambda: "held" in deployment.executions(), 15, "the task to run")
    wait_until(lambda: deployment.server.runs(state="started"), 10, "the server to know that it runs")
    first = deployment.executions()["held"][0]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: deployment.run("held")["state"] == "lost", 15, lambda: f"{deployment.run('held')}")
    lost = deployment.run("held")
    assert (lost["evidence"], [a["state"] for a in lost["attempts"]]) == ("inferred", ["lost"])
    deployment.worker.kill()
    deployment.gate.unlink()
    deployment.work(processes=1)
    wait_until(lambda: deployment.run("held")["state"] == "succeeded", 20, lambda: f"{deployment.run('held')}")
    found = deployment.run("held")
    assert [a["state"] for a in found["attempts"]] == ["lost", "succeeded"]
    assert [int(a["worker"].rpartition(":")[2]) for a in found["attempts"]] == deployment.executions()["held"]
    assert first != deployment.executions()["held"][1]
