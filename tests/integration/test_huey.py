"""Huey with real consumers: every worker type, SQLite and Redis, killed and stopped; a real server hears of it."""

import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.servers.huoyan import HuoyanServer
from tests.servers.process import ServerProcess
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

MODULE = textwrap.dedent(
    """
    import os, time
    from huey import RedisHuey, SqliteHuey, crontab
    import huoyan

    if os.environ.get("MAIL_REDIS"):
        huey = RedisHuey("mail", url=os.environ["MAIL_REDIS"])
    else:
        huey = SqliteHuey("mail", filename=os.environ["MAIL_SQLITE"])
    huoyan.watch(huey, service="mail")

    @huey.task()
    def send(to, password=None):
        return f"sent to {to}"

    @huey.task()
    def campaign(count):
        for number in range(count):
            send(number)
        return count

    @huey.task(retries=2)
    def flaky(key):
        tries = int(huey.get(key, peek=True) or 0) + 1
        huey.put(key, tries)
        if tries < 3:
            raise ConnectionError(f"mail server is busy, try {tries}")
        return tries

    @huey.task(retries=1)
    def refused():
        raise ValueError("mailbox unknown")

    @huey.task()
    def slow(seconds):
        with open(os.environ["MAIL_MARK"], "a") as mark:
            mark.write(f"{os.getpid()}\\n")
        time.sleep(seconds)

    @huey.periodic_task(crontab(minute="*"))
    def tidy():
        return "tidy"
    """
)
WORKERS = {
    "thread": ("-k", "thread", "-w", "4"),
    "process": ("-k", "process", "-w", "2"),
    "greenlet": ("-k", "greenlet"),
}


