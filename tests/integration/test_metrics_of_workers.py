"""`/metrics` of applications under real servers with several workers: one right total, whoever answers."""

import os
import signal
import sys
import textwrap
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.servers.process import ServerProcess, free_port
from tests.servers.waiting import wait_until

FLASK = textwrap.dedent(
    """
    import os
    from flask import Flask
    import huoyan

    app = huoyan.watch(Flask("shop"), service="shop")

    @app.get("/pid")
    def pid():
        return str(os.getpid())

    @app.get("/orders/<int:order>")
    def order(order):
        return str(order)
    """
)
FASTAPI = textwrap.dedent(
    """
    import os
    from fastapi import FastAPI
    import huoyan

    app = huoyan.watch(FastAPI(), service="shop")

    @app.get("/pid")
    def pid() -> int:
        return os.getpid()

    @app.get("/orders/{order}")
    def order(order: int) -> int:
        return order
    """
)


class Deployment:
    """An application under a server."""

    def __init__(self, source: str, *arguments: str, **env: str) -> None:
        self.port = free_port()
        self.process = ServerProcess(arguments[0])
        (self.process.folder / "shop.py").write_text(source)
        self._command = [sys.executable, "-m", *(part.replace("PORT", str(self.port)) for part in arguments)]
        self._env = {"HUOYAN_URL": "", **env}

    def __enter__(self) -> "Deployment":
        self.process.run(self._command, lambda: self.get("/pid") != "", env=self._env, timeout_s=60)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.close()

    def get(self, path: str, port: int | None = None, **headers: str) -> str:
        request = urllib.request.Request(f"http://127.0.0.1:{port or self.port}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read().decode()

    def total(self, endpoint: str, port: int | None = None) -> float:
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.get("/metrics", port))
            for sample in family.samples
            if sample.name == "http_requests_total" and sample.labels["endpoint"] == endpoint
        )

    def order(self, times: int) -> None:
        for number in range(times):
            self.get(f"/orders/{number}")


@pytest.fixture(scope="module")
def uvicorn() -> Iterator[Deployment]:
    """Start two workers of uvicorn, with a port for metrics of their own beside the route."""
    port = free_port()
    with Deployment(
        FASTAPI.replace('service="shop"', 'service="shop", metrics_path="/metrics"'),
        *("uvicorn", "shop:app", "--port", "PORT", "--workers", "2", "--log-level", "warning"),
        HUOYAN_METRICS_PORT=str(port),
    ) as deployment:
        deployment.metrics_port = port  # type: ignore[attr-defined]
        yield deployment


def test_workers_of_uvicorn_answer_with_the_sum_of_all_on_either_port(uvicorn: Deployment) -> None:
    pids: set[str] = set()

    def seen_both() -> bool:
        pids.add(uvicorn.get("/pid"))
        return len(pids) == 2

    wait_until(seen_both, 20, "both workers to answer")

    def counted(port: int | None) -> bool:
        return uvicorn.total("/orders/{order}", port) == 40

    uvicorn.order(40)
    for port in (None, uvicorn.metrics_port):  # type: ignore[attr-defined]
        for _ in range(6):
            # Six times, because any worker may be the one that answers.
            wait_until(partial(counted, port), 10, "the sum of both workers")
    os.kill(int(pids.pop()), signal.SIGKILL)
    wait_until(lambda: uvicorn.total("/orders/{order}") == 40, 20, "the sum to outlive a worker")


@pytest.fixture(scope="module")
def gunicorn() -> Iterator[Deployment]:
    """Start two workers of gunicorn that end after 20 requests, scraped with a password."""
    with Deployment(
        FLASK,
        *("gunicorn", "shop:app", "--bind", "127.0.0.1:PORT", "--workers", "2", "--max-requests", "20"),
        *("--log-level", "warning"),
    ) as deployment:
        yield deployment


def test_workers_of_gunicorn_that_are_replaced_lose_no_count_and_leave_no_files(gunicorn: Deployment) -> None:
    pids = set()
    for number in range(200):
        gunicorn.get(f"/orders/{number}")
        pids.add(gunicorn.get("/pid"))
    assert len(pids) > 4
    totals: list[float] = []

    def counted_all() -> bool:
        totals.append(gunicorn.total("/orders/<int:order>"))
        return totals[-1] == 200

    wait_until(counted_all, 20, lambda: f"the sum of all workers there ever were, got {totals[-5:]}")
    arbiter = gunicorn.process.pid
    base = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path("/tmp")
    [folder] = (base / f"huoyan-{os.geteuid()}" / "metrics").glob(f"{arbiter}-*")
    # Two files for each worker that lives or is just being replaced, the sum of the others, and a lock.
    wait_until(lambda: len(list(folder.iterdir())) <= 2 + 2 * 4, 10, "files of workers that are gone to be removed")


def test_a_password_and_a_limit_hold_for_the_route_of_a_flask_application() -> None:
    with Deployment(
        FLASK,
        *("gunicorn", "shop:app", "--bind", "127.0.0.1:PORT", "--log-level", "warning"),
        HUOYAN_METRICS_AUTH="prom:secret",
        HUOYAN_METRICS_PER_MINUTE="2",
    ) as deployment:
        statuses = []
        retry_after = ""
        for authorization in ("", "Basic cHJvbTpzZWNyZXQ=", "Basic cHJvbTpzZWNyZXQ=", "Basic cHJvbTpzZWNyZXQ="):
            try:
                deployment.get("/metrics", Authorization=authorization)
                statuses.append(200)
            except urllib.error.HTTPError as error:
                statuses.append(error.code)
                retry_after = error.headers.get("Retry-After", "")
        assert statuses == [401, 200, 200, 429]
        assert 0 < int(retry_after) <= 60
