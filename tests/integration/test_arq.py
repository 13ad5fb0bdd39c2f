"""arq under watch, through a real server, with real `arq` workers that end in every way."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import HuoyanServer, RedisServer, wait_until

FINAL = {"succeeded", "failed", "revoked", "rejected", "lost", "dead"}

TASKS = """
import asyncio, os
import huoyan
from arq import Retry, cron
from arq.connections import RedisSettings
from arq.worker import func

async def add(ctx, a, b=0):
    await asyncio.sleep(0.02)
    return a + b

async def fail(ctx):
    raise ValueError("no stock left")

async def flaky(ctx):
    if ctx["job_try"] < 3:
        raise Retry(defer=0.05)
    return "at last"

async def stubborn(ctx):
    raise Retry

async def slow(ctx, seconds):
    await ctx["redis"].incr("slow")
    await asyncio.sleep(seconds)

async def login(ctx, user, password):
    raise ValueError("wrong password=" + password)

async def parent(ctx):
    await ctx["redis"].enqueue_job("add", 7)

async def tick(ctx):
    return "tick"

class WorkerSettings:
    functions = [
        add, fail, flaky, func(stubborn, max_tries=2), slow, func(slow, name="short", timeout=0.5), login, parent,
    ]
    cron_jobs = [cron(tick, second=set(range(60)))]
    redis_settings = RedisSettings.from_dsn(os.environ["STORE_URL"])
    poll_delay = 0.1
    allow_abort_jobs = True
    max_jobs = 20

huoyan.watch(WorkerSettings, service="shop")

class Doomed:
    functions = [func(slow, name="doomed", timeout=2)]
    queue_name = "doomed"
    redis_settings = WorkerSettings.redis_settings
    poll_delay = 0.1

huoyan.watch(Doomed, service="shop")
"""

PRODUCER = """
import asyncio, json
import arq, huoyan
import tasks

async def main():
    pool = huoyan.watch(await arq.create_pool(tasks.WorkerSettings.redis_settings), service="shop")
    jobs = {
        "success": await pool.enqueue_job("add", 1, b=2),
        "failure": await pool.enqueue_job("fail"),
        "flaky": await pool.enqueue_job("flaky"),
        "exhausted": await pool.enqueue_job("stubborn"),
        "timeout": await pool.enqueue_job("short", 60),
        "secret": await pool.enqueue_job("login", "ann", "hunter2"),
        "parent": await pool.enqueue_job("parent"),
        "delayed": await pool.enqueue_job("add", 3, _defer_by=1),
        "unknown": await pool.enqueue_job("nowhere"),
        "aborted": await pool.enqueue_job("slow", 60),
        "interrupted": await pool.enqueue_job("slow", 61),
        "doomed": await pool.enqueue_job("doomed", 1, _queue_name="doomed"),
        "later": await pool.enqueue_job("add", 4, _defer_by=3600),
    }
    print(json.dumps({name: job.job_id for name, job in jobs.items()}))
    await pool.aclose()

asyncio.run(main())
"""

ABORT = """
import asyncio, sys
import arq
from arq.jobs import Job
import tasks

async def main():
    pool = await arq.create_pool(tasks.WorkerSettings.redis_settings)
    print(await Job(sys.argv[1], pool).abort(timeout=10, poll_delay=0.1))
    await pool.aclose()

