"""Real workers and a real scheduler of Taskiq on Redis: each run once, in its right state, with its attempts, also when
workers die."""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.integration.broker_deployment import FINAL, BrokerDeployment
from tests.integration.taskiq_app import KINDS
from tests.servers import HuoyanServer, RedisServer, ServerProcess, wait_until

COUNT = 300

EXPECTED = {
    "ok": ("succeeded", ["succeeded"]),
    "sync": ("succeeded", ["succeeded"]),
    "flaky": ("succeeded", ["retrying", "succeeded"]),
    "flakier": ("succeeded", ["retrying", "retrying", "succeeded"]),
    "exhaust": ("failed", ["retrying", "retrying", "failed"]),
    "fail": ("failed", ["failed"]),
    "again": ("succeeded", ["retrying", "succeeded"]),
    "reject": ("rejected", ["rejected"]),
    "tree": ("succeeded", ["succeeded"]),
}


class Deployment(BrokerDeployment):
    """A worker of Taskiq, a scheduler, and programs that send."""

    def __init__(self, server: HuoyanServer, broker: str, kind: str) -> None:
        super().__init__("taskiq", server, broker, TEST_KIND=kind)
        self.scheduler = ServerProcess("taskiq-scheduler")

    def work(self, processes: int) -> None:
        """Start the worker and return when all its processes listen."""
        command = [sys.executable, "-m", "taskiq", "worker", "tests.integration.taskiq_app:broker"]
        log = self.worker.log_path
        self.worker.run(
            [*command, *("--workers", str(processes)), *("--max-async-tasks", "20")],
            lambda: log.read_text().count("Listening started.") == processes,
            env=self.env,
        )

    def schedule(self) -> None:
        """Start the scheduler."""
        command = [sys.executable, "-m", "taskiq", "scheduler", "tests.integration.taskiq_app:scheduler"]
        log = self.scheduler.log_path
        self.scheduler.run(
            [*command, *("--update-interval", "1")], lambda: "Startup completed." in log.read_text(), env=self.env
        )

    def send(self, *words: str) -> None:
        """Run the program that sends."""
        self.python("-m", "tests.integration.taskiq_app", *words)

    def close(self) -> None:
        """End everything at once."""
        self.scheduler.kill()
        self.scheduler.close()
        super().close()


@pytest.fixture
def deploy(fresh_redis: RedisServer, huoyan_server: Callable[..., HuoyanServer]) -> Iterator[Callable[..., Deployment]]:
    """Give a function that makes a deployment, nothing of which runs yet but broker and server."""
    made: list[Deployment] = []

    def make(kind: str) -> Deployment:
        made.append(Deployment(huoyan_server(), fresh_redis.url, kind))
        return made[-1]

    yield make
    for each in made:
        each.close()


def kind_of(run_id: str) -> str:
    return KINDS[int(run_id.rpartition("-")[2]) % len(KINDS)]


def test_every_run_is_seen_once_with_its_state_and_attempts(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy("list")
    deployment.work(processes=2)
    deployment.schedule()
    deployment.send("task", str(COUNT))
    tasks = {f"task-{n}" for n in range(COUNT)}
    leaves = {f"leaf-of-{n}" for n in range(COUNT) if kind_of(f"x-{n}") == "tree"}
    everything = tasks | leaves | {"task-too-long", "task-unknown", "task-later"}

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
        assert (run["framework"], run["service"], run["queue"]) == ("taskiq", "orders", "work")
        assert run["evidence"] == "reported"
        assert [int(a["worker"].rpartition(":")[2]) for a in run["attempts"]] == noted.get(run_id, [])
        assert run["duration_s"] is None or 0 <= run["duration_s"] < 20
    assert all(outcomes[leaf] == ("succeeded", ["succeeded"]) for leaf in leaves)
    assert all(deployment.run(leaf)["parent_id"] == leaf.replace("leaf-of", "task") for leaf in sorted(leaves)[:3])
    assert outcomes["task-too-long"] == ("failed", ["failed"])
    assert runs["task-too-long"]["exception"]["type"] == "TimeoutError"
    assert outcomes["task-unknown"] == ("rejected", [])
    later = deployment.run("task-later")
    (kept,) = deployment.server.get("/schedules")["items"]
    assert (later["state"], later["labels"]) == (
        "succeeded",
        {"trigger": "schedule", "schedule": "soon", "scheduler": kept["source"]},
    )
    assert (kept["id"], kept["task"], kept["expression"]) == ("night", "orders.tidy", "30 2 * * 1,2,3,4,5")
    assert (kept["timezone"], kept["next_due_at"][14:16], kept["enabled"]) == ("Europe/Berlin", "30", True)
    shown = deployment.run("task-0")
    assert (shown["args"], shown["kwargs"], shown["result"]) == (["ok", 0], {"password": "[scrubbed]"}, "ok 0")
    assert shown["wait_s"] is not None

    def depth() -> int | None:
        return {queue["queue"]: queue["depth"] for queue in deployment.server.get("/queues")["items"]}.get("work")

    wait_until(lambda: depth() == 0, 20, lambda: f"a reading of the empty queue, the last one is {depth()}")
    deployment.worker.stop()
    pids = {pid for pids in noted.values() for pid in pids}

    def ended() -> bool:
        workers = {worker["pid"]: worker["state"] for worker in deployment.server.get("/workers")["items"]}
        return {workers.get(pid) for pid in pids} == {"closed"}

    wait_until(ended, 10, lambda: f"the workers to have said goodbye: {deployment.server.get('/workers')}")


@pytest.mark.parametrize("kind", ["list", "stream"])
def test_a_killed_worker_loses_its_run_unless_the_broker_gives_it_to_another(
    deploy: Callable[..., Deployment], kind: str
) -> None:
    deployment = deploy(kind)
    deployment.work(processes=1)
    deployment.gate.touch()
    deployment.send("hold", str(deployment.gate))
    wait_until(lambda: "held" in deployment.executions(), 15, "the task to run")
    wait_until(lambda: deployment.server.runs(state="started"), 10, "the server to know that it runs")
    (first,) = deployment.executions()["held"]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: deployment.run("held")["state"] == "lost", 15, lambda: f"{deployment.run('held')}")
    lost = deployment.run("held")
    assert (lost["evidence"], [a["state"] for a in lost["attempts"]]) == ("inferred", ["lost"])
    if kind == "list":
        # The list forgot the message when the worker took it.
        return
    deployment.gate.unlink()
    wait_until(lambda: deployment.run("held")["state"] == "succeeded", 20, lambda: f"{deployment.run('held')}")
    found = deployment.run("held")
    assert [a["state"] for a in found["attempts"]] == ["lost", "succeeded"]
    assert [int(a["worker"].rpartition(":")[2]) for a in found["attempts"]] == deployment.executions()["held"]
