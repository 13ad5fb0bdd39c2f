"""A real worker whose children stand still: it goes on reporting, and starts nothing."""

import os
import signal
import sys
from pathlib import Path

import celery
import psutil
import redis

from tests.integration.celery.deployment import ROOT
from tests.servers import HuoyanServer, RedisServer, ServerProcess, wait_until

NODE = "w@wedged"


def test_a_worker_whose_children_stand_still_is_wedged_until_they_go_on(redis_server: RedisServer, tmp_path: Path):
    url = redis_server.database_url(27)
    redis.Redis.from_url(url).flushdb()
    config = tmp_path / "huoyan.toml"
    config.write_text("[truth]\nwedged_after_s = 5\n")
    app = celery.Celery("publisher", broker=url, set_as_current=False)
    worker = ServerProcess("celery")
    with HuoyanServer("--celery", url, "--config", str(config)) as server:

        def state() -> str:
            known = {one["worker"]: one["state"] for one in server.get("/workers")["items"]}
            return str(known.get(NODE, "unknown"))

        def succeeded() -> int:
            return int(server.get("/runs/counts")["state"].get("succeeded", 0))

        sent = 0

        def heard() -> bool:
            nonlocal sent
            sent += 1
            app.send_task("orders.work", ("ok", 0), task_id=f"heard-{sent}")
            return succeeded() > 0

        def last_ended() -> bool:
            return any(
                run["id"] == f"heard-{sent}" and run["state"] == "succeeded" for run in server.get("/runs")["items"]
            )

        try:
            worker.run(
                [
                    *(Path(sys.executable).with_name("celery"), "-A", "tests.integration.celery.app", "worker"),
                    *("-c", "1", "-n", NODE, "-l", "INFO"),
                ],
                lambda: "ready." in worker.log_path.read_text(),
                env={"TEST_BROKER": url, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
            )
            wait_until(heard, 40, "the worker to be heard", interval_s=0.5)
            # A child that is stopped in the middle of a run would be busy, not wedged.
            wait_until(last_ended, 40, "the last run to end")
            assert state() == "up"
            assert worker.pid is not None
            children = psutil.Process(worker.pid).children(recursive=True)
            for child in children:
                child.send_signal(signal.SIGSTOP)
            before = succeeded()
            for number in range(3):
                app.send_task("orders.work", ("ok", number), task_id=f"held-{number}")
            wait_until(lambda: state() == "wedged", 40, lambda: f"the worker to be wedged, it is {state()}")
            assert server.get("/workers", state="down")["items"] == []
            for child in children:
                child.send_signal(signal.SIGCONT)
            wait_until(lambda: succeeded() >= before + 3, 20, "what waited to be executed")
            wait_until(lambda: state() == "up", 20, "the worker to be up again")
        finally:
            worker.kill()
            worker.close()
