"""RQ under watch, through a real server: by hooks, by looking at Redis, and by both, which must tell the same.

A deployment is run for each way, with real `rq worker` processes; the tests look at what the server says of it.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import redis
import rq
from rq.command import send_stop_job_command

from tests.servers import HuoyanServer, RedisServer, wait_until

FINAL = {"succeeded", "failed", "revoked", "rejected", "lost", "dead"}
WAYS = ("hooks", "poll", "both")
TASKS = """
import os, signal, time
import redis

store = redis.Redis.from_url(os.environ["STORE_URL"])

def add(a, b=0):
    time.sleep(0.02)
    return a + b

def fail():
    raise ValueError("no stock left")

def flaky(times):
    if store.incr("flaky") <= times:
        raise ValueError("not yet")
    return "at last"

def slow(seconds):
    store.set("slow:%d" % os.getpid(), 1)
    time.sleep(seconds)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def leave():
    os._exit(0)

def login(user, password):
    raise ValueError("wrong password=" + password)
"""
HOOKS = """
import huoyan
import rq

huoyan.watch(rq.Worker, service="shop")
"""
PRODUCER = """
import json, os, sys
from datetime import timedelta
import redis
import rq
import tasks

if os.environ.get("HUOYAN_URL"):
    import huoyan
    huoyan.watch(rq.Queue, service="shop")

connection = redis.Redis.from_url(os.environ["STORE_URL"])
queue = rq.Queue("default", connection=connection)
first = queue.enqueue(tasks.add, 1, b=2)
jobs = {
    "success": first,
    "failure": queue.enqueue(tasks.fail),
    "flaky": queue.enqueue(tasks.flaky, 2, retry=rq.Retry(max=3, interval=3)),
    "exhausted": queue.enqueue(tasks.fail, retry=rq.Retry(max=1, interval=3)),
    "timeout": queue.enqueue(tasks.slow, 60, job_timeout=1),
    "killed": queue.enqueue(tasks.die),
    "secret": queue.enqueue(tasks.login, "ann", "hunter2", description="log somebody in"),
    "parent": queue.enqueue(tasks.add, 1, job_id="parent"),
    "delayed": queue.enqueue_in(timedelta(seconds=2), tasks.add, 3),
    "repeated": queue.enqueue(tasks.add, 4, repeat=rq.Repeat(times=1)),
    "stopped": rq.Queue("stopping", connection=connection).enqueue(tasks.slow, 60),
    "abandoned": rq.Queue("doomed", connection=connection).enqueue(tasks.slow, 60),
    "waiting": rq.Queue("nobody", connection=connection).enqueue(tasks.add, 5),
}
jobs["child"] = queue.enqueue(tasks.add, 2, depends_on=jobs["parent"])
jobs["cancelled"] = queue.enqueue(tasks.add, 6)
jobs["cancelled"].cancel()
jobs["later"] = rq.Queue("nobody", connection=connection).enqueue_in(timedelta(hours=1), tasks.add, 7)
if sys.argv[1:] == ["leave"]:
    jobs["left"] = queue.enqueue(tasks.leave)
print(json.dumps({name: job.id for name, job in jobs.items()}))
if os.environ.get("HUOYAN_URL"):
    huoyan.flush(5)
