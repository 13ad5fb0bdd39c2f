"""FastAPI under a real uvicorn with several workers, reporting to a real Huoyan server."""

import os
import signal
import statistics
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.servers.huoyan import HuoyanServer
from tests.servers.process import ServerProcess, free_port
from tests.servers.waiting import wait_until

APPLICATION = textwrap.dedent(
    """
    import asyncio, os, time
    from fastapi import BackgroundTasks, FastAPI
    import huoyan

    app = huoyan.watch(FastAPI(), service="orders")

    def confirm(order: int) -> str:
        return f"mail {order}"

    async def reserve(order: int) -> int:
        await asyncio.sleep(0.001)
        return order

    def charge(order: int, card: str) -> None:
        raise ConnectionError(f"payment provider is down, order {order}")

    async def forever() -> None:
        await asyncio.sleep(600)

    def forever_in_a_thread() -> None:
        time.sleep(600)

    @app.get("/pid")
    async def pid() -> int:
        return os.getpid()

    @app.post("/orders/{order}")
    async def create(order: int, background: BackgroundTasks) -> dict[str, int]:
        background.add_task(confirm, order)
        background.add_task(reserve, order)
        if order % 4 == 0:
            background.add_task(charge, order, card="4111111111111111")
            background.add_task(confirm, -order)
        return {"order": order}

    @app.post("/forever")
    async def start(background: BackgroundTasks) -> int:
        background.add_task(forever)
        background.add_task(confirm, 0)
        return os.getpid()

    @app.post("/forever-in-a-thread")
    async def start_thread(background: BackgroundTasks) -> int:
        background.add_task(forever_in_a_thread)
        return os.getpid()
    """
)


class Application:
    """The application in uvicorn, on a port of its own."""

    def __init__(self, *arguments: str, env: dict[str, str]) -> None:
        self.port = free_port()
        self.process = ServerProcess("uvicorn")
        (self.process.folder / "shop.py").write_text(APPLICATION)
        self._command = [
            *(sys.executable, "-m", "uvicorn", "shop:app"),
            *("--app-dir", str(self.process.folder), "--port", str(self.port), "--log-level", "warning"),
            *arguments,
        ]
        self._env = {"HUOYAN_URL": "", "HUOYAN_REPORT_INTERVAL_S": "0.5", **env}

    def __enter__(self) -> "Application":
        self.process.run(self._command, lambda: self.get("/pid") > 0, env=self._env, timeout_s=60)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.close()

    def get(self, path: str) -> Any:
        return self._request("GET", path)

    def post(self, path: str) -> Any:
        return self._request("POST", path)

    def _request(self, method: str, path: str) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            body = answer.read().decode()
        return body if path == "/metrics" else eval(body)


@pytest.fixture
def server(huoyan_server: Callable[..., HuoyanServer]) -> HuoyanServer:
    """Give a Huoyan server."""
    return huoyan_server()


def final(runs: list[dict[str, Any]]) -> bool:
    return all(run["state"] in {"succeeded", "failed", "dead", "revoked", "lost"} for run in runs)


