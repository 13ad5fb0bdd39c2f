"""A worker that lost its broker for a while: what it said meanwhile is gone, and nobody makes up how it went on."""

import urllib.parse
from collections.abc import Iterator
from typing import Any

import celery
import pytest

from tests.faults.proxy import Proxy
from tests.integration.celery.deployment import NODE, Deployment
from tests.servers import RedisServer, wait_until


@pytest.fixture
def parted(fresh_redis: RedisServer) -> Iterator[tuple[Deployment, Proxy, celery.Celery]]:
    """Give a worker watched by its stream alone, whose way to the broker can be broken, and a producer."""
    url = fresh_redis.url
    with Proxy(urllib.parse.urlsplit(url).port or 0) as network:
        deployment = Deployment(url, "stream")
        deployment.worker_env["TEST_BROKER"] = url.replace(f":{urllib.parse.urlsplit(url).port}", f":{network.port}")
        producer = celery.Celery("producer", broker=url, set_as_current=False)
        with deployment:
            yield deployment, network, producer


def shown(deployment: Deployment, run_id: str) -> dict[str, Any]:
    return next((run for run in deployment.server.runs() if run["id"] == run_id), {})


def test_what_ended_while_the_worker_was_cut_off_is_unknown_and_what_goes_on_is_lost_with_its_worker(
    parted: tuple[Deployment, Proxy, celery.Celery],
) -> None:
    deployment, network, producer = parted
    # The short one comes last, and is long enough to be seen before it ends, on a busy machine too.
    for run_id, duration_s in (("goes-on", 600.0), ("ends-unheard", 2.0)):
        producer.send_task("orders.hold", (duration_s,), task_id=run_id)
        wait_until(lambda: shown(deployment, run_id).get("state") == "started", 60, f"{run_id} to start")  # noqa: B023
    log = deployment.worker.log_path
    network.stall()
    wait_until(lambda: "orders.hold[ends-unheard] succeeded" in log.read_text(), 60, "the task to end")
    network.cut()
    network.heal()
    wait_until(lambda: shown(deployment, "ends-unheard")["state"] != "started", 60, "the worker to be asked")
    ended = shown(deployment, "ends-unheard")
    # Celery gathers events of tasks: what it had gathered when the connection broke it throws away, what comes to it
    # afterwards it tells. When the end comes is the machine's choice; made up it must never be.
    unheard = ended["state"] == "lost"
    assert (ended["state"], ended["evidence"]) == (("lost", "unknown") if unheard else ("succeeded", "reported"))
    if unheard:
        assert "how it ended was not heard" in ended["reason"]
        assert any(gap["source"] == f"worker {NODE}" for gap in deployment.server.get("/gaps")["items"])
    assert shown(deployment, "goes-on")["state"] == "started"
    deployment.worker.kill()
    wait_until(lambda: shown(deployment, "goes-on")["state"] != "started", 60, "the worker to be missed")
    lost = shown(deployment, "goes-on")
    # Once the worker was asked, what happens from then on would have been heard.
    assert (lost["state"], lost["evidence"]) in {("lost", "inferred"), ("lost", "inferred" if unheard else "unknown")}