"""


class Deployment:
    """RQ workers on a Redis, and a server that watches them in one way."""

    def __init__(self, way: str, folder: Path, store: RedisServer, server: HuoyanServer) -> None:
        self.way = way
        self.folder = folder
        self.store = store
        self.server = server
        self.redis: Any = redis.Redis(port=store.port)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.ids: dict[str, str] = {}
        for name, text in (("tasks", TASKS), ("hooks", HOOKS), ("producer", PRODUCER)):
            (folder / f"{name}.py").write_text(text)
        self.env = {**os.environ, "PYTHONPATH": str(folder), "STORE_URL": store.url}
        if way != "poll":
            self.env |= {"HUOYAN_URL": server.url, "HUOYAN_REPORT_INTERVAL_S": "1"}

    def worker(self, name: str, queue: str) -> subprocess.Popen[bytes]:
        """Start a worker."""
        hooks = [] if self.way == "poll" else ["-c", "hooks"]
        command = [Path(sys.executable).with_name("rq"), "worker", "--url", self.store.url, "--name", name]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*map(str, command), *hooks, "--with-scheduler", queue],
                env=self.env,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def produce(self) -> None:
        """Enqueue everything."""
        told = subprocess.run(
            [sys.executable, "producer.py", *(["leave"] if self.way == "hooks" else [])],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert told.returncode == 0, told.stderr
        self.ids = json.loads(told.stdout)

    def run(self, name: str) -> dict[str, Any]:
        """Return what the server says of the run of a job."""
        found = [run for run in self.server.runs() if run["id"].partition("@")[0] == self.ids[name]]
        assert len(found) == 1, (name, found)
        whole: dict[str, Any] = self.server.get(f"/runs/{found[0]['id']}")
        return whole

    def states(self) -> dict[str, str]:
        """Return the state of each job's run, as far as it is known."""
        seen = {run["id"].partition("@")[0].partition(".")[0]: run["state"] for run in self.server.runs()}
        return {name: seen.get(job_id, "") for name, job_id in self.ids.items()}

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """Kill a worker with its work horse, which is in a process group of its own."""
        children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
        pids = [int(pid) for pid in children.read_text().split()] if children.exists() else []
        for pid in (worker.pid, *pids):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        worker.wait(10)

    def close(self) -> None:
        """End the workers."""
        for process in self.processes:
            if process.poll() is None:
                self.kill(process)
        self.redis.close()


def run_deployment(way: str, parts: ExitStack) -> Deployment:
    """Run a deployment until everything that will end has ended; what it needs is closed with `parts`."""
    folder = parts.enter_context(tempfile.TemporaryDirectory(prefix="huoyan-rq-"))
    store = parts.enter_context(RedisServer())
    config = "" if way == "hooks" else f'[[rq]]\nurl = "{store.url}"\nservice = "shop"\npoll_s = 0.2\n'
    server = parts.enter_context(HuoyanServer(config=config))
    deployment = Deployment(way, Path(folder), store, server)
    parts.callback(deployment.close)
    for name, queue in (("w-default", "default"), ("w-stopping", "stopping")):
        deployment.worker(name, queue)
    doomed = deployment.worker("w-doomed", "doomed")
    deployment.produce()
    wait_until(lambda: len(deployment.redis.keys("slow:*")) >= 2, 60, "two slow jobs to run")
    wait_until(lambda: deployment.states()["abandoned"] == "started", 60, "the doomed job to be started")
    deployment.kill(doomed)
    send_stop_job_command(deployment.redis, deployment.ids["stopped"])
    stay = {"waiting", "later"}
    wait_until(
        lambda: all(s in FINAL for name, s in deployment.states().items() if name not in stay),
        90,
        lambda: f"every run to end: {deployment.states()} {server.process.log_tail()}",
        interval_s=0.2,
    )
    return deployment


@pytest.fixture(scope="module")
def deployments() -> Iterator[dict[str, Deployment]]:
    """Run the deployments of all ways side by side: most of their time is waiting."""
    # What a thread starts ends with that thread, so the threads stay.
    with ThreadPoolExecutor(len(WAYS)) as pool, ExitStack() as whole:
        parts = {way: whole.enter_context(ExitStack()) for way in WAYS}
        running = {way: pool.submit(run_deployment, way, parts[way]) for way in WAYS}
        yield {way: deployment.result() for way, deployment in running.items()}


@pytest.fixture(scope="module", params=WAYS)
def deployment(request: pytest.FixtureRequest, deployments: dict[str, Deployment]) -> Deployment:
    """Give the deployment of each way in turn."""
    way: str = request.param
    return deployments[way]


def attempts(run: dict[str, Any]) -> list[str]:
    return [attempt["state"] for attempt in run["attempts"]]


def test_a_success_is_told_with_its_times(deployment: Deployment) -> None:
    run = deployment.run("success")
    assert (run["state"], run["evidence"], attempts(run)) == ("succeeded", "reported", ["succeeded"])
    assert (run["task"], run["queue"], run["service"], run["framework"]) == ("tasks.add", "default", "shop", "rq")
    assert run["worker"] == "w-default"
    assert 0.02 <= run["duration_s"] < 5
    assert 0 <= run["wait_s"] < 30
    if deployment.way == "poll":
        assert (run["args"], run["result"]) == (None, None)
    else:
        assert (run["args"], run["kwargs"], run["result"]) == ([1], {"b": 2}, 3)


