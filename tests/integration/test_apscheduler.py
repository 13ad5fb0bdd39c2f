"""APScheduler in real processes, reporting to a real Huoyan server."""

import os
import signal
import sys
import textwrap
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.servers.huoyan import HuoyanServer
from tests.servers.process import ServerProcess
from tests.servers.waiting import wait_until

COMMON = textwrap.dedent(
    """
    import asyncio, datetime, os, pathlib, signal, sys, threading, time
    import huoyan
    from apscheduler.events import EVENT_JOB_MAX_INSTANCES

    now = lambda: datetime.datetime.now(datetime.timezone.utc)

    def report(day, api_key=""):
        return f"report {day}"

    def broken():
        raise ValueError("no data")

    REJECTED, DONE = (pathlib.Path(__file__).with_name(name) for name in ("rejected", "done"))

    def slow():
        time.sleep(1.5)
        while not REJECTED.exists():
            time.sleep(0.05)
        DONE.touch()

    def forever():
        time.sleep(600)

    def die():
        os._exit(1)

    async def fetch(n):
        await asyncio.sleep(0.01)
        return n

    async def fetch_forever():
        await asyncio.sleep(600)

    def jobs(scheduler):
        # Due again and again until it was once refused for running still, however slow the machine.
        def refused(event):
            scheduler.remove_job("slow")
            REJECTED.touch()

        scheduler.add_listener(refused, EVENT_JOB_MAX_INSTANCES)
        # The default of one second would make what a busy machine starts late a missed run, and rightly so.
        patient = {"misfire_grace_time": None}
        for day in range(5):
            scheduler.add_job(report, args=[day], kwargs={"api_key": "k3y-to-keep-secret"}, **patient)
        scheduler.add_job(broken, **patient)
        late = now() - datetime.timedelta(seconds=100)
        scheduler.add_job(report, "date", run_date=late, args=["late"], misfire_grace_time=1)
        scheduler.add_job(slow, "interval", seconds=0.5, id="slow", max_instances=1, **patient)

    def ready():
        print("scheduler is ready", flush=True)
    """
)
BACKGROUND = """
from apscheduler.schedulers.background import BackgroundScheduler
if __name__ == "__main__":
    scheduler = huoyan.watch(BackgroundScheduler(), service="reports")
    jobs(scheduler)
    scheduler.start()
    ready()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    scheduler.shutdown()
"""
BLOCKING = """
from apscheduler.schedulers.blocking import BlockingScheduler
if __name__ == "__main__":
    scheduler = BlockingScheduler()
    jobs(scheduler)
    huoyan.watch(scheduler, service="reports")
    signal.signal(signal.SIGTERM, lambda *_: scheduler.shutdown(wait=False))
    ready()
    scheduler.start()
"""
ASYNCIO = """
from apscheduler.schedulers.asyncio import AsyncIOScheduler
async def main():
    scheduler = AsyncIOScheduler()
    jobs(scheduler)
    huoyan.watch(scheduler, service="reports")
    scheduler.add_job(fetch, args=[7], misfire_grace_time=None)
    scheduler.add_job(fetch_forever, misfire_grace_time=None)
    scheduler.start()
    ready()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    scheduler.shutdown()
    await asyncio.sleep(0.1)
if __name__ == "__main__":
    asyncio.run(main())
"""
PROCESSES = """
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.executors.pool import ProcessPoolExecutor
if __name__ == "__main__":
    scheduler = BackgroundScheduler(executors={"default": ProcessPoolExecutor(2)})
    huoyan.watch(scheduler, service="reports")
    jobs(scheduler)
    scheduler.start()
    ready()
    while not DONE.exists():
        time.sleep(0.1)
    time.sleep(1)  # until the pool has told the ends of the others
    scheduler.add_job(die, misfire_grace_time=None)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    scheduler.shutdown(wait=False)
"""
GREENLETS = """
import gevent.monkey
gevent.monkey.patch_all()
from apscheduler.schedulers.gevent import GeventScheduler
if __name__ == "__main__":
    scheduler = huoyan.watch(GeventScheduler(), service="reports")
    jobs(scheduler)
    main = scheduler.start()
    ready()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    scheduler.shutdown()
"""
FOREVER = """
from apscheduler.schedulers.background import BackgroundScheduler
if __name__ == "__main__":
    scheduler = huoyan.watch(BackgroundScheduler(), service="reports")
    scheduler.add_job(forever, "interval", seconds=600, next_run_time=now(), id="the same")
    scheduler.start()
    ready()
    time.sleep(600)
"""
EXPECTED = Counter(
    {
        ("report", "succeeded"): 5,
        ("broken", "failed"): 1,
        ("report", "dead"): 1,
        ("slow", "succeeded"): 1,
        ("slow", "rejected"): 1,
    }
)


@pytest.fixture
def server(huoyan_server: Callable[..., HuoyanServer]) -> HuoyanServer:
    """Give a Huoyan server."""
    return huoyan_server()


@pytest.fixture
def program(server: HuoyanServer) -> Iterator[Callable[[str], ServerProcess]]:
    """Give a function that starts a program, whose processes end with the test."""
    started: list[ServerProcess] = []

    def start(text: str) -> ServerProcess:
        process = ServerProcess("scheduler")
        started.append(process)
        file = process.folder / "reports.py"
        # Gevent has to come before everything else.
        first = text.startswith("\nimport gevent")
        file.write_text("\n".join([text.partition("from apscheduler")[0] if first else "", COMMON, text]))
        env = {"HUOYAN_URL": server.url, "HUOYAN_REPORT_INTERVAL_S": "0.5"}
        ready = lambda: "scheduler is ready" in process.log_path.read_text()  # noqa: E731
        process.run([sys.executable, file], ready, env=env)
        return process

    yield start
    for process in started:
        process.close()