asyncio.run(main())
"""


class Deployment:
    """arq workers on a Redis and a server that hears of them."""

    def __init__(self, folder: Path, store: RedisServer, server: HuoyanServer) -> None:
        self.folder = folder
        self.store = store
        self.server = server
        self.processes: list[subprocess.Popen[bytes]] = []
        self.ids: dict[str, str] = {}
        for name, text in (("tasks", TASKS), ("producer", PRODUCER), ("abort", ABORT)):
            (folder / f"{name}.py").write_text(text)
        self.env = {
            **os.environ,
            "PYTHONPATH": str(folder),
            "STORE_URL": store.url,
            "HUOYAN_URL": server.url,
            "HUOYAN_REPORT_INTERVAL_S": "0.5",
        }

    def worker(self, settings: str) -> subprocess.Popen[bytes]:
        """Start a worker as people do."""
        with (self.folder / f"{settings}-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [str(Path(sys.executable).with_name("arq")), f"tasks.{settings}"],
                env=self.env,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def program(self, name: str, *arguments: str) -> str:
        """Run a program to its end and return what it wrote."""
        done = subprocess.run(
            [sys.executable, f"{name}.py", *arguments],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, name: str) -> dict[str, Any]:
        """Return what the server says of the run of a job."""
        whole: dict[str, Any] = self.server.get(f"/runs/{self.ids[name]}")
        return whole

    def states(self) -> dict[str, str]:
        """Return the state of each job's run."""
        seen = {run["id"]: run["state"] for run in self.server.runs()}
        return {name: seen.get(job_id, "") for name, job_id in self.ids.items()}

    def wait_for(self, **expected: str) -> None:
        """Wait until runs are in these states."""
        wait_until(
            lambda: expected.items() <= self.states().items(),
            30,
            lambda: f"{expected} among {self.states()}",
            interval_s=0.1,
        )

    def close(self) -> None:
        """End the workers."""
        for process in self.processes:
            process.kill()
            process.wait(10)


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """Run the deployment: work is done, aborted, interrupted, and a worker is killed under its job."""
    with tempfile.TemporaryDirectory(prefix="huoyan-arq-") as folder, RedisServer() as store, HuoyanServer() as server:
        deployment = Deployment(Path(folder), store, server)
        try:
            worker, doomed = deployment.worker("WorkerSettings"), deployment.worker("Doomed")
            deployment.ids = json.loads(deployment.program("producer"))
            deployment.wait_for(aborted="started", interrupted="started", doomed="started")
            doomed.kill()
            assert deployment.program("abort", deployment.ids["aborted"]).strip() == "True"
            stay = {"interrupted", "doomed", "later"}
            wait_until(
                lambda: all(s in FINAL for name, s in deployment.states().items() if name not in stay),
                30,
                lambda: f"every run to end: {deployment.states()}",
                interval_s=0.1,
            )
            wait_until(lambda: len([run for run in server.runs() if run["task"] == "cron:tick"]) >= 2, 10)
            # A due time is judged some seconds after it; a worker that is gone keeps no schedule.
            wait_until(lambda: any(item["state"] == "ok" for item in server.get("/schedules")["items"]), 40)
            worker.send_signal(signal.SIGTERM)
            worker.wait(15)
            deployment.wait_for(interrupted="retrying", doomed="lost")
            yield deployment
        finally:
            deployment.close()


def attempts(run: dict[str, Any]) -> list[str]:
    return [attempt["state"] for attempt in run["attempts"]]


def test_a_success_is_told_with_everything(deployment: Deployment) -> None:
    run = deployment.run("success")
    assert (run["state"], run["evidence"], attempts(run)) == ("succeeded", "reported", ["succeeded"])
    assert (run["task"], run["queue"], run["service"], run["framework"]) == ("add", "arq:queue", "shop", "arq")
    assert (run["args"], run["kwargs"], run["result"]) == ([1], {"b": 2}, 3)
    assert run["worker"].endswith(f":{deployment.processes[0].pid}")
    assert 0.02 <= run["duration_s"] < 5
    assert 0 <= run["wait_s"] < 10


def test_failures_retries_and_limits(deployment: Deployment) -> None:
    expected = {
        "failure": ("failed", ["failed"], "ValueError"),
        "flaky": ("succeeded", ["retrying", "retrying", "succeeded"], None),
        "exhausted": ("failed", ["retrying", "failed"], "arq.worker.Retry"),
        "timeout": ("failed", ["failed"], "TimeoutError"),
        "secret": ("failed", ["failed"], "ValueError"),
    }
    for name, (state, tries, exception) in expected.items():
        run = deployment.run(name)
        kind = run["exception"]["type"] if run["exception"] else None
        assert (run["state"], attempts(run), kind) == (state, tries, exception), name