def test_a_failure_is_told_with_its_traceback(deployment: Deployment) -> None:
    run = deployment.run("failure")
    assert (run["state"], attempts(run)) == ("failed", ["failed"])
    assert (run["exception"]["type"], run["exception"]["message"]) == ("ValueError", "no stock left")
    assert "in fail" in run["exception"]["traceback"]


def test_the_same_failure_is_one_group_however_it_is_told(deployment: Deployment) -> None:
    marks = {deployment.run(name)["exception"]["fingerprint"] for name in ("failure", "exhausted")}
    assert len(marks) == 1
    groups = [group for group in deployment.server.get("/failures")["items"] if group["fingerprint"] in marks]
    assert [group["count"] for group in groups] == [2]


def test_retries_are_attempts(deployment: Deployment) -> None:
    run = deployment.run("flaky")
    assert (run["state"], attempts(run)) == ("succeeded", ["retrying", "retrying", "succeeded"])
    assert not any(attempt["duplicate"] for attempt in run["attempts"])
    run = deployment.run("exhausted")
    assert (run["state"], attempts(run)) == ("failed", ["retrying", "failed"])


def test_a_time_limit_is_a_failure(deployment: Deployment) -> None:
    run = deployment.run("timeout")
    assert (run["state"], run["exception"]["type"]) == ("failed", "rq.timeouts.JobTimeoutException")


def test_a_killed_work_horse_takes_its_run_alone_with_it(deployment: Deployment) -> None:
    run = deployment.run("killed")
    assert (run["state"], attempts(run)) == ("failed", ["failed"])
    assert run["exception"]["type"] == "WorkHorseTerminated"
    assert "SIGKILL" in run["reason"]
    workers = {worker["worker"]: worker["state"] for worker in deployment.server.get("/workers")["items"]}
    assert workers["w-default"] == "up"


def test_a_job_that_ends_its_process_is_lost(deployment: Deployment) -> None:
    if deployment.way != "hooks":
        # RQ itself takes it for a job that goes on until its heartbeat is overdue.
        assert "left" not in deployment.ids
        return
    run = deployment.run("left")
    assert (run["state"], run["evidence"]) == ("lost", "inferred")


def test_secrets_stay_where_they_are(deployment: Deployment) -> None:
    run = deployment.run("secret")
    assert (run["task"], run["state"]) == ("tasks.login", "failed")
    assert "hunter2" not in json.dumps(run)
    if deployment.way != "poll":
        assert run["args"] == ["ann", "[scrubbed]"]


def test_a_dependency_is_the_parent(deployment: Deployment) -> None:
    parent, child = deployment.run("parent"), deployment.run("child")
    assert parent["id"].startswith("parent@")
    assert child["parent_id"] == parent["id"]
    assert (parent["state"], child["state"]) == ("succeeded", "succeeded")
    assert child["started_at"] >= parent["finished_at"]


def test_a_delayed_job_has_a_time_and_no_long_wait(deployment: Deployment) -> None:
    run = deployment.run("delayed")
    assert (run["state"], attempts(run)) == ("succeeded", ["succeeded"])
    assert run["eta"] is not None
    # Waiting begins when it is due, two seconds after it was enqueued.
    started, due = (datetime.fromisoformat(run[moment]) for moment in ("started_at", "eta"))
    assert run["wait_s"] == pytest.approx((started - due).total_seconds(), abs=0.5)
    assert deployment.run("later")["state"] == "scheduled"


def test_each_repetition_is_a_run(deployment: Deployment) -> None:
    job_id = deployment.ids["repeated"]
    found = [run for run in deployment.server.runs() if run["id"].startswith(job_id)]
    assert {run["id"] for run in found} == {f"{job_id}.1", f"{job_id}.0"}
    assert {run["state"] for run in found} == {"succeeded"}