def test_every_background_task_of_every_worker_is_one_run_with_its_real_outcome(server: HuoyanServer) -> None:
    orders = 200
    with Application("--workers", "2", env={"HUOYAN_URL": server.url}) as app:
        pids: set[int] = set()

        def both_answered() -> bool:
            pids.add(app.get("/pid"))
            return len(pids) == 2

        wait_until(both_answered, message="both workers to answer")
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: app.post(f"/orders/{number}"), range(1, orders + 1)))
        assert sorted(answer["order"] for answer in answers) == list(range(1, orders + 1))
        expected = Counter({("confirm", "succeeded"): orders, ("reserve", "succeeded"): orders})
        expected.update({("charge", "failed"): orders // 4, ("confirm", "dead"): orders // 4})
        total = sum(expected.values())
        runs = server.wait_for_runs(lambda seen: len(seen) == total and final(seen))
        assert Counter((run["task"].rpartition(".")[2], run["state"]) for run in runs) == expected
        assert {run["service"] for run in runs} == {"orders"}
        workers = {run["worker"] for run in runs if run["worker"]}
        assert {int(worker.rpartition(":")[2]) for worker in workers} == pids
        assert workers <= {each["worker"] for each in server.get("/workers")["items"]}
    failed = server.runs(state="failed")
    assert {run["exception"]["type"] for run in failed} == {"ConnectionError"}
    assert len({run["exception"]["fingerprint"] for run in failed}) == 1
    assert "4111" not in str(server.get(f"/runs/{failed[0]['id']}"))
    dead = server.runs(state="dead")
    assert {run["reason"] for run in dead if "reason" in run} <= {
        "never started: shop.charge of the same response failed with ConnectionError"
    }
    wait_until(
        lambda: {each["state"] for each in server.get("/workers")["items"]} == {"closed"},
        message=lambda: f"every worker to have said goodbye: {server.get('/workers')['items']}",
    )


def test_a_task_cut_off_by_shutdown_is_revoked_and_the_one_behind_it_too(server: HuoyanServer) -> None:
    arguments = ("--workers", "2", "--timeout-graceful-shutdown", "1")
    with Application(*arguments, env={"HUOYAN_URL": server.url}) as app:
        app.post("/forever")
        server.wait_for_runs(lambda seen: {"started"} <= {run["state"] for run in seen})
        app.process.stop(stop_signal=signal.SIGTERM)
    runs = server.wait_for_runs(lambda seen: len(seen) == 2 and final(seen))
    assert {(run["task"], run["state"], run["evidence"]) for run in runs} == {
        ("shop.forever", "revoked", "reported"),
        ("shop.confirm", "revoked", "reported"),
    }


def test_a_task_in_a_thread_that_the_shutdown_does_not_wait_for_is_lost(server: HuoyanServer) -> None:
    arguments = ("--workers", "2", "--timeout-graceful-shutdown", "1")
    with Application(*arguments, env={"HUOYAN_URL": server.url}) as app:
        app.post("/forever-in-a-thread")
        server.wait_for_runs(lambda seen: [run["state"] for run in seen] == ["started"])
        app.process.stop(stop_signal=signal.SIGTERM, timeout_s=10)
        runs = server.wait_for_runs(final)
    assert [(run["task"], run["state"], run["evidence"]) for run in runs] == [
        ("shop.forever_in_a_thread", "lost", "inferred")
    ]


def test_what_waited_behind_a_killed_task_is_lost_with_it(server: HuoyanServer) -> None:
    with Application("--workers", "2", env={"HUOYAN_URL": server.url}) as app:
        pid = app.post("/forever")
        server.wait_for_runs(lambda seen: {"started", "queued"} <= {run["state"] for run in seen})
        os.kill(pid, signal.SIGKILL)
        runs = server.wait_for_runs(final)
    assert {(run["task"], run["state"], run["evidence"]) for run in runs} == {
        ("shop.forever", "lost", "inferred"),
        ("shop.confirm", "lost", "inferred"),
    }
    for run in runs:
        (correction,) = server.get(f"/runs/{run['id']}")["history"]
        assert (correction["after"], correction["evidence"]) == ("lost", "inferred")
        assert server.get(f"/runs/{run['id']}")["redelivery"] == "none"


def test_metrics_are_served_by_the_application_and_tasks_are_left_to_the_server(server: HuoyanServer) -> None:
    with Application(env={"HUOYAN_URL": server.url}) as app:
        for number in (1, 2, 3):
            app.post(f"/orders/{number}")
        server.wait_for_runs(lambda seen: len(seen) == 6 and final(seen))
        exposed = app.get("/metrics")
    assert 'http_requests_total{method="POST",endpoint="/orders/{order}",http_status="200"} 3.0' in exposed
    assert "huoyan_task_runs_total" not in exposed


def test_without_a_server_the_application_counts_its_tasks_itself() -> None:
    with Application(env={}) as app:
        for number in (1, 2, 4):
            app.post(f"/orders/{number}")
        labels = 'huoyan_task_runs_total{service="orders",task="shop.%s",queue="",state="%s"} %s'
        for counted in (("confirm", "succeeded", "3.0"), ("charge", "failed", "1.0"), ("confirm", "dead", "1.0")):
            _wait_for_line(app, labels % counted)


def _wait_for_line(app: Application, line: str) -> None:
    wait_until(lambda: line in app.get("/metrics"), message=line)


def test_an_application_does_not_notice_that_the_server_is_away() -> None:
    away = f"http://127.0.0.1:{free_port()}"
    settings = {"HUOYAN_URL": away, "HUOYAN_BUFFER_EVENTS": "50"}
    with Application(env=settings) as app, Application(env={"HUOYAN_ENABLED": "0"}) as unwatched:
        times: dict[Application, list[float]] = {app: [], unwatched: []}
        for number in range(1, 301):
            for each in times:
                started = time.perf_counter()
                assert each.post(f"/orders/{2 * number + 1}")["order"] == 2 * number + 1
                times[each].append(time.perf_counter() - started)
        added_s = statistics.median(times[app]) - statistics.median(times[unwatched])
        log = app.process.log_path
        wait_until(lambda: "events are dropped" in log.read_text(), message="the log to say that events are dropped")
        started = time.perf_counter()
        app.process.stop(stop_signal=signal.SIGTERM)
        assert time.perf_counter() - started < 5
        assert "Traceback" not in log.read_text()
    assert added_s < 0.005


def test_events_wait_for_a_server_that_comes_back(huoyan_server: Callable[..., HuoyanServer]) -> None:
    server = HuoyanServer()
    try:
        with Application(env={"HUOYAN_URL": server.url}) as app:
            for number in (1, 2, 3):
                app.post(f"/orders/{number}")
            server.start()
            runs = server.wait_for_runs(lambda seen: len(seen) == 6 and final(seen))
            assert {run["state"] for run in runs} == {"succeeded"}
    finally:
        server.close()