def counted(runs: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    return Counter((run["task"].rpartition(".")[2], run["state"]) for run in runs)


@pytest.mark.parametrize(
    ("text", "more"),
    [
        (BACKGROUND, {}),
        (BLOCKING, {}),
        (ASYNCIO, {("fetch", "succeeded"): 1, ("fetch_forever", "started"): 1}),
        (PROCESSES, {("die", "lost"): 1}),
        (GREENLETS, {}),
    ],
    ids=["background", "blocking", "asyncio", "processes", "gevent"],
)
def test_each_execution_is_one_run_with_its_outcome(
    server: HuoyanServer, program: Callable[[str], ServerProcess], text: str, more: dict[tuple[str, str], int]
) -> None:
    process = program(text)
    expected = EXPECTED + Counter(more)

    try:
        runs = server.wait_for_runs(lambda seen: counted(seen) == expected)
    except AssertionError as error:
        raise AssertionError(f"{counted(server.runs())} instead of {expected}; {process.log_tail()}") from error
    assert {(run["service"], run["framework"]) for run in runs} == {("reports", "apscheduler")}
    details = [server.get(f"/runs/{run['id']}") for run in runs]
    assert "k3y-to-keep-secret" not in str(details)
    by_outcome = {(run["task"].rpartition(".")[2], run["state"]): run for run in details}
    failed = by_outcome["broken", "failed"]
    assert (failed["exception"]["type"], failed["exception"]["message"]) == ("ValueError", "no data")
    assert "in broken" in failed["exception"]["traceback"]
    assert by_outcome["report", "dead"]["reason"].startswith("missed by 10")
    assert "max_instances" in by_outcome["slow", "rejected"]["reason"]
    slow = by_outcome["slow", "succeeded"]
    assert slow["duration_s"] >= 1.4
    assert slow["labels"] == {"job": "slow", "trigger": slow["labels"]["trigger"], "schedule": "slow"}
    assert slow["wait_s"] is not None
    process.stop(stop_signal=signal.SIGTERM)
    if text is ASYNCIO:
        runs = server.wait_for_runs(lambda seen: ("fetch_forever", "revoked") in counted(seen))
    wait_until(
        lambda: {worker["state"] for worker in server.get("/workers")["items"]} == {"closed"},
        message=lambda: str(server.get("/workers")),
    )


def test_two_processes_with_the_same_schedule_stay_apart_and_a_killed_one_loses_its_run(
    server: HuoyanServer, program: Callable[[str], ServerProcess]
) -> None:
    first, second = program(FOREVER), program(FOREVER)
    runs = server.wait_for_runs(lambda seen: counted(seen) == {("forever", "started"): 2})
    assert len({run["worker"] for run in runs}) == 2
    pid = first.pid
    first.kill()
    runs = server.wait_for_runs(lambda seen: ("forever", "lost") in counted(seen))
    assert {run["state"]: run["worker"].rpartition(":")[2] for run in runs} == {
        "lost": str(pid),
        "started": str(second.pid),
    }


TICKING = """
from apscheduler.schedulers.background import BackgroundScheduler
if __name__ == "__main__":
    scheduler = huoyan.watch(BackgroundScheduler(timezone="Europe/Berlin"), service="reports")
    soon = now() + datetime.timedelta(seconds=2)
    scheduler.add_job(report, "interval", args=[1], seconds=20, start_date=soon, id="ticking", misfire_grace_time=1)
    scheduler.start()
    ready()
    time.sleep(600)
"""


def test_a_due_time_that_a_stopped_scheduler_let_pass_is_missed_once(
    server: HuoyanServer, program: Callable[[str], ServerProcess]
) -> None:
    process = program(TICKING)
    assert process.pid is not None

    def ticking() -> dict[str, Any]:
        items = server.get("/schedules")["items"]
        return items[0] if items else {"state": None, "missed_count": 0}

    # The first due time was kept, the second one comes while the process stands still.
    wait_until(lambda: ticking()["state"] == "ok", timeout_s=40, message=lambda: str(ticking()))
    schedule = ticking()
    assert (schedule["id"], schedule["service"], schedule["framework"]) == ("ticking", "reports", "apscheduler")
    assert (schedule["kind"], schedule["expression"], schedule["timezone"]) == ("interval", "20.0", "Europe/Berlin")
    assert (schedule["last_state"], schedule["missed_count"]) == ("succeeded", 0)
    due = schedule["next_due_at"]
    os.kill(process.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: ticking()["missed_count"] == 1, timeout_s=60, message=lambda: str(ticking()))
        assert (ticking()["state"], ticking()["last_missed_at"]) == ("dead", due)
    finally:
        os.kill(process.pid, signal.SIGCONT)
    # It goes on by itself: the next due time is kept, and the miss stays the only one.
    wait_until(lambda: ticking()["state"] == "ok", timeout_s=60, message=lambda: str(ticking()))
    assert (ticking()["missed_count"], ticking()["last_missed_at"]) == (1, due)
    with urllib.request.urlopen(server.url + "/metrics", timeout=5) as answer:
        assert 'huoyan_schedule_missed_total{schedule="reports/ticking"} 1' in answer.read().decode()
    assert [alert["rule"] for alert in server.get("/alerts")["items"] if alert["rule"] == "schedule-missed"]