def test_cancelled_and_stopped_jobs_are_revoked(deployment: Deployment) -> None:
    run = deployment.run("cancelled")
    assert (run["state"], run["started_at"], run["attempts"]) == ("revoked", None, [])
    run = deployment.run("stopped")
    assert (run["state"], attempts(run)) == ("revoked", ["revoked"])


def test_a_killed_worker_is_down_and_its_run_is_lost(deployment: Deployment) -> None:
    run = deployment.run("abandoned")
    assert (run["state"], run["evidence"], attempts(run)) == ("lost", "inferred", ["lost"])
    assert "w-doomed" in run["reason"]
    workers = {worker["worker"]: worker["state"] for worker in deployment.server.get("/workers")["items"]}
    assert (workers["w-doomed"], workers["w-default"], workers["w-stopping"]) == ("down", "up", "up")


def test_depth_is_what_waits(deployment: Deployment) -> None:
    if deployment.way == "hooks":
        # Workers read the queues they work on.
        def depths() -> dict[str, Any]:
            return {queue["queue"]: queue["depth"] for queue in deployment.server.get("/queues")["items"]}

        wait_until(lambda: depths().get("default") == 0, 15, lambda: f"an empty queue: {depths()}")
        return

    def queues() -> dict[str, Any]:
        return {queue["queue"]: queue for queue in deployment.server.get("/queues")["items"]}

    wait_until(lambda: queues().get("nobody", {}).get("depth") == 1, 15, lambda: f"one that waits: {queues()}")
    assert queues()["nobody"]["oldest_age_s"] > 0
    wait_until(lambda: queues()["default"]["depth"] == 0, 15)
    assert {queue["service"] for queue in queues().values()} == {"shop"}


def test_nothing_is_told_twice(deployment: Deployment) -> None:
    runs = deployment.server.runs()
    # A repeated job is two runs.
    assert len(runs) == len(deployment.ids) + 1
    starts = {
        run["id"]: [each["started_at"] for each in deployment.server.get(f"/runs/{run['id']}")["attempts"]]
        for run in runs
    }
    told = [at for each in starts.values() for at in each if at is not None]
    assert len(told) == len(set(told)), starts


def test_a_worker_that_ends_in_order_says_goodbye(deployment: Deployment) -> None:
    process = deployment.processes[1]
    process.send_signal(signal.SIGTERM)
    process.wait(15)

    def state() -> bool:
        items = deployment.server.get("/workers")["items"]
        return {worker["worker"]: worker["state"] for worker in items}["w-stopping"] == "closed"

    wait_until(state, 20, "the worker to have said goodbye")


def test_while_redis_is_away_nobody_is_given_up(deployment: Deployment) -> None:
    if deployment.way != "poll":
        # Hooks do not speak through Redis.
        return
    deployment.store.stop()

    def blind() -> bool:
        gaps = deployment.server.get("/gaps")["items"]
        return any(gap["source"].startswith("rq redis://") and gap["ended_at"] is None for gap in gaps)

    wait_until(blind, 20, "the cut to be noted")
    before = {worker["worker"]: worker["state"] for worker in deployment.server.get("/workers")["items"]}
    assert before["w-default"] == "up"
    deployment.store.start()
    wait_until(lambda: not blind(), 30, "the cut to have ended")


def test_what_was_there_before_the_watch_began_is_told_as_well() -> None:
    with tempfile.TemporaryDirectory(prefix="huoyan-rq-") as folder, RedisServer() as store:
        (Path(folder) / "tasks.py").write_text(TASKS)
        env = {**os.environ, "PYTHONPATH": folder, "STORE_URL": store.url}
        queue = rq.Queue("default", connection=redis.Redis(port=store.port))
        queue.enqueue("tasks.add", 1)
        queue.enqueue("tasks.fail")
        burst = [str(Path(sys.executable).with_name("rq")), "worker", "--url", store.url, "--burst", "default"]
        subprocess.run(burst, env=env, cwd=folder, check=True, capture_output=True, timeout=60)
        with HuoyanServer("--rq", store.url) as server:
            runs = server.wait_for_runs(lambda seen: len(seen) == 2)
            states = {run["task"]: run["state"] for run in runs}
            assert states == {"tasks.add": "succeeded", "tasks.fail": "failed"}
            assert {run["service"] for run in runs} == {"rq"}