def test_secrets_stay_where_they_are(deployment: Deployment) -> None:
    run = deployment.run("secret")
    assert run["args"] == ["ann", "[scrubbed]"]
    assert "hunter2" not in json.dumps(run)


def test_a_delayed_job_has_a_time_and_no_long_wait(deployment: Deployment) -> None:
    run = deployment.run("delayed")
    assert run["state"] == "succeeded"
    assert run["eta"] is not None
    assert run["wait_s"] < 3
    assert deployment.run("later")["state"] == "scheduled"


def test_an_unknown_function_is_rejected(deployment: Deployment) -> None:
    assert deployment.run("unknown")["state"] == "rejected"


def test_an_aborted_job_is_revoked(deployment: Deployment) -> None:
    run = deployment.run("aborted")
    assert (run["state"], attempts(run), run["reason"]) == ("revoked", ["revoked"], "aborted while it ran")


def test_what_a_job_enqueues_is_its_child(deployment: Deployment) -> None:
    parent = deployment.run("parent")
    children = [run for run in deployment.server.runs() if run["parent_id"] == parent["id"]]
    assert [(run["task"], run["state"], run["root_id"]) for run in children] == [("add", "succeeded", parent["id"])]


def test_cron_jobs_are_scheduled_runs(deployment: Deployment) -> None:
    done = [run for run in deployment.server.runs() if run["task"] == "cron:tick" and run["state"] == "succeeded"]
    assert done
    assert all(run["labels"]["trigger"] == "cron" for run in done)
    # arq enqueues a moment ahead, unless it is late.
    assert any(run["eta"] is not None for run in done)
    # One run for each due time, which is in the job's id.
    assert len({run["id"].partition("@")[0] for run in done}) == len(done)


def test_each_due_time_of_a_cron_job_gets_its_verdict(deployment: Deployment) -> None:
    def kept() -> dict[str, Any]:
        return next(iter(deployment.server.get("/schedules")["items"]), {})

    wait_until(lambda: kept().get("state") == "ok", 30, lambda: f"a due time that was kept, got {kept()}")
    schedule = kept()
    assert (schedule["id"], schedule["expression"], schedule["timezone"]) == ("cron:tick", "* * * * * *", "UTC")
    assert schedule["missed_count"] == 0
    assert {slot["verdict"] for slot in schedule["recent"]} <= {"ok", "late"}


def test_what_a_shutdown_interrupts_is_executed_again(deployment: Deployment) -> None:
    run = deployment.run("interrupted")
    assert (run["state"], attempts(run)) == ("retrying", ["retrying"])
    assert "shut down" in run["attempts"][0]["reason"]
    workers = {worker["pid"]: worker["state"] for worker in deployment.server.get("/workers")["items"]}
    assert workers[deployment.processes[0].pid] == "closed"


def test_what_a_killed_worker_executed_is_lost_until_another_executes_it(deployment: Deployment) -> None:
    run = deployment.run("doomed")
    assert (run["state"], run["evidence"], attempts(run)) == ("lost", "inferred", ["lost"])
    successor = deployment.worker("Doomed")
    # arq frees the job by itself when its time limit and ten seconds have passed.
    deployment.store.command("DEL", f"arq:in-progress:{deployment.ids['doomed']}")
    deployment.wait_for(doomed="succeeded")
    run = deployment.run("doomed")
    assert attempts(run) == ["lost", "succeeded"]
    assert run["attempts"][1]["worker"].endswith(f":{successor.pid}")


def test_a_worker_reads_the_depth_of_its_queue(deployment: Deployment) -> None:
    deployment.worker("Doomed")

    def depth() -> Any:
        return {queue["queue"]: queue["depth"] for queue in deployment.server.get("/queues")["items"]}.get("doomed")

    wait_until(lambda: depth() == 0, 15, lambda: f"an empty queue, not {depth()}")