class Mail:
    """The mail service: a queue, a consumer, and programs that produce."""

    def __init__(self, server_url: str, redis_url: str = "") -> None:
        self.process = ServerProcess("huey")
        folder = self.process.folder
        (folder / "mail.py").write_text(MODULE)
        self.mark = folder / "mark"
        self.env = {
            "HUOYAN_URL": server_url,
            "HUOYAN_REPORT_INTERVAL_S": "0.5",
            "MAIL_SQLITE": str(folder / "mail.db"),
            "MAIL_REDIS": redis_url,
            "MAIL_MARK": str(self.mark),
            "PYTHONPATH": str(folder),
        }

    def produce(self, program: str) -> str:
        """Run a program that imports the tasks."""
        done = subprocess.run(
            [sys.executable, "-c", "from mail import *\n" + textwrap.dedent(program)],
            env={**os.environ, **self.env},
            cwd=self.process.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def consume(self, *options: str) -> None:
        """Start the consumer."""
        command = [str(Path(sys.executable).with_name("huey_consumer")), "mail.huey", *options]
        self.process.run(command, lambda: "scheduler" in self.process.log_path.read_text().lower(), env=self.env)

    def marked(self) -> list[int]:
        """Return the processes in which `slow` began, in order."""
        return [int(line) for line in self.mark.read_text().split()] if self.mark.exists() else []


@pytest.fixture
def server(huoyan_server: Callable[..., HuoyanServer]) -> HuoyanServer:
    """Give a Huoyan server."""
    return huoyan_server()


@pytest.fixture
def mail(server: HuoyanServer) -> Iterator[Mail]:
    """Give the mail service on SQLite."""
    service = Mail(server.url)
    yield service
    service.process.close()


def final(runs: list[dict[str, Any]]) -> bool:
    return all(run["state"] in {"succeeded", "failed", "dead", "revoked", "lost"} for run in runs)


def tasks(runs: list[dict[str, Any]]) -> Counter[tuple[str, str, int]]:
    return Counter((run["task"].rpartition(".")[2], run["state"], run["attempt_count"]) for run in runs)


PROGRAM = """
    for number in range(20):
        send(number, password="hunter2")
    campaign(5)
    flaky("key-1")
    refused()
    handle = send("nobody")
    handle.revoke()
    huey.enqueue(send.s("too late", expires=1e-6))
    send.schedule(("later",), delay=1)
"""


@pytest.mark.parametrize("kind", ["thread", "process", "greenlet", "thread on redis"])
def test_each_task_is_one_run_with_its_outcome_and_attempts(
    server: HuoyanServer, fresh_redis: RedisServer, kind: str
) -> None:
    service = Mail(server.url, fresh_redis.url if "redis" in kind else "")
    try:
        service.produce(PROGRAM)
        service.consume(*WORKERS[kind.partition(" ")[0]])
        expected = Counter(
            {
                ("send", "succeeded", 1): 26,
                ("campaign", "succeeded", 1): 1,
                ("flaky", "succeeded", 3): 1,
                ("refused", "failed", 2): 1,
                ("send", "revoked", 0): 1,
                ("send", "dead", 0): 1,
            }
        )

        def complete(seen: list[dict[str, Any]]) -> bool:
            return tasks([run for run in seen if not run["task"].endswith("tidy")]) == expected

        try:
            runs = server.wait_for_runs(complete)
        except AssertionError as error:
            raise AssertionError(
                f"{tasks(server.runs())} instead of {expected}; {service.process.log_tail()}"
            ) from error
        assert {(run["service"], run["framework"], run["queue"]) for run in runs} == {("mail", "huey", "mail")}
        assert [run["state"] for run in runs if run["task"].endswith("tidy")] == ["succeeded"]
        (kept,) = server.get("/schedules")["items"]
        assert (kept["id"], kept["task"], kept["expression"], kept["enabled"]) == (
            "mail.tidy",
            "mail.tidy",
            "* * * * *",
            True,
        )
        due, ran = (datetime.fromisoformat(kept[name]) for name in ("next_due_at", "last_run_at"))
        assert (due - ran).total_seconds() == pytest.approx(60, abs=1.5)
        by_id = {run["id"]: run for run in runs}
        children = [run for run in runs if run["parent_id"]]
        assert [by_id[run["parent_id"]]["task"] for run in children] == ["mail.campaign"] * 5
        flaky = server.get(f"/runs/{next(run['id'] for run in runs if run['task'] == 'mail.flaky')}")
        assert [attempt["state"] for attempt in flaky["attempts"]] == ["retrying", "retrying", "succeeded"]
        assert [(attempt["exception"] or {}).get("message") for attempt in flaky["attempts"]] == [
            "mail server is busy, try 1",
            "mail server is busy, try 2",
            None,
        ]
        sent = server.get(
            f"/runs/{next(run['id'] for run in runs if run['state'] == 'succeeded' and not run['parent_id'])}"
        )
        assert "hunter2" not in str(sent)
        later = next(run for run in runs if (run.get("args") or [None])[0] == "later")
        assert later["wait_s"] is not None
        assert later["wait_s"] < 5
    finally:
        service.process.close()


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_what_a_stopped_consumer_interrupts_is_revoked(server: HuoyanServer, mail: Mail, kind: str) -> None:
    mail.produce("slow(600)")
    mail.consume(*WORKERS[kind])
    wait_until(mail.marked)
    server.wait_for_runs(lambda seen: "started" in [run["state"] for run in seen if run["task"] == "mail.slow"])
    mail.process.stop(stop_signal=signal.SIGTERM)
    runs = server.wait_for_runs(lambda seen: final([run for run in seen if run["task"] == "mail.slow"]))
    slow = [run for run in runs if run["task"] == "mail.slow"]
    assert [(run["state"], run["evidence"]) for run in slow] == [("revoked", "reported")]
    run = server.get(f"/runs/{slow[0]['id']}")
    assert run["reason"] == "interrupted, the consumer was shut down"


def test_a_consumer_that_finishes_its_work_says_goodbye(server: HuoyanServer, mail: Mail) -> None:
    mail.consume(*WORKERS["thread"])
    mail.produce("slow(1)")
    wait_until(mail.marked)
    mail.process.stop(stop_signal=signal.SIGINT)
    runs = server.wait_for_runs(lambda seen: final(seen) and "mail.slow" in {run["task"] for run in seen})
    assert {run["state"] for run in runs} == {"succeeded"}
    wait_until(
        lambda: {worker["state"] for worker in server.get("/workers")["items"]} == {"closed"},
        message=lambda: str(server.get("/workers")),
    )


def test_the_depth_of_the_queue_is_read_while_a_consumer_runs(server: HuoyanServer, mail: Mail) -> None:
    mail.produce("for _ in range(12): slow(0.5)")
    mail.consume("-k", "thread", "-w", "1")

    def depth() -> Any:
        found = [queue for queue in server.get("/queues")["items"] if queue["queue"] == "mail"]
        return found[0]["depth"] if found else None

    wait_until(lambda: (depth() or 0) >= 5, 20, message=lambda: str(server.get("/queues")))
    assert {queue["service"] for queue in server.get("/queues")["items"]} == {"mail"}
    wait_until(lambda: depth() == 0, 30, message=lambda: str(server.get("/queues")))


def test_a_consumer_restarted_by_hangup_loses_no_events(server: HuoyanServer, mail: Mail) -> None:
    """It replaces its own process, which runs no exit function."""
    mail.consume(*WORKERS["thread"])
    mail.produce("for number in range(10): send(number)")
    server.wait_for_runs(lambda seen: len([run for run in seen if run["task"] == "mail.send"]) == 10 and final(seen))
    mail.produce("slow(1)")
    wait_until(mail.marked)
    assert mail.process.pid is not None
    os.kill(mail.process.pid, signal.SIGHUP)
    server.wait_for_runs(
        lambda seen: [run["state"] for run in seen if run["task"] == "mail.slow"] == ["succeeded"],
    )
    mail.produce("send('after')")
    server.wait_for_runs(lambda seen: len([run for run in seen if run["task"] == "mail.send"]) == 11 and final(seen))
